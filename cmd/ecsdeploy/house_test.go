package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestImports holds the directions that CONTRIBUTING.md draws: who may import
// whom among our own packages.
func TestImports(t *testing.T) {
	allowed := map[string][]string{
		"cmd/ecsdeploy":           {"pkg/deploy", "pkg/vso", "pkg/guard", "pkg/input", "pkg/session", "pkg/network", "pkg/azdo", "pkg/report", "pkg/image/compress", "pkg/image/engine", "pkg/image/registry", "pkg/image/source", "pkg/ecr", "pkg/ecs", "pkg/rollout", "pkg/runtask", "pkg/probe", "pkg/schedule", "pkg/recording", "pkg/taskdef", "pkg/placeholder", "pkg/mistake", "pkg/resource"},
		"pkg/report":              {"pkg/deploy", "pkg/azdo", "pkg/ecr", "pkg/probe", "pkg/rollout", "pkg/runtask", "pkg/schedule", "pkg/diagnosis", "pkg/ecs", "pkg/image", "pkg/image/push", "pkg/taskdef", "pkg/mistake", "pkg/guard"},
		"pkg/deploy":              {"pkg/image", "pkg/image/compress", "pkg/image/push", "pkg/image/registry", "pkg/image/source", "pkg/ecr", "pkg/ecs", "pkg/rollout", "pkg/runtask", "pkg/probe", "pkg/schedule", "pkg/resource", "pkg/diagnosis", "pkg/taskdef", "pkg/mistake", "pkg/guard"},
		"pkg/schedule":            {"pkg/ecs", "pkg/mistake"},
		"pkg/recording":           {"pkg/deploy", "pkg/rollout", "pkg/diagnosis", "pkg/ecs", "pkg/mistake", "pkg/guard"},
		"pkg/runtask":             {"pkg/ecs", "pkg/diagnosis", "pkg/taskdef"},
		"pkg/rollout":             {"pkg/ecs", "pkg/diagnosis", "pkg/mistake"},
		"pkg/diagnosis":           {"pkg/ecs", "pkg/taskdef"},
		"pkg/ecs":                 {"pkg/taskdef", "pkg/mistake", "pkg/guard"},
		"pkg/vso":                 {},
		"pkg/input":               {"pkg/mistake"},
		"pkg/session":             {"pkg/ecs", "pkg/mistake", "pkg/network"}, // pkg/ecs: the pauses between attempts
		"pkg/azdo":                {"pkg/mistake"},
		"pkg/network":             {},
		"pkg/image":               {"pkg/mistake", "pkg/guard"},
		"pkg/image/compress":      {"pkg/image", "pkg/mistake", "pkg/guard"},
		"pkg/image/registry":      {"pkg/image", "pkg/image/compress", "pkg/guard"},
		"pkg/image/engine":        {"pkg/image", "pkg/image/loopback", "pkg/image/registry"},
		"pkg/image/loopback":      {"pkg/guard"},
		"pkg/image/source":        {"pkg/image", "pkg/image/compress", "pkg/image/registry", "pkg/image/engine", "pkg/mistake"},
		"pkg/image/soci":          {"pkg/image", "pkg/guard"},
		"pkg/image/push":          {"pkg/image", "pkg/image/compress", "pkg/image/engine", "pkg/image/registry", "pkg/image/soci", "pkg/image/source", "pkg/guard"},
		"pkg/image/imagetest":     {"pkg/image"}, // for tests and cmd/pushbench
		"pkg/ecr":                 {"pkg/mistake"},
		"pkg/taskdef":             {"pkg/mistake"},
		"pkg/mistake":             {},
		"pkg/resource":            {"pkg/mistake"},
		"pkg/guard":               {},
		"pkg/probe":               {},
		"task":                    {}, // tests of the shim
		"cmd/emulator":            {"pkg/recording", "pkg/emulator", "pkg/emulator/agent", "pkg/emulator/azdo"},
		"cmd/pushbench":           {"pkg/image/compress", "pkg/image/push", "pkg/image/source", "pkg/image/imagetest"},
		"cmd/inventory":           {},
		"pkg/emulator":            {"pkg/emulator/account", "pkg/emulator/awsapi", "pkg/emulator/codedeploy", "pkg/emulator/ecr", "pkg/emulator/ecs", "pkg/emulator/elb", "pkg/emulator/events", "pkg/emulator/iam", "pkg/emulator/logs", "pkg/emulator/scenario", "pkg/emulator/scheduler", "pkg/emulator/sts"},
		"pkg/emulator/iam":        {},
		"pkg/placeholder/server":  {},
		"pkg/placeholder":         {},
		"pkg/placeholder/build":   {"pkg/placeholder"},
		"examples":                {},
		"docs":                    {}, // tests of the pages
		"docs/page":               {}, // for tests
		"pkg/emulator/account":    {"pkg/emulator/awsapi", "pkg/emulator/iam"},
		"pkg/emulator/agent":      {},
		"pkg/emulator/azdo":       {},
		"pkg/emulator/awsapi":     {"pkg/emulator/iam"},
		"pkg/emulator/codedeploy": {"pkg/emulator/awsapi", "pkg/emulator/ecs", "pkg/emulator/scenario"},
		"pkg/emulator/ecr":        {"pkg/emulator/awsapi", "pkg/emulator/iam"},
		"pkg/emulator/ecs":        {"pkg/emulator/awsapi", "pkg/emulator/ecr", "pkg/emulator/logs", "pkg/emulator/scenario"},
		"pkg/emulator/elb":        {"pkg/emulator/awsapi", "pkg/emulator/ecs", "pkg/emulator/scenario"},
		"pkg/emulator/events":     {"pkg/emulator/awsapi"},
		"pkg/emulator/logs":       {"pkg/emulator/awsapi"},
		"pkg/emulator/scenario":   {},
		"pkg/emulator/scheduler":  {"pkg/emulator/awsapi", "pkg/emulator/iam"},
		"pkg/emulator/sts":        {"pkg/emulator/awsapi"},
	}
	const module = "ecsdeploy/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := strings.TrimPrefix(fields[0], module)
		may, known := allowed[from]
		if !known {
			t.Errorf("package %s has no place in the house: add it here and to CONTRIBUTING.md", from)
			continue
		}
		for _, path := range fields[1:] {
			if to, ours := strings.CutPrefix(path, module); ours && !slices.Contains(may, to) {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
}

// TestLoggingCommandsHaveOneHome keeps the encoding of logging commands in
// pkg/vso: a command that is put together elsewhere is one that nobody escapes.
// The emulator's agent reads them.
func TestLoggingCommandsHaveOneHome(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		switch rel = filepath.ToSlash(rel); {
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && rel != "." || slices.Contains([]string{"pkg/vso", "pkg/emulator", "cmd/emulator", "build"}, rel)):
			return filepath.SkipDir
		case d.IsDir(), !strings.HasSuffix(rel, ".go"), strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(strings.ToLower(string(source)), "##vso") {
			t.Errorf("%s spells a logging command", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSettableVariables holds what the task may set to what it does set, as the
// transcripts show it: what is not on the list of task.json, no text from outside
// can set either.
func TestSettableVariables(t *testing.T) {
	manifest, err := os.ReadFile("../../task/task.json")
	if err != nil {
		t.Fatal(err)
	}
	var task struct {
		Restrictions struct {
			SettableVariables struct{ Allowed []string }
		}
	}
	if err := json.Unmarshal(manifest, &task); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	set := []string{"resultFile"} // of every run, and left out of the transcripts
	for _, file := range files {
		transcript, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`task\.setvariable variable=([^;\]]*)`).FindAllSubmatch(transcript, -1) {
			set = append(set, string(m[1]))
		}
	}
	slices.Sort(set)
	set = slices.Compact(set)
	if allowed := slices.Sorted(slices.Values(task.Restrictions.SettableVariables.Allowed)); !slices.Equal(allowed, set) {
		t.Errorf("task.json allows %q, the transcripts set %q", allowed, set)
	}
}

// TestLight keeps out of the shipped executable what makes the linker keep
// every method of every type, and the emulator with its registry.
func TestLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	unwanted := []string{
		"ecsdeploy/pkg/emulator", "text/template", "html/template", "testing",
		"github.com/google/go-containerregistry/pkg/registry", "github.com/google/go-containerregistry/pkg/v1/daemon",
	}
	for path := range strings.Lines(string(out)) {
		if path = strings.TrimSpace(path); slices.Contains(unwanted, path) {
			t.Errorf("the executable links %s", path)
		}
	}
}
