package main

// The image: from programs to the bytes of an OCI archive. Everything in it is
// said here, times included, so that its digest depends on nothing else.

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/placeholder"
)

// architectures are those that the image is for, by their names in Go and OCI.
var architectures = []string{"amd64", "arm64"}

// label is among the marks for whoever meets the image under another tag.
const label = "io.github.ecsdeploy.placeholder"

// marks are labels of the config and annotations of manifest and index. There
// is no version among them: the digest shall change with the image, not with
// each release of the extension.
var marks = map[string]string{
	"org.opencontainers.image.title":       "placeholder",
	"org.opencontainers.image.description": "Stands where an application will be: answers 200 on every path",
	"org.opencontainers.image.licenses":    "MIT",
	"org.opencontainers.image.source":      "https://github.com/ecsdeploy/ecsdeploy",
	label:                                  "1",
}

// epoch is every time in the image.
var epoch = time.Unix(0, 0).UTC()

// archive returns an OCI archive of the image for the servers, by architecture.
func archive(servers map[string][]byte) ([]byte, error) {
	b := blobs{}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Annotations: marks}
	for _, architecture := range slices.Sorted(maps.Keys(servers)) {
		manifest, err := b.platform(architecture, servers[architecture])
		if err != nil {
			return nil, err
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	root, err := b.document(types.OCIImageIndex, index)
	if err != nil {
		return nil, err
	}
	root.Annotations = map[string]string{"org.opencontainers.image.ref.name": placeholder.Tag}
	top, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{root}})
	if err != nil {
		return nil, err
	}
	files := []file{
		{name: "oci-layout", content: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{name: "index.json", content: top},
	}
	for _, digest := range slices.Sorted(maps.Keys(b)) {
		files = append(files, file{name: "blobs/sha256/" + digest, content: b[digest]})
	}
	return tarOf(files)
}

// blobs are the contents of the image, by the hexadecimal digits of their digests.
type blobs map[string][]byte

func (b blobs) add(mediaType types.MediaType, content []byte) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(content))
	b[digest.Hex] = content
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

func (b blobs) document(mediaType types.MediaType, value any) (v1.Descriptor, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return b.add(mediaType, content)
}

// platform adds what the image has for one architecture.
func (b blobs) platform(architecture string, server []byte) (v1.Descriptor, error) {
	plain, err := tarOf(root(server))
	if err != nil {
		return v1.Descriptor{}, err
	}
	diffID, _, err := v1.SHA256(bytes.NewReader(plain))
	if err != nil {
		return v1.Descriptor{}, err
	}
	packed, err := gzipped(plain)
	if err != nil {
		return v1.Descriptor{}, err
	}
	layer, err := b.add(types.OCILayer, packed)
	if err != nil {
		return v1.Descriptor{}, err
	}
	config, err := b.document(types.OCIConfigJSON, v1.ConfigFile{
		Architecture: architecture,
		OS:           "linux",
		Created:      v1.Time{Time: epoch},
		Config: v1.Config{
			Entrypoint:   []string{"/placeholder"},
			Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			ExposedPorts: map[string]struct{}{"80/tcp": {}, "8080/tcp": {}},
			Labels:       marks,
			WorkingDir:   "/",
		},
		RootFS:  v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{diffID}},
		History: []v1.History{{Created: v1.Time{Time: epoch}, CreatedBy: "go run ./pkg/placeholder/build"}},
	})
	if err != nil {
		return v1.Descriptor{}, err
	}
	manifest, err := b.document(types.OCIManifestSchema1, v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{layer}, Annotations: marks,
	})
	manifest.Platform = &v1.Platform{OS: "linux", Architecture: architecture}
	return manifest, err
}

// file is an entry of a tar archive: a link where link is set, a folder where
// the name ends in a slash.
type file struct {
	name, link string
	mode       int64 // 0 is 0644
	content    []byte
}

// root is the file system of a container. The server answers to the names of
// the programs that health checks start, too; see its purposeOf.
func root(server []byte) []file {
	const program = "/placeholder"
	return []file{
		{name: "placeholder", mode: 0o755, content: server},
		{name: "bin/", mode: 0o755},
		{name: "bin/bash", link: program},
		{name: "bin/sh", link: program},
		{name: "etc/", mode: 0o755},
		{name: "etc/group", content: []byte("root:x:0:\nnonroot:x:65532:\n")},
		{name: "etc/passwd", content: []byte("root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532:nonroot:/:/bin/sh\n")},
		{name: "usr/", mode: 0o755},
		{name: "usr/bin/", mode: 0o755},
		{name: "usr/bin/curl", link: program},
		{name: "usr/bin/wget", link: program},
	}
}

// tarOf writes files in their order, owned by root.
func tarOf(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), ModTime: epoch, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg}
		switch {
		case f.link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
		case f.name[len(f.name)-1] == '/':
			h.Typeflag = tar.TypeDir
		}
		if f.mode != 0 {
			h.Mode = f.mode
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

func gzipped(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, writing := w.Write(plain)
	err = errors.Join(writing, w.Close())
	return b.Bytes(), err
}
