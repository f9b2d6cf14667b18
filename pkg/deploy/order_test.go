package deploy

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/rollout"
)

func TestRanks(t *testing.T) {
	a, b, c, d := Service{"main", "a"}, Service{"main", "b"}, Service{"main", "c"}, Service{"main", "d"}
	for _, tt := range []struct {
		order []Precedence
		want  string
	}{
		{nil, "abcd"}, {[]Precedence{{b, a}}, "bcd a"}, {[]Precedence{{a, b}, {b, c}}, "ad b c"},
		{[]Precedence{{d, a}, {d, b}, {a, c}, {b, c}}, "d ab c"}, {[]Precedence{{a, b}, {b, a}}, "cd ab"},
	} {
		var got []string
		for _, rank := range ranks([]Service{a, b, c, d}, tt.order) {
			text := ""
			for _, i := range rank {
				text += string(rune('a' + i))
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v: %q, want %q", tt.order, got, tt.want)
		}
	}
}

// TestOrder: a rank begins when the one before has succeeded, and it is still all or
// nothing.
func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fates    map[string]fate
		leave    bool
		outcomes string
		runs     string
	}{
		{"all succeed", nil, false, "succeeded succeeded succeeded", "web:2 web:2 web:2"},
		{"the first fails", map[string]fate{"first": {what: fails, after: 20 * time.Second}}, false, "rolledBack failed failed", "web:1 web:1 web:1"},
		{"the second fails", map[string]fate{"second": {what: fails, after: 20 * time.Second}}, false, "rolledBack rolledBack failed", "web:1 web:1 web:1"},
		{"the last fails", map[string]fate{"third": {what: fails, after: 20 * time.Second}}, false, "rolledBack rolledBack rolledBack", "web:1 web:1 web:1"},
		{"the second fails and is left", map[string]fate{"second": {what: fails, after: 20 * time.Second}}, true, "succeeded failed failed", "web:2 web:2 web:1"},
		{"the first is refused", map[string]fate{"first": {refused: errDenied}}, false, "failed failed failed", "web:1 web:1 web:1"},
		{"the first is paused", map[string]fate{"first": {what: pauses, after: 20 * time.Second}}, false, "paused failed failed", "web:2 web:1 web:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := []string{"first", "second", "third"}
				c := world(t, names...)
				for name, f := range tt.fates {
					c.services[name].fates = []fate{f}
				}
				d, v := c.deployer()
				r := asking(names...)
				r.RollbackOnFailure = !tt.leave
				for i := range 2 {
					r.Order = append(r.Order, Precedence{r.Services[i], r.Services[i+1]})
				}
				got, err := d.Run(t.Context(), r)
				if err != nil || outcomes(got) != tt.outcomes {
					t.Errorf("outcomes %q, want %q, %v", outcomes(got), tt.outcomes, err)
				}
				runs := strings.Join([]string{c.runs("first"), c.runs("second"), c.runs("third")}, " ")
				if runs != tt.runs {
					t.Errorf("runs %q, want %q", runs, tt.runs)
				}
				var order []string
				for _, e := range shown[Started](v) {
					order = append(order, e.Service.Name)
				}
				if !slices.Equal(order, names[:len(order)]) {
					t.Errorf("started %q", order)
				}
				for i, s := range got.Services {
					if s.Reason.Code == OutOfTurn && (i < len(order) || s.Revision != "") {
						t.Errorf("%s: %+v", s.Name, s.Reason)
					}
				}
			})
		})
	}
}

// TestOrderIsFollowed: the second service is not moved before the first has succeeded.
func TestOrderIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "first", "second")
		d, _ := c.deployer()
		r := asking("second", "first")
		r.Order = []Precedence{{r.Services[1], r.Services[0]}}
		go func() {
			time.Sleep(10 * time.Second)
			if c.runs("first") != "web:2" || c.runs("second") != "web:1" {
				t.Error("the second service was moved beside the first")
			}
		}()
		got, err := d.Run(t.Context(), r)
		if err != nil || got.Outcome() != rollout.Succeeded {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
