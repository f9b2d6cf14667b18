package imagetest

// OCI layouts: images, indexes, attestations, and what refers to an image.

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
)

// Layout are the files of an OCI layout.
type Layout map[string][]byte

func (f Layout) Add(b []byte) v1.Descriptor {
	d := v1.Descriptor{Digest: image.DigestOf(b), Size: int64(len(b))}
	f[image.BlobName(d.Digest)] = b
	return d
}

// Manifest adds an image; layers are gzipped unless raw is set.
func (f Layout) Manifest(t testing.TB, s Sample, raw bool) v1.Descriptor {
	t.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	m.Config = f.Add(s.Config)
	m.Config.MediaType = types.OCIConfigJSON
	for _, l := range s.Layers {
		media := types.OCIUncompressedLayer
		if !raw {
			l, media = Gzipped(t, l), types.OCILayer
		}
		d := f.Add(l)
		d.MediaType = media
		m.Layers = append(m.Layers, d)
	}
	d := f.Add(JSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	return d
}

// Index adds an index over children.
func (f Layout) Index(t testing.TB, children ...v1.Descriptor) v1.Descriptor {
	t.Helper()
	d := f.Add(JSON(t, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: children}))
	d.MediaType = types.OCIImageIndex
	return d
}

// Attestation adds a provenance manifest for subject, as BuildKit does.
func (f Layout) Attestation(t testing.TB, subject v1.Descriptor) v1.Descriptor {
	t.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	m.Config = f.Add([]byte(`{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}`))
	m.Config.MediaType = types.OCIConfigJSON
	statement := f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":"` + subject.Digest.String() + `"}`))
	statement.MediaType = "application/vnd.in-toto+json"
	m.Layers = []v1.Descriptor{statement}
	d := f.Add(JSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	d.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject.Digest.String()}
	return d
}

// Seal writes index.json.
func (f Layout) Seal(t testing.TB, roots ...v1.Descriptor) Layout {
	t.Helper()
	f["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	f["index.json"] = JSON(t, v1.IndexManifest{SchemaVersion: 2, Manifests: roots})
	return f
}

func (f Layout) Directory(t testing.TB) string {
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

func (f Layout) Archive(t testing.TB, more ...Entry) []byte {
	t.Helper()
	entries := more
	for name, b := range f {
		entries = append(entries, Entry{Name: name, Data: b})
	}
	return TarOf(t, entries...)
}

// Refer adds an artifact that refers to subject, such as an SBOM.
func (f Layout) Refer(t testing.TB, subject v1.Descriptor, content string) v1.Descriptor {
	t.Helper()
	m := struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}, "application/spdx+json"}
	m.Config = f.Add([]byte("{}"))
	m.Config.MediaType = "application/vnd.oci.empty.v1+json"
	layer := f.Add([]byte(content))
	layer.MediaType = "application/spdx+json"
	m.Layers = []v1.Descriptor{layer}
	m.Subject = &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	d := f.Add(JSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	return d
}

// About replaces a manifest by one that refers to subject.
func (f Layout) About(d, subject v1.Descriptor) v1.Descriptor {
	raw := f[image.BlobName(d.Digest)]
	delete(f, image.BlobName(d.Digest))
	about := f.Add(append(fmt.Appendf(nil, `{"subject":{"mediaType":%q,"digest":%q,"size":%d},`, subject.MediaType, subject.Digest, subject.Size), raw[1:]...))
	about.MediaType = d.MediaType
	return about
}

// Signature adds what cosign attaches by a tag made of the digest.
func (f Layout) Signature(t testing.TB) v1.Descriptor {
	t.Helper()
	layer := f.Add([]byte("payload"))
	layer.MediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{layer}}
	m.Config = f.Add([]byte(`{"rootfs":{"type":"layers","diff_ids":["` + layer.Digest.String() + `"]}}`))
	m.Config.MediaType = types.OCIConfigJSON
	d := f.Add(JSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	return d
}

// Called gives a layout's entry a name.
func Called(d v1.Descriptor, annotation, name string) v1.Descriptor {
	d.Annotations = map[string]string{annotation: name}
	return d
}

// Stored is an image that another tool has put into a registry, right or wrong:
// layers and descriptors are as they are given.
type Stored struct {
	Config []byte
	Layers [][]byte
	Media  types.MediaType   // of the layers; gzip when empty
	Medias []types.MediaType // of each layer by itself, in the place of Media; may be nil
}

// Manifest adds the image to a layout.
func (s Stored) Manifest(t testing.TB, f Layout) v1.Descriptor {
	t.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: f.Add(s.Config)}
	m.Config.MediaType = types.OCIConfigJSON
	for i, l := range s.Layers {
		d := f.Add(l)
		d.MediaType = types.OCILayer
		if s.Media != "" {
			d.MediaType = s.Media
		}
		if s.Medias != nil {
			d.MediaType = s.Medias[i]
		}
		m.Layers = append(m.Layers, d)
	}
	d := f.Add(JSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	return d
}
