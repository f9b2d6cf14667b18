package rollout

// Views that are late, and answers that come before AWS has acted: what a client sees
// of its own call some seconds later than it was made.

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/emulator"
)

// staleFor has what was read last of a service or deployment answered for a while, once
// something was asked of it.
func (w *world) staleFor(d time.Duration, change string, readings ...string) {
	var since time.Time
	w.before = func(operation string) {
		if operation == change {
			since = time.Now()
		}
	}
	w.stale = func(operation string) bool {
		return slices.Contains(readings, operation) && !since.IsZero() && time.Since(since) < d
	}
}

// TestStopSeenLate: a stop was accepted, and for some seconds the deployment is shown as
// it was before. That is no pause and no success.
func TestStopSeenLate(t *testing.T) {
	t.Run("ECS, paused", func(t *testing.T) {
		inWorld(t, ofECS, func(w *world) {
			d := w.start("paused")
			w.follow(d, Limits{})
			w.ended(d, Paused, HookWaits)
			w.staleFor(8*time.Second, "StopServiceDeployment", "DescribeServiceDeployments")
			if err := d.Stop(w.Context()); err != nil {
				w.Fatal(err)
			}
			w.follow(d, Limits{Until: UntilTraffic})
			w.ended(d, RolledBack, RolledBackByTask)
		})
	})
	t.Run("ECS, full and healthy", func(t *testing.T) {
		inWorld(t, ofECS, func(w *world) {
			w.Script(emulator.DemoCluster, emulator.DemoService, emulator.Scenario{Fates: []emulator.Fate{{}}, Strategy: &emulator.Strategy{Name: "ROLLING", BakeMinutes: 20}})
			d := w.start("")
			w.inTime(d, 3*time.Minute)
			w.staleFor(8*time.Second, "StopServiceDeployment", "DescribeServiceDeployments")
			if err := d.Stop(w.Context()); err != nil {
				w.Fatal(err)
			}
			w.follow(d, Limits{Until: UntilTraffic})
			w.ended(d, RolledBack, RolledBackByTask)
		})
	})
	t.Run("CodeDeploy, ready", func(t *testing.T) {
		inWorldOf(t, kinds[1], true, func(w *world) {
			d := w.start("complete")
			w.follow(d, Limits{})
			w.ended(d, Paused, ReadyWaits)
			w.staleFor(8*time.Second, "StopDeployment", "GetDeployment")
			if err := d.Stop(w.Context()); err != nil {
				w.Fatal(err)
			}
			w.follow(d, Limits{Until: UntilTraffic})
			w.ended(d, RolledBack, RolledBackByTask)
		})
	})
}

// TestRecordBehindTheList: the record of the deployment of an earlier run is late, and the
// history does not show yet that somebody's has replaced it. That one is in progress.
func TestRecordBehindTheList(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		w.Behave(emulator.Behaviour{Seed: 1, RecordLag: 10 * time.Hour, NoCurrentDeployment: true})
		first := w.start("slow")
		time.Sleep(30 * time.Second)
		w.Behave(emulator.Behaviour{Seed: 1, ListLag: 10 * time.Hour, NoCurrentDeployment: true})
		theirs, err := w.others.Start(w.Context(), Change{TaskDefinition: w.revision(), Supersede: true})
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		w.forget()
		found, err := w.control.InFlight(w.Context())
		if err != nil || found == nil || found.Snapshot().ID != theirs.Snapshot().ID {
			w.Fatalf("InFlight = %+v, %v; want theirs, %s", found, err, theirs.Snapshot().ID)
		}
		_, err = w.control.Start(w.Context(), Change{TaskDefinition: first.Snapshot().Revision, Expect: theirs.Snapshot().ID})
		if moved, is := errors.AsType[*MovedError](err); !is || moved.InFlight == nil || moved.InFlight.Snapshot().ID != theirs.Snapshot().ID {
			w.Errorf("Start = %v, want a MovedError with theirs", err)
		}
		if n := w.changing(); n != 0 {
			w.Errorf("%d changing calls, want none", n)
		}
	})
}

// TestCreatedAMomentAgo: CodeDeploy does not know a deployment yet that it has just
// created.
func TestCreatedAMomentAgo(t *testing.T) {
	fault := emulator.Fault{Code: "DeploymentDoesNotExistException", Message: "The deployment could not be found", Times: 3}
	inWorld(t, kinds[1], func(w *world) {
		d := w.start("complete")
		w.Fail("codedeploy:GetDeployment", fault)
		w.follow(d, Limits{})
		w.ended(d, Succeeded, "")
	})
	inWorld(t, kinds[1], func(w *world) {
		d := w.start("complete")
		fault.Times = 0
		w.Fail("codedeploy:GetDeployment", fault)
		begin := time.Now()
		w.follow(d, Limits{})
		if d.Err() == nil || d.Verdict().Final() || time.Since(begin) > 2*recordLimit {
			w.Errorf("for good: %v, %v after %s; want an error", d.Verdict(), d.Err(), time.Since(begin))
		}
	})
}

// TestTwoHooksAtOneStage: both wait, and the one that is named is answered.
func TestTwoHooksAtOneStage(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		const stage = "POST_TEST_TRAFFIC_SHIFT"
		w.Script(emulator.DemoCluster, emulator.DemoService, emulator.Scenario{Fates: []emulator.Fate{{}},
			Strategy: &emulator.Strategy{Name: "BLUE_GREEN", Pauses: []emulator.Pause{{Stage: stage}, {Stage: stage}}}})
		d := w.start("")
		w.follow(d, Limits{})
		w.ended(d, Paused, HookWaits)
		hooks := d.Snapshot().Record.Hooks
		if len(hooks) != 2 || !hooks[0].Waiting || !hooks[1].Waiting {
			w.Fatalf("hooks %+v, want two that wait", hooks)
		}
		found, err := w.control.Paused(w.Context(), hooks[1].ID)
		if err != nil {
			w.Fatal(err)
		}
		if err := found.Answer(w.Context(), Continue); err != nil {
			w.Fatal(err)
		}
		w.follow(found, Limits{})
		w.ended(found, Paused, HookWaits)
		if hook := found.Verdict().Reason.Hook.ID; hook != hooks[0].ID {
			w.Errorf("paused at %s, want %s, which was not answered", hook, hooks[0].ID)
		}
		if err := found.Answer(w.Context(), Continue); err != nil {
			w.Fatal(err)
		}
		w.follow(found, Limits{})
		w.ended(found, Succeeded, "")
	})
}

// TestLongDrain: at the end of the time limit only the previous tasks have to stop, whose
// connections are kept for an hour.
func TestLongDrain(t *testing.T) {
	strategies := map[string]*emulator.Strategy{"rolling": nil, "blue/green": {Name: "BLUE_GREEN"}}
	for name, strategy := range strategies {
		t.Run(name, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				w.Script(emulator.DemoCluster, emulator.DemoService, emulator.Scenario{Fates: []emulator.Fate{{}}, Drain: time.Hour, Strategy: strategy})
				d := w.start("")
				w.follow(d, Limits{Timeout: 20 * time.Minute})
				w.ended(d, TimedOut, NotInTime)
				if s := d.Snapshot(); !s.Shifted() || !s.OnlyStops() {
					w.Errorf("shifted %v, only the previous tasks have to stop %v", s.Shifted(), s.OnlyStops())
				}
			})
		})
	}
	inWorld(t, ofECS, func(w *world) {
		d := w.start("stuck")
		w.follow(d, Limits{Timeout: 20 * time.Minute})
		if s := d.Snapshot(); s.Shifted() || s.OnlyStops() {
			w.Error("tasks that are not healthy have the traffic")
		}
	})
}

// shape sets how many of the service's tasks have to be healthy during a deployment.
func (w *world) shape(least int32) {
	w.Helper()
	_, err := w.ecs.UpdateService(w.Context(), &awsecs.UpdateServiceInput{Cluster: aws.String(emulator.DemoCluster), Service: aws.String(emulator.DemoService),
		DeploymentConfiguration: &types.DeploymentConfiguration{MinimumHealthyPercent: aws.Int32(least), MaximumPercent: aws.Int32(100)}})
	if err != nil {
		w.Fatal(err)
	}
}

// TestFailedBehindAClassicLoadBalancer: there is no rollout state, and the record tells
// that the revision's deployment has failed. It is deployed again, and is none to go back
// to.
func TestFailedBehindAClassicLoadBalancer(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		crash := 1
		w.Script(emulator.DemoCluster, emulator.DemoService, emulator.Scenario{ClassicBalancer: true, Breaker: &emulator.Breaker{Enable: true, Threshold: 3}, Fates: []emulator.Fate{{Exit: &crash}}})
		w.shape(0)
		d := w.start("")
		w.follow(d, Limits{})
		w.ended(d, Failed, DeploymentStopped)
		time.Sleep(10 * time.Minute)
		if good, err := w.control.LastGood(w.Context()); good == d.Snapshot().Revision || err != nil {
			w.Errorf("LastGood = %s, %v; its deployment has failed", good, err)
		}
		w.play("classic-balancer")
		again, err := w.control.Start(w.Context(), Change{TaskDefinition: d.Snapshot().Revision, Expect: d.Snapshot().ID})
		if err != nil || !again.Snapshot().New {
			w.Fatalf("Start = %+v, %v; want a new deployment", again, err)
		}
		w.follow(again, Limits{})
		w.ended(again, Succeeded, "")
	})
}

// TestInactiveBehindAClassicLoadBalancer: a deployment that was replaced completely is
// still listed. The service is at rest, and where the records cannot be read it counts as
// that.
func TestInactiveBehindAClassicLoadBalancer(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		w.edit = func(operation string, body []byte) []byte {
			var answer struct {
				Failures []any            `json:"failures"`
				Services []map[string]any `json:"services"`
			}
			if operation != "DescribeServices" || json.Unmarshal(body, &answer) != nil || len(answer.Services) != 1 {
				return body
			}
			all := answer.Services[0]["deployments"].([]any)
			replaced := maps.Clone(all[len(all)-1].(map[string]any))
			replaced["id"], replaced["status"], replaced["createdAt"] = "ecs-svc/1", "INACTIVE", 1
			for _, count := range []string{"desiredCount", "runningCount", "pendingCount"} {
				replaced[count] = 0
			}
			answer.Services[0]["deployments"] = append(all, replaced)
			body, _ = json.Marshal(answer)
			return body
		}
		for _, operation := range []string{"ListServiceDeployments", "DescribeServiceDeployments"} {
			w.Fail("ecs:"+operation, emulator.Fault{Code: "AccessDeniedException"})
		}
		d := w.start("classic-balancer")
		w.follow(d, Limits{})
		w.ended(d, Succeeded, "")
		w.forget()
		if busy, err := w.control.InFlight(w.Context()); busy != nil || err != nil {
			w.Errorf("InFlight = %v, %v; want none", busy, err)
		}
		if good, err := w.control.LastGood(w.Context()); good != d.Snapshot().Revision || err != nil {
			w.Errorf("LastGood = %q, %v; want %s", good, err, d.Snapshot().Revision)
		}
	})
}

// TestRevivedWithoutItsRecord: ECS goes back to a deployment whose tasks have to start
// again, and the failed one is not listed any more. The record of the revived one tells of
// its first time.
func TestRevivedWithoutItsRecord(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		w.shape(0)
		first := w.start("crash")
		w.inTime(first, 3*time.Minute)
		if err := first.Stop(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.wait("alone", func() bool {
			now := w.now()
			return len(now.Deployments) == 1 && now.Primary().TaskDefinition == w.at.TaskDefinition
		})
		if state := w.now().Primary().RolloutState; state != "IN_PROGRESS" {
			w.Fatalf("the rollback is %s", state)
		}
		w.Fail("ecs:DescribeServiceDeployments", emulator.Fault{Code: "ServerException", Times: 2})
		d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.at.TaskDefinition})
		if err != nil {
			return // it is busy, which is right as well
		}
		w.Mend("ecs:DescribeServiceDeployments")
		w.follow(d, Limits{})
		if truth := w.truth(first.Snapshot().ID); !truth.Final() {
			w.Errorf("ended with %+v while the rollback is %s", d.Verdict(), truth.Status)
		}
	})
}

// TestLostAnswerSeenLate: the answer of UpdateService got lost, and for some seconds the
// service is shown as it was. No second deployment is forced.
func TestLostAnswerSeenLate(t *testing.T) {
	for _, late := range []time.Duration{4 * time.Second, 12 * time.Second} {
		inWorld(t, ofECS, func(w *world) {
			w.play("complete")
			w.lose = func(operation string) bool { return operation == "UpdateService" && w.count(operation) == 1 }
			w.staleFor(late, "UpdateService", "DescribeServices")
			before := len(w.History().Deployments)
			d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Force: true, Expect: w.at.Primary().ID})
			if err != nil {
				w.Fatal(err)
			}
			w.follow(d, Limits{})
			w.ended(d, Succeeded, "")
			if n := len(w.History().Deployments) - before; n != 1 || !d.Snapshot().New {
				w.Errorf("late by %s: %d deployments were started, want one of ours", late, n)
			}
		})
	}
}

// TestLostAnswerThenRefused: the answer of the call that starts a deployment got lost, what
// tells of it is shown as it was, and the call is refused when it is made again. That does
// not mean that nothing was started.
func TestLostAnswerThenRefused(t *testing.T) {
	for _, tt := range []struct {
		kind                  kind
		service, call, readBy string
	}{
		{kinds[0], "ecs", "UpdateService", "DescribeServices"},
		{kinds[1], "codedeploy", "CreateDeployment", "BatchGetDeploymentGroups"},
	} {
		inWorld(t, tt.kind, func(w *world) {
			w.lose = func(operation string) bool {
				if operation != tt.call || w.count(operation) > 1 {
					return false
				}
				w.Fail(tt.service+":"+tt.call, emulator.Fault{Code: "AccessDeniedException"})
				return true
			}
			w.staleFor(8*time.Second, tt.call, tt.readBy)
			_, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision()})
			if _, unknown := errors.AsType[*UnansweredError](err); !unknown {
				w.Errorf("%s: Start = %v, want an UnansweredError", tt.call, err)
			}
		})
	}
}

// TestLostAnswerThenUnread: the answer of UpdateService got lost, the service is shown as it
// was, and cannot be read any more. It is not known whether something was started.
func TestLostAnswerThenUnread(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		w.lose = func(operation string) bool { return operation == "UpdateService" && w.count(operation) == 1 }
		var reads int
		w.stale = func(operation string) bool {
			if operation != "DescribeServices" || w.count("UpdateService") == 0 {
				return false
			}
			if reads++; reads > 2 {
				w.Fail("ecs:DescribeServices", emulator.Fault{Code: "AccessDeniedException"})
				return false
			}
			return true
		}
		w.before = func(operation string) {
			if operation == "DescribeServiceDeployments" && w.count("UpdateService") > 0 {
				time.Sleep(2 * staleAfter) // and so the service is read again
			}
		}
		_, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Expect: w.at.Primary().ID})
		if _, unknown := errors.AsType[*UnansweredError](err); !unknown || w.count("UpdateService") != 1 {
			w.Errorf("Start = %v after %d calls, want an UnansweredError", err, w.count("UpdateService"))
		}
	})
}

// TestStopBeforeItIsShown: a deployment is to be stopped, and the service and the history
// are still shown as they were before it. That is no rollback by ECS, whatever ECS had said
// before of one that ours has replaced. The deployment is stopped once it is shown.
func TestStopBeforeItIsShown(t *testing.T) {
	for name, stopped := range map[string]bool{"of a service at rest": false, "of a service that ECS was rolling back": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				if stopped {
					w.start("slow")
					time.Sleep(30 * time.Second)
					w.Outsider(emulator.DemoCluster, emulator.DemoService).TripBreaker()
					time.Sleep(5 * time.Second)
				}
				w.play("slow")
				w.staleFor(8*time.Second, "UpdateService", "DescribeServices", "ListServiceDeployments", "DescribeServiceDeployments")
				if _, err := w.control.InFlight(w.Context()); err != nil { // what is answered late was read before
					w.Fatal(err)
				}
				d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Supersede: true})
				if err != nil {
					w.Fatal(err)
				}
				hurried, cancel := context.WithTimeout(w.Context(), 3*time.Second)
				defer cancel()
				if err := d.Stop(hurried); !errors.Is(err, ErrNotShown) {
					w.Errorf("Stop without time = %v, want ErrNotShown", err)
				}
				if !d.Snapshot().InProgress() || d.Snapshot().RollingBack() {
					w.Errorf("in progress %v, rolling back %v", d.Snapshot().InProgress(), d.Snapshot().RollingBack())
				}
				if err := d.Stop(w.Context()); err != nil {
					w.Fatal(err)
				}
				if truth := w.truth(d.Snapshot().ID); truth.StoppedBy == "" {
					w.Errorf("nobody has stopped it: it is %s", truth.Status)
				}
			})
		})
	}
}

// TestDeletedBeforeItIsShown: a deployment is to be stopped that is not shown yet, and the
// service is deleted.
func TestDeletedBeforeItIsShown(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		w.play("slow")
		w.staleFor(4*time.Second, "UpdateService", "DescribeServices", "ListServiceDeployments", "DescribeServiceDeployments")
		if _, err := w.control.InFlight(w.Context()); err != nil {
			w.Fatal(err)
		}
		d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Supersede: true})
		if err != nil {
			w.Fatal(err)
		}
		w.edit = func(operation string, body []byte) []byte {
			if operation == "DescribeServices" {
				return []byte(`{"services":[],"failures":[{"arn":"` + w.at.ARN + `","reason":"MISSING"}]}`)
			}
			return body
		}
		soon, cancel := context.WithTimeout(w.Context(), 2*grace)
		defer cancel()
		if err := d.Stop(soon); !errors.Is(err, ErrEnded) {
			w.Errorf("Stop = %v, want ErrEnded", err)
		}
		w.ended(d, Failed, ServiceDeleted)
	})
}

// TestLostAnswersInLittleTime: the answers of UpdateService get lost, the service is shown
// as it was, and there is no time to wait. A forced deployment is not forced again, and
// what came of the calls is not known.
func TestLostAnswersInLittleTime(t *testing.T) {
	for _, force := range []bool{false, true} {
		inWorld(t, ofECS, func(w *world) {
			w.lose = func(operation string) bool { return operation == "UpdateService" }
			w.staleFor(time.Minute, "UpdateService", "DescribeServices")
			ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
			defer cancel()
			before := len(w.History().Deployments)
			_, err := w.control.Start(ctx, Change{TaskDefinition: w.revision(), Force: force, Expect: w.at.Primary().ID})
			if _, unknown := errors.AsType[*UnansweredError](err); !unknown || len(w.History().Deployments)-before != 1 {
				w.Errorf("force %v: Start = %v, %d deployments; want an UnansweredError and one", force, err, len(w.History().Deployments)-before)
			}
		})
	}
}

// TestReplacedBeforeItIsShown: somebody's deployment has replaced ours, whose record says
// that it was stopped, while the service is still shown as it was before both.
func TestReplacedBeforeItIsShown(t *testing.T) {
	for _, denied := range []bool{false, true} {
		inWorld(t, ofECS, func(w *world) {
			w.play("slow")
			w.staleFor(8*time.Second, "UpdateService", "DescribeServices")
			d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Expect: w.at.Primary().ID})
			if err != nil {
				w.Fatal(err)
			}
			w.inTime(d, time.Second) // until its record is known
			if _, err := w.others.Start(w.Context(), Change{TaskDefinition: w.revision(), Supersede: true}); err != nil {
				w.Fatal(err)
			}
			if denied {
				w.Fail("ecs:ListServiceDeployments", emulator.Fault{Code: "AccessDeniedException"})
			}
			if err := d.Stop(w.Context()); !errors.Is(err, ErrNotOurs) {
				w.Errorf("Stop = %v, verdict %+v; want ErrNotOurs", err, d.Verdict())
			}
		})
	}
}

// TestPausedLongAgo: a deployment waited for an answer when its record was read last, and the
// record cannot be read any more. It is not paused for that.
func TestPausedLongAgo(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		d := w.start("paused")
		w.follow(d, Limits{})
		w.ended(d, Paused, HookWaits)
		w.Outsider(emulator.DemoCluster, emulator.DemoService).Stop()
		w.Fail("ecs:DescribeServiceDeployments", emulator.Fault{Code: "ServerException"})
		time.Sleep(time.Minute)
		w.follow(d, Limits{})
		w.ended(d, RolledBack, RolledBackByECS)
	})
}

// TestReplacesWhatBeganMeanwhile: somebody's deployment began at the moment of our call,
// which replaced it. Where it is shown as the PRIMARY one, the view is late.
func TestReplacesWhatBeganMeanwhile(t *testing.T) {
	begin := time.Unix(1e9, 0)
	old := ecs.Deployment{ID: "ecs-svc/1", Status: "ACTIVE", CreatedAt: begin.Add(-time.Hour)}
	theirs := ecs.Deployment{ID: "ecs-svc/2", Status: "ACTIVE", CreatedAt: begin}
	own := ecs.Deployment{ID: "ecs-svc/3", Status: "PRIMARY", CreatedAt: begin}
	c := &ecsController{}
	d, err := c.started(ecs.Service{Deployments: []ecs.Deployment{old}}, ecs.Service{Deployments: []ecs.Deployment{own, theirs, old}}, Change{}, need{})
	if err != nil {
		t.Fatal(err)
	}
	for _, earlier := range []ecs.Deployment{old, theirs} {
		if earlier.Status = "PRIMARY"; !d.Snapshot().Returns(earlier) {
			t.Errorf("%s counts as one that has replaced ours", earlier.ID)
		}
	}
}

// TestStartAfterAFailureShownLate: the service shows the deployment of the revision in
// progress, and its record says that it has failed. It is deployed again.
func TestStartAfterAFailureShownLate(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		crash := 1
		w.Script(emulator.DemoCluster, emulator.DemoService, emulator.Scenario{Breaker: &emulator.Breaker{Enable: true, Threshold: 3}, Fates: []emulator.Fate{{Exit: &crash}}})
		first := w.start("")
		w.inTime(first, 20*time.Second)
		was := w.lastOf("DescribeServices")
		w.follow(first, Limits{})
		w.ended(first, Failed, DeploymentStopped)
		w.play("complete")
		begin := time.Now()
		w.stale = func(operation string) bool {
			return operation == "DescribeServices" && time.Since(begin) < 4*time.Second
		}
		w.last["DescribeServices"] = was
		again, err := w.control.Start(w.Context(), Change{TaskDefinition: first.Snapshot().Revision, Expect: first.Snapshot().ID})
		if err != nil {
			w.Fatal(err)
		}
		if !again.Snapshot().New {
			w.Fatal("the revision was not deployed again")
		}
		w.follow(again, Limits{})
		w.ended(again, Succeeded, "")
	})
}

// TestAcceptedAndShownLate: UpdateService is answered with the service as it was before.
// The deployment that it shows is not the one that was begun.
func TestAcceptedAndShownLate(t *testing.T) {
	for name, start := range map[string]func(w *world) Deployment{
		"a new revision": func(w *world) Deployment { return w.start("") },
		"the same revision, by force": func(w *world) Deployment {
			d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.at.TaskDefinition, Force: true})
			if err != nil {
				w.Fatal(err)
			}
			return d
		},
	} {
		t.Run(name, func(t *testing.T) { acceptedAndShownLate(t, start) })
	}
}

func acceptedAndShownLate(t *testing.T, start func(*world) Deployment) {
	inWorld(t, ofECS, func(w *world) {
		w.play("crash")
		w.edit = func(operation string, body []byte) []byte {
			var answer map[string]map[string]any
			if operation != "UpdateService" || json.Unmarshal(body, &answer) != nil {
				return body
			}
			all := answer["service"]["deployments"].([]any)
			earlier := all[len(all)-1].(map[string]any)
			earlier["status"] = "PRIMARY"
			answer["service"]["deployments"], answer["service"]["taskDefinition"] = []any{earlier}, earlier["taskDefinition"]
			body, _ = json.Marshal(answer)
			return body
		}
		d := start(w)
		w.follow(d, Limits{MaxFailedTasks: 3})
		w.ended(d, Failed, TasksFail)
	})
}
