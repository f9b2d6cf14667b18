package engine

// Images of the local engine, Docker or podman, over the Docker Engine API
// (docs.docker.com/reference/api/engine): asked about first, and handed out as
// an archive only when something has to be pushed.

import (
	"bytes"
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
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
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

func (v apiVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v apiVersion) compare(w apiVersion) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor))
}

// Error says that the local engine could not be reached.
type Error struct {
	Host   string // the address tried
	Source string // what named it
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("no container engine answers at %s (from %s): %v; is Docker installed and running on this agent, and may this user open its socket? Set DOCKER_HOST for another address, or give the path of an archive (docker save)",
		e.Host, e.Source, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

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

// Engine is a local engine that has answered.
type Engine struct {
	Http    *http.Client
	Base    string // with the API version
	Version apiVersion
	Podman  bool
	private bool // what is sent to it passes no network in the open
	local   bool // it is on this machine, as far as its address says
}

// Bounds on the wait for an engine that hangs.
const (
	pingLimit    = 30 * time.Second
	inspectLimit = 2 * time.Minute
)

// Connect finds the engine and agrees on an API version with it.
func Connect(ctx context.Context, getenv func(string) string) (*Engine, error) {
	at, err := findEndpoint(getenv)
	if err != nil {
		return nil, err
	}
	hc, base, err := at.Client()
	if err != nil {
		return nil, err
	}
	e := &Engine{Http: hc, Base: base, private: at.private(), local: at.local()}
	pctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	var header http.Header
	err = again(pctx, func() error {
		resp, err := e.get(pctx, "/_ping")
		if err != nil {
			return err
		}
		defer registry.Discard(resp)
		if header = resp.Header; resp.StatusCode != http.StatusOK {
			return engineMessage(resp)
		}
		return nil
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &Error{Host: at.shown(), Source: at.Source, Err: err}
	}
	e.Podman = header.Get("Libpod-API-Version") != ""
	if v, ok := parseAPIVersion(header.Get("API-Version")); ok {
		e.Version = v
		if v.compare(newestAPI) > 0 {
			e.Version = newestAPI
		}
		e.Base += "/v" + e.Version.String()
	}
	return e, nil
}

// Close ends the connections that are kept for the next request.
func (e *Engine) Close() error { e.Http.CloseIdleConnections(); return nil }

// get sends a GET request; path and query come encoded.
func (e *Engine) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Base+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.Http.Do(req)
	if err != nil {
		return nil, registry.Redact(err)
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
	return &refusal{resp.StatusCode, m.Message}
}

// refusal is an answer of the engine that is an error.
type refusal struct {
	status  int // 0 where it stands behind an answer that began well
	message string
}

func (e *refusal) Error() string {
	if e.status == 0 {
		return "the engine says: " + e.message
	}
	return fmt.Sprintf("the engine answered %d: %s", e.status, e.message)
}

// Ending is the error that stands at the end of an image that an engine has handed out; nil
// where there is none. Docker writes it there where it fails after it has begun (moby,
// daemon/server/router/image, "getImagesGet").
func Ending(tail []byte) error {
	at := bytes.LastIndex(tail, []byte(`{"errorDetail":`))
	if at < 0 {
		return nil
	}
	var said struct {
		ErrorDetail struct {
			Message string `json:"message"`
		} `json:"errorDetail"`
		Error string `json:"error"`
	}
	if json.Unmarshal(tail[at:], &said) != nil {
		return nil
	}
	return &refusal{message: cmp.Or(said.ErrorDetail.Message, said.Error, "nothing of why it stopped")}
}

const (
	attempts   = 3 // of a request that only reads
	firstPause = 500 * time.Millisecond
)

// again makes a request that only reads until it is answered, or until another attempt
// is of no use.
func again(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || attempt == attempts || !Interrupted(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(firstPause << (attempt - 1)):
		}
	}
}

// Interrupted reports whether a request may be answered when it is made again: its
// connection was cut, or the engine was busy or failed. An engine that is not there
// stays so.
func Interrupted(err error) bool {
	if e, is := errors.AsType[*refusal](err); is {
		return e.status == 0 || e.status >= http.StatusInternalServerError || e.status == http.StatusTooManyRequests
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Inspected is what is read of GET /images/{name}/json.
type Inspected struct {
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

// imagePath is the address of an image; names hold slashes that stay.
func imagePath(name, action string) string {
	return "/images/" + (&url.URL{Path: name}).EscapedPath() + "/" + action
}

// Inspect asks what the engine knows of an image.
func (e *Engine) Inspect(ctx context.Context, name string) (Inspected, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectLimit)
	defer cancel()
	path := imagePath(name, "json")
	if e.Version.compare(manifestsSince) >= 0 {
		path += "?manifests=1"
	}
	var raw []byte
	err := again(ctx, func() error {
		resp, err := e.get(ctx, path)
		if err != nil {
			return err
		}
		defer registry.Discard(resp)
		switch resp.StatusCode {
		case http.StatusOK:
		case http.StatusNotFound:
			return &NoSuchImageError{Name: name, Similar: e.similar(ctx, name)}
		default:
			return engineMessage(resp)
		}
		if raw, err = image.ReadSmall(resp.Body, image.MaxConfig); err != nil {
			return fmt.Errorf("the engine's answer: %w", err)
		}
		return nil
	})
	if err != nil {
		return Inspected{}, err
	}
	var in Inspected
	if err := json.Unmarshal(raw, &in); err != nil {
		return Inspected{}, fmt.Errorf("the engine's answer: %w", err)
	}
	return in, nil
}

// Describe fills in a description and returns by what the image is known, and
// whether it could not be by anything else.
func (in Inspected) Describe(d *image.Description, want image.Platform, podman bool) (by image.Identity, certain bool, err error) {
	d.Size, d.Layers = in.Size, len(in.RootFS.Layers)
	id, err := v1.NewHash(in.ID)
	if err != nil {
		if id, err = v1.NewHash("sha256:" + in.ID); err != nil { // podman
			return by, false, fmt.Errorf("the engine names the image by %q, which is no digest", in.ID)
		}
	}
	own := image.Platform{OS: in.Os, Architecture: in.Architecture, Variant: in.Variant, OSVersion: in.OsVersion}
	if own.Known() {
		d.Platforms = []image.Platform{own}
	}

	if in.Descriptor == nil || in.Descriptor.Digest == (v1.Hash{}) {
		// The classic store, or podman: one image, known by its config. Podman
		// may write another config into a docker archive, and engines with
		// containerd's store that do not tell the descriptor name the index.
		if want != (image.Platform{}) && own.Known() && !want.Matches(own) {
			return by, false, &image.PlatformError{Want: want, Have: d.Platforms}
		}
		d.ImageID = id.String()
		return image.Identity{Root: id, Config: id}, !podman, nil
	}

	root := *in.Descriptor
	chosen := &root
	if root.MediaType.IsIndex() && len(in.Manifests) > 0 {
		var children []image.Candidate
		for _, m := range in.Manifests {
			children = append(children, image.Candidate{Desc: m.Descriptor, Platform: image.PlatformOf(&m.ImageData.Platform), Available: m.Available, Auxiliary: m.Kind != "image"})
		}
		child, err := image.Choose(children, want)
		if err != nil {
			return by, false, err
		}
		var there []image.Candidate
		for _, c := range children {
			if c.Available && !c.Auxiliary {
				there = append(there, c)
			}
		}
		d.Platforms = image.PlatformsOf(there)
		if child != nil {
			chosen, d.Platforms = &child.Desc, []image.Platform{child.Platform}
		} else if len(there) > 1 {
			d.Layers = 0 // inspect counts those of one platform
		}
	} else if want != (image.Platform{}) && !want.Matches(own) {
		return by, false, &image.PlatformError{Want: want, Have: d.Platforms}
	}
	d.Digest, d.MediaType = chosen.Digest.String(), string(chosen.MediaType)
	// An image that was loaded from an archive with raw layers is compressed on
	// its way, so that its digest becomes another one. Only an index is certain.
	return image.Identity{Root: chosen.Digest}, chosen.MediaType.IsIndex(), nil
}

// similar lists tags that the user may have meant. It is for a message, so its
// own errors are no one's concern.
func (e *Engine) similar(ctx context.Context, name string) []string {
	resp, err := e.get(ctx, "/images/json")
	if err != nil {
		return nil
	}
	defer registry.Discard(resp)
	raw, err := image.ReadSmall(resp.Body, 32<<20)
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
	repo, _, _ := image.CutTag(name)
	last := func(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
	var same, near []string
	for _, t := range tags {
		r, tag, ok := image.CutTag(t)
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

// ExportStall bounds how long an engine may hand out nothing. The classic store
// prepares the whole archive before it sends the first byte, which takes about
// a minute for ten gigabytes.
const ExportStall = 10 * time.Minute

// Export hands out the image of that ID as an archive. The error is that of to, where
// that is the one that fails.
func (e *Engine) Export(ctx context.Context, id string, to io.ReaderFrom, p *image.Meter) error {
	sctx, watch := registry.WatchStall(ctx, ExportStall)
	defer watch.Stop()

	resp, err := e.get(sctx, imagePath(id, "get"))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = engineMessage(resp)
		registry.Discard(resp)
	}
	refused, got := err, int64(0)
	if err == nil {
		defer resp.Body.Close()
		_, err = to.ReadFrom(readerFunc(func(b []byte) (int, error) {
			n, err := resp.Body.Read(b)
			if n > 0 {
				watch.Moved(n)
				p.Add(int64(n), 0)
				got += int64(n)
			}
			if err != nil && err != io.EOF {
				refused = err
			}
			return n, err
		}))
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case refused == nil:
		return err
	}
	return fmt.Errorf("the engine stopped after %d MB of the image: %w", got>>20, registry.StalledOr(sctx, err))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
