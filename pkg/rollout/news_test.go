package rollout

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/ecs"
)

// said are the service's messages, oldest first in the argument.
func said(texts ...string) ecs.Service {
	var s ecs.Service
	for i, text := range texts {
		s.Events = append([]ecs.Message{{ID: fmt.Sprint(i), Time: time.Unix(int64(i), 0), Text: text}}, s.Events...)
	}
	return s
}

// TestNews: of what a service says, each thing is told once, in the order in which
// it was said, and nothing that was said before the deployment.
func TestNews(t *testing.T) {
	const (
		steady  = "(service web) has reached a steady state."
		started = "(service web) has started 1 tasks: (task 0123)."
		again   = "(service web) has started 1 tasks: (task 4567)."
		noRoom  = "(service web) was unable to place a task because no container instance met all of its requirements. The closest matching container-instance b1a73168f8a64ed9b69e94adc7a0f1e0 has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
	)
	n := newNews(said(steady))
	var told []string
	hear := func(s ecs.Service) {
		for _, m := range n.messages(s) {
			for _, e := range n.tell(m) {
				switch what := e.What.(type) {
				case Said:
					if what.Trouble {
						told = append(told, "trouble")
						continue
					}
					told = append(told, what.Text)
				case Waits:
					told = append(told, "waits")
				}
			}
		}
	}
	hear(said(steady, started))
	hear(said(steady, started, again, noRoom, noRoom, steady))
	hear(said(steady, started, again, noRoom, noRoom, steady, steady))
	want := []string{"has started 1 tasks: (task 0123).", "has started 1 tasks: (task 4567).", "trouble", "waits", "has reached a steady state."}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told\n%q\nwant\n%q", told, want)
	}
}

// TestFolded: what a service says at every attempt is told at first, and later in
// one line with a count.
func TestFolded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNews(ecs.Service{})
		var texts []string
		var told []string
		for minute := range 25 {
			texts = append(texts, "(service web) has reached a steady state.")
			for _, m := range n.messages(said(texts...)) {
				for _, e := range n.tell(m) {
					told = append(told, fmt.Sprint(minute, " ", e.What.(Said).Times))
				}
			}
			for _, e := range n.folded(time.Now()) {
				if what := e.What.(Said); what.Trouble || what.Hint != "" || what.Text != "has reached a steady state." {
					t.Errorf("%+v", what)
				}
				told = append(told, fmt.Sprint(minute, " ", e.What.(Said).Times))
			}
			time.Sleep(time.Minute)
		}
		if want := []string{"0 1", "10 10", "20 10"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestChanged(t *testing.T) {
	n := newNews(ecs.Service{})
	for i, tt := range []struct {
		state any
		zero  bool
		want  bool
	}{
		{"", true, false}, // nothing to tell yet
		{"a", false, true},
		{"a", false, false},
		{"b", false, true},
		{"", true, true}, // that it is over
		{"", true, false},
	} {
		if got := n.changed("x", tt.state, tt.zero); got != tt.want {
			t.Errorf("%d: changed(%q) = %v, want %v", i, tt.state, got, tt.want)
		}
	}
}

// FuzzRollbackTarget: whatever ECS writes, what is taken for an id has the form of one.
func FuzzRollbackTarget(f *testing.F) {
	f.Add("(service web) rolling back to deployment ecs-svc/6405000000000000001.")
	f.Add("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/6405.")
	f.Add("rolling back to deployment ")
	f.Fuzz(func(t *testing.T, text string) {
		if id := RollbackTarget(text); id != "" && (len(id) <= len("ecs-svc/") || id[:8] != "ecs-svc/" && id[:4] != "ECS-") {
			t.Errorf("%q in %q", id, text)
		}
	})
}

func TestRollbackTarget(t *testing.T) {
	for text, want := range map[string]string{
		"(service web) rolling back to deployment ecs-svc/123.":                         "ecs-svc/123",
		"ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/6405.":    "ecs-svc/6405",
		"ECS deployment ecs-svc/123 in progress.":                                       "",
		"(service web) (deployment ecs-svc/9) deployment failed: tasks failed to start": "",
	} {
		if got := RollbackTarget(text); got != want {
			t.Errorf("RollbackTarget(%q) = %q, want %q", text, got, want)
		}
	}
}
