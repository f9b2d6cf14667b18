// Three places tell what the inputs are: task.json to Azure DevOps, the tags of
// fields to this program, docs/inputs.md to people. These tests keep them one.

package input

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The outputs and the outcomes are an interface, too: fixed once shipped.
var (
	outputs  = []string{"imageUri", "imageDigest", "taskDefinitionArn", "previousTaskDefinitionArn", "previousImage", "serviceDeploymentArn", "codeDeployDeploymentId", "outcome", "hookId", "serviceUrl", "resultFile", "exitCode"}
	outcomes = []string{"succeeded", "unchanged", "rolledBack", "failed", "superseded", "paused", "timedOut", "drifted"}
)

// manifest is task.json, with every key that a task may have and that this one
// uses. Unknown keys are mistakes, as they are to Azure DevOps.
type manifest struct {
	Schema             string `json:"$schema"`
	ID                 string `json:"id"`
	Name               string `json:"name"`
	FriendlyName       string `json:"friendlyName"`
	Description        string `json:"description"`
	HelpURL            string `json:"helpUrl"`
	HelpMarkDown       string `json:"helpMarkDown"`
	Author             string `json:"author"`
	Category           string `json:"category"`
	Visibility         []string
	RunsOn             []string `json:"runsOn"`
	Version            struct{ Major, Minor, Patch int }
	MinimumAgent       string           `json:"minimumAgentVersion"`
	InstanceNameFormat string           `json:"instanceNameFormat"`
	ShowEnvironment    bool             `json:"showEnvironmentVariables"`
	Groups             []manifestGroup  `json:"groups"`
	Inputs             []manifestInput  `json:"inputs"`
	Outputs            []manifestOutput `json:"outputVariables"`
	Restrictions       struct {
		Commands          struct{ Mode string }
		SettableVariables struct{ Allowed []string } `json:"settableVariables"`
	} `json:"restrictions"`
	Execution map[string]struct{ Target string } `json:"execution"`
}

type manifestGroup struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	IsExpanded  bool   `json:"isExpanded"`
	VisibleRule string `json:"visibleRule"`
}

type manifestInput struct {
	Name         string            `json:"name"`
	Aliases      []string          `json:"aliases"`
	Type         string            `json:"type"`
	Label        string            `json:"label"`
	DefaultValue string            `json:"defaultValue"`
	Required     bool              `json:"required"`
	HelpMarkDown string            `json:"helpMarkDown"`
	GroupName    string            `json:"groupName"`
	VisibleRule  string            `json:"visibleRule"`
	Properties   map[string]string `json:"properties"` // the values are strings, "True" and "2" included
	Options      map[string]string `json:"options"`
}

type manifestOutput struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// editable reports whether the list only proposes values.
func (in manifestInput) editable() bool { return in.Properties["EditableOptions"] == "True" }

func readManifest(t *testing.T) (m manifest) {
	t.Helper()
	file, err := os.Open("../../task/task.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d := json.NewDecoder(file)
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		t.Fatal("task.json: ", err)
	}
	return m
}

func (m manifest) input(name string) (manifestInput, bool) {
	i := slices.IndexFunc(m.Inputs, func(in manifestInput) bool { return in.Name == name })
	if i < 0 {
		return manifestInput{}, false
	}
	return m.Inputs[i], true
}

func (m manifest) group(name string) (manifestGroup, bool) {
	i := slices.IndexFunc(m.Groups, func(g manifestGroup) bool { return g.Name == name })
	if i < 0 {
		return manifestGroup{}, false
	}
	return m.Groups[i], true
}

// The rules of the public schema of task.json that packaging tools only warn
// about, and limits of Azure DevOps that the schema does not know.
func TestManifestKeepsTheRules(t *testing.T) {
	m := readManifest(t)
	match := func(what, pattern, value string) {
		t.Helper()
		if !regexp.MustCompile(pattern).MatchString(value) {
			t.Errorf("%s is %q, want %s", what, value, pattern)
		}
	}
	match("id", `^[A-Fa-f0-9]{8}(-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}$`, m.ID)
	match("name", `^EcsDeploy$`, m.Name)
	match("friendlyName", `^.{1,40}$`, m.FriendlyName)
	match("description", `^.{1,200}$`, m.Description)
	match("author", `.`, m.Author)
	match("category", `^Azure Pipelines$`, m.Category)
	match("minimumAgentVersion", `^3\.232\.1$`, m.MinimumAgent)   // the first with Node20_1
	match("commands.mode", `^any$`, m.Restrictions.Commands.Mode) // restricted forbids uploadsummary
	if !slices.Equal(m.Visibility, []string{"Build", "Release"}) || !slices.Equal(m.RunsOn, []string{"Agent", "DeploymentGroup"}) {
		t.Errorf("visibility %q, runsOn %q", m.Visibility, m.RunsOn)
	}
	if m.Version.Major != 1 {
		t.Errorf("major version %d", m.Version.Major)
	}
	if len(m.Execution) != 2 || m.Execution["Node20_1"].Target != "index.js" || m.Execution["Node24"].Target != "index.js" {
		t.Errorf("execution is %v, want Node20_1 and Node24 of index.js", m.Execution)
	}

	// Who fills in the form has something to click, which is where the extension says.
	var extension struct {
		Links struct{ Home struct{ URI string } }
	}
	data, err := os.ReadFile("../../vss-extension.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &extension); err != nil {
		t.Fatal(err)
	}
	documentation := extension.Links.Home.URI + "#readme"
	match("helpUrl", "^https://[^/ ]+/[^ ]+$", m.HelpURL)
	if m.HelpURL != documentation || !strings.HasPrefix(m.HelpMarkDown, "[Learn more about this task]("+documentation+")") {
		t.Errorf("helpUrl is %s, helpMarkDown %q, want links to %s", m.HelpURL, m.HelpMarkDown, documentation)
	}

	for i, g := range m.Groups {
		if first, _ := m.group(g.Name); g.Name == "" || g.DisplayName == "" || first != m.Groups[i] {
			t.Errorf("group %q needs a name of its own and a display name", g.Name)
		}
	}
	for i, in := range m.Inputs {
		match("the name of "+in.Name, `^[A-Za-z][A-Za-z0-9]*$`, in.Name)
		match("the type of "+in.Name, `^(boolean|multiLine|pickList|string|connectedService:AWS)$`, in.Type)
		match("the label of "+in.Name, `^.{1,50}$`, in.Label)
		match("the help of "+in.Name, `^.{10,360}$`, in.HelpMarkDown)
		if first, _ := m.input(in.Name); !reflect.DeepEqual(first, m.Inputs[i]) {
			t.Errorf("input %s is declared twice", in.Name)
		}
		if _, ok := m.group(in.GroupName); in.GroupName != "" && !ok {
			t.Errorf("input %s is of group %q, which there is not", in.Name, in.GroupName)
		}
		for property, value := range in.Properties {
			if (property != "rows" || !regexp.MustCompile(`^\d+$`).MatchString(value)) && (property != "EditableOptions" || value != "True") {
				t.Errorf("input %s has the property %s = %q", in.Name, property, value)
			}
		}
		if in.Type == "boolean" && in.DefaultValue != "true" && in.DefaultValue != "false" {
			t.Errorf("boolean %s has the default %q", in.Name, in.DefaultValue)
		}
		if _, ok := in.Options[in.DefaultValue]; (in.Type == "pickList") != (ok || in.DefaultValue == "" && in.editable()) {
			t.Errorf("input %s has the options %v and the default %q", in.Name, in.Options, in.DefaultValue)
		}
		// Whoever chooses from a list sees the word that YAML takes, and what it means.
		for word, sentence := range in.Options {
			if !strings.HasPrefix(sentence, word+": ") || len(sentence) < len(word)+6 || len(sentence) > 80 {
				t.Errorf("input %s: the option %s is %q, want the word, a colon and what it means", in.Name, word, sentence)
			}
		}
		if in.Required && in.DefaultValue == "" {
			t.Errorf("input %s is required of every command", in.Name)
		}
	}
}

// A rule may refer to inputs only, and a rule of an input only to its own group:
// Azure DevOps Server 2019 and 2020 refuse the extension otherwise. The rule of a
// group may refer to inputs that are in no group.
func TestVisibleRules(t *testing.T) {
	m := readManifest(t)
	check := func(what, rule, group string) {
		if rule == "" {
			return
		}
		for _, term := range regexp.MustCompile(`&&|\|\|`).Split(rule, -1) {
			words := strings.Fields(term)
			if len(words) != 3 || words[1] != "=" && words[1] != "!=" {
				t.Errorf("%s: the rule %q has the term %q, want NAME = VALUE", what, rule, term)
				continue
			}
			in, ok := m.input(words[0])
			if !ok || in.GroupName != group {
				t.Errorf("%s: the rule %q refers to %s, which is no input of group %q", what, rule, words[0], group)
				continue
			}
			if _, ok := in.Options[words[2]]; in.Type == "pickList" && !ok || in.Type == "boolean" && words[2] != "true" && words[2] != "false" {
				t.Errorf("%s: the rule %q asks for %s, which %s can not be", what, rule, words[2], words[0])
			}
		}
	}
	for _, g := range m.Groups {
		check("group "+g.Name, g.VisibleRule, "")
	}
	for _, in := range m.Inputs {
		check("input "+in.Name, in.VisibleRule, in.GroupName)
	}
}

func TestManifestAndFieldsAgree(t *testing.T) {
	m := readManifest(t)
	tags := reflect.TypeFor[fields]()
	if len(m.Inputs) != tags.NumField() {
		t.Errorf("task.json has %d inputs, fields has %d", len(m.Inputs), tags.NumField())
	}
	for i := range min(len(m.Inputs), tags.NumField()) {
		in, tag := m.Inputs[i], tags.Field(i).Tag
		if tag.Get("input") != in.Name {
			t.Errorf("input %d is %s in task.json and %s in fields", i, in.Name, tag.Get("input"))
			continue
		}
		variable, standard, _ := strings.Cut(tag.Get("env"), ", default=")
		if variable != inputPrefix+strings.ToUpper(in.Name) {
			t.Errorf("input %s is read from %s", in.Name, variable)
		}
		if standard != agentForm(in.DefaultValue) {
			t.Errorf("input %s has the default %q in task.json and %q in fields", in.Name, in.DefaultValue, standard)
		}
		// An input outside any group may have a rule about the command itself.
		group, _ := m.group(in.GroupName)
		visible := regexp.MustCompile(`command = (\w+)`).FindAllStringSubmatch(group.VisibleRule+"\n"+in.VisibleRule, -1)
		var shown []string
		for _, v := range visible {
			shown = append(shown, v[1])
		}
		if shown == nil {
			shown = commands()
		}
		if uses := strings.Fields(tag.Get("for")); !slices.Equal(uses, shown) {
			t.Errorf("input %s is used by %q, but shown for %q", in.Name, uses, shown)
		}
	}
	command, _ := m.input("command")
	if len(command.Options) != len(commands()) {
		t.Errorf("the commands are %q, the options %v", commands(), command.Options)
	}
	for _, c := range commands() {
		if _, err := parseCommand(c); err != nil || command.Options[c] == "" {
			t.Errorf("command %s: option %q, %v", c, command.Options[c], err)
		}
	}
}

func TestManifestOutputs(t *testing.T) {
	m := readManifest(t)
	var names []string
	for _, o := range m.Outputs {
		names = append(names, o.Name)
		if o.Description == "" {
			t.Errorf("output %s has no description", o.Name)
		}
		if o.Name == "outcome" {
			for _, outcome := range outcomes {
				if !strings.Contains(o.Description, outcome) {
					t.Errorf("the description of outcome leaves out %s", outcome)
				}
			}
		}
	}
	if !slices.Equal(names, outputs) {
		t.Errorf("outputs %q, want %q", names, outputs)
	}
	if allowed := m.Restrictions.SettableVariables.Allowed; !slices.Equal(allowed, outputs) {
		t.Errorf("the task may set %q, its outputs are %q", allowed, outputs)
	}
}

// TestInputsInDetail: the page has every input once, the README some of them, and
// what both say of defaults and commands is so.
func TestInputsInDetail(t *testing.T) {
	m := readManifest(t)
	rowsAreTrue(t, m, "../../README.md", "Inputs")
	documented := rowsAreTrue(t, m, "../../docs/inputs.md", "In detail")
	for _, in := range m.Inputs {
		if n := len(slices.DeleteFunc(slices.Clone(documented), func(name string) bool { return name != in.Name })); n != 1 {
			t.Errorf("docs/inputs.md has input %s %d times in detail", in.Name, n)
		}
	}
}

// rowsAreTrue compares a table of inputs with task.json and with what the commands use,
// and returns the inputs that it has.
func rowsAreTrue(t *testing.T, m manifest, file, heading string) (documented []string) {
	t.Helper()
	for _, row := range tableIn(t, file, heading, 4) {
		names := codeWords(row[0])
		defaults := strings.Split(row[1], ",")
		for i, name := range names {
			documented = append(documented, name)
			in, ok := m.input(name)
			if !ok {
				t.Errorf("%s has the input %s, task.json has not", file, name)
				continue
			}
			standard := defaults[0]
			if len(defaults) == len(names) {
				standard = defaults[i]
			}
			if standard = strings.Trim(standard, " `–"); standard != in.DefaultValue {
				t.Errorf("input %s has the default %q in task.json and %q in %s", name, in.DefaultValue, standard, file)
			}
			uses := strings.FieldsFunc(row[2], func(r rune) bool { return strings.ContainsRune(" ,`", r) })
			if slices.Equal(uses, []string{"all"}) {
				uses = commands()
			}
			if want := usesOf(name); !slices.Equal(uses, want) {
				t.Errorf("input %s is used by %q, %s says %q", name, want, file, uses)
			}
		}
		if len(names) == 0 || row[3] == "" {
			t.Errorf("%s has a row without names or meaning: %q", file, row)
		}
	}
	return documented
}

func TestReadmeOutputs(t *testing.T) {
	section := sectionOf(t, "../../README.md", "Outputs")
	var documented []string
	for line := range strings.Lines(section) {
		if cell := strings.TrimLeft(line, "|-* "); line != cell && strings.HasPrefix(cell, "`") {
			documented = append(documented, codeWords(cell)[0])
		}
	}
	if !slices.Equal(documented, outputs) {
		t.Errorf("the README has the outputs %q, want %q", documented, outputs)
	}
	for _, outcome := range outcomes {
		if !strings.Contains(section, "`"+outcome+"`") {
			t.Errorf("the README leaves out the outcome %s", outcome)
		}
	}
}

// agentForm is what fields has for a default of task.json: a macro as the
// variable that the agent makes of it.
func agentForm(standard string) string {
	if name, ok := strings.CutPrefix(standard, "$("); ok {
		return "$" + strings.ToUpper(strings.NewReplacer(".", "_", " ", "_").Replace(strings.TrimSuffix(name, ")")))
	}
	return standard
}

func commands() []string {
	var names []string
	for _, c := range Commands() {
		names = append(names, string(c))
	}
	return names
}

func usesOf(name string) []string {
	for _, in := range new(fields).all() {
		if in.name == name {
			return in.uses
		}
	}
	return nil
}

// sectionOf is the text under a heading of the second level.
func sectionOf(t *testing.T, file, heading string) string {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(page), "\r\n", "\n")
	_, section, ok := strings.Cut("\n"+text, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", file, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// tableIn is the rows of the tables of a section, without their heads.
func tableIn(t *testing.T, file, heading string, columns int) (rows [][]string) {
	t.Helper()
	head := true
	for line := range strings.Lines(sectionOf(t, file, heading)) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			head = true
		case strings.HasPrefix(line, "|-"), strings.HasPrefix(line, "| -"), strings.HasPrefix(line, "|:"):
			head = false
		case !head:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			if len(cells) != columns {
				t.Fatalf("the row %q has %d columns, want %d", line, len(cells), columns)
			}
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

// codeWords are the words in backquotes.
func codeWords(text string) (words []string) {
	for _, m := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(text, -1) {
		words = append(words, m[1])
	}
	return words
}

// A step of ECRPushImage@1 is taken as it is. The first alias is what the YAML
// editor of Azure Pipelines proposes, which is why each list begins with our name.
// Source: DownloadPipelineArtifact@2 and PipAuthenticate@1, whose task.json and whose
// definition in the YAML schema of Azure Pipelines show the rule.
func TestAliases(t *testing.T) {
	m := readManifest(t)
	got := map[string][]string{}
	for _, in := range m.Inputs {
		if in.Aliases != nil {
			got[in.Name] = in.Aliases
		}
	}
	want := map[string][]string{
		"region":           {"region", "regionName"},
		"repository":       {"repository", "repositoryName"},
		"createRepository": {"createRepository", "autoCreateRepository"},
		"image":            {"image", "sourceImageName", "sourceImageId"},
		"tags":             {"tags", "pushTag"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("aliases %v, want %v", got, want)
	}
}

// Azure DevOps marks an input as required for every command or for none. What only
// some commands require is said first in the help of the input.
func TestRequiredInputsAreMarked(t *testing.T) {
	m := readManifest(t)
	by := map[string][]string{}
	for _, c := range Commands() {
		for _, name := range Required(c) {
			by[name] = append(by[name], string(c))
		}
	}
	for _, in := range m.Inputs {
		sentence, _, _ := strings.Cut(in.HelpMarkDown, ". ")
		var said []string
		if sentence, ok := strings.CutPrefix(sentence, "Required by "); ok {
			all := strings.HasPrefix(sentence, "all commands but ")
			for _, c := range Commands() {
				if strings.Contains(sentence, "`"+string(c)+"`") != all {
					said = append(said, string(c))
				}
			}
		}
		if !slices.Equal(said, by[in.Name]) {
			t.Errorf("input %s is required by %q, its help says by %q", in.Name, by[in.Name], said)
		}
	}
}

// The list of regions proposes codes that the task takes; any other can be written.
func TestRegions(t *testing.T) {
	in, _ := readManifest(t).input("region")
	if !in.editable() || len(in.Options) < 30 {
		t.Errorf("%d regions, editable: %v", len(in.Options), in.editable())
	}
	for code := range in.Options {
		if parsed, err := parseRegion(code); err != nil || parsed != code {
			t.Errorf("%s: %q, %v", code, parsed, err)
		}
	}
}
