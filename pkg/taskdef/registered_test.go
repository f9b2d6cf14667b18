package taskdef

import "testing"

func TestRegisteredBy(t *testing.T) {
	for body, want := range map[string]string{
		`{"family":"f","registeredBy":"arn:aws:iam::1:user/a","containerDefinitions":[{"name":"c"}]}`: "arn:aws:iam::1:user/a",
		`{"family":"f","containerDefinitions":[{"name":"c"}]}`:                                        "",
	} {
		d, err := Parse([]byte(body))
		if got := d.RegisteredBy(); err != nil || got != want {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
}
