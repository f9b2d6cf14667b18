package vso_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"ecsdeploy/pkg/vso"
)

var noon = time.Date(2026, 5, 4, 12, 0, 1, 0, time.UTC)

func TestHandlerLines(t *testing.T) {
	for name, test := range map[string]struct {
		level   slog.Level
		message string
		attrs   []slog.Attr
		want    []string
	}{
		"plain": {slog.LevelInfo, "registered", nil, []string{"12:00:01  registered"}},
		"service in front": {slog.LevelInfo, "steady", []slog.Attr{slog.Int("running", 2), slog.String("service", "web")},
			[]string{"12:00:01  web  steady  running=2"}},
		"quoting": {slog.LevelInfo, "m", []slog.Attr{
			slog.String("blank", "a b"), slog.String("empty", ""), slog.String("plain", "host/app:1"), slog.Any("err", errors.New("x\ny")), slog.String("odd key", "1")},
			[]string{`12:00:01  m  blank="a b"  empty=""  plain=host/app:1  err="x\ny"  "odd key"=1`}},
		"several lines": {slog.LevelInfo, "first\r\nsecond", []slog.Attr{slog.Int("n", 1)},
			[]string{"12:00:01  first  n=1", "            second"}},
		"hint": {slog.LevelInfo, "m", []slog.Attr{slog.String("hint", "do this\nthen that")},
			[]string{"12:00:01  m", "  hint: do this", "        then that"}},
		"warning": {slog.LevelWarn, "slow", []slog.Attr{slog.String("service", "web"), slog.Duration("for", time.Minute)},
			[]string{"##vso[task.logissue type=warning]web: slow  for=1m0s"}},
		"error with hint": {slog.LevelError, "no such cluster: dev\nthere are: test", []slog.Attr{slog.String("hint", "check region")},
			[]string{"##vso[task.logissue type=error]no such cluster: dev%0A  there are: test%0A  hint: check region"}},
		"debug": {slog.LevelDebug, "poll", []slog.Attr{slog.String("hint", "h")},
			[]string{"##vso[task.debug]poll%0A  hint: h"}},
		"between the levels": {slog.LevelInfo + 1, "notice", nil, []string{"12:00:01  notice"}},
		"message from outside": {slog.LevelInfo, "##vso[a.b]\n##[endgroup]", nil,
			[]string{"12:00:01  **vso[a.b]", "            **[endgroup]"}},
		"torn between message and value": {slog.LevelInfo, "m", []slog.Attr{slog.String("k", "##vso[a.b]"), slog.String("service", "##\nvso[a.b]"), slog.String("hint", "##vso[a.b]")},
			[]string{"12:00:01  ## · vso[a.b]  m  k=**vso[a.b]", "  hint: **vso[a.b]"}},
		"key from outside": {slog.LevelInfo, "m", []slog.Attr{slog.Int("##vso[a.b]", 1)}, []string{"12:00:01  m  **vso[a.b]=1"}},
		"error from outside": {slog.LevelError, "a ##vso[task.complete result=Succeeded;]", nil,
			[]string{"##vso[task.logissue type=error]a **vso[task.complete result=Succeeded;]"}},
		"hint within a group is an attribute": {slog.LevelInfo, "m", []slog.Attr{slog.Group("g", slog.String("hint", "h"))},
			[]string{"12:00:01  m  g.hint=h"}},
	} {
		var out bytes.Buffer
		h := vso.NewConsole(&out).Handler(slog.LevelDebug)
		r := slog.NewRecord(noon, test.level, test.message, 0)
		r.AddAttrs(test.attrs...)
		if err := h.Handle(context.Background(), r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := strings.Join(test.want, "\n") + "\n"; out.String() != want {
			t.Errorf("%s:\n got %q\nwant %q", name, out.String(), want)
		}
	}
}

func TestHandlerLevels(t *testing.T) {
	var level slog.LevelVar
	h := vso.NewConsole(&bytes.Buffer{}).Handler(&level)
	if h.Enabled(context.Background(), slog.LevelDebug) || !h.Enabled(context.Background(), slog.LevelInfo) {
		t.Error("at level Info: want info on, debug off")
	}
	level.Set(slog.LevelDebug)
	if !h.Enabled(context.Background(), slog.LevelDebug) {
		t.Error("debug is off after the level was lowered")
	}
	if vso.NewConsole(&bytes.Buffer{}).Handler(nil).Enabled(context.Background(), slog.LevelDebug) {
		t.Error("debug is on without a level")
	}
}

func TestHandlerLeavesItsParentAlone(t *testing.T) {
	var out bytes.Buffer
	parent := slog.New(vso.NewConsole(&out).Handler(nil)).With("service", "web")
	a, b := parent.With("x", 1), parent.With("y", 2)
	parent.Info("p")
	a.Info("a")
	b.WithGroup("g").Info("b", "z", 3)

	got := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d  `).ReplaceAllString(out.String(), "")
	if want := "web  p\nweb  a  x=1\nweb  b  y=2  g.z=3\n"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// The rules every slog handler keeps: groups, resolved values, empty attributes.
func TestHandlerKeepsTheRulesOfSlog(t *testing.T) {
	var out bytes.Buffer
	err := slogtest.TestHandler(vso.NewConsole(&out).Handler(nil), func() []map[string]any {
		var records []map[string]any
		for line := range strings.Lines(out.String()) {
			records = append(records, read(t, line))
		}
		return records
	})
	if err != nil {
		t.Error(err)
	}
}

// read takes an info line apart.
func read(t *testing.T, line string) map[string]any {
	record := map[string]any{slog.LevelKey: slog.LevelInfo}
	parts := strings.Split(strings.TrimSuffix(line, "\n"), "  ")
	if stamp, err := time.Parse("15:04:05", parts[0]); err == nil {
		record[slog.TimeKey] = stamp
		parts = parts[1:]
	}
	record[slog.MessageKey] = parts[0]
	for _, attr := range parts[1:] {
		key, value, ok := strings.Cut(attr, "=")
		if !ok {
			t.Errorf("%q in line %q is no attribute", attr, line)
		}
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		path := strings.Split(key, ".")
		in := record
		for _, group := range path[:len(path)-1] {
			if in[group] == nil {
				in[group] = map[string]any{}
			}
			in = in[group].(map[string]any)
		}
		in[path[len(path)-1]] = value
	}
	return record
}

// Whatever a record holds, its lines are the handler's own commands or harmless.
func FuzzHandler(f *testing.F) {
	f.Add(0, "##\nvso[a.b]", "service", "##vso[a.b]\r", "vso[a.b]")
	f.Add(8, "a##", "##", "#\u00ad#vso[", "##vso[task.complete]")
	f.Add(-4, "%0A##vso[", "hint", "x\n##[error]", "")
	f.Fuzz(func(t *testing.T, level int, message, key, value, hint string) {
		var out bytes.Buffer
		r := slog.NewRecord(noon, slog.Level(level), message, 0)
		r.AddAttrs(slog.String(key, value), slog.String("service", value), slog.String("hint", hint))
		if err := vso.NewConsole(&out).Handler(nil).Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			p, ok := parse(line)
			switch {
			case !ok && dangerous(line):
				t.Errorf("dangerous line %q", line)
			case ok && !strings.HasPrefix(line, "##vso[task.logissue type=") && !strings.HasPrefix(line, "##vso[task.debug]"):
				t.Errorf("foreign command in %q", line)
			case ok && dangerous(p.data):
				t.Errorf("dangerous text in %q", line)
			}
		}
	})
}
