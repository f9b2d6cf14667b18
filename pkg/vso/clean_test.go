package vso_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"ecsdeploy/pkg/vso"
)

func TestClean(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"plain":                    {"(service web) has reached a steady state.", "(service web) has reached a steady state."},
		"nothing":                  {"", ""},
		"tabs and indent kept":     {"\tat main.go:1", "\tat main.go:1"},
		"other scripts kept":       {"déployé · 部署 · 🚀", "déployé · 部署 · 🚀"},
		"headings kept":            {"## Title\n### Sub #1 ##", "## Title\n### Sub #1 ##"},
		"line breaks":              {"a\r\nb\rc\nd\u2028e\u0085f\vg\fh", "a\nb\nc\nd\ne\nf\ng\nh"},
		"blank lines kept inside":  {"a\n\nb\n\n", "a\n\nb"},
		"trailing blanks":          {"a \t\nb ", "a\nb"},
		"not UTF-8":                {"a\xffb", "a\uFFFDb"},
		"controls":                 {"a\x00\x07\bb\x7f\u0090c", "abc"},
		"ignorables":               {"z\u200be\u00adr\u2060o\ufeff\u034f\u180e\U000e0041\ufe0f\u202e", "zero"},
		"colour":                   {"\x1b[1;31mred\x1b[0m", "red"},
		"C1 colour":                {"\u009b31mred", "red"},
		"window title":             {"\x1b]0;title\x07text", "text"},
		"hyperlink":                {"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
		"charset, reset":           {"\x1b(Ba\x1bcb", "ab"},
		"unterminated string":      {"\x1b]0;all of this stays", "]0;all of this stays"},
		"unterminated sequence":    {"a\x1b[12", "a[12"},
		"lone escape":              {"a\x1b", "a"},
		"command":                  {"##vso[task.complete result=Succeeded;]done", "**vso[task.complete result=Succeeded;]done"},
		"command within a line":    {"x ##vso[task.debug]y", "x **vso[task.debug]y"},
		"upper case":               {"##VSO[task.debug]", "**VSO[task.debug]"},
		"no bracket needed":        {"##vso", "**vso"},
		"third sign":               {"###vso[a.b]", "#**vso[a.b]"},
		"twice":                    {"##vso[a.b]##vso[c.d]", "**vso[a.b]**vso[c.d]"},
		"behind a carriage return": {"ok\r##vso[a.b]", "ok\n**vso[a.b]"},
		"soft hyphen":              {"##v\u00adso[a.b]", "**vso[a.b]"},
		"zero width":               {"#\u200b#\u2060vso\ufeff[a.b]", "**vso[a.b]"},
		"NUL":                      {"##v\x00so[a.b]", "**vso[a.b]"},
		"joined by removal":        {"##v\x1b[0mso[a.b]", "**vso[a.b]"},
		"combining mark":           {"##v\u0488so[a.b]", "**v\u0488so[a.b]"},
		"tatweel":                  {"#\u0640#vso[a.b]", "*\u0640*vso[a.b]"},
		"full width":               {"＃＃ｖｓｏ［a.b]", "**ｖｓｏ［a.b]"},
		"long s":                   {"##vſo[a.b]", "**vſo[a.b]"},
		"tab":                      {"##v\tso[a.b]", "**v\tso[a.b]"},
		"word sort":                {"##v-s'o[a.b]", "**v-s'o[a.b]"},
		"group":                    {"##[group]x", "**[group]x"},
		"group within a line":      {"x ##[error]y", "x **[error]y"},
		"a word with v":            {"##version", "##version"},
	} {
		got := vso.Clean(test.in)
		if got != test.want {
			t.Errorf("%s: Clean(%q)\n got %q\nwant %q", name, test.in, got, test.want)
		}
		if dangerous(got) {
			t.Errorf("%s: %q is still dangerous", name, got)
		}
	}
}

func TestCleanLine(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"one line":       {"plain", "plain"},
		"several":        {"a\r\n  b\n\n\nc\n", "a · b · c"},
		"nothing":        {"\n \n", ""},
		"command":        {"a\n##vso[a.b]", "a · **vso[a.b]"},
		"torn across":    {"##\nvso[a.b]", "## · vso[a.b]"},
		"colour on each": {"\x1b[31ma\n\x1b[0mb", "a · b"},
	} {
		if got := vso.CleanLine(test.in); got != test.want {
			t.Errorf("%s: CleanLine(%q) = %q, want %q", name, test.in, got, test.want)
		}
	}
}

func TestCleanCutsLongLines(t *testing.T) {
	exact := strings.Repeat("x", vso.MaxLine)
	if got := vso.Clean(exact); got != exact {
		t.Errorf("a line of MaxLine bytes became %d bytes", len(got))
	}
	for _, char := range []string{"x", "é", "部", "🚀"} {
		got := vso.Clean(strings.Repeat(char, vso.MaxLine+1) + "\nshort")
		long, short, _ := strings.Cut(got, "\n")
		if len(long) > vso.MaxLine || !utf8.ValidString(long) || !strings.HasSuffix(long, " more bytes)") {
			t.Errorf("%s: %d bytes, ends in %q", char, len(long), long[len(long)-40:])
		}
		if short != "short" {
			t.Errorf("%s: the next line became %q", char, short)
		}
	}
}

// No line of a cleaned text is a command to a reader far more generous than the
// agent, and cleaning it again changes nothing.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{
		"##vso[task.complete result=Succeeded;]", "##v\u00adso[", "#\r#vso[", "##\u0488v\u200bs\x1b[0mo[a.b]c",
		"＃＃ｖｓｏ[", "##vſo[", "###[group]", "\x1b]0;##vso[a.b]\x07", "\x1b]##\x1b[vso[", "##v\xffso[", "\u009b#\u009c#vso[",
		"\v ", "##ⓥⓢⓞ[a.b]", "#\t#-v's\u0640o[", strings.Repeat("部", 1400) + "##vso[",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := vso.Clean(text)
		if dangerous(got) {
			t.Errorf("Clean(%q) = %q, which is dangerous", text, got)
		}
		for line := range strings.SplitSeq(got, "\n") {
			if len(line) > vso.MaxLine || !utf8.ValidString(line) {
				t.Errorf("Clean(%q) has the line %q of %d bytes", text, line, len(line))
			}
		}
		if again := vso.Clean(got); again != got {
			t.Errorf("Clean(%q) = %q, and cleaned again %q", text, got, again)
		}
		line := vso.CleanLine(text)
		if dangerous(line) || len(logLines(line)) != 1 || len(line) > vso.MaxLine {
			t.Errorf("CleanLine(%q) = %q", text, line)
		}
	})
}
