package main

// docs/logs.md: the logs of a run that hangs and of one that is quiet, and what holds
// for every log.

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/emulator"
)

// TestLogs holds docs/logs.md to what is said ("-update" writes it anew), and checks
// that a line comes at least every two minutes and that times do not run backwards.
func TestLogs(t *testing.T) {
	const document = "../../docs/logs.md"
	clearAWS(t)
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want := string(data)
	stuck, err := emulator.ParseScenario("stuck")
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct {
		name     string
		scenario emulator.Scenario
		minutes  string
		lasts    time.Duration // at least
		lines    int           // at most
	}{
		{"stuck", stuck, "30", 25 * time.Minute, 50},
		{"quiet", emulator.Scenario{Name: "quiet", Fates: []emulator.Fate{{Start: 40 * time.Minute}}}, "60", 40 * time.Minute, 50},
	} {
		t.Run(run.name, func(t *testing.T) {
			text := ""
			synctest.Test(t, func(t *testing.T) { text = logOf(t, run.scenario, run.minutes) })
			check(t, text, run.lasts, run.lines)
			begin, end := "<!-- "+run.name+": begin -->\n", "<!-- "+run.name+": end -->"
			before, rest, found := strings.Cut(want, begin)
			_, after, closed := strings.Cut(rest, end)
			if !found || !closed {
				t.Fatalf("%s has lost its marks", document)
			}
			want = before + begin + "```text\n" + text + "```\n" + end + after
		})
	}
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Errorf("%s is not what is said: %s", document, difference(string(data), want))
	}
}

// logOf is the log of a rollout of build 17 as an agent shows it.
func logOf(t *testing.T, scenario emulator.Scenario, minutes string) string {
	w := settledWorld(t, situation{scenario, []string{"checked", "running 16", "image 17"}})
	var log bytes.Buffer
	environ := environment(t, w, t.TempDir(), "command: rollout\nrepository: chat-app\ncluster: "+cluster+"\nservices: "+service+"\ntimeoutMinutes: "+minutes)
	run(t.Context(), environ, &log, w.Transport())
	var shown strings.Builder
	for line := range strings.Lines(named(log.String())) {
		if m := issueLine.FindStringSubmatch(line); m != nil {
			line = "##[" + m[1] + "]" + strings.ReplaceAll(m[2], "%0A", "\n")
		}
		if !strings.HasPrefix(line, "##vso[") {
			shown.WriteString(line)
		}
	}
	return shown.String()
}

var (
	issueLine = regexp.MustCompile(`(?s)^##vso\[task\.logissue type=(\w+)\](.*)$`)
	stamp     = regexp.MustCompile(`(?m)^(\d\d:\d\d:\d\d)  `)
)

// check looks at the rhythm of a log: no silence of more than two minutes, no time
// that is earlier than the one before, and UTC said once.
func check(t *testing.T, log string, lasts time.Duration, lines int) {
	t.Helper()
	var first, last time.Time
	for _, m := range stamp.FindAllStringSubmatch(log, -1) {
		at, err := time.Parse(time.TimeOnly, m[1])
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case first.IsZero():
			first = at
		case at.Before(last):
			t.Errorf("%s comes after %s", m[1], last.Format(time.TimeOnly))
		case at.Sub(last) > 2*time.Minute:
			t.Errorf("silence from %s to %s", last.Format(time.TimeOnly), m[1])
		}
		last = at
	}
	if last.Sub(first) < lasts {
		t.Errorf("the log lasts %v", last.Sub(first))
	}
	if n := strings.Count(log, "\n"); n > lines {
		t.Errorf("%d lines", n)
	}
	if strings.Count(log, "UTC") != 1 {
		t.Error("UTC is not said once")
	}
}

// TestRhythm: the same holds for every transcript that shows its times.
func TestRhythm(t *testing.T) {
	for name, log := range transcriptLogs(t) {
		if strings.Contains(log, "HH:MM:SS") {
			continue
		}
		for _, part := range strings.SplitAfter(log, "##vso[task.complete") { // of each run
			var last time.Time
			for _, m := range stamp.FindAllStringSubmatch(part, -1) {
				at, err := time.Parse(time.TimeOnly, m[1])
				if err != nil {
					t.Fatal(err)
				}
				if !last.IsZero() && at.Before(last) {
					t.Errorf("%s: %s comes after %s", name, m[1], last.Format(time.TimeOnly))
				}
				last = at
			}
		}
	}
}
