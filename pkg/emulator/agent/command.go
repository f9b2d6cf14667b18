package agent

// Logging commands as the agent's parser understands them (Microsoft.VisualStudio.Services.Agent/Command.cs,
// Agent.Sdk/CommandStringConvertor.cs).

import (
	"slices"
	"strings"
	"unicode"
)

// Command is one logging command: ##vso[area.event key=value;…]data.
type Command struct {
	Area, Event string
	Properties  map[string]string // decoded; keys in lower case, since the agent ignores their case
	Data        string            // decoded
}

const keyword, prefix = "##vso", "##vso["

// parseCommand finds a command anywhere in a line. It reports found where the line holds one that is well-formed.
//
// The real agent searches with .NET's culture-sensitive IndexOf, which skips characters that collation ignores, and then
// cuts as if none had been there. This parser skips them and cuts where the bracket really is: it takes any disguised
// command for a command, which is the harshest reading that a task has to stand up to.
func parseCommand(line string) (command Command, found bool) {
	_, after := indexIgnoring(line, prefix)
	if after < 0 {
		return Command{}, false
	}
	info, data, ok := strings.Cut(line[after:], "]")
	if !ok {
		return Command{}, false
	}
	name, properties, _ := strings.Cut(info, " ")
	parts := splitNonEmpty(name, ".")
	if len(parts) != 2 {
		return Command{}, false
	}
	command = Command{Area: parts[0], Event: parts[1], Properties: map[string]string{}, Data: decode(data)}
	for _, property := range splitNonEmpty(properties, ";") {
		// .NET's Split drops empty parts: "key=" counts as not given, and "key==v" gives "v".
		key, value, _ := strings.Cut(strings.TrimLeft(property, "="), "=")
		value = strings.TrimLeft(value, "=")
		if key != "" && value != "" {
			command.Properties[strings.ToLower(key)] = decode(value)
		}
	}
	return command, true
}

// is reports whether the command is area.event; both ignore case.
func (c Command) is(area, event string) bool {
	return strings.EqualFold(c.Area, area) && strings.EqualFold(c.Event, event)
}

// flag reads a boolean property as .NET's Boolean.TryParse does.
func (c Command) flag(key string) bool {
	return strings.EqualFold(strings.TrimSpace(c.Properties[key]), "true")
}

// holdsKeyword reports whether the line would make the agent warn about an illegal command.
func holdsKeyword(line string) bool {
	start, _ := indexIgnoring(line, keyword)
	return start >= 0
}

// decode undoes the escaping of data and of property values; the percent sign comes last.
func decode(s string) string {
	for _, pair := range [...][2]string{{"%3B", ";"}, {"%0D", "\r"}, {"%0A", "\n"}, {"%5D", "]"}, {"%AZP25", "%"}} {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}

// indexIgnoring finds the first occurrence of want, an ASCII string, in s, skipping characters of s that collation
// ignores. It returns the offsets of its first byte and of the byte after it, or -1, -1.
func indexIgnoring(s, want string) (start, after int) {
	for i := range s {
		matched := 0
		for j, r := range s[i:] {
			if r == rune(want[matched]) {
				if matched++; matched == len(want) {
					return i, i + j + 1
				}
				continue
			}
			if matched == 0 || !ignorable(r) {
				break
			}
		}
	}
	return -1, -1
}

// ignorable reports whether collation ignores a character: most controls and everything that is invisible by default.
// Unicode Technical Standard #10, section 3.9; white space among the controls counts as a character.
func ignorable(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', '\u0085':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func splitNonEmpty(s, sep string) []string {
	return slices.DeleteFunc(strings.Split(s, sep), func(part string) bool { return part == "" })
}
