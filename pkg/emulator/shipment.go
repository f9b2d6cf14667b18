// What becomes of CodeDeploy's deployments as time passes. A service with the CODE_DEPLOY controller has a task set that serves
// production traffic (PRIMARY), and while it is deployed to a second one, to which traffic is shifted as the deployment configuration says; the
// first is kept for a while and then terminated.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-bluegreen.html
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html

package emulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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

// advanceShipment brings a deployment of CodeDeploy forward.
func (e *CodeDeploy) advanceShipment(d *shipment, now time.Time) {
	s := d.service
	if s.status != "ACTIVE" {
		e.endShipment(d, "Failed", "INVALID_ECS_SERVICE", "The ECS service is not ACTIVE.", false, now)
		return
	}
	if d.rollsBack != nil {
		if !slices.Contains(s.deployments, d.rollsBack.green) {
			d.status, d.completed, d.updated = "Succeeded", now, now
		}
		return
	}
	switch {
	case d.status == "Created":
		if now.Sub(d.created) >= e.scaled(pending) {
			d.status, d.started = "InProgress", now
			e.nextEvent(d, now)
		}
		return
	case d.status == "Ready":
		ready := d.group.doc.object("blueGreenDeploymentConfiguration").object("deploymentReadyOption")
		if now.Sub(d.updated) >= e.scaled(time.Duration(ready.number("waitTimeInMinutes", 0))*time.Minute) {
			e.endShipment(d, "Stopped", "TIMEOUT", "The deployment timed out while waiting for traffic to be rerouted.", d.autoRollback("DEPLOYMENT_FAILURE"), now)
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
		if s.ready(d.green) >= s.desired && age >= e.scaled(stagePace) {
			e.nextEvent(d, now)
		} else if age >= e.scaled(installLimit) {
			ev.status, ev.end = "Failed", now
			e.endShipment(d, "Failed", "TIMEOUT", "The deployment timed out while waiting for the replacement task set to become healthy. This time out period is 60 minutes.", d.autoRollback("DEPLOYMENT_FAILURE"), now)
		}
	case "AllowTestTraffic":
		if age >= e.scaled(stagePace) {
			e.nextEvent(d, now)
		}
	case "AllowTraffic":
		every := routing(d.doc.str("deploymentConfigName")).every
		switch {
		case len(d.steps) > 0 && (d.shifted.IsZero() || now.Sub(d.shifted) >= e.scaled(every)):
			d.green.revision.production, d.blue.revision.production = d.steps[0], 100-d.steps[0]
			d.steps, d.shifted, d.updated = d.steps[1:], now, now
		case len(d.steps) == 0 && now.Sub(d.shifted) >= e.scaled(stagePace):
			d.green.status, d.blue.status = "PRIMARY", "ACTIVE"
			d.green.updated, d.blue.updated = now, now
			s.doc["taskDefinition"] = d.green.revision.definition.arn
			e.nextEvent(d, now)
		}
	default: // a hook
		lambda := e.scenarioOf(d.green, s).lambda()
		if age < e.scaled(lambda.Takes) {
			return
		}
		if lambda.Fails {
			ev.status, ev.end, ev.diagnosis = "Failed", now, "Lifecycle hook function "+d.spec.hooks[ev.name]+" returned Failed"
			e.endShipment(d, "Failed", "HOOK_EXECUTION_FAILURE", "One or more of the lifecycle events validation functions failed. See the deployment logs for details.", d.autoRollback("DEPLOYMENT_FAILURE"), now)
			return
		}
		e.nextEvent(d, now)
	}
}

// scenarioOf is the scenario that a task set plays, or that it will play when it is there.
func (e *CodeDeploy) scenarioOf(d *deployment, s *service) Scenario {
	if d != nil {
		return d.revision.scenario
	}
	if scripted := e.ecs.scenario(s); scripted != nil {
		return *scripted
	}
	return Scenarios()[0]
}

// current is the lifecycle event that is under way.
func (d *shipment) current() *lifecycleEvent {
	for _, ev := range d.events {
		if ev.status == "InProgress" {
			return ev
		}
	}
	return nil
}

// nextEvent ends the lifecycle event that is under way and begins the next one that has something to do.
func (e *CodeDeploy) nextEvent(d *shipment, now time.Time) {
	d.updated = now
	if ev := d.current(); ev != nil {
		ev.status, ev.end = "Succeeded", now
		ready := d.group.doc.object("blueGreenDeploymentConfiguration").object("deploymentReadyOption")
		if ev.name == "AfterAllowTestTraffic" || ev.name == "AllowTestTraffic" && d.spec.hooks["AfterAllowTestTraffic"] == "" {
			if ready.str("actionOnTimeout") == "STOP_DEPLOYMENT" {
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
			d.blue.revision.test, d.green.revision.test = 0, 100
		}
		return
	}
	d.waiting, d.shifted = true, now // all traffic is on the new task set
}

func (d *shipment) skip(name string) {
	for _, ev := range d.events {
		if ev.name == name {
			ev.status = "Skipped"
		}
	}
}

// install makes the new task set, or fails the deployment where ECS refuses it.
func (e *CodeDeploy) install(d *shipment, now time.Time) {
	s := d.service
	refused := func(err error) {
		api := err.(*apiError)
		d.current().status = "Failed"
		e.endShipment(d, "Failed", "ECS_UPDATE_ERROR", fmt.Sprintf("The ECS service cannot be updated due to an unexpected error: %s (Service: AmazonECS; Status Code: 400; Error Code: %s; Request ID: %s; Proxy: null). Check your ECS service status.", api.message, api.code, e.id(uuidID)), d.autoRollback("DEPLOYMENT_FAILURE"), now)
	}
	td, err := e.ecs.usableTaskDefinition(d.spec.taskDefinition, "InvalidParameterException")
	if err != nil {
		refused(err)
		return
	}
	blue := s.serving()
	doc := s.doc.with(d.spec.settings)
	var balancers []any
	var groups []string
	pair := d.group.doc.object("loadBalancerInfo").objects("targetGroupPairInfoList")[0]
	for _, name := range groupNames(pair) {
		if len(blue.revision.groups) > 0 && name != targetGroupName(blue.revision.groups[0]) {
			arn := e.arn("elasticloadbalancing", "targetgroup/"+name+"/"+groupID(name))
			for _, lb := range s.doc.objects("loadBalancers") {
				if targetGroupName(lb.str("targetGroupArn")) == name {
					arn = lb.str("targetGroupArn")
				}
			}
			balancers = append(balancers, object{"targetGroupArn": arn, "containerName": d.spec.container, "containerPort": d.spec.port})
			groups = append(groups, arn)
		}
	}
	doc["loadBalancers"] = balancers
	if err := checkPlacement(doc, td); err != nil {
		refused(err)
		return
	}
	for _, o := range s.deployments { // what an earlier deployment has left behind
		if o != blue {
			o.status, o.updated = "DRAINING", now
		}
	}
	scenario := Scenarios()[0]
	if scripted := e.ecs.scenario(s); scripted != nil && !(s.proven[td.arn] && blue.revision.definition != td) {
		scenario = *scripted
	}
	d.blue, d.green = blue, e.ecs.addTaskSet(s, td, "ACTIVE", scenario, now)
	d.green.revision.settings = d.green.revision.settings.with(d.spec.settings)
	d.green.revision.settings["loadBalancers"] = anys(doc.list("loadBalancers"))
	d.green.revision.groups, d.green.shipment = groups, d.id
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
func (e *CodeDeploy) terminateBlue(d *shipment, now time.Time) {
	option := d.group.doc.object("blueGreenDeploymentConfiguration").object("terminateBlueInstancesOnDeploymentSuccess")
	if d.alarmed(e, now) || now.Sub(d.shifted) < e.scaled(time.Duration(option.number("terminationWaitTimeInMinutes", 0))*time.Minute) {
		return
	}
	if option.str("action") != "KEEP_ALIVE" {
		if d.blue.status != "DRAINING" && slices.Contains(d.service.deployments, d.blue) {
			d.blue.status, d.blue.updated = "DRAINING", now
		}
		if slices.Contains(d.service.deployments, d.blue) {
			return
		}
	}
	d.service.proven[d.green.revision.definition.arn] = true
	d.status, d.completed, d.updated, d.group.succeeded = "Succeeded", now, now, d
}

// alarmed ends a deployment whose alarm goes off, from when its traffic is shifted.
func (d *shipment) alarmed(e *CodeDeploy, now time.Time) bool {
	configuration := d.group.doc.object("alarmConfiguration")
	if own := d.doc.object("overrideAlarmConfiguration"); own != nil {
		configuration = own
	}
	if !configuration.flag("enabled") || d.green == nil || d.green.revision.scenario.Alarm == nil {
		return false
	}
	for _, ev := range d.events {
		if ev.name == "AllowTraffic" && !ev.start.IsZero() && now.Sub(ev.start) >= e.scaled(d.green.revision.scenario.Alarm.After) {
			e.endShipment(d, "Stopped", "ALARM_ACTIVE", "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected deployments have been stopped. Activated alarms: <"+d.green.revision.scenario.Alarm.Name+">",
				d.autoRollback("DEPLOYMENT_STOP_ON_ALARM"), now)
			return true
		}
	}
	return false
}

// endShipment ends a deployment before its time. Rolled back, traffic returns to the original task set at once and the new one goes, under a
// deployment of its own; otherwise everything stays as it is.
func (e *CodeDeploy) endShipment(d *shipment, status, code, reason string, back bool, now time.Time) {
	d.status, d.code, d.reason, d.completed, d.updated, d.waiting = status, code, reason, now, now, false
	for _, ev := range d.events {
		switch ev.status {
		case "InProgress":
			ev.status, ev.end = "Failed", now
		case "Pending":
			ev.status = "Skipped"
		}
	}
	e.ecs.busy = true
	if !back || d.green == nil {
		return
	}
	s := d.service
	d.blue.revision.production, d.blue.revision.test = 100, 100
	d.green.revision.production, d.green.revision.test = 0, 0
	d.blue.status, d.green.status = "PRIMARY", "DRAINING"
	d.blue.updated, d.green.updated = now, now
	s.doc["taskDefinition"] = d.blue.revision.definition.arn
	if !slices.Contains(s.deployments, d.blue) {
		s.deployments = append(s.deployments, d.blue)
	}
	r := e.newShipment(d.group, s, "codeDeployRollback", now)
	r.status, r.started, r.rollsBack, r.blue, r.green = "InProgress", now, d, d.blue, d.green
	r.doc["deploymentConfigName"] = d.doc["deploymentConfigName"]
	if d.group.succeeded != nil {
		r.doc.put("revision", d.group.succeeded.doc["revision"])
	}
	r.message = fmt.Sprintf("Deployment %s was triggered as a rollback of deployment %s.", r.id, d.id)
	d.rolledBackBy, d.message = r, fmt.Sprintf("Deployment %s was rolled back by deployment %s.", d.id, r.id)
}

func (d *shipment) record() DeploymentRecord {
	out := DeploymentRecord{
		Cluster: d.service.cluster.name, Service: d.service.name, ID: d.id, TaskDefinition: d.spec.taskDefinition, Caller: d.caller, StoppedBy: d.stoppedBy,
		Created: d.created, Ended: d.completed, Status: d.status, Reason: d.reason,
	}
	if d.green != nil {
		out.TaskDefinition, out.Digests = d.green.revision.definition.arn, maps.Clone(d.green.revision.digests)
	}
	if d.rolledBackBy != nil {
		out.RolledBackTo = d.rolledBackBy.id
	}
	return out
}

// records are all deployments ever, newest last.
func (e *CodeDeploy) records() []DeploymentRecord {
	var out []DeploymentRecord
	for _, d := range slices.Backward(e.deployments) {
		out = append(out, d.record())
	}
	return out
}
