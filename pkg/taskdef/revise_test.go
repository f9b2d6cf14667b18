package taskdef_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

const image18 = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:4712"

// What is asked for is what changes: the revision is the base with exactly these
// texts replaced.
func TestReviseChangesNothingElse(t *testing.T) {
	for _, test := range []struct {
		name, from string
		change     taskdef.Change
		replace    []string // old, new, …
	}{
		{"an image", "fargate",
			taskdef.Change{Images: map[string]string{"app": image18}},
			[]string{"chat-app:4711", "chat-app:4712"}},
		{"the images of several containers", "bridge",
			taskdef.Change{Images: map[string]string{"webserver": "nginx:1.28", "application": "legacy:2"}},
			[]string{"nginx:1.27", "nginx:1.28", "registry.example.com:5000/shop/legacy:2024-11-01", "legacy:2"}},
		{"only the named container, sidecars stay", "firelens",
			taskdef.Change{Images: map[string]string{"orders": "orders:4"}},
			[]string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/orders@sha256:94afd1f2e64d908bc90dbca0035a5b567e2a3f1d0c4b5a69788796a5b4c3d2e1", "orders:4"}},
		{"unknown members, numbers and empty values survive", "future",
			taskdef.Change{Images: map[string]string{"search": "search:2"}},
			[]string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/search:1", "search:2"}},
		{"a variable", "fargate",
			taskdef.Change{Environment: []taskdef.Variable{{Name: "LOG_LEVEL", Value: "debug"}}},
			[]string{`"LOG_LEVEL","value":"info"`, `"LOG_LEVEL","value":"debug"`}},
		{"a variable with members that nobody knows", "future",
			taskdef.Change{Environment: []taskdef.Variable{{Name: "HEAP", Value: "2e3"}}},
			[]string{`"HEAP","value":"1e3"`, `"HEAP","value":"2e3"`}},
		{"a variable to the empty value", "fargate",
			taskdef.Change{Environment: []taskdef.Variable{{Name: "LOG_LEVEL", Value: ""}}},
			[]string{`"LOG_LEVEL","value":"info"`, `"LOG_LEVEL","value":""`}},
		{"a new variable comes last", "fargate",
			taskdef.Change{Environment: []taskdef.Variable{{Container: "app", Name: "NEW", Value: `<a & "b">`}}},
			[]string{`{"name":"FEATURES","value":""}`, `{"name":"FEATURES","value":""},{"name":"NEW","value":"<a & \"b\">"}`}},
		{"the first variable of a container", "firelens",
			taskdef.Change{Environment: []taskdef.Variable{{Container: "log_router", Name: "NEW", Value: "1"}}},
			[]string{`"environment":[],"user"`, `"environment":[{"name":"NEW","value":"1"}],"user"`}},
		{"the first secret of a container makes a list", "bridge",
			taskdef.Change{Secrets: []taskdef.Variable{{Name: "KEY", Value: "arn:key"}}},
			[]string{`"admin:$apr1$x"}`, `"admin:$apr1$x"},"secrets":[{"name":"KEY","valueFrom":"arn:key"}]`}},
		{"a secret", "fargate",
			taskdef.Change{Secrets: []taskdef.Variable{{Name: "DB_PASSWORD", Value: "arn:other"}}},
			[]string{"arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-db-AbCdEf", "arn:other"}},
		{"a variable that becomes a secret", "fargate",
			taskdef.Change{Secrets: []taskdef.Variable{{Name: "LOG_LEVEL", Value: "arn:level"}}},
			[]string{`{"name":"LOG_LEVEL","value":"info"},`, ``, `AbCdEf"}`, `AbCdEf"},{"name":"LOG_LEVEL","valueFrom":"arn:level"}`}},
		{"a secret that becomes a variable", "fargate",
			taskdef.Change{Environment: []taskdef.Variable{{Name: "DB_PASSWORD", Value: "x"}}},
			[]string{`{"name":"DB_PASSWORD","valueFrom":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-db-AbCdEf"}`, ``,
				`{"name":"FEATURES","value":""}`, `{"name":"FEATURES","value":""},{"name":"DB_PASSWORD","value":"x"}`}},
		{"a variable removed", "bridge",
			taskdef.Change{RemoveEnvironment: []taskdef.VariableName{{Container: "application", Name: "foo"}}},
			[]string{`{"name":"foo","value":"bar"},`, ``}},
		{"a secret removed", "fargate",
			taskdef.Change{RemoveEnvironment: []taskdef.VariableName{{Name: "DB_PASSWORD"}}},
			[]string{`{"name":"DB_PASSWORD","valueFrom":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-db-AbCdEf"}`, ``}},
		{"cpu and memory of the task", "fargate",
			taskdef.Change{CPU: "512", Memory: "1 GB"},
			[]string{`"cpu":"256","memory":"512"`, `"cpu":"512","memory":"1 GB"`}},
		{"cpu where there was none", "bridge",
			taskdef.Change{CPU: "512"},
			[]string{`t3.*"}]`, `t3.*"}],"cpu":"512"`}},
		{"a command", "fargate",
			taskdef.Change{Command: []string{"serve", "--port", "80"}},
			[]string{`"--port","8080"]`, `"--port","80"]`}},
		{"a command of another container", "bridge",
			taskdef.Change{Command: []string{"migrate"}, CommandContainer: "application"},
			[]string{`"command":[]`, `"command":["migrate"]`}},
		{"no command: that of the image", "fargate",
			taskdef.Change{Command: []string{}},
			[]string{`"command":["serve","--port","8080"]`, `"command":[]`}},
		{"a tag replaced and one added", "fargate",
			taskdef.Change{Tags: []taskdef.Tag{{Key: "team", Value: "core"}, {Key: "build", Value: "4712"}}},
			[]string{`{"key":"team","value":"chat"}`, `{"key":"team","value":"core"},{"key":"build","value":"4712"}`}},
		{"the first tag", "firelens",
			taskdef.Change{Tags: []taskdef.Tag{{Key: "build", Value: "1"}}},
			[]string{`"memory":"1024"}`, `"memory":"1024","tags":[{"key":"build","value":"1"}]}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := load(t, test.from)
			before := string(base.RegisterInput())
			want := edited(t, before, test.replace...)
			revised, err := base.Revise(test.change)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(revised.RegisterInput()); got != want {
				t.Errorf("RegisterInput:\n got %s\nwant %s", got, want)
			}
			if got := string(base.RegisterInput()); got != before {
				t.Errorf("the base itself was changed: %s", got)
			}
			if taskdef.Equal(base, revised) {
				t.Error("the revision is Equal to its base")
			}
		})
	}
}

// Asking for what is so already changes not a byte, however it is spelled.
func TestReviseWhatIsSoAlready(t *testing.T) {
	for _, test := range []struct {
		name, from string
		change     taskdef.Change
	}{
		{"nothing asked", "future", taskdef.Change{}},
		{"the same image", "fargate", taskdef.Change{Images: map[string]string{"app": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:4711"}}},
		{"the same variables", "fargate", taskdef.Change{Environment: []taskdef.Variable{{Name: "LOG_LEVEL", Value: "info"}, {Name: "FEATURES", Value: ""}}}},
		{"a variable spelled with escapes", "windows", taskdef.Change{Environment: []taskdef.Variable{{Name: "café", Value: "☕ <&>"}}}},
		{"the same secret", "fargate", taskdef.Change{Secrets: []taskdef.Variable{{Name: "DB_PASSWORD", Value: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-db-AbCdEf"}}}},
		{"the same size in other units", "fargate", taskdef.Change{CPU: ".25 vCPU", Memory: "0.5GB"}},
		{"the same command", "windows", taskdef.Change{Command: []string{`C:\ServiceMonitor.exe`, "w3svc"}}},
		{"the same tag", "future", taskdef.Change{Tags: []taskdef.Tag{{Key: "team", Value: ""}}}},
		{"removing what is not there", "fargate", taskdef.Change{RemoveEnvironment: []taskdef.VariableName{{Name: "LOGLEVEL"}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := load(t, test.from)
			revised, err := base.Revise(test.change)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(revised.RegisterInput()), string(base.RegisterInput()); got != want {
				t.Errorf("RegisterInput:\n got %s\nwant %s", got, want)
			}
			if diff := taskdef.Diff(base, revised); len(diff) > 0 {
				t.Errorf("differences: %v", diff)
			}
		})
	}
}

func TestReviseErrors(t *testing.T) {
	for _, test := range []struct {
		name, from string
		change     taskdef.Change
		want       []string
	}{
		{"unknown containers, all at once", "bridge",
			taskdef.Change{
				Images:      map[string]string{"web": "w", "app": "a"},
				Environment: []taskdef.Variable{{Container: "db", Name: "A"}},
				Command:     []string{"x"}, CommandContainer: "web",
			},
			[]string{
				`further image: no container "app" in legacy:42`,
				`further image: no container "web" in legacy:42`,
				`variable: no container "db" in legacy:42`,
				`container command: no container "web" in legacy:42`,
			}},
		{"which container is meant, asked once", "firelens",
			taskdef.Change{Environment: []taskdef.Variable{{Name: "A"}, {Name: "B"}}},
			[]string{
				"container: cannot tell which container of orders:3 is the application's",
			}},
		{"a variable given in several ways", "fargate",
			taskdef.Change{
				RemoveEnvironment: []taskdef.VariableName{{Name: "A"}},
				Environment:       []taskdef.Variable{{Name: "A"}, {Name: "B"}, {Container: "app", Name: "B"}},
				Secrets:           []taskdef.Variable{{Name: "B", Value: "arn"}},
			},
			[]string{
				"variable: A of container app is given as a removed variable, too",
				"variable: B of container app is given twice",
				"secret: B of container app is given as a variable, too",
			}},
		{"things without a name or a value", "fargate",
			taskdef.Change{
				Images:      map[string]string{"app": ""},
				Environment: []taskdef.Variable{{Value: "x"}, {Name: "BYTES", Value: "\xff"}},
				Secrets:     []taskdef.Variable{{Name: "S"}},
				Tags:        []taskdef.Tag{{Key: ""}, {Key: "Aws:team", Value: "x"}},
			},
			[]string{
				`further image: no image for container "app"`,
				"variable: a variable without a name",
				`variable: "BYTES" is not valid UTF-8`,
				"secret: S: no value; expected the ARN of a secret or a parameter",
				`tag "": expected a key that does not begin with aws:`,
				`tag "Aws:team": expected a key that does not begin with aws:`,
			}},
		{"more than ECS takes", "fargate",
			taskdef.Change{Environment: []taskdef.Variable{{Name: "BIG", Value: strings.Repeat("x", taskdef.MaxSize)}}},
			[]string{fmt.Sprintf("the revised task definition has %d bytes; ECS takes at most 65536", len(load(t, "fargate").RegisterInput())-len(`,"tags":[{"key":"team","value":"chat"}]`)+len(`,{"name":"BIG","value":""}`)+taskdef.MaxSize)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(t, test.from).Revise(test.change)
			if got, want := message(err), strings.Join(test.want, "\n"); got != want {
				t.Errorf("error:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// What is wrong with the container that is the application's is said once, and
// hides nothing else; the hint names those that there are.
func TestReviseWithoutApplication(t *testing.T) {
	_, err := load(t, "fargate").Revise(taskdef.Change{
		DefaultContainer:  "web",
		Images:            map[string]string{"": "image:1", "db": "image:2"},
		Environment:       []taskdef.Variable{{Name: "A"}, {Name: "A"}},
		RemoveEnvironment: []taskdef.VariableName{{Container: "log", Name: "A"}},
	})
	want := `container: no container "web" in chat-app:17
further image: no container "db" in chat-app:17
removed variable: no container "log" in chat-app:17`
	if message(err) != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
	if m, ok := errors.AsType[*mistake.Error](err); !ok || m.Hint() != "it has app" {
		t.Errorf("the hint is %q", m.Hint())
	}
}

// The default container is the one that "" means, everywhere.
func TestReviseDefaultContainer(t *testing.T) {
	revised, err := load(t, "bridge").Revise(taskdef.Change{
		DefaultContainer:  "application",
		Environment:       []taskdef.Variable{{Name: "foo", Value: "baz"}, {Container: "webserver", Name: "foo", Value: "qux"}},
		RemoveEnvironment: []taskdef.VariableName{{Name: "lorem"}},
		Command:           []string{"run"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`application.command (none) → ["run"]`,
		`application.environment foo *** → *** (changed)`,
		`application.environment lorem *** → (none)`,
		`webserver.environment foo (none) → ***`,
	}
	if got := lines(taskdef.Diff(load(t, "bridge"), revised)); !slices.Equal(got, want) {
		t.Errorf("differences:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A plan can say what a change would remove but cannot find.
func TestAbsent(t *testing.T) {
	absent := load(t, "fargate").Absent(taskdef.Change{RemoveEnvironment: []taskdef.VariableName{
		{Name: "LOG_LEVEL"}, {Name: "LOGLEVEL"}, {Container: "app", Name: "DB_PASSWORD"}, {Container: "web", Name: "X"},
	}})
	if want := []taskdef.VariableName{{Container: "app", Name: "LOGLEVEL"}}; !slices.Equal(absent, want) {
		t.Errorf("Absent = %v, want %v", absent, want)
	}
}

// A definition that ECS holds, whatever its size, can still be made smaller.
func TestReviseWhatIsTooLargeAlready(t *testing.T) {
	doc := `{"family":"f","containerDefinitions":[{"name":"c","image":"image:1","environment":[{"name":"A","value":"` + strings.Repeat("x", taskdef.MaxSize) + `"},{"name":"B","value":""}]}]}`
	if _, err := parse(t, doc).Revise(taskdef.Change{RemoveEnvironment: []taskdef.VariableName{{Name: "B"}}}); err != nil {
		t.Error(err)
	}
	if _, err := parse(t, doc).Revise(taskdef.Change{Images: map[string]string{"c": "image:22"}}); err == nil {
		t.Error("no error for a definition that grew beyond the limit")
	}
}
