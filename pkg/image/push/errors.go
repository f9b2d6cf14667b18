package push

// What only a push can fail at.

import (
	"fmt"
)

// TagTakenError says that a tag that can never change points to another image.
type TagTakenError struct {
	Repository, Tag string
	// Have is the digest under the tag. Want is the digest that was to be
	// pushed, or the image ID while the digest is not known.
	Have, Want string
	// Damage is what is wrong with the image under the tag, which has the same
	// config; nil where it is another image.
	Damage error
}

func (e *TagTakenError) Error() string {
	if e.Damage != nil {
		return fmt.Sprintf("%s: tag %s is immutable, and the image under it, %s, is corrupt: %v", e.Repository, e.Tag, e.Have, e.Damage)
	}
	return fmt.Sprintf("%s: tag %s is immutable and belongs to another image, %s, not to %s; a tag stands for one build: push under a new one",
		e.Repository, e.Tag, e.Have, e.Want)
}
