// Cleaning: text from outside (events, container logs, errors, labels, file
// names) as lines in which the agent finds no command.
//
// The agent looks for its prefix with .NET's culture-sensitive IndexOf, anywhere
// in a line, and ends a line at a bare carriage return too. Such a comparison
// skips characters to which collation gives no weight, so a zero-width
// character between the letters neither hides nor breaks the prefix. It is
// case-sensitive and tells full-width forms apart, but the culture is the
// job's, and the next reader of the log may be laxer. Hence four steps:
//
//  1. Split at everything that some reader takes for a line break.
//  2. Drop terminal sequences, control characters and all characters that are
//     ignorable by default (soft hyphen, zero-width and bidirectional controls,
//     variation selectors, tags, noncharacters).
//  3. Redact secrets, see redact.go.
//  4. Where two number signs are followed by v, s, o, or by a bracket, replace
//     the two by **, as the agent's own neutraliser does. Between the characters
//     anything that some collation may skip is skipped: every non-ASCII
//     character, tab, hyphen and apostrophe. Each letter may be either case, or
//     any non-ASCII character at all, so that no table of look-alikes (full
//     width, superscript, mathematical, long s) is needed.
//
// Step 4 replaces more than it must, for instance "##日本語"; that costs two
// signs in a log. Not covered is a culture whose collation skips punctuation
// outright (Thai): there "vso" alone would match, whatever is done to the number
// signs. Azure DevOps does not offer one.
//
// Source: azure-pipelines-agent, Command.cs and src/Agent.Sdk/Util/StringUtil.cs;
// Unicode Technical Standard 10, variable and ignorable collation elements;
// Unicode Character Database, Default_Ignorable_Code_Point.

package vso

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLine is the length in bytes to which a line of text is cut, the note about
// the cut included. The live view of a run shows the first 1,024 characters of
// a line, the log all of it.
const MaxLine = 4096

// lineBreak stands between the lines of a text that must fit on one.
const lineBreak = " · "

// Clean makes text harmless: no line of the result is a logging command or
// formats the log. Lines stay lines, separated by \n whatever separated them
// before; empty lines at the end are dropped, and each line is cut at [MaxLine].
// What is a secret by its form is redacted; a [Console] redacts those that it
// knows, too.
func Clean(text string) string { return new(redactor).clean(text) }

func (r *redactor) clean(text string) string {
	lines := split(text)
	for i, line := range lines {
		lines[i] = r.harmless(line)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// CleanLine is [Clean] for a place that has one line: line breaks and the blanks
// around them become " · ", empty lines are left out.
func CleanLine(text string) string { return new(redactor).cleanLine(text) }

func (r *redactor) cleanLine(text string) string {
	var parts []string
	for _, line := range split(text) {
		if line = strings.TrimSpace(strip(line)); line != "" {
			parts = append(parts, line)
		}
	}
	return r.harmless(strings.Join(parts, lineBreak))
}

// harmless cleans one line. Redaction comes before the cut, which could leave half
// of a secret. Disarming comes last, because what the other steps take away can
// join what was apart.
func (r *redactor) harmless(line string) string {
	return disarm(cut(r.redact(strip(line)), MaxLine))
}

var lineBreaks = strings.NewReplacer(
	"\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n",
	"\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// split gives at least one line; line breaks at the end make none.
func split(text string) []string {
	return strings.Split(strings.TrimRight(lineBreaks.Replace(text), "\n"), "\n")
}

// strip drops what has no place in a line: terminal sequences, control and
// ignorable characters, blanks at the end. Bytes that are not UTF-8 become U+FFFD.
func strip(line string) string {
	var b strings.Builder
	for len(line) > 0 {
		if n := terminalSequence(line); n > 0 {
			line = line[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(line)
		if visible(r) {
			b.WriteRune(r)
		}
		line = line[n:]
	}
	return strings.TrimRight(b.String(), " \t")
}

func visible(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '\t' || ' ' <= r && r < 0x7f
	}
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point)
}

// terminalSequence gives the length of the control sequence, control string or
// escape sequence that s starts with, or 0. A sequence that does not end on its
// line is none: it must not swallow the text behind it.
// Source: ECMA-48, sections 5.3 to 5.6.
func terminalSequence(s string) int {
	var rest string
	var kind byte // the final byte of the two-byte form ESC kind
	switch {
	case len(s) >= 2 && s[0] == 0x1b:
		kind, rest = s[1], s[2:]
	case len(s) >= 2 && s[0] == 0xc2 && 0x80 <= s[1] && s[1] <= 0x9f: // the same as one C1 character
		kind, rest = s[1]-0x40, s[2:]
	default:
		return 0
	}
	head := len(s) - len(rest)

	switch {
	case kind == '[': // control sequence: parameters, intermediates, one final byte
		end := strings.TrimLeft(rest, "0123456789:;<=>?")
		end = strings.TrimLeft(end, " !\"#$%&'()*+,-./")
		if end != "" && '@' <= end[0] && end[0] <= '~' {
			return len(s) - len(end) + 1
		}
	case strings.IndexByte("]PX^_", kind) >= 0: // control string, ended by BEL or ST
		for i := range rest {
			switch {
			case rest[i] == '\a':
				return head + i + 1
			case strings.HasPrefix(rest[i:], "\x1b\\"), strings.HasPrefix(rest[i:], "\u009c"):
				return head + i + 2
			}
		}
	case ' ' <= kind && kind <= '/': // escape sequence with intermediates
		end := strings.TrimLeft(rest, " !\"#$%&'()*+,-./")
		if end != "" && '0' <= end[0] && end[0] <= '~' {
			return len(s) - len(end) + 1
		}
	case '0' <= kind && kind <= '~':
		return head
	}
	return 0
}

// cut shortens s to at most limit bytes, never within a character, and says how
// much is missing.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const reserve = len(" … (18446744073709551615 more bytes)")
	end := limit - reserve
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s … (%d more bytes)", s[:end], len(s)-end)
}

// disarm replaces the number signs of everything that could be read as the start
// of a command or of a ##[format].
func disarm(line string) string {
	if !strings.ContainsFunc(line, numberSign) {
		return line
	}
	runes := []rune(line)
	for i, r := range runes {
		if !numberSign(r) {
			continue
		}
		second := i + 1
		for second < len(runes) && skippable(runes[second]) && !numberSign(runes[second]) {
			second++
		}
		if second < len(runes) && numberSign(runes[second]) && armed(runes[second+1:]) {
			runes[i], runes[second] = '*', '*'
		}
	}
	return string(runes)
}

// armed reports whether what follows two number signs makes them a command or a
// format. It follows all readings at once: bit n of state is set when the first
// n letters of the word can have been read so far.
func armed(rest []rune) bool {
	const word = "vso"
	state := 1
	for _, r := range rest {
		next := 0
		if skippable(r) {
			next = state
		}
		for n := range len(word) {
			if state&(1<<n) != 0 && (r >= utf8.RuneSelf || unicode.ToLower(r) == rune(word[n])) {
				next |= 1 << (n + 1)
			}
		}
		switch {
		case r == '[' && state&1 != 0, next&(1<<len(word)) != 0:
			return true
		case next == 0:
			return false
		}
		state = next
	}
	return false
}

// numberSign: the ASCII, full-width and small forms, and the signs mistaken for them.
func numberSign(r rune) bool {
	return r == '#' || r == '＃' || r == '﹟' || r == '♯' || r == '⌗'
}

func skippable(r rune) bool {
	return r >= utf8.RuneSelf || r == '\t' || r == '-' || r == '\''
}
