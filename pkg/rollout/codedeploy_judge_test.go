package rollout

// Every ending of a deployment of CodeDeploy's as a row.

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"

	"ecsdeploy/docs/page"
	"ecsdeploy/pkg/ecs"
)

const (
	ourDeployment  = "d-0UR000001"
	backDeployment = "d-BACK00002"
)

// shipped is our deployment after CodeDeploy has said something of it. All of the
// two tasks run.
func shipped(record CodeDeployRecord, changes ...func(*Snapshot)) Snapshot {
	set := ecs.Deployment{ID: ours, Status: "ACTIVE", TaskDefinition: ourRevision, CodeDeploy: ourDeployment, Desired: 2, Running: 2}
	s := Snapshot{ID: ourDeployment, Revision: ourRevision, Previous: previousRevision, New: true, Left: 10 * time.Minute, CodeDeploy: &record, Own: set, Listed: true,
		Service: ecs.Service{Status: "ACTIVE", Desired: 2, Running: 4, Deployments: []ecs.Deployment{{ID: before, Status: "PRIMARY", TaskDefinition: previousRevision}, set}}}
	return s.with(changes...)
}

func TestJudgeCodeDeploy(t *testing.T) {
	all, some := 100.0, 10.0
	checked := []LifecycleEvent{{Name: "AllowTraffic", Status: "Succeeded"}, {Name: "AfterAllowTraffic", Status: "Skipped"}}
	checking := []LifecycleEvent{{Name: "AllowTraffic", Status: "Succeeded"}, {Name: "AfterAllowTraffic", Status: "InProgress"}}
	objected := []LifecycleEvent{{Name: "AllowTraffic", Status: "Succeeded"}, {Name: "AfterAllowTraffic", Status: "Failed", Message: "check said no"}}
	rollback := func(status string) *CodeDeployRollback {
		return &CodeDeployRollback{ID: backDeployment, Status: status, Error: "no capacity"}
	}
	traffic := until(UntilTraffic)
	shifted := CodeDeployRecord{Status: "InProgress", Traffic: &all, Lifecycle: checked, Keep: 5 * time.Minute}
	keeping := shifted
	keeping.Keep = time.Hour

	tests := []struct {
		name   string
		seen   Snapshot
		want   Outcome
		code   Code
		detail string // part of it
	}{
		{"nothing known yet", shipped(CodeDeployRecord{}), "", "", ""},
		{"created: still in progress", shipped(CodeDeployRecord{Status: "Created"}), "", "", ""},
		{"queued: still in progress", shipped(CodeDeployRecord{Status: "Queued"}), "", "", ""},
		{"in progress, although all traffic is shifted (peer: services-stable)", shipped(shifted), "", "", ""},
		{"baking", shipped(CodeDeployRecord{Status: "Baking", Traffic: &all, Lifecycle: checked}), "", "", ""},
		{"a status that this version does not know", shipped(CodeDeployRecord{Status: "PartlySucceeded", Traffic: &all, Lifecycle: checked}, traffic), "", "", ""},
		{"succeeded", shipped(CodeDeployRecord{Status: "Succeeded"}), Succeeded, "", ""},
		{"succeeded with no tasks wanted", shipped(CodeDeployRecord{Status: "Succeeded"}, nothing), Succeeded, NothingRuns, ""},

		{"ready waits for a decision", shipped(CodeDeployRecord{Status: "Ready", Waits: true}), Paused, ReadyWaits, ""},
		{"ready, and the group shifts the traffic without an answer", shipped(CodeDeployRecord{Status: "Ready"}), "", "", ""},
		{"ready, and our own stop is pending", shipped(CodeDeployRecord{Status: "Ready", Waits: true}, asked), "", "", ""},
		{"ready, and already answered", shipped(CodeDeployRecord{Status: "Ready", Waits: true}, answered(ourDeployment)), "", "", ""},

		{"all traffic is shifted, with waitUntil: traffic", shipped(shifted, traffic), Succeeded, TrafficShifted, ""},
		{"all traffic is shifted, a hook still checks, with waitUntil: traffic", shipped(CodeDeployRecord{Status: "InProgress", Traffic: &all, Lifecycle: checking}, traffic), "", "", ""},
		{"all traffic is shifted, a hook has failed, with waitUntil: traffic", shipped(CodeDeployRecord{Status: "InProgress", Traffic: &all, Lifecycle: objected}, traffic), "", "", ""},
		{"a tenth of the traffic is shifted, with waitUntil: traffic", shipped(CodeDeployRecord{Status: "InProgress", Traffic: &some, Lifecycle: checked}, traffic), "", "", ""},
		{"the lifecycle cannot be read, with waitUntil: traffic", shipped(CodeDeployRecord{Status: "InProgress"}, traffic), "", "", ""},
		{"all traffic is shifted, we have asked for a rollback, with waitUntil: traffic", shipped(shifted, traffic, asked), "", "", ""},
		{"all traffic is shifted, and the previous tasks are kept for longer than the time left", shipped(keeping), Succeeded, TrafficShifted, ""},
		{"the previous tasks are kept for longer than the time left, and the full count does not run", shipped(keeping, half), "", "", ""},
		{"somebody else's deployment, whose end is waited for", shipped(keeping, until(UntilEnded)), "", "", ""},

		{"failed", shipped(CodeDeployRecord{Status: "Failed", Error: "alarm (ALARM_ACTIVE)"}), Failed, DeploymentFailed, "alarm (ALARM_ACTIVE)"},
		{"failed by a hook, which says more", shipped(CodeDeployRecord{Status: "Failed", Error: "a hook failed.", Lifecycle: objected}), Failed, DeploymentFailed, "a hook failed; AfterAllowTraffic failed: check said no"},
		{"failed, its rollback not named yet", shipped(CodeDeployRecord{Status: "Failed", RollbackDue: true}), "", "", ""},
		{"failed, and no time is left for its rollback to be named", shipped(CodeDeployRecord{Status: "Failed", Error: "x", RollbackDue: true}, timeless), Failed, DeploymentFailed, "x"},
		{"failed, rolling back", shipped(CodeDeployRecord{Status: "Failed", Rollback: rollback("InProgress")}), "", "", ""},
		{"rolled back (peer: the last deployment succeeded, so success)", shipped(CodeDeployRecord{Status: "Failed", Error: "x", Rollback: rollback("Succeeded")}), RolledBack, RolledBackByECS, "x"},
		{"stopped by somebody", shipped(CodeDeployRecord{Status: "Stopped", Error: "by a user"}), Failed, DeploymentStopped, "by a user"},
		{"stopped by somebody and rolled back", shipped(CodeDeployRecord{Status: "Stopped", Rollback: rollback("Succeeded")}), RolledBack, RolledBackByECS, ""},
		{"stopped by us and rolled back", shipped(CodeDeployRecord{Status: "Stopped", Rollback: rollback("Succeeded")}, asked), RolledBack, RolledBackByTask, ""},
		{"failed before it could be stopped", shipped(CodeDeployRecord{Status: "Failed", Error: "x", Rollback: rollback("Succeeded")}, asked), RolledBack, RolledBackByECS, "x"},
		{"the rollback failed", shipped(CodeDeployRecord{Status: "Failed", Rollback: rollback("Failed")}), Failed, RollbackFailed, "no capacity"},
		{"the rollback was stopped", shipped(CodeDeployRecord{Status: "Failed", Rollback: rollback("Stopped")}), Failed, RollbackFailed, ""},
		{"a rollback with a status that this version does not know", shipped(CodeDeployRecord{Status: "Failed", Rollback: rollback("Halfway")}), "", "", ""},

		{"too many tasks fail", shipped(CodeDeployRecord{Status: "InProgress"}, hopeful), Failed, TasksFail, ""},
		{"too many tasks fail, and the rollback is due", shipped(CodeDeployRecord{Status: "Failed", RollbackDue: true}, hopeful), "", "", ""},
		{"too many tasks fail, and it is being rolled back", shipped(CodeDeployRecord{Status: "Failed", Rollback: rollback("InProgress")}, hopeful), "", "", ""},

		{"reached before anybody asked", shipped(CodeDeployRecord{}, reachedB), Unchanged, "", ""},
		{"the service is deleted", shipped(CodeDeployRecord{Status: "Succeeded"}, gone), Failed, ServiceDeleted, ""},
		{"the service is being deleted", shipped(CodeDeployRecord{Status: "InProgress"}, status("DRAINING")), Failed, ServiceDraining, ""},
	}
	rows := verdictHead
	for _, tt := range tests {
		rows += verdictRow(tt.name, tt.want, tt.code)
	}
	page.Part(t, "how-it-decides.md", "codedeploy", rows)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Judge(tt.seen)
			if got.Outcome != tt.want || got.Reason.Code != tt.code || !strings.Contains(got.Reason.Detail, tt.detail) {
				t.Errorf("Judge = %q (%+v), want %q (%s, …%s…)", got.Outcome, got.Reason, tt.want, tt.code, tt.detail)
			}
		})
	}
}

// FuzzJudgeCodeDeploy: whatever CodeDeploy answers, nothing but the success of our
// own deployment is a success, or all of the traffic with nothing left to check,
// for who asked for no more or cannot wait for the rest.
func FuzzJudgeCodeDeploy(f *testing.F) {
	f.Add("Succeeded", "", false, "ACTIVE", 100.0, "Succeeded", false, 1)
	f.Add("Failed", "Succeeded", false, "ACTIVE", 100.0, "Succeeded", true, 1)
	f.Add("InProgress", "Succeeded", true, "ACTIVE", 100.0, "Skipped", true, 60)
	f.Add("Ready", "", true, "DRAINING", 0.0, "Pending", true, 60)
	f.Fuzz(func(t *testing.T, state, rollback string, due bool, service string, percent float64, event string, forTraffic bool, keep int) {
		record := CodeDeployRecord{Status: state, RollbackDue: due, Waits: due, Traffic: &percent, Keep: time.Duration(keep%1000) * time.Minute,
			Lifecycle: []LifecycleEvent{{Name: "AllowTraffic", Status: event}, {Name: "AfterAllowTraffic", Status: event}}}
		if rollback != "" {
			record.Rollback = &CodeDeployRollback{ID: backDeployment, Status: rollback}
		}
		s := shipped(record, status(service))
		if forTraffic {
			s.Until = UntilTraffic
		}
		if !Judge(s).Outcome.Good() {
			return
		}
		shifted := (state == "InProgress" || state == "Baking") && percent == 100 && (event == "Succeeded" || event == "Skipped")
		if state != "Succeeded" && !shifted || service == "DRAINING" || service == "INACTIVE" {
			t.Errorf("green without our own success: %q, rollback %q, service %q", state, rollback, service)
		}
	})
}

// TestGoesBackAfter: which endings CodeDeploy rolls back by itself is for the
// deployment's configuration to say, and not waited for otherwise.
func TestGoesBackAfter(t *testing.T) {
	alarm, manual := types.ErrorCodeAlarmActive, types.ErrorCodeManualStop
	failure, onAlarm := types.AutoRollbackEventDeploymentFailure, types.AutoRollbackEventDeploymentStopOnAlarm
	for _, tt := range []struct {
		name   string
		status types.DeploymentStatus
		code   types.ErrorCode
		on     []types.AutoRollbackEvent
		want   bool
	}{
		{"failed, on failures", types.DeploymentStatusFailed, types.ErrorCodeHealthConstraints, []types.AutoRollbackEvent{failure}, true},
		{"failed, on alarms alone", types.DeploymentStatusFailed, types.ErrorCodeHealthConstraints, []types.AutoRollbackEvent{onAlarm}, false},
		{"stopped by an alarm, on alarms", types.DeploymentStatusStopped, alarm, []types.AutoRollbackEvent{onAlarm}, true},
		{"stopped by an alarm, on failures alone", types.DeploymentStatusStopped, alarm, []types.AutoRollbackEvent{failure}, false},
		{"stopped by a person, who may have asked for it", types.DeploymentStatusStopped, manual, []types.AutoRollbackEvent{failure}, true},
		{"stopped by a person, and it rolls back on nothing", types.DeploymentStatusStopped, manual, nil, false},
	} {
		got := goesBackAfter(&types.DeploymentInfo{Status: tt.status, ErrorInformation: &types.ErrorInformation{Code: tt.code},
			AutoRollbackConfiguration: &types.AutoRollbackConfiguration{Enabled: len(tt.on) > 0, Events: tt.on}})
		if got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
}
