package deploy

// The phase in which every service gets the ARN of its revision: one that is
// registered where it is equal, else a new one. Services that share a family share
// the revision.

import (
	"context"
	"errors"
	"slices"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

// target is a service and the revision that it is to run.
type target struct {
	ServicePlan
	Revision string // ARN
	Image    Candidate
	Further  map[string]Candidate
	Pushed   bool   // this run has pushed the image: a tag may have moved
	migrated string // ARN of the revision for which the migration of the run has run; empty where it has none
}

// ready settles all services and registers their revisions.
func (d *Deployer) ready(ctx context.Context, p *Plan, pushed bool) ([]target, error) {
	defer d.View.Section(Section{Kind: RevisionSection})()
	settled, err := d.settle(ctx, p)
	if err != nil {
		return nil, err
	}
	var targets []target
	for _, s := range settled {
		t, err := d.register(ctx, p, s, targets)
		if err != nil {
			d.showCleared(ctx, settled)
			return nil, err
		}
		t.Pushed = pushed
		targets = append(targets, t)
	}
	return targets, nil
}

// register finds or registers the revision of one service. before are the targets
// that have theirs.
func (d *Deployer) register(ctx context.Context, p *Plan, s ServicePlan, before []target) (target, error) {
	c := p.imageFor(s)
	definition, err := p.revise(s, c) // with pinDigest the image is known only after the push
	if err != nil {
		return target{}, errors.Join(s.Name.mistakes(err)...)
	}
	s.Target = definition
	for _, t := range before {
		s.Known = append(s.Known, t.Known...)
	}
	t := target{ServicePlan: s, Image: c, Further: p.Further}
	if t.Revision = s.Registered(); t.Revision != "" {
		d.View.Show(RevisionKept{s.Name, t.Revision})
		// Those after it need no more than this one. With all that it knows from those
		// before it, every service would double what the next one looks through.
		t.Known = slices.DeleteFunc(slices.Clone(s.Known), func(k taskdef.Definition) bool { return k.ARN() != t.Revision })[:1]
		return t, nil
	}
	stored, err := d.registerTagged(ctx, s, p.originOf(c), c)
	if err != nil {
		return t, err
	}
	t.Revision, t.Known = stored.ARN(), []taskdef.Definition{stored}
	d.View.Show(Registered{s.Name, stored.ARN()})
	if left := taskdef.Ignored(s.Target, stored); len(left) > 0 {
		d.View.Show(NotStored{s.Name, stored.ARN(), left})
	}
	return t, nil
}

// registerTagged registers the target of a service with tags that say where it
// came from, or without them where the identity may not tag.
func (d *Deployer) registerTagged(ctx context.Context, s ServicePlan, origin taskdef.Provenance, c Candidate) (taskdef.Definition, error) {
	origin.Base, origin.Secrets = s.Lineage.Infrastructure, taskdef.SecretVersions(s.Secrets)
	if len(c.Digests) > 0 {
		origin.Digest = c.Digests[0]
	}
	tagged, err := s.Target.WithProvenance(origin)
	if err != nil {
		d.View.Show(Untagged{s.Name, err})
		return d.ECS.Register(ctx, s.Target.WithoutProvenance())
	}
	stored, err := d.ECS.Register(ctx, tagged)
	if ecs.TaggingDenied(err) {
		d.View.Show(Untagged{s.Name, err})
		return d.ECS.Register(ctx, s.Target.WithoutProvenance())
	}
	return stored, err
}
