package rollout

// The one call that starts a deployment, and what it started.

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// Change is what Update asks of a service.
type Change struct {
	TaskDefinition string // ARN of a revision
	DesiredCount   *int   // nil leaves the service's own
	Force          bool   // a new deployment even of the same revision
}

// Started is the deployment that Watch and Verify are pinned to.
type Started struct {
	Target
	// Service is the service after the update.
	Service Service
	// New is false when ECS saw nothing to do: the deployment that is there
	// already brings the same revision.
	New bool
	// MaxFailedTasks is how many tasks may end for the same fatal cause before a
	// watch gives the deployment up; 0 is any number.
	MaxFailedTasks int

	told map[string]bool // ids of service events older than the update
}

// Update sets the service to c in one UpdateService call and returns the
// deployment that this started. The list of load balancers and everything else
// that belongs to infrastructure is left out of the call, and so is left alone.
func (c *Client) Update(ctx context.Context, before Service, change Change) (Started, error) {
	in := &ecs.UpdateServiceInput{
		Cluster:            aws.String(before.Cluster),
		Service:            aws.String(before.Name),
		TaskDefinition:     aws.String(change.TaskDefinition),
		ForceNewDeployment: change.Force,
	}
	if change.DesiredCount != nil {
		in.DesiredCount = aws.Int32(int32(*change.DesiredCount))
	}
	out, err := c.api.UpdateService(ctx, in, patience)
	if err != nil {
		return Started{}, during("update service "+before.Name+" in cluster "+before.Cluster, err)
	}
	after := serviceFrom(*out.Service)
	after.Cluster = before.Cluster
	if after.Primary().ID == "" {
		return Started{}, fmt.Errorf("update service %s in cluster %s: ECS accepted it but names no primary deployment", before.Name, before.Cluster)
	}
	started := Join(before, after)
	started.Target.TaskDefinition = change.TaskDefinition
	return started, nil
}

// Join follows the deployment that is PRIMARY in after, without starting one.
// before is the service as it was first seen: its revision is the one to speak
// of as previous, its events are old news.
func Join(before, after Service) Started {
	primary := after.Primary()
	s := Started{
		Target:  Target{ID: primary.ID, TaskDefinition: primary.TaskDefinition, Previous: before.TaskDefinition},
		Service: after,
		New:     primary.ID != before.Primary().ID,
		told:    map[string]bool{},
	}
	for _, e := range before.Events {
		s.told[e.ID] = true
	}
	return s
}

// Again returns d to be watched once more, as after ECS was asked to roll it back.
func (d Started) Again() Started {
	d.UntilTraffic = false
	d.MaxFailedTasks = 0
	d.New = false
	return d
}
