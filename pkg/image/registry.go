package image

// Images in a registry: as the source of a push, and to be looked at.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Inspect looks at the image ref (host/name:tag or host/name@digest) in a
// registry: its digest and media type, and the platforms of its index or its
// config. A nil auth is anonymous, a nil transport one tuned for images.
// Where there is no such image or repository, the error is a *NotFoundError;
// where reading is refused, a *DeniedError.
func Inspect(ctx context.Context, ref string, auth authn.Authenticator, transport http.RoundTripper) (Description, error) {
	if auth == nil {
		auth = authn.Anonymous
	}
	s, root, err := findRemote(ctx, ref, transport, remote.WithAuth(auth))
	if err != nil {
		return Description{}, err
	}
	d := Description{Kind: KindRegistry, Ref: ref}
	_, _, err = s.look(ctx, root, Platform{}, &d)
	return d, err
}

// openRegistry is Open for a docker:// reference. It reads no more than it
// needs to know what the image is; the rest of the tree when it is pushed.
func openRegistry(ctx context.Context, ref, rest string, want Platform, o Options) (*Image, error) {
	keys := o.Keychain
	if keys == nil {
		keys = authn.NewMultiKeychain()
	}
	s, root, err := findRemote(ctx, rest, o.Transport, remote.WithAuthFromKeychain(keys))
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	m := &Image{describe: Description{Kind: KindRegistry, Ref: ref}, certain: true}
	chosen, ids, err := s.look(ctx, root, want, &m.describe)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	m.identities = ids
	m.load = func(ctx context.Context, _ *progress) (*content, error) {
		c, err := walk(ctx, s, chosen, Platform{})
		if err != nil {
			return nil, fmt.Errorf("image %q: %w", ref, explain(err, s.repo.Name(), rest))
		}
		return c, nil
	}
	return m, nil
}

// remoteStore is the store of a repository in a registry.
type remoteStore struct {
	repo    name.Repository
	options []remote.Option

	mu    sync.Mutex
	small map[v1.Hash][]byte // what was read already
}

// readLimit bounds the reading of a manifest or config from a registry, the
// library's retries included.
const readLimit = 2 * time.Minute

// findRemote reads the manifest or index that ref names.
func findRemote(ctx context.Context, ref string, transport http.RoundTripper, auth remote.Option) (*remoteStore, v1.Descriptor, error) {
	if transport == nil {
		transport = sharedTransport()
	}
	r, err := name.ParseReference(ref, name.WeakValidation)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	puller, err := remote.NewPuller(remote.WithTransport(transport), auth)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	s := &remoteStore{repo: r.Context(), options: []remote.Option{remote.Reuse(puller)}, small: map[v1.Hash][]byte{}}
	gctx, cancel := context.WithTimeoutCause(ctx, readLimit, errStalled)
	defer cancel()
	d, err := remote.Get(r, s.with(gctx)...)
	if err != nil {
		return nil, v1.Descriptor{}, explain(err, s.repo.Name(), r.Name())
	}
	if len(d.Manifest) > maxDocument {
		return nil, v1.Descriptor{}, fmt.Errorf("%s: the manifest is larger than %d bytes", r.Name(), maxDocument)
	}
	s.small[d.Digest] = d.Manifest
	return s, d.Descriptor, nil
}

func (s *remoteStore) with(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, s.options...)
}

// look describes the image under root, or the one of its children that want
// chooses, and returns the one chosen and the digests that identify it.
func (s *remoteStore) look(ctx context.Context, root v1.Descriptor, want Platform, d *Description) (v1.Descriptor, []v1.Hash, error) {
	raw, err := s.document(ctx, root, maxDocument)
	if err != nil {
		return root, nil, explain(err, s.repo.Name(), s.repo.Digest(root.Digest.String()).Name())
	}
	m, mediaType, err := parseManifest(raw, root.MediaType)
	if err != nil {
		return root, nil, fmt.Errorf("manifest %s %w", root.Digest, err)
	}
	d.Digest, d.MediaType = root.Digest.String(), string(mediaType)
	if mediaType.IsIndex() {
		var children []candidate
		for _, c := range m.Manifests {
			children = append(children, candidate{desc: c, platform: platformOf(c.Platform), available: true, auxiliary: isAttestation(c)})
			if p := platformOf(c.Platform); p.known() {
				d.Platforms = append(d.Platforms, p)
			}
		}
		child, err := choose(children, want)
		if err != nil {
			return root, nil, err
		}
		if child != nil {
			d.Platforms = nil
			return s.look(ctx, child.desc, want, d)
		}
		return root, []v1.Hash{root.Digest}, nil
	}
	ids := []v1.Hash{root.Digest}
	for _, l := range m.Layers {
		d.Layers++
		d.Size += l.Size
	}
	if m.Config != nil && isConfig(*m.Config) {
		raw, err := s.document(ctx, *m.Config, maxConfig)
		if err != nil {
			return root, nil, explain(err, s.repo.Name(), s.repo.Digest(root.Digest.String()).Name())
		}
		c, err := readConfig(raw)
		if err != nil {
			return root, nil, fmt.Errorf("config %s %w", m.Config.Digest, err)
		}
		d.ImageID = m.Config.Digest.String()
		ids = append(ids, m.Config.Digest)
		if c.platform.known() {
			d.Platforms = append(d.Platforms, c.platform)
		}
		if want != (Platform{}) && !want.Matches(c.platform) {
			return root, nil, &PlatformError{Want: want, Have: d.Platforms}
		}
	}
	return root, ids, nil
}

func (s *remoteStore) document(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	s.mu.Lock()
	raw, ok := s.small[d.Digest]
	s.mu.Unlock()
	if ok {
		return raw, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readLimit, errStalled)
	defer cancel()
	var err error
	if d.MediaType.IsImage() || d.MediaType.IsIndex() {
		var got *remote.Descriptor
		if got, err = remote.Get(s.repo.Digest(d.Digest.String()), s.with(ctx)...); err == nil {
			raw = got.Manifest
		}
	} else {
		raw, err = s.read(ctx, d, limit)
	}
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("is larger than %d bytes", limit)
	}
	s.mu.Lock()
	s.small[d.Digest] = raw
	s.mu.Unlock()
	return raw, nil
}

// read reads a small blob whole.
func (s *remoteStore) read(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	r, err := s.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readSmall(r, limit)
}

func (s *remoteStore) open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	l, err := remote.Layer(s.repo.Digest(d.Digest.String()), s.with(ctx)...)
	if err != nil {
		return nil, err
	}
	return l.Compressed() // verifies the digest at its end
}

func (s *remoteStore) blob(d v1.Descriptor) (blob, error) {
	if d.Size < 0 || d.Digest == (v1.Hash{}) {
		return blob{}, errors.New("has no size or digest")
	}
	s.mu.Lock()
	raw, ok := s.small[d.Digest]
	s.mu.Unlock()
	b := blob{desc: d, host: s.repo.RegistryStr(), from: s.repo.RepositoryStr()}
	if ok {
		b.open = bytesOpener(raw)
	} else {
		b.open = func(ctx context.Context) (io.ReadCloser, error) { return s.open(ctx, d) }
	}
	return b, nil
}
