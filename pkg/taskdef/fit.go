package taskdef

// Whether a service can run a revision, as far as its description tells: what
// ECS would say only after the push, when the revision is registered or the
// service updated. A check never knows better than ECS: what it does not know,
// it lets pass.

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// A Service is the part of a described service that a revision has to fit.
type Service struct {
	Name              string
	Controller        string   // of its deployments: ECS, CODE_DEPLOY, EXTERNAL; "" is ECS
	LaunchType        string   // EC2, FARGATE, EXTERNAL, …; "" where capacity providers decide
	CapacityProviders []string // of its strategy
	PlatformVersion   string   // of Fargate: 1.4.0, LATEST; "" is LATEST
	NetworkConfigured bool     // it has an awsvpcConfiguration
	NetworkMode       string   // of the revision that it runs
	Targets           []Endpoint
	Registries        []Endpoint
	PortNames         []string // of the ports that Service Connect and VPC Lattice refer to
	Volumes           []string // names of the volumes that it configures at launch
}

// An Endpoint is the port of a container that something sends traffic to.
type Endpoint struct {
	Of        string // the name of the target group or registry, as people know it
	Container string // "" where any will do
	Port      int    // 0 where any will do
}

// fargate reports whether the service's tasks run on Fargate.
func (s Service) fargate() bool {
	return s.LaunchType == "FARGATE" || slices.Contains(s.CapacityProviders, "FARGATE") || slices.Contains(s.CapacityProviders, "FARGATE_SPOT")
}

// Misfits reports why a service cannot run the definition. The error joins a
// [*mistake.Error] for each reason.
func (d Definition) Misfits(s Service) error {
	f := fitter{definition: d, service: s}
	f.compatibilities()
	f.network()
	f.endpoints("target group", s.Targets)
	f.endpoints("service registry", s.Registries)
	f.portNames()
	f.executionRole()
	f.platformVersion()
	f.volumes()
	if len(f.found) == 0 {
		return nil
	}
	return joined(f.found)
}

// requiresFargate reports whether ECS validates the definition for Fargate when it is
// registered.
func (d Definition) requiresFargate() bool {
	return slices.Contains(d.RequiresCompatibilities(), "FARGATE")
}

// Unregistrable reports why ECS does not register the definition, whatever is to run it:
// what requires Fargate has its network mode, and the role that it reads images, logs
// and secrets with. The error joins a [*mistake.Error] for each reason.
func (d Definition) Unregistrable() error {
	f := fitter{definition: d}
	if d.requiresFargate() && d.NetworkMode() != "awsvpc" {
		f.fail("set networkMode to awsvpc", "%s requires FARGATE, where the network mode is awsvpc", d.Family())
	}
	f.executionRole()
	return joined(f.found)
}

// fitter collects what does not fit.
type fitter struct {
	definition Definition
	service    Service
	found      []*mistake.Error
}

func (f *fitter) fail(hint, format string, args ...any) {
	f.found = append(f.found, mistake.New(mistake.TaskDefinition, hint, format, args...))
}

func (f *fitter) containers() []value { return f.definition.doc.get("containerDefinitions").items }

func (f *fitter) compatibilities() {
	requires := f.definition.RequiresCompatibilities()
	launch, words := f.service.LaunchType, "external instances"
	if f.service.fargate() {
		launch, words = "FARGATE", "Fargate"
	}
	// A definition that requires FARGATE can run on EC2 as well.
	if len(requires) > 0 && (launch == "FARGATE" || launch == "EXTERNAL") && !slices.Contains(requires, launch) {
		f.fail("give the family that belongs to the service, or add "+launch+" to requiresCompatibilities",
			"service %s runs on %s, %s requires %s", f.service.Name, words, f.definition.Family(), strings.Join(requires, ", "))
	}
}

func (f *fitter) network() {
	mode := f.definition.NetworkMode()
	awsvpc := mode == "awsvpc"
	if mode == "" {
		mode = "bridge, since it names none"
	}
	s := f.service
	switch {
	case s.fargate() && !awsvpc:
		f.fail("set networkMode to awsvpc", "service %s runs on Fargate, where the network mode is awsvpc; that of %s is %s", s.Name, f.definition.Family(), mode)
	case s.LaunchType == "EXTERNAL" && awsvpc:
		f.fail("set networkMode to bridge, host or none", "service %s runs on external instances, which have no network mode awsvpc", s.Name)
	case s.Controller == "CODE_DEPLOY" || s.Controller == "EXTERNAL": // each task set has a network configuration of its own
	case awsvpc && !s.NetworkConfigured && s.NetworkMode != "awsvpc":
		f.fail("keep the network mode, or give the service subnets and security groups", "the network mode of %s is awsvpc, and service %s has no network configuration", f.definition.Family(), s.Name)
	case !awsvpc && s.NetworkConfigured:
		f.fail("set networkMode to awsvpc", "service %s has a network configuration, which takes the network mode awsvpc; that of %s is %s", s.Name, f.definition.Family(), mode)
	}
}

// endpoints checks that what traffic is sent to exists.
func (f *fitter) endpoints(kind string, all []Endpoint) {
	for _, e := range all {
		what := fmt.Sprintf("%s %s of service %s", kind, e.Of, f.service.Name)
		i := slices.IndexFunc(f.containers(), func(c value) bool { return c.get("name").str() == e.Container })
		switch {
		case e.Container == "":
		case i < 0:
			f.fail("it has "+strings.Join(f.definition.names(), ", "), "%s sends traffic to container %s, which %s does not have", what, e.Container, f.definition.Family())
		case e.Port > 0 && !exposes(f.containers()[i], e.Port):
			f.fail("add the port to portMappings", "%s sends traffic to port %d of container %s, which %s does not map", what, e.Port, e.Container, f.definition.Family())
		}
	}
}

// exposes reports whether a container maps a port, alone or in a range.
func exposes(container value, port int) bool {
	for _, m := range container.get("portMappings").items {
		if canonicalNumber(m.get("containerPort").raw) == strconv.Itoa(port) {
			return true
		}
		first, last, ok := strings.Cut(m.get("containerPortRange").str(), "-")
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if ok && errA == nil && errB == nil && a <= port && port <= b {
			return true
		}
	}
	return false
}

func (d Definition) names() []string {
	var names []string
	for _, c := range d.Containers() {
		names = append(names, c.Name)
	}
	return names
}

func (f *fitter) portNames() {
	var have []string
	for _, c := range f.containers() {
		for _, m := range c.get("portMappings").items {
			if name := m.get("name").str(); name != "" {
				have = append(have, name)
			}
		}
	}
	for _, name := range f.service.PortNames {
		if !slices.Contains(have, name) {
			hint := "name a port so in portMappings"
			if len(have) > 0 {
				hint += "; there are " + strings.Join(have, ", ")
			}
			f.fail(hint, "service %s refers to the port named %s, which %s does not have", f.service.Name, name, f.definition.Family())
		}
	}
}

// executionRole checks that there is a role where ECS needs one: to register what
// requires Fargate, wherever it runs then, or to start a task.
func (f *fitter) executionRole() {
	if f.definition.ExecutionRoleARN() != "" {
		return
	}
	var needs []string
	for _, c := range f.containers() {
		if len(c.get("secrets").items) > 0 { // on whatever it runs
			needs = append(needs, "secrets")
		}
		log := c.get("logConfiguration")
		started := f.service.fargate()
		registered := started || f.definition.requiresFargate()
		for need, there := range map[string]bool{
			"images in ECR":          registered && isPrivateECR(c.get("image").str()),
			"the log driver awslogs": registered && log.get("logDriver").str() == "awslogs",
			"repositoryCredentials":  started && c.get("repositoryCredentials").kind == object,
			"secretOptions":          started && len(log.get("secretOptions").items) > 0,
			"environmentFiles":       started && len(c.get("environmentFiles").items) > 0,
		} {
			if there {
				needs = append(needs, need)
			}
		}
	}
	if slices.Sort(needs); len(needs) > 0 {
		f.fail("add executionRoleArn, a role that ecs-tasks.amazonaws.com may assume", "%s has no executionRoleArn, which ECS needs for %s", f.definition.Family(), strings.Join(slices.Compact(needs), ", "))
	}
}

// isPrivateECR reports whether an image is pulled from a private repository in ECR.
func isPrivateECR(image string) bool {
	return ecrRegion(image) != ""
}

// platformVersion checks that Fargate's platform has what the definition uses.
// Versions of Windows count apart.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/platform-linux-fargate.html
func (f *fitter) platformVersion() {
	os, arch := f.definition.RuntimePlatform()
	var version [3]int
	for i, part := range strings.SplitN(f.service.PlatformVersion, ".", 3) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return // LATEST, or none
		}
		version[i] = n
	}
	if !f.service.fargate() || strings.HasPrefix(os, "WINDOWS") || slices.Compare(version[:], []int{1, 4, 0}) >= 0 {
		return
	}
	doc := f.definition.doc
	used := map[string]bool{
		"ephemeralStorage":        doc.get("ephemeralStorage").kind == object,
		"pidMode":                 doc.get("pidMode").str() != "",
		"cpuArchitecture " + arch: arch == "ARM64",
	}
	for _, v := range doc.get("volumes").items {
		used["EFS volumes"] = used["EFS volumes"] || v.get("efsVolumeConfiguration").kind == object
	}
	for _, c := range f.containers() {
		used["environmentFiles"] = used["environmentFiles"] || len(c.get("environmentFiles").items) > 0
		for _, s := range c.get("secrets").items {
			// arn:aws:secretsmanager:region:account:secret:name:key:stage:version
			used["keys of secrets"] = used["keys of secrets"] || strings.Contains(s.get("valueFrom").str(), ":secretsmanager:") && strings.Count(s.get("valueFrom").str(), ":") > 6
		}
	}
	var features []string
	for feature, there := range used {
		if there {
			features = append(features, feature)
		}
	}
	if slices.Sort(features); len(features) > 0 {
		f.fail("set the platform version of the service to LATEST", "%s uses %s, which takes Fargate's platform version 1.4.0; service %s has %s",
			f.definition.Family(), strings.Join(features, ", "), f.service.Name, f.service.PlatformVersion)
	}
}

// VolumesAtLaunch are the names of the volumes that are configured when a task is
// launched.
func (d Definition) VolumesAtLaunch() (all []string) {
	for _, v := range d.doc.get("volumes").items {
		if v.get("configuredAtLaunch").raw == "true" {
			all = append(all, v.get("name").str())
		}
	}
	return all
}

// volumes checks those that a service configures when it launches tasks.
func (f *fitter) volumes() {
	atLaunch := f.definition.VolumesAtLaunch()
	for _, name := range atLaunch {
		switch {
		case f.service.Controller == "CODE_DEPLOY":
			f.fail("define the volume in the task definition", "volume %s is configured at launch, which services that CodeDeploy deploys cannot do", name)
		case !slices.Contains(f.service.Volumes, name):
			f.fail("configure the volume in the service, or leave configuredAtLaunch out", "volume %s is configured at launch, and service %s has no configuration for it", name, f.service.Name)
		}
	}
	for _, name := range f.service.Volumes {
		if !slices.Contains(atLaunch, name) {
			f.fail("add the volume with configuredAtLaunch: true", "service %s configures the volume %s at launch, which %s does not have", f.service.Name, name, f.definition.Family())
		}
	}
}
