// The run as the agent describes it, and the AWS variables of a pipeline.

package input

// Pipeline is what the agent says of the run. Anything may be empty: classic
// releases, YAML pipelines and older servers do not set the same variables.
// Source: Azure DevOps documentation, "Use predefined variables" and "Classic
// release and artifacts variables".
type Pipeline struct {
	HostType string `env:"SYSTEM_HOSTTYPE"` // build; release or deployment in a classic release

	BuildID        string `env:"BUILD_BUILDID"` // in a release: the primary artifact's
	BuildNumber    string `env:"BUILD_BUILDNUMBER"`
	DefinitionName string `env:"BUILD_DEFINITIONNAME"`
	SourceVersion  string `env:"BUILD_SOURCEVERSION"`
	SourceBranch   string `env:"BUILD_SOURCEBRANCH"`
	Repository     string `env:"BUILD_REPOSITORY_NAME"`

	ReleaseID             string `env:"RELEASE_RELEASEID"`
	ReleaseName           string `env:"RELEASE_RELEASENAME"`
	ReleaseDefinitionName string `env:"RELEASE_DEFINITIONNAME"`
	ReleaseEnvironment    string `env:"RELEASE_ENVIRONMENTNAME"`

	Attempt   string `env:"RELEASE_ATTEMPTNUMBER, default=$SYSTEM_JOBATTEMPT"` // counts from 1
	StageName string `env:"SYSTEM_STAGENAME"`
	JobName   string `env:"SYSTEM_JOBNAME, default=$AGENT_JOBNAME"`

	CollectionURI string `env:"SYSTEM_COLLECTIONURI, default=$SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"`
	Project       string `env:"SYSTEM_TEAMPROJECT"`
	ProjectID     string `env:"SYSTEM_TEAMPROJECTID"`

	TempDirectory    string `env:"AGENT_TEMPDIRECTORY"`            // emptied after the job
	WorkingDirectory string `env:"SYSTEM_DEFAULTWORKINGDIRECTORY"` // relative paths start here

	Debug bool // System.Debug is true: debug lines are shown
}

// InRelease reports whether the run is a classic release.
func (p Pipeline) InRelease() bool { return p.ReleaseID != "" }

// Variables are the AWS variables of a pipeline, secret or not: AWS.AccessKeyID
// and so on. AccessKeyID and SecretAccessKey are both set or both empty, unless
// there is a service connection.
type Variables struct {
	AccessKeyID     string `env:"AWS_ACCESSKEYID"`
	SecretAccessKey Secret `env:"AWS_SECRETACCESSKEY"`
	SessionToken    Secret `env:"AWS_SESSIONTOKEN"`
	AssumeRoleARN   string `env:"AWS_ASSUMEROLEARN"`
	ExternalID      string `env:"AWS_EXTERNALID"`
	RoleSessionName string `env:"AWS_ROLESESSIONNAME"`
	Region          string `env:"AWS_REGION"`
	MaxDuration     string `env:"AWS_ROLECREDENTIAL_MAXDURATION"` // seconds, as given; the session checks it
}
