// AssumeRoleWithWebIdentity: tokens of OIDC identity providers, whose signature is checked with the keys that the issuer publishes, and roles whose
// trust policies are evaluated.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html

package sts

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

// federation is what IAM knows of identity providers and of the roles that trust them.
type federation struct {
	providers map[string]OIDCProvider // by issuer
	roles     map[string][]trust      // by ARN
}

// OIDCProvider is an identity provider in IAM.
type OIDCProvider struct {
	Issuer    string   // https://…
	ClientIDs []string // the audiences that are accepted

	// Transport is how STS reaches the issuer's discovery document and keys; nil is [http.DefaultTransport].
	Transport http.RoundTripper
}

// AddOIDCProvider adds an identity provider to the account.
func (e *STS) AddOIDCProvider(p OIDCProvider) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if e.federation.providers == nil {
		e.federation.providers = map[string]OIDCProvider{}
	}
	e.federation.providers[p.Issuer] = p
}

// TrustRole sets the trust policy of a role, a JSON document. It holds for AssumeRoleWithWebIdentity only; a role without one trusts no token.
func (e *STS) TrustRole(arn, policy string) error {
	statements, err := parseTrust(policy)
	if err != nil {
		return fmt.Errorf("trust policy of %s: %w", arn, err)
	}
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if e.federation.roles == nil {
		e.federation.roles = map[string][]trust{}
	}
	e.federation.roles[arn] = statements
	return nil
}

// trust is one statement of a trust policy.
type trust struct {
	deny       bool
	federated  oneOrMore
	actions    oneOrMore
	conditions map[string]map[string]oneOrMore // by operator and key
}

type oneOrMore []string

func (l *oneOrMore) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

func parseTrust(policy string) ([]trust, error) {
	var document struct {
		Version   string
		ID        string `json:"Id"`
		Statement []struct {
			Sid       string
			Effect    string
			Principal struct{ Federated, AWS, Service oneOrMore }
			Action    oneOrMore
			Condition map[string]map[string]oneOrMore
		}
	}
	decoder := json.NewDecoder(strings.NewReader(policy))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("MalformedPolicyDocument: %w", err)
	}
	if document.Version != "2012-10-17" || len(document.Statement) == 0 {
		return nil, errors.New(`MalformedPolicyDocument: expected "Version": "2012-10-17" and at least one statement`)
	}
	var out []trust
	for _, s := range document.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" || len(s.Action) == 0 {
			return nil, errors.New("MalformedPolicyDocument: a statement takes Effect (Allow or Deny) and Action")
		}
		for operator := range s.Condition {
			if operator != "StringEquals" && operator != "StringLike" {
				return nil, fmt.Errorf("condition operator %s is not emulated", operator)
			}
		}
		out = append(out, trust{s.Effect == "Deny", s.Principal.Federated, s.Action, s.Condition})
	}
	return out, nil
}

// trusted reports whether the statements let the bearer of a token assume the role.
func trusted(statements []trust, provider string, t idToken) bool {
	allowed := false
	for _, s := range statements {
		if !slices.Contains(s.federated, provider) || !slices.ContainsFunc(s.actions, func(a string) bool {
			return a == "sts:*" || a == "*" || strings.EqualFold(a, "sts:AssumeRoleWithWebIdentity")
		}) || !s.holds(t) {
			continue
		}
		if s.deny {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s trust) holds(t idToken) bool {
	name := strings.TrimPrefix(t.Issuer, "https://")
	claims := map[string]string{name + ":aud": t.Audience, name + ":sub": t.Subject}
	for operator, keys := range s.conditions {
		for key, values := range keys {
			claim, ok := claims[key]
			if !ok || !slices.ContainsFunc(values, func(v string) bool {
				if operator == "StringEquals" {
					return v == claim
				}
				// path.Match stops at slashes, which subjects are full of.
				match, err := path.Match(strings.ReplaceAll(v, "/", "\x00"), strings.ReplaceAll(claim, "/", "\x00"))
				return err == nil && match
			}) {
				return false
			}
		}
	}
	return true
}

var webIdentityParameters = []string{"Action", "Version", "RoleArn", "RoleSessionName", "WebIdentityToken", "DurationSeconds", "Policy", "PolicyArns", "ProviderId"}

type stsWebIdentityRole struct {
	AssumedRoleUser             stsUser
	Credentials                 stsCredentials
	Provider                    string
	Audience                    string
	SubjectFromWebIdentityToken string
}

func (e *STS) assumeRoleWithWebIdentity(r *http.Request, form url.Values) (any, error) {
	for name := range form {
		if base, _, _ := strings.Cut(name, "."); !slices.Contains(webIdentityParameters, base) {
			return nil, awsapi.Errorf("ValidationError", "AssumeRoleWithWebIdentity has no parameter %s", name)
		}
	}
	m := roleARN.FindStringSubmatch(form.Get("RoleArn"))
	name, seconds := form.Get("RoleSessionName"), 3600
	switch token := form.Get("WebIdentityToken"); {
	case m == nil:
		return nil, awsapi.Errorf("ValidationError", "Request ARN is invalid")
	case !sessionForm.MatchString(name):
		return nil, awsapi.Errorf("ValidationError", `1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`, name)
	case len(token) < 4 || len(token) > 20_000:
		return nil, awsapi.Errorf("ValidationError", "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length between 4 and 20000")
	case form.Has("ProviderId"):
		return nil, awsapi.Errorf("ValidationError", "ProviderId is not to be given for OpenID Connect ID tokens")
	}
	if d := form.Get("DurationSeconds"); d != "" {
		n, err := strconv.Atoi(d)
		if err != nil || n < 900 || n > 43_200 {
			return nil, awsapi.Errorf("ValidationError", "1 validation error detected: Value '%s' at 'durationSeconds' failed to satisfy constraint: Member must have value between 900 and 43200", d)
		}
		seconds = n
	}
	token, err := parseIDToken(form.Get("WebIdentityToken"))
	if err != nil {
		return nil, awsapi.Errorf("InvalidIdentityToken", "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	e.Mu.Lock()
	provider, known := e.federation.providers[token.Issuer]
	statements := e.federation.roles[form.Get("RoleArn")]
	e.Mu.Unlock()
	if !known || m[1] != e.Account() {
		return nil, awsapi.Errorf("InvalidIdentityToken", "No OpenIDConnect provider found in your account for %s", token.Issuer)
	}
	if err := token.verify(r, provider); err != nil {
		return nil, awsapi.Errorf("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	}
	if now := time.Now().Unix(); now >= token.Expires {
		return nil, awsapi.Errorf("ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d", now, token.Expires)
	}
	if !slices.Contains(provider.ClientIDs, token.Audience) {
		return nil, awsapi.Errorf("InvalidIdentityToken", "Incorrect token audience")
	}
	arn := "arn:aws:iam::" + e.Account() + ":oidc-provider/" + strings.TrimPrefix(token.Issuer, "https://")
	if !trusted(statements, arn, token) {
		return nil, &awsapi.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	}
	user, credentials := e.startSession(m[1], m[2], name, seconds)
	return stsWebIdentityRole{user, credentials, arn, token.Audience, token.Subject}, nil
}

// idToken is a JSON Web Token and the claims that count.
type idToken struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`

	kid       string
	signed    string // header and payload
	signature []byte
}

func parseIDToken(text string) (idToken, error) {
	var t idToken
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return t, errors.New("no JWT")
	}
	var header struct{ Alg, Kid, Typ string }
	for i, into := range []any{&header, &t} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return t, err
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return t, err
		}
	}
	if header.Alg != "RS256" || t.Issuer == "" || t.Subject == "" {
		return t, errors.New("no RS256 token with iss and sub")
	}
	var err error
	t.kid, t.signed = header.Kid, parts[0]+"."+parts[1]
	t.signature, err = base64.RawURLEncoding.DecodeString(parts[2])
	return t, err
}

// verify checks the signature with the key that the issuer publishes.
func (t idToken) verify(r *http.Request, p OIDCProvider) error {
	client := &http.Client{Transport: p.Transport}
	get := func(address string, into any) error {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", address, response.Status)
		}
		return json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(into)
	}
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := get(strings.TrimSuffix(t.Issuer, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return err
	}
	if discovery.Issuer != t.Issuer {
		return fmt.Errorf("the discovery document is that of %s", discovery.Issuer)
	}
	var set struct {
		Keys []struct{ Kid, Kty, N, E string }
	}
	if err := get(discovery.Keys, &set); err != nil {
		return err
	}
	for _, k := range set.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(k.N)
		exponent, errE := base64.RawURLEncoding.DecodeString(k.E)
		if k.Kid != t.kid || k.Kty != "RSA" || errN != nil || errE != nil {
			continue
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(exponent).Int64())}
		digest := sha256.Sum256([]byte(t.signed))
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], t.signature)
	}
	return fmt.Errorf("the issuer has no key %q", t.kid)
}
