package main

// How the process ends, whatever happens: the agent has been told the result of
// the step exactly when the exit code says so.

import (
	"context"
	"io"
	"strconv"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/vso"
)

// concludedVariable is the variable by which task/index.js says which exit code
// means that the agent has been told how the run ended. Where it is set, standard
// input ends when that script's process does.
const concludedVariable = "ECSDEPLOY_CONCLUDED"

// start is how the process was started.
type start struct {
	byShim    bool
	concluded int // the exit code once the agent has been told how the run ended
}

func startedByShim(environ []string) start {
	code, err := strconv.ParseUint(lookup(environ)[concludedVariable], 10, 8)
	if err != nil || code == 0 {
		return start{}
	}
	return start{byShim: true, concluded: int(code)}
}

// conclude calls run and returns the exit code. A run that panicked, or that did
// not say how it ended, has failed.
func (s start) conclude(console *vso.Console, run func()) int {
	err := guard.Run(func() error { run(); return nil })
	if p, ok := err.(*guard.Panic); ok {
		console.Send(vso.Debug(string(p.Stack)))
		console.Send(vso.LogIssue(vso.Error, p.Error()+"\nhint: "+p.Hint()), vso.Complete(vso.Failed, p.Error()))
	}
	if !console.Completed() {
		const nothing = "internal error: the run ended without a result"
		console.Send(vso.LogIssue(vso.Error, nothing), vso.Complete(vso.Failed, nothing))
	}
	if !console.Completed() {
		return 1 // the agent cannot be told
	}
	return s.concluded
}

// watch waits for the end of the process that reads the exit code, and cancels the
// run. The agent takes a handler that was killed for one that succeeded, so it is
// told of the failure first.
func (s start) watch(console *vso.Console, stdin io.Reader, cancel context.CancelFunc) {
	_, _ = io.Copy(io.Discard, stdin) // nothing is ever written there
	const text = "the task's Node process was ended, as when the agent has no memory left; cancelling the run"
	console.Send(vso.LogIssue(vso.Error, text), vso.Complete(vso.Failed, text))
	cancel()
}
