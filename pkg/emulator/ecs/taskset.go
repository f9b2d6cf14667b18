// Task sets: what a service with the CODE_DEPLOY controller has in the place of deployments. One serves production traffic (PRIMARY), and while
// the service is deployed to there is a second one. ECS keeps each at the service's desired count; everything else is CodeDeploy's business.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-bluegreen.html

package ecs

import (
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// AddTaskSet gives a service another task set.
func (e *ECS) AddTaskSet(s *Service, td *taskDefinition, status string, scenario scenario.Scenario, now time.Time) *Deployment {
	number := e.ID(awsapi.DeploymentID)
	rev := &revision{id: number, service: s, Definition: td, created: now, Digests: map[string]string{}, Scenario: scenario, Settings: s.settings()}
	set := &Deployment{id: "ecs-svc/" + number, Status: status, Revision: rev, created: now, Updated: now}
	s.Deployments = append(s.Deployments, set)
	e.Busy, s.steady = true, false
	return set
}

// Derive registers, as somebody else, another revision of what a task set runs. Its tasks stay healthy, whatever the service plays. It returns its ARN.
func (e *ECS) Derive(s *Service, set *Deployment, now time.Time) string {
	base := set.Revision.Definition
	td := e.addRevision(base.family, awsapi.CopyOf(base.doc), e.Stranger(), now)
	s.Proven[td.ARN] = true
	return td.ARN
}

// settings are what a new revision of the service runs with.
func (s *Service) settings() awsapi.Object {
	out := awsapi.Object{}
	for _, m := range []string{"capacityProviderStrategy", "launchType", "platformFamily", "loadBalancers", "serviceRegistries", "networkConfiguration", "serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"} {
		out.Put(m, awsapi.CopyOf(s.Doc[m]))
	}
	if s.fargate() {
		out["platformVersion"] = platformVersion
	}
	return out
}

// firstTaskSet is the one that a service is created with.
func (e *ECS) firstTaskSet(s *Service, td *taskDefinition, now time.Time) {
	set := e.AddTaskSet(s, td, "PRIMARY", scenario.Scenarios()[0], now)
	set.Revision.Production, set.Revision.Test = 100, 100
	for _, lb := range s.Doc.Objects("loadBalancers") {
		set.Revision.Groups = append(set.Revision.Groups, lb.Str("targetGroupArn"))
	}
}

// Serving is the PRIMARY task set; nil where there is none.
func (s *Service) Serving() *Deployment {
	for _, d := range s.Deployments {
		if d.Status == "PRIMARY" {
			return d
		}
	}
	return nil
}

func (s *Service) describeTaskSet(set *Deployment) awsapi.Object {
	wanted := 0
	for _, t := range s.tasks(set) {
		if t.wanted() {
			wanted++
		}
	}
	scale, target := 100, s.Desired
	if set.Status == "DRAINING" {
		scale, target = 0, 0
	}
	stable := "STABILIZING"
	if s.Ready(set) == target && wanted == target {
		stable = "STEADY_STATE"
	}
	o := awsapi.Object{
		"id": set.id, "taskSetArn": strings.Replace(s.ARN, ":service/", ":task-set/", 1) + "/" + set.id, "serviceArn": s.ARN, "clusterArn": s.Cluster.arn,
		"status": set.Status, "taskDefinition": set.Revision.Definition.ARN, "startedBy": "CODE_DEPLOY",
		"computedDesiredCount": target, "pendingCount": s.count(set, "PENDING"), "runningCount": s.count(set, "RUNNING"),
		"createdAt": awsapi.Epoch(set.created), "updatedAt": awsapi.Epoch(set.Updated), "stabilityStatus": stable, "stabilityStatusAt": awsapi.Epoch(set.Updated),
		"scale": awsapi.Object{"value": scale, "unit": "PERCENT"},
	}
	o.Put("externalId", set.ExternalID)
	for _, m := range []string{"launchType", "platformVersion", "platformFamily", "networkConfiguration", "capacityProviderStrategy"} {
		o.Put(m, set.Revision.Settings[m])
	}
	var balancers []any
	for i, lb := range set.Revision.Settings.Objects("loadBalancers") {
		if i < len(set.Revision.Groups) {
			balancers = append(balancers, awsapi.Object{"targetGroupArn": set.Revision.Groups[i], "containerName": lb["containerName"], "containerPort": lb["containerPort"]})
		}
	}
	o.Put("loadBalancers", balancers)
	return o
}

// TaskSetInfo is how CodeDeploy shows a task set.
func (s *Service) TaskSetInfo(set *Deployment, label string) awsapi.Object {
	if !slices.Contains(s.Deployments, set) {
		return awsapi.Object{"identifer": set.id, "status": "DRAINING", "taskSetLabel": label, "desiredCount": 0, "pendingCount": 0, "runningCount": 0, "trafficWeight": 0}
	}
	desired := s.Desired
	if set.Status == "DRAINING" {
		desired = 0
	}
	o := awsapi.Object{
		"identifer": set.id, "status": set.Status, "taskSetLabel": label, "trafficWeight": weight(set.Revision.Production),
		"desiredCount": desired, "pendingCount": s.count(set, "PENDING"), "runningCount": s.count(set, "RUNNING"),
	}
	if len(set.Revision.Groups) > 0 {
		o["targetGroup"] = awsapi.Object{"name": TargetGroupName(set.Revision.Groups[0])}
	}
	return o
}

// reconcileTaskSets is one turn of the service scheduler for a service whose deployments are somebody else's business.
func (e *ECS) reconcileTaskSets(s *Service, now time.Time) {
	if s.Status == "DRAINING" {
		if len(s.tasks(nil)) == 0 {
			s.Status, s.Deployments = "INACTIVE", nil
		}
		return
	}
	e.countFailures(s, now)
	steady := true
	for _, set := range slices.Clone(s.Deployments) {
		if set.Status == "DRAINING" {
			steady = false
			e.stopAll(s, set, now, "Task set was deleted")
			if len(s.tasks(set)) == 0 {
				s.Deployments = slices.DeleteFunc(s.Deployments, func(o *Deployment) bool { return o == set })
			}
			continue
		}
		own := 0
		for _, t := range s.tasks(set) {
			if t.wanted() {
				own++
			}
		}
		if own < s.Desired && !now.Before(set.retry) {
			e.startTasks(s, set, s.Desired-own, now)
		}
		for _, t := range slices.Backward(s.tasks(set)) {
			if own > s.Desired && t.wanted() {
				own--
				e.stop(t, now, "ServiceSchedulerInitiated", "Scaling activity initiated by (taskSet "+set.id+")")
			}
		}
		steady = steady && s.Ready(set) == s.Desired && own == s.Desired
	}
	if steady && !s.steady {
		e.event(s, now, "has reached a steady state.")
	}
	s.steady = steady
}

// TargetGroupName is the name in the ARN of a target group.
func TargetGroupName(arn string) string {
	if parts := strings.Split(arn, "/"); len(parts) == 3 {
		return parts[1]
	}
	return arn
}
