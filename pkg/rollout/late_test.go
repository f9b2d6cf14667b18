package rollout

// Views that are late, and answers that come before AWS has acted: what a client sees
// of its own call some seconds later than it was made.

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator"
)

// staleFor has what was read last of a deployment answered for a while, once something
// was asked of it.
func (w *world) staleFor(d time.Duration, change, reading string) {
	var since time.Time
	w.before = func(operation string) {
		if operation == change {
			since = time.Now()
		}
	}
	w.stale = func(operation string) bool { return operation == reading && !since.IsZero() && time.Since(since) < d }
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
	inWorld(t, ofECS, func(w *world) {
		w.play("complete")
		w.lose = func(operation string) bool { return operation == "UpdateService" && w.count(operation) == 1 }
		w.staleFor(4*time.Second, "UpdateService", "DescribeServices")
		before := len(w.History().Deployments)
		d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Force: true, Expect: w.at.Primary().ID})
		if err != nil {
			w.Fatal(err)
		}
		w.follow(d, Limits{})
		w.ended(d, Succeeded, "")
		if n := len(w.History().Deployments) - before; n != 1 || !d.Snapshot().New {
			w.Errorf("%d deployments were started, want one of ours", n)
		}
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
