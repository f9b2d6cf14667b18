// Package schedule is what starts tasks of a task definition at certain times or on
// certain events: targets of EventBridge rules, and schedules of EventBridge
// Scheduler. They are found or read by name, and sent back with another revision.
//
// PutTargets and UpdateSchedule replace a target and a schedule as a whole: what is
// not sent again is gone. An [Entry] therefore keeps the JSON that AWS answered
// with, and what is sent differs from it in the ARN of the task definition alone, so
// that members which this package has never heard of survive.
//
// The package does not decide what is moved, to what, or when, and takes nothing
// back: package deploy does. It does not try a refused change again, and it composes
// no sentences but errors.
package schedule

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/ecs"
)

// Kind is what starts the tasks.
type Kind string

// The kinds.
const (
	Rule     Kind = "rule"     // of EventBridge
	Schedule Kind = "schedule" // of EventBridge Scheduler
)

// Default is the event bus, and the schedule group, that a name without one means.
const Default = "default"

// Ref names a rule or a schedule.
type Ref struct {
	Kind  Kind
	Group string // event bus of a rule, group of a schedule
	Name  string
}

// String is the name with its kind, and with the bus or group where that is not the
// default one.
func (r Ref) String() string {
	if r.Group == Default || r.Group == "" {
		return string(r.Kind) + " " + r.Name
	}
	return string(r.Kind) + " " + r.Group + "/" + r.Name
}

// Entry is one target that starts tasks of Amazon ECS. A rule may have five of them,
// a schedule has one.
type Entry struct {
	Ref
	ID             string // of the target of a rule
	Several        bool   // the rule has further targets that start tasks
	Cluster        string // ARN
	Role           string // ARN of the role with which EventBridge starts the tasks
	TaskDefinition string // ARN, as it is written: with a revision or without
	// Over says that the schedule does not start a task again: its end has passed.
	Over bool
	// Universal says that the schedule calls RunTask by a universal target, whose input
	// names the task definition: it is never changed.
	Universal bool

	doc object // the target of the rule, or the whole schedule
}

// String names the entry; the id of its target where the rule has several.
func (e Entry) String() string {
	if e.Several {
		return e.Ref.String() + " (target " + e.ID + ")"
	}
	return e.Ref.String()
}

// ARN is that of the rule or schedule, in the account and region of its cluster; with *
// for what that does not say.
func (e Entry) ARN() string {
	parts := strings.SplitN(e.Cluster, ":", 6)
	if len(parts) < 6 {
		parts = []string{"arn", "*", "ecs", "*", "*", ""}
	}
	service, path := "scheduler", "schedule/"+e.Group+"/"+e.Name
	if e.Kind == Rule {
		service, path = "events", "rule/"+e.Name
		if e.Group != Default {
			path = "rule/" + e.Group + "/" + e.Name
		}
	}
	return strings.Join([]string{parts[0], parts[1], service, parts[3], parts[4], path}, ":")
}

// Family is that of the task definition.
func (e Entry) Family() string {
	family, _, _ := strings.Cut(ecs.ShortARN(e.TaskDefinition), ":")
	return family
}

// Pinned reports whether the entry names a revision. One that does not starts tasks
// of the newest active revision.
func (e Entry) Pinned() bool { return strings.Contains(ecs.ShortARN(e.TaskDefinition), ":") }

// With is the entry with another task definition, and all else as it is.
func (e Entry) With(taskDefinition string) Entry {
	e.TaskDefinition = taskDefinition
	target := e.doc
	if e.Kind == Schedule {
		target = e.doc.object("Target")
	}
	target = target.with("EcsParameters", target.object("EcsParameters").with("TaskDefinitionArn", quote(taskDefinition)).encode())
	if e.Kind == Schedule {
		target = e.doc.with("Target", target.encode())
	}
	e.doc = target
	return e
}

// Document is the JSON of the target of a rule, or of the schedule: what AWS has
// answered with, or what is to be sent.
func (e Entry) Document() []byte { return e.doc.encode() }

// ofRule is a target of a rule as an entry; false where it starts no task.
func ofRule(r Ref, doc object) (Entry, bool) {
	p := doc.object("EcsParameters")
	e := Entry{Ref: r, ID: doc.text("Id"), Cluster: doc.text("Arn"), Role: doc.text("RoleArn"), TaskDefinition: p.text("TaskDefinitionArn"), doc: doc}
	return e, e.TaskDefinition != "" && e.ID != ""
}

// ofSchedule is a schedule as an entry; false where it starts no task.
func ofSchedule(r Ref, doc object, now time.Time) (Entry, bool) {
	target := doc.object("Target")
	e := Entry{
		Ref: r, Cluster: target.text("Arn"), Role: target.text("RoleArn"), TaskDefinition: target.object("EcsParameters").text("TaskDefinitionArn"),
		Over: over(doc, now), doc: doc,
	}
	if strings.HasSuffix(e.Cluster, universalRunTask) {
		input, err := parse([]byte(target.text("Input")))
		if err != nil {
			return e, false
		}
		e.Universal, e.Cluster, e.TaskDefinition = true, input.text("Cluster"), input.text("TaskDefinition")
	}
	return e, e.TaskDefinition != ""
}

// universalRunTask ends the ARN of the target that calls RunTask of ECS.
//
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
const universalRunTask = ":aws-sdk:ecs:runTask"

// over reports whether a schedule has ended: by its end date, or as one that runs
// once. The time of the latter has a time zone, which may be unknown here, so that a
// day and a few hours are added.
func over(doc object, now time.Time) bool {
	if end, given := moment(doc.get("EndDate")); given && end.Before(now) {
		return true
	}
	at, once := strings.CutPrefix(doc.text("ScheduleExpression"), "at(")
	if !once {
		return false
	}
	when, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(at, ")"))
	return err == nil && when.Add(26*time.Hour).Before(now)
}

// readOnly are the members of GetSchedule's answer that UpdateSchedule does not take:
// the name is in its path.
//
// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
var readOnly = []string{"Arn", "CreationDate", "LastModificationDate", "Name"}

// Adjustment says what of a schedule could not be sent as it was.
type Adjustment string

// The adjustments. EventBridge Scheduler takes no start date that is more than five
// minutes ago.
const (
	None         Adjustment = ""
	StartOmitted Adjustment = "startOmitted" // it has passed, and has no effect any more
	StartMoved   Adjustment = "startMoved"   // to the next time at which the schedule is due
)

// oldest is how long ago a start date may be. One minute is kept for the call.
const oldest = 4 * time.Minute

// update is the body of UpdateSchedule for a schedule.
func update(doc object, now time.Time) (object, Adjustment) {
	doc = doc.without(readOnly...)
	start, given := moment(doc.get("StartDate"))
	if !given || !start.Before(now.Add(-oldest)) {
		return doc, None
	}
	// Of a rate the start is the time from which the intervals are counted.
	every, isRate := rate(doc.text("ScheduleExpression"))
	if !isRate {
		return doc.without("StartDate"), StartOmitted
	}
	next := start.Add((now.Sub(start)/every + 1) * every)
	return doc.with("StartDate", []byte(strconv.FormatInt(next.Unix(), 10))), StartMoved
}

// rate reads an expression such as rate(5 minutes).
func rate(expression string) (time.Duration, bool) {
	inner, is := strings.CutPrefix(expression, "rate(")
	fields := strings.Fields(strings.TrimSuffix(inner, ")"))
	if !is || len(fields) != 2 {
		return 0, false
	}
	n, err := strconv.Atoi(fields[0])
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(fields[1], "s")]
	return time.Duration(n) * unit, err == nil && n > 0 && unit > 0
}

// moment reads a time as the API writes it: seconds since 1970.
func moment(raw []byte) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || seconds <= 0 || seconds > 1e11 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

// sorted orders entries by kind and name, so that every run shows them alike.
func sorted(all []Entry) []Entry {
	slices.SortStableFunc(all, func(a, b Entry) int {
		return strings.Compare(string(a.Kind)+"\x00"+a.Group+"\x00"+a.Name+"\x00"+a.ID, string(b.Kind)+"\x00"+b.Group+"\x00"+b.Name+"\x00"+b.ID)
	})
	return all
}
