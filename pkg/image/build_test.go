package image

// Images and archives for tests, made from a few lines: layers with a file
// each, a config, and the archive formats of the engines in the field.

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// tarEntry is a file of a tar archive, or a link when link is set.
type tarEntry struct {
	name, link string
	hard       bool
	data       []byte
}

func tarOf(t testing.TB, entries ...tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Size: int64(len(e.data)), Mode: 0o644, Typeflag: tar.TypeReg}
		if e.link != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, e.link, 0
			if e.hard {
				h.Typeflag = tar.TypeLink
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rawLayer is a layer of about size bytes, a quarter of which compress well. The
// same seed gives the same layer.
func rawLayer(t testing.TB, seed byte, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	for i := 0; i+64 <= size; i += 256 {
		clear(data[i : i+64])
	}
	return tarOf(t, tarEntry{name: fmt.Sprintf("file%d", seed), data: data})
}

// big is the size of a layer of more than one block that is larger than smallLead
// when it is compressed. Real sizes take most of the tests' time: only
// TestPushLargeLayer has them.
const (
	big       = gzipBlock + 20_000
	smallLead = 64 << 10
)

func gzipped(t testing.TB, b []byte) []byte { return gzippedAt(t, b, gzip.DefaultCompression) }

// barelyGzipped is gzip in which all is stored as it is, which costs next to nothing.
func barelyGzipped(t testing.TB, b []byte) []byte { return gzippedAt(t, b, gzip.NoCompression) }

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

// sample is an image to be written in one of the formats.
type sample struct {
	config []byte
	layers [][]byte // raw
	tags   []string
}

func newSample(t testing.TB, platform Platform, layers ...[]byte) sample {
	t.Helper()
	var diffIDs []string
	for _, l := range layers {
		diffIDs = append(diffIDs, digestOf(l).String())
	}
	return sample{
		config: toJSON(t, map[string]any{
			"os": platform.OS, "architecture": platform.Architecture, "variant": platform.Variant,
			"config": map[string]any{"Cmd": []string{"/app"}},
			"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
		}),
		layers: layers,
		tags:   []string{"app:1"},
	}
}

func (s sample) id() string { return digestOf(s.config).String() }

func toJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// docker20 is what Docker up to 24 saves: a folder a layer, repeated layers as
// symbolic links.
func docker20(t testing.TB, samples ...sample) []byte {
	t.Helper()
	var entries []tarEntry
	var manifest []map[string]any
	seen := map[v1.Hash]string{}
	for i, s := range samples {
		var names []string
		for j, l := range s.layers {
			dir := fmt.Sprintf("%064x", i*100+j)
			name := dir + "/layer.tar"
			names = append(names, name)
			if first, ok := seen[digestOf(l)]; ok {
				entries = append(entries, tarEntry{name: name, link: "../" + first})
				continue
			}
			seen[digestOf(l)] = name
			entries = append(entries, tarEntry{name: name, data: l})
		}
		config := digestOf(s.config).Hex + ".json"
		entries = append(entries, tarEntry{name: config, data: s.config})
		manifest = append(manifest, map[string]any{"Config": config, "RepoTags": s.tags, "Layers": names})
	}
	entries = append(entries, tarEntry{name: "manifest.json", data: toJSON(t, manifest)}, tarEntry{name: "repositories", data: []byte("{}")})
	return tarOf(t, entries...)
}

// podmanArchive is what "podman save" writes: layers by diffID, and links to
// them, hard ones here, where Docker has the files.
func podmanArchive(t testing.TB, s sample) []byte {
	t.Helper()
	var entries []tarEntry
	var names []string
	for i, l := range s.layers {
		file := digestOf(l).Hex + ".tar"
		link := fmt.Sprintf("%064x/layer.tar", i)
		entries = append(entries, tarEntry{name: file, data: l}, tarEntry{name: link, link: file, hard: true})
		names = append(names, link)
	}
	config := digestOf(s.config).Hex + ".json"
	entries = append(entries, tarEntry{name: config, data: s.config},
		tarEntry{name: "manifest.json", data: toJSON(t, []any{map[string]any{"Config": config, "RepoTags": s.tags, "Layers": names}})})
	return tarOf(t, entries...)
}

// layoutFiles are the files of an OCI layout.
type layoutFiles map[string][]byte

func (f layoutFiles) add(b []byte) v1.Descriptor {
	d := v1.Descriptor{Digest: digestOf(b), Size: int64(len(b))}
	f[blobName(d.Digest)] = b
	return d
}

// manifest adds an image; layers are gzipped unless raw is set.
func (f layoutFiles) manifest(t testing.TB, s sample, raw bool) v1.Descriptor {
	t.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	m.Config = f.add(s.config)
	m.Config.MediaType = types.OCIConfigJSON
	for _, l := range s.layers {
		media := types.OCIUncompressedLayer
		if !raw {
			l, media = gzipped(t, l), types.OCILayer
		}
		d := f.add(l)
		d.MediaType = media
		m.Layers = append(m.Layers, d)
	}
	d := f.add(toJSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	return d
}

// index adds an index over children.
func (f layoutFiles) index(t testing.TB, children ...v1.Descriptor) v1.Descriptor {
	t.Helper()
	d := f.add(toJSON(t, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: children}))
	d.MediaType = types.OCIImageIndex
	return d
}

// attestation adds a provenance manifest for subject, as BuildKit does.
func (f layoutFiles) attestation(t testing.TB, subject v1.Descriptor) v1.Descriptor {
	t.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	m.Config = f.add([]byte(`{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}`))
	m.Config.MediaType = types.OCIConfigJSON
	statement := f.add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":"` + subject.Digest.String() + `"}`))
	statement.MediaType = "application/vnd.in-toto+json"
	m.Layers = []v1.Descriptor{statement}
	d := f.add(toJSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	d.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject.Digest.String()}
	return d
}

// seal writes index.json.
func (f layoutFiles) seal(t testing.TB, roots ...v1.Descriptor) layoutFiles {
	t.Helper()
	f["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	f["index.json"] = toJSON(t, v1.IndexManifest{SchemaVersion: 2, Manifests: roots})
	return f
}

func (f layoutFiles) directory(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range f {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (f layoutFiles) archive(t testing.TB, more ...tarEntry) []byte {
	t.Helper()
	entries := more
	for name, b := range f {
		entries = append(entries, tarEntry{name: name, data: b})
	}
	return tarOf(t, entries...)
}

// docker25 is what Docker from 25 saves: an OCI layout beside manifest.json.
func docker25(t testing.TB, s sample, raw bool) []byte {
	t.Helper()
	f := layoutFiles{}
	root := f.manifest(t, s, raw)
	root.Annotations = map[string]string{annotationName: "docker.io/library/" + s.tags[0], annotationRefName: "1"}
	f.seal(t, root)
	var names []string
	for _, l := range s.layers {
		if !raw {
			l = gzipped(t, l)
		}
		names = append(names, blobName(digestOf(l)))
	}
	manifest := toJSON(t, []any{map[string]any{"Config": blobName(digestOf(s.config)), "RepoTags": s.tags, "Layers": names}})
	return f.archive(t, tarEntry{name: "manifest.json", data: manifest})
}

// write puts b into a file and returns its path.
func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
