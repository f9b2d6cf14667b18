package image

// What goes wrong on the way to a registry, and what comes of it. Time is
// faked, so that a minute of pauses costs nothing.

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

func TestJudge(t *testing.T) {
	status := func(s int, codes ...string) error {
		e := &statusError{Operation: opSendBlob, Status: s}
		for _, c := range codes {
			e.Errors = append(e.Errors, registryError{Code: c})
		}
		return e
	}
	cases := []struct {
		name string
		err  error
		want action
	}{
		{"connection cut", io.ErrUnexpectedEOF, tryAgain},
		{"connection reset", &net.OpError{Op: "write", Err: syscall.ECONNRESET}, tryAgain},
		{"connection refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, tryAgain},
		{"no such host", &net.DNSError{IsNotFound: true}, tryAgain},
		{"stalled", errStalled, tryAgain},
		{"timeout", context.DeadlineExceeded, tryAgain},
		{"cancelled", context.Canceled, giveUp},
		{"throttled", status(429), tryAgain},
		{"throttled with another status", status(400, "TOOMANYREQUESTS"), tryAgain},
		{"server error", status(500), tryAgain},
		{"unavailable", status(503), tryAgain},
		{"a method that it does not have", status(501), giveUp},
		{"session gone", status(404, "BLOB_UPLOAD_UNKNOWN"), tryAgain},
		{"session broken", status(416), tryAgain},
		{"bytes changed on the way", status(400, "DIGEST_INVALID"), tryAgain},
		{"token expired", status(401), renew},
		{"denied", status(403, "DENIED"), renew},
		{"repository missing", status(404, "NAME_UNKNOWN"), giveUp},
		{"bad request", status(400), giveUp},
		{"layer missing", status(404, "MANIFEST_BLOB_UNKNOWN"), giveUp},
		{"handshake unavailable", &transport.Error{StatusCode: 503}, tryAgain},
		{"handshake refused", &transport.Error{StatusCode: 401}, renew},
		{"file gone", &sourceError{"layer.tar", io.ErrUnexpectedEOF}, giveUp},
		{"damaged", final("damaged"), giveUp},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := judge(c.err); got.action != c.want {
				t.Errorf("judged %d, want %d", got.action, c.want)
			}
		})
	}
}

func TestPause(t *testing.T) {
	for try := 1; try < 100; try++ {
		full := longestPause
		if try < 8 {
			full = min(full, firstPause<<(try-1))
		}
		if d := pause(try, 0); d < full/2 || d > full {
			t.Errorf("try %d: %s, want %s to %s", try, d, full/2, full)
		}
	}
	if d := pause(1, time.Minute); d != time.Minute {
		t.Errorf("asked for a minute: %s", d)
	}
	now := time.Now()
	soon, cancel := context.WithDeadline(t.Context(), now.Add(time.Minute))
	defer cancel()
	for _, c := range []struct {
		ctx   context.Context
		pause time.Duration
		long  bool
	}{
		{t.Context(), time.Minute, false}, {t.Context(), 24 * time.Hour, true}, {soon, 30 * time.Second, false}, {soon, 90 * time.Second, true},
	} {
		if why := tooLong(c.ctx, c.pause, now); (why != "") != c.long {
			t.Errorf("pause of %s: %q", c.pause, why)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"soon":                          0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:03:05 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// faultCase is a fault and what must come of it within a time.
type faultCase struct {
	name   string
	faults func(g *testRegistry) []fault
	within time.Duration
	fails  string // part of the error; empty when the push must succeed
}

var faultCases = []faultCase{
	{"cut twice", func(*testRegistry) []fault { return []fault{{"PATCH", 2, cut}, {"PUT blobs", 2, cut}} }, time.Minute, ""},
	{"manifest 429 five times", func(*testRegistry) []fault {
		return []fault{{"PUT manifests", 5, answer(429, "TOOMANYREQUESTS", "Rate exceeded")}}
	}, time.Minute, ""},
	{"POST 429 three times", func(*testRegistry) []fault {
		return []fault{{"POST", 3, answer(429, "TOOMANYREQUESTS", "Rate exceeded")}}
	}, time.Minute, ""},
	{"POST 503 three times", func(*testRegistry) []fault { return []fault{{"POST", 3, answer(503, "", "")}} }, time.Minute, ""},
	{"PUT 500 twice", func(*testRegistry) []fault { return []fault{{"PUT blobs", 2, answer(500, "", "")}} }, time.Minute, ""},
	{"stall", func(*testRegistry) []fault { return []fault{{"PATCH", 1, hang}, {"PUT blobs", 1, hang}} }, 3 * time.Minute, ""},
	{"answers stall", func(*testRegistry) []fault {
		return []fault{{"GET", 1, hang}, {"HEAD", 1, hang}, {"POST", 1, hang}, {"PUT manifests", 1, hang}}
	}, 6 * time.Minute, ""},
	{"answer to PUT lost", func(g *testRegistry) []fault { return []fault{{"PUT blobs", 3, g.loseAnswer}} }, time.Minute, ""},
	{"answer to the manifest lost", func(g *testRegistry) []fault { return []fault{{"PUT manifests", 1, g.loseAnswer}} }, time.Minute, ""},
	{"session broken", func(*testRegistry) []fault {
		return []fault{{"PATCH", 1, answer(416, "BLOB_UPLOAD_INVALID", "")}, {"PUT blobs", 2, answer(416, "", "")}}
	}, time.Minute, ""},
	{"Retry-After", func(*testRegistry) []fault {
		return []fault{{"POST", 1, answer(429, "TOOMANYREQUESTS", "", "Retry-After", "90")}}
	}, 3 * time.Minute, ""},
	{"unavailable for good", func(*testRegistry) []fault {
		return []fault{{"POST", 1 << 20, answer(503, "UNAVAILABLE", "come back later")}}
	}, 2 * time.Minute, "come back later"},
	{"stalls for good", func(*testRegistry) []fault { return []fault{{"PATCH", 1 << 20, hang}} }, 15 * time.Minute, "no bytes moved"},
	{"repository missing", func(*testRegistry) []fault {
		return []fault{{"POST", 1 << 20, answer(404, "NAME_UNKNOWN", "The repository with name 'app' does not exist")}}
	}, time.Second, "there is no such repository"},
	{"token expires", func(*testRegistry) []fault {
		return []fault{{"PATCH", 1, answer(401, "UNAUTHORIZED", "expired")}, {"PUT blobs", 1, answer(401, "", "")}, {"PUT manifests", 1, answer(403, "DENIED", "Your authorization token has expired.")}}
	}, time.Second, ""},
	{"repository missing, told by ending connections", func(*testRegistry) []fault {
		return []fault{{"GET manifests", 1 << 20, answer(404, "NAME_UNKNOWN", "")}, {"POST", 1 << 20, cut}}
	}, 10 * time.Second, "there is no such repository"},
	{"repository made by the first push", func(*testRegistry) []fault {
		return []fault{{"GET manifests", 1, answer(404, "NAME_UNKNOWN", "")}, {"POST", 1, cut}, {"PUT blobs", 3, cut}}
	}, time.Minute, ""},
	{"denied", func(*testRegistry) []fault {
		return []fault{{"POST", 1 << 20, answer(403, "DENIED", "not authorized to perform: ecr:InitiateLayerUpload")}}
	}, time.Second, "not allowed to start the upload of a layer"},
}

// A registry that is being replaced refuses connections for a while. One that was
// never there is probably a mistake.
func TestConnectionsRefused(t *testing.T) {
	path := write(t, "a.tar", docker20(t, newSample(t, amd64, rawLayer(t, 1, 100_000))))
	for _, c := range []struct {
		name   string
		from   string // the first request that is refused
		away   time.Duration
		within time.Duration
		fails  bool
	}{
		{"in the middle", "PUT blobs", 20 * time.Second, time.Minute, false},
		{"from the beginning", "GET manifests", 20 * time.Second, 5 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(t, path, Options{})
				defer m.Close()
				start := time.Now()
				registry := &absent{inner: direct{newTestRegistry()}, from: c.from, away: c.away}
				_, err := Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Transport: registry, Auth: &authn.Basic{Username: "AWS", Password: "token"}}, PushOptions{})
				if took := time.Since(start); took > c.within || (err != nil) != c.fails {
					t.Errorf("%v after %s", err, took)
				}
			})
		})
	}
}

// absent refuses connections for a while, beginning with a kind of request.
type absent struct {
	inner http.RoundTripper
	from  string
	away  time.Duration

	mu   sync.Mutex
	left time.Time
}

func (a *absent) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	if a.left.IsZero() && requestKind(r) == a.from {
		a.left = time.Now()
	}
	gone := !a.left.IsZero() && time.Since(a.left) < a.away
	a.mu.Unlock()
	if gone {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	return a.inner.RoundTrip(r)
}

func TestFaults(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, 100_000))
	path := write(t, "a.tar", docker20(t, s))
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newTestRegistry()
				g.faults = c.faults(g)
				m, err := Open(t.Context(), path, Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				start := time.Now()
				r, err := Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Transport: direct{g}}, PushOptions{lead: smallLead})
				if took := time.Since(start); took > c.within {
					t.Errorf("took %s, more than %s", took, c.within)
				}
				if c.fails != "" {
					if err == nil || !strings.Contains(err.Error(), c.fails) {
						t.Errorf("error %v, want one that says %q", err, c.fails)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if d, id := glance(t, r.URI, remote.WithTransport(direct{g})); id != s.id() || d.Digest.String() != r.Digest {
					t.Errorf("the image arrived as %s, %s", d.Digest, id)
				}
			})
		})
	}
}

// Errors of one kind are of one type, and name what they are about.
func TestTypedErrors(t *testing.T) {
	path := write(t, "a.tar", docker20(t, newSample(t, amd64, rawLayer(t, 1, 1000))))
	push := func(t *testing.T, f fault) error {
		m := open(t, path, Options{})
		repo := newTestRegistry(f).serve(t)
		_, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"1"}}, PushOptions{})
		return err
	}
	denied, ok := as[*DeniedError](push(t, fault{"PUT manifests", 1 << 20, answer(403, "DENIED", "no")}))
	if !ok || denied.Action != "ecr:PutImage" || denied.Message != "DENIED: no" {
		t.Errorf("denied: %+v", denied)
	}
	if missing, ok := as[*NotFoundError](push(t, fault{"POST", 1 << 20, answer(404, "NAME_UNKNOWN", "no")})); !ok || !missing.Repository {
		t.Errorf("missing: %+v", missing)
	}
	// A registry that has set the tag in the meantime refuses to move it.
	err := push(t, fault{"PUT manifests", 1 << 20, answer(400, "TAG_INVALID", "The image tag '1' already exists in the 'app' repository and cannot be overwritten because the repository is immutable.")})
	if err == nil || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("immutable: %v", err)
	}
}

// lockedRegistry takes only the newest password.
type lockedRegistry struct {
	*testRegistry
	password atomic.Int32
	given    atomic.Int32
	dropped  atomic.Int32
}

func (l *lockedRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, p, _ := r.BasicAuth(); p != string(rune('a'+l.password.Load())) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		answer(401, "UNAUTHORIZED", "expired")(w, r)
		return
	}
	l.testRegistry.ServeHTTP(w, r)
}

// Authorization gives the password as it was when it was last asked for anew.
func (l *lockedRegistry) Authorization() (*authn.AuthConfig, error) {
	return &authn.AuthConfig{Username: "AWS", Password: string(rune('a' + l.given.Load()))}, nil
}

func (l *lockedRegistry) Renew() { l.dropped.Add(1); l.given.Store(l.password.Load()) }

// A token that expires in the middle of a push is replaced, once for all
// uploads in flight.
func TestTokenExpires(t *testing.T) {
	l := &lockedRegistry{testRegistry: newTestRegistry()}
	l.faults = []fault{{"PATCH", 1, func(w http.ResponseWriter, r *http.Request) {
		l.password.Add(1)
		answer(401, "UNAUTHORIZED", "expired")(w, r)
	}}}
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, big), rawLayer(t, 3, big))
	m := open(t, write(t, "a.tar", docker20(t, s)), Options{})
	r, err := Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Auth: l, Transport: direct{l}}, PushOptions{lead: smallLead})
	if err != nil {
		t.Fatal(err)
	}
	if n := l.dropped.Load(); n != 1 {
		t.Errorf("the token was dropped %d times, want once", n)
	}
	if _, id := glance(t, r.URI, remote.WithTransport(direct{l}), remote.WithAuth(l)); id != s.id() {
		t.Errorf("image ID %s, want %s", id, s.id())
	}
}

type brokenAuth struct{}

func (brokenAuth) Authorization() (*authn.AuthConfig, error) {
	return nil, errors.New("ecr:GetAuthorizationToken: AccessDenied")
}

// An authenticator that fails is not asked for a minute.
func TestNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m, err := Open(t.Context(), write(t, "a.tar", docker20(t, newSample(t, amd64, rawLayer(t, 1, 10)))), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		_, err = Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Auth: brokenAuth{}, Transport: direct{newTestRegistry()}}, PushOptions{})
		if err == nil || !strings.Contains(err.Error(), "AccessDenied") || time.Since(start) > time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

// Progress comes at its interval and ends complete.
func TestProgress(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, 1000))
	path := write(t, "a.tar", docker20(t, s))
	synctest.Test(t, func(t *testing.T) {
		g := newTestRegistry(fault{"PATCH", 2, hang})
		m, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var last Progress
		ticks, layers := 0, 0
		_, err = Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Transport: direct{g}}, PushOptions{
			lead:             smallLead,
			ProgressInterval: 10 * time.Second,
			Progress: func(p Progress) {
				if p.Done > p.Total || p.LayersDone > p.Layers {
					t.Errorf("more than all: %+v", p)
				}
				if p.Layer != nil {
					layers++
				} else {
					ticks++
				}
				last = p
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if last.Done != last.Total || last.LayersDone != 3 || layers != 3 || last.Stage != StageUpload {
			t.Errorf("ended with %+v after %d layers", last, layers)
		}
		if ticks < 10 || ticks > 15 { // two stalls of a minute
			t.Errorf("told %d times", ticks)
		}
	})
}
