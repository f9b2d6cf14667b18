// Tasks: run, listed, described, stopped. A task carries the steps of its life, each due at a time; the machine takes them.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html

package ecs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/scenario"
)

type Task struct {
	id, arn    string
	attachment string // id of its network interface's attachment
	cluster    *cluster
	definition *taskDefinition
	Revision   *revision // nil for a one-off task
	group      string
	startedBy  string
	doc        awsapi.Object // what a one-off task was run with: overrides, network configuration
	tags       []any
	containers []*container
	steps      []step
	version    int

	Status   string // PROVISIONING … STOPPED
	stopping bool   // ECS, or the task itself, has decided that it ends
	health   string
	Ready    bool // healthy in every respect: counts for the rollout
	failed   bool // ended by itself or by its health, not by the scheduler
	counted  bool // the failure has been counted
	proved   bool // has been ready once
	Targeted bool // registered with the load balancer's target groups
	Fate     scenario.Fate
	Number   int // of all tasks ever: what its address is made of

	created, pullStarted, pullStopped, Started time.Time
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
	do func(t *Task, now time.Time)
}

func (t *Task) live() bool   { return t.Status != "STOPPED" }
func (t *Task) wanted() bool { return !t.stopping && t.live() }

// after plans a step.
func (t *Task) after(at time.Time, do func(t *Task, now time.Time)) {
	t.steps = append(t.steps, step{at, do})
	slices.SortStableFunc(t.steps, func(a, b step) int { return a.at.Compare(b.at) })
}

func (t *Task) become(status string) {
	t.Status = status
	t.version++
}

// tasks lists a service's tasks that have not stopped, oldest first; of one deployment, or of all.
func (s *Service) tasks(d *Deployment) []*Task {
	var out []*Task
	for _, t := range s.Cluster.Tasks {
		if t.Revision != nil && t.Revision.service == s && t.live() && (d == nil || t.startedBy == d.id) {
			out = append(out, t)
		}
	}
	return out
}

// count counts tasks as ECS does: RUNNING, or PENDING with all that comes before.
func (s *Service) count(d *Deployment, status string) int {
	n := 0
	for _, t := range s.tasks(d) {
		switch t.Status {
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
func (e *ECS) newTask(cl *cluster, td *taskDefinition, now time.Time) *Task {
	id := e.ID(awsapi.TaskID)
	e.launched++
	t := &Task{id: id, attachment: e.ID(awsapi.UUID), arn: e.ARN("ecs", "task/"+cl.Name+"/"+id), Number: e.launched, cluster: cl, definition: td, created: now, version: 1, Status: "PROVISIONING", health: "UNKNOWN", doc: awsapi.Object{}}
	for _, c := range td.doc.Objects("containerDefinitions") {
		t.containers = append(t.containers, &container{
			name: c.Str("name"), image: c.Str("image"), essential: c.Flag("essential"), consistent: c.Str("versionConsistency") != "disabled", status: "PENDING", health: "UNKNOWN",
			arn: e.ARN("ecs", "container/"+cl.Name+"/"+id+"/"+e.ID(awsapi.UUID)), runtime: fmt.Sprintf("%s-%010d", id, e.Rand.IntN(1e9)),
		})
	}
	cl.Tasks = append(cl.Tasks, t)
	e.Busy = true
	return t
}

func (t *Task) fargate() bool { return onFargate(t.settings()) }

// settings are what the task is run with: its service revision's, or the request's.
func (t *Task) settings() awsapi.Object {
	if t.Revision != nil {
		return t.Revision.Settings
	}
	return t.doc
}

// fill completes a text about the task.
func (t *Task) fill(text string) string {
	account := strings.Split(t.arn, ":")[4]
	return fill(strings.ReplaceAll(text, "{subnet}", t.subnet()), t.definition, t.settings(), account, t.id)
}

// fill puts names in the place of what stands in braces: see [Fate].
func fill(text string, td *taskDefinition, settings awsapi.Object, account, id string) string {
	containers := td.doc.Objects("containerDefinitions")
	main := containers[max(0, slices.IndexFunc(containers, func(c awsapi.Object) bool { return c.Flag("essential") }))]
	image := main.Str("image")
	registry, repository, _ := strings.Cut(image, "/")
	if !strings.ContainsAny(registry, ".:") {
		registry, repository = "docker.io", image
	}
	repository, tag := cutTag(repository)
	subnet, secret := "", ""
	if subnets := settings.Object("networkConfiguration").Object("awsvpcConfiguration").Strings("subnets"); len(subnets) > 0 {
		subnet = subnets[0]
	}
	if secrets := main.Objects("secrets"); len(secrets) > 0 {
		secret = secrets[0].Str("valueFrom")
	}
	executionRole := awsapi.NameOf(td.doc.Str("executionRoleArn"))
	return strings.NewReplacer("{image}", image, "{registry}", registry, "{repository}", repository, "{tag}", tag, "{secret}", secret, "{subnet}", subnet,
		"{taskRole}", cmp.Or(awsapi.NameOf(td.doc.Str("taskRoleArn")), executionRole), "{executionRole}", executionRole, "{account}", account, "{task}", id).Replace(text)
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

func (t *Task) AWSVPC() bool { return t.definition.doc.Str("networkMode") == "awsvpc" }

// Address is the task's own in its subnet.
func (t *Task) Address() string { return fmt.Sprintf("10.0.%d.%d", t.Number/250, t.Number%250+4) }

// subnet is where the task's network interface is: subnets take turns.
func (t *Task) subnet() string {
	subnets := t.settings().Object("networkConfiguration").Object("awsvpcConfiguration").Strings("subnets")
	if len(subnets) == 0 {
		return ""
	}
	return subnets[t.Number%len(subnets)]
}

func (t *Task) describe(e *ECS, tags bool) awsapi.Object {
	desired := "RUNNING"
	if t.stopping || !t.live() {
		desired = "STOPPED"
	}
	containers := []any{}
	for _, c := range t.containers {
		o := awsapi.Object{"containerArn": c.arn, "taskArn": t.arn, "name": c.name, "image": c.image, "lastStatus": c.status, "healthStatus": c.health, "networkBindings": []any{}, "networkInterfaces": []any{}, "cpu": "0"}
		o.Put("imageDigest", c.digest)
		o.Put("reason", c.reason)
		if c.digest != "" {
			o["runtimeId"] = c.runtime
		}
		if c.exitCode != nil {
			o["exitCode"] = *c.exitCode
		}
		containers = append(containers, o)
	}
	o := awsapi.Object{
		"taskArn": t.arn, "clusterArn": t.cluster.arn, "taskDefinitionArn": t.definition.ARN, "containers": containers,
		"lastStatus": t.Status, "desiredStatus": desired, "healthStatus": t.health, "group": t.group, "version": t.version,
		"attachments": []any{}, "attributes": []any{}, "enableExecuteCommand": t.doc.Flag("enableExecuteCommand"), "availabilityZone": e.Region() + "a",
		"overrides": awsapi.Object{"containerOverrides": []any{}, "inferenceAcceleratorOverrides": []any{}},
	}
	if t.AWSVPC() && !t.pullStarted.IsZero() {
		o["attachments"] = []any{awsapi.Object{"id": t.attachment, "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": []any{
			awsapi.Object{"name": "subnetId", "value": t.subnet()},
			awsapi.Object{"name": "networkInterfaceId", "value": "eni-" + t.id[:17]},
			awsapi.Object{"name": "privateIPv4Address", "value": t.Address()},
		}}}
		for _, c := range containers {
			c.(awsapi.Object)["networkInterfaces"] = []any{awsapi.Object{"attachmentId": t.attachment, "privateIpv4Address": t.Address()}}
		}
	}
	if d := t.doc.Object("overrides"); d != nil {
		o["overrides"] = o["overrides"].(awsapi.Object).With(d)
	}
	o.Put("cpu", t.definition.doc.Str("cpu"))
	o.Put("memory", t.definition.doc.Str("memory"))
	o.Put("startedBy", t.startedBy)
	o.Put("createdAt", t.created)
	o.Put("pullStartedAt", t.pullStarted)
	o.Put("pullStoppedAt", t.pullStopped)
	o.Put("startedAt", t.Started)
	o.Put("stoppingAt", t.stoppingAt)
	o.Put("executionStoppedAt", t.executionStopped)
	o.Put("stoppedAt", t.stoppedAt)
	o.Put("stopCode", t.stopCode)
	o.Put("stoppedReason", t.stoppedReason)
	if t.fargate() {
		o["launchType"], o["platformVersion"], o["platformFamily"] = "FARGATE", platformVersion, "Linux"
	} else {
		o["launchType"] = "EC2"
	}
	if !t.Started.IsZero() || !t.pullStarted.IsZero() {
		o["connectivity"], o["connectivityAt"] = "CONNECTED", awsapi.Epoch(t.pullStarted)
	}
	if tags {
		o["tags"] = awsapi.Anys(t.tags)
	}
	return awsapi.CopyOf(o)
}

func (e *ECS) listTasks(c *awsapi.Invocation) (awsapi.Object, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	startedBy, group := c.In.Str("startedBy"), ""
	filters := 0
	for _, m := range []string{"startedBy", "serviceName", "family"} {
		if c.In.Has(m) {
			filters++
		}
	}
	if startedBy != "" && filters > 1 {
		return nil, awsapi.Errorf("InvalidParameterException", "startedBy cannot be combined with other filters.")
	}
	if name := c.In.Str("serviceName"); name != "" {
		s := cl.Service(name)
		if s == nil {
			return nil, awsapi.Errorf("ServiceNotFoundException", "Service not found.")
		}
		group = "service:" + s.Name
	}
	if c.In.Has("containerInstance") {
		return nil, awsapi.Errorf("InvalidParameterException", "Container instance not found.")
	}
	desired := cmp.Or(c.In.Str("desiredStatus"), "RUNNING")
	if desired == "PENDING" { // the reference: ECS never sets it, so nothing is listed
		return awsapi.Object{"taskArns": []any{}}, nil
	}
	arns := []string{}
	for _, t := range slices.Backward(cl.Tasks) {
		stopped := t.stopping || !t.live()
		switch {
		case stopped != (desired == "STOPPED"),
			startedBy != "" && t.startedBy != startedBy,
			group != "" && t.group != group,
			c.In.Has("family") && t.definition.family.name != c.In.Str("family"),
			c.In.Has("launchType") && t.fargate() != (c.In.Str("launchType") == "FARGATE"):
			continue
		}
		arns = append(arns, t.arn)
	}
	return listed(c, "taskArns", arns)
}

// findTask finds a task by id or ARN; nil where there is none.
func (cl *cluster) findTask(ref string) *Task {
	for _, t := range cl.Tasks {
		if t.id == ref || t.arn == ref {
			return t
		}
	}
	return nil
}

func (e *ECS) describeTasks(c *awsapi.Invocation) (awsapi.Object, error) {
	cl, err := e.activeCluster(c.In.Str("cluster"))
	if err != nil {
		return nil, err
	}
	refs := c.In.Strings("tasks")
	switch {
	case len(refs) == 0:
		return nil, awsapi.Errorf("InvalidParameterException", "Tasks cannot be empty.")
	case len(refs) > 100:
		return nil, awsapi.Errorf("InvalidParameterException", "Tasks cannot have more than 100 items.")
	}
	found, failures := []any{}, []any{}
	for _, ref := range refs {
		if t := cl.findTask(ref); t != nil {
			found = append(found, t.describe(e, slices.Contains(c.In.Strings("include"), "TAGS")))
		} else {
			failures = append(failures, failure(e.ARN("ecs", "task/"+cl.Name+"/"+awsapi.NameOf(ref)), "MISSING"))
		}
	}
	return awsapi.Object{"tasks": found, "failures": failures}, nil
}
