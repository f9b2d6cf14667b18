package diagnosis

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// taskID returns the nth of many ids such as ECS gives to tasks.
func taskID(n int) string {
	sum := md5.Sum(fmt.Append(nil, n))
	return hex.EncodeToString(sum[:])
}

// stoppedTask is a task that ended n seconds after noon, having run for 10 s.
func stoppedTask(n int, code types.TaskStopCode, reason string, containers ...types.Container) types.Task {
	stopping := noon.Add(time.Duration(n) * time.Second)
	return types.Task{
		TaskArn:       aws.String("arn:aws:ecs:eu-west-1:123456789012:task/dev/" + taskID(n)),
		LastStatus:    aws.String("STOPPED"),
		StopCode:      code,
		StoppedReason: aws.String(reason),
		StartedAt:     aws.Time(stopping.Add(-10 * time.Second)),
		StoppingAt:    aws.Time(stopping),
		Containers:    containers,
	}
}

func container(name string, exit int32) types.Container {
	return types.Container{Name: aws.String(name), ExitCode: aws.Int32(exit), HealthStatus: types.HealthStatusUnknown}
}

func unstarted(name, reason string) types.Container {
	return types.Container{Name: aws.String(name), Reason: aws.String(reason), HealthStatus: types.HealthStatusUnknown}
}

func TestNormalise(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"Essential container in task exited", "Essential container in task exited"},
		{"CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref", "CannotPullContainerError: pull image manifest has been retried: failed to resolve ref"},
		{"Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/6d0ecf831eec9f09)", "Task failed ELB health checks in (target-group web)"},
		{"Task failed ELB health checks in (target-group arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/web/6d0ecf831eec9f09)", "Task failed ELB health checks in (target-group web)"},
		{"AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/web-execution/17cbd22653424f62971b13fffcf6113e is not authorized", "AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/web-execution/… is not authorized"},
		{"status code: 400, request id: 5f0c2b1e-8f5c-4b7e-9d36-0a1b2c3d4e5f", "status code: 400, request id: …"},
		{"https response error StatusCode: 403, RequestID: TX1ABCDEF23, HostID: x", "https response error StatusCode: 403, RequestID: …, HostID: x"},
		{"dial tcp 35.180.245.30:443: i/o timeout", "dial tcp …:443: i/o timeout"},
		{"read udp 10.0.1.17:54321->10.0.0.2:53: i/o timeout", "read udp …->…:53: i/o timeout"},
		{"was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance 47d5cb9a-6e38-495e-9777-5ae6d02a3720) is already using a port required by your task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
			"was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance …) is already using a port required by your task."},
		{"The following targets are not in the target group VPC 'vpc-11111111': 'i-0381a63c79abcf413'", "The following targets are not in the target group VPC 'vpc-11111111': 'i-…'"},
		{"Mount attempt 1/3 failed due to timeout after 15 sec", "Mount attempt failed due to timeout after 15 sec"},
		{"create stream has been retried 1 times: failed", "create stream has been retried: failed"},
		{"expired at 2026-11-23T12:00:00.123Z", "expired at …"},
		{" two\nlines\tand  spaces\u2028and\vmore\u0085", "two lines and spaces and more"},
		{"digests say something: sha256:06a25869f232573b0a55a3cd831c07268ceedd7260766f5d9b3a268b0422c010", "digests say something: sha256:06a25869f232573b0a55a3cd831c07268ceedd7260766f5d9b3a268b0422c010"},
		{"not UTF-8: \xff", "not UTF-8: �"},
		{strings.Repeat("é", 1100), strings.Repeat("é", 999) + "…"},
		{"", ""},
	} {
		if got := normalise(tt.in); got != tt.want {
			t.Errorf("normalise(%q)\n got %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

// FuzzNormalise: whatever ECS says, a reason is one line of bounded length, and
// two reasons that differ in ids and numbers of attempts alone are one.
func FuzzNormalise(f *testing.F) {
	f.Add("CannotPullContainerError: ", ": failed to resolve ref", uint64(1), uint64(2))
	f.Add("(task ", ") failed", uint64(1), uint64(9))
	f.Add("\xff\n", "\u2028", uint64(0), uint64(1<<63))
	f.Fuzz(func(t *testing.T, before, after string, a, b uint64) {
		got := normalise(before + after)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\t\v\f\u0085\u2028\u2029") || utf8.RuneCountInString(got) > maxReason {
			t.Errorf("normalise(%q) = %q", before+after, got)
		}
		text := func(n uint64) string {
			return fmt.Sprintf("%s (task %s) request id: %08x-0000-4000-8000-%012x at 10.%d.0.1:%d->10.0.0.2:53 has been retried %d time(s) %s",
				before, taskID(int(n%1e6)), uint32(n), n&0xffffffffffff, n%250, 1024+n%60000, n, after)
		}
		if x, y := normalise(text(a)), normalise(text(b)); x != y {
			t.Errorf("these should be one reason:\n%q\n%q", x, y)
		}
	})
}

// TestFailedContainer: ECS does not say which container took a task down.
func TestFailedContainer(t *testing.T) {
	exited := types.TaskStopCodeEssentialContainerExited
	unhealthy := container("app", 0)
	unhealthy.HealthStatus = types.HealthStatusUnhealthy
	killed := container("app", 137)
	killed.Reason = aws.String("OutOfMemoryError: Container killed due to memory usage")
	for _, tt := range []struct {
		name       string
		code       types.TaskStopCode
		containers []types.Container
		essential  map[string]bool
		want       string
	}{
		{"the only one", exited, []types.Container{container("app", 1)}, map[string]bool{"app": true}, "app"},
		{"the one that was not stopped by the other's end", exited, []types.Container{container("envoy", 143), container("app", 1)}, map[string]bool{"app": true, "envoy": true}, "app"},
		{"an essential one before one that may fail", exited, []types.Container{container("cron", 1), container("app", 2)}, map[string]bool{"app": true, "cron": false}, "app"},
		{"the one that ended well, not the one that ignored SIGTERM", exited, []types.Container{container("envoy", 137), container("app", 0)}, map[string]bool{"app": true, "envoy": true}, "app"},
		{"the one that ECS says was out of memory", exited, []types.Container{container("envoy", 1), killed}, map[string]bool{"app": true, "envoy": true}, "app"},
		{"the one whose image cannot be pulled", types.TaskStopCodeTaskFailedToStart, []types.Container{unstarted("app", ""), unstarted("envoy", "CannotPullContainerError: not found")}, map[string]bool{"app": true, "envoy": true}, "envoy"},
		{"the one whose health check fails", types.TaskStopCodeServiceSchedulerInitiated, []types.Container{container("envoy", 0), unhealthy}, map[string]bool{"app": true, "envoy": true}, "app"},
		{"the one that the others waited for", types.TaskStopCodeTaskFailedToStart, []types.Container{unstarted("app", "dependency graph: failed to resolve container ordering dependency [migrate] for target [app]"), container("migrate", 3)}, map[string]bool{"app": true, "migrate": false}, "migrate"},
		{"it is unknown what is essential", exited, []types.Container{container("envoy", 143), container("app", 1)}, nil, "app"},
		{"no containers", exited, nil, nil, ""},
	} {
		causes := stopCauses([]types.Task{stoppedTask(1, tt.code, "reason", tt.containers...)}, tt.essential)
		got := ""
		if f := causes[0].Failed(); f != nil {
			got = f.Name
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestStopCauses(t *testing.T) {
	exited, essential := types.TaskStopCodeEssentialContainerExited, map[string]bool{"app": true}
	var tasks []types.Task
	for i := range 3 {
		tasks = append(tasks, stoppedTask(i, exited, "Essential container in task exited", container("app", 1)))
	}
	for i := range 5 {
		tasks = append(tasks, stoppedTask(10+i, types.TaskStopCodeTaskFailedToStart, fmt.Sprintf("CannotPullContainerError: ref pull has been retried %d time(s): not found", i), unstarted("app", fmt.Sprintf("CannotPullContainerError: ref pull has been retried %d time(s): not found", i))))
	}
	tasks = append(tasks,
		stoppedTask(20, exited, "Essential container in task exited", container("app", 137)),
		stoppedTask(21, types.TaskStopCodeServiceSchedulerInitiated, "Scaling activity initiated by (deployment ecs-svc/1234567890123456789)", container("app", 143)))
	causes := stopCauses(tasks, essential)
	var got []string
	for _, c := range causes {
		got = append(got, c.Title())
	}
	want := []string{
		"5 tasks stopped: CannotPullContainerError: ref pull has been retried: not found (TaskFailedToStart)",
		"3 tasks stopped: Essential container in task exited (EssentialContainerExited)",
		"1 task stopped: Essential container in task exited (EssentialContainerExited)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("causes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := []string{taskID(14), taskID(13), taskID(12)}; !slices.Equal(causes[0].Tasks, want) {
		t.Errorf("tasks %v, want the latest first: %v", causes[0].Tasks, want)
	}
	if causes[1].Ran != 10*time.Second {
		t.Errorf("ran %s, want 10s", causes[1].Ran)
	}
}

func TestIdleCauses(t *testing.T) {
	task := func(status string, health types.HealthStatus) types.Task {
		return types.Task{LastStatus: aws.String(status), HealthStatus: health, Containers: []types.Container{{Name: aws.String("app"), HealthStatus: health}}}
	}
	tasks := []types.Task{
		task("RUNNING", types.HealthStatusUnknown), task("RUNNING", types.HealthStatusUnknown), task("PENDING", types.HealthStatusUnknown),
		task("RUNNING", types.HealthStatusHealthy), task("RUNNING", types.HealthStatusUnhealthy),
	}
	var got []string
	for _, c := range append(unhealthyCauses(tasks, nil), idleCauses(tasks, nil)...) {
		got = append(got, c.Title())
	}
	want := []string{"1 task: running, container health check fails", "2 tasks: running, health not known", "1 task: still PENDING"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWhy: what is said first of a diagnosis, in a sentence about the service.
func TestWhy(t *testing.T) {
	app := func(code *int, reason, health string) []ContainerEnd {
		return []ContainerEnd{{Name: "metrics", ExitCode: aws.Int(143)}, {Name: "app", ExitCode: code, Reason: reason, Health: health, Failed: true}}
	}
	target := []UnhealthyTargets{{Count: 2, Group: "web", Port: 8080, Reason: "Health checks failed with these codes: [502]", Hint: "check its path"}}
	const refused = "2 targets unhealthy in target group web, port 8080: Health checks failed with these codes: [502]"
	const exited = "Essential container in task exited"
	for _, tt := range []struct {
		name, want, hint string
		d                Diagnosis
	}{
		{"nothing", "", "", Diagnosis{Notes: []Note{{What: StoppedTasks, Why: Denied, Action: "ecs:ListTasks"}}}},
		{"an exit code", "container app exited with code 1", "see its log",
			Diagnosis{Causes: []Cause{{Count: 4, StopCode: "EssentialContainerExited", Reason: exited, Containers: app(aws.Int(1), "", ""), Hint: "see its log"}, {Count: 1, Reason: "another"}}}},
		{"what ECS adds to it", "container app exited with code 137: OutOfMemoryError: Container killed due to memory usage", "",
			Diagnosis{Causes: []Cause{{Count: 4, StopCode: "EssentialContainerExited", Reason: exited, Containers: app(aws.Int(137), "OutOfMemoryError: Container killed due to memory usage", "")}}}},
		{"a task that never ran", "CannotPullContainerError: not found", "",
			Diagnosis{Causes: []Cause{{Count: 4, StopCode: "TaskFailedToStart", Reason: "CannotPullContainerError: not found.", Containers: app(nil, "CannotPullContainerError: not found", "")}}}},
		{"the exit code of a task that ECS stopped says nothing", "Task failed container health checks", "",
			Diagnosis{Causes: []Cause{{Count: 4, StopCode: "ServiceSchedulerInitiated", Reason: "Task failed container health checks", Containers: app(aws.Int(143), "", "UNHEALTHY")}}}},
		{"the load balancer knows more of its check", refused, "check its path",
			Diagnosis{Causes: []Cause{{Count: 4, StopCode: "ServiceSchedulerInitiated", Reason: "Task failed ELB health checks in (target-group web)"}}, Targets: target}},
		{"and more than a task that waits", refused, "check its path", Diagnosis{Causes: []Cause{{Count: 2, Reason: "running, health not known"}}, Targets: target}},
		{"but not why a task ended", "container app exited with code 1", "",
			Diagnosis{Causes: []Cause{{Count: 4, StopCode: "EssentialContainerExited", Reason: exited, Containers: app(aws.Int(1), "", "")}}, Targets: target}},
		{"a task that waits", "2 tasks still PENDING", "", Diagnosis{Causes: []Cause{{Count: 2, Reason: "still PENDING"}}}},
		{"an event", "was unable to place a task. Reason: Capacity is unavailable at this time", "",
			Diagnosis{Causes: []Cause{{Count: 11, Event: true, Reason: "was unable to place a task. Reason: Capacity is unavailable at this time."}}}},
		{"what CodeDeploy's rollback did is no reason", "", "", Diagnosis{Causes: []Cause{{Count: 2, StopCode: "ServiceSchedulerInitiated", Reason: "Task set was deleted"}}}},
	} {
		if why, hint := tt.d.Why(); why != tt.want || hint != tt.hint {
			t.Errorf("%s: %q, hint %q, want %q, hint %q", tt.name, why, hint, tt.want, tt.hint)
		}
	}
}

func TestEvents(t *testing.T) {
	group := "(target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/6d0ecf831eec9f09)"
	events := []ecs.Message{
		{Time: noon.Add(9 * time.Minute), Text: "(service web) is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{Time: noon.Add(8 * time.Minute), Text: "(service web) (deployment ecs-svc/1234567890123456789) deployment failed: tasks failed to start."},
		{Time: noon.Add(7 * time.Minute), Text: "(service web) was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance " + taskID(1) + ") has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{Time: noon.Add(6 * time.Minute), Text: "(service web) failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web-task' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.)."},
		{Time: noon.Add(5 * time.Minute), Text: "(service web) was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance " + taskID(2) + ") has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{Time: noon.Add(4 * time.Minute), Text: "(service web) (task " + taskID(3) + ") (port 8080) is unhealthy in " + group + " due to (reason Health checks failed with these codes: [404])"},
		{Time: noon.Add(3 * time.Minute), Text: "(service web) (task " + taskID(4) + ") (port 8080) is unhealthy in " + group + " due to (reason Health checks failed with these codes: [404])"},
		{Time: noon.Add(2 * time.Minute), Text: "(service web) (task " + taskID(5) + ") (port 8080) is unhealthy in " + group + " due to (reason Request timed out)"},
		{Time: noon.Add(2 * time.Minute), Text: "(service web) (instance i-0381a63c79abcf413) is unhealthy in (elb old) due to (reason Instance has failed at least the UnhealthyThreshold number of health checks consecutively.)"},
		{Time: noon.Add(time.Minute), Text: "(service web) has started 2 tasks: (task " + taskID(3) + ") (task " + taskID(4) + ")."},
		{Time: noon.Add(-time.Minute), Text: "(service web) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone."},
	}
	var got []string
	for _, c := range Troubles(events, noon) {
		got = append(got, c.Title()+" → "+c.Hint)
	}
	for _, u := range unhealthyEvents(events, noon, func(task string) bool { return task != taskID(5) }) {
		got = append(got, u.Title())
	}
	want := []string{
		"2 times: was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance …) has insufficient memory available. → no instance has room for one more task: add instances, lower the task's cpu or memory, or lower minimumHealthyPercent so that old tasks make room first",
		"failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web-task' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.). → ECS cannot assume the task role or execution role: the role must exist, trust ecs-tasks.amazonaws.com, and whoever deploys needs iam:PassRole for it",
		"2 targets unhealthy in target group web, port 8080: Health checks failed with these codes: [404]",
		"1 target unhealthy in target group old: Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLines(t *testing.T) {
	d := Diagnosis{
		Causes: []Cause{
			{
				Count: 6, StopCode: "EssentialContainerExited", Reason: "Essential container in task exited", Ran: 1400 * time.Millisecond,
				Containers: []ContainerEnd{{Name: "envoy", ExitCode: aws.Int(143)}, {Name: "app", ExitCode: aws.Int(137), Reason: "OutOfMemoryError: Container killed due to memory usage", Failed: true}},
				Log:        []string{"loading the world", "still loading"}, LogTask: "0f1e2d", Hint: "out of memory",
			},
			{
				Count: 1, StopCode: "TaskFailedToStart", Reason: "CannotPullContainerError: ref pull has been retried: not found",
				Containers: []ContainerEnd{{Name: "app", Reason: "CannotPullContainerError: ref pull has been retried: not found", Failed: true}},
			},
			{Count: 2, Event: true, Reason: "was unable to place a task."},
		},
		More: 1, MoreTasks: 2,
		Targets: []UnhealthyTargets{{Count: 2, Group: "web", Port: 8080, State: "unhealthy", Reason: "Target.Timeout: Request timed out", Hint: "no answer in time"}},
		Alarms:  []string{"web-5xx", "web-latency"},
		Notes:   []Note{{What: TargetHealth, Name: "web", Why: Denied, Action: "elasticloadbalancing:DescribeTargetHealth"}},
	}
	want := `6 tasks stopped: Essential container in task exited (EssentialContainerExited)
  container app exited with code 137 after 1s: OutOfMemoryError: Container killed due to memory usage
  exit codes of the other containers: envoy 143
  last lines of app in task 0f1e2d:
  | loading the world
  | still loading
  hint: out of memory
1 task stopped: CannotPullContainerError: ref pull has been retried: not found (TaskFailedToStart)
2 times: was unable to place a task.
and 1 more cause (2 tasks)
2 targets unhealthy in target group web, port 8080: Target.Timeout: Request timed out
  hint: no answer in time
alarms: web-5xx, web-latency
could not read the health of target group web: access denied (requires elasticloadbalancing:DescribeTargetHealth)`
	if got := strings.Join(d.Lines(), "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if lines := (Diagnosis{}).Lines(); len(lines) != 0 {
		t.Errorf("nothing known is told in %q", lines)
	}
}

// TestOnePage: a thousand tasks that fail in a hundred ways, with everything
// else wrong as well, are one page.
func TestOnePage(t *testing.T) {
	const page = 70
	x := &examination{complete: true}
	for i := range 1000 {
		x.stopped = append(x.stopped, stoppedTask(i, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", container("app", int32(1+i%100)), container("envoy", 143)))
	}
	x.findCauses()
	for i := range x.causes {
		x.causes[i].LogTask, x.causes[i].Log = "0f1e2d", slices.Repeat([]string{"panic"}, logLines)
	}
	for i := range 50 {
		x.subject.Events = append(x.subject.Events, ecs.Message{Time: noon, Text: fmt.Sprintf("(service web) (instance i-0381a63c79abcf413) is unhealthy in (target-group web%d) due to (reason Health checks failed)", i)})
		x.note(Note{What: ContainerLog, Name: fmt.Sprintf("app%d", i), Why: Unlogged})
	}
	x.events = []Cause{{Count: 1, Event: true, Reason: "was unable to place a task."}, {Count: 1, Event: true, Reason: "another one"}}
	x.subject.Alarms = []string{"web-5xx"}
	d := x.diagnosis()
	if len(d.Causes) != maxCauses || d.More != 98 || d.MoreTasks != 970 {
		t.Errorf("%d causes, %d more of %d tasks; want %d, 98 and 970", len(d.Causes), d.More, d.MoreTasks, maxCauses)
	}
	if last := d.Causes[maxCauses-1]; last.Reason != "was unable to place a task." {
		t.Errorf("the last of the causes is %q, want the first event", last.Reason)
	}
	if lines := d.Lines(); len(lines) > page {
		t.Errorf("%d lines, want %d at most:\n%s", len(lines), page, strings.Join(lines, "\n"))
	}
}
