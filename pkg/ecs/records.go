package ecs

// The records that ECS keeps of deployments, and the two calls that end one or
// answer it. They are optional reading: an identity may lack the right, and a
// verdict can do without.

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// ServiceDeployment reads the record of a deployment, within 5 s. The class of
// the error is Gone where ECS does not have it: records end with their service,
// and after 90 days.
func (c *Client) ServiceDeployment(ctx context.Context, arn string) (ServiceDeployment, error) {
	d, err := c.deployments.get(ctx, arn)
	if err != nil && err == ctx.Err() {
		err = during("describe service deployment "+ShortARN(arn), err)
	}
	return d, err
}

// describeDeployments reads up to twenty records.
func (c *Client) describeDeployments(ctx context.Context, arns []string) map[string]result[ServiceDeployment] {
	ctx, cancel := context.WithTimeout(ctx, optional.budget)
	defer cancel()
	results, _ := each(arns, func(some []string) (map[string]result[ServiceDeployment], error) {
		what := several("describe", "service deployment", some)
		out, err := call(ctx, what, optional, c.api.DescribeServiceDeployments, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: some})
		if err != nil {
			return nil, err
		}
		return assign(what, "DescribeServiceDeployments", "describe service deployment ", some, out.ServiceDeployments, out.Failures,
			func(d types.ServiceDeployment) string { return aws.ToString(d.ServiceDeploymentArn) }, serviceDeploymentFrom), nil
	})
	return results
}

// several names what a call is about: one thing, or how many.
func several(verb, noun string, arns []string) string {
	if len(arns) == 1 {
		return verb + " " + noun + " " + ShortARN(arns[0])
	}
	return fmt.Sprintf("%s %d %ss", verb, len(arns), noun)
}

// assign finds what a reply holds of each ARN.
func assign[S, V any](what, operation, one string, arns []string, items []S, failures []types.Failure, arnOf func(S) string, from func(S) (V, error)) map[string]result[V] {
	results := map[string]result[V]{}
	for _, arn := range arns {
		during := func(err error) error { return during(one+ShortARN(arn), err) }
		if i := slices.IndexFunc(items, func(s S) bool { return arnOf(s) == arn }); i >= 0 {
			value, err := from(items[i])
			results[arn] = result[V]{value, during(err)}
			continue
		}
		i := slices.IndexFunc(failures, func(f types.Failure) bool {
			return aws.ToString(f.Arn) == arn || aws.ToString(f.Arn) == "" && len(arns) == 1
		})
		switch {
		case i < 0:
			results[arn] = result[V]{err: during(&incomplete{operation, "it says nothing of it"})}
		case aws.ToString(failures[i].Reason) == "MISSING":
			results[arn] = result[V]{err: during(&absent{failureText(failures[i])})}
		default:
			results[arn] = result[V]{err: during(&incomplete{operation, failureText(failures[i])})}
		}
	}
	return results
}

// serviceDeploymentFrom checks a record and takes from it what is needed.
func serviceDeploymentFrom(d types.ServiceDeployment) (ServiceDeployment, error) {
	out := ServiceDeployment{
		ARN:          aws.ToString(d.ServiceDeploymentArn),
		Status:       string(d.Status),
		StatusReason: aws.ToString(d.StatusReason),
		CreatedAt:    aws.ToTime(d.CreatedAt),
		FinishedAt:   aws.ToTime(d.FinishedAt),
		Stage:        string(d.LifecycleStage),
		Strategy:     strategyFrom(d.DeploymentConfiguration),
	}
	if out.FinishedAt.IsZero() {
		out.FinishedAt = aws.ToTime(d.StoppedAt)
	}
	if r := d.Rollback; r != nil {
		out.RollbackReason, out.RollbackTo = aws.ToString(r.Reason), aws.ToString(r.ServiceRevisionArn)
	}
	if r := d.TargetServiceRevision; r != nil {
		out.Target = TargetRevision{
			ARN:         aws.ToString(r.Arn),
			Requested:   int(r.RequestedTaskCount),
			Running:     int(r.RunningTaskCount),
			Pending:     int(r.PendingTaskCount),
			Traffic:     r.RequestedProductionTrafficWeight,
			TestTraffic: r.RequestedTestTrafficWeight,
		}
	}
	for _, r := range d.SourceServiceRevisions {
		if arn := aws.ToString(r.Arn); arn != "" {
			out.Sources = append(out.Sources, arn)
		}
	}
	if d.Alarms != nil {
		out.Alarms = d.Alarms.TriggeredAlarmNames
	}
	if b := d.DeploymentCircuitBreaker; b != nil {
		out.Breaker = Breaker{int(b.FailureCount), int(b.Threshold), string(b.Status)}
	}
	for _, h := range d.LifecycleHookDetails {
		out.Hooks = append(out.Hooks, Hook{
			ID:      aws.ToString(h.HookId),
			Pause:   h.TargetType == types.DeploymentLifecycleHookTargetTypePause,
			Waiting: h.Status == types.DeploymentLifecycleHookStatusAwaitingAction,
			Status:  string(h.Status),
			Expires: aws.ToTime(h.ExpiresAt),
			Timeout: string(h.TimeoutAction),
		})
	}
	if lacks := out.lacks(); lacks != "" {
		return ServiceDeployment{}, &incomplete{"DescribeServiceDeployments", lacks}
	}
	return out, nil
}

// lacks says which member is missing that a verdict depends on.
func (d ServiceDeployment) lacks() string {
	switch {
	case d.Status == "":
		return "no status"
	case d.CreatedAt.IsZero():
		return "no createdAt"
	case d.Target.ARN == "":
		return "no targetServiceRevision"
	}
	for _, h := range d.Hooks {
		if h.Pause && h.Waiting && h.ID == "" {
			return "a lifecycle hook without hookId waits"
		}
	}
	return ""
}

// ServiceDeployments yields the deployments of a service that were created at
// since or later, newest first within each page, with one of the statuses where
// there are any. The zero since means all: ECS keeps 90 days. Each page is read
// within 5 s when it is needed; an error is the last that is yielded.
func (c *Client) ServiceDeployments(ctx context.Context, s Service, since time.Time, statuses ...string) iter.Seq2[Brief, error] {
	what := "list deployments of service " + s.Name
	in := &ecs.ListServiceDeploymentsInput{Cluster: aws.String(s.Cluster), Service: aws.String(s.Name)}
	if !since.IsZero() {
		in.CreatedAt = &types.CreatedAt{After: aws.Time(since)}
	}
	for _, status := range statuses {
		in.Status = append(in.Status, types.ServiceDeploymentStatus(status))
	}
	return pages(what, "ListServiceDeployments", func(token string) (page[Brief], error) {
		next := *in
		next.NextToken = optionalToken(token)
		out, err := call(ctx, what, optional, c.api.ListServiceDeployments, &next)
		if err != nil {
			return page[Brief]{}, err
		}
		p := page[Brief]{next: aws.ToString(out.NextToken)}
		for _, d := range out.ServiceDeployments {
			b := Brief{
				ARN:          aws.ToString(d.ServiceDeploymentArn),
				Status:       string(d.Status),
				StatusReason: aws.ToString(d.StatusReason),
				CreatedAt:    aws.ToTime(d.CreatedAt),
				Target:       aws.ToString(d.TargetServiceRevisionArn),
			}
			if lacks := b.lacks(); lacks != "" {
				return page[Brief]{}, during(what, &incomplete{"ListServiceDeployments", lacks})
			}
			// The filters are ECS's; that an older deployment is not taken for a
			// newer one is checked here.
			if b.CreatedAt.Before(since) || len(statuses) > 0 && !slices.Contains(statuses, b.Status) {
				continue
			}
			p.items = append(p.items, b)
		}
		newest(p.items, func(b Brief) time.Time { return b.CreatedAt })
		return p, nil
	})
}

// lacks says which member is missing that identifies a deployment.
func (b Brief) lacks() string {
	switch {
	case b.ARN == "":
		return "a deployment without serviceDeploymentArn"
	case b.Status == "":
		return "a deployment without status"
	case b.CreatedAt.IsZero():
		return "a deployment without createdAt"
	}
	return ""
}

// ServiceRevision reads a service revision, within 5 s. Service revisions do not
// change once ECS has completed them, so one that was read then is not read again.
func (c *Client) ServiceRevision(ctx context.Context, arn string) (ServiceRevision, error) {
	c.mu.Lock()
	known, ok := c.known[arn]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	r, err := c.revisions.get(ctx, arn)
	if err != nil && err == ctx.Err() {
		err = during("describe service revision "+ShortARN(arn), err)
	}
	return r, err
}

// describeRevisions reads up to twenty service revisions.
func (c *Client) describeRevisions(ctx context.Context, arns []string) map[string]result[ServiceRevision] {
	ctx, cancel := context.WithTimeout(ctx, optional.budget)
	defer cancel()
	results, _ := each(arns, func(some []string) (map[string]result[ServiceRevision], error) {
		what := several("describe", "service revision", some)
		out, err := call(ctx, what, optional, c.api.DescribeServiceRevisions, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: some})
		if err != nil {
			return nil, err
		}
		return assign(what, "DescribeServiceRevisions", "describe service revision ", some, out.ServiceRevisions, out.Failures,
			func(r types.ServiceRevision) string { return aws.ToString(r.ServiceRevisionArn) }, serviceRevisionFrom), nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for arn, r := range results {
		if r.err == nil && r.value.complete() {
			c.known[arn] = r.value
		}
	}
	return results
}

// complete reports whether ECS has filled in what it finds out only when tasks of the
// revision start: the digests of its images, and the addresses of an Express service.
func (r ServiceRevision) complete() bool {
	unresolved := func(i ResolvedImage) bool { return i.Digest == "" }
	return len(r.Images) > 0 && !slices.ContainsFunc(r.Images, unresolved) && (!r.Express || len(r.Endpoints) > 0)
}

// serviceRevisionFrom checks a service revision and takes from it what is needed.
func serviceRevisionFrom(r types.ServiceRevision) (ServiceRevision, error) {
	out := ServiceRevision{ARN: aws.ToString(r.ServiceRevisionArn), TaskDefinition: aws.ToString(r.TaskDefinition)}
	if out.TaskDefinition == "" {
		return ServiceRevision{}, &incomplete{"DescribeServiceRevisions", "no taskDefinition"}
	}
	if !isRevision(out.TaskDefinition) {
		return ServiceRevision{}, &incomplete{"DescribeServiceRevisions", fmt.Sprintf("its taskDefinition, %.100q, is no revision", out.TaskDefinition)}
	}
	for _, i := range r.ContainerImages {
		out.Images = append(out.Images, ResolvedImage{aws.ToString(i.ContainerName), aws.ToString(i.Image), aws.ToString(i.ImageDigest)})
	}
	if m := r.EcsManagedResources; m != nil {
		out.Express = true
		for _, path := range m.IngressPaths {
			if endpoint := aws.ToString(path.Endpoint); endpoint != "" && path.AccessType != types.AccessTypePrivate {
				out.Endpoints = append(out.Endpoints, endpoint)
			}
		}
	}
	if o := r.Overrides; o != nil && o.RuntimePlatform != nil {
		out.Architecture = aws.ToString(o.RuntimePlatform.CpuArchitecture)
	}
	return out, nil
}

// Stop asks ECS to end a deployment and to roll the service back to the revision
// before. ECS does so also where no rollback is configured, and accepts it while
// the deployment is being rolled back already; it refuses when the deployment
// has ended.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html
func (c *Client) Stop(ctx context.Context, deploymentARN string) error {
	_, err := call(ctx, "stop service deployment "+ShortARN(deploymentARN), idempotent, c.api.StopServiceDeployment, &ecs.StopServiceDeploymentInput{
		ServiceDeploymentArn: aws.String(deploymentARN),
		StopType:             types.StopServiceDeploymentStopTypeRollback,
	})
	return err
}

// Answer lets a deployment that waits at a lifecycle hook continue, or has it
// rolled back. A deployment can wait at the same hook several times, so an
// answer that may have been taken is not given again: see [Ambiguous].
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContinueServiceDeployment.html
func (c *Client) Answer(ctx context.Context, deploymentARN, hookID string, rollback bool) error {
	action := types.DeploymentLifecycleHookActionContinue
	if rollback {
		action = types.DeploymentLifecycleHookActionRollback
	}
	_, err := call(ctx, "continue service deployment "+ShortARN(deploymentARN), once, c.api.ContinueServiceDeployment, &ecs.ContinueServiceDeploymentInput{
		ServiceDeploymentArn: aws.String(deploymentARN),
		HookId:               aws.String(hookID),
		Action:               action,
	})
	return err
}
