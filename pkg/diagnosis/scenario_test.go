package diagnosis

import (
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/emulator"
)

// TestScenarios: every way in which tasks of the emulator fail, and whether a
// deployment is given up for it.
func TestScenarios(t *testing.T) {
	const secret = `, "secrets": [{"name": "DB", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/web/db"}]`
	for _, tt := range []struct {
		scenario string
		members  string // of the container
		want     Fault
	}{
		{"crash", ``, Revision},
		{"pull-error", ``, Revision},
		{"no-image", ``, Revision},
		{"pull-timeout", ``, Revision},
		{"wrong-platform", ``, Revision},
		{"wrong-architecture", ``, Revision},
		{"no-secret", secret, Revision},
		{"no-log-group", ``, Revision},
		{"container-unhealthy", `, "healthCheck": {"command": ["CMD-SHELL", "curl -f localhost:8080"]}`, Revision},
		{"out-of-memory", ``, Revision},
		{"exit-0", ``, Revision},
		{"no-command", ``, Revision},
		{"no-address", ``, Capacity},
		{"no-capacity", ``, Capacity},
		{"no-instance", ``, Capacity},
		{"no-role", ``, Revision},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, 2)
				s := a.deploy(t, tt.scenario, containers(tt.members), 10*time.Minute)
				causes := append(a.Stops(t.Context(), s), Troubles(s.Events, s.Since)...)
				if len(causes) == 0 {
					t.Fatal("no cause")
				}
				if causes[0].Fault != tt.want || causes[0].Hint == "" {
					t.Errorf("fault %q, hint %q: %s; want fault %q and a hint", causes[0].Fault, causes[0].Hint, causes[0].Clause(), tt.want)
				}
				_, tasks := Hopeless(causes, 3)
				_, role := Unlaunchable(s.Events, s.Since, 0, 3)
				if given := tasks || role; given != (tt.want == Revision) {
					t.Errorf("given up: %v", given)
				}
				if _, waits := Awaited(causes); waits != (tt.want != Revision) {
					t.Errorf("waited for: %v", waits)
				}
			})
		})
	}
}

// TestHealthOfService: while a service behind a load balancer comes up, first no
// task is healthy and in the end all are.
func TestHealthOfService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, 1)
		a.balanced(t)
		a.Script("dev", "balanced", emulator.Scenario{})
		service, err := a.client.Service(t.Context(), "dev", "balanced")
		if err != nil {
			t.Fatal(err)
		}
		healthy, total, known := a.Health(t.Context(), "dev", service.Primary().ID, service.TargetGroups)
		if healthy != 2 || total != 2 || !known {
			t.Errorf("%d of %d healthy, known: %v; want 2 of 2", healthy, total, known)
		}
		a.Mend("ecs:*")
		a.Fail("elasticloadbalancing:DescribeTargetHealth", emulator.Denied())
		if healthy, total, known = a.Health(t.Context(), "dev", service.Primary().ID, service.TargetGroups); healthy != 2 || total != 2 || !known {
			t.Errorf("without the load balancer's view: %d of %d healthy, known: %v; want 2 of 2", healthy, total, known)
		}
		a.Fail("ecs:ListTasks", emulator.Denied())
		if _, _, known = a.Health(t.Context(), "dev", service.Primary().ID, service.TargetGroups); known {
			t.Error("the tasks may not be listed, and yet their health is known")
		}
	})
}

func BenchmarkStopCauses(b *testing.B) {
	tasks := alike(1000, "TaskFailedToStart", "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:9: not found",
		unstarted("envoy", ""), unstarted("app", "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref web:9: not found"))
	for b.Loop() {
		StopCauses(tasks)
	}
}
