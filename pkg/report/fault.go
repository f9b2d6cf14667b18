package report

// Faults of the task itself: one line for people, the stack at debug.

import (
	"log/slog"
	"time"

	"ecsdeploy/pkg/guard"
)

// fault shows a panic after which the run goes on.
func (l *Log) fault(err error) {
	l.warn("", "%s; the run continues without what was being read", err)
	for _, stack := range Stacks(err) {
		l.line(time.Now(), slog.LevelDebug, "", stack)
	}
}

// Stacks returns the stacks of the panics that err joins or wraps, for a log at
// debug level.
func Stacks(err error) []string {
	var all []string
	if p, is := err.(*guard.Panic); is {
		all = append(all, string(p.Stack))
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		if inner := wrapper.Unwrap(); inner != nil {
			all = append(all, Stacks(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, one := range wrapper.Unwrap() {
			all = append(all, Stacks(one)...)
		}
	}
	return all
}
