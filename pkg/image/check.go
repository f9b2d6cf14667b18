package image

// What a manifest and its config say of the same layers has to agree, and layers
// have to unpack to what the config lists: what of that needs no layer to be read,
// and the error for what does not agree.

import (
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// LayerCheck is a layer and what it has to unpack to.
type LayerCheck struct {
	Desc          v1.Descriptor
	DiffID        v1.Hash
	Number, Count int // which of the image's layers it is, from 1
	diffIDs       []v1.Hash
}

// LayerError says that a layer is not the one that the image's config lists, so
// that no engine could unpack the image.
type LayerError struct {
	Number, Count int    // which of the image's layers it is, from 1; 0 if it is all of them
	Digest        string // of the layer as it is stored, or unpacked where it has no other yet
	Want, Got     string // what it has to unpack to and what it unpacks to, or ""
	Problem       string // what is wrong, where it does not unpack at all
	Advice        string
}

func (e *LayerError) Error() string {
	s := ""
	if e.Number > 0 {
		s = fmt.Sprintf("layer %d of %d (%s): ", e.Number, e.Count, e.Digest)
	}
	if e.Problem != "" {
		return s + e.Problem
	}
	return s + fmt.Sprintf("unpacks to %s, but the image's config lists %s", e.Got, e.Want)
}

// Hint says what probably built the image wrong and what to do.
func (e *LayerError) Hint() string { return e.Advice }

const Rebuild = "no engine can unpack this image; build or copy it again"

// unpackable are the media types of layers that an engine unpacks.
var unpackable = []types.MediaType{
	types.DockerLayer, types.OCILayer, types.OCILayerZStd, types.DockerUncompressedLayer, types.OCIUncompressedLayer,
	types.DockerForeignLayer, types.OCIRestrictedLayer, types.OCIUncompressedRestrictedLayer,
	// Of which the library has no names: containerd writes and reads the first.
	"application/vnd.docker.image.rootfs.diff.tar.zstd", dockerForeignRaw,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
}

// IsUnpackable says whether a layer is of a type that engines unpack.
func IsUnpackable(d v1.Descriptor) bool { return slices.Contains(unpackable, d.MediaType) }

// CheckLayers compares a manifest with its config as far as that needs no layer,
// and returns the layers that remain to be inflated. A manifest without any layer
// that an engine could unpack is an artifact: its config says nothing of layers.
func CheckLayers(m Manifest, c ConfigSummary) ([]LayerCheck, error) {
	if !slices.ContainsFunc(m.Layers, IsUnpackable) && (len(m.Layers) > 0 || len(c.DiffIDs) == 0) {
		return nil, nil
	}
	if len(m.Layers) != len(c.DiffIDs) {
		return nil, &LayerError{Problem: fmt.Sprintf("number of layers: %d in the manifest, %d in the config", len(m.Layers), len(c.DiffIDs)), Advice: Rebuild}
	}
	var checks []LayerCheck
	unpacked := map[v1.Hash]v1.Hash{}
	for i, d := range m.Layers {
		k := LayerCheck{Desc: d, DiffID: c.DiffIDs[i], Number: i + 1, Count: len(m.Layers), diffIDs: c.DiffIDs}
		before, seen := unpacked[d.Digest]
		unpacked[d.Digest] = k.DiffID
		switch {
		case k.DiffID.Algorithm != "sha256":
			return nil, k.unlike()
		case seen && before != k.DiffID:
			e := k.Failed("is listed twice in the manifest, and as two different layers in the config")
			e.Advice = "one of the image's layers stands in the place of another; " + Rebuild
			return nil, e
		case IsRawLayer(d) && d.Digest != k.DiffID && !isDockerRaw(d):
			return nil, k.Differs(d.Digest)
		case !IsRawLayer(d) && d.Digest == k.DiffID && IsUnpackable(d):
			e := k.Failed("the config lists the digest of the compressed layer instead of that of the layer unpacked")
			e.Advice = "diff_ids are digests of uncompressed layers; the tool that wrote the config got them wrong, " + Rebuild
			return nil, e
		}
		if !seen && !IsForeign(d) && IsUnpackable(d) {
			checks = append(checks, k)
		}
	}
	return checks, nil
}

// name is the digest that a message calls the layer by.
func (k LayerCheck) name() string {
	if k.Desc.Digest == (v1.Hash{}) {
		return k.DiffID.String()
	}
	return k.Desc.Digest.String()
}

// Failed is an error of the layer.
func (k LayerCheck) Failed(problem string) *LayerError {
	return &LayerError{Number: k.Number, Count: k.Count, Digest: k.name(), Want: k.DiffID.String(), Problem: problem, Advice: Rebuild}
}

// unlike is the error of a layer that the config lists by another digest than engines
// compare with what they unpack.
func (k LayerCheck) unlike() *LayerError {
	e := k.Failed(fmt.Sprintf("the config lists it by %s, and engines compare sha256", k.DiffID.Algorithm))
	e.Advice = "diff_ids are sha256 digests; " + Rebuild
	return e
}

// CheckDiffIDs checks what needs no layer of an image that has no manifest.
func CheckDiffIDs(c ConfigSummary) error {
	for i, h := range c.DiffIDs {
		if h.Algorithm != "sha256" {
			return LayerCheck{DiffID: h, Number: i + 1, Count: len(c.DiffIDs)}.unlike()
		}
	}
	return nil
}

// Differs is the error of a layer that unpacks to something else.
func (k LayerCheck) Differs(got v1.Hash) *LayerError {
	e := &LayerError{Number: k.Number, Count: k.Count, Digest: k.name(), Want: k.DiffID.String(), Got: got.String(), Advice: Rebuild}
	if i := slices.Index(k.diffIDs, got); i >= 0 {
		e.Advice = fmt.Sprintf("that is what the config lists for layer %d: the layers stand in another order than in the config; %s", i+1, Rebuild)
	}
	return e
}
