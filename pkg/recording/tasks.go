package recording

// Tasks and diagnoses in the form of the record, and back.

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/ecs"
)

// Task is a task of a deployment. Entries refer to it by its place in [File.Tasks].
type Task struct {
	ID         string      `json:"id" is:"id"`
	StartedBy  string      `json:"startedBy,omitempty" is:"id"`
	Status     string      `json:"status,omitempty" is:"code"`
	Health     string      `json:"health,omitempty" is:"code"`
	StopCode   string      `json:"stopCode,omitempty" is:"code"`
	Reason     string      `json:"reason,omitempty" is:"text"`
	Created    time.Time   `json:"created,omitzero"`
	Started    time.Time   `json:"started,omitzero"`
	Stopping   time.Time   `json:"stopping,omitzero"`
	Stopped    time.Time   `json:"stopped,omitzero"`
	Addresses  []string    `json:"addresses,omitempty" is:"text"`
	Containers []Container `json:"containers,omitempty"`
}

// Container is a container of a task.
type Container struct {
	Name     string `json:"name" is:"container"`
	Status   string `json:"status,omitempty" is:"code"`
	ExitCode *int32 `json:"exitCode,omitempty"`
	Reason   string `json:"reason,omitempty" is:"text"`
	Health   string `json:"health,omitempty" is:"code"`
}

// Subject is what a diagnosis is about.
type Subject struct {
	Service      string    `json:"service" is:"service"`
	Deployment   string    `json:"deployment,omitempty" is:"id"`
	Since        time.Time `json:"since,omitzero"`
	TargetGroups []string  `json:"targetGroups,omitempty" is:"arn"`
	Alarms       []string  `json:"alarms,omitempty" is:"alarm"`
	Elsewhere    string    `json:"elsewhere,omitempty" is:"text"`
}

// Stopped is what the tasks that had stopped came to.
type Stopped struct {
	Subject Subject `json:"subject"`
	Tasks   []int   `json:"tasks,omitempty"`
	More    int     `json:"more,omitempty"` // tasks that the record has no place for
	Causes  []Cause `json:"causes,omitempty"`
}

// Diagnosis is what a diagnosis was made from, and what it came to.
type Diagnosis struct {
	Subject    Subject            `json:"subject"`
	Stopped    []int              `json:"stopped,omitempty"`
	Running    []int              `json:"running,omitempty"`
	More       int                `json:"more,omitempty"`
	Complete   bool               `json:"complete,omitempty"`
	Defined    bool               `json:"defined,omitempty"` // the task definition was read
	Containers []DefinedContainer `json:"containers,omitempty"`
	Targets    []Target           `json:"targets,omitempty"`
	Logs       [][]string         `json:"logs,omitempty" is:"phrase"`
	Notes      []Note             `json:"notes,omitempty"`
	Causes     []Cause            `json:"causes,omitempty"`
	Unhealthy  []UnhealthyTargets `json:"unhealthy,omitempty"`
}

// DefinedContainer is a container as the task definition has it.
type DefinedContainer struct {
	Name      string `json:"name" is:"container"`
	Essential bool   `json:"essential,omitempty"`
}

// Target is a target of a load balancer.
type Target struct {
	Group       string `json:"group" is:"targetGroup"`
	ID          string `json:"id" is:"text"`
	Port        int    `json:"port,omitempty"`
	State       string `json:"state,omitempty" is:"code"`
	Reason      string `json:"reason,omitempty" is:"code"`
	Description string `json:"description,omitempty" is:"text"`
}

// Note is something that could not be read.
type Note struct {
	What   string `json:"what" is:"phrase"`
	Why    string `json:"why" is:"phrase"`
	Action string `json:"action,omitempty" is:"action"`
	Text   string `json:"text,omitempty" is:"text"`
}

// Cause is why tasks ended. The hint is ours, and says which rule was applied.
type Cause struct {
	Count     int    `json:"count"`
	Event     bool   `json:"event,omitempty"`
	StopCode  string `json:"stopCode,omitempty" is:"code"`
	Fault     string `json:"fault,omitempty" is:"code"`
	Container string `json:"container,omitempty" is:"container"`
	ExitCode  *int   `json:"exitCode,omitempty"`
	Hint      string `json:"hint,omitempty" is:"ours"`
	Reason    string `json:"reason,omitempty" is:"text"`
}

// UnhealthyTargets are the targets of a group that fail for one reason.
type UnhealthyTargets struct {
	Count  int    `json:"count"`
	Group  string `json:"group" is:"targetGroup"`
	State  string `json:"state,omitempty" is:"code"`
	Reason string `json:"reason,omitempty" is:"text"`
	Hint   string `json:"hint,omitempty" is:"ours"`
}

func taskFrom(t types.Task, normalise func(string) string) Task {
	out := Task{
		ID: ecs.ShortARN(aws.ToString(t.TaskArn)), StartedBy: aws.ToString(t.StartedBy), Status: aws.ToString(t.LastStatus), StopCode: string(t.StopCode),
		Reason:  normalise(aws.ToString(t.StoppedReason)),
		Created: aws.ToTime(t.CreatedAt), Started: aws.ToTime(t.StartedAt), Stopping: aws.ToTime(t.StoppingAt), Stopped: aws.ToTime(t.StoppedAt),
	}
	if t.HealthStatus != types.HealthStatusUnknown {
		out.Health = string(t.HealthStatus)
	}
	addressed := func(address *string) {
		if text := aws.ToString(address); text != "" && !slices.Contains(out.Addresses, text) {
			out.Addresses = append(out.Addresses, text)
		}
	}
	for _, a := range t.Attachments {
		for _, d := range a.Details {
			if name := strings.ToLower(aws.ToString(d.Name)); strings.HasSuffix(name, "ipv4address") || strings.HasSuffix(name, "ipv6address") {
				addressed(d.Value)
			}
		}
	}
	for _, c := range t.Containers {
		container := Container{Name: aws.ToString(c.Name), Status: aws.ToString(c.LastStatus), ExitCode: c.ExitCode, Reason: normalise(aws.ToString(c.Reason))}
		if c.HealthStatus != types.HealthStatusUnknown {
			container.Health = string(c.HealthStatus)
		}
		for _, i := range c.NetworkInterfaces {
			addressed(i.PrivateIpv4Address)
			addressed(i.Ipv6Address)
		}
		out.Containers = append(out.Containers, container)
	}
	return out
}

func (t Task) of() types.Task {
	out := types.Task{
		TaskArn: aws.String("arn:aws:ecs::" + noAccount + ":task/" + t.ID), StartedBy: aws.String(t.StartedBy), LastStatus: aws.String(t.Status), StopCode: types.TaskStopCode(t.StopCode),
		HealthStatus: types.HealthStatus(cmp.Or(t.Health, string(types.HealthStatusUnknown))), StoppedReason: aws.String(t.Reason),
		CreatedAt: when(t.Created), StartedAt: when(t.Started), StoppingAt: when(t.Stopping), StoppedAt: when(t.Stopped),
	}
	for _, c := range t.Containers {
		out.Containers = append(out.Containers, types.Container{Name: aws.String(c.Name), LastStatus: aws.String(c.Status), ExitCode: c.ExitCode, Reason: aws.String(c.Reason),
			HealthStatus: types.HealthStatus(cmp.Or(c.Health, string(types.HealthStatusUnknown)))})
	}
	for _, address := range t.Addresses {
		out.Attachments = append(out.Attachments, types.Attachment{Details: []types.KeyValuePair{{Name: aws.String("privateIPv4Address"), Value: aws.String(address)}}})
	}
	return out
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func subjectFrom(s diagnosis.Subject) Subject {
	return Subject{Service: s.Service, Deployment: s.DeploymentID, Since: s.Since, TargetGroups: slices.Clone(s.TargetGroups), Alarms: slices.Clone(s.Alarms), Elsewhere: clip(s.Elsewhere)}
}

func (s Subject) of(messages []ecs.Message) diagnosis.Subject {
	return diagnosis.Subject{Service: s.Service, DeploymentID: s.Deployment, Since: s.Since, TargetGroups: s.TargetGroups, Alarms: s.Alarms, Elsewhere: s.Elsewhere, Events: messages}
}

func causesFrom(causes []diagnosis.Cause) (all []Cause) {
	for _, c := range causes {
		out := Cause{Count: c.Count, Event: c.Event, StopCode: c.StopCode, Fault: string(c.Fault), Hint: c.Hint, Reason: clip(c.Reason)}
		if f := c.Failed(); f != nil {
			out.Container, out.ExitCode = f.Name, f.ExitCode
		}
		all = append(all, out)
	}
	return all
}

func unhealthyFrom(targets []diagnosis.UnhealthyTargets) (all []UnhealthyTargets) {
	for _, t := range targets {
		all = append(all, UnhealthyTargets{t.Count, t.Group, t.State, clip(t.Reason), t.Hint})
	}
	return all
}

func diagnosisFrom(e diagnosis.Evidence, d diagnosis.Diagnosis) *Diagnosis {
	out := &Diagnosis{Subject: subjectFrom(e.Subject), Complete: e.Complete, Defined: e.Essential != nil, Causes: causesFrom(d.Causes), Unhealthy: unhealthyFrom(d.Targets)}
	for name, essential := range e.Essential {
		out.Containers = append(out.Containers, DefinedContainer{name, essential})
	}
	slices.SortFunc(out.Containers, func(a, b DefinedContainer) int { return cmp.Compare(a.Name, b.Name) })
	for _, t := range e.Targets[:min(len(e.Targets), maxTargets)] {
		out.Targets = append(out.Targets, Target{t.Group, t.ID, t.Port, t.State, t.Reason, clip(t.Description)})
	}
	out.More = len(e.Targets) - len(out.Targets)
	for _, lines := range e.Logs {
		out.Logs = append(out.Logs, diagnosis.WithoutText(lines))
	}
	for _, n := range e.Notes {
		out.Notes = append(out.Notes, Note{string(n.What), string(n.Why), n.Action, clip(n.Text)})
	}
	return out
}

// maxTargets is how many targets of load balancers one diagnosis keeps.
const maxTargets = 100

// evidence is what the diagnosis was made from.
func (d Diagnosis) evidence(tasks []Task, messages []ecs.Message) diagnosis.Evidence {
	e := diagnosis.Evidence{Subject: d.Subject.of(messages), Stopped: pick(tasks, d.Stopped), Running: pick(tasks, d.Running), Complete: d.Complete, Logs: d.Logs}
	if d.Defined {
		e.Essential = map[string]bool{}
	}
	for _, c := range d.Containers {
		e.Essential[c.Name] = c.Essential
	}
	for _, t := range d.Targets {
		e.Targets = append(e.Targets, diagnosis.Target{Group: t.Group, ID: t.ID, Port: t.Port, State: t.State, Reason: t.Reason, Description: t.Description})
	}
	return e
}

func pick(tasks []Task, places []int) (some []types.Task) {
	for _, i := range places {
		if i >= 0 && i < len(tasks) {
			some = append(some, tasks[i].of())
		}
	}
	return some
}
