// What becomes of CodeDeploy's deployments as time passes. A service with the CODE_DEPLOY controller has a task set that serves
// production traffic (PRIMARY), and while it is deployed to a second one, to which traffic is shifted as the deployment configuration says; the
// first is kept for a while and then terminated.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-bluegreen.html
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html

package codedeploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecs"
	"ecsdeploy/pkg/emulator/scenario"
)

// installLimit is how long CodeDeploy waits for the tasks of a deployment to become healthy.
const installLimit = time.Hour

// trafficRouting is a deployment configuration: the percentages that traffic goes through, and the time between two of them.
type trafficRouting struct {
	steps []float64
	every time.Duration
}

// routing returns one of the predefined deployment configurations, or nil.
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html#deployment-configuration-ecs
func routing(name string) *trafficRouting {
	tenths := []float64{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}
	switch strings.TrimPrefix(name, "CodeDeployDefault.ECS") {
	case "AllAtOnce":
		return &trafficRouting{[]float64{100}, 0}
	case "Linear10PercentEvery1Minutes":
		return &trafficRouting{tenths, time.Minute}
	case "Linear10PercentEvery3Minutes":
		return &trafficRouting{tenths, 3 * time.Minute}
	case "Canary10Percent5Minutes":
		return &trafficRouting{[]float64{10, 100}, 5 * time.Minute}
	case "Canary10Percent15Minutes":
		return &trafficRouting{[]float64{10, 100}, 15 * time.Minute}
	}
	return nil
}

// advance brings a deployment of CodeDeploy forward.
func (e *CodeDeploy) advance(d *deployment, now time.Time) {
	s := d.service
	if s.Status != "ACTIVE" {
		e.end(d, "Failed", "INVALID_ECS_SERVICE", "The ECS service is not ACTIVE.", false, now)
		return
	}
	if d.rollsBack != nil {
		if !slices.Contains(s.Deployments, d.rollsBack.green) {
			d.status, d.completed, d.updated = "Succeeded", now, now
		}
		return
	}
	switch {
	case d.status == "Created":
		if now.Sub(d.created) >= e.Scaled(ecs.Pending) {
			d.status, d.started = "InProgress", now
			e.nextEvent(d, now)
		}
		return
	case d.status == "Ready":
		ready := d.group.doc.Object("blueGreenDeploymentConfiguration").Object("deploymentReadyOption")
		if now.Sub(d.updated) >= e.Scaled(time.Duration(ready.Number("waitTimeInMinutes", 0))*time.Minute) {
			e.end(d, "Stopped", "TIMEOUT", "The deployment timed out while waiting for traffic to be rerouted.", d.autoRollback("DEPLOYMENT_FAILURE"), now)
		}
		return
	case d.waiting:
		e.terminateBlue(d, now)
		return
	}
	if d.alarmed(e, now) {
		return
	}
	ev := d.current()
	if ev == nil {
		return
	}
	age := now.Sub(ev.start)
	switch ev.name {
	case "Install":
		if s.Ready(d.green) >= s.Desired && age >= e.Scaled(ecs.StagePace) {
			e.nextEvent(d, now)
		} else if age >= e.Scaled(installLimit) {
			ev.status, ev.end = "Failed", now
			e.end(d, "Failed", "TIMEOUT", "The deployment timed out while waiting for the replacement task set to become healthy. This time out period is 60 minutes.", d.autoRollback("DEPLOYMENT_FAILURE"), now)
		}
	case "AllowTestTraffic":
		if age >= e.Scaled(ecs.StagePace) {
			e.nextEvent(d, now)
		}
	case "AllowTraffic":
		every := e.routing(d.doc.Str("deploymentConfigName")).every
		switch {
		case len(d.steps) > 0 && (d.shifted.IsZero() || now.Sub(d.shifted) >= e.Scaled(every)):
			d.green.Revision.Production, d.blue.Revision.Production = d.steps[0], 100-d.steps[0]
			d.steps, d.shifted, d.updated = d.steps[1:], now, now
		case len(d.steps) == 0 && now.Sub(d.shifted) >= e.Scaled(ecs.StagePace):
			d.green.Status, d.blue.Status = "PRIMARY", "ACTIVE"
			d.green.Updated, d.blue.Updated = now, now
			s.Doc["taskDefinition"] = d.green.Revision.Definition.ARN
			e.nextEvent(d, now)
		}
	default: // a hook
		lambda := e.scenarioOf(d.green, s).HookFate()
		if age < e.Scaled(lambda.Takes) {
			return
		}
		if lambda.Fails {
			ev.status, ev.end, ev.diagnosis = "Failed", now, "Lifecycle hook function "+d.spec.hooks[ev.name]+" returned Failed"
			e.end(d, "Failed", "HOOK_EXECUTION_FAILURE", "One or more of the lifecycle events validation functions failed. See the deployment logs for details.", d.autoRollback("DEPLOYMENT_FAILURE"), now)
			return
		}
		e.nextEvent(d, now)
	}
}

// scenarioOf is the scenario that a task set plays, or that it will play when it is there.
func (e *CodeDeploy) scenarioOf(d *ecs.Deployment, s *ecs.Service) scenario.Scenario {
	if d != nil {
		return d.Revision.Scenario
	}
	if scripted := e.ecs.Scenario(s); scripted != nil {
		return *scripted
	}
	return scenario.Scenarios()[0]
}

// current is the lifecycle event that is under way.
func (d *deployment) current() *lifecycleEvent {
	for _, ev := range d.events {
		if ev.status == "InProgress" {
			return ev
		}
	}
	return nil
}

// nextEvent ends the lifecycle event that is under way and begins the next one that has something to do.
func (e *CodeDeploy) nextEvent(d *deployment, now time.Time) {
	d.updated = now
	if ev := d.current(); ev != nil {
		ev.status, ev.end = "Succeeded", now
		ready := d.group.doc.Object("blueGreenDeploymentConfiguration").Object("deploymentReadyOption")
		if ev.name == "AfterAllowTestTraffic" || ev.name == "AllowTestTraffic" && d.spec.hooks["AfterAllowTestTraffic"] == "" {
			if ready.Str("actionOnTimeout") == "STOP_DEPLOYMENT" {
				if ev.name == "AllowTestTraffic" {
					d.skip("AfterAllowTestTraffic")
				}
				d.status = "Ready"
				return
			}
		}
	}
	for _, ev := range d.events {
		if ev.status != "Pending" {
			continue
		}
		if slices.Contains(lifecycleHooks, ev.name) && d.spec.hooks[ev.name] == "" {
			ev.status = "Skipped"
			continue
		}
		ev.status, ev.start = "InProgress", now
		switch ev.name {
		case "Install":
			e.install(d, now)
		case "AllowTestTraffic":
			d.blue.Revision.Test, d.green.Revision.Test = 0, 100
		}
		return
	}
	d.waiting, d.shifted = true, now // all traffic is on the new task set
}

func (d *deployment) skip(name string) {
	for _, ev := range d.events {
		if ev.name == name {
			ev.status = "Skipped"
		}
	}
}

// install makes the new task set, or fails the deployment where ECS refuses it.
func (e *CodeDeploy) install(d *deployment, now time.Time) {
	s := d.service
	refused := func(err error) {
		api := err.(*awsapi.Error)
		d.current().status = "Failed"
		e.end(d, "Failed", "ECS_UPDATE_ERROR", fmt.Sprintf("The ECS service cannot be updated due to an unexpected error: %s (Service: AmazonECS; Status Code: 400; Error Code: %s; Request ID: %s; Proxy: null). Check your ECS service status.", api.Message, api.Code, e.ID(awsapi.UUID)), d.autoRollback("DEPLOYMENT_FAILURE"), now)
	}
	td, err := e.ecs.UsableTaskDefinition(d.spec.TaskDefinition, "InvalidParameterException")
	if err != nil {
		refused(err)
		return
	}
	blue := s.Serving()
	doc := s.Doc.With(d.spec.settings)
	var balancers []any
	var groups []string
	pair := d.group.doc.Object("loadBalancerInfo").Objects("targetGroupPairInfoList")[0]
	for _, name := range groupNames(pair) {
		if len(blue.Revision.Groups) > 0 && name != ecs.TargetGroupName(blue.Revision.Groups[0]) {
			arn := e.ARN("elasticloadbalancing", "targetgroup/"+name+"/"+groupID(name))
			for _, lb := range s.Doc.Objects("loadBalancers") {
				if ecs.TargetGroupName(lb.Str("targetGroupArn")) == name {
					arn = lb.Str("targetGroupArn")
				}
			}
			balancers = append(balancers, awsapi.Object{"targetGroupArn": arn, "containerName": d.spec.Container, "containerPort": d.spec.Port})
			groups = append(groups, arn)
		}
	}
	doc["loadBalancers"] = balancers
	if err := ecs.CheckPlacement(doc, td); err != nil {
		refused(err)
		return
	}
	for _, o := range s.Deployments { // what an earlier deployment has left behind
		if o != blue {
			o.Status, o.Updated = "DRAINING", now
		}
	}
	scenario := scenario.Scenarios()[0]
	if scripted := e.ecs.Scenario(s); scripted != nil && !(s.Proven[td.ARN] && blue.Revision.Definition != td) {
		scenario = *scripted
	}
	d.blue, d.green = blue, e.ecs.AddTaskSet(s, td, "ACTIVE", scenario, now)
	d.green.Revision.Settings = d.green.Revision.Settings.With(d.spec.settings)
	d.green.Revision.Settings["loadBalancers"] = awsapi.Anys(doc.List("loadBalancers"))
	d.green.Revision.Groups, d.green.ExternalID = groups, d.id
}

// groupID makes up the last part of the ARN of a target group that only its name is known of.
func groupID(name string) string {
	h := uint64(14695981039346656037)
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return fmt.Sprintf("%016x", h)
}

// terminateBlue ends the original task set when it has been kept for long enough.
func (e *CodeDeploy) terminateBlue(d *deployment, now time.Time) {
	option := d.group.doc.Object("blueGreenDeploymentConfiguration").Object("terminateBlueInstancesOnDeploymentSuccess")
	if d.alarmed(e, now) || now.Sub(d.shifted) < e.Scaled(time.Duration(option.Number("terminationWaitTimeInMinutes", 0))*time.Minute) {
		return
	}
	if option.Str("action") != "KEEP_ALIVE" {
		if d.blue.Status != "DRAINING" && slices.Contains(d.service.Deployments, d.blue) {
			d.blue.Status, d.blue.Updated = "DRAINING", now
		}
		if slices.Contains(d.service.Deployments, d.blue) {
			return
		}
	}
	d.service.Proven[d.green.Revision.Definition.ARN] = true
	d.status, d.completed, d.updated, d.group.succeeded = "Succeeded", now, now, d
}

// alarmed ends a deployment whose alarm goes off, from when its traffic is shifted.
func (d *deployment) alarmed(e *CodeDeploy, now time.Time) bool {
	configuration := d.group.doc.Object("alarmConfiguration")
	if own := d.doc.Object("overrideAlarmConfiguration"); own != nil {
		configuration = own
	}
	if !configuration.Flag("enabled") || d.green == nil || d.green.Revision.Scenario.Alarm == nil {
		return false
	}
	for _, ev := range d.events {
		if ev.name == "AllowTraffic" && !ev.start.IsZero() && now.Sub(ev.start) >= e.Scaled(d.green.Revision.Scenario.Alarm.After) {
			e.end(d, "Stopped", "ALARM_ACTIVE", alarmActive(d.green.Revision.Scenario.Alarm.Name),
				d.autoRollback("DEPLOYMENT_STOP_ON_ALARM"), now)
			return true
		}
	}
	return false
}

// alarmActive is why a deployment ends whose alarm has gone off.
func alarmActive(name string) string {
	return "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected deployments have been stopped. Activated alarms: <" + name + ">"
}

// end ends a deployment before its time. Rolled back, traffic returns to the original task set at once and the new one goes, under a
// deployment of its own; otherwise everything stays as it is.
func (e *CodeDeploy) end(d *deployment, status, code, reason string, back bool, now time.Time) {
	d.status, d.code, d.reason, d.completed, d.updated, d.waiting = status, code, reason, now, now, false
	for _, ev := range d.events {
		switch ev.status {
		case "InProgress":
			ev.status, ev.end = "Failed", now
		case "Pending":
			ev.status = "Skipped"
		}
	}
	e.ecs.Busy = true
	if !back || d.green == nil {
		return
	}
	s := d.service
	d.blue.Revision.Production, d.blue.Revision.Test = 100, 100
	d.green.Revision.Production, d.green.Revision.Test = 0, 0
	d.blue.Status, d.green.Status = "PRIMARY", "DRAINING"
	d.blue.Updated, d.green.Updated = now, now
	s.Doc["taskDefinition"] = d.blue.Revision.Definition.ARN
	if !slices.Contains(s.Deployments, d.blue) {
		s.Deployments = append(s.Deployments, d.blue)
	}
	r := e.newDeployment(d.group, s, "codeDeployRollback", now)
	r.status, r.started, r.rollsBack, r.blue, r.green = "InProgress", now, d, d.blue, d.green
	r.doc["deploymentConfigName"] = d.doc["deploymentConfigName"]
	if d.group.succeeded != nil {
		r.doc.Put("revision", d.group.succeeded.doc["revision"])
	}
	r.message = fmt.Sprintf("Deployment %s was triggered as a rollback of deployment %s.", r.id, d.id)
	d.rolledBackBy, d.message = r, fmt.Sprintf("Deployment %s was rolled back by deployment %s.", d.id, r.id)
}

func (d *deployment) record() awsapi.DeploymentRecord {
	out := awsapi.DeploymentRecord{
		Cluster: d.service.Cluster.Name, Service: d.service.Name, ID: d.id, TaskDefinition: d.spec.TaskDefinition, Caller: d.caller, StoppedBy: d.stoppedBy,
		Created: d.created, Ended: d.completed, Status: d.status, Reason: d.reason,
	}
	switch {
	case d.rollsBack != nil: // it brings back what was there before
		out.TaskDefinition, out.Digests = d.blue.Revision.Definition.ARN, maps.Clone(d.blue.Revision.Digests)
	case d.green != nil:
		out.TaskDefinition, out.Digests = d.green.Revision.Definition.ARN, maps.Clone(d.green.Revision.Digests)
	}
	if d.rolledBackBy != nil {
		out.RolledBackTo = d.rolledBackBy.id
	}
	return out
}

// Records are all deployments ever, newest last.
func (e *CodeDeploy) Records() []awsapi.DeploymentRecord {
	var out []awsapi.DeploymentRecord
	for _, d := range slices.Backward(e.deployments) {
		out = append(out, d.record())
	}
	return out
}
