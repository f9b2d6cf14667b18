package mistake

import "strings"

// Nearest returns the word that text was probably meant to be: the one from which
// it differs by case, by blanks around it, or by one letter. It is empty where
// there is none, and where text is one of the words.
func Nearest(text string, words []string) string {
	lower := strings.ToLower(strings.TrimSpace(text))
	near := ""
	for _, w := range words {
		switch l := strings.ToLower(w); {
		case w == text:
			return ""
		case l == lower:
			return w
		case near == "" && oneLetterOff(lower, l):
			near = w
		}
	}
	return near
}

// oneLetterOff reports whether one letter more, less, other or exchanged with
// its neighbour makes one word of the other.
func oneLetterOff(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b || len(a) < 3 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return a[i+1:] == b[i+1:] ||
		i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
