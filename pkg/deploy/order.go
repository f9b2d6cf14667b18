package deploy

// Whose turn it is: another deployment that is in flight, and a build that is
// older than the one that runs.

import (
	"context"
	"fmt"
	"strconv"

	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
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
func inFlight(s rollout.Service, wanted string) (rollout.Deployment, bool) {
	primary := s.Primary()
	return primary, primary.RolloutState == "IN_PROGRESS" && (wanted == "" || primary.TaskDefinition != wanted)
}

// checkTurn refuses a deployment that is not to happen now.
func (p *plan) checkTurn(s *servicePlan) error {
	if other, busy := inFlight(s.service, s.registered()); busy && p.request.WhenBusy == Fail {
		return &rollout.Problem{Input: "whenBusy",
			Message: fmt.Sprintf("service %s is busy with deployment %s of %s, and whenBusy is fail", s.name.Name, other.ID, shortARN(other.TaskDefinition)),
			Advice:  "run the step again when it has ended, or choose wait or supersede"}
	}
	if p.request.AllowOlderBuild {
		return nil
	}
	running, known := s.running.Provenance()
	if ours := p.origin(); known && olderBuild(ours, running) {
		return &rollout.Problem{Input: "olderBuild",
			Message: fmt.Sprintf("service %s runs build %s of this pipeline, which is newer than build %s", s.name.Name, running.BuildID, ours.BuildID),
			Advice:  "command rollback goes back on purpose; olderBuild: allow lets any build through"}
	}
	return nil
}

// olderBuild reports whether a is an earlier build than b. Builds are compared
// only within one pipeline, and only by ids that are numbers: others have no order.
func olderBuild(a, b taskdef.Provenance) bool {
	if a.Pipeline == "" || a.Pipeline != b.Pipeline {
		return false
	}
	x, errX := strconv.ParseUint(a.BuildID, 10, 64)
	y, errY := strconv.ParseUint(b.BuildID, 10, 64)
	return errX == nil && errY == nil && x < y
}

// settle brings the plan of a service up to date before it is changed: a push
// may have taken minutes, and where another deployment is in flight its end is
// waited for.
func (d *Deployer) settle(ctx context.Context, p *plan, s *servicePlan) error {
	log := d.Log.With("service", s.name.Name)
	refresh := p.request.Push // nothing else lies between the plan and now
	for {
		if refresh {
			fresh, err := d.readService(ctx, s.name, p.request.TaskDefinition)
			if err != nil {
				return err
			}
			if fresh.service.TaskDefinition != s.service.TaskDefinition {
				log.Warn("the service was moved from " + shortARN(s.service.TaskDefinition) + " to " + shortARN(fresh.service.TaskDefinition) + " by someone else since the plan was made")
			}
			*s = *fresh
			if err := p.fit(s); err != nil {
				return err
			}
		}
		other, busy := inFlight(s.service, s.registered())
		switch {
		case !busy:
			return nil
		case p.request.WhenBusy == Supersede:
			log.Warn(fmt.Sprintf("deployment %s of %s is still in progress: this one replaces it", other.ID, shortARN(other.TaskDefinition)))
			return nil
		}
		log.Info(fmt.Sprintf("waiting for deployment %s of %s to end (whenBusy is wait)", other.ID, shortARN(other.TaskDefinition)))
		w := d.ECS.Watch(rollout.Join(s.service, s.service), p.request.Timeout)
		for range w.Events(ctx) {
		}
		if err := w.Err(); err != nil {
			return fmt.Errorf("wait for deployment %s of service %s: %w", other.ID, s.name.Name, err)
		}
		switch v := w.Verdict(); v.Outcome {
		case rollout.TimedOut, rollout.Paused:
			return &rollout.Problem{Input: "whenBusy",
				Message: fmt.Sprintf("service %s is still busy with deployment %s of %s: %s", s.name.Name, other.ID, shortARN(other.TaskDefinition), v.Reason),
				Advice:  "end that deployment, or choose whenBusy: supersede"}
		}
		refresh = true
	}
}
