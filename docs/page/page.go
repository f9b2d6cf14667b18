// Package page holds pages of docs to the code: a test makes a page, or the part of one between two comments, of what the
// code says, and compares it. With "go test PACKAGE -update" it is written anew.
//
// It does not check prose. Only tests import it.
package page

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the pages of docs that the tests make anew")

// Whole compares a page, by its name below docs, with what it should be.
func Whole(t *testing.T, name, want string) {
	t.Helper()
	compare(t, name, func(string) (string, error) { return want, nil })
}

// Part compares what stands on a page between <!-- part: begin --> and <!-- part: end --> with what it should be.
func Part(t *testing.T, name, part, want string) {
	t.Helper()
	compare(t, name, func(text string) (string, error) { return replace(text, part, want) })
}

func replace(text, part, want string) (string, error) {
	begin, end := "<!-- "+part+": begin -->\n", "<!-- "+part+": end -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("the page has no part between %sand %s", begin, end)
	}
	return before + begin + strings.TrimRight(want, "\n") + "\n" + end + after, nil
}

func compare(t *testing.T, name string, should func(text string) (string, error)) {
	t.Helper()
	file, err := find(filepath.Join("docs", name))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(string(content), "\r\n", "\n")
	want, err := should(got)
	if err != nil {
		t.Fatalf("docs/%s: %v", name, err)
	}
	switch {
	case got == want:
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/%s is not what the code says: run this test with -update, and look at what changes", name)
	}
}

// find returns the path of a file by its path below the root of the repository.
func find(below string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, below), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above %s", dir)
		}
		dir = parent
	}
}

// Cell is a text as it stands in a cell of a table.
func Cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
