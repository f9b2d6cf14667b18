package ecs

// Which revisions of a task definition are in use: by services, their deployments and
// task sets, and by tasks.

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Clusters yields the ARNs of all clusters of the region.
func (c *Client) Clusters(ctx context.Context) iter.Seq2[string, error] {
	return pages("list clusters", "ListClusters", func(token string) (page[string], error) {
		out, err := call(ctx, "list clusters", needed, c.api.ListClusters, &ecs.ListClustersInput{NextToken: optionalToken(token)})
		if err != nil {
			return page[string]{}, err
		}
		return page[string]{out.ClusterArns, aws.ToString(out.NextToken)}, nil
	})
}

// UsedRevisions returns the ARNs of revisions that something in the region uses: every
// revision that a service of any cluster is set to, or that one of its deployments or
// task sets runs, and those of the family's tasks that run or are about to. It is
// complete or an error. What starts tasks from outside ECS, such as a schedule, is not
// looked at: package schedule finds that.
func (c *Client) UsedRevisions(ctx context.Context, family string) (map[string]bool, error) {
	used := map[string]bool{}
	for cluster, err := range c.Clusters(ctx) {
		if err != nil {
			return nil, err
		}
		if err := c.usedByServices(ctx, cluster, used); err != nil {
			return nil, err
		}
		if err := c.usedByTasks(ctx, cluster, family, used); err != nil {
			return nil, err
		}
	}
	return used, nil
}

// usedByServices adds the revisions of all services of a cluster.
func (c *Client) usedByServices(ctx context.Context, cluster string, used map[string]bool) error {
	what := "list services of cluster " + ShortARN(cluster)
	var arns []string
	for arn, err := range pages(what, "ListServices", func(token string) (page[string], error) {
		out, err := call(ctx, what, needed, c.api.ListServices, &ecs.ListServicesInput{Cluster: aws.String(cluster), MaxResults: aws.Int32(100), NextToken: optionalToken(token)})
		if err != nil {
			return page[string]{}, err
		}
		return page[string]{out.ServiceArns, aws.ToString(out.NextToken)}, nil
	}) {
		if err != nil {
			return err
		}
		arns = append(arns, arn)
	}
	for some := range slices.Chunk(arns, servicesPerCall) {
		what := several("describe", "service", some)
		out, err := call(ctx, what, needed, c.api.DescribeServices, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: some})
		if err != nil {
			return err
		}
		if len(out.Services) < len(some) {
			return during(what, &incomplete{"DescribeServices", fmt.Sprintf("%d of %d services", len(out.Services), len(some))})
		}
		for _, s := range out.Services {
			used[aws.ToString(s.TaskDefinition)] = true
			for _, d := range s.Deployments {
				used[aws.ToString(d.TaskDefinition)] = true
			}
			for _, set := range s.TaskSets {
				used[aws.ToString(set.TaskDefinition)] = true
			}
		}
	}
	return nil
}

// usedByTasks adds the revisions of a family's tasks in a cluster.
func (c *Client) usedByTasks(ctx context.Context, cluster, family string, used map[string]bool) error {
	what := "list tasks of " + family + " in cluster " + ShortARN(cluster)
	var arns []string
	for arn, err := range pages(what, "ListTasks", func(token string) (page[string], error) {
		out, err := call(ctx, what, needed, c.api.ListTasks, &ecs.ListTasksInput{
			Cluster: aws.String(cluster), Family: aws.String(family), DesiredStatus: types.DesiredStatusRunning, NextToken: optionalToken(token),
		})
		if err != nil {
			return page[string]{}, err
		}
		return page[string]{out.TaskArns, aws.ToString(out.NextToken)}, nil
	}) {
		if err != nil {
			return err
		}
		arns = append(arns, arn)
	}
	for some := range slices.Chunk(arns, tasksPerCall) {
		tasks, _, err := c.DescribeTasks(ctx, cluster, some) // a task that is gone uses nothing
		if err != nil {
			return err
		}
		for _, t := range tasks {
			used[aws.ToString(t.TaskDefinitionArn)] = true
		}
	}
	return nil
}
