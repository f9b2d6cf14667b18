// Everybody else: other people and pipelines, and ECS's own circuit breaker, alarms and hooks, made to act at a moment that a test chooses.

package emulator

import (
	"slices"
	"time"
)

// Outsider acts on one service as somebody who is not the caller under test. Each method acts at once and says whether there was anything to
// act on; all may be called while a request is on its way ([Emulator.Interpose]).
type Outsider struct {
	emulator         *ECS
	cluster, service string
}

// Outsider returns somebody else, by the names of a cluster and a service.
func (e *ECS) Outsider(cluster, service string) Outsider { return Outsider{e, cluster, service} }

// act runs f on the service, brought up to the present; it reports false where the service is not ACTIVE.
func (o Outsider) act(f func(s *service, now time.Time) bool) bool {
	e := o.emulator
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	e.advance(now)
	cl := e.findCluster(o.cluster)
	if cl == nil {
		return false
	}
	s := cl.service(o.service)
	if s == nil || s.status != "ACTIVE" {
		return false
	}
	acted := f(s, now)
	e.noteViews(now)
	return acted
}

// call makes one call of the ECS API as the stranger.
func (o Outsider) call(operation string, in object) bool {
	e := o.emulator
	return o.act(func(s *service, now time.Time) bool {
		if in.has("service") {
			in["cluster"] = s.cluster.name
		}
		_, err := e.perform(e.services["AmazonEC2ContainerServiceV20141113"], operation, &call{now: now, in: in, principal: e.stranger()})
		return err == nil
	})
}

// Deploy moves the service to a revision of their own, made from what ran before; their tasks stay healthy.
func (o Outsider) Deploy() bool {
	return o.act(func(s *service, now time.Time) bool {
		if s.controller() != "ECS" {
			return false
		}
		o.emulator.interlope(s, s.primary(), now)
		return true
	})
}

// Force starts a deployment of what the service is on.
func (o Outsider) Force() bool {
	return o.call("UpdateService", object{"service": o.service, "forceNewDeployment": true})
}

// Scale changes the desired count.
func (o Outsider) Scale(desired int) bool {
	return o.call("UpdateService", object{"service": o.service, "desiredCount": desired})
}

// Delete deletes the service, with its tasks.
func (o Outsider) Delete() bool {
	return o.call("DeleteService", object{"service": o.service, "force": true})
}

// Stop stops the service deployment in flight.
func (o Outsider) Stop() bool {
	arn := ""
	o.act(func(s *service, _ time.Time) bool {
		if len(s.releases) > 0 {
			arn = s.releases[0].arn
		}
		return true
	})
	return arn != "" && o.call("StopServiceDeployment", object{"serviceDeploymentArn": arn})
}

// Answer answers the pause hook that waits: CONTINUE or ROLLBACK.
func (o Outsider) Answer(action string) bool {
	arn, id := "", ""
	o.act(func(s *service, _ time.Time) bool {
		if len(s.releases) > 0 {
			arn = s.releases[0].arn
			for _, h := range s.releases[0].hooks {
				if h.status == "AWAITING_ACTION" {
					id = h.id
				}
			}
		}
		return true
	})
	return id != "" && o.call("ContinueServiceDeployment", object{"serviceDeploymentArn": arn, "hookId": id, "action": action})
}

// KillTask ends a running task of the primary deployment as a crash does.
func (o Outsider) KillTask() bool {
	return o.act(func(s *service, now time.Time) bool {
		i := slices.IndexFunc(s.deployments, func(d *deployment) bool { return d.status == "PRIMARY" })
		if i < 0 {
			return false
		}
		for _, t := range s.tasks(s.deployments[i]) {
			if t.status == "RUNNING" && t.wanted() {
				o.emulator.exited(t, Fate{Exit: exit(1)}, now)
				return true
			}
		}
		return false
	})
}

// TripBreaker makes ECS's circuit breaker act now, where it watches a deployment in progress.
func (o Outsider) TripBreaker() bool {
	return o.act(func(s *service, now time.Time) bool {
		enabled, back, _ := s.breaker()
		d := s.primary()
		if !enabled || !inProgress(d) {
			return false
		}
		d.release.breaker = "TRIGGERED"
		o.emulator.failDeployment(s, d, now, breakerTripped, back)
		return true
	})
}

// RaiseAlarm makes the named alarm go off now, where it watches a deployment in progress.
func (o Outsider) RaiseAlarm(name string) bool {
	return o.act(func(s *service, now time.Time) bool {
		d := s.primary()
		if !inProgress(d) || d.release.alarms != "MONITORING" {
			return false
		}
		d.release.alarms, d.release.triggered = "TRIGGERED", []string{name}
		o.emulator.failDeployment(s, d, now, alarmDetected, d.release.configuration.object("alarms").flag("rollback"))
		return true
	})
}

// inProgress says whether ECS's own monitors may still end a deployment.
func inProgress(d *deployment) bool {
	return d != nil && d.release != nil && d.state == "IN_PROGRESS" && !d.release.final() && d.release.rollback == nil && d.release.status == "IN_PROGRESS"
}
