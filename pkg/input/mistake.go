// Mistakes: what is wrong with an input, as [mistake.Error]. Whoever parses a value
// does not know in which input it stands; the loader adds that.

package input

import (
	"fmt"
	"strings"
	"unicode"

	"ecsdeploy/pkg/mistake"
)

// wrong is a mistake before it is known in which input it was made.
func wrong(hint, format string, args ...any) error {
	return mistake.New("", hint, format, args...)
}

// shown is a value in an error message: as typed, in quotation marks, and not
// longer than a line. Only what cannot be printed is escaped.
func shown(value string) string {
	const limit = 80
	if runes := []rune(value); len(runes) > limit {
		value = string(runes[:limit]) + "…"
	}
	if strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Sprintf("%q", value)
	}
	return `"` + value + `"`
}
