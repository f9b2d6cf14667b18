package deploy

// The plan: everything that can be known before anything is changed. It is
// data, made by reading only; printing it and stopping there is a dry run.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

type plan struct {
	request    Request
	repository *ecr.Repository      // nil when the request names none, or it is to be created
	source     *image.Image         // what is to be pushed, or nil
	state      *image.State         // what the tags hold already; nil where that is not known
	image      candidate            // what the chosen containers will run
	further    map[string]candidate // by container: the images of the input images
	services   []*servicePlan
}

// candidate is an image that is going to run.
type candidate struct {
	uri       string             // as the task definition names it; empty leaves the image that is there
	digests   []string           // every digest that stands for it; empty while not known
	platforms []rollout.Platform // empty while not known
}

type servicePlan struct {
	name      Service
	service   rollout.Service
	way       way                  // in which it is deployed
	other     deployment           // that is under way there, or nil
	ended     bool                 // a deployment was stopped for ours to take its place
	running   taskdef.Definition   // the revision that the service is set to
	lineage   lineage              // what the new revision is made from
	image     *candidate           // its own image (input image: current), or nil
	known     []taskdef.Definition // registered revisions that may turn out to be the wanted one
	container string               // gets the image
	target    taskdef.Definition   // what is to run
	back      bool                 // or rather not: its deployment is to be rolled back
}

// plan reads what the request names and checks that it fits together. All
// that is wrong is reported at once.
func (d *Deployer) plan(ctx context.Context, r Request) (*plan, error) {
	p := &plan{request: r, services: make([]*servicePlan, len(r.Services)), further: map[string]candidate{}}
	var (
		wait      sync.WaitGroup
		imageErr  error
		furtherBy = slices.Sorted(maps.Keys(r.Images))
		further   = make([]candidate, len(furtherBy))
		errs      = make([]error, len(furtherBy)+len(r.Services))
	)
	wait.Go(func() { imageErr = d.planImage(ctx, p) })
	if r.Rollout {
		for i, container := range furtherBy {
			wait.Go(func() { further[i], errs[i] = d.inspect(ctx, "images", r.Images[container]) })
		}
		for i, name := range r.Services {
			wait.Go(func() { p.services[i], errs[len(furtherBy)+i] = d.readService(ctx, name, r.TaskDefinition) })
		}
	}
	wait.Wait()
	for i, container := range furtherBy {
		p.further[container] = further[i]
	}
	problems := append([]error{imageErr}, errs...)
	for _, s := range p.services {
		if s != nil { // read
			problems = append(problems, d.prepare(ctx, p, s, imageErr == nil))
		}
	}
	if err := errors.Join(problems...); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close removes what a source left in the temporary directory.
func (p *plan) close() {
	if p.source != nil {
		p.source.Close()
	}
}

// readService reads a service, the revision it is set to, and the revision
// that the next one is to be made from.
func (d *Deployer) readService(ctx context.Context, name Service, base string) (*servicePlan, error) {
	service, err := d.ECS.Service(ctx, name.Cluster, name.Name)
	if err != nil {
		return nil, err
	}
	s := &servicePlan{name: name, service: service}
	if service.TaskDefinition == "" { // only where the controller is EXTERNAL: refused by the checks
		return s, nil
	}
	if err = d.attend(ctx, s); err != nil {
		return nil, err
	}
	if s.running, err = d.ECS.Definition(ctx, service.TaskDefinition); err != nil {
		return nil, err
	}
	if s.lineage, err = d.trace(ctx, s.running, base); err != nil {
		return nil, err
	}
	s.known = []taskdef.Definition{s.running}
	if s.lineage.base.ARN() != "" && s.lineage.merged == "" && s.lineage.note == "" {
		s.known = append(s.known, s.lineage.base)
	}
	// A revision made from another base than the newest one, or from a file, may
	// have been registered by an earlier run of this step: then it is the newest.
	newest, err := d.ECS.Definition(ctx, s.lineage.base.Family())
	var missing *rollout.Problem
	switch {
	case err == nil:
		s.known = append(s.known, newest)
	case errors.As(err, &missing): // the first revision of a family from a file
	default:
		return nil, err
	}
	return s, nil
}

// prepare makes the target of a service, and checks that the service can run it.
// Where the image of the run is not known, since something is wrong with it, as
// much is checked as does not hang on it.
func (d *Deployer) prepare(ctx context.Context, p *plan, s *servicePlan, imageKnown bool) error {
	if s.way == nil { // what nobody can deploy has not been read any further
		return errors.Join(rollout.Check(s.service, s.lineage.base, nil)...)
	}
	err := p.chooseContainer(s)
	if err == nil && p.request.Image == Current {
		err = d.current(ctx, s)
	}
	return errors.Join(err, p.fit(s, imageKnown && err == nil))
}

// fit revises the task definition of a service, and checks that the service can
// run the result.
func (p *plan) fit(s *servicePlan, imageKnown bool) error {
	problems := append(p.impossible(s), p.twoImages(s), p.checkSize(s))
	platforms := map[string][]rollout.Platform{s.container: p.imageFor(s).platforms}
	for container, c := range p.further {
		platforms[container] = c.platforms
	}
	mistakes := s.name.mistakes(p.revise(s, p.imageFor(s)))
	if !imageKnown { // nor is the container then, perhaps
		mistakes = slices.DeleteFunc(mistakes, isAboutContainer)
	}
	definition := s.lineage.base
	if len(mistakes) == 0 && imageKnown {
		definition = s.target
		problems = append(problems, p.checkTurn(s))
	}
	return errors.Join(slices.Concat(problems, mistakes, rollout.Check(s.service, definition, platforms))...)
}

// mistakes puts into words, with the service's name, what package taskdef has
// joined into err.
func (s Service) mistakes(err error) []error {
	var all []error
	for _, one := range joined(err) {
		if m, ok := errors.AsType[*mistake.Error](one); ok {
			all = append(all, &rollout.Problem{Input: inputOf[m.Kind], Message: "service " + s.Name + ": " + m.Text, Advice: m.Hint()})
		} else {
			all = append(all, fmt.Errorf("service %s: %w", s.Name, one))
		}
	}
	return all
}

// inputOf names the input in which a task definition's mistakes of a kind are made.
var inputOf = map[mistake.Kind]string{
	mistake.Container:      "container",
	mistake.FurtherImage:   "images",
	mistake.Variable:       "environment",
	mistake.Removal:        "removeEnvironment",
	mistake.Secret:         "secrets",
	mistake.Command:        "containerCommand",
	mistake.TaskDefinition: "taskDefinition",
}

// named gives the mistakes that were joined into err the names of their inputs.
func named(err error) error {
	var all []error
	for _, one := range mistake.Each(err) {
		if m, ok := errors.AsType[*mistake.Error](one); ok {
			one = m.In(inputOf[m.Kind])
		}
		all = append(all, one)
	}
	return errors.Join(all...)
}

func isAboutContainer(err error) bool {
	p, ok := errors.AsType[*rollout.Problem](err)
	return ok && p.Input == "container"
}

// joined returns the errors that were joined into err.
func joined(err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	return []error{err}
}

// twoImages refuses an image for the container that gets the image of the run.
func (p *plan) twoImages(s *servicePlan) error {
	further := p.request.Images[s.container]
	if further == "" || p.imageFor(s).uri == "" {
		return nil
	}
	input := "image"
	if p.request.Image == "" {
		input = "repository"
	}
	return &rollout.Problem{Input: "images",
		Message: fmt.Sprintf("service %s: container %s already gets the image of the input %s, %s, and cannot get %s as well", s.name.Name, s.container, input, p.imageFor(s).uri, further),
		Advice:  fmt.Sprintf("leave %s out of images, or name in container the one that gets the image", s.container)}
}

// impossible returns what is asked of a service that its way to be deployed
// cannot do.
func (p *plan) impossible(s *servicePlan) []error {
	if s.service.Controller != byCodeDeploy {
		return nil
	}
	var problems []error
	if p.request.DesiredCount != nil {
		problems = append(problems, &rollout.Problem{Input: "desiredCount",
			Message: fmt.Sprintf("service %s is deployed by CodeDeploy, which moves it to another revision and leaves its number of tasks as it is", s.name.Name),
			Advice:  "set the number where the service is defined, and leave desiredCount out"})
	}
	if p.request.Force {
		problems = append(problems, &rollout.Problem{Input: "forceNewDeployment",
			Message: fmt.Sprintf("service %s is deployed by CodeDeploy, where UpdateService cannot force a deployment", s.name.Name),
			Advice:  "leave forceNewDeployment out: a revision that differs is deployed without it"})
	}
	return problems
}

// chooseContainer finds the container that gets the image. Where no image is
// given, the container only serves the overrides that name none, so ambiguity
// is left for those to meet.
func (p *plan) chooseContainer(s *servicePlan) error {
	r := p.request
	repository := r.Repository
	if p.repository != nil {
		repository = p.repository.URI
	} else if repository == "" {
		repository, _ = taskdef.SplitImage(p.image.uri)
	}
	container, err := s.lineage.base.ChooseContainer(r.Container, repository)
	s.container = cmp.Or(container, r.Container)
	if p.image.uri == "" && r.Image != Current && r.Container == "" {
		return nil
	}
	return errors.Join(s.name.mistakes(err)...)
}

// imageFor is the image that the service's container is to run.
func (p *plan) imageFor(s *servicePlan) candidate {
	if s.image != nil {
		return *s.image
	}
	return p.image
}

// origin says where revisions of this run come from. The tag of an image is the
// id of the build that made it; an image that was made before this run and has
// none is of no known build.
func (p *plan) origin() taskdef.Provenance {
	o := p.request.Origin
	if len(p.request.Tags) > 0 && p.image.uri != "" {
		o.BuildID = p.request.Tags[0]
	}
	if p.request.Image != "" && !p.request.Push && !byDigest(p.image.uri) {
		o.BuildID = buildOf(p.image.uri)
	}
	return o
}

// buildOf is the build that an image's tag names; empty where the image is
// named by its digest, or by nothing.
func buildOf(uri string) string {
	if byDigest(uri) {
		return ""
	}
	_, tag := taskdef.SplitImage(uri)
	return tag
}

// byDigest reports whether an image reference names its image by digest.
func byDigest(uri string) bool { return strings.Contains(uri, "@") }

// revise makes the target of a service with the given image.
func (p *plan) revise(s *servicePlan, c candidate) error {
	change := p.request.Change
	change.DefaultContainer = s.container
	change.Images = map[string]string{}
	maps.Copy(change.Images, p.request.Images)
	if c.uri != "" {
		change.Images[""] = c.uri // of the application's container
	}
	target, err := s.lineage.base.Revise(change)
	s.target = target
	return err
}

// registered returns the ARN of a registered revision that already is the
// target: running a step again registers nothing twice.
func (s *servicePlan) registered() string {
	for _, k := range s.known {
		if (k.Status() == "ACTIVE" || k.Status() == "") && taskdef.Equal(k, s.target) {
			return k.ARN()
		}
	}
	return ""
}

// outline is the result as far as the plan knows it.
func (p *plan) outline() (Image, []ServiceResult) {
	chosen := p.image
	if len(p.services) > 0 {
		chosen = p.imageFor(p.services[0])
	}
	im := Image{URI: chosen.uri}
	if len(chosen.digests) > 0 {
		im.Digest = chosen.digests[0]
	}
	if p.source != nil {
		im.Source = p.source.Describe().Ref
	}
	services := make([]ServiceResult, len(p.services))
	for i, s := range p.services {
		services[i] = ServiceResult{
			Service:       s.name,
			Back:          s.back,
			ARN:           s.service.ARN,
			Container:     s.container,
			Previous:      s.running.ARN(),
			PreviousImage: s.running.Image(s.container),
			Changes:       taskdef.Diff(s.running, s.target),
			Desired:       s.service.Desired,
		}
	}
	return im, services
}
