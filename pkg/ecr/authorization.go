package ecr

// Tokens for registries: fetched when first needed, renewed before they end,
// and dropped when a registry refuses them.

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
)

const (
	// renewBefore is how long before its end a token is replaced, so that an
	// upload started with it can finish. Tokens last 12 hours.
	renewBefore = 30 * time.Minute

	// freshFor is how long a new token is kept even if a registry refuses it:
	// the refusals of several uploads then cost one new token, and a registry
	// that refuses every token does not cause a call for each request.
	freshFor = 30 * time.Second
)

// Authenticator returns the credentials for the repository's registry. One token
// serves all registries of a region, so all authenticators of a client share it;
// asking for one is no call, the first request is.
//
// The returned value also implements [authn.ContextAuthenticator], and
// interface{ Renew() }: to be called after a 401 or 403 of the registry, Renew
// drops the token unless it is only seconds old, and the next request fetches
// another. ctx bounds only those calls that bring no context of their own.
func (c *Client) Authenticator(ctx context.Context, repo Repository) authn.Authenticator {
	return &authenticator{ctx: ctx, token: c.region(repo.Region).token, subject: "registry " + repo.Host()}
}

// Keychain returns the credentials for any registry whose host is one of ECR's,
// for images in other accounts and regions; any other host is [authn.Anonymous].
func (c *Client) Keychain() authn.Keychain { return keychain{c} }

type keychain struct{ c *Client }

var (
	_ authn.ContextKeychain      = keychain{}
	_ authn.ContextAuthenticator = (*authenticator)(nil)
)

func (k keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

func (k keychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	m := ecrHost.FindStringSubmatch(r.RegistryStr())
	if m == nil {
		return authn.Anonymous, nil
	}
	return &authenticator{ctx: ctx, token: k.c.region(m[2]).token, subject: "registry " + r.RegistryStr()}, nil
}

// authenticator is a token as the registry library wants it. The library's older
// method has no context, hence the one kept here.
type authenticator struct {
	ctx     context.Context
	token   *token
	subject string
}

func (a *authenticator) Authorization() (*authn.AuthConfig, error) {
	return a.AuthorizationContext(a.ctx)
}

func (a *authenticator) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	c, err := a.token.get(ctx)
	if err != nil {
		return nil, callError(a.subject, "ecr:GetAuthorizationToken", "*", err)
	}
	return &authn.AuthConfig{Username: c.user, Password: c.password}, nil
}

func (a *authenticator) Renew() { a.token.renew() }

// credential is a decoded token.
type credential struct {
	user, password  string
	endpoint        string // of the registry of the account that asks
	issued, expires time.Time
}

// token holds a region's credential. Its lock is a channel, so that whoever
// waits for another's call can still give up.
type token struct {
	api  *ecr.Client
	mask func(secrets ...string)
	lock chan struct{}
	held credential
}

func newToken(api *ecr.Client, mask func(secrets ...string)) *token {
	return &token{api: api, mask: mask, lock: make(chan struct{}, 1)}
}

func (t *token) get(ctx context.Context) (credential, error) {
	select {
	case t.lock <- struct{}{}:
		defer func() { <-t.lock }()
	case <-ctx.Done():
		return credential{}, ctx.Err()
	}
	if time.Now().Before(t.held.expires.Add(-renewBefore)) {
		return t.held, nil
	}
	out, err := t.api.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return credential{}, err
	}
	held, err := decodeToken(out)
	if err != nil {
		return credential{}, err
	}
	t.mask(held.password, held.user+":"+held.password)
	t.held = held
	return held, nil
}

// renew does nothing while a new token is being fetched: that one is new.
func (t *token) renew() {
	select {
	case t.lock <- struct{}{}:
		defer func() { <-t.lock }()
	default:
		return
	}
	if time.Since(t.held.issued) >= freshFor {
		t.held = credential{}
	}
}

var errToken = errors.New("the answer holds no token")

// decodeToken takes the token apart, base64 of user:password.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_AuthorizationData.html
func decodeToken(out *ecr.GetAuthorizationTokenOutput) (credential, error) {
	if len(out.AuthorizationData) == 0 {
		return credential{}, errToken
	}
	data := out.AuthorizationData[0]
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
	if err != nil {
		return credential{}, fmt.Errorf("%w that is base64", errToken) // not err: it quotes the token
	}
	user, password, found := strings.Cut(string(raw), ":")
	if !found || user == "" || password == "" {
		return credential{}, fmt.Errorf("%w of the form user:password", errToken)
	}
	return credential{user: user, password: password, endpoint: aws.ToString(data.ProxyEndpoint), issued: time.Now(), expires: aws.ToTime(data.ExpiresAt)}, nil
}
