package deploy

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// TestDeviations: a service that infrastructure moved has drifted, one that this task
// deployed has not, and one that it never deployed cannot.
func TestDeviations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "same", "moved", "never")
		d, v := c.deployer()
		if _, err := d.Run(t.Context(), asking("same", "moved")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		c.define(t, "web:3", "registry.example/web:9")
		c.services["moved"].deploy(c, revisionARN("web:3"), 1, fate{what: succeeds, after: time.Second})
		time.Sleep(time.Hour)
		before := c.said()
		got, err := d.Deviations(t.Context(), asking("same", "moved", "never"))
		if err != nil || len(got.Deviations) != 3 || c.said() != before {
			t.Fatalf("%+v, %v", got, err)
		}
		for i, want := range []struct {
			deployed, running string
			drifted           bool
		}{{"web:2", "web:2", false}, {"web:2", "web:3", true}, {"", "web:1", false}} {
			one := got.Deviations[i]
			deployed := want.deployed
			if deployed != "" {
				deployed = revisionARN(deployed)
			}
			if one.Deployed != deployed || one.Running != revisionARN(want.running) || one.Drifted() != want.drifted || (len(one.Differences) > 0) != want.drifted {
				t.Errorf("%s: %+v", one.Name, one)
			}
		}
		if len(shown[Compared](v)) != 3 {
			t.Error("not every service was shown")
		}
		if _, err := d.Deviations(t.Context(), asking("nope")); err == nil {
			t.Error("a service that does not exist has no deviation")
		}
	})
}

// TestDeploying: a revision that this task is just deploying is no drift; one of someone
// else's, or one that stays, is.
func TestDeploying(t *testing.T) {
	for _, tt := range []struct {
		one     Deviation
		drifted bool
	}{
		{Deviation{Deployed: "a", Running: "b", Ours: true, InProgress: "ecs-svc/1"}, false},
		{Deviation{Deployed: "a", Running: "b", Ours: true}, true},
		{Deviation{Deployed: "a", Running: "b", InProgress: "ecs-svc/1"}, true},
		{Deviation{Deployed: "a", Running: "a", InProgress: "ecs-svc/1"}, false},
		{Deviation{Running: "b"}, false},
	} {
		if tt.one.Drifted() != tt.drifted || tt.one.Deviates() != tt.drifted {
			t.Errorf("%+v: %v", tt.one, tt.one.Drifted())
		}
	}
	other := Deviation{Deployed: "a", Running: "a", Proof: rollout.Proof{Running: rollout.Witness{Wrong: []rollout.Wrong{{Container: "app"}}}}}
	if other.Drifted() || !other.Deviates() {
		t.Errorf("%+v", other)
	}
}

// TestDeployedIn: the container whose image is compared is the one that was deployed,
// by its tag or its digest.
func TestDeployedIn(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for image, want := range map[string]string{
		"registry.example/web:7": "app registry.example/web", "registry.example/web@" + digest: "app registry.example/web",
		"registry.example/web:8": "", "registry.example/web": "",
	} {
		c := newCloud()
		c.define(t, "web:1", image)
		d, err := c.Definition(t.Context(), revisionARN("web:1"))
		if err != nil {
			t.Fatal(err)
		}
		ours, err := d.WithProvenance(taskdef.Provenance{Tag: "7", Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, in := range deployedIn(d, ours) {
			repository, _ := taskdef.SplitImage(in.Image)
			got = append(got, in.Name+" "+repository)
		}
		if strings.Join(got, ";") != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
}

// TestDeviationInAnotherFamily: a service that somebody moved to another family does not
// run what this task deployed last.
func TestDeviationInAnotherFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "web")
		d, _ := c.deployer()
		if _, err := d.Run(t.Context(), asking("web")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		c.define(t, "debug:1", "registry.example/debug:1")
		c.services["web"].deploy(c, revisionARN("debug:1"), 1, fate{what: succeeds, after: time.Second})
		time.Sleep(time.Hour)
		got, err := d.Deviations(t.Context(), asking("web"))
		if err != nil || got.Outcome() != Drifted || got.Deviations[0].Deployed != revisionARN("web:2") || got.Deviations[0].BuildID != "7" || len(got.Deviations[0].Differences) == 0 {
			t.Errorf("%+v, %v", got.Deviations, err)
		}
	})
}

// TestDeviationOfOneImage: of several containers whose images have the deployed tag, the
// one is compared in whose repository the deployed digest is.
func TestDeviationOfOneImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		d, _ := c.withRegistry(t)
		c.push(t, d, "registry.example/proxy:7", "proxy")
		digest := c.push(t, d, "registry.example/web:7", "web")
		made, err := path(t, `{"family":"web","containerDefinitions":[{"name":"proxy","image":"registry.example/proxy:7"},{"name":"app","image":"registry.example/web:7"}]}`).
			WithProvenance(taskdef.Provenance{BuildID: "7", Tag: "7", Digest: digest})
		if err == nil {
			made, err = c.put(made)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.digests["registry.example/web:7"] = "sha256:other" // it was pushed again
		c.add("web", made.String())
		got, err := d.Deviations(t.Context(), asking("web"))
		if err != nil || !got.Deviations[0].OtherImage() || got.Deviations[0].Uncompared != nil {
			t.Errorf("%+v, %v", got.Deviations, err)
		}
	})
}
