// How a scenario is put in force for a service: what it sets on the service, and how long it holds.

package ecs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// script is a scenario that is in force for a service.
type script struct {
	cluster, service string // names; "" is any
	scenario         scenario.Scenario
}

// Script sets how the next deployments of a service go, by the names of cluster and service; "" stands for every one, and for one-off tasks.
// It is in force until the next call for the same names. The deployment that comes with a service's creation, deployments under way, and going back
// to a task definition that this service has run successfully before, are not touched by it: the old revision stays healthy, so that a rollback
// works. What a scenario sets on the service (circuit breaker, strategy, alarms) stays on it until another one, or UpdateService, sets it anew.
func (e *ECS) Script(cluster, service string, s scenario.Scenario) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Advance(time.Now())
	e.scripts = slices.DeleteFunc(e.scripts, func(o script) bool { return o.cluster == cluster && o.service == service })
	e.scripts = append(e.scripts, script{cluster, service, s})
	e.Throttle([2]string{cluster, service}, "ecs:*", s.ThrottleEvery)
	for _, cl := range e.Clusters {
		for _, svc := range cl.Services {
			if e.Scenario(svc) != nil {
				e.configure(svc, *e.Scenario(svc))
			}
		}
	}
}

// Scenario returns what is in force for a service, or nil. What names it most closely wins, and then the latest.
func (e *ECS) Scenario(s *Service) *scenario.Scenario {
	best, found := -1, (*scenario.Scenario)(nil)
	for i, sc := range e.scripts {
		if sc.cluster != "" && sc.cluster != s.Cluster.Name || sc.service != "" && sc.service != s.Name {
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
func (e *ECS) oneOff(cl *cluster) scenario.Scenario {
	for _, sc := range slices.Backward(e.scripts) {
		if sc.service == "" && (sc.cluster == "" || sc.cluster == cl.Name) {
			return sc.scenario
		}
	}
	return scenario.Scenarios()[0]
}

// configure gives a service what a scenario plays on.
func (e *ECS) configure(s *Service, sc scenario.Scenario) {
	if s.Controller() != "ECS" {
		return
	}
	if sc.Drain > 0 {
		s.drain = sc.Drain
	}
	change := awsapi.Object{}
	if b := sc.Breaker; b != nil {
		change["deploymentCircuitBreaker"] = breakerConfiguration(b)
	}
	if n := sc.Desired; n != nil && s.Desired != *n {
		s.Desired, s.steady, e.Busy = *n, false, true
	}
	if es := sc.EarlySuccess; es != nil {
		cleanup := "BLOCKING"
		if es.Deferred {
			cleanup = "DEFERRED"
		}
		change["minimumHealthyPercent"] = min(es.Percent, s.Doc.Object("deploymentConfiguration").Number("minimumHealthyPercent", 100))
		change["earlySuccessCriteria"] = awsapi.Object{"enable": true, "healthyPercent": es.Percent, "sourceServiceRevisionCleanup": cleanup}
	}
	if sc.ClassicBalancer {
		var balancers []any
		for _, lb := range s.Doc.Objects("loadBalancers") {
			balancers = append(balancers, awsapi.Object{"loadBalancerName": s.Name, "containerName": lb["containerName"], "containerPort": lb["containerPort"]})
		}
		s.Doc.Put("loadBalancers", balancers)
	}
	if a := sc.Alarm; a != nil {
		change["alarms"] = awsapi.Object{"alarmNames": []any{a.Name}, "enable": true, "rollback": true}
	}
	if sc.Strategy != nil {
		change = change.With(strategyConfiguration(sc.Strategy))
		if l := sc.Lambda; l != nil && l.Stage != "" && sc.Strategy.Name != "ROLLING" {
			change["lifecycleHooks"] = append(change.List("lifecycleHooks"), awsapi.Object{
				"targetType": "AWS_LAMBDA", "lifecycleStages": []any{l.Stage},
				"hookTargetArn": e.ARN("lambda", "function:"+s.Name+"-check"), "roleArn": "arn:aws:iam::" + e.Account() + ":role/ecsHookRole",
			})
		}
		var balancers []any
		for _, lb := range s.Doc.Objects("loadBalancers") {
			balancers = append(balancers, e.advanced(lb))
		}
		if sc.Strategy.Name != "ROLLING" && balancers != nil {
			s.Doc["loadBalancers"] = balancers
		}
	}
	configuration, err := deploymentConfiguration(s.Doc.Object("deploymentConfiguration"), change, "ECS")
	if err != nil {
		panic(fmt.Sprintf("emulator: scenario %q: %v", sc.Name, err)) // a mistake of whoever wrote it
	}
	s.Doc["deploymentConfiguration"] = configuration
}

// strategyConfiguration is the deployment configuration of a strategy.
func strategyConfiguration(st *scenario.Strategy) awsapi.Object {
	o := awsapi.Object{"strategy": st.Name, "bakeTimeInMinutes": st.BakeMinutes}
	percent := json.Number(strconv.FormatFloat(st.Percent, 'f', 1, 64))
	switch st.Name {
	case "CANARY":
		o["canaryConfiguration"] = awsapi.Object{"canaryPercent": percent, "canaryBakeTimeInMinutes": st.StepBakeMinutes}
	case "LINEAR":
		o["linearConfiguration"] = awsapi.Object{"stepPercent": percent, "stepBakeTimeInMinutes": st.StepBakeMinutes}
	}
	hooks := []any{}
	for _, p := range st.Pauses {
		timeout := awsapi.Object{"timeoutInMinutes": p.TimeoutMinutes, "action": "ROLLBACK"}
		if p.TimeoutMinutes == 0 {
			timeout["timeoutInMinutes"] = 1440
		}
		if p.Continue {
			timeout["action"] = "CONTINUE"
		}
		hooks = append(hooks, awsapi.Object{"targetType": "PAUSE", "lifecycleStages": []any{p.Stage}, "timeoutConfiguration": timeout})
	}
	if st.Name != "ROLLING" {
		o["lifecycleHooks"] = hooks
	}
	return o
}

// advanced adds to a load balancer of a service what shifting traffic takes, where it is not there yet.
func (e *ECS) advanced(lb awsapi.Object) awsapi.Object {
	group := lb.Str("targetGroupArn")
	if lb.Has("advancedConfiguration") || group == "" {
		return lb
	}
	name, id := "", ""
	if parts := strings.Split(group, "/"); len(parts) == 3 {
		name, id = parts[1], parts[2]
	}
	rule := func(ids string) string {
		return e.ARN("elasticloadbalancing", "listener-rule/app/"+name+"/50dc6c495c0c9188/"+ids)
	}
	return lb.With(awsapi.Object{"advancedConfiguration": awsapi.Object{
		"alternateTargetGroupArn": e.ARN("elasticloadbalancing", "targetgroup/"+name+"-green/"+reversed(id)),
		"productionListenerRule":  rule("f2f7dc8efc522ab2/9683b2d02a6cabee"),
		"testListenerRule":        rule("0467ef3c8400ae65/1a2b3c4d5e6f7081"),
		"roleArn":                 "arn:aws:iam::" + e.Account() + ":role/ecsInfrastructureRole",
	}})
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// breakerConfiguration is the deployment circuit breaker of a scenario.
func breakerConfiguration(b *scenario.Breaker) awsapi.Object {
	o := awsapi.Object{"enable": b.Enable, "rollback": b.Rollback}
	if b.Threshold > 0 {
		o["thresholdConfiguration"] = awsapi.Object{"type": "COUNT", "value": b.Threshold}
	}
	if b.Cumulative {
		o["resetOnHealthyTask"] = false
	}
	return o
}
