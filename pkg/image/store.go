package image

// Walking a manifest or index in a store of blobs down to the last blob, and
// choosing one platform on the way. The stores are an OCI layout, on disk or in
// an archive, and a registry.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// store gives access to content by digest.
type store interface {
	// document reads a manifest, an index or a config of at most limit bytes
	// and verifies its digest; fs.ErrNotExist when the store lacks it.
	document(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error)
	// blob returns a blob to be moved, having checked its size where that is
	// cheap; fs.ErrNotExist when the store is known to lack it.
	blob(d v1.Descriptor) (blob, error)
}

// candidate is one child of an index.
type candidate struct {
	desc      v1.Descriptor
	platform  Platform
	available bool // its content is in the store
	auxiliary bool // an attestation: no image of its own
	// nested are the images of a child that is an index itself.
	nested []candidate
}

// images are the children that are images, those of nested indexes in the place
// of their index.
func flatten(children []candidate) []candidate {
	var images []candidate
	for _, c := range children {
		switch {
		case c.auxiliary:
		case len(c.nested) > 0:
			images = append(images, flatten(c.nested)...)
		default:
			images = append(images, c)
		}
	}
	return images
}

// best returns the candidates that suit want best: usually one, several if they
// differ in nothing that want says.
func best(images []candidate, want Platform) []candidate {
	var match []candidate
	top := 0
	for _, c := range images {
		rank, ok := want.rank(c.platform)
		switch {
		case !ok:
		case len(match) > 0 && rank < top:
		case len(match) == 0 || rank > top:
			match, top = []candidate{c}, rank
		default:
			match = append(match, c)
		}
	}
	return match
}

// choose decides which of an index's children to move: none (nil) means the
// whole index. want names a platform or is zero.
//
// An engine may hold an index of which only one platform was ever pulled or
// built. The index cannot be pushed then, and Docker pushes the one image that
// is there (moby, daemon/containerd/image_push.go); so do we.
func choose(children []candidate, want Platform) (*candidate, error) {
	images := flatten(children)
	isThere := func(c candidate) bool { return c.available }
	there := slices.DeleteFunc(slices.Clone(images), func(c candidate) bool { return !c.available })
	whole := !slices.ContainsFunc(children, func(c candidate) bool { return !c.available })
	if want != (Platform{}) {
		match := best(images, want)
		here := best(there, want)
		switch {
		case len(match) == 0:
			return nil, &PlatformError{Want: want, Have: platformsOf(images)}
		case !slices.ContainsFunc(match, isThere):
			return nil, &PlatformError{Want: want, Have: platformsOf(there), Absent: true}
		case want.OSVersion == "" && len(versions(here)) > 1:
			return nil, &PlatformError{Want: want, Have: platformsOf(here), Versions: true}
		}
		return &here[0], nil
	}
	switch {
	case whole:
		return nil, nil
	case len(there) == 1:
		return &there[0], nil
	}
	return nil, &PlatformError{Have: platformsOf(there), Absent: true}
}

// versions are the builds of Windows that the candidates are for.
func versions(cs []candidate) map[string]bool {
	all := map[string]bool{}
	for _, c := range cs {
		all[build(c.platform.OSVersion)] = true
	}
	return all
}

func platformsOf(cs []candidate) []Platform {
	var ps []Platform
	for _, c := range cs {
		if !slices.Contains(ps, c.platform) {
			ps = append(ps, c.platform)
		}
	}
	return ps
}

// PlatformError says that an index has no image for the wanted platform.
type PlatformError struct {
	Want Platform   // zero when none was asked for
	Have []Platform // those that could be had
	// Absent says that the index names the platform, but that its content is
	// not here.
	Absent bool
	// Versions says that the images differ in the version of Windows, of which a
	// host runs its own only.
	Versions bool
}

// Hint says what to do about it.
func (e *PlatformError) Hint() string {
	switch {
	case e.Versions:
		return "choose one by its version, such as platform: " + e.Have[0].String()
	case e.Want == (Platform{}):
		return "choose one with platform, or build or pull them all"
	case e.Absent:
		return "build or pull the image with --platform " + e.Want.String()
	}
	return "build the image for this platform, or choose another with platform"
}

func (e *PlatformError) Error() string {
	switch {
	case e.Versions:
		return fmt.Sprintf("platform %s is there for several versions of Windows: %s", e.Want, platformList(e.Have))
	case e.Want == (Platform{}):
		return fmt.Sprintf("the index names several platforms, but not all of their content is here (complete: %s); choose one with platform, or build or pull them all", platformList(e.Have))
	case e.Absent:
		return fmt.Sprintf("platform %s is named in the index, but its content is not here (complete: %s); build or pull it with --platform %s", e.Want, platformList(e.Have), e.Want)
	}
	return fmt.Sprintf("there is no image for platform %s; there is %s", e.Want, platformList(e.Have))
}

// walk reads the tree under root. want chooses one image where root is an
// index.
func walk(ctx context.Context, s store, root v1.Descriptor, want Platform) (*content, error) {
	w := walker{store: s, content: &content{}, seen: map[v1.Hash]bool{}, complete: map[v1.Hash]error{}}
	raw, err := s.document(ctx, root, maxDocument)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", root.Digest, err)
	}
	m, mediaType, err := parseManifest(raw, root.MediaType)
	if err != nil {
		return nil, fmt.Errorf("manifest %s %w", root.Digest, err)
	}
	if mediaType.IsIndex() {
		children, err := w.candidates(ctx, m.Manifests, 1)
		if err != nil {
			return nil, err
		}
		child, err := choose(children, want)
		if err != nil {
			return nil, err
		}
		if child != nil {
			return walk(ctx, s, child.desc, Platform{})
		}
	}
	if err := w.document(ctx, root, raw, 0); err != nil {
		return nil, err
	}
	if want != (Platform{}) && !mediaType.IsIndex() && len(w.content.configs) == 1 {
		if have := w.content.configs[0].platform; !want.Matches(have) {
			return nil, &PlatformError{Want: want, Have: []Platform{have}}
		}
	}
	return w.content, nil
}

type walker struct {
	store    store
	content  *content
	seen     map[v1.Hash]bool
	complete map[v1.Hash]error // whether a tree is in the store, by its root
}

// candidates looks at an index's children, of which a nested index is one.
func (w *walker) candidates(ctx context.Context, descs []v1.Descriptor, depth int) ([]candidate, error) {
	cs := make([]candidate, 0, len(descs))
	for _, d := range descs {
		c := candidate{desc: d, platform: platformOf(d.Platform), available: true, auxiliary: isAttestation(d)}
		err := w.check(ctx, d, &c.platform, depth)
		if errors.Is(err, fs.ErrNotExist) {
			c.available = false
		} else if err != nil {
			return nil, err
		}
		if c.available && !c.auxiliary && !c.platform.known() {
			_, m, _, err := w.read(ctx, d, depth)
			if err != nil {
				return nil, err
			}
			if c.nested, err = w.candidates(ctx, m.Manifests, depth+1); err != nil {
				return nil, err
			}
		}
		cs = append(cs, c)
	}
	return cs, nil
}

// check says with fs.ErrNotExist that part of the tree under d is not in the
// store, and finds out the platform where the descriptor did not say. Every tree
// is looked at once, however many indexes name it.
func (w *walker) check(ctx context.Context, d v1.Descriptor, p *Platform, depth int) error {
	err, known := w.complete[d.Digest]
	if !known {
		err = w.look(ctx, d, p, depth)
		w.complete[d.Digest] = err
	}
	return err
}

func (w *walker) look(ctx context.Context, d v1.Descriptor, p *Platform, depth int) error {
	_, m, _, err := w.read(ctx, d, depth)
	if err != nil {
		return err
	}
	for _, child := range m.Manifests {
		if err := w.check(ctx, child, nil, depth+1); err != nil {
			return err
		}
	}
	if m.Config != nil {
		if p != nil && !p.known() && isConfig(*m.Config) {
			raw, err := w.store.document(ctx, *m.Config, maxConfig)
			if err != nil {
				return err
			}
			if c, err := readConfig(raw); err == nil {
				*p = c.platform
			}
		}
	}
	for _, b := range references(m) {
		if _, err := w.store.blob(b); err != nil {
			return err
		}
	}
	return nil
}

// references lists the blobs that a manifest needs to be in the registry.
func references(m manifest) []v1.Descriptor {
	var ds []v1.Descriptor
	if m.Config != nil {
		ds = append(ds, *m.Config)
	}
	for _, l := range slices.Concat(m.Layers, m.Blobs) {
		if !isForeign(l) {
			ds = append(ds, l)
		}
	}
	return ds
}

// maxDepth bounds indexes within indexes.
const maxDepth = 4

func (w *walker) read(ctx context.Context, d v1.Descriptor, depth int) ([]byte, manifest, types.MediaType, error) {
	if depth > maxDepth {
		return nil, manifest{}, "", fmt.Errorf("index %s: indexes are nested more than %d deep", d.Digest, maxDepth)
	}
	raw, err := w.store.document(ctx, d, maxDocument)
	if err != nil {
		return nil, manifest{}, "", fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	m, mediaType, err := parseManifest(raw, d.MediaType)
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
	if len(w.seen) > maxChildren*4 {
		return errors.New("the index refers to too many manifests and blobs")
	}
	m, mediaType, err := parseManifest(raw, d.MediaType)
	if err != nil {
		return fmt.Errorf("manifest %s %w", d.Digest, err)
	}
	for _, child := range m.Manifests {
		raw, _, _, err := w.read(ctx, child, depth+1)
		if err != nil {
			return err
		}
		if err := w.document(ctx, child, raw, depth+1); err != nil {
			return err
		}
	}
	for _, ref := range references(m) {
		if w.seen[ref.Digest] {
			continue
		}
		w.seen[ref.Digest] = true
		b, err := w.store.blob(ref)
		if err != nil {
			return fmt.Errorf("blob %s: %w", ref.Digest, err)
		}
		w.content.blobs = append(w.content.blobs, b)
	}
	if m.Config != nil && isConfig(*m.Config) && !isAttestation(d) && m.Subject == nil {
		raw, err := w.store.document(ctx, *m.Config, maxConfig)
		if err != nil {
			return fmt.Errorf("config %s: %w", m.Config.Digest, err)
		}
		c, err := readConfig(raw)
		if err != nil {
			return fmt.Errorf("config %s %w", m.Config.Digest, err)
		}
		if !c.platform.known() && d.Platform != nil {
			c.platform = platformOf(d.Platform)
		}
		checks, err := checkLayers(m, c)
		if err != nil {
			return err
		}
		w.content.checks = append(w.content.checks, checks...)
		w.content.configs = append(w.content.configs, c)
	}
	d.MediaType, d.Size = mediaType, int64(len(raw))
	w.content.documents = append(w.content.documents, document{d, raw})
	return nil
}
