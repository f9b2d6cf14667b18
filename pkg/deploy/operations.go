package deploy

// The commands of operations: back to a revision that ran before, and the
// answer to a deployment that waits at a lifecycle hook. Both end as a rollout
// does: followed, proven, told.

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// RollBack moves each service to the revision of a build, or to the last
// revision before the running one whose deployment was successful. Nothing is
// built, pushed or registered.
func (d *Deployer) RollBack(ctx context.Context, r Request, buildID string) (Result, error) {
	return d.operate(ctx, r, func(ctx context.Context, s *servicePlan) error {
		definition, err := d.earlier(ctx, s, buildID)
		s.target = definition
		return err
	})
}

// operate plans every service with choose, shows the plan, and rolls it out.
func (d *Deployer) operate(ctx context.Context, r Request, choose func(context.Context, *servicePlan) error) (result Result, err error) {
	defer clock(&result)()
	result.DryRun = r.DryRun
	p := &plan{request: r, services: make([]*servicePlan, len(r.Services))}
	err = d.each(r.Services, func(i int, name Service) error {
		service, err := d.ECS.Service(ctx, name.Cluster, name.Name)
		if err != nil {
			return err
		}
		s := &servicePlan{name: name, service: service}
		p.services[i] = s
		if err := errors.Join(rollout.Check(service, taskdef.Definition{}, nil)...); err != nil {
			return err
		}
		if err := d.attend(ctx, s); err != nil {
			return err
		}
		if s.running, err = d.ECS.Definition(ctx, service.TaskDefinition); err != nil {
			return err
		}
		if err := choose(ctx, s); err != nil {
			return err
		}
		return d.know(ctx, s)
	})
	if err != nil {
		return result, err
	}
	end := d.Console.Group("Plan")
	for _, s := range p.services {
		d.Log.With("service", s.name.Name).Info(fmt.Sprintf("%s → %s%s", rollout.ShortARN(s.heading()), s.target, buildText(s.target)))
	}
	end()
	result.Image, result.Services = p.outline()
	if r.DryRun {
		return result, nil
	}
	err = d.each(r.Services, func(i int, _ Service) error {
		result.Services[i].Revision = p.services[i].target.ARN()
		return d.makeRoom(ctx, p.services[i])
	})
	if err != nil {
		return result, err
	}
	return result, d.rollOut(ctx, p, result.Services)
}

// heading is the revision that the service is being moved to, or runs.
func (s *servicePlan) heading() string {
	if s.other != nil && s.other.known().TaskDefinition != "" {
		return s.other.known().TaskDefinition
	}
	return s.service.TaskDefinition
}

// makeRoom ends the deployment in flight that ours could not start beside, and
// reads where the service is then.
func (d *Deployer) makeRoom(ctx context.Context, s *servicePlan) error {
	other, busy := s.inFlight(s.target.ARN())
	if !busy || !other.known().alone {
		return nil
	}
	err := d.end(ctx, d.Log.With("service", s.name.Name), s, other)
	if err != nil {
		return err
	}
	if s.service, err = d.ECS.Service(ctx, s.name.Cluster, s.name.Name); err != nil {
		return err
	}
	return d.attend(ctx, s)
}

// know fills in what is to be proven of the target: which container has the
// image, and its digests. An image that is gone is found out before the
// service is moved to it.
func (d *Deployer) know(ctx context.Context, s *servicePlan) error {
	container, err := s.target.ChooseContainer("", "")
	if err != nil {
		return nil // several could be meant: then no digest is compared
	}
	s.container = container
	c, err := d.inspect(ctx, "services", s.target.Image(container))
	if err != nil {
		return fmt.Errorf("the image of %s: %w", s.target, err)
	}
	s.image = &c
	return nil
}

// earlier returns the revision to go back to.
func (d *Deployer) earlier(ctx context.Context, s *servicePlan, buildID string) (taskdef.Definition, error) {
	if buildID != "" {
		return d.ofBuild(ctx, s, buildID)
	}
	for definition, err := range d.returnable(ctx, s, s.heading()) {
		return definition, err
	}
	advice := "ECS remembers 90 days; name the build to go back to in buildId"
	if s.service.Controller == byCodeDeploy {
		advice = "ECS may keep no list of what CodeDeploy deployed; name the build to go back to in buildId"
	}
	return taskdef.Definition{}, &rollout.Problem{Input: "services", Advice: advice,
		Message: fmt.Sprintf("service %s has had no successful deployment of another revision than %s", s.name.Name, rollout.ShortARN(s.heading()))}
}

// ofBuild returns the newest active revision that came from a build: by what
// its tags say, or by the tag of one of its images.
func (d *Deployer) ofBuild(ctx context.Context, s *servicePlan, buildID string) (taskdef.Definition, error) {
	const limit = 200 // revisions looked at
	seen := 0
	for arn, err := range d.ECS.Revisions(ctx, s.running.Family()) {
		if err != nil {
			return taskdef.Definition{}, err
		}
		if seen++; seen > limit {
			break
		}
		definition, err := d.ECS.Definition(ctx, arn)
		if err != nil {
			return definition, err
		}
		if p, _ := definition.Provenance(); p.BuildID == buildID {
			return definition, nil
		}
		for _, c := range definition.Containers() {
			if buildOf(c.Image) == buildID {
				return definition, nil
			}
		}
	}
	return taskdef.Definition{}, &rollout.Problem{Input: "buildId",
		Message: fmt.Sprintf("none of the last %d active revisions of %s is of build %s", min(seen, limit), s.running.Family(), buildID),
		Advice:  "roll it out instead: command rollout with tags: " + buildID + " and olderBuild: allow"}
}

func buildText(d taskdef.Definition) string {
	if p, ok := d.Provenance(); ok && p.BuildID != "" {
		return ", build " + p.BuildID
	}
	return ""
}

// Resume answers the deployments of the services that wait, at a lifecycle hook
// or for CodeDeploy to shift the traffic, and follows them.
func (d *Deployer) Resume(ctx context.Context, r Request, hookID string, rollback bool) (result Result, err error) {
	defer clock(&result)()
	result.DryRun = r.DryRun
	p := &plan{request: r, services: make([]*servicePlan, len(r.Services))}
	err = d.each(r.Services, func(i int, name Service) (err error) {
		if p.services[i], err = d.readPaused(ctx, name, hookID); err == nil {
			p.services[i].back = rollback
		}
		return err
	})
	if err != nil {
		return result, err
	}
	end := d.Console.Group("Plan")
	for _, s := range p.services {
		d.Log.With("service", s.name.Name).Info(fmt.Sprintf("deployment of %s waits at hook %s: %s", s.target, s.other.known().hookID, s.answer()))
	}
	end()
	result.Image, result.Services = p.outline()
	if r.DryRun {
		return result, nil
	}
	end = d.Console.Group("Resume")
	defer end()
	return result, d.each(r.Services, func(i int, name Service) error {
		s, log := p.services[i], d.Log.With("service", name.Name)
		result.Services[i].Revision, result.Services[i].Deployment = s.target.ARN(), s.other.known().name
		if err := s.other.answer(ctx, rollback); err != nil {
			return err
		}
		log.Info("told " + deployer(s.service) + " to " + s.answer())
		if !r.Wait {
			return nil
		}
		if err := d.follow(ctx, log, p, s, s.other, &result.Services[i], func(int, int) {}); err != nil {
			return err
		}
		switch r := &result.Services[i]; {
		case !r.Outcome.Good():
		case rollback:
			r.Outcome, r.Reason = rollout.Failed, "the deployment completed before it could be rolled back"
		default:
			d.verify(ctx, log, p, s, s.other.known().Started, r)
		}
		return nil
	})
}

// answer is what the deployment that waits is told, in words.
func (s *servicePlan) answer() string {
	if s.back {
		return "roll back to " + rollout.ShortARN(s.running.ARN())
	}
	return "continue"
}

// readPaused reads a service whose deployment waits for an answer, and what
// that deployment brings.
func (d *Deployer) readPaused(ctx context.Context, name Service, hookID string) (*servicePlan, error) {
	service, err := d.ECS.Service(ctx, name.Cluster, name.Name)
	if err != nil {
		return nil, err
	}
	s := &servicePlan{name: name, service: service}
	if s.way, err = d.wayOf(ctx, service); err != nil {
		return nil, err
	}
	if s.other, err = s.way.paused(ctx, hookID); err != nil {
		return nil, err
	}
	if s.target, err = d.ECS.Definition(ctx, s.other.known().TaskDefinition); err != nil {
		return nil, err
	}
	// CodeDeploy moves the service with the traffic, ECS before it.
	before := service.TaskDefinition
	for _, other := range service.Deployments {
		if before == s.target.ARN() {
			before = other.TaskDefinition
		}
	}
	if s.running, err = d.ECS.Definition(ctx, before); err != nil {
		return nil, err
	}
	return s, d.know(ctx, s)
}

// each runs do for every service side by side and joins the errors in order.
func (d *Deployer) each(services []Service, do func(i int, name Service) error) error {
	var wait sync.WaitGroup
	errs := make([]error, len(services))
	for i, name := range services {
		wait.Go(func() { errs[i] = do(i, name) })
	}
	wait.Wait()
	return errors.Join(errs...)
}
