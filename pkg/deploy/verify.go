package deploy

// The command verify: every reading and check that a deployment would make, and
// nothing else. What is wrong does not end it, so that one run shows all of it. A
// thing that the pipeline makes only later, as the image, is left open and not wrong.

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
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/resource"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/schedule"
	"ecsdeploy/pkg/taskdef"
)

// Check is one thing that was looked at.
type Check struct {
	Service Service // zero where it belongs to none
	Kind    CheckKind
	Name    string // what was looked at: an ARN, a name, a reference
	State   CheckState
	Err     error // why it is wrong, or open
}

// CheckState is what a check found.
type CheckState string

// The states.
const (
	Right CheckState = "right"
	Wrong CheckState = "wrong" // a deployment would fail
	Open  CheckState = "open"  // it cannot be told now
	Noted CheckState = "noted" // it cannot be read at all; what to look at is said
)

// CheckKind is what was looked at.
type CheckKind string

// The kinds.
const (
	IdentityCheck   CheckKind = "identity"
	RepositoryCheck CheckKind = "repository"
	LayersCheck     CheckKind = "layers"     // the registry's token, and which layers are there
	SourceCheck     CheckKind = "source"     // the image to push
	ImageCheck      CheckKind = "image"      // that is to run
	ServiceCheck    CheckKind = "service"    // and who deploys it
	HistoryCheck    CheckKind = "history"    // its earlier deployments
	TasksCheck      CheckKind = "tasks"      // that run
	BaseCheck       CheckKind = "base"       // what the revision is made from
	RevisionCheck   CheckKind = "revision"   // that would be registered
	RoleCheck       CheckKind = "role"       // of the task
	SecretCheck     CheckKind = "secret"     // of a container
	LogGroupCheck   CheckKind = "logGroup"   // of a container
	ScanCheck       CheckKind = "scan"       // of the image, by the gate on it
	NetworkCheck    CheckKind = "network"    // by which tasks pull images and read secrets
	ScheduleCheck   CheckKind = "schedule"   // or rule, that follows
	PermissionCheck CheckKind = "permission" // to change something
)

// Permission is a right that the run needs and that cannot be tried without effect:
// it is missing, or not known to be there.
type Permission struct {
	Actions   []string
	Resources []string
	Missing   bool // IAM says that it is
}

func (p *Permission) Error() string {
	return fmt.Sprintf("needs %s on %s", strings.Join(p.Actions, ", "), strings.Join(p.Resources, ", "))
}

// Resources says whether things outside of ECS exist. An error that is a mistake
// says that one does not, or cannot be used; any other, that it is not known.
type Resources interface {
	// Role returns the ARN of a role that is given by its name or ARN, where it is known.
	Role(ctx context.Context, role string) (arn string, err error)
	Secret(ctx context.Context, valueFrom string) error
	LogGroup(ctx context.Context, region, name string) error
	// Denied names the rights that an identity lacks, and those of which IAM cannot
	// tell. The error says that nothing is known.
	Denied(ctx context.Context, q resource.Question) (denied, unclear []resource.Right, err error)
}

// checks collects what was found. It is the view of the parts of the plan that
// report by an event what they could not check.
type checks struct {
	mu  sync.Mutex
	all []Check
}

// add notes a finding: right where there is no error.
func (c *checks) add(s Service, kind CheckKind, name string, err error) bool {
	state := Right
	if err != nil {
		state = Wrong
	}
	c.put(Check{s, kind, name, state, err})
	return err == nil
}

// open notes what cannot be told now; nil is right.
func (c *checks) open(s Service, kind CheckKind, name string, why error) {
	state := Right
	if why != nil {
		state = Open
	}
	c.put(Check{s, kind, name, state, why})
}

// put notes a finding, unless it is the same as one before: services share what is
// wrong with their task definition.
func (c *checks) put(one Check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one.Err != nil && slices.ContainsFunc(c.all, func(other Check) bool {
		return other.Err != nil && other.Kind == one.Kind && other.Name == one.Name && other.Err.Error() == one.Err.Error()
	}) {
		return
	}
	c.all = append(c.all, one)
}

// Section implements [View]: checks have no sections.
func (c *checks) Section(Section) func() { return func() {} }

// Progress implements [View].
func (c *checks) Progress(int, Phase) {}

// Show implements [View]: what the plan could not check is open.
func (c *checks) Show(event any) {
	if e, is := event.(ImageUnchecked); is {
		c.open(Service{}, ImageCheck, e.Image, e.Err)
	}
}

// Verify makes every reading and check of the request, and changes nothing. The
// error is that of the context only: whatever is wrong is among the checks.
func (d *Deployer) Verify(ctx context.Context, r Request, resources Resources, identity, region string) (Result, error) {
	found := &checks{}
	v := &verifier{
		Deployer: d.shownOn(found), checks: found, resources: resources, library: newLibrary(d.ECS),
		asked: map[string]bool{}, roles: map[string]string{}, identity: identity, region: region,
	}
	found.add(Service{}, IdentityCheck, identity+" in "+region, nil)
	r.WhenBusy, r.AllowOlderBuild = Wait, true // it is not this run that deploys
	p := &Plan{Request: r, Services: make([]ServicePlan, len(r.Services)), Further: map[string]Candidate{}}
	defer p.close()
	imageKnown := v.image(ctx, p)
	v.scans(ctx, p)
	if r.Rollout {
		v.further(ctx, p)
	}
	for i, name := range r.Services {
		p.Services[i] = v.service(ctx, p, name, imageKnown)
	}
	if r.alone() {
		v.alone(ctx, p, imageKnown)
	}
	v.ahead(p, imageKnown)
	v.schedules(ctx, p)
	v.permissions(ctx, p)
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	return Result{DryRun: true, Checks: found.all}, nil
}

// shownOn is the deployer with another view.
func (d *Deployer) shownOn(v View) *Deployer {
	other := *d
	other.View = v
	return &other
}

// verifier makes the checks of one run.
type verifier struct {
	*Deployer
	*checks
	resources Resources
	library   *library
	asked     map[string]bool   // what was asked of resources already
	roles     map[string]string // the ARNs of roles, by how a definition names them
	identity  string            // ARN of whoever asks
	region    string
	scanning  []right // for the gate on the image
}

// image checks where the image comes from and where it goes. It reports whether the
// image is known well enough to make a revision with it.
func (v *verifier) image(ctx context.Context, p *Plan) (known bool) {
	r := p.Request
	known = true
	if r.Repository != "" {
		known = v.repository(ctx, p)
	}
	switch {
	case r.Push:
		v.source(ctx, p)
	case r.Image == Current, r.Image == "" && p.Repository == nil:
	case r.Image != "":
		c, err := v.inspect(ctx, mistake.Image, r.Image)
		p.Image, known = c, v.found(r.Image, err)
	case p.Repository != nil:
		uri := p.Image.URI
		c, err := v.inECR(ctx, *p.Repository, r.Tags[0])
		if _, missing := errors.AsType[*ecr.ImageNotFoundError](err); missing {
			v.open(Service{}, ImageCheck, uri, about(mistake.Tag, r.otherBuild(err)))
		} else if known = v.add(Service{}, ImageCheck, uri, about(mistake.Tag, err)); known {
			p.Image = c
		}
	}
	return known
}

// scans checks that the gate on the image can be passed, as far as that is known
// before a scan: findings are left to the run.
func (v *verifier) scans(ctx context.Context, p *Plan) {
	repository := p.Repository
	if p.Image.Stored != nil {
		repository = &p.Image.Stored.Repository
	}
	if p.Request.FailOn == "" || repository == nil {
		return
	}
	automatic, err := v.ECR.StartsScans(ctx, *repository)
	if err != nil {
		v.open(Service{}, ScanCheck, repository.URI, err)
	}
	needs := func(action string) {
		v.scanning = append(v.scanning, right{actions: []string{action}, resources: []string{repository.ARN}})
	}
	if p.Image.Stored == nil { // it is pushed later
		needs("ecr:DescribeImageScanFindings")
		if !automatic {
			needs("ecr:StartImageScan")
		}
		return
	}
	starts := false
	defer func() {
		if starts && !automatic {
			needs("ecr:StartImageScan")
		}
	}()
	for _, one := range p.Image.Stored.Images {
		scan, err := v.ECR.Scan(ctx, p.Image.Stored.Repository, one.Digest)
		starts = starts || err == nil && scan.State() == ecr.ScanMissing
		if err == nil && scan.State() == ecr.ScanImpossible {
			w := newScanWatch(p.Image.Stored.Repository, ScannedImage{URI: p.Image.URI, Platform: one.Platform})
			w.scan = scan
			err = w.unscanned(impossible(scan))
		}
		v.add(Service{}, ScanCheck, strings.TrimSpace(p.Image.URI+" "+one.Platform), err)
	}
}

// ahead makes the checks of a plan that are about no single thing: whether there is an
// image for the gate to wait for, and a container for the migration to run in.
func (v *verifier) ahead(p *Plan, imageKnown bool) {
	r := p.Request
	// An image of the repository that is not there is pushed later.
	if r.Rollout && imageKnown && (r.Image != "" || r.Repository == "") {
		if err := p.checkGate(); err != nil {
			v.add(Service{}, ScanCheck, cmp.Or(r.Image, "image"), err)
		}
	}
	if len(p.Services) > 0 && p.Services[0].Lineage.Base.Family() != "" {
		if err := p.checkMigration(); err != nil {
			v.add(p.Services[0].Name, RevisionCheck, p.Services[0].Lineage.Base.Family(), err)
		}
	}
}

// repository checks the repository, and that its layers can be asked about.
func (v *verifier) repository(ctx context.Context, p *Plan) (known bool) {
	r := p.Request
	repository, err := v.ECR.Repository(ctx, r.Repository)
	if r.Push {
		p.Signing = v.readSigning(ctx, r.Repository)
	}
	if absent, missing := errors.AsType[*ecr.NotFoundError](err); missing && r.CreateRepository {
		if wrong := r.checkCreation(absent); wrong != nil {
			return v.add(Service{}, RepositoryCheck, r.Repository, wrong)
		}
		v.open(Service{}, RepositoryCheck, r.Repository, errors.New("it does not exist yet; the run creates it (createRepository)"))
		p.Image.URI = r.Repository + ":" + first(r.Tags)
		return true
	}
	if !v.add(Service{}, RepositoryCheck, r.Repository, about(mistake.Repository, err)) {
		return false
	}
	p.Repository = &repository
	p.Image.URI = repository.URI + ":" + first(r.Tags)
	_, err = v.ECR.Authenticator(ctx, repository).Authorization()
	dispensable := !r.Push // a rollout does without the platform of the image
	if err == nil && r.Push {
		_, err = v.ECR.CheckLayers(ctx, repository, []string{noLayer})
		dispensable = true // layers are uploaded again
	}
	if err != nil && dispensable && passable(err) {
		v.open(Service{}, LayersCheck, repository.URI, err)
	} else {
		v.add(Service{}, LayersCheck, repository.URI, err)
	}
	return true
}

// noLayer is a digest that no layer has.
var noLayer = "sha256:" + strings.Repeat("0", 64)

// found notes an image that was looked at. One that could not be is open already, and
// not right.
func (v *verifier) found(ref string, err error) bool {
	open := func(c Check) bool { return c.Kind == ImageCheck && c.Name == ref && c.State == Open }
	v.mu.Lock()
	unknown := slices.ContainsFunc(v.all, open)
	v.mu.Unlock()
	if err == nil && unknown {
		return true
	}
	return v.add(Service{}, ImageCheck, ref, err)
}

// source checks the image to push. One that is not there yet is built later.
func (v *verifier) source(ctx context.Context, p *Plan) {
	opened, err := source.Open(ctx, p.Request.Image, v.Images)
	if err != nil {
		v.open(Service{}, SourceCheck, p.Request.Image, about(mistake.Image, err))
		return
	}
	p.Source = opened
	p.Image.Platforms = platforms(opened.Describe().Platforms)
	v.add(Service{}, SourceCheck, p.Request.Image, nil)
	if p.Repository == nil {
		return
	}
	// A tag that has another image already, and cannot be moved, fails the push.
	_, err = push.Check(ctx, opened, v.target(ctx, *p.Repository, p.Request.Tags))
	switch {
	case err == nil:
	case passable(err):
		v.open(Service{}, ImageCheck, p.Image.URI, err)
	default:
		v.add(Service{}, ImageCheck, p.Image.URI, about(mistake.Tag, err))
	}
}

// further checks the images of further containers.
func (v *verifier) further(ctx context.Context, p *Plan) {
	p.Request = p.withSelf()
	for _, container := range slices.Sorted(maps.Keys(p.Request.Images)) {
		ref := p.Request.Images[container]
		c, err := v.inspect(ctx, mistake.FurtherImage, ref)
		v.found(ref, err)
		p.Further[container] = c
	}
}

// service checks a service, and the revision that it would get.
func (v *verifier) service(ctx context.Context, p *Plan, name Service, imageKnown bool) ServicePlan {
	base := p.Request.TaskDefinition
	s, err := v.meet(ctx, ServicePlan{Name: name})
	if !v.each(name, ServiceCheck, name.String(), err) {
		v.wrongBases(ctx, s, base)
		return s
	}
	v.history(ctx, &s)
	v.tasks(ctx, s)
	if s.Running, err = v.library.definition(ctx, s.Service.TaskDefinition); err != nil {
		v.wrongBases(ctx, s, base)
		return s
	}
	v.add(name, BaseCheck, ecs.ShortARN(s.Service.TaskDefinition), nil)
	if s.Lineage, err = v.trace(ctx, v.library, s, v.baseOf(ctx, v.library, p.Request)); !v.each(name, BaseCheck, base, err) {
		return s
	}
	s.Known = []taskdef.Definition{s.Running, s.Lineage.Base}
	s, err = v.prepare(ctx, p, s, imageKnown)
	v.revision(ctx, s, err)
	return s
}

// each notes every error that was joined into err; it reports whether there is none,
// for which it notes nothing.
func (v *verifier) each(s Service, kind CheckKind, name string, err error) bool {
	for _, one := range mistake.Each(err) {
		v.add(s, kind, name, one)
	}
	if err == nil && kind == ServiceCheck {
		v.add(s, kind, name, nil)
	}
	return err == nil
}

// wrongBases notes what is wrong with the revisions that a service runs and that the
// next is to be made from, where the service itself cannot be judged.
func (v *verifier) wrongBases(ctx context.Context, s ServicePlan, base string) {
	for _, one := range mistake.Each(v.wrongRevisions(ctx, v.library, s, base)) {
		v.add(s.Name, BaseCheck, base, one)
	}
}

// history checks that earlier deployments can be read.
func (v *verifier) history(ctx context.Context, s *ServicePlan) {
	var err error
	s.Good, err = s.Controller.LastGood(ctx)
	for _, history := range s.Controller.Successes(ctx) {
		err = distinct(err, history)
		break // the first page shows whether it can be read
	}
	if err == nil {
		v.add(s.Name, HistoryCheck, "", nil)
	}
	for _, one := range mistake.Each(err) {
		if passable(one) {
			v.open(s.Name, HistoryCheck, "", one)
		} else {
			v.add(s.Name, HistoryCheck, "", one)
		}
	}
}

// tasks checks that the running tasks can be read, by which a run proves its end.
func (v *verifier) tasks(ctx context.Context, s ServicePlan) {
	now := rollout.Snapshot{Service: s.Service, Revision: s.Service.TaskDefinition, ID: s.Service.Primary().ID}
	proof := v.Rollouts.Prove(ctx, now, nil)
	v.open(s.Name, TasksCheck, "", proof.TasksErr)
}

// alone checks the revision of a run that deploys to no service.
func (v *verifier) alone(ctx context.Context, p *Plan, imageKnown bool) {
	s, err := v.readAlone(ctx, v.library, p.Request.TaskDefinition)
	if !v.add(Service{}, BaseCheck, p.Request.TaskDefinition, err) {
		return
	}
	s, err = p.prepareAlone(s, imageKnown)
	v.revision(ctx, s, err)
	p.Services = []ServicePlan{s}
}

// schedules checks the rules and schedules that are to follow, each on its own.
func (v *verifier) schedules(ctx context.Context, p *Plan) {
	if p.Request.AllSchedules {
		found, err := v.planSchedules(ctx, p)
		v.add(Service{}, ScheduleCheck, "all", err)
		p.Schedules = found
		return
	}
	for _, r := range p.Request.Schedules {
		one := *p
		one.Request.Schedules = []schedule.Ref{r}
		found, err := v.planSchedules(ctx, &one)
		v.add(Service{}, ScheduleCheck, r.String(), err)
		p.Schedules = append(p.Schedules, found...)
	}
}

// revision notes what was found of the revision that would be registered, and looks
// for what it names.
func (v *verifier) revision(ctx context.Context, s ServicePlan, err error) {
	for _, one := range mistake.Each(err) {
		v.add(s.Name, RevisionCheck, s.Lineage.Base.Family(), one)
	}
	if err == nil {
		v.add(s.Name, RevisionCheck, s.Lineage.Base.Family(), nil)
	}
	needs := s.makes().Needs()
	for _, role := range needs.Roles {
		v.exists(s.Name, RoleCheck, role, func() (err error) {
			v.roles[role], err = v.resources.Role(ctx, role)
			return err
		})
	}
	for _, secret := range needs.Secrets {
		v.exists(s.Name, SecretCheck, secret, func() error { return v.resources.Secret(ctx, secret) })
	}
	for _, group := range needs.LogGroups {
		v.exists(s.Name, LogGroupCheck, group.Name, func() error { return v.resources.LogGroup(ctx, group.Region, group.Name) })
	}
	v.network(s)
}

// makes is the revision that would be registered, or where that is not known what
// it is made from.
func (s ServicePlan) makes() taskdef.Definition {
	if s.Target.Family() != "" {
		return s.Target
	}
	return s.Lineage.Base
}

// exists notes whether something exists. Whoever may not ask leaves it open.
func (v *verifier) exists(s Service, kind CheckKind, name string, ask func() error) {
	if key := string(kind) + " " + name; v.asked[key] { // services share what they need
		return
	} else {
		v.asked[key] = true
	}
	err := ask()
	if m, wrong := errors.AsType[*mistake.Error](err); wrong {
		if kind == SecretCheck {
			named := *m
			named.Kind = mistake.Secret
			err = &named
		}
		v.add(s, kind, name, err)
		return
	}
	v.open(s, kind, name, err)
}
