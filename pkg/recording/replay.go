package recording

// Playing a record back: each reading goes through [rollout.Judge], the stopped
// tasks through the rules that give a deployment up, and the evidence through
// [diagnosis.Conclude]; what comes of it stands beside what the run decided.

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/rollout"
)

// Decision is one decision of the run beside the same one made again.
type Decision struct {
	Entry    int // its place in the record
	Service  string
	Kind     string // verdict, give up, causes, diagnosis
	Recorded string
	Replayed string
}

// Same reports whether both came to the same.
func (d Decision) Same() bool { return d.Recorded == d.Replayed }

// Replay makes every decision of the record again. What an entry that is malformed
// makes of a decision is a panic as text.
func Replay(f File) []Decision {
	p := player{File: f, causes: map[string][]diagnosis.Cause{}, due: map[string]bool{}, partial: map[string]bool{}}
	for i, e := range f.Entries {
		p.at = i
		if err := guard.Run(func() error { p.play(e); return nil }); err != nil {
			p.decided("", "entry", "", err.Error())
		}
	}
	return p.decisions
}

type player struct {
	File
	at        int // the entry that is played
	decisions []Decision
	causes    map[string][]diagnosis.Cause // by deployment: of its stopped tasks
	due       map[string]bool              // by deployment: its tasks were looked at since it was judged
	partial   map[string]bool              // by deployment: tasks of it are missing in the record
}

func (p *player) decided(service, kind, recorded, replayed string) {
	p.decisions = append(p.decisions, Decision{p.at, service, kind, recorded, replayed})
}

func (p *player) play(e *Entry) {
	switch {
	case e.Judged != nil:
		p.judge(e, *e.Judged)
	case e.Stopped != nil:
		s := *e.Stopped
		key := s.Subject.Service + " " + s.Subject.Deployment
		causes := diagnosis.StopCauses(pick(p.Tasks, s.Tasks))
		p.causes[key], p.due[key], p.partial[key] = causes, true, s.More > 0
		p.decided(s.Subject.Service, "causes", causesText(s.Causes, s.More > 0), causesText(causesFrom(causes), s.More > 0))
	case e.Diagnosis != nil:
		d := *e.Diagnosis
		again := diagnosis.Conclude(d.evidence(p.Tasks, p.messages(d.Subject.Service, e.At)))
		partial := d.More > 0 || p.Dropped != nil && p.Dropped.Messages > 0
		p.decided(d.Subject.Service, "diagnosis", causesText(d.Causes, partial)+unhealthyText(d.Unhealthy, partial),
			causesText(causesFrom(again.Causes), partial)+unhealthyText(unhealthyFrom(again.Targets), partial))
	}
}

// messages are those of a service that had been seen, newest first.
func (p *player) messages(service string, at Span) (all []ecs.Message) {
	for _, m := range slices.Backward(p.Messages) {
		if m.Service == service && m.Seen <= at {
			all = append(all, ecs.Message{ID: m.ID, Time: m.Time, Text: m.Text})
		}
	}
	return all
}

// judge judges a reading again, and, where its tasks had just been looked at,
// whether it is given up.
func (p *player) judge(e *Entry, j Judged) {
	s := j.of(p.messages(j.Snapshot.Service.Name, e.At))
	key := j.Snapshot.Service.Name + " " + s.Subject().DeploymentID
	recorded := j.Snapshot.GiveUp
	if p.due[key] && !p.partial[key] && j.Snapshot.Until != string(rollout.UntilEnded) || recorded != nil && recorded.Code == string(rollout.TasksNotStarted) {
		most := p.Settings.MaxFailedTasks
		if recorded != nil {
			most = recorded.Limit
		}
		is, again := "", ""
		if recorded != nil {
			is = fmt.Sprintf("%s %d", recorded.Code, recorded.Count)
		}
		if r := rollout.GiveUp(s, p.causes[key], most); r != nil {
			again = fmt.Sprintf("%s %d", r.Code, r.Count)
		}
		p.decided(j.Snapshot.Service.Name, "give up", is, again)
	}
	p.due[key] = false
	p.decided(j.Snapshot.Service.Name, "verdict", verdictText(j.Verdict), verdictText(verdictFrom(rollout.Judge(s))))
}

// verdictText is a verdict as far as it is compared: the texts of AWS are not.
func verdictText(v Verdict) string {
	if v.Outcome == "" {
		return ""
	}
	return strings.Join(strings.Fields(strings.Join([]string{v.Outcome, v.Code, v.Stage, v.By}, " ")), " ")
}

// causesText are causes as far as they are compared. Of a partial record the
// numbers are not, nor is what comes after the first.
func causesText(causes []Cause, partial bool) string {
	var all []string
	for _, c := range causes {
		text := strings.TrimSpace(strings.Join([]string{c.StopCode, c.Fault, c.Container}, " "))
		if c.Event {
			text = "event " + text
		}
		if c.ExitCode != nil {
			text += fmt.Sprintf(" exit %d", *c.ExitCode)
		}
		if c.Hint != "" {
			text += " (" + c.Hint + ")"
		}
		if !partial {
			text = fmt.Sprintf("%d× %s", c.Count, text)
		}
		all = append(all, text)
	}
	if partial && len(all) > 1 {
		all = all[:1]
	}
	return strings.Join(all, "; ")
}

func unhealthyText(targets []UnhealthyTargets, partial bool) string {
	if partial {
		return ""
	}
	text := ""
	for _, t := range targets {
		text += fmt.Sprintf("; %d× target %s (%s)", t.Count, t.State, t.Hint)
	}
	return text
}

// Write prints a record with its decisions, and returns how many of them differ.
func Write(w io.Writer, f File, decisions []Decision) (different int, err error) {
	var b strings.Builder
	made := 0
	fmt.Fprintf(&b, "Recording of %s (UTC), command %s, %d entries\n", f.Began.UTC().Format(time.DateTime), f.Settings.Command, len(f.Entries))
	if d := f.Dropped; d != nil {
		fmt.Fprintf(&b, "Left out: %d entries between %s and %s, %d messages, %d tasks\n", d.Entries, clock(d.From), clock(d.To), d.Messages, d.Tasks)
	}
	for i, e := range f.Entries {
		if line := entryText(*e); line != "" {
			fmt.Fprintf(&b, "%8s  %s\n", clock(e.At), line)
		}
		for len(decisions) > 0 && decisions[0].Entry == i {
			d := decisions[0]
			switch decisions = decisions[1:]; {
			case !d.Same():
				different++
				fmt.Fprintf(&b, "          ✗ %s: recorded %s; now %s\n", d.Kind, shown(d.Recorded), shown(d.Replayed))
			case d.Recorded != "":
				fmt.Fprintf(&b, "          ✓ %s: %s\n", d.Kind, d.Recorded)
			}
			made++
		}
	}
	fmt.Fprintf(&b, "%d decisions, of which %d differ from the recorded ones\n", made, different)
	_, err = io.WriteString(w, b.String())
	return different, err
}

// shown is a decision, or that none was made.
func shown(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// clock is a time since the run began, in seconds.
func clock(s Span) string { return fmt.Sprintf("%.1fs", time.Duration(s).Seconds()) }

// entryText is an entry in one line.
func entryText(e Entry) string {
	text := ""
	switch {
	case e.Call != nil:
		text = e.Call.Service + " " + e.Call.Operation
		if e.Call.Code != "" {
			text += ": " + strings.TrimSuffix(e.Call.Code+": "+e.Call.Error, ": ")
		}
	case e.Event != nil:
		text = strings.Join(strings.Fields(strings.Join([]string{e.Event.Service, e.Event.Name, e.Event.Code, ecs.ShortARN(e.Event.To), e.Event.Text}, " ")), " ")
	case e.Judged != nil:
		text = snapshotText(e.Judged.Snapshot)
	case e.Stopped != nil:
		text = fmt.Sprintf("%s: %d stopped tasks", e.Stopped.Subject.Service, len(e.Stopped.Tasks)+e.Stopped.More)
	case e.Diagnosis != nil:
		text = fmt.Sprintf("%s: diagnosis of %d stopped and %d running tasks", e.Diagnosis.Subject.Service, len(e.Diagnosis.Stopped), len(e.Diagnosis.Running))
	}
	if e.Times > 1 {
		text += fmt.Sprintf(" (%d times until %s)", e.Times, clock(e.Until))
	}
	return text
}

// snapshotText is what was seen of a deployment.
func snapshotText(s Snapshot) string {
	parts := []string{fmt.Sprintf("%s: %s %d of %d running, %d pending, %d failed", s.Service.Name, s.ID, s.Own.Running, s.Own.Desired, s.Own.Pending, s.Own.Failed)}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	switch {
	case s.Gone:
		parts = append(parts, "service gone")
	case !s.Listed:
		parts = append(parts, "not listed")
	}
	add("state", s.Own.State)
	if s.Record != nil {
		add("record", s.Record.Status)
		add("stage", s.Record.Stage)
	}
	if s.CodeDeploy != nil {
		add("CodeDeploy", s.CodeDeploy.Status)
		if r := s.CodeDeploy.Rollback; r != nil {
			add("rollback", r.Status)
		}
	}
	if s.Asked {
		parts = append(parts, "rollback requested")
	}
	return strings.Join(parts, ", ")
}
