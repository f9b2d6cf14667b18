package session

// Sessions that have ended while they were in use. Such an error is final: the
// same credentials will not be good again, and those that can be renewed were.

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

var expiredCodes = []string{"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}

// expiredError is an error of a call whose credentials have expired, with the
// source of the credentials. Its text is that of the SDK.
type expiredError struct {
	source string
	err    error
}

func (e *expiredError) Error() string { return e.err.Error() }

func (e *expiredError) Unwrap() error { return e.err }

// Expired reports whether err says that the credentials of a call have expired.
// Repeating the call is of no use.
func Expired(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains(expiredCodes, api.ErrorCode())
}

// withSource returns a configuration whose calls name the source of their
// credentials when these have expired.
func withSource(cfg aws.Config, source string) aws.Config {
	named := cfg.Copy()
	named.APIOptions = append(slices.Clone(cfg.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("CredentialsSource",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleInitialize(ctx, in)
				if Expired(err) {
					err = &expiredError{source, err}
				}
				return out, metadata, err
			}), middleware.Before)
	})
	return named
}

func explainExpired(err error) (message, hint string, ok bool) {
	e, ok := errors.AsType[*expiredError](err)
	if !ok {
		return "", "", false
	}
	api, ok := errors.AsType[smithy.APIError](e.err)
	if !ok {
		return "", "", false
	}
	hint = "renew its session token, or use keys or a role instead, whose sessions are renewed here"
	if e.source == defaultChain {
		hint = "renew the session token in the agent's environment or shared AWS files, or use a service connection"
	}
	return around(err, api.Error(), fmt.Sprintf("the AWS session of %s has expired (%s)", e.source, api.ErrorCode())), hint, true
}
