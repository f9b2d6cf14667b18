package input_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/mistake"
)

func TestSecrets(t *testing.T) {
	got := input.Secrets([]string{
		"PATH=/bin",
		"=C:=C:\\", // as Windows has them
		"INPUT_ENVIRONMENT=A=1",
		"SECRET_AWS_SECRETACCESSKEY=variable",
		"Secret_Lower=lower",
		"SECRET_EMPTY=",
		"SECRET_BLANK=  ",
		"VSTS_SECRET_VARIABLES=[\"A\"]",
		"AWS_ACCESSKEYID=AKIA",
		"AWS_SECRETACCESSKEY=public by mistake",
		"AWS_SECRET_ACCESS_KEY=sdk",
		"SYSTEM_ACCESSTOKEN=mapped token",
		"ENDPOINT_URL_SYSTEMVSSCONNECTION=https://dev.azure.com/org/",
		"ENDPOINT_AUTH_SCHEME_SYSTEMVSSCONNECTION=OAuth",
		"ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN=job token",
		`ENDPOINT_AUTH_SYSTEMVSSCONNECTION={"parameters":{"AccessToken":"job token"},"scheme":"OAuth"}`,
		`ENDPOINT_AUTH_` + id + `={"parameters":{"username":"AKIA","password":"p","sessionToken":"st","assumeRoleArn":"arn:aws:iam::1:role/r","roleSessionName":"rs","externalId":"x","useOIDC":"true","new":"n"}}`,
		"ENDPOINT_AUTH_PARAMETER_" + id + "_USEOIDC=true",
		"ENDPOINT_AUTH_PARAMETER_" + id + "_ASSUMEROLEARN=arn:aws:iam::1:role/r",
		"ENDPOINT_AUTH_PARAMETER_" + id + "_PASSWORD=p",
		"ENDPOINT_AUTH_PARAMETER_" + id + "_SOME_KEY=k",
		"ENDPOINT_DATA_" + id + "=d",
		"SECUREFILE_NAME_1=file.txt",
		"SECUREFILE_TICKET_1=ticket",
		"ENDPOINT_AUTH_broken={",
		"DOCKER_HOST=tcp://user:p@ss/w#rd@10.0.0.1:2375",
		"HTTPS_PROXY=http://user:100%25sure@proxy:8080/",
		"BUILD_REPOSITORY_URI=https://example@dev.azure.com/example/_git/app",
		"IMAGE=registry:5000/app@sha256:0, https://registry:5000/app@sha256:0",
	})
	want := []string{"100%25sure", "100%sure", "job token", "k", "lower", "mapped token", "n", "p", "p@ss/w#rd", "public by mistake", "sdk", "st", "ticket", "variable"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPrivate(t *testing.T) {
	private := []string{
		"INPUT_IMAGE=i", "Input_Image=i", "ENDPOINT_AUTH_X={}", "ENDPOINT_URL_X=u", "SECRET_A=a", "SECUREFILE_TICKET_1=t", "VSTS_TASKVARIABLE_X=x",
		"AWS_ACCESSKEYID=a", "AWS_SECRETACCESSKEY=b", "AWS_SESSIONTOKEN=c", "SYSTEM_ACCESSTOKEN=h",
	}
	public := []string{
		"PATH=/bin", "DOCKER_HOST=unix:///x", "VSTS_PROCESS_LOOKUP_ID=vsts_1", "BUILD_BUILDID=1234", "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=http://x", "=C:=C:\\",
		"AWS_ACCESS_KEY_ID=the agent's own, which the SDK reads", "AWS_WEB_IDENTITY_TOKEN_FILE=/t",
	}
	got := input.Private(slices.Concat(public, private))
	var want []string
	for _, entry := range private {
		name, _, _ := strings.Cut(entry, "=")
		want = append(want, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestOverriddenInputsAreRefused(t *testing.T) {
	for names, want := range map[string]string{
		`["Build.BuildId","Endpoint.Url","SECRET_NAME","services","InputServices","my.INPUT.SERVICES"]`: "",
		`["a","INPUT_SERVICES"]`:                       `a variable named "INPUT_SERVICES", which can replace what the step was given ("INPUT_SERVICES")`,
		`["input.services"]`:                           `a variable named "input.services", which can replace what the step was given ("INPUT_SERVICES")`,
		`["Input of mine"]`:                            `"INPUT_OF_MINE"`,
		`["endpoint.auth.` + id + `"]`:                 `a variable named "endpoint.auth.` + id + `"`,
		`["ENDPOINT_URL_SYSTEMVSSCONNECTION"]`:         `"ENDPOINT_URL_SYSTEMVSSCONNECTION"`,
		`["SecureFile Ticket_1"]`:                      `"SECUREFILE_TICKET_1"`,
		`["secret.aws.secretaccesskey"]`:               `"SECRET_AWS_SECRETACCESSKEY"`,
		`["secret_system.accesstoken"]`:                `"SECRET_SYSTEM_ACCESSTOKEN"`,
		`{}`:                                           "cannot be read",
		`["a",`:                                        "cannot be read",
		`["\u0069nput.##vso[task.debug]` + `\n` + `"]`: `"input.##vso[task.debug]\n"`,
	} {
		cfg, err := load(t, "command", "push", "image", "", "VSTS_PUBLIC_VARIABLES", names) // image is missing: a mistake of its own
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "image") || strings.Contains(err.Error(), "variable named") {
				t.Errorf("%s: %v", names, err)
			}
			continue
		}
		m, ok := errors.AsType[*mistake.Error](err)
		if !ok || !strings.Contains(m.Error(), want) || m.Hint() == "" || strings.Contains(m.Error(), "image") {
			t.Errorf("%s: got %v, want %s", names, err, want)
		}
		if cfg.Inputs.Command != "" {
			t.Errorf("%s: something was read", names)
		}
	}
}

// Whatever the environment holds, what is listed as secret is no blank, listed once
// and taken from it; a password in a URL is among it.
func FuzzSecrets(f *testing.F) {
	f.Add("ENDPOINT_AUTH_"+id, `{"parameters":{"password":"p","useOIDC":true}}`)
	f.Add("SECRET_A", "x")
	f.Add("DOCKER_HOST", "tcp://a:b@c:d@e")
	f.Add("ENDPOINT_AUTH_PARAMETER__", "")
	f.Fuzz(func(t *testing.T, name, value string) {
		secrets := input.Secrets([]string{name + "=" + value, "PATH=/bin", "X=https://u:known@h/"})
		if !slices.Contains(secrets, "known") || !slices.IsSorted(secrets) || len(slices.Compact(slices.Clone(secrets))) != len(secrets) {
			t.Errorf("secrets %q", secrets)
		}
		for _, secret := range secrets {
			if strings.TrimSpace(secret) == "" {
				t.Errorf("a blank secret in %q", secrets)
			}
		}
		input.Private([]string{name + "=" + value})
	})
}

// Whatever a service connection holds, it is read or refused, and its secrets are
// in no message.
func FuzzConnection(f *testing.F) {
	f.Add(`{"parameters":{"username":"AKIA","password":"hunter2hunter2"},"scheme":"UsernamePassword"}`)
	f.Add(`{"parameters":{"username":null,"password":["x"]}}`)
	f.Add(`{"parameters":{"useOIDC":"true","assumeRoleArn":"hunter2hunter2"}}`)
	f.Add("[" + strings.Repeat("[", 10_000))
	f.Fuzz(func(t *testing.T, auth string) {
		cfg, err := load(t, "command", "push", "image", "i", "repository", "repo", "awsCredentials", id, "ENDPOINT_AUTH_"+id, auth)
		if (err == nil) != (cfg.Inputs.Connection != nil) {
			t.Errorf("connection %v with error %v", cfg.Inputs.Connection, err)
		}
		if err != nil && strings.Contains(auth, "hunter2hunter2") && strings.Contains(err.Error(), "hunter2hunter2") {
			t.Errorf("a secret in %v", err)
		}
		if c := cfg.Inputs.Connection; c != nil && (c.AccessKeyID == "") != (c.SecretAccessKey.Reveal() == "") {
			t.Error("half a key was taken")
		}
	})
}
