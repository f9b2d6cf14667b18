// One-off tasks: RunTask and StopTask. They live by the scenario of their family ([Emulator.ScriptTasks]) and write what it says to their log.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html

package emulator

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"
)

// ScriptTasks sets what becomes of the next one-off tasks of a task definition family, by the names of cluster and family; "" is any. It goes
// before what [Emulator.Script] says for every service. A fate that neither exits nor has a reason ends with exit code 0 after ten seconds, or, where
// it is Starting, runs until it is stopped.
func (e *ECS) ScriptTasks(cluster, family string, s Scenario) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(time.Now())
	e.taskScripts = slices.DeleteFunc(e.taskScripts, func(o taskScript) bool { return o.cluster == cluster && o.family == family })
	e.taskScripts = append(e.taskScripts, taskScript{cluster: cluster, family: family, scenario: s})
}

// taskScript is a scenario that is in force for one-off tasks.
type taskScript struct {
	cluster, family string // names; "" is any
	scenario        Scenario
	launched        int // attempts so far: whose fate is next
}

// nextFate is what becomes of the next one-off task of a family; n counts the tasks of this request.
func (e *ECS) nextFate(cl *cluster, family string, n int) Fate {
	for i := range slices.Backward(e.taskScripts) {
		script := &e.taskScripts[i]
		if (script.cluster == "" || script.cluster == cl.name) && (script.family == "" || script.family == family) {
			script.launched++
			return script.scenario.fate(script.launched - 1)
		}
	}
	return e.oneOff(cl).fate(n)
}

// ranBefore is the answer to a request with a client token, which is given again to the same request.
type ranBefore struct {
	in    object
	tasks []*task
}

func (e *ECS) runTask(c *call) (object, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	td, err := e.runnable(cl, c.in)
	if err != nil {
		return nil, err
	}
	tasks, failures := []any{}, []any{}
	token := c.in.str("clientToken")
	if before, ok := e.tokens[token]; ok && token != "" {
		if !reflect.DeepEqual(before.in, c.in) {
			return nil, apiErrorf("ConflictException", "The RunTask request could not be processed due to conflicts: the client token was used with other parameters.")
		}
		for _, t := range before.tasks {
			tasks = append(tasks, t.describe(e, true))
		}
		return object{"tasks": tasks, "failures": failures}, nil
	}
	var ran []*task
	for i := range c.in.number("count", 1) {
		fate := e.nextFate(cl, td.family.name, i)
		if u := fate.Unplaced; u != (Unplaced{}) {
			failures = append(failures, object{"reason": fill(u.Failure, td, c.in, e.Account(), "")})
			continue
		}
		t := e.runOne(cl, td, c, fate)
		ran, tasks = append(ran, t), append(tasks, t.describe(e, true))
	}
	if token != "" {
		e.tokens[token] = ranBefore{copyOf(c.in), ran}
	}
	c.change.Effect = "ran"
	return object{"tasks": tasks, "failures": failures}, nil
}

// runOne starts a one-off task.
func (e *ECS) runOne(cl *cluster, td *taskDefinition, c *call, fate Fate) *task {
	t := e.newTask(cl, td, c.now)
	t.doc, t.startedBy = copyOf(c.in), c.in.str("startedBy")
	t.tags = append(slices.Clone(c.in.list("tags")), ecsManaged(cl, c.in)...)
	if c.in.str("propagateTags") == "TASK_DEFINITION" {
		for _, tag := range td.tags {
			if !slices.ContainsFunc(t.tags, func(had any) bool { return had.(object).str("key") == tag.(object).str("key") }) {
				t.tags = append(t.tags, tag)
			}
		}
	}
	t.group = cmp.Or(c.in.str("group"), "family:"+td.family.name)
	if fate.Exit == nil && fate.Reason == "" && !fate.Starting {
		fate.Exit, fate.ExitAfter = exit(0), 10*time.Second
		if reflect.DeepEqual(fate.Log, greeting) {
			fate.Log = []string{"done"}
		}
	}
	e.launch(t, fate, c.now)
	return t
}

// ecsManaged are the tags that ECS adds where enableECSManagedTags asks for it.
func ecsManaged(cl *cluster, in object) []any {
	if !in.flag("enableECSManagedTags") {
		return nil
	}
	return []any{object{"key": "aws:ecs:clusterName", "value": cl.name}}
}

// runnable returns the task definition that a request asks to run, or why it is refused.
func (e *ECS) runnable(cl *cluster, in object) (*taskDefinition, error) {
	invalid := func(format string, args ...any) (*taskDefinition, error) {
		return nil, apiErrorf("InvalidParameterException", format, args...)
	}
	if err := checkTags(in, "InvalidParameterException"); err != nil {
		return nil, err
	}
	td, err := e.usableTaskDefinition(in.str("taskDefinition"), "InvalidParameterException")
	if err != nil {
		return nil, err
	}
	if count := in.number("count", 1); count < 1 || count > 10 {
		return invalid("count must be between 1 and 10.")
	}
	if len(in.str("startedBy")) > 128 {
		return invalid("startedBy can be up to 128 characters long.")
	}
	if len(in.str("clientToken")) > 64 {
		return invalid("clientToken can be up to 64 characters long.")
	}
	if strings.HasPrefix(in.str("group"), "service:") || strings.HasPrefix(in.str("startedBy"), "ecs-svc/") {
		return invalid("Invalid namespace for group.")
	}
	if in.has("launchType") && in.has("capacityProviderStrategy") {
		return invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if p := in.str("propagateTags"); p == "SERVICE" {
		return invalid("An error occurred when calling the RunTask operation: propagateTags can only be TASK_DEFINITION.")
	}
	if err := checkPlacement(in.with(object{"loadBalancers": []any{}}), td); err != nil {
		return nil, err
	}
	if !onFargate(in) && !in.has("capacityProviderStrategy") && !cl.doc.has("defaultCapacityProviderStrategy") && !cl.hasInstances() {
		return invalid("No Container Instances were found in your cluster.")
	}
	for _, o := range in.object("overrides").objects("containerOverrides") {
		if !slices.ContainsFunc(td.doc.objects("containerDefinitions"), func(d object) bool { return d.str("name") == o.str("name") }) {
			return invalid("Override for container named %s is not a container in the TaskDefinition.", o.str("name"))
		}
	}
	return td, nil
}

// hasInstances says whether EC2 instances are registered with the cluster: they are where a service runs on them.
func (cl *cluster) hasInstances() bool {
	return slices.ContainsFunc(cl.services, func(s *service) bool { return s.status == "ACTIVE" && !s.fargate() })
}

func (e *ECS) stopTask(c *call) (object, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	t := cl.findTask(c.in.str("task"))
	if t == nil {
		return nil, apiErrorf("InvalidParameterException", "The referenced task was not found.")
	}
	if len(c.in.str("reason")) > 1024 {
		return nil, apiErrorf("InvalidParameterException", "reason can be up to 1024 characters long.")
	}
	if !t.stopping {
		c.change.Effect = "stopped"
	}
	e.stop(t, c.now, "UserInitiated", cmp.Or(c.in.str("reason"), "Task stopped by user"))
	return object{"task": t.describe(e, false)}, nil
}
