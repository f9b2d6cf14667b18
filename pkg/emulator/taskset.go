// Task sets, and what becomes of CodeDeploy's deployments as time passes. A service with the CODE_DEPLOY controller has a task set that serves
// production traffic (PRIMARY), and while it is deployed to a second one, to which traffic is shifted as the deployment configuration says; the
// first is kept for a while and then terminated.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-bluegreen.html
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html

package emulator

import (
	"fmt"
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

// addTaskSet gives a service another task set.
func (e *Emulator) addTaskSet(s *service, td *taskDefinition, status string, scenario Scenario, now time.Time) *deployment {
	number := e.id(deploymentID)
	rev := &revision{id: number, service: s, definition: td, created: now, digests: map[string]string{}, scenario: scenario, settings: s.settings()}
	set := &deployment{id: "ecs-svc/" + number, status: status, revision: rev, created: now, updated: now}
	s.deployments = append(s.deployments, set)
	e.ecs.busy, s.steady = true, false
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
func (e *Emulator) firstTaskSet(s *service, td *taskDefinition, now time.Time) {
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
func (e *Emulator) reconcileTaskSets(s *service, now time.Time) {
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

// advanceShipment brings a deployment of CodeDeploy forward.
func (e *Emulator) advanceShipment(d *shipment, now time.Time) {
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
		lambda := d.green.scenarioOr(e, s).lambda()
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

// scenarioOr is the scenario that a task set plays, or that it will play when it is there.
func (d *deployment) scenarioOr(e *Emulator, s *service) Scenario {
	if d != nil {
		return d.revision.scenario
	}
	if scripted := e.scenario(s); scripted != nil {
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
func (e *Emulator) nextEvent(d *shipment, now time.Time) {
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
func (e *Emulator) install(d *shipment, now time.Time) {
	s := d.service
	refused := func(err error) {
		api := err.(*apiError)
		d.current().status = "Failed"
		e.endShipment(d, "Failed", "ECS_UPDATE_ERROR", fmt.Sprintf("The ECS service cannot be updated due to an unexpected error: %s (Service: AmazonECS; Status Code: 400; Error Code: %s; Request ID: %s; Proxy: null). Check your ECS service status.", api.message, api.code, e.id(uuidID)), d.autoRollback("DEPLOYMENT_FAILURE"), now)
	}
	td, err := e.usableTaskDefinition(d.spec.taskDefinition, "InvalidParameterException")
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
	if scripted := e.scenario(s); scripted != nil && !(s.proven[td.arn] && blue.revision.definition != td) {
		scenario = *scripted
	}
	d.blue, d.green = blue, e.addTaskSet(s, td, "ACTIVE", scenario, now)
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
func (e *Emulator) terminateBlue(d *shipment, now time.Time) {
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
func (d *shipment) alarmed(e *Emulator, now time.Time) bool {
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
func (e *Emulator) endShipment(d *shipment, status, code, reason string, back bool, now time.Time) {
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
