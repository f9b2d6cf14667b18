package main

// The page that people see.

import (
	_ "embed"
	"strings"
)

//go:embed page.html
var template string

// page is the page for a task. What is not known of the task is left out.
func page(t task) []byte {
	var facts strings.Builder
	for _, fact := range []struct{ name, value string }{
		{"Service", t.service}, {"Cluster", t.cluster}, {"Task", t.id},
	} {
		if fact.value != "" {
			facts.WriteString("<dt>" + fact.name + "<dd>" + escape(fact.value) + "\n")
		}
	}
	before, after, _ := strings.Cut(template, "<!-- facts -->\n")
	return []byte(before + facts.String() + after)
}

// escape makes text harmless in HTML, within an element or a quoted attribute.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\x00", "\ufffd").Replace(text)
}
