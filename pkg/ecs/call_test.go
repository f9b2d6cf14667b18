package ecs

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/smithy-go"
)

// TestDuring: calls of other services report their errors in the same way.
func TestDuring(t *testing.T) {
	if During("read it", nil) != nil || CodeOf(nil) != "" || CodeOf(errors.New("x")) != "" {
		t.Error("no error has become one, or has a code")
	}
	refused := &smithy.GenericAPIError{Code: "InvalidDeploymentIdException", Message: "Deployment ID is missing"}
	err := During("read deployment d-1", &smithy.OperationError{ServiceID: "CodeDeploy", OperationName: "GetDeployment", Err: refused})
	if err.Error() != "read deployment d-1: Deployment ID is missing" || CodeOf(err) != "InvalidDeploymentIdException" || Ambiguous(err) {
		t.Errorf("%v, code %s, ambiguous %t", err, CodeOf(err), Ambiguous(err))
	}
	if err := During("read it", context.DeadlineExceeded); err.Error() != "read it: no answer in time" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
