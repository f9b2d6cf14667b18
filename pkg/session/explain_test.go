package session

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// operation is an error as the SDK returns it from a call.
func operation(service, name string, err error) error {
	return &smithy.OperationError{ServiceID: service, OperationName: name, Err: err}
}

func api(code, message string) error {
	return fmt.Errorf("https response error StatusCode: 400, RequestID: 1b2c, %w", &smithy.GenericAPIError{Code: code, Message: message})
}

// sent is an error of the network as the SDK returns it.
func sent(target string, err error) error {
	return fmt.Errorf("https response error StatusCode: 0, RequestID: , request send failed, %w", &url.Error{Op: "Post", URL: target, Err: err})
}

type hinted struct{}

func (hinted) Error() string { return "repository app: not found" }
func (hinted) Hint() string  { return "create it" }

const (
	session = "arn:aws:sts::123456789012:assumed-role/deploy/azure-pipelines-42"
	service = "arn:aws:ecs:eu-west-1:123456789012:service/dev/web"
)

func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		message string   // exactly
		hint    []string // parts; none: no hint
	}{
		{
			"denied: the statement that grants it",
			fmt.Errorf("update service web: %w", operation("ECS", "UpdateService", api("AccessDeniedException",
				"User: "+session+" is not authorized to perform: ecs:UpdateService on resource: "+service+" because no identity-based policy allows the ecs:UpdateService action"))),
			"update service web: access denied: " + session + " may not ecs:UpdateService on " + service,
			[]string{"role deploy", `{"Effect":"Allow","Action":"ecs:UpdateService","Resource":"` + service + `"}`},
		},
		{
			"passing a role, which ECS reports as its own error",
			operation("ECS", "RegisterTaskDefinition", api("ClientException",
				"User: arn:aws:iam::123456789012:user/ci is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/task because no identity-based policy allows the iam:PassRole action")),
			"access denied: arn:aws:iam::123456789012:user/ci may not iam:PassRole on arn:aws:iam::123456789012:role/task",
			[]string{"user ci", `"Action":"iam:PassRole","Resource":"arn:aws:iam::123456789012:role/task","Condition":{"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}`},
		},
		{
			"denied without a resource",
			operation("ECR", "GetAuthorizationToken", api("AccessDeniedException", "User: "+session+" is not authorized to perform: ecr:GetAuthorizationToken")),
			"access denied: " + session + " may not ecr:GetAuthorizationToken",
			[]string{`"Action":"ecr:GetAuthorizationToken","Resource":"*"`},
		},
		{
			"denied on everything",
			operation("ECR", "GetAuthorizationToken", api("AccessDeniedException",
				"User: "+session+" is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action")),
			"access denied: " + session + " may not ecr:GetAuthorizationToken on *",
			[]string{`"Resource":"*"`},
		},
		{
			"an explicit deny, which no allow lifts",
			operation("ECS", "UpdateService", api("AccessDeniedException",
				"User: "+session+" is not authorized to perform: ecs:UpdateService on resource: "+service+" with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/p-1")),
			"access denied: " + session + " may not ecs:UpdateService on " + service,
			[]string{"a service control policy denies it", "has to change"},
		},
		{
			"a boundary that leaves it out",
			operation("ECS", "UpdateService", api("AccessDeniedException",
				"User: "+session+" is not authorized to perform: ecs:UpdateService on resource: "+service+" because no permissions boundary allows the ecs:UpdateService action")),
			"access denied: " + session + " may not ecs:UpdateService on " + service,
			[]string{"permissions boundary of role deploy as well"},
		},
		{
			"a repository of another account",
			operation("ECR", "BatchGetImage", api("AccessDeniedException",
				"User: "+session+" is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-1:210987654321:repository/app because no resource-based policy allows the ecr:BatchGetImage action")),
			"access denied: " + session + " may not ecr:BatchGetImage on arn:aws:ecr:eu-west-1:210987654321:repository/app",
			[]string{"policy of the resource", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/deploy"},"Action":"ecr:BatchGetImage"}`},
		},
		{
			"a role that may not be assumed",
			fmt.Errorf("roleArn: assume role x: %w", operation("STS", "AssumeRole", api("AccessDenied",
				"User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/deploy"))),
			"roleArn: assume role x: access denied: arn:aws:iam::123456789012:user/ci may not sts:AssumeRole on arn:aws:iam::123456789012:role/deploy",
			[]string{"user ci", "trust policy", "externalId"},
		},
		{
			"a renewal denied in the middle of another call",
			fmt.Errorf("watch: %w", operation("ECS", "DescribeServices", fmt.Errorf("get identity: get credentials: %w", operation("STS", "AssumeRole", api("AccessDenied", "Access denied"))))),
			"watch: access denied: sts:AssumeRole (Access denied)",
			[]string{`"Action":"sts:AssumeRole"`},
		},
		{
			"denied by the registry, in its own format",
			errors.New("push layer: POST https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/app/blobs/uploads/: DENIED: User: " + session +
				" is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:eu-west-1:123456789012:repository/app because no identity-based policy allows the ecr:InitiateLayerUpload action"),
			"push layer: POST https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/app/blobs/uploads/: DENIED: access denied: " + session +
				" may not ecr:InitiateLayerUpload on arn:aws:ecr:eu-west-1:123456789012:repository/app",
			[]string{`"Action":"ecr:InitiateLayerUpload"`},
		},
		{
			"denied in words that say nothing",
			fmt.Errorf("logs of web: %w", operation("CloudWatch Logs", "GetLogEvents", api("AccessDeniedException", ""))),
			"logs of web: access denied: logs:GetLogEvents",
			[]string{`"Action":"logs:GetLogEvents","Resource":"*"`},
		},
		{
			"an ended session", operation("ECS", "DescribeServices", api("ExpiredTokenException", "The security token included in the request is expired")),
			"the AWS session has ended (ExpiredTokenException)", []string{"AWS.SessionToken", "renew"},
		},
		{
			"unknown keys", operation("STS", "GetCallerIdentity", api("InvalidClientTokenId", "The security token included in the request is invalid.")),
			"AWS does not know these access keys (InvalidClientTokenId)", []string{"awsCredentials", "AWS.AccessKeyID"},
		},
		{
			"a secret that does not fit", operation("STS", "GetCallerIdentity", api("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")),
			"the secret access key does not belong to the access key id (SignatureDoesNotMatch)", []string{"AWS.SecretAccessKey"},
		},
		{
			"a clock that is off, told by the signature", operation("STS", "GetCallerIdentity", api("SignatureDoesNotMatch", "Signature expired: 20260301T100000Z is now earlier than 20260301T111500Z (20260301T113000Z - 15 min.)")),
			"the clock of this agent differs too much from AWS's (SignatureDoesNotMatch)", []string{"clock"},
		},
		{
			"a clock that is ahead", operation("ECS", "DescribeServices", api("InvalidSignatureException", "Signature not yet current: 20260301T120000Z is still later than 20260301T110000Z")),
			"the clock of this agent differs too much from AWS's (InvalidSignatureException)", []string{"clock"},
		},
		{
			"a clock that is off, by its own code", operation("ECS", "DescribeServices", api("RequestExpired", "Request has expired.")),
			"the clock of this agent differs too much from AWS's (RequestExpired)", []string{"clock"},
		},
		{
			"a region to opt in to", operation("STS", "AssumeRole", api("RegionDisabledException", "STS is not activated in this region")),
			"the region is not enabled for this account (RegionDisabledException)", []string{"region"},
		},
		{
			"a session longer than the role allows", operation("STS", "AssumeRole", api("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")),
			"the role does not allow a session that long (ValidationError)", []string{"aws.rolecredential.maxduration"},
		},
		{
			"another validation error stays as it is", operation("STS", "AssumeRole", api("ValidationError", "1 validation error detected")),
			"operation error STS: AssumeRole, https response error StatusCode: 400, RequestID: 1b2c, api error ValidationError: 1 validation error detected", nil,
		},
		{
			"throttling that did not end", operation("ECS", "RegisterTaskDefinition", api("ThrottlingException", "Rate exceeded")),
			"AWS is still throttling this account's calls after several attempts (ThrottlingException)", []string{"run the step again"},
		},
		{
			"a region that does not exist",
			fmt.Errorf("service web: %w", operation("ECS", "DescribeServices", sent("https://ecs.eu-wst-1.amazonaws.com/",
				&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "ecs.eu-wst-1.amazonaws.com", IsNotFound: true}}))),
			"service web: ecs.eu-wst-1.amazonaws.com: no such host", []string{"region: is eu-wst-1 right"},
		},
		{
			"a host of no region", operation("STS", "GetCallerIdentity", sent("https://emulator.local/", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "emulator.local"}})),
			"emulator.local: no such host", []string{"name server", "HTTPS_PROXY"},
		},
		{
			"another registry", fmt.Errorf("index.docker.io/library/x: %w", &url.Error{Op: "Get", URL: "https://index.docker.io/v2/", Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "index.docker.io"}}}),
			"index.docker.io/library/x: index.docker.io: no such host", []string{"does not know that host"},
		},
		{
			"nobody listens", operation("ECS", "DescribeServices", sent("http://127.0.0.1:1/", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})),
			"127.0.0.1:1: not reachable: connect: connection refused", []string{"AWS_ENDPOINT_URL"},
		},
		{
			"a firewall that drops", operation("ECS", "DescribeServices", sent("https://ecs.eu-west-1.amazonaws.com/", &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded})),
			"ecs.eu-west-1.amazonaws.com: no answer in time", []string{"firewall"},
		},
		{
			"a proxy that is away", operation("ECS", "DescribeServices", sent("https://ecs.eu-west-1.amazonaws.com/", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})),
			"ecs.eu-west-1.amazonaws.com: the proxy does not answer: connect: connection refused", []string{"HTTPS_PROXY"},
		},
		{
			"a proxy that inspects", operation("ECS", "DescribeServices", sent("https://ecs.eu-west-1.amazonaws.com/", x509.UnknownAuthorityError{})),
			"ecs.eu-west-1.amazonaws.com: its certificate is not trusted: x509: certificate signed by unknown authority", []string{"AWS_CA_BUNDLE"},
		},
		{
			"no credentials", fmt.Errorf("awsCredentials: %w", &NoCredentialsError{Err: errors.New("no EC2 IMDS role found")}),
			"awsCredentials: no AWS credentials found", []string{"service connection", "AWS.AccessKeyID"},
		},
		{"an error that brings its own hint", fmt.Errorf("plan: %w", hinted{}), "plan: repository app: not found", []string{"create it"}},
		{"an error of ECS about ECS", operation("ECS", "DescribeServices", api("ClusterNotFoundException", "Cluster not found.")),
			"operation error ECS: DescribeServices, https response error StatusCode: 400, RequestID: 1b2c, api error ClusterNotFoundException: Cluster not found.", nil},
		{"cancelled", operation("ECS", "DescribeServices", &aws.RequestCanceledError{Err: context.Canceled}),
			"operation error ECS: DescribeServices, request canceled, context canceled", nil},
		{"an error of nobody's", errors.New("services: expected at least one"), "services: expected at least one", nil},
		{"several, with one cause", errors.Join(operation("ECS", "A", api("ExpiredToken", "x")), errors.New("two"), operation("ECS", "B", api("ExpiredToken", "x"))),
			"the AWS session has ended (ExpiredToken)\ntwo\nthe AWS session has ended (ExpiredToken)", []string{"renew it"}},
		{"a sentence of several", fmt.Errorf("%w and %w", errors.New("one"), errors.New("two")), "one and two", nil},
		{"nothing", nil, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			message, hint := Explain(tt.err)
			if message != tt.message {
				t.Errorf("message\n%s\nwant\n%s", message, tt.message)
			}
			if len(tt.hint) == 0 && hint != "" {
				t.Errorf("hint %q, want none", hint)
			}
			for _, part := range tt.hint {
				if !strings.Contains(hint, part) {
					t.Errorf("hint %q\ndoes not hold %q", hint, part)
				}
			}
			if strings.Contains(hint, "\n") {
				t.Errorf("one cause, several hints: %q", hint)
			}
		})
	}
}

// AWS writes the text, so it may be anything.
func FuzzExplain(f *testing.F) {
	f.Add("AccessDenied", "User: arn:aws:iam::1:user/x is not authorized to perform: a:B on resource: c because no session policy allows the a:B action")
	f.Add("ExpiredToken", "")
	f.Add("", " is not authorized to perform: :")
	f.Fuzz(func(t *testing.T, code, message string) {
		got, _ := Explain(fmt.Errorf("before: %w", operation("ECS", "X", api(code, message))))
		if !strings.HasPrefix(got, "before: ") {
			t.Errorf("lost what stood before: %q", got)
		}
	})
}
