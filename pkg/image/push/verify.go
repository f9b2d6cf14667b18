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

// verification inflates layers and compares them with the config. It is to stay in the
// shadow of the upload, which decides when a push ends: the upload keeps a core for
// itself while it lasts, and is waited for by nothing here.
type verification struct {
	layers []inflation
	// proven says how layers are stored of which it is proven what they unpack to: they
	// are left out. That takes some round trips, and nothing waits for it either.
	proven func(ctx context.Context) map[v1.Hash]v1.Descriptor
	sent   <-chan struct{} // is closed when the upload has ended
	cores  int
}

func newVerification(c *image.Content, proven func(ctx context.Context) map[v1.Hash]v1.Descriptor, sent <-chan struct{}) verification {
	return verification{inflations(c), proven, sent, runtime.GOMAXPROCS(0)}
}

func (v verification) run(ctx context.Context) error {
	if len(v.layers) == 0 {
		return nil
	}
	var known map[v1.Hash]v1.Descriptor
	looking, looked := context.WithCancel(context.WithoutCancel(ctx)) // ends when known is set
	seeking, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() {
		defer looked()
		// A panic counts as knowing nothing: the layers are inflated then.
		known, _ = guard.Value(func() (map[v1.Hash]v1.Descriptor, error) { return v.proven(seeking), nil })
	})
	defer func() { stop(); beside.Wait() }()
	isProven := func(t inflation) bool { // once looking has ended
		d, ok := known[t.check.DiffID]
		return ok && d.Digest == t.check.Desc.Digest
	}

	free := v.workers(seeking, &beside)
	g, gctx := image.NewGroup(ctx)
	for _, t := range v.layers {
		select {
		case <-free:
		case <-gctx.Done():
			return cmp.Or(g.Wait(), context.Cause(gctx))
		}
		g.Go(func() error {
			defer func() { free <- struct{}{} }()
			lctx, done := context.WithCancel(gctx)
			defer done()
			defer context.AfterFunc(looking, func() {
				if isProven(t) {
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

// workers are as many as there may be layers inflated at the same time: one core is
// the upload's until that has ended.
func (v verification) workers(ctx context.Context, beside *sync.WaitGroup) chan struct{} {
	free := make(chan struct{}, v.cores)
	all := min(v.cores, maxInflaters)
	spare := max(1, min(v.cores-1, maxInflaters))
	for range spare {
		free <- struct{}{}
	}
	beside.Go(func() {
		select {
		case <-v.sent:
			for range all - spare {
				free <- struct{}{}
			}
		case <-ctx.Done():
		}
	})
	return free
}

func (t inflation) run(ctx context.Context) error {
	r, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return compress.Compare(ctx, t.check, r)
}
