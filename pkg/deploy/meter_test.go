package deploy

import (
	"slices"
	"testing"

	"ecsdeploy/pkg/rollout"
)

// gauge keeps the percentages of a view.
type gauge struct {
	screen
	shown []int
}

func (g *gauge) Progress(percent int, _ Phase) { g.shown = append(g.shown, percent) }

// TestMeter: each service adds its share, one that has not said anything counts as
// not begun, and nothing goes back.
func TestMeter(t *testing.T) {
	g := &gauge{}
	m := newMeter(g, 2)
	first, second := m.of(0), m.of(1)
	first(rollout.Counts{Running: 0, Desired: 2})
	first(rollout.Counts{Running: 1, Desired: 2})
	first(rollout.Counts{Running: 2, Desired: 2})
	first(rollout.Counts{Running: 0, Desired: 2}) // rolled back
	first(rollout.Counts{})
	second(rollout.Counts{Running: 5, Desired: 10})
	second(rollout.Counts{Running: 12, Desired: 10})
	if want := []int{50, 61, 72, 83, 95}; !slices.Equal(g.shown, want) {
		t.Errorf("%v, want %v", g.shown, want)
	}
}
