package deploy

// ECS's own deployments: UpdateService begins them, and a new one takes the
// place of the one in flight.

import (
	"context"
	"errors"
	"log/slog"

	"ecsdeploy/pkg/rollout"
)

type ecsWay struct {
	client  *rollout.Client
	service rollout.Service
}

func (e ecsWay) inFlight(_ context.Context, before rollout.Service) (deployment, error) {
	if e.service.Primary().RolloutState != "IN_PROGRESS" {
		return nil, nil
	}
	return e.join(before), nil
}

// join is the deployment that the service is being moved to, or rests on.
func (e ecsWay) join(before rollout.Service) *ecsDeployment {
	return &ecsDeployment{client: e.client, started: rollout.Join(before, e.service)}
}

func (e ecsWay) paused(ctx context.Context, hookID string) (deployment, error) {
	hook, err := e.client.Hook(ctx, e.service, hookID)
	if err != nil {
		return nil, err
	}
	return &ecsDeployment{client: e.client, started: hook.Started, hook: hook}, nil
}

func (e ecsWay) proven(context.Context) (string, error) {
	if primary := e.service.Primary(); primary.RolloutState == "COMPLETED" {
		return primary.TaskDefinition, nil
	}
	return "", nil
}

// start makes the one UpdateService call, or none where the service has been
// asked for the same before. Whether ECS rolls back by itself is the service's
// own configuration.
func (e ecsWay) start(ctx context.Context, log *slog.Logger, change rollout.Change, _ bool) (deployment, error) {
	same := e.service.TaskDefinition == change.TaskDefinition && (change.DesiredCount == nil || *change.DesiredCount == e.service.Desired)
	if same && !change.Force {
		switch e.service.Primary().RolloutState {
		case "FAILED":
			log.Info("the last deployment of " + rollout.ShortARN(change.TaskDefinition) + " failed: starting another one")
			change.Force = true
		case "IN_PROGRESS":
			log.Info("a deployment of " + rollout.ShortARN(change.TaskDefinition) + " is under way already: following it")
			return e.join(e.service), nil
		default:
			return e.join(e.service), nil
		}
	}
	started, err := e.client.Update(ctx, e.service, change)
	if err != nil {
		return nil, err
	}
	return &ecsDeployment{client: e.client, started: started}, nil
}

// ecsDeployment is a deployment of ECS's.
type ecsDeployment struct {
	client  *rollout.Client
	started rollout.Started
	hook    rollout.Hook   // at which it waits; the zero Hook for one that does not
	watched *rollout.Watch // nil before the first watch
	again   bool           // it was asked to roll back
}

func (e *ecsDeployment) watch(l limits) watch {
	started := e.started
	if e.again {
		started = started.Again()
	} else {
		started.UntilTraffic, started.MaxFailedTasks = l.untilTraffic, l.maxFailedTasks
	}
	e.watched = e.client.Watch(started, l.timeout)
	return e.watched
}

func (e *ecsDeployment) known() known {
	k := known{
		Started: e.started,
		name:    e.hook.Deployment,
		hookID:  e.hook.ID,
		rests:   !e.started.New && e.started.Service.Primary().RolloutState == "COMPLETED",
	}
	if e.watched != nil {
		state := e.watched.State()
		k.name, k.hookID = e.watched.ServiceDeployment(), state.HookID()
		k.underWay = k.name != "" && state.UnderWay()
		traffic := e.started.Target
		traffic.UntilTraffic = true
		k.shifted = rollout.Judge(traffic, state).Outcome == rollout.Succeeded
	}
	return k
}

func (e *ecsDeployment) stop(ctx context.Context) error {
	k := e.known()
	if k.name == "" {
		return errors.New("its service deployment cannot be read")
	}
	if err := e.client.Stop(ctx, k.name); err != nil {
		return err
	}
	e.again = true
	return nil
}

func (e *ecsDeployment) answer(ctx context.Context, rollback bool) error {
	return e.client.Answer(ctx, e.hook, rollback)
}
