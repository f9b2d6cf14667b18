package deploy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/resource"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// unreadable is an ECS of which some readings fail.
type unreadable struct {
	*cloud
	service    error
	definition map[string]error // by reference
	good       error
}

func (u unreadable) Service(ctx context.Context, cluster, name string) (ecs.Service, error) {
	if u.service != nil {
		return ecs.Service{}, u.service
	}
	return u.cloud.Service(ctx, cluster, name)
}

func (u unreadable) Definition(ctx context.Context, ref string) (taskdef.Definition, error) {
	if err := u.definition[ref]; err != nil {
		return taskdef.Definition{}, err
	}
	return u.cloud.Definition(ctx, ref)
}

func (u unreadable) Controller(ctx context.Context, s ecs.Service) (rollout.Controller, error) {
	c, err := u.cloud.Controller(ctx, s)
	return noHistory{c, u.good}, err
}

// noHistory is a controller that does not know what the service has reached.
type noHistory struct {
	rollout.Controller
	err error
}

func (n noHistory) LastGood(ctx context.Context) (string, error) {
	if n.err != nil {
		return "", n.err
	}
	return n.Controller.LastGood(ctx)
}

func deniedTo(action string) error {
	return &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "may not " + action}
}

// TestReadServiceTellsAll: one reading that fails keeps none of the others from being
// told, and nothing is told twice.
func TestReadServiceTellsAll(t *testing.T) {
	missing := &mistake.Error{Kind: mistake.Service, Absent: true, Text: "no such service"}
	down := errors.New("connection refused")
	running := revisionARN("web:1")
	for _, tt := range []struct {
		name string
		with unreadable
		base string
		want string
	}{
		{"service and revision", unreadable{service: deniedTo("ecs:DescribeServices"), definition: map[string]error{"web:1": deniedTo("ecs:DescribeTaskDefinition")}}, "web:1",
			"ecs:DescribeServices ecs:DescribeTaskDefinition"},
		{"service and an ARN", unreadable{service: deniedTo("ecs:DescribeServices"), definition: map[string]error{revisionARN("web:9"): deniedTo("ecs:DescribeTaskDefinition")}}, revisionARN("web:9"),
			"ecs:DescribeServices ecs:DescribeTaskDefinition"},
		{"a service and a file that do not exist", unreadable{service: missing}, "web.json", "no-such-service open"},
		{"a service that does not exist, and a revision", unreadable{service: missing, definition: map[string]error{"web:9": deniedTo("ecs:DescribeTaskDefinition")}}, "web:9",
			"no-such-service ecs:DescribeTaskDefinition"},
		{"nothing answers", unreadable{service: down, definition: map[string]error{"web:1": down}}, "web:1", "connection-refused"},
		{"the running revision, and the one to build on", unreadable{definition: map[string]error{running: deniedTo("a"), "web:2": deniedTo("b")}}, "web:2", "a b"},
		{"the running revision twice", unreadable{definition: map[string]error{running: deniedTo("a"), "web:1": deniedTo("a")}}, "web:1", "a"},
		{"the running revision, and how it was reached", unreadable{definition: map[string]error{running: deniedTo("a")}, good: errors.New("MalformedReply")}, "running", "MalformedReply a"},
		{"how it was reached, and a file", unreadable{good: errors.New("MalformedReply")}, "web.json", "MalformedReply open"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud()
			c.define(t, "web:1", "infra:1")
			c.define(t, "web:2", "infra:2")
			c.add("a", "web:1")
			tt.with.cloud = c
			d, _ := c.deployer()
			d.ECS, d.Rollouts, d.Images.WorkingDirectory = tt.with, tt.with, t.TempDir()
			_, err := d.readService(t.Context(), newLibrary(tt.with), Service{"main", "a"}, tt.base)
			all := mistake.Each(err)
			words := strings.Fields(tt.want)
			if len(all) != len(words) {
				t.Fatalf("%d errors: %v", len(all), err)
			}
			for i, one := range all {
				if !strings.Contains(strings.ReplaceAll(one.Error(), " ", "-"), words[i]) {
					t.Errorf("%d: %v, want %s", i, one, words[i])
				}
			}
		})
	}
}

func path(t *testing.T, text string) taskdef.Definition {
	t.Helper()
	d, err := taskdef.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestPath: what the network of a service has to reach is told from what its tasks
// need and from what those that run already needed.
func TestPath(t *testing.T) {
	const image = `"image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1"`
	const logs = `,"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"/ecs/web","awslogs-region":"eu-west-1"}}`
	of := func(container string) taskdef.Definition {
		return path(t, `{"family":"web","networkMode":"awsvpc","containerDefinitions":[{"name":"app",`+container+`}]}`)
	}
	for _, tt := range []struct {
		name          string
		change        func(s *ecs.Service)
		running, made taskdef.Definition
		applies       bool
		services      string
		outside       string
	}{
		{"a plain image in ECR", nil, of(image), of(image + logs), true, "ecr.api ecr.dkr s3 logs", ""},
		{"secrets of both kinds, and environment files", nil, of(image),
			of(image + `,"secrets":[{"name":"A","valueFrom":"/a"},{"name":"B","valueFrom":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:b-AbCdEf:k::"}],"environmentFiles":[{"type":"s3","value":"arn:aws:s3:::b/f.env"}]`),
			true, "ecr.api ecr.dkr s3 ssm secretsmanager", ""},
		{"other registries and regions", nil, of(image),
			path(t, `{"family":"web","containerDefinitions":[{"name":"a","image":"nginx"},{"name":"b","image":"public.ecr.aws/x/y:1"},{"name":"c","image":"library/redis:7"},
				{"name":"d","image":"123456789012.dkr.ecr.us-east-1.amazonaws.com/d:1"},{"name":"e","image":"localhost/x"}]}`),
			true, "", "docker.io public.ecr.aws ecr.api@us-east-1 ecr.dkr@us-east-1 s3@us-east-1 localhost"},
		{"tasks run that need the same", func(s *ecs.Service) { s.Running = 1 }, of(image + logs), of(image + logs), true, "", ""},
		{"tasks run that need less", func(s *ecs.Service) { s.Running = 1 }, of(image), of(image + logs), true, "logs", ""},
		{"before platform version 1.4.0", func(s *ecs.Service) { s.Described.PlatformVersion = ptr("1.3.0") }, of(image), of(image + logs), true, "ecr.dkr s3 logs", ""},
		{"on instances", func(s *ecs.Service) { s.Fargate = false }, of(image), of(image), false, "", ""},
		{"Express", func(s *ecs.Service) { s.Express = true }, of(image), of(image), false, "", ""},
		{"no configuration known", func(s *ecs.Service) { s.Described.NetworkConfiguration = nil }, of(image), of(image), false, "", ""},
		{"nothing is known of the revision", nil, of(image), taskdef.Definition{}, false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ecs.Service{Name: "web", Fargate: true, Described: described("subnet-1")}
			if tt.change != nil {
				tt.change(&s)
			}
			note, applies := pathOf(s, tt.running, tt.made, "eu-west-1")
			if note == nil {
				note = &PathNote{}
			}
			names := func(all []taskdef.Reach) string {
				var words []string
				for _, r := range all {
					word := r.Service + r.Host
					if r.Region != "" {
						word += "@" + r.Region
					}
					words = append(words, word)
				}
				return strings.Join(words, " ")
			}
			if applies != tt.applies || names(note.Services) != tt.services || names(note.Outside) != tt.outside {
				t.Errorf("applies %v: %s; %s", applies, names(note.Services), names(note.Outside))
			}
		})
	}
}

// TestRights: each change that a run makes is among the rights that are asked about,
// with the ARN that its policy would name.
func TestRights(t *testing.T) {
	const base = `{"family":"web","networkMode":"awsvpc","executionRoleArn":"arn:aws:iam::123456789012:role/service-role/exec","taskRoleArn":"web-task",
		"containerDefinitions":[{"name":"app","image":"x","logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"/ecs/web","awslogs-region":"eu-west-1"}}}]}`
	service := ServicePlan{
		Name:    Service{"main", "a"},
		Service: ecs.Service{Name: "a", ARN: arnPrefix + "service/main/a", TargetGroups: []string{"t"}},
		Lineage: Lineage{Base: path(t, base)},
	}
	byCodeDeploy := service
	byCodeDeploy.Controller = grouped{}
	push := Request{Push: true, CreateRepository: true, Repository: "team/web", Rollout: true, Services: []Service{service.Name}, Migration: []string{"migrate"}, KeepRevisions: 5}
	for _, tt := range []struct {
		name string
		plan Plan
		want []string
	}{
		{"ECS", Plan{Request: push, Services: []ServicePlan{service}}, []string{
			"ecr:CreateRepository arn:aws:ecr:eu-west-1:123456789012:repository/team/web",
			"ecr:PutImage arn:aws:ecr:eu-west-1:123456789012:repository/team/web",
			"ecs:RegisterTaskDefinition *", "ecs:UpdateService arn:aws:ecs:eu-west-1:123456789012:service/main/a",
			"(ecs:StopServiceDeployment arn:aws:ecs:eu-west-1:123456789012:service-deployment/main/a/*)",
			"ecs:RunTask arn:aws:ecs:eu-west-1:123456789012:task-definition/web:*", "(ecs:StopTask arn:aws:ecs:eu-west-1:123456789012:task/main/*)",
			"(elasticloadbalancing:DescribeTargetHealth *)", "(ecs:DeregisterTaskDefinition *)",
			"(ecs:TagResource arn:aws:ecs:eu-west-1:123456789012:task-definition/web:*)", "(ecs:UntagResource arn:aws:ecs:eu-west-1:123456789012:task-definition/web:*)",
			"iam:PassRole arn:aws:iam::123456789012:role/service-role/exec", "iam:PassRole arn:aws:iam::123456789012:role/web-task",
			"(logs:GetLogEvents arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/web:*)",
		}},
		{"CodeDeploy", Plan{Request: Request{Rollout: true, Services: []Service{service.Name}}, Services: []ServicePlan{byCodeDeploy}}, []string{
			"ecs:RegisterTaskDefinition *", "codedeploy:CreateDeployment arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:shop/web",
			"codedeploy:RegisterApplicationRevision arn:aws:codedeploy:eu-west-1:123456789012:application:shop",
			"codedeploy:GetDeploymentConfig arn:aws:codedeploy:eu-west-1:123456789012:deploymentconfig:*", "codedeploy:StopDeployment *",
		}},
		{"a service that could not be read", Plan{Request: Request{Rollout: true, Services: []Service{service.Name}}, Services: []ServicePlan{{Name: service.Name}}}, []string{"ecs:RegisterTaskDefinition *"}},
		{"another account's repository", Plan{Request: Request{Push: true, CreateRepository: true, Repository: "210987654321.dkr.ecr.us-east-1.amazonaws.com/web"}}, []string{
			"ecr:CreateRepository arn:aws:ecr:us-east-1:210987654321:repository/web"}},
		{"a role with a path, by its name", Plan{Request: Request{Rollout: true}, Services: []ServicePlan{{Lineage: Lineage{Base: path(t, `{"family":"job","taskRoleArn":"deep","containerDefinitions":[{"name":"app","image":"x"}]}`)}}}}, []string{
			"iam:PassRole arn:aws:iam::123456789012:role/a/b/deep", "(ecs:TagResource arn:aws:ecs:eu-west-1:123456789012:task-definition/job:*)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := &verifier{identity: "arn:aws:sts::123456789012:assumed-role/deployer/run", region: "eu-west-1", roles: map[string]string{"deep": "arn:aws:iam::123456789012:role/a/b/deep"}}
			var got []string
			for _, r := range v.rights(&tt.plan) {
				for _, action := range r.actions {
					for _, resource := range r.resources {
						word := action + " " + resource
						if r.optional {
							word = "(" + word + ")"
						}
						got = append(got, word)
					}
				}
			}
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("lacks %s:\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

type grouped struct{ rollout.Controller }

func (grouped) Group() (application, name string) { return "shop", "web" }

func ptr(text string) *string { return &text }

func described(subnets ...string) types.Service {
	return types.Service{NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: subnets, AssignPublicIp: types.AssignPublicIpDisabled}}}
}

// policy is an IAM that gives all rights but some.
type policy struct {
	lacks  []string // actions
	err    error
	asked  int
	unlike bool // it cannot tell
}

func (p *policy) Denied(_ context.Context, q resource.Question) (denied, unclear []resource.Right, err error) {
	p.asked++
	for _, action := range q.Actions {
		switch {
		case !slices.Contains(p.lacks, action):
		case p.unlike:
			unclear = append(unclear, resource.Right{Action: action, Resource: q.Resources[0]})
		default:
			denied = append(denied, resource.Right{Action: action, Resource: q.Resources[0]})
		}
	}
	return denied, unclear, p.err
}

// TestWithMissing: a denial is followed by what else is missing, where IAM tells, and by
// nothing that is only supposed.
func TestWithMissing(t *testing.T) {
	refused := &smithy.GenericAPIError{Code: "AccessDeniedException",
		Message: "User: arn:aws:iam::123456789012:user/a is not authorized to perform: ecs:RegisterTaskDefinition on resource: * because no identity-based policy allows the ecs:RegisterTaskDefinition action"}
	plan := &Plan{Request: Request{Rollout: true, Services: []Service{{"main", "a"}}}, Services: []ServicePlan{{
		Name: Service{"main", "a"}, Service: ecs.Service{Name: "a", ARN: arnPrefix + "service/main/a"},
		Lineage: Lineage{Base: path(t, `{"family":"web","taskRoleArn":"web","containerDefinitions":[{"name":"app","image":"x"}]}`)},
	}}}
	for _, tt := range []struct {
		name  string
		err   error
		iam   policy
		plan  *Plan
		want  string // actions that are named beside the error
		asked bool
	}{
		{"others are missing", refused, policy{lacks: []string{"ecs:RegisterTaskDefinition", "ecs:UpdateService", "iam:PassRole", "ecs:StopServiceDeployment"}}, plan, "ecs:UpdateService iam:PassRole", true},
		{"nothing else is", refused, policy{lacks: []string{"ecs:RegisterTaskDefinition"}}, plan, "", true},
		{"IAM may not be asked", refused, policy{err: deniedTo("iam:SimulatePrincipalPolicy")}, plan, "", true},
		{"IAM cannot tell", refused, policy{lacks: []string{"ecs:UpdateService"}, unlike: true}, plan, "", true},
		{"nothing was planned", refused, policy{lacks: []string{"ecs:UpdateService"}}, nil, "", false},
		{"no denial", errors.New("connection refused"), policy{lacks: []string{"ecs:UpdateService"}}, plan, "", false},
		{"a success", nil, policy{}, plan, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &Deployer{Identity: &Identity{ARN: "arn:aws:iam::123456789012:user/a", Region: "eu-west-1", Rights: &tt.iam}}
			all := mistake.Each(d.withMissing(t.Context(), tt.plan, tt.err))
			var actions []string
			for _, one := range all {
				if p, is := errors.AsType[*Permission](one); is {
					actions = append(actions, p.Actions...)
				}
			}
			if got := strings.Join(actions, " "); got != tt.want || (tt.iam.asked > 0) != tt.asked || tt.err != nil && all[0] != tt.err {
				t.Errorf("named %q after %d questions: %v", got, tt.iam.asked, all)
			}
		})
	}
}
