package emulator

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// world is an emulator and the SDK's clients, all in one synctest bubble.
type world struct {
	*testing.T
	*Emulator
	ctx     context.Context
	ecs     *ecs.Client
	ecr     *ecr.Client
	logsAPI *cloudwatchlogs.Client
	sts     *sts.Client
	elb     *elasticloadbalancingv2.Client

	codedeploy *codedeploy.Client
}

// inWorld runs a test in a bubble. Time stands still except while everything waits.
func inWorld(t *testing.T, o Options, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{T: t, Emulator: e, ctx: t.Context()}
		cfg := aws.Config{
			Region: e.Region(), HTTPClient: &http.Client{Transport: e.Transport()},
			Credentials: credentials.NewStaticCredentialsProvider("AKIAWORLD", "secret", ""),
			Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
		}
		w.ecs, w.ecr, w.logsAPI, w.sts = ecs.NewFromConfig(cfg), ecr.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg), sts.NewFromConfig(cfg)
		w.elb, w.codedeploy = elasticloadbalancingv2.NewFromConfig(cfg), codedeploy.NewFromConfig(cfg)
		f(w)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// inDemo is inWorld with the demo service running.
func inDemo(t *testing.T, f func(w *world)) {
	t.Helper()
	inWorld(t, Options{}, func(w *world) {
		if err := w.Demo(w.ctx); err != nil {
			t.Fatal(err)
		}
		f(w)
	})
}

// must fails the test on an error.
func must[T any](v T, err error) func(*world) T {
	return func(w *world) T {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
		return v
	}
}

func (w *world) service() types.Service {
	w.Helper()
	out := must(w.ecs.DescribeServices(w.ctx, &ecs.DescribeServicesInput{Cluster: aws.String(DemoCluster), Services: []string{DemoService}}))(w)
	if len(out.Services) != 1 {
		w.Fatalf("services: %v", out.Failures)
	}
	return out.Services[0]
}

// update makes one UpdateService call on the demo service.
func (w *world) update(change func(*ecs.UpdateServiceInput)) types.Service {
	w.Helper()
	in := &ecs.UpdateServiceInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)}
	change(in)
	return *must(w.ecs.UpdateService(w.ctx, in))(w).Service
}

func force(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true }

// latest is the newest service deployment of the demo service.
func (w *world) latest() types.ServiceDeployment {
	w.Helper()
	list := must(w.ecs.ListServiceDeployments(w.ctx, &ecs.ListServiceDeploymentsInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)}))(w)
	return w.deployment(*list.ServiceDeployments[0].ServiceDeploymentArn)
}

func (w *world) deployment(arn string) types.ServiceDeployment {
	w.Helper()
	return must(w.ecs.DescribeServiceDeployments(w.ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn}}))(w).ServiceDeployments[0]
}

func (w *world) revision(arn *string) types.ServiceRevision {
	w.Helper()
	return must(w.ecs.DescribeServiceRevisions(w.ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*arn}}))(w).ServiceRevisions[0]
}

// tasks describes the tasks of a deployment.
func (w *world) tasks(deployment *string, desired types.DesiredStatus) []types.Task {
	w.Helper()
	list := must(w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{Cluster: aws.String(DemoCluster), StartedBy: deployment, DesiredStatus: desired}))(w)
	if len(list.TaskArns) == 0 {
		return nil
	}
	return must(w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Cluster: aws.String(DemoCluster), Tasks: list.TaskArns}))(w).Tasks
}

// wait lets emulated time pass until a condition holds, at most for limit.
func (w *world) wait(limit time.Duration, what string, until func() bool) time.Duration {
	w.Helper()
	start := time.Now()
	for !until() {
		if time.Since(start) > limit {
			w.Fatalf("after %v: still not %s", limit, what)
		}
		time.Sleep(time.Second)
	}
	return time.Since(start)
}

// refused checks that a call was refused with a code and a message.
func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("got %v, want %s: %s", err, code, message)
	}
	if api.ErrorCode() != code || api.ErrorMessage() != message {
		t.Errorf("got  %s: %s\nwant %s: %s", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
}
