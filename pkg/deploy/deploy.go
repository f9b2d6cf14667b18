// Package deploy holds the task's commands: in which order the capabilities of
// the packages image, ecr, taskdef and rollout are used, what is known before
// the first of them changes anything, and what came of it.
//
// A run has two halves. The plan only reads: it finds every image, service and
// task definition, checks that they fit, and says what will happen. Then the
// steps of the plan are carried out: push, register, update, watch, verify.
//
// The package does not read the environment, does not know that it runs in a
// pipeline, and does not decide which exit code or issue an outcome becomes.
package deploy

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// Request is what one run is asked to do. Its fields mean what the task inputs
// of the same names mean.
type Request struct {
	Push    bool // command push, and the first half of deploy
	Rollout bool // command rollout, and the second half of deploy

	Image            string
	Repository       string
	Tags             []string // the first is the one that is rolled out
	CreateRepository bool
	Compression      image.Compression // of layers that are not compressed yet
	Referrers        bool

	Services       []Service
	Container      string
	Images         map[string]string // further containers and their images
	TaskDefinition string
	Change         taskdef.Change // all but the images and the container they belong to
	DesiredCount   *int
	Force          bool
	PinDigest      bool
	Wait           bool
	UntilTraffic   bool // wait no longer than until all production traffic is on the new revision
	Timeout        time.Duration

	Origin          taskdef.Provenance // the run: its build, pipeline and commit
	WhenBusy        Busy
	AllowOlderBuild bool

	MaxFailedTasks    int // failed tasks of one kind before the rollout is given up; 0 is never
	RollbackOnFailure bool
	RollbackOnCancel  bool

	DryRun bool
}

// Service names an ECS service.
type Service struct{ Cluster, Name string }

// String is cluster/service, with the short name of the cluster.
func (s Service) String() string { return rollout.ShortARN(s.Cluster) + "/" + s.Name }

// Console is where a run shows its sections and how far it is.
type Console interface {
	Group(title string) (end func())
	Progress(percent int, operation string)
}

// Deployer carries out requests with one AWS identity.
type Deployer struct {
	ECR     *ecr.Client
	ECS     *rollout.Client
	Images  image.Options // how source images are found
	Console Console
	Log     *slog.Logger
}

// Result is what a run did, complete up to where it ended.
type Result struct {
	DryRun   bool
	Image    Image
	Services []ServiceResult
	Current  []CurrentImage // of CurrentImages
	Took     time.Duration
}

// Image is the image of a run.
type Image struct {
	URI       string // as the task definition names it
	Digest    string
	Source    string // what was pushed, in words; empty when nothing was to be pushed
	Pushed    bool   // false when ECR had it already
	SentBytes int64
	Layers    int
	Reused    int // layers that ECR had already
	Took      time.Duration
}

// ServiceResult is how the rollout to one service went.
type ServiceResult struct {
	Service
	ARN           string
	Container     string
	Previous      string // ARN of the revision that ran before
	PreviousImage string
	Revision      string // ARN of the revision that was rolled out
	Changes       []taskdef.Difference
	Deployment    string // ARN of the service deployment
	HookID        string // of the lifecycle hook at which it waits
	Outcome       rollout.Outcome
	Reason        string
	Back          bool              // it was asked to go back from Revision to Previous
	Diagnosis     rollout.Diagnosis // of a rollout that did not end well
	Proof         rollout.Proof
	Desired       int
	Took          time.Duration
}

// Outcome is the worst outcome among the services, empty when nothing was
// rolled out or not waited for.
func (r Result) Outcome() rollout.Outcome {
	// From best to worst; one that is not among them is no success.
	severity := []rollout.Outcome{
		rollout.Unchanged, rollout.Succeeded, "", rollout.Paused,
		rollout.Superseded, rollout.RolledBack, rollout.TimedOut, rollout.Failed,
	}
	worst := -1
	for _, s := range r.Services {
		i := slices.Index(severity, s.Outcome)
		if i < 0 {
			i = len(severity) - 1
		}
		worst = max(worst, i)
	}
	if worst < 0 {
		return ""
	}
	return severity[worst]
}

// Run carries out r. The result is meaningful beside an error too: it holds
// what was done before. A rollout that ends badly is an outcome, not an error.
func (d *Deployer) Run(ctx context.Context, r Request) (result Result, err error) {
	defer clock(&result)()
	result.DryRun = r.DryRun

	plan, err := d.plan(ctx, r)
	if err != nil {
		return result, err
	}
	defer plan.close()
	d.show(plan)
	result.Image, result.Services = plan.outline()
	if r.DryRun {
		return result, nil
	}
	if r.Push {
		if err := d.push(ctx, plan, &result.Image); err != nil {
			return result, err
		}
	}
	if !r.Rollout {
		return result, nil
	}
	if err := d.register(ctx, plan, result.Image, result.Services); err != nil {
		return result, err
	}
	return result, d.rollOut(ctx, plan, result.Services)
}

// clock measures a run: what it returns is called at the end.
func clock(r *Result) func() {
	begin := time.Now()
	return func() { r.Took = time.Since(begin) }
}
