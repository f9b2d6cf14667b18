package push

// Sending a layer that has no digest yet: compressed on the way, or hashed first.

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/registry"
)

// layer makes sure that the repository has a layer of an unbuilt image.
func (p *push) layer(ctx context.Context, there *inventory, d *compress.Compressor, u *image.Unbuilt, l image.Layer, q *image.Part) (v1.Descriptor, bool, error) {
	if l.Known != nil {
		return p.blob(ctx, there, image.Blob{Desc: *l.Known, Open: l.Open}, nil, q)
	}
	if stored, ok := there.layer(l.DiffID); ok {
		_, sent := there.blob(stored.Digest)
		return stored, !sent, nil
	}
	if l.Format == image.FormatTar {
		desc, reused, err := p.uploadRaw(ctx, d, l, q)
		if wrong, ok := errors.AsType[*image.DigestError](err); ok && wrong.Want == l.DiffID {
			err = u.Check(l).Differs(wrong.Got)
		}
		return desc, reused, err
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
	return p.blob(ctx, there, image.Blob{Desc: desc, Open: l.Open}, nil, q)
}

// uploadRaw compresses a layer into the registry and returns what it has become.
func (p *push) uploadRaw(ctx context.Context, d *compress.Compressor, l image.Layer, q *image.Part) (desc v1.Descriptor, reused bool, err error) {
	c := p.client
	var known *v1.Descriptor // once the layer was compressed to its end
	err = c.Persist(ctx, "layer "+l.DiffID.String(), func(ctx context.Context) error {
		q.Restart()
		raw, err := l.Open(ctx)
		if err != nil {
			return err
		}
		defer raw.Close()
		z := d.Compress(raw, l.Size, l.DiffID, q.Read)
		defer z.Close()

		lead := d.Beginning()
		defer d.Leads.Put(lead)
		if _, err := io.CopyN(lead, z, d.Lead); err == io.EOF {
			b := image.Blob{Desc: v1.Descriptor{MediaType: d.Codec.MediaType, Digest: image.DigestOf(lead.Bytes()), Size: int64(lead.Len())}, Open: image.BytesOpener(lead.Bytes())}
			desc = b.Desc
			reused, err = c.UploadBlob(ctx, b, false, nil, func() {}, q.Sent)
			if err != nil {
				return image.FinalError{Err: err} // it has had its tries
			}
			return nil
		} else if err != nil {
			return err
		}

		if known != nil {
			if there, err := c.Exists(ctx, known.Digest); err != nil || there {
				return err
			}
		}
		session, _, err := c.Start(ctx, v1.Hash{}, "")
		if err != nil {
			return err
		}
		sum := sha256.New()
		compressed := registry.NewBody(struct {
			io.Reader
			io.Closer
		}{io.MultiReader(lead, z), z}, sum, q.Sent)
		open := func(context.Context) (*registry.Body, error) { return compressed, nil }
		if known != nil {
			return c.Put(ctx, session, *known, open)
		}
		resp, err := c.Transfer(ctx, http.MethodPatch, session, open, -1)
		if err != nil {
			return err
		}
		desc = v1.Descriptor{MediaType: d.Codec.MediaType, Digest: image.HashOf(sum), Size: compressed.Size()}
		known = &desc
		if session, err = c.Location(resp); err != nil {
			return err
		}
		return c.Finish(ctx, session, desc)
	})
	return desc, reused, err
}
