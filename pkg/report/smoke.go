package report

// The smoke test of a new revision: when it runs, each attempt, and what came of it.
// What a page answered is text from outside, and is shown shortened.

import (
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/probe"
)

// planSmoke says when the smoke test of a service runs, and what it asks.
func (l *Log) planSmoke(s deploy.ServicePlan) {
	if s.Smoke == nil || s.Back {
		return
	}
	name := s.Name.Name
	for _, t := range s.Smoke.Tests {
		l.info(name, "smoke test %s: %s", smokeTime(s.Smoke.Time), shorten(t.String(), briefLength))
	}
	if s.Smoke.Blind {
		l.warn(name, "no listener takes test traffic: while the deployment is paused, an address of production is answered by the revision before")
	}
}

// smokeTime says when a smoke test runs, and what holds the deployment meanwhile.
func smokeTime(t deploy.SmokeTime) string {
	switch t {
	case deploy.SmokeAtPause:
		return "while the deployment is paused; it continues or is rolled back by the result"
	case deploy.SmokeAtTest:
		return "when test traffic is on the new revision (no pause holds the deployment meanwhile)"
	case deploy.SmokeAtTraffic:
		return "when production traffic is on the new revision"
	}
	return "after the deployment, when the new revision has the production traffic"
}

// showSmoke shows the events of a smoke test.
func (l *Log) showSmoke(event any) {
	switch e := event.(type) {
	case deploy.SmokeTesting:
		text := "running the smoke test"
		if e.Paused {
			text += "; the deployment is paused meanwhile"
		}
		if e.Stage != "" {
			text += " (stage " + e.Stage + ")"
		}
		l.info(e.Service.Name, "%s", text)
	case deploy.SmokeAttempt:
		text := fmt.Sprintf("GET %s: %s", e.Test, attemptText(e.Test.Check, e.Attempt))
		if e.Attempt.Of > 1 && e.Attempt.Outcome != probe.Passed && e.Attempt.Outcome != probe.Forbidden {
			text += fmt.Sprintf(" (attempt %d of %d)", e.Attempt.Number, e.Attempt.Of)
		}
		l.info(e.Service.Name, "%s", text)
	case deploy.SmokeTested:
		switch {
		case !e.Last.Passed:
			l.warn(e.Service.Name, "smoke test failed: %s", smokeText(e.Last))
		case e.Paused:
			l.info(e.Service.Name, "smoke test passed: the deployment continues")
		default:
			l.info(e.Service.Name, "smoke test passed")
		}
	}
}

// attemptText says what a page answered, and what was expected where that differs.
func attemptText(c probe.Check, a probe.Attempt) string {
	answered := ""
	if a.Excerpt != "" {
		answered = ": " + a.Excerpt
	}
	switch a.Outcome {
	case probe.Passed:
		return fmt.Sprintf("status %d in %s", a.Status, seconds(a.Took))
	case probe.WrongStatus:
		return fmt.Sprintf("expected status %s, got %d%s", c.Statuses(), a.Status, answered)
	case probe.WrongBody:
		return fmt.Sprintf("expected %q in the body (status %d), got%s", shorten(c.Body, briefLength), a.Status, orNothing(answered))
	case probe.TimedOut:
		return "timed out after " + Duration(probe.AttemptLimit) + " without a whole answer"
	case probe.Forbidden:
		return "not followed: " + a.Err.Error()
	}
	if a.Err != nil {
		return "no answer: " + a.Err.Error()
	}
	return "no answer"
}

func orNothing(answered string) string {
	if answered == "" {
		return " no text"
	}
	return answered
}

// smokeText says why a smoke test did not pass, or that it did.
func smokeText(r deploy.SmokeResult) string {
	what := shorten(r.Test.String(), briefLength)
	switch {
	case r.Late:
		return what + " did not end within the time for the deployment (timeoutMinutes)"
	case r.Task != nil:
		if r.Passed {
			return what + " succeeded"
		}
		return what + ": task " + taskFailure(r.Task)
	}
	text := what + ": " + attemptText(r.Test.Check, r.Attempt)
	if r.Attempt.Of > 1 && !r.Passed && r.Attempt.Outcome != probe.Forbidden {
		text += fmt.Sprintf(" (%d of %d attempts)", r.Attempt.Number, r.Attempt.Of)
	}
	return text
}

// smokeBrief is why a smoke test did not pass, for a title: without its address.
func smokeBrief(r deploy.SmokeResult) string {
	if r.Task == nil && !r.Late {
		return attemptText(r.Test.Check, r.Attempt)
	}
	return smokeText(r)
}

// smokeHint is what to do about a smoke test that did not pass; "" where that is not
// known.
func smokeHint(r deploy.SmokeResult) string {
	switch {
	case r.Task != nil:
		return taskHint(r.Task)
	case r.Late:
		return "raise timeoutMinutes"
	case r.Attempt.Outcome != probe.Unreachable && r.Attempt.Outcome != probe.TimedOut:
		return ""
	case r.Internal:
		return "the load balancer is internal: run the step on an agent in its network, or test with a command, which runs in the network of the service"
	}
	return "the agent has to reach the address: see the security group of the load balancer, or test with a command, which runs in the network of the service"
}

// failedSmoke is the smoke test for which a service was not deployed.
func failedSmoke(s deploy.ServiceResult) (deploy.SmokeResult, bool) {
	if n := len(s.Smoke); n > 0 && s.Reason.Code == deploy.SmokeTestFailed {
		return s.Smoke[n-1], true
	}
	return deploy.SmokeResult{}, false
}

// smokeFailure says in an issue which smoke test did not pass, and where that leaves
// the deployment.
func smokeFailure(s deploy.ServiceResult) string {
	r, is := failedSmoke(s)
	if !is {
		return ""
	}
	text := smokeText(r)
	if s.HookID != "" && !s.Rollback.Done {
		text += "; the deployment stays paused at " + s.HookID
	}
	return text
}

// smokeRow is the smoke test in the summary; "" where none ran.
func smokeRow(s deploy.ServiceResult) string {
	var all []string
	for _, r := range s.Smoke {
		mark := "❌ "
		if r.Passed {
			mark = "✅ "
		}
		all = append(all, mark+text(smokeText(r)))
	}
	return strings.Join(all, "<br>")
}

// smokeRecord is a smoke test in the result file.
type smokeRecord struct {
	Test     string `json:"test"`
	Passed   bool   `json:"passed"`
	Outcome  string `json:"outcome"`
	Status   int    `json:"status,omitempty"`
	ExitCode *int   `json:"exitCode,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
}

func smokeRecords(all []deploy.SmokeResult) (out []smokeRecord) {
	for _, r := range all {
		record := smokeRecord{Test: r.Test.String(), Passed: r.Passed, Outcome: string(r.Attempt.Outcome), Status: r.Attempt.Status, Attempts: r.Attempt.Number}
		if r.Task != nil {
			record.Outcome, record.ExitCode = string(r.Task.Outcome), r.Task.ExitCode
		}
		if r.Late {
			record.Outcome = string(probe.TimedOut)
		}
		out = append(out, record)
	}
	return out
}
