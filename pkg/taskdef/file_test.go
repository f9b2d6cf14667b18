package taskdef_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

func TestParseFile(t *testing.T) {
	const want = `{"family":"f","cpu":"256","containerDefinitions":[{"name":"c","image":"i:1","environment":[{"name":"A","value":""}],"essential":true}]}`
	const yaml = `
# the web application
family: f
cpu: "256"
containerDefinitions:
  - name: c
    image: i:1
    environment:
      - {name: A, value: ""}
    essential: true
`
	for _, test := range []struct{ name, file, data, want string }{
		{"JSON", "task.json", want, want},
		{"JSON from a Windows editor", "task.json", "\ufeff" + strings.ReplaceAll(want, ",", ",\r\n"), want},
		{"JSON by its content", "task.tmpl", " \n" + want, want},
		{"YAML", "task.yml", yaml, want},
		{"YAML by its content", "task", yaml, want},
		{"JSON is YAML", "task.YAML", want, want},
		{"an answer of DescribeTaskDefinition", "task.json", `{"taskDefinition":` + strings.Replace(want, "{", `{"revision":3,`, 1) + `,"tags":[]}`, want},
		{"nulls of a skeleton are left out, what is empty stays", "task.json",
			`{"family":"f","taskRoleArn":null,"ipcMode":"","containerDefinitions":[{"name":"c","cpu":null,"links":[]}],"tags":null}`,
			`{"family":"f","ipcMode":"","containerDefinitions":[{"name":"c","links":[]}]}`},
		{"so is what YAML leaves empty", "task.yaml",
			"family: f\ntaskRoleArn:\nvolumes: ~\ncontainerDefinitions: [{name: c, command: []}]\n",
			`{"family":"f","containerDefinitions":[{"name":"c","command":[]}]}`},
		{"numbers stay as written", "task.yaml",
			"family: f\nunknown: [1.0, 1e3, 12345678901234567890, -0, 2024-11-01, 0x50, 1_000, yes, True, 08:30]\ncontainerDefinitions: [{name: c}]\n",
			`{"family":"f","unknown":[1.0,1e3,12345678901234567890,-0,"2024-11-01",80,1000,"yes",true,"08:30"],"containerDefinitions":[{"name":"c"}]}`},
		{"aliases and merge keys", "task.yaml", `
x-defaults: &defaults {essential: false, user: "1"}
x-more: &more {user: "2", hostname: h}
family: f
containerDefinitions:
  - {<<: *defaults, name: a, user: "0"}
  - {name: b, <<: [*defaults, *more]}
`,
			`{"x-defaults":{"essential":false,"user":"1"},"x-more":{"user":"2","hostname":"h"},"family":"f","containerDefinitions":[` +
				`{"name":"a","user":"0","essential":false},{"name":"b","essential":false,"user":"1","hostname":"h"}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := taskdef.ParseFile(test.file, []byte(test.data))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(d.RegisterInput()); got != test.want {
				t.Errorf("RegisterInput:\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestParseFileErrors(t *testing.T) {
	for _, test := range []struct{ name, file, data, want string }{
		{"nothing", "task.yaml", "# nothing\n", "task.yaml: empty; expected a task definition"},
		{"too much", "task.yaml", strings.Repeat("#", 2<<20), "task.yaml: 2097152 bytes; expected at most 1048576"},
		{"JSON that is not", "task.json", "{\n\"family\" \"f\"}", "task.json: line 2: not valid JSON: invalid character '\"' after object key"},
		{"YAML that is not", "task.yaml", "family: f\n  cpu: x\n", "task.yaml: line 2: mapping values are not allowed in this context"},
		{"not an object", "task.yaml", "- a\n", "task.yaml: line 1: expected an object with containerDefinitions, found a list"},
		{"two documents", "task.yaml", "family: f\n---\nfamily: g\n", "task.yaml: line 2: expected one document, found another"},
		{"a member twice", "task.yaml", "family: f\ncpu: '1'\nfamily: g\n", `task.yaml: line 3: member "family" is given twice`},
		{"a merge of nothing", "task.yaml", "family: f\n<<: 3\n", "task.yaml: line 2: << expects a mapping or a list of them, found a number"},
		{"a template", "task.yaml", "family: f\ncontainerDefinitions:\n  - name: c\n    image: !Sub '${Repo}:1'\n", "task.yaml: line 4: the tag !Sub means nothing in a task definition"},
		{"a function of a template", "task.yaml", "family: f\ntaskRoleArn: !GetAtt [Role, Arn]\n", "task.yaml: line 2: the tag !GetAtt means nothing in a task definition"},
		{"a member that is not a name", "task.yaml", "? [a]\n: b\n", "task.yaml: line 1: the name of a member is not a string"},
		{"not a number", "task.yaml", "family: f\ncpu: .inf\n", "task.yaml: line 2: .inf is not a number that JSON has"},
		{"not a boolean", "task.yaml", "family: f\ncpu: !!bool maybe\n", "task.yaml: line 2: maybe is neither true nor false"},
		{"an alias of itself", "task.yaml", "family: &a [*a]\n", "task.yaml: line 1: nested deeper than 64 levels"},
		{"numbers and booleans where ECS wants strings, all at once", "task.yaml", `
family: f
cpu: 256
containerDefinitions:
  - name: c
    memory: "512"
    environment:
      - name: PORT
        value: 8080
      - name: DEBUG
        value: true
    dockerLabels:
      version: 1.10
    command: serve
`,
			`task.yaml: line 3: cpu is a number, ECS wants a string; write it in quotes
task.yaml: line 6: containerDefinitions[0].memory is a string, ECS wants a number; write it without quotes
task.yaml: line 9: containerDefinitions[0].environment[0].value is a number, ECS wants a string; write it in quotes
task.yaml: line 11: containerDefinitions[0].environment[1].value is a boolean, ECS wants a string; write it in quotes
task.yaml: line 13: containerDefinitions[0].dockerLabels.version is a number, ECS wants a string; write it in quotes
task.yaml: line 14: containerDefinitions[0].command is a string, ECS wants a list; types are those of the API's RegisterTaskDefinition`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := taskdef.ParseFile(test.file, []byte(test.data))
			const form = "; the file holds what aws ecs register-task-definition takes with --cli-input-json or --cli-input-yaml"
			if got := strings.TrimSuffix(said(err), form); got != test.want {
				t.Errorf("error:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

// said is what is wrong with a file and what to do about it, one mistake a line.
func said(err error) string {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var lines []string
	for _, err := range all {
		m, ok := errors.AsType[*mistake.Error](err)
		if !ok || m.Kind != mistake.TaskDefinition {
			return fmt.Sprintf("%v is no mistake about a task definition", err)
		}
		lines = append(lines, m.Text+"; "+m.Hint())
	}
	return strings.Join(lines, "\n")
}

// Aliases of aliases grow without bound; reading them does not.
func TestParseFileAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		b.WriteString("a" + string(rune('1'+i)) + ": &a" + string(rune('1'+i)) + " [" + strings.TrimSuffix(strings.Repeat("*a"+string(rune('0'+i))+", ", 10), ", ") + "]\n")
	}
	_, err := taskdef.ParseFile("bomb.yaml", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "aliases make the document larger than 100000 values") {
		t.Errorf("error %v", err)
	}
}
