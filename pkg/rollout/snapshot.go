package rollout

// What is known of a deployment after a poll: the service, the deployment's entry
// in the service's list, and its own record. ECS brings the two views up to date
// one after the other, so a snapshot also says for how long they have disagreed.

import (
	"regexp"
	"slices"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

// Snapshot is one consistent reading of a deployment.
type Snapshot struct {
	// What is followed.
	ID       string         // ecs-svc/…, or CodeDeploy's d-…
	Revision string         // ARN of the task definition revision that it brings
	Previous string         // ARN of the revision before
	Earlier  []string       // ids of the deployments that were there before this one
	New      bool           // this run started it
	Before   ecs.Deployment // the PRIMARY one as it was when this run started ours
	Reached  bool           // it had succeeded before anybody asked for it
	Scaling  bool           // no new deployment was needed: only the count of tasks is to be reached
	Asked    bool           // this run asked for it to be stopped or rolled back
	Answered string         // id of the hook that was answered
	Until    Until
	Left     time.Duration // until the time limit of the watch

	// What was seen.
	Service ecs.Service
	Gone    bool           // ECS does not know the service any more
	Own     ecs.Deployment // our entry of the service's list, as last seen
	Listed  bool           // it is still there
	// Record is ECS's record of the deployment; nil where it cannot be read, or
	// not yet.
	Record *ecs.ServiceDeployment
	// Stale says that the record is that of an earlier reading: it could not be read again.
	Stale bool
	// Newer is the id of a deployment that came after ours, as ECS's history or an
	// earlier reading of the list has it.
	Newer string
	// RollsBackTo is the id of the deployment to which ECS said that it rolls back.
	RollsBackTo string
	// CodeDeploy is CodeDeploy's record; nil where ECS itself deploys.
	CodeDeploy *CodeDeployRecord
	// Hopeless is the cause for which too many tasks have failed; nil otherwise.
	Hopeless *Reason
	// Healthy says that all running tasks pass their health checks; nil where that
	// is not known.
	Healthy *bool

	// For how long two views have disagreed, at the time of the reading.
	Replaced time.Duration // the PRIMARY deployment has been an unknown one
	Returned time.Duration // an earlier deployment has been PRIMARY again
	Ended    time.Duration // the record has been final, or the list's entry FAILED
	Steady   time.Duration // the full count has been running without another deployment
}

// grace is how long one view of a deployment may lag behind the other before the
// difference is taken for a fact. SUCCESSFUL has been seen 38 s before COMPLETED.
const grace = 15 * time.Second

// replacement returns somebody else's newer deployment, which has taken the place
// of ours: the PRIMARY one, where it is neither ours nor one to which ECS rolls
// back. Theirs may have been rolled back itself by now: then it is listed beside it.
func (s Snapshot) replacement() (ecs.Deployment, bool) {
	primary := s.Service.Primary()
	if primary.ID == "" || primary.ID == s.ID {
		return ecs.Deployment{}, false
	}
	if !s.rollsBackTo(primary) {
		return primary, true
	}
	for _, d := range s.Service.Deployments {
		if d.ID != s.ID && !s.rollsBackTo(d) && s.Own.ID == s.ID && d.CreatedAt.After(s.Own.CreatedAt) {
			return d, true
		}
	}
	return ecs.Deployment{}, false
}

// rollsBackTo tells ECS's own rollback from somebody's newer deployment. A
// rollback revives the id of an earlier deployment; where it makes a new one, ECS
// says so in words, in the reason of either entry or in an event. The earlier one
// need not have been listed when ours began: what was created before ours cannot
// have replaced it.
func (s Snapshot) rollsBackTo(primary ecs.Deployment) bool {
	if s.Own.ID == s.ID && !primary.CreatedAt.IsZero() && primary.CreatedAt.Before(s.Own.CreatedAt) {
		return true
	}
	return slices.Contains(s.Earlier, primary.ID) || s.announced(primary)
}

// Returns reports whether a PRIMARY deployment is one to which ECS goes back from this one.
func (s Snapshot) Returns(primary ecs.Deployment) bool {
	return primary.ID != "" && primary.ID != s.ID && s.rollsBackTo(primary)
}

// announced reports whether ECS has said that it rolls back to a deployment: not what it
// said there before ours began, of a rollback that ours has replaced.
func (s Snapshot) announced(primary ecs.Deployment) bool {
	if primary.ID == "" {
		return false
	}
	old := s.New && s.Before.ID == primary.ID && s.Before.Reason == primary.Reason
	return s.RollsBackTo == primary.ID || s.Record != nil && ecs.DeploymentID(s.Record.RollbackTo) == primary.ID ||
		RollbackTarget(s.Own.Reason) == primary.ID || !old && RollbackTarget(primary.Reason) == primary.ID
}

// returned returns the PRIMARY deployment where ECS has gone back to it from ours.
// A list that does not show ours yet looks alike, so it takes a sign beside it:
// ECS's words, the failure of ours, that we asked for it, or that it lasts.
func (s Snapshot) returned() (ecs.Deployment, bool) {
	primary := s.Service.Primary()
	if primary.ID == "" || primary.ID == s.ID || !s.rollsBackTo(primary) {
		return ecs.Deployment{}, false
	}
	if s.announced(primary) || s.Own.RolloutState == "FAILED" || s.Asked || s.Returned >= grace {
		return primary, true
	}
	return ecs.Deployment{}, false
}

// In is the snapshot with a later reading of the service.
func (s Snapshot) In(service ecs.Service) Snapshot {
	s.Service = service
	return s
}

// Unshown reports whether the service is shown as it was before our deployment began: the
// view is late, or ECS has gone back and gives no sign of it yet. A record that was STOPPED
// does not say what has taken the deployment's place.
func (s Snapshot) Unshown() bool {
	_, listed := s.Service.Deployment(s.ID)
	_, back := s.returned()
	ended := s.Record != nil && s.Record.Status != "STOPPED" && (s.Record.Final() || s.Record.RollingBack())
	return s.New && s.CodeDeploy == nil && !ended && !listed && !back && s.Returns(s.Service.Primary())
}

// rollbackWords is how ECS announces a rollback, in events ("rolling back to
// deployment ecs-svc/123.") and in rolloutStateReason ("… rolling back to
// deploymentId ecs-svc/123.").
var rollbackWords = regexp.MustCompile(`(?i:rolling back to deployment(?:id)?) (ecs-svc/\w+)`)

// RollbackTarget returns the id of the deployment to which a text of ECS says
// that it rolls back, or "".
func RollbackTarget(text string) string {
	if m := rollbackWords.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// RollingBack reports whether the deployment is being rolled back.
func (s Snapshot) RollingBack() bool {
	switch {
	case s.CodeDeploy != nil:
		return s.CodeDeploy.Rollback != nil && !over(s.CodeDeploy.Rollback.Status) || s.CodeDeploy.RollbackDue
	case s.Record != nil && (s.Record.Final() || s.Record.RollingBack()):
		return !s.Record.Final()
	}
	_, back := s.returned() // before the record shows it, or where there is none
	return back
}

// failing reports whether ECS is about to roll the deployment back by itself: its
// own limit of failed tasks was reached.
func (s Snapshot) failing() bool {
	if !rollsBackByItself(s.Service) {
		return false
	}
	return s.Own.RolloutState == "FAILED" || s.Record != nil && (s.Record.Breaker.Status == "TRIGGERED" || len(s.Record.Alarms) > 0)
}

// InProgress reports whether the deployment is known to go on, so that it can be
// stopped.
func (s Snapshot) InProgress() bool {
	switch {
	case s.Reached, s.Scaling, s.Gone:
		return false
	case s.CodeDeploy != nil:
		return s.CodeDeploy.Status == "" || !over(s.CodeDeploy.Status)
	case s.Record != nil:
		return !s.Record.Final()
	}
	primary := s.Service.Primary()
	return primary.ID == s.ID && primary.RolloutState != "COMPLETED" && primary.RolloutState != "FAILED" || s.Unshown()
}

// Blocks reports whether no other deployment can start before this one has ended.
func (s Snapshot) Blocks() bool { return s.CodeDeploy != nil }

// Shifted reports whether the new revision has all of the production traffic: of
// a rolling deployment, that its full count of tasks runs and is healthy.
func (s Snapshot) Shifted() bool {
	switch {
	case s.CodeDeploy != nil:
		return s.CodeDeploy.shifted() || s.Service.Primary().CodeDeploy == s.ID
	case s.Record != nil && s.Record.Final():
		return s.Record.Status == "SUCCESSFUL"
	case s.RollingBack(), s.Own.RolloutState == "FAILED": // the record may be late
		return false
	case s.Record != nil && s.Record.Stage != "":
		switch s.Record.Stage {
		case "BAKE_TIME", "CLEAN_UP":
			return s.Record.Target.Traffic == nil || *s.Record.Target.Traffic == 100
		}
		return false
	case s.strategy() != "" && s.strategy() != "ROLLING":
		return false
	}
	return s.Full() && s.Healthy != nil && *s.Healthy
}

// Full reports whether the full count of the deployment's tasks runs: its entry may not
// have all of the service's yet.
func (s Snapshot) Full() bool {
	return s.Listed && s.Own.Desired > 0 && s.Own.Running >= max(s.Own.Desired, s.Service.Desired) && s.Own.Pending == 0
}

// OnlyStops reports whether nothing is left of a deployment in progress but that the
// previous tasks stop, which takes as long as a target group's deregistration delay: ECS
// wants none of them any more, and neither bakes nor watches an alarm.
func (s Snapshot) OnlyStops() bool {
	if s.CodeDeploy != nil || s.Asked || s.Service.Primary().ID != s.ID || s.failing() || !s.Full() || !s.Shifted() {
		return false
	}
	if s.Record != nil && s.Record.Stage != "" {
		return s.Record.Stage == "CLEAN_UP"
	}
	c := s.Service.Described.DeploymentConfiguration
	if s.Service.Strategy.Bake > 0 || c != nil && c.Alarms != nil && c.Alarms.Enable {
		return false
	}
	return len(s.Service.Deployments) > 1 && s.alone()
}

// alone reports whether ECS wants no tasks but those of the deployment.
func (s Snapshot) alone() bool {
	return !slices.ContainsFunc(s.Service.Deployments, func(d ecs.Deployment) bool { return d.ID != s.ID && d.Desired > 0 })
}

func (s Snapshot) strategy() string {
	if s.Record != nil && s.Record.Strategy.Name != "" {
		return s.Record.Strategy.Name
	}
	return s.Service.Strategy.Name
}

// Counts are the tasks of the deployment.
func (s Snapshot) Counts() Counts {
	return Counts{
		Running: s.Own.Running, Desired: s.Own.Desired, Pending: s.Own.Pending, Failed: s.Own.Failed,
		Others: max(s.Service.Running-s.Own.Running, 0),
	}
}

// HookID is the id of the hook at which the deployment waits, or CodeDeploy's
// deployment that waits to shift the traffic; else empty.
func (s Snapshot) HookID() string {
	switch {
	case s.CodeDeploy != nil && s.CodeDeploy.waits():
		return s.ID
	case s.Record != nil && s.CodeDeploy == nil:
		return s.Record.Waiting().ID
	}
	return ""
}

// RecordARN is the ARN of the service deployment; empty where it is not known or
// CodeDeploy deploys.
func (s Snapshot) RecordARN() string {
	if s.Record == nil {
		return ""
	}
	return s.Record.ARN
}

// TaskID is what the deployment's tasks carry as startedBy: the id of ECS's entry
// or of CodeDeploy's task set; empty while there is none.
func (s Snapshot) TaskID() string {
	if s.CodeDeploy != nil {
		return s.Own.ID
	}
	return s.ID
}

// Subject is the deployment as package diagnosis looks at it.
func (s Snapshot) Subject() diagnosis.Subject {
	subject := diagnosis.Subject{
		Cluster: s.Service.Cluster, Service: s.Service.Name, DeploymentID: s.TaskID(), TaskDefinition: s.Revision,
		Since: s.Own.CreatedAt, Events: s.Service.Events, TargetGroups: s.Service.TargetGroups,
	}
	if s.Record != nil {
		subject.Alarms = s.Record.Alarms
		if subject.Since.IsZero() {
			subject.Since = s.Record.CreatedAt
		}
	}
	if s.CodeDeploy != nil {
		subject.Elsewhere = s.CodeDeploy.elsewhere()
	}
	return subject
}
