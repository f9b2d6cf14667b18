package input

import (
	"slices"
	"strings"
	"testing"
)

// A tag that is proposed for what is not one is one itself.
func TestTagProposals(t *testing.T) {
	for text, want := range map[string][2]string{
		"feature/login-42":       {`contains the character "/"`, "feature-login-42"},
		"-x":                     {`begins with "-"`, "x"},
		"refs/heads/ü":           {`contains the character "/"`, "refs-heads--"},
		"+":                      {`contains the character "+"`, ""},
		strings.Repeat("x", 129): {"is longer than 128 characters", strings.Repeat("x", 128)},
		"v1.0":                   {"", ""},
		"":                       {"is empty", ""},
	} {
		if problem, proposal := tagProblem(text); problem != want[0] || proposal != want[1] {
			t.Errorf("%q %s, propose %q; want %q", text, problem, proposal, want)
		}
	}
}

func FuzzTagProblem(f *testing.F) {
	for _, seed := range []string{"feature/x", "-", "..", "v1", "ü", strings.Repeat("/", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		problem, proposal := tagProblem(text)
		if again, _ := tagProblem(proposal); proposal != "" && again != "" {
			t.Errorf("for %q, which %s, %q is proposed, which %s", text, problem, proposal, again)
		}
		if _, err := parseTag(text); (err == nil) != (problem == "") {
			t.Errorf("%q: %q, %v", text, problem, err)
		}
	})
}

// What is accepted as a reference can be taken apart without loss.
func FuzzParseReference(f *testing.F) {
	for _, seed := range []string{"h.io/a:1", "localhost/a", "h:5/a/b@sha256:" + strings.Repeat("a", 64), "h.io/a:", "h.io/a@", "[::1]:5/x:y", "a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseReference(text)
		if err != nil {
			return
		}
		if got != text || strings.HasSuffix(text, ":") || strings.HasSuffix(text, "@") || strings.ContainsAny(text, " *\n") || !strings.Contains(text, "/") {
			t.Errorf("parseReference(%q) = %q", text, got)
		}
	})
}

// A line of the input is a variable, part of one, or a mistake; nothing is lost.
func FuzzEnvironment(f *testing.F) {
	for _, seed := range []string{"A=1\nB<<EOF\nx\nEOF\nC=2", "A<<E\n", "\r\n<<\nA=", "A<<E\nE\nA<<E\nE"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := &loader{}
		key := func(v Variable) string { return v.Container + ":" + v.Name }
		all := l.environment("environment", text, key)
		var keys []string
		for _, v := range all {
			keys = append(keys, key(v))
			if v.Name == "" {
				t.Errorf("%q: a variable without a name", text)
			}
		}
		slices.Sort(keys)
		if len(slices.Compact(keys)) != len(all) {
			t.Errorf("%q: a variable twice in %q", text, all)
		}
		if strings.TrimSpace(text) != "" && len(all)+len(l.mistakes) == 0 {
			t.Errorf("%q: neither variables nor mistakes", text)
		}
	})
}

func FuzzParseTaskDefinition(f *testing.F) {
	for _, seed := range []string{"latest", "running", "web", "web:1", "a/b", "t.json", "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:12"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseTaskDefinition(text)
		if err == nil && (string(got) != text || got.Form() == FormFile && !documentFile.MatchString(text)) {
			t.Errorf("parseTaskDefinition(%q) = %q of form %d", text, got, got.Form())
		}
	})
}
