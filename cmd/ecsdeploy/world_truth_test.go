package main

// Steps of scripts that change what runs without a deployment: counts, tags that
// move, and services that ECS manages itself.

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator"
)

// performRunning does what a line of a script says about what runs, and reports
// whether the line is one of those.
func (w *world) performRunning(t *testing.T, verb string, args []string) bool {
	t.Helper()
	switch verb {
	case "express": // express [bare]: ECS manages the service's load balancer; bare: DescribeServices names no task definition
		if err := w.MakeExpress(cluster, service, emulator.Express{NoTaskDefinition: len(args) > 0}); err != nil {
			t.Fatal(err)
		}
	case "balanced": // the service gets a load balancer
		if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{
			Cluster: aws.String(cluster), Service: aws.String(service), ForceNewDeployment: true,
			LoadBalancers: []types.LoadBalancer{{TargetGroupArn: aws.String(targetGroups + "chat-app/0123456789abcdef"), ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}},
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
	case "answers": // answers STATUS [TEXT…], answers reset, answers after DURATION, answers location URL: what the application of the new revision says
		answer := &emulator.Answer{}
		switch args[0] {
		case "reset":
			answer.Reset = true
		case "location":
			answer.Location = args[1]
		case "after":
			after, err := time.ParseDuration(args[1])
			if err != nil {
				t.Fatal(err)
			}
			answer.After = after
		default:
			answer.Status, answer.Body = number(t, args[0]), strings.Join(args[1:], " ")
		}
		w.scenario.Answer = answer
		w.Script(cluster, service, w.scenario)
	case "count": // count N: somebody sets the desired count
		if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{
			Cluster: aws.String(cluster), Service: aws.String(service), DesiredCount: aws.Int32(int32(number(t, args[0]))),
		}); err != nil {
			t.Fatal(err)
		}
	case "redeploy": // somebody has all tasks replaced
		if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String(service), ForceNewDeployment: true}); err != nil {
			t.Fatal(err)
		}
	case "bake": // bake MINUTES: a rolling deployment of the service bakes so long
		if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{
			Cluster: aws.String(cluster), Service: aws.String(service),
			DeploymentConfiguration: &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyRolling, BakeTimeInMinutes: aws.Int32(int32(number(t, args[0])))},
		}); err != nil {
			t.Fatal(err)
		}
	case "mutable": // the repository is made anew so that its tags can be moved
		repositories := awsecr.NewFromConfig(w.config)
		if _, err := repositories.DeleteRepository(t.Context(), &awsecr.DeleteRepositoryInput{RepositoryName: aws.String("chat-app"), Force: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := repositories.CreateRepository(t.Context(), &awsecr.CreateRepositoryInput{RepositoryName: aws.String("chat-app")}); err != nil {
			t.Fatal(err)
		}
		w.push(t, "placeholder", "amd64")
	case "refuse": // refuse SERVICE: ECS refuses to change it
		w.Interpose(func(c emulator.Call) *emulator.Fault {
			if c.Operation != "UpdateService" || !strings.Contains(string(c.Body), args[0]) {
				return nil
			}
			return &emulator.Fault{Code: "InvalidParameterException", Message: "The target group does not have an associated load balancer."}
		})
	case "checked": // the container gets a health check
		described, err := w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("chat-app")})
		if err != nil {
			t.Fatal(err)
		}
		d := described.TaskDefinition
		d.ContainerDefinitions[0].HealthCheck = &types.HealthCheck{Command: []string{"CMD-SHELL", "curl -f http://localhost:8080/healthz"}}
		registered, err := w.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
			Family: d.Family, NetworkMode: d.NetworkMode, Cpu: d.Cpu, Memory: d.Memory, RequiresCompatibilities: d.RequiresCompatibilities,
			ExecutionRoleArn: d.ExecutionRoleArn, ContainerDefinitions: d.ContainerDefinitions,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{
			Cluster: aws.String(cluster), Service: aws.String(service), TaskDefinition: registered.TaskDefinition.TaskDefinitionArn,
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
	case "moved": // moved TAG BUILD: the tag now names the image of another build
		w.pushAs(t, args[0], args[1], "amd64")
	default:
		return false
	}
	return true
}
