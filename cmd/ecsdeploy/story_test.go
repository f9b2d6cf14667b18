package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/examples"
	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/emulator"
)

// story is three pipelines of one product that run one after the other.
type story struct {
	*testing.T
	*world
	task           string // the folder of the task, with the placeholder image
	infrastructure *examples.Infrastructure
}

// TestThreePipelines plays the way of working that this task exists for:
// infrastructure comes first, on a placeholder; the application follows with
// its builds; and from then on neither undoes what the other did.
func TestThreePipelines(t *testing.T) {
	clearAWS(t)
	task := t.TempDir()
	build := exec.Command("go", "run", "../../pkg/placeholder/build", filepath.Join(task, "placeholder.tar"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the placeholder image: %v\n%s", err, out)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t, task)

		t.Log("pipeline 1 runs once; when it runs again, nothing changes")
		first := s.run("command: placeholder\nrepository: chat-app\ncreateRepository: true")
		again := s.run("command: placeholder\nrepository: chat-app\ncreateRepository: true")
		if first["imageDigest"] == "" || first["imageDigest"] != again["imageDigest"] || first["imageUri"] != again["imageUri"] {
			t.Errorf("the second run gave %v, the first %v", again, first)
		}
		if n := s.called("PutManifest"); n != 3 { // two platforms and their index, once
			t.Errorf("%d manifests were pushed, want 3", n)
		}

		t.Log("pipeline 2 asks which image runs: none yet, so it deploys on the placeholder")
		s.deployInfrastructure()
		s.expect(first["imageUri"], "256", "app")

		t.Log("pipeline 3 deploys the first build")
		s.deployApplication("17")
		s.expect(s.uri("17"), "256", "app")

		t.Log("infrastructure grows: more cpu and a sidecar; the application's image stays")
		s.infrastructure.TaskDefinition.Cpu, s.infrastructure.TaskDefinition.Memory = aws.String("512"), aws.String("1024")
		s.infrastructure.TaskDefinition.ContainerDefinitions = append(s.infrastructure.TaskDefinition.ContainerDefinitions, types.ContainerDefinition{
			Name: aws.String("metrics"), Image: aws.String("public.ecr.aws/cloudwatch-agent/cloudwatch-agent:1"), Essential: aws.Bool(false),
		})
		s.deployInfrastructure()
		s.expect(s.uri("17"), "512", "app", "metrics")

		t.Log("the next build rolls out on top of both")
		s.deployApplication("18")
		s.expect(s.uri("18"), "512", "app", "metrics")

		t.Log("somebody deploys infrastructure without asking: the placeholder is back")
		s.infrastructure.SetImage(first["imageUri"])
		s.infrastructure.TaskDefinition.Memory = aws.String("2048")
		s.update()
		s.expect(first["imageUri"], "512", "app", "metrics")

		t.Log("a rollout of the current image says so, and heals it on the newest infrastructure")
		healed := s.run("command: rollout\nimage: current\nrepository: chat-app\ncluster: product-dev-cluster\nservices: chat-app-dev-ecs-svc")
		if !strings.Contains(healed["log"], "infrastructure moved the service to") {
			t.Errorf("the drift is not told:\n%s", healed["log"])
		}
		s.expect(s.uri("18"), "512", "app", "metrics")
		if memory := aws.ToString(s.running().Memory); memory != "2048" {
			t.Errorf("memory is %s: what infrastructure changed was lost", memory)
		}

		t.Log("and the new revision is still of the build that made the image")
		told := s.run("command: currentImage\nrepository: chat-app\ncluster: product-dev-cluster\nservices: chat-app-dev-ecs-svc")
		details, err := os.ReadFile(filepath.Join(told["temp"], "ecs-deploy", "images.json"))
		if err != nil || !strings.Contains(string(details), `"buildId": "18"`) {
			t.Errorf("images.json does not say that build 18 runs: %s, %v", details, err)
		}
	})
}

func newStory(t *testing.T, task string) *story {
	t.Helper()
	e, err := emulator.New(emulator.Options{Region: region})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	w := &world{Emulator: e, directory: t.TempDir(), config: aws.Config{
		Region:      region,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "infrastructure", ""),
		HTTPClient:  &http.Client{Transport: e.Transport()},
	}}
	w.ecs = ecs.NewFromConfig(w.config)
	infrastructure, err := examples.New(e.Account(), region)
	if err != nil {
		t.Fatal(err)
	}
	return &story{t, w, task, infrastructure}
}

// run runs the task and returns its outputs, and its log as "log".
func (s *story) run(inputs string) map[string]string {
	s.Helper()
	temp := s.TempDir()
	environ := append(environment(s.T, s.world, temp, inputs), taskFolder+"="+s.task)
	var log bytes.Buffer
	if code := run(s.Context(), environ, &log, s.Transport()); code != 0 || !strings.Contains(log.String(), "result=Succeeded]") {
		s.Fatalf("exit code %d:\n%s", code, log.String())
	}
	outputs := map[string]string{"log": log.String(), "temp": temp}
	for _, m := range regexp.MustCompile(`task\.setvariable variable=(\w+);isoutput=true\](.*)`).FindAllStringSubmatch(log.String(), -1) {
		outputs[m[1]] = m[2]
	}
	return outputs
}

// deployInfrastructure is pipeline 2: what runs is handed to the CDK app.
func (s *story) deployInfrastructure() {
	s.Helper()
	outputs := s.run("command: currentImage\nrepository: chat-app\ncluster: product-dev-cluster\nservices: chat-app-dev-ecs-svc")
	data, err := os.ReadFile(filepath.Join(outputs["temp"], "ecs-deploy", "cdk.context.json"))
	if err != nil {
		s.Fatal(err)
	}
	var context map[string]string
	if err := json.Unmarshal(data, &context); err != nil || context["image"] != outputs["imageUri"] {
		s.Fatalf("the context is %s, the output %s: %v", data, outputs["imageUri"], err)
	}
	s.infrastructure.SetImage(context["image"])
	s.update()
}

// update deploys the infrastructure and waits until the service has settled.
func (s *story) update() {
	s.Helper()
	s.logGroups()
	if _, err := s.infrastructure.Deploy(s.Context(), s.ecs); err != nil {
		s.Fatal(err)
	}
	time.Sleep(10 * time.Minute)
}

// logGroups creates the log groups that the stack creates.
func (s *story) logGroups() {
	logs := cloudwatchlogs.NewFromConfig(s.config)
	for _, c := range s.infrastructure.TaskDefinition.ContainerDefinitions {
		if c.LogConfiguration != nil {
			// It is there already from the second time on.
			_, _ = logs.CreateLogGroup(s.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(c.LogConfiguration.Options["awslogs-group"])})
		}
	}
}

// deployApplication is pipeline 3.
func (s *story) deployApplication(build string) {
	s.Helper()
	s.save(s.T, "app.tar", build, "amd64")
	outputs := s.run("command: deploy\nimage: app.tar\nrepository: chat-app\ntags: " + build + "\ncluster: product-dev-cluster\nservices: chat-app-dev-ecs-svc")
	if outputs["outcome"] != "succeeded" || outputs["imageUri"] != s.uri(build) {
		s.Fatalf("build %s: outcome %s, image %s", build, outputs["outcome"], outputs["imageUri"])
	}
	time.Sleep(10 * time.Minute)
}

func (s *story) uri(tag string) string {
	s.Helper()
	repository, err := ecr.New(s.config, ecr.Options{}).Repository(s.Context(), "chat-app")
	if err != nil {
		s.Fatal(err)
	}
	return repository.URI + ":" + tag
}

// running is the revision that the service runs.
func (s *story) running() *types.TaskDefinition {
	s.Helper()
	services, err := s.ecs.DescribeServices(s.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}})
	if err != nil {
		s.Fatal(err)
	}
	described, err := s.ecs.DescribeTaskDefinition(s.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: services.Services[0].TaskDefinition})
	if err != nil {
		s.Fatal(err)
	}
	return described.TaskDefinition
}

// expect says what the service must run: the application's image, the cpu of
// the task, and its containers.
func (s *story) expect(image, cpu string, containers ...string) {
	s.Helper()
	d := s.running()
	var names []string
	for _, c := range d.ContainerDefinitions {
		names = append(names, aws.ToString(c.Name))
		if aws.ToString(c.Name) == "app" && aws.ToString(c.Image) != image {
			s.Errorf("the service runs %s, want %s", aws.ToString(c.Image), image)
		}
	}
	if slices.Sort(names); aws.ToString(d.Cpu) != cpu || !slices.Equal(names, containers) {
		s.Errorf("the service runs %v with cpu %s, want %v with %s", names, aws.ToString(d.Cpu), containers, cpu)
	}
}

// called says how often an operation was called.
func (s *story) called(operation string) int {
	n := 0
	for _, r := range s.Requests() {
		if r.Operation == operation && r.Status < 300 {
			n++
		}
	}
	return n
}
