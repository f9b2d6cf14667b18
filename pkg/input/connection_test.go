package input_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/input"
)

const id = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"

func TestConnection(t *testing.T) {
	auth := `{"parameters":{"username":"AKIA","password":"s3cr3t","sessionToken":"t0k3n","assumeRoleArn":"arn:aws:iam::123456789012:role/r",` +
		`"roleSessionName":"rs","externalId":"x","useOIDC":"false","other":null},"scheme":"UsernamePassword"}`
	for _, given := range []string{id, strings.ToUpper(id)} {
		got, err := load(t, "command", "push", "image", "i", "repository", "repo", "awsCredentials", given, "ENDPOINT_AUTH_"+id, auth)
		if err != nil {
			t.Fatal(err)
		}
		want := input.Connection{
			ID: given, AccessKeyID: "AKIA", SecretAccessKey: input.NewSecret("s3cr3t"), SessionToken: input.NewSecret("t0k3n"),
			AssumeRoleARN: "arn:aws:iam::123456789012:role/r", RoleSessionName: "rs", ExternalID: "x",
		}
		c := *got.Inputs.Connection
		if c.SecretAccessKey.Reveal() != "s3cr3t" || c.SessionToken.Reveal() != "t0k3n" {
			t.Errorf("secrets are %q and %q", c.SecretAccessKey.Reveal(), c.SessionToken.Reveal())
		}
		c.SecretAccessKey, c.SessionToken = want.SecretAccessKey, want.SessionToken
		if c != want {
			t.Errorf("got %+v, want %+v", c, want)
		}
		if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, "s3cr3t") || strings.Contains(text, "t0k3n") {
			t.Errorf("printing the config shows a secret: %s", text)
		}
	}
}

func TestConnectionKinds(t *testing.T) {
	for name, test := range map[string]struct{ auth, want string }{
		"keys":             {`{"parameters":{"username":"a","password":"b"}}`, ""},
		"role only":        {`{"parameters":{"assumeRoleArn":"arn:aws:iam::123456789012:role/r"}}`, ""},
		"federation":       {`{"parameters":{"useOIDC":"True","assumeRoleArn":"arn:aws:iam::123456789012:role/r"}}`, ""},
		"other case":       {`{"Parameters":{"UserName":"a","PASSWORD":"b"}}`, ""},
		"not there":        {"", `the agent has no service connection "` + id + `"`},
		"not JSON":         {`hunter2`, "the service connection \"" + id + "\" cannot be read"},
		"of another type":  {`{"parameters":{"apitoken":"hunter2"}}`, "the service connection has neither keys nor a role"},
		"no parameters":    {`null`, "the service connection has neither keys nor a role"},
		"key without key":  {`{"parameters":{"username":"a"}}`, "the service connection has only one of access key id and secret access key"},
		"secret alone":     {`{"parameters":{"password":"hunter2"}}`, "the service connection has only one of access key id and secret access key"},
		"role is not one":  {`{"parameters":{"assumeRoleArn":"deployer"}}`, "the role of the service connection is not the ARN of an IAM role"},
		"values of a kind": {`{"parameters":{"username":1}}`, "the service connection \"" + id + "\" cannot be read"},
	} {
		_, err := load(t, "command", "push", "image", "i", "repository", "repo", "awsCredentials", id, "ENDPOINT_AUTH_"+id, test.auth)
		var want []string
		if test.want != "" {
			want = []string{"input awsCredentials: " + test.want}
		}
		if got := mistakes(t, err); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
