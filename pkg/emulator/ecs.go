// The ECS API: its operations, how it words refusals, clusters and tags. Task definitions, services, deployments and tasks have files of their own
// (ecs_taskdef.go, ecs_service.go, ecs_deployment.go, ecs_task.go); what happens over time is in machine.go.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/

package emulator

import (
	"cmp"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/schemas"
)

// ECS is Amazon ECS: clusters, task definitions, services, deployments and tasks, and the machine that moves them on.
type ECS struct {
	*Server
	ecsState
	images *ECR
	logs   *Logs
	turns  []func(now time.Time) (busy bool) // of whoever else deploys to services: one at the end of each tick

	behaviour   Behaviour
	chance      *rand.Rand // what it leaves to chance
	scripts     []script
	taskScripts []taskScript
}

func newECS(server *Server, images *ECR, logs *Logs) *ECS {
	e := &ECS{Server: server, images: images, logs: logs, chance: rand.New(rand.NewPCG(0, 2))}
	e.init()
	server.advance, server.acted = e.bringUp, e.noteViews
	server.handle("AmazonEC2ContainerServiceV20141113", e.service())
	return e
}

type ecsState struct {
	clusters []*cluster
	families map[string]*family
	tokens   map[string]ranBefore // of RunTask, by client token
	history  []*release           // every service deployment ever, also of deleted services
	ticked   time.Time            // the machine has run up to here
	busy     bool                 // something is under way: ticks must not be skipped
	launched int                  // tasks, ever
}

func (s *ecsState) init() { s.families, s.tokens = map[string]*family{}, map[string]ranBefore{} }

type cluster struct {
	name, arn string
	status    string // ACTIVE, INACTIVE
	doc       object
	tags      []any
	services  []*service
	tasks     []*task
}

func (e *ECS) service() *awsService {
	return &awsService{
		name:      "ecs",
		rules:     ecsRules(),
		unknown:   "UnknownOperationException",
		refuse:    refuseECS,
		resource:  e.ecsResource,
		resources: e.resources,
		context:   e.ecsContext,
		created:   e.created,
		passed:    e.passedRoles,
		operations: map[string]operation{
			"CreateCluster":                 {schemas.CreateClusterRequest, schemas.CreateClusterResponse, e.createCluster},
			"DescribeClusters":              {schemas.DescribeClustersRequest, schemas.DescribeClustersResponse, e.describeClusters},
			"ListClusters":                  {schemas.ListClustersRequest, schemas.ListClustersResponse, e.listClusters},
			"DeleteCluster":                 {schemas.DeleteClusterRequest, schemas.DeleteClusterResponse, e.deleteCluster},
			"RegisterTaskDefinition":        {schemas.RegisterTaskDefinitionRequest, schemas.RegisterTaskDefinitionResponse, e.registerTaskDefinition},
			"DescribeTaskDefinition":        {schemas.DescribeTaskDefinitionRequest, schemas.DescribeTaskDefinitionResponse, e.describeTaskDefinition},
			"ListTaskDefinitions":           {schemas.ListTaskDefinitionsRequest, schemas.ListTaskDefinitionsResponse, e.listTaskDefinitions},
			"DeregisterTaskDefinition":      {schemas.DeregisterTaskDefinitionRequest, schemas.DeregisterTaskDefinitionResponse, e.deregisterTaskDefinition},
			"TagResource":                   {schemas.TagResourceRequest, schemas.TagResourceResponse, e.tagResource},
			"UntagResource":                 {schemas.UntagResourceRequest, schemas.UntagResourceResponse, e.untagResource},
			"ListTagsForResource":           {schemas.ListTagsForResourceRequest, schemas.ListTagsForResourceResponse, e.listTagsForResource},
			"CreateService":                 {schemas.CreateServiceRequest, schemas.CreateServiceResponse, e.createService},
			"UpdateService":                 {schemas.UpdateServiceRequest, schemas.UpdateServiceResponse, e.updateService},
			"DescribeServices":              {schemas.DescribeServicesRequest, schemas.DescribeServicesResponse, e.describeServices},
			"ListServices":                  {schemas.ListServicesRequest, schemas.ListServicesResponse, e.listServices},
			"DeleteService":                 {schemas.DeleteServiceRequest, schemas.DeleteServiceResponse, e.deleteService},
			"DescribeExpressGatewayService": {schemas.DescribeExpressGatewayServiceRequest, schemas.DescribeExpressGatewayServiceResponse, e.describeExpressGatewayService},
			"ListServiceDeployments":        {schemas.ListServiceDeploymentsRequest, schemas.ListServiceDeploymentsResponse, e.listServiceDeployments},
			"DescribeServiceDeployments":    {schemas.DescribeServiceDeploymentsRequest, schemas.DescribeServiceDeploymentsResponse, e.describeServiceDeployments},
			"DescribeServiceRevisions":      {schemas.DescribeServiceRevisionsRequest, schemas.DescribeServiceRevisionsResponse, e.describeServiceRevisions},
			"ContinueServiceDeployment":     {schemas.ContinueServiceDeploymentRequest, schemas.ContinueServiceDeploymentResponse, e.continueServiceDeployment},
			"StopServiceDeployment":         {schemas.StopServiceDeploymentRequest, schemas.StopServiceDeploymentResponse, e.stopServiceDeployment},
			"ListTasks":                     {schemas.ListTasksRequest, schemas.ListTasksResponse, e.listTasks},
			"DescribeTasks":                 {schemas.DescribeTasksRequest, schemas.DescribeTasksResponse, e.describeTasks},
			"RunTask":                       {schemas.RunTaskRequest, schemas.RunTaskResponse, e.runTask},
			"StopTask":                      {schemas.StopTaskRequest, schemas.StopTaskResponse, e.stopTask},
		},
	}
}

// refuseECS words a violation as ECS does: ClientException for task definitions, InvalidParameterException elsewhere.
func refuseECS(op string, v violation) error {
	code := "InvalidParameterException"
	if op == "RegisterTaskDefinition" {
		code = "ClientException"
	}
	switch v.kind {
	case missing:
		if !strings.Contains(v.path, ".") {
			return apiErrorf(code, "%s cannot be empty.", sentence(v.member))
		}
	case notInEnum:
		if v.shape == "DeploymentLifecycleHookTargetType" {
			return apiErrorf(code, "Invalid targetType. Valid values are: %s", strings.Join(v.allowed, ", "))
		}
		return apiErrorf(code, "%s should be one of %s", strings.ToLower(sentence(v.member)), list(v.allowed))
	}
	return apiErrorf(code, "%s", v.Error())
}

// ecsResource is the resource that IAM would name when it denies an operation.
func (e *ECS) ecsResource(op string, in object) string {
	clusterName := nameOf(cmp.Or(in.str("cluster"), "default"))
	switch {
	case strings.HasPrefix(in.str("service"), "arn:"):
		return in.str("service")
	case in.has("serviceArn"):
		return in.str("serviceArn")
	case in.has("service"):
		return e.arn("ecs", "service/"+clusterName+"/"+in.str("service"))
	case op == "CreateService":
		return e.arn("ecs", "service/"+clusterName+"/"+in.str("serviceName"))
	case op == "DescribeServices" && len(in.strings("services")) > 0:
		return e.arn("ecs", "service/"+clusterName+"/"+nameOf(in.strings("services")[0]))
	case op == "DescribeTasks" && len(in.strings("tasks")) > 0:
		return e.arn("ecs", "task/"+clusterName+"/"+nameOf(in.strings("tasks")[0]))
	case in.has("serviceDeploymentArn"):
		return in.str("serviceDeploymentArn")
	case len(in.strings("serviceDeploymentArns")) > 0:
		return in.strings("serviceDeploymentArns")[0]
	case len(in.strings("serviceRevisionArns")) > 0:
		return in.strings("serviceRevisionArns")[0]
	case op == "RunTask":
		return e.arn("ecs", "task-definition/"+nameOf(in.str("taskDefinition")))
	case strings.Contains(op, "Cluster") && in.has("cluster"):
		return e.arn("ecs", "cluster/"+clusterName)
	}
	return "*"
}

// findCluster returns a cluster by name or ARN, "" being "default"; nil where there is none.
func (e *ECS) findCluster(ref string) *cluster {
	ref = cmp.Or(ref, "default")
	for _, c := range e.clusters {
		if c.name == ref || c.arn == ref {
			return c
		}
	}
	return nil
}

// activeCluster returns the cluster that an operation works on.
func (e *ECS) activeCluster(ref string) (*cluster, error) {
	c := e.findCluster(ref)
	switch {
	case c == nil:
		return nil, apiErrorf("ClusterNotFoundException", "Cluster not found.")
	case c.status != "ACTIVE":
		return nil, apiErrorf("ClusterNotFoundException", "The referenced cluster was inactive.")
	}
	return c, nil
}

func (e *ECS) createCluster(c *call) (object, error) {
	name := cmp.Or(c.in.str("clusterName"), "default")
	if !resourceName.MatchString(name) {
		return nil, apiErrorf("InvalidParameterException", "Invalid identifier: Identifier is for cluster %s", name)
	}
	if err := checkTags(c.in, "InvalidParameterException"); err != nil {
		return nil, err
	}
	cl := e.findCluster(name)
	if cl == nil {
		cl = &cluster{name: name, arn: e.arn("ecs", "cluster/"+name)}
		e.clusters = append(e.clusters, cl)
	}
	if cl.status != "ACTIVE" { // creating an existing one changes nothing
		cl.status, cl.doc, cl.tags = "ACTIVE", object{}, c.in.list("tags")
		for _, m := range []string{"settings", "configuration", "capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults"} {
			cl.doc.put(m, c.in[m])
		}
	}
	return object{"cluster": cl.describe([]string{"TAGS", "SETTINGS"})}, nil
}

func (cl *cluster) describe(include []string) object {
	running, pending, active := 0, 0, 0
	for _, t := range cl.tasks {
		switch {
		case t.status == "RUNNING":
			running++
		case t.live():
			pending++
		}
	}
	for _, s := range cl.services {
		if s.status == "ACTIVE" {
			active++
		}
	}
	o := object{
		"clusterArn": cl.arn, "clusterName": cl.name, "status": cl.status,
		"registeredContainerInstancesCount": 0, "runningTasksCount": running, "pendingTasksCount": pending, "activeServicesCount": active,
		"statistics": []any{}, "tags": []any{}, "settings": []any{}, "capacityProviders": []any{}, "defaultCapacityProviderStrategy": []any{},
	}
	for _, m := range []string{"capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults"} {
		o.put(m, cl.doc[m])
	}
	for _, i := range include {
		switch i {
		case "TAGS":
			o.put("tags", cl.tags)
		case "SETTINGS":
			o["settings"] = []any{object{"name": "containerInsights", "value": "disabled"}}
			o.put("settings", cl.doc["settings"])
		case "CONFIGURATIONS":
			o.put("configuration", cl.doc["configuration"])
		}
	}
	return o
}

// failure is one entry of a list of failures.
func failure(arn, reason string) object { return object{"arn": arn, "reason": reason} }

func (e *ECS) describeClusters(c *call) (object, error) {
	refs := c.in.strings("clusters")
	if len(refs) == 0 {
		refs = []string{"default"}
	}
	if len(refs) > 100 {
		return nil, apiErrorf("InvalidParameterException", "clusters can have at most 100 items.")
	}
	found, failures := []any{}, []any{}
	for _, ref := range refs {
		if cl := e.findCluster(ref); cl != nil {
			found = append(found, cl.describe(c.in.strings("include")))
		} else {
			failures = append(failures, failure(e.arn("ecs", "cluster/"+nameOf(ref)), "MISSING"))
		}
	}
	return object{"clusters": found, "failures": failures}, nil
}

func (e *ECS) listClusters(c *call) (object, error) {
	arns := []string{}
	for _, cl := range e.clusters {
		if cl.status == "ACTIVE" {
			arns = append(arns, cl.arn)
		}
	}
	return listed(c, "clusterArns", arns)
}

// listed answers one page of a list of ARNs.
func listed(c *call, member string, arns []string) (object, error) {
	if n := c.in.number("maxResults", 100); n < 1 || n > 100 {
		return nil, apiErrorf("InvalidParameterException", "maxResults must be between 1 and 100.")
	}
	page, next, err := paginate(c.in, arns, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	out := object{member: anys(page)}
	out.put("nextToken", next)
	return out, nil
}

func (e *ECS) deleteCluster(c *call) (object, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	for _, s := range cl.services {
		if s.status != "INACTIVE" {
			return nil, apiErrorf("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
		}
	}
	for _, t := range cl.tasks {
		if t.status != "STOPPED" {
			return nil, apiErrorf("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
		}
	}
	cl.status = "INACTIVE"
	return object{"cluster": cl.describe(nil)}, nil
}

// checkTags holds the rules for tags that the model does not have.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html
func checkTags(in object, code string) error {
	if !in.has("tags") {
		return nil
	}
	tags := in.objects("tags")
	if len(tags) == 0 {
		return apiErrorf(code, "Tags can not be empty.")
	}
	seen := map[string]bool{}
	for _, t := range tags {
		key := t.str("key")
		switch {
		case key == "":
			return apiErrorf(code, "Tag key cannot be empty.")
		case strings.HasPrefix(strings.ToLower(key), "aws:") || strings.HasPrefix(strings.ToLower(t.str("value")), "aws:"):
			return apiErrorf(code, "Invalid tag: aws: prefixed tag keys and values are not allowed for external use.")
		case seen[key]:
			return apiErrorf(code, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[key] = true
	}
	return nil
}

// tagged returns the tags of a resource, by ARN.
func (e *ECS) tagged(arn string) (*[]any, error) {
	switch {
	case strings.Contains(arn, ":task-definition/"):
		td, err := e.findTaskDefinition(arn)
		if err != nil {
			return nil, apiErrorf("ResourceNotFoundException", "The specified resource is not found. Please check the resource ARN and try again.")
		}
		return &td.tags, nil
	case strings.Contains(arn, ":service/"), strings.Contains(arn, ":cluster/"), strings.Contains(arn, ":task/"):
		for _, cl := range e.clusters {
			if cl.arn == arn {
				return &cl.tags, nil
			}
			for _, s := range cl.services {
				if s.arn == arn {
					return &s.tags, nil
				}
			}
			for _, t := range cl.tasks {
				if t.arn == arn {
					return &t.tags, nil
				}
			}
		}
		if strings.Contains(arn, ":cluster/") {
			return nil, apiErrorf("ClusterNotFoundException", "Cluster not found.")
		}
		return nil, apiErrorf("ResourceNotFoundException", "The specified resource is not found. Please check the resource ARN and try again.")
	}
	return nil, apiErrorf("InvalidParameterException", "Invalid resource ARN: %s", arn)
}

func (e *ECS) tagResource(c *call) (object, error) {
	if err := checkTags(c.in, "InvalidParameterException"); err != nil {
		return nil, err
	}
	tags, err := e.tagged(c.in.str("resourceArn"))
	if err != nil {
		return nil, err
	}
	merged := append([]any(nil), *tags...)
next:
	for _, t := range c.in.objects("tags") {
		for i, had := range merged {
			if had.(object).str("key") == t.str("key") {
				merged[i] = t
				continue next
			}
		}
		merged = append(merged, t)
	}
	if len(merged) > 50 {
		return nil, apiErrorf("InvalidParameterException", "Resource has exceeded the maximum number of tags: 50")
	}
	*tags = merged
	return nil, nil
}

func (e *ECS) untagResource(c *call) (object, error) {
	tags, err := e.tagged(c.in.str("resourceArn"))
	if err != nil {
		return nil, err
	}
	kept := []any{}
next:
	for _, t := range *tags {
		for _, k := range c.in.strings("tagKeys") {
			if t.(object).str("key") == k {
				continue next
			}
		}
		kept = append(kept, t)
	}
	*tags = kept
	return nil, nil
}

func (e *ECS) listTagsForResource(c *call) (object, error) {
	tags, err := e.tagged(c.in.str("resourceArn"))
	if err != nil {
		return nil, err
	}
	return object{"tags": anys(*tags)}, nil
}
