package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/probe"
	"ecsdeploy/pkg/rollout"
)

// pages answers the requests of smoke tests: each takes three seconds.
type pages struct {
	outcome probe.Outcome
	asked   []string
	during  func() // what happens meanwhile
	hangs   bool
}

func (p *pages) Run(ctx context.Context, c probe.Check, show func(probe.Attempt)) (probe.Attempt, error) {
	p.asked = append(p.asked, c.URL)
	wait := 3 * time.Second
	if p.hangs {
		wait = 24 * time.Hour
	}
	if err := sleep(ctx, wait); err != nil {
		return probe.Attempt{}, context.Cause(ctx)
	}
	if p.during != nil {
		p.during()
	}
	a := probe.Attempt{Number: 1, Of: 1, Outcome: p.outcome, Status: 200}
	show(a)
	return a, nil
}

// TestSmokeMadeLater: a deployment that was given up before its smoke test, is left as
// it is and completes while others are followed is tested then.
func TestSmokeMadeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "bad", "good")
		bad := c.services["bad"]
		bad.fates = []fate{{what: crashes, after: time.Minute}}
		c.services["good"].fates = []fate{{after: 10 * time.Minute}}
		for _, s := range c.services {
			s.listener = "test"
		}
		time.AfterFunc(3*time.Minute, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			bad.happens(c, bad.records[len(bad.records)-1], succeeds)
		})
		d, _ := c.deployer()
		p := &pages{outcome: probe.Passed}
		d.Probes = p
		r := asking("bad", "good")
		r.RollbackOnFailure = false
		r.SmokeTests = []SmokeTest{{Check: probe.Check{URL: "/health"}}}
		result, err := d.Run(t.Context(), r)
		if got := outcomes(result); err != nil || got != "succeeded succeeded" || len(p.asked) != 2 {
			t.Errorf("got %q after %d tests, want two successes after 2; %v", got, len(p.asked), err)
		}
	})
}

// TestSmokeOfWhatCompletedAnyway: a deployment is given up before its smoke test, and
// completes before it can be stopped. It is tested then, and goes back where it fails.
func TestSmokeOfWhatCompletedAnyway(t *testing.T) {
	for outcome, want := range map[probe.Outcome]rollout.Outcome{probe.Passed: rollout.Succeeded, probe.WrongStatus: rollout.RolledBack} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			c.services["a"].fates = []fate{{what: crashes, after: time.Minute, wins: true}}
			d, _ := c.deployer()
			p := &pages{outcome: outcome}
			d.Probes = p
			r := asking("a")
			r.SmokeTests = []SmokeTest{{Check: probe.Check{URL: "https://app.example/health"}}}
			result, err := d.Run(t.Context(), r)
			if err != nil || result.Services[0].Outcome != want || len(p.asked) != 1 {
				t.Errorf("%s: %s (%s), asked %d times, %v; want %s", outcome, result.Services[0].Outcome, result.Services[0].Reason.Code, len(p.asked), err, want)
			}
		})
	}
}

// TestSmoke: what a smoke test makes of a deployment, and what is sent for that.
func TestSmoke(t *testing.T) {
	const moved = "register web:2; start a web:2"
	blueGreen := strategy{Name: "BLUE_GREEN"}
	paused := fate{what: pauses, after: time.Minute}
	for _, tt := range []struct {
		name     string
		strategy strategy
		stage    string
		fate     fate
		fails    bool
		change   func(*Request, *cloud, *pages)
		outcome  rollout.Outcome
		code     rollout.Code
		changes  string
		asked    int
	}{
		{name: "a pause, and it passes", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: paused, outcome: rollout.Succeeded, changes: moved + "; continue a", asked: 1},
		{name: "a pause, and it fails", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: paused, fails: true, outcome: rollout.RolledBack, code: SmokeTestFailed, changes: moved + "; rollback a", asked: 1},
		{name: "a pause, it fails, and the service is left", strategy: blueGreen, stage: "PRE_PRODUCTION_TRAFFIC_SHIFT", fate: paused, fails: true,
			change: func(r *Request, _ *cloud, _ *pages) { r.RollbackOnFailure = false }, outcome: rollout.Failed, code: SmokeTestFailed, changes: moved, asked: 1},
		{name: "a pause before there is test traffic", strategy: blueGreen, stage: "POST_SCALE_UP", fate: paused, fails: true, outcome: rollout.Paused, code: rollout.HookWaits, changes: moved},
		{name: "a pause of the first deployment after the placeholder", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: paused, fails: true,
			change: func(_ *Request, c *cloud, _ *pages) { c.services["a"].records[0].status = "STOPPED" }, outcome: rollout.RolledBack, code: SmokeTestFailed, changes: moved + "; rollback a", asked: 1},
		{name: "test traffic without a pause, and it passes", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: fate{after: time.Minute},
			change: func(_ *Request, c *cloud, _ *pages) { c.services["a"].Pauses = nil }, outcome: rollout.Succeeded, changes: moved, asked: 1},
		{name: "test traffic without a pause, and it fails", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: fate{after: time.Minute}, fails: true,
			change: func(_ *Request, c *cloud, _ *pages) { c.services["a"].Pauses = nil }, outcome: rollout.RolledBack, code: SmokeTestFailed, changes: moved + "; stop a web:2", asked: 1},
		{name: "it fails after the deployment has completed", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: fate{after: time.Second}, fails: true,
			change: func(_ *Request, c *cloud, _ *pages) { c.services["a"].Pauses = nil }, outcome: rollout.RolledBack, code: SmokeTestFailed, changes: moved + "; start a web:1", asked: 1},
		{name: "it fails just before the deployment completes", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: fate{after: time.Minute, wins: true}, fails: true,
			change: func(_ *Request, c *cloud, _ *pages) { c.services["a"].Pauses = nil }, outcome: rollout.RolledBack, code: SmokeTestFailed, changes: moved + "; start a web:1", asked: 1},
		{name: "a rolling deployment, and it passes", fate: fate{after: time.Minute}, outcome: rollout.Succeeded, changes: moved, asked: 1},
		{name: "a rolling deployment, and it fails", fate: fate{after: time.Minute}, fails: true, outcome: rollout.RolledBack, code: SmokeTestFailed, changes: moved + "; start a web:1", asked: 1},
		{name: "a deployment that fails by itself", fate: fate{what: fails, after: time.Minute}, outcome: rollout.RolledBack, code: rollout.DeploymentStopped, changes: moved + "; start a web:1"},
		{name: "a service that runs the revision already", fails: true,
			change: func(r *Request, _ *cloud, _ *pages) { r.Change.Environment = nil }, outcome: rollout.Failed, code: SmokeTestFailed, asked: 1},
		{name: "ECS rolls back meanwhile", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: paused,
			change: func(_ *Request, c *cloud, p *pages) {
				p.during = func() {
					c.mu.Lock()
					defer c.mu.Unlock()
					s := c.services["a"]
					s.goBack(s.records[len(s.records)-1], "ROLLBACK_IN_PROGRESS", time.Now())
				}
			}, outcome: rollout.RolledBack, code: rollout.RolledBackByECS, changes: moved, asked: 1},
		{name: "the time is over", strategy: blueGreen, stage: "POST_TEST_TRAFFIC_SHIFT", fate: paused,
			change: func(_ *Request, _ *cloud, p *pages) { p.hangs = true }, outcome: rollout.RolledBack, code: SmokeTestFailed, changes: moved + "; rollback a", asked: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "a")
				s := c.services["a"]
				s.strategy, s.stage, s.fates, s.listener = tt.strategy, tt.stage, []fate{tt.fate}, "test"
				s.Pauses = pausesAt(tt.stage)
				d, view := c.deployer()
				p := &pages{outcome: probe.Passed}
				if tt.fails {
					p.outcome = probe.WrongStatus
				}
				d.Probes = p
				r := asking("a")
				r.SmokeTests = []SmokeTest{{Check: probe.Check{URL: "/health"}}}
				if tt.change != nil {
					tt.change(&r, c, p)
				}
				result, err := d.Run(t.Context(), r)
				got := result.Services[0]
				if err != nil || got.Outcome != tt.outcome || got.Reason.Code != tt.code || c.said() != tt.changes || len(p.asked) != tt.asked {
					t.Errorf("%s (%+v), changed %q, asked %q, %v", got.Outcome, got.Reason, c.said(), p.asked, err)
				}
				for _, url := range p.asked {
					if url != "http://test.example:9000/health" {
						t.Errorf("asked %s", url)
					}
				}
				if len(shown[SmokeTested](view)) != tt.asked || len(got.Smoke) != tt.asked {
					t.Errorf("results %+v", got.Smoke)
				}
				if left := tt.name == "a pause, it fails, and the service is left"; (got.HookID != "") != (left || got.Outcome == rollout.Paused) {
					t.Errorf("hook %q", got.HookID)
				}
			})
		})
	}
}

// pausesAt are the hooks of a service that pauses at a stage; none where there is no
// stage.
func pausesAt(stage string) []ecsPause {
	if stage == "" {
		return nil
	}
	return []ecsPause{{Stages: []string{stage}}}
}

// TestSmokeOfResume: the smoke test answers the pause.
func TestSmokeOfResume(t *testing.T) {
	for _, tt := range []struct {
		outcome probe.Outcome
		want    rollout.Outcome
		changes string
	}{
		{probe.Passed, rollout.Succeeded, "continue a"},
		{probe.WrongBody, rollout.RolledBack, "rollback a"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			c.define(t, "web:2", "registry.example/web:2")
			s := c.services["a"]
			s.strategy, s.stage, s.listener = strategy{Name: "BLUE_GREEN"}, "POST_TEST_TRAFFIC_SHIFT", "test"
			s.deploy(c, revisionARN("web:2"), 2, fate{what: pauses, after: time.Second})
			time.Sleep(time.Minute)
			d, _ := c.withRegistry(t)
			p := &pages{outcome: tt.outcome}
			d.Probes = p
			r := Request{Wait: true, Timeout: 30 * time.Minute, Services: []Service{{"main", "a"}}, SmokeTests: []SmokeTest{{Check: probe.Check{URL: "/health"}}}}
			result, err := d.Resume(t.Context(), r, "", rollout.Continue)
			if err != nil || result.Outcome() != tt.want || c.said() != tt.changes || len(p.asked) != 1 {
				t.Errorf("%s: %s, changed %q, asked %q, %v", tt.outcome, result.Outcome(), c.said(), p.asked, err)
			}
		})
	}
}

// TestSmokeCancelled: a run that is cancelled during the smoke test leaves the service
// as onCancel says.
func TestSmokeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		s := c.services["a"]
		s.strategy, s.stage, s.listener, s.fates = strategy{Name: "BLUE_GREEN", Pauses: pausesAt("POST_TEST_TRAFFIC_SHIFT")}, "POST_TEST_TRAFFIC_SHIFT", "test", []fate{{what: pauses, after: time.Minute}}
		d, view := c.deployer()
		d.Probes = &pages{hangs: true}
		r := asking("a")
		r.RollbackOnCancel, r.SmokeTests = true, []SmokeTest{{Check: probe.Check{URL: "/health"}}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(90*time.Second, cancel)
		_, err := d.Run(ctx, r)
		left := shown[Interrupted](view)
		if !errors.Is(err, context.Canceled) || c.said() != "register web:2; start a web:2; stop a web:2" || len(left) != 1 || !left[0].Rollback.Done {
			t.Errorf("changed %q, %v, left %+v", c.said(), err, left)
		}
	})
}

// TestSmokeOfTwo: the smoke test of one service decides for both.
func TestSmokeOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		a := c.services["a"]
		a.strategy, a.stage, a.listener, a.fates = strategy{Name: "BLUE_GREEN", Pauses: pausesAt("POST_TEST_TRAFFIC_SHIFT")}, "POST_TEST_TRAFFIC_SHIFT", "test", []fate{{what: pauses, after: time.Minute}}
		c.services["b"].fates = []fate{{what: hangs}}
		d, _ := c.deployer()
		d.Probes = &pages{outcome: probe.Unreachable}
		r := asking("a", "b")
		r.SmokeTests = []SmokeTest{{Check: probe.Check{URL: "https://app.example/health"}}}
		result, err := d.Run(t.Context(), r)
		if err != nil || outcomes(result) != "rolledBack rolledBack" || !strings.Contains(c.said(), "rollback a") || !strings.Contains(c.said(), "stop b web:2") || result.Services[1].Reason.Code != SiblingFailed {
			t.Errorf("%s, changed %q, %v", outcomes(result), c.said(), err)
		}
	})
}

// TestSmokePlan: when the test of a service runs, and what cannot be asked.
func TestSmokePlan(t *testing.T) {
	for _, tt := range []struct {
		name     string
		strategy strategy
		listener string
		url      string
		want     SmokeTime
		blind    bool
		mistake  string
	}{
		{"rolling", strategy{}, "", "https://app.example/", SmokeAtEnd, false, ""},
		{"rolling that bakes", strategy{Bake: time.Minute}, "", "https://app.example/", SmokeAtTraffic, false, ""},
		{"a path of a rolling deployment", strategy{}, "", "/", "", false, "has no listener for test traffic"},
		{"blue/green", strategy{Name: "BLUE_GREEN"}, "test", "/", SmokeAtTest, false, ""},
		{"blue/green with a pause", strategy{Name: "BLUE_GREEN", Pauses: pausesAt("POST_TEST_TRAFFIC_SHIFT")}, "test", "/", SmokeAtPause, false, ""},
		{"a pause without test traffic", strategy{Name: "BLUE_GREEN", Pauses: pausesAt("POST_TEST_TRAFFIC_SHIFT")}, "", "https://app.example/", SmokeAtPause, true, ""},
		{"a canary without test traffic", strategy{Name: "CANARY"}, "", "https://app.example/", SmokeAtTraffic, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := world(t, "a")
			c.services["a"].strategy, c.services["a"].listener = tt.strategy, tt.listener
			d, view := c.deployer()
			r := asking("a")
			r.DryRun, r.SmokeTests = true, []SmokeTest{{Check: probe.Check{URL: tt.url}}}
			_, err := d.Run(t.Context(), r)
			if tt.mistake != "" {
				if err == nil || !strings.Contains(err.Error(), tt.mistake) || c.said() != "" {
					t.Errorf("%v, changed %q", err, c.said())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			plan := shown[PlanMade](view)[0].Plan.Services[0].Smoke
			if plan == nil || plan.Time != tt.want || plan.Blind != tt.blind {
				t.Errorf("%+v", plan)
			}
		})
	}
}
