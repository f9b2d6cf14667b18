package session

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go/logging"
)

func TestKeysOfTheConnection(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	fake := newFake()
	cfg, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}, HTTPClient: fake.client()})
	if err != nil {
		t.Fatal(err)
	}
	if len(fake.signers) != 0 {
		t.Error("plain keys cost a call")
	}
	got, err := Whoami(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Identity{"123456789012", "arn:aws-cn:sts::123456789012:assumed-role/deploy/AKIACONNECTION", "aws-cn"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if want := []string{"sts.eu-west-1.amazonaws.com"}; !slices.Equal(fake.hosts, want) {
		t.Errorf("asked %q, want the region's own STS", fake.hosts)
	}
}

func TestRoleOnTopOfKeys(t *testing.T) {
	isolate(t)
	fake := newFake()
	cfg, err := New(t.Context(), Options{
		Region:     "eu-west-1",
		Connection: &Connection{Keys: connected, Role: role("connection")},
		Role:       Role{ARN: role("input").ARN, ExternalID: "x1"},
		Variables:  Variables{MaxDuration: "14400"},
		Name:       "azure-pipelines-42",
		HTTPClient: fake.client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Whoami(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if want := []string{"AKIACONNECTION", "ASIA1"}; !slices.Equal(fake.signers, want) {
		t.Errorf("signed by %q, want %q: one role, assumed with the keys", fake.signers, want)
	}
	for member, want := range map[string]string{
		"RoleArn": role("input").ARN, "RoleSessionName": "azure-pipelines-42", "ExternalId": "x1", "DurationSeconds": "14400",
	} {
		if got := fake.assumed[0].Get(member); got != want {
			t.Errorf("%s = %q, want %q", member, got, want)
		}
	}
}

// TestRepliesOfSTS: what STS leaves out is told with the name of the call, and neither a
// session without an end nor an identity without an account is taken. An account that is
// left out stands in the ARN.
func TestRepliesOfSTS(t *testing.T) {
	isolate(t)
	for name, tt := range map[string]struct{ cut, want string }{
		"no key":     {"<AccessKeyId>.*</AccessKeyId>", "the answer of STS (AssumeRole) has no complete credentials"},
		"no secret":  {"<SecretAccessKey>.*</SecretAccessKey>", "the answer of STS (AssumeRole) has no complete credentials"},
		"no token":   {"<SessionToken>.*</SessionToken>", "the answer of STS (AssumeRole) has no complete credentials"},
		"no end":     {"<Expiration>.*</Expiration>", "the answer of STS (AssumeRole) has no complete credentials"},
		"no session": {"<Credentials>.*</Credentials>", "the answer of STS (AssumeRole) has no complete credentials"},
		"no account": {"<Account>.*</Account>", ""},
		"no ARN":     {"<Arn>arn:aws-cn:sts.*</Arn>", "which is not an ARN"},
	} {
		fake := newFake()
		client := &http.Client{Transport: leavingOut{fake, regexp.MustCompile(tt.cut)}}
		cfg, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected, Role: role("deploy")}, HTTPClient: client})
		var id Identity
		if err == nil {
			id, err = Whoami(t.Context(), cfg)
		}
		switch {
		case tt.want == "" && (err != nil || id.Account != "123456789012"):
			t.Errorf("%s: %+v, %v", name, id, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// leavingOut takes a part out of each reply.
type leavingOut struct {
	http.RoundTripper
	part *regexp.Regexp
}

func (c leavingOut) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(c.part.ReplaceAll(body, nil)))
	response.ContentLength = -1
	return response, err
}

func TestDefaultChain(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	fake := newFake()
	cfg, err := New(t.Context(), Options{Region: "eu-west-1", Role: role("input"), HTTPClient: fake.client()})
	if err != nil {
		t.Fatal(err)
	}
	if creds, err := cfg.Credentials.Retrieve(t.Context()); err != nil || creds.AccessKeyID != "ASIA1" {
		t.Errorf("%s, %v", creds.AccessKeyID, err)
	}
	if want := []string{"AKIAENVIRONMENT"}; !slices.Equal(fake.signers, want) {
		t.Errorf("signed by %q, want %q", fake.signers, want)
	}
}

func TestNoCredentialsAnywhere(t *testing.T) {
	isolate(t)
	for _, o := range []Options{
		{},
		{Role: role("input")},
		{Connection: &Connection{Role: role("connection")}},
	} {
		o.Region, o.HTTPClient = "eu-west-1", newFake().client()
		_, err := New(t.Context(), o)
		if _, ok := errors.AsType[*NoCredentialsError](err); !ok {
			t.Errorf("%+v: %v, want *NoCredentialsError", o, err)
			continue
		}
		mentions(t, err, "no AWS credentials found")
		if _, hint := Explain(err); !strings.Contains(hint, "awsCredentials") {
			t.Errorf("hint %q", hint)
		}
	}
}

// The default chain would have worked here; but a role was asked for.
func TestNoFallThrough(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	fake := newFake()
	fake.refuse = func() (int, string, string) {
		return http.StatusForbidden, "AccessDenied", "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: " + role("input").ARN
	}
	_, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}, Role: role("input"), HTTPClient: fake.client()})
	mentions(t, err, "input roleArn: assume role "+role("input").ARN)
	if strings.Contains(err.Error(), "failed to") {
		t.Errorf("the SDK's chain shows: %v", err)
	}
	message, hint := Explain(err)
	if want := "input roleArn: assume role " + role("input").ARN + ": access denied: arn:aws:iam::123456789012:user/ci may not sts:AssumeRole on " + role("input").ARN; message != want {
		t.Errorf("explained as\n%s\nwant\n%s", message, want)
	}
	if !strings.Contains(hint, "trust policy") || !strings.Contains(hint, "user ci") {
		t.Errorf("hint %q", hint)
	}
	if want := []string{"AKIACONNECTION"}; !slices.Equal(fake.signers, want) {
		t.Errorf("signed by %q, want %q alone", fake.signers, want)
	}
}

func TestSessionIsRenewed(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		cfg, err := New(t.Context(), Options{
			Region: "eu-west-1", Connection: &Connection{Keys: connected, Role: role("deploy")}, HTTPClient: fake.client(),
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for time.Since(start) < 5*time.Hour { // a long bake, watched every ten seconds
			if _, err := Whoami(t.Context(), cfg); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			time.Sleep(10 * time.Second)
		}
		// An hour each, replaced five minutes early: at 0:00, 0:55, … 4:35.
		if got := len(fake.assumed); got != 6 {
			t.Errorf("%d sessions in five hours, want 6", got)
		}
	})
}

// STS may be away for a while. The session in hand serves as long as it lasts,
// and only then is its loss an error.
func TestRenewalFails(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		var log bytes.Buffer
		cfg, err := New(t.Context(), Options{
			Region: "eu-west-1", Connection: &Connection{Keys: connected, Role: role("deploy")}, HTTPClient: fake.client(),
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		end := time.Now().Add(time.Hour)
		creds := func() string {
			c, err := cfg.Credentials.Retrieve(t.Context())
			if err != nil {
				return err.Error()
			}
			return c.AccessKeyID
		}
		calls := 0
		fake.refuse = func() (int, string, string) {
			calls++
			return http.StatusForbidden, "AccessDenied", "not now"
		}
		time.Sleep(time.Until(end) - renewBefore + time.Second)
		for range 10 {
			if got := creds(); got != "ASIA1" {
				t.Fatalf("with the old session still good: %s", got)
			}
		}
		if calls != 1 {
			t.Errorf("%d calls of STS at once, want 1", calls)
		}
		if !strings.Contains(log.String(), "could not be renewed") {
			t.Errorf("the log says nothing of it: %s", log.String())
		}

		time.Sleep(renewAgain) // the next try, while STS is back for a moment
		fake.refuse = nil
		if got := creds(); got != "ASIA2" {
			t.Errorf("with STS back: %s, want a new session", got)
		}

		fake.refuse = func() (int, string, string) { return http.StatusForbidden, "AccessDenied", "not now" }
		end = fake.sessions["ASIA2"]
		for ; time.Until(end) > 10*time.Second; time.Sleep(7 * time.Second) {
			if got := creds(); got != "ASIA2" {
				t.Fatalf("%v before its end: %s", time.Until(end), got)
			}
		}
		if got := creds(); got != "ASIA2" {
			t.Fatalf("just before its end: %s", got)
		}
		time.Sleep(time.Until(end) + time.Second)
		if got := creds(); !strings.Contains(got, "assume role "+role("deploy").ARN) || !strings.Contains(got, "not now") {
			t.Errorf("after its end: %s", got)
		}
	})
}

func TestChainedRoleIsCapped(t *testing.T) {
	isolate(t)
	fake := newFake()
	var log bytes.Buffer
	session := connected
	session.SessionToken = "t"
	_, err := New(t.Context(), Options{
		Region: "eu-west-1", Connection: &Connection{Keys: session}, Role: Role{ARN: role("deploy").ARN, Duration: 12 * time.Hour},
		HTTPClient: fake.client(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fake.assumed[0].Get("DurationSeconds"); got != "3600" {
		t.Errorf("asked for %s s, want 3600", got)
	}
	if !strings.Contains(log.String(), "an hour at most") {
		t.Errorf("log: %s", log.String())
	}
}

func TestRegionOrder(t *testing.T) {
	isolate(t)
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("[default]\nregion = eu-south-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	fake := newFake()
	fake.metadata = func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/api/token") {
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
			io.WriteString(w, "token")
			return
		}
		io.WriteString(w, `{"region": "ap-south-1"}`)
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	o := Options{Region: "eu-west-1", Variables: Variables{Region: "eu-west-2"}, HTTPClient: fake.client()}
	t.Setenv("AWS_REGION", "eu-west-3")
	t.Setenv("AWS_DEFAULT_REGION", "eu-north-1")
	t.Setenv("AWS_CONFIG_FILE", file)

	// One place after the other is emptied.
	for _, step := range []struct {
		want  string
		empty func()
	}{
		{"eu-west-1", func() { o.Region = "" }},
		{"eu-west-2", func() { o.Variables.Region = "" }},
		{"eu-west-3", func() { t.Setenv("AWS_REGION", "") }},
		{"eu-north-1", func() { t.Setenv("AWS_DEFAULT_REGION", "") }},
		{"eu-south-1", func() { t.Setenv("AWS_CONFIG_FILE", file+".none") }},
		{"ap-south-1", func() { t.Setenv("AWS_EC2_METADATA_DISABLED", "true") }},
	} {
		cfg, err := New(t.Context(), o)
		if err != nil || cfg.Region != step.want {
			t.Errorf("region %q, %v; want %q", cfg.Region, err, step.want)
		}
		step.empty()
	}
	_, err := New(t.Context(), o)
	mentions(t, err, "region: none given")
}

// On an agent outside EC2, nobody may be there to ask.
func TestRegionFromNobody(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := New(t.Context(), Options{Connection: &Connection{Keys: connected}, HTTPClient: newFake().client()})
		mentions(t, err, "region: none given")
		if waited := time.Since(start); waited > metadataWait {
			t.Errorf("waited %v", waited)
		}

		cancelled, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = New(cancelled, Options{Connection: &Connection{Keys: connected}, HTTPClient: newFake().client()})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestCheckRegion(t *testing.T) {
	for _, ok := range []string{"eu-west-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1", "ap-southeast-7", "cn-north-1"} {
		if err := checkRegion(ok); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "Ireland", "EU-WEST-1", "eu-west", "eu-west-1a", "eu-west-1.example.com", "eu_west_1", "eu-west-1\n", "https://x"} {
		err := checkRegion(bad)
		mentions(t, err, "region: ")
	}
}

// Clients made of the configuration use the endpoints that the environment names.
func TestEndpointOfTheEnvironment(t *testing.T) {
	isolate(t)
	fake := newFake()
	server := httptest.NewServer(fake)
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_ENDPOINT_URL_ECS", strings.Replace(server.URL, "127.0.0.1", "localhost", 1))

	// No HTTPClient: the client that ships.
	cfg, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected, Role: role("deploy")}})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := Whoami(t.Context(), cfg); err != nil || !strings.HasSuffix(id.ARN, "/ASIA1") {
		t.Fatalf("%+v, %v", id, err)
	}
	if want := []string{address, address}; !slices.Equal(fake.hosts, want) {
		t.Errorf("STS was asked at %q, want %q", fake.hosts, want)
	}

	// The fake knows only STS, so these fail; what counts is where they go.
	cfg.RetryMaxAttempts = 1
	ecr.NewFromConfig(cfg, func(o *ecr.Options) { o.Region = "us-east-1" }).DescribeRepositories(t.Context(), nil)
	ecs.NewFromConfig(cfg).ListClusters(t.Context(), nil)
	if want := []string{address, strings.Replace(address, "127.0.0.1", "localhost", 1)}; !slices.Equal(fake.hosts[2:], want) {
		t.Errorf("ECR and ECS were asked at %q, want %q", fake.hosts[2:], want)
	}
}

// A proxy that inspects TLS comes with a certificate authority of its own.
func TestCABundle(t *testing.T) {
	isolate(t)
	server := httptest.NewTLSServer(newFake())
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the handshake that is meant to fail
	o := Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}}
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	cfg, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Whoami(t.Context(), cfg)
	if _, hint := Explain(err); !strings.Contains(hint, "AWS_CA_BUNDLE") {
		t.Errorf("%v\nhas the hint %q", err, hint)
	}

	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	if cfg, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := Whoami(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	client := cfg.HTTPClient.(*awshttp.BuildableClient)
	if client.GetTimeout() != requestTimeout || client.GetTransport().ResponseHeaderTimeout != headerTimeout || client.GetDialer().Timeout != dialTimeout {
		t.Error("the time limits were lost on the way")
	}
	if client.GetTransport().Proxy == nil {
		t.Error("no proxy from the environment")
	}
}

func TestThrottlingIsOutlasted(t *testing.T) {
	isolate(t)
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		cfg, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}, HTTPClient: fake.client()})
		if err != nil {
			t.Fatal(err)
		}
		left := maxAttempts - 1
		fake.refuse = func() (int, string, string) {
			if left--; left >= 0 {
				return http.StatusBadRequest, "Throttling", "Rate exceeded"
			}
			return 0, "", ""
		}
		if _, err := Whoami(t.Context(), cfg); err != nil {
			t.Errorf("after %d attempts: %v", len(fake.signers), err)
		}
		if len(fake.signers) != maxAttempts {
			t.Errorf("%d attempts, want %d", len(fake.signers), maxAttempts)
		}
	})
}

func TestRetriesOfTheEnvironment(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	t.Setenv("AWS_RETRY_MODE", "adaptive")
	cfg, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}, HTTPClient: newFake().client()})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RetryMaxAttempts != 2 || cfg.RetryMode != aws.RetryModeAdaptive {
		t.Errorf("%d attempts, mode %s", cfg.RetryMaxAttempts, cfg.RetryMode)
	}
}

// The SDK's own logger writes to stderr, where a line of AWS's could be taken
// for a command. Ours gets the lines instead.
func TestTheSDKLogsToUs(t *testing.T) {
	isolate(t)
	var log bytes.Buffer
	cfg, err := New(t.Context(), Options{
		Region: "eu-west-1", Connection: &Connection{Keys: connected}, HTTPClient: newFake().client(),
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	logging.WithContext(t.Context(), cfg.Logger).Logf(logging.Warn, "from %s", "outside")
	if !strings.Contains(log.String(), `level=DEBUG msg="from outside" sdk=WARN`) {
		t.Errorf("log: %s", log.String())
	}
	if strings.Contains(log.String(), connected.AccessKeyID) {
		t.Errorf("keys in the log: %s", log.String())
	}
}

func TestBrokenProfile(t *testing.T) {
	isolate(t)
	t.Setenv("AWS_PROFILE", "nowhere")
	_, err := New(t.Context(), Options{Region: "eu-west-1", HTTPClient: newFake().client()})
	mentions(t, err, "AWS settings of this agent", "nowhere")
}

func TestWhoamiErrors(t *testing.T) {
	isolate(t)
	fake := newFake()
	fake.refuse = func() (int, string, string) {
		return http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."
	}
	cfg, err := New(t.Context(), Options{Region: "eu-west-1", Connection: &Connection{Keys: connected}, HTTPClient: fake.client()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Whoami(t.Context(), cfg)
	message, hint := Explain(err)
	if message != "AWS identity: AWS does not know these access keys (InvalidClientTokenId)" || !strings.Contains(hint, "awsCredentials") {
		t.Errorf("%q, %q", message, hint)
	}
}
