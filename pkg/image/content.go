package image

// The content of an image: the documents and blobs that a registry is to hold.
// Either every byte is given (exact), or the layers are known but the manifest
// has to be written after they are compressed (unbuilt).

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Bounds on what is read into memory. The distribution project takes manifests
// of up to 4 MiB (registry/handlers/manifests.go); configs have no bound of
// their own, and the largest seen are some hundred kilobytes.
const (
	maxDocument = 4 << 20
	maxConfig   = 8 << 20
	maxChildren = 1000 // documents under one index
)

// opener opens a blob's bytes from their beginning, as often as it is asked.
type opener func(ctx context.Context) (io.ReadCloser, error)

// blob is one piece of content that a registry stores under its digest.
type blob struct {
	desc v1.Descriptor
	open opener
	// host and from are the registry and repository that have the blob too, so
	// that another repository of that registry may take it from there.
	host, from string
}

// document is a manifest or an index, byte for byte.
type document struct {
	desc v1.Descriptor
	raw  []byte
}

// layer is a layer of an image without a manifest.
type layer struct {
	diffID v1.Hash
	size   int64
	// known is the layer's descriptor where it need not be found out: the layer
	// is compressed already and has a digest, or the registry is not to get it.
	known *v1.Descriptor
	// format is formatTar for a layer that has to be compressed, else how it
	// is compressed already.
	format format
	// open is nil for a layer that is not uploaded.
	open opener
}

// unbuilt is an image without a manifest.
type unbuilt struct {
	config []byte
	layers []layer
}

// content is what Push moves. documents are empty when unbuilt is set; else
// they stand children first and the last is the root.
type content struct {
	documents []document
	blobs     []blob
	unbuilt   *unbuilt
	configs   []configSummary
}

// configSummary is what a config says of its image.
type configSummary struct {
	digest   v1.Hash
	platform Platform
	diffIDs  []v1.Hash
}

// root is the document that a tag will point to.
func (c *content) root() document { return c.documents[len(c.documents)-1] }

// identities are the digests that make another image the same as this one: of
// the root, and of the config where there is just one image.
func (c *content) identities() []v1.Hash {
	var ids []v1.Hash
	if c.unbuilt == nil {
		ids = append(ids, c.root().desc.Digest)
		if c.root().desc.MediaType.IsIndex() {
			return ids
		}
	}
	for _, s := range c.configs {
		ids = append(ids, s.digest)
	}
	return ids
}

// describe fills in what the content says of the image.
func (c *content) describe(d *Description) {
	d.Layers, d.Size = 0, 0
	configs := map[v1.Hash]bool{}
	d.Platforms = nil
	for _, s := range c.configs {
		configs[s.digest] = true
		if s.platform.known() && !slices.Contains(d.Platforms, s.platform) {
			d.Platforms = append(d.Platforms, s.platform)
		}
	}
	if c.unbuilt != nil {
		d.ImageID = c.configs[0].digest.String()
		for _, l := range c.unbuilt.layers {
			d.Layers++
			d.Size += l.size
		}
		return
	}
	root := c.root()
	d.Digest, d.MediaType = root.desc.Digest.String(), string(root.desc.MediaType)
	d.ImageID = ""
	if !root.desc.MediaType.IsIndex() && len(c.configs) == 1 {
		d.ImageID = c.configs[0].digest.String()
	}
	for _, b := range c.blobs {
		if !configs[b.desc.Digest] {
			d.Layers++
			d.Size += b.desc.Size
		}
	}
}

// manifest is what is read of a manifest or an index; both at once, since some
// tools leave mediaType out and the shape decides then (OCI image
// specification, manifest.md and image-index.md).
type manifest struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	Config        *v1.Descriptor  `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	Manifests     []v1.Descriptor `json:"manifests"`
	Blobs         []v1.Descriptor `json:"blobs"` // OCI artifact manifests
}

// parseManifest reads raw, whose media type is said to be mediaType where that
// is known, and returns the type it goes by.
func parseManifest(raw []byte, mediaType types.MediaType) (manifest, types.MediaType, error) {
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, "", fmt.Errorf("is not a manifest: %w", err)
	}
	if m.SchemaVersion == 1 {
		return m, "", errors.New("is a manifest of schema 1, which registries no longer take; build the image anew")
	}
	if m.MediaType != "" {
		mediaType = m.MediaType
	}
	if mediaType == "" {
		mediaType = types.OCIManifestSchema1
		if m.Manifests != nil {
			mediaType = types.OCIImageIndex
		}
	}
	if mediaType.IsIndex() {
		if len(m.Manifests) > maxChildren {
			return m, "", fmt.Errorf("is an index of %d manifests; more than %d are not read", len(m.Manifests), maxChildren)
		}
		return m, mediaType, nil
	}
	if m.Config == nil && m.Blobs == nil {
		return m, "", errors.New("is neither a manifest nor an index")
	}
	if m.Config != nil && m.Config.Digest == (v1.Hash{}) {
		return m, "", errors.New("has a config without a digest")
	}
	for _, l := range m.Layers {
		if l.Digest == (v1.Hash{}) || l.Size < 0 {
			return m, "", errors.New("has a layer without a digest or size")
		}
	}
	return m, mediaType, nil
}

// isConfig says whether a manifest's config is that of a runnable image, not of
// an artifact.
func isConfig(d v1.Descriptor) bool {
	return d.MediaType == types.DockerConfigJSON || d.MediaType == types.OCIConfigJSON
}

// isForeign says whether a layer is to be fetched elsewhere and not uploaded
// (OCI image specification, layer.md, "Non-Distributable Layers").
func isForeign(d v1.Descriptor) bool {
	return !d.MediaType.IsDistributable() && len(d.URLs) > 0
}

// isRawLayer says whether a layer is a plain tar file.
func isRawLayer(d v1.Descriptor) bool {
	return d.MediaType == types.OCIUncompressedLayer || d.MediaType == types.DockerUncompressedLayer
}

// isAttestation says whether a child of an index is BuildKit's provenance or
// SBOM and not an image (BuildKit, docs/attestations/attestation-storage.md).
func isAttestation(d v1.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" ||
		d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

// readConfig reads of a config what the package needs to know.
func readConfig(raw []byte) (configSummary, error) {
	var c struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
		RootFS       struct {
			DiffIDs []v1.Hash `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return configSummary{}, fmt.Errorf("is not an image's config: %w", err)
	}
	return configSummary{
		digest:   digestOf(raw),
		platform: Platform{c.OS, c.Architecture, c.Variant},
		diffIDs:  c.RootFS.DiffIDs,
	}, nil
}

func digestOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// bytesOpener opens bytes in memory.
func bytesOpener(b []byte) opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// readSmall reads all of r, which may hold limit bytes at most.
func readSmall(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("is larger than %d bytes", limit)
	}
	return b, nil
}
