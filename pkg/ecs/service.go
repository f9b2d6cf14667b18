package ecs

// Services: read, several in one call, and changed.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Service reads a service, by name or ARN, with what ECS says of it at this
// moment. A service that is DRAINING or INACTIVE is returned too; its Status
// says so.
//
// A cluster that does not exist or is inactive, and a service that does not
// exist, is a [*mistake.Error] that is absent and offers similar names.
func (c *Client) Service(ctx context.Context, cluster, name string) (Service, error) {
	s, err := c.serviceReadings(cluster).get(ctx, name)
	if _, missing := errors.AsType[*absent](err); missing {
		// Looked for here, so that others of the same call do not wait for it.
		return Service{}, c.noService(ctx, cluster, name)
	}
	if err != nil && err == ctx.Err() {
		return Service{}, during(describing(cluster, name), err)
	}
	return s, err
}

func describing(cluster, name string) string {
	return "describe service " + ShortARN(name) + " in cluster " + ShortARN(cluster)
}

// describeServices reads services of one cluster, ten at most.
func (c *Client) describeServices(ctx context.Context, cluster string, names []string) map[string]result[Service] {
	ctx, cancel := context.WithTimeout(ctx, watching.budget)
	defer cancel()
	fetch := func(some []string) (map[string]result[Service], error) { return c.describeSome(ctx, cluster, some) }
	if len(names) > 1 && c.asksSeparately(cluster) {
		return separate(names, fetch)
	}
	results, separately := each(names, fetch)
	if separately {
		c.rememberSeparate(cluster, results)
	}
	return results
}

func (c *Client) asksSeparately(cluster string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.separate[cluster]
}

// rememberSeparate keeps in mind that the identity may read only some services
// of the cluster: a call for several of them would be refused every time.
func (c *Client) rememberSeparate(cluster string, results map[string]result[Service]) {
	read, denied := false, false
	for _, r := range results {
		read = read || r.err == nil
		denied = denied || Classify(r.err) == Denied
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.separate[cluster] = c.separate[cluster] || read && denied
}

// describeSome makes one call. Its error is that of the call as a whole.
func (c *Client) describeSome(ctx context.Context, cluster string, names []string) (map[string]result[Service], error) {
	what := describing(cluster, names[0])
	if len(names) > 1 {
		what = fmt.Sprintf("describe %d services in cluster %s", len(names), ShortARN(cluster))
	}
	out, err := call(ctx, what, watching, c.api.DescribeServices, &ecs.DescribeServicesInput{
		Cluster:  aws.String(cluster),
		Services: names,
	})
	if codeOf(err) == "ClusterNotFoundException" {
		return all[string, Service](names, c.noCluster(ctx, cluster, err)), nil
	}
	if codeOf(err) == "ServiceNotFoundException" && len(names) == 1 {
		return all[string, Service](names, &absent{apiMessage(err)}), nil
	}
	if err != nil {
		return nil, err
	}
	results := map[string]result[Service]{}
	for _, name := range names {
		s, err := described(cluster, name, out, len(names) == 1)
		results[name] = result[Service]{s, err}
	}
	return results, nil
}

// described finds one service in a reply.
func described(cluster, name string, out *ecs.DescribeServicesOutput, alone bool) (Service, error) {
	for _, d := range out.Services {
		if aws.ToString(d.ServiceArn) == name || aws.ToString(d.ServiceName) == ShortARN(name) {
			s, err := serviceFrom(cluster, "DescribeServices", d)
			return s, during(describing(cluster, name), err)
		}
	}
	for _, f := range out.Failures {
		arn := aws.ToString(f.Arn)
		if ShortARN(arn) != ShortARN(name) && !(alone && arn == "") {
			continue
		}
		if aws.ToString(f.Reason) == "MISSING" {
			return Service{}, &absent{failureText(f)}
		}
		return Service{}, during(describing(cluster, name), &incomplete{"DescribeServices", failureText(f)})
	}
	return Service{}, during(describing(cluster, name), &incomplete{"DescribeServices", "it says nothing of the service"})
}

// failureText is what a failure in a reply says.
func failureText(f types.Failure) string {
	text := aws.ToString(f.Reason)
	if text == "" {
		text = "failure without a reason"
	}
	if detail := aws.ToString(f.Detail); detail != "" {
		text += ": " + detail
	}
	return text
}

// Update is what is to change of a service. Everything else of it, its load
// balancers for example, is left out of the call and stays as it is.
type Update struct {
	TaskDefinition string // ARN of a revision; empty leaves the service's own
	DesiredCount   *int   // nil leaves the service's own
	Force          bool   // a new deployment even of the same revision
	// Tags is which tags tasks get that start from now on; nil leaves the service's own.
	// By itself it starts no deployment.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
	Tags *TaskTags
}

// TaskTags is which tags ECS gives the tasks of a service.
type TaskTags struct {
	Propagate string // whose tags: NONE, SERVICE or TASK_DEFINITION
	Managed   bool   // those of ECS itself, by cluster and service
}

// TaskTags is which tags ECS gives the service's tasks.
func (s Service) TaskTags() TaskTags {
	propagate := s.Described.PropagateTags
	if propagate == "" {
		propagate = types.PropagateTagsNone
	}
	return TaskTags{string(propagate), s.Described.EnableECSManagedTags}
}

// Update changes a service in one call and returns it as ECS answered. Only a
// refusal that certainly changed nothing is tried again; see [Ambiguous] for
// other errors.
func (c *Client) Update(ctx context.Context, s Service, u Update) (Service, error) {
	what := "update service " + s.Name + " in cluster " + ShortARN(s.Cluster)
	in := &ecs.UpdateServiceInput{
		Cluster:            aws.String(s.Cluster),
		Service:            aws.String(s.Name),
		ForceNewDeployment: u.Force,
	}
	if u.TaskDefinition != "" {
		in.TaskDefinition = aws.String(u.TaskDefinition)
	}
	if u.DesiredCount != nil {
		if *u.DesiredCount < 0 || *u.DesiredCount > math.MaxInt32 {
			return Service{}, fmt.Errorf("%s: desired count %d: expected 0 to %d", what, *u.DesiredCount, math.MaxInt32)
		}
		in.DesiredCount = aws.Int32(int32(*u.DesiredCount))
	}
	if u.Tags != nil {
		in.PropagateTags, in.EnableECSManagedTags = types.PropagateTags(u.Tags.Propagate), aws.Bool(u.Tags.Managed)
	}
	l := single
	if u.TaskDefinition == "" && u.DesiredCount == nil && !u.Force {
		l = once // it takes nobody's place
	}
	out, err := call(ctx, what, l, c.api.UpdateService, in)
	if err != nil {
		return Service{}, err
	}
	if out.Service == nil {
		return Service{}, ambiguous(what, &incomplete{"UpdateService", "no service"})
	}
	updated, err := serviceFrom(s.Cluster, "UpdateService", *out.Service)
	if err == nil && updated.Name != ShortARN(s.Name) {
		err = &incomplete{"UpdateService", fmt.Sprintf("it is about service %q", updated.Name)}
	}
	if err != nil {
		return Service{}, ambiguous(what, err)
	}
	return updated, nil
}

// serviceFrom checks a service in a reply of the operation and takes from it
// what is needed.
func serviceFrom(cluster, operation string, d types.Service) (Service, error) {
	s := Service{
		Cluster:        cluster,
		Name:           aws.ToString(d.ServiceName),
		ARN:            aws.ToString(d.ServiceArn),
		Status:         aws.ToString(d.Status),
		Controller:     string(types.DeploymentControllerTypeEcs), // the default, which ECS leaves out
		Express:        d.ResourceManagementType == types.ResourceManagementTypeEcs,
		Daemon:         d.SchedulingStrategy == types.SchedulingStrategyDaemon,
		Fargate:        d.LaunchType == types.LaunchTypeFargate,
		Desired:        int(d.DesiredCount),
		Running:        int(d.RunningCount),
		Pending:        int(d.PendingCount),
		TaskDefinition: aws.ToString(d.TaskDefinition),
		Current:        aws.ToString(d.CurrentServiceDeployment),
		Strategy:       strategyFrom(d.DeploymentConfiguration),
		Described:      d,
	}
	if c := d.DeploymentController; c != nil && c.Type != "" {
		s.Controller = string(c.Type)
	}
	for _, p := range d.CapacityProviderStrategy {
		name := aws.ToString(p.CapacityProvider)
		s.Fargate = s.Fargate || name == "FARGATE" || name == "FARGATE_SPOT"
	}
	for _, lb := range d.LoadBalancers {
		s.TargetGroups = append(s.TargetGroups, targetGroups(lb)...)
	}
	s.Deployments = deploymentsFrom(d)
	for _, e := range d.Events {
		s.Events = append(s.Events, Message{aws.ToString(e.Id), aws.ToTime(e.CreatedAt), aws.ToString(e.Message)})
	}
	if s.TaskDefinition == "" { // Express services
		s.TaskDefinition = s.Primary().TaskDefinition
	}
	if lacks := s.lacks(); lacks != "" {
		return Service{}, &incomplete{operation, lacks}
	}
	return s, nil
}

// deploymentsFrom lists the deployments of a service, and the task sets that
// stand in for them where ECS does not deploy it.
func deploymentsFrom(s types.Service) []Deployment {
	var all []Deployment
	for _, d := range s.Deployments {
		all = append(all, Deployment{
			ID:             aws.ToString(d.Id),
			Status:         aws.ToString(d.Status),
			TaskDefinition: aws.ToString(d.TaskDefinition),
			CreatedAt:      aws.ToTime(d.CreatedAt),
			Desired:        int(d.DesiredCount),
			Running:        int(d.RunningCount),
			Pending:        int(d.PendingCount),
			Failed:         int(d.FailedTasks),
			RolloutState:   string(d.RolloutState),
			Reason:         aws.ToString(d.RolloutStateReason),
		})
	}
	for _, t := range s.TaskSets {
		all = append(all, Deployment{
			ID:             aws.ToString(t.Id),
			Status:         aws.ToString(t.Status),
			TaskDefinition: aws.ToString(t.TaskDefinition),
			CreatedAt:      aws.ToTime(t.CreatedAt),
			Desired:        int(t.ComputedDesiredCount),
			Running:        int(t.RunningCount),
			Pending:        int(t.PendingCount),
			CodeDeploy:     aws.ToString(t.ExternalId),
		})
	}
	return all
}

// plainID is the form of a deployment's id. ECS does not document it; ids as
// ecs-svc/0123456789012345678 are what it gives. One of another form would not be found
// again in the next reply.
var plainID = regexp.MustCompile(`^[A-Za-z0-9/_:.-]+$`)

// lacks says which member that a rollout depends on is missing or impossible;
// empty where none is.
func (s Service) lacks() string {
	switch {
	case s.Name == "":
		return "no serviceName"
	case s.ARN == "":
		return "no serviceArn"
	case s.Status == "":
		return "no status"
	case min(s.Desired, s.Running, s.Pending) < 0:
		return "a negative count of tasks"
	}
	for _, d := range s.Deployments {
		switch {
		case d.ID == "":
			return "a deployment without id"
		case len(d.ID) > 255, !plainID.MatchString(d.ID):
			return fmt.Sprintf("%.100q is no id of a deployment", d.ID)
		case d.Status == "":
			return "deployment " + d.ID + " has no status"
		case d.TaskDefinition == "":
			return "deployment " + d.ID + " has no taskDefinition"
		case !isRevision(d.TaskDefinition):
			return fmt.Sprintf("the taskDefinition of deployment %s, %.100q, is no revision", d.ID, d.TaskDefinition)
		case min(d.Desired, d.Running, d.Pending, d.Failed) < 0:
			return "deployment " + d.ID + " has a negative count of tasks"
		}
	}
	if s.Status == "ACTIVE" && s.Controller == string(types.DeploymentControllerTypeEcs) && s.Primary().ID == "" {
		return "no primary deployment"
	}
	return ""
}

// targetGroups lists the target groups of one of a service's load balancers.
func targetGroups(lb types.LoadBalancer) []string {
	var arns []string
	if arn := aws.ToString(lb.TargetGroupArn); arn != "" {
		arns = append(arns, arn)
	}
	if a := lb.AdvancedConfiguration; a != nil && aws.ToString(a.AlternateTargetGroupArn) != "" {
		arns = append(arns, *a.AlternateTargetGroupArn)
	}
	return arns
}

// strategyFrom reads how deployments proceed.
func strategyFrom(c *types.DeploymentConfiguration) Strategy {
	if c == nil {
		return Strategy{}
	}
	s := Strategy{Name: string(c.Strategy), Bake: minutes(c.BakeTimeInMinutes)}
	switch c.Strategy {
	case types.DeploymentStrategyBlueGreen:
		s.Steps = 1
	case types.DeploymentStrategyLinear:
		if l := c.LinearConfiguration; l != nil {
			s.StepBake = minutes(l.StepBakeTimeInMinutes)
			// ECS takes no step below 3 percent.
			if percent := aws.ToFloat64(l.StepPercent); percent >= 1 && percent <= 100 {
				s.Steps = int(math.Ceil(100 / percent))
			}
		}
	case types.DeploymentStrategyCanary:
		s.Steps = 2
		if c := c.CanaryConfiguration; c != nil {
			s.StepBake = minutes(c.CanaryBakeTimeInMinutes)
		}
	}
	if e := c.EarlySuccessCriteria; e != nil {
		s.EarlySuccess = e.Enable
	}
	for _, h := range c.LifecycleHooks {
		if h.TargetType != types.DeploymentLifecycleHookTargetTypePause {
			continue
		}
		var p Pause
		for _, stage := range h.LifecycleStages {
			p.Stages = append(p.Stages, string(stage))
		}
		if t := h.TimeoutConfiguration; t != nil {
			p.Limit, p.Action = minutes(t.TimeoutInMinutes), string(t.Action)
		}
		s.Pauses = append(s.Pauses, p)
	}
	return s
}

// minutes is a duration that ECS gives in minutes; 0 where it gives none.
func minutes(n *int32) time.Duration {
	return time.Duration(max(aws.ToInt32(n), 0)) * time.Minute
}

// newest sorts newest first; what was created at the same time keeps its order.
func newest[T any](all []T, created func(T) time.Time) {
	slices.SortStableFunc(all, func(a, b T) int { return created(b).Compare(created(a)) })
}
