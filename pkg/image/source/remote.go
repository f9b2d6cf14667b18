package source

// Images in a registry: as the source of a push, and to be looked at.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/image/registry"
)

// Inspect looks at the image ref (host/name:tag or host/name@digest) in a
// registry: its digest and media type, and the platforms of its index or its
// config. A nil auth is anonymous, a nil transport NewTransport's for the
// system's roots.
// Where there is no such image or repository, the error is a *NotFoundError;
// where reading is refused, a *DeniedError.
func Inspect(ctx context.Context, ref string, auth authn.Authenticator, transport http.RoundTripper) (image.Description, error) {
	r, err := name.ParseReference(ref, name.WeakValidation)
	if err != nil {
		return image.Description{}, err
	}
	s, root, err := findRemote(ctx, r, registry.Access{Auth: auth, Transport: transport})
	if err != nil {
		return image.Description{}, err
	}
	d := image.Description{Kind: image.KindRegistry, Ref: ref}
	_, err = s.look(ctx, root, image.Platform{}, &d)
	return d, err
}

// openRegistry is Open for a docker:// reference. It reads no more than it
// needs to know what the image is; the rest of the tree when it is pushed.
func openRegistry(ctx context.Context, ref, rest string, want image.Platform, o Options) (*Image, error) {
	r, err := name.ParseReference(rest, name.WeakValidation)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	insecure := slices.Contains(o.Insecure, r.Context().RegistryStr())
	if insecure {
		if r, err = name.ParseReference(rest, name.WeakValidation, name.Insecure); err != nil {
			return nil, fmt.Errorf("image %q: %w", ref, err)
		}
	}
	var auth authn.Authenticator
	if o.Keychain != nil {
		if auth, err = authn.Resolve(ctx, o.Keychain, r.Context()); err != nil {
			return nil, fmt.Errorf("image %q: %w", ref, err)
		}
	}
	anonymous := func(err error) error {
		if denied, ok := errors.AsType[*registry.DeniedError](err); ok && (auth == nil || auth == authn.Anonymous) {
			denied.Anonymous, denied.Looked = true, filepath.Join(engine.ConfigDirectory(o.Getenv), "config.json")
		}
		return err
	}
	s, root, err := findRemote(ctx, r, registry.Access{Auth: auth, Transport: o.Transport, Log: o.Logger, Insecure: insecure})
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, anonymous(err))
	}
	m := &Image{describe: image.Description{Kind: image.KindRegistry, Ref: ref}, certain: true}
	chosen, err := s.look(ctx, root, want, &m.describe)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	m.identity = image.Identity{Root: chosen.Digest}
	m.load = func(ctx context.Context, _ *image.Meter) (*image.Content, error) {
		c, err := walk(ctx, s, chosen, image.Platform{})
		if err != nil {
			return nil, fmt.Errorf("image %q: %w", ref, anonymous(registry.Explain(err, s.client.Repository(), rest)))
		}
		c.Streamed()
		c.Companions = func(ctx context.Context) ([]image.Companion, error) { return remoteCompanions(ctx, s, c) }
		return c, nil
	}
	return m, nil
}

// remoteStore is the store of a repository in a registry.
type remoteStore struct {
	client *registry.Client
	budget *image.Budget

	found int // candidates, those of nested indexes included

	mu    sync.Mutex
	small map[v1.Hash][]byte // what was read already
}

// ReadLimit bounds the reading of a manifest or config, retries included.
const ReadLimit = 2 * time.Minute

// findRemote reads the manifest or index that r names.
func findRemote(ctx context.Context, r name.Reference, a registry.Access) (*remoteStore, v1.Descriptor, error) {
	s := &remoteStore{client: registry.NewReader(r.Context(), a), small: map[v1.Hash][]byte{}, budget: image.NewBudget()}
	ctx, cancel := context.WithTimeoutCause(ctx, ReadLimit, registry.ErrStalled)
	defer cancel()
	found, err := s.manifest(ctx, r.Identifier())
	if err == nil {
		err = s.budget.Take(found.Desc.Digest, len(found.Raw))
	}
	if err != nil {
		return nil, v1.Descriptor{}, registry.Explain(err, s.client.Repository(), r.Name())
	}
	s.small[found.Desc.Digest] = found.Raw
	return s, found.Desc, nil
}

// manifest is the client's, but what is not there is an error.
func (s *remoteStore) manifest(ctx context.Context, reference string) (*registry.Manifest, error) {
	found, err := s.client.Manifest(ctx, reference)
	if err == nil && found == nil {
		return nil, s.client.NotFound(reference)
	}
	return found, err
}

// children are the candidates of an index. A child without a platform is read:
// it is another index, or its config has the platform.
func (s *remoteStore) children(ctx context.Context, descs []v1.Descriptor, want image.Platform, depth int) ([]image.Candidate, error) {
	var children []image.Candidate
	if s.found += len(descs); s.found > maxDocuments {
		return nil, errManyManifests
	}
	for _, d := range descs {
		c := image.Candidate{Desc: d, Platform: image.PlatformOf(d.Platform), Available: true, Auxiliary: image.IsAuxiliary(d)}
		if !c.Auxiliary && !c.Platform.Known() && (want != (image.Platform{}) || d.MediaType.IsIndex()) {
			if depth == image.MaxDepth {
				return nil, fmt.Errorf("index %s: indexes are nested more than %d deep", d.Digest, image.MaxDepth)
			}
			m, _, err := s.parsed(ctx, d)
			if err != nil {
				return nil, err
			}
			if m.Config != nil && image.IsConfig(*m.Config) {
				config, err := s.config(ctx, *m.Config)
				if err != nil {
					return nil, err
				}
				c.Platform = config.Platform
			}
			if c.Nested, err = s.children(ctx, m.Manifests, want, depth+1); err != nil {
				return nil, err
			}
		}
		children = append(children, c)
	}
	return children, nil
}

// parsed reads a manifest or an index.
func (s *remoteStore) parsed(ctx context.Context, d v1.Descriptor) (image.Manifest, types.MediaType, error) {
	raw, err := s.document(ctx, d, image.MaxDocument)
	if err != nil {
		return image.Manifest{}, "", registry.Explain(err, s.client.Repository(), s.client.Repository()+"@"+d.Digest.String())
	}
	m, mediaType, err := image.ParseManifest(raw, d.MediaType)
	if err != nil {
		return m, "", fmt.Errorf("manifest %s %w", d.Digest, err)
	}
	return m, mediaType, nil
}

// config reads a config.
func (s *remoteStore) config(ctx context.Context, d v1.Descriptor) (image.ConfigSummary, error) {
	raw, err := s.document(ctx, d, image.MaxConfig)
	if err != nil {
		return image.ConfigSummary{}, registry.Explain(err, s.client.Repository(), s.client.Repository()+"@"+d.Digest.String())
	}
	c, err := image.ReadConfig(raw)
	if err != nil {
		return c, fmt.Errorf("config %s %w", d.Digest, err)
	}
	return c, nil
}

// look describes the image under root, or the one of its children that want
// chooses, and returns the one chosen.
func (s *remoteStore) look(ctx context.Context, root v1.Descriptor, want image.Platform, d *image.Description) (v1.Descriptor, error) {
	m, mediaType, err := s.parsed(ctx, root)
	if err != nil {
		return root, err
	}
	d.Digest, d.MediaType = root.Digest.String(), string(mediaType)
	if mediaType.IsIndex() {
		children, err := s.children(ctx, m.Manifests, want, 1)
		if err != nil {
			return root, err
		}
		if len(image.Flatten(children)) == 0 {
			return root, fmt.Errorf("index %s %w", root.Digest, errNoImages)
		}
		child, err := image.Choose(children, want)
		if err != nil {
			return root, err
		}
		if child != nil {
			return s.look(ctx, child.Desc, image.Platform{}, d)
		}
		for _, p := range image.PlatformsOf(image.Flatten(children)) {
			if p.Known() {
				d.Platforms = append(d.Platforms, p)
			}
		}
		return root, nil
	}
	for _, l := range m.Layers {
		d.Layers++
		d.Size += l.Size
	}
	if m.Config != nil && image.IsConfig(*m.Config) {
		c, err := s.config(ctx, *m.Config)
		if err != nil {
			return root, err
		}
		if _, err := image.CheckLayers(m, c); err != nil && m.IsImage() {
			return root, err
		}
		d.ImageID = m.Config.Digest.String()
		if c.Platform.Known() {
			d.Platforms = append(d.Platforms, c.Platform)
		}
		if want != (image.Platform{}) && !want.Matches(c.Platform) {
			return root, &image.PlatformError{Want: want, Have: d.Platforms}
		}
	}
	return root, nil
}

func (s *remoteStore) document(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	s.mu.Lock()
	raw, ok := s.small[d.Digest]
	s.mu.Unlock()
	if ok {
		return raw, nil
	}
	if raw, ok := image.Embedded(d); ok {
		return raw, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, ReadLimit, registry.ErrStalled)
	defer cancel()
	var err error
	if d.MediaType.IsImage() || d.MediaType.IsIndex() || limit == image.MaxDocument {
		var found *registry.Manifest
		if found, err = s.manifest(ctx, d.Digest.String()); err == nil {
			raw = found.Raw
		}
	} else {
		raw, err = s.client.Read(ctx, d, limit)
	}
	if err == nil {
		err = s.budget.Take(d.Digest, len(raw))
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.small[d.Digest] = raw
	s.mu.Unlock()
	return raw, nil
}

// open opens a blob to be uploaded elsewhere. Its digest is not verified here:
// the registry that it goes to does that, and hashing costs more than copying.
func (s *remoteStore) open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	r, err := s.client.OpenRenewed(ctx, d)
	if err != nil {
		return nil, &image.OriginError{Repository: s.client.Repository(), Err: err}
	}
	return &image.MarkedReader{ReadCloser: r, Mark: func(err error) error {
		return &image.OriginError{Repository: s.client.Repository(), Err: fmt.Errorf("%s: %w", registry.OpReadBlob.Name, registry.StalledOr(ctx, err))}
	}}, nil
}

func (s *remoteStore) blob(d v1.Descriptor) (image.Blob, error) {
	s.mu.Lock()
	raw, ok := s.small[d.Digest]
	s.mu.Unlock()
	b := image.Blob{Desc: d, Host: s.client.Repo.RegistryStr(), From: s.client.Repo.RepositoryStr()}
	if ok {
		b.Open = image.BytesOpener(raw)
	} else {
		b.Open = func(ctx context.Context) (io.ReadCloser, error) { return s.open(ctx, d) }
	}
	return b, nil
}
