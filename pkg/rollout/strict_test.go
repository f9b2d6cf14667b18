package rollout

// Worlds in which a client that looks at one view only, or knows one kind of
// failure only, says something untrue.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/emulator"
)

func TestStrictScenarios(t *testing.T) {
	tests := map[string]struct {
		limits Limits
		want   Outcome
		code   Code
	}{
		"desired-zero":        {want: Succeeded, code: NothingRuns},
		"early-success":       {want: Succeeded},
		"early-success-crash": {limits: Limits{MaxFailedTasks: 3}, want: Succeeded, code: EarlySuccess},
		"bare-start-failure":  {limits: Limits{MaxFailedTasks: 3}, want: Failed, code: TasksFail},
		"slow-pull-errors":    {limits: Limits{MaxFailedTasks: 3}, want: Failed, code: TasksFail},
		"classic-balancer":    {want: Succeeded},
		"breaker-at-four":     {limits: Limits{MaxFailedTasks: 4}, want: RolledBack, code: RolledBackByECS},
		"several-pauses":      {want: Paused, code: HookWaits},
		"pause-expires":       {want: Paused, code: HookWaits},
		"long-bake":           {limits: Limits{Until: UntilTraffic}, want: Succeeded, code: TrafficShifted},
		"deleted":             {want: Failed, code: ServiceDraining},
	}
	for _, scenario := range emulator.Strict() {
		tt, known := tests[scenario.Name]
		switch {
		case strings.Contains(scenario.Name, "late"): // capacity that comes
			tt.limits.MaxFailedTasks, tt.want = 3, Succeeded
		case !known:
			continue
		}
		for _, rights := range []bool{true, false} {
			if !rights && (tt.want == Paused || tt.code == TrafficShifted) {
				continue // only the records tell
			}
			t.Run(fmt.Sprintf("%s rights %v", scenario.Name, rights), func(t *testing.T) {
				inWorld(t, ofECS, func(w *world) {
					if !rights {
						w.Fail("ecs:ListServiceDeployments", emulator.Denied())
						w.Fail("ecs:DescribeServiceDeployments", emulator.Denied())
					}
					d := w.start(scenario.Name)
					w.follow(d, tt.limits)
					w.ended(d, tt.want, tt.code)
				})
			})
		}
	}
}

// TestSeveralPauses answers each pause of one deployment. Each is a new one.
func TestSeveralPauses(t *testing.T) {
	inWorld(t, ofECS, func(w *world) {
		d := w.start("several-pauses")
		pauses := 0
		for w.follow(d, Limits{}); d.Verdict().Outcome == Paused && pauses < 5; w.follow(d, Limits{}) {
			pauses++
			if r := d.Verdict().Reason; r.Stage == "" || r.Hook.Expires.IsZero() || r.Hook.Timeout != "ROLLBACK" {
				w.Errorf("pause %+v", r)
			}
			if err := d.Answer(w.Context(), Continue); err != nil {
				w.Fatal(err)
			}
		}
		w.ended(d, Succeeded, "")
		if pauses != 3 {
			w.Errorf("%d pauses, want 3", pauses)
		}
	})
}

// TestWaitingForOthers: a run that waits until a service is free looks again no
// more often than the views of ECS change, whatever they lag behind.
func TestWaitingForOthers(t *testing.T) {
	for _, scenario := range []string{"complete", "rollback", "failed"} {
		for seed := range uint64(12) {
			t.Run(fmt.Sprintf("%s %d", scenario, seed), func(t *testing.T) {
				inWorld(t, ofECS, func(w *world) {
					w.Behave(emulator.Realistic(seed))
					theirs := w.start(scenario)
					if scenario != "complete" { // join it in the middle of its rollback
						for e := range theirs.Watch(w.Context(), Limits{Timeout: time.Hour}) {
							if _, doomed := e.What.(Doomed); doomed {
								break
							}
						}
					}
					w.forget()
					rounds := 0
					for begin := time.Now(); time.Since(begin) < time.Hour; rounds++ {
						d, err := w.control.InFlight(w.Context())
						if err != nil {
							w.Fatal(err)
						}
						if d == nil {
							break
						}
						w.follow(d, Limits{Until: UntilEnded})
						if v := d.Verdict(); !v.Final() || v.Outcome == TimedOut {
							w.Errorf("waited for %s: %+v, %v", d.Snapshot().ID, v, d.Err())
						}
					}
					if truth := w.truth(theirs.Snapshot().ID); !truth.Final() {
						w.Errorf("not waited for: %s", truth.Status)
					}
					if calls := len(w.calls); rounds > 40 || calls > 200 {
						w.Errorf("%d rounds with %d calls", rounds, calls)
					}

				})
			})
		}
	}
}
