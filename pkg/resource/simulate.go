package resource

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/url"
	"regexp"
)

// sessionOf matches a session of a role, to which policies belong.
var sessionOf = regexp.MustCompile(`^arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/`)

// Denied asks IAM which actions on resources the policies of an identity, given by
// its ARN, do not allow. A role is passed to the service passedTo. What the policies of the resources themselves say is not
// among it. Nothing is carried out.
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (c *Client) Denied(ctx context.Context, identity, passedTo string, actions, resources []string) ([]string, error) {
	if m := sessionOf.FindStringSubmatch(identity); m != nil {
		identity = "arn:" + m[1] + ":iam::" + m[2] + ":role/" + m[3]
	}
	form := url.Values{"Action": {"SimulatePrincipalPolicy"}, "PolicySourceArn": {identity}}
	list := func(name string, values []string) {
		for i, v := range values {
			form.Set(fmt.Sprintf("%s.member.%d", name, i+1), v)
		}
	}
	list("ActionNames", actions)
	list("ResourceArns", resources)
	for i, context := range [][2]string{{"iam:PassedToService", passedTo}, {"ecs:CreateAction", "RegisterTaskDefinition"}} {
		entry := fmt.Sprintf("ContextEntries.member.%d.", i+1)
		form.Set(entry+"ContextKeyName", context[0])
		form.Set(entry+"ContextKeyType", "string")
		form.Set(entry+"ContextKeyValues.member.1", context[1])
	}
	body, err := c.query(ctx, form)
	if err != nil {
		return nil, fmt.Errorf("simulate the policies of %s: %w", identity, err)
	}
	var answer struct {
		Results []struct {
			Action   string `xml:"EvalActionName"`
			Decision string `xml:"EvalDecision"`
		} `xml:"SimulatePrincipalPolicyResult>EvaluationResults>member"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("simulate the policies of %s: %w", identity, err)
	}
	if len(answer.Results) < len(actions) {
		return nil, fmt.Errorf("simulate the policies of %s: the answer is incomplete", identity)
	}
	denied := map[string]bool{}
	for _, r := range answer.Results {
		denied[r.Action] = denied[r.Action] || r.Decision != "allowed"
	}
	var all []string
	for _, action := range actions {
		if denied[action] {
			all = append(all, action)
		}
	}
	return all, nil
}
