package docs_test

// The form that the classic editor makes of task.json: what it shows for each command, and a picture of it.

import (
	"flag"
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var formDirectory = flag.String("form", "", "folder to write the form into, as pages of HTML")

// form is the part of task.json that the editor draws.
type form struct {
	FriendlyName string
	Groups       []struct {
		Name, DisplayName string
		IsExpanded        bool
		VisibleRule       string
	}
	Inputs []formInput
}

type formInput struct {
	Name, Type, Label, DefaultValue string
	Required                        bool
	HelpMarkDown                    string
	GroupName, VisibleRule          string
	Options                         map[string]string
	Properties                      map[string]string
}

// shown evaluates a rule that compares the command with some words. The rules of
// this task have no other terms, which a test of pkg/input holds.
func shown(rule, command string) bool {
	return rule == "" || slices.Contains(strings.Split(rule, " || "), "command = "+command)
}

// section is a heading of the form with its fields.
type section struct {
	Heading string
	Open    bool
	Fields  []formInput
}

// sections lists what the editor shows for a command: the inputs of no group first,
// then each group with those of its inputs that are shown.
func (f form) sections(command string) []section {
	in := func(group string) (fields []formInput) {
		for _, input := range f.Inputs {
			if input.GroupName == group && shown(input.VisibleRule, command) {
				fields = append(fields, input)
			}
		}
		return fields
	}
	all := []section{{Open: true, Fields: in("")}}
	for _, group := range f.Groups {
		if fields := in(group.Name); shown(group.VisibleRule, command) && len(fields) > 0 {
			all = append(all, section{group.DisplayName, group.IsExpanded, fields})
		}
	}
	return all
}

// Above all groups stands what every run has: what to do, as whom, where, for how long.
// The groups follow the order of the work.
func TestForm(t *testing.T) {
	var f form
	read(t, "task/task.json", &f)
	headings := map[string]string{
		"deploy":       "Image+ Push A repository that is created Vulnerabilities Service+ Container Task definition Task definition: more Rollout Smoke test Schedules Waiting Waiting: until when Summary Marks in Azure DevOps Recording Role",
		"push":         "Image+ Push A repository that is created Vulnerabilities Summary Recording Role",
		"placeholder":  "A repository that is created Summary Role",
		"currentImage": "Service+ Services that do not exist yet+ Container Role",
		"rollback":     "Service+ Rollback+ Schedules Waiting Waiting: until when Summary Marks in Azure DevOps Recording Role",
		"resume":       "Service+ Resume+ Smoke test Schedules Waiting Waiting: until when Summary Recording Role",
		"runTask":      "Image+ Service+ Container Task definition Waiting Summary Recording Role",
		"drift":        "Service+ Summary Role",
	}
	for command, want := range headings {
		var got []string
		for _, s := range f.sections(command)[1:] {
			heading := s.Heading
			if s.Open {
				heading += "+"
			}
			got = append(got, heading)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s has the groups\n%s, want\n%s", command, strings.Join(got, " "), want)
		}
	}
	for _, group := range f.Groups {
		if !slices.ContainsFunc(f.Inputs, func(in formInput) bool { return in.GroupName == group.Name }) {
			t.Errorf("group %s has no input", group.Name)
		}
	}
	var first []string
	for _, in := range f.sections("deploy")[0].Fields {
		first = append(first, in.Name)
	}
	if want := []string{"command", "awsCredentials", "region", "timeoutMinutes", "repository", "createRepository", "dryRun"}; !slices.Equal(first, want) {
		t.Errorf("above all groups are %q, want %q", first, want)
	}
	if *formDirectory != "" {
		for _, command := range []string{"deploy"} {
			draw(t, f, command)
		}
	}
}

// draw writes the form of a command as a page.
func draw(t *testing.T, f form, command string) {
	t.Helper()
	file, err := os.Create(filepath.Join(*formDirectory, "form-"+command+".html"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	value := func(in formInput) string {
		switch {
		case in.Name == "command":
			return in.Options[command]
		case in.Type == "pickList" && in.DefaultValue != "":
			return in.Options[in.DefaultValue]
		}
		return in.DefaultValue
	}
	list := func(in formInput) bool {
		return in.Type == "pickList" || strings.HasPrefix(in.Type, "connectedService:")
	}
	page := template.Must(template.New("form").Funcs(template.FuncMap{"value": value, "list": list}).Parse(formPage))
	if err := page.Execute(file, map[string]any{"Name": f.FriendlyName, "Command": command, "Sections": f.sections(command)}); err != nil {
		t.Fatal(err)
	}
}

const formPage = `<!DOCTYPE html>
<meta charset="utf-8">
<style>
body { font: 14px "Segoe UI", "DejaVu Sans", sans-serif; color: #222; margin: 24px 32px; width: 560px }
h1 { font-size: 18px; font-weight: 600; margin: 0 0 4px } .version { color: #666; margin-bottom: 18px }
h2 { font-size: 15px; font-weight: 600; border-top: 1px solid #ddd; margin: 14px 0 8px; padding-top: 10px }
h2 span { color: #666; font-size: 12px; float: right }
label { display: block; margin: 10px 0 3px; font-weight: 600 } .required { color: #c00 } .info { display: inline-block; width: 13px; height: 13px; border: 1px solid #0078d4; border-radius: 8px; color: #0078d4; font: 10px/13px serif; text-align: center; vertical-align: 2px }
.field { border: 1px solid #c8c8c8; padding: 5px 8px; min-height: 19px; white-space: pre-wrap }
.field b { float: right; font-weight: 400; color: #666 } .lines { min-height: 38px }
.check { margin: 10px 0 3px; font-weight: 600 } .check i { display: inline-block; width: 14px; height: 14px; border: 1px solid #888; margin-right: 8px; vertical-align: -3px; text-align: center; font-style: normal; font-size: 12px; line-height: 14px }
</style>
<h1>{{.Name}}</h1><div class="version">Task version 1.*</div>
{{range .Sections}}
{{if .Heading}}<h2>{{.Heading}} <span>{{if .Open}}▴{{else}}▾{{end}}</span></h2>{{end}}
{{if .Open}}{{range .Fields}}
{{if eq .Type "boolean"}}<div class="check"><i>{{if eq .DefaultValue "true"}}✓{{end}}</i>{{.Label}} <span class="info">i</span></div>
{{else}}<label>{{.Label}} {{if .Required}}<span class="required">*</span>{{end}} <span class="info">i</span></label>
<div class="field{{if eq .Type "multiLine"}} lines{{end}}">{{value .}}{{if list .}}<b>▾</b>{{end}}</div>
{{end}}{{end}}{{end}}{{end}}
`

// Every input has a help, and a form in which the same label stands twice confuses.
func TestFormLabels(t *testing.T) {
	var f form
	read(t, "task/task.json", &f)
	seen := map[string]string{}
	for _, in := range f.Inputs {
		if other, twice := seen[in.Label]; twice {
			t.Errorf("%s and %s have the same label, %q", other, in.Name, in.Label)
		}
		seen[in.Label] = in.Name
		if in.HelpMarkDown == "" || !regexp.MustCompile(`[.)]$`).MatchString(in.HelpMarkDown) {
			t.Errorf("the help of %s is not in sentences: %q", in.Name, in.HelpMarkDown)
		}
	}
}
