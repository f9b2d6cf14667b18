// A world to deploy into: what an infrastructure pipeline leaves behind, made through the API as that pipeline would.

package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// The names of what [Emulator.Demo] makes.
const (
	DemoCluster    = "product-dev-cluster"
	DemoService    = "chat-app-dev-ecs-svc"
	DemoFamily     = "chat-app-dev"
	DemoRepository = "chat-app"
	DemoLogGroup   = "/ecs/chat-app-dev"
	DemoAlarm      = scenario.AlarmName
)

// Demo makes cluster, repository, log group, task definition (on a placeholder image, behind a load balancer, with a sidecar) and service as
// the constants above name them, and waits until the service is steady. Its calls are not
// among [Emulator.Requests].
func (e *Emulator) Demo(ctx context.Context) error {
	role := func(name string) string { return "arn:aws:iam::" + e.Account() + ":role/" + name }
	target := "arn:aws:elasticloadbalancing:" + e.Region() + ":" + e.Account() + ":targetgroup/chat-app-dev/0123456789abcdef"
	logging := func(prefix string) awsapi.Object {
		return awsapi.Object{"logDriver": "awslogs", "options": awsapi.Object{"awslogs-group": DemoLogGroup, "awslogs-region": e.Region(), "awslogs-stream-prefix": prefix}}
	}
	steps := []resource{
		{"AmazonEC2ContainerServiceV20141113.CreateCluster", awsapi.Object{"clusterName": DemoCluster}},
		{"AmazonEC2ContainerRegistry_V20150921.CreateRepository", awsapi.Object{"repositoryName": DemoRepository, "imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": awsapi.Object{"scanOnPush": true}}},
		{"Logs_20140328.CreateLogGroup", awsapi.Object{"logGroupName": DemoLogGroup}},
		{"AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", awsapi.Object{
			"family": DemoFamily, "networkMode": "awsvpc", "requiresCompatibilities": []any{"FARGATE"}, "cpu": "512", "memory": "1024",
			"executionRoleArn": role("chat-app-dev-execution"), "taskRoleArn": role("chat-app-dev-task"),
			"runtimePlatform": awsapi.Object{"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
			"containerDefinitions": []any{
				awsapi.Object{
					"name": "chat-app", "image": "public.ecr.aws/nginx/nginx:1.29-alpine", "essential": true,
					"portMappings":     []any{awsapi.Object{"containerPort": 8080, "name": "http", "appProtocol": "http"}},
					"environment":      []any{awsapi.Object{"name": "LOG_LEVEL", "value": "info"}, awsapi.Object{"name": "FEATURE_FLAGS", "value": ""}},
					"secrets":          []any{awsapi.Object{"name": "DATABASE_URL", "valueFrom": "arn:aws:ssm:" + e.Region() + ":" + e.Account() + ":parameter/chat-app/dev/database-url"}},
					"healthCheck":      awsapi.Object{"command": []any{"CMD-SHELL", "wget -q -O /dev/null http://localhost:8080/health || exit 1"}, "startPeriod": 10},
					"logConfiguration": logging("chat-app"),
				},
				awsapi.Object{
					"name": "telemetry", "image": "public.ecr.aws/aws-observability/aws-otel-collector:v0.43.0", "essential": false,
					"memoryReservation": 64, "logConfiguration": logging("telemetry"),
				},
			},
			"tags": []any{awsapi.Object{"key": "team", "value": "chat"}, awsapi.Object{"key": "managed-by", "value": "cdk"}},
		}},
		{"AmazonEC2ContainerServiceV20141113.CreateService", awsapi.Object{
			"cluster": DemoCluster, "serviceName": DemoService, "taskDefinition": DemoFamily, "desiredCount": 2, "launchType": "FARGATE",
			"networkConfiguration":          awsapi.Object{"awsvpcConfiguration": awsapi.Object{"subnets": []any{"subnet-0a1b2c3d", "subnet-1b2c3d4e"}, "securityGroups": []any{"sg-0a1b2c3d"}, "assignPublicIp": "DISABLED"}},
			"loadBalancers":                 []any{awsapi.Object{"targetGroupArn": target, "containerName": "chat-app", "containerPort": 8080}},
			"healthCheckGracePeriodSeconds": 30,
			"deploymentConfiguration":       awsapi.Object{"minimumHealthyPercent": 100, "maximumPercent": 200, "deploymentCircuitBreaker": awsapi.Object{"enable": true, "rollback": true}},
			"enableECSManagedTags":          true, "propagateTags": "SERVICE",
		}},
	}
	if err := e.makeAll(ctx, steps); err != nil {
		return err
	}
	return e.settled(ctx, func(s awsapi.Object) bool { return s.Objects("deployments")[0].Str("rolloutState") == "COMPLETED" })
}

// resource is one call that makes something.
type resource struct {
	target string // of X-Amz-Target
	in     awsapi.Object
}

func (e *Emulator) makeAll(ctx context.Context, resources []resource) error {
	for _, r := range resources {
		if _, err := e.call(ctx, r.target, r.in); err != nil {
			return fmt.Errorf("demo: %s: %w", r.target, err)
		}
	}
	return nil
}

// settled waits until the demo service is as it should be, and forgets the calls made so far.
func (e *Emulator) settled(ctx context.Context, done func(service awsapi.Object) bool) error {
	for {
		s, err := e.demoService(ctx)
		if err != nil {
			return err
		}
		if done(s) {
			e.server.Forget()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(e.server.Scaled(time.Second)):
		}
	}
}

func (e *Emulator) demoService(ctx context.Context) (awsapi.Object, error) {
	out, err := e.call(ctx, "AmazonEC2ContainerServiceV20141113.DescribeServices", awsapi.Object{"cluster": DemoCluster, "services": []any{DemoService}})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return out.Objects("services")[0], nil
}

// DemoApplication and DemoDeploymentGroup are what [Emulator.CodeDeployDemo] makes, under the names that the console of ECS gives them.
const (
	DemoApplication     = "AppECS-" + DemoCluster + "-" + DemoService
	DemoDeploymentGroup = "DgpECS-" + DemoCluster + "-" + DemoService
)

// CodeDeployDemo is Demo with a service that CodeDeploy deploys to: its controller is CODE_DEPLOY, and there are an application and a deployment
// group for it, which rolls back when a deployment fails or is stopped and keeps the original tasks for a minute.
func (e *Emulator) CodeDeployDemo(ctx context.Context) error {
	if err := e.Demo(ctx); err != nil {
		return err
	}
	const ECS, codeDeploy = "AmazonEC2ContainerServiceV20141113.", "CodeDeploy_20141006."
	rolling, err := e.demoService(ctx)
	if err != nil {
		return err
	}
	if err := e.makeAll(ctx, []resource{{ECS + "DeleteService", awsapi.Object{"cluster": DemoCluster, "service": DemoService, "force": true}}}); err != nil {
		return err
	}
	if err := e.settled(ctx, func(s awsapi.Object) bool { return s.Str("status") == "INACTIVE" }); err != nil {
		return err
	}
	create := awsapi.Object{"cluster": DemoCluster, "serviceName": DemoService, "taskDefinition": DemoFamily, "desiredCount": 2, "deploymentController": awsapi.Object{"type": "CODE_DEPLOY"}}
	for _, m := range []string{"launchType", "networkConfiguration", "loadBalancers", "healthCheckGracePeriodSeconds", "enableECSManagedTags", "propagateTags"} {
		create.Put(m, rolling[m])
	}
	listener := e.server.ARN("elasticloadbalancing", "listener/app/chat-app-dev/50dc6c495c0c9188/")
	err = e.makeAll(ctx, []resource{
		{ECS + "CreateService", create},
		{codeDeploy + "CreateApplication", awsapi.Object{"applicationName": DemoApplication, "computePlatform": "ECS"}},
		{codeDeploy + "CreateDeploymentGroup", awsapi.Object{
			"applicationName": DemoApplication, "deploymentGroupName": DemoDeploymentGroup, "serviceRoleArn": "arn:aws:iam::" + e.Account() + ":role/ecsCodeDeployRole",
			"deploymentConfigName":      "CodeDeployDefault.ECSAllAtOnce",
			"deploymentStyle":           awsapi.Object{"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
			"autoRollbackConfiguration": awsapi.Object{"enabled": true, "events": []any{"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM"}},
			"alarmConfiguration":        awsapi.Object{"enabled": true, "alarms": []any{awsapi.Object{"name": DemoAlarm}}},
			"blueGreenDeploymentConfiguration": awsapi.Object{
				"terminateBlueInstancesOnDeploymentSuccess": awsapi.Object{"action": "TERMINATE", "terminationWaitTimeInMinutes": 1},
				"deploymentReadyOption":                     awsapi.Object{"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
			},
			"ecsServices": []any{awsapi.Object{"clusterName": DemoCluster, "serviceName": DemoService}},
			"loadBalancerInfo": awsapi.Object{"targetGroupPairInfoList": []any{awsapi.Object{
				"targetGroups":     []any{awsapi.Object{"name": "chat-app-dev"}, awsapi.Object{"name": "chat-app-dev-green"}},
				"prodTrafficRoute": awsapi.Object{"listenerArns": []any{listener + "f2f7dc8efc522ab2"}}, "testTrafficRoute": awsapi.Object{"listenerArns": []any{listener + "0467ef3c8400ae65"}},
			}}},
		}},
	})
	if err != nil {
		return err
	}
	return e.settled(ctx, func(s awsapi.Object) bool { return s.Objects("taskSets")[0].Str("stabilityStatus") == "STEADY_STATE" })
}

// call makes one API call to the emulator itself, signed in form.
func (e *Emulator) call(ctx context.Context, target string, in awsapi.Object) (awsapi.Object, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	prefix, _, _ := strings.Cut(target, ".")
	service := e.server.Services[prefix].Name
	now := time.Now().UTC()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+service+"."+e.Region()+".amazonaws.com/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKIAEMULATORDEMO0001/%s/%s/%s/aws4_request, SignedHeaders=host;x-amz-date, Signature=%s",
		now.Format("20060102"), e.Region(), service, strings.Repeat("0", 64)))
	resp, err := e.Transport().RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	out, err := awsapi.ParseObject(answer)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &awsapi.Error{Status: resp.StatusCode, Code: out.Str("__type"), Message: out.Str("message")}
	}
	return out, nil
}

// ExpressDemo is Demo with an Express service.
func (e *Emulator) ExpressDemo(ctx context.Context) error {
	if err := e.Demo(ctx); err != nil {
		return err
	}
	return e.MakeExpress(DemoCluster, DemoService, Express{NoTaskDefinition: true})
}
