package deploy

// Panics: a fault in the work for one service ends as an error of that service,
// with the stack of its goroutine, and never ends the process, nor what is done for
// the others. What only explains or verifies a deployment, its diagnosis and its
// proof, never changes what becomes of the service.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/rollout"
)

// spawn runs f in a goroutine of wait and keeps its error, or its panic as one.
func spawn(wait *sync.WaitGroup, err *error, f func() error) {
	wait.Go(func() { *err = guard.Run(f) })
}

// panicked reports whether err came from a panic.
func panicked(err error) bool {
	_, is := errors.AsType[*guard.Panic](err)
	return is
}

// startSafely is start. After a panic it is not known whether AWS has accepted the
// change, so the service is asked, as after an interruption.
func (d *Deployer) startSafely(ctx context.Context, p *Plan, t target) (moved, error) {
	began := time.Now()
	m, err := guard.Value(func() (moved, error) { return d.start(ctx, p, t) })
	if !panicked(err) {
		return m, err
	}
	m = moved{target: t, began: began, err: fmt.Errorf("start the deployment of service %s: %w", t.Name.Name, err)}
	found, err := guard.Value(func() (moved, error) { return d.accepted(ctx, m), nil })
	if err == nil && found.deployment != nil {
		found.err = nil // it is in progress, and is followed like any other
		return found, nil
	}
	return m, nil
}

// followSafely is follow. After a panic the deployment may go on and nobody watches
// it, which is an error of the run and not an outcome of the deployment.
func (d *Deployer) followSafely(ctx context.Context, r Request, l limit, m moved, progress func(rollout.Counts)) ending {
	e, err := guard.Value(func() (ending, error) { return d.follow(ctx, r, l, m, progress), nil })
	if err != nil {
		e.err = fmt.Errorf("follow the deployment of service %s: %w", m.Name.Name, err)
	}
	return e
}

// concludeSafely is conclude. After an error or a panic the service's state is shown.
func (d *Deployer) concludeSafely(ctx context.Context, r Request, l limit, m moved, e ending, culprit string) (ending, error) {
	if !panicked(e.err) {
		concluded, err := guard.Value(func() (ending, error) { return d.conclude(ctx, r, l, m, e, culprit) })
		if err == nil {
			return concluded, nil
		}
		if !panicked(err) { // the watch was interrupted, as by a session that expired
			d.showState(ctx, m.Name, m.deployment)
			return concluded, err
		}
		e.err = fmt.Errorf("end the rollout to service %s: %w", m.Name.Name, err)
		if e.failed(m) && e.rollback.Code == "" {
			e.rollback = Rollback{Wanted: r.RollbackOnFailure, Code: NotAccepted, Err: err}
		}
	}
	d.showState(ctx, m.Name, m.deployment)
	return e, e.err
}

// showState shows how a service is left for which the work ended with an error after
// it was changed. deployment is the one in progress, or nil.
func (d *Deployer) showState(ctx context.Context, name Service, deployment rollout.Deployment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
	defer cancel()
	now, err := guard.Value(func() (ecs.Service, error) { return d.ECS.Service(ctx, name.Cluster, name.Name) })
	left := Interrupted{Service: name, Now: now, Err: err, Fault: true}
	if deployment != nil {
		_ = guard.Run(func() error { left.Verdict = deployment.Verdict(); return nil })
	}
	d.View.Show(left)
}

// showCleared shows the state of the services of which another deployment was stopped
// for one that cannot be started now.
func (d *Deployer) showCleared(ctx context.Context, services []ServicePlan) {
	for _, s := range services {
		if s.Cleared {
			d.showState(ctx, s.Name, nil)
		}
	}
}

// leaveSafely is leave. A panic is shown as the reason for which the service's state
// is not known.
func (d *Deployer) leaveSafely(ctx context.Context, r Request, m moved, together bool) {
	if err := guard.Run(func() error { d.leave(ctx, r, m, together); return nil }); err != nil {
		_ = guard.Run(func() error { d.View.Show(Interrupted{Service: m.Name, Err: err, Fault: true}); return nil })
	}
}

// diagnose finds out why a deployment failed. It has no error: what goes wrong is
// one of the diagnosis's notes.
func (d *Deployer) diagnose(ctx context.Context, s diagnosis.Subject) diagnosis.Diagnosis {
	ctx, cancel := context.WithTimeout(ctx, diagnosing)
	defer cancel()
	found, err := guard.Value(func() (diagnosis.Diagnosis, error) { return d.Rollouts.Diagnose(ctx, s), nil })
	if err != nil {
		d.View.Show(Fault{err})
		found.Notes = append(found.Notes, diagnosis.Note{What: diagnosis.Everything, Why: diagnosis.Unexpected, Text: err.Error()})
	}
	return found
}

// proving is how long it may take to compare the digests of a service.
const proving = 30 * time.Second

// prove compares what a deployment runs with what was rolled out. What cannot be
// read, for whatever reason, is unknown and not wrong.
func (d *Deployer) prove(ctx context.Context, s rollout.Snapshot, want map[string][]string) rollout.Proof {
	ctx, cancel := context.WithTimeout(ctx, proving)
	defer cancel()
	proof, err := guard.Value(func() (rollout.Proof, error) { return d.Rollouts.Prove(ctx, s, want), nil })
	if err != nil {
		d.View.Show(Fault{err})
		return rollout.Proof{Wanted: want, ResolvedErr: err, TasksErr: err}
	}
	return proof
}
