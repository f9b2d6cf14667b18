package vso_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"ecsdeploy/pkg/vso"
)

// writes records each Write by itself.
type writes struct{ lines []string }

func (w *writes) Write(p []byte) (int, error) {
	w.lines = append(w.lines, string(p))
	return len(p), nil
}

func TestConsoleWritesWholeLines(t *testing.T) {
	var w writes
	c := vso.NewConsole(&w)
	c.Print("one\r\ntwo ##vso[a.b]\n")
	c.Print("")
	c.Send(vso.Debug("three"), vso.Command{}, vso.SetVariable("a", "four"))

	want := []string{"one\n", "two **vso[a.b]\n", "\n", "##vso[task.debug]three\n", "##vso[task.setvariable variable=a;isoutput=true]four\n"}
	if strings.Join(w.lines, "|") != strings.Join(want, "|") {
		t.Errorf("got %q\nwant %q", w.lines, want)
	}
}

func TestConsoleKeepsTheLinesOfACallTogether(t *testing.T) {
	var out bytes.Buffer
	c := vso.NewConsole(&out)
	var wg sync.WaitGroup
	for _, word := range []string{"red", "green", "blue"} {
		wg.Go(func() {
			for range 50 {
				c.Print(word + " 1\n" + word + " 2")
			}
		})
	}
	wg.Wait()

	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 300 {
		t.Fatalf("%d lines, want 300", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		if word, ok := strings.CutSuffix(lines[i], " 1"); !ok || lines[i+1] != word+" 2" {
			t.Fatalf("lines %d and %d are %q and %q", i, i+1, lines[i], lines[i+1])
		}
	}
}

func TestGroup(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(c *vso.Console)
		want string
	}{
		"ended once": {func(c *vso.Console) {
			end := c.Group("Push")
			c.Print("layer")
			end()
			end()
		}, "##[group]Push\nlayer\n##[endgroup]\n"},
		"opened within another": {func(c *vso.Console) {
			outer := c.Group("outer")
			inner := c.Group("inner")
			outer()
			c.Print("still inner")
			inner()
			outer()
		}, "##[group]outer\n##[endgroup]\n##[group]inner\nstill inner\n##[endgroup]\n"},
		"title from outside": {func(c *vso.Console) {
			c.Group("a\n##[endgroup]##vso[a.b]")()
		}, "##[group]a · **[endgroup]**vso[a.b]\n##[endgroup]\n"},
		"title that continues the sign": {func(c *vso.Console) {
			c.Group("vso[a.b]")()
		}, "##[group]vso[a.b]\n##[endgroup]\n"},
	} {
		var out bytes.Buffer
		test.do(vso.NewConsole(&out))
		if out.String() != test.want {
			t.Errorf("%s:\n got %q\nwant %q", name, out.String(), test.want)
		}
	}
}

func TestProgressIsShownWhenItChanges(t *testing.T) {
	var out bytes.Buffer
	c := vso.NewConsole(&out)
	c.Progress(0, "starting")
	c.Progress(0, "starting")
	c.Progress(50, "pushing")
	c.Progress(10, "pushing") // again, from the beginning
	c.Progress(50, "registering")
	c.Progress(200, "done")
	c.Progress(100, "done")

	want := "##vso[task.setprogress value=0]starting\n" +
		"##vso[task.setprogress value=50]pushing\n" +
		"##vso[task.setprogress value=50]registering\n" +
		"##vso[task.setprogress value=100]done\n"
	if out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
}
