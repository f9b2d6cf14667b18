package imagetest

// Images and archives for tests, made from a few lines: layers with a file
// each, a config, and the archive formats of the engines in the field.

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
)

// Entry is a file of a tar archive, or a link when link is set.
type Entry struct {
	Name, Link string
	hard       bool
	Data       []byte
}

func TarOf(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.Name, Size: int64(len(e.Data)), Mode: 0o644, Typeflag: tar.TypeReg}
		if e.Link != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, e.Link, 0
			if e.hard {
				h.Typeflag = tar.TypeLink
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// RawLayer is a layer of about size bytes, a quarter of which compress well. The
// same seed gives the same layer.
func RawLayer(t testing.TB, seed byte, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	for i := 0; i+64 <= size; i += 256 {
		clear(data[i : i+64])
	}
	return TarOf(t, Entry{Name: fmt.Sprintf("file%d", seed), Data: data})
}

// Big is the size of a layer of more than one block that is larger than smallLead
// when it is compressed. Real sizes take most of the tests' time: only
// TestPushLargeLayer has them.
const (
	Big       = 256<<10 + 20_000
	SmallLead = 64 << 10
)

func Gzipped(t testing.TB, b []byte) []byte { return gzippedAt(t, b, gzip.DefaultCompression) }

// BarelyGzipped is gzip in which all is stored as it is, which costs next to nothing.
func BarelyGzipped(t testing.TB, b []byte) []byte { return gzippedAt(t, b, gzip.NoCompression) }

func gzippedAt(t testing.TB, b []byte, level int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Sample is an image to be written in one of the formats.
type Sample struct {
	Config []byte
	Layers [][]byte // raw
	Tags   []string
}

func NewSample(t testing.TB, platform image.Platform, layers ...[]byte) Sample {
	t.Helper()
	var diffIDs []string
	for _, l := range layers {
		diffIDs = append(diffIDs, image.DigestOf(l).String())
	}
	return Sample{
		Config: JSON(t, map[string]any{
			"os": platform.OS, "architecture": platform.Architecture, "variant": platform.Variant,
			"config": map[string]any{"Cmd": []string{"/app"}},
			"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
		}),
		Layers: layers,
		Tags:   []string{"app:1"},
	}
}

func (s Sample) ID() string { return image.DigestOf(s.Config).String() }

func JSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Docker20 is what Docker up to 24 saves: a folder a layer, repeated layers as
// symbolic links.
func Docker20(t testing.TB, samples ...Sample) []byte {
	t.Helper()
	var entries []Entry
	var manifest []map[string]any
	seen := map[v1.Hash]string{}
	for i, s := range samples {
		var names []string
		for j, l := range s.Layers {
			dir := fmt.Sprintf("%064x", i*100+j)
			name := dir + "/layer.tar"
			names = append(names, name)
			if first, ok := seen[image.DigestOf(l)]; ok {
				entries = append(entries, Entry{Name: name, Link: "../" + first})
				continue
			}
			seen[image.DigestOf(l)] = name
			entries = append(entries, Entry{Name: name, Data: l})
		}
		config := image.DigestOf(s.Config).Hex + ".json"
		entries = append(entries, Entry{Name: config, Data: s.Config})
		manifest = append(manifest, map[string]any{"Config": config, "RepoTags": s.Tags, "Layers": names})
	}
	entries = append(entries, Entry{Name: "manifest.json", Data: JSON(t, manifest)}, Entry{Name: "repositories", Data: []byte("{}")})
	return TarOf(t, entries...)
}

// PodmanArchive is what "podman save" writes: layers by diffID, and links to
// them, hard ones here, where Docker has the files.
func PodmanArchive(t testing.TB, s Sample) []byte {
	t.Helper()
	var entries []Entry
	var names []string
	for i, l := range s.Layers {
		file := image.DigestOf(l).Hex + ".tar"
		link := fmt.Sprintf("%064x/layer.tar", i)
		entries = append(entries, Entry{Name: file, Data: l}, Entry{Name: link, Link: file, hard: true})
		names = append(names, link)
	}
	config := image.DigestOf(s.Config).Hex + ".json"
	entries = append(entries, Entry{Name: config, Data: s.Config},
		Entry{Name: "manifest.json", Data: JSON(t, []any{map[string]any{"Config": config, "RepoTags": s.Tags, "Layers": names}})})
	return TarOf(t, entries...)
}

// Docker25 is what Docker from 25 saves: an OCI layout beside manifest.json.
func Docker25(t testing.TB, s Sample, raw bool) []byte {
	t.Helper()
	f := Layout{}
	root := f.Manifest(t, s, raw)
	root.Annotations = map[string]string{image.AnnotationName: "docker.io/library/" + s.Tags[0], image.AnnotationRefName: "1"}
	f.Seal(t, root)
	var names []string
	for _, l := range s.Layers {
		if !raw {
			l = Gzipped(t, l)
		}
		names = append(names, image.BlobName(image.DigestOf(l)))
	}
	manifest := JSON(t, []any{map[string]any{"Config": image.BlobName(image.DigestOf(s.Config)), "RepoTags": s.Tags, "Layers": names}})
	return f.Archive(t, Entry{Name: "manifest.json", Data: manifest})
}

// Write puts b into a file and returns its path.
func Write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// CloseWithTest closes what has been opened when the test ends, and expects nothing to be
// left of it in its temporary directory.
func CloseWithTest(t testing.TB, c io.Closer, temporary string) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(temporary)
		if err != nil || len(left) > 0 {
			t.Errorf("left in the temporary directory: %v %v", left, err)
		}
	})
}

var (
	AMD64 = image.Platform{OS: "linux", Architecture: "amd64"}
	ARM64 = image.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
)
