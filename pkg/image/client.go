package image

// Requests to one repository: the one that is pushed to, or the one that an
// image comes from. The library does the handshake and the tokens; sending,
// judging and repeating requests is done here.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// client speaks to one repository.
type client struct {
	repo   name.Repository
	plain  bool   // plain HTTP is allowed
	scope  string // what is asked of the registry's own authorization service
	auth   authn.Authenticator
	base   http.RoundTripper
	direct bool          // base is this package's own
	stall  time.Duration // for an answer without a body; see also upload.go
	log    *slog.Logger

	// unknown is set when the registry has said that it has no such repository.
	// Some make one with the first upload; ECR may end the connection then.
	unknown atomic.Bool

	answered atomic.Bool // the registry is where it is looked for

	mu      sync.Mutex
	authed  http.RoundTripper // nil before the first request
	guessed bool              // authed comes of a guess, not of a handshake
	asked   bool              // the registry has been asked how it authorizes, or has to be
	renewed time.Time
}

// newClient prepares a client of the repository to be pushed to; it sends nothing.
func newClient(t Target, stall time.Duration, log *slog.Logger) (*client, error) {
	repo, err := parseRepository(t.Repository, t.Insecure)
	if err != nil {
		return nil, err
	}
	c := newReader(repo, t.Auth, t.Transport, log, t.Insecure)
	c.scope, c.stall = transport.PushScope, stall
	return c, nil
}

// newReader prepares a client of a repository that is only read.
func newReader(repo name.Repository, auth authn.Authenticator, base http.RoundTripper, log *slog.Logger, insecure bool) *client {
	c := &client{repo: repo, plain: speaksPlain(repo.Registry, insecure), scope: transport.PullScope, auth: auth, base: base, stall: defaultStall, log: log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.auth == nil {
		c.auth = authn.Anonymous
	}
	if c.base == nil {
		c.base = defaultTransport()
	}
	_, c.direct = c.base.(*Transport)
	c.base = &hostGuard{inner: c.base, host: repo.RegistryStr(), plain: c.plain}
	return c
}

// parseRepository reads host/name.
func parseRepository(s string, insecure bool) (name.Repository, error) {
	host, rest, ok := strings.Cut(s, "/")
	if !ok || rest == "" || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return name.Repository{}, fmt.Errorf("repository %q: want host/name", s)
	}
	opts := []name.Option{name.WeakValidation}
	if insecure {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(s, opts...)
	if err != nil {
		return name.Repository{}, fmt.Errorf("repository %q: want host/name: %w", s, err)
	}
	return repo, nil
}

// repository is host/name as the user wrote it.
func (c *client) repository() string { return c.repo.RegistryStr() + "/" + c.repo.RepositoryStr() }

// transport returns the authorized transport, and whether it is a guess: the
// handshake is saved where its outcome is foreseen, which is a user name and a
// password over TLS (as ECR's are), or nothing at all on this machine.
func (c *client) transport(ctx context.Context) (t http.RoundTripper, guess bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.authed == nil && !c.asked {
		if err := c.guess(ctx); err != nil {
			return nil, false, err
		}
	}
	if c.authed == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, c.stall, errStalled)
		defer cancel()
		t, err := transport.NewWithContext(ctx, c.repo.Registry, authorizer{c.auth}, c.base, []string{c.repo.Scope(c.scope)})
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return nil, false, cause
			}
			if insecure, ok := errors.AsType[*InsecureError](err); ok {
				return nil, false, insecure
			}
			if distrusted(err) {
				return nil, false, &InsecureError{Host: c.repo.RegistryStr(), Err: redact(err)}
			}
			return nil, false, err
		}
		c.authed, c.guessed, c.asked = t, false, true
	}
	return c.authed, c.guessed, nil
}

// guess sets authed if the handshake can be saved.
func (c *client) guess(ctx context.Context) error {
	inner := transport.NewUserAgent(c.base, "")
	local := c.scheme() == "http" && isLoopback(c.repo.RegistryStr())
	if c.auth == authn.Anonymous && local {
		c.authed, c.guessed = inner, true
		return nil
	}
	if c.scheme() != "https" || c.auth == authn.Anonymous {
		return nil
	}
	a, err := authorizer{c.auth}.AuthorizationContext(ctx)
	if err != nil {
		return err
	}
	if a.Username != "" && a.Password != "" && a.IdentityToken == "" && a.RegistryToken == "" {
		c.authed, c.guessed = &basic{inner, authorizer{c.auth}, c.repo.RegistryStr()}, true
	}
	return nil
}

// refuted says that a guess was wrong: the registry has to be asked.
func (c *client) refuted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.guessed {
		c.authed, c.guessed, c.asked = nil, false, true
	}
}

// confirmed says that a guess was right.
func (c *client) confirmed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guessed = false
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// basic sends a user name and a password along with requests to one host.
type basic struct {
	inner http.RoundTripper
	auth  authorizer
	host  string
}

func (b *basic) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == b.host {
		a, err := b.auth.AuthorizationContext(r.Context())
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		// A registry behind a proxy that ends TLS may give addresses of plain HTTP.
		r.URL.Scheme = "https"
		r.SetBasicAuth(a.Username, a.Password)
	}
	return b.inner.RoundTrip(r)
}

// authorizer marks errors of the authenticator as final: it has its own retries,
// and they are not the network's.
type authorizer struct{ authn.Authenticator }

func (a authorizer) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	c, err := authn.Authorization(ctx, a.Authenticator)
	if err != nil {
		return nil, finalError{err}
	}
	return c, nil
}

// renew forgets the authorization, so that the next request asks for it anew.
// When a token expires, all uploads in flight are refused at about the same
// time; one renewal serves them all.
func (c *client) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.renewed.IsZero() && time.Since(c.renewed) < 10*time.Second {
		return
	}
	c.authed, c.renewed = nil, time.Now()
	if k, ok := c.auth.(Renewer); ok {
		k.Renew()
	}
}

// persist repeats f as judge says.
func (c *client) persist(ctx context.Context, what string, f func(context.Context) error) error {
	cuts := 0
	return persist(ctx, c.log, what, c.renew, func(ctx context.Context) error {
		err := f(ctx)
		if !c.unknown.Load() || !isCut(err) {
			return err
		}
		if cuts++; cuts < fewTries {
			return err
		}
		return finalError{&NotFoundError{Ref: c.repository(), Repository: true, Message: "it ends the connection: " + err.Error()}}
	})
}

// scheme is what requests are made with. The library would also try plain HTTP of
// private addresses; the transport that it returns knows what was agreed on.
func (c *client) scheme() string {
	if c.plain {
		return "http"
	}
	return "https"
}

// url is an address under the repository's own.
func (c *client) url(path string) string {
	return c.scheme() + "://" + c.repo.RegistryStr() + "/v2/" + c.repo.RepositoryStr() + "/" + path
}

// send sends one request and returns the answer if its status is one of ok. The
// caller closes the body. Redirects of GET are followed, to another host without
// credentials; those of other methods are answers.
func (c *client) send(ctx context.Context, op operation, req *http.Request, ok ...int) (*http.Response, error) {
	t, guess, err := c.transport(ctx)
	if err != nil {
		return nil, err
	}
	hc := http.Client{Transport: t, CheckRedirect: follow}
	if req.Method != http.MethodGet {
		hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := hc.Do(req.WithContext(ctx))
	if err != nil {
		if insecure, ok := errors.AsType[*InsecureError](err); ok {
			return nil, finalError{insecure}
		}
		if distrusted(err) {
			return nil, finalError{&InsecureError{Host: req.URL.Host, Err: redact(err)}}
		}
		if err = stalledOr(ctx, redact(err)); c.answered.Load() {
			err = lostError{err}
		}
		return nil, fmt.Errorf("%s: %w", op.name, err)
	}
	c.answered.Store(true)
	for _, s := range ok {
		if resp.StatusCode == s {
			if guess {
				c.confirmed()
			}
			return resp, nil
		}
	}
	defer discard(resp)
	// A registry that speaks TLS answers plain HTTP with 400.
	if guess && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusBadRequest) && (req.Body == nil || req.GetBody != nil) {
		c.refuted()
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		return c.send(ctx, op, req, ok...)
	}
	return nil, newStatusError(op, resp)
}

// ask is send for requests without a body worth watching: it has a time limit.
func (c *client) ask(ctx context.Context, op operation, method, address string, ok ...int) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.stall, errStalled)
	defer cancel()
	req, err := http.NewRequest(method, address, nil)
	if err != nil {
		return nil, nil, err
	}
	if op == opReadManifest {
		req.Header.Set("Accept", manifestTypes)
	}
	resp, err := c.send(ctx, op, req, ok...)
	if err != nil {
		return nil, nil, err
	}
	defer discard(resp)
	var body []byte
	if method == http.MethodGet {
		if body, err = readSmall(resp.Body, maxDocument); err != nil {
			return nil, nil, fmt.Errorf("%s: the answer: %w", op.name, stalledOr(ctx, err))
		}
	}
	return resp, body, nil
}

// manifestTypes are those the package can read.
var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList),
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
}, ", ")

// discard reads the little that is left of an answer, so that the connection
// can be used again.
func discard(resp *http.Response) {
	io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

// redact takes the URL out of an error: an upload's carries the session's token.
func redact(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// remoteManifest is what a tag points to.
type remoteManifest struct {
	desc   v1.Descriptor
	config v1.Hash // zero for an index
	raw    []byte

	examined bool
	damage   error // what is wrong with its layers, once it is examined
}

// manifest reads what reference, a tag or digest, points to; nil when there is
// nothing.
func (c *client) manifest(ctx context.Context, reference string) (*remoteManifest, error) {
	var found *remoteManifest
	err := c.persist(ctx, "manifest "+reference, func(ctx context.Context) error {
		resp, raw, err := c.ask(ctx, opReadManifest, http.MethodGet, c.url("manifests/"+reference), http.StatusOK)
		var status *statusError
		if errors.As(err, &status) && status.Status == http.StatusNotFound {
			if status.has("NAME_UNKNOWN") {
				c.unknown.Store(true)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if h, err := v1.NewHash(reference); err == nil && h.Algorithm == "sha256" && digestOf(raw) != h {
			return finalError{fmt.Errorf("%s: %w", opReadManifest.name, &digestError{h, digestOf(raw)})}
		}
		m, mediaType, err := parseManifest(raw, types.MediaType(resp.Header.Get("Content-Type")))
		if err != nil {
			// Whatever it is, it is there and it is not our image.
			mediaType = types.MediaType(resp.Header.Get("Content-Type"))
		}
		found = &remoteManifest{desc: v1.Descriptor{MediaType: mediaType, Size: int64(len(raw)), Digest: digestOf(raw)}, raw: raw}
		if m.Config != nil {
			found.config = m.Config.Digest
		}
		return nil
	})
	return found, err
}

// notFound is the error for a manifest that is not there.
func (c *client) notFound(reference string) *NotFoundError {
	if c.unknown.Load() {
		return &NotFoundError{Ref: c.repository(), Repository: true}
	}
	separator := ":"
	if _, err := v1.NewHash(reference); err == nil {
		separator = "@"
	}
	return &NotFoundError{Ref: c.repository() + separator + reference}
}

// openBlob opens a blob of the repository; its digest is not verified.
func (c *client) openBlob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	req, err := http.NewRequest(http.MethodGet, c.url("blobs/"+d.Digest.String()), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, opReadBlob, req, http.StatusOK)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength >= 0 && resp.ContentLength != d.Size {
		resp.Body.Close()
		return nil, final("the registry has %d bytes of %s instead of %d", resp.ContentLength, d.Digest, d.Size)
	}
	return resp.Body, nil
}

// read reads a small blob of the repository whole and verifies it.
func (c *client) read(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	var raw []byte
	err := c.persist(ctx, "blob "+d.Digest.String(), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, c.stall, errStalled)
		defer cancel()
		r, err := c.openBlob(ctx, d)
		if err != nil {
			return err
		}
		defer r.Close()
		if raw, err = readSmall(r, limit); err != nil {
			return fmt.Errorf("%s: the answer: %w", opReadBlob.name, stalledOr(ctx, err))
		}
		if int64(len(raw)) < d.Size {
			return fmt.Errorf("%s: %w", opReadBlob.name, io.ErrUnexpectedEOF)
		}
		if digestOf(raw) != d.Digest {
			return finalError{fmt.Errorf("%s: %w", opReadBlob.name, &digestError{d.Digest, digestOf(raw)})}
		}
		return nil
	})
	return raw, err
}

// putManifest stores a document under a tag or its digest.
func (c *client) putManifest(ctx context.Context, reference string, d document) error {
	_, err := c.putReferrer(ctx, reference, d)
	return err
}

// putReferrer is putManifest, and says whether the registry has understood that
// the document refers to another one, so that it lists it there.
func (c *client) putReferrer(ctx context.Context, reference string, d document) (listed bool, err error) {
	err = c.persist(ctx, "manifest "+reference, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, c.stall, errStalled)
		defer cancel()
		req, err := http.NewRequest(http.MethodPut, c.url("manifests/"+reference), strings.NewReader(string(d.raw)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", string(d.desc.MediaType))
		resp, err := c.send(ctx, opPutManifest, req, http.StatusCreated, http.StatusOK, http.StatusAccepted)
		if err != nil {
			return err
		}
		defer discard(resp)
		if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != d.desc.Digest.String() {
			return final("the registry stored the manifest under %s instead of %s", got, d.desc.Digest)
		}
		listed = resp.Header.Get("OCI-Subject") != ""
		return nil
	})
	return listed, err
}
