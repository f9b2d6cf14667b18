// Mistakes: what is wrong with an input, what was expected, and one hint.

package input

import (
	"fmt"

	"ecsdeploy/pkg/mistake"
)

// wrong is a mistake before it is known in which input it was made.
func wrong(hint, format string, args ...any) error {
	return mistake.New("", hint, format, args...)
}

// shown is a value in an error message: quoted, and not longer than a line.
func shown(value string) string {
	const limit = 80
	if runes := []rune(value); len(runes) > limit {
		value = string(runes[:limit]) + "…"
	}
	return fmt.Sprintf("%q", value)
}
