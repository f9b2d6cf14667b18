// The input schedules: what starts tasks beside services, and follows them to the
// new revision.

package input

import (
	"regexp"
	"strings"
)

// AllSchedules is the line that means all rules and schedules of the services.
const AllSchedules = "all"

// Schedule names an EventBridge rule on its event bus, or a schedule of EventBridge
// Scheduler in its group. Group is "default" where none was given.
type Schedule struct {
	Rule        bool
	Group, Name string
}

// String is the name as the input has it.
func (s Schedule) String() string {
	if s.Rule {
		return "rule:" + s.Group + "/" + s.Name
	}
	return "schedule:" + s.Group + "/" + s.Name
}

// schedules parses lines such as rule:nightly and schedule:jobs/nightly.
func (l *loader) schedules(in *Inputs, text string) {
	if text != "" && !in.Wait && in.Command != Verify {
		l.fail("schedules", 0, wrong("set wait to true, or leave schedules empty", "without waiting it is not known when the services run the new revision"))
		return
	}
	if text != "" && in.WaitUntil.before("POST_PRODUCTION_TRAFFIC_SHIFT") {
		l.fail("schedules", 0, wrong("wait for completed or traffic, or leave schedules empty", "waitUntil: %s ends the step before the services run the new revision", in.WaitUntil))
		return
	}
	in.Schedules = list(l, "schedules", text, parseSchedule, Schedule.String)
	for i, s := range in.Schedules {
		if s.Name != AllSchedules || s.Group != "" {
			continue
		}
		if len(in.Schedules) > 1 {
			l.fail("schedules", i+1, wrong("remove the other lines, or this one", "%s means every rule and schedule, and others are named", AllSchedules))
		}
		in.Schedules, in.AllSchedules = nil, true
		return
	}
}

// Source: Amazon EventBridge API, PutRule, Name; EventBridge Scheduler API,
// CreateSchedule, Name. Both end after 64 characters.
var scheduleName = regexp.MustCompile(`^[0-9A-Za-z_.-]+$`)

var scheduleARN = regexp.MustCompile(`^arn:aws[a-z-]*:(events|scheduler):[a-z0-9-]+:[0-9]{12}:(rule|schedule)/(.+)$`)

// parseSchedule takes rule:NAME, rule:BUS/NAME, schedule:NAME, schedule:GROUP/NAME,
// the ARNs of both, and "all".
func parseSchedule(text string) (Schedule, error) {
	const hint = "for instance rule:nightly, schedule:jobs/nightly, or all for every one that starts tasks of the services' families in their clusters"
	kind, name, ok := strings.Cut(text, ":")
	switch m := scheduleARN.FindStringSubmatch(text); {
	case text == AllSchedules:
		return Schedule{Name: AllSchedules}, nil
	case m != nil && (m[1] == "events") == (m[2] == "rule"):
		kind, name = m[2], m[3]
	case !ok, kind != "rule" && kind != "schedule":
		return Schedule{}, wrong(hint, "%s does not name a rule or a schedule", shown(text))
	}
	s := Schedule{Rule: kind == "rule", Group: "default", Name: name}
	// The name of a partner's event bus has slashes of its own.
	if at := strings.LastIndexByte(name, '/'); at >= 0 {
		s.Group, s.Name = name[:at], name[at+1:]
	}
	groups := strings.ReplaceAll(s.Group, "/", "")
	if !s.Rule {
		groups = s.Group
	}
	if !scheduleName.MatchString(s.Name) || len(s.Name) > 64 || !scheduleName.MatchString(groups) || len(groups) > 256 {
		return Schedule{}, wrong(hint, "%s is not the name of a %s: expected up to 64 letters, digits, or any of _.-", shown(name), kind)
	}
	return s, nil
}
