// Scenarios: how rollouts go. This file is meant to be added to: a scenario is data, and what it needs to express is in Scenario and Fate.
//
// The texts are ECS's own, word for word where somebody has quoted them:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html
// What stands in braces is filled in: see Fate.

package scenario

import "time"

var Greeting = []string{"listening on :8080"}

var panicLog = []string{
	"starting chat-app",
	"panic: missing required environment variable DATABASE_URL",
	"",
	"goroutine 1 [running]:",
	"main.main()",
	"\t/src/main.go:23 +0x1d",
	"exit status 2",
}

// Scenarios returns all scenarios, the default one first.
func Scenarios() []Scenario {
	return append([]Scenario{
		{Name: "complete", Description: "the deployment succeeds after about a minute",
			Fates: []Fate{{Log: Greeting}}},
		{Name: "slow", Description: "tasks take four minutes to start; the deployment succeeds",
			Fates: []Fate{{Start: 4 * time.Minute, Log: Greeting}}},
		{Name: "crash", Description: "the container exits at once with code 1, and no circuit breaker stops it",
			Fates: []Fate{{Exit: Exit(1), Log: panicLog}}, Breaker: &Breaker{}},
		{Name: "pull-error", Description: "the image cannot be pulled, and no circuit breaker stops it",
			Fates:   []Fate{{Reason: "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: pulling from host {registry} failed with status code [manifests {tag}]: 403 Forbidden"}},
			Breaker: &Breaker{}},
		{Name: "rollback", Description: "the container exits at once; the circuit breaker rolls back",
			Fates: []Fate{{Exit: Exit(1), Log: panicLog}}, Breaker: &Breaker{Enable: true, Rollback: true}},
		{Name: "failed", Description: "the container exits at once; the circuit breaker stops the deployment and leaves it so",
			Fates: []Fate{{Exit: Exit(1), Log: panicLog}}, Breaker: &Breaker{Enable: true}},
		{Name: "superseded", Description: "somebody else updates the service in the middle of the deployment",
			Fates: []Fate{{Start: time.Minute, Log: Greeting}}, Interloper: 30 * time.Second},
		{Name: "stuck", Description: "tasks run and never become healthy, and nothing ends it",
			Fates: []Fate{{Starting: true, Log: []string{"waiting for database"}}}, Breaker: &Breaker{}},
		{Name: "throttled", Description: "every third ECS call is throttled; the deployment succeeds",
			Fates: []Fate{{Log: Greeting}}, ThrottleEvery: 3},
		{Name: "unhealthy", Description: "tasks fail their health checks and are replaced, and no circuit breaker stops it",
			Fates: []Fate{{Unhealthy: true, Log: []string{"listening on 127.0.0.1:8081"}}}, Breaker: &Breaker{}},
		{Name: "flapping", Description: "the first two tasks crash after they were healthy; the deployment succeeds in the end",
			Fates: []Fate{{Exit: Exit(137), ExitAfter: 15 * time.Second, ContainerReason: outOfMemory, Log: Greeting}, {Exit: Exit(137), ExitAfter: 15 * time.Second, ContainerReason: outOfMemory, Log: Greeting}, {Log: Greeting}}},

		{Name: "blue-green", Description: "a blue/green deployment: all traffic moves at once, and a minute of baking follows; it succeeds",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "BLUE_GREEN", BakeMinutes: 1}},
		{Name: "canary", Description: "a canary deployment: a tenth of the traffic, a minute later all of it; it succeeds",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "CANARY", Percent: 10, StepBakeMinutes: 1, BakeMinutes: 1}},
		{Name: "linear", Description: "a linear deployment: a quarter of the traffic each minute; it succeeds",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "LINEAR", Percent: 25, StepBakeMinutes: 1, BakeMinutes: 1}},
		{Name: "draining", Description: "behind a load balancer the previous tasks keep their connections for five minutes, its deregistration delay; it succeeds",
			Fates: []Fate{{Log: Greeting}}, Drain: 5 * time.Minute},
		{Name: "paused", Description: "a blue/green deployment that waits for a decision when test traffic is on the new tasks",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "BLUE_GREEN", BakeMinutes: 1, Pauses: []Pause{{Stage: PostTestShift}}}},
		{Name: "hook-failed", Description: "a blue/green deployment whose lifecycle hook, a function, finds fault with the new tasks; ECS rolls back",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "BLUE_GREEN", BakeMinutes: 1}, Lambda: &Lambda{Stage: PostTestShift, Takes: 20 * time.Second, Fails: true}},
		{Name: "alarm", Description: "a CloudWatch alarm goes off while the deployment bakes; ECS rolls back",
			Fates: []Fate{{Log: Greeting}}, Strategy: &Strategy{Name: "ROLLING", BakeMinutes: 2}, Alarm: &Alarm{Name: AlarmName, Stage: BakeTime, After: 20 * time.Second}},

		// One for each reason that a task has for not staying. None of them is stopped by a circuit breaker.
		{Name: "no-image", Description: "there is no such image in the registry",
			Fates:   []Fate{{Reason: "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref {image}: {image}: not found"}},
			Breaker: &Breaker{}},
		{Name: "pull-timeout", Description: "the registry cannot be reached from the task's subnet",
			Fates:   []Fate{{Reason: `CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: failed to do request: Head "https://{registry}/v2/{repository}/manifests/{tag}": dial tcp 52.219.199.138:443: i/o timeout`, Start: 2 * time.Minute}},
			Breaker: &Breaker{}},
		{Name: "wrong-platform", Description: "the image is an index without the task's platform",
			Fates:   []Fate{{Reason: "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'"}},
			Breaker: &Breaker{}},
		{Name: "wrong-architecture", Description: "the program is for another architecture: exec format error",
			Fates: []Fate{{Exit: Exit(255), Log: []string{"exec /app: exec format error"}}}, Breaker: &Breaker{}},
		{Name: "no-secret", Description: "the execution role may not read a secret",
			Fates:   []Fate{{Reason: "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried 1 time(s): operation error SSM: GetParameters, https response error StatusCode: 400, RequestID: 2bf6cb29-04f9-43d0-b8a4-f1247cbe8c0b, api error AccessDeniedException: User: arn:aws:sts::{account}:assumed-role/{executionRole}/{task} is not authorized to perform: ssm:GetParameters on resource: {secret} because no identity-based policy allows the ssm:GetParameters action"}},
			Breaker: &Breaker{}},
		{Name: "no-log-group", Description: "the log group does not exist",
			Fates: []Fate{{Reason: NoLogGroup}}, Breaker: &Breaker{}},
		{Name: "container-unhealthy", Description: "the container's own health check fails, and tasks are replaced",
			Fates: []Fate{{Unhealthy: true, ContainerCheck: true, Log: []string{"listening on :8080", "/bin/sh: wget: not found"}}}, Breaker: &Breaker{}},
		{Name: "bad-gateway", Description: "the load balancer's health check is answered with 502, and tasks are replaced",
			Fates:   []Fate{{Unhealthy: true, Target: Target{"Target.ResponseCodeMismatch", "Health checks failed with these codes: [502]"}, Log: []string{"listening on :8080", "GET /health 502"}}},
			Breaker: &Breaker{}},
		{Name: "health-timeout", Description: "the load balancer's health check is not answered in time, and tasks are replaced",
			Fates:   []Fate{{Unhealthy: true, Target: Target{"Target.Timeout", "Request timed out"}, Log: []string{"listening on :8080"}}},
			Breaker: &Breaker{}},
		{Name: "out-of-memory", Description: "the container needs more memory than it has and is killed",
			Fates:   []Fate{{Exit: Exit(137), ExitAfter: 5 * time.Second, ContainerReason: outOfMemory, Log: []string{"loading model", "allocating 2 GiB"}}},
			Breaker: &Breaker{}},
		{Name: "exit-0", Description: "the container ends at once with code 0",
			Fates: []Fate{{Exit: Exit(0), Log: []string{"migrations are up to date"}}}, Breaker: &Breaker{}},
		{Name: "no-command", Description: "the container's command does not exist in the image",
			Fates:   []Fate{{Reason: `CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "./serve": stat ./serve: no such file or directory: unknown`, Exit: Exit(127)}},
			Breaker: &Breaker{}},
		{Name: "no-address", Description: "the subnet has no free addresses left",
			Fates:   []Fate{{Reason: "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled in subnet '{subnet}': InsufficientFreeAddressesInSubnet"}},
			Breaker: &Breaker{}},
		{Name: "no-capacity", Description: "Fargate has no capacity at the moment",
			Fates: []Fate{{Unplaced: Unplaced{
				Event:   "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.",
				Failure: "Capacity is unavailable at this time. Please try again later or in a different availability zone",
			}}}, Breaker: &Breaker{}},
		{Name: "no-instance", Description: "no EC2 instance of the cluster has enough memory left",
			Fates: []Fate{{Unplaced: Unplaced{
				Event:   "was unable to place a task because no container instance met all of its requirements. The closest matching container-instance b1a73168f8a64ed9b69e94adc7a0f1e0 has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
				Failure: "RESOURCE:MEMORY",
			}}}, Breaker: &Breaker{}},
		{Name: "no-role", Description: "ECS cannot assume the task role",
			Fates: []Fate{{Unplaced: Unplaced{
				Event:   "failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::{account}:role/{taskRole}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.).",
				Failure: "ECS was unable to assume the role 'arn:aws:iam::{account}:role/{taskRole}' that was provided for this task.",
			}}}, Breaker: &Breaker{}},
		{Name: "spot", Description: "Spot takes the first two tasks' capacity back; the deployment succeeds in the end",
			Fates: []Fate{spotted, spotted, {Log: Greeting}}},
	}, strict()...)
}

const (
	outOfMemory = "OutOfMemoryError: Container killed due to memory usage"
	NoLogGroup  = "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1"
)

var spotted = Fate{Reason: "Your Spot Task was interrupted.", StopCode: "SpotInterruption", ExitAfter: 15 * time.Second, Log: append(Greeting, "received SIGTERM")}

// AlarmName is the alarm that watches the demo service.
const AlarmName = "chat-app-dev-5xx"
