package main

// Faults of the task itself: people see one line, and whoever mends it the stack.

import (
	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/report"
)

// trace writes the stacks of panics that ended the run, or the work for a service,
// to the log at debug level.
func (j job) trace(err error, result deploy.Result) {
	stacks := report.Stacks(err)
	for _, s := range result.Services {
		stacks = append(stacks, append(report.Stacks(s.Err), report.Stacks(s.Rollback.Err)...)...)
	}
	for _, stack := range stacks {
		j.log.Debug(stack)
	}
}
