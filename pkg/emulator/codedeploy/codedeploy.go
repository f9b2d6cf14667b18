// Package codedeploy is AWS CodeDeploy as far as deployments to Amazon ECS go: applications, deployment groups, deployments and their one target each. What becomes
// of a deployment over time is in deployment.go.
//
// What it does not do: it deploys to nothing but ECS, keeps AppSpec files only of what was deployed, and runs no functions.
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/
package codedeploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecs"
)

// CodeDeploy is AWS CodeDeploy, as far as services of ECS go.
type CodeDeploy struct {
	*awsapi.Server
	ecs          *ecs.ECS
	applications []*application
	deployments  []*deployment // newest first

	configurations []*configuration
}

func New(server *awsapi.Server, ecs *ecs.ECS) *CodeDeploy {
	e := &CodeDeploy{Server: server, ecs: ecs}
	ecs.Turns = append(ecs.Turns, e.turn)
	ecs.Others = others{e}
	server.Handle("CodeDeploy_20141006", e.Service())
	return e
}

// turn brings every deployment that has not ended forward.
func (e *CodeDeploy) turn(now time.Time) (busy bool) {
	for _, d := range slices.Clone(e.deployments) {
		if !d.final() {
			e.advance(d, now)
			busy = true
		}
	}
	return busy
}

type application struct {
	name, id, platform string
	groups             []*deploymentGroup
	revisions          []*storedRevision
}

// storedRevision is an AppSpec file that was deployed, which CodeDeploy keeps under its digest.
type storedRevision struct {
	typ, digest, content string
	registered, used     time.Time
}

// deploymentGroup says which service is deployed to, and how.
type deploymentGroup struct {
	application *application
	name, id    string
	doc         awsapi.Object
	attempted   *deployment
	succeeded   *deployment
}

// deployment is a deployment of CodeDeploy.
type deployment struct {
	id           string // d-…
	group        *deploymentGroup
	service      *ecs.Service
	spec         appSpec
	doc          awsapi.Object // as created
	status       string        // Created, InProgress, Ready, Succeeded, Failed, Stopped
	creator      string
	caller       string // principal
	stoppedBy    string // principal; "" is nobody
	created      time.Time
	started      time.Time
	completed    time.Time
	updated      time.Time
	events       []*lifecycleEvent
	blue, green  *ecs.Deployment // task sets
	steps        []float64       // percentages of traffic still to come
	shifted      time.Time       // the last time that traffic was shifted
	waiting      bool            // for the end of the original task set
	code, reason string          // of the error
	rolledBackBy *deployment
	rollsBack    *deployment
	message      string // about the rollback
}

type lifecycleEvent struct {
	name, status string
	start, end   time.Time
	diagnosis    string
}

func (e *CodeDeploy) Service() *awsapi.Service {
	m := newCodeDeployModel()
	op := func(name string, do func(*awsapi.Invocation) (awsapi.Object, error)) awsapi.Operation {
		out := awsapi.Unit
		if codeDeployShapes[name+"Response"] != "" {
			out = m[name+"Response"]
		}
		return awsapi.Op(m[name+"Request"], out, do)
	}
	svc := &awsapi.Service{
		Name: "codedeploy", Rules: codeDeployRules(), Unknown: "UnknownOperationException", Refuse: refuseCodeDeploy, Resource: e.resource, Implied: e.implied,
		Operations: map[string]awsapi.Operation{},
	}
	for name, do := range map[string]func(*awsapi.Invocation) (awsapi.Object, error){
		"CreateApplication":         e.createApplication,
		"ListApplications":          e.listApplications,
		"CreateDeploymentConfig":    e.createDeploymentConfig,
		"GetDeploymentConfig":       e.getDeploymentConfig,
		"CreateDeploymentGroup":     e.createDeploymentGroup,
		"ListDeploymentGroups":      e.listDeploymentGroups,
		"GetDeploymentGroup":        e.getDeploymentGroup,
		"BatchGetDeploymentGroups":  e.batchGetDeploymentGroups,
		"CreateDeployment":          e.createDeployment,
		"GetDeployment":             e.getDeployment,
		"ListDeployments":           e.listDeployments,
		"ListDeploymentTargets":     e.listDeploymentTargets,
		"BatchGetDeploymentTargets": e.batchGetDeploymentTargets,
		"GetDeploymentTarget":       e.getDeploymentTarget,
		"StopDeployment":            e.stopDeployment,
		"ContinueDeployment":        e.continueDeployment,
		"GetApplicationRevision":    e.getApplicationRevision,
	} {
		svc.Operations[name] = op(name, do)
	}
	return svc
}

// refuseCodeDeploy words a violation as CodeDeploy does: a missing member has an error of its own name.
func refuseCodeDeploy(_ string, v awsapi.Violation) error {
	if v.Kind == awsapi.Missing {
		switch member := strings.TrimSuffix(v.Member, "s"); member {
		case "targetId":
			return awsapi.Errorf("DeploymentTargetIdRequiredException", "A deployment target ID was not provided.")
		case "serviceRoleArn":
			return awsapi.Errorf("RoleRequiredException", "The role ID was not specified.")
		case "revision":
			return errNoRevision
		default:
			return awsapi.Errorf(strings.ToUpper(member[:1])+member[1:]+"RequiredException", "%s must be specified.", awsapi.Sentence(member))
		}
	}
	return awsapi.Errorf("ValidationException", "%s", v.Error())
}

func (e *CodeDeploy) resource(_ string, in awsapi.Object) string {
	switch {
	case in.Has("deploymentGroupName"):
		return e.ARN("codedeploy", "deploymentgroup:"+in.Str("applicationName")+"/"+in.Str("deploymentGroupName"))
	case in.Has("applicationName"):
		return e.ARN("codedeploy", "application:"+in.Str("applicationName"))
	case in.Has("deploymentConfigName"):
		return e.ARN("codedeploy", "deploymentconfig:"+in.Str("deploymentConfigName"))
	}
	return "*"
}

// implied are the actions that creating a deployment takes beside its own: its revision is registered, and its configuration read. With either
// missing, the denial is of that action.
// https://docs.aws.amazon.com/codedeploy/latest/userguide/auth-and-access-control-permissions-reference.html
func (e *CodeDeploy) implied(operation string, in awsapi.Object) []awsapi.Need {
	if operation != "CreateDeployment" {
		return nil
	}
	configuration := in.Str("deploymentConfigName")
	e.Mu.Lock()
	if a, err := e.application(in.Str("applicationName")); configuration == "" && err == nil {
		if g, err := a.group(in.Str("deploymentGroupName")); err == nil {
			configuration = g.doc.Str("deploymentConfigName")
		}
	}
	e.Mu.Unlock()
	return []awsapi.Need{
		{Action: "codedeploy:GetDeploymentConfig", Resource: e.ARN("codedeploy", "deploymentconfig:"+cmp.Or(configuration, "CodeDeployDefault.ECSAllAtOnce"))},
		{Action: "codedeploy:RegisterApplicationRevision", Resource: e.ARN("codedeploy", "application:"+in.Str("applicationName"))},
	}
}

func (e *CodeDeploy) application(name string) (*application, error) {
	for _, a := range e.applications {
		if a.name == name {
			return a, nil
		}
	}
	return nil, awsapi.Errorf("ApplicationDoesNotExistException", "No application found for name: %s", name)
}

func (a *application) group(name string) (*deploymentGroup, error) {
	for _, g := range a.groups {
		if g.name == name {
			return g, nil
		}
	}
	return nil, awsapi.Errorf("DeploymentGroupDoesNotExistException", "No Deployment Group found for name: %s", name)
}

func (e *CodeDeploy) createApplication(c *awsapi.Invocation) (awsapi.Object, error) {
	name := c.In.Str("applicationName")
	if _, err := e.application(name); err == nil {
		return nil, awsapi.Errorf("ApplicationAlreadyExistsException", "Application already exists with the name: %s", name)
	}
	if p := c.In.Str("computePlatform"); p != "ECS" {
		return nil, awsapi.Errorf("InvalidComputePlatformException", "The emulator has applications of the compute platform ECS only.")
	}
	a := &application{name: name, id: e.ID(awsapi.UUID), platform: "ECS"}
	e.applications = append(e.applications, a)
	return awsapi.Object{"applicationId": a.id}, nil
}

func (e *CodeDeploy) listApplications(c *awsapi.Invocation) (awsapi.Object, error) {
	var names []string
	for _, a := range e.applications {
		names = append(names, a.name)
	}
	return pageOf(c, "applications", names)
}

// pageOf answers one page of a list of names; CodeDeploy has no say in how many a page holds.
func pageOf(c *awsapi.Invocation, member string, names []string) (awsapi.Object, error) {
	page, next, err := awsapi.Paginate(c.In, names, "maxResults", 100)
	if err != nil {
		return nil, awsapi.Errorf("InvalidNextTokenException", "The next token was specified in an invalid format.")
	}
	out := awsapi.Object{member: awsapi.Anys(page)}
	out.Put("nextToken", next)
	return out, nil
}

func (e *CodeDeploy) createDeploymentGroup(c *awsapi.Invocation) (awsapi.Object, error) {
	a, err := e.application(c.In.Str("applicationName"))
	if err != nil {
		return nil, err
	}
	name := c.In.Str("deploymentGroupName")
	if _, err := a.group(name); err == nil {
		return nil, awsapi.Errorf("DeploymentGroupAlreadyExistsException", "Deployment group already exists with the name: %s", name)
	}
	style := c.In.Object("deploymentStyle")
	switch {
	case style.Str("deploymentType") != "BLUE_GREEN" || style.Str("deploymentOption") != "WITH_TRAFFIC_CONTROL":
		return nil, awsapi.Errorf("InvalidDeploymentStyleException", "For ECS deployment group, deployment type must be BLUE_GREEN and deployment option must be WITH_TRAFFIC_CONTROL")
	case len(c.In.Objects("ecsServices")) != 1:
		return nil, awsapi.Errorf("InvalidECSServiceException", "For ECS deployment group, ecsServices must contain exactly one service")
	case c.In.Object("blueGreenDeploymentConfiguration").Object("terminateBlueInstancesOnDeploymentSuccess") == nil:
		return nil, awsapi.Errorf("InvalidBlueGreenDeploymentConfigurationException", "For ECS deployment group, terminateBlueInstancesOnDeploymentSuccess must be specified")
	}
	pairs := c.In.Object("loadBalancerInfo").Objects("targetGroupPairInfoList")
	if len(pairs) != 1 || len(pairs[0].Objects("targetGroups")) != 2 || len(pairs[0].Object("prodTrafficRoute").List("listenerArns")) == 0 {
		return nil, awsapi.Errorf("InvalidLoadBalancerInfoException", "For ECS deployment group, loadBalancerInfo must contain one target group pair with two target groups and a production traffic route")
	}
	s, err := e.shippable(c.In.Objects("ecsServices")[0])
	if err != nil {
		return nil, err
	}
	names := groupNames(pairs[0])
	for _, lb := range s.Doc.Objects("loadBalancers") {
		if name := ecs.TargetGroupName(lb.Str("targetGroupArn")); !slices.Contains(names, name) {
			return nil, awsapi.Errorf("InvalidTargetGroupPairException", "The target group %s of the ECS service is not in the target group pair", name)
		}
	}
	if configuration := c.In.Str("deploymentConfigName"); configuration != "" && e.routing(configuration) == nil {
		return nil, awsapi.Errorf("DeploymentConfigDoesNotExistException", "No deployment configuration found for name: %s", configuration)
	}
	doc := awsapi.CopyOf(c.In)
	delete(doc, "tags")
	doc.Fill("deploymentConfigName", "CodeDeployDefault.ECSAllAtOnce")
	doc.Object("blueGreenDeploymentConfiguration").Fill("deploymentReadyOption", awsapi.Object{"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0})
	g := &deploymentGroup{application: a, name: name, id: e.ID(awsapi.UUID), doc: doc}
	a.groups = append(a.groups, g)
	return awsapi.Object{"deploymentGroupId": g.id}, nil
}

// shippable finds the ECS service that a deployment group names.
func (e *CodeDeploy) shippable(ref awsapi.Object) (*ecs.Service, error) {
	cl := e.ecs.FindCluster(ref.Str("clusterName"))
	var s *ecs.Service
	if cl != nil {
		s = cl.Service(ref.Str("serviceName"))
	}
	if s == nil || s.Status != "ACTIVE" {
		return nil, awsapi.Errorf("InvalidECSServiceException", "The ECS service %s in the cluster %s could not be found", ref.Str("serviceName"), ref.Str("clusterName"))
	}
	if s.Controller() != "CODE_DEPLOY" {
		return nil, awsapi.Errorf("InvalidECSServiceException", "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller.")
	}
	return s, nil
}

func groupNames(pair awsapi.Object) []string {
	var names []string
	for _, g := range pair.Objects("targetGroups") {
		names = append(names, g.Str("name"))
	}
	return names
}

func (g *deploymentGroup) describe() awsapi.Object {
	o := awsapi.CopyOf(g.doc)
	o["deploymentGroupId"], o["computePlatform"] = g.id, g.application.platform
	for _, m := range []string{"ec2TagFilters", "ec2TagSet", "onPremisesInstanceTagFilters", "onPremisesTagSet", "autoScalingGroups", "outdatedInstancesStrategy"} {
		delete(o, m)
	}
	for member, d := range map[string]*deployment{"lastAttemptedDeployment": g.attempted, "lastSuccessfulDeployment": g.succeeded} {
		if d != nil {
			last := awsapi.Object{"deploymentId": d.id, "status": d.status, "createTime": awsapi.Epoch(d.created)}
			last.Put("endTime", d.completed)
			o[member] = last
		}
	}
	if g.succeeded != nil {
		o.Put("targetRevision", location(g.succeeded.doc.Object("revision")))
	}
	return o
}

func (e *CodeDeploy) listDeploymentGroups(c *awsapi.Invocation) (awsapi.Object, error) {
	a, err := e.application(c.In.Str("applicationName"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range a.groups {
		names = append(names, g.name)
	}
	out, err := pageOf(c, "deploymentGroups", names)
	if err != nil {
		return nil, err
	}
	out["applicationName"] = a.name
	return out, nil
}

func (e *CodeDeploy) findGroup(in awsapi.Object) (*deploymentGroup, error) {
	a, err := e.application(in.Str("applicationName"))
	if err != nil {
		return nil, err
	}
	return a.group(in.Str("deploymentGroupName"))
}

func (e *CodeDeploy) getDeploymentGroup(c *awsapi.Invocation) (awsapi.Object, error) {
	g, err := e.findGroup(c.In)
	if err != nil {
		return nil, err
	}
	return awsapi.Object{"deploymentGroupInfo": g.describe()}, nil
}

func (e *CodeDeploy) batchGetDeploymentGroups(c *awsapi.Invocation) (awsapi.Object, error) {
	a, err := e.application(c.In.Str("applicationName"))
	if err != nil {
		return nil, err
	}
	names := c.In.Strings("deploymentGroupNames")
	if len(names) > 100 {
		return nil, awsapi.Errorf("BatchLimitExceededException", "The maximum number of names or IDs allowed for this request (100) was exceeded.")
	}
	infos := []any{}
	var unknown string
	for _, name := range names {
		g, err := a.group(name)
		if err != nil {
			unknown = err.(*awsapi.Error).Message
			continue
		}
		infos = append(infos, g.describe())
	}
	out := awsapi.Object{"deploymentGroupsInfo": infos}
	out.Put("errorMessage", unknown)
	return out, nil
}

func (e *CodeDeploy) createDeployment(c *awsapi.Invocation) (awsapi.Object, error) {
	if !c.In.Has("deploymentGroupName") {
		return nil, awsapi.Errorf("DeploymentGroupNameRequiredException", "Deployment group name must be specified.")
	}
	g, err := e.findGroup(c.In)
	if err != nil {
		return nil, err
	}
	if !c.In.Has("revision") {
		return nil, errNoRevision
	}
	spec, err := readRevision(c.In.Object("revision"))
	if err != nil {
		return nil, err
	}
	configuration := cmp.Or(c.In.Str("deploymentConfigName"), g.doc.Str("deploymentConfigName"))
	if e.routing(configuration) == nil {
		return nil, awsapi.Errorf("DeploymentConfigDoesNotExistException", "No deployment configuration found for name: %s", configuration)
	}
	s, err := e.shippable(g.doc.Objects("ecsServices")[0])
	if err != nil {
		return nil, err
	}
	for _, d := range e.deployments {
		if d.group == g && !d.final() {
			return nil, awsapi.Errorf("DeploymentLimitExceededException", "The Deployment Group '%s' already has an active Deployment '%s'", g.name, d.id)
		}
	}
	d := e.newDeployment(g, s, "user", c.Now)
	d.caller = c.Principal
	c.Change.Deployment, c.Change.Effect = d.id, "started"
	d.spec, d.doc = spec, awsapi.CopyOf(c.In)
	d.doc["deploymentConfigName"] = configuration
	g.application.keep(d.doc.Object("revision"), c.Now)
	d.steps = slices.Clone(e.routing(configuration).steps)
	for _, name := range lifecycleEvents {
		d.events = append(d.events, &lifecycleEvent{name: name, status: "Pending"})
	}
	return awsapi.Object{"deploymentId": d.id}, nil
}

// newDeployment adds a deployment to a group's.
func (e *CodeDeploy) newDeployment(g *deploymentGroup, s *ecs.Service, creator string, now time.Time) *deployment {
	d := &deployment{id: "d-" + strings.ToUpper(e.ID(awsapi.TaskID)[:9]), group: g, service: s, status: "Created", creator: creator, created: now, updated: now, doc: awsapi.Object{}}
	e.deployments = append([]*deployment{d}, e.deployments...)
	g.attempted = d
	e.ecs.Busy = true
	return d
}

// final says whether nothing more will become of a deployment.
func (d *deployment) final() bool {
	return d.status == "Succeeded" || d.status == "Failed" || d.status == "Stopped"
}

func (e *CodeDeploy) deployment(id string) (*deployment, error) {
	if !strings.HasPrefix(id, "d-") || len(id) < 5 {
		return nil, awsapi.Errorf("InvalidDeploymentIdException", "Specified DeploymentId is not in the valid format: %s", id)
	}
	for _, d := range e.deployments {
		if d.id == id {
			return d, nil
		}
	}
	return nil, awsapi.Errorf("DeploymentDoesNotExistException", "The deployment %s could not be found", id)
}

// autoRollback is the configuration that holds for a deployment: its own, or its group's.
func (d *deployment) autoRollback(event string) bool {
	configuration := d.group.doc.Object("autoRollbackConfiguration")
	if own := d.doc.Object("autoRollbackConfiguration"); own != nil {
		configuration = own
	}
	return configuration.Flag("enabled") && slices.Contains(configuration.Strings("events"), event)
}

func (d *deployment) describe() awsapi.Object {
	o := awsapi.Object{
		"applicationName": d.group.application.name, "deploymentGroupName": d.group.name, "deploymentId": d.id, "status": d.status, "creator": d.creator,
		"createTime": awsapi.Epoch(d.created), "computePlatform": "ECS", "deploymentStyle": d.group.doc["deploymentStyle"],
		"blueGreenDeploymentConfiguration": d.group.doc["blueGreenDeploymentConfiguration"], "loadBalancerInfo": d.group.doc["loadBalancerInfo"],
		"instanceTerminationWaitTimeStarted": d.waiting, "ignoreApplicationStopFailures": false, "updateOutdatedInstancesOnly": false,
		"deploymentOverview": awsapi.Object{"Pending": 0, "InProgress": 0, "Succeeded": 0, "Failed": 0, "Skipped": 0, "Ready": 0},
	}
	o.Object("deploymentOverview")[d.targetStatus()] = 1
	for _, m := range []string{"deploymentConfigName", "description", "overrideAlarmConfiguration"} {
		o.Put(m, d.doc[m])
	}
	o.Put("revision", location(d.doc.Object("revision")))
	o.Put("autoRollbackConfiguration", d.group.doc["autoRollbackConfiguration"])
	o.Put("autoRollbackConfiguration", d.doc["autoRollbackConfiguration"])
	o.Put("startTime", d.started)
	o.Put("completeTime", d.completed)
	if d.code != "" {
		o["errorInformation"] = awsapi.Object{"code": d.code, "message": d.reason}
	}
	if d.rolledBackBy != nil || d.rollsBack != nil {
		info := awsapi.Object{}
		info.Put("rollbackMessage", d.message)
		if d.rolledBackBy != nil {
			info["rollbackDeploymentId"] = d.rolledBackBy.id
		}
		if d.rollsBack != nil {
			info["rollbackTriggeringDeploymentId"] = d.rollsBack.id
		}
		o["rollbackInfo"] = info
	}
	return awsapi.CopyOf(o)
}

func (e *CodeDeploy) getDeployment(c *awsapi.Invocation) (awsapi.Object, error) {
	d, err := e.deployment(c.In.Str("deploymentId"))
	if err != nil {
		return nil, err
	}
	return awsapi.Object{"deploymentInfo": d.describe()}, nil
}

func (e *CodeDeploy) listDeployments(c *awsapi.Invocation) (awsapi.Object, error) {
	if c.In.Has("applicationName") {
		if !c.In.Has("deploymentGroupName") {
			return nil, awsapi.Errorf("DeploymentGroupNameRequiredException", "Deployment group name must be specified.")
		}
		if _, err := e.findGroup(c.In); err != nil {
			return nil, err
		}
	}
	statuses, span := c.In.Strings("includeOnlyStatuses"), c.In.Object("createTimeRange")
	var ids []string
	for _, d := range e.deployments {
		switch start, end := awsapi.TimeOf(span["start"]), awsapi.TimeOf(span["end"]); {
		case c.In.Has("applicationName") && (d.group.application.name != c.In.Str("applicationName") || d.group.name != c.In.Str("deploymentGroupName")),
			len(statuses) > 0 && !slices.Contains(statuses, d.status),
			!start.IsZero() && d.created.Before(start), !end.IsZero() && d.created.After(end):
		default:
			ids = append(ids, d.id)
		}
	}
	return pageOf(c, "deployments", ids)
}

// targetID is how CodeDeploy calls the only target of a deployment to ECS.
func (d *deployment) targetID() string { return d.service.Cluster.Name + ":" + d.service.Name }

func (d *deployment) targetStatus() string {
	switch d.status {
	case "Created":
		return "Pending"
	case "Stopped":
		return "Failed"
	}
	return d.status
}

func (e *CodeDeploy) listDeploymentTargets(c *awsapi.Invocation) (awsapi.Object, error) {
	d, err := e.deployment(c.In.Str("deploymentId"))
	if err != nil {
		return nil, err
	}
	for name, values := range c.In.Object("targetFilters") {
		if name != "TargetStatus" && name != "ServerInstanceLabel" {
			return nil, awsapi.Errorf("InvalidTargetFilterNameException", "The target filter name is invalid.")
		}
		if list, _ := values.([]any); name == "TargetStatus" && !slices.Contains(list, any(d.targetStatus())) {
			return awsapi.Object{"targetIds": []any{}}, nil
		}
	}
	return awsapi.Object{"targetIds": []any{d.targetID()}}, nil
}

func (e *CodeDeploy) batchGetDeploymentTargets(c *awsapi.Invocation) (awsapi.Object, error) {
	d, err := e.deployment(c.In.Str("deploymentId"))
	if err != nil {
		return nil, err
	}
	targets := []any{}
	for _, id := range c.In.Strings("targetIds") {
		if id != d.targetID() {
			return nil, awsapi.Errorf("DeploymentTargetDoesNotExistException", "The provided target ID %s does not belong to the attempted deployment.", id)
		}
		targets = append(targets, d.target())
	}
	if len(targets) == 0 {
		return nil, awsapi.Errorf("DeploymentTargetIdRequiredException", "A deployment target ID was not provided.")
	}
	return awsapi.Object{"deploymentTargets": targets}, nil
}

func (e *CodeDeploy) getDeploymentTarget(c *awsapi.Invocation) (awsapi.Object, error) {
	c.In["targetIds"] = []any{c.In.Str("targetId")}
	out, err := e.batchGetDeploymentTargets(c)
	if err != nil {
		return nil, err
	}
	return awsapi.Object{"deploymentTarget": out.List("deploymentTargets")[0]}, nil
}

func (d *deployment) target() awsapi.Object {
	events := []any{}
	for _, ev := range d.events {
		o := awsapi.Object{"lifecycleEventName": ev.name, "status": ev.status}
		o.Put("startTime", ev.start)
		o.Put("endTime", ev.end)
		if ev.diagnosis != "" {
			o["diagnostics"] = awsapi.Object{"errorCode": "ScriptFailed", "message": ev.diagnosis}
		}
		events = append(events, o)
	}
	sets := []any{}
	for label, set := range map[string]*ecs.Deployment{"Blue": d.blue, "Green": d.green} {
		if set != nil {
			sets = append(sets, d.service.TaskSetInfo(set, label))
		}
	}
	slices.SortFunc(sets, func(a, b any) int {
		return strings.Compare(a.(awsapi.Object).Str("taskSetLabel"), b.(awsapi.Object).Str("taskSetLabel"))
	})
	return awsapi.Object{"deploymentTargetType": "ECSTarget", "ecsTarget": awsapi.Object{
		"deploymentId": d.id, "targetId": d.targetID(), "targetArn": d.service.ARN, "status": d.targetStatus(), "lastUpdatedAt": awsapi.Epoch(d.updated),
		"lifecycleEvents": events, "taskSetsInfo": sets,
	}}
}

func (e *CodeDeploy) stopDeployment(c *awsapi.Invocation) (awsapi.Object, error) {
	d, err := e.deployment(c.In.Str("deploymentId"))
	if err != nil {
		return nil, err
	}
	if d.final() {
		return nil, awsapi.Errorf("DeploymentAlreadyCompletedException", "The deployment %s has already completed", d.id)
	}
	back := d.autoRollback("DEPLOYMENT_STOP_ON_REQUEST")
	if c.In.Has("autoRollbackEnabled") {
		back = c.In.Flag("autoRollbackEnabled")
	}
	d.stoppedBy = c.Principal
	c.Change.Deployment, c.Change.Effect = d.id, "stopped"
	e.end(d, "Stopped", "MANUAL_STOP", fmt.Sprintf("The deployment %s was stopped by %s.", d.id, c.Principal), back, c.Now)
	return awsapi.Object{"status": "Succeeded", "statusMessage": "No more deployment events will be sent."}, nil
}

func (e *CodeDeploy) continueDeployment(c *awsapi.Invocation) (awsapi.Object, error) {
	if !c.In.Has("deploymentId") {
		return nil, awsapi.Errorf("DeploymentIdRequiredException", "At least one deployment ID must be specified.")
	}
	d, err := e.deployment(c.In.Str("deploymentId"))
	if err != nil {
		return nil, err
	}
	wait := cmp.Or(c.In.Str("deploymentWaitType"), "READY_WAIT")
	switch {
	case d.final():
		return nil, awsapi.Errorf("DeploymentAlreadyCompletedException", "The deployment %s has already completed", d.id)
	case wait == "READY_WAIT" && d.status == "Ready":
		d.status, d.updated = "InProgress", c.Now
		e.nextEvent(d, c.Now)
	case wait == "TERMINATION_WAIT" && d.waiting:
		d.shifted = time.Time{}
	default:
		return nil, awsapi.Errorf("DeploymentIsNotInReadyStateException", "The deployment %s does not have a status of Ready and can't continue yet.", d.id)
	}
	e.ecs.Busy = true
	return nil, nil
}

func (e *CodeDeploy) getApplicationRevision(c *awsapi.Invocation) (awsapi.Object, error) {
	a, err := e.application(c.In.Str("applicationName"))
	if err != nil {
		return nil, err
	}
	typ, holder := held(c.In.Object("revision"))
	if holder == nil {
		return nil, awsapi.Errorf("InvalidRevisionException", "The emulator keeps revisions of the types AppSpecContent and String, not %s", cmp.Or(typ, "none"))
	}
	for _, r := range a.revisions {
		if r.typ != typ || r.digest != digestIn(holder) {
			continue
		}
		groups := []any{}
		for _, g := range a.groups {
			if g.succeeded == nil {
				continue
			}
			if t, h := held(g.succeeded.doc.Object("revision")); t == typ && digestIn(h) == r.digest {
				groups = append(groups, g.name)
			}
		}
		return awsapi.Object{
			"applicationName": a.name,
			"revision":        awsapi.Object{"revisionType": typ, revisionMember(typ): awsapi.Object{"content": r.content, "sha256": r.digest}},
			"revisionInfo":    awsapi.Object{"deploymentGroups": groups, "registerTime": awsapi.Epoch(r.registered), "firstUsedTime": awsapi.Epoch(r.registered), "lastUsedTime": awsapi.Epoch(r.used)},
		}, nil
	}
	return nil, awsapi.Errorf("RevisionDoesNotExistException", "No revision found for the application: %s", a.name)
}
