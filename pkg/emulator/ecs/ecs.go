// Package ecs is Amazon ECS: clusters, task definitions, services, deployments and tasks, and the machine that moves them on as time passes. How
// deployments go is decided by a scenario; in what ECS leaves open, by a [Behaviour] and its seed.
//
// What it does not do: it runs no containers; services with the EXTERNAL controller exist but are never rolled out; load balancers and alarms are
// names; and what CodeDeploy does with task sets is its own package's business.
//
// This file has the operations, how refusals are worded, clusters and tags.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/
package ecs

import (
	"cmp"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/schemas"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecr"
	"ecsdeploy/pkg/emulator/logs"
)

// ECS is Amazon ECS: clusters, task definitions, services, deployments and tasks, and the machine that moves them on.
type ECS struct {
	*awsapi.Server
	ecsState
	images *ecr.ECR
	logs   *logs.Logs
	Turns  []func(now time.Time) (busy bool) // of whoever else deploys to services: one at the end of each tick
	Others Others                            // somebody else, where ECS itself does not deploy; nil where nobody does

	behaviour   Behaviour
	chance      *rand.Rand // what it leaves to chance
	scripts     []script
	taskScripts []taskScript
}

func New(server *awsapi.Server, images *ecr.ECR, logs *logs.Logs) *ECS {
	e := &ECS{Server: server, images: images, logs: logs, chance: rand.New(rand.NewPCG(0, 2))}
	e.init()
	server.Advance, server.Acted = e.bringUp, e.noteViews
	server.Handle("AmazonEC2ContainerServiceV20141113", e.Service())
	return e
}

type ecsState struct {
	Clusters []*cluster
	families map[string]*family
	tokens   map[string]ranBefore // of RunTask, by client token
	history  []*release           // every service deployment ever, also of deleted services
	ticked   time.Time            // the machine has run up to here
	Busy     bool                 // something is under way: ticks must not be skipped
	launched int                  // tasks, ever
}

func (s *ecsState) init() { s.families, s.tokens = map[string]*family{}, map[string]ranBefore{} }

type cluster struct {
	Name, arn string
	status    string // ACTIVE, INACTIVE
	doc       awsapi.Object
	tags      []any
	Services  []*Service
	Tasks     []*Task
}

func (e *ECS) Service() *awsapi.Service {
	return &awsapi.Service{
		Name:      "ecs",
		Rules:     ecsRules(),
		Unknown:   "UnknownOperationException",
		Refuse:    refuseECS,
		Resource:  e.ecsResource,
		Resources: e.resources,
		Context:   e.ecsContext,
		Created:   e.created,
		Passed:    e.passedRoles,
		Operations: map[string]awsapi.Operation{
			"CreateCluster":                 awsapi.Op(schemas.CreateClusterRequest, schemas.CreateClusterResponse, e.createCluster),
			"DescribeClusters":              awsapi.Op(schemas.DescribeClustersRequest, schemas.DescribeClustersResponse, e.describeClusters),
			"ListClusters":                  awsapi.Op(schemas.ListClustersRequest, schemas.ListClustersResponse, e.listClusters),
			"DeleteCluster":                 awsapi.Op(schemas.DeleteClusterRequest, schemas.DeleteClusterResponse, e.deleteCluster),
			"RegisterTaskDefinition":        awsapi.Op(schemas.RegisterTaskDefinitionRequest, schemas.RegisterTaskDefinitionResponse, e.RegisterTaskDefinition),
			"DescribeTaskDefinition":        awsapi.Op(schemas.DescribeTaskDefinitionRequest, schemas.DescribeTaskDefinitionResponse, e.describeTaskDefinition),
			"ListTaskDefinitions":           awsapi.Op(schemas.ListTaskDefinitionsRequest, schemas.ListTaskDefinitionsResponse, e.listTaskDefinitions),
			"DeregisterTaskDefinition":      awsapi.Op(schemas.DeregisterTaskDefinitionRequest, schemas.DeregisterTaskDefinitionResponse, e.deregisterTaskDefinition),
			"TagResource":                   awsapi.Op(schemas.TagResourceRequest, schemas.TagResourceResponse, e.tagResource),
			"UntagResource":                 awsapi.Op(schemas.UntagResourceRequest, schemas.UntagResourceResponse, e.untagResource),
			"ListTagsForResource":           awsapi.Op(schemas.ListTagsForResourceRequest, schemas.ListTagsForResourceResponse, e.listTagsForResource),
			"CreateService":                 awsapi.Op(schemas.CreateServiceRequest, schemas.CreateServiceResponse, e.createService),
			"UpdateService":                 awsapi.Op(schemas.UpdateServiceRequest, schemas.UpdateServiceResponse, e.updateService),
			"DescribeServices":              awsapi.Op(schemas.DescribeServicesRequest, schemas.DescribeServicesResponse, e.describeServices),
			"ListServices":                  awsapi.Op(schemas.ListServicesRequest, schemas.ListServicesResponse, e.listServices),
			"DeleteService":                 awsapi.Op(schemas.DeleteServiceRequest, schemas.DeleteServiceResponse, e.deleteService),
			"DescribeExpressGatewayService": awsapi.Op(schemas.DescribeExpressGatewayServiceRequest, schemas.DescribeExpressGatewayServiceResponse, e.describeExpressGatewayService),
			"ListServiceDeployments":        awsapi.Op(schemas.ListServiceDeploymentsRequest, schemas.ListServiceDeploymentsResponse, e.listServiceDeployments),
			"DescribeServiceDeployments":    awsapi.Op(schemas.DescribeServiceDeploymentsRequest, schemas.DescribeServiceDeploymentsResponse, e.describeServiceDeployments),
			"DescribeServiceRevisions":      awsapi.Op(schemas.DescribeServiceRevisionsRequest, schemas.DescribeServiceRevisionsResponse, e.describeServiceRevisions),
			"ContinueServiceDeployment":     awsapi.Op(schemas.ContinueServiceDeploymentRequest, schemas.ContinueServiceDeploymentResponse, e.continueServiceDeployment),
			"StopServiceDeployment":         awsapi.Op(schemas.StopServiceDeploymentRequest, schemas.StopServiceDeploymentResponse, e.stopServiceDeployment),
			"ListTasks":                     awsapi.Op(schemas.ListTasksRequest, schemas.ListTasksResponse, e.listTasks),
			"DescribeTasks":                 awsapi.Op(schemas.DescribeTasksRequest, schemas.DescribeTasksResponse, e.describeTasks),
			"RunTask":                       awsapi.Op(schemas.RunTaskRequest, schemas.RunTaskResponse, e.runTask),
			"StopTask":                      awsapi.Op(schemas.StopTaskRequest, schemas.StopTaskResponse, e.stopTask),
		},
	}
}

// refuseECS words a violation as ECS does: ClientException for task definitions, InvalidParameterException elsewhere.
func refuseECS(op string, v awsapi.Violation) error {
	code := "InvalidParameterException"
	if op == "RegisterTaskDefinition" {
		code = "ClientException"
	}
	switch v.Kind {
	case awsapi.Missing:
		if !strings.Contains(v.Path, ".") {
			return awsapi.Errorf(code, "%s cannot be empty.", awsapi.Sentence(v.Member))
		}
	case awsapi.NotInEnum:
		if v.Shape == "DeploymentLifecycleHookTargetType" {
			return awsapi.Errorf(code, "Invalid targetType. Valid values are: %s", strings.Join(v.Allowed, ", "))
		}
		return awsapi.Errorf(code, "%s should be one of %s", strings.ToLower(awsapi.Sentence(v.Member)), awsapi.List(v.Allowed))
	}
	return awsapi.Errorf(code, "%s", v.Error())
}

// ecsResource is the resource that IAM would name when it denies an operation.
func (e *ECS) ecsResource(op string, in awsapi.Object) string {
	clusterName := awsapi.NameOf(cmp.Or(in.Str("cluster"), "default"))
	switch {
	case strings.HasPrefix(in.Str("service"), "arn:"):
		return in.Str("service")
	case in.Has("serviceArn"):
		return in.Str("serviceArn")
	case in.Has("service"):
		return e.ARN("ecs", "service/"+clusterName+"/"+in.Str("service"))
	case op == "CreateService":
		return e.ARN("ecs", "service/"+clusterName+"/"+in.Str("serviceName"))
	case op == "DescribeServices" && len(in.Strings("services")) > 0:
		return e.ARN("ecs", "service/"+clusterName+"/"+awsapi.NameOf(in.Strings("services")[0]))
	case op == "DescribeTasks" && len(in.Strings("tasks")) > 0:
		return e.ARN("ecs", "task/"+clusterName+"/"+awsapi.NameOf(in.Strings("tasks")[0]))
	case in.Has("serviceDeploymentArn"):
		return in.Str("serviceDeploymentArn")
	case len(in.Strings("serviceDeploymentArns")) > 0:
		return in.Strings("serviceDeploymentArns")[0]
	case len(in.Strings("serviceRevisionArns")) > 0:
		return in.Strings("serviceRevisionArns")[0]
	case op == "RunTask":
		return e.ARN("ecs", "task-definition/"+awsapi.NameOf(in.Str("taskDefinition")))
	case strings.Contains(op, "Cluster") && in.Has("cluster"):
		return e.ARN("ecs", "cluster/"+clusterName)
	}
	return "*"
}

// FindCluster returns a cluster by name or ARN, "" being "default"; nil where there is none.
func (e *ECS) FindCluster(ref string) *cluster {
	ref = cmp.Or(ref, "default")
	for _, c := range e.Clusters {
		if c.Name == ref || c.arn == ref {
			return c
		}
	}
	return nil
}

// activeCluster returns the cluster that an operation works on.
func (e *ECS) activeCluster(ref string) (*cluster, error) {
	c := e.FindCluster(ref)
	switch {
	case c == nil:
		return nil, awsapi.Errorf("ClusterNotFoundException", "Cluster not found.")
	case c.status != "ACTIVE":
		return nil, awsapi.Errorf("ClusterNotFoundException", "The referenced cluster was inactive.")
	}
	return c, nil
}

func (e *ECS) createCluster(c *awsapi.Invocation) (awsapi.Object, error) {
	name := cmp.Or(c.In.Str("clusterName"), "default")
	if !resourceName.MatchString(name) {
		return nil, awsapi.Errorf("InvalidParameterException", "Invalid identifier: Identifier is for cluster %s", name)
	}
	if err := checkTags(c.In, "InvalidParameterException"); err != nil {
		return nil, err
	}
	cl := e.FindCluster(name)
	if cl == nil {
		cl = &cluster{Name: name, arn: e.ARN("ecs", "cluster/"+name)}
		e.Clusters = append(e.Clusters, cl)
	}
	if cl.status != "ACTIVE" { // creating an existing one changes nothing
		cl.status, cl.doc, cl.tags = "ACTIVE", awsapi.Object{}, c.In.List("tags")
		for _, m := range []string{"settings", "configuration", "capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults"} {
			cl.doc.Put(m, c.In[m])
		}
	}
	return awsapi.Object{"cluster": cl.describe([]string{"TAGS", "SETTINGS"})}, nil
}

func (cl *cluster) describe(include []string) awsapi.Object {
	running, pending, active := 0, 0, 0
	for _, t := range cl.Tasks {
		switch {
		case t.Status == "RUNNING":
			running++
		case t.live():
			pending++
		}
	}
	for _, s := range cl.Services {
		if s.Status == "ACTIVE" {
			active++
		}
	}
	o := awsapi.Object{
		"clusterArn": cl.arn, "clusterName": cl.Name, "status": cl.status,
		"registeredContainerInstancesCount": 0, "runningTasksCount": running, "pendingTasksCount": pending, "activeServicesCount": active,
		"statistics": []any{}, "tags": []any{}, "settings": []any{}, "capacityProviders": []any{}, "defaultCapacityProviderStrategy": []any{},
	}
	for _, m := range []string{"capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults"} {
		o.Put(m, cl.doc[m])
	}
	for _, i := range include {
		switch i {
		case "TAGS":
			o.Put("tags", cl.tags)
		case "SETTINGS":
			o["settings"] = []any{awsapi.Object{"name": "containerInsights", "value": "disabled"}}
			o.Put("settings", cl.doc["settings"])
		case "CONFIGURATIONS":
			o.Put("configuration", cl.doc["configuration"])
		}
	}
	return o
}

// failure is one entry of a list of failures.
func failure(arn, reason string) awsapi.Object { return awsapi.Object{"arn": arn, "reason": reason} }

func (e *ECS) describeClusters(c *awsapi.Invocation) (awsapi.Object, error) {
	refs := c.In.Strings("clusters")
	if len(refs) == 0 {
		refs = []string{"default"}
	}
	if len(refs) > 100 {
		return nil, awsapi.Errorf("InvalidParameterException", "clusters can have at most 100 items.")
	}
	found, failures := []any{}, []any{}
	for _, ref := range refs {
		if cl := e.FindCluster(ref); cl != nil {
			found = append(found, cl.describe(c.In.Strings("include")))
		} else {
			failures = append(failures, failure(e.ARN("ecs", "cluster/"+awsapi.NameOf(ref)), "MISSING"))
		}
	}
	return awsapi.Object{"clusters": found, "failures": failures}, nil
}

func (e *ECS) listClusters(c *awsapi.Invocation) (awsapi.Object, error) {
	arns := []string{}
	for _, cl := range e.Clusters {
		if cl.status == "ACTIVE" {
			arns = append(arns, cl.arn)
		}
	}
	return listed(c, "clusterArns", arns)
}

// listed answers one page of a list of ARNs.
func listed(c *awsapi.Invocation, member string, arns []string) (awsapi.Object, error) {
	if n := c.In.Number("maxResults", 100); n < 1 || n > 100 {
		return nil, awsapi.Errorf("InvalidParameterException", "maxResults must be between 1 and 100.")
	}
	page, next, err := awsapi.Paginate(c.In, arns, "maxResults", 100)
	if err != nil {
		return nil, err
	}
	out := awsapi.Object{member: awsapi.Anys(page)}
	out.Put("nextToken", next)
	return out, nil
}

func (e *ECS) deleteCluster(c *awsapi.Invocation) (awsapi.Object, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	for _, s := range cl.Services {
		if s.Status != "INACTIVE" {
			return nil, awsapi.Errorf("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
		}
	}
	for _, t := range cl.Tasks {
		if t.Status != "STOPPED" {
			return nil, awsapi.Errorf("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
		}
	}
	cl.status = "INACTIVE"
	return awsapi.Object{"cluster": cl.describe(nil)}, nil
}

// checkTags holds the rules for tags that the model does not have.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html
func checkTags(in awsapi.Object, code string) error {
	if !in.Has("tags") {
		return nil
	}
	tags := in.Objects("tags")
	if len(tags) == 0 {
		return awsapi.Errorf(code, "Tags can not be empty.")
	}
	seen := map[string]bool{}
	for _, t := range tags {
		key := t.Str("key")
		switch {
		case key == "":
			return awsapi.Errorf(code, "Tag key cannot be empty.")
		case strings.HasPrefix(strings.ToLower(key), "aws:") || strings.HasPrefix(strings.ToLower(t.Str("value")), "aws:"):
			return awsapi.Errorf(code, "Invalid tag: aws: prefixed tag keys and values are not allowed for external use.")
		case seen[key]:
			return awsapi.Errorf(code, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
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
			return nil, awsapi.Errorf("ResourceNotFoundException", "The specified resource is not found. Please check the resource ARN and try again.")
		}
		return &td.tags, nil
	case strings.Contains(arn, ":service/"), strings.Contains(arn, ":cluster/"), strings.Contains(arn, ":task/"):
		for _, cl := range e.Clusters {
			if cl.arn == arn {
				return &cl.tags, nil
			}
			for _, s := range cl.Services {
				if s.ARN == arn {
					return &s.tags, nil
				}
			}
			for _, t := range cl.Tasks {
				if t.arn == arn {
					return &t.tags, nil
				}
			}
		}
		if strings.Contains(arn, ":cluster/") {
			return nil, awsapi.Errorf("ClusterNotFoundException", "Cluster not found.")
		}
		return nil, awsapi.Errorf("ResourceNotFoundException", "The specified resource is not found. Please check the resource ARN and try again.")
	}
	return nil, awsapi.Errorf("InvalidParameterException", "Invalid resource ARN: %s", arn)
}

func (e *ECS) tagResource(c *awsapi.Invocation) (awsapi.Object, error) {
	if err := checkTags(c.In, "InvalidParameterException"); err != nil {
		return nil, err
	}
	tags, err := e.tagged(c.In.Str("resourceArn"))
	if err != nil {
		return nil, err
	}
	merged := append([]any(nil), *tags...)
next:
	for _, t := range c.In.Objects("tags") {
		for i, had := range merged {
			if had.(awsapi.Object).Str("key") == t.Str("key") {
				merged[i] = t
				continue next
			}
		}
		merged = append(merged, t)
	}
	if len(merged) > 50 {
		return nil, awsapi.Errorf("InvalidParameterException", "Resource has exceeded the maximum number of tags: 50")
	}
	*tags = merged
	return nil, nil
}

func (e *ECS) untagResource(c *awsapi.Invocation) (awsapi.Object, error) {
	tags, err := e.tagged(c.In.Str("resourceArn"))
	if err != nil {
		return nil, err
	}
	kept := []any{}
next:
	for _, t := range *tags {
		for _, k := range c.In.Strings("tagKeys") {
			if t.(awsapi.Object).Str("key") == k {
				continue next
			}
		}
		kept = append(kept, t)
	}
	*tags = kept
	return nil, nil
}

func (e *ECS) listTagsForResource(c *awsapi.Invocation) (awsapi.Object, error) {
	tags, err := e.tagged(c.In.Str("resourceArn"))
	if err != nil {
		return nil, err
	}
	return awsapi.Object{"tags": awsapi.Anys(*tags)}, nil
}
