package examples_test

import (
	"net/http"
	"os"
	"os/exec"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/examples"
	"ecsdeploy/pkg/emulator"
)

const (
	account = "123456789012"
	region  = "eu-west-1"
	image   = account + ".dkr.ecr." + region + ".amazonaws.com/chat-app:"
)

func TestTemplate(t *testing.T) {
	i, err := examples.New(account, region)
	if err != nil {
		t.Fatal(err)
	}
	if len(i.TaskDefinition.ContainerDefinitions) != 1 {
		t.Fatalf("containers: %+v", i.TaskDefinition.ContainerDefinitions)
	}
	app := i.TaskDefinition.ContainerDefinitions[0]
	for _, test := range []struct{ what, got, want string }{
		{"cluster", aws.ToString(i.Cluster.ClusterName), "product-dev-cluster"},
		{"family", aws.ToString(i.TaskDefinition.Family), "chat-app-dev"},
		{"image", aws.ToString(app.Image), image + "placeholder"},
		{"log group", app.LogConfiguration.Options["awslogs-group"], "/ecs/chat-app-dev"},
		{"execution role", aws.ToString(i.TaskDefinition.ExecutionRoleArn), "arn:aws:iam::123456789012:role/chat-app-dev-execution"},
		{"launch type", string(i.Service.LaunchType), "FARGATE"},
		{"cluster of the service", aws.ToString(i.Service.Cluster), "product-dev-cluster"},
		{"service", aws.ToString(i.Service.ServiceName), "chat-app-dev-ecs-svc"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %q, want %q", test.what, test.got, test.want)
		}
	}
	if b := i.Service.DeploymentConfiguration.DeploymentCircuitBreaker; b == nil || !b.Enable || !b.Rollback {
		t.Errorf("circuit breaker: %+v", b)
	}
}

// ECS, as the emulator plays it, takes what the template says; and what goes
// wrong without "command: currentImage" goes wrong here, too.
func TestDeploy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := emulator.New(emulator.Options{Region: region})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		api := ecs.New(ecs.Options{
			Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "infrastructure", ""),
			HTTPClient: &http.Client{Transport: e.Transport()},
		})
		i, err := examples.New(account, region)
		if err != nil {
			t.Fatal(err)
		}
		deploy := func(want string) {
			t.Helper()
			if _, err := i.Deploy(t.Context(), api); err != nil {
				t.Fatal(err)
			}
			services, err := api.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: i.Service.Cluster, Services: []string{*i.Service.ServiceName}})
			if err != nil || len(services.Services) != 1 {
				t.Fatalf("services: %+v, %v", services, err)
			}
			definition, err := api.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: services.Services[0].TaskDefinition})
			if err != nil {
				t.Fatal(err)
			}
			if got := aws.ToString(definition.TaskDefinition.ContainerDefinitions[0].Image); got != want {
				t.Errorf("the service is on %s, want %s", got, want)
			}
		}
		deploy(image + "placeholder")
		deploy(image + "placeholder")

		// The application's pipeline.
		application := i.TaskDefinition
		application.ContainerDefinitions = append([]types.ContainerDefinition(nil), i.TaskDefinition.ContainerDefinitions...)
		application.ContainerDefinitions[0].Image = aws.String(image + "17")
		registered, err := api.RegisterTaskDefinition(t.Context(), &application)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := api.UpdateService(t.Context(), &ecs.UpdateServiceInput{
			Cluster: i.Service.Cluster, Service: i.Service.ServiceName, TaskDefinition: registered.TaskDefinition.TaskDefinitionArn,
		}); err != nil {
			t.Fatal(err)
		}

		deploy(image + "17") // the template did not change: nothing happens
		i.TaskDefinition.Memory = aws.String("1024")
		deploy(image + "placeholder") // it did: the placeholder is back
		i.SetImage(image + "17")
		deploy(image + "17")
	})
}

// The template that these tests read is the one that the CDK app makes.
func TestSynth(t *testing.T) {
	modules := os.Getenv("ECSDEPLOY_TEST_CDK")
	if modules == "" {
		t.Skip("ECSDEPLOY_TEST_CDK names no node_modules folder with the packages of examples/infrastructure")
	}
	cmd := exec.Command("node", "--test")
	cmd.Dir = "infrastructure"
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("node --test: %v\n%s", err, out)
	}
}
