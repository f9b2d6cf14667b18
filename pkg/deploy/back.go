package deploy

// The way back: a service whose rollout failed returns to the revision that
// ran before, and the step still fails. Where ECS rolls back by itself there is
// nothing to do here.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ecsdeploy/pkg/rollout"
)

// backLimit is how long a way back is watched: it starts tasks that ran before.
const backLimit = 15 * time.Minute

// goBack returns the service to a proven revision after its rollout, the
// deployment x, failed, and writes down how that went.
func (d *Deployer) goBack(ctx context.Context, log *slog.Logger, s *servicePlan, x deployment, w watch, result *ServiceResult) {
	why := strings.TrimSuffix(result.Reason, ".")
	stay := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		log.Warn("not rolled back: " + text)
		result.Reason = why + "; not rolled back: " + text
	}
	if w.State().Missing {
		return
	}
	to, err := d.proven(ctx, s, x.known().TaskDefinition)
	if err != nil {
		stay("%s", err)
		return
	}
	back, err := d.retreat(ctx, log, s, x, to)
	if err != nil {
		stay("%s", err)
		return
	}
	log.Info("rolling back to " + rollout.ShortARN(to))
	w = back.watch(limits{timeout: backLimit, untilTraffic: true})
	for e := range w.Events(ctx) {
		at(ctx, log, e)
	}
	switch v := w.Verdict(); {
	case w.Err() != nil:
		unseen := w.Err().Error()
		if ctx.Err() != nil {
			unseen = "the run was cancelled"
		}
		text := fmt.Sprintf("the way back to %s goes on in %s, and how it ends was not seen: %s", rollout.ShortARN(to), deployer(s.service), unseen)
		log.Warn(text)
		result.Reason = why + "; " + text
	case v.Outcome == rollout.RolledBack, v.Outcome == rollout.Succeeded && back.known().TaskDefinition == to:
		log.Info("the service is back on " + rollout.ShortARN(to) + " and stable")
		result.Outcome = rollout.RolledBack
		result.Reason = why + "; rolled back to " + rollout.ShortARN(to)
	case v.Outcome == rollout.Succeeded:
		stay("the deployment completed before it could be stopped")
	case v.Outcome == rollout.Superseded:
		stay("%s", v.Reason)
	default:
		stay("the rollback to %s did not end well: %s", rollout.ShortARN(to), v.Reason)
	}
}

// retreat starts the way back from the deployment x: it is ended and rolled
// back where it is under way, or, where it has ended or that is refused, the
// service is moved to the revision to, if another deployment can start beside it.
func (d *Deployer) retreat(ctx context.Context, log *slog.Logger, s *servicePlan, x deployment, to string) (deployment, error) {
	k := x.known()
	if k.underWay && to == k.Previous {
		err := x.stop(ctx)
		switch {
		case err == nil:
			return x, nil
		case k.alone && !errors.Is(err, rollout.ErrEnded): // nor would another be started
			return nil, err
		}
		log.Info(deployer(s.service) + " does not stop the deployment (" + err.Error() + "): moving the service back instead")
	}
	now, err := d.ECS.Service(ctx, s.name.Cluster, s.name.Name)
	if err != nil {
		return nil, err
	}
	if now.TaskDefinition == to && !k.alone {
		return nil, fmt.Errorf("%s is what was rolled out, and there is nothing else to go back to", rollout.ShortARN(to))
	}
	way, err := d.wayOf(ctx, now)
	if err != nil {
		return nil, err
	}
	// What CodeDeploy left behind may still have a share of the traffic.
	return way.start(ctx, log, rollout.Change{TaskDefinition: to, Force: k.alone}, false)
}

// proven returns the ARN of the revision to go back to from the given one: the
// one that ran before, if its own deployment was successful, else the last one
// whose was. It is never the placeholder, which would only hide that nothing runs.
func (d *Deployer) proven(ctx context.Context, s *servicePlan, from string) (string, error) {
	before, err := s.way.proven(ctx)
	if err != nil {
		return "", err
	}
	if before != "" {
		definition := s.running
		if definition.ARN() != before {
			if definition, err = d.ECS.Definition(ctx, before); err != nil {
				return "", err
			}
		}
		if isPlaceholder(definition) {
			return "", fmt.Errorf("what ran before, %s, is the placeholder", rollout.ShortARN(before))
		}
		return before, nil
	}
	for definition, err := range d.returnable(ctx, s, from) {
		return definition.ARN(), err
	}
	return "", fmt.Errorf("there is no other revision whose deployment to service %s was successful", s.name.Name)
}

// parting is how long an interrupted run may take to leave the service as it
// promised: the agent kills the step 10 s after it asked it to stop.
const parting = 5 * time.Second

// leave ends a run that was interrupted while it followed the deployment x: it
// has that rolled back where it is our own and that is wanted, and says what
// goes on without this step.
func (d *Deployer) leave(ctx context.Context, log *slog.Logger, p *plan, s *servicePlan, x deployment, own bool, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	interrupted := fmt.Errorf("watch service %s: %w", s.name.Name, cause)
	if p.request.RollbackOnCancel && own {
		to, err := d.proven(ctx, s, x.known().TaskDefinition)
		if err == nil {
			_, err = d.retreat(ctx, log, s, x, to)
		}
		if err == nil {
			log.Warn("asked " + deployer(s.service) + " to roll back to " + rollout.ShortARN(to) + ", which goes on there without this step")
			return interrupted
		}
		log.Warn("not rolled back: " + err.Error())
	}
	now, err := d.ECS.Service(ctx, s.name.Cluster, s.name.Name)
	if err != nil {
		log.Warn("stopped watching; the deployment goes on in " + deployer(s.service) + ", and where the service stands cannot be read: " + err.Error())
	} else {
		log.Warn("stopped watching; the deployment goes on in " + deployer(s.service) + ": " + rollout.State{Service: now}.Words())
	}
	return interrupted
}

// leaveStart ends a run that was interrupted while it asked for the deployment
// of a revision: it may have been accepted all the same.
func (d *Deployer) leaveStart(ctx context.Context, log *slog.Logger, p *plan, s *servicePlan, revision string, cause error) error {
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	now, err := d.ECS.Service(look, s.name.Cluster, s.name.Name)
	if err != nil {
		return cause
	}
	way, err := d.wayOf(look, now)
	if err != nil {
		return cause
	}
	x, err := way.inFlight(look, s.service)
	if err != nil || x == nil || x.known().TaskDefinition != revision || s.other != nil && s.other.known().ID == x.known().ID {
		return cause
	}
	return d.leave(ctx, log, p, s, x, true, cause)
}
