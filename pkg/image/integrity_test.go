package image

// What is green can be pulled, and is what was given: damaged images are refused,
// and none that lies in a repository damages another one.

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// stored is an image that another tool has put into a registry, right or wrong:
// layers and descriptors are as they are given.
type stored struct {
	config []byte
	layers [][]byte
	media  types.MediaType // of the layers; gzip when empty
}

// put stores the image byte for byte under a tag of the repository.
func (s stored) put(t *testing.T, g *testRegistry, repository, tag string) v1.Hash {
	t.Helper()
	f := layoutFiles{}
	d := s.manifest(t, f)
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	for n, b := range f {
		if n == blobName(d.Digest) {
			continue
		}
		c := newReader(repo, nil, nil, nil, false)
		if _, err := c.uploadBlob(t.Context(), blob{desc: v1.Descriptor{Digest: digestOf(b), Size: int64(len(b))}, open: bytesOpener(b)}, false, nil, func() {}, func(int) {}); err != nil {
			t.Fatal(err)
		}
	}
	c := newReader(repo, nil, nil, nil, false)
	if err := c.putManifest(t.Context(), tag, document{d, f[blobName(d.Digest)]}); err != nil {
		t.Fatal(err)
	}
	g.take()
	return d.Digest
}

// manifest adds the image to a layout.
func (s stored) manifest(t testing.TB, f layoutFiles) v1.Descriptor {
	t.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: f.add(s.config)}
	m.Config.MediaType = types.OCIConfigJSON
	for _, l := range s.layers {
		d := f.add(l)
		d.MediaType = types.OCILayer
		if s.media != "" {
			d.MediaType = s.media
		}
		m.Layers = append(m.Layers, d)
	}
	d := f.add(toJSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	return d
}

// damages are the ways in which an image of two layers is wrong.
func damages(t testing.TB, s sample) map[string][][]byte {
	a, b := gzipped(t, s.layers[0]), gzipped(t, s.layers[1])
	return map[string][][]byte{
		"exchanged":      {b, a},
		"repeated":       {a, a},
		"truncated":      {a, b[:len(b)-20]},
		"too few":        {a},
		"too many":       {a, b, gzipped(t, []byte("more"))},
		"something else": {a, gzipped(t, rawLayer(t, 9, 3000))},
		"not compressed": {a, []byte("no layer at all, and no tar file either")},
	}
}

// A damaged image lies in the repository, as the newest one, as the one under the
// tag, and as the one that was pushed of the same build. The next push is right,
// and so is the one after it.
func TestDamagedRepository(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 100_000), rawLayer(t, 2, 20_000))
	next := newSample(t, amd64, s.layers[0], s.layers[1], rawLayer(t, 3, 1000))
	for what, layers := range damages(t, s) {
		t.Run(what, func(t *testing.T) {
			g := newTestRegistry()
			repository := g.serve(t)
			bad := stored{config: s.config, layers: layers}.put(t, g, repository, "1")
			newest := func() PushOptions {
				o := PushOptions{Base: base(bad.String()), lead: smallLead}
				unproven := o.Base
				o.Base = func(c context.Context) (Base, error) { b, err := unproven(c); b.Proven = false; return b, err }
				return o
			}
			push := func(s sample, tag string) Result {
				t.Helper()
				path := write(t, "a.tar", docker20(t, s))
				r, err := Push(t.Context(), open(t, path, Options{}), Target{Repository: repository, Tags: []string{tag}}, newest())
				if err != nil {
					t.Fatal(err)
				}
				if _, id := pull(t, r.URI); id != s.id() {
					t.Errorf("%s has image ID %s, want %s", tag, id, s.id())
				}
				return r
			}
			push(next, "2")
			healed := push(s, "1")
			if healed.AlreadyThere || healed.Digest == bad.String() {
				t.Errorf("the damaged image was taken for the right one: %+v", healed)
			}
			g.take()
			if again := push(s, "1"); !again.AlreadyThere || again.Digest != healed.Digest {
				t.Errorf("the healed image was pushed again: %+v", again)
			}
			if r := push(newSample(t, amd64, s.layers[0], rawLayer(t, 4, 1000)), "3"); r.Reused != 0 {
				t.Errorf("layers of the damaged image were reused: %+v", r)
			}
		})
	}
}

// What this package pushed is proven by its manifest: reused, and not read again.
func TestProvenLayers(t *testing.T) {
	g := newTestRegistry()
	repository := g.serve(t)
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, 50_000))
	target := Target{Repository: repository, Tags: []string{"1"}}
	path := write(t, "a.tar", docker20(t, s))
	if _, err := Push(t.Context(), open(t, path, Options{}), target, PushOptions{lead: smallLead}); err != nil {
		t.Fatal(err)
	}
	g.take()
	if r, err := Push(t.Context(), open(t, path, Options{}), target, PushOptions{lead: smallLead}); err != nil || !r.AlreadyThere {
		t.Errorf("%+v %v", r, err)
	}
	if n := g.count("GET blobs"); n > 1 {
		t.Errorf("%d blobs were read, want the config alone", n)
	}
	next := newSample(t, amd64, s.layers[0], s.layers[1], rawLayer(t, 3, 1000))
	target.Tags = []string{"2"}
	r, err := Push(t.Context(), open(t, write(t, "b.tar", docker20(t, next)), Options{}), target, PushOptions{
		lead: smallLead,
		Base: func(context.Context) (Base, error) { return Base{Reference: "1"}, nil },
	})
	if err != nil || r.Reused != 2 {
		t.Errorf("%+v %v", r, err)
	}
	pull(t, r.URI)
}

// A proof that stands beside another layer than the one it is of is none.
func TestProofOfAnotherLayer(t *testing.T) {
	a, b, diffID := digestOf([]byte("a")), digestOf([]byte("b")), digestOf([]byte("c"))
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
	s := newSample(t, amd64, rawLayer(t, 1, 80_000), rawLayer(t, 2, 50_000))
	all := damages(t, s)
	all[""] = [][]byte{gzipped(t, s.layers[0]), gzipped(t, s.layers[1])}
	for what, layers := range all {
		g := newTestRegistry()
		target := Target{Repository: g.serve(t), Tags: []string{"1"}, Immutable: func(string) bool { return true }}
		have := stored{config: s.config, layers: layers}.put(t, g, target.Repository, "1")
		m := open(t, write(t, "a.tar", docker20(t, s)), Options{})
		state, err := Check(t.Context(), m, target)
		if what == "" {
			if err != nil || !state.AlreadyThere() {
				t.Errorf("the right one: %+v %v", state, err)
			}
			continue
		}
		taken, ok := as[*TagTakenError](err)
		if !ok || taken.Damage == nil || taken.Have != have.String() || !strings.Contains(err.Error(), "corrupt") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What an engine could not unpack is refused, from whatever source, before its
// manifest is stored; and what is wrong with it, is said.
func TestDamagedSources(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, big), rawLayer(t, 2, 50_000))
	says := map[string]string{
		"exchanged": "unpacks to", // of either layer: they are read at the same time
		"repeated":  "layer 2 of 2", "truncated": "truncated", "too few": "number of layers: 1",
		"too many": "number of layers: 3", "something else": "layer 2 of 2", "not compressed": "layer 2 of 2",
	}
	refused := func(t *testing.T, g *testRegistry, ref, says string) {
		t.Helper()
		repository := g.serve(t)
		for range 2 { // what was sent the first time makes nothing right
			m, err := Open(t.Context(), ref, Options{TempDirectory: t.TempDir()})
			if err == nil {
				_, err = Push(t.Context(), m, Target{Repository: repository, Tags: []string{"1"}}, PushOptions{lead: smallLead})
				m.Close()
			}
			bad, ok := as[*LayerError](err)
			if !ok || !strings.Contains(err.Error(), says) || bad.Hint() == "" {
				t.Errorf("%v, want a LayerError with %q", err, says)
			}
			if g.count("PUT manifests") > 0 {
				t.Error("a manifest was stored")
			}
		}
	}
	for what, layers := range damages(t, s) {
		t.Run("layout, "+what, func(t *testing.T) {
			f := layoutFiles{}
			root := stored{config: s.config, layers: layers}.manifest(t, f)
			refused(t, newTestRegistry(), f.seal(t, root).directory(t), says[what])
		})
		t.Run("index, "+what, func(t *testing.T) {
			f := layoutFiles{}
			root := f.index(t, f.manifest(t, newSample(t, arm64, rawLayer(t, 5, 1000)), false), stored{config: s.config, layers: layers}.manifest(t, f))
			refused(t, newTestRegistry(), f.seal(t, root).directory(t), says[what])
		})
		t.Run("registry, "+what, func(t *testing.T) {
			from := newTestRegistry()
			repository := from.serve(t)
			stored{config: s.config, layers: layers}.put(t, from, repository, "1")
			refused(t, newTestRegistry(), "docker://"+repository+":1", says[what])
		})
		t.Run("archive, "+what, func(t *testing.T) {
			says := says[what]
			if what == "repeated" {
				says = "layer 2 of 2"
			}
			refused(t, newTestRegistry(), write(t, "a.tar", docker20(t, sample{s.config, layers, s.tags})), says)
		})
	}

	t.Run("digests of the compressed layers", func(t *testing.T) {
		packed := gzipped(t, s.layers[0])
		wrong := newSample(t, amd64, packed)
		f := layoutFiles{}
		root := stored{config: wrong.config, layers: [][]byte{packed}}.manifest(t, f)
		refused(t, newTestRegistry(), f.seal(t, root).directory(t), "the digest of the compressed layer")
	})
	t.Run("raw layer", func(t *testing.T) {
		f := layoutFiles{}
		root := stored{config: s.config, layers: [][]byte{s.layers[1], s.layers[0]}, media: types.OCIUncompressedLayer}.manifest(t, f)
		refused(t, newTestRegistry(), f.seal(t, root).directory(t), "layer 1 of 2")
	})
}

// A layer that is wrong never becomes a blob of the registry that it is copied to.
func TestWrongLayerIsNotStored(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 300_000), rawLayer(t, 2, 50_000))
	a, b := gzipped(t, s.layers[0]), gzipped(t, s.layers[1])
	from, to := newTestRegistry(), newTestRegistry()
	source, target := from.serve(t), to.serve(t)
	stored{config: s.config, layers: [][]byte{b, a}}.put(t, from, source, "1")
	m := open(t, "docker://"+source+":1", Options{})
	if _, err := Push(t.Context(), m, Target{Repository: target, Tags: []string{"1"}}, PushOptions{}); err == nil {
		t.Fatal("pushed")
	}
	repo, err := name.NewRepository(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range [][]byte{a, b} {
		if there, err := newReader(repo, nil, nil, nil, false).exists(t.Context(), digestOf(l)); there || err != nil {
			t.Errorf("blob %s is there: %v %v", digestOf(l), there, err)
		}
	}
}

// Whatever has a digest keeps it, although another image there has its config: an
// artifact with a constant config, an annotation, another compression, a repair.
func TestSameConfigIsNotSameImage(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 30_000))
	artifact := func(content string) string {
		f := layoutFiles{}
		root := stored{config: []byte("{}"), layers: [][]byte{[]byte(content)}, media: "application/x.policy"}.manifest(t, f)
		return f.seal(t, root).directory(t)
	}
	annotated := func(note string) string {
		f := layoutFiles{}
		d := f.manifest(t, s, false)
		raw := bytes.Replace(f[blobName(d.Digest)], []byte(`{`), []byte(`{"annotations":{"build":"`+note+`"},`), 1)
		delete(f, blobName(d.Digest))
		d = f.add(raw)
		d.MediaType = types.OCIManifestSchema1
		return f.seal(t, d).directory(t)
	}
	for what, sources := range map[string][2]string{
		"artifacts":   {artifact("first"), artifact("second")},
		"annotations": {annotated("17"), annotated("18")},
	} {
		repository := newTestRegistry().serve(t)
		for _, source := range sources {
			m := open(t, source, Options{})
			want := m.Describe().Digest
			for _, tags := range [][]string{{"same"}, {"same", "second"}} {
				r, err := Push(t.Context(), m, Target{Repository: repository, Tags: tags}, PushOptions{})
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
	s := newSample(t, amd64, rawLayer(t, 1, 3000))
	f := layoutFiles{}
	encrypted := stored{config: s.config, layers: [][]byte{[]byte("ciphertext")}, media: "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"}.manifest(t, f)
	g := newTestRegistry()
	r, err := Push(t.Context(), open(t, f.seal(t, encrypted).directory(t), Options{}), Target{Repository: g.serve(t), Tags: []string{"1"}}, PushOptions{})
	if err != nil || r.Digest != encrypted.Digest.String() {
		t.Errorf("%+v %v", r, err)
	}
}

func TestUnpack(t *testing.T) {
	raw := rawLayer(t, 1, 200_000)
	packed := gzipped(t, raw)
	frames := compress(t, newCompressor(codecOf(t, Zstd)), raw)
	for _, c := range []struct {
		name string
		data []byte
		err  string
	}{
		{"raw", raw, ""},
		{"gzip", packed, ""},
		{"zstd", frames, ""},
		{"members", append(slices.Clone(gzipped(t, raw[:1000])), gzipped(t, raw[1000:])...), ""},
		{"padded with NUL", append(slices.Clone(packed), make([]byte, 1000)...), ""},
		{"padded with text", append(slices.Clone(packed), "more"...), "gzip"},
		{"cut gzip", packed[:len(packed)-9], "unexpected EOF"},
		{"cut zstd", frames[:len(frames)-9], "unexpected EOF"},
		{"bzip2", []byte("BZh9 and so on"), "bzip2"},
	} {
		got, err := unpack(t.Context(), bytes.NewReader(c.data), int64(len(c.data)))
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		case c.err == "" && (err != nil || got != digestOf(raw)):
			t.Errorf("%s: %s %v, want %s", c.name, got, err, digestOf(raw))
		}
	}
}

// The reader that checks a layer gives all of its bytes, whatever the sizes of
// reads, and never the last ones of a wrong layer.
func TestCheckedReader(t *testing.T) {
	raw := rawLayer(t, 1, 400_000)
	packed := gzipped(t, raw)
	desc := v1.Descriptor{Digest: digestOf(packed), Size: int64(len(packed))}
	for _, diffID := range []v1.Hash{digestOf(raw), digestOf(packed)} {
		for _, size := range []int{1, 7, 4096, 300_000, 2 << 20} {
			k := layerCheck{desc: desc, diffID: diffID, number: 1, count: 1}
			r := k.checked(t.Context(), nopCloser{bytes.NewReader(packed)})
			var got []byte
			var err error
			for p := make([]byte, size); err == nil; {
				var n int
				n, err = r.Read(p)
				got = append(got, p[:n]...)
			}
			r.Close()
			right := diffID == digestOf(raw)
			if right != (err.Error() == "EOF") || right != bytes.Equal(got, packed) || len(got) == len(packed) != right {
				t.Errorf("reads of %d bytes: %d of %d bytes, %v", size, len(got), len(packed), err)
			}
		}
	}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// An image of very many layers is said to be one before anything is sent.
func TestManyLayersAreForeseen(t *testing.T) {
	var layers [][]byte
	for i := range manyLayers + 1 {
		layers = append(layers, tarOf(t, tarEntry{name: fmt.Sprint(i)}))
	}
	var log strings.Builder
	m := open(t, write(t, "a.tar", docker20(t, newSample(t, amd64, layers...))), Options{})
	if _, err := Push(t.Context(), m, Target{Repository: newTestRegistry().serve(t), Tags: []string{"1"}}, PushOptions{Logger: textLogger(&log)}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "has 126 layers") {
		t.Errorf("log: %s", log.String())
	}
}

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// Zstd with a window that would take much memory is passed on as it is.
func TestWideWindow(t *testing.T) {
	raw := rawLayer(t, 1, 400_000) // more than a block, so that the window is the encoder's
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(2*maxWindow), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	wide.Reset(&packed)
	if _, err := wide.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := wide.Close(); err != nil {
		t.Fatal(err)
	}
	k := layerCheck{desc: v1.Descriptor{Digest: digestOf(packed.Bytes()), Size: int64(packed.Len())}, diffID: digestOf(raw), number: 1, count: 1}
	r := k.checked(t.Context(), nopCloser{bytes.NewReader(packed.Bytes())})
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, packed.Bytes()) {
		t.Errorf("%d of %d bytes: %v", len(got), packed.Len(), err)
	}
}

// What ECR refuses comes with what to do about it; what another registry refuses,
// without.
func TestRefusalsHaveHints(t *testing.T) {
	const ecr, other = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app", "registry.test/app"
	for _, c := range []struct {
		status              int
		code, message, hint string
	}{
		{405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Limit on number of layers per image exceeded'", "merge layers"},
		{405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'", "--provenance=false"},
		{400, "TAG_INVALID", "The image tag '1' already exists in the 'app' repository and cannot be overwritten because the tag is immutable.", "exclusion filter"},
		{400, "ImageTagAlreadyExistsException", "", "immutable"},
		{400, "DENIED_X", "The repository is a pull through cache repository", "another repository"},
		{400, "IMAGE_ARCHIVED", "The image is archived", "restore it"},
		{400, "LimitExceededException", "The number of tags per image exceeds the limit", "1,000 tags"},
		{400, "LimitExceededException", "The maximum number of images was reached", "lifecycle policy"},
		{400, "LimitExceededException", "quota limit", "Service Quotas"},
		{400, "KmsException", "the KMS key is disabled", "KMS key"},
		{400, "MANIFEST_INVALID", "no", ""},
	} {
		err := &statusError{Operation: opPutManifest, Status: c.status, Errors: []registryError{{Code: c.code, Message: c.message}}}
		refused, ok := as[*RefusedError](explain(err, ecr, ecr))
		if ok != (c.hint != "") || ok && !strings.Contains(refused.Hint(), c.hint) {
			t.Errorf("%s %s: %v, want a hint of %q", c.code, c.message, refused, c.hint)
		}
		if _, ok := as[*RefusedError](explain(err, other, other)); ok {
			t.Errorf("%s %s: another registry's refusal has a hint of ECR", c.code, c.message)
		}
	}
}

// A source registry that wants credentials: the error says for which host they were
// missing, and in which file.
func TestMissingCredentials(t *testing.T) {
	n := &network{hosts: map[string]http.Handler{"https://registry.test": answer(401, "UNAUTHORIZED", "authentication required", "WWW-Authenticate", "Basic")}}
	_, err := Open(t.Context(), "docker://registry.test/app:1", Options{Transport: n, Environ: environ(map[string]string{"DOCKER_CONFIG": "/home/agent/docker"})})
	denied, ok := as[*DeniedError](err)
	if !ok || !strings.Contains(denied.Hint(), "registry.test") || !strings.Contains(denied.Hint(), "config.json") {
		t.Errorf("%v", err)
	}
}
