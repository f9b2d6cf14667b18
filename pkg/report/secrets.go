package report

// Secrets in a summary. There they are not themselves any more: what Markdown and HTML
// give a meaning to has been escaped.

import (
	"regexp"
	"strconv"
	"strings"
)

// withoutSecrets takes the secrets out of Markdown that this package has written. find
// returns where the secrets of a line of plain text stand, in their order. nil finds none.
func withoutSecrets(markdown string, find func(line string) [][2]int) string {
	if find == nil {
		return markdown
	}
	lines := strings.Split(markdown, "\n")
	for i, line := range lines {
		plain, places := unescaped(line)
		var b strings.Builder
		end := 0
		for _, secret := range find(plain) {
			b.WriteString(line[end:places[secret[0]]] + hiddenSecret)
			end = places[secret[1]]
		}
		lines[i] = b.String() + line[end:]
	}
	return strings.Join(lines, "\n")
}

// hiddenSecret is *** where it cannot be emphasis or a rule.
const hiddenSecret = "&#42;&#42;&#42;"

// escape is a character as [text], [code] and [pre] write it.
var escape = regexp.MustCompile("^(?:\\\\[!-/:-@\\[-`{-~]|&(?:#[0-9]{1,7}|amp|lt|gt|quot);)")

// unescaped returns the text that a line of Markdown shows, and for each byte of it, and
// its end, where it stands in the line.
func unescaped(line string) (plain string, places []int) {
	var b strings.Builder
	for at := 0; at < len(line); {
		shown, width := line[at:at+1], 1
		if e := escape.FindString(line[at:]); e != "" {
			shown, width = e[1:], len(e)
			if e[0] == '&' {
				shown = entity(e[1 : len(e)-1])
			}
		}
		for range len(shown) {
			places = append(places, at)
		}
		b.WriteString(shown)
		at += width
	}
	return b.String(), append(places, len(line))
}

// entity is the character of a reference as HTML has it, of those that this package writes.
// The table of package html, of all names that there are, is a tenth of a megabyte.
func entity(name string) string {
	switch name {
	case "amp":
		return "&"
	case "lt":
		return "<"
	case "gt":
		return ">"
	case "quot":
		return `"`
	}
	number, _ := strconv.Atoi(name[1:]) // of digits, and few
	return string(rune(number))
}
