// The tables of docs/inputs.md are made from task.json and from what the commands use
// and require.

package input

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/docs/page"
)

func TestInputsPage(t *testing.T) {
	m := readManifest(t)
	page.Part(t, "inputs.md", "inputs", inputGroups(m))
	page.Part(t, "inputs.md", "ecrpushimage", otherNames(m))
}

func inputGroups(m manifest) string {
	var b strings.Builder
	section := func(title, group string) {
		fmt.Fprintf(&b, "## %s\n\n| input | default | commands | meaning |\n|---|---|---|---|\n", title)
		for _, in := range m.Inputs {
			if in.GroupName == group {
				b.WriteString(inputsRow(in))
			}
		}
		b.WriteString("\n")
	}
	section("Every run", "")
	for _, g := range m.Groups {
		section(g.DisplayName, g.Name)
	}
	return b.String()
}

func otherNames(m manifest) string {
	var b strings.Builder
	b.WriteString("| ECRPushImage | here |\n|---|---|\n")
	for _, in := range m.Inputs {
		for _, alias := range in.Aliases {
			if alias != in.Name {
				fmt.Fprintf(&b, "| `%s` | `%s` |\n", alias, in.Name)
			}
		}
	}
	b.WriteString("| `sourceImageTag` | the same; or the tag as part of `image` |\n")
	b.WriteString("| `imageSource`, `logRequest`, `logResponse` | no effect; the log says so |\n")
	b.WriteString("| `outputVariable` | a warning: read the output `imageUri` of the step, `$(NAME.imageUri)` |\n")
	b.WriteString("| `forceDockerNamingConventions` | a warning: write the name of the repository in lower case |\n")
	return b.String()
}

func inputsRow(in manifestInput) string {
	standard := "–"
	if in.DefaultValue != "" {
		standard = "`" + in.DefaultValue + "`"
	}
	uses := strings.Join(usesOf(in.Name), ", ")
	if len(usesOf(in.Name)) == len(commands()) {
		uses = "all"
	}
	meaning := in.HelpMarkDown
	unsaid := slices.ContainsFunc(slices.Collect(maps.Keys(in.Options)), func(word string) bool { return !strings.Contains(meaning, "`"+word+"`") })
	if unsaid && in.Name != "region" && in.Name != "waitUntil" {
		var choices []string
		for word, sentence := range in.Options {
			choices = append(choices, "`"+word+"`"+strings.TrimPrefix(sentence, word))
		}
		slices.SortFunc(choices, func(a, b string) int { // the default first
			first := func(s string) int {
				if strings.HasPrefix(s, standard) {
					return 0
				}
				return 1
			}
			if c := first(a) - first(b); c != 0 {
				return c
			}
			return strings.Compare(a, b)
		})
		meaning += " Choices: " + strings.Join(choices, "; ") + "."
	}
	var others []string
	for _, alias := range in.Aliases {
		if alias != in.Name {
			others = append(others, "`"+alias+"`")
		}
	}
	if len(others) > 0 {
		meaning += " Other names: " + strings.Join(others, ", ") + "."
	}
	return fmt.Sprintf("| `%s`<br>%s | %s | %s | %s |\n", in.Name, in.Label, standard, uses, meaning)
}
