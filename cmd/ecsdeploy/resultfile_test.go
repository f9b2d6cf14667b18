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
	if r.Version != 1 || r.Command == "" || r.Result == "" {
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
