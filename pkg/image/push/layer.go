package push

// Sending a layer that has no digest yet: compressed on the way, or hashed first.

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/registry"
)

// layers sends the layers of an image that came without a manifest.
type layers struct {
	push       *push
	there      *inventory
	compressor *compress.Compressor
	unbuilt    *image.Unbuilt
}

// begun is send for a layer that may have been begun already; one is nil if not.
func (s layers) begun(ctx context.Context, one *aheadLayer, l image.Layer, q *image.Part) (v1.Descriptor, bool, error) {
	if one == nil {
		return s.send(ctx, l, q)
	}
	one.part.Join(s.push.progress)
	sent, err := one.wait(ctx)
	if err == nil && !sent {
		return s.send(ctx, l, q)
	}
	q.Continue(one.part)
	if _, unread := errors.AsType[*image.SourceError](err); unread {
		// The engine stopped in the middle of it, and has handed the image out anew.
		return s.send(ctx, l, q)
	}
	return one.desc, one.reused, s.wrong(l, err)
}

// wrong names the layer if err says that its bytes are others.
func (s layers) wrong(l image.Layer, err error) error {
	if wrong, ok := errors.AsType[*image.DigestError](err); ok && wrong.Want == l.DiffID {
		return s.unbuilt.Check(l).Differs(wrong.Got)
	}
	return err
}

// send makes sure that the repository has a layer.
func (s layers) send(ctx context.Context, l image.Layer, q *image.Part) (v1.Descriptor, bool, error) {
	if l.Known != nil {
		return s.push.blob(ctx, s.there, image.Blob{Desc: *l.Known, Open: l.Open}, nil, q)
	}
	if stored, ok := s.there.layer(l.DiffID); ok {
		_, sent := s.there.blob(stored.Digest)
		return stored, !sent, nil
	}
	if l.Format == image.FormatTar {
		desc, reused, err := s.raw(ctx, l, q)
		return desc, reused, s.wrong(l, err)
	}
	// Compressed, but under a name that says nothing: it has to be hashed to
	// know what to ask for.
	r, err := l.Open(ctx)
	if err != nil {
		return v1.Descriptor{}, false, err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &image.Interruptible{Ctx: ctx, R: r})
	if err != nil {
		return v1.Descriptor{}, false, err
	}
	desc := v1.Descriptor{Digest: image.HashOf(sum), Size: n}
	if l.Format == image.FormatZstd {
		desc.MediaType = types.OCILayerZStd
	}
	return s.push.blob(ctx, s.there, image.Blob{Desc: desc, Open: l.Open}, nil, q)
}

// raw compresses a layer into the registry and returns what it has become.
func (s layers) raw(ctx context.Context, l image.Layer, q *image.Part) (desc v1.Descriptor, reused bool, err error) {
	c, d := s.push.client, s.compressor
	var known *v1.Descriptor // once the layer was compressed to its end
	err = c.Persist(ctx, "layer "+l.DiffID.String(), func(ctx context.Context) error {
		q.Restart()
		raw, err := l.Open(ctx)
		if err != nil {
			return err
		}
		defer raw.Close()
		x := s.index(l, q.Sent)
		defer x.close()
		z := d.Observed(raw, l.Size, l.DiffID, q.Read, x.observer())
		defer z.Close()

		lead, whole, err := d.Begin(z)
		defer d.Release(lead)
		switch {
		case err != nil:
			return err
		case whole:
			desc = v1.Descriptor{MediaType: d.MediaType(), Digest: image.DigestOf(lead.Bytes()), Size: int64(lead.Len())}
			b := image.Blob{Desc: desc, Open: image.BytesOpener(lead.Bytes())}
			if reused, err = c.Uploads().Blob(ctx, registry.Upload{Blob: b, Count: q.Sent}); err != nil {
				return image.FinalError{Err: err} // it has had its tries
			}
			return nil
		}
		all := struct {
			io.Reader
			io.Closer
		}{x.following(ctx, io.MultiReader(lead, z)), z}
		if known, err = c.Uploads().Stream(ctx, all, known, q.Sent); err != nil {
			return err
		}
		desc = v1.Descriptor{MediaType: d.MediaType(), Digest: known.Digest, Size: known.Size}
		return x.end(known.Digest, all)
	})
	return desc, reused, err
}
