package push

// Whether an image's layers unpack to what its config says they do. An engine
// compares the two when it unpacks an image, so an image that is wrong in this
// could be pushed and never run. What costs nothing is checked when the image is
// read; compressed layers are inflated while the upload goes on, and before the
// manifest is stored.

import (
	"cmp"
	"context"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
)

// maxInflaters bounds how many layers are inflated at the same time.
const maxInflaters = 4

// verifyLayers inflates the content's compressed layers that lie on this machine, the
// largest first, and compares them with the config. Layers of which proven says
// that they are what they have to be are left out.
func verifyLayers(ctx context.Context, c *image.Content, proven func(ctx context.Context) map[v1.Hash]v1.Descriptor) error {
	opened := map[v1.Hash]image.Opener{}
	for _, b := range c.Blobs {
		if b.Layer == nil {
			opened[b.Desc.Digest] = b.Open
		}
	}
	type inflation struct {
		check image.LayerCheck
		open  image.Opener
	}
	var layers []inflation
	for _, k := range c.Checks {
		if open := opened[k.Desc.Digest]; open != nil {
			layers = append(layers, inflation{k, open})
		}
	}
	if c.Unbuilt != nil {
		for _, k := range c.Unbuilt.Checks() {
			layers = append(layers, inflation{k.LayerCheck, k.Open})
		}
	}
	if len(layers) == 0 {
		return nil
	}
	known := proven(ctx)
	slices.SortStableFunc(layers, func(a, b inflation) int { return cmp.Compare(b.check.Desc.Size, a.check.Desc.Size) })
	g, gctx := image.NewGroup(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), maxInflaters))
	for _, t := range layers {
		if d, ok := known[t.check.DiffID]; ok && d.Digest == t.check.Desc.Digest {
			continue
		}
		g.Go(func() error {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			r, err := t.open(gctx)
			if err != nil {
				return err
			}
			defer r.Close()
			return compress.Compare(gctx, t.check, r)
		})
	}
	return g.Wait()
}
