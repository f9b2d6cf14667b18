package registry

// Requests to one repository: the one that is pushed to, or the one that an
// image comes from. The library does the handshake and the tokens; sending,
// judging and repeating requests is done here.

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
)

// Client speaks to one repository.
type Client struct {
	Repo   name.Repository
	plain  bool   // plain HTTP is allowed
	scope  string // what is asked of the registry's own authorization service
	Auth   authn.Authenticator
	base   http.RoundTripper
	Direct bool          // base is this package's own
	Stall  time.Duration // for an answer without a body; see also upload.go
	Log    *slog.Logger
	hasty  bool

	// Unknown is set when the registry has said that it has no such repository.
	// Some make one with the first upload; ECR may end the connection then.
	Unknown atomic.Bool

	answered atomic.Bool // the registry is where it is looked for

	mu      sync.Mutex
	authed  http.RoundTripper // nil before the first request
	guessed bool              // authed comes of a guess, not of a handshake
	asked   bool              // the registry has been asked how it authorizes, or has to be
	renewed time.Time
}

// Access is how a repository is reached.
type Access struct {
	Repository string              // host/name
	Auth       authn.Authenticator // nil is anonymous
	Transport  http.RoundTripper   // nil is NewTransport's for the system's roots
	Insecure   bool                // plain HTTP may be spoken, if the registry does
	Stall      time.Duration       // how long nothing may move
	Log        *slog.Logger        // nil is silent
	Hasty      bool                // nothing is tried twice: there is another way
}

// NewClient prepares a client of the repository to be pushed to; it sends nothing.
func NewClient(a Access) (*Client, error) {
	repo, err := parseRepository(a.Repository, a.Insecure)
	if err != nil {
		return nil, err
	}
	c := NewReader(repo, a)
	c.scope, c.Stall = transport.PushScope, cmp.Or(a.Stall, DefaultStall)
	return c, nil
}

const DefaultStall = time.Minute

// NewReader prepares a client of a repository that is only read.
func NewReader(repo name.Repository, a Access) *Client {
	c := &Client{Repo: repo, plain: speaksPlain(repo.Registry, a.Insecure), scope: transport.PullScope, Auth: a.Auth, base: a.Transport, Stall: DefaultStall, Log: a.Log, hasty: a.Hasty}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Auth == nil {
		c.Auth = authn.Anonymous
	}
	if c.base == nil {
		c.base = defaultTransport()
	}
	_, c.Direct = c.base.(*Transport)
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

// Repository is host/name as the user wrote it.
func (c *Client) Repository() string { return c.Repo.RegistryStr() + "/" + c.Repo.RepositoryStr() }

// transport returns the authorized transport, and whether it is a guess: the
// handshake is saved where its outcome is foreseen, which is a user name and a
// password over TLS (as ECR's are), or nothing at all on this machine.
func (c *Client) transport(ctx context.Context) (t http.RoundTripper, guess bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.authed == nil && !c.asked {
		if err := c.guess(ctx); err != nil {
			return nil, false, err
		}
	}
	if c.authed == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, c.Stall, ErrStalled)
		defer cancel()
		t, err := transport.NewWithContext(ctx, c.Repo.Registry, authorizer{c.Auth}, c.base, []string{c.Repo.Scope(c.scope)})
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return nil, false, cause
			}
			if insecure, ok := errors.AsType[*InsecureError](err); ok {
				return nil, false, insecure
			}
			if distrusted(err) {
				return nil, false, &InsecureError{Host: c.Repo.RegistryStr(), Err: Redact(err)}
			}
			return nil, false, err
		}
		c.authed, c.guessed, c.asked = t, false, true
	}
	return c.authed, c.guessed, nil
}

// guess sets authed if the handshake can be saved.
func (c *Client) guess(ctx context.Context) error {
	inner := transport.NewUserAgent(c.base, "")
	local := c.scheme() == "http" && isLoopback(c.Repo.RegistryStr())
	if c.Auth == authn.Anonymous && local {
		c.authed, c.guessed = inner, true
		return nil
	}
	if c.scheme() != "https" || c.Auth == authn.Anonymous {
		return nil
	}
	a, err := authorizer{c.Auth}.AuthorizationContext(ctx)
	if err != nil {
		return err
	}
	if a.Username != "" && a.Password != "" && a.IdentityToken == "" && a.RegistryToken == "" {
		c.authed, c.guessed = &basic{inner, authorizer{c.Auth}, c.Repo.RegistryStr()}, true
	}
	return nil
}

// refuted says that a guess was wrong: the registry has to be asked.
func (c *Client) refuted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.guessed {
		c.authed, c.guessed, c.asked = nil, false, true
	}
}

// confirmed says that a guess was right.
func (c *Client) confirmed() {
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
		return nil, image.FinalError{Err: err}
	}
	return c, nil
}

// Renew forgets the authorization, so that the next request asks for it anew.
// When a token expires, all uploads in flight are refused at about the same
// time; one renewal serves them all.
func (c *Client) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.renewed.IsZero() && time.Since(c.renewed) < 10*time.Second {
		return
	}
	c.authed, c.renewed = nil, time.Now()
	if k, ok := c.Auth.(Renewer); ok {
		k.Renew()
	}
}

// Persist repeats f as judge says.
func (c *Client) Persist(ctx context.Context, what string, f func(context.Context) error) error {
	if c.hasty {
		return f(ctx)
	}
	cuts := 0
	return Persist(ctx, c.Log, what, c.Renew, func(ctx context.Context) error {
		err := f(ctx)
		if !c.Unknown.Load() || !isCut(err) {
			return err
		}
		if cuts++; cuts < FewTries {
			return err
		}
		return image.FinalError{Err: &NotFoundError{Ref: c.Repository(), Repository: true, Message: "it ends the connection: " + err.Error()}}
	})
}

// scheme is what requests are made with. The library would also try plain HTTP of
// private addresses; the transport that it returns knows what was agreed on.
func (c *Client) scheme() string {
	if c.plain {
		return "http"
	}
	return "https"
}

// URL is an address under the repository's own.
func (c *Client) URL(path string) string {
	return c.scheme() + "://" + c.Repo.RegistryStr() + "/v2/" + c.Repo.RepositoryStr() + "/" + path
}

// send sends one request and returns the answer if its status is one of ok. The
// caller closes the body. Redirects of GET are followed, to another host without
// credentials; those of other methods are answers.
func (c *Client) send(ctx context.Context, op operation, req *http.Request, ok ...int) (*http.Response, error) {
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
			return nil, image.FinalError{Err: insecure}
		}
		if distrusted(err) {
			return nil, image.FinalError{Err: &InsecureError{Host: req.URL.Host, Err: Redact(err)}}
		}
		if err = StalledOr(ctx, Redact(err)); c.answered.Load() {
			err = lostError{err}
		}
		return nil, fmt.Errorf("%s: %w", op.Name, err)
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
	defer Discard(resp)
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

// Ask is send for requests without a body worth watching: it has a time limit.
func (c *Client) Ask(ctx context.Context, op operation, method, address string, ok ...int) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Stall, ErrStalled)
	defer cancel()
	req, err := http.NewRequest(method, address, nil)
	if err != nil {
		return nil, nil, err
	}
	if op == OpReadManifest {
		req.Header.Set("Accept", manifestTypes)
	}
	resp, err := c.send(ctx, op, req, ok...)
	if err != nil {
		return nil, nil, err
	}
	defer Discard(resp)
	var body []byte
	if method == http.MethodGet {
		if body, err = image.ReadSmall(resp.Body, image.MaxDocument); err != nil {
			return nil, nil, fmt.Errorf("%s: the answer: %w", op.Name, StalledOr(ctx, err))
		}
	}
	return resp, body, nil
}

// NextPage is the address of the next page of a list, by the Link header of an answer (RFC
// 8288); empty where there is none. It is the registry's own.
func NextPage(resp *http.Response) (string, error) {
	for _, link := range resp.Header.Values("Link") {
		for one := range strings.SplitSeq(link, ",") {
			target, parameters, _ := strings.Cut(strings.TrimSpace(one), ";")
			if !nextPage.MatchString(parameters) || !strings.HasPrefix(target, "<") || !strings.HasSuffix(target, ">") {
				continue
			}
			u, err := url.Parse(target[1 : len(target)-1])
			if err != nil {
				return "", image.Final("the registry has the next page of a list at an unusable address")
			}
			at := resp.Request.URL
			if u = at.ResolveReference(u); u.Scheme == "http" && at.Scheme == "https" {
				u.Scheme = "https"
			}
			if u.Scheme != at.Scheme || !sameHost(u, at) || u.User != nil {
				return "", image.Final("the registry has the next page of a list at %s://%s, which is not its own address; nothing is asked there", u.Scheme, u.Host)
			}
			return u.String(), nil
		}
	}
	return "", nil
}

var nextPage = regexp.MustCompile(`(?i)(?:^|;)\s*rel\s*=\s*"?next"?\s*(?:;|$)`)

// manifestTypes are those the package can read.
var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList),
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
}, ", ")

// Discard reads the little that is left of an answer, so that the connection
// can be used again.
func Discard(resp *http.Response) {
	io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

// Redact takes the URL out of an error: an upload's carries the session's token.
func Redact(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Manifest is what a tag points to.
type Manifest struct {
	Desc   v1.Descriptor
	Config v1.Hash // zero for an index
	Raw    []byte
}

// Manifest reads what reference, a tag or digest, points to; nil when there is
// nothing.
func (c *Client) Manifest(ctx context.Context, reference string) (*Manifest, error) {
	var found *Manifest
	err := c.Persist(ctx, "manifest "+reference, func(ctx context.Context) error {
		resp, raw, err := c.Ask(ctx, OpReadManifest, http.MethodGet, c.URL("manifests/"+reference), http.StatusOK)
		var status *StatusError
		if errors.As(err, &status) && status.Status == http.StatusNotFound {
			if status.Has("NAME_UNKNOWN") {
				c.Unknown.Store(true)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if h, err := v1.NewHash(reference); err == nil && h.Algorithm == "sha256" && image.DigestOf(raw) != h {
			return image.FinalError{Err: fmt.Errorf("%s: %w", OpReadManifest.Name, &image.DigestError{Want: h, Got: image.DigestOf(raw)})}
		}
		m, mediaType, err := image.ParseManifest(raw, types.MediaType(resp.Header.Get("Content-Type")))
		if said, wrong := v1.NewHash(resp.Header.Get("Docker-Content-Digest")); err == nil && wrong == nil && said.Algorithm == "sha256" && said != image.DigestOf(raw) {
			return fmt.Errorf("%s: %w", OpReadManifest.Name, &image.DigestError{Want: said, Got: image.DigestOf(raw)})
		}
		if err != nil {
			// Whatever it is, it is there and it is not our image.
			mediaType = types.MediaType(resp.Header.Get("Content-Type"))
		}
		found = &Manifest{Desc: v1.Descriptor{MediaType: mediaType, Size: int64(len(raw)), Digest: image.DigestOf(raw)}, Raw: raw}
		if m.Config != nil {
			found.Config = m.Config.Digest
		}
		return nil
	})
	return found, err
}

// NotFound is the error for a manifest that is not there.
func (c *Client) NotFound(reference string) *NotFoundError {
	if c.Unknown.Load() {
		return &NotFoundError{Ref: c.Repository(), Repository: true}
	}
	separator := ":"
	if _, err := v1.NewHash(reference); err == nil {
		separator = "@"
	}
	return &NotFoundError{Ref: c.Repository() + separator + reference}
}

// OpenBlob opens a blob of the repository; its digest is not verified.
func (c *Client) OpenBlob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	req, err := http.NewRequest(http.MethodGet, c.URL("blobs/"+d.Digest.String()), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, OpReadBlob, req, http.StatusOK)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength >= 0 && resp.ContentLength != d.Size {
		resp.Body.Close()
		return nil, image.Final("the registry has %d bytes of %s instead of %d", resp.ContentLength, d.Digest, d.Size)
	}
	return resp.Body, nil
}

// OpenRenewed is OpenBlob, with new credentials where those at hand are refused.
func (c *Client) OpenRenewed(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	r, err := c.OpenBlob(ctx, d)
	if err != nil && judge(err).action == renew {
		c.Renew()
		r, err = c.OpenBlob(ctx, d)
	}
	return r, err
}

// CheckLayer reads a layer of the repository and compares it with what it has to unpack
// to. What is wrong with it is a *image.LayerError.
func (c *Client) CheckLayer(ctx context.Context, k image.LayerCheck) error {
	return c.Persist(ctx, "layer "+k.Desc.Digest.String(), func(ctx context.Context) error {
		ctx, watch := WatchStall(ctx, c.Stall)
		defer watch.Stop()
		r, err := c.OpenBlob(ctx, k.Desc)
		if err != nil {
			return err
		}
		defer r.Close()
		sum := sha256.New()
		from := newBody(r, sum, watch.Moved)
		err = compress.Compare(ctx, k, from)
		switch bad := (*image.LayerError)(nil); {
		case from.failed() != nil:
			return StalledOr(ctx, from.failed())
		case errors.As(err, &bad):
			if _, err := io.Copy(io.Discard, from); err == nil && image.HashOf(sum) != k.Desc.Digest {
				return &image.DigestError{Want: k.Desc.Digest, Got: image.HashOf(sum)}
			}
			return image.FinalError{Err: bad}
		}
		return err
	})
}

// Uploads send blobs to the repository.
func (c *Client) Uploads() Uploads { return Uploads{c} }

// Read reads a small blob of the repository whole and verifies it.
func (c *Client) Read(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	var raw []byte
	err := c.Persist(ctx, "blob "+d.Digest.String(), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, c.Stall, ErrStalled)
		defer cancel()
		r, err := c.OpenBlob(ctx, d)
		if err != nil {
			return err
		}
		defer r.Close()
		if raw, err = image.ReadSmall(r, limit); err != nil {
			return fmt.Errorf("%s: the answer: %w", OpReadBlob.Name, StalledOr(ctx, err))
		}
		if int64(len(raw)) < d.Size {
			return fmt.Errorf("%s: %w", OpReadBlob.Name, io.ErrUnexpectedEOF)
		}
		if image.DigestOf(raw) != d.Digest {
			return image.FinalError{Err: fmt.Errorf("%s: %w", OpReadBlob.Name, &image.DigestError{Want: d.Digest, Got: image.DigestOf(raw)})}
		}
		return nil
	})
	return raw, err
}

// PutManifest stores a document under a tag or its digest.
func (c *Client) PutManifest(ctx context.Context, reference string, d image.Document) error {
	_, err := c.PutReferrer(ctx, reference, d)
	return err
}

// PutReferrer is putManifest, and says whether the registry has understood that
// the document refers to another one, so that it lists it there.
func (c *Client) PutReferrer(ctx context.Context, reference string, d image.Document) (listed bool, err error) {
	err = c.Persist(ctx, "manifest "+reference, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, c.Stall, ErrStalled)
		defer cancel()
		req, err := http.NewRequest(http.MethodPut, c.URL("manifests/"+reference), strings.NewReader(string(d.Raw)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", string(d.Desc.MediaType))
		resp, err := c.send(ctx, OpPutManifest, req, http.StatusCreated, http.StatusOK, http.StatusAccepted)
		if err != nil {
			return err
		}
		defer Discard(resp)
		if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != d.Desc.Digest.String() {
			return image.Final("the registry stored the manifest under %s instead of %s", got, d.Desc.Digest)
		}
		listed = resp.Header.Get("OCI-Subject") != ""
		if resp.StatusCode == http.StatusCreated {
			return nil
		}
		// What was created is answered 201. Whether something else means the same, shows.
		have, err := c.Manifest(ctx, reference)
		if err == nil && (have == nil || have.Desc.Digest != d.Desc.Digest) {
			err = fmt.Errorf("%s: the registry answered %d, and does not have the manifest", OpPutManifest.Name, resp.StatusCode)
		}
		return err
	})
	return listed, err
}

// Renewer is an authenticator that keeps its token and can be told that a
// registry refused it.
type Renewer interface{ Renew() }
