package ecr

// Limits of the account are final: unlike a rate, they do not pass while one waits.

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// finalLimits is a retryer for which an exceeded limit is no reason to try again.
// The SDK takes LimitExceededException for a rate; for ECR it is a count of things.
//
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
type finalLimits struct{ aws.RetryerV2 }

// IsErrorRetryable implements [aws.Retryer].
func (r finalLimits) IsErrorRetryable(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	if ok && api.ErrorCode() == "LimitExceededException" {
		return false
	}
	return r.RetryerV2.IsErrorRetryable(err)
}
