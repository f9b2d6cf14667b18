// Choices: the inputs that take one of a few words, and the words they take.
// They are spelled here and nowhere else; a pick list keeps nobody from writing
// something else in YAML.

package input

import (
	"slices"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// Compression is how layers are compressed that the build left uncompressed.
type Compression string

// The compressions of layers.
const (
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// Severity is how bad a vulnerability of the image has to be to end the run.
type Severity string

// The severities, worst first.
const (
	SeverityCritical Severity = "critical"
	SeverityHigh     Severity = "high"
	SeverityMedium   Severity = "medium"
	SeverityLow      Severity = "low"
)

// WhenBusy says what to do when another deployment of the service is in progress.
type WhenBusy string

// What to do when another deployment is in progress.
const (
	BusyWait      WhenBusy = "wait"      // until it has ended
	BusySupersede WhenBusy = "supersede" // let ours replace it
	BusyFail      WhenBusy = "fail"      // change nothing
)

// WhenSecretsChange says what to do when a secret that the running tasks read has a
// new version.
type WhenSecretsChange string

// What to do when a secret has a new version.
const (
	SecretsDeploy WhenSecretsChange = "deploy" // start a new deployment, of the same image too
	SecretsIgnore WhenSecretsChange = "ignore" // say so, and leave the tasks as they are
)

// OlderBuild says what to do with a build that is older than the running one.
type OlderBuild string

// What to do with an older build.
const (
	OlderRefuse OlderBuild = "refuse"
	OlderAllow  OlderBuild = "allow"
)

// Recovery says what becomes of the service after a rollout that failed, or that
// was cancelled.
type Recovery string

// What becomes of the service.
const (
	RecoverRollback Recovery = "rollback" // to the revision that ran before
	RecoverLeave    Recovery = "leave"    // as it is
)

// WaitUntil says what the task waits for: one of the two below, or the name of a
// lifecycle stage in ECS's spelling.
type WaitUntil string

// What the task waits for.
const (
	UntilCompleted WaitUntil = "completed" // the deployment has ended
	UntilTraffic   WaitUntil = "traffic"   // all production traffic is on the new revision
)

// Action is the answer to a deployment that is paused at a lifecycle hook.
type Action string

// The answers to a paused deployment.
const (
	ActionContinue Action = "continue"
	ActionRollback Action = "rollback"
)

// Mark is a mark that outlasts the run, beside the tags of tagBuild.
type Mark string

// The marks.
const (
	MarkProperties        Mark = "properties"        // of the build: outcome, revision, digest
	MarkRetain            Mark = "retain"            // the build that is live is not deleted
	MarkCommitStatus      Mark = "commitStatus"      // of the build's commit
	MarkPullRequestStatus Mark = "pullRequestStatus" // of the pull request that the run belongs to
	MarkReleaseName       Mark = "releaseName"       // of the classic release
)

// Recording says of which runs a recording is kept.
type Recording string

// Of which runs a recording is kept.
const (
	RecordOnFailure Recording = "onFailure"
	RecordAlways    Recording = "always"
	RecordNever     Recording = "never"
)

// oneOf gives the parser for one of a few words.
func oneOf[T ~string](words ...T) func(string) (T, error) {
	return func(text string) (T, error) {
		if slices.Contains(words, T(text)) {
			return T(text), nil
		}
		names := make([]string, len(words))
		for i, w := range words {
			names[i] = string(w)
		}
		hint := "write one of the words as listed"
		if near := mistake.Nearest(text, names); near != "" {
			hint = "did you mean " + near + "? Values are case-sensitive"
		}
		return "", wrong(hint, "%s is none of %s", shown(text), strings.Join(names, ", "))
	}
}

// PropagateTags says whose tags the tasks of a service get, in ECS's words.
type PropagateTags string

// The choices.
const (
	PropagateNone           PropagateTags = "NONE"
	PropagateService        PropagateTags = "SERVICE"
	PropagateTaskDefinition PropagateTags = "TASK_DEFINITION"
)
