// What ECS's operations need to be allowed: resources, condition keys, tags and roles.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html

package emulator

import (
	"cmp"
	"strings"
)

// ecsContext adds the keys that ECS has of its own.
func (e *ECS) ecsContext(operation string, in object, context map[string][]string) {
	switch {
	case strings.Contains(operation, "TaskDefinition"), strings.HasPrefix(operation, "DescribeService") && operation != "DescribeServices", operation == "ContinueServiceDeployment", operation == "StopServiceDeployment":
	default:
		context["ecs:cluster"] = []string{e.arn("ecs", "cluster/"+nameOf(cmp.Or(in.str("cluster"), "default")))}
	}
	if td := in.str("taskDefinition"); td != "" && operation == "UpdateService" {
		context["ecs:task-definition"] = []string{e.arn("ecs", "task-definition/"+nameOf(td))}
	}
}

// resources are those that an operation is about: one for each that a list names.
func (e *ECS) resources(operation string, in object) []string {
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
	}
	var out []string
	for _, ref := range in.strings(list) {
		switch {
		case strings.HasPrefix(ref, "arn:"), kind == "":
			out = append(out, ref)
		default:
			out = append(out, e.arn("ecs", kind+"/"+nameOf(cmp.Or(in.str("cluster"), "default"))+"/"+ref))
		}
	}
	return out
}

// created is the resource that a call creates and tags.
func (e *ECS) created(operation string, in object) string {
	cluster := nameOf(cmp.Or(in.str("cluster"), "default"))
	switch operation {
	case "RegisterTaskDefinition":
		return e.arn("ecs", "task-definition/"+in.str("family")+":*")
	case "RunTask":
		return e.arn("ecs", "task/"+cluster+"/*")
	case "CreateCluster":
		return e.arn("ecs", "cluster/"+cmp.Or(in.str("clusterName"), "default"))
	}
	return e.ecsResource(operation, in)
}

// passedRoles are the roles that the caller hands to the tasks.
func (e *ECS) passedRoles(operation string, in object) (roles []string, to string) {
	var from []object
	switch operation {
	case "RegisterTaskDefinition":
		from = append(from, in)
	case "RunTask":
		e.mu.Lock()
		td, err := e.findTaskDefinition(in.str("taskDefinition"))
		e.mu.Unlock()
		if err == nil {
			from = append(from, td.doc)
		}
		from = append(from, in.object("overrides"))
	}
	for _, o := range from {
		for _, m := range []string{"taskRoleArn", "executionRoleArn"} {
			role := o.str(m)
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
