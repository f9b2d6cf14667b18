// Package probe asks a URL whether what answers there is well: its status, and a
// text that its body has to contain. It asks again while it is not, a bounded number
// of times, each time on a new connection and bounded in time and in bytes.
//
// It follows redirects, but not to addresses that a page must not send an agent to:
// link-local ones, where clouds keep the credentials of their machines, and the
// agent itself.
//
// The package does not know deployments, sends nothing but GET requests, and
// composes no sentences but errors: whoever prints what a page answered has to make
// it harmless.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// AttemptLimit is how long one attempt may take, redirects and body included.
	AttemptLimit = 10 * time.Second
	// Pause is the time between two attempts.
	Pause = 5 * time.Second
	// bodyLimit is how much of a body is read.
	bodyLimit = 1 << 20
	// excerptLimit is how many bytes of a body are shown at most.
	excerptLimit = 160
	// headerLimit is how many bytes of headers are read.
	headerLimit = 64 << 10
	// maxRedirects is how many redirects one attempt follows.
	maxRedirects = 5
)

// Check is what is asked of a URL.
type Check struct {
	URL     string
	Host    string            // that the request names instead of the URL's, also to TLS; empty is the URL's
	Headers map[string]string // further headers
	Status  Range             // the zero Range is 200 to 299
	Body    string            // text that the body has to contain; empty is any
	Retries int               // further attempts after the first
}

// Range is a range of statuses, both ends included.
type Range struct{ From, To int }

// String is 200, or 200-299.
func (r Range) String() string {
	if r.From == r.To {
		return fmt.Sprint(r.From)
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

// Statuses is the range of statuses that the check takes.
func (c Check) Statuses() Range {
	if c.Status == (Range{}) {
		return Range{200, 299}
	}
	return c.Status
}

// followsRedirects reports whether a redirect is no answer by itself.
func (c Check) followsRedirects() bool {
	r := c.Statuses()
	return r.To < 300 || r.From > 399
}

// Outcome is how an attempt ended.
type Outcome string

// The outcomes.
const (
	Passed      Outcome = "passed"
	WrongStatus Outcome = "wrongStatus"
	WrongBody   Outcome = "wrongBody"
	Unreachable Outcome = "unreachable"
	TimedOut    Outcome = "timedOut"  // no whole answer within AttemptLimit
	Forbidden   Outcome = "forbidden" // an address that is never asked
)

// Attempt is one request and what came of it.
type Attempt struct {
	Number, Of int
	Outcome    Outcome
	Status     int    // 0 where there was no answer
	Excerpt    string // the beginning of the body, on one line; text from outside
	Err        error  // why there was no answer
	Took       time.Duration
}

// Prober makes requests through a transport. It is safe for concurrent use.
type Prober struct{ transport http.RoundTripper }

// New returns a prober. The transport should be one of [NewTransport].
func New(transport http.RoundTripper) *Prober { return &Prober{transport} }

// NewTransport returns a transport that opens a new connection for each request and
// none to a link-local address, whatever name leads there. Through a proxy, names are
// not resolved here: then only addresses that are written out are refused. setUp may
// set proxy and certificate authorities.
func NewTransport(setUp func(*http.Transport)) *http.Transport {
	dialer := &net.Dialer{Timeout: AttemptLimit, Control: refuseAddress}
	t := &http.Transport{
		DialContext: dialer.DialContext, DisableKeepAlives: true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    AttemptLimit,
		MaxResponseHeaderBytes: headerLimit,
	}
	setUp(t)
	return t
}

// Run makes attempts until one passes, or there are none left, and shows each. The
// last one is returned. The error is why ctx ended.
func (p *Prober) Run(ctx context.Context, c Check, show func(Attempt)) (Attempt, error) {
	for n := 1; ; n++ {
		begin := time.Now()
		a := p.attempt(ctx, c)
		if ctx.Err() != nil {
			return a, context.Cause(ctx)
		}
		a.Number, a.Of, a.Took = n, c.Retries+1, time.Since(begin)
		show(a)
		if a.Outcome == Passed || a.Outcome == Forbidden || n > c.Retries {
			return a, nil
		}
		select {
		case <-ctx.Done():
			return a, context.Cause(ctx)
		case <-time.After(Pause):
		}
	}
}

// errAttempt is the cause of a context whose time for one attempt is over.
var errAttempt = errors.New("no whole answer")

func (p *Prober) attempt(ctx context.Context, c Check) Attempt {
	ctx, cancel := context.WithTimeoutCause(ctx, AttemptLimit, errAttempt)
	defer cancel()
	request, err := c.request(ctx)
	if err != nil {
		return Attempt{Outcome: Unreachable, Err: err}
	}
	if err := allowed(request.URL); err != nil {
		return Attempt{Outcome: Forbidden, Err: err}
	}
	client := http.Client{Transport: c.named(p.transport), CheckRedirect: c.redirect}
	response, err := client.Do(request)
	if err != nil {
		return failed(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err != nil {
		return failed(ctx, err)
	}
	return judge(c, response.StatusCode, body)
}

// judge compares an answer with what is expected.
func judge(c Check, status int, body []byte) Attempt {
	a := Attempt{Outcome: Passed, Status: status, Excerpt: excerpt(body)}
	switch r := c.Statuses(); {
	case status < r.From || status > r.To:
		a.Outcome = WrongStatus
	case !strings.Contains(string(body), c.Body):
		a.Outcome = WrongBody
	}
	return a
}

// request is the request of the check. The user of a URL becomes a header.
func (c Check) request(ctx context.Context) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return nil, errors.New("the URL cannot be read") // the error shows all of it
	}
	request.Host = c.Host // an empty one is the URL's
	request.Header.Set("User-Agent", "ecs-deploy")
	request.Header.Set("Cache-Control", "no-cache")
	for name, value := range c.Headers {
		request.Header.Set(name, value)
	}
	return request, nil
}

// named is the transport with the name that TLS has to prove.
func (c Check) named(transport http.RoundTripper) http.RoundTripper {
	t, is := transport.(*http.Transport)
	if !is || c.Host == "" {
		return transport
	}
	t = t.Clone()
	t.TLSClientConfig.ServerName, _, _ = strings.Cut(c.Host, ":")
	return t
}

// redirect decides whether a redirect is followed.
func (c Check) redirect(next *http.Request, before []*http.Request) error {
	if !c.followsRedirects() {
		return http.ErrUseLastResponse
	}
	next.Header.Del("Referer") // it has the query of the page before
	switch from := before[0].URL; {
	case len(before) > maxRedirects:
		return &redirectError{fmt.Sprintf("more than %d redirects", maxRedirects)}
	case c.Host != "" && next.URL.Host != from.Host:
		return &redirectError{"a redirect from the load balancer's own address to " + next.URL.Host}
	case from.Scheme == "https" && next.URL.Scheme != "https":
		return &redirectError{"a redirect from https to " + next.URL.Scheme}
	case local(next.URL.Hostname()) && !local(from.Hostname()):
		return &redirectError{"a redirect to the agent itself, " + next.URL.Host}
	}
	return allowed(next.URL)
}

// redirectError is a redirect that is not followed.
type redirectError struct{ what string }

func (e *redirectError) Error() string { return e.what + " is not followed" }

// failed is an attempt without an answer. The URL, which Go puts into its errors, is
// left out: it may have secrets.
func failed(ctx context.Context, err error) Attempt {
	if wrapped, is := errors.AsType[*url.Error](err); is {
		err = wrapped.Err
	}
	if _, is := errors.AsType[*addressError](err); is {
		return Attempt{Outcome: Forbidden, Err: err}
	}
	if _, is := errors.AsType[*redirectError](err); is {
		return Attempt{Outcome: Forbidden, Err: err}
	}
	if context.Cause(ctx) == errAttempt || errors.Is(err, context.DeadlineExceeded) {
		return Attempt{Outcome: TimedOut, Err: err}
	}
	return Attempt{Outcome: Unreachable, Err: err}
}

// excerpt is the beginning of a body on one line; "" where it is no text.
func excerpt(body []byte) string {
	cut := len(body) > excerptLimit
	if cut {
		body = body[:excerptLimit]
		for len(body) > 0 {
			if r, size := utf8.DecodeLastRune(body); r != utf8.RuneError || size != 1 {
				break
			}
			body = body[:len(body)-1]
		}
	}
	if !utf8.Valid(body) {
		return ""
	}
	text := strings.Join(strings.FieldsFunc(string(body), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if cut && text != "" {
		text += "…"
	}
	return text
}
