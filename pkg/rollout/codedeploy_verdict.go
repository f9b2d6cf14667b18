package rollout

// How a CodeDeploy deployment ended, judged from what one poll saw: pure, as
// Judge is for ECS's own deployments, and with the same promise.

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// CodeDeployState is what is known of a CodeDeploy deployment after a poll.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentInfo.html
type CodeDeployState struct {
	// State is the service; Own is the task set that the deployment made.
	State
	Status string // Created, Queued, InProgress, Baking, Ready, Succeeded, Failed, Stopped
	Error  string // message and code
	// Waits is set while the deployment is Ready and shifts no traffic until
	// it is told to.
	Waits bool
	// Lifecycle are the deployment's lifecycle events in their order, Traffic
	// the percentage of production traffic on the new task set; nil while
	// neither is known.
	Lifecycle []LifecycleEvent
	Traffic   *float64
	// Keep is how long the previous task set stays after the traffic is shifted.
	Keep time.Duration
	// Rollback is the deployment that rolls ours back; nil while there is none.
	Rollback *CodeDeployRollback
	// RollbackDue is set while ours has ended badly and CodeDeploy may not have
	// named yet the deployment that rolls it back.
	RollbackDue bool
}

// CodeDeployRollback is the deployment that rolls another one back.
type CodeDeployRollback struct {
	ID     string
	Status string // as of any deployment
	Error  string
}

// LifecycleEvent is one step of a CodeDeploy deployment, such as AllowTraffic.
//
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html
type LifecycleEvent struct {
	Name    string
	Status  string // Pending, InProgress, Succeeded, Failed, Skipped, Unknown
	Message string // what went wrong
	Time    time.Time
}

// judgeCodeDeploy says how the deployment d ended, or that it has not. Only its
// own success is one: not that of its rollback, and not a task set that serves
// all of the traffic, except for who waits for no more than that. A status it
// does not know means not yet.
func judgeCodeDeploy(d CodeDeployment, s CodeDeployState) Verdict {
	if v := s.gone(); v.Final() {
		return v
	}
	switch s.Status {
	case "Succeeded":
		return Verdict{Succeeded, ""}
	case "Failed", "Stopped":
		return judgeRollback(s)
	case "Ready":
		if s.Waits && !d.answered {
			return Verdict{Paused, "CodeDeploy waits to be told to shift the traffic: " + d.ID}
		}
	case "InProgress", "Baking":
		if d.UntilTraffic && s.shifted() {
			return Verdict{Succeeded, "all production traffic is on the new task set; CodeDeploy goes on and ends the previous one"}
		}
	}
	return Verdict{}
}

// judgeRollback is the verdict on a deployment that ended badly.
func judgeRollback(s CodeDeployState) Verdict {
	what := "the deployment failed"
	if s.Status == "Stopped" {
		what = "the deployment was stopped"
	}
	why := because(what, s.why())
	switch r := s.Rollback; {
	case r == nil && s.RollbackDue:
		return Verdict{}
	case r == nil:
		return Verdict{Failed, why}
	case r.Status == "Succeeded":
		return Verdict{RolledBack, why}
	case over(r.Status):
		return Verdict{Failed, because(strings.TrimSuffix(why, ".")+"; and so did its rollback "+r.ID, r.Error)}
	}
	return Verdict{}
}

// why is what ended the deployment in CodeDeploy's words, and in those of the
// lifecycle event that failed.
func (s CodeDeployState) why() string {
	for _, e := range s.Lifecycle {
		if e.Status == "Failed" && e.Message != "" {
			failed := because(e.Name+" failed", e.Message)
			if s.Error == "" {
				return failed
			}
			return strings.TrimSuffix(s.Error, ".") + "; " + failed
		}
	}
	return s.Error
}

// elsewhere is why a deployment ended whose tasks had all come up: an alarm, a
// hook, somebody. It is empty where the tasks may be the reason.
func (s CodeDeployState) elsewhere() string {
	installed := slices.ContainsFunc(s.Lifecycle, func(e LifecycleEvent) bool { return e.Name == "Install" && e.Status == "Succeeded" })
	if !installed || s.Status != "Failed" && s.Status != "Stopped" {
		return ""
	}
	return s.why()
}

// over reports whether a deployment with this status is over.
func over(status string) bool {
	return slices.Contains([]string{"Succeeded", "Failed", "Stopped"}, status)
}

// shifted reports whether the new task set has all of the production traffic
// and nothing is left to check it: what follows is the wait before the previous
// one is ended.
func (s CodeDeployState) shifted() bool {
	if s.Traffic == nil || *s.Traffic != 100 {
		return false
	}
	done := map[string]bool{}
	for _, e := range s.Lifecycle {
		done[e.Name] = e.Status == "Succeeded" || e.Status == "Skipped"
		if e.Status == "Failed" {
			return false
		}
	}
	return done["AllowTraffic"] && done["AfterAllowTraffic"]
}

// traffic says how far the traffic is shifted; "" while nothing is known or done.
func (s CodeDeployState) traffic() string {
	if s.Traffic == nil {
		return ""
	}
	text := fmt.Sprintf("%g %% of production traffic on the new task set", *s.Traffic)
	if s.shifted() && s.Keep > 0 && !over(s.Status) {
		text += fmt.Sprintf("; CodeDeploy ends the previous one after %g min", s.Keep.Minutes())
	}
	return text
}

// Words says in one line where the deployment stands.
func (s CodeDeployState) Words() string {
	text := s.State.Words()
	if s.Status != "" {
		text += "; its CodeDeploy deployment " + stands(s.Status)
	}
	if traffic := s.traffic(); traffic != "" {
		text += ", " + traffic
	}
	return text
}

// stands says of a deployment in a sentence where it stands.
func stands(status string) string {
	switch status {
	case "Created":
		return "has not begun yet"
	case "Succeeded":
		return "has succeeded"
	case "Failed":
		return "has failed"
	case "Stopped":
		return "was stopped"
	}
	return "is " + inWords(status) // queued, in progress, baking, ready
}

// inWords spells a status in lower case: InProgress is in progress.
func inWords(status string) string {
	var b strings.Builder
	for i, r := range status {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
