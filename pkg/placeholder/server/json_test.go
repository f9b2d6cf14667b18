package main

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestStringMembers(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       map[string]string // nil: no JSON object
	}{
		{"strings and others", `{"a": "b", "n": -1.5e+3, "o": {"a": "inner"}, "l": ["x", [], {}], "t": true, "f": false, "z": null}`, map[string]string{"a": "b"}},
		{"nothing", ` {} `, map[string]string{}},
		{"escapes", `{"a\"": "\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, map[string]string{`a"`: "\\/\b\f\n\r\té😀"}},
		{"half a surrogate pair", `{"a": "\ud83dx\ude00\ud83d\u0041"}`, map[string]string{"a": "\ufffdx\ufffd\ufffdA"}},
		{"the last of two", `{"a": "b", "a": "c"}`, map[string]string{"a": "c"}},
		{"a number after all", `{"a": "b", "a": 1}`, map[string]string{}},
		{"deep", `{"a": ` + strings.Repeat("[", 90) + strings.Repeat("]", 90) + `}`, map[string]string{}},

		{"too deep", `{"a": ` + strings.Repeat("[", 100_000) + `}`, nil},
		{"empty", ``, nil},
		{"an array", `[]`, nil},
		{"two objects", `{}{}`, nil},
		{"cut", `{"a": "b`, nil},
		{"cut in an escape", `{"a": "\`, nil},
		{"cut in a number", `{"a": -`, nil},
		{"a leading zero", `{"a": 01}`, nil},
		{"a comma too many", `{"a": 1,}`, nil},
		{"no comma", `{"a": 1 "b": 2}`, nil},
		{"no colon", `{"a" 1}`, nil},
		{"a name without quotes", `{a: 1}`, nil},
		{"a line feed in a string", "{\"a\": \"\n\"}", nil},
		{"an unknown word", `{"a": nil}`, nil},
		{"an unknown escape", `{"a": "\x41"}`, nil},
		{"digits that are none", `{"a": "\u00g0"}`, nil},
		{"a web page", `<html>`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := stringMembers(test.text)
			if (err == nil) != (test.want != nil) || err == nil && !maps.Equal(got, test.want) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// The scanner agrees with encoding/json on what an object is, and on its strings.
func FuzzStringMembers(f *testing.F) {
	f.Add(`{"Cluster": "default", "TaskARN": "arn:aws:ecs:eu-west-1:123456789012:task/default/0a1b", "Limits": {"CPU": 0.25}}`)
	f.Add(`{"a": [1, 2.5e-3, {"b": null}], "\u00e9": "\ud83d\ude00"}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := stringMembers(text)
		var standard map[string]any
		if !utf8.ValidString(text) || strings.Count(text, "[")+strings.Count(text, "{") > maxDepth/2 {
			return // what each makes of broken text, and how deep it goes, may differ
		}
		errStandard := json.Unmarshal([]byte(text), &standard)
		if errStandard == nil && standard == nil {
			return // null, which is no object
		}
		if (err == nil) != (errStandard == nil) {
			t.Fatalf("got %v; encoding/json: %v", err, errStandard)
		}
		want := map[string]string{}
		for name, value := range standard {
			if s, isString := value.(string); isString {
				want[name] = s
			}
		}
		if err == nil && !maps.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
