package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/emulator/azdo"
)

// history is an Azure DevOps with three builds of the pipeline.
func history() *azdo.Server {
	devops := azdo.New(azdo.Options{Project: "chat"})
	for id, title := range map[int]string{17: "Begin", 18: "Show names\n\nFixes #41", 20: "Sort names | by length"} {
		devops.AddBuild(azdo.Build{ID: id, Number: "20260105." + string(rune('0'+id-16)), DefinitionID: 7, Definition: "chat-app", Repository: "chat", WorkItems: []int{41},
			Changes: []azdo.Change{{ID: fmt.Sprintf("%x", sha256.Sum256([]byte(title)))[:40], Author: "Ada", Message: title}}})
	}
	devops.AddWorkItem(azdo.WorkItem{ID: 41, Type: "Bug", Title: "Names are missing", State: "Active"})
	return devops
}

// inPipeline is the environment of a run that Azure DevOps knows.
func inPipeline(devops *azdo.Server, environ ...string) []string {
	return append(environ, "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI="+devops.CollectionURL(), "SYSTEM_SERVERTYPE=Hosted", "SYSTEM_HOSTTYPE=build",
		"SYSTEM_JOBID="+azdo.JobID, "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN="+devops.Token())
}

// delayed answers no request before its time is over.
type delayed struct {
	http.RoundTripper
	devops *azdo.Server
}

func (s delayed) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.devops.Serves(r.URL) {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	return s.RoundTripper.RoundTrip(r)
}

// TestContents: a rollout says what is in it, as far as Azure DevOps lets it know,
// and never waits long for that.
func TestContents(t *testing.T) {
	clearAWS(t)
	rollout := "{command: rollout, repository: chat-app, cluster: " + cluster + ", services: " + service + ", tags: '20'}"
	for _, tt := range []struct {
		name    string
		inputs  string
		prepare func(*world, *azdo.Server)
		slow    bool
		log     []string // each once
		summary []string
		most    time.Duration // that the run takes
	}{
		{name: "forward", inputs: rollout,
			log: []string{"##[group]What is in this rollout: build 17 (20260105.1) → build 20 (20260105.4), 2 commits, 1 work item",
				"Sort names | by length (Ada)  https://dev.azure.com/example/chat/_git/chat/commit/", "Show names (Ada)",
				"Bug 41: Names are missing (Active)  https://dev.azure.com/example/chat/_workitems/edit/41"},
			summary: []string{"#### What is in this rollout\n", `Sort names \| by length`, "[Bug 41](https://dev.azure.com/example/chat/%5Fworkitems/edit/41)"}},
		{name: "back", inputs: "{command: rollback, cluster: " + cluster + ", services: " + service + "}",
			log:     []string{"##[group]What this rollback takes out: build 18 (20260105.2) → build 17 (20260105.1), 1 commit", "Show names (Ada)"},
			summary: []string{"#### What this rollback takes out\n"}},
		{name: "dry run", inputs: strings.Replace(rollout, "}", ", dryRun: true}", 1), log: []string{"##[group]What is in this rollout: build 17"}},
		{name: "denied", inputs: rollout, prepare: func(_ *world, d *azdo.Server) { d.Deny("View builds") },
			log: []string{`##vso[task.logissue type=warning]Azure DevOps: builds 17 and 20: access denied (requires "View builds")`}, summary: []string{"access denied"}},
		{name: "a build that is gone", inputs: strings.Replace(rollout, "'20'", "'21'", 1), prepare: func(w *world, d *azdo.Server) { w.push(t, "21", "amd64") },
			log: []string{"build 21 does not exist any more"}, summary: []string{"build 21 does not exist any more"}},
		{name: "no answer", inputs: strings.Replace(rollout, "}", ", wait: false}", 1), slow: true,
			log: []string{"Azure DevOps: builds 17 and 20: no answer in time"}, most: 11 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, devops := newWorld(t), history()
				w.perform(t, []string{"running", "17"})
				if tt.name == "back" {
					w.perform(t, []string{"running", "18"})
				}
				w.push(t, "20", "amd64")
				if tt.prepare != nil {
					tt.prepare(w, devops)
				}
				c := http.RoundTripper(clouds{devops, w.Transport()})
				if tt.slow {
					c = delayed{c, devops}
				}
				temp, begin := t.TempDir(), time.Now()
				var log bytes.Buffer
				if code := run(t.Context(), inPipeline(devops, environment(t, w, temp, tt.inputs)...), &log, c); code != 0 {
					t.Errorf("exit code %d", code)
				}
				if took := time.Since(begin); tt.most > 0 && took > tt.most {
					t.Errorf("took %s", took)
				}
				text := log.String()
				if !strings.Contains(text, "task.complete result=Succeeded]") {
					t.Errorf("the run did not succeed:\n%s", text)
				}
				for _, want := range tt.log {
					if strings.Count(text, want) != 1 {
						t.Errorf("the log does not say %q once:\n%s", want, text)
					}
				}
				if strings.Count(text, "##[group]") != strings.Count(text, "##[endgroup]") {
					t.Error("groups are not balanced")
				}
				summary := ""
				for _, file := range markdownIn(t, temp) {
					summary += file
				}
				for _, want := range tt.summary {
					if !strings.Contains(summary, want) {
						t.Errorf("the summary does not say %q:\n%s", want, summary)
					}
				}
			})
		})
	}
}

// markdownIn are the summaries in a directory.
func markdownIn(t *testing.T, directory string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(directory, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(data))
	}
	return all
}
