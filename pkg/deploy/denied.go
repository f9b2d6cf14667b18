package deploy

// Rights that are missing: all that can be known of them is told by one run, and
// what was done before one was found missing.

import (
	"context"
	"errors"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// readable reports why the revision that was asked for by its name may not be read,
// where something else was denied before; nil where it may, or where that cannot be
// told.
func (d *Deployer) readable(ctx context.Context, library *library, ref string, before error) error {
	if ecs.Classify(before) != ecs.Denied || ref == "" || ref == "latest" || ref == "running" || looksLikeFile(ref) {
		return nil
	}
	if _, err := library.definition(ctx, ref); ecs.Classify(err) == ecs.Denied {
		return err
	}
	return nil
}

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
