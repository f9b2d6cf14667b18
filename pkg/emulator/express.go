// Express services: services whose load balancer, scaling and alarms ECS manages itself. They are deployed like others, but for what ECS keeps to
// itself, and they have a URL.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/express-service-overview.html
// How they look through the API for services: https://github.com/kayac/ecspresso/pull/902 and https://github.com/kayac/ecspresso/issues/905

package emulator

import "time"

// Express is what makes a service an Express service.
type Express struct {
	Endpoint string // its URL; "" is one made of the service's name, as ECS makes it

	// NoTaskDefinition leaves taskDefinition out of DescribeServices' answer: only the deployments say it. ECS has been seen to do both.
	NoTaskDefinition bool
}

// MakeExpress turns a service, by the names of cluster and service, into an Express service.
func (e *ECS) MakeExpress(cluster, service string, x Express) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	cl, err := e.activeCluster(cluster)
	if err != nil {
		return err
	}
	s := cl.service(service)
	if s == nil {
		return apiErrorf("ServiceNotFoundException", "Service not found.")
	}
	if x.Endpoint == "" {
		x.Endpoint = "https://" + s.name + ".ecs." + e.Region() + ".on.aws"
	}
	s.express = &x
	return nil
}

// checkExpress refuses what ECS manages itself. That it refuses is known, its words are not.
func (s *service) checkExpress(in object) error {
	if s.express == nil {
		return nil
	}
	for _, m := range []string{"loadBalancers", "deploymentConfiguration"} {
		if in.has(m) {
			return apiErrorf("InvalidParameterException", "Updating %s is not supported for services with the ECS resource management type.", m)
		}
	}
	return nil
}

// detected is the architecture that an Express service's tasks run on: its image's, whatever the task definition says.
func (e *ECS) detected(t *task, c *container, image string) platform {
	want := t.definition.platform()
	s := t.service()
	if s == nil || s.express == nil {
		return want
	}
	if _, runs, problem := e.images.resolve(image, want); runs && problem == "" {
		return want
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		other := want
		other.Architecture = architecture
		if _, runs, problem := e.images.resolve(image, other); runs && problem == "" {
			t.revision.architecture = map[string]string{"amd64": "X86_64", "arm64": "ARM64"}[architecture]
			return other
		}
	}
	return want
}

// describeExpress adds to a service revision what ECS manages for it.
func (r *revision) describeExpress(o object) {
	if r.service.express == nil {
		return
	}
	o["ecsManagedResources"] = object{"ingressPaths": []any{object{"accessType": "PUBLIC", "endpoint": r.service.express.Endpoint}}}
	if r.architecture != "" {
		o["overrides"] = object{"runtimePlatform": object{"cpuArchitecture": r.architecture}}
	}
}

func (e *ECS) describeExpressGatewayService(c *call) (object, error) {
	arn := c.in.str("serviceArn")
	for _, cl := range e.clusters {
		for _, s := range cl.services {
			if s.arn == arn && s.express != nil {
				return object{"service": e.describeExpressService(s, c.now)}, nil
			}
		}
	}
	return nil, apiErrorf("ResourceNotFoundException", "The specified resource is not found. Please check the resource ARN and try again.")
}

func (e *ECS) describeExpressService(s *service, now time.Time) object {
	active := []any{}
	for _, d := range s.deployments {
		active = append(active, object{
			"serviceRevisionArn": d.revision.arn, "taskDefinitionArn": d.revision.definition.arn, "createdAt": epoch(d.revision.created),
			"ingressPaths": []any{object{"accessType": "PUBLIC", "endpoint": s.express.Endpoint}},
		})
	}
	o := object{
		"cluster": s.cluster.name, "serviceName": s.name, "serviceArn": s.arn, "status": object{"statusCode": s.status}, "createdAt": epoch(s.created),
		"updatedAt": epoch(now), "activeConfigurations": active, "infrastructureRoleArn": "arn:aws:iam::" + e.Account() + ":role/ecsInfrastructureRole",
	}
	if len(s.releases) > 0 {
		o["currentDeployment"] = s.releases[0].arn
	}
	return copyOf(o)
}
