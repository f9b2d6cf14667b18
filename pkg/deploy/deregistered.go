package deploy

// Revisions that were deregistered meanwhile. A service goes on with one, and ECS
// rolls back to one, but no deployment of it can be started: then its copy is
// registered.

import (
	"context"
	"strings"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// PassedOver is a revision to which a service does not go back, and why.
type PassedOver struct {
	Revision string // family:revision
	Why      string // within a sentence
}

// String is the revision and the reason: "web:7 (it was deleted)".
func (p PassedOver) String() string { return p.Revision + " (" + p.Why + ")" }

// Why a revision is none to go back to.
const (
	wasDeleted  = "it was deleted"
	runsNothing = "it runs the placeholder image"
	neverRan    = "no task of it has run: the desired count was 0"
	neverWell   = "no deployment of it to this service has succeeded"
)

// standing returns the ARN of a revision that can be deployed: the given one, or
// where it was deregistered an active revision that is equal, which is registered
// now if there is none. A revision that cannot be read is left to ECS to judge.
func (d *Deployer) standing(ctx context.Context, s Service, arn string) (string, error) {
	definition, err := d.ECS.Fresh(ctx, arn)
	if err != nil || !definition.Deregistered() {
		return arn, ctx.Err()
	}
	copied, err := d.ECS.Fresh(ctx, definition.Family())
	if err != nil || copied.Deregistered() || !sameOrigin(copied, definition) || !taskdef.Equal(copied, definition) {
		copied, err = d.ECS.Register(ctx, definition)
	}
	if ecs.TaggingDenied(err) {
		d.View.Show(Untagged{s, err})
		copied, err = d.ECS.Register(ctx, definition.WithoutProvenance())
	}
	if err != nil {
		return arn, err
	}
	d.View.Show(Copied{Service: s, From: arn, To: copied.ARN()})
	return copied.ARN(), nil
}

func sameOrigin(a, b taskdef.Definition) bool {
	p, _ := a.Provenance()
	q, _ := b.Provenance()
	return p == q
}

// standings has every target be a revision that can be deployed. Services that
// share one share its copy.
func (d *Deployer) standings(ctx context.Context, targets []target) error {
	for i, t := range targets {
		arn, err := d.standing(ctx, t.Name, t.Revision)
		if err != nil {
			return err
		}
		if arn == t.Revision {
			continue
		}
		if targets[i].Target, err = d.ECS.Definition(ctx, arn); err != nil {
			return err
		}
		targets[i].Revision = arn
	}
	return nil
}

// newestOf reads the newest revision of a family: the newest active one, or where
// all were deregistered the last of those.
func (d *Deployer) newestOf(ctx context.Context, library *library, family string) (taskdef.Definition, error) {
	newest, err := library.newest(ctx, family)
	if !mistake.Absent(err) {
		return newest, err
	}
	for arn, unlisted := range d.ECS.Revisions(ctx, family, true) {
		if unlisted != nil {
			break // the error of the reading says more
		}
		return library.definition(ctx, arn)
	}
	m := mistake.New(mistake.TaskDefinition, "give the file that its first revision is to be made from, or correct the name",
		"family %s has no revision", family)
	m.Absent = true
	return newest, m
}

// between names the revisions between the one to go back to and the one that runs
// whose deployment to the service has not succeeded, newest first. passed are those
// that are known already. What cannot be read is not named.
func (d *Deployer) between(ctx context.Context, to, from string, passed []PassedOver) []PassedOver {
	target, heading := revisionOf(to), revisionOf(from)
	if target.family != heading.family {
		return passed
	}
	known := map[string]bool{ecs.ShortARN(to): true, ecs.ShortARN(from): true}
	for _, p := range passed {
		known[p.Revision] = true
	}
	seen := 0
	for arn, err := range d.ECS.Revisions(ctx, target.family, false) {
		seen++
		if one := revisionOf(arn); err != nil || seen > buildsSearched || one.number <= target.number {
			break
		} else if one.number < heading.number && !known[ecs.ShortARN(arn)] {
			passed = append(passed, PassedOver{ecs.ShortARN(arn), neverWell})
		}
	}
	return passed
}

// revisionOf takes the ARN of a revision apart.
func revisionOf(arn string) (r struct {
	family string
	number int
}) {
	family, number, _ := strings.Cut(ecs.ShortARN(arn), ":")
	r.family = family
	for _, digit := range number {
		if digit < '0' || digit > '9' {
			return r
		}
		r.number = r.number*10 + int(digit-'0')
	}
	return r
}
