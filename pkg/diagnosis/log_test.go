package diagnosis

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// cloudWatch answers GetLogEvents with one page after the other, the last again
// and again, and keeps which log streams it was asked for.
type cloudWatch struct {
	pages   []string
	streams []string
	asked   int
}

func (c *cloudWatch) RoundTrip(r *http.Request) (*http.Response, error) {
	var in struct{ LogGroupName, LogStreamName string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	c.streams = append(c.streams, r.URL.Host+" "+in.LogGroupName+" "+in.LogStreamName)
	page := c.pages[min(c.asked, len(c.pages)-1)]
	c.asked++
	status := http.StatusOK
	if strings.Contains(page, "__type") {
		status = http.StatusBadRequest
	}
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(page)), ContentLength: int64(len(page)), Request: r}, nil
}

// TestLog: where a container's log is read, and what is shown of it.
func TestLog(t *testing.T) {
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf(`{"message": "line %d"}`, i))
	}
	withPrefix := `{"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "ecs"}}`
	without := `{"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web"}}`
	id := taskID(0)
	for _, tt := range []struct {
		name    string
		logging string
		pages   []string
		log     []string
		streams []string
		notes   []Note
	}{
		{"in its region, by the task's id", withPrefix, []string{`{"events": [{"message": "panic\n\n\tat main\r\n"}, {}, {"message": ""}]}`},
			[]string{"panic", "\tat main"}, []string{"logs.us-east-1.amazonaws.com /ecs/web ecs/app/" + id}, nil},
		{"without a prefix, by the container's id", without, []string{`{"events": [{"message": "panic"}]}`},
			[]string{"panic"}, []string{"logs.eu-west-1.amazonaws.com /ecs/web 0f1e2d"}, nil},
		{"the last lines only", without, []string{`{"events": [` + strings.Join(many, ",") + `]}`},
			[]string{"line 10", "line 11", "line 12", "line 13", "line 14", "line 15", "line 16", "line 17", "line 18", "line 19",
				"line 20", "line 21", "line 22", "line 23", "line 24", "line 25", "line 26", "line 27", "line 28", "line 29"},
			[]string{"logs.eu-west-1.amazonaws.com /ecs/web 0f1e2d"}, nil},
		{"an empty page is not the end", without, []string{`{"events": [], "nextBackwardToken": "b/1"}`, `{"events": [{"message": "panic"}], "nextBackwardToken": "b/2"}`},
			[]string{"panic"}, slices.Repeat([]string{"logs.eu-west-1.amazonaws.com /ecs/web 0f1e2d"}, 2), nil},
		{"three are", without, []string{`{"nextBackwardToken": "b/1"}`, `{"nextBackwardToken": "b/2"}`, `{"nextBackwardToken": "b/3"}`},
			nil, slices.Repeat([]string{"logs.eu-west-1.amazonaws.com /ecs/web 0f1e2d"}, 3), []Note{{What: ContainerLog, Name: "app", Detail: "/ecs/web", Why: Empty}}},
		{"an empty log", without, []string{`{}`},
			nil, []string{"logs.eu-west-1.amazonaws.com /ecs/web 0f1e2d"}, []Note{{What: ContainerLog, Name: "app", Detail: "/ecs/web", Why: Empty}}},
		{"no such stream", without, []string{`{"__type": "ResourceNotFoundException", "message": "The specified log stream does not exist."}`},
			nil, []string{"logs.eu-west-1.amazonaws.com /ecs/web 0f1e2d"}, []Note{{What: ContainerLog, Name: "app", Detail: "/ecs/web", Why: Refused, Text: "The specified log stream does not exist."}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := container("app", 1)
			app.RuntimeId = aws.String("0f1e2d")
			task := stoppedTask(0, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", app)
			logs := &cloudWatch{pages: tt.pages}
			d := New(fake{stopped: []types.Task{task}, definition: defining(containers(`, "logConfiguration": ` + tt.logging))}, config(logs)).Diagnose(t.Context(), subject)
			if len(d.Causes) != 1 || !slices.Equal(d.Causes[0].Log, tt.log) || len(tt.log) > 0 && d.Causes[0].LogTask != id {
				t.Errorf("got:\n%s", strings.Join(d.Lines(), "\n"))
			}
			if !slices.Equal(logs.streams, tt.streams) {
				t.Errorf("asked for %q, want %q", logs.streams, tt.streams)
			}
			if !slices.Equal(d.Notes, tt.notes) {
				t.Errorf("notes %v, want %v", d.Notes, tt.notes)
			}
		})
	}
}

// TestNotes: every note is one sentence with its reason.
func TestNotes(t *testing.T) {
	for _, tt := range []struct {
		note Note
		want string
	}{
		{Note{What: StoppedTasks, Why: Denied, Action: "ecs:ListTasks"}, "could not read the stopped tasks: access denied (requires ecs:ListTasks)"},
		{Note{What: RunningTasks, Why: Denied, Action: "ecs:ListTasks", Explicit: true}, "could not read the running tasks: access denied (ecs:ListTasks is denied by a policy)"},
		{Note{What: TaskDefinition, Name: "web:2", Why: NoAnswer}, "could not read task definition web:2: no answer in time"},
		{Note{What: ContainerLog, Name: "app", Detail: "/ecs/web", Why: Refused, Text: "Rate exceeded"}, "could not read the log of container app (log group /ecs/web): Rate exceeded"},
		{Note{What: ContainerLog, Name: "app", Detail: "/ecs/web", Why: Empty}, "no log of container app: log group /ecs/web has no lines of the task"},
		{Note{What: ContainerLog, Name: "app", Detail: "splunk", Why: OtherDriver}, "no log of container app: its log driver is splunk; only awslogs can be read"},
		{Note{What: ContainerLog, Name: "app", Why: Unlogged}, "no log of container app: the task definition gives it no logConfiguration"},
		{Note{What: TargetHealth, Name: "web", Why: Refused}, "could not read the health of target group web: the call failed"},
		{Note{What: RunningTasks, Why: Incomplete, Detail: "200"}, "only the first 200 running tasks were read"},
		{Note{What: Everything, Why: Unexpected, Text: "index out of range"}, "could not read the rest of the diagnosis: unexpected reply: index out of range"},
	} {
		if got := tt.note.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
