package report

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/runtask"
	"ecsdeploy/pkg/taskdef"
)

const taskARN = "arn:aws:ecs:eu-west-1:123456789012:task/main/0af1"

func task(outcome runtask.Outcome, code *int) *deploy.TaskResult {
	t := &deploy.TaskResult{Service: web, Revision: definitions + "web:2", Limit: 30 * time.Minute}
	t.Task, t.Container, t.Outcome, t.ExitCode = taskARN, "app", outcome, code
	if code != nil {
		t.Cause = diagnosis.Cause{
			Count: 1, StopCode: "EssentialContainerExited", Reason: "Essential container in task exited", Hint: "see its log",
			Containers: []diagnosis.ContainerEnd{{Name: "app", ExitCode: code, Failed: *code != 0}, {Name: "proxy"}, {Name: "agent", Reason: "CannotPull"}},
		}
	}
	return t
}

func taskEvents(t *testing.T) []struct {
	event any
	want  string
} {
	d := definition(t, "web:1", "host/web:1")
	plan := deploy.TaskPlan{ServicePlan: deploy.ServicePlan{Name: web, Running: d, Target: d, Container: "app", Known: []taskdef.Definition{d}, Lineage: deploy.Lineage{Base: d}},
		Overrides: runtask.Overrides{Command: []string{"a", "<b>"}, Environment: []taskdef.Variable{{Container: "app", Name: "PASSWORD", Value: "hunter2"}}, CPU: "512", Memory: "1024"}}
	happened := func(event any) deploy.TaskHappened { return deploy.TaskHappened{Container: "app", Event: event} }
	log := diagnosis.LogStream{Container: "app", Group: "/ecs/web", Name: "ecs/app/0af1"}
	return []struct {
		event any
		want  string
	}{
		{deploy.TaskPlanned{Plan: plan}, "runs a task of web:1 in the network of service main/web\n  command of container app: [\"a\",\"<b>\"]\n  environment of container app: PASSWORD\n  cpu: 512\n  memory: 1024"},
		{happened(runtask.Launched{Task: taskARN}), "started task 0af1"},
		{happened(runtask.Waits{Cause: diagnosis.Cause{Reason: "RESOURCE:MEMORY.", Hint: "wait"}}), "waiting for capacity: RESOURCE:MEMORY\nhint: wait"},
		{happened(runtask.Status{Status: "RUNNING"}), "task is running"},
		{happened(runtask.Line{Container: "app", At: time.Now(), Text: "ok"}), "app: ok"},
		{happened(runtask.Omitted{Stream: log, Lines: 7}), "app: 7 lines more: see log group /ecs/web, stream ecs/app/0af1; the last of them:"},
		{happened(runtask.Unread{Note: diagnosis.Note{What: diagnosis.ContainerLog, Name: "app", Why: diagnosis.OtherDriver, Detail: "splunk"}}), "no log of container app: its log driver is splunk; only awslogs can be read"},
		{happened(runtask.Silence{Err: errors.New("no answer")}), "WARN cannot reach AWS; retrying: no answer"},
		{happened(runtask.Silence{}), "AWS answers again"},
		{happened(runtask.Heartbeat{For: 5 * time.Minute}), "task is still running (5m)"},
		{happened(runtask.Stopping{Task: taskARN, Cancelled: true}), "WARN the run was cancelled: requested the stop of task 0af1"},
		{happened(runtask.Stopping{Task: taskARN, After: time.Minute, Err: errDenied}), "WARN time limit reached after 1m: task 0af1 could not be stopped and may still be running: " + errDenied.Error()},
		{deploy.TaskEnded{Result: task(runtask.Succeeded, aws.Int(0))}, "container app exited with code 0\ncontainer proxy did not run\ncontainer agent: CannotPull"},
		{deploy.TaskEnded{Result: task(runtask.Failed, aws.Int(3))}, "task stopped: Essential container in task exited (EssentialContainerExited)\ncontainer app exited with code 3\ncontainer proxy did not run\ncontainer agent: CannotPull\nhint: see its log"},
		{deploy.TaskEnded{Result: task(runtask.Started, nil)}, "not waiting for the task (wait: false); its exit code is not known"},
		{deploy.Tidied{Family: "web", Keep: 2, Removed: []string{definitions + "web:1", definitions + "web:2"}, Err: errDenied}, "deregistered 2 older revisions (keepRevisions: 2): web:1, web:2\nWARN older revisions of web stay registered (keepRevisions: 2): " + errDenied.Error()},
		{deploy.Compared{Deviation: deploy.Deviation{Service: web, Running: definitions + "web:1", Deployed: definitions + "web:1"}}, "web: runs web:1, as this task deployed it"},
		{deploy.MigrationSkipped{Revision: definitions + "web:2"}, "no migration: it has already succeeded for web:2"},
		{deploy.MigrationUnnoted{Revision: definitions + "web:2", Err: errDenied}, "could not put the tag ecs-deploy:migrated on web:2, by which a further run of this step knows that the migration has succeeded; it would run it again: " + errDenied.Error()},
		{deploy.Untouched{}, "no service was changed"},
	}
}

func TestTaskEvents(t *testing.T) {
	for _, tt := range taskEvents(t) {
		if got := lines(tt.event); got != tt.want {
			t.Errorf("%+v:\n%s\nwant:\n%s", tt.event, got, tt.want)
		}
	}
}

// TestTaskFailures: what the run's page shows of a task that did not succeed.
func TestTaskFailures(t *testing.T) {
	none := task(runtask.NoCapacity, nil)
	none.Task, none.Cause = "", diagnosis.Cause{Event: true, Reason: "RESOURCE:MEMORY"}
	late := task(runtask.TimedOut, nil)
	late.Stopping = true
	unstopped := task(runtask.TimedOut, nil)
	unstopped.Unstopped = errors.New("no answer")
	beside := task(runtask.Failed, aws.Int(143))
	beside.Cause.Containers = []diagnosis.ContainerEnd{{Name: "app", ExitCode: aws.Int(143)}, {Name: "proxy", ExitCode: aws.Int(2), Failed: true}}
	for _, tt := range []struct {
		task *deploy.TaskResult
		want string
	}{
		{task(runtask.Failed, aws.Int(3)), "task of web:2 failed: container app exited with code 3"},
		{beside, "task of web:2 failed: container app exited with code 143; container proxy exited with code 2"},
		{none, "task of web:2 was not started within 30 minutes (timeoutMinutes), there was no capacity: RESOURCE:MEMORY"},
		{unstopped, "task of web:2 timed out after 30 minutes (timeoutMinutes) and could not be stopped, so that it may still be running"},
		{late, "task of web:2 timed out after 30 minutes (timeoutMinutes) and was stopped; it has not ended yet"},
	} {
		r := deploy.Result{Task: tt.task}
		issues := []string{tt.want}
		if tt.task.Unstopped != nil {
			issues = append(issues, tt.task.Unstopped.Error())
		}
		var got []string
		for _, issue := range Failures(r, func(err error) (string, string) { return err.Error(), "" }) {
			got = append(got, issue.Text)
		}
		if !slices.Equal(got, issues) {
			t.Errorf("%q, want %q", got, issues)
		}
		if got := Line(r, nil); !strings.HasPrefix(got, tt.want) {
			t.Errorf("the line is %q", got)
		}
		if got := Markdown(r, nil); !strings.Contains(got, "❌") {
			t.Errorf("the summary is %q", got)
		}
	}
	for _, ok := range []*deploy.TaskResult{task(runtask.Succeeded, aws.Int(0)), task(runtask.Started, nil)} {
		if got := Failures(deploy.Result{Task: ok}, nil); len(got) > 0 {
			t.Errorf("%s: %q", ok.Outcome, got)
		}
	}
}

// TestFailedMigration: one issue for all services, which says that none was changed.
func TestFailedMigration(t *testing.T) {
	failed := task(runtask.Failed, aws.Int(1))
	failed.Migration = true
	untouched := deploy.ServiceResult{Service: web, Outcome: rollout.Failed, Reason: rollout.Reason{Code: deploy.NotMigrated}}
	r := deploy.Result{Task: failed, Services: []deploy.ServiceResult{untouched, untouched}}
	want := "migration (task of web:2) failed: container app exited with code 1; no service was changed"
	if got := Failures(r, nil); len(got) != 1 || got[0] != (Issue{want, "see its log"}) {
		t.Errorf("%q", got)
	}
	if r.Outcome() != rollout.Failed {
		t.Errorf("outcome %q", r.Outcome())
	}
	set := map[string]string{}
	for _, o := range Outputs(r) {
		set[o.Name] = o.Value
	}
	if set["exitCode"] != "1" || set["outcome"] != "failed" || set["taskDefinitionArn"] != "" {
		t.Errorf("outputs %v", set)
	}
}
