package push

// Writing the manifest of an image that came without one, and in it the proof that
// its layers were seen unpacked.

import (
	"cmp"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
)

// ociType is what a layer of a Docker manifest is in an OCI manifest (OCI image
// specification, media-types.md, "Compatibility Matrix").
func ociType(t types.MediaType) types.MediaType {
	switch t {
	case types.DockerLayer:
		return types.OCILayer
	case types.DockerForeignLayer:
		return types.OCIRestrictedLayer
	}
	return t
}

// writeManifest writes the manifest of an unbuilt image. It is OCI's, in which each layer can have an
// annotation that proves what the layer unpacks to; or of Docker's schema 2 for the
// images of Windows whose layers are not distributed, as Docker would write it.
func writeManifest(u *image.Unbuilt, there *inventory) ([]image.Document, error) {
	foreign, zstd := false, false
	layers := make([]v1.Descriptor, len(u.Layers))
	for i, l := range u.Layers {
		if l.Known != nil {
			layers[i] = *l.Known
		} else if d, ok := there.layer(l.DiffID); ok {
			layers[i] = v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		} else {
			return nil, fmt.Errorf("layer %s was not uploaded", l.DiffID)
		}
		foreign = foreign || layers[i].MediaType == types.DockerForeignLayer
		zstd = zstd || layers[i].MediaType == types.OCILayerZStd
	}
	oci := !foreign || zstd
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Layers: layers}
	m.Config = v1.Descriptor{MediaType: types.DockerConfigJSON, Digest: image.DigestOf(u.Config), Size: int64(len(u.Config))}
	if oci {
		m.MediaType, m.Config.MediaType = types.OCIManifestSchema1, types.OCIConfigJSON
	}
	for i := range layers {
		layers[i].MediaType = cmp.Or(layers[i].MediaType, types.DockerLayer)
		if oci {
			layers[i].MediaType = ociType(layers[i].MediaType)
			if l := u.Layers[i]; l.Open != nil {
				layers[i].Annotations = map[string]string{provenAnnotation: proof(layers[i].Digest, l.DiffID)}
			}
		}
	}
	raw, err := json.MarshalIndent(m, "", "   ")
	if err != nil {
		return nil, err
	}
	return []image.Document{{Desc: v1.Descriptor{MediaType: m.MediaType, Digest: image.DigestOf(raw), Size: int64(len(raw))}, Raw: raw}}, nil
}

// provenAnnotation stands at each layer of a manifest that this package has
// written, which it does once it has seen the layer unpacked. It repeats the
// layer's digest, so that it proves nothing of a layer that another tool has put
// there since.
const provenAnnotation = "ecsdeploy.verified"

func proof(digest, diffID v1.Hash) string { return digest.String() + " " + diffID.String() }

func isProven(d v1.Descriptor, diffID v1.Hash) bool {
	return d.Annotations[provenAnnotation] == proof(d.Digest, diffID)
}
