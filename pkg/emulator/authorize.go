// Authorization: the policies of a principal, and which actions on which resources each operation needs. Principals without policies may do
// everything.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

package emulator

import (
	"cmp"
	"regexp"
	"strings"

	"ecsdeploy/pkg/emulator/iam"
)

// Restrict gives a principal its policies, in the place of those that it had; none lifts every restriction. The principal is the ARN of a user or
// of a role, whose sessions it is then about.
func (e *Server) Restrict(principal string, policies ...iam.Policy) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policies[principal] = policies
	if len(policies) == 0 {
		delete(e.policies, principal)
	}
}

// User is the ARN of who signs with access keys that AssumeRole did not hand out.
func (e *Server) User() string { return "arn:aws:iam::" + e.Account() + ":user/emulator" }

// sessionARN matches a session of a role.
var sessionARN = regexp.MustCompile(`^arn:aws:sts::(\d+):assumed-role/([^/]+)/`)

// authorize checks each action that a call needs, and answers as IAM does for the first that is denied.
func (e *Server) authorize(principal string, needs []iam.Request) error {
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
func (e *Server) needs(svc *awsService, operation string, in object) []iam.Request {
	context := map[string][]string{"aws:RequestedRegion": {e.Region()}}
	request := func(action, resource string) iam.Request {
		return iam.Request{Action: action, Resource: resource, Context: context}
	}
	if svc.context != nil {
		svc.context(operation, in, context)
	}
	var resources []string
	if svc.resources != nil {
		resources = svc.resources(operation, in)
	}
	if resources == nil {
		resources = []string{svc.resource(operation, in)}
	}
	var out []iam.Request
	for _, resource := range resources {
		out = append(out, request(svc.name+":"+operation, resource))
	}
	creates := strings.HasPrefix(operation, "Create") || strings.HasPrefix(operation, "Register") || operation == "RunTask"
	created := svc.resource
	if svc.created != nil {
		created = svc.created
	}
	if tags := in.objects("tags"); creates && len(tags) > 0 && (svc.name == "ecs" || svc.name == "ecr") {
		tagging := request(svc.name+":TagResource", created(operation, in))
		tagging.Context = map[string][]string{svc.name + ":CreateAction": {operation}, "aws:RequestedRegion": {e.Region()}}
		for _, t := range tags {
			key := cmp.Or(t.str("key"), t.str("Key"))
			tagging.Context["aws:RequestTag/"+key] = []string{cmp.Or(t.str("value"), t.str("Value"))}
			tagging.Context["aws:TagKeys"] = append(tagging.Context["aws:TagKeys"], key)
		}
		out = append(out, tagging)
	}
	if svc.passed == nil {
		return out
	}
	roles, to := svc.passed(operation, in)
	for _, role := range roles {
		out = append(out, iam.Request{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {to}}})
	}
	return out
}
