package runtask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

// played is an ECS in which one task goes its way: by the number of the reading.
type played struct {
	starts   time.Duration // from the call until the task is there, whoever waits for it
	refused  int           // calls before, for which there is no capacity
	readings []ecs.Task    // the last one stays; one without a status is not known to ECS
	stopped  func(*ecs.Task)

	calls, reads int
	running      []ecs.Task // as ListTasks shows it
	stops        []string
}

func (p *played) RunTask(ctx context.Context, _ *awsecs.RunTaskInput) ([]ecs.Task, []types.Failure, error) {
	if p.calls++; p.calls <= p.refused {
		return nil, []types.Failure{{Reason: aws.String("RESOURCE:MEMORY")}}, nil
	}
	started := ecs.Task{TaskArn: aws.String("arn:aws:ecs:eu-west-1:123456789012:task/c/1"), LastStatus: aws.String("PROVISIONING")}
	if p.starts == 0 {
		return []ecs.Task{started}, nil, nil
	}
	there := make(chan struct{})
	time.AfterFunc(p.starts, func() { p.running = []ecs.Task{started}; close(there) })
	select {
	case <-there:
		return []ecs.Task{started}, nil, nil
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
}

func (p *played) DescribeTasks(context.Context, string, []string) ([]ecs.Task, []types.Failure, error) {
	now := &p.readings[min(p.reads, len(p.readings)-1)]
	p.reads++
	if len(p.stops) > 0 && p.stopped != nil {
		p.stopped(now)
	}
	if now.LastStatus == nil {
		return nil, []types.Failure{{Reason: aws.String("MISSING")}}, nil
	}
	now.TaskArn = aws.String("arn:aws:ecs:eu-west-1:123456789012:task/c/1")
	return []ecs.Task{*now}, nil, nil
}

func (p *played) StopTask(_ context.Context, _, _, reason string) error {
	p.stops, p.running = append(p.stops, reason), nil
	return nil
}

func (p *played) Tasks(context.Context, string, string, string, int) ([]ecs.Task, bool, error) {
	return p.running, true, nil
}

// container is one of a task: "app RUNNING", "app STOPPED 0".
func container(text string) types.Container {
	parts := strings.Fields(text)
	c := types.Container{Name: aws.String(parts[0]), LastStatus: aws.String(parts[1])}
	if len(parts) > 2 {
		code := 0
		fmt.Sscan(parts[2], &code)
		c.ExitCode = aws.Int32(int32(code))
	}
	return c
}

// at is a reading of a task whose containers have come so far.
func at(status string, containers ...string) ecs.Task {
	t := ecs.Task{LastStatus: aws.String(status), DesiredStatus: aws.String("RUNNING"), StartedAt: aws.Time(time.Unix(1, 0))}
	for _, c := range containers {
		t.Containers = append(t.Containers, container(c))
	}
	if status == "STOPPED" {
		t.StopCode, t.StoppedReason = types.TaskStopCodeEssentialContainerExited, aws.String("Essential container in task exited")
	}
	return t
}

func define(t *testing.T, containers string) taskdef.Definition {
	t.Helper()
	d, err := taskdef.Parse([]byte(`{"family":"web","containerDefinitions":[` + containers + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestOthersEnded: exit code 0 of a container that ECS stopped, since another essential
// one had ended, is no success. It is where it ended first.
func TestOthersEnded(t *testing.T) {
	d := define(t, `{"name":"app","image":"a"},{"name":"proxy","image":"p"},{"name":"log","image":"l","essential":false}`)
	for name, tt := range map[string]struct {
		readings []ecs.Task
		want     Outcome
	}{
		"an essential one ends first":        {[]ecs.Task{at("RUNNING", "app RUNNING", "proxy STOPPED 1", "log RUNNING"), at("STOPPED", "app STOPPED 0", "proxy STOPPED 1", "log STOPPED 0")}, Failed},
		"it ends first":                      {[]ecs.Task{at("RUNNING", "app STOPPED 0", "proxy RUNNING", "log RUNNING"), at("STOPPED", "app STOPPED 0", "proxy STOPPED 143", "log STOPPED 0")}, Succeeded},
		"one that is not essential is first": {[]ecs.Task{at("RUNNING", "app RUNNING", "proxy RUNNING", "log STOPPED 1"), at("STOPPED", "app STOPPED 0", "proxy STOPPED 143", "log STOPPED 1")}, Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &played{readings: tt.readings}
				got, err := New(p, aws.Config{}).Run(t.Context(), Request{Definition: d, Container: "app", Timeout: time.Minute, Wait: true}, func(any) {})
				if err != nil || got.Outcome != tt.want || aws.ToInt(got.ExitCode) != 0 {
					t.Errorf("%+v, %v", got, err)
				}
			})
		})
	}
}

// TestNeverStarted: a container that could not be started ends the task, also where
// others would go on without it for ever.
func TestNeverStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := at("RUNNING", "app STOPPED", "proxy RUNNING")
		running.Containers[0].Reason = aws.String("CannotPullContainerError: not found")
		p := &played{readings: []ecs.Task{running}, stopped: func(now *ecs.Task) {
			now.LastStatus, now.StopCode = aws.String("STOPPED"), types.TaskStopCodeUserInitiated
		}}
		d := define(t, `{"name":"app","image":"a","essential":false},{"name":"proxy","image":"p"}`)
		got, err := New(p, aws.Config{}).Run(t.Context(), Request{Definition: d, Container: "app", Timeout: time.Hour, Wait: true}, func(any) {})
		if err != nil || got.Outcome != Failed || got.ExitCode != nil || got.Took > time.Minute {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestEndedInTime: a task that ended by itself between the last reading and the end of
// its time did not time out, and its exit code counts.
func TestEndedInTime(t *testing.T) {
	for name, tt := range map[string]struct {
		last ecs.Task
		want Outcome
	}{
		"with success": {at("STOPPED", "app STOPPED 0"), Succeeded},
		"with failure": {at("STOPPED", "app STOPPED 3"), Failed},
		"it was stopped": {func() ecs.Task {
			s := at("STOPPED", "app STOPPED 0")
			s.StopCode = types.TaskStopCodeUserInitiated
			return s
		}(), TimedOut},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &played{readings: []ecs.Task{at("RUNNING", "app RUNNING")}, stopped: func(now *ecs.Task) { *now = tt.last }}
				got, err := New(p, aws.Config{}).Run(t.Context(), Request{Container: "app", Timeout: time.Minute, Wait: true}, func(any) {})
				if err != nil || got.Outcome != tt.want || got.ExitCode == nil {
					t.Errorf("%+v, %v", got, err)
				}
			})
		})
	}
}

// TestUnseen: ECS may not know a new task for a while, also one that had to wait for
// capacity, and a late reading of one that it did know is no end.
func TestUnseen(t *testing.T) {
	for name, p := range map[string]*played{
		"a task that waited for capacity": {refused: 20, readings: []ecs.Task{{}, {}, at("RUNNING", "app RUNNING"), at("STOPPED", "app STOPPED 0")}},
		"a late reading": {readings: append(slices.Repeat([]ecs.Task{at("RUNNING", "app RUNNING")}, 60),
			ecs.Task{}, at("STOPPED", "app STOPPED 0"))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := New(p, aws.Config{}).Run(t.Context(), Request{Container: "app", Timeout: time.Hour, Wait: true}, func(any) {})
				if err != nil || got.Outcome != Succeeded {
					t.Errorf("%+v, %v", got, err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p := &played{readings: []ecs.Task{{}}}
		got, err := New(p, aws.Config{}).Run(t.Context(), Request{Container: "app", Timeout: time.Hour, Wait: true}, func(any) {})
		if _, lost := errors.AsType[*LostError](err); !lost || got.Took > 2*time.Minute {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestCancelledWhileStarting: a task whose start is on its way when the run is cancelled,
// or its time is over, is stopped, though ECS does not list it yet.
func TestCancelledWhileStarting(t *testing.T) {
	gone := errors.New("gone")
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := &played{starts: 3 * time.Second, readings: []ecs.Task{at("STOPPED", "app STOPPED 143")}, stopped: func(now *ecs.Task) {
				now.StopCode = types.TaskStopCodeUserInitiated
			}}
			ctx, cancel := context.WithCancelCause(t.Context())
			timeout := time.Hour
			if late {
				timeout = 2 * time.Second
			} else {
				time.AfterFunc(2*time.Second, func() { cancel(gone) })
			}
			begin := time.Now()
			got, err := New(p, aws.Config{}).Run(ctx, Request{Container: "app", Timeout: timeout, Wait: true}, func(any) {})
			cancel(nil)
			time.Sleep(time.Minute)
			if len(p.stops) != 1 || len(p.running) != 0 {
				t.Errorf("stopped for %q, %d run", p.stops, len(p.running))
			}
			if late && (err != nil || got.Outcome != TimedOut) || !late && (!errors.Is(err, gone) || !got.Stopping || time.Since(begin) > time.Minute+7*time.Second) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// logs is CloudWatch Logs with lines that are there later.
type logs struct {
	at    []time.Duration // by line
	begin time.Time
}

func (l *logs) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	from := 0
	if _, token, is := strings.Cut(string(body), `"nextToken":"f/`); is {
		fmt.Sscan(strings.FieldsFunc(token, func(r rune) bool { return r < '0' || r > '9' })[0], &from)
	}
	var events []string
	for i := from; i < len(l.at) && time.Since(l.begin) >= l.at[i]; i++ {
		events = append(events, fmt.Sprintf(`{"timestamp":1,"message":"line %d"}`, i))
	}
	answer := fmt.Sprintf(`{"events":[%s],"nextForwardToken":"f/%d"}`, strings.Join(events, ","), from+len(events))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

// TestEndlessLog: a log that is longer than there is time to read it does not hold the
// run up, and that its end is missing is told.
func TestEndlessLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		endless := answers(func() string {
			calls++
			return fmt.Sprintf(`{"events":[{"timestamp":1,"message":"line"}],"nextForwardToken":"f/%d"}`, calls)
		})
		p := &played{readings: []ecs.Task{at("STOPPED", "app STOPPED 0")}}
		cfg := aws.Config{Region: "eu-west-1", HTTPClient: &http.Client{Transport: endless}, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "x", "")}
		d := define(t, `{"name":"app","image":"a","logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g","awslogs-region":"eu-west-1","awslogs-stream-prefix":"p"}}}`)
		unread := 0
		got, err := New(p, cfg).Run(t.Context(), Request{Definition: d, Container: "app", Timeout: time.Hour, Wait: true}, func(event any) {
			if _, is := event.(Unread); is {
				unread++
			}
		})
		if err != nil || got.Outcome != Succeeded || unread != 1 || got.Took > time.Minute {
			t.Errorf("%+v, %v, unread %d", got, err, unread)
		}
	})
}

// answers is a service whose answers a test gives.
type answers func() string

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(a()))}, nil
}

// TestLateLines: CloudWatch has the last lines some seconds after the end of a task,
// which on EC2 has stopped as soon as its containers have ended.
func TestLateLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &logs{at: []time.Duration{0, time.Second, 6 * time.Second}, begin: time.Now()}
		stopped := at("STOPPED", "app STOPPED 0")
		stopped.ExecutionStoppedAt = aws.Time(time.Now().Add(2 * time.Second))
		p := &played{readings: []ecs.Task{stopped}}
		cfg := aws.Config{Region: "eu-west-1", HTTPClient: &http.Client{Transport: l}, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "x", "")}
		d := define(t, `{"name":"app","image":"a","logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g","awslogs-region":"eu-west-1","awslogs-stream-prefix":"p"}}}`)
		var lines []string
		got, err := New(p, cfg).Run(t.Context(), Request{Definition: d, Container: "app", Timeout: time.Hour, Wait: true}, func(event any) {
			if line, is := event.(Line); is {
				lines = append(lines, line.Text)
			}
		})
		if err != nil || got.Outcome != Succeeded || !slices.Equal(lines, []string{"line 0", "line 1", "line 2"}) {
			t.Errorf("%+v, %v, %q", got, err, lines)
		}
	})
}
