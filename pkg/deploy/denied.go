package deploy

// Rights that are missing: what was done before one was found missing.

import (
	"errors"

	"ecsdeploy/pkg/mistake"
)

// PartlyDoneError is why a run could not go on after it had pushed an image. No
// service was changed.
type PartlyDoneError struct {
	Image Image
	Err   error
}

func (e *PartlyDoneError) Error() string { return e.Err.Error() }
func (e *PartlyDoneError) Unwrap() error { return e.Err }

// afterPush adds to the errors of the phases behind the push what was pushed.
func afterPush(im Image, err error) error {
	if err == nil || !im.Pushed {
		return err
	}
	var all []error
	for _, one := range mistake.Each(err) {
		all = append(all, &PartlyDoneError{im, one})
	}
	return errors.Join(all...)
}
