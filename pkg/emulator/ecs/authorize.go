// What ECS's operations need to be allowed: resources, condition keys, tags and roles.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html

package ecs

import (
	"cmp"
	"strings"

	"ecsdeploy/pkg/emulator/awsapi"
)

// ecsContext adds the keys that ECS has of its own.
func (e *ECS) ecsContext(operation string, in awsapi.Object, context map[string][]string) {
	switch {
	case strings.Contains(operation, "TaskDefinition"), strings.HasPrefix(operation, "DescribeService") && operation != "DescribeServices", operation == "ContinueServiceDeployment", operation == "StopServiceDeployment":
	default:
		context["ecs:cluster"] = []string{e.ARN("ecs", "cluster/"+awsapi.NameOf(cmp.Or(in.Str("cluster"), "default")))}
	}
	if td := in.Str("taskDefinition"); td != "" && operation == "UpdateService" {
		context["ecs:task-definition"] = []string{e.ARN("ecs", "task-definition/"+awsapi.NameOf(td))}
	}
}

// resources are those that an operation is about: one for each that a list names.
func (e *ECS) resources(operation string, in awsapi.Object) []string {
	list, kind := "", ""
	switch operation {
	case "DescribeServices":
		list, kind = "services", "service"
	case "DescribeTasks":
		list, kind = "tasks", "task"
	case "DescribeServiceDeployments":
		list = "serviceDeploymentArns"
	case "DescribeServiceRevisions":
		list = "serviceRevisionArns"
	case "StopTask":
		if ref := in.Str("task"); strings.HasPrefix(ref, "arn:") {
			return []string{ref}
		}
		return []string{e.ARN("ecs", "task/"+awsapi.NameOf(cmp.Or(in.Str("cluster"), "default"))+"/"+in.Str("task"))}
	case "TagResource", "UntagResource":
		return []string{in.Str("resourceArn")}
	}
	var out []string
	for _, ref := range in.Strings(list) {
		switch {
		case strings.HasPrefix(ref, "arn:"), kind == "":
			out = append(out, ref)
		default:
			out = append(out, e.ARN("ecs", kind+"/"+awsapi.NameOf(cmp.Or(in.Str("cluster"), "default"))+"/"+ref))
		}
	}
	return out
}

// created is the resource that a call creates and tags.
func (e *ECS) created(operation string, in awsapi.Object) string {
	cluster := awsapi.NameOf(cmp.Or(in.Str("cluster"), "default"))
	switch operation {
	case "RegisterTaskDefinition":
		return e.ARN("ecs", "task-definition/"+in.Str("family")+":*")
	case "RunTask":
		return e.ARN("ecs", "task/"+cluster+"/*")
	case "CreateCluster":
		return e.ARN("ecs", "cluster/"+cmp.Or(in.Str("clusterName"), "default"))
	}
	return e.ecsResource(operation, in)
}

// passedRoles are the roles that the caller hands to the tasks: whoever has tasks started with a revision passes its roles, as whoever registers it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/security_iam_troubleshoot.html
func (e *ECS) passedRoles(operation string, in awsapi.Object) (roles []string, to string) {
	var from []awsapi.Object
	switch operation {
	case "RegisterTaskDefinition":
		from = append(from, in)
	case "RunTask", "CreateService", "UpdateService":
		if in.Str("taskDefinition") == "" {
			break // the service keeps its own
		}
		e.Mu.Lock()
		td, err := e.findTaskDefinition(in.Str("taskDefinition"))
		e.Mu.Unlock()
		if err == nil {
			from = append(from, td.doc)
		}
		from = append(from, in.Object("overrides"))
	}
	for _, o := range from {
		for _, m := range []string{"taskRoleArn", "executionRoleArn"} {
			role := o.Str(m)
			if role == "" {
				continue
			}
			if !strings.HasPrefix(role, "arn:") {
				role = "arn:aws:iam::" + e.Account() + ":role/" + role
			}
			roles = append(roles, role)
		}
	}
	return roles, "ecs-tasks.amazonaws.com"
}
