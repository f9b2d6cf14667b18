package docs_test

// Our own pipeline and the examples have the members that Azure Pipelines knows, in the places where it knows them, and
// the pipeline that releases does so in the order that keeps what was not tested from being published.

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The members of a pipeline, as far as ours use them. Source: YAML schema reference of Azure Pipelines,
// https://learn.microsoft.com/azure/devops/pipelines/yaml-schema
type (
	ownPipeline struct {
		Trigger, Pr, Pool, Variables, Resources any
		Parameters                              []struct {
			Name, Type, DisplayName string
			Default, Values         any
		}
		Schedules []struct {
			Cron, DisplayName string
			Branches          any
			Always            bool
		}
		Stages []ownStage
		Jobs   []ownJob
		Steps  []ownStep
	}
	ownStage struct {
		Stage, DisplayName, Condition, Template string
		DependsOn, Variables, Pool, Parameters  any
		LockBehavior                            string `yaml:"lockBehavior"`
		Jobs                                    []ownJob
	}
	ownJob struct {
		Job, Deployment, DisplayName, Condition string
		DependsOn, Pool, Variables, Container   any
		Environment                             any
		TimeoutInMinutes                        int `yaml:"timeoutInMinutes"`
		Workspace                               any
		Strategy                                struct {
			Matrix  any
			RunOnce map[string]struct{ Steps []ownStep } `yaml:"runOnce"`
		}
		Steps []ownStep
	}
	ownStep struct {
		Task, Script, Bash, Checkout, Download, Publish string
		Artifact, Name, DisplayName, Condition          string
		WorkingDirectory                                string `yaml:"workingDirectory"`
		FetchDepth                                      int    `yaml:"fetchDepth"`
		Inputs, Env                                     map[string]string
		ContinueOnError, RetryCountOnTaskFailure        any
	}
)

// The YAML package takes names in lower case where a field has none of its own.
var spelled = strings.NewReplacer("displayName:", "displayname:", "dependsOn:", "dependson:", "continueOnError:", "continueonerror:", "retryCountOnTaskFailure:", "retrycountontaskfailure:")

func parsePipeline(t *testing.T, file string) (p ownPipeline) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader([]byte(spelled.Replace(string(text)))))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	return p
}

func TestPipelinesHaveKnownMembers(t *testing.T) {
	checked := 0
	for file, text := range texts(t, ".yml") {
		if strings.HasPrefix(file, ".github/") || strings.Contains(text, "${{ each") || strings.Contains(text, "${{ if") {
			continue
		}
		checked++
		p := parsePipeline(t, file)
		step := func(s ownStep) {
			kinds := 0
			for _, kind := range []string{s.Task, s.Script, s.Bash, s.Checkout, s.Download, s.Publish} {
				if kind != "" {
					kinds++
				}
			}
			if kinds != 1 || s.Task != "" && !regexp.MustCompile(`^\w+@\d+$`).MatchString(s.Task) || s.Inputs != nil && s.Task == "" {
				t.Errorf("%s: a step is one of task, script, bash, checkout, download and publish: %+v", file, s)
			}
		}
		jobs := p.Jobs
		for _, s := range p.Stages {
			jobs = append(jobs, s.Jobs...)
		}
		steps := p.Steps
		for _, j := range jobs {
			steps = append(steps, j.Steps...)
			for hook, at := range j.Strategy.RunOnce {
				if !slices.Contains([]string{"preDeploy", "deploy", "routeTraffic", "postRouteTraffic"}, hook) {
					t.Errorf("%s: a deployment has no %s", file, hook)
				}
				steps = append(steps, at.Steps...)
			}
			if (j.Job == "") == (j.Deployment == "") || j.Deployment != "" && j.Environment == nil {
				t.Errorf("%s: a job is a job, or a deployment with an environment: %+v", file, j)
			}
		}
		if len(steps) == 0 {
			t.Errorf("%s has no steps", file)
		}
		for _, s := range steps {
			step(s)
		}
	}
	if checked < 4 {
		t.Errorf("only %d pipelines were found", checked)
	}
}

// Nothing is published that was not tested on three systems, packaged once and approved, nor under another version than the tag says.
func TestReleasePipeline(t *testing.T) {
	p := parsePipeline(t, "azure-pipelines.yml")
	if len(p.Stages) != 3 {
		t.Fatalf("%d stages", len(p.Stages))
	}
	test, build, publish := p.Stages[0], p.Stages[1], p.Stages[2]
	if build.DependsOn != test.Stage || publish.DependsOn != build.Stage {
		t.Errorf("%s depends on %v, %s on %v", build.Stage, build.DependsOn, publish.Stage, publish.DependsOn)
	}
	systems, _ := test.Jobs[0].Strategy.Matrix.(map[string]any)
	if len(systems) != 3 {
		t.Errorf("the tests run on %v", systems)
	}
	for _, want := range []string{"succeeded()", "refs/tags/v"} {
		if !strings.Contains(publish.Condition, want) {
			t.Errorf("the condition of %s is %s, want one with %s", publish.Stage, publish.Condition, want)
		}
	}
	last := publish.Jobs[0]
	if last.Deployment == "" || last.Environment != "marketplace" {
		t.Errorf("what is published does not pass the environment whose check is the approval: %+v", last)
	}
	var scripts []string
	for _, s := range last.Strategy.RunOnce["deploy"].Steps {
		scripts = append(scripts, s.Bash)
		if strings.Contains(s.Bash, "build.sh package") {
			t.Error("the extension is packaged again before it is published")
		}
	}
	all := strings.Join(scripts, "\n")
	inOrder := regexp.MustCompile(`(?s)Build\.SourceBranchName.*sha256sum --check.*tfx extension publish`)
	if !inOrder.MatchString(all) {
		t.Errorf("before it is published, the tag and the sums are not checked:\n%s", all)
	}

	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	variables, _ := p.Variables.(map[string]any)
	if version, _ := variables["goVersion"].(string); !strings.Contains(string(mod), "\ngo "+version+"\n") && !strings.Contains(string(mod), "\ntoolchain go"+version+"\n") {
		t.Errorf("the pipeline builds with Go %v, go.mod names another version", variables["goVersion"])
	}
}
