package deploy

// What can be known before anything is changed: pure checks over what was read.

import (
	"fmt"
	"slices"
	"strings"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// Platform is an operating system and architecture in an image's own words:
// linux, amd64.
type Platform struct{ OS, Architecture string }

func (p Platform) String() string { return p.OS + "/" + p.Architecture }

// check returns every reason why a deployment of d to s cannot go well.
// platforms holds, by container, the platforms of its new image where they
// are known.
func check(s ecs.Service, d taskdef.Definition, platforms map[string][]Platform) []error {
	var problems []error
	if s.Fargate && len(d.RequiresCompatibilities()) > 0 && !slices.Contains(d.RequiresCompatibilities(), "FARGATE") {
		problems = append(problems, mistake.New(mistake.TaskDefinition, "give the family that belongs to the service",
			"service %s runs on Fargate, %s requires %s", s.Name, d.Family(), strings.Join(d.RequiresCompatibilities(), ", ")))
	}
	for _, container := range d.Containers() {
		if have := platforms[container.Name]; len(have) > 0 {
			if p := checkPlatform(s, d, container.Name, have); p != nil {
				problems = append(problems, p)
			}
		}
	}
	return problems
}

// checkPlatform compares an image's platforms with the task definition's
// runtimePlatform. Where that is absent Fargate takes Linux on x86_64; EC2
// takes whatever the instance is, which is not known here.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RuntimePlatform.html
func checkPlatform(s ecs.Service, d taskdef.Definition, container string, have []Platform) error {
	os, arch := d.RuntimePlatform()
	if s.Express { // ECS detects the architecture of the image and takes that
		return nil
	}
	if os == "" && arch == "" && !s.Fargate && !slices.Contains(d.RequiresCompatibilities(), "FARGATE") {
		return nil
	}
	want := Platform{"linux", "amd64"}
	if strings.HasPrefix(os, "WINDOWS") {
		want.OS = "windows"
	}
	if arch == "ARM64" {
		want.Architecture = "arm64"
	}
	if slices.Contains(have, want) {
		return nil
	}
	names := make([]string, len(have))
	for i, p := range have {
		names[i] = p.String()
	}
	return mistake.New(mistake.Platform, fmt.Sprintf("build with --platform %s, or set runtimePlatform in the task definition (now %s)", want, runtimeWords(os, arch)),
		"container %s of service %s needs an image for %s, this one is for %s", container, s.Name, want, strings.Join(names, ", "))
}

func runtimeWords(os, arch string) string {
	if os == "" && arch == "" {
		return "absent, which means LINUX on X86_64"
	}
	return strings.TrimSpace(os + " " + arch)
}
