package agent

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseCommand(t *testing.T) {
	tests := []struct {
		name string
		line string
		want string // area.event, the properties by name, the data; empty where there is no command
	}{
		{"plain", "##vso[task.debug]hello", `task.debug {} hello`},
		{"anywhere in the line", "2026-01-05 ##vso[task.debug]hello", `task.debug {} hello`},
		{"properties", "##vso[task.logissue type=error;code=E1]no", `task.logissue {code=E1 type=error} no`},
		{"property names ignore case", "##vso[task.setvariable Variable=a]b", `task.setvariable {variable=a} b`},
		{"the first = splits", "##vso[task.setvariable variable=a=b]c", `task.setvariable {variable=a=b} c`},
		{"but = right behind it is lost", "##vso[task.setvariable variable==b]c", `task.setvariable {variable=b} c`},
		{"a key without a value is not given", "##vso[task.setvariable variable=;isoutput=true]c", `task.setvariable {isoutput=true} c`},
		{"the first ] ends it", "##vso[task.debug]a]b", `task.debug {} a]b`},
		{"decoding", "##vso[task.setvariable variable=a%3Bb%5D]c%0D%0Ad%AZP25", "task.setvariable {variable=a;b]} c\r\nd%"},
		{"the percent sign is decoded last", "##vso[task.debug]%AZP250A", `task.debug {} %0A`},
		{"data decodes what only properties need", "##vso[task.debug]%3B%5D", `task.debug {} ;]`},
		{"case of the keyword matters", "##VSO[task.debug]hello", ""},
		{"no end", "##vso[task.debug hello", ""},
		{"no event", "##vso[task]hello", ""},
		{"three parts", "##vso[task.debug.more]hello", ""},
		{"empty parts do not count", "##vso[.task..debug]hello", `task.debug {} hello`},
		{"soft hyphen inside", "##v\u00adso[task.debug]hello", `task.debug {} hello`},
		{"zero-width spaces and joiners inside", "#\u200b#\u200dvso\ufeff\u2060[task.debug]hello", `task.debug {} hello`},
		{"a control character inside", "##v\x01\x7fso[task.debug]hello", `task.debug {} hello`},
		{"a space inside is a character", "## vso[task.debug]hello", ""},
		{"a tab inside is one, too", "##vso\t[task.debug]hello", ""},
		{"only an incomplete one", "##vso##vs[o", ""},
		{"a false start", "###vso[task.debug]hello", `task.debug {} hello`},
		{"a false start of several", "##vs##vso[task.debug]hello", `task.debug {} hello`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			command, found := parseCommand(tt.line)
			got := ""
			if found {
				got = describe(command)
			}
			if got != tt.want {
				t.Errorf("%q\n got %q\nwant %q", tt.line, got, tt.want)
			}
		})
	}
}

func describe(c Command) string {
	return c.Area + "." + c.Event + " {" + strings.Join(sorted(c.Properties), " ") + "} " + c.Data
}

func sorted(m map[string]string) []string {
	e := environment{values: maps.Clone(m)}
	return e.list()
}

func FuzzParseCommand(f *testing.F) {
	f.Add("##vso[task.setvariable variable=a;isoutput=true]%AZP25")
	f.Add("##v\u00adso[a.b]")
	f.Add("##vso[ =;=]]")
	f.Fuzz(func(t *testing.T, line string) {
		command, found := parseCommand(line)
		if !found {
			return
		}
		if !holdsKeyword(line) {
			t.Errorf("%q holds a command but not its keyword", line)
		}
		if command.Area == "" || command.Event == "" {
			t.Errorf("%q gives a command without area or event: %+v", line, command)
		}
		for key, value := range command.Properties {
			if key == "" || value == "" {
				t.Errorf("%q gives an empty property: %q=%q", line, key, value)
			}
		}
		if utf8.ValidString(line) && !utf8.ValidString(command.Data) {
			t.Errorf("%q gives broken data %q", line, command.Data)
		}
	})
}
