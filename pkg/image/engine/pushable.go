package engine

// The engine's side of relaying: whether an engine can push to this process, and
// having it do so.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/loopback"
	"ecsdeploy/pkg/image/registry"
)

// Pushable is an image that its engine can push through this process.
type Pushable struct {
	Config  v1.Hash   // the digest that the engine calls the image by
	DiffIDs []v1.Hash // of the layers, as the engine lists them
	engine  *Engine
	id      string
	size    int64
}

// Relay is what the registry of a push stands in front of.
type Relay interface {
	loopback.Store
	// Tell names what is to be called whenever the engine asks for something or sends
	// something.
	Tell(alive func())
	// Familiar says whether any of the image's layers need not be sent.
	Familiar() bool
	// Conclude makes an image of what has been pushed. missing are digests of layers
	// that are nowhere; the engine is asked once more to push, and for these.
	Conclude(ctx context.Context) (u *image.Unbuilt, missing []v1.Hash, err error)
	Again(missing []v1.Hash)
}

// NewPushable returns nil and the reason for an image that is better handed out.
func NewPushable(e *Engine, in Inspected) (*Pushable, string) {
	c := &Pushable{engine: e, id: in.ID, size: in.Size}
	switch {
	case in.Descriptor != nil:
		return nil, "the engine keeps images in containerd's store"
	case !e.local:
		return nil, "the engine is on another machine (DOCKER_HOST), from which a port of this one is not reached"
	case in.Os != "linux":
		return nil, "the image is not one of Linux"
	case len(in.RepoTags) == 0:
		// Taking the temporary tag away again would delete the image.
		return nil, "the image has no tag"
	case handingOut(in.Size) < worthRelaying:
		return nil, "the image is small"
	}
	var err error
	if c.Config, err = v1.NewHash("sha256:" + strings.TrimPrefix(in.ID, "sha256:")); err != nil {
		return nil, "the engine names the image by no digest"
	}
	for _, l := range in.RootFS.Layers {
		h, err := v1.NewHash(l)
		if err != nil || h.Algorithm != "sha256" {
			return nil, "the engine does not list the image's layers"
		}
		c.DiffIDs = append(c.DiffIDs, h)
	}
	if len(c.DiffIDs) == 0 {
		return nil, "the engine does not list the image's layers"
	}
	return c, ""
}

// What an engine takes, in bytes a second of raw layers: one core packs a layer with
// the standard library's gzip; the classic store hands an image out by putting
// all of it together first. Docker 20.10 and 28, measured on a hosted agent's
// two cores; what counts is their ratio.
const (
	packRate      = 32 << 20
	exportRate    = 140 << 20
	compressRate  = 170 << 20 // of this package, a core
	worthRelaying = 250 * time.Millisecond
)

// handingOut is how long an engine takes to hand out an image of size bytes.
func handingOut(size int64) time.Duration { return span(size, exportRate) }

func span(size, rate int64) time.Duration {
	return time.Duration(float64(size) / float64(rate) * float64(time.Second))
}

// tooSlow says why an engine had better hand out an image of size bytes than pack
// layers of these sizes itself; "" if not.
func tooSlow(size int64, packs []int64, cores int) string {
	var largest, all int64
	for _, n := range packs {
		largest, all = max(largest, n), all+n
	}
	here := max(span(largest, packRate), span(all, packRate*int64(cores)))
	there := handingOut(size) + span(all, compressRate*int64(cores))
	if here <= there {
		return ""
	}
	return fmt.Sprintf("it would compress %d MB of layers that the registry does not have", all>>20)
}

// reachLimit bounds how long an engine may take to come here.
const reachLimit = 5 * time.Second

// maxPushes bounds how often an engine is asked to push: once to learn which layers
// are meant by the digests that it knows, and once for those that are nowhere.
const maxPushes = 2

// Through has the engine push to the relay and returns the image that came of it.
// stall is how long nothing may happen.
func (o *Pushable) Through(ctx context.Context, r Relay, stall time.Duration, log *slog.Logger) (*image.Unbuilt, error) {
	reg, err := loopback.Listen(ctx, r)
	if err != nil {
		return nil, err
	}
	defer reg.Close()
	if err := o.reach(ctx, reg, min(reachLimit, stall)); err != nil {
		return nil, err
	}
	if o.engine.Podman && !r.Familiar() {
		// It compresses on all cores, but everything, and does not say how much that is.
		return nil, errors.New("it would compress all layers, of which the registry is not known to have any")
	}
	tag := strings.ToLower(rand.Text())
	full := reg.Repository() + ":" + tag
	if err := o.engine.do(ctx, http.MethodPost, imagePath(o.id, "tag")+"?"+url.Values{"repo": {reg.Repository()}, "tag": {tag}}.Encode(), nil); err != nil {
		return nil, fmt.Errorf("temporary tag: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := o.engine.do(ctx, http.MethodDelete, strings.TrimSuffix(imagePath(full, ""), "/")+"?noprune=1", nil); err != nil {
			log.InfoContext(ctx, "the engine keeps a temporary tag", "tag", full, "error", err)
		}
	}()
	one := relayed{o, reg, tag, stall}
	for n := 1; ; n++ {
		if err := one.make(ctx, r); err != nil {
			return nil, err
		}
		u, missing, err := r.Conclude(ctx)
		if err != nil || len(missing) == 0 {
			return u, err
		}
		if n == maxPushes {
			return nil, fmt.Errorf("%d of its layers are nowhere", len(missing))
		}
		r.Again(missing)
	}
}

// reach has the engine check credentials with the registry (docs.docker.com/
// reference/api/engine, "Check auth configuration"), which shows whether its
// loopback address is the one of this process, before it is told to send an image
// there. They are good for nothing else, whoever gets them.
func (o *Pushable) reach(ctx context.Context, reg *loopback.Registry, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	address := reg.Address()
	if o.engine.Podman { // which tries plain HTTP with no other name (pkg/api/handlers/compat/auth.go)
		address = strings.Replace(address, "127.0.0.1", "localhost", 1)
	}
	user, password := reg.Credentials()
	raw, err := json.Marshal(map[string]string{"username": user, "password": password, "serveraddress": address})
	if err != nil {
		return err
	}
	asked := make(chan error, 1)
	go func() { asked <- o.engine.do(ctx, http.MethodPost, "/auth", raw) }()
	select {
	case <-reg.Reached():
		cancel()
		<-asked
		return nil
	case err = <-asked:
	case <-ctx.Done():
		err = errors.New("no answer")
	}
	select {
	case <-reg.Reached():
		return nil
	default:
	}
	if err == nil {
		err = errors.New("something else answers there")
	}
	return fmt.Errorf("it does not reach this process at %s: a container job, a rootless engine and one in a virtual machine have a loopback address of their own: %w", reg.Address(), err)
}

// relayed is a push of the engine to the registry of this process.
type relayed struct {
	*Pushable
	registry *loopback.Registry
	tag      string
	stall    time.Duration
}

// make has the engine push one time. Whether it succeeded is seen in the registry;
// the status is 200 whatever comes of it, and an error is a line of the answer.
func (o relayed) make(ctx context.Context, r Relay) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(o.stall, func() { cancel(registry.ErrStalled) })
	defer timer.Stop()
	alive := func() { timer.Reset(o.stall) }
	r.Tell(alive)
	resp, err := o.request(ctx)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = engineMessage(resp)
		registry.Discard(resp)
	}
	if err != nil {
		return registry.StalledOr(ctx, registry.Redact(err))
	}
	defer resp.Body.Close()
	packs := map[string]int64{} // by layer: its size, unpacked
	d := json.NewDecoder(resp.Body)
	for {
		var l pushLine
		switch err := d.Decode(&l); {
		case err == io.EOF:
			return nil
		case err != nil:
			return registry.StalledOr(ctx, err)
		case l.Error != "":
			return fmt.Errorf("it says: %s", l.Error)
		}
		alive()
		if l.Status == "Pushing" && l.ProgressDetail.Total > packs[l.ID] {
			packs[l.ID] = l.ProgressDetail.Total
			if why := tooSlow(o.size, slices.Collect(maps.Values(packs)), runtime.NumCPU()); why != "" {
				return errors.New(why)
			}
		}
	}
}

// request asks for the push.
func (o relayed) request(ctx context.Context) (*http.Response, error) {
	query := url.Values{"tag": {o.tag}}
	if o.engine.Podman {
		query.Set("tlsVerify", "false")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.engine.Base+imagePath(o.registry.Repository(), "push")+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	user, password := o.registry.Credentials()
	auth, err := json.Marshal(map[string]string{"username": user, "password": password, "serveraddress": o.registry.Address()})
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Registry-Auth", base64.URLEncoding.EncodeToString(auth))
	return o.engine.Http.Do(req)
}

// do sends a request whose answer says nothing. body is JSON, or nil.
func (e *Engine) do(ctx context.Context, method, path string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, e.Base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := e.Http.Do(req)
	if err != nil {
		return registry.Redact(err)
	}
	defer registry.Discard(resp)
	if resp.StatusCode >= http.StatusMultipleChoices {
		return engineMessage(resp)
	}
	return nil
}
