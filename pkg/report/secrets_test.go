package report

import (
	"bytes"
	"html"
	"slices"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/azdo"
	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/rollout"
)

// finds returns where a secret stands in a line.
func finds(secret string) func(string) [][2]int {
	return func(line string) (all [][2]int) {
		for from := 0; ; {
			i := strings.Index(line[from:], secret)
			if i < 0 {
				return all
			}
			all = append(all, [2]int{from + i, from + i + len(secret)})
			from += i + len(secret)
		}
	}
}

// TestSecretsInSummary: a secret is found wherever a summary has a text from outside,
// however it had to be escaped there, and what stands around it stays.
func TestSecretsInSummary(t *testing.T) {
	for _, secret := range []string{"hunter2", "p@ss_w*rd!", `a"b\c&d<e>`, "x|y#z~$[1](2)`", "https://u:p@h.example", "żółć_", "- 1. x", "12) a_b"} {
		outside := "before " + secret + " after"
		now := time.Now()
		page := Page{
			Issues:   []Issue{{outside, outside}, {secret, secret}},
			Timeline: &Timeline{services: []*serviceTime{{name: outside, ended: true, phases: []phase{{outside, "", now, now.Add(time.Minute)}, {secret, "", now, now.Add(time.Minute)}}}}},
			Contents: []Contents{{Services: []string{outside}, Difference: azdo.Difference{Changes: []azdo.Change{{ID: "c", Author: secret, Title: outside}}}}},
			Secrets:  finds(secret),
		}
		for _, r := range []deploy.Result{with(outside), with(secret)} {
			for i := range r.Services {
				r.Services[i].Outcome = rollout.Failed
			}
			var shown bytes.Buffer
			source := Summary(r, page, explain)
			if err := markdown.Convert([]byte(source), &shown); err != nil {
				t.Fatal(err)
			}
			if text := html.UnescapeString(shown.String()); strings.Contains(text, secret) {
				t.Errorf("%q is shown:\n%s", secret, text)
			}
			if !strings.Contains(source, hiddenSecret) || strings.Contains(source, "***") {
				t.Errorf("%q: nothing is hidden:\n%s", secret, source)
			}
		}
	}
	r := with("harmless")
	if got, want := Summary(r, Page{Secrets: finds("hunter2")}, explain), Summary(r, Page{}, explain); got != want {
		t.Errorf("a summary without secrets is changed:\n%s", got)
	}
	if got := withoutSecrets(`| **x** \*hunt&#101;r2\* | <code>a</code> |`, finds("hunter2")); got != `| **x** \*`+hiddenSecret+`\* | <code>a</code> |` {
		t.Error(got)
	}
}

// TestUnescaped is the other way round from what escapes.
func TestUnescaped(t *testing.T) {
	for _, s := range slices.Concat(hostile, []string{"a & b &lt; c", `\`, "&", "żółć", "a;b&c;", `\_`}) {
		for name, escaped := range map[string]string{"inline": inline(s), "code": strings.TrimSuffix(strings.TrimPrefix(code(s), "<code>"), "</code>")} {
			plain, places := unescaped(escaped)
			if plain != withoutControls(s) {
				t.Errorf("%s of %q: %q", name, s, plain)
			}
			if len(places) != len(plain)+1 || !slices.IsSorted(places) || places[len(plain)] != len(escaped) {
				t.Errorf("%s of %q: %v", name, s, places)
			}
		}
	}
}
