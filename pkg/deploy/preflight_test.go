package deploy

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// TestPlacement: everything that a described service says of the revisions that it can
// run is compared before the push.
func TestPlacement(t *testing.T) {
	port := aws.Int32(80)
	primary := func(d types.Deployment) types.Service {
		d.Status = aws.String("PRIMARY")
		return types.Service{Deployments: []types.Deployment{{Status: aws.String("ACTIVE"), VolumeConfigurations: []types.ServiceVolumeConfiguration{{Name: aws.String("old")}}}, d}}
	}
	for name, tt := range map[string]struct {
		described types.Service
		want      string // in the only mistake
	}{
		"nothing": {types.Service{}, ""},
		"a target group": {types.Service{LoadBalancers: []types.LoadBalancer{{TargetGroupArn: aws.String("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/chat/0a"), ContainerName: aws.String("web"), ContainerPort: port}}},
			"target group 0a of service a sends traffic to container web"},
		"a classic load balancer": {types.Service{LoadBalancers: []types.LoadBalancer{{LoadBalancerName: aws.String("old"), ContainerName: aws.String("app"), ContainerPort: port}}},
			"target group old of service a sends traffic to port 80"},
		"a service registry": {types.Service{ServiceRegistries: []types.ServiceRegistry{{RegistryArn: aws.String("arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-1"), ContainerName: aws.String("app"), ContainerPort: port}}},
			"service registry srv-1 of service a sends traffic to port 80"},
		"a capacity provider": {types.Service{CapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT")}}},
			"service a runs on Fargate, where the network mode is awsvpc"},
		"a launch type":                               {types.Service{LaunchType: types.LaunchTypeFargate}, "service a runs on Fargate, where the network mode is awsvpc"},
		"a network configuration":                     {described("subnet-1"), "service a has a network configuration"},
		"the network configuration of its deployment": {primary(types.Deployment{NetworkConfiguration: described("subnet-1").NetworkConfiguration}), "service a has a network configuration"},
		"Service Connect": {primary(types.Deployment{ServiceConnectConfiguration: &types.ServiceConnectConfiguration{Enabled: true, Services: []types.ServiceConnectService{{PortName: aws.String("http")}}}}),
			"service a refers to the port named http"},
		"Service Connect that is off": {primary(types.Deployment{ServiceConnectConfiguration: &types.ServiceConnectConfiguration{Services: []types.ServiceConnectService{{PortName: aws.String("http")}}}}), ""},
		"VPC Lattice":                 {primary(types.Deployment{VpcLatticeConfigurations: []types.VpcLatticeConfiguration{{PortName: aws.String("lattice")}}}), "service a refers to the port named lattice"},
		"a volume at launch":          {primary(types.Deployment{VolumeConfigurations: []types.ServiceVolumeConfiguration{{Name: aws.String("data")}}}), "service a configures the volume data at launch"},
	} {
		d := path(t, `{"family":"web","containerDefinitions":[{"name":"app","image":"x"}]}`)
		got := check(ecs.Service{Name: "a", Controller: "ECS", Described: tt.described}, d, d, nil)
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0].Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, got, tt.want)
		}
	}
	old := path(t, `{"family":"web","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"ephemeralStorage":{"sizeInGiB":30},"containerDefinitions":[{"name":"app","image":"x"}]}`)
	fargate := described("subnet-1")
	fargate.LaunchType, fargate.PlatformVersion = types.LaunchTypeFargate, aws.String("1.3.0")
	if got := check(ecs.Service{Name: "a", Described: fargate}, old, old, nil); len(got) != 1 || !strings.Contains(got[0].Error(), "service a has 1.3.0") {
		t.Errorf("the platform version: %v", got)
	}
}

// TestPlatforms: an image is for what its tasks run on, where that is known. Of an
// Express service ECS itself decides it, and makes the rest of it fit.
func TestPlatforms(t *testing.T) {
	for _, tt := range []struct {
		task             string
		fargate, express bool
		have             string
		wrong            bool
	}{
		{`"runtimePlatform":{"cpuArchitecture":"ARM64"},`, true, false, "linux/amd64", true},
		{`"runtimePlatform":{"cpuArchitecture":"ARM64"},`, true, false, "linux/arm64", false},
		{`"runtimePlatform":{"cpuArchitecture":"ARM64"},`, true, false, "", false}, // not known
		{`"runtimePlatform":{"operatingSystemFamily":"WINDOWS_SERVER_2022_CORE"},`, true, false, "linux/amd64", true},
		{"", true, false, "linux/arm64", true},
		{`"requiresCompatibilities":["FARGATE"],`, false, false, "linux/arm64", true},
		{"", false, false, "linux/arm64", false}, // as the instances are
		{"", true, true, "linux/arm64", false},
		{`"runtimePlatform":{"cpuArchitecture":"X86_64"},`, true, true, "linux/arm64", false},
	} {
		d := path(t, `{"family":"web","networkMode":"awsvpc",`+tt.task+`"containerDefinitions":[{"name":"app","image":"x"}]}`)
		platforms := map[string][]Platform{}
		if os, arch, ok := strings.Cut(tt.have, "/"); ok {
			platforms["app"] = []Platform{{os, arch}}
		}
		s := ecs.Service{Name: "a", Fargate: tt.fargate, Express: tt.express, Described: described("subnet-1")}
		got := check(s, d, d, platforms)
		if tt.wrong != (len(got) == 1 && mistake.Is(got[0], mistake.Platform)) || !tt.wrong && len(got) > 0 {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	// What an Express service takes is not compared: ECS makes it.
	bare := path(t, `{"family":"web","containerDefinitions":[{"name":"app","image":"x"}]}`)
	if got := check(ecs.Service{Name: "a", Express: true, Described: described("subnet-1")}, bare, bare, nil); len(got) > 0 {
		t.Errorf("Express: %v", got)
	}
}

// TestUnsupportedInThePlan: what the controller of a service cannot do is told by the
// plan, be it a dry run, together with what else is wrong.
func TestUnsupportedInThePlan(t *testing.T) {
	for _, dry := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			c.services["a"].who = "CODE_DEPLOY"
			d, _ := c.deployer()
			r := asking("a")
			r.DryRun, r.DesiredCount, r.Change.CPU = dry, aws.Int(3), "1"
			_, err := d.Run(t.Context(), r)
			if all := mistake.Each(err); len(all) != 2 || !mistake.Is(all[0], mistake.DesiredCount) || !mistake.Is(all[1], mistake.CPU) || c.said() != "" {
				t.Errorf("%v; %s", err, c.said())
			}
		})
	}
}

// TestStatusOfAService: one that is being deleted gets no deployment. A status that is
// not known is ECS's to judge.
func TestStatusOfAService(t *testing.T) {
	for status, refused := range map[string]bool{"ACTIVE": false, "DRAINING": true, "INACTIVE": true, "RESTING": false} {
		synctest.Test(t, func(t *testing.T) {
			c := world(t, "a")
			c.services["a"].status = status
			d, _ := c.deployer()
			r := asking("a")
			r.DryRun = true
			if _, err := d.Run(t.Context(), r); mistake.Absent(err) != refused || !refused && err != nil {
				t.Errorf("%s: %v", status, err)
			}
		})
	}
}

// forgetful is an ECS that leaves a member out that it does not know.
type forgetful struct{ *cloud }

func (f forgetful) Register(ctx context.Context, d taskdef.Definition) (taskdef.Definition, error) {
	stored, err := f.cloud.Register(ctx, d)
	if err != nil {
		return stored, err
	}
	return taskdef.Parse(fmt.Appendf(nil, `%s,"taskDefinitionArn":%q,"revision":%d,"status":"ACTIVE"}`,
		strings.Replace(strings.TrimSuffix(string(stored.RegisterInput()), "}"), `"futureMember":1,`, "", 1), stored.ARN(), stored.Revision()))
}

// TestNotStored: what ECS left out of a revision that it registered is told.
func TestNotStored(t *testing.T) {
	for member, want := range map[string]int{`"futureMember":1,`: 1, "": 0} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			c.store(t, path(t, `{"family":"web",`+member+`"containerDefinitions":[{"name":"app","image":"x","essential":true}]}`))
			c.add("a", "web:1")
			d, view := c.deployer()
			d.ECS = forgetful{c}
			if _, err := d.Run(t.Context(), asking("a")); err != nil {
				t.Fatal(err)
			}
			told := shown[NotStored](view)
			if len(told) != want || want == 1 && (strings.Join(told[0].Members, " ") != "futureMember" || told[0].Revision != revisionARN("web:2")) {
				t.Errorf("%q: %+v", member, told)
			}
		})
	}
}

// TestSeveralContainers: every container that is named gets the image of the run, and is
// proven to run it; others keep theirs.
func TestSeveralContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.store(t, path(t, `{"family":"web","containerDefinitions":[{"name":"app","image":"registry.example/web:1","memory":64},{"name":"migrate","image":"registry.example/web:1","memory":64},{"name":"cron","image":"registry.example/web:1","memory":64}]}`))
		c.add("a", "web:1")
		d, _ := c.withRegistry(t)
		c.push(t, d, "registry.example/web:2", "next")
		r := rolling("registry.example/web:2", "a")
		r.Containers = []string{"app", "migrate"}
		result, err := d.Run(t.Context(), r)
		if err != nil || outcomes(result) != "succeeded" {
			t.Fatal(outcomes(result), err)
		}
		made := c.definitions[result.Services[0].Revision]
		if got := made.Image("app") + " " + made.Image("migrate") + " " + made.Image("cron"); got != "registry.example/web:2 registry.example/web:2 registry.example/web:1" {
			t.Error(got)
		}
		if want := result.Services[0].Proof.Wanted; len(want) != 2 || len(want["migrate"]) == 0 {
			t.Errorf("proven are %v", want)
		}
	})
}
