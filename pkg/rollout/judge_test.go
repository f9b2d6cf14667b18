package rollout

// Every ending of a deployment as a row: what one reading showed, and how it is
// judged. Where a row says "peer", it is an ending that a known deployer reports
// wrongly.

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/docs/page"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

const (
	previousRevision = "arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:41"
	ourRevision      = "arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:42"
	otherRevision    = "arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:43"

	before = "ecs-svc/1" // the deployment before ours
	ours   = "ecs-svc/2"
	theirs = "ecs-svc/3" // somebody else's, or one of which nobody has heard
)

// entry is one of a service's list of deployments.
func entry(id, status, rollout string) ecs.Deployment {
	revision := map[string]string{before: previousRevision, ours: ourRevision, theirs: otherRevision}[id]
	return ecs.Deployment{ID: id, Status: status, TaskDefinition: revision, RolloutState: rollout, Desired: 2, Running: 2}
}

// snapshot is our deployment of two tasks after ECS has listed the entries; the
// one that is ours is taken over from them.
func snapshot(entries ...ecs.Deployment) Snapshot {
	s := Snapshot{ID: ours, Revision: ourRevision, Previous: previousRevision, Earlier: []string{before}, New: true, Left: 10 * time.Minute}
	s.Service = ecs.Service{Status: "ACTIVE", Desired: 2, Running: 2, Deployments: entries}
	s.Own = ecs.Deployment{ID: ours, TaskDefinition: ourRevision, RolloutState: "IN_PROGRESS", Desired: 2, Running: 2} // as last seen
	if own, listed := s.Service.Deployment(ours); listed {
		s.Own, s.Listed = own, true
	}
	return s
}

// newer is an entry that was created after ours.
func newer(d ecs.Deployment) ecs.Deployment {
	d.CreatedAt = time.Unix(1e9, 0)
	return d
}

// olderPrimary is our deployment beside a PRIMARY one that was created before it, and
// that was not listed when ours began.
func olderPrimary(rollout string) Snapshot {
	older, own := newer(entry(theirs, "PRIMARY", rollout)), newer(entry(ours, "ACTIVE", "FAILED"))
	own.CreatedAt = own.CreatedAt.Add(time.Hour)
	return snapshot(older, own)
}

// with returns the snapshot as it is after some changes.
func (s Snapshot) with(changes ...func(*Snapshot)) Snapshot {
	s.Service.Deployments = slices.Clone(s.Service.Deployments)
	for _, change := range changes {
		change(&s)
	}
	return s
}

func recorded(status string, changes ...func(*ecs.ServiceDeployment)) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Record = &ecs.ServiceDeployment{ARN: "arn:aws:ecs:eu-west-1:123456789012:service-deployment/dev/web/abc", Status: status,
			Target: ecs.TargetRevision{ARN: "arn:aws:ecs:eu-west-1:123456789012:service-revision/dev/web/2"}}
		for _, change := range changes {
			change(s.Record)
		}
	}
}

func at(stage string, traffic float64) func(*ecs.ServiceDeployment) {
	return func(d *ecs.ServiceDeployment) {
		d.Stage, d.Target.Traffic, d.Strategy.Name = stage, &traffic, "BLUE_GREEN"
	}
}

func waitingAt(hook string) func(*ecs.ServiceDeployment) {
	return func(d *ecs.ServiceDeployment) {
		d.Stage = "POST_TEST_TRAFFIC_SHIFT"
		d.Hooks = append(d.Hooks, ecs.Hook{ID: hook, Pause: true, Waiting: true, Status: "AWAITING_ACTION"})
	}
}

// Changes of a snapshot.
var (
	asked    = func(s *Snapshot) { s.Asked = true }
	gone     = func(s *Snapshot) { s.Gone = true }
	healthy  = func(s *Snapshot) { s.Healthy = new(bool); *s.Healthy = true }
	sick     = func(s *Snapshot) { s.Healthy = new(bool) }
	scaling  = func(s *Snapshot) { s.Scaling = true }
	reachedB = func(s *Snapshot) { s.Reached = true }
	early    = func(s *Snapshot) { s.Service.Strategy.EarlySuccess = true }
	hopeful  = func(s *Snapshot) {
		s.Hopeless = &Reason{Code: TasksFail, Count: 3, Limit: 3, Cause: &diagnosis.Cause{Reason: "exited"}}
	}
	breaker = func(s *Snapshot) { // rolls back by itself
		s.Service.Described.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}}
	}
	nothing  = func(s *Snapshot) { s.Service.Desired, s.Own.Desired, s.Own.Running = 0, 0, 0 }
	half     = func(s *Snapshot) { s.Own.Running, s.Service.Running = 1, 1 }
	timeless = func(s *Snapshot) { s.Left = 0 }
)

func until(u Until) func(*Snapshot)        { return func(s *Snapshot) { s.Until = u } }
func status(status string) func(*Snapshot) { return func(s *Snapshot) { s.Service.Status = status } }
func stale(s *Snapshot)                    { s.Stale = true }

func answered(hook string) func(*Snapshot) { return func(s *Snapshot) { s.Answered = hook } }
func failed(reason string) func(*Snapshot) {
	return func(s *Snapshot) { s.Own.RolloutState, s.Own.Reason = "FAILED", reason }
}
func replacedFor(d time.Duration) func(*Snapshot) { return func(s *Snapshot) { s.Replaced = d } }
func returnedFor(d time.Duration) func(*Snapshot) { return func(s *Snapshot) { s.Returned = d } }
func endedFor(d time.Duration) func(*Snapshot)    { return func(s *Snapshot) { s.Ended = d } }
func steadyFor(d time.Duration) func(*Snapshot)   { return func(s *Snapshot) { s.Steady = d } }
func running(n, of int) func(*Snapshot) {
	return func(s *Snapshot) { s.Own.Running, s.Own.Desired = n, of }
}

func TestJudge(t *testing.T) {
	inProgress := snapshot(entry(ours, "PRIMARY", "IN_PROGRESS"), entry(before, "ACTIVE", "COMPLETED"))
	stable := snapshot(entry(ours, "PRIMARY", "COMPLETED"))
	back := snapshot(entry(before, "PRIMARY", "COMPLETED"))
	goingBack := snapshot(entry(before, "PRIMARY", "IN_PROGRESS"), entry(ours, "ACTIVE", "FAILED"))
	replaced := snapshot(entry(theirs, "PRIMARY", "IN_PROGRESS"), entry(ours, "ACTIVE", "IN_PROGRESS"))
	replacedAndDone := snapshot(entry(theirs, "PRIMARY", "COMPLETED"))
	stateless := snapshot(entry(ours, "PRIMARY", ""))

	tests := []struct {
		name string
		seen Snapshot
		want Outcome
		code Code
	}{
		// By the record.
		{"pending: still in progress", inProgress.with(recorded("PENDING")), "", ""},
		{"in progress, although running equals desired (peer: services-stable)", stable.with(recorded("IN_PROGRESS")), "", ""},
		{"successful", stable.with(recorded("SUCCESSFUL")), Succeeded, ""},
		{"successful up to a minute before the list says COMPLETED", inProgress.with(recorded("SUCCESSFUL")), Succeeded, ""},
		{"successful, and our entry is not listed any more", snapshot().with(recorded("SUCCESSFUL")), Succeeded, ""},
		{"rollback requested: still in progress", inProgress.with(recorded("ROLLBACK_REQUESTED")), "", ""},
		{"rolling back, although the service is stable (peer: services-stable)", back.with(recorded("ROLLBACK_IN_PROGRESS"), returnedFor(time.Hour)), "", ""},
		{"rolled back (peer: services-stable calls this success)", back.with(recorded("ROLLBACK_SUCCESSFUL")), RolledBack, RolledBackByECS},
		{"rolled back, and the list still shows ours", inProgress.with(recorded("ROLLBACK_SUCCESSFUL")), RolledBack, RolledBackByECS},
		{"same revision redeployed and rolled back (peer: comparing revisions calls this success)", back.with(recorded("ROLLBACK_SUCCESSFUL"),
			func(s *Snapshot) { s.Previous, s.Service.Deployments[0].TaskDefinition = ourRevision, ourRevision }), RolledBack, RolledBackByECS},
		{"rolled back since we asked for it", back.with(asked, recorded("ROLLBACK_SUCCESSFUL")), RolledBack, RolledBackByTask},
		{"rolled back by the circuit breaker just before we asked for it", back.with(asked, recorded("ROLLBACK_SUCCESSFUL", func(d *ecs.ServiceDeployment) { d.Breaker.Status = "TRIGGERED" })), RolledBack, RolledBackByECS},
		{"rolled back by an alarm, whoever asked", back.with(asked, recorded("ROLLBACK_SUCCESSFUL", func(d *ecs.ServiceDeployment) { d.Alarms = []string{"5xx"} })), RolledBack, RolledBackByECS},
		{"rollback failed", back.with(recorded("ROLLBACK_FAILED")), Failed, RollbackFailed},
		{"stop requested: still in progress", inProgress.with(recorded("STOP_REQUESTED")), "", ""},
		{"a status that this version does not know", stable.with(recorded("HALF_SUCCESSFUL")), "", ""},
		{"a status that this version does not know, and another deployment that replaced ours", replaced.with(recorded("HALF_SUCCESSFUL"), replacedFor(time.Minute)), Superseded, ReplacedByOther},

		// STOPPED says that it ended, not why: the list tells, perhaps later.
		{"stopped by a newer deployment (peer: reported as rolled back)", replaced.with(recorded("STOPPED")), Superseded, ReplacedByOther},
		{"stopped by a newer deployment that only the history shows", inProgress.with(recorded("STOPPED"), func(s *Snapshot) { s.Newer = theirs }), Superseded, ReplacedByOther},
		{"stopped, and the list may still show why", inProgress.with(recorded("STOPPED"), endedFor(grace-time.Second)), "", ""},
		{"stopped, and no time is left to see why", inProgress.with(recorded("STOPPED"), timeless), Failed, DeploymentStopped},
		{"stopped by hand, without a rollback", inProgress.with(recorded("STOPPED"), endedFor(grace)), Failed, DeploymentStopped},
		{"stopped, and ECS went back all the same", back.with(recorded("STOPPED"), endedFor(grace)), RolledBack, RolledBackByECS},

		// The record lags behind the list.
		{"another PRIMARY, and the record may lag", replaced.with(recorded("IN_PROGRESS"), replacedFor(grace-time.Second)), "", ""},
		{"another PRIMARY that stays", replaced.with(recorded("IN_PROGRESS"), replacedFor(grace)), Superseded, ReplacedByOther},
		{"another PRIMARY that stays while ours is rolled back", replaced.with(recorded("ROLLBACK_IN_PROGRESS"), replacedFor(grace)), Superseded, ReplacedByOther},
		{"another PRIMARY, and ours is still full and healthy", replaced.with(until(UntilTraffic), recorded("IN_PROGRESS"), healthy), "", ""},
		{"another PRIMARY, and the record still bakes", replaced.with(until(UntilTraffic), recorded("IN_PROGRESS", at("BAKE_TIME", 100))), "", ""},
		{"another PRIMARY, and the record still waits at a hook", replaced.with(recorded("IN_PROGRESS", waitingAt("hook-1"))), "", ""},
		{"the revived deployment before ours is no replacement, however long the record lags", goingBack.with(recorded("IN_PROGRESS"), returnedFor(time.Hour)), "", ""},
		{"a PRIMARY whose own reason has the words of a rollback is no replacement", replaced.with(recorded("IN_PROGRESS"), replacedFor(time.Hour), func(s *Snapshot) {
			s.Service.Deployments[0].Reason = "ECS deployment circuit breaker: rolling back to deploymentId " + theirs + "."
		}), "", ""},
		{"the PRIMARY that the record names as its rollback is no replacement", replaced.with(recorded("IN_PROGRESS", func(d *ecs.ServiceDeployment) { d.RollbackTo = "arn:aws:ecs:eu-west-1:1:service-revision/dev/web/3" }), replacedFor(time.Hour)), "", ""},
		{"a PRIMARY that was created before ours is no replacement", olderPrimary("IN_PROGRESS").with(recorded("ROLLBACK_REQUESTED"), replacedFor(time.Hour)), "", ""},
		{"successful, then replaced: the service does not run our revision", replacedAndDone.with(recorded("SUCCESSFUL")), Superseded, ReplacedByOther},
		{"the list of deployments is empty", snapshot().with(recorded("IN_PROGRESS"), replacedFor(time.Hour)), "", ""},

		// Hooks that wait for an answer.
		{"paused at a hook", stable.with(recorded("IN_PROGRESS", waitingAt("hook-1"))), Paused, HookWaits},
		{"a hook waited when the record was read last, and it cannot be read again", stable.with(stale, recorded("IN_PROGRESS", waitingAt("hook-1"))), "", ""},
		{"an answered hook does not pause, whatever ECS still says", stable.with(answered("hook-1"), recorded("IN_PROGRESS", waitingAt("hook-1"))), "", ""},
		{"another hook waits after the first one was answered", stable.with(answered("hook-1"), recorded("IN_PROGRESS", waitingAt("hook-2"))), Paused, HookWaits},
		{"a hook of a deployment that has succeeded", stable.with(recorded("SUCCESSFUL", waitingAt("hook-1"))), Succeeded, ""},
		{"a hook of a deployment that is rolled back", goingBack.with(recorded("ROLLBACK_IN_PROGRESS", waitingAt("hook-1"))), "", ""},

		{"a hook, and our own stop is not seen yet", stable.with(asked, recorded("IN_PROGRESS", waitingAt("hook-1"))), "", ""},

		// What is waited for beside the end.
		{"baking", stable.with(recorded("IN_PROGRESS", at("BAKE_TIME", 100))), "", ""},
		{"baking, with waitUntil: traffic", stable.with(until(UntilTraffic), recorded("IN_PROGRESS", at("BAKE_TIME", 100))), Succeeded, TrafficShifted},
		{"a canary that bakes on a tenth of the traffic, with waitUntil: traffic", stable.with(until(UntilTraffic), recorded("IN_PROGRESS", at("PRODUCTION_TRAFFIC_SHIFT", 10))), "", ""},
		{"traffic is being shifted, with waitUntil: traffic", stable.with(until(UntilTraffic), recorded("IN_PROGRESS", at("PRODUCTION_TRAFFIC_SHIFT", 100))), "", ""},
		{"a rollback during the bake, with waitUntil: traffic", stable.with(until(UntilTraffic), recorded("ROLLBACK_IN_PROGRESS", at("BAKE_TIME", 100))), "", ""},
		{"baking, while the list shows a rollback, with waitUntil: traffic", goingBack.with(until(UntilTraffic), recorded("IN_PROGRESS", at("BAKE_TIME", 100))), "", ""},
		{"a stage that is waited for", stable.with(until("SCALE_UP"), recorded("IN_PROGRESS", at("SCALE_UP", 0))), Succeeded, StageReached},
		{"a later stage than the one waited for", stable.with(until("SCALE_UP"), recorded("IN_PROGRESS", at("BAKE_TIME", 100))), Succeeded, StageReached},
		{"an earlier stage than the one waited for", stable.with(until("BAKE_TIME"), recorded("IN_PROGRESS", at("SCALE_UP", 0))), "", ""},
		{"a stage that this version does not know", stable.with(until("BAKE_TIME"), recorded("IN_PROGRESS", at("TEA_TIME", 100))), "", ""},
		{"a rolling deployment, full and healthy, with waitUntil: traffic", inProgress.with(until(UntilTraffic), recorded("IN_PROGRESS"), healthy), Succeeded, TrafficShifted},
		{"a rolling deployment, full and not healthy, with waitUntil: traffic", inProgress.with(until(UntilTraffic), recorded("IN_PROGRESS"), sick), "", ""},
		{"a rolling deployment, full, its health not known, with waitUntil: traffic", inProgress.with(until(UntilTraffic), recorded("IN_PROGRESS")), "", ""},
		{"a rolling deployment, healthy and not full, with waitUntil: traffic", inProgress.with(until(UntilTraffic), recorded("IN_PROGRESS"), healthy, half), "", ""},
		{"a rolling deployment, full and healthy, whose stop by us is not seen yet, with waitUntil: traffic", inProgress.with(asked, until(UntilTraffic), recorded("IN_PROGRESS"), healthy), "", ""},
		{"a later stage than the one waited for, and our own stop is not seen yet", stable.with(asked, until("SCALE_UP"), recorded("IN_PROGRESS", at("BAKE_TIME", 100))), "", ""},
		{"full by its entry, and the service wants more", inProgress.with(until(UntilTraffic), recorded("IN_PROGRESS"), healthy, running(1, 1)), "", ""},
		{"a canary before its first stage, with waitUntil: traffic", inProgress.with(until(UntilTraffic), recorded("IN_PROGRESS"), healthy, func(s *Snapshot) { s.Service.Strategy.Name = "CANARY" }), "", ""},

		// Early success, and no tasks at all.
		{"early success, before the full count runs", inProgress.with(early, half, recorded("SUCCESSFUL")), "", ""},
		{"early success, before the full count runs, and the time is over", inProgress.with(early, half, timeless, recorded("SUCCESSFUL")), Succeeded, EarlySuccess},
		{"early success, and the rest of the tasks fail", inProgress.with(early, half, hopeful, recorded("SUCCESSFUL")), Succeeded, EarlySuccess},
		{"early success, with waitUntil: traffic", inProgress.with(early, half, until(UntilTraffic), recorded("SUCCESSFUL")), Succeeded, EarlySuccess},
		{"early success with the old tasks still there", stable.with(early, recorded("SUCCESSFUL"), func(s *Snapshot) { s.Service.Running = 4 }), Succeeded, EarlySuccess},
		{"early success in full", stable.with(early, recorded("SUCCESSFUL")), Succeeded, ""},
		{"no tasks wanted: nothing was verified", stable.with(nothing, recorded("SUCCESSFUL")), Succeeded, NothingRuns},
		{"no tasks wanted, by the list", stable.with(nothing), Succeeded, NothingRuns},

		// By the service's list of deployments.
		{"listed: in progress", inProgress, "", ""},
		{"listed: completed", stable, Succeeded, ""},
		{"listed: no rollout state (Classic Load Balancer)", stateless.with(steadyFor(grace - time.Second)), "", ""},
		{"listed: no rollout state, and the full count has run alone", stateless.with(steadyFor(grace)), Succeeded, ""},
		{"listed: traffic for who waits for it", inProgress.with(until(UntilTraffic), healthy), Succeeded, TrafficShifted},
		{"listed: full and healthy, and our own stop is not seen yet, with waitUntil: traffic", inProgress.with(asked, until(UntilTraffic), healthy), "", ""},
		{"listed: failed without a rollback", stable.with(failed("tasks failed to start"), primaryIs("FAILED")), Failed, DeploymentFailed},
		{"listed: failed before a configured rollback", stable.with(breaker, failed("tasks failed to start"), primaryIs("FAILED")), "", ""},
		{"listed: failed, and no time is left for the configured rollback", stable.with(breaker, failed("tasks failed to start"), primaryIs("FAILED"), timeless), Failed, DeploymentFailed},
		{"listed: failed, and the configured rollback did not come", stable.with(breaker, failed("tasks failed to start"), primaryIs("FAILED"), endedFor(grace)), Failed, DeploymentFailed},
		{"listed: rolling back", goingBack, "", ""},
		{"listed: rolled back, and our entry is gone (peer: the service is set to its revision, so success)", back.with(failed("")), RolledBack, RolledBackByECS},
		{"listed: rolled back in the words of our entry", back.with(func(s *Snapshot) {
			s.Own.Reason = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1."
		}), RolledBack, RolledBackByECS},
		{"listed: rolled back to a new id in the words of the new PRIMARY", replacedAndDone.with(func(s *Snapshot) {
			s.Service.Deployments[0].Reason = "ECS deployment circuit breaker: rolling back to deploymentId " + theirs + "."
		}), RolledBack, RolledBackByECS},
		{"listed: rolled back between two polls, which only the events tell", back.with(func(s *Snapshot) { s.RollsBackTo = before }), RolledBack, RolledBackByECS},
		{"listed: rolled back since we asked for it", back.with(asked), RolledBack, RolledBackByTask},
		{"listed: rolled back without a rollout state", snapshot(entry(before, "PRIMARY", "")).with(failed(""), steadyFor(grace)), RolledBack, RolledBackByECS},
		{"listed: a list from before our deployment", back, "", ""},
		{"listed: a list without our deployment that stays so", back.with(returnedFor(grace)), RolledBack, RolledBackByECS},
		{"listed: the rollback failed too", snapshot(entry(before, "PRIMARY", "FAILED"), entry(ours, "ACTIVE", "FAILED")), Failed, RollbackFailed},
		{"listed: superseded (peer: reported as success or as rollback)", replaced, Superseded, ReplacedByOther},
		{"listed: superseded after our failure", replacedAndDone.with(failed("")), Superseded, ReplacedByOther},
		{"listed: superseded by one that is rolled back itself, to the deployment before ours", snapshot(entry(before, "PRIMARY", "IN_PROGRESS"), newer(entry(theirs, "ACTIVE", "FAILED"))), Superseded, ReplacedByOther},
		{"listed: superseded by one that was rolled back, as the history has it", back.with(returnedFor(grace), func(s *Snapshot) { s.Newer = theirs }), Superseded, ReplacedByOther},
		{"listed: ours was rolled back, and then somebody's", back.with(failed(""), returnedFor(grace), func(s *Snapshot) { s.Newer = theirs }), RolledBack, RolledBackByECS},
		{"listed: someone deploys the previous revision by hand: a new id", snapshot(ecs.Deployment{ID: theirs, Status: "PRIMARY", TaskDefinition: previousRevision, RolloutState: "COMPLETED"}), Superseded, ReplacedByOther},
		{"listed: rolled back to one that was not listed when ours began, and is older", olderPrimary("COMPLETED").with(failed("")), RolledBack, RolledBackByECS},
		{"listed: the list of deployments is empty", snapshot(), "", ""},
		{"listed: a rollout state that this version does not know", snapshot(entry(ours, "PRIMARY", "HALF_COMPLETED")), "", ""},

		// Tasks that fail alike.
		{"too many tasks fail", inProgress.with(recorded("IN_PROGRESS"), hopeful), Failed, TasksFail},
		{"listed: too many tasks fail", inProgress.with(hopeful), Failed, TasksFail},
		{"too many tasks fail, and we have asked for a rollback", inProgress.with(recorded("IN_PROGRESS"), hopeful, asked), "", ""},
		{"too many tasks fail, and ECS rolls back (threshold equal to maxFailedTasks)", goingBack.with(recorded("ROLLBACK_IN_PROGRESS"), hopeful), "", ""},
		{"too many tasks fail, the list shows the rollback, and the record lags", goingBack.with(recorded("IN_PROGRESS"), hopeful), "", ""},
		{"too many tasks fail, and ECS's own limit is reached: it is about to roll back", inProgress.with(breaker, recorded("IN_PROGRESS", func(d *ecs.ServiceDeployment) { d.Breaker.Status = "TRIGGERED" }), hopeful), "", ""},
		{"listed: too many tasks fail, and ECS's own limit is reached", stable.with(breaker, failed(""), primaryIs("FAILED"), hopeful), "", ""},
		{"too many tasks fail, and another deployment is PRIMARY, which the record does not show yet", replaced.with(recorded("IN_PROGRESS"), hopeful), "", ""},
		{"too many tasks fail, and the deployment has succeeded", stable.with(recorded("SUCCESSFUL"), hopeful), Succeeded, ""},

		// No new deployment was needed.
		{"reached before anybody asked", stable.with(reachedB), Unchanged, ""},
		{"reached, and nothing runs", stable.with(reachedB, nothing), Unchanged, NothingRuns},
		{"reached, and replaced since", replacedAndDone.with(reachedB), Superseded, ReplacedByOther},
		{"scaling, before the full count runs (peer: no deployment, so success)", stable.with(scaling, running(1, 2)), "", ""},
		{"scaling, while the entry has the old count", stable.with(scaling, func(s *Snapshot) { s.Service.Desired = 5 }), "", ""},
		{"scaled", stable.with(scaling), Succeeded, ""},
		{"scaled to nothing", stable.with(scaling, nothing), Succeeded, NothingRuns},
		{"replaced while it scales", replaced.with(scaling), Superseded, ReplacedByOther},

		// The service itself is judged first.
		{"deleted", snapshot().with(gone), Failed, ServiceDeleted},
		{"inactive", stable.with(status("INACTIVE")), Failed, ServiceDeleted},
		{"draining", stable.with(status("DRAINING"), recorded("SUCCESSFUL")), Failed, ServiceDraining},
		{"deleted although it was reached", stable.with(reachedB, gone), Failed, ServiceDeleted},
		{"deleted while tasks fail", inProgress.with(hopeful, gone), Failed, ServiceDeleted},
	}
	rows := verdictHead
	for _, tt := range tests {
		rows += verdictRow(tt.name, tt.want, tt.code)
	}
	page.Part(t, "how-it-decides.md", "judge", rows)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Judge(tt.seen)
			if got.Outcome != tt.want || got.Reason.Code != tt.code {
				t.Errorf("Judge = %q (%+v), want %q (%s)", got.Outcome, got.Reason, tt.want, tt.code)
			}
			if got.Outcome == Superseded && (got.Reason.By != theirs || got.Reason.Revision == "" && tt.seen.Newer == "") {
				t.Errorf("superseded by %q with %q, want %s and its revision", got.Reason.By, got.Reason.Revision, theirs)
			}
		})
	}
}

const verdictHead = "| what is seen | verdict | code |\n|---|---|---|\n"

// verdictRow is a row of the page that shows the tables of verdicts to people.
func verdictRow(name string, outcome Outcome, code Code) string {
	cell := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + text + "`"
	}
	verdict := cell(string(outcome))
	if outcome == "" {
		verdict = "not yet"
	}
	return fmt.Sprintf("| %s | %s | %s |\n", page.Cell(name), verdict, cell(string(code)))
}

// primaryIs sets the state of the PRIMARY deployment, which is ours.
func primaryIs(state string) func(*Snapshot) {
	return func(s *Snapshot) { s.Service.Deployments[0].RolloutState = state }
}

// TestReasonsInTheirWords: a reason has AWS's own words for what happened.
func TestReasonsInTheirWords(t *testing.T) {
	words := func(d *ecs.ServiceDeployment) {
		d.StatusReason, d.RollbackReason, d.Alarms = "status", "rollback", []string{"5xx"}
	}
	back := snapshot(entry(before, "PRIMARY", "COMPLETED"))
	if r := Judge(back.with(recorded("ROLLBACK_SUCCESSFUL", words))).Reason; r.Detail != "rollback" || !slices.Equal(r.Alarms, []string{"5xx"}) {
		t.Errorf("rolled back: %+v, want the words of the rollback and the alarm", r)
	}
	if r := Judge(back.with(recorded("STOPPED", func(d *ecs.ServiceDeployment) { d.StatusReason = "stopped by a user" }), endedFor(grace), func(s *Snapshot) { s.Service.Deployments = nil })).Reason; r.Detail != "stopped by a user" {
		t.Errorf("stopped: %+v, want the record's words", r)
	}
	hook := Judge(snapshot(entry(ours, "PRIMARY", "IN_PROGRESS")).with(recorded("IN_PROGRESS", waitingAt("hook-1")))).Reason
	if hook.Hook.ID != "hook-1" || hook.Stage != "POST_TEST_TRAFFIC_SHIFT" {
		t.Errorf("paused: %+v, want the hook and its stage", hook)
	}
	early := Judge(snapshot(entry(ours, "PRIMARY", "COMPLETED")).with(early, half, timeless, recorded("SUCCESSFUL"))).Reason
	if early.Running != 1 || early.Desired != 2 {
		t.Errorf("early success: %+v, want 1 of 2", early)
	}
}

// FuzzJudge holds the promise that matters most: whatever ECS answers, nothing
// but the success of our own deployment is a success.
func FuzzJudge(f *testing.F) {
	f.Add("SUCCESSFUL", "COMPLETED", ours, "ACTIVE", "", "", "", uint8(0))
	f.Add("ROLLBACK_SUCCESSFUL", "COMPLETED", before, "ACTIVE", "", "rolled back", "", uint8(255))
	f.Add("", "COMPLETED", theirs, "ACTIVE", "", "rolling back to deploymentId ecs-svc/3", "traffic", uint8(3))
	f.Add("STOPPED", "IN_PROGRESS", ours, "DRAINING", theirs, "", "BAKE_TIME", uint8(16))
	f.Add("", "", ours, "ACTIVE", "", "", "", uint8(8))
	f.Add("HALF", "", before, "ACTIVE", "", "", "completed", uint8(9))
	f.Fuzz(func(t *testing.T, recordStatus, rollout, primary, service, newer, reason, goal string, bits uint8) {
		s := snapshot(ecs.Deployment{ID: primary, Status: "PRIMARY", TaskDefinition: ourRevision, RolloutState: rollout, Reason: reason, Desired: 2, Running: int(bits & 3)})
		s.Service.Status, s.Newer, s.Until, s.Own.Reason = service, newer, Until(goal), reason
		if bits&8 != 0 {
			s.Steady, s.Ended, s.Replaced, s.Returned = time.Hour, time.Hour, time.Hour, time.Hour
		}
		s.Asked = bits&16 != 0
		isHealthy := bits&32 != 0
		s.Healthy = &isHealthy
		if recordStatus != "" {
			recorded(recordStatus)(&s)
		}
		if bits&64 != 0 && s.Record != nil {
			waitingAt("hook-1")(s.Record)
		}
		if !Judge(s).Outcome.Good() {
			return
		}
		byRecord := recordStatus == "SUCCESSFUL" && (primary == ours || primary == before || primary == "" || s.rollsBackTo(s.Service.Primary()))
		byList := recordStatus == "" && primary == ours && (rollout == "COMPLETED" || rollout == "" && s.Steady >= grace)
		byGoal := (recordStatus == "IN_PROGRESS" || recordStatus == "PENDING" || recordStatus == "") && primary == ours && rollout != "FAILED" &&
			(goal == "traffic" && isHealthy && s.Full() || goal != "" && slices.Contains(Stages(), goal))
		if !byRecord && !byList && !byGoal || service == "DRAINING" || service == "INACTIVE" {
			t.Errorf("green without our own success: record %q, primary %q %q, service %q, goal %q", recordStatus, primary, rollout, service, goal)
		}
	})
}
