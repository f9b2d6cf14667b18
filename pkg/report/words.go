package report

// Words that several texts share: durations, sizes, counts, and how a text that is
// too long is shortened.

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Duration writes a duration to the second: 40s, 5m, 1h 2m 3s.
func Duration(d time.Duration) string {
	d = d.Round(time.Second)
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.length; n > 0 {
			parts = append(parts, fmt.Sprintf("%d%s", n, unit.name))
			d -= n * unit.length
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts, " ")
}

// minutes writes a time limit as the input timeoutMinutes has it: 30 minutes.
func minutes(d time.Duration) string {
	if d%time.Minute != 0 {
		return Duration(d)
	}
	return count(int(d/time.Minute), "minute")
}

// seconds writes how long something took that may have been short.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return Duration(d)
}

// count says "1 layer", "2 layers".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// size writes a number of bytes with three digits at most, in decimal units as
// registries and networks count.
func size(n int64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 999.5 {
			break
		}
		value, unit = value/1000, next
	}
	if unit == "B" || value >= 99.95 {
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// shortDigest shows as much of the first digest as people compare by eye.
func shortDigest(digests []string) string {
	const enough = len("sha256:") + 12
	switch {
	case len(digests) == 0:
		return "digest not known"
	case len(digests[0]) > enough:
		return digests[0][:enough]
	}
	return digests[0]
}

// because adds a reason to what is said, where there is one.
func because(what, reason string) string {
	reason = strings.TrimSuffix(strings.TrimSpace(reason), ".")
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

// plain is a status in lower case without underscores: BAKE_TIME is bake time,
// InProgress is in progress.
func plain(status string) string {
	var b strings.Builder
	for i, r := range status {
		switch {
		case r == '_':
			b.WriteByte(' ')
			continue
		case i > 0 && 'A' <= r && r <= 'Z' && !strings.Contains(status, "_") && strings.ToUpper(status) != status:
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// shorten makes s one line of n characters at most. AWS's messages are chains of
// clauses that begin with what happened and end with why: those in the middle are
// left out first. Only a chain whose ends are too long by themselves is cut at the
// end of a word.
func shorten(s string, n int) string {
	const mark = "…"
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	clauses := strings.Split(s, ": ")
	for first := 2; first < len(clauses); first++ {
		short := clauses[0] + ": " + mark + " " + strings.Join(clauses[first:], ": ")
		if utf8.RuneCountInString(short) <= n {
			return short
		}
	}
	runes := []rune(s)[:max(n-1, 0)]
	text := string(runes)
	if i := strings.LastIndexByte(text, ' '); i > n/2 {
		text = text[:i]
	}
	return strings.TrimRight(text, " ,;:") + mark
}
