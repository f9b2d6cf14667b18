package emulator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestScenarios plays each scenario and looks at what a caller sees once nothing more changes, or after seven minutes.
func TestScenarios(t *testing.T) {
	t.Parallel()
	type want struct {
		status   types.ServiceDeploymentStatus
		reason   string
		primary  types.DeploymentRolloutState
		on       int32 // revision that the service is on in the end
		within   [2]time.Duration
		stopped  string // reason of the new revision's stopped tasks
		code     types.TaskStopCode
		exitCode int32
		event    string

		container string // its reason
	}
	const hookFailure = "Service deployment rolled back because POST_TEST_TRAFFIC_SHIFT lifecycle hook(s) failed. Lifecycle hook target arn:aws:lambda:eu-west-1:123456789012:function:chat-app-dev-ecs-svc-check returned FAILED status."
	const never = 7 * time.Minute
	tests := map[string]want{
		"complete": {status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{30 * time.Second, 90 * time.Second},
			event: "has reached a steady state."},
		"slow": {status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{4 * time.Minute, 6 * time.Minute},
			event: "deployment completed."},
		"draining": {status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{5 * time.Minute, 6 * time.Minute},
			event: "has reached a steady state."},
		"crash": {status: "IN_PROGRESS", primary: "IN_PROGRESS", on: 2, within: [2]time.Duration{never, never},
			stopped: "Essential container in task exited", code: "EssentialContainerExited", exitCode: 1,
			event: "is unable to consistently start tasks successfully."},
		"pull-error": {status: "IN_PROGRESS", primary: "IN_PROGRESS", on: 2, within: [2]time.Duration{never, never},
			stopped: "CannotPullContainerError: pull image manifest has been retried 5 time(s)", code: "TaskFailedToStart", exitCode: -1,
			event: "has started 2 tasks: (task "},
		"rollback": {status: "ROLLBACK_SUCCESSFUL", reason: "Service deployment rolled back because the circuit breaker threshold was exceeded.",
			primary: "COMPLETED", on: 1, within: [2]time.Duration{time.Minute, 4 * time.Minute},
			stopped: "Essential container in task exited", code: "EssentialContainerExited", exitCode: 1,
			event: "rolling back to deployment ecs-svc/"},
		"failed": {status: "STOPPED", reason: "Service deployment stopped because the circuit breaker threshold was exceeded.",
			primary: "FAILED", on: 2, within: [2]time.Duration{time.Minute, 4 * time.Minute},
			stopped: "Essential container in task exited", code: "EssentialContainerExited", exitCode: 1,
			event: "deployment failed: tasks failed to start."},
		"superseded": {status: "STOPPED", reason: "Service deployment was stopped because a new service deployment was started.",
			primary: "IN_PROGRESS", on: 3, within: [2]time.Duration{29 * time.Second, 31 * time.Second},
			event: "has started 2 tasks: (task "},
		"stuck": {status: "IN_PROGRESS", primary: "IN_PROGRESS", on: 2, within: [2]time.Duration{never, never},
			event: "registered 1 targets in (target-group "},
		"throttled": {status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{30 * time.Second, 90 * time.Second},
			event: "deployment completed."},
		"unhealthy": {status: "IN_PROGRESS", primary: "IN_PROGRESS", on: 2, within: [2]time.Duration{never, never},
			stopped: "Task failed ELB health checks in (target-group ", code: "ServiceSchedulerInitiated", exitCode: 0,
			event: "(port 8080) is unhealthy in (target-group "},
		"flapping": {status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{time.Minute, 4 * time.Minute},
			stopped: "Essential container in task exited", code: "EssentialContainerExited", exitCode: 137,
			event: "deployment completed."},
		"blue-green": {status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{2 * time.Minute, 3 * time.Minute},
			event: "deployment completed."},
		"canary": {status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{3 * time.Minute, 4 * time.Minute},
			event: "deployment completed."},
		"linear": {status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{5 * time.Minute, 6 * time.Minute},
			event: "deployment completed."},
		"paused": {status: "IN_PROGRESS", primary: "IN_PROGRESS", on: 2, within: [2]time.Duration{never, never},
			event: "registered 1 targets in (target-group "},
		"hook-failed": {status: "ROLLBACK_SUCCESSFUL", reason: hookFailure, primary: "COMPLETED", on: 1, within: [2]time.Duration{time.Minute, 3 * time.Minute},
			stopped: "Scaling activity initiated by (deployment ecs-svc/", code: "ServiceSchedulerInitiated", exitCode: 0,
			event: "deployment failed: " + hookFailure},
		"alarm": {status: "ROLLBACK_SUCCESSFUL", reason: "Service deployment rolled back because an alarm was detected.",
			primary: "COMPLETED", on: 1, within: [2]time.Duration{time.Minute, 4 * time.Minute},
			stopped: "Scaling activity initiated by (deployment ecs-svc/", code: "ServiceSchedulerInitiated", exitCode: 0,
			event: "deployment failed: alarm detected."},
	}
	// The reasons for which tasks do not stay: the deployment goes on trying.
	for name, reason := range map[string]want{
		"no-image":            {stopped: "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref public.ecr.aws/nginx/nginx:1.29-alpine: public.ecr.aws/nginx/nginx:1.29-alpine: not found"},
		"pull-timeout":        {stopped: `CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref public.ecr.aws/nginx/nginx:1.29-alpine: failed to do request: Head "https://public.ecr.aws/v2/nginx/nginx/manifests/1.29-alpine": dial tcp 52.219.199.138:443: i/o timeout`},
		"wrong-platform":      {stopped: "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'"},
		"wrong-architecture":  {stopped: "Essential container in task exited", code: "EssentialContainerExited", exitCode: 255},
		"no-secret":           {stopped: "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm"},
		"no-log-group":        {stopped: "ResourceInitializationError: failed to validate logger args:"},
		"container-unhealthy": {stopped: "Task failed container health checks", code: "ServiceSchedulerInitiated", event: ") failed container health checks."},
		"bad-gateway":         {stopped: "Task failed ELB health checks in (target-group arn:", code: "ServiceSchedulerInitiated", event: "due to (reason Health checks failed with these codes: [502])"},
		"health-timeout":      {stopped: "Task failed ELB health checks in (target-group arn:", code: "ServiceSchedulerInitiated", event: "due to (reason Request timed out)"},
		"out-of-memory":       {stopped: "Essential container in task exited", code: "EssentialContainerExited", exitCode: 137, container: "OutOfMemoryError: Container killed due to memory usage"},
		"exit-0":              {stopped: "Essential container in task exited", code: "EssentialContainerExited"},
		"no-command":          {stopped: "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task", code: "TaskFailedToStart", exitCode: 127},
		"no-address":          {stopped: "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled in subnet 'subnet-"},
		"no-capacity":         {event: "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone."},
		"no-instance":         {event: "has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		"no-role":             {event: "failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::123456789012:role/chat-app-dev-task' that was provided for this task."},
	} {
		reason.status, reason.primary, reason.on, reason.within = "IN_PROGRESS", "IN_PROGRESS", 2, [2]time.Duration{never, never}
		if reason.stopped != "" && reason.code == "" {
			reason.code, reason.exitCode, reason.event = "TaskFailedToStart", -1, "was unable to place a task. Reason: "+reason.stopped
		}
		tests[name] = reason
	}
	tests["spot"] = want{status: "SUCCESSFUL", primary: "COMPLETED", on: 2, within: [2]time.Duration{time.Minute, 4 * time.Minute},
		stopped: "Your Spot Task was interrupted.", code: "SpotInterruption"}
	for _, scenario := range sampled(Scenarios()) {
		want, ok := tests[scenario.Name]
		if _, strict := strictScenarios[scenario.Name]; !ok && strict {
			continue // TestStrictScenarios has it
		}
		t.Run(scenario.Name, func(t *testing.T) {
			if !ok {
				t.Fatal("a scenario without a test")
			}
			inDemo(t, func(w *world) {
				before := w.service()
				revision := w.register(nil)
				w.Script(DemoCluster, DemoService, scenario)
				w.Mend("ecs:*") // the throttling itself is seen in TestThrottled
				after := w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = revision })
				ours := *after.Deployments[0].Id
				arn := w.latest().ServiceDeploymentArn

				start := time.Now()
				final := []types.ServiceDeploymentStatus{"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}
				for time.Since(start) < never && !slices.Contains(final, w.deployment(*arn).Status) {
					time.Sleep(time.Second)
				}
				took := time.Since(start)

				d, s := w.deployment(*arn), w.service()
				if d.Status != want.status || aws.ToString(d.StatusReason) != want.reason {
					t.Errorf("service deployment is %s (%s), want %s (%s)", d.Status, aws.ToString(d.StatusReason), want.status, want.reason)
				}
				if took < want.within[0] || took > want.within[1] {
					t.Errorf("it took %v, want %v to %v", took, want.within[0], want.within[1])
				}
				if got := s.Deployments[0].RolloutState; got != want.primary {
					t.Errorf("the primary deployment is %s (%s), want %s", got, *s.Deployments[0].RolloutStateReason, want.primary)
				}
				if !strings.HasSuffix(*s.TaskDefinition, ":"+string(rune('0'+want.on))) {
					t.Errorf("the service is on %s, want revision %d", *s.TaskDefinition, want.on)
				}
				if s.RunningCount < 2 {
					t.Errorf("%d tasks run: the old ones must not go before new ones are healthy", s.RunningCount)
				}
				if !slices.ContainsFunc(s.Events, func(e types.ServiceEvent) bool {
					return e.CreatedAt.After(start.Add(-time.Second)) && strings.Contains(*e.Message, want.event)
				}) {
					t.Errorf("no event says %q", want.event)
				}
				if want.stopped != "" {
					stopped := w.tasks(&ours, types.DesiredStatusStopped)
					if len(stopped) == 0 {
						t.Fatal("no task of the new deployment has stopped")
					}
					last := stopped[len(stopped)-1]
					if !strings.HasPrefix(*last.StoppedReason, want.stopped) || last.StopCode != want.code {
						t.Errorf("stopped with %s: %s", last.StopCode, *last.StoppedReason)
					}
					if got := last.Containers[0].ExitCode; want.exitCode < 0 && got != nil || want.exitCode >= 0 && (got == nil || *got != want.exitCode) {
						t.Errorf("exit code %v, want %d", got, want.exitCode)
					}
					if got := aws.ToString(last.Containers[0].Reason); want.container != "" && got != want.container {
						t.Errorf("the container stopped with %q", got)
					}
					for _, text := range []string{*last.StoppedReason, aws.ToString(last.Containers[0].Reason)} {
						if strings.ContainsAny(text, "{}") {
							t.Errorf("not filled in: %s", text)
						}
					}
				} else if stopped := w.tasks(&ours, types.DesiredStatusStopped); len(stopped) > 0 && scenario.Name != "superseded" {
					t.Errorf("%d tasks have stopped: %s", len(stopped), *stopped[0].StoppedReason)
				}
				switch scenario.Name {
				case "rollback":
					if d.Rollback == nil || *d.Rollback.ServiceRevisionArn != *before.CurrentServiceRevisions[0].Arn {
						t.Errorf("rollback is %+v, want one to %s", d.Rollback, *before.CurrentServiceRevisions[0].Arn)
					}
					if *s.Deployments[0].Id != *before.Deployments[0].Id {
						t.Errorf("the primary deployment is %s, want the one before, %s", *s.Deployments[0].Id, *before.Deployments[0].Id)
					}
				case "superseded":
					if len(w.service().Deployments) < 2 || w.latest().Status != types.ServiceDeploymentStatusPending {
						t.Error("their deployment is not under way")
					}
					w.wait(2*time.Minute, "completed by the other deployment", func() bool { return w.latest().Status == types.ServiceDeploymentStatusSuccessful })
				}
			})
		})
	}
}

// register registers a revision of the demo's task definition, as a client would: described, changed, sent back.
func (w *world) register(change func(*ecs.RegisterTaskDefinitionInput)) *string {
	w.Helper()
	out := must(w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(DemoFamily), Include: []types.TaskDefinitionField{"TAGS"}}))(w)
	td := out.TaskDefinition
	in := &ecs.RegisterTaskDefinitionInput{
		Family: td.Family, ContainerDefinitions: td.ContainerDefinitions, Cpu: td.Cpu, Memory: td.Memory, NetworkMode: td.NetworkMode,
		ExecutionRoleArn: td.ExecutionRoleArn, TaskRoleArn: td.TaskRoleArn, RequiresCompatibilities: td.RequiresCompatibilities,
		RuntimePlatform: td.RuntimePlatform, Tags: out.Tags,
	}
	if change != nil {
		change(in)
	}
	return must(w.ecs.RegisterTaskDefinition(w.ctx, in))(w).TaskDefinition.TaskDefinitionArn
}

func TestCrashWritesItsLog(t *testing.T) {
	inDemo(t, func(w *world) {
		crash, err := ParseScenario("crash")
		if err != nil {
			t.Fatal(err)
		}
		w.Script("", "", crash)
		d := w.update(force).Deployments[0]
		w.wait(time.Minute, "crashed", func() bool { return len(w.tasks(d.Id, types.DesiredStatusStopped)) > 0 })
		task := w.tasks(d.Id, types.DesiredStatusStopped)[0]
		id := (*task.TaskArn)[strings.LastIndex(*task.TaskArn, "/")+1:]
		log := must(w.logsAPI.GetLogEvents(w.ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String(DemoLogGroup), LogStreamName: aws.String("chat-app/chat-app/" + id), Limit: aws.Int32(2),
		}))(w)
		if len(log.Events) != 2 || *log.Events[1].Message != "exit status 2" {
			t.Errorf("last log lines: %v", log.Events)
		}
	})
}

func TestThrottled(t *testing.T) {
	inDemo(t, func(w *world) {
		throttled, err := ParseScenario("throttled")
		if err != nil {
			t.Fatal(err)
		}
		w.Script(DemoCluster, DemoService, throttled)
		var codes []string
		for range 6 {
			_, err := w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
			if err != nil {
				refused(t, err, "ThrottlingException", "Rate exceeded")
			}
			codes = append(codes, map[bool]string{true: "ok", false: "throttled"}[err == nil])
		}
		if got := strings.Join(codes, " "); got != "ok ok throttled ok ok throttled" {
			t.Error(got)
		}
		complete, _ := ParseScenario("")
		w.Script(DemoCluster, DemoService, complete)
		for range 6 {
			must(w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{}))(w)
		}
	})
}

// sampled is every scenario, and with -short, as under the race detector, one in four.
func sampled(all []Scenario) (some []Scenario) {
	for i, s := range all {
		if !testing.Short() || i%4 == 0 {
			some = append(some, s)
		}
	}
	return some
}

func TestParseScenario(t *testing.T) {
	for _, s := range Scenarios() {
		if got, err := ParseScenario(s.Name); err != nil || got.Description != s.Description || s.Description == "" {
			t.Errorf("%s: %+v, %v", s.Name, got, err)
		}
	}
	if s, err := ParseScenario(""); err != nil || s.Name != "complete" {
		t.Errorf("default: %v, %v", s.Name, err)
	}
	if _, err := ParseScenario("explode"); err == nil || !strings.Contains(err.Error(), `"explode" does not exist; there are complete, slow`) {
		t.Error(err)
	}
}

// TestSpeed shows that only the pace changes with the speed.
func TestSpeed(t *testing.T) {
	inWorld(t, Options{Speed: 60}, func(w *world) {
		start := time.Now()
		if err := w.Demo(w.ctx); err != nil {
			t.Fatal(err)
		}
		w.update(force)
		w.wait(2*time.Second, "completed", func() bool { return w.latest().Status == types.ServiceDeploymentStatusSuccessful })
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
