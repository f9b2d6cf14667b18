package imagetest

// A stand-in for an engine that pushes to whatever registry it is told to.

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
)

// PushingEngine is an engine of one image that pushes as Docker with the classic store,
// or podman, does. It asks the registry for layers by their digests in Pulled, sends the
// others gzipped, and then the config and the manifest.
type PushingEngine struct {
	Engine
	Sample Sample
	Pulled map[int][]byte // by number of layer: the blob that it was pulled as
	// Base is what the engine says of the image that this one is based on; nil where it
	// does not have that any more.
	Base map[string]any
	// Apart is an engine whose loopback address is another one: what answers it there, or
	// nil for nothing at all.
	Apart func() error
	// Fault is called at each stage of its push number push, which are "begin", "layer 0"
	// and so on, "config" and "manifest", and has it fail there: it says the error, or
	// dies with ErrKilled, or ends as if it were done with ErrSilent. It may be nil.
	Fault func(push int, stage string, w http.ResponseWriter) error
	Slow  bool // it says that layers are large that it packs, and packs on

	mu       sync.Mutex
	requests []string
	secrets  []string
	sent     []string
}

// ErrKilled ends a PushingEngine's connections, ErrSilent its push as if it were done.
var (
	ErrKilled = errors.New("killed")
	ErrSilent = errors.New("silent")
)

// NewPushingEngine has an image of 500 MB, as far as it says, as app:1.
func NewPushingEngine(t testing.TB, s Sample, pulled map[int][]byte) *PushingEngine {
	t.Helper()
	var diffIDs []string
	for _, l := range s.Layers {
		diffIDs = append(diffIDs, image.DigestOf(l).String())
	}
	if pulled == nil {
		pulled = map[int][]byte{}
	}
	return &PushingEngine{Sample: s, Pulled: pulled, Engine: Engine{Api: "1.41", Archive: Docker20(t, s), Inspect: map[string]any{
		"Id": s.ID(), "Os": "linux", "Architecture": "amd64", "Size": 500 << 20, "RepoTags": []string{"app:1"}, "RootFS": map[string]any{"Layers": diffIDs}}}}
}

// Requests are those that change something.
func (e *PushingEngine) Requests() []string { return e.list(&e.requests) }

// Secrets are the credentials that it was given.
func (e *PushingEngine) Secrets() []string { return e.list(&e.secrets) }

// Sent are the numbers of the layers that it sent.
func (e *PushingEngine) Sent() []string { return e.list(&e.sent) }

func (e *PushingEngine) list(of *[]string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(*of)
}

func (e *PushingEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, _ := strings.CutPrefix(r.URL.Path, "/v"+e.Api)
	switch {
	case path == "/images/json" && e.Base != nil:
		json.NewEncoder(w).Encode([]any{map[string]any{"Id": "sha256:1", "RepoDigests": []string{"<none>@<none>"}}, e.Base})
		return
	case e.Base != nil && path == "/images/"+fmt.Sprint(e.Base["Id"])+"/json":
		json.NewEncoder(w).Encode(e.Base)
		return
	}
	if r.Method == http.MethodGet {
		e.Engine.ServeHTTP(w, r)
		return
	}
	e.mu.Lock()
	e.requests = append(e.requests, r.Method+" "+path)
	e.secrets = append(e.secrets, r.Header.Get("X-Registry-Auth"))
	e.mu.Unlock()
	if name, ok := strings.CutSuffix(path, "/push"); ok {
		e.mu.Lock()
		e.Pushes++
		n := e.Pushes
		e.mu.Unlock()
		switch err := e.pushAll(w, n, strings.TrimPrefix(name, "/images/"), r); {
		case err == ErrKilled:
			panic(http.ErrAbortHandler)
		case err != nil && err != ErrSilent:
			json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
		}
		return
	}
	if path != "/auth" {
		return
	}
	var a struct{ Username, Password, ServerAddress string }
	json.NewDecoder(r.Body).Decode(&a)
	err := error(nil)
	if e.Apart != nil {
		err = e.Apart()
	} else {
		err = login(a.ServerAddress, a.Username, a.Password)
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		json.NewEncoder(w).Encode(map[string]string{"message": err.Error()})
	}
}

func login(address, user, password string) error {
	q, err := http.NewRequest("GET", "http://"+address+"/v2/", nil)
	if err != nil {
		return err
	}
	q.SetBasicAuth(user, password)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// at is the fault of a stage, if there is one.
func (e *PushingEngine) at(push int, stage string, w http.ResponseWriter) error {
	if e.Fault == nil {
		return nil
	}
	return e.Fault(push, stage, w)
}

// pushAll pushes as moby's distribution/push_v2.go does, one layer after the other.
func (e *PushingEngine) pushAll(w http.ResponseWriter, push int, name string, r *http.Request) error {
	var a struct{ Username, Password string }
	raw, _ := base64.URLEncoding.DecodeString(r.Header.Get("X-Registry-Auth"))
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	host, repository, _ := strings.Cut(name, "/")
	at := remoteRegistry{r.Context(), "http://" + host, "/v2/" + repository + "/", a.Username, a.Password}
	if err := e.at(push, "begin", w); err != nil {
		return err
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2}
	for i, l := range e.Sample.Layers {
		if err := e.at(push, fmt.Sprint("layer ", i), w); err != nil {
			return err
		}
		asked := image.DigestOf(l)
		if !e.Podman {
			asked = image.DigestOf(e.Pulled[i])
		}
		if size, ok, err := at.head(asked); err != nil {
			return err
		} else if ok && (e.Podman || e.Pulled[i] != nil) {
			m.Layers = append(m.Layers, v1.Descriptor{MediaType: types.DockerLayer, Digest: asked, Size: size})
			continue
		}
		if e.Slow {
			fmt.Fprintf(w, `{"status":"Pushing","progressDetail":{"current":1,"total":%d},"id":"%d"}`+"\n", 50<<20, i)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		var b bytes.Buffer
		b.Write(packed(l))
		d, err := at.send(b.Bytes())
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.sent = append(e.sent, fmt.Sprint(i))
		e.Pulled[i] = b.Bytes() // an engine remembers what it has made of a layer
		e.mu.Unlock()
		d.MediaType = types.DockerLayer
		m.Layers = append(m.Layers, d)
	}
	if err := e.at(push, "config", w); err != nil {
		return err
	}
	config, err := at.send(e.Sample.Config)
	if err != nil {
		return err
	}
	config.MediaType = types.DockerConfigJSON
	m.Config = config
	if err := e.at(push, "manifest", w); err != nil {
		return err
	}
	raw, err = json.Marshal(m)
	if err != nil {
		return err
	}
	return at.do("PUT", "manifests/"+r.URL.Query().Get("tag"), raw, http.StatusCreated, nil)
}

// packed is what the engine makes of a raw layer.
func packed(l []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(l)
	w.Close()
	return b.Bytes()
}

// remoteRegistry is a registry as an engine uses one.
type remoteRegistry struct {
	ctx                        context.Context
	host, base, user, password string
}

func (g remoteRegistry) do(method, path string, body []byte, want int, header *http.Header) error {
	if !strings.HasPrefix(path, "/") {
		path = g.base + path
	}
	q, err := http.NewRequestWithContext(g.ctx, method, g.host+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.SetBasicAuth(g.user, g.password)
	q.Header.Set("Content-Type", string(types.DockerManifestSchema2))
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s: %s %s", method, path, resp.Status, text)
	}
	if header != nil {
		*header = resp.Header
		if method == http.MethodHead {
			header.Set("Content-Length", fmt.Sprint(resp.ContentLength))
		}
	}
	return nil
}

func (g remoteRegistry) head(h v1.Hash) (size int64, ok bool, err error) {
	var header http.Header
	err = g.do("HEAD", "blobs/"+h.String(), nil, http.StatusOK, &header)
	if err != nil && strings.Contains(err.Error(), "404") {
		return 0, false, nil
	}
	if err == nil {
		fmt.Sscan(header.Get("Content-Length"), &size)
	}
	return size, err == nil, err
}

func (g remoteRegistry) send(b []byte) (v1.Descriptor, error) {
	d := v1.Descriptor{Digest: image.DigestOf(b), Size: int64(len(b))}
	var header http.Header
	if err := g.do("POST", "blobs/uploads/", nil, http.StatusAccepted, &header); err != nil {
		return d, err
	}
	if err := g.do("PATCH", header.Get("Location"), b, http.StatusAccepted, &header); err != nil {
		return d, err
	}
	return d, g.do("PUT", header.Get("Location")+"?digest="+d.Digest.String(), nil, http.StatusCreated, nil)
}
