// How deployments fail: the circuit breaker, alarms and people end them, and a rollback revives the deployment before.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html

package ecs

import (
	"slices"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// cause is why a deployment fails, in the words of the places that say it.
type cause struct{ rollout, event, because string }

var (
	breakerTripped = cause{"ECS deployment circuit breaker: tasks failed to start.", "tasks failed to start.", "the circuit breaker threshold was exceeded."}
	stoppedByUser  = cause{"ECS deployment was stopped by a user.", "the deployment was stopped by a user.", "a user requested it."}
	alarmDetected  = cause{"ECS deployment failed: alarm detected.", "alarm detected.", "an alarm was detected."}
)

// alarmed ends the deployment when an alarm that it watches goes off.
func (e *ECS) alarmed(s *Service, d *Deployment, now time.Time) bool {
	r, alarm := d.release, d.Revision.Scenario.Alarm
	if alarm == nil || r.final() || r.alarms != "MONITORING" || d.state != "IN_PROGRESS" || r.rollback != nil {
		return false
	}
	since := r.started
	if alarm.Stage != "" {
		if r.stage != alarm.Stage {
			return false
		}
		since = r.entered
	}
	if now.Sub(since) < e.Scaled(alarm.After) {
		return false
	}
	r.alarms, r.triggered = "TRIGGERED", []string{alarm.Name}
	e.failDeployment(s, d, now, alarmDetected, r.configuration.Object("alarms").Flag("rollback"))
	return true
}

// failDeployment ends the primary deployment, going back to the last completed one if asked to.
func (e *ECS) failDeployment(s *Service, d *Deployment, now time.Time, why cause, back bool) {
	d.progress("FAILED", why.rollout, now)
	e.event(s, now, "(deployment "+d.id+") deployment failed: "+why.event)
	r := d.release
	r.updated = now
	if r.rollback != nil { // it was a rollback itself
		r.finish("ROLLBACK_FAILED", "Service deployment rollback failed because "+why.because, now)
		return
	}
	target := s.lastCompleted(d)
	switch {
	case !back:
		r.finish("STOPPED", "Service deployment stopped because "+why.because, now)
		return
	case target == nil:
		r.finish("ROLLBACK_FAILED", "No rollback candidate was found to run the rollback.", now)
		return
	}
	reason := "Service deployment rolled back because " + why.because
	r.status, r.reason, r.turned = "ROLLBACK_IN_PROGRESS", reason, now
	r.rollback = awsapi.Object{"reason": reason, "startedAt": awsapi.Epoch(now), "serviceRevisionArn": target.arn}
	id := "ecs-svc/" + target.id
	e.event(s, now, "rolling back to deployment "+id+".")

	// The deployment that is gone back to is the primary one again, under its own id; the failed one is only drained.
	i := slices.IndexFunc(s.Deployments, func(o *Deployment) bool { return o.id == id })
	var again *Deployment
	if i >= 0 {
		again = s.Deployments[i]
		s.Deployments = slices.Delete(s.Deployments, i, i+1)
	} else {
		again = &Deployment{id: id, Revision: target, created: target.created}
	}
	if e.behaviour.NewCreationTime {
		again.created = now
	}
	again.Status, again.release, again.failed = "PRIMARY", r, 0
	again.progress("IN_PROGRESS", "ECS deployment circuit breaker: rolling back to deploymentId "+id+".", now)
	for _, h := range r.hooks { // those that were still open no longer matter
		if h.waits() {
			h.status = "FAILED"
		}
	}
	switch {
	case !r.shifts():
		r.stage = ""
	case r.stage == scenario.CleanUp: // what was left of the old tasks is needed again
		r.stage = scenario.Shift
	}
	d.Status = "ACTIVE"
	s.Deployments = append([]*Deployment{again}, s.Deployments...)
	s.Doc["taskDefinition"] = target.Definition.ARN
}

// lastCompleted is the service revision that a rollback goes to: the target of the latest deployment before d that succeeded.
func (s *Service) lastCompleted(d *Deployment) *revision {
	for _, r := range s.releases {
		if r != d.release && r.status == "SUCCESSFUL" {
			return r.target
		}
	}
	return nil
}

// interlope is somebody else: a revision of theirs, made from what ran before, and an update of the service.
func (e *ECS) interlope(s *Service, d *Deployment, now time.Time) {
	base := d.Revision.Definition
	if len(d.release.sources) > 0 {
		base = d.release.sources[0].Definition
	}
	doc := awsapi.CopyOf(base.doc)
	td := e.addRevision(base.family, doc, e.Stranger(), now)
	s.Doc["taskDefinition"] = td.ARN
	scripted := e.scripts
	e.scripts = nil // theirs goes well
	e.deploy(s, e.Stranger(), now)
	e.scripts = scripted
	e.NoteChange(awsapi.Change{Time: now, Caller: e.Stranger(), Operation: "ecs:UpdateService", Resource: s.ARN, Deployment: s.primary().id, Effect: "started"})
}
