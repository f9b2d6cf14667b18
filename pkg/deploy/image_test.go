package deploy

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// TestTokensAreRenewed: what ECR gives out can be told that a registry refused it.
// The two packages do not know each other, so only this test would notice.
func TestTokensAreRenewed(t *testing.T) {
	client := ecr.New(aws.Config{Region: "eu-west-1"}, ecr.Options{})
	if _, ok := client.Authenticator(t.Context(), ecr.Repository{Region: "eu-west-1", URI: "host/name"}).(registry.Renewer); !ok {
		t.Error("the authenticator is no registry.Renewer: an expired token would be used for ever")
	}
}

// TestTagOf: a digest says nothing of a build, nor does a reference without a
// tag, whose image may be of any.
func TestTagOf(t *testing.T) {
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
		if build := tagOf(tt.uri); build != tt.build {
			t.Errorf("tagOf(%q) = %q, want %q", tt.uri, build, tt.build)
		}
	}
}

// TestInspectShortReference: task definitions that others wrote may name images of
// Docker Hub in short. Going back to such a one is no mistake in an input.
func TestInspectShortReference(t *testing.T) {
	var asked string
	view := &screen{}
	d := &Deployer{View: view, Images: source.Options{
		Keychain: authn.NewMultiKeychain(),
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.Host
			return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Request: r}, nil
		}),
	}}
	c, err := d.inspect(t.Context(), mistake.Service, "nginx:1.29")
	if err != nil || c.URI != "nginx:1.29" || asked != "index.docker.io" || len(shown[ImageUnchecked](view)) != 1 {
		t.Errorf("%q asked, %+v, %v", asked, c, err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// withRegistry is a deployer that can ask a registry for the images that the
// cloud's revisions name, all of which are there.
func (c *cloud) withRegistry(t *testing.T) (*Deployer, *screen) {
	t.Helper()
	handler := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	d, view := c.deployer()
	d.Images = source.Options{Keychain: authn.NewMultiKeychain(), Transport: transport(func(r *http.Request) (*http.Response, error) {
		answer := httptest.NewRecorder()
		if r.Body == nil {
			r.Body = http.NoBody
		}
		handler.ServeHTTP(answer, r)
		response := answer.Result()
		response.Request = r
		return response, nil
	})}
	for _, definition := range c.definitions {
		for _, container := range definition.Containers() {
			c.push(t, d, container.Image, "first")
		}
	}
	return d, view
}

// push puts an image of some content under a reference, and returns its digest.
func (c *cloud) push(t *testing.T, d *Deployer, uri, content string) string {
	t.Helper()
	ref, err := name.ParseReference(uri)
	if err != nil {
		t.Fatal(err)
	}
	made, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte(uri+content), types.DockerUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, made, remote.WithTransport(d.Images.Transport)); err != nil {
		t.Fatal(err)
	}
	digest, err := made.Digest()
	if err != nil {
		t.Fatal(err)
	}
	c.digests[uri] = digest.String()
	for _, s := range c.services { // what runs already has what was there first
		for _, r := range s.records {
			for _, container := range c.definitions[r.revision].Containers() {
				if container.Image == uri && r.running[container.Name] == "" {
					r.running[container.Name] = digest.String()
				}
			}
		}
	}
	return digest.String()
}

// rolling is a request to roll out an image.
func rolling(image string, services ...string) Request {
	r := asking(services...)
	r.Change.Environment = nil
	r.Image = image
	return r
}

// TestProof: green only where the digest runs that was rolled out.
func TestProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		d, view := c.withRegistry(t)
		digest := c.push(t, d, "registry.example/web:2", "new")
		result, err := d.Run(t.Context(), rolling("registry.example/web:2", "a"))
		if err != nil || outcomes(result) != "succeeded" || result.Services[0].Proof.Verified != 2 || result.Image.Digest != digest {
			t.Errorf("%+v, %v, %v", result, err, shown[ImageUnchecked](view))
		}
		if len(shown[Verified](view)) != 1 {
			t.Error("not told")
		}
	})
	// Somebody pushes the tag again between our look at it and ECS's pull.
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		d, _ := c.withRegistry(t)
		c.push(t, d, "registry.example/web:2", "new")
		c.digests["registry.example/web:2"] = "sha256:other"
		result, err := d.Run(t.Context(), rolling("registry.example/web:2", "a"))
		if err != nil || outcomes(result) != "failed" || result.Services[0].Reason.Code != rollout.WrongDigest {
			t.Errorf("%+v, %v", result, err)
		}
	})
	// What cannot be read is no contradiction.
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		d, _ := c.withRegistry(t)
		c.push(t, d, "registry.example/web:2", "new")
		c.tasks = errDenied
		result, err := d.Run(t.Context(), rolling("registry.example/web:2", "a"))
		if err != nil || outcomes(result) != "succeeded" || !errors.Is(result.Services[0].Proof.TasksErr, errDenied) {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

// TestMovedTag: unchanged is judged by what runs, not by the revision's text.
func TestMovedTag(t *testing.T) {
	for _, wait := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			d, view := c.withRegistry(t)
			r := rolling("registry.example/web:1", "a")
			r.Wait = wait
			result, err := d.Run(t.Context(), r)
			if err != nil || wait && outcomes(result) != "unchanged" || c.said() != "" {
				t.Fatal(outcomes(result), c.said(), err)
			}
			c.push(t, d, "registry.example/web:1", "again")
			result, err = d.Run(t.Context(), r)
			if err != nil || wait && outcomes(result) != "succeeded" || c.said() != "start a web:1 by force" {
				t.Error(outcomes(result), c.said(), err)
			}
			if started := shown[Started](view); !started[len(started)-1].Digest {
				t.Error("why it was started is not told")
			}
		})
	}
	// The forced deployment is refused: what runs is not what was asked for.
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		d, _ := c.withRegistry(t)
		c.push(t, d, "registry.example/web:1", "again")
		c.services["a"].fates = []fate{{refused: errDenied}}
		result, err := d.Run(t.Context(), rolling("registry.example/web:1", "a"))
		if s := result.Services[0]; err != nil || s.Outcome != rollout.Failed || !errors.Is(s.Err, errDenied) {
			t.Error(outcomes(result), s.Reason.Code, s.Err, err)
		}
	})
}

// TestMissingImage: an image that is not there is found out before anything is changed.
func TestMissingImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		d, _ := c.withRegistry(t)
		_, err := d.Run(t.Context(), rolling("registry.example/web:2", "a"))
		var about *AboutError
		if !errors.As(err, &about) || about.Kind != mistake.Image || c.said() != "" {
			t.Error(c.said(), err)
		}
	})
}

// TestCurrentImage: the image of the last success that is neither the placeholder
// nor infrastructure's.
func TestCurrentImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := history(t)
		c.define(t, "web:5", "registry.example/web:placeholder")
		c.services["a"].records[0].revision = revisionARN("web:1")
		c.add("a", "web:1", "web:2", "web:3", "web:5")
		d, _ := c.withRegistry(t)
		r := rolling(Current, "a")
		result, err := d.Run(t.Context(), r)
		if err != nil || result.Image.URI != "registry.example/web:12" || outcomes(result) != "succeeded" {
			t.Errorf("%+v, %v", result, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.define(t, "web:1", "registry.example/web:placeholder")
		c.add("a", "web:1")
		d, _ := c.withRegistry(t)
		if _, err := d.Run(t.Context(), rolling(Current, "a")); !mistake.Is(err, mistake.Image) || !strings.Contains(err.Error(), "service a") {
			t.Error(err)
		}
	})
}
