package runtask

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/emulator/scenario"
)

// play runs a task of the emulator's demo service, whose tasks meet the fates, and
// returns what happened beside the result.
func play(t *testing.T, fates []scenario.Fate, change func(*Request), around func(ctx context.Context, e *emulator.Emulator) context.Context) (result Result, shown []string, launched int, err error) {
	t.Helper()
	e, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if err := e.Demo(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.ScriptTasks(emulator.DemoCluster, "", emulator.Scenario{Fates: fates})
	cfg := aws.Config{
		Region:      "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "x", ""),
		HTTPClient:  &http.Client{Transport: e.Transport()},
	}
	client := ecs.New(cfg)
	service, err := client.Service(t.Context(), emulator.DemoCluster, emulator.DemoService)
	if err != nil {
		t.Fatal(err)
	}
	definition, err := client.Definition(t.Context(), service.TaskDefinition)
	if err != nil {
		t.Fatal(err)
	}
	q := Request{Service: service, Definition: definition, Container: "chat-app", Name: "build 17", Timeout: 10 * time.Minute, Wait: true, Overrides: Overrides{Command: []string{"migrate"}}}
	if change != nil {
		change(&q)
	}
	ctx := t.Context()
	if around != nil {
		ctx = around(ctx, e)
	}
	result, err = New(client, client.Config()).Run(ctx, q, func(event any) {
		switch event := event.(type) {
		case Line:
			shown = append(shown, event.Container+"| "+event.Text)
		case Waits:
			shown = append(shown, "waits")
		case Stopping:
			shown = append(shown, fmt.Sprintf("stopping, cancelled %v", event.Cancelled))
		case Silence:
			shown = append(shown, fmt.Sprintf("silence %v", event.Err != nil))
		case Omitted:
			shown = append(shown, fmt.Sprintf("omitted %d", event.Lines))
		case Unread:
			shown = append(shown, event.Note.String())
		case Launched:
			launched++
		}
	})
	return result, shown, launched, err
}

func exits(code int, after time.Duration, lines ...string) scenario.Fate {
	return scenario.Fate{Exit: scenario.Exit(code), ExitAfter: after, Log: lines, LogEvery: 3 * time.Second}
}

var noRoom = scenario.Fate{Unplaced: scenario.UnplacedFargate.Unplaced}

// TestRun plays tasks to their end.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fates   []scenario.Fate
		change  func(*Request)
		around  func(context.Context, *emulator.Emulator) context.Context
		outcome Outcome
		code    *int
		shown   []string
		tasks   int // that were started
	}{
		{name: "succeeds", fates: []scenario.Fate{exits(0, 20*time.Second, "one", "two")}, outcome: Succeeded, code: aws.Int(0), shown: []string{"chat-app| one", "chat-app| two"}, tasks: 1},
		{name: "fails", fates: []scenario.Fate{exits(3, 20*time.Second, "one")}, outcome: Failed, code: aws.Int(3), shown: []string{"chat-app| one"}, tasks: 1},
		{name: "never starts", fates: []scenario.Fate{{Reason: "CannotPullContainerError: not found"}}, outcome: Failed, tasks: 1},
		{name: "times out", fates: []scenario.Fate{{Starting: true, Log: []string{"one"}}}, change: func(q *Request) { q.Timeout = time.Minute }, outcome: TimedOut, code: aws.Int(143), shown: []string{"chat-app| one", "stopping, cancelled false"}, tasks: 1},
		{name: "waits for capacity", fates: []scenario.Fate{noRoom, noRoom, exits(0, 5*time.Second, "one")}, outcome: Succeeded, code: aws.Int(0), shown: []string{"waits", "chat-app| one"}, tasks: 1},
		{name: "gets no capacity", fates: []scenario.Fate{noRoom}, outcome: NoCapacity, shown: []string{"waits"}},
		{name: "is interrupted for capacity before it ran", fates: []scenario.Fate{{Reason: "Capacity is unavailable at this time. Please try again later or in a different availability zone"}, exits(0, 5*time.Second, "one")},
			outcome: Succeeded, code: aws.Int(0), shown: []string{"waits", "chat-app| one"}, tasks: 2},
		{name: "is not waited for", fates: []scenario.Fate{exits(1, 5*time.Second)}, change: func(q *Request) { q.Wait = false }, outcome: Started, tasks: 1},
		{name: "ECS does not answer for a while", fates: []scenario.Fate{exits(0, time.Minute, "one")},
			around: func(ctx context.Context, e *emulator.Emulator) context.Context {
				time.AfterFunc(30*time.Second, func() { e.Fail("ecs:DescribeTasks", emulator.Fault{Code: "ServerException", Status: 500, Times: 8}) })
				return ctx
			}, outcome: Succeeded, code: aws.Int(0), shown: []string{"chat-app| one", "silence true", "silence false"}, tasks: 1},
		{name: "the log is denied", fates: []scenario.Fate{exits(0, 20*time.Second, "one")},
			around: func(ctx context.Context, e *emulator.Emulator) context.Context {
				e.Fail("logs:GetLogEvents", emulator.Denied())
				return ctx
			}, outcome: Succeeded, code: aws.Int(0), tasks: 1,
			shown: []string{
				"could not read the log of container chat-app (log group " + emulator.DemoLogGroup + "): access denied (requires logs:GetLogEvents)",
				"could not read the log of container telemetry (log group " + emulator.DemoLogGroup + "): access denied (requires logs:GetLogEvents)",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, shown, n, err := play(t, tt.fates, tt.change, tt.around)
				if err != nil || got.Outcome != tt.outcome || !reflect.DeepEqual(got.ExitCode, tt.code) || got.Container != "chat-app" {
					t.Errorf("%+v, %v", got, err)
				}
				if !slices.Equal(shown, tt.shown) {
					t.Errorf("shown %q, want %q", shown, tt.shown)
				}
				if n != tt.tasks {
					t.Errorf("%d tasks were started, want %d", n, tt.tasks)
				}
			})
		})
	}
}

// TestCancelled: the task of a run that is cancelled is told to stop at once.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cancelled time.Time
		gone := errors.New("gone")
		got, shown, _, err := play(t, []scenario.Fate{{Starting: true}}, nil, func(ctx context.Context, _ *emulator.Emulator) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(45*time.Second, func() { cancelled = time.Now(); cancel(gone) })
			return ctx
		})
		if took := time.Since(cancelled); !errors.Is(err, gone) || took > 5*time.Second || !got.Stopping || got.Task == "" {
			t.Errorf("%+v, %v after %v", got, err, took)
		}
		if !slices.Contains(shown, "stopping, cancelled true") {
			t.Errorf("shown %q", shown)
		}
	})
}

// TestParting: a cancelled run waits no longer for ECS than it may, as where the
// pipeline sets how long its steps have.
func TestParting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cancelled time.Time
		_, _, _, err := play(t, []scenario.Fate{{Starting: true}}, func(q *Request) { q.Parting = 2 * time.Second }, func(ctx context.Context, e *emulator.Emulator) context.Context {
			e.Fail("ecs:StopTask", emulator.Fault{Delay: time.Minute, Times: 100})
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(45*time.Second, func() { cancelled = time.Now(); cancel() })
			return ctx
		})
		if took := time.Since(cancelled); !errors.Is(err, context.Canceled) || took != 2*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestManyLines: a task that logs without end does not fill the log of the run, whose
// end shows.
func TestManyLines(t *testing.T) {
	var all []string
	for i := range maxLines + 50 {
		all = append(all, fmt.Sprint("line ", i))
	}
	synctest.Test(t, func(t *testing.T) {
		got, shown, _, err := play(t, []scenario.Fate{{Exit: scenario.Exit(0), ExitAfter: time.Minute, Log: all}}, nil, nil)
		if err != nil || got.Outcome != Succeeded || len(shown) != maxLines+1+keptLines {
			t.Fatalf("%+v, %v, %d lines", got, err, len(shown))
		}
		if shown[maxLines] != "omitted 30" || shown[len(shown)-1] != "chat-app| line 5049" {
			t.Errorf("%q … %q", shown[maxLines], shown[len(shown)-1])
		}
	})
}

// fake is an ECS whose answers a test gives.
type fake struct {
	ECS
	run     func(in *awsecs.RunTaskInput) ([]ecs.Task, []types.Failure, error)
	task    ecs.Task
	stopped []string
}

func (f *fake) RunTask(_ context.Context, in *awsecs.RunTaskInput) ([]ecs.Task, []types.Failure, error) {
	return f.run(in)
}

func (f *fake) DescribeTasks(context.Context, string, []string) ([]ecs.Task, []types.Failure, error) {
	return []ecs.Task{f.task}, nil, nil
}

func (f *fake) StopTask(_ context.Context, _, arn, reason string) error {
	f.stopped = append(f.stopped, reason)
	f.task.StopCode, f.task.LastStatus = types.TaskStopCodeUserInitiated, aws.String("STOPPED")
	return nil
}

// TestRefused: what waiting does not cure ends the attempt.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		f := &fake{run: func(*awsecs.RunTaskInput) ([]ecs.Task, []types.Failure, error) {
			calls++
			return nil, []types.Failure{{Reason: aws.String("ATTRIBUTE"), Detail: aws.String("none has it")}}, nil
		}}
		got, err := New(f, aws.Config{}).Run(t.Context(), Request{Timeout: time.Minute, Wait: true}, func(any) {})
		if err != nil || got.Outcome != Failed || got.Cause.Reason != "ATTRIBUTE: none has it" || calls != 1 {
			t.Errorf("%+v, %v after %d calls", got, err, calls)
		}
	})
}

// TestInterrupted: exit code 0 of a container that somebody stopped is no success.
func TestInterrupted(t *testing.T) {
	for code, want := range map[types.TaskStopCode]Outcome{
		types.TaskStopCodeEssentialContainerExited: Succeeded, "": Succeeded,
		types.TaskStopCodeUserInitiated: Failed, types.TaskStopCodeSpotInterruption: Failed, types.TaskStopCodeTerminationNotice: Failed,
	} {
		synctest.Test(t, func(t *testing.T) {
			stopped := ecs.Task{TaskArn: aws.String("a/b"), LastStatus: aws.String("STOPPED"), StopCode: code, Containers: []types.Container{{Name: aws.String("app"), ExitCode: aws.Int32(0)}}}
			f := &fake{run: func(*awsecs.RunTaskInput) ([]ecs.Task, []types.Failure, error) { return []ecs.Task{stopped}, nil, nil }}
			got, err := New(f, aws.Config{}).Run(t.Context(), Request{Container: "app", Timeout: time.Minute, Wait: true}, func(any) {})
			if err != nil || got.Outcome != want {
				t.Errorf("stop code %q: %+v, %v", code, got, err)
			}
		})
	}
}

// TestReleased: a task is stopped when its container has exited and others go on.
func TestReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{task: ecs.Task{TaskArn: aws.String("a/b"), LastStatus: aws.String("RUNNING"), DesiredStatus: aws.String("RUNNING"), Containers: []types.Container{
			{Name: aws.String("app"), ExitCode: aws.Int32(0), LastStatus: aws.String("STOPPED")}, {Name: aws.String("proxy"), LastStatus: aws.String("RUNNING")},
		}}}
		f.run = func(*awsecs.RunTaskInput) ([]ecs.Task, []types.Failure, error) { return []ecs.Task{f.task}, nil, nil }
		got, err := New(f, aws.Config{}).Run(t.Context(), Request{Container: "app", Timeout: time.Minute, Wait: true}, func(any) {})
		if err != nil || got.Outcome != Succeeded || !slices.Equal(f.stopped, []string{"container app has exited"}) {
			t.Errorf("%+v, %v, stopped for %q", got, err, f.stopped)
		}
	})
}
