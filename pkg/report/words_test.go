package report

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 600 * time.Millisecond: "1s", 40 * time.Second: "40s", 69 * time.Second: "1m 9s", 5 * time.Minute: "5m",
		time.Hour + 2*time.Minute + 3*time.Second: "1h 2m 3s", 25 * time.Hour: "25h", time.Hour + time.Second: "1h 1s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestSmallWords(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{minutes(time.Minute), "1 minute"}, {minutes(12 * time.Minute), "12 minutes"}, {minutes(90 * time.Second), "1m 30s"},
		{seconds(1500 * time.Millisecond), "1.5s"}, {seconds(75 * time.Second), "1m 15s"},
		{count(0, "task"), "0 tasks"}, {count(1, "task"), "1 task"}, {count(2, "task"), "2 tasks"},
		{size(999), "999 B"}, {size(1000), "1.0 kB"}, {size(99_950), "100 kB"}, {size(4_500_000), "4.5 MB"}, {size(999_600), "1.0 MB"},
		{plain("BAKE_TIME"), "bake time"}, {plain("InProgress"), "in progress"}, {plain("READY"), "ready"}, {plain(""), ""}, {plain("ROLLBACK_IN_PROGRESS"), "rollback in progress"},
		{because("it failed", "hook."), "it failed: hook"}, {because("it failed", " "), "it failed"},
		{shortDigest(nil), "digest not known"}, {shortDigest([]string{digest, other}), short}, {shortDigest([]string{"sha256:abc"}), "sha256:abc"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want string
	}{
		{"one two three", 13, "one two three"},
		{"one  two\r\nthree", 13, "one two three"},
		{"what: how: where: why", 19, "what: … where: why"},
		{"what: how: where: why", 13, "what: … why"},
		{"what happened at great length: not found", 26, "what happened… not found"},
		{"one two three four five six", 20, "one two three four…"},
		{"one two three, four five", 16, "one two three…"},
		{"one twotwotwotwo", 12, "one…"},
		{strings.Repeat("x", 30), 13, "xxxxxxxxxxxx…"},
		{strings.Repeat("é", 30), 13, "éééééééééééé…"},
		{"", 13, ""},
	} {
		if got := shorten(tt.s, tt.n); got != tt.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}

// FuzzShorten: a shortened text is one line within its limit, of whole words from
// the original in their order.
func FuzzShorten(f *testing.F) {
	f.Add("service web: CannotPullContainerError: failed to resolve ref host/web:17: not found", 40)
	f.Add("a: b: c: d", 4)
	f.Add("ééé ééé: ééé", 6)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = 1 + max(n, -n)%500
		got := shorten(s, n)
		if utf8.RuneCountInString(got) > n || strings.ContainsAny(got, "\r\n") {
			t.Fatalf("shorten(%q, %d) = %q", s, n, got)
		}
		words := strings.Fields(s)
		if !utf8.ValidString(s) || strings.Contains(s, cut) || utf8.RuneCountInString(strings.Join(words, " ")) <= n {
			return
		}
		kept := strings.Fields(strings.ReplaceAll(got, cut, " "))
		if len(kept) == 1 && len(strings.Fields(got)) == 1 {
			return // one word, which may have been cut
		}
		for _, word := range kept { // each is there, in this order
			i := 0
			for i < len(words) && strings.TrimRight(words[i], ",;:") != strings.TrimRight(word, ",;:") {
				i++
			}
			if i == len(words) {
				t.Fatalf("shorten(%q, %d) = %q: %q is no word of it", s, n, got, word)
			}
			words = words[i+1:]
		}
	})
}
