// Services: created, updated, described, deleted. An update that changes what runs starts a deployment (ecs_deployment.go).
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html

package emulator

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"
)

type service struct {
	name, arn   string
	cluster     *cluster
	status      string // ACTIVE, DRAINING, INACTIVE
	doc         object // what CreateService and UpdateService said, with defaults
	tags        []any
	desired     int
	created     time.Time
	createdBy   string
	deployments []*deployment // newest first, the PRIMARY one at the head
	releases    []*release    // service deployments, newest first
	revisions   []*revision   // newest first
	events      []object      // newest first
	steady      bool          // has said that it is
	proven      map[string]bool
	express     *Express // nil is a service whose resources the customer manages
}

// described are the members of a service's description that requests set and nothing else does.
var described = []string{
	"launchType", "capacityProviderStrategy", "platformVersion", "platformFamily", "loadBalancers", "serviceRegistries", "roleArn",
	"placementConstraints", "placementStrategy", "networkConfiguration", "healthCheckGracePeriodSeconds", "schedulingStrategy",
	"deploymentController", "deploymentConfiguration", "enableECSManagedTags", "propagateTags", "enableExecuteCommand", "availabilityZoneRebalancing",
}

// releasing are the members of UpdateService that start a deployment when they change.
var releasing = []string{
	"taskDefinition", "capacityProviderStrategy", "platformVersion", "networkConfiguration", "loadBalancers", "serviceRegistries",
	"serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations",
}

func (e *ECS) createService(c *call) (object, error) {
	invalid := func(format string, args ...any) (object, error) {
		return nil, apiErrorf("InvalidParameterException", format, args...)
	}
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	name := c.in.str("serviceName")
	if !resourceName.MatchString(name) {
		return invalid("Invalid identifier: Identifier is for %s. Service names can contain letters, digits, underscores and hyphens.", name)
	}
	if err := checkTags(c.in, "InvalidParameterException"); err != nil {
		return nil, err
	}
	if s := cl.service(name); s != nil && s.status == "ACTIVE" {
		return invalid("Creation of service was not idempotent.")
	} else if s != nil && s.status == "DRAINING" {
		return invalid("Unable to Start a service that is still Draining.")
	}
	controller := cmp.Or(c.in.object("deploymentController").str("type"), "ECS")
	s := &service{
		name: name, arn: e.arn("ecs", "service/"+cl.name+"/"+name), cluster: cl, status: "ACTIVE", doc: copyOf(c.in), tags: c.in.list("tags"),
		created: c.now, createdBy: c.principal, proven: map[string]bool{},
	}
	s.doc.fill("launchType", "EC2")
	if c.in.has("capacityProviderStrategy") {
		if c.in.has("launchType") {
			return invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
		}
		delete(s.doc, "launchType")
	}
	s.doc.fill("schedulingStrategy", "REPLICA")
	s.doc["deploymentController"] = object{"type": controller}
	if s.doc.str("schedulingStrategy") == "DAEMON" {
		return invalid("The emulator runs services with the REPLICA scheduling strategy only.")
	}
	if !c.in.has("desiredCount") {
		return invalid("The desired count of a service with the REPLICA scheduling strategy must be specified.")
	}
	if s.desired = c.in.number("desiredCount", 0); s.desired < 0 {
		return invalid("desiredCount must not be negative.")
	}
	configuration, err := deploymentConfiguration(object{}, c.in.object("deploymentConfiguration"), controller)
	if err != nil {
		return nil, err
	}
	s.doc["deploymentConfiguration"] = configuration
	if err := checkTraffic(s.doc); err != nil {
		return nil, err
	}
	if c.in.has("taskDefinition") {
		td, err := e.usableTaskDefinition(c.in.str("taskDefinition"), "ClientException")
		if err != nil {
			return nil, err
		}
		s.doc["taskDefinition"] = td.arn
		if err := checkPlacement(s.doc, td); err != nil {
			return nil, err
		}
	} else if controller != "EXTERNAL" {
		return invalid("TaskDefinition can not be blank.")
	}
	if s.fargate() {
		s.doc.fill("platformVersion", "LATEST")
		s.doc["platformFamily"] = "Linux"
	}
	cl.services = append(slices.DeleteFunc(cl.services, func(o *service) bool { return o.name == name }), s)
	switch controller {
	case "ECS":
		e.deploy(s, c.principal, c.now)
		c.change.Deployment, c.change.Effect = s.primary().id, "created"
	case "CODE_DEPLOY":
		td, err := e.findTaskDefinition(s.doc.str("taskDefinition"))
		if err != nil {
			return nil, err
		}
		e.firstTaskSet(s, td, c.now)
	}
	return object{"service": e.describeService(s, c.now, true)}, nil
}

// checkPlacement refuses a task definition that cannot run where the service or task is to run.
func checkPlacement(doc object, td *taskDefinition) error {
	invalid := func(format string, args ...any) error {
		return apiErrorf("InvalidParameterException", format, args...)
	}
	fargate := onFargate(doc)
	if fargate && !slices.Contains(td.compatibilities(), "FARGATE") {
		return invalid("Task definition does not support launch_type FARGATE.")
	}
	awsvpc := td.doc.str("networkMode") == "awsvpc"
	network := doc.object("networkConfiguration").object("awsvpcConfiguration")
	switch {
	case awsvpc && network == nil:
		return invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	case !awsvpc && network != nil:
		return invalid("Network Configuration is not valid for the given networkMode of this task definition.")
	case awsvpc && len(network.list("subnets")) == 0:
		return invalid("subnets can not be empty.")
	case len(network.list("subnets")) > 16:
		return invalid("subnets can have at most 16 items.")
	case len(network.list("securityGroups")) > 5:
		return invalid("securityGroups can have at most 5 items.")
	}
	for _, lb := range doc.objects("loadBalancers") {
		i := slices.IndexFunc(td.doc.objects("containerDefinitions"), func(c object) bool { return c.str("name") == lb.str("containerName") })
		if i < 0 {
			return invalid("The container %s does not exist in the task definition.", lb.str("containerName"))
		}
		port := lb.number("containerPort", 0)
		if !slices.ContainsFunc(td.doc.objects("containerDefinitions")[i].objects("portMappings"), func(p object) bool { return p.number("containerPort", 0) == port }) {
			return invalid("The container %s did not have a container port %d defined.", lb.str("containerName"), port)
		}
	}
	return nil
}

func onFargate(doc object) bool {
	if doc.str("launchType") == "FARGATE" {
		return true
	}
	return slices.ContainsFunc(doc.objects("capacityProviderStrategy"), func(o object) bool { return strings.HasPrefix(o.str("capacityProvider"), "FARGATE") })
}

func (s *service) fargate() bool      { return onFargate(s.doc) }
func (s *service) controller() string { return s.doc.object("deploymentController").str("type") }

// classic says whether the service is behind a Classic Load Balancer.
func (s *service) classic() bool {
	return slices.ContainsFunc(s.doc.objects("loadBalancers"), func(lb object) bool { return lb.has("loadBalancerName") })
}

// service finds a service by name or ARN; nil where there is none.
func (cl *cluster) service(ref string) *service {
	for _, s := range cl.services {
		if s.name == ref || s.arn == ref {
			return s
		}
	}
	return nil
}

// activeService returns the service that an operation changes.
func (e *ECS) activeService(c *call) (*service, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	s := cl.service(c.in.str("service"))
	switch {
	case s == nil:
		return nil, apiErrorf("ServiceNotFoundException", "Service not found.")
	case s.status != "ACTIVE":
		return nil, apiErrorf("ServiceNotActiveException", "Service was not ACTIVE.")
	}
	return s, nil
}

func (e *ECS) updateService(c *call) (object, error) {
	s, err := e.activeService(c)
	if err != nil {
		return nil, err
	}
	in := copyOf(c.in)
	for _, m := range []string{"cluster", "service", "forceNewDeployment"} {
		delete(in, m)
	}
	if s.controller() != "ECS" {
		for _, m := range []struct{ member, words string }{
			{"taskDefinition", "task definition"}, {"networkConfiguration", "network configuration"}, {"platformVersion", "platform version"},
			{"loadBalancers", "load balancers"},
		} {
			if in.has(m.member) {
				hint := ""
				if s.controller() == "CODE_DEPLOY" {
					hint = " Use AWS CodeDeploy to trigger a new deployment."
				}
				return nil, apiErrorf("InvalidParameterException", "Unable to update %s on services with %s %s deployment controller.%s", m.words, article(s.controller()), s.controller(), hint)
			}
		}
		if c.in.flag("forceNewDeployment") {
			return nil, apiErrorf("InvalidParameterException", "Cannot force a new deployment on services with %s %s deployment controller.", article(s.controller()), s.controller())
		}
	}
	if err := s.checkExpress(in); err != nil {
		return nil, err
	}
	if in.has("taskDefinition") {
		td, err := e.usableTaskDefinition(in.str("taskDefinition"), "ClientException")
		if err != nil {
			return nil, err
		}
		in["taskDefinition"] = td.arn
	}
	if in.has("desiredCount") && in.number("desiredCount", 0) < 0 {
		return nil, apiErrorf("InvalidParameterException", "desiredCount must not be negative.")
	}
	if in.has("volumeConfigurations") && len(in.list("volumeConfigurations")) == 0 && !s.doc.has("volumeConfigurations") {
		delete(in, "volumeConfigurations")
	}
	doc := s.doc.with(in)
	if doc.has("deploymentConfiguration") {
		if doc["deploymentConfiguration"], err = deploymentConfiguration(s.doc.object("deploymentConfiguration"), in.object("deploymentConfiguration"), s.controller()); err != nil {
			return nil, err
		}
	}
	if err := checkTraffic(doc); err != nil {
		return nil, err
	}
	if td, err := e.findTaskDefinition(doc.str("taskDefinition")); err == nil {
		if err := checkPlacement(doc, td); err != nil {
			return nil, err
		}
	}
	changed := c.in.flag("forceNewDeployment")
	for _, m := range releasing {
		changed = changed || in.has(m) && !reflect.DeepEqual(in[m], s.doc[m])
	}
	s.doc = doc
	if n := in.number("desiredCount", s.desired); n != s.desired {
		s.desired, s.steady = n, false
		e.busy = true
		c.change.Effect = "scaled"
	}
	if changed && s.controller() == "ECS" {
		e.deploy(s, c.principal, c.now)
		c.change.Deployment, c.change.Effect = s.primary().id, "started"
	}
	return object{"service": e.describeService(s, c.now, true)}, nil
}

func article(word string) string {
	if strings.ContainsAny(word[:1], "AEIOU") {
		return "an"
	}
	return "a"
}

func (e *ECS) describeServices(c *call) (object, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	refs := c.in.strings("services")
	switch {
	case len(refs) == 0:
		return nil, apiErrorf("InvalidParameterException", "Services cannot be empty.")
	case len(refs) > 10:
		return nil, apiErrorf("InvalidParameterException", "Services cannot have more than 10 items.")
	}
	found, failures := []any{}, []any{}
	for _, ref := range refs {
		if s := cl.service(ref); s != nil {
			found = append(found, e.describeService(s, c.now, slices.Contains(c.in.strings("include"), "TAGS")))
		} else {
			failures = append(failures, failure(e.arn("ecs", "service/"+cl.name+"/"+nameOf(ref)), "MISSING"))
		}
	}
	return object{"services": found, "failures": failures}, nil
}

func (e *ECS) describeService(s *service, now time.Time, tags bool) object {
	o := object{
		"serviceArn": s.arn, "serviceName": s.name, "clusterArn": s.cluster.arn, "status": s.status,
		"desiredCount": s.desired, "runningCount": s.count(nil, "RUNNING"), "pendingCount": s.count(nil, "PENDING"),
		"createdAt": epoch(s.created), "createdBy": s.createdBy, "events": anys(s.events),
		"loadBalancers": []any{}, "serviceRegistries": []any{}, "placementConstraints": []any{}, "placementStrategy": []any{},
		"deployments": []any{}, "enableECSManagedTags": false, "enableExecuteCommand": false, "propagateTags": "NONE",
		"availabilityZoneRebalancing": "DISABLED",
	}
	for _, m := range described {
		o.put(m, s.doc[m])
	}
	o.put("taskDefinition", s.doc.str("taskDefinition"))
	if s.express != nil {
		o["resourceManagementType"] = "ECS"
		if s.express.NoTaskDefinition {
			delete(o, "taskDefinition")
		}
	}
	if s.fargate() || s.doc.has("loadBalancers") {
		o.fill("healthCheckGracePeriodSeconds", 0)
	}
	if tags && s.tags != nil {
		o["tags"] = anys(s.tags)
	}
	switch s.controller() {
	case "ECS":
		deployments := []any{}
		for _, d := range s.deployments {
			deployments = append(deployments, s.describeDeployment(d, now))
		}
		o["deployments"] = deployments
		if len(s.releases) > 0 && !e.behaviour.NoCurrentDeployment {
			o["currentServiceDeployment"] = s.releases[0].arn
		}
		var current []any
		for _, d := range s.deployments {
			current = append(current, s.summary(d.revision, false))
		}
		o.put("currentServiceRevisions", current)
	case "CODE_DEPLOY":
		sets := []any{}
		for _, set := range s.deployments {
			sets = append(sets, s.describeTaskSet(set))
		}
		o["taskSets"] = sets
	case "EXTERNAL":
		o["taskSets"] = []any{}
	}
	return copyOf(o)
}

func (e *ECS) listServices(c *call) (object, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for _, s := range cl.services {
		if kind := c.in.str("resourceManagementType"); kind != "" && (kind == "ECS") != (s.express != nil) {
			continue
		}
		if lt := c.in.str("launchType"); s.status == "ACTIVE" && (lt == "" || lt == s.doc.str("launchType")) {
			arns = append(arns, s.arn)
		}
	}
	page, next, err := paginate(c.in, arns, "maxResults", 10)
	if err != nil {
		return nil, err
	}
	out := object{"serviceArns": anys(page)}
	out.put("nextToken", next)
	return out, nil
}

func (e *ECS) deleteService(c *call) (object, error) {
	s, err := e.activeService(c)
	if err != nil {
		return nil, err
	}
	if s.desired > 0 && !c.in.flag("force") {
		return nil, apiErrorf("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
	}
	e.deleteNow(s, c.now)
	c.change.Effect = "deleted"
	return object{"service": e.describeService(s, c.now, false)}, nil
}

// deleteNow begins the end of a service: it drains its tasks. Its deployments and revisions go with it: describing them answers
// ServiceNotFoundException from then on.
func (e *ECS) deleteNow(s *service, now time.Time) {
	s.status, s.desired, s.steady = "DRAINING", 0, false
	for _, r := range s.releases {
		r.finish("STOPPED", "", now)
	}
	for _, t := range s.tasks(nil) {
		e.stop(t, now, "ServiceSchedulerInitiated", "Service was deleted")
	}
	e.busy = true
	s.releases, s.revisions = nil, nil
}

// maxEvents is how many events DescribeServices returns: the last 100.
const maxEvents = 100

// event puts a message on the service's list, in the words that ECS uses.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
func (e *ECS) event(s *service, now time.Time, message string) { e.eventOf(s, "", now, message) }

// eventOf is event with more behind the service's name: ", taskSet ecs-svc/…".
func (e *ECS) eventOf(s *service, more string, now time.Time, message string) {
	s.events = append([]object{{"id": e.id(uuidID), "createdAt": epoch(now), "message": "(service " + s.name + more + ") " + message}}, s.events...)
	if len(s.events) > maxEvents {
		s.events = s.events[:maxEvents]
	}
}
