package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestTroubleshooting holds the table of errors and hints in
// docs/troubleshooting.md to the transcripts ("-update" writes it anew).
func TestTroubleshooting(t *testing.T) {
	const document = "../../docs/troubleshooting.md"
	const begin, end = "<!-- generated: begin -->\n", "<!-- generated: end -->"
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has lost its marks", document)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| error | hint | seen in |\n|---|---|---|\n")
	shown := map[string]bool{}
	rows := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, issue := range issues(section(archive, "log")) {
			if issue.hint == "" || shown[issue.hint] {
				continue
			}
			shown[issue.hint] = true
			name := filepath.Base(file)
			fmt.Fprintf(&table, "| %s | %s | [%s](../cmd/ecsdeploy/testdata/%s) |\n", cell(issue.text), cell(issue.hint), strings.TrimSuffix(name, ".txtar"), name)
			rows++
		}
	}
	if rows < 20 {
		t.Errorf("only %d errors with a hint were found in the transcripts", rows)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(data) {
		t.Errorf(`%s does not have the errors and hints of the transcripts: "go test ./cmd/ecsdeploy -run TestTroubleshooting -update" writes them`, document)
	}
}

type issueOfLog struct{ text, hint string }

// issues returns the errors in a log as the agent receives it. The hint is in
// the line below the error, or a part of its text.
func issues(log string) []issueOfLog {
	var all []issueOfLog
	lines := strings.Split(log, "\n")
	for i, line := range lines {
		_, text, ok := strings.Cut(line, "[task.logissue type=error]")
		if !ok {
			continue
		}
		text = strings.NewReplacer("%0D", " ", "%0A", " ", "%AZP25", "%").Replace(text)
		text, hint, _ := strings.Cut(text, " hint: ")
		if i+1 < len(lines) && hint == "" {
			if next, ok := strings.CutPrefix(lines[i+1], "  hint: "); ok {
				hint = next
			}
		}
		all = append(all, issueOfLog{strings.TrimSpace(text), strings.TrimSpace(hint)})
	}
	return all
}

// cell makes a text safe for a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'", "\n", " ", "*", `\*`).Replace(text)
}
