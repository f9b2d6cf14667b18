package input_test

import (
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/input"
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
	})
	want := []string{"job token", "k", "lower", "mapped token", "n", "p", "public by mistake", "sdk", "st", "ticket", "variable"}
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
