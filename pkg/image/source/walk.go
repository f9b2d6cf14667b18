package source

// Walking a manifest or index in a store of blobs down to the last blob, and
// choosing one platform on the way. The stores are an OCI layout, on disk or in
// an archive, and a registry.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
)

// store gives access to content by digest.
type store interface {
	// document reads a manifest, an index or a config of at most limit bytes
	// and verifies its digest; fs.ErrNotExist when the store lacks it.
	document(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error)
	// blob returns a blob to be moved, having checked its size where that is
	// cheap; fs.ErrNotExist when the store is known to lack it.
	blob(d v1.Descriptor) (image.Blob, error)
}

// walk reads the tree under root. want chooses one image where root is an
// index.
func walk(ctx context.Context, s store, root v1.Descriptor, want image.Platform) (*image.Content, error) {
	w := newWalker(s)
	raw, err := s.document(ctx, root, image.MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", root.Digest, err)
	}
	m, mediaType, err := image.ParseManifest(raw, root.MediaType)
	if err != nil {
		return nil, fmt.Errorf("manifest %s %w", root.Digest, err)
	}
	if mediaType.IsIndex() {
		children, err := w.candidates(ctx, m.Manifests, 1)
		if err != nil {
			return nil, err
		}
		if len(image.Flatten(children)) == 0 {
			return nil, fmt.Errorf("index %s %w", root.Digest, errNoImages)
		}
		child, err := image.Choose(children, want)
		if err != nil {
			return nil, err
		}
		if child != nil {
			return walk(ctx, s, child.Desc, image.Platform{})
		}
	}
	if err := w.document(ctx, root, raw, 0); err != nil {
		return nil, err
	}
	if want != (image.Platform{}) && !mediaType.IsIndex() && len(w.content.Configs) == 1 {
		if have := w.content.Configs[0].Platform; !want.Matches(have) {
			return nil, &image.PlatformError{Want: want, Have: []image.Platform{have}}
		}
	}
	return w.content, nil
}

// maxDocuments bounds what the tree under one index may consist of.
const maxDocuments = 4 * image.MaxChildren

type walker struct {
	store    store
	referrer bool // the root refers to an image, and need not be one
	content  *image.Content
	seen     map[v1.Hash]bool
	sizes    map[v1.Hash]int64 // of blobs, as descriptors have them
	complete map[v1.Hash]error // whether a tree is in the store, by its root
	found    int               // candidates, those of nested indexes included
}

// errNoImages is about an index that has none, or nothing but attestations.
var errNoImages = errors.New("lists no image that could be run; " + image.Rebuild)

// errManyManifests is about indexes that name each other many times.
var errManyManifests = errors.New("the index refers to too many manifests and blobs")

func newWalker(s store) walker {
	return walker{store: s, content: &image.Content{}, seen: map[v1.Hash]bool{}, sizes: map[v1.Hash]int64{}, complete: map[v1.Hash]error{}}
}

// walkReferrer reads the tree under something that refers to an image.
func walkReferrer(ctx context.Context, s store, root v1.Descriptor) (*image.Content, error) {
	w := newWalker(s)
	w.referrer = true
	raw, err := s.document(ctx, root, image.MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", root.Digest, err)
	}
	return w.content, w.document(ctx, root, raw, 0)
}

// candidates looks at an index's children, of which a nested index is one.
func (w *walker) candidates(ctx context.Context, descs []v1.Descriptor, depth int) ([]image.Candidate, error) {
	cs := make([]image.Candidate, 0, len(descs))
	if w.found += len(descs); w.found > maxDocuments {
		return nil, errManyManifests
	}
	for _, d := range descs {
		c := image.Candidate{Desc: d, Platform: image.PlatformOf(d.Platform), Available: true, Auxiliary: image.IsAuxiliary(d)}
		err := w.check(ctx, d, depth)
		if errors.Is(err, fs.ErrNotExist) {
			c.Available = false
		} else if err != nil {
			return nil, err
		}
		if !c.Auxiliary && !c.Platform.Known() {
			if err := w.identify(ctx, &c, depth); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		cs = append(cs, c)
	}
	return cs, nil
}

// identify finds out the platform of a child whose descriptor does not say it, by its
// config, or its images where it is an index itself, of which some may not be there.
func (w *walker) identify(ctx context.Context, c *image.Candidate, depth int) error {
	_, m, _, err := w.read(ctx, c.Desc, depth)
	if err != nil {
		return err
	}
	if m.Config != nil && image.IsConfig(*m.Config) {
		raw, err := w.store.document(ctx, *m.Config, image.MaxConfig)
		if err != nil {
			return err
		}
		if config, err := image.ReadConfig(raw); err == nil {
			c.Platform = config.Platform
		}
	}
	c.Nested, err = w.candidates(ctx, m.Manifests, depth+1)
	return err
}

// check says with fs.ErrNotExist that part of the tree under d is not in the
// store. Every tree is looked at once, however many indexes name it.
func (w *walker) check(ctx context.Context, d v1.Descriptor, depth int) error {
	err, known := w.complete[d.Digest]
	if !known {
		err = w.look(ctx, d, depth)
		w.complete[d.Digest] = err
	}
	return err
}

func (w *walker) look(ctx context.Context, d v1.Descriptor, depth int) error {
	_, m, _, err := w.read(ctx, d, depth)
	if err != nil {
		return err
	}
	for _, child := range m.Manifests {
		if err := w.check(ctx, child, depth+1); err != nil {
			return err
		}
	}
	for _, b := range image.References(m) {
		if _, err := w.store.blob(b); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) read(ctx context.Context, d v1.Descriptor, depth int) ([]byte, image.Manifest, types.MediaType, error) {
	if depth > image.MaxDepth {
		return nil, image.Manifest{}, "", fmt.Errorf("index %s: indexes are nested more than %d deep", d.Digest, image.MaxDepth)
	}
	raw, err := w.store.document(ctx, d, image.MaxDocument)
	if err != nil {
		return nil, image.Manifest{}, "", fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	m, mediaType, err := image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return nil, m, "", fmt.Errorf("manifest %s %w", d.Digest, err)
	}
	return raw, m, mediaType, nil
}

// document adds a document after everything it refers to.
func (w *walker) document(ctx context.Context, d v1.Descriptor, raw []byte, depth int) error {
	if w.seen[d.Digest] {
		return nil
	}
	w.seen[d.Digest] = true
	if len(w.seen) > maxDocuments {
		return errManyManifests
	}
	m, mediaType, err := image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return fmt.Errorf("manifest %s %w", d.Digest, err)
	}
	for _, child := range m.Manifests {
		raw, _, _, err := w.read(ctx, child, depth+1)
		if err != nil {
			return err
		}
		if int64(len(raw)) != child.Size {
			return fmt.Errorf("manifest %s has %d bytes, and the index says %d: containerd and Fargate refuse it; choose one image of the index with platform, or build the index again", child.Digest, len(raw), child.Size)
		}
		if err := w.document(ctx, child, raw, depth+1); err != nil {
			return err
		}
	}
	for _, ref := range image.References(m) {
		if size, known := w.sizes[ref.Digest]; known && size != ref.Size {
			return fmt.Errorf("blob %s is said to have %d bytes and %d bytes: engines refuse it; %s", ref.Digest, size, ref.Size, image.Rebuild)
		}
		if w.seen[ref.Digest] {
			continue
		}
		w.seen[ref.Digest], w.sizes[ref.Digest] = true, ref.Size
		b, err := w.store.blob(ref)
		if err != nil {
			return fmt.Errorf("blob %s: %w", ref.Digest, err)
		}
		w.content.Blobs = append(w.content.Blobs, b)
	}
	if m.IsImage() && !image.IsAttestation(d) && !(w.referrer && m.Subject != nil) {
		raw, err := w.store.document(ctx, *m.Config, image.MaxConfig)
		if err != nil {
			return fmt.Errorf("config %s: %w", m.Config.Digest, err)
		}
		c, err := image.ReadConfig(raw)
		if err != nil {
			return fmt.Errorf("config %s %w", m.Config.Digest, err)
		}
		if !c.Platform.Known() && d.Platform != nil {
			c.Platform = image.PlatformOf(d.Platform)
		}
		checks, err := image.CheckLayers(m, c)
		if err != nil {
			return err
		}
		w.content.Checks = append(w.content.Checks, checks...)
		w.content.Configs = append(w.content.Configs, c)
	}
	d.MediaType, d.Size = mediaType, int64(len(raw))
	w.content.Documents = append(w.content.Documents, image.Document{Desc: d, Raw: raw})
	return nil
}
