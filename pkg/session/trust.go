package session

// A token that STS refuses: what AWS has to be told so that it accepts it. Pure.

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/smithy-go"
)

// refusedCodes are those of AssumeRoleWithWebIdentity that are about the token or
// about who trusts it.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
var refusedCodes = []string{"AccessDenied", "AccessDeniedException", "InvalidIdentityToken", "IDPRejectedClaim", "ExpiredTokenException", "ExpiredToken"}

func refusesToken(api smithy.APIError) bool { return slices.Contains(refusedCodes, api.ErrorCode()) }

// refusedTokenError says that STS did not give a session for a token.
type refusedTokenError struct {
	source, role string
	claims       claims
	api          smithy.APIError
	at           time.Time
	own          bool // the token was the pipeline's own, which nobody asked for by name
}

func (e *refusedTokenError) Error() string {
	return fmt.Sprintf("%s: assume role %s with an OIDC token: %s (%s)", e.source, e.role, strings.TrimRight(e.api.ErrorMessage(), "."), e.api.ErrorCode())
}

func (e *refusedTokenError) Unwrap() error { return e.api }

// Hint has the change that makes AWS accept the token.
func (e *refusedTokenError) Hint() string {
	hint := e.change()
	if e.own {
		hint += ". To assume the role with the agent's own identity instead of OIDC, give it as variable AWS.AssumeRoleArn in place of roleArn"
	}
	return hint
}

func (e *refusedTokenError) change() string {
	c := e.claims
	text := strings.ToLower(e.api.ErrorMessage())
	switch {
	case strings.HasPrefix(e.api.ErrorCode(), "Expired"):
		return "a token lives for some minutes: compare this agent's clock with the time, and run the step again"
	case strings.Contains(text, "no openidconnect provider"):
		return fmt.Sprintf("create the identity provider in account %s: aws iam create-open-id-connect-provider --url %s --client-id-list %s; then let the role trust it: %s%s",
			account(e.role), shellWord(c.issuer), shellWord(c.audience), trustPolicy(e.role, c), e.retirement())
	case strings.Contains(text, "audience"):
		return fmt.Sprintf("add the token's audience to the identity provider: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn %s --client-id %s%s",
			shellWord(providerARN(e.role, c)), shellWord(c.audience), e.retirement())
	case strings.HasPrefix(e.api.ErrorCode(), "AccessDenied"):
		return fmt.Sprintf("the token has issuer %s, subject %s and audience %s; this trust policy of the role accepts it: %s%s",
			c.issuer, c.subject, c.audience, trustPolicy(e.role, c), e.retirement())
	default:
		return fmt.Sprintf("AWS has to reach %s/.well-known/openid-configuration, and the role has to trust the token's subject: %s%s",
			c.issuer, trustPolicy(e.role, c), e.retirement())
	}
}

// The issuer of tokens today is announced to end on that day. What becomes of
// service connections of type AWS is not announced.
// https://learn.microsoft.com/azure/devops/release-notes/roadmap
const vstokenIssuer = "https://vstoken.dev.azure.com/"

var vstokenEnds = time.Date(2027, time.July, 1, 0, 0, 0, 0, time.UTC)

func (e *refusedTokenError) retirement() string {
	if !strings.HasPrefix(e.claims.issuer, vstokenIssuer) {
		return ""
	}
	const after = "which issuer tokens for AWS have then is not announced (for Azure it is https://login.microsoftonline.com/TENANT/v2.0, with other subjects); " +
		"the issuer and subject of each token are in the log"
	day := vstokenEnds.Format(time.DateOnly)
	if left := int(vstokenEnds.Sub(e.at).Hours()) / 24; left > 0 {
		return fmt.Sprintf(". Microsoft has announced that this issuer ends on %s, in %d days; %s", day, left, after)
	}
	return fmt.Sprintf(". Microsoft had announced that this issuer ends on %s; %s", day, after)
}

// trustPolicy lets a role be assumed with tokens of exactly these claims.
func trustPolicy(role string, c claims) string {
	provider := providerName(c.issuer)
	type statement struct {
		Effect    string
		Principal map[string]string
		Action    string
		Condition map[string]map[string]string
	}
	return compact(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{
		Effect:    "Allow",
		Principal: map[string]string{"Federated": providerARN(role, c)},
		Action:    "sts:AssumeRoleWithWebIdentity",
		Condition: map[string]map[string]string{"StringEquals": {provider + ":aud": c.audience, provider + ":sub": c.subject}},
	}}})
}

// providerName is the issuer as IAM names it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
func providerName(issuer string) string {
	return strings.TrimSuffix(strings.TrimPrefix(issuer, "https://"), "/")
}

func providerARN(role string, c claims) string {
	a, err := arn.Parse(role)
	if err != nil {
		return ""
	}
	return arn.ARN{Partition: a.Partition, Service: "iam", AccountID: a.AccountID, Resource: "oidc-provider/" + providerName(c.issuer)}.String()
}

func account(role string) string {
	a, err := arn.Parse(role)
	if err != nil {
		return "of the role"
	}
	return a.AccountID
}

// shellWord quotes a claim for the command in a hint: it comes from outside, and
// somebody will paste it.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._-") == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
