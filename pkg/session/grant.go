package session

// Denied actions: who may not do what, and the IAM statement that would change it.

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/smithy-go"
)

// denied is a refusal taken apart; only the action is always there.
type denied struct {
	who      string // ARN of the caller
	action   string // service:Operation
	resource string // ARN
	why      string // "because no … policy allows …" or "with an explicit deny in …"
}

func (d denied) String() string {
	var b strings.Builder
	b.WriteString("access denied: ")
	if d.who != "" {
		b.WriteString(d.who + " may not ")
	}
	b.WriteString(d.action)
	if d.resource != "" {
		b.WriteString(" on " + d.resource)
	}
	return b.String()
}

// The kinds of policies that AWS names in its refusals:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var (
	explicitDeny = regexp.MustCompile(`explicit deny in an? ([A-Za-z -]+)`)
	missingAllow = regexp.MustCompile(`because no ([A-Za-z -]+?) allows`)
)

// hint names the policy to change and the statement to put there.
func (d denied) hint() string {
	if m := explicitDeny.FindStringSubmatch(d.why); m != nil {
		article := "a"
		if strings.HasPrefix(m[1], "i") {
			article = "an"
		}
		return fmt.Sprintf("%s %s denies it, and no other policy can allow what one denies: that one has to change", article, strings.TrimSpace(m[1]))
	}
	kind := "identity-based policy"
	if m := missingAllow.FindStringSubmatch(d.why); m != nil {
		kind = m[1]
	}
	switch {
	case d.action == "sts:AssumeRole":
		return fmt.Sprintf("allow it to %s: %s, and let the trust policy of the role name it as principal (with the externalId it asks for, if any)", d.principal(), d.statement())
	case kind == "identity-based policy":
		return fmt.Sprintf("allow it to %s: %s", d.principal(), d.statement())
	case kind == "resource-based policy":
		return "allow it in the policy of the resource: " + d.resourceStatement()
	default:
		return fmt.Sprintf("allow it in the %s of %s as well: %s", kind, d.principal(), d.statement())
	}
}

// principal is the role or user in words; the ARN of a session does not show
// at a glance which role to change.
func (d denied) principal() string {
	a, err := arn.Parse(d.who)
	if err != nil {
		return "the identity"
	}
	switch kind, name, _ := strings.Cut(a.Resource, "/"); kind {
	case "assumed-role":
		role, _, _ := strings.Cut(name, "/")
		return "role " + role
	case "user":
		return "user " + name
	}
	return d.who
}

// statement is that of a policy attached to the caller. Passing a role is only
// ever needed for ECS tasks here, and is limited to them.
func (d denied) statement() string {
	type passedTo map[string]map[string]string
	s := struct {
		Effect, Action, Resource string
		Condition                passedTo `json:",omitempty"`
	}{Effect: "Allow", Action: d.action, Resource: d.resource}
	if s.Resource == "" {
		s.Resource = "*"
	}
	if d.action == "iam:PassRole" {
		s.Condition = passedTo{"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
	}
	return compact(s)
}

// resourceStatement is that of a policy attached to the resource, which names
// the caller and, in ECR, no resource.
func (d denied) resourceStatement() string {
	return compact(struct {
		Effect    string
		Principal map[string]string
		Action    string
	}{"Allow", map[string]string{"AWS": d.sessionless()}, d.action})
}

// sessionless is the caller as a principal that outlives one session.
func (d denied) sessionless() string {
	a, err := arn.Parse(d.who)
	if rest, ok := strings.CutPrefix(a.Resource, "assumed-role/"); err == nil && ok {
		role, _, _ := strings.Cut(rest, "/")
		a.Service, a.Resource = "iam", "role/"+role
		return a.String()
	}
	return d.who
}

func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // strings and maps of strings always encode
	}
	return string(b)
}

// actionOf names the action of the innermost operation: a call that fails
// because its credentials could not be renewed holds both.
func actionOf(err error) string {
	var op *smithy.OperationError
	for e := err; errors.As(e, &op); e = op.Err {
	}
	if op == nil {
		return ""
	}
	prefix, known := servicePrefixes[op.ServiceID]
	if !known {
		prefix = strings.ToLower(strings.ReplaceAll(op.ServiceID, " ", ""))
	}
	return prefix + ":" + op.OperationName
}

// servicePrefixes of IAM actions, where they are not the SDK's service id in
// lower case: https://docs.aws.amazon.com/service-authorization/latest/reference/
var servicePrefixes = map[string]string{
	"CloudWatch Logs":           "logs",
	"Elastic Load Balancing v2": "elasticloadbalancing",
	"EventBridge":               "events",
}
