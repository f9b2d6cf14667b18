package session

// Assuming a role with credentials, and assuming it again before the session
// ends: a rollout may outlive any one session.

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// Role is an IAM role to assume.
type Role struct {
	ARN         string
	SessionName string // pattern [\w+=,.@-]{2,64}; empty: Options.Name
	ExternalID  string // has no effect with OIDC

	// Duration of one session, 15 minutes to 12 hours; 0 means that of the
	// variable aws.rolecredential.maxduration, or an hour. Sessions renew, so
	// this limits nothing but how often that happens.
	Duration time.Duration
}

// chainedLimit is AWS's limit for a role assumed from another role's session:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
const chainedLimit = time.Hour

// roleProvider assumes a role with the credentials of base.
type roleProvider struct {
	keeper
	base   aws.CredentialsProvider
	client roleClient // signs with base
	role   Role
	source string // the input or variable that named the role

	capped bool // the cap has been logged
}

type roleClient interface {
	AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error)
}

func (p *roleProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	// Asked for first, so that a failure of the base is not blamed on the role.
	base, err := p.base.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &roleError{source: p.source, arn: p.role.ARN, err: err, base: err}
	}
	in := &sts.AssumeRoleInput{RoleArn: &p.role.ARN, RoleSessionName: &p.role.SessionName, DurationSeconds: aws.Int32(int32(p.duration(ctx, base) / time.Second))}
	if p.role.ExternalID != "" {
		in.ExternalId = &p.role.ExternalID
	}
	out, err := p.client.AssumeRole(ctx, in)
	var creds aws.Credentials
	if err == nil {
		creds, err = credentialsOf("AssumeRole", out.Credentials)
	}
	if err != nil {
		return aws.Credentials{}, &roleError{source: p.source, arn: p.role.ARN, err: err}
	}
	p.log.DebugContext(ctx, "role assumed", "role", p.role.ARN, "until", creds.Expires.UTC())
	return p.keep(creds), nil
}

// credentialsOf are those of a session that STS has answered a call with. One without an
// end would be taken for one that has ended.
func credentialsOf(call string, s *types.Credentials) (aws.Credentials, error) {
	if s == nil || aws.ToString(s.AccessKeyId) == "" || aws.ToString(s.SecretAccessKey) == "" || aws.ToString(s.SessionToken) == "" || s.Expiration == nil {
		return aws.Credentials{}, fmt.Errorf("the answer of STS (%s) has no complete credentials", call)
	}
	return aws.Credentials{
		AccessKeyID: *s.AccessKeyId, SecretAccessKey: *s.SecretAccessKey, SessionToken: *s.SessionToken,
		Source: call, CanExpire: true, Expires: *s.Expiration,
	}, nil
}

// duration caps the session at an hour where the base is itself a session. Such
// a base is nearly always a role's; for the rest (GetSessionToken) the cap costs
// a renewal an hour and nothing else.
func (p *roleProvider) duration(ctx context.Context, base aws.Credentials) time.Duration {
	if base.SessionToken == "" || p.role.Duration <= chainedLimit {
		return p.role.Duration
	}
	if !p.capped {
		p.capped = true
		p.log.InfoContext(ctx, "a role assumed from another role's session lasts an hour at most; it is renewed",
			"role", p.role.ARN, "asked", p.role.Duration)
	}
	return chainedLimit
}

// roleError says which role could not be assumed, and which input asked for it.
type roleError struct {
	source, arn string
	err         error
	base        error // set where it was the base credentials that failed
}

func (e *roleError) Error() string {
	return fmt.Sprintf("%s: assume role %s: %v", e.source, e.arn, e.err)
}

func (e *roleError) Unwrap() error { return e.err }
