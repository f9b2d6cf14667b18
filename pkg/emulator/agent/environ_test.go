package agent

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var awsConnection = Endpoint{
	ID: "9B3B4F5E-1E2B-4B58-8D0C-7A0A3A1B2C3D", Name: "AWS ECR Dev", Type: "AWS", URL: "https://aws.amazon.com/",
	Scheme:     "UsernamePassword",
	Parameters: map[string]string{"username": "AKIAEXAMPLE", "password": "s3cret/key", "assumeRoleArn": "arn:aws:iam::1:role/deploy"},
	Data:       map[string]string{"some key": "x"},
}

func TestEnvironment(t *testing.T) {
	tests := []struct {
		name  string
		job   Job
		want  []string // with {root} for the agent's folder
		lacks []string // names
	}{
		{
			name: "every declared input is set, left out ones to their defaults",
			want: []string{"INPUT_SCRIPT=", "INPUT_TAG=1042", "INPUT_WAIT=true", "INPUT_CONNECTION="},
		},
		{
			name: "inputs are trimmed, then expanded; unknown macros stay",
			job: Job{
				Inputs:    map[string]string{"Script": "\n a\n b $(team) $(nobody) \n", "tag": "$(spaced)"},
				Variables: map[string]string{"team": "red", "spaced": " x "},
			},
			want: []string{"INPUT_SCRIPT=a\n b red $(nobody)", "INPUT_TAG= x "},
		},
		{
			name: "macros also name the machine's environment",
			job:  Job{Inputs: map[string]string{"tag": "$(MACHINE)"}, Environ: []string{"MACHINE=m1"}},
			want: []string{"INPUT_TAG=m1", "MACHINE=m1"},
		},
		{
			name: "an empty file path arrives as the repository's root",
			want: []string{"INPUT_FILE={root}/_work/1/s"},
		},
		{
			name: "variables are spelled with underscores, dashes stay",
			job:  Job{Variables: map[string]string{"AWS.Region": "eu-west-1", "my var-x": "$(AWS.Region)!"}},
			want: []string{"AWS_REGION=eu-west-1", "MY_VAR-X=eu-west-1!", "BUILD_BUILDID=1042", "agent.jobstatus=Succeeded", "AGENT_JOBSTATUS=Succeeded", "TF_BUILD=True"},
		},
		{
			name:  "secret variables have their own prefix and expand",
			job:   Job{Secrets: map[string]string{"AWS.SecretAccessKey": "hush"}, Inputs: map[string]string{"tag": "$(aws.secretaccesskey)"}},
			want:  []string{"SECRET_AWS_SECRETACCESSKEY=hush", "INPUT_TAG=hush", `VSTS_SECRET_VARIABLES=["AWS.SecretAccessKey","system.accessToken"]`, "SECRET_SYSTEM_ACCESSTOKEN=job-access-token-0123456789"},
			lacks: []string{"AWS_SECRETACCESSKEY"},
		},
		{
			name: "a connection is named in the YAML file and arrives by its id",
			job:  Job{Inputs: map[string]string{"awsConnection": "AWS ECR Dev"}, Endpoints: []Endpoint{awsConnection}},
			want: []string{
				"INPUT_CONNECTION=9b3b4f5e-1e2b-4b58-8d0c-7a0a3a1b2c3d",
				"ENDPOINT_URL_9b3b4f5e-1e2b-4b58-8d0c-7a0a3a1b2c3d=https://aws.amazon.com/",
				`ENDPOINT_AUTH_9b3b4f5e-1e2b-4b58-8d0c-7a0a3a1b2c3d={"parameters":{"assumeRoleArn":"arn:aws:iam::1:role/deploy","password":"s3cret/key","username":"AKIAEXAMPLE"},"scheme":"UsernamePassword"}`,
				"ENDPOINT_AUTH_SCHEME_9b3b4f5e-1e2b-4b58-8d0c-7a0a3a1b2c3d=UsernamePassword",
				"ENDPOINT_AUTH_PARAMETER_9b3b4f5e-1e2b-4b58-8d0c-7a0a3a1b2c3d_ASSUMEROLEARN=arn:aws:iam::1:role/deploy",
				"ENDPOINT_DATA_9b3b4f5e-1e2b-4b58-8d0c-7a0a3a1b2c3d_SOME_KEY=x",
			},
			lacks: []string{"INPUT_AWSCONNECTION"},
		},
		{
			name:  "a connection that no input names stays away",
			job:   Job{Endpoints: []Endpoint{awsConnection}},
			lacks: []string{"ENDPOINT_URL_9b3b4f5e-1e2b-4b58-8d0c-7a0a3a1b2c3d"},
		},
		{
			name: "the job's own connection is always there",
			job:  Job{Token: "t0ken", CollectionURL: "http://127.0.0.1:1"},
			want: []string{"ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN=t0ken", "ENDPOINT_URL_SYSTEMVSSCONNECTION=http://127.0.0.1:1/"},
		},
		{
			name: "a classic release has the primary artifact's build",
			job: Job{HostType: HostRelease, Release: Release{
				ID: 12, Name: "Release-12", Definition: "chat", Environment: "prod", Attempt: 1,
				Artifacts: []Artifact{
					{Alias: "_chat-app", BuildID: 77, SourceBranch: "refs/heads/main"},
					{Alias: "_infra", BuildID: 5},
				},
			}},
			want: []string{
				"SYSTEM_HOSTTYPE=release", "RELEASE_RELEASENAME=Release-12", "RELEASE_ENVIRONMENTNAME=prod", "BUILD_BUILDID=77",
				"RELEASE_ARTIFACTS__CHAT-APP_BUILDID=77", "RELEASE_ARTIFACTS__INFRA_BUILDID=5", "INPUT_TAG=77",
				"SYSTEM_DEFAULTWORKINGDIRECTORY={root}/_work/r1/a", "BUILD_SOURCEBRANCHNAME=main",
			},
			lacks: []string{"SECRET_SYSTEM_ACCESSTOKEN", "BUILD_SOURCESDIRECTORY"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("AWS_SECRET_ACCESS_KEY", "of the developer")
			root := t.TempDir()
			got := environ(t, tt.job, root)
			for _, want := range tt.want {
				want = strings.ReplaceAll(want, "{root}", root)
				if !slices.Contains(got, want) {
					name, _, _ := strings.Cut(want, "=")
					t.Errorf("want %q, got %q", want, withName(got, name))
				}
			}
			for _, name := range append(tt.lacks, "AWS_SECRET_ACCESS_KEY") {
				if found := withName(got, name); found != nil {
					t.Errorf("want no %s, got %q", name, found)
				}
			}
		})
	}
}

func TestUnknownConnection(t *testing.T) {
	job := Job{TaskDir: "testdata/task", Inputs: map[string]string{"connection": "AWS ECR Prod"}, Endpoints: []Endpoint{awsConnection}}
	_, err := job.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), `input connection: the pipeline has no service connection "AWS ECR Prod" of type AWS`) {
		t.Errorf("got %v", err)
	}
}

func TestInputUnderTwoNames(t *testing.T) {
	_, err := Job{TaskDir: "testdata/task", Inputs: map[string]string{"awsConnection": "AWS ECR Dev", "Connection": "AWS ECR Dev"}, Endpoints: []Endpoint{awsConnection}}.Run(t.Context())
	if want := "the step has input connection twice, as Connection and as awsConnection"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMaskedFromTheStart(t *testing.T) {
	job, task, dirs := prepare(t, Job{
		Endpoints: []Endpoint{awsConnection},
		Secrets:   map[string]string{"k": "two\nlines", "blank": "  "},
		Token:     "t0ken",
	}, t.TempDir())
	env, err := job.environment(task, dirs)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AKIAEXAMPLE", "s3cret/key", "arn:aws:iam::1:role/deploy", "t0ken", "two%0Alines", "dHdvCmxpbmVz"} {
		if !slices.Contains(env.masks, want) {
			t.Errorf("%q is not masked, only %q", want, env.masks)
		}
	}
	if slices.Contains(env.masks, "  ") {
		t.Error("white space is masked")
	}
}

func prepare(t *testing.T, job Job, root string) (Job, definition, directories) {
	t.Helper()
	job.TaskDir = "testdata/task"
	job, err := job.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := makeDirectories(root, job.HostType)
	if err != nil {
		t.Fatal(err)
	}
	task, err := readTask(filepath.FromSlash(job.TaskDir))
	if err != nil {
		t.Fatal(err)
	}
	return job, task, dirs
}

func environ(t *testing.T, job Job, root string) []string {
	t.Helper()
	job, task, dirs := prepare(t, job, root)
	env, err := job.environment(task, dirs)
	if err != nil {
		t.Fatal(err)
	}
	return env.list()
}

func withName(environ []string, name string) []string {
	var found []string
	for _, pair := range environ {
		if strings.HasPrefix(pair, name+"=") {
			found = append(found, pair)
		}
	}
	return found
}

// An agent before 5.277 lets public variables replace what belongs to the step.
func TestOrderOfVariables(t *testing.T) {
	variables := map[string]string{"INPUT_TAG": "evil", "endpoint.url.systemvssconnection": "https://evil/"}
	for last, want := range map[bool][2]string{false: {"good", "https://dev.azure.com/example/"}, true: {"evil", "https://evil/"}} {
		job, task, dirs := prepare(t, Job{PublicLast: last, Variables: variables, Inputs: map[string]string{"tag": "good"}}, t.TempDir())
		env, err := job.environment(task, dirs)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{env.values["INPUT_TAG"], env.values["ENDPOINT_URL_SYSTEMVSSCONNECTION"]}; got != want {
			t.Errorf("public variables last: %v: got %q, want %q", last, got, want)
		}
		if !strings.Contains(env.values["VSTS_PUBLIC_VARIABLES"], `"INPUT_TAG"`) {
			t.Errorf("the variable is not listed: %s", env.values["VSTS_PUBLIC_VARIABLES"])
		}
	}
}

// A public variable that a secret is put into is handed over as a secret.
func TestSecretsSpread(t *testing.T) {
	job, task, dirs := prepare(t, Job{Variables: map[string]string{"url": "http://me:$(pw)@h"}, Secrets: map[string]string{"pw": "hunter2"}}, t.TempDir())
	env, err := job.environment(task, dirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := env.values["URL"]; ok || env.values["SECRET_URL"] != "http://me:hunter2@h" {
		t.Errorf("URL %q, SECRET_URL %q", env.values["URL"], env.values["SECRET_URL"])
	}
}

// A classic job can allow scripts to access the token, which then is a public variable.
func TestPublicToken(t *testing.T) {
	for public, want := range map[bool]string{false: "", true: "token-0123"} {
		job, task, dirs := prepare(t, Job{HostType: HostRelease, PublicToken: public, Token: "token-0123"}, t.TempDir())
		env, err := job.environment(task, dirs)
		if err != nil {
			t.Fatal(err)
		}
		if got := env.values["SYSTEM_ACCESSTOKEN"]; got != want {
			t.Errorf("SYSTEM_ACCESSTOKEN is %q, want %q", got, want)
		}
	}
}
