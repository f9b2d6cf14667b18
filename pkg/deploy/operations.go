package deploy

// The commands of operations: back to a revision that ran before, and the answer to
// a deployment that is paused. Both end as a rollout does: followed, proven, told.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// RollBack moves each service to the revision of a build, or to the last revision
// before the running one whose deployment was successful. Nothing is built or
// pushed.
func (d *Deployer) RollBack(ctx context.Context, r Request, buildID string) (Result, error) {
	begin := time.Now()
	r.WhenBusy = Supersede // what is in progress is what one goes back from
	result, err := d.rollBack(ctx, r, buildID, begin)
	result.DryRun, result.Took = r.DryRun, time.Since(begin)
	return result, err
}

func (d *Deployer) rollBack(ctx context.Context, r Request, buildID string, begin time.Time) (result Result, err error) {
	limit := newLimit(r, begin)
	defer func() { err = limit.late(ctx, err) }()
	bounded, cancel := limit.context(ctx)
	defer cancel()
	p, err := d.operate(bounded, r, func(ctx context.Context, s ServicePlan) (ServicePlan, error) {
		var err error
		if s, err = d.earlier(ctx, s, buildID); err != nil {
			return s, err
		}
		return d.know(ctx, s)
	})
	if err != nil {
		return Result{}, err
	}
	d.showPlan(p, limit)
	if r.DryRun {
		return p.outline(), nil
	}
	targets := make([]target, len(p.Services))
	err = each(p.Services, func(i int, s ServicePlan) error {
		s, err := d.makeRoom(bounded, p, s)
		targets[i] = target{ServicePlan: s, Revision: s.Target.ARN()}
		if s.Image != nil {
			targets[i].Image = *s.Image
		}
		return err
	})
	result = p.outline()
	if err == nil {
		err = d.standings(bounded, targets)
	}
	if err == nil {
		_, err = scheduleTargets(p.Schedules, targets)
	}
	if err != nil {
		for _, t := range targets {
			d.showCleared(bounded, []ServicePlan{t.ServicePlan})
		}
		return result, err
	}
	m := d.movement(p)
	result.Services, err = m.rollOut(ctx, bounded, p, limit, targets)
	result.Schedules = m.schedules
	return result, err
}

// operate reads every service of a command that registers nothing, and has choose
// complete its plan.
func (d *Deployer) operate(ctx context.Context, r Request, choose func(context.Context, ServicePlan) (ServicePlan, error)) (*Plan, error) {
	p := &Plan{Request: r, Services: make([]ServicePlan, len(r.Services))}
	library := newLibrary(d.ECS)
	err := each(r.Services, func(i int, name Service) error {
		s, err := d.meetAtRest(ctx, ServicePlan{Name: name})
		if err != nil {
			return err
		}
		if s.Running, err = library.definition(ctx, s.Service.TaskDefinition); err != nil {
			return err
		}
		p.Services[i], err = choose(ctx, s)
		return err
	})
	if err == nil {
		p.Schedules, err = d.planSchedules(ctx, p)
	}
	return p, err
}

// heading is the revision that the service is being moved to, or runs.
func (s ServicePlan) heading() string {
	if s.Other != nil && s.Other.Snapshot().Revision != "" {
		return s.Other.Snapshot().Revision
	}
	return s.Service.TaskDefinition
}

// makeRoom ends the deployment in progress that ours could not start beside.
func (d *Deployer) makeRoom(ctx context.Context, p *Plan, s ServicePlan) (ServicePlan, error) {
	other, busy := s.inFlight(s.Target.ARN())
	if !busy || !other.Snapshot().Blocks() {
		return s, nil
	}
	stopped, err := d.clear(ctx, p, s, other, false)
	s.Cleared = stopped
	if err != nil {
		return s, err
	}
	fresh, err := d.meet(ctx, s)
	fresh.Cleared = stopped
	return fresh, err
}

// know fills in what is to be proven of the target: which container has the image,
// and its digests. An image that is gone is found out before the service is moved
// to it.
func (d *Deployer) know(ctx context.Context, s ServicePlan) (ServicePlan, error) {
	container, err := s.Target.ChooseContainer("", "")
	if err != nil {
		return s, nil // several could be meant: then no digest is compared
	}
	s.Container = container
	c, err := d.inspect(ctx, mistake.Service, s.Target.Image(container))
	if err != nil {
		return s, fmt.Errorf("the image of %s: %w", s.Target, err)
	}
	s.Image = &c
	return s, nil
}

// earlier finds the revision to go back to, and which were passed over.
func (d *Deployer) earlier(ctx context.Context, s ServicePlan, buildID string) (ServicePlan, error) {
	var err error
	if buildID != "" {
		s.Target, err = d.ofBuild(ctx, s, buildID)
		return s, err
	}
	seen := map[string]bool{}
	pass := func(p PassedOver) {
		if !seen[p.Revision] {
			seen[p.Revision] = true
			s.PassedOver = append(s.PassedOver, p)
		}
	}
	for definition, err := range d.returnable(ctx, s, s.heading(), pass) {
		if s.Target = definition; err == nil {
			s.PassedOver = d.between(ctx, definition.ARN(), s.heading(), s.PassedOver)
		}
		return s, err
	}
	hint := "ECS keeps the deployments of 90 days; name the build to go back to in buildId"
	if s.Service.Controller == "CODE_DEPLOY" {
		hint = "ECS may keep no list of what CodeDeploy deployed; name the build to go back to in buildId"
	}
	passedOver := ""
	for i, p := range s.PassedOver {
		passedOver += []string{"; passed over: ", ", "}[min(i, 1)] + p.String()
	}
	return s, mistake.New(mistake.Service, hint,
		"service %s has had no successful deployment of another revision than %s%s", s.Name.Name, ecs.ShortARN(s.heading()), passedOver)
}

// buildsSearched is how many revisions are looked at for a build.
const buildsSearched = 200

// ofBuild returns the newest revision that came from a build: by the id or the
// image's tag that its own tags say, or by the tag of one of its images. One whose
// deployment to the service was successful goes before those that ran elsewhere or
// failed, and active ones before those that were deregistered.
func (d *Deployer) ofBuild(ctx context.Context, s ServicePlan, buildID string) (taskdef.Definition, error) {
	for definition, err := range d.succeeded(ctx, s, historyRead) {
		switch {
		case err != nil && passable(err): // which of them ran is not known then
			d.View.Show(HistoryUnread{Service: s.Name, Err: err, Build: buildID})
		case err != nil, isOfBuild(definition, buildID):
			return definition, err
		}
	}
	seen := 0
	for _, inactive := range []bool{false, true} {
		for arn, err := range d.ECS.Revisions(ctx, s.Running.Family(), inactive) {
			if err != nil {
				return taskdef.Definition{}, err
			}
			if seen == buildsSearched {
				break
			}
			seen++
			definition, err := d.ECS.Definition(ctx, arn)
			if err != nil || isOfBuild(definition, buildID) {
				return definition, err
			}
		}
	}
	return taskdef.Definition{}, mistake.New(mistake.Build, "roll it out instead: command rollout with tags: "+buildID+" and olderBuild: allow",
		"none of the last %d revisions of %s is of build %s", seen, s.Running.Family(), buildID)
}

// isOfBuild reports whether a revision came from a build. One that says which build it
// came from is of no other, whatever the tags of its images are: that of a further
// container, as postgres:12, is no build.
func isOfBuild(d taskdef.Definition, buildID string) bool {
	switch p, _ := d.Provenance(); {
	case p.BuildID == buildID, p.Tag == buildID:
		return true
	case p.BuildID != "":
		return false
	}
	if container, err := d.ChooseContainer("", ""); err == nil {
		return tagOf(d.Image(container)) == buildID
	}
	return slices.ContainsFunc(d.Containers(), func(c taskdef.Container) bool { return tagOf(c.Image) == buildID })
}

// Resume answers the deployments of the services that are paused, at a lifecycle
// hook or where CodeDeploy waits to shift the traffic, and follows them.
func (d *Deployer) Resume(ctx context.Context, r Request, hookID string, action rollout.Action) (Result, error) {
	begin := time.Now()
	r.Resumes = true
	result, err := d.resume(ctx, r, hookID, action, begin)
	result.DryRun, result.Took = r.DryRun, time.Since(begin)
	return result, err
}

func (d *Deployer) resume(ctx context.Context, r Request, hookID string, action rollout.Action, begin time.Time) (result Result, err error) {
	limit := newLimit(r, begin)
	defer func() { err = limit.late(ctx, err) }()
	bounded, cancel := limit.context(ctx)
	defer cancel()
	p := &Plan{Request: r, Services: make([]ServicePlan, len(r.Services))}
	err = each(r.Services, func(i int, name Service) (err error) {
		if p.Services[i], err = d.readPaused(bounded, name, hookID); err != nil {
			return err
		}
		p.Services[i].Back = action == rollout.RollBack
		p.Services[i], err = d.planSmoke(bounded, r, p.Services[i])
		return err
	})
	if err == nil && action != rollout.RollBack { // the revision that is given up was never theirs
		p.Schedules, err = d.planSchedules(bounded, p)
		if err == nil {
			targets := make([]target, len(p.Services))
			for i, s := range p.Services {
				targets[i] = target{ServicePlan: s, Revision: s.Target.ARN()}
			}
			_, err = scheduleTargets(p.Schedules, targets)
		}
	}
	if err != nil {
		return Result{}, err
	}
	d.showPlan(p, limit)
	if r.DryRun {
		return p.outline(), nil
	}
	defer d.View.Section(Section{Kind: ResumeSection})()
	all, answered := make([]moved, len(p.Services)), make([]bool, len(p.Services))
	err = each(p.Services, func(i int, s ServicePlan) error {
		all[i] = moved{target: target{ServicePlan: s, Revision: s.Target.ARN()}, deployment: s.Other, began: begin}
		if s.Image != nil {
			all[i].Image = *s.Image
		}
		if s.Smoke != nil && s.Other.Snapshot().HasTestTraffic() {
			return nil // the smoke test decides on the answer
		}
		err := s.Other.Answer(bounded, action)
		_, unknown := errors.AsType[*rollout.UnansweredError](err)
		if answered[i] = err == nil || unknown || ecs.Ambiguous(err); err != nil {
			return err
		}
		d.View.Show(Answered{Service: s.Name, Action: action, To: s.Running.ARN()})
		return nil
	})
	if err != nil {
		// Those that were answered, or may have been, go on, and nobody follows them.
		_ = each(all, func(i int, m moved) error {
			if answered[i] {
				d.showState(ctx, m.Name, m.deployment)
			}
			return nil
		})
		return Result{Services: results(all, nil)}, err
	}
	m := d.movement(p)
	services, err := m.followAll(ctx, r, limit, all)
	for i := range services {
		if action == rollout.RollBack && services[i].Outcome.Good() {
			services[i].Outcome, services[i].Reason = rollout.Failed, rollout.Reason{Code: rollout.CompletedAnyway}
		}
	}
	result = p.outline()
	result.Services, result.Schedules = services, m.schedules
	return result, err
}

// readPaused reads a service whose deployment waits for an answer, and what that
// deployment brings.
func (d *Deployer) readPaused(ctx context.Context, name Service, hookID string) (ServicePlan, error) {
	s := ServicePlan{Name: name}
	service, err := d.ECS.Service(ctx, name.Cluster, name.Name)
	if err != nil {
		return s, err
	}
	s.Service = service
	if s.Controller, err = d.Rollouts.Controller(ctx, service); err != nil {
		return s, err
	}
	if s.Other, err = s.Controller.Paused(ctx, hookID); err != nil {
		return s, err
	}
	now := s.Other.Snapshot()
	if now.Revision == "" {
		return s, errors.New("the revision of the paused deployment of service " + name.Name + " cannot be read")
	}
	if s.Target, err = d.ECS.Definition(ctx, now.Revision); err != nil {
		return s, err
	}
	// CodeDeploy moves the service with the traffic, ECS before it.
	before := service.TaskDefinition
	for _, other := range service.Deployments {
		if before == s.Target.ARN() {
			before = other.TaskDefinition
		}
	}
	if s.Running, err = d.ECS.Definition(ctx, before); err != nil {
		return s, err
	}
	s.Good = before
	return d.know(ctx, s)
}
