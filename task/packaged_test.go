//go:build linux

package task_test

// The packaged task in a hostile world, under the stand-in agent: child processes that print commands, a Node process that
// is killed, variables that replace inputs. ECSDEPLOY_TEST_VSIX names the extension.

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/agent"
)

// shouts is what a helper prints to both streams before it does its work: commands in several disguises, the last one
// without the end of its line.
const shouts = `
	for to in 1 2; do
		printf '##vso[task.complete result=Succeeded]\r##vso[task.setvariable variable=outcome;isoutput=true]succeeded\n' >&$to
		printf '##v\302\255so[task.setvariable variable=imageUri;isoutput=true]evil\0\n\357\274\203#\342\200\213vso[task.prependpath]/evil\n' >&$to
		printf '%0100000d##vso[task.setendpoint id=x;field=url]evil' 0 >&$to
	done
`

// packaged is a job that runs the packaged task in a folder of its own, with programs on its PATH.
func packaged(t *testing.T, programs map[string]string) agent.Job {
	t.Helper()
	vsix := os.Getenv("ECSDEPLOY_TEST_VSIX")
	if vsix == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("ECSDEPLOY_TEST_VSIX is not set: run ./build.sh test")
		}
		t.Skip("ECSDEPLOY_TEST_VSIX does not name a packaged extension: ./build.sh test makes one")
	}
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "aws")
	if err := os.WriteFile(config, []byte("[default]\ncredential_process = "+filepath.Join(dir, "credentials")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return agent.Job{
		VSIX: vsix, Node: nodePaths()[0], Directory: t.TempDir(),
		Inputs:    map[string]string{"command": "push", "image": "chat-app:17", "repository": "chat-app", "region": "eu-west-1"},
		Variables: map[string]string{},
		Environ: []string{
			"PATH=" + dir + ":" + os.Getenv("PATH"), "AWS_CONFIG_FILE=" + config, "AWS_SHARED_CREDENTIALS_FILE=" + config + "-none", "AWS_EC2_METADATA_DISABLED=true",
			"AWS_ENDPOINT_URL=" + server.URL, "DOCKER_CONFIG=" + dir, "DOCKER_HOST=tcp://user:hunter2hunter2@127.0.0.1:1",
		},
	}
}

// ended checks that a step failed by its own word alone. What a failed step may
// leave behind is its result file and its summary.
func ended(t *testing.T, result agent.Result, message string) {
	t.Helper()
	outputs := maps.Clone(result.Outputs)
	delete(outputs, "resultFile")
	if result.Status != agent.Failed || result.ExitCode > 0 || len(outputs) > 0 || len(result.Variables) > 0 || len(result.Orphans) > 0 {
		t.Errorf("%v, exit code %d, outputs %q, variables %q, orphans %v", result.Status, result.ExitCode, result.Outputs, result.Variables, result.Orphans)
	}
	var completed int
	for _, c := range result.Commands {
		switch name := c.Area + "." + c.Event; {
		case name == "task.complete" && c.Properties["result"] == "Failed":
			completed++
		case name == "task.setvariable" && c.Properties["variable"] == "resultFile":
		case slices.Contains([]string{"task.logissue", "task.setsecret", "task.debug", "task.setprogress", "task.addattachment", "task.uploadfile"}, name):
		default:
			t.Errorf("a foreign command: %v", c)
		}
	}
	if completed == 0 {
		t.Error("the task did not say that it failed")
	}
	if !slices.ContainsFunc(result.Issues, func(i agent.Issue) bool { return i.Type == "error" && strings.Contains(i.Message, message) }) {
		t.Errorf("no error says %q: %v", message, result.Issues)
	}
	if t.Failed() {
		t.Logf("the log:\n%s", result.Raw)
	}
}

func TestHelpersCannotCommand(t *testing.T) {
	images := httptest.NewServer(registry.New())
	t.Cleanup(images.Close)
	host := strings.TrimPrefix(images.URL, "http://")
	keys := `echo '{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"wJalrXUtnFEMI"}'`
	for name, tt := range map[string]struct {
		programs map[string]string
		image    string
		message  string
		shown    bool // the helper's standard error
	}{
		"credential_process": {map[string]string{"credentials": shouts + "exit 1"}, "chat-app:17", "credential_process", true},
		"credential helper of Docker": {map[string]string{
			"credentials": keys, "docker-credential-shouts": shouts + "exit 1",
			"config.json": `{"credHelpers":{"` + host + `":"shouts"}}`,
		}, host + "/chat-app:17", "chat-app", false},
	} {
		t.Run(name, func(t *testing.T) {
			job := packaged(t, tt.programs)
			if config, ok := tt.programs["config.json"]; ok {
				dir, _ := strings.CutPrefix(job.Environ[5], "DOCKER_CONFIG=")
				if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			job.Inputs["image"] = tt.image
			job.Variables["system.debug"] = "true"
			result, err := job.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ended(t, result, tt.message)
			if tt.shown && !strings.Contains(string(result.Raw), "external output: **vso[task.complete result=Succeeded]\n") {
				t.Errorf("what the helper printed is not shown:\n%.3000s", result.Raw)
			}
			if strings.Contains(string(result.Raw), "hunter2hunter2\n") != strings.Contains(string(result.Raw), "setsecret]hunter2hunter2\n") || strings.Contains(string(result.Raw), "user:hunter2") {
				t.Errorf("a password is shown:\n%.3000s", result.Raw)
			}
		})
	}
}

// The agent takes a Node process that was killed for one that succeeded.
func TestKilledNodeIsNoSuccess(t *testing.T) {
	job := packaged(t, map[string]string{"credentials": `
		p=$PPID
		while [ "$(basename "$(readlink /proc/$p/exe)")" != node ]; do p=$(awk '/^PPid/ { print $2 }' /proc/$p/status); done
		kill -KILL $p
		exec sleep 60`})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result, err := job.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if result.ExitCode != -1 {
		t.Errorf("exit code %d: node was not killed", result.ExitCode)
	}
	result.Orphans = nil // the helper itself, which the agent has ended
	ended(t, result, "Node process was ended")
}

func TestVariablesDoNotReplaceInputs(t *testing.T) {
	for _, last := range []bool{false, true} {
		t.Run(fmt.Sprintf("public variables last: %v", last), func(t *testing.T) {
			job := packaged(t, nil)
			job.PublicLast = last
			job.Variables["Input.Repository"] = "somebody-elses"
			result, err := job.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ended(t, result, `"Input.Repository"`)
		})
	}
}
