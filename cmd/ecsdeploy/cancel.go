package main

// Cancelled runs in containers. The agent runs a step there by the engine's exec,
// and its signal ends at the client of that: the task is never told, and the
// container is removed some seconds later. So the server is asked.

import (
	"context"
	"errors"
	"time"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/mistake"
)

// cancelEvery is the pause between two questions: the container is removed about
// ten seconds after a run was cancelled, and leaving the services as promised takes
// some of them.
const cancelEvery = 3 * time.Second

// cancellable returns a context that ends when the run is cancelled, too. In a
// container that takes questions to Azure DevOps, until stop is called; elsewhere
// the agent's signal is all that is needed.
func (j job) cancellable(ctx context.Context) (_ context.Context, stop func()) {
	if !j.config.Pipeline.InContainer() || j.config.Inputs.DryRun {
		return ctx, func() {}
	}
	const silent = "this job has containers: in one of them the agent cannot tell a step that the run was cancelled, and "
	if j.devops == nil {
		j.log.Info(silent + "Azure DevOps cannot be asked either: onCancel has no effect there")
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	asking, stopAsking := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = guard.Run(func() error {
			// A step with the condition always() begins in a run that was cancelled before.
			if before, err := j.devops.Cancelled(asking); before && err == nil {
				return nil
			}
			err := j.devops.AwaitCancel(asking, cancelEvery)
			switch {
			case err == nil:
				j.log.Info("Azure DevOps says that the run was cancelled")
				cancel()
			case asking.Err() == nil:
				j.log.Info(silent + "Azure DevOps does not answer: onCancel has no effect there")
				j.devopsFailed(err)
			}
			return nil
		})
	}()
	return ctx, func() { stopAsking(); <-done }
}

// partingShare is the part of the time between the agent's first signal and the
// next one in which a cancelled run leaves the services as promised.
const partingShare = 2.0 / 3

// parting is how long a cancelled run has for that; 0 is the usual time.
func (j job) parting() time.Duration {
	return time.Duration(float64(j.config.Pipeline.InterruptTimeout()) * partingShare)
}

// socketHint completes the error of a job container that does not reach the engine.
func (j job) socketHint(err error) error {
	if err == nil || !j.config.Pipeline.InContainer() {
		return err
	}
	all := mistake.Each(err)
	for i, one := range all {
		if _, is := errors.AsType[*engine.Error](one); is {
			all[i] = &socketError{one}
		}
	}
	return errors.Join(all...)
}

type socketError struct{ error }

func (e *socketError) Unwrap() error { return e.error }

// Hint says what agents changed.
func (e *socketError) Hint() string {
	return "newer agents do not map the engine's socket into the containers of a job: set mapDockerSocket: true on the container resource, or push an archive"
}
