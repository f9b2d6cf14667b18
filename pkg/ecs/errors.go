package ecs

// Errors of calls: during which call, on what, in AWS's own words.

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"
)

// callError says during what a call went wrong, in AWS's own words: the SDK's
// wrapping (operation, status code, request id) helps nobody who reads a log.
type callError struct {
	during    string
	err       error
	ambiguous bool
}

func (e *callError) Error() string { return e.during + ": " + apiMessage(e.err) }
func (e *callError) Unwrap() error { return e.err }

// during names what was being done when err came up; nil stays nil.
func during(what string, err error) error {
	if err == nil {
		return nil
	}
	return &callError{during: what, err: err}
}

// ambiguous is during for a change that may have been made all the same.
func ambiguous(what string, err error) error {
	return &callError{during: what, err: err, ambiguous: true}
}

// Ambiguous reports whether err is that of a change which ECS may have made all
// the same: the answer was lost, late, broken or incomplete. Whoever asked for
// the change has to read before asking again.
func Ambiguous(err error) bool {
	e, ok := errors.AsType[*callError](err)
	return ok && e.ambiguous
}

// incomplete is a reply without something that is needed of it.
type incomplete struct{ operation, lacks string }

func (e *incomplete) Error() string {
	return fmt.Sprintf("the reply of %s is incomplete: %s", e.operation, e.lacks)
}

// absent is a record that ECS does not have, or not any more.
type absent struct{ reason string }

func (e *absent) Error() string { return "not found (" + e.reason + ")" }

// TaggingDenied reports whether a revision was refused because of its tags: to
// register one with tags takes the right ecs:TagResource as well.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
func TaggingDenied(err error) bool {
	return Classify(err) == Denied && strings.Contains(err.Error(), "ecs:TagResource")
}

// codeOf returns the service's error code; empty where it did not answer with one.
func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// statusOf returns the HTTP status of the answer; 0 where there was none.
func statusOf(err error) int {
	if answer, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		return answer.HTTPStatusCode()
	}
	return 0
}

// apiMessage returns AWS's own words for err; for a request that was not
// answered, those of the connection.
func apiMessage(err error) string {
	if own, ok := errors.AsType[*unanswered](err); ok {
		return own.Error()
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if api.ErrorMessage() != "" {
			return api.ErrorMessage()
		}
		return api.ErrorCode()
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		return request.Error()
	}
	if broken, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return fmt.Sprintf("the answer could not be read (HTTP status %d): %.300s", statusOf(err), broken.Err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}

func containsFold(s, lower string) bool { return strings.Contains(strings.ToLower(s), lower) }
