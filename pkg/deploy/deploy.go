// Package deploy holds the task's commands. Each is a plan and its application.
//
// The plan only reads: it finds every image, service and task definition, checks
// that they fit, and is a value that does not change after it is made. A dry run
// ends there. Applying it goes through phases, and each phase is a barrier over
// all services: settle (the service is as the plan expects it, and no other
// deployment is in progress), push, register, start, follow, conclude. A rule such
// as "all services or none" therefore stands in one place.
//
// The package does not read the environment, does not know that it runs in a
// pipeline, and composes no sentences: what happens is shown to a [View] as
// events, what came of it is a [Result].
package deploy

import (
	"context"
	"errors"
	"iter"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/schedule"
	"ecsdeploy/pkg/taskdef"
)

// Request is what one run is asked to do. Its fields mean what the task inputs of
// the same names mean.
type Request struct {
	Push    bool // command push, and the first half of deploy
	Rollout bool // command rollout, and the second half of deploy

	Image            string
	Repository       string
	Tags             []string // the first is the one that is rolled out
	CreateRepository bool
	Creation         ecr.Creation         // how a repository is created, with CreateRepository
	Compression      compress.Compression // of layers that are not compressed yet
	LazyLoading      bool                 // write a SOCI index for the image
	Referrers        bool                 // push what refers to the image as well
	FailOn           ecr.Severity         // the gate on the image: from which severity on a finding ends the run; empty is no gate

	Services       []Service
	Containers     []string          // that get the image; empty leaves the choice to the task definition
	Images         map[string]string // further containers and their images
	TaskDefinition string
	Change         taskdef.Change // all but the images and the container they belong to
	TaskTags       TaskTags
	DesiredCount   *int
	Force          bool
	PinDigest      bool

	Wait    bool
	Until   rollout.Until
	Timeout time.Duration // of the whole run; 0 is no limit
	Began   time.Time     // of the run, from which the limit counts; zero is when the command begins
	// TimeoutGiven is set where the user chose the time limit. The default grows by
	// what the services' own configuration makes a deployment wait.
	TimeoutGiven bool

	Origin          taskdef.Provenance // the run: its build, pipeline and commit
	Artifacts       []Artifact         // further builds whose image may be meant
	WhenBusy        Busy
	AllowOlderBuild bool
	Rerun           bool // the run is a further attempt of a stage or release, which is how older builds are brought back

	MaxFailedTasks    int // failed tasks of one kind before the rollout is given up; 0 is never
	RollbackOnFailure bool
	RollbackOnCancel  bool

	IgnoreSecrets bool // a secret that the running tasks read has a new version: start no deployment for that

	Order     []Precedence // which services are rolled out before which; empty is all side by side
	Migration []string     // command of a task that runs once before any service is changed; nil is none

	SmokeTests   []SmokeTest    // of each service's new revision, one after the other
	Resumes      bool           // command resume
	Schedules    []schedule.Ref // rules and schedules that move to the revision after a success
	AllSchedules bool           // all that start tasks of the services' families in the services' clusters

	KeepRevisions int // of this task that stay registered after a success; 0 is all

	DryRun bool

	// Parting is how long a cancelled run may take to leave the services as it
	// promised; 0 is 5 seconds.
	Parting time.Duration
}

// Service names an ECS service.
type Service struct{ Cluster, Name string }

// String is cluster/service, with the short name of the cluster.
func (s Service) String() string { return ecs.ShortARN(s.Cluster) + "/" + s.Name }

// Busy says what to do when another deployment of the service is in progress.
type Busy string

// The choices.
const (
	Wait      Busy = "wait"      // until it has ended
	Supersede Busy = "supersede" // let ours replace it
	Fail      Busy = "fail"      // change nothing
)

// ECS is what the commands ask of Amazon ECS themselves.
type ECS interface {
	Service(ctx context.Context, cluster, name string) (ecs.Service, error)
	Definition(ctx context.Context, ref string) (taskdef.Definition, error)
	Fresh(ctx context.Context, ref string) (taskdef.Definition, error)
	Register(ctx context.Context, d taskdef.Definition) (taskdef.Definition, error)
	Revisions(ctx context.Context, family string, inactive bool) iter.Seq2[string, error]
}

// Rollouts is who carries deployments out, and who knows how they stand.
type Rollouts interface {
	Controller(ctx context.Context, s ecs.Service) (rollout.Controller, error)
	Diagnose(ctx context.Context, s diagnosis.Subject) diagnosis.Diagnosis
	Prove(ctx context.Context, s rollout.Snapshot, want map[string][]string) rollout.Proof
}

// Deployer carries out requests with one AWS identity.
type Deployer struct {
	ECR      *ecr.Client
	ECS      ECS
	Rollouts Rollouts
	Tasks    Tasks
	Probes   Prober
	// Balancers may be nil: then no rollout is explained by its load balancer, and no
	// smoke test has a path.
	Balancers Balancers
	Registry  Registry
	// Schedules is needed where the request names some, or has revisions deregistered.
	Schedules Schedules
	Images    source.Options // how source images are found
	View      View
	Secrets   Secrets // nil: whether secrets changed is not known

	Variables taskdef.Lookup // of the pipeline, for the files of task definitions; may be nil
	Identity  *Identity      // who is asked about after a denial, for what else is missing; may be nil
}

// Run carries out r. The result is meaningful beside an error too: it holds what
// was done before. A rollout that ends badly is an outcome, not an error.
func (d *Deployer) Run(ctx context.Context, r Request) (Result, error) {
	begin := time.Now()
	result, err := d.run(ctx, r, begin)
	result.DryRun, result.Took = r.DryRun, time.Since(begin)
	return result, err
}

func (d *Deployer) run(ctx context.Context, r Request, begin time.Time) (result Result, err error) {
	limit := newLimit(r, begin)
	var plan *Plan
	defer func() { err = limit.late(ctx, d.withMissing(ctx, plan, err)) }()
	reading, cancel := limit.context(ctx)
	defer cancel()
	plan, err = d.plan(reading, r)
	if err != nil {
		return Result{}, err
	}
	defer plan.close()
	if err := plan.checkMigration(); err != nil {
		return Result{}, err
	}
	limit = limit.grown(plan)
	bounded, stop := limit.context(ctx)
	defer stop()
	d.showPlan(plan, limit)
	if r.DryRun {
		return plan.outline(), nil
	}
	result = plan.outline()
	im := plan.Image
	if r.Push {
		if im, err = d.pushSigned(bounded, plan, &result); err != nil {
			return result, err
		}
	}
	plan = plan.with(im)
	if result.Scan, err = d.gate(bounded, plan); err != nil {
		if r.Rollout {
			err = afterPush(result.Image, err)
		}
		return result, err
	}
	if !r.Rollout {
		return result, nil
	}
	if r.alone() {
		result, err = d.registerAlone(bounded, plan, result)
		return result, afterPush(result.Image, err)
	}
	targets, err := d.ready(bounded, plan, result.Image.Pushed)
	if err == nil {
		_, err = scheduleTargets(plan.Schedules, targets)
	}
	if err != nil {
		return result, afterPush(result.Image, err)
	}
	if len(r.Migration) > 0 {
		if result, err = d.migrate(ctx, plan, limit, targets, result); err != nil || result.Task.Failed() {
			return result, err
		}
		for i := range targets {
			targets[i].migrated = targets[0].Revision
		}
	}
	changed, err := d.retag(bounded, plan, targets)
	if err != nil {
		return result, afterPush(result.Image, err)
	}
	m := d.movement(plan)
	result.Services, err = m.rollOut(ctx, bounded, plan, limit, targets)
	d.afterRetag(ctx, r, changed, result.Services)
	result.Schedules = m.schedules
	if err == nil && r.KeepRevisions > 0 && result.Outcome().Good() {
		d.tidy(ctx, plan, targets, result.Services)
	}
	return result, err
}

// pushSigned pushes the image, and waits for its signature where ECR makes one. The
// result has what was pushed beside an error too.
func (d *Deployer) pushSigned(ctx context.Context, p *Plan, result *Result) (im Candidate, err error) {
	if im, result.Image, err = d.push(ctx, p); err != nil {
		return im, afterPush(result.Image, err)
	}
	result.Image.Signed, err = d.signed(ctx, p, result.Image)
	if _, unsigned := errors.AsType[*SigningError](err); p.Request.Rollout && !unsigned {
		err = afterPush(result.Image, err)
	}
	return im, err
}

// limit is the time that a run may take. A part of it is kept for rolling back.
type limit struct {
	begin    time.Time
	total    time.Duration // 0 is no limit
	rollback time.Duration // the part of total that is kept for a rollback
	given    bool
}

// rollbackShare is the part of the time limit that is kept for a rollback, and
// rollbackMost how long that is at most.
const (
	rollbackShare = 5 // a fifth
	rollbackMost  = 5 * time.Minute
)

func newLimit(r Request, begin time.Time) limit {
	if !r.Began.IsZero() {
		begin = r.Began
	}
	l := limit{begin: begin, total: r.Timeout, given: r.TimeoutGiven}
	if r.Rollout && r.RollbackOnFailure {
		l.rollback = min(r.Timeout/rollbackShare, rollbackMost)
	}
	return l
}

// grown is the limit with what the services' configuration makes a deployment
// wait, where the user chose none.
func (l limit) grown(p *Plan) limit {
	if !l.given && l.total > 0 {
		l.total += p.wait()
	}
	return l
}

// forward is how long everything but a rollback may take in all.
func (l limit) forward() time.Duration { return l.total - l.rollback }

// left is how much of that is left now, or of the whole limit.
func (l limit) left(all bool) time.Duration {
	if l.total == 0 {
		return unlimited
	}
	most := l.forward()
	if all {
		most = l.total
	}
	return max(most-time.Since(l.begin), 0)
}

// unlimited stands for no time limit: longer than a pipeline's job may take.
const unlimited = 30 * 24 * time.Hour

// TimeoutError says that a run did not finish within its time limit.
type TimeoutError struct {
	After time.Duration // without what is kept for a rollback
	Kept  time.Duration // for a rollback
	Err   error         // what was being done; nil where nothing was
}

func (e *TimeoutError) Error() string {
	if e.Err == nil {
		return "the run did not finish within its time limit"
	}
	return "the run did not finish within its time limit: " + e.Err.Error()
}

func (e *TimeoutError) Unwrap() error { return e.Err }

// late is err with the time limit where that is why a call was not finished. ctx is
// the run's own, which ends only when the run is cancelled.
func (l limit) late(ctx context.Context, err error) error {
	_, told := errors.AsType[*TimeoutError](err)
	if ctx.Err() != nil || l.total == 0 || time.Since(l.begin) < l.forward() || !told && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &TimeoutError{l.forward(), l.rollback, err}
}

// Within does something that is not a deployment within the time limit of a request,
// such as what comes before it. The error is a [*TimeoutError] where it took longer.
func Within(ctx context.Context, r Request, do func(ctx context.Context) error) error {
	r.RollbackOnFailure = false // there is nothing to roll back
	limit := newLimit(r, time.Now())
	bounded, cancel := limit.context(ctx)
	defer cancel()
	return limit.late(ctx, do(bounded))
}

// context bounds the part of a run that is not a rollback.
func (l limit) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.total == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, l.begin.Add(l.forward()), &TimeoutError{After: l.forward(), Kept: l.rollback})
}
