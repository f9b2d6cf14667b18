package deploy

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// history is a world in which service a has run three builds, the newest of them
// last. Their images are in no registry that can be asked.
func history(t *testing.T) *cloud {
	t.Helper()
	c := newCloud()
	c.define(t, "web:1", "registry.example/web:placeholder")
	c.define(t, "web:2", "registry.example/web:11", "build=11", "pipeline=p1", "base=web:1")
	c.define(t, "web:3", "registry.example/web:12", "build=12", "pipeline=p1", "base=web:1")
	c.define(t, "web:4", "registry.example/web:13", "build=13", "pipeline=p1", "base=web:1")
	c.add("a", "web:1", "web:2", "web:3", "web:4")
	return c
}

// operating is a request of the commands that register nothing.
func operating(services ...string) Request {
	r := asking(services...)
	r.Rollout, r.Change.Environment = false, nil
	return r
}

func TestRollBackCommand(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(c *cloud, s *service)
		build   string
		outcome string
		changes string
		wrong   mistake.Kind
	}{
		{"to the last success", nil, "", "succeeded", "start a web:3", ""},
		{"to a build", nil, "11", "succeeded", "start a web:2", ""},
		{"to a build that is not known", nil, "99", "", "", mistake.Build},
		{"one is in progress", func(c *cloud, s *service) { s.deploy(c, revisionARN("web:2"), 2, fate{what: hangs}) }, "", "succeeded", "start a web:4", ""},
		{"a deregistered revision is registered again", func(c *cloud, s *service) { c.deregister("web:3") }, "", "succeeded", "register web:5; start a web:5", ""},
		{"to a build whose revision was deregistered", func(c *cloud, s *service) { c.deregister("web:2") }, "11", "succeeded", "register web:5; start a web:5", ""},
		{"to a build of which a later revision failed", func(c *cloud, s *service) {
			c.define(t, "web:5", "registry.example/web:11", "build=11", "pipeline=p1", "base=web:1")
		}, "11", "succeeded", "start a web:2", ""},
		{"to a build that ran elsewhere", func(c *cloud, s *service) {
			c.define(t, "web:5", "registry.example/web:14", "build=14", "pipeline=p1", "base=web:1")
		}, "14", "succeeded", "start a web:5", ""},
		{"a deleted revision is passed over", func(c *cloud, s *service) { delete(c.definitions, revisionARN("web:3")) }, "", "succeeded", "start a web:2", ""},
		{"never to the placeholder", func(c *cloud, s *service) {
			delete(c.definitions, revisionARN("web:2"))
			delete(c.definitions, revisionARN("web:3"))
		}, "", "", "", mistake.Service},
		{"it fails, and the service stays where it was", func(c *cloud, s *service) { s.fates = []fate{{what: crashes}} }, "", "rolledBack", "start a web:3; stop a web:3", ""},
		{"refused", func(c *cloud, s *service) { s.fates = []fate{{refused: errDenied}} }, "", "failed", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := history(t)
				if tt.prepare != nil {
					tt.prepare(c, c.services["a"])
				}
				d, _ := c.withRegistry(t)
				result, err := d.RollBack(t.Context(), operating("a"), tt.build)
				if tt.wrong != "" && !mistake.Is(err, tt.wrong) || tt.wrong == "" && err != nil {
					t.Fatal(err)
				}
				if outcomes(result) != tt.outcome || c.said() != tt.changes {
					t.Errorf("%q, changed %q", outcomes(result), c.said())
				}
			})
		})
	}
}

func TestRollBackDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := history(t)
		d, view := c.withRegistry(t)
		r := operating("a")
		r.DryRun = true
		result, err := d.RollBack(t.Context(), r, "")
		if err != nil || c.said() != "" || !result.DryRun || len(shown[PlanMade](view)) != 1 {
			t.Error(c.said(), result, err)
		}
	})
}

// TestRollBackOfAMovedService: somebody else moves the service in the last moment.
// It goes back to the revision that was chosen, and not forward to the newest.
func TestRollBackOfAMovedService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := history(t)
		d, _ := c.withRegistry(t)
		left := 1
		d.Rollouts = meddling{c, func() {
			if left > 0 {
				left--
				c.services["a"].others(c, revisionARN("web:2"), fate{})
			}
		}}
		result, err := d.RollBack(t.Context(), operating("a"), "12")
		if err != nil || outcomes(result) != "succeeded" || c.said() != "start a web:3" {
			t.Error(outcomes(result), c.said(), result.Services[0].Err, err)
		}
	})
}

func TestResume(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fate    fate
		action  rollout.Action
		hook    string
		outcome string
		reason  rollout.Code
		changes string
		wrong   bool
	}{
		{"continue", fate{what: pauses}, rollout.Continue, "", "succeeded", "", "continue a", false},
		{"continue, by the hook's id", fate{what: pauses}, rollout.Continue, "hook-ecs-svc/a2", "succeeded", "", "continue a", false},
		{"continue, and it fails", fate{what: pauses, then: goesBack}, rollout.Continue, "", "rolledBack", rollout.RolledBackByECS, "continue a", false},
		{"roll back", fate{what: pauses}, rollout.RollBack, "", "rolledBack", rollout.RolledBackByTask, "rollback a", false},
		{"roll back, and that fails", fate{what: pauses, stuck: true}, rollout.RollBack, "", "failed", rollout.RollbackFailed, "rollback a", false},
		{"nothing waits", fate{what: hangs}, rollout.Continue, "", "", "", "", true},
		{"another hook waits", fate{what: pauses}, rollout.Continue, "hook-1", "", "", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "a")
				c.define(t, "web:2", "registry.example/web:2")
				s := c.services["a"]
				s.deploy(c, revisionARN("web:2"), 2, tt.fate)
				d, view := c.withRegistry(t)
				result, err := d.Resume(t.Context(), operating("a"), tt.hook, tt.action)
				if (err != nil) != tt.wrong || outcomes(result) != tt.outcome || c.said() != tt.changes {
					t.Fatalf("%q, changed %q, %v", outcomes(result), c.said(), err)
				}
				if tt.wrong {
					return
				}
				got := result.Services[0]
				if got.Reason.Code != tt.reason || got.Asked != (tt.action == rollout.RollBack) || got.Previous != revisionARN("web:1") || got.Revision != revisionARN("web:2") {
					t.Errorf("%s, asked %v, from %s to %s", got.Reason.Code, got.Asked, got.Previous, got.Revision)
				}
				if len(shown[Answered](view)) != 1 || c.diagnoses > 0 && tt.action == rollout.RollBack {
					t.Error("told or examined wrongly")
				}
			})
		})
	}
}

// TestResumeSeveral: each of several services is followed to the end of the
// rollback that was asked for, also after another one is back.
func TestResumeSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		c.define(t, "web:2", "registry.example/web:2")
		c.services["a"].deploy(c, revisionARN("web:2"), 2, fate{what: pauses})
		c.services["b"].deploy(c, revisionARN("web:2"), 2, fate{what: pauses, backIn: time.Minute})
		d, _ := c.withRegistry(t)
		result, err := d.Resume(t.Context(), operating("a", "b"), "", rollout.RollBack)
		if err != nil || outcomes(result) != "rolledBack rolledBack" || c.said() != "rollback a; rollback b" && c.said() != "rollback b; rollback a" {
			t.Errorf("%q, changed %q, %v", outcomes(result), c.said(), err)
		}
	})
}

// TestResumeOneOfTwo: one of two deployments cannot be answered. The run ends, and says
// where the other one stands, which goes on.
func TestResumeOneOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		c.define(t, "web:2", "registry.example/web:2")
		c.services["a"].deploy(c, revisionARN("web:2"), 2, fate{what: pauses})
		c.services["b"].deploy(c, revisionARN("web:2"), 2, fate{what: pauses, deaf: errDenied})
		d, view := c.withRegistry(t)
		_, err := d.Resume(t.Context(), operating("a", "b"), "", rollout.Continue)
		told := shown[Interrupted](view)
		if !errors.Is(err, errDenied) || len(told) != 1 || told[0].Service.Name != "a" || told[0].Now.Name != "a" {
			t.Errorf("told %+v, %v", told, err)
		}
	})
}

// TestResumeDryRun: nothing is answered.
func TestResumeDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		c.define(t, "web:2", "registry.example/web:2")
		c.services["a"].deploy(c, revisionARN("web:2"), 2, fate{what: pauses})
		d, _ := c.withRegistry(t)
		r := operating("a")
		r.DryRun = true
		if _, err := d.Resume(t.Context(), r, "", rollout.Continue); err != nil || c.said() != "" {
			t.Error(c.said(), err)
		}
	})
}

// TestRollBackSeveral: all services or none, as with any rollout.
func TestRollBackSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := history(t)
		c.add("b", "web:1", "web:2", "web:3", "web:4").fates = []fate{{what: fails, after: time.Minute}}
		d, _ := c.withRegistry(t)
		result, err := d.RollBack(t.Context(), operating("a", "b"), "")
		if err != nil || outcomes(result) != "rolledBack rolledBack" || c.runs("a") != "web:4" || c.runs("b") != "web:4" {
			t.Error(outcomes(result), c.said(), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := history(t)
		c.add("b", "web:1")
		d, _ := c.withRegistry(t)
		_, err := d.RollBack(t.Context(), operating("a", "b"), "")
		var wrong *mistake.Error
		if !errors.As(err, &wrong) || c.said() != "" {
			t.Error("one cannot go back, and the other did:", c.said(), err)
		}
	})
}
