package resource

import (
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
)

// sessionOf matches a session of a role, to which policies belong.
var sessionOf = regexp.MustCompile(`^arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/`)

// Question asks whether an identity may take some actions.
type Question struct {
	Identity  string // ARN of a user, a role, or a session of one
	Actions   []string
	Resources []string          // ARNs, or "*"
	Context   map[string]string // condition keys and their values
}

// Right is one action on one resource.
type Right struct{ Action, Resource string }

// Denied asks IAM which rights the policies of an identity do not give. Unclear are
// those whose policies have conditions on something that the question does not say,
// such as the address of the caller. What the policies of the resources themselves
// say is not among it. Nothing is carried out.
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (c *Client) Denied(ctx context.Context, q Question) (denied, unclear []Right, err error) {
	source := q.Identity
	if m := sessionOf.FindStringSubmatch(q.Identity); m != nil {
		source = "arn:" + m[1] + ":iam::" + m[2] + ":role/" + m[3]
	}
	results, err := c.simulate(ctx, source, q)
	if code(err) == "NoSuchEntity" && source != q.Identity {
		// The ARN of a session leaves the path of its role out.
		if role, readErr := c.readRole(ctx, nameOf(source)); readErr == nil && role.ARN != "" {
			source = role.ARN
			results, err = c.simulate(ctx, source, q)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("simulate the policies of %s: %w", source, err)
	}
	for _, action := range q.Actions {
		for _, resource := range q.Resources {
			r, found := results[Right{action, resource}]
			switch {
			case !found:
				return nil, nil, fmt.Errorf("simulate the policies of %s: the answer is incomplete: nothing about %s on %s", source, action, resource)
			case r.decision == "allowed":
			case r.lacks:
				unclear = append(unclear, Right{action, resource})
			default:
				denied = append(denied, Right{action, resource})
			}
		}
	}
	return denied, unclear, nil
}

// decided is what IAM answers about one right.
type decided struct {
	decision string
	lacks    bool // a condition is on something that it was not told
}

// evaluation is a result of the simulation: about one resource, or about all of
// them with what holds for each. IAM has answered in both ways.
//
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html
type evaluation struct {
	Action   string   `xml:"EvalActionName"`
	Resource string   `xml:"EvalResourceName"`
	Decision string   `xml:"EvalDecision"`
	Missing  []string `xml:"MissingContextValues>member"`
	Each     []struct {
		Resource string   `xml:"EvalResourceName"`
		Decision string   `xml:"EvalResourceDecision"`
		Missing  []string `xml:"MissingContextValues>member"`
	} `xml:"ResourceSpecificResults>member"`
}

func (c *Client) simulate(ctx context.Context, source string, q Question) (map[Right]decided, error) {
	form := url.Values{"Action": {"SimulatePrincipalPolicy"}, "PolicySourceArn": {source}}
	list := func(name string, values []string) {
		for i, v := range values {
			form.Set(fmt.Sprintf("%s.member.%d", name, i+1), v)
		}
	}
	list("ActionNames", q.Actions)
	list("ResourceArns", q.Resources)
	given := map[string]string{"aws:RequestedRegion": c.cfg.Region, "aws:SecureTransport": "true"}
	maps.Copy(given, q.Context)
	for i, key := range slices.Sorted(maps.Keys(given)) {
		entry := fmt.Sprintf("ContextEntries.member.%d.", i+1)
		form.Set(entry+"ContextKeyName", key)
		form.Set(entry+"ContextKeyType", "string")
		form.Set(entry+"ContextKeyValues.member.1", given[key])
	}
	body, err := c.query(ctx, form)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Results []evaluation `xml:"SimulatePrincipalPolicyResult>EvaluationResults>member"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	results := map[Right]decided{}
	for _, r := range answer.Results {
		for _, one := range r.Each {
			results[Right{r.Action, one.Resource}] = decided{one.Decision, len(one.Missing) > 0}
		}
		resource := r.Resource
		if resource == "" && len(q.Resources) == 1 {
			resource = q.Resources[0]
		}
		if len(r.Each) == 0 {
			results[Right{r.Action, resource}] = decided{r.Decision, len(r.Missing) > 0}
		}
	}
	return results, nil
}
