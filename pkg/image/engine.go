package image

// Images of the local engine, Docker or podman, over the Docker Engine API
// (docs.docker.com/reference/api/engine): asked about first, and handed out as
// an archive only when something has to be pushed.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// newestAPI is the newest version of the Engine API that the package was
// written for.
var newestAPI = apiVersion{1, 51}

// manifestsSince is the version whose inspect lists an index's manifests.
var manifestsSince = apiVersion{1, 48}

type apiVersion struct{ major, minor int }

func parseAPIVersion(s string) (apiVersion, bool) {
	a, b, ok := strings.Cut(s, ".")
	major, err1 := strconv.Atoi(a)
	minor, err2 := strconv.Atoi(b)
	return apiVersion{major, minor}, ok && err1 == nil && err2 == nil
}

func (v apiVersion) compare(w apiVersion) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor))
}

// EngineError says that the local engine could not be reached.
type EngineError struct {
	Host   string // the address tried
	Source string // what named it
	Err    error
}

func (e *EngineError) Error() string {
	return fmt.Sprintf("no container engine answers at %s (from %s): %v; is Docker installed and running on this agent, and may this user open its socket? Set DOCKER_HOST for another address, or give the path of an archive (docker save)",
		e.Host, e.Source, e.Err)
}
func (e *EngineError) Unwrap() error { return e.Err }

// NoSuchImageError says that the local engine has no image of that name.
type NoSuchImageError struct {
	Name string
	// Similar are tags the engine has of the same repository, or of one of a
	// similar name; newest first, ten at most.
	Similar []string
}

func (e *NoSuchImageError) Error() string {
	s := "there is no such image in the local engine, and no such path"
	if len(e.Similar) > 0 {
		return s + "; there is: " + strings.Join(e.Similar, ", ")
	}
	return s + "; was it built on this agent, in this job?"
}

// engine is a local engine that has answered.
type engine struct {
	http    *http.Client
	base    string // with the API version
	version apiVersion
	podman  bool
	private bool // what is sent to it passes no network in the open
}

// Bounds on the wait for an engine that hangs.
const (
	pingLimit    = 30 * time.Second
	inspectLimit = 2 * time.Minute
)

// connect finds the engine and agrees on an API version with it.
func connect(ctx context.Context, getenv func(string) string) (*engine, error) {
	at, err := findEndpoint(getenv)
	if err != nil {
		return nil, err
	}
	hc, base, err := at.client()
	if err != nil {
		return nil, err
	}
	e := &engine{http: hc, base: base, private: at.private()}
	pctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	resp, err := e.get(pctx, "/_ping")
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &EngineError{Host: at.shown(), Source: at.source, Err: err}
	}
	defer discard(resp)
	if resp.StatusCode != http.StatusOK {
		return nil, &EngineError{Host: at.shown(), Source: at.source, Err: engineMessage(resp)}
	}
	e.podman = resp.Header.Get("Libpod-API-Version") != ""
	if v, ok := parseAPIVersion(resp.Header.Get("API-Version")); ok {
		e.version = v
		if v.compare(newestAPI) > 0 {
			e.version = newestAPI
		}
		e.base += fmt.Sprintf("/v%d.%d", e.version.major, e.version.minor)
	}
	return e, nil
}

// get sends a GET request; path and query come encoded.
func (e *engine) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, redact(err)
	}
	return resp, nil
}

// engineMessage reads an engine's refusal.
func engineMessage(resp *http.Response) error {
	var m struct {
		Message string `json:"message"`
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(b, &m) != nil || m.Message == "" {
		m.Message = http.StatusText(resp.StatusCode)
	}
	return fmt.Errorf("the engine answered %d: %s", resp.StatusCode, m.Message)
}

// inspected is what is read of GET /images/{name}/json.
type inspected struct {
	ID           string `json:"Id"`
	Os           string
	OsVersion    string
	Architecture string
	Variant      string
	Size         int64
	RootFS       struct{ Layers []string }
	RepoTags     []string
	// Descriptor is set by engines with containerd's store, which know an image
	// by its manifest or index.
	Descriptor *v1.Descriptor
	Manifests  []inspectedManifest
}

type inspectedManifest struct {
	Descriptor v1.Descriptor
	Available  bool
	Kind       string // image, attestation, unknown
	ImageData  struct {
		Platform v1.Platform
		Size     struct{ Unpacked int64 }
	}
	Size struct{ Content int64 }
}

// openEngine is Open for a name in the local engine.
func openEngine(ctx context.Context, ref, name string, want Platform, o Options) (*Image, error) {
	m, err := inspectEngine(ctx, ref, name, want, o)
	if err != nil {
		if ctx.Err() == nil {
			err = elsewhere(name, fmt.Errorf("image %q: %w", ref, err))
		}
		return nil, err
	}
	return m, nil
}

func inspectEngine(ctx context.Context, ref, name string, want Platform, o Options) (*Image, error) {
	e, err := connect(ctx, o.getenv)
	if err != nil {
		return nil, err
	}
	o.Logger.DebugContext(ctx, "engine", "api", fmt.Sprintf("%d.%d", e.version.major, e.version.minor), "podman", e.podman)
	in, err := e.inspect(ctx, name)
	if err != nil {
		return nil, err
	}
	m := &Image{describe: Description{Kind: KindEngine, Ref: ref}}
	m.identity, m.certain, err = in.describe(&m.describe, want, e.podman)
	if err != nil {
		return nil, err
	}
	m.load = func(ctx context.Context, p *progress) (*content, error) {
		// By its ID: a name without a tag would hand out all tags of the
		// repository, and a tag may have moved since it was looked at.
		c, err := e.export(ctx, m, in.ID, want, in.Size, p, o)
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("image %q: %w", ref, err)
		}
		return c, err
	}
	m.outbox = newOutbox(e, in, m.describe.Digest)
	m.keep(closerFunc(e.http.CloseIdleConnections))
	return m, nil
}

type closerFunc func()

func (f closerFunc) Close() error { f(); return nil }

// imagePath is the address of an image; names hold slashes that stay.
func imagePath(name, action string) string {
	return "/images/" + (&url.URL{Path: name}).EscapedPath() + "/" + action
}

// inspect asks what the engine knows of an image.
func (e *engine) inspect(ctx context.Context, name string) (inspected, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectLimit)
	defer cancel()
	path := imagePath(name, "json")
	if e.version.compare(manifestsSince) >= 0 {
		path += "?manifests=1"
	}
	resp, err := e.get(ctx, path)
	if err != nil {
		return inspected{}, err
	}
	defer discard(resp)
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return inspected{}, &NoSuchImageError{Name: name, Similar: e.similar(ctx, name)}
	default:
		return inspected{}, engineMessage(resp)
	}
	raw, err := readSmall(resp.Body, maxConfig)
	if err != nil {
		return inspected{}, fmt.Errorf("the engine's answer: %w", err)
	}
	var in inspected
	if err := json.Unmarshal(raw, &in); err != nil {
		return inspected{}, fmt.Errorf("the engine's answer: %w", err)
	}
	return in, nil
}

// describe fills in a description and returns by what the image is known, and
// whether it could not be by anything else.
func (in inspected) describe(d *Description, want Platform, podman bool) (by identity, certain bool, err error) {
	d.Size, d.Layers = in.Size, len(in.RootFS.Layers)
	id, err := v1.NewHash(in.ID)
	if err != nil {
		if id, err = v1.NewHash("sha256:" + in.ID); err != nil { // podman
			return by, false, fmt.Errorf("the engine names the image by %q, which is no digest", in.ID)
		}
	}
	own := Platform{OS: in.Os, Architecture: in.Architecture, Variant: in.Variant, OSVersion: in.OsVersion}
	if own.known() {
		d.Platforms = []Platform{own}
	}

	if in.Descriptor == nil || in.Descriptor.Digest == (v1.Hash{}) {
		// The classic store, or podman: one image, known by its config. Podman
		// may write another config into a docker archive, and engines with
		// containerd's store that do not tell the descriptor name the index.
		if want != (Platform{}) && own.known() && !want.Matches(own) {
			return by, false, &PlatformError{Want: want, Have: d.Platforms}
		}
		d.ImageID = id.String()
		return identity{root: id, config: id}, !podman, nil
	}

	root := *in.Descriptor
	chosen := &root
	if root.MediaType.IsIndex() && len(in.Manifests) > 0 {
		var children []candidate
		for _, m := range in.Manifests {
			children = append(children, candidate{desc: m.Descriptor, platform: platformOf(&m.ImageData.Platform), available: m.Available, auxiliary: m.Kind != "image"})
		}
		child, err := choose(children, want)
		if err != nil {
			return by, false, err
		}
		var there []candidate
		for _, c := range children {
			if c.available && !c.auxiliary {
				there = append(there, c)
			}
		}
		d.Platforms = platformsOf(there)
		if child != nil {
			chosen, d.Platforms = &child.desc, []Platform{child.platform}
		} else if len(there) > 1 {
			d.Layers = 0 // inspect counts those of one platform
		}
	} else if want != (Platform{}) && !want.Matches(own) {
		return by, false, &PlatformError{Want: want, Have: d.Platforms}
	}
	d.Digest, d.MediaType = chosen.Digest.String(), string(chosen.MediaType)
	// An image that was loaded from an archive with raw layers is compressed on
	// its way, so that its digest becomes another one. Only an index is certain.
	return identity{root: chosen.Digest}, chosen.MediaType.IsIndex(), nil
}

// similar lists tags that the user may have meant. It is for a message, so its
// own errors are no one's concern.
func (e *engine) similar(ctx context.Context, name string) []string {
	resp, err := e.get(ctx, "/images/json")
	if err != nil {
		return nil
	}
	defer discard(resp)
	raw, err := readSmall(resp.Body, 32<<20)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	var all []struct {
		RepoTags []string
		Created  int64
	}
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	slices.SortStableFunc(all, func(a, b struct {
		RepoTags []string
		Created  int64
	}) int {
		return cmp.Compare(b.Created, a.Created)
	})
	var tags []string
	for _, i := range all {
		tags = append(tags, i.RepoTags...)
	}
	return similarTags(name, tags)
}

// similarTags chooses those of tags, in their order, that are of name's
// repository; if there are none, those whose last path element is similar.
func similarTags(name string, tags []string) []string {
	const most = 10
	repo, _, _ := cutTag(name)
	last := func(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
	var same, near []string
	for _, t := range tags {
		r, tag, ok := cutTag(t)
		if !ok || tag == "<none>" || r == "<none>" {
			continue
		}
		a, b := last(r), last(repo)
		switch {
		case r == repo, strings.TrimPrefix(strings.TrimPrefix(r, "docker.io/"), "library/") == repo, strings.TrimPrefix(r, "localhost/") == repo: // the last as podman writes it
			same = append(same, t)
		case a == b, len(a) > 2 && len(b) > 2 && (strings.Contains(a, b) || strings.Contains(b, a)):
			near = append(near, t)
		}
	}
	if len(same) == 0 {
		same = near
	}
	return same[:min(len(same), most)]
}

// exportStall bounds how long an engine may hand out nothing. The classic store
// prepares the whole archive before it sends the first byte, which takes about
// a minute for ten gigabytes.
const exportStall = 10 * time.Minute

// export has the engine hand out an image and spools it. Layers are read when
// all is there: the classic store takes five times as long to prepare the
// archive as to send it, so that little is left to be gained by compressing
// them while they come.
func (e *engine) export(ctx context.Context, m *Image, id string, want Platform, size int64, p *progress, o Options) (*content, error) {
	p.stage(StageExport, size, 0)
	t, err := newSpool(o.TempDirectory)
	if err != nil {
		return nil, err
	}
	m.keep(t)
	if err := e.fill(ctx, t, id, p); err != nil {
		return nil, err
	}
	c, _, err := openArchive(ctx, t.File, "", want)
	if errors.Is(err, errTruncated) {
		return nil, fmt.Errorf("the engine stopped after %d MB of the image", t.written>>20)
	}
	return c, err
}

// fill spools what the engine hands out.
func (e *engine) fill(ctx context.Context, t *spool, id string, p *progress) error {
	sctx, watch := watchStall(ctx, exportStall)
	defer watch.stop()

	resp, err := e.get(sctx, imagePath(id, "get"))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = engineMessage(resp)
		discard(resp)
	}
	if err == nil {
		defer resp.Body.Close()
		_, err = t.ReadFrom(readerFunc(func(b []byte) (int, error) {
			n, err := resp.Body.Read(b)
			if n > 0 {
				watch.moved(n)
				p.add(int64(n), 0)
			}
			return n, err
		}))
	}
	var full *DiskFullError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &full):
		return err
	}
	return fmt.Errorf("the engine stopped after %d MB of the image: %w", t.written>>20, stalledOr(sctx, err))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
