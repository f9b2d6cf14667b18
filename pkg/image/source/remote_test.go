package source

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/registry"
)

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
				g := imagetest.NewRegistry()
				n := &imagetest.Network{Hosts: map[string]http.Handler{"http://" + host: g, "http://other.test": g, "http://tokens.test": g, "https://" + host: https}}
				if https == nil {
					delete(n.Hosts, "https://"+host)
				}
				for _, auth := range []authn.Authenticator{nil, &authn.Basic{Username: "u", Password: "p"}} {
					_, err := Inspect(t.Context(), host+"/app:1", auth, n)
					insecure, ok := errors.AsType[*registry.InsecureError](err)
					switch {
					case ok && strings.Contains(insecure.Hint(), "insecureRegistries"):
					case err != nil && what != "no HTTPS" && (strings.Contains(err.Error(), "use https") || strings.Contains(err.Error(), "redirects more than")):
					default:
						t.Errorf("%s, %s: %v", host, what, err)
					}
				}
				if arrived := g.Take(); len(n.Open) > 0 || len(arrived) > 0 {
					t.Errorf("%s, %s: sent in the open: %v, %d requests arrived", host, what, n.Open, len(arrived))
				}
			})
		}
		synctest.Test(t, func(t *testing.T) {
			g := imagetest.NewRegistry()
			n := &imagetest.Network{Hosts: map[string]http.Handler{"http://" + host: g}}
			_, err := Open(t.Context(), "docker://"+host+"/app:1", Options{Transport: n, Insecure: []string{host}})
			if _, ok := errors.AsType[*registry.NotFoundError](err); !ok {
				t.Errorf("%s, allowed: %v", host, err)
			}
		})
	}
}

// No redirect leads to where a cloud hands out credentials.
func TestMetadataIsNotReached(t *testing.T) {
	for _, to := range []string{"169.254.169.254", "169.254.170.2", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "168.63.129.16", "metadata.google.internal"} {
		for _, scheme := range []string{"http", "https"} {
			g := imagetest.NewRegistry()
			reached := false
			address := scheme + "://" + to + "/latest/meta-data/iam"
			n := &imagetest.Network{Hosts: map[string]http.Handler{
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
		io.Copy(w, io.LimitReader(endless{}, image.MaxDocument+1))
	}
	other := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"schemaVersion":2}`) }
	patient := imagetest.Answer(429, "TOOMANYREQUESTS", "", "Retry-After", "999999")
	broken := func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "manifests") {
			io.WriteString(w, "<html>no manifest</html>")
		}
	}
	for what, do := range map[string]http.HandlerFunc{
		"redirect loop": loop, "unsupported scheme": scheme, "too large": large, "wrong digest": other, "Retry-After of days": patient, "not a manifest": broken,
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &imagetest.Network{Hosts: map[string]http.Handler{"https://registry.test": do}}
			start := time.Now()
			_, err := Inspect(t.Context(), "registry.test/app@"+image.DigestOf([]byte("x")).String(), &authn.Basic{Username: "u", Password: "p"}, n)
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

// A source registry that wants credentials: the error says for which host they were
// missing, and in which file.
func TestMissingCredentials(t *testing.T) {
	n := &imagetest.Network{Hosts: map[string]http.Handler{"https://registry.test": imagetest.Answer(401, "UNAUTHORIZED", "authentication required", "WWW-Authenticate", "Basic")}}
	_, err := Open(t.Context(), "docker://registry.test/app:1", Options{Transport: n, Environ: imagetest.Environ(map[string]string{"DOCKER_CONFIG": "/home/agent/docker"})})
	denied, ok := errors.AsType[*registry.DeniedError](err)
	if !ok || !strings.Contains(denied.Hint(), "registry.test") || !strings.Contains(denied.Hint(), "config.json") {
		t.Errorf("%v", err)
	}
}

func TestInspectMissing(t *testing.T) {
	repo := imagetest.NewRegistry().Serve(t)
	_, err := Inspect(t.Context(), repo+":1", nil, nil)
	if e, ok := errors.AsType[*registry.NotFoundError](err); !ok {
		t.Errorf("%v", err)
	} else if !strings.Contains(e.Error(), repo) {
		t.Errorf("the error does not name the image: %v", e)
	}
}

// Behind a proxy that inspects TLS, registries show the proxy's certificates.
func TestTransportTrusts(t *testing.T) {
	s := httptest.NewTLSServer(imagetest.NewRegistry())
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for _, c := range []struct {
		name  string
		roots *x509.CertPool
		says  string
	}{
		{"named", roots, "example.com/app: there is no such repository"},
		{"not named", nil, "certificate signed by unknown authority"},
	} {
		transport := registry.NewTransport(c.roots)
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		}
		if _, err := Inspect(t.Context(), "example.com/app:1", nil, transport); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
