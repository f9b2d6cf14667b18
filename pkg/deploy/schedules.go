package deploy

// Rules and schedules that start tasks of the families of a run: they move to the
// new revision after every service runs it. All or nothing holds for them, too: where
// one cannot be moved, those before it go back, and so do the services.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/schedule"
)

// Schedules is who reads and changes rules and schedules.
type Schedules interface {
	Read(ctx context.Context, r schedule.Ref) ([]schedule.Entry, error)
	Find(ctx context.Context, clusters []string) ([]schedule.Entry, error)
	Put(ctx context.Context, e schedule.Entry) (schedule.Adjustment, error)
}

// ScheduleFailed is the reason of a service that went back because a rule or schedule
// could not be moved; Detail names that one.
const ScheduleFailed rollout.Code = "scheduleFailed"

// ScheduleState is what became of a rule or schedule.
type ScheduleState string

// The states.
const (
	ScheduleWaits     ScheduleState = ""          // it was not its turn
	ScheduleMoved     ScheduleState = "moved"     // it starts tasks of the revision of this run
	ScheduleUnchanged ScheduleState = "unchanged" // it already did
	ScheduleNewest    ScheduleState = "newest"    // it names no revision, and so starts the newest
	ScheduleOver      ScheduleState = "over"      // it does not start a task again
	ScheduleRefused   ScheduleState = "failed"    // it could not be moved
	ScheduleBack      ScheduleState = "rolledBack"
	ScheduleStuck     ScheduleState = "notRolledBack" // it could not be moved back
)

// ScheduleResult is what became of a rule or schedule.
type ScheduleResult struct {
	schedule.Entry        // as the plan saw it
	From, To       string // ARNs of revisions; To is empty where it was not its turn
	State          ScheduleState
	Err            error // why it was not moved, or not moved back
}

// Failed reports whether a rule or schedule does not start what it should.
func (s ScheduleResult) Failed() bool {
	return s.State == ScheduleRefused || s.State == ScheduleStuck || s.State == ScheduleBack
}

// wantsSchedules reports whether rules or schedules belong to the run.
func (r Request) wantsSchedules() bool { return r.AllSchedules || len(r.Schedules) > 0 }

// planSchedules reads the rules and schedules of the run. Those of other families
// than the services' are none of its business, and a mistake where they are named.
func (d *Deployer) planSchedules(ctx context.Context, p *Plan) ([]schedule.Entry, error) {
	if !p.Request.wantsSchedules() {
		return nil, nil
	}
	families, clusters := p.families(), p.clusters()
	complete := !slices.ContainsFunc(p.Services, func(s ServicePlan) bool { return s.makes().Family() == "" })
	if p.Request.AllSchedules {
		return d.allSchedules(ctx, p, families, clusters)
	}
	found := make([][]schedule.Entry, len(p.Request.Schedules))
	err := each(p.Request.Schedules, func(i int, r schedule.Ref) error {
		all, err := d.Schedules.Read(ctx, r)
		if err != nil {
			return err
		}
		found[i] = ofFamilies(all, families)
		if len(found[i]) == 0 && complete {
			return otherFamily(r, all, families)
		}
		return nil
	})
	return slices.Concat(found...), err
}

// allSchedules finds the rules and schedules of the families in the clusters.
func (d *Deployer) allSchedules(ctx context.Context, p *Plan, families, clusters []string) ([]schedule.Entry, error) {
	switch {
	case !p.Request.alone() && len(clusters) == 0:
		return nil, errors.New("ECS does not say to which clusters the services belong, so that their rules and schedules cannot be found")
	case len(clusters) == 0:
		return nil, mistake.New(mistake.Schedule, "name the rules and schedules, one per line: rule:NAME or schedule:GROUP/NAME",
			"without services it is not known in which cluster to look for rules and schedules")
	}
	all, err := d.Schedules.Find(ctx, clusters)
	return ofFamilies(all, families), err
}

// families are those of the revisions that the services are to run, each once.
func (p *Plan) families() (all []string) {
	for _, s := range p.Services {
		if family := s.makes().Family(); family != "" && !slices.Contains(all, family) {
			all = append(all, family)
		}
	}
	return all
}

// clusters are the ARNs of the services' clusters, each once.
func (p *Plan) clusters() (all []string) {
	for _, s := range p.Services {
		arn := s.Service.Described.ClusterArn
		if arn != nil && !slices.Contains(all, *arn) {
			all = append(all, *arn)
		}
	}
	return all
}

func ofFamilies(all []schedule.Entry, families []string) []schedule.Entry {
	var some []schedule.Entry
	for _, e := range all {
		if slices.Contains(families, e.Family()) && !e.Universal {
			some = append(some, e)
		}
	}
	return some
}

// otherFamily says that a named rule or schedule starts nothing of this run.
func otherFamily(r schedule.Ref, all []schedule.Entry, families []string) error {
	text := "starts no task"
	if slices.ContainsFunc(all, func(e schedule.Entry) bool { return e.Universal }) {
		text = "starts tasks by a universal target, which is not changed"
	} else if len(all) > 0 {
		var names []string
		for _, e := range all {
			names = append(names, e.Family())
		}
		text = "starts tasks of " + strings.Join(slices.Compact(names), ", ")
	}
	return mistake.New(mistake.Schedule, "remove the line, or name the rule or schedule that starts the tasks of this application",
		"%s %s; a target that starts tasks of %s was expected", r, text, strings.Join(families, " or "))
}

// scheduleTargets are the revisions by family to which schedules are to move. Where
// services of one family run different ones it is not known which.
func scheduleTargets(planned []schedule.Entry, targets []target) (map[string]string, error) {
	to, of := map[string]string{}, map[string]string{}
	for _, t := range targets {
		family, _, _ := strings.Cut(ecs.ShortARN(t.Revision), ":")
		if had := to[family]; had != "" && had != t.Revision && slices.ContainsFunc(planned, func(e schedule.Entry) bool { return e.Family() == family }) {
			return nil, mistake.New(mistake.Schedule, "roll the services out in steps of their own, and name the schedules in one of them",
				"services %s and %s run different revisions of %s (%s, %s), so that it is not known which of them its schedules are to start",
				of[family], t.Name.Name, family, ecs.ShortARN(had), ecs.ShortARN(t.Revision))
		}
		to[family], of[family] = t.Revision, t.Name.Name
	}
	return to, nil
}

// outlines are the planned rules and schedules before anything was done.
func outlines(planned []schedule.Entry) (all []ScheduleResult) {
	for _, e := range planned {
		all = append(all, ScheduleResult{Entry: e, From: e.TaskDefinition})
	}
	return all
}

// schedulesMost is how long moving all rules and schedules may take, and moving them
// back.
const schedulesMost = 5 * time.Minute

// movement is the part of a run in which the services move and, after them, the rules
// and schedules. It is the one place that knows what became of the latter.
type movement struct {
	*Deployer
	request   Request
	schedules []ScheduleResult
}

func (d *Deployer) movement(p *Plan) *movement {
	return &movement{Deployer: d, request: p.Request, schedules: outlines(p.Schedules)}
}

// after moves everything to the revisions of the services, after all of them run
// theirs. Where that fails, or the run is cancelled meanwhile, what was moved goes
// back if that is wanted. The result names the one that could not be moved; "" where
// there is none.
func (d *movement) after(ctx context.Context, targets []target) (failed string) {
	if len(d.schedules) == 0 {
		return ""
	}
	defer d.View.Section(Section{Kind: SchedulesSection})()
	to, err := scheduleTargets(d.entries(), targets)
	bounded, cancel := context.WithTimeout(ctx, schedulesMost)
	defer cancel()
	for i := range d.schedules {
		if ctx.Err() != nil || failed != "" {
			break
		}
		s := &d.schedules[i]
		if s.To = to[s.Family()]; err != nil {
			*s = s.refused(err)
		} else {
			*s = d.move(bounded, *s, false)
		}
		d.View.Show(ScheduleEnded{*s, ctx.Err() != nil})
		if s.Failed() {
			failed = s.String()
		}
	}
	switch {
	case ctx.Err() != nil && d.request.RollbackOnCancel, failed != "" && d.request.RollbackOnFailure:
		d.back(ctx)
	}
	return failed
}

func (d *movement) entries() (all []schedule.Entry) {
	for _, s := range d.schedules {
		all = append(all, s.Entry)
	}
	return all
}

// stay says that nothing is moved, since not every service runs its revision.
func (d *movement) stay() {
	if len(d.schedules) > 0 {
		d.View.Show(SchedulesStay{len(d.schedules)})
	}
}

// moveTries is how often a rule or schedule is changed that others change at the same
// time, or whose answer was lost.
const moveTries = 3

// move has a rule or schedule start its new revision. It is read again before each
// change: what is sent replaces all of it, and others may have changed it. With ours it
// stays where it does not start what this run had it start.
func (d *movement) move(ctx context.Context, s ScheduleResult, ours bool) ScheduleResult {
	var changing error
	for try := 1; ; try++ {
		now, err := d.now(ctx, s.Entry)
		switch {
		case err != nil:
			return s.refused(cmp.Or(changing, err))
		case now.Family() != s.Family():
			return s.refused(mistake.New(mistake.Schedule, "see who changed it", "%s was changed since the plan was made: it starts tasks of %s now, and not of %s", s, now.Family(), s.Family()))
		case now.TaskDefinition == s.To && changing != nil: // the answer was lost
			s.State = ScheduleMoved
			return s
		case now.TaskDefinition == s.To:
			s.State = ScheduleUnchanged
			return s
		case !now.Pinned():
			s.State = ScheduleNewest
			return s
		case now.Over:
			s.State = ScheduleOver
			return s
		case try > moveTries:
			return s.refused(changing)
		case now.TaskDefinition != s.From && ours:
			return s.refused(fmt.Errorf("%s was changed meanwhile: it starts %s", s, ecs.ShortARN(now.TaskDefinition)))
		case now.TaskDefinition != s.From:
			d.View.Show(ScheduleChanged{s.Entry, s.From, now.TaskDefinition})
			s.From = now.TaskDefinition
		}
		adjusted, err := d.Schedules.Put(ctx, now.With(s.To))
		if err == nil {
			if adjusted != schedule.None {
				d.View.Show(ScheduleAdjusted{s.Entry, adjusted})
			}
			s.State = ScheduleMoved
			return s
		}
		if changing = err; !ecs.Ambiguous(err) && !conflicts(err) {
			return s.refused(err)
		}
		if err := sleep(ctx, time.Duration(try)*time.Second); err != nil {
			return s.refused(changing)
		}
	}
}

// now reads an entry again.
func (d *Deployer) now(ctx context.Context, e schedule.Entry) (schedule.Entry, error) {
	all, err := d.Schedules.Read(ctx, e.Ref)
	for _, now := range all {
		if now.ID == e.ID && !now.Universal && err == nil {
			return now, nil
		}
	}
	if err == nil {
		err = mistake.New(mistake.Schedule, "see who changed it", "%s was changed since the plan was made: it has no target that can be moved any more", e)
	}
	return e, err
}

// conflicts reports whether a change was refused since another one is being made.
//
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
func conflicts(err error) bool {
	code := ecs.CodeOf(err)
	return code == "ConcurrentModificationException" || code == "ConflictException" || code == "InternalException"
}

func (s ScheduleResult) refused(err error) ScheduleResult {
	s.State, s.Err = ScheduleRefused, err
	return s
}

// back returns what was moved, last first, to what it started before. One whose
// change was refused is looked at as well: AWS may have made it all the same.
func (d *movement) back(ctx context.Context) {
	most := schedulesMost
	if ctx.Err() != nil {
		most = cmp.Or(d.request.Parting, parting) / 4 // the services need the rest
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	for i, s := range slices.Backward(d.schedules) {
		if s.To == s.From || !d.changed(own, s) {
			continue
		}
		back := d.move(own, ScheduleResult{Entry: s.Entry, From: s.To, To: s.From}, true)
		if back.State == ScheduleMoved || back.State == ScheduleUnchanged {
			d.schedules[i].State, d.schedules[i].Err = ScheduleBack, s.Err
		} else {
			d.schedules[i].State, d.schedules[i].Err = ScheduleStuck, back.Err
		}
		d.View.Show(ScheduleEnded{d.schedules[i], ctx.Err() != nil})
	}
}

// changed reports whether this run has changed a rule or schedule, as far as that is
// known.
func (d *movement) changed(ctx context.Context, s ScheduleResult) bool {
	if s.State != ScheduleRefused {
		return s.State == ScheduleMoved
	}
	now, err := d.now(ctx, s.Entry)
	return err == nil && now.TaskDefinition == s.To
}

// usedBySchedules are the revisions of a family, by their names, that rules and
// schedules of any cluster start.
func (d *Deployer) usedBySchedules(ctx context.Context, family string) (map[string]bool, error) {
	all, err := d.Schedules.Find(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("find out which revisions schedules start: %w", err)
	}
	used := map[string]bool{}
	for _, e := range all {
		if e.Family() == family {
			used[ecs.ShortARN(e.TaskDefinition)] = true
		}
	}
	return used, nil
}
