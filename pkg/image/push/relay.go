package push

// Relaying: an engine of the classic store, or podman, pushes to a registry inside
// this process, which sends on what ECR lacks. The engine knows under which digests
// its layers were pulled and asks for those first, so that a base that ECR has costs
// one request a layer, where handing the image out costs reading all of it.
//
// The engine's manifest says which digest belongs to which layer of the config. It
// is evidence, not what is stored: the manifest that is stored is written here, as
// for any image without one. A pair is believed where the layer came through here
// and was unpacked; where it is proven in the repository; and where the engine says
// so of a blob that ECR has, since it keeps the digest of a layer only when it has
// unpacked the blob, or has packed the layer, itself (moby, distribution,
// v2_metadata_service.go).

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

// relay is the store behind the registry that an engine pushes to.
type relay struct {
	push     *push
	there    *inventory
	look     func() map[v1.Hash]v1.Descriptor // waits for what the repository has proven
	pushable *engine.Pushable

	base *baseCopies // layers of the base

	uploads image.Group
	ctx     context.Context // of the uploads, which outlast the registry
	places  chan struct{}   // one for each upload at a time

	mu       sync.Mutex
	asked    map[v1.Hash]*question
	assumed  map[v1.Hash]bool    // said to be there, to learn which layer it is
	wanted   map[v1.Hash]bool    // not to be said to be there again
	received map[v1.Hash]v1.Hash // by digest: what it unpacks to
	raw      []byte              // the config
	manifest *image.Manifest
	alive    func() // called when the engine does something; nil before its push
	last     bool   // no further push is to be made: nothing is assumed
}

// question is what ECR was asked about a blob.
type question struct {
	done chan struct{}
	desc v1.Descriptor
	ok   bool
}

var _ engine.Relay = (*relay)(nil)

func newRelay(ctx context.Context, p *push, d delivery) *relay {
	r := &relay{
		push: p, there: d.there, look: d.look, pushable: p.image.Pushable(),
		places: make(chan struct{}, cmp.Or(p.options.Concurrency, 6)),
		asked:  map[v1.Hash]*question{}, assumed: map[v1.Hash]bool{}, wanted: map[v1.Hash]bool{}, received: map[v1.Hash]v1.Hash{},
	}
	r.uploads, r.ctx = image.NewGroup(ctx)
	r.base = newBaseCopies(r.ctx, p)
	return r
}

// Has says what the engine need not send. Podman asks by what a layer unpacks to,
// Docker by the digests that it has pulled or pushed the layer with.
func (r *relay) Has(ctx context.Context, h v1.Hash) (size int64, ok bool) {
	r.moved()
	defer r.moved()
	if h == r.pushable.Config {
		return 0, false // it is small, and wanted here
	}
	if slices.Contains(r.pushable.DiffIDs, h) {
		d, ok := r.stored(ctx, h)
		if !ok && !r.failed(h) {
			var c *copying
			c, d = r.supplied(h)
			ok = c != nil
		}
		return d.Size, ok
	}
	r.mu.Lock()
	wanted, assumed := r.wanted[h], r.assumed[h]
	r.mu.Unlock()
	if wanted || assumed {
		return 0, assumed && !wanted
	}
	if q := r.ask(ctx, h); q.ok {
		return q.desc.Size, true
	}
	// The repository may have the layer under another digest. Which layer it is, the
	// engine's manifest says.
	known := r.look()
	r.mu.Lock()
	assume := !r.last && slices.ContainsFunc(r.pushable.DiffIDs, func(x v1.Hash) bool { _, ok := known[x]; return ok })
	if assume {
		r.assumed[h] = true
	}
	r.mu.Unlock()
	if assume {
		return 0, true
	}
	c, d := r.supplied(h)
	return d.Size, c != nil
}

// failed says whether copying a layer from the base has failed.
func (r *relay) failed(diffID v1.Hash) bool {
	r.base.mu.Lock()
	c := r.base.copies[diffID]
	r.base.mu.Unlock()
	if c == nil {
		return false
	}
	select {
	case <-c.done:
		return c.err != nil
	default:
		return false
	}
}

// stored is how the repository has a raw layer, if that is proven.
func (r *relay) stored(ctx context.Context, diffID v1.Hash) (v1.Descriptor, bool) {
	if d, ok := r.there.layer(diffID); ok {
		return d, true
	}
	d, ok := r.look()[diffID]
	if !ok || !r.ask(ctx, d.Digest).ok {
		return d, false
	}
	r.there.arrived(d, diffID, true)
	return d, true
}

// ask asks ECR for a blob, once.
func (r *relay) ask(ctx context.Context, h v1.Hash) *question {
	r.mu.Lock()
	q := r.asked[h]
	first := q == nil
	if first {
		q = &question{done: make(chan struct{})}
		r.asked[h] = q
	}
	r.mu.Unlock()
	if first {
		if err := guard.Run(func() error { r.find(ctx, h, q); return nil }); err != nil {
			q.ok = false
		}
		close(q.done)
	}
	<-q.done
	return q
}

// find answers a question. What goes wrong means that the blob is sent.
func (r *relay) find(ctx context.Context, h v1.Hash, q *question) {
	c := r.push.client
	var size int64
	err := c.Persist(ctx, "layer "+h.String(), func(ctx context.Context) (err error) {
		size, q.ok, err = c.Uploads().Stat(ctx, h)
		return err
	})
	q.desc = v1.Descriptor{Digest: h, Size: size}
	if q.ok = q.ok && err == nil && size >= 0; !q.ok {
		return
	}
	for _, d := range r.look() {
		if d.Digest == h {
			q.desc = d
			return
		}
	}
	// Docker calls every layer gzipped.
	is, err := formatThere(ctx, c, q.desc)
	switch is {
	case image.FormatGzip:
	case image.FormatZstd:
		q.desc.MediaType = types.OCILayerZStd
	default:
		r.push.log.DebugContext(ctx, "a blob of the repository is not used as a layer", "digest", h.String(), "format", is.String(), "error", err)
		q.ok = false
	}
}

// formatThere says how a blob of the repository is compressed, by its beginning.
func formatThere(ctx context.Context, c *registry.Client, d v1.Descriptor) (image.Format, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Stall, registry.ErrStalled)
	defer cancel()
	b, err := c.OpenBlob(ctx, d)
	if err != nil {
		return image.FormatUnknown, err
	}
	defer b.Close()
	head := make([]byte, image.TarBlock)
	n, err := io.ReadFull(b, head)
	if err == io.ErrUnexpectedEOF {
		err = nil
	}
	return image.Sniff(head[:n]), err
}

// Accept takes the config or a layer. What is complete is uploaded in the
// background, so that the engine waits for nobody but this machine.
func (r *relay) Accept(ctx context.Context, from io.Reader) (v1.Descriptor, error) {
	head := make([]byte, 1)
	if _, err := io.ReadFull(from, head); err != nil {
		return v1.Descriptor{}, err
	}
	from = io.MultiReader(bytes.NewReader(head), from)
	if head[0] == '{' { // neither a tar file nor a compressed one begins so
		return r.acceptConfig(from)
	}
	file, err := r.push.image.Spool()
	if err != nil {
		return v1.Descriptor{}, err
	}
	t := newSpoolFile(file)
	r.uploads.Go(func() error { return r.upload(r.ctx, t) })

	unpacked := make(chan error, 1)
	var diffID v1.Hash
	go func() {
		unpacked <- guard.Run(func() (err error) {
			back := t.reader(ctx, false)
			defer back.Close()
			diffID, err = compress.Unpack(ctx, back, 0)
			return err
		})
	}()
	_, err = io.CopyBuffer(struct{ io.Writer }{t}, readFunc(func(b []byte) (int, error) {
		n, err := from.Read(b)
		r.moved()
		return n, err
	}), make([]byte, 256<<10))
	t.end(err)
	if bad := <-unpacked; err == nil {
		err = bad
	}
	if err == nil && !slices.Contains(r.pushable.DiffIDs, diffID) {
		err = fmt.Errorf("the layer unpacks to %s, which is none of the image's layers", diffID)
	}
	t.settle(diffID, err)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d := t.desc()
	r.mu.Lock()
	r.received[d.Digest] = diffID
	r.mu.Unlock()
	return d, nil
}

// upload sends a layer to ECR while it comes. Only a full disk, or ECR, can make it
// fail: an engine begins a layer that it did not complete again.
func (r *relay) upload(ctx context.Context, t *spoolFile) error {
	defer t.file.Close()
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	case <-ctx.Done():
		return nil
	}
	p := r.push
	q := p.progress.Part()
	p.progress.Grow(0, 1)
	grown := int64(0)
	desc, reused, err := r.send(ctx, t, q.Restart, func(n int) {
		p.progress.Grow(int64(n), 0)
		grown += int64(n)
		q.Moved(n)
	})
	if err != nil {
		q.Restart()
		p.progress.Grow(-grown, -1)
		full, isFull := errors.AsType[*source.DiskFullError](err)
		switch {
		case isFull:
			return full
		case t.failure() != nil || ctx.Err() != nil:
			return nil
		}
		return err
	}
	p.progress.Grow(desc.Size-grown, 0)
	if t.format() == image.FormatZstd {
		desc.MediaType = types.OCILayerZStd
	}
	r.there.arrived(desc, t.diffID, reused)
	q.Finish(desc.Size, image.LayerDone{Digest: desc.Digest.String(), Size: desc.Size, Reused: reused})
	return nil
}

// send sends what is on a spool file, from its beginning at every try.
func (r *relay) send(ctx context.Context, t *spoolFile, restart func(), count func(int)) (desc v1.Descriptor, reused bool, err error) {
	c := r.push.client
	var known *v1.Descriptor // once the layer was read to its end
	err = c.Persist(ctx, "layer of the engine", func(ctx context.Context) error {
		restart()
		from := t.reader(ctx, true)
		defer from.Close()
		lead := new(bytes.Buffer)
		switch _, err := io.CopyN(lead, from, cmp.Or(r.push.options.lead, compress.LeadSize)); {
		case err == io.EOF:
			desc = v1.Descriptor{Digest: image.DigestOf(lead.Bytes()), Size: int64(lead.Len())}
			b := image.Blob{Desc: desc, Open: image.BytesOpener(lead.Bytes())}
			var err error
			if reused, err = c.Uploads().Blob(ctx, registry.Upload{Blob: b, Count: count}); err != nil {
				return image.FinalError{Err: err} // it has had its tries
			}
			return nil
		case err != nil:
			return err
		}
		all := struct {
			io.Reader
			io.Closer
		}{io.MultiReader(lead, from), from}
		if known, err = c.Uploads().Stream(ctx, all, known, count); err != nil {
			return err
		}
		desc = *known
		return nil
	})
	return desc, reused, err
}

// format is how the layer is compressed.
func (t *spoolFile) format() image.Format {
	head := make([]byte, image.TarBlock)
	n, _ := t.file.ReadAt(head, 0)
	return image.Sniff(head[:n])
}

func (r *relay) acceptConfig(from io.Reader) (v1.Descriptor, error) {
	raw, err := image.ReadSmall(from, image.MaxConfig)
	if err != nil {
		return v1.Descriptor{}, err
	}
	config := v1.Descriptor{Digest: image.DigestOf(raw), Size: int64(len(raw))}
	r.mu.Lock()
	before := r.raw
	if before == nil {
		r.raw = raw
	}
	r.mu.Unlock()
	switch {
	case before == nil:
		r.uploads.Go(func() error { return r.push.relayConfig(r.ctx, r.there, config, raw) })
	case !bytes.Equal(before, raw):
		return v1.Descriptor{}, errors.New("the image has one config, and this is another one")
	}
	return config, nil
}

// relayConfig sends the config.
func (p *push) relayConfig(ctx context.Context, there *inventory, config v1.Descriptor, raw []byte) error {
	q := p.progress.Part()
	p.progress.Grow(config.Size, 1)
	_, reused, err := p.blob(ctx, there, image.Blob{Desc: config, Open: image.BytesOpener(raw)}, nil, q)
	if err != nil {
		if q.Restart(); ctx.Err() != nil {
			return nil
		}
		return err
	}
	there.arrived(config, v1.Hash{}, reused)
	q.Finish(config.Size, image.LayerDone{Digest: config.Digest.String(), Size: config.Size, Reused: reused})
	return nil
}

// Manifest takes what the engine ends its push with.
func (r *relay) Manifest(_ context.Context, mediaType string, raw []byte) error {
	m, _, err := image.ParseManifest(raw, types.MediaType(mediaType))
	if err != nil {
		return fmt.Errorf("the engine's manifest %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifest = &m
	return nil
}

// Conclude makes an image of what the engine has pushed. missing are digests of
// layers that are nowhere.
func (r *relay) Conclude(ctx context.Context) (u *image.Unbuilt, missing []v1.Hash, err error) {
	r.mu.Lock()
	m, raw := r.manifest, r.raw
	r.mu.Unlock()
	if m == nil || m.Config == nil || raw == nil || m.Config.Digest != image.DigestOf(raw) {
		return nil, nil, errors.New("the engine ended its push without a config and its manifest")
	}
	config, err := image.ReadConfig(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("the config from the engine %w", err)
	}
	if !slices.Equal(config.DiffIDs, r.pushable.DiffIDs) || len(m.Layers) != len(r.pushable.DiffIDs) {
		return nil, nil, errors.New("the engine pushed another image than it was asked to")
	}
	u = &image.Unbuilt{Config: raw}
	never := func(context.Context) (io.ReadCloser, error) { return nil, errors.New("the layer is not here") }
	unpacked := map[v1.Hash]v1.Hash{}
	for i, d := range m.Layers {
		l := image.Layer{DiffID: r.pushable.DiffIDs[i], Size: d.Size, Format: image.FormatGzip, Open: never}
		if before, seen := unpacked[d.Digest]; seen && before != l.DiffID {
			return nil, nil, fmt.Errorf("the engine takes %s for two different layers", d.Digest)
		}
		unpacked[d.Digest] = l.DiffID
		if image.IsForeign(d) {
			l.Known, l.Open = &d, nil
		} else if ok, err := r.settle(ctx, d.Digest, l.DiffID); err != nil {
			return nil, nil, err
		} else if !ok {
			missing = append(missing, d.Digest)
		}
		u.Layers = append(u.Layers, l)
	}
	return u, missing, nil
}

// settle sees to it that a layer is in the repository, or on its way there.
func (r *relay) settle(ctx context.Context, h, diffID v1.Hash) (bool, error) {
	r.mu.Lock()
	got, received := r.received[h]
	q := r.asked[h]
	r.mu.Unlock()
	switch {
	case received && got != diffID:
		return false, fmt.Errorf("the engine takes %s for the layer %s, but it unpacks to %s", h, diffID, got)
	case received:
		return true, nil
	}
	if _, ok := r.stored(ctx, diffID); ok {
		return true, nil
	}
	if q == nil || h == diffID {
		return r.copied(diffID), nil
	}
	for x, d := range r.look() {
		if d.Digest == h && x != diffID {
			return false, nil // the repository has proof of something else
		}
	}
	if <-q.done; q.ok {
		r.there.arrived(q.desc, diffID, true)
		return true, nil
	}
	return r.copied(diffID), nil
}

// copied waits for a layer that comes from the base, and says whether it has come.
func (r *relay) copied(diffID v1.Hash) bool {
	c, _ := r.supplied(diffID)
	if c == nil {
		return false
	}
	<-c.done
	return c.err == nil
}

// copiedHere says whether a layer was copied from the base.
func (r *relay) copiedHere(diffID v1.Hash) bool {
	r.base.mu.Lock()
	defer r.base.mu.Unlock()
	return r.base.copies[diffID] != nil
}

// Familiar says whether the repository, or the base's registry, has any of the layers.
func (r *relay) Familiar() bool {
	known := r.look()
	if slices.ContainsFunc(r.pushable.DiffIDs, func(x v1.Hash) bool { _, ok := known[x]; return ok }) {
		return true
	}
	_, err := r.base.find()
	return err == nil
}

// readFunc is a reader.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// Tell names what is called when the engine does something.
func (r *relay) Tell(alive func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alive = alive
}

// moved notes that the engine does something.
func (r *relay) moved() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alive != nil {
		r.alive()
	}
}

// came says whether the engine has sent a layer.
func (r *relay) came(diffID v1.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.received {
		if x == diffID {
			return true
		}
	}
	return false
}

// Again prepares a second push, in which the engine sends what is missing.
func (r *relay) Again(missing []v1.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.manifest = true, nil
	for _, h := range missing {
		r.wanted[h] = true
	}
}

// relayed has the engine push through here if that is better; ok says that the image
// is stored. What has arrived is in the inventory for the other way, once rest has
// returned: layers of the base may still be on their way.
func (p *push) relayed(ctx context.Context, s *State, d delivery) (res Result, rest func(context.Context) error, ok bool, err error) {
	rest = func(context.Context) error { return nil }
	o := p.image.Pushable()
	if o == nil || p.image.Content() != nil || p.options.Compression == compress.Zstd || p.options.LazyLoading || slices.ContainsFunc(s.Tags, func(t TagState) bool { return t.Status == TagSame }) {
		return Result{}, rest, false, nil
	}
	if taken(*s, p.target, p.image) != nil {
		return Result{}, rest, false, nil // found out for sure on the other way
	}
	p.progress.Stage(image.StageUpload, 0, 0)
	rctx, cancel := context.WithCancel(ctx)
	r := newRelay(rctx, p, d)
	u, err := o.Through(r.ctx, r, p.client.Stall, p.log)
	if err != nil && r.ctx.Err() == nil {
		p.log.InfoContext(ctx, "exporting the image, since the engine cannot push it through this task", "reason", err)
		p.elsewhere = func(diffID v1.Hash) bool {
			layers, err := r.base.find()
			_, ok := layers[diffID]
			return ok && err == nil
		}
		return Result{}, func(ctx context.Context) error {
			defer cancel()
			defer r.base.stop()
			defer context.AfterFunc(ctx, cancel)()
			r.copyBase()
			if err := r.uploads.Wait(); err != nil {
				return p.explain(err)
			}
			return nil
		}, false, nil
	}
	defer cancel()
	defer r.base.stop()
	failed := r.uploads.Wait()
	switch {
	case ctx.Err() != nil:
		return Result{}, rest, false, context.Cause(ctx)
	case failed != nil: // ECR's or the disk's fault, which the other way would meet too
		return Result{}, rest, false, p.explain(failed)
	case err != nil:
		return Result{}, rest, false, err
	}
	if !p.image.Certain() {
		p.image.Confirm(image.DigestOf(u.Config))
		if res, ok, err := p.settled(ctx, s); ok {
			return res, rest, err == nil, err
		}
	}
	p.foresee(ctx, &image.Content{Configs: []image.ConfigSummary{{DiffIDs: o.DiffIDs}}})
	res, ok, err = p.conclude(ctx, s, r, u)
	return res, rest, ok, err
}

// conclude stores the manifest of a relayed image, whose blobs are all there.
func (p *push) conclude(ctx context.Context, s *State, r *relay, u *image.Unbuilt) (Result, bool, error) {
	there := r.there
	for _, l := range u.Uploads() {
		if d, _ := there.layer(l.DiffID); !r.came(l.DiffID) && !r.copiedHere(l.DiffID) {
			p.progress.Grow(d.Size, 1)
			p.progress.Part().Finish(d.Size, image.LayerDone{Digest: d.Digest.String(), Size: d.Size, Reused: true})
		}
	}
	documents, err := writeManifest(u, there)
	if err != nil {
		p.log.InfoContext(ctx, "exporting the image, since the engine did not push all of it", "reason", err)
		return Result{}, false, nil
	}
	res, err := p.publish(ctx, *s, documents)
	if err != nil && there.lost(err) {
		p.log.InfoContext(ctx, "layers are missing from the repository; exporting the image to upload them again", "error", err)
		return Result{}, false, nil
	}
	return res, err == nil, err
}
