// Package diagnosis finds out why tasks of an Amazon ECS service do not stay up:
// which tasks stopped and how their containers ended, what ECS reported, what the
// last lines of the logs are, which targets of the load balancer are unhealthy,
// and whose fault it is.
//
// The package does not know what a rollout is: it is given a [Subject] and
// returns values. It changes nothing in AWS and prints nothing. The texts that it
// returns come from AWS and from containers, as they came: whoever prints them
// has to make them harmless. [Hopeless], [Unlaunchable] and [Trouble] are pure.
package diagnosis

import (
	"time"

	"ecsdeploy/pkg/ecs"
)

// Subject is what a diagnosis is about: the tasks of one deployment.
type Subject struct {
	Cluster        string        // name or ARN
	Service        string        // name
	DeploymentID   string        // of the deployment or task set, which its tasks carry as startedBy; empty: no task is known to belong to it
	TaskDefinition string        // ARN or family:revision
	Since          time.Time     // when the deployment began: what is older is not about it; zero: everything is
	Events         []ecs.Message // of the service, newest first
	TargetGroups   []string      // ARNs
	Alarms         []string      // names of the CloudWatch alarms that ended the deployment
	// Elsewhere is why somebody else, such as CodeDeploy, ended a deployment whose
	// tasks had all come up, in their own words; empty where nobody did.
	Elsewhere string
}

// Diagnosis is why the tasks of a deployment did not stay up.
type Diagnosis struct {
	// Causes are what ended tasks, most frequent first; then what ECS reported
	// as events, such as a task that it could not place. Where there is neither,
	// they are the tasks that have not reached a steady state yet.
	Causes []Cause
	// More is how many further causes were left out, MoreTasks how many tasks
	// those stand for.
	More, MoreTasks int
	// Targets are the load balancer's unhealthy targets, grouped.
	Targets []UnhealthyTargets
	// Alarms are the CloudWatch alarms that ended the deployment.
	Alarms []string
	// Notes say what could not be read, and why.
	Notes []Note
}

// Main returns what the diagnosis comes to: the first cause, or the first group of
// unhealthy targets where those say more; nil for both where it found no reason.
func (d Diagnosis) Main() (*Cause, *UnhealthyTargets) {
	var first *Cause
	for i, c := range d.Causes {
		if !c.byRollback() {
			first = &d.Causes[i]
			break
		}
	}
	if len(d.Targets) > 0 && (first == nil || !first.outweighsTargets()) {
		return nil, &d.Targets[0]
	}
	return first, nil
}

// Cause is one reason for which tasks ended, or for which there are none.
type Cause struct {
	Count    int      // of tasks, or of events
	Event    bool     // the service reported it as an event; it is not about particular tasks
	Tasks    []string // ids of a few of the tasks, the latest first
	StopCode string   // types.TaskStopCode; empty for events and for tasks that have not stopped
	// Reason is ECS's, without what differs from task to task: ids, addresses,
	// numbers of attempts. Where ECS says only "Task failed to start", it is that
	// of the container that failed.
	Reason     string
	Fault      Fault          // whose fault it is
	Containers []ContainerEnd // of the latest task, in the order of DescribeTasks
	Ran        time.Duration  // how long the longest-lived of the tasks ran; 0: none of them ran
	Log        []string       // last lines of the container that failed, of one of the tasks
	LogTask    string         // id of that task
	LogStream  LogStream      // that they are from; zero where that is not known
	Hint       string         // what it means and what to check; may be empty
}

// Failed returns the container that took the task down; nil where that is not
// known.
func (c Cause) Failed() *ContainerEnd {
	for i := range c.Containers {
		if c.Containers[i].Failed {
			return &c.Containers[i]
		}
	}
	return nil
}

// Unexplained reports whether ECS says no more than that tasks failed to start.
func (c Cause) Unexplained() bool { return unexplained.MatchString(c.Reason) }

// outweighsTargets reports whether the cause says more than an unhealthy target
// does: the load balancer knows more of its check than ECS, and a task that waits
// has no reason of its own.
func (c Cause) outweighsTargets() bool {
	return c.Event || c.StopCode != "" && !containsFold(c.Reason, "elb health checks")
}

// ContainerEnd is how one container of a task ended.
type ContainerEnd struct {
	Name     string
	ExitCode *int   // nil when it never ran, or still runs
	Reason   string // ECS's, normalised like the task's
	Health   string // of its health check: HEALTHY, UNHEALTHY; empty without one
	Failed   bool   // it is the one that took the task down; at most one of a task
}

// UnhealthyTargets are targets of one target group that fail for one reason.
type UnhealthyTargets struct {
	Count  int
	Group  string // the target group's name
	ARN    string // of the target group; may be empty
	Port   int    // 0 where it is not known
	State  string // unhealthy, unused, initial …; empty when only an event reported it
	Reason string // code and description as ELB words them
	Hint   string // what it means and what to check; may be empty
}

// Note is something that could not be read, and why.
type Note struct {
	What   Unread
	Name   string // of the container, the target group or the task definition; empty for the others
	Detail string // of a log: the log group, or the log driver; of tasks: how many were read
	Why    Obstacle
	Text   string // AWS's own words; of [Refused] and [Unexpected]

	// Of [Denied]: the IAM action that is required; the policy that decided, empty
	// where AWS does not say; and whether that policy denies the action, so that
	// allowing it elsewhere does not help.
	Action   string
	Policy   string
	Explicit bool
}

// Unread is the kind of thing that could not be read.
type Unread string

// What a diagnosis reads.
const (
	StoppedTasks   Unread = "stopped tasks"
	RunningTasks   Unread = "running tasks"
	TaskDefinition Unread = "task definition"
	ContainerLog   Unread = "container log" // of container Name, in log group or by log driver Detail
	TargetHealth   Unread = "target health" // of target group Name
	Everything     Unread = "everything"    // the rest of the diagnosis
)

// Obstacle is why something could not be read.
type Obstacle string

// The obstacles.
const (
	Denied      Obstacle = "denied"     // Action is not allowed
	NoAnswer    Obstacle = "no answer"  // in time
	Refused     Obstacle = "refused"    // any other error of AWS: Text
	Empty       Obstacle = "empty"      // the log has no lines of the task
	Incomplete  Obstacle = "incomplete" // only the first Detail tasks were read
	Unlogged    Obstacle = "unlogged"   // the container has no logConfiguration
	OtherDriver Obstacle = "driver"     // the log driver is one that is not read here
	Unexpected  Obstacle = "unexpected" // a reply that this package does not cope with: Text
)

const (
	maxCauses  = 4    // that a diagnosis shows
	maxTargets = 3    // groups of targets
	maxAlarms  = 10   // names
	maxNotes   = 5    //
	maxReason  = 1000 // runes of a reason
	fewTasks   = 3    // ids that a cause names
	logLines   = 20   // of a cause
	logRunes   = 300  // of a line
)
