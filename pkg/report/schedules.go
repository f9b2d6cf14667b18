package report

// Rules and schedules in words: the lines of the log, the issue and the table of the
// summary.

import (
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/schedule"
)

// schedulesPlanned says which rules and schedules are to follow the services.
func (l *Log) schedulesPlanned(p *deploy.Plan) {
	to, when, back := map[string]string{}, "once every service runs it", false
	for _, s := range p.Services {
		made := s.Target
		if s.Name == (deploy.Service{}) {
			when = "once it is registered"
		}
		to[made.Family()] = "the new revision"
		if arn := s.Registered(); arn != "" {
			to[made.Family()] = ecs.ShortARN(arn)
		} else if made.ARN() != "" && s.Lineage.Base.ARN() == "" && s.Lineage.File == "" { // command rollback
			to[made.Family()], back = ecs.ShortARN(made.ARN()), true
		}
	}
	for _, e := range p.Schedules {
		from, next := ecs.ShortARN(e.TaskDefinition), to[e.Family()]
		switch {
		case !e.Pinned() && back:
			l.warn(e.String(), "%s: the rollback of the services does not change what it starts", newestText(e))
		case !e.Pinned():
			l.info(e.String(), "%s", newestText(e))
		case e.Over:
			l.info(e.String(), "has ended, and is left as it is")
		case from == next:
			l.info(e.String(), "already starts %s", next)
		default:
			l.info(e.String(), "%s → %s, %s", from, next, when)
		}
	}
	if p.Request.AllSchedules && len(p.Schedules) == 0 {
		l.info("", "no rule and no schedule starts tasks of this run's families in its clusters")
	}
}

func newestText(e schedule.Entry) string {
	return "names " + e.Family() + " without a revision, so that it starts the newest, and is left as it is"
}

// showSchedule shows the events of rules and schedules, and reports whether the event
// is one of them.
func (l *Log) showSchedule(event any) bool {
	switch e := event.(type) {
	case deploy.ScheduleEnded:
		l.scheduleEnded(e)
	case deploy.ScheduleChanged:
		l.warn(e.Entry.String(), "someone else has changed it since the plan was made: it started %s, and starts %s now", ecs.ShortARN(e.From), ecs.ShortARN(e.To))
	case deploy.ScheduleAdjusted:
		l.info(e.Entry.String(), "%s", adjustedText(e.Adjustment))
	case deploy.SchedulesStay:
		l.info("", "rules and schedules stay as they are: not every service runs its new revision")
	default:
		return false
	}
	return true
}

// scheduleEnded says what became of a rule or schedule. Why one was not moved is told
// once: by the issue at the end of the run, or here where the run has none.
func (l *Log) scheduleEnded(e deploy.ScheduleEnded) {
	s := e.Schedule
	switch {
	case !s.Failed() || s.State == deploy.ScheduleBack:
		l.info(s.String(), "%s", scheduleText(s))
	case e.Ended:
		l.warn(s.String(), "%s: %s", scheduleText(s), Named(s.Err))
	default:
		l.info(s.String(), "%s", scheduleText(s))
	}
}

// scheduleText says what became of a rule or schedule, without the reason.
func scheduleText(s deploy.ScheduleResult) string {
	from, to := ecs.ShortARN(s.From), ecs.ShortARN(s.To)
	switch s.State {
	case deploy.ScheduleMoved:
		return "moved from " + from + " to " + to
	case deploy.ScheduleUnchanged:
		return "already starts " + to
	case deploy.ScheduleNewest:
		return newestText(s.Entry)
	case deploy.ScheduleOver:
		return "has ended, and is left as it is"
	case deploy.ScheduleBack:
		return "moved back to " + from
	case deploy.ScheduleRefused:
		return "could not be moved from " + from + " to " + to
	case deploy.ScheduleStuck:
		return "could not be moved back to " + from
	}
	return "starts " + from + ", as before"
}

// adjustedText says what of a schedule could not be sent as it was.
func adjustedText(a schedule.Adjustment) string {
	const why = "EventBridge Scheduler takes no StartDate that has passed"
	if a == schedule.StartMoved {
		return why + ": set it to the next time at which the rate is due"
	}
	return why + ": left it out, since it has no effect any more"
}

// scheduleIssues are an issue for each rule or schedule that does not start what it
// should. Those that were moved back because of another one are none of their own.
func scheduleIssues(r deploy.Result, explain Explain) (all []Issue) {
	for _, s := range r.Schedules {
		if s.Err == nil || !s.Failed() {
			continue
		}
		why, hint := explainedSchedule(s, explain)
		all = append(all, Issue{s.String() + " " + why, hint})
	}
	return all
}

// explainedSchedule is scheduleText, with the reason and what to do about it where the
// rule or schedule was not moved.
func explainedSchedule(s deploy.ScheduleResult, explain Explain) (text, hint string) {
	if s.Err == nil || !s.Failed() {
		return scheduleText(s), ""
	}
	reason, hint := explain(Named(s.Err))
	if s.State == deploy.ScheduleBack { // AWS had moved it, and answered with an error
		return scheduleText(s) + ", after moving it to " + ecs.ShortARN(s.To) + " ended with an error: " + reason, hint
	}
	return scheduleText(s) + ": " + reason, hint
}

// schedulesTable is the part of the summary about rules and schedules.
func schedulesTable(b *strings.Builder, r deploy.Result, explain Explain) {
	if len(r.Schedules) == 0 || r.DryRun {
		return
	}
	b.WriteString("#### Schedules\n\n| rule or schedule | starts | |\n|---|---|---|\n")
	for _, s := range r.Schedules {
		starts, mark := s.From, "✅"
		switch s.State {
		case deploy.ScheduleMoved, deploy.ScheduleUnchanged:
			starts = s.To
		case deploy.ScheduleRefused, deploy.ScheduleStuck:
			mark = "❌"
		case deploy.ScheduleBack:
			mark = "↩️"
		case deploy.ScheduleWaits:
			mark = "⏸️"
		}
		if s.State == deploy.ScheduleStuck {
			starts = ""
		}
		what, _ := explainedSchedule(s, explain)
		fmt.Fprintf(b, "| %s | %s | %s %s |\n", text(s.String()), revisionLink(starts), mark, text(what))
	}
	b.WriteString("\n")
}

type scheduleRecord struct {
	Kind     string `json:"kind"`
	Group    string `json:"group"`
	Name     string `json:"name"`
	Target   string `json:"target,omitempty"`
	State    string `json:"state,omitempty"`
	Previous string `json:"previousTaskDefinition,omitempty"`
	Revision string `json:"taskDefinition,omitempty"`
	Text     string `json:"text"`
}

// scheduleRecords are the rules and schedules in the result file.
func scheduleRecords(r deploy.Result, explain Explain) (all []scheduleRecord) {
	for _, s := range r.Schedules {
		what, _ := explainedSchedule(s, explain)
		all = append(all, scheduleRecord{string(s.Kind), s.Group, s.Name, s.ID, string(s.State), s.From, s.To, what})
	}
	return all
}
