// Everybody else: other people and pipelines, and ECS's own circuit breaker, alarms and hooks, made to act at a moment that a test chooses.

package ecs

import (
	"slices"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// Outsider acts on one service as somebody who is not the caller under test. Each method acts at once and says whether there was anything to
// act on; all may be called while a request is on its way ([awsapi.Server.Interpose]).
type Outsider struct {
	emulator         *ECS
	cluster, service string
}

// Others is somebody else who acts on services that another service than ECS deploys. Each method is what the one of [Outsider] is, and is called with
// the server's lock held.
type Others interface {
	Deploy(s *Service, now time.Time) bool
	Stop(s *Service, now time.Time) bool
	Answer(s *Service, action string, now time.Time) bool
	RaiseAlarm(s *Service, name string, now time.Time) bool
}

// elsewhere says whether another service than ECS deploys to s.
func (o Outsider) elsewhere(s *Service) bool {
	return s.Controller() != "ECS" && o.emulator.Others != nil
}

// Outsider returns somebody else, by the names of a cluster and a service.
func (e *ECS) Outsider(cluster, service string) Outsider { return Outsider{e, cluster, service} }

// act runs f on the service, brought up to the present; it reports false where the service is not ACTIVE.
func (o Outsider) act(f func(s *Service, now time.Time) bool) bool {
	e := o.emulator
	e.Mu.Lock()
	defer e.Mu.Unlock()
	now := time.Now()
	e.Advance(now)
	cl := e.FindCluster(o.cluster)
	if cl == nil {
		return false
	}
	s := cl.Service(o.service)
	if s == nil || s.Status != "ACTIVE" {
		return false
	}
	acted := f(s, now)
	e.noteViews(now)
	return acted
}

// call makes one call of the ECS API as the stranger.
func (o Outsider) call(operation string, in awsapi.Object) bool {
	e := o.emulator
	return o.act(func(s *Service, now time.Time) bool {
		if in.Has("service") {
			in["cluster"] = s.Cluster.Name
		}
		_, err := e.Perform(e.Services["AmazonEC2ContainerServiceV20141113"], operation, &awsapi.Invocation{Now: now, In: in, Principal: e.Stranger()})
		return err == nil
	})
}

// Deploy moves the service to a revision of their own, made from what ran before; their tasks stay healthy.
func (o Outsider) Deploy() bool {
	return o.act(func(s *Service, now time.Time) bool {
		if o.elsewhere(s) {
			return o.emulator.Others.Deploy(s, now)
		}
		if s.Controller() != "ECS" {
			return false
		}
		o.emulator.interlope(s, s.primary(), now)
		return true
	})
}

// Force starts a deployment of what the service is on.
func (o Outsider) Force() bool {
	return o.call("UpdateService", awsapi.Object{"service": o.service, "forceNewDeployment": true})
}

// Scale changes the desired count.
func (o Outsider) Scale(desired int) bool {
	return o.call("UpdateService", awsapi.Object{"service": o.service, "desiredCount": desired})
}

// Delete deletes the service, with its tasks.
func (o Outsider) Delete() bool {
	return o.call("DeleteService", awsapi.Object{"service": o.service, "force": true})
}

// Stop stops the service deployment in flight, or CodeDeploy's.
func (o Outsider) Stop() bool {
	arn, stopped := "", false
	o.act(func(s *Service, now time.Time) bool {
		switch {
		case o.elsewhere(s):
			stopped = o.emulator.Others.Stop(s, now)
		case len(s.releases) > 0:
			arn = s.releases[0].arn
		}
		return true
	})
	return stopped || arn != "" && o.call("StopServiceDeployment", awsapi.Object{"serviceDeploymentArn": arn})
}

// Answer answers the pause hook that waits, or CodeDeploy's deployment that does: CONTINUE or ROLLBACK.
func (o Outsider) Answer(action string) bool {
	arn, id, answered := "", "", false
	o.act(func(s *Service, now time.Time) bool {
		if o.elsewhere(s) {
			answered = o.emulator.Others.Answer(s, action, now)
		} else if len(s.releases) > 0 {
			arn = s.releases[0].arn
			for _, h := range s.releases[0].hooks {
				if h.status == "AWAITING_ACTION" {
					id = h.id
				}
			}
		}
		return true
	})
	return answered || id != "" && o.call("ContinueServiceDeployment", awsapi.Object{"serviceDeploymentArn": arn, "hookId": id, "action": action})
}

// KillTask ends a running task of the primary deployment as a crash does.
func (o Outsider) KillTask() bool {
	return o.act(func(s *Service, now time.Time) bool {
		i := slices.IndexFunc(s.Deployments, func(d *Deployment) bool { return d.Status == "PRIMARY" })
		if i < 0 {
			return false
		}
		for _, t := range s.tasks(s.Deployments[i]) {
			if t.Status == "RUNNING" && t.wanted() {
				o.emulator.exited(t, scenario.Fate{Exit: scenario.Exit(1)}, now)
				return true
			}
		}
		return false
	})
}

// TripBreaker makes ECS's circuit breaker act now, where it watches a deployment in progress.
func (o Outsider) TripBreaker() bool {
	return o.act(func(s *Service, now time.Time) bool {
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
	return o.act(func(s *Service, now time.Time) bool {
		if o.elsewhere(s) {
			return o.emulator.Others.RaiseAlarm(s, name, now)
		}
		d := s.primary()
		if !inProgress(d) || d.release.alarms != "MONITORING" {
			return false
		}
		d.release.alarms, d.release.triggered = "TRIGGERED", []string{name}
		o.emulator.failDeployment(s, d, now, alarmDetected, d.release.configuration.Object("alarms").Flag("rollback"))
		return true
	})
}

// inProgress says whether ECS's own monitors may still end a deployment.
func inProgress(d *Deployment) bool {
	return d != nil && d.release != nil && d.state == "IN_PROGRESS" && !d.release.final() && d.release.rollback == nil && d.release.status == "IN_PROGRESS"
}
