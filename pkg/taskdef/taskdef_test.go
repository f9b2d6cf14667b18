package taskdef_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// described returns the answers of DescribeTaskDefinition in testdata, by name.
func described(t testing.TB) map[string][]byte { return section(t, "describe.json") }

func section(t testing.TB, name string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
		if i < 0 {
			t.Fatalf("%s: no %s", file, name)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".txtar")] = archive.Files[i].Data
	}
	return all
}

func parse(t testing.TB, doc string) taskdef.Definition {
	t.Helper()
	d, err := taskdef.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func load(t testing.TB, name string) taskdef.Definition {
	t.Helper()
	return parse(t, string(described(t)[name]))
}

func compact(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// edited replaces texts that are there exactly once: old, new, …
func edited(t testing.TB, doc string, replace ...string) string {
	t.Helper()
	for pair := range slices.Chunk(replace, 2) {
		if strings.Count(doc, pair[0]) != 1 {
			t.Fatalf("%d times %q in %s", strings.Count(doc, pair[0]), pair[0], doc)
		}
		doc = strings.Replace(doc, pair[0], pair[1], 1)
	}
	return doc
}

// A described definition goes back byte for byte, less what ECS does not take.
func TestRegisterInput(t *testing.T) {
	want := section(t, "register.json")
	for name, doc := range described(t) {
		t.Run(name, func(t *testing.T) {
			d := parse(t, string(doc))
			if got, want := string(d.RegisterInput()), compact(t, want[name]); got != want {
				t.Errorf("RegisterInput:\n got %s\nwant %s", got, want)
			}
			again := parse(t, string(d.RegisterInput()))
			if got := string(again.RegisterInput()); got != string(d.RegisterInput()) {
				t.Errorf("a RegisterTaskDefinition input does not survive itself:\n%s", got)
			}
		})
	}
}

func TestRegisterInputTags(t *testing.T) {
	for _, test := range []struct{ name, doc, want string }{
		{"tags stay where they are in an input",
			`{"tags":[{"key":"a","value":"1"}],"family":"f","containerDefinitions":[{"name":"c"}]}`,
			`{"tags":[{"key":"a","value":"1"}],"family":"f","containerDefinitions":[{"name":"c"}]}`},
		{"an empty list of tags is left out",
			`{"taskDefinition":{"family":"f","containerDefinitions":[{"name":"c"}]},"tags":[]}`,
			`{"family":"f","containerDefinitions":[{"name":"c"}]}`},
		{"so is one that had only tags of AWS",
			`{"taskDefinition":{"family":"f","containerDefinitions":[{"name":"c"}]},"tags":[{"key":"aws:x","value":"1"}]}`,
			`{"family":"f","containerDefinitions":[{"name":"c"}]}`},
		{"a key that only looks like one of AWS stays",
			`{"family":"f","containerDefinitions":[{"name":"c"}],"tags":[{"key":"aws-team","value":""},{"key":"aws","value":""}]}`,
			`{"family":"f","containerDefinitions":[{"name":"c"}],"tags":[{"key":"aws-team","value":""},{"key":"aws","value":""}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(parse(t, test.doc).RegisterInput()); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestDefinition(t *testing.T) {
	d := load(t, "fargate")
	os, arch := d.RuntimePlatform()
	got := map[string]any{
		"String": d.String(), "ARN": d.ARN(), "Family": d.Family(), "Revision": d.Revision(), "Status": d.Status(),
		"NetworkMode": d.NetworkMode(), "ExecutionRoleARN": d.ExecutionRoleARN(), "TaskRoleARN": d.TaskRoleARN(),
		"RequiresCompatibilities": d.RequiresCompatibilities(), "os": os, "arch": arch, "Containers": d.Containers(), "Tags": d.Tags(),
	}
	want := map[string]any{
		"String":                  "chat-app:17",
		"ARN":                     "arn:aws:ecs:eu-west-1:123456789012:task-definition/chat-app:17",
		"Family":                  "chat-app",
		"Revision":                17,
		"Status":                  "ACTIVE",
		"NetworkMode":             "awsvpc",
		"ExecutionRoleARN":        "arn:aws:iam::123456789012:role/chat-app-execution",
		"TaskRoleARN":             "arn:aws:iam::123456789012:role/chat-app-task",
		"RequiresCompatibilities": []string{"FARGATE"},
		"os":                      "LINUX",
		"arch":                    "X86_64",
		"Containers":              []taskdef.Container{{Name: "app", Image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/chat-app:4711", Essential: true}},
		"Tags": []taskdef.Tag{
			{Key: "aws:cloudformation:stack-name", Value: "product-dev"}, {Key: "team", Value: "chat"}, {Key: "AWS:reserved", Value: "in any case"}},
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s = %#v, want %#v", name, got[name], want[name])
		}
	}
}

func TestDefinitionWithLittle(t *testing.T) {
	d := parse(t, `{"family":"f","containerDefinitions":[{"name":"a"},{"name":"b","essential":false}]}`)
	if os, arch := d.RuntimePlatform(); os != "" || arch != "" || d.ARN() != "" || d.Revision() != 0 || d.Tags() != nil {
		t.Errorf("found what is not there: %q %q %q %d %v", os, arch, d.ARN(), d.Revision(), d.Tags())
	}
	want := []taskdef.Container{{Name: "a", Essential: true}, {Name: "b", Essential: false}}
	if got := d.Containers(); !slices.Equal(got, want) {
		t.Errorf("Containers = %v, want %v", got, want)
	}
	if got := d.String(); got != "f" {
		t.Errorf("String = %q, want f", got)
	}
}

// How deep a document may be says nothing about how wide.
func TestParseWide(t *testing.T) {
	const variables = 500
	d := parse(t, definition("", `,"environment":[`+strings.Repeat(`{"name":"A","value":""},`, variables-1)+`{"name":"A","value":""}]`))
	if got := strings.Count(string(d.RegisterInput()), `"A"`); got != variables {
		t.Errorf("%d variables, want %d", got, variables)
	}
}

func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ name, doc, want string }{
		{"nothing", ``, `task definition: line 1: not valid JSON: unexpected end of JSON input`},
		{"a comma too many", "{\n\"family\": \"f\",\n}", `task definition: line 3: not valid JSON: invalid character '}' looking for beginning of object key string`},
		{"two documents", `{} {}`, `task definition: line 1: not valid JSON: invalid character '{' after top-level value`},
		{"a line break in a string", "{\"family\": \"a\nb\"}", `task definition: line 1: not valid JSON: invalid character '\n' in string literal`},
		{"not UTF-8", "{\n\"family\": \"\xff\"}", `task definition: line 2: not valid UTF-8`},
		{"a list", `[]`, `task definition: line 1: expected an object with containerDefinitions, found a list`},
		{"a member twice", "{\"family\":\"a\",\n\"f\\u0061mily\":\"b\"}", `task definition: line 2: member "f\u0061mily" is given twice`},
		{"too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), `task definition: line 1: nested deeper than 64 levels`},
		{"too large", strings.Repeat(" ", 2<<20), `task definition: 2097152 bytes; expected at most 1048576`},
		{"no family", `{"containerDefinitions":[{"name":"c"}]}`, `task definition: line 1: no family: it names the task definition that gets the new revision`},
		{"no containers", `{"family":"f","containerDefinitions":[]}`, `task definition: line 1: no containerDefinitions: expected a list of at least one container`},
		{"a container without a name", `{"family":"f","containerDefinitions":[{"image":"i"}]}`, `task definition: line 1: containerDefinitions: a container without a name`},
		{"two containers of one name", `{"family":"f","containerDefinitions":[{"name":"c"},{"name":"c"}]}`, `task definition: line 1: containerDefinitions: two containers are named "c"`},
		{"a CloudFormation template", "{\n \"Family\": \"f\",\n \"ContainerDefinitions\": []}", `task definition: line 3: ContainerDefinitions: members of the ECS API begin in lower case (containerDefinitions); this looks like a CloudFormation template`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := taskdef.Parse([]byte(test.doc))
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v\nwant  %s", err, test.want)
			}
		})
	}
}

func TestChooseContainer(t *testing.T) {
	const ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/"
	for _, test := range []struct{ name, from, container, repository, want, err string }{
		{"by its name", "firelens", "log_router", "", "log_router", ""},
		{"a name comes before the repository", "firelens", "log_router", ecr + "shop/orders", "log_router", ""},
		{"a name that is not there", "firelens", "web", "", "", `container: no container "web" in orders:3; it has log_router, orders`},
		{"by its repository, whose digest does not count", "firelens", "", ecr + "shop/orders", "orders", ""},
		{"by its repository's name alone", "firelens", "", "shop/orders", "orders", ""},
		{"nor does the tag of either", "fargate", "", ecr + "chat-app:1", "app", ""},
		{"a port is not a tag", "bridge", "", "registry.example.com:5000/shop/legacy", "application", ""},
		{"another registry is another repository", "bridge", "", "registry.example.com/shop/legacy", "webserver", ""},
		{"the only essential one", "bridge", "", "", "webserver", ""},
		{"the only one", "windows", "", ecr + "other", "billing", ""},
		{"two essential ones", "firelens", "", ecr + "other", "",
			"container: cannot tell which container of orders:3 is the application's; name one of " +
				"log_router (public.ecr.aws/aws-observability/aws-for-fluent-bit:stable), " +
				"orders (" + ecr + "shop/orders@sha256:94afd1f2e64d908bc90dbca0035a5b567e2a3f1d0c4b5a69788796a5b4c3d2e1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := load(t, test.from).ChooseContainer(test.container, test.repository)
			said := message(err)
			if m, ok := errors.AsType[*mistake.Error](err); ok {
				said += "; " + m.Hint()
			}
			if got != test.want || said != test.err {
				t.Errorf("got %q, error %s\nwant %q, error %s", got, said, test.want, test.err)
			}
		})
	}
}

func TestImage(t *testing.T) {
	d := load(t, "bridge")
	for container, want := range map[string]string{"webserver": "nginx:1.27", "application": "registry.example.com:5000/shop/legacy:2024-11-01", "other": ""} {
		if got := d.Image(container); got != want {
			t.Errorf("Image(%s) = %q, want %q", container, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for _, test := range []struct {
		members     string
		cpu, memory float64
	}{
		{`"cpu":"256","memory":"512",`, 256, 512},
		{`"cpu":".25 vCPU","memory":"0.5GB",`, 256, 512},
		{`"cpu":"1VCPU","memory":"2 gb",`, 1024, 2048},
		{`"cpu":"0.3 vcpu",`, 307.2, 0},
		{`"cpu":"2 GB","memory":"many",`, 0, 0},
	} {
		cpu, memory := parse(t, `{"family":"f",`+test.members+`"containerDefinitions":[{"name":"c"}]}`).Size()
		if cpu != test.cpu || memory != test.memory {
			t.Errorf("%s means %g and %g, want %g and %g", test.members, cpu, memory, test.cpu, test.memory)
		}
	}
}

func TestSplitImage(t *testing.T) {
	for _, test := range []struct{ ref, repository, tagOrDigest string }{
		{"nginx", "nginx", ""},
		{"nginx:1.27", "nginx", "1.27"},
		{"registry.example.com:5000/shop/legacy", "registry.example.com:5000/shop/legacy", ""},
		{"registry.example.com:5000/shop/legacy:1", "registry.example.com:5000/shop/legacy", "1"},
		{"r.example.com/app@sha256:94af", "r.example.com/app", "sha256:94af"},
		{"r.example.com/app:1@sha256:94af", "r.example.com/app", "sha256:94af"},
		{"", "", ""},
	} {
		repository, tagOrDigest := taskdef.SplitImage(test.ref)
		if repository != test.repository || tagOrDigest != test.tagOrDigest {
			t.Errorf("SplitImage(%q) = %q, %q, want %q, %q", test.ref, repository, tagOrDigest, test.repository, test.tagOrDigest)
		}
	}
}

// An init container often runs the application's own image.
func TestChooseContainerAmongSeveralOfTheRepository(t *testing.T) {
	const doc = `{"family":"f","containerDefinitions":[
		{"name":"proxy","image":"nginx"},
		{"name":"migrate","image":"r.example.com/app:1","essential":false},
		{"name":"app","image":"r.example.com/app:1"}]}`
	got, err := parse(t, doc).ChooseContainer("", "r.example.com/app")
	if got != "app" || err != nil {
		t.Errorf("got %q, %v, want app", got, err)
	}
}

// The zero Definition has nothing to choose from, and does not panic.
func TestZeroDefinition(t *testing.T) {
	var d taskdef.Definition
	if _, err := d.ChooseContainer("", ""); message(err) != "container: the task definition has no containers" {
		t.Errorf("error %v", err)
	}
	if d.String() != "" || d.Containers() != nil || len(d.RegisterInput()) != 0 || !taskdef.Equal(d, d) {
		t.Error("the zero Definition is not empty")
	}
}

// message is one line for each mistake, beginning with what it is about.
func message(err error) string {
	var lines []string
	for _, one := range mistake.Each(err) {
		text := one.Error()
		if m, ok := errors.AsType[*mistake.Error](one); ok && m.Kind != "" {
			text = string(m.Kind) + ": " + text
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n")
}
