package rollout

// Services whose deployment controller is CODE_DEPLOY: CodeDeploy puts a second
// task set beside the one that runs, shifts the load balancer's traffic to it,
// and ends the old one. UpdateService cannot; what starts a deployment is one
// CreateDeployment with an AppSpec.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// Group is the deployment group that deploys a service. There is one at most:
// CodeDeploy lets a service belong to no second one.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentGroupInfo.html
type Group struct {
	Application string
	Name        string
	// RollBackOn are the events on which the group rolls back by itself:
	// DEPLOYMENT_FAILURE, DEPLOYMENT_STOP_ON_ALARM, DEPLOYMENT_STOP_ON_REQUEST.
	RollBackOn []string
	// Successful is the id of the last deployment that succeeded, InFlight of
	// the one that is under way; empty where there is none.
	Successful string
	InFlight   string
}

// CodeDeployChange is what CreateDeployment asks of CodeDeploy.
type CodeDeployChange struct {
	TaskDefinition string // ARN of a revision
	// RollBack has CodeDeploy roll back when the deployment fails or is stopped,
	// beside what the group says. Without it the group alone decides.
	RollBack bool
	// AppSpec is deployed instead of the one made from the service, with the
	// task definition set in it; JSON or YAML, empty as a rule.
	AppSpec []byte
}

// CodeDeployment is one deployment of CodeDeploy's, to be watched. Its ID is
// CodeDeploy's: d-….
type CodeDeployment struct {
	Started
	Group Group

	answered bool // it was ready, and was told to go on
	stopping bool // it was asked to stop and to roll back
}

// Again returns d to be watched once more, after StopCodeDeploy: until it is
// known how its rollback ended.
func (d CodeDeployment) Again() CodeDeployment {
	d.Started = d.Started.Again()
	d.stopping = true
	return d
}

// BusyError is CodeDeploy's refusal to start a deployment beside another.
type BusyError struct {
	Service    string
	Deployment string // id of the one in flight; empty where CodeDeploy does not name it
	err        error
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("service %s is busy: %s", e.Service, apiMessage(e.err))
}

// Hint returns the advice, for whoever prints the error.
func (e *BusyError) Hint() string {
	return "CodeDeploy has one deployment of a group at a time: run the step again when that one has ended, or stop it"
}

func (e *BusyError) Unwrap() error { return e.err }

// codeDeploy returns a client of CodeDeploy. Only services that need it pay for it.
func (c *Client) codeDeploy() *codedeploy.Client { return codedeploy.NewFromConfig(c.cfg) }

// patiently has calls of CodeDeploy, whose limits are per account and low,
// retried as ECS's are.
func patiently(o *codedeploy.Options) {
	var same ecs.Options
	patience(&same)
	o.Retryer = same.Retryer
}

// CodeDeployGroup finds the deployment group that deploys s. CodeDeploy has no
// index for that: applications are read until one has the group, those first
// that are named after the service, as the ECS console does. None is a *Problem.
func (c *Client) CodeDeployGroup(ctx context.Context, s Service) (Group, error) {
	api := c.codeDeploy()
	var names []string
	pages := codedeploy.NewListApplicationsPaginator(api, nil)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, patiently)
		if err != nil {
			return Group{}, during("list the applications of CodeDeploy", err)
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
			return Group{}, err
		case len(groups) > 1:
			return Group{}, &Problem{Input: "services",
				Message: fmt.Sprintf("service %s belongs to %d deployment groups of the CodeDeploy application %s (%s and %s); exactly one was expected", s.Name, len(groups), name, groups[0].Name, groups[1].Name),
				Advice:  "remove the service from all but one"}
		case len(groups) == 1:
			return groups[0], nil
		}
	}
	among := fmt.Sprintf("and none of its %s in %s has a deployment group for it", plural(len(names), "application"), c.region)
	if len(names) == 0 {
		among = "which has no application in " + c.region + " and so no deployment group for it"
	}
	return Group{}, &Problem{Input: "services",
		Message: fmt.Sprintf("service %s is deployed by CodeDeploy, %s", s.Name, among),
		Advice:  "create a deployment group for the service, or set its deployment controller to ECS"}
}

func likeness(application, service string) int {
	if strings.Contains(application, service) {
		return 1
	}
	return 0
}

// groupsFor returns the groups of an application that deploy s.
func groupsFor(ctx context.Context, api *codedeploy.Client, application string, s Service) ([]Group, error) {
	var found []Group
	pages := codedeploy.NewListDeploymentGroupsPaginator(api, &codedeploy.ListDeploymentGroupsInput{ApplicationName: aws.String(application)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, patiently)
		if err != nil {
			return nil, during("list the deployment groups of "+application, err)
		}
		for some := range slices.Chunk(page.DeploymentGroups, 100) { // BatchGetDeploymentGroups' limit
			out, err := api.BatchGetDeploymentGroups(ctx, &codedeploy.BatchGetDeploymentGroupsInput{
				ApplicationName: aws.String(application), DeploymentGroupNames: some,
			}, patiently)
			if err != nil {
				return nil, during("read the deployment groups of "+application, err)
			}
			for _, info := range out.DeploymentGroupsInfo {
				if slices.ContainsFunc(info.EcsServices, func(e types.ECSService) bool {
					return aws.ToString(e.ServiceName) == s.Name && aws.ToString(e.ClusterName) == ShortARN(s.Cluster)
				}) {
					found = append(found, groupFrom(application, info))
				}
			}
		}
	}
	return found, nil
}

func groupFrom(application string, info types.DeploymentGroupInfo) Group {
	g := Group{Application: application, Name: aws.ToString(info.DeploymentGroupName)}
	g.RollBackOn = rollBackOn(info.AutoRollbackConfiguration)
	if last := info.LastSuccessfulDeployment; last != nil {
		g.Successful = aws.ToString(last.DeploymentId)
	}
	if last := info.LastAttemptedDeployment; last != nil && !over(string(last.Status)) {
		g.InFlight = aws.ToString(last.DeploymentId)
	}
	return g
}

func rollBackOn(a *types.AutoRollbackConfiguration) []string {
	if a == nil || !a.Enabled {
		return nil
	}
	events := make([]string, len(a.Events))
	for i, e := range a.Events {
		events[i] = string(e)
	}
	return events
}

// CreateDeployment starts a deployment of change to s in one CreateDeployment
// call; where another deployment is in the way, the error is a *BusyError. The
// hooks of the group's last successful deployment are kept; where its AppSpec
// cannot be read, that is a *Problem, for hooks that check a release must not
// get lost.
func (c *Client) CreateDeployment(ctx context.Context, g Group, s Service, change CodeDeployChange) (CodeDeployment, error) {
	api := c.codeDeploy()
	content, err := c.appSpec(ctx, api, g, s, change)
	if err != nil {
		return CodeDeployment{}, err
	}
	in := &codedeploy.CreateDeploymentInput{
		ApplicationName:     aws.String(g.Application),
		DeploymentGroupName: aws.String(g.Name),
		Description:         aws.String(ShortARN(change.TaskDefinition)),
		Revision: &types.RevisionLocation{
			RevisionType:   types.RevisionLocationTypeAppSpecContent,
			AppSpecContent: &types.AppSpecContent{Content: aws.String(string(content)), Sha256: aws.String(digestOf(content))},
		},
	}
	if change.RollBack {
		in.AutoRollbackConfiguration = g.rollingBack()
	}
	begin := time.Now()
	out, err := api.CreateDeployment(ctx, in, patiently)
	if codeOf(err) == "DeploymentLimitExceededException" {
		busy := &BusyError{Service: s.Name, Deployment: deploymentID.FindString(apiMessage(err)), err: err}
		// An answer that got lost makes the SDK ask twice: then the deployment
		// that is in the way is our own, or one that brings the same.
		if id := busy.Deployment; id != "" {
			if info, err := deploymentInfo(ctx, api, id); err == nil && sameRevision(info.Revision, in.Revision) {
				fresh := aws.ToTime(info.CreateTime).After(begin.Add(-createdSlack))
				return codeDeployment(g, s, id, change.TaskDefinition, fresh), nil
			}
		}
		return CodeDeployment{}, busy
	}
	if err != nil {
		return CodeDeployment{}, during("create a CodeDeploy deployment of service "+s.Name, err)
	}
	return codeDeployment(g, s, aws.ToString(out.DeploymentId), change.TaskDefinition, true), nil
}

// deploymentID is the id of a CodeDeploy deployment in a sentence: "The
// Deployment Group 'web' already has an active Deployment 'd-0A1B2C3D4'".
var deploymentID = regexp.MustCompile(`\bd-[0-9A-Z]+\b`)

func sameRevision(a, b *types.RevisionLocation) bool {
	return a != nil && a.AppSpecContent != nil && aws.ToString(a.AppSpecContent.Sha256) == aws.ToString(b.AppSpecContent.Sha256)
}

// rollingBack is what the group rolls back on, a failure and a stop added; nil
// where the group rolls back on both already.
func (g Group) rollingBack() *types.AutoRollbackConfiguration {
	out := &types.AutoRollbackConfiguration{Enabled: true}
	for _, e := range g.RollBackOn {
		out.Events = append(out.Events, types.AutoRollbackEvent(e))
	}
	for _, e := range []types.AutoRollbackEvent{types.AutoRollbackEventDeploymentFailure, types.AutoRollbackEventDeploymentStopOnRequest} {
		if !slices.Contains(out.Events, e) {
			out.Events = append(out.Events, e)
		}
	}
	if len(out.Events) == len(g.RollBackOn) {
		return nil
	}
	return out
}

// codeDeployment is the deployment id to be watched. s is the service as it was
// before: its events are old news.
func codeDeployment(g Group, s Service, id, taskDefinition string, fresh bool) CodeDeployment {
	started := Join(s, s)
	started.ID, started.TaskDefinition, started.New = id, taskDefinition, fresh
	return CodeDeployment{Started: started, Group: g}
}

// CodeDeployInFlight returns the deployment of g that is under way, to be
// watched, and whether there is one. Its TaskDefinition is empty where its
// AppSpec cannot be read.
func (c *Client) CodeDeployInFlight(ctx context.Context, g Group, s Service) (CodeDeployment, bool, error) {
	if g.InFlight == "" {
		return CodeDeployment{}, false, nil
	}
	api := c.codeDeploy()
	info, err := deploymentInfo(ctx, api, g.InFlight)
	if err != nil || over(string(info.Status)) {
		return CodeDeployment{}, false, err
	}
	taskDefinition := ""
	if content, err := revisionContent(ctx, api, info); err == nil {
		spec, _ := parseAppSpec(content)
		taskDefinition = spec.taskDefinition()
	}
	return codeDeployment(g, s, g.InFlight, taskDefinition, false), true, nil
}

// CodeDeploySucceeded reports whether the deployment id ended well. One that
// CodeDeploy does not know any more did not, as far as anybody can tell.
func (c *Client) CodeDeploySucceeded(ctx context.Context, id string) (bool, error) {
	info, err := deploymentInfo(ctx, c.codeDeploy(), id)
	if codeOf(err) == "DeploymentDoesNotExistException" {
		return false, nil
	}
	return err == nil && info.Status == types.DeploymentStatusSucceeded, err
}

// appSpec returns the AppSpec of a deployment of change to s.
func (c *Client) appSpec(ctx context.Context, api *codedeploy.Client, g Group, s Service, change CodeDeployChange) ([]byte, error) {
	if len(change.AppSpec) > 0 {
		return withTaskDefinition(change.AppSpec, change.TaskDefinition)
	}
	var previous []byte
	if g.Successful != "" {
		info, err := deploymentInfo(ctx, api, g.Successful)
		if err != nil {
			return nil, err
		}
		if previous, err = revisionContent(ctx, api, info); err != nil {
			return nil, err
		}
	}
	// What is taken over is the service as it is now, not as the plan saw it.
	out, err := c.api.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(s.Cluster), Services: []string{s.Name}})
	if err != nil {
		return nil, during("describe service "+s.Name+" in cluster "+s.Cluster, err)
	}
	if len(out.Services) == 0 {
		return nil, &Problem{Input: "services", Absent: true, Message: fmt.Sprintf("there is no service %s in cluster %s any more", s.Name, s.Cluster)}
	}
	return AppSpec(out.Services[0], change.TaskDefinition, previous)
}

func deploymentInfo(ctx context.Context, api *codedeploy.Client, id string) (*types.DeploymentInfo, error) {
	out, err := api.GetDeployment(ctx, &codedeploy.GetDeploymentInput{DeploymentId: aws.String(id)})
	if err != nil {
		return nil, during("read CodeDeploy deployment "+id, err)
	}
	return out.DeploymentInfo, nil
}

// revisionContent returns the AppSpec that a deployment deployed. GetDeployment
// tells its digest only; the content is asked for by that.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_GetDeployment.html
func revisionContent(ctx context.Context, api *codedeploy.Client, info *types.DeploymentInfo) ([]byte, error) {
	id, at := aws.ToString(info.DeploymentId), info.Revision
	if at == nil {
		return nil, nil
	}
	if content := inlineContent(at); content != "" {
		return []byte(content), nil
	}
	if at.AppSpecContent == nil && at.RevisionType != types.RevisionLocationTypeString {
		return nil, &Problem{Input: "services",
			Message: fmt.Sprintf("the AppSpec of CodeDeploy deployment %s is kept elsewhere (revision type %s), so that its hooks cannot be taken over", id, at.RevisionType),
			Advice:  "deploy once with the AppSpec as content of the revision (AppSpecContent); from then on its hooks are kept"}
	}
	out, err := api.GetApplicationRevision(ctx, &codedeploy.GetApplicationRevisionInput{ApplicationName: info.ApplicationName, Revision: at})
	if err != nil {
		return nil, during("read the AppSpec of CodeDeploy deployment "+id, err)
	}
	if out.Revision == nil {
		return nil, nil
	}
	return []byte(inlineContent(out.Revision)), nil
}

func inlineContent(r *types.RevisionLocation) string {
	if r.AppSpecContent != nil {
		return aws.ToString(r.AppSpecContent.Content)
	}
	//lint:ignore SA1019 no revision is made like this any more, but old ones are still there
	if old := r.String_; old != nil {
		return aws.ToString(old.Content)
	}
	return ""
}

// ErrEnded is the refusal to stop a CodeDeploy deployment that has ended.
var ErrEnded = errors.New("it has ended")

// StopCodeDeploy asks CodeDeploy to end the deployment and to roll the service
// back, also where the group does not roll back by itself. The error is
// ErrEnded when the deployment has ended.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_StopDeployment.html
func (c *Client) StopCodeDeploy(ctx context.Context, id string) error {
	_, err := c.codeDeploy().StopDeployment(ctx, &codedeploy.StopDeploymentInput{
		DeploymentId: aws.String(id), AutoRollbackEnabled: aws.Bool(true),
	}, patiently)
	if codeOf(err) == "DeploymentAlreadyCompletedException" {
		return ErrEnded
	}
	return during("stop CodeDeploy deployment "+id, err)
}

// AnswerCodeDeploy lets a deployment that is ready shift the traffic, or has it
// rolled back, and returns it to be watched on. One that does not wait is a
// *Problem.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ContinueDeployment.html
func (c *Client) AnswerCodeDeploy(ctx context.Context, d CodeDeployment, rollback bool) (CodeDeployment, error) {
	none := func(why string) error {
		return &Problem{Input: "services", Message: fmt.Sprintf("CodeDeploy deployment %s of service %s does not wait for an answer (%s)", d.ID, d.Service.Name, why),
			Advice: "it may have been answered, or its wait may be over: see the deployment"}
	}
	if rollback {
		err := c.StopCodeDeploy(ctx, d.ID)
		if errors.Is(err, ErrEnded) {
			err = none(err.Error())
		}
		return d.Again(), err
	}
	_, err := c.codeDeploy().ContinueDeployment(ctx, &codedeploy.ContinueDeploymentInput{
		DeploymentId: aws.String(d.ID), DeploymentWaitType: types.DeploymentWaitTypeReadyWait,
	}, patiently)
	switch codeOf(err) {
	case "DeploymentIsNotInReadyStateException", "DeploymentAlreadyCompletedException":
		return d, none(apiMessage(err))
	}
	d.answered = true
	return d, during("continue CodeDeploy deployment "+d.ID, err)
}
