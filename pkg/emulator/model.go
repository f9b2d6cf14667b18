// What the services' models say and the SDK's runtime schemas leave out: which members are required, which values an enumeration has, and
// bounds and patterns. Taken from the API references of ECS (2014-11-13), ECR (2015-09-21) and CloudWatch Logs (2014-03-28); tests hold the
// required members and the completeness of the enumerations against the SDK's own validators and schemas.

package emulator

import (
	"regexp"

	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func names[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// pattern compiles a model's pattern, which always means the whole value.
func pattern(expr string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + expr + `)$`) }

func ecsRules() rules {
	return rules{
		required: map[string][]string{
			"AwsVpcConfiguration":                       {"subnets"},
			"CapacityProviderStrategyItem":              {"capacityProvider"},
			"ClusterServiceConnectDefaultsRequest":      {"namespace"},
			"ContainerDependency":                       {"containerName", "condition"},
			"ContainerRestartPolicy":                    {"enabled"},
			"ContinueServiceDeploymentRequest":          {"hookId", "serviceDeploymentArn"},
			"CreateServiceRequest":                      {"serviceName"},
			"DeleteClusterRequest":                      {"cluster"},
			"DeleteServiceRequest":                      {"service"},
			"DeploymentAlarms":                          {"alarmNames", "rollback", "enable"},
			"DeploymentCircuitBreaker":                  {"enable", "rollback"},
			"DeploymentController":                      {"type"},
			"DeregisterTaskDefinitionRequest":           {"taskDefinition"},
			"DescribeServiceDeploymentsRequest":         {"serviceDeploymentArns"},
			"DescribeServiceRevisionsRequest":           {"serviceRevisionArns"},
			"DescribeServicesRequest":                   {"services"},
			"DescribeTaskDefinitionRequest":             {"taskDefinition"},
			"DescribeTasksRequest":                      {"tasks"},
			"Device":                                    {"hostPath"},
			"EBSTagSpecification":                       {"resourceType"},
			"EFSVolumeConfiguration":                    {"fileSystemId"},
			"EnvironmentFile":                           {"value", "type"},
			"EphemeralStorage":                          {"sizeInGiB"},
			"FSxWindowsFileServerAuthorizationConfig":   {"credentialsParameter", "domain"},
			"FSxWindowsFileServerVolumeConfiguration":   {"fileSystemId", "rootDirectory", "authorizationConfig"},
			"FirelensConfiguration":                     {"type"},
			"GatewayConnector":                          {"portName"},
			"HealthCheck":                               {"command"},
			"HostEntry":                                 {"hostname", "ipAddress"},
			"InferenceAccelerator":                      {"deviceName", "deviceType"},
			"ListServiceDeploymentsRequest":             {"service"},
			"ListTagsForResourceRequest":                {"resourceArn"},
			"LogConfiguration":                          {"logDriver"},
			"MetricConfiguration":                       {"metricNames", "resolutionSeconds"},
			"ProxyConfiguration":                        {"containerName"},
			"RegisterTaskDefinitionRequest":             {"family", "containerDefinitions"},
			"RepositoryCredentials":                     {"credentialsParameter"},
			"ResourceRequirement":                       {"type"},
			"RunTaskRequest":                            {"taskDefinition"},
			"S3FilesVolumeConfiguration":                {"fileSystemArn"},
			"Secret":                                    {"name", "valueFrom"},
			"ServiceConnectAccessLogConfiguration":      {"format"},
			"ServiceConnectClientAlias":                 {"port"},
			"ServiceConnectConfiguration":               {"enabled"},
			"ServiceConnectService":                     {"portName"},
			"ServiceConnectTestTrafficHeaderMatchRules": {"exact"},
			"ServiceConnectTestTrafficHeaderRules":      {"name"},
			"ServiceConnectTestTrafficRules":            {"header"},
			"ServiceConnectTlsConfiguration":            {"issuerCertificateAuthority"},
			"ServiceManagedEBSVolumeConfiguration":      {"roleArn"},
			"ServiceVolumeConfiguration":                {"name"},
			"StopServiceDeploymentRequest":              {"serviceDeploymentArn"},
			"StopTaskRequest":                           {"task"},
			"TagResourceRequest":                        {"resourceArn", "tags"},
			"TaskManagedEBSVolumeConfiguration":         {"roleArn"},
			"TaskManagedEBSVolumeTerminationPolicy":     {"deleteOnTermination"},
			"TaskVolumeConfiguration":                   {"name"},
			"ThresholdConfiguration":                    {"type", "value"},
			"Tmpfs":                                     {"containerPath", "size"},
			"TrustedExecutionConfiguration":             {"isolationMode"},
			"Ulimit":                                    {"name", "softLimit", "hardLimit"},
			"UntagResourceRequest":                      {"resourceArn", "tagKeys"},
			"UpdateServiceRequest":                      {"service"},
			"VpcLatticeConfiguration":                   {"roleArn", "targetGroupArn", "portName"},
		},
		enums: map[string][]string{
			"AccessType":                            names(types.AccessType("").Values()),
			"ApplicationProtocol":                   names(types.ApplicationProtocol("").Values()),
			"AssignPublicIp":                        names(types.AssignPublicIp("").Values()),
			"AvailabilityZoneRebalancing":           names(types.AvailabilityZoneRebalancing("").Values()),
			"CPUArchitecture":                       names(types.CPUArchitecture("").Values()),
			"ClusterField":                          names(types.ClusterField("").Values()),
			"ClusterSettingName":                    names(types.ClusterSettingName("").Values()),
			"Compatibility":                         names(types.Compatibility("").Values()),
			"ContainerCondition":                    names(types.ContainerCondition("").Values()),
			"DeploymentControllerType":              names(types.DeploymentControllerType("").Values()),
			"DeploymentLifecycleHookAction":         names(types.DeploymentLifecycleHookAction("").Values()),
			"DeploymentLifecycleHookStage":          names(types.DeploymentLifecycleHookStage("").Values()),
			"DeploymentLifecycleHookTargetType":     names(types.DeploymentLifecycleHookTargetType("").Values()),
			"DeploymentStrategy":                    names(types.DeploymentStrategy("").Values()),
			"DesiredStatus":                         names(types.DesiredStatus("").Values()),
			"DeviceCgroupPermission":                names(types.DeviceCgroupPermission("").Values()),
			"EBSResourceType":                       names(types.EBSResourceType("").Values()),
			"EFSAuthorizationConfigIAM":             names(types.EFSAuthorizationConfigIAM("").Values()),
			"EFSTransitEncryption":                  names(types.EFSTransitEncryption("").Values()),
			"EnvironmentFileType":                   names(types.EnvironmentFileType("").Values()),
			"ExecuteCommandLogging":                 names(types.ExecuteCommandLogging("").Values()),
			"FirelensConfigurationType":             names(types.FirelensConfigurationType("").Values()),
			"GatewayConnectorHealthCheckProtocol":   names(types.GatewayConnectorHealthCheckProtocol("").Values()),
			"IpcMode":                               names(types.IpcMode("").Values()),
			"IsolationMode":                         names(types.IsolationMode("").Values()),
			"LaunchType":                            names(types.LaunchType("").Values()),
			"LogDriver":                             names(types.LogDriver("").Values()),
			"NetworkMode":                           names(types.NetworkMode("").Values()),
			"OSFamily":                              names(types.OSFamily("").Values()),
			"PidMode":                               names(types.PidMode("").Values()),
			"PlacementConstraintType":               names(types.PlacementConstraintType("").Values()),
			"PlacementStrategyType":                 names(types.PlacementStrategyType("").Values()),
			"PropagateTags":                         names(types.PropagateTags("").Values()),
			"ProxyConfigurationType":                names(types.ProxyConfigurationType("").Values()),
			"ResourceManagementType":                names(types.ResourceManagementType("").Values()),
			"ResourceType":                          names(types.ResourceType("").Values()),
			"SchedulingStrategy":                    names(types.SchedulingStrategy("").Values()),
			"Scope":                                 names(types.Scope("").Values()),
			"ServiceConnectAccessLoggingFormat":     names(types.ServiceConnectAccessLoggingFormat("").Values()),
			"ServiceConnectContainerLogLevel":       names(types.ServiceConnectContainerLogLevel("").Values()),
			"ServiceConnectIncludeQueryParameters":  names(types.ServiceConnectIncludeQueryParameters("").Values()),
			"ServiceDeploymentStatus":               names(types.ServiceDeploymentStatus("").Values()),
			"ServiceField":                          names(types.ServiceField("").Values()),
			"ServiceRevisionCleanup":                names(types.ServiceRevisionCleanup("").Values()),
			"SortOrder":                             names(types.SortOrder("").Values()),
			"StopServiceDeploymentStopType":         names(types.StopServiceDeploymentStopType("").Values()),
			"TaskDefinitionField":                   names(types.TaskDefinitionField("").Values()),
			"TaskDefinitionPlacementConstraintType": names(types.TaskDefinitionPlacementConstraintType("").Values()),
			"TaskDefinitionStatus":                  names(types.TaskDefinitionStatus("").Values()),
			"TaskField":                             names(types.TaskField("").Values()),
			"TaskFilesystemType":                    names(types.TaskFilesystemType("").Values()),
			"ThresholdType":                         names(types.ThresholdType("").Values()),
			"TransportProtocol":                     names(types.TransportProtocol("").Values()),
			"UlimitName":                            names(types.UlimitName("").Values()),
			"VersionConsistency":                    names(types.VersionConsistency("").Values()),
		},
		limits: map[string]limit{
			"CapacityProviderStrategyItemBase":   {min: 0, max: 100_000},
			"CapacityProviderStrategyItemWeight": {min: 0, max: 1000},
			"DeploymentLifecycleHookDuration":    {min: 1, max: 20_160},
			"Duration":                           {min: 0},
			"PortNumber":                         {min: 0, max: 65_535},
			"TagKey":                             {min: 1, max: 128, pattern: pattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)},
			"TagValue":                           {min: 0, max: 256, pattern: pattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)},
			"Tags":                               {min: 0, max: 50},
		},
	}
}

func ecrRules() rules {
	return rules{
		required: map[string][]string{
			"BatchCheckLayerAvailabilityRequest": {"repositoryName", "layerDigests"},
			"BatchDeleteImageRequest":            {"repositoryName", "imageIds"},
			"BatchGetImageRequest":               {"repositoryName", "imageIds"},
			"CreateRepositoryRequest":            {"repositoryName"},
			"DeleteRepositoryRequest":            {"repositoryName"},
			"DescribeImagesRequest":              {"repositoryName"},
			"EncryptionConfiguration":            {"encryptionType"},
			"ImageTagMutabilityExclusionFilter":  {"filterType", "filter"},
			"ListImagesRequest":                  {"repositoryName"},
			"PutImageRequest":                    {"repositoryName", "imageManifest"},
			"Tag":                                {"Key", "Value"},
		},
		enums: map[string][]string{
			"EncryptionType":                        names(ecrtypes.EncryptionType("").Values()),
			"ImageStatusFilter":                     names(ecrtypes.ImageStatusFilter("").Values()),
			"ImageTagMutability":                    names(ecrtypes.ImageTagMutability("").Values()),
			"ImageTagMutabilityExclusionFilterType": names(ecrtypes.ImageTagMutabilityExclusionFilterType("").Values()),
			"TagStatus":                             names(ecrtypes.TagStatus("").Values()),
		},
		limits: map[string]limit{
			"BatchedOperationLayerDigest":            {min: 0, max: 1000},
			"BatchedOperationLayerDigestList":        {min: 1, max: 100},
			"GetAuthorizationTokenRegistryIdList":    {min: 1, max: 10},
			"ImageIdentifierList":                    {min: 1, max: 100},
			"ImageManifest":                          {min: 1, max: 4_194_304},
			"ImageTag":                               {min: 1, max: 300},
			"ImageTagMutabilityExclusionFilterValue": {min: 1, max: 128, pattern: pattern(`[0-9a-zA-Z._*-]{1,128}`)},
			"ImageTagMutabilityExclusionFilters":     {min: 1, max: 5},
			"KmsKey":                                 {min: 1, max: 2048},
			"MaxResults":                             {min: 1, max: 1000},
			"MediaTypeList":                          {min: 1, max: 100},
			"RegistryId":                             {pattern: pattern(`[0-9]{12}`)},
			"RepositoryName":                         {min: 2, max: 256, pattern: pattern(`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`)},
			"RepositoryNameList":                     {min: 1, max: 100},
		},
	}
}

func logsRules() rules {
	return rules{
		required: map[string][]string{
			"CreateLogGroupRequest":  {"logGroupName"},
			"CreateLogStreamRequest": {"logGroupName", "logStreamName"},
			"DeleteLogGroupRequest":  {"logGroupName"},
			"GetLogEventsRequest":    {"logStreamName"},
			"InputLogEvent":          {"timestamp", "message"},
			"PutLogEventsRequest":    {"logGroupName", "logStreamName", "logEvents"},
		},
		enums: map[string][]string{
			"LogGroupClass": names(logtypes.LogGroupClass("").Values()),
			"OrderBy":       names(logtypes.OrderBy("").Values()),
		},
		limits: map[string]limit{
			"DescribeLimit":       {min: 1, max: 50},
			"EventMessage":        {min: 1},
			"EventsLimit":         {min: 1, max: 10_000},
			"FilterPattern":       {min: 0, max: 1024},
			"InputLogEvents":      {min: 1, max: 10_000},
			"InputLogStreamNames": {min: 1, max: 100},
			"LogGroupIdentifier":  {min: 1, max: 2048, pattern: pattern(`[\w#+=/:,.@-]*`)},
			"LogGroupName":        {min: 1, max: 512, pattern: pattern(`[\.\-_/#A-Za-z0-9]+`)},
			"LogGroupNamePattern": {min: 0, max: 512, pattern: pattern(`[\.\-_/#A-Za-z0-9]*`)},
			"LogStreamName":       {min: 1, max: 512, pattern: pattern(`[^:*]*`)},
			"NextToken":           {min: 1},
			"SequenceToken":       {min: 1},
			"TagKey":              {min: 1, max: 128},
			"TagValue":            {min: 0, max: 256},
			"Tags":                {min: 1, max: 50},
			"Timestamp":           {min: 0},
		},
	}
}
