package main

// Credentials that a run meets later than its inputs: those of the agent's Docker
// configuration, whose helpers are asked when an image is opened.

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
)

// maskedKeychain masks what a keychain hands out before anybody uses it.
type maskedKeychain struct {
	authn.Keychain
	mask func(secrets ...string)
}

// Resolve implements [authn.Keychain].
func (k maskedKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

// ResolveContext implements [authn.ContextKeychain].
func (k maskedKeychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	a, err := authn.Resolve(ctx, k.Keychain, r)
	if err != nil || a == authn.Anonymous {
		return a, err
	}
	c, err := authn.Authorization(ctx, a)
	if err != nil {
		return nil, err
	}
	if c.Username != "" && c.Password != "" {
		k.mask(c.Username + ":" + c.Password)
	}
	k.mask(c.Password, c.Auth, c.IdentityToken, c.RegistryToken)
	return a, nil
}
