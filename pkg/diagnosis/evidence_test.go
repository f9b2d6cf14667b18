package diagnosis

import (
	"strings"
	"testing"
)

// TestWithoutText: every hint that looks at a log still finds what it looks for, and
// nothing else of the log is there.
func TestWithoutText(t *testing.T) {
	log := []string{
		"/app: Exec format error (os error 8)", "sh: exec: /srv/run: No such file or directory", `exec: "node": executable file not found in $PATH`,
		"password=hunter22", " ",
	}
	got := WithoutText(log)
	for _, h := range taskHints() {
		if h.logPattern == nil {
			continue
		}
		for i, line := range log[:4] {
			if h.logPattern.MatchString(line) != h.logPattern.MatchString(got[i]) {
				t.Errorf("hint %q: %q and %q are not alike", h.log, line, got[i])
			}
		}
	}
	if text := strings.Join(got, "|"); text != "exec format error|exec: no such file or directory|executable file not found|…" {
		t.Error(text)
	}
}

// TestNormaliseTwice: normalising a text of AWS twice changes nothing more, so that
// one which is kept in this form is grouped in the same way again.
func TestNormaliseTwice(t *testing.T) {
	for _, text := range []string{
		"service call has been retried 1 time(s): RequestID: 0a1b2c3d-0000-4000-8000-000000000000", "task 0123456789abcdef0123456789abcdef in 10.0.0.1:5432->10.0.0.2",
		"attempt 3/5 at 2026-01-05T09:00:00Z", "(target-group arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/6d0ecf831eec9f09)", "a\u2028 b  c",
		strings.Repeat("long ", 1000),
	} {
		if once := Normalise(text); Normalise(once) != once {
			t.Errorf("%q, then %q", once, Normalise(once))
		}
	}
}
