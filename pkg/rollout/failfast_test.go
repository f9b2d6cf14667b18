package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"
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
