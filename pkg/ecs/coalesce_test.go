package ecs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shared is a coalescer over a fetch that takes a second, and what it was asked.
type shared struct {
	*coalescer[string, string]
	mu    sync.Mutex
	calls [][]string
	ended int // calls whose context ended before they did
}

func newShared(most int) *shared {
	s := &shared{}
	s.coalescer = newCoalescer(20*time.Millisecond, most, func(ctx context.Context, keys []string) map[string]result[string] {
		s.mu.Lock()
		s.calls = append(s.calls, slices.Sorted(slices.Values(keys)))
		number := len(s.calls)
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.ended++
			s.mu.Unlock()
			return all[string, string](keys, ctx.Err())
		case <-time.After(time.Second):
		}
		results := map[string]result[string]{}
		for _, key := range keys {
			switch key {
			case "absent":
				results[key] = result[string]{err: errors.New("absent")}
			case "forgotten":
			case "panic":
				panic("of the fetch")
			default:
				results[key] = result[string]{value: fmt.Sprint(key, number)}
			}
		}
		return results
	})
	return s
}

// ask gets several keys side by side and returns a value or an error for each.
func (s *shared) ask(ctx context.Context, keys ...string) []string {
	answers := make([]string, len(keys))
	var wait sync.WaitGroup
	for i, key := range keys {
		wait.Go(func() {
			value, err := s.get(ctx, key)
			if answers[i] = value; err != nil {
				answers[i] = "error: " + err.Error()
			}
		})
	}
	wait.Wait()
	return answers
}

func TestCoalescer(t *testing.T) {
	tests := []struct {
		name  string
		most  int
		keys  []string
		calls string // by size
		want  string
	}{
		{"one", 10, []string{"a"}, "[1]", "[a1]"},
		{"several", 10, []string{"a", "b", "c"}, "[3]", "[a1 b1 c1]"},
		{"the same key twice", 10, []string{"a", "a", "b"}, "[2]", "[a1 a1 b1]"},
		{"one fails", 10, []string{"a", "absent"}, "[2]", "[a1 error: absent]"},
		{"one has no result", 10, []string{"a", "forgotten"}, "[2]", "[a1 error: no result for forgotten]"},
		{"the fetch panics", 10, []string{"a", "panic"}, "[2]", "[error: internal error: of the fetch error: internal error: of the fetch]"},
		{"exactly full", 2, []string{"a", "b"}, "[2]", ""},
		{"more than one call takes", 2, []string{"a", "b", "c", "d", "e"}, "[2 2 1]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShared(tt.most)
				answers := s.ask(t.Context(), tt.keys...)
				var sizes []int
				for _, call := range s.calls {
					sizes = append(sizes, len(call))
				}
				slices.SortFunc(sizes, func(a, b int) int { return b - a })
				if got := fmt.Sprint(sizes); got != tt.calls {
					t.Errorf("calls of %s keys, want %s", got, tt.calls)
				}
				if got := fmt.Sprint(answers); tt.want != "" && got != tt.want {
					t.Errorf("answers %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestCoalescerTakesItsTime: alone, a reading takes the window longer; a batch
// that is full does not wait for it.
func TestCoalescerTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		newShared(10).ask(t.Context(), "a")
		if took := time.Since(begin); took != time.Second+20*time.Millisecond {
			t.Errorf("alone: %s, want the window and the call", took)
		}
		begin = time.Now()
		newShared(3).ask(t.Context(), "a", "b", "c")
		if took := time.Since(begin); took != time.Second {
			t.Errorf("a full batch: %s, want the call", took)
		}
	})
}

// TestCoalescerIsNeverStale: who asks while a call is in flight gets the answer
// of a later one.
func TestCoalescerIsNeverStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(10)
		var wait sync.WaitGroup
		wait.Go(func() { s.ask(t.Context(), "a") })
		time.Sleep(30 * time.Millisecond)
		if got := s.ask(t.Context(), "a"); got[0] != "a2" {
			t.Errorf("got %s, want the second call's answer", got)
		}
		wait.Wait()
	})
}

func TestCoalescerHonoursEachContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(10)
		begin := time.Now()
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wait sync.WaitGroup
		wait.Go(func() {
			if got := s.ask(short, "a"); !strings.Contains(got[0], "deadline") || time.Since(begin) != 100*time.Millisecond {
				t.Errorf("%s after %s, want the deadline after 100ms", got, time.Since(begin))
			}
		})
		wait.Go(func() {
			if got := s.ask(t.Context(), "b"); got[0] != "b1" {
				t.Errorf("the other caller got %s, want b1", got)
			}
		})
		wait.Wait()
		if s.ended != 0 {
			t.Error("the call was ended for both callers")
		}
	})
}

// TestCoalescerEndsWithItsLastCaller: a call that nobody waits for is given up,
// and one that was not made yet is not made.
func TestCoalescerEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(10)
		inFlight, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		s.ask(inFlight, "a", "b")
		synctest.Wait()
		if s.ended != 1 {
			t.Errorf("%d calls ended, want the one", s.ended)
		}
		before, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		s.ask(before, "c")
		time.Sleep(time.Minute)
		if len(s.calls) != 1 {
			t.Errorf("calls %v, want no second", s.calls)
		}
		if got := s.ask(t.Context(), "d"); got[0] != "d2" {
			t.Errorf("afterwards: %s, want d2", got)
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if got := s.ask(done, "e"); got[0] != "error: context canceled" {
			t.Errorf("with a context that is done: %s", got)
		}
	})
}

// TestCoalescerUnderLoad: many callers that come and go all get an answer or
// their own context's error.
func TestCoalescerUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(10)
		var wait sync.WaitGroup
		for i := range 500 {
			wait.Go(func() {
				time.Sleep(time.Duration(i*7%100) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%5+1)*300*time.Millisecond)
				defer cancel()
				key := fmt.Sprintf("k%d-", i%37)
				value, err := s.get(ctx, key)
				if err == nil && !strings.HasPrefix(value, key) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %q, %v", key, value, err)
				}
			})
		}
		wait.Wait()
		for _, call := range s.calls {
			if len(call) > 10 {
				t.Errorf("a call of %d keys, want 10 at most", len(call))
			}
		}
	})
}
