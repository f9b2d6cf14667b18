package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/emulator/azdo"
	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/mistake"
)

// TestCancelledInContainer: no signal reaches a step there, so the server is asked.
func TestCancelledInContainer(t *testing.T) {
	clearAWS(t)
	rollout := "{command: rollout, repository: chat-app, cluster: " + cluster + ", services: " + service + ", tags: '20'}"
	for _, tt := range []struct {
		name     string
		outside  bool
		cancel   time.Duration // after the beginning of the run; 0 is before, -1 never
		prepare  func(*azdo.Server)
		token    bool
		log, not string
		most     time.Duration
	}{
		{name: "cancelled", token: true, cancel: 20 * time.Second, log: "the run was cancelled", not: "result=Succeeded", most: 30 * time.Second},
		{name: "cancelled, but not in a container", token: true, outside: true, cancel: 20 * time.Second, log: "result=Succeeded", not: "was cancelled"},
		{name: "a step that runs although the run was cancelled", token: true, log: "result=Succeeded", not: "was cancelled"},
		{name: "no answer allowed", token: true, cancel: -1, prepare: func(d *azdo.Server) { d.Deny("View builds") }, log: "onCancel has no effect", not: "was cancelled]"},
		{name: "no token", cancel: -1, log: "onCancel has no effect", not: "was cancelled]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, devops := newWorld(t), history()
				w.perform(t, []string{"running", "17"})
				w.push(t, "20", "amd64")
				w.perform(t, []string{"scenario", "slow"})
				if tt.prepare != nil {
					tt.prepare(devops)
				}
				stop := func() {
					b := devops.Build(20)
					b.Status = "cancelling"
					devops.AddBuild(b)
				}
				switch {
				case tt.cancel == 0:
					stop()
				case tt.cancel > 0:
					defer time.AfterFunc(tt.cancel, stop).Stop()
				}
				environ := environment(t, w, t.TempDir(), rollout)
				if tt.token {
					environ = inPipeline(devops, environ...)
				}
				if !tt.outside {
					environ = append(environ, `AGENT_CONTAINERMAPPING={"job":{"id":"0a1b2c"}}`)
				}
				var log bytes.Buffer
				begin := time.Now()
				run(t.Context(), environ, &log, clouds{devops, w.Transport()})
				if took := time.Since(begin); tt.most > 0 && took > tt.most {
					t.Errorf("took %s", took)
				}
				if text := log.String(); !strings.Contains(text, tt.log) || strings.Contains(text, tt.not) {
					t.Errorf("the log does not say %q, or says %q:\n%s", tt.log, tt.not, text)
				}
			})
		})
	}
}

// TestSocketHint: in a container the hint is about the container.
func TestSocketHint(t *testing.T) {
	j := job{config: input.Config{Pipeline: input.Pipeline{ContainerMapping: `{"job":{}}`}}}
	unreachable := &engine.Error{Host: "unix:///var/run/docker.sock", Source: "the default", Err: errors.New("no such file")}
	err := j.socketHint(errors.Join(mistake.New(mistake.Service, "", "no such service"), unreachable))
	all := mistakes(t.Context(), err)
	if len(all) != 2 || !strings.Contains(all[1].Hint, "mapDockerSocket") || all[1].Text != unreachable.Error() {
		t.Errorf("%+v", all)
	}
	if err := (job{}).socketHint(unreachable); err != error(unreachable) {
		t.Error(err)
	}
}

// TestParting: what the pipeline gives a cancelled step is used, and not overdrawn.
func TestParting(t *testing.T) {
	for timeout, want := range map[string]time.Duration{"": 0, "60000": 40 * time.Second, "1500": time.Second, "-1": 0, "soon": 0} {
		j := job{config: input.Config{Pipeline: input.Pipeline{SIGINTTimeout: timeout}}}
		if got := j.parting(); got.Round(time.Millisecond) != want {
			t.Errorf("%q: %s, want %s", timeout, got, want)
		}
	}
}
