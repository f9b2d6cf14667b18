package agent

// The step's log, and how it is shown to a person.

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Kind is how a line is shown. The zero Kind is plain text.
type Kind string

// The formatting commands that a line can begin with, such as ##[section].
// https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands#formatting-commands
const (
	Plain       Kind = ""
	Section     Kind = "section"
	CommandLine Kind = "command"
	Group       Kind = "group"
	EndGroup    Kind = "endgroup"
	Warning     Kind = "warning"
	Error       Kind = "error"
	Debug       Kind = "debug"
)

// Line is one line of the log, masked.
type Line struct {
	Time    time.Time
	Kind    Kind
	Text    string // without the formatting command
	Grouped bool   // inside a group
}

// String is the line as the downloaded log has it.
func (l Line) String() string {
	if l.Kind == Plain {
		return l.Text
	}
	return "##[" + string(l.Kind) + "]" + l.Text
}

func newLine(at time.Time, text string, grouped bool) Line {
	for _, kind := range []Kind{Section, CommandLine, Group, EndGroup, Warning, Error, Debug} {
		if rest, ok := strings.CutPrefix(text, "##["+string(kind)+"]"); ok {
			return Line{at, kind, rest, grouped && kind != Group}
		}
	}
	return Line{at, Plain, text, grouped}
}

// printer writes lines as the web page shows them: tags become colours, or stay where there are none, and a group is
// folded open, its lines indented.
type printer struct {
	w          io.Writer // nil prints nothing
	color      bool
	timestamps bool
}

var colors = map[Kind]string{
	Section: "1;32", CommandLine: "36", Group: "1", Warning: "33", Error: "31", Debug: "35",
}

func (p printer) print(l Line) {
	if p.w == nil || l.Kind == EndGroup {
		return
	}
	text := l.String()
	switch {
	case l.Kind == Group:
		text = "▾ " + l.Text
	case p.color:
		text = l.Text
	}
	if code := colors[l.Kind]; p.color && code != "" {
		text = "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	if l.Grouped {
		text = "    " + text
	}
	if p.timestamps {
		stamp := l.Time.UTC().Format("2006-01-02T15:04:05.0000000Z ")
		if p.color {
			stamp = "\x1b[2m" + stamp + "\x1b[0m"
		}
		text = stamp + text
	}
	fmt.Fprintln(p.w, text)
}
