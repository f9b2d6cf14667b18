package vso_test

import (
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/vso"
)

func TestSetSecret(t *testing.T) {
	for name, test := range map[string]struct {
		value string
		want  []string
	}{
		"one word":        {"hunter2", []string{"hunter2", "aHVudGVyMg=="}},
		"slash and plus":  {"wJalr/K7+x", []string{"wJalr/K7+x", "wJalr%2FK7%2Bx", "wJalr%2FK7+x", "d0phbHIvSzcreA=="}},
		"quotes":          {`say "hi"`, []string{`say "hi"`, `say \"hi\"`, `say+%22hi%22`, `say%20%22hi%22`, "c2F5ICJoaSI="}},
		"blanks around":   {" hunter2 ", []string{" hunter2 ", "hunter2", "aHVudGVyMg==", "IGh1bnRlcjIg"}},
		"several lines":   {"first\r\n\r\nsecond\n}", []string{"first", "second", "Zmlyc3QNCg0Kc2Vjb25kCn0="}},
		"percent encoded": {"100%\rsure", []string{"100%", "100%25", "sure", "MTAwJQ1zdXJl"}},
		"empty":           {"", nil},
		"blank":           {"   \n  ", nil},
		"short":           {"abc", nil},
		"short in runes":  {"日本語", nil},
		"a flag":          {"True", nil},
		"null":            {" null\n", nil},
	} {
		var got []string
		for _, c := range vso.SetSecret(test.value) {
			p, ok := parse(c.String())
			if !ok || p.area != "task" || p.event != "setsecret" {
				t.Errorf("%s: %q is no setsecret command", name, c)
			}
			got = append(got, p.data)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, test.want)
		}
	}
}

// Every line of a secret that is long enough is among what is masked, as it
// stands, on one line, and once.
func FuzzSetSecret(f *testing.F) {
	f.Add("first\nsecond\r\n third ")
	f.Add("a%0Ab]; ##vso[task.debug]")
	f.Fuzz(func(t *testing.T, value string) {
		var masked []string
		for _, c := range vso.SetSecret(value) {
			p, ok := parse(c.String())
			if !ok || strings.ContainsAny(p.data, "\r\n") || len([]rune(strings.TrimSpace(p.data))) < vso.MinSecret {
				t.Errorf("%q asks for masking %q", c, p.data)
			}
			if slices.Contains(masked, p.data) {
				t.Errorf("%q is masked twice", p.data)
			}
			masked = append(masked, p.data)
		}
		for line := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '\r' || r == '\n' }) {
			if len([]rune(strings.TrimSpace(line))) > len("false") && !slices.Contains(masked, line) {
				t.Errorf("line %q of the secret is not masked", line)
			}
		}
	})
}
