package rollout

// CodeDeploy as the controller: it puts a second task set beside the one that
// runs, shifts the load balancer's traffic to it, and ends the old one. One
// deployment of a group runs at a time, and each is begun, stopped and answered
// in CodeDeploy.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// codeDeployController is the deployment controller of a service that CodeDeploy deploys.
const codeDeployController = "CODE_DEPLOY"

// New returns the controller of a service as it was first read. For one that
// CodeDeploy deploys its deployment group is looked up; none is a mistake.
func New(ctx context.Context, client *ecs.Client, doctor Doctor, s ecs.Service) (Controller, error) {
	switch s.Controller {
	case codeDeployController:
		api := codedeploy.NewFromConfig(client.Config())
		group, err := findGroup(ctx, api, client.Region(), s)
		if err != nil {
			return nil, err
		}
		group.pace = readPace(ctx, api, group.pace)
		return &codeDeploy{client: client, api: api, doctor: doctor, first: s, group: group}, nil
	case "ECS":
		return NewECS(client, doctor, s), nil
	}
	return nil, mistake.New(mistake.Service, "deploy it with the system that owns its task sets",
		"service %s has the deployment controller %s, whose task sets a third party manages; the controller ECS or CODE_DEPLOY was expected", s.Name, s.Controller)
}

type codeDeploy struct {
	client   *ecs.Client
	api      *codedeploy.Client
	doctor   Doctor
	first    ecs.Service
	group    group
	observer Observer // nil for none
}

func (c *codeDeploy) Name() string { return "CodeDeploy" }

// Group names the deployment group of the service, and its application.
func (c *codeDeploy) Group() (application, name string) { return c.group.application, c.group.name }

// Unsupported implements [Controller].
func (c *codeDeploy) Unsupported(change Change) []error {
	var all []error
	if change.DesiredCount != nil {
		all = append(all, mistake.New(mistake.DesiredCount, "set the number where the service is defined, and leave desiredCount out",
			"service %s is deployed by CodeDeploy, which does not change its number of tasks", c.first.Name))
	}
	if change.Force {
		all = append(all, mistake.New(mistake.Force, "leave forceNewDeployment out: a revision that differs is deployed without it",
			"service %s is deployed by CodeDeploy, where UpdateService cannot force a deployment", c.first.Name))
	}
	return all
}

// refresh reads the service and its group anew.
func (c *codeDeploy) refresh(ctx context.Context) (*codeDeploy, error) {
	s, err := c.client.Service(ctx, c.first.Cluster, c.first.Name)
	if err != nil {
		return nil, err
	}
	group, err := readGroup(ctx, c.api, c.group, s)
	if err != nil {
		return nil, err
	}
	now := *c
	group.pace = c.group.pace // which was planned with
	now.first, now.group = s, group
	return &now, nil
}

// InFlight implements [Controller].
func (c *codeDeploy) InFlight(ctx context.Context) (Deployment, error) {
	now, err := c.refresh(ctx)
	if err != nil {
		return nil, err
	}
	d, err := now.inFlight(ctx)
	if d == nil || err != nil {
		return nil, err // not a Deployment that holds nil
	}
	return d, nil
}

// inFlight returns the group's deployment in progress; where that rolls back
// another one, the other. Its revision is empty where its AppSpec cannot be read.
func (c *codeDeploy) inFlight(ctx context.Context) (*codeDeployment, error) {
	if c.group.inFlight == "" {
		return nil, nil
	}
	info, err := deploymentInfo(ctx, c.api, c.group.inFlight)
	if unknown(err) { // created just now: the group says that it is in progress
		return c.deployment(c.group.inFlight, ""), nil
	}
	if err != nil || over(string(info.Status)) {
		return nil, err
	}
	var rollback *CodeDeployRollback
	if rollbackOf(info) != "" {
		rollback = &CodeDeployRollback{ID: c.group.inFlight, Status: string(info.Status), Error: errorText(info.ErrorInformation)}
		if info, err = c.rollbackOrigin(ctx, info); err != nil {
			return nil, err
		}
	}
	id := cmp.Or(aws.ToString(info.DeploymentId), c.group.inFlight)
	revision := ""
	if content, err := revisionContent(ctx, c.api, info); err == nil {
		spec, _ := parseAppSpec(content)
		revision = spec.taskDefinition()
	}
	d := c.deployment(id, revision)
	d.snapshot.CodeDeploy.Status, d.snapshot.CodeDeploy.Rollback = string(info.Status), rollback
	if d.snapshot.Previous == revision { // the traffic was shifted before we looked
		d.snapshot.Previous = c.original(id).TaskDefinition
	}
	return d, nil
}

// rollbackOf is the id of the deployment that another one rolls back; empty where it
// rolls none back.
func rollbackOf(info *types.DeploymentInfo) string {
	if info.RollbackInfo == nil {
		return ""
	}
	return aws.ToString(info.RollbackInfo.RollbackTriggeringDeploymentId)
}

// rollbackOrigin returns the deployment that is rolled back by one, or by the rollback
// that it rolls back: a rollback that was stopped may be rolled back itself.
func (c *codeDeploy) rollbackOrigin(ctx context.Context, info *types.DeploymentInfo) (*types.DeploymentInfo, error) {
	for seen := map[string]bool{}; ; {
		id := rollbackOf(info)
		if id == "" || seen[id] {
			return info, nil
		}
		seen[id] = true
		before, err := deploymentInfo(ctx, c.api, id)
		if err != nil {
			return nil, err
		}
		info = before
	}
}

// original returns the task set beside that of the deployment id, to which
// CodeDeploy goes back; the zero Deployment where there is none.
func (c *codeDeploy) original(id string) ecs.Deployment {
	for _, set := range c.first.Deployments {
		if set.CodeDeploy != id && set.Status == "ACTIVE" {
			return set
		}
	}
	return ecs.Deployment{}
}

// deployment follows the deployment id. What the service has said so far is old.
func (c *codeDeploy) deployment(id, revision string) *codeDeployment {
	own, listed := c.first.Deployment(id)
	d := &codeDeployment{controller: c, news: newNews(c.first), snapshot: Snapshot{
		ID: id, Revision: revision, Previous: c.first.TaskDefinition,
		Service: c.first, Own: own, Listed: listed, CodeDeploy: &CodeDeployRecord{},
	}}
	d.watcher = watcher{source: d, observer: c.observer}
	return d
}

// LastGood implements [Controller]. It asks how the deployment ended that made the
// task set; a service's first task set was made with the service.
func (c *codeDeploy) LastGood(ctx context.Context) (string, error) {
	now, err := c.refresh(ctx)
	if err != nil {
		return "", err
	}
	return now.lastGood(ctx)
}

func (c *codeDeploy) lastGood(ctx context.Context) (string, error) {
	set := c.first.Primary()
	if c.group.inFlight != "" && set.CodeDeploy == c.group.inFlight {
		set = c.original(c.group.inFlight)
	}
	by := set.CodeDeploy
	if by == "" || by == c.group.successful {
		return set.TaskDefinition, nil
	}
	info, err := deploymentInfo(ctx, c.api, by)
	var gone *types.DeploymentDoesNotExistException
	switch {
	case errors.As(err, &gone):
		return "", nil
	case err != nil:
		return "", err
	case info.Status != types.DeploymentStatusSucceeded:
		return "", nil
	}
	return set.TaskDefinition, nil
}

// Successes implements [Controller]. ECS need not keep a list of what CodeDeploy
// deployed: where it cannot be read, there are none.
func (c *codeDeploy) Successes(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for revision, err := range successes(ctx, c.client, c.first) {
			if err != nil || !yield(revision, nil) {
				return
			}
		}
	}
}

// pausedLimit is how long it may take to see that a deployment waits.
const pausedLimit = 5 * time.Second

// Paused implements [Controller]. What has to be answered is the deployment itself.
func (c *codeDeploy) Paused(ctx context.Context, hookID string) (Deployment, error) {
	now, err := c.refresh(ctx)
	if err != nil {
		return nil, err
	}
	d, err := now.inFlight(ctx)
	if err != nil {
		return nil, err
	}
	none := mistake.New(mistake.Service, "it may have been answered, or its wait may be over: see the deployments of group "+c.group.name,
		"no CodeDeploy deployment of service %s waits for an answer", c.first.Name)
	switch {
	case d == nil:
		return nil, none
	case hookID != "" && hookID != d.snapshot.ID:
		return nil, mistake.New(mistake.Hook, "leave hookId empty to answer the deployment that waits",
			"the CodeDeploy deployment of service %s in progress is %s, not %s", c.first.Name, d.snapshot.ID, hookID)
	}
	for range d.Watch(ctx, Limits{Timeout: pausedLimit}) {
	}
	switch {
	case d.Err() != nil:
		return nil, d.Err()
	case d.unread != nil:
		return nil, d.unread // it is not known whether it waits
	case d.Verdict().Outcome != Paused:
		return nil, none
	case d.snapshot.Revision == "":
		return d, c.readable(ctx, d.snapshot.ID)
	}
	return d, nil
}

// readable reports why the revision of a deployment cannot be read.
func (c *codeDeploy) readable(ctx context.Context, id string) error {
	info, err := deploymentInfo(ctx, c.api, id)
	if err == nil {
		_, err = revisionContent(ctx, c.api, info)
	}
	if err != nil {
		return ecs.During("read the AppSpec of the paused deployment of service "+c.first.Name, err)
	}
	return nil
}

// Start implements [Controller]. Everything is read again before another attempt.
func (c *codeDeploy) Start(ctx context.Context, change Change) (Deployment, error) {
	again := attempts{begin: time.Now()}
	var unseen error // of the last call whose answer got lost, and of which nothing was seen
	for lost := 1; ; {
		d, err := c.startOnce(ctx, change)
		_, nothing := errors.AsType[*nothingStarted](err)
		switch {
		case err == nil:
			return d, nil
		case again.wait(ctx, err):
		case nothing && lost < lostTries:
			lost++
		case nothing:
			return nil, err
		default:
			return nil, unanswered(unseen, err)
		}
		if nothing {
			unseen = err
		}
	}
}

// lostTries is how often a call of CodeDeploy is made whose answer got lost and which
// it did not carry out: CreateDeployment, ContinueDeployment.
const lostTries = 8

// nothingStarted says that a call got no answer, and that CodeDeploy did not carry it
// out.
type nothingStarted struct{ error }

func (e *nothingStarted) Unwrap() error { return e.error }

// startOnce makes one attempt.
func (c *codeDeploy) startOnce(ctx context.Context, change Change) (Deployment, error) {
	now, err := c.refresh(ctx)
	if err != nil {
		return nil, err
	}
	if now.first.Deleted() {
		return nil, inactive(now.first)
	}
	other, err := now.inFlight(ctx)
	switch {
	case err != nil:
		return nil, err
	case other != nil && other.snapshot.Revision == change.TaskDefinition && !other.snapshot.RollingBack():
		return other, nil
	case other != nil:
		return nil, &MovedError{Service: now.first, InFlight: other}
	case change.Expect != "" && now.first.Primary().ID != change.Expect:
		return nil, &MovedError{Service: now.first}
	}
	if now.first.TaskDefinition == change.TaskDefinition && !change.Force {
		good, err := now.lastGood(ctx)
		if err != nil {
			return nil, err
		}
		if good == change.TaskDefinition {
			d := now.deployment("", good)
			d.snapshot.Own, d.snapshot.Listed = now.first.Primary(), true
			d.snapshot.Reached = true
			return d, nil
		}
	}
	return now.create(ctx, change)
}

// create starts a deployment in one CreateDeployment call.
func (c *codeDeploy) create(ctx context.Context, change Change) (Deployment, error) {
	content, err := c.appSpec(ctx, change)
	if err != nil {
		return nil, err
	}
	in := &codedeploy.CreateDeploymentInput{
		ApplicationName:     aws.String(c.group.application),
		DeploymentGroupName: aws.String(c.group.name),
		Description:         aws.String(ecs.ShortARN(change.TaskDefinition)),
		Revision: &types.RevisionLocation{
			RevisionType:   types.RevisionLocationTypeAppSpecContent,
			AppSpecContent: &types.AppSpecContent{Content: aws.String(string(content)), Sha256: aws.String(digestOf(content))},
		},
	}
	if change.RollBack {
		in.AutoRollbackConfiguration = c.group.rollingBack()
	}
	begin := time.Now()
	out, err := c.api.CreateDeployment(ctx, in, func(o *codedeploy.Options) { o.Retryer = aws.NopRetryer{} })
	var limit *types.DeploymentLimitExceededException
	switch {
	case errors.As(err, &limit):
		return c.busy(ctx, in, change, begin, err)
	case err != nil && ecs.Classify(err) == ecs.Broken:
		return c.unanswered(ctx, in, change, begin, err)
	case err != nil:
		return nil, ecs.During("create a CodeDeploy deployment of service "+c.first.Name, err)
	case aws.ToString(out.DeploymentId) == "":
		return nil, fmt.Errorf("create a CodeDeploy deployment of service %s: the answer has no deployment id", c.first.Name)
	}
	return c.created(*out.DeploymentId, change, true), nil
}

func (c *codeDeploy) created(id string, change Change, fresh bool) *codeDeployment {
	d := c.deployment(id, change.TaskDefinition)
	d.snapshot.New = fresh
	return d
}

// unanswered looks for the deployment that a call without an answer may have started,
// and that may have ended or be rolled back by now.
func (c *codeDeploy) unanswered(ctx context.Context, in *codedeploy.CreateDeploymentInput, change Change, begin time.Time, failure error) (Deployment, error) {
	failure = ecs.During("create a CodeDeploy deployment of service "+c.first.Name, failure)
	var found *types.DeploymentInfo
	unread := untilRead(ctx, func() error {
		found = nil
		now, err := c.refresh(ctx)
		if err == nil && now.group.attempted != c.group.attempted {
			found, err = deploymentInfo(ctx, c.api, now.group.attempted)
			if unknown(err) && time.Since(begin) <= recordLimit {
				return errors.New(err.Error()) // created just now: without its class, the error is not taken for one that lasts
			}
		}
		if err == nil && found != nil {
			found, err = c.rollbackOrigin(ctx, found)
		}
		return err
	})
	switch {
	case unread != nil:
		return nil, &UnansweredError{failure, unread}
	case found != nil && aws.ToString(found.DeploymentId) != c.group.attempted && sameRevision(found.Revision, in.Revision):
		return c.created(aws.ToString(found.DeploymentId), change, aws.ToTime(found.CreateTime).After(begin.Add(-createdSlack))), nil
	}
	return nil, &nothingStarted{failure}
}

// busy answers CodeDeploy's refusal to start a deployment beside another: it may
// bring the same.
func (c *codeDeploy) busy(ctx context.Context, in *codedeploy.CreateDeploymentInput, change Change, begin time.Time, refusal error) (Deployment, error) {
	id := deploymentID.FindString(refusal.Error())
	if id == "" {
		return nil, ecs.During("create a CodeDeploy deployment of service "+c.first.Name, refusal)
	}
	info, err := deploymentInfo(ctx, c.api, id)
	if unknown(err) { // created just now
		return nil, &MovedError{Service: c.first, InFlight: c.deployment(id, "")}
	}
	if err != nil {
		return nil, errors.Join(ecs.During("create a CodeDeploy deployment of service "+c.first.Name, refusal), err)
	}
	if sameRevision(info.Revision, in.Revision) {
		return c.created(id, change, aws.ToTime(info.CreateTime).After(begin.Add(-createdSlack))), nil
	}
	return nil, &MovedError{Service: c.first, InFlight: c.deployment(id, "")}
}

// deploymentID is the id of a CodeDeploy deployment in a sentence: "The
// Deployment Group 'web' already has an active Deployment 'd-0A1B2C3D4'".
var deploymentID = regexp.MustCompile(`\bd-[0-9A-Z]+\b`)

func sameRevision(a, b *types.RevisionLocation) bool {
	return a != nil && a.AppSpecContent != nil && aws.ToString(a.AppSpecContent.Sha256) == aws.ToString(b.AppSpecContent.Sha256)
}

// appSpec returns the AppSpec of a deployment of change: the service as it runs,
// and the hooks of the group's last successful deployment. Where that one's
// AppSpec cannot be read the error says so, for hooks that check a release must
// not get lost.
func (c *codeDeploy) appSpec(ctx context.Context, change Change) ([]byte, error) {
	var previous []byte
	if c.group.successful != "" {
		info, err := deploymentInfo(ctx, c.api, c.group.successful)
		if err != nil {
			return nil, err
		}
		if previous, err = revisionContent(ctx, c.api, info); err != nil {
			return nil, err
		}
	}
	return AppSpec(c.first.Described, change.TaskDefinition, previous)
}

func deploymentInfo(ctx context.Context, api *codedeploy.Client, id string) (*types.DeploymentInfo, error) {
	out, err := api.GetDeployment(ctx, &codedeploy.GetDeploymentInput{DeploymentId: aws.String(id)})
	if err == nil && (out.DeploymentInfo == nil || aws.ToString(out.DeploymentInfo.DeploymentId) != id) {
		err = errors.New("the reply of GetDeployment is incomplete: it has no such deployment")
	}
	if err != nil {
		return nil, ecs.During("read CodeDeploy deployment "+id, err)
	}
	return out.DeploymentInfo, nil
}

// revisionContent returns the AppSpec that a deployment deployed, which is never empty. GetDeployment
// has its digest only; the content is asked for by that.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_GetDeployment.html
func revisionContent(ctx context.Context, api *codedeploy.Client, info *types.DeploymentInfo) ([]byte, error) {
	id, at := aws.ToString(info.DeploymentId), info.Revision
	if at == nil {
		return nil, fmt.Errorf("the reply of GetDeployment is incomplete: deployment %s has no revision, so that its hooks are not known", id)
	}
	if content := inlineContent(at); content != "" {
		return []byte(content), nil
	}
	if at.AppSpecContent == nil && at.RevisionType != types.RevisionLocationTypeString {
		return nil, mistake.New(mistake.Service, "deploy once with the AppSpec as content of the revision (AppSpecContent); from then on its hooks are kept",
			"the AppSpec of CodeDeploy deployment %s is stored elsewhere (revision type %s), so that its hooks cannot be taken over", id, at.RevisionType)
	}
	out, err := api.GetApplicationRevision(ctx, &codedeploy.GetApplicationRevisionInput{ApplicationName: info.ApplicationName, Revision: at})
	if err != nil {
		return nil, ecs.During("read the AppSpec of CodeDeploy deployment "+id, err)
	}
	if out.Revision == nil || inlineContent(out.Revision) == "" {
		return nil, fmt.Errorf("the reply of GetApplicationRevision is incomplete: the AppSpec of CodeDeploy deployment %s has no content, so that its hooks are not known", id)
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

// failsTo are the events on which a deployment of ours rolls back at least.
func failsTo() []types.AutoRollbackEvent {
	return []types.AutoRollbackEvent{types.AutoRollbackEventDeploymentFailure, types.AutoRollbackEventDeploymentStopOnRequest}
}

// rollingBack is what the group rolls back on, a failure and a stop added; nil
// where the group rolls back on both already.
func (g group) rollingBack() *types.AutoRollbackConfiguration {
	out := &types.AutoRollbackConfiguration{Enabled: true}
	for _, e := range g.rollsBackOn {
		out.Events = append(out.Events, types.AutoRollbackEvent(e))
	}
	for _, e := range failsTo() {
		if !slices.Contains(out.Events, e) {
			out.Events = append(out.Events, e)
		}
	}
	if len(out.Events) == len(g.rollsBackOn) {
		return nil
	}
	return out
}
