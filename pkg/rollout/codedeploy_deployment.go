package rollout

// A deployment of CodeDeploy's: one poll reads the deployment (or the one that
// rolls it back), the service with its task sets, and how far the lifecycle
// events and the traffic have come.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
)

// rollbackLimit is how long CodeDeploy may take to name the deployment that rolls
// back another one.
const rollbackLimit = 30 * time.Second

// rollbacksInRow is how many rollbacks, each of the one before, are followed in a poll.
const rollbacksInRow = 10

type codeDeployment struct {
	watcher
	controller *codeDeploy
	news       *news
	snapshot   Snapshot

	begun  time.Time // of the first poll
	ended  time.Time // when the deployment was first seen to have ended badly
	named  time.Time // when the deployment that rolls back was first named
	closed bool      // the target has been read after the end
	blind  bool      // the target cannot be read: told once
	unseen time.Time // since when the target could not be read; zero where it could
	looked time.Time // when the stopped tasks were looked at
	most   int       // maxFailedTasks of the watch; 0 is any number
}

// Watch implements [Deployment].
func (d *codeDeployment) Watch(ctx context.Context, limits Limits) iter.Seq[Event] {
	d.most = limits.MaxFailedTasks
	d.snapshot.Hopeless = nil
	return d.watcher.Watch(ctx, limits)
}

func (d *codeDeployment) view() *Snapshot { return &d.snapshot }
func (d *codeDeployment) last() Snapshot  { return d.snapshot }

func (d *codeDeployment) health(ctx context.Context) int {
	id := d.snapshot.TaskID()
	if id == "" {
		return -1
	}
	healthy, _, known := d.controller.doctor.Health(ctx, d.snapshot.Service.Cluster, id, d.snapshot.Service.TargetGroups)
	if !known {
		return -1
	}
	return healthy
}

// poll implements source.
func (d *codeDeployment) poll(ctx context.Context) ([]Event, error) {
	events, err := d.read(ctx)
	if err != nil || d.snapshot.Gone || d.snapshot.Reached {
		return events, err
	}
	if !d.closed {
		unseen, err := d.readTarget(ctx)
		if events = append(events, unseen...); err != nil {
			return events, err
		}
		d.closed = over(d.snapshot.CodeDeploy.Status)
	}
	events = append(events, d.readTasks(ctx)...)
	return append(events, d.progress()...), nil
}

// read reads what a decision needs. The service is read after the deployment, as in
// ecsDeployment.
func (d *codeDeployment) read(ctx context.Context) ([]Event, error) {
	if d.begun.IsZero() {
		d.begun = time.Now()
	}
	if d.snapshot.Reached {
		return d.readService(ctx)
	}
	unread := d.readDeployments(ctx)
	events, err := d.readService(ctx)
	if err != nil || d.snapshot.Gone {
		if err != nil && unread != nil {
			err = unread // it took the time in which the service was to be read
		}
		return nil, err
	}
	return events, unread
}

func (d *codeDeployment) readService(ctx context.Context) ([]Event, error) {
	s, err := d.controller.client.Service(ctx, d.controller.first.Cluster, d.controller.first.Name)
	if mistake.Absent(err) {
		d.snapshot.Gone = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d.snapshot.Service = s
	own, listed := s.Deployment(d.snapshot.ID)
	if d.snapshot.Listed = listed; listed {
		d.snapshot.Own = own
	}
	var events []Event
	for _, m := range d.news.messages(s) {
		events = append(events, d.news.tell(m)...)
	}
	events = append(events, d.news.folded(time.Now())...)
	return events, nil
}

// readDeployments reads the deployment until it is rolled back, and then the deployment
// that rolls it back. Where that one was stopped and is rolled back itself, it reads the
// next.
func (d *codeDeployment) readDeployments(ctx context.Context) error {
	record := d.snapshot.CodeDeploy
	if record.Rollback == nil {
		if err := d.readOwn(ctx, record); err != nil {
			return err
		}
	}
	for range rollbacksInRow {
		if record.Rollback == nil {
			return nil
		}
		info, err := deploymentInfo(ctx, d.controller.api, record.Rollback.ID)
		if unknown(err) && time.Since(d.named) <= recordLimit {
			return nil // it was named just now
		}
		if err != nil {
			return err
		}
		record.Rollback.Status, record.Rollback.Error = string(info.Status), errorText(info.ErrorInformation)
		if !over(record.Rollback.Status) || info.RollbackInfo == nil || aws.ToString(info.RollbackInfo.RollbackDeploymentId) == "" {
			break
		}
		record.Rollback, d.named = &CodeDeployRollback{ID: *info.RollbackInfo.RollbackDeploymentId}, time.Now()
	}
	return nil
}

func (d *codeDeployment) readOwn(ctx context.Context, record *CodeDeployRecord) error {
	info, err := deploymentInfo(ctx, d.controller.api, d.snapshot.ID)
	switch {
	case unknown(err) && time.Since(d.begun) <= recordLimit:
		return nil // it was created just now
	case unknown(err):
		return &mistake.Error{Kind: mistake.Service, Absent: true, Advice: "its application may have been deleted",
			Text: fmt.Sprintf("CodeDeploy does not know deployment %s of service %s any more", d.snapshot.ID, d.snapshot.Service.Name)}
	case err != nil:
		return err
	}
	record.Status, record.Error = string(info.Status), errorText(info.ErrorInformation)
	record.Waits, record.Keep = true, 0
	if b := info.BlueGreenDeploymentConfiguration; b != nil {
		record.Waits = b.DeploymentReadyOption == nil || b.DeploymentReadyOption.ActionOnTimeout != types.DeploymentReadyActionContinueDeployment
		if end := b.TerminateBlueInstancesOnDeploymentSuccess; end != nil && end.Action == types.InstanceActionTerminate {
			record.Keep = time.Duration(end.TerminationWaitTimeInMinutes) * time.Minute
		}
	}
	if record.Status != "Failed" && record.Status != "Stopped" {
		return nil
	}
	if d.ended.IsZero() {
		d.ended = time.Now()
	}
	if r := info.RollbackInfo; r != nil && aws.ToString(r.RollbackDeploymentId) != "" {
		record.Rollback, d.named = &CodeDeployRollback{ID: *r.RollbackDeploymentId}, time.Now()
	}
	record.RollbackDue = (d.snapshot.Asked || goesBackAfter(info)) && time.Since(d.ended) < rollbackLimit
	return nil
}

// unknown reports whether CodeDeploy does not know a deployment: it may not show yet one
// that was created a moment ago.
func unknown(err error) bool {
	_, is := errors.AsType[*types.DeploymentDoesNotExistException](err)
	return is
}

// goesBackAfter reports whether CodeDeploy rolls back by itself what ended as this
// deployment did.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_AutoRollbackConfiguration.html
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ErrorInformation.html
func goesBackAfter(info *types.DeploymentInfo) bool {
	on := rollsBackOn(info.AutoRollbackConfiguration)
	failed := info.Status == types.DeploymentStatusFailed && slices.Contains(on, string(types.AutoRollbackEventDeploymentFailure))
	switch alarm := info.ErrorInformation != nil && info.ErrorInformation.Code == types.ErrorCodeAlarmActive; {
	case alarm:
		return failed || slices.Contains(on, string(types.AutoRollbackEventDeploymentStopOnAlarm))
	case info.Status == types.DeploymentStatusFailed:
		return failed
	}
	return len(on) > 0 // who stopped it may have asked for that
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

// targetLimit is how long the target may take to be read: the verdict can do without.
const targetLimit = 5 * time.Second

// readTarget reads how far the deployment has come with the service. Where that
// cannot be read, for good or for a while, it says so once: the verdict needs no more
// than the deployment.
func (d *codeDeployment) readTarget(ctx context.Context) ([]Event, error) {
	if d.blind {
		return nil, nil
	}
	within, cancel := context.WithTimeout(ctx, targetLimit)
	defer cancel()
	out, err := d.controller.api.GetDeploymentTarget(within, &codedeploy.GetDeploymentTargetInput{
		DeploymentId: aws.String(d.snapshot.ID),
		// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BatchGetDeploymentTargets.html
		TargetId: aws.String(ecs.ShortARN(d.controller.first.Cluster) + ":" + d.controller.first.Name),
	})
	switch code := ecs.CodeOf(err); {
	case err != nil && ecs.Classify(err) == ecs.Denied, code == "InvalidDeploymentTargetIdException":
		d.blind = true
		return []Event{{time.Now(), Unreadable{err}}}, nil
	case slices.Contains([]string{"DeploymentNotStartedException", "DeploymentTargetDoesNotExistException", "DeploymentDoesNotExistException"}, code):
		return nil, nil // it is about to start
	case err != nil && ecs.Classify(err) == ecs.Expired:
		return nil, ecs.During("read the target of CodeDeploy deployment "+d.snapshot.ID, err)
	case err != nil:
		lasts := lasted(&d.unseen, true, time.Now()) > recordLimit
		if d.news.changed("target", lasts, !lasts) && lasts {
			return []Event{{time.Now(), Unreadable{ecs.During("read the target of CodeDeploy deployment "+d.snapshot.ID, err)}}}, nil
		}
		return nil, nil
	}
	d.unseen = time.Time{}
	if out.DeploymentTarget == nil || out.DeploymentTarget.EcsTarget == nil {
		return nil, nil
	}
	target, record := out.DeploymentTarget.EcsTarget, d.snapshot.CodeDeploy
	record.Lifecycle = lifecycle(target.LifecycleEvents)
	for _, set := range target.TaskSetsInfo {
		// The label decides only where ECS does not show yet whose task set it is.
		if own := d.snapshot.Own.ID; own == aws.ToString(set.Identifer) || own == "" && set.TaskSetLabel == types.TargetLabelGreen {
			record.Traffic = aws.Float64(set.TrafficWeight)
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

// readTasks gives the deployment up when task after task of the new task set fails
// in the same way: CodeDeploy itself counts none, and waits an hour for them.
func (d *codeDeployment) readTasks(ctx context.Context) []Event {
	s := &d.snapshot
	due := s.Listed && s.Own.Running < s.Own.Desired && time.Since(d.looked) >= tasksAgain
	if d.most <= 0 || !s.InProgress() || !due {
		return nil
	}
	d.looked = time.Now()
	var events []Event
	s.Hopeless, events = hopeless(ctx, d.controller.doctor, d.news, *s, d.most)
	return events
}

// progress tells what differs from what was told last.
func (d *codeDeployment) progress() []Event {
	var events []Event
	s, now := d.snapshot, time.Now()
	tell := func(about string, at time.Time, what any, zero bool) {
		if !d.news.changed(about, what, zero) {
			return
		}
		if at.IsZero() {
			at = now
		}
		events = append(events, Event{at, what})
	}
	record := s.CodeDeploy
	for _, e := range record.Lifecycle {
		if e.Status != "Pending" && e.Status != "Skipped" {
			tell(e.Name, e.Time, Step{e.Name, e.Status, e.Message}, false)
		}
	}
	if record.Traffic != nil && !over(record.Status) {
		stage := Stage{Name: "TRAFFIC", Traffic: record.Traffic}
		if record.shifted() {
			stage.Left = record.Keep
		}
		if d.news.changed("traffic", stage.key(), *record.Traffic == 0) {
			events = append(events, Event{now, stage})
		}
	}
	tell("status", now, Status{ID: s.ID, Status: record.Status, Detail: record.Error}, record.Status == "Created" || record.Status == "")
	if r := record.Rollback; r != nil {
		tell("rollback", now, Status{ID: r.ID, Status: r.Status, Detail: r.Error, Rollback: true}, false)
	}
	if s.Listed {
		tell("counts", now, s.Counts(), false)
	}
	return events
}

// Stop implements [Deployment]. CodeDeploy rolls back what is stopped, also where
// the group does not do so by itself.
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_StopDeployment.html
func (d *codeDeployment) Stop(ctx context.Context) error {
	if ended, err := d.over(ctx); ended || err != nil {
		return err
	}
	lost := false
	_, err := d.controller.api.StopDeployment(ctx, &codedeploy.StopDeploymentInput{
		DeploymentId: aws.String(d.snapshot.ID), AutoRollbackEnabled: aws.Bool(true),
	}, patiently, func(o *codedeploy.Options) { o.Retryer = noting{o.Retryer, &lost} })
	if err == nil {
		d.snapshot.Asked, d.closed = true, false
		return nil
	}
	asked := d.snapshot.Asked
	if lost && !asked {
		// What was stopped by now, this run may have stopped. What failed did so by itself.
		_, unread := d.read(ctx)
		d.snapshot.Asked = unread == nil && d.snapshot.CodeDeploy.Status == "Stopped"
	}
	ended, again := d.over(ctx)
	if ended && again == nil {
		d.closed = d.closed && !lost
		return nil
	}
	if d.snapshot.Asked = asked; ended {
		return again
	}
	return ecs.During("stop CodeDeploy deployment "+d.snapshot.ID, err)
}

// noting notes that an attempt of a call got no answer, so that AWS may have acted on it.
type noting struct {
	aws.Retryer
	lost *bool
}

// IsErrorRetryable implements [aws.Retryer]. It hears of every attempt that failed.
func (n noting) IsErrorRetryable(err error) bool {
	*n.lost = *n.lost || ecs.Classify(err) == ecs.Broken
	return n.Retryer.IsErrorRetryable(err)
}

// over reads the deployment and reports whether there is nothing to stop: it is
// being rolled back already, or, with ErrEnded, it has ended.
func (d *codeDeployment) over(ctx context.Context) (bool, error) {
	if _, err := d.read(ctx); err != nil {
		return false, err
	}
	s := d.snapshot
	s.Hopeless, s.Until, s.Left = nil, UntilEnded, grace // a rollback that is due is waited for
	if v := d.judge(s); v.Final() && v.Outcome != Paused {
		d.verdict = v
		return true, ErrEnded
	}
	return over(s.CodeDeploy.Status), nil
}

// Answer implements [Deployment].
//
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ContinueDeployment.html
func (d *codeDeployment) Answer(ctx context.Context, action Action) error {
	none := func(why string) error {
		return mistake.New(mistake.Service, "it may have been answered, or its wait may be over: see the deployment",
			"CodeDeploy deployment %s of service %s does not wait for an answer (%s)", d.snapshot.ID, d.snapshot.Service.Name, why)
	}
	ended, err := d.over(ctx)
	switch record := d.snapshot.CodeDeploy; {
	case err != nil && !errors.Is(err, ErrEnded):
		return err
	case ended || !record.waits():
		return none("it is " + record.Status)
	case action == RollBack:
		err := d.Stop(ctx)
		if errors.Is(err, ErrEnded) {
			return none(err.Error())
		}
		return err
	}
	if err := d.proceed(ctx); err != nil {
		switch code := ecs.CodeOf(err); code {
		case "DeploymentIsNotInReadyStateException", "DeploymentAlreadyCompletedException":
			return none(code)
		}
		return ecs.During("continue CodeDeploy deployment "+d.snapshot.ID, err)
	}
	d.snapshot.Answered = d.snapshot.ID
	return nil
}

// proceed has the deployment shift the traffic. After a lost answer the deployment is
// read: where it does not wait any more, CodeDeploy has acted. It may still be shown as
// waiting, and the next call is refused.
func (d *codeDeployment) proceed(ctx context.Context) error {
	again := attempts{begin: time.Now()}
	for lost := 1; ; {
		_, err := d.controller.api.ContinueDeployment(ctx, &codedeploy.ContinueDeploymentInput{
			DeploymentId: aws.String(d.snapshot.ID), DeploymentWaitType: types.DeploymentWaitTypeReadyWait,
		}, func(o *codedeploy.Options) { o.Retryer = aws.NopRetryer{} })
		switch {
		case err == nil, lost > 1 && ecs.CodeOf(err) == "DeploymentIsNotInReadyStateException":
			return nil
		case ecs.Classify(err) == ecs.Broken && lost < lostTries:
			lost++
			ended := false
			unread := untilRead(ctx, func() error {
				_, err := d.over(ctx)
				if ended = errors.Is(err, ErrEnded); ended {
					return nil
				}
				return err
			})
			switch {
			case unread != nil:
				return &UnansweredError{err, unread}
			case ended && !d.verdict.Outcome.Good(): // somebody has stopped it
				return ErrEnded
			case !d.snapshot.CodeDeploy.waits():
				return nil
			}
		case !again.wait(ctx, err):
			return err
		}
	}
}
