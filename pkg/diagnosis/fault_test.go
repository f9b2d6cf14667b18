package diagnosis

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	pages "ecsdeploy/docs/page"
	"ecsdeploy/pkg/ecs"
)

// alike are n tasks that stopped for one reason.
func alike(n int, code types.TaskStopCode, reason string, containers ...types.Container) []types.Task {
	var tasks []types.Task
	for i := range n {
		tasks = append(tasks, stoppedTask(i, code, reason, containers...))
	}
	return tasks
}

// TestFault: whose fault it is, by the texts of ECS, and that a deployment is
// given up for the revision's alone.
func TestFault(t *testing.T) {
	const (
		started  = types.TaskStopCodeTaskFailedToStart
		exited   = types.TaskStopCodeEssentialContainerExited
		byECS    = types.TaskStopCodeServiceSchedulerInitiated
		launch   = "ResourceInitializationError: Unable to launch instance(s) for capacity provider web-gpu. "
		unplaced = "Unexpected EC2 error while attempting to "
	)
	rows := "| ECS says | stop code | fault |\n|---|---|---|\n"
	for _, tt := range []struct {
		reason string
		code   types.TaskStopCode
		want   Fault
	}{
		// The revision, and what it names.
		{"Essential container in task exited", exited, Revision},
		{"CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref web:9: web:9: not found", started, Revision},
		{"CannotPullImageManifestError: Error response from daemon: manifest unknown: Requested image not found", started, Revision},
		{"CannotPullContainerError: dial tcp 35.180.245.30:443: i/o timeout", started, Revision},
		{"CannotPullContainerError: toomanyrequests: You have reached your pull rate limit", started, Revision},
		{"CannotPullContainerError: ref pull failed: agent/maintenance/insufficientinstancecapacity:1: not found", started, Revision},
		{"CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: exec: \"./serve\": no such file or directory", started, Revision},
		{"CannotCreateContainerError: API error (400): Duplicate bind mount /data", started, Revision},
		{"CannotCreateVolumeError: Error response from daemon: create efs-data", started, Revision},
		{"TaskFailedToStart: ResourceInitializationError: unable to pull secrets or registry auth: secret maintenance-quota: ResourceNotFoundException", started, Revision},
		{"ResourceInitializationError: failed to validate logger args: The specified log group does not exist. : exit status 1", started, Revision},
		{"ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Failed to resolve", started, Revision},
		{"ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m", started, Revision},
		{"OutOfMemoryError: Container killed due to memory usage", started, Revision},
		{"FluxCapacitorError: 1.21 GW", started, Revision},
		{"ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web' that was provided for this task.", started, Revision},
		{"Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/quota/6d0ecf831eec9f09)", byECS, Revision},
		{"Task failed container health checks", byECS, Revision},
		{"Task failed VPC Lattice target health checks", byECS, Revision},

		// Capacity.
		{"TaskFailedToStart: RESOURCE:CPU", started, Capacity},
		{"TaskFailedToStart: RESOURCE:MEMORY", started, Capacity},
		{"TaskFailedToStart: RESOURCE:PORTS", started, Capacity},
		{"TaskFailedToStart: RESOURCE:PORT", started, Capacity},
		{"TaskFailedToStart: RESOURCE:ENI", started, Capacity},
		{"TaskFailedToStart: RESOURCE:GPU", started, Capacity},
		{"RESOURCE:MEMORY", started, Capacity},
		{"TaskFailedToStart: RESOURCE:QUBITS", started, Capacity},
		{"TaskFailedToStart: NO ACTIVE INSTANCES", started, Capacity},
		{"TaskFailedToStart: EMPTY CAPACITY PROVIDER", started, Capacity},
		{"EMPTY CAPACITY PROVIDER", started, Capacity},
		{"Capacity is unavailable at this time. Please try again later or in a different availability zone", started, Capacity},
		{launch + "InsufficientInstanceCapacity: We currently do not have sufficient g6e.2xlarge capacity in the Availability Zone you requested (eu-west-1a).", started, Capacity},
		{"TaskFailedToStart: " + launch + "UnfulfillableCapacity: Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.", started, Capacity},
		{launch + "MaxSpotInstanceCountExceeded: Max spot instance count exceeded. RequestId: 3495893a-3d7e-4b1c-8f5c-0a1b2c3d4e5f", started, Capacity},
		{launch + "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 32 allows", started, Capacity},
		{launch + "SpotMaxPriceTooLow: Your Spot request price is lower than the minimum", started, Capacity},
		{unplaced + "Create Network Interface with public IP assignment disabled in subnet 'subnet-0a1b2c3d': InsufficientFreeAddressesInSubnet", started, Capacity},
		{unplaced + "Create Network Interface with public IP assignment enabled in subnet 'subnet-0a1b2c3d'", started, Capacity},
		{"The specified subnet does not have enough free addresses to satisfy the request. Insufficient free addresses", started, Capacity},
		{"Unable to attach network interface to unused device index", started, Capacity},
		{"You've reached the limit on the number of vCPUs you can run concurrently", started, Capacity},
		{"You’ve reached the limit on the number of tasks you can run concurrently", started, Capacity},
		{"The requested CPU configuration is above your limit", started, Capacity},
		{"Your Spot Task was interrupted.", types.TaskStopCodeSpotInterruption, Capacity},
		{"Your Spot Task was interrupted.", types.TaskStopCodeTerminationNotice, Capacity},
		{"Your Spot Task was interrupted.", byECS, Capacity},

		// The cluster, its instances and AWS.
		{"TaskFailedToStart: AGENT", started, Environment},
		{"AGENT", started, Environment},
		{"TaskFailedToStart: ATTRIBUTE", started, Environment},
		{"TaskFailedToStart: LOCATION", started, Environment},
		{"TaskFailedToStart: MemberOf placement constraint unsatisfied", started, Environment},
		{"TaskFailedToStart: NOVELTY", started, Environment},
		{launch + "UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/ecsInfrastructureRole/ECSManagedInstances is not authorized to perform: iam:PassRole", started, Environment},
		{launch + "Unsupported: Your requested instance type is not supported in your requested Availability Zone", started, Environment},
		{"ResourceInitializationError: failed to configure ENI: failed to setup regular eni: netplugin failed with no error message", started, Environment},
		{"ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secrets from ssm: ThrottlingException: Rate exceeded", started, Environment},
		{"Timeout waiting for network interface provisioning to complete.", started, Environment},
		{"Timeout waiting for EphemeralStorage provisioning to complete.", started, Environment},
		{"Network interface provision complete error timeout wait for network interface provision.", started, Environment},
		{"Rate limit exceeded while preparing network interface to be attached to instance", started, Environment},
		{unplaced + "attach network interface to instance", started, Environment},
		{unplaced + "tag the network interface: TagPolicyViolation", started, Environment},
		{"InternalError: the interface was reported too late", started, Environment},
		{"ECS is performing maintenance on the underlying infrastructure hosting the task.", byECS, Environment},
		{"Host EC2 (instance i-1234567890abcdef0) terminated.", exited, Environment},
		{"Host EC2 (instance i-1234567890abcdef0) stopped.", "", Environment},
		{"Task stopped due to an unhealthy host", types.TaskStopCodeInfrastructureHealth, Environment},
		{"", types.TaskStopCodeInfrastructureHealth, Environment},

		// Nobody.
		{"Task stopped by user", types.TaskStopCodeUserInitiated, Nobody},
		{"Availability zone rebalancing", byECS, Nobody},
		{"Task set was deleted", byECS, Nobody},
		{"", "", Nobody},
		{"a wording of the future", "NovelStopCode", Nobody},

		// Without a stop code the reason counts alone.
		{"Essential container in task exited", "", Revision},
		{"CannotPullContainerError: not found", "", Revision},
		{"Capacity is unavailable at this time", "", Capacity},
	} {
		causes := StopCauses(alike(3, tt.code, tt.reason))
		if len(causes) != 1 {
			t.Fatalf("%s %q: %d causes", tt.code, tt.reason, len(causes))
		}
		if got := causes[0].Fault; got != tt.want {
			t.Errorf("%s %q: fault %q, want %q", tt.code, tt.reason, got, tt.want)
		}
		if _, given := Hopeless(causes, 3); given != (tt.want == Revision) {
			t.Errorf("%s %q: given up: %v", tt.code, tt.reason, given)
		}
		if _, waits := Awaited(causes); waits != (tt.want == Capacity || tt.want == Environment) {
			t.Errorf("%s %q: waited for: %v", tt.code, tt.reason, waits)
		}
		fault := cmp.Or(string(tt.want), "nobody")
		rows += fmt.Sprintf("| %s | %s | %s |\n", pages.Cell(cmp.Or(tt.reason, "nothing")), cmp.Or(string(tt.code), "–"), fault)
	}
	pages.Part(t, "how-it-decides.md", "fault", rows)
}

// TestFailedToStart: "Task failed to start" alone is explained by what the
// containers say.
func TestFailedToStart(t *testing.T) {
	const missing = "CannotPullImageManifestError: Error response from daemon: manifest unknown: Requested image not found"
	for _, tt := range []struct {
		name       string
		reason     string
		containers []types.Container
		want       Fault
		title      string
	}{
		{"no image", "Task failed to start", []types.Container{unstarted("envoy", ""), unstarted("app", missing)}, Revision, "3 tasks stopped: " + missing + " (TaskFailedToStart)"},
		{"no reason at all", "", []types.Container{unstarted("app", missing)}, Revision, "3 tasks stopped: " + missing + " (TaskFailedToStart)"},
		{"a container that exited", "Task failed to start", []types.Container{unstarted("app", ""), container("migrate", 3)}, Revision, "3 tasks stopped: Task failed to start (TaskFailedToStart)"},
		{"no capacity", "Task failed to start", []types.Container{unstarted("app", launching+"InsufficientInstanceCapacity: none")}, Capacity, "3 tasks stopped: " + launching + "InsufficientInstanceCapacity: none (TaskFailedToStart)"},
		{"nobody says anything", "Task failed to start", []types.Container{unstarted("app", "")}, Environment, "3 tasks stopped: Task failed to start (TaskFailedToStart)"},
		{"not even containers", "Task failed to start.", nil, Environment, "3 tasks stopped: Task failed to start. (TaskFailedToStart)"},
		{"an unknown wording before an agent had the task", "Flux capacitor drained", nil, Environment, "3 tasks stopped: Flux capacitor drained (TaskFailedToStart)"},
		{"an unknown wording of a task that an agent had", "Flux capacitor drained", []types.Container{unstarted("app", "no plutonium")}, Revision, "3 tasks stopped: Flux capacitor drained (TaskFailedToStart)"},
	} {
		causes := StopCauses(alike(3, types.TaskStopCodeTaskFailedToStart, tt.reason, tt.containers...))
		if len(causes) != 1 || causes[0].Fault != tt.want || causes[0].Title() != tt.title {
			t.Errorf("%s: %+v, want fault %q and %q", tt.name, causes, tt.want, tt.title)
		}
	}
	if why := StopCauses(alike(3, types.TaskStopCodeTaskFailedToStart, "Task failed to start", unstarted("app", ""), container("migrate", 3)))[0].Clause(); why != "container migrate exited with code 3" {
		t.Errorf("told %q", why)
	}
}

const launching = "ResourceInitializationError: Unable to launch instance(s) for capacity provider gpu. "

// TestHopeless: it takes as many tasks as are asked for, that ended alike.
func TestHopeless(t *testing.T) {
	const exited = "Essential container in task exited"
	code := types.TaskStopCodeEssentialContainerExited
	mixed := append(alike(5, types.TaskStopCodeTaskFailedToStart, "TaskFailedToStart: RESOURCE:MEMORY"), alike(3, code, exited, container("app", 1))...)
	for _, tt := range []struct {
		name  string
		tasks []types.Task
		most  int
		want  int // tasks of the cause; 0: none is found
	}{
		{"three crashes", alike(3, code, exited), 3, 3},
		{"two crashes", alike(2, code, exited), 3, 0},
		{"a hundred crashes", alike(100, code, exited), 3, 100},
		{"never", alike(100, code, exited), 0, 0},
		{"one is enough", alike(1, code, exited), 1, 1},
		{"three in different ways", append(alike(2, code, exited, container("app", 1)), alike(1, code, exited, container("app", 2))...), 3, 0},
		{"crashes behind more frequent waits", mixed, 3, 3},
		{"three that were one too many", alike(3, types.TaskStopCodeServiceSchedulerInitiated, "Scaling activity initiated by (deployment ecs-svc/1)"), 3, 0},
		{"none", nil, 3, 0},
	} {
		cause, ok := Hopeless(StopCauses(tt.tasks), tt.most)
		if cause.Count != tt.want || ok != (tt.want > 0) {
			t.Errorf("%s: %+v, want %d tasks", tt.name, cause, tt.want)
		}
	}
	if _, ok := Hopeless([]Cause{{Event: true, Count: 9, Fault: Revision}}, 3); ok {
		t.Error("events are not tasks")
	}
}

// roleless and placeless are events of attempts to start a task, newest first,
// so many minutes after noon.
func roleless(minutes ...float64) []ecs.Message {
	return eventsAt("(service web) failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web' that was provided for this task.).", minutes)
}

func placeless(minutes ...float64) []ecs.Message {
	return eventsAt("(service web) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.", minutes)
}

func eventsAt(text string, minutes []float64) []ecs.Message {
	var events []ecs.Message
	for _, m := range minutes {
		events = append(events, ecs.Message{Text: text, Time: noon.Add(time.Duration(m * float64(time.Minute)))})
	}
	return events
}

// TestUnlaunchable: a role that cannot be assumed is waited for as long as IAM
// may still be spreading it, and what may find a place for ever.
func TestUnlaunchable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []ecs.Message
		tasks  int
		most   int
		want   int // attempts; 0: not given up
	}{
		{"no role, again and again", roleless(3, 1.5, 0.5, 0), 0, 3, 4},
		{"no role, twice", roleless(3, 0), 0, 3, 0},
		{"no role, never given up", roleless(3, 1.5, 0.5, 0), 0, 0, 0},
		{"no role, but perhaps only not yet", roleless(1.5, 0.5, 0), 0, 3, 0},
		{"no role, before this deployment", roleless(2, 1, -1, -3), 0, 3, 0},
		{"no role, and then there was one", roleless(3, 1.5, 0.5, 0), 1, 3, 0},
		{"no capacity", placeless(25, 20, 15, 10, 5, 0), 0, 3, 0},
		{"nothing", nil, 0, 3, 0},
	} {
		cause, ok := Unlaunchable(tt.events, noon, tt.tasks, tt.most)
		if cause.Count != tt.want || ok != (tt.want > 0) {
			t.Errorf("%s: %+v, want %d attempts", tt.name, cause, tt.want)
		}
		if ok && (!strings.HasPrefix(cause.Clause(), "failed to launch a task with (error ECS was unable to assume the role") || !strings.Contains(cause.Hint, "iam:PassRole")) {
			t.Errorf("%s: %q, hint %q", tt.name, cause.Clause(), cause.Hint)
		}
	}
}

// TestTrouble: what an event says about why there are no tasks, and whose fault
// that is.
func TestTrouble(t *testing.T) {
	const met = "was unable to place a task because no container instance met all of its requirements. "
	for _, tt := range []struct {
		event string
		want  Fault
	}{
		{"was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.", Capacity},
		{"was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently", Capacity},
		{"was unable to place a task. Reason: The requested MEMORY configuration is above your limit.", Capacity},
		{"was unable to place a task. Reason: TaskFailedToStart: RESOURCE:GPU.", Capacity},
		{"was unable to place a task. Reason: " + launching + "MaxSpotInstanceCountExceeded: Max spot instance count exceeded. RequestId: 3495893a", Capacity},
		{met + "Reason: No Container Instances were found in your cluster.", Capacity},
		{met + "The closest matching (container-instance 47d5cb9a) has insufficient memory available.", Capacity},
		{met + "The closest matching (container-instance 47d5cb9a) is already using a port required by your task.", Capacity},
		{met + "The closest matching (container-instance 47d5cb9a) encountered error \"RESOURCE:ENI\".", Capacity},
		{met + "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.", Capacity},
		{"was unable to reach steady state. Reason: No Container Instances were found in your capacity provider.", Capacity},
		{met + "The closest matching (container-instance 47d5cb9a) encountered error \"AGENT\".", Environment},
		{met + "The closest matching (container-instance 47d5cb9a) is missing an attribute required by your task.", Environment},
		{"was unable to place a task. Reason: Internal error.", Environment},
		{"was unable to place a task. Reason: AGENT.", Environment},
		{"operations are being throttled. Will try again later.", Environment},
		{"was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.", Environment},
		{"failed to register targets in (target-group demo) with (error The IP address '10.0.0.1' is not valid for a target group of target type instance)", Environment},
		{"failed to do what no one knew it did", Environment},
		{"failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web' that was provided for this task.).", Revision},
		{"was unable to place a task. Reason: CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref web:9: not found.", Revision},
		{"was unable to place a task. Reason: ResourceInitializationError: unable to pull secrets or registry auth: invalid character 'p' in literal true (expecting 'r').", Revision},
	} {
		cause, ok := Trouble(ecs.Message{Text: "(service web) " + tt.event})
		if !ok || cause.Fault != tt.want || !cause.Event {
			t.Errorf("%s: %v, fault %q, want %q", tt.event, ok, cause.Fault, tt.want)
		}
	}
	for _, routine := range []string{
		"has started 2 tasks: (task 0f1e) (task 2d3c).",
		"has reached a steady state.",
		"is unable to consistently start tasks successfully.",
		"(deployment ecs-svc/1) deployment failed: tasks failed to start.",
		"rolling back to deployment ecs-svc/2.",
		"",
	} {
		if cause, ok := Trouble(ecs.Message{Text: "(service web) " + routine}); ok {
			t.Errorf("%q is taken for %+v", routine, cause)
		}
	}
}

// FuzzFault: whatever ECS and containers say, it is judged, grouped and worded;
// no task is lost, and what is told is short lines of valid UTF-8.
func FuzzFault(f *testing.F) {
	f.Add("TaskFailedToStart", "Task failed to start", "CannotPullImageManifestError: not found", "(service web) was unable to place a task. Reason: ", "log", int32(1))
	f.Add("", "", "", "", "", int32(-1))
	f.Add("ServiceSchedulerInitiated", "##vso[task.complete]\r\n", "\xff\x00", "(service ) (error ", "\u2028", int32(137))
	f.Add("EssentialContainerExited", strings.Repeat("ab", 4000), "(task (port 99999999999999999999) is unhealthy in (elb x) due to (reason ", "(task a) is unhealthy in (target-group /) due to (reason b)", "\t\n\n", int32(0))
	f.Fuzz(func(t *testing.T, code, reason, inner, event, log string, exit int32) {
		tasks := append(alike(3, types.TaskStopCode(code), reason, unstarted("app", inner), container(inner, exit)), types.Task{})
		x := &examination{complete: true, stopped: tasks, subject: Subject{Events: []ecs.Message{{Text: event, Time: noon}, {Text: "(service web) failed to " + inner, Time: noon}}, Elsewhere: log}}
		x.findCauses()
		counted := 0
		for i := range x.causes {
			counted += x.causes[i].Count
			x.causes[i].Log, x.causes[i].LogTask = textLines(log), inner
			if len(x.causes[i].tasks) != x.causes[i].Count {
				t.Errorf("%d tasks, and counted %d", len(x.causes[i].tasks), x.causes[i].Count)
			}
		}
		if counted > len(tasks) {
			t.Errorf("%d tasks were counted as %d", len(tasks), counted)
		}
		x.note(Note{What: Everything, Why: Refused, Text: normalise(inner)})
		d := x.diagnosis()
		d.Why()
		for _, c := range d.Causes {
			if strings.ContainsAny(c.Reason, "\n\r\u2028") {
				t.Errorf("reason %q", c.Reason)
			}
			for _, text := range []string{c.Title(), c.Clause(), fmt.Sprint(c.Hint)} {
				if len(text) > 8*maxReason {
					t.Errorf("%d bytes: %q", len(text), text)
				}
			}
		}
		if len(d.Lines()) > 70+4*len(textLines(log)) {
			t.Errorf("%d lines", len(d.Lines()))
		}
	})
}
