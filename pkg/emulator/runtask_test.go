package emulator

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator/scenario"
)

// runs is a request for a one-off task of the demo's family.
func (w *world) runs() *ecs.RunTaskInput {
	return &ecs.RunTaskInput{
		Cluster: ptr(DemoCluster), TaskDefinition: ptr(DemoFamily), LaunchType: "FARGATE", NetworkConfiguration: w.service().NetworkConfiguration,
	}
}

func (w *world) task(arn *string) types.Task {
	w.Helper()
	return must(w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Cluster: ptr(DemoCluster), Tasks: []string{*arn}}))(w).Tasks[0]
}

// TestScriptedTasks runs a migration that writes a line every ten seconds and fails, and then one that works.
func TestScriptedTasks(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		w.ScriptTasks(DemoCluster, DemoFamily, Scenario{Fates: []Fate{
			{Exit: scenario.Exit(3), ExitAfter: 40 * time.Second, Log: []string{"applying 0001", "applying 0002", "duplicate column"}, LogEvery: 10 * time.Second},
			{Unplaced: scenario.UnplacedFargate.Unplaced},
			{},
			{Starting: true},
		}})
		in := w.runs()
		in.Overrides = &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: ptr("chat-app"), Command: []string{"migrate"}}}}
		in.StartedBy, in.ClientToken = ptr("build-17"), ptr("token-17")
		first := must(w.ecs.RunTask(w.ctx, in))(w).Tasks[0]
		if again := must(w.ecs.RunTask(w.ctx, in))(w).Tasks[0]; *again.TaskArn != *first.TaskArn {
			t.Error("the same token ran another task")
		}
		other := *in
		other.StartedBy = ptr("build-18")
		if _, err := w.ecs.RunTask(w.ctx, &other); err == nil {
			t.Error("a token was taken for other parameters")
		}
		id := (*first.TaskArn)[len(*first.TaskArn)-32:]
		events := func() int {
			out, err := w.logsAPI.GetLogEvents(w.ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: ptr(DemoLogGroup), LogStreamName: ptr("chat-app/chat-app/" + id), StartFromHead: ptr(true)})
			if err != nil {
				return -1
			}
			return len(out.Events)
		}
		seen := map[int]bool{}
		took := w.wait(2*time.Minute, "stopped", func() bool {
			seen[events()] = true
			return *w.task(first.TaskArn).LastStatus == "STOPPED"
		})
		task := w.task(first.TaskArn)
		if *task.Containers[0].ExitCode != 3 || task.StopCode != types.TaskStopCodeEssentialContainerExited || *task.StartedBy != "build-17" || *task.Group != "family:"+DemoFamily {
			t.Errorf("exit code %d, %s, started by %s in %s", *task.Containers[0].ExitCode, task.StopCode, *task.StartedBy, *task.Group)
		}
		if !seen[-1] || !seen[1] || !seen[2] || !seen[3] || took < time.Minute {
			t.Errorf("saw %v lines in %v", seen, took)
		}
		if got := task.Overrides.ContainerOverrides[0].Command; len(got) != 1 || got[0] != "migrate" {
			t.Errorf("overrides %v", got)
		}

		in.ClientToken = nil
		if out := must(w.ecs.RunTask(w.ctx, in))(w); len(out.Tasks) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != scenario.UnplacedFargate.Unplaced.Failure {
			t.Errorf("without capacity: %v, %v", out.Tasks, out.Failures)
		}
		in.ClientToken = nil // the SDK leaves the one that it made in the input
		ok := must(w.ecs.RunTask(w.ctx, in))(w).Tasks[0]
		w.wait(2*time.Minute, "stopped", func() bool { return *w.task(ok.TaskArn).LastStatus == "STOPPED" })
		if got := *w.task(ok.TaskArn).Containers[0].ExitCode; got != 0 {
			t.Errorf("exit code %d", got)
		}
		in.ClientToken = nil
		endless := must(w.ecs.RunTask(w.ctx, in))(w).Tasks[0]
		w.wait(time.Minute, "running", func() bool { return *w.task(endless.TaskArn).LastStatus == "RUNNING" })
		must(w.ecs.StopTask(w.ctx, &ecs.StopTaskInput{Cluster: ptr(DemoCluster), Task: endless.TaskArn, Reason: ptr("run cancelled")}))(w)
		w.wait(time.Minute, "stopped", func() bool { return *w.task(endless.TaskArn).LastStatus == "STOPPED" })
		if task := w.task(endless.TaskArn); *task.StoppedReason != "run cancelled" || task.StopCode != "UserInitiated" || *task.Containers[0].ExitCode != 143 {
			t.Errorf("%s: %s, exit code %d", task.StopCode, *task.StoppedReason, *task.Containers[0].ExitCode)
		}
	})
}

// TestRunTaskRefusals holds what RunTask refuses.
func TestRunTaskRefusals(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		for message, change := range map[string]func(*ecs.RunTaskInput){
			"No Container Instances were found in your cluster.":                             func(in *ecs.RunTaskInput) { in.LaunchType = "" },
			"count must be between 1 and 10.":                                                func(in *ecs.RunTaskInput) { in.Count = ptr(int32(11)) },
			"Network Configuration must be provided when networkMode 'awsvpc' is specified.": func(in *ecs.RunTaskInput) { in.NetworkConfiguration = nil },
			"Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.": func(in *ecs.RunTaskInput) {
				in.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: ptr("FARGATE")}}
			},
			"Override for container named nope is not a container in the TaskDefinition.": func(in *ecs.RunTaskInput) {
				in.Overrides = &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: ptr("nope")}}}
			},
			"Invalid namespace for group.": func(in *ecs.RunTaskInput) { in.Group = ptr("service:web") },
		} {
			in := w.runs()
			change(in)
			_, err := w.ecs.RunTask(w.ctx, in)
			refused(t, err, "InvalidParameterException", message)
		}
	})
}
