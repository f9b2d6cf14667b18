package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

var (
	dublin   = Repository{Region: "eu-west-1", URI: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"}
	virginia = Repository{Region: "us-east-1", URI: "210987654321.dkr.ecr.us-east-1.amazonaws.com/app"}
)

func password(t *testing.T, a authn.Authenticator) string {
	t.Helper()
	got, err := authn.Authorization(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if got.Username != "AWS" {
		t.Errorf("user %q", got.Username)
	}
	return got.Password
}

func TestTokenIsSharedAndRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := fake.client()
		expect := func(r Repository, want string) {
			t.Helper()
			if got := password(t, c.Authenticator(t.Context(), r)); got != want {
				t.Errorf("%s: token %q, want %q", r, got, want)
			}
		}
		expect(dublin, "eu-west-1-token-1")
		expect(Repository{Region: "eu-west-1", URI: "999999999999.dkr.ecr.eu-west-1.amazonaws.com/x"}, "eu-west-1-token-1")
		expect(virginia, "us-east-1-token-2")

		time.Sleep(11 * time.Hour)
		expect(dublin, "eu-west-1-token-1")
		time.Sleep(31 * time.Minute)
		expect(dublin, "eu-west-1-token-3")
	})
}

// Each token is masked once, when it is obtained, in both forms that travel.
func TestTokensAreMasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var masked []string
		c := newFake().client()
		c.mask = func(secrets ...string) { masked = append(masked, secrets...) }
		for range 2 {
			password(t, c.Authenticator(t.Context(), dublin))
			password(t, c.Authenticator(t.Context(), virginia))
		}
		want := []string{"eu-west-1-token-1", "AWS:eu-west-1-token-1", "us-east-1-token-2", "AWS:us-east-1-token-2"}
		if !slices.Equal(masked, want) {
			t.Errorf("masked %q, want %q", masked, want)
		}
	})
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		a := fake.client().Authenticator(t.Context(), dublin)
		renew := a.(interface{ Renew() }).Renew
		expect := func(want string) {
			t.Helper()
			if got := password(t, a); got != want {
				t.Errorf("token %q, want %q", got, want)
			}
		}
		renew() // nothing held yet
		expect("eu-west-1-token-1")
		renew() // refused at once: another one would be too
		expect("eu-west-1-token-1")
		time.Sleep(time.Hour)
		for range 6 { // as many uploads were refused together
			renew()
			password(t, a)
		}
		expect("eu-west-1-token-2")
	})
}

func TestUploadsThatStartTogetherShareOneCall(t *testing.T) {
	fake := newFake()
	c := fake.client()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.Authenticator(t.Context(), dublin).Authorization(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if fake.tokens != 1 {
		t.Errorf("%d tokens fetched, want 1", fake.tokens)
	}
}

func TestAuthorizationErrors(t *testing.T) {
	fake := newFake()
	fake.denied["GetAuthorizationToken"] = true
	_, err := fake.client().Authenticator(t.Context(), dublin).Authorization()
	mentions(t, err, "registry 123456789012.dkr.ecr.eu-west-1.amazonaws.com", "ecr:GetAuthorizationToken")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	a := newFake().client().Authenticator(ended, dublin)
	if _, err := a.Authorization(); !errors.Is(err, context.Canceled) {
		t.Errorf("context of the authenticator ended: %v", err)
	}
	if _, err := authn.Authorization(t.Context(), a); err != nil {
		t.Errorf("context of the call is good: %v", err)
	}
}

func tokenOutput(s string) *ecr.GetAuthorizationTokenOutput {
	return &ecr.GetAuthorizationTokenOutput{AuthorizationData: []types.AuthorizationData{{AuthorizationToken: &s}}}
}

func TestDecodeToken(t *testing.T) {
	token := tokenOutput
	got, err := decodeToken(token(base64.StdEncoding.EncodeToString([]byte("AWS:a:b"))))
	if err != nil || got.user != "AWS" || got.password != "a:b" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []*ecr.GetAuthorizationTokenOutput{
		{}, token(""), token("not base64 s3cret"), token(base64.StdEncoding.EncodeToString([]byte("s3cret"))),
	} {
		_, err := decodeToken(bad)
		mentions(t, err, "no token")
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error quotes the token: %v", err)
		}
	}
}

func TestKeychain(t *testing.T) {
	fake := newFake()
	keys := fake.client().Keychain()
	for _, tt := range []struct{ host, want string }{
		{"210987654321.dkr.ecr.us-east-1.amazonaws.com", "us-east-1-token-1"},
		{"210987654321.dkr-ecr.us-east-1.on.aws", "us-east-1-token-1"},
		{"210987654321.dkr.ecr.us-east-1.amazonaws.com.example.org", ""},
		{"registry.example.com", ""},
	} {
		host, err := name.NewRegistry(tt.host)
		if err != nil {
			t.Fatal(err)
		}
		a, err := authn.Resolve(t.Context(), keys, host)
		if err != nil {
			t.Fatal(err)
		}
		if tt.want == "" {
			if a != authn.Anonymous {
				t.Errorf("%s: %v, want no credentials", tt.host, a)
			}
		} else if got := password(t, a); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.host, got, tt.want)
		}
	}
}

// A real push through the registry library: an old token is refused, and after
// Renew the same authenticator gets through with a new one.
func TestPushWithARefusedToken(t *testing.T) {
	fake := newFake()
	accepted := "eu-west-1-token-2"
	blobs := registry.New()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "AWS" || pass != accepted {
			w.Header().Set("WWW-Authenticate", `Basic realm="ECR"`)
			http.Error(w, `{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}`, http.StatusUnauthorized)
			return
		}
		blobs.ServeHTTP(w, r)
	}))
	defer server.Close()
	repo := Repository{Region: fakeRegion, Name: "app", URI: strings.TrimPrefix(server.URL, "http://") + "/app"}

	tag, err := name.NewTag(repo.URI + ":42")
	if err != nil {
		t.Fatal(err)
	}
	c := fake.client()
	a := c.Authenticator(t.Context(), repo)
	push := func() error {
		return remote.Write(tag, empty.Image, remote.WithAuth(a), remote.WithContext(t.Context()))
	}

	refused, ok := errors.AsType[*transport.Error](push())
	if !ok || refused.StatusCode != http.StatusUnauthorized {
		t.Fatalf("push with the old token: %v, want a 401", refused)
	}
	c.region(fakeRegion).token.held.issued = time.Now().Add(-time.Hour) // it was fetched long ago
	a.(interface{ Renew() }).Renew()
	if err := push(); err != nil {
		t.Fatalf("push with a new token: %v", err)
	}
	if _, err := remote.Image(tag, remote.WithAuth(a)); err != nil {
		t.Errorf("read back: %v", err)
	}
}
