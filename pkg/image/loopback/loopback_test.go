package loopback

// The registry with a client of its own kind, go-containerregistry's, and with
// requests that no good client sends.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// memory is a store that keeps everything.
type memory struct {
	accept func(context.Context, io.Reader) (v1.Descriptor, error) // nil keeps what comes

	mu       sync.Mutex
	there    map[v1.Hash]int64
	blobs    map[v1.Hash][]byte
	manifest []byte
	asked    int
	broken   []error    // of uploads that did not end
	breaks   chan error // is told of them; may be nil
}

func (m *memory) Has(_ context.Context, h v1.Hash) (int64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	size, ok := m.there[h]
	return size, ok
}

func (m *memory) Accept(ctx context.Context, r io.Reader) (v1.Descriptor, error) {
	if m.accept != nil {
		return m.accept(ctx, r)
	}
	b, err := io.ReadAll(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.broken = append(m.broken, err)
		if m.breaks != nil {
			m.breaks <- err
		}
		return v1.Descriptor{}, err
	}
	h, size, _ := v1.SHA256(bytes.NewReader(b))
	if m.blobs == nil {
		m.blobs = map[v1.Hash][]byte{}
	}
	m.blobs[h] = b
	return v1.Descriptor{Digest: h, Size: size}, nil
}

func (m *memory) Manifest(_ context.Context, _ string, raw []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes.Contains(raw, []byte("refuse me")) {
		return errors.New("not this one")
	}
	m.manifest = raw
	return nil
}

func listen(t *testing.T, s Store) *Registry {
	t.Helper()
	r, err := Listen(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestPush(t *testing.T) {
	image, err := random.Image(100_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	base, _ := layers[0].Digest()
	size, _ := layers[0].Size()
	m := &memory{there: map[v1.Hash]int64{base: size}}
	r := listen(t, m)
	ref, err := name.ParseReference(r.Repository()+":1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	user, password := r.Credentials()
	if err := remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: user, Password: password})); err != nil {
		t.Fatal(err)
	}
	want, _ := image.RawManifest()
	if !bytes.Equal(m.manifest, want) {
		t.Errorf("manifest %s, want %s", m.manifest, want)
	}
	if _, sent := m.blobs[base]; sent || len(m.blobs) != 3 {
		t.Errorf("%d blobs were sent, the one that was there among them: %t; want two layers and the config", len(m.blobs), sent)
	}
	select {
	case <-r.Reached():
	default:
		t.Error("nobody is said to have come")
	}
}

// call sends a request and returns the answer with its body read.
func call(t *testing.T, r *Registry, method, path, password string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/v2/" + repository + "/" + path
	}
	q, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.Address()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		q.SetBasicAuth(user, password)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp, string(b)
}

func TestStrangers(t *testing.T) {
	m := &memory{}
	r := listen(t, m)
	some := "blobs/sha256:" + strings.Repeat("a", 64)
	for _, q := range []struct{ method, path, password string }{
		{"GET", "/v2/", ""},
		{"GET", "/v2/", "guess"},
		{"HEAD", some, ""},
		{"POST", "blobs/uploads/", "guess"},
		{"PUT", "manifests/1", r.password + "x"},
		{"GET", "/", ""},
	} {
		resp, _ := call(t, r, q.method, q.path, q.password, nil)
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s %s with %q: %s", q.method, q.path, q.password, resp.Status)
		}
	}
	select {
	case <-r.Reached():
		t.Error("somebody without the credentials counts as having come")
	default:
	}
	if m.asked > 0 || len(r.sessions) > 0 {
		t.Error("the store was asked")
	}

	// Another registry's password is none of this one.
	other := listen(t, m)
	if resp, _ := call(t, r, "GET", "/v2/", other.password, nil); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the password of another push: %s", resp.Status)
	}

	// Who has the credentials can push to one repository and read nothing.
	for path, want := range map[string]int{
		"/v2/":                                   http.StatusOK,
		"/v2/other/app/blobs/uploads/":           http.StatusNotFound,
		"/v2/_catalog":                           http.StatusNotFound,
		"tags/list":                              http.StatusNotFound,
		"manifests/1":                            http.StatusNotFound,
		some:                                     http.StatusNotFound,
		"/v2/" + repository + "/../../../secret": http.StatusNotFound,
	} {
		if resp, _ := call(t, r, "GET", path, r.password, nil); resp.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", path, resp.Status, want)
		}
	}
	if host, _, err := net.SplitHostPort(r.Address()); err != nil || host != "127.0.0.1" {
		t.Errorf("listens on %s", r.Address())
	}
}

func TestSessions(t *testing.T) {
	blob := bytes.Repeat([]byte("0123456789"), 1000)
	digest, _, _ := v1.SHA256(bytes.NewReader(blob))
	other, _, _ := v1.SHA256(strings.NewReader("other"))
	begin := func(t *testing.T, r *Registry) string {
		t.Helper()
		resp, _ := call(t, r, "POST", "blobs/uploads/", r.password, nil)
		if resp.StatusCode != http.StatusAccepted {
			t.Fatal(resp.Status)
		}
		return resp.Header.Get("Location")
	}
	status := func(t *testing.T, r *Registry, method, path string, body io.Reader, want int, header ...string) string {
		t.Helper()
		resp, text := call(t, r, method, path, r.password, body, header...)
		if resp.StatusCode != want {
			t.Errorf("%s: %s %s, want %d", method, resp.Status, text, want)
		}
		return text
	}

	t.Run("in parts", func(t *testing.T) {
		m := &memory{}
		r := listen(t, m)
		at := begin(t, r)
		resp, _ := call(t, r, "PATCH", at, r.password, bytes.NewReader(blob[:4000]), "Content-Range", "0-3999")
		if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Range") != "0-3999" {
			t.Errorf("%s, range %q", resp.Status, resp.Header.Get("Range"))
		}
		status(t, r, "PATCH", at, bytes.NewReader(blob[5000:]), http.StatusRequestedRangeNotSatisfiable, "Content-Range", "5000-9999")
		status(t, r, "PUT", at+"?digest="+digest.String(), bytes.NewReader(blob[4000:]), http.StatusCreated)
		if !bytes.Equal(m.blobs[digest], blob) {
			t.Error("another blob arrived")
		}
		status(t, r, "HEAD", "blobs/"+digest.String(), nil, http.StatusOK)
		status(t, r, "PATCH", at, bytes.NewReader(blob), http.StatusNotFound)
	})

	t.Run("chunked, then without a body", func(t *testing.T) {
		m := &memory{}
		r := listen(t, m)
		at := begin(t, r)
		status(t, r, "PATCH", at, io.MultiReader(bytes.NewReader(blob)), http.StatusAccepted)
		status(t, r, "PUT", at+"?digest="+digest.String(), nil, http.StatusCreated)
	})

	t.Run("another digest", func(t *testing.T) {
		r := listen(t, &memory{})
		at := begin(t, r)
		status(t, r, "PUT", at+"?digest=nonsense", bytes.NewReader(blob), http.StatusBadRequest)
		status(t, r, "PUT", at+"?digest="+other.String(), bytes.NewReader(blob), http.StatusBadRequest)
		status(t, r, "HEAD", "blobs/"+digest.String(), nil, http.StatusNotFound)
	})

	t.Run("abandoned", func(t *testing.T) {
		m := &memory{}
		r := listen(t, m)
		at := begin(t, r)
		status(t, r, "PATCH", at, bytes.NewReader(blob), http.StatusAccepted)
		status(t, r, "DELETE", at, nil, http.StatusNoContent)
		if len(m.broken) != 1 || len(m.blobs) > 0 {
			t.Errorf("the store was told %v, and has %d blobs", m.broken, len(m.blobs))
		}
	})

	t.Run("cut off", func(t *testing.T) {
		m := &memory{breaks: make(chan error, 1)}
		r := listen(t, m)
		at := begin(t, r)
		conn, err := net.Dial("tcp", r.Address())
		if err != nil {
			t.Fatal(err)
		}
		q, _ := http.NewRequest("PATCH", "http://"+r.Address()+at, nil)
		q.SetBasicAuth(user, r.password)
		fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 10000\r\n\r\nabc", at, q.Header.Get("Authorization"))
		conn.Close()
		<-m.breaks
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.broken) != 1 || len(m.blobs) > 0 {
			t.Errorf("the store was told %v, and has %d blobs", m.broken, len(m.blobs))
		}
	})

	t.Run("two at a time", func(t *testing.T) {
		begun := make(chan bool)
		r := listen(t, &memory{accept: func(_ context.Context, r io.Reader) (v1.Descriptor, error) {
			r.Read(make([]byte, 1))
			begun <- true
			_, err := io.Copy(io.Discard, r)
			return v1.Descriptor{}, err
		}})
		at := begin(t, r)
		in, out := io.Pipe()
		first := make(chan int)
		go func() {
			q, _ := http.NewRequest("PATCH", "http://"+r.Address()+at, in)
			q.SetBasicAuth(user, r.password)
			resp, err := http.DefaultClient.Do(q)
			if err != nil {
				first <- 0
				return
			}
			resp.Body.Close()
			first <- resp.StatusCode
		}()
		out.Write([]byte("a"))
		<-begun
		status(t, r, "PATCH", at, bytes.NewReader(blob), http.StatusConflict)
		out.Close()
		if got := <-first; got != http.StatusAccepted {
			t.Errorf("the first one: %d", got)
		}
	})

	t.Run("too many", func(t *testing.T) {
		r := listen(t, &memory{})
		for range maxSessions {
			begin(t, r)
		}
		status(t, r, "POST", "blobs/uploads/", nil, http.StatusTooManyRequests)
	})

	t.Run("the store fails", func(t *testing.T) {
		r := listen(t, &memory{accept: func(context.Context, io.Reader) (v1.Descriptor, error) {
			return v1.Descriptor{}, errors.New("the disk is full")
		}})
		if text := status(t, r, "PATCH", begin(t, r), bytes.NewReader(blob), http.StatusInternalServerError); !strings.Contains(text, "the disk is full") {
			t.Error(text)
		}
	})

	t.Run("the store panics", func(t *testing.T) {
		r := listen(t, &memory{accept: func(context.Context, io.Reader) (v1.Descriptor, error) { panic("so it ends") }})
		if text := status(t, r, "PATCH", begin(t, r), bytes.NewReader(blob), http.StatusInternalServerError); !strings.Contains(text, "so it ends") {
			t.Error(text)
		}
	})

	t.Run("manifests", func(t *testing.T) {
		r := listen(t, &memory{})
		if text := status(t, r, "PUT", "manifests/1", strings.NewReader("refuse me"), http.StatusBadRequest); !strings.Contains(text, "not this one") {
			t.Error(text)
		}
		status(t, r, "PUT", "manifests/"+digest.String(), strings.NewReader("{}"), http.StatusBadRequest)
		status(t, r, "PUT", "manifests/1", bytes.NewReader(make([]byte, maxManifest+1)), http.StatusRequestEntityTooLarge)
	})
}

// An upload that is still open when the registry is closed fails, and nothing is
// left listening.
func TestClose(t *testing.T) {
	m := &memory{}
	r := listen(t, m)
	resp, _ := call(t, r, "POST", "blobs/uploads/", r.password, nil)
	if resp, _ := call(t, r, "PATCH", resp.Header.Get("Location"), r.password, strings.NewReader("abc")); resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if len(m.broken) != 1 || len(m.blobs) > 0 { // without a lock: nobody else may touch it any more
		t.Errorf("the store was told %v, and has %d blobs", m.broken, len(m.blobs))
	}
	if conn, err := net.Dial("tcp", r.Address()); err == nil {
		conn.Close()
		t.Error("somebody still listens")
	}
}
