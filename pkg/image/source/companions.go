package source

// What refers to an image and travels with it on request: signatures, SBOMs,
// attestations. OCI 1.1 lists them as referrers of a digest (distribution
// specification, "Listing Referrers"); registries that cannot do that, and tools
// that do without it, name them by a tag made of the digest.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
)

// Bounds on what travels along.
const (
	maxCompanions     = 200
	maxCompanionDepth = 3 // a signature of an SBOM of an image
)

// cosignTags are the tags under which cosign keeps what belongs to an image.
func cosignTags(h v1.Hash) []string {
	base := h.Algorithm + "-" + h.Hex
	return []string{base + ".sig", base + ".att", base + ".sbom"}
}

// gather follows what refers to the subjects, and what refers to that. referrers
// lists what refers to one digest.
func gather(ctx context.Context, s store, subjects []v1.Hash, referrers func(context.Context, v1.Hash) ([]CompanionDesc, error)) ([]image.Companion, error) {
	var all []image.Companion
	seen := map[v1.Hash]bool{}
	for depth := 0; depth < maxCompanionDepth && len(subjects) > 0; depth++ {
		var next []v1.Hash
		for _, subject := range subjects {
			found, err := referrers(ctx, subject)
			if err != nil {
				return nil, err
			}
			for _, d := range found {
				if seen[d.Desc.Digest] {
					continue
				}
				seen[d.Desc.Digest] = true
				if len(all) == maxCompanions {
					return nil, fmt.Errorf("more than %d documents refer to the image", maxCompanions)
				}
				c, err := walkReferrer(ctx, s, d.Desc)
				if err != nil {
					return nil, fmt.Errorf("referrer %s: %w", d.Desc.Digest, err)
				}
				all = append(all, image.Companion{Content: c, Subject: subject, Tag: d.tag})
				next = append(next, d.Desc.Digest)
			}
		}
		subjects = next
	}
	return all, nil
}

// CompanionDesc is a document that refers to another, and its tag if it has one.
type CompanionDesc struct {
	Desc v1.Descriptor
	tag  string
}

// layoutCompanions lists those that a layout has of the content.
func layoutCompanions(ctx context.Context, l layout, images []named, c *image.Content) ([]image.Companion, error) {
	bySubject := map[v1.Hash][]CompanionDesc{}
	add := func(subject v1.Hash, d CompanionDesc) {
		if !slices.ContainsFunc(bySubject[subject], func(o CompanionDesc) bool { return o.Desc.Digest == d.Desc.Digest }) {
			bySubject[subject] = append(bySubject[subject], d)
		}
	}
	for _, n := range images {
		raw, err := l.document(ctx, n.desc, image.MaxDocument)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m, mediaType, err := image.ParseManifest(raw, n.desc.MediaType)
		if err != nil {
			continue
		}
		if m.Subject != nil {
			add(m.Subject.Digest, CompanionDesc{Desc: n.desc})
		}
		for _, name := range n.names {
			tagged := digestTag.FindStringSubmatch(name)
			if tagged == nil {
				continue
			}
			subject := v1.Hash{Algorithm: "sha256", Hex: tagged[1]}
			_, tag, ok := image.CutTag(name)
			if !ok {
				tag = name
			}
			switch {
			case mediaType.IsIndex() && tag == "sha256-"+subject.Hex:
				for _, child := range m.Manifests {
					add(subject, CompanionDesc{Desc: child})
				}
			case m.Subject == nil:
				add(subject, CompanionDesc{n.desc, tag})
			}
		}
	}
	return gather(ctx, l, c.Subjects(), func(_ context.Context, h v1.Hash) ([]CompanionDesc, error) { return bySubject[h], nil })
}

// remoteCompanions lists those that a repository has of the content.
func remoteCompanions(ctx context.Context, s *remoteStore, c *image.Content) ([]image.Companion, error) {
	all, err := gather(ctx, s, c.Subjects(), func(ctx context.Context, h v1.Hash) ([]CompanionDesc, error) {
		listed, err := ReferrersOf(ctx, s.client, h)
		if err != nil {
			return nil, err
		}
		for _, tag := range cosignTags(h) {
			found, err := s.client.Manifest(ctx, tag)
			if err != nil {
				return nil, err
			}
			if found != nil {
				listed = append(listed, CompanionDesc{found.Desc, tag})
			}
		}
		return listed, nil
	})
	if err != nil {
		return nil, registry.Explain(err, s.client.Repository(), s.client.Repository())
	}
	for _, c := range all {
		c.Content.Streamed()
	}
	return all, nil
}

// ReferrersOf lists what refers to a digest, by the registry's list, of all its pages, or,
// where it has none, by the tag that stands for it.
func ReferrersOf(ctx context.Context, c *registry.Client, h v1.Hash) (found []CompanionDesc, err error) {
	for page, next := 0, c.URL("referrers/"+h.String()); next != ""; page++ {
		if page == maxCompanions { // each has one at least
			return nil, image.Final("the list of referrers of %s has more than %d pages", h, maxCompanions)
		}
		var raw []byte
		if raw, next, err = referrersPage(ctx, c, h, next); err != nil {
			return nil, err
		}
		if raw == nil && page == 0 {
			fallback, err := c.Manifest(ctx, h.Algorithm+"-"+h.Hex)
			if err != nil || fallback == nil {
				return nil, err
			}
			raw = fallback.Raw
		}
		m, mediaType, err := image.ParseManifest(raw, types.OCIImageIndex)
		if err != nil {
			return nil, image.FinalError{Err: fmt.Errorf("the list of referrers of %s %w", h, err)}
		}
		if mediaType.IsIndex() {
			for _, d := range m.Manifests {
				found = append(found, CompanionDesc{Desc: d})
			}
		}
	}
	return found, nil
}

// referrersPage reads a page of the registry's list and where the next one is; nil where it
// has no such list.
func referrersPage(ctx context.Context, c *registry.Client, h v1.Hash, address string) (raw []byte, next string, err error) {
	err = c.Persist(ctx, "referrers of "+h.String(), func(ctx context.Context) error {
		var status *registry.StatusError
		resp, body, err := c.Ask(ctx, registry.OpReadManifest, http.MethodGet, address, http.StatusOK)
		if errors.As(err, &status) && (status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed || status.Status == http.StatusBadRequest) {
			return nil
		}
		if err == nil {
			raw = body
			next, err = registry.NextPage(resp)
		}
		return err
	})
	return raw, next, err
}
