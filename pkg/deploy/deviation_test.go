package deploy

import (
	"testing"
	"testing/synctest"
	"time"
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
