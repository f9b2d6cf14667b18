package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"golang.org/x/tools/txtar"
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
	variable := regexp.MustCompile(`##vso\[task\.setvariable variable=(\w+);isoutput=true\]`)
	for file, log := range transcriptLogs(t) {
		for _, m := range variable.FindAllStringSubmatch(log, -1) {
			set[m[1]] = file
		}
	}
	declared := map[string]bool{}
	for _, o := range manifest.OutputVariables {
		declared[o.Name] = true
		if set[o.Name] == "" && o.Name != "resultFile" { // TestResultFile is about it
			t.Errorf("no transcript sets the output %s", o.Name)
		}
	}
	for name, file := range set {
		if !declared[name] || !slices.Contains(manifest.Restrictions.SettableVariables.Allowed, name) {
			t.Errorf("%s sets %s, which task.json does not declare, or does not allow", file, name)
		}
	}
}

// transcriptLogs are the logs of the transcripts by their files' names.
func transcriptLogs(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	logs := map[string]string{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		logs[filepath.Base(file)] = section(archive, "log")
	}
	return logs
}
