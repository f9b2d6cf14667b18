package input

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/mistake"
)

func TestParseVariable(t *testing.T) {
	for text, want := range map[string]Variable{
		"A=":                          {"", "A", ""},
		"A==b=":                       {"", "A", "=b="},
		"A= b ":                       {"", "A", "b"},
		"web:A=x:y":                   {"web", "A", "x:y"},
		"A=x:y":                       {"", "A", "x:y"},
		"web:A:B=1":                   {"web", "A:B", "1"},
		"a.b-c__d=1":                  {"", "a.b-c__d", "1"},
		"A={\"b\":1}":                 {"", "A", `{"b":1}`},
		"JSON={\"a\": [1], \"b\": 2}": {"", "JSON", `{"a": [1], "b": 2}`},
		"URL=https://u@h/?q=1&r=%20":  {"", "URL", "https://u@h/?q=1&r=%20"},
		"Q=\"a b\"":                   {"", "Q", `"a b"`},
		"HEIGHT=5\"":                  {"", "HEIGHT", `5"`},
		"ConnectionStrings:Default=Server=db;Pwd=a=b": {"ConnectionStrings", "Default", "Server=db;Pwd=a=b"},
		"app:ConnectionStrings:Default=x":             {"app", "ConnectionStrings:Default", "x"},
		"Servers:0:Host=x":                            {"Servers", "0:Host", "x"},
		"My.Setting:Level=x":                          {"", "My.Setting:Level", "x"},
	} {
		if got, err := parseVariable(text); err != nil || got != want {
			t.Errorf("parseVariable(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

// What is wrong is shown with the name alone, and with what to write instead.
func TestParseVariableMistakes(t *testing.T) {
	for text, want := range map[string][2]string{
		"secret-value":             {"there is no =", "NAME<<EOF"},
		"NODE_ENV: secret-value":   {"NODE_ENV is written as YAML", "write NODE_ENV=value"},
		"URL: secret-value?a=b":    {"URL is written as YAML", "write URL=value"},
		"app: TOKEN=secret-value":  {"app is written as YAML", "write app:NAME=value, without a blank"},
		`"URL": "secret-value"`:    {"URL is written as YAML", "write URL=value"},
		"- A=secret-value":         {"an item of a YAML list", "without dashes"},
		"#COMMENT=secret-value":    {"begins with #", "no comments"},
		`"QUOTED"=secret-value`:    {`the name "QUOTED" has blanks or quotation marks`, "write QUOTED=value"},
		"A =secret-value":          {`the name "A" has blanks`, "write A=value"},
		"1ST=secret-value":         {`the name "1ST" begins with a digit`, "letter or _"},
		"export A=secret-value":    {"a command of a shell", "remove the word"},
		"A$B=secret-value":         {`"A$B" is not the name`, "letters, digits"},
		"A[0]=secret-value":        {`"A[0]" is not the name`, "letters, digits"},
		"=secret-value":            {"name of the variable is missing", "LOG_LEVEL"},
		"web:=secret-value":        {"name of the variable is missing", "LOG_LEVEL"},
		":A=secret-value":          {`":A" is not the name`, "letters, digits"},
		`A="secret-value`:          {"the value of A begins with a quotation mark that is not closed", "NAME<<EOF"},
		`A='secret-value`:          {"not closed", "NAME<<EOF"},
		"c2VjcmV0LXZhbHVl==":       {"the rest of a value that was wrapped", "NAME<<EOF"},
		"c2Vjc+V0L/ZhbHVl=":        {"the rest of a value that was wrapped", "NAME<<EOF"},
		"":                         {"there is no =", "NAME<<EOF"},
		`{"A": "secret=x", "B":1}`: {"is not the name", "letters, digits"},
		`my"secret=value`:          {"is not the name", "letters, digits"},
		"{secret, c2V}=value":      {"is not the name", "letters, digits"},
	} {
		_, err := parseVariable(text)
		m, ok := err.(*mistake.Error)
		if !ok || !strings.Contains(m.Text, want[0]) || !strings.Contains(m.Advice, want[1]) {
			t.Errorf("parseVariable(%q): %v; want %q", text, err, want)
			continue
		}
		if said := m.Text + m.Advice; strings.Contains(said, "secret") || strings.Contains(said, "c2V") {
			t.Errorf("parseVariable(%q) shows the value: %s", text, said)
		}
		if m.Advice != "" && !strings.Contains(m.Text, "=") && !strings.Contains(m.Text, "missing") {
			t.Errorf("parseVariable(%q) does not show the form: %s", text, m.Text)
		}
	}
}

// What is wrong with a name to remove does not ask for a value.
func TestParseRemoval(t *testing.T) {
	for text, want := range map[string]VariableName{"A": {"", "A"}, "app:A": {"app", "A"}, "Logging:Level": {"Logging", "Level"}} {
		if got, err := parseRemoval(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string][2]string{
		"A,B":             {"more than a name", "one name per line"},
		"A; B":            {"more than a name", "one name per line"},
		"A secret":        {"more than a name", "one name per line"},
		"A: secret-value": {"more than a name", "one name per line"},
		"- A":             {"an item of a YAML list", "without dashes"},
		"A=secret-value":  {"without a value", "the input environment"},
		`"A"`:             {`the name "A" has blanks or quotation marks`, "write A, without"},
		"1A":              {`the name "1A" begins with a digit`, "letter or _"},
		"A$B":             {`"A$B" is not the name`, "letters, digits"},
		"app:":            {"is missing", "for instance LOG_LEVEL"},
	} {
		_, err := parseRemoval(text)
		m, ok := err.(*mistake.Error)
		if !ok || !strings.Contains(m.Text, want[0]) || !strings.Contains(m.Advice, want[1]) {
			t.Errorf("%q: %v; want %q", text, err, want)
			continue
		}
		if said := m.Text + m.Advice; strings.Contains(said, "secret") || strings.Contains(said, "=") {
			t.Errorf("%q: shows the value, or asks for one: %s; %s", text, m.Text, m.Advice)
		}
	}
}

func TestEnvironmentOfSeveralLines(t *testing.T) {
	key := func(v Variable) string { return VariableName{v.Container, v.Name}.String() }
	const width = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4"
	for name, test := range map[string]struct {
		text  string
		want  []Variable
		lines []int // of mistakes
	}{
		"a value of lines":        {"A=1\nCERT<<EOF\n-----BEGIN-----\n line \n\nEOF\nB=2", []Variable{{"", "A", "1"}, {"", "CERT", "-----BEGIN-----\n line \n"}, {"", "B", "2"}}, nil},
		"of a container":          {"web:A<<X\na=b\nX", []Variable{{"web", "A", "a=b"}}, nil},
		"of no lines":             {"A<<EOF\r\nEOF", []Variable{{"", "A", ""}}, nil},
		"without an end":          {"A<<EOF\nx\ny", nil, []int{1}},
		"with a wrong name":       {"1A<<EOF\nx\nEOF\nB=1", []Variable{{"", "B", "1"}}, []int{1}},
		"twice":                   {"A=1\nA<<EOF\nx\nEOF", []Variable{{"", "A", "1"}}, []int{2}},
		"a macro in it":           {"A<<EOF\n$(Missing)\nEOF", nil, []int{1}},
		"not a marker":            {"A=b<<EOF", []Variable{{"", "A", "b<<EOF"}}, nil},
		"a wrapped key":           {"KEY=" + width + "\nOWFiY2RlZg==", []Variable{{"", "KEY", width}}, []int{2}},
		"wrapped, one padding":    {"KEY=" + width + "\nOWFiY2Rl1Zg=", []Variable{{"", "KEY", width}}, []int{2}},
		"wrapped, no padding":     {"KEY=" + width + "\nOWFiY2Rl", []Variable{{"", "KEY", width}}, []int{2}},
		"an empty value after":    {"KEY=" + width + "\nDEBUGGER=", []Variable{{"", "KEY", width}, {"", "DEBUGGER", ""}}, nil},
		"as in shells":            {"A<<-EOF\nOWF=1\nOWF2\nEOF\nB=1", []Variable{{"", "B", "1"}}, []int{1}},
		"with blanks":             {"A << 'EOF'\nOWF=1\nEOF", nil, []int{1}},
		"as in Terraform":         {"A = <<~EOF\nOWF b c=1\nEOF\n", nil, []int{1}},
		"a value that ends so":    {"A=<<EOF\nB=1", []Variable{{"", "A", "<<EOF"}, {"", "B", "1"}}, nil},
		"JSON":                    {"{\n  \"OWF\": \"OWF=1\"\n}", nil, []int{0}},
		"JSON in one line":        {`[{"name":"A","value":"OWF=1"}]`, nil, []int{0}},
		"a blank line in between": {"KEY=" + width + "\n\nOWFiY2Rl1Zg=", []Variable{{"", "KEY", width}, {"", "OWFiY2Rl1Zg", ""}}, nil},
	} {
		l := &loader{}
		got := l.environment("environment", test.text, key)
		var lines []int
		for _, err := range l.mistakes {
			m := err.(*mistake.Error)
			lines = append(lines, m.Line)
			if strings.Contains(m.Text+m.Advice, "OWF") {
				t.Errorf("%s: shows the value: %v", name, m)
			}
		}
		if !reflect.DeepEqual(got, test.want) || !slices.Equal(lines, test.lines) {
			t.Errorf("%s: %q, mistakes in lines %v %v; want %q, %v", name, got, lines, l.mistakes, test.want, test.lines)
		}
	}
}

// What the parser accepts can be written again from it, but for blanks around
// the value; what it refuses is not shown beyond what may be a name.
func FuzzParseVariable(f *testing.F) {
	for _, seed := range []string{"A=1", "web:A==", "A", "a b=c", ":=", "#=", "web:A:B=x=y:z", "A: b", `"A"=b`, "x==", "A= b "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseVariable(text)
		if err != nil {
			if name, value, ok := strings.Cut(text, "="); ok && len(value) > 8 && !strings.Contains(name, value) && strings.Contains(err.Error(), value) {
				t.Errorf("parseVariable(%q) shows the value: %v", text, err)
			}
			return
		}
		name, value, _ := strings.Cut(text, "=")
		if (VariableName{v.Container, v.Name}).String() != name || strings.TrimSpace(value) != v.Value || v.Name == "" || strings.Contains(v.Name, "=") {
			t.Errorf("parseVariable(%q) = %+v", text, v)
		}
	})
}
