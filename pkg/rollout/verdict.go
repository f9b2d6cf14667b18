package rollout

// How a deployment ended, judged from what one poll saw: pure, and the heart
// of the product. Whoever judges by "one deployment left and running equals
// desired" takes a rollback for a success; here a deployment is followed by
// its own identity, and only its own success is one.

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Outcome is how a rollout ended. The empty outcome means not yet.
type Outcome string

// The outcomes that users see; their spelling is part of the task's interface.
const (
	Succeeded  Outcome = "succeeded"  // the deployment of our revision completed
	Unchanged  Outcome = "unchanged"  // the service ran it already
	RolledBack Outcome = "rolledBack" // the service is back on an earlier revision
	Failed     Outcome = "failed"     // the deployment failed or was stopped, and nothing was rolled back
	Superseded Outcome = "superseded" // someone else's newer deployment replaced ours
	Paused     Outcome = "paused"     // a lifecycle hook waits for a decision
	TimedOut   Outcome = "timedOut"   // our patience ended before the deployment did
)

// Good reports whether the service runs what it was asked to run.
func (o Outcome) Good() bool { return o == Succeeded || o == Unchanged }

// Verdict is an outcome with its reason in plain words. The zero Verdict means
// that the deployment goes on.
type Verdict struct {
	Outcome Outcome
	Reason  string
}

// Final reports whether there is nothing left to wait for.
func (v Verdict) Final() bool { return v.Outcome != "" }

// Target says which deployment is followed.
type Target struct {
	ID             string // of our entry among the service's deployments: ecs-svc/…
	TaskDefinition string // ARN of the revision it brings
	Previous       string // ARN of the revision that ran before
	// UntilTraffic is set when the end is not waited for, but that all production
	// traffic is on the new revision: what follows is hours of baking.
	UntilTraffic bool
	// Answered is the lifecycle hook that was answered before the deployment was
	// followed, and that ECS may call waiting for a little longer.
	Answered string
}

// State is what is known of a deployment after a poll.
type State struct {
	Service Service
	// Missing is set when ECS no longer knows the service.
	Missing bool
	// Own is our entry among the service's deployments as last seen; Listed
	// says whether it still is there.
	Own    Deployment
	Listed bool
	// RollbackTo is the id of the deployment to which ECS said, in the service's
	// events, that it rolls ours back.
	RollbackTo string
	// Pinned is our service deployment; nil where it cannot be read (or not yet).
	Pinned *ServiceDeployment
	// Newer is the ARN of a service deployment younger than ours. It is looked
	// up only when Pinned was stopped.
	Newer string
	// Elsewhere is why CodeDeploy ended a deployment whose tasks had all come up,
	// in its own words; else empty.
	Elsewhere string

	told []string // what stands in the way of tasks, as far as it was told
}

// UnderWay reports whether our service deployment is known and has not ended.
func (s State) UnderWay() bool {
	return s.Pinned != nil && (s.Pinned.Status == "PENDING" || s.Pinned.Status == "IN_PROGRESS")
}

// HookID is the lifecycle hook at which our deployment waits, or empty.
func (s State) HookID() string {
	if s.Pinned == nil || !s.UnderWay() {
		return ""
	}
	return s.Pinned.HookID
}

// ServiceDeployment is the record that ECS keeps of one deployment, also after
// it ended.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeployment.html
type ServiceDeployment struct {
	ARN            string
	Status         string
	StatusReason   string
	RollbackReason string
	Stage          string        // lifecycle stage, such as BAKE_TIME
	Traffic        *float64      // percent of production traffic; nil where there is none to shift
	Bake           time.Duration // how long it bakes
	Alarms         []string
	HookID         string // a PAUSE lifecycle hook awaiting an action
	Requested      int
	Running        int
	Pending        int
}

// Judge says how the deployment t ended, or that it has not (the zero
// Verdict). It never guesses: a status it does not know means not yet, so that
// a status ECS adds later cannot turn into a false success.
func Judge(t Target, s State) Verdict {
	if v := s.gone(); v.Final() {
		return v
	}
	if s.Pinned != nil {
		return judgePinned(t, *s.Pinned, s.Newer)
	}
	return judgeListed(t, s)
}

// gone is the verdict on a service that is no longer there to be deployed to.
func (s State) gone() Verdict {
	switch {
	case s.Missing, s.Service.Status == "INACTIVE":
		return Verdict{Failed, "the service was deleted while it was being deployed"}
	case s.Service.Status == "DRAINING":
		return Verdict{Failed, "the service is being deleted"}
	}
	return Verdict{}
}

// judgePinned reads the statuses of ServiceDeploymentStatus:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeploymentBrief.html
func judgePinned(t Target, d ServiceDeployment, newer string) Verdict {
	switch d.Status {
	case "SUCCESSFUL":
		return Verdict{Succeeded, ""}
	case "ROLLBACK_SUCCESSFUL":
		return Verdict{RolledBack, d.why("ECS rolled the deployment back")}
	case "ROLLBACK_FAILED":
		return Verdict{Failed, d.why("the deployment failed, and so did its rollback")}
	case "STOPPED":
		if newer != "" {
			return Verdict{Superseded, "a newer deployment of the service replaced this one: " + ShortARN(newer)}
		}
		return Verdict{Failed, d.why("the deployment was stopped")}
	case "PENDING", "IN_PROGRESS":
		if d.HookID != "" && d.HookID != t.Answered {
			return Verdict{Paused, "a lifecycle hook waits for a decision: " + d.HookID}
		}
		if t.UntilTraffic && d.shifted() {
			return Verdict{Succeeded, "all production traffic is on the new revision; ECS goes on with " + strings.ToLower(strings.ReplaceAll(d.Stage, "_", " "))}
		}
	}
	return Verdict{}
}

// shifted reports whether the new revision has all of the production traffic
// and what is left is to watch it: the stages after PRODUCTION_TRAFFIC_SHIFT.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html
func (d ServiceDeployment) shifted() bool {
	switch d.Stage {
	case "BAKE_TIME", "CLEAN_UP":
		return d.Traffic == nil || *d.Traffic == 100
	}
	return false
}

// why says what happened in ECS's own words, or in ours where ECS has none.
func (d ServiceDeployment) why(ours string) string {
	text := ours
	if d.RollbackReason != "" {
		text = d.RollbackReason
	} else if d.StatusReason != "" {
		text = d.StatusReason
	}
	if len(d.Alarms) > 0 {
		text = because(strings.TrimSuffix(text, "."), "alarms "+strings.Join(d.Alarms, ", "))
	}
	return text
}

// judgeListed is the fallback for identities that may not read service
// deployments. The list forgets a deployment soon after it ended, so it is the
// entry as last seen, and what became PRIMARY after it, that decide.
func judgeListed(t Target, s State) Verdict {
	primary := s.Service.Primary()
	switch {
	case primary.ID == "":
		return Verdict{} // a list in the middle of being rewritten
	case primary.ID == t.ID:
		switch primary.RolloutState {
		case "COMPLETED":
			return Verdict{Succeeded, ""}
		case "FAILED":
			return Verdict{Failed, because("the deployment failed", primary.Reason)}
		}
		return Verdict{}
	case rollsBack(t, s, primary):
		if primary.RolloutState == "COMPLETED" {
			return Verdict{RolledBack, because("ECS rolled the deployment back", s.Own.Reason)}
		}
		if primary.RolloutState == "FAILED" {
			return Verdict{Failed, because("the deployment failed, and so did its rollback", primary.Reason)}
		}
		return Verdict{}
	default:
		return Verdict{Superseded, fmt.Sprintf("deployment %s (%s) replaced this one", primary.ID, ShortARN(primary.TaskDefinition))}
	}
}

// rollsBack tells ECS's own rollback from somebody's newer deployment. ECS says
// in words where it rolls back to. Where those were missed, a rollback follows
// a deployment that FAILED and brings the previous revision: a newer deployment
// of another revision is no rollback even when ours had failed before.
func rollsBack(t Target, s State, primary Deployment) bool {
	return s.RollbackTo == primary.ID || rollbackTarget(s.Own.Reason) == primary.ID ||
		s.Own.RolloutState == "FAILED" && primary.TaskDefinition == t.Previous
}

// rollbackWords is how ECS announces a rollback, in events ("rolling back to
// deployment ecs-svc/123.") and in rolloutStateReason ("… rolling back to deploymentId ecs-svc/123.").
var rollbackWords = regexp.MustCompile(`(?i)rolling back to deployment(?:id)? (ecs-svc/\w+)`)

// rollbackTarget returns the deployment that text says is being rolled back to.
func rollbackTarget(text string) string {
	if m := rollbackWords.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}
