package diagnosis

// Texts of AWS without what differs from task to task, so that equal reasons can
// be counted as one.

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// variable is what differs between texts that mean the same, with what stands
// in its place.
var variable = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[\s\v\x{85}\x{a0}\x{2028}\x{2029}]+`), " "},
	{regexp.MustCompile(` ?For more information, see the Troubleshooting section of the Amazon ECS Developer Guide\.?`), ""},
	{regexp.MustCompile(`arn:aws[\w-]*:elasticloadbalancing:[^\s()]*:targetgroup/([^\s()/]+)/[0-9a-f]+`), "$1"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "…"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "…"}, // ids of tasks and sessions; a digest is longer, and has a meaning
	{regexp.MustCompile(`\b(i|eni|eni-attach)-[0-9a-f]{8,17}\b`), "$1-…"},
	{regexp.MustCompile(`(?i)(request ?id:? )[0-9a-z=+/-]+`), "$1…"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.]*(Z|[+-]\d\d:?\d\d)?`), "…"},
	{regexp.MustCompile(`:\d+->`), "->"}, // the port that a connection came from
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`), "…"},
	{regexp.MustCompile(`(retried)( \d+ time(s|\(s\))?)+`), "$1"},
	{regexp.MustCompile(`(?i)\b(attempt) \d+(/\d+)?`), "$1"},
}

// normalise cuts out of a reason what differs from task to task, so that equal
// causes can be grouped: ids, addresses, times, numbers of attempts. The result
// is one line of valid UTF-8 and of maxReason runes at most.
func normalise(text string) string {
	text = strings.ToValidUTF8(text, "�")
	for _, v := range variable {
		text = v.pattern.ReplaceAllString(text, v.instead)
	}
	return clip(strings.TrimSpace(text), maxReason)
}

// normalised keeps what texts became, by the texts.
type normalised map[string]string

// of is the normalised text; that of nil is empty.
func (n normalised) of(text *string) string {
	if text == nil {
		return ""
	}
	result, known := n[*text]
	if !known {
		result = normalise(*text)
		n[*text] = result
	}
	return result
}

// clip cuts text to at most n runes, the last of which says that it did.
func clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// withoutService removes the "(service web) " with which ECS
// begins every event.
func withoutService(text string) string {
	if strings.HasPrefix(text, "(service ") {
		if _, rest, ok := strings.Cut(text, ") "); ok {
			return rest
		}
	}
	return text
}

// containsFold reports whether s contains lower, which is in lower case, in any
// case of letters.
func containsFold(s, lower string) bool { return strings.Contains(strings.ToLower(s), lower) }
