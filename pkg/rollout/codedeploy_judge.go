package rollout

// How a CodeDeploy deployment ended, judged from what one poll saw: pure, with
// the same promise as Judge, which calls it.

import (
	"slices"
	"strings"
	"time"
)

// CodeDeployRecord is what CodeDeploy says of a deployment.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentInfo.html
type CodeDeployRecord struct {
	Status string // Created, Queued, InProgress, Baking, Ready, Succeeded, Failed, Stopped
	Error  string // message and code
	// Waits is set where a deployment that is Ready shifts no traffic until it is
	// told to.
	Waits bool
	// Lifecycle are the deployment's lifecycle events in their order, Traffic the
	// percentage of production traffic on the new task set; nil while neither is known.
	Lifecycle []LifecycleEvent
	Traffic   *float64
	// Keep is how long the previous task set stays after the traffic is shifted.
	Keep time.Duration
	// Rollback is the deployment that rolls this one back; nil while there is none.
	Rollback *CodeDeployRollback
	// RollbackDue is set while the deployment has ended badly and CodeDeploy may
	// not have named yet the deployment that rolls it back.
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

// judgeCodeDeploy says how the deployment ended, or that it has not. Only its own
// success is one: not that of its rollback. Where all of the traffic is shifted and
// the previous task set stays for longer than the time limit, that configured wait
// is not waited for: nothing of the new revision is still to be proven.
func judgeCodeDeploy(s Snapshot) Verdict {
	d := *s.CodeDeploy
	switch d.Status {
	case "Succeeded":
		if s.Service.Desired == 0 && s.Own.Desired == 0 && s.Listed {
			return Verdict{Succeeded, Reason{Code: NothingRuns}}
		}
		return Verdict{Succeeded, Reason{}}
	case "Failed", "Stopped":
		return judgeCodeDeployRollback(s, d)
	case "Ready":
		if d.Waits && s.Answered != s.ID && !s.Asked { // a stop that was accepted may be pending
			return Verdict{Paused, Reason{Code: ReadyWaits, By: s.ID}}
		}
	case "InProgress", "Baking":
		if s.Until == UntilTest && d.tested() {
			return Verdict{Succeeded, Reason{Code: StageReached, Stage: "AllowTestTraffic"}}
		}
		if d.shifted() && (s.Until == UntilTraffic || s.Until != UntilEnded && d.Keep > s.Left && s.Full()) {
			return Verdict{Succeeded, Reason{Code: TrafficShifted, Left: d.Keep}}
		}
	}
	return Verdict{}
}

// judgeCodeDeployRollback is the verdict on a deployment that ended badly.
func judgeCodeDeployRollback(s Snapshot, d CodeDeployRecord) Verdict {
	code := DeploymentFailed
	if d.Status == "Stopped" {
		code = DeploymentStopped
	}
	switch r := d.Rollback; {
	case r == nil && d.RollbackDue && (s.Left > 0 || s.Asked):
		return Verdict{}
	case r == nil:
		return Verdict{Failed, Reason{Code: code, Detail: d.why()}}
	case r.Status == "Succeeded" && s.Asked && d.Status == "Stopped":
		return Verdict{RolledBack, Reason{Code: RolledBackByTask}}
	case r.Status == "Succeeded":
		return Verdict{RolledBack, Reason{Code: RolledBackByECS, Detail: d.why()}}
	case over(r.Status):
		return Verdict{Failed, Reason{Code: RollbackFailed, By: r.ID, Detail: r.Error}}
	}
	return Verdict{}
}

// waits reports whether the deployment is ready and waits to be told to go on.
func (d CodeDeployRecord) waits() bool { return d.Status == "Ready" && d.Waits }

// why is what ended the deployment in CodeDeploy's words, and in those of the
// lifecycle event that failed.
func (d CodeDeployRecord) why() string {
	for _, e := range d.Lifecycle {
		if e.Status == "Failed" && e.Message != "" {
			failed := e.Name + " failed: " + e.Message
			if d.Error == "" {
				return failed
			}
			return strings.TrimSuffix(d.Error, ".") + "; " + failed
		}
	}
	return d.Error
}

// elsewhere is why a deployment ended whose tasks had all come up: an alarm, a
// hook, a person. It is empty where the tasks may be the reason.
func (d CodeDeployRecord) elsewhere() string {
	installed := slices.ContainsFunc(d.Lifecycle, func(e LifecycleEvent) bool { return e.Name == "Install" && e.Status == "Succeeded" })
	if !installed || d.Status != "Failed" && d.Status != "Stopped" {
		return ""
	}
	return d.why()
}

// over reports whether a CodeDeploy deployment with this status has ended.
func over(status string) bool {
	return slices.Contains([]string{"Succeeded", "Failed", "Stopped"}, status)
}

// shifted reports whether the new task set has all of the production traffic and
// nothing is left to check it: what follows is the wait before the previous one
// is ended.
func (d CodeDeployRecord) shifted() bool {
	if d.Traffic == nil || *d.Traffic != 100 {
		return false
	}
	done := map[string]bool{}
	for _, e := range d.Lifecycle {
		done[e.Name] = e.Status == "Succeeded" || e.Status == "Skipped"
		if e.Status == "Failed" {
			return false
		}
	}
	return done["AllowTraffic"] && done["AfterAllowTraffic"]
}
