package deploy

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-containerregistry/pkg/authn"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image"
)

// TestTokensAreRenewed: what ECR gives out can be told that a registry refused
// it. The two packages do not know each other, so only this test would notice.
func TestTokensAreRenewed(t *testing.T) {
	client := ecr.New(aws.Config{Region: "eu-west-1"}, ecr.Options{})
	if _, ok := client.Authenticator(t.Context(), ecr.Repository{Region: "eu-west-1", URI: "host/name"}).(image.Renewer); !ok {
		t.Error("the authenticator is no image.Renewer: an expired token would be used for ever")
	}
}

// TestBuildOf: a digest says nothing of a build, nor does a reference without
// a tag, whose image may be of any.
func TestBuildOf(t *testing.T) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	tests := []struct{ uri, build string }{
		{"host.example/chat-app:17", "17"},
		{"127.0.0.1:5000/chat-app:17", "17"},
		{"127.0.0.1:5000/chat-app", ""},
		{"host.example/chat-app@" + digest, ""},
		{"host.example/chat-app:17@" + digest, ""},
		{"", ""},
	}
	for _, tt := range tests {
		if build := buildOf(tt.uri); build != tt.build {
			t.Errorf("buildOf(%q) = %q, want %q", tt.uri, build, tt.build)
		}
	}
}

// TestInspectShortReference: task definitions that others wrote may name images
// of Docker Hub in short. Going back to such a one is no mistake in an input.
func TestInspectShortReference(t *testing.T) {
	var asked string
	d := &Deployer{Log: slog.New(slog.DiscardHandler), Images: image.Options{
		Keychain: authn.NewMultiKeychain(),
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.Host
			return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Request: r}, nil
		}),
	}}
	c, err := d.inspect(t.Context(), "services", "nginx:1.29")
	if err != nil || c.uri != "nginx:1.29" || asked != "index.docker.io" {
		t.Errorf("%q asked, %+v, %v", asked, c, err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
