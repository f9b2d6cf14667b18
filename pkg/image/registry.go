package image

// Images in a registry: as the source of a push, and to be looked at.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Inspect looks at the image ref (host/name:tag or host/name@digest) in a
// registry: its digest and media type, and the platforms of its index or its
// config. A nil auth is anonymous, a nil transport NewTransport's for the
// system's roots.
// Where there is no such image or repository, the error is a *NotFoundError;
// where reading is refused, a *DeniedError.
func Inspect(ctx context.Context, ref string, auth authn.Authenticator, transport http.RoundTripper) (Description, error) {
	r, err := name.ParseReference(ref, name.WeakValidation)
	if err != nil {
		return Description{}, err
	}
	s, root, err := findRemote(ctx, r, auth, transport, nil, false)
	if err != nil {
		return Description{}, err
	}
	d := Description{Kind: KindRegistry, Ref: ref}
	_, err = s.look(ctx, root, Platform{}, &d)
	return d, err
}

// openRegistry is Open for a docker:// reference. It reads no more than it
// needs to know what the image is; the rest of the tree when it is pushed.
func openRegistry(ctx context.Context, ref, rest string, want Platform, o Options) (*Image, error) {
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
		if denied, ok := errors.AsType[*DeniedError](err); ok && (auth == nil || auth == authn.Anonymous) {
			denied.Anonymous, denied.Looked = true, filepath.Join(configDirectory(o.getenv), "config.json")
		}
		return err
	}
	s, root, err := findRemote(ctx, r, auth, o.Transport, o.Logger, insecure)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, anonymous(err))
	}
	m := &Image{describe: Description{Kind: KindRegistry, Ref: ref}, certain: true}
	chosen, err := s.look(ctx, root, want, &m.describe)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	m.identity = identity{root: chosen.Digest}
	m.load = func(ctx context.Context, _ *progress) (*content, error) {
		c, err := walk(ctx, s, chosen, Platform{})
		if err != nil {
			return nil, fmt.Errorf("image %q: %w", ref, anonymous(explain(err, s.client.repository(), rest)))
		}
		c.streamed()
		c.companions = func(ctx context.Context) ([]companion, error) { return s.companions(ctx, c) }
		return c, nil
	}
	return m, nil
}

// remoteStore is the store of a repository in a registry.
type remoteStore struct {
	client *client
	budget *budget

	mu    sync.Mutex
	small map[v1.Hash][]byte // what was read already
}

// readLimit bounds the reading of a manifest or config, retries included.
const readLimit = 2 * time.Minute

// findRemote reads the manifest or index that r names.
func findRemote(ctx context.Context, r name.Reference, auth authn.Authenticator, transport http.RoundTripper, log *slog.Logger, insecure bool) (*remoteStore, v1.Descriptor, error) {
	s := &remoteStore{client: newReader(r.Context(), auth, transport, log, insecure), small: map[v1.Hash][]byte{}, budget: newBudget()}
	ctx, cancel := context.WithTimeoutCause(ctx, readLimit, errStalled)
	defer cancel()
	found, err := s.manifest(ctx, r.Identifier())
	if err == nil {
		err = s.budget.take(found.desc.Digest, len(found.raw))
	}
	if err != nil {
		return nil, v1.Descriptor{}, explain(err, s.client.repository(), r.Name())
	}
	s.small[found.desc.Digest] = found.raw
	return s, found.desc, nil
}

// manifest is the client's, but what is not there is an error.
func (s *remoteStore) manifest(ctx context.Context, reference string) (*remoteManifest, error) {
	found, err := s.client.manifest(ctx, reference)
	if err == nil && found == nil {
		return nil, s.client.notFound(reference)
	}
	return found, err
}

// children are the candidates of an index. A child without a platform is read:
// it is another index, or its config has the platform.
func (s *remoteStore) children(ctx context.Context, descs []v1.Descriptor, want Platform, depth int) ([]candidate, error) {
	var children []candidate
	for _, d := range descs {
		c := candidate{desc: d, platform: platformOf(d.Platform), available: true, auxiliary: isAttestation(d)}
		if !c.auxiliary && !c.platform.known() && (want != (Platform{}) || d.MediaType.IsIndex()) {
			if depth == maxDepth {
				return nil, fmt.Errorf("index %s: indexes are nested more than %d deep", d.Digest, maxDepth)
			}
			m, _, err := s.parsed(ctx, d)
			if err != nil {
				return nil, err
			}
			if m.Config != nil && isConfig(*m.Config) {
				config, err := s.config(ctx, *m.Config)
				if err != nil {
					return nil, err
				}
				c.platform = config.platform
			}
			if c.nested, err = s.children(ctx, m.Manifests, want, depth+1); err != nil {
				return nil, err
			}
		}
		children = append(children, c)
	}
	return children, nil
}

// parsed reads a manifest or an index.
func (s *remoteStore) parsed(ctx context.Context, d v1.Descriptor) (manifest, types.MediaType, error) {
	raw, err := s.document(ctx, d, maxDocument)
	if err != nil {
		return manifest{}, "", explain(err, s.client.repository(), s.client.repository()+"@"+d.Digest.String())
	}
	m, mediaType, err := parseManifest(raw, d.MediaType)
	if err != nil {
		return m, "", fmt.Errorf("manifest %s %w", d.Digest, err)
	}
	return m, mediaType, nil
}

// config reads a config.
func (s *remoteStore) config(ctx context.Context, d v1.Descriptor) (configSummary, error) {
	raw, err := s.document(ctx, d, maxConfig)
	if err != nil {
		return configSummary{}, explain(err, s.client.repository(), s.client.repository()+"@"+d.Digest.String())
	}
	c, err := readConfig(raw)
	if err != nil {
		return c, fmt.Errorf("config %s %w", d.Digest, err)
	}
	return c, nil
}

// look describes the image under root, or the one of its children that want
// chooses, and returns the one chosen.
func (s *remoteStore) look(ctx context.Context, root v1.Descriptor, want Platform, d *Description) (v1.Descriptor, error) {
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
		child, err := choose(children, want)
		if err != nil {
			return root, err
		}
		if child != nil {
			return s.look(ctx, child.desc, Platform{}, d)
		}
		for _, p := range platformsOf(flatten(children)) {
			if p.known() {
				d.Platforms = append(d.Platforms, p)
			}
		}
		return root, nil
	}
	for _, l := range m.Layers {
		d.Layers++
		d.Size += l.Size
	}
	if m.Config != nil && isConfig(*m.Config) {
		c, err := s.config(ctx, *m.Config)
		if err != nil {
			return root, err
		}
		if _, err := checkLayers(m, c); err != nil && m.Subject == nil {
			return root, err
		}
		d.ImageID = m.Config.Digest.String()
		if c.platform.known() {
			d.Platforms = append(d.Platforms, c.platform)
		}
		if want != (Platform{}) && !want.Matches(c.platform) {
			return root, &PlatformError{Want: want, Have: d.Platforms}
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
	if raw, ok := embedded(d); ok {
		return raw, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readLimit, errStalled)
	defer cancel()
	var err error
	if d.MediaType.IsImage() || d.MediaType.IsIndex() || limit == maxDocument {
		var found *remoteManifest
		if found, err = s.manifest(ctx, d.Digest.String()); err == nil {
			raw = found.raw
		}
	} else {
		raw, err = s.client.read(ctx, d, limit)
	}
	if err == nil {
		err = s.budget.take(d.Digest, len(raw))
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
	r, err := s.client.openBlob(ctx, d)
	if err != nil && judge(err).action == renew {
		s.client.renew()
		r, err = s.client.openBlob(ctx, d)
	}
	if err != nil {
		return nil, &originError{s.client.repository(), err}
	}
	return &markedReader{r, func(err error) error {
		return &originError{s.client.repository(), fmt.Errorf("%s: %w", opReadBlob.name, stalledOr(ctx, err))}
	}}, nil
}

func (s *remoteStore) blob(d v1.Descriptor) (blob, error) {
	s.mu.Lock()
	raw, ok := s.small[d.Digest]
	s.mu.Unlock()
	b := blob{desc: d, host: s.client.repo.RegistryStr(), from: s.client.repo.RepositoryStr()}
	if ok {
		b.open = bytesOpener(raw)
	} else {
		b.open = func(ctx context.Context) (io.ReadCloser, error) { return s.open(ctx, d) }
	}
	return b, nil
}
