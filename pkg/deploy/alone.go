package deploy

// A revision alone: where the run names a task definition and no service, a
// revision is made and registered, and nothing is deployed. Whoever starts tasks
// from it has it as an output.

import (
	"context"
	"errors"
	"slices"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// alone reports whether the run only registers a revision.
func (r Request) alone() bool { return r.Rollout && len(r.Services) == 0 }

// readAlone reads what the revision is to be made from. It belongs to no service.
func (d *Deployer) readAlone(ctx context.Context, library *library, ref string) (ServicePlan, error) {
	var s ServicePlan
	var err error
	if s.Lineage, err = d.trace(ctx, library, s, ref); err != nil {
		return s, err
	}
	if s.Lineage.Base.ARN() != "" {
		s.Known = append(s.Known, s.Lineage.Base)
	}
	s.Running, err = library.newest(ctx, s.Lineage.Base.Family())
	switch {
	case err == nil:
		s.Known = append(s.Known, s.Running)
	case !mistake.Absent(err): // absent is the first revision of a family
		return s, err
	}
	return s, nil
}

// prepareAlone makes the revision, and checks what does not depend on a service.
func (p *Plan) prepareAlone(s ServicePlan, imageKnown bool) (ServicePlan, error) {
	s, err := p.chooseContainer(s)
	if err != nil || !imageKnown {
		return s, errors.Join(err, p.checkSize(s))
	}
	s.Target, err = p.revise(s, p.Image)
	if err == nil {
		err = errors.Join(p.inconsistent(s), p.checkAlone(s))
	}
	return s, errors.Join(err, p.twoImages(s), p.checkSize(s))
}

// checkAlone returns why ECS does not register the revision, or no task of it can run:
// what ECS has registered it took.
func (p *Plan) checkAlone(s ServicePlan) error {
	var problems []error
	if base := s.Lineage.Base; !s.Lineage.registered() || base.Unregistrable() == nil {
		problems = append(problems, s.Target.Unregistrable())
	}
	return errors.Join(append(problems, checkPlatforms(s.Service, s.Target, p.platforms(s))...)...)
}

// registerAlone registers the revision and returns the result with it.
func (d *Deployer) registerAlone(ctx context.Context, p *Plan, result Result) (Result, error) {
	end := d.View.Section(Section{Kind: RevisionSection})
	t, err := d.register(ctx, p, p.Services[0], nil)
	end()
	if err != nil {
		return result, err
	}
	result.Services[0].Revision = t.Revision
	m := d.movement(p)
	m.after(ctx, []target{t})
	result.Schedules = m.schedules
	if err := context.Cause(ctx); err != nil {
		return result, err
	}
	if p.Request.KeepRevisions > 0 && !slices.ContainsFunc(result.Schedules, ScheduleResult.Failed) {
		d.tidy(ctx, p, []target{t}, nil)
	}
	return result, nil
}

// Alone reports whether the result is of a revision that belongs to no service.
func (s ServiceResult) Alone() bool { return s.Service == Service{} }

// From is what a plan shows as the place that a service leaves: the revision that
// it runs, or for a revision alone the newest one of its family; "" for none.
func (s ServicePlan) From() string {
	if s.Name == (Service{}) {
		return s.Running.String()
	}
	return ecs.ShortARN(s.Service.TaskDefinition)
}
