package examples_test

// The examples are held to what the task really has: each EcsDeploy@1 step of
// a pipeline is checked against task.json and then loaded as the task loads its
// inputs; outputs that are read must exist and be set by a step that is there;
// the tables for the classic editor use its labels.

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ecsdeploy/examples"
	"ecsdeploy/pkg/input"
)

// task is what of task.json concerns who uses the task.
type task struct {
	Inputs          []field
	OutputVariables []struct{ Name string }
}

type field struct {
	Name, Label, Type string
	DefaultValue      string
	Required          bool
	Options           map[string]string
	Properties        map[string]string
}

// chooses reports whether the field takes nothing but its options.
func (f field) chooses() bool {
	return f.Type == "pickList" && f.Properties["EditableOptions"] != "True"
}

func readTask(t *testing.T) task {
	t.Helper()
	text, err := os.ReadFile("../task/task.json")
	if err != nil {
		t.Fatal(err)
	}
	var m task
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m task) hasOutput(name string) bool {
	return slices.ContainsFunc(m.OutputVariables, func(o struct{ Name string }) bool { return o.Name == name })
}

// pipeline is a YAML example: a file, or a block in a Markdown file.
type pipeline struct {
	name, text string
	root       yaml.Node
	steps      []step
	variables  map[string]string
}

// step is a step that has a task.
type step struct {
	stage, job string
	line       int
	Task       string
	Name       string
	Inputs     map[string]string
}

func pipelines(t *testing.T) []pipeline {
	t.Helper()
	var found []pipeline
	add := func(name, text string) {
		p := pipeline{name: name, text: text, variables: map[string]string{}}
		if err := yaml.Unmarshal([]byte(text), &p.root); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p.walk(t, &p.root, step{})
		found = append(found, p)
	}
	files, err := filepath.Glob("*.yml")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := filepath.Glob("templates/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, templates...)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		add(file, string(text))
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		add(fmt.Sprintf("README.md, block %d", i+1), block[1])
	}
	if len(files) != 4 || len(found) == len(files) {
		t.Fatalf("%d files and %d pipelines", len(files), len(found))
	}
	return found
}

// walk collects steps and variables, wherever expressions like ${{ each }} put them.
func (p *pipeline) walk(t *testing.T, n *yaml.Node, at step) {
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			p.walk(t, child, at)
		}
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		switch key, value := n.Content[i].Value, n.Content[i+1]; key {
		case "stage":
			at.stage = value.Value
		case "job", "deployment":
			at.job = value.Value
		case "task":
			at.line = n.Line
			if err := n.Decode(&at); err != nil {
				t.Errorf("%s:%d: %v", p.name, n.Line, err)
			}
			p.steps = append(p.steps, at)
		case "parameters":
			var parameters []struct {
				Name    string
				Default any
			}
			if err := value.Decode(&parameters); err != nil {
				t.Errorf("%s:%d: %v", p.name, value.Line, err)
			}
			for _, parameter := range parameters {
				if text, is := parameter.Default.(string); is {
					p.variables["parameters."+parameter.Name] = text
				}
			}
		case "variables":
			var variables map[string]string
			if err := value.Decode(&variables); err != nil {
				t.Errorf("%s:%d: %v", p.name, value.Line, err)
			}
			maps.Copy(p.variables, variables)
		}
	}
	for i := 1; i < len(n.Content); i += 2 {
		p.walk(t, n.Content[i], at)
	}
}

func (p *pipeline) step(name string) *step {
	i := slices.IndexFunc(p.steps, func(s step) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &p.steps[i]
}

// sets reports whether a step of that name is in a job of a stage.
func (p *pipeline) sets(stage, job, name string) bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.stage == stage && s.job == job && s.Name == name })
}

// Names exist, choices are among the options, and what is required is there.
func TestStepsAgainstTaskJSON(t *testing.T) {
	m := readTask(t)
	used := map[string]bool{}
	for _, p := range pipelines(t) {
		for _, s := range p.steps {
			if s.Task != "EcsDeploy@1" {
				continue
			}
			complain := func(format string, args ...any) {
				t.Helper()
				t.Errorf("%s:%d: %s", p.name, s.line, fmt.Sprintf(format, args...))
			}
			left := maps.Clone(s.Inputs)
			for _, in := range m.Inputs {
				value, given := left[in.Name]
				delete(left, in.Name)
				switch {
				case !given && in.Required && in.DefaultValue == "":
					complain("the required input %s is missing", in.Name)
				case !given:
				case strings.EqualFold(value, in.DefaultValue):
					complain("%s: %s is the default", in.Name, value)
				case in.chooses() && in.Options[value] == "":
					complain("%s: %s is none of its options, %q", in.Name, value, slices.Sorted(maps.Keys(in.Options)))
				case in.Type == "boolean" && value != "true" && value != "false":
					complain("%s: %s is neither true nor false", in.Name, value)
				}
			}
			for name := range left {
				complain("the task has no input %s", name)
			}
			used[s.Inputs["command"]] = true
		}
	}
	if got, want := slices.Sorted(maps.Keys(used)), []string{"currentImage", "placeholder", "push", "resume", "rollout"}; !slices.Equal(got, want) {
		t.Errorf("the commands used are %q, want %q", got, want)
	}
}

// The task takes the inputs as they are written: none is wrong, none is
// missing, and none is without effect for the command.
func TestStepsAsTheTaskLoadsThem(t *testing.T) {
	m := readTask(t)
	for _, p := range pipelines(t) {
		for _, s := range p.steps {
			if s.Task != "EcsDeploy@1" {
				continue
			}
			environ := map[string]string{
				"BUILD_BUILDID":             "17",
				"ENDPOINT_AUTH_" + endpoint: `{"scheme": "UsernamePassword", "parameters": {"username": "AKIAIOSFODNN7EXAMPLE", "password": "secret"}}`,
			}
			for _, in := range m.Inputs {
				value, given := s.Inputs[in.Name]
				if !given {
					value = in.DefaultValue
				}
				if in.Name == "awsCredentials" {
					value = endpoint
				}
				environ["INPUT_"+strings.ToUpper(in.Name)] = p.expand(t, value)
			}
			cfg, err := input.Load(context.Background(), environ)
			if err != nil {
				t.Errorf("%s:%d: %v", p.name, s.line, err)
			}
			if len(cfg.Inputs.Ignored) > 0 {
				t.Errorf("%s:%d: %q have no effect for the command %s", p.name, s.line, cfg.Inputs.Ignored, cfg.Inputs.Command)
			}
		}
	}
}

const endpoint = "0b6c1d2e-3f40-4152-8637-48596a7b8c9d"

var macro = regexp.MustCompile(`\$\(([\w.]+)\)|\$\{\{ ([\w.]+) \}\}|\$\[ (.+?) \]`)

// expand replaces what Azure Pipelines would: variables of the file, predefined
// ones, the variable of a loop, and outputs of steps.
func (p *pipeline) expand(t *testing.T, text string) string {
	return macro.ReplaceAllStringFunc(text, func(found string) string {
		groups := macro.FindStringSubmatch(found)
		name := groups[1] + groups[2]
		switch value, ours := p.variables[name]; {
		case ours:
			return p.expand(t, value)
		case name == "Build.BuildId":
			return "17"
		case name == "stage" && groups[2] != "":
			return "dev"
		case strings.HasSuffix(groups[3], "outputs['push.imageDigest']"):
			return "sha256:" + strings.Repeat("0a", 32)
		case strings.HasSuffix(groups[3], "outputs['ecs.hookId']"):
			return "ecs-pause-0a1b2c3d"
		}
		t.Errorf("%s: nothing gives %s a value", p.name, found)
		return ""
	})
}

// An output that is read is one of the task, and of a step that is there: of
// the same job, or of the stage and job that are named, on which this stage depends.
func TestOutputs(t *testing.T) {
	m := readTask(t)
	here := regexp.MustCompile(`\$\((\w+)\.(\w+)\)`)
	elsewhere := regexp.MustCompile(`stageDependencies\.(\w+)\.(\w+)\.outputs\['(\w+)\.(\w+)'\]`)
	inConditions := regexp.MustCompile(`dependencies\.(\w+)\.outputs\['(\w+)\.(\w+)\.(\w+)'\]`)
	read := 0
	for _, p := range pipelines(t) {
		for _, found := range inConditions.FindAllStringSubmatch(p.text, -1) {
			read++
			if !p.sets(found[1], found[2], found[3]) || !m.hasOutput(found[4]) {
				t.Errorf("%s: %s is no output of a step of this pipeline", p.name, found[0])
			}
		}
		for _, found := range here.FindAllStringSubmatch(p.text, -1) {
			name, output := found[1], found[2]
			if name == "Build" || name == "Agent" {
				continue
			}
			read++
			if p.step(name) == nil || !m.hasOutput(output) {
				t.Errorf("%s: %s is no output of a step of this pipeline", p.name, found[0])
			}
		}
		for _, found := range elsewhere.FindAllStringSubmatch(p.text, -1) {
			read++
			if !p.sets(found[1], found[2], found[3]) || !m.hasOutput(found[4]) {
				t.Errorf("%s: %s is no output of a step of this pipeline", p.name, found[0])
			}
		}
	}
	if read < 5 {
		t.Errorf("only %d outputs are read", read)
	}
}

// Both stages of the application roll out one digest, that of the build stage.
func TestOneDigestForAllStages(t *testing.T) {
	all := pipelines(t)
	p := all[slices.IndexFunc(all, func(p pipeline) bool { return p.name == "3-application.yml" })]
	images := map[string]string{}
	for _, s := range p.steps {
		if s.Inputs["command"] == "rollout" {
			images[s.stage] = p.expand(t, s.Inputs["image"])
		}
	}
	if len(images) != 2 || images["Dev"] != images["Production"] || !strings.Contains(images["Dev"], "@sha256:") {
		t.Errorf("the stages roll out %q", images)
	}
}

// The classic editor shows labels; so do the tables, and the commands in its
// words. The other files that the text links to are there.
func TestDocuments(t *testing.T) {
	m := readTask(t)
	row := regexp.MustCompile(`(?m)^ *\| ([A-Z][^|]*?) \| ([^|]*?) \|$`)
	text, err := os.ReadFile("classic-release.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := row.FindAllStringSubmatch(string(text), -1)
	if len(rows) < 15 {
		t.Errorf("%d fields", len(rows))
	}
	for _, cells := range rows {
		label, value := cells[1], cells[2]
		i := slices.IndexFunc(m.Inputs, func(in field) bool { return in.Label == label })
		switch {
		case i < 0:
			t.Errorf("classic-release.md: the task has no field %q", label)
		case m.Inputs[i].chooses() && !slices.Contains(slices.Collect(maps.Values(m.Inputs[i].Options)), value):
			t.Errorf("classic-release.md: %s has no choice %q", label, value)
		}
	}
	link := regexp.MustCompile(`\]\(([^):]+)\)`)
	for _, name := range []string{"classic-release.md", "README.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.FromSlash(found[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The roles that the CDK app makes for the pipeline allow what docs/permissions.md
// says the commands need, under the same conditions, and nothing else.
func TestPermissions(t *testing.T) {
	const page = "docs/permissions.md"
	text, err := os.ReadFile("../" + page)
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct {
				Roles          []map[string]string
				PolicyDocument policy
			}
		}
	}
	if err := json.Unmarshal(examples.Template, &template); err != nil {
		t.Fatal(err)
	}
	for command, role := range map[string]string{"push": "PushRole", "rollout": "DeployRole"} {
		_, section, _ := strings.Cut(string(text), "\n## "+command+"\n")
		_, document, _ := strings.Cut(section, "```json\n")
		document, _, _ = strings.Cut(document, "```")
		var want policy
		if err := json.Unmarshal([]byte(document), &want); err != nil {
			t.Fatalf("%s, %s: %v", page, command, err)
		}
		var got policy
		for _, r := range template.Resources {
			if r.Type == "AWS::IAM::Policy" && strings.HasPrefix(r.Properties.Roles[0]["Ref"], role) {
				got = r.Properties.PolicyDocument
			}
		}
		if got, want := got.actions(), want.actions(); !slices.Equal(got, want) {
			t.Errorf("%s may\n%q, and %s says\n%q; adapt infrastructure/permissions.js, then run there: npm ci && UPDATE=1 npm test", role, got, page, want)
		}
	}
}

type policy struct {
	Statement []struct {
		Effect    string
		Action    oneOrMore
		Condition map[string]map[string]any
	}
}

// actions lists what is allowed, each with the keys of its conditions.
func (p policy) actions() []string {
	var all []string
	for _, s := range p.Statement {
		var when string
		for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
			when += fmt.Sprint(" ", operator, " ", slices.Sorted(maps.Keys(s.Condition[operator])))
		}
		for _, a := range s.Action {
			all = append(all, s.Effect+" "+a+when)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// oneOrMore is a JSON string, or a list of them.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = []string{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(o))
}
