package image

// What goes wrong at the registry that an image comes from, while it is copied
// to another. Time is faked.

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestCopyFaults(t *testing.T) {
	cases := []struct {
		name   string
		faults func(g *testRegistry) []fault
		within time.Duration
		fails  string // part of the error; empty when the copy must succeed
	}{
		{"throttled", func(g *testRegistry) []fault {
			return []fault{{"GET manifests", 3, answer(429, "TOOMANYREQUESTS", "")}, {"GET blobs", 3, answer(429, "TOOMANYREQUESTS", "")}}
		}, time.Minute, ""},
		{"ends the connection", func(g *testRegistry) []fault {
			return []fault{{"GET manifests", 1, cut}, {"GET blobs", 2, cut}}
		}, time.Minute, ""},
		{"hangs", func(g *testRegistry) []fault {
			return []fault{{"GET manifests", 1, hang}, {"GET blobs", 1, hang}, {"GET blobs", 1, g.inner.ServeHTTP}, {"GET blobs", 1, hang}}
		}, 5 * time.Minute, ""},
		{"token expires", func(g *testRegistry) []fault {
			return []fault{{"GET manifests", 1, answer(401, "UNAUTHORIZED", "")}, {"GET blobs", 1, answer(403, "DENIED", "expired")}}
		}, time.Second, ""},
		{"a layer ends early", func(g *testRegistry) []fault {
			return []fault{{"GET blobs", 1, g.inner.ServeHTTP}, {"GET blobs", 1, g.altered(func(b []byte) []byte { return b[:len(b)/2] })}}
		}, time.Minute, ""},
		{"a layer changed on the way", func(g *testRegistry) []fault {
			return []fault{{"GET blobs", 1, g.inner.ServeHTTP}, {"GET blobs", 1, g.altered(flipped)}}
		}, time.Minute, ""},
		{"a layer is damaged", func(g *testRegistry) []fault {
			return []fault{{"GET blobs", 1, g.inner.ServeHTTP}, {"GET blobs", 1 << 20, g.altered(flipped)}}
		}, time.Minute, "the image is corrupt"},
		{"a layer is not allowed", func(g *testRegistry) []fault {
			return []fault{{"GET blobs", 1, g.inner.ServeHTTP}, {"GET blobs", 1 << 20, answer(403, "DENIED", "no")}}
		}, time.Second, "from.test/app: not allowed to read a layer"},
		{"a layer has vanished", func(g *testRegistry) []fault {
			return []fault{{"GET blobs", 1, g.inner.ServeHTTP}, {"GET blobs", 1 << 20, answer(404, "BLOB_UNKNOWN", "no")}}
		}, time.Second, "from.test/app: read a layer"},
		{"stays unavailable", func(g *testRegistry) []fault {
			return []fault{{"GET manifests", 1 << 20, answer(503, "", "closed for today", "Retry-After", "90")}}
		}, readLimit, "the registry answered 503"},
		{"another manifest under the digest", func(g *testRegistry) []fault {
			return []fault{{"GET manifests", 1, g.inner.ServeHTTP}, {"GET manifests", 1 << 20, g.altered(flipped)}}
		}, 2 * time.Minute, "digest mismatch"},
		{"no such image", func(g *testRegistry) []fault {
			return []fault{{"GET manifests", 1 << 20, answer(404, "MANIFEST_UNKNOWN", "")}}
		}, time.Second, "from.test/app:1: there is no such image"},
		{"no such repository", func(g *testRegistry) []fault {
			return []fault{{"GET manifests", 1 << 20, answer(404, "NAME_UNKNOWN", "")}}
		}, time.Second, "from.test/app: there is no such repository"},
	}
	f := layoutFiles{}
	f.seal(t, f.index(t, f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 100_000)), false)))
	dir := f.directory(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := newTestRegistry(), newTestRegistry()
				root, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: direct{from}}, PushOptions{})
				if err != nil {
					t.Fatal(err)
				}
				from.faults = c.faults(from)

				start := time.Now()
				m, err := Open(t.Context(), "docker://from.test/app:1", Options{Transport: direct{from}, Keychain: keys{}})
				var r Result
				if err == nil {
					defer m.Close()
					r, err = Push(t.Context(), m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: direct{to}}, PushOptions{})
				}
				if took := time.Since(start); took > c.within {
					t.Errorf("took %s, more than %s", took, c.within)
				}
				if c.fails != "" {
					if err == nil || !strings.Contains(err.Error(), c.fails) {
						t.Errorf("%v, want %q", err, c.fails)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if d, _ := pull(t, r.URI, remote.WithTransport(direct{to})); d.Digest.String() != root.Digest {
					t.Errorf("copied %s, want %s", d.Digest, root.Digest)
				}
			})
		})
	}
}

// keys is a keychain with a token for any registry.
type keys struct{}

func (keys) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "AWS", Password: "token"}, nil
}

// altered is a fault that changes the body of an answer, and nothing else of it.
func (g *testRegistry) altered(change func([]byte) []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		g.inner.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
		w.WriteHeader(whole.Code)
		w.Write(change(whole.Body.Bytes()))
	}
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

// Where a registry keeps its blobs elsewhere, as ECR does in S3, credentials do
// not go along.
func TestCopyFromElsewhere(t *testing.T) {
	f := layoutFiles{}
	f.seal(t, f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 100_000)), false))
	from, to := newTestRegistry(), newTestRegistry()
	repo := from.serve(t)
	root, err := Push(t.Context(), open(t, f.directory(t), Options{}), Target{Repository: repo, Tags: []string{"1"}}, PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were sent to where the blobs are kept")
		}
		from.inner.ServeHTTP(w, r)
	}))
	defer elsewhere.Close()
	authorized := 0
	from.faults = []fault{{"GET blobs", 1 << 20, func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password == "token" {
			authorized++
		}
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}}}
	from.faults = append(from.faults, fault{"GET ping", 1, answer(401, "UNAUTHORIZED", "", "WWW-Authenticate", `Basic realm="test"`)})
	r, err := Push(t.Context(), open(t, "docker://"+repo+":1", Options{Keychain: keys{}}), Target{Repository: to.serve(t), Tags: []string{"1"}}, PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := pull(t, r.URI); d.Digest.String() != root.Digest {
		t.Errorf("copied %s, want %s", d.Digest, root.Digest)
	}
	if authorized == 0 {
		t.Error("no request came with credentials")
	}
}

// Where what is read may lie elsewhere: registry.k8s.io has manifests in other
// registries, and others move blobs about on their own host, for which they want
// credentials as for the rest.
func TestRedirects(t *testing.T) {
	f := layoutFiles{}
	f.seal(t, f.index(t, f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 1000)), false)))
	dir := f.directory(t)
	for _, c := range []struct{ name, to string }{
		{"another host", "https://elsewhere.test"},
		{"the same host", "/moved"},
		{"the same host, then another", "/on"},
		{"the same host without TLS", "http://from.test/moved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := newTestRegistry(), newTestRegistry()
			root, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: direct{from}}, PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			moves := direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, password, _ := r.BasicAuth()
				rest, moved := strings.CutPrefix(r.URL.Path, "/moved")
				switch {
				case password != "" && (r.Host != "from.test" || r.URL.Scheme != "https"):
					t.Errorf("credentials were sent to %s", r.URL)
				case r.Host == "from.test" && password == "":
					answer(401, "UNAUTHORIZED", "", "WWW-Authenticate", `Basic realm="test"`)(w, r)
				case r.Host == "from.test" && strings.HasPrefix(r.URL.Path, "/on"):
					http.Redirect(w, r, "https://elsewhere.test"+r.URL.Path[len("/on"):], http.StatusFound)
				case r.Host == "from.test" && !moved:
					http.Redirect(w, r, c.to+r.URL.Path, http.StatusTemporaryRedirect)
				default:
					r.URL.Path = rest
					from.ServeHTTP(w, r)
				}
			})}
			m := open(t, "docker://from.test/app:1", Options{Transport: moves, Keychain: keys{}})
			r, err := Push(t.Context(), m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: direct{to}}, PushOptions{})
			if err != nil || r.Digest != root.Digest {
				t.Errorf("%+v, want %s: %v", r, root.Digest, err)
			}
		})
	}
}

// A registry behind a proxy that ends TLS may give out addresses of plain HTTP.
func TestCredentialsNeedTLS(t *testing.T) {
	g := newTestRegistry()
	proxy := direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok || r.URL.Scheme != "https" {
			t.Errorf("%s %s, with credentials: %t", r.Method, r.URL, ok)
		}
		whole := httptest.NewRecorder()
		g.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		if at := whole.Header().Get("Location"); strings.HasPrefix(at, "/") {
			w.Header().Set("Location", "http://"+r.Host+at)
		}
		w.WriteHeader(whole.Code)
		w.Write(whole.Body.Bytes())
	})}
	auth, _ := keys{}.Resolve(nil)
	m := open(t, write(t, "a.tar", docker20(t, newSample(t, amd64, rawLayer(t, 1, big)))), Options{})
	if _, err := Push(t.Context(), m, Target{Repository: "to.test/app", Tags: []string{"1"}, Auth: auth, Transport: proxy}, PushOptions{lead: smallLead}); err != nil {
		t.Error(err)
	}
}

// stuck is a source's transport under which blobs end in silence.
type stuck struct {
	http.RoundTripper
	after int // requests for blobs that go well
}

func (s *stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil || requestKind(r) != "GET blobs" {
		return resp, err
	}
	if s.after--; s.after < 0 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(resp.Body, 1000), silence{r.Context()}), resp.Body}
	}
	return resp, err
}

type silence struct{ ctx context.Context }

func (s silence) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }

// A source that falls silent is the one that is named, and not waited for longer
// when the copy is looked at because the target calls it damaged.
func TestCopySilence(t *testing.T) {
	f := layoutFiles{}
	f.seal(t, f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 100_000)), false))
	dir := f.directory(t)
	for _, c := range []struct {
		name    string
		after   int
		damaged int
	}{
		{"while it is sent", 1, 0},
		{"while it is verified", 2, 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := newTestRegistry(), newTestRegistry()
				if _, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: direct{from}}, PushOptions{}); err != nil {
					t.Fatal(err)
				}
				m, err := Open(t.Context(), "docker://from.test/app:1", Options{Transport: &stuck{direct{from}, c.after}})
				if err != nil {
					t.Fatal(err)
				}
				to.faults = []fault{{"PUT blobs", c.damaged, answer(400, "DIGEST_INVALID", "")}}
				start := time.Now()
				_, err = Push(t.Context(), m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: direct{to}}, PushOptions{Concurrency: 1})
				if err == nil || !strings.Contains(err.Error(), "from.test/app: read a layer: no bytes moved") || time.Since(start) > 15*time.Minute {
					t.Errorf("after %s: %v", time.Since(start), err)
				}
			})
		})
	}
}

// The target refuses while the source is slow: that is not the source's failure.
func TestCopyRefusedEarly(t *testing.T) {
	f := layoutFiles{}
	f.seal(t, f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 500_000)), false))
	from, to := newTestRegistry(), newTestRegistry()
	repo := from.serve(t)
	if _, err := Push(t.Context(), open(t, f.directory(t), Options{}), Target{Repository: repo, Tags: []string{"1"}}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	from.faults = []fault{{"GET blobs", 1, from.inner.ServeHTTP}, {"GET blobs", 1, func(w http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		from.inner.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		w.Write(whole.Body.Bytes()[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}}}
	to.faults = []fault{{"PUT blobs", 1, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 256<<10 { // the config; of what is smaller, net/http waits for the rest before it answers
			to.faults[0].times++
			to.inner.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}}}
	_, err := Push(t.Context(), open(t, "docker://"+repo+":1", Options{}), Target{Repository: to.serve(t), Tags: []string{"1"}}, PushOptions{Concurrency: 1})
	if err != nil {
		t.Error(err)
	}
}
