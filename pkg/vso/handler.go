// The handler: records of log/slog as lines of an agent's log.
//
// Voice of a line, so that a log reads as one text:
//
//	15:04:05  service  message  key=value
//	            second line of the message
//	  hint: what to do about it
//
// Warnings and errors become issues of the run, without the time, which the
// agent adds itself: "service: message  key=value". Debug records become debug
// lines. Two attributes are special where they stand outside any group:
// service is the column in front, hint the line below, within the issue where there is one.

package vso

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
)

// Keys of the attributes that [Console.Handler] sets apart.
const (
	ServiceKey = "service"
	HintKey    = "hint"
)

// timeFormat, in UTC, is how the agent itself stamps the lines of its log.
const timeFormat = "15:04:05"

// Handler returns a handler that writes records of at least the given level to
// the console; nil means [slog.LevelInfo]. All text that comes through is
// cleaned, so that no caller can forget it: line breaks in a message are kept,
// those in a value are quoted.
func (c *Console) Handler(level slog.Leveler) slog.Handler {
	if level == nil {
		level = slog.LevelInfo
	}
	return &handler{console: c, level: level}
}

type handler struct {
	console *Console
	level   slog.Leveler
	group   string // "outer.inner.", the prefix of keys to come
	line    line   // what WithAttrs has added so far
}

// line is what the attributes of a record make of it.
type line struct {
	service, hint string
	attrs         string // "  key=value  key=value"
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.line.add(h.group, a)
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.group += name + "."
	return &with
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	l := h.line
	for a := range r.Attrs {
		l.add(h.group, a)
	}
	first, more, multiline := strings.Cut(strings.Join(split(r.Message), "\n"), "\n")
	first += l.attrs

	c := h.console
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Level >= slog.LevelInfo && r.Level < slog.LevelWarn {
		indent := "  "
		if !r.Time.IsZero() {
			stamp := r.Time.UTC().Format(timeFormat) + "  "
			indent += strings.Repeat(" ", len(stamp))
			first = stamp + l.column(&c.redactor, "  ") + first
		} else {
			first = l.column(&c.redactor, "  ") + first
		}
		if multiline {
			first += indented(more, indent)
		}
		c.print(first)
		if l.hint != "" {
			c.print(l.hintLine())
		}
		return nil
	}

	first = l.column(&c.redactor, ": ") + first
	if multiline {
		first += indented(more, "  ")
	}
	if l.hint != "" { // within the issue, so that the run's page shows it
		first += "\n" + l.hintLine()
	}
	switch {
	case r.Level >= slog.LevelError:
		c.send(LogIssue(Error, first))
	case r.Level >= slog.LevelWarn:
		c.send(LogIssue(Warning, first))
	default:
		c.send(Debug(first))
	}
	return nil
}

func (l *line) column(r *redactor, separator string) string {
	if l.service == "" {
		return ""
	}
	return r.cleanLine(l.service) + separator
}

func (l *line) hintLine() string {
	return "  hint: " + strings.Join(split(l.hint), "\n        ")
}

// indented puts each line of text on a line of its own, after the one before.
func indented(text, indent string) string {
	return "\n" + indent + strings.ReplaceAll(text, "\n", "\n"+indent)
}

// add takes in an attribute as log/slog asks of a handler: values are resolved,
// empty attributes and empty groups ignored, groups without a name inlined.
func (l *line) add(group string, a slog.Attr) {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, member := range a.Value.Group() {
			l.add(group, member)
		}
		return
	}
	value := a.Value.String()
	switch group + a.Key {
	case ServiceKey:
		l.service = value
	case HintKey:
		l.hint = value
	default:
		l.attrs += "  " + quoted(group+a.Key) + "=" + quoted(value)
	}
}

// quoted puts quotes around what would not be read back as one word.
func quoted(s string) string {
	special := func(r rune) bool {
		return r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}
	if s == "" || strings.ContainsFunc(s, special) {
		return strconv.Quote(s)
	}
	return s
}
