// Package scenario says how deployments go: what becomes of each task, and which circuit breaker, strategy, alarm or stranger acts on the service.
// The scenarios themselves are data, in scenarios.go and strict.go.
//
// What it does not do: it plays nothing; package ecs does.
package scenario

import (
	"fmt"
	"strings"
	"time"
)

// Scenario is how the deployments of a service go, whatever the caller sends. All durations are emulated time (the emulator's speed).
type Scenario struct {
	Name        string
	Description string

	// Fates are what becomes of the new revision's tasks, one after the other; the last one goes for all further tasks. None means they live.
	Fates []Fate

	// Breaker, where given, is set as the service's deployment circuit breaker when the scenario is.
	Breaker *Breaker

	// Strategy, where given, is how the service deploys from when the scenario is set; what its load balancers need for that, they get.
	Strategy *Strategy

	// Alarm, where given, goes off during the deployment; it is one of the service's deployment alarms from when the scenario is set.
	Alarm *Alarm

	// Lambda is what becomes of the lifecycle hooks that are functions; nil means that each succeeds after five seconds. With a Strategy and a
	// Stage it also is such a hook.
	Lambda *Lambda

	// Interloper, where given, is how long after the deployment's start somebody else moves the service to a revision of theirs.
	Interloper time.Duration

	// Deletion, where given, is how long after the deployment's start somebody else deletes the service.
	Deletion time.Duration

	// Desired, where given, is the service's desiredCount from when the scenario is set.
	Desired *int

	// EarlySuccess, where given, is when a rolling update of the service is successful, from when the scenario is set.
	EarlySuccess *EarlySuccess

	// ClassicBalancer puts the service behind a Classic Load Balancer from when the scenario is set.
	ClassicBalancer bool

	// Attempts, where given, are how long after the deployment's creation its failed tasks are replaced: once for each entry, and never again
	// after the last. Nil means seconds that grow to five minutes; tasks whose image cannot be pulled have been seen to come minutes apart.
	Attempts []time.Duration

	// Drain, where given, is the deregistration delay of the service's target groups from when the scenario is set.
	Drain time.Duration

	// Answer, where given, is how the application of the new revision answers behind its load balancer; nil is 200 with the name of its image.
	Answer *Answer

	// ThrottleEvery, where given, throttles every so many ECS calls.
	ThrottleEvery int
}

// Answer is how an application answers a request.
type Answer struct {
	Status   int           // 0 is 200
	Body     string        // empty is the name of its image
	After    time.Duration // until it answers
	Reset    bool          // the connection is cut instead
	Location string        // it redirects there
}

// Breaker is a deployment circuit breaker.
type Breaker struct {
	Enable, Rollback bool
	Threshold        int  // tasks that fail; 0 is ECS's default, half the desired count but at least 3 and at most 200
	Cumulative       bool // a healthy task does not set the count back
}

// EarlySuccess is when a rolling update is successful before all its tasks are healthy.
type EarlySuccess struct {
	Percent  int  // of the desired count that must be healthy
	Deferred bool // the old tasks go afterwards
}

// Strategy is a deployment strategy: the deploymentConfiguration of a service but for the circuit breaker and the alarms. A minute is 60 s of emulated time.
type Strategy struct {
	Name            string  // BLUE_GREEN, CANARY, LINEAR, ROLLING
	Percent         float64 // of traffic: of the first step of CANARY, of each step of LINEAR
	StepBakeMinutes int     // after each such step
	BakeMinutes     int     // when all traffic is shifted; of ROLLING: when the old tasks are gone
	Pauses          []Pause
}

// Pause is a lifecycle hook at which a deployment waits for ContinueServiceDeployment.
type Pause struct {
	Stage          string // such as POST_TEST_TRAFFIC_SHIFT
	TimeoutMinutes int    // 0 means ECS's default, 24 hours
	Continue       bool   // what happens then: the deployment goes on, or it is rolled back
}

// Alarm is a CloudWatch alarm that watches a deployment and goes off.
type Alarm struct {
	Name  string
	Stage string        // lifecycle stage in which it goes off: BAKE_TIME; "" is any
	After time.Duration // since that stage, or since the deployment's start
}

// Lambda is what becomes of a lifecycle hook's function.
type Lambda struct {
	Stage string // at which it is called, where the scenario brings the hook
	Takes time.Duration
	Fails bool
}

// Fate is what becomes of one task. The zero Fate starts like any other task and lives until ECS stops it.
//
// In Reason and in both texts of Unplaced, {image}, {registry}, {repository} and {tag} stand for the image of the task's main container, its first
// essential one, {secret} for the ARN of that container's first secret, {taskRole} (the execution role where there is none), {executionRole} and
// {account} for names, {subnet} and {task} for ids.
type Fate struct {
	Start    time.Duration // from launch until its containers run; 0 means 20 s
	Unplaced Unplaced      // no task is started at all

	// Reason is why ECS ends the task, in full: so long after it started as ExitAfter says, or before its containers ran. Where it or
	// ContainerReason begins with "Cannot" that is when the image has been pulled or should have been, and it is the main container's reason too.
	Reason   string
	StopCode string // empty: TaskFailedToStart before its containers ran, ServiceSchedulerInitiated after

	Exit            *int          // its main container ends with this exit code …
	ExitAfter       time.Duration // … so long after it started; 0 means before the task was RUNNING
	ContainerReason string        // why, in full; for most exit codes there is none

	Unhealthy      bool          // it runs, fails its health checks and is replaced
	ContainerCheck bool          // they are those of its task definition, not the load balancer's
	Target         Target        // what the load balancer says of it then
	Starting       bool          // it runs, and its health stays unknown
	Log            []string      // what its main container writes
	LogEvery       time.Duration // between two lines of it; 0 is all at once, when it starts
}

// NeverStarts says whether the task ends before its containers run, and pullFails that pulling the image is what fails.
func (f Fate) NeverStarts() bool { return f.Reason != "" && f.ExitAfter == 0 }
func (f Fate) PullFails() bool {
	return strings.HasPrefix(f.Reason, "Cannot") || strings.HasPrefix(f.ContainerReason, "Cannot")
}

// Unplaced is why there is no place for a task.
type Unplaced struct {
	Event   string // of the service, after "(service NAME) "
	Failure string // in the answer of RunTask
}

// FailsOwnCheck says whether it is the container's own health check that fails, and not the load balancer's.
func (f Fate) FailsOwnCheck() bool { return f.Unhealthy && f.ContainerCheck }

// Target is why a load balancer takes a target for unhealthy. The zero Target is a connection that was refused.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html
type Target struct{ Reason, Description string }

// Failing is the target, with what the zero one stands for.
func (f Fate) Failing() Target {
	if f.Target == (Target{}) {
		return Target{"Target.FailedHealthChecks", "Health checks failed"}
	}
	return f.Target
}

func Exit(code int) *int { return &code }

// ParseScenario returns the scenario of that name; "" is the default one. The error lists the names there are.
func ParseScenario(name string) (Scenario, error) {
	all := Scenarios()
	var names []string
	for _, s := range all {
		if s.Name == name || name == "" {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("scenario %q does not exist; there are %s", name, strings.Join(names, ", "))
}

// HookFate is what becomes of functions that are lifecycle hooks.
func (s Scenario) HookFate() Lambda {
	if s.Lambda == nil {
		return Lambda{Takes: 5 * time.Second}
	}
	return *s.Lambda
}

// Fate is what becomes of the nth task, counted from 0.
func (s Scenario) Fate(n int) Fate {
	if len(s.Fates) == 0 {
		return Fate{Log: Greeting}
	}
	return s.Fates[min(n, len(s.Fates)-1)]
}

// The lifecycle stages of a service deployment, in their order. Production traffic is shifted in as many steps as the strategy has, and each of
// them is a PRE_PRODUCTION_TRAFFIC_SHIFT and a PRODUCTION_TRAFFIC_SHIFT.
const (
	ReconcileService = "RECONCILE_SERVICE" // only where another deployment was under way
	PreScaleUp       = "PRE_SCALE_UP"
	ScaleUp          = "SCALE_UP"
	PostScaleUp      = "POST_SCALE_UP"
	TestShift        = "TEST_TRAFFIC_SHIFT"
	PostTestShift    = "POST_TEST_TRAFFIC_SHIFT"
	PreShift         = "PRE_PRODUCTION_TRAFFIC_SHIFT"
	Shift            = "PRODUCTION_TRAFFIC_SHIFT"
	PostShift        = "POST_PRODUCTION_TRAFFIC_SHIFT"
	BakeTime         = "BAKE_TIME"
	CleanUp          = "CLEAN_UP"
)
