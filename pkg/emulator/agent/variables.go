package agent

// The predefined variables of a build and of a classic release.
// https://learn.microsoft.com/azure/devops/pipelines/build/variables
// https://learn.microsoft.com/azure/devops/pipelines/release/variables

import (
	"maps"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// HostType is the kind of pipeline that a job belongs to; it is System.HostType.
type HostType string

// The kinds of pipeline: a YAML or classic build pipeline, and a classic release.
const (
	HostBuild   HostType = "build"
	HostRelease HostType = "release"
)

// Release describes a classic release and the stage that the job belongs to.
type Release struct {
	ID          int
	Name        string // "Release-12"
	Definition  string
	Environment string // the stage
	Attempt     int
	Artifacts   []Artifact // the first is the primary one
}

// Artifact is a build that a classic release consumes.
type Artifact struct {
	Alias         string // "_chat-app"
	BuildID       int
	BuildNumber   string
	Definition    string
	SourceVersion string
	SourceBranch  string
}

const (
	projectID = "a3a0c7d4-6f52-4c2e-9a58-5b0f4f4e6c10"
	planID    = "7c7b9d4b-1c0b-4d68-a0ea-6a7a8a9b9f55"
	jobID     = "12f1170f-54f2-53f3-20dd-22fc7dff55f9"
)

// predefined returns the variables that the agent and the server set.
func (j Job) predefined(task definition, dirs directories) map[string]string {
	v := map[string]string{
		"Agent.HomeDirectory":   dirs.root,
		"Agent.Id":              "8",
		"Agent.JobName":         "Deploy",
		"agent.jobstatus":       "Succeeded",
		"Agent.MachineName":     "stand-in",
		"Agent.Name":            "stand-in",
		"Agent.OS":              agentOS(),
		"Agent.OSArchitecture":  strings.ToUpper(strings.Replace(runtime.GOARCH, "amd64", "x64", 1)),
		"Agent.RootDirectory":   dirs.work,
		"Agent.TempDirectory":   dirs.temp,
		"Agent.ToolsDirectory":  dirs.tools,
		"Agent.Version":         agentVersion(j.PublicLast),
		"Agent.IsSelfHosted":    "1",
		"System.JobDisplayName": "Deploy",
		"System.PhaseAttempt":   "1",
		"System.PhaseId":        jobID,
		"System.StageAttempt":   "1",
		"System.WorkFolder":     dirs.work,
		"Pipeline.Workspace":    dirs.job,
		"Agent.WorkFolder":      dirs.work,
		"System.CollectionId":   "6b1f3c52-2b36-4d6e-8f0c-0c8d1c2b7a01",
		"System.CollectionUri":  j.CollectionURL,
		"System.Culture":        "en-US",
		"System.HostType":       string(j.HostType),
		"System.JobAttempt":     "1",
		"System.JobId":          jobID,
		"System.PlanId":         planID,
		"System.ServerType":     "Hosted",
		"System.TeamProject":    "Example",
		"System.TeamProjectId":  projectID,
		"System.TimelineId":     planID,
		"System.TaskInstanceId": "5f0d0a5e-6d0a-4f2b-8d6c-9c9e1b7c1a11",

		"System.ArtifactsDirectory":          filepath.Join(dirs.job, "a"),
		"System.DefaultWorkingDirectory":     dirs.working,
		"System.OidcRequestUri":              j.oidcURL(),
		"System.TaskDisplayName":             task.FriendlyName,
		"System.TaskInstanceName":            j.Name,
		"System.TeamFoundationCollectionUri": j.CollectionURL,
		"System.TeamFoundationServerUri":     j.CollectionURL,
	}
	if j.HostType == HostRelease {
		maps.Copy(v, j.Release.variables(dirs))
		return v
	}
	maps.Copy(v, buildVariables(Artifact{
		BuildID:       1042,
		BuildNumber:   "20260105.2",
		Definition:    "chat-app",
		SourceVersion: "6f1c0a2f3b9f4f6f8a2c7e0d5b1a9c3e4d2f1b0a",
		SourceBranch:  "refs/heads/main",
	}))
	maps.Copy(v, map[string]string{
		"Agent.BuildDirectory":           dirs.job,
		"Build.ArtifactStagingDirectory": filepath.Join(dirs.job, "a"),
		"Build.BinariesDirectory":        filepath.Join(dirs.job, "b"),
		"Build.Reason":                   "IndividualCI",
		"Build.Repository.LocalPath":     dirs.working,
		"Build.SourcesDirectory":         dirs.working,
		"Build.StagingDirectory":         filepath.Join(dirs.job, "a"),
		"Common.TestResultsDirectory":    filepath.Join(dirs.job, "TestResults"),
		"System.DefinitionId":            "17",
		"System.JobName":                 "Deploy",
		"System.PhaseDisplayName":        "Deploy",
		"System.PhaseName":               "Deploy",
		"System.StageDisplayName":        "Deploy",
		"System.StageName":               "Deploy",
	})
	return v
}

// buildVariables are the Build.* variables that a build has of itself and a release has of its primary artifact.
func buildVariables(a Artifact) map[string]string {
	return map[string]string{
		"Build.BuildId":             strconv.Itoa(a.BuildID),
		"Build.BuildNumber":         a.BuildNumber,
		"Build.BuildUri":            "vstfs:///Build/Build/" + strconv.Itoa(a.BuildID),
		"Build.DefinitionName":      a.Definition,
		"Build.Repository.Name":     a.Definition,
		"Build.Repository.Provider": "TfsGit",
		"Build.RequestedFor":        "Ada Lovelace",
		"Build.SourceBranch":        a.SourceBranch,
		"Build.SourceBranchName":    a.SourceBranch[strings.LastIndex(a.SourceBranch, "/")+1:],
		"Build.SourceVersion":       a.SourceVersion,
	}
}

func (r Release) variables(dirs directories) map[string]string {
	id := strconv.Itoa(r.ID)
	v := map[string]string{
		"Agent.ReleaseDirectory":            filepath.Join(dirs.job, "a"),
		"Release.AttemptNumber":             strconv.Itoa(r.Attempt),
		"Build.DefinitionId":                "17",
		"Release.DefinitionId":              "5",
		"Release.DefinitionName":            r.Definition,
		"Release.EnvironmentId":             id,
		"Release.ReleaseWebURL":             "https://dev.azure.com/example/_release?releaseId=" + id,
		"Release.SkipArtifactDownload":      "False",
		"Release.DeploymentID":              id,
		"Release.EnvironmentName":           r.Environment,
		"Release.EnvironmentUri":            "vstfs:///ReleaseManagement/Environment/" + id,
		"Release.Reason":                    "ContinuousIntegration",
		"Release.ReleaseId":                 id,
		"Release.ReleaseName":               r.Name,
		"Release.ReleaseUri":                "vstfs:///ReleaseManagement/Release/" + id,
		"Release.RequestedFor":              "Ada Lovelace",
		"Release.SkipArtifactsDownload":     "False",
		"Release.TriggeringArtifact.Alias":  "",
		"Release.PrimaryArtifactSourceType": "Build",
	}
	for i, a := range r.Artifacts {
		if i == 0 {
			maps.Copy(v, buildVariables(a))
			v["Release.PrimaryArtifactSourceAlias"] = a.Alias
			v["Release.TriggeringArtifact.Alias"] = a.Alias
		}
		prefix := "Release.Artifacts." + a.Alias + "."
		v[prefix+"BuildId"] = strconv.Itoa(a.BuildID)
		v[prefix+"BuildNumber"] = a.BuildNumber
		v[prefix+"DefinitionId"] = "17"
		v[prefix+"DefinitionName"] = a.Definition
		v[prefix+"SourceBranch"] = a.SourceBranch
		v[prefix+"SourceVersion"] = a.SourceVersion
		v[prefix+"Type"] = "Build"
	}
	return v
}

func (j Job) oidcURL() string {
	return j.CollectionURL + projectID + "/_apis/distributedtask/hubs/" + string(j.HostType) + "/plans/" + planID +
		"/jobs/" + jobID + "/oidctoken"
}

// agentVersion is that of an agent with one order of variables or the other.
func agentVersion(publicLast bool) string {
	if publicLast {
		return "4.276.0"
	}
	return "5.277.0"
}

func agentOS() string {
	switch runtime.GOOS {
	case "windows":
		return "Windows_NT"
	case "darwin":
		return "Darwin"
	}
	return "Linux"
}
