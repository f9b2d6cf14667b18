package push

// What the repository is known to have before anything is sent. An image's
// config lists the digests of its raw layers, and its manifest those of the
// same layers compressed, in the same order: two reads of an image that is
// there say under which digests the layers it shares with ours can be used as
// they are, without compressing ours to find out. No cache is needed, so that
// it works on an agent that has never seen the image.
//
// One damaged image there must not damage the next one. A pair counts only where
// it is proven: by the manifest, if this package wrote it, or by whoever names the
// image, if an engine has unpacked it.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// presence is what is known of a blob in the repository.
type presence int

const (
	unasked presence = iota
	present
	missing
)

// inventory is what is known of the repository. What a push finds out and what
// it sends is added, so that a second attempt need not do it again.
type inventory struct {
	mu     sync.Mutex
	blobs  map[v1.Hash]presence
	layers map[v1.Hash]v1.Descriptor // by diffID: how the layer is stored
	sent   map[v1.Hash]bool          // by us: not reused, even if it is met again
}

func newInventory() *inventory {
	return &inventory{blobs: map[v1.Hash]presence{}, layers: map[v1.Hash]v1.Descriptor{}, sent: map[v1.Hash]bool{}}
}

// blob says what is known of a blob, and whether this push has sent it.
func (i *inventory) blob(h v1.Hash) (p presence, sent bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.blobs[h], i.sent[h]
}

// layer returns how a raw layer is stored, if it is.
func (i *inventory) layer(diffID v1.Hash) (d v1.Descriptor, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	d, ok = i.layers[diffID]
	return d, ok && i.blobs[d.Digest] == present
}

// arrived notes that the repository has a blob; diffID is zero for one that is
// no raw layer of ours.
func (i *inventory) arrived(d v1.Descriptor, diffID v1.Hash, reused bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.blobs[d.Digest] = present
	if diffID != (v1.Hash{}) {
		i.layers[diffID] = d
	}
	if !reused {
		i.sent[d.Digest] = true
	}
}

// lost notes the blobs that err says the repository does not have although a
// manifest needs them, and says whether there are any: a lifecycle policy may
// have deleted a layer since it was seen. A registry that does not name them
// casts doubt on all that were there before.
func (i *inventory) lost(err error) bool {
	var status *registry.StatusError
	if !errors.As(err, &status) || status.Operation != registry.OpPutManifest ||
		status.Status != http.StatusBadRequest && status.Status != http.StatusNotFound {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	any := false
	lose := func(h v1.Hash) {
		if i.blobs[h] == present {
			any = true
			i.blobs[h] = missing
			delete(i.sent, h)
		}
	}
	for _, e := range status.Errors {
		for _, s := range image.DigestForm.FindAllString(e.Message+string(e.Detail), -1) {
			if h, err := v1.NewHash(s); err == nil {
				lose(h)
			}
		}
	}
	if !any && (status.Has("MANIFEST_BLOB_UNKNOWN") || status.Has("BLOB_UNKNOWN")) {
		for h := range i.blobs {
			if !i.sent[h] {
				lose(h)
			}
		}
	}
	return any
}

// lookLimit bounds looking for layers to reuse: an aid that takes longer than
// that is none.
const lookLimit = 20 * time.Second

// knownLayers returns how the layers of the push's base are stored in the repository,
// by diffID, as far as that is proven; without a base, those of another image under
// one of the tags. d is what is known of the image to be pushed.
// Nothing that goes wrong here is an error: the layers are sent then.
func knownLayers(ctx context.Context, p *push, s State, d image.Description) map[v1.Hash]v1.Descriptor {
	ctx, cancel := context.WithTimeoutCause(ctx, lookLimit, registry.ErrStalled)
	defer cancel()
	var base Base
	if p.options.Base != nil {
		var err error
		if base, err = p.options.Base(ctx); err != nil {
			p.log.DebugContext(ctx, "no base to reuse layers of", "error", err)
		}
	}
	for _, t := range s.Tags {
		if base.Reference == "" && t.Status == TagOther {
			base.Reference = t.Digest
		}
	}
	if base.Reference == "" {
		return nil
	}
	var platform image.Platform
	if len(d.Platforms) == 1 {
		platform = d.Platforms[0]
	}
	var learning sync.WaitGroup
	if p.options.LazyLoading {
		learning.Go(func() {
			if err := guard.Run(func() error { return p.lazy.learn(ctx, p.client, base.Reference) }); err != nil {
				p.log.DebugContext(ctx, "layers that are there are not in the SOCI index", "base", base.Reference, "reason", err)
			}
		})
	}
	layers, err := storedLayers(ctx, p.client, base, platform, 0)
	learning.Wait()
	if err != nil {
		p.log.DebugContext(ctx, "no layers to reuse", "base", base.Reference, "error", err)
	}
	return layers
}

// storedLayers reads how the layers of an image in the repository are stored, by
// diffID, as far as that is proven. Where the base is an index, platform chooses
// the image.
func storedLayers(ctx context.Context, c *registry.Client, base Base, platform image.Platform, depth int) (map[v1.Hash]v1.Descriptor, error) {
	reference := base.Reference
	found, err := c.Manifest(ctx, reference)
	if err != nil || found == nil {
		return nil, err
	}
	m, mediaType, err := image.ParseManifest(found.Raw, found.Desc.MediaType)
	if err != nil {
		return nil, fmt.Errorf("manifest %s %w", reference, err)
	}
	if mediaType.IsIndex() {
		if depth == image.MaxDepth {
			return nil, fmt.Errorf("index %s: indexes are nested more than %d deep", reference, image.MaxDepth)
		}
		for _, child := range m.Manifests {
			if have := image.PlatformOf(child.Platform); child.MediaType.IsImage() && !image.IsAuxiliary(child) && platform.Known() && have.Known() && platform.Matches(have) {
				return storedLayers(ctx, c, Base{child.Digest.String(), base.Proven && ran(m, child, base.Platform), base.Platform}, platform, depth+1)
			}
		}
		return nil, nil
	}
	if m.Config == nil || !image.IsConfig(*m.Config) {
		return nil, nil
	}
	raw, err := c.Read(ctx, *m.Config, image.MaxConfig)
	if err != nil {
		return nil, err
	}
	config, err := image.ReadConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("config %s %w", m.Config.Digest, err)
	}
	if _, err := image.CheckLayers(m, config); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", reference, err)
	}
	layers := map[v1.Hash]v1.Descriptor{}
	for i, d := range m.Layers {
		if i >= len(config.DiffIDs) || !base.Proven && !isProven(d, config.DiffIDs[i]) {
			continue
		}
		if image.IsCompressedLayer(d) {
			layers[config.DiffIDs[i]] = v1.Descriptor{Digest: d.Digest, Size: d.Size, MediaType: image.StoredType(d)}
		}
	}
	return layers, nil
}

// ran says whether it was this child of an index that an engine on the platform has
// unpacked: the only image there, or the only one that runs there.
func ran(index image.Manifest, child v1.Descriptor, on image.Platform) bool {
	images, suitable := 0, 0
	for _, d := range index.Manifests {
		if image.IsAuxiliary(d) {
			continue
		}
		images++
		p := image.PlatformOf(d.Platform)
		if !p.Known() || p.OS == on.OS && p.Architecture == on.Architecture {
			suitable++
		}
	}
	p := image.PlatformOf(child.Platform)
	return images == 1 || suitable == 1 && p.OS == on.OS && p.Architecture == on.Architecture
}

// takeStock adds to the inventory what the repository has of the content: of its
// blobs, and of its layers where known says how they would be stored.
func takeStock(ctx context.Context, p *push, i *inventory, c *image.Content, known map[v1.Hash]v1.Descriptor) {
	var mapped, all []v1.Hash
	if c.Unbuilt != nil {
		for _, l := range c.Unbuilt.Layers {
			if d, ok := known[l.DiffID]; ok && l.Known == nil {
				i.mu.Lock()
				i.layers[l.DiffID] = d
				i.mu.Unlock()
				mapped = append(mapped, d.Digest)
			}
		}
		mapped = append(mapped, p.lazy.zTOCs()...)
		all = append(all, image.DigestOf(c.Unbuilt.Config))
	}
	for _, b := range c.Blobs {
		all = append(all, b.Desc.Digest)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lookLimit, registry.ErrStalled)
	defer cancel()
	if p.options.Available != nil {
		var digests []string
		for _, h := range append(all, mapped...) {
			digests = append(digests, h.String())
		}
		there, err := p.options.Available(ctx, digests)
		for s, has := range there {
			if h, hashErr := v1.NewHash(s); hashErr == nil {
				state := missing
				if has {
					state = present
				}
				i.mu.Lock()
				i.blobs[h] = state
				i.mu.Unlock()
			}
		}
		if err == nil {
			return
		}
		p.log.DebugContext(ctx, "asking for each layer", "error", err)
	}
	g, gctx := image.NewGroup(ctx)
	g.SetLimit(8)
	for _, h := range mapped {
		g.Go(func() error {
			if has, err := p.client.Uploads().Exists(gctx, h); err == nil && has {
				i.arrived(v1.Descriptor{Digest: h}, v1.Hash{}, true)
			}
			return nil // it is sent then
		})
	}
	g.Wait()
}
