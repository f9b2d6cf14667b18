package emulator

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
)

const runsTask = `"Arn":"arn:aws:ecs:eu-west-1:123456789012:cluster/c","RoleArn":"arn:aws:iam::123456789012:role/events","EcsParameters":{"TaskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/f:1","TaskCount":1,"LaunchType":"FARGATE","NetworkConfiguration":{"awsvpcConfiguration":{"Subnets":["s"],"AssignPublicIp":"DISABLED"}}}`

// TestRules puts a rule and its target, and replaces the target.
func TestRules(t *testing.T) {
	t.Parallel()
	inWorld(t, Options{}, func(w *world) {
		call := func(operation, body string) (awsapi.Object, error) {
			return w.post("AWSEvents."+operation, "events", []byte(body))
		}
		for _, step := range []struct{ operation, body, code string }{
			{"DescribeRule", `{"Name":"nightly"}`, "ResourceNotFoundException: Rule nightly does not exist on EventBus default."},
			{"PutRule", `{"Name":"nightly"}`, "ValidationException: Parameter(s) EventPattern or ScheduleExpression must be specified."},
			{"PutRule", `{"Name":"nightly","ScheduleExpression":"daily"}`, "ValidationException: Parameter ScheduleExpression is not valid."},
			{"PutRule", `{"Name":"nightly","ScheduleExpression":"cron(0 3 * * ? *)"}`, ""},
			{"PutTargets", `{"Rule":"nightly","Targets":[{"Id":"1",` + strings.Replace(runsTask, `"RoleArn":"arn:aws:iam::123456789012:role/events",`, "", 1) + `}]}`, "ValidationException: RoleArn is required for target arn:aws:ecs:eu-west-1:123456789012:cluster/c."},
			{"PutTargets", `{"Rule":"nightly","Targets":[{"Id":"1",` + runsTask + `,"Inputs":"x"}]}`, `SerializationException: Unknown member "Inputs" of Target at 'Targets.1.member.Inputs'`},
			{"PutTargets", `{"Rule":"nightly","Targets":[{"Id":"1",` + runsTask + `,"Input":"{}"}]}`, ""},
			{"PutTargets", `{"Rule":"nightly","Targets":[{"Id":"1",` + strings.Replace(runsTask, "f:1", "f:2", 1) + `}]}`, ""},
			{"ListRules", `{"NamePrefix":"night"}`, ""},
			{"ListRuleNamesByTarget", `{"TargetArn":"arn:aws:ecs:eu-west-1:123456789012:cluster/c"}`, ""},
		} {
			_, err := call(step.operation, step.body)
			if got := errorText(err); got != step.code {
				t.Errorf("%s %s: %q, want %q", step.operation, step.body, got, step.code)
			}
		}
		out := must(call("ListTargetsByRule", `{"Rule":"nightly"}`))(w)
		target := out.Objects("Targets")[0]
		if len(out.List("Targets")) != 1 || target.Has("Input") || !strings.HasSuffix(target.Object("EcsParameters").Str("TaskDefinitionArn"), "f:2") {
			t.Errorf("the target is %v, want it replaced as a whole", target)
		}
		if out := must(call("RemoveTargets", `{"Rule":"nightly","Ids":["1","2"]}`))(w); out.Number("FailedEntryCount", 0) != 1 {
			t.Errorf("removing: %v", out)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestSchedules creates, replaces, lists and deletes a schedule.
func TestSchedules(t *testing.T) {
	t.Parallel()
	inWorld(t, Options{}, func(w *world) {
		call := func(method, path, body string) (awsapi.Object, int) {
			w.Helper()
			r := must(http.NewRequestWithContext(w.ctx, method, "https://scheduler.eu-west-1.amazonaws.com"+path, strings.NewReader(body)))(w)
			r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
			r.Header.Set("Authorization", authorization("AKIATEST", "eu-west-1", "scheduler"))
			resp := must(w.Transport().RoundTrip(r))(w)
			defer resp.Body.Close()
			return must(awsapi.ParseObject(must(io.ReadAll(resp.Body))(w)))(w), resp.StatusCode
		}
		const window = `"FlexibleTimeWindow":{"Mode":"OFF"},"ScheduleExpression":"rate(1 day)"`
		for _, step := range []struct {
			method, path, body string
			status             int
			message            string
		}{
			{"GET", "/schedules/nightly?groupName=jobs", "", 404, "Schedule nightly does not exist."},
			{"POST", "/schedules/nightly", `{"GroupName":"jobs",` + window + `}`, 400, "1 validation error detected: Value null at 'Target' failed to satisfy constraint: Member must not be null"},
			{"POST", "/schedules/nightly", `{"GroupName":"jobs",` + window + `,"Description":"d","Target":{` + runsTask + `}}`, 200, ""},
			{"POST", "/schedules/nightly", `{"GroupName":"jobs",` + window + `,"Target":{` + runsTask + `}}`, 409, "Schedule nightly already exists."},
			{"PUT", "/schedules/other", `{"GroupName":"jobs",` + window + `,"Target":{` + runsTask + `}}`, 404, "Schedule other does not exist."},
			{"PUT", "/schedules/nightly", `{"GroupName":"jobs",` + window + `,"Target":{` + strings.Replace(runsTask, "f:1", "f:2", 1) + `}}`, 200, ""},
			{"PATCH", "/schedules/nightly", ``, 404, ""},
		} {
			out, status := call(step.method, step.path, step.body)
			if status != step.status || out.Str("Message") != step.message {
				t.Errorf("%s %s: %d %s, want %d %s", step.method, step.path, status, out.Str("Message"), step.status, step.message)
			}
		}
		got, _ := call("GET", "/schedules/nightly?groupName=jobs", "")
		if got.Has("Description") || !strings.HasSuffix(got.Object("Target").Object("EcsParameters").Str("TaskDefinitionArn"), "f:2") || got.Str("State") != "ENABLED" {
			t.Errorf("the schedule is %v, want it replaced as a whole", got)
		}
		if list, _ := call("GET", "/schedules?ScheduleGroup=jobs&NamePrefix=n", ""); len(list.List("Schedules")) != 1 || list.Objects("Schedules")[0].Object("Target").Has("EcsParameters") {
			t.Errorf("listed %v", list)
		}
		if _, status := call("DELETE", "/schedules/nightly?groupName=jobs", ""); status != 200 {
			t.Errorf("deleting: %d", status)
		}
	})
}
