package engine

// Where the local engine listens: DOCKER_HOST, else the Docker context in use,
// else the platform's default; as the Docker CLI decides (docker/cli,
// cli/command/cli.go, "resolveContextName").

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Endpoint is where an engine listens.
type Endpoint struct {
	Host   string // as configured: unix:///…, npipe:////…, tcp://…
	Source string // what said so, for messages
	tls    *tls.Config
}

// findEndpoint decides where the engine listens. getenv returns "" for what is
// unset.
func findEndpoint(getenv func(string) string) (Endpoint, error) {
	if host := getenv("DOCKER_HOST"); host != "" {
		e := Endpoint{Host: host, Source: "DOCKER_HOST"}
		certs := getenv("DOCKER_CERT_PATH")
		if scheme(host) == "tcp" && (certs != "" || getenv("DOCKER_TLS_VERIFY") != "") {
			if certs == "" {
				certs = ConfigDirectory(getenv)
			}
			c, err := readTLS(certs, false)
			if err != nil {
				return e, fmt.Errorf("DOCKER_CERT_PATH: %w", err)
			}
			e.tls = c
		}
		return e, nil
	}
	context, source := getenv("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
	if context == "" {
		var config struct {
			CurrentContext string `json:"currentContext"`
		}
		// A missing or broken configuration leaves the default, as it does for
		// the Docker CLI.
		if b, err := os.ReadFile(filepath.Join(ConfigDirectory(getenv), "config.json")); err == nil {
			_ = json.Unmarshal(b, &config)
		}
		context, source = config.CurrentContext, "Docker's current context"
	}
	if context == "" || context == "default" {
		return Endpoint{Host: defaultHost, Source: "the default"}, nil
	}
	e, err := readContext(ConfigDirectory(getenv), context)
	if err != nil {
		return Endpoint{}, fmt.Errorf("%s %q: %w", source, context, err)
	}
	e.Source = fmt.Sprintf("%s %q", source, context)
	return e, nil
}

// ConfigDirectory is where the Docker CLI keeps its configuration.
func ConfigDirectory(getenv func(string) string) string {
	if d := getenv("DOCKER_CONFIG"); d != "" {
		return d
	}
	home := getenv("HOME")
	if h := getenv("USERPROFILE"); home == "" || os.PathSeparator == '\\' && h != "" {
		home = h
	}
	return filepath.Join(home, ".docker")
}

// readContext reads the endpoint of a Docker context (docker/cli,
// cli/context/store: the folder is named by the hash of the context's name).
func readContext(config, context string) (Endpoint, error) {
	sum := sha256.Sum256([]byte(context))
	id := hex.EncodeToString(sum[:])
	b, err := os.ReadFile(filepath.Join(config, "contexts", "meta", id, "meta.json"))
	if err != nil {
		return Endpoint{}, errors.New("there is no such context; see docker context ls")
	}
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return Endpoint{}, fmt.Errorf("meta.json: %w", err)
	}
	docker, ok := meta.Endpoints["docker"]
	if !ok {
		return Endpoint{}, errors.New("it has no docker endpoint")
	}
	e := Endpoint{Host: docker.Host}
	if e.Host == "" {
		e.Host = defaultHost
	}
	certs := filepath.Join(config, "contexts", "tls", id, "docker")
	if _, err := os.Stat(certs); err == nil || docker.SkipTLSVerify {
		if e.tls, err = readTLS(certs, docker.SkipTLSVerify); err != nil {
			return e, err
		}
	}
	return e, nil
}

// readTLS reads ca.pem, cert.pem and key.pem, each of which may be missing.
func readTLS(dir string, skipVerify bool) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: skipVerify}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	switch {
	case err == nil:
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s holds no certificate", filepath.Join(dir, "ca.pem"))
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	switch {
	case err == nil:
		c.Certificates = []tls.Certificate{pair}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return c, nil
}

// scheme is that of an address, in lower case.
func scheme(address string) string {
	s, _, _ := strings.Cut(address, ":")
	return strings.ToLower(s)
}

// private says whether nobody on a network can read what is sent to the engine: it
// is on this machine, or proves by its certificate that it is the one meant.
func (e Endpoint) private() bool {
	switch scheme(e.Host) {
	case "unix", "npipe":
		return true
	case "https":
		return e.tls == nil || !e.tls.InsecureSkipVerify
	}
	return e.tls != nil && !e.tls.InsecureSkipVerify
}

// local says whether the address is one of this machine.
func (e Endpoint) local() bool {
	switch scheme(e.Host) {
	case "unix", "npipe":
		return true
	}
	u, err := url.Parse(e.Host)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// shown is the address without a password.
func (e Endpoint) shown() string {
	if u, err := url.Parse(e.Host); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return e.Host
}

// Client returns an HTTP client for the engine and the base of its addresses.
func (e Endpoint) Client() (*http.Client, string, error) {
	u, err := url.Parse(e.Host)
	if err != nil {
		return nil, "", fmt.Errorf("%s is not an address such as unix:///var/run/docker.sock", e.Source)
	}
	t := &http.Transport{TLSClientConfig: e.tls, DisableCompression: true, ReadBufferSize: 256 << 10, IdleConnTimeout: 30 * time.Second}
	base := "http://engine"
	dialer := net.Dialer{Timeout: 10 * time.Second}
	switch u.Scheme {
	case "unix":
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Path)
		}
	case "npipe":
		pipe := strings.ReplaceAll(e.Host[len("npipe://"):], "/", `\`)
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialPipe(ctx, pipe) }
	case "tcp", "http", "https":
		t.DialContext = dialer.DialContext
		base = "http://" + u.Host + strings.TrimSuffix(u.Path, "/")
		if e.tls != nil || u.Scheme == "https" {
			base = "https://" + u.Host + strings.TrimSuffix(u.Path, "/")
		}
	case "ssh":
		return nil, "", fmt.Errorf("%s: %s: an engine cannot be reached over ssh:// here; forward its socket and use unix:// or tcp://", e.Source, e.shown())
	default:
		return nil, "", fmt.Errorf("%s: %q: want unix://, npipe:// or tcp://", e.Source, e.shown())
	}
	return &http.Client{Transport: t}, base, nil
}
