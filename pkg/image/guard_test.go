package image

// What a registry may not make this package do.

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// network is a transport that answers by host, "http://a" or "https://a", and
// notes what was sent where.
type network struct {
	hosts map[string]http.Handler

	mu    sync.Mutex
	asked []string // scheme://host, once for each request
	open  []string // of those over HTTP, with credentials or a body
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	at := r.URL.Scheme + "://" + r.URL.Host
	n.mu.Lock()
	n.asked = append(n.asked, at)
	if r.URL.Scheme == "http" && (r.Header.Get("Authorization") != "" || r.ContentLength > 0) {
		n.open = append(n.open, at)
	}
	n.mu.Unlock()
	if h := n.hosts[at]; h != nil {
		return direct{h}.RoundTrip(r)
	}
	return nil, x509.UnknownAuthorityError{}
}

// Passwords never travel in the open, whatever address the registry has and
// wherever it leads: HTTPS, or an error that says what to do.
func TestNoPlainHTTP(t *testing.T) {
	redirect := func(to string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) })
	}
	challenge := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://tokens.test/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	for _, host := range []string{"10.0.0.5", "192.168.1.2:5000", "172.16.0.1", "registry.local", "registry.test", "[fd00::5]:5000"} {
		for what, https := range map[string]http.Handler{
			"no HTTPS":           nil,
			"redirect to HTTP":   redirect("http://" + host + "/v2/"),
			"redirect elsewhere": redirect("http://other.test/v2/"),
			"token over HTTP":    challenge,
		} {
			synctest.Test(t, func(t *testing.T) {
				g := newTestRegistry()
				n := &network{hosts: map[string]http.Handler{"http://" + host: g, "http://other.test": g, "http://tokens.test": g, "https://" + host: https}}
				if https == nil {
					delete(n.hosts, "https://"+host)
				}
				for _, auth := range []authn.Authenticator{nil, &authn.Basic{Username: "u", Password: "p"}} {
					_, err := Inspect(t.Context(), host+"/app:1", auth, n)
					insecure, ok := as[*InsecureError](err)
					switch {
					case ok && strings.Contains(insecure.Hint(), "insecureRegistries"):
					case err != nil && what != "no HTTPS" && (strings.Contains(err.Error(), "use https") || strings.Contains(err.Error(), "redirects more than")):
					default:
						t.Errorf("%s, %s: %v", host, what, err)
					}
				}
				if arrived := g.take(); len(n.open) > 0 || len(arrived) > 0 {
					t.Errorf("%s, %s: sent in the open: %v, %d requests arrived", host, what, n.open, len(arrived))
				}
			})
		}
		synctest.Test(t, func(t *testing.T) {
			g := newTestRegistry()
			n := &network{hosts: map[string]http.Handler{"http://" + host: g}}
			_, err := Open(t.Context(), "docker://"+host+"/app:1", Options{Transport: n, Insecure: []string{host}})
			if _, ok := as[*NotFoundError](err); !ok {
				t.Errorf("%s, allowed: %v", host, err)
			}
		})
	}
}

// An upload goes to the registry's own host, over TLS if it has that.
func TestUploadsStayAtHome(t *testing.T) {
	for location, fine := range map[string]bool{
		"/v2/app/blobs/uploads/1?_state=x":                       true,
		"https://registry.test/v2/app/blobs/uploads/1":           true,
		"https://REGISTRY.test:443/v2/app/blobs/uploads/1":       true,
		"http://registry.test/v2/app/blobs/uploads/1":            true, // a proxy ends TLS; HTTPS is used
		"http://registry.test:80/v2/app/blobs/uploads/1":         true,
		"https://registry.test:8443/v2/app/blobs/uploads/1":      false,
		"https://uploads.test/v2/app/blobs/uploads/1":            false,
		"https://registry.test.evil.test/v2/app/blobs/uploads/1": false,
		"https://user:pass@registry.test/v2/app/blobs/uploads/1": false,
		"http://169.254.169.254/latest/meta-data":                false,
		"ftp://registry.test/upload":                             false,
		"file:///etc/passwd":                                     false,
		"//uploads.test/1":                                       false,
		"":                                                       false,
	} {
		u, err := locationFrom(t, "https://registry.test/v2/app/blobs/uploads/", location)
		if (err == nil) != fine {
			t.Errorf("%s: %v %v", location, u, err)
		}
		if err == nil && u.Scheme != "https" {
			t.Errorf("%s: goes to %s", location, u)
		}
		if err != nil && judge(err).action != giveUp {
			t.Errorf("%s: is tried again", location)
		}
	}
}

func locationFrom(t testing.TB, at, location string) (*url.URL, error) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("Location", location)
	return (&client{}).location(&http.Response{Request: req, Header: h})
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{"/v2/a", "https://registry.test/x", "http://registry.test:80/", "//a", "\\\\a", "https://registry.test\x00.evil/", "?a=b", "https:registry.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, location string) {
		u, err := locationFrom(t, "https://registry.test/v2/app/blobs/uploads/", location)
		if err == nil && (u.Scheme != "https" || !strings.EqualFold(u.Hostname(), "registry.test") || u.User != nil) {
			t.Errorf("%q leads to %s", location, u)
		}
	})
}

// No redirect leads to where a cloud hands out credentials.
func TestMetadataIsNotReached(t *testing.T) {
	for _, to := range []string{"169.254.169.254", "169.254.170.2", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "168.63.129.16", "metadata.google.internal"} {
		for _, scheme := range []string{"http", "https"} {
			g := newTestRegistry()
			reached := false
			address := scheme + "://" + to + "/latest/meta-data/iam"
			n := &network{hosts: map[string]http.Handler{
				"https://registry.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.Contains(r.URL.Path, "/manifests/") {
						http.Redirect(w, r, address, http.StatusTemporaryRedirect)
						return
					}
					g.ServeHTTP(w, r)
				}),
				scheme + "://" + to: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }),
			}}
			start := time.Now()
			_, err := Inspect(t.Context(), "registry.test/app:1", nil, n)
			if err == nil || reached || time.Since(start) > time.Second {
				t.Errorf("%s: %v, reached: %v", address, err, reached)
			}
		}
	}
	if _, err := dialer().DialContext(t.Context(), "tcp", "169.254.169.254:80"); err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Errorf("dialled: %v", err)
	}
}

// Errors that no further try mends end at once.
func TestFinalErrors(t *testing.T) {
	loop := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path+"x", http.StatusTemporaryRedirect)
	}
	scheme := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "gopher://registry.test/")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	large := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, io.LimitReader(endless{}, maxDocument+1))
	}
	other := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"schemaVersion":2}`) }
	patient := answer(429, "TOOMANYREQUESTS", "", "Retry-After", "999999")
	broken := func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "manifests") {
			io.WriteString(w, "<html>no manifest</html>")
		}
	}
	for what, do := range map[string]http.HandlerFunc{
		"redirect loop": loop, "unsupported scheme": scheme, "too large": large, "wrong digest": other, "Retry-After of days": patient, "not a manifest": broken,
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{hosts: map[string]http.Handler{"https://registry.test": do}}
			start := time.Now()
			_, err := Inspect(t.Context(), "registry.test/app@"+digestOf([]byte("x")).String(), &authn.Basic{Username: "u", Password: "p"}, n)
			if err == nil || time.Since(start) > time.Second {
				t.Errorf("%s: %v after %s", what, err, time.Since(start))
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// drip is a body of which a byte comes every 30 seconds.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(30 * time.Second):
		return copy(p, " "), nil
	case <-d.ctx.Done():
		return 0, context.Cause(d.ctx)
	}
}
func (drip) Close() error { return nil }

// dripping is a registry whose blobs drip.
type dripping struct{ http.RoundTripper }

func (d dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && resp.ContentLength > 1000 {
		resp.Body = drip{r.Context()}
	}
	return resp, err
}

// A source that sends a byte now and then is given up: by itself in the end, and
// by the deadline of the run at its time.
func TestDripping(t *testing.T) {
	f := layoutFiles{}
	root := f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 100_000)), false)
	dir := f.seal(t, root).directory(t)
	for _, limit := range []time.Duration{5 * time.Minute, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			from, to := newTestRegistry(), newTestRegistry()
			if _, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: direct{from}}, PushOptions{}); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			m, err := Open(ctx, "docker://from.test/app:1", Options{Transport: dripping{direct{from}}, Keychain: keys{}})
			if err == nil {
				defer m.Close()
				_, err = Push(ctx, m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: direct{to}}, PushOptions{})
			}
			if took := time.Since(start); err == nil || took > min(limit, 20*time.Minute) {
				t.Errorf("%v after %s", err, took)
			}
		})
	}
}

func TestEnginePrivacy(t *testing.T) {
	for host, private := range map[string]bool{
		"unix:///var/run/docker.sock": true, "UNIX:///run/d.sock": true, "npipe:////./pipe/docker_engine": true,
		"tcp://engine:2375": false, "TCP://engine:2375": false, "http://engine": false, "HTTP://engine": false, "Http://engine": false,
		"https://engine": true, "HTTPS://engine": true,
	} {
		if got := (endpoint{host: host}).private(); got != private {
			t.Errorf("%s: private %v", host, got)
		}
		if private {
			continue
		}
		for skip, want := range map[bool]bool{true: false, false: true} {
			c, err := readTLS(t.TempDir(), skip)
			if err != nil {
				t.Fatal(err)
			}
			if got := (endpoint{host: host, tls: c}).private(); got != want {
				t.Errorf("%s, SkipTLSVerify %v: private %v", host, skip, got)
			}
		}
	}
	if got := (endpoint{host: "tcp://user:secret@engine:2375"}).shown(); strings.Contains(got, "secret") {
		t.Errorf("shown as %s", got)
	}
}

// A symbolic link leads out of the layout to a file of the right size: none of
// its bytes are sent.
func TestForeignBytes(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 40_000))
	f := layoutFiles{}
	root := f.manifest(t, s, false)
	packed := gzipped(t, s.layers[0])
	secret := bytes.Repeat([]byte("secret"), len(packed))[:len(packed)]
	for what, content := range map[string][]byte{"the blob": packed, "a secret": secret} {
		dir := f.seal(t, root).directory(t)
		linkTo(t, dir+"/"+blobName(digestOf(packed)), write(t, "elsewhere", content))
		g := newTestRegistry()
		_, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: g.serve(t), Tags: []string{"1"}}, PushOptions{})
		if (err == nil) != (what == "the blob") {
			t.Errorf("%s: %v", what, err)
		}
		if n := g.received(); err != nil && n >= int64(len(secret)) {
			t.Errorf("%d bytes were sent", n)
		}
	}
}
