package runtask

import (
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

var network = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}}

// TestPlacement: what a task takes from a service, and what ECS would refuse.
func TestPlacement(t *testing.T) {
	strategy := []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 1}}
	constraints := []types.PlacementConstraint{{Type: types.PlacementConstraintTypeMemberOf, Expression: aws.String("attribute:zone == a")}}
	size := aws.Int32(20)

	in := placement(ecs.Service{Fargate: true, Described: types.Service{LaunchType: types.LaunchTypeFargate, PlatformVersion: aws.String("1.4.0"), NetworkConfiguration: network, PlacementConstraints: constraints}}, "awsvpc")
	if in.LaunchType != types.LaunchTypeFargate || aws.ToString(in.PlatformVersion) != "1.4.0" || in.NetworkConfiguration != network || in.PlacementConstraints != nil {
		t.Errorf("Fargate: %+v", in)
	}
	in = placement(ecs.Service{Fargate: true, Described: types.Service{LaunchType: types.LaunchTypeFargate, CapacityProviderStrategy: strategy, NetworkConfiguration: network}}, "awsvpc")
	if in.LaunchType != "" || len(in.CapacityProviderStrategy) != 1 {
		t.Errorf("capacity provider: %+v", in)
	}
	in = placement(ecs.Service{Described: types.Service{LaunchType: types.LaunchTypeEc2, PlatformVersion: aws.String("1.4.0"), NetworkConfiguration: network, PlacementConstraints: constraints}}, "bridge")
	if in.LaunchType != types.LaunchTypeEc2 || in.NetworkConfiguration != nil || in.PlatformVersion != nil || len(in.PlacementConstraints) != 1 {
		t.Errorf("EC2 with bridge: %+v", in)
	}
	in = placement(ecs.Service{Described: types.Service{LaunchType: types.LaunchTypeExternal}}, "")
	if in.LaunchType != types.LaunchTypeExternal || in.NetworkConfiguration != nil {
		t.Errorf("EXTERNAL: %+v", in)
	}
	in = placement(ecs.Service{Described: types.Service{TaskSets: []types.TaskSet{
		{Status: aws.String("ACTIVE"), LaunchType: types.LaunchTypeEc2},
		{Status: aws.String("PRIMARY"), LaunchType: types.LaunchTypeFargate, PlatformVersion: aws.String("LATEST"), NetworkConfiguration: network},
	}}}, "awsvpc")
	if in.LaunchType != types.LaunchTypeFargate || in.NetworkConfiguration != network || aws.ToString(in.PlatformVersion) != "LATEST" {
		t.Errorf("task sets: %+v", in)
	}
	in = placement(ecs.Service{Described: types.Service{Deployments: []types.Deployment{
		{Status: aws.String("ACTIVE")},
		{Status: aws.String("PRIMARY"), NetworkConfiguration: network, VolumeConfigurations: []types.ServiceVolumeConfiguration{{Name: aws.String("data"), ManagedEBSVolume: &types.ServiceManagedEBSVolumeConfiguration{SizeInGiB: size, VolumeInitializationRate: size}}}},
	}}}, "awsvpc")
	if in.NetworkConfiguration != network || len(in.VolumeConfigurations) != 1 || in.VolumeConfigurations[0].ManagedEBSVolume.SizeInGiB != size || in.VolumeConfigurations[0].ManagedEBSVolume.VolumeInitializationRate != size {
		t.Errorf("volumes: %+v", in)
	}
}

// TestVolumes: of the service's volumes a task has those that its definition knows, which
// may be of another family.
func TestVolumes(t *testing.T) {
	service := ecs.Service{Described: types.Service{Deployments: []types.Deployment{{Status: aws.String("PRIMARY"), VolumeConfigurations: []types.ServiceVolumeConfiguration{
		{Name: aws.String("data")}, {Name: aws.String("cache")},
	}}}}}
	for volumes, want := range map[string]int{``: 0, `,"volumes":[{"name":"data","configuredAtLaunch":true},{"name":"cache"}]`: 1} {
		d, err := taskdef.Parse([]byte(`{"family":"migrations","containerDefinitions":[{"name":"app","image":"a"}]` + volumes + `}`))
		if err != nil {
			t.Fatal(err)
		}
		in := (&task{request: Request{Service: service, Definition: d}}).input()
		if len(in.VolumeConfigurations) != want {
			t.Errorf("%s: %+v", volumes, in.VolumeConfigurations)
		}
	}
}

func TestOverrides(t *testing.T) {
	if got := (Overrides{}).request("app"); got != nil {
		t.Errorf("no override: %+v", got)
	}
	got := Overrides{Command: []string{}, CPU: "512", Memory: "1024", Environment: []taskdef.Variable{{Container: "proxy", Name: "A", Value: "1"}, {Container: "app", Name: "B"}}}.request("app")
	if aws.ToString(got.Cpu) != "512" || aws.ToString(got.Memory) != "1024" || len(got.ContainerOverrides) != 2 {
		t.Fatalf("%+v", got)
	}
	app, proxy := got.ContainerOverrides[0], got.ContainerOverrides[1]
	if *app.Name != "app" || app.Command == nil || *app.Environment[0].Value != "" || *proxy.Name != "proxy" || proxy.Command != nil || *proxy.Environment[0].Value != "1" {
		t.Errorf("%+v, %+v", app, proxy)
	}
}

// TestName: startedBy is what ECS takes.
func TestName(t *testing.T) {
	takes := regexp.MustCompile(`^[A-Za-z0-9_/-]{1,64}$`)
	for _, text := range []string{"", "build 17", "chat/app", strings.Repeat("ü", 80), "a\x00b"} {
		if got := name(text); !takes.MatchString(got) {
			t.Errorf("name(%q) = %q", text, got)
		}
	}
}

// FuzzTextLines: the lines of an event are whole, short and without ends of lines.
func FuzzTextLines(f *testing.F) {
	f.Add("one\ntwo\r\n\n", int64(0))
	f.Add(strings.Repeat("é", maxLength), int64(1))
	f.Add("\xff\xfe", int64(-1))
	f.Fuzz(func(t *testing.T, message string, at int64) {
		for _, line := range textLines(logtypes.OutputLogEvent{Message: &message, Timestamp: &at}, "app") {
			if line.Text == "" || len(line.Text) > maxLength+len("…") || strings.ContainsAny(line.Text, "\n") || strings.ToValidUTF8(line.Text, "") != line.Text {
				t.Fatalf("%q", line.Text)
			}
		}
	})
}
