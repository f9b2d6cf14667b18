// Macros that were not expanded. The agent leaves $(name) as it is where no
// variable of that name exists, and a task that took it for a value would look
// for a cluster called "$(Cluster)".

package input

import (
	"regexp"
	"slices"
	"strings"
)

// A macro's name is a word with dots and dashes; behind the agent's own prefixes
// it may hold blanks, as the alias of a release's artifact can. A runtime
// expression, $[ … ], is only expanded where a variable or condition is defined.
// Source: Azure Pipelines documentation, "Define variables", macro syntax.
var macro = regexp.MustCompile(
	`\$\([A-Za-z_][\w.-]*\)` +
		`|\$\((?i:agent|build|environment|pipeline|release|resources|system)\.[^()\r\n]+\)` +
		`|\$\[\s*(?:variables|dependencies|stageDependencies)\b[^\r\n]*\]`)

// expanded reports the macros that text still holds.
func expanded(name, text string) error {
	found := macro.FindAllString(text, -1)
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	found = slices.Compact(found)

	hint := "define it where this step can see it, or correct its name"
	switch {
	case slices.ContainsFunc(found, func(m string) bool { return strings.EqualFold(m, defaultTags) }):
		hint = "a release has a Build.BuildId only when its primary artifact is a build; another artifact's is $(Release.Artifacts.ALIAS.BuildId)"
	case strings.HasPrefix(found[0], "$["):
		hint = "runtime expressions are expanded in variables only: define a variable with it and use that"
	case name == "containerCommand" || name == "environment":
		hint += "; for a shell's own substitution write backquotes"
	}
	noun := "variable"
	if len(found) > 1 {
		noun = "variables"
	}
	return wrong(hint, "holds the unexpanded %s %s", noun, strings.Join(found, ", "))
}
