// What a scenario can say, and how it is put in force. The scenarios themselves are data, in scenarios.go.

package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Scenario is how the deployments of a service go, whatever the caller sends. All durations are emulated time ([Options.Speed]).
type Scenario struct {
	Name        string
	Description string

	// Fates are what becomes of the new revision's tasks, one after the other; the last one goes for all further tasks. None means they live.
	Fates []Fate

	// Breaker, where given, is set as the service's deployment circuit breaker when the scenario is.
	Breaker *Breaker

	// Strategy, where given, is how the service deploys from when the scenario is set; what its load balancers need for that, they get.
	Strategy *Strategy

	// Alarm, where given, goes off during the deployment; it is one of the service's deployment alarms from when the scenario is set.
	Alarm *Alarm

	// Lambda is what becomes of the lifecycle hooks that are functions; nil means that each succeeds after five seconds. With a Strategy and a
	// Stage it also is such a hook.
	Lambda *Lambda

	// Interloper, where given, is how long after the deployment's start somebody else moves the service to a revision of theirs.
	Interloper time.Duration

	// Deletion, where given, is how long after the deployment's start somebody else deletes the service.
	Deletion time.Duration

	// Desired, where given, is the service's desiredCount from when the scenario is set.
	Desired *int

	// EarlySuccess, where given, is when a rolling update of the service is successful, from when the scenario is set.
	EarlySuccess *EarlySuccess

	// ClassicBalancer puts the service behind a Classic Load Balancer from when the scenario is set.
	ClassicBalancer bool

	// Attempts, where given, are how long after the deployment's creation its failed tasks are replaced: once for each entry, and never again
	// after the last. Nil means seconds that grow to five minutes; tasks whose image cannot be pulled have been seen to come minutes apart.
	Attempts []time.Duration

	// ThrottleEvery, where given, throttles every so many ECS calls.
	ThrottleEvery int
}

// Breaker is a deployment circuit breaker.
type Breaker struct {
	Enable, Rollback bool
	Threshold        int  // tasks that fail; 0 is ECS's default, half the desired count but at least 3 and at most 200
	Cumulative       bool // a healthy task does not set the count back
}

func (b *Breaker) configuration() object {
	o := object{"enable": b.Enable, "rollback": b.Rollback}
	if b.Threshold > 0 {
		o["thresholdConfiguration"] = object{"type": "COUNT", "value": b.Threshold}
	}
	if b.Cumulative {
		o["resetOnHealthyTask"] = false
	}
	return o
}

// EarlySuccess is when a rolling update is successful before all its tasks are healthy.
type EarlySuccess struct {
	Percent  int  // of the desired count that must be healthy
	Deferred bool // the old tasks go afterwards
}

// Strategy is a deployment strategy: the deploymentConfiguration of a service but for the circuit breaker and the alarms. A minute is 60 s of emulated time.
type Strategy struct {
	Name            string  // BLUE_GREEN, CANARY, LINEAR, ROLLING
	Percent         float64 // of traffic: of the first step of CANARY, of each step of LINEAR
	StepBakeMinutes int     // after each such step
	BakeMinutes     int     // when all traffic is shifted; of ROLLING: when the old tasks are gone
	Pauses          []Pause
}

// Pause is a lifecycle hook at which a deployment waits for ContinueServiceDeployment.
type Pause struct {
	Stage          string // such as POST_TEST_TRAFFIC_SHIFT
	TimeoutMinutes int    // 0 means ECS's default, 24 hours
	Continue       bool   // what happens then: the deployment goes on, or it is rolled back
}

// Alarm is a CloudWatch alarm that watches a deployment and goes off.
type Alarm struct {
	Name  string
	Stage string        // lifecycle stage in which it goes off: BAKE_TIME; "" is any
	After time.Duration // since that stage, or since the deployment's start
}

// Lambda is what becomes of a lifecycle hook's function.
type Lambda struct {
	Stage string // at which it is called, where the scenario brings the hook
	Takes time.Duration
	Fails bool
}

// Fate is what becomes of one task. The zero Fate starts like any other task and lives until ECS stops it.
//
// In Reason and in both texts of Unplaced, {image}, {registry}, {repository} and {tag} stand for the image of the task's main container, its first
// essential one, {secret} for the ARN of that container's first secret, {taskRole} (the execution role where there is none), {executionRole} and
// {account} for names, {subnet} and {task} for ids.
type Fate struct {
	Start    time.Duration // from launch until its containers run; 0 means 20 s
	Unplaced Unplaced      // no task is started at all

	// Reason is why ECS ends the task, in full: so long after it started as ExitAfter says, or before its containers ran. Where it or
	// ContainerReason begins with "Cannot" that is when the image has been pulled or should have been, and it is the main container's reason too.
	Reason   string
	StopCode string // empty: TaskFailedToStart before its containers ran, ServiceSchedulerInitiated after

	Exit            *int          // its main container ends with this exit code …
	ExitAfter       time.Duration // … so long after it started; 0 means before the task was RUNNING
	ContainerReason string        // why, in full; for most exit codes there is none

	Unhealthy      bool          // it runs, fails its health checks and is replaced
	ContainerCheck bool          // they are those of its task definition, not the load balancer's
	Target         Target        // what the load balancer says of it then
	Starting       bool          // it runs, and its health stays unknown
	Log            []string      // what its main container writes
	LogEvery       time.Duration // between two lines of it; 0 is all at once, when it starts
}

// neverStarts says whether the task ends before its containers run, and pullFails that pulling the image is what fails.
func (f Fate) neverStarts() bool { return f.Reason != "" && f.ExitAfter == 0 }
func (f Fate) pullFails() bool {
	return strings.HasPrefix(f.Reason, "Cannot") || strings.HasPrefix(f.ContainerReason, "Cannot")
}

// Unplaced is why there is no place for a task.
type Unplaced struct {
	Event   string // of the service, after "(service NAME) "
	Failure string // in the answer of RunTask
}

// containerCheck says whether it is the container's own health check that fails, and not the load balancer's.
func (f Fate) containerCheck() bool { return f.Unhealthy && f.ContainerCheck }

// Target is why a load balancer takes a target for unhealthy. The zero Target is a connection that was refused.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html
type Target struct{ Reason, Description string }

// failing is the target, with what the zero one stands for.
func (f Fate) failing() Target {
	if f.Target == (Target{}) {
		return Target{"Target.FailedHealthChecks", "Health checks failed"}
	}
	return f.Target
}

func exit(code int) *int { return &code }

// ParseScenario returns the scenario of that name; "" is the default one. The error lists the names there are.
func ParseScenario(name string) (Scenario, error) {
	all := append(Scenarios(), Strict()...)
	var names []string
	for _, s := range all {
		if s.Name == name || name == "" {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("scenario %q does not exist; there are %s", name, strings.Join(names, ", "))
}

// script is a scenario that is in force for a service.
type script struct {
	cluster, service string // names; "" is any
	scenario         Scenario
}

// Script sets how the next deployments of a service go, by the names of cluster and service; "" stands for every one, and for one-off tasks.
// It is in force until the next call for the same names. The deployment that comes with a service's creation, deployments under way, and going back
// to a task definition that this service has run successfully before, are not touched by it: the old revision stays healthy, so that a rollback
// works. What a scenario sets on the service (circuit breaker, strategy, alarms) stays on it until another one, or UpdateService, sets it anew.
func (e *ECS) Script(cluster, service string, s Scenario) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(time.Now())
	e.scripts = slices.DeleteFunc(e.scripts, func(o script) bool { return o.cluster == cluster && o.service == service })
	e.scripts = append(e.scripts, script{cluster, service, s})
	e.faults = slices.DeleteFunc(e.faults, func(f *fault) bool { return f.scripted == [2]string{cluster, service} && f.action == "ecs:*" })
	if s.ThrottleEvery > 0 {
		e.faults = append(e.faults, &fault{Fault: Fault{Code: "ThrottlingException", Every: s.ThrottleEvery}, action: "ecs:*", scripted: [2]string{cluster, service}})
	}
	for _, cl := range e.clusters {
		for _, svc := range cl.services {
			if e.scenario(svc) != nil {
				e.configure(svc, *e.scenario(svc))
			}
		}
	}
}

// scenario returns what is in force for a service, or nil. What names it most closely wins, and then the latest.
func (e *ECS) scenario(s *service) *Scenario {
	best, found := -1, (*Scenario)(nil)
	for i, sc := range e.scripts {
		if sc.cluster != "" && sc.cluster != s.cluster.name || sc.service != "" && sc.service != s.name {
			continue
		}
		rank := 0
		if sc.cluster != "" {
			rank++
		}
		if sc.service != "" {
			rank += 2
		}
		if rank >= best {
			best, found = rank, &e.scripts[i].scenario
		}
	}
	return found
}

// oneOff returns what is in force for tasks that no service started, or the default.
func (e *ECS) oneOff(cl *cluster) Scenario {
	for _, sc := range slices.Backward(e.scripts) {
		if sc.service == "" && (sc.cluster == "" || sc.cluster == cl.name) {
			return sc.scenario
		}
	}
	return Scenarios()[0]
}

// configure gives a service what a scenario plays on.
func (e *ECS) configure(s *service, sc Scenario) {
	if s.controller() != "ECS" {
		return
	}
	change := object{}
	if b := sc.Breaker; b != nil {
		change["deploymentCircuitBreaker"] = b.configuration()
	}
	if n := sc.Desired; n != nil && s.desired != *n {
		s.desired, s.steady, e.busy = *n, false, true
	}
	if es := sc.EarlySuccess; es != nil {
		cleanup := "BLOCKING"
		if es.Deferred {
			cleanup = "DEFERRED"
		}
		change["minimumHealthyPercent"] = min(es.Percent, s.doc.object("deploymentConfiguration").number("minimumHealthyPercent", 100))
		change["earlySuccessCriteria"] = object{"enable": true, "healthyPercent": es.Percent, "sourceServiceRevisionCleanup": cleanup}
	}
	if sc.ClassicBalancer {
		var balancers []any
		for _, lb := range s.doc.objects("loadBalancers") {
			balancers = append(balancers, object{"loadBalancerName": s.name, "containerName": lb["containerName"], "containerPort": lb["containerPort"]})
		}
		s.doc.put("loadBalancers", balancers)
	}
	if a := sc.Alarm; a != nil {
		change["alarms"] = object{"alarmNames": []any{a.Name}, "enable": true, "rollback": true}
	}
	if sc.Strategy != nil {
		change = change.with(sc.Strategy.configuration())
		if l := sc.Lambda; l != nil && l.Stage != "" && sc.Strategy.Name != "ROLLING" {
			change["lifecycleHooks"] = append(change.list("lifecycleHooks"), object{
				"targetType": "AWS_LAMBDA", "lifecycleStages": []any{l.Stage},
				"hookTargetArn": e.arn("lambda", "function:"+s.name+"-check"), "roleArn": "arn:aws:iam::" + e.account + ":role/ecsHookRole",
			})
		}
		var balancers []any
		for _, lb := range s.doc.objects("loadBalancers") {
			balancers = append(balancers, e.advanced(lb))
		}
		if sc.Strategy.Name != "ROLLING" && balancers != nil {
			s.doc["loadBalancers"] = balancers
		}
	}
	configuration, err := deploymentConfiguration(s.doc.object("deploymentConfiguration"), change, "ECS")
	if err != nil {
		panic(fmt.Sprintf("emulator: scenario %q: %v", sc.Name, err)) // a mistake of whoever wrote it
	}
	s.doc["deploymentConfiguration"] = configuration
}

func (st *Strategy) configuration() object {
	o := object{"strategy": st.Name, "bakeTimeInMinutes": st.BakeMinutes}
	percent := json.Number(strconv.FormatFloat(st.Percent, 'f', 1, 64))
	switch st.Name {
	case "CANARY":
		o["canaryConfiguration"] = object{"canaryPercent": percent, "canaryBakeTimeInMinutes": st.StepBakeMinutes}
	case "LINEAR":
		o["linearConfiguration"] = object{"stepPercent": percent, "stepBakeTimeInMinutes": st.StepBakeMinutes}
	}
	hooks := []any{}
	for _, p := range st.Pauses {
		timeout := object{"timeoutInMinutes": p.TimeoutMinutes, "action": "ROLLBACK"}
		if p.TimeoutMinutes == 0 {
			timeout["timeoutInMinutes"] = 1440
		}
		if p.Continue {
			timeout["action"] = "CONTINUE"
		}
		hooks = append(hooks, object{"targetType": "PAUSE", "lifecycleStages": []any{p.Stage}, "timeoutConfiguration": timeout})
	}
	if st.Name != "ROLLING" {
		o["lifecycleHooks"] = hooks
	}
	return o
}

// advanced adds to a load balancer of a service what shifting traffic takes, where it is not there yet.
func (e *ECS) advanced(lb object) object {
	group := lb.str("targetGroupArn")
	if lb.has("advancedConfiguration") || group == "" {
		return lb
	}
	name, id := "", ""
	if parts := strings.Split(group, "/"); len(parts) == 3 {
		name, id = parts[1], parts[2]
	}
	rule := func(id string) string {
		return e.arn("elasticloadbalancing", "listener-rule/app/"+name+"/50dc6c495c0c9188/f2f7dc8efc522ab2/"+id)
	}
	return lb.with(object{"advancedConfiguration": object{
		"alternateTargetGroupArn": e.arn("elasticloadbalancing", "targetgroup/"+name+"-green/"+reversed(id)),
		"productionListenerRule":  rule("9683b2d02a6cabee"),
		"testListenerRule":        rule("1a2b3c4d5e6f7081"),
		"roleArn":                 "arn:aws:iam::" + e.account + ":role/ecsInfrastructureRole",
	}})
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// lambda is what becomes of functions that are lifecycle hooks.
func (s Scenario) lambda() Lambda {
	if s.Lambda == nil {
		return Lambda{Takes: 5 * time.Second}
	}
	return *s.Lambda
}

// fate is what becomes of the nth task, counted from 0.
func (s Scenario) fate(n int) Fate {
	if len(s.Fates) == 0 {
		return Fate{Log: greeting}
	}
	return s.Fates[min(n, len(s.Fates)-1)]
}
