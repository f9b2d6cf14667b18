package emulator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const demoTargetGroup = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/chat-app-dev/0123456789abcdef"

// targetOf is what the load balancer says of a task, found by its address; "" where it is not registered.
func (w *world) targetOf(task types.Task) string {
	w.Helper()
	out := must(w.elb.DescribeTargetHealth(w.ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: aws.String(demoTargetGroup)}))(w)
	for _, t := range out.TargetHealthDescriptions {
		if *t.Target.Port != 8080 {
			w.Errorf("port %d", *t.Target.Port)
		}
		if *t.Target.Id == *task.Containers[0].NetworkInterfaces[0].PrivateIpv4Address {
			return strings.TrimSpace(fmt.Sprint(t.TargetHealth.State, " ", t.TargetHealth.Reason, " ", aws.ToString(t.TargetHealth.Description)))
		}
	}
	return ""
}

// TestTargetHealth follows one task through the states of a target.
func TestTargetHealth(t *testing.T) {
	const (
		registering = "initial Elb.RegistrationInProgress Target registration is in progress"
		checking    = "initial Elb.InitialHealthChecking Initial health checks in progress"
		draining    = "draining Target.DeregistrationInProgress Target deregistration is in progress"
	)
	for scenario, want := range map[string][]string{
		"complete":            {registering, checking, "healthy"},
		"stuck":               {registering, checking},
		"unhealthy":           {registering, checking, "unhealthy Target.FailedHealthChecks Health checks failed", draining, ""},
		"bad-gateway":         {registering, checking, "unhealthy Target.ResponseCodeMismatch Health checks failed with these codes: [502]", draining, ""},
		"health-timeout":      {registering, checking, "unhealthy Target.Timeout Request timed out", draining, ""},
		"container-unhealthy": {registering, checking, "healthy", draining, ""},
	} {
		t.Run(scenario, func(t *testing.T) {
			inDemo(t, func(w *world) {
				w.Script("", "", must(ParseScenario(scenario))(w))
				d := w.update(force).Deployments[0]
				var task types.Task
				w.wait(time.Minute, "running", func() bool {
					for _, one := range w.tasks(d.Id, types.DesiredStatusRunning) {
						if task = one; *one.LastStatus == "RUNNING" {
							return true
						}
					}
					return false
				})
				var seen []string
				for range 90 {
					if now := w.targetOf(task); len(seen) == 0 || seen[len(seen)-1] != now {
						seen = append(seen, now)
					}
					time.Sleep(time.Second)
				}
				if strings.Join(seen, "\n") != strings.Join(want, "\n") {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
				}
			})
		})
	}
}

// TestGracePeriod: health checks that fail do not count before the service's grace period is over.
func TestGracePeriod(t *testing.T) {
	inDemo(t, func(w *world) {
		w.Script("", "", must(ParseScenario("unhealthy"))(w))
		d := w.update(func(in *ecs.UpdateServiceInput) {
			in.HealthCheckGracePeriodSeconds, in.ForceNewDeployment = aws.Int32(300), true
		}).Deployments[0]
		took := w.wait(10*time.Minute, "stopped", func() bool { return len(w.tasks(d.Id, types.DesiredStatusStopped)) > 0 })
		if took < 5*time.Minute {
			t.Errorf("stopped after %v", took)
		}
	})
}

func TestTargetsAskedFor(t *testing.T) {
	inDemo(t, func(w *world) {
		in := &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: aws.String(demoTargetGroup)}
		all := must(w.elb.DescribeTargetHealth(w.ctx, in))(w).TargetHealthDescriptions
		if len(all) != 2 || all[0].TargetHealth.State != elbtypes.TargetHealthStateEnumHealthy {
			t.Fatalf("%+v", all)
		}
		in.Targets = []elbtypes.TargetDescription{{Id: all[1].Target.Id}, {Id: aws.String("10.9.9.9"), Port: aws.Int32(80)}}
		some := must(w.elb.DescribeTargetHealth(w.ctx, in))(w).TargetHealthDescriptions
		if len(some) != 2 || *some[0].Target.Id != *all[1].Target.Id || some[1].TargetHealth.Reason != elbtypes.TargetHealthReasonEnumNotRegistered {
			t.Errorf("%+v", some)
		}
		in.TargetGroupArn = aws.String(strings.Replace(demoTargetGroup, "chat", "other", 1))
		_, err := w.elb.DescribeTargetHealth(w.ctx, in)
		refused(t, err, "TargetGroupNotFound", "One or more target groups not found")
		in.TargetGroupArn = aws.String("chat-app-dev")
		_, err = w.elb.DescribeTargetHealth(w.ctx, in)
		refused(t, err, "ValidationError", "'chat-app-dev' is not a valid target group ARN")
		w.Fail("elasticloadbalancing:DescribeTargetHealth", Denied())
		_, err = w.elb.DescribeTargetHealth(w.ctx, in)
		refused(t, err, "AccessDenied", "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: elasticloadbalancing:DescribeTargetHealth on resource: *")
	})
}

func TestDescribeTargetGroups(t *testing.T) {
	inDemo(t, func(w *world) {
		w.Script("", "", must(ParseScenario("blue-green"))(w))
		all := must(w.elb.DescribeTargetGroups(w.ctx, &elasticloadbalancingv2.DescribeTargetGroupsInput{}))(w).TargetGroups
		if len(all) != 2 || *all[0].TargetGroupName != "chat-app-dev-green" || *all[0].HealthCheckPath != "/health" || *all[0].Matcher.HttpCode != "200" || *all[0].Port != 8080 {
			t.Errorf("%+v", all)
		}
		one := must(w.elb.DescribeTargetGroups(w.ctx, &elasticloadbalancingv2.DescribeTargetGroupsInput{TargetGroupArns: []string{demoTargetGroup}}))(w).TargetGroups
		if len(one) != 1 || *one[0].TargetGroupArn != demoTargetGroup {
			t.Errorf("%+v", one)
		}
		_, err := w.elb.DescribeTargetGroups(w.ctx, &elasticloadbalancingv2.DescribeTargetGroupsInput{Names: []string{"other"}})
		refused(t, err, "TargetGroupNotFound", "One or more target groups not found")
	})
}

func TestNoPlaceForAOneOffTask(t *testing.T) {
	inDemo(t, func(w *world) {
		w.Script(DemoCluster, "", must(ParseScenario("no-instance"))(w))
		out := must(w.ecs.RunTask(w.ctx, &ecs.RunTaskInput{
			Cluster: aws.String(DemoCluster), TaskDefinition: aws.String(DemoFamily), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: w.service().NetworkConfiguration,
		}))(w)
		if len(out.Tasks) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != "RESOURCE:MEMORY" {
			t.Errorf("%+v", out)
		}
	})
}
