package session

import (
	"strings"
	"testing"
	"time"
)

var (
	connected = Keys{AccessKeyID: "AKIACONNECTION", SecretAccessKey: "s"}
	variable  = Keys{AccessKeyID: "AKIAVARIABLE", SecretAccessKey: "s"}
)

func role(name string) Role { return Role{ARN: "arn:aws:iam::123456789012:role/" + name} }

// assumed is the role as choose completes it.
func assumed(name, session, externalID string, d time.Duration) Role {
	return Role{ARN: role(name).ARN, SessionName: session, ExternalID: externalID, Duration: d}
}

func TestChoose(t *testing.T) {
	named := Role{ARN: role("connection").ARN, SessionName: "theirs", ExternalID: "x1", Duration: 2 * time.Hour}
	for _, tt := range []struct {
		name string
		o    Options
		want identity
	}{
		{"nothing given: the default chain", Options{}, identity{source: defaultChain}},
		{"keys of the connection", Options{Connection: &Connection{Keys: connected}},
			identity{source: connectionInput, keys: connected}},
		{"keys and role of the connection", Options{Connection: &Connection{Keys: connected, Role: named}},
			identity{connectionInput, connected, connectionInput, named}},
		{"role of the connection, from the agent's own identity", Options{Connection: &Connection{Role: role("connection")}},
			identity{connectionInput, Keys{}, connectionInput, assumed("connection", "ecsdeploy", "", time.Hour)}},
		{"the connection hides the variables", Options{Connection: &Connection{Keys: connected}, Variables: Variables{Keys: variable, Role: role("variable")}},
			identity{source: connectionInput, keys: connected}},
		{"keys of the variables", Options{Variables: Variables{Keys: variable}},
			identity{source: keyVariables, keys: variable}},
		{"keys and role of the variables", Options{Variables: Variables{Keys: variable, Role: role("variable")}},
			identity{keyVariables, variable, "variable AWS.AssumeRoleArn", assumed("variable", "ecsdeploy", "", time.Hour)}},
		{"role of the variables, from the agent's own identity", Options{Variables: Variables{Role: role("variable")}},
			identity{defaultChain, Keys{}, "variable AWS.AssumeRoleArn", assumed("variable", "ecsdeploy", "", time.Hour)}},
		{"the input role takes the place of the connection's, whole", Options{Connection: &Connection{Keys: connected, Role: named}, Role: role("input"), Name: "azure-pipelines-7"},
			identity{connectionInput, connected, "input roleArn", assumed("input", "azure-pipelines-7", "", time.Hour)}},
		{"the input role takes the place of the variables'", Options{Variables: Variables{Keys: variable, Role: role("variable")}, Role: role("input")},
			identity{keyVariables, variable, "input roleArn", assumed("input", "ecsdeploy", "", time.Hour)}},
		{"the input role from the agent's own identity", Options{Role: Role{ARN: role("input").ARN, SessionName: "mine", ExternalID: "x2", Duration: 15 * time.Minute}},
			identity{defaultChain, Keys{}, "input roleArn", assumed("input", "mine", "x2", 15*time.Minute)}},
		{"session name and external id of the inputs, for the connection's role", Options{Connection: &Connection{Keys: connected, Role: named}, Role: Role{SessionName: "mine", ExternalID: "x2"}},
			identity{connectionInput, connected, connectionInput, assumed("connection", "mine", "x2", 2*time.Hour)}},
		{"duration of the variable, for every role", Options{Role: role("input"), Variables: Variables{Role: Role{Duration: 12 * time.Hour}}},
			identity{defaultChain, Keys{}, "input roleArn", assumed("input", "ecsdeploy", "", 12*time.Hour)}},
		{"duration without a role is nothing", Options{Variables: Variables{Role: Role{Duration: 12 * time.Hour}}}, identity{source: defaultChain}},
		{"roles of other partitions and with paths", Options{Role: Role{ARN: "arn:aws-us-gov:iam::123456789012:role/ci/deploy"}},
			identity{defaultChain, Keys{}, "input roleArn", Role{ARN: "arn:aws-us-gov:iam::123456789012:role/ci/deploy", SessionName: "ecsdeploy", Duration: time.Hour}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := choose(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %+v with %q\nwant %+v with %q", got, got.keys.AccessKeyID, tt.want, tt.want.keys.AccessKeyID)
			}
		})
	}
}

func TestChooseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		o        Options
		mentions []string
	}{
		{"a connection with OIDC", Options{Connection: &Connection{Role: role("x"), UseOIDC: true}}, []string{"awsCredentials", "OIDC", "access keys or a role"}},
		{"an empty connection", Options{Connection: &Connection{}, Role: role("input"), Variables: Variables{Keys: variable}}, []string{"awsCredentials", "neither access keys nor a role"}},
		{"half a key in the connection", Options{Connection: &Connection{Keys: Keys{AccessKeyID: "A"}}}, []string{"awsCredentials", "only the id"}},
		{"the other half", Options{Connection: &Connection{Keys: Keys{SecretAccessKey: "S"}}}, []string{"awsCredentials", "only the secret"}},
		{"half a key in the variables", Options{Variables: Variables{Keys: Keys{SessionToken: "T"}}}, []string{"AWS.AccessKeyID", "only the session token"}},
		{"not an ARN", Options{Role: Role{ARN: "deploy"}}, []string{"roleArn", `"deploy"`, "arn:aws:iam::123456789012:role/"}},
		{"the ARN of a user", Options{Connection: &Connection{Keys: connected, Role: Role{ARN: "arn:aws:iam::123456789012:user/x"}}}, []string{"awsCredentials", "user/x"}},
		{"a session name that STS does not take", Options{Role: Role{ARN: role("x").ARN, SessionName: "build 7"}}, []string{"roleSessionName", `"build 7"`}},
		{"the same from the connection", Options{Connection: &Connection{Role: Role{ARN: role("x").ARN, SessionName: "é"}}}, []string{"awsCredentials: session name"}},
		{"a session name that is too long", Options{Role: Role{ARN: role("x").ARN, SessionName: strings.Repeat("x", 65)}}, []string{"roleSessionName", "2 to 64"}},
		{"an external id for no role", Options{Role: Role{ExternalID: "x"}}, []string{"externalId", "roleArn"}},
		{"a session name for no role", Options{Role: Role{SessionName: "xx"}}, []string{"roleSessionName", "roleArn"}},
		{"too short", Options{Role: role("x"), Variables: Variables{Role: Role{Duration: 60 * time.Second}}}, []string{"aws.rolecredential.maxduration", "60 seconds", "900 to 43200"}},
		{"too long", Options{Role: role("x"), Variables: Variables{Role: Role{Duration: 13 * time.Hour}}}, []string{"aws.rolecredential.maxduration"}},
		{"several mistakes at once", Options{Connection: &Connection{}, Role: Role{ARN: "x", SessionName: "!"}, Variables: Variables{Role: Role{Duration: 1}}},
			[]string{"awsCredentials", "roleArn", "roleSessionName", "maxduration"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := choose(tt.o)
			mentions(t, err, tt.mentions...)
		})
	}
}

func TestSessionName(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"azure-pipelines-42", "azure-pipelines-42"},
		{"Release 7: prod/eu", "Release-7--prod-eu"},
		{"Größe", "Gr--e"},
		{"", "ecsdeploy"},
		{"a", "ecsdeploy"},
		{strings.Repeat("a", 70), strings.Repeat("a", 64)},
	} {
		if got := sessionName(tt.in); got != tt.want {
			t.Errorf("sessionName(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzSessionName(f *testing.F) {
	f.Add("azure-pipelines-42")
	f.Add("é\x00##vso[task.complete]")
	f.Fuzz(func(t *testing.T, s string) {
		if got := sessionName(s); !isSessionName(got) {
			t.Errorf("%q makes %q, which STS does not take", s, got)
		}
	})
}
