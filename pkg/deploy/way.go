package deploy

// The ways to deploy a service: ECS's own, and CodeDeploy's. What the commands
// need of either is here; each has a file of its own.

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// way deploys one service, as it was read.
type way interface {
	// inFlight returns the deployment that is under way, or nil. before is the
	// service as it was first seen: its revision is the one to speak of as previous.
	inFlight(ctx context.Context, before rollout.Service) (deployment, error)
	// paused returns the deployment that waits for an answer. hookID may be
	// empty; where none waits the error is a *rollout.Problem.
	paused(ctx context.Context, hookID string) (deployment, error)
	// proven returns the revision that the service rests on, or would go back to
	// from a deployment in flight; empty where its own deployment failed, or
	// where that is not known.
	proven(ctx context.Context) (revision string, err error)
	// start has the service run change. Where it was asked for the same before,
	// it returns the deployment that is there. With rollBack, AWS is to roll
	// back by itself where a deployment can be told to.
	start(ctx context.Context, log *slog.Logger, change rollout.Change, rollBack bool) (deployment, error)
}

// deployment is one deployment of a service, under way or over.
type deployment interface {
	// watch returns a watch over it; what is known afterwards is what it saw.
	watch(l limits) watch
	known() known
	// stop asks AWS to end it and to roll the service back. The next watch shows
	// how that went.
	stop(ctx context.Context) error
	// answer lets it go on where it waits, or has it rolled back.
	answer(ctx context.Context, rollback bool) error
}

// watch follows a deployment: range over Events until it ends, then ask for the
// Verdict.
type watch interface {
	Events(ctx context.Context) iter.Seq[rollout.Event]
	Verdict() rollout.Verdict
	Err() error
	State() rollout.State
}

// limits say what is not waited for.
type limits struct {
	timeout        time.Duration
	untilTraffic   bool
	maxFailedTasks int
}

// known is what is known of a deployment.
type known struct {
	rollout.Started
	name     string // ARN of the service deployment, or CodeDeploy's id; empty while it is not known
	hookID   string // what has to be answered while it waits; else empty
	underWay bool   // it can be stopped
	shifted  bool   // it has all of the production traffic already
	rests    bool   // it had succeeded before anybody asked for it
	alone    bool   // no other can start before it has ended
}

// wayOf returns the way in which a service is deployed.
func (d *Deployer) wayOf(ctx context.Context, s rollout.Service) (way, error) {
	if s.Controller != byCodeDeploy {
		return ecsWay{d.ECS, s}, nil
	}
	group, err := d.ECS.CodeDeployGroup(ctx, s)
	if err != nil {
		return nil, err
	}
	return codeDeployWay{d.ECS, s, group}, nil
}

// attend finds out how the service is deployed, and what is under way there.
func (d *Deployer) attend(ctx context.Context, s *servicePlan) (err error) {
	if s.way, err = d.wayOf(ctx, s.service); err == nil {
		s.other, err = s.way.inFlight(ctx, s.service)
	}
	return err
}

// successes yields the revisions of the service whose deployment was
// successful: the one that is proven, then those that ECS remembers, newest
// first; one may come up again.
func (d *Deployer) successes(ctx context.Context, s *servicePlan) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		revision, err := s.way.proven(ctx)
		if err != nil {
			yield("", err)
			return
		}
		if revision != "" && !yield(revision, nil) {
			return
		}
		for revision, err := range d.ECS.Successes(ctx, s.service) {
			if err != nil && s.service.Controller == byCodeDeploy {
				// ECS need not keep a list of what CodeDeploy did.
				d.Log.Debug("no earlier deployments found", "service", s.name.Name, "error", err)
				return
			}
			if !yield(revision, err) {
				return
			}
		}
	}
}

// returnable yields the revisions to which the service can go back from the
// given one, newest first: those of its successes that are still there, and not
// the placeholder.
func (d *Deployer) returnable(ctx context.Context, s *servicePlan, from string) iter.Seq2[taskdef.Definition, error] {
	return func(yield func(taskdef.Definition, error) bool) {
		for revision, err := range d.successes(ctx, s) {
			if err != nil {
				yield(taskdef.Definition{}, err)
				return
			}
			if revision == from {
				continue
			}
			definition, err := d.ECS.Definition(ctx, revision)
			if _, deleted := errors.AsType[*rollout.Problem](err); deleted || err == nil && (definition.Status() != "ACTIVE" || isPlaceholder(definition)) {
				continue
			}
			if !yield(definition, err) || err != nil {
				return
			}
		}
	}
}

// byCodeDeploy is the deployment controller of a service that CodeDeploy deploys.
const byCodeDeploy = "CODE_DEPLOY"

// deployer names who carries out the deployments of a service.
func deployer(s rollout.Service) string {
	if s.Controller == byCodeDeploy {
		return "CodeDeploy"
	}
	return "ECS"
}
