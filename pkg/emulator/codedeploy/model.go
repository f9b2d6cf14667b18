// The model of CodeDeploy (2014-10-06), as far as it is emulated. The SDK has no runtime schemas for this service, so the shapes are written down
// here, in a notation of their own; a test holds them against the SDK's types.

package codedeploy

import (
	"cmp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/prelude"

	"ecsdeploy/pkg/emulator/awsapi"
)

// codeDeployShapes are structures: their members are strings unless a type follows the colon: Int, Bool, Time, Double, the name of a structure or
// an enumeration, and [T] for a list of them.
var codeDeployShapes = map[string]string{
	"CreateApplicationRequest":  "applicationName computePlatform:ComputePlatform tags:[Tag]",
	"CreateApplicationResponse": "applicationId",
	"ListApplicationsRequest":   "nextToken",
	"ListApplicationsResponse":  "applications:[String] nextToken",

	"CreateDeploymentConfigRequest": "deploymentConfigName minimumHealthyHosts:MinimumHealthyHosts trafficRoutingConfig:TrafficRoutingConfig computePlatform:ComputePlatform " +
		"zonalConfig:ZonalConfig",
	"CreateDeploymentConfigResponse": "deploymentConfigId",
	"GetDeploymentConfigRequest":     "deploymentConfigName",
	"GetDeploymentConfigResponse":    "deploymentConfigInfo:DeploymentConfigInfo",

	"CreateDeploymentGroupRequest": "applicationName deploymentGroupName deploymentConfigName ec2TagFilters:[EC2TagFilter] onPremisesInstanceTagFilters:[TagFilter] " +
		"autoScalingGroups:[String] serviceRoleArn triggerConfigurations:[TriggerConfig] alarmConfiguration:AlarmConfiguration autoRollbackConfiguration:AutoRollbackConfiguration " +
		"outdatedInstancesStrategy:OutdatedInstancesStrategy deploymentStyle:DeploymentStyle blueGreenDeploymentConfiguration:BlueGreenDeploymentConfiguration " +
		"loadBalancerInfo:LoadBalancerInfo ec2TagSet:EC2TagSet ecsServices:[ECSService] onPremisesTagSet:OnPremisesTagSet tags:[Tag] terminationHookEnabled:Bool",
	"CreateDeploymentGroupResponse":    "deploymentGroupId",
	"ListDeploymentGroupsRequest":      "applicationName nextToken",
	"ListDeploymentGroupsResponse":     "applicationName deploymentGroups:[String] nextToken",
	"GetDeploymentGroupRequest":        "applicationName deploymentGroupName",
	"GetDeploymentGroupResponse":       "deploymentGroupInfo:DeploymentGroupInfo",
	"BatchGetDeploymentGroupsRequest":  "applicationName deploymentGroupNames:[String]",
	"BatchGetDeploymentGroupsResponse": "deploymentGroupsInfo:[DeploymentGroupInfo] errorMessage",

	"CreateDeploymentRequest": "applicationName deploymentGroupName revision:RevisionLocation deploymentConfigName description ignoreApplicationStopFailures:Bool " +
		"targetInstances:TargetInstances autoRollbackConfiguration:AutoRollbackConfiguration updateOutdatedInstancesOnly:Bool fileExistsBehavior:FileExistsBehavior overrideAlarmConfiguration:AlarmConfiguration",
	"CreateDeploymentResponse":          "deploymentId",
	"GetDeploymentRequest":              "deploymentId",
	"GetDeploymentResponse":             "deploymentInfo:DeploymentInfo",
	"ListDeploymentsRequest":            "applicationName deploymentGroupName externalId includeOnlyStatuses:[DeploymentStatus] createTimeRange:TimeRange nextToken",
	"ListDeploymentsResponse":           "deployments:[String] nextToken",
	"ListDeploymentTargetsRequest":      "deploymentId nextToken targetFilters:{[String]}",
	"ListDeploymentTargetsResponse":     "targetIds:[String] nextToken",
	"BatchGetDeploymentTargetsRequest":  "deploymentId targetIds:[String]",
	"BatchGetDeploymentTargetsResponse": "deploymentTargets:[DeploymentTarget]",
	"GetDeploymentTargetRequest":        "deploymentId targetId",
	"GetDeploymentTargetResponse":       "deploymentTarget:DeploymentTarget",
	"StopDeploymentRequest":             "deploymentId autoRollbackEnabled:Bool",
	"StopDeploymentResponse":            "status:StopStatus statusMessage",
	"ContinueDeploymentRequest":         "deploymentId deploymentWaitType:DeploymentWaitType",
	"GetApplicationRevisionRequest":     "applicationName revision:RevisionLocation",
	"GetApplicationRevisionResponse":    "applicationName revision:RevisionLocation revisionInfo:GenericRevisionInfo",

	"Alarm":                            "name",
	"AlarmConfiguration":               "enabled:Bool ignorePollAlarmFailure:Bool alarms:[Alarm]",
	"AppSpecContent":                   "content sha256",
	"AutoRollbackConfiguration":        "enabled:Bool events:[AutoRollbackEvent]",
	"BlueGreenDeploymentConfiguration": "terminateBlueInstancesOnDeploymentSuccess:BlueInstanceTerminationOption deploymentReadyOption:DeploymentReadyOption greenFleetProvisioningOption:GreenFleetProvisioningOption",
	"BlueInstanceTerminationOption":    "action:InstanceAction terminationWaitTimeInMinutes:Int",
	"DeploymentConfigInfo": "deploymentConfigId deploymentConfigName minimumHealthyHosts:MinimumHealthyHosts createTime:Time computePlatform:ComputePlatform " +
		"trafficRoutingConfig:TrafficRoutingConfig zonalConfig:ZonalConfig",
	"DeploymentGroupInfo": "applicationName deploymentGroupId deploymentGroupName deploymentConfigName serviceRoleArn alarmConfiguration:AlarmConfiguration " +
		"autoRollbackConfiguration:AutoRollbackConfiguration deploymentStyle:DeploymentStyle blueGreenDeploymentConfiguration:BlueGreenDeploymentConfiguration " +
		"loadBalancerInfo:LoadBalancerInfo ecsServices:[ECSService] computePlatform:ComputePlatform lastSuccessfulDeployment:LastDeploymentInfo " +
		"lastAttemptedDeployment:LastDeploymentInfo targetRevision:RevisionLocation triggerConfigurations:[TriggerConfig] terminationHookEnabled:Bool",
	"DeploymentInfo": "applicationName deploymentGroupName deploymentConfigName deploymentId previousRevision:RevisionLocation revision:RevisionLocation " +
		"status:DeploymentStatus errorInformation:ErrorInformation createTime:Time startTime:Time completeTime:Time deploymentOverview:DeploymentOverview description " +
		"creator:DeploymentCreator autoRollbackConfiguration:AutoRollbackConfiguration rollbackInfo:RollbackInfo deploymentStyle:DeploymentStyle " +
		"instanceTerminationWaitTimeStarted:Bool blueGreenDeploymentConfiguration:BlueGreenDeploymentConfiguration loadBalancerInfo:LoadBalancerInfo " +
		"deploymentStatusMessages:[String] computePlatform:ComputePlatform overrideAlarmConfiguration:AlarmConfiguration ignoreApplicationStopFailures:Bool updateOutdatedInstancesOnly:Bool",
	"DeploymentOverview":           "Pending:Int InProgress:Int Succeeded:Int Failed:Int Skipped:Int Ready:Int",
	"DeploymentReadyOption":        "actionOnTimeout:DeploymentReadyAction waitTimeInMinutes:Int",
	"DeploymentStyle":              "deploymentType:DeploymentType deploymentOption:DeploymentOption",
	"DeploymentTarget":             "deploymentTargetType:DeploymentTargetType ecsTarget:ECSTarget",
	"Diagnostics":                  "errorCode:LifecycleErrorCode scriptName message logTail",
	"EC2TagFilter":                 "Key Value Type:EC2TagFilterType",
	"EC2TagSet":                    "ec2TagSetList:[[EC2TagFilter]]",
	"ECSService":                   "serviceName clusterName",
	"ECSTarget":                    "deploymentId targetId targetArn lastUpdatedAt:Time lifecycleEvents:[LifecycleEvent] status:TargetStatus taskSetsInfo:[ECSTaskSet]",
	"ECSTaskSet":                   "identifer desiredCount:Int pendingCount:Int runningCount:Int status trafficWeight:Double targetGroup:TargetGroupInfo taskSetLabel:TargetLabel",
	"ELBInfo":                      "name",
	"ErrorInformation":             "code:ErrorCode message",
	"GenericRevisionInfo":          "description deploymentGroups:[String] firstUsedTime:Time lastUsedTime:Time registerTime:Time",
	"GitHubLocation":               "repository commitId",
	"GreenFleetProvisioningOption": "action:GreenFleetProvisioningAction",
	"LastDeploymentInfo":           "deploymentId status:DeploymentStatus endTime:Time createTime:Time",
	"LifecycleEvent":               "lifecycleEventName diagnostics:Diagnostics startTime:Time endTime:Time status:LifecycleEventStatus",
	"LoadBalancerInfo":             "elbInfoList:[ELBInfo] targetGroupInfoList:[TargetGroupInfo] targetGroupPairInfoList:[TargetGroupPairInfo]",
	"MinimumHealthyHosts":          "value:Int type:MinimumHealthyHostsType",
	"MinimumHealthyHostsPerZone":   "type:MinimumHealthyHostsPerZoneType value:Int",
	"OnPremisesTagSet":             "onPremisesTagSetList:[[TagFilter]]",
	"RawString":                    "content sha256",
	"RevisionLocation":             "revisionType:RevisionLocationType s3Location:S3Location gitHubLocation:GitHubLocation string:RawString appSpecContent:AppSpecContent",
	"RollbackInfo":                 "rollbackDeploymentId rollbackTriggeringDeploymentId rollbackMessage",
	"S3Location":                   "bucket key bundleType:BundleType version eTag",
	"Tag":                          "Key Value",
	"TagFilter":                    "Key Value Type:TagFilterType",
	"TargetGroupInfo":              "name",
	"TargetGroupPairInfo":          "targetGroups:[TargetGroupInfo] prodTrafficRoute:TrafficRoute testTrafficRoute:TrafficRoute",
	"TargetInstances":              "tagFilters:[EC2TagFilter] autoScalingGroups:[String] ec2TagSet:EC2TagSet",
	"TimeRange":                    "start:Time end:Time",
	"TimeBasedCanary":              "canaryPercentage:Int canaryInterval:Int",
	"TimeBasedLinear":              "linearPercentage:Int linearInterval:Int",
	"TrafficRoutingConfig":         "type:TrafficRoutingType timeBasedCanary:TimeBasedCanary timeBasedLinear:TimeBasedLinear",
	"ZonalConfig":                  "monitorDurationInSeconds:Int minimumHealthyHostsPerZone:MinimumHealthyHostsPerZone firstZoneMonitorDurationInSeconds:Int",
	"TrafficRoute":                 "listenerArns:[String]",
	"TriggerConfig":                "triggerName triggerTargetArn triggerEvents:[TriggerEventType]",
}

func codeDeployRules() awsapi.Rules {
	return awsapi.Rules{
		// CodeDeploy says of a missing member which one it is by the name of the error: refuseCodeDeploy.
		Required: map[string][]string{
			"BatchGetDeploymentGroupsRequest":  {"applicationName", "deploymentGroupNames"},
			"BatchGetDeploymentTargetsRequest": {"deploymentId", "targetIds"},
			"CreateApplicationRequest":         {"applicationName"},
			"CreateDeploymentConfigRequest":    {"deploymentConfigName"},
			"GetDeploymentConfigRequest":       {"deploymentConfigName"},
			"CreateDeploymentGroupRequest":     {"applicationName", "deploymentGroupName", "serviceRoleArn"},
			"CreateDeploymentRequest":          {"applicationName"},
			"GetApplicationRevisionRequest":    {"applicationName", "revision"},
			"GetDeploymentGroupRequest":        {"applicationName", "deploymentGroupName"},
			"GetDeploymentRequest":             {"deploymentId"},
			"GetDeploymentTargetRequest":       {"deploymentId", "targetId"},
			"ListDeploymentGroupsRequest":      {"applicationName"},
			"ListDeploymentTargetsRequest":     {"deploymentId"},
			"StopDeploymentRequest":            {"deploymentId"},
		},
		Enums: map[string][]string{
			"AutoRollbackEvent":              awsapi.Names(types.AutoRollbackEvent("").Values()),
			"BundleType":                     awsapi.Names(types.BundleType("").Values()),
			"ComputePlatform":                awsapi.Names(types.ComputePlatform("").Values()),
			"DeploymentOption":               awsapi.Names(types.DeploymentOption("").Values()),
			"DeploymentReadyAction":          awsapi.Names(types.DeploymentReadyAction("").Values()),
			"DeploymentStatus":               awsapi.Names(types.DeploymentStatus("").Values()),
			"DeploymentType":                 awsapi.Names(types.DeploymentType("").Values()),
			"DeploymentWaitType":             awsapi.Names(types.DeploymentWaitType("").Values()),
			"EC2TagFilterType":               awsapi.Names(types.EC2TagFilterType("").Values()),
			"FileExistsBehavior":             awsapi.Names(types.FileExistsBehavior("").Values()),
			"GreenFleetProvisioningAction":   awsapi.Names(types.GreenFleetProvisioningAction("").Values()),
			"InstanceAction":                 awsapi.Names(types.InstanceAction("").Values()),
			"OutdatedInstancesStrategy":      awsapi.Names(types.OutdatedInstancesStrategy("").Values()),
			"RevisionLocationType":           awsapi.Names(types.RevisionLocationType("").Values()),
			"MinimumHealthyHostsType":        awsapi.Names(types.MinimumHealthyHostsType("").Values()),
			"MinimumHealthyHostsPerZoneType": awsapi.Names(types.MinimumHealthyHostsPerZoneType("").Values()),
			"TrafficRoutingType":             awsapi.Names(types.TrafficRoutingType("").Values()),
			"TagFilterType":                  awsapi.Names(types.TagFilterType("").Values()),
			"TriggerEventType":               awsapi.Names(types.TriggerEventType("").Values()),
		},
	}
}

// codeDeployModel makes schemas of the shapes above.
type codeDeployModel map[string]*smithy.Schema

func newCodeDeployModel() codeDeployModel {
	m := codeDeployModel{"String": prelude.String, "Int": prelude.Long, "Bool": prelude.Boolean, "Time": prelude.Timestamp, "Double": prelude.Double}
	for name := range codeDeployShapes {
		m.shape(name)
	}
	return m
}

// shape returns the schema of a type in the notation of codeDeployShapes; a name that is not a structure is an enumeration.
func (m codeDeployModel) shape(name string) *smithy.Schema {
	if s := m[name]; s != nil {
		return s
	}
	id := smithy.ShapeID{Namespace: "com.amazonaws.codedeploy", Name: name}
	var s *smithy.Schema
	inner := name[1 : len(name)-1]
	switch {
	case name[0] == '[':
		s = smithy.NewSchema(id, smithy.ShapeTypeList, 1)
		s.AddMember("member", m.shape(inner))
	case name[0] == '{':
		s = smithy.NewSchema(id, smithy.ShapeTypeMap, 2)
		s.AddMember("key", prelude.String)
		s.AddMember("value", m.shape(inner))
	case codeDeployShapes[name] == "":
		s = smithy.NewSchema(id, smithy.ShapeTypeEnum, 0)
	default:
		members := strings.Fields(codeDeployShapes[name])
		s = smithy.NewSchema(id, smithy.ShapeTypeStructure, len(members))
		for _, member := range members {
			n, typ, _ := strings.Cut(member, ":")
			s.AddMember(n, m.shape(cmp.Or(typ, "String")))
		}
	}
	m[name] = s
	return s
}
