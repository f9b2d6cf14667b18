// The state machine: what becomes of tasks and deployments as time passes. There is no goroutine and no timer: every request first brings the
// state up to the present, in ticks of one emulated second, and the state at a time does not depend on when it is looked at.
//
// A rolling update is played as ECS documents it: minimumHealthyPercent and maximumPercent bound what runs, tasks of the new deployment are
// started, old ones are stopped when enough are healthy, and a circuit breaker may end it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html

package emulator

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// The pace of things in emulated time. A task is RUNNING after provision + pull + start (20 s) and takes part in the rollout healthyAfter later.
const (
	tick         = time.Second
	pending      = 2 * time.Second // a service deployment before it starts
	provision    = 6 * time.Second
	pull         = 10 * time.Second // after provisioning
	startup      = 20 * time.Second // from launch until containers run
	healthyAfter = 10 * time.Second
	unhealthyFor = 30 * time.Second // until health checks have failed often enough
	drain        = 10 * time.Second // deregistration from the load balancer
	windDown     = 6 * time.Second  // stopping and deprovisioning
	keepStopped  = time.Hour        // how long a stopped task can be described
)

// scaled turns emulated time into real time.
func (e *Emulator) scaled(d time.Duration) time.Duration {
	return max(time.Duration(float64(d)/e.speed), 1)
}

// advance runs the machine up to now. While nothing is under way ticks are skipped.
func (e *Emulator) advance(now time.Time) {
	s, step := &e.ecs, e.scaled(tick)
	if s.ticked.IsZero() {
		s.ticked = now
	}
	for s.busy {
		next := s.ticked.Add(step)
		if next.After(now) {
			return
		}
		s.ticked = next
		s.busy = e.tick(next)
	}
	if idle := now.Sub(s.ticked); idle > 0 {
		s.ticked = s.ticked.Add(idle / step * step)
	}
}

// tick does what is due at one moment, and says whether anything is still to come.
func (e *Emulator) tick(now time.Time) (busy bool) {
	for _, cl := range e.ecs.clusters {
		for _, t := range cl.tasks {
			for len(t.steps) > 0 && !t.steps[0].at.After(now) {
				due := t.steps[0]
				t.steps = t.steps[1:]
				due.do(t, now)
			}
		}
		for _, s := range slices.Clone(cl.services) {
			if s.status != "INACTIVE" && s.controller() == "ECS" {
				e.reconcile(s, now)
				busy = busy || !s.steady || s.status == "DRAINING"
			}
		}
		cl.tasks = slices.DeleteFunc(cl.tasks, func(t *task) bool { return !t.live() && now.Sub(t.stoppedAt) > e.scaled(keepStopped) })
		for _, t := range cl.tasks {
			busy = busy || len(t.steps) > 0
		}
	}
	return busy
}

// launch plans the life of a new task by its fate.
func (e *Emulator) launch(t *task, fate Fate, now time.Time) {
	at := func(d time.Duration) time.Time { return now.Add(e.scaled(d)) }
	started := startup
	if fate.Start > 0 {
		started = max(fate.Start, provision+pull)
	}
	t.after(at(provision), func(t *task, now time.Time) {
		t.become("PENDING")
		t.pullStarted = now
	})
	t.after(at(provision+pull), func(t *task, now time.Time) { e.pulled(t, fate, now) })
	t.after(at(started), func(t *task, now time.Time) { e.startContainers(t, fate, now) })
}

// pulled is the end of pulling: every image is there, or the task ends.
func (e *Emulator) pulled(t *task, fate Fate, now time.Time) {
	t.pullStopped = now
	if fate.PullError != "" {
		e.fail(t, now, "TaskFailedToStart", "CannotPullContainerError: "+fate.PullError, func(c *container) { c.reason = "CannotPullContainerError: " + fate.PullError })
		return
	}
	for _, c := range t.containers {
		image := c.image
		if t.revision != nil && t.revision.digests[c.name] != "" { // version consistency: a deployment's tasks all run what the first one did
			repository, _, _ := strings.Cut(image, "@")
			if i := strings.LastIndex(repository, ":"); i > strings.LastIndex(repository, "/") {
				repository = repository[:i]
			}
			image = repository + "@" + t.revision.digests[c.name]
		}
		digest, runs, problem := e.resolve(image, t.definition.platform())
		if problem != "" {
			e.fail(t, now, "TaskFailedToStart", problem, func(o *container) {
				if o == c {
					o.reason = problem
				}
			})
			return
		}
		c.digest = digest
		if !runs {
			c.reason = wrongPlatform
		}
		if t.revision != nil {
			t.revision.digests[c.name] = digest
		}
	}
	if problem := e.openLogs(t, now); problem != "" {
		e.fail(t, now, "TaskFailedToStart", problem, func(*container) {})
	}
}

// wrongPlatform marks a container whose image is for another platform until it is started.
const wrongPlatform = "exec format error"

// startContainers is the moment in which the containers run.
func (e *Emulator) startContainers(t *task, fate Fate, now time.Time) {
	for i, c := range t.containers {
		c.status = "RUNNING"
		if c.reason == wrongPlatform {
			c.reason = ""
			e.write(t, c, now, "exec /app: exec format error")
			fate = Fate{Exit: exit(255)}
		} else if i == t.main() {
			for _, line := range fate.Log {
				e.write(t, c, now, line)
			}
		}
	}
	if fate.Exit != nil && fate.ExitAfter == 0 {
		t.become("ACTIVATING") // it ends before it was RUNNING, and so was never started
		e.exited(t, *fate.Exit, now)
		return
	}
	t.become("RUNNING")
	t.started = now
	at := func(d time.Duration) time.Time { return now.Add(e.scaled(d)) }
	if s := t.service(); s != nil {
		for _, lb := range s.doc.objects("loadBalancers") {
			t.targeted = true
			e.event(s, now, "registered 1 targets in (target-group "+lb.str("targetGroupArn")+")")
		}
	}
	switch {
	case fate.Unhealthy:
		t.after(at(unhealthyFor), func(t *task, now time.Time) { e.unhealthy(t, now) })
	case !fate.Starting:
		t.after(at(healthyAfter), func(t *task, now time.Time) {
			t.ready = true
			for i, c := range t.definition.doc.objects("containerDefinitions") {
				if c.has("healthCheck") {
					t.containers[i].health, t.health = "HEALTHY", "HEALTHY"
				}
			}
		})
	}
	if fate.Exit != nil {
		t.after(at(fate.ExitAfter), func(t *task, now time.Time) { e.exited(t, *fate.Exit, now) })
	}
}

// main is the index of the first essential container: the one that a scenario is about.
func (t *task) main() int {
	return max(0, slices.IndexFunc(t.containers, func(c *container) bool { return c.essential }))
}

func (t *task) service() *service {
	if t.revision == nil {
		return nil
	}
	return t.revision.service
}

// exited is the end of the essential container, and so of the task.
func (e *Emulator) exited(t *task, code int, now time.Time) {
	main := t.containers[t.main()]
	reason := "Essential container in task exited"
	for _, c := range t.containers {
		c.status = "STOPPED"
		if c == main {
			c.exitCode = exit(code)
			if code == 137 {
				c.reason = "OutOfMemoryError: Container killed due to memory usage"
			}
		} else {
			c.exitCode = exit(143) // SIGTERM
		}
	}
	e.fail(t, now, "EssentialContainerExited", reason, nil)
}

// unhealthy is the verdict of the health checks: ECS replaces the task.
func (e *Emulator) unhealthy(t *task, now time.Time) {
	s := t.service()
	definitions := t.definition.doc.objects("containerDefinitions")
	if s != nil && t.targeted {
		lb := s.doc.objects("loadBalancers")[0]
		e.event(s, now, fmt.Sprintf("(task %s) (port %d) is unhealthy in (target-group %s) due to (reason Health checks failed)", t.id, lb.number("containerPort", 0), lb.str("targetGroupArn")))
		e.fail(t, now, "ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group "+lb.str("targetGroupArn")+")", nil)
		return
	}
	for i, c := range definitions {
		if c.has("healthCheck") {
			t.containers[i].health, t.health = "UNHEALTHY", "UNHEALTHY"
		}
	}
	e.fail(t, now, "ServiceSchedulerInitiated", "Task failed container health checks", nil)
}

// fail ends a task through its own fault. each, where given, marks containers that never ran.
func (e *Emulator) fail(t *task, now time.Time, code, reason string, each func(*container)) {
	if t.stopping {
		return
	}
	t.failed = true
	if each != nil {
		for _, c := range t.containers {
			c.status = "STOPPED"
			each(c)
		}
	}
	e.stop(t, now, code, reason)
}

// stop begins the end of a task.
func (e *Emulator) stop(t *task, now time.Time, code, reason string) {
	if t.stopping || !t.live() {
		return
	}
	t.stopping, t.ready, t.steps = true, false, nil
	t.stopCode, t.stoppedReason, t.stoppingAt = code, reason, now
	t.version++
	e.ecs.busy = true
	ran := t.status == "RUNNING" || t.status == "ACTIVATING"
	at := now
	if ran && t.targeted && t.status == "RUNNING" {
		t.become("DEACTIVATING")
		for _, lb := range t.service().doc.objects("loadBalancers") {
			e.event(t.service(), now, "deregistered 1 targets in (target-group "+lb.str("targetGroupArn")+")")
		}
		e.event(t.service(), now, "has begun draining connections on 1 tasks.")
		at = at.Add(e.scaled(drain))
	}
	t.after(at, func(t *task, now time.Time) {
		t.become("STOPPING")
	})
	t.after(at.Add(e.scaled(windDown/2)), func(t *task, now time.Time) {
		t.become("DEPROVISIONING")
		t.executionStopped = now
		for _, c := range t.containers {
			if ran && c.exitCode == nil {
				c.exitCode = exit(0)
			}
			c.status = "STOPPED"
		}
	})
	t.after(at.Add(e.scaled(windDown)), func(t *task, now time.Time) {
		t.become("STOPPED")
		t.stoppedAt = now
		for _, c := range t.containers {
			c.status = "STOPPED"
		}
	})
}

// reconcile is one turn of the service scheduler.
func (e *Emulator) reconcile(s *service, now time.Time) {
	if s.status == "DRAINING" {
		if len(s.tasks(nil)) == 0 {
			s.status, s.deployments = "INACTIVE", nil
		}
		return
	}
	d := s.primary()
	if r := d.release; r.status == "PENDING" && now.Sub(r.created) >= e.scaled(pending) {
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
	if enabled, back, threshold := s.breaker(); enabled && d.state == "IN_PROGRESS" && d.failed >= threshold {
		d.release.breaker = "TRIGGERED"
		e.failDeployment(s, d, now, breakerTripped, back)
		d = s.primary()
	}
	if sc := d.revision.scenario; sc.Interloper > 0 && d.state == "IN_PROGRESS" && !d.release.interloped && now.Sub(d.release.created) >= e.scaled(sc.Interloper) {
		d.release.interloped = true
		e.interlope(s, d, now)
		return
	}
	if d.state != "FAILED" {
		e.scaleOut(s, d, now)
	}
	e.scaleIn(s, d, now)
	e.settle(s, d, now)
}

// countFailures notes tasks that ended through their own fault, and spaces out the attempts to replace them.
func (e *Emulator) countFailures(s *service, now time.Time) {
	for _, t := range s.cluster.tasks {
		if t.service() != s {
			continue
		}
		i := slices.IndexFunc(s.deployments, func(d *deployment) bool { return d.id == t.startedBy })
		if i < 0 {
			continue
		}
		d := s.deployments[i]
		if t.ready && !t.proved {
			t.proved = true
			if s.resets() {
				d.failed, d.release.failures = 0, 0
			}
		}
		if !t.failed || t.counted {
			continue
		}
		t.counted, s.steady = true, false
		if !t.proved { // the circuit breaker is about tasks that do not come up; one that was healthy is simply replaced
			d.failed++
			d.updated = now
			if d.state == "IN_PROGRESS" {
				d.release.failures++
			}
			if d.failed%3 == 0 {
				e.event(s, now, "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
			}
		}
		d.retry = now.Add(e.scaled(min(time.Duration(max(d.failed, 1))*10*time.Second, 5*time.Minute)))
	}
}

// resets says whether a healthy task sets the circuit breaker's count back: by default it does.
func (s *service) resets() bool {
	b := s.doc.object("deploymentConfiguration").object("deploymentCircuitBreaker")
	return !b.has("resetOnHealthyTask") || b.flag("resetOnHealthyTask")
}

// bounds are how many tasks must be healthy, and how many there may be.
func (s *service) bounds() (lower, upper int) {
	c := s.doc.object("deploymentConfiguration")
	lower = int(math.Ceil(float64(s.desired*c.number("minimumHealthyPercent", 100)) / 100))
	upper = s.desired * c.number("maximumPercent", 200) / 100
	return lower, upper
}

// scaleOut starts tasks of the primary deployment.
func (e *Emulator) scaleOut(s *service, d *deployment, now time.Time) {
	if now.Before(d.retry) {
		return
	}
	_, upper := s.bounds()
	total, own := 0, 0
	for _, t := range s.tasks(nil) {
		if t.wanted() {
			total++
			if t.startedBy == d.id {
				own++
			}
		}
	}
	n := min(s.desired-own, upper-total)
	if n <= 0 {
		return
	}
	var started strings.Builder
	for range n {
		t := e.newTask(s.cluster, d.revision.definition, now)
		t.revision, t.group, t.startedBy = d.revision, "service:"+s.name, d.id
		if p := s.doc.str("propagateTags"); p == "SERVICE" {
			t.tags = s.tags
		} else if p == "TASK_DEFINITION" {
			t.tags = d.revision.definition.tags
		}
		e.launch(t, d.revision.scenario.fate(d.revision.launched), now)
		d.revision.launched++
		fmt.Fprintf(&started, " (task %s)", t.id)
	}
	e.event(s, now, fmt.Sprintf("has started %d tasks:%s.", n, started.String()))
}

// scaleIn stops tasks that are too many: of older deployments while enough are healthy, and of the primary one beyond the desired count.
func (e *Emulator) scaleIn(s *service, d *deployment, now time.Time) {
	lower, upper := s.bounds()
	var old, own []*task
	healthy, ready := 0, 0
	for _, t := range s.tasks(nil) {
		if !t.wanted() {
			continue
		}
		if t.ready {
			healthy++
		}
		if t.startedBy == d.id {
			own = append(own, t)
			if t.ready {
				ready++
			}
		} else {
			old = append(old, t)
		}
	}
	var stopped []string
	stop := func(t *task) {
		e.stop(t, now, "ServiceSchedulerInitiated", "Scaling activity initiated by (deployment "+d.id+")")
		stopped = append(stopped, "(task "+t.id+")")
	}
	if d.state != "FAILED" {
		// Old tasks go when new ones have taken their place, or when they leave no room for new ones.
		surplus := len(old) - (s.desired - ready)
		if len(own) < s.desired && len(own)+len(old) >= upper {
			surplus = max(surplus, len(old)-(upper-s.desired), 1)
		}
		for _, t := range old {
			switch {
			case surplus <= 0:
			case !t.ready:
				surplus--
				stop(t)
			case healthy > lower:
				healthy--
				surplus--
				stop(t)
			}
		}
	}
	for len(own) > s.desired {
		last := own[len(own)-1]
		own = own[:len(own)-1]
		stop(last)
	}
	if stopped != nil {
		e.event(s, now, fmt.Sprintf("has stopped %d running tasks: %s.", len(stopped), strings.Join(stopped, " ")))
	}
}

// settle notes that a deployment is complete, and that the service is steady.
func (e *Emulator) settle(s *service, d *deployment, now time.Time) {
	s.deployments = slices.DeleteFunc(s.deployments, func(o *deployment) bool { return o != d && len(s.tasks(o)) == 0 })
	ready := 0
	for _, t := range s.tasks(nil) {
		if t.startedBy != d.id || !t.ready {
			return
		}
		ready++
	}
	if ready != s.desired || d.state == "FAILED" {
		return
	}
	if !s.steady {
		s.steady = true
		e.event(s, now, "has reached a steady state.")
	}
	if d.state == "IN_PROGRESS" {
		d.progress("COMPLETED", "ECS deployment "+d.id+" completed.", now)
		e.event(s, now, "(deployment "+d.id+") deployment completed.")
		s.proven[d.revision.definition.arn] = true
		if d.release.status == "ROLLBACK_IN_PROGRESS" {
			d.release.finish("ROLLBACK_SUCCESSFUL", "", now)
		} else {
			d.release.finish("SUCCESSFUL", "", now)
		}
	}
}

// cause is why a deployment fails, in the words of the places that say it.
type cause struct{ rollout, event, because string }

var (
	breakerTripped = cause{"ECS deployment circuit breaker: tasks failed to start.", "tasks failed to start.", "the circuit breaker threshold was exceeded."}
	stoppedByUser  = cause{"ECS deployment was stopped by a user.", "the deployment was stopped by a user.", "a user requested it."}
)

// failDeployment ends the primary deployment, going back to the last completed one if asked to.
func (e *Emulator) failDeployment(s *service, d *deployment, now time.Time, why cause, back bool) {
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
	r.status, r.reason = "ROLLBACK_IN_PROGRESS", reason
	r.rollback = object{"reason": reason, "startedAt": epoch(now), "serviceRevisionArn": target.arn}
	id := "ecs-svc/" + target.id
	e.event(s, now, "rolling back to deployment "+id+".")

	// The deployment that is gone back to is the primary one again, under its own id; the failed one is only drained.
	i := slices.IndexFunc(s.deployments, func(o *deployment) bool { return o.id == id })
	var again *deployment
	if i >= 0 {
		again = s.deployments[i]
		s.deployments = slices.Delete(s.deployments, i, i+1)
	} else {
		again = &deployment{id: id, revision: target, created: now}
	}
	again.status, again.release, again.failed = "PRIMARY", r, 0
	again.progress("IN_PROGRESS", "ECS deployment circuit breaker: rolling back to deploymentId "+id+".", now)
	d.status = "ACTIVE"
	s.deployments = append([]*deployment{again}, s.deployments...)
	s.doc["taskDefinition"] = target.definition.arn
}

// lastCompleted is the service revision that a rollback goes to: the target of the latest deployment before d that succeeded.
func (s *service) lastCompleted(d *deployment) *revision {
	for _, r := range s.releases {
		if r != d.release && r.status == "SUCCESSFUL" {
			return r.target
		}
	}
	return nil
}

// interlope is somebody else: a revision of theirs, made from what ran before, and an update of the service.
func (e *Emulator) interlope(s *service, d *deployment, now time.Time) {
	base := d.revision.definition
	if len(d.release.sources) > 0 {
		base = d.release.sources[0].definition
	}
	doc := copyOf(base.doc)
	td := e.addRevision(base.family, doc, "arn:aws:iam::"+e.account+":user/somebody-else", now)
	s.doc["taskDefinition"] = td.arn
	scripted := e.scripts
	e.scripts = nil // theirs goes well
	e.deploy(s, now)
	e.scripts = scripted
}
