package rollout

// Why tasks did not stay up, pure: tasks and events in, causes out, equal ones
// grouped, and a page of text for them however many there were.

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Diagnosis is why tasks of a deployment did not stay up, for people. Its texts
// come from AWS and from containers: they are as they came, to be cleaned by
// whoever prints them.
type Diagnosis struct {
	// Causes are what ended tasks, most frequent first; then what ECS reported
	// as events, such as a task that it could not place. Where there is neither,
	// they are the tasks that have not got anywhere yet.
	Causes []Cause
	// More is how many further causes were left out, MoreTasks how many tasks
	// those stand for.
	More, MoreTasks int
	// Targets are the load balancer's unhealthy targets, grouped.
	Targets []UnhealthyTargets
	// Alarms are the CloudWatch alarms that ended the deployment.
	Alarms []string
	// Notes say what could not be read, and why.
	Notes []string
}

// Cause is one reason for which tasks ended or do not get on.
type Cause struct {
	Count    int      // of tasks, or of events
	Event    bool     // it was the service that reported it, not a task
	Tasks    []string // ids of a few of the tasks, the latest first
	StopCode string   // types.TaskStopCode; empty for events and for tasks that have not stopped
	// Reason is ECS's, without what differs from task to task: ids, addresses,
	// numbers of attempts.
	Reason     string
	Containers []ContainerEnd // of the latest task, in the order of DescribeTasks
	Ran        time.Duration  // how long the longest-lived of the tasks ran; 0: none came to run
	Log        []string       // last lines of the container that failed, of one of the tasks
	LogTask    string         // id of that task
	Hint       string         // what it means and what to check, in plain words; may be empty
}

// ContainerEnd is how one container of a task ended.
type ContainerEnd struct {
	Name     string
	ExitCode *int   // nil when it never ran, or still runs
	Reason   string // ECS's, normalised like the task's
	Health   string // of its health check: HEALTHY, UNHEALTHY; empty without one
	Failed   bool   // it is the one that took the task down; at most one of a task
}

// UnhealthyTargets are targets of one target group that fail for one reason.
type UnhealthyTargets struct {
	Count  int
	Group  string // the target group's name
	Port   int
	State  string // unhealthy, unused, initial …; empty when an event told it
	Reason string // code and description as ELB words them
	Hint   string
}

const (
	maxCauses   = 4
	maxTargets  = 3
	maxNotes    = 5
	maxReason   = 500 // runes of a reason
	fewTasks    = 3   // ids that a cause names
	logLines    = 20  // of a cause
	logRunes    = 300 // of a line
	fewLogLines = 4   // that are printed of all causes but the first
)

// stops is a cause in the making: with the tasks themselves.
type stops struct {
	Cause
	tasks []types.Task // the latest first
}

// stopCauses groups the tasks that ended for a reason of their own, most
// frequent first. Tasks that ECS stopped because it did not need them any more
// are none: that is how a rollback ends what still ran.
func stopCauses(tasks []types.Task, essential map[string]bool) []stops {
	return grouped(tasks, essential, func(t types.Task) (Cause, bool) {
		reason := normalise(aws.ToString(t.StoppedReason))
		if surplus.MatchString(reason) {
			return Cause{}, false
		}
		return Cause{StopCode: string(t.StopCode), Reason: reason}, true
	})
}

// surplus is how ECS words the stop of a task that is one too many.
var surplus = regexp.MustCompile(`(?i)^scaling activity initiated by`)

// unhealthyCauses groups running tasks whose container health check fails.
func unhealthyCauses(tasks []types.Task, essential map[string]bool) []stops {
	return grouped(tasks, essential, func(t types.Task) (Cause, bool) {
		return Cause{Reason: "running, container health check fails"}, t.HealthStatus == types.HealthStatusUnhealthy
	})
}

// idleCauses groups the tasks that have not got anywhere yet. That is no
// failure, but all there is to say of a deployment that is stuck.
func idleCauses(tasks []types.Task, essential map[string]bool) []stops {
	return grouped(tasks, essential, func(t types.Task) (Cause, bool) {
		switch {
		case t.HealthStatus == types.HealthStatusHealthy, t.HealthStatus == types.HealthStatusUnhealthy:
			return Cause{}, false
		case aws.ToString(t.LastStatus) == "RUNNING":
			return Cause{Reason: "running, health not known"}, true
		}
		return Cause{Reason: "still " + aws.ToString(t.LastStatus)}, true
	})
}

// grouped makes one cause of tasks that ended alike: for the same reason, with
// the same container failing in the same way. why tells a task's part, or that
// it does not count.
func grouped(tasks []types.Task, essential map[string]bool, why func(types.Task) (Cause, bool)) []stops {
	tasks = slices.Clone(tasks)
	slices.SortStableFunc(tasks, func(a, b types.Task) int { return ended(b).Compare(ended(a)) })
	var groups []stops
	index := map[string]int{}
	for _, t := range tasks {
		cause, counts := why(t)
		if !counts {
			continue
		}
		cause.Containers = containerEnds(t, essential)
		key := cause.StopCode + "\x00" + cause.Reason
		if f := cause.failed(); f != nil {
			key += "\x00" + f.Name + "\x00" + f.Reason + "\x00" + exitText(f.ExitCode)
		}
		i, known := index[key]
		if !known {
			i = len(groups)
			index[key] = i
			groups = append(groups, stops{Cause: cause})
		}
		g := &groups[i]
		g.Count++
		g.Ran = max(g.Ran, ran(t))
		g.tasks = append(g.tasks, t)
		if len(g.Tasks) < fewTasks {
			g.Tasks = append(g.Tasks, ShortARN(aws.ToString(t.TaskArn)))
		}
	}
	slices.SortStableFunc(groups, func(a, b stops) int { return cmp.Compare(b.Count, a.Count) })
	return groups
}

// ended is when a task ended, or began where it has not.
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
func containerEnds(t types.Task, essential map[string]bool) []ContainerEnd {
	ends := make([]ContainerEnd, len(t.Containers))
	failed, worst := -1, 0
	for i, c := range t.Containers {
		ends[i] = ContainerEnd{Name: aws.ToString(c.Name), Reason: normalise(aws.ToString(c.Reason))}
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

// failed returns the container that took the task down.
func (c Cause) failed() *ContainerEnd {
	for i := range c.Containers {
		if c.Containers[i].Failed {
			return &c.Containers[i]
		}
	}
	return nil
}

// withHint returns c with the hint for all that is known of it by now.
func (c Cause) withHint() Cause {
	k := clue{stopCode: c.StopCode, reason: c.Reason, log: c.Log, ran: c.Ran}
	if f := c.failed(); f != nil {
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

// troubles reports whether m says why there are no tasks.
func (m Message) troubles() bool {
	return trouble.MatchString(m.Text) && !routine.MatchString(m.Text)
}

// cause is m as the cause of a deployment that does not get on.
func (m Message) cause() Cause {
	return Cause{Event: true, Count: 1, Reason: normalise(withoutService(m.Text))}.withHint()
}

// eventCauses groups the service's events since a time that say why tasks could
// not be started or registered. events come newest first.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
func eventCauses(events []Message, since time.Time) []Cause {
	var causes []Cause
	for _, e := range events {
		if e.Time.Before(since) || !e.troubles() {
			continue
		}
		cause := e.cause()
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
func unhealthyEvents(events []Message, since time.Time, ours func(task string) bool) []UnhealthyTargets {
	var groups []UnhealthyTargets
	for _, e := range events {
		m := unhealthyEvent.FindStringSubmatch(e.Text)
		if m == nil || e.Time.Before(since) || !strings.HasPrefix(m[1], "i-") && !ours(m[1]) {
			continue
		}
		port, _ := strconv.Atoi(m[2]) // 0 where the event names none
		groups = addTarget(groups, UnhealthyTargets{Group: targetGroupName(m[3]), Port: port, Reason: normalise(m[4])})
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
	t.Count, t.Hint = 1, hintFor(targetHints, clue{reason: t.Reason})
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

// variable is what differs between texts that mean the same, with what stands
// in its place.
var variable = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\s+`), " "},
	{regexp.MustCompile(` ?For more information, see the Troubleshooting section of the Amazon ECS Developer Guide\.?`), ""},
	{regexp.MustCompile(`arn:aws[\w-]*:elasticloadbalancing:[^\s()]*:targetgroup/([^\s()/]+)/[0-9a-f]+`), "$1"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "…"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "…"}, // ids of tasks and sessions; a digest is longer, and says something
	{regexp.MustCompile(`\b(i|eni|eni-attach)-[0-9a-f]{8,17}\b`), "$1-…"},
	{regexp.MustCompile(`(?i)(request ?id:? )[0-9a-z=+/-]+`), "$1…"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.]*(Z|[+-]\d\d:?\d\d)?`), "…"},
	{regexp.MustCompile(`:\d+->`), "->"}, // the port that a connection came from
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`), "…"},
	{regexp.MustCompile(`(retried)( \d+ time(s|\(s\))?)+`), "$1"},
	{regexp.MustCompile(`(?i)\b(attempt) \d+(/\d+)?`), "$1"},
}

// normalise cuts out of a reason what differs from task to task, so that equal
// causes can be grouped: ids, addresses, times, numbers of attempts. The result
// is one line of valid UTF-8 and of maxReason runes at most.
func normalise(text string) string {
	text = strings.ToValidUTF8(text, "�")
	for _, v := range variable {
		text = v.pattern.ReplaceAllString(text, v.instead)
	}
	return clip(strings.TrimSpace(text), maxReason)
}

// clip cuts text to at most n runes, the last of which says that it did.
func clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// Lines is the diagnosis as a log shows it: one page at most, however many
// tasks failed in however many ways.
func (d Diagnosis) Lines() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for i, c := range d.Causes {
		add("%s", c.title())
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
		add("%s", t.title())
		if t.Hint != "" {
			add("  hint: %s", t.Hint)
		}
	}
	if len(d.Alarms) > 0 {
		add("alarms: %s", strings.Join(d.Alarms, ", "))
	}
	for _, n := range d.Notes {
		add("not known: %s", n)
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
func (d Diagnosis) Why() (clause, hint string) {
	var first Cause
	for _, c := range d.Causes {
		if !c.byRollback() {
			first = c
			break
		}
	}
	switch {
	case len(d.Targets) > 0 && !first.tells():
		return d.Targets[0].title(), d.Targets[0].Hint
	case first.Count > 0:
		return first.clause(), first.Hint
	}
	return "", ""
}

// tells reports whether the cause says more than an unhealthy target does: the
// load balancer knows more of its check than ECS, and a task that waits has none.
func (c Cause) tells() bool {
	return c.Event || c.StopCode != "" && !containsFold(c.Reason, "elb health checks")
}

// byRollback reports whether the tasks stopped only because CodeDeploy, rolling
// back, deleted the task set that they belonged to.
func (c Cause) byRollback() bool { return containsFold(c.Reason, "task set was deleted") }

// clause is the cause within a sentence: how the container ended that took the
// task down, else ECS's reason.
func (c Cause) clause() string {
	f := c.failed()
	switch {
	case f != nil && f.ExitCode != nil && c.StopCode == string(types.TaskStopCodeEssentialContainerExited):
		return because(fmt.Sprintf("container %s ended with exit code %d", f.Name, *f.ExitCode), strings.TrimSuffix(f.Reason, "."))
	case c.StopCode == "" && !c.Event:
		return plural(c.Count, "task") + " " + c.Reason
	}
	return strings.TrimSuffix(cmp.Or(c.Reason, c.StopCode, "ECS gives no reason"), ".")
}

// title is the cause in one line.
func (c Cause) title() string {
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
	text := plural(c.Count, "task") + verb + ": " + cmp.Or(c.Reason, c.StopCode, "ECS gives no reason")
	if c.Reason != "" && c.StopCode != "" {
		text += " (" + c.StopCode + ")"
	}
	return text
}

// containerLines says how the containers ended, the one that failed first, and
// nothing that the title has said.
func (c Cause) containerLines() []string {
	f := c.failed()
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
		text := fmt.Sprintf("container %s ended with exit code %d", f.Name, *f.ExitCode)
		if c.Ran > 0 {
			text += " after " + c.Ran.Round(time.Second).String()
		}
		lines = append(lines, because(text, said))
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

func (c Cause) failedName() string {
	if f := c.failed(); f != nil {
		return f.Name
	}
	return "the container"
}

func (t UnhealthyTargets) title() string {
	text := plural(t.Count, "target") + " " + cmp.Or(t.State, "unhealthy") + " in target group " + t.Group
	if t.Port > 0 {
		text += fmt.Sprintf(", port %d", t.Port)
	}
	return because(text, t.Reason)
}

func exitText(code *int) string {
	if code == nil {
		return ""
	}
	return strconv.Itoa(*code)
}

// plural says "1 task", "2 tasks".
func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
