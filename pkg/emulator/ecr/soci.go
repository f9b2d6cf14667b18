// Whether Fargate could load an image lazily, by its SOCI index of version 2. ECR stores such an index like any other artifact and does not
// look into it; Fargate silently loads the whole image where the index does not fit
// (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html, "Lazy loading container images using SOCI"). Here the
// reason can be asked for.

package ecr

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The names of the format:
// https://github.com/awslabs/soci-snapshotter/blob/main/docs/soci-index-manifest-v2.md and soci/soci_index.go there.
const (
	sociIndex     = "application/vnd.amazon.soci.index.v2+json"
	sociOfImage   = "com.amazon.soci.index-digest"
	sociImage     = "com.amazon.soci.image-manifest-digest"
	sociLayer     = "com.amazon.soci.image-layer-digest"
	sociLayerType = "com.amazon.soci.image-layer-mediaType"
)

// LoadsLazily says how many layers of an image Fargate would load lazily on a platform, and by an error why it would load all of it at once.
func (e *ECR) LoadsLazily(repository, reference string, want Platform) (layers int, err error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	r, err := e.repository(repository)
	if err != nil {
		return 0, err
	}
	root := r.find(reference)
	if root == nil || !isIndex(root.mediaType) {
		return 0, fmt.Errorf("%s is no index", reference)
	}
	on := func(d descriptor) bool { return d.Platform != nil && *d.Platform == want }
	i := slices.IndexFunc(root.manifest.Manifests, func(d descriptor) bool { return on(d) && d.ArtifactType != sociIndex })
	if i < 0 {
		return 0, errors.New("the index has no image for the platform")
	}
	of := r.images[root.manifest.Manifests[i].Digest]
	named := of.manifest.Annotations[sociOfImage]
	i = slices.IndexFunc(root.manifest.Manifests, func(d descriptor) bool { return d.Digest == named })
	if i < 0 {
		return 0, errors.New("the image names no SOCI index that stands beside it")
	}
	with := root.manifest.Manifests[i]
	if !on(with) || with.ArtifactType != sociIndex || with.Annotations[sociImage] != of.digest {
		return 0, fmt.Errorf("the SOCI index is not described as one of the image: %+v", with)
	}
	index := r.images[named].manifest
	if index.Config.MediaType != sociIndex || len(index.Layers) == 0 {
		return 0, fmt.Errorf("is no SOCI index: %+v", index)
	}
	for _, z := range index.Layers {
		if err := e.describes(z, of.manifest.Layers); err != nil {
			return 0, err
		}
	}
	return len(index.Layers), nil
}

// describes looks at the zTOC of a layer, as far as that can be done without the layer.
func (e *ECR) describes(z descriptor, layers []descriptor) error {
	if !slices.ContainsFunc(layers, func(l descriptor) bool {
		return l.Digest == z.Annotations[sociLayer] && l.MediaType == z.Annotations[sociLayerType]
	}) || z.MediaType != "application/octet-stream" {
		return fmt.Errorf("a zTOC is of no layer of the image: %+v", z)
	}
	f, err := e.Store.open(z.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	var root uint32 // where the table is that the buffer begins with
	if err := binary.Read(f, binary.LittleEndian, &root); err != nil || int64(root) >= z.Size {
		return fmt.Errorf("a zTOC is no FlatBuffer: %w", cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return nil
}
