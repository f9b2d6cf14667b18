package rollout

// What has been told of a deployment, so that each thing is told when it changes
// and not at every poll.

import (
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

type news struct {
	said     map[string]bool // ids of service events
	troubles map[string]int  // how often a reason was given that tasks are not started
	routine  map[string]bool // bookkeeping of ECS that was told
	states   map[string]any  // by what they are about
}

// newNews has told what the service had said before.
func newNews(before ecs.Service) *news {
	n := &news{said: map[string]bool{}, troubles: map[string]int{}, routine: map[string]bool{}, states: map[string]any{}}
	for _, m := range before.Events {
		n.said[m.ID] = true
	}
	return n
}

// changed reports whether the state of something differs from what was told last.
// A state that was never told and is zero has not changed.
func (n *news) changed(about string, state any, zero bool) bool {
	last, told := n.states[about]
	if told && last == state || !told && zero {
		return false
	}
	n.states[about] = state
	return true
}

// messages returns what the service has said since it was last asked, oldest first.
func (n *news) messages(s ecs.Service) []ecs.Message {
	var fresh []ecs.Message
	for _, m := range slices.Backward(s.Events) {
		if !n.said[m.ID] {
			n.said[m.ID] = true
			fresh = append(fresh, m)
		}
	}
	return fresh
}

// tell makes a message of the service news. A reason that tasks are not started is
// told when it first comes up, with what to do about it: ECS says the same again
// at every attempt. Bookkeeping in the same words is told once.
func (n *news) tell(m ecs.Message) []Event {
	text := withoutService(m.Text)
	cause, trouble := diagnosis.Trouble(m)
	if !trouble {
		if n.routine[text] {
			return nil
		}
		n.routine[text] = true
		return []Event{{m.Time, Said{Text: text, Times: 1}}}
	}
	n.troubles[cause.Reason]++
	if times := n.troubles[cause.Reason]; times > 1 {
		return nil
	}
	said := Event{m.Time, Said{Text: text, Trouble: true, Hint: cause.Hint, Times: 1}}
	if cause.Waits() {
		return []Event{said, {time.Now(), Waits{cause}}}
	}
	return []Event{said}
}

// withoutService removes the "(service web) " with which ECS begins every event:
// the line has the service's name in front already.
func withoutService(text string) string {
	if strings.HasPrefix(text, "(service ") {
		if _, rest, ok := strings.Cut(text, ") "); ok {
			return rest
		}
	}
	return text
}
