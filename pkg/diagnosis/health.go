package diagnosis

// How many of a deployment's running tasks are healthy.

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Health returns how many tasks of a deployment run, and how many of those are
// healthy: their containers' health checks pass, where there are any, and the load
// balancer finds them healthy in the target groups (ARNs) with which they are
// registered. A target group that the identity may not read does not count. known
// is false where anything else could not be read: the numbers are then too low, if
// anything.
//
// It makes two calls for up to 100 tasks and one for each target group, and asks
// the source for the task definition where ECS does not know a task's health.
func (e *Examiner) Health(ctx context.Context, cluster, deploymentID string, targetGroups []string) (healthy, total int, known bool) {
	if deploymentID == "" {
		return 0, 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	var (
		wait    sync.WaitGroup
		targets []target
		unread  []Note
		broken  []Note
	)
	wait.Go(func() {
		broken = guard(func() { targets, unread = readTargets(ctx, e.config, targetGroups) })
	})
	x := &examination{source: e.source, config: e.config, subject: Subject{Cluster: cluster, DeploymentID: deploymentID}}
	var (
		tasks []types.Task
		all   bool
	)
	failed := guard(func() { tasks, all, _ = x.tasks(ctx, types.DesiredStatusRunning, maxRunning) })
	wait.Wait()
	known = all && len(failed)+len(broken) == 0
	read := min(len(targetGroups), maxGroups)
	for _, n := range unread {
		known = known && n.Why == Denied
		read--
	}
	checks := map[string]check{} // by ARN of the task definition
	for _, t := range tasks {
		if aws.ToString(t.LastStatus) != "RUNNING" {
			continue
		}
		total++
		passes := t.HealthStatus == types.HealthStatusHealthy
		if !passes && t.HealthStatus != types.HealthStatusUnhealthy {
			// ECS answers UNKNOWN both for a task without a health check and for one
			// whose check has not been decided.
			arn := aws.ToString(t.TaskDefinitionArn)
			c, asked := checks[arn]
			if !asked {
				c = e.check(ctx, arn)
				checks[arn] = c
			}
			known = known && c != unknownCheck
			passes = c == noCheck
		}
		if passes && (read == 0 || balanced(t, targets)) {
			healthy++
		}
	}
	return healthy, total, known
}

// check is whether a container of a task definition has a health check.
type check int

const (
	unknownCheck check = iota
	noCheck
	hasCheck
)

// check says whether a container of a task definition has a health check.
func (e *Examiner) check(ctx context.Context, arn string) (found check) {
	if arn == "" {
		return unknownCheck
	}
	guard(func() {
		definition, err := e.source.Definition(ctx, arn)
		if err != nil {
			return
		}
		containers, err := containerDefinitions(definition)
		if err != nil {
			return
		}
		found = noCheck
		for _, c := range containers {
			if len(c.HealthCheck) > 0 && string(c.HealthCheck) != "null" {
				found = hasCheck
			}
		}
	})
	return found
}

// balanced says whether the load balancer finds a task healthy: it is registered,
// and healthy wherever it is.
func balanced(t types.Task, targets []target) bool {
	found := false
	for _, r := range targets {
		if !carries(r, t) {
			continue
		}
		switch r.TargetHealth.State {
		case elbtypes.TargetHealthStateEnumHealthy, elbtypes.TargetHealthStateEnumUnavailable: // unavailable: health checks are disabled
			found = true
		case elbtypes.TargetHealthStateEnumDraining, elbtypes.TargetHealthStateEnumUnhealthyDraining, elbtypes.TargetHealthStateEnumUnused:
			// A target that leaves, or one of a target group that no listener uses,
			// such as the other one of a blue/green deployment.
		default:
			return false
		}
	}
	return found
}

// carries says whether a target can be the task: it has its address, or, where the
// task has none of its own, one of the instance's ports that it uses.
func carries(r target, t types.Task) bool {
	if own := addresses(t); len(own) > 0 {
		address, err := netip.ParseAddr(aws.ToString(r.Target.Id))
		return err == nil && slices.Contains(own, address)
	}
	for _, c := range t.Containers {
		for _, b := range c.NetworkBindings {
			if b.HostPort != nil && r.Target.Port != nil && *b.HostPort == *r.Target.Port {
				return true
			}
		}
	}
	return false
}
