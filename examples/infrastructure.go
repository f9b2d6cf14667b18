// Package examples lets tests create on ECS what the example's AWS CDK app
// describes: it reads the template that the app synthesised and that is kept
// in infrastructure/testdata, and does with it what AWS CloudFormation would.
//
// It knows the resources and functions that this template uses, of all services
// but ECS only the names, and no others: it is no CloudFormation. Programs do
// not use it.
package examples

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// Template is what the CDK app makes for the stage dev, without an image given.
//
//go:embed infrastructure/testdata/template.json
var Template []byte

// Infrastructure is the cluster, the task definition and the service of the
// example, as requests to ECS. A change to the infrastructure is a change to
// TaskDefinition and another Deploy.
type Infrastructure struct {
	Cluster        ecs.CreateClusterInput
	TaskDefinition ecs.RegisterTaskDefinitionInput
	Service        ecs.CreateServiceInput // its TaskDefinition is the family; Deploy sets the revision

	deployed []byte // the task definition of the last Deploy
}

// New reads [Template] for an account and region.
func New(account, region string) (*Infrastructure, error) {
	t, err := parseTemplate(Template, account, region)
	if err != nil {
		return nil, err
	}
	var i Infrastructure
	for _, part := range []struct {
		typ  string
		into any
	}{
		{"AWS::ECS::Cluster", &i.Cluster}, {"AWS::ECS::TaskDefinition", &i.TaskDefinition}, {"AWS::ECS::Service", &i.Service},
	} {
		if err := t.decode(part.typ, part.into); err != nil {
			return nil, err
		}
	}
	return &i, nil
}

// SetImage gives the container app its image, as "cdk deploy -c image=…" does.
func (i *Infrastructure) SetImage(image string) {
	for n := range i.TaskDefinition.ContainerDefinitions {
		if c := &i.TaskDefinition.ContainerDefinitions[n]; aws.ToString(c.Name) == "app" {
			c.Image = aws.String(image)
		}
	}
}

// ECS is what Deploy calls.
type ECS interface {
	CreateCluster(context.Context, *ecs.CreateClusterInput, ...func(*ecs.Options)) (*ecs.CreateClusterOutput, error)
	RegisterTaskDefinition(context.Context, *ecs.RegisterTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.RegisterTaskDefinitionOutput, error)
	CreateService(context.Context, *ecs.CreateServiceInput, ...func(*ecs.Options)) (*ecs.CreateServiceOutput, error)
	UpdateService(context.Context, *ecs.UpdateServiceInput, ...func(*ecs.Options)) (*ecs.UpdateServiceOutput, error)
}

// Deploy creates the stack or updates it. As CloudFormation does, it compares
// the template with the template of the last time, not with what ECS has: where
// the task definition is the same, nothing happens; where it is not, a revision
// is registered and the service moved to it, whatever ran there. It returns
// the revision's ARN, empty where nothing happened, and does not wait.
func (i *Infrastructure) Deploy(ctx context.Context, api ECS) (revision string, err error) {
	definition, err := json.Marshal(i.TaskDefinition)
	if err != nil {
		return "", err
	}
	if bytes.Equal(definition, i.deployed) {
		return "", nil
	}
	if i.deployed == nil {
		if _, err := api.CreateCluster(ctx, &i.Cluster); err != nil {
			return "", fmt.Errorf("create the cluster: %w", err)
		}
	}
	registered, err := api.RegisterTaskDefinition(ctx, &i.TaskDefinition)
	if err != nil {
		return "", fmt.Errorf("register the task definition: %w", err)
	}
	revision = aws.ToString(registered.TaskDefinition.TaskDefinitionArn)
	if i.deployed == nil {
		service := i.Service
		service.TaskDefinition = aws.String(revision)
		_, err = api.CreateService(ctx, &service)
	} else {
		_, err = api.UpdateService(ctx, &ecs.UpdateServiceInput{
			Cluster: i.Service.Cluster, Service: i.Service.ServiceName,
			TaskDefinition: aws.String(revision), DesiredCount: i.Service.DesiredCount,
		})
	}
	if err != nil {
		return "", fmt.Errorf("create or update the service: %w", err)
	}
	i.deployed = definition
	return revision, nil
}
