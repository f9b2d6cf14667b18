package rollout

// What is particular to ECS as the controller: two views of a deployment of which
// either may be late or unreadable, a circuit breaker that acts beside us, and
// answers that get lost.

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/emulator"
)

var ofECS = kinds[0]

// told counts the events of one type.
func told[T any](events []Event) (n int) {
	for _, e := range events {
		if _, is := e.What.(T); is {
			n++
		}
	}
	return n
}

// TestIdentity: the same revision is forced twice within seconds. Each deployment
// is followed by its own record.
func TestIdentity(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		w.play("complete")
		force := Change{TaskDefinition: w.at.TaskDefinition, Force: true, Supersede: true}
		first, err := w.others.Start(w.Context(), force)
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		second, err := w.control.Start(w.Context(), force)
		if err != nil {
			w.Fatal(err)
		}
		var wait sync.WaitGroup
		for _, d := range []Deployment{first, second} {
			wait.Go(func() { w.follow(d, Limits{}) })
		}
		wait.Wait()
		w.ended(first, Superseded, ReplacedByOther)
		w.ended(second, Succeeded, "")
		one, two := first.Snapshot(), second.Snapshot()
		if first.Verdict().Reason.By != two.ID || two.ID == one.ID || one.RecordARN() == two.RecordARN() || one.RecordARN() == "" || two.RecordARN() == "" {
			w.Errorf("first %s (%s), replaced by %s; second %s (%s)", one.ID, one.RecordARN(), first.Verdict().Reason.By, two.ID, two.RecordARN())
		}
	})
}

// TestLostAnswers: whatever becomes of the answer of UpdateService, there is one
// deployment, and it is ours.
func TestLostAnswers(t *testing.T) {
	is := func(operation string, times int) func(string) bool {
		return func(called string) bool {
			if called != operation || times == 0 {
				return false
			}
			times--
			return true
		}
	}
	t.Run("ECS had acted", func(t *testing.T) {
		inWorld(t, ofECS, func(w *world) {
			w.lose = is("UpdateService", 1)
			d := w.start("complete")
			w.follow(d, Limits{})
			w.ended(d, Succeeded, "")
			if n := w.count("UpdateService"); n != 1 {
				w.Errorf("%d calls of UpdateService, want 1", n)
			}
		})
	})
	t.Run("ECS had not acted", func(t *testing.T) {
		inWorld(t, ofECS, func(w *world) {
			w.refuse = is("UpdateService", 2)
			d := w.start("complete")
			w.follow(d, Limits{})
			w.ended(d, Succeeded, "")
			if n := w.count("UpdateService"); n != 3 {
				w.Errorf("%d calls of UpdateService, want 3", n)
			}
		})
	})
	t.Run("ECS never acts", func(t *testing.T) {
		inWorld(t, ofECS, func(w *world) {
			w.refuse = is("UpdateService", -1)
			_, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision()})
			if !ecs.Ambiguous(err) || w.count("UpdateService") != updateTries {
				w.Errorf("Start = %v after %d calls, want an error after %d", err, w.count("UpdateService"), updateTries)
			}
		})
	})
	// Whether ECS had acted before cannot be seen, so nothing is deployed once more.
	for name, lost := range map[string]bool{"somebody else acted meanwhile": false, "ECS had acted, and somebody else after it": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				theirs := w.revision()
				meanwhile := func(operation string) bool {
					if operation != "UpdateService" {
						return false
					}
					if _, err := w.others.Start(w.Context(), Change{TaskDefinition: theirs, Supersede: true}); err != nil {
						w.Error(err)
					}
					return true
				}
				if w.refuse = meanwhile; lost {
					w.refuse, w.lose = nil, meanwhile
				}
				_, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Supersede: true, Expect: w.at.Primary().ID})
				_, moved := errors.AsType[*MovedError](err)
				if _, unknown := errors.AsType[*UnansweredError](err); !unknown || moved || w.count("UpdateService") != 1 {
					w.Errorf("Start = %v after %d calls, want an UnansweredError after one", err, w.count("UpdateService"))
				}
			})
		})
	}
	for name, fault := range map[string]func(w *world, f func(string) bool){
		"CodeDeploy had continued":     func(w *world, f func(string) bool) { w.lose = f },
		"CodeDeploy had not continued": func(w *world, f func(string) bool) { w.refuse = f },
	} {
		t.Run(name, func(t *testing.T) {
			inWorldOf(t, kinds[1], true, func(w *world) {
				d := w.start("complete")
				w.follow(d, Limits{})
				w.ended(d, Paused, ReadyWaits)
				fault(w, is("ContinueDeployment", 1))
				if err := d.Answer(w.Context(), Continue); err != nil {
					w.Fatal(err)
				}
				w.follow(d, Limits{})
				w.ended(d, Succeeded, "")
			})
		})
	}
	t.Run("CodeDeploy had acted, and somebody stopped it", func(t *testing.T) {
		inWorld(t, kinds[1], func(w *world) {
			w.lose = func(operation string) bool {
				if operation != "CreateDeployment" {
					return false
				}
				theirs, err := w.others.InFlight(w.Context())
				if err == nil {
					err = theirs.Stop(w.Context())
				}
				if err != nil {
					w.Error(err)
				}
				return true
			}
			d := w.start("complete")
			w.follow(d, Limits{})
			if v := d.Verdict(); v.Outcome != Failed && v.Outcome != RolledBack || w.count("CreateDeployment") != 1 {
				w.Errorf("ended %v after %d calls of CreateDeployment, want one that failed", v, w.count("CreateDeployment"))
			}
		})
	})
	for i, operation := range []string{"StopServiceDeployment", "StopDeployment"} {
		t.Run("the stop was taken: "+operation, func(t *testing.T) {
			inWorld(t, kinds[i], func(w *world) {
				d := w.start("stuck")
				w.inTime(d, time.Minute)
				w.lose = is(operation, 1)
				if err := d.Stop(w.Context()); err != nil {
					w.Fatal(err)
				}
				w.follow(d, Limits{})
				w.ended(d, RolledBack, RolledBackByTask)
			})
		})
	}
}

// TestFailedWhileTheStopWasLost: a deployment that failed by itself just then was not
// stopped by this run, which would wait for its rollback and name it its own.
func TestFailedWhileTheStopWasLost(t *testing.T) {
	inWorld(t, kinds[1], func(w *world) {
		d := w.start("stuck")
		w.inTime(d, time.Minute)
		lost := false
		w.lose = func(operation string) bool {
			first := operation == "StopDeployment" && !lost
			lost = lost || first
			return first
		}
		w.edit = func(operation string, body []byte) []byte {
			var answer map[string]map[string]any
			if operation != "GetDeployment" || !lost || json.Unmarshal(body, &answer) != nil {
				return body
			}
			info := answer["deploymentInfo"]
			info["status"] = "Failed"
			delete(info, "rollbackInfo")
			delete(info, "autoRollbackConfiguration")
			body, _ = json.Marshal(answer)
			return body
		}
		if err := d.Stop(w.Context()); !errors.Is(err, ErrEnded) || d.Snapshot().Asked {
			w.Errorf("Stop = %v, asked for: %t", err, d.Snapshot().Asked)
		}
	})
}

// TestRefusalsAreExplained: after a refusal the service is read again, and what was
// changed meanwhile is the error.
func TestRefusalsAreExplained(t *testing.T) {
	tests := map[string]struct {
		meanwhile func(w *world)
		is        func(error) bool
	}{
		"the service was deleted": {func(w *world) { w.delete() }, func(err error) bool { return ecs.Classify(err) == ecs.Gone }},
		"nothing happened":        {func(*world) {}, func(err error) bool { return ecs.CodeOf(err) == "AccessDeniedException" }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				revision := w.revision()
				w.Fail("ecs:UpdateService", emulator.Denied())
				w.before = func(operation string) {
					if operation == "UpdateService" {
						tt.meanwhile(w)
					}
				}
				if _, err := w.control.Start(w.Context(), Change{TaskDefinition: revision}); !tt.is(err) {
					w.Errorf("Start = %v", err)
				}
			})
		})
	}
}

// TestWithoutRecords: where the records of deployments cannot be read, the list of
// deployments decides, after a bounded time, and that is told once.
func TestWithoutRecords(t *testing.T) {
	both := func(f emulator.Fault) func(*world) {
		return func(w *world) {
			w.Fail("ecs:ListServiceDeployments", f)
			w.Fail("ecs:DescribeServiceDeployments", f)
		}
	}
	later := func(f emulator.Fault) func(*world) { // once the record is known
		return func(w *world) {
			f.Skip = 3
			w.Fail("ecs:DescribeServiceDeployments", f)
		}
	}
	cut := func(w *world) {
		w.refuse = func(operation string) bool { return operation == "DescribeServiceDeployments" }
	}
	cutFor := func(d time.Duration) func(*world) {
		return func(w *world) {
			end := time.Now().Add(d)
			w.refuse = func(operation string) bool {
				return operation == "DescribeServiceDeployments" && time.Now().Before(end)
			}
		}
	}
	unsupported := emulator.Fault{Code: "UnsupportedFeatureException", Message: "Service deployments are not supported in this Region."}
	tests := []struct {
		name     string
		records  func(*world)
		scenario string
		want     Outcome
		code     Code
		told     int // that they cannot be read
		within   time.Duration
	}{
		{"denied", both(emulator.Denied()), "complete", Succeeded, "", 1, 2 * time.Minute},
		{"denied, and rolled back", both(emulator.Denied()), "rollback", RolledBack, RolledBackByECS, 1, 10 * time.Minute},
		{"denied, and failed", both(emulator.Denied()), "failed", Failed, DeploymentFailed, 1, 10 * time.Minute},
		{"denied, and superseded", both(emulator.Denied()), "superseded", Superseded, ReplacedByOther, 1, 2 * time.Minute},
		{"not supported", both(unsupported), "complete", Succeeded, "", 1, 2 * time.Minute},
		{"denied in the middle", later(emulator.Denied()), "rollback", RolledBack, RolledBackByECS, 1, 10 * time.Minute},
		{"not answered", both(emulator.Fault{Hang: true}), "slow", Succeeded, "", 1, 8 * time.Minute},
		{"not answered any more", later(emulator.Fault{Hang: true}), "complete", Succeeded, "", 1, 4 * time.Minute},
		{"throttled for good", both(emulator.Throttled(0)), "slow", Succeeded, "", 1, 8 * time.Minute},
		{"cut for good", cut, "slow", Succeeded, "", 1, 8 * time.Minute},
		{"cut for less than a minute", cutFor(50 * time.Second), "slow", Succeeded, "", 0, 8 * time.Minute},
		{"cut for some minutes", cutFor(3 * time.Minute), "slow", Succeeded, "", 1, 8 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				d := w.start(tt.scenario)
				tt.records(w)
				begin := time.Now()
				events := w.follow(d, Limits{})
				w.ended(d, tt.want, tt.code)
				if took := time.Since(begin); took > tt.within {
					w.Errorf("ended after %s, want %s at most", took, tt.within)
				}
				if n := told[Unreadable](events); n != tt.told {
					w.Errorf("told %d times that the record cannot be read, want %d", n, tt.told)
				}
				if n := told[Silence](events); n != 0 {
					w.Errorf("told %d times that AWS cannot be reached, although the service was read", n)
				}
			})
		})
	}
}

// TestAWSUnreachable: minutes without an answer are waited out, and told once.
func TestAWSUnreachable(t *testing.T) {
	faults := map[string]emulator.Fault{
		"broken":    emulator.Broken(60),
		"cut":       emulator.Reset(60),
		"throttled": emulator.Throttled(60),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				d := w.start("slow")
				w.Fail("ecs:DescribeServices", fault)
				events := w.follow(d, Limits{})
				w.ended(d, Succeeded, "")
				if n := told[Silence](events); n != 2 {
					w.Errorf("told %d times, want once that it is silent and once that it answers", n)
				}
			})
		})
	}
	t.Run("for good", func(t *testing.T) {
		inWorld(t, ofECS, func(w *world) {
			d := w.start("complete")
			w.Fail("ecs:DescribeServices", emulator.Fault{Hang: true})
			begin, last := time.Now(), time.Now()
			for range d.Watch(w.Context(), Limits{Timeout: 20 * time.Minute}) {
				if quiet := time.Since(last); quiet > heartbeat {
					w.Errorf("no word for %s", quiet)
				}
				last = time.Now()
			}
			w.ended(d, TimedOut, Unread)
			if took := time.Since(begin); took > 20*time.Minute+2*lastPoll {
				w.Errorf("ended after %s", took)
			}
		})
	})
}

// TestRecordsUnanswered: records and lists of them that are not answered leave time to
// read the service, also at the end of the time limit.
func TestRecordsUnanswered(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		d := w.start("stuck")
		w.Fail("ecs:DescribeServiceDeployments", emulator.Fault{Hang: true})
		w.Fail("ecs:ListServiceDeployments", emulator.Fault{Hang: true})
		w.follow(d, Limits{Timeout: 3 * time.Minute})
		w.ended(d, TimedOut, NotInTime)
	})
}

// TestRecordUnansweredAtTheEnd: a record that was read long before the end says nothing
// of it where the list does.
func TestRecordUnansweredAtTheEnd(t *testing.T) {
	d := &ecsDeployment{snapshot: snapshot(entry(ours, "PRIMARY", "COMPLETED")).with(recorded("IN_PROGRESS"), timeless)}
	if v := Judge(d.last()); v.Final() {
		t.Errorf("by the record that was just read it is %v", v)
	}
	d.unreadable = time.Now()
	if v := Judge(d.last()); v.Outcome != Succeeded {
		t.Errorf("by the list it is %v, want a success", v)
	}
}

// TestStartAfterSlowRecords: a service is read again before it is changed where its
// records took long to be read.
func TestStartAfterSlowRecords(t *testing.T) {
	for name, theirs := range map[string]bool{"nobody deploys": false, "somebody deploys": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				w.play("slow")
				ours, other, waited := w.revision(), w.revision(), false
				w.before = func(operation string) {
					if operation != "DescribeServiceDeployments" || waited {
						return
					}
					waited = true
					if time.Sleep(staleAfter - time.Second/2); theirs {
						if _, err := w.others.Start(w.Context(), Change{TaskDefinition: other, Supersede: true}); err != nil {
							w.Error(err)
						}
					}
					time.Sleep(time.Second)
				}
				_, err := w.control.Start(w.Context(), Change{TaskDefinition: ours, Expect: w.at.Primary().ID})
				if _, moved := errors.AsType[*MovedError](err); moved != theirs || !theirs && err != nil {
					w.Errorf("Start = %v", err)
				}
			})
		})
	}
}

// TestExpiredSession: waiting does not cure it.
func TestExpiredSession(t *testing.T) {
	for _, operation := range []string{"ecs:DescribeServices", "ecs:DescribeServiceDeployments", "ecs:*"} {
		t.Run(operation, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				d := w.start("slow")
				w.inTime(d, 20*time.Second)
				w.Fail(operation, emulator.Fault{Code: "ExpiredTokenException", Message: "The security token included in the request is expired"})
				begin := time.Now()
				w.follow(d, Limits{})
				if ecs.Classify(d.Err()) != ecs.Expired || d.Verdict().Final() || time.Since(begin) > time.Minute {
					w.Errorf("ended after %s with %v, %v; want the expired session", time.Since(begin), d.Verdict(), d.Err())
				}
			})
		})
	}
}

// TestBreakerAtOurLimit: ECS's circuit breaker gives up at the same task as we do.
// However the race goes, the service is back on its revision, and that is told.
func TestBreakerAtOurLimit(t *testing.T) {
	for threshold := 3; threshold <= 10; threshold++ {
		for _, rollback := range []bool{true, false} {
			for _, rights := range []bool{true, false} {
				t.Run(fmt.Sprintf("%d rollback %v rights %v", threshold, rollback, rights), func(t *testing.T) {
					inWorld(t, ofECS, func(w *world) {
						crash := 1
						w.Script(emulator.DemoCluster, emulator.DemoService, emulator.Scenario{Fates: []emulator.Fate{{Exit: &crash}}})
						w.breaker(threshold, rollback)
						if !rights {
							w.Fail("ecs:ListServiceDeployments", emulator.Denied())
							w.Fail("ecs:DescribeServiceDeployments", emulator.Denied())
						}
						d := w.start("")
						w.follow(d, Limits{MaxFailedTasks: threshold})
						last := w.retreat(d)
						switch v := last.Verdict(); {
						case v.Outcome == RolledBack:
						case v.Outcome.Good() && last.Snapshot().Revision == w.at.TaskDefinition:
						default:
							w.Errorf("first %+v, then %+v, %v; want the service back", d.Verdict(), v, last.Err())
						}
						if primary := w.now().Primary(); primary.TaskDefinition != w.at.TaskDefinition {
							w.Errorf("the service runs %s", primary.TaskDefinition)
						}
						if rollback && w.count("UpdateService") != 1 {
							w.Errorf("%d calls of UpdateService beside ECS's own rollback", w.count("UpdateService"))
						}
					})
				})
			}
		}
	}
}

// breaker sets the circuit breaker of the service.
func (w *world) breaker(threshold int, rollback bool) {
	w.Helper()
	_, err := w.ecs.UpdateService(w.Context(), &awsecs.UpdateServiceInput{Cluster: aws.String(emulator.DemoCluster), Service: aws.String(emulator.DemoService),
		DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: rollback,
			ThresholdConfiguration: &types.ThresholdConfiguration{Type: "COUNT", Value: int32(threshold)}}}})
	if err != nil {
		w.Fatal(err)
	}
}

// retreat does with a deployment that ended badly what a run does: it stops it, or
// moves the service back where there is nothing to stop.
func (w *world) retreat(d Deployment) Deployment {
	w.Helper()
	if d.Verdict().Outcome == RolledBack {
		return d
	}
	if d.Snapshot().InProgress() {
		err := d.Stop(w.Context())
		if err == nil {
			w.follow(d, Limits{})
			return d
		}
		if errors.Is(err, ErrEnded) && d.Verdict().Outcome == RolledBack {
			return d
		}
	}
	back, err := w.control.Start(w.Context(), Change{TaskDefinition: w.at.TaskDefinition, Supersede: true, Expect: d.Snapshot().ID})
	if err != nil {
		w.Fatalf("after %+v: %v", d.Verdict(), err)
	}
	w.follow(back, Limits{})
	return back
}

// TestStopWhileECSRollsBack: there is nothing left to ask for.
func TestStopWhileECSRollsBack(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		d := w.start("rollback")
		for e := range d.Watch(w.Context(), Limits{Timeout: time.Hour}) {
			if _, doomed := e.What.(Doomed); doomed {
				break
			}
		}
		w.forget()
		if err := d.Stop(w.Context()); err != nil || d.Snapshot().Asked || w.changing() != 0 {
			w.Errorf("Stop = %v, asked %v, %d changing calls; want none", err, d.Snapshot().Asked, w.changing())
		}
		w.follow(d, Limits{})
		w.ended(d, RolledBack, RolledBackByECS)
	})
}

// TestTheirsIsNotShown: somebody else's deployment has replaced ours, and the list
// of records may not be read. The service's list of deployments tells it.
func TestTheirsIsNotShown(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		d := w.start("slow")
		w.inTime(d, 30*time.Second)
		w.Fail("ecs:ListServiceDeployments", emulator.Denied())
		w.Fail("ecs:DescribeServiceDeployments", emulator.Fault{Hang: true})
		theirs, err := w.others.Start(w.Context(), Change{TaskDefinition: w.revision(), Supersede: true})
		if err != nil {
			w.Fatal(err)
		}
		w.forget()
		if err := d.Stop(w.Context()); !errors.Is(err, ErrNotOurs) {
			w.Errorf("Stop = %v, want ErrNotOurs", err)
		}
		w.follow(d, Limits{})
		w.ended(d, Superseded, ReplacedByOther)
		if d.Verdict().Reason.By != theirs.Snapshot().ID || w.changing() != 0 {
			w.Errorf("replaced by %s, %d changing calls; want %s and none", d.Verdict().Reason.By, w.changing(), theirs.Snapshot().ID)
		}
	})
}

// TestStoppedWithoutHistory: the record says STOPPED, and the right to list what
// came after it is missing. That may not be waited for for ever.
func TestStoppedWithoutHistory(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		d := w.start("failed")
		w.inTime(d, 10*time.Second)
		w.Fail("ecs:ListServiceDeployments", emulator.Denied())
		w.follow(d, Limits{})
		if v := d.Verdict(); v.Outcome != Failed || d.Err() != nil {
			w.Errorf("ended with %+v, %v; want failed", v, d.Err())
		}
	})
}

// TestTrafficOfRollingDeployments: they have no lifecycle stages, so that the full
// count, healthy, is what who waits for the traffic waits for.
func TestTrafficOfRollingDeployments(t *testing.T) {
	rolling := emulator.Scenario{Fates: []emulator.Fate{{}}, Strategy: &emulator.Strategy{Name: "ROLLING", BakeMinutes: 20}}
	stuck := emulator.Scenario{Fates: []emulator.Fate{{Starting: true}}, Breaker: &emulator.Breaker{}}
	for _, rights := range []bool{true, false} {
		t.Run(fmt.Sprintf("rights %v", rights), func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				if !rights {
					w.Fail("ecs:ListServiceDeployments", emulator.Denied())
					w.Fail("ecs:DescribeServiceDeployments", emulator.Denied())
				}
				w.Script(emulator.DemoCluster, emulator.DemoService, rolling)
				d := w.start("")
				begin := time.Now()
				w.follow(d, Limits{Until: UntilTraffic})
				w.ended(d, Succeeded, TrafficShifted)
				if took := time.Since(begin); took > 5*time.Minute {
					w.Errorf("ended after %s, want before the bake", took)
				}
			})
			inWorld(t, ofECS, func(w *world) {
				w.Script(emulator.DemoCluster, emulator.DemoService, stuck)
				d := w.start("")
				w.follow(d, Limits{Until: UntilTraffic})
				w.ended(d, TimedOut, NotInTime)
			})
		})
	}
}

// TestScale: a new number of tasks of the running revision is no deployment, and
// is followed until the tasks run.
func TestScale(t *testing.T) {
	for _, count := range []int{5, 1, 0} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.at.TaskDefinition, DesiredCount: &count, Expect: w.at.Primary().ID})
				if err != nil || d.Snapshot().New || d.Snapshot().Reached {
					w.Fatalf("Start = %+v, %v; want the deployment that is there, not reached", d, err)
				}
				w.follow(d, Limits{})
				code := Code("")
				if count == 0 {
					code = NothingRuns
				}
				w.ended(d, Succeeded, code)
				if now := w.now(); count > 0 && now.Running < count || now.Desired != count {
					w.Errorf("%d tasks run, %d wanted; want %d", now.Running, now.Desired, count)
				}
			})
		})
	}
	t.Run("while its deployment is in progress", func(t *testing.T) {
		inWorld(t, ofECS, func(w *world) {
			first := w.start("rollback")
			count := 3
			d, err := w.control.Start(w.Context(), Change{TaskDefinition: first.Snapshot().Revision, DesiredCount: &count})
			if err != nil {
				w.Fatal(err)
			}
			w.follow(d, Limits{})
			w.ended(d, RolledBack, RolledBackByECS)
		})
	})
}

// TestGivenUp: tasks that fail for the same reason end the watch, what passes by
// itself does not.
func TestGivenUp(t *testing.T) {
	tests := []struct {
		scenario string
		want     Outcome
		code     Code
		waits    int // told
	}{
		{"crash", Failed, TasksFail, 0},
		{"no-image", Failed, TasksFail, 0},
		{"no-role", Failed, TasksNotStarted, 0},
		{"no-capacity", TimedOut, NotInTime, 1},
		{"no-instance", TimedOut, NotInTime, 1},
		{"flapping", Succeeded, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.scenario, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				d := w.start(tt.scenario)
				events := w.follow(d, Limits{MaxFailedTasks: 3})
				w.ended(d, tt.want, tt.code)
				if n := told[Waits](events); n != tt.waits {
					w.Errorf("told %d times for what it waits, want %d", n, tt.waits)
				}
				if tt.want == Failed && d.Verdict().Reason.Cause == nil {
					w.Error("no cause")
				}
			})
		})
	}
}

// TestNothingTwice: of a deployment that goes through everything, no two lines in a
// row are the same, and no event of the service is told twice.
func TestNothingTwice(t *testing.T) {
	for _, scenario := range []string{"complete", "rollback", "canary", "crash", "hook-failed"} {
		t.Run(scenario, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				d := w.start(scenario)
				last, said := "", map[string]bool{}
				for _, e := range w.follow(d, Limits{MaxFailedTasks: 3}) {
					text := fmt.Sprintf("%T %+v", e.What, e.What)
					if text == last {
						w.Errorf("told twice: %s", text)
					}
					last = text
					if s, is := e.What.(Said); is {
						if said[s.Text] {
							w.Errorf("told twice: %s", s.Text)
						}
						said[s.Text] = true
					}
				}
			})
		})
	}
}

// TestLastEvents: a deployment may end between the calls of one poll. What ECS said
// of the service by then is told all the same, since it has the reason.
func TestLastEvents(t *testing.T) {
	for _, scenario := range []string{"rollback", "failed"} {
		t.Run(scenario, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				w.before = func(operation string) {
					if operation == "DescribeServiceDeployments" {
						time.Sleep(4 * time.Second)
					}
				}
				d := w.start(scenario)
				heard := map[string]bool{}
				for _, e := range w.follow(d, Limits{}) {
					if s, is := e.What.(Said); is {
						heard[s.Text] = true
					}
				}
				for _, m := range d.Snapshot().Service.Events {
					if strings.Contains(m.Text, "deployment failed") && !heard[withoutService(m.Text)] {
						w.Errorf("not told: %s", m.Text)
					}
				}
				if d.Verdict().Outcome.Good() || len(heard) == 0 {
					w.Errorf("ended with %+v", d.Verdict())
				}
			})
		})
	}
}

// TestSideBySide: twelve services that are watched at the same time cost little
// more than two calls for one.
func TestSideBySide(t *testing.T) {
	calls := func(services int) (n int) {
		inWorld(t, ofECS, func(w *world) {
			var all []Deployment
			for i := range services {
				name := fmt.Sprintf("worker-%d", i)
				in := &awsecs.CreateServiceInput{Cluster: aws.String(emulator.DemoCluster), ServiceName: &name, TaskDefinition: &w.at.TaskDefinition,
					DesiredCount: aws.Int32(1), LaunchType: "FARGATE", NetworkConfiguration: w.described().NetworkConfiguration}
				if _, err := w.ecs.CreateService(w.Context(), in); err != nil {
					w.Fatal(err)
				}
			}
			time.Sleep(10 * time.Minute)
			revision := w.revision()
			for i := range services {
				s, err := w.client.Service(w.Context(), emulator.DemoCluster, fmt.Sprintf("worker-%d", i))
				if err != nil {
					w.Fatal(err)
				}
				d, err := NewECS(w.client, diagnosis.New(w.client, w.client.Config()), s).Start(w.Context(), Change{TaskDefinition: revision})
				if err != nil {
					w.Fatal(err)
				}
				all = append(all, d)
			}
			w.forget()
			var wait sync.WaitGroup
			for _, d := range all {
				wait.Go(func() { w.follow(d, Limits{}) })
			}
			wait.Wait()
			for _, d := range all {
				w.ended(d, Succeeded, "")
			}
			n = len(w.calls)
		})
		return n
	}
	one, twelve := calls(1), calls(12)
	t.Logf("%d calls for one service, %d for twelve", one, twelve)
	if twelve > 3*one+12 {
		t.Errorf("%d calls for twelve services, %d for one", twelve, one)
	}
}

// TestProve asks the two witnesses of a deployment that has succeeded, each with
// and without the right to read it.
func TestProve(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		d := w.start("complete")
		w.follow(d, Limits{})
		revision, err := w.client.ServiceRevision(w.Context(), d.Snapshot().Record.Target.ARN)
		if err != nil || len(revision.Images) == 0 || revision.Images[0].Digest == "" {
			w.Fatalf("service revision %+v, %v", revision, err)
		}
		name, digest := revision.Images[0].Container, revision.Images[0].Digest
		right := map[string][]string{name: {"sha256:index", digest}}
		prove := func(want map[string][]string) Proof { return Prove(w.Context(), w.client, d.Snapshot(), want) }
		if p := prove(right); !p.Resolved.Known || !p.Running.Known || !p.Complete() || p.Tasks != 2 {
			w.Errorf("proof %+v, want both witnesses to agree on 2 tasks", p)
		}
		if p := prove(map[string][]string{name: {"sha256:other"}}); len(p.Resolved.Wrong) != 1 || len(p.Running.Wrong) != 2 || p.Complete() {
			w.Errorf("proof %+v, want both witnesses to contradict", p)
		}
		w.Fail("ecs:ListTasks", emulator.Denied())
		if p := prove(right); !p.Resolved.Known || ecs.Classify(p.TasksErr) != ecs.Denied || p.Complete() {
			w.Errorf("without rights on tasks: %+v, want what ECS resolved", p)
		}
		w.Mend("ecs:ListTasks")
		again := ecs.New(w.client.Config()) // which has not read the service revision
		w.Fail("ecs:DescribeServiceRevisions", emulator.Denied())
		if p := Prove(w.Context(), again, d.Snapshot(), right); p.Resolved.Known || ecs.Classify(p.ResolvedErr) != ecs.Denied || !p.Running.Known || !p.Complete() {
			w.Errorf("without rights on service revisions: %+v, want the tasks", p)
		}
	})
}

// TestTheirsBehindAClassicLoadBalancer: there is no rollout state, and the history does
// not show somebody's deployment yet. The service lists two deployments, so it is busy.
func TestTheirsBehindAClassicLoadBalancer(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		w.Behave(emulator.Behaviour{Seed: 1, ListLag: time.Hour, NoCurrentDeployment: true})
		theirs := w.start("classic-balancer")
		w.inTime(theirs, 5*time.Second)
		d, err := w.control.InFlight(w.Context())
		if err != nil || d == nil || d.Snapshot().ID != theirs.Snapshot().ID {
			w.Fatalf("InFlight = %v, %v; want %s", d, err, theirs.Snapshot().ID)
		}
		time.Sleep(10 * time.Minute)
		if d, err := w.control.InFlight(w.Context()); d != nil || err != nil {
			w.Errorf("after its end, InFlight = %v, %v", d, err)
		}
	})
}

// TestTargetUnread: how far CodeDeploy has come with the service is told, and not
// needed for the verdict. That it cannot be read is told once.
func TestTargetUnread(t *testing.T) {
	for name, fault := range map[string]emulator.Fault{"no answer": {Hang: true}, "broken": {Code: "InternalServerError"}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, kinds[1], func(w *world) {
				w.Fail("codedeploy:GetDeploymentTarget", fault)
				d := w.start("complete")
				w.follow(d, Limits{Timeout: time.Hour})
				w.ended(d, Succeeded, "")
				told := 0
				stuck := w.start("stuck")
				for _, e := range w.follow(stuck, Limits{Timeout: 10 * time.Minute}) {
					switch e.What.(type) {
					case Unreadable:
						told++
					case Silence:
						w.Errorf("told %+v", e.What)
					}
				}
				w.ended(stuck, TimedOut, NotInTime)
				if told != 1 {
					w.Errorf("told %d times that the target cannot be read, want once", told)
				}
			})
		})
	}
}
