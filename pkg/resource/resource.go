// Package resource says whether things outside of Amazon ECS exist which a task
// definition names: IAM roles, secrets, parameters and log groups; and which versions
// of secrets and parameters tasks read that start now.
//
// Each question is one signed call that reads metadata, never the value of a
// secret. The calls are made here and not by the SDK's client of each service: five
// calls are not worth four clients in an executable that every job downloads.
//
// The package changes nothing, does not try again, and does not judge: whoever may
// not ask gets the refusal as AWS words it.
package resource

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ecsdeploy/pkg/mistake"
)

// Client asks with one AWS identity. It is safe for concurrent use.
type Client struct{ cfg aws.Config }

// New returns a client for the identity and the region of cfg.
func New(cfg aws.Config) *Client { return &Client{cfg} }

// Role reports by its error whether tasks can have a role, given by its name or ARN:
// it exists, and ecs-tasks.amazonaws.com may assume it. A wrong one is a
// [*mistake.Error], anything else is the error of the call. It returns the ARN of the
// role, which has its path; empty where that is not known.
func (c *Client) Role(ctx context.Context, role string) (arn string, err error) {
	name := nameOf(role)
	read, err := c.readRole(ctx, name)
	if code(err) == "NoSuchEntity" {
		return "", gone("create the role, or correct its name", "role %s does not exist", name)
	}
	if err != nil {
		return "", fmt.Errorf("read role %s: %w", name, err)
	}
	trust, err := url.QueryUnescape(read.Trust)
	switch {
	case read.ARN != "" && strings.HasPrefix(role, "arn:") && read.ARN != role:
		return "", mistake.New(mistake.TaskDefinition, "name the role by its full ARN, with its path", "role %s does not exist; there is %s", role, read.ARN)
	case err == nil && trust != "" && !strings.Contains(trust, "ecs-tasks.amazonaws.com") && !strings.Contains(trust, `"*"`):
		return "", mistake.New(mistake.TaskDefinition, "name ecs-tasks.amazonaws.com as a principal in the role's trust policy", "tasks may not assume role %s", name)
	}
	return read.ARN, nil
}

// nameOf is the name of a role, which its ARN has behind its path.
func nameOf(role string) string { return role[strings.LastIndex(role, "/")+1:] }

// role is what IAM says of a role.
type role struct {
	ARN   string `xml:"GetRoleResult>Role>Arn"`
	Trust string `xml:"GetRoleResult>Role>AssumeRolePolicyDocument"`
}

// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
func (c *Client) readRole(ctx context.Context, name string) (role, error) {
	body, err := c.query(ctx, url.Values{"Action": {"GetRole"}, "RoleName": {name}})
	if err != nil {
		return role{}, err
	}
	var answer role
	return answer, xml.Unmarshal(body, &answer)
}

// Secret reports by its error whether the source of a secret exists, given as a
// task definition has it: the name or ARN of a parameter of Systems Manager, or the
// ARN of a secret of Secrets Manager with what may follow it.
func (c *Client) Secret(ctx context.Context, valueFrom string) error {
	parts := strings.Split(valueFrom, ":")
	if len(parts) > 6 && parts[2] == "secretsmanager" {
		id := strings.Join(parts[:7], ":")
		return c.exists(ctx, "secretsmanager", parts[3], "secretsmanager.DescribeSecret", "secret "+parts[6], map[string]any{"SecretId": id}, nil)
	}
	names, region := parameterNames(valueFrom), c.cfg.Region
	if len(parts) > 5 && parts[2] == "ssm" {
		region = parts[3]
	}
	return c.exists(ctx, "ssm", region, "AmazonSSM.DescribeParameters", "parameter "+names[len(names)-1], map[string]any{
		"ParameterFilters": []map[string]any{{"Key": "Name", "Option": "Equals", "Values": names}},
	}, func(body []byte) bool {
		var answer struct{ Parameters []struct{ Name string } }
		if json.Unmarshal(body, &answer) != nil {
			return true // not known
		}
		for _, p := range answer.Parameters {
			if slices.Contains(names, p.Name) {
				return true
			}
		}
		return false
	})
}

// LogGroup reports by its error whether a log group exists in a region; "" is that
// of the client.
func (c *Client) LogGroup(ctx context.Context, region, name string) error {
	if region == "" {
		region = c.cfg.Region
	}
	return c.exists(ctx, "logs", region, "Logs_20140328.DescribeLogGroups", "log group "+name, map[string]any{"logGroupNamePrefix": name}, func(body []byte) bool {
		var answer struct {
			LogGroups []struct{ LogGroupName string }
		}
		if json.Unmarshal(body, &answer) != nil {
			return true
		}
		for _, g := range answer.LogGroups {
			if g.LogGroupName == name {
				return true
			}
		}
		return false
	})
}

// exists asks a service about one thing. found looks for it in the answer; nil
// where the service answers with an error if it is not there.
func (c *Client) exists(ctx context.Context, service, region, target, what string, in any, found func(body []byte) bool) error {
	body, err := c.json(ctx, service, region, target, in)
	switch {
	case strings.HasSuffix(code(err), "NotFoundException"):
	case err != nil:
		return fmt.Errorf("read %s: %w", what, err)
	case found == nil || found(body):
		return nil
	}
	return gone("create it, or correct its name", "%s does not exist in %s", what, region)
}

func gone(hint, format string, args ...any) error {
	m := mistake.New(mistake.TaskDefinition, hint, format, args...)
	m.Absent = true
	return m
}

// code is the error code of AWS; "" where it did not answer with one.
func code(err error) string {
	if answered, ok := err.(*refusal); ok {
		return answered.code
	}
	return ""
}
