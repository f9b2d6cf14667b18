package image

// A stand-in for the engine on a unix socket, as Docker with the classic store,
// Docker with containerd's, and podman answer; and, where there is one, a real
// engine.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// fakeEngine answers for one image.
type fakeEngine struct {
	api      string // "1.41"
	podman   bool
	inspect  map[string]any
	archive  []byte
	cutAfter int // bytes of the archive after which the connection ends; 0 is never
	tags     []string
	exports  int
	// push does what the engine is told to and returns the lines of its answer;
	// nil is an engine that cannot.
	push   func(name, tag string) []string
	pushes int
	calls  []string // what changes something, and the credentials of pushes
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.podman {
		w.Header().Set("Libpod-API-Version", "5.0.0")
	}
	if r.URL.Path == "/_ping" {
		w.Header().Set("API-Version", f.api)
		io.WriteString(w, "OK")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v"+f.api)
	if !ok {
		http.Error(w, `{"message":"client version is not supported"}`, http.StatusBadRequest)
		return
	}
	if r.Method != http.MethodGet && f.push != nil {
		f.calls = append(f.calls, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()[len("/v"+f.api):]+" "+r.Header.Get("X-Registry-Auth")))
		if name, ok := strings.CutSuffix(path, "/push"); ok {
			f.pushes++
			for _, line := range f.push(strings.TrimPrefix(name, "/images/"), r.URL.Query().Get("tag")) {
				if line == "hang" {
					w.(http.Flusher).Flush()
					<-r.Context().Done()
					return
				}
				io.WriteString(w, line+"\n")
			}
		}
		return
	}
	switch path {
	case "/images/app:1/json":
		json.NewEncoder(w).Encode(f.inspect)
	case "/images/json":
		var list []map[string]any
		for i, tag := range f.tags {
			list = append(list, map[string]any{"RepoTags": []string{tag}, "Created": -i})
		}
		json.NewEncoder(w).Encode(list)
	case fmt.Sprintf("/images/%s/get", f.inspect["Id"]):
		f.exports++
		if f.cutAfter > 0 {
			w.Write(f.archive[:f.cutAfter])
			panic(http.ErrAbortHandler)
		}
		w.Write(f.archive)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message":"No such image"}`)
	}
}

// environ looks variables up in a map.
func environ(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

// listen serves the engine on a socket and returns options that lead there.
func (f *fakeEngine) listen(t *testing.T) Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(f)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return Options{Environ: environ(map[string]string{"DOCKER_HOST": "unix://" + filepath.Join(dir, "s")})}
}

func TestEngineStores(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, 1000))
	classic := map[string]any{"Id": s.id(), "Os": "linux", "Architecture": "amd64", "Size": 12345, "RootFS": map[string]any{"Layers": []string{"a", "b"}}}

	f := layoutFiles{}
	image := f.manifest(t, s, false)
	image.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	at := f.attestation(t, image)
	elsewhere := v1.Descriptor{MediaType: image.MediaType, Size: 10, Digest: digestOf([]byte("elsewhere")), Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}
	listed := func(d v1.Descriptor, kind string, available bool) map[string]any {
		m := map[string]any{"ID": d.Digest.String(), "Descriptor": d, "Kind": kind, "Available": available}
		if kind == "image" {
			m["ImageData"] = map[string]any{"Platform": d.Platform}
		}
		return m
	}
	contained := func(root v1.Descriptor, manifests ...map[string]any) map[string]any {
		return map[string]any{"Id": root.Digest.String(), "Os": "linux", "Architecture": "amd64", "Descriptor": root, "Manifests": manifests,
			"RootFS": map[string]any{"Layers": []string{"a", "b"}}}
	}
	whole := f.index(t, image, at)
	partial := f.index(t, image, elsewhere)

	cases := []struct {
		name   string
		engine *fakeEngine
		id     string // known at once
		digest string // known at once, and pushed; empty when it is to be written
		pushed string // the digest pushed, where it is another one
	}{
		{"classic, old format", &fakeEngine{api: "1.41", inspect: classic, archive: docker20(t, s)}, s.id(), "", ""},
		{"classic, new format", &fakeEngine{api: "1.47", inspect: classic, archive: docker25(t, s, true)}, s.id(), "", ""},
		{"podman", &fakeEngine{api: "1.41", podman: true, inspect: classic, archive: podmanArchive(t, s)}, s.id(), "", ""},
		{"containerd, one image", &fakeEngine{api: "1.51", inspect: contained(image), archive: docker25(t, s, false)}, "", image.Digest.String(), ""},
		{"containerd, index with attestation", &fakeEngine{api: "1.51", inspect: contained(whole, listed(image, "image", true), listed(at, "attestation", true)),
			archive: f.seal(t, whole).archive(t)}, "", whole.Digest.String(), ""},
		{"containerd, one platform of an index", &fakeEngine{api: "1.51", inspect: contained(partial, listed(image, "image", true), listed(elsewhere, "image", false)),
			archive: f.seal(t, partial).archive(t)}, "", image.Digest.String(), ""},
		{"containerd, too old to tell", &fakeEngine{api: "1.44", inspect: map[string]any{"Id": whole.Digest.String(), "Os": "linux", "Architecture": "amd64"},
			archive: f.seal(t, whole).archive(t)}, whole.Digest.String(), "", whole.Digest.String()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			repo := newTestRegistry().serve(t)
			target := Target{Repository: repo, Tags: []string{"1"}, Immutable: func(string) bool { return true }}
			o := c.engine.listen(t)
			m := open(t, "app:1", o)
			d := m.Describe()
			if d.Kind != KindEngine || d.ImageID != c.id || d.Digest != c.digest || platformList(d.Platforms) != "linux/amd64" {
				t.Errorf("describe: %+v", d)
			}
			if st, err := Check(t.Context(), m, target); err != nil || st.Tags[0].Status != TagFree || c.engine.exports != 0 {
				t.Errorf("check: %+v %v, %d exports", st, err, c.engine.exports)
			}
			var stages []Stage
			r, err := Push(t.Context(), m, target, PushOptions{Progress: func(p Progress) { stages = append(stages, p.Stage) }})
			if err != nil {
				t.Fatal(err)
			}
			want := c.digest
			if want == "" {
				want = c.pushed
			}
			if have, _ := glance(t, r.URI); have.Digest.String() != r.Digest || want != "" && r.Digest != want {
				t.Errorf("pushed %s, want %s", r.Digest, want)
			}
			if !slices.Contains(stages, StageUpload) || c.engine.exports != 1 {
				t.Errorf("stages %v, %d exports", stages, c.engine.exports)
			}

			// Again: known by what inspect says, so that nothing is handed out.
			again := open(t, "app:1", o)
			if st, err := Check(t.Context(), again, target); err != nil || !st.AlreadyThere() {
				t.Errorf("check again: %+v %v", st, err)
			}
			r, err = Push(t.Context(), again, target, PushOptions{})
			if err != nil || !r.AlreadyThere || c.engine.exports != 1 {
				t.Errorf("again: %+v %v, %d exports", r, err, c.engine.exports)
			}
		})
	}
}

// Podman may name an image by another digest than that of the config it hands
// out. Before an immutable tag is called taken, the image itself is asked.
func TestEngineWithAnUncertainID(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 1000))
	f := &fakeEngine{api: "1.41", podman: true, archive: podmanArchive(t, s), inspect: map[string]any{
		"Id": strings.TrimPrefix(digestOf([]byte("another config")).String(), "sha256:"), "Os": "linux", "Architecture": "amd64"}}
	target := Target{Repository: newTestRegistry().serve(t), Tags: []string{"1"}, Immutable: func(string) bool { return true }}
	o := f.listen(t)
	if _, err := Push(t.Context(), open(t, "app:1", o), target, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	m := open(t, "app:1", o)
	if st, err := Check(t.Context(), m, target); err != nil || !st.AlreadyThere() {
		t.Errorf("%+v %v", st, err)
	}
}

// An engine is not made to hand out an image for which there is no place.
func TestEngineImmutableTag(t *testing.T) {
	target := Target{Repository: newTestRegistry().serve(t), Tags: []string{"1"}, Immutable: func(string) bool { return true }}
	other := write(t, "other.tar", docker20(t, newSample(t, amd64, rawLayer(t, 2, 1000))))
	if _, err := Push(t.Context(), open(t, other, Options{}), target, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s := newSample(t, amd64, rawLayer(t, 1, 1000))
	f := &fakeEngine{api: "1.41", archive: docker20(t, s), inspect: map[string]any{"Id": s.id(), "Os": "linux", "Architecture": "amd64"}}
	_, err := Push(t.Context(), open(t, "app:1", f.listen(t)), target, PushOptions{})
	if taken, ok := as[*TagTakenError](err); !ok || taken.Want != s.id() || f.exports != 0 {
		t.Errorf("%v after %d exports", err, f.exports)
	}
}

// What is known of an image changes when its engine has handed it out, while the
// base is still looked at; the race detector sees to it that the two keep apart.
func TestEngineHandsOutDuringLook(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 1000))
	f := &fakeEngine{api: "1.41", archive: docker20(t, s), inspect: map[string]any{"Id": s.id(), "Os": "linux", "Architecture": "amd64"}}
	m := open(t, "app:1", f.listen(t))
	out, load := make(chan struct{}), m.load
	m.load = func(ctx context.Context, p *progress) (*content, error) {
		defer close(out)
		return load(ctx, p)
	}
	_, err := Push(t.Context(), m, Target{Repository: newTestRegistry().serve(t), Tags: []string{"1"}}, PushOptions{
		Base: func(context.Context) (Base, error) { <-out; return Base{Reference: "base"}, nil },
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEngineErrors(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 1<<20))
	inspect := map[string]any{"Id": s.id(), "Os": "linux", "Architecture": "amd64"}

	t.Run("not running", func(t *testing.T) {
		host := "unix:///nonexistent/docker.sock"
		_, err := Open(t.Context(), "app:1", Options{Environ: environ(map[string]string{"DOCKER_HOST": host})})
		e, ok := as[*EngineError](err)
		if !ok || e.Host != host || e.Source != "DOCKER_HOST" {
			t.Errorf("%v", err)
		}
	})
	t.Run("no such image", func(t *testing.T) {
		f := &fakeEngine{api: "1.41", inspect: inspect, tags: []string{"app:9", "other:1", "<none>:<none>", "app:8"}}
		_, err := Open(t.Context(), "app:2", f.listen(t))
		e, ok := as[*NoSuchImageError](err)
		if !ok || !slices.Equal(e.Similar, []string{"app:9", "app:8"}) {
			t.Errorf("%v", err)
		}
	})
	t.Run("another platform", func(t *testing.T) {
		o := (&fakeEngine{api: "1.41", inspect: inspect}).listen(t)
		o.Platform = "linux/arm64"
		_, err := Open(t.Context(), "app:1", o)
		if e, ok := as[*PlatformError](err); !ok || platformList(e.Have) != "linux/amd64" {
			t.Errorf("%v", err)
		}
	})
	t.Run("killed while handing out", func(t *testing.T) {
		f := &fakeEngine{api: "1.41", inspect: inspect, archive: docker20(t, s), cutAfter: 300_000}
		o := f.listen(t)
		o.TempDirectory = t.TempDir()
		m := open(t, "app:1", o)
		_, err := Push(t.Context(), m, Target{Repository: newTestRegistry().serve(t), Tags: []string{"1"}}, PushOptions{})
		if err == nil || !strings.Contains(err.Error(), "the engine stopped after 0 MB") {
			t.Errorf("%v", err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(o.TempDirectory); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	t.Run("hangs while handing out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stuck := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hang(w, r) })
			e := &engine{http: &http.Client{Transport: direct{stuck}}, base: "http://engine"}
			start := time.Now()
			err := e.fill(t.Context(), &spool{}, "id", newProgress(nil, time.Hour))
			if !errors.Is(err, errStalled) || time.Since(start) > exportStall {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		})
	})
	t.Run("disk full while handing out", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("only Linux has a device that is always full, /dev/full")
		}
		full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := &fakeEngine{api: "1.41", inspect: inspect, archive: docker20(t, s)}
		e, err := connect(t.Context(), f.listen(t).getenv)
		if err != nil {
			t.Fatal(err)
		}
		d := &spool{File: full, unlinked: true}
		defer d.Close()
		err = e.fill(t.Context(), d, s.id(), newProgress(nil, time.Hour))
		if full, ok := as[*DiskFullError](err); !ok || !strings.Contains(full.Error(), "the disk is full") {
			t.Errorf("%v", err)
		}
	})
}

func TestFindEndpoint(t *testing.T) {
	config := t.TempDir()
	sum := sha256.Sum256([]byte("remote"))
	meta := filepath.Join(config, "contexts", "meta", hex.EncodeToString(sum[:]))
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(meta, "meta.json"), []byte(`{"Name":"remote","Endpoints":{"docker":{"Host":"unix:///run/remote.sock"}}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	current := t.TempDir()
	if err := os.CopyFS(current, os.DirFS(config)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(current, "config.json"), []byte(`{"currentContext":"remote","auths":{}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.Rename(current, filepath.Join(home, ".docker")); err != nil {
		t.Fatal(err)
	}

	cases := []struct {
		name       string
		env        map[string]string
		host, fail string
	}{
		{"nothing set", nil, defaultHost, ""},
		{"DOCKER_HOST", map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2375", "DOCKER_CONTEXT": "remote"}, "tcp://127.0.0.1:2375", ""},
		{"DOCKER_CONTEXT", map[string]string{"DOCKER_CONTEXT": "remote", "DOCKER_CONFIG": config}, "unix:///run/remote.sock", ""},
		{"context default", map[string]string{"DOCKER_CONTEXT": "default", "DOCKER_CONFIG": config}, defaultHost, ""},
		{"current context", map[string]string{"HOME": home, "USERPROFILE": home}, "unix:///run/remote.sock", ""},
		{"missing context", map[string]string{"DOCKER_CONTEXT": "gone", "DOCKER_CONFIG": config}, "", `DOCKER_CONTEXT "gone": there is no such context`},
		{"missing certificates", map[string]string{"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nonexistent"}, "tcp://127.0.0.1:2376", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e, err := findEndpoint(func(k string) string { return c.env[k] })
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || e.host != c.host {
				t.Errorf("%s %v, want %s", e.host, err, c.host)
			}
		})
	}
	for host, want := range map[string]string{"ssh://me@host": "ssh://", "ftp://host": "want unix://", "::": "not an address"} {
		if _, _, err := (endpoint{host: host, source: "DOCKER_HOST"}).client(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "DOCKER_HOST") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// DOCKER_HOST=tcp:// with certificates speaks TLS and trusts their CA alone.
func TestEngineOverTLS(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 1000))
	server := httptest.NewTLSServer(&fakeEngine{api: "1.41", inspect: map[string]any{"Id": s.id(), "Os": "linux", "Architecture": "amd64"}})
	defer server.Close()
	server.Config.ErrorLog = nil
	certs := t.TempDir()
	if err := os.WriteFile(filepath.Join(certs, "ca.pem"), pemCertificate(server.Certificate().Raw), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Options{Environ: environ(map[string]string{
		"DOCKER_HOST": "tcp://" + server.Listener.Addr().String(), "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": certs})}
	if d := open(t, "app:1", o).Describe(); d.ImageID != s.id() {
		t.Errorf("describe: %+v", d)
	}
}

func TestSimilarTags(t *testing.T) {
	tags := []string{"chat-app:3", "registry.example.com:5000/chat-app:2", "chat-app-worker:1", "<none>:<none>", "postgres:16", "docker.io/library/chat-app:1", "localhost/tools:1"}
	for name, want := range map[string][]string{
		"chat-app:9":              {"chat-app:3", "docker.io/library/chat-app:1"},
		"chat-app":                {"chat-app:3", "docker.io/library/chat-app:1"},
		"chat:9":                  {"chat-app:3", "registry.example.com:5000/chat-app:2", "chat-app-worker:1", "docker.io/library/chat-app:1"},
		"other.example/postgres":  {"postgres:16"},
		"tools:9":                 {"localhost/tools:1"},
		"redis:7":                 nil,
		"registry.example.com/pg": nil,
	} {
		if got := similarTags(name, tags); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// A real engine: load an image, push it from there, have the engine pull it
// again, and find the same image ID.
func TestRealEngine(t *testing.T) {
	host := os.Getenv("ECSDEPLOY_TEST_DOCKER_HOST")
	if host == "" {
		t.Skip("ECSDEPLOY_TEST_DOCKER_HOST names no engine, such as unix:///var/run/docker.sock, to be tried for real")
	}
	hc, base, err := endpoint{host: host, source: "ECSDEPLOY_TEST_DOCKER_HOST"}.client()
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path string, body io.Reader) string {
		t.Helper()
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 || bytes.Contains(b, []byte(`"error"`)) {
			t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, b, err)
		}
		return string(b)
	}
	engine := Options{Environ: environ(map[string]string{"DOCKER_HOST": host})}
	for i, compressed := range []bool{false, true} {
		// Compressed layers are what a build leaves in containerd's store, and
		// such an image is pushed by the engine.
		middle := rawLayer(t, byte(2+i), 1000)
		s := newSample(t, Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}, rawLayer(t, 1, big), middle, rawLayer(t, 4, big))
		s.tags = []string{fmt.Sprintf("ecsdeploy-test:%d", i)}
		archive := docker20(t, s)
		if compressed {
			archive = docker25(t, s, false)
		}
		call("POST", "/images/load", bytes.NewReader(archive))
		t.Cleanup(func() { call("DELETE", "/images/"+s.tags[0], nil) })

		repo := newTestRegistry().serve(t)
		m := open(t, s.tags[0], engine)
		t.Logf("compressed %t: pushed by the engine %t", compressed, m.outbox != nil)
		r, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"7"}}, PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, id := pull(t, r.URI); id != s.id() {
			t.Errorf("image ID %s in the registry, want %s", id, s.id())
		}
		if m.outbox != nil && m.content != nil {
			t.Error("the engine's own push did not succeed")
		}
		if e, err := connect(t.Context(), engine.getenv); err != nil {
			t.Fatal(err)
		} else if e.podman { // it wants to be told that a registry on this machine has no TLS
			call("POST", "/v4.0.0/libpod/images/pull?"+url.Values{"reference": {repo + ":7"}, "tlsVerify": {"false"}}.Encode(), nil)
		} else {
			call("POST", "/images/create?"+url.Values{"fromImage": {repo}, "tag": {"7"}}.Encode(), nil)
		}
		t.Cleanup(func() { call("DELETE", "/images/"+repo+":7", nil) })
		var pulled struct {
			ID          string `json:"Id"`
			RepoDigests []string
			RootFS      struct{ Layers []string }
		}
		if err := json.Unmarshal([]byte(call("GET", "/images/"+repo+":7/json", nil)), &pulled); err != nil {
			t.Fatal(err)
		}
		// With containerd's store an image's ID is the manifest's digest; podman
		// leaves out what kind of digest it is.
		if id := "sha256:" + strings.TrimPrefix(pulled.ID, "sha256:"); id != s.id() && id != r.Digest {
			t.Errorf("the engine pulled %s, want %s", pulled.ID, s.id())
		}
		if !slices.Contains(pulled.RepoDigests, repo+"@"+r.Digest) || pulled.RootFS.Layers[0] != digestOf(s.layers[0]).String() {
			t.Errorf("the engine pulled %+v, want digest %s", pulled, r.Digest)
		}
	}

	_, err = Open(t.Context(), "ecsdeploy-test:none", engine)
	var none *NoSuchImageError
	if !errors.As(err, &none) || len(none.Similar) != 2 {
		t.Errorf("%v", err)
	}
}
