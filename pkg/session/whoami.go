package session

// Who a configuration acts as.

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Identity is the principal that a configuration's calls are made as.
type Identity struct {
	Account   string // 12 digits
	ARN       string // of the user, or of the role's session
	Partition string // aws, aws-cn, aws-us-gov, …
}

// Whoami asks STS for the caller's identity. The call needs no permission and
// cannot be denied, so its failure means wrong keys, an ended session, a clock
// that is off, or no way to AWS:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func Whoami(ctx context.Context, cfg aws.Config) (Identity, error) {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err != nil {
		return Identity{}, fmt.Errorf("AWS identity: %w", err)
	}
	id := Identity{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}
	a, err := arn.Parse(id.ARN)
	if err != nil {
		return Identity{}, fmt.Errorf("AWS identity: STS answered with %q, which is not an ARN", id.ARN)
	}
	id.Partition, id.Account = a.Partition, cmp.Or(id.Account, a.AccountID)
	return id, nil
}
