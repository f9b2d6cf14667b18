package diagnosis

// Reading what can be read about why tasks do not stay up: the tasks themselves,
// how their containers are defined and ended. Logs are read in log.go, targets of
// load balancers in target.go; what it all means is in cause.go, fault.go and
// hint.go.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

const (
	maxStopped = 1000             // stopped tasks that are looked at
	maxRunning = 200              // and tasks that are not stopped
	maxGroups  = 5                // target groups
	logTries   = 2                // tasks of a cause whose log is tried
	readLimit  = 5 * time.Second  // for one log, or one target group
	timeLimit  = 15 * time.Second // for a whole diagnosis
)

// Source reads tasks and task definitions from ECS.
type Source interface {
	// Tasks returns those tasks of a cluster that startedBy started and that ECS
	// wants in the given status (RUNNING, STOPPED), at most limit of them, and
	// whether that is all of them. It may return tasks beside an error.
	Tasks(ctx context.Context, cluster, startedBy, status string, limit int) ([]types.Task, bool, error)
	// Definition returns a task definition by ARN or family:revision.
	Definition(ctx context.Context, ref string) (taskdef.Definition, error)
}

// Examiner finds out why tasks do not stay up. It is safe for concurrent use.
type Examiner struct {
	source   Source
	config   aws.Config // for CloudWatch Logs and the load balancers
	observer Observer   // nil for none
}

// New returns an examiner that reads tasks from source, and logs and load
// balancers with the identity and the region of cfg.
func New(source Source, cfg aws.Config) *Examiner { return &Examiner{source: source, config: cfg} }

// Observe has an observer hear of everything that is examined from now on. It is
// called before the examiner is used.
func (e *Examiner) Observe(o Observer) { e.observer = o }

// Diagnose finds out why tasks of the subject did not stay up. It never fails:
// what cannot be read, for want of a permission or of time, is one of the Notes.
// It makes half a dozen calls as a rule and about fifty at most, and ends with
// ctx, after 15 seconds at the latest.
//
// ECS forgets a stopped task an hour after it stopped, and of a service's events
// it keeps the last 100: a diagnosis is made soon after the failure.
func (e *Examiner) Diagnose(ctx context.Context, s Subject) (d Diagnosis) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	x := &examination{source: e.source, config: e.config, subject: s}
	var (
		wait     sync.WaitGroup
		targets  []target
		unread   []Note
		balancer []Note // of a panic
	)
	// Side by side, so that a load balancer's endpoint that cannot be reached
	// from the agent does not use up the time for the logs.
	wait.Go(func() {
		balancer = guard(func() { targets, unread = readTargets(ctx, e.config, s.TargetGroups) })
	})
	failed := guard(func() {
		x.readTasks(ctx)
		x.findCauses()
		x.readLogs(ctx)
	})
	wait.Wait()
	x.targets = targets
	x.notes = slices.Concat(x.notes, failed, unread, balancer)
	failed = guard(func() { d = x.diagnosis() })
	d.Notes = append(d.Notes, failed...)
	if e.observer != nil {
		guard(func() { e.observer.Examined(x.evidence(), d) })
	}
	return d
}

// Stops reads the tasks of the subject that have stopped so far and returns what
// ended them, most frequent first; nothing where they cannot be read. It makes two
// calls for up to 100 tasks.
func (e *Examiner) Stops(ctx context.Context, s Subject) (causes []Cause) {
	guard(func() {
		x := &examination{source: e.source, config: e.config, subject: s}
		stopped, _, _ := x.tasks(ctx, types.DesiredStatusStopped, maxStopped)
		causes = StopCauses(stopped)
		if e.observer != nil {
			e.observer.Stopped(s, stopped, causes)
		}
	})
	return causes
}

// guard runs a part of a diagnosis. A reply that this package does not cope with
// must never end the run that asks why a deployment failed: it becomes a note.
func guard(part func()) (notes []Note) {
	defer func() {
		if r := recover(); r != nil {
			notes = []Note{{What: Everything, Why: Unexpected, Text: fmt.Sprint(r)}}
		}
	}()
	part()
	return nil
}

// examination is one Diagnose at work.
type examination struct {
	source  Source
	config  aws.Config
	subject Subject

	complete         bool // every task of the subject is in stopped or running
	stopped, running []types.Task
	definitions      map[string]containerDefinition // by container; nil where they are not known
	causes           []group
	events           []Cause
	idle             bool // the causes are only tasks that have not ended

	targets []target
	notes   []Note
}

// containerDefinition is the part of a container's definition that matters here.
type containerDefinition struct {
	Name             string
	Essential        *bool
	HealthCheck      json.RawMessage
	LogConfiguration *struct {
		LogDriver string
		Options   map[string]any
	}
}

// option is one of the options of the container's log driver, of which there has
// to be one.
func (c containerDefinition) option(name string) string {
	text, _ := c.LogConfiguration.Options[name].(string)
	return text
}

// containerDefinitions reads how the containers of a task definition are defined.
func containerDefinitions(d taskdef.Definition) (map[string]containerDefinition, error) {
	var document struct{ ContainerDefinitions []containerDefinition }
	if err := json.Unmarshal(d.RegisterInput(), &document); err != nil {
		return nil, err
	}
	containers := map[string]containerDefinition{}
	for _, c := range document.ContainerDefinitions {
		containers[c.Name] = c
	}
	return containers, nil
}

// note keeps what could not be read, once.
func (x *examination) note(n Note) {
	if !slices.Contains(x.notes, n) {
		x.notes = append(x.notes, n)
	}
}

// because returns n with the reason for which a call failed. action is the
// permission that it requires where the error does not name another.
func (n Note) because(err error, action string) Note {
	switch {
	case ecs.Classify(err) == ecs.Denied:
		n.Why, n.Action = Denied, action
		if d, ok := ecs.DenialOf(err); ok {
			n.Action, n.Explicit, n.Policy = d.Action, d.Explicit, d.Policy
		}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		n.Why = NoAnswer
	default:
		n.Why, n.Text = Refused, err.Error()
		if api, ok := errors.AsType[smithy.APIError](err); ok {
			n.Text = cmp.Or(api.ErrorMessage(), api.ErrorCode())
		}
		n.Text = normalise(n.Text)
	}
	return n
}

// readTasks reads the subject's tasks, and how their containers are defined.
func (x *examination) readTasks(ctx context.Context) {
	if x.subject.DeploymentID == "" {
		x.complete = true // no task belongs to it
		return
	}
	var (
		wait                      sync.WaitGroup
		allStopped, allRunning    bool
		stoppedNotes, runningNote []Note
	)
	wait.Go(func() {
		failed := guard(func() { x.running, allRunning, runningNote = x.tasks(ctx, types.DesiredStatusRunning, maxRunning) })
		runningNote = append(runningNote, failed...)
	})
	failed := guard(func() { x.stopped, allStopped, stoppedNotes = x.tasks(ctx, types.DesiredStatusStopped, maxStopped) })
	wait.Wait()
	x.complete = allStopped && allRunning
	for _, n := range slices.Concat(stoppedNotes, failed, runningNote) {
		x.note(n)
	}
	if len(x.stopped)+len(x.running) == 0 || x.subject.TaskDefinition == "" {
		return
	}
	definition, err := x.source.Definition(ctx, x.subject.TaskDefinition)
	if err == nil {
		x.definitions, err = containerDefinitions(definition)
	}
	if err != nil {
		x.note(Note{What: TaskDefinition, Name: ecs.ShortARN(x.subject.TaskDefinition)}.because(err, "ecs:DescribeTaskDefinition"))
	}
}

// tasks reads those tasks of the subject that ECS wants in the given status, at
// most limit of them, and says whether that is all of them.
func (x *examination) tasks(ctx context.Context, status types.DesiredStatus, limit int) (ours []types.Task, all bool, notes []Note) {
	if x.subject.DeploymentID == "" {
		return nil, true, nil
	}
	what := RunningTasks
	if status == types.DesiredStatusStopped {
		what = StoppedTasks
	}
	tasks, all, err := x.source.Tasks(ctx, x.subject.Cluster, x.subject.DeploymentID, string(status), limit)
	for _, t := range tasks {
		// A rollback revives the id of an earlier deployment: tasks that ended
		// before it began are not about it.
		at := ended(t)
		early := status == types.DesiredStatusStopped && !at.IsZero() && at.Before(x.subject.Since)
		if by := aws.ToString(t.StartedBy); (by == "" || by == x.subject.DeploymentID) && !early {
			ours = append(ours, t)
		}
	}
	switch {
	case err != nil:
		notes = append(notes, Note{What: what}.because(err, "ecs:ListTasks"))
	case !all:
		notes = append(notes, Note{What: what, Why: Incomplete, Detail: strconv.Itoa(limit)})
	}
	return ours, all && err == nil, notes
}

// findCauses groups what was read.
func (x *examination) findCauses() {
	essential := map[string]bool{}
	for name, c := range x.definitions {
		essential[name] = c.Essential == nil || *c.Essential
	}
	x.causes = append(stopCauses(x.stopped, essential), unhealthyCauses(x.running, essential)...)
	// What an event says of a task that stopped, the task itself says better.
	x.events = slices.DeleteFunc(Troubles(x.subject.Events, x.subject.Since), func(e Cause) bool {
		return slices.ContainsFunc(x.causes, func(c group) bool {
			return c.Reason != "" && strings.Contains(e.Reason, strings.TrimSuffix(c.Reason, "."))
		})
	})
	if why := x.subject.Elsewhere; why != "" {
		x.causes = slices.DeleteFunc(x.causes, func(c group) bool { return c.byRollback() })
		ended := eventCause(why)
		ended.Fault = Nobody // it is the deployment's end, not one that keeps it from its tasks
		x.events = slices.Insert(x.events, 0, ended)
	}
	if len(x.causes)+len(x.events) == 0 {
		x.idle = true
		x.causes = idleCauses(x.running, essential)
	}
}

// byRollback reports whether the tasks stopped only because CodeDeploy, rolling
// back, deleted the task set that they belonged to.
func (c Cause) byRollback() bool { return containsFold(c.Reason, "task set was deleted") }

// belongs says whether a task is one of the subject's, as far as that is known.
func (x *examination) belongs(task string) bool {
	is := func(t types.Task) bool { return ecs.ShortARN(aws.ToString(t.TaskArn)) == task }
	return !x.complete || slices.ContainsFunc(x.stopped, is) || slices.ContainsFunc(x.running, is)
}

// diagnosis puts together what was found, capped.
func (x *examination) diagnosis() Diagnosis {
	var d Diagnosis
	for _, c := range x.causes {
		d.Causes = append(d.Causes, c.Cause)
	}
	d.Causes = append(d.Causes, x.events...)
	if len(d.Causes) > maxCauses {
		// The first event keeps a place: it may be why there are so few tasks.
		if first := len(x.causes); first >= maxCauses && len(x.events) > 0 {
			event := d.Causes[first]
			d.Causes = slices.Insert(slices.Delete(d.Causes, first, first+1), maxCauses-1, event)
		}
		for _, c := range d.Causes[maxCauses:] {
			if d.More++; !c.Event {
				d.MoreTasks += c.Count
			}
		}
		d.Causes = d.Causes[:maxCauses]
	}
	for i, c := range d.Causes {
		d.Causes[i] = c.withHint()
	}
	d.Alarms = x.subject.Alarms[:min(len(x.subject.Alarms), maxAlarms)]
	d.Targets = x.unhealthyTargets()
	d.Targets = d.Targets[:min(len(d.Targets), maxTargets)]
	d.Notes = x.notes[:min(len(x.notes), maxNotes)]
	return d
}
