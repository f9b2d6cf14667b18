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
		// Of its own a service costs one UpdateService; a
		// family costs two readings and one RegisterTaskDefinition.
		{1, true, 45}, {12, true, 70}, {12, false, 90}, {50, true, 150}, {50, false, 250},
	} {
		t.Run(fmt.Sprintf("%d services, one family %v", tt.services, tt.shared), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount(t, newImageSet(t), rand.New(rand.NewPCG(1, 1)), "1", "2", "3")
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

// TestCallsBeside plays 50 services in one step beside 50 steps of one service, one after
// the other: docs/several.md has the figures.
func TestCallsBeside(t *testing.T) {
	if testing.Short() {
		t.Skip("plays a hundred rollouts")
	}
	const services = 50
	type cost struct {
		calls int
		took  time.Duration
	}
	var costs [2]cost // in one step, and in steps of their own
	for i := range costs {
		synctest.Test(t, func(t *testing.T) {
			a := newAccount(t, newImageSet(t), rand.New(rand.NewPCG(1, 1)), "1", "2", "3")
			defer a.Emulator.Close()
			revision := a.define("app", "1")
			var names []deploy.Service
			for n := range services {
				names = append(names, deploy.Service{Cluster: simCluster, Name: fmt.Sprintf("service-%02d", n)})
				a.serve(names[n].Name, revision, nil)
			}
			release := func(build string, some []deploy.Service) time.Duration {
				result, err := a.deployer(quiet{}).Run(t.Context(), deploy.Request{
					Rollout: true, Wait: true, Timeout: 30 * time.Minute, WhenBusy: deploy.Wait, MaxFailedTasks: 3, RollbackOnFailure: true, Services: some,
					Repository: simRepository, Tags: []string{build}, Until: rollout.UntilCompleted, Origin: taskdef.Provenance{Pipeline: "p1", BuildID: build},
				})
				if err != nil || result.Outcome() != rollout.Succeeded {
					t.Fatal(result.Outcome(), err)
				}
				return result.Took
			}
			a.settle()
			release("2", names) // the first release has a history to search
			a.settle()
			a.line.forget()
			steps := [][]deploy.Service{names}
			if i == 1 {
				steps = slices.Collect(slices.Chunk(names, 1))
			}
			for _, some := range steps {
				costs[i].took += release("3", some)
			}
			for _, n := range a.line.counts {
				costs[i].calls += n
			}
		})
	}
	t.Logf("one step: %d calls in %s; %d steps: %d calls in %s", costs[0].calls, costs[0].took.Round(time.Second), services, costs[1].calls, costs[1].took.Round(time.Second))
	if costs[0].calls > 250 || costs[0].calls*5 > costs[1].calls || costs[0].took*20 > costs[1].took {
		t.Errorf("%+v", costs)
	}
}
