package rollout

// A deployment of ECS's: one poll reads its record and the service, each on a
// budget of its own, and reconciles the two.

import (
	"cmp"
	"context"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

const (
	// recordLimit is how long the record of a deployment may stay invisible or
	// unreadable before the list of deployments decides alone. ECS lists a new one
	// within seconds.
	recordLimit = 60 * time.Second
	// recordAgain is how often a record is looked for that cannot be read.
	recordAgain = 30 * time.Second
	// searchAgain is how often the history is searched for a record that is not
	// there yet.
	searchAgain = 5 * time.Second
	// createdSlack is how much earlier than its entry in the service's list the
	// record of a deployment may have been created. Both times are ECS's own.
	createdSlack = 5 * time.Second
	// tasksAgain is how often the stopped tasks of a deployment are looked at while
	// it is short of running ones and its count of failed tasks stands still: ECS
	// does not count a task that ran for a moment.
	tasksAgain = 15 * time.Second
	// shownAgain is how often a service is read that does not show the deployment yet.
	shownAgain = time.Second
	// recordRead is how long a poll looks for the record and reads it, where it has
	// twice that time: a list and a record that are slow must not take the time in
	// which the service is read.
	recordRead = 5 * time.Second
)

type ecsDeployment struct {
	watcher
	controller *ecsController
	news       *news
	snapshot   Snapshot

	arn        string    // of the record; empty while it is not known
	searched   time.Time // when the history was searched last
	unreadable time.Time // since when the record cannot be read; zero where it can
	withoutOwn bool      // the list decides alone: told once
	replaced   time.Time // since when another deployment has been PRIMARY
	returned   time.Time // since when an earlier deployment has been PRIMARY again
	ended      time.Time // since when the record or the entry has been final
	steady     time.Time // since when the full count has been running alone
	failed     int       // tasks that had failed when the stopped ones were looked at
	looked     time.Time // when that was
	most       int       // maxFailedTasks of the watch; 0 is any number
	baking     time.Time // since when the deployment bakes
	hook       string    // id of the one that the next answer is for; empty is any
}

// Watch implements [Deployment].
func (d *ecsDeployment) Watch(ctx context.Context, limits Limits) iter.Seq[Event] {
	d.most = limits.MaxFailedTasks
	d.snapshot.Hopeless = nil
	return d.watcher.Watch(ctx, limits)
}

func (d *ecsDeployment) view() *Snapshot { return &d.snapshot }

// last implements source. A record in progress that was read before says nothing of the
// end, and the list does. Of a rollback in progress it does where it shows that.
func (d *ecsDeployment) last() Snapshot {
	s := d.snapshot
	if d.unreadable.IsZero() || s.Record == nil || s.Record.Final() {
		return s
	}
	if s.Record.RollingBack() {
		primary, back := s.returned()
		if !back {
			return s
		}
		s.RollsBackTo = primary.ID
	}
	s.Record = nil
	return s
}

func (d *ecsDeployment) health(ctx context.Context) int {
	healthy, _, known := d.controller.doctor.Health(ctx, d.snapshot.Service.Cluster, d.snapshot.ID, d.snapshot.Service.TargetGroups)
	if !known {
		return -1
	}
	return healthy
}

// poll implements source.
func (d *ecsDeployment) poll(ctx context.Context) ([]Event, error) {
	events, err := d.read(ctx)
	if err != nil || d.snapshot.Gone {
		return nil, err
	}
	events = append(events, d.readTasks(ctx)...)
	events = append(events, d.news.folded(time.Now())...)
	return append(events, d.progress()...), nil
}

// read reads what a decision needs. The service is read last, so that a deployment
// which is seen to have ended has its last events told.
func (d *ecsDeployment) read(ctx context.Context) ([]Event, error) {
	record, unread := d.readRecord(ctx)
	if unread != nil && ecs.Classify(unread) == ecs.Expired {
		return nil, unread
	}
	events, err := d.readService(ctx)
	if err != nil || d.snapshot.Gone {
		return nil, err
	}
	events = append(events, d.keep(record, unread)...)
	d.readNewer(ctx)
	d.reconcile(time.Now())
	return events, nil
}

// readService reads the service and returns what ECS has said since.
func (d *ecsDeployment) readService(ctx context.Context) ([]Event, error) {
	s, err := d.controller.read(ctx)
	if mistake.Absent(err) {
		d.snapshot.Gone = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d.snapshot.Service = s
	own, listed := s.Deployment(d.snapshot.ID)
	if d.snapshot.Listed = listed; listed {
		d.snapshot.Own = own
	}
	var events []Event
	for _, m := range d.news.messages(s) {
		if id := RollbackTarget(m.Text); id != "" {
			d.snapshot.RollsBackTo = id
		}
		if d.snapshot.Asked && byUser.MatchString(m.Text) {
			continue // ECS calls this run a user
		}
		events = append(events, d.news.tell(m)...)
	}
	return events, nil
}

// byUser is how ECS words that somebody asked for a deployment to be stopped.
var byUser = regexp.MustCompile(`(?i)(stopped|requested) by a user`)

// readRecord reads the deployment's record. Without an error it may still be nil:
// ECS does not show it yet.
func (d *ecsDeployment) readRecord(ctx context.Context) (*ecs.ServiceDeployment, error) {
	limit := recordRead
	if deadline, bounded := ctx.Deadline(); bounded {
		limit = min(limit, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if d.snapshot.Scaling || d.withoutOwn && time.Since(d.searched) < recordAgain {
		return nil, nil
	}
	if d.arn == "" {
		if !d.searched.IsZero() && time.Since(d.searched) < searchAgain {
			return nil, nil
		}
		d.searched = time.Now()
		arn, err := d.findRecord(ctx)
		if arn == "" || err != nil {
			return nil, err
		}
		d.arn = arn
	}
	d.searched = time.Now()
	record, err := d.controller.client.ServiceDeployment(ctx, d.arn)
	if err != nil {
		return nil, err
	}
	return &record, nil
}

// findRecord returns the ARN of the record whose service revision has our id: that
// of the service's current deployment, or one of its history. Revisions and times
// do not identify a deployment: the same revision can be deployed twice in seconds.
func (d *ecsDeployment) findRecord(ctx context.Context) (string, error) {
	c, s := d.controller.client, d.snapshot.Service
	if s.Current != "" {
		record, err := c.ServiceDeployment(ctx, s.Current)
		if err == nil && ecs.DeploymentID(record.Target.ARN) == d.snapshot.ID {
			return record.ARN, nil
		}
		if err != nil && ecs.Classify(err).Lasting() && ecs.Classify(err) != ecs.Gone {
			return "", err
		}
	}
	since := d.snapshot.Own.CreatedAt
	if !since.IsZero() {
		since = since.Add(-createdSlack)
	}
	var newest ecs.Brief
	for brief, err := range c.ServiceDeployments(ctx, s, since) {
		if err != nil {
			return "", err
		}
		id := ecs.DeploymentID(brief.Target)
		if id == d.snapshot.ID {
			if newest.CreatedAt.After(brief.CreatedAt) {
				if s.Primary().ID == id && s.Primary().RolloutState == "IN_PROGRESS" && ecs.FinalStatus(brief.Status) {
					return "", nil // ECS goes back to it, and the record tells of its first time
				}
				d.snapshot.Newer = cmp.Or(d.snapshot.Newer, ecs.DeploymentID(newest.Target))
			}
			return brief.ARN, nil
		}
		if brief.CreatedAt.After(newest.CreatedAt) {
			newest = brief
		}
	}
	return "", nil
}

// keep takes over the record that was read. One that cannot be read is done
// without, after a while: what it said before is no longer kept up.
func (d *ecsDeployment) keep(record *ecs.ServiceDeployment, err error) []Event {
	now := time.Now()
	d.snapshot.Stale = record == nil && d.snapshot.Record != nil
	switch {
	case d.snapshot.Scaling:
		return nil
	case record != nil:
		d.snapshot.Record = record
		if record.WaitingAt(d.snapshot.Answered).ID == "" {
			d.snapshot.Answered = "" // a later wait at the same hook is a new one
		}
		d.unreadable, d.withoutOwn = time.Time{}, false
		return nil
	case d.withoutOwn:
		return nil
	case d.unreadable.IsZero():
		d.unreadable = now
	}
	if err != nil && ecs.Classify(err).Lasting() || now.Sub(d.unreadable) > recordLimit {
		d.withoutOwn, d.snapshot.Record, d.snapshot.Stale = true, nil, false
		return []Event{{now, Unreadable{err}}}
	}
	return nil
}

// readNewer looks for a deployment after ours where ours was stopped. Where that
// cannot be read, the list of deployments tells it as well.
func (d *ecsDeployment) readNewer(ctx context.Context) {
	record := d.snapshot.Record
	if record == nil || record.Status != "STOPPED" || d.snapshot.Newer != "" {
		return
	}
	for brief, err := range d.controller.client.ServiceDeployments(ctx, d.snapshot.Service, record.CreatedAt) {
		if err != nil {
			return
		}
		id := ecs.DeploymentID(brief.Target)
		if brief.ARN == record.ARN || slices.Contains(d.snapshot.Earlier, id) { // of two that began at once, either may be listed first
			continue
		}
		if !brief.CreatedAt.Before(record.CreatedAt) {
			d.snapshot.Newer = id
		}
		break // newest first
	}
}

// reconcile measures for how long the views of the deployment have disagreed.
func (d *ecsDeployment) reconcile(now time.Time) {
	s := &d.snapshot
	other, replaced := s.replacement()
	if replaced {
		s.Newer = other.ID // the list forgets it when it has been rolled back
	}
	final := s.Record != nil && s.Record.Final() || s.Own.RolloutState == "FAILED"
	primary := s.Service.Primary()
	steady := ongoing(s.Service) == 1 && primary.Running == primary.Desired && primary.Pending == 0
	s.Replaced = lasted(&d.replaced, replaced, now)
	s.Returned = lasted(&d.returned, primary.ID != "" && primary.ID != s.ID && s.rollsBackTo(primary), now)
	s.Ended = lasted(&d.ended, final, now)
	s.Steady = lasted(&d.steady, steady, now)
}

// lasted is how long something has been so. since is when it began.
func lasted(since *time.Time, is bool, now time.Time) time.Duration {
	switch {
	case !is:
		*since = time.Time{}
	case since.IsZero():
		*since = now
	default:
		return now.Sub(*since)
	}
	return 0
}

// readTasks looks at the deployment's tasks where that may change the verdict:
// whether it can still succeed, and whether a full count is healthy.
func (d *ecsDeployment) readTasks(ctx context.Context) []Event {
	s := &d.snapshot
	// Of a rolling deployment ECS names no stage: at the end of the time limit its tasks
	// tell that only the bake time is left, or the end of those that ECS does not want
	// any more.
	ending := s.Left <= 2*calmPoll && (s.Service.Strategy.Bake > 0 || s.alone() && !d.looked.IsZero() && !s.Scaling)
	if (s.Until == UntilTraffic || ending) && s.Full() {
		healthy, total, known := d.controller.doctor.Health(ctx, s.Service.Cluster, s.ID, s.Service.TargetGroups)
		s.Healthy = nil
		if known {
			all := healthy >= total && total >= s.Own.Desired
			s.Healthy = &all
		}
	}
	own := s.Own
	if d.looked.IsZero() {
		d.looked = time.Now() // nothing can have stopped yet that is not counted
	}
	again := tasksAgain
	if own.Running+own.Pending >= own.Desired {
		again *= 2 // all of them are on their way
	}
	due := own.Failed > d.failed || own.Running < own.Desired && time.Since(d.looked) >= again
	if d.most <= 0 || !s.Listed || s.Scaling || !due {
		return nil
	}
	d.failed, d.looked = own.Failed, time.Now()
	var events []Event
	s.Hopeless, events = hopeless(ctx, d.controller.doctor, d.news, *s, d.most)
	return events
}

// hopeless looks at the stopped tasks of a deployment and returns the reason to
// give it up, or nil. What it waits for, since that passes by itself, is told once.
func hopeless(ctx context.Context, doctor Doctor, news *news, s Snapshot, most int) (*Reason, []Event) {
	if reason := GiveUp(s, nil, most); reason != nil {
		return reason, nil
	}
	causes := doctor.Stops(ctx, s.Subject())
	if reason := GiveUp(s, causes, most); reason != nil {
		return reason, nil
	}
	if cause, is := diagnosis.Awaited(causes); is {
		return nil, news.waits(cause)
	}
	return nil, nil
}

// GiveUp is the reason to give a deployment up whose tasks stopped for the causes,
// or nil: too many of them failed for the same one, or none could be started. most
// is [Limits.MaxFailedTasks].
func GiveUp(s Snapshot, causes []diagnosis.Cause, most int) *Reason {
	subject := s.Subject()
	if cause, is := diagnosis.Unlaunchable(subject.Events, subject.Since, s.Own.Running+s.Own.Pending, most); is {
		return &Reason{Code: TasksNotStarted, Cause: &cause, Count: cause.Count, Limit: most}
	}
	if cause, is := diagnosis.Hopeless(causes, most); is {
		return &Reason{Code: TasksFail, Cause: &cause, Count: cause.Count, Limit: most}
	}
	return nil
}

// progress tells what differs from what was told last.
func (d *ecsDeployment) progress() []Event {
	var events []Event
	now, s := time.Now(), d.snapshot
	if doom := s.doom(); d.news.changed("doom", doom.key(), doom.Status == "") && doom.Status != "" {
		events = append(events, Event{now, doom})
	}
	if stage := d.stage(now); d.news.changed("stage", stage.key(), stage.Name == "") && stage.Name != "" {
		events = append(events, Event{now, stage})
	}
	if counts := s.Counts(); s.Listed && d.news.changed("counts", counts, false) {
		events = append(events, Event{now, counts})
	}
	return events
}

// doom says that the deployment in progress will not end well; zero otherwise.
func (s Snapshot) doom() Doomed {
	switch {
	case s.Record != nil && s.Record.RollingBack():
		return Doomed{Status: s.Record.Status, Asked: s.Asked && len(s.Record.Alarms) == 0, Detail: words(*s.Record), Alarms: s.Record.Alarms}
	case s.Record == nil && s.Own.RolloutState == "FAILED":
		return Doomed{Status: "FAILED", Asked: s.Asked, Detail: s.Own.Reason}
	}
	return Doomed{}
}

// key is what is told of it, as a comparable value: that a rollback was requested,
// and that it is in progress, are the same.
func (d Doomed) key() any {
	if d.Asked { // what ECS calls it afterwards is no news
		return [3]any{false, true, ""}
	}
	return [3]any{strings.TrimPrefix(d.Status, "ROLLBACK_") == d.Status, d.Asked, d.Detail}
}

// stage says where a deployment with a strategy of its own is. The rest of a bake
// is told in tenths, so that hours of it are a dozen lines.
func (d *ecsDeployment) stage(now time.Time) Stage {
	record := d.snapshot.Record
	if record == nil || record.Stage == "" {
		return Stage{}
	}
	stage := Stage{Name: record.Stage, Traffic: record.Target.Traffic}
	if record.Stage != "BAKE_TIME" {
		d.baking = time.Time{}
		return stage
	}
	if d.baking.IsZero() {
		d.baking = now
	}
	if left := record.Strategy.Bake - now.Sub(d.baking); left > 0 {
		step := max(time.Minute, (record.Strategy.Bake / 10).Truncate(time.Minute))
		stage.Left = min((left+step-1)/step*step, record.Strategy.Bake)
	}
	return stage
}

// key is the stage as a comparable value.
func (s Stage) key() any {
	traffic := -1.0
	if s.Traffic != nil {
		traffic = *s.Traffic
	}
	return [3]any{s.Name, traffic, s.Left}
}

// Stop implements [Deployment].
func (d *ecsDeployment) Stop(ctx context.Context) error {
	if err := d.look(ctx); err != nil {
		return err
	}
	s := &d.snapshot
	switch {
	case s.RollingBack():
		return nil // it goes back already, and stopping it would change nothing
	case s.Record == nil:
		return ErrNoRecord
	}
	err := d.controller.client.Stop(ctx, s.Record.ARN)
	if err == nil {
		s.Asked = true
		return nil
	}
	asked := s.Asked
	s.Asked = asked || ecs.Ambiguous(err)
	switch again := d.look(ctx); {
	case again != nil:
		return again
	case s.RollingBack():
		return nil
	}
	s.Asked = asked
	if ecs.Ambiguous(err) {
		return err
	}
	// ECS refuses to stop what has ended, which the list may show first.
	listed := *s
	listed.Record, listed.Hopeless, listed.Until, listed.Left = nil, nil, UntilEnded, grace
	if v := d.judge(listed); v.Final() {
		d.verdict = v
		return ErrEnded
	}
	return err
}

// look reads the deployment for a decision: the error is ErrEnded or ErrNotOurs
// where there is nothing left to stop. Its tasks are not looked at, which may take
// long: what was read would be old.
func (d *ecsDeployment) look(ctx context.Context) error {
	if err := d.readShown(ctx); err != nil {
		return err
	}
	s := d.snapshot
	s.Hopeless, s.Until, s.Left = nil, UntilEnded, grace
	if v := d.judge(s); v.Final() && v.Outcome != Paused {
		d.verdict = v
		if v.Outcome == Superseded {
			return ErrNotOurs
		}
		return ErrEnded
	}
	if other, replaced := s.replacement(); replaced {
		d.verdict = superseded(other)
		return ErrNotOurs
	}
	if s.Record != nil && s.Record.Final() { // STOPPED just now, and nothing has taken its place
		s.Ended = grace
		d.verdict = d.judge(s)
		return ErrEnded
	}
	return nil
}

// readShown reads the deployment, and does so again while its record does not tell and the
// service is shown as it was before it: after [grace] that is a rollback. The error is
// ErrNotShown where ctx does not last as long.
func (d *ecsDeployment) readShown(ctx context.Context) error {
	for {
		d.searched = time.Time{} // a record that could not be found may be there now
		if _, err := d.read(ctx); err != nil || d.snapshot.Gone || !d.snapshot.Unshown() {
			return err
		}
		if record := d.snapshot.Record; record != nil && (!record.Final() || d.snapshot.Newer != "") {
			return nil
		}
		if !lasts(ctx, 2*shownAgain) || !wait(ctx, shownAgain) {
			return ErrNotShown
		}
	}
}

// Answer implements [Deployment].
func (d *ecsDeployment) Answer(ctx context.Context, action Action) error {
	if err := d.look(ctx); err != nil {
		return err
	}
	hook := ecs.Hook{}
	// Where the record could not be read again, ECS refuses the answer to a hook that does
	// not wait any more.
	if d.snapshot.Record != nil {
		hook = d.snapshot.Record.WaitingAt(d.hook)
	}
	if hook.ID == "" {
		return mistake.New(mistake.Service, "see the service's deployments", "the deployment of service %s is not paused any more", d.snapshot.Service.Name)
	}
	if err := d.controller.client.Answer(ctx, d.arn, hook.ID, action == RollBack); err != nil {
		if again := d.look(ctx); again != nil {
			return again
		}
		if record := d.snapshot.Record; !ecs.Ambiguous(err) || record == nil || record.WaitingAt(hook.ID).ID != "" {
			return err
		}
	}
	d.hook = ""
	d.snapshot.Answered = hook.ID
	d.snapshot.Asked = action == RollBack
	return nil
}
