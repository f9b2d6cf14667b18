package deploy

// What came of a run, as data: for the summary, the outputs and the result of the
// step. Outcomes of services are written in one place, [ending.result].

import (
	"slices"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// Result is what a run did, complete up to where it ended.
type Result struct {
	DryRun     bool
	Image      Image
	Services   []ServiceResult
	Schedules  []ScheduleResult
	Current    []CurrentImage // of CurrentImages
	Checks     []Check        // of Verify
	Deviations []Deviation    // of Deviations
	Scan       *ScanResult    // of the run's images; nil where no scan was waited for
	Task       *TaskResult    // of RunTask, or of the migration before a rollout; nil where there was none
	Took       time.Duration
}

// Image is the image of a run.
type Image struct {
	URI       string // as the task definition names it
	Digest    string
	Source    string // reference of what was pushed; empty when nothing was to be pushed
	Pushed    bool   // false when ECR had it already
	SentBytes int64
	Layers    int
	Reused    int // layers that ECR had already
	Took      time.Duration
	Lazy      *push.LazyLoading // the SOCI index; nil where none was written
	Signed    []string          // ARNs of the profiles by which ECR has signed it, as far as that was waited for

	repository ecr.Repository // to which it was pushed
}

// ServiceResult is how the rollout to one service went.
type ServiceResult struct {
	Service
	ARN           string
	Controller    string // ECS or CodeDeploy
	Container     string
	LogGroup      string // in CloudWatch Logs, of the container; may be empty
	LogRegion     string
	Previous      string // ARN of the revision that ran before
	PreviousImage string
	Revision      string // ARN of the revision that was rolled out; empty where the service was not moved
	Changes       []taskdef.Difference
	// Secrets are the sources of secrets that have another version than when the
	// revision before was registered.
	Secrets      []string
	Deployment   string   // ARN of the service deployment
	CodeDeploy   string   // id of the CodeDeploy deployment
	HookID       string   // of the lifecycle hook at which it is paused
	TargetGroups []string // ARNs
	Balancing    rollout.Balancing
	URL          string // public address of an Express service
	Outcome      rollout.Outcome
	Reason       rollout.Reason
	Err          error // why the deployment could not be started
	Scaled       bool  // no deployment was started: only the count of tasks changed
	Asked        bool  // command resume asked for it to be rolled back
	Rollback     Rollback
	Diagnosis    diagnosis.Diagnosis // of a rollout that did not end well
	Proof        rollout.Proof
	Smoke        []SmokeResult // of the latest run of the smoke tests, as far as it came
	Running      int           // tasks at the end
	Desired      int
	Took         time.Duration
}

// Rollback is what this run did to bring a service back after a failure.
type Rollback struct {
	Wanted bool   // it was tried
	To     string // ARN of the revision; empty where there is none to go back to
	Done   bool
	Code   RollbackCode // why it is not done
	Err    error        // in detail; may be nil
	Reason rollout.Reason
}

// RollbackCode says why a service was not rolled back.
type RollbackCode string

// The codes.
const (
	NoEarlierRevision RollbackCode = "noEarlierRevision" // no other revision's deployment succeeded
	OnlyPlaceholder   RollbackCode = "onlyPlaceholder"   // what ran before is the placeholder image
	SameRevision      RollbackCode = "sameRevision"      // what was rolled out is all there is to go back to
	NotAccepted       RollbackCode = "notAccepted"       // AWS refused it
	EndedBadly        RollbackCode = "endedBadly"        // the rollback failed as well
	RollbackUnknown   RollbackCode = "rollbackUnknown"   // the answer to its start got lost
	StillInProgress   RollbackCode = "stillInProgress"   // its result is not known
	OthersDeployment  RollbackCode = "othersDeployment"  // another deployment has replaced ours
	TrafficStays      RollbackCode = "trafficStays"      // all traffic is on the new revision
)

// Outcome is the worst outcome among the services, empty when nothing was rolled
// out or not waited for.
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
	if slices.ContainsFunc(r.Schedules, ScheduleResult.Failed) && worst <= slices.Index(severity, "") {
		return rollout.Failed // the services stay as they are
	}
	if len(r.Deviations) > 0 {
		if slices.ContainsFunc(r.Deviations, Deviation.Deviates) {
			return Drifted
		}
		return rollout.Unchanged
	}
	if worst < 0 {
		if r.Task != nil {
			return r.Task.ofTask()
		}
		return ""
	}
	return severity[worst]
}
