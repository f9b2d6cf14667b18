package rollout

// ECS as the controller: UpdateService begins a deployment, and a new one takes
// the place of the one in progress.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// Doctor looks at the tasks of a deployment.
type Doctor interface {
	// Stops groups the stopped tasks of a deployment by what ended them. What cannot
	// be read is left out.
	Stops(ctx context.Context, s diagnosis.Subject) []diagnosis.Cause
	// Health counts the running tasks that pass their health checks.
	Health(ctx context.Context, cluster, deploymentID string, targetGroups []string) (healthy, total int, known bool)
}

// NewECS returns the controller of a service that ECS itself deploys. s is the
// service as it was first read.
func NewECS(client *ecs.Client, doctor Doctor, s ecs.Service) Controller {
	return &ecsController{client: client, doctor: doctor, first: s}
}

type ecsController struct {
	client   *ecs.Client
	doctor   Doctor
	first    ecs.Service
	observer Observer // nil for none
}

func (c *ecsController) Name() string { return "ECS" }

// Unsupported implements [Controller].
func (c *ecsController) Unsupported(change Change) []error {
	if change.DesiredCount != nil && c.first.Daemon {
		return []error{mistake.New(mistake.DesiredCount, "leave desiredCount out",
			"service %s has the scheduling strategy DAEMON: ECS runs one task on each instance, and a desired count cannot be set", c.first.Name)}
	}
	return nil
}

func (c *ecsController) read(ctx context.Context) (ecs.Service, error) {
	return c.client.Service(ctx, c.first.Cluster, c.first.Name)
}

// InFlight implements [Controller].
func (c *ecsController) InFlight(ctx context.Context) (Deployment, error) {
	s, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	d, err := c.inFlight(ctx, s)
	if d == nil || err != nil {
		return nil, err // not a Deployment that holds nil
	}
	return d, nil
}

// inFlight returns the deployment in progress of a service as it was just read.
// The records decide, since they know a rollback for what it is: ECS revives the
// id of an earlier deployment for it and gives it no record of its own. The list
// decides where the records cannot be read, or do not show its PRIMARY yet.
func (c *ecsController) inFlight(ctx context.Context, s ecs.Service) (*ecsDeployment, error) {
	primary := s.Primary()
	record, err := c.newest(ctx, s)
	if err != nil && ecs.Classify(err) == ecs.Expired {
		return nil, err
	}
	if record != nil && !record.Final() {
		d := c.deployment(s, ecs.DeploymentID(record.Target.ARN), record)
		if theirs, replaced := d.snapshot.replacement(); replaced && (primary.RolloutState == "IN_PROGRESS" || primary.RolloutState == "") {
			// The record is late, and so is what names it: the list shows a newer deployment.
			newer := c.deployment(s, theirs.ID, nil)
			if theirs.ID != primary.ID {
				newer.snapshot.RollsBackTo = primary.ID
			}
			return newer, nil
		}
		if err := c.resolve(ctx, d); err != nil && ecs.Classify(err) == ecs.Expired {
			return nil, err
		}
		return d, nil
	}
	// Behind a Classic Load Balancer there is no state: while one deployment takes the
	// place of another, both are listed. An ended record of an earlier one says nothing
	// of it, nor that of the PRIMARY one where ECS goes back to it: the history shows a
	// new deployment late.
	own := record != nil && ecs.DeploymentID(record.Target.ARN) == primary.ID && !recreated(*record, primary)
	failed, back := rollbackSource(s)
	moving := primary.RolloutState == "IN_PROGRESS" || primary.RolloutState == "" && ongoing(s) > 1 && (back || !own)
	if primary.ID == "" || !moving {
		return nil, nil
	}
	if back && (record == nil || ecs.DeploymentID(record.Target.ARN) != failed.ID) {
		d := c.deployment(s, failed.ID, nil)
		d.snapshot.RollsBackTo = primary.ID
		return d, nil
	}
	if own || record != nil && isRollbackTarget(*record, primary) {
		return nil, nil // the record has ended, and the list is about to show it
	}
	return c.deployment(s, primary.ID, nil), nil
}

// ongoing counts the deployments that have tasks, or are to have some. An INACTIVE one has
// been replaced completely.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html
func ongoing(s ecs.Service) (n int) {
	for _, d := range s.Deployments {
		if d.Status != "INACTIVE" {
			n++
		}
	}
	return n
}

// rollbackSource returns the deployment from which ECS goes back to the PRIMARY one, as
// the list alone shows it: one that has failed or has no state, and is newer than the
// PRIMARY one. It need not be newer where ECS says in the PRIMARY one's reason that it
// goes back to that.
func rollbackSource(s ecs.Service) (ecs.Deployment, bool) {
	primary, failed := s.Primary(), ecs.Deployment{}
	for _, d := range s.Deployments {
		ended := d.RolloutState == "FAILED" || d.RolloutState == "" && d.CreatedAt.After(primary.CreatedAt)
		if d.ID != primary.ID && ended && d.CreatedAt.After(failed.CreatedAt) {
			failed = d
		}
	}
	back := RollbackTarget(primary.Reason) == primary.ID || primary.CreatedAt.Before(failed.CreatedAt)
	return failed, failed.ID != "" && back
}

// isRollbackTarget reports whether primary is the deployment to which an ended record was
// rolled back.
func isRollbackTarget(record ecs.ServiceDeployment, primary ecs.Deployment) bool {
	if ecs.DeploymentID(record.RollbackTo) == primary.ID {
		return true
	}
	return record.Status != "SUCCESSFUL" && slices.ContainsFunc(record.Sources, func(arn string) bool { return ecs.DeploymentID(arn) == primary.ID })
}

// recreated reports whether the PRIMARY deployment, which has no state, was created after
// the record of its id: ECS has gone back to it, and the record tells of its first time.
func recreated(record ecs.ServiceDeployment, primary ecs.Deployment) bool {
	return primary.RolloutState == "" && primary.CreatedAt.After(record.CreatedAt.Add(createdSlack))
}

// newest returns the record of the deployment in progress, or else the newest
// one; nil where the service has none.
func (c *ecsController) newest(ctx context.Context, s ecs.Service) (*ecs.ServiceDeployment, error) {
	arn := s.Current
	if arn == "" {
		for brief, err := range c.client.ServiceDeployments(ctx, s, time.Time{}) {
			if err != nil {
				return nil, err
			}
			arn = brief.ARN
			break
		}
	}
	if arn == "" {
		return nil, nil
	}
	record, err := c.client.ServiceDeployment(ctx, arn)
	if err != nil {
		return nil, err
	}
	return &record, nil
}

// deployment follows a deployment that is there already.
func (c *ecsController) deployment(s ecs.Service, id string, record *ecs.ServiceDeployment) *ecsDeployment {
	own, listed := s.Deployment(id)
	d := &ecsDeployment{controller: c, news: newNews(s), snapshot: Snapshot{
		ID: id, Revision: own.TaskDefinition, Service: s, Own: own, Listed: listed, Record: record,
	}}
	d.watcher = watcher{source: d, observer: c.observer}
	if record != nil {
		d.arn = record.ARN
		for _, source := range record.Sources {
			d.snapshot.Earlier = append(d.snapshot.Earlier, ecs.DeploymentID(source))
		}
	}
	for _, other := range s.Deployments {
		if other.ID == id {
			continue
		}
		if listed && other.CreatedAt.Before(own.CreatedAt) && !slices.Contains(d.snapshot.Earlier, other.ID) {
			d.snapshot.Earlier = append(d.snapshot.Earlier, other.ID)
		}
		if d.snapshot.Previous == "" {
			d.snapshot.Previous = other.TaskDefinition
		}
	}
	return d
}

// resolve fills in the revision of a deployment that the list does not show.
func (c *ecsController) resolve(ctx context.Context, d *ecsDeployment) error {
	if d.snapshot.Revision != "" || d.snapshot.Record == nil {
		return nil
	}
	revision, err := c.client.ServiceRevision(ctx, d.snapshot.Record.Target.ARN)
	d.snapshot.Revision = revision.TaskDefinition
	return err
}

// LastGood implements [Controller].
func (c *ecsController) LastGood(ctx context.Context) (string, error) {
	s, err := c.read(ctx)
	if err != nil {
		return "", err
	}
	d, err := c.inFlight(ctx, s)
	if err != nil {
		return "", err
	}
	primary := s.Primary()
	switch {
	case d != nil:
	case primary.RolloutState == "COMPLETED":
		return primary.TaskDefinition, nil
	case primary.RolloutState == "" && ongoing(s) == 1:
		if ended, err := c.endedBadly(ctx, s); err != nil || ended {
			return "", err
		}
		return primary.TaskDefinition, nil
	}
	return "", nil
}

// endedBadly reports whether a PRIMARY deployment whose entry does not say so has ended
// without success: the entry is late, or has no state, as behind a Classic Load Balancer.
// The record says it. One that cannot be read says nothing.
func (c *ecsController) endedBadly(ctx context.Context, s ecs.Service) (bool, error) {
	primary := s.Primary()
	if primary.RolloutState != "" && primary.RolloutState != "IN_PROGRESS" {
		return false, nil
	}
	record, err := c.newest(ctx, s)
	if err != nil && ecs.Classify(err) == ecs.Expired {
		return false, err
	}
	return record != nil && ecs.DeploymentID(record.Target.ARN) == primary.ID && record.Final() && record.Status != "SUCCESSFUL", nil
}

// Successes implements [Controller]. ECS remembers the deployments of 90 days.
func (c *ecsController) Successes(ctx context.Context) iter.Seq2[string, error] {
	return successes(ctx, c.client, c.first)
}

func successes(ctx context.Context, client *ecs.Client, s ecs.Service) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for brief, err := range client.ServiceDeployments(ctx, s, time.Time{}, "SUCCESSFUL") {
			if err != nil {
				yield("", err)
				return
			}
			revision, err := client.ServiceRevision(ctx, brief.Target)
			if err != nil && ecs.Classify(err) == ecs.Gone || err == nil && revision.TaskDefinition == "" {
				continue
			}
			if !yield(revision.TaskDefinition, err) || err != nil {
				return
			}
		}
	}
}

// Paused implements [Controller].
func (c *ecsController) Paused(ctx context.Context, hookID string) (Deployment, error) {
	s, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	none := mistake.New(mistake.Service, "the hook may have been answered, or its time limit has passed: see the service's deployments",
		"no deployment of service %s is paused at a lifecycle hook", s.Name)
	record, err := c.newest(ctx, s)
	switch {
	case err != nil:
		return nil, err
	case record == nil || record.Waiting().ID == "":
		return nil, none
	case record.WaitingAt(hookID).ID == "":
		return nil, mistake.New(mistake.Hook, "leave hookId empty to answer the hook that waits",
			"the deployment of service %s is paused at hook %s, not at %s", s.Name, record.Waiting().ID, hookID)
	}
	d := c.deployment(s, ecs.DeploymentID(record.Target.ARN), record)
	d.hook = hookID
	return d, c.resolve(ctx, d)
}

// updateTries is how often an UpdateService call is made whose answer got lost
// and which, as the service shows, ECS did not carry out.
const updateTries = 3

// Start implements [Controller]: one UpdateService call, or none where the
// service runs the same already.
func (c *ecsController) Start(ctx context.Context, change Change) (d Deployment, err error) {
	// lost is the error of a call before the last one whose answer got lost, where it is
	// not known that it began nothing.
	var lost error
	defer func() { err = unanswered(lost, err) }()
	asked := time.Now()
	before, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	again := attempts{begin: time.Now()}
	for try := 1; ; {
		if err := c.expected(ctx, before, change); err != nil {
			return nil, err
		}
		need, err := c.needs(ctx, before, change)
		if err != nil {
			return nil, err
		}
		if time.Since(asked) > staleAfter { // reading the records took long
			asked = time.Now()
			after, err := c.read(ctx)
			if err != nil {
				return nil, err
			}
			moved := !alike(before, after)
			if before = after; moved {
				continue
			}
		}
		if need.there != nil {
			return need.there, nil
		}
		after, err := c.client.Update(ctx, before, ecs.Update{TaskDefinition: change.TaskDefinition, DesiredCount: change.DesiredCount, Force: change.Force || need.force})
		if err == nil {
			if after, err = c.shown(ctx, before, after, change, change.Force || need.force); err != nil {
				return nil, err
			}
			return c.started(before, after, change, need)
		}
		unmade := again.wait(ctx, err)
		asked = time.Now()
		after, unread := c.readAfter(ctx, err)
		forced := change.Force || need.force
		views := lateViews(forced)
		for ; views > 0 && unread == nil && ecs.Ambiguous(err) && alike(before, after) && lasts(ctx, 2*viewsLate) && wait(ctx, viewsLate); views-- {
			asked = time.Now()
			after, unread = c.readAfter(ctx, err)
		}
		switch {
		case unread != nil && ecs.Ambiguous(err):
			return nil, &UnansweredError{err, unread}
		case unread != nil:
			return nil, err
		case unmade:
			before = after
			continue
		case ecs.Ambiguous(err) && after.Primary().ID != before.Primary().ID && after.Primary().TaskDefinition == change.TaskDefinition:
			return c.started(before, after, change, need) // ECS carried it out, and its answer got lost
		case ecs.Ambiguous(err) && after.Deleted():
			return nil, &UnansweredError{err, inactive(after)} // its deployments are gone with it
		case ecs.Ambiguous(err) && endedSince(before, after) != "":
			return c.endedAlready(before, after, change), nil
		case ecs.Ambiguous(err) && arrived(before, after):
			// One that ECS began for this call may have been replaced by it, and the
			// service shows none of that.
			return nil, &UnansweredError{err, fmt.Errorf("somebody else's deployment %s of %s was found", after.Primary().ID, ecs.ShortARN(after.Primary().TaskDefinition))}
		case ecs.Ambiguous(err) && views > 0 && alike(before, after) && (forced || try == updateTries):
			return nil, &UnansweredError{err, errors.New("there is no time to see what came of it")}
		case !ecs.Ambiguous(err) || try == updateTries:
			if moved := c.expected(ctx, after, change); moved != nil {
				return nil, moved // which explains the refusal
			}
			if ecs.Ambiguous(err) { // the service was seen unchanged for long enough
				lost = nil
			}
			return nil, err
		}
		before, lost = after, err
		try++
	}
}

// unanswered is the error of a start after an earlier call of it whose answer got lost: the
// service may show late what came of that.
func unanswered(lost, err error) error {
	_, moved := errors.AsType[*MovedError](err)
	_, known := errors.AsType[*UnansweredError](err)
	if lost == nil || err == nil || moved || known {
		return err
	}
	return &UnansweredError{lost, err}
}

// staleAfter is how old a reading of a service may be when the service is changed.
const staleAfter = 5 * time.Second

// viewsLate is how long it may take until a service shows what a call began whose answer
// got lost.
const viewsLate = 5 * time.Second

// lateViews is how often that is waited for. A call that is made again begins nothing where
// the first one did, but for one that forces a deployment: it would begin another one.
func lateViews(forced bool) int {
	if forced {
		return 3
	}
	return 1
}

// lasts reports whether ctx goes on for more than that: a run that is cancelled has no
// time to wait.
func lasts(ctx context.Context, while time.Duration) bool {
	end, bounded := ctx.Deadline()
	return !bounded || time.Until(end) > while
}

// wait pauses, and reports whether ctx lasted as long.
func wait(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// alike reports whether two readings of a service show the same deployments.
func alike(a, b ecs.Service) bool {
	for _, d := range a.Deployments {
		same, listed := b.Deployment(d.ID)
		if !listed || same.Status != d.Status || same.RolloutState != d.RolloutState {
			return false
		}
	}
	return a.Status == b.Status && a.Current == b.Current && len(a.Deployments) == len(b.Deployments)
}

// startLimit is how long a call that starts a deployment is made again while AWS
// throttles it.
const startLimit = 2 * time.Minute

// attempts counts those of a call that starts a deployment. The service is read again
// before each: it may have been changed while AWS throttled the last one.
type attempts struct {
	begin time.Time
	made  int
}

// wait pauses after an attempt that failed, where it certainly did nothing and another
// one may succeed, and reports that.
func (a *attempts) wait(ctx context.Context, err error) bool {
	if !ecs.Unmade(err) || time.Since(a.begin) > startLimit {
		return false
	}
	a.made++
	delay, _ := ecs.Backoff{}.BackoffDelay(a.made, nil)
	return wait(ctx, delay)
}

// arrived reports whether a new deployment has become the PRIMARY one between two
// readings, and not one to which ECS has gone back.
func arrived(before, after ecs.Service) bool {
	_, known := before.Deployment(after.Primary().ID)
	return after.Primary().ID != "" && !known
}

// readAfter reads the service after a call that failed. Where ECS may have acted on
// the call, the service is read for as long as it takes.
func (c *ecsController) readAfter(ctx context.Context, err error) (s ecs.Service, unread error) {
	if !ecs.Ambiguous(err) {
		return c.read(ctx)
	}
	unread = untilRead(ctx, func() (err error) { s, err = c.read(ctx); return err })
	return s, unread
}

// inEvent is the deployment that an event of a service is about.
var inEvent = regexp.MustCompile(`\(deployment (ecs-svc/\w+)\)`)

// endedSince returns the id of a deployment that came after a reading and is not the
// PRIMARY one of the next: it was stopped or rolled back in between, and events tell
// of it. "" where there is none.
func endedSince(before, after ecs.Service) string {
	for _, e := range after.Events {
		if slices.ContainsFunc(before.Events, func(old ecs.Message) bool { return old.ID == e.ID }) {
			break // newest first
		}
		if m := inEvent.FindStringSubmatch(e.Text); m != nil && m[1] != after.Primary().ID {
			if _, old := before.Deployment(m[1]); !old {
				return m[1]
			}
		}
	}
	return ""
}

// endedAlready is the deployment of a change whose answer got lost, and that somebody
// ended before the service could be read.
func (c *ecsController) endedAlready(before, after ecs.Service, change Change) Deployment {
	d := c.deployment(after, endedSince(before, after), nil)
	d.news = newNews(before)
	s := &d.snapshot
	s.New, s.Revision, s.Previous, s.Earlier = true, change.TaskDefinition, before.TaskDefinition, nil
	for _, earlier := range before.Deployments {
		s.Earlier = append(s.Earlier, earlier.ID)
	}
	return d
}

// expected refuses to change a service that is not as the change was decided for.
func (c *ecsController) expected(ctx context.Context, s ecs.Service, change Change) error {
	switch {
	case s.Deleted():
		return inactive(s)
	case change.Expect != "" && s.Primary().ID != "" && s.Primary().ID != change.Expect:
		return &MovedError{Service: s}
	case change.Supersede:
		return nil
	}
	d, err := c.inFlight(ctx, s)
	if err != nil {
		return err
	}
	if d != nil && !slices.Contains(change.Replaces, d.snapshot.ID) && (d.snapshot.Revision != change.TaskDefinition || d.snapshot.RollingBack()) {
		return &MovedError{Service: s, InFlight: d}
	}
	return nil
}

// inactive is the mistake of deploying to a service that is deleted or being deleted.
func inactive(s ecs.Service) error {
	return &mistake.Error{Kind: mistake.Service, Absent: true, Advice: "create the service again, or name the one that replaced it",
		Text: fmt.Sprintf("service %s in cluster %s is %s; an ACTIVE service was expected", s.Name, s.Cluster, s.Status)}
}

// need is what a service needs for a change.
type need struct {
	there Deployment // that is there already, where nothing has to be done; else nil
	force bool       // a new deployment is to be forced: ECS would see no difference after a failure
	joins bool       // a deployment of the same revision is in progress, and goes on
}

// needs finds out what a service needs for a change.
func (c *ecsController) needs(ctx context.Context, s ecs.Service, change Change) (need, error) {
	primary := s.Primary()
	if change.Force || s.TaskDefinition != change.TaskDefinition || primary.TaskDefinition != change.TaskDefinition {
		return need{}, nil
	}
	busy, err := c.inFlight(ctx, s)
	if err != nil {
		return need{}, err
	}
	failed := primary.RolloutState == "FAILED"
	if busy == nil && !failed {
		if failed, err = c.endedBadly(ctx, s); err != nil {
			return need{}, err
		}
	}
	scale := change.DesiredCount != nil && *change.DesiredCount != s.Desired
	switch {
	case busy != nil && busy.snapshot.Revision == change.TaskDefinition && !busy.snapshot.RollingBack() && !scale:
		return need{there: busy}, nil
	case failed:
		return need{force: true}, nil
	case scale, busy != nil:
		return need{joins: busy != nil && busy.snapshot.ID == primary.ID}, nil
	}
	there := c.deployment(s, primary.ID, nil)
	if primary.Running < primary.Desired {
		there.snapshot.Scaling = true
	} else {
		there.snapshot.Reached = true
	}
	there.snapshot.Previous = s.TaskDefinition
	return need{there: there}, nil
}

// shown is the service once it shows what ECS has accepted: the revision, and where a
// deployment was forced, a new one. What it shows until then is the deployment before,
// whose success is none of ours. The revision may stand at the service alone.
func (c *ecsController) shown(ctx context.Context, before, after ecs.Service, change Change, forced bool) (ecs.Service, error) {
	is := func(s ecs.Service) bool {
		p, ours := s.Primary(), ecs.ShortARN(change.TaskDefinition)
		return p.ID == "" || (ecs.ShortARN(p.TaskDefinition) == ours || ecs.ShortARN(s.TaskDefinition) == ours) && !(forced && p.ID == before.Primary().ID)
	}
	for try := 0; !is(after); try++ {
		if try == updateTries || !wait(ctx, viewsLate) {
			return after, &UnansweredError{fmt.Errorf("update service %s: ECS accepted the change", after.Name),
				fmt.Errorf("the service shows deployment %s of %s", after.Primary().ID, ecs.ShortARN(after.Primary().TaskDefinition))}
		}
		fresh, err := c.read(ctx)
		if err != nil && lasting(err) {
			return after, &UnansweredError{fmt.Errorf("update service %s: ECS accepted the change", after.Name), err}
		}
		if err == nil {
			after = fresh
		}
	}
	return after, nil
}

// started is the deployment that an UpdateService call began.
func (c *ecsController) started(before, after ecs.Service, change Change, need need) (Deployment, error) {
	primary := after.Primary()
	if primary.ID == "" {
		return nil, fmt.Errorf("update service %s: ECS accepted the change, but its answer has no PRIMARY deployment", after.Name)
	}
	d := c.deployment(after, primary.ID, nil)
	d.news = newNews(before)
	s := &d.snapshot
	s.Revision, s.Previous = change.TaskDefinition, before.TaskDefinition
	s.New, s.Before = primary.ID != before.Primary().ID, before.Primary()
	s.Scaling = !s.New && !need.joins && before.Primary().RolloutState != "IN_PROGRESS"
	s.Earlier = nil
	// Somebody's may have begun since the service was read, which ours has replaced: while
	// ours is the PRIMARY one, all that are listed beside it came before.
	for _, earlier := range slices.Concat(before.Deployments, after.Deployments) {
		if earlier.ID != primary.ID && !slices.Contains(s.Earlier, earlier.ID) {
			s.Earlier = append(s.Earlier, earlier.ID)
		}
	}
	return d, nil
}
