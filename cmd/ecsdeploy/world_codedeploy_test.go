package main

// The service of the transcripts' account, deployed by CodeDeploy.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	cdtypes "github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator"
)

const (
	appName         = "AppECS-" + service
	deploymentGroup = "DgpECS-" + service
	targetGroups    = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/"
	testListener    = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/chat-app/50dc6c495c0c9188/0467ef3c8400ae65"
	listener        = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/chat-app/50dc6c495c0c9188/f2f7dc8efc522ab2"
)

// ungrouped creates the service again, now behind a load balancer and with the
// controller CODE_DEPLOY.
func (w *world) ungrouped(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	described, err := w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}})
	if err != nil {
		t.Fatal(err)
	}
	before := described.Services[0]
	if _, err := w.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: aws.String(cluster), Service: aws.String(service), Force: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Minute)
	if _, err := w.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: aws.String(service), DesiredCount: aws.Int32(2),
		TaskDefinition: before.TaskDefinition, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: before.NetworkConfiguration,
		LoadBalancers:        []types.LoadBalancer{{TargetGroupArn: aws.String(targetGroups + "chat-app-a/0123456789abcdef"), ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}},
		DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeCodeDeploy},
	}); err != nil {
		t.Fatal(err)
	}
	w.codeDeploy = codedeploy.NewFromConfig(w.config)
	time.Sleep(10 * time.Minute)
}

// byCodeDeploy is ungrouped with an application and a deployment group for the
// service. The group keeps the previous tasks for so many minutes, and does not
// roll back by itself. With ready minutes it waits that long to be told to shift
// the traffic; how it shifts that is its configuration, empty for all at once.
func (w *world) byCodeDeploy(t *testing.T, keep, ready int, configuration string) {
	t.Helper()
	w.ungrouped(t)
	ctx := t.Context()
	if _, err := w.codeDeploy.CreateApplication(ctx, &codedeploy.CreateApplicationInput{
		ApplicationName: aws.String(appName), ComputePlatform: cdtypes.ComputePlatformEcs,
	}); err != nil {
		t.Fatal(err)
	}
	option := &cdtypes.DeploymentReadyOption{ActionOnTimeout: cdtypes.DeploymentReadyActionContinueDeployment}
	if ready > 0 {
		option = &cdtypes.DeploymentReadyOption{ActionOnTimeout: cdtypes.DeploymentReadyActionStopDeployment, WaitTimeInMinutes: int32(ready)}
	}
	group := &codedeploy.CreateDeploymentGroupInput{
		ApplicationName: aws.String(appName), DeploymentGroupName: aws.String(deploymentGroup),
		ServiceRoleArn:     aws.String("arn:aws:iam::123456789012:role/ecsCodeDeployRole"),
		DeploymentStyle:    &cdtypes.DeploymentStyle{DeploymentType: cdtypes.DeploymentTypeBlueGreen, DeploymentOption: cdtypes.DeploymentOptionWithTrafficControl},
		AlarmConfiguration: &cdtypes.AlarmConfiguration{Enabled: true, Alarms: []cdtypes.Alarm{{Name: aws.String(emulator.DemoAlarm)}}},
		BlueGreenDeploymentConfiguration: &cdtypes.BlueGreenDeploymentConfiguration{
			TerminateBlueInstancesOnDeploymentSuccess: &cdtypes.BlueInstanceTerminationOption{Action: cdtypes.InstanceActionTerminate, TerminationWaitTimeInMinutes: int32(keep)},
			DeploymentReadyOption:                     option,
		},
		EcsServices: []cdtypes.ECSService{{ClusterName: aws.String(cluster), ServiceName: aws.String(service)}},
		LoadBalancerInfo: &cdtypes.LoadBalancerInfo{TargetGroupPairInfoList: []cdtypes.TargetGroupPairInfo{{
			TargetGroups:     []cdtypes.TargetGroupInfo{{Name: aws.String("chat-app-a")}, {Name: aws.String("chat-app-b")}},
			ProdTrafficRoute: &cdtypes.TrafficRoute{ListenerArns: []string{listener}},
			TestTrafficRoute: &cdtypes.TrafficRoute{ListenerArns: []string{testListener}},
		}}},
	}
	if percent, minutes, own := strings.Cut(configuration, "/"); own { // one that somebody made: PERCENT/MINUTES, in a linear way
		configuration = "ChatLinear"
		if _, err := w.codeDeploy.CreateDeploymentConfig(ctx, &codedeploy.CreateDeploymentConfigInput{
			DeploymentConfigName: aws.String(configuration), ComputePlatform: cdtypes.ComputePlatformEcs,
			TrafficRoutingConfig: &cdtypes.TrafficRoutingConfig{Type: cdtypes.TrafficRoutingTypeTimeBasedLinear,
				TimeBasedLinear: &cdtypes.TimeBasedLinear{LinearPercentage: int32(number(t, percent)), LinearInterval: int32(number(t, minutes))}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if configuration != "" {
		group.DeploymentConfigName = aws.String(configuration)
	}
	if _, err := w.codeDeploy.CreateDeploymentGroup(ctx, group); err != nil {
		t.Fatal(err)
	}
}

// ship has CodeDeploy deploy a revision, by hand, with the hooks of whoever
// wrote the AppSpec.
func (w *world) ship(t *testing.T, taskDefinition string) {
	t.Helper()
	content := fmt.Sprintf(`{"version":0.0,"Resources":[{"TargetService":{"Type":"AWS::ECS::Service","Properties":{"TaskDefinition":%q,"LoadBalancerInfo":{"ContainerName":"app","ContainerPort":8080}}}}],"Hooks":[%s]}`, taskDefinition, strings.Join(w.hooks, ","))
	if _, err := w.codeDeploy.CreateDeployment(t.Context(), &codedeploy.CreateDeploymentInput{
		ApplicationName: aws.String(appName), DeploymentGroupName: aws.String(deploymentGroup),
		Revision: &cdtypes.RevisionLocation{RevisionType: cdtypes.RevisionLocationTypeAppSpecContent, AppSpecContent: &cdtypes.AppSpecContent{Content: aws.String(content)}},
	}); err != nil {
		t.Fatal(err)
	}
}
