package taskdef_test

import (
	"fmt"
	"strings"
	"testing"

	"ecsdeploy/pkg/taskdef"
)

var build4712 = taskdef.Provenance{
	BuildID:  "4712",
	Pipeline: "shop/Deploy",
	Commit:   "0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c",
	Digest:   "sha256:94afd1f2e64d908bc90dbca0035a5b567e2a3f1d0c4b5a69788796a5b4c3d2e1",
	Base:     "chat-app:17",
}

func with(t testing.TB, d taskdef.Definition, p taskdef.Provenance) taskdef.Definition {
	t.Helper()
	marked, err := d.WithProvenance(p)
	if err != nil {
		t.Fatal(err)
	}
	return marked
}

func TestProvenance(t *testing.T) {
	d := load(t, "fargate")
	if p, ok := d.Provenance(); ok {
		t.Errorf("a revision of infrastructure comes from %+v", p)
	}
	marked := with(t, d, build4712)
	want := edited(t, string(d.RegisterInput()), `{"key":"team","value":"chat"}`,
		`{"key":"team","value":"chat"},{"key":"ecs-deploy:build-id","value":"4712"},{"key":"ecs-deploy:pipeline","value":"shop/Deploy"},`+
			`{"key":"ecs-deploy:commit","value":"0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c"},`+
			`{"key":"ecs-deploy:digest","value":"sha256:94afd1f2e64d908bc90dbca0035a5b567e2a3f1d0c4b5a69788796a5b4c3d2e1"},{"key":"ecs-deploy:base","value":"chat-app:17"}`)
	if got := string(marked.RegisterInput()); got != want {
		t.Errorf("RegisterInput:\n got %s\nwant %s", got, want)
	}
	registered := parse(t, string(marked.RegisterInput()))
	if p, ok := registered.Provenance(); !ok || p != build4712 {
		t.Errorf("a registered revision comes from %+v, %t", p, ok)
	}
	if !taskdef.Equal(d, marked) || len(taskdef.Diff(d, marked)) > 0 {
		t.Errorf("a revision is another one because of where it came from: %v", taskdef.Diff(d, marked))
	}
	if got, want := string(marked.WithoutProvenance().RegisterInput()), string(d.RegisterInput()); got != want {
		t.Errorf("without provenance:\n got %s\nwant %s", got, want)
	}
}

// The next revision says where it came from, and nothing of the one before.
func TestProvenanceOfTheNextRevision(t *testing.T) {
	before := with(t, load(t, "firelens"), build4712)
	after := with(t, before, taskdef.Provenance{BuildID: "4713", Base: "orders:3"})
	if got, want := string(after.RegisterInput()), edited(t, string(load(t, "firelens").RegisterInput()), `"memory":"1024"`,
		`"memory":"1024","tags":[{"key":"ecs-deploy:build-id","value":"4713"},{"key":"ecs-deploy:base","value":"orders:3"}]`); got != want {
		t.Errorf("RegisterInput:\n got %s\nwant %s", got, want)
	}
	if got, want := string(with(t, before, taskdef.Provenance{}).RegisterInput()), string(load(t, "firelens").RegisterInput()); got != want {
		t.Errorf("with no provenance:\n got %s\nwant %s", got, want)
	}
}

// What is written in a tag is what ECS takes there, and reads as what was meant.
func TestProvenanceInTags(t *testing.T) {
	long := strings.Repeat("Bereitstellung/", 18) // 270 characters
	for _, test := range []struct{ name, pipeline, tag, read string }{
		{"what ECS takes", "Büro 2/Deploy + a-b.c_d:e@f 日本", "Büro 2/Deploy + a-b.c_d:e@f 日本", ""},
		{"what it does not take", "Deploy [prod] – 100%", "Deploy =5Bprod=5D =E2=80=93 100=25", ""},
		{"the escape itself", "a=5B", "a=3D5B", ""},
		{"lines and bytes", "a\n\xff\ufffd", "a=0A=FF=EF=BF=BD", ""},
		{"letters that count as two", "𝔸", "=F0=9D=94=B8", ""},
		{"spaces at the ends", "  a b ", "=20 a b=20", ""},
		{"as long as can be", long[:256], long[:256], ""},
		{"longer", long, long[:237] + "...b6b55ca739baeee0", long[:237] + "...b6b55ca739baeee0"},
		{"longer in its tag", strings.Repeat("[", 86), strings.Repeat("=5B", 79) + "...afb8a5789a019c61", strings.Repeat("[", 79) + "...afb8a5789a019c61"},
		{"many letters of several bytes", strings.Repeat("é", 256), strings.Repeat("é", 256), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			marked := with(t, load(t, "firelens"), taskdef.Provenance{Pipeline: test.pipeline})
			if got := marked.Tags()[0].Value; got != test.tag {
				t.Errorf("the tag is\n%q, want\n%q", got, test.tag)
			}
			if test.read == "" {
				test.read = test.pipeline
			}
			p, _ := marked.Provenance()
			if p.Pipeline != test.read {
				t.Errorf("it reads as\n%q, want\n%q", p.Pipeline, test.read)
			}
			if given := (taskdef.Provenance{Pipeline: test.pipeline}); !given.SamePipeline(p) || !p.SamePipeline(given) {
				t.Error("it is another pipeline")
			}
		})
	}
}

// Tags that people wrote are read as they stand.
func TestProvenanceByHand(t *testing.T) {
	for tag, want := range map[string]string{"a=b": "a=b", "=": "=", "==41": "=A", "1=4": "1=4"} {
		d := parse(t, definition(fmt.Sprintf(`,"tags":[{"key":"ecs-deploy:build-id","value":%q}]`, tag), ""))
		if p, _ := d.Provenance(); p.BuildID != want {
			t.Errorf("%q reads as %q, want %q", tag, p.BuildID, want)
		}
	}
}

func TestSamePipeline(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"shop/Deploy", "shop/Deploy", true},
		{"shop/Deploy", "shop/deploy", false},
		{"Deploy [prod]", "Deploy (prod)", false},
		{long + "1", long + "1", true},
		{long + "1", long + "2", false},
		{"", "", false}, // not known is not the same
		{"shop", "", false},
	} {
		a, b := taskdef.Provenance{Pipeline: test.a, BuildID: "1"}, taskdef.Provenance{Pipeline: test.b, BuildID: "2"}
		if got := a.SamePipeline(b); got != test.want || b.SamePipeline(a) != got {
			t.Errorf("%q and %q: %t, want %t", test.a, test.b, got, test.want)
		}
	}
}

// ECS takes 50 tags, besides those of AWS itself.
func TestProvenanceWithoutRoom(t *testing.T) {
	tagged := func(n int) taskdef.Definition {
		tags := `{"key":"aws:x","value":"1"},{"key":"ecs-deploy:base","value":"f:1"}`
		for i := range n {
			tags += fmt.Sprintf(`,{"key":"t%d","value":""}`, i)
		}
		return parse(t, definition(`,"tags":[`+tags+`]`, ""))
	}
	if d := with(t, tagged(45), build4712); len(d.Tags()) != 51 {
		t.Errorf("%d tags, want 45, 5 and one of AWS", len(d.Tags()))
	}
	if d := with(t, tagged(60), taskdef.Provenance{}); len(d.Tags()) != 61 {
		t.Errorf("%d tags, want those that were there", len(d.Tags()))
	}
	_, err := tagged(46).WithProvenance(build4712)
	if want := "tags: f has 46; ECS takes at most 50, and 5 more would say where the revision came from"; message(err) != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

// Revisions from before there were ids of pipelines are still recognised.
func TestSamePipelineByID(t *testing.T) {
	older := taskdef.Provenance{BuildID: "9", Pipeline: "https://dev.azure.com/org/shop/Deploy"}
	renamed := taskdef.Provenance{BuildID: "10", Pipeline: "https://dev.azure.com/org/shop/Ship", PipelineID: "c/p/7"}
	newer := taskdef.Provenance{BuildID: "11", Pipeline: older.Pipeline, PipelineID: "c/p/7"}
	other := taskdef.Provenance{BuildID: "12", Pipeline: older.Pipeline, PipelineID: "c/p/8"}
	for _, test := range []struct {
		a, b taskdef.Provenance
		want bool
	}{{older, newer, true}, {renamed, newer, true}, {newer, other, false}, {older, renamed, false}} {
		if got := test.a.SamePipeline(test.b); got != test.want || test.b.SamePipeline(test.a) != got || test.a.OlderThan(test.b) != got || test.b.OlderThan(test.a) {
			t.Errorf("%+v and %+v: %t", test.a, test.b, got)
		}
	}
	long := taskdef.Provenance{BuildID: "1", Pipeline: strings.Repeat("é", 300)}
	read, _ := with(t, load(t, "firelens"), taskdef.Provenance{BuildID: "2", Pipeline: long.Pipeline, Tag: "v1.0.0", PipelineID: "c/p/7"}).Provenance()
	if !long.OlderThan(read) || read.Tag != "v1.0.0" || read.PipelineID != "c/p/7" {
		t.Errorf("read %+v", read)
	}
	for _, id := range []string{"", "v1.0.0", "-1"} {
		if (taskdef.Provenance{BuildID: id, Pipeline: "p"}).OlderThan(taskdef.Provenance{BuildID: "5", Pipeline: "p"}) {
			t.Errorf("build %q has an order", id)
		}
	}
}

// TestBaseOfALongFamily: the revision that another was made from can be read again,
// however long the name of the family is.
func TestBaseOfALongFamily(t *testing.T) {
	family := strings.Repeat("f", 255)
	d := parse(t, `{"family":"`+family+`","containerDefinitions":[{"name":"c","image":"i"}]}`)
	for _, base := range []string{family + ":12", "f:12", ""} {
		p, _ := with(t, d, taskdef.Provenance{BuildID: "7", Base: base}).Provenance()
		if p.Base != base {
			t.Errorf("made from %q, want %q", p.Base, base)
		}
	}
	for _, tag := range with(t, d, taskdef.Provenance{Base: family + ":12"}).Tags() {
		if len(tag.Value) > 256 {
			t.Errorf("tag %s has %d characters", tag.Key, len(tag.Value))
		}
	}
}

// Where infrastructure registered the running image again, its build is known by
// the image.
func TestProvenanceIn(t *testing.T) {
	image := func(ref string) taskdef.Definition {
		return parse(t, `{"family":"f","containerDefinitions":[{"name":"c","image":"`+ref+`"}]}`)
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	earlier := []taskdef.Definition{
		with(t, image("h.io/a:3"), taskdef.Provenance{BuildID: "3"}),
		image("h.io/a:2"),
		with(t, image("h.io/a:2"), taskdef.Provenance{BuildID: "2", Digest: digest}),
		with(t, image("h.io/a:2"), taskdef.Provenance{BuildID: "1"}),
		with(t, image("h.io/a@sha256:"+strings.Repeat("b", 64)), taskdef.Provenance{BuildID: "11", Tag: "v1"}),
	}
	for ref, want := range map[string]string{"h.io/a:3": "3", "h.io/a:2": "2", "h.io/a@" + digest: "2", "h.io/a:9": "", "h.io/b:2": "", "h.io/a:v1": "11", "h.io/b:v1": "", "h.io/a": ""} {
		p, ok := image(ref).ProvenanceIn("c", earlier)
		if p.BuildID != want || ok != (want != "") {
			t.Errorf("%s is of build %q, %t; want %q", ref, p.BuildID, ok, want)
		}
	}
	if p, _ := earlier[0].ProvenanceIn("c", nil); p.BuildID != "3" {
		t.Errorf("its own tags do not count: %+v", p)
	}
}
