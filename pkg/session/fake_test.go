package session

// A stand-in of STS that issues sessions with an end, and an in-process
// transport to it, so that hours pass in no time under synctest.

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

type fakeSTS struct {
	mu       sync.Mutex
	assumed  []url.Values         // AssumeRole requests, in order
	signers  []string             // access key id of each request, in order
	hosts    []string             // host of each request, in order
	sessions map[string]time.Time // end of each session, by access key id
	refuse   func() (status int, code, message string)
	metadata http.HandlerFunc // answers for 169.254.169.254; nil: nobody there
}

func newFake() *fakeSTS { return &fakeSTS{sessions: map[string]time.Time{}} }

// isolate hides the AWS settings of the machine that runs the tests.
func isolate(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func (f *fakeSTS) client() aws.HTTPClient { return &http.Client{Transport: f} }

func (f *fakeSTS) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.URL.Host == "169.254.169.254" && f.metadata == nil {
		<-r.Context().Done() // a black hole: only the caller's patience ends it
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

var signer = regexp.MustCompile(`Credential=([A-Z0-9]+)/`)

func (f *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.URL.Host
	if host == "" {
		host = r.Host
	}
	if host == "169.254.169.254" {
		f.metadata(w, r)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := signer.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		refuse(w, http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
		return
	}
	f.signers, f.hosts = append(f.signers, m[1]), append(f.hosts, host)
	if end, isSession := f.sessions[m[1]]; isSession && !time.Now().Before(end) {
		refuse(w, http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
		return
	}
	if f.refuse != nil {
		if status, code, message := f.refuse(); code != "" {
			refuse(w, status, code, message)
			return
		}
	}
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "InvalidQuery", err.Error())
		return
	}
	switch r.PostForm.Get("Action") {
	case "GetCallerIdentity":
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>arn:aws-cn:sts::123456789012:assumed-role/deploy/%s</Arn><UserId>AROA:x</UserId><Account>123456789012</Account>`+
			`</GetCallerIdentityResult></GetCallerIdentityResponse>`, m[1])
	case "AssumeRole":
		f.assumed = append(f.assumed, r.PostForm)
		seconds, err := time.ParseDuration(r.PostForm.Get("DurationSeconds") + "s")
		if err != nil {
			refuse(w, http.StatusBadRequest, "ValidationError", err.Error())
			return
		}
		id := fmt.Sprintf("ASIA%d", len(f.assumed))
		end := time.Now().Add(seconds)
		f.sessions[id] = end
		fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>`+
			`<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/deploy/x</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>`+
			`<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials>`+
			`</AssumeRoleResult></AssumeRoleResponse>`, id, end.UTC().Format(time.RFC3339))
	default:
		refuse(w, http.StatusBadRequest, "InvalidAction", "Could not find operation "+r.PostForm.Get("Action"))
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code, message)
}

// mentions fails the test unless the text of err holds every word.
func mentions(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that mentions %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q\ndoes not mention %q", err, w)
		}
	}
}
