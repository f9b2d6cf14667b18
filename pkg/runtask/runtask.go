// Package runtask runs a one-off task of Amazon ECS, such as the migration of a
// database, in the network and on the capacity of a service: it starts the task,
// waits for capacity where there is none at the moment, shows what its containers
// log while they do, and returns the exit code and the reason for which it ended.
//
// The task is stopped when its time limit is over and when the context ends. A
// container that has run is never started again: only a task of which no container
// ran, for want of capacity, is asked for once more.
//
// The package does not register task definitions, does not choose the container
// whose exit code counts, and composes no sentences: what happens is shown as
// events, what came of it is a [Result]. The lines of a log are as the containers
// wrote them: whoever prints them has to make them harmless.
package runtask

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

// ECS is what is asked of Amazon ECS.
type ECS interface {
	RunTask(ctx context.Context, in *awsecs.RunTaskInput) ([]ecs.Task, []types.Failure, error)
	DescribeTasks(ctx context.Context, cluster string, arns []string) ([]ecs.Task, []types.Failure, error)
	StopTask(ctx context.Context, cluster, task, reason string) error
	Tasks(ctx context.Context, cluster, startedBy, status string, limit int) ([]ecs.Task, bool, error)
}

// Runner runs one-off tasks with one AWS identity. It is safe for concurrent use.
type Runner struct {
	ecs    ECS
	config aws.Config // of CloudWatch Logs
}

// New returns a runner that reads logs with the identity and in the region of cfg.
func New(client ECS, cfg aws.Config) *Runner { return &Runner{client, cfg} }

// Request is the task to run.
type Request struct {
	Service    ecs.Service        // whose network, capacity and platform version the task gets
	Definition taskdef.Definition // as it is registered
	Container  string             // whose exit code is that of the task
	Overrides  Overrides
	Name       string        // says in ECS who started the task; letters, digits, - and / are kept, at most 64 of them
	Timeout    time.Duration // from the call until the task is stopped
	// Parting is how long it may take to stop the task of a cancelled run; 0 is 5
	// seconds.
	Parting time.Duration
	Wait    bool // for the end of the task; without it the task is only started
}

// Overrides are what the task has otherwise than its definition.
type Overrides struct {
	Command     []string           // of the container; nil leaves the definition's
	Environment []taskdef.Variable // of containers by their names, which have to be given
	CPU, Memory string             // of the task: CPU units and MiB; empty leaves the definition's
}

// Outcome is how a task ended.
type Outcome string

// The outcomes.
const (
	Started    Outcome = "started"    // it was not waited for
	Succeeded  Outcome = "succeeded"  // the container exited with code 0, by itself as far as can be seen
	Failed     Outcome = "failed"     // it exited with another code, never ran, or was stopped
	TimedOut   Outcome = "timedOut"   // it was stopped, since it did not end in time
	NoCapacity Outcome = "noCapacity" // it could not be started in time
)

// Result is what came of a task.
type Result struct {
	Task      string // ARN; empty where none was started
	Container string
	Outcome   Outcome
	ExitCode  *int            // of the container; nil where it never ran, or its end is not known
	Cause     diagnosis.Cause // why it ended, with the end of every container; zero where it has not ended
	Stopping  bool            // it was told to stop, and its end was not seen
	Unstopped error           // why it could not be told to stop; it may still be running
	// Log is where the container logs; zero where it does not, or that is not known.
	Log  diagnosis.LogStream
	Took time.Duration
}

const (
	firstPoll   = 2 * time.Second // between two readings of a task that has just been started
	laterPoll   = 5 * time.Second
	pollsLater  = 2 * time.Minute // after which they are further apart
	heartbeat   = 5 * time.Minute
	firstRetry  = 5 * time.Second // between two attempts to get capacity; it doubles
	latestRetry = 30 * time.Second
	parting     = 5 * time.Second  // for stopping the task of a cancelled run: the agent kills the step soon
	answering   = 4                // the part of it for which a task that was asked for is waited for: a quarter
	ending      = 30 * time.Second // for the end of a task that was stopped when its time was over
	unseen      = time.Minute      // for which ECS may not know a task that it has started, or has shown before
)

// Run runs the task and shows what happens to it, one event at a time. The error is
// that of a call without which the task cannot be started or followed, or why ctx
// ended; the result holds what was done before it.
func (r *Runner) Run(ctx context.Context, q Request, show func(event any)) (Result, error) {
	begin := time.Now()
	t := &task{Runner: r, request: q, show: show, begin: begin, token: token()}
	t.startedBy = name(q.Name) + "-" + t.token[:8]
	result, err := t.run(ctx)
	if f := t.follower(q.Container); f != nil && !f.broken {
		result.Log = f.stream
	}
	result.Container, result.Took = q.Container, time.Since(begin)
	return result, err
}

// task is one task at work.
type task struct {
	*Runner
	request   Request
	show      func(event any)
	begin     time.Time
	token     string
	startedBy string
	logs      []*follower
	seen      time.Time // when ECS knew the task, or was not asked with success
	silent    bool      // ECS did not answer the last reading
	released  bool      // it was stopped after its container had exited
	cut       bool      // another container, which is essential, ended before its own
}

// errTimeout is the cause of a context whose time for the task is over.
var errTimeout = errors.New("the time for the task is over")

func (t *task) run(ctx context.Context) (Result, error) {
	bounded, cancel := context.WithDeadlineCause(ctx, t.begin.Add(t.request.Timeout), errTimeout)
	defer cancel()
	for {
		launched, cause, err := t.launch(bounded)
		arn := aws.ToString(launched.TaskArn)
		switch {
		case ctx.Err() != nil:
			return t.abandon(ctx, arn, t.parting()-t.parting()/answering)
		case context.Cause(bounded) == errTimeout && arn == "":
			t.sweep(ctx)
			return Result{Outcome: NoCapacity, Cause: cause}, nil
		case err != nil:
			if ecs.Ambiguous(err) {
				t.sweep(ctx)
			}
			return Result{}, err
		case arn == "":
			return Result{Outcome: Failed, Cause: cause}, nil
		}
		t.show(Launched{arn})
		if !t.request.Wait {
			return Result{Task: arn, Outcome: Started}, nil
		}
		t.logs, t.seen, t.cut = nil, time.Now(), false
		stopped, err := t.follow(bounded, launched)
		switch {
		case ctx.Err() != nil:
			return t.abandon(ctx, arn, t.parting())
		case context.Cause(bounded) == errTimeout && aws.ToString(stopped.LastStatus) != "STOPPED":
			return t.expire(ctx, arn)
		case err != nil:
			return Result{Task: arn}, err
		}
		result := t.ended(ctx, stopped)
		if !neverRan(stopped) || result.Cause.Fault != diagnosis.Capacity {
			return result, nil
		}
		t.show(Waits{result.Cause})
		if pause(bounded, firstRetry) != nil && ctx.Err() == nil {
			result.Outcome = NoCapacity
			return result, nil
		}
	}
}

// launch asks for the task until there is capacity for it. cause is why ECS did not
// start it.
func (t *task) launch(ctx context.Context) (launched ecs.Task, cause diagnosis.Cause, err error) {
	in := t.input()
	said := ""
	for retry := firstRetry; ; retry = min(2*retry, latestRetry) {
		// An answer that named a failure is given again to the same token.
		in.ClientToken = aws.String(token())
		tasks, failures, err := t.ask(ctx, in)
		if len(tasks) > 0 {
			return tasks[0], diagnosis.Cause{}, nil
		}
		switch {
		case err != nil:
			// ECS reports some kinds of missing capacity as an error.
			refused := diagnosis.Refusal(reasonOf(err))
			if ctx.Err() != nil || ecs.Classify(err) == ecs.Denied || ecs.Ambiguous(err) || refused.Fault != diagnosis.Capacity {
				return ecs.Task{}, cause, err
			}
			cause = refused
		default:
			cause = diagnosis.Refusal(failureText(failures[0]))
			if !passing(cause, failures[0]) {
				return ecs.Task{}, cause, nil
			}
		}
		if cause.Reason != said {
			t.show(Waits{cause})
			said = cause.Reason
		}
		if err := pause(ctx, retry); err != nil {
			return ecs.Task{}, cause, err
		}
	}
}

// ask makes the call. Where the context ends while it is on its way, its answer is
// waited for a moment longer: ECS starts the task all the same, and may list it too late
// for it to be found and stopped.
func (t *task) ask(ctx context.Context, in *awsecs.RunTaskInput) ([]ecs.Task, []types.Failure, error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		if pause(own, t.parting()/answering) == nil {
			cancel(context.Cause(ctx))
		}
	})()
	return t.ecs.RunTask(own, in)
}

// parting is how long it may take to stop the task of a cancelled run.
func (t *task) parting() time.Duration { return cmp.Or(t.request.Parting, parting) }

// passing reports whether waiting may cure the failure: there is no room at the
// moment, or the agent of the instance is not connected.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
func passing(cause diagnosis.Cause, f types.Failure) bool {
	return cause.Fault == diagnosis.Capacity || aws.ToString(f.Reason) == "AGENT"
}

// follow reads the task and its logs until it has stopped.
func (t *task) follow(ctx context.Context, now ecs.Task) (ecs.Task, error) {
	status, beat := "", time.Now()
	for {
		if s := aws.ToString(now.LastStatus); s != status {
			status, beat = s, time.Now()
			if s != "STOPPED" {
				t.show(Status{s})
			}
		} else if time.Since(beat) >= heartbeat {
			beat = time.Now()
			t.show(Heartbeat{time.Since(t.begin)})
		}
		t.readLogs(ctx, now)
		if status == "STOPPED" {
			return now, nil
		}
		t.cut = t.cut || t.othersEnded(now)
		t.release(ctx, now)
		every := firstPoll
		if time.Since(t.begin) >= pollsLater {
			every = laterPoll
		}
		if err := pause(ctx, every); err != nil {
			return now, err
		}
		next, err := t.read(ctx, now)
		if err != nil {
			return now, err
		}
		now = next
	}
}

// read reads the task anew. While ECS does not answer, it is as it was.
func (t *task) read(ctx context.Context, was ecs.Task) (ecs.Task, error) {
	arn := aws.ToString(was.TaskArn)
	tasks, _, err := t.ecs.DescribeTasks(ctx, t.request.Service.Cluster, []string{arn})
	switch {
	case ctx.Err() != nil:
		return was, context.Cause(ctx)
	case err != nil && ecs.Classify(err).Lasting():
		return was, &LostError{Task: arn, err: err}
	case err != nil:
		if !t.silent {
			t.silent = true
			t.show(Silence{err})
		}
		t.seen = time.Now()
		return was, nil
	}
	if t.silent {
		t.silent = false
		t.show(Silence{})
	}
	if len(tasks) == 0 { // readings of ECS may be late, also after one that was not
		if time.Since(t.seen) < unseen {
			return was, nil
		}
		return was, &LostError{Task: arn, err: errors.New("ECS does not know the task any more")}
	}
	t.seen = time.Now()
	return tasks[0], nil
}

// LostError says that a task was started and cannot be followed to its end. It may
// still be running.
type LostError struct {
	Task string // ARN
	err  error
}

func (e *LostError) Error() string {
	return "task " + ecs.ShortARN(e.Task) + " was started and cannot be followed: " + e.err.Error()
}

func (e *LostError) Unwrap() error { return e.err }

// release stops a task whose container has ended, or could not be started, while others
// keep it running, where the container is not essential and ECS does not stop it.
func (t *task) release(ctx context.Context, now ecs.Task) {
	if aws.ToString(now.DesiredStatus) == "STOPPED" || t.essential(t.request.Container) {
		return
	}
	for _, c := range now.Containers {
		if aws.ToString(c.Name) != t.request.Container || aws.ToString(c.LastStatus) != "STOPPED" {
			continue
		}
		why := "container " + t.request.Container + " has exited"
		if c.ExitCode == nil {
			why = "container " + t.request.Container + " could not be started"
		}
		// An error is of no consequence: the next reading tries again.
		err := t.ecs.StopTask(ctx, t.request.Service.Cluster, aws.ToString(now.TaskArn), why)
		t.released = t.released || err == nil
	}
}

// essential reports whether the task ends with a container.
func (t *task) essential(container string) bool {
	return slices.ContainsFunc(t.request.Definition.Containers(), func(c taskdef.Container) bool { return c.Name == container && c.Essential })
}

// othersEnded reports whether an essential container has ended while that of the task
// goes on. ECS stops that then, and its exit code does not say that its work is done. It
// is not seen where both end between two readings: ECS does not say which was first.
func (t *task) othersEnded(now ecs.Task) bool {
	goesOn, others := false, false
	for _, c := range now.Containers {
		name, ended := aws.ToString(c.Name), aws.ToString(c.LastStatus) == "STOPPED"
		if name == t.request.Container {
			goesOn = !ended && c.ExitCode == nil
		} else {
			others = others || ended && t.essential(name)
		}
	}
	return goesOn && others
}

// ended is the result of a task that has stopped.
func (t *task) ended(ctx context.Context, stopped ecs.Task) Result {
	ctx, cancel := context.WithTimeout(ctx, draining)
	defer cancel()
	t.drain(ctx, stopped)
	result := Result{Task: aws.ToString(stopped.TaskArn), Outcome: Failed, Cause: diagnosis.OfTask(stopped, t.request.Definition)}
	for i, c := range result.Cause.Containers {
		if c.Name == t.request.Container {
			result.ExitCode = c.ExitCode
		}
		if result.Cause.Containers[i].Failed {
			result.Cause = result.Cause.WithLog(ecs.ShortARN(result.Task), t.lastLines(c.Name))
		}
	}
	if result.ExitCode != nil && *result.ExitCode == 0 && t.byItself(stopped) {
		result.Outcome = Succeeded
	}
	return result
}

// byItself reports whether the task ended because its containers did. A container
// that somebody interrupts may exit with code 0 and have done half of its work.
func (t *task) byItself(stopped ecs.Task) bool {
	switch stopped.StopCode {
	case "", types.TaskStopCodeEssentialContainerExited:
		return !t.cut
	}
	return t.released
}

// abandon stops the task of a run that was cancelled, within a time.
func (t *task) abandon(ctx context.Context, arn string, within time.Duration) (Result, error) {
	cause := context.Cause(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if arn == "" {
		// The answer to the call may have been lost.
		for _, arn := range t.sweep(ctx) {
			t.show(Stopping{Task: arn, Cancelled: true})
		}
		return Result{}, cause
	}
	err := t.ecs.StopTask(ctx, t.request.Service.Cluster, arn, "the run of the pipeline was cancelled")
	t.show(Stopping{Task: arn, Cancelled: true, Err: err})
	return Result{Task: arn, Stopping: err == nil}, cause
}

// sweep stops the tasks of this run whose start was not confirmed, and returns their
// ARNs.
func (t *task) sweep(ctx context.Context) (stopped []string) {
	ctx, cancel := context.WithTimeout(ctx, t.parting())
	defer cancel()
	tasks, _, _ := t.ecs.Tasks(ctx, t.request.Service.Cluster, t.startedBy, string(types.DesiredStatusRunning), 10)
	for _, one := range tasks {
		arn := aws.ToString(one.TaskArn)
		if t.ecs.StopTask(ctx, t.request.Service.Cluster, arn, "its start was not confirmed in time") == nil {
			stopped = append(stopped, arn)
		}
	}
	return stopped
}

// expire stops a task whose time is over, and reads how it ended. One that had ended by
// itself since the last reading has not timed out.
func (t *task) expire(ctx context.Context, arn string) (Result, error) {
	result := Result{Task: arn, Outcome: TimedOut}
	err := t.ecs.StopTask(ctx, t.request.Service.Cluster, arn, "the time limit of the pipeline step is over")
	t.show(Stopping{Task: arn, After: t.request.Timeout, Err: err})
	if result.Unstopped = err; err != nil {
		return result, nil
	}
	bounded, cancel := context.WithTimeout(ctx, ending)
	defer cancel()
	stopped, err := t.follow(bounded, ecs.Task{TaskArn: aws.String(arn)})
	switch {
	case ctx.Err() != nil:
		return result, context.Cause(ctx)
	case err != nil: // it takes longer to stop
		result.Stopping = true
		return result, nil
	}
	ended := t.ended(ctx, stopped)
	if t.released || stopped.StopCode == types.TaskStopCodeEssentialContainerExited {
		return ended, nil
	}
	result.ExitCode, result.Cause = ended.ExitCode, ended.Cause
	return result, nil
}

// neverRan reports whether no container of a stopped task has run.
func neverRan(t ecs.Task) bool {
	return !slices.ContainsFunc(t.Containers, func(c types.Container) bool { return c.ExitCode != nil }) && t.StartedAt == nil
}

// token is a random client token.
func token() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // it never fails
	return hex.EncodeToString(random[:])
}

// pause waits, or returns why the context ended before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
