package push

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

// Of several images, the one that suits best is taken, whatever their order and
// however deep their index is nested; in a layout as in a registry.
func TestChoiceOfPlatform(t *testing.T) {
	for _, c := range []struct {
		name, want string
		have       []string // those of a nested index stand behind a "+", those whose descriptor does not say it behind a "?"
		takes      string   // or part of the error
	}{
		{"baseline", "linux/amd64", []string{"linux/amd64/v3", "linux/amd64", "linux/amd64/v2"}, "linux/amd64"},
		{"no baseline", "linux/amd64", []string{"linux/amd64/v3", "linux/amd64/v2"}, "no image for platform"},
		{"the newest that runs", "linux/amd64/v3", []string{"linux/amd64", "linux/amd64/v4", "linux/amd64/v2"}, "linux/amd64/v2"},
		{"arm", "linux/arm", []string{"linux/arm/v5", "linux/arm/v6", "linux/arm/v8"}, "linux/arm/v6"},
		{"nested", "linux/arm64", []string{"linux/amd64", "+linux/arm64"}, "linux/arm64"},
		{"said by the config", "linux/arm64", []string{"?linux/amd64", "?linux/arm64"}, "linux/arm64"},
		{"nested, said by the config", "linux/arm64", []string{"linux/amd64", "+?linux/arm64"}, "linux/arm64"},
		{"nested, two said by the config", "linux/arm64", []string{"+?linux/amd64", "+?linux/arm64"}, "linux/arm64"},
		{"windows by version", "windows(10.0.17763)/amd64", []string{"windows(10.0.20348.1)/amd64", "windows(10.0.17763.5)/amd64"}, "windows(10.0.17763.5)/amd64"},
		{"windows without a version", "windows/amd64", []string{"windows(10.0.20348.1)/amd64", "windows(10.0.17763.5)/amd64"}, "several versions of Windows"},
		{"one windows", "windows/amd64", []string{"windows(10.0.20348.1)/amd64", "linux/amd64"}, "windows(10.0.20348.1)/amd64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := imagetest.Layout{}
			var children, nested []v1.Descriptor
			digests := map[string]string{}
			for i, have := range c.have {
				p, err := image.ParsePlatform(strings.TrimLeft(have, "+?"))
				if err != nil {
					t.Fatal(err)
				}
				d := f.Manifest(t, imagetest.NewSample(t, p, imagetest.RawLayer(t, byte(i), 100)), false)
				if !strings.Contains(have, "?") {
					d.Platform = &v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
				}
				digests[p.String()] = d.Digest.String()
				if strings.HasPrefix(have, "+") {
					nested = append(nested, d)
				} else {
					children = append(children, d)
				}
			}
			if nested != nil {
				children = append(children, f.Index(t, nested...))
			}
			dir := f.Seal(t, f.Index(t, children...)).Directory(t)
			repository := imagetest.NewRegistry().Serve(t)
			if _, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: repository, Tags: []string{"1"}}, Options{}); err != nil {
				t.Fatal(err)
			}
			for _, ref := range []string{dir, "docker://" + repository + ":1"} {
				m, err := source.Open(t.Context(), ref, source.Options{Platform: c.want})
				if err != nil {
					if digests[c.takes] != "" || !strings.Contains(err.Error(), c.takes) {
						t.Errorf("%s: %v, want %s", ref, err, c.takes)
					}
					continue
				}
				if got := m.Describe().Digest; got != digests[c.takes] {
					t.Errorf("%s: took %s, want %s (%v)", ref, got, c.takes, digests)
				}
				m.Close()
			}
		})
	}
}

// open opens ref and closes it with the test.
func open(t testing.TB, ref string, o source.Options) *source.Image {
	t.Helper()
	o.TempDirectory = t.TempDir()
	m, err := source.Open(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	imagetest.CloseWithTest(t, m, o.TempDirectory)
	return m
}

// Every format that an engine or a build tool writes arrives as the same image,
// and what has a digest keeps it.
func TestPushEveryFormat(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, 70_000), imagetest.RawLayer(t, 2, 70_000))
	oci := imagetest.Layout{}
	root := oci.Manifest(t, s, false)
	oci.Seal(t, root)
	rawOCI := imagetest.Layout{}
	rawRoot := rawOCI.Manifest(t, s, true)
	rawOCI.Seal(t, rawRoot)

	cases := []struct {
		name, path string
		kind       image.Kind
		digest     string // promised before anything is moved; empty when the manifest is to be written
	}{
		{"docker up to 24", imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), image.KindDockerArchive, ""},
		{"docker up to 24, gzipped", imagetest.Write(t, "a.tar.gz", imagetest.Gzipped(t, imagetest.Docker20(t, s))), image.KindDockerArchive, ""},
		{"docker from 25, classic store", imagetest.Write(t, "a.tar", imagetest.Docker25(t, s, true)), image.KindDockerArchive, ""},
		{"docker from 25, containerd store", imagetest.Write(t, "a.tar", imagetest.Docker25(t, s, false)), image.KindDockerArchive, root.Digest.String()},
		{"podman", imagetest.Write(t, "a.tar", imagetest.PodmanArchive(t, s)), image.KindDockerArchive, ""},
		{"OCI layout", oci.Directory(t), image.KindOCILayout, root.Digest.String()},
		{"OCI archive", imagetest.Write(t, "a.tar", oci.Archive(t)), image.KindOCIArchive, root.Digest.String()},
		{"OCI layout with raw layers", rawOCI.Directory(t), image.KindOCILayout, rawRoot.Digest.String()},
	}
	built := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			repo := imagetest.NewRegistry().Serve(t)
			m := open(t, c.path, source.Options{})
			d := m.Describe()
			if d.Kind != c.kind || d.ImageID != s.ID() || d.Digest != c.digest || !slices.Equal(d.Platforms, []image.Platform{imagetest.AMD64}) {
				t.Errorf("describe: %+v", d)
			}
			r, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"7", "build-7"}}, Options{lead: imagetest.SmallLead})
			if err != nil {
				t.Fatal(err)
			}
			if c.digest != "" && r.Digest != c.digest {
				t.Errorf("digest changed from %s to %s", c.digest, r.Digest)
			}
			if r.URI != repo+":7" || r.AlreadyThere || r.Layers == 0 || r.SentBytes == 0 {
				t.Errorf("result: %+v", r)
			}
			for tag, pull := range map[string]func(testing.TB, string, ...remote.Option) (v1.Descriptor, string){"7": imagetest.Pull, "build-7": imagetest.Glance} {
				have, id := pull(t, repo+":"+tag)
				if have.Digest.String() != r.Digest || string(have.MediaType) != r.MediaType || id != s.ID() {
					t.Errorf("tag %s has %v with image ID %s, want %s with %s", tag, have, id, r.Digest, s.ID())
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
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, compress.LeadSize*3/2))
	for _, compression := range []compress.Compression{compress.Gzip, compress.Zstd} {
		g := imagetest.NewRegistry()
		r, err := Push(t.Context(), open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), source.Options{}), Target{Repository: g.Serve(t), Tags: []string{"1"}}, Options{Compression: compression})
		if err != nil {
			t.Fatal(err)
		}
		if n := g.Count("PATCH blobs"); n != 1 {
			t.Errorf("%s: %d layers were sent while they were compressed, want 1", compression, n)
		}
		if _, id := imagetest.Pull(t, r.URI); id != s.ID() {
			t.Errorf("%s: image ID %s, want %s", compression, id, s.ID())
		}
	}
}

// A layer that another tool compressed keeps its bytes although the archive
// does not know its digest.
func TestPushCompressedLayersOfADockerArchive(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 200_000))
	compressed := imagetest.Gzipped(t, s.Layers[0])
	archive := imagetest.TarOf(t, imagetest.Entry{Name: "config.json", Data: s.Config}, imagetest.Entry{Name: "x.tar", Data: compressed},
		imagetest.Entry{Name: "manifest.json", Data: []byte(`[{"Config":"config.json","RepoTags":null,"Layers":["x.tar"]}]`)})
	repo := imagetest.NewRegistry().Serve(t)
	r, err := Push(t.Context(), open(t, imagetest.Write(t, "a.tar", archive), source.Options{}), Target{Repository: repo, Tags: []string{"1"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ref, _ := name.ParseReference(r.URI)
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil || m.Layers[0].Digest != image.DigestOf(compressed) {
		t.Errorf("layer became %v, want %s: %v", m.Layers, image.DigestOf(compressed), err)
	}
	imagetest.Pull(t, r.URI)
}

// An index keeps its digest, its attestations and its foreign layers; platform
// takes one image out of it.
func TestPushIndex(t *testing.T) {
	f := imagetest.Layout{}
	a := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 50_000)), false)
	a.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	b := f.Manifest(t, imagetest.NewSample(t, imagetest.ARM64, imagetest.RawLayer(t, 2, 60_000)), false)
	b.Platform = &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	at := f.Attestation(t, a)
	root := f.Index(t, a, b, at)
	dir := f.Seal(t, root).Directory(t)

	t.Run("whole", func(t *testing.T) {
		repo := imagetest.NewRegistry().Serve(t)
		m := open(t, dir, source.Options{})
		if d := m.Describe(); d.Digest != root.Digest.String() || image.PlatformList(d.Platforms) != "linux/amd64, linux/arm64/v8" || d.ImageID != "" {
			t.Errorf("describe: %+v", d)
		}
		r, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"1"}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		d, _ := imagetest.Pull(t, r.URI)
		if d.Digest != root.Digest {
			t.Errorf("pushed %s, want %s", d.Digest, root.Digest)
		}
		imagetest.Pull(t, repo+"@"+at.Digest.String())
	})
	t.Run("one platform", func(t *testing.T) {
		repo := imagetest.NewRegistry().Serve(t)
		r, err := Push(t.Context(), open(t, dir, source.Options{Platform: "linux/arm64"}), Target{Repository: repo, Tags: []string{"1"}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := imagetest.Pull(t, r.URI); d.Digest != b.Digest {
			t.Errorf("pushed %s, want %s", d.Digest, b.Digest)
		}
	})
	t.Run("missing platform", func(t *testing.T) {
		_, err := source.Open(t.Context(), dir, source.Options{Platform: "windows/amd64"})
		if p, ok := errors.AsType[*image.PlatformError](err); !ok || image.PlatformList(p.Have) != "linux/amd64, linux/arm64/v8" {
			t.Error(err)
		}
	})
	t.Run("from registry to registry", func(t *testing.T) {
		from, g := imagetest.NewRegistry().Serve(t), imagetest.NewRegistry()
		if _, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: from, Tags: []string{"1"}}, Options{}); err != nil {
			t.Fatal(err)
		}
		m := open(t, "docker://"+from+":1", source.Options{})
		if d := m.Describe(); d.Kind != image.KindRegistry || d.Digest != root.Digest.String() || len(d.Platforms) != 2 {
			t.Errorf("describe: %+v", d)
		}
		target := Target{Repository: g.Serve(t), Tags: []string{"2"}}
		r, err := Push(t.Context(), m, target, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d, _ := imagetest.Pull(t, r.URI); d.Digest != root.Digest {
			t.Errorf("copied %s, want %s", d.Digest, root.Digest)
		}
		one := open(t, "docker://"+from+"@"+root.Digest.String(), source.Options{Platform: "linux/amd64"})
		if d := one.Describe(); d.Digest != a.Digest.String() {
			t.Errorf("describe: %+v", d)
		}
		if d, err := source.Inspect(t.Context(), r.URI, nil, nil); err != nil || d.Digest != root.Digest.String() || image.PlatformList(d.Platforms) != "linux/amd64, linux/arm64/v8" {
			t.Errorf("inspect: %+v %v", d, err)
		}
	})
	t.Run("only one platform of a nested index is there", func(t *testing.T) {
		partial := imagetest.Layout{}
		for k, v := range f {
			partial[k] = v
		}
		partial.Seal(t, partial.Index(t, partial.Index(t, a, b), at))
		delete(partial, image.BlobName(b.Digest))
		for _, platform := range []string{"", "linux/amd64"} {
			if d := open(t, partial.Directory(t), source.Options{Platform: platform}).Describe(); d.Digest != a.Digest.String() {
				t.Errorf("platform %q: %+v", platform, d)
			}
		}
	})
	t.Run("only one platform is there", func(t *testing.T) {
		partial := imagetest.Layout{}
		for k, v := range f {
			partial[k] = v
		}
		delete(partial, image.BlobName(b.Digest))
		delete(partial, image.BlobName(at.Digest))
		m := open(t, partial.Directory(t), source.Options{})
		if d := m.Describe(); d.Digest != a.Digest.String() {
			t.Errorf("describe: %+v", d)
		}
		_, err := source.Open(t.Context(), partial.Directory(t), source.Options{Platform: "linux/arm64"})
		if p, ok := errors.AsType[*image.PlatformError](err); !ok || !p.Absent {
			t.Error(err)
		}
	})
}

// Layers that others distribute are named in the manifest and not uploaded.
func TestPushForeignLayers(t *testing.T) {
	s := imagetest.NewSample(t, image.Platform{OS: "windows", Architecture: "amd64"}, imagetest.RawLayer(t, 1, 1000), imagetest.RawLayer(t, 2, 1000))
	foreign := v1.Descriptor{MediaType: types.DockerForeignLayer, Size: 123, Digest: image.DigestOf([]byte("foreign")), URLs: []string{"https://example.com/base"}}
	manifest := imagetest.JSON(t, []any{map[string]any{"Config": "c", "Layers": []string{"gone", "l"}, "LayerSources": map[string]any{image.DigestOf(s.Layers[0]).String(): foreign}}})
	archive := imagetest.TarOf(t, imagetest.Entry{Name: "c", Data: s.Config}, imagetest.Entry{Name: "l", Data: s.Layers[1]}, imagetest.Entry{Name: "manifest.json", Data: manifest})

	for compression, want := range map[compress.Compression][2]types.MediaType{
		compress.Gzip: {types.DockerForeignLayer, types.DockerLayer},
		compress.Zstd: {types.OCIRestrictedLayer, types.OCILayerZStd},
	} {
		repo := imagetest.NewRegistry().Serve(t)
		r, err := Push(t.Context(), open(t, imagetest.Write(t, "a.tar", archive), source.Options{}), Target{Repository: repo, Tags: []string{"1"}}, Options{Compression: compression})
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

// Layers of types that tools seldom write, and that engines unpack, arrive as they are.
func TestPushSeldomTypes(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3000))
	for media, layer := range map[types.MediaType][]byte{
		types.DockerUncompressedLayer:                          imagetest.Gzipped(t, s.Layers[0]), // of tools that name every layer so
		types.OCIUncompressedRestrictedLayer:                   s.Layers[0],
		"application/vnd.docker.image.rootfs.foreign.diff.tar": s.Layers[0],
	} {
		f := imagetest.Layout{}
		root := imagetest.Stored{Config: s.Config, Layers: [][]byte{layer}, Media: media}.Manifest(t, f)
		r, err := Push(t.Context(), open(t, f.Seal(t, root).Directory(t), source.Options{}), Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{})
		if err != nil || r.Digest != root.Digest.String() {
			t.Errorf("%s: %+v %v", media, r, err)
			continue
		}
		if l := layersOf(t, r.URI); l[0].Digest != image.DigestOf(layer) {
			t.Errorf("%s: %+v", media, l)
		}
	}
}

// A registry that refuses a manifest that it has, as ECR's API does, has it all the same.
func TestManifestsThatAreThere(t *testing.T) {
	f := imagetest.Layout{}
	img := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3000)), false)
	sbom := f.Refer(t, img, "sbom")
	root := f.Index(t, img)
	dir := f.Seal(t, root, sbom).Directory(t)
	g := imagetest.NewReferrersRegistry(true)
	repository := g.Serve(t)
	for _, tag := range []string{"1", "2"} {
		r, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: repository, Tags: []string{tag}}, Options{Referrers: true})
		if err != nil || r.Digest != root.Digest.String() || r.Referrers != 1 {
			t.Errorf("%s: %+v %v", tag, r, err)
		}
		whole := g.Inner
		g.Inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && (strings.HasSuffix(r.URL.Path, img.Digest.String()) || strings.HasSuffix(r.URL.Path, sbom.Digest.String())) {
				imagetest.Answer(400, "ImageAlreadyExistsException", "Image with digest exists")(w, r)
				return
			}
			whole.ServeHTTP(w, r)
		})
	}
}

// With zstd, what is compressed here becomes an OCI image of zstd layers, and
// nothing else changes: not the image ID, not what is compressed already.
func TestPushZstd(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, 70_000), imagetest.RawLayer(t, 2, 70_000), nil)
	oci := imagetest.Layout{}
	root := oci.Manifest(t, s, false)
	oci.Seal(t, root)
	packed := imagetest.Docker25(t, s, false)
	cases := []struct {
		name, path string
		digest     string // of an image that stays as it is
	}{
		{"docker up to 24", imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), ""},
		{"docker from 25, classic store", imagetest.Write(t, "a.tar", imagetest.Docker25(t, s, true)), ""},
		{"podman", imagetest.Write(t, "a.tar", imagetest.PodmanArchive(t, s)), ""},
		{"docker from 25, containerd store", imagetest.Write(t, "a.tar", packed), root.Digest.String()},
		{"OCI layout", oci.Directory(t), root.Digest.String()},
	}
	built := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			repo := imagetest.NewRegistry().Serve(t)
			var log bytes.Buffer
			r, err := Push(t.Context(), open(t, c.path, source.Options{}), Target{Repository: repo, Tags: []string{"7"}},
				Options{lead: imagetest.SmallLead, Compression: compress.Zstd, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			d, id := imagetest.Pull(t, r.URI) // unpacks every layer and compares it with the config
			if id != s.ID() || d.MediaType != types.OCIManifestSchema1 {
				t.Errorf("pushed %s with image ID %s, want %s with %s", d.MediaType, id, types.OCIManifestSchema1, s.ID())
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
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, 1000))
	oci := imagetest.Layout{}
	oci.Seal(t, oci.Manifest(t, s, false))
	for name, path := range map[string]string{"raw": imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), "compressed": oci.Directory(t)} {
		t.Run(name, func(t *testing.T) {
			g := imagetest.NewRegistry()
			target := Target{Repository: g.Serve(t), Tags: []string{"1"}, Immutable: func(string) bool { return true }}
			first, err := Push(t.Context(), open(t, path, source.Options{}), target, Options{lead: imagetest.SmallLead})
			if err != nil {
				t.Fatal(err)
			}

			g.Take()
			again, err := Push(t.Context(), open(t, path, source.Options{}), target, Options{lead: imagetest.SmallLead})
			if err != nil {
				t.Fatal(err)
			}
			if !again.AlreadyThere || again.Digest != first.Digest || again.SentBytes != 0 {
				t.Errorf("again: %+v", again)
			}
			if n := len(g.Take()); n > 3 {
				t.Errorf("%d requests for nothing, want 3 at most", n)
			}

			// Another tag for the same image needs the manifest alone.
			target.Tags = []string{"1", "2"}
			more, err := Push(t.Context(), open(t, path, source.Options{}), target, Options{lead: imagetest.SmallLead})
			if err != nil || more.AlreadyThere || more.Digest != first.Digest {
				t.Errorf("another tag: %+v %v", more, err)
			}
			if g.Count("POST blobs") != 0 || g.Count("PUT manifests") != 1 {
				t.Errorf("another tag: requests %v", g.Take())
			}
			if d, _ := imagetest.Pull(t, target.Repository+":2"); d.Digest.String() != first.Digest {
				t.Errorf("tag 2 has %s", d.Digest)
			}
		})
	}
}

// One changed layer: the others are found by their digests and not sent.
func TestPushReusesLayers(t *testing.T) {
	base := imagetest.RawLayer(t, 1, 300_000)
	g := imagetest.NewRegistry()
	repo := g.Serve(t)
	for i, want := range []int{0, 1} {
		s := imagetest.NewSample(t, imagetest.AMD64, base, imagetest.RawLayer(t, byte(10+i), 1000))
		r, err := Push(t.Context(), open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), source.Options{}), Target{Repository: repo, Tags: []string{s.ID()[7:19]}}, Options{})
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
	f := imagetest.Layout{}
	f.Seal(t, f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 200_000)), false))
	for way, refused := range map[string]int{"mounts": 0, "uploads": 0, "refuses": 403, "does not authorize": 401, "does not take it": 405, "calls it invalid": 400} {
		g := imagetest.NewRegistry()
		repo := g.Serve(t)
		if _, err := Push(t.Context(), open(t, f.Directory(t), source.Options{}), Target{Repository: repo, Tags: []string{"1"}}, Options{}); err != nil {
			t.Fatal(err)
		}
		// The test registry keeps the blobs of all repositories in one place:
		// make it deny that.
		asked := atomic.Int32{}
		g.Faults = []imagetest.Fault{{Match: "HEAD blobs", Times: 2, Do: imagetest.Answer(404, "", "")}, {Match: "POST blobs", Times: 1 << 20, Do: func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if q.Get("from") == "app" && strings.HasPrefix(q.Get("mount"), "sha256:") {
				asked.Add(1)
			}
			switch {
			case way == "mounts":
				w.WriteHeader(http.StatusCreated)
			case refused > 0 && q.Has("mount"):
				imagetest.Answer(refused, "", "")(w, r)
			default:
				g.Inner.ServeHTTP(w, r)
			}
		}}}
		r, err := Push(t.Context(), open(t, "docker://"+repo+":1", source.Options{}), Target{Repository: repo + "/copy", Tags: []string{"1"}}, Options{})
		if mounts := way == "mounts"; err != nil || asked.Load() != 2 || (r.Reused == r.Layers) != mounts || (r.SentBytes == 0) != mounts {
			t.Errorf("%s, asked %d times: %+v %v", way, asked.Load(), r, err)
		}
	}
}

func TestCheck(t *testing.T) {
	one := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	two := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 2, 1000))
	repo := imagetest.NewRegistry().Serve(t)
	if _, err := Push(t.Context(), open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, one)), source.Options{}), Target{Repository: repo, Tags: []string{"one"}}, Options{}); err != nil {
		t.Fatal(err)
	}

	target := Target{Repository: repo, Tags: []string{"one", "new"}}
	s, err := Check(t.Context(), open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, one)), source.Options{}), target)
	if err != nil || s.Tags[0].Status != TagSame || s.Tags[1].Status != TagFree || s.AlreadyThere() {
		t.Errorf("%+v %v", s, err)
	}

	m := open(t, imagetest.Write(t, "b.tar", imagetest.Docker20(t, two)), source.Options{})
	s, err = Check(t.Context(), m, target)
	if err != nil || s.Tags[0].Status != TagOther {
		t.Errorf("mutable tag: %+v %v", s, err)
	}

	target.Immutable = func(tag string) bool { return tag == "one" }
	s, err = Check(t.Context(), m, target)
	taken, ok := errors.AsType[*TagTakenError](err)
	if !ok || taken.Tag != "one" || taken.Have != s.Tags[0].Digest || taken.Want != two.ID() {
		t.Errorf("immutable tag: %v", err)
	}
	if _, err := Push(t.Context(), m, target, Options{}); !errors.As(err, &taken) {
		t.Errorf("push over an immutable tag: %v", err)
	}
	if d, id := imagetest.Pull(t, repo+":one"); id != one.ID() {
		t.Errorf("the tag moved to %s", d.Digest)
	}
}

// An archive whose layer is not what the config says never becomes a tag.
func TestPushDamagedLayer(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big))
	bad := bytes.Clone(s.Layers[0])
	bad[len(bad)/2] ^= 1
	g := imagetest.NewRegistry()
	repo := g.Serve(t)
	_, err := Push(t.Context(), open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.Sample{Config: s.Config, Layers: [][]byte{bad}, Tags: s.Tags})), source.Options{}), Target{Repository: repo, Tags: []string{"1"}}, Options{lead: imagetest.SmallLead})
	if err == nil || !strings.Contains(err.Error(), "layer 1 of 1") {
		t.Errorf("raw: %v", err)
	}

	f := imagetest.Layout{}
	root := f.Manifest(t, s, false)
	for name, b := range f {
		if bytes.Equal(b, imagetest.Gzipped(t, s.Layers[0])) {
			b[len(b)/2] ^= 1
			f[name] = b
		}
	}
	_, err = Push(t.Context(), open(t, f.Seal(t, root).Directory(t), source.Options{}), Target{Repository: repo, Tags: []string{"1"}}, Options{lead: imagetest.SmallLead})
	if err == nil || !strings.Contains(err.Error(), "digest mismatch") && !strings.Contains(err.Error(), "cannot be unpacked") {
		t.Errorf("compressed: %v", err)
	}
	if n := g.Count("PUT manifests"); n != 0 {
		t.Errorf("%d manifests were put", n)
	}
}

func TestPushCancelled(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	g := imagetest.NewRegistry()
	g.Faults = []imagetest.Fault{{Match: "PATCH", Times: 1, Do: imagetest.Answer(503, "", "")}}
	_, err := Push(ctx, open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), source.Options{}), Target{Repository: g.Serve(t), Tags: []string{"1"}},
		Options{lead: imagetest.SmallLead, Progress: func(image.Progress) { cancel(stop) }})
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}
