// Environment variables of containers: NAME=value, one per line, or NAME<<EOF and
// lines up to EOF. An error shows the name alone, for the value may be a secret
// that was put into the wrong place, and no more of a line than can be a name:
// the rest of a value that was wrapped is part of a secret, too.
//
// One rule for blanks: those around a line and around the value behind the first
// = do not count; between NAME<<EOF and EOF everything does.

package input

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"ecsdeploy/pkg/mistake"
)

// Variable is an environment variable or a secret of a container.
//
// Whether what stands before the first colon of a name is a container or a part
// of the name is known only with the task definition: ConnectionStrings:Default
// is a name in .NET. Where the definition has no container called Container, and
// that has an upper-case letter, both parts together, with the colon, are the name
// of a variable of the container that gets the new image; see taskdef.Variable.
// Container is empty where the name has no such part.
type Variable struct{ Container, Name, Value string }

// VariableName names an environment variable of a container, as in [Variable].
type VariableName struct{ Container, Name string }

// variableName is what a name may be: letters, digits and _ as in shells, and
// the dots, dashes and colons of .NET, Java and others.
var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:-]*$`)
	yamlPair     = regexp.MustCompile(`^['"]?([A-Za-z_][A-Za-z0-9_.-]*)['"]?:(\s|$)`)
	heredoc      = regexp.MustCompile(`^([^=\s]+)<<['"]?([A-Za-z_][A-Za-z0-9_]*)['"]?$`)
	anyHeredoc   = regexp.MustCompile(`^([^=\s<]+?)\s*(?:=\s*)?<<\s*[-~]?\s*['"]?([A-Za-z_][A-Za-z0-9_]*)['"]?$`) // as shells and Terraform have it
	exported     = regexp.MustCompile(`^(export|set)\s+[A-Za-z_]`)
	shouted      = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
	base64Text   = regexp.MustCompile(`^[A-Za-z0-9+/]+$`)
	base64End    = regexp.MustCompile(`^[A-Za-z0-9+/]*={0,2}$`)
)

const (
	variableForm = "expected NAME=value or container:NAME=value"
	removalForm  = "expected NAME or container:NAME"
)

// parseVariable takes NAME=value and container:NAME=value. Everything behind the
// first = is the value, quotation marks included.
func parseVariable(text string) (Variable, error) {
	name, value, ok := strings.Cut(text, "=")
	switch m := yamlPair.FindStringSubmatch(text); {
	case m != nil:
		hint := "write " + m[1] + "=value"
		if ok && isName(m[1]) {
			hint += "; for a variable of container " + m[1] + " write " + m[1] + ":NAME=value, without a blank"
		}
		return Variable{}, wrong(hint, "%s is written as YAML; %s", m[1], variableForm)
	case strings.HasPrefix(text, "- "):
		return Variable{}, wrong("write one variable per line, without dashes", "this is an item of a YAML list; %s", variableForm)
	case !ok:
		return Variable{}, wrong("NAME= sets the empty value; for a value of several lines write NAME<<EOF, the lines, and EOF", "there is no =; %s", variableForm)
	case value == "=" || strings.ContainsAny(name, "+/") && base64End.MatchString(text):
		return Variable{}, wrong("write a value on one line, or NAME<<EOF, the lines, and EOF", "this is probably the rest of a value that was wrapped; %s", variableForm)
	}
	v, err := parseVariableName(name)
	if err != nil {
		return Variable{}, err
	}
	value = strings.TrimSpace(value)
	if unclosed(value) {
		return Variable{}, wrong("quotation marks are part of the value; for a value of several lines write NAME<<EOF, the lines, and EOF",
			"the value of %s begins with a quotation mark that is not closed; %s", v, variableForm)
	}
	return Variable{v.Container, v.Name, value}, nil
}

// unclosed reports whether a value begins with a quotation mark and has no other.
func unclosed(value string) bool {
	return value != "" && (value[0] == '"' || value[0] == '\'') && strings.IndexByte(value[1:], value[0]) < 0
}

func parseVariableName(text string) (VariableName, error) {
	container, name, prefixed := strings.Cut(text, ":")
	bare := strings.Trim(text, ` "'`)
	switch {
	case strings.Contains(text, "="):
		return VariableName{}, wrong("values are set in the input environment", "expected NAME or container:NAME, without a value")
	case text == "", prefixed && name == "":
		return VariableName{}, wrong("for instance LOG_LEVEL=debug", "the name of the variable is missing")
	case prefixed && isName(container) && (variableName.MatchString(name) || variableName.MatchString(text) && !strings.HasSuffix(text, ":")):
		return VariableName{container, name}, nil
	case variableName.MatchString(text) && !strings.HasSuffix(text, ":"):
		return VariableName{"", text}, nil
	case strings.HasPrefix(text, "#"):
		return VariableName{}, wrong("remove the line: the input has no comments", "a line that begins with # is not a variable; %s", variableForm)
	case exported.MatchString(text):
		return VariableName{}, wrong("remove the word before the name", "this is a command of a shell; %s", variableForm)
	case bare != text && variableName.MatchString(bare):
		return VariableName{}, wrong("write "+bare+"=value, without blanks or quotation marks around the name", "the name %s has blanks or quotation marks around it; %s", shown(bare), variableForm)
	case bare != "" && bare[0] >= '0' && bare[0] <= '9' && variableName.MatchString("_"+bare) && len(bare) <= 40:
		return VariableName{}, wrong("begin it with a letter or _", "the name %s begins with a digit; %s", shown(bare), variableForm)
	case len(text) <= 40 && !strings.ContainsAny(text, "+/\"'{}"): // which values have, and names have not
		return VariableName{}, wrong("names have letters, digits, _ . - and :", "%s is not the name of a variable; %s", shown(text), variableForm)
	}
	return VariableName{}, wrong("names have letters, digits, _ . - and :", "what stands before the = is not the name of a variable; %s", variableForm)
}

// parseRemoval takes NAME and container:NAME. No more of a line is shown than can be a
// name, since a value may stand there by mistake.
func parseRemoval(text string) (VariableName, error) {
	switch {
	case strings.HasPrefix(text, "- "):
		return VariableName{}, wrong("write one name per line, without dashes", "this is an item of a YAML list; %s", removalForm)
	case strings.ContainsAny(text, ",; \t") && !strings.Contains(text, "="):
		return VariableName{}, wrong("write one name per line", "the line has more than a name; %s", removalForm)
	}
	v, err := parseVariableName(text)
	if m, ok := errors.AsType[*mistake.Error](err); ok {
		withoutValue := strings.NewReplacer("=value", "", "LOG_LEVEL=debug", "LOG_LEVEL")
		return v, wrong(withoutValue.Replace(m.Advice), "%s", withoutValue.Replace(m.Text))
	}
	return v, nil
}

// String is the name with what stands before its colon.
func (v VariableName) String() string {
	if v.Container == "" {
		return v.Name
	}
	return v.Container + ":" + v.Name
}

// key names the variable for comparisons. Without a container it belongs to
// those that the input container names, of which there is rarely more than one.
func (v VariableName) key(containers []string) string {
	if len(containers) == 1 && v.Container == containers[0] {
		return v.Name
	}
	return v.String()
}

// environment parses the input environment.
func (l *loader) environment(name, input string, key func(Variable) string) (all []Variable) {
	lines := strings.Split(newlines.Replace(input), "\n")
	if text := strings.TrimSpace(input); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		l.fail(name, 0, wrong("write one variable per line, without braces and quotation marks around names", "this is written as JSON; %s", variableForm))
		return nil
	}
	first := map[string]int{}
	before := "" // the value in the line before, where it was not followed by a blank line
	for i := 0; i < len(lines); i++ {
		number, line := i+1, strings.TrimSpace(lines[i])
		if line == "" {
			before = ""
			continue
		}
		var v Variable
		var err error
		if m := heredoc.FindStringSubmatch(line); m != nil {
			var block []string
			closed := false
			for i++; i < len(lines) && !closed; i++ {
				if closed = strings.TrimSpace(lines[i]) == m[2]; !closed {
					block = append(block, lines[i])
				}
			}
			i--
			v, err = multiline(name, m[1], m[2], strings.Join(block, "\n"), closed)
		} else if end, err2 := otherHeredoc(line, lines[i+1:]); err2 != nil {
			i, err = i+end, err2
		} else if continues(before, line) {
			err = wrong("write a value on one line, or NAME<<EOF, the lines, and EOF", "this is probably the rest of the value in line %d, which was wrapped; %s", i, variableForm)
		} else {
			v, err = item(name, line, parseVariable)
		}
		before = v.Value
		if k := key(v); err == nil && first[k] > 0 {
			err = wrong("remove one of the two lines", "%s is there already, in line %d", k, first[k])
		} else if err == nil {
			first[k] = number
		}
		if err != nil {
			l.fail(name, number, err)
			continue
		}
		all = append(all, v)
	}
	return all
}

// otherHeredoc refuses a value of several lines that begins as it does elsewhere:
// A << EOF, A<<-EOF, A=<<EOF. skipped counts the lines behind it that are part of the
// value, of which nothing may be taken for a name.
func otherHeredoc(line string, rest []string) (skipped int, err error) {
	m := anyHeredoc.FindStringSubmatch(line)
	if m == nil {
		return 0, nil
	}
	end := slices.IndexFunc(rest, func(line string) bool { return strings.TrimSpace(line) == m[2] })
	if end < 0 {
		return 0, nil // a value that ends so
	}
	name := "NAME"
	if v, err := parseVariableName(m[1]); err == nil {
		name = v.String()
	}
	return end + 1, wrong("write "+name+"<<"+m[2]+", without blanks or other characters", "a value of several lines begins with NAME<<%s", m[2])
}

// multiline is the variable of NAME<<EOF and the lines that follow it.
func multiline(input, name, end, value string, closed bool) (Variable, error) {
	v, err := parseVariableName(name)
	switch {
	case err != nil:
		return Variable{}, err
	case !closed:
		return Variable{}, wrong("end the value with a line that has only "+end, "the value of %s has no end: no line %s follows", v, end)
	}
	return Variable{v.Container, v.Name, value}, expanded(input, value)
}

// continues reports whether a line is the rest of the base64 value before it,
// which tools wrap after 64 or 76 characters. Its = is padding then.
func continues(before, line string) bool {
	width := len(before)
	if width != 64 && width != 76 || !base64Text.MatchString(before) || !base64End.MatchString(line) || len(line) > width {
		return false
	}
	name := strings.TrimRight(line, "=")
	return name != line && len(line)%4 == 0 && !shouted.MatchString(name)
}

var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// A bare name of a parameter, which ECS would take as well, cannot be told from
// a secret that was pasted here by mistake.
// Source: Amazon ECS API, Secret, valueFrom.
var valueFrom = regexp.MustCompile(`^(arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|ssm:[a-z0-9-]+:[0-9]{12}:parameter/)\S+|/[A-Za-z0-9_./-]+)$`)

func parseSecret(text string) (Variable, error) {
	v, err := parseVariable(text)
	if err != nil {
		return Variable{}, err
	}
	if !valueFrom.MatchString(v.Value) {
		return Variable{}, wrong("for instance DB_PASSWORD=arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
			"the value of %s is not the ARN of a secret or parameter, nor the /name of a parameter", VariableName{v.Container, v.Name})
	}
	return v, nil
}
