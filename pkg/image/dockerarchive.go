package image

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
)

// savedImage is an entry of manifest.json.
type savedImage struct {
	Config       string
	RepoTags     list[string]
	Layers       list[string]
	LayerSources map[v1.Hash]v1.Descriptor
}

// readArchive reads the content of an image archive of whatever kind.
func readArchive(ctx context.Context, a *archive, selector string, want Platform) (*content, Kind, error) {
	raw, err := readFile(a, "manifest.json", maxDocument)
	switch {
	case err == nil:
		c, err := readDockerArchive(ctx, a, raw, selector, want)
		return c, KindDockerArchive, err
	case !errors.Is(err, fs.ErrNotExist):
		return nil, "", err
	}
	if _, err := a.stat("index.json"); err == nil {
		c, err := readLayout(ctx, a, selector, want, nil)
		return c, KindOCIArchive, err
	}
	if _, err := a.stat("repositories"); err == nil {
		return nil, "", errors.New("was written by a Docker older than 1.10; load it and save it again")
	}
	return nil, "", errors.New("is a tar archive, but not of an image: it has neither manifest.json nor index.json")
}

func readDockerArchive(ctx context.Context, a *archive, manifestJSON []byte, selector string, want Platform) (*content, error) {
	// Where there is an OCI layout too, it says more: it has the digests, and an
	// index if there is one. Only a layout whose layers are raw gives way to
	// what Docker itself would push: a manifest of compressed layers.
	var saved list[savedImage]
	if err := json.Unmarshal(manifestJSON, &saved); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if _, err := a.stat("index.json"); err == nil {
		names := map[v1.Hash][]string{}
		for _, s := range saved {
			if h, err := v1.NewHash("sha256:" + path.Base(s.Config)); err == nil {
				names[h] = append(names[h], s.RepoTags...)
			}
		}
		c, err := readLayout(ctx, a, selector, want, names)
		if err != nil {
			return nil, err
		}
		return unbuild(ctx, c)
	}

	var images []named
	byConfig := map[v1.Hash]savedImage{}
	left := newBudget()
	for i, s := range saved {
		if s.Config == "" {
			return nil, fmt.Errorf("manifest.json: image %d has no config", i+1)
		}
		raw, err := readFile(a, s.Config, maxConfig)
		if err != nil {
			return nil, incomplete(fmt.Errorf("config %s: %w", s.Config, err))
		}
		summary, err := readConfig(raw)
		if err != nil {
			return nil, fmt.Errorf("config %s %w", s.Config, err)
		}
		h := summary.digest
		if err := left.take(h, len(raw)); err != nil {
			return nil, err
		}
		if _, ok := byConfig[h]; ok {
			j := slices.IndexFunc(images, func(n named) bool { return n.desc.Digest == h })
			images[j].names = append(images[j].names, s.RepoTags...)
			continue
		}
		byConfig[h] = s
		p := summary.platform
		images = append(images, named{v1.Descriptor{Digest: h, Platform: &v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}}, s.RepoTags})
	}
	if len(images) == 0 {
		return nil, errors.New("manifest.json lists no image")
	}
	n, err := pick(images, selector, want)
	if err != nil {
		return nil, err
	}
	if have := platformOf(n.desc.Platform); want != (Platform{}) && !want.Matches(have) {
		return nil, &PlatformError{Want: want, Have: []Platform{have}}
	}
	s := byConfig[n.desc.Digest]
	config, err := readFile(a, s.Config, maxConfig)
	if err != nil {
		return nil, incomplete(fmt.Errorf("config %s: %w", s.Config, err))
	}
	return readSaved(a, s, config)
}

// readSaved makes content of one entry of manifest.json.
func readSaved(a *archive, s savedImage, config []byte) (*content, error) {
	summary, err := readConfig(config)
	if err != nil {
		return nil, err
	}
	if len(summary.diffIDs) != len(s.Layers) {
		return nil, &LayerError{Problem: fmt.Sprintf("number of layers: %d in manifest.json, %d in the config", len(s.Layers), len(summary.diffIDs)), hint: rebuild}
	}
	u := &unbuilt{config: config}
	for i, name := range s.Layers {
		diffID := summary.diffIDs[i]
		if d, ok := s.LayerSources[diffID]; ok && isForeign(d) {
			u.layers = append(u.layers, layer{diffID: diffID, known: &d})
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
		u.layers = append(u.layers, layer{diffID: diffID, size: size, format: f, open: fileOpener(a, name)})
	}
	return &content{unbuilt: u, configs: []configSummary{summary}}, nil
}

// unbuild turns a single image whose layers are raw into an unbuilt one, and
// leaves all other content as it is.
func unbuild(ctx context.Context, c *content) (*content, error) {
	root := c.root()
	if root.desc.MediaType.IsIndex() || len(c.configs) != 1 {
		return c, nil
	}
	m, _, err := parseManifest(root.raw, root.desc.MediaType)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(m.Layers, isRawLayer) {
		return c, nil
	}
	blobs := map[v1.Hash]blob{}
	for _, b := range c.blobs {
		blobs[b.desc.Digest] = b
	}
	u := &unbuilt{}
	for i, d := range m.Layers {
		l := layer{diffID: c.configs[0].diffIDs[i], size: d.Size, format: formatTar}
		if !isForeign(d) {
			l.open = blobs[d.Digest].open
		}
		if !isRawLayer(d) {
			l.known = &d
		}
		u.layers = append(u.layers, l)
	}
	config, err := blobs[m.Config.Digest].open(ctx)
	if err != nil {
		return nil, err
	}
	defer config.Close()
	if u.config, err = readSmall(config, maxConfig); err != nil {
		return nil, err
	}
	return &content{unbuilt: u, configs: c.configs}, nil
}

// formatOf says whether a layer is raw or how it is compressed. What is not
// recognised is raw: an empty layer, or a tar file of an older kind.
func formatOf(f files, name string) (format, error) {
	r, err := f.open(name)
	if err != nil {
		return formatUnknown, err
	}
	defer r.Close()
	head := make([]byte, tarBlock)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return formatUnknown, err
	}
	switch f := sniff(head[:n]); f {
	case formatGzip, formatZstd:
		return f, nil
	case formatBzip2, formatXZ:
		return f, errors.New("is compressed with bzip2 or xz, which registries do not take; save the image again")
	}
	return formatTar, nil
}

// incomplete says that an archive lacks a file it refers to.
func incomplete(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("is incomplete: %w", err)
	}
	return err
}
