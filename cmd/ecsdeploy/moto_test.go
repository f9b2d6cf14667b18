package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestMoto has an independent stand-in for AWS witness what a rollout
// registers: the new revision is the old one but for the image. moto plays no
// deployments, so the rollout is not waited for.
func TestMoto(t *testing.T) {
	server, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]'): no independent witness of what is registered")
	}
	clearAWS(t)
	address := serveMoto(t, server)
	t.Setenv("AWS_ENDPOINT_URL", "http://"+address)

	ctx := t.Context()
	api := ecs.NewFromConfig(aws.Config{
		Region:       region,
		BaseEndpoint: aws.String("http://" + address),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "infrastructure", ""),
	})
	if _, err := api.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(cluster)}); err != nil {
		t.Fatal(err)
	}
	before, err := api.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("chat-app"), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		RuntimePlatform:         &types.RuntimePlatform{CpuArchitecture: types.CPUArchitectureX8664, OperatingSystemFamily: types.OSFamilyLinux},
		Volumes:                 []types.Volume{{Name: aws.String("scratch")}},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String("public.ecr.aws/nginx/nginx:1.27"), Essential: aws.Bool(true), Cpu: 128,
			PortMappings:     []types.PortMapping{{ContainerPort: aws.Int32(8080), Protocol: types.TransportProtocolTcp}},
			Environment:      []types.KeyValuePair{{Name: aws.String("EMPTY"), Value: aws.String("")}, {Name: aws.String("LOG_LEVEL"), Value: aws.String("info")}},
			MountPoints:      []types.MountPoint{{SourceVolume: aws.String("scratch"), ContainerPath: aws.String("/tmp")}},
			HealthCheck:      &types.HealthCheck{Command: []string{"CMD-SHELL", "true"}},
			DockerLabels:     map[string]string{"empty": ""},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverSplunk, Options: map[string]string{"tag": ""}},
		}, {
			Name: aws.String("sidecar"), Image: aws.String("public.ecr.aws/docker/library/busybox:1"), Essential: aws.Bool(false),
		}},
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("chat")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: aws.String(service), DesiredCount: aws.Int32(1), TaskDefinition: before.TaskDefinition.TaskDefinitionArn,
	}); err != nil {
		t.Fatal(err)
	}

	const image = "127.0.0.1:9/nginx:1.28" // a registry that does not answer: said, and let through
	environ := []string{
		"BUILD_BUILDID=17", "AWS_ACCESSKEYID=AKIAIOSFODNN7EXAMPLE", "SECRET_AWS_SECRETACCESSKEY=wJalrXUtnFEMI", "AGENT_TEMPDIRECTORY=" + t.TempDir(),
		"INPUT_COMMAND=rollout", "INPUT_REGION=" + region, "INPUT_IMAGE=" + image, "INPUT_CONTAINER=app",
		"INPUT_CLUSTER=" + cluster, "INPUT_SERVICES=" + service, "INPUT_WAIT=false",
		"INPUT_WHENBUSY=supersede", // moto's deployments never end
	}
	var log bytes.Buffer
	if code := run(ctx, environ, &log, nil); code != 0 || !strings.Contains(log.String(), "result=Succeeded") {
		t.Fatalf("exit code %d:\n%s", code, log.String())
	}
	services, err := api.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}})
	if err != nil {
		t.Fatal(err)
	}
	after, err := api.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: services.Services[0].TaskDefinition, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	if err != nil {
		t.Fatal(err)
	}
	if after.TaskDefinition.Revision != 2 {
		t.Errorf("the service is set to revision %d, want 2", after.TaskDefinition.Revision)
	}
	want, got := comparable(t, before.TaskDefinition), comparable(t, after.TaskDefinition)
	want["ContainerDefinitions"].([]any)[0].(map[string]any)["Image"] = image
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the new revision differs in more than the image:\ngot  %v\nwant %v", got, want)
	}
	tags := map[string]string{}
	for _, tag := range after.Tags {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if tags["team"] != "chat" || tags["ecs-deploy:build-id"] != "17" || tags["ecs-deploy:tag"] != "1.28" || tags["ecs-deploy:base"] != "chat-app:1" {
		t.Errorf("tags %v, want those of the base and where the revision comes from", tags)
	}
}

// comparable is a revision without what differs between any two.
func comparable(t *testing.T, d *types.TaskDefinition) map[string]any {
	t.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"TaskDefinitionArn", "Revision", "RegisteredAt", "RegisteredBy"} {
		delete(m, key)
	}
	return m
}

// serveMoto starts the server on a free port and waits until it answers.
func serveMoto(t *testing.T, server string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	host, port, _ := net.SplitHostPort(address)
	listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, server, "-H", host, "-p", port)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		command.Wait()
	})
	for tick := time.Tick(100 * time.Millisecond); ; <-tick {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
			return address
		}
		if ctx.Err() != nil {
			t.Fatalf("moto_server does not answer: %v", err)
		}
	}
}
