package resource

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/iam"
	"ecsdeploy/pkg/mistake"
)

func account(t *testing.T) (*emulator.Emulator, *Client) {
	t.Helper()
	e, err := emulator.New(emulator.Options{Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e, New(aws.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		HTTPClient: &http.Client{Transport: e.Transport()},
	})
}

// TestExistence: what is there is right, what is not is a mistake, and what may not
// be asked about is neither.
func TestExistence(t *testing.T) {
	e, c := account(t)
	if _, err := cloudwatchlogs.NewFromConfig(c.cfg).CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("/ecs/web-api")}); err != nil {
		t.Fatal(err)
	}
	const arn, secret = "arn:aws:iam::123456789012:role/", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
	e.Lack("gone", secret+"gone-AbCdEf", "/app/gone", "short-gone")
	role := func(arn string) func(context.Context) error {
		return func(ctx context.Context) error { return c.Role(ctx, arn) }
	}
	secretOf := func(from string) func(context.Context) error {
		return func(ctx context.Context) error { return c.Secret(ctx, from) }
	}
	group := func(name string) func(context.Context) error {
		return func(ctx context.Context) error { return c.LogGroup(ctx, "", name) }
	}
	for _, tt := range []struct {
		name      string
		ask       func(context.Context) error
		operation string
		there     bool
	}{
		{"a role", role(arn + "web"), "iam:GetRole", true},
		{"a role that does not exist", role(arn + "gone"), "iam:GetRole", false},
		{"a role under another path", role(arn + "service/web"), "iam:GetRole", false},
		{"a secret", secretOf(secret + "web-AbCdEf"), "secretsmanager:DescribeSecret", true},
		{"one key of a secret's version", secretOf(secret + "web-AbCdEf:password:AWSCURRENT:"), "secretsmanager:DescribeSecret", true},
		{"one key of a secret that does not exist", secretOf(secret + "gone-AbCdEf:password::"), "secretsmanager:DescribeSecret", false},
		{"a parameter", secretOf("/app/key"), "ssm:DescribeParameters", true},
		{"a parameter without a slash", secretOf("key"), "ssm:DescribeParameters", true},
		{"a parameter's ARN", secretOf("arn:aws:ssm:eu-west-1:123456789012:parameter/app/key"), "ssm:DescribeParameters", true},
		{"the ARN of a parameter without a slash", secretOf("arn:aws:ssm:eu-west-1:123456789012:parameter/key"), "ssm:DescribeParameters", true},
		{"a parameter that does not exist", secretOf("/app/gone"), "ssm:DescribeParameters", false},
		{"the ARN of one that does not exist", secretOf("arn:aws:ssm:eu-west-1:123456789012:parameter/short-gone"), "ssm:DescribeParameters", false},
		{"a log group", group("/ecs/web-api"), "logs:DescribeLogGroups", true},
		{"a log group whose name begins another's", group("/ecs/web"), "logs:DescribeLogGroups", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.ask(t.Context())
			if m, wrong := errors.AsType[*mistake.Error](err); tt.there && err != nil || !tt.there && (!wrong || m.Advice == "") {
				t.Error(err)
			}
			e.Fail(tt.operation, emulator.Denied())
			defer e.Mend(tt.operation)
			err = tt.ask(t.Context())
			api, refused := errors.AsType[smithy.APIError](err)
			if !refused || !strings.HasPrefix(api.ErrorCode(), "AccessDenied") || !strings.Contains(err.Error(), tt.operation) {
				t.Error(err)
			}
		})
	}
}

type answers func(*http.Request) (*http.Response, error)

func (f answers) Do(r *http.Request) (*http.Response, error) { return f(r) }

// TestStrangeAnswers: an answer that is none of AWS's says nothing about what exists.
func TestStrangeAnswers(t *testing.T) {
	for _, body := range []string{"", "<html>", "{}", `{"__type":1}`, "null", "<ErrorResponse/>"} {
		for _, status := range []int{400, 404, 500, 502} {
			c := New(aws.Config{
				Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
				HTTPClient: answers(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
				}),
			})
			for _, err := range []error{
				c.Role(t.Context(), "arn:aws:iam::123456789012:role/web"), c.Secret(t.Context(), "/a"), c.LogGroup(t.Context(), "", "/ecs/web"),
			} {
				if _, wrong := errors.AsType[*mistake.Error](err); err == nil || wrong {
					t.Errorf("%d %s: %v", status, body, err)
				}
			}
		}
	}
}

// TestEndpoints: each partition has hosts of its own; a base endpoint replaces them.
func TestEndpoints(t *testing.T) {
	for _, tt := range []struct{ region, base, role, group string }{
		{"eu-west-1", "", "iam.amazonaws.com", "logs.eu-west-1.amazonaws.com"},
		{"cn-north-1", "", "iam.cn-north-1.amazonaws.com.cn", "logs.cn-north-1.amazonaws.com.cn"},
		{"us-gov-east-1", "", "iam.us-gov.amazonaws.com", "logs.us-gov-east-1.amazonaws.com"},
		{"us-isob-east-1", "", "", "logs.us-isob-east-1.sc2s.sgov.gov"},
		{"eu-west-1", "http://localhost:4566", "localhost:4566", "localhost:4566"},
	} {
		host := ""
		config := aws.Config{
			Region: tt.region, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			HTTPClient: answers(func(r *http.Request) (*http.Response, error) {
				host = r.URL.Host
				return nil, errors.New("no network")
			}),
		}
		if tt.base != "" {
			config.BaseEndpoint = &tt.base
		}
		c := New(config)
		if _ = c.Role(t.Context(), "arn:aws:iam::123456789012:role/web"); host != tt.role {
			t.Errorf("%s: %s", tt.region, host)
		}
		if _ = c.LogGroup(t.Context(), "", "/ecs/web"); host != tt.group {
			t.Errorf("%s: %s", tt.region, host)
		}
	}
}

// FuzzAnswers: no answer makes a reading panic.
func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"Parameters":[{"Name":"/a"}]}`, "/a")
	f.Add(400, `{"__type":"a#ResourceNotFoundException"}`, "arn:aws:secretsmanager:eu-west-1:1:secret:a-b:c:d:e")
	f.Add(200, `<GetRoleResponse><GetRoleResult><Role><Arn>a</Arn></Role></GetRoleResult></GetRoleResponse>`, "arn:aws:ssm:r:1:parameter")
	f.Fuzz(func(t *testing.T, status int, body, name string) {
		c := New(aws.Config{
			Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			HTTPClient: answers(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
			}),
		})
		_, _, _ = c.Role(t.Context(), name), c.Secret(t.Context(), name), c.LogGroup(t.Context(), "", name)
	})
}

// TestDenied: the rights that policies do not give are named, those of a session
// are its role's, and an answer that lacks some is not taken for a permission.
func TestDenied(t *testing.T) {
	e, c := account(t)
	policy, err := iam.Parse(iam.Identity, "", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"arn:aws:ecs:::a"},
		{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}},
		{"Effect":"Allow","Action":"iam:Simulate*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	e.Restrict("arn:aws:iam::123456789012:role/deployer", policy)
	for _, tt := range []struct {
		resources string
		want      string
	}{{"arn:aws:ecs:::a", "ecr:PutImage"}, {"arn:aws:ecs:::b", "ecs:UpdateService ecr:PutImage"}, {"arn:aws:ecs:::a arn:aws:ecs:::b", "ecs:UpdateService ecr:PutImage"}} {
		denied, err := c.Denied(t.Context(), "arn:aws:sts::123456789012:assumed-role/deployer/run-7", "ecs-tasks.amazonaws.com", []string{"ecs:UpdateService", "iam:PassRole", "ecr:PutImage"}, strings.Fields(tt.resources))
		if got := strings.Join(denied, " "); err != nil || got != tt.want {
			t.Errorf("%s: %s, %v", tt.resources, got, err)
		}
	}
	e.Fail("iam:SimulatePrincipalPolicy", emulator.Denied())
	if denied, err := c.Denied(t.Context(), e.User(), "ecs-tasks.amazonaws.com", []string{"ecs:UpdateService"}, []string{"*"}); err == nil || denied != nil {
		t.Errorf("%v, %v", denied, err)
	}
	c.cfg.HTTPClient = answers(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("<SimulatePrincipalPolicyResponse/>"))}, nil
	})
	if _, err := c.Denied(t.Context(), e.User(), "ecs-tasks.amazonaws.com", []string{"ecs:UpdateService"}, []string{"*"}); err == nil {
		t.Error("an empty answer was taken for a permission")
	}
}
