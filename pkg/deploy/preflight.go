package deploy

// What can be known before anything is changed: pure checks over what was read.

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// Platform is an operating system and architecture in an image's own words:
// linux, amd64.
type Platform struct{ OS, Architecture string }

func (p Platform) String() string { return p.OS + "/" + p.Architecture }

// check returns every reason why a deployment of d to s, which runs another, cannot
// go well.
// platforms holds, by container, the platforms of its new image where they
// are known.
func check(s ecs.Service, running, d taskdef.Definition, platforms map[string][]Platform) []error {
	var problems []error
	if !s.Express { // ECS itself makes an Express service fit
		problems = mistake.Each(d.Misfits(placement(s, running)))
	}
	return append(problems, checkPlatforms(s, d, platforms)...)
}

// checkPlatforms returns which containers get images that cannot run where the
// definition has them run.
func checkPlatforms(s ecs.Service, d taskdef.Definition, platforms map[string][]Platform) (problems []error) {
	for _, container := range d.Containers() {
		if have := platforms[container.Name]; len(have) > 0 {
			if p := checkPlatform(s, d, container.Name, have); p != nil {
				problems = append(problems, p)
			}
		}
	}
	return problems
}

// placement is what a described service, and the revision that it runs, say of the
// revisions that it can run.
func placement(s ecs.Service, running taskdef.Definition) taskdef.Service {
	d := s.Described
	p := taskdef.Service{
		Name:              s.Name,
		Controller:        s.Controller,
		LaunchType:        string(d.LaunchType),
		NetworkMode:       running.NetworkMode(),
		PlatformVersion:   aws.ToString(d.PlatformVersion),
		NetworkConfigured: d.NetworkConfiguration != nil && d.NetworkConfiguration.AwsvpcConfiguration != nil,
	}
	for _, c := range d.CapacityProviderStrategy {
		p.CapacityProviders = append(p.CapacityProviders, aws.ToString(c.CapacityProvider))
	}
	for _, b := range d.LoadBalancers {
		of := cmp.Or(ecs.ShortARN(aws.ToString(b.TargetGroupArn)), aws.ToString(b.LoadBalancerName))
		p.Targets = append(p.Targets, taskdef.Endpoint{Of: of, Container: aws.ToString(b.ContainerName), Port: int(aws.ToInt32(b.ContainerPort))})
	}
	for _, r := range d.ServiceRegistries {
		p.Registries = append(p.Registries, taskdef.Endpoint{Of: ecs.ShortARN(aws.ToString(r.RegistryArn)), Container: aws.ToString(r.ContainerName), Port: int(aws.ToInt32(r.ContainerPort))})
	}
	for _, one := range d.Deployments {
		if aws.ToString(one.Status) != "PRIMARY" {
			continue
		}
		p.NetworkConfigured = p.NetworkConfigured || one.NetworkConfiguration != nil && one.NetworkConfiguration.AwsvpcConfiguration != nil
		if c := one.ServiceConnectConfiguration; c != nil && c.Enabled {
			for _, service := range c.Services {
				p.PortNames = append(p.PortNames, aws.ToString(service.PortName))
			}
		}
		for _, l := range one.VpcLatticeConfigurations {
			p.PortNames = append(p.PortNames, aws.ToString(l.PortName))
		}
		for _, v := range one.VolumeConfigurations {
			p.Volumes = append(p.Volumes, aws.ToString(v.Name))
		}
	}
	return p
}

// runsOn is the platform that tasks of the service run on, by the task definition's
// runtimePlatform. Where that is absent Fargate takes Linux on x86_64; EC2 takes whatever
// the instance is, which is not known here.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RuntimePlatform.html
func runsOn(s ecs.Service, d taskdef.Definition) (on Platform, known bool) {
	os, arch := d.RuntimePlatform()
	if s.Express { // ECS detects the architecture of the image and takes that
		return Platform{}, false
	}
	requires := d.RequiresCompatibilities()
	if os == "" && arch == "" && !s.Fargate && (!slices.Contains(requires, "FARGATE") || len(requires) > 1) {
		return Platform{}, false
	}
	on = Platform{"linux", "amd64"}
	if strings.HasPrefix(os, "WINDOWS") {
		on.OS = "windows"
	}
	if arch == "ARM64" {
		on.Architecture = "arm64"
	}
	return on, true
}

// checkPlatform compares an image's platforms with the one that the service's tasks run on.
func checkPlatform(s ecs.Service, d taskdef.Definition, container string, have []Platform) error {
	want, known := runsOn(s, d)
	if !known || slices.Contains(have, want) {
		return nil
	}
	os, arch := d.RuntimePlatform()
	names := make([]string, len(have))
	for i, p := range have {
		names[i] = p.String()
	}
	of := ""
	if s.Name != "" { // not a revision alone
		of = " of service " + s.Name
	}
	return mistake.New(mistake.Platform, fmt.Sprintf("build with --platform %s, or set runtimePlatform in the task definition (now %s)", want, runtimeWords(os, arch)),
		"container %s%s needs an image for %s, this one is for %s", container, of, want, strings.Join(names, ", "))
}

func runtimeWords(os, arch string) string {
	if os == "" && arch == "" {
		return "absent, which means LINUX on X86_64"
	}
	return strings.TrimSpace(os + " " + arch)
}
