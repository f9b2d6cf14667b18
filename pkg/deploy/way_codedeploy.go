package deploy

// CodeDeploy's deployments, of services whose deployment controller it is: one
// at a time, and each is begun, stopped and answered in CodeDeploy.

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ecsdeploy/pkg/rollout"
)

type codeDeployWay struct {
	client  *rollout.Client
	service rollout.Service
	group   rollout.Group
}

func (c codeDeployWay) inFlight(ctx context.Context, before rollout.Service) (deployment, error) {
	found, busy, err := c.client.CodeDeployInFlight(ctx, c.group, c.service)
	if err != nil || !busy {
		return nil, err
	}
	found.Previous = before.TaskDefinition
	if found.Previous == found.TaskDefinition { // the traffic was shifted before we looked
		found.Previous = c.original(found.ID).TaskDefinition
	}
	return &codeDeployment{client: c.client, deployment: found}, nil
}

// original returns the task set beside that of the deployment id, to which
// CodeDeploy goes back; the zero Deployment where there is none.
func (c codeDeployWay) original(id string) rollout.Deployment {
	for _, set := range c.service.Deployments {
		if set.CodeDeploy != id && set.Status == "ACTIVE" {
			return set
		}
	}
	return rollout.Deployment{}
}

// atOnce is how long it may take to see that a deployment waits.
const atOnce = 5 * time.Second

func (c codeDeployWay) paused(ctx context.Context, hookID string) (deployment, error) {
	found, err := c.inFlight(ctx, c.service)
	if err != nil {
		return nil, err
	}
	none := &rollout.Problem{Input: "services", Message: fmt.Sprintf("no CodeDeploy deployment of service %s waits for an answer", c.service.Name),
		Advice: "it may have been answered, or its wait may be over: see the deployments of group " + c.group.Name}
	if found == nil {
		return nil, none
	}
	if id := found.known().name; hookID != "" && hookID != id {
		return nil, &rollout.Problem{Input: "hookId",
			Message: fmt.Sprintf("the CodeDeploy deployment of service %s in flight is %s, not %s", c.service.Name, id, hookID),
			Advice:  "leave hookId empty to answer the deployment that waits"}
	}
	w := found.watch(limits{timeout: atOnce})
	for range w.Events(ctx) {
	}
	switch {
	case w.Err() != nil:
		return nil, w.Err()
	case w.Verdict().Outcome != rollout.Paused:
		return nil, none
	}
	return found, nil
}

// proven asks how the deployment ended that made the task set. A service's
// first task set was made with the service.
func (c codeDeployWay) proven(ctx context.Context) (string, error) {
	set := c.service.Primary()
	if c.group.InFlight != "" && set.CodeDeploy == c.group.InFlight {
		set = c.original(c.group.InFlight)
	}
	if by := set.CodeDeploy; by != "" && by != c.group.Successful {
		if succeeded, err := c.client.CodeDeploySucceeded(ctx, by); err != nil || !succeeded {
			return "", err
		}
	}
	return set.TaskDefinition, nil
}

func (c codeDeployWay) start(ctx context.Context, log *slog.Logger, change rollout.Change, rollBack bool) (deployment, error) {
	revision := rollout.ShortARN(change.TaskDefinition)
	other, err := c.inFlight(ctx, c.service)
	if err != nil {
		return nil, err
	}
	if other != nil && other.known().TaskDefinition == change.TaskDefinition {
		log.Info("a deployment of " + revision + " is under way already: following it")
		return other, nil
	}
	if other == nil && c.service.TaskDefinition == change.TaskDefinition && !change.Force {
		proven, err := c.proven(ctx)
		if err != nil {
			return nil, err
		}
		if proven == change.TaskDefinition {
			return &codeDeployment{client: c.client, deployment: rollout.CodeDeployment{Started: rollout.Join(c.service, c.service)}, rests: true}, nil
		}
		log.Info("the last deployment of " + revision + " did not succeed: starting another one")
	}
	log.Info(fmt.Sprintf("CodeDeploy application %s, deployment group %s", c.group.Application, c.group.Name))
	created, err := c.client.CreateDeployment(ctx, c.group, c.service, rollout.CodeDeployChange{TaskDefinition: change.TaskDefinition, RollBack: rollBack})
	if err != nil {
		return nil, err
	}
	return &codeDeployment{client: c.client, deployment: created}, nil
}

// codeDeployment is a deployment of CodeDeploy's.
type codeDeployment struct {
	client     *rollout.Client
	deployment rollout.CodeDeployment
	rests      bool                     // it had succeeded before anybody asked for it
	stopping   bool                     // it was asked to stop and to roll back
	watched    *rollout.CodeDeployWatch // nil before the first watch
}

func (c *codeDeployment) watch(l limits) watch {
	if !c.stopping {
		c.deployment.UntilTraffic, c.deployment.MaxFailedTasks = l.untilTraffic, l.maxFailedTasks
	}
	c.watched = c.client.WatchCodeDeploy(c.deployment, l.timeout)
	return c.watched
}

func (c *codeDeployment) known() known {
	if c.rests {
		return known{Started: c.deployment.Started, rests: true}
	}
	k := known{
		Started:  c.deployment.Started,
		name:     c.deployment.ID,
		underWay: true, // until it is seen to have ended
		alone:    true,
	}
	if w := c.watched; w != nil {
		k.Started, k.hookID = w.Started(), w.HookID()
		k.underWay = w.UnderWay() || w.Verdict().Outcome == rollout.TimedOut || !w.Verdict().Final()
		// The task set becomes PRIMARY when all of the traffic is on it.
		k.shifted = w.State().Service.Primary().CodeDeploy == c.deployment.ID
	}
	return k
}

func (c *codeDeployment) stop(ctx context.Context) error {
	if c.rests {
		return rollout.ErrEnded
	}
	if err := c.client.StopCodeDeploy(ctx, c.deployment.ID); err != nil {
		return err
	}
	c.deployment, c.stopping = c.deployment.Again(), true
	return nil
}

func (c *codeDeployment) answer(ctx context.Context, rollback bool) error {
	answered, err := c.client.AnswerCodeDeploy(ctx, c.deployment, rollback)
	if err != nil {
		return err
	}
	c.deployment, c.stopping = answered, rollback
	return nil
}
