// Package azdo speaks to Azure DevOps with the token of the job: an OIDC token for
// AWS, what lies between two builds, marks on builds and commits, and whether the
// run was cancelled. It knows Azure DevOps Services and Azure DevOps Server, whose
// collections have URLs with a path.
//
// Every answer is data or a typed error that may have a hint. Except for the OIDC
// token, a deployment never needs one: all calls that may delay it share one
// [Options.Budget] of time, and their errors are meant to be warnings.
//
// The package does not log or print, starts no goroutine, does not read the
// agent's variables, and repeats no call except the one for a token.
package azdo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
)

// Options say where Azure DevOps is, and in which run this is.
type Options struct {
	// CollectionURL is System.TeamFoundationCollectionUri:
	// https://dev.azure.com/org/ or https://server/tfs/DefaultCollection/.
	CollectionURL string

	// ReleaseURL is the URL of the job's own connection in a classic release,
	// which is that of the host that knows releases. Empty: Azure DevOps is asked.
	ReleaseURL string

	Project string // id or name
	Token   string // the job's token

	Build       int    // 0 in a classic release
	Release     int    // of a classic release; 0 for none
	Environment int    // Release.EnvironmentId, the stage of a classic release
	Job         string // System.JobId, a GUID

	OIDC OIDC

	// Transport carries all requests; nil is [http.DefaultTransport].
	Transport http.RoundTripper

	// Mask hears every token that is obtained before it is returned; may be nil.
	Mask func(secret string)

	// Budget is the time that all calls together, except those for OIDC tokens
	// and for [Client.Cancelled], may take; 0 means 10 seconds.
	Budget time.Duration
}

// OIDC says where an OIDC token is asked for. The zero value is nowhere, as on
// Azure DevOps Server.
type OIDC struct {
	RequestURI string // System.OidcRequestUri
	Hub        string // System.HostType; used with Plan and Options.Job where there is no RequestURI
	Plan       string // System.PlanId
}

const defaultBudget = 10 * time.Second

// How a call is tried again, which may be made twice: what one has set already, the
// next one sets again.
const (
	attempts     = 3
	attemptTakes = 3 * time.Second // of which one may be lost without an answer
	firstPause   = 500 * time.Millisecond
)

// Client makes the calls of one run. It may be used by several goroutines; calls
// that share the budget are made one after the other.
type Client struct {
	o        Options
	http     *http.Client
	base     string // the collection's URL without a slash at its end
	owner    string // the organization, or the collection
	releases string // URL of the host that knows releases; empty where it is not given
	project  string // of the builds and repositories that are meant, see In
	*shared
}

// shared is what all clients of a run have together.
type shared struct {
	mu     sync.Mutex // held during a call that takes from the budget
	budget time.Duration

	told struct {
		sync.Mutex
		texts map[string]bool
	}
}

// In returns the client for the builds of another project, by name or id: a classic
// release can deploy those, and a pipeline resource be one. An empty project is the
// run's own. The budget is the same one.
func (c *Client) In(project string) *Client {
	other := *c
	other.project = cmp.Or(project, c.o.Project)
	return &other
}

// New returns a client. It makes no call. The error says which part of the
// options is missing or malformed.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.CollectionURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the URL of the collection (System.TeamFoundationCollectionUri) is missing or malformed")
	}
	if o.Token == "" {
		return nil, errors.New("the agent gave no token of the job")
	}
	u.User = nil // the token is what authorizes
	u.RawQuery, u.Fragment = "", ""
	base := o.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	c := &Client{
		o:       o,
		base:    strings.TrimRight(u.String(), "/"),
		project: o.Project,
		shared:  &shared{budget: o.Budget},
		http: &http.Client{
			Transport:     &transport{base},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	c.releases = strings.TrimRight(o.ReleaseURL, "/")
	c.owner = organization(u)
	if c.budget == 0 {
		c.budget = defaultBudget
	}
	return c, nil
}

// organization is the last part of the collection's path, or of an old host name
// such as org.visualstudio.com the first.
func organization(u *url.URL) string {
	path := strings.Trim(u.Path, "/")
	if path == "" {
		name, _, _ := strings.Cut(u.Hostname(), ".")
		return name
	}
	return path[strings.LastIndexByte(path, '/')+1:]
}

// client returns the library's client for a base URL. The library's own ways to
// make one replace the transport, or lower-case the URL.
func (c *Client) client(base string) azuredevops.Client {
	return *azuredevops.NewClientWithOptions(&azuredevops.Connection{
		AuthorizationString:     "Bearer " + c.o.Token,
		BaseUrl:                 base,
		SuppressFedAuthRedirect: true,
	}, base, azuredevops.WithHTTPClient(c.http))
}

// call makes one call within the budget, with further attempts. what names it in
// errors; the permission is the one that it takes.
func (c *Client) call(ctx context.Context, what string, p permission, do func(context.Context) error) error {
	return c.try(ctx, attempts, what, p, do)
}

// callOnce is call for what must not be done twice.
func (c *Client) callOnce(ctx context.Context, what string, p permission, do func(context.Context) error) error {
	return c.try(ctx, 1, what, p, do)
}

func (c *Client) try(ctx context.Context, most int, what string, p permission, do func(context.Context) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.budget <= 0 {
		return &Error{Op: what, Text: "not asked, because earlier calls to Azure DevOps took too long", spent: true}
	}
	start := time.Now()
	defer func() { c.budget -= time.Since(start) }()
	for attempt := 1; ; attempt++ {
		wait := firstPause << (attempt - 1)
		bounded, cancel := context.WithTimeout(withWait(ctx, &wait), min(attemptTakes, c.budget-time.Since(start)))
		err := c.guarded(bounded, what, p, do)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil, attempt == most, !passes(err), wait >= c.budget-time.Since(start):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// passes reports whether another attempt may be answered: there was no answer, or one
// that says that the server is busy or failed.
func passes(err error) bool {
	e, is := errors.AsType[*Error](err)
	return is && !e.Denied && !e.spent && (e.Status == 0 || e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError)
}

// guarded turns what the library does with replies that it does not expect into
// errors: it dereferences members that are not there.
func (c *Client) guarded(ctx context.Context, what string, p permission, do func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Error{Op: what, Text: fmt.Sprintf("the answer of Azure DevOps is not complete (%v)", r)}
		}
	}()
	return c.explain(what, p, do(ctx))
}

// busy reports whether the server asks for fewer calls.
func busy(err error) bool {
	e, is := errors.AsType[*Error](err)
	return is && e.Status == http.StatusTooManyRequests
}

// FirstTime reports whether no error with the same text was passed to it before:
// one missing permission is one warning, however many calls it refuses.
func (c *Client) FirstTime(err error) bool {
	c.told.Lock()
	defer c.told.Unlock()
	text := err.Error()
	if e, ok := errors.AsType[*Error](err); ok {
		switch {
		case e.spent:
			text = "spent"
		case e.Denied:
			text = e.Permission
		}
	}
	if c.told.texts[text] {
		return false
	}
	if c.told.texts == nil {
		c.told.texts = map[string]bool{}
	}
	c.told.texts[text] = true
	return true
}

// value is what a pointer of the library points to; the zero value for nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
