package rollout

// The rhythm of watching: when to ask again, what it means when AWS does not
// answer, and when the time limit has passed. What is asked is the deployment's
// own: those of ECS and of CodeDeploy are followed alike.

import (
	"context"
	"iter"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

const (
	// quickPoll is the pause while something moves, calmPoll when nothing has
	// changed for a while.
	quickPoll = 2 * time.Second
	calmPoll  = 10 * time.Second
	// heartbeat is the longest time without an event.
	heartbeat = 2 * time.Minute
	// lastPoll is how long the poll at the end of the time limit may take: also where
	// the record takes all of its 5 s, the service can still be read.
	lastPoll = 8 * time.Second
)

// source is what differs between the deployments that are watched.
type source interface {
	// poll reads the deployment once and returns what is new in it.
	poll(ctx context.Context) ([]Event, error)
	// view is what has been seen so far.
	view() *Snapshot
	// last is the view as it is judged at the end of the time limit: without what could
	// not be read any more.
	last() Snapshot
	// health counts the deployment's tasks that pass their health checks; -1 where
	// that is not known.
	health(ctx context.Context) int
}

// watcher follows a source, once or several times.
type watcher struct {
	unread error // why the last poll could not be read; nil where it could
	source
	observer Observer // nil for none
	verdict  Verdict
	err      error
	silent   bool // the last poll failed: told once
}

// judge is the verdict on what was seen, of which the observer hears.
func (w *watcher) judge(s Snapshot) Verdict {
	v := Judge(s)
	if w.observer != nil {
		w.observer.Judged(s, v)
	}
	return v
}

func (w *watcher) Snapshot() Snapshot { return *w.view() }
func (w *watcher) Verdict() Verdict   { return w.verdict }
func (w *watcher) Err() error         { return w.err }

// Watch implements [Deployment].
func (w *watcher) Watch(ctx context.Context, limits Limits) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		begin := time.Now()
		w.verdict, w.err = Verdict{}, nil
		w.view().Until = limits.Until
		last := begin // when something was told last
		for interval := time.Duration(0); ; {
			asked := time.Now()
			events, err := w.pollWithin(ctx, limits.Timeout-time.Since(begin))
			left := limits.Timeout - time.Since(begin)
			w.view().Left = left
			if ctx.Err() != nil {
				w.err = context.Cause(ctx)
				return
			}
			if err != nil && lasting(err) {
				w.err = err
				return
			}
			w.unread = err
			events = append(events, w.silence(err)...)
			// The next poll is as late as a long pause and one like this one make it.
			if next := calmPoll + quickPoll + time.Since(asked); len(events) == 0 && time.Since(last)+next > heartbeat {
				events = append(events, Event{time.Now(), w.heartbeat(ctx, time.Since(begin), left)})
			}
			for _, e := range events {
				last = time.Now()
				if !yield(e) {
					return
				}
			}
			if err == nil {
				seen := *w.view()
				if left <= 0 {
					seen = w.last()
				}
				if w.verdict = w.judge(seen); w.verdict.Final() {
					return
				}
			}
			// A last poll that began before the limit and failed is made once more.
			if left <= 0 && (err == nil || asked.Sub(begin) >= limits.Timeout) {
				counts := w.view().Counts()
				w.verdict = Verdict{TimedOut, Reason{Code: NotInTime, After: limits.Timeout, Running: counts.Running, Desired: counts.Desired}}
				if err != nil { // what was seen before says nothing of the end
					w.verdict.Reason = Reason{Code: Unread, After: limits.Timeout, Detail: err.Error()}
				}
				return
			}
			interval = pause(interval, limits.pace(), len(events) > 0, err != nil)
			select {
			case <-ctx.Done():
				w.err = context.Cause(ctx)
				return
			case <-time.After(min(aligned(begin, interval, limits.pace()), max(left, 0))):
			}
		}
	}
}

// pollWithin polls for no longer than the time that is left. The poll at its very
// end has a moment, since it is what decides.
func (w *watcher) pollWithin(ctx context.Context, left time.Duration) ([]Event, error) {
	ctx, cancel := context.WithTimeout(ctx, max(left, lastPoll))
	defer cancel()
	return w.poll(ctx)
}

// pause returns how long to wait before the next poll: short after a change,
// growing while all is quiet, long after an error so that a throttled AWS recovers.
func pause(last, quick time.Duration, moved, failed bool) time.Duration {
	calm := max(calmPoll, quick)
	switch {
	case failed:
		return calm
	case moved || last == 0:
		return quick
	default:
		return min(last*2, calm)
	}
}

// pace is the shortest pause between two polls.
func (l Limits) pace() time.Duration { return max(l.Pace, quickPoll) }

// aligned stretches a pause so that it ends at a whole multiple of the shortest one
// after the watch began: services that are watched side by side are then asked for
// in one call.
func aligned(begin time.Time, pause, quick time.Duration) time.Duration {
	since := time.Since(begin)
	return (since + pause + quick/2).Truncate(quick) - since
}

// untilRead repeats a reading without which nothing can be said, until it succeeds or
// waiting would not help.
func untilRead(ctx context.Context, read func() error) error {
	for {
		err := read()
		if err == nil || lasting(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(calmPoll):
		}
	}
}

// lasting reports whether waiting does not cure an error: access that is denied, a
// name that does not exist, a session that has expired.
func lasting(err error) bool {
	return ecs.Classify(err).Lasting() || mistake.Absent(err)
}

// silence tells once that AWS cannot be reached, and once that it can be again.
func (w *watcher) silence(err error) []Event {
	was := w.silent
	w.silent = err != nil
	if was == w.silent {
		return nil
	}
	return []Event{{time.Now(), Silence{err}}}
}

// heartbeat says where the deployment stands when nothing else has been told.
func (w *watcher) heartbeat(ctx context.Context, elapsed, left time.Duration) Heartbeat {
	s := w.view()
	h := Heartbeat{Counts: s.Counts(), Healthy: -1, Elapsed: elapsed, Left: left}
	if !w.silent {
		h.Healthy = w.health(ctx)
	}
	if len(s.Service.Events) > 0 {
		h.Said = s.Service.Events[0]
	}
	if s.Record != nil {
		h.Stage = s.Record.Stage
	}
	return h
}
