// Package rollout carries a change out on one Amazon ECS service and finds out
// how that ended.
//
// A service has a [Controller]: ECS itself or CodeDeploy. A controller knows
// which deployment is in progress, which revision was reached last, and starts a
// [Deployment]. A deployment is watched, and each poll leaves a [Snapshot]: what
// was seen of the service and of the deployment's own record, reconciled. [Judge]
// is a pure function from a snapshot to a [Verdict].
//
// Two rules hold for every controller. A deployment is known by its id, never by
// its revision or its time. And nothing that changes a service is sent on an old
// view: Start, Stop and Answer read the service again first, and after a refusal
// they read once more and judge anew.
//
// The package does not push images or edit task definitions, does not read the
// environment, and composes no sentences: it hands out events, verdicts and errors.
package rollout

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

// Controller carries out the deployments of one service.
type Controller interface {
	// Name is who deploys: ECS or CodeDeploy.
	Name() string
	// Unsupported lists what a change asks for that this controller cannot do, as
	// mistakes.
	Unsupported(change Change) []error
	// InFlight returns the deployment in progress, or nil. A rollback in progress
	// is the deployment that is being rolled back.
	InFlight(ctx context.Context) (Deployment, error)
	// LastGood returns the revision that the service has reached, or, where the
	// controller knows it, would go back to from a deployment in progress; empty
	// where that is not known or its deployment did not succeed.
	LastGood(ctx context.Context) (revision string, err error)
	// Successes yields the revisions of earlier successful deployments, newest
	// first; one may come up again.
	Successes(ctx context.Context) iter.Seq2[string, error]
	// Paused returns the deployment that waits for an answer. hookID may be empty.
	// Where none waits, the error is a mistake.
	Paused(ctx context.Context, hookID string) (Deployment, error)
	// Start reads the service again and has it run the change. Where that needs no
	// new deployment it returns the one that is there. The error is a [*MovedError]
	// where the service is not as the change expects it any more.
	Start(ctx context.Context, change Change) (Deployment, error)
}

// Deployment is one deployment of a service, in progress or over.
type Deployment interface {
	// Watch polls until the deployment has ended, as [Limits] define it, and yields
	// what happened. Afterwards Verdict and Err say how the watch ended.
	Watch(ctx context.Context, limits Limits) iter.Seq[Event]
	// Snapshot is what the last successful reading saw.
	Snapshot() Snapshot
	// Verdict is how the deployment ended; undecided after an interrupted watch.
	Verdict() Verdict
	// Err is what ended the watch before there was a verdict.
	Err() error
	// Stop reads the deployment again and, where it is still in progress and ours
	// to end, asks for it to be stopped and rolled back. The error is [ErrEnded]
	// where it has ended meanwhile: Verdict then says how. It is [ErrNotShown] where ctx
	// does not last until the service shows the deployment.
	Stop(ctx context.Context) error
	// Answer lets a paused deployment go on, or has it rolled back.
	Answer(ctx context.Context, action Action) error
}

// Change is what a service is asked to run.
type Change struct {
	TaskDefinition string // ARN of a revision
	DesiredCount   *int   // nil leaves the service's own
	Force          bool   // a new deployment even of the same revision
	RollBack       bool   // the controller is to roll back by itself, where a deployment can be told to
	// Supersede permits the change to replace a deployment in progress, Replaces only
	// those with these ids. CodeDeploy replaces none.
	Supersede bool
	Replaces  []string
	// Expect is the id of the deployment that was PRIMARY when the change was
	// decided on; empty where any will do. Another one means that the service was
	// changed since.
	Expect string
}

// Action is the answer to a paused deployment.
type Action string

// The actions.
const (
	Continue Action = "continue"
	RollBack Action = "rollback"
)

// Until says what is waited for, beside the end: "completed", "traffic", or the
// name of a lifecycle stage in ECS's spelling.
type Until string

// The two that are no lifecycle stages.
const (
	UntilCompleted Until = "completed"
	UntilTraffic   Until = "traffic"
	// UntilTest is that test traffic is on the new revision.
	UntilTest Until = "testTraffic"
	// UntilEnded is for the deployments of others: that they are out of the way.
	UntilEnded Until = "ended"
)

// Stage reports whether it is a lifecycle stage that is waited for.
func (u Until) Stage() bool { return u != "" && slices.Contains(Stages(), string(u)) }

// Limits say what is not waited for.
type Limits struct {
	Timeout time.Duration
	Pace    time.Duration // between two polls at least; 2 s where it is less
	Until   Until         // empty is UntilCompleted
	// MaxFailedTasks is how many tasks may fail for the same reason before the
	// deployment is given up; 0 is any number.
	MaxFailedTasks int
}

// MovedError says that a service is not as it was when a change was decided on.
type MovedError struct {
	Service  ecs.Service // as it is now
	InFlight Deployment  // that is in progress now and may not be replaced; or nil
}

func (e *MovedError) Error() string {
	return "service " + e.Service.Name + " was changed by someone else: its deployment is now " + e.Service.Primary().ID
}

// UnansweredError says that it is not known what became of the start of a deployment: the
// answer got lost and the service could not be read afterwards, or the service does not
// show what ECS has accepted.
type UnansweredError struct {
	Err    error // of the call that was to start it
	Unread error // why the service does not tell
}

func (e *UnansweredError) Error() string { return e.Err.Error() + "; then " + e.Unread.Error() }

// Unwrap returns both errors.
func (e *UnansweredError) Unwrap() []error { return []error{e.Err, e.Unread} }

// ErrEnded is the refusal to stop a deployment that has ended.
var ErrEnded = errors.New("the deployment has ended")

// ErrNoRecord says that a deployment cannot be stopped because its record cannot
// be read.
var ErrNoRecord = errors.New("its service deployment cannot be read")

// ErrNotShown says that a deployment cannot be stopped yet: the service is shown as it was
// before the deployment began.
var ErrNotShown = errors.New("the service does not show the deployment yet")

// ErrNotOurs is the refusal to stop a deployment after another one has replaced it.
var ErrNotOurs = errors.New("another deployment has replaced it")

// Outcome is how a rollout ended. The empty outcome means not yet.
type Outcome string

// The outcomes that users see; their spelling is part of the task's interface.
const (
	Succeeded  Outcome = "succeeded"  // the deployment of our revision completed
	Unchanged  Outcome = "unchanged"  // the service ran it already
	RolledBack Outcome = "rolledBack" // the service is back on an earlier revision
	Failed     Outcome = "failed"     // the deployment failed or was stopped, and nothing was rolled back
	Superseded Outcome = "superseded" // someone else's newer deployment replaced ours
	Paused     Outcome = "paused"     // a lifecycle hook waits for a decision
	TimedOut   Outcome = "timedOut"   // the time limit ended before the deployment did
)

// Good reports whether the service runs what it was asked to run.
func (o Outcome) Good() bool { return o == Succeeded || o == Unchanged }

// Verdict is an outcome with its reason. The zero Verdict means that the
// deployment is in progress.
type Verdict struct {
	Outcome Outcome
	Reason  Reason
}

// Final reports whether there is nothing left to wait for.
func (v Verdict) Final() bool { return v.Outcome != "" }

// Code names a reason. Codes are stable: scripts compare them.
type Code string

// The reasons.
const (
	ServiceDeleted    Code = "serviceDeleted"
	ServiceDraining   Code = "serviceDraining"
	DeploymentFailed  Code = "deploymentFailed"
	DeploymentStopped Code = "deploymentStopped"
	RolledBackByECS   Code = "rolledBackByController"
	RolledBackByTask  Code = "rolledBackByTask" // this run asked for it
	RollbackFailed    Code = "rollbackFailed"
	ReplacedByOther   Code = "replacedByOther"
	TasksFail         Code = "tasksFail"       // too many for one reason
	TasksNotStarted   Code = "tasksNotStarted" // there is no role to start them with
	HookWaits         Code = "hookWaits"
	ReadyWaits        Code = "readyWaits" // CodeDeploy waits to be told to shift the traffic
	NotInTime         Code = "notInTime"
	Unread            Code = "unread"         // AWS could not be asked at the end of the time limit
	TrafficShifted    Code = "trafficShifted" // success for who waits for the traffic
	StageReached      Code = "stageReached"
	WaitsOn           Code = "waitsOn"      // at the end of the time limit only a configured wait is left, or the previous tasks have to stop
	EarlySuccess      Code = "earlySuccess" // before the full count of tasks
	NothingRuns       Code = "nothingRuns"  // the desired count is 0
	WrongDigest       Code = "wrongDigest"
	CompletedAnyway   Code = "completedAnyway" // before it could be stopped
	NotStarted        Code = "notStarted"      // ECS refused to start it
	StartUnknown      Code = "startUnknown"    // the answer to its start got lost and the service could not be read, or the service does not show it
)

// Reason says why a deployment ended as it did, as data. Only the members that
// belong to the code are set.
type Reason struct {
	Code     Code
	Detail   string           // in AWS's own words
	Alarms   []string         // that went off
	By       string           // id of the deployment that replaced ours
	Revision string           // ARN of the revision that it brings
	Hook     ecs.Hook         // that waits
	Stage    string           // lifecycle stage
	Cause    *diagnosis.Cause // for which tasks fail
	Count    int              // of tasks
	Limit    int              // maxFailedTasks
	After    time.Duration    // the time limit that passed
	Kept     time.Duration    // the part of the whole limit that was kept for a rollback
	Left     time.Duration    // how long the controller keeps the previous tasks
	Running  int              // tasks of the deployment
	Desired  int
}
