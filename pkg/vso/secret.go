// Masking: which spellings of a secret are worth asking the agent to hide.

package vso

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// MinSecret is the length in characters below which a value is not masked.
// Masking "a" or "on" hides nothing and makes a log unreadable.
const MinSecret = 4

// SetSecret asks the agent to replace a value by *** in everything that is
// printed from now on; what was printed before stays readable. The agent masks
// line by line, so each line of the value gets a command of its own, beside the
// spellings in which a value leaks through other programs: without surrounding
// blanks, as a JSON string, as part of a URL, and the whole in base64.
//
// Values shorter than [MinSecret] and the words true, false, null and none are
// not masked: nil is returned for them.
func SetSecret(value string) []Command {
	var spellings []string
	for _, line := range strings.FieldsFunc(value, func(r rune) bool { return r == '\r' || r == '\n' }) {
		bare := strings.TrimSpace(line)
		if !maskable(bare) {
			continue
		}
		spellings = append(spellings, line, bare,
			inJSON(bare, false), inJSON(bare, true), url.QueryEscape(bare), url.PathEscape(bare))
	}
	if bare := strings.TrimSpace(value); maskable(bare) {
		spellings = append(spellings, base64.StdEncoding.EncodeToString([]byte(bare)))
		if bare != value {
			spellings = append(spellings, base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}

	var commands []Command
	for i, s := range spellings {
		if !slices.Contains(spellings[:i], s) {
			commands = append(commands, Command{area: "task", event: "setsecret", data: s})
		}
	}
	return commands
}

// inJSON is s within a JSON string. Go's encoder spells <, > and & as escapes by
// default, and most others do not.
func inJSON(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String()[1:], "\"\n")
}

func maskable(s string) bool {
	switch strings.ToLower(s) {
	case "true", "false", "null", "none":
		return false
	}
	return utf8.RuneCountInString(s) >= MinSecret
}
