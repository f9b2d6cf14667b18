package rollout

// What holds for every controller. Each sub-test runs against ECS and against
// CodeDeploy.

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"ecsdeploy/pkg/mistake"
)

// conform runs a test against both controllers.
func conform(t *testing.T, test func(w *world, k kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { inWorld(t, k, func(w *world) { test(w, k) }) })
	}
}

func TestStartToSuccess(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		if d, err := w.control.InFlight(w.Context()); d != nil || err != nil {
			t.Fatalf("InFlight at rest = %v, %v; want none", d, err)
		}
		if good, err := w.control.LastGood(w.Context()); good != w.at.TaskDefinition || err != nil {
			t.Errorf("LastGood at rest = %s, %v; want %s", good, err, w.at.TaskDefinition)
		}
		d := w.start("complete")
		found, err := w.control.InFlight(w.Context())
		if err != nil || found == nil {
			w.Fatalf("InFlight = %v, %v; want ours", found, err)
		}
		if s := found.Snapshot(); s.ID != d.Snapshot().ID || s.Revision != d.Snapshot().Revision || s.New {
			w.Errorf("InFlight = %s of %s; want %s of %s", s.ID, s.Revision, d.Snapshot().ID, d.Snapshot().Revision)
		}
		if good, err := w.control.LastGood(w.Context()); good == d.Snapshot().Revision || err != nil {
			w.Errorf("LastGood while ours is in progress = %s, %v", good, err)
		}
		if s := d.Snapshot(); s.Previous != w.at.TaskDefinition {
			w.Errorf("Previous = %s, want %s", s.Previous, w.at.TaskDefinition)
		}
		w.follow(d, Limits{})
		w.ended(d, Succeeded, "")
		if w.now().Primary().TaskDefinition != d.Snapshot().Revision {
			w.Errorf("the service runs %s", w.now().Primary().TaskDefinition)
		}
		if n := w.changing(); n != 1 {
			w.Errorf("%d changing calls, want 1", n)
		}
		if good, err := w.control.LastGood(w.Context()); good != d.Snapshot().Revision || err != nil {
			w.Errorf("LastGood = %s, %v; want ours", good, err)
		}
	})
}

// TestStartOfWhatRuns: nothing is started where the service runs the revision.
func TestStartOfWhatRuns(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		d, err := w.control.Start(w.Context(), Change{TaskDefinition: w.at.TaskDefinition, Expect: w.at.Primary().ID})
		if err != nil || !d.Snapshot().Reached || d.Snapshot().New {
			w.Fatalf("Start = %v, %v; want what is there", d, err)
		}
		w.follow(d, Limits{})
		w.ended(d, Unchanged, "")
		if err := d.Stop(w.Context()); !errors.Is(err, ErrEnded) {
			w.Errorf("Stop of what is reached: %v", err)
		}
		if n := w.changing(); n != 0 {
			w.Errorf("%d changing calls, want none", n)
		}
	})
}

// TestStartBesideAnother: the deployment in progress is not replaced unasked, and
// one of the same revision is followed.
func TestStartBesideAnother(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		first := w.start("slow")
		w.forget()
		_, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision()})
		moved, is := errors.AsType[*MovedError](err)
		if !is || moved.InFlight == nil || moved.InFlight.Snapshot().ID != first.Snapshot().ID {
			w.Fatalf("Start beside another = %v, want a MovedError with the first", err)
		}
		joined, err := w.control.Start(w.Context(), Change{TaskDefinition: first.Snapshot().Revision})
		if err != nil || joined.Snapshot().ID != first.Snapshot().ID || joined.Snapshot().New {
			w.Fatalf("Start of the same = %v, %v; want the first, not as a new one", joined, err)
		}
		w.follow(joined, Limits{})
		w.ended(joined, Succeeded, "")
		if n := w.changing(); n != 0 {
			w.Errorf("%d changing calls, want none", n)
		}
	})
}

// TestStartReplaces: a change may name the one deployment in progress that it replaces.
func TestStartReplaces(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		first := w.start("slow")
		_, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Replaces: []string{w.at.Primary().ID}})
		if _, moved := errors.AsType[*MovedError](err); !moved {
			w.Errorf("Start beside another = %v, want a MovedError", err)
		}
		next, err := w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Replaces: []string{first.Snapshot().ID}})
		if err != nil || !next.Snapshot().New {
			w.Errorf("Start in place of the one that is named = %v", err)
		}
	})
}

// TestStartOnAnOldView: a change that was decided on before somebody else changed
// the service is not sent.
func TestStartOnAnOldView(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		w.play("complete")
		theirs, err := w.others.Start(w.Context(), Change{TaskDefinition: w.revision()})
		if err != nil {
			w.Fatal(err)
		}
		w.follow(theirs, Limits{})
		w.forget()
		_, err = w.control.Start(w.Context(), Change{TaskDefinition: w.revision(), Supersede: true, Expect: w.at.Primary().ID})
		if moved, is := errors.AsType[*MovedError](err); !is || moved.Service.Primary().ID == w.at.Primary().ID {
			w.Errorf("Start = %v, want a MovedError with the service as it is", err)
		}
		if n := w.changing(); n != 0 {
			w.Errorf("%d changing calls, want none", n)
		}
	})
}

// TestStartWhileThrottled: the call is made again until AWS takes it, and not after
// somebody else's deployment has come and gone meanwhile.
func TestStartWhileThrottled(t *testing.T) {
	for name, theirs := range map[string]bool{"nobody deploys": false, "somebody deploys": true} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(w *world, k kind) {
				w.play("complete")
				operation := "UpdateService"
				if k.codeDeploy {
					operation = "CreateDeployment"
				}
				other, revision, begin := w.revision(), w.revision(), time.Now()
				w.throttle = func(called string) bool { return called == operation && time.Since(begin) < 90*time.Second }
				if theirs {
					time.AfterFunc(5*time.Second, func() {
						d, err := w.others.Start(w.Context(), Change{TaskDefinition: other})
						if err != nil {
							w.Error(err)
							return
						}
						w.follow(d, Limits{})
					})
				}
				d, err := w.control.Start(w.Context(), Change{TaskDefinition: revision, Expect: w.at.Primary().ID})
				if theirs {
					if _, moved := errors.AsType[*MovedError](err); !moved {
						w.Errorf("Start = %v, want a MovedError", err)
					}
					return
				}
				if err != nil || !d.Snapshot().New || time.Since(begin) < 90*time.Second {
					w.Errorf("Start = %v after %s, want a new deployment once AWS takes the call", err, time.Since(begin))
				}
			})
		})
	}
}

func TestStop(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		d := w.start("stuck")
		w.inTime(d, time.Minute)
		if err := d.Stop(w.Context()); err != nil || !d.Snapshot().Asked {
			w.Fatalf("Stop = %v, asked %v", err, d.Snapshot().Asked)
		}
		if err := d.Stop(w.Context()); err != nil && !errors.Is(err, ErrEnded) {
			w.Errorf("the second Stop = %v", err)
		}
		if n := w.count("StopServiceDeployment", "StopDeployment"); n != 1 {
			w.Errorf("%d calls to stop it, want 1", n)
		}
		w.follow(d, Limits{})
		w.ended(d, RolledBack, RolledBackByTask)
		if primary := w.now().Primary(); primary.TaskDefinition != w.at.TaskDefinition {
			w.Errorf("the service runs %s, want %s", primary.TaskDefinition, w.at.TaskDefinition)
		}
		if good, err := w.control.LastGood(w.Context()); good == d.Snapshot().Revision || err != nil {
			w.Errorf("LastGood = %s, %v after it was rolled back", good, err)
		}
	})
}

// TestRollbackInProgress: it is the deployment that is rolled back, and the
// revision that it goes back to is not reached before it has ended.
func TestRollbackInProgress(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		d := w.start("stuck")
		w.inTime(d, 2*time.Minute)
		if err := d.Stop(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.inTime(d, time.Second)
		found, err := w.control.InFlight(w.Context())
		if err != nil || found == nil || found.Snapshot().ID != d.Snapshot().ID || !found.Snapshot().RollingBack() {
			w.Fatalf("InFlight = %+v, %v; want %s, rolling back", found, err, d.Snapshot().ID)
		}
		w.forget()
		_, err = w.control.Start(w.Context(), Change{TaskDefinition: w.at.TaskDefinition})
		if moved, is := errors.AsType[*MovedError](err); !is || moved.InFlight == nil {
			w.Errorf("Start of the revision that it goes back to = %v, want a MovedError", err)
		}
		_, err = w.control.Start(w.Context(), Change{TaskDefinition: d.Snapshot().Revision})
		if moved, is := errors.AsType[*MovedError](err); !is || moved.InFlight == nil {
			w.Errorf("Start of the revision that is rolled back = %v, want a MovedError", err)
		}
		w.follow(found, Limits{Until: UntilEnded})
		w.ended(found, RolledBack, RolledBackByECS) // not asked for by the one that found it
		if n := w.changing(); n != 0 {
			w.Errorf("%d changing calls, want none", n)
		}
		again, err := w.control.Start(w.Context(), Change{TaskDefinition: w.at.TaskDefinition})
		if err != nil || !again.Snapshot().Reached {
			w.Errorf("Start when it has ended = %v, %v; want what is there", again, err)
		}
	})
}

func TestStopAfterTheEnd(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		d := w.start("complete")
		time.Sleep(20 * time.Minute)
		w.forget()
		if err := d.Stop(w.Context()); !errors.Is(err, ErrEnded) || d.Verdict().Outcome != Succeeded {
			w.Errorf("Stop = %v with %v, want ErrEnded and the success", err, d.Verdict())
		}
		if n := w.changing(); n != 0 {
			w.Errorf("%d changing calls, want none", n)
		}
	})
}

// TestStopAfterAReplacement: what somebody else has put in our place is not touched.
func TestStopAfterAReplacement(t *testing.T) {
	conform(t, func(w *world, k kind) {
		d := w.start("slow")
		w.inTime(d, 30*time.Second)
		mine, err := w.others.InFlight(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if k.codeDeploy { // it runs one deployment at a time
			if err := mine.Stop(w.Context()); err != nil {
				w.Fatal(err)
			}
			w.follow(mine, Limits{Until: UntilEnded})
		}
		theirs, err := w.others.Start(w.Context(), Change{TaskDefinition: w.revision(), Supersede: true})
		if err != nil {
			w.Fatal(err)
		}
		w.forget()
		if err := d.Stop(w.Context()); !errors.Is(err, ErrNotOurs) && !(k.codeDeploy && errors.Is(err, ErrEnded)) {
			w.Errorf("Stop = %v, want ErrNotOurs", err)
		}
		if n := w.changing(); n != 0 {
			w.Errorf("%d changing calls, want none", n)
		}
		w.follow(d, Limits{})
		if v := d.Verdict(); v.Outcome.Good() || !v.Final() || !k.codeDeploy && v.Outcome != Superseded {
			w.Errorf("ours ended with %+v", v)
		}
		w.follow(theirs, Limits{})
		w.ended(theirs, Succeeded, "")
	})
}

// TestServiceDeleted: whenever the service goes, nothing is sent any more.
func TestServiceDeleted(t *testing.T) {
	vanished := func(w *world, d Deployment) {
		w.Helper()
		if v := d.Verdict(); v.Outcome != Failed || v.Reason.Code != ServiceDeleted && v.Reason.Code != ServiceDraining {
			w.Errorf("verdict %+v, error %v; want the deleted service", v, d.Err())
		}
	}
	phases := map[string]func(w *world, k kind){
		"before the start": func(w *world, _ kind) {
			revision := w.revision()
			w.delete()
			if _, err := w.control.Start(w.Context(), Change{TaskDefinition: revision}); !mistake.Absent(err) {
				w.Errorf("Start = %v, want a mistake about what is not there", err)
			}
		},
		"during the watch": func(w *world, _ kind) {
			d := w.start("slow")
			time.AfterFunc(time.Minute, w.delete)
			w.forget()
			w.follow(d, Limits{})
			vanished(w, d)
		},
		"before the stop": func(w *world, _ kind) {
			d := w.start("slow")
			w.inTime(d, time.Minute)
			w.delete()
			w.forget()
			if err := d.Stop(w.Context()); !errors.Is(err, ErrEnded) {
				w.Errorf("Stop = %v, want ErrEnded", err)
			}
			vanished(w, d)
		},
		"long before the stop": func(w *world, _ kind) {
			d := w.start("slow")
			w.delete()
			time.Sleep(2 * time.Hour)
			w.forget()
			if err := d.Stop(w.Context()); !errors.Is(err, ErrEnded) {
				w.Errorf("Stop = %v, want ErrEnded", err)
			}
			vanished(w, d)
		},
		"during its rollback": func(w *world, _ kind) {
			d := w.start("stuck")
			w.inTime(d, time.Minute)
			if err := d.Stop(w.Context()); err != nil {
				w.Fatal(err)
			}
			w.delete()
			w.forget()
			w.follow(d, Limits{})
			vanished(w, d)
		},
	}
	for name, phase := range phases {
		t.Run(name, func(t *testing.T) {
			conform(t, func(w *world, k kind) {
				phase(w, k)
				if n := w.changing(); n != 0 {
					w.Errorf("%d changing calls, want none", n)
				}
			})
		})
	}
}

// TestPause: a deployment waits for an answer, and takes it once.
func TestPause(t *testing.T) {
	for _, action := range []Action{Continue, RollBack} {
		for _, k := range kinds {
			t.Run(string(action)+" "+k.name, func(t *testing.T) {
				inWorldOf(t, k, true, func(w *world) {
					if _, err := w.control.Paused(w.Context(), ""); err == nil {
						w.Error("Paused at rest: no error")
					}
					d := w.start(k.paused)
					w.follow(d, Limits{})
					if d.Verdict().Outcome != Paused {
						w.Fatalf("ended with %+v, %v; want a pause", d.Verdict(), d.Err())
					}
					hook := d.Snapshot().HookID()
					if _, err := w.control.Paused(w.Context(), "another"); !mistake.Is(err, mistake.Hook) {
						w.Errorf("Paused at another hook: %v", err)
					}
					found, err := w.control.Paused(w.Context(), hook)
					if err != nil || found.Snapshot().ID != d.Snapshot().ID || found.Snapshot().Revision != d.Snapshot().Revision {
						w.Fatalf("Paused = %v, %v; want ours", found, err)
					}
					if err := found.Answer(w.Context(), action); err != nil {
						w.Fatal(err)
					}
					w.follow(found, Limits{})
					if action == Continue {
						w.ended(found, Succeeded, "")
					} else {
						w.ended(found, RolledBack, RolledBackByTask)
					}
					w.forget()
					if err := found.Answer(w.Context(), action); err == nil {
						w.Error("an answer after the end was taken")
					}
					if n := w.changing(); n != 0 {
						w.Errorf("%d changing calls, want none", n)
					}
				})
			})
		}
	}
}

func TestCancel(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		d := w.start("slow")
		for _, after := range []time.Duration{20 * time.Second, 10 * time.Millisecond} { // between polls, and in one
			begin := time.Now()
			ctx, cancel := context.WithCancelCause(w.Context())
			cause := errors.New("cancelled by the agent")
			time.AfterFunc(after, func() { cancel(cause) })
			for range d.Watch(ctx, Limits{Timeout: time.Hour}) {
			}
			if !errors.Is(d.Err(), cause) || d.Verdict().Final() || time.Since(begin) != after {
				w.Errorf("ended after %s with %v, %v; want %s, no verdict and the cause", time.Since(begin), d.Verdict(), d.Err(), after)
			}
		}
	})
}

func TestTimeLimit(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		d := w.start("stuck")
		begin := time.Now()
		w.follow(d, Limits{Timeout: 7 * time.Minute})
		w.ended(d, TimedOut, NotInTime)
		if took := time.Since(begin); took < 7*time.Minute || took > 7*time.Minute+lastPoll {
			w.Errorf("ended after %s", took)
		}
	})
}

// TestLastReading: an answer that the time limit has cut off is asked for again, so
// that the deployment is told as it is.
func TestLastReading(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		d, begin := w.start("stuck"), time.Now()
		w.refuse = func(operation string) bool {
			since := time.Since(begin)
			return operation == "DescribeServices" && since > 7*time.Minute-20*time.Second && since < 7*time.Minute
		}
		w.follow(d, Limits{Timeout: 7 * time.Minute})
		w.ended(d, TimedOut, NotInTime)
	})
}

func TestSuccesses(t *testing.T) {
	conform(t, func(w *world, k kind) {
		d := w.start("complete")
		w.follow(d, Limits{})
		var got []string
		for revision, err := range w.control.Successes(w.Context()) {
			if err != nil {
				w.Fatal(err)
			}
			got = append(got, revision)
		}
		want := []string{d.Snapshot().Revision, w.at.TaskDefinition}
		if !k.codeDeploy && !slices.Equal(got, want) {
			w.Errorf("Successes = %v, want %v", got, want)
		}
	})
}

// TestHeartbeat: there is a word at least every two minutes, and no thing is told
// twice in a row.
func TestHeartbeat(t *testing.T) {
	conform(t, func(w *world, _ kind) {
		d := w.start("stuck")
		last, beats := time.Now(), 0
		for e := range d.Watch(w.Context(), Limits{Timeout: 30 * time.Minute}) {
			if quiet := time.Since(last); quiet > heartbeat {
				w.Errorf("no word for %s", quiet)
			}
			last = time.Now()
			if h, is := e.What.(Heartbeat); is {
				beats++
				if h.Elapsed <= 0 || h.Left <= 0 || h.Said.Text == "" {
					w.Errorf("heartbeat %+v", h)
				}
			}
		}
		if beats < 10 || beats > 20 {
			w.Errorf("%d heartbeats in half an hour", beats)
		}
	})
}

// TestCallsOfAStuckRollout bounds what half an hour costs.
func TestCallsOfAStuckRollout(t *testing.T) {
	conform(t, func(w *world, k kind) {
		d := w.start("stuck")
		w.forget()
		w.follow(d, Limits{Timeout: 30 * time.Minute, MaxFailedTasks: 3})
		perMinute := float64(len(w.calls)) / 30
		w.Logf("%.1f calls a minute", perMinute)
		if perMinute > 25 {
			w.Errorf("%.1f calls a minute, want 25 at most", perMinute)
		}
	})
}
