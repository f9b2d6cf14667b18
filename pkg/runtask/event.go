package runtask

// What a task shows while it lasts: values, which whoever shows them words.

import (
	"time"

	"ecsdeploy/pkg/diagnosis"
)

// The events of a task.
type (
	// Launched says that the task was accepted.
	Launched struct{ Task string }
	// Waits says that there is no capacity for the task at the moment; it is asked
	// for again within the time limit.
	Waits struct{ Cause diagnosis.Cause }
	// Status is the task's last status, such as PENDING or RUNNING.
	Status struct{ Status string }
	// Line is one line that a container logged.
	Line struct {
		Container string
		At        time.Time
		Text      string
	}
	// Omitted says how many lines of a container were not shown, for there were too
	// many; the last of them follow.
	Omitted struct {
		Stream diagnosis.LogStream
		Lines  int
	}
	// Unread says that a container's log cannot be read.
	Unread struct{ Note diagnosis.Note }
	// Silence says that ECS cannot be reached, or with a nil error that it answers
	// again.
	Silence struct{ Err error }
	// Heartbeat says that the task still runs.
	Heartbeat struct{ For time.Duration }
	// Stopping says that the task is told to stop, and why; Err is why it could not be
	// told.
	Stopping struct {
		Task      string
		Cancelled bool
		After     time.Duration // the time limit that is over; 0 where the run was cancelled
		Err       error
	}
)
