package push

// What goes wrong on the way to a registry, and what comes of it. Time is
// faked, so that a minute of pauses costs nothing.

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

// faultCase is a fault and what must come of it within a time.
type faultCase struct {
	name   string
	faults func(g *imagetest.Registry) []imagetest.Fault
	within time.Duration
	fails  string // part of the error; empty when the push must succeed
}

var faultCases = []faultCase{
	{"cut twice", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PATCH", Times: 2, Do: imagetest.Cut}, {Match: "PUT blobs", Times: 2, Do: imagetest.Cut}}
	}, time.Minute, ""},
	{"manifest 429 five times", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PUT manifests", Times: 5, Do: imagetest.Answer(429, "TOOMANYREQUESTS", "Rate exceeded")}}
	}, time.Minute, ""},
	{"POST 429 three times", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "POST", Times: 3, Do: imagetest.Answer(429, "TOOMANYREQUESTS", "Rate exceeded")}}
	}, time.Minute, ""},
	{"POST 503 three times", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "POST", Times: 3, Do: imagetest.Answer(503, "", "")}}
	}, time.Minute, ""},
	{"PUT 500 twice", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PUT blobs", Times: 2, Do: imagetest.Answer(500, "", "")}}
	}, time.Minute, ""},
	{"stall", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PATCH", Times: 1, Do: imagetest.Hang}, {Match: "PUT blobs", Times: 1, Do: imagetest.Hang}}
	}, 3 * time.Minute, ""},
	{"answers stall", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "GET", Times: 1, Do: imagetest.Hang}, {Match: "HEAD", Times: 1, Do: imagetest.Hang}, {Match: "POST", Times: 1, Do: imagetest.Hang}, {Match: "PUT manifests", Times: 1, Do: imagetest.Hang}}
	}, 6 * time.Minute, ""},
	{"answer to PUT lost", func(g *imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PUT blobs", Times: 3, Do: g.LoseAnswer}}
	}, time.Minute, ""},
	{"answer to the manifest lost", func(g *imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PUT manifests", Times: 1, Do: g.LoseAnswer}}
	}, time.Minute, ""},
	{"manifest accepted, and not stored", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PUT manifests", Times: 2, Do: imagetest.Answer(202, "", "")}}
	}, time.Minute, ""},
	{"manifest never stored", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PUT manifests", Times: 1 << 20, Do: imagetest.Answer(200, "", "")}}
	}, 2 * time.Minute, "does not have the manifest"},
	{"session gone, without a code", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PATCH", Times: 1, Do: imagetest.Answer(404, "", "")}, {Match: "PUT blobs", Times: 1, Do: imagetest.Answer(410, "", "")}}
	}, time.Minute, ""},
	{"a session that does not say where it goes on", func(g *imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PATCH", Times: 1 << 20, Do: func(w http.ResponseWriter, r *http.Request) {
			whole := httptest.NewRecorder()
			g.Inner.ServeHTTP(whole, r)
			w.WriteHeader(whole.Code)
		}}}
	}, time.Second, ""},
	{"no looking for layers", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "HEAD blobs", Times: 1, Do: imagetest.Answer(405, "UNSUPPORTED", "")}}
	}, time.Second, ""},
	{"session broken", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PATCH", Times: 1, Do: imagetest.Answer(416, "BLOB_UPLOAD_INVALID", "")}, {Match: "PUT blobs", Times: 2, Do: imagetest.Answer(416, "", "")}}
	}, time.Minute, ""},
	{"Retry-After", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "POST", Times: 1, Do: imagetest.Answer(429, "TOOMANYREQUESTS", "", "Retry-After", "90")}}
	}, 3 * time.Minute, ""},
	{"unavailable for good", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "POST", Times: 1 << 20, Do: imagetest.Answer(503, "UNAVAILABLE", "come back later")}}
	}, 2 * time.Minute, "come back later"},
	{"stalls for good", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PATCH", Times: 1 << 20, Do: imagetest.Hang}}
	}, 15 * time.Minute, "no bytes moved"},
	{"repository missing", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "POST", Times: 1 << 20, Do: imagetest.Answer(404, "NAME_UNKNOWN", "The repository with name 'app' does not exist")}}
	}, time.Second, "there is no such repository"},
	{"token expires", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "PATCH", Times: 1, Do: imagetest.Answer(401, "UNAUTHORIZED", "expired")}, {Match: "PUT blobs", Times: 1, Do: imagetest.Answer(401, "", "")}, {Match: "PUT manifests", Times: 1, Do: imagetest.Answer(403, "DENIED", "Your authorization token has expired.")}}
	}, time.Second, ""},
	{"repository missing, told by ending connections", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "GET manifests", Times: 1 << 20, Do: imagetest.Answer(404, "NAME_UNKNOWN", "")}, {Match: "POST", Times: 1 << 20, Do: imagetest.Cut}}
	}, 10 * time.Second, "there is no such repository"},
	{"repository made by the first push", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "GET manifests", Times: 1, Do: imagetest.Answer(404, "NAME_UNKNOWN", "")}, {Match: "POST", Times: 1, Do: imagetest.Cut}, {Match: "PUT blobs", Times: 3, Do: imagetest.Cut}}
	}, time.Minute, ""},
	{"denied", func(*imagetest.Registry) []imagetest.Fault {
		return []imagetest.Fault{{Match: "POST", Times: 1 << 20, Do: imagetest.Answer(403, "DENIED", "not authorized to perform: ecr:InitiateLayerUpload")}}
	}, time.Second, "not allowed to start the upload of a layer"},
}

// A registry that is being replaced refuses connections for a while. One that was
// never there is probably a mistake.
func TestConnectionsRefused(t *testing.T) {
	path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000))))
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
				m := open(t, path, source.Options{})
				defer m.Close()
				start := time.Now()
				registry := &absent{inner: imagetest.Direct{Handler: imagetest.NewRegistry()}, from: c.from, away: c.away}
				_, err := Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Transport: registry, Auth: &authn.Basic{Username: "AWS", Password: "token"}}, Options{})
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
	if a.left.IsZero() && imagetest.RequestKind(r) == a.from {
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
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, 100_000))
	path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, s))
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := imagetest.NewRegistry()
				g.Faults = c.faults(g)
				m, err := source.Open(t.Context(), path, source.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				start := time.Now()
				r, err := Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: g}}, Options{lead: imagetest.SmallLead})
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
				if d, id := imagetest.Glance(t, r.URI, remote.WithTransport(imagetest.Direct{Handler: g})); id != s.ID() || d.Digest.String() != r.Digest {
					t.Errorf("the image arrived as %s, %s", d.Digest, id)
				}
			})
		})
	}
}

// Errors of one kind are of one type, and name what they are about.
func TestTypedErrors(t *testing.T) {
	path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))))
	push := func(t *testing.T, f imagetest.Fault) error {
		m := open(t, path, source.Options{})
		repo := imagetest.NewRegistry(f).Serve(t)
		_, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"1"}}, Options{})
		return err
	}
	denied, ok := errors.AsType[*registry.DeniedError](push(t, imagetest.Fault{Match: "PUT manifests", Times: 1 << 20, Do: imagetest.Answer(403, "DENIED", "no")}))
	if !ok || denied.Action != "ecr:PutImage" || denied.Message != "DENIED: no" {
		t.Errorf("denied: %+v", denied)
	}
	if missing, ok := errors.AsType[*registry.NotFoundError](push(t, imagetest.Fault{Match: "POST", Times: 1 << 20, Do: imagetest.Answer(404, "NAME_UNKNOWN", "no")})); !ok || !missing.Repository {
		t.Errorf("missing: %+v", missing)
	}
	// A registry that has set the tag in the meantime refuses to move it.
	err := push(t, imagetest.Fault{Match: "PUT manifests", Times: 1 << 20, Do: imagetest.Answer(400, "TAG_INVALID", "The image tag '1' already exists in the 'app' repository and cannot be overwritten because the repository is immutable.")})
	if err == nil || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("immutable: %v", err)
	}
}

// lockedRegistry takes only the newest password.
type lockedRegistry struct {
	*imagetest.Registry
	password atomic.Int32
	given    atomic.Int32
	dropped  atomic.Int32
}

func (l *lockedRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, p, _ := r.BasicAuth(); p != string(rune('a'+l.password.Load())) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		imagetest.Answer(401, "UNAUTHORIZED", "expired")(w, r)
		return
	}
	l.Registry.ServeHTTP(w, r)
}

// Authorization gives the password as it was when it was last asked for anew.
func (l *lockedRegistry) Authorization() (*authn.AuthConfig, error) {
	return &authn.AuthConfig{Username: "AWS", Password: string(rune('a' + l.given.Load()))}, nil
}

func (l *lockedRegistry) Renew() { l.dropped.Add(1); l.given.Store(l.password.Load()) }

// A token that expires in the middle of a push is replaced, once for all
// uploads in flight.
func TestTokenExpires(t *testing.T) {
	l := &lockedRegistry{Registry: imagetest.NewRegistry()}
	l.Faults = []imagetest.Fault{{Match: "PATCH", Times: 1, Do: func(w http.ResponseWriter, r *http.Request) {
		l.password.Add(1)
		imagetest.Answer(401, "UNAUTHORIZED", "expired")(w, r)
	}}}
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, imagetest.Big), imagetest.RawLayer(t, 3, imagetest.Big))
	m := open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), source.Options{})
	r, err := Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Auth: l, Transport: imagetest.Direct{Handler: l}}, Options{lead: imagetest.SmallLead})
	if err != nil {
		t.Fatal(err)
	}
	if n := l.dropped.Load(); n != 1 {
		t.Errorf("the token was dropped %d times, want once", n)
	}
	if _, id := imagetest.Glance(t, r.URI, remote.WithTransport(imagetest.Direct{Handler: l}), remote.WithAuth(l)); id != s.ID() {
		t.Errorf("image ID %s, want %s", id, s.ID())
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
		m, err := source.Open(t.Context(), imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 10)))), source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		_, err = Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Auth: brokenAuth{}, Transport: imagetest.Direct{Handler: imagetest.NewRegistry()}}, Options{})
		if err == nil || !strings.Contains(err.Error(), "AccessDenied") || time.Since(start) > time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

// Progress comes at its interval and ends complete.
func TestProgress(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, 1000))
	path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, s))
	synctest.Test(t, func(t *testing.T) {
		g := imagetest.NewRegistry(imagetest.Fault{Match: "PATCH", Times: 2, Do: imagetest.Hang})
		m, err := source.Open(t.Context(), path, source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var last image.Progress
		ticks, layers := 0, 0
		_, err = Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: g}}, Options{
			lead:             imagetest.SmallLead,
			ProgressInterval: 10 * time.Second,
			Progress: func(p image.Progress) {
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
		if last.Done != last.Total || last.LayersDone != 3 || layers != 3 || last.Stage != image.StageUpload {
			t.Errorf("ended with %+v after %d layers", last, layers)
		}
		if ticks < 10 || ticks > 15 { // two stalls of a minute
			t.Errorf("told %d times", ticks)
		}
	})
}
