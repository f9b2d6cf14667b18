package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator/awsapi"
	ecsroom "ecsdeploy/pkg/emulator/ecs"
)

// TestRefusals sends bodies as they are, past the SDK's own checks, and compares code and words.
func TestRefusals(t *testing.T) {
	const (
		ECS  = "AmazonEC2ContainerServiceV20141113."
		ECR  = "AmazonEC2ContainerRegistry_V20150921."
		Logs = "Logs_20140328."
	)
	many := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	const (
		rule1 = "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/a/b/c/1"
		rule2 = "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/a/b/c/2"
	)
	shifting := func(configuration, balancer string) string {
		return `{"cluster":"c","serviceName":"shifting","taskDefinition":"f:2","desiredCount":1,"deploymentConfiguration":{` + configuration + `},"loadBalancers":[{` + balancer + `}]}`
	}
	balancer := func(production, test string) string {
		return `"targetGroupArn":"tg1","advancedConfiguration":{"alternateTargetGroupArn":"tg2","roleArn":"r","productionListenerRule":"` + production + `","testListenerRule":"` + test + `"}`
	}
	tests := []struct{ name, target, body, code, message string }{
		{"unknown service", "Nothing_1.Do", `{}`, "UnknownOperationException", ""},
		{"unknown operation", ECS + "MakeCoffee", `{}`, "UnknownOperationException", "The requested operation is not recognized by the service."},
		{"not JSON", ECS + "ListClusters", `{`, "SerializationException", "unexpected EOF"},
		{"not an object", ECS + "ListClusters", `[]`, "SerializationException", "not a JSON object"},
		{"two values", ECS + "ListClusters", `{}{}`, "SerializationException", "more than one JSON value"},
		{"unknown member", ECS + "DescribeServices", `{"services":["a"],"Cluster":"b"}`, "SerializationException", `Unknown member "Cluster" of DescribeServicesRequest at 'Cluster'`},
		{"unknown member below", ECS + "RegisterTaskDefinition", `{"family":"f","containerDefinitions":[{"name":"a","img":"b"}]}`, "SerializationException", `Unknown member "img" of ContainerDefinition at 'containerDefinitions.1.member.img'`},
		{"string for number", ECS + "UpdateService", `{"service":"s","desiredCount":"2"}`, "SerializationException", "STRING_VALUE can not be converted to an Integer"},
		{"fraction for number", ECS + "UpdateService", `{"service":"s","desiredCount":2.5}`, "SerializationException", "'2.5' can not be converted to an Integer"},
		{"number for string", ECS + "UpdateService", `{"service":1}`, "SerializationException", "NUMBER_VALUE can not be converted to a String"},
		{"string for boolean", ECS + "UpdateService", `{"service":"s","forceNewDeployment":"true"}`, "SerializationException", "STRING_VALUE can not be converted to a Boolean"},
		{"object for list", ECS + "DescribeServices", `{"services":{}}`, "SerializationException", "Unexpected token START_OBJECT where a list was expected"},
		{"list for object", ECS + "UpdateService", `{"service":"s","networkConfiguration":[]}`, "SerializationException", "Unexpected token START_ARRAY where a structure was expected"},
		{"timestamp in words", ECS + "ListServiceDeployments", `{"service":"s","createdAt":{"after":"2026-01-01T00:00:00Z"}}`, "SerializationException", "STRING_VALUE can not be converted to a Double"},
		{"null is absent", ECS + "DescribeTasks", `{"tasks":null}`, "InvalidParameterException", "Tasks cannot be empty."},
		{"required", ECS + "UpdateService", `{}`, "InvalidParameterException", "Service cannot be empty."},
		{"required of a task definition", ECS + "RegisterTaskDefinition", `{"family":"f"}`, "ClientException", "Container definitions cannot be empty."},
		{"required below", ECS + "RegisterTaskDefinition", `{"family":"f","containerDefinitions":[{"name":"a","image":"b","secrets":[{"name":"x"}]}]}`, "ClientException", "1 validation error detected: Value null at 'containerDefinitions.1.member.secrets.1.member.valueFrom' failed to satisfy constraint: Member must not be null"},
		{"enum", ECS + "RunTask", `{"taskDefinition":"t","launchType":"LAMBDA"}`, "InvalidParameterException", "launch type should be one of [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]"},
		{"tag value", ECS + "CreateCluster", `{"tags":[{"key":"a","value":"<b>"}]}`, "InvalidParameterException", `1 validation error detected: Value '<b>' at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy regular expression pattern: ^(?:[\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`},
		{"too many tags", ECS + "CreateCluster", `{"tags":[` + many(51, `{"key":"k","value":"v"}`) + `]}`, "InvalidParameterException", ""},
		{"port", ECS + "CreateService", `{"serviceName":"s","serviceConnectConfiguration":{"enabled":true,"services":[{"portName":"p","clientAliases":[{"port":70000}]}]}}`, "InvalidParameterException", ""},
		{"missing cluster", ECS + "DescribeServices", `{"cluster":"nope","services":["s"]}`, "ClusterNotFoundException", "Cluster not found."},
		{"no services", ECS + "DescribeServices", `{"cluster":"c","services":[]}`, "InvalidParameterException", "Services cannot be empty."},
		{"eleven services", ECS + "DescribeServices", `{"cluster":"c","services":[` + many(11, `"s"`) + `]}`, "InvalidParameterException", "Services cannot have more than 10 items."},
		{"101 tasks", ECS + "DescribeTasks", `{"cluster":"c","tasks":[` + many(101, `"t"`) + `]}`, "InvalidParameterException", "Tasks cannot have more than 100 items."},
		{"21 service deployments", ECS + "DescribeServiceDeployments", `{"serviceDeploymentArns":[` + many(21, `"arn:aws:ecs:eu-west-1:1:service-deployment/a/b/c"`) + `]}`, "InvalidParameterException", "Service deployment arns cannot have more than 20 items."},
		{"not an ARN", ECS + "DescribeServiceRevisions", `{"serviceRevisionArns":["x"]}`, "InvalidParameterException", "Invalid service revision ARN: x"},
		{"missing service", ECS + "UpdateService", `{"cluster":"c","service":"nope"}`, "ServiceNotFoundException", "Service not found."},
		{"missing service's deployments", ECS + "ListServiceDeployments", `{"cluster":"c","service":"nope"}`, "ServiceNotFoundException", "Service not found."},
		{"startedBy and family", ECS + "ListTasks", `{"cluster":"c","startedBy":"ecs-svc/1","family":"f"}`, "InvalidParameterException", "startedBy cannot be combined with other filters."},
		{"missing task definition", ECS + "DescribeTaskDefinition", `{"taskDefinition":"nope:1"}`, "ClientException", "Unable to describe task definition."},
		{"revision in words", ECS + "DescribeTaskDefinition", `{"taskDefinition":"f:latest"}`, "ClientException", "Invalid revision number. Number: latest"},
		{"foreign ARN", ECS + "DescribeTaskDefinition", `{"taskDefinition":"arn:aws:ecs:us-east-1:999999999999:task-definition/f:1"}`, "ClientException", "Invalid arn syntax."},
		{"deregister a family", ECS + "DeregisterTaskDefinition", `{"taskDefinition":"f"}`, "ClientException", "Revision is missing."},
		{"run an inactive one", ECS + "RunTask", `{"cluster":"c","taskDefinition":"f:1"}`, "InvalidParameterException", "TaskDefinition is inactive"},
		{"create on an inactive one", ECS + "CreateService", `{"cluster":"c","serviceName":"s","desiredCount":1,"taskDefinition":"f:1"}`, "ClientException", "TaskDefinition is inactive"},
		{"create on a missing one", ECS + "CreateService", `{"cluster":"c","serviceName":"s","desiredCount":1,"taskDefinition":"f:9"}`, "ClientException", "TaskDefinition not found."},
		{"create without count", ECS + "CreateService", `{"cluster":"c","serviceName":"s","taskDefinition":"f:2"}`, "InvalidParameterException", "The desired count of a service with the REPLICA scheduling strategy must be specified."},
		{"create a daemon", ECS + "CreateService", `{"cluster":"c","serviceName":"s","taskDefinition":"f:2","schedulingStrategy":"DAEMON"}`, "InvalidParameterException", "The emulator runs services with the REPLICA scheduling strategy only."},
		{"blue/green without advancedConfiguration", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN"`, `"targetGroupArn":"tg","containerName":"a","containerPort":80`), "InvalidParameterException", "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy"},
		{"a listener for a rule", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN"`, balancer("arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/a/b/c", rule2)), "InvalidParameterException", "productionListenerRule has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/a/b/c"},
		{"one rule for both", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN"`, balancer(rule1, rule1)), "InvalidParameterException", "The following rules cannot be used as both production and test listener rules: " + rule1},
		{"one target group for both", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN"`, strings.Replace(balancer(rule1, rule2), "tg2", "tg1", 1)), "InvalidParameterException", "Duplicate targetGroupArn found: tg1"},
		{"advancedConfiguration here and there", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN"`, balancer(rule1, rule2)+`},{"targetGroupArn":"tg3"`), "InvalidParameterException", "Either all or none of the provided loadBalancers must have advancedConfiguration defined"},
		{"advancedConfiguration without role", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN"`, strings.Replace(balancer(rule1, rule2), `"roleArn":"r",`, "", 1)), "InvalidParameterException", "roleArn is required in advancedConfiguration"},
		{"canary of blue/green", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN","canaryConfiguration":{}`, balancer(rule1, rule2)), "InvalidParameterException", "canaryConfiguration is only valid when the deployment strategy is CANARY."},
		{"canary percent", ECS + "CreateService", shifting(`"strategy":"CANARY","canaryConfiguration":{"canaryPercent":0.05}`, balancer(rule1, rule2)), "InvalidParameterException", "canaryPercent must be a multiple of 0.1 between 0.1 and 100.0."},
		{"linear percent", ECS + "CreateService", shifting(`"strategy":"LINEAR","linearConfiguration":{"stepPercent":2}`, balancer(rule1, rule2)), "InvalidParameterException", "stepPercent must be a multiple of 0.1 between 3.0 and 100.0."},
		{"linear bake", ECS + "CreateService", shifting(`"strategy":"LINEAR","linearConfiguration":{"stepBakeTimeInMinutes":1441}`, balancer(rule1, rule2)), "InvalidParameterException", "stepBakeTimeInMinutes must be between 0 and 1440."},
		{"bake time", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN","bakeTimeInMinutes":-1`, balancer(rule1, rule2)), "InvalidParameterException", "bakeTimeInMinutes must be between 0 and 1440."},
		{"hook type", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN","lifecycleHooks":[{"targetType":"WAIT"}]`, balancer(rule1, rule2)), "InvalidParameterException", "Invalid targetType. Valid values are: AWS_LAMBDA, PAUSE"},
		{"hook stage", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN","lifecycleHooks":[{"targetType":"PAUSE","lifecycleStages":["TEST_TRAFFIC_SHIFT"]}]`, balancer(rule1, rule2)), "InvalidParameterException", "Invalid lifecycle stage provided for Pause Hook"},
		{"hook without function", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN","lifecycleHooks":[{"lifecycleStages":["PRE_SCALE_UP"]}]`, balancer(rule1, rule2)), "InvalidParameterException", "hookTargetArn is required for lifecycle hooks of the type AWS_LAMBDA"},
		{"hook timeout", ECS + "CreateService", shifting(`"strategy":"BLUE_GREEN","lifecycleHooks":[{"targetType":"PAUSE","lifecycleStages":["PRE_SCALE_UP"],"timeoutConfiguration":{"timeoutInMinutes":30000}}]`, balancer(rule1, rule2)), "InvalidParameterException", ""},
		{"alarms without names", ECS + "CreateService", shifting(`"strategy":"ROLLING","alarms":{"alarmNames":[],"enable":true,"rollback":true}`, balancer(rule1, rule2)), "InvalidParameterException", "alarmNames cannot be empty when alarms are enabled."},
		{"continue without hook", ECS + "ContinueServiceDeployment", `{"serviceDeploymentArn":"arn:aws:ecs:eu-west-1:1:service-deployment/a/b/c"}`, "InvalidParameterException", "Hook id cannot be empty."},
		{"continue with a made-up hook", ECS + "ContinueServiceDeployment", `{"serviceDeploymentArn":"arn:aws:ecs:eu-west-1:1:service-deployment/a/b/c","hookId":"1"}`, "InvalidParameterException", "Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}"},
		{"continue nothing", ECS + "ContinueServiceDeployment", `{"serviceDeploymentArn":"arn:aws:ecs:eu-west-1:1:service-deployment/a/b/c","hookId":"ecs-pause-1"}`, "ServiceDeploymentNotFoundException", "The service deployment does not exist."},
		{"create without network", ECS + "CreateService", `{"cluster":"c","serviceName":"s","taskDefinition":"f:2","desiredCount":1,"launchType":"FARGATE"}`, "InvalidParameterException", "Task definition does not support launch_type FARGATE."},
		{"bad service name", ECS + "CreateService", `{"cluster":"c","serviceName":"s/t","taskDefinition":"f:2","desiredCount":1}`, "InvalidParameterException", "Invalid identifier: Identifier is for s/t. Service names can contain letters, digits, underscores and hyphens."},
		{"empty tags", ECS + "CreateCluster", `{"tags":[]}`, "InvalidParameterException", "Tags can not be empty."},
		{"aws: tag", ECS + "CreateCluster", `{"tags":[{"key":"aws:x","value":"y"}]}`, "InvalidParameterException", "Invalid tag: aws: prefixed tag keys and values are not allowed for external use."},
		{"tag of nothing", ECS + "TagResource", `{"resourceArn":"arn:aws:ecs:eu-west-1:123456789012:service/c/nope","tags":[{"key":"a","value":"b"}]}`, "ResourceNotFoundException", "The specified resource is not found. Please check the resource ARN and try again."},
		{"bad page token", ECS + "ListClusters", `{"nextToken":"x"}`, "InvalidParameterException", "Invalid token: x"},

		{"repository name", ECR + "CreateRepository", `{"repositoryName":"Team/App"}`, "InvalidParameterException", `Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*''`},
		{"repository name too short", ECR + "CreateRepository", `{"repositoryName":"a"}`, "InvalidParameterException", "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'Member must have length greater than or equal to 2'"},
		{"no repository name", ECR + "DescribeImages", `{}`, "InvalidParameterException", "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must not be null'"},
		{"mutability", ECR + "CreateRepository", `{"repositoryName":"app","imageTagMutability":"FROZEN"}`, "InvalidParameterException", "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value set: [MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION]'"},
		{"exclusion without filter", ECR + "CreateRepository", `{"repositoryName":"app","imageTagMutability":"IMMUTABLE_WITH_EXCLUSION"}`, "InvalidParameterException", ""},
		{"six filters", ECR + "CreateRepository", `{"repositoryName":"app","imageTagMutability":"IMMUTABLE_WITH_EXCLUSION","imageTagMutabilityExclusionFilters":[` + strings.TrimSuffix(strings.Repeat(`{"filterType":"WILDCARD","filter":"a*"},`, 6), ",") + `]}`, "InvalidParameterException", "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'Member must have length less than or equal to 5'"},
		{"filter without wildcard type", ECR + "CreateRepository", `{"repositoryName":"app","imageTagMutability":"IMMUTABLE_WITH_EXCLUSION","imageTagMutabilityExclusionFilters":[{"filter":"a*"}]}`, "InvalidParameterException", ""},
		{"key with AES256", ECR + "CreateRepository", `{"repositoryName":"app","encryptionConfiguration":{"encryptionType":"AES256","kmsKey":"alias/x"}}`, "InvalidParameterException", ""},
		{"unknown key", ECR + "CreateRepository", `{"repositoryName":"app","encryptionConfiguration":{"encryptionType":"KMS","kmsKey":"alias/x"}}`, "KmsException", ""},
		{"two layers of encryption", ECR + "CreateRepository", `{"repositoryName":"app","encryptionConfiguration":{"encryptionType":"KMS_DSSE"}}`, "InvalidParameterException", ""},
		{"short lifecycle policy", ECR + "PutLifecyclePolicy", `{"repositoryName":"have","lifecyclePolicyText":"{}"}`, "InvalidParameterException", "Invalid parameter at 'lifecyclePolicyText' failed to satisfy constraint: 'Member must have length greater than or equal to 100'"},
		{"wildcards of a pattern", ECR + "PutLifecyclePolicy", `{"repositoryName":"have","lifecyclePolicyText":"{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"tagged\",\"tagPatternList\":[\"*a*b*c*d*\"],\"countType\":\"imageCountMoreThan\",\"countNumber\":1},\"action\":{\"type\":\"expire\"}}]}"}`, "InvalidParameterException", ""},
		{"missing repository", ECR + "ListImages", `{"repositoryName":"nope"}`, "RepositoryNotFoundException", "The repository with name 'nope' does not exist in the registry with id '123456789012'"},
		{"another account", ECR + "ListImages", `{"repositoryName":"have","registryId":"999999999999"}`, "RepositoryNotFoundException", "The repository with name 'have' does not exist in the registry with id '999999999999'"},
		{"second creation", ECR + "CreateRepository", `{"repositoryName":"have"}`, "RepositoryAlreadyExistsException", "The repository with name 'have' already exists in the registry with id '123456789012'"},
		{"no image ids", ECR + "BatchGetImage", `{"repositoryName":"have","imageIds":[]}`, "InvalidParameterException", "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length greater than or equal to 1'"},
		{"image tag", ECR + "PutImage", `{"repositoryName":"have","imageManifest":"{\"config\":{}}","imageManifestMediaType":"application/vnd.oci.image.manifest.v1+json","imageTag":"a b"}`, "InvalidParameterException", ""},

		{"log group name", Logs + "CreateLogGroup", `{"logGroupName":"a b"}`, "InvalidParameterException", `1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^(?:[\.\-_/#A-Za-z0-9]+)$`},
		{"missing log group", Logs + "DescribeLogStreams", `{"logGroupName":"nope"}`, "ResourceNotFoundException", "The specified log group does not exist."},
		{"log limit", Logs + "GetLogEvents", `{"logGroupName":"g","logStreamName":"s","limit":0}`, "InvalidParameterException", "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
	}
	inWorld(t, Options{}, func(w *world) {
		for _, s := range []struct{ target, body string }{
			{ECS + "CreateCluster", `{"clusterName":"c"}`},
			{ECS + "RegisterTaskDefinition", `{"family":"f","containerDefinitions":[{"name":"a","image":"b","memory":64}]}`},
			{ECS + "RegisterTaskDefinition", `{"family":"f","containerDefinitions":[{"name":"a","image":"b","memory":64}]}`},
			{ECS + "DeregisterTaskDefinition", `{"taskDefinition":"f:1"}`},
			{ECR + "CreateRepository", `{"repositoryName":"have"}`},
		} {
			if _, err := w.send(s.target, s.body); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				_, err := w.send(c.target, c.body)
				api, ok := err.(*awsapi.Error)
				if !ok {
					t.Fatalf("it was accepted: %v", err)
				}
				if api.Code != c.code || c.message != "" && api.Message != c.message {
					t.Errorf("got  %s: %s\nwant %s: %s", api.Code, api.Message, c.code, c.message)
				}
			})
		}
	})
}

// send makes a call with a body as it is.
func (w *world) send(target, body string) (awsapi.Object, error) {
	w.Helper()
	doc := json.RawMessage(body)
	service := map[string]string{"AmazonEC2ContainerS": "ecs", "AmazonEC2ContainerR": "ecr", "Logs_20140328.": "logs"}
	for prefix, name := range service {
		if strings.HasPrefix(target, prefix) {
			return w.post(target, name, doc)
		}
	}
	return w.post(target, "ecs", doc)
}

func (w *world) post(target, service string, body []byte) (awsapi.Object, error) {
	r := must(http.NewRequestWithContext(w.ctx, "POST", "https://"+service+".eu-west-1.amazonaws.com/", bytes.NewReader(body)))(w)
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	r.Header.Set("Authorization", authorization("AKIATEST", "eu-west-1", service))
	resp := must(w.Transport().RoundTrip(r))(w)
	defer resp.Body.Close()
	out := must(awsapi.ParseObject(must(io.ReadAll(resp.Body))(w)))(w)
	if resp.StatusCode != 200 {
		return nil, awsapi.Answer(resp.StatusCode, out.Str("__type"), out.Str("message"))
	}
	return out, nil
}

func authorization(key, region, service string) string {
	return fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20260101/%s/%s/aws4_request, SignedHeaders=host;x-amz-date, Signature=%s", key, region, service, strings.Repeat("0", 64))
}

// TestTaskDefinitionRefusals changes one thing about a good Fargate task definition at a time.
func TestTaskDefinitionRefusals(t *testing.T) {
	const good = `{"family":"web","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512","executionRoleArn":"arn:aws:iam::123456789012:role/x",
		"containerDefinitions":[{"name":"app","image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1","portMappings":[{"containerPort":80}],
			"environment":[{"name":"A","value":""}],"secrets":[{"name":"S","valueFrom":"arn:aws:ssm:eu-west-1:123456789012:parameter/s"}],
			"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g","awslogs-region":"eu-west-1","awslogs-stream-prefix":"p"}}}],
		"volumes":[{"name":"tmp"}],"tags":[{"key":"team","value":"a"}]}`
	container := `"name":"app"`
	tests := []struct{ name, old, new, want string }{
		{"family", `"family":"web"`, `"family":"we b"`, "Family contains invalid characters."},
		{"no containers", `"containerDefinitions":[`, `"containerDefinitions":[],"volumes":[`, ""},
		{"size", `"memory":"512"`, `"memory":"4096"`, "No Fargate configuration exists for given values: 256 CPU, 4096 memory. See the Amazon ECS documentation for the valid values."},
		{"odd size", `"cpu":"256"`, `"cpu":"300"`, "No Fargate configuration exists for given values: 300 CPU, 512 memory. See the Amazon ECS documentation for the valid values."},
		{"cpu in words", `"cpu":"256"`, `"cpu":"many"`, "Invalid 'cpu' setting for task."},
		{"no cpu", `"cpu":"256",`, ``, "Fargate requires that 'cpu' be defined at the task level."},
		{"no memory", `"memory":"512",`, ``, "Fargate requires that 'memory' be defined at the task level."},
		{"network mode", `"networkMode":"awsvpc"`, `"networkMode":"bridge"`, "Fargate only supports network mode ‘awsvpc’."},
		{"role for ECR", `"executionRoleArn":"arn:aws:iam::123456789012:role/x",`, ``, "Fargate requires task definition to have execution role ARN to support ECR images."},
		{"container name", container, `"name":"a b"`, "Container.name contains invalid characters."},
		{"no container name", container + `,`, ``, "Container.name should not be null or empty."},
		{"image", `/web:1"`, `/web:$(Build.BuildId)"`, "Container.image contains invalid characters."},
		{"image with a space", `/web:1"`, `/web: 1"`, "Container.image contains invalid characters."},
		{"empty image", `"image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1"`, `"image":""`, "Container.image should not be null or empty."},
		{"two of a name", `"containerDefinitions":[`, `"containerDefinitions":[{"name":"app","image":"x"},`, "Duplicate container name 'app': container names must be unique within a task definition."},
		{"eleven containers", `"containerDefinitions":[`, `"containerDefinitions":[` + strings.Repeat(`{"name":"c","image":"x"},`, 10), "Too many containers in task definition. The maximum is 10."},
		{"not essential", container, container + `,"essential":false`, "A TaskDefinition must have at least one essential container."},
		{"secret and variable", `"name":"A"`, `"name":"S"`, "The secret name must be unique and not shared with any new or existing environment variables set on the container, such as 'S'."},
		{"two secrets", `"secrets":[`, `"secrets":[{"name":"S","valueFrom":"x"},`, "Duplicate secret names found: S. Each secret name must be unique."},
		{"host port", `"containerPort":80`, `"containerPort":80,"hostPort":8080`, "When networkMode=awsvpc, the host ports and container ports in port mappings must match."},
		{"empty tags", `"tags":[{"key":"team","value":"a"}]`, `"tags":[]`, "Tags can not be empty."},
		{"aws tag", `"key":"team"`, `"key":"aws:cloudformation:stack-name"`, "Invalid tag: aws: prefixed tag keys and values are not allowed for external use."},
		{"unknown volume", container, container + `,"mountPoints":[{"sourceVolume":"data","containerPath":"/data"}]`, "Unknown volume 'data'."},
		{"depends on nobody", container, container + `,"dependsOn":[{"containerName":"db","condition":"START"}]`, "Container 'app' depends on unknown container 'db'."},
		{"memory of container", container, container + `,"memory":1024`, "Invalid setting for container 'app'. Container memory must not be greater than the memory of the task (512 MiB)."},
		{"soft above hard", container, container + `,"memory":64,"memoryReservation":128`, "Invalid setting for container 'app'. 'memory' must be greater than or equal to 'memoryReservation'."},
		{"cpu of containers", container, container + `,"cpu":512`, "The total number of cpu units of the containers (512) is greater than the cpu units of the task (256)."},
		{"health check interval", container, container + `,"healthCheck":{"command":["CMD","true"],"interval":1}`, "Invalid health check interval for container 'app': must be between 5 and 300."},
		{"privileged", container, container + `,"privileged":true`, "Fargate compatible task definitions do not support privileged containers."},
		{"log driver", `"logDriver":"awslogs"`, `"logDriver":"syslog"`, "Fargate does not support log driver 'syslog'. The supported log drivers are: awslogs, splunk, awsfirelens."},
		{"unknown log driver", `"logDriver":"awslogs"`, `"logDriver":"paper"`, ""},
		{"no stream prefix", `,"awslogs-stream-prefix":"p"`, ``, "Log driver awslogs requires options: awslogs-stream-prefix"},
		{"read-only member", `"family":"web"`, `"family":"web","revision":3`, `Unknown member "revision" of RegisterTaskDefinitionRequest at 'revision'`},
		{"64 KiB", `"value":""`, `"value":"` + strings.Repeat("x", 64<<10) + `"`, ""},
		{"memory nowhere", `"networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512",`, ``, "Invalid setting for container 'app'. At least one of 'memory' or 'memoryReservation' must be specified."},
		{"cpu of a task on EC2", `"requiresCompatibilities":["FARGATE"],"cpu":"256"`, `"cpu":"1"`, "Invalid 'cpu' setting for task."},
		{"role for secrets", `"networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512","executionRoleArn":"arn:aws:iam::123456789012:role/x"`, `"memory":"512"`, "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."},
	}
	flat := strings.NewReplacer("\n", "", "\t", "").Replace(good)
	inWorld(t, Options{}, func(w *world) {
		if _, err := w.send("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", flat); err != nil {
			t.Fatalf("the good one: %v", err)
		}
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				body := strings.Replace(flat, c.old, c.new, 1)
				if body == flat {
					t.Fatal("nothing was changed")
				}
				_, err := w.send("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", body)
				api, ok := err.(*awsapi.Error)
				if !ok {
					t.Fatalf("it was accepted: %v", err)
				}
				if c.want != "" && api.Message != c.want {
					t.Errorf("got  %s: %s\nwant %s", api.Code, api.Message, c.want)
				}
			})
		}
	})
}

// TestFargateSizes is the published table, and its edges.
func TestFargateSizes(t *testing.T) {
	for _, c := range []struct {
		cpu, memory string
		ok          bool
	}{
		{"256", "512", true}, {"256", "1536", false}, {"256", "2048", true}, {".25 vCPU", "0.5 GB", true}, {"0.5 vCPU", "1GB", true},
		{"512", "512", false}, {"512", "4096", true}, {"512", "5120", false}, {"1024", "8192", true}, {"2048", "16384", true}, {"4096", "30720", true},
		{"4096", "31744", false}, {"8192", "61440", true}, {"8192", "17408", false}, {"16384", "122880", true}, {"16384", "40960", true}, {"16384", "36864", false},
	} {
		if err := ecsroom.FargateSize(awsapi.Object{"cpu": c.cpu, "memory": c.memory}); (err == nil) != c.ok {
			t.Errorf("%s, %s: %v", c.cpu, c.memory, err)
		}
	}
}

// TestDefaults compares a small task definition as registered with what ECS makes of it.
func TestDefaults(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		must(w.send("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", `{"family":"web","networkMode":"awsvpc","cpu":"256","memory":"512","requiresCompatibilities":["FARGATE"],
			"containerDefinitions":[{"name":"app","image":"nginx","portMappings":[{"containerPort":80}],"healthCheck":{"command":["CMD","true"]}}],"volumes":[{"name":"v"}]}`))(w)
		out := must(w.send("AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition", `{"taskDefinition":"web"}`))(w)
		got := must(json.MarshalIndent(out, "", " "))(w)
		const want = `{
 "tags": [],
 "taskDefinition": {
  "compatibilities": [
   "EC2",
   "FARGATE"
  ],
  "containerDefinitions": [
   {
    "cpu": 0,
    "environment": [],
    "essential": true,
    "healthCheck": {
     "command": [
      "CMD",
      "true"
     ],
     "interval": 30,
     "retries": 3,
     "timeout": 5
    },
    "image": "nginx",
    "mountPoints": [],
    "name": "app",
    "portMappings": [
     {
      "containerPort": 80,
      "hostPort": 80,
      "protocol": "tcp"
     }
    ],
    "systemControls": [],
    "volumesFrom": []
   }
  ],
  "cpu": "256",
  "enableFaultInjection": false,
  "family": "web",
  "memory": "512",
  "networkMode": "awsvpc",
  "placementConstraints": [],
  "registeredAt": 946684800.000,
  "registeredBy": "arn:aws:iam::123456789012:user/emulator",
  "requiresAttributes": [
   {
    "name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"
   },
   {
    "name": "ecs.capability.container-health-check"
   },
   {
    "name": "ecs.capability.task-eni"
   }
  ],
  "requiresCompatibilities": [
   "FARGATE"
  ],
  "revision": 1,
  "status": "ACTIVE",
  "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1",
  "volumes": [
   {
    "host": {},
    "name": "v"
   }
  ]
 }
}`
		if string(got) != want {
			t.Errorf("got %s", got)
		}
	})
}

// TestFutureMembers shows that what the SDK's model does not know is refused, or, where the emulated service is newer, kept to the letter.
func TestFutureMembers(t *testing.T) {
	const body = `{"family":"web","warpDrive":{"factor":1.50},"containerDefinitions":[{"name":"app","image":"nginx","memory":64,"gpuSlices":[1e2,""]}]}`
	inWorld(t, Options{FutureMembers: []string{"warpDrive", "gpuSlices"}}, func(w *world) {
		must(w.send("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", body))(w)
		td := must(w.send("AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition", `{"taskDefinition":"web"}`))(w).Object("taskDefinition")
		if got := fmt.Sprint(td["warpDrive"], td.Objects("containerDefinitions")[0]["gpuSlices"]); got != "map[factor:1.50] [1e2 ]" {
			t.Error(got)
		}
	})
	inWorld(t, Options{}, func(w *world) {
		if _, err := w.send("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", body); err == nil {
			t.Error("unknown members were accepted")
		}
	})
}

func TestRevisionsAndTags(t *testing.T) {
	inDemo(t, func(w *world) {
		arn := w.register(nil)
		if !strings.HasSuffix(*arn, ":2") {
			t.Error(*arn)
		}
		must(w.ecs.TagResource(w.ctx, &ecs.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("other")}, {Key: aws.String("build"), Value: aws.String("7")}}}))(w)
		must(w.ecs.UntagResource(w.ctx, &ecs.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"managed-by"}}))(w)
		var got []string
		for _, tag := range must(w.ecs.ListTagsForResource(w.ctx, &ecs.ListTagsForResourceInput{ResourceArn: arn}))(w).Tags {
			got = append(got, *tag.Key+"="+*tag.Value)
		}
		if strings.Join(got, " ") != "team=other build=7" {
			t.Error(got)
		}
		must(w.ecs.DeregisterTaskDefinition(w.ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: arn}))(w)
		newest := must(w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(DemoFamily)}))(w)
		if newest.TaskDefinition.Revision != 1 || len(newest.Tags) != 0 {
			t.Errorf("the newest active revision is %d, tags %v", newest.TaskDefinition.Revision, newest.Tags)
		}
		_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService), TaskDefinition: arn})
		refused(t, err, "ClientException", "TaskDefinition is inactive")
		list := must(w.ecs.ListTaskDefinitions(w.ctx, &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String(DemoFamily), Sort: types.SortOrderDesc}))(w)
		if len(list.TaskDefinitionArns) != 1 {
			t.Error(list.TaskDefinitionArns)
		}
	})
}

// FuzzCheck feeds arbitrary JSON to the validator: it refuses or accepts, and what it accepts survives registration and description.
func FuzzCheck(f *testing.F) {
	f.Add(`{"family":"f","containerDefinitions":[{"name":"a","image":"b","memory":64}]}`)
	f.Add(`{"family":"f","containerDefinitions":[{"name":"a","image":"b","memory":6.4e1,"portMappings":[{"containerPort":null}]}],"volumes":[{"name":"x"},{}]}`)
	f.Add(`{"containerDefinitions":[null,[],{}],"tags":[{}]}`)
	svc := new(ecsroom.ECS).Service()
	f.Fuzz(func(t *testing.T, body string) {
		doc, err := awsapi.ParseObject([]byte(body))
		if err != nil {
			return
		}
		op := svc.Operations["RegisterTaskDefinition"]
		if svc.Rules.Check(op.Input, doc, nil) != nil || ecsroom.CheckTaskDefinition(doc) != nil {
			return
		}
		e, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := e.ecs.RegisterTaskDefinition(&awsapi.Invocation{In: doc, Now: time.Unix(0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		if err := (awsapi.Rules{}).Check(op.Output, out, nil); err != nil {
			t.Error(err)
		}
	})
}
