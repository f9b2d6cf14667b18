package rollout

// The deployment group of CodeDeploy that deploys a service.

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// group is the deployment group that deploys a service. There is one at most:
// CodeDeploy lets a service belong to no second one.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentGroupInfo.html
type group struct {
	application string
	name        string
	// rollsBackOn are the events on which the group rolls back by itself:
	// DEPLOYMENT_FAILURE, DEPLOYMENT_STOP_ON_ALARM, DEPLOYMENT_STOP_ON_REQUEST.
	rollsBackOn []string
	successful  string // id of the last deployment that succeeded
	inFlight    string // id of the deployment in progress; empty where there is none
	attempted   string // id of the last deployment, in progress or not
	pace        Pace
	// testListener is the ARN of the listener of its test traffic; empty where it has
	// none.
	testListener string
	holds        bool // a deployment waits to be told to shift the traffic
}

// patiently has calls of CodeDeploy, whose limits are per account and low, retried
// more often than the SDK does.
func patiently(o *codedeploy.Options) {
	o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts = 8
		s.Backoff = ecs.Backoff{}
	})
}

// findGroup finds the deployment group that deploys s. CodeDeploy has no index for
// that: applications are read until one has the group, those first that are named
// after the service, as the ECS console does. None is a mistake.
func findGroup(ctx context.Context, api *codedeploy.Client, region string, s ecs.Service) (group, error) {
	var names []string
	pages := codedeploy.NewListApplicationsPaginator(api, nil)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, patiently)
		if err != nil {
			return group{}, ecs.During("list the applications of CodeDeploy", err)
		}
		names = append(names, page.Applications...)
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(likeness(b, s.Name), likeness(a, s.Name))
	})
	for _, name := range names {
		groups, err := groupsFor(ctx, api, name, s)
		switch {
		case err != nil:
			return group{}, err
		case len(groups) > 1:
			return group{}, mistake.New(mistake.Service, "remove the service from all but one",
				"service %s belongs to %d deployment groups of the CodeDeploy application %s (%s and %s); exactly one was expected",
				s.Name, len(groups), name, groups[0].name, groups[1].name)
		case len(groups) == 1:
			return groups[0], nil
		}
	}
	return group{}, mistake.New(mistake.Service, "create a deployment group for the service, or set its deployment controller to ECS",
		"service %s is deployed by CodeDeploy, and none of the %d CodeDeploy applications in %s has a deployment group for it", s.Name, len(names), region)
}

func likeness(application, service string) int {
	if strings.Contains(application, service) {
		return 1
	}
	return 0
}

// groupsFor returns the groups of an application that deploy s.
func groupsFor(ctx context.Context, api *codedeploy.Client, application string, s ecs.Service) ([]group, error) {
	var found []group
	pages := codedeploy.NewListDeploymentGroupsPaginator(api, &codedeploy.ListDeploymentGroupsInput{ApplicationName: aws.String(application)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, patiently)
		if err != nil {
			return nil, ecs.During("list the deployment groups of "+application, err)
		}
		for some := range slices.Chunk(page.DeploymentGroups, 100) { // BatchGetDeploymentGroups' limit
			groups, err := readGroups(ctx, api, application, some, s)
			if err != nil {
				return nil, err
			}
			found = append(found, groups...)
		}
	}
	return found, nil
}

// readGroups reads the named groups and returns those that deploy s.
func readGroups(ctx context.Context, api *codedeploy.Client, application string, names []string, s ecs.Service) ([]group, error) {
	out, err := api.BatchGetDeploymentGroups(ctx, &codedeploy.BatchGetDeploymentGroupsInput{
		ApplicationName: aws.String(application), DeploymentGroupNames: names,
	}, patiently)
	if err != nil {
		return nil, ecs.During("read the deployment groups of "+application, err)
	}
	var found []group
	for _, info := range out.DeploymentGroupsInfo {
		if slices.ContainsFunc(info.EcsServices, func(e types.ECSService) bool {
			return aws.ToString(e.ServiceName) == s.Name && aws.ToString(e.ClusterName) == ecs.ShortARN(s.Cluster)
		}) {
			if last := info.LastSuccessfulDeployment; last != nil && aws.ToString(last.DeploymentId) == "" {
				// Its AppSpec has the hooks that the next deployment is checked by.
				return nil, fmt.Errorf("the reply of BatchGetDeploymentGroups is incomplete: the last successful deployment of group %s has no id", aws.ToString(info.DeploymentGroupName))
			}
			found = append(found, groupFrom(application, info))
		}
	}
	return found, nil
}

// readGroup reads a group anew: which deployment is in progress changes.
func readGroup(ctx context.Context, api *codedeploy.Client, g group, s ecs.Service) (group, error) {
	groups, err := readGroups(ctx, api, g.application, []string{g.name}, s)
	if err != nil {
		return g, err
	}
	if len(groups) == 0 {
		return g, mistake.New(mistake.Service, "check the deployment group in CodeDeploy",
			"the deployment group %s of the CodeDeploy application %s does not deploy service %s any more", g.name, g.application, s.Name)
	}
	return groups[0], nil
}

func groupFrom(application string, info types.DeploymentGroupInfo) group {
	g := group{application: application, name: aws.ToString(info.DeploymentGroupName), rollsBackOn: rollsBackOn(info.AutoRollbackConfiguration), pace: paceFrom(info)}
	if info.LoadBalancerInfo != nil {
		for _, pair := range info.LoadBalancerInfo.TargetGroupPairInfoList {
			if pair.TestTrafficRoute != nil && g.testListener == "" {
				g.testListener = testListenerOf(pair.TestTrafficRoute.ListenerArns)
			}
		}
	}
	if b := info.BlueGreenDeploymentConfiguration; b != nil && b.DeploymentReadyOption != nil {
		g.holds = b.DeploymentReadyOption.ActionOnTimeout == types.DeploymentReadyActionStopDeployment
	}
	if last := info.LastSuccessfulDeployment; last != nil {
		g.successful = aws.ToString(last.DeploymentId)
	}
	if last := info.LastAttemptedDeployment; last != nil {
		if g.attempted = aws.ToString(last.DeploymentId); !over(string(last.Status)) {
			g.inFlight = g.attempted
		}
	}
	return g
}

func rollsBackOn(a *types.AutoRollbackConfiguration) []string {
	if a == nil || !a.Enabled {
		return nil
	}
	events := make([]string, len(a.Events))
	for i, e := range a.Events {
		events[i] = string(e)
	}
	return events
}
