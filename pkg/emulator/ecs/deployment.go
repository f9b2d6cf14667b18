// Deployments as ECS shows them twice: the service's list of deployments (PRIMARY, ACTIVE, rolloutState) and service deployments with service
// revisions, which outlive them. In Go a service deployment is a release, to tell the two apart.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html

package ecs

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

// Deployment is an entry of DescribeServices' deployments.
type Deployment struct {
	id         string // ecs-svc/…
	Status     string // PRIMARY, ACTIVE
	Revision   *revision
	created    time.Time
	Updated    time.Time
	state      string // IN_PROGRESS, COMPLETED, FAILED
	reason     string
	failed     int // tasks that failed one after the other
	unplaced   int // attempts to start a task for which there was no place
	retry      time.Time
	release    *release // the service deployment that it carries out; nil for a task set
	ExternalID string   // id of the deployment of CodeDeploy that made the task set
	rounds     int      // how often tasks of it were started

	completedShown time.Time // when its completion is seen in the service's list
	reasonBefore   string    // what that list says until then
}

// revision is a service revision: what runs, at one point of the service's history.
type revision struct {
	id, arn    string
	service    *Service
	Definition *taskDefinition
	created    time.Time
	Settings   awsapi.Object
	Digests    map[string]string // container → digest that its image was resolved to
	Groups     []string          // target groups, one for each load balancer of the service
	Production float64           // percent of the production traffic
	Test       float64           // and of the test traffic
	Scenario   scenario.Scenario
	launched   int

	architecture string // of an Express service, where it is not the task definition's
}

// release is a service deployment.
type release struct {
	arn                        string
	service                    *Service
	status, reason             string
	created, started, finished time.Time
	stopped, updated           time.Time
	sources                    []*revision
	target                     *revision
	configuration              awsapi.Object
	rollback                   awsapi.Object
	turned                     time.Time // when the rollback began
	breaker                    string    // its status
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
	return r.configuration.Object("earlySuccessCriteria").Str("sourceServiceRevisionCleanup") == "BLOCKING"
}

func (s *Service) primary() *Deployment {
	if len(s.Deployments) == 0 {
		return nil
	}
	return s.Deployments[0]
}

// breaker returns the circuit breaker of a service and the number of failed tasks that trips it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
func (s *Service) breaker() (enable, rollback bool, threshold int) {
	b := s.Doc.Object("deploymentConfiguration").Object("deploymentCircuitBreaker")
	t := b.Object("thresholdConfiguration")
	value := t.Number("value", 50)
	percent := int(math.Ceil(float64(value) * float64(s.Desired) / 100))
	switch t.Str("type") {
	case "COUNT":
		threshold = value
	case "UNBOUNDED_PERCENT":
		threshold = max(percent, 1)
	default:
		threshold = max(3, min(200, percent))
	}
	return b.Flag("enable"), b.Flag("rollback"), threshold
}

// deploy starts a deployment of what the service's document now says.
func (e *ECS) deploy(s *Service, caller string, now time.Time) {
	td, err := e.findTaskDefinition(s.Doc.Str("taskDefinition"))
	if err != nil {
		return // checked before
	}
	scenario := scenario.Scenarios()[0]
	old := s.primary()
	goingBack := old != nil && old.Revision.Definition != td && s.Proven[td.ARN]
	if scripted := e.Scenario(s); scripted != nil && old != nil && !goingBack {
		scenario = *scripted
	}
	number := e.ID(awsapi.DeploymentID)
	rev := &revision{
		id: number, arn: strings.Replace(s.ARN, ":service/", ":service-revision/", 1) + "/" + number,
		service: s, Definition: td, created: now, Digests: map[string]string{}, Scenario: scenario, Settings: s.settings(),
	}
	rel := &release{
		arn: strings.Replace(s.ARN, ":service/", ":service-deployment/", 1) + "/" + e.ID(awsapi.ReleaseID), service: s, caller: caller,
		status: "PENDING", created: now, updated: now, target: rev, configuration: awsapi.CopyOf(s.Doc.Object("deploymentConfiguration")), breaker: "DISABLED", alarms: "DISABLED",
	}
	e.drawLags(rel)
	rel.steps = trafficSteps(rel.configuration)
	if enabled, _, _ := s.breaker(); enabled {
		rel.breaker = "MONITORING"
	}
	if rel.configuration.Object("alarms").Flag("enable") {
		rel.alarms = "MONITORING"
	}
	rev.Groups = s.groupsFor(rel.shifts())
	for _, d := range s.Deployments {
		d.Status = "ACTIVE"
		rel.sources = append(rel.sources, d.Revision)
		if !d.release.final() {
			d.release.supersededBy = "ecs-svc/" + number
		}
		d.release.finish("STOPPED", "Service deployment was stopped because a new service deployment was started.", now)
	}
	if old == nil && !rel.shifts() {
		rev.Production, rev.Test = 100, 100
	}
	d := &Deployment{id: "ecs-svc/" + number, Status: "PRIMARY", Revision: rev, created: now, Updated: now, release: rel}
	d.progress("IN_PROGRESS", "ECS deployment "+d.id+" in progress.", now)
	s.Deployments = append([]*Deployment{d}, s.Deployments...)
	s.releases = append([]*release{rel}, s.releases...)
	e.history = append(e.history, rel)
	s.revisions = append([]*revision{rev}, s.revisions...)
	s.steady = false
	e.Busy = true
}

// groupsFor chooses the target groups of the next revision. One that shifts traffic gets those that the revision with the traffic does not have.
func (s *Service) groupsFor(shifts bool) []string {
	var used []string
	if blue := s.blue(nil); blue != nil {
		used = blue.Revision.Groups
	}
	var groups []string
	for i, lb := range s.Doc.Objects("loadBalancers") {
		if !lb.Has("targetGroupArn") {
			continue // a Classic Load Balancer has instances, no target groups
		}
		group, alternate := lb.Str("targetGroupArn"), lb.Object("advancedConfiguration").Str("alternateTargetGroupArn")
		if i < len(used) && alternate != "" && (shifts && used[i] == group || !shifts && used[i] == alternate) {
			group = alternate
		}
		groups = append(groups, group)
	}
	return groups
}

func (d *Deployment) progress(state, reason string, now time.Time) {
	d.state, d.reason, d.Updated = state, reason, now
}

// platformVersion is what LATEST stands for on Fargate.
const platformVersion = "1.4.0"

func (s *Service) describeDeployment(d *Deployment, now time.Time) awsapi.Object {
	desired := s.Desired
	if d.Status != "PRIMARY" || d.state == "FAILED" {
		desired = 0
		for _, t := range s.tasks(d) {
			if t.wanted() {
				desired++
			}
		}
	}
	o := awsapi.Object{
		"id": d.id, "status": d.Status, "taskDefinition": d.Revision.Definition.ARN, "createdAt": awsapi.Epoch(d.created), "updatedAt": awsapi.Epoch(d.Updated),
		"desiredCount": desired, "pendingCount": s.count(d, "PENDING"), "runningCount": s.count(d, "RUNNING"), "failedTasks": d.failed,
	}
	if !s.classic() { // the reference: rolloutState is not returned for services behind a Classic Load Balancer
		o["rolloutState"], o["rolloutStateReason"] = d.shownState(now)
	}
	for _, m := range []string{"capacityProviderStrategy", "launchType", "platformVersion", "platformFamily", "networkConfiguration", "serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"} {
		o.Put(m, d.Revision.Settings[m])
	}
	return o
}

// summary is how a service deployment shows a revision's tasks, and its traffic where that is managed.
func (s *Service) summary(r *revision, traffic bool) awsapi.Object {
	d := &Deployment{id: "ecs-svc/" + r.id}
	requested := 0
	for _, t := range s.tasks(d) {
		if t.wanted() {
			requested++
		}
	}
	if p := s.primary(); p != nil && p.Revision == r && p.state != "FAILED" && (!p.release.shifts() || p.release.reached(scenario.ScaleUp)) {
		requested = s.Desired
	}
	o := awsapi.Object{"arn": r.arn, "requestedTaskCount": requested, "runningTaskCount": s.count(d, "RUNNING"), "pendingTaskCount": s.count(d, "PENDING")}
	if traffic && len(r.Groups) > 0 {
		o["requestedProductionTrafficWeight"] = weight(r.Production)
		if s.testRule() {
			o["requestedTestTrafficWeight"] = weight(r.Test)
		}
	}
	return o
}

// weight is a percentage of traffic as ECS writes it.
func weight(percent float64) json.Number {
	return json.Number(strconv.FormatFloat(percent, 'f', 1, 64))
}

// describe is the service deployment as it is; callers of the API see that of [release.seen].
func (r *release) describe() awsapi.Object {
	s := r.service
	_, _, threshold := s.breaker()
	sources := []any{}
	for _, src := range r.sources {
		sources = append(sources, s.summary(src, r.shifts()))
	}
	o := awsapi.Object{
		"serviceDeploymentArn": r.arn, "serviceArn": s.ARN, "clusterArn": s.Cluster.arn, "status": r.status,
		"sourceServiceRevisions": sources, "targetServiceRevision": s.summary(r.target, r.shifts()),
		"deploymentConfiguration":  r.configuration,
		"deploymentCircuitBreaker": awsapi.Object{"status": r.breaker, "failureCount": r.failures, "threshold": threshold},
		"alarms":                   awsapi.Object{"status": r.alarms},
	}
	if r.alarms != "DISABLED" {
		o["alarms"] = awsapi.Object{"status": r.alarms, "alarmNames": r.configuration.Object("alarms")["alarmNames"], "triggeredAlarmNames": awsapi.Anys(r.triggered)}
	}
	if r.shifts() { // a rolling update has no stages: https://github.com/kayac/ecspresso/pull/1064
		o.Put("lifecycleStage", r.stage)
	}
	if r.hooks != nil {
		var details []any
		for _, h := range r.hooks {
			details = append(details, h.describe())
		}
		o["lifecycleHookDetails"] = details
	}
	o.Put("statusReason", r.reason)
	o.Put("createdAt", r.created)
	o.Put("startedAt", r.started)
	o.Put("finishedAt", r.finished)
	o.Put("stoppedAt", r.stopped)
	o.Put("updatedAt", r.updated)
	o.Put("rollback", r.rollback)
	return awsapi.CopyOf(o)
}

func (r *revision) describe() awsapi.Object {
	images := []any{}
	for _, c := range r.Definition.doc.Objects("containerDefinitions") {
		o := awsapi.Object{"containerName": c.Str("name"), "image": c.Str("image")}
		o.Put("imageDigest", r.Digests[c.Str("name")])
		images = append(images, o)
	}
	resolved := awsapi.Object{}
	for i, lb := range r.Settings.Objects("loadBalancers") {
		if i < len(r.Groups) {
			one := awsapi.Object{"targetGroupArn": r.Groups[i]}
			one.Put("productionListenerRule", lb.Object("advancedConfiguration").Str("productionListenerRule"))
			resolved["loadBalancers"] = append(resolved.List("loadBalancers"), one)
		}
	}
	o := r.Settings.With(awsapi.Object{
		"serviceRevisionArn": r.arn, "serviceArn": r.service.ARN, "clusterArn": r.service.Cluster.arn, "taskDefinition": r.Definition.ARN,
		"createdAt": awsapi.Epoch(r.created), "guardDutyEnabled": false, "containerImages": images, "resolvedConfiguration": resolved,
	})
	r.describeExpress(o)
	return awsapi.CopyOf(o)
}

func (e *ECS) listServiceDeployments(c *awsapi.Invocation) (awsapi.Object, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	s := cl.Service(c.In.Str("service"))
	if s == nil || s.Status == "INACTIVE" {
		return nil, awsapi.Errorf("ServiceNotFoundException", "Service not found.")
	}
	if n := c.In.Number("maxResults", 20); n < 1 || n > 100 {
		return nil, awsapi.Errorf("InvalidParameterException", "maxResults must be between 1 and 100.")
	}
	var chosen []*release
	created, statuses := c.In.Object("createdAt"), c.In.Strings("status")
	for _, r := range s.releases {
		if r.listed.After(c.Now) {
			continue
		}
		r = r.seen(c.Now)
		at := r.created.Truncate(time.Millisecond) // the precision of timestamps on the wire
		if after := awsapi.TimeOf(created["after"]); !after.IsZero() && at.Before(after.Truncate(time.Millisecond)) {
			continue
		}
		if before := awsapi.TimeOf(created["before"]); !before.IsZero() && at.After(before) {
			continue
		}
		if len(statuses) > 0 && !slices.Contains(statuses, r.status) {
			continue
		}
		chosen = append(chosen, r)
	}
	page, next, err := awsapi.Paginate(c.In, chosen, "maxResults", 20)
	if err != nil {
		return nil, err
	}
	briefs := []any{}
	for _, r := range page {
		o := awsapi.Object{"serviceDeploymentArn": r.arn, "serviceArn": s.ARN, "clusterArn": cl.arn, "targetServiceRevisionArn": r.target.arn, "status": r.status, "createdAt": awsapi.Epoch(r.created)}
		o.Put("statusReason", r.reason)
		o.Put("startedAt", r.started)
		o.Put("finishedAt", r.finished)
		briefs = append(briefs, o)
	}
	out := awsapi.Object{"serviceDeployments": briefs}
	out.Put("nextToken", next)
	return out, nil
}

// findRelease finds a service deployment by ARN; nil where there is none.
func (e *ECS) findRelease(arn string) *release {
	for _, cl := range e.Clusters {
		for _, s := range cl.Services {
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
	for _, cl := range e.Clusters {
		for _, s := range cl.Services {
			if prefix := strings.Join(strings.Split(s.ARN, "/")[1:], "/") + "/"; s.Status != "ACTIVE" && strings.Contains(arn, "/"+prefix) {
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
		return awsapi.Errorf("InvalidParameterException", "%s cannot be empty.", member)
	case len(arns) > maxDescribed:
		return awsapi.Errorf("InvalidParameterException", "%s cannot have more than %d items.", member, maxDescribed)
	}
	for _, a := range arns {
		if !strings.HasPrefix(a, "arn:") || !strings.Contains(a, ":"+kind+"/") {
			return awsapi.Errorf("InvalidParameterException", "Invalid %s ARN: %s", strings.ReplaceAll(kind, "-", " "), a)
		}
	}
	return nil
}

func (e *ECS) describeServiceDeployments(c *awsapi.Invocation) (awsapi.Object, error) {
	arns := c.In.Strings("serviceDeploymentArns")
	if err := checkARNs(arns, "Service deployment arns", "service-deployment"); err != nil {
		return nil, err
	}
	found, failures := []any{}, []any{}
	for _, arn := range arns {
		if r := e.findRelease(arn); r != nil {
			found = append(found, r.seen(c.Now).describe())
		} else if e.deletedService(arn) {
			return nil, awsapi.Errorf("ServiceNotFoundException", "Service not found.")
		} else {
			failures = append(failures, failure(arn, "MISSING"))
		}
	}
	return awsapi.Object{"serviceDeployments": found, "failures": failures}, nil
}

func (e *ECS) describeServiceRevisions(c *awsapi.Invocation) (awsapi.Object, error) {
	arns := c.In.Strings("serviceRevisionArns")
	if err := checkARNs(arns, "Service revision arns", "service-revision"); err != nil {
		return nil, err
	}
	found, failures := []any{}, []any{}
next:
	for _, arn := range arns {
		for _, cl := range e.Clusters {
			for _, s := range cl.Services {
				for _, r := range s.revisions {
					if r.arn == arn {
						found = append(found, r.describe())
						continue next
					}
				}
			}
		}
		if e.deletedService(arn) {
			return nil, awsapi.Errorf("ServiceNotFoundException", "Service not found.")
		}
		failures = append(failures, failure(arn, "MISSING"))
	}
	return awsapi.Object{"serviceRevisions": found, "failures": failures}, nil
}

func (e *ECS) stopServiceDeployment(c *awsapi.Invocation) (awsapi.Object, error) {
	arn := c.In.Str("serviceDeploymentArn")
	if err := checkARNs([]string{arn}, "Service deployment arn", "service-deployment"); err != nil {
		return nil, err
	}
	if t := cmp.Or(c.In.Str("stopType"), "ROLLBACK"); t != "ROLLBACK" { // the reference: "The valid values are ROLLBACK"
		return nil, awsapi.Errorf("InvalidParameterException", "stopType should be one of [ROLLBACK]")
	}
	r := e.findRelease(arn)
	if r == nil {
		return nil, awsapi.Errorf("ServiceDeploymentNotFoundException", "Service deployment not found.")
	}
	switch r.status {
	case "PENDING", "IN_PROGRESS":
	case "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS":
		c.Change.Deployment, c.Change.Effect = "ecs-svc/"+r.target.id, "continued its rollback"
		// The developer guide, stop-service-deployment: stopping a deployment in these states continues the rollback.
		return awsapi.Object{"serviceDeploymentArn": r.arn}, nil
	default: // code and words are not known for certain
		return nil, awsapi.Errorf("ConflictException", "Cannot stop a service deployment with the status %s.", r.status)
	}
	r.status, r.updated, r.stoppedBy = "ROLLBACK_REQUESTED", c.Now, c.Principal
	c.Change.Deployment, c.Change.Effect = "ecs-svc/"+r.target.id, "stopped"
	r.reason = "Service deployment rollback was requested by a user."
	e.Busy = true
	return awsapi.Object{"serviceDeploymentArn": r.arn}, nil
}

// Port is the container port behind a target group.
func (r *revision) Port(group string) int {
	for i, lb := range r.Settings.Objects("loadBalancers") {
		if i < len(r.Groups) && r.Groups[i] == group {
			return lb.Number("containerPort", 0)
		}
	}
	return 0
}

// Records are all service deployments ever, also of deleted services, newest last.
func (e *ECS) Records() []awsapi.DeploymentRecord {
	var out []awsapi.DeploymentRecord
	for _, r := range e.history {
		d := awsapi.DeploymentRecord{
			Cluster: r.service.Cluster.Name, Service: r.service.Name, ID: "ecs-svc/" + r.target.id, ARN: r.arn, TaskDefinition: r.target.Definition.ARN,
			Digests: maps.Clone(r.target.Digests), Caller: r.caller, StoppedBy: r.stoppedBy, SupersededBy: r.supersededBy,
			Created: r.created, Turned: r.turned, Ended: r.finished, Status: r.status, Reason: r.reason,
		}
		if arn := r.rollback.Str("serviceRevisionArn"); arn != "" {
			d.RolledBackTo = "ecs-svc/" + awsapi.NameOf(arn)
		}
		out = append(out, d)
	}
	return out
}
