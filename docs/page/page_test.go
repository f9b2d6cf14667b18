package page

import "testing"

func TestReplace(t *testing.T) {
	const text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb <!-- y: begin -->\n"
	got, err := replace(text, "x", "new\n\n")
	if want := "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb <!-- y: begin -->\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, part := range []string{"y", "z"} { // one without an end, and one that is not there
		if got, err := replace(text, part, ""); err == nil {
			t.Errorf("%s: got %q", part, got)
		}
	}
}
