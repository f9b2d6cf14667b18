package session

// Assuming a role, and assuming it again before the session ends: a rollout
// may outlive any one session.

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
)

// Role is an IAM role to assume.
type Role struct {
	ARN         string
	SessionName string // pattern [\w+=,.@-]{2,64}; empty: Options.Name
	ExternalID  string

	// Duration of one session, 15 minutes to 12 hours; 0 means that of the
	// variable aws.rolecredential.maxduration, or an hour. Sessions renew, so
	// this limits nothing but how often that happens.
	Duration time.Duration
}

const (
	// renewBefore is how long before the end of a session the next one is
	// asked for: time enough for a throttled or unreachable STS to come back.
	renewBefore = 5 * time.Minute

	// renewAgain is the pause after a renewal that was refused while the
	// session in hand is still good.
	renewAgain = 30 * time.Second

	// chainedLimit is AWS's limit for a role assumed from another role's session:
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
	chainedLimit = time.Hour
)

func renewing(p aws.CredentialsProvider) *aws.CredentialsCache {
	return aws.NewCredentialsCache(p, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore })
}

// roleProvider assumes a role with the credentials of base. The cache around it
// makes its calls one at a time.
type roleProvider struct {
	base   aws.CredentialsProvider
	client stscreds.AssumeRoleAPIClient // signs with base
	role   Role
	source string // the input or variable that named the role
	log    *slog.Logger

	expires time.Time // of the session in hand; the cache only knows its own, earlier time
	capped  bool      // the cap has been logged
}

func (p *roleProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	// Asked for first, so that a failure of the base is not blamed on the role.
	base, err := p.base.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &roleError{source: p.source, arn: p.role.ARN, err: err, base: err}
	}
	creds, err := stscreds.NewAssumeRoleProvider(p.client, p.role.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = p.role.SessionName
		o.Duration = p.duration(ctx, base)
		if p.role.ExternalID != "" {
			o.ExternalID = &p.role.ExternalID
		}
	}).Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &roleError{source: p.source, arn: p.role.ARN, err: err}
	}
	p.expires = creds.Expires
	p.log.DebugContext(ctx, "role assumed", "role", p.role.ARN, "until", creds.Expires.UTC())
	return creds, nil
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

// HandleFailToRefresh keeps a session that is still good when its renewal fails,
// and has the cache try again soon. The cache subtracts renewBefore from the
// expiry it is given.
func (p *roleProvider) HandleFailToRefresh(ctx context.Context, held aws.Credentials, err error) (aws.Credentials, error) {
	now := time.Now()
	if !held.HasKeys() || !now.Before(p.expires) {
		return aws.Credentials{}, err
	}
	p.log.WarnContext(ctx, "the role's session could not be renewed yet", "until", p.expires.UTC(), "error", err)
	held.Expires = now.Add(renewAgain + renewBefore)
	if held.Expires.After(p.expires.Add(renewBefore)) {
		held.Expires = p.expires.Add(renewBefore)
	}
	return held, nil
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
