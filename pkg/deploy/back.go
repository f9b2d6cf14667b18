package deploy

// Rolling back: a service whose rollout failed returns to the revision that ran
// before, and the step still fails. Where ECS rolls back by itself there is nothing
// to do here.

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// goBack returns a service to a proven revision after its rollout failed, or after
// that of another one did: culprit is the first of several that failed, and empty
// for a single service. It reads anew before it sends anything, so the ending it
// returns may be another one: the deployment may have ended meanwhile.
func (d *Deployer) goBack(ctx context.Context, r Request, l limit, m moved, e ending, culprit string) ending {
	if e.verdict.Reason.Code == rollout.ServiceDeleted || e.verdict.Reason.Code == rollout.ServiceDraining {
		return e // there is nothing to roll back
	}
	if back, did := d.goBackPaused(ctx, l, m, e); did {
		return back
	}
	to, code, err := d.proven(ctx, m.ServicePlan, m.Revision)
	if to == "" {
		e.rollback = Rollback{Wanted: true, Code: code, Err: err}
		d.View.Show(RollbackEnded{m.Name, e.rollback})
		return e
	}
	// Who cancels the run now wants the service to go back all the same.
	own, stop := lingering(ctx, cmp.Or(r.Parting, parting))
	defer stop()
	within, cancel := context.WithTimeout(own, max(l.left(true), leastBack))
	defer cancel()
	deployment, to, refused, err := d.retreat(within, m, to, culprit != "" || e.verdict.Reason.Code == SmokeTestFailed)
	switch {
	case errors.Is(err, errCompleted):
		e.verdict = rollout.Verdict{Outcome: rollout.Succeeded, Reason: rollout.Reason{Code: rollout.CompletedAnyway}}
		return e
	case errors.Is(err, errRolledBack):
		e.rollback = Rollback{Wanted: true, To: to, Done: true, Reason: m.deployment.Verdict().Reason}
	case errors.Is(err, rollout.ErrNotOurs) && m.deployment.Verdict().Outcome == rollout.Superseded:
		e.verdict = m.deployment.Verdict()
		return e
	case err != nil:
		e.rollback = Rollback{Wanted: true, To: to, Code: codeOf(err), Err: err}
	default:
		if e.failed(m) {
			culprit = ""
		}
		d.View.Show(RollingBack{Service: m.Name, To: to, Other: culprit, Schedule: e.schedule != "", Refused: refused})
		e.rollback = d.followBack(ctx, l, m, deployment, to)
	}
	d.View.Show(RollbackEnded{m.Name, e.rollback})
	return e
}

var (
	errCompleted  = errors.New("the deployment completed before it could be stopped")
	errRolledBack = errors.New("the deployment was rolled back meanwhile")
	errSame       = errors.New("what was rolled out is all there is to go back to")
)

// codeOf is why a rollback could not be started.
func codeOf(err error) RollbackCode {
	var since *rollout.MovedError
	var unanswered *rollout.UnansweredError
	switch {
	case errors.As(err, &unanswered):
		return RollbackUnknown
	case errors.Is(err, errSame):
		return SameRevision
	case errors.Is(err, rollout.ErrNotOurs), errors.As(err, &since):
		return OthersDeployment
	}
	return NotAccepted
}

// retreat starts the rollback of a deployment: it is stopped and rolled back where
// it is in progress, or, where it has ended or that is refused, the service is moved
// to the revision to. refused is why it could not be stopped. One that completes
// before it can be stopped stays, unless the service is to go back all the same. at is
// the revision to which it goes back: a copy, where to was deregistered meanwhile.
func (d *Deployer) retreat(ctx context.Context, m moved, to string, allTheSame bool) (deployment rollout.Deployment, at string, refused, err error) {
	now := m.deployment.Snapshot()
	if (now.InProgress() || now.RollingBack() || now.Unshown()) && (to == now.Previous || now.Previous == "") {
		err := m.deployment.Stop(ctx)
		switch {
		case err == nil:
			return m.deployment, to, nil, nil
		case errors.Is(err, rollout.ErrNotOurs), errors.Is(err, rollout.ErrNotShown):
			return nil, to, nil, err
		case errors.Is(err, rollout.ErrEnded):
			switch m.deployment.Verdict().Outcome {
			case rollout.RolledBack:
				return nil, to, nil, errRolledBack
			case rollout.Succeeded:
				if !m.deployment.Snapshot().Asked && now.New && !allTheSame {
					return nil, to, nil, errCompleted
				}
			}
		case now.Blocks(): // nor would another one be started
			return nil, to, nil, err
		default:
			refused = err
		}
	}
	if to == m.Revision && !now.Blocks() {
		return nil, to, refused, errSame
	}
	if to, err = d.standing(ctx, m.Name, to); err != nil {
		return nil, to, refused, err
	}
	known := []string{now.ID}
	if m.Other != nil { // what was in progress before, and may still be listed so
		known = append(known, m.Other.Snapshot().ID)
	}
	change := rollout.Change{
		TaskDefinition: to,
		// What CodeDeploy left behind may still have a share of the traffic.
		Force:    now.Blocks(),
		Replaces: known,
		Expect:   primaryOf(now, m.deployment.Snapshot().Service),
	}
	for try := 0; ; try++ {
		deployment, err = m.Controller.Start(ctx, change)
		primary, back := goesBackAlready(now, err)
		switch {
		case !back:
			return deployment, to, refused, err
		case try == unshownTries || !unshown(m.deployment.Snapshot(), err):
			return m.deployment, primary.TaskDefinition, nil, nil
		case until(ctx) < 2*unshownPause || sleep(ctx, unshownPause) != nil:
			return nil, to, refused, rollout.ErrNotShown
		}
	}
}

// A service that is shown as it was before the deployment is read again so often, after
// such pauses, until that is taken for a rollback by ECS.
const (
	unshownTries = 15
	unshownPause = time.Second
)

// unshown reports whether a service could not be moved back since it is shown as it was
// before the deployment.
func unshown(now rollout.Snapshot, err error) bool {
	since, moved := errors.AsType[*rollout.MovedError](err)
	return moved && now.In(since.Service).Unshown()
}

// goesBackAlready reports whether a service could not be moved back since ECS does so
// itself, which revives an earlier deployment. The list of deployments shows that
// where their records cannot be read.
func goesBackAlready(now rollout.Snapshot, err error) (ecs.Deployment, bool) {
	since, moved := errors.AsType[*rollout.MovedError](err)
	if !moved {
		return ecs.Deployment{}, false
	}
	primary := since.Service.Primary()
	return primary, now.CodeDeploy == nil && now.Returns(primary)
}

// leastBack is how long it may take to begin a rollback, also where less is left of the
// time limit.
const leastBack = time.Minute

// backLimit is how long a rollback is followed where the run has no time limit.
const backLimit = 15 * time.Minute

// followBack follows a rollback to its end.
func (d *Deployer) followBack(ctx context.Context, l limit, m moved, deployment rollout.Deployment, to string) Rollback {
	limits := rollout.Limits{Timeout: min(l.left(true), backLimit), Until: rollout.UntilTraffic}
	for e := range deployment.Watch(ctx, limits) {
		d.View.Show(Happened{m.Name, e})
	}
	b := Rollback{Wanted: true, To: to, Reason: deployment.Verdict().Reason, Err: deployment.Err()}
	switch v := deployment.Verdict(); {
	case b.Err != nil:
		b.Code = StillInProgress
	case v.Outcome == rollout.RolledBack && deployment == m.deployment, v.Outcome.Good() && deployment.Snapshot().Revision == to:
		b.Done = true // one that moves the service back may itself be rolled back
	case v.Outcome == rollout.Superseded:
		b.Code = OthersDeployment
	case v.Outcome == rollout.TimedOut:
		b.Code = StillInProgress
	default:
		b.Code = EndedBadly
	}
	return b
}

// proven returns the ARN of the revision to go back to from the given one: the one
// that the service had reached before, else the last one whose deployment
// succeeded. It is never the placeholder, which would only hide that nothing runs.
func (d *Deployer) proven(ctx context.Context, s ServicePlan, from string) (string, RollbackCode, error) {
	if s.Good != "" {
		definition := s.Running
		if definition.ARN() != s.Good {
			var err error
			if definition, err = d.ECS.Definition(ctx, s.Good); err != nil {
				return "", NotAccepted, err
			}
		}
		switch {
		case isPlaceholder(definition):
			return "", OnlyPlaceholder, nil
		case !definition.Unproven():
			return s.Good, "", nil
		}
	}
	for definition, err := range d.returnable(ctx, s, from, func(PassedOver) {}) {
		return definition.ARN(), NotAccepted, err
	}
	return "", NoEarlierRevision, nil
}

// successes yields the revisions of the service whose deployment was successful:
// the one that it has reached, then those that ECS remembers, newest first; one may
// come up again.
func (d *Deployer) successes(ctx context.Context, s ServicePlan) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if s.Good != "" && !yield(s.Good, nil) || s.Controller == nil { // a revision alone
			return
		}
		for revision, err := range s.Controller.Successes(ctx) {
			if !yield(revision, err) {
				return
			}
		}
	}
}

// returnable yields the revisions to which the service can go back from the given
// one, newest first: those of its successes that ECS still knows, of which tasks
// have run, and not the placeholder. It tells which it passes over.
func (d *Deployer) returnable(ctx context.Context, s ServicePlan, from string, pass func(PassedOver)) iter.Seq2[taskdef.Definition, error] {
	return func(yield func(taskdef.Definition, error) bool) {
		for revision, err := range d.successes(ctx, s) {
			if err != nil {
				yield(taskdef.Definition{}, err)
				return
			}
			if revision == from {
				continue
			}
			definition, err := d.ECS.Fresh(ctx, revision) // it may have been deregistered since it was read
			switch {
			case mistake.Absent(err):
				pass(PassedOver{ecs.ShortARN(revision), wasDeleted})
				continue
			case err == nil && isPlaceholder(definition):
				pass(PassedOver{ecs.ShortARN(revision), runsNothing})
				continue
			case err == nil && definition.Unproven():
				pass(PassedOver{ecs.ShortARN(revision), neverRan})
				continue
			}
			if !yield(definition, err) || err != nil {
				return
			}
		}
	}
}

// parting is how long an interrupted run may take to leave the services as it
// promised, where the request does not say: the agent sends its second signal 7.5 s
// after the first.
const parting = 5 * time.Second

// leaveAll ends a run that was interrupted: deployments of its own are rolled back
// where that is wanted, and it says in what state every service is left.
func (d *Deployer) leaveAll(ctx context.Context, r Request, all []moved) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(r.Parting, parting))
	defer cancel()
	_ = each(all, func(_ int, m moved) error {
		d.leaveSafely(ctx, r, m, len(all) > 1)
		return nil
	})
}

// leave ends the rollout to one service. Where it is one of several it goes back
// even if it completes meanwhile, as the others do.
func (d *Deployer) leave(ctx context.Context, r Request, m moved, together bool) {
	m = d.accepted(ctx, m)
	if m.deployment == nil || m.deployment.Snapshot().Reached {
		return // nothing of the service was changed
	}
	left := Interrupted{Service: m.Name, Verdict: m.deployment.Verdict()}
	back := left.Verdict.Outcome == rollout.RolledBack // by ECS
	if r.RollbackOnCancel && m.deployment.Snapshot().New && !back {
		left.Rollback.Wanted = true
		to, code, err := d.proven(ctx, m.ServicePlan, m.Revision)
		left.Rollback.To, left.Rollback.Code, left.Rollback.Err = to, code, err
		if to != "" {
			_, left.Rollback.To, _, err = d.retreat(ctx, m, to, together)
			left.Rollback.Done = err == nil || errors.Is(err, errRolledBack)
			left.Rollback.Err = err
			left.Rollback.Code = StillInProgress
			if !left.Rollback.Done {
				left.Rollback.Code = codeOf(err)
			}
		}
	}
	if !left.Rollback.Done {
		left.Now, left.Err = d.ECS.Service(ctx, m.Name.Cluster, m.Name.Name)
	}
	d.View.Show(left)
}

// accepted is a service whose start was interrupted: AWS may have accepted the
// change all the same. What is in progress then and was not before is ours.
func (d *Deployer) accepted(ctx context.Context, m moved) moved {
	if m.deployment != nil || m.Controller == nil || m.err == nil {
		return m
	}
	found, err := m.Controller.InFlight(ctx)
	if err != nil || found == nil {
		return m
	}
	now := found.Snapshot()
	if _, before := m.Service.Deployment(now.ID); before || now.Revision != m.Revision || m.Other != nil && m.Other.Snapshot().ID == now.ID {
		return m
	}
	m.deployment = ours{found}
	return m
}

// ours is a deployment that was found in progress and that this run has started.
type ours struct{ rollout.Deployment }

// Snapshot says that the deployment is new.
func (o ours) Snapshot() rollout.Snapshot {
	s := o.Deployment.Snapshot()
	s.New = true
	return s
}
