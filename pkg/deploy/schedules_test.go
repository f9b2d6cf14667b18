package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/schedule"
)

// timetable is EventBridge: entries by name, and what becomes of changes.
type timetable struct {
	cloud   *cloud
	entries []schedule.Entry
	put     func(n int, e schedule.Entry) error // what becomes of the n-th change; nil takes it
	read    func(n int)                         // before the n-th reading
	puts    int
	reads   int
	mu      sync.Mutex
}

// begins returns a timetable in which rules start tasks, each "rule revision".
func (c *cloud) begins(entries ...string) *timetable {
	t := &timetable{cloud: c}
	for _, text := range entries {
		name, revision, _ := strings.Cut(text, " ")
		e := schedule.Entry{Ref: schedule.Ref{Kind: schedule.Rule, Group: schedule.Default, Name: name}, ID: "1", TaskDefinition: revisionARN(revision)}
		t.entries = append(t.entries, e)
	}
	return t
}

func (t *timetable) at(name string) *schedule.Entry {
	for i := range t.entries {
		if t.entries[i].Name == name {
			return &t.entries[i]
		}
	}
	return nil
}

func (t *timetable) Read(ctx context.Context, r schedule.Ref) ([]schedule.Entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	if t.read != nil {
		t.read(t.reads)
	}
	if e := t.at(r.Name); e != nil {
		e.Universal = e.Universal || r.Group == "universal"
		return []schedule.Entry{*e}, ctx.Err()
	}
	m := mistake.New(mistake.Schedule, "", "%s does not exist", r)
	m.Absent = true
	return nil, m
}

func (t *timetable) Find(context.Context, []string) ([]schedule.Entry, error) { return t.entries, nil }

func (t *timetable) Put(_ context.Context, e schedule.Entry) (schedule.Adjustment, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.puts++
	if t.put != nil {
		if err := t.put(t.puts, e); err != nil {
			return schedule.None, err
		}
	}
	t.at(e.Name).TaskDefinition = e.TaskDefinition
	t.cloud.note("%s starts %s", e.Name, strings.TrimPrefix(e.TaskDefinition, revisionARN("")))
	return schedule.None, nil
}

// starts is what the rules start, in order.
func (t *timetable) starts() string {
	var all []string
	for _, e := range t.entries {
		all = append(all, strings.TrimPrefix(e.TaskDefinition, revisionARN("")))
	}
	return strings.Join(all, " ")
}

func states(r Result) string {
	var all []string
	for _, s := range r.Schedules {
		all = append(all, string(s.State))
	}
	return strings.Join(all, " ")
}

var errConflict = &smithy.GenericAPIError{Code: "ConcurrentModificationException", Message: "try again"}

// refuses returns what refuses to change one rule.
func refuses(name string, err error) func(int, schedule.Entry) error {
	return func(_ int, e schedule.Entry) error {
		if e.Name == name {
			return err
		}
		return nil
	}
}

// TestSchedules: they follow the services, or all of them stay; what cannot be moved
// takes with it what was.
func TestSchedules(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fates    []fate
		change   func(*timetable, *Request)
		outcomes string
		states   string
		starts   string
	}{
		{"they follow", nil, nil, "succeeded succeeded", "moved moved moved", "web:2 web:2 web:2"},
		{"the rollout fails", []fate{{what: fails, after: time.Second}}, nil, "rolledBack rolledBack", "  ", "web:1 web:1 web:1"},
		{"the rollout pauses", []fate{{what: pauses, after: time.Second}}, nil, "paused succeeded", "  ", "web:1 web:1 web:1"},
		{"the last is refused", nil, func(x *timetable, _ *Request) { x.put = refuses("c", errDenied) },
			"rolledBack rolledBack", "rolledBack rolledBack failed", "web:1 web:1 web:1"},
		{"the first is refused", nil, func(x *timetable, _ *Request) { x.put = refuses("a", errDenied) },
			"rolledBack rolledBack", "failed  ", "web:1 web:1 web:1"},
		{"one is refused, and stays are wanted", nil, func(x *timetable, r *Request) {
			x.put = refuses("b", errDenied)
			r.RollbackOnFailure = false
		}, "succeeded succeeded", "moved failed ", "web:2 web:1 web:1"},
		{"conflicts pass", nil, func(x *timetable, _ *Request) {
			x.put = func(n int, _ schedule.Entry) error {
				if n < 3 {
					return errConflict
				}
				return nil
			}
		}, "succeeded succeeded", "moved moved moved", "web:2 web:2 web:2"},
		{"conflicts stay", nil, func(x *timetable, _ *Request) { x.put = refuses("b", errConflict) },
			"rolledBack rolledBack", "rolledBack failed ", "web:1 web:1 web:1"},
		{"the change is made and refused", nil, func(x *timetable, _ *Request) {
			x.put = func(_ int, e schedule.Entry) error {
				if e.Name == "b" && e.TaskDefinition == revisionARN("web:2") {
					x.at("b").TaskDefinition = e.TaskDefinition
					return errConflict
				}
				return nil
			}
		}, "succeeded succeeded", "moved moved moved", "web:2 web:2 web:2"},
		{"a refused change was made all the same", nil, func(x *timetable, _ *Request) {
			x.put = func(_ int, e schedule.Entry) error {
				if e.Name == "b" && e.TaskDefinition == revisionARN("web:2") {
					x.at("b").TaskDefinition = e.TaskDefinition
					return errDenied
				}
				return nil
			}
		}, "rolledBack rolledBack", "rolledBack rolledBack ", "web:1 web:1 web:1"},
		{"one is deleted meanwhile", nil, func(x *timetable, _ *Request) {
			x.read = func(n int) {
				if n == 5 { // after the plan, and the first
					x.entries = slices.Delete(x.entries, 1, 2)
				}
			}
		}, "rolledBack rolledBack", "rolledBack failed ", "web:1 web:1"},
		{"one starts another family meanwhile", nil, func(x *timetable, _ *Request) {
			x.read = func(n int) {
				if n == 5 {
					x.at("b").TaskDefinition = revisionARN("other:7")
				}
			}
		}, "rolledBack rolledBack", "rolledBack failed ", "web:1 other:7 web:1"},
		{"one was moved by someone else", nil, func(x *timetable, _ *Request) {
			x.read = func(n int) {
				if n == 5 {
					x.at("b").TaskDefinition = revisionARN("web:9")
				}
			}
		}, "succeeded succeeded", "moved moved moved", "web:2 web:2 web:2"},
		{"one that was moved is moved on by someone else, and stays there", nil, func(x *timetable, _ *Request) {
			x.put = func(_ int, e schedule.Entry) error {
				if e.Name == "c" {
					x.at("a").TaskDefinition = revisionARN("web:9")
					return errDenied
				}
				return nil
			}
		}, "rolledBack rolledBack", "notRolledBack rolledBack failed", "web:9 web:1 web:1"},
		{"without a revision", nil, func(x *timetable, _ *Request) { x.at("b").TaskDefinition = revisionARN("web") },
			"succeeded succeeded", "moved newest moved", "web:2 web web:2"},
		{"over", nil, func(x *timetable, _ *Request) { x.at("b").Over = true }, "succeeded succeeded", "moved over moved", "web:2 web:1 web:2"},
		{"in order", nil, func(x *timetable, r *Request) {
			r.Order = []Precedence{{r.Services[0], r.Services[1]}}
			x.put = refuses("c", errDenied)
		}, "rolledBack rolledBack", "rolledBack rolledBack failed", "web:1 web:1 web:1"},
		{"in order, and one fails", []fate{{what: fails, after: time.Second}}, func(x *timetable, r *Request) {
			r.Order = []Precedence{{r.Services[0], r.Services[1]}}
		}, "rolledBack failed", "  ", "web:1 web:1 web:1"},
	} {
		for _, all := range []bool{false, true} {
			if all && (strings.Contains(tt.name, "meanwhile") || strings.Contains(tt.name, "someone")) {
				continue // these count the readings of the named ones
			}
			t.Run(fmt.Sprintf("%s, all %v", tt.name, all), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := world(t, "web", "worker")
					c.services["web"].fates = tt.fates
					d, _ := c.deployer()
					x := c.begins("a web:1", "b web:1", "c web:1")
					d.Schedules = x
					r := asking("web", "worker")
					r.RollbackOnFailure = true
					for _, name := range []string{"a", "b", "c"} {
						r.Schedules = append(r.Schedules, x.at(name).Ref)
					}
					if all {
						r.Schedules, r.AllSchedules = nil, true
					}
					if tt.change != nil {
						tt.change(x, &r)
					}
					got, err := d.Run(t.Context(), r)
					if err != nil {
						t.Fatal(err)
					}
					if outcomes(got) != tt.outcomes || states(got) != tt.states || x.starts() != tt.starts {
						t.Errorf("outcomes %q, states %q, starts %q\n%s", outcomes(got), states(got), x.starts(), c.said())
					}
					if failed := slices.ContainsFunc(got.Schedules, ScheduleResult.Failed); failed && got.Outcome().Good() {
						t.Errorf("the outcome is %s", got.Outcome())
					}
					if runs := c.runs("web") + " " + c.runs("worker"); tt.outcomes == "rolledBack rolledBack" && runs != "web:1 web:1" {
						t.Errorf("the services run %s", runs)
					}
				})
			})
		}
	}
}

// TestSchedulesMistakes: what is none of the run's business is refused, with the rest
// of what is wrong, before anything is changed.
func TestSchedulesMistakes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		begins string
		change func(*Request)
		want   string
	}{
		{"another family", "a other:1", nil, "rule a starts tasks of other; a target that starts tasks of web was expected"},
		{"a universal target", "a web:1", func(r *Request) { r.Schedules[0].Group = "universal" }, "starts tasks by a universal target, which is not changed"},
		{"no such rule", "b web:1", nil, "rule a does not exist"},
		{"without services", "a web:1", func(r *Request) { r.Services, r.AllSchedules, r.TaskDefinition = nil, true, "web" }, "without services it is not known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := world(t, "web")
				d, _ := c.deployer()
				d.Schedules = c.begins(tt.begins)
				r := asking("web")
				r.Schedules = []schedule.Ref{{Kind: schedule.Rule, Group: schedule.Default, Name: "a"}}
				if tt.change != nil {
					tt.change(&r)
				}
				before := c.said()
				if _, err := d.Run(t.Context(), r); err == nil || !strings.Contains(err.Error(), tt.want) || !mistake.Is(err, mistake.Schedule) {
					t.Errorf("%v", err)
				}
				if c.said() != before {
					t.Errorf("changed something: %s", c.said())
				}
			})
		})
	}
}

// TestScheduleTargets: of two revisions of a family it is not known which one its
// schedules are to start.
func TestScheduleTargets(t *testing.T) {
	c := newCloud()
	web := c.begins("a web:1").entries
	one, two := target{Revision: revisionARN("web:2")}, target{Revision: revisionARN("web:3")}
	one.Name.Name, two.Name.Name = "one", "two"
	if to, err := scheduleTargets(web, []target{one, one}); err != nil || to["web"] != one.Revision {
		t.Errorf("%v, %v", to, err)
	}
	if _, err := scheduleTargets(web, []target{one, two}); !mistake.Is(err, mistake.Schedule) {
		t.Errorf("%v", err)
	}
	if _, err := scheduleTargets(nil, []target{one, two}); err != nil {
		t.Errorf("without schedules: %v", err)
	}
}

// TestSchedulesOfPaused: paused deployments of two revisions of a family are not answered
// where it is not known which of them its schedules are to start.
func TestSchedulesOfPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a", "b")
		c.define(t, "web:2", "registry.example/web:1")
		c.define(t, "web:3", "registry.example/web:1")
		for name, revision := range map[string]string{"a": "web:2", "b": "web:3"} {
			c.services[name].deploy(c, revisionARN(revision), 2, fate{what: pauses})
		}
		d, _ := c.withRegistry(t)
		x := c.begins("nightly web:1")
		d.Schedules = x
		r := operating("a", "b")
		r.Schedules = []schedule.Ref{x.entries[0].Ref}
		if got, err := d.Resume(t.Context(), r, "", rollout.Continue); !mistake.Is(err, mistake.Schedule) || c.said() != "" {
			t.Errorf("%s, %v, %s", outcomes(got), err, c.said())
		}
	})
}

// TestSchedulesAlone: a revision without a service, which only schedules start.
func TestSchedulesAlone(t *testing.T) {
	for _, refused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t)
			d, _ := c.deployer()
			x := c.begins("a web:1", "b web:1")
			if refused {
				x.put = refuses("b", errDenied)
			}
			d.Schedules = x
			r := asking()
			r.TaskDefinition, r.RollbackOnFailure = "web", true
			r.Schedules = []schedule.Ref{x.entries[0].Ref, x.entries[1].Ref}
			got, err := d.Run(t.Context(), r)
			want, state := "web:2 web:2", "moved moved"
			if refused {
				want, state = "web:1 web:1", "rolledBack failed"
			}
			if err != nil || x.starts() != want || states(got) != state || (got.Outcome() == rollout.Failed) != refused {
				t.Errorf("%q %q %q %v", x.starts(), states(got), got.Outcome(), err)
			}
		})
	}
}

// TestKeepScheduled: a revision that a rule or schedule starts stays registered, and
// where that is not known all of them do.
func TestKeepScheduled(t *testing.T) {
	for _, tt := range []struct {
		begins  string
		err     error
		removed string
	}{
		{"a web:3", nil, "web:2 web:4 web:5"}, {"universal web:3", nil, "web:2 web:4 web:5"}, {"a web", nil, "web:2 web:3 web:4 web:5"}, {"a other:3", nil, "web:2 web:3 web:4 web:5"}, {"a web:3", errDenied, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "web")
			d, v := c.deployer()
			reg := &registrations{}
			x := c.begins(tt.begins)
			if e := x.at("universal"); e != nil {
				e.Universal, e.TaskDefinition = true, "web:3" // as the input of a call has it
			}
			d.Registry, d.Schedules = reg, unfound{x, tt.err}
			r := asking("web")
			for i := range 7 {
				r.Change.Environment[0].Value = fmt.Sprint(i)
				if i == 6 {
					r.KeepRevisions = 2
				}
				if _, err := d.Run(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
			}
			got := strings.ReplaceAll(strings.Join(reg.removed, " "), revisionARN(""), "")
			if got != tt.removed {
				t.Errorf("%s: removed %q, want %q", tt.begins, got, tt.removed)
			}
			if said := shown[Tidied](v); tt.err != nil && (len(said) != 1 || !errors.Is(said[0].Err, tt.err)) {
				t.Errorf("told %+v", said)
			}
		})
	}
}

// unfound is a timetable that cannot be searched.
type unfound struct {
	*timetable
	err error
}

func (u unfound) Find(ctx context.Context, clusters []string) ([]schedule.Entry, error) {
	if u.err != nil {
		return nil, u.err
	}
	return u.timetable.Find(ctx, clusters)
}
