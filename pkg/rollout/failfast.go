package rollout

// Giving up early: when task after task of a deployment ends in the same way, or
// cannot be started for its role, the next one will too, and neither a circuit
// breaker (which counts to half of the desired tasks) nor a timeout has to be
// waited for.

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// lookAgain is how often the stopped tasks of a deployment are looked at while
// it is short of running ones and its count of failed tasks stands still: ECS
// does not count a task that ran for a moment.
const lookAgain = 15 * time.Second

// giveUp sets the verdict aside that ends the watch when the stopped tasks of
// the deployment say that it cannot succeed.
func (w *Watch) giveUp(ctx context.Context) {
	own := w.state.Own
	due := own.Failed > w.failed || own.Running < own.Desired && time.Since(w.looked) >= lookAgain
	if w.started.MaxFailedTasks <= 0 || !w.state.Listed || !due {
		return
	}
	w.failed, w.looked = own.Failed, time.Now()
	w.calls += 2
	w.hopeless = w.client.hopeless(ctx, w.started, w.state)
}

// hopeless looks at the stopped tasks of d and judges whether it can succeed.
// What cannot be read is no reason to give up: the breaker and the timeout are
// still there, and Diagnose will say which right is missing.
func (c *Client) hopeless(ctx context.Context, d Started, s State) Verdict {
	if v := s.unlaunchable(d.MaxFailedTasks); v.Final() {
		return v
	}
	x := &examination{api: c.api, config: c.cfg, started: d, state: s}
	stopped, _ := x.tasks(ctx, types.DesiredStatusStopped, maxStopped)
	return hopeless(stopCauses(stopped, nil), d.MaxFailedTasks)
}

// roleSettles is how long a new role may be unknown to ECS, whose first attempts
// then fail and a later one does not: https://github.com/pulumi/pulumi-awsx/issues/927.
const roleSettles = 2 * time.Minute

// noRole is how ECS words that a role of the task definition does not exist,
// does not trust it, or may not be passed.
var noRole = regexp.MustCompile(`(?i)unable to assume the role`)

// unlaunchable judges that no task of the deployment can be started when so many
// attempts failed for its role. Such attempts leave no stopped task behind. What
// lacks a place or capacity may get it by itself, and is waited for.
func (s State) unlaunchable(most int) Verdict {
	var attempts []Message
	for _, e := range s.Service.Events { // newest first
		if !e.Time.Before(s.Own.CreatedAt) && noRole.MatchString(e.Text) {
			attempts = append(attempts, e)
		}
	}
	n := len(attempts)
	if n < max(most, 1) || s.Own.Running+s.Own.Pending > 0 || attempts[0].Time.Sub(attempts[n-1].Time) < roleSettles {
		return Verdict{}
	}
	return Verdict{Failed, fmt.Sprintf("%d attempts to start a task failed alike, so the next will too (maxFailedTasks is %d): the service %s", n, most, attempts[0].cause().clause())}
}

// hopeless judges that a deployment cannot succeed when so many of its tasks
// ended for one fatal cause. The zero Verdict is that it may.
func hopeless(causes []stops, most int) Verdict {
	for _, c := range causes {
		if c.Count >= most && c.fatal() {
			return Verdict{Failed, fmt.Sprintf("%d tasks stopped alike, so the next will too (maxFailedTasks is %d): %s", c.Count, most, c.clause())}
		}
	}
	return Verdict{}
}

// fatal reports whether a task that ended like this says that its successor
// will: it could not be started, its container ended by itself, or it failed a
// health check. Tasks that somebody stopped, that lost their Spot capacity or
// instance, or that found none, say nothing of the revision.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html (stopCode)
func (c Cause) fatal() bool {
	switch types.TaskStopCode(c.StopCode) {
	case types.TaskStopCodeTaskFailedToStart:
		return !containsFold(c.Reason, "capacity is unavailable")
	case types.TaskStopCodeEssentialContainerExited:
		return true
	case types.TaskStopCodeServiceSchedulerInitiated:
		return containsFold(c.Reason, "health check")
	}
	return false
}
