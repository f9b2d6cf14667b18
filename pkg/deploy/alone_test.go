package deploy

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
)

// TestAloneIsChecked: of a revision that no service is known for, what ECS refuses when it
// is registered is known before the push; but ECS has the last word on what it has
// registered already.
func TestAloneIsChecked(t *testing.T) {
	const containers = `"containerDefinitions":[{"name":"app","image":"i","secrets":[{"name":"A","valueFrom":"/a"}]}]}`
	p := &Plan{Image: Candidate{URI: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:2", Platforms: []Platform{{"linux", "arm64"}}}}
	for document, want := range map[string][]string{
		`{"family":"web","cpu":"256","memory":"512","requiresCompatibilities":["FARGATE"],` + containers: {
			"web requires FARGATE, where the network mode is awsvpc", "web has no executionRoleArn, which ECS needs for images in ECR, secrets",
			"container app needs an image for linux/amd64, this one is for linux/arm64"},
		`{"family":"web","cpu":"256","memory":"512","requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc","executionRoleArn":"r","runtimePlatform":{"cpuArchitecture":"ARM64"},` + containers: nil,
		`{"family":"web","memory":"512","taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1","revision":1,` + containers:                                                   nil,
	} {
		s, err := p.prepareAlone(ServicePlan{Lineage: Lineage{Base: path(t, document)}}, true)
		all := mistake.Each(err)
		if len(all) != len(want) || s.Target.Family() != "web" {
			t.Errorf("%s: %v", document, err)
			continue
		}
		for i, one := range all {
			if !strings.Contains(one.Error(), want[i]) {
				t.Errorf("%v, want %q", one, want[i])
			}
		}
	}
}
