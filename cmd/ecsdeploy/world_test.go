package main

// The small AWS account that the transcripts play in: a cluster, a service on
// a placeholder image, and a repository, made through the same API that people use.

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	gcrtypes "github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/scenario"
)

const (
	region  = "eu-west-1"
	cluster = "product-dev-cluster"
	service = "chat-app-dev-ecs-svc"
)

type world struct {
	*emulator.Emulator
	config     aws.Config
	ecs        *ecs.Client
	codeDeploy *codedeploy.Client // nil where ECS itself deploys the service
	hook       string             // at which the run before has paused
	hooks      []string           // of the AppSpec by which people deploy there
	repository ecr.Repository
	fates      []scenario.Fate // of one-off tasks
	scenario   emulator.Scenario
	directory  string   // where pipelines keep their files
	variables  []string // NAME=value: what the agent gives every run besides

	signingRules []ecrtypes.SigningRule // of the registry
}

// newWorld makes the account. Call it within the synctest bubble that uses it.
func newWorld(t *testing.T) *world {
	t.Helper()
	e, err := emulator.New(emulator.Options{Region: region})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	w := &world{Emulator: e, directory: t.TempDir()}
	w.config = aws.Config{
		Region:      region,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "infrastructure", ""),
		HTTPClient:  &http.Client{Transport: e.Transport()},
	}
	w.ecs = ecs.NewFromConfig(w.config)
	ctx := t.Context()

	if _, err := awsecr.NewFromConfig(w.config).CreateRepository(ctx, &awsecr.CreateRepositoryInput{
		RepositoryName: aws.String("chat-app"), ImageTagMutability: ecrtypes.ImageTagMutabilityImmutable,
	}); err != nil {
		t.Fatal(err)
	}
	if w.repository, err = ecr.New(w.config, ecr.Options{}).Repository(ctx, "chat-app"); err != nil {
		t.Fatal(err)
	}
	w.push(t, "placeholder", "amd64")

	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(cluster)}); err != nil {
		t.Fatal(err)
	}
	logging := &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
		"awslogs-group": "/ecs/chat-app", "awslogs-region": region, "awslogs-stream-prefix": "app", "awslogs-create-group": "true",
	}}
	_, err = w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("chat-app"), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ExecutionRoleArn:        aws.String("arn:aws:iam::123456789012:role/chat-app-execution"),
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String(w.repository.URI + ":placeholder"), Essential: aws.Bool(true),
			PortMappings:     []types.PortMapping{{ContainerPort: aws.Int32(8080)}},
			Environment:      []types.KeyValuePair{{Name: aws.String("LOG_LEVEL"), Value: aws.String("info")}, {Name: aws.String("EMPTY"), Value: aws.String("")}},
			LogConfiguration: logging,
		}, {
			Name: aws.String("metrics"), Image: aws.String("public.ecr.aws/cloudwatch-agent/cloudwatch-agent:1"), Essential: aws.Bool(false),
		}},
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("chat")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.addService(t, service)
	return w
}

// addService creates a service on the newest revision of the family.
func (w *world) addService(t *testing.T, name string) {
	t.Helper()
	if _, err := w.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: aws.String(name), DesiredCount: aws.Int32(2),
		TaskDefinition: aws.String("chat-app"), LaunchType: types.LaunchTypeFargate,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
	}); err != nil {
		t.Fatal(err)
	}
}

// application is an image whose content depends on nothing but its arguments.
func application(t *testing.T, build, architecture string) v1.Image {
	t.Helper()
	layer := static.NewLayer(layerOf(t, "app", "build "+build+"\n"), gcrtypes.DockerUncompressedLayer)
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, gcrtypes.DockerManifestSchema2), layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

// push brings an image of the given build into ECR, as another pipeline would.
func (w *world) push(t *testing.T, tag, architecture string) {
	t.Helper()
	w.pushAs(t, tag, tag, architecture)
}

// pushAs is push under a tag that does not name the build.
func (w *world) pushAs(t *testing.T, tag, build, architecture string) {
	t.Helper()
	reference, err := name.ParseReference(w.repository.URI+":"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	authorization := ecr.New(w.config, ecr.Options{}).Authenticator(t.Context(), w.repository)
	if err := remote.Write(reference, application(t, build, architecture), remote.WithAuth(authorization), remote.WithTransport(w.Transport())); err != nil {
		t.Fatalf("push %s: %v", tag, err)
	}
}

// save writes what "docker save" would for the image of a build.
func (w *world) save(t *testing.T, file, build, architecture string) {
	t.Helper()
	tag, err := name.NewTag("chat-app:" + build)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := tarball.Write(tag, application(t, build, architecture), &archive); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.directory, file), archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// update moves the service to an image by hand, with ECS's own tools.
func (w *world) update(t *testing.T, tag string) {
	t.Helper()
	described, err := w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("chat-app")})
	if err != nil {
		t.Fatal(err)
	}
	d := described.TaskDefinition
	d.ContainerDefinitions[0].Image = aws.String(w.repository.URI + ":" + tag)
	registered, err := w.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: d.Family, NetworkMode: d.NetworkMode, Cpu: d.Cpu, Memory: d.Memory, RequiresCompatibilities: d.RequiresCompatibilities,
		ExecutionRoleArn: d.ExecutionRoleArn, ContainerDefinitions: d.ContainerDefinitions,
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.codeDeploy != nil {
		w.ship(t, aws.ToString(registered.TaskDefinition.TaskDefinitionArn))
		return
	}
	if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{
		Cluster: aws.String(cluster), Service: aws.String(service), TaskDefinition: registered.TaskDefinition.TaskDefinitionArn,
	}); err != nil {
		t.Fatal(err)
	}
}
