package push

// Layers that are compressed and sent while their engine still hands the image out. They
// come in the engine's order; what is not begun here, is sent when all is there.

import (
	"cmp"
	"context"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
)

// ahead is the layers that have been begun.
type ahead struct {
	sender    layers
	look      func() map[v1.Hash]v1.Descriptor
	elsewhere func(diffID v1.Hash) bool
	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup
	places    chan struct{} // one for each layer at a time

	mu    sync.Mutex
	begun map[v1.Hash]*aheadLayer
}

// aheadLayer is one of them. What came of it stands once done is closed.
type aheadLayer struct {
	done   chan struct{}
	part   *image.Part
	sent   bool // or it has failed; else it was not begun, since there is a better way
	desc   v1.Descriptor
	reused bool
	err    error
}

// startAhead has the image's layers sent as they come; nil where that would be too early:
// an image of which it is not certain which one it is may be there already.
func (p *push) startAhead(ctx context.Context, s State, d delivery) (*ahead, error) {
	free := !slices.ContainsFunc(s.Tags, func(t TagState) bool { return t.Status != TagFree })
	same := slices.ContainsFunc(s.Tags, func(t TagState) bool { return t.Status == TagSame })
	if p.image.Content() != nil || p.image.Describe().Kind != image.KindEngine || same || !free && !p.image.Certain() {
		return nil, nil
	}
	z, err := p.compressing()
	if err != nil {
		return nil, err
	}
	a := &ahead{
		sender: layers{p, d.there, z, nil}, look: d.look, elsewhere: p.elsewhere,
		places: make(chan struct{}, cmp.Or(p.options.Concurrency, 6)), begun: map[v1.Hash]*aheadLayer{},
	}
	a.ctx, a.cancel = context.WithCancel(ctx)
	p.image.Arriving(a.begin)
	return a, nil
}

// stop ends what has not been waited for.
func (a *ahead) stop() {
	if a != nil {
		a.cancel()
		a.running.Wait()
	}
}

// begin takes a layer that arrives.
func (a *ahead) begin(l image.Layer) {
	if _, ok := a.sender.there.layer(l.DiffID); ok {
		return
	}
	one := &aheadLayer{done: make(chan struct{}), part: image.NewPart()}
	a.mu.Lock()
	a.begun[l.DiffID] = one
	a.mu.Unlock()
	a.running.Go(func() {
		defer close(one.done)
		one.err = guard.Run(func() error { return a.run(l, one) })
	})
}

func (a *ahead) run(l image.Layer, one *aheadLayer) (err error) {
	if _, known := a.look()[l.DiffID]; known || a.elsewhere != nil && a.elsewhere(l.DiffID) {
		return nil
	}
	select {
	case a.places <- struct{}{}:
		defer func() { <-a.places }()
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	}
	one.sent = true
	one.desc, one.reused, err = a.sender.raw(a.ctx, l, one.part)
	return err
}

// take returns a layer that was begun, once.
func (a *ahead) take(diffID v1.Hash) *aheadLayer {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.begun[diffID]
	delete(a.begun, diffID)
	return one
}

// wait waits for the layer; sent is false where it is still to be sent.
func (one *aheadLayer) wait(ctx context.Context) (sent bool, err error) {
	select {
	case <-one.done:
		return one.sent, one.err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}
