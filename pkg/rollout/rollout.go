// Package rollout moves an Amazon ECS service to a task definition revision
// and finds out how that ended.
//
// Its parts follow the order of a deployment: Service and Definition read what
// is there, Check compares it with what will be asked (preflight), Register
// and Update are the two changes, Watch follows the one deployment that Update
// started, and Verify proves which image its tasks run. The judgement itself,
// Judge, is a pure function over what a poll saw.
//
// The package does not push images, does not edit task definitions (package
// taskdef does), reads no environment and prints nothing: what happens is
// handed out as events, what is wrong as errors.
package rollout

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"
)

// Client talks to Amazon ECS in one region. It is safe for concurrent use.
type Client struct {
	api    *ecs.Client
	region string
	cfg    aws.Config // for clients of the services beside ECS
}

// New returns a client for the region and identity of cfg.
func New(cfg aws.Config) *Client {
	return &Client{api: ecs.NewFromConfig(cfg), region: cfg.Region, cfg: cfg}
}

// Problem is something wrong with what a caller asked for, found before or
// while asking ECS for it.
type Problem struct {
	// Input is the task input that the problem belongs to, such as "cluster".
	Input string
	// Message says what is wrong and what was expected.
	Message string
	// Advice is one thing to do about it; it may be empty.
	Advice string
	// Absent is set when the problem is that the resource does not exist (any more).
	Absent bool
}

func (p *Problem) Error() string {
	if p.Input == "" {
		return p.Message
	}
	return "input " + p.Input + ": " + p.Message
}

// Hint returns the advice, for whoever prints the error.
func (p *Problem) Hint() string { return p.Advice }

// patience is how the two writing calls are retried: ECS throttles
// RegisterTaskDefinition at a burst of 20 and then 1 a second, so a team that
// releases many services at once needs more than the SDK's three attempts.
func patience(o *ecs.Options) {
	o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts = 10
		s.MaxBackoff = 20 * time.Second
		s.Retryables = append(s.Retryables, retry.IsErrorRetryableFunc(concurrentRevision))
		// The token bucket would give up after a handful of throttled calls;
		// attempts and the caller's context bound this already.
		s.RateLimiter = unlimited{}
	})
}

type unlimited struct{}

func (unlimited) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (unlimited) AddTokens(uint) error { return nil }

// concurrentRevision recognises the ClientException that ECS answers while
// another revision of the same family is being registered. It has no error
// code of its own, so the SDK takes it for final.
func concurrentRevision(err error) aws.Ternary {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ClientException" &&
		containsFold(api.ErrorMessage(), "too many concurrent attempts") {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// denied reports whether AWS refused err's call for want of a permission.
func denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "AccessDeniedException" || api.ErrorCode() == "AccessDenied")
}

// TaggingDenied reports whether a revision was refused because of its tags: to
// register one with tags takes the right ecs:TagResource as well.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
func TaggingDenied(err error) bool {
	return denied(err) && strings.Contains(err.Error(), "ecs:TagResource")
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// callError says during what a call went wrong, in AWS's own words: the SDK's
// wrapping (operation, status code, request id) helps nobody who reads a log.
type callError struct {
	during string
	err    error
}

func (e *callError) Error() string { return e.during + ": " + apiMessage(e.err) }
func (e *callError) Unwrap() error { return e.err }

// during names what was being done when err came up; nil stays nil.
func during(what string, err error) error {
	if err == nil {
		return nil
	}
	return &callError{what, err}
}

// apiMessage returns AWS's own words for err.
func apiMessage(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err.Error()
	}
	if api.ErrorMessage() == "" {
		return api.ErrorCode()
	}
	return api.ErrorMessage()
}

// ShortARN returns what stands behind the last slash of an ARN:
// family:revision, a name, or an id.
func ShortARN(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }
