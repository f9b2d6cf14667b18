package push

// What is green can be pulled, and is what was given: damaged images are refused,
// and none that lies in a repository damages another one.

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

// putStored stores an image byte for byte under the tag 1 of the repository.
func putStored(t *testing.T, g *imagetest.Registry, repository string, s imagetest.Stored) v1.Hash {
	t.Helper()
	f := imagetest.Layout{}
	d := s.Manifest(t, f)
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	for n, b := range f {
		if n == image.BlobName(d.Digest) {
			continue
		}
		c := registry.NewReader(repo, registry.Access{})
		if _, err := c.Uploads().Blob(t.Context(), registry.Upload{Blob: image.Blob{Desc: v1.Descriptor{Digest: image.DigestOf(b), Size: int64(len(b))}, Open: image.BytesOpener(b)}}); err != nil {
			t.Fatal(err)
		}
	}
	c := registry.NewReader(repo, registry.Access{})
	if err := c.PutManifest(t.Context(), "1", image.Document{Desc: d, Raw: f[image.BlobName(d.Digest)]}); err != nil {
		t.Fatal(err)
	}
	g.Take()
	return d.Digest
}

// damages are the ways in which an image of two layers is wrong.
func damages(t testing.TB, s imagetest.Sample) map[string][][]byte {
	a, b := imagetest.Gzipped(t, s.Layers[0]), imagetest.Gzipped(t, s.Layers[1])
	return map[string][][]byte{
		"exchanged":      {b, a},
		"repeated":       {a, a},
		"truncated":      {a, b[:len(b)-20]},
		"too few":        {a},
		"too many":       {a, b, imagetest.Gzipped(t, []byte("more"))},
		"something else": {a, imagetest.Gzipped(t, imagetest.RawLayer(t, 9, 3000))},
		"not compressed": {a, []byte("no layer at all, and no tar file either")},
	}
}

// A damaged image lies in the repository, as the newest one, as the one under the
// tag, and as the one that was pushed of the same build. The next push is right,
// and so is the one after it.
func TestDamagedRepository(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000), imagetest.RawLayer(t, 2, 20_000))
	next := imagetest.NewSample(t, imagetest.AMD64, s.Layers[0], s.Layers[1], imagetest.RawLayer(t, 3, 1000))
	for what, layers := range damages(t, s) {
		t.Run(what, func(t *testing.T) {
			g := imagetest.NewRegistry()
			repository := g.Serve(t)
			bad := putStored(t, g, repository, imagetest.Stored{Config: s.Config, Layers: layers})
			newest := func() Options {
				o := Options{Base: base(bad.String()), lead: imagetest.SmallLead}
				unproven := o.Base
				o.Base = func(c context.Context) (Base, error) { b, err := unproven(c); b.Proven = false; return b, err }
				return o
			}
			push := func(s imagetest.Sample, tag string) Result {
				t.Helper()
				path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, s))
				r, err := Push(t.Context(), open(t, path, source.Options{}), Target{Repository: repository, Tags: []string{tag}}, newest())
				if err != nil {
					t.Fatal(err)
				}
				if _, id := imagetest.Pull(t, r.URI); id != s.ID() {
					t.Errorf("%s has image ID %s, want %s", tag, id, s.ID())
				}
				return r
			}
			push(next, "2")
			healed := push(s, "1")
			if healed.AlreadyThere || healed.Digest == bad.String() {
				t.Errorf("the damaged image was taken for the right one: %+v", healed)
			}
			g.Take()
			if again := push(s, "1"); !again.AlreadyThere || again.Digest != healed.Digest {
				t.Errorf("the healed image was pushed again: %+v", again)
			}
			if r := push(imagetest.NewSample(t, imagetest.AMD64, s.Layers[0], imagetest.RawLayer(t, 4, 1000)), "3"); r.Reused != 0 {
				t.Errorf("layers of the damaged image were reused: %+v", r)
			}
		})
	}
}

// The story of a damaged image in the repository, as docs/push.md tells it: what the next
// build becomes if the damaged image is believed, as it is where somebody says falsely
// that an engine has unpacked it, and what it becomes.
func TestDamagedRepositoryIsDocumented(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 9000), imagetest.RawLayer(t, 2, 5000))
	path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, s.Layers[0], s.Layers[1], imagetest.RawLayer(t, 3, 1000))))
	outcome := func(layers [][]byte, believed bool) string {
		g := imagetest.NewRegistry()
		repository := g.Serve(t)
		bad := putStored(t, g, repository, imagetest.Stored{Config: s.Config, Layers: layers})
		r, err := Push(t.Context(), open(t, path, source.Options{}), Target{Repository: repository, Tags: []string{"2"}}, Options{
			Base: func(context.Context) (Base, error) { return Base{Reference: bad.String(), Proven: believed}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		return unpacked(t, repository, r.Digest)
	}
	var table strings.Builder
	table.WriteString("  | layers of the image in the repository | the next build, if they were believed | the next build |\n  |---|---|---|\n")
	all := damages(t, s)
	for _, what := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&table, "  | %s | %s | %s |\n", what, outcome(all[what], true), outcome(all[what], false))
	}
	page, err := os.ReadFile("../../../docs/push.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<!-- damaged: begin -->\n")
	if told, _, _ := strings.Cut(rest, "  <!-- damaged: end -->"); told != table.String() {
		t.Errorf("docs/push.md has\n%swant\n%s", told, table.String())
	}
}

// unpacked says what an engine finds that unpacks an image of the repository.
func unpacked(t *testing.T, repository, digest string) string {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	c := registry.NewReader(repo, registry.Access{})
	have, err := c.Manifest(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := image.ParseManifest(have.Raw, have.Desc.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Read(t.Context(), *m.Config, image.MaxConfig)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ReadConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	checks, err := image.CheckLayers(m, config)
	for _, k := range checks {
		err = cmp.Or(err, c.CheckLayer(t.Context(), k))
	}
	bad, ok := errors.AsType[*image.LayerError](err)
	switch {
	case err == nil:
		return "right"
	case !ok:
		t.Fatal(err)
	case bad.Problem == "":
		return fmt.Sprintf("layer %d of %d unpacks to something else", bad.Number, bad.Count)
	}
	return fmt.Sprintf("layer %d of %d %s", bad.Number, bad.Count, bad.Problem)
}

// What this package pushed is proven by its manifest: reused, and not read again.
func TestProvenLayers(t *testing.T) {
	g := imagetest.NewRegistry()
	repository := g.Serve(t)
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, 50_000))
	target := Target{Repository: repository, Tags: []string{"1"}}
	path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, s))
	if _, err := Push(t.Context(), open(t, path, source.Options{}), target, Options{lead: imagetest.SmallLead}); err != nil {
		t.Fatal(err)
	}
	g.Take()
	if r, err := Push(t.Context(), open(t, path, source.Options{}), target, Options{lead: imagetest.SmallLead}); err != nil || !r.AlreadyThere {
		t.Errorf("%+v %v", r, err)
	}
	if n := g.Count("GET blobs"); n > 1 {
		t.Errorf("%d blobs were read, want the config alone", n)
	}
	next := imagetest.NewSample(t, imagetest.AMD64, s.Layers[0], s.Layers[1], imagetest.RawLayer(t, 3, 1000))
	target.Tags = []string{"2"}
	r, err := Push(t.Context(), open(t, imagetest.Write(t, "b.tar", imagetest.Docker20(t, next)), source.Options{}), target, Options{
		lead: imagetest.SmallLead,
		Base: func(context.Context) (Base, error) { return Base{Reference: "1"}, nil },
	})
	if err != nil || r.Reused != 2 {
		t.Errorf("%+v %v", r, err)
	}
	imagetest.Pull(t, r.URI)
}

// A proof that stands beside another layer than the one it is of is none.
func TestProofOfAnotherLayer(t *testing.T) {
	a, b, diffID := image.DigestOf([]byte("a")), image.DigestOf([]byte("b")), image.DigestOf([]byte("c"))
	d := v1.Descriptor{Digest: a, Annotations: map[string]string{provenAnnotation: proof(a, diffID)}}
	if !isProven(d, diffID) || isProven(d, b) {
		t.Error("the proof is not of this pair")
	}
	d.Digest = b
	if isProven(d, diffID) {
		t.Error("the proof is of another layer")
	}
}

// An immutable tag that has the same build is right or wrong, however it was
// compressed.
func TestImmutableTagOfTheSameConfig(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 80_000), imagetest.RawLayer(t, 2, 50_000))
	all := damages(t, s)
	all[""] = [][]byte{imagetest.Gzipped(t, s.Layers[0]), imagetest.Gzipped(t, s.Layers[1])}
	for what, layers := range all {
		g := imagetest.NewRegistry()
		target := Target{Repository: g.Serve(t), Tags: []string{"1"}, Immutable: func(string) bool { return true }}
		have := putStored(t, g, target.Repository, imagetest.Stored{Config: s.Config, Layers: layers})
		m := open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), source.Options{})
		state, err := Check(t.Context(), m, target)
		if what == "" {
			if err != nil || !state.AlreadyThere() {
				t.Errorf("the right one: %+v %v", state, err)
			}
			continue
		}
		taken, ok := errors.AsType[*TagTakenError](err)
		if !ok || taken.Damage == nil || taken.Have != have.String() || !strings.Contains(err.Error(), "corrupt") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What an engine could not unpack is refused, from whatever source, before its
// manifest is stored; and what is wrong with it, is said.
func TestDamagedSources(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, imagetest.Big), imagetest.RawLayer(t, 2, 50_000))
	says := map[string]string{
		"exchanged": "unpacks to", // of either layer: they are read at the same time
		"repeated":  "layer 2 of 2", "truncated": "truncated", "too few": "number of layers: 1",
		"too many": "number of layers: 3", "something else": "layer 2 of 2", "not compressed": "layer 2 of 2",
	}
	refused := func(t *testing.T, g *imagetest.Registry, ref, says string) {
		t.Helper()
		repository := g.Serve(t)
		for range 2 { // what was sent the first time makes nothing right
			m, err := source.Open(t.Context(), ref, source.Options{TempDirectory: t.TempDir()})
			if err == nil {
				_, err = Push(t.Context(), m, Target{Repository: repository, Tags: []string{"1"}}, Options{lead: imagetest.SmallLead})
				m.Close()
			}
			bad, ok := errors.AsType[*image.LayerError](err)
			if !ok || !strings.Contains(err.Error(), says) || bad.Hint() == "" {
				t.Errorf("%v, want a LayerError with %q", err, says)
			}
			if g.Count("PUT manifests") > 0 {
				t.Error("a manifest was stored")
			}
		}
	}
	for what, layers := range damages(t, s) {
		t.Run("layout, "+what, func(t *testing.T) {
			f := imagetest.Layout{}
			root := imagetest.Stored{Config: s.Config, Layers: layers}.Manifest(t, f)
			refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), says[what])
		})
		t.Run("index, "+what, func(t *testing.T) {
			f := imagetest.Layout{}
			root := f.Index(t, f.Manifest(t, imagetest.NewSample(t, imagetest.ARM64, imagetest.RawLayer(t, 5, 1000)), false), imagetest.Stored{Config: s.Config, Layers: layers}.Manifest(t, f))
			refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), says[what])
		})
		t.Run("registry, "+what, func(t *testing.T) {
			from := imagetest.NewRegistry()
			repository := from.Serve(t)
			putStored(t, from, repository, imagetest.Stored{Config: s.Config, Layers: layers})
			refused(t, imagetest.NewRegistry(), "docker://"+repository+":1", says[what])
		})
		t.Run("archive, "+what, func(t *testing.T) {
			says := says[what]
			if what == "repeated" {
				says = "layer 2 of 2"
			}
			refused(t, imagetest.NewRegistry(), imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.Sample{Config: s.Config, Layers: layers, Tags: s.Tags})), says)
		})
	}

	t.Run("digests of the compressed layers", func(t *testing.T) {
		packed := imagetest.Gzipped(t, s.Layers[0])
		wrong := imagetest.NewSample(t, imagetest.AMD64, packed)
		f := imagetest.Layout{}
		root := imagetest.Stored{Config: wrong.Config, Layers: [][]byte{packed}}.Manifest(t, f)
		refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), "the digest of the compressed layer")
	})
	t.Run("raw layer that is compressed", func(t *testing.T) {
		packed := imagetest.Gzipped(t, s.Layers[0])
		wrong := imagetest.NewSample(t, imagetest.AMD64, packed)
		f := imagetest.Layout{}
		root := imagetest.Stored{Config: wrong.Config, Layers: [][]byte{packed}, Media: types.OCIUncompressedLayer}.Manifest(t, f)
		refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), "is compressed with gzip")
		refused(t, imagetest.NewRegistry(), imagetest.Write(t, "a.tar", imagetest.Docker25(t, wrong, true)), "is compressed with gzip")
		from := imagetest.NewRegistry()
		repository := from.Serve(t)
		putStored(t, from, repository, imagetest.Stored{Config: wrong.Config, Layers: [][]byte{packed}, Media: types.OCIUncompressedLayer})
		refused(t, imagetest.NewRegistry(), "docker://"+repository+":1", "is compressed with gzip")
	})
	t.Run("compressed twice", func(t *testing.T) {
		packed := imagetest.Gzipped(t, s.Layers[0])
		f := imagetest.Layout{}
		root := imagetest.Stored{Config: imagetest.NewSample(t, imagetest.AMD64, packed).Config, Layers: [][]byte{imagetest.Gzipped(t, packed)}}.Manifest(t, f)
		refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), "compressed twice")
	})
	t.Run("digests that engines do not compare", func(t *testing.T) {
		config := bytes.ReplaceAll(s.Config, []byte(image.DigestOf(s.Layers[1]).String()), fmt.Appendf(nil, "sha512:%x", sha512.Sum512(s.Layers[1])))
		f := imagetest.Layout{}
		root := imagetest.Stored{Config: config, Layers: [][]byte{imagetest.Gzipped(t, s.Layers[0]), imagetest.Gzipped(t, s.Layers[1])}}.Manifest(t, f)
		refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), "lists it by sha512")
		refused(t, imagetest.NewRegistry(), imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.Sample{Config: config, Layers: s.Layers, Tags: s.Tags})), "lists it by sha512")
	})
	t.Run("type that the library does not know", func(t *testing.T) {
		f := imagetest.Layout{}
		root := imagetest.Stored{Config: s.Config, Layers: [][]byte{imagetest.Gzipped(t, s.Layers[1]), imagetest.Gzipped(t, s.Layers[0])}, Media: "application/vnd.docker.image.rootfs.diff.tar.zstd"}.Manifest(t, f)
		refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), "unpacks to")
	})
	t.Run("image that refers to another", func(t *testing.T) {
		f := imagetest.Layout{}
		of := f.Manifest(t, s, false)
		root := f.About(imagetest.Stored{Config: s.Config, Layers: [][]byte{imagetest.Gzipped(t, s.Layers[1]), imagetest.Gzipped(t, s.Layers[0])}}.Manifest(t, f), of)
		refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), "unpacks to")
	})
	t.Run("raw layer", func(t *testing.T) {
		f := imagetest.Layout{}
		root := imagetest.Stored{Config: s.Config, Layers: [][]byte{s.Layers[1], s.Layers[0]}, Media: types.OCIUncompressedLayer}.Manifest(t, f)
		refused(t, imagetest.NewRegistry(), f.Seal(t, root).Directory(t), "layer 1 of 2")
	})
}

// A layer that is wrong never becomes a blob of the registry that it is copied to.
func TestWrongLayerIsNotStored(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 300_000), imagetest.RawLayer(t, 2, 50_000))
	a, b := imagetest.Gzipped(t, s.Layers[0]), imagetest.Gzipped(t, s.Layers[1])
	from, to := imagetest.NewRegistry(), imagetest.NewRegistry()
	src, target := from.Serve(t), to.Serve(t)
	putStored(t, from, src, imagetest.Stored{Config: s.Config, Layers: [][]byte{b, a}})
	m := open(t, "docker://"+src+":1", source.Options{})
	if _, err := Push(t.Context(), m, Target{Repository: target, Tags: []string{"1"}}, Options{}); err == nil {
		t.Fatal("pushed")
	}
	repo, err := name.NewRepository(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range [][]byte{a, b} {
		if there, err := registry.NewReader(repo, registry.Access{}).Uploads().Exists(t.Context(), image.DigestOf(l)); there || err != nil {
			t.Errorf("blob %s is there: %v %v", image.DigestOf(l), there, err)
		}
	}
}

// Whatever has a digest keeps it, although another image there has its config: an
// artifact with a constant config, an annotation, another compression, a repair.
func TestSameConfigIsNotSameImage(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 30_000))
	artifact := func(content string) string {
		f := imagetest.Layout{}
		root := imagetest.Stored{Config: []byte("{}"), Layers: [][]byte{[]byte(content)}, Media: "application/x.policy"}.Manifest(t, f)
		return f.Seal(t, root).Directory(t)
	}
	annotated := func(note string) string {
		f := imagetest.Layout{}
		d := f.Manifest(t, s, false)
		raw := bytes.Replace(f[image.BlobName(d.Digest)], []byte(`{`), []byte(`{"annotations":{"build":"`+note+`"},`), 1)
		delete(f, image.BlobName(d.Digest))
		d = f.Add(raw)
		d.MediaType = types.OCIManifestSchema1
		return f.Seal(t, d).Directory(t)
	}
	for what, sources := range map[string][2]string{
		"artifacts":   {artifact("first"), artifact("second")},
		"annotations": {annotated("17"), annotated("18")},
	} {
		repository := imagetest.NewRegistry().Serve(t)
		for _, src := range sources {
			m := open(t, src, source.Options{})
			want := m.Describe().Digest
			for _, tags := range [][]string{{"same"}, {"same", "second"}} {
				r, err := Push(t.Context(), m, Target{Repository: repository, Tags: tags}, Options{})
				if err != nil || r.Digest != want {
					t.Fatalf("%s: %+v %v, want %s", what, r, err, want)
				}
				for _, tag := range tags {
					if got := digestUnder(t, repository+":"+tag); got != want {
						t.Errorf("%s: tag %s has %s, want %s", what, tag, got, want)
					}
				}
			}
		}
	}
}

func digestUnder(t *testing.T, ref string) string {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	d, err := remote.Get(r)
	if err != nil {
		t.Fatal(err)
	}
	return d.Digest.String()
}

// Layers that are encrypted, or that are no layers of an image, are pushed: an
// engine may be able to decrypt the ones, and never gets the others.
func TestWhatCannotBeInflated(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3000))
	f := imagetest.Layout{}
	encrypted := imagetest.Stored{Config: s.Config, Layers: [][]byte{[]byte("ciphertext")}, Media: "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"}.Manifest(t, f)
	g := imagetest.NewRegistry()
	r, err := Push(t.Context(), open(t, f.Seal(t, encrypted).Directory(t), source.Options{}), Target{Repository: g.Serve(t), Tags: []string{"1"}}, Options{})
	if err != nil || r.Digest != encrypted.Digest.String() {
		t.Errorf("%+v %v", r, err)
	}
}

// An encrypted image has the config of the one that it was made of, and is another image:
// no task runs it without its keys.
func TestSameConfigEncrypted(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3000), imagetest.RawLayer(t, 2, 3000))
	path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, s))
	for what, media := range map[string][]types.MediaType{
		"all layers": {types.OCILayer + "+encrypted", types.OCILayer + "+encrypted"},
		"one layer":  {types.OCILayer, types.OCILayer + "+encrypted"},
	} {
		g := imagetest.NewRegistry()
		target := Target{Repository: g.Serve(t), Tags: []string{"1"}}
		have := putStored(t, g, target.Repository, imagetest.Stored{Config: s.Config, Layers: [][]byte{imagetest.Gzipped(t, s.Layers[0]), []byte("ciphertext")}, Medias: media})
		r, err := Push(t.Context(), open(t, path, source.Options{}), target, Options{})
		if err != nil || r.AlreadyThere || r.Digest == have.String() {
			t.Fatalf("%s: %+v %v", what, r, err)
		}
		if _, id := imagetest.Pull(t, r.URI); id != s.ID() {
			t.Errorf("%s: the tag has %s, want %s", what, id, s.ID())
		}
		putStored(t, g, target.Repository, imagetest.Stored{Config: s.Config, Layers: [][]byte{imagetest.Gzipped(t, s.Layers[0]), []byte("ciphertext")}, Medias: media})
		target.Immutable = func(string) bool { return true }
		_, err = Check(t.Context(), open(t, path, source.Options{}), target)
		if taken, ok := errors.AsType[*TagTakenError](err); !ok || taken.Have != have.String() || taken.Damage != nil {
			t.Errorf("%s, immutable: %v", what, err)
		}
	}
}

// An image of very many layers is said to be one before anything is sent.
func TestManyLayersAreForeseen(t *testing.T) {
	var layers [][]byte
	for i := range manyLayers + 1 {
		layers = append(layers, imagetest.TarOf(t, imagetest.Entry{Name: fmt.Sprint(i)}))
	}
	var log strings.Builder
	m := open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, layers...))), source.Options{})
	if _, err := Push(t.Context(), m, Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{Logger: textLogger(&log)}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "has 126 layers") {
		t.Errorf("log: %s", log.String())
	}
}

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
