// Task sets: what a service with the CODE_DEPLOY controller has in the place of deployments. One serves production traffic (PRIMARY), and while
// the service is deployed to there is a second one. ECS keeps each at the service's desired count; everything else is CodeDeploy's business.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-bluegreen.html

package emulator

import (
	"slices"
	"strings"
	"time"
)

// addTaskSet gives a service another task set.
func (e *ECS) addTaskSet(s *service, td *taskDefinition, status string, scenario Scenario, now time.Time) *deployment {
	number := e.id(deploymentID)
	rev := &revision{id: number, service: s, definition: td, created: now, digests: map[string]string{}, scenario: scenario, settings: s.settings()}
	set := &deployment{id: "ecs-svc/" + number, status: status, revision: rev, created: now, updated: now}
	s.deployments = append(s.deployments, set)
	e.busy, s.steady = true, false
	return set
}

// settings are what a new revision of the service runs with.
func (s *service) settings() object {
	out := object{}
	for _, m := range []string{"capacityProviderStrategy", "launchType", "platformFamily", "loadBalancers", "serviceRegistries", "networkConfiguration", "serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"} {
		out.put(m, copyOf(s.doc[m]))
	}
	if s.fargate() {
		out["platformVersion"] = platformVersion
	}
	return out
}

// firstTaskSet is the one that a service is created with.
func (e *ECS) firstTaskSet(s *service, td *taskDefinition, now time.Time) {
	set := e.addTaskSet(s, td, "PRIMARY", Scenarios()[0], now)
	set.revision.production, set.revision.test = 100, 100
	for _, lb := range s.doc.objects("loadBalancers") {
		set.revision.groups = append(set.revision.groups, lb.str("targetGroupArn"))
	}
}

// serving is the PRIMARY task set; nil where there is none.
func (s *service) serving() *deployment {
	for _, d := range s.deployments {
		if d.status == "PRIMARY" {
			return d
		}
	}
	return nil
}

func (s *service) describeTaskSet(set *deployment) object {
	wanted := 0
	for _, t := range s.tasks(set) {
		if t.wanted() {
			wanted++
		}
	}
	scale, target := 100, s.desired
	if set.status == "DRAINING" {
		scale, target = 0, 0
	}
	stable := "STABILIZING"
	if s.ready(set) == target && wanted == target {
		stable = "STEADY_STATE"
	}
	o := object{
		"id": set.id, "taskSetArn": strings.Replace(s.arn, ":service/", ":task-set/", 1) + "/" + set.id, "serviceArn": s.arn, "clusterArn": s.cluster.arn,
		"status": set.status, "taskDefinition": set.revision.definition.arn, "startedBy": "CODE_DEPLOY",
		"computedDesiredCount": target, "pendingCount": s.count(set, "PENDING"), "runningCount": s.count(set, "RUNNING"),
		"createdAt": epoch(set.created), "updatedAt": epoch(set.updated), "stabilityStatus": stable, "stabilityStatusAt": epoch(set.updated),
		"scale": object{"value": scale, "unit": "PERCENT"},
	}
	o.put("externalId", set.shipment)
	for _, m := range []string{"launchType", "platformVersion", "platformFamily", "networkConfiguration", "capacityProviderStrategy"} {
		o.put(m, set.revision.settings[m])
	}
	var balancers []any
	for i, lb := range set.revision.settings.objects("loadBalancers") {
		if i < len(set.revision.groups) {
			balancers = append(balancers, object{"targetGroupArn": set.revision.groups[i], "containerName": lb["containerName"], "containerPort": lb["containerPort"]})
		}
	}
	o.put("loadBalancers", balancers)
	return o
}

// taskSetInfo is how CodeDeploy shows a task set.
func (s *service) taskSetInfo(set *deployment, label string) object {
	if !slices.Contains(s.deployments, set) {
		return object{"identifer": set.id, "status": "DRAINING", "taskSetLabel": label, "desiredCount": 0, "pendingCount": 0, "runningCount": 0, "trafficWeight": 0}
	}
	desired := s.desired
	if set.status == "DRAINING" {
		desired = 0
	}
	o := object{
		"identifer": set.id, "status": set.status, "taskSetLabel": label, "trafficWeight": weight(set.revision.production),
		"desiredCount": desired, "pendingCount": s.count(set, "PENDING"), "runningCount": s.count(set, "RUNNING"),
	}
	if len(set.revision.groups) > 0 {
		o["targetGroup"] = object{"name": targetGroupName(set.revision.groups[0])}
	}
	return o
}

// reconcileTaskSets is one turn of the service scheduler for a service whose deployments are somebody else's business.
func (e *ECS) reconcileTaskSets(s *service, now time.Time) {
	if s.status == "DRAINING" {
		if len(s.tasks(nil)) == 0 {
			s.status, s.deployments = "INACTIVE", nil
		}
		return
	}
	e.countFailures(s, now)
	steady := true
	for _, set := range slices.Clone(s.deployments) {
		if set.status == "DRAINING" {
			steady = false
			e.stopAll(s, set, now, "Task set was deleted")
			if len(s.tasks(set)) == 0 {
				s.deployments = slices.DeleteFunc(s.deployments, func(o *deployment) bool { return o == set })
			}
			continue
		}
		own := 0
		for _, t := range s.tasks(set) {
			if t.wanted() {
				own++
			}
		}
		if own < s.desired && !now.Before(set.retry) {
			e.startTasks(s, set, s.desired-own, now)
		}
		for _, t := range slices.Backward(s.tasks(set)) {
			if own > s.desired && t.wanted() {
				own--
				e.stop(t, now, "ServiceSchedulerInitiated", "Scaling activity initiated by (taskSet "+set.id+")")
			}
		}
		steady = steady && s.ready(set) == s.desired && own == s.desired
	}
	if steady && !s.steady {
		e.event(s, now, "has reached a steady state.")
	}
	s.steady = steady
}

// targetGroupName is the name in the ARN of a target group.
func targetGroupName(arn string) string {
	if parts := strings.Split(arn, "/"); len(parts) == 3 {
		return parts[1]
	}
	return arn
}
