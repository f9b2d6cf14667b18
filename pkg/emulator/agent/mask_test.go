package agent

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	tests := []struct {
		name, text, want string
		secrets          []string
	}{
		{name: "nothing to hide", text: "plain", want: "plain"},
		{name: "each occurrence", secrets: []string{"key"}, text: "key=key!", want: "***=***!"},
		{name: "adjacent ones become one", secrets: []string{"key"}, text: "keykey", want: "***"},
		{name: "overlapping ones become one", secrets: []string{"abc", "cde"}, text: "xabcdex", want: "x***x"},
		{name: "one inside another", secrets: []string{"b", "abc"}, text: "abcb", want: "***"},
		{name: "a secret that overlaps itself", secrets: []string{"aa"}, text: "aaa", want: "***"},
		{name: "its JSON spelling", secrets: []string{`a"b`}, text: `{"k":"a\"b"}`, want: `{"k":"***"}`},
		{name: "its URL spelling", secrets: []string{"a/b c"}, text: "?k=a%2Fb%20c&", want: "?k=***&"},
		{name: "a password in a URL", text: "tcp://me:pw@host and https://host:443/@", want: "tcp://me:***@host and https://host:443/@"},
		{name: "several lines of one message", secrets: []string{"a\nb"}, text: "xa\nbx", want: "x***x"},
		{name: "without backslashes", secrets: []string{`a\\b\"`}, text: `a\b"`, want: "***"},
		{name: "without quotes", secrets: []string{`"quoted"`}, text: `quoted`, want: "***"},
		{name: "a common word", secrets: []string{"true"}, text: "wait: true", want: "wait: ***"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m masker
			for _, secret := range tt.secrets {
				m.add(secret)
			}
			if got := m.mask(tt.text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzMask(f *testing.F) {
	f.Add("hunter2", "2ret", "pass hunter2ret hunter2")
	f.Fuzz(func(t *testing.T, a, b, text string) {
		var m masker
		m.add(a)
		m.add(b)
		got := m.mask(text)
		for _, secret := range []string{a, b} {
			// A secret that *** can be part of may seem to stand in the result.
			if secret != "" && !strings.Contains(secret, "*") && strings.Contains(text, secret) && strings.Count(got, "***") == 0 {
				t.Errorf("mask(%q) = %q leaves %q", text, got, secret)
			}
		}
		for part := range strings.SplitSeq(got, "***") {
			if a != "" && strings.Contains(part, a) || b != "" && strings.Contains(part, b) {
				t.Errorf("mask(%q) = %q leaves a secret in %q", text, got, part)
			}
		}
	})
}
