package session

import (
	"context"
	"errors"
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
			identity{source: connectionInput, keys: connected, roleSource: connectionInput, role: named}},
		{"role of the connection, from the agent's own identity", Options{Connection: &Connection{Role: role("connection")}},
			identity{source: connectionInput, keys: Keys{}, roleSource: connectionInput, role: assumed("connection", "ecsdeploy", "", time.Hour)}},
		{"the connection hides the variables", Options{Connection: &Connection{Keys: connected}, Variables: Variables{Keys: variable, Role: role("variable")}},
			identity{source: connectionInput, keys: connected}},
		{"keys of the variables", Options{Variables: Variables{Keys: variable}},
			identity{source: keyVariables, keys: variable}},
		{"keys and role of the variables", Options{Variables: Variables{Keys: variable, Role: role("variable")}},
			identity{source: keyVariables, keys: variable, roleSource: "variable AWS.AssumeRoleArn", role: assumed("variable", "ecsdeploy", "", time.Hour)}},
		{"role of the variables, from the agent's own identity", Options{Variables: Variables{Role: role("variable")}},
			identity{source: defaultChain, keys: Keys{}, roleSource: "variable AWS.AssumeRoleArn", role: assumed("variable", "ecsdeploy", "", time.Hour)}},
		{"the input role takes the place of the connection's, whole", Options{Connection: &Connection{Keys: connected, Role: named}, Role: role("input"), Name: "azure-pipelines-7"},
			identity{source: connectionInput, keys: connected, roleSource: "input roleArn", role: assumed("input", "azure-pipelines-7", "", time.Hour)}},
		{"the input role takes the place of the variables'", Options{Variables: Variables{Keys: variable, Role: role("variable")}, Role: role("input")},
			identity{source: keyVariables, keys: variable, roleSource: "input roleArn", role: assumed("input", "ecsdeploy", "", time.Hour)}},
		{"the input role from the agent's own identity", Options{Role: Role{ARN: role("input").ARN, SessionName: "mine", ExternalID: "x2", Duration: 15 * time.Minute}},
			identity{source: defaultChain, keys: Keys{}, roleSource: "input roleArn", role: assumed("input", "mine", "x2", 15*time.Minute)}},
		{"session name and external id of the inputs, for the connection's role", Options{Connection: &Connection{Keys: connected, Role: named}, Role: Role{SessionName: "mine", ExternalID: "x2"}},
			identity{source: connectionInput, keys: connected, roleSource: connectionInput, role: assumed("connection", "mine", "x2", 2*time.Hour)}},
		{"duration of the variable, for every role", Options{Role: role("input"), Variables: Variables{MaxDuration: "43200"}},
			identity{source: defaultChain, keys: Keys{}, roleSource: "input roleArn", role: assumed("input", "ecsdeploy", "", 12*time.Hour)}},
		{"duration without a role is nothing", Options{Variables: Variables{MaxDuration: "43200"}}, identity{source: defaultChain}},
		{"roles of other partitions and with paths", Options{Role: Role{ARN: "arn:aws-us-gov:iam::123456789012:role/ci/deploy"}},
			identity{source: defaultChain, keys: Keys{}, roleSource: "input roleArn", role: Role{ARN: "arn:aws-us-gov:iam::123456789012:role/ci/deploy", SessionName: "ecsdeploy", Duration: time.Hour}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, warnings, err := choose(tt.o, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(warnings) != 0 {
				t.Errorf("warnings %q", warnings)
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
		{"a connection with OIDC and nobody to ask", Options{Connection: &Connection{Role: role("x"), UseOIDC: true}}, []string{"awsCredentials", "OIDC", "no token of Azure Pipelines"}},
		{"a connection with OIDC and no role", Options{Connection: &Connection{UseOIDC: true}, IDToken: nobody}, []string{"awsCredentials", "names no role", "roleArn"}},
		{"an empty connection", Options{Connection: &Connection{}, Role: role("input"), Variables: Variables{Keys: variable}}, []string{"awsCredentials", "neither access keys nor a role"}},
		{"half a key in the connection", Options{Connection: &Connection{Keys: Keys{AccessKeyID: "A"}}}, []string{"awsCredentials", "only the id"}},
		{"the other half", Options{Connection: &Connection{Keys: Keys{SecretAccessKey: "S"}}}, []string{"awsCredentials", "only the secret"}},
		{"half a key in the variables", Options{Variables: Variables{Keys: Keys{AccessKeyID: "A", SessionToken: "T"}}}, []string{"AWS.AccessKeyID", "only the id"}},
		{"not an ARN", Options{Role: Role{ARN: "deploy"}}, []string{"roleArn", `"deploy"`, "arn:aws:iam::123456789012:role/"}},
		{"the ARN of a user", Options{Connection: &Connection{Keys: connected, Role: Role{ARN: "arn:aws:iam::123456789012:user/x"}}}, []string{"awsCredentials", "user/x"}},
		{"a session name that STS does not take", Options{Role: Role{ARN: role("x").ARN, SessionName: "build 7"}}, []string{"roleSessionName", `"build 7"`}},
		{"the same from the connection", Options{Connection: &Connection{Role: Role{ARN: role("x").ARN, SessionName: "é"}}}, []string{"awsCredentials: session name"}},
		{"a session name that is too long", Options{Role: Role{ARN: role("x").ARN, SessionName: strings.Repeat("x", 65)}}, []string{"roleSessionName", "2 to 64"}},
		{"an external id for no role", Options{Role: Role{ExternalID: "x"}}, []string{"externalId", "roleArn"}},
		{"a session name for no role", Options{Role: Role{SessionName: "xx"}}, []string{"roleSessionName", "roleArn"}},
		{"a session that is too short", Options{Role: Role{ARN: role("x").ARN, Duration: time.Minute}}, []string{"60 seconds", "900 to 43200"}},
		{"several mistakes at once", Options{Connection: &Connection{}, Role: Role{ARN: "x", SessionName: "!", Duration: 1}},
			[]string{"awsCredentials", "roleArn", "roleSessionName", "900 to 43200"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := choose(tt.o, "")
			mentions(t, err, tt.mentions...)
		})
	}
}

func nobody(context.Context, string) (string, error) { return "", errors.New("nobody there") }

// The order of credentials, with a token of Azure DevOps to be had.
func TestChooseOIDC(t *testing.T) {
	federated := &Connection{ID: "7d", Role: role("connection"), UseOIDC: true}
	for _, tt := range []struct {
		name  string
		o     Options
		agent string
		want  identity
		warns string
	}{
		{"the connection's", Options{Connection: federated}, "",
			identity{source: connectionInput, oidc: true, connectionID: "7d", roleSource: connectionInput, role: assumed("connection", "ecsdeploy", "", time.Hour)}, ""},
		{"the connection's, for the role of the input", Options{Connection: federated, Role: Role{ARN: role("input").ARN, SessionName: "mine"}}, "",
			identity{source: connectionInput, oidc: true, connectionID: "7d", roleSource: roleInput, role: assumed("input", "mine", "", time.Hour)}, ""},
		{"the connection's, whatever the agent has", Options{Connection: federated, Variables: Variables{Keys: variable}}, "AWS_PROFILE",
			identity{source: connectionInput, oidc: true, connectionID: "7d", roleSource: connectionInput, role: assumed("connection", "ecsdeploy", "", time.Hour)}, ""},
		{"its keys have no effect", Options{Connection: &Connection{ID: "7d", Keys: connected, Role: role("connection"), UseOIDC: true}}, "",
			identity{source: connectionInput, oidc: true, connectionID: "7d", roleSource: connectionInput, role: assumed("connection", "ecsdeploy", "", time.Hour)}, ""},
		{"its external id has none either", Options{Connection: &Connection{ID: "7d", Role: Role{ARN: role("connection").ARN, ExternalID: "x"}, UseOIDC: true}}, "",
			identity{source: connectionInput, oidc: true, connectionID: "7d", roleSource: connectionInput, role: assumed("connection", "ecsdeploy", "", time.Hour)}, "external id"},
		{"a connection with keys does not ask", Options{Connection: &Connection{Keys: connected}, Role: role("input")}, "",
			identity{source: connectionInput, keys: connected, roleSource: roleInput, role: assumed("input", "ecsdeploy", "", time.Hour)}, ""},
		{"the pipeline's, for a role alone", Options{Role: role("input"), Variables: Variables{MaxDuration: "900"}}, "",
			identity{source: pipelineOIDC, oidc: true, roleSource: roleInput, role: assumed("input", "ecsdeploy", "", 15*time.Minute)}, ""},
		{"a leftover session token does not count", Options{Role: role("input"), Variables: Variables{Keys: Keys{SessionToken: "t"}}}, "",
			identity{source: pipelineOIDC, oidc: true, roleSource: roleInput, role: assumed("input", "ecsdeploy", "", time.Hour)}, "AWS.SessionToken"},
		{"keys of the variables come first", Options{Role: role("input"), Variables: Variables{Keys: variable}}, "",
			identity{source: keyVariables, keys: variable, roleSource: roleInput, role: assumed("input", "ecsdeploy", "", time.Hour)}, ""},
		{"so does what the agent's environment names", Options{Role: role("input")}, "AWS_PROFILE",
			identity{source: defaultChain, roleSource: roleInput, role: assumed("input", "ecsdeploy", "", time.Hour)}, ""},
		{"a role of the variables is assumed from the agent, as by AWS's own tasks", Options{Variables: Variables{Role: role("variable")}}, "",
			identity{source: defaultChain, roleSource: roleVariable, role: assumed("variable", "ecsdeploy", "", time.Hour)}, ""},
		{"no role, no token", Options{}, "", identity{source: defaultChain}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.IDToken = nobody
			got, warnings, err := choose(tt.o, tt.agent)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if text := strings.Join(warnings, "\n"); tt.warns == "" && text != "" || !strings.Contains(text, tt.warns) {
				t.Errorf("warnings %q, want %q", text, tt.warns)
			}
		})
	}
}

// What AWS's own tasks ignore is a warning here, too.
func TestChooseWarns(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"a leftover session token", Options{Variables: Variables{Keys: Keys{SessionToken: "t"}}}, "AWS.SessionToken"},
		{"one in a connection with a role", Options{Connection: &Connection{Keys: Keys{SessionToken: "t"}, Role: role("x")}}, "awsCredentials"},
		{"a short session", Options{Role: role("x"), Variables: Variables{MaxDuration: "60"}}, `"60" is ignored: expected 900 to 43200 seconds`},
		{"a long session", Options{Role: role("x"), Variables: Variables{MaxDuration: "46800"}}, "maxduration"},
		{"no number", Options{Role: role("x"), Variables: Variables{MaxDuration: "1h"}}, "maxduration"},
		{"far too long", Options{Role: role("x"), Variables: Variables{MaxDuration: "99999999999999999999"}}, "maxduration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, warnings, err := choose(tt.o, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(warnings) != 1 || !strings.Contains(warnings[0], tt.want) {
				t.Errorf("warnings %q, want %q", warnings, tt.want)
			}
			if !got.keys.empty() || got.role.ARN != "" && got.role.Duration != time.Hour {
				t.Errorf("chose %+v", got)
			}
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
