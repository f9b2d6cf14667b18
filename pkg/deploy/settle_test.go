package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// withTheirs is a world in which somebody else deploys theirs:1 to service a.
func withTheirs(t *testing.T, f fate) *cloud {
	t.Helper()
	c := world(t, "a")
	c.define(t, "theirs:1", "registry.example/theirs:1")
	s := c.services["a"]
	s.deploy(c, revisionARN("theirs:1"), s.desired, f)
	return c
}

// TestBusy: another deployment is in progress.
func TestBusy(t *testing.T) {
	for _, tt := range []struct {
		name    string
		busy    Busy
		theirs  fate
		wrong   string // part of the error
		outcome string
		changes string
		least   time.Duration
	}{
		{"it is waited for", Wait, fate{after: 10 * time.Minute}, "", "succeeded", "register theirs:2; start a theirs:2", 10 * time.Minute},
		{"it goes back by itself", Wait, fate{what: goesBack, after: 10 * time.Minute}, "", "succeeded", "register web:2; start a web:2", 10 * time.Minute},
		{"it does not end", Wait, fate{what: hangs}, "is still in progress", "", "", 25 * time.Minute},
		{"it is paused", Wait, fate{what: pauses, after: time.Minute}, "is paused", "", "", time.Minute},
		{"it is replaced", Supersede, fate{what: hangs}, "", "succeeded", "register theirs:2; start a theirs:2", 0},
		{"it is a reason to stop", Fail, fate{what: hangs}, "is in progress, and whenBusy is fail", "", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := withTheirs(t, tt.theirs)
				d, view := c.deployer()
				r := asking("a")
				r.WhenBusy = tt.busy
				result, err := d.Run(t.Context(), r)
				if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
					t.Fatalf("error %v, want %q", err, tt.wrong)
				}
				if got := outcomes(result); got != tt.outcome {
					t.Errorf("outcome %q, want %q", got, tt.outcome)
				}
				if got := c.said(); got != tt.changes {
					t.Errorf("changed %q, want %q", got, tt.changes)
				}
				if result.Took < tt.least || result.Took > 30*time.Minute {
					t.Errorf("took %v", result.Took)
				}
				if busy := shown[BusyWith](view); tt.busy != Fail && (len(busy) != 1 || busy[0].Do != tt.busy) {
					t.Errorf("told %+v", busy)
				}
				var hinted interface{ Hint() string }
				if err != nil && (!errors.As(err, &hinted) || hinted.Hint() == "") {
					t.Errorf("no hint in %v", err)
				}
			})
		})
	}
}

// TestBusyOneAfterTheOther: when the deployment that was waited for has ended, the
// next one may have begun: it is waited for too, and told.
func TestBusyOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withTheirs(t, fate{after: time.Minute})
		time.AfterFunc(50*time.Second, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			s := c.services["a"]
			s.deploy(c, revisionARN("theirs:1"), s.desired, fate{after: time.Minute})
		})
		d, view := c.deployer()
		result, err := d.Run(t.Context(), asking("a"))
		if err != nil || outcomes(result) != "succeeded" || c.said() != "register theirs:2; start a theirs:2" || len(shown[BusyWith](view)) != 2 {
			t.Error(outcomes(result), c.said(), shown[BusyWith](view), err)
		}
	})
}

// TestBusyWithOurs: a deployment of the wanted revision, from an earlier run of the
// step, is followed; it is in nobody's way.
func TestBusyWithOurs(t *testing.T) {
	for _, busy := range []Busy{Wait, Supersede, Fail} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			c.services["a"].fates = []fate{{after: 10 * time.Minute}}
			d, view := c.deployer()
			r := asking("a")
			r.Wait, r.WhenBusy = false, busy
			if _, err := d.Run(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			r.Wait = true
			result, err := d.Run(t.Context(), r)
			if err != nil || outcomes(result) != "succeeded" || c.said() != "register web:2; start a web:2" || len(shown[BusyWith](view)) != 0 {
				t.Error(busy, outcomes(result), c.said(), err)
			}
		})
	}
}

// TestMovedBeforeStart: somebody else moves the service after it was settled. It is
// settled again, and our revision is made from what is there then.
func TestMovedBeforeStart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		moves   int // how often they do so
		theirs  fate
		busy    Busy
		outcome string
		changes string
	}{
		{"once, and it is done", 1, fate{}, Wait, "succeeded", "register web:2; register theirs:2; start a theirs:2"},
		{"once, and it is in progress", 1, fate{after: 10 * time.Minute}, Wait, "succeeded", "register web:2; register theirs:2; start a theirs:2"},
		{"once, and it is replaced", 1, fate{what: hangs}, Supersede, "succeeded", "register web:2; register theirs:2; start a theirs:2"},
		{"once, and it goes back", 1, fate{what: goesBack, after: time.Minute}, Wait, "succeeded", "register web:2; start a web:2"},
		{"in progress, and that is a reason to stop", 1, fate{what: hangs}, Fail, "failed", "register web:2"},
		{"again and again", 9, fate{}, Wait, "failed", "register web:2; register theirs:2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "a")
				c.define(t, "theirs:1", "registry.example/theirs:1")
				s := c.services["a"]
				move := func(s *service) { s.others(c, revisionARN("theirs:1"), tt.theirs) }
				d, view := c.deployer()
				left := tt.moves
				r := asking("a")
				r.WhenBusy = tt.busy
				d.Rollouts = meddling{c, func() {
					if left > 0 {
						left--
						move(s)
					}
				}}
				result, err := d.Run(t.Context(), r)
				if err != nil || outcomes(result) != tt.outcome || c.said() != tt.changes {
					t.Errorf("%q, changed %q; %v", outcomes(result), c.said(), err)
				}
				var since *rollout.MovedError
				if tt.outcome == "failed" && tt.busy == Wait && !errors.As(result.Services[0].Err, &since) {
					t.Errorf("error %v", result.Services[0].Err)
				}
				if len(shown[Moved](view)) == 0 && tt.outcome == "succeeded" && tt.theirs.what == "" {
					t.Error("that somebody moved the service was not told")
				}
			})
		})
	}
}

// meddling calls meddle just before each start.
type meddling struct {
	*cloud
	meddle func()
}

func (m meddling) Controller(_ context.Context, s ecs.Service) (rollout.Controller, error) {
	return meddled{&controller{m.cloud, m.services[s.Name]}, m.meddle}, nil
}

type meddled struct {
	*controller
	meddle func()
}

func (m meddled) Start(ctx context.Context, change rollout.Change) (rollout.Deployment, error) {
	m.mu.Lock()
	m.meddle()
	m.mu.Unlock()
	return m.controller.Start(ctx, change)
}

// TestMovedDuringPush: what happened to the services while the image was pushed is
// found out before anything is registered.
func TestMovedDuringPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		c.define(t, "theirs:1", "registry.example/theirs:1")
		d, view := c.deployer()
		r := asking("a")
		r.Push = true
		p := &Plan{Request: asking("a"), Services: make([]ServicePlan, 1)}
		var err error
		if p.Services[0], err = d.readService(t.Context(), newLibrary(c), r.Services[0], ""); err == nil {
			p.Services[0], err = d.prepare(t.Context(), p, p.Services[0], true)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.services["a"].others(c, revisionARN("theirs:1"), fate{})
		p.Request.Push = true
		targets, err := d.ready(t.Context(), p, true)
		if err != nil || targets[0].Revision != revisionARN("theirs:2") || len(shown[Moved](view)) != 1 {
			t.Errorf("%+v, %v", targets, err)
		}
		if p.Services[0].Service.TaskDefinition != revisionARN("web:1") {
			t.Error("the plan has changed after it was made")
		}
	})
}

// TestOlderBuild: builds of one pipeline replace each other in their order.
func TestOlderBuild(t *testing.T) {
	for _, tt := range []struct {
		ours, runs string
		pipeline   string
		allow      bool
		refused    bool
	}{
		{"7", "8", "p1", false, true},
		{"9", "10", "p1", false, true},
		{"7", "8", "p1", true, false},
		{"8", "7", "p1", false, false},
		{"7", "7", "p1", false, false},
		{"7", "8", "p2", false, false},
		{"7", "8", "", false, false},
		{"7", "20261126.8", "p1", false, false},
		{"20261126.1", "20261126.8", "p1", false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "registry.example/web:1")
			c.define(t, "web:2", "registry.example/web:2", "build="+tt.runs, "pipeline="+tt.pipeline, "base=web:1")
			c.add("a", "web:1", "web:2")
			d, _ := c.deployer()
			r := asking("a")
			r.Origin.BuildID, r.AllowOlderBuild = tt.ours, tt.allow
			_, err := d.Run(t.Context(), r)
			if mistake.Is(err, mistake.Order) != tt.refused || !tt.refused && err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			if tt.refused && c.said() != "" {
				t.Error(c.said())
			}
		})
	}
}

// TestCodeDeployBusy: no other deployment can start beside CodeDeploy's, so that
// supersede stops it first.
func TestCodeDeployBusy(t *testing.T) {
	for _, tt := range []struct {
		busy    Busy
		theirs  fate
		changes string
	}{
		{Wait, fate{after: 10 * time.Minute}, "register theirs:2; start a theirs:2"},
		{Supersede, fate{what: hangs}, "stop a theirs:1; register web:2; start a web:2"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t)
			c.define(t, "theirs:1", "registry.example/theirs:1")
			s := c.add("a", "web:1")
			s.who = "CODE_DEPLOY"
			s.deploy(c, revisionARN("theirs:1"), 2, tt.theirs)
			d, view := c.deployer()
			r := asking("a")
			r.WhenBusy = tt.busy
			result, err := d.Run(t.Context(), r)
			if err != nil || outcomes(result) != "succeeded" || c.said() != tt.changes {
				t.Error(outcomes(result), c.said(), err)
			}
			if busy := shown[BusyWith](view); len(busy) != 1 || busy[0].Stop != (tt.busy == Supersede) {
				t.Errorf("told %+v", busy)
			}
			if result.Services[0].Deployment != "" || result.Services[0].CodeDeploy == "" {
				t.Errorf("deployment %q, in CodeDeploy %q", result.Services[0].Deployment, result.Services[0].CodeDeploy)
			}
		})
	}
}
