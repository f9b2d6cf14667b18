package ecs

// Readings that are asked for at the same time share a call: AWS describes ten
// services, or twenty deployments, as cheaply as one.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ecsdeploy/pkg/guard"
)

// result is what a shared call found for one key.
type result[V any] struct {
	value V
	err   error
}

// coalescer collects keys that are asked for within a short window and has them
// fetched by one call. A key that is asked for twice in a window is fetched
// once. Who asks after the call was made waits for the next: a value is never
// older than the question for it.
type coalescer[K comparable, V any] struct {
	window time.Duration
	most   int // keys of one call
	fetch  func(context.Context, []K) map[K]result[V]

	mu   sync.Mutex
	next *batch[K, V] // collects keys; nil while nobody waits
}

// newCoalescer returns a coalescer over fetch, which has to bound its own time
// and returns a result for every key; its context ends when nobody waits for
// the call any more.
func newCoalescer[K comparable, V any](window time.Duration, most int, fetch func(context.Context, []K) map[K]result[V]) *coalescer[K, V] {
	return &coalescer[K, V]{window: window, most: most, fetch: fetch}
}

// batch is one shared call.
type batch[K comparable, V any] struct {
	ctx     context.Context
	cancel  context.CancelFunc
	keys    []K
	asked   map[K]bool
	waiting int  // callers that have not given up
	sent    bool // no key joins any more
	timer   *time.Timer
	done    chan struct{} // closed once results are final
	results map[K]result[V]
}

// get returns the value of key. When ctx ends, the caller stops waiting at once
// and the call goes on for the others.
func (c *coalescer[K, V]) get(ctx context.Context, key K) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, err
	}
	b := c.join(ctx, key)
	select {
	case <-b.done:
		if r, ok := b.results[key]; ok {
			return r.value, r.err
		}
		return none, fmt.Errorf("no result for %v", key)
	case <-ctx.Done():
		c.leave(b)
		return none, ctx.Err()
	}
}

// join adds key to the batch that collects, and opens one where there is none.
func (c *coalescer[K, V]) join(ctx context.Context, key K) *batch[K, V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.next
	if b == nil {
		b = &batch[K, V]{asked: map[K]bool{}, done: make(chan struct{})}
		// The call belongs to all its callers, so that of the first does not end it.
		b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
		b.timer = time.AfterFunc(c.window, func() { c.send(b) })
		c.next = b
	}
	b.waiting++
	if !b.asked[key] {
		b.asked[key] = true
		b.keys = append(b.keys, key)
	}
	if len(b.keys) == c.most {
		c.next = nil
		b.timer.Reset(0)
	}
	return b
}

// leave counts a caller that gave up. The last one ends the call.
func (c *coalescer[K, V]) leave(b *batch[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.waiting--; b.waiting > 0 {
		return
	}
	b.cancel()
	if c.next == b {
		c.next = nil
		b.timer.Stop()
	}
}

// send closes the batch to further keys and fetches it.
func (c *coalescer[K, V]) send(b *batch[K, V]) {
	c.mu.Lock()
	sent := b.sent // the timer ran out just when the batch became full
	b.sent = true
	if c.next == b {
		c.next = nil
	}
	c.mu.Unlock()
	if sent {
		return
	}
	defer b.cancel()
	defer close(b.done)
	if b.ctx.Err() != nil {
		return
	}
	// A panic here would be in a goroutine of nobody's and end the process; the
	// callers can say what they were doing.
	results, err := guard.Value(func() (map[K]result[V], error) { return c.fetch(b.ctx, b.keys), nil })
	if b.results = results; err != nil {
		b.results = all[K, V](b.keys, err)
	}
}

// all returns the same error for each of the keys.
func all[K comparable, V any](keys []K, err error) map[K]result[V] {
	results := map[K]result[V]{}
	for _, key := range keys {
		results[key] = result[V]{err: err}
	}
	return results
}

// each fetches keys by one call, or one by one, side by side, where the call for
// several of them is refused for a reason that may concern only one. It reports
// whether they were fetched one by one.
func each[K comparable, V any](keys []K, fetch func([]K) (map[K]result[V], error)) (results map[K]result[V], separately bool) {
	results, err := fetch(keys)
	switch {
	case err == nil:
		return results, false
	case len(keys) == 1 || !ofOne(err):
		return all[K, V](keys, err), false
	}
	return separate(keys, fetch), true
}

// separate fetches every key by a call of its own, side by side.
func separate[K comparable, V any](keys []K, fetch func([]K) (map[K]result[V], error)) map[K]result[V] {
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		results = map[K]result[V]{}
	)
	for _, key := range keys {
		wait.Go(func() {
			one, err := guard.Value(func() (map[K]result[V], error) { return fetch([]K{key}) })
			r, ok := one[key]
			switch {
			case err != nil:
				r = result[V]{err: err}
			case !ok:
				r = result[V]{err: errors.New("no result")}
			}
			mu.Lock()
			defer mu.Unlock()
			results[key] = r
		})
	}
	wait.Wait()
	return results
}

// ofOne reports whether a call for several names may have been refused because
// of one of them.
func ofOne(err error) bool {
	switch Classify(err) {
	case Denied, Gone, Invalid:
		return true
	}
	return false
}
