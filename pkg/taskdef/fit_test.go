package taskdef_test

import (
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

func TestMisfits(t *testing.T) {
	const ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1"
	fargate := taskdef.Service{Name: "web", LaunchType: "FARGATE", NetworkConfigured: true}
	ec2 := taskdef.Service{Name: "web", LaunchType: "EC2"}
	with := func(s taskdef.Service, change func(*taskdef.Service)) taskdef.Service { change(&s); return s }
	for name, test := range map[string]struct {
		task, container string
		service         taskdef.Service
		want            []string
	}{
		"all there": {`,"networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"executionRoleArn":"r","volumes":[{"name":"v","configuredAtLaunch":true}]`,
			`,"image":"` + ecr + `","portMappings":[{"containerPort":8080,"name":"http"},{"containerPortRange":"9000-9010"}]`,
			with(fargate, func(s *taskdef.Service) {
				s.Targets = []taskdef.Endpoint{{"tg", "c", 8080}, {"range", "c", 9005}}
				s.Registries = []taskdef.Endpoint{{"srv", "c", 8080}, {"a", "", 0}, {"any port", "c", 0}}
				s.PortNames, s.Volumes, s.PlatformVersion = []string{"http"}, []string{"v"}, "LATEST"
			}), nil},
		"nothing is known": {"", "", taskdef.Service{Name: "web"}, nil},
		"launch type": {`,"networkMode":"awsvpc","requiresCompatibilities":["EC2"]`, "", fargate,
			[]string{"service web runs on Fargate, f requires EC2"}},
		"capacity provider": {`,"networkMode":"awsvpc","requiresCompatibilities":["EC2"]`, "",
			taskdef.Service{Name: "web", CapacityProviders: []string{"FARGATE_SPOT"}, NetworkConfigured: true}, []string{"service web runs on Fargate, f requires EC2"}},
		"a definition for Fargate runs on EC2":   {`,"networkMode":"awsvpc","requiresCompatibilities":["FARGATE"]`, "", with(ec2, func(s *taskdef.Service) { s.NetworkConfigured = true }), nil},
		"what comes after us":                    {`,"networkMode":"awsvpc","requiresCompatibilities":["MOON"]`, "", taskdef.Service{Name: "web", LaunchType: "LUNAR", NetworkConfigured: true}, nil},
		"network mode on Fargate":                {``, "", fargate, []string{"service web runs on Fargate, where the network mode is awsvpc; that of f is bridge, since it names none"}},
		"network mode without configuration":     {`,"networkMode":"awsvpc"`, "", ec2, []string{"the network mode of f is awsvpc, and service web has no network configuration"}},
		"a configuration that is not told":       {`,"networkMode":"awsvpc"`, "", with(ec2, func(s *taskdef.Service) { s.NetworkMode = "awsvpc" }), nil},
		"configuration without network mode":     {`,"networkMode":"host"`, "", with(ec2, func(s *taskdef.Service) { s.NetworkConfigured = true }), []string{"service web has a network configuration, which takes the network mode awsvpc; that of f is host"}},
		"task sets have their own configuration": {`,"networkMode":"awsvpc"`, "", with(ec2, func(s *taskdef.Service) { s.Controller = "CODE_DEPLOY" }), nil},
		"external instances":                     {`,"networkMode":"awsvpc"`, "", taskdef.Service{Name: "web", LaunchType: "EXTERNAL"}, []string{"service web runs on external instances, which have no network mode awsvpc"}},
		"target group, container": {"", "", with(ec2, func(s *taskdef.Service) { s.Targets = []taskdef.Endpoint{{"tg", "web", 80}} }),
			[]string{"target group tg of service web sends traffic to container web, which f does not have"}},
		"target group, port": {"", `,"portMappings":[{"containerPort":8080}]`, with(ec2, func(s *taskdef.Service) { s.Targets = []taskdef.Endpoint{{"tg", "c", 80}} }),
			[]string{"target group tg of service web sends traffic to port 80 of container c, which f does not map"}},
		"registry, port": {"", "", with(ec2, func(s *taskdef.Service) { s.Registries = []taskdef.Endpoint{{"srv", "c", 80}} }),
			[]string{"service registry srv of service web sends traffic to port 80 of container c, which f does not map"}},
		"Service Connect": {"", `,"portMappings":[{"containerPort":80,"name":"web"}]`, with(ec2, func(s *taskdef.Service) { s.PortNames = []string{"http"} }),
			[]string{"service web refers to the port named http, which f does not have"}},
		"execution role on Fargate": {`,"networkMode":"awsvpc"`, `,"image":"` + ecr + `","secrets":[{"name":"A","valueFrom":"/a"}],"logConfiguration":{"logDriver":"awslogs"},"repositoryCredentials":{"credentialsParameter":"x"}`,
			fargate, []string{"f has no executionRoleArn, which ECS needs for images in ECR, repositoryCredentials, secrets, the log driver awslogs"}},
		"execution role on EC2": {``, `,"image":"` + ecr + `","secrets":[{"name":"A","valueFrom":"/a"}],"logConfiguration":{"logDriver":"awslogs"}`, ec2,
			[]string{"f has no executionRoleArn, which ECS needs for secrets"}},
		"execution role of what requires Fargate, on EC2": {`,"networkMode":"awsvpc","requiresCompatibilities":["FARGATE"]`, `,"image":"` + ecr + `","environmentFiles":[{"type":"s3","value":"arn:aws:s3:::b/x.env"}],"repositoryCredentials":{"credentialsParameter":"x"}`,
			with(ec2, func(s *taskdef.Service) { s.NetworkConfigured = true }), []string{"f has no executionRoleArn, which ECS needs for images in ECR"}},
		"an image by the dual-stack name of FIPS": {`,"networkMode":"awsvpc"`, `,"image":"123456789012.dkr-ecr-fips.us-east-1.on.aws/web:1"`,
			fargate, []string{"f has no executionRoleArn, which ECS needs for images in ECR"}},
		"images of ECR Public need none": {`,"networkMode":"awsvpc"`, `,"image":"public.ecr.aws/nginx/nginx:1"`, fargate, nil},
		"platform version": {`,"networkMode":"awsvpc","executionRoleArn":"r","ephemeralStorage":{"sizeInGiB":30},"volumes":[{"name":"e","efsVolumeConfiguration":{"fileSystemId":"x"}}]`,
			`,"secrets":[{"name":"A","valueFrom":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf:key::"}]`,
			with(fargate, func(s *taskdef.Service) { s.PlatformVersion = "1.3.0" }),
			[]string{"f uses EFS volumes, ephemeralStorage, keys of secrets, which takes Fargate's platform version 1.4.0; service web has 1.3.0"}},
		"a platform version of Windows": {`,"networkMode":"awsvpc","ephemeralStorage":{"sizeInGiB":30},"runtimePlatform":{"operatingSystemFamily":"WINDOWS_SERVER_2022_CORE"}`, "",
			with(fargate, func(s *taskdef.Service) { s.PlatformVersion = "1.0.0" }), nil},
		"a later platform version": {`,"networkMode":"awsvpc","ephemeralStorage":{"sizeInGiB":30}`, "", with(fargate, func(s *taskdef.Service) { s.PlatformVersion = "1.10.0" }), nil},
		"volumes at launch": {`,"volumes":[{"name":"a","configuredAtLaunch":true},{"name":"b"}]`, "", with(ec2, func(s *taskdef.Service) { s.Volumes = []string{"b"} }),
			[]string{"volume a is configured at launch, and service web has no configuration for it", "service web configures the volume b at launch, which f does not have"}},
		"volumes at launch by CodeDeploy": {`,"volumes":[{"name":"a","configuredAtLaunch":true}]`, "", with(ec2, func(s *taskdef.Service) { s.Controller = "CODE_DEPLOY" }),
			[]string{"volume a is configured at launch, which services that CodeDeploy deploys cannot do"}},
	} {
		image := `,"image":"i"`
		if strings.Contains(test.container, `"image"`) {
			image = ""
		}
		d := parse(t, `{"family":"f"`+test.task+`,"containerDefinitions":[{"name":"c"`+image+test.container+`}]}`)
		var got []string
		for _, err := range mistake.Each(d.Misfits(test.service)) {
			m := err.(*mistake.Error)
			got = append(got, m.Text)
			if m.Kind != mistake.TaskDefinition || m.Hint() == "" {
				t.Errorf("%s: %v is of kind %q, with the hint %q", name, m, m.Kind, m.Hint())
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, test.want)
		}
	}
}

// TestUnregistrable: what ECS refuses of a revision that no service is known for.
func TestUnregistrable(t *testing.T) {
	const ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1"
	for name, test := range map[string]struct {
		task, container string
		want            []string
	}{
		"nothing is required":      {"", `"image":"` + ecr + `"`, nil},
		"all there":                {`,"requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc","executionRoleArn":"r"`, `"image":"` + ecr + `"`, nil},
		"no role for the secrets":  {"", `"image":"i","secrets":[{"name":"A","valueFrom":"/a"}]`, []string{"f has no executionRoleArn, which ECS needs for secrets"}},
		"no role for the image":    {`,"requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc"`, `"image":"` + ecr + `"`, []string{"f has no executionRoleArn, which ECS needs for images in ECR"}},
		"the default network mode": {`,"requiresCompatibilities":["EC2","FARGATE"]`, `"image":"i"`, []string{"f requires FARGATE, where the network mode is awsvpc"}},
	} {
		d := parse(t, `{"family":"f"`+test.task+`,"containerDefinitions":[{"name":"c",`+test.container+`}]}`)
		var got []string
		for _, err := range mistake.Each(d.Unregistrable()) {
			got = append(got, err.(*mistake.Error).Text)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, test.want)
		}
	}
}
