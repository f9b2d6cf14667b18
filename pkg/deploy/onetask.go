package deploy

// One-off tasks: command runTask, and the migration that runs between the phases
// register and start of a rollout. Both take the network and the capacity of a
// service.

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/runtask"
	"ecsdeploy/pkg/taskdef"
)

// Tasks is who runs one-off tasks.
type Tasks interface {
	Run(ctx context.Context, q runtask.Request, show func(event any)) (runtask.Result, error)
}

// TaskResult is what came of a one-off task.
type TaskResult struct {
	runtask.Result
	Service   Service // whose network it had
	ARN       string  // of the service
	Revision  string  // ARN of the revision that it ran
	Migration bool    // it ran before a rollout
	Limit     time.Duration
}

// Failed reports whether the task did not do what it was run for.
func (t *TaskResult) Failed() bool {
	return t != nil && t.Outcome != runtask.Succeeded && t.Outcome != runtask.Started
}

// NotMigrated is the reason of a service that was not changed because the migration
// before the rollout failed.
const NotMigrated rollout.Code = "notMigrated"

// TaskPlan is a one-off task that is going to run.
type TaskPlan struct {
	ServicePlan
	Image     Candidate
	Overrides runtask.Overrides
	Migration bool
	DryRun    bool
	Parting   time.Duration // see [Request]
}

// RunTask runs one task in the network of the service of the request and returns how
// it ended. A revision is registered only for what ECS takes from nowhere else: the
// image and the secrets. Command, environment and size are overrides.
func (d *Deployer) RunTask(ctx context.Context, r Request) (Result, error) {
	begin := time.Now()
	result, err := d.runTask(ctx, r, begin)
	result.DryRun, result.Took = r.DryRun, time.Since(begin)
	return result, err
}

func (d *Deployer) runTask(ctx context.Context, r Request, begin time.Time) (Result, error) {
	limit := newLimit(r, begin)
	bounded, cancel := limit.context(ctx)
	defer cancel()
	p, task, err := d.planTask(bounded, r)
	if err != nil {
		return Result{}, err
	}
	result := p.outline()
	result.Services = nil
	d.showTask(task)
	if r.DryRun {
		return result, nil
	}
	endRevision := d.View.Section(Section{Kind: RevisionSection})
	t, err := d.register(bounded, p, task.ServicePlan, nil)
	endRevision()
	if err != nil {
		return result, err
	}
	result.Task, err = d.carryOut(ctx, limit, t, task, r.Wait)
	return result, err
}

// showTask shows the plan of a task in a section of its own.
func (d *Deployer) showTask(task TaskPlan) {
	defer d.View.Section(Section{Kind: PlanSection, DryRun: task.DryRun})()
	d.View.Show(TaskPlanned{task})
}

// planTask reads what the task needs and checks that it fits together. All that is
// wrong is reported at once.
func (d *Deployer) planTask(ctx context.Context, r Request) (*Plan, TaskPlan, error) {
	p := &Plan{Request: r, Further: map[string]Candidate{}}
	imageErr := d.planImage(ctx, p)
	library := newLibrary(d.ECS)
	// A task may run of a revision that was only registered, whatever its image.
	s, err := d.readService(ctx, library, r.Services[0], d.newestByName(ctx, library, r.TaskDefinition))
	if err = errors.Join(imageErr, err); err != nil {
		return nil, TaskPlan{}, err
	}
	if s.Container, err = s.Lineage.Base.ChooseContainer(first(r.Containers), p.repositoryName()); err != nil {
		return nil, TaskPlan{}, errors.Join(s.Name.mistakes(err)...)
	}
	if r.Image == Current {
		if s, err = d.current(ctx, s); err != nil {
			return nil, TaskPlan{}, err
		}
	}
	all, err := p.revise(s, p.imageFor(s)) // so that all of the change is checked
	problems := append(s.Name.mistakes(err), p.checkSize(s))
	if have := p.imageFor(s).Platforms; len(have) > 0 {
		problems = append(problems, checkPlatform(s.Service, s.Lineage.Base, s.Container, have))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, TaskPlan{}, err
	}
	task := TaskPlan{Overrides: overrides(r.Change, s, all), DryRun: r.DryRun, Parting: r.Parting}
	p.Request.Change = taskdef.Change{Secrets: r.Change.Secrets}
	if s.Target, err = p.revise(s, p.imageFor(s)); err != nil {
		return nil, TaskPlan{}, errors.Join(s.Name.mistakes(err)...)
	}
	task.ServicePlan, task.Image = s, p.imageFor(s)
	p.Services = []ServicePlan{s}
	return p, task, nil
}

// repositoryName is what the images of the run's repository are named by.
func (p *Plan) repositoryName() string {
	if p.Repository != nil {
		return p.Repository.URI
	}
	name, _ := taskdef.SplitImage(p.Image.URI)
	return name
}

// overrides are those parts of a change that ECS takes with the task. all is the
// definition with the whole change, from which the size is read in ECS's units.
func overrides(change taskdef.Change, s ServicePlan, all taskdef.Definition) runtask.Overrides {
	o := runtask.Overrides{Command: change.Command}
	names := make([]string, 0, 4)
	for _, c := range s.Lineage.Base.Containers() {
		names = append(names, c.Name)
	}
	for _, v := range change.Environment {
		switch {
		case v.Container == "":
			v.Container = s.Container
		case !slices.Contains(names, v.Container): // a name with a colon, as in .NET
			v.Name, v.Container = v.Container+":"+v.Name, s.Container
		}
		o.Environment = append(o.Environment, v)
	}
	cpu, memory := all.Size()
	if change.CPU != "" {
		o.CPU = fmt.Sprintf("%g", cpu)
	}
	if change.Memory != "" {
		o.Memory = fmt.Sprintf("%g", memory)
	}
	return o
}

// carryOut runs the task of a registered revision and follows it.
func (d *Deployer) carryOut(ctx context.Context, l limit, t target, task TaskPlan, wait bool) (*TaskResult, error) {
	section := Section{Kind: TaskSection, Name: t.Name.String(), Migration: task.Migration}
	defer d.View.Section(section)()
	definition, err := d.ECS.Definition(ctx, t.Revision)
	if err != nil {
		return nil, err
	}
	q := runtask.Request{
		Service: t.Service, Definition: definition, Container: t.Container, Overrides: task.Overrides,
		Name: "ecs-deploy", Timeout: l.left(false), Wait: wait, Parting: task.Parting,
	}
	result := &TaskResult{Service: t.Name, ARN: t.Service.ARN, Revision: t.Revision, Migration: task.Migration, Limit: l.forward()}
	result.Result, err = d.Tasks.Run(ctx, q, func(event any) { d.View.Show(TaskHappened{t.Container, event}) })
	if err == nil {
		d.View.Show(TaskEnded{result})
	}
	return result, err
}

// checkMigration refuses a migration of which it is not known in which container it
// is to run.
func (p *Plan) checkMigration() error {
	if len(p.Request.Migration) == 0 || len(p.Services) == 0 {
		return nil
	}
	s := p.Services[0]
	if s.Container != "" {
		return nil
	}
	_, err := s.Lineage.Base.ChooseContainer("", "")
	return errors.Join(s.Name.mistakes(err)...)
}

// MigrationPlan is what a plan knows of the migration of its run.
type MigrationPlan string

// The choices.
const (
	NoMigration        MigrationPlan = ""
	MigrationRuns      MigrationPlan = "runs"
	MigrationDone      MigrationPlan = "done"      // the same one has succeeded for the revision and its image
	MigrationUncertain MigrationPlan = "uncertain" // one has; whether with this image is known once that is pushed
)

// Migration says whether the migration of the run is going to run, and for which
// registered revision one has succeeded. What decides when it is its turn is the
// revision as it is by then.
func (p *Plan) Migration() (plan MigrationPlan, revision string) {
	if len(p.Request.Migration) == 0 || len(p.Services) == 0 {
		return NoMigration, ""
	}
	s := p.Services[0]
	revision = s.Registered()
	i := slices.IndexFunc(s.Known, func(k taskdef.Definition) bool { return k.ARN() == revision })
	im := p.imageFor(s)
	switch {
	case revision == "" || i < 0 || s.Known[i].Migrated() == "":
		return MigrationRuns, ""
	case s.Known[i].Migrated() == migrationRecord(p.Request.Migration, im):
		return MigrationDone, revision
	case p.Source != nil && len(im.Digests) == 0:
		return MigrationUncertain, revision
	}
	return MigrationRuns, ""
}

// migrate runs the migration once for all services, in the network of the first,
// before any of them is changed. The services of the result say where it failed.
// One that has succeeded for the revision and its image is not run again; a tag of the
// revision says so, and not that services run it: they may without any migration.
func (d *Deployer) migrate(ctx context.Context, p *Plan, l limit, targets []target, result Result) (Result, error) {
	t := targets[0]
	record := migrationRecord(p.Request.Migration, t.Image)
	now, err := d.ECS.Fresh(ctx, t.Revision) // its tags change
	if err != nil {
		d.View.Show(Untouched{})
		return result, err
	}
	if now.Migrated() == record {
		d.View.Show(MigrationSkipped{t.Revision})
		return result, nil
	}
	if t.Container == "" {
		container, err := t.Target.ChooseContainer("", "")
		if err != nil {
			return result, err
		}
		t.Container = container
	}
	task := TaskPlan{ServicePlan: t.ServicePlan, Overrides: runtask.Overrides{Command: p.Request.Migration}, Migration: true, Parting: p.Request.Parting}
	result.Task, err = d.carryOut(ctx, l, t, task, true)
	switch {
	case err != nil:
		d.View.Show(Untouched{})
		return result, err
	case result.Task.Failed():
		d.View.Show(Untouched{})
		outcome := rollout.Failed
		if result.Task.Outcome == runtask.TimedOut || result.Task.Outcome == runtask.NoCapacity {
			outcome = rollout.TimedOut
		}
		for i := range result.Services {
			result.Services[i].Outcome, result.Services[i].Reason = outcome, rollout.Reason{Code: NotMigrated}
		}
	default:
		own, stop := lingering(ctx, cmp.Or(p.Request.Parting, parting)/4)
		d.noteMigration(own, now, record)
		stop()
	}
	return result, nil
}

// lingering is a context that lasts a moment longer than ctx: what is done in it was
// earned before the run was cancelled.
func lingering(ctx context.Context, moment time.Duration) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if sleep(own, moment) == nil {
			cancel(context.Cause(ctx))
		}
	})
	return own, func() { stop(); cancel(nil) }
}

// unmigrated refuses a revision for which the migration of the run has not run: somebody
// changed the service meanwhile, and what it is to run now was made from that. Revisions
// of families other than the first service's have no migration of their own.
func (p *Plan) unmigrated(t target, was string) error {
	if t.migrated == "" || t.Revision == was || t.Revision == t.migrated || t.Target.Family() != p.Services[0].Target.Family() {
		return nil
	}
	return mistake.New(mistake.Service, "run the step again: the migration then runs for the new revision",
		"service %s was changed by someone else after the migration, which ran for %s and not for %s, which the service is to run now",
		t.Name.Name, ecs.ShortARN(t.migrated), ecs.ShortARN(t.Revision))
}

// migrationRecord stands for a migration: its command, and the image that it ran with,
// as far as its digest is known.
func migrationRecord(command []string, im Candidate) string {
	text, _ := json.Marshal(append([]string{first(im.Digests)}, command...)) // strings always marshal
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// noteMigration notes on a revision that its migration has succeeded, so that a further
// run of the step does not repeat it. Revisions of infrastructure are not touched. What
// fails is shown, and changes nothing about the outcome.
func (d *Deployer) noteMigration(ctx context.Context, revision taskdef.Definition, record string) {
	tagger, able := d.ECS.(Tagger)
	if _, ours := revision.Provenance(); !able || !ours {
		return
	}
	if err := tagger.Tag(ctx, revision.ARN(), taskdef.MigratedTag, record); err != nil {
		d.View.Show(MigrationUnnoted{revision.ARN(), err})
	}
}

// ofTask is the outcome of a run that ran a task and rolled nothing out.
func (t *TaskResult) ofTask() rollout.Outcome {
	switch t.Outcome {
	case runtask.Succeeded:
		return rollout.Succeeded
	case runtask.TimedOut, runtask.NoCapacity:
		return rollout.TimedOut
	case runtask.Failed:
		return rollout.Failed
	}
	return ""
}
