package imagetest

// A registry for tests: go-containerregistry's own, behind a wrapper that
// records requests and makes faults, reached over loopback or, where time is to
// stand still, without a network.

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"ecsdeploy/pkg/image"
)

// Keys is a keychain with a token for any registry.
type Keys struct{}

func (Keys) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "AWS", Password: "token"}, nil
}

// Altered is a fault that changes the body of an answer, and nothing else of it.
func (g *Registry) Altered(change func([]byte) []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		g.Inner.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
		w.WriteHeader(whole.Code)
		w.Write(change(whole.Body.Bytes()))
	}
}

func Flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

// Fault makes the first times requests that match go wrong.
type Fault struct {
	Match string // "PUT manifests", "POST", "PATCH", "PUT blobs", …
	Times int
	Do    http.HandlerFunc
}

// Registry is a registry with faults.
type Registry struct {
	Inner http.Handler

	mu       sync.Mutex
	Faults   []Fault
	requests []string // method and kind, in order of arrival
	bodies   int64    // bytes of blobs received
	Vanished []string // digests of blobs that were deleted
	Terse    bool     // a manifest is refused without naming what it lacks
}

// Lose deletes a blob, while others are sent.
func (g *Registry) Lose(digest string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.Vanished = append(g.Vanished, digest)
}

// NewReferrersRegistry is a registry that lists what refers to an image, or does not.
func NewReferrersRegistry(lists bool) *Registry {
	return &Registry{Inner: ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(lists))}
}

func NewRegistry(faults ...Fault) *Registry {
	return &Registry{Inner: ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))), Faults: faults}
}

func RequestKind(r *http.Request) string {
	switch {
	case r.URL.Path == "/v2/":
		return r.Method + " ping"
	case strings.Contains(r.URL.Path, "/manifests/"):
		return r.Method + " manifests"
	case strings.Contains(r.URL.Path, "/blobs/"):
		return r.Method + " blobs"
	}
	return r.Method + " " + r.URL.Path
}

func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := RequestKind(r)
	g.mu.Lock()
	g.requests = append(g.requests, kind)
	var do http.HandlerFunc
	for i := range g.Faults {
		f := &g.Faults[i]
		if f.Times > 0 && strings.HasPrefix(kind, f.Match) {
			f.Times--
			do = f.Do
			break
		}
	}
	if do == nil && len(g.Vanished) > 0 {
		do = g.without(kind, r)
	}
	g.mu.Unlock()
	if do != nil {
		do(w, r)
		return
	}
	if strings.HasSuffix(kind, " blobs") {
		g.receive(r)
	}
	g.Inner.ServeHTTP(w, r)
}

// receive reads the whole body before the registry sees the request. The library's
// registry holds its lock while it reads an upload, so that a slow one would keep
// all others from being answered; and since nothing but a lock is waited for then,
// synctest's time would stand still for good.
func (g *Registry) receive(r *http.Request) {
	raw, err := io.ReadAll(&countedBody{r.Body, g})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
}

// without answers as a registry that has lost some blobs; one that is uploaded
// again is there again. It is called with the lock held.
func (g *Registry) without(kind string, r *http.Request) http.HandlerFunc {
	for i, digest := range g.Vanished {
		switch {
		case kind == "PUT blobs" && r.URL.Query().Get("digest") == digest:
			g.Vanished = slices.Delete(g.Vanished, i, i+1)
			return nil
		case kind == "HEAD blobs" && strings.HasSuffix(r.URL.Path, digest):
			return Answer(404, "", "")
		case kind == "PUT manifests":
			raw, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(raw))
			if err == nil && bytes.Contains(raw, []byte(digest)) {
				message := "Layers with digests '[" + digest + "]' required for pushing image do not exist"
				if g.Terse {
					message = ""
				}
				return Answer(404, "MANIFEST_BLOB_UNKNOWN", message)
			}
		}
	}
	return nil
}

type countedBody struct {
	io.ReadCloser
	g *Registry
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.g.mu.Lock()
	b.g.bodies += int64(n)
	b.g.mu.Unlock()
	return n, err
}

// Take returns the requests since the last call, and forgets them.
func (g *Registry) Take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.requests
	g.requests, g.bodies = nil, 0
	return r
}

// Received is how many bytes of blobs have arrived since take was called.
func (g *Registry) Received() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bodies
}

func (g *Registry) Count(kind string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, r := range g.requests {
		if r == kind {
			n++
		}
	}
	return n
}

// Answer is a fault that answers with a status and an error code.
func Answer(status int, code, message string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
		}
	}
}

// Cut is a fault that ends the connection in the middle of the body.
func Cut(_ http.ResponseWriter, r *http.Request) {
	io.CopyN(io.Discard, r.Body, 1000)
	panic(http.ErrAbortHandler)
}

// Hang is a fault that reads a little and then nothing more.
func Hang(_ http.ResponseWriter, r *http.Request) {
	io.CopyN(io.Discard, r.Body, 1000)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// LoseAnswer is a fault that does what is asked and then ends the connection.
func (g *Registry) LoseAnswer(_ http.ResponseWriter, r *http.Request) {
	g.Inner.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// Serve listens on loopback and returns host/app.
func (g *Registry) Serve(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://") + "/app"
}

// Direct is a transport that calls a handler without a network, so that it can
// be used where time is faked.
type Direct struct{ Handler http.Handler }

func (d Direct) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	in.Host = r.URL.Host
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	done := make(chan error, 1)
	go func() {
		defer func() {
			in.Body.Close()
			if p := recover(); p != nil {
				done <- io.ErrUnexpectedEOF
				return
			}
			done <- nil
		}()
		d.Handler.ServeHTTP(w, in)
	}()
	select {
	case err := <-done:
		cancel()
		if err != nil {
			return nil, err
		}
		resp := w.Result()
		resp.Request = r
		return resp, nil
	case <-r.Context().Done():
		cancel()
		<-done
		return nil, context.Cause(r.Context())
	}
}

// Pull validates the image or index at ref with the library, every byte of it,
// and returns the descriptor and, for an image, its ID.
func Pull(t testing.TB, ref string, options ...remote.Option) (d v1.Descriptor, id string) {
	t.Helper()
	return fetch(t, ref, nil, options)
}

// Glance is pull without unpacking the layers, whose digests the test registry
// has verified.
func Glance(t testing.TB, ref string, options ...remote.Option) (d v1.Descriptor, id string) {
	t.Helper()
	return fetch(t, ref, []validate.Option{validate.Fast}, options)
}

func fetch(t testing.TB, ref string, how []validate.Option, options []remote.Option) (d v1.Descriptor, id string) {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Get(r, options...)
	if err != nil {
		t.Fatalf("pull %s: %v", ref, err)
	}
	if got.MediaType.IsIndex() {
		index, err := got.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index, how...); err != nil {
			t.Fatalf("validate %s: %v", ref, err)
		}
		return got.Descriptor, ""
	}
	img, err := got.Image()
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(m.Layers, image.IsRawLayer) {
		how = append(how, validate.Fast) // the library wants to unpack every layer
	}
	if len(how) == 0 && slices.ContainsFunc(m.Layers, func(l v1.Descriptor) bool { return l.MediaType == types.OCILayerZStd }) {
		how = append(how, validate.Fast) // it takes every layer for gzip
		unpackAll(t, img)
	}
	if err := validate.Image(img, how...); err != nil {
		t.Fatalf("validate %s: %v", ref, err)
	}
	h, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return got.Descriptor, h.String()
}

// unpackAll compares the layers, whatever they are compressed with, with what the
// config says of them.
func unpackAll(t testing.TB, img v1.Image) {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != len(config.RootFS.DiffIDs) {
		t.Fatalf("%d layers, the config lists %d: %v", len(layers), len(config.RootFS.DiffIDs), err)
	}
	for i, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := v1.SHA256(r)
		r.Close()
		if err != nil || got != config.RootFS.DiffIDs[i] {
			t.Fatalf("layer %d unpacks to %s, want %s: %v", i, got, config.RootFS.DiffIDs[i], err)
		}
	}
}
