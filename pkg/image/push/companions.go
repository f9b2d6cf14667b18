package push

// Pushing what refers to an image, once the image is there.

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// accompany pushes what refers to the image, and returns how much it was.
func accompany(ctx context.Context, p *push) (int, error) {
	if !p.options.Referrers {
		return 0, nil
	}
	var c *image.Content
	if p.image.Describe().Kind != image.KindEngine { // which would hand its image out to show that it has none
		var err error
		if c, err = p.image.Loaded(ctx, p.progress); err != nil {
			return 0, err
		}
	}
	if c == nil || c.Companions == nil {
		p.log.InfoContext(ctx, "the image's source cannot have referrers: referrers has no effect")
		return 0, nil
	}
	all, err := c.Companions(ctx)
	if err != nil {
		return 0, fmt.Errorf("referrers of the image: %w", err)
	}
	listed := map[v1.Hash][]v1.Descriptor{} // what the registry does not list by itself
	var subjects []v1.Hash
	for _, m := range all {
		if err := bring(ctx, p, m, func(d v1.Descriptor) {
			if listed[m.Subject] == nil {
				subjects = append(subjects, m.Subject)
			}
			listed[m.Subject] = append(listed[m.Subject], d)
		}); err != nil {
			return 0, fmt.Errorf("referrer %s: %w", m.Content.Root().Desc.Digest, p.explain(err))
		}
	}
	for _, subject := range subjects {
		if err := listReferrers(ctx, p.client, subject, listed[subject]); err != nil {
			return 0, fmt.Errorf("referrers of %s: %w", subject, p.explain(err))
		}
	}
	return len(all), nil
}

// bring pushes one companion. unlisted is told if the registry does not list it.
func bring(ctx context.Context, p *push, m image.Companion, unlisted func(v1.Descriptor)) error {
	nothing := func(context.Context) map[v1.Hash]v1.Descriptor { return nil }
	if _, err := p.transfer(ctx, delivery{content: m.Content, there: newInventory(), proven: nothing}); err != nil {
		return err
	}
	for i, d := range m.Content.Documents {
		if i == len(m.Content.Documents)-1 && m.Tag != "" {
			if err := p.tag(ctx, m.Tag, d); err != nil {
				return err
			}
			continue
		}
		processed, err := p.put(ctx, d)
		if err != nil {
			return err
		}
		var parsed struct {
			Subject      *v1.Descriptor    `json:"subject"`
			ArtifactType string            `json:"artifactType"`
			Config       *v1.Descriptor    `json:"config"`
			Annotations  map[string]string `json:"annotations"`
		}
		if json.Unmarshal(d.Raw, &parsed) != nil || parsed.Subject == nil || processed {
			continue
		}
		entry := v1.Descriptor{MediaType: d.Desc.MediaType, Digest: d.Desc.Digest, Size: d.Desc.Size, ArtifactType: parsed.ArtifactType, Annotations: parsed.Annotations}
		if entry.ArtifactType == "" && parsed.Config != nil {
			entry.ArtifactType = string(parsed.Config.MediaType)
		}
		unlisted(entry)
	}
	return nil
}

// listReferrers adds entries to the tag that stands for the referrers of a digest, for a
// registry that does not list them (distribution specification, "Referrers Tag
// Schema").
func listReferrers(ctx context.Context, c *registry.Client, subject v1.Hash, entries []v1.Descriptor) error {
	tag := subject.Algorithm + "-" + subject.Hex
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	have, err := c.Manifest(ctx, tag)
	if err != nil {
		return err
	}
	if have != nil {
		m, mediaType, err := image.ParseManifest(have.Raw, have.Desc.MediaType)
		if err != nil || !mediaType.IsIndex() {
			return image.Final("tag %s holds something else than an index of referrers", tag)
		}
		index.Manifests = m.Manifests
	}
	before := len(index.Manifests)
	for _, e := range entries {
		if !slices.ContainsFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Digest == e.Digest }) {
			index.Manifests = append(index.Manifests, e)
		}
	}
	if len(index.Manifests) == before {
		return nil
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return c.PutManifest(ctx, tag, image.Document{Desc: v1.Descriptor{MediaType: index.MediaType, Digest: image.DigestOf(raw), Size: int64(len(raw))}, Raw: raw})
}
