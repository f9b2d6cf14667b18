package deploy

// Waits that the configuration of a service asks for: bake times, steps in which
// traffic is shifted, the time for which CodeDeploy keeps the previous tasks. They
// are known before the start, and none of them is a failure.

import (
	"time"

	"ecsdeploy/pkg/rollout"
)

// wait is how long the services' own configuration makes a deployment take at
// least, of the service that takes longest.
func (p *Plan) wait() time.Duration {
	var longest time.Duration
	for _, s := range p.Services {
		longest = max(longest, s.Wait(p.Request.Until))
	}
	return longest
}

// pacer is a controller whose own configuration makes deployments wait.
type pacer interface{ Pace() rollout.Pace }

// Wait is how long the service's configuration makes a deployment take at least,
// as far as it is waited for.
func (s ServicePlan) Wait(until rollout.Until) time.Duration {
	if p, ok := s.Controller.(pacer); ok {
		return p.Pace().Steps
	}
	strategy := s.Service.Strategy
	switch until {
	case "", rollout.UntilCompleted, "CLEAN_UP":
		return strategy.Wait()
	case rollout.UntilTraffic, "POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME":
		strategy.Bake = 0
		return strategy.Wait()
	}
	if !s.HasStages() { // then the end is waited for
		return strategy.Wait()
	}
	return 0
}

// Unpaced is the configuration of CodeDeploy whose steps are not known, and why that
// is so; nil where they are.
func (s ServicePlan) Unpaced() (configuration string, err error) {
	if p, ok := s.Controller.(pacer); ok {
		return p.Pace().Configuration, p.Pace().Unread
	}
	return "", nil
}

// Keep is how long the previous tasks are kept after the traffic is shifted, where
// that is configured beside the service; it is not waited for where it does not
// fit into the time limit.
func (s ServicePlan) Keep() time.Duration {
	if p, ok := s.Controller.(pacer); ok {
		return p.Pace().Keep
	}
	return 0
}

// HasStages reports whether the service's deployments go through lifecycle stages:
// those of a rolling update, and of CodeDeploy, do not.
func (s ServicePlan) HasStages() bool {
	switch s.Service.Strategy.Name {
	case "", "ROLLING":
		return false
	}
	return s.Service.Controller != "CODE_DEPLOY"
}

// configured turns the end of the time limit into a success where nothing but a
// configured wait is left: all traffic is on the new revision, its full count of tasks
// runs, and either only the previous tasks have to stop, or it was known before that
// the limit is too short.
func (e ending) configured(r Request, l limit, m moved) ending {
	now := m.deployment.Snapshot()
	if e.shifted && now.OnlyStops() {
		// ECS does not name the stage for a rolling deployment.
		e.shifted, e.verdict = false, rollout.Verdict{Outcome: rollout.Succeeded, Reason: rollout.Reason{Code: rollout.WaitsOn, Stage: "CLEAN_UP", After: l.forward()}}
		return e
	}
	if !e.shifted || !now.Full() || m.Wait(r.Until) < l.forward() {
		return e
	}
	e.shifted = false
	reason := rollout.Reason{Code: rollout.WaitsOn, After: l.forward(), Left: m.Wait(r.Until)}
	if now.CodeDeploy == nil {
		reason.Stage = "BAKE_TIME" // which ECS does not name for a rolling deployment
	}
	if now.Record != nil && now.Record.Stage != "" {
		reason.Stage = now.Record.Stage
	}
	e.verdict = rollout.Verdict{Outcome: rollout.Succeeded, Reason: reason}
	return e
}
