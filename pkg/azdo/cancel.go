package azdo

// Whether the run was cancelled. In container jobs the agent's signal does not
// reach the task, so that the server is the only one who can tell.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// pollTimeout bounds one question of [Client.Cancelled].
const pollTimeout = 10 * time.Second

// Cancelled reports whether this run, the stage or the job of this step was
// cancelled or has ended for the server. It takes nothing from the budget and
// lasts 10 seconds at most.
func (c *Client) Cancelled(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	var cancelled bool
	switch {
	case c.o.Release != 0:
		err := c.guarded(ctx, fmt.Sprintf("state of release %d", c.o.Release), viewReleases, func(ctx context.Context) error {
			r, err := c.getRelease(ctx)
			if err == nil {
				cancelled = stageCancelled(r, c.o.Environment)
			}
			return err
		})
		return cancelled, err
	case c.o.Build == 0:
		return false, notFound("state of this run")
	}
	err := c.guarded(ctx, fmt.Sprintf("state of build %d", c.o.Build), viewBuilds, func(ctx context.Context) error {
		b, err := c.askBuild(ctx, c.o.Project, c.o.Build)
		if err != nil {
			return err
		}
		if b.Status == "cancelling" || b.Status == "completed" {
			cancelled = true
			return nil
		}
		records, err := c.askTimeline(ctx, c.o.Project, c.o.Build)
		cancelled = jobEnded(records, c.o.Job)
		return err
	})
	return cancelled, err
}

// jobEnded reports whether the job, or the phase or stage that it belongs to, has
// ended: that happens before the step has ended only if somebody stopped it.
func jobEnded(records []record, job string) bool {
	byID := make(map[string]record, len(records))
	for _, r := range records {
		byID[strings.ToLower(r.ID)] = r
	}
	id := strings.ToLower(job)
	for range len(records) { // no longer than this, should parents form a circle
		r, ok := byID[id]
		if !ok {
			return false
		}
		if strings.EqualFold(r.State, "completed") {
			return true
		}
		id = strings.ToLower(r.ParentID)
	}
	return false
}

func stageCancelled(r release, environment int) bool {
	if strings.EqualFold(r.Status, "abandoned") {
		return true
	}
	for _, e := range r.Environments {
		if e.ID == environment {
			switch strings.ToLower(e.Status) {
			case "canceled", "rejected", "succeeded", "partiallysucceeded":
				return true
			}
		}
	}
	return false
}

// AwaitCancel asks until the run is cancelled, and then returns nil. Its error is
// that of ctx, or says that the server will not tell: access denied, or no such
// run. Other failures pass, and are asked through; a server that refuses too many calls
// is not asked again before the time that it names.
func (c *Client) AwaitCancel(ctx context.Context, every time.Duration) error {
	for {
		wait := every
		cancelled, err := c.Cancelled(withWait(ctx, &wait))
		if !busy(err) {
			wait = every
		}
		switch e, ok := errors.AsType[*Error](err); {
		case cancelled:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case ok && (e.Denied || NotFound(err)):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(wait, every)):
		}
	}
}
