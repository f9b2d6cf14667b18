package source

// An Image is a source that has been found and looked at: what Open returns,
// Check compares, Push moves, and Close cleans up after.

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/mistake"
)

// Options say how Open looks for an image. The zero value is usable.
type Options struct {
	// Platform chooses one image of an index, "linux/arm64"; empty takes the
	// whole index.
	Platform string
	// WorkingDirectory is what a relative path starts from; empty is the
	// process's own.
	WorkingDirectory string
	// Environ looks up the variables that lead to the engine: DOCKER_HOST,
	// DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_CERT_PATH, DOCKER_TLS_VERIFY, HOME
	// and USERPROFILE. Nil knows none.
	Environ func(key string) (string, bool)
	// Keychain has the credentials for docker:// references; nil is anonymous.
	Keychain authn.Keychain
	// Transport carries requests to the registry of a docker:// reference; nil
	// is NewTransport's for the system's roots.
	Transport http.RoundTripper
	// Insecure are the hosts of registries, with their ports, that may be spoken to
	// over plain HTTP. Registries on this machine need no saying so.
	Insecure []string
	// TempDirectory takes the archive that an engine hands out, or a gzipped
	// archive unpacked; empty is the system's.
	TempDirectory string
	// Logger is told, at debug level, how the source was found out; nil is
	// silent.
	Logger *slog.Logger
}

func (o Options) Getenv(key string) string {
	if o.Environ == nil {
		return ""
	}
	v, _ := o.Environ(key)
	return v
}

func (o Options) path(p string) string {
	if o.WorkingDirectory == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(o.WorkingDirectory, p)
}

// Image is a source that Open found. Its methods and Check and Push must not
// be called at the same time.
type Image struct {
	describe image.Description
	// identity is by what the image is known before it is loaded. When certain is
	// false, an image with another digest might still be the same one.
	identity image.Identity
	certain  bool
	// load fetches the content of an engine's image; nil when content is set.
	load    func(ctx context.Context, p *image.Meter) (*image.Content, error)
	content *image.Content
	// options are those that an engine's image was opened with.
	options Options
	// outbox is set when the engine is better off pushing by itself.
	outbox *engine.Outbox
	// pushable is set when the engine may be better off pushing through this process.
	pushable *engine.Pushable
	// arriving is told of layers while the engine hands the image out; may be nil.
	arriving func(image.Layer)

	mu      sync.Mutex
	closers []io.Closer
}

// Describe says what is known of the image. It costs nothing, and says more of
// an engine's image once that has been pushed.
func (m *Image) Describe() image.Description {
	d := m.describe
	d.Platforms = slices.Clone(d.Platforms)
	return d
}

// Close removes what Open and Push left in the temporary directory.
func (m *Image) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(m.closers) {
		errs = append(errs, c.Close())
	}
	m.closers = nil
	return errors.Join(errs...)
}

// Identity is by what the image is known, and Certain says that an image that is known
// by something else is not the same one.
func (m *Image) Identity() image.Identity { return m.identity }

// Certain says whether the identity is the only one that the image can have.
func (m *Image) Certain() bool { return m.certain }

// Content is what the image consists of; nil while its engine or registry has not
// been asked for it.
func (m *Image) Content() *image.Content { return m.content }

// Outbox is the image as its engine can push it by itself; nil where it is better off
// being handed out.
func (m *Image) Outbox() *engine.Outbox { return m.outbox }

// Pushable is the image as its engine can push it through this process; nil where it is
// better off being handed out, or pushed by itself.
func (m *Image) Pushable() *engine.Pushable { return m.pushable }

// Confirm says that the image is the one with this config, and no other.
func (m *Image) Confirm(config v1.Hash) {
	m.identity, m.certain = image.Identity{Config: config}, true
}

// Spool opens a temporary file that is gone when it is closed. A full disk is a
// *DiskFullError.
func (m *Image) Spool() (Spool, error) { return newSpool(m.options.TempDirectory) }

// Spool is a temporary file.
type Spool interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// Fetch reads the content from the engine or registry, and does not keep it.
func (m *Image) Fetch(ctx context.Context, p *image.Meter) (*image.Content, error) {
	return m.load(ctx, p)
}

// keep hands Close something to close.
func (m *Image) keep(c io.Closer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closers = append(m.closers, c)
}

// Loaded returns the image's content, fetching it from the engine at the first
// call.
func (m *Image) Loaded(ctx context.Context, p *image.Meter) (*image.Content, error) {
	if m.content != nil {
		return m.content, nil
	}
	c, err := m.load(ctx, p)
	if err != nil {
		return nil, err
	}
	m.Use(c)
	return c, nil
}

// Use takes content as the image's own and describes the image by it.
func (m *Image) Use(c *image.Content) {
	m.content, m.certain = c, true
	m.identity = c.Identity()
	c.Describe(&m.describe)
}

// Open finds out what ref is and looks at it without moving any of it:
//
//   - docker://host/repository:tag or …@digest is an image in that registry;
//   - the path of a docker archive (docker save, podman save), an OCI archive,
//     either of them gzipped or not, or of an OCI layout directory; where it
//     holds several images, "path#name:tag" or "path#sha256:…" takes one;
//   - anything else is an image of the local engine, by name or ID.
//
// The transports of skopeo and podman that mean the same are understood, too:
// docker-archive:, oci-archive:, oci:, docker-daemon:, and file:// before a path.
//
// A name for which there happens to be a file or folder that is no image is
// still looked up in the engine. The caller closes the Image.
//
// What cannot be a reference is a mistake of the kind Image. Errors with a type of
// their own: *AmbiguousError, *image.PlatformError, *image.LayerError (an image that no engine
// could unpack), *NoSuchImageError, *engine.Error, *registry.NotFoundError, *registry.DeniedError,
// *InsecureError, *DiskFullError.
func Open(ctx context.Context, ref string, o Options) (*Image, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.TempDirectory == "" {
		o.TempDirectory = os.TempDir()
	}
	want, err := image.ParsePlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	if ref, err = expand(ref, o); err != nil {
		return nil, err
	}
	at := classify(ref, func(p string) fileKind { return lookAt(o.path(p)) })
	o.Logger.DebugContext(ctx, "image source", "ref", ref, "kind", at.kind.String(), "path", at.path, "selector", at.selector)
	switch at.kind {
	case refRegistry:
		return openRegistry(ctx, ref, at.name, want, o)
	case refFile, refDirectory:
		return openPath(ctx, ref, at, want, o)
	case refEngine:
		return openEngine(ctx, ref, at.name, want, o)
	default:
		return nil, mistake.New(mistake.Image, "", "image %s: %s", quoted(ref), at.problem)
	}
}
