package image

// Reading manifests, indexes and configs, of tools that keep to the specification and
// of those that do not quite (OCI image specification, manifest.md, image-index.md,
// config.md).

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// List decodes a JSON array of no more elements than an image can have: a
// document of a few megabytes could otherwise take a hundred times its size.
type List[T any] []T

func (l *List[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	if string(b) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("a list was expected")
	}
	*l = List[T]{}
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

// ConfigSummary is what a config says of its image.
type ConfigSummary struct {
	Digest   v1.Hash
	Platform Platform
	DiffIDs  []v1.Hash
}

// Manifest is what is read of a manifest or an index; both at once, since some
// tools leave mediaType out and the shape decides then (OCI image
// specification, manifest.md and image-index.md).
type Manifest struct {
	SchemaVersion int                 `json:"schemaVersion"`
	MediaType     types.MediaType     `json:"mediaType"`
	ArtifactType  string              `json:"artifactType"`
	Config        *v1.Descriptor      `json:"config"`
	Layers        List[v1.Descriptor] `json:"layers"`
	Manifests     List[v1.Descriptor] `json:"manifests"`
	Blobs         List[v1.Descriptor] `json:"blobs"` // OCI artifact manifests
	Subject       *v1.Descriptor      `json:"subject"`
}

// isManifestType says whether a media type is one that a manifest or an index
// goes by. Registries and proxies also answer with application/json,
// application/octet-stream or text/plain, and the shape decides then.
func isManifestType(t types.MediaType) bool {
	return t.IsIndex() || t.IsImage() || strings.HasSuffix(string(t), "+json") || strings.HasSuffix(string(t), "+prettyjws")
}

// ParseManifest reads raw, whose media type is said to be mediaType where that
// is known, and returns the type it goes by.
func ParseManifest(raw []byte, mediaType types.MediaType) (Manifest, types.MediaType, error) {
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, "", fmt.Errorf("is not a manifest: %w", err)
	}
	if m.SchemaVersion == 1 {
		return m, "", errors.New("is a manifest of schema 1, which registries no longer take; build the image anew")
	}
	if m.Manifests != nil && (m.Config != nil || m.Layers != nil) {
		return m, "", errors.New("is both a manifest and an index, so that tools would not agree on what it is")
	}
	isImage := m.Config != nil || m.Layers != nil
	if m.MediaType.IsIndex() && isImage {
		return m, "", fmt.Errorf("says that it is an index (%s), but has a config and layers: tools would not agree on what it is", m.MediaType)
	}
	said, _, _ := strings.Cut(string(mediaType), ";")
	if mediaType = types.MediaType(strings.TrimSpace(said)); m.MediaType != "" {
		mediaType = m.MediaType
	}
	// The shape decides where nothing in the document does.
	if !isManifestType(mediaType) || m.MediaType == "" && (mediaType.IsIndex() && isImage || mediaType.IsImage() && m.Manifests != nil) {
		mediaType = types.OCIManifestSchema1
		if m.Manifests != nil {
			mediaType = types.OCIImageIndex
		}
	}
	if mediaType.IsIndex() {
		return m, mediaType, WellFormed("manifest", m.Manifests)
	}
	if m.Config == nil && m.Blobs == nil {
		return m, "", errors.New("is neither a manifest nor an index")
	}
	if m.Config != nil {
		if err := WellFormed("config", []v1.Descriptor{*m.Config}); err != nil {
			return m, "", err
		}
	}
	return m, mediaType, errors.Join(WellFormed("layer", m.Layers), WellFormed("blob", m.Blobs))
}

// WellFormed checks the descriptors of a document. Digests other than sha256 are
// refused, since ECR takes no others.
func WellFormed(what string, descs []v1.Descriptor) error {
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

// Embedded returns the bytes that a descriptor carries itself, if they are what it
// describes (OCI image specification, descriptor.md, "data").
func Embedded(d v1.Descriptor) ([]byte, bool) {
	if d.Data == nil || int64(len(d.Data)) != d.Size || DigestOf(d.Data) != d.Digest {
		return nil, false
	}
	return d.Data, true
}

// IsConfig says whether a manifest's config is that of a runnable image, not of
// an artifact.
func IsConfig(d v1.Descriptor) bool {
	return d.MediaType == types.DockerConfigJSON || d.MediaType == types.OCIConfigJSON
}

// IsImage says whether a manifest is that of an image to be run. What refers to another
// manifest may be one, too, such as an image that was made of another, but not without a
// layer that an engine unpacks.
func (m Manifest) IsImage() bool {
	return m.Config != nil && IsConfig(*m.Config) && (m.Subject == nil || slices.ContainsFunc(m.Layers, IsUnpackable))
}

// IsForeign says whether a layer is to be fetched elsewhere and not uploaded
// (OCI image specification, layer.md, "Non-Distributable Layers").
func IsForeign(d v1.Descriptor) bool {
	t := string(d.MediaType)
	return (strings.Contains(t, ".foreign.") || strings.Contains(t, ".nondistributable.")) && len(d.URLs) > 0
}

// dockerForeignRaw is Docker's type of a plain tar file that is fetched elsewhere.
const dockerForeignRaw types.MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar"

// IsRawLayer says whether a layer is called a plain tar file.
func IsRawLayer(d v1.Descriptor) bool {
	return d.MediaType == types.OCIUncompressedLayer || d.MediaType == types.OCIUncompressedRestrictedLayer || isDockerRaw(d)
}

// isDockerRaw is IsRawLayer for Docker's types, of which engines find out whether the layer
// is compressed, since there are compressed ones (containerd, core/images/mediatypes.go,
// "DiffCompression").
func isDockerRaw(d v1.Descriptor) bool {
	return d.MediaType == types.DockerUncompressedLayer || d.MediaType == dockerForeignRaw
}

// IsAttestation says whether a child of an index is BuildKit's provenance or
// SBOM and not an image (BuildKit, docs/attestations/attestation-storage.md).
func IsAttestation(d v1.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" ||
		d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

// SOCIIndexType is the type of a SOCI index of version 2, an artifact beside an image in an
// index (awslabs/soci-snapshotter, docs/soci-index-manifest-v2.md).
const SOCIIndexType = "application/vnd.amazon.soci.index.v2+json"

// IsAuxiliary says whether a child of an index belongs to an image and is none itself.
func IsAuxiliary(d v1.Descriptor) bool { return IsAttestation(d) || d.ArtifactType == SOCIIndexType }

// ReadConfig reads of a config what the package needs to know.
func ReadConfig(raw []byte) (ConfigSummary, error) {
	var c struct {
		OS           string `json:"os"`
		OSVersion    string `json:"os.version"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
		RootFS       struct {
			DiffIDs List[v1.Hash] `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return ConfigSummary{}, fmt.Errorf("is not an image's config: %w", err)
	}
	return ConfigSummary{
		Digest:   DigestOf(raw),
		Platform: Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant, OSVersion: c.OSVersion},
		DiffIDs:  c.RootFS.DiffIDs,
	}, nil
}

func BlobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// Annotations that name an image in index.json: the specification's
// (annotations.md), which holds a tag or a full name, and containerd's, which
// holds the full name.
const (
	AnnotationRefName = "org.opencontainers.image.ref.name"
	AnnotationName    = "io.containerd.image.name"
	AnnotationCosign  = "dev.cosignproject.cosign/imageRef" // of "cosign save"
)

// References lists the blobs that a manifest needs to be in the registry.
func References(m Manifest) []v1.Descriptor {
	var ds []v1.Descriptor
	if m.Config != nil {
		ds = append(ds, *m.Config)
	}
	for _, l := range slices.Concat(m.Layers, m.Blobs) {
		if !IsForeign(l) {
			ds = append(ds, l)
		}
	}
	return ds
}

// IsCompressedLayer says whether a layer is one that can stand for a raw layer.
func IsCompressedLayer(d v1.Descriptor) bool {
	return d.MediaType == types.DockerLayer || d.MediaType == types.OCILayer || d.MediaType == types.OCILayerZStd
}

// StoredType is the media type that is kept of a stored layer: none for gzip, for
// which the manifest decides.
func StoredType(d v1.Descriptor) types.MediaType {
	if d.MediaType == types.OCILayerZStd {
		return d.MediaType
	}
	return ""
}
