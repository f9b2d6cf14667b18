package network_test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/network"
)

// environ makes a lookup of name=value pairs.
func environ(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		m[name] = value
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func read(t *testing.T, pairs ...string) *network.Settings {
	t.Helper()
	s, err := network.Read(environ(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProxy(t *testing.T) {
	const own, agent = "HTTPS_PROXY=http://own:1", "AGENT_PROXYURL=http://agent:2"
	for _, tt := range []struct {
		name string
		env  []string
		to   string
		want string
	}{
		{"none", nil, "https://sts.eu-west-1.amazonaws.com", ""},
		{"by scheme", []string{own, "HTTP_PROXY=http://plain:3"}, "http://registry:5000/v2/", "http://plain:3"},
		{"of https", []string{own, "HTTP_PROXY=http://plain:3"}, "https://registry", "http://own:1"},
		{"lower case", []string{"https_proxy=own:1"}, "https://registry", "http://own:1"},
		{"the agent's", []string{agent}, "https://dev.azure.com/org", "http://agent:2"},
		{"the agent's for http too", []string{agent}, "http://registry", "http://agent:2"},
		{"the environment's before the agent's", []string{own, agent}, "https://dev.azure.com", "http://own:1"},
		{"the agent's where the environment has none for the scheme", []string{own, agent}, "http://dev.azure.com", "http://agent:2"},
		{"user and password of the agent", []string{agent, "AGENT_PROXYUSERNAME=u", "SECRET_AGENT_PROXYPASSWORD=p w"}, "https://x", "http://u:p%20w@agent:2"},
		{"bypass list", []string{agent, `AGENT_PROXYBYPASSLIST=["\\.Amazonaws\\.com$", "^https://git\\."]`}, "https://ecs.eu-west-1.amazonaws.com/", ""},
		{"bypass list sees no default port", []string{agent, `AGENT_PROXYBYPASSLIST=["amazonaws\\.com$"]`}, "https://ecs.eu-west-1.amazonaws.com:443/", ""},
		{"bypass list sees the scheme", []string{agent, `AGENT_PROXYBYPASSLIST=["^https://git\\."]`}, "https://git.example.com", ""},
		{"bypass list does not match", []string{agent, `AGENT_PROXYBYPASSLIST=["^https://git\\."]`}, "https://dev.azure.com", "http://agent:2"},
		{"bypass list is the agent's alone", []string{own, agent, `AGENT_PROXYBYPASSLIST=["dev.azure.com"]`}, "https://dev.azure.com", "http://own:1"},
		{"NO_PROXY holds for the agent's proxy", []string{agent, "NO_PROXY=amazonaws.com"}, "https://ecs.eu-west-1.amazonaws.com", ""},
		{"NO_PROXY for itself", []string{own, "NO_PROXY=example.com"}, "https://example.com", ""},
		{"NO_PROXY with a dot only below", []string{own, "NO_PROXY=.example.com"}, "https://example.com", "http://own:1"},
		{"NO_PROXY with a star", []string{own, "NO_PROXY=*.example.com"}, "https://a.example.com", ""},
		{"NO_PROXY does not match the end of a label", []string{own, "NO_PROXY=example.com"}, "https://badexample.com", "http://own:1"},
		{"NO_PROXY of everything", []string{own, agent, "no_proxy=*"}, "https://x", ""},
		{"NO_PROXY with a port", []string{own, "NO_PROXY=x:8443"}, "https://x:8443", ""},
		{"NO_PROXY with another port", []string{own, "NO_PROXY=x:8443"}, "https://x", "http://own:1"},
		{"NO_PROXY with a default port", []string{own, "NO_PROXY=x:443"}, "https://x", ""},
		{"NO_PROXY with a prefix", []string{own, "NO_PROXY=a, 10.0.0.0/8"}, "https://10.1.2.3:5000", ""},
		{"NO_PROXY with an address", []string{own, "NO_PROXY=10.1.2.3"}, "https://10.1.2.4", "http://own:1"},
		{"NO_PROXY with an IPv6 address", []string{own, "NO_PROXY=[2001:db8::1]:443"}, "https://[2001:db8::1]", ""},
		{"an absolute name", []string{own, "NO_PROXY=example.com"}, "https://www.example.com.", ""},
		{"loopback", []string{own, agent}, "https://127.0.0.1:8443", ""},
		{"loopback v6", []string{own, agent}, "https://[::1]:8443", ""},
		{"localhost", []string{own, agent}, "https://localhost:8443", ""},
		{"metadata", []string{"HTTP_PROXY=http://own:1", agent}, "http://169.254.169.254/latest", ""},
		{"metadata v6", []string{"HTTP_PROXY=http://own:1", agent}, "http://[fd00:ec2::254]/latest", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := read(t, tt.env...)
			to, err := url.Parse(tt.to)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Proxy(&http.Request{URL: to})
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			if got != nil {
				text = got.String()
			}
			if text != tt.want {
				t.Errorf("proxy %q, want %q", text, tt.want)
			}
			if len(s.Warnings) != 0 {
				t.Errorf("warnings %q", s.Warnings)
			}
		})
	}
}

// No text that the package returns holds a password, and every form in which one
// is sent is known to be secret.
func TestPasswordsOfProxies(t *testing.T) {
	s := read(t, "HTTPS_PROXY=http://u:p%40ss@own:1", "AGENT_PROXYURL=https://agent:2",
		"AGENT_PROXYUSERNAME=dom\\u", "SECRET_AGENT_PROXYPASSWORD=h#nter 2", `AGENT_PROXYBYPASSLIST=["("]`)
	for _, want := range []string{"p@ss", "p%40ss", base64.StdEncoding.EncodeToString([]byte("u:p@ss")), "h#nter 2", "h%23nter%202"} {
		if !slices.Contains(s.Secrets, want) {
			t.Errorf("%q is not among the secrets %q", want, s.Secrets)
		}
	}
	shown := strings.Join(append(s.Describe(), s.Warnings...), "\n")
	for _, secret := range s.Secrets {
		if strings.Contains(shown, secret) {
			t.Errorf("%q shows in %s", secret, shown)
		}
	}
	if !strings.Contains(shown, "proxy http://own:1 (HTTPS_PROXY)") || !strings.Contains(shown, "proxy https://agent:2 (AGENT_PROXYURL)") {
		t.Errorf("described as %s", shown)
	}

	for _, value := range []string{"http://u:hunter2@%zz:1", "ftp://u:hunter2@host", "http://u:hunter2@"} {
		_, err := network.Read(environ("AGENT_PROXYURL=" + value))
		if err == nil || !strings.Contains(err.Error(), "AGENT_PROXYURL: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	s := read(t, "AGENT_PROXYURL=http://agent:2", `AGENT_PROXYBYPASSLIST=["(?=x)", "ok"]`, "AGENT_CAINFO="+missing, "AGENT_SKIPCERTVALIDATION=True")
	got := strings.Join(s.Warnings, "\n")
	for _, want := range []string{"(?=x)", "AGENT_CAINFO is not used", "validates them"} {
		if !strings.Contains(got, want) {
			t.Errorf("no warning with %q in\n%s", want, got)
		}
	}
	if got := read(t, "AGENT_PROXYBYPASSLIST=a;b").Warnings; len(got) != 1 {
		t.Errorf("warnings %q", got)
	}
	for _, path := range []string{missing, t.TempDir()} {
		if _, err := network.Read(environ("AWS_CA_BUNDLE=" + path)); err == nil || !strings.HasPrefix(err.Error(), "AWS_CA_BUNDLE: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Every file that is named is trusted, in addition to the others.
func TestAuthorities(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	good := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(good, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func(s *network.Settings) error {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		s.Apply(transport)
		response, err := (&http.Client{Transport: transport}).Get(server.URL)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := get(read(t)); err == nil {
		t.Error("the server is trusted though nobody named its authority")
	}
	for _, variable := range []string{"SSL_CERT_FILE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "AGENT_CAINFO"} {
		s := read(t, variable+"="+good)
		if err := get(s); err != nil {
			t.Errorf("%s: %v", variable, err)
		}
		if want := fmt.Sprintf("certificate authorities of %s: %s", variable, good); !slices.Contains(s.Describe(), want) {
			t.Errorf("described as %q", s.Describe())
		}
	}
}

func FuzzNoProxy(f *testing.F) {
	f.Add("example.com,.a.b,10.0.0.0/8,[::1]:80,*", "https://x.example.com:8443")
	f.Add("*.", "http://[fe80::1%25eth0]/")
	f.Fuzz(func(t *testing.T, list, target string) {
		to, err := url.Parse(target)
		if err != nil {
			t.Skip()
		}
		s, err := network.Read(environ("HTTPS_PROXY=http://p:1", "HTTP_PROXY=http://p:1", "NO_PROXY="+list))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Proxy(&http.Request{URL: to})
		if err != nil || got != nil && got.Host != "p:1" {
			t.Errorf("%v, %v", got, err)
		}
		if strings.TrimSpace(list) == "*" && got != nil {
			t.Error("a proxy though all hosts are excluded")
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("http://u:p@h:1", `["a"]`)
	f.Add("[::1", `[1]`)
	f.Fuzz(func(t *testing.T, proxy, list string) {
		s, err := network.Read(environ("AGENT_PROXYURL="+proxy, "AGENT_PROXYBYPASSLIST="+list))
		if err != nil {
			return
		}
		to := &url.URL{Scheme: "https", Host: "dev.azure.com"}
		if _, err := s.Proxy(&http.Request{URL: to}); err != nil {
			t.Error(err)
		}
	})
}
