package push

// Images of an engine: the stand-in for one and, where there is one, a real one.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

func TestEngineStores(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, 1000))
	classic := map[string]any{"Id": s.ID(), "Os": "linux", "Architecture": "amd64", "Size": 12345, "RootFS": map[string]any{"Layers": []string{"a", "b"}}}

	f := imagetest.Layout{}
	img := f.Manifest(t, s, false)
	img.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	at := f.Attestation(t, img)
	elsewhere := v1.Descriptor{MediaType: img.MediaType, Size: 10, Digest: image.DigestOf([]byte("elsewhere")), Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}
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
	whole := f.Index(t, img, at)
	partial := f.Index(t, img, elsewhere)

	cases := []struct {
		name   string
		engine *imagetest.Engine
		id     string // known at once
		digest string // known at once, and pushed; empty when it is to be written
		pushed string // the digest pushed, where it is another one
	}{
		{"classic, old format", &imagetest.Engine{Api: "1.41", Inspect: classic, Archive: imagetest.Docker20(t, s)}, s.ID(), "", ""},
		{"classic, new format", &imagetest.Engine{Api: "1.47", Inspect: classic, Archive: imagetest.Docker25(t, s, true)}, s.ID(), "", ""},
		{"podman", &imagetest.Engine{Api: "1.41", Podman: true, Inspect: classic, Archive: imagetest.PodmanArchive(t, s)}, s.ID(), "", ""},
		{"containerd, one image", &imagetest.Engine{Api: "1.51", Inspect: contained(img), Archive: imagetest.Docker25(t, s, false)}, "", img.Digest.String(), ""},
		{"containerd, index with attestation", &imagetest.Engine{Api: "1.51", Inspect: contained(whole, listed(img, "image", true), listed(at, "attestation", true)),
			Archive: f.Seal(t, whole).Archive(t)}, "", whole.Digest.String(), ""},
		{"containerd, one platform of an index", &imagetest.Engine{Api: "1.51", Inspect: contained(partial, listed(img, "image", true), listed(elsewhere, "image", false)),
			Archive: f.Seal(t, partial).Archive(t)}, "", img.Digest.String(), ""},
		{"containerd, too old to tell", &imagetest.Engine{Api: "1.44", Inspect: map[string]any{"Id": whole.Digest.String(), "Os": "linux", "Architecture": "amd64"},
			Archive: f.Seal(t, whole).Archive(t)}, whole.Digest.String(), "", whole.Digest.String()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			repo := imagetest.NewRegistry().Serve(t)
			target := Target{Repository: repo, Tags: []string{"1"}, Immutable: func(string) bool { return true }}
			o := source.Options{Environ: c.engine.Listen(t)}
			m := open(t, "app:1", o)
			d := m.Describe()
			if d.Kind != image.KindEngine || d.ImageID != c.id || d.Digest != c.digest || image.PlatformList(d.Platforms) != "linux/amd64" {
				t.Errorf("describe: %+v", d)
			}
			if st, err := Check(t.Context(), m, target); err != nil || st.Tags[0].Status != TagFree || c.engine.Exports != 0 {
				t.Errorf("check: %+v %v, %d exports", st, err, c.engine.Exports)
			}
			var stages []image.Stage
			r, err := Push(t.Context(), m, target, Options{Progress: func(p image.Progress) { stages = append(stages, p.Stage) }})
			if err != nil {
				t.Fatal(err)
			}
			want := c.digest
			if want == "" {
				want = c.pushed
			}
			if have, _ := imagetest.Glance(t, r.URI); have.Digest.String() != r.Digest || want != "" && r.Digest != want {
				t.Errorf("pushed %s, want %s", r.Digest, want)
			}
			if !slices.Contains(stages, image.StageUpload) || c.engine.Exports != 1 {
				t.Errorf("stages %v, %d exports", stages, c.engine.Exports)
			}

			// Again: known by what inspect says, so that nothing is handed out.
			again := open(t, "app:1", o)
			if st, err := Check(t.Context(), again, target); err != nil || !st.AlreadyThere() {
				t.Errorf("check again: %+v %v", st, err)
			}
			r, err = Push(t.Context(), again, target, Options{})
			if err != nil || !r.AlreadyThere || c.engine.Exports != 1 {
				t.Errorf("again: %+v %v, %d exports", r, err, c.engine.Exports)
			}
		})
	}
}

// Podman may name an image by another digest than that of the config it hands
// out. Before an immutable tag is called taken, the image itself is asked.
func TestEngineWithAnUncertainID(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	f := &imagetest.Engine{Api: "1.41", Podman: true, Archive: imagetest.PodmanArchive(t, s), Inspect: map[string]any{
		"Id": strings.TrimPrefix(image.DigestOf([]byte("another config")).String(), "sha256:"), "Os": "linux", "Architecture": "amd64"}}
	target := Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}, Immutable: func(string) bool { return true }}
	o := source.Options{Environ: f.Listen(t)}
	if _, err := Push(t.Context(), open(t, "app:1", o), target, Options{}); err != nil {
		t.Fatal(err)
	}
	m := open(t, "app:1", o)
	if st, err := Check(t.Context(), m, target); err != nil || !st.AlreadyThere() {
		t.Errorf("%+v %v", st, err)
	}
}

// An engine is not made to hand out an image for which there is no place.
func TestEngineImmutableTag(t *testing.T) {
	target := Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}, Immutable: func(string) bool { return true }}
	other := imagetest.Write(t, "other.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 2, 1000))))
	if _, err := Push(t.Context(), open(t, other, source.Options{}), target, Options{}); err != nil {
		t.Fatal(err)
	}
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	f := &imagetest.Engine{Api: "1.41", Archive: imagetest.Docker20(t, s), Inspect: map[string]any{"Id": s.ID(), "Os": "linux", "Architecture": "amd64"}}
	_, err := Push(t.Context(), open(t, "app:1", source.Options{Environ: f.Listen(t)}), target, Options{})
	if taken, ok := errors.AsType[*TagTakenError](err); !ok || taken.Want != s.ID() || f.Exports != 0 {
		t.Errorf("%v after %d exports", err, f.Exports)
	}
}

// What is known of an image changes when its engine has handed it out, while the
// base is still looked at; the race detector sees to it that the two keep apart.
func TestEngineHandsOutDuringLook(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	f := &imagetest.Engine{Api: "1.41", Archive: imagetest.Docker20(t, s), Inspect: map[string]any{"Id": s.ID(), "Os": "linux", "Architecture": "amd64"}}
	m := open(t, "app:1", source.Options{Environ: f.Listen(t)})
	out := make(chan struct{})
	f.Exported = func() { close(out) }
	_, err := Push(t.Context(), m, Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{
		Base: func(context.Context) (Base, error) { <-out; return Base{Reference: "base"}, nil },
	})
	if err != nil {
		t.Error(err)
	}
}

// Docker that fails in the middle of an image says why behind what it has handed out. It
// is asked again, and if it fails again, that is what the error says.
func TestEngineEndsWithAnError(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 2<<20))
	whole := imagetest.Docker25(t, s, true)
	broken := append(bytes.Clone(whole[:1<<20]), `{"errorDetail":{"message":"open /var/lib/docker/x: no such file"},"error":"open /var/lib/docker/x: no such file"}`+"\r\n"...)
	for _, again := range []bool{false, true} {
		f := &imagetest.Engine{Api: "1.47", Inspect: map[string]any{"Id": s.ID(), "Os": "linux", "Architecture": "amd64"}, Archive: broken}
		f.Exported = func() {
			if !again {
				f.Archive = whole
			}
		}
		r, err := Push(t.Context(), open(t, "app:1", source.Options{Environ: f.Listen(t)}), Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{})
		switch {
		case again && (err == nil || !strings.Contains(err.Error(), "the engine stopped after 1 MB of the image: the engine says: open /var/lib/docker/x: no such file")):
			t.Errorf("fails twice: %v", err)
		case !again && err != nil:
			t.Errorf("fails once: %v", err)
		case !again:
			if _, id := imagetest.Pull(t, r.URI); id != s.ID() {
				t.Errorf("image ID %s, want %s", id, s.ID())
			}
		}
		if f.Exports != 2 {
			t.Errorf("%d exports, want 2", f.Exports)
		}
	}
}

// An engine that is killed while it hands an image out leaves nothing behind.
func TestEngineIsKilled(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1<<20))
	inspect := map[string]any{"Id": s.ID(), "Os": "linux", "Architecture": "amd64"}
	f := &imagetest.Engine{Api: "1.41", Inspect: inspect, Archive: imagetest.Docker20(t, s), CutAfter: 300_000}
	o := source.Options{Environ: f.Listen(t)}
	o.TempDirectory = t.TempDir()
	m := open(t, "app:1", o)
	_, err := Push(t.Context(), m, Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{})
	if err == nil || !strings.Contains(err.Error(), "the engine stopped after 0 MB") {
		t.Errorf("%v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(o.TempDirectory); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// A real engine: load an image, push it from there, have the engine pull it
// again, and find the same image ID.
func TestRealEngine(t *testing.T) {
	host := os.Getenv("ECSDEPLOY_TEST_DOCKER_HOST")
	if host == "" {
		t.Skip("ECSDEPLOY_TEST_DOCKER_HOST names no engine, such as unix:///var/run/docker.sock, to be tried for real")
	}
	hc, base, err := engine.Endpoint{Host: host, Source: "ECSDEPLOY_TEST_DOCKER_HOST"}.Client()
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
	eng := source.Options{Environ: imagetest.Environ(map[string]string{"DOCKER_HOST": host})}
	for i, compressed := range []bool{false, true} {
		// Compressed layers are what a build leaves in containerd's store, and
		// such an image is pushed by the engine.
		middle := imagetest.RawLayer(t, byte(2+i), 1000)
		s := imagetest.NewSample(t, image.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}, imagetest.RawLayer(t, 1, imagetest.Big), middle, imagetest.RawLayer(t, 4, imagetest.Big))
		s.Tags = []string{fmt.Sprintf("ecsdeploy-test:%d", i)}
		archive := imagetest.Docker20(t, s)
		if compressed {
			archive = imagetest.Docker25(t, s, false)
		}
		call("POST", "/images/load", bytes.NewReader(archive))
		t.Cleanup(func() { call("DELETE", "/images/"+s.Tags[0], nil) })

		repo := imagetest.NewRegistry().Serve(t)
		m := open(t, s.Tags[0], eng)
		t.Logf("compressed %t: pushed by the engine %t", compressed, m.Outbox() != nil)
		r, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"7"}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, id := imagetest.Pull(t, r.URI); id != s.ID() {
			t.Errorf("image ID %s in the registry, want %s", id, s.ID())
		}
		if m.Outbox() != nil && m.Content() != nil {
			t.Error("the engine's own push did not succeed")
		}
		if e, err := engine.Connect(t.Context(), eng.Getenv); err != nil {
			t.Fatal(err)
		} else if e.Podman { // it wants to be told that a registry on this machine has no TLS
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
		if id := "sha256:" + strings.TrimPrefix(pulled.ID, "sha256:"); id != s.ID() && id != r.Digest {
			t.Errorf("the engine pulled %s, want %s", pulled.ID, s.ID())
		}
		if !slices.Contains(pulled.RepoDigests, repo+"@"+r.Digest) || pulled.RootFS.Layers[0] != image.DigestOf(s.Layers[0]).String() {
			t.Errorf("the engine pulled %+v, want digest %s", pulled, r.Digest)
		}
	}

	_, err = source.Open(t.Context(), "ecsdeploy-test:none", eng)
	var none *engine.NoSuchImageError
	if !errors.As(err, &none) || len(none.Similar) != 2 {
		t.Errorf("%v", err)
	}
}
