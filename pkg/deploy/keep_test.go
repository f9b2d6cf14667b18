package deploy

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/schedule"
)

// registrations say what is in use, and keep what was deregistered.
type registrations struct {
	used    []string // family:revision
	err     error
	removed []string
}

func (r *registrations) UsedRevisions(context.Context, string) (map[string]bool, error) {
	used := map[string]bool{}
	for _, name := range r.used {
		used[revisionARN(name)] = true
	}
	return used, r.err
}

func (r *registrations) Deregister(_ context.Context, arn string) error {
	r.removed = append(r.removed, arn)
	return nil
}

// TestKeepRevisionsAlone: a family without a service, whose revisions only schedules start.
func TestKeepRevisionsAlone(t *testing.T) {
	for _, refused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t)
			d, _ := c.deployer()
			reg := &registrations{}
			x := c.begins("a web:3", "b web:4")
			d.Registry, d.Schedules = reg, x
			r := asking()
			r.TaskDefinition, r.KeepRevisions = "web", 2
			for i := range 5 {
				if r.Change.Environment[0].Value = fmt.Sprint(i); refused && i == 4 {
					r.Schedules, x.put = []schedule.Ref{x.entries[1].Ref}, refuses("b", errDenied)
				}
				if _, err := d.Run(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			want := []string{revisionARN("web:2")} // web:5 and web:6 are the newest
			if !refused && !slices.Equal(slices.Compact(reg.removed), want) || refused && len(slices.Compact(reg.removed)) > 1 {
				t.Errorf("removed %q", reg.removed)
			}
		})
	}
}

// TestKeepWaiting: a revision that another run has registered, and not deployed yet, stays.
func TestKeepWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "web")
		d, _ := c.deployer()
		reg := &registrations{}
		d.Registry, d.Schedules = reg, c.begins()
		r := asking("web")
		for i := range 6 {
			r.Change.Environment[0].Value = fmt.Sprint(i)
			if i == 5 { // web:2 to web:6 are registered
				c.define(t, "web:7", "registry.example/web:1", "build=8", "pipeline=p1", "base=web:1")
				r.KeepRevisions = 1
			}
			if _, err := d.Run(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if want := []string{revisionARN("web:2"), revisionARN("web:3"), revisionARN("web:4")}; c.runs("web") != "web:8" || !slices.Equal(reg.removed, want) {
			t.Errorf("runs %s, removed %q", c.runs("web"), reg.removed)
		}
	})
}

// TestKeepRevisions: what goes, and what never does.
func TestKeepRevisions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		keep    int
		fate    fate
		used    []string
		err     error
		removed []string
	}{
		// web:1 is infrastructure's. Of the seven that are ours, 6, 7 and 8 were
		// successful last: they stay for a rollback.
		{"keeps the newest", 2, fate{}, nil, nil, []string{"web:2", "web:3", "web:4", "web:5"}},
		{"keeps more", 6, fate{}, nil, nil, []string{"web:2"}},
		{"keeps all", 20, fate{}, nil, nil, nil},
		{"keeps what is in use", 2, fate{}, []string{"web:3", "web:4"}, nil, []string{"web:2", "web:5"}},
		{"0 is all", 0, fate{}, nil, nil, nil},
		{"knows not what is in use", 2, fate{}, nil, errDenied, nil},
		{"after a failure", 2, fate{what: fails, after: time.Second}, nil, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "web")
				d, v := c.deployer()
				reg := &registrations{used: tt.used, err: tt.err}
				d.Registry, d.Schedules = reg, c.begins()
				r := asking("web")
				for i := range 7 {
					if r.Change.Environment[0].Value = fmt.Sprint(i); i == 6 {
						r.KeepRevisions = tt.keep
						c.services["web"].fates = []fate{tt.fate}
						if tt.fate == (fate{}) {
							c.services["web"].fates = nil
						}
					}
					if _, err := d.Run(t.Context(), r); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Hour)
				}
				var want []string
				for _, name := range tt.removed {
					want = append(want, revisionARN(name))
				}
				if !slices.Equal(reg.removed, want) {
					t.Errorf("removed %q, want %q", reg.removed, want)
				}
				if said := len(shown[Tidied](v)); (said > 0) != (len(want) > 0 || tt.err != nil) {
					t.Errorf("told %d times", said)
				}
			})
		})
	}
}
