package source

// Images of the local engine: asked about when they are opened, and handed out as an
// archive only when something has to be pushed.

import (
	"context"
	"errors"
	"fmt"
	"io"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/engine"
)

// openEngine is Open for a name in the local engine.
func openEngine(ctx context.Context, ref, name string, want image.Platform, o Options) (*Image, error) {
	m, err := inspectEngine(ctx, ref, name, want, o)
	if err != nil {
		if ctx.Err() == nil {
			err = elsewhere(name, fmt.Errorf("image %q: %w", ref, err))
		}
		return nil, err
	}
	return m, nil
}

func inspectEngine(ctx context.Context, ref, name string, want image.Platform, o Options) (*Image, error) {
	e, err := engine.Connect(ctx, o.Getenv)
	if err != nil {
		return nil, err
	}
	o.Logger.DebugContext(ctx, "engine", "api", e.Version.String(), "podman", e.Podman)
	in, err := e.Inspect(ctx, name)
	if err != nil {
		return nil, err
	}
	m := &Image{describe: image.Description{Kind: image.KindEngine, Ref: ref}, options: o}
	m.identity, m.certain, err = in.Describe(&m.describe, want, e.Podman)
	if err != nil {
		return nil, err
	}
	m.load = func(ctx context.Context, p *image.Meter) (*image.Content, error) {
		// By its ID: a name without a tag would hand out all tags of the
		// repository, and a tag may have moved since it was looked at.
		c, err := handedOut{m, e, in}.content(ctx, want, p)
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("image %q: %w", ref, err)
		}
		return c, err
	}
	m.outbox = engine.NewOutbox(e, in, m.describe.Digest)
	var why string
	if m.pushable, why = engine.NewPushable(e, in); why != "" {
		o.Logger.DebugContext(ctx, "the engine does not push through this task", "reason", why)
	}
	m.keep(e)
	return m, nil
}

// handedOut is an image that its engine hands out.
type handedOut struct {
	image  *Image
	engine *engine.Engine
	in     engine.Inspected
}

// content has the engine hand out the image and spools it. Layers are told of while
// they come: the classic store first prepares the whole archive, and then sends it for
// about a fifth to a half of the time.
func (h handedOut) content(ctx context.Context, want image.Platform, p *image.Meter) (*image.Content, error) {
	m := h.image
	t, err := h.export(ctx, m.arriving, p)
	if engine.Interrupted(err) && ctx.Err() == nil {
		// Once more, from its beginning, and into another file: layers may have been sent
		// from what had come, and are still read there.
		m.options.Logger.DebugContext(ctx, "the engine hands the image out again", "after", err.Error())
		t, err = h.export(ctx, nil, p)
	}
	if err != nil {
		return nil, err
	}
	c, _, err := openArchive(ctx, t.File, "", want)
	if errors.Is(err, errTruncated) {
		return nil, fmt.Errorf("the engine stopped after %d MB of the image", t.written>>20)
	}
	return c, err
}

// export has the engine hand out the image into a temporary file, and tells of its layers
// meanwhile where tell is not nil.
func (h handedOut) export(ctx context.Context, tell func(image.Layer), p *image.Meter) (*spool, error) {
	p.Stage(image.StageExport, h.in.Size, 0)
	t, err := newSpool(h.image.options.TempDirectory)
	if err != nil {
		return nil, err
	}
	h.image.keep(t)
	to := io.ReaderFrom(t)
	if tell != nil {
		to = newArrival(t, h.in, tell)
	}
	err = h.engine.Export(ctx, h.in.ID, to, p)
	if err == nil {
		if err = t.ending(); err != nil {
			err = fmt.Errorf("the engine stopped after %d MB of the image: %w", t.written>>20, err)
		}
	}
	if err != nil {
		if tell == nil {
			t.Truncate(0) // nobody reads it
		}
		return nil, err
	}
	return t, nil
}

// ending is the error with which an engine has ended the image, if it has.
func (s *spool) ending() error {
	tail := make([]byte, min(s.written, 16<<10))
	if _, err := s.ReadAt(tail, s.written-int64(len(tail))); err != nil {
		return err
	}
	return engine.Ending(tail)
}
