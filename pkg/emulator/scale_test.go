package emulator

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator/awsapi"
)

// TestManyTasks deploys to a service of 250 tasks: lists have pages, and the numbers are right.
func TestManyTasks(t *testing.T) {
	inDemo(t, func(w *world) {
		w.update(func(in *ecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(250) })
		w.wait(2*time.Minute, "scaled", func() bool { return w.service().RunningCount == 250 })
		d := w.update(force).Deployments[0]
		w.wait(5*time.Minute, "successful", func() bool { return w.latest().Status == types.ServiceDeploymentStatusSuccessful })
		if n := len(w.every(d.Id, types.DesiredStatusRunning)); n != 250 {
			t.Errorf("%d tasks run", n)
		}
	})
}

// every lists all tasks of a deployment, page for page.
func (w *world) every(deployment *string, desired types.DesiredStatus) []types.Task {
	w.Helper()
	var out []types.Task
	pages := ecs.NewListTasksPaginator(w.ecs, &ecs.ListTasksInput{Cluster: aws.String(DemoCluster), StartedBy: deployment, DesiredStatus: desired})
	for pages.HasMorePages() {
		page := must(pages.NextPage(w.ctx))(w)
		if len(page.TaskArns) > 0 {
			out = append(out, must(w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Cluster: aws.String(DemoCluster), Tasks: page.TaskArns}))(w).Tasks...)
		}
	}
	return out
}

// TestThousandFailingTasks: a service of 500 tasks that all crash, and are all started again.
func TestThousandFailingTasks(t *testing.T) {
	inDemo(t, func(w *world) {
		w.update(func(in *ecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(500) })
		w.wait(2*time.Minute, "scaled", func() bool { return w.service().RunningCount == 500 })
		w.Script("", "", must(ParseScenario("crash"))(w))
		d := w.update(force).Deployments[0]
		w.wait(30*time.Minute, "failed a thousand times", func() bool { return w.service().Deployments[0].FailedTasks >= 1000 })
		stopped := w.every(d.Id, types.DesiredStatusStopped)
		if len(stopped) < 1000 || *stopped[999].Containers[0].ExitCode != 1 {
			t.Errorf("%d tasks have stopped", len(stopped))
		}
	})
}

// BenchmarkCrashingService is an hour in the life of a service of 200 tasks that all crash.
func BenchmarkCrashingService(b *testing.B) {
	for b.Loop() {
		e, err := New(Options{Speed: 1000})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Demo(b.Context()); err != nil {
			b.Fatal(err)
		}
		crash, err := ParseScenario("crash")
		if err != nil {
			b.Fatal(err)
		}
		e.Script("", "", crash)
		if _, err := e.call(b.Context(), "AmazonEC2ContainerServiceV20141113.UpdateService", awsapi.Object{"cluster": DemoCluster, "service": DemoService, "desiredCount": 200, "forceNewDeployment": true}); err != nil {
			b.Fatal(err)
		}
		e.server.Mu.Lock()
		e.server.Advance(time.Now().Add(e.server.Scaled(time.Hour)))
		e.server.Mu.Unlock()
	}
}
