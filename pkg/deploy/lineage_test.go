package deploy

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"ecsdeploy/docs/page"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// TestLineage: a new revision is infrastructure's newest one, merged with what the
// pipeline's last successful one changed. Revisions of the pipeline whose deployment
// did not succeed are no base.
func TestLineage(t *testing.T) {
	ours := []string{"build=7", "pipeline=p1", "base=web:1"}
	rows := "| situation | `taskDefinition` | made from | passed over |\n|---|---|---|---|\n"
	for _, tt := range []struct {
		name    string
		define  func(t *testing.T, c *cloud)
		runs    []string
		input   string // taskDefinition
		base    string // family:revision that it is; empty where it was merged
		image   string // of the result
		infra   string // Infrastructure
		merged  string
		over    string // the first of PassedOver
		only    bool   // there is a Note
		last    string // Ours
		wrong   mistake.Kind
		history error
	}{
		{name: "no pipeline has been here", runs: []string{"web:1"}, base: "web:1", image: "infra:1", infra: "web:1"},
		{name: "infrastructure is ahead of the service", runs: []string{"web:1"}, base: "web:2", image: "infra:2", infra: "web:2",
			define: func(t *testing.T, c *cloud) { c.define(t, "web:2", "infra:2") }},
		{name: "the pipeline's is the newest, and has succeeded", runs: []string{"web:1", "web:2"}, base: "web:2", image: "app:7", infra: "web:1", last: "web:2",
			define: func(t *testing.T, c *cloud) { c.define(t, "web:2", "app:7", ours...) }},
		{name: "the pipeline's is the newest, and has failed", runs: []string{"web:1"}, base: "web:1", image: "infra:1", infra: "web:1", over: "web:2",
			define: func(t *testing.T, c *cloud) { c.define(t, "web:2", "app:7", ours...) }},
		{name: "of two of the pipeline's the older one has succeeded", runs: []string{"web:1", "web:2"}, base: "web:2", image: "app:7", infra: "web:1", last: "web:2", over: "web:3",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "app:8", "build=8", "pipeline=p1", "base=web:1")
			}},
		{name: "infrastructure has changed something since", runs: []string{"web:1", "web:2"}, image: "app:7", infra: "web:3", merged: "web:2", last: "web:2",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "infra:1")
			}},
		{name: "infrastructure has changed something since, and the pipeline's newest has failed", runs: []string{"web:1", "web:2"}, image: "app:7", infra: "web:3", merged: "web:2", last: "web:2", over: "web:4",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "infra:1")
				c.define(t, "web:4", "app:8", "build=8", "pipeline=p1", "base=web:3")
			}},
		{name: "infrastructure has moved the service to its own", runs: []string{"web:1", "web:2", "web:3"}, image: "app:7", infra: "web:3", merged: "web:2", last: "web:2",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "infra:1")
			}},
		{name: "the base of the pipeline's was deleted", runs: []string{"web:2"}, image: "app:7", infra: "web:3", only: true, last: "web:2", base: "web:3",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "infra:1")
				delete(c.definitions, revisionARN("web:1"))
			}},
		{name: "the pipeline's does not say what it was made from", runs: []string{"web:1", "web:2"}, image: "app:7", infra: "web:3", only: true, last: "web:2", base: "web:3",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", "build=7", "pipeline=p1")
				c.define(t, "web:3", "infra:1")
			}},
		{name: "the base of a failed one was deleted", runs: []string{"web:1"}, image: "infra:1", infra: "web:1", over: "web:2", base: "web:1",
			define: func(t *testing.T, c *cloud) { c.define(t, "web:2", "app:7", "build=7", "pipeline=p1", "base=web:9") }},
		{name: "a failed one that does not say what it was made from", runs: []string{"web:1"}, image: "infra:1", infra: "web:1", over: "web:2", base: "web:1",
			define: func(t *testing.T, c *cloud) { c.define(t, "web:2", "app:7", "build=7", "pipeline=p1") }},
		{name: "the history cannot be read, and the pipeline's runs", runs: []string{"web:1", "web:2", "web:3"}, history: errDenied, image: "app:8", infra: "web:1", base: "web:3", last: "web:3",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "app:8", "build=8", "pipeline=p1", "base=web:1")
			}},
		{name: "infrastructure took its newest back, and the pipeline's of it has failed", runs: []string{"web:1", "web:2"}, base: "web:2", image: "app:7", infra: "web:1", last: "web:2", over: "web:4",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "infra:3")
				c.define(t, "web:4", "app:8", "build=8", "pipeline=p1", "base=web:3")
				c.deregister("web:3")
			}},
		{name: "the service was rolled back from the pipeline's newest", runs: []string{"web:1", "web:2", "web:3", "web:2"}, base: "web:2", image: "app:7", infra: "web:1", last: "web:2", over: "web:3",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "app:8", "build=8", "pipeline=p1", "base=web:1")
			}},
		{name: "the family of the service, and the pipeline's newest has failed", input: "web", runs: []string{"web:1", "web:2"}, base: "web:2", image: "app:7", infra: "web:1", last: "web:2", over: "web:3",
			define: func(t *testing.T, c *cloud) {
				c.define(t, "web:2", "app:7", ours...)
				c.define(t, "web:3", "app:8", "build=8", "pipeline=p1", "base=web:1")
			}},
		{name: "another family", input: "job", runs: []string{"web:1"}, base: "job:2", image: "job:2", infra: "job:2",
			define: func(t *testing.T, c *cloud) { c.define(t, "job:1", "job:1"); c.define(t, "job:2", "job:2") }},
		{name: "running", input: "running", runs: []string{"web:1"}, base: "web:1", image: "infra:1", infra: "web:1",
			define: func(t *testing.T, c *cloud) { c.define(t, "web:2", "infra:2") }},
		{name: "a revision", input: "web:1", runs: []string{"web:1", "web:2"}, base: "web:1", image: "infra:1", infra: "web:1",
			define: func(t *testing.T, c *cloud) { c.define(t, "web:2", "infra:2") }},
		{name: "an ARN of the pipeline's", input: revisionARN("web:2"), runs: []string{"web:1", "web:2"}, base: "web:2", image: "app:7", infra: "web:1",
			define: func(t *testing.T, c *cloud) { c.define(t, "web:2", "app:7", ours...) }},
		{name: "one that does not exist", input: "web:99", runs: []string{"web:1"}, wrong: mistake.TaskDefinition},
		{name: "a file that does not exist", input: "web.json", runs: []string{"web:1"}, wrong: mistake.TaskDefinition},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.define(t, "web:1", "infra:1")
				if tt.define != nil {
					tt.define(t, c)
				}
				c.add("a", tt.runs...)
				c.history = tt.history
				d, view := c.deployer()
				d.Images.WorkingDirectory = t.TempDir()
				s, err := d.readService(t.Context(), newLibrary(c), Service{"main", "a"}, tt.input)
				if tt.wrong != "" {
					if !mistake.Is(err, tt.wrong) {
						t.Error(err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				l, over := s.Lineage, ""
				if len(l.PassedOver) > 0 {
					over = l.PassedOver[0].Definition.String()
				}
				if tt.base != "" && l.Base.String() != tt.base {
					t.Errorf("based on %s, want %s", l.Base, tt.base)
				}
				last := ""
				if l.Ours.ARN() != "" {
					last = l.Ours.String()
				}
				if got := l.Base.Image("app"); got != tt.image {
					t.Errorf("image %s, want %s", got, tt.image)
				}
				if l.Infrastructure != tt.infra || l.Merged != tt.merged || over != tt.over || (l.Note != "") != tt.only || last != tt.last {
					t.Errorf("infrastructure %q, merged %q, passed over %q, note %q, last %q", l.Infrastructure, l.Merged, over, l.Note, last)
				}
				if unread := len(shown[HistoryUnread](view)); unread > 0 && tt.history == nil {
					t.Error("the history was read")
				}
				rows += lineageRow(tt.name, tt.input, l)
			})
		})
	}
	page.Part(t, "how-it-decides.md", "base", rows)
}

// lineageRow is a row of the page that shows people what revisions are made from.
func lineageRow(name, input string, l Lineage) string {
	from := l.Base.String()
	switch {
	case l.Merged != "":
		from = fmt.Sprintf("%s with what %s changed", l.Infrastructure, l.Merged)
	case l.Note != "":
		from = fmt.Sprintf("%s with the images of %s", l.Infrastructure, l.Ours)
	}
	over := "–"
	if len(l.PassedOver) > 0 {
		over = l.PassedOver[0].String()
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", name, cmp.Or(input, "latest"), from, over)
}

// TestLineageOfAFile: a file is no revision, and what it becomes is infrastructure's.
func TestLineageOfAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := world(t, "a")
		d, _ := c.deployer()
		d.Images.WorkingDirectory = t.TempDir()
		file := filepath.Join(d.Images.WorkingDirectory, "web.yaml")
		if err := os.WriteFile(file, []byte("family: web\ncontainerDefinitions: [{name: app, image: 'a:1', essential: true, memory: 64}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := asking("a")
		r.TaskDefinition = "web.yaml"
		for range 2 {
			if result, err := d.Run(t.Context(), r); err != nil || !result.Outcome().Good() {
				t.Fatal(outcomes(result), err)
			}
		}
		if c.said() != "register web:2; start a web:2" {
			t.Error(c.said())
		}
		if p, _ := c.definitions[revisionARN("web:2")].Provenance(); p.Base != "" {
			t.Errorf("made from %s", p.Base)
		}
	})
}

// TestMergedBaseIsChecked: what infrastructure and the pipeline have each changed may not
// fit together, though ECS has registered both. That is known before anything is changed.
func TestMergedBaseIsChecked(t *testing.T) {
	for name, tt := range map[string]struct{ base, ours, theirs, wrong string }{
		"memory of a container": {`"memory":"2048"|"memory":1024`, `"memory":"1024"|"memory":1024`, `"memory":"2048"|"memory":1536`,
			"container app has 1536 MiB of memory, and the task 1024 MiB"},
		"size of the task": {`"cpu":"256","memory":"2048","requiresCompatibilities":["FARGATE"]|"cpu":0`, `"cpu":"256","memory":"512","requiresCompatibilities":["FARGATE"]|"cpu":0`,
			`"cpu":"1024","memory":"2048","requiresCompatibilities":["FARGATE"]|"cpu":0`, "Fargate has no task of 1024 CPU units with 512 MiB"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud()
			for i, text := range []string{tt.base, tt.ours, tt.theirs} {
				task, container, _ := strings.Cut(text, "|")
				var tags []string
				if i == 1 {
					tags = []string{"build=7", "pipeline=p1", "base=web:1"}
				}
				c.store(t, path(t, `{"family":"web",`+task+`,"containerDefinitions":[{"name":"app","image":"registry.example/web:1",`+container+`}]}`), tags...)
			}
			c.add("a", "web:1", "web:2")
			d, _ := c.deployer()
			_, err := d.Run(t.Context(), asking("a"))
			if err == nil || !strings.Contains(err.Error(), tt.wrong) || c.said() != "" {
				t.Errorf("%s: %v, changed %q", name, err, c.said())
			}
		})
	}
}

// TestDrift: infrastructure has set the service to an image of its own, behind the
// pipeline's back.
func TestDrift(t *testing.T) {
	c := newCloud()
	c.define(t, "web:1", "infra:1")
	c.define(t, "web:2", "app:7", "build=7", "pipeline=p1", "base=web:1")
	c.define(t, "web:3", "infra:1")
	c.define(t, "web:4", "app:7")
	of := func(name string) taskdef.Definition { return c.definitions[revisionARN(name)] }
	for _, tt := range []struct {
		runs, ours string
		drift      bool
	}{
		{"web:3", "web:2", true},
		{"web:4", "web:2", false}, // it was given the running image
		{"web:2", "web:2", false},
		{"web:1", "web:2", false}, // somebody went back on purpose
	} {
		s := ServicePlan{Running: of(tt.runs), Container: "app", Lineage: Lineage{Ours: of(tt.ours)}}
		if drift, is := s.Drift(); is != tt.drift || is && (drift.Runs != "infra:1" || drift.BuildID != "7" || drift.Revision != "web:2") {
			t.Errorf("%s after %s: %v, %+v", tt.runs, tt.ours, is, drift)
		}
	}
}

// TestOneLibrary: services that share a family share its reading.
func TestOneLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 12 {
			names = append(names, "s"+string(rune('a'+i)))
		}
		c := world(t, names...)
		d, _ := c.deployer()
		r := asking(names...)
		r.DryRun = true
		if _, err := d.Run(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		for ref, n := range c.reads {
			if n > 1 {
				t.Errorf("%s was read %d times", ref[strings.LastIndex(ref, "/")+1:], n)
			}
		}
	})
}
