package registry

// Ending what moves too little: nobody may hold a run by sending a byte now and then.

import (
	"context"
	"errors"
	"time"
)

// ErrStalled is the cause of cancelling a request that hardly moves any more.
var ErrStalled = errors.New("no bytes moved for too long")

// StalledOr is ErrStalled if that is why ctx ended, else err.
func StalledOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
		return cause
	}
	return err
}

// leastProgress is how many bytes have to move within the time that a request may
// stall: whoever sends one byte at a time could hold a run for ever.
const leastProgress = 16 << 10

// Watch ends what moves too little.
type Watch struct {
	stall  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
	recent int
}

// WatchStall returns a context that ends with ErrStalled when fewer than
// leastProgress bytes move within stall. The watch has to be stopped.
func WatchStall(ctx context.Context, stall time.Duration) (context.Context, *Watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watch{stall: stall, cancel: cancel}
	w.timer = time.AfterFunc(stall, func() { cancel(ErrStalled) })
	return ctx, w
}

// Moved counts bytes; never twice at the same time.
func (w *Watch) Moved(n int) {
	if w.recent += n; w.recent >= leastProgress {
		w.recent = 0
		w.timer.Reset(w.stall)
	}
}

// settle gives the other side time for what it has now.
func (w *Watch) settle(d time.Duration) { w.timer.Reset(w.stall + d) }

func (w *Watch) Stop() {
	w.timer.Stop()
	w.cancel(nil)
}
