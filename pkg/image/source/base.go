package source

// The base of an image in the registry that it was pulled from.

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// baseLimit bounds reading what a registry has of a base: an aid that takes longer
// than that is none.
const baseLimit = 5 * time.Second

// BaseLayers reads from the registry that an image's base was pulled from how it has
// the layers for a platform, by what they unpack to. Nothing is tried twice. It may
// be called while the image is loaded.
func (m *Image) BaseLayers(ctx context.Context, reference string, platform image.Platform) (map[v1.Hash]image.Blob, error) {
	o := m.options
	r, err := name.ParseReference(reference, name.WeakValidation)
	if err != nil {
		return nil, err
	}
	insecure := slices.Contains(o.Insecure, r.Context().RegistryStr())
	if insecure {
		if r, err = name.ParseReference(reference, name.WeakValidation, name.Insecure); err != nil {
			return nil, err
		}
	}
	var auth authn.Authenticator
	if o.Keychain != nil {
		if auth, err = authn.Resolve(ctx, o.Keychain, r.Context()); err != nil {
			return nil, err
		}
	}
	read, cancel := context.WithTimeoutCause(ctx, baseLimit, registry.ErrStalled)
	defer cancel()
	s := &remoteStore{
		client: registry.NewReader(r.Context(), registry.Access{Auth: auth, Transport: o.Transport, Insecure: insecure, Hasty: true}),
		small:  map[v1.Hash][]byte{}, budget: image.NewBudget(),
	}
	root, err := s.manifest(read, r.Identifier())
	if err != nil {
		return nil, err
	}
	chosen, err := s.look(read, root.Desc, platform, &image.Description{})
	if err != nil {
		return nil, err
	}
	c, err := walk(read, s, chosen, image.Platform{})
	if err != nil {
		return nil, err
	}
	c.Streamed()
	layers := map[v1.Hash]image.Blob{}
	for _, b := range c.Blobs {
		if k := b.Layer; k != nil && image.IsCompressedLayer(b.Desc) {
			b.Open = once(b.Open)
			b.Desc = v1.Descriptor{Digest: b.Desc.Digest, Size: b.Desc.Size, MediaType: image.StoredType(b.Desc)}
			layers[k.DiffID] = b
		}
	}
	return layers, nil
}

// once opens a blob of another registry without a second try: there is another way
// to get the layer, which takes less than waiting for that registry.
func once(open image.Opener) image.Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		r, err := open(ctx)
		if err != nil {
			return nil, image.FinalError{Err: err}
		}
		return &image.MarkedReader{ReadCloser: r, Mark: func(err error) error { return image.FinalError{Err: err} }}, nil
	}
}
