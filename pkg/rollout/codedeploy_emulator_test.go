package rollout

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/taskdef"
)

// newShippedAccount is an account whose service is deployed by CodeDeploy.
func newShippedAccount(t *testing.T) *account {
	t.Helper()
	e, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if err := e.CodeDeployDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := &account{Emulator: e, Client: New(aws.Config{Region: e.Region(), HTTPClient: &http.Client{Transport: e.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")})}
	if a.service, err = a.Service(t.Context(), emulator.DemoCluster, emulator.DemoService); err != nil {
		t.Fatal(err)
	}
	return a
}

// ship registers a revision and has CodeDeploy deploy it as the scenario says.
func (a *account) ship(t *testing.T, name string, change CodeDeployChange) CodeDeployment {
	t.Helper()
	scenario, err := emulator.ParseScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	a.Script(emulator.DemoCluster, emulator.DemoService, scenario)
	base, err := a.Definition(t.Context(), emulator.DemoFamily)
	if err != nil {
		t.Fatal(err)
	}
	revised, err := base.Revise(taskdef.Change{Images: map[string]string{base.Containers()[0].Name: "public.ecr.aws/nginx/nginx:1.28"}})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := a.Register(t.Context(), revised)
	if err != nil {
		t.Fatal(err)
	}
	group, err := a.CodeDeployGroup(t.Context(), a.service)
	if err != nil {
		t.Fatal(err)
	}
	change.TaskDefinition = stored.ARN()
	d, err := a.CreateDeployment(t.Context(), group, a.service, change)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCodeDeploy deploys in an emulated account from end to end.
func TestCodeDeploy(t *testing.T) {
	tests := []struct {
		name     string
		scenario string
		want     Outcome
		reason   string
		events   []string
		limit    time.Duration
	}{
		{name: "a deployment that succeeds", scenario: "complete", want: Succeeded,
			events: []string{"Install succeeded", "100 % of production traffic on the new task set; CodeDeploy ends the previous one after 1 min", "2 of 2 running"}},
		{name: "an alarm", scenario: "alarm", want: RolledBack, reason: "ALARM_ACTIVE", events: []string{"CodeDeploy rolls back with deployment d-"}},
		{name: "tasks that crash are not waited for", scenario: "crash", want: Failed, reason: "tasks stopped alike", limit: 5 * time.Minute},
		{name: "tasks that never become healthy", scenario: "stuck", want: TimedOut, reason: "its CodeDeploy deployment is in progress", limit: 30 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newShippedAccount(t)
				d := a.ship(t, tt.scenario, CodeDeployChange{RollBack: true})
				d.MaxFailedTasks = 3
				begin := time.Now()
				w := a.WatchCodeDeploy(d, 30*time.Minute)
				var told []string
				for e := range w.Events(t.Context()) {
					told = append(told, e.Text)
				}
				if got := w.Verdict(); w.Err() != nil || got.Outcome != tt.want || !strings.Contains(got.Reason, tt.reason) {
					t.Fatalf("verdict %q (%s), %v; want %q (…%s…); told:\n%s", got.Outcome, got.Reason, w.Err(), tt.want, tt.reason, strings.Join(told, "\n"))
				}
				for _, want := range tt.events {
					if !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, want) }) {
						t.Errorf("%q was not told:\n%s", want, strings.Join(told, "\n"))
					}
				}
				if took := time.Since(begin); tt.limit != 0 && took > tt.limit {
					t.Errorf("ended after %s, want %s at most", took, tt.limit)
				}
				a.proveCodeDeploy(t, d, w)
			})
		})
	}
}

// proveCodeDeploy checks that the service is where the verdict says.
func (a *account) proveCodeDeploy(t *testing.T, d CodeDeployment, w *CodeDeployWatch) {
	t.Helper()
	switch outcome := w.Verdict().Outcome; outcome {
	case Succeeded:
		now, err := a.Service(t.Context(), emulator.DemoCluster, emulator.DemoService)
		if err != nil || now.Primary().TaskDefinition != d.TaskDefinition {
			t.Errorf("the service runs %s, %v; want %s", now.Primary().TaskDefinition, err, d.TaskDefinition)
		}
		proof, err := a.Verify(t.Context(), w.Started(), map[string][]string{})
		if err != nil || proof.Tasks != 2 {
			t.Errorf("Verify found %d tasks of ours, %v; want 2", proof.Tasks, err)
		}
		// The same again, from a service that is read anew.
		if proof, err = a.Verify(t.Context(), Join(now, now), map[string][]string{}); err != nil || proof.Tasks != 2 {
			t.Errorf("Verify found %d tasks of the service, %v; want 2", proof.Tasks, err)
		}
	case RolledBack:
		now, err := a.Service(t.Context(), emulator.DemoCluster, emulator.DemoService)
		if err != nil || now.Primary().TaskDefinition != d.Previous {
			t.Errorf("the service runs %s, %v; want %s", now.Primary().TaskDefinition, err, d.Previous)
		}
	default: // it goes on, until it is stopped
		if !w.UnderWay() {
			t.Fatal("it has ended")
		}
		if outcome == Failed {
			if found := a.Diagnose(t.Context(), w.Started(), w.State()); len(found.Causes) == 0 || found.Causes[0].StopCode != "EssentialContainerExited" {
				t.Errorf("the diagnosis is %+v", found)
			}
		}
		if err := a.StopCodeDeploy(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		again := a.WatchCodeDeploy(d.Again(), 15*time.Minute)
		for range again.Events(t.Context()) {
		}
		if v := again.Verdict(); v.Outcome != RolledBack {
			t.Errorf("after it was stopped: %v, %v; want rolledBack", v, again.Err())
		}
	}
}

// TestDiagnoseAnAlarm: tasks that ran, and that went with the deployment, are no
// riddle where CodeDeploy says what ended it.
func TestDiagnoseAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newShippedAccount(t)
		w := a.WatchCodeDeploy(a.ship(t, "alarm", CodeDeployChange{}), 30*time.Minute)
		for range w.Events(t.Context()) {
		}
		found := a.Diagnose(t.Context(), w.Started(), w.State())
		if w.Verdict().Outcome != RolledBack || len(found.Causes) != 1 || !strings.Contains(found.Causes[0].Reason, "ALARM_ACTIVE") || found.Causes[0].Hint == "" {
			t.Errorf("%v: the diagnosis is %q, want the alarm alone", w.Verdict(), found.Lines())
		}
	})
}

// TestCodeDeployTwice: a second deployment beside the first is refused with
// its id, and the first one can be found and followed.
func TestCodeDeployTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newShippedAccount(t)
		first := a.ship(t, "complete", CodeDeployChange{})
		group, err := a.CodeDeployGroup(t.Context(), a.service)
		if err != nil || group.InFlight != first.ID {
			t.Fatalf("group %+v, %v; want %s in flight", group, err, first.ID)
		}
		_, err = a.CreateDeployment(t.Context(), group, a.service, CodeDeployChange{TaskDefinition: a.service.TaskDefinition})
		if busy, ok := err.(*BusyError); !ok || busy.Deployment != first.ID {
			t.Errorf("error %v, want a BusyError that names %s", err, first.ID)
		}
		// The same revision once more is the deployment that is there.
		joined, err := a.CreateDeployment(t.Context(), group, a.service, CodeDeployChange{TaskDefinition: first.TaskDefinition})
		if err != nil || joined.ID != first.ID {
			t.Errorf("= %s, %v; want %s", joined.ID, err, first.ID)
		}
		other, busy, err := a.CodeDeployInFlight(t.Context(), group, a.service)
		if err != nil || !busy || other.ID != first.ID || other.TaskDefinition != first.TaskDefinition {
			t.Fatalf("= %+v, %v, %v; want %s", other.Target, busy, err, first.ID)
		}
		w := a.WatchCodeDeploy(other, time.Hour)
		for range w.Events(t.Context()) {
		}
		if v := w.Verdict(); v.Outcome != Succeeded {
			t.Errorf("the first ended with %v, %v", v, w.Err())
		}
	})
}
