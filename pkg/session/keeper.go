package session

// What all sessions of roles have in common: they are renewed early, and kept
// while a renewal fails.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

const (
	// renewBefore is how long before the end of a session the next one is
	// asked for: time enough for a throttled or unreachable STS to come back.
	renewBefore = 5 * time.Minute

	// renewAgain is the pause after a renewal that was refused while the
	// session in hand is still good.
	renewAgain = 30 * time.Second
)

func renewing(p aws.CredentialsProvider) *aws.CredentialsCache {
	return aws.NewCredentialsCache(p, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore })
}

// keeper is the part of a provider that keeps its session. The cache around the
// provider makes its calls one at a time.
type keeper struct {
	log     *slog.Logger
	mask    func(secret string)
	expires time.Time // of the session in hand; the cache only knows its own, earlier time
}

// keep notes a new session. Its secrets are masked before anybody can use them.
func (k *keeper) keep(c aws.Credentials) aws.Credentials {
	maskKeys(k.mask, c)
	k.expires = c.Expires
	return c
}

func maskKeys(mask func(string), c aws.Credentials) {
	for _, secret := range []string{c.SecretAccessKey, c.SessionToken} {
		mask(secret)
	}
}

// once passes each secret on a single time. Credentials are asked for with every
// call, and an agent's log need not hear of them every time.
func once(mask func(string)) func(string) {
	var mu sync.Mutex
	known := map[string]bool{"": true}
	return func(secret string) {
		mu.Lock()
		defer mu.Unlock()
		if mask != nil && !known[secret] {
			known[secret] = true
			mask(secret)
		}
	}
}

// HandleFailToRefresh keeps a session that is still good when its renewal fails,
// and has the cache try again soon. The cache subtracts renewBefore from the
// expiry it is given.
func (k *keeper) HandleFailToRefresh(ctx context.Context, held aws.Credentials, err error) (aws.Credentials, error) {
	now := time.Now()
	if !held.HasKeys() || !now.Before(k.expires) {
		return aws.Credentials{}, err
	}
	k.log.WarnContext(ctx, "the role's session could not be renewed yet", "until", k.expires.UTC(), "error", err)
	held.Expires = now.Add(renewAgain + renewBefore)
	if held.Expires.After(k.expires.Add(renewBefore)) {
		held.Expires = k.expires.Add(renewBefore)
	}
	return held, nil
}

// masked masks the credentials of a provider that is not ours, the moment they
// are first handed out.
type masked struct {
	aws.CredentialsProvider
	mask func(string)
}

func (m masked) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := m.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return c, withoutOutput(err)
	}
	maskKeys(m.mask, c)
	return c, nil
}

// withoutOutput leaves out of an error what a credential_process printed: the SDK quotes
// all of it where it is not what it expects, and it may hold secrets under any name.
func withoutOutput(err error) error {
	failed, is := errors.AsType[*processcreds.ProviderError](err)
	if !is || failed.Err == nil || !strings.Contains(failed.Err.Error(), "process output: ") {
		return err
	}
	before, _, _ := strings.Cut(err.Error(), failed.Error())
	return fmt.Errorf("%s%w", before, &outputError{errors.Unwrap(failed.Err)})
}

// outputError is output of a credential_process that cannot be read. Its text has none
// of the output but the word that JSON's decoder stumbled over.
type outputError struct{ err error }

func (e *outputError) Error() string {
	if e.err == nil {
		return "the output of credential_process is not as expected"
	}
	return fmt.Sprintf("the output of credential_process is not as expected: %v", e.err)
}

func (e *outputError) Unwrap() error { return e.err }

// Hint says what the output has to be.
func (*outputError) Hint() string {
	return "credential_process (shared AWS config file of this agent) has to print one JSON object to standard output and nothing else, with the number 1 as Version, AccessKeyId, SecretAccessKey, " +
		"and for a session SessionToken and Expiration; what it printed is not shown, since that may hold secrets"
}

// IsCredentialsProvider lets [aws.IsCredentialsProvider] see the provider inside.
func (m masked) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(m.CredentialsProvider, target)
}
