package push

// The SOCI index of an image, with which AWS Fargate starts a task before the image is
// complete. Layers that are compressed here are described while they are; of those that
// the repository has already, the description is taken from the index of the image that
// had them. Other layers are left out, and are loaded whole.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/soci"
)

// LazyLoading is the SOCI index of a pushed image.
type LazyLoading struct {
	Digest string // of the index's manifest
	// Layers are described by the index, of so many in the image; Bytes are those that they
	// have in the registry, of so many in all.
	Layers, Of     int
	Bytes, OfBytes int64
}

// lazy gathers what is known of an image's layers.
type lazy struct {
	mu    sync.Mutex
	made  map[v1.Hash]v1.Descriptor // by the digest of the layer: zTOCs that this push has sent
	known map[v1.Hash]v1.Descriptor // those of the base
	done  *LazyLoading
}

// sociConfig is what stands for the config of a SOCI index.
var sociConfig = image.Blob{Desc: v1.Descriptor{Digest: image.DigestOf(soci.Config), Size: int64(len(soci.Config))}, Open: image.BytesOpener(soci.Config)}

// learn reads the index of the base.
func (z *lazy) learn(ctx context.Context, c *registry.Client, base string) error {
	found, err := c.Manifest(ctx, base)
	if err != nil || found == nil {
		return err
	}
	m, _, err := image.ParseManifest(found.Raw, found.Desc.MediaType)
	if err != nil {
		return err
	}
	all := map[v1.Hash]v1.Descriptor{}
	for _, d := range m.Manifests {
		if d.ArtifactType != image.SOCIIndexType {
			continue
		}
		index, err := c.Manifest(ctx, d.Digest.String())
		if err != nil {
			return err
		}
		if index == nil {
			return fmt.Errorf("SOCI index %s is not there", d.Digest)
		}
		ztocs, err := soci.ZTOCs(index.Raw)
		if err != nil {
			return fmt.Errorf("SOCI index %s %w", d.Digest, err)
		}
		for layer, ztoc := range ztocs {
			all[layer] = ztoc
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.known = all
	return nil
}

// zTOCs are those of the base, which the repository may have.
func (z *lazy) zTOCs() []v1.Hash {
	z.mu.Lock()
	defer z.mu.Unlock()
	var all []v1.Hash
	for _, d := range z.known {
		all = append(all, d.Digest)
	}
	return all
}

// indexing is a layer that is being compressed, and may become one of the index.
type indexing struct {
	push    *push
	layer   image.Layer
	builder *soci.Builder
	count   func(int)

	sent chan error // of the zTOC; nil until all of the layer is compressed
	ztoc v1.Descriptor
}

// index starts one; nil where the layer is too small for it, or no index is asked for.
func (s layers) index(l image.Layer, count func(int)) *indexing {
	if !s.push.options.LazyLoading || s.push.options.Compression == compress.Zstd || l.Size < s.push.worthIndexing() {
		return nil
	}
	return &indexing{push: s.push, layer: l, builder: soci.NewBuilder(), count: count}
}

// worthIndexing is how large a layer has to be.
func (p *push) worthIndexing() int64 {
	if p.options.indexed > 0 {
		return p.options.indexed
	}
	return soci.MinLayerSize
}

// observer is what the compression tells of the layer.
func (x *indexing) observer() compress.Observer {
	if x == nil {
		return nil
	}
	return x.builder
}

// following sends the zTOC as soon as all of the layer is compressed, while the registry
// still puts the layer away.
func (x *indexing) following(ctx context.Context, r io.Reader) io.Reader {
	if x == nil {
		return r
	}
	return readFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		if err == io.EOF && x.sent == nil {
			x.sent = make(chan error, 1)
			go func() { x.sent <- guard.Run(func() error { return x.send(ctx) }) }()
		}
		return n, err
	})
}

// send makes the zTOC and sends it.
func (x *indexing) send(ctx context.Context) error {
	z, err := x.builder.ZTOC()
	if err != nil {
		x.push.log.DebugContext(ctx, "a layer is not in the SOCI index", "layer", x.layer.DiffID.String(), "reason", err)
		return nil
	}
	if z.Compressed < x.push.worthIndexing() {
		return nil
	}
	e := z.Encode()
	d := v1.Descriptor{Digest: e.Digest, Size: e.Size}
	b := image.Blob{Desc: d, Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(e.Open()), nil }}
	if _, err := x.push.client.Uploads().Blob(ctx, registry.Upload{Blob: b, Absent: true, Count: x.count}); err != nil {
		return err
	}
	x.ztoc = d
	return nil
}

// close ends what is still going on.
func (x *indexing) close() {
	if x == nil {
		return
	}
	x.builder.Close()
	if x.sent != nil {
		<-x.sent
	}
}

// end waits for the zTOC of a layer that the registry has. An error is the registry's, after
// all tries. rest is read to its end, which has not been done where the registry turned out
// to have the layer.
func (x *indexing) end(layer v1.Hash, rest io.Reader) error {
	if x == nil {
		return nil
	}
	if x.sent == nil {
		if _, err := io.Copy(io.Discard, rest); err != nil {
			return err
		}
	}
	err := <-x.sent
	x.sent = nil
	if err != nil {
		return image.FinalError{Err: fmt.Errorf("SOCI index of layer %s: %w", layer, err)}
	}
	if x.ztoc.Digest != (v1.Hash{}) {
		z := &x.push.lazy
		z.mu.Lock()
		defer z.mu.Unlock()
		z.made[layer] = x.ztoc
	}
	return nil
}

// indexed adds the SOCI index to the documents of an image whose layers are there; why says
// that there is none, and the image is as it would be otherwise.
func (p *push) indexed(c *image.Content, there *inventory, written image.Document) (all []image.Document, why string, err error) {
	all = []image.Document{written}
	if why = soci.Suits(c.Configs[0].Platform); why != "" {
		return all, why, nil
	}
	var m v1.Manifest
	if err := json.Unmarshal(written.Raw, &m); err != nil {
		return nil, "", err
	}
	if m.MediaType != types.OCIManifestSchema1 {
		return all, "the manifest is not OCI's", nil
	}
	done := LazyLoading{Of: len(m.Layers)}
	var ztocs []v1.Descriptor
	for _, l := range m.Layers {
		done.OfBytes += l.Size
		z, ok := p.lazy.of(l.Digest, there)
		if !ok || l.MediaType != types.OCILayer {
			continue
		}
		done.Layers++
		done.Bytes += l.Size
		if !slices.ContainsFunc(ztocs, func(d v1.Descriptor) bool { return d.Digest == z.Digest }) {
			ztocs = append(ztocs, soci.Describe(z, l))
		}
	}
	if len(ztocs) == 0 {
		return all, "no layer was compressed by this task to 10 MiB or more", nil
	}
	index, err := soci.IndexManifest(ztocs)
	if err != nil {
		return nil, "", err
	}
	manifest, root, err := soci.Bind(m, c.Configs[0].Platform, index)
	if err != nil {
		return nil, "", err
	}
	done.Digest = index.Desc.Digest.String()
	p.lazy.done = &done
	return []image.Document{index, manifest, root}, "", nil
}

// of is the zTOC of a layer, if the repository has it.
func (z *lazy) of(layer v1.Hash, there *inventory) (v1.Descriptor, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if d, ok := z.made[layer]; ok {
		state, _ := there.blob(d.Digest)
		return d, state != missing
	}
	d, ok := z.known[layer]
	state, _ := there.blob(d.Digest)
	return d, ok && state == present
}

// imageOf is the image itself where have is an index of it and of a SOCI index; else have.
func imageOf(ctx context.Context, c *registry.Client, have *registry.Manifest) (*registry.Manifest, error) {
	if have == nil || !have.Desc.MediaType.IsIndex() {
		return have, nil
	}
	m, _, err := image.ParseManifest(have.Raw, have.Desc.MediaType)
	if err != nil {
		return have, nil // whatever it is, it is not our image
	}
	isIndex := func(d v1.Descriptor) bool { return d.ArtifactType == image.SOCIIndexType }
	images := slices.DeleteFunc(slices.Clone(m.Manifests), isIndex)
	if len(images) != 1 || len(m.Manifests) != 2 {
		return have, nil
	}
	child, err := c.Manifest(ctx, images[0].Digest.String())
	if err == nil && child == nil {
		return have, nil
	}
	return child, err
}

// unindexed says that the image under the tags has no index although one is asked for.
func (p *push) unindexed(ctx context.Context, s *State) {
	if p.options.LazyLoading && len(s.Tags) > 0 && s.Tags[0].have == s.Tags[0].image && !s.Tags[0].have.Desc.MediaType.IsIndex() {
		p.log.InfoContext(ctx, "the image under the tag was pushed without a SOCI index, and stays so: lazyLoading has no effect")
	}
}
