package ecs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/mistake"
)

func TestClassify(t *testing.T) {
	api := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "words"} }
	tests := []struct {
		err  error
		want Class
	}{
		{nil, Other},
		{errors.New("something"), Other},
		{context.Canceled, Other},
		{context.DeadlineExceeded, Broken},
		{io.ErrUnexpectedEOF, Broken},
		{&net.DNSError{IsNotFound: true}, Broken},
		{&url.Error{Op: "Post", URL: "https://ecs.eu-west-1.amazonaws.com/", Err: errReset}, Broken},
		{&mistake.Error{Kind: mistake.Cluster, Absent: true}, Gone},
		{mistake.New(mistake.CPU, "", "no"), Invalid},
		{during("call", &absent{"MISSING"}), Gone},
		{during("call", &incomplete{"Call", "no x"}), Broken},
		{ambiguous("call", &incomplete{"Call", "no x"}), Broken},
		{&unanswered{end: context.DeadlineExceeded}, Broken},
		{&unanswered{end: context.Canceled}, Other},
		{&unanswered{end: context.DeadlineExceeded, last: api("ThrottlingException")}, Throttled},
		{api("AccessDeniedException"), Denied},
		{api("UnrecognizedClientException"), Denied},
		{api("ExpiredToken"), Expired},
		{api("ExpiredTokenException"), Expired},
		{api("RequestExpired"), Expired},
		{api("ClusterNotFoundException"), Gone},
		{api("ServiceDeploymentNotFoundException"), Gone},
		{api("TargetGroupNotFound"), Gone},
		{api("DeploymentDoesNotExistException"), Gone},
		{api("ServiceNotActiveException"), Gone},
		{api("UnsupportedFeatureException"), Unsupported},
		{api("UnknownOperationException"), Unsupported},
		{api("InvalidAction"), Unsupported},
		{api("PlatformUnknownException"), Unsupported},
		{api("ThrottlingException"), Throttled},
		{api("Throttling"), Throttled},
		{api("ServerException"), Broken},
		{api("LimitExceededException"), Invalid},
		{api("ClientException"), Invalid},
		{api("ValidationError"), Invalid},
		{api("ConflictException"), Other},
		{api("UpdateInProgressException"), Other},
		{&smithy.GenericAPIError{Code: "ClientException", Message: "User: x is not authorized to perform: iam:PassRole on resource: y"}, Denied},
		{&smithy.GenericAPIError{Code: "ThrottlingException", Message: "User: x is not authorized to perform: iam:PassRole on resource: y"}, Throttled},
		{fmt.Errorf("wrapped: %w", fmt.Errorf("twice: %w", api("AccessDenied"))), Denied},
		{errors.Join(errors.New("one"), api("AccessDenied")), Denied},
	}
	for _, tt := range tests {
		if got := Classify(tt.err); got != tt.want {
			t.Errorf("Classify(%v) = %s, want %s", tt.err, got, tt.want)
		}
	}
}

// TestClassifyAnswers: whatever service answers, by the real SDK's reading of
// its protocol, a failure has the same class.
func TestClassifyAnswers(t *testing.T) {
	tests := []struct {
		status    int
		json, xml string
		want      Class
	}{
		{400, `{"__type": "com.amazonaws.ecs#AccessDeniedException", "Message": "no"}`, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`, Denied},
		{400, `{"__type": "ThrottlingException", "message": "Rate exceeded"}`, `<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`, Throttled},
		{400, `{"__type": "ExpiredTokenException", "message": "expired"}`, `<ErrorResponse><Error><Code>ExpiredToken</Code><Message>expired</Message></Error></ErrorResponse>`, Expired},
		{400, `{"__type": "UnknownOperationException"}`, `<ErrorResponse><Error><Code>InvalidAction</Code><Message>no</Message></Error></ErrorResponse>`, Unsupported},
		{500, `{"__type": "ServerException", "message": "oops"}`, `<ErrorResponse><Error><Code>InternalFailure</Code><Message>oops</Message></Error></ErrorResponse>`, Broken},
		{500, `{"__type": "NeverHeardOfException"}`, `<ErrorResponse><Error><Code>NeverHeardOf</Code></Error></ErrorResponse>`, Broken},
		{400, `{"__type": "NeverHeardOfException"}`, `<ErrorResponse><Error><Code>NeverHeardOf</Code></Error></ErrorResponse>`, Invalid},
		{503, `<html>`, `<html>`, Broken},
		{502, ``, ``, Broken},
		{429, `{}`, `<ErrorResponse/>`, Throttled},
		{403, `{}`, `<ErrorResponse/>`, Denied},
		{200, `<html>`, `<a><b></a>`, Broken},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			cfg := configOver(roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("X-Amz-Target") != "" {
					return answer(tt.status, tt.json), nil
				}
				out := answer(tt.status, tt.xml)
				out.Header.Set("Content-Type", "text/xml")
				return out, nil
			}))
			cfg.RetryMaxAttempts = 1
			ctx := t.Context()
			calls := map[string]func() error{
				"ecs": func() error { _, err := New(cfg).Service(ctx, "dev", "web"); return err },
				"logs": func() error {
					_, err := cloudwatchlogs.NewFromConfig(cfg).GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogStreamName: aws.String("s")})
					return err
				},
				"codedeploy": func() error {
					_, err := codedeploy.NewFromConfig(cfg).GetDeployment(ctx, &codedeploy.GetDeploymentInput{DeploymentId: aws.String("d-1")})
					return err
				},
				"elb": func() error {
					_, err := elasticloadbalancingv2.NewFromConfig(cfg).DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: aws.String("a")})
					return err
				},
				"sts": func() error {
					_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
					return err
				},
			}
			for service, call := range calls {
				if err := call(); Classify(err) != tt.want {
					t.Errorf("%s, %d %s: %v: class %s, want %s", service, tt.status, tt.json, err, Classify(err), tt.want)
				}
			}
		})
	}
}

// TestCredentialsFail: that the credentials for a call could not be had is said
// with the class of what went wrong there, and nothing was sent.
func TestCredentialsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		cfg := configOver(roundTrip(func(*http.Request) (*http.Response, error) { asked++; return answer(200, "{}"), nil }))
		identity := configOver(roundTrip(func(*http.Request) (*http.Response, error) {
			out := answer(403, `<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token expired</Message></Error></ErrorResponse>`)
			out.Header.Set("Content-Type", "text/xml")
			return out, nil
		}))
		cfg.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			_, err := sts.NewFromConfig(identity).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return aws.Credentials{}, err
		})
		_, err := New(cfg).Update(t.Context(), Service{Cluster: "dev", Name: "web"}, Update{Force: true})
		if Classify(err) != Expired || Ambiguous(err) || asked != 0 {
			t.Errorf("%v: class %s, ambiguous %t, %d calls; want expired, and no call", err, Classify(err), Ambiguous(err), asked)
		}
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errReset })
		_, err = New(cfg).Update(t.Context(), Service{Cluster: "dev", Name: "web"}, Update{Force: true})
		if Ambiguous(err) || asked != 0 {
			t.Errorf("%v: ambiguous %t, %d calls", err, Ambiguous(err), asked)
		}
	})
}

func TestLasting(t *testing.T) {
	want := map[Class]bool{Other: false, Denied: true, Gone: true, Unsupported: true, Expired: true, Throttled: false, Broken: false, Invalid: true}
	for class, lasting := range want {
		if class.Lasting() != lasting {
			t.Errorf("%s: lasting %t, want %t", class, class.Lasting(), lasting)
		}
	}
	if got := Class(99).String() + Class(-1).String(); got != "unknownunknown" {
		t.Errorf("class 99, -1: %q", got)
	}
}
