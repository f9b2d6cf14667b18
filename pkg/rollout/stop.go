package rollout

// Ending a deployment early, and answering one that waits at a lifecycle hook.

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Stop asks ECS to end the service deployment and to roll the service back to
// the revision before. ECS does so also where no rollback is configured; it
// refuses when the deployment has ended, or has nothing to go back to.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html
func (c *Client) Stop(ctx context.Context, serviceDeployment string) error {
	_, err := c.api.StopServiceDeployment(ctx, &ecs.StopServiceDeploymentInput{
		ServiceDeploymentArn: aws.String(serviceDeployment),
		StopType:             types.StopServiceDeploymentStopTypeRollback,
	}, patience)
	return during("stop service deployment "+ShortARN(serviceDeployment), err)
}

// Hook is a deployment that waits for a decision.
type Hook struct {
	Deployment string // ARN of the service deployment
	ID         string
	Started    Started // to be followed once the hook is answered
}

// Hook returns the lifecycle hook at which the service's deployment waits. id
// may be empty: there is one at most. Where none waits, the error is a *Problem.
func (c *Client) Hook(ctx context.Context, s Service, id string) (Hook, error) {
	started := Join(s, s)
	arn, err := c.findDeployment(ctx, started)
	if err != nil {
		return Hook{}, err
	}
	none := &Problem{Input: "services", Message: fmt.Sprintf("no deployment of service %s waits at a lifecycle hook", s.Name),
		Advice: "it may have been answered, or its timeout has passed: see the service's deployments"}
	if arn == "" {
		return Hook{}, none
	}
	d, err := c.serviceDeployment(ctx, arn)
	switch {
	case err != nil:
		return Hook{}, err
	case d == nil || d.HookID == "":
		return Hook{}, none
	case id != "" && d.HookID != id:
		return Hook{}, &Problem{Input: "hookId", Message: fmt.Sprintf("the deployment of service %s waits at hook %s, not at %s", s.Name, d.HookID, id),
			Advice: "leave hookId empty to answer the hook that waits"}
	}
	started.Answered = d.HookID
	return Hook{arn, d.HookID, started}, nil
}

// Answer lets the deployment at h continue, or has it rolled back.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContinueServiceDeployment.html
func (c *Client) Answer(ctx context.Context, h Hook, rollback bool) error {
	action := types.DeploymentLifecycleHookActionContinue
	if rollback {
		action = types.DeploymentLifecycleHookActionRollback
	}
	_, err := c.api.ContinueServiceDeployment(ctx, &ecs.ContinueServiceDeploymentInput{
		ServiceDeploymentArn: aws.String(h.Deployment),
		HookId:               aws.String(h.ID),
		Action:               action,
	}, patience)
	return during("continue service deployment "+ShortARN(h.Deployment), err)
}
