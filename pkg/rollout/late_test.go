package rollout

// Views that are late, and answers that come before AWS has acted: what a client sees
// of its own call some seconds later than it was made.

import (
	"testing"
	"time"

	"ecsdeploy/pkg/emulator"
)

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
