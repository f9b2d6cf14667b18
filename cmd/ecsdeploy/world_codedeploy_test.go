package main

// The service of the transcripts' account, deployed by CodeDeploy.

import (
	"fmt"
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
	listener        = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/chat-app/50dc6c495c0c9188/f2f7dc8efc522ab2"
)

// byCodeDeploy creates the service again, now behind a load balancer and with
// the controller CODE_DEPLOY, and an application and a deployment group for it.
// The group keeps the previous tasks for so many minutes, and does not roll back
// by itself. With ready minutes it waits that long to be told to shift the traffic.
func (w *world) byCodeDeploy(t *testing.T, keep, ready int) {
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
	if _, err := w.codeDeploy.CreateApplication(ctx, &codedeploy.CreateApplicationInput{
		ApplicationName: aws.String(appName), ComputePlatform: cdtypes.ComputePlatformEcs,
	}); err != nil {
		t.Fatal(err)
	}
	option := &cdtypes.DeploymentReadyOption{ActionOnTimeout: cdtypes.DeploymentReadyActionContinueDeployment}
	if ready > 0 {
		option = &cdtypes.DeploymentReadyOption{ActionOnTimeout: cdtypes.DeploymentReadyActionStopDeployment, WaitTimeInMinutes: int32(ready)}
	}
	if _, err := w.codeDeploy.CreateDeploymentGroup(ctx, &codedeploy.CreateDeploymentGroupInput{
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
		}}},
	}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Minute)
}

// ship has CodeDeploy deploy a revision, by hand.
func (w *world) ship(t *testing.T, taskDefinition string) {
	t.Helper()
	content := fmt.Sprintf(`{"version":0.0,"Resources":[{"TargetService":{"Type":"AWS::ECS::Service","Properties":{"TaskDefinition":%q,"LoadBalancerInfo":{"ContainerName":"app","ContainerPort":8080}}}}]}`, taskDefinition)
	if _, err := w.codeDeploy.CreateDeployment(t.Context(), &codedeploy.CreateDeploymentInput{
		ApplicationName: aws.String(appName), DeploymentGroupName: aws.String(deploymentGroup),
		Revision: &cdtypes.RevisionLocation{RevisionType: cdtypes.RevisionLocationTypeAppSpecContent, AppSpecContent: &cdtypes.AppSpecContent{Content: aws.String(content)}},
	}); err != nil {
		t.Fatal(err)
	}
}
