package input

import (
	"slices"
	"strconv"
	"testing"
)

func TestParseOrder(t *testing.T) {
	a, b, c, other := Service{"dev", "a"}, Service{"dev", "b"}, Service{"dev", "c"}, Service{"prod", "c"}
	services := []Service{a, b, c, other}
	const arn = "arn:aws:ecs:eu-west-1:123456789012:service/"
	for text, want := range map[string][]Precedence{
		"a before b":                      {{a, b}},
		"b  before dev/a":                 {{b, a}},
		"a before b before prod/c":        {{a, b}, {b, other}},
		arn + "dev/a before " + arn + "b": {{a, b}}, // the new form and the old one
		arn + "prod/c before b":           {{other, b}},
		arn + "prod/a before b":           nil,
		"dev/a/x before b":                nil,
		"arn:aws:s3:::a before b":         nil,
		"a":                               nil,
		"a b":                             nil,
		"a before":                        nil,
		"before a b":                      nil,
		"a after b":                       nil,
		"a before c":                      nil, // of which cluster?
		"a before nope":                   nil,
		"a before b before":               nil,
		"dev/a before dev/c before c ":    nil,
	} {
		got, err := parseOrder(text, services)
		if !slices.Equal(got, want) && err == nil || (err != nil) != (want == nil) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestCircle(t *testing.T) {
	a, b, c := Service{"dev", "a"}, Service{"dev", "b"}, Service{"dev", "c"}
	for _, tt := range []struct {
		order []Precedence
		want  bool
	}{
		{nil, false}, {[]Precedence{{a, b}, {b, c}, {a, c}}, false}, {[]Precedence{{a, a}}, true},
		{[]Precedence{{a, b}, {b, c}, {c, a}}, true}, {[]Precedence{{a, b}, {b, c}, {c, b}}, true},
	} {
		if _, got := circle(tt.order); got != tt.want {
			t.Errorf("%v: %v", tt.order, got)
		}
	}
}

// TestCircleOfManyWays: an order in which many ways lead from the first service to the
// last is looked through once.
func TestCircleOfManyWays(t *testing.T) {
	var order []Precedence
	for i := range 60 {
		for _, from := range []string{"a", "b"} {
			for _, to := range []string{"a", "b"} {
				order = append(order, Precedence{Service{"dev", from + strconv.Itoa(i)}, Service{"dev", to + strconv.Itoa(i+1)}})
			}
		}
	}
	if s, circular := circle(order); circular {
		t.Error(s)
	}
	if _, circular := circle(append(order, Precedence{Service{"dev", "b60"}, Service{"dev", "a0"}})); !circular {
		t.Error("a circle of all was not found")
	}
}

// FuzzParseOrder: what is taken names services of the step only.
func FuzzParseOrder(f *testing.F) {
	f.Add("a before b")
	f.Add("dev/a before a")
	f.Fuzz(func(t *testing.T, text string) {
		services := []Service{{"dev", "a"}, {"dev", "b"}}
		got, err := parseOrder(text, services)
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%q: %v, %v", text, got, err)
		}
		for _, p := range got {
			if !slices.Contains(services, p.First) || !slices.Contains(services, p.Then) {
				t.Fatalf("%q: %v", text, p)
			}
		}
	})
}
