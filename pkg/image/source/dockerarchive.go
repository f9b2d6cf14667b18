package source

// Archives of "docker save" and "podman save", told from OCI archives by
// manifest.json (moby, image/spec/spec.md, "Combined Image JSON + Filesystem
// Changeset Format"):
//
//   - Docker up to 24: <id>/layer.tar, raw, a repeated layer as a symbolic link;
//   - Docker from 25: an OCI layout beside manifest.json, the layers raw with
//     the classic store, compressed and under an index with containerd's;
//   - podman: <diffID>.tar, with links from <id>/layer.tar;
//   - other tools: layers that are gzipped although their names say nothing.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
)

// savedImage is an entry of manifest.json.
type savedImage struct {
	Config       string
	RepoTags     image.List[string]
	Layers       image.List[string]
	LayerSources map[v1.Hash]v1.Descriptor
}

// readArchive reads the content of an image archive of whatever kind.
func readArchive(ctx context.Context, a *archive, selector string, want image.Platform) (*image.Content, image.Kind, error) {
	raw, err := readFile(a, "manifest.json", image.MaxDocument)
	switch {
	case err == nil:
		c, err := readDockerArchive(ctx, a, raw, selector, want)
		return c, image.KindDockerArchive, err
	case !errors.Is(err, fs.ErrNotExist):
		return nil, "", err
	}
	if _, err := a.stat("index.json"); err == nil {
		c, err := readLayout(ctx, a, selector, want, nil)
		return c, image.KindOCIArchive, err
	}
	if _, err := a.stat("repositories"); err == nil {
		return nil, "", errors.New("was written by a Docker older than 1.10; load it and save it again")
	}
	return nil, "", errors.New("is a tar archive, but not of an image: it has neither manifest.json nor index.json")
}

func readDockerArchive(ctx context.Context, a *archive, manifestJSON []byte, selector string, want image.Platform) (*image.Content, error) {
	// Where there is an OCI layout too, it says more: it has the digests, and an
	// index if there is one. Only a layout whose layers are raw gives way to
	// what Docker itself would push: a manifest of compressed layers.
	var saved image.List[savedImage]
	if err := json.Unmarshal(manifestJSON, &saved); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if _, err := a.stat("index.json"); err == nil {
		names := map[v1.Hash][]string{}
		for _, s := range saved {
			if h, err := v1.NewHash("sha256:" + path.Base(s.Config)); err == nil {
				names[h] = append(names[h], s.RepoTags...) // nil where it has none
			}
		}
		listed, err := readIndexJSON(a)
		if err != nil && !errors.Is(err, errNoImage) {
			return nil, err
		}
		// Docker leaves out of index.json what was saved by ID or digest: all of it up to
		// 25.0.2, and later what stands beside another image (moby issues 47210, 51389).
		chosen := selector != "" && slices.ContainsFunc(listed, func(n named) bool { return n.is(selector) })
		if chosen || (layout{a, image.NewBudget()}).covers(ctx, listed, names) {
			c, err := readLayout(ctx, a, selector, want, names)
			if err != nil {
				return nil, err
			}
			return unbuild(ctx, c)
		}
	}

	images, byConfig, err := savedImages(a, saved)
	if err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, errors.New("manifest.json lists no image")
	}
	n, err := pick(images, selector, want)
	if err != nil {
		return nil, err
	}
	if have := image.PlatformOf(n.desc.Platform); want != (image.Platform{}) && !want.Matches(have) {
		return nil, &image.PlatformError{Want: want, Have: []image.Platform{have}}
	}
	s := byConfig[n.desc.Digest]
	config, err := readFile(a, s.Config, image.MaxConfig)
	if err != nil {
		return nil, incomplete(fmt.Errorf("config %s: %w", s.Config, err))
	}
	return readSaved(a, s, config)
}

// savedImages are the distinct images of manifest.json, and their entries by the digest
// of the config.
func savedImages(a *archive, saved []savedImage) ([]named, map[v1.Hash]savedImage, error) {
	var images []named
	byConfig := map[v1.Hash]savedImage{}
	left := image.NewBudget()
	for i, s := range saved {
		if s.Config == "" {
			return nil, nil, fmt.Errorf("manifest.json: image %d has no config", i+1)
		}
		raw, err := readFile(a, s.Config, image.MaxConfig)
		if err != nil {
			return nil, nil, incomplete(fmt.Errorf("config %s: %w", s.Config, err))
		}
		summary, err := image.ReadConfig(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("config %s %w", s.Config, err)
		}
		h := summary.Digest
		if err := left.Take(h, len(raw)); err != nil {
			return nil, nil, err
		}
		if _, ok := byConfig[h]; ok {
			j := slices.IndexFunc(images, func(n named) bool { return n.desc.Digest == h })
			images[j].names = append(images[j].names, s.RepoTags...)
			continue
		}
		byConfig[h] = s
		p := summary.Platform
		images = append(images, named{v1.Descriptor{Digest: h, Platform: &v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}}, s.RepoTags})
	}
	return images, byConfig, nil
}

// readSaved makes content of one entry of manifest.json.
func readSaved(a *archive, s savedImage, config []byte) (*image.Content, error) {
	summary, err := image.ReadConfig(config)
	if err != nil {
		return nil, err
	}
	if len(summary.DiffIDs) != len(s.Layers) {
		return nil, &image.LayerError{Problem: fmt.Sprintf("number of layers: %d in manifest.json, %d in the config", len(s.Layers), len(summary.DiffIDs)), Advice: image.Rebuild}
	}
	if err := image.CheckDiffIDs(summary); err != nil {
		return nil, err
	}
	u := &image.Unbuilt{Config: config}
	for i, name := range s.Layers {
		diffID := summary.DiffIDs[i]
		if d, ok := s.LayerSources[diffID]; ok && image.IsForeign(d) {
			u.Layers = append(u.Layers, image.Layer{DiffID: diffID, Known: &d})
			continue
		}
		size, err := a.stat(name)
		if err != nil {
			return nil, incomplete(fmt.Errorf("layer %s: %w", name, err))
		}
		f, err := formatOf(a, name)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", name, err)
		}
		u.Layers = append(u.Layers, image.Layer{DiffID: diffID, Size: size, Format: f, Open: fileOpener(a, name)})
	}
	return &image.Content{Unbuilt: u, Configs: []image.ConfigSummary{summary}}, nil
}

// unbuild turns a single image whose layers are raw into an unbuilt one, and
// leaves all other content as it is.
func unbuild(ctx context.Context, c *image.Content) (*image.Content, error) {
	root := c.Root()
	if root.Desc.MediaType.IsIndex() || len(c.Configs) != 1 {
		return c, nil
	}
	m, _, err := image.ParseManifest(root.Raw, root.Desc.MediaType)
	if err != nil {
		return nil, err
	}
	// Where there is one, the config lists as many layers.
	raw := func(i int) bool {
		d := m.Layers[i]
		return (d.MediaType == types.OCIUncompressedLayer || d.MediaType == types.DockerUncompressedLayer) && d.Digest == c.Configs[0].DiffIDs[i]
	}
	some := false
	for i := range m.Layers {
		some = some || raw(i)
	}
	if !some {
		return c, nil
	}
	blobs := map[v1.Hash]image.Blob{}
	for _, b := range c.Blobs {
		blobs[b.Desc.Digest] = b
	}
	for _, k := range c.Checks {
		if k.Desc.Digest == k.DiffID {
			if err := checkRaw(ctx, k, blobs[k.Desc.Digest].Open); err != nil {
				return nil, err
			}
		}
	}
	u := &image.Unbuilt{}
	for i, d := range m.Layers {
		l := image.Layer{DiffID: c.Configs[0].DiffIDs[i], Size: d.Size, Format: image.FormatTar}
		if !image.IsForeign(d) {
			l.Open = blobs[d.Digest].Open
		}
		if !raw(i) {
			l.Known = &d
		}
		u.Layers = append(u.Layers, l)
	}
	config, err := blobs[m.Config.Digest].Open(ctx)
	if err != nil {
		return nil, err
	}
	defer config.Close()
	if u.Config, err = image.ReadSmall(config, image.MaxConfig); err != nil {
		return nil, err
	}
	return &image.Content{Unbuilt: u, Configs: c.Configs}, nil
}

// checkRaw looks at a layer that is called raw, before it is compressed.
func checkRaw(ctx context.Context, k image.LayerCheck, open image.Opener) error {
	r, err := open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return compress.CheckRaw(k, r)
}

// formatOf says whether a layer is raw or how it is compressed. What is not
// recognised is raw: an empty layer, or a tar file of an older kind.
func formatOf(f files, name string) (image.Format, error) {
	r, err := f.open(name)
	if err != nil {
		return image.FormatUnknown, err
	}
	defer r.Close()
	head := make([]byte, image.TarBlock)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return image.FormatUnknown, err
	}
	switch f := image.Sniff(head[:n]); f {
	case image.FormatGzip, image.FormatZstd:
		return f, nil
	case image.FormatBzip2, image.FormatXZ:
		return f, errors.New("is compressed with bzip2 or xz, which registries do not take; save the image again")
	}
	return image.FormatTar, nil
}

// incomplete says that an archive lacks a file it refers to.
func incomplete(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("is incomplete: %w", err)
	}
	return err
}
