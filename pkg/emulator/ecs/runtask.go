// One-off tasks: RunTask and StopTask. They live by the scenario of their family ([ECS.ScriptTasks]) and write what it says to their log.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html

package ecs

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// ScriptTasks sets what becomes of the next one-off tasks of a task definition family, by the names of cluster and family; "" is any. It goes
// before what [ECS.Script] says for every service. A fate that neither exits nor has a reason ends with exit code 0 after ten seconds, or, where
// it is Starting, runs until it is stopped.
func (e *ECS) ScriptTasks(cluster, family string, s scenario.Scenario) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Advance(time.Now())
	e.taskScripts = slices.DeleteFunc(e.taskScripts, func(o taskScript) bool { return o.cluster == cluster && o.family == family })
	e.taskScripts = append(e.taskScripts, taskScript{cluster: cluster, family: family, scenario: s})
}

// taskScript is a scenario that is in force for one-off tasks.
type taskScript struct {
	cluster, family string // names; "" is any
	scenario        scenario.Scenario
	launched        int // attempts so far: whose fate is next
}

// nextFate is what becomes of the next one-off task of a family; n counts the tasks of this request.
func (e *ECS) nextFate(cl *cluster, family string, n int) scenario.Fate {
	for i := range slices.Backward(e.taskScripts) {
		script := &e.taskScripts[i]
		if (script.cluster == "" || script.cluster == cl.Name) && (script.family == "" || script.family == family) {
			script.launched++
			return script.scenario.Fate(script.launched - 1)
		}
	}
	return e.oneOff(cl).Fate(n)
}

// ranBefore is the answer to a request with a client token, which is given again to the same request.
type ranBefore struct {
	in    awsapi.Object
	tasks []*Task
}

func (e *ECS) runTask(c *awsapi.Invocation) (awsapi.Object, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	td, err := e.runnable(cl, c.In)
	if err != nil {
		return nil, err
	}
	tasks, failures := []any{}, []any{}
	token := c.In.Str("clientToken")
	if before, ok := e.tokens[token]; ok && token != "" {
		if !reflect.DeepEqual(before.in, c.In) {
			return nil, awsapi.Errorf("ConflictException", "The RunTask request could not be processed due to conflicts: the client token was used with other parameters.")
		}
		for _, t := range before.tasks {
			tasks = append(tasks, t.describe(e, true))
		}
		return awsapi.Object{"tasks": tasks, "failures": failures}, nil
	}
	var ran []*Task
	for i := range c.In.Number("count", 1) {
		fate := e.nextFate(cl, td.family.name, i)
		if u := fate.Unplaced; u != (scenario.Unplaced{}) {
			failures = append(failures, awsapi.Object{"reason": fill(u.Failure, td, c.In, e.Account(), "")})
			continue
		}
		t := e.runOne(cl, td, c, fate)
		ran, tasks = append(ran, t), append(tasks, t.describe(e, true))
	}
	if token != "" {
		e.tokens[token] = ranBefore{awsapi.CopyOf(c.In), ran}
	}
	c.Change.Effect = "ran"
	return awsapi.Object{"tasks": tasks, "failures": failures}, nil
}

// runOne starts a one-off task.
func (e *ECS) runOne(cl *cluster, td *taskDefinition, c *awsapi.Invocation, fate scenario.Fate) *Task {
	t := e.newTask(cl, td, c.Now)
	t.doc, t.startedBy = awsapi.CopyOf(c.In), c.In.Str("startedBy")
	t.tags = append(slices.Clone(c.In.List("tags")), ecsManaged(cl, c.In)...)
	if c.In.Str("propagateTags") == "TASK_DEFINITION" {
		for _, tag := range td.tags {
			if !slices.ContainsFunc(t.tags, func(had any) bool { return had.(awsapi.Object).Str("key") == tag.(awsapi.Object).Str("key") }) {
				t.tags = append(t.tags, tag)
			}
		}
	}
	t.group = cmp.Or(c.In.Str("group"), "family:"+td.family.name)
	if fate.Exit == nil && fate.Reason == "" && !fate.Starting {
		fate.Exit, fate.ExitAfter = scenario.Exit(0), 10*time.Second
		if reflect.DeepEqual(fate.Log, scenario.Greeting) {
			fate.Log = []string{"done"}
		}
	}
	e.launch(t, fate, c.Now)
	return t
}

// ecsManaged are the tags that ECS adds where enableECSManagedTags asks for it.
func ecsManaged(cl *cluster, in awsapi.Object) []any {
	if !in.Flag("enableECSManagedTags") {
		return nil
	}
	return []any{awsapi.Object{"key": "aws:ecs:clusterName", "value": cl.Name}}
}

// runnable returns the task definition that a request asks to run, or why it is refused.
func (e *ECS) runnable(cl *cluster, in awsapi.Object) (*taskDefinition, error) {
	invalid := func(format string, args ...any) (*taskDefinition, error) {
		return nil, awsapi.Errorf("InvalidParameterException", format, args...)
	}
	if err := checkTags(in, "InvalidParameterException"); err != nil {
		return nil, err
	}
	td, err := e.UsableTaskDefinition(in.Str("taskDefinition"), "InvalidParameterException")
	if err != nil {
		return nil, err
	}
	if count := in.Number("count", 1); count < 1 || count > 10 {
		return invalid("count must be between 1 and 10.")
	}
	if len(in.Str("startedBy")) > 128 {
		return invalid("startedBy can be up to 128 characters long.")
	}
	if len(in.Str("clientToken")) > 64 {
		return invalid("clientToken can be up to 64 characters long.")
	}
	if strings.HasPrefix(in.Str("group"), "service:") || strings.HasPrefix(in.Str("startedBy"), "ecs-svc/") {
		return invalid("Invalid namespace for group.")
	}
	if in.Has("launchType") && in.Has("capacityProviderStrategy") {
		return invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if p := in.Str("propagateTags"); p == "SERVICE" {
		return invalid("An error occurred when calling the RunTask operation: propagateTags can only be TASK_DEFINITION.")
	}
	if err := CheckPlacement(in.With(awsapi.Object{"loadBalancers": []any{}}), td); err != nil {
		return nil, err
	}
	if !onFargate(in) && !in.Has("capacityProviderStrategy") && !cl.doc.Has("defaultCapacityProviderStrategy") && !cl.hasInstances() {
		return invalid("No Container Instances were found in your cluster.")
	}
	for _, o := range in.Object("overrides").Objects("containerOverrides") {
		if !slices.ContainsFunc(td.doc.Objects("containerDefinitions"), func(d awsapi.Object) bool { return d.Str("name") == o.Str("name") }) {
			return invalid("Override for container named %s is not a container in the TaskDefinition.", o.Str("name"))
		}
	}
	return td, nil
}

// hasInstances says whether EC2 instances are registered with the cluster: they are where a service runs on them.
func (cl *cluster) hasInstances() bool {
	return slices.ContainsFunc(cl.Services, func(s *Service) bool { return s.Status == "ACTIVE" && !s.fargate() })
}

func (e *ECS) stopTask(c *awsapi.Invocation) (awsapi.Object, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	t := cl.findTask(c.In.Str("task"))
	if t == nil {
		return nil, awsapi.Errorf("InvalidParameterException", "The referenced task was not found.")
	}
	if len(c.In.Str("reason")) > 1024 {
		return nil, awsapi.Errorf("InvalidParameterException", "reason can be up to 1024 characters long.")
	}
	if !t.stopping {
		c.Change.Effect = "stopped"
	}
	e.stop(t, c.Now, "UserInitiated", cmp.Or(c.In.Str("reason"), "Task stopped by user"))
	return awsapi.Object{"task": t.describe(e, false)}, nil
}
