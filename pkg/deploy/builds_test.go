package deploy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// TestBuildIsNotTheTag: the order of builds is that of their ids. The tag of an
// image is kept beside it.
func TestBuildIsNotTheTag(t *testing.T) {
	for _, tt := range []struct {
		name, ours, tag, runs, runsTag string
		refused                        bool
	}{
		{"an older build with a newer name", "7", "v1.2.0", "8", "v1.1.0", true},
		{"a newer build whose tag is a smaller number", "9", "3", "8", "12", false},
		{"an older build whose tag is a greater number", "7", "12", "8", "3", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "registry.example/web:1")
			c.define(t, "web:2", "registry.example/web:"+tt.runsTag, "build="+tt.runs, "tag="+tt.runsTag, "pipeline=p1", "base=web:1")
			c.add("a", "web:1", "web:2")
			d, _ := c.withRegistry(t)
			c.push(t, d, "registry.example/web:"+tt.tag, "ours")
			r := rolling("registry.example/web:"+tt.tag, "a")
			r.Origin.BuildID = tt.ours
			_, err := d.Run(t.Context(), r)
			if mistake.Is(err, mistake.Order) != tt.refused || !tt.refused && err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if tt.refused {
				return
			}
			p, _ := c.definitions[revisionARN("web:3")].Provenance()
			if p.BuildID != tt.ours || p.Tag != tt.tag {
				t.Errorf("%s: %+v", tt.name, p)
			}
		})
	}
}

// TestOlderBuildAgain: a further attempt goes back with a warning, a first one does not;
// and where infrastructure registered the running image again, its build still counts.
func TestOlderBuildAgain(t *testing.T) {
	for _, tt := range []struct {
		name          string
		rerun, theirs bool
		image         string // of infrastructure's revision
		refused       bool
	}{
		{name: "a first attempt", refused: true},
		{name: "a further attempt", rerun: true},
		{name: "infrastructure registered the image again", theirs: true, image: "registry.example/web:8", refused: true},
		{name: "and the attempt is a further one", theirs: true, image: "registry.example/web:8", rerun: true},
		{name: "infrastructure has an image of its own", theirs: true, image: "registry.example/web:base"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "registry.example/web:1")
			c.define(t, "web:2", "registry.example/web:8", "build=8", "pipeline=p1", "base=web:1")
			runs := []string{"web:1", "web:2"}
			if tt.theirs {
				c.define(t, "web:3", tt.image)
				runs = append(runs, "web:3")
			}
			c.add("a", runs...)
			d, view := c.withRegistry(t)
			c.push(t, d, "registry.example/web:7", "older")
			r := rolling("registry.example/web:7", "a")
			r.Origin.BuildID, r.Rerun, r.DryRun = "7", tt.rerun, true
			_, err := d.Run(t.Context(), r)
			if mistake.Is(err, mistake.Order) != tt.refused || !tt.refused && err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if !tt.rerun {
				return
			}
			plan := shown[PlanMade](view)[0].Plan
			if newer, older := plan.Older(plan.Services[0]); newer != "8" || !older {
				t.Errorf("%s: the plan does not name the newer build", tt.name)
			}
		})
	}
}

// TestOlderBuildOfAnyBase: whatever the new revision is made from, the build is known of
// an image that infrastructure registered again, be it the last one or one before.
func TestOlderBuildOfAnyBase(t *testing.T) {
	for _, tt := range []struct {
		name, base, image string // infrastructure's
		refused           bool
	}{
		{"the running revision", "running", "registry.example/web:9", true},
		{"a revision by its name", "web:4", "registry.example/web:9", true},
		{"a file", "web.yaml", "registry.example/web:9", true},
		{"an image before the last", "latest", "registry.example/web:8", true},
		{"an image of which no build is known", "running", "registry.example/web:base", false},
		{"an image from elsewhere", "running", "registry.example/other:9", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "registry.example/web:1")
			c.define(t, "web:2", "registry.example/web:8", "build=8", "pipeline=p1", "base=web:1")
			c.define(t, "web:3", "registry.example/web:9", "build=9", "pipeline=p1", "base=web:1")
			c.define(t, "web:4", tt.image)
			c.add("a", "web:1", "web:2", "web:3", "web:4")
			d, _ := c.withRegistry(t)
			d.Images.WorkingDirectory = t.TempDir()
			document := "family: web\nmemory: 64\ncontainerDefinitions: [{name: app, image: 'registry.example/web:0'}]\n"
			if err := os.WriteFile(filepath.Join(d.Images.WorkingDirectory, "web.yaml"), []byte(document), 0o600); err != nil {
				t.Fatal(err)
			}
			c.push(t, d, "registry.example/web:7", "older")
			r := rolling("registry.example/web:7", "a")
			r.Origin.BuildID, r.TaskDefinition, r.DryRun = "7", tt.base, true
			_, err := d.Run(t.Context(), r)
			if mistake.Is(err, mistake.Order) != tt.refused || !tt.refused && err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		})
	}
}

// TestDeployedBefore: an older build that the service has reached before passes:
// to deploy it again is to go back. One that it never reached does not.
func TestDeployedBefore(t *testing.T) {
	for _, tt := range []struct {
		name    string
		runs    []string
		history error
		refused bool
	}{
		{name: "it was reached", runs: []string{"web:1", "web:2", "web:3"}},
		{name: "it was only registered", runs: []string{"web:1", "web:3"}, refused: true},
		{name: "the history cannot be read", runs: []string{"web:1", "web:2", "web:3"}, history: errDenied, refused: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "registry.example/web:1")
			c.define(t, "web:2", "registry.example/web:7", "build=7", "pipeline=p1", "base=web:1")
			c.define(t, "web:3", "registry.example/web:8", "build=8", "pipeline=p1", "base=web:1")
			c.add("a", tt.runs...)
			c.history = tt.history
			d, view := c.withRegistry(t)
			r := rolling("registry.example/web:7", "a")
			r.Origin.BuildID = "7"
			_, err := d.Run(t.Context(), r)
			if mistake.Is(err, mistake.Order) != tt.refused || !tt.refused && err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if tt.refused {
				return
			}
			plan := shown[PlanMade](view)[0].Plan
			if newer, older := plan.Older(plan.Services[0]); newer != "8" || !older {
				t.Errorf("%s: the plan does not name the newer build", tt.name)
			}
		})
	}
}

// TestRollBackToATag: a build is found by its id, and by the tag of its image.
func TestRollBackToATag(t *testing.T) {
	for _, build := range []string{"7", "v1.1.0"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "registry.example/web@sha256:"+strings.Repeat("a", 64), "build=7", "tag=v1.1.0", "pipeline=p1")
			c.define(t, "web:2", "registry.example/web:8", "build=8", "pipeline=p1")
			s := c.add("a", "web:1", "web:2")
			d, _ := c.deployer()
			target, err := d.ofBuild(t.Context(), ServicePlan{Name: Service{"main", s.name}, Running: c.definitions[revisionARN("web:2")], Controller: &controller{c, s}}, build)
			if err != nil || target.String() != "web:1" {
				t.Errorf("%s: %s, %v", build, target, err)
			}
		})
	}
}

// TestRollBackToABuildBesideATag: the tag of a further container, and that of an image of
// another build, are no build to go back to.
func TestRollBackToABuildBesideATag(t *testing.T) {
	c := newCloud()
	store := func(image string, tags ...string) {
		d, err := taskdef.Parse(fmt.Appendf(nil, `{"family":"web","containerDefinitions":[{"name":"app","image":%q},{"name":"db","image":"postgres:12","essential":false}]}`, image))
		if err != nil {
			t.Fatal(err)
		}
		c.store(t, d, tags...)
	}
	store("registry.example/web:12", "build=12", "pipeline=p1")
	store("registry.example/web:13", "build=13", "pipeline=p1")
	store("registry.example/web:base") // of infrastructure
	d, _ := c.deployer()
	target, err := d.ofBuild(t.Context(), ServicePlan{Running: c.definitions[revisionARN("web:3")], Controller: &controller{c, c.add("a", "web:3")}}, "12")
	if err != nil || target.String() != "web:1" {
		t.Errorf("%s, %v", target, err)
	}
}

// TestAFileNamedLikeAFamily: the spelling decides what is meant.
func TestAFileNamedLikeAFamily(t *testing.T) {
	c := newCloud()
	c.define(t, "web:1", "registry.example/web:1")
	d, _ := c.deployer()
	d.Images.WorkingDirectory = t.TempDir()
	for _, name := range []string{"web", "web.json"} {
		document := `{"family":"other","containerDefinitions":[{"name":"app","image":"x"}]}`
		if err := os.WriteFile(filepath.Join(d.Images.WorkingDirectory, name), []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for ref, family := range map[string]string{"web": "web", "web.json": "other"} {
		l, err := d.fileOrRevision(t.Context(), newLibrary(c), ref)
		if err != nil || l.Base.Family() != family {
			t.Errorf("%s: %s, %v", ref, l.Base, err)
		}
	}
}

// TestSelfByItsFullName: the image that the run is about to push is not looked for
// in the repository.
func TestSelfByItsFullName(t *testing.T) {
	const uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web"
	p := &Plan{Repository: &ecr.Repository{URI: uri}, Request: Request{
		Push: true, Repository: "web", Tags: []string{"7", "latest"},
		Images: map[string]string{
			"migrate": uri + ":7", "moved": uri + ":latest", "old": uri + ":6",
			"theirs": "210987654321.dkr.ecr.eu-west-1.amazonaws.com/web:7", "hub": "web:7",
		},
		Change: taskdef.Change{ImageContainers: []string{"app"}},
	}}
	r := p.withSelf()
	if got := strings.Join(r.Change.ImageContainers, " "); got != "app migrate moved" || len(r.Images) != 3 {
		t.Errorf("%s, %v", got, r.Images)
	}
	if len(p.Request.Images) != 5 || len(p.Request.Change.ImageContainers) != 1 {
		t.Error("the request itself was changed")
	}
}

// TestOtherBuild: a missing image of the run's own build id names the builds that
// the run consumes.
func TestOtherBuild(t *testing.T) {
	missing := &ecr.ImageNotFoundError{Reference: "12"}
	for want, r := range map[string]Request{
		"set tags to the build that pushed the image: BUILD ($(resources.pipeline.build.runID), now 7)": {Tags: []string{"12"}, Artifacts: []Artifact{{Alias: "BUILD", BuildID: "7"}}},
		"set tags to the build that pushed the image: WEB ($(Release.Artifacts.WEB.BuildId), now 7)":    {Tags: []string{"12"}, Artifacts: []Artifact{{"WEB", "7", true}}},
		missing.Hint(): {Tags: []string{"7"}, Artifacts: []Artifact{{"WEB", "7", true}}},
	} {
		err := r.otherBuild(missing)
		with, ok := errors.AsType[interface {
			error
			Hint() string
		}](about(mistake.Tag, err))
		if !ok || with.Hint() != want {
			t.Errorf("%v: want %s", err, want)
		}
	}
}
