// The CodeDeploy API as far as deployments to Amazon ECS go: applications, deployment groups, deployments and their one target each. What becomes
// of a deployment over time is in taskset.go.
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/

package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CodeDeploy is AWS CodeDeploy, as far as services of ECS go.
type CodeDeploy struct {
	*Server
	ecs          *ECS
	applications []*application
	deployments  []*shipment // newest first
}

func newCodeDeploy(server *Server, ecs *ECS) *CodeDeploy {
	e := &CodeDeploy{Server: server, ecs: ecs}
	ecs.turns = append(ecs.turns, e.turn)
	server.handle("CodeDeploy_20141006", e.service())
	return e
}

// turn brings every deployment that has not ended forward.
func (e *CodeDeploy) turn(now time.Time) (busy bool) {
	for _, d := range slices.Clone(e.deployments) {
		if !d.final() {
			e.advanceShipment(d, now)
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
	doc         object
	attempted   *shipment
	succeeded   *shipment
}

// shipment is a deployment of CodeDeploy, under another name because ECS has two things called so already.
type shipment struct {
	id           string // d-…
	group        *deploymentGroup
	service      *service
	spec         appSpec
	doc          object // as created
	status       string // Created, InProgress, Ready, Succeeded, Failed, Stopped
	creator      string
	caller       string // principal
	stoppedBy    string // principal; "" is nobody
	created      time.Time
	started      time.Time
	completed    time.Time
	updated      time.Time
	events       []*lifecycleEvent
	blue, green  *deployment // task sets
	steps        []float64   // percentages of traffic still to come
	shifted      time.Time   // the last time that traffic was shifted
	waiting      bool        // for the end of the original task set
	code, reason string      // of the error
	rolledBackBy *shipment
	rollsBack    *shipment
	message      string // about the rollback
}

type lifecycleEvent struct {
	name, status string
	start, end   time.Time
	diagnosis    string
}

func (e *CodeDeploy) service() *awsService {
	m := newCodeDeployModel()
	op := func(name string, do func(*call) (object, error)) operation {
		out := unit
		if codeDeployShapes[name+"Response"] != "" {
			out = m[name+"Response"]
		}
		return operation{m[name+"Request"], out, do}
	}
	svc := &awsService{
		name: "codedeploy", rules: codeDeployRules(), unknown: "UnknownOperationException", refuse: refuseCodeDeploy, resource: e.resource,
		operations: map[string]operation{},
	}
	for name, do := range map[string]func(*call) (object, error){
		"CreateApplication":         e.createApplication,
		"ListApplications":          e.listApplications,
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
		svc.operations[name] = op(name, do)
	}
	return svc
}

// refuseCodeDeploy words a violation as CodeDeploy does: a missing member has an error of its own name.
func refuseCodeDeploy(_ string, v violation) error {
	if v.kind == missing {
		switch member := strings.TrimSuffix(v.member, "s"); member {
		case "targetId":
			return apiErrorf("DeploymentTargetIdRequiredException", "A deployment target ID was not provided.")
		case "serviceRoleArn":
			return apiErrorf("RoleRequiredException", "The role ID was not specified.")
		case "revision":
			return errNoRevision
		default:
			return apiErrorf(strings.ToUpper(member[:1])+member[1:]+"RequiredException", "%s must be specified.", sentence(member))
		}
	}
	return apiErrorf("ValidationException", "%s", v.Error())
}

func (e *CodeDeploy) resource(_ string, in object) string {
	switch {
	case in.has("deploymentGroupName"):
		return e.arn("codedeploy", "deploymentgroup:"+in.str("applicationName")+"/"+in.str("deploymentGroupName"))
	case in.has("applicationName"):
		return e.arn("codedeploy", "application:"+in.str("applicationName"))
	}
	return "*"
}

func (e *CodeDeploy) application(name string) (*application, error) {
	for _, a := range e.applications {
		if a.name == name {
			return a, nil
		}
	}
	return nil, apiErrorf("ApplicationDoesNotExistException", "No application found for name: %s", name)
}

func (a *application) group(name string) (*deploymentGroup, error) {
	for _, g := range a.groups {
		if g.name == name {
			return g, nil
		}
	}
	return nil, apiErrorf("DeploymentGroupDoesNotExistException", "No Deployment Group found for name: %s", name)
}

func (e *CodeDeploy) createApplication(c *call) (object, error) {
	name := c.in.str("applicationName")
	if _, err := e.application(name); err == nil {
		return nil, apiErrorf("ApplicationAlreadyExistsException", "Application already exists with the name: %s", name)
	}
	if p := c.in.str("computePlatform"); p != "ECS" {
		return nil, apiErrorf("InvalidComputePlatformException", "The emulator has applications of the compute platform ECS only.")
	}
	a := &application{name: name, id: e.id(uuidID), platform: "ECS"}
	e.applications = append(e.applications, a)
	return object{"applicationId": a.id}, nil
}

func (e *CodeDeploy) listApplications(c *call) (object, error) {
	var names []string
	for _, a := range e.applications {
		names = append(names, a.name)
	}
	return pageOf(c, "applications", names)
}

// pageOf answers one page of a list of names; CodeDeploy has no say in how many a page holds.
func pageOf(c *call, member string, names []string) (object, error) {
	page, next, err := paginate(c.in, names, "maxResults", 100)
	if err != nil {
		return nil, apiErrorf("InvalidNextTokenException", "The next token was specified in an invalid format.")
	}
	out := object{member: anys(page)}
	out.put("nextToken", next)
	return out, nil
}

func (e *CodeDeploy) createDeploymentGroup(c *call) (object, error) {
	a, err := e.application(c.in.str("applicationName"))
	if err != nil {
		return nil, err
	}
	name := c.in.str("deploymentGroupName")
	if _, err := a.group(name); err == nil {
		return nil, apiErrorf("DeploymentGroupAlreadyExistsException", "Deployment group already exists with the name: %s", name)
	}
	style := c.in.object("deploymentStyle")
	switch {
	case style.str("deploymentType") != "BLUE_GREEN" || style.str("deploymentOption") != "WITH_TRAFFIC_CONTROL":
		return nil, apiErrorf("InvalidDeploymentStyleException", "For ECS deployment group, deployment type must be BLUE_GREEN and deployment option must be WITH_TRAFFIC_CONTROL")
	case len(c.in.objects("ecsServices")) != 1:
		return nil, apiErrorf("InvalidECSServiceException", "For ECS deployment group, ecsServices must contain exactly one service")
	case c.in.object("blueGreenDeploymentConfiguration").object("terminateBlueInstancesOnDeploymentSuccess") == nil:
		return nil, apiErrorf("InvalidBlueGreenDeploymentConfigurationException", "For ECS deployment group, terminateBlueInstancesOnDeploymentSuccess must be specified")
	}
	pairs := c.in.object("loadBalancerInfo").objects("targetGroupPairInfoList")
	if len(pairs) != 1 || len(pairs[0].objects("targetGroups")) != 2 || len(pairs[0].object("prodTrafficRoute").list("listenerArns")) == 0 {
		return nil, apiErrorf("InvalidLoadBalancerInfoException", "For ECS deployment group, loadBalancerInfo must contain one target group pair with two target groups and a production traffic route")
	}
	s, err := e.shippable(c.in.objects("ecsServices")[0])
	if err != nil {
		return nil, err
	}
	names := groupNames(pairs[0])
	for _, lb := range s.doc.objects("loadBalancers") {
		if name := targetGroupName(lb.str("targetGroupArn")); !slices.Contains(names, name) {
			return nil, apiErrorf("InvalidTargetGroupPairException", "The target group %s of the ECS service is not in the target group pair", name)
		}
	}
	if configuration := c.in.str("deploymentConfigName"); configuration != "" && routing(configuration) == nil {
		return nil, apiErrorf("DeploymentConfigDoesNotExistException", "No deployment configuration found for name: %s", configuration)
	}
	doc := copyOf(c.in)
	delete(doc, "tags")
	doc.fill("deploymentConfigName", "CodeDeployDefault.ECSAllAtOnce")
	doc.object("blueGreenDeploymentConfiguration").fill("deploymentReadyOption", object{"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0})
	g := &deploymentGroup{application: a, name: name, id: e.id(uuidID), doc: doc}
	a.groups = append(a.groups, g)
	return object{"deploymentGroupId": g.id}, nil
}

// shippable finds the ECS service that a deployment group names.
func (e *CodeDeploy) shippable(ref object) (*service, error) {
	cl := e.ecs.findCluster(ref.str("clusterName"))
	var s *service
	if cl != nil {
		s = cl.service(ref.str("serviceName"))
	}
	if s == nil || s.status != "ACTIVE" {
		return nil, apiErrorf("InvalidECSServiceException", "The ECS service %s in the cluster %s could not be found", ref.str("serviceName"), ref.str("clusterName"))
	}
	if s.controller() != "CODE_DEPLOY" {
		return nil, apiErrorf("InvalidECSServiceException", "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller.")
	}
	return s, nil
}

func groupNames(pair object) []string {
	var names []string
	for _, g := range pair.objects("targetGroups") {
		names = append(names, g.str("name"))
	}
	return names
}

func (g *deploymentGroup) describe() object {
	o := copyOf(g.doc)
	o["deploymentGroupId"], o["computePlatform"] = g.id, g.application.platform
	for _, m := range []string{"ec2TagFilters", "ec2TagSet", "onPremisesInstanceTagFilters", "onPremisesTagSet", "autoScalingGroups", "outdatedInstancesStrategy"} {
		delete(o, m)
	}
	for member, d := range map[string]*shipment{"lastAttemptedDeployment": g.attempted, "lastSuccessfulDeployment": g.succeeded} {
		if d != nil {
			last := object{"deploymentId": d.id, "status": d.status, "createTime": epoch(d.created)}
			last.put("endTime", d.completed)
			o[member] = last
		}
	}
	if g.succeeded != nil {
		o.put("targetRevision", location(g.succeeded.doc.object("revision")))
	}
	return o
}

func (e *CodeDeploy) listDeploymentGroups(c *call) (object, error) {
	a, err := e.application(c.in.str("applicationName"))
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

func (e *CodeDeploy) findGroup(in object) (*deploymentGroup, error) {
	a, err := e.application(in.str("applicationName"))
	if err != nil {
		return nil, err
	}
	return a.group(in.str("deploymentGroupName"))
}

func (e *CodeDeploy) getDeploymentGroup(c *call) (object, error) {
	g, err := e.findGroup(c.in)
	if err != nil {
		return nil, err
	}
	return object{"deploymentGroupInfo": g.describe()}, nil
}

func (e *CodeDeploy) batchGetDeploymentGroups(c *call) (object, error) {
	a, err := e.application(c.in.str("applicationName"))
	if err != nil {
		return nil, err
	}
	names := c.in.strings("deploymentGroupNames")
	if len(names) > 100 {
		return nil, apiErrorf("BatchLimitExceededException", "The maximum number of names or IDs allowed for this request (100) was exceeded.")
	}
	infos := []any{}
	var unknown string
	for _, name := range names {
		g, err := a.group(name)
		if err != nil {
			unknown = err.(*apiError).message
			continue
		}
		infos = append(infos, g.describe())
	}
	out := object{"deploymentGroupsInfo": infos}
	out.put("errorMessage", unknown)
	return out, nil
}

func (e *CodeDeploy) createDeployment(c *call) (object, error) {
	if !c.in.has("deploymentGroupName") {
		return nil, apiErrorf("DeploymentGroupNameRequiredException", "Deployment group name must be specified.")
	}
	g, err := e.findGroup(c.in)
	if err != nil {
		return nil, err
	}
	if !c.in.has("revision") {
		return nil, errNoRevision
	}
	spec, err := readRevision(c.in.object("revision"))
	if err != nil {
		return nil, err
	}
	configuration := cmp.Or(c.in.str("deploymentConfigName"), g.doc.str("deploymentConfigName"))
	if routing(configuration) == nil {
		return nil, apiErrorf("DeploymentConfigDoesNotExistException", "No deployment configuration found for name: %s", configuration)
	}
	s, err := e.shippable(g.doc.objects("ecsServices")[0])
	if err != nil {
		return nil, err
	}
	for _, d := range e.deployments {
		if d.group == g && !d.final() {
			return nil, apiErrorf("DeploymentLimitExceededException", "The Deployment Group '%s' already has an active Deployment '%s'", g.name, d.id)
		}
	}
	d := e.newShipment(g, s, "user", c.now)
	d.caller = c.principal
	c.change.Deployment, c.change.Effect = d.id, "started"
	d.spec, d.doc = spec, copyOf(c.in)
	d.doc["deploymentConfigName"] = configuration
	g.application.keep(d.doc.object("revision"), c.now)
	d.steps = slices.Clone(routing(configuration).steps)
	for _, name := range lifecycleEvents {
		d.events = append(d.events, &lifecycleEvent{name: name, status: "Pending"})
	}
	return object{"deploymentId": d.id}, nil
}

// newShipment adds a deployment to a group's.
func (e *CodeDeploy) newShipment(g *deploymentGroup, s *service, creator string, now time.Time) *shipment {
	d := &shipment{id: "d-" + strings.ToUpper(e.id(taskID)[:9]), group: g, service: s, status: "Created", creator: creator, created: now, updated: now, doc: object{}}
	e.deployments = append([]*shipment{d}, e.deployments...)
	g.attempted = d
	e.ecs.busy = true
	return d
}

// final says whether nothing more will become of a deployment.
func (d *shipment) final() bool {
	return d.status == "Succeeded" || d.status == "Failed" || d.status == "Stopped"
}

func (e *CodeDeploy) shipment(id string) (*shipment, error) {
	if !strings.HasPrefix(id, "d-") || len(id) < 5 {
		return nil, apiErrorf("InvalidDeploymentIdException", "Specified DeploymentId is not in the valid format: %s", id)
	}
	for _, d := range e.deployments {
		if d.id == id {
			return d, nil
		}
	}
	return nil, apiErrorf("DeploymentDoesNotExistException", "The deployment %s could not be found", id)
}

// autoRollback is the configuration that holds for a deployment: its own, or its group's.
func (d *shipment) autoRollback(event string) bool {
	configuration := d.group.doc.object("autoRollbackConfiguration")
	if own := d.doc.object("autoRollbackConfiguration"); own != nil {
		configuration = own
	}
	return configuration.flag("enabled") && slices.Contains(configuration.strings("events"), event)
}

func (d *shipment) describe() object {
	o := object{
		"applicationName": d.group.application.name, "deploymentGroupName": d.group.name, "deploymentId": d.id, "status": d.status, "creator": d.creator,
		"createTime": epoch(d.created), "computePlatform": "ECS", "deploymentStyle": d.group.doc["deploymentStyle"],
		"blueGreenDeploymentConfiguration": d.group.doc["blueGreenDeploymentConfiguration"], "loadBalancerInfo": d.group.doc["loadBalancerInfo"],
		"instanceTerminationWaitTimeStarted": d.waiting, "ignoreApplicationStopFailures": false, "updateOutdatedInstancesOnly": false,
		"deploymentOverview": object{"Pending": 0, "InProgress": 0, "Succeeded": 0, "Failed": 0, "Skipped": 0, "Ready": 0},
	}
	o.object("deploymentOverview")[d.targetStatus()] = 1
	for _, m := range []string{"deploymentConfigName", "description", "overrideAlarmConfiguration"} {
		o.put(m, d.doc[m])
	}
	o.put("revision", location(d.doc.object("revision")))
	o.put("autoRollbackConfiguration", d.group.doc["autoRollbackConfiguration"])
	o.put("autoRollbackConfiguration", d.doc["autoRollbackConfiguration"])
	o.put("startTime", d.started)
	o.put("completeTime", d.completed)
	if d.code != "" {
		o["errorInformation"] = object{"code": d.code, "message": d.reason}
	}
	if d.rolledBackBy != nil || d.rollsBack != nil {
		info := object{}
		info.put("rollbackMessage", d.message)
		if d.rolledBackBy != nil {
			info["rollbackDeploymentId"] = d.rolledBackBy.id
		}
		if d.rollsBack != nil {
			info["rollbackTriggeringDeploymentId"] = d.rollsBack.id
		}
		o["rollbackInfo"] = info
	}
	return copyOf(o)
}

func (e *CodeDeploy) getDeployment(c *call) (object, error) {
	d, err := e.shipment(c.in.str("deploymentId"))
	if err != nil {
		return nil, err
	}
	return object{"deploymentInfo": d.describe()}, nil
}

func (e *CodeDeploy) listDeployments(c *call) (object, error) {
	if c.in.has("applicationName") {
		if !c.in.has("deploymentGroupName") {
			return nil, apiErrorf("DeploymentGroupNameRequiredException", "Deployment group name must be specified.")
		}
		if _, err := e.findGroup(c.in); err != nil {
			return nil, err
		}
	}
	statuses, span := c.in.strings("includeOnlyStatuses"), c.in.object("createTimeRange")
	var ids []string
	for _, d := range e.deployments {
		switch start, end := timeOf(span["start"]), timeOf(span["end"]); {
		case c.in.has("applicationName") && (d.group.application.name != c.in.str("applicationName") || d.group.name != c.in.str("deploymentGroupName")),
			len(statuses) > 0 && !slices.Contains(statuses, d.status),
			!start.IsZero() && d.created.Before(start), !end.IsZero() && d.created.After(end):
		default:
			ids = append(ids, d.id)
		}
	}
	return pageOf(c, "deployments", ids)
}

// targetID is how CodeDeploy calls the only target of a deployment to ECS.
func (d *shipment) targetID() string { return d.service.cluster.name + ":" + d.service.name }

func (d *shipment) targetStatus() string {
	switch d.status {
	case "Created":
		return "Pending"
	case "Stopped":
		return "Failed"
	}
	return d.status
}

func (e *CodeDeploy) listDeploymentTargets(c *call) (object, error) {
	d, err := e.shipment(c.in.str("deploymentId"))
	if err != nil {
		return nil, err
	}
	for name, values := range c.in.object("targetFilters") {
		if name != "TargetStatus" && name != "ServerInstanceLabel" {
			return nil, apiErrorf("InvalidTargetFilterNameException", "The target filter name is invalid.")
		}
		if list, _ := values.([]any); name == "TargetStatus" && !slices.Contains(list, any(d.targetStatus())) {
			return object{"targetIds": []any{}}, nil
		}
	}
	return object{"targetIds": []any{d.targetID()}}, nil
}

func (e *CodeDeploy) batchGetDeploymentTargets(c *call) (object, error) {
	d, err := e.shipment(c.in.str("deploymentId"))
	if err != nil {
		return nil, err
	}
	targets := []any{}
	for _, id := range c.in.strings("targetIds") {
		if id != d.targetID() {
			return nil, apiErrorf("DeploymentTargetDoesNotExistException", "The provided target ID %s does not belong to the attempted deployment.", id)
		}
		targets = append(targets, d.target())
	}
	if len(targets) == 0 {
		return nil, apiErrorf("DeploymentTargetIdRequiredException", "A deployment target ID was not provided.")
	}
	return object{"deploymentTargets": targets}, nil
}

func (e *CodeDeploy) getDeploymentTarget(c *call) (object, error) {
	c.in["targetIds"] = []any{c.in.str("targetId")}
	out, err := e.batchGetDeploymentTargets(c)
	if err != nil {
		return nil, err
	}
	return object{"deploymentTarget": out.list("deploymentTargets")[0]}, nil
}

func (d *shipment) target() object {
	events := []any{}
	for _, ev := range d.events {
		o := object{"lifecycleEventName": ev.name, "status": ev.status}
		o.put("startTime", ev.start)
		o.put("endTime", ev.end)
		if ev.diagnosis != "" {
			o["diagnostics"] = object{"errorCode": "ScriptFailed", "message": ev.diagnosis}
		}
		events = append(events, o)
	}
	sets := []any{}
	for label, set := range map[string]*deployment{"Blue": d.blue, "Green": d.green} {
		if set != nil {
			sets = append(sets, d.service.taskSetInfo(set, label))
		}
	}
	slices.SortFunc(sets, func(a, b any) int {
		return strings.Compare(a.(object).str("taskSetLabel"), b.(object).str("taskSetLabel"))
	})
	return object{"deploymentTargetType": "ECSTarget", "ecsTarget": object{
		"deploymentId": d.id, "targetId": d.targetID(), "targetArn": d.service.arn, "status": d.targetStatus(), "lastUpdatedAt": epoch(d.updated),
		"lifecycleEvents": events, "taskSetsInfo": sets,
	}}
}

func (e *CodeDeploy) stopDeployment(c *call) (object, error) {
	d, err := e.shipment(c.in.str("deploymentId"))
	if err != nil {
		return nil, err
	}
	if d.final() {
		return nil, apiErrorf("DeploymentAlreadyCompletedException", "The deployment %s has already completed", d.id)
	}
	back := d.autoRollback("DEPLOYMENT_STOP_ON_REQUEST")
	if c.in.has("autoRollbackEnabled") {
		back = c.in.flag("autoRollbackEnabled")
	}
	d.stoppedBy = c.principal
	c.change.Deployment, c.change.Effect = d.id, "stopped"
	e.endShipment(d, "Stopped", "MANUAL_STOP", fmt.Sprintf("The deployment %s was stopped by %s.", d.id, c.principal), back, c.now)
	return object{"status": "Succeeded", "statusMessage": "No more deployment events will be sent."}, nil
}

func (e *CodeDeploy) continueDeployment(c *call) (object, error) {
	if !c.in.has("deploymentId") {
		return nil, apiErrorf("DeploymentIdRequiredException", "At least one deployment ID must be specified.")
	}
	d, err := e.shipment(c.in.str("deploymentId"))
	if err != nil {
		return nil, err
	}
	wait := cmp.Or(c.in.str("deploymentWaitType"), "READY_WAIT")
	switch {
	case d.final():
		return nil, apiErrorf("DeploymentAlreadyCompletedException", "The deployment %s has already completed", d.id)
	case wait == "READY_WAIT" && d.status == "Ready":
		d.status, d.updated = "InProgress", c.now
		e.nextEvent(d, c.now)
	case wait == "TERMINATION_WAIT" && d.waiting:
		d.shifted = time.Time{}
	default:
		return nil, apiErrorf("DeploymentIsNotInReadyStateException", "The deployment %s does not have a status of Ready and can't continue yet.", d.id)
	}
	e.ecs.busy = true
	return nil, nil
}

func (e *CodeDeploy) getApplicationRevision(c *call) (object, error) {
	a, err := e.application(c.in.str("applicationName"))
	if err != nil {
		return nil, err
	}
	typ, holder := held(c.in.object("revision"))
	if holder == nil {
		return nil, apiErrorf("InvalidRevisionException", "The emulator keeps revisions of the types AppSpecContent and String, not %s", cmp.Or(typ, "none"))
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
			if t, h := held(g.succeeded.doc.object("revision")); t == typ && digestIn(h) == r.digest {
				groups = append(groups, g.name)
			}
		}
		return object{
			"applicationName": a.name,
			"revision":        object{"revisionType": typ, revisionMember(typ): object{"content": r.content, "sha256": r.digest}},
			"revisionInfo":    object{"deploymentGroups": groups, "registerTime": epoch(r.registered), "firstUsedTime": epoch(r.registered), "lastUsedTime": epoch(r.used)},
		}, nil
	}
	return nil, apiErrorf("RevisionDoesNotExistException", "No revision found for the application: %s", a.name)
}
