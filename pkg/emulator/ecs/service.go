// Services: created, updated, described, deleted. An update that changes what runs starts a deployment (deployment.go).
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html

package ecs

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

// Listener is a listener, or a rule of one, that takes the traffic of a service.
type Listener struct {
	ARN     string
	Service *Service
	Test    bool // test traffic
}

type Service struct {
	Name, ARN   string
	Cluster     *cluster
	Status      string        // ACTIVE, DRAINING, INACTIVE
	Doc         awsapi.Object // what CreateService and UpdateService said, with defaults
	tags        []any
	Desired     int
	created     time.Time
	createdBy   string
	Deployments []*Deployment   // newest first, the PRIMARY one at the head
	releases    []*release      // service deployments, newest first
	revisions   []*revision     // newest first
	events      []awsapi.Object // newest first
	steady      bool            // has said that it is
	Proven      map[string]bool
	express     *Express // nil is a service whose resources the customer manages
	drain       time.Duration
}

// Drain is the deregistration delay of the service's target groups.
func (s *Service) Drain() time.Duration { return cmp.Or(s.drain, drain) }

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

func (e *ECS) createService(c *awsapi.Invocation) (awsapi.Object, error) {
	invalid := func(format string, args ...any) (awsapi.Object, error) {
		return nil, awsapi.Errorf("InvalidParameterException", format, args...)
	}
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	name := c.In.Str("serviceName")
	if !resourceName.MatchString(name) {
		return invalid("Invalid identifier: Identifier is for %s. Service names can contain letters, digits, underscores and hyphens.", name)
	}
	if err := checkTags(c.In, "InvalidParameterException"); err != nil {
		return nil, err
	}
	if s := cl.Service(name); s != nil && s.Status == "ACTIVE" {
		return invalid("Creation of service was not idempotent.")
	} else if s != nil && s.Status == "DRAINING" {
		return invalid("Unable to Start a service that is still Draining.")
	}
	controller := cmp.Or(c.In.Object("deploymentController").Str("type"), "ECS")
	s := &Service{
		Name: name, ARN: e.ARN("ecs", "service/"+cl.Name+"/"+name), Cluster: cl, Status: "ACTIVE", Doc: awsapi.CopyOf(c.In), tags: c.In.List("tags"),
		created: c.Now, createdBy: c.Principal, Proven: map[string]bool{},
	}
	s.Doc.Fill("launchType", "EC2")
	if c.In.Has("capacityProviderStrategy") {
		if c.In.Has("launchType") {
			return invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
		}
		delete(s.Doc, "launchType")
	}
	s.Doc.Fill("schedulingStrategy", "REPLICA")
	s.Doc["deploymentController"] = awsapi.Object{"type": controller}
	if s.Doc.Str("schedulingStrategy") == "DAEMON" {
		return invalid("The emulator runs services with the REPLICA scheduling strategy only.")
	}
	if !c.In.Has("desiredCount") {
		return invalid("The desired count of a service with the REPLICA scheduling strategy must be specified.")
	}
	if s.Desired = c.In.Number("desiredCount", 0); s.Desired < 0 {
		return invalid("desiredCount must not be negative.")
	}
	configuration, err := deploymentConfiguration(awsapi.Object{}, c.In.Object("deploymentConfiguration"), controller)
	if err != nil {
		return nil, err
	}
	s.Doc["deploymentConfiguration"] = configuration
	if err := checkTraffic(s.Doc); err != nil {
		return nil, err
	}
	if c.In.Has("taskDefinition") {
		td, err := e.UsableTaskDefinition(c.In.Str("taskDefinition"), "ClientException")
		if err != nil {
			return nil, err
		}
		s.Doc["taskDefinition"] = td.ARN
		if err := CheckPlacement(s.Doc, td); err != nil {
			return nil, err
		}
	} else if controller != "EXTERNAL" {
		return invalid("TaskDefinition can not be blank.")
	}
	if s.fargate() {
		s.Doc.Fill("platformVersion", "LATEST")
		s.Doc["platformFamily"] = "Linux"
	}
	cl.Services = append(slices.DeleteFunc(cl.Services, func(o *Service) bool { return o.Name == name }), s)
	switch controller {
	case "ECS":
		e.deploy(s, c.Principal, c.Now)
		c.Change.Deployment, c.Change.Effect = s.primary().id, "created"
	case "CODE_DEPLOY":
		td, err := e.findTaskDefinition(s.Doc.Str("taskDefinition"))
		if err != nil {
			return nil, err
		}
		e.firstTaskSet(s, td, c.Now)
	}
	return awsapi.Object{"service": e.describeService(s, c.Now, true)}, nil
}

// CheckPlacement refuses a task definition that cannot run where the service or task is to run.
func CheckPlacement(doc awsapi.Object, td *taskDefinition) error {
	invalid := func(format string, args ...any) error {
		return awsapi.Errorf("InvalidParameterException", format, args...)
	}
	fargate := onFargate(doc)
	if fargate && !slices.Contains(td.compatibilities(), "FARGATE") {
		return invalid("Task definition does not support launch_type FARGATE.")
	}
	awsvpc := td.doc.Str("networkMode") == "awsvpc"
	network := doc.Object("networkConfiguration").Object("awsvpcConfiguration")
	switch {
	case awsvpc && network == nil:
		return invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	case !awsvpc && network != nil:
		return invalid("Network Configuration is not valid for the given networkMode of this task definition.")
	case awsvpc && len(network.List("subnets")) == 0:
		return invalid("subnets can not be empty.")
	case len(network.List("subnets")) > 16:
		return invalid("subnets can have at most 16 items.")
	case len(network.List("securityGroups")) > 5:
		return invalid("securityGroups can have at most 5 items.")
	}
	for _, lb := range doc.Objects("loadBalancers") {
		i := slices.IndexFunc(td.doc.Objects("containerDefinitions"), func(c awsapi.Object) bool { return c.Str("name") == lb.Str("containerName") })
		if i < 0 {
			return invalid("The container %s does not exist in the task definition.", lb.Str("containerName"))
		}
		port := lb.Number("containerPort", 0)
		if !slices.ContainsFunc(td.doc.Objects("containerDefinitions")[i].Objects("portMappings"), func(p awsapi.Object) bool { return p.Number("containerPort", 0) == port }) {
			return invalid("The container %s did not have a container port %d defined.", lb.Str("containerName"), port)
		}
	}
	return nil
}

func onFargate(doc awsapi.Object) bool {
	if doc.Str("launchType") == "FARGATE" {
		return true
	}
	return slices.ContainsFunc(doc.Objects("capacityProviderStrategy"), func(o awsapi.Object) bool { return strings.HasPrefix(o.Str("capacityProvider"), "FARGATE") })
}

func (s *Service) fargate() bool      { return onFargate(s.Doc) }
func (s *Service) Controller() string { return s.Doc.Object("deploymentController").Str("type") }

// classic says whether the service is behind a Classic Load Balancer.
func (s *Service) classic() bool {
	return slices.ContainsFunc(s.Doc.Objects("loadBalancers"), func(lb awsapi.Object) bool { return lb.Has("loadBalancerName") })
}

// Service finds a service by name or ARN; nil where there is none.
func (cl *cluster) Service(ref string) *Service {
	for _, s := range cl.Services {
		if s.Name == ref || s.ARN == ref {
			return s
		}
	}
	return nil
}

// activeService returns the service that an operation changes.
func (e *ECS) activeService(c *awsapi.Invocation) (*Service, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	s := cl.Service(c.In.Str("service"))
	switch {
	case s == nil:
		return nil, awsapi.Errorf("ServiceNotFoundException", "Service not found.")
	case s.Status != "ACTIVE":
		return nil, awsapi.Errorf("ServiceNotActiveException", "Service was not ACTIVE.")
	}
	return s, nil
}

func (e *ECS) updateService(c *awsapi.Invocation) (awsapi.Object, error) {
	s, err := e.activeService(c)
	if err != nil {
		return nil, err
	}
	in := awsapi.CopyOf(c.In)
	for _, m := range []string{"cluster", "service", "forceNewDeployment"} {
		delete(in, m)
	}
	if s.Controller() != "ECS" {
		for _, m := range []struct{ member, words string }{
			{"taskDefinition", "task definition"}, {"networkConfiguration", "network configuration"}, {"platformVersion", "platform version"},
			{"loadBalancers", "load balancers"},
		} {
			if in.Has(m.member) {
				hint := ""
				if s.Controller() == "CODE_DEPLOY" {
					hint = " Use AWS CodeDeploy to trigger a new deployment."
				}
				return nil, awsapi.Errorf("InvalidParameterException", "Unable to update %s on services with %s %s deployment controller.%s", m.words, article(s.Controller()), s.Controller(), hint)
			}
		}
		if c.In.Flag("forceNewDeployment") {
			return nil, awsapi.Errorf("InvalidParameterException", "Cannot force a new deployment on services with %s %s deployment controller.", article(s.Controller()), s.Controller())
		}
	}
	if err := s.checkExpress(in); err != nil {
		return nil, err
	}
	if in.Has("taskDefinition") {
		td, err := e.UsableTaskDefinition(in.Str("taskDefinition"), "ClientException")
		if err != nil {
			return nil, err
		}
		in["taskDefinition"] = td.ARN
	}
	if in.Has("desiredCount") && in.Number("desiredCount", 0) < 0 {
		return nil, awsapi.Errorf("InvalidParameterException", "desiredCount must not be negative.")
	}
	if in.Has("volumeConfigurations") && len(in.List("volumeConfigurations")) == 0 && !s.Doc.Has("volumeConfigurations") {
		delete(in, "volumeConfigurations")
	}
	doc := s.Doc.With(in)
	if doc.Has("deploymentConfiguration") {
		if doc["deploymentConfiguration"], err = deploymentConfiguration(s.Doc.Object("deploymentConfiguration"), in.Object("deploymentConfiguration"), s.Controller()); err != nil {
			return nil, err
		}
	}
	if err := checkTraffic(doc); err != nil {
		return nil, err
	}
	if td, err := e.findTaskDefinition(doc.Str("taskDefinition")); err == nil {
		if err := CheckPlacement(doc, td); err != nil {
			return nil, err
		}
	}
	changed := c.In.Flag("forceNewDeployment")
	for _, m := range releasing {
		changed = changed || in.Has(m) && !reflect.DeepEqual(in[m], s.Doc[m])
	}
	s.Doc = doc
	if n := in.Number("desiredCount", s.Desired); n != s.Desired {
		s.Desired, s.steady = n, false
		e.Busy = true
		c.Change.Effect = "scaled"
	}
	if changed && s.Controller() == "ECS" {
		e.deploy(s, c.Principal, c.Now)
		c.Change.Deployment, c.Change.Effect = s.primary().id, "started"
	}
	return awsapi.Object{"service": e.describeService(s, c.Now, true)}, nil
}

func article(word string) string {
	if strings.ContainsAny(word[:1], "AEIOU") {
		return "an"
	}
	return "a"
}

func (e *ECS) describeServices(c *awsapi.Invocation) (awsapi.Object, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	refs := c.In.Strings("services")
	switch {
	case len(refs) == 0:
		return nil, awsapi.Errorf("InvalidParameterException", "Services cannot be empty.")
	case len(refs) > 10:
		return nil, awsapi.Errorf("InvalidParameterException", "Services cannot have more than 10 items.")
	}
	found, failures := []any{}, []any{}
	for _, ref := range refs {
		if s := cl.Service(ref); s != nil {
			found = append(found, e.describeService(s, c.Now, slices.Contains(c.In.Strings("include"), "TAGS")))
		} else {
			failures = append(failures, failure(e.ARN("ecs", "service/"+cl.Name+"/"+awsapi.NameOf(ref)), "MISSING"))
		}
	}
	return awsapi.Object{"services": found, "failures": failures}, nil
}

func (e *ECS) describeService(s *Service, now time.Time, tags bool) awsapi.Object {
	o := awsapi.Object{
		"serviceArn": s.ARN, "serviceName": s.Name, "clusterArn": s.Cluster.arn, "status": s.Status,
		"desiredCount": s.Desired, "runningCount": s.count(nil, "RUNNING"), "pendingCount": s.count(nil, "PENDING"),
		"createdAt": awsapi.Epoch(s.created), "createdBy": s.createdBy, "events": awsapi.Anys(s.events),
		"loadBalancers": []any{}, "serviceRegistries": []any{}, "placementConstraints": []any{}, "placementStrategy": []any{},
		"deployments": []any{}, "enableECSManagedTags": false, "enableExecuteCommand": false, "propagateTags": "NONE",
		"availabilityZoneRebalancing": "DISABLED",
	}
	for _, m := range described {
		o.Put(m, s.Doc[m])
	}
	o.Put("taskDefinition", s.Doc.Str("taskDefinition"))
	if s.express != nil {
		o["resourceManagementType"] = "ECS"
		if s.express.NoTaskDefinition {
			delete(o, "taskDefinition")
		}
	}
	if s.fargate() || s.Doc.Has("loadBalancers") {
		o.Fill("healthCheckGracePeriodSeconds", 0)
	}
	if tags && s.tags != nil {
		o["tags"] = awsapi.Anys(s.tags)
	}
	switch s.Controller() {
	case "ECS":
		deployments := []any{}
		for _, d := range s.Deployments {
			deployments = append(deployments, s.describeDeployment(d, now))
		}
		o["deployments"] = deployments
		if len(s.releases) > 0 && !e.behaviour.NoCurrentDeployment {
			o["currentServiceDeployment"] = s.releases[0].arn
		}
		var current []any
		for _, d := range s.Deployments {
			current = append(current, s.summary(d.Revision, false))
		}
		o.Put("currentServiceRevisions", current)
	case "CODE_DEPLOY":
		sets := []any{}
		for _, set := range s.Deployments {
			sets = append(sets, s.describeTaskSet(set))
		}
		o["taskSets"] = sets
	case "EXTERNAL":
		o["taskSets"] = []any{}
	}
	return awsapi.CopyOf(o)
}

func (e *ECS) listServices(c *awsapi.Invocation) (awsapi.Object, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for _, s := range cl.Services {
		if kind := c.In.Str("resourceManagementType"); kind != "" && (kind == "ECS") != (s.express != nil) {
			continue
		}
		if lt := c.In.Str("launchType"); s.Status == "ACTIVE" && (lt == "" || lt == s.Doc.Str("launchType")) {
			arns = append(arns, s.ARN)
		}
	}
	page, next, err := awsapi.Paginate(c.In, arns, "maxResults", 10)
	if err != nil {
		return nil, err
	}
	out := awsapi.Object{"serviceArns": awsapi.Anys(page)}
	out.Put("nextToken", next)
	return out, nil
}

func (e *ECS) deleteService(c *awsapi.Invocation) (awsapi.Object, error) {
	s, err := e.activeService(c)
	if err != nil {
		return nil, err
	}
	if s.Desired > 0 && !c.In.Flag("force") {
		return nil, awsapi.Errorf("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
	}
	e.deleteNow(s, c.Now)
	c.Change.Effect = "deleted"
	return awsapi.Object{"service": e.describeService(s, c.Now, false)}, nil
}

// deleteNow begins the end of a service: it drains its tasks. Its deployments and revisions go with it: describing them answers
// ServiceNotFoundException from then on.
func (e *ECS) deleteNow(s *Service, now time.Time) {
	s.Status, s.Desired, s.steady = "DRAINING", 0, false
	for _, r := range s.releases {
		r.finish("STOPPED", "", now)
	}
	for _, t := range s.tasks(nil) {
		e.stop(t, now, "ServiceSchedulerInitiated", "Service was deleted")
	}
	e.Busy = true
	s.releases, s.revisions = nil, nil
}

// maxEvents is how many events DescribeServices returns: the last 100.
const maxEvents = 100

// event puts a message on the service's list, in the words that ECS uses.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
func (e *ECS) event(s *Service, now time.Time, message string) { e.eventOf(s, "", now, message) }

// eventOf is event with more behind the service's name: ", taskSet ecs-svc/…".
func (e *ECS) eventOf(s *Service, more string, now time.Time, message string) {
	s.events = append([]awsapi.Object{{"id": e.ID(awsapi.UUID), "createdAt": awsapi.Epoch(now), "message": "(service " + s.Name + more + ") " + message}}, s.events...)
	if len(s.events) > maxEvents {
		s.events = s.events[:maxEvents]
	}
}
