package ecs

// The running tasks of several deployments in a cluster. ListTasks filters by one
// deployment a call; for many of them it is cheaper to list the cluster, unless a lot
// else runs there.

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const (
	// runningRead is how many running tasks of a deployment are read at most.
	runningRead = 1000
	// fewDeployments are listed one by one: each list is a call, and so is one page of
	// the cluster with the description of its tasks.
	fewDeployments = 3
)

// tasks are those of one deployment.
type tasks struct {
	tasks    []Task
	complete bool
}

// readRunning reads the running tasks of deployments in a cluster, by their ids.
func (c *Client) readRunning(ctx context.Context, cluster string, deployments []string) map[string]result[tasks] {
	if len(deployments) > fewDeployments {
		// For half as many pages as there are deployments, the calls are no more than
		// with a list for each.
		if arns, whole := c.runningIn(ctx, cluster, len(deployments)/2); whole {
			if found, ok := c.byDeployment(ctx, cluster, arns, deployments); ok {
				return found
			}
		}
	}
	results := make([]result[tasks], len(deployments))
	var wait sync.WaitGroup
	for i, id := range deployments {
		wait.Go(func() {
			r := &results[i]
			r.value.tasks, r.value.complete, r.err = c.tasksOf(ctx, cluster, id, string(types.DesiredStatusRunning), runningRead)
		})
	}
	wait.Wait()
	found := map[string]result[tasks]{}
	for i, id := range deployments {
		found[id] = results[i]
	}
	return found
}

// runningIn lists the running tasks of a cluster, if they are on so many pages at most.
func (c *Client) runningIn(ctx context.Context, cluster string, most int) (arns []string, whole bool) {
	token := ""
	for range most {
		out, err := call(ctx, "list the running tasks of cluster "+cluster, needed, c.api.ListTasks, &ecs.ListTasksInput{
			Cluster: aws.String(cluster), DesiredStatus: types.DesiredStatusRunning, NextToken: optionalToken(token),
		})
		if err != nil {
			return nil, false // told by the lists that are then asked for
		}
		arns = append(arns, out.TaskArns...)
		if token = aws.ToString(out.NextToken); token == "" {
			return arns, true
		}
	}
	return nil, false
}

// byDeployment describes tasks and sorts them by their deployment. It gives up where one cannot
// be described: then whose it is cannot be known.
func (c *Client) byDeployment(ctx context.Context, cluster string, arns, deployments []string) (map[string]result[tasks], bool) {
	found := map[string]result[tasks]{}
	for _, id := range deployments {
		found[id] = result[tasks]{value: tasks{complete: true}}
	}
	for some := range slices.Chunk(arns, tasksPerCall) {
		described, failures, err := c.DescribeTasks(ctx, cluster, some)
		if err != nil || len(failures) > 0 {
			return nil, false
		}
		for _, t := range described {
			if r, asked := found[aws.ToString(t.StartedBy)]; asked {
				r.value.tasks = append(r.value.tasks, t)
				found[aws.ToString(t.StartedBy)] = r
			}
		}
	}
	return found, true
}
