package push

// Push: layers first, several at a time and the largest before the others, then
// manifests, then tags.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

// Target is where an image goes.
type Target struct {
	// Repository is host/name.
	Repository string
	// Tags are the tags to set, the first of which Result.URI has; with none,
	// the image is pushed by its digest.
	Tags []string
	// Auth gives the credentials and is asked again when they are refused once;
	// a Renewer is told before. Nil is anonymous.
	Auth authn.Authenticator
	// Transport carries the requests; nil is NewTransport's for the system's
	// roots. With one that is not NewTransport's, no engine pushes by itself.
	Transport http.RoundTripper
	// Immutable says which tags can never change once they are set; nil says
	// that all can.
	Immutable func(tag string) bool
	// Insecure speaks plain HTTP if the registry does. Registries on this
	// machine need no saying so.
	Insecure bool
}

// access is how the target's repository is reached.
func (t Target) access(stall time.Duration, log *slog.Logger) registry.Access {
	return registry.Access{Repository: t.Repository, Auth: t.Auth, Transport: t.Transport, Insecure: t.Insecure, Stall: stall, Log: log}
}

// Options adjust a push. The zero value is good.
type Options struct {
	// State is what Check found, if it is fresh; nil has Push check itself.
	State *State
	// Base names an image of the repository that probably has layers in common
	// with this one, such as the one that runs now: layers it has are neither
	// compressed nor sent. It is asked once at most, and only if it can save
	// something; nil, a zero Base and an error mean that there is none.
	//
	// The digest of a manifest that Push writes may depend on the base, since
	// another tool, or another level, may have compressed its layers; the image
	// ID never does.
	Base func(ctx context.Context) (Base, error)
	// Available says which blobs the repository has, all in one call; nil, a
	// digest it does not answer about, and an error have the registry asked
	// about each. What it says may be wrong: a blob that turns out not to be
	// there is sent.
	Available func(ctx context.Context, digests []string) (map[string]bool, error)
	// Compression is what layers are compressed with that are not yet; empty is
	// Gzip. Layers that are, or that the repository has, stay as they are.
	Compression compress.Compression
	// Referrers has what refers to the image in its source travel with it, as OCI
	// 1.1 and cosign attach it: signatures, SBOMs, attestations. Archives of an
	// engine have none.
	Referrers bool
	// Concurrency is how many layers are in flight; 0 is 6.
	Concurrency int
	// StallTimeout is how long an upload may move no bytes before it is
	// cancelled and tried again; 0 is a minute.
	StallTimeout time.Duration
	// Progress is called every ProgressInterval (0 is five seconds) and after
	// every layer, never twice at the same time. It must not block for long.
	Progress         func(image.Progress)
	ProgressInterval time.Duration
	// Logger is told of retries; nil is silent.
	Logger *slog.Logger

	// LazyLoading writes a SOCI index for the layers that are compressed here, or that an
	// earlier push has described, so that AWS Fargate can start a task before the image is
	// complete. What the tags point to is an index of the image and the SOCI index then. It
	// takes Gzip, and has no effect on images that go to the registry as they are.
	LazyLoading bool

	lead    int64 // of layers that are compressed; 0 is compress.LeadSize
	indexed int64 // the least size of a layer in a SOCI index; 0 is soci.MinLayerSize
}

// Base is an image in the repository.
type Base struct {
	Reference string // its tag or digest; empty where there is none
	// Proven says that an engine has unpacked exactly this image: it runs, and the
	// reference is the digest that it runs by. Without it, only those layers are
	// reused of which the manifest proves that this package has verified them.
	Proven bool
	// Platform is the one that it runs on, where that is known. Of an index with several
	// images an engine has unpacked only the one for it.
	Platform image.Platform
}

// Result is what a push did.
type Result struct {
	// Digest and MediaType are of the manifest or index that the tags point to.
	Digest, MediaType string
	// URI pulls the image: host/name:tag by the first tag, or host/name@digest
	// when there is none.
	URI string
	// AlreadyThere says that nothing was pushed, since every tag had the image.
	AlreadyThere bool
	// Layers counts the layers and configs that the image needs in the
	// registry, Reused those that were there. Both are 0 when AlreadyThere.
	Layers, Reused int
	// SentBytes went over the wire, retries included; ReusedBytes did not.
	SentBytes, ReusedBytes int64
	// Referrers counts what was pushed that refers to the image.
	Referrers int
	// Lazy is the SOCI index that was written with the image; nil where there is none.
	Lazy     *LazyLoading
	Duration time.Duration
}

// Push brings an image into a repository. What the registry has is not sent
// again; a push that was interrupted goes on at the layer where it was.
//
// Errors with a type of their own: *TagTakenError, *DeniedError, *NotFoundError
// (the repository), *DiskFullError, *PlatformError, *LayerError, *InsecureError,
// *RefusedError. Where something can be done about one, it has a method Hint.
func Push(ctx context.Context, m *source.Image, t Target, o Options) (Result, error) {
	start := time.Now()
	stall := cmp.Or(o.StallTimeout, registry.DefaultStall)
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c, err := registry.NewClient(t.access(stall, log))
	if err != nil {
		return Result{}, err
	}
	p := image.NewMeter(o.Progress, cmp.Or(o.ProgressInterval, 5*time.Second))
	defer p.Close()

	one := &push{client: c, image: m, target: t, options: o, progress: p, log: log}
	one.lazy.made = map[v1.Hash]v1.Descriptor{}
	r, err := one.run(ctx)
	if err != nil {
		return Result{}, err
	}
	if !r.AlreadyThere {
		r.Lazy = one.lazy.done
	}
	if r.Referrers, err = accompany(ctx, one); err != nil {
		return Result{}, err
	}
	r.Duration = time.Since(start)
	r.URI = c.Repository() + "@" + r.Digest
	if len(t.Tags) > 0 {
		r.URI = c.Repository() + ":" + t.Tags[0]
	}
	return r, nil
}

// push is one call of Push.
type push struct {
	client   *registry.Client
	image    *source.Image
	target   Target
	options  Options
	progress *image.Meter
	log      *slog.Logger

	compressor *compress.Compressor // see compressing
	lazy       lazy
	// elsewhere says of a layer that it comes from somewhere else than the image; nil is
	// never.
	elsewhere func(diffID v1.Hash) bool
}

// compressing is the compressor of all layers of the push, so that its memory is that
// of one.
func (p *push) compressing() (z *compress.Compressor, err error) {
	if p.compressor == nil {
		p.compressor, err = compress.New(p.options.Compression, p.options.lead)
	}
	return p.compressor, err
}

// maxRepairs is how often blobs that have vanished are sent before a push gives
// up.
const maxRepairs = 2

func (p *push) run(ctx context.Context) (Result, error) {
	var s State
	given := p.options.State
	checked := given != nil && slices.EqualFunc(given.Tags, p.target.Tags, func(t TagState, tag string) bool { return t.Tag == tag })
	if checked {
		s = State{Tags: slices.Clone(given.Tags)}
		p.client.Unknown.Store(given.unknown)
		if r, ok, err := p.settled(ctx, &s); ok {
			return r, err
		}
	}
	early := startEarly(ctx, p)
	defer early.stop()
	if !checked {
		var err error
		if s, err = readTags(ctx, p.client, p.target.Tags); err != nil {
			return Result{}, err
		}
		if r, ok, err := p.settled(ctx, &s); ok {
			return r, err
		}
	}
	if r, ok, err := p.byEngine(ctx, s); ok || err != nil {
		return r, err
	}
	d := p.prepare(ctx, s, early)
	defer d.forget()
	done, rest, ok, err := p.relayed(ctx, &s, d)
	if ok || err != nil {
		return done, err
	}
	defer func() { d.ahead.stop() }()
	if err := p.load(ctx, s, &d, rest); err != nil {
		return Result{}, err
	}
	if r, ok, err := p.settled(ctx, &s); ok { // an engine's image is known for sure now
		return r, err
	}
	if i := slices.IndexFunc(s.Tags, func(t TagState) bool { return t.Status == TagSame }); i >= 0 {
		// One tag has the image: the others need no more than its manifest.
		have := s.Tags[i].have
		return p.publish(ctx, s, []image.Document{{Desc: have.Desc, Raw: have.Raw}})
	}
	return p.deliver(ctx, s, d)
}

// delivery is what a push brings, and what is known of the repository.
type delivery struct {
	content *image.Content
	there   *inventory
	early   *headStart
	ahead   *ahead // layers that were begun while the engine handed the image out; may be nil
	// look waits for what is known of how layers are stored, and forget ends looking
	// for it.
	look   func() map[v1.Hash]v1.Descriptor
	forget func()
	// proven says how layers are stored of which it is proven what they unpack to; nil
	// where nothing is left to be proven.
	proven func(context.Context) map[v1.Hash]v1.Descriptor
}

// prepare begins to find out what can be reused, while an engine pushes the image or
// hands it out.
func (p *push) prepare(ctx context.Context, s State, early *headStart) delivery {
	r := delivery{there: newInventory(), early: early, forget: func() {}}
	r.look = func() map[v1.Hash]v1.Descriptor { return nil }
	d := p.image.Describe() // changes when it is loaded
	ahead := d.Kind != image.KindRegistry && (p.image.Content() == nil || p.image.Content().Compresses())
	if ahead {
		r.look, r.forget = p.lookAhead(ctx, s, d)
	}
	r.proven = func(ctx context.Context) map[v1.Hash]v1.Descriptor {
		if ahead || p.client.Unknown.Load() {
			return r.look()
		}
		return knownLayers(ctx, p, s, d)
	}
	return r
}

// lookAhead looks for layers to reuse, in a goroutine of its own.
func (p *push) lookAhead(ctx context.Context, s State, d image.Description) (look func() map[v1.Hash]v1.Descriptor, forget func()) {
	s.Tags = slices.Clone(s.Tags)
	ctx, cancel := context.WithCancel(ctx)
	var stored map[v1.Hash]v1.Descriptor
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := guard.Run(func() error { stored = knownLayers(ctx, p, s, d); return nil }); err != nil {
			p.log.InfoContext(ctx, "no layers to reuse", "error", err)
		}
	}()
	return func() map[v1.Hash]v1.Descriptor { <-done; return stored }, func() { cancel(); <-done }
}

// load loads the image. rest is what is still to be done meanwhile.
func (p *push) load(ctx context.Context, s State, d *delivery, rest func(context.Context) error) (err error) {
	if d.ahead, err = p.startAhead(ctx, s, *d); err != nil {
		return err
	}
	g, gctx := image.NewGroup(ctx)
	g.Go(func() (err error) { d.content, err = d.early.loaded(gctx, p); return err })
	g.Go(func() error { return rest(gctx) })
	return g.Wait()
}

// deliver uploads the blobs and stores the manifests. Blobs that turn out to have
// vanished are sent again.
func (p *push) deliver(ctx context.Context, s State, d delivery) (Result, error) {
	p.idle(ctx, d.content)
	p.foresee(ctx, d.content)
	takeStock(ctx, p, d.there, d.content, d.look())
	for repairs := 0; ; repairs++ {
		documents, err := p.transfer(ctx, d)
		if err != nil {
			return Result{}, p.explain(err)
		}
		r, err := p.publish(ctx, s, documents)
		if err == nil || repairs == maxRepairs || !d.there.lost(err) {
			return r, err
		}
		p.log.InfoContext(ctx, "layers are missing from the repository; uploading them again", "error", err)
		d.proven = nil
	}
}

// transfer uploads the blobs, and checks meanwhile that the layers are those of
// the image.
func (p *push) transfer(ctx context.Context, d delivery) (documents []image.Document, err error) {
	g, gctx := image.NewGroup(ctx)
	sent := make(chan struct{})
	if d.proven != nil {
		g.Go(func() error { return newVerification(d.content, d.proven, sent).run(gctx) })
	}
	g.Go(func() (err error) {
		defer close(sent)
		documents, err = p.blobs(gctx, d)
		return err
	})
	err = g.Wait()
	return documents, err
}

// idle says so if a compression is asked for that has nothing to do.
func (p *push) idle(ctx context.Context, c *image.Content) {
	raw := func(l image.Layer) bool { return l.Known == nil && l.Format == image.FormatTar }
	if p.options.Compression == compress.Zstd && (c.Unbuilt == nil || !slices.ContainsFunc(c.Unbuilt.Layers, raw)) {
		p.log.InfoContext(ctx, "the layers of the image go to the registry as they are: compression zstd has no effect")
	}
	if p.options.LazyLoading && c.Unbuilt == nil {
		p.log.InfoContext(ctx, "the layers of the image go to the registry as they are: lazyLoading has no effect")
	}
}

// manyLayers is how many layers every engine can mount; Docker's own bound.
const manyLayers = 125

// foresee says before the upload what ECR or an engine may refuse after it.
func (p *push) foresee(ctx context.Context, c *image.Content) {
	most := 0
	for _, s := range c.Configs {
		most = max(most, len(s.DiffIDs))
	}
	if most > manyLayers {
		p.log.WarnContext(ctx, fmt.Sprintf("the image has %d layers: Docker mounts %d at most, and ECR limits them, too; merge layers, for instance with a multi-stage build", most, manyLayers))
	}
}

// byEngine has the engine push the image if that is better; ok says that it
// did. Requests that the caller wants to carry himself cannot be the engine's.
func (p *push) byEngine(ctx context.Context, s State) (r Result, ok bool, err error) {
	o := p.image.Outbox()
	if o == nil || p.image.Content() != nil || !p.client.Direct || p.target.Insecure || len(s.Tags) == 0 ||
		slices.ContainsFunc(s.Tags, func(t TagState) bool { return t.Status == TagSame }) || taken(s, p.target, p.image) != nil {
		return Result{}, false, nil
	}
	err = o.Push(ctx, p.client, s.Tags[0].Tag, p.progress)
	if ctx.Err() != nil {
		return Result{}, false, context.Cause(ctx)
	}
	var have *registry.Manifest
	if err == nil {
		have, err = p.client.Manifest(ctx, s.Tags[0].Tag)
	}
	if err == nil && (have == nil || have.Desc.Digest != o.Root.Digest) {
		err = errors.New("the tag has another image than the engine says that it pushed")
	}
	if err != nil {
		p.log.InfoContext(ctx, "push by the Docker Engine failed; exporting the image and pushing it directly", "error", err)
		return Result{}, false, nil
	}
	p.idle(ctx, &image.Content{})
	s.Tags[0].have = have
	r, err = p.publish(ctx, s, []image.Document{{Desc: have.Desc, Raw: have.Raw}})
	return r, err == nil, err
}

// publish puts the documents, the last of them under the tags.
func (p *push) publish(ctx context.Context, s State, documents []image.Document) (Result, error) {
	root := documents[len(documents)-1]
	// Nothing but an index refers to other documents, and an index within an
	// index waits until those are there.
	indexes := slices.DeleteFunc(slices.Clone(documents[:len(documents)-1]), func(d image.Document) bool { return !d.Desc.MediaType.IsIndex() })
	g, gctx := image.NewGroup(ctx)
	g.SetLimit(8) // ECR allows ten a second
	for _, d := range documents[:len(documents)-1] {
		if !d.Desc.MediaType.IsIndex() {
			g.Go(func() error { _, err := p.put(gctx, d); return err })
		}
	}
	if err := g.Wait(); err != nil {
		return Result{}, p.explain(err)
	}
	for _, d := range indexes {
		if _, err := p.put(ctx, d); err != nil {
			return Result{}, p.explain(err)
		}
	}
	if len(p.target.Tags) == 0 {
		if _, err := p.put(ctx, root); err != nil {
			return Result{}, p.explain(err)
		}
	}
	for _, t := range s.Tags {
		if t.have != nil && t.have.Desc.Digest == root.Desc.Digest {
			continue
		}
		if err := p.tag(ctx, t.Tag, root); err != nil {
			return Result{}, err
		}
	}
	now := p.progress.SoFar()
	return Result{
		Digest: root.Desc.Digest.String(), MediaType: string(root.Desc.MediaType),
		Layers: now.Layers, Reused: now.Reused, SentBytes: now.Sent, ReusedBytes: now.ReusedBytes,
	}, nil
}

// settled says whether what the tags hold decides the push: they have the image,
// or one that can never change has for certain another.
func (p *push) settled(ctx context.Context, s *State) (r Result, ok bool, err error) {
	if err := compare(ctx, p.client, s, p.target, p.image); err != nil {
		return Result{}, true, err
	}
	if s.AlreadyThere() {
		p.unindexed(ctx, s)
		return Result{Digest: s.Tags[0].Digest, MediaType: s.Tags[0].MediaType, AlreadyThere: true}, true, nil
	}
	if p.image.Certain() {
		err = taken(*s, p.target, p.image)
	}
	return Result{}, err != nil, err
}

func (p *push) explain(err error) error {
	return registry.Explain(err, p.client.Repository(), p.client.Repository())
}

// put stores a document under its digest, and says whether the registry has understood that
// it refers to another one. A registry may refuse what it has already, as ECR's API does
// (ImageAlreadyExistsException): what counts is that it is there.
func (p *push) put(ctx context.Context, d image.Document) (listed bool, err error) {
	reference := d.Desc.Digest.String()
	listed, err = p.client.PutReferrer(ctx, reference, d)
	var status *registry.StatusError
	if errors.As(err, &status) && (status.Status == http.StatusBadRequest || status.Status == http.StatusConflict) {
		if have, readErr := p.client.Manifest(ctx, reference); readErr == nil && have != nil {
			return true, nil
		}
	}
	return listed, err
}

// tag points a tag to the root. A registry may refuse to set an immutable tag
// even to what it has already (BuildKit issue 3776), for instance when another
// run of the pipeline was faster, or the first answer was lost: what counts is
// what the tag has then.
func (p *push) tag(ctx context.Context, tag string, root image.Document) error {
	err := p.client.PutManifest(ctx, tag, root)
	if err == nil {
		return nil
	}
	var status *registry.StatusError
	if errors.As(err, &status) && (status.Status == http.StatusBadRequest || status.Status == http.StatusConflict) {
		have, readErr := p.client.Manifest(ctx, tag)
		switch {
		case readErr != nil || have == nil:
		case have.Desc.Digest == root.Desc.Digest:
			return nil
		case status.Has("TAG_INVALID") || status.Has("ImageTagAlreadyExistsException"):
			return &TagTakenError{Repository: p.client.Repository(), Tag: tag, Have: have.Desc.Digest.String(), Want: root.Desc.Digest.String()}
		}
	}
	return p.explain(err)
}

// job is the upload of one blob or layer.
type job struct {
	size int64
	run  func(context.Context) error
}

// blobs uploads everything that the documents refer to and the repository does
// not have, and returns the documents, writing the manifest if there is none.
func (p *push) blobs(ctx context.Context, from delivery) ([]image.Document, error) {
	c, there := from.content, from.there
	var jobs []job
	var total int64
	add := func(size int64, diffID v1.Hash, f func(ctx context.Context, q *image.Part) (d v1.Descriptor, reused bool, err error)) {
		total += size
		jobs = append(jobs, job{size, func(ctx context.Context) error {
			q := p.progress.Part()
			d, reused, err := f(ctx, q)
			if err == nil {
				there.arrived(d, diffID, reused)
				q.Finish(size, image.LayerDone{Digest: d.Digest.String(), Size: d.Size, Reused: reused})
			}
			return err
		}})
	}
	addBlob := func(b image.Blob) {
		add(b.Desc.Size, v1.Hash{}, func(ctx context.Context, q *image.Part) (v1.Descriptor, bool, error) {
			return p.blob(ctx, there, b, from.early, q)
		})
	}
	for _, b := range c.Blobs {
		addBlob(b)
	}
	if u := c.Unbuilt; u != nil {
		config := v1.Descriptor{Digest: image.DigestOf(u.Config), Size: int64(len(u.Config))}
		addBlob(image.Blob{Desc: config, Open: image.BytesOpener(u.Config)})
		d, err := p.compressing()
		if err != nil {
			return nil, err
		}
		sender := layers{p, there, d, u}
		for _, l := range u.Uploads() {
			add(l.Size, l.DiffID, func(ctx context.Context, q *image.Part) (v1.Descriptor, bool, error) {
				return sender.begun(ctx, from.ahead.take(l.DiffID), l, q)
			})
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(b.size, a.size) })

	p.progress.Stage(image.StageUpload, total, len(jobs))
	g, gctx := image.NewGroup(ctx)
	g.SetLimit(cmp.Or(p.options.Concurrency, 6))
	for _, j := range jobs {
		g.Go(func() error { return j.run(gctx) })
	}
	if p.options.LazyLoading && c.Unbuilt != nil {
		g.Go(func() error {
			_, _, err := p.blob(gctx, there, sociConfig, nil, image.NewPart())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return p.documents(ctx, c, there)
}

// documents are those of an image whose blobs are there.
func (p *push) documents(ctx context.Context, c *image.Content, there *inventory) ([]image.Document, error) {
	if c.Unbuilt == nil {
		return c.Documents, nil
	}
	documents, err := writeManifest(c.Unbuilt, there)
	if err != nil || !p.options.LazyLoading {
		return documents, err
	}
	documents, why, err := p.indexed(c, there, documents[0])
	if why != "" {
		p.log.InfoContext(ctx, "no SOCI index was written: lazyLoading has no effect", "reason", why)
	}
	return documents, err
}

// blob makes sure that the repository has a blob whose digest is known.
func (p *push) blob(ctx context.Context, there *inventory, b image.Blob, early *headStart, q *image.Part) (v1.Descriptor, bool, error) {
	state, sent := there.blob(b.Desc.Digest)
	if state == present {
		return b.Desc, !sent, nil
	}
	absent := state == missing
	reused, err := p.client.Uploads().Blob(ctx, registry.Upload{Blob: b, Absent: absent, Early: early.take(ctx, b.Desc.Digest, absent), Restart: q.Restart, Count: q.Moved})
	return b.Desc, reused, err
}
