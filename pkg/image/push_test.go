package image

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var (
	amd64 = Platform{OS: "linux", Architecture: "amd64"}
	arm64 = Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
)

// open opens ref and closes it with the test.
func open(t testing.TB, ref string, o Options) *Image {
	t.Helper()
	o.TempDirectory = t.TempDir()
	m, err := Open(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(o.TempDirectory)
		if err != nil || len(left) > 0 {
			t.Errorf("left in the temporary directory: %v %v", left, err)
		}
	})
	return m
}

// Every format that an engine or a build tool writes arrives as the same image,
// and what has a digest keeps it.
func TestPushEveryFormat(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, 70_000), rawLayer(t, 2, 70_000))
	oci := layoutFiles{}
	root := oci.manifest(t, s, false)
	oci.seal(t, root)
	rawOCI := layoutFiles{}
	rawRoot := rawOCI.manifest(t, s, true)
	rawOCI.seal(t, rawRoot)

	cases := []struct {
		name, path string
		kind       Kind
		digest     string // promised before anything is moved; empty when the manifest is to be written
	}{
		{"docker up to 24", write(t, "a.tar", docker20(t, s)), KindDockerArchive, ""},
		{"docker up to 24, gzipped", write(t, "a.tar.gz", gzipped(t, docker20(t, s))), KindDockerArchive, ""},
		{"docker from 25, classic store", write(t, "a.tar", docker25(t, s, true)), KindDockerArchive, ""},
		{"docker from 25, containerd store", write(t, "a.tar", docker25(t, s, false)), KindDockerArchive, root.Digest.String()},
		{"podman", write(t, "a.tar", podmanArchive(t, s)), KindDockerArchive, ""},
		{"OCI layout", oci.directory(t), KindOCILayout, root.Digest.String()},
		{"OCI archive", write(t, "a.tar", oci.archive(t)), KindOCIArchive, root.Digest.String()},
		{"OCI layout with raw layers", rawOCI.directory(t), KindOCILayout, rawRoot.Digest.String()},
	}
	built := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			repo := newTestRegistry().serve(t)
			m := open(t, c.path, Options{})
			d := m.Describe()
			if d.Kind != c.kind || d.ImageID != s.id() || d.Digest != c.digest || !slices.Equal(d.Platforms, []Platform{amd64}) {
				t.Errorf("describe: %+v", d)
			}
			r, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"7", "build-7"}}, PushOptions{lead: smallLead})
			if err != nil {
				t.Fatal(err)
			}
			if c.digest != "" && r.Digest != c.digest {
				t.Errorf("digest changed from %s to %s", c.digest, r.Digest)
			}
			if r.URI != repo+":7" || r.AlreadyThere || r.Layers == 0 || r.SentBytes == 0 {
				t.Errorf("result: %+v", r)
			}
			for tag, pull := range map[string]func(testing.TB, string, ...remote.Option) (v1.Descriptor, string){"7": pull, "build-7": glance} {
				have, id := pull(t, repo+":"+tag)
				if have.Digest.String() != r.Digest || string(have.MediaType) != r.MediaType || id != s.id() {
					t.Errorf("tag %s has %v with image ID %s, want %s with %s", tag, have, id, r.Digest, s.id())
				}
			}
			if c.digest == "" {
				built[r.Digest] = true
			}
		})
	}
	if len(built) != 1 {
		t.Errorf("archives of one image became manifests with different digests: %v", built)
	}
}

// Layers of a size as they have in the field, compressed on the way.
func TestPushLargeLayer(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, leadSize*3/2))
	for _, compression := range []Compression{Gzip, Zstd} {
		g := newTestRegistry()
		r, err := Push(t.Context(), open(t, write(t, "a.tar", docker20(t, s)), Options{}), Target{Repository: g.serve(t), Tags: []string{"1"}}, PushOptions{Compression: compression})
		if err != nil {
			t.Fatal(err)
		}
		if n := g.count("PATCH blobs"); n != 1 {
			t.Errorf("%s: %d layers were sent while they were compressed, want 1", compression, n)
		}
		if _, id := pull(t, r.URI); id != s.id() {
			t.Errorf("%s: image ID %s, want %s", compression, id, s.id())
		}
	}
}

// A layer that another tool compressed keeps its bytes although the archive
// does not know its digest.
func TestPushCompressedLayersOfADockerArchive(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 200_000))
	compressed := gzipped(t, s.layers[0])
	archive := tarOf(t, tarEntry{name: "config.json", data: s.config}, tarEntry{name: "x.tar", data: compressed},
		tarEntry{name: "manifest.json", data: []byte(`[{"Config":"config.json","RepoTags":null,"Layers":["x.tar"]}]`)})
	repo := newTestRegistry().serve(t)
	r, err := Push(t.Context(), open(t, write(t, "a.tar", archive), Options{}), Target{Repository: repo, Tags: []string{"1"}}, PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ref, _ := name.ParseReference(r.URI)
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil || m.Layers[0].Digest != digestOf(compressed) {
		t.Errorf("layer became %v, want %s: %v", m.Layers, digestOf(compressed), err)
	}
	pull(t, r.URI)
}

// An index keeps its digest, its attestations and its foreign layers; platform
// takes one image out of it.
func TestPushIndex(t *testing.T) {
	f := layoutFiles{}
	a := f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 50_000)), false)
	a.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	b := f.manifest(t, newSample(t, arm64, rawLayer(t, 2, 60_000)), false)
	b.Platform = &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	at := f.attestation(t, a)
	root := f.index(t, a, b, at)
	dir := f.seal(t, root).directory(t)

	t.Run("whole", func(t *testing.T) {
		repo := newTestRegistry().serve(t)
		m := open(t, dir, Options{})
		if d := m.Describe(); d.Digest != root.Digest.String() || platformList(d.Platforms) != "linux/amd64, linux/arm64/v8" || d.ImageID != "" {
			t.Errorf("describe: %+v", d)
		}
		r, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"1"}}, PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d, _ := pull(t, r.URI)
		if d.Digest != root.Digest {
			t.Errorf("pushed %s, want %s", d.Digest, root.Digest)
		}
		pull(t, repo+"@"+at.Digest.String())
	})
	t.Run("one platform", func(t *testing.T) {
		repo := newTestRegistry().serve(t)
		r, err := Push(t.Context(), open(t, dir, Options{Platform: "linux/arm64"}), Target{Repository: repo, Tags: []string{"1"}}, PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := pull(t, r.URI); d.Digest != b.Digest {
			t.Errorf("pushed %s, want %s", d.Digest, b.Digest)
		}
	})
	t.Run("missing platform", func(t *testing.T) {
		_, err := Open(t.Context(), dir, Options{Platform: "windows/amd64"})
		if p, ok := as[*PlatformError](err); !ok || platformList(p.Have) != "linux/amd64, linux/arm64/v8" {
			t.Error(err)
		}
	})
	t.Run("from registry to registry", func(t *testing.T) {
		from, g := newTestRegistry().serve(t), newTestRegistry()
		if _, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: from, Tags: []string{"1"}}, PushOptions{}); err != nil {
			t.Fatal(err)
		}
		m := open(t, "docker://"+from+":1", Options{})
		if d := m.Describe(); d.Kind != KindRegistry || d.Digest != root.Digest.String() || len(d.Platforms) != 2 {
			t.Errorf("describe: %+v", d)
		}
		target := Target{Repository: g.serve(t), Tags: []string{"2"}}
		r, err := Push(t.Context(), m, target, PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := pull(t, r.URI); d.Digest != root.Digest {
			t.Errorf("copied %s, want %s", d.Digest, root.Digest)
		}
		one := open(t, "docker://"+from+"@"+root.Digest.String(), Options{Platform: "linux/amd64"})
		if d := one.Describe(); d.Digest != a.Digest.String() {
			t.Errorf("describe: %+v", d)
		}
		if d, err := Inspect(t.Context(), r.URI, nil, nil); err != nil || d.Digest != root.Digest.String() || platformList(d.Platforms) != "linux/amd64, linux/arm64/v8" {
			t.Errorf("inspect: %+v %v", d, err)
		}
	})
	t.Run("only one platform is there", func(t *testing.T) {
		partial := layoutFiles{}
		for k, v := range f {
			partial[k] = v
		}
		delete(partial, blobName(b.Digest))
		delete(partial, blobName(at.Digest))
		m := open(t, partial.directory(t), Options{})
		if d := m.Describe(); d.Digest != a.Digest.String() {
			t.Errorf("describe: %+v", d)
		}
		_, err := Open(t.Context(), partial.directory(t), Options{Platform: "linux/arm64"})
		if p, ok := as[*PlatformError](err); !ok || !p.Absent {
			t.Error(err)
		}
	})
}

// Layers that others distribute are named in the manifest and not uploaded.
func TestPushForeignLayers(t *testing.T) {
	s := newSample(t, Platform{OS: "windows", Architecture: "amd64"}, rawLayer(t, 1, 1000), rawLayer(t, 2, 1000))
	foreign := v1.Descriptor{MediaType: types.DockerForeignLayer, Size: 123, Digest: digestOf([]byte("foreign")), URLs: []string{"https://example.com/base"}}
	manifest := toJSON(t, []any{map[string]any{"Config": "c", "Layers": []string{"gone", "l"}, "LayerSources": map[string]any{digestOf(s.layers[0]).String(): foreign}}})
	archive := tarOf(t, tarEntry{name: "c", data: s.config}, tarEntry{name: "l", data: s.layers[1]}, tarEntry{name: "manifest.json", data: manifest})

	for compression, want := range map[Compression][2]types.MediaType{
		Gzip: {types.DockerForeignLayer, types.DockerLayer},
		Zstd: {types.OCIRestrictedLayer, types.OCILayerZStd},
	} {
		repo := newTestRegistry().serve(t)
		r, err := Push(t.Context(), open(t, write(t, "a.tar", archive), Options{}), Target{Repository: repo, Tags: []string{"1"}}, PushOptions{Compression: compression})
		if err != nil {
			t.Fatal(err)
		}
		l := layersOf(t, r.URI)
		if l[0].Digest != foreign.Digest || l[0].URLs[0] != foreign.URLs[0] || l[0].MediaType != want[0] || l[1].MediaType != want[1] {
			t.Errorf("%s: layers: %+v", compression, l)
		}
		if r.Layers != 2 { // the config and the other layer
			t.Errorf("%s: uploaded %d blobs, want 2", compression, r.Layers)
		}
	}
}

// With zstd, what is compressed here becomes an OCI image of zstd layers, and
// nothing else changes: not the image ID, not what is compressed already.
func TestPushZstd(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, 70_000), rawLayer(t, 2, 70_000), nil)
	oci := layoutFiles{}
	root := oci.manifest(t, s, false)
	oci.seal(t, root)
	packed := docker25(t, s, false)
	cases := []struct {
		name, path string
		digest     string // of an image that stays as it is
	}{
		{"docker up to 24", write(t, "a.tar", docker20(t, s)), ""},
		{"docker from 25, classic store", write(t, "a.tar", docker25(t, s, true)), ""},
		{"podman", write(t, "a.tar", podmanArchive(t, s)), ""},
		{"docker from 25, containerd store", write(t, "a.tar", packed), root.Digest.String()},
		{"OCI layout", oci.directory(t), root.Digest.String()},
	}
	built := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			repo := newTestRegistry().serve(t)
			var log bytes.Buffer
			r, err := Push(t.Context(), open(t, c.path, Options{}), Target{Repository: repo, Tags: []string{"7"}},
				PushOptions{lead: smallLead, Compression: Zstd, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			d, id := pull(t, r.URI) // unpacks every layer and compares it with the config
			if id != s.id() || d.MediaType != types.OCIManifestSchema1 {
				t.Errorf("pushed %s with image ID %s, want %s with %s", d.MediaType, id, types.OCIManifestSchema1, s.id())
			}
			idle := strings.Contains(log.String(), "compression zstd has no effect")
			if c.digest != "" {
				if r.Digest != c.digest || !idle {
					t.Errorf("pushed %s, want %s; the log says %q", r.Digest, c.digest, &log)
				}
				return
			}
			built[r.Digest] = true
			for i, l := range layersOf(t, r.URI) {
				if l.MediaType != types.OCILayerZStd {
					t.Errorf("layer %d is %s", i, l.MediaType)
				}
			}
			if log.Len() > 0 {
				t.Errorf("the log says %q", &log)
			}
		})
	}
	if len(built) != 1 {
		t.Errorf("archives of one image became manifests with different digests: %v", built)
	}
}

// What is in the registry is not sent again, in as few requests as can be.
func TestPushAgain(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, 1000))
	oci := layoutFiles{}
	oci.seal(t, oci.manifest(t, s, false))
	for name, path := range map[string]string{"raw": write(t, "a.tar", docker20(t, s)), "compressed": oci.directory(t)} {
		t.Run(name, func(t *testing.T) {
			g := newTestRegistry()
			target := Target{Repository: g.serve(t), Tags: []string{"1"}, Immutable: func(string) bool { return true }}
			first, err := Push(t.Context(), open(t, path, Options{}), target, PushOptions{lead: smallLead})
			if err != nil {
				t.Fatal(err)
			}

			g.take()
			again, err := Push(t.Context(), open(t, path, Options{}), target, PushOptions{lead: smallLead})
			if err != nil {
				t.Fatal(err)
			}
			if !again.AlreadyThere || again.Digest != first.Digest || again.SentBytes != 0 {
				t.Errorf("again: %+v", again)
			}
			if n := len(g.take()); n > 3 {
				t.Errorf("%d requests for nothing, want 3 at most", n)
			}

			// Another tag for the same image needs the manifest alone.
			target.Tags = []string{"1", "2"}
			more, err := Push(t.Context(), open(t, path, Options{}), target, PushOptions{lead: smallLead})
			if err != nil || more.AlreadyThere || more.Digest != first.Digest {
				t.Errorf("another tag: %+v %v", more, err)
			}
			if g.count("POST blobs") != 0 || g.count("PUT manifests") != 1 {
				t.Errorf("another tag: requests %v", g.take())
			}
			if d, _ := pull(t, target.Repository+":2"); d.Digest.String() != first.Digest {
				t.Errorf("tag 2 has %s", d.Digest)
			}
		})
	}
}

// One changed layer: the others are found by their digests and not sent.
func TestPushReusesLayers(t *testing.T) {
	base := rawLayer(t, 1, 300_000)
	g := newTestRegistry()
	repo := g.serve(t)
	for i, want := range []int{0, 1} {
		s := newSample(t, amd64, base, rawLayer(t, byte(10+i), 1000))
		r, err := Push(t.Context(), open(t, write(t, "a.tar", docker20(t, s)), Options{}), Target{Repository: repo, Tags: []string{s.id()[7:19]}}, PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Reused != want || r.Layers != 3 || (r.ReusedBytes > 0) != (want > 0) {
			t.Errorf("push %d: %+v", i, r)
		}
	}
}

// A registry that has the blob in another repository is asked to take it from
// there; one that does not do so opens an upload instead, or is asked for one.
func TestPushMounts(t *testing.T) {
	f := layoutFiles{}
	f.seal(t, f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 200_000)), false))
	for _, way := range []string{"mounts", "uploads", "refuses"} {
		g := newTestRegistry()
		repo := g.serve(t)
		if _, err := Push(t.Context(), open(t, f.directory(t), Options{}), Target{Repository: repo, Tags: []string{"1"}}, PushOptions{}); err != nil {
			t.Fatal(err)
		}
		// The test registry keeps the blobs of all repositories in one place:
		// make it deny that.
		asked := atomic.Int32{}
		g.faults = []fault{{"HEAD blobs", 2, answer(404, "", "")}, {"POST blobs", 1 << 20, func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if q.Get("from") == "app" && strings.HasPrefix(q.Get("mount"), "sha256:") {
				asked.Add(1)
			}
			switch {
			case way == "mounts":
				w.WriteHeader(http.StatusCreated)
			case way == "refuses" && q.Has("mount"):
				answer(403, "DENIED", "")(w, r)
			default:
				g.inner.ServeHTTP(w, r)
			}
		}}}
		r, err := Push(t.Context(), open(t, "docker://"+repo+":1", Options{}), Target{Repository: repo + "/copy", Tags: []string{"1"}}, PushOptions{})
		if mounts := way == "mounts"; err != nil || asked.Load() != 2 || (r.Reused == r.Layers) != mounts || (r.SentBytes == 0) != mounts {
			t.Errorf("%s, asked %d times: %+v %v", way, asked.Load(), r, err)
		}
	}
}

func TestCheck(t *testing.T) {
	one := newSample(t, amd64, rawLayer(t, 1, 1000))
	two := newSample(t, amd64, rawLayer(t, 2, 1000))
	repo := newTestRegistry().serve(t)
	if _, err := Push(t.Context(), open(t, write(t, "a.tar", docker20(t, one)), Options{}), Target{Repository: repo, Tags: []string{"one"}}, PushOptions{}); err != nil {
		t.Fatal(err)
	}

	target := Target{Repository: repo, Tags: []string{"one", "new"}}
	s, err := Check(t.Context(), open(t, write(t, "a.tar", docker20(t, one)), Options{}), target)
	if err != nil || s.Tags[0].Status != TagSame || s.Tags[1].Status != TagFree || s.AlreadyThere() {
		t.Errorf("%+v %v", s, err)
	}

	m := open(t, write(t, "b.tar", docker20(t, two)), Options{})
	s, err = Check(t.Context(), m, target)
	if err != nil || s.Tags[0].Status != TagOther {
		t.Errorf("mutable tag: %+v %v", s, err)
	}

	target.Immutable = func(tag string) bool { return tag == "one" }
	s, err = Check(t.Context(), m, target)
	taken, ok := as[*TagTakenError](err)
	if !ok || taken.Tag != "one" || taken.Have != s.Tags[0].Digest || taken.Want != two.id() {
		t.Errorf("immutable tag: %v", err)
	}
	if _, err := Push(t.Context(), m, target, PushOptions{}); !errors.As(err, &taken) {
		t.Errorf("push over an immutable tag: %v", err)
	}
	if d, id := pull(t, repo+":one"); id != one.id() {
		t.Errorf("the tag moved to %s", d.Digest)
	}
}

// An archive whose layer is not what the config says never becomes a tag.
func TestPushDamagedLayer(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big))
	bad := bytes.Clone(s.layers[0])
	bad[len(bad)/2] ^= 1
	g := newTestRegistry()
	repo := g.serve(t)
	_, err := Push(t.Context(), open(t, write(t, "a.tar", docker20(t, sample{s.config, [][]byte{bad}, s.tags})), Options{}), Target{Repository: repo, Tags: []string{"1"}}, PushOptions{lead: smallLead})
	if err == nil || !strings.Contains(err.Error(), "layer 1 of 1") {
		t.Errorf("raw: %v", err)
	}

	f := layoutFiles{}
	root := f.manifest(t, s, false)
	for name, b := range f {
		if bytes.Equal(b, gzipped(t, s.layers[0])) {
			b[len(b)/2] ^= 1
			f[name] = b
		}
	}
	_, err = Push(t.Context(), open(t, f.seal(t, root).directory(t), Options{}), Target{Repository: repo, Tags: []string{"1"}}, PushOptions{lead: smallLead})
	if err == nil || !strings.Contains(err.Error(), "digest mismatch") && !strings.Contains(err.Error(), "cannot be unpacked") {
		t.Errorf("compressed: %v", err)
	}
	if n := g.count("PUT manifests"); n != 0 {
		t.Errorf("%d manifests were put", n)
	}
}

func TestInspectMissing(t *testing.T) {
	repo := newTestRegistry().serve(t)
	_, err := Inspect(t.Context(), repo+":1", nil, nil)
	if e, ok := as[*NotFoundError](err); !ok {
		t.Errorf("%v", err)
	} else if !strings.Contains(e.Error(), repo) {
		t.Errorf("the error does not name the image: %v", e)
	}
}

func TestPushCancelled(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	g := newTestRegistry()
	g.faults = []fault{{match: "PATCH", times: 1, do: answer(503, "", "")}}
	_, err := Push(ctx, open(t, write(t, "a.tar", docker20(t, s)), Options{}), Target{Repository: g.serve(t), Tags: []string{"1"}},
		PushOptions{lead: smallLead, Progress: func(Progress) { cancel(stop) }})
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}
