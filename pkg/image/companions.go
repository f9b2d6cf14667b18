package image

// What refers to an image and travels with it on request: signatures, SBOMs,
// attestations. OCI 1.1 lists them as referrers of a digest (distribution
// specification, "Listing Referrers"); registries that cannot do that, and tools
// that do without it, name them by a tag made of the digest.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// companion is one document that refers to an image, with all that it needs.
type companion struct {
	content *content
	subject v1.Hash // the digest that it refers to
	tag     string  // by which it is known; empty for a referrer
}

// Bounds on what travels along.
const (
	maxCompanions     = 200
	maxCompanionDepth = 3 // a signature of an SBOM of an image
)

// subjects are the digests that something can refer to: of the image's manifests.
func (c *content) subjects() []v1.Hash {
	var all []v1.Hash
	for _, d := range c.documents {
		all = append(all, d.desc.Digest)
	}
	return all
}

// cosignTags are the tags under which cosign keeps what belongs to an image.
func cosignTags(h v1.Hash) []string {
	base := h.Algorithm + "-" + h.Hex
	return []string{base + ".sig", base + ".att", base + ".sbom"}
}

// gather follows what refers to the subjects, and what refers to that. referrers
// lists what refers to one digest.
func gather(ctx context.Context, s store, subjects []v1.Hash, referrers func(context.Context, v1.Hash) ([]companionDesc, error)) ([]companion, error) {
	var all []companion
	seen := map[v1.Hash]bool{}
	for depth := 0; depth < maxCompanionDepth && len(subjects) > 0; depth++ {
		var next []v1.Hash
		for _, subject := range subjects {
			found, err := referrers(ctx, subject)
			if err != nil {
				return nil, err
			}
			for _, d := range found {
				if seen[d.desc.Digest] {
					continue
				}
				seen[d.desc.Digest] = true
				if len(all) == maxCompanions {
					return nil, fmt.Errorf("more than %d documents refer to the image", maxCompanions)
				}
				c, err := walk(ctx, s, d.desc, Platform{})
				if err != nil {
					return nil, fmt.Errorf("referrer %s: %w", d.desc.Digest, err)
				}
				all = append(all, companion{content: c, subject: subject, tag: d.tag})
				next = append(next, d.desc.Digest)
			}
		}
		subjects = next
	}
	return all, nil
}

// companionDesc is a document that refers to another, and its tag if it has one.
type companionDesc struct {
	desc v1.Descriptor
	tag  string
}

// companions lists those that a layout has of the content.
func (l layout) companions(ctx context.Context, images []named, c *content) ([]companion, error) {
	bySubject := map[v1.Hash][]companionDesc{}
	add := func(subject v1.Hash, d companionDesc) {
		if !slices.ContainsFunc(bySubject[subject], func(o companionDesc) bool { return o.desc.Digest == d.desc.Digest }) {
			bySubject[subject] = append(bySubject[subject], d)
		}
	}
	for _, n := range images {
		raw, err := l.document(ctx, n.desc, maxDocument)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m, mediaType, err := parseManifest(raw, n.desc.MediaType)
		if err != nil {
			continue
		}
		if m.Subject != nil {
			add(m.Subject.Digest, companionDesc{desc: n.desc})
		}
		for _, name := range n.names {
			tagged := digestTag.FindStringSubmatch(name)
			if tagged == nil {
				continue
			}
			subject := v1.Hash{Algorithm: "sha256", Hex: tagged[1]}
			_, tag, ok := cutTag(name)
			if !ok {
				tag = name
			}
			switch {
			case mediaType.IsIndex() && tag == "sha256-"+subject.Hex:
				for _, child := range m.Manifests {
					add(subject, companionDesc{desc: child})
				}
			case m.Subject == nil:
				add(subject, companionDesc{n.desc, tag})
			}
		}
	}
	return gather(ctx, l, c.subjects(), func(_ context.Context, h v1.Hash) ([]companionDesc, error) { return bySubject[h], nil })
}

// companions lists those that a repository has of the content.
func (s *remoteStore) companions(ctx context.Context, c *content) ([]companion, error) {
	all, err := gather(ctx, s, c.subjects(), func(ctx context.Context, h v1.Hash) ([]companionDesc, error) {
		listed, err := s.client.referrers(ctx, h)
		if err != nil {
			return nil, err
		}
		for _, tag := range cosignTags(h) {
			found, err := s.client.manifest(ctx, tag)
			if err != nil {
				return nil, err
			}
			if found != nil {
				listed = append(listed, companionDesc{found.desc, tag})
			}
		}
		return listed, nil
	})
	if err != nil {
		return nil, explain(err, s.client.repository(), s.client.repository())
	}
	for _, c := range all {
		c.content.streamed()
	}
	return all, nil
}

// referrers lists what refers to a digest, by the registry's list or, where it has
// none, by the tag that stands for it.
func (c *client) referrers(ctx context.Context, h v1.Hash) (found []companionDesc, err error) {
	var raw []byte
	err = c.persist(ctx, "referrers of "+h.String(), func(ctx context.Context) error {
		var status *statusError
		_, body, err := c.ask(ctx, opReadManifest, http.MethodGet, c.url("referrers/"+h.String()), http.StatusOK)
		if errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed || status.Status == http.StatusBadRequest) {
			return nil
		}
		raw = body
		return err
	})
	if err != nil {
		return nil, err
	}
	if raw == nil {
		fallback, err := c.manifest(ctx, h.Algorithm+"-"+h.Hex)
		if err != nil || fallback == nil {
			return nil, err
		}
		raw = fallback.raw
	}
	m, mediaType, err := parseManifest(raw, types.OCIImageIndex)
	if err != nil {
		return nil, finalError{fmt.Errorf("the list of referrers of %s %w", h, err)}
	}
	if mediaType.IsIndex() {
		for _, d := range m.Manifests {
			found = append(found, companionDesc{desc: d})
		}
	}
	return found, nil
}

// accompany pushes what refers to the image, and returns how much it was.
func (p *push) accompany(ctx context.Context) (int, error) {
	if !p.options.Referrers {
		return 0, nil
	}
	c, err := p.image.loaded(ctx, p.progress)
	if err != nil {
		return 0, err
	}
	if c.companions == nil {
		p.log.InfoContext(ctx, "the image's source cannot have referrers: referrers has no effect")
		return 0, nil
	}
	all, err := c.companions(ctx)
	if err != nil {
		return 0, fmt.Errorf("referrers of the image: %w", err)
	}
	listed := map[v1.Hash][]v1.Descriptor{} // what the registry does not list by itself
	var subjects []v1.Hash
	for _, m := range all {
		if err := p.bring(ctx, m, func(d v1.Descriptor) {
			if listed[m.subject] == nil {
				subjects = append(subjects, m.subject)
			}
			listed[m.subject] = append(listed[m.subject], d)
		}); err != nil {
			return 0, fmt.Errorf("referrer %s: %w", m.content.root().desc.Digest, p.explain(err))
		}
	}
	for _, subject := range subjects {
		if err := p.client.list(ctx, subject, listed[subject]); err != nil {
			return 0, fmt.Errorf("referrers of %s: %w", subject, p.explain(err))
		}
	}
	return len(all), nil
}

// bring pushes one companion. unlisted is told if the registry does not list it.
func (p *push) bring(ctx context.Context, m companion, unlisted func(v1.Descriptor)) error {
	there := newInventory()
	if _, err := p.transfer(ctx, m.content, there, nil, true, func(context.Context) map[v1.Hash]v1.Descriptor { return nil }); err != nil {
		return err
	}
	for i, d := range m.content.documents {
		reference := d.desc.Digest.String()
		if i == len(m.content.documents)-1 && m.tag != "" {
			if err := p.tag(ctx, m.tag, d); err != nil {
				return err
			}
			continue
		}
		processed, err := p.client.putReferrer(ctx, reference, d)
		if err != nil {
			return err
		}
		var parsed struct {
			Subject      *v1.Descriptor    `json:"subject"`
			ArtifactType string            `json:"artifactType"`
			Config       *v1.Descriptor    `json:"config"`
			Annotations  map[string]string `json:"annotations"`
		}
		if json.Unmarshal(d.raw, &parsed) != nil || parsed.Subject == nil || processed {
			continue
		}
		entry := v1.Descriptor{MediaType: d.desc.MediaType, Digest: d.desc.Digest, Size: d.desc.Size, ArtifactType: parsed.ArtifactType, Annotations: parsed.Annotations}
		if entry.ArtifactType == "" && parsed.Config != nil {
			entry.ArtifactType = string(parsed.Config.MediaType)
		}
		unlisted(entry)
	}
	return nil
}

// list adds entries to the tag that stands for the referrers of a digest, for a
// registry that does not list them (distribution specification, "Referrers Tag
// Schema").
func (c *client) list(ctx context.Context, subject v1.Hash, entries []v1.Descriptor) error {
	tag := subject.Algorithm + "-" + subject.Hex
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	have, err := c.manifest(ctx, tag)
	if err != nil {
		return err
	}
	if have != nil {
		m, mediaType, err := parseManifest(have.raw, have.desc.MediaType)
		if err != nil || !mediaType.IsIndex() {
			return final("tag %s holds something else than an index of referrers", tag)
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
	return c.putManifest(ctx, tag, document{v1.Descriptor{MediaType: index.MediaType, Digest: digestOf(raw), Size: int64(len(raw))}, raw})
}
