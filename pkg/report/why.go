package report

// The part of the summary that says why a rollout did not end well.

import (
	"fmt"
	"strings"

	"ecsdeploy/pkg/rollout"
)

// why writes a diagnosis: its causes with hints first in what is seen, the last
// lines of the log folded.
func why(b *strings.Builder, d rollout.Diagnosis) {
	if len(d.Causes)+len(d.Targets)+len(d.Alarms)+len(d.Notes) == 0 {
		return
	}
	b.WriteString("\n**Why**\n\n")
	for _, c := range d.Causes {
		fmt.Fprintf(b, "- %s\n", text(fmt.Sprintf("%d × %s", c.Count, c.Reason)))
		for _, end := range c.Containers {
			if end.Failed {
				fmt.Fprintf(b, "  - container %s%s\n", code(end.Name), text(ending(end)))
			}
		}
		if c.Hint != "" {
			fmt.Fprintf(b, "  - 💡 %s\n", text(c.Hint))
		}
	}
	if rest := d.Rest(); rest != "" {
		fmt.Fprintf(b, "- %s\n", text(rest))
	}
	for _, t := range d.Targets {
		fmt.Fprintf(b, "- %s\n", text(fmt.Sprintf("%d × target in %s: %s", t.Count, t.Group, strings.TrimSpace(t.State+" "+t.Reason))))
		if t.Hint != "" {
			fmt.Fprintf(b, "  - 💡 %s\n", text(t.Hint))
		}
	}
	for _, alarm := range d.Alarms {
		fmt.Fprintf(b, "- alarm %s\n", code(alarm))
	}
	for _, note := range d.Notes {
		fmt.Fprintf(b, "- not known: %s\n", text(note))
	}
	for _, c := range d.Causes {
		if len(c.Log) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n<details><summary>Last lines of task %s</summary>\n\n<pre>\n", code(c.LogTask))
		for _, line := range c.Log {
			fmt.Fprintf(b, "%s\n", pre(line))
		}
		b.WriteString("</pre>\n\n</details>\n")
	}
}

func ending(end rollout.ContainerEnd) string {
	var words string
	if end.ExitCode != nil {
		words = fmt.Sprintf(" ended with exit code %d", *end.ExitCode)
	}
	if end.Reason != "" {
		words += ": " + end.Reason
	}
	return words
}

// pre makes s a line of a preformatted block. An empty line would end the HTML
// block that Markdown leaves alone.
func pre(s string) string {
	if strings.TrimSpace(s) == "" {
		return "&nbsp;"
	}
	return strings.TrimSuffix(strings.TrimPrefix(code(s), "<code>"), "</code>")
}
