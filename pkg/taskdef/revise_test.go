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
		{"a variable with unknown members", "future",
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
			[]string{fmt.Sprintf("the revised task definition has %d characters; ECS takes at most 65536", len(load(t, "fargate").RegisterInput())-len(`,"tags":[{"key":"team","value":"chat"}]`)+len(`,{"name":"BIG","value":""}`)+taskdef.MaxSize)}},
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

// A variable that is removed may become a secret: the two inputs say the same.
func TestReviseVariableBecomesSecret(t *testing.T) {
	d := parse(t, `{"family":"f","containerDefinitions":[{"name":"c","image":"i","environment":[{"name":"A","value":"1"},{"name":"B","value":"2"}]}]}`)
	revised, err := d.Revise(taskdef.Change{RemoveEnvironment: []taskdef.VariableName{{Name: "A"}}, Secrets: []taskdef.Variable{{Container: "c", Name: "A", Value: "/a"}}})
	want := `{"family":"f","containerDefinitions":[{"name":"c","image":"i","environment":[{"name":"B","value":"2"}],"secrets":[{"name":"A","valueFrom":"/a"}]}]}`
	if err != nil || string(revised.RegisterInput()) != want {
		t.Errorf("got  %s, %v\nwant %s", revised.RegisterInput(), err, want)
	}
	_, err = d.Revise(taskdef.Change{RemoveEnvironment: []taskdef.VariableName{{Name: "A"}}, Secrets: []taskdef.Variable{{Name: "A", Value: "/a"}, {Container: "c", Name: "A", Value: "/b"}}})
	if message(err) != "secret: A of container c is given twice" {
		t.Errorf("a secret twice: %v", err)
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
	file := `{"family":"f","containerDefinitions":[{"name":"c","image":"image:1","environment":[{"name":"A","value":"` + strings.Repeat("x", taskdef.MaxSize) + `"},{"name":"B","value":""}]}]}`
	if _, err := parse(t, file).Revise(taskdef.Change{}); err == nil || !strings.Contains(err.Error(), "ECS takes at most 65536") {
		t.Errorf("a file beyond the limit: %v", err)
	}
	doc := strings.Replace(file, "{", `{"taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/f:1","revision":1,`, 1)
	if _, err := parse(t, doc).Revise(taskdef.Change{RemoveEnvironment: []taskdef.VariableName{{Name: "B"}}}); err != nil {
		t.Error(err)
	}
	if _, err := parse(t, doc).Revise(taskdef.Change{Images: map[string]string{"c": "image:22"}}); err == nil {
		t.Error("no error for a definition that grew beyond the limit")
	}
}

// What stands before the first colon of a name is a container where there is one
// of that name, and a part of the name where there is none.
func TestReviseNamesWithColons(t *testing.T) {
	d := parse(t, `{"family":"f","containerDefinitions":[{"name":"app","image":"a"},{"name":"db","image":"b","essential":false}]}`)
	revised, err := d.Revise(taskdef.Change{
		DefaultContainer: "app",
		Environment: []taskdef.Variable{
			{Container: "ConnectionStrings", Name: "Default", Value: "x"}, {Container: "app", Name: "Logging:Level", Value: "y"},
			{Container: "Servers", Name: "0:Host", Value: "z"}, {Container: "db", Name: "A", Value: "1"},
		},
		Secrets: []taskdef.Variable{{Container: "KEYS", Name: "Main", Value: "/p"}},
	})
	want := `{"family":"f","containerDefinitions":[{"name":"app","image":"a","environment":[{"name":"ConnectionStrings:Default","value":"x"},` +
		`{"name":"Logging:Level","value":"y"},{"name":"Servers:0:Host","value":"z"}],"secrets":[{"name":"KEYS:Main","valueFrom":"/p"}]},` +
		`{"name":"db","image":"b","essential":false,"environment":[{"name":"A","value":"1"}]}]}`
	if err != nil || string(revised.RegisterInput()) != want {
		t.Fatalf("got  %s, %v\nwant %s", revised.RegisterInput(), err, want)
	}
	upper := parse(t, `{"family":"f","containerDefinitions":[{"name":"app","image":"a"},{"name":"Redis","image":"b"}]}`)
	if revised, err := upper.Revise(taskdef.Change{DefaultContainer: "app", Environment: []taskdef.Variable{{Container: "Redis", Name: "Port", Value: "1"}}}); err != nil ||
		!strings.Contains(string(revised.RegisterInput()), `{"name":"Redis","image":"b","environment":[{"name":"Port","value":"1"}]}`) {
		t.Errorf("a container in upper case: %s, %v", revised.RegisterInput(), err)
	}
	for _, name := range []string{":Level", "-Level", ".Level", "0Level"} {
		_, err := d.Revise(taskdef.Change{DefaultContainer: "app", Environment: []taskdef.Variable{{Container: "app", Name: name, Value: "5"}}})
		if err == nil || !strings.Contains(err.Error(), "of container app is not the name of a variable") {
			t.Errorf("app:%s: %v", name, err)
		}
	}
	_, err = d.Revise(taskdef.Change{DefaultContainer: "app", Environment: []taskdef.Variable{{Container: "App", Name: "LEVEL", Value: "5"}}})
	if m, ok := errors.AsType[*mistake.Error](err); !ok || m.Text != `no container "App" in f` || m.Hint() != "it has app, db" {
		t.Errorf("a container by another case: %v", err)
	}
	_, err = d.Revise(taskdef.Change{DefaultContainer: "app", Environment: []taskdef.Variable{{Container: "cache", Name: "TTL", Value: "5"}}})
	if m, ok := errors.AsType[*mistake.Error](err); !ok || m.Text != `no container "cache" in f` || m.Kind != mistake.Variable {
		t.Errorf("a container that is not there: %v", err)
	}
	removed, err := revised.Revise(taskdef.Change{DefaultContainer: "app", RemoveEnvironment: []taskdef.VariableName{{Container: "ConnectionStrings", Name: "Default"}}})
	if err != nil || strings.Contains(string(removed.RegisterInput()), "ConnectionStrings") {
		t.Errorf("not removed: %s, %v", removed.RegisterInput(), err)
	}
	_, err = d.Revise(taskdef.Change{DefaultContainer: "app", Environment: []taskdef.Variable{
		{Container: "db", Name: "0:Host"}, {Container: "Logging", Name: "Level"}, {Container: "app", Name: "Logging:Level"},
	}})
	if got, want := message(err), "variable: \"0:Host\" of container db is not the name of a variable\nvariable: Logging:Level of container app is given twice"; got != want {
		t.Errorf("error:\n%s\nwant:\n%s", got, want)
	}
	absent := d.Absent(taskdef.Change{DefaultContainer: "app", RemoveEnvironment: []taskdef.VariableName{{Container: "Logging", Name: "Level"}}})
	if len(absent) != 1 || absent[0] != (taskdef.VariableName{Container: "app", Name: "Logging:Level"}) {
		t.Errorf("absent %v", absent)
	}
}

// Several containers may run the image of one run.
func TestReviseImageContainers(t *testing.T) {
	d := parse(t, `{"family":"f","containerDefinitions":[{"name":"app","image":"h/a:1"},{"name":"migrate","image":"h/a:1"},{"name":"cron","image":"h/a:1"},{"name":"proxy","image":"h/p:1"}]}`)
	names, err := d.ChooseContainers([]string{"app", "migrate"}, "")
	if err != nil {
		t.Fatal(err)
	}
	revised, err := d.Revise(taskdef.Change{DefaultContainer: names[0], ImageContainers: names[1:], Images: map[string]string{"": "h/a:2", "proxy": "h/p:2"}})
	if err != nil {
		t.Fatal(err)
	}
	for container, want := range map[string]string{"app": "h/a:2", "migrate": "h/a:2", "cron": "h/a:1", "proxy": "h/p:2"} {
		if got := revised.Image(container); got != want {
			t.Errorf("container %s has %s, want %s", container, got, want)
		}
	}
	if behind := revised.OtherTags("h/a:2"); len(behind) != 1 || behind[0].Name != "cron" {
		t.Errorf("containers that stay behind: %v", behind)
	}
	if _, err := d.ChooseContainers([]string{"app", "x", "y"}, ""); message(err) != "container: no container \"x\" in f\ncontainer: no container \"y\" in f" {
		t.Errorf("error %v", err)
	}
	if names, err := d.ChooseContainers(nil, "h/p"); err != nil || len(names) != 1 || names[0] != "proxy" {
		t.Errorf("chose %v, %v", names, err)
	}
	_, err = d.Revise(taskdef.Change{DefaultContainer: "app", ImageContainers: []string{"proxy", "x"}, Images: map[string]string{"": "h/a:2", "proxy": "h/p:2"}})
	if got, want := message(err), "further image: container proxy is to get the image of this run, h/a:2, and h/p:2\ncontainer: no container \"x\" in f"; got != want {
		t.Errorf("error:\n%s\nwant:\n%s", got, want)
	}
}

// ECS counts characters of the compact document, not how they are escaped.
func TestReviseCountsAsECSDoes(t *testing.T) {
	const empty = `{"family":"f","containerDefinitions":[{"name":"c","image":"i","environment":[{"name":"A","value":"` + `"}]}]}`
	room := taskdef.MaxSize - len(empty)
	for name, test := range map[string]struct {
		value string
		fits  bool
	}{
		"as many as fit":               {strings.Repeat("x", room), true},
		"one more":                     {strings.Repeat("x", room+1), false},
		"of several bytes each":        {strings.Repeat("é", room), true},
		"what HTML would escape":       {strings.Repeat("<", room), true},
		"what JSON has to escape":      {strings.Repeat("\"", room/2), true},
		"one more that it has to":      {strings.Repeat("\"", room/2+1), false},
		"several bytes each, one more": {strings.Repeat("é", room+1), false},
	} {
		_, err := parse(t, `{"family":"f","containerDefinitions":[{"name":"c","image":"i"}]}`).Revise(taskdef.Change{Environment: []taskdef.Variable{{Name: "A", Value: test.value}}})
		if (err == nil) != test.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
	escaped := strings.Repeat("\\u00e9\\u003c", room/12)
	d := parse(t, strings.Replace(empty, `"value":""`, `"value":"`+escaped+`"`, 1))
	if _, err := d.Revise(taskdef.Change{Environment: []taskdef.Variable{{Name: "B", Value: strings.Repeat("x", room/2)}}}); err != nil {
		t.Errorf("escapes of the file count: %v", err)
	}
}
