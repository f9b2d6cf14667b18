// Scenarios: how rollouts go. This file is meant to be added to: a scenario is data, and what it needs to express is in Scenario and Fate.

package emulator

import (
	"fmt"
	"slices"
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

	// Interloper, where given, is how long after the deployment's start somebody else moves the service to a revision of theirs.
	Interloper time.Duration

	// ThrottleEvery, where given, throttles every so many ECS calls.
	ThrottleEvery int
}

// Breaker is a deployment circuit breaker.
type Breaker struct{ Enable, Rollback bool }

// Fate is what becomes of one task. The zero Fate starts like any other task and lives until ECS stops it.
type Fate struct {
	Start     time.Duration // from launch until its containers run; 0 means 20 s
	PullError string        // its image cannot be pulled: the text after CannotPullContainerError
	Exit      *int          // its essential container ends with this exit code …
	ExitAfter time.Duration // … so long after it started; 0 means before the task was RUNNING
	Unhealthy bool          // it runs, fails its health checks and is replaced
	Starting  bool          // it runs, and its health stays unknown
	Log       []string      // what its essential container writes
}

func exit(code int) *int { return &code }

var greeting = []string{"listening on :8080"}

var panicLog = []string{
	"starting chat-app",
	"panic: missing required environment variable DATABASE_URL",
	"",
	"goroutine 1 [running]:",
	"main.main()",
	"\t/src/main.go:23 +0x1d",
	"exit status 2",
}

// Scenarios returns all scenarios, the default one first.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "complete", Description: "the deployment succeeds after about a minute",
			Fates: []Fate{{Log: greeting}}},
		{Name: "slow", Description: "tasks take four minutes to start; the deployment succeeds",
			Fates: []Fate{{Start: 4 * time.Minute, Log: greeting}}},
		{Name: "crash", Description: "the container exits at once with code 1, and no circuit breaker stops it",
			Fates: []Fate{{Exit: exit(1), Log: panicLog}}, Breaker: &Breaker{}},
		{Name: "pull-error", Description: "the image cannot be pulled, and no circuit breaker stops it",
			Fates:   []Fate{{PullError: "pull image manifest has been retried 5 time(s): failed to resolve ref: unexpected status from HEAD request: 403 Forbidden"}},
			Breaker: &Breaker{}},
		{Name: "rollback", Description: "the container exits at once; the circuit breaker rolls back",
			Fates: []Fate{{Exit: exit(1), Log: panicLog}}, Breaker: &Breaker{Enable: true, Rollback: true}},
		{Name: "failed", Description: "the container exits at once; the circuit breaker stops the deployment and leaves it so",
			Fates: []Fate{{Exit: exit(1), Log: panicLog}}, Breaker: &Breaker{Enable: true}},
		{Name: "superseded", Description: "somebody else updates the service in the middle of the deployment",
			Fates: []Fate{{Start: time.Minute, Log: greeting}}, Interloper: 30 * time.Second},
		{Name: "stuck", Description: "tasks run and never become healthy, and nothing ends it",
			Fates: []Fate{{Starting: true, Log: []string{"waiting for database"}}}, Breaker: &Breaker{}},
		{Name: "throttled", Description: "every third ECS call is throttled; the deployment succeeds",
			Fates: []Fate{{Log: greeting}}, ThrottleEvery: 3},
		{Name: "unhealthy", Description: "tasks fail their health checks and are replaced, and no circuit breaker stops it",
			Fates: []Fate{{Unhealthy: true, Log: []string{"listening on 127.0.0.1:8081"}}}, Breaker: &Breaker{}},
		{Name: "flapping", Description: "the first two tasks crash after they were healthy; the deployment succeeds in the end",
			Fates: []Fate{{Exit: exit(137), ExitAfter: 15 * time.Second, Log: greeting}, {Exit: exit(137), ExitAfter: 15 * time.Second, Log: greeting}, {Log: greeting}}},
	}
}

// ParseScenario returns the scenario of that name; "" is the default one. The error lists the names there are.
func ParseScenario(name string) (Scenario, error) {
	all := Scenarios()
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
// It is in force until the next call for the same names. The deployment that comes with a service's creation, deployments under way, and going back to a task definition that this service
// has run successfully before, are not touched by it: the old revision stays healthy, so that a rollback works.
func (e *Emulator) Script(cluster, service string, s Scenario) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(time.Now())
	e.scripts = slices.DeleteFunc(e.scripts, func(o script) bool { return o.cluster == cluster && o.service == service })
	e.scripts = append(e.scripts, script{cluster, service, s})
	e.faults = slices.DeleteFunc(e.faults, func(f *fault) bool { return f.scripted == [2]string{cluster, service} && f.action == "ecs:*" })
	if s.ThrottleEvery > 0 {
		e.faults = append(e.faults, &fault{Fault: Fault{Code: "ThrottlingException", Every: s.ThrottleEvery}, action: "ecs:*", scripted: [2]string{cluster, service}})
	}
	for _, cl := range e.ecs.clusters {
		for _, svc := range cl.services {
			if e.scenario(svc) != nil {
				svc.applyBreaker(e.scenario(svc).Breaker)
			}
		}
	}
}

// scenario returns what is in force for a service, or nil. What names it most closely wins, and then the latest.
func (e *Emulator) scenario(s *service) *Scenario {
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
func (e *Emulator) oneOff(cl *cluster) Scenario {
	for _, sc := range slices.Backward(e.scripts) {
		if sc.service == "" && (sc.cluster == "" || sc.cluster == cl.name) {
			return sc.scenario
		}
	}
	return Scenarios()[0]
}

func (s *service) applyBreaker(b *Breaker) {
	if b == nil || s.controller() != "ECS" {
		return
	}
	configuration := copyOf(s.doc.object("deploymentConfiguration"))
	configuration["deploymentCircuitBreaker"] = object{"enable": b.Enable, "rollback": b.Rollback}
	s.doc["deploymentConfiguration"] = configuration
}

// fate is what becomes of the nth task, counted from 0.
func (s Scenario) fate(n int) Fate {
	if len(s.Fates) == 0 {
		return Fate{Log: greeting}
	}
	return s.Fates[min(n, len(s.Fates)-1)]
}
