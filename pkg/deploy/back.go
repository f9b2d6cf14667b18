package deploy

// The way back: a service whose rollout failed returns to the revision that
// ran before, and the step still fails. Where ECS rolls back by itself there is
// nothing to do here.

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ecsdeploy/pkg/rollout"
)

// backLimit is how long a way back is watched: it starts tasks that ran before.
const backLimit = 15 * time.Minute

// goBack returns the service to a proven revision after its rollout failed,
// and writes down how that went.
func (d *Deployer) goBack(ctx context.Context, log *slog.Logger, s *servicePlan, w *rollout.Watch, started rollout.Started, result *ServiceResult) {
	why := strings.TrimSuffix(result.Reason, ".")
	stay := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		log.Warn("not rolled back: " + text)
		result.Reason = why + "; not rolled back: " + text
	}
	if w.State().Missing {
		return
	}
	to, err := d.proven(ctx, s, started)
	if err != nil {
		stay("%s", err)
		return
	}
	back, err := d.retreat(ctx, log, w, started, to)
	if err != nil {
		stay("%s", err)
		return
	}
	log.Info("rolling back to " + shortARN(to))
	watch := d.ECS.Watch(back, backLimit)
	for e := range watch.Events(ctx) {
		at(ctx, log, e)
	}
	switch v := watch.Verdict(); {
	case watch.Err() != nil:
		stay("%s", watch.Err())
	case v.Outcome == rollout.RolledBack, back.New && v.Outcome == rollout.Succeeded:
		log.Info("the service is back on " + shortARN(to) + " and stable")
		result.Outcome = rollout.RolledBack
		result.Reason = why + "; rolled back to " + shortARN(to)
	case v.Outcome == rollout.Superseded:
		stay("%s", v.Reason)
	default:
		stay("the rollback to %s did not end well: %s", shortARN(to), v.Reason)
	}
}

// retreat starts the way back: ECS ends the deployment that is under way and
// rolls it back, or, where it refuses or the deployment has ended, the service
// is moved to the revision to.
func (d *Deployer) retreat(ctx context.Context, log *slog.Logger, w *rollout.Watch, started rollout.Started, to string) (rollout.Started, error) {
	if arn := w.ServiceDeployment(); arn != "" && w.State().UnderWay() && to == started.Previous {
		err := d.ECS.Stop(ctx, arn)
		if err == nil {
			return started.Again(), nil
		}
		log.Info("ECS does not stop the deployment (" + err.Error() + "): moving the service back instead")
	}
	now, err := d.ECS.Service(ctx, started.Service.Cluster, started.Service.Name)
	if err != nil {
		return rollout.Started{}, err
	}
	if now.TaskDefinition == to {
		return rollout.Started{}, fmt.Errorf("%s is what was rolled out, and there is nothing else to go back to", shortARN(to))
	}
	return d.ECS.Update(ctx, now, rollout.Change{TaskDefinition: to})
}

// proven returns the ARN of the revision to go back to: the one that ran
// before, if its own deployment was successful, else the last one whose was.
// It is never the placeholder, which would only hide that nothing runs.
func (d *Deployer) proven(ctx context.Context, s *servicePlan, started rollout.Started) (string, error) {
	before := s.service.Primary()
	if before.RolloutState == "COMPLETED" {
		if isPlaceholder(s.running) {
			return "", fmt.Errorf("what ran before, %s, is the placeholder", shortARN(before.TaskDefinition))
		}
		return before.TaskDefinition, nil
	}
	for revision, err := range d.ECS.Successes(ctx, s.service) {
		if err != nil {
			return "", err
		}
		if revision == started.TaskDefinition {
			continue
		}
		definition, err := d.ECS.Definition(ctx, revision)
		if err != nil || definition.Status() != "ACTIVE" || isPlaceholder(definition) {
			continue
		}
		return revision, nil
	}
	return "", fmt.Errorf("there is no other revision whose deployment to service %s was successful", s.name.Name)
}

// parting is how long an interrupted run may take to leave the service as it
// promised: the agent kills the step 10 s after it asked it to stop.
const parting = 5 * time.Second

// leave ends an interrupted run: it asks ECS to roll back where that is wanted,
// and says what goes on in ECS.
func (d *Deployer) leave(ctx context.Context, log *slog.Logger, p *plan, s *servicePlan, w *rollout.Watch, started rollout.Started, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	interrupted := fmt.Errorf("watch service %s: %w", s.name.Name, cause)
	if p.request.RollbackOnCancel && started.New {
		to, err := d.proven(ctx, s, started)
		if err == nil {
			_, err = d.retreat(ctx, log, w, started, to)
		}
		if err == nil {
			log.Warn("asked ECS to roll back to " + shortARN(to) + ", which goes on there without this step")
			return interrupted
		}
		log.Warn("not rolled back: " + err.Error())
	}
	now, err := d.ECS.Service(ctx, started.Service.Cluster, started.Service.Name)
	if err != nil {
		log.Warn("stopped watching; the deployment goes on in ECS, and where the service stands cannot be read: " + err.Error())
	} else {
		log.Warn("stopped watching; the deployment goes on in ECS: " + rollout.State{Service: now}.Words())
	}
	return interrupted
}

// leaveStart ends a run that was interrupted while it asked for the update:
// ECS may have accepted it all the same.
func (d *Deployer) leaveStart(ctx context.Context, log *slog.Logger, p *plan, s *servicePlan, revision string, cause error) error {
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	now, err := d.ECS.Service(look, s.name.Cluster, s.name.Name)
	if err != nil || now.TaskDefinition != revision || s.service.TaskDefinition == revision {
		return cause
	}
	started := rollout.Join(s.service, now)
	return d.leave(ctx, log, p, s, d.ECS.Watch(started, 0), started, cause)
}
