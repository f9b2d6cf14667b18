// Package input turns the environment an agent gives a task into one validated
// value: the inputs, what the agent says of the run, and the AWS variables of
// the pipeline. Nothing else in this program reads the environment for inputs.
//
// Every mistake is reported at once, under the name the input has in YAML. The
// package does not call AWS, does not open files, and does not print: what must
// be masked is returned by [Secrets], what has no effect by Inputs.Ignored.
package input

import (
	"strings"
	"time"

	"ecsdeploy/pkg/mistake"
)

// Command is what the task is asked to do.
type Command string

// The commands.
const (
	Deploy  Command = "deploy"  // push, then roll out
	Push    Command = "push"    // push to ECR only
	Rollout Command = "rollout" // roll out an image that is in ECR already

	Verify       Command = "verify"       // check what deploy or rollout would need, and change nothing
	Placeholder  Command = "placeholder"  // put the hello-world image into ECR
	CurrentImage Command = "currentImage" // say which image each service runs
	Rollback     Command = "rollback"     // go back to the last good revision
	Resume       Command = "resume"       // answer a deployment that waits at a lifecycle hook
	Drift        Command = "drift"        // say whether services run what was deployed last
	RunTask      Command = "runTask"      // run a one-off task in the network of a service
)

// Commands lists all commands in the order in which people meet them.
func Commands() []Command {
	return []Command{Deploy, Push, Rollout, Verify, Placeholder, CurrentImage, Rollback, Resume, RunTask, Drift}
}

// Config is everything the task takes from its environment.
type Config struct {
	Inputs   Inputs
	Pipeline Pipeline
	AWS      Variables
	Build    Build // that the image of the run comes from; see Pipeline.Source
	Server   Server
}

// Inputs are the inputs of the task, each valid by itself and together with the
// others. Inputs that the command does not use are zero and, if they were given,
// named in Ignored.
type Inputs struct {
	Command    Command
	Connection *Connection // nil when awsCredentials is empty
	Region     string      // only the input; may be empty
	Role       Role

	// SourceConnection reads a docker:// image of another account; nil where the run's
	// own identity does (input sourceCredentials).
	SourceConnection *Connection

	Image       string // reference, path, or docker:// reference; may be empty for Rollout
	Platform    string // os/arch[/variant], or empty
	Compression Compression
	LazyLoading bool // write a SOCI index for the image
	Referrers   bool // push what refers to the image, too
	// FailOn is the severity from which on a finding of the image's scan ends the run;
	// empty where no scan is waited for (input failOnVulnerabilities).
	FailOn Severity
	// InsecureRegistries are hosts, with their ports, that may be spoken to over
	// plain HTTP.
	InsecureRegistries []string
	Repository         string // name or full URI
	Tags               []string
	CreateRepository   bool
	// What a repository is created with; all zero where CreateRepository is not set.
	MutableTags     []string // filters of tags that may move (input imageTagMutabilityExclusions)
	KMSKey          string   // ID, ARN or alias; empty for AES256
	LifecyclePolicy string   // path of a file; may be empty

	Services          []Service // may be empty where TaskDefinition needs none: then a revision is registered and nothing else
	Containers        []string  // that get the image; empty where the task definition decides
	Images            []ContainerImage
	TaskDefinition    TaskDefinition
	Environment       []Variable
	RemoveEnvironment []VariableName
	Secrets           []Variable // Value is the valueFrom
	CPU, Memory       string     // as given: "256", "1 vCPU"; "512", "2 GB"
	ContainerCommand  []string   // nil when unset; empty, but not nil, for []
	MigrationCommand  []string   // of the task that runs before the services are changed; nil when unset

	PropagateTags      PropagateTags // empty when unset
	ManagedTags        *bool         // nil when unset (input enableECSManagedTags)
	DesiredCount       *int          // nil when unset
	ForceNewDeployment bool
	PinDigest          bool
	Wait               bool
	Timeout            time.Duration // more than 0 where the command waits
	TimeoutGiven       bool          // Timeout is not the default, which the agent hands over as if it had been typed
	DryRun             bool
	Summary            bool
	TagBuild           bool
	Marks              []Mark
	Recording          Recording // empty for commands that are not recorded

	Schedules         []Schedule
	AllSchedules      bool         // every rule and schedule of the services; Schedules is empty then
	KeepRevisions     int          // 0 is all
	Order             []Precedence // among Services; it does not contradict itself
	WhenBusy          WhenBusy
	WhenSecretsChange WhenSecretsChange
	OlderBuild        OlderBuild // the variable EcsDeploy.OlderBuild, where it is set, else the input
	MaxFailedTasks    int        // 0 is never
	OnFailure         Recovery
	OnCancel          Recovery
	WaitUntil         WaitUntil
	SmokeTests        []SmokeTest // of each service's new revision, in their order
	BuildID           string
	Action            Action // of resume
	HookID            string
	DefaultImage      string
	ArtifactAlias     string // whose build counts; empty for the one that the tags name, else the primary one

	Warnings []*mistake.Error // what is probably not meant, and does not keep the command from running
	Ignored  []string         // inputs that were given but have no effect for Command, in the order of task.json

	identifiers []Identifier
}

// Role is an IAM role to assume. ARN is empty for none.
type Role struct{ ARN, SessionName, ExternalID string }

// Service names an ECS service. Cluster is a name, or an ARN where one was given:
// ECS then refuses an ARN that belongs to another region or account.
type Service struct{ Cluster, Name string }

// ClusterName is the short name of the service's cluster.
func (s Service) ClusterName() string {
	return s.Cluster[strings.LastIndexByte(s.Cluster, '/')+1:]
}

// String is cluster/service, with the short name of the cluster.
func (s Service) String() string { return s.ClusterName() + "/" + s.Name }

// ContainerImage is the image of one container; SelfReference is that of the run.
type ContainerImage struct{ Container, Image string }
