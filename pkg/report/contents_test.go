package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/azdo"
)

func difference() azdo.Difference {
	return azdo.Difference{
		From:         azdo.Build{ID: 17, Number: "20260105.2", URL: "https://dev.azure.com/example/chat/_build/results?buildId=17"},
		To:           azdo.Build{ID: 20, URL: "https://dev.azure.com/example/chat/_build/results?buildId=20"},
		Changes:      []azdo.Change{{ID: "5f2d0c1b9e", Author: "Ada", Title: "Show a | in names", URL: "https://dev.azure.com/example/chat/_git/chat/commit/5f2d0c1b9e"}},
		PullRequests: []azdo.PullRequest{{ID: 5, Title: "Names", Author: "Ada"}},
		WorkItems:    []azdo.WorkItem{{ID: 41, Type: "Bug", Title: "A name is cut", State: "Active"}, {ID: 42}},
	}
}

func TestContentsLines(t *testing.T) {
	c := Contents{Difference: difference()}
	got := ContentsTitle(c) + "\n" + strings.Join(ContentsLines(c), "\n")
	want := `What is in this rollout: build 17 (20260105.2) → build 20, 1 commit, 1 pull request, 2 work items
5f2d0c1b  Show a | in names (Ada)  https://dev.azure.com/example/chat/_git/chat/commit/5f2d0c1b9e
pull request 5: Names (Ada)
Bug 41: A name is cut (Active)
work item 42`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	c = Contents{Difference: azdo.Difference{From: azdo.Build{ID: 20}, To: azdo.Build{ID: 17}, Removed: true}}
	if got := ContentsTitle(c); got != "What this rollback takes out: build 20 → build 17" {
		t.Error(got)
	}
	if got := ContentsLines(c); !slices.Equal(got, []string{"no commits between these builds"}) {
		t.Error(got)
	}
	c.Problems = []error{&azdo.GoneError{Build: 17}}
	if got := ContentsLines(c); len(got) > 0 {
		t.Error(got)
	}
}

// TestContentsAreCapped: what is left out is said.
func TestContentsAreCapped(t *testing.T) {
	d := difference()
	d.Changes, d.WorkItems = slices.Repeat(d.Changes, 200), slices.Repeat(d.WorkItems, 35)
	d.MoreChanges = true
	c := Contents{Services: []string{"chat", "worker"}, Difference: d}
	if lines := ContentsLines(c); len(lines) != 200+1+1+70 || lines[200] != "and more: only the newest 200 commits are read" {
		t.Errorf("%d lines", len(lines))
	}
	markdown := ContentsMarkdown([]Contents{c})
	for _, want := range []string{"#### What is in this rollout (chat, worker)\n", "and more than 150 commits that are not shown\n", "and 20 more work items\n"} {
		if !strings.Contains(markdown, want) {
			t.Errorf("lacks %q:\n%.300s", want, markdown)
		}
	}
	if n := strings.Count(markdown, "\n"); n > 150 {
		t.Errorf("%d lines", n)
	}
}

// contentsWith has a text from outside wherever one can stand.
func contentsWith(outside string) string {
	d := difference()
	d.From.Number = outside
	d.Changes = []azdo.Change{{ID: outside, Author: outside, Title: outside, URL: "https://dev.azure.com/" + outside}}
	d.PullRequests = []azdo.PullRequest{{ID: 5, Title: outside, Author: outside, URL: "https://dev.azure.com/" + outside}}
	d.WorkItems = []azdo.WorkItem{{ID: 41, Type: outside, Title: outside, State: outside}}
	d.Problems = []error{errors.New(outside)}
	return ContentsMarkdown([]Contents{{Services: []string{outside}, Difference: d}})
}

// withoutLinks leaves out what a text from outside decides: whether an address can
// be read as one.
func withoutLinks(elements []string) []string {
	return slices.DeleteFunc(elements, func(e string) bool {
		return e == "<a" || e == "</a" || strings.HasPrefix(e, `href="https://dev.azure.com/`)
	})
}

func checkContents(t *testing.T, outside string) {
	t.Helper()
	want := withoutLinks(elements(t, contentsWith("harmless")))
	if got := withoutLinks(elements(t, contentsWith(outside))); !slices.Equal(got, want) {
		t.Errorf("%q becomes an element:\n%v\nwant\n%v\n%s", outside, got, want, contentsWith(outside))
	}
}

func TestContentsAreHarmless(t *testing.T) {
	for _, text := range hostile {
		checkContents(t, text)
	}
}

// FuzzContents: no text at all becomes an element.
func FuzzContents(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, outside string) {
		cut := outside[:min(len(outside), 8)]
		if strings.TrimSpace(withoutControls(fmt.Sprintf("%.8s", outside))) == "" || strings.TrimSpace(withoutControls(cut)) == "" || len(outside) > 200 {
			return // what is empty has no element
		}
		checkContents(t, outside)
	})
}
