package image

// Choosing one image of an index by the platform that is asked for.

import (
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Candidate is one child of an index.
type Candidate struct {
	Desc      v1.Descriptor
	Platform  Platform
	Available bool // its content is in the store
	Auxiliary bool // an attestation: no image of its own
	// Nested are the images of a child that is an index itself.
	Nested []Candidate
}

// images are the children that are images, those of nested indexes in the place
// of their index.
func Flatten(children []Candidate) []Candidate {
	var images []Candidate
	for _, c := range children {
		switch {
		case c.Auxiliary:
		case len(c.Nested) > 0:
			images = append(images, Flatten(c.Nested)...)
		default:
			images = append(images, c)
		}
	}
	return images
}

// Best returns the candidates that suit want best: usually one, several if they
// differ in nothing that want says.
func Best(images []Candidate, want Platform) []Candidate {
	var match []Candidate
	top := 0
	for _, c := range images {
		rank, ok := want.rank(c.Platform)
		switch {
		case !ok:
		case len(match) > 0 && rank < top:
		case len(match) == 0 || rank > top:
			match, top = []Candidate{c}, rank
		default:
			match = append(match, c)
		}
	}
	return match
}

// Choose decides which of an index's children to move: none (nil) means the
// whole index. want names a platform or is zero.
//
// An engine may hold an index of which only one platform was ever pulled or
// built. The index cannot be pushed then, and Docker pushes the one image that
// is there (moby, daemon/containerd/image_push.go); so do we.
func Choose(children []Candidate, want Platform) (*Candidate, error) {
	images := Flatten(children)
	isThere := func(c Candidate) bool { return c.Available }
	there := slices.DeleteFunc(slices.Clone(images), func(c Candidate) bool { return !c.Available })
	whole := !slices.ContainsFunc(children, func(c Candidate) bool { return !c.Available })
	if want != (Platform{}) {
		match := Best(images, want)
		here := Best(there, want)
		switch {
		case len(match) == 0:
			return nil, &PlatformError{Want: want, Have: PlatformsOf(images)}
		case !slices.ContainsFunc(match, isThere):
			return nil, &PlatformError{Want: want, Have: PlatformsOf(there), Absent: true}
		case want.OSVersion == "" && len(versions(here)) > 1:
			return nil, &PlatformError{Want: want, Have: PlatformsOf(here), Versions: true}
		}
		return &here[0], nil
	}
	switch {
	case whole:
		return nil, nil
	case len(there) == 1:
		return &there[0], nil
	}
	return nil, &PlatformError{Have: PlatformsOf(there), Absent: true}
}

// versions are the builds of Windows that the candidates are for.
func versions(cs []Candidate) map[string]bool {
	all := map[string]bool{}
	for _, c := range cs {
		all[build(c.Platform.OSVersion)] = true
	}
	return all
}

func PlatformsOf(cs []Candidate) []Platform {
	var ps []Platform
	for _, c := range cs {
		if !slices.Contains(ps, c.Platform) {
			ps = append(ps, c.Platform)
		}
	}
	return ps
}

// PlatformError says that an index has no image for the wanted platform.
type PlatformError struct {
	Want Platform   // zero when none was asked for
	Have []Platform // those that could be had
	// Absent says that the index names the platform, but that its content is
	// not here.
	Absent bool
	// Versions says that the images differ in the version of Windows, of which a
	// host runs its own only.
	Versions bool
}

// Hint says what to do about it.
func (e *PlatformError) Hint() string {
	switch {
	case e.Versions:
		return "choose one by its version, such as platform: " + e.Have[0].String()
	case e.Want == (Platform{}):
		return "choose one with platform, or build or pull them all"
	case e.Absent:
		return "build or pull the image with --platform " + e.Want.String()
	}
	return "build the image for this platform, or choose another with platform"
}

func (e *PlatformError) Error() string {
	switch {
	case e.Versions:
		return fmt.Sprintf("platform %s is there for several versions of Windows: %s", e.Want, PlatformList(e.Have))
	case e.Want == (Platform{}):
		return fmt.Sprintf("the index names several platforms, but not all of their content is here (complete: %s); choose one with platform, or build or pull them all", PlatformList(e.Have))
	case e.Absent:
		return fmt.Sprintf("platform %s is named in the index, but its content is not here (complete: %s); build or pull it with --platform %s", e.Want, PlatformList(e.Have), e.Want)
	}
	return fmt.Sprintf("there is no image for platform %s; there is %s", e.Want, PlatformList(e.Have))
}

// MaxDepth bounds indexes within indexes.
const MaxDepth = 4
