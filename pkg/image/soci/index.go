package soci

// The manifest of an index, and how it is bound to its image
// (awslabs/soci-snapshotter, soci/soci_index.go and soci/soci_convert.go).

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
)

// Names of the specification.
const (
	layerType = "application/octet-stream"

	annotationLayerType   = "com.amazon.soci.image-layer-mediaType"
	annotationLayerDigest = "com.amazon.soci.image-layer-digest"
	annotationSpanSize    = "com.amazon.soci.span-size"
	annotationTool        = "com.amazon.soci.build-tool-identifier"
	annotationImage       = "com.amazon.soci.image-manifest-digest"
	annotationIndex       = "com.amazon.soci.index-digest"
)

// Config is what stands for the config of an index manifest.
var Config = []byte("{}")

// Describe describes the zTOC of a layer in an index manifest.
func Describe(e v1.Descriptor, layer v1.Descriptor) v1.Descriptor {
	return v1.Descriptor{MediaType: layerType, Digest: e.Digest, Size: e.Size, Annotations: map[string]string{
		annotationLayerType:   string(layer.MediaType),
		annotationLayerDigest: layer.Digest.String(),
		annotationSpanSize:    strconv.Itoa(SpanSize),
	}}
}

// IndexManifest writes the manifest of an index of these zTOCs, as Describe describes them.
func IndexManifest(ztocs []v1.Descriptor) (image.Document, error) {
	return document(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config:      v1.Descriptor{MediaType: image.SOCIIndexType, Digest: image.DigestOf(Config), Size: int64(len(Config))},
		Layers:      ztocs,
		Annotations: map[string]string{annotationTool: Tool},
	}, types.OCIManifestSchema1)
}

// Bind returns an image's manifest, to which it adds an annotation, and the image index
// that holds it and the index manifest. The image is OCI's.
func Bind(m v1.Manifest, p image.Platform, index image.Document) (manifest, root image.Document, err error) {
	m.Annotations = map[string]string{annotationIndex: index.Desc.Digest.String()}
	if manifest, err = document(m, m.MediaType); err != nil {
		return manifest, root, err
	}
	platform := &v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
	of, with := manifest.Desc, index.Desc
	of.Platform, of.Annotations = platform, m.Annotations
	with.Platform, with.ArtifactType = platform, image.SOCIIndexType
	with.Annotations = map[string]string{annotationImage: of.Digest.String()}
	root, err = document(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{of, with}}, types.OCIImageIndex)
	return manifest, root, err
}

func document(v any, mediaType types.MediaType) (image.Document, error) {
	raw, err := json.Marshal(v)
	return image.Document{Raw: raw, Desc: v1.Descriptor{MediaType: mediaType, Digest: image.DigestOf(raw), Size: int64(len(raw))}}, err
}

// ZTOCs reads the manifest of an index that this package has written: the descriptors of
// zTOCs by the digests of their layers.
func ZTOCs(raw []byte) (map[v1.Hash]v1.Descriptor, error) {
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if m.Config.MediaType != image.SOCIIndexType {
		return nil, fmt.Errorf("is not a SOCI index but has a config of type %s", cmp.Or(string(m.Config.MediaType), "nothing"))
	}
	if m.Annotations[annotationTool] != Tool {
		return nil, errors.New("was made by another tool")
	}
	all := map[v1.Hash]v1.Descriptor{}
	for _, d := range m.Layers {
		layer, err := v1.NewHash(d.Annotations[annotationLayerDigest])
		if err != nil || d.MediaType != layerType || d.Annotations[annotationSpanSize] != strconv.Itoa(SpanSize) || d.Digest.Algorithm != "sha256" || d.Size <= 0 {
			return nil, fmt.Errorf("describes a layer in another form: %s", d.Digest)
		}
		all[layer] = d
	}
	return all, nil
}

// Suits says why no index is of use for a platform; "" if it is. Fargate loads lazily the
// images of Linux for its two architectures (Amazon ECS Developer Guide,
// fargate-tasks-services, "Lazy loading container images using SOCI").
func Suits(p image.Platform) string {
	if p.OS != "linux" || p.Architecture != "amd64" && p.Architecture != "arm64" {
		return fmt.Sprintf("the image is for %s, and not for linux/amd64 or linux/arm64", p)
	}
	return ""
}
