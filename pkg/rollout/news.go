package rollout

// What has been told of a deployment, so that each thing is told when it changes
// and not at every poll.

import (
	"maps"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

type news struct {
	said    map[string]bool    // ids of service events
	repeats map[string]*repeat // what the service says again and again, by what it is about
	states  map[string]any     // by what they are about
}

// repeat is a message that was told, and how often it has come since.
type repeat struct {
	text  string
	told  time.Time
	times int
}

// foldFor is how long the repetitions of a message are counted before they are told
// in one line.
const foldFor = 10 * time.Minute

// newNews has told what the service had said before.
func newNews(before ecs.Service) *news {
	n := &news{said: map[string]bool{}, repeats: map[string]*repeat{}, states: map[string]any{}}
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
// at every attempt. That, and bookkeeping in the same words, is counted: see folded.
func (n *news) tell(m ecs.Message) []Event {
	text := withoutService(m.Text)
	cause, trouble := diagnosis.Trouble(m)
	about := text
	if trouble {
		about = cause.Reason
	}
	if r := n.repeats[about]; r != nil {
		r.text = text
		r.times++
		return nil
	}
	n.repeats[about] = &repeat{text: text, told: time.Now()}
	if !trouble {
		return []Event{{m.Time, Said{Text: text, Times: 1}}}
	}
	said := Event{m.Time, Said{Text: text, Trouble: true, Hint: cause.Hint, Times: 1}}
	if !cause.Waits() || !diagnosis.Decisive(cause) {
		return []Event{said}
	}
	return append([]Event{said}, n.waits(cause)...)
}

// waits tells once of each kind of fault that the deployment waits for it: events
// and stopped tasks word the same differently.
func (n *news) waits(cause diagnosis.Cause) []Event {
	if !n.changed("waits for "+string(cause.Fault), true, false) {
		return nil
	}
	return []Event{{time.Now(), Waits{cause}}}
}

// folded tells what was said again for a while, each message in one line with a
// count. It is no trouble any more: that was told at first.
func (n *news) folded(now time.Time) []Event {
	var events []Event
	for _, about := range slices.Sorted(maps.Keys(n.repeats)) {
		r := n.repeats[about]
		if r.times < 2 || now.Sub(r.told) < foldFor { // once more is no news
			continue
		}
		events = append(events, Event{now, Said{Text: r.text, Times: r.times}})
		r.told, r.times = now, 0
	}
	return events
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
