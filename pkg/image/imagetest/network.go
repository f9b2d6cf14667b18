package imagetest

// A transport to hosts that exist in the test only.

import (
	"crypto/x509"
	"net/http"
	"sync"
)

// Network is a transport that answers by host, "http://a" or "https://a", and
// notes what was sent where.
type Network struct {
	Hosts map[string]http.Handler

	mu    sync.Mutex
	Asked []string // scheme://host, once for each request
	Open  []string // of those over HTTP, with credentials or a body
}

func (n *Network) RoundTrip(r *http.Request) (*http.Response, error) {
	at := r.URL.Scheme + "://" + r.URL.Host
	n.mu.Lock()
	n.Asked = append(n.Asked, at)
	if r.URL.Scheme == "http" && (r.Header.Get("Authorization") != "" || r.ContentLength > 0) {
		n.Open = append(n.Open, at)
	}
	n.mu.Unlock()
	if h := n.Hosts[at]; h != nil {
		return Direct{h}.RoundTrip(r)
	}
	return nil, x509.UnknownAuthorityError{}
}
