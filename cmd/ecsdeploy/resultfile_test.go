package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
)

// resultOf is what these tests read of a result file.
type resultOf struct {
	Version  int
	Command  string
	Result   string
	Outcome  string
	DryRun   bool
	Image    struct{ URI, Digest string }
	Services []struct {
		Cluster, Service, Outcome, TaskDefinition string
		Reason                                    struct{ Code, Text string }
		Causes                                    []struct{ Container, StopCode, Fault string }
		Rollback                                  struct{ Done bool }
		Tasks                                     struct{ Running, Verified int }
		Seconds                                   float64
	}
	Contents []struct {
		Commits   []struct{ Title string }
		WorkItems []struct{ ID int }
	}
	Errors []struct{ Text, Kind, Input string }
}

// checkResultFile reports a result file that scripts could not read.
func checkResultFile(data []byte) error {
	var r resultOf
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("result file: %w", err)
	}
	if r.Version != 1 || r.Command == "" && len(r.Errors) == 0 || r.Result == "" {
		return fmt.Errorf("result file: %+v", r)
	}
	return nil
}

// TestResultFile: it agrees with the log, also of runs that failed, and no secret
// is in it.
func TestResultFile(t *testing.T) {
	clearAWS(t)
	rollout := "{command: rollout, repository: chat-app, cluster: " + cluster + ", services: " + service + ", tags: '20'}"
	for _, tt := range []struct {
		name, inputs string
		scenario     string
		check        func(r resultOf) bool
	}{
		{"succeeded", rollout, "complete", func(r resultOf) bool {
			s := r.Services[0]
			return r.Outcome == "succeeded" && r.Result == "Succeeded" && strings.HasSuffix(r.Image.URI, "chat-app:20") && s.Service == service && s.Cluster == cluster &&
				strings.HasSuffix(s.TaskDefinition, "chat-app:3") && s.Tasks.Running == 2 && s.Tasks.Verified == 2 && s.Seconds > 10 && r.Errors == nil &&
				len(r.Contents) == 1 && len(r.Contents[0].Commits) == 2 && r.Contents[0].WorkItems[0].ID == 41
		}},
		{"rolled back", rollout, "crash", func(r resultOf) bool {
			s := r.Services[0]
			return r.Outcome == "rolledBack" && r.Result == "Failed" && s.Reason.Code == "tasksFail" && s.Rollback.Done &&
				s.Causes[0].StopCode == "EssentialContainerExited" && s.Causes[0].Container == "app" && s.Causes[0].Fault == "revision"
		}},
		{"refused", strings.Replace(rollout, "services: ", "services: not-", 1), "complete", func(r resultOf) bool {
			return r.Result == "Failed" && r.Outcome == "" && len(r.Services) == 0 && len(r.Errors) == 1 && r.Errors[0].Kind == "service" && r.Errors[0].Input == "services"
		}},
		{"dry run", strings.Replace(rollout, "}", ", dryRun: true}", 1), "complete", func(r resultOf) bool { return r.DryRun && r.Result == "Succeeded" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, devops := newWorld(t), history()
				w.perform(t, []string{"running", "17"})
				w.push(t, "20", "amd64")
				w.perform(t, []string{"scenario", tt.scenario})
				temp := t.TempDir()
				var log bytes.Buffer
				run(t.Context(), inPipeline(devops, environment(t, w, temp, tt.inputs)...), &log, clouds{devops, w.Transport()})
				m := regexp.MustCompile(`variable=resultFile;isoutput=true\](.+\.json)\n`).FindStringSubmatch(log.String())
				if m == nil || filepath.Dir(m[1]) != temp {
					t.Fatalf("no result file:\n%s", log.String())
				}
				data, err := os.ReadFile(m[1])
				if err != nil {
					t.Fatal(err)
				}
				var r resultOf
				if err := json.Unmarshal(data, &r); err != nil || checkResultFile(data) != nil || !tt.check(r) {
					t.Errorf("%v\n%s", err, data)
				}
			})
		})
	}
}

// TestRefused: a run whose inputs are wrong leaves its result file and its summary
// too, and so does a dry run that fails.
func TestRefused(t *testing.T) {
	clearAWS(t)
	for name, tt := range map[string]struct {
		inputs, variable string
		command, input   string
		errors           int
		summary          string
	}{
		"mistakes":          {inputs: "{command: rollout, repository: Chat_App, cluster: " + cluster + ", services: " + service + ", timeoutMinutes: soon}", command: "rollout", input: "repository", errors: 2, summary: "input timeoutMinutes"},
		"no such command":   {inputs: "{command: launch}", input: "command", errors: 1, summary: "input command"},
		"no summary wanted": {inputs: "{command: rollout, cluster: " + cluster + ", services: " + service + ", timeoutMinutes: soon, summary: false, repository: chat-app}", command: "rollout", input: "timeoutMinutes", errors: 1},
		"variable":          {inputs: "{command: drift, summary: false}", variable: `VSTS_PUBLIC_VARIABLES=["input.services"]`, errors: 1, summary: "can replace what the step was given"},
		"dry run":           {inputs: "{command: rollout, repository: chat-app, cluster: " + cluster + ", services: none-such, dryRun: true}", command: "rollout", input: "services", errors: 1, summary: "there is no service"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, temp := newWorld(t), t.TempDir()
				w.push(t, "17", "amd64")
				var log bytes.Buffer
				run(t.Context(), append(environment(t, w, temp, tt.inputs), tt.variable), &log, w.Transport())
				m := regexp.MustCompile(`variable=resultFile;isoutput=true\](.+\.json)\n##vso\[task\.addattachment type=EcsDeploy\.Result;name=result\.json\](.+)\n`).FindStringSubmatch(log.String())
				if m == nil || m[1] != m[2] || filepath.Dir(m[1]) != temp {
					t.Fatalf("no result file:\n%s", log.String())
				}
				data, err := os.ReadFile(m[1])
				if err != nil {
					t.Fatal(err)
				}
				var r resultOf
				if err := json.Unmarshal(data, &r); err != nil || checkResultFile(data) != nil || r.Command != tt.command || r.Result != "Failed" || len(r.Errors) != tt.errors || r.Errors[0].Input != tt.input {
					t.Errorf("%v\n%s", err, data)
				}
				summaries, err := filepath.Glob(filepath.Join(temp, "*.md"))
				if err != nil || len(summaries) > 1 || (len(summaries) == 0) != (tt.summary == "") {
					t.Fatalf("summaries %v, %v:\n%s", summaries, err, log.String())
				}
				if len(summaries) == 1 {
					page, err := os.ReadFile(summaries[0])
					if err != nil || !strings.Contains(string(page), tt.summary) {
						t.Errorf("%v:\n%s", err, page)
					}
				}
			})
		})
	}
}
