package deploy

// The phases in which services are moved and followed. All are started, then all
// are followed, then it is concluded: where one fails and a rollback is wanted, all
// that were moved go back.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
)

// moved is a service whose deployment was started, or could not be.
type moved struct {
	target
	deployment rollout.Deployment // nil where it could not be started
	began      time.Time
	err        error // why it could not be started
}

// goesBack reports whether the service goes back with the others when the rollout
// to one of them fails: a deployment brings it to its revision, that of this run or
// one that an earlier run of the step has started.
func (m moved) goesBack() bool {
	if m.err != nil || m.Back {
		return false
	}
	now := m.deployment.Snapshot()
	return now.New || !now.Reached && !now.Scaling
}

// ending is how the deployment of a service ended, before anything was done about it.
type ending struct {
	verdict   rollout.Verdict
	err       error  // the watch was interrupted
	sibling   string // the service whose failure ended the watch
	schedule  string // the rule or schedule whose failure makes the service go back
	verified  bool   // what the service runs was compared with what it should
	shifted   bool   // the time is over, and the new revision has all of the traffic
	diagnosis diagnosis.Diagnosis
	proof     rollout.Proof
	rollback  Rollback
	smoke     []SmokeResult
	balancing rollout.Balancing
	unchanged bool // the smoke test of a service that ran the revision already failed
}

// failed reports whether the service does not run what it should, and never will.
// A rollback that was asked for is what it should do.
func (e ending) failed(m moved) bool {
	switch e.verdict.Outcome {
	case rollout.RolledBack:
		return !m.Back
	case rollout.Failed, rollout.Superseded:
		return true
	case rollout.TimedOut:
		return !e.shifted
	}
	return false
}

// siblingError ends the watch of a service because another one has failed.
type siblingError struct{ service string }

func (e *siblingError) Error() string { return "the rollout to service " + e.service + " failed" }

// rollOut moves the services side by side and follows each to its end. ctx is the
// run's own; bounded ends where the time for the rollout is over.
func (d *movement) rollOut(ctx, bounded context.Context, p *Plan, l limit, targets []target) ([]ServiceResult, error) {
	if len(p.Request.Order) > 0 && p.Request.Wait {
		return d.rollOutInOrder(ctx, bounded, p, l, targets)
	}
	section := Section{Kind: RolloutSection, Name: targets[0].Name.String(), Services: len(targets)}
	defer d.View.Section(section)()
	all := make([]moved, len(targets))
	err := each(targets, func(i int, t target) (err error) {
		all[i], err = d.startSafely(bounded, p, t)
		return err
	})
	if ctx.Err() != nil {
		d.leaveAll(ctx, p.Request, all)
		return results(all, nil), errors.Join(err, context.Cause(ctx))
	}
	return d.followAll(ctx, p.Request, l, all)
}

// startTries is how often a service is started that someone else keeps changing.
const startTries = 3

// start asks for the deployment of a service. A service that was changed since it
// was settled is settled again. What AWS refuses is kept with the service: the
// others go on, or go back.
func (d *Deployer) start(ctx context.Context, p *Plan, t target) (moved, error) {
	began := time.Now()
	for try := 1; ; try++ {
		deployment, err := t.Controller.Start(ctx, t.change(p.Request))
		moves := false
		if err == nil {
			deployment, moves, err = d.forceMovedTag(ctx, p.Request, t, deployment)
		}
		var since *rollout.MovedError
		if errors.As(err, &since) && try < startTries {
			was := t.Revision
			if t, err = d.retarget(ctx, p, t); err == nil {
				err = p.unmigrated(t, was)
			}
			if err == nil {
				continue
			}
		}
		if err != nil {
			if ctx.Err() == nil {
				d.View.Show(NotStarted{t.Name, err})
			}
			return moved{target: t, began: began, err: err}, nil
		}
		d.View.Show(Started{Service: t.Name, Now: deployment.Snapshot(), Digest: moves})
		return moved{target: t, deployment: deployment, began: began}, nil
	}
}

// change is what the service is asked for.
func (t target) change(r Request) rollout.Change {
	return rollout.Change{
		TaskDefinition: t.Revision,
		DesiredCount:   r.DesiredCount,
		Force:          r.Force,
		RollBack:       r.RollbackOnFailure && !isPlaceholder(t.Running),
		Supersede:      r.WhenBusy == Supersede,
		Expect:         t.Service.Primary().ID,
	}
}

// retarget settles a service again that was changed by someone else, and finds the
// revision that it is to run then. One that was chosen, as command rollback does,
// stays.
func (d *Deployer) retarget(ctx context.Context, p *Plan, t target) (target, error) {
	if !p.Request.Rollout {
		s, err := d.meet(ctx, t.ServicePlan)
		if err == nil {
			s, err = d.makeRoom(ctx, p, s)
		}
		t.ServicePlan = s
		return t, err
	}
	s, err := d.settleService(ctx, p, newLibrary(d.ECS), t.ServicePlan, true)
	if err != nil {
		return t, err
	}
	again, err := d.register(ctx, p, s, []target{t})
	again.Pushed, again.migrated = t.Pushed, t.migrated
	return again, err
}

// followAll follows every deployment to its end, has rules and schedules follow, and
// concludes.
func (d *movement) followAll(ctx context.Context, r Request, l limit, all []moved) ([]ServiceResult, error) {
	endings := make([]ending, len(all))
	watch, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	together := len(all) > 1 && r.RollbackOnFailure
	total := newMeter(d.View, len(all))
	for _, m := range all {
		if m.err != nil && together {
			fail(&siblingError{m.Name.Name})
		}
	}
	if !r.Wait {
		for i, m := range all {
			switch {
			case m.err != nil:
			case m.deployment.Snapshot().Reached: // there is nothing to wait for
				endings[i].verdict = rollout.Judge(m.deployment.Snapshot())
			default:
				d.View.Show(NotWaiting{m.Name})
			}
		}
		d.addresses(ctx, all, endings)
		return results(all, endings), nil
	}
	_ = each(all, func(i int, m moved) error {
		until := ctx // of what does not go back with the others
		if m.goesBack() {
			until = watch
		}
		endings[i] = d.examine(ctx, m, d.followSafely(until, r, l, m, total.of(i)))
		if endings[i].verdict.Outcome.Good() && ctx.Err() == nil {
			endings[i] = d.verify(ctx, m, endings[i]) // a wrong image is a failure of all
		}
		if endings[i].failed(m) && together {
			fail(&siblingError{m.Name.Name})
		}
		return nil
	})
	d.lookAgain(ctx, r, l, all, endings)
	if ctx.Err() == nil {
		d.followed(ctx, all, endings)
	}
	if ctx.Err() != nil {
		err := interruptions(endings)
		if err == nil { // all watches had ended
			err = context.Cause(ctx)
		}
		d.leaveAll(ctx, r, all)
		return results(all, endings), err
	}
	broken := d.concludeAll(ctx, r, l, all, endings)
	d.addresses(ctx, all, endings)
	d.explain(ctx, all, endings)
	return results(all, endings), broken
}

// lookAgain looks again at the deployments that had not ended when their watch did,
// where others were followed for longer. One that was paused may have been answered, or
// its time may have passed: it is followed to its end. One that failed and is left as
// it is may have ended since.
func (d *Deployer) lookAgain(ctx context.Context, r Request, l limit, all []moved, endings []ending) {
	if len(all) == 1 {
		return
	}
	_ = each(all, func(i int, m moved) error {
		switch e := endings[i]; {
		case ctx.Err() != nil || e.err != nil || m.err != nil:
			return nil
		case e.verdict.Outcome == rollout.Paused:
			endings[i] = d.examine(ctx, m, d.followSafely(ctx, r, l, m, func(rollout.Counts) {}))
		case e.verdict.Outcome == rollout.Failed && !r.goesBackAfter(e):
			endings[i] = d.lookOnce(ctx, r, l, m, e)
		default:
			return nil
		}
		if endings[i].verdict.Outcome.Good() && ctx.Err() == nil {
			endings[i] = d.verify(ctx, m, endings[i])
		}
		return nil
	})
}

// lookingAgain is how long a deployment is looked at again: two readings, or one where
// the time is over.
const lookingAgain = 2 * time.Second

// lookOnce looks at a deployment that has failed and was left in progress. How it has
// ended since is its outcome. A test of it that has failed stays a failure where it
// succeeded, and one that was not made is made then.
func (d *Deployer) lookOnce(ctx context.Context, r Request, l limit, m moved, e ending) ending {
	switch e.verdict.Reason.Code {
	case rollout.TasksFail, rollout.TasksNotStarted, SmokeTestFailed:
	default: // it had ended
		return e
	}
	limits := rollout.Limits{Timeout: min(l.left(false), lookingAgain), Until: r.Until}
	for event := range m.deployment.Watch(ctx, limits) {
		d.View.Show(Happened{m.Name, event})
	}
	again := m.deployment.Verdict()
	switch code := again.Reason.Code; {
	case m.deployment.Err() != nil, again.Outcome == rollout.TimedOut, again.Outcome == rollout.Paused:
	case code == rollout.DeploymentFailed, code == rollout.DeploymentStopped: // for the cause that is known already
	case again.Outcome.Good() && e.verdict.Reason.Code == SmokeTestFailed:
	case again.Outcome.Good() && m.Smoke != nil && !m.Back && len(e.smoke) == 0:
		return d.examine(ctx, m, d.followSafely(ctx, r, l, m, func(rollout.Counts) {}))
	default:
		e.verdict = again
	}
	return e
}

// followed has rules and schedules follow where every service runs its revision, and
// says of the services that go back with one that cannot.
func (d *movement) followed(ctx context.Context, all []moved, endings []ending) {
	targets := make([]target, len(all))
	for i, m := range all {
		if targets[i] = m.target; m.Back || endings[i].err != nil || !endings[i].verdict.Outcome.Good() {
			d.stay()
			return
		}
	}
	failed := d.after(ctx, targets)
	if failed == "" || !d.request.RollbackOnFailure {
		return
	}
	for i, m := range all {
		if m.goesBack() {
			endings[i].schedule = failed
		}
	}
}

// interruptions are the errors for which watches ended, but for those of siblings.
func interruptions(endings []ending) error {
	var errs []error
	for _, e := range endings {
		if e.sibling == "" {
			errs = append(errs, e.err)
		}
	}
	return errors.Join(errs...)
}

// follow watches a deployment to its end.
func (d *Deployer) follow(ctx context.Context, r Request, l limit, m moved, progress func(rollout.Counts)) ending {
	if m.err != nil {
		return ending{verdict: rollout.Verdict{Outcome: rollout.Failed, Reason: notStarted(m.err)}}
	}
	if m.Smoke != nil && !m.Back {
		return d.followTested(ctx, r, l, m, progress)
	}
	return d.watch(ctx, r, l, m, r.Until, progress)
}

// watch watches a deployment until it has come as far as until says.
func (d *Deployer) watch(ctx context.Context, r Request, l limit, m moved, until rollout.Until, progress func(rollout.Counts)) ending {
	limits := rollout.Limits{Timeout: l.left(false), Pace: pace(len(r.Services)), Until: until, MaxFailedTasks: r.MaxFailedTasks}
	for e := range m.deployment.Watch(ctx, limits) {
		d.View.Show(Happened{m.Name, e})
		if counts, is := e.What.(rollout.Counts); is {
			progress(counts)
		}
	}
	e := ending{verdict: m.deployment.Verdict(), err: m.deployment.Err()}
	if e.verdict.Outcome == rollout.TimedOut {
		e.verdict.Reason.After, e.verdict.Reason.Kept = l.forward(), l.rollback
		if e.verdict.Reason.Code == rollout.NotInTime { // and not what was seen long before
			now := m.deployment.Snapshot()
			e.shifted = now.Shifted() && (now.CodeDeploy != nil || now.Service.Primary().ID == now.ID)
			e = e.configured(r, l, m)
		}
	}
	if e.err != nil {
		return e.interrupted("follow", m, e.err)
	}
	return e
}

// interrupted is an ending before there was a verdict: another service has failed,
// or the error is that of the run.
func (e ending) interrupted(doing string, m moved, err error) ending {
	e.verdict, e.err = rollout.Verdict{}, err
	var sibling *siblingError
	if errors.As(err, &sibling) {
		e.sibling = sibling.service
	} else {
		e.err = fmt.Errorf("%s the deployment of service %s: %w", doing, m.Name.Name, err)
	}
	return e
}

// pace is how often that many services are looked at, at most: AWS describes ten in a
// call, and however many there are, there is a call in two seconds.
func pace(services int) time.Duration {
	return time.Duration((services+9)/10) * 2 * time.Second
}

// diagnosing is how long it may take to find out why a rollout failed.
const diagnosing = 15 * time.Second

// examine finds out why a deployment ended badly, before anything is stopped:
// afterwards the tasks only tell of that.
func (d *Deployer) examine(ctx context.Context, m moved, e ending) ending {
	switch e.verdict.Outcome {
	case rollout.Failed, rollout.TimedOut, rollout.RolledBack:
	default:
		return e
	}
	if m.err != nil || m.Back || e.shifted || ctx.Err() != nil {
		return e // where all traffic is shifted, no task is to blame
	}
	e.diagnosis = d.diagnose(ctx, m.deployment.Snapshot().Subject())
	if e.verdict.Reason.Code == SmokeTestFailed {
		e.diagnosis = ofTested(e.diagnosis)
	}
	d.View.Show(Diagnosed{m.Name, e.diagnosis})
	return e
}

// concludeAll does what is left to do after all have ended: services go back, or
// what they run is verified. The error joins the watches that were interrupted.
func (d *Deployer) concludeAll(ctx context.Context, r Request, l limit, all []moved, endings []ending) error {
	culprit := ""
	if len(all) > 1 && r.RollbackOnFailure {
		for i, e := range endings {
			if e.failed(all[i]) && culprit == "" {
				culprit = all[i].Name.Name
			}
		}
	}
	return each(all, func(i int, m moved) error {
		var err error
		endings[i], err = d.concludeSafely(ctx, r, l, m, endings[i], culprit)
		return err
	})
}

// conclude ends the rollout to one service. culprit is the service whose failure
// makes all go back; empty where there is none.
func (d *Deployer) conclude(ctx context.Context, r Request, l limit, m moved, e ending, culprit string) (ending, error) {
	if m.err != nil {
		return e, nil
	}
	switch outcome := e.verdict.Outcome; {
	case e.err != nil && e.sibling == "":
		return e, e.err
	case m.Back && outcome == rollout.RolledBack:
		return e, nil
	case e.shifted && culprit == "":
		// Nothing is wrong with the revision: only the time limit has passed.
		e.rollback = Rollback{Code: TrafficStays, To: m.Good}
		return e, nil
	case e.schedule != "":
		failed := e.schedule
		e = d.goBack(ctx, r, l, m, e, failed)
		e.verdict = rollout.Verdict{Outcome: rollout.Failed, Reason: rollout.Reason{Code: ScheduleFailed, Detail: failed}}
	case !e.failed(m) && culprit != "" && m.goesBack(): // paused ones too
		e = d.goBack(ctx, r, l, m, e, culprit)
		e.verdict = rollout.Verdict{Outcome: rollout.Failed, Reason: rollout.Reason{Code: SiblingFailed, Detail: culprit}}
	case e.verdict.Reason.Code == rollout.WrongDigest && culprit == "":
		// The deployment completed and its tasks are healthy: what runs is another
		// push of the same tag, which is not for this run to replace.
	case outcome == rollout.Failed || outcome == rollout.TimedOut:
		if r.goesBackAfter(e) {
			d.View.Show(Failing{m.Name, e.verdict})
			e = d.goBack(ctx, r, l, m, e, culprit)
		}
		d.stillBlocks(m)
	}
	if e.verdict.Reason.Code == rollout.CompletedAnyway && e.verdict.Outcome.Good() {
		if e = d.completed(ctx, r, l, m, e); e.err != nil {
			return e, e.err
		}
	}
	d.mark(ctx, r, m, e)
	return e, nil
}

// completed is the ending of a deployment that completed before it could be stopped: what
// it runs is verified, and a smoke test that was not made is made then.
func (d *Deployer) completed(ctx context.Context, r Request, l limit, m moved, e ending) ending {
	if !e.verified {
		e = d.verify(ctx, m, e)
	}
	if m.Smoke == nil || m.Back || len(e.smoke) > 0 || !e.verdict.Outcome.Good() {
		return e
	}
	tested := d.examine(ctx, m, d.followSafely(ctx, r, l, m, func(rollout.Counts) {}))
	tested.proof, tested.verified = e.proof, e.verified
	if tested.err != nil || !tested.failed(m) {
		if tested.verdict.Outcome.Good() {
			tested.verdict.Reason = e.verdict.Reason
		}
		return tested
	}
	d.View.Show(Failing{m.Name, tested.verdict})
	return d.goBack(ctx, r, l, m, tested, "")
}

// SiblingFailed is the reason of a service that went back because the rollout to
// another one failed; Detail names that one.
const SiblingFailed rollout.Code = "siblingFailed"

// stillBlocks says that a failed deployment is in the way of the next one.
func (d *Deployer) stillBlocks(m moved) {
	if now := m.deployment.Snapshot(); now.InProgress() && now.Blocks() {
		d.View.Show(StillBlocks{m.Name, now})
	}
}

// verify proves that the deployment runs the digests that were rolled out. What
// contradicts turns the outcome into a failure; what cannot be read is said, for
// the deployment itself did succeed.
func (d *Deployer) verify(ctx context.Context, m moved, e ending) ending {
	now := m.deployment.Snapshot()
	want := m.want()
	if now.Service.Desired == 0 || len(want) == 0 && !now.Service.Express {
		return e
	}
	proof := d.prove(ctx, now, want)
	e.proof = proof
	if len(want) > 0 {
		d.View.Show(Verified{m.Name, proof})
	}
	if len(proof.Contradicted()) > 0 {
		e.verdict = rollout.Verdict{Outcome: rollout.Failed, Reason: rollout.Reason{Code: rollout.WrongDigest}}
	}
	return e
}

// results writes down how every service ended.
func results(all []moved, endings []ending) []ServiceResult {
	out := make([]ServiceResult, len(all))
	for i, m := range all {
		var e ending
		if endings != nil {
			e = endings[i]
		}
		out[i] = e.write(m)
	}
	return out
}

// write is the result of a service: the one place where outcomes are written.
func (e ending) write(m moved) ServiceResult {
	r := m.outline()
	if !m.began.IsZero() { // it was its turn
		r.Took = time.Since(m.began)
	}
	r.Err = m.err
	if m.err != nil {
		r.Outcome, r.Reason = rollout.Failed, notStarted(m.err)
		return r
	}
	if m.deployment == nil {
		return r
	}
	now := m.deployment.Snapshot()
	r.Revision, r.Scaled = m.Revision, now.Scaling
	r.Deployment, r.HookID = now.RecordARN(), now.HookID()
	if now.CodeDeploy != nil {
		r.CodeDeploy = now.ID
	}
	r.Running, r.Desired = now.Own.Running, now.Service.Desired
	r.Outcome, r.Reason = e.verdict.Outcome, e.verdict.Reason
	r.Diagnosis, r.Proof, r.Rollback, r.Smoke = e.diagnosis, e.proof, e.rollback, e.smoke
	r.TargetGroups, r.Balancing = now.Service.TargetGroups, e.balancing
	if len(r.Proof.Endpoints) > 0 {
		r.URL = r.Proof.Endpoints[0]
	}
	if r.Outcome == rollout.Unchanged && m.Cleared { // and so the service came back to it
		r.Outcome = rollout.Succeeded
	}
	if r.Rollback.Done {
		r.Outcome = rollout.RolledBack
	}
	return r
}

// notStarted is the reason of a deployment whose start ended with an error.
func notStarted(err error) rollout.Reason {
	if _, unknown := errors.AsType[*rollout.UnansweredError](err); unknown {
		return rollout.Reason{Code: rollout.StartUnknown}
	}
	return rollout.Reason{Code: rollout.NotStarted}
}

// meter adds the services' shares of running tasks up to one percentage, to which
// each service adds the same. The push, where there is one, took the first half.
type meter struct {
	view   View
	mu     sync.Mutex
	shares []float64 // by service: of its desired tasks, those that run
	shown  int
}

func newMeter(view View, services int) *meter {
	return &meter{view: view, shares: make([]float64, services)}
}

// of is where the counts of one service are handed in.
func (m *meter) of(i int) func(rollout.Counts) {
	return func(counts rollout.Counts) {
		if counts.Desired == 0 {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		// A service that begins to lose tasks has had them.
		m.shares[i] = max(m.shares[i], float64(min(counts.Running, counts.Desired))/float64(counts.Desired))
		sum := 0.0
		for _, share := range m.shares {
			sum += share
		}
		if percent := 50 + int(45*sum/float64(len(m.shares))+1e-9); percent > m.shown { // it only moves forward
			m.shown = percent
			m.view.Progress(percent, RollingOut)
		}
	}
}

// primaryOf is the id of the PRIMARY deployment that this run knows of.
func primaryOf(s rollout.Snapshot, service ecs.Service) string {
	if s.CodeDeploy != nil {
		return service.Primary().ID
	}
	return s.ID
}
