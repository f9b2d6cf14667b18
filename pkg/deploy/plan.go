package deploy

// The plan: everything that can be known before anything is changed. It is data,
// made by reading only, and it does not change after it is made: what a later
// reading shows differently is a new value.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/schedule"
	"ecsdeploy/pkg/taskdef"
)

// Plan is what a run is going to do.
type Plan struct {
	Request    Request
	Repository *ecr.Repository      // nil when the request names none, or it is to be created
	Source     *source.Image        // what is to be pushed, or nil
	State      *push.State          // what the tags hold already; nil where that is not known
	Image      Candidate            // what the chosen containers will run
	Further    map[string]Candidate // by container: the images of the input images
	Services   []ServicePlan
	Schedules  []schedule.Entry // that move to the new revision afterwards

	Signing  []string   // ARNs of the profiles with which ECR signs what is pushed
	Expiring []Expiring // what the repository's lifecycle policy will remove, though it runs or a rollback needs it

	template  string // prefix of the creation template by which ECR creates the repository
	lifecycle lifecycle
	secrets   *secretReader // nil where versions of secrets are not read
}

// Template is the prefix of the creation template by which ECR creates the repository
// of the plan at the push; "" where there is none.
func (p *Plan) Template() string { return p.template }

// Candidate is an image that is going to run.
type Candidate struct {
	URI       string     // as the task definition names it; empty leaves the image that is there
	Digests   []string   // every digest that stands for it; empty while not known
	Platforms []Platform // empty while not known
	Stored    *Stored    // nil where it is not in ECR, or not yet
}

// ServicePlan is what is going to happen to one service.
type ServicePlan struct {
	Name       Service
	Service    ecs.Service
	Controller rollout.Controller // nil for a service that cannot be deployed
	Other      rollout.Deployment // that is in progress there, or nil
	Good       string             // ARN of the revision that it has reached, or would go back to; empty where that is not known
	Running    taskdef.Definition // the revision that the service is set to
	Lineage    Lineage            // what the new revision is made from
	Image      *Candidate         // its own image (input image: current), or nil
	Container  string             // gets the image
	Alike      []string           // further containers that get the same image
	Target     taskdef.Definition // what is to run
	Known      []taskdef.Definition
	PassedOver []PassedOver      // command rollback: revisions that are none to go back to
	Back       bool              // it is to be rolled back from Target to Running
	Cleared    bool              // another deployment was stopped for ours to take its place
	Smoke      *SmokePlan        // nil where there is none
	Secrets    map[string]string // versions of the secrets that the target's containers read, by their sources, as far as they are known
	// SecretsChanged are the sources whose secret has another version than when the
	// running revision was registered.
	SecretsChanged []string
	SecretsIgnored bool                 // no deployment is started for them
	TagChanges     []taskdef.Difference // of which tags the service's tasks get
	Before         bool                 // the older build of this run was deployed to the service before, with success
	Earlier        []taskdef.Definition // of the pipeline, with the image that infrastructure registered again and the service runs
}

// plan reads what the request names and checks that it fits together. All that is
// wrong is reported at once; the plan is then as far as it came.
func (d *Deployer) plan(ctx context.Context, r Request) (*Plan, error) {
	p := &Plan{Request: r, Services: make([]ServicePlan, len(r.Services)), Further: map[string]Candidate{}}
	var (
		wait      sync.WaitGroup
		imageErr  error
		furtherBy = slices.Sorted(maps.Keys(r.Images))
		further   = make([]Candidate, len(furtherBy))
		errs      = make([]error, len(furtherBy)+len(r.Services))
		library   = newLibrary(d.ECS)
	)
	if d.Secrets != nil && r.Rollout {
		p.secrets = newSecretReader(d.Secrets)
	}
	known := make(chan struct{}) // closed once the repository is
	spawn(&wait, &imageErr, func() error { defer close(known); return d.planImage(ctx, p) })
	if r.Rollout && len(r.Services) > 0 {
		var unread error // a panic: only a warning is missing
		spawn(&wait, &unread, func() error { p.lifecycle = d.readLifecycle(ctx, p, known); return nil })
	}
	if r.Rollout {
		for i, container := range furtherBy {
			spawn(&wait, &errs[i], func() (err error) {
				if ref := r.Images[container]; !r.mayPush(ref) || !waitFor(ctx, known) || !p.pushes(ref) {
					further[i], err = d.inspect(ctx, mistake.FurtherImage, ref)
				}
				return err
			})
		}
		for i, name := range r.Services {
			spawn(&wait, &errs[len(furtherBy)+i], func() (err error) {
				p.Services[i], err = d.readService(ctx, library, name, d.baseOf(ctx, library, r))
				return err
			})
		}
	}
	wait.Wait()
	p.Request = p.withSelf()
	for i, container := range furtherBy {
		if _, others := p.Request.Images[container]; others {
			p.Further[container] = further[i]
		}
	}
	problems := append([]error{imageErr}, errs...)
	if r.alone() {
		s, err := d.readAlone(ctx, library, r.TaskDefinition)
		if err == nil {
			s, err = p.prepareAlone(s, imageErr == nil)
		}
		if err == nil {
			s = d.secretVersions(ctx, p, s, s.Target)
		}
		p.Services = []ServicePlan{s}
		var unread error
		p.Schedules, unread = d.planSchedules(ctx, p)
		if err = distinct(append(problems, err, unread)...); err != nil {
			p.close()
			return p, err
		}
		return p, p.checkGate()
	}
	prepared := make([]error, len(p.Services))
	for i := range p.Services {
		if errs[len(furtherBy)+i] != nil {
			continue // not read
		}
		spawn(&wait, &prepared[i], func() (err error) {
			p.Services[i], err = d.prepare(ctx, p, p.Services[i], imageErr == nil)
			return err
		})
	}
	wait.Wait()
	var unread error
	p.Schedules, unread = d.planSchedules(ctx, p)
	if err := distinct(append(append(problems, prepared...), unread)...); err != nil {
		p.close()
		return p, err
	}
	if err := p.checkGate(); err != nil {
		return nil, err
	}
	p.Expiring = p.expiring(time.Now())
	return p, nil
}

// close removes what a source left in the temporary directory.
func (p *Plan) close() {
	if p.Source != nil {
		p.Source.Close()
	}
}

// readService reads a service, the revision that it is set to, and the revision
// that the next one is to be made from. One reading that fails keeps no other from
// being made that does not need it: all that is wrong is told at once.
func (d *Deployer) readService(ctx context.Context, library *library, name Service, base string) (ServicePlan, error) {
	s := ServicePlan{Name: name}
	var err error
	if s, err = d.meetAtRest(ctx, s); err != nil {
		return s, distinct(err, d.wrongRevisions(ctx, library, s, base))
	}
	// The newest revision of the family is mostly the one that runs: then this
	// reading is all. Where it cannot be read, whoever needs it says so.
	family, _, _ := strings.Cut(ecs.ShortARN(s.Service.TaskDefinition), ":")
	_, _ = library.newest(ctx, family)
	if s.Running, err = library.definition(ctx, s.Service.TaskDefinition); err != nil {
		return s, distinct(err, d.wrongRevisions(ctx, library, s, base))
	}
	if s.Lineage, err = d.trace(ctx, library, s, base); err != nil {
		return s, err
	}
	s.Known = []taskdef.Definition{s.Running}
	if s.Lineage.registered() {
		s.Known = append(s.Known, s.Lineage.Base)
	}
	// A revision made from another base than the newest one, or from a file, may
	// have been registered by an earlier run of this step: then it is the newest.
	newest, err := library.newest(ctx, s.Lineage.Base.Family())
	switch {
	case err == nil:
		s.Known = append(s.Known, newest)
	case mistake.Absent(err): // the first revision of a family from a file
	default:
		return s, err
	}
	return s, nil
}

// wrongRevisions reports what is wrong, beside what was found, with the revisions that a
// service runs and that the next is to be made from: mistakes, and rights that are
// missing. Any other failure would only repeat the one that was found.
func (d *Deployer) wrongRevisions(ctx context.Context, library *library, s ServicePlan, base string) error {
	var errs []error
	if s.Service.TaskDefinition != "" {
		_, err := library.definition(ctx, s.Service.TaskDefinition)
		errs = append(errs, err)
	}
	switch {
	case base == "" || base == "latest" || base == "running": // belongs to the service
	case strings.HasPrefix(base, "arn:"):
		_, err := library.definition(ctx, base)
		errs = append(errs, err)
	default:
		_, err := d.fileOrRevision(ctx, library, base)
		errs = append(errs, err)
	}
	var all []error
	for _, err := range mistake.Each(errors.Join(errs...)) {
		if _, wrong := errors.AsType[*mistake.Error](err); wrong || ecs.Classify(err) == ecs.Denied {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// distinct joins errors, and leaves out those that say the same as one before.
func distinct(errs ...error) error {
	var all []error
	said := map[string]bool{}
	for _, err := range mistake.Each(errors.Join(errs...)) {
		if !said[err.Error()] {
			said[err.Error()] = true
			all = append(all, err)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// meetAtRest is meet, with the revision that the service has reached. Both questions
// are asked at once, so that they share their readings.
func (d *Deployer) meetAtRest(ctx context.Context, s ServicePlan) (ServicePlan, error) {
	s, err := d.find(ctx, s)
	if err != nil {
		return s, err
	}
	var (
		wait       sync.WaitGroup
		busy, last error
	)
	spawn(&wait, &busy, func() (err error) { s.Other, err = s.Controller.InFlight(ctx); return err })
	good := ""
	spawn(&wait, &last, func() (err error) { good, err = s.Controller.LastGood(ctx); return err })
	wait.Wait()
	s.Good = good
	if passable(busy) {
		busy = nil
	}
	if passable(last) {
		last = nil
	}
	return s, distinct(busy, last)
}

// meet reads a service, finds who deploys it, and what is in progress there.
func (d *Deployer) meet(ctx context.Context, s ServicePlan) (ServicePlan, error) {
	s, err := d.find(ctx, s)
	if err != nil {
		return s, err
	}
	s.Other, err = s.Controller.InFlight(ctx)
	if err != nil && !passable(err) {
		return s, err
	}
	return s, nil
}

// find reads a service and finds who deploys it.
func (d *Deployer) find(ctx context.Context, s ServicePlan) (ServicePlan, error) {
	service, err := d.ECS.Service(ctx, s.Name.Cluster, s.Name.Name)
	if err != nil {
		return s, err
	}
	s.Service = service
	if service.Deleted() {
		return s, &mistake.Error{Kind: mistake.Service, Absent: true, Advice: "create the service again, or name the one that replaced it",
			Text: fmt.Sprintf("service %s in cluster %s is %s; an ACTIVE service was expected", s.Name.Name, s.Name.Cluster, service.Status)}
	}
	if s.Controller, err = d.Rollouts.Controller(ctx, service); err != nil {
		return s, err
	}
	if service.TaskDefinition == "" {
		return s, mistake.New(mistake.Service, "see the service in the ECS console",
			"ECS names no task definition for service %s, neither for the service nor for its PRIMARY deployment", s.Name.Name)
	}
	return s, nil
}

// passable reports whether an error of a reading that only completes the picture
// is one to go on with: the right to read may be missing.
func passable(err error) bool {
	switch ecs.Classify(err) {
	case ecs.Denied, ecs.Unsupported, ecs.Gone:
		return true
	}
	return false
}

// prepare makes the target of a service, and checks that the service can run it.
// Where the image of the run is not known, since something is wrong with it, as
// much is checked as does not depend on it.
func (d *Deployer) prepare(ctx context.Context, p *Plan, s ServicePlan, imageKnown bool) (ServicePlan, error) {
	s, err := p.chooseContainer(s)
	if err == nil && p.Request.Image == Current {
		s, err = d.current(ctx, s)
	}
	s, unknown := d.registeredAgain(ctx, p, s)
	s, unread := d.deployedBefore(ctx, p, s)
	fitted, misfit := p.fit(s, imageKnown && err == nil)
	if fitted.Target.Family() != "" && misfit == nil {
		// Whose turn it is may depend on a secret that changed.
		fitted, misfit = p.fit(d.secretVersions(ctx, p, s, fitted.Target), true)
	}
	fitted, untestable := d.planSmoke(ctx, p.Request, fitted)
	fitted.TagChanges = p.Request.TaskTags.differences(fitted.Service.TaskTags())
	return fitted, errors.Join(err, unknown, unread, misfit, untestable)
}

// fit revises the task definition of a service, and checks that the service can
// run the result.
func (p *Plan) fit(s ServicePlan, imageKnown bool) (ServicePlan, error) {
	r := p.Request
	problems := append(s.Controller.Unsupported(rollout.Change{DesiredCount: r.DesiredCount, Force: r.Force}), p.twoImages(s), p.checkSize(s))
	target, err := p.revise(s, p.imageFor(s))
	mistakes := s.Name.mistakes(err)
	if !imageKnown { // nor is the container then, perhaps
		mistakes = slices.DeleteFunc(mistakes, func(err error) bool { return mistake.Is(err, mistake.Container) })
	}
	definition := s.Lineage.Base
	if len(mistakes) == 0 && imageKnown {
		s.Target = target
		definition = target
		problems = append(problems, p.checkTurn(s), p.inconsistent(s))
	}
	return s, errors.Join(slices.Concat(problems, mistakes, check(s.Service, s.Running, definition, p.platforms(s)))...)
}

// platforms are, by container, those of its new image where they are known.
func (p *Plan) platforms(s ServicePlan) map[string][]Platform {
	platforms := map[string][]Platform{}
	for _, container := range append([]string{s.Container}, s.Alike...) {
		platforms[container] = p.imageFor(s).Platforms
	}
	for container, c := range p.Further {
		platforms[container] = c.Platforms
	}
	return platforms
}

// inconsistent refuses a target whose parts contradict each other, where the base did
// not: what ECS has registered it took.
func (p *Plan) inconsistent(s ServicePlan) error {
	taken := s.Lineage.Base
	if !s.Lineage.registered() {
		taken = s.Lineage.Ours
	}
	if taken.ARN() != "" && taken.Inconsistent() != nil {
		return nil
	}
	if !s.Lineage.registered() && s.Target.TooLarge() {
		return errors.Join(s.Name.mistakes(mistake.New(mistake.TaskDefinition, "keep large values in Parameter Store or Secrets Manager, and name them in secrets",
			"the revised task definition has more characters than ECS takes, which is %d", taskdef.MaxSize))...)
	}
	var all []error
	for _, one := range s.Name.mistakes(s.Target.Inconsistent()) {
		if m, is := errors.AsType[*mistake.Error](one); is {
			named := *m
			switch {
			case p.Request.Change.Memory != "" && strings.Contains(m.Text, "memory"):
				named.Kind = mistake.Memory
			case p.Request.Change.CPU != "" && strings.Contains(m.Text, "CPU units"):
				named.Kind = mistake.CPU
			}
			one = &named
		}
		all = append(all, one)
	}
	return errors.Join(all...)
}

// mistakes puts the service's name before what was joined into err.
func (s Service) mistakes(err error) []error {
	var all []error
	if s == (Service{}) { // a revision alone
		return mistake.Each(err)
	}
	for _, one := range mistake.Each(err) {
		if m, ok := errors.AsType[*mistake.Error](one); ok {
			named := *m
			named.Text = "service " + s.Name + ": " + m.Text
			all = append(all, &named)
		} else {
			all = append(all, fmt.Errorf("service %s: %w", s.Name, one))
		}
	}
	return all
}

// twoImages refuses an image for the container that gets the image of the run.
func (p *Plan) twoImages(s ServicePlan) error {
	further := p.Request.Images[s.Container]
	if further == "" || p.imageFor(s).URI == "" {
		return nil
	}
	return mistake.New(mistake.FurtherImage, fmt.Sprintf("leave %s out of images, or name in container the one that gets the image", s.Container),
		"service %s: container %s already gets the image of this run, %s, and cannot get %s as well", s.Name.Name, s.Container, p.imageFor(s).URI, further)
}

// chooseContainer finds the container that gets the image. Where no image is
// given, the container only serves the overrides that name none, so ambiguity is
// left for those to meet.
func (p *Plan) chooseContainer(s ServicePlan) (ServicePlan, error) {
	r := p.Request
	repository := r.Repository
	if p.Repository != nil {
		repository = p.Repository.URI
	} else if repository == "" {
		repository, _ = taskdef.SplitImage(p.Image.URI)
	}
	containers, err := s.Lineage.Base.ChooseContainers(r.Containers, repository)
	if len(containers) == 0 {
		containers = r.Containers
	}
	if len(containers) > 0 {
		s.Container, s.Alike = containers[0], slices.Concat(containers[1:], r.Change.ImageContainers)
	}
	if p.Image.URI == "" && r.Image != Current && len(r.Containers) == 0 {
		return s, nil
	}
	return s, errors.Join(s.Name.mistakes(err)...)
}

// imageFor is the image that the service's container is to run.
func (p *Plan) imageFor(s ServicePlan) Candidate {
	if s.Image != nil {
		return *s.Image
	}
	return p.Image
}

// origin says which build the revisions of this run come from. The tag of an image
// is no build: v1.10.0 may be older than v1.9.0. Of the image that a service runs
// already it is not known here which build made it.
func (p *Plan) origin() taskdef.Provenance {
	o := p.Request.Origin
	if p.Request.Image == Current {
		o.BuildID, o.Commit = "", ""
	}
	return o
}

// originOf is the origin of a revision with an image, its tag beside the build.
func (p *Plan) originOf(c Candidate) taskdef.Provenance {
	o := p.origin()
	o.Tag = tagOf(c.URI)
	if byDigest(c.URI) && (p.Request.Push || p.Request.Image == "") { // pinDigest
		o.Tag = first(p.Request.Tags)
	}
	return o
}

// tagOf is the tag of an image; empty where the image is named by its digest, or by
// nothing.
func tagOf(uri string) string {
	if byDigest(uri) {
		return ""
	}
	_, tag := taskdef.SplitImage(uri)
	return tag
}

// byDigest reports whether an image reference names its image by digest.
func byDigest(uri string) bool { return strings.Contains(uri, "@") }

// revise makes what a service is to run with the given image.
func (p *Plan) revise(s ServicePlan, c Candidate) (taskdef.Definition, error) {
	change := p.Request.Change
	change.DefaultContainer, change.ImageContainers = s.Container, s.Alike
	change.Images = map[string]string{}
	maps.Copy(change.Images, p.Request.Images)
	if c.URI != "" {
		change.Images[""] = c.URI // of the application's container
	}
	return s.Lineage.Base.Revise(change)
}

// Registered returns the ARN of a registered revision that already is the target:
// running a step again registers nothing twice.
func (s ServicePlan) Registered() string {
	for _, k := range s.Known {
		if !k.Deregistered() && taskdef.Equal(k, s.Target) && !s.outdated(k.ChangedSecrets(s.Secrets)) {
			return k.ARN()
		}
	}
	return ""
}

// outline is the result as far as the plan knows it.
func (p *Plan) outline() Result {
	chosen := p.Image
	if len(p.Services) > 0 {
		chosen = p.imageFor(p.Services[0])
	}
	r := Result{Image: Image{URI: chosen.URI}}
	if len(chosen.Digests) > 0 {
		r.Image.Digest = chosen.Digests[0]
	}
	if p.Source != nil {
		r.Image.Source = p.Source.Describe().Ref
	}
	for _, s := range p.Services {
		r.Services = append(r.Services, s.outline())
	}
	r.Schedules = outlines(p.Schedules)
	return r
}

func (s ServicePlan) outline() ServiceResult {
	out := ServiceResult{
		Service:       s.Name,
		Asked:         s.Back,
		ARN:           s.Service.ARN,
		Container:     s.Container,
		Previous:      s.Running.ARN(),
		PreviousImage: s.Running.Image(s.Container),
		Changes:       append(taskdef.Diff(s.Running, s.Target), s.TagChanges...),
		Secrets:       s.SecretsChanged,
		Desired:       s.Service.Desired,
	}
	if s.Controller != nil {
		out.Controller = s.Controller.Name()
	}
	out.LogGroup, out.LogRegion = s.Target.LogGroup(s.Container)
	return out
}

// showPlan shows the plan in a section of its own.
func (d *Deployer) showPlan(p *Plan, l limit) {
	defer d.View.Section(Section{Kind: PlanSection, DryRun: p.Request.DryRun})()
	d.View.Show(PlanMade{Plan: p, Limit: l.forward(), Rollback: l.rollback})
}
