// The run as the agent describes it, and the AWS variables of a pipeline.

package input

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Pipeline is what the agent says of the run. Anything may be empty: classic
// releases, YAML pipelines and older servers do not set the same variables.
// Source: Azure DevOps documentation, "Use predefined variables" and "Classic
// release and artifacts variables".
type Pipeline struct {
	HostType string `env:"SYSTEM_HOSTTYPE"` // build; release or deployment in a classic release

	BuildID        string `env:"BUILD_BUILDID"` // in a release: the primary artifact's
	BuildNumber    string `env:"BUILD_BUILDNUMBER"`
	DefinitionID   string `env:"BUILD_DEFINITIONID, default=$SYSTEM_DEFINITIONID"`
	DefinitionName string `env:"BUILD_DEFINITIONNAME"`
	SourceVersion  string `env:"BUILD_SOURCEVERSION"`
	SourceBranch   string `env:"BUILD_SOURCEBRANCH"`
	Repository     string `env:"BUILD_REPOSITORY_NAME"`

	ReleaseID             string `env:"RELEASE_RELEASEID"`
	ReleaseName           string `env:"RELEASE_RELEASENAME"`
	ReleaseWebURL         string `env:"RELEASE_RELEASEWEBURL"`
	ReleaseDefinitionName string `env:"RELEASE_DEFINITIONNAME"`
	ReleaseEnvironment    string `env:"RELEASE_ENVIRONMENTNAME"`
	EnvironmentName       string `env:"ENVIRONMENT_NAME"` // of a deployment job in YAML
	PrimaryAlias          string `env:"RELEASE_PRIMARYARTIFACTSOURCEALIAS"`

	Attempt      string `env:"RELEASE_ATTEMPTNUMBER, default=$SYSTEM_JOBATTEMPT"` // counts from 1
	StageAttempt string `env:"SYSTEM_STAGEATTEMPT"`                               // counts from 1
	StageName    string `env:"SYSTEM_STAGENAME"`
	JobName      string `env:"SYSTEM_JOBNAME, default=$AGENT_JOBNAME"`

	CollectionID  string `env:"SYSTEM_COLLECTIONID"`
	CollectionURI string `env:"SYSTEM_COLLECTIONURI, default=$SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"` // without userinfo
	Project       string `env:"SYSTEM_TEAMPROJECT"`
	ProjectID     string `env:"SYSTEM_TEAMPROJECTID"`

	TempDirectory    string `env:"AGENT_TEMPDIRECTORY"`            // emptied after the job
	WorkingDirectory string `env:"SYSTEM_DEFAULTWORKINGDIRECTORY"` // relative paths start here

	ContainerMapping string `env:"AGENT_CONTAINERMAPPING"` // JSON; only in jobs with containers
	SIGINTTimeout    string `env:"PROCESS_SIGINT_TIMEOUT"` // milliseconds between the agent's first signal and the next; see InterruptTimeout

	Debug bool // System.Debug is true: debug lines are shown

	// Artifacts are the builds that a classic release consumes, and in a YAML
	// pipeline the runs of its pipeline resources, by their aliases. An alias is in
	// upper case, with _ for blanks and dots, as variables have it.
	Artifacts []Build
}

// withoutUserinfo takes the user and password out of a URL: the URL becomes part of
// tags that everybody can read.
func withoutUserinfo(address string) string {
	u, err := url.Parse(address)
	if err == nil && u.User == nil {
		return address
	}
	if err == nil {
		u.User = nil
		return u.String()
	}
	scheme, rest, ok := strings.Cut(address, "://") // not readable as a URL: an @ ends the userinfo all the same
	if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return address
}

// InContainer reports whether the step may run in a container: whether the job has
// any.
func (p Pipeline) InContainer() bool {
	return p.ContainerMapping != "" && p.ContainerMapping != "{}"
}

// InterruptTimeout is how long the agent waits after the signal that cancels a step
// before it sends the next one; 0 where the pipeline does not set it.
func (p Pipeline) InterruptTimeout() time.Duration {
	ms, err := strconv.Atoi(p.SIGINTTimeout)
	if err != nil || ms < 0 {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// InRelease reports whether the run is a classic release.
func (p Pipeline) InRelease() bool { return p.ReleaseID != "" }

// Rerun reports whether the run is not the first attempt: a release that is
// deployed again, or a stage or job that is run again. That is how Azure DevOps
// goes back to an older build.
func (p Pipeline) Rerun() bool {
	again := func(attempt string) bool {
		n, err := strconv.Atoi(attempt)
		return err == nil && n > 1
	}
	return again(p.Attempt) || again(p.StageAttempt)
}

// Build is one build of a pipeline. What belongs to it belongs together: members
// that are empty are not known, and not another build's.
type Build struct {
	Alias string // of the artifact or pipeline resource; empty for the run's own build

	ID, Number               string
	CollectionID             string // of the organization
	Project, ProjectID       string
	Definition, DefinitionID string // of the pipeline
	Commit, Branch           string
	Repository               string
}

// Key tells the pipeline of the build apart from all others, and does not change
// when it is renamed or seen from another agent: collection id, project id and
// definition id with slashes between them. It is empty where one is not known.
func (b Build) Key() string {
	if b.CollectionID == "" || b.ProjectID == "" || b.DefinitionID == "" {
		return ""
	}
	return b.CollectionID + "/" + b.ProjectID + "/" + b.DefinitionID
}

// own is the run's own build, or in a release that of the primary artifact, which
// need not be a build.
func (p Pipeline) own() Build {
	if p.InRelease() && p.BuildID == "" {
		return Build{}
	}
	own := Build{
		ID: p.BuildID, Number: p.BuildNumber,
		CollectionID: p.CollectionID, Project: p.Project, ProjectID: p.ProjectID,
		Definition: p.DefinitionName, DefinitionID: p.DefinitionID,
		Commit: p.SourceVersion, Branch: p.SourceBranch, Repository: p.Repository,
	}
	for _, b := range p.Artifacts { // whose project need not be the release's
		if p.InRelease() && b.Alias == variableKey(p.PrimaryAlias) && b.ID == own.ID {
			own.Project, own.ProjectID = b.Project, b.ProjectID
		}
	}
	return own
}

// Source is the build that the image of the run comes from: that of the artifact
// or pipeline resource with the alias, else the one whose id or number is one of
// the tags of the image, else the run's own. An alias that the run does not have
// is an error.
func (p Pipeline) Source(alias string, tags ...string) (Build, error) {
	if alias != "" {
		for _, b := range p.Artifacts {
			if b.Alias == variableKey(alias) {
				return b, nil
			}
		}
		if alias == p.PrimaryAlias {
			return p.own(), nil
		}
		var names []string
		for _, b := range p.Artifacts {
			names = append(names, b.Alias)
		}
		hint := "this run has no artifacts of builds and no pipeline resources: leave artifactAlias empty"
		if len(names) > 0 {
			hint = "this run has " + strings.Join(names, ", ")
		}
		return Build{}, wrong(hint, "%s is not the alias of a build artifact or pipeline resource of this run", shown(alias))
	}
	own := p.own()
	for _, made := range []func(Build) bool{
		func(b Build) bool { return b.ID != "" && slices.Contains(tags, b.ID) },
		func(b Build) bool { return b.Number != "" && slices.Contains(tags, b.Number) }, // which two pipelines may share
	} {
		if made(own) {
			break
		}
		if i := slices.IndexFunc(p.Artifacts, made); i >= 0 {
			return p.Artifacts[i], nil
		}
	}
	return own, nil
}

// Where the variables of artifacts and of pipeline resources are.
const (
	artifactPrefix = "RELEASE_ARTIFACTS_"
	resourcePrefix = "RESOURCES_PIPELINE_"
)

// builds finds the artifacts and pipeline resources among the variables, whose
// names are in upper case.
func (p *Pipeline) builds(variables map[string]string) {
	for name, id := range variables {
		if alias, ok := cutAffixes(name, artifactPrefix, "_BUILDID"); ok && id != "" {
			of := func(what string) string { return variables[artifactPrefix+alias+"_"+what] }
			p.Artifacts = append(p.Artifacts, Build{
				Alias: alias, ID: id, Number: of("BUILDNUMBER"),
				CollectionID: p.CollectionID, Project: cmp.Or(of("PROJECTNAME"), p.Project), ProjectID: cmp.Or(of("PROJECTID"), p.ProjectID),
				Definition: of("DEFINITIONNAME"), DefinitionID: of("DEFINITIONID"),
				Commit: of("SOURCEVERSION"), Branch: of("SOURCEBRANCH"), Repository: of("REPOSITORY_NAME"),
			})
		}
		if alias, ok := cutAffixes(name, resourcePrefix, "_RUNID"); ok && id != "" {
			of := func(what string) string { return variables[resourcePrefix+alias+"_"+what] }
			p.Artifacts = append(p.Artifacts, Build{
				Alias: alias, ID: id, Number: of("RUNNAME"),
				CollectionID: p.CollectionID, Project: cmp.Or(of("PROJECTNAME"), p.Project), ProjectID: cmp.Or(of("PROJECTID"), p.ProjectID),
				Definition: of("PIPELINENAME"), DefinitionID: of("PIPELINEID"),
				Commit: of("SOURCECOMMIT"), Branch: of("SOURCEBRANCH"),
			})
		}
	}
	slices.SortFunc(p.Artifacts, func(a, b Build) int { return cmp.Compare(a.Alias, b.Alias) })
}

// cutAffixes returns what is between a prefix and a suffix.
func cutAffixes(s, prefix, suffix string) (string, bool) {
	s, begins := strings.CutPrefix(s, prefix)
	s, ends := strings.CutSuffix(s, suffix)
	return s, begins && ends && s != ""
}

// parseAlias takes the alias of an artifact, which may have blanks.
func parseAlias(text string) (string, error) {
	if strings.ContainsAny(text, "\r\n") {
		return "", wrong("name one artifact", "expected one alias, not several lines")
	}
	return text, nil
}

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
