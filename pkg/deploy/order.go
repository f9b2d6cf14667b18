package deploy

// Whose turn it is: another deployment that is in flight, and a build that is
// older than the one that runs.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ecsdeploy/pkg/rollout"
)

// Busy says what to do when another deployment of the service is in flight.
type Busy string

// The choices; the zero value is Wait.
const (
	Wait      Busy = "wait"      // until it has ended
	Supersede Busy = "supersede" // let ours replace it
	Fail      Busy = "fail"      // change nothing
)

// inFlight returns the deployment that is under way, unless it brings the
// wanted revision: that one is ours, from an earlier run of this step.
func (s *servicePlan) inFlight(wanted string) (deployment, bool) {
	if s.other == nil || wanted != "" && s.other.known().TaskDefinition == wanted {
		return nil, false
	}
	return s.other, true
}

// called is a deployment in a sentence.
func called(k known) string {
	if k.TaskDefinition == "" { // CodeDeploy's, whose AppSpec cannot be read
		return "deployment " + k.ID
	}
	return fmt.Sprintf("deployment %s of %s", k.ID, rollout.ShortARN(k.TaskDefinition))
}

// checkTurn refuses a deployment that is not to happen now.
func (p *plan) checkTurn(s *servicePlan) error {
	if other, busy := s.inFlight(s.registered()); busy && p.request.WhenBusy == Fail {
		return &rollout.Problem{Input: "whenBusy",
			Message: fmt.Sprintf("service %s is busy with %s, and whenBusy is fail", s.name.Name, called(other.known())),
			Advice:  "run the step again when it has ended, or choose wait or supersede"}
	}
	if p.request.AllowOlderBuild {
		return nil
	}
	running, known := s.running.Provenance()
	if ours := p.origin(); known && ours.OlderThan(running) {
		return &rollout.Problem{Input: "olderBuild",
			Message: fmt.Sprintf("service %s runs build %s of this pipeline, which is newer than build %s", s.name.Name, running.BuildID, ours.BuildID),
			Advice:  "command rollback goes back on purpose; olderBuild: allow lets any build through"}
	}
	return nil
}

// settle brings the plan of a service up to date before it is changed: a push
// may have taken minutes, and where another deployment is in flight its end is
// waited for, or brought about where ours cannot replace it.
func (d *Deployer) settle(ctx context.Context, p *plan, s *servicePlan) error {
	log := d.Log.With("service", s.name.Name)
	refresh := p.request.Push // nothing else lies between the plan and now
	told := false             // that the service is moved by another deployment
	for {
		if refresh {
			fresh, err := d.readService(ctx, s.name, p.request.TaskDefinition)
			if err != nil {
				return err
			}
			if fresh.service.TaskDefinition != s.service.TaskDefinition && !told {
				log.Warn("the service was moved from " + rollout.ShortARN(s.service.TaskDefinition) + " to " + rollout.ShortARN(fresh.service.TaskDefinition) + " by someone else since the plan was made")
			}
			fresh.ended = s.ended
			*s = *fresh
			if err := d.prepare(ctx, p, s, true); err != nil {
				return err
			}
		}
		other, busy := s.inFlight(s.registered())
		if !busy {
			return nil
		}
		name := called(other.known())
		switch {
		case p.request.WhenBusy != Supersede:
			log.Info(fmt.Sprintf("waiting for %s to end (whenBusy is wait)", name))
			if err := d.await(ctx, s, other, p.request.Timeout); err != nil {
				return err
			}
		case other.known().alone:
			if err := d.end(ctx, log, s, other); err != nil {
				return err
			}
		default:
			log.Warn(name + " is still in progress: this one replaces it")
			return nil
		}
		refresh = true
		told = other.known().alone // such a one moves the service only with the traffic
	}
}

// end stops a deployment that ours cannot start beside, and waits until the
// service is back.
func (d *Deployer) end(ctx context.Context, log *slog.Logger, s *servicePlan, other deployment) error {
	log.Warn(called(other.known()) + " is still in progress: stopping it, for this one to take its place")
	switch err := other.stop(ctx); {
	case err == nil:
		s.ended = true
	case !errors.Is(err, rollout.ErrEnded):
		return err
	}
	return d.await(ctx, s, other, backLimit)
}

// await waits for the end of a deployment, whatever it is.
func (d *Deployer) await(ctx context.Context, s *servicePlan, other deployment, timeout time.Duration) error {
	name := called(other.known())
	w := other.watch(limits{timeout: timeout})
	for range w.Events(ctx) {
	}
	if err := w.Err(); err != nil {
		return fmt.Errorf("wait for %s of service %s: %w", name, s.name.Name, err)
	}
	switch v := w.Verdict(); v.Outcome {
	case rollout.TimedOut, rollout.Paused:
		return &rollout.Problem{Input: "whenBusy",
			Message: fmt.Sprintf("service %s is still busy with %s: %s", s.name.Name, name, v.Reason),
			Advice:  "end that deployment, or choose whenBusy: supersede"}
	}
	return nil
}
