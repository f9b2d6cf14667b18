package rollout

// The AppSpec: the document that tells CodeDeploy which revision a service is
// to run, and how. It is made from the service as it runs, so that a deployment
// changes the revision and nothing else. All of it is pure.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"go.yaml.in/yaml/v3"

	"ecsdeploy/pkg/mistake"
)

// ecsService is the type of the one resource of an AppSpec for Amazon ECS.
const ecsService = "AWS::ECS::Service"

// appSpecVersion is the only version there is, spelt as CodeDeploy wants it.
var appSpecVersion = json.RawMessage("0.0")

// appSpec is an AppSpec as it is written here. Where one is read, the case of
// its members' names does not matter, for people write it differently.
//
// https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure.html
type appSpec struct {
	Version   json.RawMessage              `json:"version"`
	Resources []map[string]appSpecResource `json:"Resources"`
	Hooks     []map[string]string          `json:"Hooks,omitempty"` // lifecycle event → Lambda function
}

type appSpecResource struct {
	Type       string
	Properties appSpecProperties
}

type appSpecProperties struct {
	TaskDefinition           string
	LoadBalancerInfo         appSpecBalancer
	PlatformVersion          string            `json:",omitempty"`
	NetworkConfiguration     *appSpecNetwork   `json:",omitempty"`
	CapacityProviderStrategy []appSpecProvider `json:",omitempty"`
}

type appSpecBalancer struct {
	ContainerName string
	ContainerPort int32
}

type appSpecNetwork struct {
	AwsvpcConfiguration struct {
		Subnets        []string
		SecurityGroups []string
		AssignPublicIp types.AssignPublicIp
	}
}

type appSpecProvider struct {
	CapacityProvider string
	Base             int32
	Weight           int32
}

// AppSpec returns the AppSpec, as JSON, that moves the service s to a task
// definition revision and leaves everything else as it runs. The hooks are
// those of previous, the AppSpec of the deployment before (JSON or YAML); it
// may be empty. A service without the one load balancer that CodeDeploy needs
// is a mistake.
//
// https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html#reference-appspec-file-structure-resources-ecs
func AppSpec(s types.Service, taskDefinition string, previous []byte) ([]byte, error) {
	before, err := parseAppSpec(previous)
	if err != nil {
		return nil, fmt.Errorf("take over the hooks of the last deployment of service %s: %w", aws.ToString(s.ServiceName), err)
	}
	running := runningSet(s)
	balancer, err := balancerOf(s, running)
	if err != nil {
		return nil, err
	}
	properties := appSpecProperties{
		TaskDefinition:   taskDefinition,
		LoadBalancerInfo: balancer,
		// Left out it would become LATEST, whatever the service has.
		PlatformVersion:      aws.ToString(s.PlatformVersion),
		NetworkConfiguration: networkOf(running.NetworkConfiguration),
	}
	if properties.PlatformVersion == "" {
		properties.PlatformVersion = aws.ToString(running.PlatformVersion)
	}
	for _, p := range running.CapacityProviderStrategy {
		properties.CapacityProviderStrategy = append(properties.CapacityProviderStrategy,
			appSpecProvider{aws.ToString(p.CapacityProvider), p.Base, p.Weight})
	}
	return json.Marshal(appSpec{
		Version:   appSpecVersion,
		Resources: []map[string]appSpecResource{{"TargetService": {ecsService, properties}}},
		Hooks:     before.Hooks,
	})
}

// runningSet returns the task set that serves the traffic. What it does not say
// is as the service says, which keeps what it was created with.
func runningSet(s types.Service) types.TaskSet {
	var running types.TaskSet
	for _, set := range s.TaskSets {
		if aws.ToString(set.Status) == "PRIMARY" {
			running = set
		}
	}
	if len(running.LoadBalancers) == 0 {
		running.LoadBalancers = s.LoadBalancers
	}
	if running.NetworkConfiguration == nil {
		running.NetworkConfiguration = s.NetworkConfiguration
	}
	if len(running.CapacityProviderStrategy) == 0 {
		running.CapacityProviderStrategy = s.CapacityProviderStrategy
	}
	return running
}

func balancerOf(s types.Service, running types.TaskSet) (appSpecBalancer, error) {
	var found []appSpecBalancer
	for _, lb := range running.LoadBalancers {
		b := appSpecBalancer{aws.ToString(lb.ContainerName), aws.ToInt32(lb.ContainerPort)}
		if !slices.Contains(found, b) {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		return appSpecBalancer{}, &mistake.Error{Kind: mistake.Service,
			Text:   fmt.Sprintf("service %s sends its traffic to %d container ports; CodeDeploy shifts it between the target groups of exactly one", aws.ToString(s.ServiceName), len(found)),
			Advice: "see the service's load balancers"}
	}
	return found[0], nil
}

// networkOf returns the network configuration where it is complete: CodeDeploy
// wants all of its settings or none, and takes those of the service for none.
func networkOf(n *types.NetworkConfiguration) *appSpecNetwork {
	if n == nil || n.AwsvpcConfiguration == nil {
		return nil
	}
	vpc := n.AwsvpcConfiguration
	if len(vpc.Subnets) == 0 || len(vpc.SecurityGroups) == 0 || vpc.AssignPublicIp == "" {
		return nil
	}
	var out appSpecNetwork
	out.AwsvpcConfiguration.Subnets = vpc.Subnets
	out.AwsvpcConfiguration.SecurityGroups = vpc.SecurityGroups
	out.AwsvpcConfiguration.AssignPublicIp = vpc.AssignPublicIp
	return &out
}

// earlierAppSpec is what counts of an AppSpec that someone may have written.
type earlierAppSpec struct {
	Resources []map[string]struct {
		Type       string
		Properties struct{ TaskDefinition string }
	}
	Hooks []map[string]string
}

// parseAppSpec reads an AppSpec. Nothing is one that says nothing.
func parseAppSpec(content []byte) (spec earlierAppSpec, err error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return spec, nil
	}
	if content, err = toJSON(content); err == nil {
		err = json.Unmarshal(content, &spec)
	}
	if err == nil && spec.Resources == nil {
		err = errors.New("it has no Resources")
	}
	if err != nil {
		return earlierAppSpec{}, fmt.Errorf("the AppSpec is not understood: %w", err)
	}
	return spec, nil
}

// taskDefinition is the revision that the AppSpec deploys, or empty.
func (a earlierAppSpec) taskDefinition() string {
	for _, resource := range a.Resources {
		for _, r := range resource {
			if r.Type == ecsService {
				return r.Properties.TaskDefinition
			}
		}
	}
	return ""
}

// toJSON returns content, JSON or YAML, as JSON.
func toJSON(content []byte) ([]byte, error) {
	if json.Valid(content) {
		return content, nil
	}
	var document any
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

// digestOf is how CodeDeploy names an AppSpec: the SHA-256 of its content, in
// hexadecimal.
func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
