package rollout

// Giving up early: when task after task of a deployment ends in the same way,
// the next one will too, and neither a circuit breaker (which counts to half of
// the desired tasks) nor a timeout has to be waited for.

import (
	"context"
	"fmt"
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
	x := &examination{api: c.api, config: c.cfg, started: d, state: s}
	stopped, _ := x.tasks(ctx, types.DesiredStatusStopped, maxStopped)
	return hopeless(stopCauses(stopped, nil), d.MaxFailedTasks)
}

// hopeless judges that a deployment cannot succeed when so many of its tasks
// ended for one fatal cause. The zero Verdict is that it may.
func hopeless(causes []stops, most int) Verdict {
	for _, c := range causes {
		if c.Count >= most && c.fatal() {
			return Verdict{Failed, fmt.Sprintf("%d tasks stopped alike, so the next will too (maxFailedTasks is %d): %s", c.Count, most, c.Reason)}
		}
	}
	return Verdict{}
}

// fatal reports whether a task that ended like this says that its successor
// will: it could not be started, its container ended by itself, or it failed a
// health check. Tasks that somebody stopped, or that lost their Spot capacity
// or instance, say nothing of the revision.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html (stopCode)
func (c Cause) fatal() bool {
	switch types.TaskStopCode(c.StopCode) {
	case types.TaskStopCodeTaskFailedToStart, types.TaskStopCodeEssentialContainerExited:
		return true
	case types.TaskStopCodeServiceSchedulerInitiated:
		return containsFold(c.Reason, "health check")
	}
	return false
}
