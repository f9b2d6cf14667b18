package image

// Sources that were made to take memory, disk or time without end, and sources
// that are only unusual, which are read.

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

func linkTo(t *testing.T, name, target string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
}

// largeConfig is a config of nearly the largest size, and unlike all others.
func largeConfig(i int) []byte {
	return fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","n":%d,"x":"%s"}`, i, strings.Repeat(" ", maxConfig-100))
}

// grown is how much more memory a function has taken than there was before.
func grown(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.HeapSys - min(before.HeapSys, after.HeapSys)
}

func TestSumsAreBounded(t *testing.T) {
	many := func() string {
		var entries []tarEntry
		var manifest []map[string]any
		for i := range 5 {
			name := fmt.Sprintf("%d.json", i)
			entries = append(entries, tarEntry{name: name, data: largeConfig(i)})
			manifest = append(manifest, map[string]any{"Config": name, "RepoTags": []string{fmt.Sprintf("app:%d", i)}, "Layers": []string{}})
		}
		return write(t, "a.tar", tarOf(t, append(entries, tarEntry{name: "manifest.json", data: toJSON(t, manifest)})...))
	}
	index := func() string {
		f := layoutFiles{}
		var children []v1.Descriptor
		for i := range 4 {
			children = append(children, stored{config: largeConfig(i)}.manifest(t, f))
		}
		return f.seal(t, f.index(t, children...)).directory(t)
	}
	nested := func() string {
		f := layoutFiles{}
		d := f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 100)), false)
		for range 300 {
			d = f.index(t, d)
		}
		return f.seal(t, d).directory(t)
	}
	elements := func() string {
		f := layoutFiles{}
		d := f.add([]byte(`{"schemaVersion":2,"config":{},"layers":[` + strings.Repeat("{},", 1<<20) + `{}]}`))
		d.MediaType = types.OCIManifestSchema1
		return f.seal(t, d).directory(t)
	}
	diffIDs := func() string {
		f := layoutFiles{}
		config := []byte(`{"os":"linux","rootfs":{"diff_ids":[` + strings.Repeat(`"`+digestOf(nil).String()+`",`, 90_000) + `"` + digestOf(nil).String() + `"]}}`)
		return f.seal(t, stored{config: config}.manifest(t, f)).directory(t)
	}
	for what, c := range map[string]struct {
		path      string
		platforms []string
		says      string
	}{
		"configs of an archive": {many(), []string{""}, "16 MiB in all"},
		"configs of an index":   {index(), []string{"linux/amd64"}, "16 MiB in all"},
		"nested indexes":        {nested(), []string{"", "linux/amd64"}, "nested more than 4 deep"},
		"layers":                {elements(), []string{""}, "more than 1000 elements"},
		"diff_ids":              {diffIDs(), []string{""}, "more than 1000 elements"},
	} {
		t.Run(what, func(t *testing.T) {
			var err error
			for _, platform := range c.platforms {
				memory := grown(func() {
					var m *Image
					if m, err = Open(t.Context(), c.path, Options{TempDirectory: t.TempDir(), Platform: platform}); err == nil {
						m.Close()
					}
				})
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("platform %q: %v, want %q", platform, err, c.says)
				}
				if memory > 80<<20 {
					t.Errorf("took %d MB", memory>>20)
				}
			}
		})
	}
}

// The same from a registry, one document for each request.
func TestNestedIndexesOfARegistry(t *testing.T) {
	f := layoutFiles{}
	d := f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 100)), false)
	for range 50 {
		d = f.index(t, d)
	}
	n := &network{hosts: map[string]http.Handler{"https://registry.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reference := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if reference == "1" {
			reference = d.Digest.String()
		}
		w.Write(f["blobs/"+strings.Replace(reference, ":", "/", 1)])
	})}}
	for _, platform := range []string{"", "linux/amd64"} {
		m, err := Open(t.Context(), "docker://registry.test/app:1", Options{Transport: n, Platform: platform})
		if err == nil {
			_, err = m.loaded(t.Context(), newProgress(nil, 1<<40))
		}
		if err == nil || !strings.Contains(err.Error(), "nested more than") {
			t.Errorf("platform %q: %v", platform, err)
		}
	}
	if len(n.asked) > 40 {
		t.Errorf("%d requests", len(n.asked))
	}
}

// A gzipped archive that unpacks to very much more than an image does is given up
// before it fills the disk.
func TestGzipBomb(t *testing.T) {
	var bomb bytes.Buffer
	z, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 16 {
		z.Write(zeros)
	}
	z.Close()
	f, err := os.Open(write(t, "a.tar.gz", bomb.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := &Image{}
	defer m.Close()
	_, err = m.plain(t.Context(), f, Options{TempDirectory: t.TempDir()}, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "100 times its size") {
		t.Errorf("%v", err)
	}
}

// Unusual archives that peers read.
func TestUnusualArchives(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 3000))
	plain := docker20(t, s)
	bzip := newSample(t, amd64, tarOf(t, tarEntry{name: "BZh91AY", data: []byte("x")}))
	for what, c := range map[string]struct {
		data []byte
		id   string
	}{
		"without the magic of ustar":        {v7(plain), s.id()},
		"NUL behind gzip":                   {append(gzipped(t, plain), make([]byte, 512)...), s.id()},
		"a layer that begins like bzip2":    {docker20(t, bzip), bzip.id()},
		"an archive that begins like bzip2": {append(tarOf(t, tarEntry{name: "BZh91AY"})[:512], plain...), s.id()},
	} {
		repository := newTestRegistry().serve(t)
		m := open(t, write(t, "image", c.data), Options{})
		r, err := Push(t.Context(), m, Target{Repository: repository, Tags: []string{"1"}}, PushOptions{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if _, id := pull(t, r.URI); id != c.id {
			t.Errorf("%s: image ID %s, want %s", what, id, c.id)
		}
	}
}

// v7 takes the magic out of the headers of an archive, and of nothing in it.
func v7(archive []byte) []byte {
	out := bytes.Clone(archive)
	for at := 0; at+tarBlock <= len(out) && out[at] != 0; {
		var size int64
		fmt.Sscanf(string(out[at+124:at+135]), "%o", &size)
		header := out[at : at+tarBlock]
		clear(header[257:])
		copy(header[148:156], "        ")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
		at += tarBlock + int(size+tarBlock-1)/tarBlock*tarBlock
	}
	return out
}

// A file of an archive that is stored with holes (PAX, GNU.sparse.major=1).
func TestSparseLayer(t *testing.T) {
	s := newSample(t, amd64, tarOf(t, tarEntry{name: "f", data: make([]byte, 100_000)}))
	layer := s.layers[0]
	// The layer's header block is stored, and what follows is a hole.
	stored := fmt.Appendf(nil, "1\n0\n%d\n", tarBlock)
	stored = append(append(stored, make([]byte, tarBlock-len(stored))...), layer[:tarBlock]...)
	records := fmt.Appendf(nil, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")
	size := fmt.Sprintf("GNU.sparse.realsize=%d\n", len(layer))
	records = fmt.Appendf(records, "%d %s", len(size)+3, size)
	name := "GNU.sparse.name=l.tar\n"
	records = fmt.Appendf(records, "%d %s", len(name)+3, name)
	var archive bytes.Buffer
	header := func(kind byte, name string, data []byte) {
		h := make([]byte, tarBlock)
		copy(h, name)
		copy(h[100:], "0000644\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00        ", len(data), 0))
		h[156] = kind
		copy(h[257:], "ustar\x0000")
		sum := 0
		for _, b := range h {
			sum += int(b)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		archive.Write(h)
		archive.Write(data)
		archive.Write(make([]byte, (tarBlock-len(data)%tarBlock)%tarBlock))
	}
	header('0', "c.json", s.config)
	header('0', "manifest.json", toJSON(t, []any{map[string]any{"Config": "c.json", "RepoTags": s.tags, "Layers": []string{"l.tar"}}}))
	header('x', "PaxHeaders/l.tar", records)
	header('0', "GNUSparseFile.0/l.tar", stored)
	archive.Write(make([]byte, 2*tarBlock))

	m := open(t, write(t, "a.tar", archive.Bytes()), Options{})
	r, err := Push(t.Context(), m, Target{Repository: newTestRegistry().serve(t), Tags: []string{"1"}}, PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, id := pull(t, r.URI); id != s.id() {
		t.Errorf("image ID %s, want %s", id, s.id())
	}
}

// Manifests whose type is not said, or is said in general words only, are what
// their shape says; and are pushed as they are.
func TestUntypedManifests(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 3000))
	f := layoutFiles{}
	d := f.manifest(t, s, false)
	var m map[string]any
	if err := json.Unmarshal(f[blobName(d.Digest)], &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "mediaType")
	image := f.add(toJSON(t, m))
	child := image
	child.MediaType, child.Platform = types.OCIManifestSchema1, &v1.Platform{OS: "linux", Architecture: "amd64"}
	index := f.add(toJSON(t, map[string]any{"schemaVersion": 2, "manifests": []any{child}}))
	for _, root := range []v1.Descriptor{image, index} {
		for _, contentType := range []string{"", "application/json", "application/json; charset=utf-8", "text/plain", "application/octet-stream", string(types.OCIManifestSchema1) + "; charset=utf-8"} {
			if root.Digest == index.Digest && strings.Contains(contentType, "vnd.oci") {
				continue
			}
			n := &network{hosts: map[string]http.Handler{"https://registry.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reference := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
				if reference == "1" {
					reference = root.Digest.String()
				}
				w.Header().Set("Content-Type", contentType)
				w.Write(f["blobs/"+strings.Replace(reference, ":", "/", 1)])
			})}}
			m := open(t, "docker://registry.test/app:1", Options{Transport: n, Platform: "linux/amd64"})
			r, err := Push(t.Context(), m, Target{Repository: newTestRegistry().serve(t), Tags: []string{"1"}}, PushOptions{})
			if err != nil || r.Digest != image.Digest.String() || r.MediaType != string(types.OCIManifestSchema1) {
				t.Errorf("Content-Type %q: %+v %v", contentType, r, err)
			}
		}
	}
}

// Descriptors may hold what they describe.
func TestEmbeddedData(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 3000))
	f := layoutFiles{}
	d := f.manifest(t, s, false)
	var m v1.Manifest
	if err := json.Unmarshal(f[blobName(d.Digest)], &m); err != nil {
		t.Fatal(err)
	}
	m.Config.Data = s.config
	delete(f, blobName(m.Config.Digest))
	root := f.add(toJSON(t, m))
	root.MediaType = types.OCIManifestSchema1
	r, err := Push(t.Context(), open(t, f.seal(t, root).directory(t), Options{}), Target{Repository: newTestRegistry().serve(t), Tags: []string{"1"}}, PushOptions{})
	if err != nil || r.Digest != root.Digest.String() {
		t.Errorf("%+v %v", r, err)
	}
	if _, ok := embedded(v1.Descriptor{Digest: digestOf([]byte("a")), Size: 1, Data: []byte("b")}); ok {
		t.Error("data of another digest was taken")
	}
}

// Names of a hybrid archive may stand in one of its two indexes only.
func TestNamesOfAHybridArchive(t *testing.T) {
	one, two := newSample(t, amd64, rawLayer(t, 1, 1000)), newSample(t, amd64, rawLayer(t, 2, 1000))
	f := layoutFiles{}
	a, b := f.manifest(t, one, false), f.manifest(t, two, false)
	f.seal(t, a, b)
	manifest := toJSON(t, []any{
		map[string]any{"Config": blobName(digestOf(one.config)), "RepoTags": []string{"localhost/app:1"}, "Layers": []string{}},
		map[string]any{"Config": blobName(digestOf(two.config)), "RepoTags": []string{"docker.io/library/app:2"}, "Layers": []string{}},
	})
	path := write(t, "a.tar", f.archive(t, tarEntry{name: "manifest.json", data: manifest}))
	for selector, want := range map[string]v1.Descriptor{"app:1": a, "localhost/app:1": a, "app:2": b, "2": b} {
		if got := open(t, path+"#"+selector, Options{}).Describe().Digest; got != want.Digest.String() {
			t.Errorf("%s is %s, want %s", selector, got, want.Digest)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	s := newSample(f, amd64, rawLayer(f, 1, 10))
	l := layoutFiles{}
	d := l.manifest(f, s, false)
	f.Add(l[blobName(d.Digest)])
	f.Add(l[blobName(l.index(f, d).Digest)])
	f.Add(s.config)
	f.Add([]byte(`{"schemaVersion":2,"manifests":null,"config":{"digest":"sha512:00"}}`))
	f.Add([]byte(`{"schemaVersion":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, mediaType, err := parseManifest(raw, "")
		if err == nil && mediaType == "" {
			t.Error("a manifest without a type")
		}
		c, configErr := readConfig(raw)
		if err == nil && configErr == nil {
			if checks, err := checkLayers(m, c); err == nil && len(checks) > len(m.Layers) {
				t.Error("more checks than layers")
			}
		}
	})
}

func FuzzUnpack(f *testing.F) {
	raw := rawLayer(f, 1, 2000)
	f.Add(raw)
	f.Add(gzipped(f, raw))
	f.Add(append(gzipped(f, raw), 0, 0, 0))
	f.Add(compress(f, newCompressor(codecOf(f, Zstd)), raw))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := unpack(t.Context(), bytes.NewReader(data), int64(len(data)))
		if errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return // passed on as it is: see TestWideWindow
		}
		k := layerCheck{desc: v1.Descriptor{Digest: digestOf(data), Size: int64(len(data))}, diffID: got, number: 1, count: 1}
		r := k.checked(t.Context(), nopCloser{bytes.NewReader(data)})
		defer r.Close()
		if through, readErr := io.ReadAll(r); (readErr == nil) != (err == nil) || err == nil && !bytes.Equal(through, data) {
			t.Errorf("unpack: %v, checked: %v", err, readErr)
		}
	})
}
