package emulator

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// TestInterposed changes the world at the boundary of a call, and loses, delays and refuses calls.
func TestInterposed(t *testing.T) {
	t.Parallel()
	inDemo(t, func(w *world) {
		them := w.Outsider(DemoCluster, DemoService)
		calls := 0
		w.Interpose(func(c Call) *Fault {
			calls++
			switch {
			case c.Operation == "UpdateService":
				return &Fault{Lost: true}
			case c.Operation == "ListTasks":
				return &Fault{Code: "ThrottlingException"}
			case c.Operation == "DescribeServiceDeployments" && strings.HasPrefix(c.Resource, "arn:aws:ecs:"):
				return &Fault{Delay: time.Minute, Late: time.Second}
			case c.Operation == "DescribeServices" && calls == 2:
				them.Deploy() // between our update and our look at it
			}
			return nil
		})
		_, err := w.ecs.UpdateService(w.ctx, &ecs.UpdateServiceInput{Cluster: ptr(DemoCluster), Service: ptr(DemoService), ForceNewDeployment: true})
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a lost answer is %v", err)
		}
		s := w.service()
		if len(s.Deployments) != 3 || !strings.HasSuffix(*s.TaskDefinition, ":2") {
			t.Errorf("%d deployments on %s, want the one before, ours and theirs", len(s.Deployments), *s.TaskDefinition)
		}
		_, err = w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{Cluster: ptr(DemoCluster)})
		refused(t, err, "ThrottlingException", "Rate exceeded")
		start := time.Now()
		w.deployment(*s.CurrentServiceDeployment)
		if took := time.Since(start); took != 61*time.Second {
			t.Errorf("the delayed call took %v", took)
		}
		w.Interpose(nil)

		h := w.History()
		last := h.Deployments[len(h.Deployments)-2:]
		if ours := last[0]; ours.Status != "STOPPED" || ours.SupersededBy != last[1].ID || ours.Caller != "arn:aws:iam::123456789012:user/emulator" || !ours.Final() {
			t.Errorf("ours is on record as %+v", ours)
		}
		if theirs := last[1]; theirs.Status != "SUCCESSFUL" && theirs.Status != "IN_PROGRESS" || theirs.Caller != "arn:aws:iam::123456789012:user/somebody-else" {
			t.Errorf("theirs is on record as %+v", theirs)
		}
		ourCall := h.Changes[len(h.Changes)-2]
		if ourCall.Operation != "ecs:UpdateService" || !ourCall.Lost || ourCall.Effect != "started" || ourCall.Deployment != last[0].ID || !strings.HasSuffix(ourCall.Resource, "service/"+DemoCluster+"/"+DemoService) {
			t.Errorf("our call is on record as %+v", ourCall)
		}
	})
}

func ptr[T any](v T) *T { return &v }

// TestOutsider lets everybody else act once each.
func TestOutsider(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		scenario string
		act      func(Outsider) bool
		status   string // of the deployment under way, in the end
		then     func(w *world) error
	}{
		{"deploy", "slow", Outsider.Deploy, "STOPPED", nil},
		{"force", "slow", Outsider.Force, "STOPPED", nil},
		{"scale", "slow", func(o Outsider) bool { return o.Scale(3) }, "SUCCESSFUL", func(w *world) error {
			if n := w.service().RunningCount; n != 3 {
				return fmt.Errorf("%d tasks run, want 3", n)
			}
			return nil
		}},
		{"stop", "slow", Outsider.Stop, "ROLLBACK_SUCCESSFUL", nil},
		{"delete", "slow", Outsider.Delete, "STOPPED", nil},
		{"breaker", "slow", Outsider.TripBreaker, "ROLLBACK_SUCCESSFUL", nil},
		{"alarm", "alarm", func(o Outsider) bool { return o.RaiseAlarm(DemoAlarm) }, "ROLLBACK_SUCCESSFUL", nil},
		{"continue", "paused", func(o Outsider) bool { return o.Answer("CONTINUE") }, "SUCCESSFUL", nil},
		{"roll back", "paused", func(o Outsider) bool { return o.Answer("ROLLBACK") }, "ROLLBACK_SUCCESSFUL", nil},
		{"kill a task", "paused", Outsider.KillTask, "IN_PROGRESS", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inDemo(t, func(w *world) {
				w.Script(DemoCluster, DemoService, scenarioNamed(t, test.scenario))
				ours := *w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = w.register(nil) }).Deployments[0].Id
				time.Sleep(50 * time.Second)
				them := w.Outsider(DemoCluster, DemoService)
				if !test.act(them) {
					t.Fatal("nothing to act on")
				}
				time.Sleep(10 * time.Minute)
				for _, d := range w.History().Deployments {
					if d.ID == ours && d.Status != test.status {
						t.Errorf("%s (%s), want %s", d.Status, d.Reason, test.status)
					}
				}
				if test.then != nil {
					if err := test.then(w); err != nil {
						t.Error(err)
					}
				}
				if w.Outsider(DemoCluster, "nope").Force() {
					t.Error("it acts where there is nothing to act on")
				}
			})
		})
	}
}

// TestDeterminism plays the same seed twice and compares everything that happened.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	play := func(seed uint64) (out string) {
		inDemo(t, func(w *world) {
			w.Behave(Realistic(seed))
			w.Script(DemoCluster, DemoService, scenarioNamed(t, "rollback"))
			w.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = w.register(nil) })
			for range 200 {
				s := w.service()
				out += string(s.Deployments[0].RolloutState) + *s.Deployments[0].Id + string(w.latest().Status) + "\n"
				time.Sleep(time.Second)
			}
			out += fmt.Sprintf("%+v", w.History())
		})
		return out
	}
	if first, again := play(7), play(7); first != again {
		t.Error("the same seed plays differently")
	}
	if play(7) == play(8) {
		t.Error("another seed plays alike")
	}
}
