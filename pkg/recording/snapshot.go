package recording

// Snapshots in the form of the record, and back: the members that decide a verdict.

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
)

// Snapshot is a reading of a deployment, as package rollout has it.
type Snapshot struct {
	ID          string      `json:"id" is:"id"`
	Revision    string      `json:"revision,omitempty" is:"arn"`
	Previous    string      `json:"previous,omitempty" is:"arn"`
	Earlier     []string    `json:"earlier,omitempty" is:"id"`
	New         bool        `json:"new,omitempty"`
	Before      *Deployment `json:"before,omitempty"`
	Reached     bool        `json:"reached,omitempty"`
	Scaling     bool        `json:"scaling,omitempty"`
	Asked       bool        `json:"asked,omitempty"`
	Answered    string      `json:"answered,omitempty" is:"id"`
	Until       string      `json:"until,omitempty" is:"code"`
	Service     Service     `json:"service"`
	Gone        bool        `json:"gone,omitempty"`
	Own         Deployment  `json:"own"`
	Listed      bool        `json:"listed,omitempty"`
	Record      *Record     `json:"record,omitempty"`
	Stale       bool        `json:"stale,omitempty"`
	Newer       string      `json:"newer,omitempty" is:"id"`
	RollsBackTo string      `json:"rollsBackTo,omitempty" is:"id"`
	CodeDeploy  *CodeDeploy `json:"codeDeploy,omitempty"`
	GiveUp      *Verdict    `json:"giveUp,omitempty"` // why it is given up
	Healthy     *bool       `json:"healthy,omitempty"`
}

// Ages are for how long something has been so, and how much time is left.
type Ages struct {
	Left     Span `json:"left,omitempty"`
	Replaced Span `json:"replaced,omitempty"`
	Returned Span `json:"returned,omitempty"`
	Ended    Span `json:"ended,omitempty"`
	Steady   Span `json:"steady,omitempty"`
}

// Service is a service of ECS.
type Service struct {
	Cluster         string       `json:"cluster" is:"cluster"`
	Name            string       `json:"name" is:"service"`
	Status          string       `json:"status,omitempty" is:"code"`
	Controller      string       `json:"controller,omitempty" is:"code"`
	Express         bool         `json:"express,omitempty"`
	Desired         int          `json:"desired"`
	Running         int          `json:"running"`
	Pending         int          `json:"pending"`
	TaskDefinition  string       `json:"taskDefinition,omitempty" is:"arn"`
	Current         string       `json:"current,omitempty" is:"arn"`
	TargetGroups    []string     `json:"targetGroups,omitempty" is:"arn"`
	Strategy        Strategy     `json:"strategy,omitzero"`
	BreakerRollback bool         `json:"breakerRollback,omitempty"`
	AlarmRollback   bool         `json:"alarmRollback,omitempty"`
	Deployments     []Deployment `json:"deployments,omitempty"`
}

// Strategy is how deployments of a service proceed.
type Strategy struct {
	Name         string `json:"name,omitempty" is:"code"`
	Bake         Span   `json:"bake,omitempty"`
	Steps        int    `json:"steps,omitempty"`
	StepBake     Span   `json:"stepBake,omitempty"`
	EarlySuccess bool   `json:"earlySuccess,omitempty"`
}

// Deployment is an entry of a service's list, or a task set of CodeDeploy's.
type Deployment struct {
	ID             string    `json:"id" is:"id"`
	Status         string    `json:"status,omitempty" is:"code"`
	TaskDefinition string    `json:"taskDefinition,omitempty" is:"arn"`
	Created        time.Time `json:"created,omitzero"`
	Desired        int       `json:"desired"`
	Running        int       `json:"running"`
	Pending        int       `json:"pending"`
	Failed         int       `json:"failed,omitempty"`
	State          string    `json:"state,omitempty" is:"code"`
	Reason         string    `json:"reason,omitempty" is:"text"`
	CodeDeploy     string    `json:"codeDeploy,omitempty" is:"id"`
}

// Record is ECS's own record of a deployment.
type Record struct {
	ARN             string    `json:"arn" is:"arn"`
	Status          string    `json:"status" is:"code"`
	Reason          string    `json:"reason,omitempty" is:"text"`
	RollbackReason  string    `json:"rollbackReason,omitempty" is:"text"`
	RollbackTo      string    `json:"rollbackTo,omitempty" is:"arn"`
	Created         time.Time `json:"created,omitzero"`
	Target          string    `json:"target,omitempty" is:"arn"`
	Traffic         *float64  `json:"traffic,omitempty"`
	Sources         []string  `json:"sources,omitempty" is:"arn"`
	Stage           string    `json:"stage,omitempty" is:"code"`
	Strategy        Strategy  `json:"strategy,omitzero"`
	Alarms          []string  `json:"alarms,omitempty" is:"alarm"`
	BreakerStatus   string    `json:"breakerStatus,omitempty" is:"code"`
	BreakerFailures int       `json:"breakerFailures,omitempty"`
	Hooks           []Hook    `json:"hooks,omitempty"`
}

// Hook is a lifecycle hook of a deployment.
type Hook struct {
	ID      string    `json:"id" is:"id"`
	Pause   bool      `json:"pause,omitempty"`
	Waiting bool      `json:"waiting,omitempty"`
	Status  string    `json:"status,omitempty" is:"code"`
	Expires time.Time `json:"expires,omitzero"`
	Timeout string    `json:"timeout,omitempty" is:"code"`
}

// CodeDeploy is CodeDeploy's record of a deployment.
type CodeDeploy struct {
	Status      string    `json:"status,omitempty" is:"code"`
	Error       string    `json:"error,omitempty" is:"text"`
	Waits       bool      `json:"waits,omitempty"`
	Steps       []Step    `json:"steps,omitempty"`
	Traffic     *float64  `json:"traffic,omitempty"`
	Keep        Span      `json:"keep,omitempty"`
	Rollback    *Rollback `json:"rollback,omitempty"`
	RollbackDue bool      `json:"rollbackDue,omitempty"`
}

// Step is a lifecycle event of a CodeDeploy deployment.
type Step struct {
	Name    string `json:"name" is:"code"`
	Status  string `json:"status" is:"code"`
	Message string `json:"message,omitempty" is:"text"`
}

// Rollback is the deployment of CodeDeploy that rolls another one back.
type Rollback struct {
	ID     string `json:"id" is:"id"`
	Status string `json:"status,omitempty" is:"code"`
	Error  string `json:"error,omitempty" is:"text"`
}

func verdictFrom(v rollout.Verdict) Verdict {
	r := v.Reason
	return Verdict{string(v.Outcome), string(r.Code), r.Stage, r.By, clip(r.Detail), r.Count, r.Limit}
}

func snapshotFrom(s rollout.Snapshot) (Snapshot, Ages) {
	out := Snapshot{
		ID: s.ID, Revision: s.Revision, Previous: s.Previous, Earlier: slices.Clone(s.Earlier), New: s.New, Reached: s.Reached, Scaling: s.Scaling,
		Asked: s.Asked, Answered: s.Answered, Until: string(s.Until), Service: serviceFrom(s.Service), Gone: s.Gone, Own: deploymentFrom(s.Own),
		Listed: s.Listed, Stale: s.Stale, Newer: s.Newer, RollsBackTo: s.RollsBackTo,
	}
	if s.Before.ID != "" {
		before := deploymentFrom(s.Before)
		out.Before = &before
	}
	if s.Record != nil {
		out.Record = recordFrom(*s.Record)
	}
	if s.CodeDeploy != nil {
		out.CodeDeploy = codeDeployFrom(*s.CodeDeploy)
	}
	if s.Hopeless != nil {
		v := verdictFrom(rollout.Verdict{Reason: *s.Hopeless})
		out.GiveUp = &v
	}
	if s.Healthy != nil {
		healthy := *s.Healthy
		out.Healthy = &healthy
	}
	return out, Ages{Span(s.Left), Span(s.Replaced), Span(s.Returned), Span(s.Ended), Span(s.Steady)}
}

func serviceFrom(s ecs.Service) Service {
	out := Service{
		Cluster: s.Cluster, Name: s.Name, Status: s.Status, Controller: s.Controller, Express: s.Express, Desired: s.Desired, Running: s.Running, Pending: s.Pending,
		TaskDefinition: s.TaskDefinition, Current: s.Current, TargetGroups: slices.Clone(s.TargetGroups), Strategy: strategyFrom(s.Strategy),
	}
	if c := s.Described.DeploymentConfiguration; c != nil {
		out.BreakerRollback = c.DeploymentCircuitBreaker != nil && c.DeploymentCircuitBreaker.Rollback
		out.AlarmRollback = c.Alarms != nil && c.Alarms.Rollback
	}
	for _, d := range s.Deployments {
		out.Deployments = append(out.Deployments, deploymentFrom(d))
	}
	return out
}

func strategyFrom(s ecs.Strategy) Strategy {
	return Strategy{s.Name, Span(s.Bake), s.Steps, Span(s.StepBake), s.EarlySuccess}
}

func deploymentFrom(d ecs.Deployment) Deployment {
	return Deployment{d.ID, d.Status, d.TaskDefinition, d.CreatedAt, d.Desired, d.Running, d.Pending, d.Failed, d.RolloutState, clip(d.Reason), d.CodeDeploy}
}

func recordFrom(d ecs.ServiceDeployment) *Record {
	out := &Record{
		ARN: d.ARN, Status: d.Status, Reason: clip(d.StatusReason), RollbackReason: clip(d.RollbackReason), RollbackTo: d.RollbackTo, Created: d.CreatedAt,
		Target: d.Target.ARN, Traffic: d.Target.Traffic, Sources: slices.Clone(d.Sources), Stage: d.Stage, Strategy: strategyFrom(d.Strategy),
		Alarms: slices.Clone(d.Alarms), BreakerStatus: d.Breaker.Status, BreakerFailures: d.Breaker.Failures,
	}
	for _, h := range d.Hooks {
		out.Hooks = append(out.Hooks, Hook{h.ID, h.Pause, h.Waiting, h.Status, h.Expires, h.Timeout})
	}
	return out
}

func codeDeployFrom(d rollout.CodeDeployRecord) *CodeDeploy {
	out := &CodeDeploy{Status: d.Status, Error: clip(d.Error), Waits: d.Waits, Traffic: d.Traffic, Keep: Span(d.Keep), RollbackDue: d.RollbackDue}
	for _, e := range d.Lifecycle {
		out.Steps = append(out.Steps, Step{e.Name, e.Status, clip(e.Message)})
	}
	if r := d.Rollback; r != nil {
		out.Rollback = &Rollback{r.ID, r.Status, clip(r.Error)}
	}
	return out
}

// of is the snapshot as it was judged. messages are those of the service that had
// been seen, newest first.
func (j Judged) of(messages []ecs.Message) rollout.Snapshot {
	s := j.Snapshot
	out := rollout.Snapshot{
		ID: s.ID, Revision: s.Revision, Previous: s.Previous, Earlier: s.Earlier, New: s.New, Reached: s.Reached, Scaling: s.Scaling,
		Asked: s.Asked, Answered: s.Answered, Until: rollout.Until(s.Until), Service: s.Service.of(), Gone: s.Gone, Own: s.Own.of(),
		Listed: s.Listed, Stale: s.Stale, Newer: s.Newer, RollsBackTo: s.RollsBackTo, Healthy: s.Healthy,
		Left: time.Duration(j.Ages.Left), Replaced: time.Duration(j.Ages.Replaced), Returned: time.Duration(j.Ages.Returned),
		Ended: time.Duration(j.Ages.Ended), Steady: time.Duration(j.Ages.Steady),
	}
	out.Service.Events = messages
	if s.Before != nil {
		out.Before = s.Before.of()
	}
	if s.Record != nil {
		out.Record = s.Record.of()
	}
	if s.CodeDeploy != nil {
		out.CodeDeploy = s.CodeDeploy.of()
	}
	if s.GiveUp != nil {
		out.Hopeless = &rollout.Reason{Code: rollout.Code(s.GiveUp.Code), Count: s.GiveUp.Count, Limit: s.GiveUp.Limit}
	}
	return out
}

func (s Service) of() ecs.Service {
	out := ecs.Service{
		Cluster: s.Cluster, Name: s.Name, Status: s.Status, Controller: s.Controller, Express: s.Express, Desired: s.Desired, Running: s.Running, Pending: s.Pending,
		TaskDefinition: s.TaskDefinition, Current: s.Current, TargetGroups: s.TargetGroups, Strategy: s.Strategy.of(),
		Described: types.Service{DeploymentConfiguration: &types.DeploymentConfiguration{
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Rollback: s.BreakerRollback}, Alarms: &types.DeploymentAlarms{Rollback: s.AlarmRollback},
		}},
	}
	for _, d := range s.Deployments {
		out.Deployments = append(out.Deployments, d.of())
	}
	return out
}

func (s Strategy) of() ecs.Strategy {
	return ecs.Strategy{Name: s.Name, Bake: time.Duration(s.Bake), Steps: s.Steps, StepBake: time.Duration(s.StepBake), EarlySuccess: s.EarlySuccess}
}

func (d Deployment) of() ecs.Deployment {
	return ecs.Deployment{ID: d.ID, Status: d.Status, TaskDefinition: d.TaskDefinition, CreatedAt: d.Created, Desired: d.Desired, Running: d.Running,
		Pending: d.Pending, Failed: d.Failed, RolloutState: d.State, Reason: d.Reason, CodeDeploy: d.CodeDeploy}
}

func (r Record) of() *ecs.ServiceDeployment {
	out := &ecs.ServiceDeployment{
		ARN: r.ARN, Status: r.Status, StatusReason: r.Reason, RollbackReason: r.RollbackReason, RollbackTo: r.RollbackTo, CreatedAt: r.Created,
		Target: ecs.TargetRevision{ARN: r.Target, Traffic: r.Traffic}, Sources: r.Sources, Stage: r.Stage, Strategy: r.Strategy.of(),
		Alarms: r.Alarms, Breaker: ecs.Breaker{Status: r.BreakerStatus, Failures: r.BreakerFailures},
	}
	for _, h := range r.Hooks {
		out.Hooks = append(out.Hooks, ecs.Hook{ID: h.ID, Pause: h.Pause, Waiting: h.Waiting, Status: h.Status, Expires: h.Expires, Timeout: h.Timeout})
	}
	return out
}

func (d CodeDeploy) of() *rollout.CodeDeployRecord {
	out := &rollout.CodeDeployRecord{Status: d.Status, Error: d.Error, Waits: d.Waits, Traffic: d.Traffic, Keep: time.Duration(d.Keep), RollbackDue: d.RollbackDue}
	for _, s := range d.Steps {
		out.Lifecycle = append(out.Lifecycle, rollout.LifecycleEvent{Name: s.Name, Status: s.Status, Message: s.Message})
	}
	if r := d.Rollback; r != nil {
		out.Rollback = &rollout.CodeDeployRollback{ID: r.ID, Status: r.Status, Error: r.Error}
	}
	return out
}
