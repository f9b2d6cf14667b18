package input_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/input"
)

var push = []string{"command", "push", "image", "i", "repository", "repo"}

func TestPipelineOfABuild(t *testing.T) {
	got, err := load(t, append(slices.Clone(push),
		"SYSTEM_HOSTTYPE", "build", "BUILD_BUILDNUMBER", "20260504.1", "BUILD_DEFINITIONNAME", "chat", "BUILD_SOURCEVERSION", "abc",
		"BUILD_SOURCEBRANCH", "refs/heads/main", "BUILD_REPOSITORY_NAME", "chat-app", "SYSTEM_JOBATTEMPT", "2", "SYSTEM_STAGENAME", "Dev", "SYSTEM_JOBNAME", "deploy",
		"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "https://dev.azure.com/org/", "SYSTEM_TEAMPROJECT", "proj", "SYSTEM_TEAMPROJECTID", "guid",
		"AGENT_TEMPDIRECTORY", "/agent/_temp", "SYSTEM_DEFAULTWORKINGDIRECTORY", "/agent/1/s", "SYSTEM_DEBUG", "True")...)
	want := input.Pipeline{
		HostType: "build", BuildID: "1234", BuildNumber: "20260504.1", DefinitionName: "chat", SourceVersion: "abc", SourceBranch: "refs/heads/main",
		Repository: "chat-app", Attempt: "2", StageName: "Dev", JobName: "deploy", CollectionURI: "https://dev.azure.com/org/",
		Project: "proj", ProjectID: "guid", TempDirectory: "/agent/_temp", WorkingDirectory: "/agent/1/s", Debug: true,
	}
	if err != nil || !reflect.DeepEqual(got.Pipeline, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got.Pipeline, err, want)
	}
}

func TestPipelineOfAClassicRelease(t *testing.T) {
	got, err := load(t, append(slices.Clone(push),
		"SYSTEM_HOSTTYPE", "release", "RELEASE_RELEASEID", "77", "RELEASE_RELEASENAME", "Release-77", "RELEASE_DEFINITIONNAME", "chat release",
		"RELEASE_ENVIRONMENTNAME", "Production", "RELEASE_ATTEMPTNUMBER", "3", "SYSTEM_JOBATTEMPT", "1", "AGENT_JOBNAME", "Agent job",
		"SYSTEM_COLLECTIONURI", "https://a/", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "https://b/", "SYSTEM_DEBUG", "perhaps")...)
	want := input.Pipeline{
		HostType: "release", BuildID: "1234", ReleaseID: "77", ReleaseName: "Release-77", ReleaseDefinitionName: "chat release",
		ReleaseEnvironment: "Production", Attempt: "3", JobName: "Agent job", CollectionURI: "https://a/",
	}
	if err != nil || !reflect.DeepEqual(got.Pipeline, want) || !got.Pipeline.InRelease() {
		t.Errorf("got  %+v, %v\nwant %+v", got.Pipeline, err, want)
	}
}

// A pipeline variable is found whether it is secret or not.
func TestVariables(t *testing.T) {
	got, err := load(t, append(slices.Clone(push),
		"AWS_ACCESSKEYID", "AKIA", "SECRET_AWS_SECRETACCESSKEY", "s3cr3t", "SECRET_AWS_SESSIONTOKEN", "t0k3n",
		"SECRET_AWS_ASSUMEROLEARN", "arn:aws:iam::123456789012:role/r", "AWS_EXTERNALID", "x", "AWS_ROLESESSIONNAME", "rs",
		"AWS_REGION", "eu-west-1", "AWS_ROLECREDENTIAL_MAXDURATION", "3600")...)
	if err != nil {
		t.Fatal(err)
	}
	want := input.Variables{
		AccessKeyID: "AKIA", SecretAccessKey: input.NewSecret("s3cr3t"), SessionToken: input.NewSecret("t0k3n"),
		AssumeRoleARN: "arn:aws:iam::123456789012:role/r", ExternalID: "x", RoleSessionName: "rs", Region: "eu-west-1", MaxDuration: "3600",
	}
	if !reflect.DeepEqual(got.AWS, want) {
		t.Errorf("got %+v, want %+v", got.AWS, want)
	}
}

func TestVariablesMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		given []string
		want  []string
	}{
		"half of the keys": {[]string{"AWS_ACCESSKEYID", "AKIA"},
			[]string{"only one of the variables AWS.AccessKeyID and AWS.SecretAccessKey has a value"}},
		"half of the keys, not needed":       {[]string{"AWS_ACCESSKEYID", "AKIA", "awsCredentials", id, "ENDPOINT_AUTH_" + id, `{"parameters":{"username":"a","password":"b"}}`}, nil},
		"region":                             {[]string{"AWS_REGION", "Ireland"}, []string{`variable AWS.Region: "Ireland" is not the code of an AWS region`}},
		"region, not needed":                 {[]string{"AWS_REGION", "Ireland", "region", "eu-west-1"}, nil},
		"duration, which the session checks": {[]string{"AWS_ROLECREDENTIAL_MAXDURATION", "60"}, nil},
	} {
		_, err := load(t, append(slices.Clone(push), test.given...)...)
		if got := mistakes(t, err); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

var secondArtifact = []string{
	"RELEASE_RELEASEID", "7", "BUILD_DEFINITIONID", "17", "BUILD_DEFINITIONNAME", "chat", "BUILD_SOURCEVERSION", "abc",
	"SYSTEM_COLLECTIONID", "col", "SYSTEM_TEAMPROJECTID", "proj", "SYSTEM_TEAMPROJECT", "Shop", "RELEASE_PRIMARYARTIFACTSOURCEALIAS", "_chat",
	"RELEASE_ARTIFACTS__CHAT_BUILDID", "1234", "RELEASE_ARTIFACTS__CHAT_DEFINITIONID", "17",
	"RELEASE_ARTIFACTS__MY_WORKER_BUILDID", "88", "RELEASE_ARTIFACTS__MY_WORKER_BUILDNUMBER", "20260504.1", "RELEASE_ARTIFACTS__MY_WORKER_DEFINITIONID", "21",
	"RELEASE_ARTIFACTS__MY_WORKER_DEFINITIONNAME", "worker", "RELEASE_ARTIFACTS__MY_WORKER_SOURCEVERSION", "def",
	"RELEASE_ARTIFACTS__MY_WORKER_PROJECTID", "other",
}

// A build, its pipeline and its commit belong together, whichever it is.
func TestBuildOfTheImage(t *testing.T) {
	rollout := []string{"command", "rollout", "cluster", "dev", "services", "web"}
	worker := input.Build{Alias: "_MY_WORKER", ID: "88", Number: "20260504.1", CollectionID: "col", Project: "Shop", ProjectID: "other",
		Definition: "worker", DefinitionID: "21", Commit: "def"}
	chat := input.Build{ID: "1234", CollectionID: "col", Project: "Shop", ProjectID: "proj", Definition: "chat", DefinitionID: "17", Commit: "abc"}
	for name, test := range map[string]struct {
		given []string
		want  input.Build
	}{
		"the primary artifact":      {[]string{"repository", "repo"}, chat},
		"the tag's artifact":        {[]string{"repository", "repo", "tags", "88"}, worker},
		"the tag's number":          {[]string{"repository", "repo", "tags", "20260504.1"}, worker},
		"a tag beside a digest":     {[]string{"image", "h.io/web:88@sha256:" + strings.Repeat("a", 64)}, worker},
		"the artifact of a tag":     {[]string{"image", "h.io/web:88"}, worker},
		"the alias":                 {[]string{"repository", "repo", "tags", "v1", "artifactAlias", "_my.worker"}, worker},
		"the primary one by alias":  {[]string{"repository", "repo", "tags", "88", "artifactAlias", "_chat"}, input.Build{Alias: "_CHAT", ID: "1234", CollectionID: "col", Project: "Shop", ProjectID: "proj", DefinitionID: "17"}},
		"a tag that is no build id": {[]string{"repository", "repo", "tags", "v1.0.0"}, chat},
	} {
		got, err := load(t, slices.Concat(rollout, secondArtifact, test.given)...)
		if err != nil || got.Build != test.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", name, got.Build, err, test.want)
		}
	}
	elsewhere, err := load(t, slices.Concat(rollout, secondArtifact, []string{"repository", "repo", "RELEASE_ARTIFACTS__CHAT_PROJECTID", "apps", "RELEASE_ARTIFACTS__CHAT_PROJECTNAME", "Apps"})...)
	if err != nil || elsewhere.Build.Key() != "col/apps/17" || elsewhere.Build.Project != "Apps" || elsewhere.Build.Commit != "abc" {
		t.Errorf("the primary artifact of another project: got %+v, %v", elsewhere.Build, err)
	}
	if worker.Key() != "col/other/21" || (input.Build{ProjectID: "p", DefinitionID: "1"}).Key() != "" {
		t.Errorf("key %q", worker.Key())
	}
}

// In YAML the image may come from a run of a pipeline resource.
func TestBuildOfAPipelineResource(t *testing.T) {
	given := []string{"command", "rollout", "repository", "repo", "cluster", "dev", "services", "web", "tags", "900",
		"SYSTEM_DEFINITIONID", "5", "SYSTEM_COLLECTIONID", "col", "SYSTEM_TEAMPROJECTID", "proj", "BUILD_SOURCEVERSION", "own",
		"RESOURCES_PIPELINE_APP_RUNID", "900", "RESOURCES_PIPELINE_APP_PIPELINEID", "12", "RESOURCES_PIPELINE_APP_PIPELINENAME", "chat",
		"RESOURCES_PIPELINE_APP_PROJECTID", "p2", "RESOURCES_PIPELINE_APP_SOURCECOMMIT", "fed", "RESOURCES_PIPELINE_APP_RUNNAME", "2026.1"}
	got, err := load(t, given...)
	if err != nil || got.Build.ID != "900" || got.Build.Key() != "col/p2/12" || got.Build.Commit != "fed" || got.Build.Definition != "chat" {
		t.Errorf("got %+v, %v", got.Build, err)
	}
	got, err = load(t, append(given, "tags", "1234")...)
	if err != nil || got.Build.ID != "1234" || got.Build.Key() != "col/proj/5" || got.Build.Commit != "own" {
		t.Errorf("own build: got %+v, %v", got.Build, err)
	}
}

// An id tells one build, a number may be that of several: where the tag is both, the id
// counts.
func TestTheIDCountsBeforeTheNumber(t *testing.T) {
	given := []string{"command", "rollout", "repository", "repo", "cluster", "dev", "services", "web", "tags", "900", "BUILD_BUILDNUMBER", "900",
		"RESOURCES_PIPELINE_A_RUNID", "41", "RESOURCES_PIPELINE_A_RUNNAME", "900", "RESOURCES_PIPELINE_B_RUNID", "900", "RESOURCES_PIPELINE_B_PIPELINEID", "12"}
	got, err := load(t, given...)
	if err != nil || got.Build.Alias != "B" || got.Build.DefinitionID != "12" {
		t.Errorf("got %+v, %v", got.Build, err)
	}
}

func TestRerun(t *testing.T) {
	for name, test := range map[string]struct {
		given []string
		want  bool
	}{
		"first attempt":         {[]string{"SYSTEM_JOBATTEMPT", "1", "SYSTEM_STAGEATTEMPT", "1"}, false},
		"unknown":               {nil, false},
		"stage again":           {[]string{"SYSTEM_JOBATTEMPT", "1", "SYSTEM_STAGEATTEMPT", "2"}, true},
		"job again":             {[]string{"SYSTEM_JOBATTEMPT", "3"}, true},
		"release again":         {[]string{"RELEASE_RELEASEID", "7", "RELEASE_ATTEMPTNUMBER", "2", "SYSTEM_JOBATTEMPT", "1"}, true},
		"release, first":        {[]string{"RELEASE_RELEASEID", "7", "RELEASE_ATTEMPTNUMBER", "1"}, false},
		"nonsense is no number": {[]string{"SYSTEM_STAGEATTEMPT", "x"}, false},
	} {
		got, err := load(t, append(slices.Clone(push), test.given...)...)
		if err != nil || got.Pipeline.Rerun() != test.want {
			t.Errorf("%s: %t, %v", name, got.Pipeline.Rerun(), err)
		}
	}
}

// The variable can be set where inputs cannot.
func TestOlderBuildVariable(t *testing.T) {
	base := []string{"command", "rollout", "repository", "repo", "cluster", "dev", "services", "web"}
	for value, want := range map[string]input.OlderBuild{"": input.OlderRefuse, "allow": input.OlderAllow, "Allow": input.OlderAllow, "refuse": input.OlderRefuse} {
		got, err := load(t, append(slices.Clone(base), "ECSDEPLOY_OLDERBUILD", value)...)
		if err != nil || got.Inputs.OlderBuild != want {
			t.Errorf("%q: %q, %v", value, got.Inputs.OlderBuild, err)
		}
	}
	_, err := load(t, append(slices.Clone(base), "ECSDEPLOY_OLDERBUILD", "yes")...)
	if got := mistakes(t, err); !slices.Equal(got, []string{`variable EcsDeploy.OlderBuild: "yes" is none of refuse, allow`}) {
		t.Errorf("mistakes %q", got)
	}
}

func TestVariableLookup(t *testing.T) {
	lookup := input.VariableLookup(map[string]string{
		"DB_HOST": "db", "BUILD_BUILDID": "7", "Lower": "x", "SECRET_TOKEN": "t", "HOSTNAME": "agent", "PATH": "/bin",
		"INPUT_IMAGE": "i", "SYSTEM_ACCESSTOKEN": "t", "EMPTY": "",
	})
	for name, want := range map[string]string{
		"DB_HOST": "db", "Build.BuildId": "7", "lower": "x", "Empty": "", "Token": "secret", "token": "secret",
		"hostname": "none", "Path": "none", "pwd": "none", "Input.Image": "none", "System.AccessToken": "none", "Missing": "none", "Secret.Token": "none",
	} {
		value, secret, ok := lookup(name)
		switch {
		case secret && value == "":
			value = "secret"
		case !ok:
			value = "none"
		}
		if value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
}

// The collection's URL becomes part of tags: what authorizes its bearer does not.
func TestCollectionWithoutUserinfo(t *testing.T) {
	for address, want := range map[string]string{
		"https://dev.azure.com/org/":               "https://dev.azure.com/org/",
		"https://dev.azure.com/my%20org/":          "https://dev.azure.com/my%20org/",
		"https://user:pat@tfs.example.com/tfs/DC/": "https://tfs.example.com/tfs/DC/",
		"https://pat@tfs.example.com:8080/tfs/":    "https://tfs.example.com:8080/tfs/",
		"https://user:p%zz@tfs.example.com/":       "https://tfs.example.com/",
		"https://user:p/w@tfs.example.com/":        "https://tfs.example.com/",
	} {
		got, err := load(t, append(slices.Clone(push), "SYSTEM_COLLECTIONURI", address)...)
		if err != nil || got.Pipeline.CollectionURI != want {
			t.Errorf("%s: got %s, %v, want %s", address, got.Pipeline.CollectionURI, err, want)
		}
	}
}
