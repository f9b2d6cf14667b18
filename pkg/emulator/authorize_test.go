package emulator

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	ecrroom "ecsdeploy/pkg/emulator/ecr"
	"ecsdeploy/pkg/emulator/iam"
)

// allows is a policy of one statement.
func (w *world) allows(actions, resource, condition string) iam.Policy {
	w.Helper()
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return must(iam.Parse(iam.Identity, "", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["`+strings.ReplaceAll(actions, " ", `","`)+`"],"Resource":"`+resource+`"`+condition+`}]}`)))(w)
}

// TestAuthorization asks for one permission after the other, each without the one before it.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		const (
			account   = "arn:aws:ecs:eu-west-1:123456789012:"
			onService = account + "service/" + DemoCluster + "/" + DemoService
			cluster   = `{"ArnEquals":{"ecs:cluster":"` + account + "cluster/" + DemoCluster + `"}}`
		)
		register := func() error {
			out := must(w.ecs.DescribeTaskDefinition(w.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: ptr(DemoFamily)}))(w).TaskDefinition
			_, err := w.ecs.RegisterTaskDefinition(w.ctx, &ecs.RegisterTaskDefinitionInput{
				Family: ptr(DemoFamily), ContainerDefinitions: out.ContainerDefinitions, TaskRoleArn: out.TaskRoleArn, Cpu: out.Cpu, Memory: out.Memory, NetworkMode: out.NetworkMode,
				Tags: []types.Tag{{Key: ptr("build"), Value: ptr("17")}}, ExecutionRoleArn: out.ExecutionRoleArn,
			})
			return err
		}
		const role = "arn:aws:iam::123456789012:role/"
		describe := w.allows("ecs:DescribeTaskDefinition", "*", "")
		tests := []struct {
			name     string
			policies []iam.Policy
			do       func() error
			message  string // "" is allowed
		}{
			{"describe another service", []iam.Policy{w.allows("ecs:DescribeServices", onService, "")}, func() error {
				_, err := w.ecs.DescribeServices(w.ctx, &ecs.DescribeServicesInput{Cluster: ptr(DemoCluster), Services: []string{DemoService, "other"}})
				return err
			}, "ecs:DescribeServices on resource: " + account + "service/" + DemoCluster + "/other because no identity-based policy allows the ecs:DescribeServices action"},
			{"describe the service", []iam.Policy{w.allows("ecs:DescribeServices", onService, "")}, func() error { w.service(); return nil }, ""},
			{"list tasks of the cluster", []iam.Policy{w.allows("ecs:ListTasks", "*", cluster)}, func() error {
				_, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{Cluster: ptr(DemoCluster)})
				return err
			}, ""},
			{"list tasks of another cluster", []iam.Policy{w.allows("ecs:ListTasks", "*", cluster)}, func() error {
				_, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{Cluster: ptr("other")})
				return err
			}, "ecs:ListTasks on resource: * because no identity-based policy allows the ecs:ListTasks action"},
			{"register without tagging", []iam.Policy{describe, w.allows("ecs:RegisterTaskDefinition", "*", "")}, register,
				"ecs:TagResource on resource: " + account + "task-definition/" + DemoFamily + ":* because no identity-based policy allows the ecs:TagResource action"},
			{"register without passing the roles", []iam.Policy{describe, w.allows("ecs:RegisterTaskDefinition", "*", ""), w.allows("ecs:TagResource", "*", `{"StringEquals":{"ecs:CreateAction":"RegisterTaskDefinition"}}`)}, register,
				"iam:PassRole on resource: " + role + "chat-app-dev-task because no identity-based policy allows the iam:PassRole action"},
			{"register without passing one role", []iam.Policy{describe, w.allows("ecs:RegisterTaskDefinition ecs:TagResource", "*", ""), w.allows("iam:PassRole", role+"chat-app-dev-task", `{"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}`)}, register,
				"iam:PassRole on resource: " + role + "chat-app-dev-execution because no identity-based policy allows the iam:PassRole action"},
			{"register", []iam.Policy{describe, w.allows("ecs:RegisterTaskDefinition ecs:TagResource", "*", ""), w.allows("iam:PassRole", role+"*", "")}, register, ""},
			{"assume a role", []iam.Policy{describe}, func() error {
				_, err := w.sts.AssumeRole(w.ctx, &sts.AssumeRoleInput{RoleArn: ptr(role + "deploy"), RoleSessionName: ptr("run")})
				return err
			}, "sts:AssumeRole on resource: " + role + "deploy"},
			{"say who it is", []iam.Policy{describe}, func() error { _, err := w.sts.GetCallerIdentity(w.ctx, &sts.GetCallerIdentityInput{}); return err }, ""},
			{"move the service without passing the roles", []iam.Policy{w.allows("ecs:UpdateService", onService, "")}, func() error {
				_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: ptr(DemoCluster), Service: ptr(DemoService), TaskDefinition: ptr(DemoFamily)})
				return err
			}, "iam:PassRole on resource: " + role + "chat-app-dev-task because no identity-based policy allows the iam:PassRole action"},
			{"scale the service, which keeps its revision", []iam.Policy{w.allows("ecs:UpdateService", onService, "")}, func() error {
				_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: ptr(DemoCluster), Service: ptr(DemoService), DesiredCount: ptr(int32(2))})
				return err
			}, ""},
			{"run a task without passing its roles", []iam.Policy{w.allows("ecs:RunTask ecs:DescribeServices", "*", "")}, func() error { _, err := w.ecs.RunTask(w.ctx, w.runs()); return err },
				"iam:PassRole on resource: " + role + "chat-app-dev-task because no identity-based policy allows the iam:PassRole action"},
		}
		for _, test := range tests {
			w.Restrict(w.User(), test.policies...)
			err := test.do()
			code := "AccessDeniedException"
			if strings.HasPrefix(test.message, "sts:") {
				code = "AccessDenied"
			}
			switch {
			case test.message == "" && err != nil:
				t.Errorf("%s: %v", test.name, err)
			case test.message != "" && err == nil:
				t.Errorf("%s: allowed", test.name)
			case test.message != "":
				refused(t, err, code, "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: "+test.message)
			}
		}
		w.Restrict(w.User())
		if err := register(); err != nil {
			t.Errorf("without policies: %v", err)
		}
	})
}

// TestPushPermissions pushes with the permissions to push but one, and with all.
func TestPushPermissions(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		repository := "arn:aws:ecr:eu-west-1:123456789012:repository/" + DemoRepository
		token := w.allows("ecr:GetAuthorizationToken", "*", "")
		w.Restrict(w.User(), token, w.allows("ecr:BatchCheckLayerAvailability ecr:DescribeRepositories", repository, ""))
		must(w.ecr.DescribeRepositories(w.ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{DemoRepository}}))(w)
		resp := w.raw("POST", "/v2/"+DemoRepository+"/blobs/uploads/", nil)
		w.expect(resp, 403, "DENIED", "User: arn:aws:iam::123456789012:user/emulator is not authorized to perform: ecr:InitiateLayerUpload on resource: "+repository+" because no identity-based policy allows the ecr:InitiateLayerUpload action")
		w.Restrict(w.User(), token, w.allows("ecr:BatchCheckLayerAvailability ecr:DescribeRepositories ecr:InitiateLayerUpload ecr:UploadLayerPart ecr:CompleteLayerUpload ecr:PutImage ecr:BatchGetImage", repository, ""))
		w.push("1", ecrroom.Platform{OS: "linux", Architecture: "amd64"})
	})
}
