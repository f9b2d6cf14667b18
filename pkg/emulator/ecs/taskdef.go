// Task definitions: registered as they come, member for member, described with the defaults that ECS fills in, refused as ECS refuses them.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html

package ecs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/ecr"
)

type family struct {
	name      string
	revisions []*taskDefinition // the nth is revision n+1
}

type taskDefinition struct {
	family       *family
	revision     int
	ARN          string
	doc          awsapi.Object // as registered, with defaults
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

func (e *ECS) RegisterTaskDefinition(c *awsapi.Invocation) (awsapi.Object, error) {
	if err := CheckTaskDefinition(c.In); err != nil {
		return nil, err
	}
	name := c.In.Str("family")
	f := e.families[name]
	if f == nil {
		f = &family{name: name}
		e.families[name] = f
	}
	td := e.addRevision(f, c.In, c.Principal, c.Now)
	return awsapi.Object{"taskDefinition": td.describe(), "tags": awsapi.Anys(td.tags)}, nil
}

// addRevision makes the next revision of a family from a register request.
func (e *ECS) addRevision(f *family, in awsapi.Object, principal string, now time.Time) *taskDefinition {
	td := &taskDefinition{
		family: f, revision: len(f.revisions) + 1, doc: withDefaults(in), tags: in.List("tags"),
		status: "ACTIVE", registered: now, registeredBy: principal,
	}
	delete(td.doc, "tags")
	td.ARN = e.ARN("ecs", fmt.Sprintf("task-definition/%s:%d", f.name, td.revision))
	f.revisions = append(f.revisions, td)
	return td
}

// withDefaults returns a task definition with what ECS fills in when it answers: seen in its answers, and in part in the API reference.
func withDefaults(in awsapi.Object) awsapi.Object {
	doc := awsapi.CopyOf(in)
	doc.Fill("volumes", []any{})
	doc.Fill("placementConstraints", []any{})
	doc.Fill("enableFaultInjection", false)
	for _, c := range doc.Objects("containerDefinitions") {
		c.Fill("cpu", 0)
		c.Fill("essential", true)
		for _, m := range []string{"environment", "mountPoints", "portMappings", "systemControls", "volumesFrom"} {
			c.Fill(m, []any{})
		}
		for _, p := range c.Objects("portMappings") {
			if !p.Has("containerPortRange") {
				if mode := doc.Str("networkMode"); mode == "awsvpc" || mode == "host" {
					p.Fill("hostPort", p["containerPort"])
				}
				p.Fill("hostPort", 0)
			}
			p.Fill("protocol", "tcp")
		}
		if h := c.Object("healthCheck"); h != nil {
			h.Fill("interval", 30)
			h.Fill("timeout", 5)
			h.Fill("retries", 3)
		}
	}
	for _, v := range doc.Objects("volumes") {
		if len(v) == 1 {
			v["host"] = awsapi.Object{}
		}
	}
	return doc
}

// MainImage is the image of the first essential container.
func (td *taskDefinition) MainImage() string {
	for _, c := range td.doc.Objects("containerDefinitions") {
		if c["essential"] != false {
			return c.Str("image")
		}
	}
	return ""
}

func (td *taskDefinition) describe() awsapi.Object {
	o := awsapi.CopyOf(td.doc).With(awsapi.Object{
		"taskDefinitionArn": td.ARN, "revision": td.revision, "status": td.status,
		"registeredAt": awsapi.Epoch(td.registered), "registeredBy": td.registeredBy,
		"compatibilities": awsapi.Anys(td.compatibilities()),
	})
	if attrs := td.attributes(); len(attrs) > 0 {
		o["requiresAttributes"] = attrs
	}
	o.Put("deregisteredAt", td.deregistered)
	return o
}

func (td *taskDefinition) compatibilities() []string {
	switch mode := td.doc.Str("networkMode"); {
	case mode == "awsvpc" && FargateSize(td.doc) == nil:
		return []string{"EC2", "FARGATE"}
	case mode == "awsvpc":
		return []string{"EC2"}
	}
	return []string{"EXTERNAL", "EC2"}
}

// attributes lists what a container instance must be able to do, in the names of the container agent's capabilities.
func (td *taskDefinition) attributes() []any {
	names := map[string]bool{}
	execution := td.doc.Has("executionRoleArn")
	add := func(n string) { names[n] = true }
	for _, c := range td.doc.Objects("containerDefinitions") {
		if strings.Contains(c.Str("image"), ".dkr.ecr.") {
			add("com.amazonaws.ecs.capability.ecr-auth")
			if execution {
				add("ecs.capability.execution-role-ecr-pull")
			}
		}
		if l := c.Object("logConfiguration"); l != nil {
			add("com.amazonaws.ecs.capability.logging-driver." + l.Str("logDriver"))
			add("com.amazonaws.ecs.capability.docker-remote-api.1.19")
			if execution && l.Str("logDriver") == "awslogs" {
				add("ecs.capability.execution-role-awslogs")
			}
		}
		for _, s := range c.Objects("secrets") {
			if strings.Contains(s.Str("valueFrom"), ":secretsmanager:") {
				add("ecs.capability.secrets.asm.environment-variables")
			} else {
				add("ecs.capability.secrets.ssm.environment-variables")
			}
		}
		if c.Has("healthCheck") {
			add("ecs.capability.container-health-check")
		}
	}
	if td.doc.Has("taskRoleArn") {
		add("com.amazonaws.ecs.capability.task-iam-role")
	}
	if td.doc.Str("networkMode") == "awsvpc" {
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
		out[i] = awsapi.Object{"name": n}
	}
	return out
}

// platform is what the containers run on.
func (td *taskDefinition) platform() ecr.Platform {
	p := td.doc.Object("runtimePlatform")
	out := ecr.Platform{OS: "linux", Architecture: "amd64"}
	if p.Str("cpuArchitecture") == "ARM64" {
		out.Architecture = "arm64"
	}
	if strings.HasPrefix(p.Str("operatingSystemFamily"), "WINDOWS") {
		out.OS = "windows"
	}
	return out
}

// CheckTaskDefinition refuses what the model lets through and ECS does not.
func CheckTaskDefinition(in awsapi.Object) error {
	fail := func(format string, args ...any) error { return awsapi.Errorf("ClientException", format, args...) }
	if err := checkTags(in, "ClientException"); err != nil {
		return err
	}
	if !resourceName.MatchString(in.Str("family")) {
		return fail("Family contains invalid characters.")
	}
	containers := in.Objects("containerDefinitions")
	if len(containers) == 0 {
		return fail("Container list cannot be empty.")
	}
	if len(containers) > 10 { // service quota: containers per task definition
		return fail("Too many containers in task definition. The maximum is 10.")
	}
	if size := encodedSize(in); size > maxTaskDefinition {
		return fail("Actual length: '%d'. Max allowed length is '%d' bytes.", size, maxTaskDefinition)
	}
	fargate := slices.Contains(in.Strings("requiresCompatibilities"), "FARGATE")
	if fargate {
		if err := checkFargate(in); err != nil {
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
	byName := map[string]awsapi.Object{}
	essential, cpu := false, 0
	for _, c := range containers {
		name := c.Str("name")
		switch {
		case name == "":
			return fail("Container.name should not be null or empty.")
		case !resourceName.MatchString(name):
			return fail("Container.name contains invalid characters.")
		case byName[name] != nil:
			return fail("Duplicate container name '%s': container names must be unique within a task definition.", name)
		case c.Str("image") == "":
			return fail("Container.image should not be null or empty.")
		case len(c.Str("image")) > 255 || !imageForm.MatchString(c.Str("image")) || strings.HasSuffix(c.Str("image"), ":"):
			return fail("Container.image contains invalid characters.")
		}
		byName[name] = c
		if !c.Has("essential") || c.Flag("essential") {
			essential = true
		}
		if err := checkContainer(in, c, fargate, taskMemory); err != nil {
			return err
		}
		cpu += c.Number("cpu", 0)
	}
	if !essential {
		return fail("A TaskDefinition must have at least one essential container.")
	}
	if taskCPU > 0 && cpu > taskCPU {
		return fail("The total number of cpu units of the containers (%d) is greater than the cpu units of the task (%d).", cpu, taskCPU)
	}
	return checkReferences(in, byName)
}

// checkFargate holds what Fargate requires of the task as a whole.
func checkFargate(in awsapi.Object) error {
	fail := func(format string, args ...any) error { return awsapi.Errorf("ClientException", format, args...) }
	if in.Str("networkMode") != "awsvpc" {
		return fail("Fargate only supports network mode ‘awsvpc’.")
	}
	for _, m := range []string{"cpu", "memory"} {
		if !in.Has(m) {
			return fail("Fargate requires that '%s' be defined at the task level.", m)
		}
	}
	if pid := in.Str("pidMode"); pid != "" && pid != "task" {
		return fail("Tasks using the Fargate launch type do not support pidMode '%s'. The supported value for pidMode is 'task'.", pid)
	}
	if len(in.List("placementConstraints")) > 0 {
		return fail("Fargate compatible task definitions do not support placement constraints.")
	}
	if s := in.Object("ephemeralStorage").Number("sizeInGiB", 21); s < 21 || s > 200 {
		return fail("Ephemeral storage size should be between 21 and 200 GiB.")
	}
	return FargateSize(in)
}

// checkReferences holds that volumes are unique, and that what containers name is there.
func checkReferences(in awsapi.Object, byName map[string]awsapi.Object) error {
	fail := func(format string, args ...any) error { return awsapi.Errorf("ClientException", format, args...) }
	volumes := map[string]bool{}
	for _, v := range in.Objects("volumes") {
		if !resourceName.MatchString(v.Str("name")) {
			return fail("Volume.name contains invalid characters.")
		}
		if volumes[v.Str("name")] {
			return fail("Duplicate volume name '%s'.", v.Str("name"))
		}
		volumes[v.Str("name")] = true
	}
	for _, c := range in.Objects("containerDefinitions") {
		for _, m := range c.Objects("mountPoints") {
			if !volumes[m.Str("sourceVolume")] {
				return fail("Unknown volume '%s'.", m.Str("sourceVolume"))
			}
		}
		for _, d := range c.Objects("dependsOn") {
			target := byName[d.Str("containerName")]
			switch {
			case target == nil:
				return fail("Container '%s' depends on unknown container '%s'.", c.Str("name"), d.Str("containerName"))
			case d.Str("condition") == "HEALTHY" && !target.Has("healthCheck"):
				return fail("Container '%s' depends on container '%s' to be HEALTHY, but it has no health check.", c.Str("name"), d.Str("containerName"))
			}
		}
	}
	return nil
}

// checkContainer refuses what is wrong within one container definition.
func checkContainer(in, c awsapi.Object, fargate bool, taskMemory int) error {
	fail := func(format string, args ...any) error { return awsapi.Errorf("ClientException", format, args...) }
	name := c.Str("name")
	if taskMemory == 0 && !c.Has("memory") && !c.Has("memoryReservation") {
		return fail("Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", name)
	}
	if m := c.Number("memory", 6); m < 6 {
		return fail("Invalid setting for container '%s'. 'memory' must be at least 6 MiB.", name)
	}
	if hard, soft := c.Number("memory", 0), c.Number("memoryReservation", 0); hard > 0 && soft > hard {
		return fail("Invalid setting for container '%s'. 'memory' must be greater than or equal to 'memoryReservation'.", name)
	}
	if taskMemory > 0 && max(c.Number("memory", 0), c.Number("memoryReservation", 0)) > taskMemory {
		return fail("Invalid setting for container '%s'. Container memory must not be greater than the memory of the task (%d MiB).", name, taskMemory)
	}
	if err := checkVariables(c); err != nil {
		return err
	}
	for _, p := range c.Objects("portMappings") {
		if in.Str("networkMode") == "awsvpc" && p.Has("hostPort") && p.Number("hostPort", 0) != 0 && p.Number("hostPort", 0) != p.Number("containerPort", 0) {
			return fail("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")
		}
		if n := p.Number("containerPort", 1); n < 1 || n > 65535 {
			return fail("Invalid container port: %d", n)
		}
	}
	if h := c.Object("healthCheck"); h != nil {
		for _, r := range []struct {
			member   string
			min, max int
		}{{"interval", 5, 300}, {"timeout", 2, 120}, {"retries", 1, 10}, {"startPeriod", 0, 300}} {
			if n := h.Number(r.member, r.min); n < r.min || n > r.max {
				return fail("Invalid health check %s for container '%s': must be between %d and %d.", r.member, name, r.min, r.max)
			}
		}
		if len(h.List("command")) == 0 {
			return fail("Health check command cannot be empty for container '%s'.", name)
		}
	}
	return checkLogging(in, c, fargate)
}

// checkVariables holds the rules for environment variables and secrets.
func checkVariables(c awsapi.Object) error {
	fail := func(format string, args ...any) error { return awsapi.Errorf("ClientException", format, args...) }
	name := c.Str("name")
	environment := map[string]bool{}
	for _, v := range c.Objects("environment") {
		if v.Str("name") == "" {
			return fail("Environment variable name cannot be empty for container '%s'.", name)
		}
		environment[v.Str("name")] = true // ECS takes the same variable twice; the last one wins
	}
	secrets := map[string]bool{}
	for _, s := range c.Objects("secrets") {
		n := s.Str("name")
		if environment[n] {
			return fail("The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '%s'.", n)
		}
		if secrets[n] {
			return fail("Duplicate secret names found: %s. Each secret name must be unique.", n)
		}
		secrets[n] = true
		if s.Str("valueFrom") == "" {
			return fail("The secret valueFrom must not be empty.")
		}
	}
	return nil
}

// checkLogging holds the rules for log drivers, privileges and what needs an execution role.
func checkLogging(in, c awsapi.Object, fargate bool) error {
	fail := func(format string, args ...any) error { return awsapi.Errorf("ClientException", format, args...) }
	log := c.Object("logConfiguration")
	if log.Str("logDriver") == "awslogs" {
		for _, o := range []string{"awslogs-group", "awslogs-region"} {
			if log.Object("options").Str(o) == "" && (o == "awslogs-group" || fargate) {
				return fail("Log driver awslogs requires options: %s", o)
			}
		}
		if fargate && log.Object("options").Str("awslogs-stream-prefix") == "" {
			return fail("Log driver awslogs requires options: awslogs-stream-prefix")
		}
	}
	if fargate {
		if d := log.Str("logDriver"); d != "" && d != "awslogs" && d != "splunk" && d != "awsfirelens" {
			return fail("Fargate does not support log driver '%s'. The supported log drivers are: awslogs, splunk, awsfirelens.", d)
		}
		if c.Flag("privileged") {
			return fail("Fargate compatible task definitions do not support privileged containers.")
		}
	}
	if fargate && !in.Has("executionRoleArn") {
		const message = "Fargate requires task definition to have execution role ARN to support %s."
		switch {
		case strings.Contains(c.Str("image"), ".dkr.ecr."):
			return fail(message, "ECR images")
		case log.Str("logDriver") == "awslogs":
			return fail(message, "log driver awslogs")
		}
	}
	if !in.Has("executionRoleArn") && len(c.List("secrets")) > 0 {
		return fail("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
	}
	return nil
}

// taskSize reads cpu or memory of the task: "256", "0.25 vCPU", "1 GB".
func taskSize(in awsapi.Object, member string) (int, error) {
	text := in.Str(member)
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
		return 0, awsapi.Errorf("ClientException", "Invalid '%s' setting for task.", member)
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

func FargateSize(in awsapi.Object) error {
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
		return awsapi.Errorf("ClientException", "No Fargate configuration exists for given values: %d CPU, %d memory. See the Amazon ECS documentation for the valid values.", cpu, memory)
	}
	return nil
}

// findTaskDefinition finds by ARN, family:revision, or family: its newest ACTIVE revision.
func (e *ECS) findTaskDefinition(ref string) (*taskDefinition, error) {
	unable := awsapi.Errorf("ClientException", "Unable to describe task definition.")
	if strings.HasPrefix(ref, "arn:") && !strings.HasPrefix(ref, e.ARN("ecs", "task-definition/")) {
		return nil, awsapi.Errorf("ClientException", "Invalid arn syntax.")
	}
	name, rev, exact := strings.Cut(awsapi.NameOf(ref), ":")
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
		return nil, awsapi.Errorf("ClientException", "Invalid revision number. Number: %s", rev)
	}
	if n < 1 || n > len(f.revisions) {
		return nil, unable
	}
	return f.revisions[n-1], nil
}

// UsableTaskDefinition finds a task definition that something is to run.
func (e *ECS) UsableTaskDefinition(ref, inactive string) (*taskDefinition, error) {
	td, err := e.findTaskDefinition(ref)
	if err != nil {
		if api, ok := err.(*awsapi.Error); ok && strings.HasPrefix(api.Message, "Unable") {
			return nil, awsapi.Errorf("ClientException", "TaskDefinition not found.")
		}
		return nil, err
	}
	if td.status != "ACTIVE" {
		return nil, awsapi.Errorf(inactive, "TaskDefinition is inactive")
	}
	return td, nil
}

func (e *ECS) describeTaskDefinition(c *awsapi.Invocation) (awsapi.Object, error) {
	td, err := e.findTaskDefinition(c.In.Str("taskDefinition"))
	if err != nil {
		return nil, err
	}
	out := awsapi.Object{"taskDefinition": td.describe(), "tags": []any{}}
	if slices.Contains(c.In.Strings("include"), "TAGS") {
		out["tags"] = awsapi.Anys(td.tags)
	}
	return out, nil
}

func (e *ECS) listTaskDefinitions(c *awsapi.Invocation) (awsapi.Object, error) {
	status := cmp.Or(c.In.Str("status"), "ACTIVE")
	names := make([]string, 0, len(e.families))
	for n := range e.families {
		if p := c.In.Str("familyPrefix"); p == "" || n == p {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	arns := []string{}
	for _, n := range names {
		for _, td := range e.families[n].revisions {
			if td.status == status {
				arns = append(arns, td.ARN)
			}
		}
	}
	if c.In.Str("sort") == "DESC" {
		slices.Reverse(arns)
	}
	return listed(c, "taskDefinitionArns", arns)
}

func (e *ECS) deregisterTaskDefinition(c *awsapi.Invocation) (awsapi.Object, error) {
	ref := c.In.Str("taskDefinition")
	if !strings.Contains(awsapi.NameOf(ref), ":") {
		return nil, awsapi.Errorf("ClientException", "Revision is missing.")
	}
	td, err := e.findTaskDefinition(ref)
	if err != nil {
		return nil, err
	}
	if td.status == "ACTIVE" {
		td.status, td.deregistered = "INACTIVE", c.Now
	}
	return awsapi.Object{"taskDefinition": td.describe()}, nil
}

func encodedSize(doc awsapi.Object) int {
	data, _ := json.Marshal(doc)
	return len(data)
}
