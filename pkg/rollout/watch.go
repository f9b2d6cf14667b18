package rollout

// Following one deployment to its end. A poll reads the service (counts and
// events) and, where the identity may, the service deployment that is ours;
// Judge says whether that is the end. Nothing here decides about success.

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Event is something that happened during a rollout, worth one line.
type Event struct {
	Time time.Time
	Text string
	// Warning marks what stands in the way of a clear view or a good end.
	Warning bool
}

// pinLimit is how long a service deployment may stay invisible before the
// watch goes on without it: ECS lists it within seconds.
const pinLimit = 60 * time.Second

// Watch follows one deployment. Range over Events until it ends, then ask for
// the Verdict.
type Watch struct {
	polling
	client  *Client
	started Started

	state    State
	unpinned bool   // service deployments cannot be read: said once
	counts   string // as last told
	notice   string // rollback or other state of the pinned deployment, as last told
	staged   string // lifecycle stage and traffic, as last told
	baking   time.Time

	failed   int       // tasks of ours that had failed when the stopped ones were looked at
	looked   time.Time // when that was
	hopeless Verdict   // set when the stopped tasks say that it cannot succeed
}

// Watch returns a watch over d that ends with TimedOut when timeout has passed
// and the deployment has not ended.
func (c *Client) Watch(d Started, timeout time.Duration) *Watch {
	own, listed := d.Service.deployment(d.ID)
	return &Watch{
		polling: newPolling("ECS", d.ID, timeout),
		client:  c,
		started: d,
		state:   State{Service: d.Service, Own: own, Listed: listed},
	}
}

// State returns what the last successful poll saw.
func (w *Watch) State() State { return w.state }

// ServiceDeployment returns the ARN of the followed service deployment, empty
// where it cannot be read.
func (w *Watch) ServiceDeployment() string {
	if w.state.Pinned == nil {
		return ""
	}
	return w.state.Pinned.ARN
}

// Events polls until the deployment ended, the timeout passed or ctx is done,
// and yields what happened in between.
func (w *Watch) Events(ctx context.Context) iter.Seq[Event] { return w.until(ctx, w) }

func (w *Watch) judge() Verdict {
	v := Judge(w.started.Target, w.state)
	if !v.Final() && w.state.notice() == "" { // a rollback under way is waited for
		return w.hopeless
	}
	return v
}

func (w *Watch) words() string { return w.state.inTheWay() + w.state.Words() }

// poll reads the state once and returns what is new in it. The service is read
// last: a deployment that is seen to have ended has its last events told.
func (w *Watch) poll(ctx context.Context, age time.Duration) ([]Event, error) {
	pinned, err := w.readPinned(ctx)
	w.calls++
	events, unread := w.client.observe(ctx, w.started, &w.state)
	if unread != nil || w.state.Missing {
		return nil, unread
	}
	switch {
	case denied(err), err == nil && pinned == nil && age > pinLimit:
		if !w.unpinned {
			w.unpinned, w.state.Pinned = true, nil // what it said before is no longer kept up
			events = append(events, Event{time.Now(), "the service deployment cannot be read, judging by the service's list of deployments instead" + reasonOf(err), true})
		}
	case err != nil:
		return events, err
	case pinned != nil:
		w.state.Pinned = pinned
	}
	w.giveUp(ctx)
	return append(events, w.progress()...), nil
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return " (" + apiMessage(err) + ")"
}

// observe reads d's service into s, and returns the service's events that were
// not told yet, oldest first.
func (c *Client) observe(ctx context.Context, d Started, s *State) ([]Event, error) {
	out, err := c.api.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster:  aws.String(d.Service.Cluster),
		Services: []string{d.Service.Name},
	})
	if codeOf(err) == "ClusterNotFoundException" {
		s.Missing = true
		return nil, nil
	}
	if err != nil {
		return nil, during("describe service "+d.Service.Name, err)
	}
	if s.Missing = len(out.Services) == 0; s.Missing {
		return nil, nil
	}
	s.Service = serviceFrom(out.Services[0])
	s.Service.Cluster = d.Service.Cluster
	own, listed := s.Service.deployment(d.ID)
	if s.Listed = listed; listed {
		s.Own = own
	}
	var events []Event
	for _, m := range slices.Backward(s.Service.Events) {
		if !d.told[m.ID] {
			d.told[m.ID] = true
			if id := rollbackTarget(m.Text); id != "" {
				s.RollbackTo = id
			}
			events = append(events, s.tell(m)...)
		}
	}
	return events, nil
}

// tell makes m news. What stands in the way of tasks is told when it first comes
// up, and what to do about it: ECS says the same again at every attempt.
func (s *State) tell(m Message) []Event {
	text := withoutService(m.Text)
	if !m.troubles() {
		return []Event{{Time: m.Time, Text: text}}
	}
	cause := m.cause()
	if slices.Contains(s.told, cause.Reason) {
		return nil
	}
	s.told = append(s.told, cause.Reason)
	events := []Event{{m.Time, text, true}}
	if cause.Hint != "" {
		events = append(events, Event{Time: m.Time, Text: "  hint: " + cause.Hint})
	}
	return events
}

// inTheWay says what keeps tasks of the deployment from being started, to begin
// a sentence with; "" where nothing does.
func (s State) inTheWay() string {
	causes := eventCauses(s.Service.Events, s.Own.CreatedAt)
	if len(causes) == 0 || s.Own.Running >= s.Own.Desired {
		return ""
	}
	return fmt.Sprintf("the service %s (%s); ", causes[0].clause(), plural(causes[0].Count, "time"))
}

// withoutService removes the "(service web) " with which ECS begins every
// event: the line has the service's name in front already.
func withoutService(text string) string {
	if strings.HasPrefix(text, "(service ") {
		if _, rest, ok := strings.Cut(text, ") "); ok {
			return rest
		}
	}
	return text
}

// progress tells the task counts and the state of the deployment when they
// differ from what was told last.
func (w *Watch) progress() []Event {
	var events []Event
	if notice := w.state.notice(); notice != w.notice {
		if w.notice = notice; notice != "" {
			events = append(events, Event{time.Now(), notice, true})
		}
	}
	if stage := w.stage(); stage != w.staged {
		if w.staged = stage; stage != "" {
			events = append(events, Event{time.Now(), stage, false})
		}
	}
	if counts := w.state.counts(); counts != w.counts {
		if w.counts = counts; counts != "" {
			events = append(events, Event{time.Now(), counts, false})
		}
	}
	return events
}

// counts says how many tasks of our deployment there are, "" when it is no
// longer listed.
func (s State) counts() string {
	if !s.Listed {
		return ""
	}
	text := fmt.Sprintf("%d of %d running", s.Own.Running, s.Own.Desired)
	if s.Own.Pending > 0 {
		text += fmt.Sprintf(", %d pending", s.Own.Pending)
	}
	if s.Own.Failed > 0 {
		text += fmt.Sprintf(", %d failed", s.Own.Failed)
	}
	if old := s.Service.Running - s.Own.Running; old > 0 {
		text += fmt.Sprintf("; %d of the previous deployment", old)
	}
	return text
}

// stage says where a deployment with a strategy of its own is: its lifecycle
// stage, the share of traffic, and how long it still bakes.
func (w *Watch) stage() string {
	d := w.state.Pinned
	if d == nil || d.Stage == "" {
		return ""
	}
	text := strings.ToLower(strings.ReplaceAll(d.Stage, "_", " "))
	if d.Traffic != nil {
		text += fmt.Sprintf(", %g %% of production traffic", *d.Traffic)
	}
	if d.Stage != "BAKE_TIME" {
		w.baking = time.Time{}
		return text
	}
	if w.baking.IsZero() {
		w.baking = time.Now()
	}
	if left := d.Bake - time.Since(w.baking); left > 0 {
		// In tenths, so that hours of baking are a dozen lines.
		step := max(time.Minute, (d.Bake / 10).Truncate(time.Minute))
		text += fmt.Sprintf(", %d min left", int(((left + step - 1) / step * step).Minutes()))
	}
	return text
}

// notice says that a deployment which goes on will not end well.
func (s State) notice() string {
	if s.Pinned != nil {
		switch s.Pinned.Status {
		case "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS":
			return because("ECS is rolling back", s.Pinned.why("no reason given"))
		case "STOP_REQUESTED":
			return because("the deployment is being stopped", s.Pinned.why("no reason given"))
		}
		return ""
	}
	if s.Own.RolloutState == "FAILED" {
		return because("the deployment failed", s.Own.Reason)
	}
	return ""
}

// Words says in one line where the service stands, for whoever stops watching.
func (s State) Words() string {
	if s.Missing {
		return "the service no longer exists"
	}
	primary := s.Service.Primary()
	text := ShortARN(s.Own.TaskDefinition) + " has " + s.counts()
	if !s.Listed { // whose tasks run is not known
		text = fmt.Sprintf("the service is set to %s, %d of %d tasks running", ShortARN(s.Service.TaskDefinition), s.Service.Running, s.Service.Desired)
		if s.Service.Pending > 0 {
			text += fmt.Sprintf(", %d pending", s.Service.Pending)
		}
	}
	switch {
	case s.Pinned != nil:
		text += "; its deployment is " + s.Pinned.Status
	case primary.RolloutState != "":
		text += "; its deployment is " + primary.RolloutState
	}
	return text
}

// readPinned reads our service deployment: nil without an error while ECS does
// not list it yet, or when earlier polls found that it cannot be read.
func (w *Watch) readPinned(ctx context.Context) (*ServiceDeployment, error) {
	if w.unpinned {
		return nil, nil
	}
	w.calls++
	arn := w.ServiceDeployment()
	if arn == "" {
		w.calls += 2
		var err error
		if arn, err = w.client.findDeployment(ctx, w.started); arn == "" {
			return nil, err
		}
	}
	d, err := w.client.serviceDeployment(ctx, arn)
	if err != nil || d == nil {
		return nil, err
	}
	if d.Status == "STOPPED" {
		w.state.Newer, err = w.client.newerDeployment(ctx, w.started, arn)
	}
	return d, err
}

// createdSlack is how much earlier than the entry among the service's
// deployments its service deployment may have been created. Both times are
// ECS's own, so the agent's clock does not matter.
const createdSlack = 5 * time.Second

// findDeployment returns the ARN of the service deployment that brings d's
// revision and was created with it.
func (c *Client) findDeployment(ctx context.Context, d Started) (string, error) {
	briefs, err := c.deploymentsSince(ctx, d)
	if err != nil {
		return "", err
	}
	for _, brief := range slices.Backward(briefs) { // oldest first: the one nearest to our update
		revision, err := c.taskDefinitionOf(ctx, aws.ToString(brief.TargetServiceRevisionArn))
		if err != nil {
			return "", err
		}
		if revision == d.TaskDefinition {
			return aws.ToString(brief.ServiceDeploymentArn), nil
		}
	}
	return "", nil
}

// deploymentsSince lists the service deployments created with d or later,
// newest first.
func (c *Client) deploymentsSince(ctx context.Context, d Started) ([]types.ServiceDeploymentBrief, error) {
	created := d.Service.Primary().CreatedAt
	var briefs []types.ServiceDeploymentBrief
	in := &ecs.ListServiceDeploymentsInput{
		Cluster:   aws.String(d.Service.Cluster),
		Service:   aws.String(d.Service.Name),
		CreatedAt: &types.CreatedAt{After: aws.Time(created.Add(-createdSlack))},
	}
	for {
		out, err := c.api.ListServiceDeployments(ctx, in)
		if err != nil {
			return nil, during("list deployments of service "+d.Service.Name, err)
		}
		briefs = append(briefs, out.ServiceDeployments...)
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
	}
	slices.SortStableFunc(briefs, newestFirst)
	return briefs, nil
}

// newerDeployment returns the ARN of a service deployment created after ours.
func (c *Client) newerDeployment(ctx context.Context, d Started, ours string) (string, error) {
	briefs, err := c.deploymentsSince(ctx, d)
	if err != nil || len(briefs) == 0 || aws.ToString(briefs[0].ServiceDeploymentArn) == ours {
		return "", err
	}
	return aws.ToString(briefs[0].ServiceDeploymentArn), nil
}

func (c *Client) serviceDeployment(ctx context.Context, arn string) (*ServiceDeployment, error) {
	out, err := c.api.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn}})
	if err != nil {
		return nil, during("describe service deployment "+ShortARN(arn), err)
	}
	if len(out.ServiceDeployments) == 0 {
		return nil, nil
	}
	return serviceDeploymentFrom(out.ServiceDeployments[0]), nil
}

func serviceDeploymentFrom(d types.ServiceDeployment) *ServiceDeployment {
	out := &ServiceDeployment{
		ARN:          aws.ToString(d.ServiceDeploymentArn),
		Status:       string(d.Status),
		StatusReason: aws.ToString(d.StatusReason),
		Stage:        string(d.LifecycleStage),
	}
	if c := d.DeploymentConfiguration; c != nil {
		out.Bake = time.Duration(aws.ToInt32(c.BakeTimeInMinutes)) * time.Minute
	}
	if d.Rollback != nil {
		out.RollbackReason = aws.ToString(d.Rollback.Reason)
	}
	if d.Alarms != nil {
		out.Alarms = d.Alarms.TriggeredAlarmNames
	}
	if r := d.TargetServiceRevision; r != nil {
		out.Requested, out.Running, out.Pending = int(r.RequestedTaskCount), int(r.RunningTaskCount), int(r.PendingTaskCount)
		out.Traffic = r.RequestedProductionTrafficWeight
	}
	for _, h := range d.LifecycleHookDetails {
		if h.TargetType == "PAUSE" && h.Status == types.DeploymentLifecycleHookStatusAwaitingAction {
			out.HookID = aws.ToString(h.HookId)
		}
	}
	return out
}
