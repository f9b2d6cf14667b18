package taskdef

// The document itself: a JSON value that remembers how it was written. Members
// stay in their order, and names, strings and numbers are kept as spelled, so
// that reading and encoding gives the same bytes less the white space between
// tokens. No value is ever changed in place; an edit makes a new one that
// shares what it does not touch.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"ecsdeploy/pkg/mistake"
)

const (
	maxDocument = 1 << 20 // bytes; a described definition of MaxSize with room for white space
	maxDepth    = 64      // objects and lists within each other; the ECS API has fewer than ten
)

type kind byte

const (
	missing kind = iota // the zero value: no such member
	null
	boolean
	number
	text
	list
	object
)

func (k kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

type value struct {
	kind    kind
	raw     string   // of a scalar: as spelled, a string with its quotes
	items   []value  // of a list
	members []member // of an object
	line    int      // in the source, from 1; 0 for what an edit made
}

type member struct {
	raw   string // the name as spelled, with its quotes
	name  string // the name as meant
	value value
}

// get returns a member of an object, or the zero value.
func (v value) get(name string) value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return value{}
}

// with returns the object with a member set: in its place, or at the end.
func (v value) with(name string, to value) value {
	v.members = slices.Clone(v.members)
	for i := range v.members {
		if v.members[i].name == name {
			v.members[i].value = to
			return v
		}
	}
	v.members = append(v.members, member{raw: quote(name), name: name, value: to})
	return v
}

// without returns the object without some of its members.
func (v value) without(names ...string) value {
	v.members = filter(v.members, func(m member) bool { return !slices.Contains(names, m.name) })
	return v
}

// edit returns the object with the items of a list changed.
func (v value) edit(name string, change func(item value) value) value {
	l := v.get(name)
	if l.kind != list {
		return v
	}
	l.items = slices.Clone(l.items)
	for i, item := range l.items {
		l.items[i] = change(item)
	}
	return v.with(name, l)
}

// find returns the item of a list whose member key is name, or the zero value.
func (v value) find(key, name string) value {
	for _, item := range v.items {
		if item.get(key).str() == name {
			return item
		}
	}
	return value{}
}

// has reports whether a list has a string among its items.
func (v value) has(s string) bool {
	return slices.ContainsFunc(v.items, func(item value) bool { return item.kind == text && item.str() == s })
}

// str is the text of a string, "" for anything else.
func (v value) str() string {
	if v.kind != text {
		return ""
	}
	return unquote(v.raw)
}

// at begins an error message about what was read.
func (v value) at() string { return fmt.Sprintf("line %d: ", v.line) }

func (v value) encode() []byte { return v.append(nil) }

func (v value) append(b []byte) []byte {
	switch v.kind {
	case list:
		b = append(b, '[')
		for i, item := range v.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.append(b)
		}
		return append(b, ']')
	case object:
		b = append(b, '{')
		for i, m := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, m.raw...)
			b = append(b, ':')
			b = m.value.append(b)
		}
		return append(b, '}')
	}
	return append(b, v.raw...)
}

// newText is a string value.
func newText(s string) value { return value{kind: text, raw: quote(s)} }

// quote spells s as JSON, with no more escapes than JSON asks for.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string into a Builder: neither can fail
	return strings.TrimSuffix(b.String(), "\n")
}

// unquote is what a JSON string means. Half of a surrogate pair (\ud800) has no
// meaning as text: such a string stands for its own spelling, so that two
// different ones are never taken for the same.
func unquote(raw string) string {
	if !strings.ContainsRune(raw, '\\') {
		return raw[1 : len(raw)-1]
	}
	var s string
	if err := json.Unmarshal([]byte(raw), &s); err != nil || strings.ContainsRune(s, utf8.RuneError) && hasHalf(raw) {
		return raw
	}
	return s
}

// hasHalf reports whether a JSON string has half of a surrogate pair, which reads as
// the replacement character. One that is written as itself is none.
func hasHalf(raw string) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if i++; raw[i] != 'u' {
			continue
		}
		half := unicodeEscape(raw[i-1:])
		if utf16.DecodeRune(half, unicodeEscape(raw[i+5:])) != utf8.RuneError {
			i += 6 // the other half
		} else if utf16.IsSurrogate(half) {
			return true
		}
		i += 4
	}
	return false
}

// unicodeEscape is the number in the escape \uXXXX that a text begins with; -1 where it
// begins with none.
func unicodeEscape(s string) rune {
	if len(s) < 6 || s[:2] != `\u` {
		return -1
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// readJSON reads one document. Its errors begin with the line. A member given
// twice is refused: parsers disagree about which of the two counts
// (RFC 8259, section 4).
func readJSON(data []byte) (value, error) {
	if len(data) > maxDocument {
		return value{}, fmt.Errorf("%d bytes; expected at most %d", len(data), maxDocument)
	}
	for i, l := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(l) {
			return value{}, fmt.Errorf("line %d: not valid UTF-8", i+1)
		}
	}
	// The library judges the syntax, so that what reads it need not.
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at := max(0, min(int(syntax.Offset)-1, len(data)))
			if reference := token.FindIndex(data[at:]); reference != nil && reference[0] == 0 {
				return value{}, outsideOfString(lineAt(data, at), string(data[at:at+reference[1]]), "stands outside of a string")
			}
			return value{}, fmt.Errorf("line %d: not valid JSON: %w", lineAt(data, int(syntax.Offset)-1), err)
		}
		return value{}, err
	}
	r := reader{src: string(data), line: 1}
	return r.value()
}

// outsideOfString is the mistake that a variable of the pipeline is not in a string.
func outsideOfString(line int, reference, problem string) error {
	return mistake.New(mistake.TaskDefinition, "write it in quotes; where ECS wants a number or a boolean, that is made of its value",
		"line %d: the variable %s %s", line, reference, problem)
}

func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:max(0, min(offset, len(data)))], []byte("\n"))
}

// reader turns JSON that is known to be valid into values.
type reader struct {
	src   string
	pos   int
	line  int
	depth int
}

// next skips white space and returns the byte that follows it. Only there can a
// line end: in valid JSON no string spans lines.
func (r *reader) next() byte {
	for {
		switch c := r.src[r.pos]; c {
		case '\n':
			r.line++
			r.pos++
		case ' ', '\t', '\r':
			r.pos++
		default:
			return c
		}
	}
}

func (r *reader) value() (value, error) {
	switch c := r.next(); c {
	case '{', '[':
		if r.depth++; r.depth > maxDepth {
			return value{}, fmt.Errorf("line %d: nested deeper than %d levels", r.line, maxDepth)
		}
		defer func() { r.depth-- }()
		if c == '[' {
			return r.list()
		}
		return r.object()
	case '"':
		return value{kind: text, line: r.line, raw: r.text()}, nil
	case 't', 'f':
		return value{kind: boolean, line: r.line, raw: r.word()}, nil
	case 'n':
		return value{kind: null, line: r.line, raw: r.word()}, nil
	default:
		return value{kind: number, line: r.line, raw: r.word()}, nil
	}
}

func (r *reader) list() (value, error) {
	v := value{kind: list, line: r.line}
	for r.more(']') {
		item, err := r.value()
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
	}
	return v, nil
}

func (r *reader) object() (value, error) {
	v := value{kind: object, line: r.line}
	seen := map[string]bool{}
	for r.more('}') {
		r.next()
		m := member{raw: r.text()}
		m.name = unquote(m.raw)
		if seen[m.name] {
			return v, fmt.Errorf("line %d: member %s is given twice", r.line, m.raw)
		}
		seen[m.name] = true
		r.next()
		r.pos++ // the colon
		var err error
		if m.value, err = r.value(); err != nil {
			return v, err
		}
		v.members = append(v.members, m)
	}
	return v, nil
}

// more steps over what stands before an element, the opening bracket or a
// comma, and reports whether there is one before the closing bracket.
func (r *reader) more(closing byte) bool {
	if r.next() != closing {
		r.pos++
	}
	if r.next() != closing {
		return true
	}
	r.pos++
	return false
}

// text steps over a string and returns it as spelled.
func (r *reader) text() string {
	start := r.pos
	for r.pos++; r.src[r.pos] != '"'; r.pos++ {
		if r.src[r.pos] == '\\' {
			r.pos++
		}
	}
	r.pos++
	return r.src[start:r.pos]
}

// word steps over a number, true, false or null and returns it as spelled.
func (r *reader) word() string {
	start := r.pos
	for r.pos < len(r.src) && !strings.ContainsRune(" \t\r\n,]}", rune(r.src[r.pos])) {
		r.pos++
	}
	return r.src[start:r.pos]
}
