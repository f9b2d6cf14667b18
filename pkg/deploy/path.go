package deploy

// The network path of a service's tasks: whether they reach the registry, the logs
// and the secrets that they need to start. Routes, endpoints and security groups
// cannot be read without rights in EC2, which a deployment does not need. What the
// service and its running tasks tell of them is told here, as something to look at.

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

// PathNote is what has to be there for the tasks of a service to start.
type PathNote struct {
	Public   bool            // tasks get public addresses
	Services []taskdef.Reach // AWS services in the region of the service
	Outside  []taskdef.Reach // other registries, and services in other regions: no VPC endpoint reaches them
	Subnets  []string
	Groups   []string // security groups
	Region   string
	Already  bool // tasks run that need some of the rest, so that this alone is new
}

func (n *PathNote) Error() string { return "routes and VPC endpoints are not read" }

// network notes what the tasks of a service need of its network.
func (v *verifier) network(s ServicePlan) {
	note, applies := pathOf(s.Service, s.Running, s.makes(), v.region)
	if note != nil && s.Target.Family() == "" {
		// Which images will run is not known.
		note.Outside = slices.DeleteFunc(note.Outside, func(r taskdef.Reach) bool { return r.Host != "" })
	}
	switch {
	case !applies:
	case note == nil, len(note.Services)+len(note.Outside) == 0:
		v.add(s.Name, NetworkCheck, "the running tasks need all that those of the new revision need", nil)
	default:
		v.put(Check{s.Name, NetworkCheck, s.Name.Name, Noted, note})
	}
}

// pathOf says what tasks of a definition need of the network of a service. It applies
// to Fargate alone: elsewhere the instances pull images, over a network that the
// service does not name. It is nil where tasks that run need all of it already.
func pathOf(s ecs.Service, running, made taskdef.Definition, region string) (note *PathNote, applies bool) {
	configuration := awsvpc(s)
	if !s.Fargate || s.Express || configuration == nil || made.Family() == "" {
		return nil, false
	}
	needs := reaches(s, made, region)
	already := false
	if s.Running > 0 {
		shown := reaches(s, running, region)
		already = len(shown) > 0
		needs = slices.DeleteFunc(needs, func(r taskdef.Reach) bool { return slices.Contains(shown, r) })
	}
	if len(needs) == 0 {
		return nil, true
	}
	note = &PathNote{
		Public: configuration.AssignPublicIp == types.AssignPublicIpEnabled, Subnets: configuration.Subnets, Groups: configuration.SecurityGroups,
		Region: region, Already: already,
	}
	for _, r := range needs {
		if r.Host == "" && r.Region == "" {
			note.Services = append(note.Services, r)
		} else {
			note.Outside = append(note.Outside, r)
		}
	}
	return note, true
}

// awsvpc is the network configuration of a service; nil where ECS does not tell one.
func awsvpc(s ecs.Service) *types.AwsVpcConfiguration {
	if c := s.Described.NetworkConfiguration; c != nil && c.AwsvpcConfiguration != nil {
		return c.AwsvpcConfiguration
	}
	for _, d := range s.Described.Deployments {
		if c := d.NetworkConfiguration; aws.ToString(d.Status) == "PRIMARY" && c != nil {
			return c.AwsvpcConfiguration
		}
	}
	for _, t := range s.Described.TaskSets {
		if c := t.NetworkConfiguration; aws.ToString(t.Status) == "PRIMARY" && c != nil {
			return c.AwsvpcConfiguration
		}
	}
	return nil
}

// reaches is what a definition needs, with an empty region for that of the service.
// Up to platform version 1.3.0 Fargate asks ECR for a password and reads secrets by
// itself, outside of the service's network.
func reaches(s ecs.Service, d taskdef.Definition, region string) (all []taskdef.Reach) {
	for _, r := range d.Reaches() {
		if r.Region == region {
			r.Region = ""
		}
		itself := r.Service == "ecr.api" || r.Service == "secretsmanager" || r.Service == "ssm"
		if (!itself || !before14(s, d)) && !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// before14 reports whether tasks run on a platform version of Linux before 1.4.0.
func before14(s ecs.Service, d taskdef.Definition) bool {
	os, _ := d.RuntimePlatform()
	major, rest, _ := strings.Cut(aws.ToString(s.Described.PlatformVersion), ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return !strings.HasPrefix(os, "WINDOWS") && major == "1" && err == nil && n < 4
}
