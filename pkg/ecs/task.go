package ecs

// Tasks: those of a deployment, and single ones that are started and stopped.

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Task is a task as ECS describes it. Every member may be missing except its
// ARN and its last status.
type Task = types.Task

// Tasks reads the tasks that carry startedBy, the id of a deployment, and that
// ECS wants in the given status (RUNNING, STOPPED; empty is RUNNING): at most
// limit of them. It says whether that is all of them. What was read before an
// error is returned with it.
//
// ECS forgets a stopped task an hour after it stopped. The running tasks of several
// deployments that are asked for at the same time are listed together.
func (c *Client) Tasks(ctx context.Context, cluster, startedBy, status string, limit int) (tasks []Task, complete bool, err error) {
	if status != "" && status != string(types.DesiredStatusRunning) {
		return c.tasksOf(ctx, cluster, startedBy, status, limit)
	}
	found, err := c.runningTasks(cluster).get(ctx, startedBy)
	if len(found.tasks) > limit {
		return found.tasks[:limit], false, err
	}
	return found.tasks, found.complete, err
}

// tasksOf reads the tasks of one deployment.
func (c *Client) tasksOf(ctx context.Context, cluster, startedBy, status string, limit int) (tasks []Task, complete bool, err error) {
	arns, complete, err := c.taskARNs(ctx, cluster, startedBy, status, limit)
	for some := range slices.Chunk(arns, tasksPerCall) {
		for _, r := range c.describeTogether(ctx, cluster, some) {
			switch {
			case r.err == nil && aws.ToString(r.value.StartedBy) == startedBy:
				tasks = append(tasks, r.value)
			case r.err != nil && Classify(r.err) == Gone:
				complete = false
			case r.err != nil:
				return tasks, false, r.err
			}
		}
	}
	return tasks, complete && err == nil, err
}

// describeTogether reads tasks by calls that are shared with the readings of other
// deployments in the cluster. The results are in the order of arns.
func (c *Client) describeTogether(ctx context.Context, cluster string, arns []string) []result[Task] {
	readings := c.taskReadings(cluster)
	results := make([]result[Task], len(arns))
	var wait sync.WaitGroup
	for i, arn := range arns {
		wait.Go(func() { results[i].value, results[i].err = readings.get(ctx, arn) })
	}
	wait.Wait()
	return results
}

// describeMany reads up to a hundred tasks of different deployments.
func (c *Client) describeMany(ctx context.Context, cluster string, arns []string) map[string]result[Task] {
	tasks, failures, err := c.DescribeTasks(ctx, cluster, arns)
	if err != nil {
		return all[string, Task](arns, err)
	}
	results := map[string]result[Task]{}
	for _, t := range tasks {
		results[aws.ToString(t.TaskArn)] = result[Task]{value: t}
	}
	for _, f := range failures {
		results[aws.ToString(f.Arn)] = result[Task]{err: during("describe task "+ShortARN(aws.ToString(f.Arn)), &absent{failureText(f)})}
	}
	for _, arn := range arns {
		if _, ok := results[arn]; !ok {
			results[arn] = result[Task]{err: during("describe task "+ShortARN(arn), &incomplete{"DescribeTasks", "it says nothing of it"})}
		}
	}
	return results
}

// taskARNs lists at most limit tasks.
func (c *Client) taskARNs(ctx context.Context, cluster, startedBy, status string, limit int) (arns []string, complete bool, err error) {
	what := "list tasks of deployment " + startedBy
	list := pages(what, "ListTasks", func(token string) (page[string], error) {
		// startedBy must be the only filter: ListTasks refuses it beside
		// serviceName. It does not count desiredStatus among them.
		out, err := call(ctx, what, needed, c.api.ListTasks, &ecs.ListTasksInput{
			Cluster:       aws.String(cluster),
			StartedBy:     aws.String(startedBy),
			DesiredStatus: types.DesiredStatus(status),
			NextToken:     optionalToken(token),
		})
		if err != nil {
			return page[string]{}, err
		}
		return page[string]{out.TaskArns, aws.ToString(out.NextToken)}, nil
	})
	for arn, err := range list {
		if err != nil {
			return arns, false, err
		}
		if len(arns) >= limit {
			return arns, false, nil
		}
		arns = append(arns, arn)
	}
	return arns, true, nil
}

// DescribeTasks reads up to a hundred tasks. Tasks that ECS does not know, or
// not any more, are among the failures.
func (c *Client) DescribeTasks(ctx context.Context, cluster string, arns []string) ([]Task, []types.Failure, error) {
	what := several("describe", "task", arns)
	out, err := call(ctx, what, needed, c.api.DescribeTasks, &ecs.DescribeTasksInput{Cluster: aws.String(cluster), Tasks: arns})
	if err != nil {
		return nil, nil, err
	}
	if lacks := lacksOfTasks(out.Tasks); lacks != "" {
		return nil, nil, during(what, &incomplete{"DescribeTasks", lacks})
	}
	if len(out.Tasks)+len(out.Failures) < len(arns) {
		return nil, nil, during(what, &incomplete{"DescribeTasks", fmt.Sprintf("%d of %d tasks", len(out.Tasks)+len(out.Failures), len(arns))})
	}
	return out.Tasks, out.Failures, nil
}

// lacksOfTasks says which member is missing that every task has.
func lacksOfTasks(tasks []Task) string {
	for _, t := range tasks {
		switch {
		case aws.ToString(t.TaskArn) == "":
			return "a task without taskArn"
		case aws.ToString(t.LastStatus) == "":
			return "task " + ShortARN(*t.TaskArn) + " has no lastStatus"
		}
	}
	return ""
}

// RunTask starts tasks. It returns those that were started, and why others were
// not. With a client token in the request the call is tried again after a lost
// answer, since ECS then starts nothing twice; without one it is not: see
// [Ambiguous].
func (c *Client) RunTask(ctx context.Context, in *ecs.RunTaskInput) ([]Task, []types.Failure, error) {
	what := "run task " + ShortARN(aws.ToString(in.TaskDefinition))
	request := *in // the SDK completes what it is given
	l := once
	if aws.ToString(in.ClientToken) != "" {
		l = idempotent
	}
	out, err := call(ctx, what, l, c.api.RunTask, &request)
	if err != nil {
		return nil, nil, err
	}
	lacks := lacksOfTasks(out.Tasks)
	if len(out.Tasks)+len(out.Failures) == 0 {
		lacks = "neither a task nor a failure"
	}
	if lacks != "" {
		return nil, nil, ambiguous(what, &incomplete{"RunTask", lacks})
	}
	return out.Tasks, out.Failures, nil
}

// StopTask stops a task. The reason, which ECS shows with the stopped task, may
// be empty.
func (c *Client) StopTask(ctx context.Context, cluster, task, reason string) error {
	in := &ecs.StopTaskInput{Cluster: aws.String(cluster), Task: aws.String(task)}
	if reason != "" {
		in.Reason = aws.String(reason)
	}
	_, err := call(ctx, "stop task "+ShortARN(task), idempotent, c.api.StopTask, in)
	return err
}
