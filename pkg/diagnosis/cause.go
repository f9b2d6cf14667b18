package diagnosis

// From tasks and events to causes: pure. Equal ones are grouped, the container
// that took a task down is found, and every cause is told whose fault it is.

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
)

// group is a cause with the tasks that it was made from.
type group struct {
	Cause
	tasks []types.Task // the latest first
}

// StopCauses groups tasks that ended for a reason of their own, most frequent
// first. Tasks that ECS stopped because it did not need them any more are left
// out: that is how a rollback ends what still ran. Which containers are essential
// need not be known.
func StopCauses(stopped []types.Task) []Cause { return causesOf(stopCauses(stopped, nil)) }

func causesOf(groups []group) []Cause {
	var causes []Cause
	for _, g := range groups {
		causes = append(causes, g.withHint())
	}
	return causes
}

func stopCauses(tasks []types.Task, essential map[string]bool) []group {
	reasons := normalised{} // hundreds of tasks may end in the same words
	return grouped(tasks, essential, func(t types.Task) (Cause, bool) {
		reason := reasons.of(t.StoppedReason)
		if surplus.MatchString(reason) {
			return Cause{}, false
		}
		return Cause{StopCode: string(t.StopCode), Reason: reason}, true
	})
}

// surplus is how ECS words the stop of a task that is one too many.
var surplus = regexp.MustCompile(`(?i)^scaling activity initiated by`)

// The reasons that this package gives to tasks that have not ended, for which
// ECS has none.
const (
	runningUnhealthy = "running, container health check fails"
	runningUnknown   = "running, health not known"
	still            = "still " // and then the task's last status
)

// unhealthyCauses groups running tasks whose container health check fails.
func unhealthyCauses(tasks []types.Task, essential map[string]bool) []group {
	return grouped(tasks, essential, func(t types.Task) (Cause, bool) {
		return Cause{Reason: runningUnhealthy}, t.HealthStatus == types.HealthStatusUnhealthy
	})
}

// idleCauses groups the tasks that are not known to be healthy yet. That is no
// failure, but all there is to say of a deployment that makes no progress.
func idleCauses(tasks []types.Task, essential map[string]bool) []group {
	return grouped(tasks, essential, func(t types.Task) (Cause, bool) {
		switch {
		case t.HealthStatus == types.HealthStatusHealthy, t.HealthStatus == types.HealthStatusUnhealthy:
			return Cause{}, false
		case aws.ToString(t.LastStatus) == "RUNNING":
			return Cause{Reason: runningUnknown}, true
		}
		return Cause{Reason: still + cmp.Or(aws.ToString(t.LastStatus), "in an unknown state")}, true
	})
}

// grouped makes one cause of tasks that ended alike: for the same reason, with
// the same container failing in the same way. part returns the part of the cause
// that the task itself tells, or that the task does not count.
func grouped(tasks []types.Task, essential map[string]bool, part func(types.Task) (Cause, bool)) []group {
	tasks = slices.Clone(tasks)
	slices.SortStableFunc(tasks, func(a, b types.Task) int { return ended(b).Compare(ended(a)) })
	var groups []group
	index, reasons := map[string]int{}, normalised{}
	for _, t := range tasks {
		cause, counts := part(t)
		if !counts {
			continue
		}
		cause.Containers = containerEnds(t, essential, reasons)
		key := cause.StopCode
		if f := cause.Failed(); f != nil {
			if cause.Unexplained() && f.Reason != "" {
				cause.Reason = f.Reason
			}
			key += "\x00" + f.Name + "\x00" + f.Reason + "\x00" + exitText(f.ExitCode)
		}
		key += "\x00" + cause.Reason
		i, known := index[key]
		if !known {
			i = len(groups)
			index[key] = i
			cause.Fault = stopFault(cause)
			groups = append(groups, group{Cause: cause})
		}
		g := &groups[i]
		g.Count++
		g.Ran = max(g.Ran, ran(t))
		g.tasks = append(g.tasks, t)
		if id := ecs.ShortARN(aws.ToString(t.TaskArn)); id != "" && len(g.Tasks) < fewTasks {
			g.Tasks = append(g.Tasks, id)
		}
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(b.Count, a.Count) })
	return groups
}

// unexplained is a reason of ECS for which only the containers have the cause.
var unexplained = regexp.MustCompile(`(?i)^(task failed to start)?[.: ]*$`)

// ended is when a task ended, or began where it has not; zero where ECS does not
// say.
func ended(t types.Task) time.Time {
	for _, at := range []*time.Time{t.StoppingAt, t.StoppedAt, t.StartedAt, t.CreatedAt} {
		if at != nil {
			return *at
		}
	}
	return time.Time{}
}

// ran is how long a task's containers ran until something decided to end it.
func ran(t types.Task) time.Duration {
	if t.StartedAt == nil || t.StoppingAt == nil {
		return 0
	}
	return max(t.StoppingAt.Sub(*t.StartedAt), 0)
}

// containerEnds says how a task's containers ended, and which took it down.
func containerEnds(t types.Task, essential map[string]bool, reasons normalised) []ContainerEnd {
	ends := make([]ContainerEnd, len(t.Containers))
	failed, worst := -1, 0
	for i, c := range t.Containers {
		ends[i] = ContainerEnd{Name: aws.ToString(c.Name), Reason: reasons.of(c.Reason)}
		if c.HealthStatus != types.HealthStatusUnknown {
			ends[i].Health = string(c.HealthStatus)
		}
		if c.ExitCode != nil {
			ends[i].ExitCode = aws.Int(int(*c.ExitCode))
		}
		is, known := essential[ends[i].Name]
		if blame := ends[i].blame(is || !known, string(t.StopCode)); blame > worst {
			failed, worst = i, blame
		}
	}
	if failed >= 0 {
		ends[failed].Failed = true
	}
	return ends
}

// blame says how likely it is that this container took its task down: ECS names
// none. What ends first takes the others with it by SIGTERM and then SIGKILL,
// so that those two say little; a reason of ECS's own says most.
func (e ContainerEnd) blame(essential bool, stopCode string) int {
	code, odd := 0, false
	if e.ExitCode != nil {
		code = *e.ExitCode
		odd = code != 0 && code != 137 && code != 143
	}
	switch {
	case e.Reason != "" && !dependency.MatchString(e.Reason):
		return 9
	case e.Health == string(types.HealthStatusUnhealthy):
		return 8
	case odd && essential:
		return 7
	case odd:
		return 6 // a container that others wait for, as long as none of them ran
	case essential && e.ExitCode != nil && code == 0 && stopCode == string(types.TaskStopCodeEssentialContainerExited):
		return 5
	case essential && code == 137:
		return 4
	case essential && code == 143:
		return 3
	case essential:
		return 2
	}
	return 1
}

// dependency is how ECS words that a container did not start because of another.
var dependency = regexp.MustCompile(`(?i)dependency|depends on`)

// withHint returns c with the hint for all that is known of it by now.
func (c Cause) withHint() Cause {
	k := symptoms{stopCode: c.StopCode, reason: c.Reason, log: c.Log, ran: c.Ran}
	if f := c.Failed(); f != nil {
		k.exit = f.ExitCode
		if f.Reason != c.Reason {
			k.reason += "; " + f.Reason
		}
	}
	c.Hint = hintFor(taskHints, k)
	return c
}

// trouble recognises the events that say why there are no tasks, whatever they
// will say in the future; routine those that look like it and are only the
// outcome.
var (
	trouble = regexp.MustCompile(`(?i)unable to|failed to|\(error |throttled`)
	routine = regexp.MustCompile(`(?i)unable to consistently start tasks|deployment failed:|is unhealthy in|failed container health checks`)
)

// Trouble returns what an event of a service says about why there are no tasks,
// with its hint and whose fault it is; false for events that do not say so.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
func Trouble(event ecs.Message) (Cause, bool) {
	if !trouble.MatchString(event.Text) || routine.MatchString(event.Text) {
		return Cause{}, false
	}
	return eventCause(event.Text), true
}

// eventCause is the text of an event, or of anything else that is not about
// particular tasks, as a cause.
func eventCause(text string) Cause {
	c := Cause{Event: true, Count: 1, Reason: normalise(withoutService(text))}
	c.Fault = eventFault(c.Reason)
	return c.withHint()
}

// Troubles groups the events since a time that say why tasks could not be started
// or registered, most frequent first. events come newest first.
func Troubles(events []ecs.Message, since time.Time) []Cause {
	var causes []Cause
	for _, e := range events {
		if e.Time.Before(since) {
			continue
		}
		cause, ok := Trouble(e)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(causes, func(c Cause) bool { return c.Reason == cause.Reason }); i >= 0 {
			causes[i].Count++
		} else {
			causes = append(causes, cause)
		}
	}
	slices.SortStableFunc(causes, func(a, b Cause) int { return cmp.Compare(b.Count, a.Count) })
	return causes
}

// unhealthyEvent is the event of a target that fails its load balancer's checks:
//
//	(service web) (task 0f1e…) (port 8080) is unhealthy in (target-group arn:…) due to (reason Health checks failed with these codes: [503])
var unhealthyEvent = regexp.MustCompile(`\((?:task|instance) ([^)\s]+)\)(?: \(port (\d+)\))? is unhealthy in \((?:target-group|elb) ([^)\s]+)\) due to \(reason (.+)\)`)

// unhealthyEvents groups the events since a time about unhealthy targets. ours
// says whether a task belongs to the deployment.
func unhealthyEvents(events []ecs.Message, since time.Time, ours func(task string) bool) []UnhealthyTargets {
	var groups []UnhealthyTargets
	for _, e := range events {
		m := unhealthyEvent.FindStringSubmatch(e.Text)
		if m == nil || e.Time.Before(since) || !strings.HasPrefix(m[1], "i-") && !ours(m[1]) {
			continue
		}
		port, _ := strconv.Atoi(m[2]) // 0 where the event names none
		groups = addTarget(groups, UnhealthyTargets{Group: targetGroupName(m[3]), ARN: m[3], Port: port, Reason: normalise(m[4])})
	}
	return groups
}

// addTarget counts t among groups.
func addTarget(groups []UnhealthyTargets, t UnhealthyTargets) []UnhealthyTargets {
	for i, g := range groups {
		if g.Group == t.Group && g.Port == t.Port && g.State == t.State && g.Reason == t.Reason {
			groups[i].Count++
			return groups
		}
	}
	t.Count, t.Hint = 1, hintFor(targetHints, symptoms{reason: t.Reason})
	return append(groups, t)
}

// targetGroupName returns the name in a target group's ARN:
// arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/6d0ecf831eec9f09.
func targetGroupName(arn string) string {
	if parts := strings.Split(arn, "/"); len(parts) == 3 {
		return parts[1]
	}
	return arn
}

func exitText(code *int) string {
	if code == nil {
		return ""
	}
	return strconv.Itoa(*code)
}
