package rollout

// The rhythm of watching: when to ask again, what it means when nobody answers,
// and when patience ends. What is asked, and whether that is the end, is the
// watch's own: deployments of ECS and of CodeDeploy are followed alike.

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	quickPoll = 1 * time.Second  // while something moves
	calmPoll  = 10 * time.Second // when nothing has changed for a while
	// Calls of a watch, on average after a first burst: many services that are
	// rolled out side by side share one quota of AWS.
	callsPerSecond = 0.4
	callsAtOnce    = 4
	// pollLimit bounds the calls of one poll, so that a connection that hangs
	// cannot hold up the timeout.
	pollLimit = 20 * time.Second
)

// polling is what every watch has in common.
type polling struct {
	whom    string // is asked, for whoever reads that it does not answer
	timeout time.Duration
	spread  *rand.Rand
	calls   int // made so far

	verdict Verdict
	err     error
	outage  bool // the last poll failed: said once a spell
}

// newPolling returns the rhythm of a watch over the deployment id.
func newPolling(whom, id string, timeout time.Duration) polling {
	seed := fnv.New64()
	seed.Write([]byte(id))
	return polling{
		whom:    whom,
		timeout: timeout,
		// Seeded by the deployment: polls of different ones drift apart, and a
		// rollout that is played again in a test goes the same way.
		spread: rand.New(rand.NewPCG(seed.Sum64(), 0)),
	}
}

// Verdict is how the deployment ended. It is undecided after an interrupted
// watch; Err says why.
func (p *polling) Verdict() Verdict { return p.verdict }

// Err returns what ended the watch before there was a verdict: the context's
// error, or an error of AWS that waiting does not cure.
func (p *polling) Err() error { return p.err }

// watched is what differs between watches.
type watched interface {
	// poll asks for the state once, age after the watch began, and returns what
	// is new in it.
	poll(ctx context.Context, age time.Duration) ([]Event, error)
	// judge says whether the state is the end.
	judge() Verdict
	// words say in one line where the state stands.
	words() string
}

// until polls w until the deployment ended, the timeout passed or ctx is done,
// and yields what happened in between.
func (p *polling) until(ctx context.Context, w watched) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		begin := time.Now()
		deadline := begin.Add(p.timeout)
		for interval := time.Duration(0); ; {
			if !time.Now().Before(deadline) {
				p.verdict = Verdict{TimedOut, fmt.Sprintf("no end after %g minutes: %s", p.timeout.Minutes(), w.words())}
				return
			}
			pollContext, cancel := context.WithTimeout(ctx, min(pollLimit, time.Until(deadline)))
			events, err := w.poll(pollContext, time.Since(begin))
			cancel()
			if ctx.Err() != nil {
				p.err = context.Cause(ctx)
				return
			}
			if err != nil && !passing(err) {
				p.err = err
				return
			}
			if err != nil && !time.Now().Before(deadline) {
				continue // the poll was cut short by the timeout, not by AWS
			}
			for _, e := range append(events, p.spell(err)...) {
				if !yield(e) {
					return
				}
			}
			if err == nil {
				if p.verdict = w.judge(); p.verdict.Final() {
					return
				}
			}
			interval = max(pace(interval, len(events) > 0, err != nil), afford(p.calls, time.Since(begin)))
			select {
			case <-ctx.Done():
				p.err = context.Cause(ctx)
				return
			case <-time.After(min(p.jitter(interval), time.Until(deadline))):
			}
		}
	}
}

// pace returns the pause before the next poll: short after a change, growing
// while all is quiet, long after an error so that a throttled AWS recovers.
func pace(last time.Duration, moved, failed bool) time.Duration {
	switch {
	case failed:
		return calmPoll
	case moved || last == 0:
		return quickPoll
	default:
		return min(last*3/2, calmPoll)
	}
}

// afford returns how long to wait until calls, made in elapsed, are within the
// rate that a watch may take.
func afford(calls int, elapsed time.Duration) time.Duration {
	return time.Duration(float64(calls-callsAtOnce)/callsPerSecond*float64(time.Second)) - elapsed
}

// jitter spreads the polls of parallel steps over a fifth of the interval.
func (p *polling) jitter(d time.Duration) time.Duration {
	return d*9/10 + time.Duration(p.spread.Int64N(int64(d/5)))
}

// passing reports whether err may be gone at the next poll. What cannot heal by
// waiting is a refusal: a missing right, or a name that does not exist.
func passing(err error) bool {
	var problem *Problem
	switch {
	case denied(err), errors.As(err, &problem):
		return false
	case slices.Contains([]string{"InvalidParameterException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException"}, codeOf(err)):
		return false
	}
	return true
}

// spell tells of silence once when it begins and once when it ends.
func (p *polling) spell(err error) []Event {
	was := p.outage
	p.outage = err != nil
	switch {
	case err != nil && !was:
		return []Event{{time.Now(), p.whom + " does not answer, watching on: " + err.Error(), true}}
	case err == nil && was:
		return []Event{{time.Now(), p.whom + " answers again", false}}
	}
	return nil
}
