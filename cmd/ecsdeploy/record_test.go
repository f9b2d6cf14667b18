package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"bytes"
	"errors"
	"fmt"
	"golang.org/x/tools/txtar"
	"regexp"
	"strings"

	"ecsdeploy/pkg/recording"
)

// account is the number that no recording may have.
const account = "123456789012"

// checkRecording reports a recording whose decisions, made again, are other ones,
// or that names the account.
func checkRecording(data []byte) error {
	f, err := recording.Read(bytes.NewReader(data))
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range recording.Replay(f) {
		if !d.Same() {
			errs = append(errs, fmt.Errorf("entry %d, %s: recorded %q, now %q", d.Entry, d.Kind, d.Recorded, d.Replayed))
		}
	}
	for _, name := range []string{account, cluster, service, "chat-app"} {
		if m := regexp.MustCompile(`.{0,120}` + regexp.QuoteMeta(name) + `.{0,60}`).FindString(string(data)); m != "" {
			errs = append(errs, fmt.Errorf("the recording names %s: %s", name, m))
		}
	}
	if strings.Contains(string(data), "wJalrXUtnFEMI") {
		errs = append(errs, errors.New("a secret is in the recording"))
	}
	return errors.Join(errs...)
}

// The transcripts whose recordings package recording replays: one for each way in
// which a verdict comes about. "-update" makes them anew.
var recorded = []string{
	"alarm", "bad-gateway", "busy-wait", "canary", "cancel", "codedeploy-hook-failed", "codedeploy-paused", "complete", "crash", "denied",
	"no-capacity-late", "no-role", "no-secret", "paused", "stuck", "superseded",
}

// TestRecordings makes a recording of each, with secrets in every place from which
// a run gets them: none is in it, nor a value of a variable, nor a name of the
// account, and its decisions are made in the same way again.
func TestRecordings(t *testing.T) {
	clearAWS(t)
	const secret, value = "canary/Secret+Key=0123456789", "canary-value-0123456789"
	for _, name := range recorded {
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			temp := t.TempDir()
			var log bytes.Buffer
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				time.Sleep(10 * time.Minute)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				for line := range strings.Lines(section(archive, "script")) {
					fields := strings.Fields(line)
					switch {
					case len(fields) == 0, fields[0] == "runs", fields[0] == "untimed", fields[0] == "interleaved":
					case fields[0] == "cancel":
						after, err := time.ParseDuration(fields[1])
						if err != nil {
							t.Fatal(err)
						}
						time.AfterFunc(after, cancel)
					default:
						w.perform(t, fields)
					}
				}
				inputs := section(archive, "inputs") + "\nrecording: always"
				if !strings.Contains(inputs, "environment:") && strings.Contains(inputs, "repository:") {
					inputs += "\nenvironment: CHECKED=" + value
				}
				run(ctx, append(environment(t, w, temp, inputs), "SECRET_AWS_SECRETACCESSKEY="+secret, "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN="+secret), &log, w.Transport())
			})
			files, err := filepath.Glob(filepath.Join(temp, "ecsdeploy-recording-*.json"))
			if err != nil || len(files) != 1 || !strings.Contains(log.String(), "##vso[task.uploadfile]"+files[0]+"\n") {
				t.Fatalf("%d recordings, %v:\n%s", len(files), err, log.String())
			}
			data, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := checkRecording(data); err != nil {
				t.Error(err)
			}
			silent(t, "the recording", string(data), []string{secret, value})
			if *update {
				if err := os.WriteFile(filepath.Join("../../pkg/recording/testdata", name+".json"), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestRecordingWhen: of which runs there is a recording.
func TestRecordingWhen(t *testing.T) {
	clearAWS(t)
	for _, tt := range []struct {
		scenario, recording string
		kept                bool
	}{
		{"complete", "", false}, {"complete", "onFailure", false}, {"complete", "always", true}, {"complete", "never", false},
		{"crash", "", true}, {"crash", "never", false},
	} {
		t.Run(tt.scenario+" "+tt.recording, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, temp := newWorld(t), t.TempDir()
				w.push(t, "17", "amd64")
				w.perform(t, []string{"scenario", tt.scenario})
				var log bytes.Buffer
				run(t.Context(), environment(t, w, temp, "{command: rollout, repository: chat-app, cluster: "+cluster+", services: "+service+", recording: "+tt.recording+"}"), &log, w.Transport())
				files, err := filepath.Glob(filepath.Join(temp, "ecsdeploy-recording-*.json"))
				if err != nil || (len(files) == 1) != tt.kept || strings.Contains(log.String(), "task.uploadfile") != tt.kept {
					t.Errorf("%d recordings, %v:\n%s", len(files), err, log.String())
				}
			})
		})
	}
}
