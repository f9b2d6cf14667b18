package push

// Sources that were made to take memory, disk or time without end, and sources
// that are only unusual, which are read.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
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

// Unusual archives that peers read.
func TestUnusualArchives(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3000))
	plain := imagetest.Docker20(t, s)
	bzip := imagetest.NewSample(t, imagetest.AMD64, imagetest.TarOf(t, imagetest.Entry{Name: "BZh91AY", Data: []byte("x")}))
	for what, c := range map[string]struct {
		data []byte
		id   string
	}{
		"without the magic of ustar":        {v7(plain), s.ID()},
		"NUL behind gzip":                   {append(imagetest.Gzipped(t, plain), make([]byte, 512)...), s.ID()},
		"a layer that begins like bzip2":    {imagetest.Docker20(t, bzip), bzip.ID()},
		"an archive that begins like bzip2": {append(imagetest.TarOf(t, imagetest.Entry{Name: "BZh91AY"})[:512], plain...), s.ID()},
	} {
		repository := imagetest.NewRegistry().Serve(t)
		m := open(t, imagetest.Write(t, "image", c.data), source.Options{})
		r, err := Push(t.Context(), m, Target{Repository: repository, Tags: []string{"1"}}, Options{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if _, id := imagetest.Pull(t, r.URI); id != c.id {
			t.Errorf("%s: image ID %s, want %s", what, id, c.id)
		}
	}
}

// v7 takes the magic out of the headers of an archive, and of nothing in it.
func v7(archive []byte) []byte {
	out := bytes.Clone(archive)
	for at := 0; at+image.TarBlock <= len(out) && out[at] != 0; {
		var size int64
		fmt.Sscanf(string(out[at+124:at+135]), "%o", &size)
		header := out[at : at+image.TarBlock]
		clear(header[257:])
		copy(header[148:156], "        ")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
		at += image.TarBlock + int(size+image.TarBlock-1)/image.TarBlock*image.TarBlock
	}
	return out
}

// A file of an archive that is stored with holes (PAX, GNU.sparse.major=1).
func TestSparseLayer(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.TarOf(t, imagetest.Entry{Name: "f", Data: make([]byte, 100_000)}))
	layer := s.Layers[0]
	// The layer's header block is stored, and what follows is a hole.
	stored := fmt.Appendf(nil, "1\n0\n%d\n", image.TarBlock)
	stored = append(append(stored, make([]byte, image.TarBlock-len(stored))...), layer[:image.TarBlock]...)
	records := fmt.Appendf(nil, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")
	size := fmt.Sprintf("GNU.sparse.realsize=%d\n", len(layer))
	records = fmt.Appendf(records, "%d %s", len(size)+3, size)
	name := "GNU.sparse.name=l.tar\n"
	records = fmt.Appendf(records, "%d %s", len(name)+3, name)
	var archive bytes.Buffer
	header := func(kind byte, name string, data []byte) {
		h := make([]byte, image.TarBlock)
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
		archive.Write(make([]byte, (image.TarBlock-len(data)%image.TarBlock)%image.TarBlock))
	}
	header('0', "c.json", s.Config)
	header('0', "manifest.json", imagetest.JSON(t, []any{map[string]any{"Config": "c.json", "RepoTags": s.Tags, "Layers": []string{"l.tar"}}}))
	header('x', "PaxHeaders/l.tar", records)
	header('0', "GNUSparseFile.0/l.tar", stored)
	archive.Write(make([]byte, 2*image.TarBlock))

	m := open(t, imagetest.Write(t, "a.tar", archive.Bytes()), source.Options{})
	r, err := Push(t.Context(), m, Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, id := imagetest.Pull(t, r.URI); id != s.ID() {
		t.Errorf("image ID %s, want %s", id, s.ID())
	}
}

// Manifests whose type is not said, or is said in general words only, are what
// their shape says; and are pushed as they are.
func TestUntypedManifests(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3000))
	f := imagetest.Layout{}
	d := f.Manifest(t, s, false)
	var m map[string]any
	if err := json.Unmarshal(f[image.BlobName(d.Digest)], &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "mediaType")
	image := f.Add(imagetest.JSON(t, m))
	child := image
	child.MediaType, child.Platform = types.OCIManifestSchema1, &v1.Platform{OS: "linux", Architecture: "amd64"}
	index := f.Add(imagetest.JSON(t, map[string]any{"schemaVersion": 2, "manifests": []any{child}}))
	for _, root := range []v1.Descriptor{image, index} {
		for _, contentType := range []string{"", "application/json", "application/json; charset=utf-8", "text/plain", "application/octet-stream", string(types.OCIManifestSchema1) + "; charset=utf-8"} {
			if root.Digest == index.Digest && strings.Contains(contentType, "vnd.oci") {
				continue
			}
			n := &imagetest.Network{Hosts: map[string]http.Handler{"https://registry.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reference := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
				if reference == "1" {
					reference = root.Digest.String()
				}
				w.Header().Set("Content-Type", contentType)
				w.Write(f["blobs/"+strings.Replace(reference, ":", "/", 1)])
			})}}
			m := open(t, "docker://registry.test/app:1", source.Options{Transport: n, Platform: "linux/amd64"})
			r, err := Push(t.Context(), m, Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{})
			if err != nil || r.Digest != image.Digest.String() || r.MediaType != string(types.OCIManifestSchema1) {
				t.Errorf("Content-Type %q: %+v %v", contentType, r, err)
			}
		}
	}
}

// Descriptors may hold what they describe.
func TestEmbeddedData(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3000))
	f := imagetest.Layout{}
	d := f.Manifest(t, s, false)
	var m v1.Manifest
	if err := json.Unmarshal(f[image.BlobName(d.Digest)], &m); err != nil {
		t.Fatal(err)
	}
	m.Config.Data = s.Config
	delete(f, image.BlobName(m.Config.Digest))
	root := f.Add(imagetest.JSON(t, m))
	root.MediaType = types.OCIManifestSchema1
	r, err := Push(t.Context(), open(t, f.Seal(t, root).Directory(t), source.Options{}), Target{Repository: imagetest.NewRegistry().Serve(t), Tags: []string{"1"}}, Options{})
	if err != nil || r.Digest != root.Digest.String() {
		t.Errorf("%+v %v", r, err)
	}
	if _, ok := image.Embedded(v1.Descriptor{Digest: image.DigestOf([]byte("a")), Size: 1, Data: []byte("b")}); ok {
		t.Error("data of another digest was taken")
	}
}
