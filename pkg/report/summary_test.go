package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// with is a result that has a text from outside wherever one can stand.
func with(outside string) deploy.Result {
	s := to("chat-app", rollout.Failed)
	s.Reason = rollout.Reason{Code: rollout.Code("a reason of the future"), Detail: outside}
	s.PreviousImage = outside
	s.Changes = []taskdef.Difference{{Path: outside, Old: outside, New: outside}}
	s.Diagnosis = diagnosis.Diagnosis{
		Causes: []diagnosis.Cause{{Count: 3, Reason: outside, Hint: outside, Log: []string{outside, "x", outside}, LogTask: outside,
			Containers: []diagnosis.ContainerEnd{{Name: outside, ExitCode: new(1), Reason: outside, Failed: true}}}},
		Targets: []diagnosis.UnhealthyTargets{{Count: 1, Group: outside, State: outside, Reason: outside, Hint: outside}},
		Alarms:  []string{outside},
		Notes:   []diagnosis.Note{{What: diagnosis.Everything, Why: diagnosis.Refused, Text: outside}},
	}
	s.Proof = rollout.Proof{Wanted: map[string][]string{"app": {digest}}, Tasks: 1, ResolvedErr: errors.New(outside),
		Endpoints: []string{outside},
		Running:   rollout.Witness{Wrong: []rollout.Wrong{{Task: outside, Container: outside, Digest: outside}}}}
	note := to("b", rollout.Succeeded)
	note.Reason = rollout.Reason{Code: rollout.Code("a note of the future"), Detail: outside}
	note.ARN = "arn:aws:ecs:eu-west-1:1:service/" + strings.ReplaceAll(outside, "/", "") + "/b"
	r := result(s, note)
	r.Image = deploy.Image{URI: outside, Digest: outside}
	return r
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList), goldmark.WithRendererOptions(html.WithUnsafe()))

// element is the name of an element, and the address of a link.
var element = regexp.MustCompile(`</?[a-zA-Z][a-zA-Z0-9]*|<!|<\?|href="https://[a-z0-9.-]+/`)

// elements are those that the summary is rendered to, in order.
func elements(t *testing.T, source string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := markdown.Convert([]byte(source), &out); err != nil {
		t.Fatal(err)
	}
	return element.FindAllString(out.String(), -1)
}

var hostile = []string{
	"<img src=x onerror=alert(1)>", "<script>", "</pre>", "</code></details>", "<!-- ", "<a href=javascript:x>", "&lt;b&gt;",
	"[click](javascript:x)", "![x](https://evil.example/y)", "[x]: https://evil.example", "[^1]", "https://evil.example/x", "http://evil.example", "www.evil.example", "WWW.evil.example",
	"ftp://evil.example", "mailto:a@evil.example", "a@evil.example", "x | y | z", "|", "\\|", "# heading", "a\n# heading", "a\n\n- item", "- item", "+ item", "* item", "1. item", "12) item",
	"=== x", "--- x", "***", "- - -", "> quote", "`code`", "```", "~~~", "~~gone~~", "**bold**", "__bold__", "_it_", "$$x$$", "$x$", "\\", "\\<b>", "&amp;", "a\\", "`", "    indented", "\tindented",
	"a\r\n\r\n<b>", "\u202egnp.exe", "\u2066x\u2069", "a\u2028- b", "a\u0085b", "\u200bx", "x\x00<b>", "Term\n: definition", "- [ ] task", "#1", "!1", "@someone", "\xff<b>", "%20)x", "x\"onclick=\"y", "a)(b",
}

// checkAddress: what stands behind the host of an address does not leave its link.
func checkAddress(t *testing.T, outside string) {
	t.Helper()
	row := func(cell string) []string { return elements(t, "| | |\n|---|---|\n| "+cell+" | x |\n") }
	got := row(address("https://example.com/" + outside))
	if !slices.Equal(got, row("[x](https://example.com/)")) && !slices.Equal(got, row("<code>x</code>")) {
		t.Errorf("address %q becomes %v", outside, got)
	}
}

// TestMarkdownIsHarmless: a summary is rendered as Markdown and HTML, and what ECS
// or an image's author wrote must not become either.
func TestMarkdownIsHarmless(t *testing.T) {
	want := elements(t, Markdown(with("harmless"), explain))
	for _, text := range hostile {
		source := Markdown(with(text), explain)
		if got := elements(t, source); !slices.Equal(got, want) {
			t.Errorf("%q becomes an element:\n%v\nwant\n%v\n%s", text, got, want, source)
		}
		checkAddress(t, text)
		if i := strings.IndexFunc(source, func(r rune) bool { return strings.ContainsRune("\u202e\u2066\u200b\x00", r) }); i >= 0 {
			t.Errorf("%q hides or reorders text", text)
		}
	}
}

// FuzzMarkdown: no text at all becomes an element.
func FuzzMarkdown(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, outside string) {
		if withoutControls(strings.TrimSpace(outside)) == "" || strings.TrimSpace(withoutControls(outside)) == "" || len(outside) > 200 {
			return // what is empty has no row
		}
		checkAddress(t, outside)
		want := elements(t, Markdown(with("harmless"), explain))
		if got := elements(t, Markdown(with(outside), explain)); !slices.Equal(got, want) {
			t.Errorf("%q becomes an element:\n%v\nwant\n%v", outside, got, want)
		}
	})
}

// TestWhy: the summary says why, and how much of that it leaves out.
func TestWhy(t *testing.T) {
	s := to("chat-app", rollout.Failed)
	s.Diagnosis = diagnosis.Diagnosis{
		Causes:  []diagnosis.Cause{{Count: 3, Event: true, Reason: "was unable to place a task.", Hint: "wait, or add instances"}},
		More:    2,
		Targets: []diagnosis.UnhealthyTargets{{Count: 1, Group: "web", Reason: "Request timed out"}},
	}
	got := Markdown(result(s), explain)
	for _, want := range []string{"- 3 × was unable to place a task.\n", "  - 💡 wait, or add instances\n", "- and 2 more causes\n", "- 1 × target in web: Request timed out\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the summary lacks %q:\n%s", want, got)
		}
	}
}

// TestProofInSummary: pushed, resolved and running digest, each on its own.
func TestProofInSummary(t *testing.T) {
	one := map[string][]string{"app": {digest}}
	wrong := []rollout.Wrong{{Container: "app", Digest: other}, {Task: "t2", Container: "app", Digest: other}}
	for _, tt := range []struct {
		name            string
		proof           rollout.Proof
		resolved, tasks string // "" for no row
	}{
		{"all three", rollout.Proof{Wanted: one, Resolved: rollout.Witness{Known: true}, Tasks: 2, Verified: 2}, "✅ the same digest", "2 running, 2 of them verified by digest"},
		{"no rights on tasks", rollout.Proof{Wanted: one, Resolved: rollout.Witness{Known: true}, TasksErr: errDenied}, "✅ the same digest", "not verified: access denied (requires ecs:Something)"},
		{"no rights on revisions", rollout.Proof{Wanted: one, ResolvedErr: errDenied, Tasks: 2, Verified: 2}, "not verified: access denied (requires ecs:Something)", "2 running, 2 of them verified by digest"},
		{"not resolved", rollout.Proof{Wanted: one, Tasks: 2, Verified: 1, Unknown: 1}, "not verified: no digest is reported", "2 running, 1 of them verified by digest, 1 without a reported digest"},
		{"another one resolved", rollout.Proof{Wanted: one, Resolved: rollout.Witness{Known: true, Wrong: wrong[:1]}}, "⚠️ app has " + other, "not verified: ECS lists no running task of the deployment"},
		{"another one runs", rollout.Proof{Wanted: one, Resolved: rollout.Witness{Known: true}, Tasks: 2, Running: rollout.Witness{Wrong: wrong}}, "✅ the same digest", "⚠️ 2 running, 0 of them verified by digest; app has " + other},
		{"nothing was compared", rollout.Proof{}, "", ""},
	} {
		s := to("web", rollout.Succeeded)
		s.Proof = tt.proof
		summary := Markdown(result(s), explain)
		for row, want := range map[string]string{"Resolved by ECS": tt.resolved, "Tasks": tt.tasks} {
			line := "| " + row + " | " + want + " |\n"
			if want == "" && strings.Contains(summary, "| "+row+" |") || want != "" && !strings.Contains(summary, line) {
				t.Errorf("%s: %s should be %q:\n%s", tt.name, row, want, summary)
			}
		}
		if !strings.Contains(summary, "| Digest | <code>sha256:abc</code> |") {
			t.Errorf("%s: the pushed digest is missing", tt.name)
		}
	}
}

// TestSeveralInSummary: the services that failed come first.
func TestSeveralInSummary(t *testing.T) {
	bad := to("bad", rollout.TimedOut)
	summary := Markdown(result(to("good", rollout.Succeeded), bad), explain)
	if !strings.HasPrefix(summary, "### ❌ 2 services: bad: timed out: ") || strings.Index(summary, " / bad](") > strings.Index(summary, " / good](") {
		t.Error(summary)
	}
	because := to("because", rollout.TimedOut)
	because.Reason = rollout.Reason{Code: deploy.SiblingFailed, Detail: "bad"}
	summary = Markdown(result(because, bad), explain)
	if !strings.HasPrefix(summary, "### ❌ 2 services: bad: timed out: ") || strings.Index(summary, " / bad](") > strings.Index(summary, " / because](") {
		t.Error(summary)
	}
}

func TestConsoleURL(t *testing.T) {
	tests := []struct{ arn, want string }{
		{serviceARN, "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/product-dev-cluster/services/chat-app/health?region=eu-west-1"},
		{"arn:aws-cn:ecs:cn-north-1:123456789012:service/c/s", "https://cn-north-1.console.amazonaws.cn/ecs/v2/clusters/c/services/s/health?region=cn-north-1"},
		{"arn:aws-us-gov:ecs:us-gov-west-1:123456789012:service/c/s", "https://us-gov-west-1.console.amazonaws-us-gov.com/ecs/v2/clusters/c/services/s/health?region=us-gov-west-1"},
		{"arn:aws-iso:ecs:us-iso-east-1:123456789012:service/c/s", ""},
		{"arn:aws:ecs:evil.example/:123456789012:service/c/s", ""},
		{"arn:aws:ecs:eu-west-1:123456789012:service/old-format", ""},
		{"arn:aws:s3:::bucket", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := ConsoleURL(tt.arn); got != tt.want {
			t.Errorf("ConsoleURL(%q) = %q, want %q", tt.arn, got, tt.want)
		}
	}
}

// TestAddress: a public address is a link only where it is one.
func TestAddress(t *testing.T) {
	for _, tt := range []struct{ endpoint, want string }{
		{"", ""},
		{"https://web.example.com", "[https&#58;//web.example.com](https://web.example.com)"},
		{"javascript:alert(1)", "<code>javascript:alert(1)</code>"},
		{"web.example.com", "<code>web.example.com</code>"},
		{"https://x.example/a b|c)", `[https&#58;//x.example/a b\|c)](https://x.example/a%20b%7Cc%29)`},
	} {
		if got := address(tt.endpoint); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.endpoint, got, tt.want)
		}
	}
}

// TestFiles: the current images as the tools of infrastructure read them.
func TestFiles(t *testing.T) {
	one := []deploy.CurrentImage{{Service: deploy.Service{Cluster: "main", Name: "chat-app_1"}, URI: "host/a:1", Exists: true}}
	two := append(one, deploy.CurrentImage{Service: deploy.Service{Cluster: "main", Name: "worker"}, URI: "host/b:2"})
	sameName := []deploy.CurrentImage{
		{Service: deploy.Service{Cluster: "main", Name: "web"}, URI: "host/a:1"}, {Service: deploy.Service{Cluster: "other", Name: "web"}, URI: "host/b:2"},
		{Service: deploy.Service{Cluster: "main", Name: "worker"}, URI: "host/c:3"},
	}
	alike := []deploy.CurrentImage{{Service: deploy.Service{Cluster: "main", Name: "a-b"}}, {Service: deploy.Service{Cluster: "main", Name: "a_b"}}}
	if _, err := Files(alike); err == nil || !strings.Contains(err.Error(), "services main/a-b and main/a_b have the same name") {
		t.Errorf("services that would have one key: %v", err)
	}
	for _, tt := range []struct {
		images []deploy.CurrentImage
		file   string
		want   string
	}{
		{one, "cdk.context.json", `{"image":"host/a:1"}`},
		{one, "terraform.tfvars.json", `{"image":"host/a:1"}`},
		{one, "cloudformation.parameters.json", `[{"ParameterKey":"Image","ParameterValue":"host/a:1"}]`},
		{two, "cdk.context.json", `{"image-chat-app_1":"host/a:1","image-worker":"host/b:2"}`},
		{two, "terraform.tfvars.json", `{"image_chat_app_1":"host/a:1","image_worker":"host/b:2"}`},
		{two, "cloudformation.parameters.json", `[{"ParameterKey":"ImageChatApp1","ParameterValue":"host/a:1"},{"ParameterKey":"ImageWorker","ParameterValue":"host/b:2"}]`},
		{sameName, "cdk.context.json", `{"image-main-web":"host/a:1","image-other-web":"host/b:2","image-worker":"host/c:3"}`},
		{sameName, "terraform.tfvars.json", `{"image_main_web":"host/a:1","image_other_web":"host/b:2","image_worker":"host/c:3"}`},
		{sameName, "cloudformation.parameters.json", `[{"ParameterKey":"ImageMainWeb","ParameterValue":"host/a:1"},{"ParameterKey":"ImageOtherWeb","ParameterValue":"host/b:2"},{"ParameterKey":"ImageWorker","ParameterValue":"host/c:3"}]`},
		{one, "images.json", `[{"cluster":"main","service":"chat-app_1","exists":true,"image":"host/a:1"}]`},
	} {
		files, err := Files(tt.images)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			var compact bytes.Buffer
			if err := json.Compact(&compact, file.Content); err != nil {
				t.Fatal(err)
			}
			if file.Name == tt.file && compact.String() != tt.want {
				t.Errorf("%s: %s, want %s", tt.file, &compact, tt.want)
			}
		}
	}
}
