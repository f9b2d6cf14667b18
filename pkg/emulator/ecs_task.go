// Tasks: run, listed, described, stopped. A task carries the steps of its life, each due at a time; the machine takes them.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html

package emulator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

type task struct {
	id, arn    string
	attachment string // id of its network interface's attachment
	cluster    *cluster
	definition *taskDefinition
	revision   *revision // nil for a one-off task
	group      string
	startedBy  string
	doc        object // what a one-off task was run with: overrides, network configuration
	tags       []any
	containers []*container
	steps      []step
	version    int

	status   string // PROVISIONING … STOPPED
	stopping bool   // ECS, or the task itself, has decided that it ends
	health   string
	ready    bool // healthy in every respect: counts for the rollout
	failed   bool // ended by itself or by its health, not by the scheduler
	counted  bool // the failure has been counted
	proved   bool // has been ready once
	targeted bool // registered with the load balancer's target groups
	fate     Fate
	number   int // of all tasks ever: what its address is made of

	created, pullStarted, pullStopped, started time.Time
	stoppingAt, executionStopped, stoppedAt    time.Time
	stopCode, stoppedReason                    string
}

type container struct {
	name, image, digest    string
	arn, runtime           string
	status, health, reason string
	exitCode               *int
	essential              bool
	consistent             bool // every task of a service revision runs the digest that the first one resolved
}

// step is one change in the life of a task.
type step struct {
	at time.Time
	do func(t *task, now time.Time)
}

func (t *task) live() bool   { return t.status != "STOPPED" }
func (t *task) wanted() bool { return !t.stopping && t.live() }

// after plans a step.
func (t *task) after(at time.Time, do func(t *task, now time.Time)) {
	t.steps = append(t.steps, step{at, do})
	slices.SortStableFunc(t.steps, func(a, b step) int { return a.at.Compare(b.at) })
}

func (t *task) become(status string) {
	t.status = status
	t.version++
}

// tasks lists a service's tasks that have not stopped, oldest first; of one deployment, or of all.
func (s *service) tasks(d *deployment) []*task {
	var out []*task
	for _, t := range s.cluster.tasks {
		if t.revision != nil && t.revision.service == s && t.live() && (d == nil || t.startedBy == d.id) {
			out = append(out, t)
		}
	}
	return out
}

// count counts tasks as ECS does: RUNNING, or PENDING with all that comes before.
func (s *service) count(d *deployment, status string) int {
	n := 0
	for _, t := range s.tasks(d) {
		switch t.status {
		case "RUNNING":
			if status == "RUNNING" {
				n++
			}
		case "PROVISIONING", "PENDING", "ACTIVATING":
			if status == "PENDING" {
				n++
			}
		}
	}
	return n
}

// newTask makes a task of a task definition; launch plans its life.
func (e *ECS) newTask(cl *cluster, td *taskDefinition, now time.Time) *task {
	id := e.id(taskID)
	e.launched++
	t := &task{id: id, attachment: e.id(uuidID), arn: e.arn("ecs", "task/"+cl.name+"/"+id), number: e.launched, cluster: cl, definition: td, created: now, version: 1, status: "PROVISIONING", health: "UNKNOWN", doc: object{}}
	for _, c := range td.doc.objects("containerDefinitions") {
		t.containers = append(t.containers, &container{
			name: c.str("name"), image: c.str("image"), essential: c.flag("essential"), consistent: c.str("versionConsistency") != "disabled", status: "PENDING", health: "UNKNOWN",
			arn: e.arn("ecs", "container/"+cl.name+"/"+id+"/"+e.id(uuidID)), runtime: fmt.Sprintf("%s-%010d", id, e.rand.IntN(1e9)),
		})
	}
	cl.tasks = append(cl.tasks, t)
	e.busy = true
	return t
}

func (t *task) fargate() bool { return onFargate(t.settings()) }

// settings are what the task is run with: its service revision's, or the request's.
func (t *task) settings() object {
	if t.revision != nil {
		return t.revision.settings
	}
	return t.doc
}

// fill completes a text about the task.
func (t *task) fill(text string) string {
	account := strings.Split(t.arn, ":")[4]
	return fill(strings.ReplaceAll(text, "{subnet}", t.subnet()), t.definition, t.settings(), account, t.id)
}

// fill puts names in the place of what stands in braces: see [Fate].
func fill(text string, td *taskDefinition, settings object, account, id string) string {
	containers := td.doc.objects("containerDefinitions")
	main := containers[max(0, slices.IndexFunc(containers, func(c object) bool { return c.flag("essential") }))]
	image := main.str("image")
	registry, repository, _ := strings.Cut(image, "/")
	if !strings.ContainsAny(registry, ".:") {
		registry, repository = "docker.io", image
	}
	repository, tag := cutTag(repository)
	subnet, secret := "", ""
	if subnets := settings.object("networkConfiguration").object("awsvpcConfiguration").strings("subnets"); len(subnets) > 0 {
		subnet = subnets[0]
	}
	if secrets := main.objects("secrets"); len(secrets) > 0 {
		secret = secrets[0].str("valueFrom")
	}
	executionRole := nameOf(td.doc.str("executionRoleArn"))
	return strings.NewReplacer("{image}", image, "{registry}", registry, "{repository}", repository, "{tag}", tag, "{secret}", secret, "{subnet}", subnet,
		"{taskRole}", cmp.Or(nameOf(td.doc.str("taskRoleArn")), executionRole), "{executionRole}", executionRole, "{account}", account, "{task}", id).Replace(text)
}

// cutTag separates a repository from the tag or digest behind it.
func cutTag(reference string) (repository, tag string) {
	if name, digest, ok := strings.Cut(reference, "@"); ok {
		return name, digest
	}
	if i := strings.LastIndex(reference, ":"); i > strings.LastIndex(reference, "/") {
		return reference[:i], reference[i+1:]
	}
	return reference, "latest"
}

func (t *task) awsvpc() bool { return t.definition.doc.str("networkMode") == "awsvpc" }

// address is the task's own in its subnet.
func (t *task) address() string { return fmt.Sprintf("10.0.%d.%d", t.number/250, t.number%250+4) }

// subnet is where the task's network interface is: subnets take turns.
func (t *task) subnet() string {
	subnets := t.settings().object("networkConfiguration").object("awsvpcConfiguration").strings("subnets")
	if len(subnets) == 0 {
		return ""
	}
	return subnets[t.number%len(subnets)]
}

func (t *task) describe(e *ECS, tags bool) object {
	desired := "RUNNING"
	if t.stopping || !t.live() {
		desired = "STOPPED"
	}
	containers := []any{}
	for _, c := range t.containers {
		o := object{"containerArn": c.arn, "taskArn": t.arn, "name": c.name, "image": c.image, "lastStatus": c.status, "healthStatus": c.health, "networkBindings": []any{}, "networkInterfaces": []any{}, "cpu": "0"}
		o.put("imageDigest", c.digest)
		o.put("reason", c.reason)
		if c.digest != "" {
			o["runtimeId"] = c.runtime
		}
		if c.exitCode != nil {
			o["exitCode"] = *c.exitCode
		}
		containers = append(containers, o)
	}
	o := object{
		"taskArn": t.arn, "clusterArn": t.cluster.arn, "taskDefinitionArn": t.definition.arn, "containers": containers,
		"lastStatus": t.status, "desiredStatus": desired, "healthStatus": t.health, "group": t.group, "version": t.version,
		"attachments": []any{}, "attributes": []any{}, "enableExecuteCommand": t.doc.flag("enableExecuteCommand"), "availabilityZone": e.Region() + "a",
		"overrides": object{"containerOverrides": []any{}, "inferenceAcceleratorOverrides": []any{}},
	}
	if t.awsvpc() && !t.pullStarted.IsZero() {
		o["attachments"] = []any{object{"id": t.attachment, "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": []any{
			object{"name": "subnetId", "value": t.subnet()},
			object{"name": "networkInterfaceId", "value": "eni-" + t.id[:17]},
			object{"name": "privateIPv4Address", "value": t.address()},
		}}}
		for _, c := range containers {
			c.(object)["networkInterfaces"] = []any{object{"attachmentId": t.attachment, "privateIpv4Address": t.address()}}
		}
	}
	if d := t.doc.object("overrides"); d != nil {
		o["overrides"] = o["overrides"].(object).with(d)
	}
	o.put("cpu", t.definition.doc.str("cpu"))
	o.put("memory", t.definition.doc.str("memory"))
	o.put("startedBy", t.startedBy)
	o.put("createdAt", t.created)
	o.put("pullStartedAt", t.pullStarted)
	o.put("pullStoppedAt", t.pullStopped)
	o.put("startedAt", t.started)
	o.put("stoppingAt", t.stoppingAt)
	o.put("executionStoppedAt", t.executionStopped)
	o.put("stoppedAt", t.stoppedAt)
	o.put("stopCode", t.stopCode)
	o.put("stoppedReason", t.stoppedReason)
	if t.fargate() {
		o["launchType"], o["platformVersion"], o["platformFamily"] = "FARGATE", platformVersion, "Linux"
	} else {
		o["launchType"] = "EC2"
	}
	if !t.started.IsZero() || !t.pullStarted.IsZero() {
		o["connectivity"], o["connectivityAt"] = "CONNECTED", epoch(t.pullStarted)
	}
	if tags {
		o["tags"] = anys(t.tags)
	}
	return copyOf(o)
}

func (e *ECS) listTasks(c *call) (object, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	startedBy, group := c.in.str("startedBy"), ""
	filters := 0
	for _, m := range []string{"startedBy", "serviceName", "family"} {
		if c.in.has(m) {
			filters++
		}
	}
	if startedBy != "" && filters > 1 {
		return nil, apiErrorf("InvalidParameterException", "startedBy cannot be combined with other filters.")
	}
	if name := c.in.str("serviceName"); name != "" {
		s := cl.service(name)
		if s == nil {
			return nil, apiErrorf("ServiceNotFoundException", "Service not found.")
		}
		group = "service:" + s.name
	}
	if c.in.has("containerInstance") {
		return nil, apiErrorf("InvalidParameterException", "Container instance not found.")
	}
	desired := cmp.Or(c.in.str("desiredStatus"), "RUNNING")
	if desired == "PENDING" { // the reference: ECS never sets it, so nothing is listed
		return object{"taskArns": []any{}}, nil
	}
	arns := []string{}
	for _, t := range slices.Backward(cl.tasks) {
		stopped := t.stopping || !t.live()
		switch {
		case stopped != (desired == "STOPPED"),
			startedBy != "" && t.startedBy != startedBy,
			group != "" && t.group != group,
			c.in.has("family") && t.definition.family.name != c.in.str("family"),
			c.in.has("launchType") && t.fargate() != (c.in.str("launchType") == "FARGATE"):
			continue
		}
		arns = append(arns, t.arn)
	}
	return listed(c, "taskArns", arns)
}

// findTask finds a task by id or ARN; nil where there is none.
func (cl *cluster) findTask(ref string) *task {
	for _, t := range cl.tasks {
		if t.id == ref || t.arn == ref {
			return t
		}
	}
	return nil
}

func (e *ECS) describeTasks(c *call) (object, error) {
	cl, err := e.activeCluster(c.in.str("cluster"))
	if err != nil {
		return nil, err
	}
	refs := c.in.strings("tasks")
	switch {
	case len(refs) == 0:
		return nil, apiErrorf("InvalidParameterException", "Tasks cannot be empty.")
	case len(refs) > 100:
		return nil, apiErrorf("InvalidParameterException", "Tasks cannot have more than 100 items.")
	}
	found, failures := []any{}, []any{}
	for _, ref := range refs {
		if t := cl.findTask(ref); t != nil {
			found = append(found, t.describe(e, slices.Contains(c.in.strings("include"), "TAGS")))
		} else {
			failures = append(failures, failure(e.arn("ecs", "task/"+cl.name+"/"+nameOf(ref)), "MISSING"))
		}
	}
	return object{"tasks": found, "failures": failures}, nil
}
