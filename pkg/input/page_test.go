// docs/inputs.md is made from task.json and from what the commands use and require.

package input

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/docs/page"
)

func TestInputsPage(t *testing.T) { page.Whole(t, "inputs.md", inputsPage(readManifest(t))) }

func inputsPage(m manifest) string {
	var b strings.Builder
	b.WriteString(`# Inputs

<!-- Written by "go test ./pkg/input -run TestInputsPage -update" from task/task.json; do not edit. -->

All inputs in the groups of the classic editor, each with its help ([a picture of the form](summaries/form-deploy.png)). More on each is in the
[README](../README.md#inputs). Names are the same in YAML. An empty input is an unset one; where several values are possible, write one per line.

`)
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
	b.WriteString(`## Names of ECRPushImage

A step of AWS's ECRPushImage@1 becomes a step of this task when its task and its command are changed: ` + "`task: EcsDeploy@1`, `command: push`" + `. Its names are
taken, too, each input under one of its names.

| ECRPushImage | here |
|---|---|
`)
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
	b.WriteString("\nThe default of `pushTag` is `latest` there and `$(Build.BuildId)` here. A new repository has immutable tags and is scanned on push.\n")
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
	for _, alias := range in.Aliases {
		if alias != in.Name {
			meaning += " Also `" + alias + "`."
		}
	}
	return fmt.Sprintf("| `%s`<br>%s | %s | %s | %s |\n", in.Name, in.Label, standard, uses, meaning)
}
