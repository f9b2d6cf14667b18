// A stand-in for the agent's reader, written from its documentation and not from
// this package: the tests decode with it what the package encodes, and look with
// it, at its most generous, for commands in what should hold none.

package vso_test

import (
	"regexp"
	"strings"
	"unicode"
)

type parsed struct {
	area, event string
	properties  map[string]string
	data        string
}

// parse reads a line as the agent does: the prefix anywhere, properties up to
// the first bracket, empty ones dropped.
func parse(line string) (parsed, bool) {
	_, rest, found := strings.Cut(line, "##vso[")
	info, data, closed := strings.Cut(rest, "]")
	if !found || !closed {
		return parsed{}, false
	}
	name, properties, _ := strings.Cut(info, " ")
	area, event, ok := strings.Cut(name, ".")
	if !ok || area == "" || event == "" {
		return parsed{}, false
	}
	p := parsed{area, event, map[string]string{}, unescape(data)}
	for property := range strings.SplitSeq(properties, ";") {
		if key, value, _ := strings.Cut(property, "="); key != "" && value != "" {
			p.properties[key] = unescape(value)
		}
	}
	return p, true
}

func unescape(s string) string {
	for _, pair := range [][2]string{{"%3B", ";"}, {"%0D", "\r"}, {"%0A", "\n"}, {"%5D", "]"}, {"%AZP25", "%"}} {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}

// logLines breaks output where the agent's reader does, and at everything else
// that any reader might take for a line break.
func logLines(output string) []string {
	return regexp.MustCompile("\r\n|[\r\n\v\f\u0085\u2028\u2029]").Split(output, -1)
}

// readings gives the ways in which a very generous reader could understand a
// line: some characters skipped, others taken for their plain look-alikes, case
// ignored.
func readings(line string) []string {
	ascii := func(r rune) rune {
		if r > '~' || r < ' ' {
			return -1
		}
		return unicode.ToLower(r)
	}
	plain := func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Mn, unicode.Me, unicode.Mc,
			unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point):
			return -1
		case 0xff01 <= r && r <= 0xff5e: // full-width forms
			r -= 0xfee0
		case r == '﹟':
			r = '#'
		case r == 'ſ', r == 'ˢ', r == 'ₛ', r == 'ⓢ', r == '𝐬', r == '𝘴':
			r = 's'
		case r == 'ᵛ', r == 'ᵥ', r == 'ⅴ', r == 'Ⅴ', r == 'ⓥ', r == '𝐯', r == '𝘷':
			r = 'v'
		case r == 'º', r == 'ᵒ', r == 'ₒ', r == 'ℴ', r == 'ⓞ', r == '𝐨', r == '𝘰':
			r = 'o'
		}
		return unicode.ToLower(r)
	}
	wordSort := func(r rune) rune { // hyphen and apostrophe weigh little in a word sort
		if r == '-' || r == '\'' {
			return -1
		}
		return plain(r)
	}
	return []string{
		strings.ToLower(line),
		strings.Map(ascii, line),
		strings.Map(plain, line),
		strings.Map(wordSort, line),
	}
}

// dangerous reports whether any reading of any line holds a command or formats
// the log.
func dangerous(output string) bool {
	for _, line := range logLines(output) {
		for _, reading := range readings(line) {
			if strings.Contains(reading, "##vso") || strings.Contains(reading, "##[") {
				return true
			}
		}
	}
	return false
}
