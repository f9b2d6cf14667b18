package azdo

// Whether the run was cancelled. In container jobs the agent's signal does not
// reach the task, so that the server is the only one who can tell.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/release"
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
				cancelled = stageCancelled(value(r), c.o.Environment)
			}
			return err
		})
		return cancelled, err
	case c.o.Build == 0:
		return false, notFound("state of this run")
	}
	client := &build.ClientImpl{Client: c.client(c.base)}
	err := c.guarded(ctx, fmt.Sprintf("state of build %d", c.o.Build), viewBuilds, func(ctx context.Context) error {
		b, err := client.GetBuild(ctx, build.GetBuildArgs{Project: &c.o.Project, BuildId: &c.o.Build})
		if err != nil {
			return err
		}
		switch value(b.Status) {
		case build.BuildStatusValues.Cancelling, build.BuildStatusValues.Completed:
			cancelled = true
			return nil
		}
		timeline, err := client.GetBuildTimeline(ctx, build.GetBuildTimelineArgs{Project: &c.o.Project, BuildId: &c.o.Build})
		if err == nil {
			cancelled = jobEnded(value(value(timeline).Records), c.o.Job)
		}
		return err
	})
	return cancelled, err
}

// jobEnded reports whether the job, or the phase or stage that it belongs to, has
// ended: that happens before the step has ended only if somebody stopped it.
func jobEnded(records []build.TimelineRecord, job string) bool {
	id, err := uuid.Parse(job)
	if err != nil {
		return false
	}
	byID := make(map[uuid.UUID]build.TimelineRecord, len(records))
	for _, r := range records {
		byID[value(r.Id)] = r
	}
	for range len(records) { // no longer than this, should parents form a circle
		r, ok := byID[id]
		if !ok {
			return false
		}
		if strings.EqualFold(string(value(r.State)), "completed") {
			return true
		}
		id = value(r.ParentId)
	}
	return false
}

func stageCancelled(r release.Release, environment int) bool {
	if strings.EqualFold(string(value(r.Status)), "abandoned") {
		return true
	}
	for _, e := range value(r.Environments) {
		if value(e.Id) == environment {
			switch strings.ToLower(string(value(e.Status))) {
			case "canceled", "rejected", "succeeded", "partiallysucceeded":
				return true
			}
		}
	}
	return false
}

// AwaitCancel asks until the run is cancelled, and then returns nil. Its error is
// that of ctx, or says that the server will not tell: access denied, or no such
// run. Other failures pass, and are asked through.
func (c *Client) AwaitCancel(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		cancelled, err := c.Cancelled(ctx)
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
		case <-tick.C:
		}
	}
}
