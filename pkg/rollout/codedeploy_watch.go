package rollout

// Following a CodeDeploy deployment to its end, and that of its rollback. A
// poll reads the service (counts and events), the deployment, and its target:
// lifecycle events and traffic. judgeCodeDeploy says whether that is the end.

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
)

// rollbackLimit is how long CodeDeploy may take to name the deployment that
// rolls back another one.
const rollbackLimit = 30 * time.Second

// CodeDeployWatch follows one deployment. Range over Events until it ends, then
// ask for the Verdict.
type CodeDeployWatch struct {
	polling
	client     *Client
	api        *codedeploy.Client
	deployment CodeDeployment

	state    CodeDeployState
	ended    time.Time         // when ours was first seen to have ended badly
	closed   bool              // the target has been read after the end
	looked   time.Time         // when the stopped tasks were looked at
	hopeless Verdict           // set when they say that it cannot succeed
	blind    bool              // the target cannot be read: said once
	told     map[string]string // what was told last, by what it is about
}

// WatchCodeDeploy returns a watch over d that ends with TimedOut when timeout
// has passed and the deployment has not ended. A deployment that is ready and
// waits to be told to shift the traffic ends it with Paused.
func (c *Client) WatchCodeDeploy(d CodeDeployment, timeout time.Duration) *CodeDeployWatch {
	own, listed := d.Service.deployment(d.ID)
	return &CodeDeployWatch{
		polling:    newPolling("AWS", d.ID, timeout),
		client:     c,
		api:        c.codeDeploy(),
		deployment: d,
		state:      CodeDeployState{State: State{Service: d.Service, Own: own, Listed: listed}},
		told:       map[string]string{},
	}
}

// Events polls until the deployment ended, the timeout passed or ctx is done,
// and yields what happened in between.
func (w *CodeDeployWatch) Events(ctx context.Context) iter.Seq[Event] { return w.until(ctx, w) }

// State returns the service as the last successful poll saw it. Own is the
// deployment's task set.
func (w *CodeDeployWatch) State() State {
	s := w.state.State
	s.Elsewhere = w.state.elsewhere()
	return s
}

// Deployment returns the id of the followed deployment: d-….
func (w *CodeDeployWatch) Deployment() string { return w.deployment.ID }

// HookID returns what has to be answered when the deployment is paused: its own
// id; else empty.
func (w *CodeDeployWatch) HookID() string {
	if w.verdict.Outcome != Paused {
		return ""
	}
	return w.deployment.ID
}

// UnderWay reports whether the deployment has been seen and has not ended.
func (w *CodeDeployWatch) UnderWay() bool { return w.state.Status != "" && !over(w.state.Status) }

// Started returns the deployment as ECS knows it, for Verify and Diagnose: its
// ID is that of the task set, which the tasks carry as startedBy. Before there
// is a task set it is CodeDeploy's, which no task carries.
func (w *CodeDeployWatch) Started() Started {
	d := w.deployment.Started
	if w.state.Own.ID != "" {
		d.ID = w.state.Own.ID
	}
	return d
}

func (w *CodeDeployWatch) judge() Verdict {
	v := judgeCodeDeploy(w.deployment, w.state)
	if !v.Final() && w.UnderWay() { // a rollback under way is waited for
		return w.hopeless
	}
	return v
}

func (w *CodeDeployWatch) words() string { return w.state.inTheWay() + w.state.Words() }

// poll reads the state once and returns what is new in it. The service is read
// after the deployment, as in Watch.
func (w *CodeDeployWatch) poll(ctx context.Context, age time.Duration) ([]Event, error) {
	err := w.readDeployments(ctx, age)
	w.calls++
	events, unread := w.client.observe(ctx, w.deployment.Started, &w.state.State)
	if unread != nil || w.state.Missing {
		return nil, unread
	}
	if err != nil {
		return events, err
	}
	if !w.closed {
		unseen, err := w.readTarget(ctx)
		if events = append(events, unseen...); err != nil {
			return events, err
		}
		w.closed = over(w.state.Status)
	}
	w.giveUp(ctx)
	return append(events, w.progress()...), nil
}

// readDeployments reads our deployment until it is rolled back, and then the
// deployment that does so.
func (w *CodeDeployWatch) readDeployments(ctx context.Context, age time.Duration) error {
	if w.state.Rollback == nil {
		if err := w.readOwn(ctx, age); err != nil {
			return err
		}
	}
	if w.state.Rollback == nil {
		return nil
	}
	return w.readRollback(ctx)
}

// giveUp sets the verdict aside that ends the watch when task after task of the
// new task set ends in the same way: CodeDeploy itself counts none, and waits an
// hour for them.
func (w *CodeDeployWatch) giveUp(ctx context.Context) {
	own := w.state.Own
	due := w.state.Listed && own.Running < own.Desired && time.Since(w.looked) >= lookAgain
	if w.deployment.MaxFailedTasks <= 0 || !w.UnderWay() || !due {
		return
	}
	w.looked = time.Now()
	w.calls += 2
	w.hopeless = w.client.hopeless(ctx, w.Started(), w.state.State)
}

// readOwn reads our deployment.
func (w *CodeDeployWatch) readOwn(ctx context.Context, age time.Duration) error {
	w.calls++
	info, err := deploymentInfo(ctx, w.api, w.deployment.ID)
	if codeOf(err) == "DeploymentDoesNotExistException" && age > pinLimit {
		return &Problem{Absent: true, Message: fmt.Sprintf("CodeDeploy does not know deployment %s of service %s any more", w.deployment.ID, w.deployment.Service.Name),
			Advice: "its application may have been deleted"}
	}
	if err != nil {
		return err
	}
	s := &w.state
	s.Status, s.Error = string(info.Status), errorText(info.ErrorInformation)
	s.Waits, s.Keep = true, 0
	if b := info.BlueGreenDeploymentConfiguration; b != nil {
		s.Waits = b.DeploymentReadyOption == nil || b.DeploymentReadyOption.ActionOnTimeout != types.DeploymentReadyActionContinueDeployment
		if end := b.TerminateBlueInstancesOnDeploymentSuccess; end != nil && end.Action == types.InstanceActionTerminate {
			s.Keep = time.Duration(end.TerminationWaitTimeInMinutes) * time.Minute
		}
	}
	if s.Status != "Failed" && s.Status != "Stopped" {
		return nil
	}
	if w.ended.IsZero() {
		w.ended = time.Now()
	}
	if r := info.RollbackInfo; r != nil && aws.ToString(r.RollbackDeploymentId) != "" {
		s.Rollback = &CodeDeployRollback{ID: *r.RollbackDeploymentId}
	}
	expected := w.deployment.stopping || len(rollBackOn(info.AutoRollbackConfiguration)) > 0
	s.RollbackDue = expected && time.Since(w.ended) < rollbackLimit
	return nil
}

// readRollback reads the deployment that rolls ours back.
func (w *CodeDeployWatch) readRollback(ctx context.Context) error {
	w.calls++
	info, err := deploymentInfo(ctx, w.api, w.state.Rollback.ID)
	if err != nil {
		return err
	}
	w.state.Rollback.Status, w.state.Rollback.Error = string(info.Status), errorText(info.ErrorInformation)
	return nil
}

// errorText is CodeDeploy's reason: its message with the code.
func errorText(e *types.ErrorInformation) string {
	switch {
	case e == nil:
		return ""
	case aws.ToString(e.Message) == "":
		return string(e.Code)
	case e.Code == "":
		return *e.Message
	}
	return fmt.Sprintf("%s (%s)", strings.TrimSuffix(*e.Message, "."), e.Code)
}

// readTarget reads how far the deployment has got with the service. Where it
// may not, it says so once: the verdict needs no more than the deployment.
func (w *CodeDeployWatch) readTarget(ctx context.Context) ([]Event, error) {
	if w.blind {
		return nil, nil
	}
	w.calls++
	service := w.deployment.Service
	out, err := w.api.GetDeploymentTarget(ctx, &codedeploy.GetDeploymentTargetInput{
		DeploymentId: aws.String(w.deployment.ID),
		// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BatchGetDeploymentTargets.html
		TargetId: aws.String(ShortARN(service.Cluster) + ":" + service.Name),
	})
	switch code := codeOf(err); {
	case denied(err), code == "InvalidDeploymentTargetIdException":
		w.blind = true
		return []Event{{time.Now(), "lifecycle events and traffic cannot be read, watching the deployment alone" + reasonOf(err), true}}, nil
	case slices.Contains([]string{"DeploymentNotStartedException", "DeploymentTargetDoesNotExistException", "DeploymentDoesNotExistException"}, code):
		return nil, nil // it is about to start
	case err != nil:
		return nil, during("read the target of CodeDeploy deployment "+w.deployment.ID, err)
	}
	if out.DeploymentTarget == nil || out.DeploymentTarget.EcsTarget == nil {
		return nil, nil
	}
	w.state.Lifecycle = lifecycle(out.DeploymentTarget.EcsTarget.LifecycleEvents)
	for _, set := range out.DeploymentTarget.EcsTarget.TaskSetsInfo {
		// The label tells only where ECS does not show yet whose task set it is.
		if own := w.state.Own.ID; own == aws.ToString(set.Identifer) || own == "" && set.TaskSetLabel == types.TargetLabelGreen {
			w.state.Traffic = aws.Float64(set.TrafficWeight)
		}
	}
	return nil, nil
}

func lifecycle(events []types.LifecycleEvent) []LifecycleEvent {
	out := make([]LifecycleEvent, len(events))
	for i, e := range events {
		out[i] = LifecycleEvent{Name: aws.ToString(e.LifecycleEventName), Status: string(e.Status), Time: aws.ToTime(e.EndTime)}
		if e.EndTime == nil {
			out[i].Time = aws.ToTime(e.StartTime)
		}
		if d := e.Diagnostics; d != nil && d.ErrorCode != types.LifecycleErrorCodeSuccess {
			out[i].Message = aws.ToString(d.Message)
			if out[i].Message == "" {
				out[i].Message = string(d.ErrorCode)
			}
		}
	}
	return out
}

// progress tells what differs from what was told last.
func (w *CodeDeployWatch) progress() []Event {
	var events []Event
	tell := func(about, text string, at time.Time, warning bool) {
		if text == "" || w.told[about] == text {
			return
		}
		w.told[about] = text
		if at.IsZero() {
			at = time.Now()
		}
		events = append(events, Event{at, text, warning})
	}
	s, now := w.state, time.Now()
	for _, e := range s.Lifecycle {
		if e.Status != "Pending" && e.Status != "Skipped" {
			tell(e.Name, because(e.Name+" "+inWords(e.Status), e.Message), e.Time, e.Status == "Failed")
		}
	}
	if s.Traffic != nil && (*s.Traffic > 0 || w.told["traffic"] != "") && !over(s.Status) {
		tell("traffic", s.traffic(), now, false)
	}
	if s.Status != "Created" { // that it was made has been told
		bad := s.Status == "Failed" || s.Status == "Stopped"
		tell("status", because("deployment "+w.deployment.ID+" "+stands(s.Status), s.Error), now, bad)
	}
	if r := s.Rollback; r != nil {
		tell("rollback", because("CodeDeploy rolls back with deployment "+r.ID+", which "+stands(r.Status), r.Error), now, r.Status != "Succeeded")
	}
	tell("counts", s.counts(), now, false)
	return events
}
