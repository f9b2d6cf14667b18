package session

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecsdeploy/pkg/network"
)

// AWS's own tasks take AWS_PROFILE before a web identity, the SDK for Go the other
// way round. Keys in the environment come before both in either.
func TestProfileBeforeWebIdentity(t *testing.T) {
	for _, tt := range []struct {
		name    string
		profile string // content of the shared credentials file
		keys    bool
		want    string // who signs
	}{
		{"a profile with keys", "[ci]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n", false, "AKIAPROFILE"},
		{"a profile with settings only", "[ci]\nregion = eu-west-3\n", false, "ASIAWEB"},
		{"keys in the environment", "[ci]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n", true, "AKIAENVIRONMENT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			dir := t.TempDir()
			write := func(name, content string) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", write("credentials", tt.profile))
			t.Setenv("AWS_PROFILE", "ci")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write("token", "e30.e30.e30"))
			t.Setenv("AWS_ROLE_ARN", role("irsa").ARN)
			if tt.keys {
				t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
				t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
			}
			web := webIdentity{newFake()}
			cfg, err := New(t.Context(), Options{Region: "eu-west-1", HTTPClient: &http.Client{Transport: web}})
			if err != nil {
				t.Fatal(err)
			}
			creds, err := cfg.Credentials.Retrieve(t.Context())
			if err != nil || creds.AccessKeyID != tt.want {
				t.Errorf("signs as %s, %v; want %s", creds.AccessKeyID, err, tt.want)
			}
		})
	}
}

// webIdentity answers AssumeRoleWithWebIdentity, which the fake does not know.
type webIdentity struct{ *fakeSTS }

func (w webIdentity) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" {
		return w.fakeSTS.RoundTrip(r)
	}
	recorder := httptest.NewRecorder()
	fmt.Fprint(recorder, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>`+
		`<Credentials><AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>`+
		`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
	return recorder.Result(), nil
}

func TestRegionSourceIsLogged(t *testing.T) {
	isolate(t)
	for _, tt := range []struct {
		o    Options
		env  string
		want string
	}{
		{Options{Region: "eu-west-1"}, "", "level=DEBUG msg=\"region eu-west-1 (input region)\""},
		{Options{Variables: Variables{Region: "eu-west-2"}}, "", "level=INFO msg=\"region eu-west-2 (variable AWS.Region or AWS_REGION)\""},
		{Options{}, "eu-west-3", "level=INFO msg=\"region eu-west-3 (AWS_REGION or AWS_DEFAULT_REGION of this agent)\""},
	} {
		t.Setenv("AWS_DEFAULT_REGION", tt.env)
		var log bytes.Buffer
		tt.o.Connection, tt.o.HTTPClient = &Connection{Keys: connected}, newFake().client()
		tt.o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if _, err := New(t.Context(), tt.o); err != nil || !strings.Contains(log.String(), tt.want) {
			t.Errorf("%v, want %s in\n%s", err, tt.want, log.String())
		}
	}
}

// AWS is reached through the proxy that the agent was configured with.
func TestAgentsProxy(t *testing.T) {
	isolate(t)
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	settings, err := network.Read(func(name string) (string, bool) {
		value, ok := map[string]string{"AGENT_PROXYURL": proxy.URL, "AGENT_PROXYUSERNAME": "u", "SECRET_AGENT_PROXYPASSWORD": "p"}[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	cfg, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}, Network: settings})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := Whoami(ctx, cfg); err == nil {
		t.Error("the proxy refused, but the call went through")
	}
	if want := "CONNECT sts.eu-west-1.amazonaws.com:443 Basic dTpw"; len(asked) != 1 || asked[0] != want {
		t.Errorf("the proxy was asked %q, want %q", asked, want)
	}
}
