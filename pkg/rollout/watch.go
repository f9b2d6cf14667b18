package rollout

// Following one deployment to its end. A poll reads the service (counts and
// events) and, where the identity may, the service deployment that is ours;
// Judge says whether that is the end. Nothing here decides about success.

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
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

const (
	quickPoll = 3 * time.Second  // while something moves
	calmPoll  = 10 * time.Second // when nothing has changed for a while
	// pollLimit bounds the calls of one poll, so that a connection that hangs
	// cannot hold up the timeout.
	pollLimit = 20 * time.Second
	// pinLimit is how long a service deployment may stay invisible before the
	// watch goes on without it: ECS lists it within seconds.
	pinLimit = 60 * time.Second
)

// Watch follows one deployment. Range over Events until it ends, then ask for
// the Verdict.
type Watch struct {
	client  *Client
	started Started
	timeout time.Duration
	spread  *rand.Rand

	state    State
	verdict  Verdict
	err      error
	unpinned bool   // service deployments cannot be read: said once
	outage   bool   // the last poll failed: said once a spell
	counts   string // as last told
	notice   string // rollback or other state of the pinned deployment, as last told
}

// Watch returns a watch over d that ends with TimedOut when timeout has passed
// and the deployment has not ended.
func (c *Client) Watch(d Started, timeout time.Duration) *Watch {
	own, listed := d.Service.deployment(d.ID)
	seed := fnv.New64()
	seed.Write([]byte(d.ID))
	return &Watch{
		client:  c,
		started: d,
		timeout: timeout,
		// Seeded by the deployment: polls of different ones drift apart, and a
		// rollout that is played again in a test goes the same way.
		spread: rand.New(rand.NewPCG(seed.Sum64(), 0)),
		state:  State{Service: d.Service, Own: own, Listed: listed},
	}
}

// Verdict is how the deployment ended. It is undecided after an interrupted
// watch; Err says why.
func (w *Watch) Verdict() Verdict { return w.verdict }

// Err returns what ended the watch before there was a verdict: the context's
// error, or an error of ECS that waiting does not cure.
func (w *Watch) Err() error { return w.err }

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
func (w *Watch) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		begin := time.Now()
		deadline := begin.Add(w.timeout)
		for interval := time.Duration(0); ; {
			if !time.Now().Before(deadline) {
				w.verdict = Verdict{TimedOut, fmt.Sprintf("no end after %s: %s", w.timeout, w.state.Words())}
				return
			}
			pollContext, cancel := context.WithTimeout(ctx, min(pollLimit, time.Until(deadline)))
			events, err := w.poll(pollContext, time.Since(begin))
			cancel()
			if ctx.Err() != nil {
				w.err = context.Cause(ctx)
				return
			}
			if err != nil && !passing(err) {
				w.err = err
				return
			}
			if err != nil && !time.Now().Before(deadline) {
				continue // the poll was cut short by the timeout, not by ECS
			}
			for _, e := range append(events, w.spell(err)...) {
				if !yield(e) {
					return
				}
			}
			if err == nil {
				if w.verdict = Judge(w.started.Target, w.state); w.verdict.Final() {
					return
				}
			}
			interval = pace(interval, len(events) > 0, err != nil)
			select {
			case <-ctx.Done():
				w.err = context.Cause(ctx)
				return
			case <-time.After(min(w.jitter(interval), time.Until(deadline))):
			}
		}
	}
}

// pace returns the pause before the next poll: short after a change, growing
// while all is quiet, long after an error so that a throttled ECS recovers.
func pace(last time.Duration, moved, failed bool) time.Duration {
	switch {
	case failed:
		return calmPoll
	case moved || last == 0:
		return quickPoll
	default:
		return min(last*5/4, calmPoll)
	}
}

// jitter spreads the polls of parallel steps over a fifth of the interval.
func (w *Watch) jitter(d time.Duration) time.Duration {
	return d*9/10 + time.Duration(w.spread.Int64N(int64(d/5)))
}

// passing reports whether err may be gone at the next poll. What cannot heal by
// waiting is a refusal: a missing right, or a name that does not exist.
func passing(err error) bool {
	var problem *Problem
	switch {
	case denied(err), errors.As(err, &problem):
		return false
	case slices.Contains([]string{"InvalidParameterException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException"}, codeOf(err)):
		return false
	}
	return true
}

// spell tells of ECS not answering once when it begins and once when it ends.
func (w *Watch) spell(err error) []Event {
	was := w.outage
	w.outage = err != nil
	switch {
	case err != nil && !was:
		return []Event{{time.Now(), "ECS does not answer, watching on: " + err.Error(), true}}
	case err == nil && was:
		return []Event{{time.Now(), "ECS answers again", false}}
	}
	return nil
}

// poll reads the state once and returns what is new in it.
func (w *Watch) poll(ctx context.Context, age time.Duration) ([]Event, error) {
	out, err := w.client.api.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster:  aws.String(w.started.Service.Cluster),
		Services: []string{w.started.Service.Name},
	})
	if codeOf(err) == "ClusterNotFoundException" {
		w.state.Missing = true
		return nil, nil
	}
	if err != nil {
		return nil, during("describe service "+w.started.Service.Name, err)
	}
	if w.state.Missing = len(out.Services) == 0; w.state.Missing {
		return nil, nil
	}
	service := serviceFrom(out.Services[0])
	service.Cluster = w.started.Service.Cluster
	w.state.Service = service
	own, listed := service.deployment(w.started.ID)
	if w.state.Listed = listed; listed {
		w.state.Own = own
	}
	events := w.news(service)

	pinned, err := w.readPinned(ctx)
	switch {
	case denied(err), err == nil && pinned == nil && age > pinLimit:
		if !w.unpinned {
			w.unpinned = true
			events = append(events, Event{time.Now(), "the service deployment cannot be read, judging by the service's list of deployments instead" + reasonOf(err), true})
		}
	case err != nil:
		return events, err
	case pinned != nil:
		w.state.Pinned = pinned
	}
	return append(events, w.progress()...), nil
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return " (" + apiMessage(err) + ")"
}

// news returns the service's events that were not told yet, oldest first.
func (w *Watch) news(s Service) []Event {
	var events []Event
	for _, m := range slices.Backward(s.Events) {
		if !w.started.told[m.ID] {
			w.started.told[m.ID] = true
			if id := rollbackTarget(m.Text); id != "" {
				w.state.RollbackTo = id
			}
			events = append(events, Event{Time: m.Time, Text: withoutService(m.Text)})
		}
	}
	return events
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
	text := fmt.Sprintf("the service is set to %s, %d of %d tasks running", shortARN(s.Service.TaskDefinition), s.Service.Running, s.Service.Desired)
	if s.Service.Pending > 0 {
		text += fmt.Sprintf(", %d pending", s.Service.Pending)
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
	arn := w.ServiceDeployment()
	if arn == "" {
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
		out, err := c.api.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{
			ServiceRevisionArns: []string{aws.ToString(brief.TargetServiceRevisionArn)},
		})
		if err != nil {
			return "", during("describe service revision", err)
		}
		if len(out.ServiceRevisions) > 0 && aws.ToString(out.ServiceRevisions[0].TaskDefinition) == d.TaskDefinition {
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
	slices.SortStableFunc(briefs, func(a, b types.ServiceDeploymentBrief) int {
		return aws.ToTime(b.CreatedAt).Compare(aws.ToTime(a.CreatedAt))
	})
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
		return nil, during("describe service deployment "+shortARN(arn), err)
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
	if d.Rollback != nil {
		out.RollbackReason = aws.ToString(d.Rollback.Reason)
	}
	if d.Alarms != nil {
		out.Alarms = d.Alarms.TriggeredAlarmNames
	}
	if r := d.TargetServiceRevision; r != nil {
		out.Requested, out.Running, out.Pending = int(r.RequestedTaskCount), int(r.RunningTaskCount), int(r.PendingTaskCount)
	}
	for _, h := range d.LifecycleHookDetails {
		if h.TargetType == "PAUSE" && h.Status == types.DeploymentLifecycleHookStatusAwaitingAction {
			out.HookID = aws.ToString(h.HookId)
		}
	}
	return out
}
