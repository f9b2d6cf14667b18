package deploy_test

// The services of a simulated account to which CodeDeploy deploys: how they are set
// up, and what infrastructure does with them.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	cdtypes "github.com/aws/aws-sdk-go-v2/service/codedeploy/types"

	"ecsdeploy/pkg/emulator"
)

// hand makes the application and the deployment group of a service.
func (a *account) hand(service string, g *group) {
	a.Helper()
	_, err := a.codeDeploy.CreateApplication(a.Context(), &codedeploy.CreateApplicationInput{ApplicationName: aws.String("app-" + service), ComputePlatform: cdtypes.ComputePlatformEcs})
	a.must(err)
	action, minutes := cdtypes.DeploymentReadyActionContinueDeployment, int32(0)
	if g.waits {
		action, minutes = cdtypes.DeploymentReadyActionStopDeployment, 60
	}
	events := []cdtypes.AutoRollbackEvent{cdtypes.AutoRollbackEventDeploymentFailure, cdtypes.AutoRollbackEventDeploymentStopOnAlarm}
	if !g.rollsBack {
		events = nil
	}
	route := &cdtypes.TrafficRoute{ListenerArns: []string{"arn:aws:elasticloadbalancing:" + a.Region() + ":" + a.Account() + ":listener/app/" + service + "/50dc6c495c0c9188/f2f7dc8efc522ab2"}}
	_, err = a.codeDeploy.CreateDeploymentGroup(a.Context(), &codedeploy.CreateDeploymentGroupInput{
		ApplicationName: aws.String("app-" + service), DeploymentGroupName: aws.String(service), ServiceRoleArn: aws.String("arn:aws:iam::" + a.Account() + ":role/ecsCodeDeployRole"),
		DeploymentConfigName: aws.String(g.configuration),
		DeploymentStyle:      &cdtypes.DeploymentStyle{DeploymentType: cdtypes.DeploymentTypeBlueGreen, DeploymentOption: cdtypes.DeploymentOptionWithTrafficControl},
		BlueGreenDeploymentConfiguration: &cdtypes.BlueGreenDeploymentConfiguration{
			TerminateBlueInstancesOnDeploymentSuccess: &cdtypes.BlueInstanceTerminationOption{Action: cdtypes.InstanceActionTerminate, TerminationWaitTimeInMinutes: g.keep},
			DeploymentReadyOption:                     &cdtypes.DeploymentReadyOption{ActionOnTimeout: action, WaitTimeInMinutes: minutes},
		},
		AutoRollbackConfiguration: &cdtypes.AutoRollbackConfiguration{Enabled: g.rollsBack, Events: events},
		AlarmConfiguration:        &cdtypes.AlarmConfiguration{Enabled: true, Alarms: []cdtypes.Alarm{{Name: aws.String(emulator.DemoAlarm)}}},
		EcsServices:               []cdtypes.ECSService{{ClusterName: aws.String(simCluster), ServiceName: aws.String(service)}},
		LoadBalancerInfo: &cdtypes.LoadBalancerInfo{TargetGroupPairInfoList: []cdtypes.TargetGroupPairInfo{{
			TargetGroups: []cdtypes.TargetGroupInfo{{Name: aws.String(service)}, {Name: aws.String(service + "-green")}}, ProdTrafficRoute: route,
		}}},
	})
	a.must(err)
}

// moveByCodeDeploy has infrastructure deploy a revision.
func (a *account) moveByCodeDeploy(service, revision string, g *group) {
	a.Helper()
	hooks := ""
	if g.hook {
		hooks = `,"Hooks":[{"AfterAllowTestTraffic":"look-at-it"}]`
	}
	content := fmt.Sprintf(`{"version":0.0,"Resources":[{"TargetService":{"Type":"AWS::ECS::Service","Properties":{"TaskDefinition":%q,"LoadBalancerInfo":{"ContainerName":"app","ContainerPort":8080}}}}]%s}`, revision, hooks)
	digest := sha256.Sum256([]byte(content))
	_, err := a.codeDeploy.CreateDeployment(a.Context(), &codedeploy.CreateDeploymentInput{
		ApplicationName: aws.String("app-" + service), DeploymentGroupName: aws.String(service),
		Revision: &cdtypes.RevisionLocation{RevisionType: cdtypes.RevisionLocationTypeAppSpecContent, AppSpecContent: &cdtypes.AppSpecContent{Content: aws.String(content), Sha256: aws.String(hex.EncodeToString(digest[:]))}},
	})
	a.must(err)
}

// hurry has a deployment of CodeDeploy wait for nothing. Where it does not wait, it is
// refused, which changes nothing.
func (a *account) hurry(id string) {
	for _, wait := range []cdtypes.DeploymentWaitType{cdtypes.DeploymentWaitTypeReadyWait, cdtypes.DeploymentWaitTypeTerminationWait} {
		_, _ = a.codeDeploy.ContinueDeployment(a.Context(), &codedeploy.ContinueDeploymentInput{DeploymentId: aws.String(id), DeploymentWaitType: wait})
	}
}

// asOfECS is the record of what truly happened with deployments of CodeDeploy as
// those of ECS are: one that rolls another one back is no deployment of its own, but
// how the other ended.
func asOfECS(h emulator.History) emulator.History {
	byID, rollbacks := map[string]emulator.DeploymentRecord{}, map[string]bool{}
	for _, d := range h.Deployments {
		byID[d.ID] = d
		if d.ARN == "" && d.RolledBackTo != "" {
			rollbacks[d.RolledBackTo] = true
		}
	}
	out := h
	out.Deployments = nil
	for _, d := range h.Deployments {
		back, rolled := byID[d.RolledBackTo]
		for again, is := byID[back.RolledBackTo]; rolled && is; again, is = byID[back.RolledBackTo] {
			back = again // a rollback that was stopped, and is rolled back itself
		}
		switch {
		case d.ARN != "":
		case rollbacks[d.ID]:
			continue
		case rolled && back.Final():
			d.Status, d.Ended = "ROLLBACK_SUCCESSFUL", back.Ended
			if back.Status != "Succeeded" {
				d.Status = "ROLLBACK_FAILED"
			}
		case rolled:
			d.Status, d.Ended = "ROLLBACK_IN_PROGRESS", back.Ended
		case d.Status == "Succeeded":
			d.Status = "SUCCESSFUL"
		case d.Final():
			d.Status = "STOPPED"
		default:
			d.Status = "IN_PROGRESS"
		}
		out.Deployments = append(out.Deployments, d)
	}
	return out
}
