package report

// Images that a lifecycle policy is about to remove, in words.

import (
	"fmt"
	"strings"

	"ecsdeploy/pkg/deploy"
)

// expiringText says which image a lifecycle policy removes, though it is needed.
func expiringText(e deploy.Expiring) string {
	names := make([]string, len(e.Services))
	for i, s := range e.Services {
		names[i] = s.Name
	}
	need := "which is to run in " + shorten(strings.Join(names, ", "), briefLength)
	if e.Rollback {
		need = "which a rollback of " + shorten(strings.Join(names, ", "), briefLength) + " needs"
	}
	what := "is deleted"
	if e.Ending.Archives() {
		what = "is archived"
	}
	when := "within 24 hours"
	if !e.Now {
		when = "after " + e.Ending.At.UTC().Format("2006-01-02 15:04") + " UTC"
	}
	rule := fmt.Sprintf("rule %d", e.Ending.Rule.RulePriority)
	if e.Ending.Rule.Description != "" {
		rule += " (" + shorten(e.Ending.Rule.Description, 80) + ")"
	}
	return fmt.Sprintf("%s, %s, %s by %s of the repository's lifecycle policy %s: no task of it can be started then; raise the rule's limit, or let a rule of a higher priority keep such images", e.URI, need, what, rule, when)
}
