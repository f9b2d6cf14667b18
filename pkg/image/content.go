package image

// The content of an image: the documents and blobs that a registry is to hold.
// Either every byte is given (exact), or the layers are known but the manifest
// has to be written after they are compressed (unbuilt).

import (
	"context"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Blob is one piece of content that a registry stores under its digest.
type Blob struct {
	Desc v1.Descriptor
	Open Opener
	// Host and from are the registry and repository that have the blob too, so
	// that another repository of that registry may take it from there.
	Host, From string
	// Layer is the layer that the blob has to be, for one that comes over the
	// network: it is inflated and compared while it is sent.
	Layer *LayerCheck
	// Foreign says that the bytes may be those of another file, to which a
	// symbolic link leads: none is sent before their digest is known.
	Foreign bool
}

// Document is a manifest or an index, byte for byte.
type Document struct {
	Desc v1.Descriptor
	Raw  []byte
}

// Layer is a layer of an image without a manifest.
type Layer struct {
	DiffID v1.Hash
	Size   int64
	// Known is the layer's descriptor where it need not be found out: the layer
	// is compressed already and has a digest, or the registry is not to get it.
	Known *v1.Descriptor
	// Format is FormatTar for a layer that has to be compressed, else how it
	// is compressed already.
	Format Format
	// Open is nil for a layer that is not uploaded.
	Open Opener
}

// Unbuilt is an image without a manifest.
type Unbuilt struct {
	Config []byte
	Layers []Layer
}

// Uploads are the layers to upload, each diffID once.
func (u *Unbuilt) Uploads() []Layer {
	var ls []Layer
	for _, l := range u.Layers {
		if l.Open != nil && !slices.ContainsFunc(ls, func(o Layer) bool { return o.DiffID == l.DiffID }) {
			ls = append(ls, l)
		}
	}
	return ls
}

// UnbuiltCheck is the check of a layer of an unbuilt image.
type unbuiltCheck struct {
	LayerCheck
	Open Opener
}

// Checks are the layers of the unbuilt image that are compressed already. Those
// that are not are compared while they are compressed.
func (u *Unbuilt) Checks() []unbuiltCheck {
	var checks []unbuiltCheck
	for _, l := range u.Layers {
		if l.Open != nil && (l.Format != FormatTar || l.Known != nil) && l.DiffID.Algorithm == "sha256" {
			checks = append(checks, unbuiltCheck{u.Check(l), l.Open})
		}
	}
	return checks
}

// Check is the check of one of the image's layers.
func (u *Unbuilt) Check(l Layer) LayerCheck {
	k := LayerCheck{DiffID: l.DiffID, Count: len(u.Layers), Desc: v1.Descriptor{Size: l.Size}}
	if l.Known != nil {
		k.Desc = *l.Known
	}
	for i, other := range u.Layers {
		k.diffIDs = append(k.diffIDs, other.DiffID)
		if k.Number == 0 && other.DiffID == l.DiffID {
			k.Number = i + 1
		}
	}
	return k
}

// Content is what a push moves. Documents are empty when Unbuilt is set; else
// they stand children first and the last is the root.
type Content struct {
	Documents []Document
	Blobs     []Blob
	Unbuilt   *Unbuilt
	Configs   []ConfigSummary
	Checks    []LayerCheck
	// Companions finds what refers to the image: signatures and the like. Nil where
	// a source cannot have any.
	Companions func(ctx context.Context) ([]Companion, error)
}

// Companion is one document that refers to an image, with all that it needs.
type Companion struct {
	Content *Content
	Subject v1.Hash // the digest that it refers to
	Tag     string  // by which it is known; empty for a referrer
}

// Compresses says whether the content has layers that are not yet as they will
// be stored.
func (c *Content) Compresses() bool {
	if c.Unbuilt == nil {
		return false
	}
	for _, l := range c.Unbuilt.Layers {
		if l.Known == nil {
			return true
		}
	}
	return false
}

// Subjects are the digests that something can refer to: of the image's manifests.
func (c *Content) Subjects() []v1.Hash {
	var all []v1.Hash
	for _, d := range c.Documents {
		all = append(all, d.Desc.Digest)
	}
	return all
}

// Streamed says that the blobs come over the network: their layers are checked
// while they are sent, since they would have to be fetched twice otherwise.
func (c *Content) Streamed() {
	for i, b := range c.Blobs {
		if j := slices.IndexFunc(c.Checks, func(k LayerCheck) bool { return k.Desc.Digest == b.Desc.Digest }); j >= 0 {
			c.Blobs[i].Layer = &c.Checks[j]
		}
	}
}

// Root is the document that a tag will point to.
func (c *Content) Root() Document { return c.Documents[len(c.Documents)-1] }

// Identity is by what another image is the same as this one. Both are set only for
// an engine's image whose ID may be the one or the other.
type Identity struct {
	// Root is the digest of the manifest or index. Two manifests of one config
	// can differ in what matters: annotations, the compression of layers, or that
	// one of them is damaged.
	Root v1.Hash
	// Config is the digest of the config, for an image whose manifest has yet to
	// be written. It determines the layers, unpacked.
	Config v1.Hash
}

func (c *Content) Identity() Identity {
	if c.Unbuilt != nil {
		return Identity{Config: c.Configs[0].Digest}
	}
	return Identity{Root: c.Root().Desc.Digest}
}

// Describe fills in what the content says of the image.
func (c *Content) Describe(d *Description) {
	d.Layers, d.Size = 0, 0
	configs := map[v1.Hash]bool{}
	d.Platforms = nil
	for _, s := range c.Configs {
		configs[s.Digest] = true
		if s.Platform.Known() && !slices.Contains(d.Platforms, s.Platform) {
			d.Platforms = append(d.Platforms, s.Platform)
		}
	}
	if c.Unbuilt != nil {
		d.ImageID = c.Configs[0].Digest.String()
		for _, l := range c.Unbuilt.Layers {
			d.Layers++
			d.Size += l.Size
		}
		return
	}
	root := c.Root()
	d.Digest, d.MediaType = root.Desc.Digest.String(), string(root.Desc.MediaType)
	d.ImageID = ""
	if !root.Desc.MediaType.IsIndex() && len(c.Configs) == 1 {
		d.ImageID = c.Configs[0].Digest.String()
	}
	for _, b := range c.Blobs {
		if !configs[b.Desc.Digest] {
			d.Layers++
			d.Size += b.Desc.Size
		}
	}
}
