// The inputs as text: which there are, their defaults, and which commands use
// them. These tags, task.json and docs/inputs.md are held together by a test.

package input

import (
	"reflect"
	"slices"
	"strings"
)

const (
	inputPrefix  = "INPUT_"
	secretPrefix = "SECRET_"
)

// fields holds the text of each input, in the order of task.json. The tag input
// is its name in YAML, the tag for the commands that use it. A default of
// $BUILD_BUILDID is what $(Build.BuildId) is in task.json.
type fields struct {
	Command            string `env:"INPUT_COMMAND, default=deploy" input:"command" for:"deploy push rollout verify placeholder currentImage rollback resume runTask drift"`
	AWSCredentials     string `env:"INPUT_AWSCREDENTIALS" input:"awsCredentials" for:"deploy push rollout verify placeholder currentImage rollback resume runTask drift"`
	Region             string `env:"INPUT_REGION" input:"region" for:"deploy push rollout verify placeholder currentImage rollback resume runTask drift"`
	TimeoutMinutes     string `env:"INPUT_TIMEOUTMINUTES, default=30" input:"timeoutMinutes" for:"deploy push rollout verify placeholder currentImage rollback resume runTask drift"`
	Repository         string `env:"INPUT_REPOSITORY" input:"repository" for:"deploy push rollout verify placeholder currentImage runTask"`
	CreateRepository   string `env:"INPUT_CREATEREPOSITORY, default=false" input:"createRepository" for:"deploy push verify placeholder"`
	MutableTags        string `env:"INPUT_IMAGETAGMUTABILITYEXCLUSIONS" input:"imageTagMutabilityExclusions" for:"deploy push verify placeholder"`
	KMSKey             string `env:"INPUT_KMSKEY" input:"kmsKey" for:"deploy push verify placeholder"`
	LifecyclePolicy    string `env:"INPUT_LIFECYCLEPOLICY" input:"lifecyclePolicy" for:"deploy push verify placeholder"`
	Container          string `env:"INPUT_CONTAINER" input:"container" for:"deploy rollout verify currentImage runTask"`
	Image              string `env:"INPUT_IMAGE" input:"image" for:"deploy push rollout verify runTask"`
	Tags               string `env:"INPUT_TAGS, default=$BUILD_BUILDID" input:"tags" for:"deploy push rollout verify runTask"`
	SourceImageTag     string `env:"INPUT_SOURCEIMAGETAG" input:"sourceImageTag" for:"deploy push verify"`
	Platform           string `env:"INPUT_PLATFORM" input:"platform" for:"deploy push verify"`
	Compression        string `env:"INPUT_COMPRESSION, default=gzip" input:"compression" for:"deploy push verify"`
	LazyLoading        string `env:"INPUT_LAZYLOADING, default=false" input:"lazyLoading" for:"deploy push verify"`
	Referrers          string `env:"INPUT_REFERRERS, default=false" input:"referrers" for:"deploy push verify"`
	SourceCredentials  string `env:"INPUT_SOURCECREDENTIALS" input:"sourceCredentials" for:"deploy push verify"`
	FailOn             string `env:"INPUT_FAILONVULNERABILITIES" input:"failOnVulnerabilities" for:"deploy push rollout verify"`
	InsecureRegistries string `env:"INPUT_INSECUREREGISTRIES" input:"insecureRegistries" for:"deploy push verify"`
	Cluster            string `env:"INPUT_CLUSTER" input:"cluster" for:"deploy rollout verify currentImage rollback resume runTask drift"`
	Services           string `env:"INPUT_SERVICES" input:"services" for:"deploy rollout verify currentImage rollback resume runTask drift"`
	Schedules          string `env:"INPUT_SCHEDULES" input:"schedules" for:"deploy rollout verify rollback resume"`
	TaskDefinition     string `env:"INPUT_TASKDEFINITION, default=latest" input:"taskDefinition" for:"deploy rollout verify runTask"`
	Images             string `env:"INPUT_IMAGES" input:"images" for:"deploy rollout verify"`
	Environment        string `env:"INPUT_ENVIRONMENT" input:"environment" for:"deploy rollout verify runTask"`
	RemoveEnvironment  string `env:"INPUT_REMOVEENVIRONMENT" input:"removeEnvironment" for:"deploy rollout verify"`
	Secrets            string `env:"INPUT_SECRETS" input:"secrets" for:"deploy rollout verify runTask"`
	CPU                string `env:"INPUT_CPU" input:"cpu" for:"deploy rollout verify runTask"`
	Memory             string `env:"INPUT_MEMORY" input:"memory" for:"deploy rollout verify runTask"`
	ContainerCommand   string `env:"INPUT_CONTAINERCOMMAND" input:"containerCommand" for:"deploy rollout verify runTask"`
	PinDigest          string `env:"INPUT_PINDIGEST, default=false" input:"pinDigest" for:"deploy rollout verify"`
	PropagateTags      string `env:"INPUT_PROPAGATETAGS" input:"propagateTags" for:"deploy rollout verify"`
	ManagedTags        string `env:"INPUT_ENABLEECSMANAGEDTAGS" input:"enableECSManagedTags" for:"deploy rollout verify"`
	DesiredCount       string `env:"INPUT_DESIREDCOUNT" input:"desiredCount" for:"deploy rollout verify"`
	ForceNewDeployment string `env:"INPUT_FORCENEWDEPLOYMENT, default=false" input:"forceNewDeployment" for:"deploy rollout verify"`
	KeepRevisions      string `env:"INPUT_KEEPREVISIONS, default=0" input:"keepRevisions" for:"deploy rollout verify"`
	WhenBusy           string `env:"INPUT_WHENBUSY, default=wait" input:"whenBusy" for:"deploy rollout verify"`
	WhenSecretsChange  string `env:"INPUT_WHENSECRETSCHANGE, default=deploy" input:"whenSecretsChange" for:"deploy rollout verify"`
	OlderBuild         string `env:"INPUT_OLDERBUILD, default=refuse" input:"olderBuild" for:"deploy rollout verify"`
	ArtifactAlias      string `env:"INPUT_ARTIFACTALIAS" input:"artifactAlias" for:"deploy rollout verify"`
	MaxFailedTasks     string `env:"INPUT_MAXFAILEDTASKS, default=3" input:"maxFailedTasks" for:"deploy rollout verify"`
	MigrationCommand   string `env:"INPUT_MIGRATIONCOMMAND" input:"migrationCommand" for:"deploy rollout verify"`
	Order              string `env:"INPUT_ORDER" input:"order" for:"deploy rollout verify"`
	OnFailure          string `env:"INPUT_ONFAILURE, default=rollback" input:"onFailure" for:"deploy rollout verify"`
	OnCancel           string `env:"INPUT_ONCANCEL, default=rollback" input:"onCancel" for:"deploy rollout verify"`
	Wait               string `env:"INPUT_WAIT, default=true" input:"wait" for:"deploy rollout rollback resume runTask"`
	WaitUntil          string `env:"INPUT_WAITUNTIL, default=completed" input:"waitUntil" for:"deploy rollout rollback resume"`
	SmokeTest          string `env:"INPUT_SMOKETEST" input:"smokeTest" for:"deploy rollout resume"`
	BuildID            string `env:"INPUT_BUILDID" input:"buildId" for:"rollback"`
	Action             string `env:"INPUT_ACTION, default=continue" input:"action" for:"resume"`
	HookID             string `env:"INPUT_HOOKID" input:"hookId" for:"resume"`
	DefaultImage       string `env:"INPUT_DEFAULTIMAGE" input:"defaultImage" for:"currentImage"`
	RoleARN            string `env:"INPUT_ROLEARN" input:"roleArn" for:"deploy push rollout verify placeholder currentImage rollback resume runTask drift"`
	RoleSessionName    string `env:"INPUT_ROLESESSIONNAME" input:"roleSessionName" for:"deploy push rollout verify placeholder currentImage rollback resume runTask drift"`
	ExternalID         string `env:"INPUT_EXTERNALID" input:"externalId" for:"deploy push rollout verify placeholder currentImage rollback resume runTask drift"`
	Summary            string `env:"INPUT_SUMMARY, default=true" input:"summary" for:"deploy push rollout placeholder rollback resume runTask drift"`
	TagBuild           string `env:"INPUT_TAGBUILD, default=false" input:"tagBuild" for:"deploy rollout rollback"`
	Marks              string `env:"INPUT_MARKS" input:"marks" for:"deploy rollout rollback"`
	Recording          string `env:"INPUT_RECORDING, default=onFailure" input:"recording" for:"deploy push rollout rollback resume runTask"`
	DryRun             string `env:"INPUT_DRYRUN, default=false" input:"dryRun" for:"deploy push rollout placeholder rollback resume runTask"`
}

// defaultTags is the default of tags as task.json has it. It reaches the task
// unexpanded in a release that has no build artifact.
const defaultTags = "$(Build.BuildId)"

// field is one input of a fields value.
type field struct {
	name string
	text *string
	uses []string // the commands that use it
}

// all lists the inputs in order.
func (f *fields) all() []field {
	v := reflect.ValueOf(f).Elem()
	var list []field
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if name := tag.Get("input"); name != "" {
			list = append(list, field{name, v.Field(i).Addr().Interface().(*string), strings.Fields(tag.Get("for"))})
		}
	}
	return list
}

// ignore empties the inputs that command does not use and names those of them
// that were given. A designer keeps what was typed before another command was
// chosen, so this is no mistake, and what they hold is not checked.
func (f *fields) ignore(command Command, defaults *fields) (ignored []string) {
	standard := defaults.all()
	for i, in := range f.all() {
		used := slices.Contains(in.uses, string(command))
		if in.name == "tags" && f.Image != "" && (command == Rollout || command == Verify && f.Repository == "") || in.name == "tags" && command == RunTask && (f.Image != "" || f.Repository == "") {
			used = false // tags only completes a repository without an image
		}
		if used {
			continue
		}
		value := *in.text
		if value != "" && value != defaultTags && !strings.EqualFold(value, *standard[i].text) {
			ignored = append(ignored, in.name)
		}
		*in.text = ""
	}
	return ignored
}
