package registry

// The connections to registries. Uploads go into plain ones in large pieces, and
// files are copied there by the kernel. net/http would do the latter by itself if
// bodies were files; ours are counted and watched as well. Under TLS, as with
// ECR, bytes have to be encrypted here and none of this applies.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Transport carries requests to registries. It honours HTTP_PROXY, HTTPS_PROXY
// and NO_PROXY.
type Transport struct {
	*http.Transport
	// Mask is told the credentials that requests carry, before they are sent; nil is
	// nobody. It is called for every request.
	Mask func(secrets ...string)
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.Mask != nil {
		t.Mask(Credentials(r.Header)...)
	}
	return t.Transport.RoundTrip(r)
}

// Credentials returns the secrets of a request's Authorization header: the token, or
// the user and password together, encoded and not, and the password alone.
func Credentials(h http.Header) []string {
	scheme, value, _ := strings.Cut(h.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	if value == "" || !strings.EqualFold(scheme, "Basic") && !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	secrets := []string{value}
	if plain, err := base64.StdEncoding.DecodeString(value); err == nil && strings.EqualFold(scheme, "Basic") {
		_, password, _ := strings.Cut(string(plain), ":")
		secrets = append(secrets, string(plain), password)
	}
	return secrets
}

// NewTransport returns a transport that trusts roots; nil are those of the
// system.
//
// It speaks HTTP/1.1 only, because Go's HTTP/2 shares one connection, and one
// flow-control window, among all uploads and can crawl (go-containerregistry
// issue 1193). Its buffers are big, and it keeps as many idle connections as
// there are uploads.
func NewTransport(roots *x509.CertPool) *Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.ForceAttemptHTTP2 = false
	t.TLSClientConfig = &tls.Config{RootCAs: roots}
	t.WriteBufferSize = 64 << 10
	t.ReadBufferSize = 64 << 10
	t.MaxIdleConnsPerHost = 16
	t.TLSHandshakeTimeout = 20 * time.Second
	t.DialContext = largePieces(dialer().DialContext)
	return &Transport{Transport: t}
}

var defaultTransport = sync.OnceValue(func() *Transport { return NewTransport(nil) })

const (
	// kernelPiece is what the kernel is asked to copy at once. An upload that
	// takes a minute for it counts as stalled.
	kernelPiece = 1 << 20
	copyPiece   = 256 << 10
)

// conn is a TCP connection as the transport gets it.
type conn struct{ *net.TCPConn }

// largePieces makes conns of the connections that dial makes.
func largePieces(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok {
			return conn{tcp}, err
		}
		return c, err
	}
}

// ReadFrom takes the body of a request. net/http wraps a body whose length is
// known in an io.LimitedReader (net/http, transfer.go).
func (c conn) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if b, ok := l.R.(*body); ok {
			if f := b.file(); f != nil {
				return b.copyFile(c.TCPConn, f, l)
			}
		}
	}
	return io.CopyBuffer(struct{ io.Writer }{c.TCPConn}, struct{ io.Reader }{r}, make([]byte, copyPiece))
}
