package deploy

// The phase before anything of a service is changed: each is read again where time
// has passed since the plan, and another deployment in progress is waited for,
// ended, or a reason to stop. And whose turn it is: an older build does not replace
// a newer one.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// with is the plan after the push: the image is the one that ECR has.
func (p *Plan) with(im Candidate) *Plan {
	pushed := *p
	pushed.Image = im
	return &pushed
}

// inFlight returns the deployment in progress, unless it brings the wanted
// revision: that one is ours, from an earlier run of this step.
func (s ServicePlan) inFlight(wanted string) (rollout.Deployment, bool) {
	if s.Other == nil {
		return nil, false
	}
	if other := s.Other.Snapshot(); wanted != "" && other.Revision == wanted && !other.RollingBack() {
		return nil, false
	}
	return s.Other, true
}

// checkTurn refuses a deployment that is not to happen now.
func (p *Plan) checkTurn(s ServicePlan) error {
	if other, busy := s.inFlight(s.Registered()); busy && p.Request.WhenBusy == Fail {
		return mistake.New(mistake.Busy, "run the step again when it has ended, or choose wait or supersede",
			"service %s: %s is in progress, and whenBusy is fail", s.Name.Name, named(other.Snapshot()))
	}
	if newer, older := p.Older(s); older && !p.Request.AllowOlderBuild && !p.Request.Rerun && !s.Before {
		return mistake.New(mistake.Order, "command rollback goes back on purpose; the variable EcsDeploy.OlderBuild=allow, which can be set when a run is queued or a release is created, or olderBuild: allow lets this build through",
			"service %s runs build %s of this pipeline, which is newer than build %s", s.Name.Name, newer, p.origin().BuildID)
	}
	return nil
}

// Older reports whether the service runs a newer build of the same pipeline than
// this run's, and which. Where infrastructure registered the running image again,
// the pipeline's own revision says whose build that is.
func (p *Plan) Older(s ServicePlan) (newer string, older bool) {
	running, known := s.runs()
	return running.BuildID, known && p.origin().OlderThan(running)
}

// named is a deployment within an error.
func named(s rollout.Snapshot) string {
	if s.Revision == "" { // CodeDeploy's, whose AppSpec cannot be read
		return "deployment " + s.ID
	}
	return fmt.Sprintf("deployment %s of %s", s.ID, ecs.ShortARN(s.Revision))
}

// settle brings every service to where it can be changed. It is a barrier: nothing
// of any service is changed before all are settled.
func (d *Deployer) settle(ctx context.Context, p *Plan) ([]ServicePlan, error) {
	settled := make([]ServicePlan, len(p.Services))
	library := newLibrary(d.ECS)
	err := each(p.Services, func(i int, s ServicePlan) (err error) {
		settled[i], err = d.settleService(ctx, p, library, s, p.Request.Push)
		return err
	})
	if err != nil {
		d.showCleared(ctx, settled)
	}
	return settled, err
}

// again is the pause before a deployment that has ended is looked at once more: the
// service's list shows its end later than its own record does.
const again = 3 * time.Second

// settleService returns the service as it is once no other deployment is in the
// way. stale says that time has passed since it was read.
func (d *Deployer) settleService(ctx context.Context, p *Plan, library *library, s ServicePlan, stale bool) (ServicePlan, error) {
	waited := ""     // id of the deployment that was waited for last
	expected := true // a service that someone else has moved is worth a line
	for {
		if stale {
			fresh, err := d.readService(ctx, library, s.Name, d.baseOf(ctx, library, p.Request))
			if err != nil {
				return s, err
			}
			if fresh.Service.TaskDefinition != s.Service.TaskDefinition && expected {
				d.View.Show(Moved{s.Name, s.Service.TaskDefinition, fresh.Service.TaskDefinition})
			}
			fresh.Cleared = s.Cleared
			if s, err = d.prepare(ctx, p, fresh, true); err != nil {
				return s, err
			}
		}
		other, busy := s.inFlight(s.Registered())
		if !busy {
			return s, nil
		}
		now := other.Snapshot()
		if now.ID == waited { // its record has ended, and the list is late
			if err := sleep(ctx, again); err != nil {
				return s, err
			}
		}
		if p.Request.WhenBusy == Supersede && !now.Blocks() {
			d.View.Show(BusyWith{s.Name, now, Supersede, false})
			return s, nil
		}
		stopped, err := d.clear(ctx, p, s, other, now.ID == waited)
		s.Cleared = s.Cleared || stopped
		if err != nil {
			return s, err
		}
		waited, stale = now.ID, true
		expected = !now.Blocks() // such a one moves the service only with the traffic
		library = newLibrary(d.ECS)
	}
}

// clear waits for the end of another deployment, or brings it about where ours may
// replace it and cannot start beside it. stopped says that it was stopped.
func (d *Deployer) clear(ctx context.Context, p *Plan, s ServicePlan, other rollout.Deployment, told bool) (stopped bool, err error) {
	now := other.Snapshot()
	stop := p.Request.WhenBusy == Supersede
	if !told {
		d.View.Show(BusyWith{s.Name, now, p.Request.WhenBusy, stop})
	}
	if stop {
		err := other.Stop(ctx)
		if err != nil && !errors.Is(err, rollout.ErrEnded) && !errors.Is(err, rollout.ErrNotOurs) {
			return false, err
		}
		stopped = err == nil
	}
	for e := range other.Watch(ctx, rollout.Limits{Timeout: until(ctx), Until: rollout.UntilEnded}) {
		switch e.What.(type) {
		case rollout.Heartbeat, rollout.Silence:
			d.View.Show(Happened{s.Name, e})
		}
	}
	verdict, err := other.Verdict(), other.Err()
	if _, late := errors.AsType[*TimeoutError](err); late {
		verdict, err = rollout.Verdict{Outcome: rollout.TimedOut}, nil
	}
	if err != nil {
		return stopped, fmt.Errorf("wait for %s of service %s: %w", named(now), s.Name.Name, err)
	}
	switch verdict.Outcome {
	case rollout.TimedOut, rollout.Paused:
		return stopped, &BusyError{Service: s.Name, Other: other.Snapshot(), Verdict: verdict}
	}
	return stopped, nil
}

// BusyError says that another deployment did not end in time, or waits for an
// answer itself.
type BusyError struct {
	Service Service
	Other   rollout.Snapshot
	Verdict rollout.Verdict
}

func (e *BusyError) Error() string {
	why := "is still in progress"
	if e.Verdict.Outcome == rollout.Paused {
		why = "is paused and waits for an answer"
	}
	return fmt.Sprintf("service %s: %s %s", e.Service.Name, named(e.Other), why)
}

// Hint says what to do about it.
func (e *BusyError) Hint() string {
	if e.Verdict.Outcome == rollout.Paused {
		return "answer it with command resume, or choose whenBusy: supersede"
	}
	return "end that deployment, or choose whenBusy: supersede"
}

// until is how long a context lasts.
func until(ctx context.Context) time.Duration {
	if deadline, bounded := ctx.Deadline(); bounded {
		return time.Until(deadline)
	}
	return unlimited
}

// sleep waits, or returns why the context ended before.
func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pause):
		return nil
	}
}

// each runs do for every one side by side and joins the errors in order. A panic is
// an error of that one.
func each[T any](all []T, do func(i int, one T) error) error {
	var wait sync.WaitGroup
	errs := make([]error, len(all))
	for i, one := range all {
		spawn(&wait, &errs[i], func() error { return do(i, one) })
	}
	wait.Wait()
	return errors.Join(errs...)
}
