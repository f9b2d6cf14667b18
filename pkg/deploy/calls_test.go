package deploy_test

// What a rollout costs: calls to AWS from the plan to the end, for one service and
// for many. Accounts share their limits, and a team releases many services at once.

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// quiet is a view that shows nothing.
type quiet struct{}

func (quiet) Section(deploy.Section) func() { return func() {} }
func (quiet) Show(any)                      {}
func (quiet) Progress(int, deploy.Phase)    {}

func TestCalls(t *testing.T) {
	for _, tt := range []struct {
		services int
		shared   bool
		most     int
	}{
		// Of its own a service costs one UpdateService and one ListTasks for the proof; a
		// family costs two readings and one RegisterTaskDefinition.
		{1, true, 50}, {12, true, 90}, {12, false, 120}, {50, true, 250}, {50, false, 400},
	} {
		t.Run(fmt.Sprintf("%d services, one family %v", tt.services, tt.shared), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, newStudio(t), rand.New(rand.NewPCG(1, 1)), "1", "2", "3")
				defer a.Emulator.Close()
				r := deploy.Request{
					Rollout: true, Wait: true, Timeout: 30 * time.Minute, WhenBusy: deploy.Wait, MaxFailedTasks: 3, RollbackOnFailure: true,
					Repository: simRepository, Tags: []string{"3"}, Until: rollout.UntilCompleted, Origin: taskdef.Provenance{Pipeline: "p1", BuildID: "3"},
				}
				revision := a.define("app", "1")
				for i := range tt.services {
					name := fmt.Sprintf("service-%02d", i)
					if !tt.shared {
						revision = a.define("app-"+name, "1")
					}
					a.serve(name, revision, nil)
					r.Services = append(r.Services, deploy.Service{Cluster: simCluster, Name: name})
				}
				a.settle()
				r.Tags, r.Origin.BuildID = []string{"2"}, "2"
				if _, err := a.deployer(quiet{}).Run(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				a.settle()
				a.line.forget() // the first release has a history to search
				r.Tags, r.Origin.BuildID = []string{"3"}, "3"
				result, err := a.deployer(quiet{}).Run(t.Context(), r)
				if err != nil || result.Outcome() != rollout.Succeeded {
					t.Fatal(result.Outcome(), err)
				}
				total := 0
				for _, n := range a.line.counts {
					total += n
				}
				t.Logf("%d calls in %s", total, result.Took.Round(time.Second))
				for _, operation := range slices.Sorted(maps.Keys(a.line.counts)) {
					t.Logf("%5d %s", a.line.counts[operation], operation)
				}
				if total > tt.most {
					t.Errorf("%d calls, and at most %d are wanted", total, tt.most)
				}
			})
		})
	}
}
