package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// roleless and placeless are events of attempts to start a task, newest first,
// so many minutes after noon.
func roleless(minutes ...float64) []Message {
	return eventsAt("(service web) failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web' that was provided for this task.).", minutes)
}

func placeless(minutes ...float64) []Message {
	return eventsAt("(service web) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.", minutes)
}

func eventsAt(text string, minutes []float64) []Message {
	var events []Message
	for _, m := range minutes {
		events = append(events, Message{Text: text, Time: noon.Add(time.Duration(m * float64(time.Minute)))})
	}
	return events
}

// TestHopeless: three tasks that ended alike are enough, where how they ended
// says something of the revision.
func TestHopeless(t *testing.T) {
	alike := func(n int, code types.TaskStopCode, reason string) []types.Task {
		var tasks []types.Task
		for i := range n {
			tasks = append(tasks, stoppedTask(i, code, reason))
		}
		return tasks
	}
	for _, tt := range []struct {
		name  string
		tasks []types.Task
		want  Outcome
	}{
		{"three crashes", alike(3, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited"), Failed},
		{"two crashes", alike(2, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited"), ""},
		{"three that could not start", alike(3, types.TaskStopCodeTaskFailedToStart, "CannotPullContainerError: not found"), Failed},
		{"three for which there was no capacity", alike(3, types.TaskStopCodeTaskFailedToStart, "Capacity is unavailable at this time. Please try again later or in a different availability zone"), ""},
		{"three that failed health checks", alike(3, types.TaskStopCodeServiceSchedulerInitiated, "Task failed ELB health checks in (target-group web)"), Failed},
		{"three that were one too many", alike(3, types.TaskStopCodeServiceSchedulerInitiated, "Scaling activity initiated by (deployment ecs-svc/1)"), ""},
		{"three that somebody stopped", alike(3, types.TaskStopCodeUserInitiated, "Task stopped by user"), ""},
		{"three that lost their capacity", alike(3, types.TaskStopCodeSpotInterruption, "Your Spot Task was interrupted."), ""},
	} {
		if got := hopeless(stopCauses(tt.tasks, nil), 3); got.Outcome != tt.want {
			t.Errorf("%s: %q (%s), want %q", tt.name, got.Outcome, got.Reason, tt.want)
		}
	}
}

// TestUnlaunchable: a role that cannot be assumed is waited for as long as IAM
// may still be spreading it, and what may find a place for ever.
func TestUnlaunchable(t *testing.T) {
	for _, tt := range []struct {
		name    string
		events  []Message
		running int
		want    Outcome
	}{
		{"no role, again and again", roleless(3, 1.5, 0.5, 0), 0, Failed},
		{"no role, twice", roleless(3, 0), 0, ""},
		{"no role, but perhaps only not yet", roleless(1.5, 0.5, 0), 0, ""},
		{"no role, before this deployment", roleless(2, 1, -1, -3), 0, ""},
		{"no role, and then there was one", roleless(3, 1.5, 0.5, 0), 1, ""},
		{"no capacity", placeless(25, 20, 15, 10, 5, 0), 0, ""},
		{"nothing", nil, 0, ""},
	} {
		s := State{Service: Service{Events: tt.events}, Own: Deployment{CreatedAt: noon, Desired: 2, Running: tt.running}}
		if got := s.unlaunchable(3); got.Outcome != tt.want {
			t.Errorf("%s: %q (%s), want %q", tt.name, got.Outcome, got.Reason, tt.want)
		}
	}
}

// TestTrouble: what stands in the way is told when it first comes up, with a
// hint, and named with how often it came up where patience ends.
func TestTrouble(t *testing.T) {
	s := State{
		Service: Service{Events: placeless(3, 2, 1)}, Listed: true,
		Own: Deployment{TaskDefinition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:2", CreatedAt: noon, Desired: 2},
	}
	var told []string
	for _, m := range slices.Backward(s.Service.Events) {
		for _, e := range s.tell(m) {
			told = append(told, e.Text)
		}
	}
	if len(told) != 2 || !strings.HasPrefix(told[0], "was unable to place a task. Reason: Capacity") || !strings.HasPrefix(told[1], "  hint: AWS has no capacity") {
		t.Errorf("told %q, want the event and its hint, once", told)
	}
	const want = "the service was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone (3 times); web:2 has 0 of 2 running"
	if got := s.inTheWay() + s.Words(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s.Own.Running = 2; s.inTheWay() != "" {
		t.Errorf("all tasks run, and yet %s", s.inTheWay())
	}
}
