package ecs

// How calls are made: how long one may take, how often it is tried, and what is
// known of a call that failed.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go/middleware"
)

// limits bound one call with all its attempts.
type limits struct {
	budget   time.Duration
	attempts int
	change   bool // the call changes something, so that a lost answer leaves open whether it did
	once     bool // a second attempt could do it twice, so only what certainly did nothing is tried again
}

var (
	// needed is for readings without which a run cannot go on.
	needed = limits{budget: 30 * time.Second, attempts: 8}
	// watching is for the service itself, which is read again and again.
	watching = limits{budget: 10 * time.Second, attempts: 6}
	// optional is for records that a verdict can do without: a call that ECS
	// does not answer must not keep the service from being read.
	optional = limits{budget: 5 * time.Second, attempts: 2}
	// courtesy is for what only makes an error more helpful.
	courtesy = limits{budget: 2 * time.Second, attempts: 1}
	// idempotent is for changes that may be asked for twice. ECS throttles some
	// of them at a burst of 20 and then 1 a second, and a team releases many
	// services at once. So many attempts outlast a minute however the pauses fall.
	idempotent = limits{budget: 2 * time.Minute, attempts: 14, change: true}
	// once is for changes that must not be made twice.
	once = limits{budget: 2 * time.Minute, attempts: 14, change: true, once: true}
	// single is for a change that depends on what is there: before another attempt its
	// caller reads that again.
	single = limits{budget: 30 * time.Second, attempts: 1, change: true, once: true}
)

// operation is a method of the SDK's client.
type operation[I, O any] func(context.Context, *I, ...func(*ecs.Options)) (*O, error)

// call makes a call within its limits. The error says during what it came up,
// in AWS's own words, and keeps the answer that led to it: not that there was no
// time left to try again.
func call[I, O any](ctx context.Context, what string, l limits, op operation[I, O], in *I, options ...func(*ecs.Options)) (*O, error) {
	if err := ctx.Err(); err != nil {
		return nil, during(what, err)
	}
	own, cancel := context.WithTimeout(ctx, l.budget)
	defer cancel()
	tries := &tries{Standard: retry.NewStandard(), limits: l}
	options = append(slices.Clip(options), func(o *ecs.Options) { o.Retryer = tries })
	out, err := op(own, in, options...)
	for unread := 1; unreadable(err) && !l.once && unread < l.attempts && tries.pause(own, unread); unread++ {
		out, err = op(own, in, options...)
	}
	if err == nil {
		return out, nil
	}
	failed := &callError{during: what, err: err, ambiguous: l.change && tries.acted}
	if end := cmp.Or(ctx.Err(), own.Err()); end != nil && (cut(err) || errors.Is(err, end)) {
		failed.err = &unanswered{end: end, last: tries.answer}
	}
	return nil, failed
}

// tries decides after every attempt of one call whether there is another.
type tries struct {
	*retry.Standard
	limits limits
	answer error // of the last attempt that was not cut short
	acted  bool  // an attempt may have done what was asked for
}

// MaxAttempts is how often the call is made at most.
func (t *tries) MaxAttempts() int { return t.limits.attempts }

// IsErrorRetryable decides whether to try again after err.
func (t *tries) IsErrorRetryable(err error) bool {
	t.acted = t.acted || mayHaveActed(err)
	if cut(err) {
		return false
	}
	t.answer = err
	if t.limits.once {
		return passes(err) && !mayHaveActed(err)
	}
	return passes(err)
}

// The pause before another attempt doubles from the first to the longest.
const (
	firstPause   = 400 * time.Millisecond
	longestPause = 20 * time.Second
)

// RetryDelay is the pause after the given attempt.
func (t *tries) RetryDelay(attempt int, err error) (time.Duration, error) {
	return Backoff{}.BackoffDelay(attempt, err)
}

// Backoff is the pause before another attempt of a call. It is spread by the clock,
// so that it differs between agents and repeats in a test whose clock does.
type Backoff struct{}

// BackoffDelay is the pause after the given attempt, counted from 1.
func (Backoff) BackoffDelay(attempt int, _ error) (time.Duration, error) {
	pause := min(firstPause<<min(max(attempt-1, 0), 10), longestPause)
	spread := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(attempt)))
	return pause/2 + time.Duration(spread.Int64N(int64(pause/2))), nil
}

// pause waits before another attempt, and reports whether there is time for it.
func (t *tries) pause(ctx context.Context, attempt int) bool {
	wait, _ := t.RetryDelay(attempt, nil)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// GetRetryToken never refuses: the SDK's allowance for all calls together would
// give up after a handful of throttled ones, and attempts and time bound this
// one already.
func (t *tries) GetRetryToken(context.Context, error) (func(error) error, error) {
	return func(error) error { return nil }, nil
}

// Unmade reports whether a call certainly did nothing, and another attempt may succeed:
// it was throttled, or never reached AWS.
func Unmade(err error) bool { return passes(err) && !mayHaveActed(err) && !Ambiguous(err) }

// cut reports whether an attempt was ended by the end of its context.
func cut(err error) bool {
	canceled, ok := errors.AsType[interface {
		error
		CanceledError() bool
	}](err)
	return ok && canceled.CanceledError()
}

// unreadable reports whether an attempt was answered with a result that could
// not be read to its end.
func unreadable(err error) bool {
	if _, ok := errors.AsType[*garbled](err); ok {
		return true
	}
	status := statusOf(err)
	return err != nil && status >= http.StatusOK && status < http.StatusMultipleChoices
}

// passes reports whether the next attempt may succeed. The SDK reads all
// attempts of a call into one result, so after one that it could not read to its
// end the whole call is made again instead. A host that does not exist, and a
// certificate that is not trusted, stay so.
func passes(err error) bool {
	if name, ok := errors.AsType[*net.DNSError](err); unreadable(err) || untrusted(err) || ok && name.IsNotFound {
		return false
	}
	if skewed, ok := errors.AsType[interface {
		error
		RetryableError() bool
	}](err); ok && skewed.RetryableError() {
		return true // the SDK has corrected the clock by the answer's date
	}
	switch Classify(err) {
	case Throttled, Broken:
		return true
	}
	return concurrentRevision(err)
}

// concurrentRevision recognises the ClientException that ECS answers while
// another revision of the same family is being registered. It has no code of its
// own.
func concurrentRevision(err error) bool {
	return codeOf(err) == "ClientException" && containsFold(apiMessage(err), "too many concurrent")
}

// mayHaveActed reports whether ECS may have done what a failed attempt asked
// for. It did nothing where the request was never sent, and where it answered
// with a refusal.
func mayHaveActed(err error) bool {
	switch {
	case unsent(err):
		return false
	case cut(err):
		return true
	}
	switch Classify(err) {
	case Broken:
		return true
	case Throttled:
		return false
	}
	status := statusOf(err)
	return codeOf(err) == "" && (status < http.StatusBadRequest || status >= http.StatusInternalServerError)
}

// unanswered is a call that did not succeed in its time.
type unanswered struct {
	end  error // of the context
	last error // what the last attempt was answered; nil where none was
}

func (e *unanswered) Error() string {
	text := "no answer in time"
	if errors.Is(e.end, context.Canceled) {
		text = "canceled"
	}
	if e.last == nil {
		return text
	}
	return fmt.Sprintf("%s (%s)", apiMessage(e.last), text)
}

func (e *unanswered) Unwrap() []error {
	if e.last == nil {
		return []error{e.end}
	}
	return []error{e.last, e.end}
}

// garbled is a reply at which the SDK panicked, such as a time that is "NaN".
type garbled struct{ reason any }

func (e *garbled) Error() string { return fmt.Sprintf("the answer could not be read: %v", e.reason) }

// Survive makes a panic of the SDK while it reads a reply the error of the
// attempt. It is meant for [aws.Config.APIOptions], and so for every service.
func Survive(stack *middleware.Stack) error {
	if _, is := stack.Deserialize.Get("Survive"); is {
		return nil
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("Survive", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (out middleware.DeserializeOutput, meta middleware.Metadata, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = &garbled{v}
			}
		}()
		return next.HandleDeserialize(ctx, in)
	}), middleware.Before)
}

var _ aws.RetryerV2 = (*tries)(nil)
