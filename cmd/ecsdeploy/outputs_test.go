package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestOutputsAreDeclared: what the transcripts set is declared in task.json, and may
// be set where an agent restricts variables; and every declared output is set in one
// of them.
func TestOutputsAreDeclared(t *testing.T) {
	text, err := os.ReadFile("../../task/task.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		OutputVariables []struct{ Name string }
		Restrictions    struct{ SettableVariables struct{ Allowed []string } }
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	variable := regexp.MustCompile(`##vso\[task\.setvariable variable=(\w+);isoutput=true\]`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range variable.FindAllStringSubmatch(string(text), -1) {
			set[m[1]] = file
		}
	}
	declared := map[string]bool{}
	for _, o := range manifest.OutputVariables {
		declared[o.Name] = true
		if set[o.Name] == "" {
			t.Errorf("no transcript sets the output %s", o.Name)
		}
	}
	for name, file := range set {
		if !declared[name] || !slices.Contains(manifest.Restrictions.SettableVariables.Allowed, name) {
			t.Errorf("%s sets %s, which task.json does not declare, or does not allow", file, name)
		}
	}
}
