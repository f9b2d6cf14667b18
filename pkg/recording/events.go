package recording

// What a run did, from the events that its view is shown.

import (
	"errors"
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// Show records an event of package deploy; those that decide nothing are left out.
func (r *Recorder) Show(event any) {
	if r == nil {
		return
	}
	if made, is := event.(deploy.PlanMade); is {
		r.do(func(Span) { r.learn(made.Plan) })
	}
	e, worth := eventFrom(event)
	if !worth {
		return
	}
	r.do(func(now Span) { r.add(&Entry{At: now, Event: &e}) })
}

// Outcome records how the run ended for a service.
func (r *Recorder) Outcome(s deploy.ServiceResult) {
	r.do(func(now Span) {
		r.add(&Entry{At: now, Event: &Event{Name: "outcome", Service: s.Name, From: s.Previous, To: s.Revision, Code: string(s.Outcome), Text: textOf(s.Err)}})
	})
}

// Failure records why the run could not be carried out. Of a mistake it keeps what
// it is about: its words are made of the names that were asked for.
func (r *Recorder) Failure(err error) {
	for _, one := range mistake.Each(err) {
		e := &Event{Name: "failure"}
		if m, is := errors.AsType[*mistake.Error](one); is {
			e.Code = "mistake." + string(m.Kind)
		} else {
			e.Text = textOf(one)
		}
		r.do(func(now Span) { r.add(&Entry{At: now, Event: e}) })
	}
}

// learn takes the names of a plan, which texts may have before anything else does.
func (r *Recorder) learn(p *deploy.Plan) {
	if r.names == nil {
		r.names = map[string][]string{}
	}
	know := func(kind string, names ...string) { r.names[kind] = append(r.names[kind], names...) }
	for _, s := range p.Services {
		know("cluster", s.Name.Cluster, ecs.ShortARN(s.Name.Cluster))
		know("service", s.Name.Name)
		know("container", s.Container)
		family, _, _ := strings.Cut(ecs.ShortARN(s.Running.ARN()), ":")
		know("family", family)
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return clip(err.Error())
}

// eventFrom is an event in the form of the record.
func eventFrom(event any) (Event, bool) {
	out := Event{Name: nameOf(event)}
	of := func(s deploy.Service) { out.Service = s.Name }
	switch e := event.(type) {
	case deploy.Moved:
		of(e.Service)
		out.From, out.To = e.From, e.To
	case deploy.BusyWith:
		of(e.Service)
		out.Code, out.To = string(e.Do), e.Other.Revision
	case deploy.RevisionKept:
		of(e.Service)
		out.To = e.Revision
	case deploy.Registered:
		of(e.Service)
		out.To = e.Revision
	case deploy.Copied:
		of(e.Service)
		out.From, out.To = e.From, e.To
	case deploy.Started:
		of(e.Service)
		out.From, out.To = e.Now.Previous, e.Now.Revision
	case deploy.Failing:
		of(e.Service)
		out.Code = string(e.Verdict.Reason.Code)
	case deploy.RollingBack:
		of(e.Service)
		out.To, out.Text = e.To, textOf(e.Refused)
	case deploy.RollbackEnded:
		of(e.Service)
		out.To, out.Code, out.Text = e.Rollback.To, string(e.Rollback.Code), textOf(e.Rollback.Err)
	case deploy.Verified:
		of(e.Service)
		out.Text = fmt.Sprintf("%d tasks, %d verified, %d without digest, %d wrong", e.Proof.Tasks, e.Proof.Verified, e.Proof.Unknown, len(e.Proof.Contradicted()))
	case deploy.StillBlocks:
		of(e.Service)
	case deploy.NotWaiting:
		of(e.Service)
	case deploy.Interrupted:
		of(e.Service)
		out.To, out.Code, out.Text = e.Rollback.To, string(e.Rollback.Code), textOf(e.Err)
	case deploy.Answered:
		of(e.Service)
		out.To, out.Code = e.To, string(e.Action)
	case deploy.Untouched, deploy.MigrationSkipped, deploy.TaskEnded, deploy.Pushed:
	case deploy.Fault:
		out.Text = textOf(e.Err)
	case deploy.Happened:
		of(e.Service)
		return happened(out, e.Event.What)
	default:
		return Event{}, false
	}
	return out, true
}

// happened is an event of a deployment. Its counts and messages are elsewhere in
// the record.
func happened(out Event, what any) (Event, bool) {
	out.Name = nameOf(what)
	switch e := what.(type) {
	case rollout.Silence:
		out.Text = textOf(e.Err)
	case rollout.Unreadable:
		out.Text = textOf(e.Err)
	case rollout.Doomed:
		out.Code = e.Status
	case rollout.Waits:
		out.Code, out.Text = string(e.Cause.Fault), clip(e.Cause.Reason)
	default:
		return Event{}, false
	}
	return out, true
}

func nameOf(event any) string {
	name := fmt.Sprintf("%T", event)
	return strings.TrimPrefix(name, "*")
}
