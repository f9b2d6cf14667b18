package session

// Assuming a role with an OIDC token of Azure DevOps: keyless. Every session
// takes a new token, which lives for some minutes only.

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// oidcProvider exchanges tokens for sessions of a role.
type oidcProvider struct {
	keeper
	token  func(ctx context.Context) (string, error)
	client oidcClient
	role   Role
	source string // the input or the connection that named the role
	own    bool   // the token is the pipeline's own

	logged claims // of the last token, so that a renewal adds no line to the log
}

type oidcClient interface {
	AssumeRoleWithWebIdentity(context.Context, *sts.AssumeRoleWithWebIdentityInput, ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error)
}

func (p *oidcProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	failed := func(err error) (aws.Credentials, error) {
		return aws.Credentials{}, &roleError{source: p.source, arn: p.role.ARN, err: err}
	}
	token, err := p.token(ctx)
	if err != nil {
		return failed(err)
	}
	p.mask(token)
	c, err := parseClaims(token)
	if err != nil {
		return failed(err)
	}
	if c != p.logged {
		p.logged = c
		p.log.InfoContext(ctx, fmt.Sprintf("OIDC token of Azure DevOps: issuer %s, subject %s, audience %s", c.issuer, c.subject, c.audience))
	}
	out, err := p.client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          &p.role.ARN,
		RoleSessionName:  &p.role.SessionName,
		WebIdentityToken: &token,
		DurationSeconds:  aws.Int32(int32(p.role.Duration / time.Second)),
	}, func(o *sts.Options) {
		// STS fetches the issuer's keys at that moment, which may fail once.
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, "IDPCommunicationError")
	})
	if err != nil {
		if api, ok := errors.AsType[smithy.APIError](err); ok && refusesToken(api) {
			return aws.Credentials{}, &refusedTokenError{source: p.source, role: p.role.ARN, claims: c, api: api, at: time.Now(), own: p.own}
		}
		return failed(err)
	}
	creds, err := credentialsOf("AssumeRoleWithWebIdentity", out.Credentials)
	if err != nil {
		return failed(err)
	}
	p.log.DebugContext(ctx, "role assumed with an OIDC token", "role", p.role.ARN, "until", creds.Expires.UTC())
	return p.keep(creds), nil
}

// claims are what a token says of itself and AWS looks at. They are read without
// checking the signature: AWS does that.
type claims struct{ issuer, subject, audience string }

var errNotJWT = errors.New("what Azure DevOps sent as OIDC token is not a JSON Web Token")

// parseClaims reads the claims of a JSON Web Token. Its errors do not quote it.
func parseClaims(token string) (claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, errNotJWT
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return claims{}, errNotJWT
	}
	var body struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience audience `json:"aud"`
	}
	if err := json.Unmarshal(payload, &body); err != nil || body.Issuer == "" || body.Subject == "" {
		return claims{}, errNotJWT
	}
	return claims{body.Issuer, body.Subject, string(body.Audience)}, nil
}

// audience is one text, or the first of a list.
// https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
type audience string

func (a *audience) UnmarshalJSON(b []byte) error {
	var list []string
	if err := json.Unmarshal(b, &list); err == nil {
		if len(list) > 0 {
			*a = audience(list[0])
		}
		return nil
	}
	return json.Unmarshal(b, (*string)(a))
}
