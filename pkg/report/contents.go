package report

// What is in a rollout: commits, pull requests and work items between the build
// that runs and the one that comes, for the log and for the summary.

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"ecsdeploy/pkg/azdo"
)

// Contents is what a rollout brings to services, or takes from them.
type Contents struct {
	Services []string // by name
	azdo.Difference
}

// contentsShown is how many commits and work items a table of the summary has.
const contentsShown = 50

// ContentsTitle is the title of its part of the log.
func ContentsTitle(c Contents) string {
	if c.Removed {
		return fmt.Sprintf("What this rollback takes out: %s", c.extent())
	}
	return fmt.Sprintf("What is in this rollout: %s", c.extent())
}

// extent names both builds, and says how much lies between them.
func (c Contents) extent() string {
	text := fmt.Sprintf("build %s → build %s", buildName(c.From), buildName(c.To))
	for _, part := range []struct {
		n    int
		more bool
		what string
	}{{len(c.Changes), c.MoreChanges, "commit"}, {len(c.PullRequests), false, "pull request"}, {len(c.WorkItems), c.MoreWorkItems, "work item"}} {
		switch {
		case part.more:
			text += fmt.Sprintf(", more than %s", count(part.n, part.what))
		case part.n > 0:
			text += ", " + count(part.n, part.what)
		}
	}
	return text
}

// buildName is a build by its id, and its number where that says more.
func buildName(b azdo.Build) string {
	id := fmt.Sprint(b.ID)
	if b.Number == "" || b.Number == id {
		return id
	}
	return fmt.Sprintf("%s (%s)", id, b.Number)
}

// ContentsLines are the lines below the title; none where nothing is known.
func ContentsLines(c Contents) []string {
	var lines []string
	add := func(text, address string) { lines = append(lines, strings.TrimSpace(text+"  "+address)) }
	for _, change := range c.Changes {
		add(fmt.Sprintf("%-9s %s%s", shortCommit(change.ID), change.Title, by(change.Author)), change.URL)
	}
	if c.MoreChanges {
		add(fmt.Sprintf("and more: only the newest %s are read", count(len(c.Changes), "commit")), "")
	}
	for _, p := range c.PullRequests {
		add(fmt.Sprintf("pull request %d: %s%s", p.ID, p.Title, by(p.Author)), p.URL)
	}
	for _, w := range c.WorkItems {
		add(workItemText(w), w.URL)
	}
	if c.MoreWorkItems {
		add(fmt.Sprintf("and more: only %s are read", count(len(c.WorkItems), "work item")), "")
	}
	if len(lines) == 0 && len(c.Problems) == 0 {
		add("no commits between these builds", "")
	}
	return lines
}

func workItemText(w azdo.WorkItem) string {
	text := fmt.Sprintf("%s %d", cmp.Or(w.Type, "work item"), w.ID)
	if w.Title != "" {
		text += ": " + w.Title
	}
	if w.State != "" {
		text += " (" + w.State + ")"
	}
	return text
}

func by(author string) string {
	if author == "" {
		return ""
	}
	return " (" + author + ")"
}

// shortCommit is as much of a commit's id as people compare; a changeset has less.
func shortCommit(id string) string {
	const enough = 8
	return id[:min(len(id), enough)]
}

// ContentsMarkdown is the part of the summary about what is in a rollout.
func ContentsMarkdown(all []Contents) string {
	var b strings.Builder
	for _, c := range all {
		contents(&b, c)
	}
	return b.String()
}

func contents(b *strings.Builder, c Contents) {
	title, of := "What is in this rollout", ""
	if c.Removed {
		title = "What this rollback takes out"
	}
	if len(c.Services) > 0 {
		of = " (" + strings.Join(c.Services, ", ") + ")"
	}
	fmt.Fprintf(b, "#### %s%s\n\n", title, inline(of))
	fmt.Fprintf(b, "%s → %s\n\n", buildLink(c.From), buildLink(c.To))
	for _, problem := range c.Problems {
		fmt.Fprintf(b, "> %s\n\n", text(problem.Error()))
	}
	if len(c.Changes) > 0 {
		b.WriteString("| commit | | author |\n|---|---|---|\n")
		for _, change := range c.Changes[:min(len(c.Changes), contentsShown)] {
			fmt.Fprintf(b, "| %s | %s | %s |\n", link(code(shortCommit(change.ID)), webAddress(change.URL)), text(shorten(change.Title, partLength)), text(change.Author))
		}
		b.WriteString("\n" + restText(len(c.Changes), c.MoreChanges, "commit"))
	}
	if len(c.PullRequests) > 0 {
		b.WriteString("| pull request | | author |\n|---|---|---|\n")
		for _, p := range c.PullRequests[:min(len(c.PullRequests), contentsShown)] {
			fmt.Fprintf(b, "| %s | %s | %s |\n", link(fmt.Sprint(p.ID), webAddress(p.URL)), text(shorten(p.Title, partLength)), text(p.Author))
		}
		b.WriteString("\n" + restText(len(c.PullRequests), false, "pull request"))
	}
	if len(c.WorkItems) > 0 {
		b.WriteString("| work item | | state |\n|---|---|---|\n")
		for _, w := range c.WorkItems[:min(len(c.WorkItems), contentsShown)] {
			title := text(shorten(w.Title, partLength))
			fmt.Fprintf(b, "| %s | %s | %s |\n", link(text(strings.TrimSpace(w.Type+" "+fmt.Sprint(w.ID))), webAddress(w.URL)), title, text(w.State))
		}
		b.WriteString("\n" + restText(len(c.WorkItems), c.MoreWorkItems, "work item"))
	}
}

// restText says how many a table leaves out.
func restText(n int, more bool, what string) string {
	switch {
	case more:
		return fmt.Sprintf("and more than %s that are not shown\n\n", count(n-min(n, contentsShown), what))
	case n > contentsShown:
		return fmt.Sprintf("and %s\n\n", count(n-contentsShown, "more "+what))
	}
	return ""
}

func buildLink(b azdo.Build) string { return link("build "+inline(buildName(b)), webAddress(b.URL)) }

// webAddress is an address as the target of a link; empty where it is none of a
// page.
func webAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return inLink.Replace(withoutControls(address))
}
