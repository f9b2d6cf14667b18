package emulator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func (w *world) state(s types.Service) types.DeploymentRolloutState {
	return s.Deployments[0].RolloutState
}

// strictLong is how long a scenario is looked at whose deployment does not end.
const strictLong = 15 * time.Minute

// strictScenarios is how the service deployments of the scenarios in which one view alone misleads end.
var strictScenarios = map[string]struct {
	status  types.ServiceDeploymentStatus // "" is that the service deployment is gone
	from    time.Duration                 // how long it takes at least …
	to      time.Duration                 // … and at most
	stopped string                        // reason of a stopped task
	event   string
}{
	"desired-zero":        {status: "SUCCESSFUL", to: time.Minute},
	"early-success":       {status: "SUCCESSFUL", from: 20 * time.Second, to: 2 * time.Minute},
	"early-success-crash": {status: "SUCCESSFUL", from: 20 * time.Second, to: 2 * time.Minute},
	"bare-start-failure":  {status: "IN_PROGRESS", from: strictLong, stopped: "Task failed to start"},
	"slow-pull-errors":    {status: "IN_PROGRESS", from: strictLong, stopped: "CannotPullContainerError"},
	"classic-balancer":    {status: "SUCCESSFUL", to: 2 * time.Minute},
	"breaker-at-four":     {status: "ROLLBACK_SUCCESSFUL", from: time.Minute, to: 4 * time.Minute, stopped: "Essential container"},
	"several-pauses":      {status: "IN_PROGRESS", from: strictLong},
	"pause-expires":       {status: "ROLLBACK_SUCCESSFUL", from: 5 * time.Minute, to: 8 * time.Minute},
	"pause-continues":     {status: "SUCCESSFUL", from: 6 * time.Minute, to: 9 * time.Minute},
	"long-bake":           {status: "IN_PROGRESS", from: strictLong},
	"deleted":             {from: 29 * time.Second, to: 31 * time.Second},
	"no-instance-late":    {status: "SUCCESSFUL", from: 2 * time.Minute, to: 6 * time.Minute, event: "insufficient memory"},
	"no-capacity-late":    {status: "SUCCESSFUL", from: 2 * time.Minute, to: 6 * time.Minute, event: "Capacity is unavailable"},
	"late-cpu":            {stopped: "TaskFailedToStart: RESOURCE:CPU"},
	"late-memory":         {stopped: "TaskFailedToStart: RESOURCE:MEMORY"},
	"late-ports":          {stopped: "TaskFailedToStart: RESOURCE:PORTS"},
	"late-agent":          {stopped: "TaskFailedToStart: AGENT"},
	"late-attribute":      {stopped: "TaskFailedToStart: ATTRIBUTE"},
	"late-instances":      {stopped: "TaskFailedToStart: NO ACTIVE INSTANCES"},
	"late-provider":       {stopped: "TaskFailedToStart: EMPTY CAPACITY PROVIDER"},
	"late-managed":        {stopped: "ResourceInitializationError: Unable to launch instance(s)"},
}

// TestStrictScenarios plays each of the scenarios in which one view alone misleads, and looks at how its service deployment ends.
func TestStrictScenarios(t *testing.T) {
	t.Parallel()
	const long = strictLong
	for _, scenario := range sampled(Scenarios()) {
		want, ok := strictScenarios[scenario.Name]
		if !ok {
			continue // TestScenarios has it
		}
		t.Run(scenario.Name, func(t *testing.T) {
			if strings.HasPrefix(scenario.Name, "late-") {
				want.status, want.from, want.to = "SUCCESSFUL", time.Minute, 6*time.Minute
			}
			inDemo(t, func(w *world) {
				revision := w.register(nil)
				w.Script(DemoCluster, DemoService, scenario)
				after := w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = revision })
				ours, arn, start := *after.Deployments[0].Id, *after.CurrentServiceDeployment, time.Now()
				var status types.ServiceDeploymentStatus
				for time.Since(start) < long {
					out, err := w.ecs.DescribeServiceDeployments(w.ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn}})
					if err != nil {
						refused(t, err, "ServiceNotFoundException", "Service not found.")
						status = ""
						break
					}
					if status = out.ServiceDeployments[0].Status; status != "PENDING" && status != "IN_PROGRESS" && status != "ROLLBACK_IN_PROGRESS" {
						break
					}
					if out.ServiceDeployments[0].LifecycleStage != "" && scenario.Strategy == nil {
						t.Errorf("a rolling update has the stage %s", out.ServiceDeployments[0].LifecycleStage)
					}
					time.Sleep(time.Second)
				}
				took := time.Since(start)
				if status != want.status || took < want.from || want.to > 0 && took > want.to {
					t.Errorf("%q after %v, want %q after %v to %v", status, took, want.status, want.from, want.to)
				}
				if want.stopped != "" && !slices.ContainsFunc(w.tasks(&ours, types.DesiredStatusStopped), func(t types.Task) bool { return strings.HasPrefix(*t.StoppedReason, want.stopped) }) {
					t.Errorf("no task has stopped with %q", want.stopped)
				}
				if scenario.Name == "bare-start-failure" {
					task := w.tasks(&ours, types.DesiredStatusStopped)[0]
					if got := aws.ToString(task.Containers[0].Reason); !strings.HasPrefix(got, "CannotPullImageManifestError: ") || !strings.HasSuffix(got, "Requested image not found") {
						t.Errorf("the container's reason is %q", got)
					}
				}
				s := w.service()
				if want.event != "" && !slices.ContainsFunc(s.Events, func(e types.ServiceEvent) bool { return strings.Contains(*e.Message, want.event) }) {
					t.Errorf("no event says %q", want.event)
				}
				switch scenario.Name {
				case "classic-balancer":
					if s.Deployments[0].RolloutState != "" {
						t.Errorf("rolloutState is %s", s.Deployments[0].RolloutState)
					}
				case "early-success":
					if d := s.Deployments[0]; d.RunningCount != 1 || d.RolloutState != "COMPLETED" {
						t.Errorf("%d tasks run and the deployment is %s", d.RunningCount, d.RolloutState)
					}
					w.wait(6*time.Minute, "at its full count", func() bool { s := w.service(); return len(s.Deployments) == 1 && s.Deployments[0].RunningCount == 2 })
				case "early-success-crash":
					time.Sleep(10 * time.Minute)
					if d := w.service().Deployments[0]; d.RolloutState != "COMPLETED" || d.FailedTasks < 3 || d.RunningCount != 1 {
						t.Errorf("%d tasks run, %d failed, the deployment is %s", d.RunningCount, d.FailedTasks, d.RolloutState)
					}
				case "slow-pull-errors":
					if n := len(w.tasks(&ours, types.DesiredStatusStopped)); n != 8 {
						t.Errorf("%d tasks were started, want 8: two at once, and three times two", n)
					}
				case "desired-zero":
					if s.RunningCount != 0 || w.state(s) != "COMPLETED" {
						t.Errorf("%d tasks run; the deployment is %s", s.RunningCount, w.state(s))
					}
				}
			})
		})
	}
}

// TestSeveralPauses continues a canary deployment at each of its pauses.
func TestSeveralPauses(t *testing.T) {
	t.Parallel()
	scenario, err := ParseScenario("several-pauses")
	if err != nil {
		t.Fatal(err)
	}
	inDemo(t, func(w *world) {
		w.Script(DemoCluster, DemoService, scenario)
		arn := *w.update(force).CurrentServiceDeployment
		var stages []string
		seen := map[string]bool{}
		for w.deployment(arn).Status != "SUCCESSFUL" {
			d := w.deployment(arn)
			for _, h := range d.LifecycleHookDetails {
				if h.Status == "AWAITING_ACTION" && !seen[*h.HookId] {
					seen[*h.HookId] = true
					stages = append(stages, string(d.LifecycleStage))
					if h.ExpiresAt == nil || h.TimeoutAction != "ROLLBACK" {
						t.Errorf("hook %+v lacks its timeout", h)
					}
					must(w.ecs.ContinueServiceDeployment(w.ctx, &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: &arn, HookId: h.HookId}))(w)
				}
			}
			time.Sleep(time.Second)
		}
		if got := strings.Join(stages, " "); got != "POST_TEST_TRAFFIC_SHIFT PRE_PRODUCTION_TRAFFIC_SHIFT PRE_PRODUCTION_TRAFFIC_SHIFT" {
			t.Errorf("paused at %s", got)
		}
	})
}

// TestLags compares the two views of one deployment, second by second, over many seeds: which is behind, and by how much, is the seed's.
func TestLags(t *testing.T) {
	t.Parallel()
	recordFirst, listFirst, unlisted := 0, 0, 0
	seeds := uint64(24)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		inDemo(t, func(w *world) {
			w.Behave(Behaviour{Seed: seed, ListLag: 45 * time.Second, CompletionLag: time.Minute, RecordLag: 105 * time.Second})
			s := w.update(force)
			arn := *s.CurrentServiceDeployment
			var record, list, listed time.Time
			for record.IsZero() || list.IsZero() || listed.IsZero() {
				if out := must(w.ecs.ListServiceDeployments(w.ctx, &ecs.ListServiceDeploymentsInput{Cluster: aws.String(DemoCluster), Service: aws.String(DemoService)}))(w); listed.IsZero() && *out.ServiceDeployments[0].ServiceDeploymentArn == arn {
					listed = time.Now()
				}
				if record.IsZero() && w.deployment(arn).Status == "SUCCESSFUL" {
					record = time.Now()
				}
				if list.IsZero() && w.state(w.service()) == "COMPLETED" {
					list = time.Now()
				}
				time.Sleep(time.Second)
			}
			lag := list.Sub(record)
			if lag > time.Minute+time.Second || lag < -106*time.Second {
				t.Errorf("seed %d: the list is %v behind the record", seed, lag)
			}
			if lag > 0 {
				recordFirst++
			} else if lag < 0 {
				listFirst++
			}
			if listed.After(*s.Deployments[0].CreatedAt) {
				unlisted++
			}
		})
	}
	if !testing.Short() && (recordFirst < 3 || listFirst < 3 || unlisted < 3) {
		t.Errorf("of 24 seeds %d had the record first, %d the list, and %d did not list it at once", recordFirst, listFirst, unlisted)
	}
}

// TestRollbackRevives shows what a rollback looks like in both views: the earlier deployment's id is the primary one again, says so in its own
// reason, and has no service deployment of its own.
func TestRollbackRevives(t *testing.T) {
	t.Parallel()
	for _, anew := range []bool{false, true} {
		inDemo(t, func(w *world) {
			w.Behave(Behaviour{NewCreationTime: anew})
			w.Script(DemoCluster, DemoService, scenarioNamed(t, "rollback"))
			before := w.service().Deployments[0]
			after := w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = w.register(nil) })
			ours, arn := after.Deployments[0], *after.CurrentServiceDeployment
			w.wait(5*time.Minute, "rolling back", func() bool { return w.deployment(arn).Status == "ROLLBACK_IN_PROGRESS" })
			s := w.service()
			if p := s.Deployments[0]; *p.Id != *before.Id || *p.RolloutStateReason != "ECS deployment circuit breaker: rolling back to deploymentId "+*before.Id+"." || p.CreatedAt.Equal(*before.CreatedAt) == anew {
				t.Errorf("the primary deployment is %s (%s), created %v; want %s", *p.Id, *p.RolloutStateReason, p.CreatedAt, *before.Id)
			}
			if d := s.Deployments[1]; *d.Id != *ours.Id || d.RolloutState != "FAILED" || strings.Contains(*d.RolloutStateReason, "rolling back") {
				t.Errorf("the failed deployment is %s (%s: %s)", *d.Id, d.RolloutState, *d.RolloutStateReason)
			}
			if *s.CurrentServiceDeployment != arn {
				t.Errorf("the current service deployment is %s, want the failed one", *s.CurrentServiceDeployment)
			}
			if revision := *w.deployment(arn).Rollback.ServiceRevisionArn; !strings.HasSuffix(revision, strings.TrimPrefix(*before.Id, "ecs-svc")) {
				t.Errorf("%s does not belong to %s", revision, *before.Id)
			}
			must(w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &arn}))(w) // continues the rollback
			w.wait(5*time.Minute, "rolled back", func() bool { return w.deployment(arn).Status == "ROLLBACK_SUCCESSFUL" })
			_, err := w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &arn})
			refused(t, err, "ConflictException", "Cannot stop a service deployment with the status ROLLBACK_SUCCESSFUL.")
		})
	}
}

func scenarioNamed(t *testing.T, name string) Scenario {
	t.Helper()
	s, err := ParseScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNoRollbackCandidate stops a service's first deployment: the answer is the usual one, and the end comes later.
func TestNoRollbackCandidate(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		created := must(w.ecs.CreateService(w.ctx, &ecs.CreateServiceInput{
			Cluster: aws.String(DemoCluster), ServiceName: aws.String("first"), TaskDefinition: aws.String(DemoFamily), DesiredCount: aws.Int32(1), LaunchType: "FARGATE",
			NetworkConfiguration: w.service().NetworkConfiguration,
		}))(w).Service
		arn := *created.CurrentServiceDeployment
		must(w.ecs.StopServiceDeployment(w.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &arn}))(w)
		if got := w.deployment(arn).Status; got != "ROLLBACK_REQUESTED" {
			t.Errorf("at once it is %s", got)
		}
		w.wait(time.Minute, "ended", func() bool { return w.deployment(arn).Status == "ROLLBACK_FAILED" })
		if got := *w.deployment(arn).StatusReason; got != "No rollback candidate was found to run the rollback." {
			t.Error(got)
		}
	})
}
