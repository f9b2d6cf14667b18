package vso_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"ecsdeploy/pkg/vso"
)

func TestRedactByValue(t *testing.T) {
	for name, test := range map[string]struct {
		secrets    []string
		text, want string
	}{
		"plain":                  {[]string{"hunter2"}, "password=hunter2;", "password=***;"},
		"nothing known":          {nil, "hunter2", "hunter2"},
		"base64":                 {[]string{"AWS:hunter2"}, "Basic " + base64.StdEncoding.EncodeToString([]byte("AWS:hunter2")), "Basic ***"},
		"percent-encoded":        {[]string{"a/b+c="}, "x=a%2Fb%2Bc%3D", "x=***"},
		"a JSON string":          {[]string{`a"b\c`}, `{"k":"a\"b\\c"}`, `{"k":"***"}`},
		"JSON of other encoders": {[]string{`a"b<c>&d`}, `{"k":"a\"b<c>&d"} k="a\"b<c>&d" {"k":"a\"b\u003cc\u003e\u0026d"}`, `{"k":"***"} k="***" {"k":"***"}`},
		"each line":              {[]string{"first\nsecond\r\nabc"}, "second, first, abc", "***, ***, abc"},
		"lines of another kind":  {[]string{"first\u2028second"}, "second\nfirst", "***\n***"},
		"short":                  {[]string{"ab", "", " ", "true"}, "ab true", "ab true"},
		"overlapping":            {[]string{"abcdef", "defghi"}, "abcdefghi abcdef", "*** ***"},
		"touching":               {[]string{"abcd", "efgh"}, "abcdefgh", "***"},
		"one within another":     {[]string{"abcd", "xabcdx"}, "xabcdx abcd", "*** ***"},
		"of itself":              {[]string{"aaaa"}, "aaaaaaa", "***"},
		"blanks made one":        {[]string{"two  \twords"}, "two words, two  \twords, two", "***, ***, two"},
		"cut in the middle":      {[]string{"hunter2hunter2"}, "ab…ter2hunter2\" x… nter2, hunt… r2", "ab…***\" x… ***, ***… r2"},
		"cut":                    {[]string{"hunter2hunter2", "two words"}, `"hunter2hun…", two…, hunt… hun… hunter2…: x, hunter2 hunter2hunter2… "` + "żunt…", `"***…", two…, ***… hun… ***…: x, hunter2 ***… "` + "żunt…"},
		"many bytes a letter":    {[]string{"żółć"}, "a żółć żółć", "a *** ***"},
	} {
		c := vso.NewConsole(io.Discard)
		c.Mask(test.secrets...)
		if got := c.Redact(test.text); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestRedactByForm(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://user:p@ss@10.0.0.1:2375":                                       "tcp://***@10.0.0.1:2375",
		"git clone https://ghp_x@github.com/a/b":                              "git clone https://***@github.com/a/b",
		"parse //user:pw@host":                                                "parse //***@host",
		"https://h/p@sha256:ab?x=a@b":                                         "https://h/p@sha256:ab?x=a@b",
		"https://h:5000/repo@sha256:ab, mail a@b.c":                           "https://h:5000/repo@sha256:ab, mail a@b.c",
		"(http://a:b@c), http://d:e@f":                                        "(http://***@c), http://***@f",
		"https://s3/k?X-Amz-Date=1&X-Amz-Signature=abc123&x=1":                "https://s3/k?X-Amz-Date=1&X-Amz-Signature=***&x=1",
		"X-Amz-Credential=AKIA%2F2026%2Feu&X-Amz-Security-Token=IQ%2B%3D end": "X-Amz-Credential=***&X-Amz-Security-Token=*** end",
		`{"u":"https://s3/?x-amz-signature=abc\u0026y=1"}`:                    `{"u":"https://s3/?x-amz-signature=***\u0026y=1"}`,
		"to=https%3A%2F%2Fs3%2F%3FX-Amz-Signature%3Dabc%26y%3D1":              "to=https%3A%2F%2Fs3%2F%3FX-Amz-Signature%3D***%26y%3D1",
		"https://blob/x?sv=1&sig=a%2Bb&se=2":                                  "https://blob/x?sv=1&sig=***&se=2",
		"design=a&sigma=b":                                                    "design=a&sigma=b",
		"Authorization: Bearer ey.J0.x and more":                              "Authorization: Bearer *** and more",
		"proxy-authorization: Basic dTpw":                                     "proxy-authorization: Basic ***",
		`map[Authorization:[AWS4-HMAC-SHA256]]`:                               `map[Authorization:[***]]`,
		`"X-Amz-Security-Token":"IQoJ"`:                                       `"X-Amz-Security-Token":"***"`,
		"GetAuthorizationToken: access denied":                                "GetAuthorizationToken: access denied",
		`parse failed: {"Version":"1","AccessKeyId":"AKIA","SecretAccessKey" : "a/b+c","SessionToken":"x\"y=="}`: `parse failed: {"Version":"1","AccessKeyId":"AKIA","SecretAccessKey" : "***","SessionToken":"***"}`,
		`err="out: {\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"hunter2\"}"`:                             `err="out: {\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"***\"}"`,
		`{"auths":{"h":{"auth":"dTpw","identitytoken":"ey.x"}},"access_token":"t","oidcToken":"ey"}`:             `{"auths":{"h":{"auth":"***","identitytoken":"***"}},"access_token":"***","oidcToken":"***"}`,
		`{"secrets":[{"name":"DB_PASSWORD"}],"password":null,"Token":"x"}`:                                       `{"secrets":[{"name":"DB_PASSWORD"}],"password":null,"Token":"x"}`,
	} {
		if got := vso.Clean(text); got != want {
			t.Errorf("%s:\n got %q\nwant %q", text, got, want)
		}
	}
}

// What was masked is in nothing that the console prints, except in the commands that
// mask it and in what is handed on exactly.
func TestMaskReachesEveryLine(t *testing.T) {
	const secret = "s3cr3t/v#l##vso[a.b]ue"
	var out bytes.Buffer
	c := vso.NewConsole(&out)
	c.Mask(secret)
	c.Mask(secret) // the agent knows
	if n := strings.Count(out.String(), secret+"\n"); n != 1 {
		t.Errorf("the agent is asked %d times for the same:\n%s", n, out.String())
	}
	out.Reset()

	c.Print("print " + secret)
	c.Group("group " + secret)()
	c.Progress(1, "progress "+secret)
	c.Send(vso.LogIssue(vso.Error, "issue "+secret), vso.Debug("debug "+secret), vso.Complete(vso.Failed, "complete "+secret), vso.SetProgress(2, secret))
	log := slog.New(c.Handler(slog.LevelDebug)).With("service", secret)
	log.Info("info", "key", secret, "hint", secret, "err", errors.New(secret))
	log.Debug(secret, "hint", secret)
	log.Warn(secret, "hint", secret)
	if err := c.Copy("copy", strings.NewReader(strings.Repeat("x", vso.MaxLine-40)+secret+"\n")); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "s3cr3t") || !strings.Contains(line, "***") && !strings.Contains(line, "endgroup") && !strings.Contains(line, "more bytes") {
			t.Errorf("line %q", line)
		}
	}
	out.Reset()
	if c.Send(vso.SetVariable("imageUri", secret)); !strings.Contains(out.String(), secret) {
		t.Error("the value of a variable was changed")
	}
}

// TestSecrets: where the secrets of a line stand, each once.
func TestSecrets(t *testing.T) {
	c := vso.NewConsole(io.Discard)
	c.Mask("hunter2", "ter2abc")
	for line, want := range map[string]string{
		"a hunter2 b hunter2abc": "[[2 9] [12 22]]",
		"tcp://u:hunter2@h":      "[[6 15]]",
		"none\x00":               "[]",
	} {
		if got := fmt.Sprint(c.Secrets(line)); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func TestMaskFromManyGoroutines(t *testing.T) {
	c := vso.NewConsole(io.Discard)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				c.Mask("secret-" + string(rune('a'+i)))
				c.Print("secret-a")
			}
		})
	}
	wg.Wait()
}

func TestCompleted(t *testing.T) {
	c := vso.NewConsole(io.Discard)
	c.Send(vso.LogIssue(vso.Error, "x"), vso.Command{})
	c.Print("##vso[task.complete result=Succeeded]")
	if c.Completed() {
		t.Error("completed before it was")
	}
	if c.Send(vso.Complete(vso.Failed, "x")); !c.Completed() {
		t.Error("not completed")
	}
	_, w := io.Pipe()
	w.Close()
	broken := vso.NewConsole(w)
	if broken.Send(vso.Complete(vso.Succeeded, "x")); broken.Completed() {
		t.Error("completed, though nobody has read it")
	}
}

// A secret is in no line that is printed, whatever stands around it.
func FuzzRedact(f *testing.F) {
	f.Add("hunter2", "a", "b")
	f.Add("https://u:p@h/?X-Amz-Signature=x", "\u200b", "\x1b[0m")
	f.Add("line one\nline two", "#", "#vso[")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		var out bytes.Buffer
		c := vso.NewConsole(&out)
		c.Mask(secret)
		out.Reset()
		c.Print(before + " " + secret + " " + after)
		if dangerous(out.String()) {
			t.Errorf("dangerous output %q", out.String())
		}
		for line := range strings.FieldsFuncSeq(secret, func(r rune) bool { return r == '\r' || r == '\n' }) {
			line = strings.TrimSpace(vso.Clean(line))
			if len([]rune(line)) <= len("false") || strings.Contains(before+after, line) {
				continue
			}
			if printable(line) && strings.Contains(strings.ReplaceAll(out.String(), "***", ""), line) {
				t.Errorf("the secret's line %q is in %q", line, out.String())
			}
		}
	})
}

// printable: plain letters, of which it is known what becomes of them.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == ' ') })
}
