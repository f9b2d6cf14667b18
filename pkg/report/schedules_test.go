package report

import (
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/schedule"
)

var nightly = schedule.Entry{Ref: schedule.Ref{Kind: schedule.Rule, Group: schedule.Default, Name: "nightly"}, ID: "1", TaskDefinition: definitions + "web:1"}

// became is a rule in a state.
func became(state deploy.ScheduleState, err error) deploy.ScheduleResult {
	return deploy.ScheduleResult{Entry: nightly, From: definitions + "web:1", To: definitions + "web:2", State: state, Err: err}
}

// scheduleEvents are the events of rules and schedules, and the lines that they become.
func scheduleEvents() []wording {
	return []wording{
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleMoved, nil)}, "rule nightly: moved from web:1 to web:2"},
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleUnchanged, nil)}, "rule nightly: already starts web:2"},
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleNewest, nil)}, "rule nightly: names web without a revision, so that it starts the newest, and is left as it is"},
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleOver, nil)}, "rule nightly: has ended, and is left as it is"},
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleRefused, errDenied)}, "rule nightly: could not be moved from web:1 to web:2"},
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleRefused, errDenied), Ended: true}, "rule nightly: WARN could not be moved from web:1 to web:2: " + errDenied.Error()},
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleBack, nil)}, "rule nightly: moved back to web:1"},
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleStuck, errDenied)}, "rule nightly: could not be moved back to web:1"},
		{deploy.ScheduleEnded{Schedule: became(deploy.ScheduleStuck, errDenied), Ended: true}, "rule nightly: WARN could not be moved back to web:1: " + errDenied.Error()},
		{deploy.ScheduleChanged{Entry: nightly, From: definitions + "web:1", To: definitions + "web:9"}, "rule nightly: WARN someone else has changed it since the plan was made: it started web:1, and starts web:9 now"},
		{deploy.ScheduleAdjusted{Entry: nightly, Adjustment: schedule.StartOmitted}, "rule nightly: EventBridge Scheduler takes no StartDate that has passed: left it out, since it has no effect any more"},
		{deploy.ScheduleAdjusted{Entry: nightly, Adjustment: schedule.StartMoved}, "rule nightly: EventBridge Scheduler takes no StartDate that has passed: set it to the next time at which the rate is due"},
		{deploy.SchedulesStay{Count: 1}, "rules and schedules stay as they are: not every service runs its new revision"},
	}
}

func TestScheduleLines(t *testing.T) {
	for _, tt := range scheduleEvents() {
		if got := lines(tt.event); got != tt.want {
			t.Errorf("%T:\n%s\nwant:\n%s", tt.event, got, tt.want)
		}
	}
}

// TestScheduleIssues: what could not be moved is a failure of the step, also where the
// services are as they should be; what went back because of it is told with it.
func TestScheduleIssues(t *testing.T) {
	r := deploy.Result{
		Services:  []deploy.ServiceResult{{Service: web, Outcome: rollout.Succeeded, Revision: definitions + "web:2"}},
		Schedules: []deploy.ScheduleResult{became(deploy.ScheduleMoved, nil), became(deploy.ScheduleRefused, errDenied), became(deploy.ScheduleWaits, nil)},
		Took:      time.Second,
	}
	explain := func(err error) (string, string) { return err.Error(), "allow it" }
	failures := Failures(r, explain)
	if len(failures) != 1 || !strings.HasPrefix(failures[0].Text, "rule nightly could not be moved from web:1 to web:2: ") || failures[0].Hint != "allow it" {
		t.Errorf("%+v", failures)
	}
	if line := Line(r, explain); !strings.HasPrefix(line, "rule nightly could not be moved") || r.Outcome() != rollout.Failed {
		t.Errorf("%s: %s", r.Outcome(), line)
	}
	page := Markdown(r, explain)
	if failed, service := strings.Index(page, "#### Schedules"), strings.Index(page, "web runs web:2"); failed < 0 || failed > service {
		t.Errorf("the failure does not stand first:\n%s", page)
	}
	r.Schedules = []deploy.ScheduleResult{became(deploy.ScheduleBack, nil), became(deploy.ScheduleStuck, errDenied)}
	if failures := Failures(r, explain); len(failures) != 1 || !strings.Contains(failures[0].Text, "could not be moved back to web:1") {
		t.Errorf("%+v", failures)
	}
	r.Schedules = []deploy.ScheduleResult{became(deploy.ScheduleBack, errDenied)}
	if failures := Failures(r, explain); len(failures) != 1 || failures[0].Text != "rule nightly moved back to web:1, after moving it to web:2 ended with an error: "+errDenied.Error() {
		t.Errorf("%+v", failures)
	}
}
