package deploy

// Rights that are missing: which others are, and what was done before one was found
// missing.

import (
	"context"
	"errors"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/resource"
)

// Identity is who a run acts as, and who can tell what it may do.
type Identity struct {
	ARN    string
	Region string
	Rights Rights
}

// Rights tells what an identity may not do; see [Resources].
type Rights interface {
	Denied(ctx context.Context, q resource.Question) (denied, unclear []resource.Right, err error)
}

// askingTakes is how long it may take to learn what else is missing.
const askingTakes = 15 * time.Second

// withMissing adds to an error that says that something was denied the rights that
// the rest of the run would lack, each as a [*Permission], as far as IAM tells. Whoever
// may not ask IAM learns of them one by one.
func (d *Deployer) withMissing(ctx context.Context, p *Plan, err error) error {
	denied := map[string]bool{}
	for _, one := range mistake.Each(err) {
		if denial, is := ecs.DenialOf(one); is {
			denied[denial.Action] = true
		}
	}
	if d.Identity == nil || p == nil || len(denied) == 0 || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askingTakes)
	defer cancel()
	v := &verifier{Deployer: d, roles: map[string]string{}, identity: d.Identity.ARN, region: d.Identity.Region}
	for _, r := range v.rights(p) {
		if r.optional || len(r.resources) == 0 {
			continue
		}
		lacks, _, unknown := d.Identity.Rights.Denied(ctx, resource.Question{Identity: v.identity, Actions: r.actions, Resources: r.resources, Context: r.context})
		if unknown != nil {
			return err
		}
		if actions, resources := parts(lacks); len(actions) > 0 && !(len(actions) == 1 && denied[actions[0]]) {
			err = errors.Join(err, &Permission{actions, resources, true})
		}
	}
	return err
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
