// Mistakes: what is wrong with an input, what was expected, and one hint.

package input

import "fmt"

// Error is one mistake in what the task was given.
type Error struct {
	Input   string // the input's name in YAML; empty for a pipeline variable
	Line    int    // the line of a multi-line input, from 1; 0 for the whole
	Problem string // what is wrong and what was expected
	hint    string
}

// Error names the input, then the problem.
func (e *Error) Error() string {
	switch {
	case e.Input == "":
		return e.Problem
	case e.Line > 0:
		return fmt.Sprintf("input %s, line %d: %s", e.Input, e.Line, e.Problem)
	default:
		return fmt.Sprintf("input %s: %s", e.Input, e.Problem)
	}
}

// Hint says in one sentence what to do about it; it may be empty.
func (e *Error) Hint() string { return e.hint }

// problem is a mistake before it is known in which input it was made.
type problem struct{ text, hint string }

func (p *problem) Error() string { return p.text }

func wrong(hint, format string, args ...any) error {
	return &problem{fmt.Sprintf(format, args...), hint}
}

// shown is a value in an error message: quoted, and not longer than a line.
func shown(value string) string {
	const limit = 80
	if runes := []rune(value); len(runes) > limit {
		value = string(runes[:limit]) + "…"
	}
	return fmt.Sprintf("%q", value)
}
