//go:build linux

package main

// What a step of many services needs of the agent: the process itself against an
// emulator behind a port, on the clock.

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator"
)

var several = flag.Bool("several", false, "measure the memory of steps with many services, for docs/several.md")

// TestSeveralServices measures how much memory a step takes with 1, 10 and 50 services.
func TestSeveralServices(t *testing.T) {
	if !*several {
		t.Skip("takes five minutes of the clock: -several")
	}
	for _, n := range []int{1, 10, 50} {
		e, err := emulator.New(emulator.Options{Region: region})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(e)
		client := ecs.NewFromConfig(aws.Config{
			Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""), HTTPClient: &http.Client{Transport: e.Transport()},
		})
		if _, err := client.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String(cluster)}); err != nil {
			t.Fatal(err)
		}
		define := func(tag string) {
			if _, err := client.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
				Family: aws.String("chat-app"), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"), RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
				ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("public.ecr.aws/nginx/nginx:" + tag), Essential: aws.Bool(true)}},
			}); err != nil {
				t.Fatal(err)
			}
		}
		define("1.28")
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("service-%02d", i))
			if _, err := client.CreateService(t.Context(), &ecs.CreateServiceInput{
				Cluster: aws.String(cluster), ServiceName: &names[i], DesiredCount: aws.Int32(2), TaskDefinition: aws.String("chat-app"), LaunchType: types.LaunchTypeFargate,
				NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
			}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute) // until the services are stable
		define("1.29")
		before := len(e.Requests())
		cmd, stdout, _ := process(t, "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESSKEYID=AKIAIOSFODNN7EXAMPLE", "SECRET_AWS_SECRETACCESSKEY=secret",
			"INPUT_COMMAND=rollout", "INPUT_TASKDEFINITION=chat-app:2", "INPUT_CLUSTER="+cluster, "INPUT_SERVICES="+strings.Join(names, "\n"), "INPUT_REPOSITORY=", "INPUT_IMAGE=")
		begin := time.Now()
		err = cmd.Run()
		took := time.Since(begin)
		if !strings.Contains(stdout.String(), "task.complete result=Succeeded") {
			t.Fatalf("%v\n%s", err, stdout)
		}
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		t.Logf("%d services: %d calls, %d MB at most, %s of processor time, %s", n, len(e.Requests())-before, usage.Maxrss/1024,
			(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(10*time.Millisecond), took.Round(time.Second))
		server.Close()
		e.Close()
	}
}
