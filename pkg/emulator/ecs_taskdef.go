// Task definitions: registered as they come, member for member, described with the defaults that ECS fills in, refused as ECS refuses them.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html

package emulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

type family struct {
	name      string
	revisions []*taskDefinition // the nth is revision n+1
}

type taskDefinition struct {
	family       *family
	revision     int
	arn          string
	doc          object // as registered, with defaults
	tags         []any
	status       string // ACTIVE, INACTIVE
	registered   time.Time
	deregistered time.Time
	registeredBy string
}

// resourceName is the form of the names of clusters, services, families and containers.
var resourceName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// imageForm is what ECS lets through as an image: letters, digits, hyphens, underscores, colons, periods, slashes and number signs; and digests.
var imageForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_\-:./#@]*$`)

// maxTaskDefinition is the largest size of a task definition: 64 KiB, by the service quotas of ECS.
const maxTaskDefinition = 64 << 10

func (e *ECS) registerTaskDefinition(c *call) (object, error) {
	if err := checkTaskDefinition(c.in); err != nil {
		return nil, err
	}
	name := c.in.str("family")
	f := e.families[name]
	if f == nil {
		f = &family{name: name}
		e.families[name] = f
	}
	td := e.addRevision(f, c.in, c.principal, c.now)
	return object{"taskDefinition": td.describe(), "tags": anys(td.tags)}, nil
}

// addRevision makes the next revision of a family from a register request.
func (e *ECS) addRevision(f *family, in object, principal string, now time.Time) *taskDefinition {
	td := &taskDefinition{
		family: f, revision: len(f.revisions) + 1, doc: withDefaults(in), tags: in.list("tags"),
		status: "ACTIVE", registered: now, registeredBy: principal,
	}
	delete(td.doc, "tags")
	td.arn = e.arn("ecs", fmt.Sprintf("task-definition/%s:%d", f.name, td.revision))
	f.revisions = append(f.revisions, td)
	return td
}

// withDefaults returns a task definition with what ECS fills in when it answers: seen in its answers, and in part in the API reference.
func withDefaults(in object) object {
	doc := copyOf(in)
	doc.fill("volumes", []any{})
	doc.fill("placementConstraints", []any{})
	doc.fill("enableFaultInjection", false)
	for _, c := range doc.objects("containerDefinitions") {
		c.fill("cpu", 0)
		c.fill("essential", true)
		for _, m := range []string{"environment", "mountPoints", "portMappings", "systemControls", "volumesFrom"} {
			c.fill(m, []any{})
		}
		for _, p := range c.objects("portMappings") {
			if !p.has("containerPortRange") {
				if mode := doc.str("networkMode"); mode == "awsvpc" || mode == "host" {
					p.fill("hostPort", p["containerPort"])
				}
				p.fill("hostPort", 0)
			}
			p.fill("protocol", "tcp")
		}
		if h := c.object("healthCheck"); h != nil {
			h.fill("interval", 30)
			h.fill("timeout", 5)
			h.fill("retries", 3)
		}
	}
	for _, v := range doc.objects("volumes") {
		if len(v) == 1 {
			v["host"] = object{}
		}
	}
	return doc
}

func (td *taskDefinition) describe() object {
	o := copyOf(td.doc).with(object{
		"taskDefinitionArn": td.arn, "revision": td.revision, "status": td.status,
		"registeredAt": epoch(td.registered), "registeredBy": td.registeredBy,
		"compatibilities": anys(td.compatibilities()),
	})
	if attrs := td.attributes(); len(attrs) > 0 {
		o["requiresAttributes"] = attrs
	}
	o.put("deregisteredAt", td.deregistered)
	return o
}

func (td *taskDefinition) compatibilities() []string {
	switch mode := td.doc.str("networkMode"); {
	case mode == "awsvpc" && fargateSize(td.doc) == nil:
		return []string{"EC2", "FARGATE"}
	case mode == "awsvpc":
		return []string{"EC2"}
	}
	return []string{"EXTERNAL", "EC2"}
}

// attributes lists what a container instance must be able to do, in the names of the container agent's capabilities.
func (td *taskDefinition) attributes() []any {
	names := map[string]bool{}
	execution := td.doc.has("executionRoleArn")
	add := func(n string) { names[n] = true }
	for _, c := range td.doc.objects("containerDefinitions") {
		if strings.Contains(c.str("image"), ".dkr.ecr.") {
			add("com.amazonaws.ecs.capability.ecr-auth")
			if execution {
				add("ecs.capability.execution-role-ecr-pull")
			}
		}
		if l := c.object("logConfiguration"); l != nil {
			add("com.amazonaws.ecs.capability.logging-driver." + l.str("logDriver"))
			add("com.amazonaws.ecs.capability.docker-remote-api.1.19")
			if execution && l.str("logDriver") == "awslogs" {
				add("ecs.capability.execution-role-awslogs")
			}
		}
		for _, s := range c.objects("secrets") {
			if strings.Contains(s.str("valueFrom"), ":secretsmanager:") {
				add("ecs.capability.secrets.asm.environment-variables")
			} else {
				add("ecs.capability.secrets.ssm.environment-variables")
			}
		}
		if c.has("healthCheck") {
			add("ecs.capability.container-health-check")
		}
	}
	if td.doc.has("taskRoleArn") {
		add("com.amazonaws.ecs.capability.task-iam-role")
	}
	if td.doc.str("networkMode") == "awsvpc" {
		add("ecs.capability.task-eni")
		add("com.amazonaws.ecs.capability.docker-remote-api.1.18")
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	out := make([]any, len(sorted))
	for i, n := range sorted {
		out[i] = object{"name": n}
	}
	return out
}

// platform is what the containers run on.
func (td *taskDefinition) platform() platform {
	p := td.doc.object("runtimePlatform")
	out := platform{OS: "linux", Architecture: "amd64"}
	if p.str("cpuArchitecture") == "ARM64" {
		out.Architecture = "arm64"
	}
	if strings.HasPrefix(p.str("operatingSystemFamily"), "WINDOWS") {
		out.OS = "windows"
	}
	return out
}

// checkTaskDefinition refuses what the model lets through and ECS does not.
func checkTaskDefinition(in object) error {
	fail := func(format string, args ...any) error { return apiErrorf("ClientException", format, args...) }
	if err := checkTags(in, "ClientException"); err != nil {
		return err
	}
	if !resourceName.MatchString(in.str("family")) {
		return fail("Family contains invalid characters.")
	}
	containers := in.objects("containerDefinitions")
	if len(containers) == 0 {
		return fail("Container list cannot be empty.")
	}
	if len(containers) > 10 { // service quota: containers per task definition
		return fail("Too many containers in task definition. The maximum is 10.")
	}
	if size := encodedSize(in); size > maxTaskDefinition {
		return fail("Actual length: '%d'. Max allowed length is '%d' bytes.", size, maxTaskDefinition)
	}
	fargate := slices.Contains(in.strings("requiresCompatibilities"), "FARGATE")
	mode := in.str("networkMode")
	if fargate {
		if mode != "awsvpc" {
			return fail("Fargate only supports network mode ‘awsvpc’.")
		}
		for _, m := range []string{"cpu", "memory"} {
			if !in.has(m) {
				return fail("Fargate requires that '%s' be defined at the task level.", m)
			}
		}
		if pid := in.str("pidMode"); pid != "" && pid != "task" {
			return fail("Tasks using the Fargate launch type do not support pidMode '%s'. The supported value for pidMode is 'task'.", pid)
		}
		if len(in.list("placementConstraints")) > 0 {
			return fail("Fargate compatible task definitions do not support placement constraints.")
		}
		if s := in.object("ephemeralStorage").number("sizeInGiB", 21); s < 21 || s > 200 {
			return fail("Ephemeral storage size should be between 21 and 200 GiB.")
		}
		if err := fargateSize(in); err != nil {
			return err
		}
	}
	taskMemory, err := taskSize(in, "memory")
	if err != nil {
		return err
	}
	taskCPU, err := taskSize(in, "cpu")
	if err != nil {
		return err
	}
	if taskCPU > 0 && (taskCPU < 128 || taskCPU > 192<<10) { // API_RegisterTaskDefinition, cpu
		return fail("Invalid 'cpu' setting for task.")
	}
	byName := map[string]object{}
	essential, cpu := false, 0
	for _, c := range containers {
		name := c.str("name")
		switch {
		case name == "":
			return fail("Container.name should not be null or empty.")
		case !resourceName.MatchString(name):
			return fail("Container.name contains invalid characters.")
		case byName[name] != nil:
			return fail("Duplicate container name '%s': container names must be unique within a task definition.", name)
		case c.str("image") == "":
			return fail("Container.image should not be null or empty.")
		case len(c.str("image")) > 255 || !imageForm.MatchString(c.str("image")) || strings.HasSuffix(c.str("image"), ":"):
			return fail("Container.image contains invalid characters.")
		}
		byName[name] = c
		if !c.has("essential") || c.flag("essential") {
			essential = true
		}
		if err := checkContainer(in, c, fargate, taskMemory); err != nil {
			return err
		}
		cpu += c.number("cpu", 0)
	}
	if !essential {
		return fail("A TaskDefinition must have at least one essential container.")
	}
	if taskCPU > 0 && cpu > taskCPU {
		return fail("The total number of cpu units of the containers (%d) is greater than the cpu units of the task (%d).", cpu, taskCPU)
	}
	volumes := map[string]bool{}
	for _, v := range in.objects("volumes") {
		if !resourceName.MatchString(v.str("name")) {
			return fail("Volume.name contains invalid characters.")
		}
		if volumes[v.str("name")] {
			return fail("Duplicate volume name '%s'.", v.str("name"))
		}
		volumes[v.str("name")] = true
	}
	for _, c := range containers {
		for _, m := range c.objects("mountPoints") {
			if !volumes[m.str("sourceVolume")] {
				return fail("Unknown volume '%s'.", m.str("sourceVolume"))
			}
		}
		for _, d := range c.objects("dependsOn") {
			target := byName[d.str("containerName")]
			switch {
			case target == nil:
				return fail("Container '%s' depends on unknown container '%s'.", c.str("name"), d.str("containerName"))
			case d.str("condition") == "HEALTHY" && !target.has("healthCheck"):
				return fail("Container '%s' depends on container '%s' to be HEALTHY, but it has no health check.", c.str("name"), d.str("containerName"))
			}
		}
	}
	return nil
}

// checkContainer refuses what is wrong within one container definition.
func checkContainer(in, c object, fargate bool, taskMemory int) error {
	fail := func(format string, args ...any) error { return apiErrorf("ClientException", format, args...) }
	name := c.str("name")
	if taskMemory == 0 && !c.has("memory") && !c.has("memoryReservation") {
		return fail("Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", name)
	}
	if m := c.number("memory", 6); m < 6 {
		return fail("Invalid setting for container '%s'. 'memory' must be at least 6 MiB.", name)
	}
	if hard, soft := c.number("memory", 0), c.number("memoryReservation", 0); hard > 0 && soft > hard {
		return fail("Invalid setting for container '%s'. 'memory' must be greater than or equal to 'memoryReservation'.", name)
	}
	if taskMemory > 0 && max(c.number("memory", 0), c.number("memoryReservation", 0)) > taskMemory {
		return fail("Invalid setting for container '%s'. Container memory must not be greater than the memory of the task (%d MiB).", name, taskMemory)
	}
	environment := map[string]bool{}
	for _, v := range c.objects("environment") {
		if v.str("name") == "" {
			return fail("Environment variable name cannot be empty for container '%s'.", name)
		}
		environment[v.str("name")] = true // ECS takes the same variable twice; the last one wins
	}
	secrets := map[string]bool{}
	for _, s := range c.objects("secrets") {
		n := s.str("name")
		if environment[n] {
			return fail("The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '%s'.", n)
		}
		if secrets[n] {
			return fail("Duplicate secret names found: %s. Each secret name must be unique.", n)
		}
		secrets[n] = true
		if s.str("valueFrom") == "" {
			return fail("The secret valueFrom must not be empty.")
		}
	}
	for _, p := range c.objects("portMappings") {
		if in.str("networkMode") == "awsvpc" && p.has("hostPort") && p.number("hostPort", 0) != 0 && p.number("hostPort", 0) != p.number("containerPort", 0) {
			return fail("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")
		}
		if n := p.number("containerPort", 1); n < 1 || n > 65535 {
			return fail("Invalid container port: %d", n)
		}
	}
	if h := c.object("healthCheck"); h != nil {
		for _, r := range []struct {
			member   string
			min, max int
		}{{"interval", 5, 300}, {"timeout", 2, 120}, {"retries", 1, 10}, {"startPeriod", 0, 300}} {
			if n := h.number(r.member, r.min); n < r.min || n > r.max {
				return fail("Invalid health check %s for container '%s': must be between %d and %d.", r.member, name, r.min, r.max)
			}
		}
		if len(h.list("command")) == 0 {
			return fail("Health check command cannot be empty for container '%s'.", name)
		}
	}
	log := c.object("logConfiguration")
	if log.str("logDriver") == "awslogs" {
		for _, o := range []string{"awslogs-group", "awslogs-region"} {
			if log.object("options").str(o) == "" && (o == "awslogs-group" || fargate) {
				return fail("Log driver awslogs requires options: %s", o)
			}
		}
		if fargate && log.object("options").str("awslogs-stream-prefix") == "" {
			return fail("Log driver awslogs requires options: awslogs-stream-prefix")
		}
	}
	if fargate {
		if d := log.str("logDriver"); d != "" && d != "awslogs" && d != "splunk" && d != "awsfirelens" {
			return fail("Fargate does not support log driver '%s'. The supported log drivers are: awslogs, splunk, awsfirelens.", d)
		}
		if c.flag("privileged") {
			return fail("Fargate compatible task definitions do not support privileged containers.")
		}
	}
	if fargate && !in.has("executionRoleArn") {
		const message = "Fargate requires task definition to have execution role ARN to support %s."
		switch {
		case strings.Contains(c.str("image"), ".dkr.ecr."):
			return fail(message, "ECR images")
		case log.str("logDriver") == "awslogs":
			return fail(message, "log driver awslogs")
		}
	}
	if !in.has("executionRoleArn") && len(secrets) > 0 {
		return fail("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
	}
	return nil
}

// taskSize reads cpu or memory of the task: "256", "0.25 vCPU", "1 GB".
func taskSize(in object, member string) (int, error) {
	text := in.str(member)
	if text == "" {
		return 0, nil
	}
	number, unit := strings.TrimSpace(strings.ToLower(text)), 1.0
	for suffix, times := range map[string]float64{"vcpu": 1024, "gb": 1024} {
		if trimmed, ok := strings.CutSuffix(number, suffix); ok && (suffix == "vcpu") == (member == "cpu") {
			number, unit = strings.TrimSpace(trimmed), times
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f <= 0 || unit == 1 && f != float64(int(f)) {
		return 0, apiErrorf("ClientException", "Invalid '%s' setting for task.", member)
	}
	return int(f * unit), nil
}

// fargateSizes is the table of task sizes: cpu units → memory in MiB: smallest, largest, step.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
var fargateSizes = map[int][3]int{
	512:    {1024, 4096, 1024},
	1024:   {2048, 8192, 1024},
	2048:   {4096, 16_384, 1024},
	4096:   {8192, 30_720, 1024},
	8192:   {16_384, 61_440, 4096},
	16_384: {32_768, 122_880, 8192},
}

func fargateSize(in object) error {
	cpu, err := taskSize(in, "cpu")
	if err != nil {
		return err
	}
	memory, err := taskSize(in, "memory")
	if err != nil {
		return err
	}
	ok := cpu == 256 && (memory == 512 || memory == 1024 || memory == 2048)
	if r, known := fargateSizes[cpu]; known {
		ok = memory >= r[0] && memory <= r[1] && (memory-r[0])%r[2] == 0
	}
	if !ok {
		return apiErrorf("ClientException", "No Fargate configuration exists for given values: %d CPU, %d memory. See the Amazon ECS documentation for the valid values.", cpu, memory)
	}
	return nil
}

// findTaskDefinition finds by ARN, family:revision, or family: its newest ACTIVE revision.
func (e *ECS) findTaskDefinition(ref string) (*taskDefinition, error) {
	unable := apiErrorf("ClientException", "Unable to describe task definition.")
	if strings.HasPrefix(ref, "arn:") && !strings.HasPrefix(ref, e.arn("ecs", "task-definition/")) {
		return nil, apiErrorf("ClientException", "Invalid arn syntax.")
	}
	name, rev, exact := strings.Cut(nameOf(ref), ":")
	f := e.families[name]
	if f == nil {
		return nil, unable
	}
	if !exact {
		for _, td := range slices.Backward(f.revisions) {
			if td.status == "ACTIVE" {
				return td, nil
			}
		}
		return nil, unable
	}
	n, err := strconv.Atoi(rev)
	if err != nil {
		return nil, apiErrorf("ClientException", "Invalid revision number. Number: %s", rev)
	}
	if n < 1 || n > len(f.revisions) {
		return nil, unable
	}
	return f.revisions[n-1], nil
}

// usableTaskDefinition finds a task definition that something is to run.
func (e *ECS) usableTaskDefinition(ref, inactive string) (*taskDefinition, error) {
	td, err := e.findTaskDefinition(ref)
	if err != nil {
		if api, ok := err.(*apiError); ok && strings.HasPrefix(api.message, "Unable") {
			return nil, apiErrorf("ClientException", "TaskDefinition not found.")
		}
		return nil, err
	}
	if td.status != "ACTIVE" {
		return nil, apiErrorf(inactive, "TaskDefinition is inactive")
	}
	return td, nil
}

func (e *ECS) describeTaskDefinition(c *call) (object, error) {
	td, err := e.findTaskDefinition(c.in.str("taskDefinition"))
	if err != nil {
		return nil, err
	}
	out := object{"taskDefinition": td.describe(), "tags": []any{}}
	if slices.Contains(c.in.strings("include"), "TAGS") {
		out["tags"] = anys(td.tags)
	}
	return out, nil
}

func (e *ECS) listTaskDefinitions(c *call) (object, error) {
	status := cmp.Or(c.in.str("status"), "ACTIVE")
	names := make([]string, 0, len(e.families))
	for n := range e.families {
		if p := c.in.str("familyPrefix"); p == "" || n == p {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	arns := []string{}
	for _, n := range names {
		for _, td := range e.families[n].revisions {
			if td.status == status {
				arns = append(arns, td.arn)
			}
		}
	}
	if c.in.str("sort") == "DESC" {
		slices.Reverse(arns)
	}
	return listed(c, "taskDefinitionArns", arns)
}

func (e *ECS) deregisterTaskDefinition(c *call) (object, error) {
	ref := c.in.str("taskDefinition")
	if !strings.Contains(nameOf(ref), ":") {
		return nil, apiErrorf("ClientException", "Revision is missing.")
	}
	td, err := e.findTaskDefinition(ref)
	if err != nil {
		return nil, err
	}
	if td.status == "ACTIVE" {
		td.status, td.deregistered = "INACTIVE", c.now
	}
	return object{"taskDefinition": td.describe()}, nil
}

func encodedSize(doc object) int {
	data, _ := json.Marshal(doc)
	return len(data)
}
