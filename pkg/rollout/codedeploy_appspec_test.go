package rollout

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// balancedService is a service as DescribeServices shows it, with one container behind
// a load balancer.
func balancedService(change func(*types.Service)) types.Service {
	s := types.Service{
		ServiceName:   aws.String("web"),
		LoadBalancers: []types.LoadBalancer{{ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080), TargetGroupArn: aws.String("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef")}},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func network(subnets, groups []string, public types.AssignPublicIp) *types.NetworkConfiguration {
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: subnets, SecurityGroups: groups, AssignPublicIp: public}}
}

func TestAppSpec(t *testing.T) {
	const start = `{"version":0.0,"Resources":[{"TargetService":{"Type":"AWS::ECS::Service","Properties":{"TaskDefinition":"` + ourRevision + `","LoadBalancerInfo":{"ContainerName":"app","ContainerPort":8080}`
	tests := []struct {
		name     string
		service  types.Service
		previous string
		want     string // what follows start
	}{
		{"the least", balancedService(nil), "", `}}}]}`},
		{"all that Fargate has", balancedService(func(s *types.Service) {
			s.PlatformVersion = aws.String("1.4.0")
			s.NetworkConfiguration = network([]string{"subnet-a", "subnet-b"}, []string{"sg-1"}, types.AssignPublicIpDisabled)
			s.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE"), Base: 1, Weight: 1}, {CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 3}}
		}), "", `,"PlatformVersion":"1.4.0","NetworkConfiguration":{"AwsvpcConfiguration":{"Subnets":["subnet-a","subnet-b"],"SecurityGroups":["sg-1"],"AssignPublicIp":"DISABLED"}}` +
			`,"CapacityProviderStrategy":[{"CapacityProvider":"FARGATE","Base":1,"Weight":1},{"CapacityProvider":"FARGATE_SPOT","Base":0,"Weight":3}]}}}]}`},
		{"the task set that serves counts, not what the service was created with", balancedService(func(s *types.Service) {
			s.PlatformVersion = aws.String("LATEST")
			s.NetworkConfiguration = network([]string{"subnet-old"}, []string{"sg-old"}, types.AssignPublicIpEnabled)
			s.TaskSets = []types.TaskSet{
				{Status: aws.String("ACTIVE"), NetworkConfiguration: network([]string{"subnet-odd"}, []string{"sg-odd"}, types.AssignPublicIpEnabled)},
				{Status: aws.String("PRIMARY"), PlatformVersion: aws.String("1.4.0"), NetworkConfiguration: network([]string{"subnet-new"}, []string{"sg-new"}, types.AssignPublicIpEnabled)},
			}
		}), "", `,"PlatformVersion":"LATEST","NetworkConfiguration":{"AwsvpcConfiguration":{"Subnets":["subnet-new"],"SecurityGroups":["sg-new"],"AssignPublicIp":"ENABLED"}}}}}]}`},
		{"a network without security groups is left to CodeDeploy, which wants all or none", balancedService(func(s *types.Service) {
			s.NetworkConfiguration = network([]string{"subnet-a"}, nil, types.AssignPublicIpEnabled)
		}), "", `}}}]}`},
		{"one container behind two target groups", balancedService(func(s *types.Service) { s.LoadBalancers = append(s.LoadBalancers, s.LoadBalancers[0]) }), "", `}}}]}`},
		{"hooks of a JSON AppSpec", balancedService(nil), `{"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {"TaskDefinition": "x", "LoadBalancerInfo": {"ContainerPort": "8080"}}}}],
			"Hooks": [{"BeforeInstall": "prepare"}, {"AfterAllowTestTraffic": "arn:aws:lambda:eu-west-1:123456789012:function:check"}]}`,
			`}}}],"Hooks":[{"BeforeInstall":"prepare"},{"AfterAllowTestTraffic":"arn:aws:lambda:eu-west-1:123456789012:function:check"}]}`},
		{"hooks of a YAML AppSpec, written in lower case", balancedService(nil), "version: 0.0\nresources:\n  - TargetService:\n      Type: AWS::ECS::Service\nhooks:\n  - AfterInstall: \"check\"\n",
			`}}}],"Hooks":[{"AfterInstall":"check"}]}`},
		{"an AppSpec without hooks", balancedService(nil), "version: 0.0\nResources: []\n", `}}}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppSpec(tt.service, ourRevision, []byte(tt.previous))
			if err != nil {
				t.Fatal(err)
			}
			if want := start + tt.want; string(got) != want {
				t.Errorf("AppSpec =\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAppSpecRefuses(t *testing.T) {
	two := balancedService(func(s *types.Service) {
		s.LoadBalancers = append(s.LoadBalancers, types.LoadBalancer{ContainerName: aws.String("app"), ContainerPort: aws.Int32(9090)})
	})
	tests := []struct {
		name     string
		service  types.Service
		previous string
		want     string
	}{
		{"no load balancer", types.Service{ServiceName: aws.String("web")}, "", "service web sends its traffic to 0 container ports"},
		{"two ports", two, "", "2 container ports"},
		{"an AppSpec that is none", balancedService(nil), "version: [", "hooks of the last deployment of service web: the AppSpec is not understood"},
		{"a comment", balancedService(nil), "# nothing", "the AppSpec is not understood: it has no Resources"},
		{"hooks of another form", balancedService(nil), `{"Hooks": "all of them"}`, "the AppSpec is not understood"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppSpec(tt.service, ourRevision, []byte(tt.previous))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("AppSpec = %s, %v; want an error with %q", got, err, tt.want)
			}
		})
	}
}

// FuzzAppSpec: whatever was deployed before, what is made of it is an AppSpec
// of our revision that can be read again with the same hooks.
func FuzzAppSpec(f *testing.F) {
	f.Add("version: 0.0\nHooks:\n  - AfterInstall: check\n")
	f.Add(`{"hooks": [{"BeforeInstall": "a", "AfterInstall": "b"}, null]}`)
	f.Add("a: &x [*x]")
	f.Fuzz(func(t *testing.T, previous string) {
		content, err := AppSpec(balancedService(nil), ourRevision, []byte(previous))
		if err != nil {
			return
		}
		if !json.Valid(content) {
			t.Fatalf("not JSON: %s", content)
		}
		spec, err := parseAppSpec(content)
		if err != nil || spec.taskDefinition() != ourRevision {
			t.Fatalf("deploys %q, %v: %s", spec.taskDefinition(), err, content)
		}
		again, err := AppSpec(balancedService(nil), ourRevision, content)
		if err != nil || string(again) != string(content) {
			t.Errorf("hooks are not kept (%v):\n%s\n%s", err, content, again)
		}
	})
}

// An answer of CodeDeploy that lacks the AppSpec is not one without hooks: a release
// would go out that they had not checked.
func TestRevisionContentIsNeverMissed(t *testing.T) {
	const whole = `{"deploymentInfo": {"deploymentId": "d-1", "applicationName": "app", "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": "00"}}}}`
	for _, tt := range []struct{ name, deployment, revision, want string }{
		{"complete", whole, `{"revision": {"appSpecContent": {"content": "version: 0.0"}}}`, ""},
		{"no deployment", `{}`, ``, "the reply of GetDeployment is incomplete: it has no such deployment"},
		{"another deployment", strings.Replace(whole, "d-1", "d-2", 1), ``, "the reply of GetDeployment is incomplete: it has no such deployment"},
		{"a deployment without a revision", `{"deploymentInfo": {"deploymentId": "d-1"}}`, ``, "the reply of GetDeployment is incomplete: deployment d-1 has no revision"},
		{"no revision", whole, `{}`, "the reply of GetApplicationRevision is incomplete"},
		{"a revision without an AppSpec", whole, `{"revision": {}}`, "the reply of GetApplicationRevision is incomplete"},
		{"an AppSpec without content", whole, `{"revision": {"appSpecContent": {}}}`, "the reply of GetApplicationRevision is incomplete"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := codedeploy.New(codedeploy.Options{Region: "eu-west-1", HTTPClient: answers(func(r *http.Request) string {
				if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetDeployment") {
					return tt.deployment
				}
				return tt.revision
			})})
			info, err := deploymentInfo(t.Context(), api, "d-1")
			if err == nil {
				_, err = revisionContent(t.Context(), api, info)
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// answers is a transport that answers with 200 and the text.
type answers func(*http.Request) string

func (f answers) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(f(r))), Request: r}, nil
}
