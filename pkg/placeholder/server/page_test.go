package main

import (
	"html"
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	for _, test := range []struct {
		name string
		task task
		want string // the facts
	}{
		{"outside ECS", task{}, ""},
		{"a service's task", task{"chat-app-dev-ecs-svc", "product-dev-cluster", "0a1b2c"},
			"<dt>Service<dd>chat-app-dev-ecs-svc\n<dt>Cluster<dd>product-dev-cluster\n<dt>Task<dd>0a1b2c\n"},
		{"a task of its own", task{cluster: "default", id: "0a1b2c"}, "<dt>Cluster<dd>default\n<dt>Task<dd>0a1b2c\n"},
		{"a name that would be markup", task{service: `<script>alert("&'")</script>`},
			"<dt>Service<dd>&lt;script&gt;alert(&#34;&amp;&#39;&#34;)&lt;/script&gt;\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := string(page(test.task))
			if !strings.HasPrefix(got, "<!DOCTYPE html>") || !strings.HasSuffix(got, "</html>\n") || !strings.Contains(got, "<h1>Waiting for the first deployment</h1>") {
				t.Error("the page is not whole")
			}
			if want := "<dl>\n" + test.want + "</dl>\n"; !strings.Contains(got, want) {
				t.Errorf("the page lacks %q:\n%s", want, got)
			}
		})
	}
}

// Whatever the text, it ends where it began: in one text node.
func FuzzEscape(f *testing.F) {
	f.Add(`<a href="&amp;">'`)
	f.Fuzz(func(t *testing.T, text string) {
		got := escape(text)
		if strings.ContainsAny(got, "<>\"'\x00") {
			t.Fatalf("%q became %q", text, got)
		}
		if back := html.UnescapeString(got); back != strings.ReplaceAll(text, "\x00", "\ufffd") {
			t.Fatalf("%q became %q, which reads %q", text, got, back)
		}
	})
}
