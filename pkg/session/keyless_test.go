package session

// Keyless runs end to end: Azure DevOps signs a token, STS checks its signature
// with the issuer's keys and evaluates the role's trust policy.

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/azdo"
	"ecsdeploy/pkg/emulator"
	devops "ecsdeploy/pkg/emulator/azdo"
)

const (
	connectionID = "7d0a2c6e-3e0b-4c6b-8c3f-2a61f6f2c7b5"
	deployRole   = "arn:aws:iam::123456789012:role/ci/deploy"
)

// clouds are both emulators behind one transport.
type clouds struct {
	aws    *emulator.Emulator
	devops *devops.Server
	client *azdo.Client
	log    bytes.Buffer
	masked []string
}

func newClouds(t *testing.T) *clouds {
	t.Helper()
	c := &clouds{devops: devops.New(devops.Options{})}
	c.devops.AddConnection(connectionID, "aws-production")
	var err error
	if c.aws, err = emulator.New(emulator.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.aws.Close() })
	c.client = newAzureDevOps(t, c)
	return c
}

func newAzureDevOps(t *testing.T, c *clouds) *azdo.Client {
	t.Helper()
	client, err := azdo.New(azdo.Options{
		CollectionURL: c.devops.CollectionURL(), Project: c.devops.Project(), Token: c.devops.Token(),
		OIDC: azdo.OIDC{RequestURI: c.devops.OIDCRequestURI()}, Transport: c,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (c *clouds) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.devops.Serves(r.URL) {
		return c.devops.Transport().RoundTrip(r)
	}
	return c.aws.Transport().RoundTrip(r)
}

func (c *clouds) addProvider(audiences ...string) {
	c.aws.AddOIDCProvider(emulator.OIDCProvider{Issuer: c.devops.Issuer(), ClientIDs: audiences, Transport: c})
}

func (c *clouds) options(change func(*Options)) Options {
	o := Options{
		Region: "eu-west-1", HTTPClient: &http.Client{Transport: c}, IDToken: c.client.IDToken,
		Mask:   func(secret string) { c.masked = append(c.masked, secret) },
		Logger: slog.New(slog.NewTextHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	change(&o)
	return o
}

var keyless = map[string]struct {
	change  func(*Options)
	id      string
	subject string
}{
	"with a connection": {func(o *Options) {
		o.Connection = &Connection{ID: connectionID, UseOIDC: true, Role: Role{ARN: deployRole, SessionName: "build-7"}}
	}, connectionID, "sc://example/Example/aws-production"},
	"with no connection": {func(o *Options) { o.Role = Role{ARN: deployRole, SessionName: "build-7"} }, "", "p://example/Example/chat-app"},
}

func policyFor(c *clouds, subject string) string {
	return trustPolicy(deployRole, claims{c.devops.Issuer(), subject, devops.Audience})
}

func TestKeyless(t *testing.T) {
	isolate(t)
	for name, tt := range keyless {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClouds(t)
				c.addProvider(devops.Audience)
				if err := c.aws.TrustRole(deployRole, policyFor(c, tt.subject)); err != nil {
					t.Fatal(err)
				}
				cfg, err := New(t.Context(), c.options(tt.change))
				if err != nil {
					t.Fatal(err)
				}
				who, err := Whoami(t.Context(), cfg)
				if err != nil || who.ARN != "arn:aws:sts::123456789012:assumed-role/deploy/build-7" {
					t.Errorf("%+v, %v", who, err)
				}
				log := c.log.String()
				for _, want := range []string{c.devops.Issuer(), tt.subject, devops.Audience} {
					if !strings.Contains(log, want) {
						t.Errorf("the log does not say %s:\n%s", want, log)
					}
				}
				creds, _ := cfg.Credentials.Retrieve(t.Context())
				token := c.masked[0]
				if strings.Count(token, ".") != 2 || len(c.masked) != 3 || c.masked[1] != creds.SecretAccessKey || c.masked[2] != creds.SessionToken {
					t.Errorf("masked %d texts, want the token, the key and the session token", len(c.masked))
				}
				for _, secret := range c.masked {
					if strings.Contains(log, secret) {
						t.Error("a secret is in the log")
					}
				}
			})
		})
	}
}

// A rollout of six hours on sessions of fifteen minutes, with tokens of five.
func TestKeylessOutlastsItsSessions(t *testing.T) {
	isolate(t)
	for name, tt := range keyless {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClouds(t)
				c.addProvider(devops.Audience)
				if err := c.aws.TrustRole(deployRole, policyFor(c, tt.subject)); err != nil {
					t.Fatal(err)
				}
				o := c.options(tt.change)
				o.Variables.MaxDuration = "900"
				cfg, err := New(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				for time.Since(start) < 6*time.Hour {
					switch time.Since(start) {
					case time.Hour: // Azure DevOps is away for longer than it is asked for a token
						c.devops.Fail(devops.Fault{Path: "/oidctoken", Status: 503, Body: "{}", Times: 8})
					case 2 * time.Hour:
						c.aws.Fail("sts:AssumeRoleWithWebIdentity", emulator.Throttled(2))
					}
					if _, err := Whoami(t.Context(), cfg); err != nil {
						t.Fatalf("after %v: %v", time.Since(start), err)
					}
					time.Sleep(time.Minute)
				}
				sessions := 0
				for _, r := range c.aws.Requests() {
					if r.Operation == "AssumeRoleWithWebIdentity" && r.Status == http.StatusOK {
						sessions++
						if !strings.Contains(string(r.Body), "DurationSeconds=900") {
							t.Errorf("asked with %s", r.Body)
						}
					}
				}
				if sessions < 35 || sessions > 37 { // one every ten minutes
					t.Errorf("%d sessions in six hours", sessions)
				}
			})
		})
	}
}

var inHint = regexp.MustCompile(`\{"Version".*\}\]\}`)

// Each refusal says what to do, and doing it helps.
func TestKeylessRefused(t *testing.T) {
	isolate(t)
	for name, tt := range keyless {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClouds(t)
				refused := func(words ...string) string {
					t.Helper()
					_, err := New(t.Context(), c.options(tt.change))
					mentions(t, err, "assume role "+deployRole+" with an OIDC token")
					message, hint := Explain(err)
					for _, w := range words {
						if !strings.Contains(message+"\n"+hint, w) {
							t.Errorf("%s\n%s\ndoes not say %q", message, hint, w)
						}
					}
					return inHint.FindString(hint)
				}
				days := int(time.Until(vstokenEnds).Hours() / 24)
				policy := refused("No OpenIDConnect provider found", "create-open-id-connect-provider --url "+c.devops.Issuer(),
					"account 123456789012", fmt.Sprintf("ends on 2027-07-01, in %d days", days))
				c.addProvider("sts.amazonaws.com")
				refused("Incorrect token audience", "--client-id "+devops.Audience, "arn:aws:iam::123456789012:oidc-provider/vstoken.dev.azure.com/")
				c.addProvider(devops.Audience)
				if tt.id == "" {
					refused("AWS.AssumeRoleArn in place of roleArn")
				}
				same := refused("Not authorized to perform sts:AssumeRoleWithWebIdentity (AccessDenied)", "subject "+tt.subject)
				if policy == "" || policy != same {
					t.Errorf("the policies are\n%s\n%s", policy, same)
				}
				if err := c.aws.TrustRole(deployRole, policy); err != nil {
					t.Fatal(err)
				}
				if _, err := New(t.Context(), c.options(tt.change)); err != nil {
					t.Errorf("with the policy of the hint: %v", err)
				}
				if err := c.aws.TrustRole(deployRole, strings.Replace(policy, tt.subject, "sc://someone/else/x", 1)); err != nil {
					t.Fatal(err)
				}
				refused("AccessDenied")
			})
		})
	}
}

// The token of an agent whose clock is right, but that STS sees too late.
func TestKeylessExpiredToken(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		c := newClouds(t)
		c.addProvider(devops.Audience)
		o := c.options(keyless["with no connection"].change)
		o.IDToken = func(ctx context.Context, id string) (string, error) {
			token, err := c.client.IDToken(ctx, id)
			time.Sleep(devops.TokenLife)
			return token, err
		}
		_, err := New(t.Context(), o)
		mentions(t, err, "Token expired", "ExpiredTokenException")
		if _, hint := Explain(err); !strings.Contains(hint, "clock") {
			t.Errorf("hint %q", hint)
		}
		calls := 0
		for _, r := range c.aws.Requests() {
			if r.Operation == "AssumeRoleWithWebIdentity" {
				calls++
			}
		}
		if calls != 1 {
			t.Errorf("%d calls, want 1: that error is final", calls)
		}
	})
}

// An OIDC failure is not swallowed, even where other credentials would do.
func TestKeylessDoesNotFallThrough(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		c := newClouds(t)
		o := c.options(func(o *Options) {
			o.Connection = &Connection{ID: "11111111-1111-1111-1111-111111111111", UseOIDC: true, Keys: connected, Role: Role{ARN: deployRole}}
		})
		_, err := New(t.Context(), o)
		mentions(t, err, "input awsCredentials: assume role "+deployRole, "no explicit reference to service connection")
		if _, hint := Explain(err); !strings.Contains(hint, "in this stage literally") {
			t.Errorf("hint %q", hint)
		}
		if len(c.aws.Requests()) != 0 {
			t.Errorf("AWS was asked: %+v", c.aws.Requests())
		}
	})
}

// The role of an input, on an agent whose environment names an identity, is
// assumed from that.
func TestAgentsEnvironmentBeforeOIDC(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalr")
	fake := newFake()
	asked := false
	var masked []string
	_, err := New(t.Context(), Options{
		Region: "eu-west-1", Role: role("input"), HTTPClient: fake.client(),
		IDToken: func(context.Context, string) (string, error) { asked = true; return "", nil },
		Mask:    func(s string) { masked = append(masked, s) },
	})
	if err != nil || asked || len(fake.assumed) != 1 {
		t.Errorf("%v, asked for a token: %v, %d sessions", err, asked, len(fake.assumed))
	}
	if strings.Join(masked, " ") != "wJalr s t" {
		t.Errorf("masked %q", masked)
	}
}

func TestTrustPolicyOfOtherPartitions(t *testing.T) {
	c := claims{"https://login.microsoftonline.com/t/v2.0", "/eid1/c/pub/t/x/a/y/sc/z", "api://AzureADTokenExchange"}
	got := trustPolicy("arn:aws-us-gov:iam::123456789012:role/x", c)
	if want := `"Federated":"arn:aws-us-gov:iam::123456789012:oidc-provider/login.microsoftonline.com/t/v2.0"`; !strings.Contains(got, want) {
		t.Errorf("%s lacks %s", got, want)
	}
	e := &refusedTokenError{role: "arn:aws-us-gov:iam::123456789012:role/x", claims: c, api: &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}, at: time.Now()}
	if strings.Contains(e.Hint(), "2027") {
		t.Errorf("an end is announced for another issuer: %s", e.Hint())
	}
	e.claims.issuer = vstokenIssuer + "x"
	e.at = vstokenEnds.Add(time.Hour)
	if !strings.Contains(e.Hint(), "had announced that this issuer ends on 2027-07-01") {
		t.Errorf("after the day: %s", e.Hint())
	}
}

// The session in use has expired: the source is named, and nothing is retried.
func TestExpiredSessionNamesItsSource(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		fake.sessions["ASIAGIVEN"] = time.Now()
		o := Options{Region: "eu-west-1", HTTPClient: fake.client(), Connection: &Connection{Keys: Keys{"ASIAGIVEN", "s", "t"}}}
		cfg, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Whoami(t.Context(), cfg)
		message, hint := Explain(err)
		if !Expired(err) || message != "AWS identity: the AWS session of input awsCredentials has expired (ExpiredToken)" || !strings.Contains(hint, "renew its session token") {
			t.Errorf("%s\n%s", message, hint)
		}
		if len(fake.signers) != 1 {
			t.Errorf("%d attempts, want 1", len(fake.signers))
		}
		o.Role = role("deploy")
		_, err = New(t.Context(), o)
		message, _ = Explain(err)
		if want := "input roleArn: assume role " + role("deploy").ARN + ": the AWS session of input awsCredentials has expired (ExpiredToken)"; message != want {
			t.Errorf("got  %s\nwant %s", message, want)
		}
	})
}

func TestParseClaims(t *testing.T) {
	token := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	want := claims{"https://i", "s", "a"}
	for _, payload := range []string{`{"iss":"https://i","sub":"s","aud":"a"}`, `{"iss":"https://i","sub":"s","aud":["a","b"]}`} {
		if got, err := parseClaims(token(payload)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", payload, got, err)
		}
	}
	for _, bad := range []string{"", "hunter2", "a.b", "a.!.c", token("[]"), token(`{"iss":"https://i"}`), token(`{"iss":1,"sub":"s"}`)} {
		if _, err := parseClaims(bad); err != errNotJWT {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseClaims(f *testing.F) {
	f.Add("e30.eyJpc3MiOiJpIiwic3ViIjoicyIsImF1ZCI6ImEifQ.c2ln")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := parseClaims(token)
		if err != nil && (c != claims{} || len(token) > 3 && strings.Contains(err.Error(), token)) {
			t.Errorf("%+v, %v", c, err)
		}
		trustPolicy(deployRole, c)
	})
}

// Words from tokens stay one word each in a command that somebody pastes.
func FuzzShellWord(f *testing.F) {
	f.Add("https://vstoken.dev.azure.com/x")
	f.Add("'; rm -rf / #")
	f.Fuzz(func(t *testing.T, s string) {
		word := shellWord(s)
		if word == s {
			if strings.ContainsAny(s, " \t\n'\"\\$`;&|<>()*?[]#~!{}") || s == "" {
				t.Errorf("%q is not quoted", s)
			}
			return
		}
		inner := word[1 : len(word)-1]
		if strings.ReplaceAll(inner, `'\''`, "'") != s || strings.Contains(strings.ReplaceAll(inner, `'\''`, ""), "'") {
			t.Errorf("%q becomes %s", s, word)
		}
	})
}
