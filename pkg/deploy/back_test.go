package deploy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
)

var errCancelled = errors.New("the run was cancelled")

// cancelled runs a request and cancels it after a while. It returns how long the
// run took to end then.
func cancelled(t *testing.T, d *Deployer, r Request, after time.Duration) (result Result, took time.Duration, err error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var at time.Time
	timer := time.AfterFunc(after, func() { at = time.Now(); cancel(errCancelled) })
	defer timer.Stop()
	result, err = d.Run(ctx, r)
	if at.IsZero() {
		t.Fatalf("the run ended before it was cancelled: %v", err)
	}
	return result, time.Since(at), err
}

// TestCancel: in every phase the run ends soon, and says how it leaves the services.
func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		name       string
		leave      bool // onCancel: leave
		fate       fate
		busy       bool // with another deployment
		after      time.Duration
		diagnosing time.Duration
		changes    string
		left       int // services whose state is told
		rollback   Rollback
	}{
		{name: "while another deployment is waited for", busy: true, after: time.Minute},
		{name: "while ours is followed", fate: fate{what: hangs}, after: time.Minute,
			changes: "register web:2; start a web:2; stop a web:2", left: 1, rollback: Rollback{Wanted: true, To: revisionARN("web:1"), Done: true}},
		{name: "while ours is followed, to be left", leave: true, fate: fate{what: hangs}, after: time.Minute,
			changes: "register web:2; start a web:2", left: 1},
		{name: "and it cannot be stopped", fate: fate{what: hangs, stop: rollout.ErrNoRecord}, after: time.Minute,
			changes: "register web:2; start a web:2; start a web:1", left: 1, rollback: Rollback{Wanted: true, To: revisionARN("web:1"), Done: true}},
		{name: "and somebody has replaced it", fate: fate{what: hangs, stop: rollout.ErrNotOurs}, after: time.Minute,
			changes: "register web:2; start a web:2", left: 1, rollback: Rollback{Wanted: true, To: revisionARN("web:1"), Code: OthersDeployment}},
		{name: "and the service does not show it yet", fate: fate{what: hangs, stop: rollout.ErrNotShown}, after: time.Minute,
			changes: "register web:2; start a web:2", left: 1, rollback: Rollback{Wanted: true, To: revisionARN("web:1"), Code: NotAccepted}},
		{name: "and it has just completed", fate: fate{what: hangs, wins: true}, after: time.Minute,
			changes: "register web:2; start a web:2", left: 1, rollback: Rollback{Wanted: true, To: revisionARN("web:1"), Code: NotAccepted}},
		{name: "while it is found out why it failed", fate: fate{what: fails, after: time.Minute}, after: 80 * time.Second, diagnosing: 14 * time.Second,
			changes: "register web:2; start a web:2; start a web:1", left: 1, rollback: Rollback{Wanted: true, To: revisionARN("web:1"), Done: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "a")
				c.diagnosing = tt.diagnosing
				if tt.busy {
					c = withTheirs(t, fate{what: hangs})
				}
				c.services["a"].fates = []fate{tt.fate}
				d, view := c.deployer()
				r := asking("a")
				r.RollbackOnCancel = !tt.leave
				_, took, err := cancelled(t, d, r, tt.after)
				if !errors.Is(err, errCancelled) || took > parting {
					t.Errorf("took %v, %v", took, err)
				}
				if got := c.said(); got != tt.changes {
					t.Errorf("changed %q, want %q", got, tt.changes)
				}
				told := shown[Interrupted](view)
				if len(told) != tt.left {
					t.Fatalf("told %+v", told)
				}
				for _, left := range told {
					left.Rollback.Err = nil
					if left.Rollback.Wanted != tt.rollback.Wanted || left.Rollback.To != tt.rollback.To || left.Rollback.Done != tt.rollback.Done ||
						!left.Rollback.Done && left.Rollback.Code != tt.rollback.Code {
						t.Errorf("told %+v, want %+v", left.Rollback, tt.rollback)
					}
					if !left.Rollback.Done && left.Err == nil && left.Now.Name != "a" {
						t.Errorf("where the service stands is not told: %+v", left)
					}
				}
			})
		})
	}
}

// TestCancelDuringRollback: the rollback that a failure began continues in ECS, and
// that is told.
func TestCancelDuringRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		c.services["a"].fates = []fate{{what: crashes, after: time.Minute, backIn: 10 * time.Minute}}
		d, view := c.deployer()
		r := asking("a")
		r.RollbackOnCancel = true
		result, took, _ := cancelled(t, d, r, 2*time.Minute)
		ended := shown[RollbackEnded](view)
		if took > parting || len(ended) != 1 || ended[0].Rollback.Code != StillInProgress || c.said() != "register web:2; start a web:2; stop a web:2" {
			t.Errorf("%v, %+v, %s", took, ended, c.said())
		}
		if outcomes(result) != "failed" {
			t.Error(outcomes(result))
		}
	})
}

// TestCancelSeveral: what has completed goes back with the others, and what was not
// moved is not told of.
func TestCancelSeveral(t *testing.T) {
	for _, leave := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "done", "moving", "refused")
			c.services["moving"].fates = []fate{{what: hangs}}
			d, view := c.deployer()
			r := asking("done", "moving")
			r.RollbackOnCancel = !leave
			_, took, err := cancelled(t, d, r, 2*time.Minute)
			if !errors.Is(err, errCancelled) || took > parting {
				t.Errorf("took %v, %v", took, err)
			}
			told := map[string]Interrupted{}
			for _, left := range shown[Interrupted](view) {
				told[left.Service.Name] = left
			}
			if leave {
				if c.runs("done") != "web:2" || c.runs("moving") != "web:2" || told["moving"].Now.Name != "moving" {
					t.Errorf("%s, told %+v", c.said(), told)
				}
				if left := told["done"]; left.Verdict.Outcome != rollout.Succeeded {
					t.Errorf("of the one that is done: %+v", left)
				}
				return
			}
			if c.runs("done") != "web:1" || c.runs("moving") != "web:1" || !told["done"].Rollback.Done || !told["moving"].Rollback.Done {
				t.Errorf("%s, told %+v", c.said(), told)
			}
		})
	}
}

// TestCancelDuringStart: AWS has accepted the change, and its answer was cut off.
// The deployment is ours all the same; one that was there before is not.
func TestCancelDuringStart(t *testing.T) {
	for _, theirs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			c.define(t, "theirs:1", "registry.example/theirs:1")
			c.services["a"].fates = []fate{{what: hangs, lost: !theirs, refused: map[bool]error{true: errDenied}[theirs]}}
			d, view := c.deployer()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			d.Rollouts = meddling{c, func() { cancel(nil) }}
			r := asking("a")
			r.RollbackOnCancel = true
			if theirs {
				d.Rollouts = meddling{c, func() {
					c.services["a"].others(c, revisionARN("theirs:1"), fate{what: hangs})
					cancel(errCancelled)
				}}
			} else {
				d.Rollouts = late{c, func() { cancel(errCancelled) }}
			}
			result, err := d.Run(ctx, r)
			if err != nil && !errors.Is(err, errCancelled) {
				t.Error(err)
			}
			told := shown[Interrupted](view)
			if !theirs && (len(told) != 1 || !told[0].Rollback.Done || c.runs("a") != "web:1") {
				t.Errorf("%s, told %+v, %+v", c.said(), told, result)
			}
			if theirs && (len(told) != 0 || c.runs("a") != "theirs:1") {
				t.Errorf("%s, told %+v, %+v", c.said(), told, result)
			}
		})
	}
}

// late cancels a run just after each start.
type late struct {
	*cloud
	cancel func()
}

func (l late) Controller(_ context.Context, s ecs.Service) (rollout.Controller, error) {
	return lateController{&controller{l.cloud, l.services[s.Name]}, l.cancel}, nil
}

type lateController struct {
	*controller
	cancel func()
}

func (l lateController) Start(ctx context.Context, change rollout.Change) (rollout.Deployment, error) {
	defer l.cancel()
	return l.controller.Start(ctx, change)
}

// TestBackOnceItIsShown: a service that is shown as it was before the deployment is no
// rollback by ECS. It is read again until it shows the deployment, and moved back then.
func TestBackOnceItIsShown(t *testing.T) {
	for name, tt := range map[string]struct {
		views   int // that are late
		changes string
		want    Rollback
	}{
		"in time":     {3, "register web:2; start a web:2; start a web:1", Rollback{Done: true}},
		"not in time": {100, "register web:2; start a web:2", Rollback{Code: NotAccepted, Err: rollout.ErrNotShown}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "a")
				c.services["a"].fates = []fate{{what: hangs, stop: rollout.ErrNoRecord}}
				d, view := c.deployer()
				d.Rollouts = shownLate{c, &tt.views}
				r := asking("a")
				r.RollbackOnCancel = true
				_, took, _ := cancelled(t, d, r, time.Second)
				told := shown[Interrupted](view)
				if took > parting || len(told) != 1 || c.said() != tt.changes {
					t.Fatalf("took %s; %s; told %+v", took, c.said(), told)
				}
				if back := told[0].Rollback; back.Done != tt.want.Done || !errors.Is(back.Err, tt.want.Err) || !back.Done && back.Code != tt.want.Code {
					t.Errorf("told %+v, want %+v", back, tt.want)
				}
			})
		})
	}
}

// TestCancelWhileItIsNotShown: a service is to go back with another one, and is not shown
// as it is yet. Who cancels the run meanwhile has it go back all the same.
func TestCancelWhileItIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		c.services["a"].fates = []fate{{what: hangs, stop: rollout.ErrNoRecord}}
		c.services["b"].fates = []fate{{refused: errDenied}}
		d, view := c.deployer()
		views := 6
		d.Rollouts = shownLate{c, &views}
		r := asking("a", "b")
		r.RollbackOnCancel = true
		_, took, _ := cancelled(t, d, r, 3*time.Second)
		if took > parting || c.runs("a") != "web:1" {
			t.Errorf("took %s; %s; a runs %s; told %+v", took, c.said(), c.runs("a"), shown[RollbackEnded](view))
		}
	})
}

// TestCodeOf: why a rollback could not be started.
func TestCodeOf(t *testing.T) {
	for want, err := range map[RollbackCode]error{
		SameRevision:     errSame,
		OthersDeployment: &rollout.MovedError{},
		RollbackUnknown:  &rollout.UnansweredError{Err: errCancelled, Unread: errDenied},
		NotAccepted:      errDenied,
	} {
		if got := codeOf(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// shownLate has a service shown as it was before for the next readings, once it is to be
// moved back.
type shownLate struct {
	*cloud
	views *int
}

func (l shownLate) Controller(_ context.Context, s ecs.Service) (rollout.Controller, error) {
	return shownLateController{&controller{l.cloud, l.services[s.Name]}, l.views}, nil
}

type shownLateController struct {
	*controller
	views *int
}

func (l shownLateController) Start(ctx context.Context, change rollout.Change) (rollout.Deployment, error) {
	if change.TaskDefinition != revisionARN("web:1") || *l.views == 0 {
		return l.controller.Start(ctx, change)
	}
	*l.views--
	s := l.read()
	s.Deployments = []ecs.Deployment{{ID: "ecs-svc/0", Status: "PRIMARY", TaskDefinition: revisionARN("web:1"), CreatedAt: time.Now().Add(-time.Hour)}}
	return nil, &rollout.MovedError{Service: s}
}

// TestProven: what a service goes back to.
func TestProven(t *testing.T) {
	for _, tt := range []struct {
		name    string
		runs    []string
		good    bool // what it reached last is known
		want    string
		code    RollbackCode
		history error
	}{
		{"what it had reached", []string{"web:2", "web:3"}, true, "web:3", "", nil},
		{"what ECS remembers", []string{"web:2", "web:3"}, false, "web:3", "", nil},
		{"not the placeholder", []string{"web:1"}, true, "", OnlyPlaceholder, nil},
		{"nothing", nil, false, "", NoEarlierRevision, nil},
		{"not the same", []string{"web:4"}, false, "", NoEarlierRevision, nil},
		{"it cannot be read", []string{"web:3"}, false, "", NotAccepted, errDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := history(t)
				s := c.add("a", tt.runs...)
				c.history = tt.history
				d, _ := c.deployer()
				plan := ServicePlan{Name: Service{"main", "a"}, Controller: &controller{c, s}}
				if tt.good {
					plan.Good = s.primary.revision
				}
				want := tt.want
				if want != "" {
					want = revisionARN(want)
				}
				to, code, err := d.proven(t.Context(), plan, revisionARN("web:4"))
				if to != want || to == "" && code != tt.code || !errors.Is(err, tt.history) {
					t.Errorf("%q, %q, %v", to, code, err)
				}
			})
		})
	}
}

// TestNothingToGoBackTo: a first deployment that fails is not "rolled back" to the
// placeholder, which would only hide that nothing runs.
func TestNothingToGoBackTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.define(t, "web:1", "registry.example/web:placeholder")
		c.add("a", "web:1").fates = []fate{{what: crashes, after: time.Minute}}
		d, view := c.deployer()
		result, err := d.Run(t.Context(), asking("a"))
		if s := result.Services[0]; err != nil || s.Outcome != rollout.Failed || s.Rollback.Code != OnlyPlaceholder || c.said() != "register web:2; start a web:2" {
			t.Errorf("%s, %+v, %s, %v", s.Outcome, s.Rollback, c.said(), err)
		}
		if len(shown[RollingBack](view)) != 0 {
			t.Error("a rollback was announced")
		}
	})
}

// TestCodeDeployFails: a failed deployment of CodeDeploy that goes on blocks the
// next one, and that is said where it is not ended.
func TestCodeDeployFails(t *testing.T) {
	for _, leave := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			s := c.services["a"]
			s.who, s.fates = "CODE_DEPLOY", []fate{{what: crashes, after: time.Minute}}
			d, view := c.deployer()
			r := asking("a")
			r.RollbackOnFailure = !leave
			result, err := d.Run(t.Context(), r)
			if err != nil || leave && outcomes(result) != "failed" || !leave && outcomes(result) != "rolledBack" {
				t.Error(outcomes(result), c.said(), err)
			}
			if (len(shown[StillBlocks](view)) == 1) != leave {
				t.Error("that it blocks:", shown[StillBlocks](view))
			}
		})
	}
}

// TestGoesBackAlready: which deployment ECS goes back to is known by its id, by ECS's
// words, or since it was created before ours.
func TestGoesBackAlready(t *testing.T) {
	begin := time.Unix(1e9, 0)
	now := rollout.Snapshot{ID: "ecs-svc/2", Earlier: []string{"ecs-svc/1"}, Own: ecs.Deployment{ID: "ecs-svc/2", CreatedAt: begin}}
	for name, tt := range map[string]struct {
		primary ecs.Deployment
		want    bool
	}{
		"the one before":                   {ecs.Deployment{ID: "ecs-svc/1", CreatedAt: begin.Add(time.Minute)}, true},
		"an older one that was not listed": {ecs.Deployment{ID: "ecs-svc/0", CreatedAt: begin.Add(-time.Hour)}, true},
		"in ECS's words":                   {ecs.Deployment{ID: "ecs-svc/3", CreatedAt: begin.Add(time.Minute), Reason: "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/3."}, true},
		"somebody's":                       {ecs.Deployment{ID: "ecs-svc/3", CreatedAt: begin.Add(time.Minute)}, false},
		"none":                             {ecs.Deployment{}, false},
	} {
		tt.primary.Status = "PRIMARY"
		moved := &rollout.MovedError{Service: ecs.Service{Deployments: []ecs.Deployment{tt.primary}}}
		if primary, back := goesBackAlready(now, moved); back != tt.want || primary.ID != tt.primary.ID {
			t.Errorf("%s: %v, %v", name, primary.ID, back)
		}
	}
}
