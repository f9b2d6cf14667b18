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
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Bounds on what is read into memory. The distribution project takes manifests
// of up to 4 MiB (registry/handlers/manifests.go); configs have no bound of
// their own, and the largest seen are some hundred kilobytes. The sum bounds all
// documents of one source, since an index or an archive can name many.
const (
	maxDocument  = 4 << 20
	maxConfig    = 8 << 20
	maxDocuments = 16 << 20 // bytes of all manifests and configs of one source
	maxChildren  = 1000     // documents under one index
	maxLayers    = 1000     // of one image
)

// budget is what may still be read of a source's documents. Each document counts
// once.
type budget struct {
	mu   sync.Mutex
	left int64
	seen map[v1.Hash]bool
}

func newBudget() *budget { return &budget{left: maxDocuments, seen: map[v1.Hash]bool{}} }

// take counts a document.
func (b *budget) take(h v1.Hash, size int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[h] {
		return nil
	}
	b.seen[h] = true
	if b.left -= int64(size); b.left < 0 {
		return final("the image's manifests and configs are larger than %d MiB in all; no more is read", maxDocuments>>20)
	}
	return nil
}

// list decodes a JSON array of no more elements than an image can have: a
// document of a few megabytes could otherwise take a hundred times its size.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	if string(b) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("a list was expected")
	}
	*l = list[T]{}
	for d.More() {
		if len(*l) == maxLayers {
			return fmt.Errorf("a list has more than %d elements", maxLayers)
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		*l = append(*l, v)
	}
	return nil
}

// opener opens a blob's bytes from their beginning, as often as it is asked.
type opener func(ctx context.Context) (io.ReadCloser, error)

// blob is one piece of content that a registry stores under its digest.
type blob struct {
	desc v1.Descriptor
	open opener
	// host and from are the registry and repository that have the blob too, so
	// that another repository of that registry may take it from there.
	host, from string
	// layer is the layer that the blob has to be, for one that comes over the
	// network: it is inflated and compared while it is sent.
	layer *layerCheck
	// foreign says that the bytes may be those of another file, to which a
	// symbolic link leads: none is sent before their digest is known.
	foreign bool
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
	checks    []layerCheck
	// companions finds what refers to the image: signatures and the like. Nil where
	// a source cannot have any.
	companions func(ctx context.Context) ([]companion, error)
}

// streamed says that the blobs come over the network: their layers are checked
// while they are sent, since they would have to be fetched twice otherwise.
func (c *content) streamed() {
	for i, b := range c.blobs {
		if j := slices.IndexFunc(c.checks, func(k layerCheck) bool { return k.desc.Digest == b.desc.Digest }); j >= 0 {
			c.blobs[i].layer = &c.checks[j]
		}
	}
}

// configSummary is what a config says of its image.
type configSummary struct {
	digest   v1.Hash
	platform Platform
	diffIDs  []v1.Hash
}

// root is the document that a tag will point to.
func (c *content) root() document { return c.documents[len(c.documents)-1] }

// identity is by what another image is the same as this one. Both are set only for
// an engine's image whose ID may be the one or the other.
type identity struct {
	// root is the digest of the manifest or index. Two manifests of one config
	// can differ in what matters: annotations, the compression of layers, or that
	// one of them is damaged.
	root v1.Hash
	// config is the digest of the config, for an image whose manifest has yet to
	// be written. It determines the layers, unpacked.
	config v1.Hash
}

func (c *content) identity() identity {
	if c.unbuilt != nil {
		return identity{config: c.configs[0].digest}
	}
	return identity{root: c.root().desc.Digest}
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
	SchemaVersion int                 `json:"schemaVersion"`
	MediaType     types.MediaType     `json:"mediaType"`
	ArtifactType  string              `json:"artifactType"`
	Config        *v1.Descriptor      `json:"config"`
	Layers        list[v1.Descriptor] `json:"layers"`
	Manifests     list[v1.Descriptor] `json:"manifests"`
	Blobs         list[v1.Descriptor] `json:"blobs"` // OCI artifact manifests
	Subject       *v1.Descriptor      `json:"subject"`
}

// isManifestType says whether a media type is one that a manifest or an index
// goes by. Registries and proxies also answer with application/json,
// application/octet-stream or text/plain, and the shape decides then.
func isManifestType(t types.MediaType) bool {
	return t.IsIndex() || t.IsImage() || strings.HasSuffix(string(t), "+json") || strings.HasSuffix(string(t), "+prettyjws")
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
	if m.Manifests != nil && (m.Config != nil || m.Layers != nil) {
		return m, "", errors.New("is both a manifest and an index, so that tools would not agree on what it is")
	}
	said, _, _ := strings.Cut(string(mediaType), ";")
	if mediaType = types.MediaType(strings.TrimSpace(said)); m.MediaType != "" {
		mediaType = m.MediaType
	}
	if !isManifestType(mediaType) {
		mediaType = types.OCIManifestSchema1
		if m.Manifests != nil {
			mediaType = types.OCIImageIndex
		}
	}
	if mediaType.IsIndex() {
		return m, mediaType, wellFormed("manifest", m.Manifests)
	}
	if m.Config == nil && m.Blobs == nil {
		return m, "", errors.New("is neither a manifest nor an index")
	}
	if m.Config != nil {
		if err := wellFormed("config", []v1.Descriptor{*m.Config}); err != nil {
			return m, "", err
		}
	}
	return m, mediaType, errors.Join(wellFormed("layer", m.Layers), wellFormed("blob", m.Blobs))
}

// wellFormed checks the descriptors of a document. Digests other than sha256 are
// refused, since ECR takes no others.
func wellFormed(what string, descs []v1.Descriptor) error {
	for _, d := range descs {
		switch {
		case d.Digest == (v1.Hash{}) || d.Size < 0:
			return fmt.Errorf("has a %s without a digest or size", what)
		case d.Digest.Algorithm != "sha256":
			return fmt.Errorf("names a %s by %s, but ECR takes sha256 digests only; build the image with sha256", what, d.Digest.Algorithm)
		}
	}
	return nil
}

// embedded returns the bytes that a descriptor carries itself, if they are what it
// describes (OCI image specification, descriptor.md, "data").
func embedded(d v1.Descriptor) ([]byte, bool) {
	if d.Data == nil || int64(len(d.Data)) != d.Size || digestOf(d.Data) != d.Digest {
		return nil, false
	}
	return d.Data, true
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
		OSVersion    string `json:"os.version"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
		RootFS       struct {
			DiffIDs list[v1.Hash] `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return configSummary{}, fmt.Errorf("is not an image's config: %w", err)
	}
	return configSummary{
		digest:   digestOf(raw),
		platform: Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant, OSVersion: c.OSVersion},
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
		return nil, final("is larger than %d bytes; no more is read", limit)
	}
	return b, nil
}
