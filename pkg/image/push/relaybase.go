package push

// The base of a relayed image: an image that the engine has pulled, and whose layers
// are the first ones of the image. Its registry has them compressed, under digests
// that its manifest pairs with the layers, so that what ECR lacks of them is copied
// from there, or mounted where that is the same registry, and neither compressed
// here nor handed out. Where any of this is not possible, it is silent about it:
// there is another way.

import (
	"context"
	"fmt"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// baseCopies copies layers of the base while the engine pushes.
type baseCopies struct {
	find func() (map[v1.Hash]image.Blob, error) // by diffID; finds it once
	stop func()

	mu     sync.Mutex
	copies map[v1.Hash]*copying // by diffID
}

// copying is a layer of the base on its way to the repository.
type copying struct {
	done chan struct{}
	err  error
}

// supplied starts to copy the layer h from the base, unless that has begun, and
// returns it; nil when the base does not have it. h is what the layer unpacks to, or
// its digest in the base's registry.
func (r *relay) supplied(h v1.Hash) (*copying, v1.Descriptor) {
	layers, err := r.base.find()
	if err != nil {
		return nil, v1.Descriptor{}
	}
	b, ok := layers[h]
	diffID := h
	if !ok {
		for x, other := range layers {
			if other.Desc.Digest == h {
				b, diffID, ok = other, x, true
			}
		}
	}
	if !ok || !slices.Contains(r.pushable.DiffIDs, diffID) {
		return nil, v1.Descriptor{}
	}
	r.base.mu.Lock()
	defer r.base.mu.Unlock()
	c := r.base.copies[diffID]
	if c == nil {
		c = &copying{done: make(chan struct{})}
		r.base.copies[diffID] = c
		r.uploads.Go(func() error {
			defer close(c.done)
			if c.err = guard.Run(func() error { return r.copy(r.ctx, b, diffID) }); c.err != nil {
				r.push.log.DebugContext(r.ctx, "a layer of the base is not copied from its registry", "digest", b.Desc.Digest.String(), "registry", b.Host, "error", c.err)
			}
			return nil
		})
	}
	return c, b.Desc
}

// copyBase copies the layers of the base that the repository is not known to have:
// the engine does not push, but what comes from there need not be compressed here.
func (r *relay) copyBase() {
	known := r.look()
	for _, x := range r.pushable.DiffIDs {
		if _, ok := r.there.layer(x); !ok && known[x].Digest == (v1.Hash{}) {
			r.supplied(x)
		}
	}
}

// copy brings a layer from the base's registry into the repository.
func (r *relay) copy(ctx context.Context, b image.Blob, diffID v1.Hash) error {
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p := r.push
	q := p.progress.Part()
	p.progress.Grow(b.Desc.Size, 1)
	reused, err := p.client.Uploads().Blob(ctx, registry.Upload{Blob: b, Restart: q.Restart, Count: q.Moved})
	if err != nil {
		q.Restart()
		p.progress.Grow(-b.Desc.Size, -1)
		return fmt.Errorf("copy: %w", err)
	}
	r.there.arrived(b.Desc, diffID, reused)
	q.Finish(b.Desc.Size, image.LayerDone{Digest: b.Desc.Digest.String(), Size: b.Desc.Size, Reused: reused})
	return nil
}

// newBaseCopies finds the base once it is asked for. Looking into the engine costs no
// request of anybody else and starts at once.
func newBaseCopies(ctx context.Context, p *push) *baseCopies {
	o := p.image.Pushable()
	var platform image.Platform // as the engine says: loading the image reads it anew
	if all := p.image.Describe().Platforms; len(all) == 1 {
		platform = all[0]
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &baseCopies{copies: map[v1.Hash]*copying{}}
	var reference string
	var missing error
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		missing = guard.Run(func() (err error) {
			reference, err = o.Base(ctx)
			return err
		})
	}()
	s.find = sync.OnceValues(func() (layers map[v1.Hash]image.Blob, err error) {
		<-looked
		if err = missing; err == nil {
			layers, err = guard.Value(func() (map[v1.Hash]image.Blob, error) { return p.image.BaseLayers(ctx, reference, platform) })
		}
		p.log.DebugContext(ctx, "base of the image", "reference", reference, "layers", len(layers), "error", err)
		return layers, err
	})
	s.stop = func() { cancel(); <-looked }
	return s
}
