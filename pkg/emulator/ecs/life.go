// The life of a task by its fate: it is provisioned, its images are pulled, its containers run, and it ends by itself or is stopped.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html

package ecs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// launch plans the life of a new task by its fate.
func (e *ECS) launch(t *Task, fate scenario.Fate, now time.Time) {
	t.Fate = fate
	at := func(d time.Duration) time.Time { return now.Add(e.Scaled(d)) }
	provisioned, started, pulled := provision, startup, provision+pull
	if fate.Start > 0 {
		started = max(fate.Start, pulled)
		switch {
		case fate.NeverStarts() && !fate.PullFails(): // it waits for its place, in PROVISIONING
			provisioned, pulled = started, started
		case fate.NeverStarts(): // it is the pull that takes so long
			pulled = started
		}
	}
	t.after(at(provisioned), func(t *Task, now time.Time) {
		if fate.NeverStarts() && !fate.PullFails() {
			e.fail(t, now, cmp.Or(fate.StopCode, "TaskFailedToStart"), t.fill(fate.Reason), func(*container) {})
			return
		}
		t.become("PENDING")
		t.pullStarted = now
	})
	t.after(at(pulled), func(t *Task, now time.Time) { e.pulled(t, fate, now) })
	t.after(at(started), func(t *Task, now time.Time) { e.startContainers(t, fate, now) })
}

// pulled is the end of pulling: every image is there, or the task ends.
func (e *ECS) pulled(t *Task, fate scenario.Fate, now time.Time) {
	t.pullStopped = now
	if fate.NeverStarts() {
		reason, main := t.fill(fate.Reason), t.containers[t.main()]
		e.fail(t, now, cmp.Or(fate.StopCode, "TaskFailedToStart"), reason, func(c *container) {
			if c == main {
				c.reason, c.exitCode = cmp.Or(t.fill(fate.ContainerReason), reason), fate.Exit
			}
		})
		return
	}
	for _, c := range t.containers {
		image := c.image
		if t.Revision != nil && t.Revision.Digests[c.name] != "" && c.consistent { // version consistency: a deployment's tasks all run what the first one did
			repository, _ := cutTag(image)
			image = repository + "@" + t.Revision.Digests[c.name]
		}
		digest, runs, problem := e.images.Resolve(image, e.detected(t, c, image))
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
		if t.Revision != nil && c.consistent {
			t.Revision.Digests[c.name] = digest
		}
	}
	if problem := e.openLogs(t, now); problem != "" {
		e.fail(t, now, "TaskFailedToStart", problem, func(*container) {})
	}
}

// wrongPlatform marks a container whose image is for another platform until it is started.
const wrongPlatform = "exec format error"

// startContainers is the moment in which the containers run.
func (e *ECS) startContainers(t *Task, fate scenario.Fate, now time.Time) {
	for i, c := range t.containers {
		c.status = "RUNNING"
		if c.reason == wrongPlatform {
			c.reason = ""
			e.write(t, c, now, "exec /app: exec format error")
			fate = scenario.Fate{Exit: scenario.Exit(255), ContainerReason: fate.ContainerReason}
		} else if i == t.main() {
			e.writeAll(t, c, fate, now)
		}
	}
	if fate.Exit != nil && fate.ExitAfter == 0 && fate.Reason == "" {
		t.become("ACTIVATING") // it ends before it was RUNNING, and so was never started
		e.exited(t, fate, now)
		return
	}
	t.become("RUNNING")
	t.Started = now
	at := func(d time.Duration) time.Time { return now.Add(e.Scaled(d)) }
	if s := t.service(); s != nil {
		for _, group := range t.Revision.Groups {
			t.Targeted = true
			e.event(s, now, "registered 1 targets in (target-group "+group+")")
		}
	}
	switch {
	case fate.Unhealthy:
		patience := unhealthyFor
		if s := t.service(); s != nil { // health checks do not count before the grace period is over
			patience = max(patience, time.Duration(s.Doc.Number("healthCheckGracePeriodSeconds", 0))*time.Second)
		}
		t.after(at(patience), func(t *Task, now time.Time) { e.unhealthy(t, now) })
	case !fate.Starting:
		t.after(at(HealthyAfter), func(t *Task, now time.Time) {
			t.Ready = true
			for i, c := range t.definition.doc.Objects("containerDefinitions") {
				if c.Has("healthCheck") {
					t.containers[i].health, t.health = "HEALTHY", "HEALTHY"
				}
			}
		})
	}
	switch {
	case fate.Reason != "":
		t.after(at(fate.ExitAfter), func(t *Task, now time.Time) {
			e.fail(t, now, cmp.Or(fate.StopCode, "ServiceSchedulerInitiated"), t.fill(fate.Reason), nil)
		})
	case fate.Exit != nil:
		t.after(at(fate.ExitAfter), func(t *Task, now time.Time) { e.exited(t, fate, now) })
	}
}

// writeAll writes the lines of a container's log, at once or one after the other.
func (e *ECS) writeAll(t *Task, c *container, fate scenario.Fate, now time.Time) {
	for i, line := range fate.Log {
		if i == 0 || fate.LogEvery == 0 {
			e.write(t, c, now, line)
			continue
		}
		t.after(now.Add(e.Scaled(time.Duration(i)*fate.LogEvery)), func(t *Task, now time.Time) { e.write(t, c, now, line) })
	}
}

// main is the index of the first essential container: the one that a scenario is about.
func (t *Task) main() int {
	return max(0, slices.IndexFunc(t.containers, func(c *container) bool { return c.essential }))
}

// exited is the end of the essential container, and so of the task.
func (e *ECS) exited(t *Task, fate scenario.Fate, now time.Time) {
	main := t.containers[t.main()]
	reason := "Essential container in task exited"
	for _, c := range t.containers {
		c.status = "STOPPED"
		if c == main {
			c.exitCode, c.reason = scenario.Exit(*fate.Exit), fate.ContainerReason
		} else {
			c.exitCode = scenario.Exit(143) // SIGTERM
		}
	}
	e.fail(t, now, "EssentialContainerExited", reason, nil)
}

// unhealthy is the verdict of the health checks: ECS replaces the task.
func (e *ECS) unhealthy(t *Task, now time.Time) {
	s := t.service()
	definitions := t.definition.doc.Objects("containerDefinitions")
	checked := slices.ContainsFunc(definitions, func(c awsapi.Object) bool { return c.Has("healthCheck") })
	if s != nil && t.Targeted && !(t.Fate.FailsOwnCheck() && checked) {
		group := t.Revision.Groups[0]
		e.event(s, now, fmt.Sprintf("(task %s) (port %d) is unhealthy in (target-group %s) due to (reason %s)", t.id, t.Revision.Port(group), group, t.Fate.Failing().Description))
		e.fail(t, now, "ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group "+group+")", nil)
		return
	}
	for i, c := range definitions {
		if c.Has("healthCheck") {
			t.containers[i].health, t.health = "UNHEALTHY", "UNHEALTHY"
		}
	}
	if s != nil {
		e.event(s, now, "(task "+t.id+") failed container health checks.")
	}
	e.fail(t, now, "ServiceSchedulerInitiated", "Task failed container health checks", nil)
}

// fail ends a task through its own fault. each, where given, marks containers that never ran.
func (e *ECS) fail(t *Task, now time.Time, code, reason string, each func(*container)) {
	if t.stopping {
		return
	}
	t.failed = true
	if s := t.service(); s != nil && code == "TaskFailedToStart" {
		e.event(s, now, "was unable to place a task. Reason: "+strings.TrimSuffix(reason, ".")+".")
	}
	if each != nil {
		for _, c := range t.containers {
			c.status = "STOPPED"
			each(c)
		}
	}
	e.stop(t, now, code, reason)
}

// stop begins the end of a task.
func (e *ECS) stop(t *Task, now time.Time, code, reason string) {
	if t.stopping || !t.live() {
		return
	}
	t.stopping, t.Ready, t.steps = true, false, nil
	t.stopCode, t.stoppedReason, t.stoppingAt = code, reason, now
	t.version++
	e.Busy = true
	ran := t.Status == "RUNNING" || t.Status == "ACTIVATING"
	at := now
	if ran && t.Targeted && t.Status == "RUNNING" {
		t.become("DEACTIVATING")
		for _, group := range t.Revision.Groups {
			e.event(t.service(), now, "deregistered 1 targets in (target-group "+group+")")
		}
		e.eventOf(t.service(), ", taskSet "+t.startedBy, now, "has begun draining connections on 1 tasks.")
		at = at.Add(e.Scaled(t.service().Drain()))
	}
	t.after(at, func(t *Task, now time.Time) {
		t.become("STOPPING")
	})
	t.after(at.Add(e.Scaled(windDown/2)), func(t *Task, now time.Time) {
		t.become("DEPROVISIONING")
		t.executionStopped = now
		for _, c := range t.containers {
			if ran && c.exitCode == nil {
				c.exitCode = scenario.Exit(0)
				if t.Revision == nil && t.stopCode == "UserInitiated" {
					c.exitCode = scenario.Exit(143) // SIGTERM: nothing of a one-off command catches it
				}
			}
			c.status = "STOPPED"
		}
	})
	t.after(at.Add(e.Scaled(windDown)), func(t *Task, now time.Time) {
		t.become("STOPPED")
		t.stoppedAt = now
		for _, c := range t.containers {
			c.status = "STOPPED"
		}
	})
}
