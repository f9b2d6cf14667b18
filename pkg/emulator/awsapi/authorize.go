// Authorization: the policies of a principal, and which actions on which resources each operation needs. Principals without policies may do
// everything.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

package awsapi

import (
	"cmp"
	"regexp"
	"strings"

	"ecsdeploy/pkg/emulator/iam"
)

// Restrict gives a principal its policies, in the place of those that it had; none lifts every restriction. The principal is the ARN of a user or
// of a role, whose sessions it is then about.
func (e *Server) Restrict(principal string, policies ...iam.Policy) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.policies[principal] = policies
	if len(policies) == 0 {
		delete(e.policies, principal)
	}
}

// User is the ARN of who signs with access keys that AssumeRole did not hand out.
func (e *Server) User() string { return "arn:aws:iam::" + e.Account() + ":user/emulator" }

// sessionARN matches a session of a role.
var sessionARN = regexp.MustCompile(`^arn:aws:sts::(\d+):assumed-role/([^/]+)/`)

// Lacking lists the keys on which the policies of a principal have conditions for a request that says nothing of them.
func (e *Server) Lacking(principal string, r iam.Request) []string {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	return iam.Lacking(e.policies[principal], r)
}

// Authorize checks each action that a call needs, and answers as IAM does for the first that is denied.
func (e *Server) Authorize(principal string, needs []iam.Request) error {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	return e.Allowed(principal, needs...)
}

// Allowed is Authorize for whoever holds the lock.
func (e *Server) Allowed(principal string, needs ...iam.Request) error {
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
			return &Error{Code: "AccessDeniedException", Message: denial(principal, need.Action, need.Resource, why)}
		}
	}
	return nil
}

// needs lists what a call to one of the JSON services must be allowed.
func (e *Server) needs(svc *Service, operation string, in Object) []iam.Request {
	context := map[string][]string{"aws:RequestedRegion": {e.Region()}}
	request := func(action, resource string) iam.Request {
		return iam.Request{Action: action, Resource: resource, Context: context}
	}
	if svc.Context != nil {
		svc.Context(operation, in, context)
	}
	var resources []string
	if svc.Resources != nil {
		resources = svc.Resources(operation, in)
	}
	if resources == nil {
		resources = []string{svc.Resource(operation, in)}
	}
	var out []iam.Request
	for _, resource := range resources {
		out = append(out, request(svc.Name+":"+operation, resource))
	}
	if svc.Implied != nil {
		for _, need := range svc.Implied(operation, in) {
			out = append(out, request(need.Action, need.Resource))
		}
	}
	creates := strings.HasPrefix(operation, "Create") || strings.HasPrefix(operation, "Register") || operation == "RunTask"
	created := svc.Resource
	if svc.Created != nil {
		created = svc.Created
	}
	if tags := in.Objects("tags"); creates && len(tags) > 0 && (svc.Name == "ecs" || svc.Name == "ecr") {
		tagging := request(svc.Name+":TagResource", created(operation, in))
		tagging.Context = map[string][]string{svc.Name + ":CreateAction": {operation}, "aws:RequestedRegion": {e.Region()}}
		for _, t := range tags {
			key := cmp.Or(t.Str("key"), t.Str("Key"))
			tagging.Context["aws:RequestTag/"+key] = []string{cmp.Or(t.Str("value"), t.Str("Value"))}
			tagging.Context["aws:TagKeys"] = append(tagging.Context["aws:TagKeys"], key)
		}
		out = append(out, tagging)
	}
	if svc.Passed == nil {
		return out
	}
	roles, to := svc.Passed(operation, in)
	for _, role := range roles {
		out = append(out, iam.Request{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {to}}})
	}
	return out
}
