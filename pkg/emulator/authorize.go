// Authorization: the policies of a principal, and which actions on which resources each operation needs. Principals without policies may do
// everything.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

package emulator

import (
	"regexp"
	"strings"

	"ecsdeploy/pkg/emulator/iam"
)

// Restrict gives a principal its policies, in the place of those that it had; none lifts every restriction. The principal is the ARN of a user or
// of a role, whose sessions it is then about.
func (e *Emulator) Restrict(principal string, policies ...iam.Policy) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policies[principal] = policies
	if len(policies) == 0 {
		delete(e.policies, principal)
	}
}

// User is the ARN of who signs with access keys that AssumeRole did not hand out.
func (e *Emulator) User() string { return "arn:aws:iam::" + e.account + ":user/emulator" }

// sessionARN matches a session of a role.
var sessionARN = regexp.MustCompile(`^arn:aws:sts::(\d+):assumed-role/([^/]+)/`)

// authorize checks each action that a call needs, and answers as IAM does for the first that is denied.
func (e *Emulator) authorize(principal string, needs []iam.Request) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := principal
	if m := sessionARN.FindStringSubmatch(principal); m != nil {
		of = "arn:aws:iam::" + m[1] + ":role/" + m[2]
	}
	policies, restricted := e.policies[of]
	if !restricted {
		return nil
	}
	for _, need := range needs {
		if why := iam.Denied(policies, need); why != "" {
			return &apiError{code: "AccessDeniedException", message: denial(principal, need.Action, need.Resource, why)}
		}
	}
	return nil
}

// needs lists what a call to one of the JSON services must be allowed.
func (e *Emulator) needs(svc *awsService, operation string, in object) []iam.Request {
	context := map[string][]string{"aws:RequestedRegion": {e.region}}
	request := func(action, resource string) iam.Request {
		return iam.Request{Action: action, Resource: resource, Context: context}
	}
	if svc.name == "ecs" {
		e.ecsContext(operation, in, context)
	}
	var out []iam.Request
	for _, resource := range e.resources(svc, operation, in) {
		out = append(out, request(svc.name+":"+operation, resource))
	}
	creates := strings.HasPrefix(operation, "Create") || strings.HasPrefix(operation, "Register") || operation == "RunTask"
	if tags := in.objects("tags"); creates && len(tags) > 0 && (svc.name == "ecs" || svc.name == "ecr") {
		tagging := request(svc.name+":TagResource", e.created(svc, operation, in))
		tagging.Context = map[string][]string{svc.name + ":CreateAction": {operation}, "aws:RequestedRegion": {e.region}}
		for _, t := range tags {
			key := orDefault(t.str("key"), t.str("Key"))
			tagging.Context["aws:RequestTag/"+key] = []string{orDefault(t.str("value"), t.str("Value"))}
			tagging.Context["aws:TagKeys"] = append(tagging.Context["aws:TagKeys"], key)
		}
		out = append(out, tagging)
	}
	for _, role := range e.passedRoles(svc, operation, in) {
		passing := request("iam:PassRole", role)
		passing.Context = map[string][]string{"iam:PassedToService": {map[string]string{"ecs": "ecs-tasks.amazonaws.com", "events": "events.amazonaws.com"}[svc.name]}}
		out = append(out, passing)
	}
	return out
}

// ecsContext adds the keys that ECS has of its own.
func (e *Emulator) ecsContext(operation string, in object, context map[string][]string) {
	switch {
	case strings.Contains(operation, "TaskDefinition"), strings.HasPrefix(operation, "DescribeService") && operation != "DescribeServices", operation == "ContinueServiceDeployment", operation == "StopServiceDeployment":
	default:
		context["ecs:cluster"] = []string{e.arn("ecs", "cluster/"+nameOf(orDefault(in.str("cluster"), "default")))}
	}
	if td := in.str("taskDefinition"); td != "" && operation == "UpdateService" {
		context["ecs:task-definition"] = []string{e.arn("ecs", "task-definition/"+nameOf(td))}
	}
}

// resources are those that an operation is about: one for each that a list names.
func (e *Emulator) resources(svc *awsService, operation string, in object) []string {
	list, kind := "", ""
	switch svc.name + ":" + operation {
	case "ecs:DescribeServices":
		list, kind = "services", "service"
	case "ecs:DescribeTasks":
		list, kind = "tasks", "task"
	case "ecs:DescribeServiceDeployments":
		list = "serviceDeploymentArns"
	case "ecs:DescribeServiceRevisions":
		list = "serviceRevisionArns"
	case "ecr:DescribeRepositories":
		list, kind = "repositoryNames", "repository"
	}
	var out []string
	for _, ref := range in.strings(list) {
		switch {
		case strings.HasPrefix(ref, "arn:"), kind == "":
			out = append(out, ref)
		case kind == "repository":
			out = append(out, e.arn("ecr", "repository/"+ref))
		default:
			out = append(out, e.arn("ecs", kind+"/"+nameOf(orDefault(in.str("cluster"), "default"))+"/"+ref))
		}
	}
	if out == nil {
		return []string{svc.resource(e, operation, in)}
	}
	return out
}

// created is the resource that a call creates and tags.
func (e *Emulator) created(svc *awsService, operation string, in object) string {
	cluster := nameOf(orDefault(in.str("cluster"), "default"))
	switch operation {
	case "RegisterTaskDefinition":
		return e.arn("ecs", "task-definition/"+in.str("family")+":*")
	case "RunTask":
		return e.arn("ecs", "task/"+cluster+"/*")
	case "CreateCluster":
		return e.arn("ecs", "cluster/"+orDefault(in.str("clusterName"), "default"))
	}
	return svc.resource(e, operation, in)
}

// passedRoles are the roles that the caller hands to the tasks.
func (e *Emulator) passedRoles(svc *awsService, operation string, in object) []string {
	var from []object
	switch svc.name + ":" + operation {
	case "ecs:RegisterTaskDefinition":
		from = append(from, in)
	case "ecs:RunTask":
		e.mu.Lock()
		td, err := e.findTaskDefinition(in.str("taskDefinition"))
		e.mu.Unlock()
		if err == nil {
			from = append(from, td.doc)
		}
		from = append(from, in.object("overrides"))
	}
	var roles []string
	if svc.name == "events" && operation == "PutTargets" {
		for _, t := range in.objects("Targets") {
			if role := t.str("RoleArn"); role != "" {
				roles = append(roles, role)
			}
		}
	}
	for _, o := range from {
		for _, m := range []string{"taskRoleArn", "executionRoleArn"} {
			role := o.str(m)
			if role == "" {
				continue
			}
			if !strings.HasPrefix(role, "arn:") {
				role = "arn:aws:iam::" + e.account + ":role/" + role
			}
			roles = append(roles, role)
		}
	}
	return roles
}

// registryActions are the ECR actions that the registry's operations need.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
var registryActions = map[string]string{
	"HeadBlob": "BatchCheckLayerAvailability", "GetBlob": "GetDownloadUrlForLayer",
	"StartUpload": "InitiateLayerUpload", "UploadChunk": "UploadLayerPart", "GetUpload": "UploadLayerPart", "FinishUpload": "CompleteLayerUpload",
	"HeadManifest": "BatchGetImage", "GetManifest": "BatchGetImage", "PutManifest": "PutImage", "ListTags": "ListImages",
}

// authorizeRegistryAction checks an operation of the registry for whoever got its password.
func (e *Emulator) authorizeRegistryAction(principal, operation, repository string) error {
	action := registryActions[operation]
	if action == "" {
		return nil
	}
	return e.authorize(principal, []iam.Request{{Action: "ecr:" + action, Resource: e.arn("ecr", "repository/"+repository), Context: map[string][]string{"aws:RequestedRegion": {e.region}}}})
}
