package input_test

import (
	"reflect"
	"slices"
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
