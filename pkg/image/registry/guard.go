package registry

// What no request to a registry may do, whoever makes it, the library or this
// package: go over plain HTTP to a host that was not meant to be spoken to so,
// and reach the addresses at which clouds hand out credentials to whoever asks.

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"ecsdeploy/pkg/image"
)

// InsecureError says that a registry could only be reached over plain HTTP, where
// passwords and layers could be read and changed on the way.
type InsecureError struct {
	Host string
	// Err is why HTTPS did not work; nil where the registry itself led to HTTP.
	Err error
}

func (e *InsecureError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: no HTTPS connection: %v; plain HTTP is not used", e.Host, e.Err)
	}
	return e.Host + ": the registry leads to plain HTTP, which is not used"
}

func (e *InsecureError) Unwrap() error { return e.Err }

// Hint says the two ways to mend it.
func (e *InsecureError) Hint() string {
	return "have the agent trust the certificate authority of the registry's certificate, or, in a network that you trust, list the host in insecureRegistries"
}

// distrusted says whether err means that the other side does not speak HTTPS, or not
// with a certificate that is trusted.
func distrusted(err error) bool {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid)
}

// maxRedirects is how many redirects of one request are followed.
const maxRedirects = 5

// hostGuard carries the requests to one registry and what it leads to.
type hostGuard struct {
	inner http.RoundTripper
	host  string
	// plain says that the registry may be spoken to over plain HTTP.
	plain bool

	mu     sync.Mutex
	failed error // why HTTPS to the host did not work, the last time
}

func (g *hostGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	at := r.URL.Hostname()
	switch {
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return nil, image.Final("the registry leads to an address of the scheme %q; expected https", r.URL.Scheme)
	case isMetadata(at):
		return nil, image.Final("the registry leads to the link-local address %s, which is not followed", at)
	case r.URL.Scheme == "http" && !(g.plain && (r.URL.Host == g.host || isLoopback(r.URL.Host))):
		g.mu.Lock()
		defer g.mu.Unlock()
		e := &InsecureError{Host: r.URL.Host}
		if r.URL.Host == g.host {
			e.Err = g.failed
		}
		return nil, e
	}
	resp, err := g.inner.RoundTrip(r)
	if r.URL.Scheme == "https" && r.URL.Host == g.host {
		g.mu.Lock()
		g.failed = err
		g.mu.Unlock()
	}
	return resp, err
}

// follow is the CheckRedirect of a client.
func follow(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return image.Final("the registry redirects more than %d times", maxRedirects)
	}
	return nil
}

// metadata are the addresses that are not link-local by their form: of AWS over
// IPv6, and of Azure's agents.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd00:ec2::23"), netip.MustParseAddr("168.63.129.16")}

// isMetadata says whether host is the address of a metadata service.
func isMetadata(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "metadata.google.internal") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	if ip.IsLinkLocalUnicast() {
		return true
	}
	for _, a := range metadata {
		if a == ip {
			return true
		}
	}
	return false
}

// dialer makes the connections of NewTransport: as the standard library's, but
// not to a metadata service, whatever name leads there.
func dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:   30 * time.Second,
		KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			if host, _, err := net.SplitHostPort(address); err == nil && isMetadata(host) {
				return image.Final("the address leads to the link-local address %s, which is not followed", host)
			}
			return nil
		},
	}
}

// speaksPlain says whether a registry may be spoken to over plain HTTP: if it is on
// this machine, or if that was asked for.
func speaksPlain(r name.Registry, insecure bool) bool { return insecure || isLoopback(r.RegistryStr()) }
