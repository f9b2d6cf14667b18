package image

// Push: layers first, several at a time and the largest before the others, then
// manifests, then tags.

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// Renewer is an authenticator that keeps its token and can be told that a
// registry refused it.
type Renewer interface{ Renew() }

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
	// Transport carries the requests; nil is a transport tuned for uploads.
	Transport http.RoundTripper
	// Immutable says which tags can never change once they are set; nil says
	// that all can.
	Immutable func(tag string) bool
	// Insecure speaks plain HTTP if the registry does. Registries on this
	// machine need no saying so.
	Insecure bool
}

// PushOptions adjust a push. The zero value is good.
type PushOptions struct {
	// State is what Check found, if it is fresh; nil has Push check itself.
	State *State
	// Concurrency is how many layers are in flight; 0 is 6.
	Concurrency int
	// StallTimeout is how long an upload may move no bytes before it is
	// cancelled and tried again; 0 is a minute.
	StallTimeout time.Duration
	// Progress is called every ProgressInterval (0 is five seconds) and after
	// every layer, never twice at the same time. It must not block for long.
	Progress         func(Progress)
	ProgressInterval time.Duration
	// Logger is told of retries; nil is silent.
	Logger *slog.Logger
}

const defaultStall = time.Minute

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
	Duration               time.Duration
}

// Push brings an image into a repository. What the registry has is not sent
// again; a push that was interrupted goes on at the layer where it was.
//
// Errors that can be told apart: *TagTakenError, *DeniedError, *NotFoundError
// (the repository), *DiskFullError, *PlatformError.
func Push(ctx context.Context, m *Image, t Target, o PushOptions) (Result, error) {
	start := time.Now()
	stall := cmp.Or(o.StallTimeout, defaultStall)
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c, err := newClient(t, stall, log)
	if err != nil {
		return Result{}, err
	}
	p := newProgress(o.Progress, cmp.Or(o.ProgressInterval, 5*time.Second))
	defer p.close()

	r, err := (&push{client: c, image: m, target: t, options: o, progress: p}).run(ctx)
	if err != nil {
		return Result{}, err
	}
	r.Duration = time.Since(start)
	r.URI = c.repository() + "@" + r.Digest
	if len(t.Tags) > 0 {
		r.URI = c.repository() + ":" + t.Tags[0]
	}
	return r, nil
}

// push is one call of Push.
type push struct {
	client   *client
	image    *Image
	target   Target
	options  PushOptions
	progress *progress
}

func (p *push) run(ctx context.Context) (Result, error) {
	var s State
	if o := p.options.State; o != nil && slices.EqualFunc(o.Tags, p.target.Tags, func(t TagState, tag string) bool { return t.Tag == tag }) {
		s = State{Tags: slices.Clone(o.Tags)}
	} else {
		var err error
		if s, err = readTags(ctx, p.client, p.target.Tags); err != nil {
			return Result{}, err
		}
	}
	compare(&s, p.image.identities)
	if s.AlreadyThere() {
		return already(s), nil
	}
	c, err := p.image.loaded(ctx, p.progress)
	if err != nil {
		return Result{}, err
	}
	compare(&s, p.image.identities) // an engine's image is known for sure now
	if s.AlreadyThere() {
		return already(s), nil
	}
	if err := taken(s, p.target, p.image); err != nil {
		return Result{}, err
	}

	var r Result
	var documents []document
	if i := slices.IndexFunc(s.Tags, func(t TagState) bool { return t.Status == TagSame }); i >= 0 {
		// One tag has the image: the others need no more than its manifest.
		have := s.Tags[i].have
		documents = []document{{have.desc, have.raw}}
	} else if documents, err = p.blobs(ctx, c); err != nil {
		return Result{}, p.explain(err)
	}
	now := p.progress.soFar()
	r.Layers, r.Reused, r.SentBytes, r.ReusedBytes = now.Layers, now.Reused, now.Sent, now.ReusedBytes

	root := documents[len(documents)-1]
	for _, d := range documents[:len(documents)-1] {
		if err := p.client.putManifest(ctx, d.desc.Digest.String(), d); err != nil {
			return Result{}, p.explain(err)
		}
	}
	if len(p.target.Tags) == 0 {
		if err := p.client.putManifest(ctx, root.desc.Digest.String(), root); err != nil {
			return Result{}, p.explain(err)
		}
	}
	for _, t := range s.Tags {
		if t.have != nil && t.have.desc.Digest == root.desc.Digest {
			continue
		}
		if err := p.tag(ctx, t.Tag, root); err != nil {
			return Result{}, err
		}
	}
	r.Digest, r.MediaType = root.desc.Digest.String(), string(root.desc.MediaType)
	return r, nil
}

// already is the result when there is nothing to do.
func already(s State) Result {
	return Result{Digest: s.Tags[0].Digest, MediaType: s.Tags[0].MediaType, AlreadyThere: true}
}

func (p *push) explain(err error) error {
	return explain(err, p.client.repository(), p.client.repository())
}

// tag points a tag to the root. A registry may refuse to set an immutable tag
// even to what it has already (BuildKit issue 3776), for instance when another
// run of the pipeline was faster, or the first answer was lost: what counts is
// what the tag has then.
func (p *push) tag(ctx context.Context, tag string, root document) error {
	err := p.client.putManifest(ctx, tag, root)
	if err == nil {
		return nil
	}
	var status *statusError
	if errors.As(err, &status) && (status.Status == http.StatusBadRequest || status.Status == http.StatusConflict) {
		have, readErr := p.client.manifest(ctx, tag)
		switch {
		case readErr != nil || have == nil:
		case have.desc.Digest == root.desc.Digest:
			return nil
		case status.has("TAG_INVALID") || status.has("ImageTagAlreadyExistsException"):
			return &TagTakenError{Repository: p.client.repository(), Tag: tag, Have: have.desc.Digest.String(), Want: root.desc.Digest.String()}
		}
	}
	return p.explain(err)
}

// job is the upload of one blob or layer.
type job struct {
	size int64
	run  func(context.Context) error
}

// blobs uploads everything that the documents refer to, and returns the
// documents, writing the manifest if there is none.
func (p *push) blobs(ctx context.Context, c *content) ([]document, error) {
	var jobs []job
	var total int64
	add := func(size int64, f func(ctx context.Context, q *part) (LayerDone, error)) {
		total += size
		jobs = append(jobs, job{size, func(ctx context.Context) error {
			q := p.progress.part()
			done, err := f(ctx, q)
			if err == nil {
				q.finish(size, done)
			}
			return err
		}})
	}
	addBlob := func(b blob) {
		add(b.desc.Size, func(ctx context.Context, q *part) (LayerDone, error) {
			reused, err := p.client.uploadBlob(ctx, b, q.restart, q.moved)
			return LayerDone{Digest: b.desc.Digest.String(), Size: b.desc.Size, Reused: reused}, err
		})
	}
	for _, b := range c.blobs {
		addBlob(b)
	}
	var built *builder
	if c.unbuilt != nil {
		built = newBuilder(c.unbuilt)
		config := v1.Descriptor{Digest: digestOf(c.unbuilt.config), Size: int64(len(c.unbuilt.config))}
		addBlob(blob{desc: config, open: bytesOpener(c.unbuilt.config)})
		d := newDeflater()
		for _, l := range built.uploads() {
			add(l.size, func(ctx context.Context, q *part) (LayerDone, error) {
				desc, reused, err := p.layer(ctx, d, l, q)
				if err == nil {
					built.set(l.diffID, desc)
				}
				return LayerDone{Digest: desc.Digest.String(), Size: desc.Size, Reused: reused}, err
			})
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(b.size, a.size) })

	p.progress.stage(StageUpload, total, len(jobs))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(p.options.Concurrency, 6))
	for _, j := range jobs {
		g.Go(func() error { return j.run(gctx) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if built == nil {
		return c.documents, nil
	}
	return built.manifest()
}

// layer uploads a layer of an unbuilt image.
func (p *push) layer(ctx context.Context, d *deflater, l layer, q *part) (v1.Descriptor, bool, error) {
	if l.known == nil && l.format == formatTar {
		desc, reused, err := p.client.uploadRaw(ctx, d, l, q)
		return desc, reused, err
	}
	if l.known != nil {
		reused, err := p.client.uploadBlob(ctx, blob{desc: *l.known, open: l.open}, q.restart, q.moved)
		return *l.known, reused, err
	}
	// Compressed, but under a name that says nothing: it has to be hashed to
	// know what to ask for.
	r, err := l.open(ctx)
	if err != nil {
		return v1.Descriptor{}, false, err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &interruptible{ctx, r})
	if err != nil {
		return v1.Descriptor{}, false, err
	}
	desc := v1.Descriptor{Digest: hashOf(sum), Size: n}
	reused, err := p.client.uploadBlob(ctx, blob{desc: desc, open: l.open}, q.restart, q.moved)
	return desc, reused, err
}

// builder writes the manifest of an unbuilt image.
type builder struct {
	from *unbuilt
	mu   sync.Mutex
	done map[v1.Hash]v1.Descriptor // by diffID
}

func newBuilder(u *unbuilt) *builder { return &builder{from: u, done: map[v1.Hash]v1.Descriptor{}} }

// uploads are the layers to upload, each diffID once.
func (b *builder) uploads() []layer {
	var ls []layer
	for _, l := range b.from.layers {
		if l.open != nil && !slices.ContainsFunc(ls, func(o layer) bool { return o.diffID == l.diffID }) {
			ls = append(ls, l)
		}
	}
	return ls
}

func (b *builder) set(diffID v1.Hash, d v1.Descriptor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done[diffID] = d
}

// manifest writes the manifest that "docker push" writes: of Docker's schema 2,
// which every engine and scanner reads; or OCI's, where a layer asks for it.
func (b *builder) manifest() ([]document, error) {
	oci := slices.ContainsFunc(b.from.layers, func(l layer) bool {
		return l.format == formatZstd || l.known != nil && strings.HasPrefix(string(l.known.MediaType), "application/vnd.oci.")
	})
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2}
	m.Config = v1.Descriptor{MediaType: types.DockerConfigJSON, Digest: digestOf(b.from.config), Size: int64(len(b.from.config))}
	if oci {
		m.MediaType, m.Config.MediaType = types.OCIManifestSchema1, types.OCIConfigJSON
	}
	for _, l := range b.from.layers {
		if l.known != nil {
			m.Layers = append(m.Layers, *l.known)
			continue
		}
		d, ok := b.done[l.diffID]
		if !ok {
			return nil, fmt.Errorf("layer %s was not uploaded", l.diffID)
		}
		d.MediaType = types.DockerLayer
		switch {
		case l.format == formatZstd:
			d.MediaType = types.OCILayerZStd
		case oci:
			d.MediaType = types.OCILayer
		}
		m.Layers = append(m.Layers, d)
	}
	raw, err := json.MarshalIndent(m, "", "   ")
	if err != nil {
		return nil, err
	}
	return []document{{v1.Descriptor{MediaType: m.MediaType, Digest: digestOf(raw), Size: int64(len(raw))}, raw}}, nil
}
