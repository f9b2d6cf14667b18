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
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
)

// maxInflaters bounds how many layers are inflated at the same time.
const maxInflaters = 4

// inflation is a compressed layer on this machine that has to be checked.
type inflation struct {
	check image.LayerCheck
	open  image.Opener
}

// inflations are the content's, the largest first. Layers that come over the network are
// checked while they are sent.
func inflations(c *image.Content) []inflation {
	opened := map[v1.Hash]image.Opener{}
	for _, b := range c.Blobs {
		if b.Layer == nil {
			opened[b.Desc.Digest] = b.Open
		}
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
	slices.SortStableFunc(layers, func(a, b inflation) int { return cmp.Compare(b.check.Desc.Size, a.check.Desc.Size) })
	return layers
}

// verifyLayers inflates the content's compressed layers that lie on this machine and
// compares them with the config. Layers of which proven says that they are what they
// have to be are left out: what it says takes some round trips, and nothing waits for
// that, since the check of the largest layer may decide when the push ends.
func verifyLayers(ctx context.Context, c *image.Content, proven func(ctx context.Context) map[v1.Hash]v1.Descriptor) error {
	layers := inflations(c)
	if len(layers) == 0 {
		return nil
	}
	var known map[v1.Hash]v1.Descriptor
	looking, looked := context.WithCancel(context.WithoutCancel(ctx)) // ends when known is set
	seeking, stop := context.WithCancel(ctx)
	var seeker sync.WaitGroup
	seeker.Go(func() {
		defer looked()
		// A panic counts as knowing nothing: the layers are inflated then.
		known, _ = guard.Value(func() (map[v1.Hash]v1.Descriptor, error) { return proven(seeking), nil })
	})
	defer func() { stop(); seeker.Wait() }()

	g, gctx := image.NewGroup(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), maxInflaters))
	for _, t := range layers {
		g.Go(func() error {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			lctx, done := context.WithCancel(gctx)
			defer done()
			defer context.AfterFunc(looking, func() {
				if d, ok := known[t.check.DiffID]; ok && d.Digest == t.check.Desc.Digest {
					done()
				}
			})()
			if err := t.run(lctx); lctx.Err() == nil || gctx.Err() != nil {
				return err
			}
			return nil // it is proven
		})
	}
	return g.Wait()
}

func (t inflation) run(ctx context.Context) error {
	r, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return compress.Compare(ctx, t.check, r)
}
