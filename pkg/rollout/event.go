package rollout

import (
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

// Event is something that happened during a rollout, worth one line. The type of
// What says what it was.
type Event struct {
	Time time.Time
	What any // one of the types below
}

// Said is a line of the service's own event log. Hint says what to do about it;
// it is empty as a rule.
type Said struct {
	Text    string
	Trouble bool // it says why tasks are not started
	Hint    string
	Times   int // how often it was said since it was last told; 1 at first
}

// Counts are the tasks of the deployment.
type Counts struct {
	Running, Desired, Pending, Failed int
	Others                            int // running tasks of other deployments of the service
}

// Stage is where a deployment with a strategy of its own stands.
type Stage struct {
	Name    string   // in ECS's spelling
	Traffic *float64 // percent of production traffic on the new revision
	Left    time.Duration
}

// Doomed says that the deployment is being rolled back or stopped, or has failed
// and is about to be.
type Doomed struct {
	Status string // of the record; FAILED where only the list of deployments is read
	Asked  bool   // this run asked for it
	Detail string // in AWS's own words
	Alarms []string
}

// Unreadable says that the deployment's record cannot be read, so that the
// service's list of deployments decides alone.
type Unreadable struct{ Err error }

// Silence says that AWS cannot be reached, or, with a nil Err, answers again.
type Silence struct{ Err error }

// Step is a lifecycle event of CodeDeploy.
type Step struct{ Name, Status, Detail string }

// Status is the state of a CodeDeploy deployment, or of the one that rolls it back.
type Status struct {
	ID       string
	Status   string
	Detail   string
	Rollback bool
}

// Waits says for what the deployment waits that passes by itself, such as capacity.
type Waits struct{ Cause diagnosis.Cause }

// Heartbeat is told after a long time without another event.
type Heartbeat struct {
	Counts  Counts
	Healthy int // of the running tasks; -1 where that is not known
	Said    ecs.Message
	Elapsed time.Duration
	Left    time.Duration // until the time limit
	Stage   string
}
