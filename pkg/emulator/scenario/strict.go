// Scenarios in which a client that looks at only one view, or knows only one kind of failure, says something untrue.
//
// The texts are ECS's own where somebody has quoted them, and otherwise those of the developer guide:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html

package scenario

import "time"

// strict returns the scenarios of this file.
func strict() []Scenario {
	all := []Scenario{
		{Name: "desired-zero", Description: "the service's desired count is 0: the deployment succeeds and nothing runs",
			Fates: []Fate{{Log: Greeting}}, Desired: new(int)},
		{Name: "early-success", Description: "the deployment is successful when half of the tasks are healthy; the rest take four minutes",
			Fates: []Fate{{Log: Greeting}, {Start: 4 * time.Minute, Log: Greeting}}, EarlySuccess: &EarlySuccess{Percent: 50, Deferred: true}},
		{Name: "early-success-crash", Description: "the deployment is successful when half of the tasks are healthy; the rest crash, and no circuit breaker applies any more",
			Fates:   []Fate{{Log: Greeting}, {Exit: Exit(1), Start: time.Minute, Log: panicLog}},
			Breaker: &Breaker{Enable: true, Rollback: true}, EarlySuccess: &EarlySuccess{Percent: 50, Deferred: true}},
		{Name: "bare-start-failure", Description: "the stopped reason is only \"Task failed to start\"; the cause is in the container's reason",
			Fates:   []Fate{{Reason: "Task failed to start", ContainerReason: "CannotPullImageManifestError: Error response from daemon: manifest unknown: Requested image not found"}},
			Breaker: &Breaker{}},
		{Name: "slow-pull-errors", Description: "the image cannot be pulled; tasks are tried three times in eleven minutes and then no more, and the circuit breaker does not act",
			Fates:    []Fate{{Reason: "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: {image}: not found"}},
			Breaker:  &Breaker{Enable: true, Rollback: true, Threshold: 10},
			Attempts: []time.Duration{154 * time.Second, 286 * time.Second, 11 * time.Minute}},
		{Name: "classic-balancer", Description: "the service is behind a Classic Load Balancer: its deployments have no rolloutState; it succeeds",
			Fates: []Fate{{Log: Greeting}}, ClassicBalancer: true},
		{Name: "breaker-at-four", Description: "the container exits at once; the circuit breaker, whose threshold is 4, rolls back",
			Fates: []Fate{{Exit: Exit(1), Log: panicLog}}, Breaker: &Breaker{Enable: true, Rollback: true, Threshold: 4}},
		{Name: "several-pauses", Description: "a canary deployment that waits for a decision at test traffic and before each step",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "CANARY", Percent: 10, StepBakeMinutes: 1, BakeMinutes: 1,
				Pauses: []Pause{{Stage: PostTestShift}, {Stage: PreShift}}}},
		{Name: "pause-expires", Description: "a blue/green deployment that waits for a decision and is rolled back after five minutes without one",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "BLUE_GREEN", BakeMinutes: 1, Pauses: []Pause{{Stage: PostTestShift, TimeoutMinutes: 5}}}},
		{Name: "pause-continues", Description: "a blue/green deployment that waits for a decision and goes on after five minutes without one",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "BLUE_GREEN", BakeMinutes: 1, Pauses: []Pause{{Stage: PostTestShift, TimeoutMinutes: 5, Continue: true}}}},
		{Name: "long-bake", Description: "a blue/green deployment that bakes for 45 minutes; it succeeds",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "BLUE_GREEN", BakeMinutes: 45}},
		{Name: "deleted", Description: "somebody else deletes the service in the middle of the deployment",
			Fates: []Fate{{Start: time.Minute, Log: Greeting}}, Deletion: 30 * time.Second},
		{Name: "no-instance-late", Description: "no EC2 instance has enough memory left until the group has scaled out; the deployment succeeds",
			Fates: []Fate{unplacedMemory, unplacedMemory, unplacedMemory, {Log: Greeting}}, Breaker: &Breaker{Enable: true, Rollback: true}},
		{Name: "no-capacity-late", Description: "Fargate has no capacity for the first minutes; the deployment succeeds",
			Fates: []Fate{UnplacedFargate, UnplacedFargate, UnplacedFargate, {Log: Greeting}}, Breaker: &Breaker{Enable: true, Rollback: true}},
	}
	for _, c := range []struct{ name, reason, what string }{
		{"cpu", "TaskFailedToStart: RESOURCE:CPU", "has enough CPU"},
		{"memory", "TaskFailedToStart: RESOURCE:MEMORY", "has enough memory"},
		{"ports", "TaskFailedToStart: RESOURCE:PORTS TCP-8080", "has the host port free"},
		{"agent", "TaskFailedToStart: AGENT", "has a connected agent"},
		{"attribute", "TaskFailedToStart: ATTRIBUTE", "has the attributes that the task definition requires"},
		{"instances", "TaskFailedToStart: NO ACTIVE INSTANCES", "is registered with the cluster"},
		{"provider", "TaskFailedToStart: EMPTY CAPACITY PROVIDER", "is in the capacity provider"},
		{"managed", "ResourceInitializationError: Unable to launch instance(s) for capacity provider managed-instances. InsufficientInstanceCapacity: We currently do not have sufficient capacity in the Availability Zone you requested.", "can be launched"},
	} {
		missing := Fate{Reason: c.reason, Start: 30 * time.Second}
		all = append(all, Scenario{
			Name: "late-" + c.name, Description: "no instance " + c.what + " until the group has scaled out; the deployment succeeds",
			Fates: []Fate{missing, missing, missing, missing, {Log: Greeting}}, Breaker: &Breaker{},
		})
	}
	return all
}

var (
	unplacedMemory = Fate{Unplaced: Unplaced{
		Event:   "was unable to place a task because no container instance met all of its requirements. The closest matching container-instance b1a73168f8a64ed9b69e94adc7a0f1e0 has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
		Failure: "RESOURCE:MEMORY",
	}}
	UnplacedFargate = Fate{Unplaced: Unplaced{
		Event:   "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.",
		Failure: "Capacity is unavailable at this time. Please try again later or in a different availability zone",
	}}
)
