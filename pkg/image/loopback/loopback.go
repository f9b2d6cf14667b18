// Package loopback is a registry inside this process for one push from a container
// engine on the same machine. The engine is told to push to it, asks which blobs
// are there, and sends the others; a [Store] answers and takes what comes.
//
// The registry listens on 127.0.0.1 only, at a port that the system chooses, and
// serves one repository to whoever knows credentials that are made for it and
// forgotten with it. It speaks the part of the OCI distribution specification that
// a push needs (spec.md, "Push"): blobs cannot be read back, there are no tags and
// no catalog.
//
// The package does not know where blobs go, stores nothing, keeps no blob in
// memory, and does not speak to the engine's own API.
package loopback

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
)

// Store is what stands behind the registry. Its methods are called at the same
// time for different blobs; ctx ends with the registry, not with a request.
type Store interface {
	// Has says whether a blob need not be sent. size is what the client is told of it.
	Has(ctx context.Context, digest v1.Hash) (size int64, ok bool)
	// Accept reads a blob to its end and returns its digest and size. An error of r
	// means that the client did not complete the blob; it may send it again.
	Accept(ctx context.Context, r io.Reader) (v1.Descriptor, error)
	// Manifest takes the manifest that ends the push.
	Manifest(ctx context.Context, mediaType string, raw []byte) error
}

// Bounds on what a client can make the registry hold.
const (
	maxManifest = 4 << 20 // distribution, registry/handlers/manifests.go
	maxSessions = 64      // uploads that have begun and not ended; Docker has 5 at a time
	headerLimit = 10 * time.Second
)

// repository is the path of the one repository.
const repository = "ecsdeploy/relay" // podman would take "push" at its end for a command

// user is the name that goes with the password.
const user = "ecsdeploy"

// Registry serves until it is closed.
type Registry struct {
	store    Store
	listener net.Listener
	server   *http.Server
	password string

	ctx     context.Context
	cancel  context.CancelFunc
	serving sync.WaitGroup

	reached     chan struct{} // closed at the first request with the credentials
	reachedOnce sync.Once

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session
	stored   map[v1.Hash]int64 // sizes of blobs that were accepted
}

// Listen starts a registry in front of a store. The error says that no port could
// be had.
func Listen(ctx context.Context, store Store) (*Registry, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on the loopback address: %w", err)
	}
	r := &Registry{
		store: store, listener: l, password: rand.Text(),
		reached: make(chan struct{}), sessions: map[string]*session{}, stored: map[v1.Hash]int64{},
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	// Engines try TLS first; that it is refused is no news.
	r.server = &http.Server{Handler: r.handler(), ReadHeaderTimeout: headerLimit, ErrorLog: log.New(io.Discard, "", 0)}
	r.serving.Go(func() { r.server.Serve(l) })
	return r, nil
}

// Address is host:port.
func (r *Registry) Address() string { return r.listener.Addr().String() }

// Repository is host:port/name.
func (r *Registry) Repository() string { return r.Address() + "/" + repository }

// Credentials are what the registry asks for.
func (r *Registry) Credentials() (name, password string) { return user, r.password }

// Reached is closed once somebody with the credentials has come.
func (r *Registry) Reached() <-chan struct{} { return r.reached }

// Close ends the registry: the port is free, uploads that have not ended fail, and
// no method of the store runs any more when it returns.
func (r *Registry) Close() error {
	r.cancel()
	err := r.server.Close()
	r.mu.Lock()
	r.closed = true
	for _, s := range r.sessions {
		s.in.CloseWithError(net.ErrClosed)
	}
	r.mu.Unlock()
	r.serving.Wait()
	return err
}

// handler is the registry's side of the protocol (OCI distribution specification,
// spec.md, "Endpoints").
func (r *Registry) handler() http.Handler {
	const base = "/v2/" + repository
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/v2/" {
			refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "there is one repository here, and this is another one")
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	mux.HandleFunc(base+"/", func(w http.ResponseWriter, q *http.Request) {
		refuse(w, http.StatusNotFound, "UNSUPPORTED", "nothing can be read here")
	})
	mux.HandleFunc("HEAD "+base+"/blobs/{digest}", r.has)
	mux.HandleFunc("POST "+base+"/blobs/uploads/{$}", r.begin)
	mux.HandleFunc("PATCH "+base+"/blobs/uploads/{session}", r.part)
	mux.HandleFunc("PUT "+base+"/blobs/uploads/{session}", r.commit)
	mux.HandleFunc("DELETE "+base+"/blobs/uploads/{session}", r.abandon)
	mux.HandleFunc("PUT "+base+"/manifests/{reference}", r.manifest)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !r.track() {
			return
		}
		defer r.serving.Done()
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		if !r.knows(q) {
			w.Header().Set("WWW-Authenticate", `Basic realm="ecsdeploy"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "credentials are needed")
			return
		}
		r.reachedOnce.Do(func() { close(r.reached) })
		if err := guard.Run(func() error { mux.ServeHTTP(w, q); return nil }); err != nil {
			refuse(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		}
	})
}

// track counts a request or an upload that Close waits for; false says that the
// registry is closed.
func (r *Registry) track() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.serving.Add(1)
	}
	return !r.closed
}

// knows says whether a request has the credentials.
func (r *Registry) knows(q *http.Request) bool {
	name, password, ok := q.BasicAuth()
	same := subtle.ConstantTimeCompare([]byte(password), []byte(r.password))
	return ok && name == user && same == 1
}

// refuse writes an error as the specification has it ("Error Codes").
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	json.NewEncoder(w).Encode(struct {
		Errors []entry `json:"errors"`
	}{[]entry{{code, message}}})
}

// digestOf reads a digest of a request.
func digestOf(w http.ResponseWriter, s string) (v1.Hash, bool) {
	h, err := v1.NewHash(s)
	if err != nil || h.Algorithm != "sha256" {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "a sha256 digest was expected")
		return h, false
	}
	return h, true
}

func (r *Registry) has(w http.ResponseWriter, q *http.Request) {
	h, ok := digestOf(w, q.PathValue("digest"))
	if !ok {
		return
	}
	r.mu.Lock()
	size, ok := r.stored[h]
	r.mu.Unlock()
	if !ok {
		size, ok = r.store.Has(r.ctx, h)
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Docker-Content-Digest", h.String())
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", fmt.Sprint(size))
	w.WriteHeader(http.StatusOK)
}

func (r *Registry) manifest(w http.ResponseWriter, q *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(q.Body, maxManifest+1))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "the manifest ended too early")
		return
	case len(raw) > maxManifest:
		refuse(w, http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", fmt.Sprintf("the manifest is larger than %d MiB", maxManifest>>20))
		return
	}
	h, _, _ := v1.SHA256(strings.NewReader(string(raw)))
	if want, err := v1.NewHash(q.PathValue("reference")); err == nil && want != h {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "the manifest has another digest")
		return
	}
	if err := r.store.Manifest(r.ctx, q.Header.Get("Content-Type"), raw); err != nil {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
		return
	}
	w.Header().Set("Docker-Content-Digest", h.String())
	w.Header().Set("Location", "/v2/"+repository+"/manifests/"+h.String())
	w.WriteHeader(http.StatusCreated)
}

// errIncomplete is the error of a blob whose client did not send all of it.
var errIncomplete = errors.New("the upload ended before the blob did")
