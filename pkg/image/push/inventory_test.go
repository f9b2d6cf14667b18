package push

// Layers that the repository has already: found by way of a base image, used
// without being compressed, and sent after all when they turn out to be gone.

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
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

// reuseWorld is a repository with an image that another tool has compressed,
// under the tag "base", and the archive of an image that differs in one layer.
type reuseWorld struct {
	*imagetest.Registry
	target Target
	stored []v1.Descriptor // the base's layers
	next   imagetest.Sample
	path   string
}

func newReuseWorld(t *testing.T) *reuseWorld {
	t.Helper()
	w := &reuseWorld{Registry: imagetest.NewRegistry()}
	w.target = Target{Repository: w.Serve(t), Tags: []string{"base"}}
	shared := [][]byte{imagetest.RawLayer(t, 1, 60_000), imagetest.RawLayer(t, 2, 30_000)}
	base := imagetest.NewSample(t, imagetest.AMD64, shared[0], shared[1], imagetest.RawLayer(t, 3, 20_000))
	f := imagetest.Layout{}
	root := f.Manifest(t, base, false)
	root.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	m := f.Manifest(t, imagetest.NewSample(t, imagetest.ARM64, imagetest.RawLayer(t, 7, 1000)), false)
	m.Platform = &v1.Platform{OS: "linux", Architecture: "arm64"}
	f.Seal(t, f.Index(t, m, root, f.Attestation(t, root)))
	if _, err := Push(t.Context(), open(t, f.Directory(t), source.Options{}), w.target, Options{}); err != nil {
		t.Fatal(err)
	}
	w.stored = layersOf(t, w.target.Repository+"@"+root.Digest.String())
	w.next = imagetest.NewSample(t, imagetest.AMD64, shared[0], shared[1], imagetest.RawLayer(t, 4, 20_000))
	w.path = imagetest.Write(t, "a.tar", imagetest.Docker20(t, w.next))
	w.target.Tags = []string{"next"}
	w.Take()
	return w
}

func layersOf(t *testing.T, ref string) []v1.Descriptor {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(r)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m.Layers
}

// base is Options.Base for a fixed image that an engine has unpacked.
func base(s string) func(context.Context) (Base, error) {
	return func(context.Context) (Base, error) {
		return Base{Reference: s, Proven: true, Platform: imagetest.AMD64}, nil
	}
}

// has is Options.Available for a repository that has everything but what
// is named.
func has(but ...string) func(context.Context, []string) (map[string]bool, error) {
	return func(_ context.Context, digests []string) (map[string]bool, error) {
		m := map[string]bool{}
		for _, d := range digests {
			m[d] = !slices.Contains(but, d)
		}
		return m, nil
	}
}

func TestReuse(t *testing.T) {
	config := func(w *reuseWorld) string { return w.next.ID() }
	cases := []struct {
		name    string
		options func(w *reuseWorld) Options
		reused  int
	}{
		{"no base", func(*reuseWorld) Options { return Options{} }, 0},
		{"base", func(*reuseWorld) Options { return Options{Base: base("base")} }, 2},
		{"base that runs on another platform", func(*reuseWorld) Options {
			return Options{Base: func(context.Context) (Base, error) {
				return Base{Reference: "base", Proven: true, Platform: imagetest.ARM64}, nil
			}}
		}, 0},
		{"base that runs on a platform that is not known", func(*reuseWorld) Options {
			return Options{Base: func(context.Context) (Base, error) { return Base{Reference: "base", Proven: true}, nil }}
		}, 0},
		{"asked about in one call", func(w *reuseWorld) Options {
			return Options{Base: base("base"), Available: has(config(w))}
		}, 2},
		{"one layer missing", func(w *reuseWorld) Options {
			return Options{Base: base("base"), Available: has(config(w), w.stored[0].Digest.String())}
		}, 1},
		{"the call is denied", func(*reuseWorld) Options {
			return Options{Base: base("base"), Available: func(context.Context, []string) (map[string]bool, error) {
				return nil, errors.New("AccessDenied")
			}}
		}, 2},
		{"no such base", func(*reuseWorld) Options { return Options{Base: base("none")} }, 0},
		{"base not found out", func(*reuseWorld) Options {
			return Options{Base: func(context.Context) (Base, error) { return Base{}, errors.New("AccessDenied") }}
		}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newReuseWorld(t)
			r, err := Push(t.Context(), open(t, w.path, source.Options{}), w.target, c.options(w))
			if err != nil {
				t.Fatal(err)
			}
			if _, id := imagetest.Glance(t, r.URI); id != w.next.ID() {
				t.Errorf("image ID %s, want %s", id, w.next.ID())
			}
			got := layersOf(t, r.URI)
			same := 0
			for i := range got {
				if got[i].Digest == w.stored[i].Digest && got[i].Size == w.stored[i].Size {
					same++
				}
			}
			if r.Reused != c.reused || same != c.reused || r.Layers != 4 {
				t.Errorf("%d layers are those of the base, want %d; %+v", same, c.reused, r)
			}
			if c.reused == 2 {
				if most := got[2].Size + int64(len(w.next.Config)) + 1; w.Received() > most || r.SentBytes > most {
					t.Errorf("sent %d bytes, %d by our count; want %d at most", w.Received(), r.SentBytes, most)
				}
			}
			// The digest is another one than without a base, the image is not.
			w.target.Tags = []string{"next", "again"}
			again, err := Push(t.Context(), open(t, w.path, source.Options{}), w.target, Options{})
			if err != nil || again.Digest != r.Digest || again.SentBytes != 0 {
				t.Errorf("again: %+v %v", again, err)
			}
		})
	}
}

// An image under a tag that is to be moved serves as the base where none is
// named.
func TestReuseOfTheTag(t *testing.T) {
	w := newReuseWorld(t)
	if _, err := Push(t.Context(), open(t, w.path, source.Options{}), w.target, Options{}); err != nil {
		t.Fatal(err)
	}
	later := imagetest.NewSample(t, imagetest.AMD64, w.next.Layers[0], w.next.Layers[1], imagetest.RawLayer(t, 5, 50_000))
	r, err := Push(t.Context(), open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, later)), source.Options{}), w.target, Options{})
	if err != nil || r.Reused != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

// Layers that are there when they are looked for, and gone when the manifest
// comes, are sent after all: those alone, if the registry names them.
func TestReuseOfVanishedLayers(t *testing.T) {
	for _, terse := range []bool{false, true} {
		w := newReuseWorld(t)
		w.Terse, w.Vanished = terse, []string{w.stored[0].Digest.String()}
		m := open(t, w.path, source.Options{})
		r, err := Push(t.Context(), m, w.target, Options{Base: base("base"), Available: has(w.next.ID())})
		if err != nil {
			t.Fatal(err)
		}
		reused := 1
		if terse {
			reused = 0
		}
		got := layersOf(t, r.URI)
		if r.Reused != reused || got[0].Digest == w.stored[0].Digest || (got[1].Digest == w.stored[1].Digest) == terse {
			t.Errorf("terse %t: layers %v; %+v", terse, got, r)
		}
		if r.SentBytes != w.Received() {
			t.Errorf("terse %t: counted %d bytes of %d", terse, r.SentBytes, w.Received())
		}
		if _, id := imagetest.Glance(t, r.URI); id != w.next.ID() {
			t.Errorf("terse %t: image ID %s", terse, id)
		}
	}

	t.Run("of a layout", func(t *testing.T) {
		w := newReuseWorld(t)
		f := imagetest.Layout{}
		f.Seal(t, f.Manifest(t, w.next, false))
		w.Vanished = []string{w.stored[0].Digest.String()}
		r, err := Push(t.Context(), open(t, f.Directory(t), source.Options{}), w.target, Options{Available: has(w.next.ID(), image.DigestOf(imagetest.Gzipped(t, w.next.Layers[2])).String())})
		if err != nil || r.Reused != 1 {
			t.Errorf("%+v %v", r, err)
		}
		imagetest.Pull(t, r.URI)
	})
	t.Run("for good", func(t *testing.T) {
		w := newReuseWorld(t)
		w.Faults = []imagetest.Fault{{Match: "PUT manifests", Times: 1 << 20, Do: imagetest.Answer(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", w.stored[0].Digest.String())}}
		_, err := Push(t.Context(), open(t, w.path, source.Options{}), w.target, Options{Base: base("base")})
		if err == nil || !strings.Contains(err.Error(), "MANIFEST_BLOB_UNKNOWN") {
			t.Errorf("%v", err)
		}
	})
}

// A layer that the repository has stays as it is, however this push compresses
// the others; and the manifest calls all of them by OCI's names.
func TestReuseAcrossCompressions(t *testing.T) {
	shared := imagetest.RawLayer(t, 1, 300_000)
	for before, now := range map[compress.Compression]compress.Compression{compress.Gzip: compress.Zstd, compress.Zstd: compress.Gzip} {
		repo := imagetest.NewRegistry().Serve(t)
		push := func(seed byte, tag string, o Options) (imagetest.Sample, Result) {
			s := imagetest.NewSample(t, imagetest.AMD64, shared, imagetest.RawLayer(t, seed, 50_000))
			r, err := Push(t.Context(), open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), source.Options{}), Target{Repository: repo, Tags: []string{tag}}, o)
			if err != nil {
				t.Fatal(err)
			}
			return s, r
		}
		_, first := push(2, "base", Options{Compression: before})
		next, second := push(3, "next", Options{Compression: now, Base: base("base")})
		if d, id := imagetest.Pull(t, second.URI); id != next.ID() || d.MediaType != types.OCIManifestSchema1 {
			t.Errorf("%s on %s: pushed %s with image ID %s, want an OCI manifest with %s", now, before, d.MediaType, id, next.ID())
		}
		named := map[compress.Compression]types.MediaType{compress.Gzip: types.OCILayer, compress.Zstd: types.OCILayerZStd}
		was, is := layersOf(t, first.URI), layersOf(t, second.URI)
		if second.Reused != 1 || is[0].Digest != was[0].Digest || is[0].MediaType != named[before] || is[1].MediaType != named[now] {
			t.Errorf("%s on %s: layers %+v, reused %d", now, before, is, second.Reused)
		}
	}
}
