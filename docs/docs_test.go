// Package docs_test checks what is written for people against what there is:
// links, steps in YAML, the manifests, the pinned versions of workflows.
//
// It does not check links into the web, or whether prose is true.
package docs_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ecsdeploy/docs/page"
)

const root = ".."

// texts returns the files of the repository with one of the extensions, by
// their paths below its root with slashes.
func texts(t *testing.T, extensions ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if slices.Contains([]string{".git", ".tools", "build", "node_modules", "cdk.out", "testdata"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if slices.Contains(extensions, filepath.Ext(rel)) && d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			found[rel] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	markup  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns what the headings of a Markdown text are linked by, as the
// pages of GitHub and Azure DevOps make it: lower case, no punctuation, dashes.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		all = append(all, strings.ReplaceAll(markup.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

// own is the path of a file of the repository in a link to its newest version on the web.
func own(link string) (path string, is bool) {
	m := regexp.MustCompile(`^https://github\.com/ecsdeploy/ecsdeploy/(?:blob|raw)/main/(.+)$`).FindStringSubmatch(link)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// Every link to a file of the repository leads to it, and to a heading in it.
func TestLinks(t *testing.T) {
	pages := texts(t, ".md")
	if len(pages) < 10 {
		t.Fatalf("only %d pages were found", len(pages))
	}
	for page, text := range pages {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(fence.ReplaceAllString(text, ""), "``"), -1) {
			target := m[1]
			if below, ours := own(target); ours { // as on the page of the Marketplace, which has no files beside it
				target = strings.Repeat("../", strings.Count(page, "/")) + below
			}
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			to := page
			if file != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(page), file))
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, target)
			} else if anchor != "" && !slices.Contains(anchors(pages[to]), anchor) {
				t.Errorf("%s links to %s, but %s has no heading of that name", page, target, to)
			}
		}
	}
}

type manifest struct {
	Inputs []struct {
		Name    string
		Aliases []string
		Options map[string]string
	}
	Version struct{ Major, Minor, Patch int }
}

// Every step of the task that is shown has inputs that exist, and a command that does.
func TestSteps(t *testing.T) {
	var task manifest
	read(t, "task/task.json", &task)
	var names, commands []string
	for _, input := range task.Inputs {
		names = append(append(names, input.Name), input.Aliases...)
		if input.Name == "command" {
			for command := range input.Options {
				commands = append(commands, command)
			}
		}
	}
	steps := 0
	check := func(where, document string) {
		var node any
		if err := yaml.Unmarshal([]byte(document), &node); err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		each(node, func(step map[string]any) {
			if step["task"] != "EcsDeploy@1" {
				return
			}
			steps++
			inputs, _ := step["inputs"].(map[string]any)
			for name, value := range inputs {
				if name == "imageSource" && where == "docs/migrating.md" {
					continue // of ECRPushImage, and without effect, as the page says
				}
				if !slices.Contains(names, name) {
					t.Errorf("%s: the task has no input %s", where, name)
				}
				if name == "command" && !slices.Contains(commands, value.(string)) {
					t.Errorf("%s: the task has no command %v", where, value)
				}
			}
		})
	}
	for file, text := range texts(t, ".yml") {
		check(file, text)
	}
	for _, command := range commands {
		if !strings.Contains(texts(t, ".md")["overview.md"], "\n| `"+command+"` | ") {
			t.Errorf("overview.md does not list command %s", command)
		}
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	for page, text := range texts(t, ".md") {
		for _, m := range blocks.FindAllStringSubmatch(text, -1) {
			check(page, m[1])
		}
	}
	if steps < 15 {
		t.Errorf("only %d steps were found", steps)
	}
}

// each calls do for every mapping in a YAML document.
func each(node any, do func(map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		do(node)
		for _, child := range node {
			each(child, do)
		}
	case []any:
		for _, child := range node {
			each(child, do)
		}
	}
}

// The repository's address is written down once, in vss-extension.json, and
// every other mention agrees. The listing keeps to the Marketplace's rules.
func TestExtension(t *testing.T) {
	var extension struct {
		Name, Description, Version, Publisher string
		Repository                            struct{ URI string }
		Files                                 []struct{ Path string }
	}
	read(t, "vss-extension.json", &extension)
	own := regexp.MustCompile(`https://github\.com/` + regexp.QuoteMeta(extension.Publisher) + `/[\w-]+`)
	mentions := 0
	for file, text := range texts(t, ".md", ".json", ".go", ".js", ".yml") {
		for _, address := range own.FindAllString(text, -1) {
			mentions++
			if address != extension.Repository.URI {
				t.Errorf("%s names %s, the repository is %s", file, address, extension.Repository.URI)
			}
		}
	}
	if mentions < 5 {
		t.Errorf("only %d mentions of the repository were found", mentions)
	}
	var task struct{ Author string }
	if read(t, "task/task.json", &task); task.Author != extension.Publisher {
		t.Errorf("the author of the task is %q, the publisher is %q", task.Author, extension.Publisher)
	}
	for _, brand := range []string{"amazon", "aws", "microsoft", "visual studio", "azure devops"} {
		if strings.Contains(strings.ToLower(extension.Name), brand) {
			t.Errorf("the extension's name %q has the brand name %q, which the Marketplace refuses", extension.Name, brand)
		}
	}
	if length := len(extension.Description); length > 200 {
		t.Errorf("the description has %d characters; the Marketplace shows 200", length)
	}
	if changes := texts(t, ".md")["CHANGELOG.md"]; !strings.Contains(changes, "\n## "+extension.Version) {
		t.Errorf("CHANGELOG.md has no section for %s", extension.Version)
	}

	// Each family of processors has its stream of executables in the extension.
	families := map[string]string{"x64": "x86", "ia32": "x86", "arm64": "arm", "arm": "arm"}
	platforms, err := os.ReadFile(filepath.Join(root, ".ci", "platforms"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(platforms)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] == "#" {
			continue
		}
		_, processor, _ := strings.Cut(fields[2], "-")
		if !slices.ContainsFunc(extension.Files, func(f struct{ Path string }) bool { return f.Path == "task/bin/"+families[processor]+".br" }) {
			t.Errorf("vss-extension.json does not list task/bin/%s.br, for %s", families[processor], processor)
		}
	}
}

// The actions of workflows are pinned by commit.
func TestWorkflows(t *testing.T) {
	pinned := regexp.MustCompile(`@[0-9a-f]{40} # v\d`)
	uses := 0
	for file, text := range texts(t, ".yml") {
		if !strings.HasPrefix(file, ".github/workflows/") {
			continue
		}
		for line := range strings.Lines(text) {
			if _, action, ok := strings.Cut(line, "uses: "); ok {
				uses++
				if !pinned.MatchString(action) {
					t.Errorf("%s: %s is not pinned by commit, with its version as a comment", file, strings.TrimSpace(action))
				}
			}
		}
	}
	if uses == 0 {
		t.Error("no workflow was found")
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func TestAnchors(t *testing.T) {
	const text = "# One `x` & two\n```\n# not this\n```\n## gzip or zstd\n### A_b: c-d\n"
	if got, want := anchors(text), []string{"one-x--two", "gzip-or-zstd", "a_b-c-d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What the page on decisions names is there: inputs, outputs and outcomes in task.json and the README, codes in the page on results.
func TestDecisionsNameWhatThereIs(t *testing.T) {
	pages := texts(t, ".md")
	task, err := os.ReadFile(filepath.Join(root, "task", "task.json"))
	if err != nil {
		t.Fatal(err)
	}
	known, names := string(task)+pages["README.md"]+pages["docs/result.md"], 0
	for _, m := range regexp.MustCompile("`([a-z]+[A-Z][A-Za-z]*)(:[^`]*)?`").FindAllStringSubmatch(pages["docs/how-it-decides.md"], -1) {
		if names++; !strings.Contains(known, m[1]) {
			t.Errorf("docs/how-it-decides.md names %s, which neither task.json nor the README nor docs/result.md has", m[1])
		}
	}
	if names < 50 {
		t.Errorf("only %d names were found", names)
	}
}

// The figures of the comparison are counted in the table of endings; each cell of its own table has a source that is there.
func TestComparison(t *testing.T) {
	pages := texts(t, ".md")
	_, rest, _ := strings.Cut(pages["docs/endings.md"], "<!-- measured: begin -->")
	table, _, _ := strings.Cut(rest, "<!-- measured: end -->")
	// What is right is what this task is held to say by the tests of its verdicts: the tasks run the new revision, or they do not.
	good := []string{"`succeeded`", "`unchanged`", "`paused`"}
	var all, bad, script, waiter, late int
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 8 || !strings.Contains(cells[1], "`") {
			continue
		}
		all++
		green := func(cell string) bool { return !strings.Contains(cell, "🔴") }
		if !slices.Contains(good, strings.TrimSpace(cells[6])) {
			if bad++; green(cells[3]) {
				script++
			}
			if green(cells[4]) {
				waiter++
			}
			if green(cells[5]) {
				t.Errorf("this task is green where the new revision does not run: %s", line)
			}
		} else {
			if !green(cells[4]) {
				late++
			}
			if !green(cells[3]) || !green(cells[5]) {
				t.Errorf("the script or this task is red where the deployment succeeds or waits: %s", line)
			}
		}
	}
	page.Part(t, "comparison.md", "endings", fmt.Sprintf(`| of %d endings | script | script and waiter | this task |
|---|--:|--:|--:|
| green although the new revision does not run in the end (%d such endings) | %d | %d | 0 |
| red although the deployment succeeds or waits for a decision (%d such endings) | 0 | %d | 0 |
`, all, bad, script, waiter, all-bad, late))

	comparison, _, _ := strings.Cut(pages["docs/comparison.md"], "## Where others are better")
	sources := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^- \[(\w+)\] `).FindAllStringSubmatch(comparison, -1) {
		sources[m[1]] = true
	}
	source, cells := regexp.MustCompile(` \[(\w+)\]$`), 0
	for line := range strings.Lines(comparison) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(row) != 7 || strings.HasPrefix(row[0], "-") || strings.TrimSpace(row[0]) == "" {
			continue
		}
		for _, cell := range row[1:] {
			cells++
			if m := source.FindStringSubmatch(strings.TrimRight(cell, " ")); m == nil || !sources[m[1]] {
				t.Errorf("docs/comparison.md: the cell %q has no source", cell)
			}
		}
	}
	if cells < 80 || bad < 10 {
		t.Errorf("%d cells and %d endings", cells, bad)
	}
}

// A command that a page names is one that build.sh has, and the tests that it runs are in the packages that it names.
func TestCommandsOfPages(t *testing.T) {
	pages := texts(t, ".md")
	script, err := os.ReadFile(filepath.Join(root, "build.sh"))
	if err != nil {
		t.Fatal(err)
	}
	build := regexp.MustCompile(`\./build\.sh ([a-z]+)`)
	tests := regexp.MustCompile("go test ((?:\\./[\\w/.]+ )+)[^`\n]*-run '?([\\w|^$]+)")
	found := 0
	for name, text := range pages {
		for _, m := range build.FindAllStringSubmatch(text, -1) {
			if found++; !strings.Contains(string(script), "\ncmd_"+m[1]+"() {") {
				t.Errorf("%s: build.sh has no command %s", name, m[1])
			}
		}
		for _, m := range tests.FindAllStringSubmatch(text, -1) {
			var source strings.Builder
			for folder := range strings.FieldsSeq(m[1]) {
				files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(strings.TrimSuffix(folder, "/...")), "*_test.go"))
				if err != nil || len(files) == 0 {
					t.Errorf("%s: %s has no tests", name, folder)
				}
				for _, file := range files {
					text, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					source.Write(text)
				}
			}
			for test := range strings.SplitSeq(m[2], "|") {
				if test = strings.Trim(test, "^$"); test == "" {
					continue // -run '^$' runs none
				}
				if found++; !regexp.MustCompile(`func (Test|Fuzz)\w*`+test).MatchString(source.String()) && !strings.Contains(source.String(), "func "+test) {
					t.Errorf("%s: %shas no test %s", name, m[1], test)
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d commands were found", found)
	}
}

// Each module that go.mod names itself is explained, and stands among those that ship if the executable of some platform has it.
func TestDependencies(t *testing.T) {
	page := texts(t, ".md")["docs/dependencies.md"]
	ships, builds, _ := strings.Cut(page, "## For building and testing")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	shipped := map[string]bool{}
	for _, system := range []string{"linux", "windows"} {
		list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "ecsdeploy/cmd/ecsdeploy")
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			shipped[path] = true
		}
	}
	direct := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		direct[m[1]] = true
		if where := map[bool]string{true: ships, false: builds}[shipped[m[1]]]; !strings.Contains(where, "\n| `"+m[1]+"` | ") {
			t.Errorf("docs/dependencies.md does not explain %s, or in the wrong table (ships: %v)", m[1], shipped[m[1]])
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\S+)` \\| ").FindAllStringSubmatch(page, -1) {
		if !direct[m[1]] {
			t.Errorf("docs/dependencies.md explains %s, which go.mod does not name itself", m[1])
		}
	}
}
