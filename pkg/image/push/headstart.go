package push

// The largest blob decides when a push ends, so its upload is opened while it is
// still being found out whether there is anything to push.

import (
	"context"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// headStart is what a push does ahead of knowing that it is needed: it lists the
// blobs of an image that lies in a registry, and opens the upload of the largest
// blob, where that is known without asking an engine. It takes no more than two
// requests of the target, and a session that is left to expire if it is not
// needed after all. What goes wrong here goes wrong again where it counts.
type headStart struct {
	cancel context.CancelFunc

	listed  chan struct{} // closed when content or err is set, or neither will be
	content *image.Content
	err     error

	done   chan struct{} // closed when opened is set, or will not be
	digest v1.Hash       // of the largest blob; set before listed is closed
	asked  bool          // whether opened also says if the blob is there
	opened *registry.Opening
	taken  atomic.Bool
}

// startEarly starts it.
func startEarly(ctx context.Context, p *push) *headStart {
	ctx, cancel := context.WithCancel(ctx)
	h := &headStart{cancel: cancel, listed: make(chan struct{}), done: make(chan struct{}), content: p.image.Content(), asked: p.options.Available == nil}
	go func() {
		defer close(h.done)
		if h.content == nil && p.image.Describe().Kind == image.KindRegistry {
			h.content, h.err = guard.Value(func() (*image.Content, error) { return p.image.Fetch(ctx, p.progress) })
		}
		first, ok := largest(h.content)
		ok = ok && first.Desc.Size >= registry.EagerSize && first.Host != p.client.Repo.RegistryStr()
		if ok {
			h.digest = first.Desc.Digest
		}
		close(h.listed)
		if !ok {
			return
		}
		if o, err := guard.Value(func() (registry.Opening, error) { return p.client.Uploads().Begin(ctx, first.Desc, "", h.asked) }); err == nil {
			h.opened = &o
		}
	}()
	return h
}

// stop ends what is not needed any more.
func (h *headStart) stop() {
	h.cancel()
	<-h.done
}

// loaded is the image's own, with the work that is already done.
func (h *headStart) loaded(ctx context.Context, p *push) (*image.Content, error) {
	<-h.listed
	if h.err != nil {
		return nil, h.err
	}
	if p.image.Content() == nil && h.content != nil {
		p.image.Use(h.content)
	}
	return p.image.Loaded(ctx, p.progress)
}

// take returns how the upload of a blob has begun, once, and nil if it has not, or
// if nobody has asked for the blob, which is not known to be absent.
func (h *headStart) take(ctx context.Context, digest v1.Hash, absent bool) *registry.Opening {
	if h == nil || h.digest != digest || !h.asked && !absent || h.taken.Swap(true) {
		return nil
	}
	select {
	case <-h.done:
		return h.opened
	case <-ctx.Done():
		return nil
	}
}

// largest is the content's largest blob, if its blobs are known as they are to be
// stored.
func largest(c *image.Content) (b image.Blob, ok bool) {
	if c == nil || c.Unbuilt != nil {
		return b, false
	}
	for _, other := range c.Blobs {
		if !ok || other.Desc.Size > b.Desc.Size {
			b, ok = other, true
		}
	}
	return b, ok
}
