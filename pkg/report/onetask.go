package report

// One-off tasks in words: the lines of the log, the issue, the closing line and the
// summary of command runTask and of the migration before a rollout.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/runtask"
	"ecsdeploy/pkg/taskdef"
)

// taskTitle is the title of a task's part of the log.
func taskTitle(s deploy.Section) string {
	if s.Migration {
		return "Migration in the network of " + s.Name
	}
	return "Task in the network of " + s.Name
}

// showTask shows the events of one-off tasks.
func (l *Log) showTask(event any) {
	switch e := event.(type) {
	case deploy.TaskPlanned:
		l.taskPlanned(e.Plan)
	case deploy.TaskHappened:
		l.taskHappened(e.Event)
	case deploy.TaskEnded:
		l.taskEnded(e.Result)
	case deploy.Tidied:
		l.tidied(e)
	case deploy.MigrationSkipped:
		l.info("", "no migration: it has already succeeded for %s", ecs.ShortARN(e.Revision))
	case deploy.MigrationUnnoted:
		l.info("", "could not put the tag %s on %s, by which a further run of this step knows that the migration has succeeded; it would run it again: %s",
			taskdef.MigratedTag, ecs.ShortARN(e.Revision), e.Err)
	case deploy.Untouched:
		l.info("", "no service was changed")
	}
}

// tidied says which revisions were deregistered, and why others were not.
func (l *Log) tidied(e deploy.Tidied) {
	if len(e.Removed) > 0 {
		names := make([]string, len(e.Removed))
		for i, arn := range e.Removed {
			names[i] = ecs.ShortARN(arn)
		}
		l.info("", "deregistered %s (keepRevisions: %d): %s", count(len(names), "older revision"), e.Keep, strings.Join(names, ", "))
	}
	if e.Err != nil {
		l.warn("", "older revisions of %s stay registered (keepRevisions: %d): %s", e.Family, e.Keep, e.Err)
	}
}

func (l *Log) taskPlanned(p deploy.TaskPlan) {
	if p.Image.URI != "" {
		l.info("", "image  %s", candidateText(p.Image))
	}
	l.lineage(p.Name.Name, p.ServicePlan)
	if arn := p.Registered(); arn != "" {
		l.info("", "runs a task of %s in the network of service %s", ecs.ShortARN(arn), p.Name)
	} else {
		l.info("", "runs a task of a new revision based on %s in the network of service %s", baseText(p.Lineage), p.Name)
		for _, difference := range taskdef.Diff(p.Lineage.Base, p.Target) {
			l.info("", "  %s", difference)
		}
	}
	for _, text := range overridesText(p.Container, p.Overrides) {
		l.info("", "  %s", text)
	}
}

// overridesText says what the task has otherwise than its revision. The values of
// variables may be anything, and stay out of the log.
func overridesText(container string, o runtask.Overrides) (lines []string) {
	if o.Command != nil {
		lines = append(lines, "command of container "+container+": "+commandText(o.Command))
	}
	for _, v := range o.Environment {
		lines = append(lines, "environment of container "+v.Container+": "+v.Name)
	}
	if o.CPU != "" {
		lines = append(lines, "cpu: "+o.CPU)
	}
	if o.Memory != "" {
		lines = append(lines, "memory: "+o.Memory)
	}
	return lines
}

// commandText is a command as the inputs have it.
func commandText(command []string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(command) // strings always encode
	return strings.TrimSuffix(b.String(), "\n")
}

// migrationPlanned says what will run before the services are changed.
func (l *Log) migrationPlanned(p *deploy.Plan) {
	plan, revision := p.Migration()
	if plan == deploy.NoMigration {
		return
	}
	command := commandText(p.Request.Migration)
	switch plan {
	case deploy.MigrationDone:
		l.info("", "no migration: %s has already succeeded for %s", command, ecs.ShortARN(revision))
	case deploy.MigrationUncertain:
		l.info("", "first runs the migration %s as a task in the network of service %s, unless it has already succeeded for %s with this image, whose digest is known once it is pushed",
			command, p.Services[0].Name, ecs.ShortARN(revision))
	default:
		l.info("", "first runs the migration %s as a task in the network of service %s", command, p.Services[0].Name)
	}
}

func (l *Log) taskHappened(event any) {
	switch e := event.(type) {
	case runtask.Launched:
		l.info("", "started task %s", ecs.ShortARN(e.Task))
	case runtask.Waits:
		l.info("", "waiting for capacity: %s", strings.TrimSuffix(e.Cause.Reason, "."))
		if e.Cause.Hint != "" {
			l.info("", "hint: %s", e.Cause.Hint)
		}
	case runtask.Status:
		l.info("", "task is %s", plain(e.Status))
	case runtask.Line:
		l.line(e.At, slog.LevelInfo, e.Container, e.Text)
	case runtask.Omitted:
		l.info(e.Stream.Container, "%s more: see log group %s, stream %s; the last of them:", count(e.Lines, "line"), e.Stream.Group, e.Stream.Name)
	case runtask.Unread:
		l.info("", "%s", e.Note)
	case runtask.Silence:
		if e.Err != nil {
			l.warn("", "cannot reach AWS; retrying: %s", e.Err)
		} else {
			l.info("", "AWS answers again")
		}
	case runtask.Heartbeat:
		l.info("", "task is still running (%s)", Duration(e.For))
	case runtask.Stopping:
		l.stopping(e)
	}
}

func (l *Log) stopping(e runtask.Stopping) {
	why := "the run was cancelled"
	if !e.Cancelled {
		why = "time limit reached after " + Duration(e.After)
	}
	if e.Err != nil {
		l.warn("", "%s: task %s could not be stopped and may still be running: %s", why, ecs.ShortARN(e.Task), e.Err)
		return
	}
	l.warn("", "%s: requested the stop of task %s", why, ecs.ShortARN(e.Task))
}

// taskEnded says how the task and each of its containers ended.
func (l *Log) taskEnded(t *deploy.TaskResult) {
	if t.Task == "" || t.Outcome == runtask.Started {
		if t.Outcome == runtask.Started {
			l.info("", "not waiting for the task (wait: false); its exit code is not known")
		}
		return
	}
	if t.Failed() && (t.Cause.Reason != "" || t.Cause.StopCode != "") {
		l.info("", "task stopped: %s", stopText(t.Cause))
	}
	for _, c := range t.Cause.Containers {
		l.info("", "%s", endText(c))
	}
	if hint := taskHint(t); t.Failed() && hint != "" {
		l.info("", "hint: %s", hint)
	}
}

// stopText is why a task stopped, as ECS says it.
func stopText(c diagnosis.Cause) string {
	text := cmp.Or(strings.TrimSuffix(c.Reason, "."), c.StopCode)
	if c.Reason != "" && c.StopCode != "" {
		text += " (" + c.StopCode + ")"
	}
	return text
}

// endText is how one container ended.
func endText(c diagnosis.ContainerEnd) string {
	switch {
	case c.ExitCode != nil:
		return because(fmt.Sprintf("container %s exited with code %d", c.Name, *c.ExitCode), c.Reason)
	case c.Reason != "":
		return "container " + c.Name + ": " + c.Reason
	}
	return "container " + c.Name + " did not run"
}

// taskIssue is why a task failed, in one line, and what to do about it.
func taskIssue(t *deploy.TaskResult) Issue {
	what := "task of " + ecs.ShortARN(t.Revision)
	if t.Migration {
		what = "migration (task of " + ecs.ShortARN(t.Revision) + ")"
	}
	issue := Issue{Text: what + " " + taskFailure(t), Hint: taskHint(t)}
	if t.Migration {
		issue.Text += "; no service was changed"
	}
	return issue
}

// taskHint is what to do about a task that failed; "" where that is not known.
func taskHint(t *deploy.TaskResult) string {
	if t.Outcome == runtask.TimedOut {
		return "its log shows what it was doing; raise timeoutMinutes where it needs longer"
	}
	return t.Cause.Hint
}

// limitText is the time limit of a task, and where it comes from.
func limitText(t *deploy.TaskResult) string {
	if t.Migration {
		return minutes(t.Limit) + " (timeoutMinutes without what is kept for a rollback)"
	}
	return minutes(t.Limit) + " (timeoutMinutes)"
}

// taskFailure says why a task failed, after its name.
func taskFailure(t *deploy.TaskResult) string {
	because := shorten(t.Cause.Clause(), partLength)
	switch t.Outcome {
	case runtask.NoCapacity:
		if because == "" || t.Cause.Reason == "" {
			return "was not started within " + limitText(t)
		}
		return fmt.Sprintf("was not started within %s, there was no capacity: %s", limitText(t), because)
	case runtask.TimedOut:
		if t.Unstopped != nil {
			return "timed out after " + limitText(t) + " and could not be stopped, so that it may still be running"
		}
		text := "timed out after " + limitText(t) + " and was stopped"
		if t.Stopping {
			text += "; it has not ended yet"
		}
		return text
	}
	if t.ExitCode != nil && *t.ExitCode != 0 && (t.Cause.Failed() == nil || t.Cause.Failed().Name != t.Container) {
		return fmt.Sprintf("failed: container %s exited with code %d; %s", t.Container, *t.ExitCode, because)
	}
	return "failed: " + because
}

// taskLine is the task in one line, for the end of the log.
func taskLine(t *deploy.TaskResult) string {
	revision := ecs.ShortARN(t.Revision)
	switch t.Outcome {
	case runtask.Succeeded:
		return fmt.Sprintf("Task of %s succeeded: container %s exited with code 0", revision, t.Container)
	case runtask.Started:
		return fmt.Sprintf("Task %s of %s was started; not waited for", ecs.ShortARN(t.Task), revision)
	}
	return taskIssue(t).Text
}

// exitCode is the exit code as an output; "" where it is not known.
func exitCode(t *deploy.TaskResult) string {
	if t == nil || t.ExitCode == nil {
		return ""
	}
	return strconv.Itoa(*t.ExitCode)
}

// taskSummary is the part of the summary about a one-off task.
func taskSummary(b *strings.Builder, r deploy.Result) {
	t := r.Task
	sign := "✅"
	switch {
	case t.Failed():
		sign = "❌"
	case t.Outcome == runtask.Started:
		sign = "⏸️"
	}
	line := taskLine(t)
	if t.Migration && !t.Failed() {
		line = "Migration succeeded: container " + t.Container + " exited with code 0"
	}
	fmt.Fprintf(b, "### %s %s\n\n", sign, text(line))
	if hint := taskHint(t); t.Failed() && hint != "" {
		fmt.Fprintf(b, "> 💡 %s\n\n", text(hint))
	}
	table(b, [][2]string{
		{"Network of", link(text(t.Service.Cluster+" / "+t.Service.Name), ConsoleURL(t.ARN))},
		{"Revision", revisionLink(t.Revision)},
		{"Task", link(code(ecs.ShortARN(t.Task)), taskURL(t.Task))},
		{"Exit code", exitCode(t)},
		{"Log", link(code(t.Log.Name), logStreamURL(t.Log))},
		{"Time", durationText(t.Took)},
	})
	b.WriteString("\n")
	if t.Failed() && len(t.Cause.Containers) > 0 {
		b.WriteString("**How its containers ended**\n\n")
		for _, c := range t.Cause.Containers {
			fmt.Fprintf(b, "- %s\n", text(endText(c)))
		}
		b.WriteString("\n")
	}
	if t.Failed() && len(t.Cause.Log) > 0 {
		b.WriteString("**Last lines of its log**\n\n<pre>\n")
		for _, line := range t.Cause.Log {
			fmt.Fprintf(b, "%s\n", pre(line))
		}
		b.WriteString("</pre>\n\n")
	}
}
