package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	ecsroom "ecsdeploy/pkg/emulator/ecs"
	"ecsdeploy/pkg/emulator/scenario"
)

// play scripts a scenario of the file by its name, and lets the service deploy a new revision.
func (w *world) play(name string) (arn string) {
	w.Helper()
	w.Script(DemoCluster, DemoService, must(ParseScenario(name))(w))
	revision := w.register(nil)
	w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = revision })
	return *w.latest().ServiceDeploymentArn
}

// stageOf says where a deployment stands: its stage, and the traffic of old and new.
func stageOf(d types.ServiceDeployment) string {
	old, now := d.SourceServiceRevisions[0], d.TargetServiceRevision
	return fmt.Sprintf("%s %g:%g test %g:%g", d.LifecycleStage, *old.RequestedProductionTrafficWeight, *now.RequestedProductionTrafficWeight, *old.RequestedTestTrafficWeight, *now.RequestedTestTrafficWeight)
}

// TestStages follows deployments second by second: the stages they go through and the share of the traffic, old:new.
func TestStages(t *testing.T) {
	begin := []string{"PRE_SCALE_UP 100:0 test 100:0", "SCALE_UP 100:0 test 100:0", "POST_SCALE_UP 100:0 test 100:0", "TEST_TRAFFIC_SHIFT 100:0 test 0:100", "POST_TEST_TRAFFIC_SHIFT 100:0 test 0:100"}
	end := []string{"PRODUCTION_TRAFFIC_SHIFT 0:100 test 0:100", "POST_PRODUCTION_TRAFFIC_SHIFT 0:100 test 0:100", "BAKE_TIME 0:100 test 0:100", "CLEAN_UP 0:100 test 0:100"}
	for name, middle := range map[string][]string{
		"blue-green": {"PRE_PRODUCTION_TRAFFIC_SHIFT 100:0 test 0:100"},
		"canary":     {"PRE_PRODUCTION_TRAFFIC_SHIFT 100:0 test 0:100", "PRODUCTION_TRAFFIC_SHIFT 90:10 test 0:100", "PRE_PRODUCTION_TRAFFIC_SHIFT 90:10 test 0:100"},
		"linear": {"PRE_PRODUCTION_TRAFFIC_SHIFT 100:0 test 0:100", "PRODUCTION_TRAFFIC_SHIFT 75:25 test 0:100", "PRE_PRODUCTION_TRAFFIC_SHIFT 75:25 test 0:100",
			"PRODUCTION_TRAFFIC_SHIFT 50:50 test 0:100", "PRE_PRODUCTION_TRAFFIC_SHIFT 50:50 test 0:100", "PRODUCTION_TRAFFIC_SHIFT 25:75 test 0:100", "PRE_PRODUCTION_TRAFFIC_SHIFT 25:75 test 0:100"},
	} {
		t.Run(name, func(t *testing.T) {
			inDemo(t, func(w *world) {
				arn := w.play(name)
				var seen []string
				w.wait(8*time.Minute, "successful", func() bool {
					d := w.deployment(arn)
					if now := stageOf(d); d.LifecycleStage != "" && (len(seen) == 0 || seen[len(seen)-1] != now) {
						seen = append(seen, now)
					}
					s := w.service()
					if s.RunningCount < 2 || s.RunningCount > 4 {
						t.Fatalf("%d tasks run", s.RunningCount)
					}
					if d.LifecycleStage == types.ServiceDeploymentLifecycleStageBakeTime && s.RunningCount != 4 {
						t.Fatalf("%d tasks run while the deployment bakes", s.RunningCount)
					}
					return d.Status == types.ServiceDeploymentStatusSuccessful
				})
				if got, want := strings.Join(seen, "\n"), strings.Join(slices.Concat(begin, middle, end), "\n"); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				if s := w.service(); s.RunningCount != 2 || len(s.Deployments) != 1 {
					t.Errorf("%d tasks in %d deployments", s.RunningCount, len(s.Deployments))
				}
			})
		})
	}
}

// TestTargetGroupsTakeTurns deploys twice: each revision is behind the target group that the one before is not.
func TestTargetGroupsTakeTurns(t *testing.T) {
	inDemo(t, func(w *world) {
		var groups []string
		for range 3 {
			arn := w.play("blue-green")
			w.wait(5*time.Minute, "successful", func() bool { return w.deployment(arn).Status == types.ServiceDeploymentStatusSuccessful })
			resolved := w.revision(w.deployment(arn).TargetServiceRevision.Arn).ResolvedConfiguration.LoadBalancers[0]
			groups = append(groups, strings.Split(*resolved.TargetGroupArn, "/")[1])
			if !strings.Contains(*resolved.ProductionListenerRule, ":listener-rule/") {
				t.Error(*resolved.ProductionListenerRule)
			}
		}
		if got := strings.Join(groups, " "); got != "chat-app-dev-green chat-app-dev chat-app-dev-green" {
			t.Error(got)
		}
	})
}

// paused plays the scenario until it waits, and returns the hook.
func (w *world) paused() (arn string, hook types.DeploymentLifecycleHookDetail) {
	w.Helper()
	arn = w.play("paused")
	w.wait(2*time.Minute, "waiting", func() bool {
		details := w.deployment(arn).LifecycleHookDetails
		return len(details) > 0 && details[0].Status == types.DeploymentLifecycleHookStatusAwaitingAction
	})
	return arn, w.deployment(arn).LifecycleHookDetails[0]
}

func (w *world) answer(arn, hook string, action types.DeploymentLifecycleHookAction) error {
	_, err := w.ecs.ContinueServiceDeployment(w.ctx, &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: &arn, HookId: &hook, Action: action})
	return err
}

func TestPauseContinued(t *testing.T) {
	inDemo(t, func(w *world) {
		arn, hook := w.paused()
		if hook.TargetType != types.DeploymentLifecycleHookTargetTypePause || hook.TimeoutAction != types.DeploymentLifecycleHookActionRollback || hook.TargetArn != nil ||
			!strings.HasPrefix(*hook.HookId, "ecs-pause-") || time.Until(*hook.ExpiresAt).Round(time.Hour) != 24*time.Hour {
			t.Errorf("%+v", hook)
		}
		time.Sleep(time.Hour)
		if d := w.deployment(arn); d.Status != types.ServiceDeploymentStatusInProgress || stageOf(d) != "POST_TEST_TRAFFIC_SHIFT 100:0 test 0:100" {
			t.Errorf("an hour later: %s, %s", d.Status, stageOf(d))
		}
		const unavailable = "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN"
		refused(t, w.answer(arn, "ecs-pause-another", ""), "InvalidParameterException", unavailable)
		refused(t, w.answer(arn+"x", *hook.HookId, ""), "ServiceDeploymentNotFoundException", "The service deployment does not exist.")
		if err := w.answer(arn, *hook.HookId, ""); err != nil {
			t.Fatal(err)
		}
		refused(t, w.answer(arn, *hook.HookId, ""), "InvalidParameterException", unavailable)
		if got := w.deployment(arn).LifecycleHookDetails[0].Status; got != types.DeploymentLifecycleHookStatusSucceeded {
			t.Errorf("the hook is %s", got)
		}
		w.wait(3*time.Minute, "successful", func() bool { return w.deployment(arn).Status == types.ServiceDeploymentStatusSuccessful })
		refused(t, w.answer(arn, *hook.HookId, ""), "InvalidParameterException", "Continuing a service deployment is not allowed for service deployment in terminal states.")
	})
}

func TestPauseRolledBack(t *testing.T) {
	inDemo(t, func(w *world) {
		arn, hook := w.paused()
		if err := w.answer(arn, *hook.HookId, types.DeploymentLifecycleHookActionRollback); err != nil {
			t.Fatal(err)
		}
		if d := w.deployment(arn); d.Status != types.ServiceDeploymentStatusRollbackInProgress || d.LifecycleHookDetails[0].Status != types.DeploymentLifecycleHookStatusFailed {
			t.Errorf("%s, the hook is %s", d.Status, d.LifecycleHookDetails[0].Status)
		}
		w.wait(3*time.Minute, "rolled back", func() bool { return w.deployment(arn).Status == types.ServiceDeploymentStatusRollbackSuccessful })
		d, s := w.deployment(arn), w.service()
		if *d.StatusReason != "Service deployment rolled back because POST_TEST_TRAFFIC_SHIFT lifecycle hook(s) failed." || *d.Rollback.Reason != *d.StatusReason {
			t.Errorf("%s; %s", *d.StatusReason, *d.Rollback.Reason)
		}
		if stageOf(d) != "CLEAN_UP 100:0 test 100:0" || s.RunningCount != 2 || !strings.HasSuffix(*s.TaskDefinition, ":1") {
			t.Errorf("%s, %d tasks run, on %s", stageOf(d), s.RunningCount, *s.TaskDefinition)
		}
	})
}

// TestPauseTimedOut: nobody decides in time.
func TestPauseTimedOut(t *testing.T) {
	inDemo(t, func(w *world) {
		w.Script("", "", Scenario{Strategy: &Strategy{Name: "BLUE_GREEN", Pauses: []Pause{{Stage: "POST_TEST_TRAFFIC_SHIFT", TimeoutMinutes: 10}}}})
		w.update(force)
		arn := *w.latest().ServiceDeploymentArn
		took := w.wait(15*time.Minute, "rolled back", func() bool { return w.deployment(arn).Status == types.ServiceDeploymentStatusRollbackSuccessful })
		d := w.deployment(arn)
		if hook := d.LifecycleHookDetails[0]; hook.Status != types.DeploymentLifecycleHookStatusTimedOut || took < 10*time.Minute ||
			*d.StatusReason != "Service deployment rolled back because POST_TEST_TRAFFIC_SHIFT pause hook timed out." {
			t.Errorf("after %v: %s, %s", took, hook.Status, *d.StatusReason)
		}
	})
}

// TestPauseAtEveryStep: the hook before the shift of traffic is one of its own at each step.
func TestPauseAtEveryStep(t *testing.T) {
	inDemo(t, func(w *world) {
		w.Script("", "", Scenario{Strategy: &Strategy{Name: "LINEAR", Percent: 50, Pauses: []Pause{{Stage: "PRE_PRODUCTION_TRAFFIC_SHIFT", TimeoutMinutes: 10, Continue: true}}}})
		w.update(force)
		arn := *w.latest().ServiceDeploymentArn
		w.wait(2*time.Minute, "waiting", func() bool { return len(w.deployment(arn).LifecycleHookDetails) == 1 })
		if err := w.answer(arn, *w.deployment(arn).LifecycleHookDetails[0].HookId, types.DeploymentLifecycleHookActionContinue); err != nil {
			t.Fatal(err)
		}
		w.wait(2*time.Minute, "waiting again", func() bool { return len(w.deployment(arn).LifecycleHookDetails) == 2 })
		took := w.wait(15*time.Minute, "successful", func() bool { return w.deployment(arn).Status == types.ServiceDeploymentStatusSuccessful })
		hooks := w.deployment(arn).LifecycleHookDetails
		if hooks[0].Status != types.DeploymentLifecycleHookStatusSucceeded || hooks[1].Status != types.DeploymentLifecycleHookStatusTimedOut || *hooks[0].HookId == *hooks[1].HookId || took < 10*time.Minute {
			t.Errorf("after %v: %v", took, hooks)
		}
	})
}

func TestLambdaHooks(t *testing.T) {
	hook := types.DeploymentLifecycleHook{
		HookTargetArn: aws.String("arn:aws:lambda:eu-west-1:123456789012:function:smoke-test"), RoleArn: aws.String("arn:aws:iam::123456789012:role/hooks"),
		LifecycleStages: []types.DeploymentLifecycleHookStage{"TEST_TRAFFIC_SHIFT"},
	}
	for _, c := range []struct {
		lambda Lambda
		status types.ServiceDeploymentStatus
		hook   types.DeploymentLifecycleHookStatus
		reason string
	}{
		{Lambda{Takes: 2 * time.Minute}, "SUCCESSFUL", "SUCCEEDED", ""},
		{Lambda{Takes: time.Minute, Fails: true}, "ROLLBACK_SUCCESSFUL", "FAILED", "Service deployment rolled back because TEST_TRAFFIC_SHIFT lifecycle hook(s) failed. Lifecycle hook target arn:aws:lambda:eu-west-1:123456789012:function:smoke-test returned FAILED status."},
	} {
		inDemo(t, func(w *world) {
			w.Script("", "", Scenario{Strategy: &Strategy{Name: "BLUE_GREEN"}, Lambda: &c.lambda})
			w.update(func(in *ecs.UpdateServiceInput) {
				in.ForceNewDeployment = true
				in.DeploymentConfiguration = &types.DeploymentConfiguration{LifecycleHooks: []types.DeploymentLifecycleHook{hook}}
			})
			arn := *w.latest().ServiceDeploymentArn
			w.wait(2*time.Minute, "running the hook", func() bool { return len(w.deployment(arn).LifecycleHookDetails) > 0 })
			if d := w.deployment(arn); d.LifecycleHookDetails[0].Status != types.DeploymentLifecycleHookStatusInProgress || *d.LifecycleHookDetails[0].TargetArn != *hook.HookTargetArn {
				t.Errorf("%+v", d.LifecycleHookDetails[0])
			}
			w.wait(5*time.Minute, "final", func() bool { return w.deployment(arn).Status == c.status })
			if d := w.deployment(arn); d.LifecycleHookDetails[0].Status != c.hook || aws.ToString(d.StatusReason) != c.reason {
				t.Errorf("%s: %s", d.LifecycleHookDetails[0].Status, aws.ToString(d.StatusReason))
			}
		})
	}
}

// TestStopAtEveryStage stops a deployment wherever it is: the old revision has all traffic and all tasks afterwards.
func TestStopAtEveryStage(t *testing.T) {
	for _, stage := range append([]string{""}, ecsroom.Stages[1:]...) {
		t.Run(cmp.Or(stage, "PENDING"), func(t *testing.T) {
			inDemo(t, func(w *world) {
				arn := w.play("canary")
				w.wait(5*time.Minute, "there", func() bool { return string(w.deployment(arn).LifecycleStage) == stage })
				must(w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &arn}))(w)
				w.wait(3*time.Minute, "rolled back", func() bool { return w.deployment(arn).Status == types.ServiceDeploymentStatusRollbackSuccessful })
				d, s := w.deployment(arn), w.service()
				if stageOf(d) != "CLEAN_UP 100:0 test 100:0" || s.RunningCount != 2 || len(s.Deployments) != 1 || !strings.HasSuffix(*s.TaskDefinition, ":1") {
					t.Errorf("%s; %d tasks in %d deployments on %s", stageOf(d), s.RunningCount, len(s.Deployments), *s.TaskDefinition)
				}
			})
		})
	}
}

// TestSupersededWhilePaused: another deployment begins with RECONCILE_SERVICE, in which the tasks that never got traffic go.
func TestSupersededWhilePaused(t *testing.T) {
	inDemo(t, func(w *world) {
		arn, hook := w.paused()
		w.Script(DemoCluster, DemoService, Scenario{Strategy: &Strategy{Name: "BLUE_GREEN"}})
		w.update(force)
		next := *w.latest().ServiceDeploymentArn
		if d := w.deployment(arn); d.Status != types.ServiceDeploymentStatusStopped {
			t.Errorf("the first one is %s", d.Status)
		}
		refused(t, w.answer(arn, *hook.HookId, ""), "InvalidParameterException", "Continuing a service deployment is not allowed for service deployment in terminal states.")
		time.Sleep(5 * time.Second)
		if got := w.deployment(next).LifecycleStage; got != types.ServiceDeploymentLifecycleStageReconcileService {
			t.Errorf("the second one is in %s", got)
		}
		w.wait(3*time.Minute, "successful", func() bool { return w.deployment(next).Status == types.ServiceDeploymentStatusSuccessful })
		if s := w.service(); s.RunningCount != 2 || len(s.Deployments) != 1 {
			t.Errorf("%d tasks in %d deployments", s.RunningCount, len(s.Deployments))
		}
	})
}

// TestCreatedBlueGreen: a service's first deployment goes through the stages too, and has nothing to go back to.
func TestCreatedBlueGreen(t *testing.T) {
	inDemo(t, func(w *world) {
		w.Script(DemoCluster, DemoService, must(ParseScenario("blue-green"))(w))
		demo := w.service()
		in := &ecs.CreateServiceInput{
			Cluster: aws.String(DemoCluster), ServiceName: aws.String("new"), TaskDefinition: aws.String(DemoFamily), DesiredCount: aws.Int32(1),
			LaunchType: types.LaunchTypeFargate, NetworkConfiguration: demo.NetworkConfiguration, LoadBalancers: demo.LoadBalancers,
			DeploymentConfiguration: &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(0)},
		}
		must(w.ecs.CreateService(w.ctx, in))(w)
		latest := func() types.ServiceDeployment {
			list := must(w.ecs.ListServiceDeployments(w.ctx, &ecs.ListServiceDeploymentsInput{Cluster: aws.String(DemoCluster), Service: aws.String("new")}))(w)
			return w.deployment(*list.ServiceDeployments[0].ServiceDeploymentArn)
		}
		w.wait(2*time.Minute, "successful", func() bool { return latest().Status == types.ServiceDeploymentStatusSuccessful })
		if got := *latest().TargetServiceRevision.RequestedProductionTrafficWeight; got != 100 {
			t.Errorf("%g %% of the traffic", got)
		}
	})
}

func TestAlarm(t *testing.T) {
	alarm, err := ParseScenario("alarm")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		scenario  Scenario
		rollback  bool
		status    types.ServiceDeploymentStatus
		monitored types.ServiceDeploymentRollbackMonitorsStatus
	}{
		{"while it bakes", alarm, true, "ROLLBACK_SUCCESSFUL", "TRIGGERED"},
		{"while it rolls", Scenario{Alarm: &Alarm{Name: "chat-app-dev-5xx", After: 10 * time.Second}}, true, "ROLLBACK_SUCCESSFUL", "TRIGGERED"},
		{"at a tenth of the traffic", Scenario{Strategy: &Strategy{Name: "CANARY", Percent: 10, StepBakeMinutes: 5}, Alarm: &Alarm{Name: "chat-app-dev-5xx", Stage: scenario.Shift, After: time.Minute}}, true, "ROLLBACK_SUCCESSFUL", "TRIGGERED"},
		{"without rollback", alarm, false, "STOPPED", "TRIGGERED"},
		{"never", Scenario{Strategy: &Strategy{Name: "ROLLING", BakeMinutes: 2}, Alarm: &Alarm{Name: "chat-app-dev-5xx", Stage: scenario.BakeTime, After: time.Hour}}, true, "SUCCESSFUL", "MONITORING_COMPLETE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inDemo(t, func(w *world) {
				w.Script(DemoCluster, DemoService, c.scenario)
				w.update(func(in *ecs.UpdateServiceInput) {
					in.ForceNewDeployment = true
					in.DeploymentConfiguration = &types.DeploymentConfiguration{Alarms: &types.DeploymentAlarms{AlarmNames: []string{"chat-app-dev-5xx", "chat-app-dev-latency"}, Enable: true, Rollback: c.rollback}}
				})
				arn := *w.latest().ServiceDeploymentArn
				if got := w.deployment(arn).Alarms.Status; got != types.ServiceDeploymentRollbackMonitorsStatusMonitoring {
					t.Errorf("first %s", got)
				}
				took := w.wait(5*time.Minute, string(c.status), func() bool { return w.deployment(arn).Status == c.status })
				d := w.deployment(arn)
				if d.Alarms.Status != c.monitored || len(d.Alarms.AlarmNames) != 2 {
					t.Errorf("%+v", d.Alarms)
				}
				if triggered := strings.Join(d.Alarms.TriggeredAlarmNames, " "); (triggered == "chat-app-dev-5xx") != (c.monitored == "TRIGGERED") {
					t.Errorf("triggered: %q", triggered)
				}
				if c.name == "never" && took < 2*time.Minute {
					t.Errorf("it baked %v", took)
				}
				if d.Status == "ROLLBACK_SUCCESSFUL" && *d.Rollback.Reason != "Service deployment rolled back because an alarm was detected." {
					t.Error(*d.Rollback.Reason)
				}
			})
		})
	}
}
