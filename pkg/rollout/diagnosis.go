package rollout

// Reading what can be read about why a deployment did not go well: its tasks,
// how their containers ended, the last lines of their logs, the health of the
// load balancer's targets. What it all means is in cause.go and hint.go.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const (
	maxStopped = 1000            // stopped tasks that are looked at
	maxRunning = 200             // and tasks that are not
	maxGroups  = 5               // target groups
	logTries   = 2               // tasks of a cause whose log is tried
	readLimit  = 5 * time.Second // for one log, or one target group
)

// Diagnose finds out why tasks of the deployment d did not stay up. s is what
// the watch saw last. It never fails: what cannot be read, for want of a right
// or of time, is one of the Notes. It makes half a dozen calls as a rule, fifty
// at most, and ends with ctx.
//
// ECS forgets a stopped task an hour after it stopped, and of a service's events
// it keeps the last 100: ask soon.
func (c *Client) Diagnose(ctx context.Context, d Started, s State) Diagnosis {
	if s.Service.Name == "" {
		s.Service = d.Service // the watch ended before its first poll
	}
	x := &examination{api: c.api, config: c.cfg, started: d, state: s}
	var (
		wait   sync.WaitGroup
		untold []string // what the load balancer did not tell
	)
	// Side by side, so that a load balancer's endpoint that cannot be reached
	// from the agent does not use up the time for the logs.
	wait.Go(func() { x.targets, untold = x.readTargets(ctx) })
	x.readTasks(ctx)
	x.findCauses()
	x.readLogs(ctx)
	wait.Wait()
	x.notes = append(x.notes, untold...)
	return x.diagnosis()
}

// examination is one Diagnose at work.
type examination struct {
	api     *ecs.Client
	config  aws.Config
	started Started
	state   State

	complete         bool // every task of ours is in stopped or running
	stopped, running []types.Task
	definitions      map[string]types.ContainerDefinition // by container
	causes           []stops
	events           []Cause
	idle             bool // the causes are only tasks that have not got anywhere

	targets []target
	notes   []string
}

// target is one registered target of a target group.
type target struct {
	group string // name
	elbtypes.TargetHealthDescription
}

// unknown says that something could not be read, and why. action is the
// permission that it takes.
func unknown(what, action string, err error) string {
	switch {
	case denied(err):
		return what + ": not allowed, it takes " + action
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return what + ": no answer in time"
	}
	return what + ": " + apiMessage(err)
}

// note keeps what could not be read, once.
func (x *examination) note(text string) {
	if !slices.Contains(x.notes, text) {
		x.notes = append(x.notes, text)
	}
}

// since is when our deployment began: older events are not about it.
func (x *examination) since() time.Time {
	if own, ok := x.started.Service.deployment(x.started.ID); ok {
		return own.CreatedAt
	}
	return x.state.Own.CreatedAt
}

// readTasks reads the deployment's tasks, and how their containers are defined.
func (x *examination) readTasks(ctx context.Context) {
	var allStopped, allRunning bool
	x.stopped, allStopped = x.tasks(ctx, types.DesiredStatusStopped, maxStopped)
	x.running, allRunning = x.tasks(ctx, types.DesiredStatusRunning, maxRunning)
	x.complete = allStopped && allRunning
	if len(x.stopped)+len(x.running) == 0 {
		return
	}
	out, err := x.api.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(x.started.TaskDefinition)})
	if err != nil {
		x.note(unknown("which containers are essential, and where they log", "ecs:DescribeTaskDefinition", err))
		return
	}
	x.definitions = map[string]types.ContainerDefinition{}
	for _, container := range out.TaskDefinition.ContainerDefinitions {
		x.definitions[aws.ToString(container.Name)] = container
	}
}

// tasks reads those tasks of the deployment that ECS wants in the given status,
// at most limit of them, and says whether that is all of them.
func (x *examination) tasks(ctx context.Context, status types.DesiredStatus, limit int) (tasks []types.Task, all bool) {
	what := "which tasks " + map[types.DesiredStatus]string{types.DesiredStatusStopped: "stopped", types.DesiredStatusRunning: "run"}[status]
	cluster := aws.String(x.started.Service.Cluster)
	arns, all, err := x.list(ctx, &ecs.ListTasksInput{Cluster: cluster, StartedBy: aws.String(x.started.ID), DesiredStatus: status}, limit)
	if codeOf(err) == "InvalidParameterException" {
		// The reference wants startedBy to be the only filter. ECS does not count
		// desiredStatus among them; should it ever, the service's tasks will do.
		arns, all, err = x.list(ctx, &ecs.ListTasksInput{Cluster: cluster, ServiceName: aws.String(x.started.Service.Name), DesiredStatus: status}, limit)
	}
	if err != nil {
		x.note(unknown(what, "ecs:ListTasks", err))
	}
	for some := range slices.Chunk(arns, 100) { // DescribeTasks' limit
		out, err := x.api.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: cluster, Tasks: some})
		if err != nil {
			x.note(unknown("why tasks stopped", "ecs:DescribeTasks", err))
			return tasks, false
		}
		for _, t := range out.Tasks {
			if aws.ToString(t.StartedBy) == x.started.ID {
				tasks = append(tasks, t)
			}
		}
	}
	if err == nil && !all {
		x.note(fmt.Sprintf("%s beyond the first %d", what, limit))
	}
	return tasks, all && err == nil
}

// list returns at most limit tasks, and whether that is all of them.
func (x *examination) list(ctx context.Context, in *ecs.ListTasksInput, limit int) (arns []string, all bool, err error) {
	pages := ecs.NewListTasksPaginator(x.api, in)
	for pages.HasMorePages() {
		if len(arns) >= limit {
			return arns[:limit], false, nil
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return arns, false, err
		}
		arns = append(arns, page.TaskArns...)
	}
	return arns, true, nil
}

// findCauses groups what was read.
func (x *examination) findCauses() {
	essential := map[string]bool{}
	for name, c := range x.definitions {
		essential[name] = c.Essential == nil || *c.Essential
	}
	x.causes = append(stopCauses(x.stopped, essential), unhealthyCauses(x.running, essential)...)
	// What an event says of a task that stopped, the task itself says better.
	x.events = slices.DeleteFunc(eventCauses(x.state.Service.Events, x.since()), func(e Cause) bool {
		return slices.ContainsFunc(x.causes, func(c stops) bool { return c.Reason != "" && strings.Contains(e.Reason, c.Reason) })
	})
	if why := x.state.Elsewhere; why != "" {
		x.causes = slices.DeleteFunc(x.causes, func(c stops) bool { return c.byRollback() })
		x.events = slices.Insert(x.events, 0, Cause{Event: true, Count: 1, Reason: normalise(why)}.withHint())
	}
	if len(x.causes)+len(x.events) == 0 {
		x.idle = true
		x.causes = idleCauses(x.running, essential)
	}
}

// readLogs gives every cause that will be shown the last lines of the container
// that failed.
func (x *examination) readLogs(ctx context.Context) {
	for i := range x.causes[:min(len(x.causes), maxCauses)] {
		x.readLog(ctx, &x.causes[i])
	}
}

func (x *examination) readLog(ctx context.Context, cause *stops) {
	failed := cause.failed()
	if failed == nil || x.definitions == nil {
		return
	}
	source, ok := x.logSource(failed.Name)
	if !ok {
		return
	}
	var tried error
	for _, t := range cause.tasks[:min(len(cause.tasks), logTries)] {
		i := slices.IndexFunc(t.Containers, func(c types.Container) bool { return aws.ToString(c.Name) == failed.Name })
		if i < 0 || t.Containers[i].ExitCode == nil && aws.ToString(t.LastStatus) != "RUNNING" {
			continue // it never ran, and so wrote nothing
		}
		id := ShortARN(aws.ToString(t.TaskArn))
		lines, err := x.lastLines(ctx, source, source.stream(failed.Name, id, aws.ToString(t.Containers[i].RuntimeId)))
		if len(lines) > 0 {
			cause.Log, cause.LogTask = lines, id
			return
		}
		tried = cmp.Or(err, errors.New("it holds nothing of the task"))
	}
	if tried != nil {
		x.note(unknown(fmt.Sprintf("the log of container %s (log group %s)", failed.Name, source.group), "logs:GetLogEvents", tried))
	}
}

// logSource is where a container's awslogs driver writes.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
type logSource struct{ group, region, prefix string }

// logSource returns where a container logs; false, with a note, where that
// cannot be read.
func (x *examination) logSource(container string) (logSource, bool) {
	l := x.definitions[container].LogConfiguration
	switch {
	case l == nil:
		x.note("the output of container " + container + ": the task definition gives it no logConfiguration")
	case l.LogDriver != types.LogDriverAwslogs:
		x.note(fmt.Sprintf("the output of container %s: it goes to the log driver %s, which is not read here", container, l.LogDriver))
	default:
		return logSource{
			group:  l.Options["awslogs-group"],
			region: cmp.Or(l.Options["awslogs-region"], x.config.Region),
			prefix: l.Options["awslogs-stream-prefix"],
		}, true
	}
	return logSource{}, false
}

// stream names a container's log stream. Without a prefix, which EC2 permits,
// it is the id that the container runtime gave.
func (s logSource) stream(container, task, runtime string) string {
	if s.prefix == "" {
		return runtime
	}
	return s.prefix + "/" + container + "/" + task
}

// lastLines reads the end of a log stream.
func (x *examination) lastLines(ctx context.Context, source logSource, stream string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	logs := cloudwatchlogs.NewFromConfig(x.config, func(o *cloudwatchlogs.Options) { o.Region = source.region })
	in := &cloudwatchlogs.GetLogEventsInput{
		LogGroupName:  aws.String(source.group),
		LogStreamName: aws.String(stream),
		Limit:         aws.Int32(logLines),
	}
	// An empty page is not yet the end: the events may be on an earlier one.
	for range 3 {
		out, err := logs.GetLogEvents(ctx, in)
		if err != nil {
			return nil, err
		}
		if len(out.Events) > 0 {
			var lines []string
			for _, e := range out.Events {
				lines = append(lines, textLines(aws.ToString(e.Message))...)
			}
			return lines[max(0, len(lines)-logLines):], nil
		}
		if aws.ToString(out.NextBackwardToken) == aws.ToString(in.NextToken) {
			break
		}
		in.NextToken = out.NextBackwardToken
	}
	return nil, nil
}

// textLines splits a log event into lines of a bearable length, without those
// that are empty.
func textLines(message string) []string {
	var lines []string
	for line := range strings.Lines(message) {
		if line = strings.TrimRight(line, " \t\r\n"); line != "" {
			lines = append(lines, clip(strings.ToValidUTF8(line, "�"), logRunes))
		}
	}
	return lines
}

// targetGroups lists the target groups of one of a service's load balancers.
func targetGroups(lb types.LoadBalancer) []string {
	var arns []string
	if lb.TargetGroupArn != nil {
		arns = append(arns, *lb.TargetGroupArn)
	}
	if a := lb.AdvancedConfiguration; a != nil && a.AlternateTargetGroupArn != nil {
		arns = append(arns, *a.AlternateTargetGroupArn)
	}
	return arns
}

// readTargets reads the health of everything that is registered with the
// service's target groups, and says what could not be read.
func (x *examination) readTargets(ctx context.Context) (targets []target, untold []string) {
	groups := x.state.Service.TargetGroups
	elb := elasticloadbalancingv2.NewFromConfig(x.config)
	for _, arn := range groups[:min(len(groups), maxGroups)] {
		name := targetGroupName(arn)
		ctx, cancel := context.WithTimeout(ctx, readLimit)
		out, err := elb.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: aws.String(arn)})
		cancel()
		if err != nil {
			untold = append(untold, unknown("the health of target group "+name, "elasticloadbalancing:DescribeTargetHealth", err))
			continue
		}
		for _, t := range out.TargetHealthDescriptions {
			targets = append(targets, target{name, t})
		}
	}
	return targets, untold
}

// unhealthyTargets groups the targets of our tasks that are not healthy; of a
// target group that shows none by now, those that ECS's events speak of. What
// the load balancer has not finished checking counts only where there is no
// other reason.
func (x *examination) unhealthyTargets() []UnhealthyTargets {
	var groups []UnhealthyTargets
	shown := map[string]bool{}
	for _, t := range x.targets {
		if t.TargetHealth == nil || t.Target == nil || !x.registered(aws.ToString(t.Target.Id)) {
			continue
		}
		switch t.TargetHealth.State {
		case elbtypes.TargetHealthStateEnumHealthy, elbtypes.TargetHealthStateEnumDraining, elbtypes.TargetHealthStateEnumUnhealthyDraining:
			continue
		case elbtypes.TargetHealthStateEnumInitial:
			if !x.idle {
				continue
			}
		}
		shown[t.group] = true
		groups = addTarget(groups, UnhealthyTargets{
			Group:  t.group,
			Port:   int(aws.ToInt32(t.Target.Port)),
			State:  string(t.TargetHealth.State),
			Reason: normalise(because(string(t.TargetHealth.Reason), aws.ToString(t.TargetHealth.Description))),
		})
	}
	for _, g := range unhealthyEvents(x.state.Service.Events, x.since(), x.known) {
		if !shown[g.Group] {
			groups = append(groups, g)
		}
	}
	slices.SortStableFunc(groups, func(a, b UnhealthyTargets) int { return cmp.Compare(b.Count, a.Count) })
	return groups
}

// registered says whether a target can be one of ours. Addresses are compared
// with those of our running tasks; an instance carries anybody's tasks.
func (x *examination) registered(id string) bool {
	if _, err := netip.ParseAddr(id); err != nil || !x.complete {
		return true
	}
	addressed := false
	for _, t := range x.running {
		for _, c := range t.Containers {
			for _, i := range c.NetworkInterfaces {
				if aws.ToString(i.PrivateIpv4Address) == id || aws.ToString(i.Ipv6Address) == id {
					return true
				}
				addressed = true
			}
		}
	}
	return len(x.running) > 0 && !addressed
}

// known says whether a task is one of ours, as far as that is known.
func (x *examination) known(task string) bool {
	is := func(t types.Task) bool { return ShortARN(aws.ToString(t.TaskArn)) == task }
	return !x.complete || slices.ContainsFunc(x.stopped, is) || slices.ContainsFunc(x.running, is)
}

// diagnosis puts together what was found, capped.
func (x *examination) diagnosis() Diagnosis {
	var d Diagnosis
	for _, c := range x.causes {
		d.Causes = append(d.Causes, c.Cause.withHint())
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
	if x.state.Pinned != nil {
		d.Alarms = x.state.Pinned.Alarms
	}
	d.Targets = x.unhealthyTargets()
	d.Targets = d.Targets[:min(len(d.Targets), maxTargets)]
	d.Notes = x.notes[:min(len(x.notes), maxNotes)]
	return d
}
