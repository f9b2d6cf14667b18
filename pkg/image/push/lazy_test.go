package push

// SOCI indexes that are pushed with an image.

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

// lazily pushes with an index of layers from 64 KiB.
func lazily(t *testing.T, archive string, target Target, o Options) (Result, string) {
	t.Helper()
	var log bytes.Buffer
	o.LazyLoading, o.indexed, o.lead = true, 64<<10, imagetest.SmallLead
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r, err := Push(t.Context(), open(t, archive, source.Options{}), target, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, log.String()
}

// bound is what the specification asks of an image with an index of version 2, read from
// the registry: the manifest of the image, and that of the index.
func bound(t *testing.T, repository, reference string) (manifest, index v1.Manifest) {
	t.Helper()
	at, err := name.ParseReference(repository + reference)
	if err != nil {
		t.Fatal(err)
	}
	root, err := remote.Index(at)
	if err != nil {
		t.Fatal(err)
	}
	m, err := root.IndexManifest()
	if err != nil || len(m.Manifests) != 2 {
		t.Fatalf("%+v %v", m, err)
	}
	of, with := m.Manifests[0], m.Manifests[1]
	read := func(d v1.Descriptor, to any) {
		got, err := remote.Get(at.Context().Digest(d.Digest.String()))
		if err != nil || got.Size != d.Size || got.MediaType != d.MediaType {
			t.Fatalf("%+v %+v %v", got, d, err)
		}
		if err := json.Unmarshal(got.Manifest, to); err != nil {
			t.Fatal(err)
		}
	}
	read(of, &manifest)
	read(with, &index)
	if manifest.Annotations["com.amazon.soci.index-digest"] != with.Digest.String() || with.ArtifactType != "application/vnd.amazon.soci.index.v2+json" ||
		with.Annotations["com.amazon.soci.image-manifest-digest"] != of.Digest.String() || of.ArtifactType != "" ||
		of.Platform == nil || with.Platform == nil || of.Platform.String() != with.Platform.String() ||
		index.Config.MediaType != "application/vnd.amazon.soci.index.v2+json" || index.Subject != nil {
		t.Errorf("%+v %+v %+v", m, manifest, index)
	}
	return manifest, index
}

// described checks the zTOCs of an index against its layers, and returns how many it has.
func described(t *testing.T, repository string, manifest, index v1.Manifest) int {
	t.Helper()
	for _, z := range index.Layers {
		i := slices.IndexFunc(manifest.Layers, func(l v1.Descriptor) bool {
			return l.Digest.String() == z.Annotations["com.amazon.soci.image-layer-digest"]
		})
		if i < 0 || z.Annotations["com.amazon.soci.image-layer-mediaType"] != string(manifest.Layers[i].MediaType) || z.MediaType != "application/octet-stream" {
			t.Fatalf("%+v", z)
		}
		table, layer := fetchBlob(t, repository, z.Digest), fetchBlob(t, repository, manifest.Layers[i].Digest)
		tool, err := exec.LookPath("soci-reader")
		if err != nil {
			continue // the package of the format compares what it writes with the layer
		}
		dir := t.TempDir()
		for name, b := range map[string][]byte{"ztoc": table, "layer": layer} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command(tool, filepath.Join(dir, "ztoc"), filepath.Join(dir, "layer")).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	return len(index.Layers)
}

func fetchBlob(t *testing.T, repository string, h v1.Hash) []byte {
	t.Helper()
	resp, err := http.Get("http://" + strings.Replace(repository, "/", "/v2/", 1) + "/blobs/" + h.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || image.DigestOf(b) != h {
		t.Fatalf("blob %s: %v", h, err)
	}
	return b
}

func TestLazyLoading(t *testing.T) {
	g := imagetest.NewRegistry()
	repository := g.Serve(t)
	big, other, small := imagetest.RawLayer(t, 1, 5<<20), imagetest.RawLayer(t, 2, 300_000), imagetest.RawLayer(t, 3, 1000)
	s := imagetest.NewSample(t, imagetest.AMD64, big, small, other)
	archive := imagetest.Write(t, "image.tar", imagetest.Docker20(t, s))
	target := Target{Repository: repository, Tags: []string{"1"}, Immutable: func(string) bool { return true }}
	r, _ := lazily(t, archive, target, Options{})
	manifest, index := bound(t, repository, ":1")
	if n := described(t, repository, manifest, index); n != 2 || manifest.Config.Digest.String() != s.ID() {
		t.Errorf("%d layers are described, want 2: %+v", n, manifest)
	}
	d, _ := imagetest.Glance(t, repository+":1") // the library takes the zTOCs for layers, and would unpack them
	if r.Lazy == nil || r.Lazy.Layers != 2 || r.Lazy.Of != 3 || r.Lazy.Bytes >= r.Lazy.OfBytes || d.Digest.String() != r.Digest || r.Layers != 4 {
		t.Errorf("%+v %+v %s", r, r.Lazy, d.Digest)
	}
	if _, id := imagetest.Pull(t, repository+"@"+digestOf(t, repository, ":1", 0)); id != s.ID() {
		t.Errorf("the image is %s, want %s", id, s.ID())
	}

	// Copied to another repository it stays as it is, as a whole or as the one image of it.
	from := "docker://" + repository + ":1"
	for platform, reference := range map[string]string{"": d.Digest.String(), "linux/amd64": digestOf(t, repository, ":1", 0)} {
		copied, err := Push(t.Context(), open(t, from, source.Options{Platform: platform}), Target{Repository: imagetest.NewRegistry().Serve(t)}, Options{})
		if err != nil || copied.Digest != reference {
			t.Errorf("copy of %q: %+v %v, want %s", platform, copied, err, reference)
		}
	}

	// Again, with and without an index: it is there.
	g.Take()
	if r, _ := lazily(t, archive, target, Options{}); !r.AlreadyThere || r.Digest != d.Digest.String() || r.Lazy != nil {
		t.Errorf("again: %+v", r)
	}
	plain, err := Push(t.Context(), open(t, archive, source.Options{}), target, Options{})
	if err != nil || !plain.AlreadyThere {
		t.Errorf("without an index: %+v %v", plain, err)
	}

	// Another small layer: the large ones are neither sent nor described again.
	changed := imagetest.Write(t, "changed.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, big, imagetest.RawLayer(t, 4, 1000), other)))
	base := func(context.Context) (Base, error) { return Base{Reference: r.Digest}, nil }
	target.Tags = []string{"2"}
	next, _ := lazily(t, changed, target, Options{Base: base})
	if m, i := bound(t, repository, ":2"); described(t, repository, m, i) != 2 || next.SentBytes > 10_000 || next.Lazy == nil || next.Lazy.Layers != 2 {
		t.Errorf("%+v %+v %+v", i, next, next.Lazy)
	}

	// A zTOC that has been deleted since is left out.
	g.Lose(index.Layers[0].Digest.String())
	target.Tags = []string{"3"}
	last, _ := lazily(t, imagetest.Write(t, "third.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, big, imagetest.RawLayer(t, 5, 1000), other))), target, Options{Base: base})
	if last.Lazy == nil || last.Lazy.Layers != 1 {
		t.Errorf("%+v", last.Lazy)
	}
}

// digestOf is the digest of a child of an index.
func digestOf(t *testing.T, repository, reference string, child int) string {
	t.Helper()
	at, err := name.ParseReference(repository + reference)
	if err != nil {
		t.Fatal(err)
	}
	root, err := remote.Index(at)
	if err != nil {
		t.Fatal(err)
	}
	m, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return m.Manifests[child].Digest.String()
}

// Where there can be no index, the log says why, and the image is what it would be
// otherwise.
func TestLazyLoadingHasNoEffect(t *testing.T) {
	raw := imagetest.RawLayer(t, 1, 300_000)
	s := imagetest.NewSample(t, imagetest.AMD64, raw)
	arm := imagetest.NewSample(t, image.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}, raw)
	text := imagetest.NewSample(t, imagetest.AMD64, bytes.Repeat([]byte("no tar, but large enough to be described; "), 1<<17))
	for name, c := range map[string]struct {
		archive []byte
		reason  string
	}{
		"small":    {imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 2, 1000))), "no layer was compressed by this task"},
		"arm":      {imagetest.Docker20(t, arm), "the image is for linux/arm/v7"},
		"no tar":   {imagetest.Docker20(t, text), "no layer was compressed by this task"},
		"has gzip": {imagetest.Docker25(t, s, false), "go to the registry as they are"},
	} {
		t.Run(name, func(t *testing.T) {
			repository := imagetest.NewRegistry().Serve(t)
			archive := imagetest.Write(t, "image.tar", c.archive)
			r, log := lazily(t, archive, Target{Repository: repository, Tags: []string{"1"}}, Options{})
			if r.Lazy != nil || !strings.Contains(log, c.reason) || !strings.Contains(log, "lazyLoading has no effect") {
				t.Errorf("%+v, log:\n%s", r, log)
			}
			plain, err := Push(t.Context(), open(t, archive, source.Options{}), Target{Repository: repository, Tags: []string{"2"}}, Options{lead: imagetest.SmallLead})
			if err != nil || plain.Digest != r.Digest {
				t.Errorf("%s, without an index %s: %v", r.Digest, plain.Digest, err)
			}
		})
	}
}

// What goes wrong while a zTOC is sent is tried again as for any blob; a layer that has to
// be sent twice has the same one.
func TestLazyLoadingFaults(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1<<20))
	archive := imagetest.Write(t, "image.tar", imagetest.Docker20(t, s))
	var digest string
	for name, fault := range map[string]imagetest.Fault{
		"none":             {},
		"cut in a layer":   {Match: "PATCH", Times: 1, Do: imagetest.Cut},
		"upload refused":   {Match: "POST", Times: 2, Do: imagetest.Answer(http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow", "Retry-After", "0")},
		"answers lost":     {Match: "PUT blobs", Times: 1},
		"manifest refused": {Match: "PUT manifests", Times: 1, Do: imagetest.Answer(http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow", "Retry-After", "0")},
	} {
		t.Run(name, func(t *testing.T) {
			g := imagetest.NewRegistry(fault)
			if fault.Times > 0 && fault.Do == nil {
				g.Faults[0].Do = g.LoseAnswer
			}
			repository := g.Serve(t)
			r, _ := lazily(t, archive, Target{Repository: repository, Tags: []string{"1"}}, Options{})
			if m, i := bound(t, repository, ":1"); described(t, repository, m, i) != 1 {
				t.Errorf("%+v", i)
			}
			if digest == "" {
				digest = r.Digest
			}
			if r.Digest != digest {
				t.Errorf("digest %s, without the fault %s", r.Digest, digest)
			}
		})
	}
}

// A zTOC that the registry does not take ends the push, which names its layer.
func TestLazyLoadingRefused(t *testing.T) {
	g := imagetest.NewRegistry()
	inner := g.Inner
	g.Inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/") && r.ContentLength > 32<<10 {
			imagetest.Answer(http.StatusForbidden, "DENIED", "no")(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	})
	archive := imagetest.Write(t, "image.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 300_000))))
	_, err := Push(t.Context(), open(t, archive, source.Options{}), Target{Repository: g.Serve(t), Tags: []string{"1"}}, Options{LazyLoading: true, indexed: 64 << 10, lead: imagetest.SmallLead})
	if err == nil || g.Count("PUT manifests") > 0 {
		t.Errorf("%v, %d manifests", err, g.Count("PUT manifests"))
	}
}

// With zstd there is nothing for an index to describe.
func TestLazyLoadingTakesGzip(t *testing.T) {
	archive := imagetest.Write(t, "image.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 300_000))))
	r, log := lazily(t, archive, Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{Compression: compress.Zstd})
	if r.Lazy != nil || !strings.Contains(log, "lazyLoading has no effect") {
		t.Errorf("%+v %s", r, log)
	}
}

// The index that another tool wrote is not taken from an image in the repository.
func TestLazyLoadingOfAnotherTool(t *testing.T) {
	g := imagetest.NewRegistry()
	repository := g.Serve(t)
	big := imagetest.RawLayer(t, 1, 300_000)
	archive := imagetest.Write(t, "image.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, big)))
	target := Target{Repository: repository, Tags: []string{"1"}}
	lazily(t, archive, target, Options{})
	manifest, index := bound(t, repository, ":1")
	index.Annotations = map[string]string{"com.amazon.soci.build-tool-identifier": "AWS SOCI CLI v0.2"}
	raw := imagetest.JSON(t, index)
	at, _ := name.ParseReference(repository + ":1")
	put := func(reference, mediaType string, raw []byte) {
		req, _ := http.NewRequest(http.MethodPut, "http://"+strings.Replace(repository, "/", "/v2/", 1)+"/manifests/"+reference, bytes.NewReader(raw))
		req.Header.Set("Content-Type", mediaType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("%v %v", resp, err)
		}
		resp.Body.Close()
	}
	put(image.DigestOf(raw).String(), string(index.MediaType), raw)
	root, err := remote.Index(at)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := root.IndexManifest()
	m.Manifests[1].Digest, m.Manifests[1].Size = image.DigestOf(raw), int64(len(raw))
	put("foreign", string(m.MediaType), imagetest.JSON(t, m))
	changed := imagetest.Write(t, "changed.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, big, imagetest.RawLayer(t, 4, 1000))))
	target.Tags = []string{"2"}
	r, log := lazily(t, changed, target, Options{Base: func(context.Context) (Base, error) { return Base{Reference: "foreign"}, nil }})
	if r.Lazy != nil || r.Reused == 0 || !strings.Contains(log, "was made by another tool") {
		t.Errorf("%+v of %+v: %s", r, manifest, log)
	}
}
