package rollout

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/taskdef"
)

// TestDetection measures how long after ECS ended a deployment the watch says
// so, and with how many calls; "go test -v -run TestDetection" prints the
// figures. The AWS CLI's waiter asks every 15 s: it is late by 7.5 s on average,
// and by up to 15 s, where it sees the end at all.
func TestDetection(t *testing.T) {
	for _, name := range []string{"complete", "slow", "flapping", "rollback", "failed", "stuck"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, 2)
				scenario, err := emulator.ParseScenario(name)
				if err != nil {
					t.Fatal(err)
				}
				a.Script("dev", "web", scenario)
				started := a.start(t, taskdef.Change{})
				before, begin := len(a.Requests()), time.Now()
				w := a.Watch(started, 40*time.Minute)
				for range w.Events(t.Context()) {
				}
				took, calls := time.Since(begin), len(a.Requests())-before
				late := time.Duration(0)
				if w.Verdict().Outcome != TimedOut {
					out, err := a.api.DescribeServiceDeployments(t.Context(), &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{w.ServiceDeployment()}})
					if err != nil {
						t.Fatal(err)
					}
					d := out.ServiceDeployments[0]
					ended := aws.ToTime(d.FinishedAt)
					if d.FinishedAt == nil {
						ended = aws.ToTime(d.StoppedAt)
					}
					late = begin.Add(took).Sub(ended)
				}
				t.Logf("%s after %s: told %.1f s after the end, %d calls, %.2f a second (the waiter: up to 15 s, %d calls)",
					w.Verdict().Outcome, took.Round(time.Second), late.Seconds(), calls, float64(calls)/took.Seconds(), int(took/(15*time.Second))+1)
				if late < 0 || late > calmPoll*11/10 {
					t.Errorf("told %s after the end, want one poll at most", late)
				}
				if most := callsAtOnce + callsPerSecond*took.Seconds() + 4; float64(calls) > most {
					t.Errorf("%d calls in %s, want %.0f at most", calls, took, most)
				}
			})
		})
	}
}
