package deploy

// What a run shows while it lasts: values, which a view words.

import (
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/probe"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/schedule"
)

// View is where a run shows what it does.
type View interface {
	// Section begins a part of the log that belongs together, and returns its end.
	Section(s Section) (end func())
	// Show shows one of the events of this package.
	Show(event any)
	// Progress says how far the run is, of 100.
	Progress(percent int, phase Phase)
}

// Phase is what a run is doing.
type Phase string

// The phases that have a progress.
const (
	Pushing    Phase = "push"
	RollingOut Phase = "rollout"
)

// Section is a part of a run.
type Section struct {
	Kind     SectionKind
	Name     string // of the source image, or of the one service
	Services int
	DryRun   bool
	// Migration is set for the task that runs before a rollout.
	Migration bool
}

// SectionKind is the kind of a section.
type SectionKind string

// The kinds.
const (
	PlanSection     SectionKind = "plan"
	PushSection     SectionKind = "push"
	RevisionSection SectionKind = "revision"
	RolloutSection  SectionKind = "rollout"
	ResumeSection   SectionKind = "resume"
	CurrentSection  SectionKind = "current"
	TaskSection     SectionKind = "task"
	DriftSection    SectionKind = "drift"
	// SchedulesSection is the rules and schedules that follow the services.
	SchedulesSection SectionKind = "schedules"
	ScanSection      SectionKind = "scan"
	SigningSection   SectionKind = "signing"
)

// The events. Those of one service name it.
type (
	// PlanMade is the plan, before anything is changed.
	PlanMade struct {
		Plan     *Plan
		Limit    time.Duration // of the rollout; 0 is none
		Rollback time.Duration // that is kept for a rollback beside it
	}
	// ImageUnchecked says that it could not be checked whether an image exists and
	// has the right platform.
	ImageUnchecked struct {
		Image string
		Err   error
	}
	// HistoryUnread says that the earlier deployments of a service cannot be read,
	// so that revisions which failed cannot be told from those that succeeded.
	HistoryUnread struct {
		Service Service
		Err     error
		Build   string // to which command rollback goes back; empty otherwise
	}
	// RepositoryCreated says that the repository was created, and how.
	RepositoryCreated struct {
		URI      string
		Template string // by which ECR creates it at the push; empty where this run has
		Creation ecr.Creation
	}
	// RepositoryAppeared says that someone else created the repository after the plan
	// was made, and in what it is not as this run would have made it. LifecyclePolicy is
	// set where this run would have given it one.
	RepositoryAppeared struct {
		URI             string
		Differences     []string
		LifecyclePolicy bool
	}
	// PushProgress is how far a push is.
	PushProgress struct{ Now image.Progress }
	// Pushed is the end of a push.
	Pushed struct {
		Result push.Result
		Tags   []string
	}
	// SigningUnread says that it could not be read whether ECR signs images, or where URI
	// is set, whether it has signed that one.
	SigningUnread struct {
		URI string
		Err error
	}
	// SigningWaits says that the signatures of an image are waited for.
	SigningWaits struct {
		URI           string
		Pending       []ecr.Signature
		Elapsed, Left time.Duration
	}
	// Signed says that ECR has signed an image with each of the profiles.
	Signed struct {
		URI      string
		Profiles []string // ARNs
	}
	// Unsigned says that an image which was in ECR before has no signature, though images
	// that are pushed now get one.
	Unsigned struct {
		URI      string
		Profiles []string
	}
	// ScanWaits says that the scan of an image is waited for.
	ScanWaits struct {
		Image         ScannedImage
		Status        string // in ECR's spelling; empty where there is no scan yet
		Elapsed, Left time.Duration
	}
	// ScanStarted says that this run started a scan of an image.
	ScanStarted struct{ Image ScannedImage }
	// Scanned is what the scan of an image found.
	Scanned struct {
		Image ScannedImage
		Limit ecr.Severity
	}
	// ScanningUnread says that it could not be read whether images of a repository are
	// scanned when they are pushed.
	ScanningUnread struct {
		Repository string
		Err        error
	}
	// SecretsUnread says that versions of secrets could not be read, so that a secret
	// that changed is not noticed.
	SecretsUnread struct {
		Service Service
		Err     error
	}
	// Moved says that someone else has moved the service since the plan was made.
	Moved struct {
		Service  Service
		From, To string // ARNs of revisions
	}
	// Busy says that another deployment is in progress, and what is done about it.
	BusyWith struct {
		Service Service
		Other   rollout.Snapshot
		Do      Busy // Wait, or Supersede
		Stop    bool // it is stopped, since ours cannot start beside it
	}
	// RevisionKept says that a registered revision already is as wanted.
	RevisionKept struct {
		Service  Service
		Revision string
	}
	// Registered says that a revision was registered.
	Registered struct {
		Service  Service
		Revision string
	}
	// Copied says that a revision to go back to was deregistered meanwhile, so that
	// an equal one stands for it.
	Copied struct {
		Service  Service
		From, To string // ARNs
	}
	// NotStored says that ECS left members of a definition out of the revision.
	NotStored struct {
		Service  Service
		Revision string
		Members  []string
	}
	// Untagged says that a revision was registered without the tags that say where
	// it comes from.
	Untagged struct {
		Service Service
		Err     error
	}
	// Started says how the deployment of a service began.
	Started struct {
		Service Service
		Now     rollout.Snapshot
		Again   bool // the last deployment of the revision did not succeed
		Digest  bool // a new deployment of the revision is forced, because its tag has moved
	}
	// NotStarted says that the deployment of a service could not be started.
	NotStarted struct {
		Service Service
		Err     error
	}
	// Marked says that it was noted on a revision whether tasks of it have run, on
	// which the choice of a rollback depends; or why it could not be.
	Marked struct {
		Service  Service
		Revision string
		Unproven bool // none have
		Err      error
	}
	// NotWaiting says that the end of a deployment is not waited for.
	NotWaiting struct{ Service Service }
	// Happened is an event of the deployment of a service.
	Happened struct {
		Service Service
		Event   rollout.Event
	}
	// Diagnosed is why the tasks of a deployment do not stay up.
	Diagnosed struct {
		Service   Service
		Diagnosis diagnosis.Diagnosis
	}
	// Failing says that the rollout to a service failed and is about to be rolled
	// back, or is not.
	Failing struct {
		Service Service
		Verdict rollout.Verdict
	}
	// RollingBack says that this run rolls a service back.
	RollingBack struct {
		Service Service
		To      string
		// Other is the service whose failure made this one go back too; empty where
		// it failed itself.
		Other string
		// Schedule says that Other is a rule or schedule that could not be moved.
		Schedule bool
		// Refused is why the deployment could not be stopped, so that the service is
		// moved back by a new deployment; nil where it was stopped.
		Refused error
	}
	// RollbackEnded is how that went.
	RollbackEnded struct {
		Service  Service
		Rollback Rollback
	}
	// Verified is what a successful deployment was found to run.
	Verified struct {
		Service Service
		Proof   rollout.Proof
	}
	// StillBlocks says that a deployment of CodeDeploy is still in progress.
	StillBlocks struct {
		Service Service
		Now     rollout.Snapshot
	}
	// Interrupted is how a run that was cancelled, or that could not go on with a
	// service, left it.
	Interrupted struct {
		Service  Service
		Verdict  rollout.Verdict // zero where the deployment was still in progress
		Rollback Rollback
		Now      ecs.Service // zero where it could not be read
		Err      error       // why it could not
		Fault    bool        // an error was the reason, and not a cancellation
	}
	// Fault is a panic that the run went on after: only an explanation or a
	// verification is missing.
	Fault struct{ Err error }
	// Answered says what a paused deployment was told.
	Answered struct {
		Service Service
		Action  rollout.Action
		To      string // ARN of the revision to which it goes back
	}
	// SmokeTesting says that the smoke test of a service begins, and where its
	// deployment stands.
	SmokeTesting struct {
		Service Service
		Tests   int
		Time    SmokeTime
		Paused  bool
		Stage   string // lifecycle stage; may be empty
	}
	// SmokeAttempt is one request of a smoke test.
	SmokeAttempt struct {
		Service Service
		Test    SmokeTest
		Attempt probe.Attempt
	}
	// SmokeTested is how the smoke test ended: what came of the test that ran last.
	SmokeTested struct {
		Service Service
		Last    SmokeResult
		Paused  bool // the deployment waits for an answer
	}
	// CurrentImages are the images that services run.
	CurrentImages struct{ Images []CurrentImage }
	// TaskPlanned is the plan of a one-off task, before anything is changed.
	TaskPlanned struct{ Plan TaskPlan }
	// TaskHappened is an event of package runtask. Container is the one whose exit
	// code counts.
	TaskHappened struct {
		Container string
		Event     any
	}
	// TaskEnded is how a one-off task ended.
	TaskEnded struct{ Result *TaskResult }
	// Compared is a service beside what this task deployed to it last.
	Compared struct{ Deviation Deviation }
	// Tidied says which older revisions were deregistered. With an error those that
	// are left stay registered.
	Tidied struct {
		Family  string
		Keep    int
		Removed []string // ARNs
		Err     error
	}
	// MigrationSkipped says that no migration runs, since the same one has succeeded
	// for the revision before.
	MigrationSkipped struct{ Revision string }
	// MigrationUnnoted says that it could not be noted on a revision that its migration
	// has succeeded.
	MigrationUnnoted struct {
		Revision string
		Err      error
	}
	// TaskTagsChanged says that which tags the tasks of a service get was changed. Back is
	// set where the service gets its own setting back, and Err where that failed.
	TaskTagsChanged struct {
		Service  Service
		From, To ecs.TaskTags
		Back     bool
		Err      error
	}
	// ScheduleEnded says what became of a rule or schedule. Ended is set where the run
	// was cancelled or is out of time, so that no issue at its end says why a rule or
	// schedule was not moved.
	ScheduleEnded struct {
		Schedule ScheduleResult
		Ended    bool
	}
	// ScheduleChanged says that someone else has changed a rule or schedule since the
	// plan was made.
	ScheduleChanged struct {
		Entry    schedule.Entry
		From, To string // ARNs of revisions
	}
	// ScheduleAdjusted says what of a schedule could not be sent as it was.
	ScheduleAdjusted struct {
		Entry      schedule.Entry
		Adjustment schedule.Adjustment
	}
	// SchedulesStay says that no rule and no schedule is moved, since not every service
	// runs its new revision.
	SchedulesStay struct{ Count int }
	// Untouched says that the migration did not succeed, so that no service was
	// changed.
	Untouched struct{}
)
