package deploy

import (
	"context"
	"iter"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// withoutRecords is a cloud whose records of deployments are gone, as after 90 days.
type withoutRecords struct{ *cloud }

func (f withoutRecords) Controller(ctx context.Context, s ecs.Service) (rollout.Controller, error) {
	c, err := f.cloud.Controller(ctx, s)
	return recordless{c}, err
}

type recordless struct{ rollout.Controller }

func (recordless) Successes(context.Context) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

// TestCurrentInProgress: while a deployment is in progress, its image is none to hand
// out, whatever can be read of those before it.
func TestCurrentInProgress(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*cloud, *Deployer)
		want   string // image; empty is an error
	}{
		"the history tells":       {nil, "registry.example/web:12"},
		"the history is denied":   {func(c *cloud, _ *Deployer) { c.history = &smithy.GenericAPIError{Code: "AccessDeniedException"} }, "registry.example/web:12"},
		"the history is gone":     {func(c *cloud, d *Deployer) { d.Rollouts = withoutRecords{c} }, "registry.example/web:12"},
		"the history is broken":   {func(c *cloud, _ *Deployer) { c.history = &smithy.GenericAPIError{Code: "InternalFailure"} }, ""},
		"the session has expired": {func(c *cloud, _ *Deployer) { c.inFlight = &smithy.GenericAPIError{Code: "ExpiredTokenException"} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.define(t, "web:1", "registry.example/web:12", "build=12", "pipeline=p1")
				c.define(t, "web:2", "registry.example/web:13", "build=13", "pipeline=p1")
				c.add("a", "web:1").deploy(c, revisionARN("web:2"), 2, fate{what: hangs})
				d, _ := c.withRegistry(t)
				if tt.change != nil {
					tt.change(c, d)
				}
				got, err := d.CurrentImages(t.Context(), operating("a"), "")
				if tt.want == "" && err == nil || tt.want != "" && (err != nil || got[0].URI != tt.want) {
					t.Errorf("%+v, %v", got, err)
				}
			})
		})
	}
}

// TestCurrentContainer: build and digest that a revision's tags have are those of the
// image that was deployed, and not of another container's.
func TestCurrentContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deployed := "sha256:" + strings.Repeat("a", 64)
		made := path(t, `{"family":"web","containerDefinitions":[{"name":"app","image":"registry.example/web:12"},{"name":"alike","image":"registry.example/web:12"},
			{"name":"proxy","image":"registry.example/proxy:3"},{"name":"metrics","image":"registry.example/metrics:12"},{"name":"pinned","image":"registry.example/web@`+deployed+`"}]}`)
		c := newCloud()
		d, _ := c.withRegistry(t)
		proxy, metrics := c.push(t, d, "registry.example/proxy:3", "proxy"), c.push(t, d, "registry.example/metrics:12", "metrics")
		made, err := made.WithProvenance(taskdef.Provenance{BuildID: "12", Tag: "12", Digest: deployed, Pipeline: "p1"})
		if err == nil {
			_, err = c.put(made)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.add("a", "web:1")
		for container, want := range map[string]string{"proxy": "3 " + proxy, "metrics": "12 " + metrics, "pinned": "12 " + deployed} {
			r := operating("a")
			r.Containers = []string{container}
			got, err := d.CurrentImages(t.Context(), r, "")
			if err != nil || got[0].BuildID+" "+got[0].Digest != want {
				t.Errorf("%s: %+v, %v, want %s", container, got, err, want)
			}
		}
		only := path(t, `{"family":"web","containerDefinitions":[{"name":"app","image":"registry.example/web:12"},{"name":"alike","image":"registry.example/web:12"},{"name":"proxy","image":"registry.example/proxy:3"}]}`)
		if only, err = only.WithProvenance(taskdef.Provenance{BuildID: "12", Tag: "12", Digest: deployed}); err != nil {
			t.Fatal(err)
		}
		for container, want := range map[string]string{"app": deployed, "alike": deployed, "proxy": ""} {
			if got := madeWith(only, container).Digest; got != want {
				t.Errorf("%s: %q, want %q", container, got, want)
			}
		}
	})
}
