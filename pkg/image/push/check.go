package push

// What the wanted tags hold before anything is uploaded.

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

// TagStatus is what a tag holds, compared with the image to be pushed.
type TagStatus int

const (
	// TagFree means that the tag, or the whole repository, is not there yet.
	TagFree TagStatus = iota
	// TagSame means that the tag has the same image: the same digest, or, where
	// the image has no manifest yet, the same config and layers that are proven to
	// be what it lists, compressed by whatever tool.
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

	have     *registry.Manifest
	image    *registry.Manifest // have, or the image of which it is an index with a SOCI index
	examined bool               // damage is known
	damage   error              // what is wrong with the layers of an image of the same config
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
func Check(ctx context.Context, m *source.Image, t Target) (State, error) {
	c, err := registry.NewClient(t.access(0, nil))
	if err != nil {
		return State{}, err
	}
	s, err := readTags(ctx, c, t.Tags)
	if err != nil {
		return State{}, err
	}
	if err := compare(ctx, c, &s, t, m); err != nil {
		return s, err
	}
	if taken(s, t, m) != nil && !m.Certain() {
		p := image.NewMeter(nil, time.Hour)
		defer p.Close()
		if _, err := m.Loaded(ctx, p); err != nil {
			return s, err
		}
		if err := compare(ctx, c, &s, t, m); err != nil {
			return s, err
		}
	}
	return s, taken(s, t, m)
}

// examine says whether the layers of the image under the tag are sound, and finds it
// out once.
func (t *TagState) examine(ctx context.Context, c *registry.Client) (damage, err error) {
	if !t.examined {
		t.damage, err = sound(ctx, c, t.image)
		t.examined = err == nil
	}
	return t.damage, err
}

// readTags asks the registry for every tag.
func readTags(ctx context.Context, c *registry.Client, tags []string) (State, error) {
	s := State{Tags: make([]TagState, len(tags))}
	g, gctx := image.NewGroup(ctx)
	g.SetLimit(4)
	for i, tag := range tags {
		g.Go(func() error {
			have, err := c.Manifest(gctx, tag)
			if err != nil {
				return registry.Explain(err, c.Repository(), c.Repository()+":"+tag)
			}
			s.Tags[i] = TagState{Tag: tag, have: have}
			if s.Tags[i].image, err = imageOf(gctx, c, have); err != nil {
				return registry.Explain(err, c.Repository(), c.Repository()+":"+tag)
			}
			if have != nil {
				s.Tags[i].Digest, s.Tags[i].MediaType = have.Desc.Digest.String(), string(have.Desc.MediaType)
			}
			return nil
		})
	}
	err := g.Wait()
	s.unknown = c.Unknown.Load()
	return s, err
}

// compare decides each tag's status. An image of the same config is the same one
// only where its layers are those that the config lists, which is found out here;
// the error says that this was not possible for a tag that can never change.
func compare(ctx context.Context, c *registry.Client, s *State, t Target, m *source.Image) error {
	id := m.Identity()
	for i := range s.Tags {
		tag := &s.Tags[i]
		switch {
		case tag.have == nil:
			tag.Status = TagFree
		case id.Root == tag.have.Desc.Digest:
			tag.Status = TagSame
		case id.Config == (v1.Hash{}) || id.Config != tag.image.Config || !unpackable(tag.image):
			tag.Status = TagOther
		default:
			damage, err := tag.examine(ctx, c)
			fixed := t.Immutable != nil && t.Immutable(tag.Tag)
			switch {
			case err != nil && fixed:
				return registry.Explain(fmt.Errorf("could not check the layers of the image under tag %s: %w", tag.Tag, err), c.Repository(), c.Repository()+":"+tag.Tag)
			case err != nil || damage != nil:
				c.Log.InfoContext(ctx, "pushing again: the image under the tag has the same config, but its layers are not proven to be right", "tag", tag.Tag, "error", cmp.Or(damage, err))
				tag.Status = TagOther
			default:
				tag.Status = TagSame
			}
		}
	}
	return nil
}

// unpackable says whether engines unpack all layers of a stored image as they are. Only
// then does its config say what it consists of: an encrypted image has the config of the
// one that it was made of.
func unpackable(have *registry.Manifest) bool {
	m, _, err := image.ParseManifest(have.Raw, have.Desc.MediaType)
	return err == nil && !slices.ContainsFunc(m.Layers, func(d v1.Descriptor) bool { return !image.IsUnpackable(d) })
}

// taken is a *TagTakenError for the first immutable tag with another image.
func taken(s State, t Target, m *source.Image) error {
	for _, tag := range s.Tags {
		if tag.Status == TagOther && t.Immutable != nil && t.Immutable(tag.Tag) {
			return &TagTakenError{Repository: t.Repository, Tag: tag.Tag, Have: tag.Digest, Want: nameOf(m), Damage: tag.damage}
		}
	}
	return nil
}

// nameOf is the digest that a message calls the image by.
func nameOf(m *source.Image) string {
	d := m.Describe()
	return cmp.Or(d.Digest, d.ImageID, d.Ref)
}
