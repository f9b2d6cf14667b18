package engine

// Having the engine push by itself, over POST /images/{name}/push
// (docs.docker.com/reference/api/engine, "Push an image"). An engine with
// containerd's store has an image as a registry wants it, digests and all, and
// asks a registry for each blob before it sends it; handing the same image out
// as an archive takes it longer than all of the push. The classic store and
// podman would compress every layer anew, and on a fresh agent send what the
// registry has: their images are handed out and pushed from here.
//
// Whatever goes wrong, the image is still handed out and pushed from here: an
// engine may not reach the registry, or not trust it, and its errors are text.

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// Outbox is an image that its engine can push by itself.
type Outbox struct {
	engine *Engine
	in     Inspected
	Root   v1.Descriptor // what will be under the tag
}

// NewOutbox returns nil for an image that is better handed out. chosen is the
// digest of the manifest or index that is to be pushed.
func NewOutbox(e *Engine, in Inspected, chosen string) *Outbox {
	// All of what the engine has, not one platform of it, and not over a wire
	// that shows the credentials.
	if e.Podman || !e.private || in.Descriptor == nil || in.Descriptor.Digest.String() != chosen {
		return nil
	}
	for _, m := range in.Manifests {
		// Layers that lie there uncompressed, as after "docker load", would be
		// sent so.
		if !m.Available || m.Kind == "image" && m.Size.Content > m.ImageData.Size.Unpacked/10*9 {
			return nil
		}
	}
	if len(in.Manifests) == 0 {
		return nil
	}
	return &Outbox{e, in, *in.Descriptor}
}

// pushLine is a line of the engine's answer.
type pushLine struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	ProgressDetail struct{ Current, Total int64 }
	Error          string `json:"error"`
}

// Push has the engine push the image as tag of the client's repository.
func (o *Outbox) Push(ctx context.Context, c *registry.Client, tag string, p *image.Meter) error {
	name := c.Repository()
	full := name + ":" + tag
	if err := o.engine.free(ctx, full, o.in.RepoTags); err != nil {
		return err
	}
	if err := o.engine.do(ctx, http.MethodPost, imagePath(o.in.ID, "tag")+"?"+url.Values{"repo": {name}, "tag": {tag}}.Encode(), nil); err != nil {
		return err
	}
	// The tag is taken away again, unless it was there or is the image's only
	// one, without which the engine would delete the image.
	if !slices.Contains(o.in.RepoTags, full) && len(o.in.RepoTags) > 0 {
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := o.engine.do(ctx, http.MethodDelete, strings.TrimSuffix(imagePath(full, ""), "/")+"?noprune=1", nil); err != nil {
				c.Log.DebugContext(ctx, "the engine keeps a tag", "tag", full, "error", err)
			}
		}()
	}
	auth, err := registryAuth(ctx, c.Auth)
	if err != nil {
		return err
	}
	one := attempt{o, c, tag, auth, p}
	tries := 0
	return registry.Persist(ctx, c.Log, "push by the engine", nil, func(ctx context.Context) error {
		err := one.make(ctx)
		if tries++; err != nil && tries == registry.FewTries {
			return image.FinalError{Err: err}
		}
		return err
	})
}

// free says that a name can be given to an image of these names and taken away again. If the
// engine has another image by that name, that one would lose it, and with its last name the
// engine deletes it.
func (e *Engine) free(ctx context.Context, full string, tags []string) error {
	if slices.Contains(tags, full) {
		return nil
	}
	err := e.do(ctx, http.MethodGet, imagePath(full, "json"), nil)
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status == http.StatusNotFound {
		return nil
	}
	return cmp.Or(err, fmt.Errorf("the engine has another image named %s, which would lose that name", full))
}

// attempt is one try of the engine to push.
type attempt struct {
	*Outbox
	client    *registry.Client
	tag, auth string
	progress  *image.Meter
}

// make has the engine push one time. The status is 200 whatever comes of it: an error
// is a line of the answer, and the digest, in the end, part of another.
func (o attempt) make(ctx context.Context) error {
	c, tag := o.client, o.tag
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(c.Stall, func() { cancel(registry.ErrStalled) })
	defer timer.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.engine.Base+imagePath(c.Repository(), "push")+"?"+url.Values{"tag": {tag}}.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Registry-Auth", o.auth)
	resp, err := o.engine.Http.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = engineMessage(resp)
		registry.Discard(resp)
	}
	if err != nil {
		return registry.StalledOr(ctx, registry.Redact(err))
	}
	defer resp.Body.Close()
	layers := newProgress(o.progress)
	done := false
	d := json.NewDecoder(resp.Body)
	for {
		var l pushLine
		err := d.Decode(&l)
		switch {
		case err == io.EOF && done:
			return nil
		case err == io.EOF:
			return errors.New("the engine ended its answer without a digest")
		case err != nil:
			return registry.StalledOr(ctx, err)
		case l.Error != "":
			return fmt.Errorf("the engine says: %s", l.Error)
		}
		timer.Reset(c.Stall)
		if strings.HasPrefix(l.Status, tag+": digest: ") {
			if got := image.DigestForm.FindString(l.Status); got != o.Root.Digest.String() {
				return fmt.Errorf("the engine pushed %s instead of %s", got, o.Root.Digest)
			}
			done = true
		}
		layers.tell(l)
	}
}

// registryAuth encodes credentials for the engine, which passes them on as they
// are.
func registryAuth(ctx context.Context, auth authn.Authenticator) (string, error) {
	var a struct {
		Username      string `json:"username,omitempty"`
		Password      string `json:"password,omitempty"`
		IdentityToken string `json:"identitytoken,omitempty"`
		RegistryToken string `json:"registrytoken,omitempty"`
	}
	c, err := authn.Authorization(ctx, auth)
	if err != nil {
		return "", err
	}
	a.Username, a.Password, a.IdentityToken, a.RegistryToken = c.Username, c.Password, c.IdentityToken, c.RegistryToken
	raw, err := json.Marshal(a)
	return base64.URLEncoding.EncodeToString(raw), err
}

// progress makes progress of the engine's lines, which are about blobs by
// the first digits of their digests.
type progress struct {
	p     *image.Meter
	parts map[string]*blob
}

type blob struct {
	part *image.Part
	size int64
	done bool
}

func newProgress(p *image.Meter) *progress {
	p.Stage(image.StageUpload, 0, 0)
	return &progress{p, map[string]*blob{}}
}

func (e *progress) tell(l pushLine) {
	if l.ID == "" {
		return
	}
	b := e.parts[l.ID]
	if b == nil {
		b = &blob{part: e.p.Part()}
		e.parts[l.ID] = b
		e.p.Grow(0, 1)
	}
	if b.done {
		return
	}
	if d := l.ProgressDetail; d.Total > b.size {
		e.p.Grow(d.Total-b.size, 0)
		b.size = d.Total
	}
	if n := l.ProgressDetail.Current - b.part.Done; n > 0 {
		b.part.Advance(n)
	}
	switch {
	case l.Status == "Pushed":
		b.done = true
		b.part.Advance(b.size - b.part.Done)
		b.part.Finish(b.size, image.LayerDone{Digest: l.ID, Size: b.size})
	case l.Status == "Layer already exists", strings.HasPrefix(l.Status, "Mounted from"):
		b.done = true
		b.part.Finish(b.size, image.LayerDone{Digest: l.ID, Size: b.size, Reused: true})
	}
}
