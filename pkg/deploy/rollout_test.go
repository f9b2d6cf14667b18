package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// asking is a request to set a variable of the services, which takes a new revision.
func asking(services ...string) Request {
	r := Request{
		Rollout: true, Wait: true, Timeout: 30 * time.Minute, WhenBusy: Wait, MaxFailedTasks: 3, RollbackOnFailure: true,
		Change: taskdef.Change{Environment: []taskdef.Variable{{Name: "LEVEL", Value: "debug"}}},
		Origin: taskdef.Provenance{Pipeline: "p1", BuildID: "7"},
	}
	for _, name := range services {
		r.Services = append(r.Services, Service{"main", name})
	}
	return r
}

// world is a cloud with one family, web:1, that the services run.
func world(t *testing.T, services ...string) *cloud {
	t.Helper()
	c := newCloud()
	c.define(t, "web:1", "registry.example/web:1")
	for _, name := range services {
		c.add(name, "web:1")
	}
	return c
}

func (c *cloud) deployer() (*Deployer, *screen) {
	view := &screen{}
	return &Deployer{ECS: c, Rollouts: c, Balancers: c, View: view}, view
}

// outcomes are the services' outcomes, in order.
func outcomes(r Result) string {
	var all []string
	for _, s := range r.Services {
		all = append(all, string(s.Outcome))
	}
	return strings.Join(all, " ")
}

var errDenied = errors.New("access denied")

func TestDryRunChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		d, view := c.deployer()
		r := asking("a", "b")
		r.DryRun = true
		result, err := d.Run(t.Context(), r)
		if err != nil || c.said() != "" || !result.DryRun {
			t.Errorf("changed %q, %v", c.said(), err)
		}
		if plans := shown[PlanMade](view); len(plans) != 1 || len(view.events) != 1 {
			t.Errorf("shown: %v", view.events)
		}
		if len(result.Services) != 2 || len(result.Services[0].Changes) != 1 || result.Services[0].Outcome != "" || result.Services[0].Revision != "" {
			t.Errorf("result %+v", result.Services)
		}
	})
}

// TestEndings: how one service's rollout ends, and what is sent for that.
func TestEndings(t *testing.T) {
	const moved = "register web:2; start a web:2"
	for _, tt := range []struct {
		name    string
		fate    fate
		back    []fate // of the deployments that are started then
		leave   bool   // onFailure: leave
		outcome rollout.Outcome
		reason  rollout.Code
		back2   RollbackCode
		changes string
		runs    string
	}{
		{"success", fate{after: time.Minute}, nil, false, rollout.Succeeded, "", "", moved, "web:2"},
		{"failure", fate{what: fails, after: time.Minute}, nil, false, rollout.RolledBack, rollout.DeploymentStopped, "", moved + "; start a web:1", "web:1"},
		{"failure, left", fate{what: fails, after: time.Minute}, nil, true, rollout.Failed, rollout.DeploymentStopped, "", moved, "web:2"},
		{"ECS rolls back", fate{what: goesBack, after: time.Minute}, nil, false, rollout.RolledBack, rollout.RolledBackByECS, "", moved, "web:1"},
		{"tasks crash", fate{what: crashes, after: time.Minute}, nil, false, rollout.RolledBack, rollout.TasksFail, "", moved + "; stop a web:2", "web:1"},
		{"tasks crash, left", fate{what: crashes, after: time.Minute}, nil, true, rollout.Failed, rollout.TasksFail, "", moved, "web:2"},
		{"no end", fate{what: hangs}, nil, false, rollout.RolledBack, rollout.NotInTime, "", moved + "; stop a web:2", "web:1"},
		{"no end, left", fate{what: hangs}, nil, true, rollout.TimedOut, rollout.NotInTime, "", moved, "web:2"},
		{"a pause", fate{what: pauses, after: time.Minute}, nil, false, rollout.Paused, rollout.HookWaits, "", moved, "web:2"},
		{"somebody else's", fate{what: isReplaced, after: time.Minute}, nil, false, rollout.Superseded, rollout.ReplacedByOther, "", moved, "theirs:1"},
		{"deleted", fate{what: isDeleted, after: time.Minute}, nil, false, rollout.Failed, rollout.ServiceDeleted, "", moved, "web:2"},
		{"no answer to UpdateService", fate{refused: errDenied}, nil, false, rollout.Failed, rollout.NotStarted, "", "register web:2", "web:1"},
		{"no record to stop", fate{what: crashes, stop: rollout.ErrNoRecord}, nil, false, rollout.RolledBack, rollout.TasksFail, "", moved + "; start a web:1", "web:1"},
		{"stopping denied", fate{what: crashes, stop: errDenied}, nil, false, rollout.RolledBack, rollout.TasksFail, "", moved + "; start a web:1", "web:1"},
		{"stopping and moving denied", fate{what: crashes, stop: errDenied}, []fate{{refused: errDenied}}, false, rollout.Failed, rollout.TasksFail, NotAccepted, moved, "web:2"},
		{"replaced before it is stopped", fate{what: crashes, stop: rollout.ErrNotOurs}, nil, false, rollout.Superseded, rollout.ReplacedByOther, "", moved, "web:2"},
		{"the rollback fails", fate{what: crashes, stuck: true}, nil, false, rollout.Failed, rollout.TasksFail, EndedBadly, moved + "; stop a web:2", "web:1"},
		{"the rollback does not end", fate{what: crashes, backIn: time.Hour}, nil, false, rollout.Failed, rollout.TasksFail, StillInProgress, moved + "; stop a web:2", "web:1"},
		{"moved back without success", fate{what: fails}, []fate{{what: fails}}, false, rollout.Failed, rollout.DeploymentStopped, EndedBadly, moved + "; start a web:1", "web:1"},
		{"moved back, and ECS rolls that back", fate{what: fails}, []fate{{what: goesBack, after: time.Minute}}, false, rollout.Failed, rollout.DeploymentStopped, EndedBadly, moved + "; start a web:1", "web:1"},
		{"only the previous tasks have to stop when the time is over", fate{what: drains}, nil, false, rollout.Succeeded, rollout.WaitsOn, "", moved, "web:2"},
		{"all traffic is shifted when the time is over", fate{what: shifts}, nil, false, rollout.TimedOut, rollout.NotInTime, TrafficStays, moved, "web:2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "a")
				c.services["a"].fates = append([]fate{tt.fate}, tt.back...)
				d, view := c.deployer()
				r := asking("a")
				r.RollbackOnFailure = !tt.leave
				result, err := d.Run(t.Context(), r)
				if err != nil || len(result.Services) != 1 {
					t.Fatal(result, err)
				}
				s := result.Services[0]
				if s.Outcome != tt.outcome || s.Reason.Code != tt.reason || s.Rollback.Code != tt.back2 {
					t.Errorf("%s, %s, rollback %q; want %s, %s, %q", s.Outcome, s.Reason.Code, s.Rollback.Code, tt.outcome, tt.reason, tt.back2)
				}
				if got := c.said(); got != tt.changes {
					t.Errorf("changed %q, want %q", got, tt.changes)
				}
				if got := c.runs("a"); got != tt.runs {
					t.Errorf("runs %s, want %s", got, tt.runs)
				}
				if started := !errors.Is(s.Err, errDenied); started != (s.Revision != "") {
					t.Errorf("revision %q, error %v", s.Revision, s.Err)
				}
				if ended := shown[RollbackEnded](view); len(ended) > 1 || (len(ended) == 1) != s.Rollback.Wanted {
					t.Errorf("ends of rollbacks %v, result %+v", ended, s.Rollback)
				}
				if view.open != 0 {
					t.Errorf("%d sections stay open", view.open)
				}
				if result.Took > 30*time.Minute {
					t.Errorf("took %v", result.Took)
				}
			})
		})
	}
}

// TestJoinedGoesBack: a deployment that an earlier run of the step has started goes
// back with the others.
func TestJoinedGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		c.services["b"].fates = []fate{{after: 10 * time.Minute}}
		d, _ := c.deployer()
		first := asking("b")
		first.Wait = false
		if _, err := d.Run(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		c.services["a"].fates = []fate{{what: fails, after: time.Minute}}
		result, err := d.Run(t.Context(), asking("a", "b"))
		if err != nil || outcomes(result) != "rolledBack rolledBack" || c.runs("a") != "web:1" || c.runs("b") != "web:1" {
			t.Errorf("%q, changed %q, %v", outcomes(result), c.said(), err)
		}
	})
}

// TestStopEnded: a deployment that ended before it could be stopped is told as it
// ended.
func TestStopEnded(t *testing.T) {
	for _, tt := range []struct {
		name    string
		ends    what
		outcome rollout.Outcome
		reason  rollout.Code
		changes string
	}{
		{"success", succeeds, rollout.Succeeded, rollout.CompletedAnyway, ""},
		{"rolled back by ECS", goesBack, rollout.RolledBack, rollout.TasksFail, ""},
		{"failure", fails, rollout.RolledBack, rollout.TasksFail, "; start a web:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "a")
				c.services["a"].fates = []fate{{what: crashes, after: time.Minute}}
				c.diagnosing = 10 * time.Second // in which it ends
				d, _ := c.deployer()
				time.AfterFunc(65*time.Second, func() {
					c.mu.Lock()
					defer c.mu.Unlock()
					c.services["a"].primary.fate.what = tt.ends
				})
				result, err := d.Run(t.Context(), asking("a"))
				if err != nil {
					t.Fatal(err)
				}
				if s := result.Services[0]; s.Outcome != tt.outcome || s.Reason.Code != tt.reason {
					t.Errorf("%s, %s, want %s, %s", s.Outcome, s.Reason.Code, tt.outcome, tt.reason)
				}
				if got, want := c.said(), "register web:2; start a web:2"+tt.changes; got != want {
					t.Errorf("changed %q, want %q", got, want)
				}
			})
		})
	}
}

// TestAllOrNothing: one of three services fails, and what becomes of the others:
// those that were moved go back, and what was not is not touched.
func TestAllOrNothing(t *testing.T) {
	culprits := map[string]fate{
		"its tasks crash":        {what: crashes, after: 2 * time.Minute},
		"it fails":               {what: fails, after: 2 * time.Minute},
		"ECS rolls it back":      {what: goesBack, after: 2 * time.Minute},
		"it hangs":               {what: hangs},
		"it is refused":          {refused: errDenied},
		"somebody replaces it":   {what: isReplaced, after: 2 * time.Minute},
		"its service is deleted": {what: isDeleted, after: 2 * time.Minute},
	}
	others := map[string]struct {
		fate    fate
		outcome rollout.Outcome
		moved   bool
	}{
		"done":                         {fate{after: 30 * time.Second}, rollout.RolledBack, true},
		"in progress":                  {fate{after: 29 * time.Minute}, rollout.RolledBack, true},
		"completes when it is stopped": {fate{after: 29 * time.Minute, wins: true}, rollout.RolledBack, true},
		"in progress, cannot be ended": {fate{after: 29 * time.Minute, stop: rollout.ErrNoRecord}, rollout.RolledBack, true},
		"paused":                       {fate{what: pauses, after: 30 * time.Second}, rollout.RolledBack, true},
		"rolled back too":              {fate{what: goesBack, after: 30 * time.Second}, rollout.RolledBack, true},
		"refused":                      {fate{refused: errDenied}, rollout.Failed, false},
		"unchanged":                    {fate{}, rollout.Unchanged, false},
	}
	for culprit, fatal := range culprits {
		for name, other := range others {
			t.Run(culprit+", the other is "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := world(t, "bad", "other")
					c.services["bad"].fates = []fate{fatal}
					c.services["other"].fates = []fate{other.fate, {}}
					was := "web:1"
					if name == "unchanged" {
						// An earlier run has brought it there.
						d, _ := c.deployer()
						if _, err := d.Run(t.Context(), asking("other")); err != nil {
							t.Fatal(err)
						}
						c.changes, was = nil, "web:2"
					}
					d, _ := c.deployer()
					result, err := d.Run(t.Context(), asking("bad", "other"))
					if err != nil {
						t.Fatal(err)
					}
					s := result.Services[1]
					if s.Outcome != other.outcome {
						t.Errorf("outcome %s (%s, %+v), want %s", s.Outcome, s.Reason.Code, s.Rollback, other.outcome)
					}
					if got := c.runs("other"); got != was {
						t.Errorf("runs %s, want %s", got, was)
					}
					if !other.moved && strings.Contains(c.said(), "other") {
						t.Errorf("touched: %s", c.said())
					}
					if bad := result.Services[0]; bad.Outcome.Good() || bad.Outcome == "" || result.Outcome().Good() {
						t.Errorf("the culprit is %q, all of them %q", bad.Outcome, result.Outcome())
					}
				})
			})
		}
	}
}

// TestLeftAlone: with onFailure: leave nobody goes back because of another, and a
// service whose time is over with all its traffic shifted is nobody's culprit.
func TestLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "bad", "good")
		c.services["bad"].fates = []fate{{what: fails}}
		d, _ := c.deployer()
		r := asking("bad", "good")
		r.RollbackOnFailure = false
		result, err := d.Run(t.Context(), r)
		if got := outcomes(result); err != nil || got != "failed succeeded" {
			t.Error(got, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "slow", "good")
		c.services["slow"].fates = []fate{{what: shifts}}
		d, _ := c.deployer()
		result, err := d.Run(t.Context(), asking("slow", "good"))
		if got := outcomes(result); err != nil || got != "timedOut succeeded" || c.runs("good") != "web:2" {
			t.Error(got, c.said(), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "slow", "bad")
		c.services["slow"].fates = []fate{{what: shifts}}
		c.services["bad"].fates = []fate{{what: fails, after: time.Minute}}
		d, _ := c.deployer()
		result, err := d.Run(t.Context(), asking("slow", "bad"))
		if got := outcomes(result); err != nil || got != "rolledBack rolledBack" || c.runs("slow") != "web:1" {
			t.Error(got, c.said(), err)
		}
	})
}

// TestEndedMeanwhile: a deployment that has failed and is left as it is may go on while
// others are followed. The way in which it ends then is its outcome.
func TestEndedMeanwhile(t *testing.T) {
	for outcome, ends := range map[string]func(c *cloud, s *service, r *record){
		"rolledBack": func(_ *cloud, s *service, r *record) { s.goBack(r, "ROLLBACK_IN_PROGRESS", time.Now()) },
		"succeeded":  func(c *cloud, s *service, r *record) { s.happens(c, r, succeeds) },
		"superseded": func(c *cloud, s *service, r *record) { s.happens(c, r, isReplaced) },
		"failed":     func(*cloud, *service, *record) {},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "bad", "good")
			c.services["bad"].fates = []fate{{what: crashes, after: time.Minute}}
			c.services["good"].fates = []fate{{after: 10 * time.Minute}}
			time.AfterFunc(3*time.Minute, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				s := c.services["bad"]
				ends(c, s, s.records[len(s.records)-1])
			})
			d, _ := c.deployer()
			r := asking("bad", "good")
			r.RollbackOnFailure = false
			result, err := d.Run(t.Context(), r)
			if got := outcomes(result); err != nil || got != outcome+" succeeded" {
				t.Errorf("got %q, want %s for the first; %v", got, outcome, err)
			}
		})
	}
}

// TestSiblingCompletes: a deployment that completes just before it is stopped for
// another's failure goes back all the same.
func TestSiblingCompletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "bad", "good")
		c.services["bad"].fates = []fate{{what: fails, after: time.Minute}}
		c.services["good"].fates = []fate{{what: hangs, wins: true}}
		d, _ := c.deployer()
		result, err := d.Run(t.Context(), asking("bad", "good"))
		if got := outcomes(result); err != nil || got != "rolledBack rolledBack" || c.runs("good") != "web:1" {
			t.Error(got, c.runs("good"), c.said(), err)
		}
	})
}

// TestRegistersOnce: services that share a family share the revision, and running
// a step again registers nothing and starts nothing.
func TestRegistersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		c.define(t, "api:1", "registry.example/api:1")
		c.add("c", "api:1")
		d, _ := c.deployer()
		first, err := d.Run(t.Context(), asking("a", "b", "c"))
		if err != nil || outcomes(first) != "succeeded succeeded succeeded" {
			t.Fatal(outcomes(first), err)
		}
		if said := c.said(); strings.Count(said, "register") != 2 || strings.Count(said, "start") != 3 {
			t.Error(said)
		}
		c.changes = nil
		again, err := d.Run(t.Context(), asking("a", "b", "c"))
		if err != nil || c.said() != "" || outcomes(again) != "unchanged unchanged unchanged" {
			t.Error(outcomes(again), c.said(), err)
		}
		if p, _ := c.definitions[revisionARN("web:2")].Provenance(); p.Base != "web:1" || p.BuildID != "7" || p.Pipeline != "p1" {
			t.Errorf("provenance %+v", p)
		}
	})
}

// TestTaggingDenied: a revision is registered without its origin where the
// identity may not tag, and that is said.
func TestTaggingDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		c.tags = taggingDenied()
		d, view := c.deployer()
		result, err := d.Run(t.Context(), asking("a"))
		if err != nil || outcomes(result) != "succeeded" || len(shown[Untagged](view)) != 1 {
			t.Error(outcomes(result), err, view.events)
		}
	})
}

// TestRefusedStart: one of several services cannot be started. Its outcome says
// so, and only what was moved has a revision.
func TestRefusedStart(t *testing.T) {
	for _, leave := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a", "b")
			c.services["b"].fates = []fate{{refused: errDenied}}
			d, _ := c.deployer()
			r := asking("a", "b")
			r.RollbackOnFailure = !leave
			result, err := d.Run(t.Context(), r)
			want := "rolledBack failed"
			if leave {
				want = "succeeded failed"
			}
			if err != nil || outcomes(result) != want {
				t.Fatal(outcomes(result), err)
			}
			a, b := result.Services[0], result.Services[1]
			if a.Revision == "" || b.Revision != "" || !errors.Is(b.Err, errDenied) || b.Reason.Code != rollout.NotStarted || b.Previous == "" {
				t.Errorf("%+v\n%+v", a, b)
			}
			if !leave && (a.Reason.Code != SiblingFailed || a.Reason.Detail != "b") {
				t.Errorf("reason %+v", a.Reason)
			}
		})
	}
}

func TestNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		c.services["b"].fates = []fate{{refused: errDenied}}
		d, view := c.deployer()
		r := asking("a", "b")
		r.Wait = false
		result, err := d.Run(t.Context(), r)
		if err != nil || outcomes(result) != " failed" || result.Took > time.Second || len(shown[NotWaiting](view)) != 1 {
			t.Error(outcomes(result), result.Took, err)
		}
		if result.Services[0].Revision != revisionARN("web:2") {
			t.Error(result.Services[0])
		}
	})
}

// TestDesiredCountZero: nothing runs, so nothing is verified, and that is said.
func TestDesiredCountZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		c.services["a"].desired = 0
		d, view := c.deployer()
		for _, want := range []rollout.Outcome{rollout.Succeeded, rollout.Unchanged} {
			result, err := d.Run(t.Context(), asking("a"))
			if err != nil {
				t.Fatal(err)
			}
			if s := result.Services[0]; s.Outcome != want || s.Reason.Code != rollout.NothingRuns || s.Proof.Tasks != 0 {
				t.Errorf("%s, %s, %+v", s.Outcome, s.Reason.Code, s.Proof)
			}
		}
		if len(shown[Verified](view)) != 0 {
			t.Error("something was verified")
		}
	})
}

// TestTimeLimit: a part of the time is kept for a rollback; the default grows by
// what the services' configuration makes a deployment wait.
func TestTimeLimit(t *testing.T) {
	for _, tt := range []struct {
		name             string
		timeout          time.Duration
		given, leave     bool
		bake             time.Duration
		forward, back    time.Duration
		unlimited        bool
		left, leftForAll time.Duration
	}{
		{name: "a fifth", timeout: 10 * time.Minute, given: true, forward: 8 * time.Minute, back: 2 * time.Minute, left: 8 * time.Minute, leftForAll: 10 * time.Minute},
		{name: "at most five minutes", timeout: time.Hour, given: true, forward: 55 * time.Minute, back: 5 * time.Minute, left: 55 * time.Minute, leftForAll: time.Hour},
		{name: "nothing where nothing is rolled back", timeout: 10 * time.Minute, given: true, leave: true, forward: 10 * time.Minute, left: 10 * time.Minute, leftForAll: 10 * time.Minute},
		{name: "the default grows", timeout: 30 * time.Minute, bake: time.Hour, forward: 85 * time.Minute, back: 5 * time.Minute, left: 85 * time.Minute, leftForAll: 90 * time.Minute},
		{name: "a given one does not", timeout: 30 * time.Minute, given: true, bake: time.Hour, forward: 25 * time.Minute, back: 5 * time.Minute, left: 25 * time.Minute, leftForAll: 30 * time.Minute},
		{name: "no limit", bake: time.Hour, left: unlimited, leftForAll: unlimited},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := Request{Rollout: true, Timeout: tt.timeout, TimeoutGiven: tt.given, RollbackOnFailure: !tt.leave}
				p := &Plan{Services: []ServicePlan{{}, {}}}
				p.Services[1].Service.Strategy.Bake = tt.bake
				l := newLimit(r, time.Now()).grown(p)
				if l.forward() != tt.forward || l.rollback != tt.back || l.left(false) != tt.left || l.left(true) != tt.leftForAll {
					t.Errorf("%v, %v, left %v of %v", l.forward(), l.rollback, l.left(false), l.left(true))
				}
			})
		})
	}
}

// TestRollbackFitsTheTimeLimit: with the rollback the run is over in time, and what
// it says of the limit is what was given.
func TestRollbackFitsTheTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		c.services["a"].fates = []fate{{what: hangs, backIn: time.Hour}}
		d, _ := c.deployer()
		r := asking("a")
		r.Timeout, r.TimeoutGiven = 10*time.Minute, true
		result, err := d.Run(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		s := result.Services[0]
		if result.Took < 9*time.Minute || result.Took > 10*time.Minute+time.Second || s.Outcome != rollout.TimedOut || s.Rollback.Code != StillInProgress {
			t.Errorf("%v, %s, %+v", result.Took, s.Outcome, s.Rollback)
		}
		if s.Reason.After != 8*time.Minute || s.Reason.Kept != 2*time.Minute {
			t.Errorf("reason %+v", s.Reason)
		}
	})
}

// TestBrokenWatch: a watch that a lasting error ended is an error of the run, and
// nothing is undone blindly.
func TestBrokenWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		c.services["a"].fates = []fate{{what: hangs}}
		d, _ := c.deployer()
		time.AfterFunc(time.Minute, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.services["a"].broken = errDenied
		})
		result, err := d.Run(t.Context(), asking("a"))
		if !errors.Is(err, errDenied) || !strings.Contains(err.Error(), "service a") || outcomes(result) != "" || c.said() != "register web:2; start a web:2" {
			t.Error(outcomes(result), c.said(), err)
		}
		if result.Services[0].Revision == "" {
			t.Error("the service was moved, and the result does not say so")
		}
	})
}

// TestMistakesAtOnce: everything that is wrong is reported, and nothing changed.
func TestMistakesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		d, _ := c.deployer()
		r := asking("a", "missing")
		r.Change.Environment[0].Container = "sidecar"
		r.Change.CPU = "32"
		_, err := d.Run(t.Context(), r)
		all := mistake.Each(err)
		if len(all) < 3 || !mistake.Is(all[0], mistake.Service) && !mistake.Is(all[1], mistake.Service) && !mistake.Is(all[2], mistake.Service) {
			t.Errorf("%q", all)
		}
		if c.said() != "" {
			t.Error(c.said())
		}
	})
}

// TestWrite: outcomes are written in one place, and follow from the ending.
func TestWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		there, err := (&controller{c, c.services["a"]}).Start(context.Background(), rollout.Change{TaskDefinition: revisionARN("web:1")})
		if err != nil {
			t.Fatal(err)
		}
		m := moved{target: target{Revision: revisionARN("web:1")}, deployment: there, began: time.Now()}
		cleared := m
		cleared.Cleared = true
		refused := moved{target: m.target, err: errDenied}
		good := rollout.Verdict{Outcome: rollout.Unchanged}
		bad := rollout.Verdict{Outcome: rollout.Failed, Reason: rollout.Reason{Code: rollout.TasksFail}}
		for _, tt := range []struct {
			name     string
			m        moved
			e        ending
			outcome  rollout.Outcome
			revision bool
		}{
			{"nothing was done", moved{}, ending{}, "", false},
			{"not waited for", m, ending{}, "", true},
			{"refused", refused, ending{}, rollout.Failed, false},
			{"as judged", m, ending{verdict: bad}, rollout.Failed, true},
			{"unchanged", m, ending{verdict: good}, rollout.Unchanged, true},
			{"came back to it, since another was stopped", cleared, ending{verdict: good}, rollout.Succeeded, true},
			{"rolled back", m, ending{verdict: bad, rollback: Rollback{Wanted: true, Done: true}}, rollout.RolledBack, true},
			{"not rolled back", m, ending{verdict: bad, rollback: Rollback{Wanted: true}}, rollout.Failed, true},
		} {
			if got := tt.e.write(tt.m); got.Outcome != tt.outcome || (got.Revision != "") != tt.revision {
				t.Errorf("%s: %q, revision %q", tt.name, got.Outcome, got.Revision)
			}
		}
	})
}
