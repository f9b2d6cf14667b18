package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestReadmeLog: the log on the README's first screen is that of a transcript, as
// the agent shows it. "-update" writes it anew.
func TestReadmeLog(t *testing.T) {
	const readme = "../../README.md"
	archive, err := txtar.ParseFile("testdata/deploy.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for line := range strings.Lines(section(archive, "log")) {
		switch {
		case strings.HasPrefix(line, "##vso["), strings.HasPrefix(line, "##[endgroup]"):
		case strings.HasPrefix(line, "##[group]"):
			shown.WriteString("▾ " + strings.TrimPrefix(line, "##[group]"))
		default:
			shown.WriteString(strings.ReplaceAll(line, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/", "…/"))
		}
	}
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const fence = "\n```\n"
	before, rest, found := strings.Cut(string(data), fence+"00:")
	_, after, closed := strings.Cut(rest, fence)
	if !found || !closed {
		t.Fatal("the README has no log")
	}
	want := before + fence + strings.TrimSuffix(shown.String(), "\n") + fence + after
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Errorf("the README's log is not that of testdata/deploy.txtar: %s", difference(string(data), want))
	}
}
