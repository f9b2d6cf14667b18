package image

// What the wanted tags hold before anything is uploaded.

import (
	"context"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// TagStatus is what a tag holds, compared with the image to be pushed.
type TagStatus int

const (
	// TagFree means that the tag, or the whole repository, is not there yet.
	TagFree TagStatus = iota
	// TagSame means that the tag has the same image: the same digest, or the
	// same config and so the same layers, compressed by whatever tool.
	TagSame
	// TagOther means that it has another image, which a push replaces if the
	// tag may change.
	TagOther
)

func (s TagStatus) String() string { return [...]string{"free", "same", "other"}[s] }

// TagState is one tag's state.
type TagState struct {
	Tag    string
	Status TagStatus
	// Digest and MediaType are of what the tag points to; empty for TagFree.
	Digest, MediaType string

	have *remoteManifest
}

// State is what the wanted tags hold, in the order of Target.Tags.
type State struct {
	Tags []TagState

	unknown bool // the registry knows no such repository
}

// AlreadyThere says that every tag has the image, so that there is nothing to
// push.
func (s State) AlreadyThere() bool {
	return len(s.Tags) > 0 && !slices.ContainsFunc(s.Tags, func(t TagState) bool { return t.Status != TagSame })
}

// Check reads what the target's tags hold. The error is a *TagTakenError when
// an immutable one has another image; the state is returned with it.
//
// An engine that cannot say under which digest it would hand an image out
// (podman) is made to hand it out when an immutable tag turns on it.
func Check(ctx context.Context, m *Image, t Target) (State, error) {
	c, err := newClient(t, defaultStall, nil)
	if err != nil {
		return State{}, err
	}
	s, err := readTags(ctx, c, t.Tags)
	if err != nil {
		return State{}, err
	}
	compare(&s, m.identities)
	if taken(s, t, m) != nil && !m.certain {
		p := newProgress(nil, time.Hour)
		defer p.close()
		if _, err := m.loaded(ctx, p); err != nil {
			return s, err
		}
		compare(&s, m.identities)
	}
	if err := taken(s, t, m); err != nil {
		return s, err
	}
	return s, nil
}

// readTags asks the registry for every tag.
func readTags(ctx context.Context, c *client, tags []string) (State, error) {
	s := State{Tags: make([]TagState, len(tags))}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, tag := range tags {
		g.Go(func() error {
			have, err := c.manifest(gctx, tag)
			if err != nil {
				return explain(err, c.repository(), c.repository()+":"+tag)
			}
			s.Tags[i] = TagState{Tag: tag, have: have}
			if have != nil {
				s.Tags[i].Digest, s.Tags[i].MediaType = have.desc.Digest.String(), string(have.desc.MediaType)
			}
			return nil
		})
	}
	err := g.Wait()
	s.unknown = c.unknown.Load()
	return s, err
}

// compare decides each tag's status.
func compare(s *State, identities []v1.Hash) {
	for i := range s.Tags {
		t := &s.Tags[i]
		switch {
		case t.have == nil:
			t.Status = TagFree
		case slices.Contains(identities, t.have.desc.Digest), slices.Contains(identities, t.have.config):
			t.Status = TagSame
		default:
			t.Status = TagOther
		}
	}
}

// taken is a *TagTakenError for the first immutable tag with another image.
func taken(s State, t Target, m *Image) error {
	for _, tag := range s.Tags {
		if tag.Status == TagOther && t.Immutable != nil && t.Immutable(tag.Tag) {
			return &TagTakenError{Repository: t.Repository, Tag: tag.Tag, Have: tag.Digest, Want: m.identity()}
		}
	}
	return nil
}

// identity is the digest that a message calls the image by.
func (m *Image) identity() string {
	for _, s := range []string{m.describe.Digest, m.describe.ImageID} {
		if s != "" {
			return s
		}
	}
	return m.describe.Ref
}
