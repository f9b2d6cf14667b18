// The state machine: what becomes of tasks and deployments as time passes. There is no goroutine and no timer: every request first brings the
// state up to the present, in ticks of one emulated second, and the state at a time does not depend on when it is looked at.
//
// A rolling update is played as ECS documents it: minimumHealthyPercent and maximumPercent bound what runs, tasks of the new deployment are
// started, old ones are stopped when enough are healthy, and a circuit breaker may end it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html

package ecs

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// The pace of things in emulated time. A task is RUNNING after provision + pull + start (20 s) and takes part in the rollout healthyAfter later.
const (
	tick         = time.Second
	Pending      = 2 * time.Second // a service deployment before it starts
	provision    = 6 * time.Second
	pull         = 10 * time.Second // after provisioning
	startup      = 20 * time.Second // from launch until containers run
	HealthyAfter = 10 * time.Second
	unhealthyFor = 30 * time.Second // until health checks have failed often enough
	drain        = 10 * time.Second // deregistration from the load balancer
	windDown     = 6 * time.Second  // stopping and deprovisioning
	keepStopped  = time.Hour        // how long a stopped task can be described
)

// bringUp runs the machine up to now. While nothing is under way ticks are skipped.
func (e *ECS) bringUp(now time.Time) {
	s, step := &e.ecsState, e.Scaled(tick)
	if s.ticked.IsZero() {
		s.ticked = now
	}
	for s.Busy {
		next := s.ticked.Add(step)
		if next.After(now) {
			return
		}
		s.ticked = next
		s.Busy = e.tick(next)
	}
	if idle := now.Sub(s.ticked); idle > 0 {
		s.ticked = s.ticked.Add(idle / step * step)
	}
}

// tick does what is due at one moment, and says whether anything is still to come.
func (e *ECS) tick(now time.Time) (busy bool) {
	for _, cl := range e.Clusters {
		for _, t := range cl.Tasks {
			for len(t.steps) > 0 && !t.steps[0].at.After(now) {
				due := t.steps[0]
				t.steps = t.steps[1:]
				due.do(t, now)
			}
		}
		for _, s := range slices.Clone(cl.Services) {
			switch {
			case s.Status == "INACTIVE" || s.Controller() == "EXTERNAL":
			case s.Controller() == "CODE_DEPLOY":
				e.reconcileTaskSets(s, now)
				busy = busy || !s.steady
			default:
				e.reconcile(s, now)
				busy = busy || !s.steady || s.Status == "DRAINING" || s.primary().state == "IN_PROGRESS"
			}
		}
		cl.Tasks = slices.DeleteFunc(cl.Tasks, func(t *Task) bool { return !t.live() && now.Sub(t.stoppedAt) > e.Scaled(keepStopped) })
		for _, t := range cl.Tasks {
			busy = busy || len(t.steps) > 0
		}
	}
	for _, turn := range e.Turns {
		busy = turn(now) || busy
	}
	e.noteViews(now)
	return busy
}

func (t *Task) service() *Service {
	if t.Revision == nil {
		return nil
	}
	return t.Revision.service
}

// reconcile is one turn of the service scheduler.
func (e *ECS) reconcile(s *Service, now time.Time) {
	if s.Status == "DRAINING" {
		if len(s.tasks(nil)) == 0 {
			s.Status, s.Deployments = "INACTIVE", nil
		}
		return
	}
	d := s.primary()
	if r := d.release; r.status == "PENDING" && now.Sub(r.created) >= e.Scaled(Pending) {
		r.status, r.started, r.updated = "IN_PROGRESS", now, now
	}
	if d.release.status == "PENDING" {
		return
	}
	if d.release.status == "ROLLBACK_REQUESTED" {
		e.failDeployment(s, d, now, stoppedByUser, true)
		d = s.primary()
	}
	e.countFailures(s, now)
	if enabled, back, threshold := s.breaker(); enabled && d.state == "IN_PROGRESS" && !d.release.final() && d.failed >= threshold {
		d.release.breaker = "TRIGGERED"
		e.failDeployment(s, d, now, breakerTripped, back)
		d = s.primary()
	}
	if e.alarmed(s, d, now) {
		d = s.primary()
	}
	if sc := d.Revision.Scenario; sc.Deletion > 0 && d.state == "IN_PROGRESS" && now.Sub(d.release.created) >= e.Scaled(sc.Deletion) {
		e.deleteNow(s, now)
		return
	}
	if sc := d.Revision.Scenario; sc.Interloper > 0 && d.state == "IN_PROGRESS" && !d.release.interloped && now.Sub(d.release.created) >= e.Scaled(sc.Interloper) {
		d.release.interloped = true
		e.interlope(s, d, now)
		return
	}
	if d.release.shifts() && d.state == "IN_PROGRESS" {
		if d.release.rollback != nil {
			e.giveBack(s, d, now)
		} else {
			e.progress(s, d, now)
			d = s.primary()
		}
	}
	if d.state != "FAILED" {
		e.scaleOut(s, d, now)
	}
	e.scaleIn(s, d, now)
	e.settle(s, d, now)
}

// countFailures notes tasks that ended through their own fault, and spaces out the attempts to replace them.
func (e *ECS) countFailures(s *Service, now time.Time) {
	for _, t := range s.Cluster.Tasks {
		if t.service() != s {
			continue
		}
		i := slices.IndexFunc(s.Deployments, func(d *Deployment) bool { return d.id == t.startedBy })
		if i < 0 {
			continue
		}
		d := s.Deployments[i]
		if t.Ready && !t.proved {
			t.proved = true
			if s.resets() && d.release != nil {
				d.failed, d.release.failures = 0, 0
			}
		}
		if !t.failed || t.counted {
			continue
		}
		t.counted, s.steady = true, false
		if !t.proved { // the circuit breaker is about tasks that do not come up; one that was healthy is simply replaced
			d.failed++
			d.Updated = now
			if d.state == "IN_PROGRESS" && d.release != nil {
				d.release.failures++
			}
			if d.failed%3 == 0 {
				e.event(s, now, "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
			}
		}
		d.retry = now.Add(e.Scaled(min(time.Duration(max(d.failed, 1))*10*time.Second, 5*time.Minute)))
		if attempts := d.Revision.Scenario.Attempts; attempts != nil {
			d.retry = d.created.Add(e.Scaled(never))
			if d.rounds <= len(attempts) {
				d.retry = d.created.Add(e.Scaled(attempts[d.rounds-1]))
			}
		}
	}
}

// never is longer than any deployment is looked at.
const never = 365 * 24 * time.Hour

// resets says whether a healthy task sets the circuit breaker's count back: by default it does.
func (s *Service) resets() bool {
	b := s.Doc.Object("deploymentConfiguration").Object("deploymentCircuitBreaker")
	return !b.Has("resetOnHealthyTask") || b.Flag("resetOnHealthyTask")
}

// bounds are how many tasks must be healthy, and how many there may be.
func (s *Service) bounds() (lower, upper int) {
	c := s.Doc.Object("deploymentConfiguration")
	lower = int(math.Ceil(float64(s.Desired*c.Number("minimumHealthyPercent", 100)) / 100))
	upper = s.Desired * c.Number("maximumPercent", 200) / 100
	return lower, upper
}

// scaleOut starts tasks of the primary deployment.
func (e *ECS) scaleOut(s *Service, d *Deployment, now time.Time) {
	if now.Before(d.retry) {
		return
	}
	_, upper := s.bounds()
	if d.release.shifts() { // the second set of tasks comes beside the first
		if upper = math.MaxInt; !d.release.reached(scenario.ScaleUp) && d.release.rollback == nil {
			return
		}
	}
	total, own := 0, 0
	for _, t := range s.tasks(nil) {
		if t.wanted() {
			total++
			if t.startedBy == d.id {
				own++
			}
		}
	}
	e.startTasks(s, d, min(s.Desired-own, upper-total), now)
}

// startTasks starts tasks of a deployment, as far as there is a place for them.
func (e *ECS) startTasks(s *Service, d *Deployment, n int, now time.Time) {
	var started strings.Builder
	count := 0
	for range n {
		fate := d.Revision.Scenario.Fate(d.Revision.launched)
		if fate.Unplaced != (scenario.Unplaced{}) {
			d.Revision.launched++
			d.unplaced++
			e.event(s, now, fill(fate.Unplaced.Event, d.Revision.Definition, d.Revision.Settings, e.Account(), ""))
			d.retry = now.Add(e.Scaled(min(time.Duration(d.unplaced)*30*time.Second, 5*time.Minute)))
			break
		}
		count++
		t := e.newTask(s.Cluster, d.Revision.Definition, now)
		t.Revision, t.group, t.startedBy = d.Revision, "service:"+s.Name, d.id
		if p := s.Doc.Str("propagateTags"); p == "SERVICE" {
			t.tags = s.tags
		} else if p == "TASK_DEFINITION" {
			t.tags = d.Revision.Definition.tags
		}
		if managed := ecsManaged(s.Cluster, s.Doc); managed != nil {
			t.tags = append(append(managed, awsapi.Object{"key": "aws:ecs:serviceName", "value": s.Name}), t.tags...)
		}
		e.launch(t, fate, now)
		d.Revision.launched++
		fmt.Fprintf(&started, " (task %s)", t.id)
	}
	if count > 0 {
		d.rounds++
		set := ""
		if s.Controller() == "CODE_DEPLOY" {
			set = ", taskSet " + d.id
		}
		e.eventOf(s, set, now, fmt.Sprintf("has started %d tasks:%s.", count, started.String()))
	}
}

// scaleIn stops tasks that are too many: of older deployments while enough are healthy, and of the primary one beyond the desired count.
func (e *ECS) scaleIn(s *Service, d *Deployment, now time.Time) {
	lower, upper := s.bounds()
	var old, own []*Task
	healthy, ready := 0, 0
	for _, t := range s.tasks(nil) {
		if !t.wanted() {
			continue
		}
		if t.Ready {
			healthy++
		}
		if t.startedBy == d.id {
			own = append(own, t)
			if t.Ready {
				ready++
			}
		} else {
			old = append(old, t)
		}
	}
	var stopped []string
	stop := func(t *Task) {
		e.stop(t, now, "ServiceSchedulerInitiated", "Scaling activity initiated by (deployment "+d.id+")")
		stopped = append(stopped, "(task "+t.id+")")
	}
	if d.state != "FAILED" && d.release.shifts() {
		if d.release.stage == scenario.CleanUp {
			for _, t := range old {
				stop(t)
			}
		}
	} else if d.state != "FAILED" {
		// Old tasks go when new ones have taken their place, or when they leave no room for new ones.
		surplus := len(old) - (s.Desired - ready)
		if len(own) < s.Desired && len(own)+len(old) >= upper {
			surplus = max(surplus, len(old)-(upper-s.Desired), 1)
		}
		if enough, enabled := s.early(d.release); enabled && ready >= enough {
			surplus = len(old)
		}
		for _, t := range old {
			switch {
			case surplus <= 0:
			case !t.Ready:
				surplus--
				stop(t)
			case healthy > lower:
				healthy--
				surplus--
				stop(t)
			}
		}
	}
	for len(own) > s.Desired {
		last := own[len(own)-1]
		own = own[:len(own)-1]
		stop(last)
	}
	if stopped != nil {
		e.event(s, now, fmt.Sprintf("has stopped %d running tasks: %s.", len(stopped), strings.Join(stopped, " ")))
	}
}

// settle notes that a deployment is complete, and that the service is steady.
func (e *ECS) settle(s *Service, d *Deployment, now time.Time) {
	r := d.release
	if !r.shifts() || r.reached(scenario.CleanUp) || r.stage == scenario.ReconcileService {
		blue := s.blue(d)
		s.Deployments = slices.DeleteFunc(s.Deployments, func(o *Deployment) bool {
			return o != d && len(s.tasks(o)) == 0 && (o != blue || r.stage != scenario.ReconcileService)
		})
	}
	e.succeedEarly(s, d, now)
	ready := 0
	for _, t := range s.tasks(nil) {
		if t.startedBy != d.id || !t.Ready {
			return
		}
		ready++
	}
	if ready != s.Desired || d.state == "FAILED" {
		return
	}
	if !s.steady {
		s.steady = true
		e.event(s, now, "has reached a steady state.")
	}
	if d.state == "IN_PROGRESS" && r.shifts() && r.stage != scenario.CleanUp {
		return
	}
	if d.state == "IN_PROGRESS" && !r.shifts() && r.rollback == nil && !r.final() && e.bakes(r, now) {
		return
	}
	if d.state == "IN_PROGRESS" {
		d.complete(now)
		e.event(s, now, "(deployment "+d.id+") deployment completed.")
		s.Proven[d.Revision.Definition.ARN] = true
		if r.status == "ROLLBACK_IN_PROGRESS" {
			r.finish("ROLLBACK_SUCCESSFUL", "", now)
		} else {
			r.finish("SUCCESSFUL", "", now)
		}
	}
}

// bakes says whether a rolling update is still being watched after its tasks are all healthy.
func (e *ECS) bakes(r *release, now time.Time) bool {
	if r.bake() == 0 {
		return false
	}
	if r.stage != scenario.BakeTime {
		r.stage, r.entered, r.updated = scenario.BakeTime, now, now
	}
	return now.Sub(r.entered) < e.Scaled(r.bake())
}

// succeedEarly is the end of a rolling update for which a part of the tasks is enough. Its circuit breaker and alarms no longer apply then, and the
// service goes on to its full count.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentEarlySuccessCriteria.html
func (e *ECS) succeedEarly(s *Service, d *Deployment, now time.Time) {
	r := d.release
	enough, enabled := s.early(r)
	if !enabled || r.final() || d.state != "IN_PROGRESS" || s.Ready(d) < enough {
		return
	}
	if r.blocking() && len(s.tasks(nil)) > len(s.tasks(d)) {
		return
	}
	if e.bakes(r, now) {
		return
	}
	d.complete(now)
	e.event(s, now, "(deployment "+d.id+") deployment completed.")
	s.Proven[d.Revision.Definition.ARN] = true
	r.finish("SUCCESSFUL", "", now)
}

// complete is the moment in which a deployment has succeeded. The service's list says so later by the lag that was drawn.
func (d *Deployment) complete(now time.Time) {
	d.Revision.Production, d.Revision.Test = 100, 100
	d.reasonBefore, d.completedShown = d.reason, now.Add(d.release.completionLag)
	d.progress("COMPLETED", "ECS deployment "+d.id+" completed.", now)
}

// early is the number of healthy tasks that is enough for a rolling update to be successful, and whether it is declared so before the rest are.
func (s *Service) early(r *release) (enough int, enabled bool) {
	criteria := r.configuration.Object("earlySuccessCriteria")
	if !criteria.Flag("enable") || r.shifts() || r.rollback != nil {
		return 0, false
	}
	return int(math.Ceil(float64(s.Desired*criteria.Number("healthyPercent", 100)) / 100)), true
}
