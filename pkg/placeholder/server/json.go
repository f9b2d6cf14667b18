package main

// The members of a JSON object that are strings. encoding/json would make the
// program a quarter larger.

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxDepth is how deep arrays and objects may nest.
const maxDepth = 100

var errJSON = errors.New("not a JSON object")

// stringMembers returns the members of the object in text whose values are
// strings. It accepts what RFC 8259 defines. Of members with the same name, the
// last one counts; where that is no string, there is none.
func stringMembers(text string) (map[string]string, error) {
	s := scanner{text: text}
	members := map[string]string{}
	s.space()
	if !s.next('{') {
		return nil, errJSON
	}
	s.object(func(name string) {
		delete(members, name)
		if s.peek() == '"' {
			members[name] = s.string()
			return
		}
		s.value(1)
	})
	s.space()
	if s.failed || s.text != "" {
		return nil, errJSON
	}
	return members, nil
}

// scanner holds what is left of a document. Once something is wrong, nothing
// is left.
type scanner struct {
	text   string
	failed bool
}

func (s *scanner) fail() { s.text, s.failed = "", true }

func (s *scanner) space() { s.text = strings.TrimLeft(s.text, " \t\r\n") }

// peek is the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.text == "" {
		return 0
	}
	return s.text[0]
}

// next takes the next byte if it is c.
func (s *scanner) next(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.text = s.text[1:]
	return true
}

// value skips a value, which may have depth around it.
func (s *scanner) value(depth int) {
	switch c := s.peek(); {
	case depth == maxDepth:
		s.fail()
	case s.next('{'):
		s.object(func(string) { s.value(depth + 1) })
	case s.next('['):
		s.list(']', func() { s.value(depth + 1) })
	case c == '"':
		s.string()
	case c == '-' || isDigit(c):
		s.number()
	default:
		for _, word := range []string{"true", "false", "null"} {
			if rest, found := strings.CutPrefix(s.text, word); found {
				s.text = rest
				return
			}
		}
		s.fail()
	}
}

// object scans what follows "{" and calls member at each value.
func (s *scanner) object(member func(name string)) {
	s.list('}', func() {
		name := s.string()
		s.space()
		if !s.next(':') {
			s.fail()
			return
		}
		s.space()
		member(name)
	})
}

// list scans items with commas between them up to end.
func (s *scanner) list(end byte, item func()) {
	s.space()
	if s.next(end) {
		return
	}
	for {
		s.space()
		item()
		s.space()
		switch {
		case s.next(end):
			return
		case !s.next(','):
			s.fail()
			return
		}
	}
}

func (s *scanner) number() {
	digits := func() {
		if !isDigit(s.peek()) {
			s.fail()
		}
		for isDigit(s.peek()) {
			s.text = s.text[1:]
		}
	}
	s.next('-')
	if !s.next('0') {
		digits()
	}
	if s.next('.') {
		digits()
	}
	if s.next('e') || s.next('E') {
		if !s.next('+') {
			s.next('-')
		}
		digits()
	}
}

// string returns the string that begins here, without its quotes and escapes.
// What is not UTF-8 in it becomes U+FFFD.
func (s *scanner) string() string {
	if !s.next('"') {
		s.fail()
		return ""
	}
	var b strings.Builder
	for {
		i := strings.IndexFunc(s.text, func(r rune) bool { return r == '"' || r == '\\' || r < ' ' })
		if i < 0 || s.text[i] < ' ' {
			s.fail()
			return ""
		}
		b.WriteString(s.text[:i])
		end := s.text[i] == '"'
		s.text = s.text[i+1:]
		if end {
			return strings.ToValidUTF8(b.String(), "\ufffd")
		}
		s.escape(&b)
	}
}

// escapes are the characters after a backslash, and what they stand for.
const escapes, escaped = `"\/bfnrt`, "\"\\/\b\f\n\r\t"

// escape writes the character whose escape follows a backslash.
func (s *scanner) escape(b *strings.Builder) {
	c := s.peek()
	if i := strings.IndexByte(escapes, c); i >= 0 && s.next(c) {
		b.WriteByte(escaped[i])
		return
	}
	unit := s.unit()
	if utf16.IsSurrogate(unit) && strings.HasPrefix(s.text, `\u`) {
		ahead := *s
		ahead.text = ahead.text[1:]
		if r := utf16.DecodeRune(unit, ahead.unit()); r != '\ufffd' {
			*s, unit = ahead, r
		}
	}
	b.WriteRune(unit) // half a pair by itself becomes U+FFFD
}

// unit reads the UTF-16 code unit of "u" and four digits.
func (s *scanner) unit() rune {
	if len(s.text) < 5 || s.text[0] != 'u' {
		s.fail()
		return 0
	}
	n, err := strconv.ParseUint(s.text[1:5], 16, 16)
	if err != nil {
		s.fail()
		return 0
	}
	s.text = s.text[5:]
	return rune(n)
}
