// Deployments as ECS shows them twice: the service's list of deployments (PRIMARY, ACTIVE, rolloutState) and service deployments with service
// revisions, which outlive them. In Go a service deployment is a release, to tell the two apart.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html

package emulator

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deployment is an entry of DescribeServices' deployments.
type deployment struct {
	id       string // ecs-svc/…
	status   string // PRIMARY, ACTIVE
	revision *revision
	created  time.Time
	updated  time.Time
	state    string // IN_PROGRESS, COMPLETED, FAILED
	reason   string
	failed   int // tasks that failed one after the other
	unplaced int // attempts to start a task for which there was no place
	retry    time.Time
	release  *release // the service deployment that it carries out; nil for a task set
	shipment string   // id of the deployment of CodeDeploy that made the task set
	rounds   int      // how often tasks of it were started

	completedShown time.Time // when its completion is seen in the service's list
	reasonBefore   string    // what that list says until then
}

// revision is a service revision: what runs, at one point of the service's history.
type revision struct {
	id, arn    string
	service    *service
	definition *taskDefinition
	created    time.Time
	settings   object
	digests    map[string]string // container → digest that its image was resolved to
	groups     []string          // target groups, one for each load balancer of the service
	production float64           // percent of the production traffic
	test       float64           // and of the test traffic
	scenario   Scenario
	launched   int

	architecture string // of an Express service, where it is not the task definition's
}

// release is a service deployment.
type release struct {
	arn                        string
	service                    *service
	status, reason             string
	created, started, finished time.Time
	stopped, updated           time.Time
	sources                    []*revision
	target                     *revision
	configuration              object
	rollback                   object
	breaker                    string // its status
	failures                   int
	alarms                     string   // status of their monitoring
	triggered                  []string // names of alarms that went off
	interloped                 bool

	caller, stoppedBy string // principals: who started it, and who asked for its end
	supersededBy      string // id of the deployment that took its place

	listed                   time.Time // from when ListServiceDeployments has it
	recordLag, completionLag time.Duration
	views                    []view // where recordLag is not zero: what it looked like

	// Of a release that shifts traffic, and in part of one that bakes.
	stage     string
	entered   time.Time // the stage
	hooks     []*hook   // all runs so far
	steps     []float64 // percentages of production traffic still to come
	returning bool      // traffic is given back
}

// final says whether nothing more will become of a release.
func (r *release) final() bool {
	switch r.status {
	case "SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED":
		return true
	}
	return false
}

// finish ends a release that has not ended.
func (r *release) finish(status, reason string, now time.Time) {
	if r.final() {
		return
	}
	r.status, r.updated, r.finished = status, now, now
	if reason != "" {
		r.reason = reason
	}
	if status == "STOPPED" {
		r.stopped = now
	}
	for _, monitor := range []*string{&r.breaker, &r.alarms} {
		if *monitor == "MONITORING" {
			*monitor = "MONITORING_COMPLETE"
		}
	}
}

// blocking says whether the old tasks go before an early success.
func (r *release) blocking() bool {
	return r.configuration.object("earlySuccessCriteria").str("sourceServiceRevisionCleanup") == "BLOCKING"
}

func (s *service) primary() *deployment {
	if len(s.deployments) == 0 {
		return nil
	}
	return s.deployments[0]
}

// breaker returns the circuit breaker of a service and the number of failed tasks that trips it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
func (s *service) breaker() (enable, rollback bool, threshold int) {
	b := s.doc.object("deploymentConfiguration").object("deploymentCircuitBreaker")
	t := b.object("thresholdConfiguration")
	value := t.number("value", 50)
	percent := int(math.Ceil(float64(value) * float64(s.desired) / 100))
	switch t.str("type") {
	case "COUNT":
		threshold = value
	case "UNBOUNDED_PERCENT":
		threshold = max(percent, 1)
	default:
		threshold = max(3, min(200, percent))
	}
	return b.flag("enable"), b.flag("rollback"), threshold
}

// deploy starts a deployment of what the service's document now says.
func (e *ECS) deploy(s *service, caller string, now time.Time) {
	td, err := e.findTaskDefinition(s.doc.str("taskDefinition"))
	if err != nil {
		return // checked before
	}
	scenario := Scenarios()[0]
	old := s.primary()
	goingBack := old != nil && old.revision.definition != td && s.proven[td.arn]
	if scripted := e.scenario(s); scripted != nil && old != nil && !goingBack {
		scenario = *scripted
	}
	number := e.id(deploymentID)
	rev := &revision{
		id: number, arn: strings.Replace(s.arn, ":service/", ":service-revision/", 1) + "/" + number,
		service: s, definition: td, created: now, digests: map[string]string{}, scenario: scenario, settings: s.settings(),
	}
	rel := &release{
		arn: strings.Replace(s.arn, ":service/", ":service-deployment/", 1) + "/" + e.id(releaseID), service: s, caller: caller,
		status: "PENDING", created: now, updated: now, target: rev, configuration: copyOf(s.doc.object("deploymentConfiguration")), breaker: "DISABLED", alarms: "DISABLED",
	}
	e.drawLags(rel)
	rel.steps = trafficSteps(rel.configuration)
	if enabled, _, _ := s.breaker(); enabled {
		rel.breaker = "MONITORING"
	}
	if rel.configuration.object("alarms").flag("enable") {
		rel.alarms = "MONITORING"
	}
	rev.groups = s.groupsFor(rel.shifts())
	for _, d := range s.deployments {
		d.status = "ACTIVE"
		rel.sources = append(rel.sources, d.revision)
		if !d.release.final() {
			d.release.supersededBy = "ecs-svc/" + number
		}
		d.release.finish("STOPPED", "Service deployment was stopped because a new service deployment was started.", now)
	}
	if old == nil && !rel.shifts() {
		rev.production, rev.test = 100, 100
	}
	d := &deployment{id: "ecs-svc/" + number, status: "PRIMARY", revision: rev, created: now, updated: now, release: rel}
	d.progress("IN_PROGRESS", "ECS deployment "+d.id+" in progress.", now)
	s.deployments = append([]*deployment{d}, s.deployments...)
	s.releases = append([]*release{rel}, s.releases...)
	e.history = append(e.history, rel)
	s.revisions = append([]*revision{rev}, s.revisions...)
	s.steady = false
	e.busy = true
}

// groupsFor chooses the target groups of the next revision. One that shifts traffic gets those that the revision with the traffic does not have.
func (s *service) groupsFor(shifts bool) []string {
	var used []string
	if blue := s.blue(nil); blue != nil {
		used = blue.revision.groups
	}
	var groups []string
	for i, lb := range s.doc.objects("loadBalancers") {
		if !lb.has("targetGroupArn") {
			continue // a Classic Load Balancer has instances, no target groups
		}
		group, alternate := lb.str("targetGroupArn"), lb.object("advancedConfiguration").str("alternateTargetGroupArn")
		if i < len(used) && alternate != "" && (shifts && used[i] == group || !shifts && used[i] == alternate) {
			group = alternate
		}
		groups = append(groups, group)
	}
	return groups
}

func (d *deployment) progress(state, reason string, now time.Time) {
	d.state, d.reason, d.updated = state, reason, now
}

// platformVersion is what LATEST stands for on Fargate.
const platformVersion = "1.4.0"

func (s *service) describeDeployment(d *deployment, now time.Time) object {
	desired := s.desired
	if d.status != "PRIMARY" || d.state == "FAILED" {
		desired = 0
		for _, t := range s.tasks(d) {
			if t.wanted() {
				desired++
			}
		}
	}
	o := object{
		"id": d.id, "status": d.status, "taskDefinition": d.revision.definition.arn, "createdAt": epoch(d.created), "updatedAt": epoch(d.updated),
		"desiredCount": desired, "pendingCount": s.count(d, "PENDING"), "runningCount": s.count(d, "RUNNING"), "failedTasks": d.failed,
	}
	if !s.classic() { // the reference: rolloutState is not returned for services behind a Classic Load Balancer
		o["rolloutState"], o["rolloutStateReason"] = d.shownState(now)
	}
	for _, m := range []string{"capacityProviderStrategy", "launchType", "platformVersion", "platformFamily", "networkConfiguration", "serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"} {
		o.put(m, d.revision.settings[m])
	}
	return o
}

// summary is how a service deployment shows a revision's tasks, and its traffic where that is managed.
func (s *service) summary(r *revision, traffic bool) object {
	d := &deployment{id: "ecs-svc/" + r.id}
	requested := 0
	for _, t := range s.tasks(d) {
		if t.wanted() {
			requested++
		}
	}
	if p := s.primary(); p != nil && p.revision == r && p.state != "FAILED" && (!p.release.shifts() || p.release.reached(scaleUp)) {
		requested = s.desired
	}
	o := object{"arn": r.arn, "requestedTaskCount": requested, "runningTaskCount": s.count(d, "RUNNING"), "pendingTaskCount": s.count(d, "PENDING")}
	if traffic && len(r.groups) > 0 {
		o["requestedProductionTrafficWeight"] = weight(r.production)
		if s.testRule() {
			o["requestedTestTrafficWeight"] = weight(r.test)
		}
	}
	return o
}

// weight is a percentage of traffic as ECS writes it.
func weight(percent float64) json.Number {
	return json.Number(strconv.FormatFloat(percent, 'f', 1, 64))
}

// describe is the service deployment as it is; callers of the API see that of [release.seen].
func (r *release) describe() object {
	s := r.service
	_, _, threshold := s.breaker()
	sources := []any{}
	for _, src := range r.sources {
		sources = append(sources, s.summary(src, r.shifts()))
	}
	o := object{
		"serviceDeploymentArn": r.arn, "serviceArn": s.arn, "clusterArn": s.cluster.arn, "status": r.status,
		"sourceServiceRevisions": sources, "targetServiceRevision": s.summary(r.target, r.shifts()),
		"deploymentConfiguration":  r.configuration,
		"deploymentCircuitBreaker": object{"status": r.breaker, "failureCount": r.failures, "threshold": threshold},
		"alarms":                   object{"status": r.alarms},
	}
	if r.alarms != "DISABLED" {
		o["alarms"] = object{"status": r.alarms, "alarmNames": r.configuration.object("alarms")["alarmNames"], "triggeredAlarmNames": anys(r.triggered)}
	}
	if r.shifts() { // a rolling update has no stages: https://github.com/kayac/ecspresso/pull/1064
		o.put("lifecycleStage", r.stage)
	}
	if r.hooks != nil {
		var details []any
		for _, h := range r.hooks {
			details = append(details, h.describe())
		}
		o["lifecycleHookDetails"] = details
	}
	o.put("statusReason", r.reason)
	o.put("createdAt", r.created)
	o.put("startedAt", r.started)
	o.put("finishedAt", r.finished)
	o.put("stoppedAt", r.stopped)
	o.put("updatedAt", r.updated)
	o.put("rollback", r.rollback)
	return copyOf(o)
}

func (r *revision) describe() object {
	images := []any{}
	for _, c := range r.definition.doc.objects("containerDefinitions") {
		o := object{"containerName": c.str("name"), "image": c.str("image")}
		o.put("imageDigest", r.digests[c.str("name")])
		images = append(images, o)
	}
	resolved := object{}
	for i, lb := range r.settings.objects("loadBalancers") {
		if i < len(r.groups) {
			one := object{"targetGroupArn": r.groups[i]}
			one.put("productionListenerRule", lb.object("advancedConfiguration").str("productionListenerRule"))
			resolved["loadBalancers"] = append(resolved.list("loadBalancers"), one)
		}
	}
	o := r.settings.with(object{
		"serviceRevisionArn": r.arn, "serviceArn": r.service.arn, "clusterArn": r.service.cluster.arn, "taskDefinition": r.definition.arn,
		"createdAt": epoch(r.created), "guardDutyEnabled": false, "containerImages": images, "resolvedConfiguration": resolved,
	})
	r.describeExpress(o)
	return copyOf(o)
}

func (e *ECS) listServiceDeployments(c *call) (object, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	s := cl.service(c.in.str("service"))
	if s == nil || s.status == "INACTIVE" {
		return nil, apiErrorf("ServiceNotFoundException", "Service not found.")
	}
	if n := c.in.number("maxResults", 20); n < 1 || n > 100 {
		return nil, apiErrorf("InvalidParameterException", "maxResults must be between 1 and 100.")
	}
	var chosen []*release
	created, statuses := c.in.object("createdAt"), c.in.strings("status")
	for _, r := range s.releases {
		if r.listed.After(c.now) {
			continue
		}
		r = r.seen(c.now)
		at := r.created.Truncate(time.Millisecond) // the precision of timestamps on the wire
		if after := timeOf(created["after"]); !after.IsZero() && at.Before(after.Truncate(time.Millisecond)) {
			continue
		}
		if before := timeOf(created["before"]); !before.IsZero() && at.After(before) {
			continue
		}
		if len(statuses) > 0 && !slices.Contains(statuses, r.status) {
			continue
		}
		chosen = append(chosen, r)
	}
	page, next, err := paginate(c.in, chosen, "maxResults", 20)
	if err != nil {
		return nil, err
	}
	briefs := []any{}
	for _, r := range page {
		o := object{"serviceDeploymentArn": r.arn, "serviceArn": s.arn, "clusterArn": cl.arn, "targetServiceRevisionArn": r.target.arn, "status": r.status, "createdAt": epoch(r.created)}
		o.put("statusReason", r.reason)
		o.put("startedAt", r.started)
		o.put("finishedAt", r.finished)
		briefs = append(briefs, o)
	}
	out := object{"serviceDeployments": briefs}
	out.put("nextToken", next)
	return out, nil
}

// findRelease finds a service deployment by ARN; nil where there is none.
func (e *ECS) findRelease(arn string) *release {
	for _, cl := range e.clusters {
		for _, s := range cl.services {
			for _, r := range s.releases {
				if r.arn == arn {
					return r
				}
			}
		}
	}
	return nil
}

// deletedService says whether an ARN of a service deployment or revision names a service that was deleted.
func (e *ECS) deletedService(arn string) bool {
	for _, cl := range e.clusters {
		for _, s := range cl.services {
			if prefix := strings.Join(strings.Split(s.arn, "/")[1:], "/") + "/"; s.status != "ACTIVE" && strings.Contains(arn, "/"+prefix) {
				return true
			}
		}
	}
	return false
}

// maxDescribed is how many service deployments or revisions one call describes.
const maxDescribed = 20

func checkARNs(arns []string, member, kind string) error {
	switch {
	case len(arns) == 0:
		return apiErrorf("InvalidParameterException", "%s cannot be empty.", member)
	case len(arns) > maxDescribed:
		return apiErrorf("InvalidParameterException", "%s cannot have more than %d items.", member, maxDescribed)
	}
	for _, a := range arns {
		if !strings.HasPrefix(a, "arn:") || !strings.Contains(a, ":"+kind+"/") {
			return apiErrorf("InvalidParameterException", "Invalid %s ARN: %s", strings.ReplaceAll(kind, "-", " "), a)
		}
	}
	return nil
}

func (e *ECS) describeServiceDeployments(c *call) (object, error) {
	arns := c.in.strings("serviceDeploymentArns")
	if err := checkARNs(arns, "Service deployment arns", "service-deployment"); err != nil {
		return nil, err
	}
	found, failures := []any{}, []any{}
	for _, arn := range arns {
		if r := e.findRelease(arn); r != nil {
			found = append(found, r.seen(c.now).describe())
		} else if e.deletedService(arn) {
			return nil, apiErrorf("ServiceNotFoundException", "Service not found.")
		} else {
			failures = append(failures, failure(arn, "MISSING"))
		}
	}
	return object{"serviceDeployments": found, "failures": failures}, nil
}

func (e *ECS) describeServiceRevisions(c *call) (object, error) {
	arns := c.in.strings("serviceRevisionArns")
	if err := checkARNs(arns, "Service revision arns", "service-revision"); err != nil {
		return nil, err
	}
	found, failures := []any{}, []any{}
next:
	for _, arn := range arns {
		for _, cl := range e.clusters {
			for _, s := range cl.services {
				for _, r := range s.revisions {
					if r.arn == arn {
						found = append(found, r.describe())
						continue next
					}
				}
			}
		}
		if e.deletedService(arn) {
			return nil, apiErrorf("ServiceNotFoundException", "Service not found.")
		}
		failures = append(failures, failure(arn, "MISSING"))
	}
	return object{"serviceRevisions": found, "failures": failures}, nil
}

func (e *ECS) stopServiceDeployment(c *call) (object, error) {
	arn := c.in.str("serviceDeploymentArn")
	if err := checkARNs([]string{arn}, "Service deployment arn", "service-deployment"); err != nil {
		return nil, err
	}
	if t := cmp.Or(c.in.str("stopType"), "ROLLBACK"); t != "ROLLBACK" { // the reference: "The valid values are ROLLBACK"
		return nil, apiErrorf("InvalidParameterException", "stopType should be one of [ROLLBACK]")
	}
	r := e.findRelease(arn)
	if r == nil {
		return nil, apiErrorf("ServiceDeploymentNotFoundException", "Service deployment not found.")
	}
	switch r.status {
	case "PENDING", "IN_PROGRESS":
	case "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS":
		c.change.Deployment, c.change.Effect = "ecs-svc/"+r.target.id, "continued its rollback"
		// The developer guide, stop-service-deployment: stopping a deployment in these states continues the rollback.
		return object{"serviceDeploymentArn": r.arn}, nil
	default: // code and words are not known for certain
		return nil, apiErrorf("ConflictException", "Cannot stop a service deployment with the status %s.", r.status)
	}
	r.status, r.updated, r.stoppedBy = "ROLLBACK_REQUESTED", c.now, c.principal
	c.change.Deployment, c.change.Effect = "ecs-svc/"+r.target.id, "stopped"
	r.reason = "Service deployment rollback was requested by a user."
	e.busy = true
	return object{"serviceDeploymentArn": r.arn}, nil
}

// port is the container port behind a target group.
func (r *revision) port(group string) int {
	for i, lb := range r.settings.objects("loadBalancers") {
		if i < len(r.groups) && r.groups[i] == group {
			return lb.number("containerPort", 0)
		}
	}
	return 0
}

// records are all service deployments ever, also of deleted services, newest last.
func (e *ECS) records() []DeploymentRecord {
	var out []DeploymentRecord
	for _, r := range e.history {
		d := DeploymentRecord{
			Cluster: r.service.cluster.name, Service: r.service.name, ID: "ecs-svc/" + r.target.id, ARN: r.arn, TaskDefinition: r.target.definition.arn,
			Digests: maps.Clone(r.target.digests), Caller: r.caller, StoppedBy: r.stoppedBy, SupersededBy: r.supersededBy,
			Created: r.created, Ended: r.finished, Status: r.status, Reason: r.reason,
		}
		if arn := r.rollback.str("serviceRevisionArn"); arn != "" {
			d.RolledBackTo = "ecs-svc/" + nameOf(arn)
		}
		out = append(out, d)
	}
	return out
}
