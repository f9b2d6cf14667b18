package push

// What goes wrong at the registry that an image comes from, while it is copied
// to another. Time is faked.

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

func TestCopyFaults(t *testing.T) {
	cases := []struct {
		name   string
		faults func(g *imagetest.Registry) []imagetest.Fault
		within time.Duration
		fails  string // part of the error; empty when the copy must succeed
	}{
		{"throttled", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 3, Do: imagetest.Answer(429, "TOOMANYREQUESTS", "")}, {Match: "GET blobs", Times: 3, Do: imagetest.Answer(429, "TOOMANYREQUESTS", "")}}
		}, time.Minute, ""},
		{"ends the connection", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1, Do: imagetest.Cut}, {Match: "GET blobs", Times: 2, Do: imagetest.Cut}}
		}, time.Minute, ""},
		{"hangs", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1, Do: imagetest.Hang}, {Match: "GET blobs", Times: 1, Do: imagetest.Hang}, {Match: "GET blobs", Times: 1, Do: g.Inner.ServeHTTP}, {Match: "GET blobs", Times: 1, Do: imagetest.Hang}}
		}, 5 * time.Minute, ""},
		{"token expires", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1, Do: imagetest.Answer(401, "UNAUTHORIZED", "")}, {Match: "GET blobs", Times: 1, Do: imagetest.Answer(403, "DENIED", "expired")}}
		}, time.Second, ""},
		{"a layer ends early", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET blobs", Times: 1, Do: g.Inner.ServeHTTP}, {Match: "GET blobs", Times: 1, Do: g.Altered(func(b []byte) []byte { return b[:len(b)/2] })}}
		}, time.Minute, ""},
		{"a layer changed on the way", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET blobs", Times: 1, Do: g.Inner.ServeHTTP}, {Match: "GET blobs", Times: 1, Do: g.Altered(imagetest.Flipped)}}
		}, time.Minute, ""},
		{"a layer is damaged", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET blobs", Times: 1, Do: g.Inner.ServeHTTP}, {Match: "GET blobs", Times: 1 << 20, Do: g.Altered(imagetest.Flipped)}}
		}, time.Minute, "the image is corrupt"},
		{"a layer is not allowed", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET blobs", Times: 1, Do: g.Inner.ServeHTTP}, {Match: "GET blobs", Times: 1 << 20, Do: imagetest.Answer(403, "DENIED", "no")}}
		}, time.Second, "from.test/app: not allowed to read a layer"},
		{"a layer has vanished", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET blobs", Times: 1, Do: g.Inner.ServeHTTP}, {Match: "GET blobs", Times: 1 << 20, Do: imagetest.Answer(404, "BLOB_UNKNOWN", "no")}}
		}, time.Second, "from.test/app: read a layer"},
		{"stays unavailable", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1 << 20, Do: imagetest.Answer(503, "", "closed for today", "Retry-After", "90")}}
		}, source.ReadLimit, "the registry answered 503"},
		{"another manifest under the digest", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1, Do: g.Inner.ServeHTTP}, {Match: "GET manifests", Times: 1 << 20, Do: g.Altered(imagetest.Flipped)}}
		}, 2 * time.Minute, "digest mismatch"},
		{"another manifest under the tag", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1, Do: g.Altered(spaced)}}
		}, time.Minute, ""},
		{"another manifest under the tag for good", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1 << 20, Do: g.Altered(spaced)}}
		}, time.Minute, "digest mismatch"},
		{"no such image", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1 << 20, Do: imagetest.Answer(404, "MANIFEST_UNKNOWN", "")}}
		}, time.Second, "from.test/app:1: there is no such image"},
		{"no such repository", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "GET manifests", Times: 1 << 20, Do: imagetest.Answer(404, "NAME_UNKNOWN", "")}}
		}, time.Second, "from.test/app: there is no such repository"},
	}
	f := imagetest.Layout{}
	f.Seal(t, f.Index(t, f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000)), false)))
	dir := f.Directory(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := imagetest.NewRegistry(), imagetest.NewRegistry()
				root, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: from}}, Options{})
				if err != nil {
					t.Fatal(err)
				}
				from.Faults = c.faults(from)

				start := time.Now()
				m, err := source.Open(t.Context(), "docker://from.test/app:1", source.Options{Transport: imagetest.Direct{Handler: from}, Keychain: imagetest.Keys{}})
				var r Result
				if err == nil {
					defer m.Close()
					r, err = Push(t.Context(), m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: to}}, Options{})
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
				if d, _ := imagetest.Pull(t, r.URI, remote.WithTransport(imagetest.Direct{Handler: to})); d.Digest.String() != root.Digest {
					t.Errorf("copied %s, want %s", d.Digest, root.Digest)
				}
			})
		})
	}
}

// spaced is a document with the same meaning and another digest.
func spaced(b []byte) []byte { return bytes.Replace(b, []byte(":"), []byte(": "), 1) }

// Where a registry keeps its blobs elsewhere, as ECR does in S3, credentials do
// not go along.
func TestCopyFromElsewhere(t *testing.T) {
	f := imagetest.Layout{}
	f.Seal(t, f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000)), false))
	from, to := imagetest.NewRegistry(), imagetest.NewRegistry()
	repo := from.Serve(t)
	root, err := Push(t.Context(), open(t, f.Directory(t), source.Options{}), Target{Repository: repo, Tags: []string{"1"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were sent to where the blobs are kept")
		}
		from.Inner.ServeHTTP(w, r)
	}))
	defer elsewhere.Close()
	authorized := 0
	from.Faults = []imagetest.Fault{{Match: "GET blobs", Times: 1 << 20, Do: func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password == "token" {
			authorized++
		}
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}}}
	from.Faults = append(from.Faults, imagetest.Fault{Match: "GET ping", Times: 1, Do: imagetest.Answer(401, "UNAUTHORIZED", "", "WWW-Authenticate", `Basic realm="test"`)})
	r, err := Push(t.Context(), open(t, "docker://"+repo+":1", source.Options{Keychain: imagetest.Keys{}}), Target{Repository: to.Serve(t), Tags: []string{"1"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := imagetest.Pull(t, r.URI); d.Digest.String() != root.Digest {
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
	f := imagetest.Layout{}
	f.Seal(t, f.Index(t, f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000)), false)))
	dir := f.Directory(t)
	for _, c := range []struct{ name, to string }{
		{"another host", "https://elsewhere.test"},
		{"the same host", "/moved"},
		{"the same host, then another", "/on"},
		{"the same host without TLS", "http://from.test/moved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := imagetest.NewRegistry(), imagetest.NewRegistry()
			root, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: from}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			moves := imagetest.Direct{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, password, _ := r.BasicAuth()
				rest, moved := strings.CutPrefix(r.URL.Path, "/moved")
				switch {
				case password != "" && (r.Host != "from.test" || r.URL.Scheme != "https"):
					t.Errorf("credentials were sent to %s", r.URL)
				case r.Host == "from.test" && password == "":
					imagetest.Answer(401, "UNAUTHORIZED", "", "WWW-Authenticate", `Basic realm="test"`)(w, r)
				case r.Host == "from.test" && strings.HasPrefix(r.URL.Path, "/on"):
					http.Redirect(w, r, "https://elsewhere.test"+r.URL.Path[len("/on"):], http.StatusFound)
				case r.Host == "from.test" && !moved:
					http.Redirect(w, r, c.to+r.URL.Path, http.StatusTemporaryRedirect)
				default:
					r.URL.Path = rest
					from.ServeHTTP(w, r)
				}
			})}
			m := open(t, "docker://from.test/app:1", source.Options{Transport: moves, Keychain: imagetest.Keys{}})
			r, err := Push(t.Context(), m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: to}}, Options{})
			if err != nil || r.Digest != root.Digest {
				t.Errorf("%+v, want %s: %v", r, root.Digest, err)
			}
		})
	}
}

// A registry behind a proxy that ends TLS may give out addresses of plain HTTP.
func TestCredentialsNeedTLS(t *testing.T) {
	g := imagetest.NewRegistry()
	proxy := imagetest.Direct{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	auth, _ := imagetest.Keys{}.Resolve(nil)
	m := open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big)))), source.Options{})
	if _, err := Push(t.Context(), m, Target{Repository: "to.test/app", Tags: []string{"1"}, Auth: auth, Transport: proxy}, Options{lead: imagetest.SmallLead}); err != nil {
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
	if err != nil || imagetest.RequestKind(r) != "GET blobs" {
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
	f := imagetest.Layout{}
	f.Seal(t, f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000)), false))
	dir := f.Directory(t)
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
				from, to := imagetest.NewRegistry(), imagetest.NewRegistry()
				if _, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: from}}, Options{}); err != nil {
					t.Fatal(err)
				}
				m, err := source.Open(t.Context(), "docker://from.test/app:1", source.Options{Transport: &stuck{imagetest.Direct{Handler: from}, c.after}})
				if err != nil {
					t.Fatal(err)
				}
				to.Faults = []imagetest.Fault{{Match: "PUT blobs", Times: c.damaged, Do: imagetest.Answer(400, "DIGEST_INVALID", "")}}
				start := time.Now()
				_, err = Push(t.Context(), m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: to}}, Options{Concurrency: 1})
				if err == nil || !strings.Contains(err.Error(), "from.test/app: read a layer: no bytes moved") || time.Since(start) > 15*time.Minute {
					t.Errorf("after %s: %v", time.Since(start), err)
				}
			})
		})
	}
}

// The target refuses while the source is slow: that is not the source's failure.
func TestCopyRefusedEarly(t *testing.T) {
	f := imagetest.Layout{}
	f.Seal(t, f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 500_000)), false))
	from, to := imagetest.NewRegistry(), imagetest.NewRegistry()
	repo := from.Serve(t)
	if _, err := Push(t.Context(), open(t, f.Directory(t), source.Options{}), Target{Repository: repo, Tags: []string{"1"}}, Options{}); err != nil {
		t.Fatal(err)
	}
	from.Faults = []imagetest.Fault{{Match: "GET blobs", Times: 1, Do: from.Inner.ServeHTTP}, {Match: "GET blobs", Times: 1, Do: func(w http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		from.Inner.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		w.Write(whole.Body.Bytes()[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}}}
	to.Faults = []imagetest.Fault{{Match: "PUT blobs", Times: 1, Do: func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 256<<10 { // the config; of what is smaller, net/http waits for the rest before it answers
			to.Faults[0].Times++
			to.Inner.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}}}
	_, err := Push(t.Context(), open(t, "docker://"+repo+":1", source.Options{}), Target{Repository: to.Serve(t), Tags: []string{"1"}}, Options{Concurrency: 1})
	if err != nil {
		t.Error(err)
	}
}
