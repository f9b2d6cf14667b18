package emulator

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	ecrroom "ecsdeploy/pkg/emulator/ecr"
)

func TestUpdateWithoutChangeStartsNothing(t *testing.T) {
	inDemo(t, func(w *world) {
		before := w.service()
		for name, change := range map[string]func(*ecs.UpdateServiceInput){
			"nothing":           func(in *ecs.UpdateServiceInput) {},
			"the same revision": func(in *ecs.UpdateServiceInput) { in.TaskDefinition = aws.String(DemoFamily + ":1") },
			"the family":        func(in *ecs.UpdateServiceInput) { in.TaskDefinition = aws.String(DemoFamily) },
			"the same network":  func(in *ecs.UpdateServiceInput) { in.NetworkConfiguration = before.NetworkConfiguration },
			"the count":         func(in *ecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(3) },
		} {
			after := w.update(change)
			if *after.Deployments[0].Id != *before.Deployments[0].Id || len(after.Deployments) != 1 {
				t.Errorf("%s started deployment %s", name, *after.Deployments[0].Id)
			}
		}
		list := must(w.ecs.ListServiceDeployments(w.ctx, &ecs.ListServiceDeploymentsInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)}))(w)
		if len(list.ServiceDeployments) != 1 {
			t.Errorf("%d service deployments", len(list.ServiceDeployments))
		}
		w.wait(time.Minute, "scaled to 3", func() bool { return w.service().RunningCount == 3 })
	})
}

// TestRollingBounds watches every second of rollouts: what runs stays within the service's percentages, and the update completes.
func TestRollingBounds(t *testing.T) {
	for _, c := range []struct{ desired, lower, upper int32 }{
		{0, 100, 200}, {1, 100, 200}, {1, 0, 100}, {4, 50, 100}, {4, 100, 150}, {5, 100, 200}, {10, 80, 110}, {3, 100, 134},
	} {
		t.Run(fmt.Sprintf("%d tasks, %d%% to %d%%", c.desired, c.lower, c.upper), func(t *testing.T) {
			inDemo(t, func(w *world) {
				w.update(func(in *ecs.UpdateServiceInput) {
					in.DesiredCount = &c.desired
					in.DeploymentConfiguration = &types.DeploymentConfiguration{MinimumHealthyPercent: &c.lower, MaximumPercent: &c.upper}
				})
				w.wait(2*time.Minute, "scaled", func() bool {
					s := w.service()
					return s.RunningCount == c.desired && s.PendingCount == 0
				})
				time.Sleep(15 * time.Second) // until all of them are healthy
				w.update(force)
				atLeast := (c.desired*c.lower + 99) / 100
				atMost := c.desired * c.upper / 100
				took := w.wait(20*time.Minute, "completed", func() bool {
					s := w.service()
					if n := s.RunningCount; n < atLeast {
						t.Fatalf("%d tasks run, at least %d must", n, atLeast)
					}
					if n := s.RunningCount + s.PendingCount; n > atMost {
						t.Fatalf("%d tasks run or start, at most %d may", n, atMost)
					}
					return w.latest().Status == types.ServiceDeploymentStatusSuccessful
				})
				s := w.service()
				if s.RunningCount != c.desired || len(s.Deployments) != 1 || s.Deployments[0].RunningCount != c.desired {
					t.Errorf("after %v %d tasks run in %d deployments", took, s.RunningCount, len(s.Deployments))
				}
			})
		})
	}
}

// TestStateDoesNotDependOnLooking compares a rollout that is looked at every few seconds with one that is looked at once.
func TestStateDoesNotDependOnLooking(t *testing.T) {
	t.Parallel()
	for _, s := range sampled(Scenarios()) {
		if s.ThrottleEvery > 0 {
			continue // looking more often is throttled more often
		}
		t.Run(s.Name, func(t *testing.T) {
			play := func(pause time.Duration) (out string) {
				inDemo(t, func(w *world) {
					w.Script("", "", s)
					w.update(force)
					for range int(5*time.Minute/pause) - 1 {
						time.Sleep(pause)
						w.service()
					}
					time.Sleep(pause)
					svc := w.service()
					for _, d := range svc.Deployments {
						out += fmt.Sprint(*d.Status, d.RolloutState, d.RunningCount, d.PendingCount, d.FailedTasks, "\n")
					}
					for _, e := range svc.Events {
						out += e.CreatedAt.Format(time.TimeOnly) + someID.ReplaceAllString(*e.Message, "…") + "\n" // ids differ: other ids were drawn in between
					}
				})
				return out
			}
			if often, once := play(4*time.Second), play(5*time.Minute); often != once {
				t.Errorf("looked at often:\n%s\nlooked at once:\n%s", often, once)
			}
		})
	}
}

var someID = regexp.MustCompile(`[0-9a-f]{32}|\d{19}`)

func TestStopServiceDeployment(t *testing.T) {
	inDemo(t, func(w *world) {
		slow, _ := ParseScenario("slow")
		w.Script("", "", slow)
		first := w.latest()
		_, err := w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: first.ServiceDeploymentArn})
		refused(t, err, "ConflictException", "Cannot stop a service deployment with the status SUCCESSFUL.")

		w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = w.register(nil) })
		time.Sleep(30 * time.Second)
		arn := w.latest().ServiceDeploymentArn
		_, err = w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: arn, StopType: types.StopServiceDeploymentStopTypeAbort})
		refused(t, err, "InvalidParameterException", "stopType should be one of [ROLLBACK]")
		must(w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: arn}))(w)
		if got := w.deployment(*arn).Status; got != types.ServiceDeploymentStatusRollbackRequested {
			t.Errorf("right after: %s", got)
		}
		time.Sleep(time.Second)
		if got := w.deployment(*arn).Status; got != types.ServiceDeploymentStatusRollbackInProgress {
			t.Errorf("a second later: %s", got)
		}
		w.wait(2*time.Minute, "rolled back", func() bool { return w.deployment(*arn).Status == types.ServiceDeploymentStatusRollbackSuccessful })
		if s := w.service(); !strings.HasSuffix(*s.TaskDefinition, ":1") || s.Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted {
			t.Errorf("on %s, %s", *s.TaskDefinition, s.Deployments[0].RolloutState)
		}
		_, err = w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: aws.String(*arn + "x")})
		refused(t, err, "ServiceDeploymentNotFoundException", "Service deployment not found.")
	})
}

// TestSameRevisionRollsBack is the case that tools judging by task definition get wrong: the revision that fails is the one gone back to.
func TestSameRevisionRollsBack(t *testing.T) {
	inDemo(t, func(w *world) {
		rollback, _ := ParseScenario("rollback")
		w.Script(DemoCluster, DemoService, rollback)
		w.update(force)
		w.wait(5*time.Minute, "rolled back", func() bool { return w.latest().Status == types.ServiceDeploymentStatusRollbackSuccessful })
		if s := w.service(); !strings.HasSuffix(*s.TaskDefinition, ":1") || s.RunningCount != 2 {
			t.Errorf("on %s with %d tasks", *s.TaskDefinition, s.RunningCount)
		}
	})
}

// TestGoingBackByUpdate moves a crashing service to the revision that ran before: it is healthy although the script is still in force.
func TestGoingBackByUpdate(t *testing.T) {
	inDemo(t, func(w *world) {
		crash, _ := ParseScenario("crash")
		w.Script("", DemoService, crash)
		w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = w.register(nil) })
		time.Sleep(2 * time.Minute)
		w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = aws.String(DemoFamily + ":1") })
		w.wait(2*time.Minute, "healthy again", func() bool { return w.latest().Status == types.ServiceDeploymentStatusSuccessful })
	})
}

func TestRollbackWithoutCandidateFails(t *testing.T) {
	inDemo(t, func(w *world) {
		must(w.ecs.CreateService(w.ctx, &ecs.CreateServiceInput{
			Cluster: aws.String(DemoCluster), ServiceName: aws.String("new"), TaskDefinition: aws.String(DemoFamily), DesiredCount: aws.Int32(1),
			LaunchType: types.LaunchTypeFargate, NetworkConfiguration: w.service().NetworkConfiguration,
		}))(w)
		list := func() types.ServiceDeploymentBrief {
			return must(w.ecs.ListServiceDeployments(w.ctx, &ecs.ListServiceDeploymentsInput{Cluster: aws.String(DemoCluster), Service: aws.String("new")}))(w).ServiceDeployments[0]
		}
		must(w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: list().ServiceDeploymentArn}))(w)
		time.Sleep(3 * time.Second)
		if d := list(); d.Status != types.ServiceDeploymentStatusRollbackFailed || *d.StatusReason != "No rollback candidate was found to run the rollback." {
			t.Errorf("%s: %s", d.Status, aws.ToString(d.StatusReason))
		}
	})
}

func TestBreakerThreshold(t *testing.T) {
	for _, c := range []struct {
		desired, want int32
		configured    *types.ThresholdConfiguration
	}{
		{desired: 0, want: 3}, {desired: 1, want: 3}, {desired: 7, want: 4}, {desired: 25, want: 13}, {desired: 401, want: 200},
		{desired: 1, want: 1, configured: &types.ThresholdConfiguration{Type: types.ThresholdTypeCount, Value: 1}},
		{desired: 1000, want: 500, configured: &types.ThresholdConfiguration{Type: types.ThresholdTypeUnboundedPercent, Value: 50}},
		{desired: 20, want: 4, configured: &types.ThresholdConfiguration{Type: types.ThresholdTypeBoundedPercent, Value: 20}},
	} {
		inDemo(t, func(w *world) {
			w.update(func(in *ecs.UpdateServiceInput) {
				in.DesiredCount = &c.desired
				in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, ThresholdConfiguration: c.configured}}
			})
			if got := w.latest().DeploymentCircuitBreaker.Threshold; got != c.want {
				t.Errorf("%d tasks, %v: threshold %d, want %d", c.desired, c.configured, got, c.want)
			}
		})
	}
}

// TestImageOfOurRegistry follows an image from the registry into tasks and service revision.
func TestImageOfOurRegistry(t *testing.T) {
	inDemo(t, func(w *world) {
		uri, digest := w.push("7", ecrroom.Platform{OS: "linux", Architecture: "amd64"})
		run := func(image string) (types.Deployment, *string) {
			arn := w.register(func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Image = &image })
			d := w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = arn }).Deployments[0]
			return d, w.latest().ServiceDeploymentArn
		}
		stopped := func(d types.Deployment) types.Task {
			w.wait(2*time.Minute, "stopped", func() bool { return len(w.tasks(d.Id, types.DesiredStatusStopped)) > 0 })
			return w.tasks(d.Id, types.DesiredStatusStopped)[0]
		}

		d, release := run(uri + ":7")
		w.wait(2*time.Minute, "completed", func() bool { return w.deployment(*release).Status == types.ServiceDeploymentStatusSuccessful })
		if got := *w.revision(w.deployment(*release).TargetServiceRevision.Arn).ContainerImages[0].ImageDigest; got != digest {
			t.Errorf("revision runs %s, want %s", got, digest)
		}
		for _, task := range w.tasks(d.Id, types.DesiredStatusRunning) {
			if got := *task.Containers[0].ImageDigest; got != digest {
				t.Errorf("task runs %s, want %s", got, digest)
			}
		}

		d, _ = run(uri + ":8")
		task := stopped(d)
		if want := "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref " + uri + ":8: " + uri + ":8: not found"; *task.StoppedReason != want || *task.Containers[0].Reason != want {
			t.Errorf("missing tag: %s", *task.StoppedReason)
		}

		arm, _ := w.push("9", ecrroom.Platform{OS: "linux", Architecture: "arm64"})
		d, _ = run(arm + ":9")
		if task := stopped(d); *task.StoppedReason != "Essential container in task exited" || *task.Containers[0].ExitCode != 255 {
			t.Errorf("wrong platform: %s, exit code %v", *task.StoppedReason, task.Containers[0].ExitCode)
		}
	})
}

func TestLogGroupMustExist(t *testing.T) {
	inDemo(t, func(w *world) {
		for _, c := range []struct{ options, want string }{
			{"", "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1"},
			{"true", ""},
		} {
			arn := w.register(func(in *ecs.RegisterTaskDefinitionInput) {
				options := in.ContainerDefinitions[0].LogConfiguration.Options
				options["awslogs-group"] = "/ecs/not-there"
				if c.options != "" {
					options["awslogs-create-group"] = c.options
				}
			})
			d := w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = arn }).Deployments[0]
			time.Sleep(25 * time.Second)
			stopped := w.tasks(d.Id, types.DesiredStatusStopped)
			if c.want == "" && len(stopped) > 0 || c.want != "" && (len(stopped) == 0 || *stopped[0].StoppedReason != c.want) {
				t.Errorf("create group %q: stopped: %v", c.options, stopped)
			}
		}
	})
}

func TestTaskLifecycle(t *testing.T) {
	inDemo(t, func(w *world) {
		d := w.update(force).Deployments[0]
		time.Sleep(3 * time.Second)
		old := w.tasks(w.service().Deployments[1].Id, types.DesiredStatusRunning)[0]
		var seen, gone []string
		note := func(list *[]string, status string) {
			if len(*list) == 0 || (*list)[len(*list)-1] != status {
				*list = append(*list, status)
			}
		}
		for range 120 {
			if running := w.tasks(d.Id, types.DesiredStatusRunning); len(running) > 0 {
				note(&seen, *running[0].LastStatus)
			}
			out := must(w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Cluster: aws.String(DemoCluster), Tasks: []string{*old.TaskArn}}))(w)
			note(&gone, *out.Tasks[0].LastStatus)
			time.Sleep(time.Second)
		}
		if got := strings.Join(seen, " "); got != "PROVISIONING PENDING RUNNING" {
			t.Errorf("the new task went through %s", got)
		}
		if got := strings.Join(gone, " "); got != "RUNNING DEACTIVATING STOPPING DEPROVISIONING STOPPED" {
			t.Errorf("the old task went through %s", got)
		}
		out := must(w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Cluster: aws.String(DemoCluster), Tasks: []string{*old.TaskArn, "nope"}}))(w)
		if task := out.Tasks[0]; *task.StoppedReason != "Scaling activity initiated by (deployment "+*d.Id+")" || task.StopCode != types.TaskStopCodeServiceSchedulerInitiated {
			t.Errorf("stopped with %s: %s", task.StopCode, *task.StoppedReason)
		}
		if f := out.Failures; len(f) != 1 || *f[0].Reason != "MISSING" {
			t.Errorf("failures: %v", f)
		}
		time.Sleep(2 * time.Hour)
		w.update(force)
		time.Sleep(time.Minute)
		if out := must(w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Cluster: aws.String(DemoCluster), Tasks: []string{*old.TaskArn}}))(w); len(out.Tasks) != 0 {
			t.Error("a task that stopped two hours ago is still described")
		}
	})
}

func TestRunTask(t *testing.T) {
	inDemo(t, func(w *world) {
		in := &ecs.RunTaskInput{
			Cluster: aws.String(DemoCluster), TaskDefinition: aws.String(DemoFamily), LaunchType: types.LaunchTypeFargate, StartedBy: aws.String("migrations"),
			NetworkConfiguration: w.service().NetworkConfiguration,
			Overrides:            &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String("chat-app"), Command: []string{"migrate"}}}},
		}
		run := func() types.Task {
			in.ClientToken = nil // the SDK leaves the one that it made in the input, and the same token is the same task
			arn := *must(w.ecs.RunTask(w.ctx, in))(w).Tasks[0].TaskArn
			describe := func() types.Task {
				return must(w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Cluster: aws.String(DemoCluster), Tasks: []string{arn}}))(w).Tasks[0]
			}
			w.wait(2*time.Minute, "stopped", func() bool { return *describe().LastStatus == "STOPPED" })
			return describe()
		}
		if task := run(); *task.Containers[0].ExitCode != 0 || task.StopCode != types.TaskStopCodeEssentialContainerExited || *task.Group != "family:"+DemoFamily {
			t.Errorf("%+v", task)
		}
		crash, _ := ParseScenario("crash")
		w.Script(DemoCluster, "", crash)
		if task := run(); *task.Containers[0].ExitCode != 1 {
			t.Errorf("exit code %d", *task.Containers[0].ExitCode)
		}
		in.Overrides.ContainerOverrides[0].Name = aws.String("other")
		_, err := w.ecs.RunTask(w.ctx, in)
		refused(t, err, "InvalidParameterException", "Override for container named other is not a container in the TaskDefinition.")
		in.Overrides, in.NetworkConfiguration = nil, nil
		_, err = w.ecs.RunTask(w.ctx, in)
		refused(t, err, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	})
}

func TestDeletedService(t *testing.T) {
	inDemo(t, func(w *world) {
		id := &ecs.DeleteServiceInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)}
		_, err := w.ecs.DeleteService(w.ctx, id)
		refused(t, err, "InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
		_, err = w.ecs.DeleteCluster(w.ctx, &ecs.DeleteClusterInput{Cluster: aws.String(DemoCluster)})
		refused(t, err, "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
		id.Force = aws.Bool(true)
		must(w.ecs.DeleteService(w.ctx, id))(w)
		if got := *w.service().Status; got != "DRAINING" {
			t.Errorf("right after: %s", got)
		}
		w.wait(time.Minute, "inactive", func() bool { return *w.service().Status == "INACTIVE" })
		_, err = w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService), ForceNewDeployment: true})
		refused(t, err, "ServiceNotActiveException", "Service was not ACTIVE.")
		must(w.ecs.DeleteCluster(w.ctx, &ecs.DeleteClusterInput{Cluster: aws.String(DemoCluster)}))(w)
		_, err = w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)})
		refused(t, err, "ClusterNotFoundException", "The referenced cluster was inactive.")
	})
}

func TestOtherControllers(t *testing.T) {
	inDemo(t, func(w *world) {
		for _, c := range []struct {
			controller types.DeploymentControllerType
			want       string
		}{
			{types.DeploymentControllerTypeCodeDeploy, "Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment."},
			{types.DeploymentControllerTypeExternal, "Unable to update task definition on services with an EXTERNAL deployment controller."},
		} {
			name := aws.String("svc-" + strings.ToLower(string(c.controller)))
			in := &ecs.CreateServiceInput{Cluster: aws.String(DemoCluster), ServiceName: name, DesiredCount: aws.Int32(1), DeploymentController: &types.DeploymentController{Type: c.controller}}
			if c.controller == types.DeploymentControllerTypeCodeDeploy {
				in.TaskDefinition, in.LaunchType, in.NetworkConfiguration = aws.String(DemoFamily), types.LaunchTypeFargate, w.service().NetworkConfiguration
			}
			s := must(w.ecs.CreateService(w.ctx, in))(w).Service
			if s.DeploymentController.Type != c.controller || len(s.Deployments) != 0 {
				t.Errorf("%+v", s)
			}
			_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: aws.String(DemoCluster), Service: name, TaskDefinition: aws.String(DemoFamily)})
			refused(t, err, "InvalidParameterException", c.want)
		}
	})
}

func TestListServiceDeploymentsFilters(t *testing.T) {
	inDemo(t, func(w *world) {
		time.Sleep(time.Minute)
		in := &ecs.ListServiceDeploymentsInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)}
		count := func() int { return len(must(w.ecs.ListServiceDeployments(w.ctx, in))(w).ServiceDeployments) }
		before := time.Now()
		in.CreatedAt = &types.CreatedAt{After: &before}
		if n := count(); n != 0 {
			t.Errorf("%d before the update", n)
		}
		w.update(force) // at the very moment of before: the filter includes it
		if n := count(); n != 1 {
			t.Errorf("%d after the update", n)
		}
		in.CreatedAt = &types.CreatedAt{Before: aws.Time(before.Add(-time.Second))}
		if n := count(); n != 1 {
			t.Errorf("%d before it", n)
		}
		in.CreatedAt, in.Status = nil, []types.ServiceDeploymentStatus{"PENDING", "IN_PROGRESS"}
		if n := count(); n != 1 {
			t.Errorf("%d under way", n)
		}
		in.Status, in.MaxResults = nil, aws.Int32(1)
		page := must(w.ecs.ListServiceDeployments(w.ctx, in))(w)
		in.NextToken = page.NextToken
		if next := must(w.ecs.ListServiceDeployments(w.ctx, in))(w); len(next.ServiceDeployments) != 1 || next.NextToken != nil || *next.ServiceDeployments[0].ServiceDeploymentArn == *page.ServiceDeployments[0].ServiceDeploymentArn {
			t.Error("the second page is wrong")
		}
	})
}
