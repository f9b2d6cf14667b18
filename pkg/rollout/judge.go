package rollout

// How a deployment ended, judged from one snapshot: pure, and the heart of the
// product. Whoever judges by "one deployment left and running equals desired"
// takes a rollback for a success; here a deployment is known by its id, and only
// its own success is one.

import "ecsdeploy/pkg/ecs"

// Judge says how the deployment ended, or that it has not (the zero Verdict). It
// never guesses: a status that it does not know means not yet, so that a status
// ECS adds later cannot turn into a false success.
func Judge(s Snapshot) Verdict {
	if v := judgeService(s); v.Final() {
		return v
	}
	if s.Asked { // what was asked for ends it: until that is seen, it is neither far enough nor paused
		s.Until = UntilEnded
	}
	var v Verdict
	other, replaced := s.replacement()
	switch {
	case s.Reached && replaced && s.CodeDeploy == nil: // since it was looked at
		return superseded(other)
	case s.Reached && s.Service.Desired == 0:
		return Verdict{Unchanged, Reason{Code: NothingRuns}}
	case s.Reached:
		return Verdict{Unchanged, Reason{}}
	case s.Scaling:
		v = judgeScaling(s)
	case s.CodeDeploy != nil:
		v = judgeCodeDeploy(s)
	case s.Record != nil:
		v = judgeRecord(s, *s.Record)
	default:
		v = judgeList(s)
	}
	switch {
	case v.Final():
		return v
	case replaced && s.CodeDeploy == nil: // the record will say so
		return Verdict{}
	case s.Hopeless != nil && !s.Asked && !s.RollingBack() && !s.failing():
		return Verdict{Failed, *s.Hopeless}
	}
	return Verdict{}
}

// judgeService is the verdict on a service that is no longer there to be deployed to.
func judgeService(s Snapshot) Verdict {
	switch {
	case s.Gone, s.Service.Status == "INACTIVE":
		return Verdict{Failed, Reason{Code: ServiceDeleted}}
	case s.Service.Status == "DRAINING":
		return Verdict{Failed, Reason{Code: ServiceDraining}}
	}
	return Verdict{}
}

// judgeRecord reads the statuses of ServiceDeploymentStatus, and what the list of
// deployments says beside them:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeploymentBrief.html
func judgeRecord(s Snapshot, d ecs.ServiceDeployment) Verdict {
	switch d.Status {
	case "SUCCESSFUL":
		return judgeSuccess(s)
	case "ROLLBACK_SUCCESSFUL":
		return Verdict{RolledBack, rolledBack(s, d)}
	case "ROLLBACK_FAILED":
		return Verdict{Failed, Reason{Code: RollbackFailed, Detail: words(d), Alarms: d.Alarms}}
	case "STOPPED":
		return judgeStopped(s, d)
	case "PENDING", "IN_PROGRESS":
		if _, replaced := s.replacement(); replaced { // the record may be late, and ours is no success then
			return judgeReplaced(s)
		}
		return judgeProgress(s, d)
	}
	return judgeReplaced(s)
}

// judgeSuccess: the deployment has succeeded. Who waits for its end also waits
// for the full count of tasks, which ECS may not (early success criteria), and a
// service that somebody has moved on does not run our revision any more.
func judgeSuccess(s Snapshot) Verdict {
	if other, replaced := s.replacement(); replaced {
		return superseded(other)
	}
	count := Reason{Running: s.Own.Running, Desired: s.Own.Desired}
	switch {
	case s.Listed && s.Own.Desired == 0 && s.Service.Desired == 0:
		count.Code = NothingRuns
		return Verdict{Succeeded, count}
	case !s.Service.Strategy.EarlySuccess || !s.Listed:
		return Verdict{Succeeded, Reason{}}
	case s.Own.Running < s.Own.Desired && s.Until != UntilTraffic && s.Until != UntilEnded && s.Left > 0 && s.Hopeless == nil:
		return Verdict{}
	case s.Own.Running < s.Own.Desired || s.Counts().Others > 0:
		count.Code = EarlySuccess
		if s.Hopeless != nil {
			count.Cause, count.Count = s.Hopeless.Cause, s.Hopeless.Count
		}
		return Verdict{Succeeded, count}
	}
	return Verdict{Succeeded, Reason{}}
}

// judgeScaling: no deployment was started, and the full count of tasks is all
// that is waited for.
func judgeScaling(s Snapshot) Verdict {
	if other, replaced := s.replacement(); replaced {
		return superseded(other)
	}
	if primary, back := s.returned(); back {
		return judgeListedRollback(s, primary)
	}
	switch {
	case s.Listed && s.Own.Desired == 0 && s.Service.Desired == 0:
		return Verdict{Succeeded, Reason{Code: NothingRuns}}
	case s.Full() && s.Own.Desired == s.Service.Desired:
		return Verdict{Succeeded, Reason{}}
	}
	return Verdict{}
}

// judgeStopped: somebody ended the deployment. The list may not show yet what has
// taken its place, which is waited for while time is left.
func judgeStopped(s Snapshot, d ecs.ServiceDeployment) Verdict {
	other, replaced := s.replacement()
	switch {
	case replaced:
		return superseded(other)
	case s.Newer != "":
		newer, _ := s.Service.Deployment(s.Newer)
		return Verdict{Superseded, Reason{Code: ReplacedByOther, By: s.Newer, Revision: newer.TaskDefinition}}
	case s.Ended < grace && s.Left > 0:
		return Verdict{}
	case s.Service.Primary().ID != s.ID && s.rollsBackTo(s.Service.Primary()) && s.Service.Primary().RolloutState == "COMPLETED":
		return Verdict{RolledBack, rolledBack(s, d)}
	}
	return Verdict{Failed, Reason{Code: DeploymentStopped, Detail: words(d), Alarms: d.Alarms}}
}

// judgeReplaced: the record has not ended, but the list shows another deployment
// in our place. The record may lag behind, so that is believed only when it lasts.
func judgeReplaced(s Snapshot) Verdict {
	other, replaced := s.replacement()
	if !replaced || s.Replaced < grace {
		return Verdict{}
	}
	return superseded(other)
}

// superseded is the verdict where somebody else's deployment has taken our place.
func superseded(by ecs.Deployment) Verdict {
	return Verdict{Superseded, Reason{Code: ReplacedByOther, By: by.ID, Revision: by.TaskDefinition}}
}

// judgeProgress: the deployment is in progress, which is enough for who waits
// for less, and no success where it waits for an answer. A record of an earlier reading
// tells of neither: it may have been answered, or have ended, since.
func judgeProgress(s Snapshot, d ecs.ServiceDeployment) Verdict {
	if s.Stale {
		return Verdict{}
	}
	if hook := d.Waiting(); hook.ID != "" && hook.ID != s.Answered && !s.Asked {
		return Verdict{Paused, Reason{Code: HookWaits, Hook: hook, Stage: d.Stage}}
	}
	switch s.Until {
	case "", UntilCompleted, UntilEnded:
		return Verdict{}
	case UntilTraffic:
		if s.Shifted() {
			return Verdict{Succeeded, Reason{Code: TrafficShifted, Stage: d.Stage, Left: d.Strategy.Bake}}
		}
	case UntilTest:
		if Tested(d.Stage) {
			return Verdict{Succeeded, Reason{Code: StageReached, Stage: d.Stage}}
		}
	default:
		if reached(d.Stage, s.Until) {
			return Verdict{Succeeded, Reason{Code: StageReached, Stage: d.Stage}}
		}
	}
	return Verdict{}
}

// Stages are the lifecycle stages in their order.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html
func Stages() []string {
	return []string{
		"RECONCILE_SERVICE", "PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT",
		"PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP",
	}
}

// reached reports whether a deployment at a stage has come to the one that is
// waited for. A stage that is not known is not reached.
func reached(stage string, until Until) bool {
	at, want := -1, -1
	for i, name := range Stages() {
		if name == stage {
			at = i
		}
		if name == string(until) {
			want = i
		}
	}
	return at >= 0 && want >= 0 && at >= want
}

// judgeList is the fallback where the record cannot be read. The list forgets a
// deployment soon after it ended, so it is the entry as last seen, and what
// became PRIMARY after it, that decide.
func judgeList(s Snapshot) Verdict {
	primary := s.Service.Primary()
	if other, replaced := s.replacement(); replaced {
		return superseded(other)
	}
	switch {
	case primary.ID == "": // a list in the middle of being rewritten
		return Verdict{}
	case primary.ID != s.ID:
		switch _, back := s.returned(); {
		case !back: // the list does not show ours yet
			return Verdict{}
		case s.Newer != "" && s.Newer != primary.ID && s.Own.RolloutState != "FAILED" && !s.Asked: // from somebody's, which had replaced ours
			newer, _ := s.Service.Deployment(s.Newer)
			return superseded(ecs.Deployment{ID: s.Newer, TaskDefinition: newer.TaskDefinition})
		}
		return judgeListedRollback(s, primary)
	case primary.RolloutState == "COMPLETED", primary.RolloutState == "" && s.Steady >= grace:
		return judgeSuccess(s)
	case primary.RolloutState == "FAILED" && (!rollsBackByItself(s.Service) || s.Ended >= grace || s.Left <= 0 && !s.Asked):
		return Verdict{Failed, Reason{Code: DeploymentFailed, Detail: primary.Reason}}
	case s.Until == UntilTraffic && s.Shifted():
		return Verdict{Succeeded, Reason{Code: TrafficShifted}}
	}
	return Verdict{}
}

// judgeListedRollback: ECS goes back to the deployment that is PRIMARY now.
func judgeListedRollback(s Snapshot, primary ecs.Deployment) Verdict {
	reason := Reason{Code: RolledBackByECS}
	switch {
	case s.Asked:
		reason.Code = RolledBackByTask
	case RollbackTarget(primary.Reason) != "":
		reason.Detail = primary.Reason
	case s.Own.RolloutState == "FAILED" || RollbackTarget(s.Own.Reason) != "":
		reason.Detail = s.Own.Reason
	}
	switch {
	case primary.RolloutState == "COMPLETED", primary.RolloutState == "" && s.Steady >= grace:
		return Verdict{RolledBack, reason}
	case primary.RolloutState == "FAILED":
		return Verdict{Failed, Reason{Code: RollbackFailed, Detail: primary.Reason}}
	}
	return Verdict{}
}

// rollsBackByItself reports whether ECS is configured to roll back a deployment
// of the service that failed: then FAILED is not the end.
func rollsBackByItself(s ecs.Service) bool {
	c := s.Described.DeploymentConfiguration
	return c != nil && (c.DeploymentCircuitBreaker != nil && c.DeploymentCircuitBreaker.Rollback || c.Alarms != nil && c.Alarms.Rollback)
}

// rolledBack is the reason of a deployment that was rolled back.
func rolledBack(s Snapshot, d ecs.ServiceDeployment) Reason {
	if s.Asked && d.Breaker.Status != "TRIGGERED" && len(d.Alarms) == 0 {
		return Reason{Code: RolledBackByTask}
	}
	return Reason{Code: RolledBackByECS, Detail: words(d), Alarms: d.Alarms}
}

// words are ECS's own for how a deployment ended.
func words(d ecs.ServiceDeployment) string {
	if d.RollbackReason != "" {
		return d.RollbackReason
	}
	return d.StatusReason
}
