package rollout

// A small simulation: deployments in worlds that a seed draws. The views lag,
// rights are missing, and ECS's own monitors or somebody else act at some moment.
// What is judged is compared with what truly happened.

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/emulator"
)

// deeds are what somebody may do to a service in the middle of a deployment.
var deeds = map[string]func(emulator.Outsider) bool{
	"nothing":  func(emulator.Outsider) bool { return true },
	"breaker":  emulator.Outsider.TripBreaker,
	"deploy":   emulator.Outsider.Deploy,
	"force":    emulator.Outsider.Force,
	"stop":     emulator.Outsider.Stop,
	"scale":    func(o emulator.Outsider) bool { return o.Scale(3) },
	"delete":   emulator.Outsider.Delete,
	"killTask": emulator.Outsider.KillTask,
}

// truth is the record of a deployment that no view delays.
func (w *world) truth(id string) emulator.DeploymentRecord {
	w.Helper()
	for _, d := range w.History().Deployments {
		if d.ID == id {
			return d
		}
	}
	w.Fatalf("no deployment %s", id)
	return emulator.DeploymentRecord{}
}

func TestSimulation(t *testing.T) {
	scenarios := []string{"complete", "slow", "rollback", "failed", "crash", "flapping", "blue-green", "canary", "alarm", "superseded"}
	names := []string{"nothing", "breaker", "deploy", "force", "stop", "scale", "delete", "killTask"}
	seeds := uint64(120)
	if testing.Short() {
		seeds = 20
	}
	outcomes := map[Outcome]int{}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 3))
		scenario, deed := scenarios[r.IntN(len(scenarios))], names[r.IntN(len(names))]
		after := time.Duration(r.IntN(150)) * time.Second
		noList, noDescribe := r.IntN(4) == 0, r.IntN(4) == 0
		behaviour := emulator.Realistic(seed)
		name := fmt.Sprintf("%d %s, %s after %s, list denied %v, describe denied %v", seed, scenario, deed, after, noList, noDescribe)
		t.Run(name, func(t *testing.T) {
			inWorld(t, ofECS, func(w *world) {
				w.Behave(behaviour)
				if noList {
					w.Fail("ecs:ListServiceDeployments", emulator.Denied())
				}
				if noDescribe {
					w.Fail("ecs:DescribeServiceDeployments", emulator.Denied())
				}
				d := w.start(scenario)
				somebody := w.Outsider(emulator.DemoCluster, emulator.DemoService)
				time.AfterFunc(after, func() { deeds[deed](somebody) })
				var log []string
				limits := Limits{Timeout: 20 * time.Minute, MaxFailedTasks: 3}
				for e := range d.Watch(w.Context(), limits) {
					log = append(log, fmt.Sprintf("%s %T %+v", time.Now().Format("15:04:05"), e.What, e.What))
				}
				w.settle(d)
				if v := d.Verdict(); d.Err() != nil || !w.true(d, v) {
					w.Errorf("judged %q (%+v), error %v; in truth %+v\n%s", v.Outcome, v.Reason, d.Err(), w.truth(d.Snapshot().ID), strings.Join(log, "\n"))
				}
				outcomes[d.Verdict().Outcome]++
				for _, c := range w.History().Changes {
					if strings.Contains(c.Operation, "StopServiceDeployment") && !strings.Contains(c.Caller, "somebody-else") && c.Deployment != "" && c.Deployment != d.Snapshot().ID {
						w.Errorf("stopped %s, which is not ours", c.Deployment)
					}
				}
			})
		})
	}
	t.Log(outcomes)
}

// settle stops a deployment that was given up, as a run does.
func (w *world) settle(d Deployment) {
	w.Helper()
	if v := d.Verdict(); v.Outcome != TimedOut && !slices.Contains([]Code{TasksFail, TasksNotStarted}, v.Reason.Code) {
		return
	}
	switch err := d.Stop(w.Context()); {
	case err == nil:
		w.follow(d, Limits{})
	case errors.Is(err, ErrEnded), errors.Is(err, ErrNotOurs), errors.Is(err, ErrNoRecord):
	default:
		w.Errorf("Stop: %v", err)
	}
}

// true reports whether a verdict is what truly became of the deployment.
func (w *world) true(d Deployment, v Verdict) bool {
	id := d.Snapshot().ID
	truth := w.truth(id)
	status := w.now().Status
	switch v.Outcome {
	case Succeeded:
		return truth.Status == "SUCCESSFUL"
	case RolledBack:
		return truth.Status == "ROLLBACK_SUCCESSFUL" || truth.Status == "ROLLBACK_IN_PROGRESS" && w.now().Primary().ID != id
	case Superseded:
		return truth.SupersededBy != "" || w.now().Primary().ID != id && truth.RolledBackTo != w.now().Primary().ID
	case Failed:
		switch v.Reason.Code {
		case ServiceDeleted, ServiceDraining:
			return status != "ACTIVE"
		case TasksFail, TasksNotStarted: // and it could not be stopped
			return truth.Status != "SUCCESSFUL" && d.Snapshot().Record == nil
		}
		return truth.Status == "STOPPED" || truth.Status == "ROLLBACK_FAILED"
	case TimedOut:
		return !truth.Final()
	}
	return false
}
