package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/taskdef"
)

// account is a service in an emulated ECS, at rest, and our client of it.
type account struct {
	*emulator.Emulator
	*Client
	service Service
}

func newAccount(t *testing.T, tasks int) *account {
	t.Helper()
	e, err := emulator.New(emulator.Options{FutureMembers: []string{"gpuSlices", "quantumMode"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	cfg := aws.Config{
		Region:      e.Region(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		HTTPClient:  &http.Client{Transport: e.Transport()},
	}
	api, ctx := ecs.NewFromConfig(cfg), t.Context()
	if _, err := api.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("dev")}); err != nil {
		t.Fatal(err)
	}
	registered, err := api.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions:    []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("public.ecr.aws/nginx/nginx:1.27")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String("dev"), ServiceName: aws.String("web"), DesiredCount: aws.Int32(int32(tasks)), LaunchType: types.LaunchTypeFargate,
		TaskDefinition:       registered.TaskDefinition.TaskDefinitionArn,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-0a1b2c3d"}}},
	}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Minute) // until it is stable
	a := &account{Emulator: e, Client: New(cfg)}
	if a.service, err = a.Service(ctx, "dev", "web"); err != nil {
		t.Fatal(err)
	}
	return a
}

// start registers a revision and moves the service to it.
func (a *account) start(t *testing.T, change taskdef.Change) Started {
	t.Helper()
	base, err := a.Definition(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if change.Images == nil {
		change.Images = map[string]string{"app": "public.ecr.aws/nginx/nginx:1.28"}
	}
	revised, err := base.Revise(change)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := a.Register(t.Context(), revised)
	if err != nil {
		t.Fatal(err)
	}
	started, err := a.Update(t.Context(), a.service, Change{TaskDefinition: stored.ARN()})
	if err != nil {
		t.Fatal(err)
	}
	return started
}

// count says how often an operation was called.
func (a *account) count(operation string) int {
	n := 0
	for _, r := range a.Requests() {
		if r.Operation == operation {
			n++
		}
	}
	return n
}

// TestRevisionsAreLossless: a member that is newer than the SDK, tags, an
// empty value and the spelling of a number go through describe, revise and
// register, where the SDK's typed structs would lose them.
func TestRevisionsAreLossless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, 1)
		document := `{"family": "future", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
			"quantumMode": {"entangled": true, "depth": 1e2},
			"containerDefinitions": [{"name": "app", "image": "public.ecr.aws/nginx/nginx:1.27", "cpu": 0, "gpuSlices": 0.50,
				"environment": [{"name": "EMPTY", "value": ""}]}],
			"tags": [{"key": "team", "value": "chat"}]}`
		first, err := taskdef.Parse([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Register(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		described, err := a.Definition(t.Context(), "future")
		if err != nil {
			t.Fatal(err)
		}
		revised, err := described.Revise(taskdef.Change{Images: map[string]string{"app": "public.ecr.aws/nginx/nginx:1.28"}})
		if err != nil {
			t.Fatal(err)
		}
		second, err := a.Register(t.Context(), revised)
		if err != nil {
			t.Fatal(err)
		}
		if second.Revision() != 2 {
			t.Errorf("revision %d, want 2", second.Revision())
		}
		var sent []byte
		for _, r := range a.Requests() {
			if r.Operation == "RegisterTaskDefinition" {
				sent = r.Body
			}
		}
		for _, survivor := range []string{`"quantumMode":{`, `"depth":1e2`, `"gpuSlices":0.50`, `{"name":"EMPTY","value":""}`, `"tags":[{"key":"team","value":"chat"}]`, `"cpu":0`} {
			if !strings.Contains(string(sent), survivor) {
				t.Errorf("the new revision lost %s:\n%s", survivor, sent)
			}
		}
		if !json.Valid(sent) {
			t.Errorf("not JSON: %s", sent)
		}
	})
}

// TestWatch plays what can get in the way of watching. The verdict itself has
// its table in TestJudge.
func TestWatch(t *testing.T) {
	tests := []struct {
		name     string
		scenario string
		tasks    int
		timeout  time.Duration
		before   func(*account) // once the deployment is under way
		want     Outcome
		events   []string // must be among what is told
		once     string   // is told exactly once
		limit    time.Duration
	}{
		{name: "a deployment that succeeds", scenario: "complete", tasks: 2, want: Succeeded, events: []string{"2 of 2 running", "has reached a steady state."}},
		{name: "no tasks wanted", scenario: "complete", tasks: 0, want: Succeeded},
		{name: "more tasks than one page holds", scenario: "complete", tasks: 150, want: Succeeded, events: []string{"150 of 150 running"}},
		{name: "a rollback", scenario: "rollback", tasks: 2, want: RolledBack},
		{name: "a rollback seen through the list alone", scenario: "rollback", tasks: 2, want: RolledBack,
			before: func(a *account) { a.Fail("ecs:ListServiceDeployments", emulator.Denied()) }, once: "judging by the service's list"},
		{name: "descriptions of service deployments denied", scenario: "complete", tasks: 2, want: Succeeded,
			before: func(a *account) { a.Fail("ecs:DescribeServiceDeployments", emulator.Denied()) }, once: "judging by the service's list"},
		{name: "the right to read service deployments is taken away", scenario: "rollback", tasks: 2, want: RolledBack,
			before: func(a *account) {
				a.Fail("ecs:DescribeServiceDeployments", emulator.Fault{Code: "AccessDeniedException", Skip: 3})
			}, once: "judging by the service's list"},
		{name: "minutes without an answer", scenario: "slow", tasks: 2, want: Succeeded,
			before: func(a *account) { a.Fail("ecs:DescribeServices", emulator.Broken(60)) }, once: "ECS does not answer", events: []string{"ECS answers again"}},
		{name: "connections cut for a while", scenario: "slow", tasks: 2, want: Succeeded,
			before: func(a *account) { a.Fail("ecs:DescribeServices", emulator.Fault{Reset: true, Times: 60}) }, once: "ECS does not answer"},
		{name: "throttled for a while", scenario: "slow", tasks: 2, want: Succeeded,
			before: func(a *account) { a.Fail("ecs:DescribeServices", emulator.Throttled(60)) }, once: "ECS does not answer"},
		{name: "never healthy", scenario: "stuck", tasks: 2, timeout: 7 * time.Minute, want: TimedOut, limit: 7 * time.Minute},
		{name: "an ECS that hangs cannot hold up the timeout", scenario: "complete", tasks: 2, timeout: 3 * time.Minute, want: TimedOut, limit: 3 * time.Minute,
			before: func(a *account) { a.Fail("ecs:DescribeServices", emulator.Fault{Hang: true}) }},
		{name: "deleted in the middle", scenario: "slow", tasks: 2, want: Failed,
			before: func(a *account) {
				if _, err := a.api.DeleteService(context.Background(), &ecs.DeleteServiceInput{Cluster: aws.String("dev"), Service: aws.String("web"), Force: aws.Bool(true)}); err != nil {
					panic(err)
				}
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, tt.tasks)
				scenario, err := emulator.ParseScenario(tt.scenario)
				if err != nil {
					t.Fatal(err)
				}
				a.Script("dev", "web", scenario)
				started := a.start(t, taskdef.Change{})
				if tt.before != nil {
					tt.before(a)
				}
				if tt.timeout == 0 {
					tt.timeout = 30 * time.Minute
				}
				begin := time.Now()
				w := a.Watch(started, tt.timeout)
				var told []string
				for e := range w.Events(t.Context()) {
					told = append(told, e.Text)
				}
				if w.Err() != nil {
					t.Fatalf("ended without a verdict: %v", w.Err())
				}
				if got := w.Verdict(); got.Outcome != tt.want {
					t.Errorf("outcome %q (%s), want %q; told:\n%s", got.Outcome, got.Reason, tt.want, strings.Join(told, "\n"))
				}
				for _, want := range tt.events {
					if !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, want) }) {
						t.Errorf("%q was not told:\n%s", want, strings.Join(told, "\n"))
					}
				}
				if n := strings.Count(strings.Join(told, "\n"), tt.once); tt.once != "" && n != 1 {
					t.Errorf("%q was told %d times, want once:\n%s", tt.once, n, strings.Join(told, "\n"))
				}
				if took := time.Since(begin); tt.limit != 0 && took > tt.limit {
					t.Errorf("ended after %s, want %s at most", took, tt.limit)
				}
				if n := a.count("UpdateService"); n != 1 {
					t.Errorf("%d calls of UpdateService, want one", n)
				}
			})
		})
	}
}

// TestLastEventsAreTold: a deployment may end between the calls of one poll.
// What ECS said of the service by then is told all the same: it has the reason.
func TestLastEventsAreTold(t *testing.T) {
	for _, scenario := range []string{"rollback", "failed"} {
		t.Run(scenario, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, 2)
				scripted, err := emulator.ParseScenario(scenario)
				if err != nil {
					t.Fatal(err)
				}
				a.Script("dev", "web", scripted)
				started := a.start(t, taskdef.Change{})
				slow := a.cfg
				slow.HTTPClient = &http.Client{Transport: slowly{a.Transport(), 8 * time.Second}}
				w := New(slow).Watch(started, 30*time.Minute)
				told := map[string]bool{}
				for e := range w.Events(t.Context()) {
					told[e.Text] = true
				}
				if w.Verdict().Outcome.Good() || !w.Verdict().Final() {
					t.Fatalf("verdict %v, %v; want a bad end", w.Verdict(), w.Err())
				}
				described, err := a.api.DescribeServiceDeployments(t.Context(), &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{w.ServiceDeployment()}})
				if err != nil {
					t.Fatal(err)
				}
				ended := aws.ToTime(described.ServiceDeployments[0].UpdatedAt)
				now, err := a.Service(t.Context(), "dev", "web")
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range now.Events {
					if e.Time.After(started.Service.Primary().CreatedAt) && !e.Time.After(ended) && !told[withoutService(e.Text)] {
						t.Errorf("not told: %s", e.Text)
					}
				}
			})
		})
	}
}

// slowly takes its time with what is asked of service deployments.
type slowly struct {
	http.RoundTripper
	delay time.Duration
}

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DescribeServiceDeployments") {
		time.Sleep(s.delay)
	}
	return s.RoundTripper.RoundTrip(r)
}

// TestWatchIsCalm: however long a deployment takes, ECS is asked for it at a
// rate that leaves a team's quota alone.
func TestWatchIsCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, 2)
		scenario, err := emulator.ParseScenario("stuck")
		if err != nil {
			t.Fatal(err)
		}
		a.Script("dev", "web", scenario)
		started := a.start(t, taskdef.Change{})
		before := len(a.Requests())
		const length = 20 * time.Minute
		for range a.Watch(started, length).Events(t.Context()) {
		}
		if rate := float64(len(a.Requests())-before) / length.Seconds(); rate > 0.5 {
			t.Errorf("%.2f calls a second, want 0.5 at most", rate)
		}
	})
}

func TestWatchStopsWhenCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, 2)
		started := a.start(t, taskdef.Change{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		begin := time.Now()
		w := a.Watch(started, time.Hour)
		for range w.Events(ctx) {
		}
		if !errors.Is(w.Err(), context.DeadlineExceeded) || w.Verdict().Final() {
			t.Errorf("Err = %v, verdict %v; want the context's error and no verdict", w.Err(), w.Verdict())
		}
		if took := time.Since(begin); took != 20*time.Second {
			t.Errorf("stopped after %s, want 20s", took)
		}
	})
}

// TestVerify: a running task of ours that runs another digest is found.
func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, 150)
		digest := ""
		tasks, err := a.api.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("dev")})
		if err != nil || len(tasks.TaskArns) == 0 {
			t.Fatalf("list tasks: %v", err)
		}
		described, err := a.api.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("dev"), Tasks: tasks.TaskArns[:1]})
		if err != nil {
			t.Fatal(err)
		}
		digest = aws.ToString(described.Tasks[0].Containers[0].ImageDigest)
		if digest == "" {
			t.Fatal("the emulator tells no digest of a running container")
		}
		started := Join(a.service, a.service)
		proof, err := a.Verify(t.Context(), started, map[string][]string{"app": {"sha256:other", digest}})
		if err != nil || proof.Verified != 150 || proof.Tasks != 150 || len(proof.Wrong) != 0 {
			t.Errorf("proof = %+v, %v; want 150 tasks verified", proof, err)
		}
		proof, err = a.Verify(t.Context(), started, map[string][]string{"app": {"sha256:other"}})
		if err != nil || proof.Verified != 0 || len(proof.Wrong) != 150 {
			t.Errorf("proof = %d verified, %d wrong, %v; want 150 wrong", proof.Verified, len(proof.Wrong), err)
		}
	})
}

func TestProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, 1)
		if _, err := a.api.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("gone")}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.api.DeleteCluster(t.Context(), &ecs.DeleteClusterInput{Cluster: aws.String("gone")}); err != nil {
			t.Fatal(err)
		}
		tests := []struct{ cluster, service, input, message, hint string }{
			{"prod", "web", "cluster", `there is no cluster "prod" in eu-west-1`, "dev"},
			{"gone", "web", "cluster", "inactive", "dev"},
			{"dev", "wbe", "services", `there is no service "wbe" in cluster dev`, "web"},
		}
		for _, tt := range tests {
			_, err := a.Service(t.Context(), tt.cluster, tt.service)
			p, ok := errors.AsType[*Problem](err)
			if !ok || p.Input != tt.input || !strings.Contains(p.Message, tt.message) || !strings.Contains(p.Advice, tt.hint) {
				t.Errorf("Service(%s, %s) = %#v, want input %s: …%s… with a hint at %s", tt.cluster, tt.service, err, tt.input, tt.message, tt.hint)
			}
		}
		if _, err := a.Definition(t.Context(), "nowhere:3"); err == nil || !strings.Contains(err.Error(), "input taskDefinition") {
			t.Errorf("Definition = %v, want an error of the input taskDefinition", err)
		}
	})
}
