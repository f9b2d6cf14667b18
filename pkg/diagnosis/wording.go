package diagnosis

// Every sentence about a diagnosis that a person reads, apart from the hints: the
// page in the log, the one clause that says why. Plain technical English, AWS's own
// terms, the reason first.

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// fewLogLines is how many lines of the log are printed of all causes but the first.
const fewLogLines = 4

// Lines is the diagnosis as a log shows it: one page at most, however many
// tasks failed in however many ways.
func (d Diagnosis) Lines() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for i, c := range d.Causes {
		add("%s", c.Title())
		for _, text := range c.containerLines() {
			add("  %s", text)
		}
		show := c.Log
		if i > 0 && len(show) > fewLogLines {
			show = show[len(show)-fewLogLines:]
		}
		if len(show) > 0 {
			add("  last lines of %s in task %s:", c.failedName(), c.LogTask)
		}
		for _, line := range show {
			add("  | %s", line)
		}
		if c.Hint != "" {
			add("  hint: %s", c.Hint)
		}
	}
	if rest := d.Rest(); rest != "" {
		add("%s", rest)
	}
	for _, t := range d.Targets {
		add("%s", t.Title())
		if t.Hint != "" {
			add("  hint: %s", t.Hint)
		}
	}
	if len(d.Alarms) > 0 {
		add("alarms: %s", strings.Join(d.Alarms, ", "))
	}
	for _, n := range d.Notes {
		add("%s", n)
	}
	return lines
}

// Rest says how much was left out, "" where nothing was.
func (d Diagnosis) Rest() string {
	if d.More == 0 {
		return ""
	}
	text := "and " + plural(d.More, "more cause")
	if d.MoreTasks > 0 {
		text += " (" + plural(d.MoreTasks, "task") + ")"
	}
	return text
}

// Why is what the diagnosis comes to in one clause, and what to do about it;
// both are empty where it found no reason.
func (d Diagnosis) Why() (because, hint string) {
	cause, targets := d.Main()
	switch {
	case targets != nil:
		return targets.Title(), targets.Hint
	case cause != nil:
		return cause.Clause(), cause.Hint
	}
	return "", ""
}

// Clause is the cause within a sentence: how the container ended that took the
// task down, else ECS's reason.
func (c Cause) Clause() string {
	f := c.Failed()
	switch {
	case f != nil && f.ExitCode != nil && (c.StopCode == string(types.TaskStopCodeEssentialContainerExited) || c.StopCode != "" && c.Unexplained()):
		return clause(exited(*f), strings.TrimSuffix(f.Reason, "."))
	case c.StopCode == "" && !c.Event:
		return plural(c.Count, "task") + " " + cmp.Or(c.Reason, noReason)
	}
	return strings.TrimSuffix(cmp.Or(c.Reason, c.StopCode, noReason), ".")
}

// noReason stands where ECS says nothing.
const noReason = "stopped; ECS gives no reason"

// Title is the cause in one line.
func (c Cause) Title() string {
	switch {
	case c.Event && c.Count > 1:
		return fmt.Sprintf("%d times: %s", c.Count, c.Reason)
	case c.Event:
		return c.Reason
	}
	verb := ""
	if c.StopCode != "" {
		verb = " stopped"
	}
	text := plural(c.Count, "task") + verb + ": " + cmp.Or(c.Reason, c.StopCode, noReason)
	if c.Reason != "" && c.StopCode != "" {
		text += " (" + c.StopCode + ")"
	}
	return text
}

// containerLines says how the containers ended, the one that failed first, and
// nothing that the title has said.
func (c Cause) containerLines() []string {
	f := c.Failed()
	if f == nil {
		return nil
	}
	var lines []string
	said := strings.TrimSuffix(f.Reason, ".")
	if said != "" && strings.Contains(c.Reason, said) {
		said = ""
	}
	switch {
	case f.ExitCode != nil:
		text := exited(*f)
		if c.Ran > 0 {
			text += " after " + c.Ran.Round(time.Second).String()
		}
		lines = append(lines, clause(text, said))
	case said != "":
		lines = append(lines, "container "+f.Name+": "+said)
	case f.Health == string(types.HealthStatusUnhealthy):
		lines = append(lines, "container "+f.Name+" is "+f.Health)
	}
	var others []string
	for _, e := range c.Containers {
		if !e.Failed && e.ExitCode != nil {
			others = append(others, fmt.Sprintf("%s %d", e.Name, *e.ExitCode))
		}
	}
	if len(others) > 0 {
		lines = append(lines, "exit codes of the other containers: "+clip(strings.Join(others, ", "), 200))
	}
	return lines
}

// exited says with which code a container exited.
func exited(e ContainerEnd) string {
	return fmt.Sprintf("container %s exited with code %d", e.Name, *e.ExitCode)
}

func (c Cause) failedName() string {
	if f := c.Failed(); f != nil {
		return f.Name
	}
	return "the container"
}

// Title is the group of targets in one line.
func (t UnhealthyTargets) Title() string {
	text := plural(t.Count, "target") + " " + cmp.Or(t.State, "unhealthy") + " in target group " + t.Group
	if t.Port > 0 {
		text += fmt.Sprintf(", port %d", t.Port)
	}
	return clause(text, t.Reason)
}

// String says what could not be read, and why.
func (n Note) String() string {
	switch n.Why {
	case Unlogged:
		return fmt.Sprintf("no log of container %s: the task definition gives it no logConfiguration", n.Name)
	case OtherDriver:
		return fmt.Sprintf("no log of container %s: its log driver is %s; only awslogs can be read", n.Name, n.Detail)
	case Empty:
		return fmt.Sprintf("no log of container %s: log group %s has no lines of the task", n.Name, n.Detail)
	case Incomplete:
		return fmt.Sprintf("only the first %s %s were read", n.Detail, n.What)
	}
	return "could not read " + n.subject() + ": " + n.obstacle()
}

// subject names what could not be read.
func (n Note) subject() string {
	switch n.What {
	case StoppedTasks, RunningTasks:
		return "the " + string(n.What)
	case TaskDefinition:
		return "task definition " + n.Name
	case ContainerLog:
		return fmt.Sprintf("the log of container %s (log group %s)", n.Name, n.Detail)
	case TargetHealth:
		return "the health of target group " + n.Name
	}
	return "the rest of the diagnosis"
}

// obstacle says why.
func (n Note) obstacle() string {
	switch n.Why {
	case Denied:
		if n.Explicit {
			return fmt.Sprintf("access denied (%s is denied by %s)", n.Action, cmp.Or(n.Policy, "a policy"))
		}
		return "access denied (requires " + n.Action + ")"
	case NoAnswer:
		return "no answer in time"
	case Unexpected:
		return "unexpected reply: " + n.Text
	}
	return cmp.Or(n.Text, "the call failed")
}

// clause adds a reason to what is said, where there is one.
func clause(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

// plural says "1 task", "2 tasks".
func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
