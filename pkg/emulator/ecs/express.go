// Express services: services whose load balancer, scaling and alarms ECS manages itself. They are deployed like others, but for what ECS keeps to
// itself, and they have a URL.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/express-service-overview.html
// How they look through the API for services: https://github.com/kayac/ecspresso/pull/902 and https://github.com/kayac/ecspresso/issues/905

package ecs

import (
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecr"
)

// Express is what makes a service an Express service.
type Express struct {
	Endpoint string // its URL; "" is one made of the service's name, as ECS makes it

	// NoTaskDefinition leaves taskDefinition out of DescribeServices' answer: only the deployments say it. ECS has been seen to do both.
	NoTaskDefinition bool
}

// MakeExpress turns a service, by the names of cluster and service, into an Express service.
func (e *ECS) MakeExpress(cluster, service string, x Express) error {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	cl, err := e.activeCluster(cluster)
	if err != nil {
		return err
	}
	s := cl.Service(service)
	if s == nil {
		return awsapi.Errorf("ServiceNotFoundException", "Service not found.")
	}
	if x.Endpoint == "" {
		x.Endpoint = "https://" + s.Name + ".ecs." + e.Region() + ".on.aws"
	}
	s.express = &x
	return nil
}

// checkExpress refuses what ECS manages itself. That it refuses is known, its words are not.
func (s *Service) checkExpress(in awsapi.Object) error {
	if s.express == nil {
		return nil
	}
	for _, m := range []string{"loadBalancers", "deploymentConfiguration"} {
		if in.Has(m) {
			return awsapi.Errorf("InvalidParameterException", "Updating %s is not supported for services with the ECS resource management type.", m)
		}
	}
	return nil
}

// detected is the architecture that an Express service's tasks run on: its image's, whatever the task definition says.
func (e *ECS) detected(t *Task, c *container, image string) ecr.Platform {
	want := t.definition.platform()
	s := t.service()
	if s == nil || s.express == nil {
		return want
	}
	if _, runs, problem := e.images.Resolve(image, want); runs && problem == "" {
		return want
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		other := want
		other.Architecture = architecture
		if _, runs, problem := e.images.Resolve(image, other); runs && problem == "" {
			t.Revision.architecture = map[string]string{"amd64": "X86_64", "arm64": "ARM64"}[architecture]
			return other
		}
	}
	return want
}

// describeExpress adds to a service revision what ECS manages for it.
func (r *revision) describeExpress(o awsapi.Object) {
	if r.service.express == nil {
		return
	}
	o["ecsManagedResources"] = awsapi.Object{"ingressPaths": []any{awsapi.Object{"accessType": "PUBLIC", "endpoint": r.service.express.Endpoint}}}
	if r.architecture != "" {
		o["overrides"] = awsapi.Object{"runtimePlatform": awsapi.Object{"cpuArchitecture": r.architecture}}
	}
}

func (e *ECS) describeExpressGatewayService(c *awsapi.Invocation) (awsapi.Object, error) {
	arn := c.In.Str("serviceArn")
	for _, cl := range e.Clusters {
		for _, s := range cl.Services {
			if s.ARN == arn && s.express != nil {
				return awsapi.Object{"service": e.describeExpressService(s, c.Now)}, nil
			}
		}
	}
	return nil, awsapi.Errorf("ResourceNotFoundException", "The specified resource is not found. Please check the resource ARN and try again.")
}

func (e *ECS) describeExpressService(s *Service, now time.Time) awsapi.Object {
	active := []any{}
	for _, d := range s.Deployments {
		active = append(active, awsapi.Object{
			"serviceRevisionArn": d.Revision.arn, "taskDefinitionArn": d.Revision.Definition.ARN, "createdAt": awsapi.Epoch(d.Revision.created),
			"ingressPaths": []any{awsapi.Object{"accessType": "PUBLIC", "endpoint": s.express.Endpoint}},
		})
	}
	o := awsapi.Object{
		"cluster": s.Cluster.Name, "serviceName": s.Name, "serviceArn": s.ARN, "status": awsapi.Object{"statusCode": s.Status}, "createdAt": awsapi.Epoch(s.created),
		"updatedAt": awsapi.Epoch(now), "activeConfigurations": active, "infrastructureRoleArn": "arn:aws:iam::" + e.Account() + ":role/ecsInfrastructureRole",
	}
	if len(s.releases) > 0 {
		o["currentDeployment"] = s.releases[0].arn
	}
	return awsapi.CopyOf(o)
}
