package resource

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

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
	e.RolePath("worker", "/service/")
	e.Lack("gone", secret+"gone-AbCdEf", "/app/gone", "short-gone")
	role := func(arn string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.Role(ctx, arn)
			return err
		}
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
		{"a role under its path", role(arn + "service/worker"), "iam:GetRole", true},
		{"a role under a path, without it", role(arn + "worker"), "iam:GetRole", false},
		{"a role by its name alone", role("web"), "iam:GetRole", true},
		{"a role under a path, by its name alone", role("worker"), "iam:GetRole", true},
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
func TestStrangeAnswers(t *testing.T) { synctest.Test(t, strangeAnswers) }

func strangeAnswers(t *testing.T) {
	for _, body := range []string{"", "<html>", "{}", `{"__type":1}`, "null", "<ErrorResponse/>"} {
		for _, status := range []int{400, 404, 500, 502} {
			c := New(aws.Config{
				Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
				HTTPClient: answers(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
				}),
			})
			_, err := c.Role(t.Context(), "arn:aws:iam::123456789012:role/web")
			for _, err := range []error{
				err, c.Secret(t.Context(), "/a"), c.LogGroup(t.Context(), "", "/ecs/web"),
			} {
				if _, wrong := errors.AsType[*mistake.Error](err); err == nil || wrong {
					t.Errorf("%d %s: %v", status, body, err)
				}
			}
		}
	}
}

// TestEndpoints: each partition has hosts of its own; a base endpoint replaces them.
func TestEndpoints(t *testing.T) { synctest.Test(t, endpoints) }

func endpoints(t *testing.T) {
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
		if _, _ = c.Role(t.Context(), "arn:aws:iam::123456789012:role/web"); host != tt.role {
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
		synctest.Test(t, func(t *testing.T) {
			_, _ = c.Role(t.Context(), name)
			_, _ = c.Secret(t.Context(), name), c.LogGroup(t.Context(), "", name)
			_, _, _ = c.Denied(t.Context(), Question{Identity: name, Actions: []string{"a"}, Resources: []string{name}})
		})
	})
}

// TestDenied: the rights that policies do not give are named with their resources,
// those of a session are its role's under whatever path, and what a condition makes
// depend on something that IAM was not told is neither given nor denied.
func TestDenied(t *testing.T) {
	e, c := account(t)
	policy, err := iam.Parse(iam.Identity, "", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"arn:aws:ecs:::a"},
		{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com","aws:RequestedRegion":"eu-west-1"}}},
		{"Effect":"Allow","Action":"logs:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"chat"}}},
		{"Effect":"Allow","Action":"iam:Simulate*","Resource":"*"},{"Effect":"Allow","Action":"iam:GetRole","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	e.Restrict("arn:aws:iam::123456789012:role/deployer", policy)
	ask := func(resources string) (denied, unclear []Right, err error) {
		return c.Denied(t.Context(), Question{
			Identity:  "arn:aws:sts::123456789012:assumed-role/deployer/run-7",
			Actions:   []string{"ecs:UpdateService", "iam:PassRole", "ecr:PutImage", "logs:GetLogEvents"},
			Resources: strings.Fields(resources), Context: map[string]string{"iam:PassedToService": "ecs-tasks.amazonaws.com"},
		})
	}
	words := func(rights []Right) string {
		var all []string
		for _, r := range rights {
			all = append(all, r.Action+" "+r.Resource)
		}
		return strings.Join(all, ", ")
	}
	for _, path := range []string{"/", "/ci/azure/"} {
		e.RolePath("deployer", path)
		for resources, want := range map[string][2]string{
			"arn:aws:ecs:::a": {"ecr:PutImage arn:aws:ecs:::a", "logs:GetLogEvents arn:aws:ecs:::a"},
			"arn:aws:ecs:::b": {"ecs:UpdateService arn:aws:ecs:::b, ecr:PutImage arn:aws:ecs:::b", "logs:GetLogEvents arn:aws:ecs:::b"},
			"arn:aws:ecs:::a arn:aws:ecs:::b": {"ecs:UpdateService arn:aws:ecs:::b, ecr:PutImage arn:aws:ecs:::a, ecr:PutImage arn:aws:ecs:::b",
				"logs:GetLogEvents arn:aws:ecs:::a, logs:GetLogEvents arn:aws:ecs:::b"},
		} {
			denied, unclear, err := ask(resources)
			if err != nil || words(denied) != want[0] || words(unclear) != want[1] {
				t.Errorf("%s, %s: %v, %v, %v", path, resources, denied, unclear, err)
			}
		}
	}
	e.Fail("iam:GetRole", emulator.Denied())
	if denied, _, err := ask("*"); err == nil || denied != nil {
		t.Errorf("the path of the role is not known: %v, %v", denied, err)
	}
	e.Fail("iam:SimulatePrincipalPolicy", emulator.Denied())
	if denied, _, err := ask("*"); err == nil || denied != nil {
		t.Errorf("%v, %v", denied, err)
	}
}

// TestSimulationAnswers: IAM answers with a result for each resource or with one that
// has them all; an answer that lacks some is not taken for a permission.
func TestSimulationAnswers(t *testing.T) {
	const one, rest = "<EvalActionName>ecs:UpdateService</EvalActionName>", "<EvalResourceName>a</EvalResourceName>"
	for _, tt := range []struct {
		body            string
		denied, unclear int
		known           bool
	}{
		{"", 0, 0, false},
		{"<member>" + one + rest + "<EvalDecision>allowed</EvalDecision></member>", 0, 0, true},
		{"<member>" + one + "<EvalDecision>allowed</EvalDecision></member>", 0, 0, true},
		{"<member>" + one + rest + "<EvalDecision>explicitDeny</EvalDecision></member>", 1, 0, true},
		{"<member>" + one + rest + "<EvalDecision>implicitDeny</EvalDecision><MissingContextValues><member>aws:SourceIp</member></MissingContextValues></member>", 0, 1, true},
		{"<member>" + one + "<EvalResourceName>*</EvalResourceName><EvalDecision>explicitDeny</EvalDecision><ResourceSpecificResults><member>" + rest + "<EvalResourceDecision>allowed</EvalResourceDecision></member></ResourceSpecificResults></member>", 0, 0, true},
		{"<member>" + one + "<EvalResourceName>b</EvalResourceName><EvalDecision>allowed</EvalDecision></member>", 0, 0, false},
		{"<member>" + rest + "<EvalDecision>allowed</EvalDecision></member>", 0, 0, false},
	} {
		c := New(aws.Config{
			Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			HTTPClient: answers(func(*http.Request) (*http.Response, error) {
				text := "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>" + tt.body + "</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(text))}, nil
			}),
		})
		denied, unclear, err := c.Denied(t.Context(), Question{Identity: "arn:aws:iam::123456789012:user/a", Actions: []string{"ecs:UpdateService"}, Resources: []string{"a"}})
		if len(denied) != tt.denied || len(unclear) != tt.unclear || (err == nil) != tt.known {
			t.Errorf("%s: %v, %v, %v", tt.body, denied, unclear, err)
		}
	}
}
