package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/probe"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/runtask"
)

// wording is an event and what the log says of it.
type wording struct {
	event any
	want  string
}

var health = deploy.SmokeTest{Check: probe.Check{URL: "https://u:p@app.example/health?token=secret", Body: "build 17", Retries: 2}}

// smokeEvents are the events of smoke tests, and the lines that they become.
func smokeEvents() []wording {
	attempt := func(o probe.Outcome, status int, excerpt string, err error) deploy.SmokeAttempt {
		return deploy.SmokeAttempt{Service: web, Test: health, Attempt: probe.Attempt{Number: 2, Of: 3, Outcome: o, Status: status, Excerpt: excerpt, Err: err, Took: 120 * time.Millisecond}}
	}
	const get = "web: GET https://app.example/health?token=***: "
	return []wording{
		{deploy.SmokeTesting{Service: web, Paused: true, Stage: "POST_TEST_TRAFFIC_SHIFT"}, "web: running the smoke test; the deployment is paused meanwhile (stage POST_TEST_TRAFFIC_SHIFT)"},
		{deploy.SmokeTesting{Service: web}, "web: running the smoke test"},
		{attempt(probe.Passed, 200, "build 17", nil), get + "status 200 in 0.1s"},
		{attempt(probe.WrongStatus, 503, "down", nil), get + "expected status 200-299, got 503: down (attempt 2 of 3)"},
		{attempt(probe.WrongStatus, 503, "", nil), get + "expected status 200-299, got 503 (attempt 2 of 3)"},
		{attempt(probe.WrongBody, 200, "build 16", nil), get + `expected "build 17" in the body (status 200), got: build 16 (attempt 2 of 3)`},
		{attempt(probe.WrongBody, 200, "", nil), get + `expected "build 17" in the body (status 200), got no text (attempt 2 of 3)`},
		{attempt(probe.TimedOut, 0, "", errors.New("late")), get + "timed out after 10s without a whole answer (attempt 2 of 3)"},
		{attempt(probe.Unreachable, 0, "", errors.New("connection refused")), get + "no answer: connection refused (attempt 2 of 3)"},
		{deploy.SmokeTested{Service: web, Last: deploy.SmokeResult{Test: health, Passed: true}, Paused: true}, "web: smoke test passed: the deployment continues"},
		{deploy.SmokeTested{Service: web, Last: deploy.SmokeResult{Test: health, Passed: true}}, "web: smoke test passed"},
		{deploy.SmokeTested{Service: web, Last: deploy.SmokeResult{Test: health, Late: true}}, "web: WARN smoke test failed: https://app.example/health?token=*** did not end within the time for the deployment (timeoutMinutes)"},
	}
}

func TestSmokeLines(t *testing.T) {
	for _, tt := range smokeEvents() {
		if got := lines(tt.event); got != tt.want {
			t.Errorf("%T:\n%s\nwant:\n%s", tt.event, got, tt.want)
		}
	}
}

// TestSmokeIssue: the issue of a smoke test says what was expected, what came, and
// what to do where that is known.
func TestSmokeIssue(t *testing.T) {
	three := 3
	for _, tt := range []struct {
		result deploy.SmokeResult
		hook   string
		want   string
		hint   string
	}{
		{deploy.SmokeResult{Test: health, Attempt: probe.Attempt{Number: 3, Of: 3, Outcome: probe.WrongStatus, Status: 503}}, "",
			"the smoke test did not pass; https://app.example/health?token=***: expected status 200-299, got 503 (3 of 3 attempts)", ""},
		{deploy.SmokeResult{Test: health, Attempt: probe.Attempt{Outcome: probe.Unreachable, Err: errors.New("connection refused")}, Internal: true}, "ecs-pause-1",
			"no answer: connection refused; the deployment stays paused at ecs-pause-1", "the load balancer is internal"},
		{deploy.SmokeResult{Test: health, Attempt: probe.Attempt{Outcome: probe.TimedOut}}, "", "timed out after 10s without a whole answer", "security group"},
		{deploy.SmokeResult{Test: deploy.SmokeTest{Command: []string{"npm", "test"}}, Task: &deploy.TaskResult{Result: runtask.Result{Outcome: runtask.Failed, ExitCode: &three, Container: "app"}}}, "",
			`the smoke test did not pass; ["npm","test"]: task failed: container app exited with code 3`, ""},
	} {
		s := deploy.ServiceResult{Service: web, Outcome: rollout.Failed, Reason: rollout.Reason{Code: deploy.SmokeTestFailed}, Smoke: []deploy.SmokeResult{tt.result}, HookID: tt.hook}
		text, hint := failure(s, explain)
		if !strings.Contains(text, tt.want) || !strings.Contains(hint, tt.hint) || strings.Contains(text, "secret") {
			t.Errorf("%s, hint %q", text, hint)
		}
		if row := smokeRow(s); !strings.HasPrefix(row, "❌ ") || strings.Contains(row, "://") {
			t.Errorf("%s", row)
		}
	}
}
