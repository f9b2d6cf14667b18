package rollout

import (
	"strings"
	"testing"
)

const (
	previousRevision = "arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:41"
	ourRevision      = "arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:42"
	otherRevision    = "arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:43"
)

// TestJudge lists the endings of a deployment. Where a row says "peer", it is
// an ending that a known deployer reports wrongly.
func TestJudge(t *testing.T) {
	ours := Target{ID: "ecs-svc/2", TaskDefinition: ourRevision, Previous: previousRevision}
	redeploy := Target{ID: "ecs-svc/2", TaskDefinition: ourRevision, Previous: ourRevision}
	impatient := ours
	impatient.UntilTraffic = true
	percent := func(f float64) *float64 { return &f }
	active := func(deployments ...Deployment) Service { return Service{Status: "ACTIVE", Deployments: deployments} }
	entry := func(id, status, revision, rollout string) Deployment {
		return Deployment{ID: id, Status: status, TaskDefinition: revision, RolloutState: rollout}
	}
	stable := active(entry("ecs-svc/2", "PRIMARY", ourRevision, "COMPLETED"))
	back := active(entry("ecs-svc/3", "PRIMARY", previousRevision, "COMPLETED"))
	pinned := func(status string) *ServiceDeployment {
		return &ServiceDeployment{ARN: "arn:…:service-deployment/c/s/abc", Status: status}
	}

	tests := []struct {
		name   string
		target Target
		state  State
		want   Outcome
		reason string // part of it
	}{
		// With the service deployment at hand.
		{"pending goes on", ours, State{Service: stable, Pinned: pinned("PENDING")}, "", ""},
		{"in progress goes on although running equals desired (peer: services-stable)", ours, State{Service: stable, Pinned: pinned("IN_PROGRESS")}, "", ""},
		{"successful", ours, State{Service: stable, Pinned: pinned("SUCCESSFUL")}, Succeeded, ""},
		{"successful with no tasks wanted", ours, State{Service: active(), Pinned: pinned("SUCCESSFUL")}, Succeeded, ""},
		{"rollback requested goes on", ours, State{Service: back, Pinned: pinned("ROLLBACK_REQUESTED")}, "", ""},
		{"rolling back goes on although the service is stable (peer: services-stable)", ours, State{Service: back, Pinned: pinned("ROLLBACK_IN_PROGRESS")}, "", ""},
		{"rolled back (peer: services-stable calls this success)", ours,
			State{Service: back, Pinned: &ServiceDeployment{Status: "ROLLBACK_SUCCESSFUL", RollbackReason: "tasks failed to start"}}, RolledBack, "tasks failed to start"},
		{"same revision redeployed and rolled back (peer: comparing revisions calls this success)", redeploy,
			State{Service: active(entry("ecs-svc/3", "PRIMARY", ourRevision, "COMPLETED")), Pinned: pinned("ROLLBACK_SUCCESSFUL")}, RolledBack, ""},
		{"rollback failed", ours, State{Service: back, Pinned: pinned("ROLLBACK_FAILED")}, Failed, "so did its rollback"},
		{"rolled back by an alarm", ours,
			State{Service: back, Pinned: &ServiceDeployment{Status: "ROLLBACK_SUCCESSFUL", Alarms: []string{"5xx"}}}, RolledBack, "alarms 5xx"},
		{"stopped by a newer deployment (peer: reported as rolled back)", ours,
			State{Service: back, Pinned: pinned("STOPPED"), Newer: "arn:…:service-deployment/c/s/def"}, Superseded, "def"},
		{"stopped by hand", ours, State{Service: back, Pinned: pinned("STOPPED")}, Failed, "stopped"},
		{"stop requested goes on", ours, State{Service: stable, Pinned: pinned("STOP_REQUESTED")}, "", ""},
		{"a status of the future goes on", ours, State{Service: stable, Pinned: pinned("HALF_SUCCESSFUL")}, "", ""},
		{"paused at a hook", ours, State{Service: stable, Pinned: &ServiceDeployment{Status: "IN_PROGRESS", HookID: "hook-1"}}, Paused, "hook-1"},
		{"a hook that was answered does not pause, whatever ECS still says", Target{ID: "ecs-svc/2", TaskDefinition: ourRevision, Answered: "hook-1"},
			State{Service: stable, Pinned: &ServiceDeployment{Status: "IN_PROGRESS", HookID: "hook-1"}}, "", ""},
		{"the next hook does", Target{ID: "ecs-svc/2", TaskDefinition: ourRevision, Answered: "hook-1"},
			State{Service: stable, Pinned: &ServiceDeployment{Status: "IN_PROGRESS", HookID: "hook-2"}}, Paused, "hook-2"},
		{"a hook of a finished deployment does not pause", ours, State{Service: stable, Pinned: &ServiceDeployment{Status: "SUCCESSFUL", HookID: "hook-1"}}, Succeeded, ""},

		// Traffic that is shifted before the deployment ends.
		{"baking goes on", ours, State{Service: stable, Pinned: &ServiceDeployment{Status: "IN_PROGRESS", Stage: "BAKE_TIME", Traffic: percent(100)}}, "", ""},
		{"baking is the end for who waits for traffic only", impatient, State{Service: stable, Pinned: &ServiceDeployment{Status: "IN_PROGRESS", Stage: "BAKE_TIME", Traffic: percent(100)}}, Succeeded, "bake time"},
		{"a canary that bakes on a tenth of the traffic is no end", impatient, State{Service: stable, Pinned: &ServiceDeployment{Status: "IN_PROGRESS", Stage: "PRODUCTION_TRAFFIC_SHIFT", Traffic: percent(10)}}, "", ""},
		{"shifting is no end", impatient, State{Service: stable, Pinned: &ServiceDeployment{Status: "IN_PROGRESS", Stage: "PRODUCTION_TRAFFIC_SHIFT", Traffic: percent(100)}}, "", ""},
		{"a rollback during the bake is none either", impatient, State{Service: stable, Pinned: &ServiceDeployment{Status: "ROLLBACK_IN_PROGRESS", Stage: "BAKE_TIME", Traffic: percent(100)}}, "", ""},

		// By the service's list of deployments.
		{"listed: in progress goes on", ours, State{Service: active(entry("ecs-svc/2", "PRIMARY", ourRevision, "IN_PROGRESS")), Listed: true}, "", ""},
		{"listed: no rollout state goes on", ours, State{Service: active(entry("ecs-svc/2", "PRIMARY", ourRevision, "")), Listed: true}, "", ""},
		{"listed: completed", ours, State{Service: stable, Listed: true}, Succeeded, ""},
		{"listed: failed without rollback", ours,
			State{Service: active(Deployment{ID: "ecs-svc/2", Status: "PRIMARY", RolloutState: "FAILED", Reason: "tasks failed to start"}), Listed: true}, Failed, "tasks failed to start"},
		{"listed: rolling back goes on", ours,
			State{Service: active(entry("ecs-svc/3", "PRIMARY", previousRevision, "IN_PROGRESS"), entry("ecs-svc/2", "ACTIVE", ourRevision, "FAILED")),
				Own: entry("ecs-svc/2", "ACTIVE", ourRevision, "FAILED"), Listed: true}, "", ""},
		{"listed: rolled back, and our entry is gone (peer: the service is set to its revision, so success)", ours,
			State{Service: back, Own: entry("ecs-svc/2", "ACTIVE", ourRevision, "FAILED")}, RolledBack, ""},
		{"listed: rolled back in ECS's own words", ours,
			State{Service: back, Own: Deployment{ID: "ecs-svc/2", Reason: "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/3."}}, RolledBack, "circuit breaker"},
		{"listed: rolled back between two polls, which only the events tell", ours,
			State{Service: back, Own: entry("ecs-svc/2", "PRIMARY", ourRevision, "IN_PROGRESS"), RollbackTo: "ecs-svc/3"}, RolledBack, ""},
		{"listed: the rollback failed too", ours,
			State{Service: active(entry("ecs-svc/3", "PRIMARY", previousRevision, "FAILED")), Own: entry("ecs-svc/2", "ACTIVE", ourRevision, "FAILED")}, Failed, "rollback"},
		{"listed: superseded (peer: reported as success or as rollback)", ours,
			State{Service: active(entry("ecs-svc/3", "PRIMARY", otherRevision, "IN_PROGRESS")), Own: entry("ecs-svc/2", "ACTIVE", ourRevision, "IN_PROGRESS"), Listed: true}, Superseded, "chat-app:43"},
		{"listed: superseded after our failure by another revision", ours,
			State{Service: active(entry("ecs-svc/3", "PRIMARY", otherRevision, "COMPLETED")), Own: entry("ecs-svc/2", "ACTIVE", ourRevision, "FAILED")}, Superseded, ""},
		{"listed: someone went back by hand while ours was healthy", ours,
			State{Service: back, Own: entry("ecs-svc/2", "ACTIVE", ourRevision, "IN_PROGRESS")}, Superseded, "chat-app:41"},
		{"listed: an empty list goes on", ours, State{Service: active()}, "", ""},

		// The service itself.
		{"deleted", ours, State{Missing: true}, Failed, "deleted"},
		{"inactive", ours, State{Service: Service{Status: "INACTIVE"}}, Failed, "deleted"},
		{"draining", ours, State{Service: Service{Status: "DRAINING"}, Pinned: pinned("SUCCESSFUL")}, Failed, "being deleted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Judge(tt.target, tt.state)
			if got.Outcome != tt.want {
				t.Errorf("Judge = %q (%s), want %q", got.Outcome, got.Reason, tt.want)
			}
			if !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("reason = %q, want it to contain %q", got.Reason, tt.reason)
			}
			if got.Final() && !got.Outcome.Good() && got.Reason == "" {
				t.Errorf("outcome %s comes without a reason", got.Outcome)
			}
		})
	}
}

// FuzzJudge holds the one promise that matters most: whatever ECS answers,
// nothing but the success of our own deployment is a success.
func FuzzJudge(f *testing.F) {
	f.Add("SUCCESSFUL", "COMPLETED", "ecs-svc/2", "ACTIVE", true, "", "")
	f.Add("ROLLBACK_SUCCESSFUL", "COMPLETED", "ecs-svc/3", "ACTIVE", true, "", "rolled back")
	f.Add("", "COMPLETED", "ecs-svc/3", "ACTIVE", false, "", "rolling back to deploymentId ecs-svc/3")
	f.Add("STOPPED", "IN_PROGRESS", "ecs-svc/2", "DRAINING", true, "newer", "")
	f.Fuzz(func(t *testing.T, pinnedStatus, rolloutState, primary, status string, listed bool, newer, reason string) {
		s := State{
			Service: Service{Status: status, Deployments: []Deployment{{ID: primary, Status: "PRIMARY", TaskDefinition: ourRevision, RolloutState: rolloutState}}},
			Own:     Deployment{ID: "ecs-svc/2", RolloutState: rolloutState, Reason: reason},
			Listed:  listed,
			Newer:   newer,
		}
		if pinnedStatus != "" {
			s.Pinned = &ServiceDeployment{Status: pinnedStatus}
		}
		v := Judge(Target{ID: "ecs-svc/2", TaskDefinition: ourRevision, Previous: previousRevision}, s)
		if !v.Outcome.Good() {
			return
		}
		own := pinnedStatus == "SUCCESSFUL" || pinnedStatus == "" && primary == "ecs-svc/2" && rolloutState == "COMPLETED"
		if !own || status == "DRAINING" || status == "INACTIVE" {
			t.Errorf("green without our own success: pinned %q, primary %q %q, service %q", pinnedStatus, primary, rolloutState, status)
		}
	})
}
