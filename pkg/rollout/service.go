package rollout

// What ECS says of a service: DescribeServices in the words of this package.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Service is an ECS service as DescribeServices showed it at one moment.
type Service struct {
	Cluster        string // as the caller named it: name or ARN
	Name           string
	ARN            string
	Status         string // ACTIVE, DRAINING or INACTIVE
	TaskDefinition string // ARN of the revision that the service is set to
	Controller     string // ECS, CODE_DEPLOY or EXTERNAL
	Fargate        bool   // tasks run on Fargate, by launch type or capacity provider
	Desired        int
	Running        int
	Pending        int
	Deployments    []Deployment
	Events         []Message // newest first, 100 at most
	TargetGroups   []string  // ARNs, a blue/green deployment's alternate ones included
}

// Deployment is one entry of a service's list of deployments. Several exist
// only while one replaces another. Where CodeDeploy deploys a service there are
// none, and its task sets stand in for them.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskSet.html
type Deployment struct {
	ID             string // ecs-svc/…; tasks carry it as startedBy
	Status         string // PRIMARY, ACTIVE or INACTIVE
	TaskDefinition string
	CreatedAt      time.Time
	Desired        int
	Running        int
	Pending        int
	Failed         int
	RolloutState   string // IN_PROGRESS, COMPLETED, FAILED; empty where ECS gives none
	Reason         string
	CodeDeploy     string // id of the CodeDeploy deployment that made the task set: d-…
}

// Message is one line of a service's own event log.
type Message struct {
	ID   string
	Time time.Time
	Text string
}

// Primary returns the deployment that the service is being moved to, or the
// one it rests on.
func (s Service) Primary() Deployment {
	for _, d := range s.Deployments {
		if d.Status == "PRIMARY" {
			return d
		}
	}
	return Deployment{}
}

// deployment returns the deployment with the given id: ECS's, or CodeDeploy's.
func (s Service) deployment(id string) (Deployment, bool) {
	i := slices.IndexFunc(s.Deployments, func(d Deployment) bool { return id != "" && (d.ID == id || d.CodeDeploy == id) })
	if i < 0 {
		return Deployment{}, false
	}
	return s.Deployments[i], true
}

// Service reads a service. A cluster that does not exist or is inactive, and a
// service that does not exist or is being deleted, is a *Problem.
func (c *Client) Service(ctx context.Context, cluster, name string) (Service, error) {
	out, err := c.api.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster:  aws.String(cluster),
		Services: []string{name},
	})
	switch {
	case codeOf(err) == "ClusterNotFoundException":
		return Service{}, c.noCluster(ctx, cluster, err)
	case err != nil:
		return Service{}, during("describe service "+name+" in cluster "+cluster, err)
	case len(out.Services) == 0:
		return Service{}, c.noService(ctx, cluster, name)
	}
	s := serviceFrom(out.Services[0])
	s.Cluster = cluster
	if s.Status != "ACTIVE" {
		return s, &Problem{Absent: true, Input: "services", Message: fmt.Sprintf("service %s in cluster %s is %s; an ACTIVE service was expected", name, cluster, s.Status),
			Advice: "create the service again, or name the one that replaced it"}
	}
	return s, nil
}

func (c *Client) noCluster(ctx context.Context, cluster string, err error) error {
	p := &Problem{Absent: true, Input: "cluster", Message: fmt.Sprintf("there is no cluster %q in %s", cluster, c.region),
		Advice: "check cluster and region"}
	if containsFold(err.Error(), "inactive") {
		p.Message = fmt.Sprintf("cluster %q in %s is inactive: it was deleted", cluster, c.region)
	}
	var names []string
	pages := ecs.NewListClustersPaginator(c.api, &ecs.ListClustersInput{})
	for pages.HasMorePages() && len(names) < 1000 {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return p // listing is a courtesy: its failure must not hide the problem
		}
		names = append(names, page.ClusterArns...)
	}
	p.Advice = offer("clusters in "+c.region, cluster, names)
	return p
}

func (c *Client) noService(ctx context.Context, cluster, name string) error {
	p := &Problem{Absent: true, Input: "services", Message: fmt.Sprintf("there is no service %q in cluster %s (%s)", name, cluster, c.region),
		Advice: "check services, cluster and region"}
	var names []string
	pages := ecs.NewListServicesPaginator(c.api, &ecs.ListServicesInput{Cluster: aws.String(cluster), MaxResults: aws.Int32(100)})
	for pages.HasMorePages() && len(names) < 1000 {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return p
		}
		names = append(names, page.ServiceArns...)
	}
	p.Advice = offer("services in cluster "+cluster, name, names)
	return p
}

// offered is how many names an error suggests: enough to see a slip of the
// pen, few enough for one line.
const offered = 8

// offer lists the names behind arns, those that resemble wanted first.
func offer(what, wanted string, arns []string) string {
	if len(arns) == 0 {
		return "there are no " + what
	}
	names := make([]string, len(arns))
	for i, arn := range arns {
		names[i] = ShortARN(arn)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := sharedPrefix(b, wanted) - sharedPrefix(a, wanted); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	if more := len(names) - offered; more > 0 {
		names = append(names[:offered], fmt.Sprintf("and %d more", more))
	}
	return what + ": " + strings.Join(names, ", ")
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n]|0x20 == b[n]|0x20 {
		n++
	}
	return n
}

func containsFold(s, lower string) bool { return strings.Contains(strings.ToLower(s), lower) }

func serviceFrom(s types.Service) Service {
	out := Service{
		Name:           aws.ToString(s.ServiceName),
		ARN:            aws.ToString(s.ServiceArn),
		Status:         aws.ToString(s.Status),
		TaskDefinition: aws.ToString(s.TaskDefinition),
		Controller:     string(types.DeploymentControllerTypeEcs), // the default, which ECS leaves out
		Fargate:        s.LaunchType == types.LaunchTypeFargate,
		Desired:        int(s.DesiredCount),
		Running:        int(s.RunningCount),
		Pending:        int(s.PendingCount),
	}
	if s.DeploymentController != nil {
		out.Controller = string(s.DeploymentController.Type)
	}
	for _, p := range s.CapacityProviderStrategy {
		name := aws.ToString(p.CapacityProvider)
		out.Fargate = out.Fargate || name == "FARGATE" || name == "FARGATE_SPOT"
	}
	for _, lb := range s.LoadBalancers {
		out.TargetGroups = append(out.TargetGroups, targetGroups(lb)...)
	}
	for _, d := range s.Deployments {
		out.Deployments = append(out.Deployments, Deployment{
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
	for _, set := range s.TaskSets {
		out.Deployments = append(out.Deployments, Deployment{
			ID:             aws.ToString(set.Id),
			Status:         aws.ToString(set.Status),
			TaskDefinition: aws.ToString(set.TaskDefinition),
			CreatedAt:      aws.ToTime(set.CreatedAt),
			Desired:        int(set.ComputedDesiredCount),
			Running:        int(set.RunningCount),
			Pending:        int(set.PendingCount),
			CodeDeploy:     aws.ToString(set.ExternalId),
		})
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, Message{aws.ToString(e.Id), aws.ToTime(e.CreatedAt), aws.ToString(e.Message)})
	}
	return out
}
