package agent

// Macro expansion: $(name) (VarUtil.ExpandValues and Agent.Worker/Variables.cs).

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
)

// expand replaces each $(name) that names a variable, ignoring case. A macro of another name stays as it is, and a value
// that is put in is not expanded again.
func expand(text string, variables map[string]string) string {
	return expandWith(text, func(name string) (string, bool) { return lookupFold(variables, name) })
}

func expandWith(text string, lookup func(name string) (string, bool)) string {
	var out strings.Builder
	for {
		start := strings.Index(text, "$(")
		if start < 0 {
			break
		}
		length := strings.Index(text[start:], ")")
		if length < 0 {
			break
		}
		value, ok := lookup(text[start+2 : start+length])
		if !ok { // the next candidate may begin inside this one: $(a$(b)
			out.WriteString(text[:start+1])
			text = text[start+1:]
			continue
		}
		out.WriteString(text[:start])
		out.WriteString(value)
		text = text[start+length+1:]
	}
	out.WriteString(text)
	return out.String()
}

// expandMachine replaces macros that name a variable of the machine, whose case counts except on Windows.
func expandMachine(text string, machine map[string]string) string {
	return expandWith(text, func(name string) (string, bool) {
		if runtime.GOOS == "windows" {
			return lookupFold(machine, name)
		}
		value, ok := machine[name]
		return value, ok && name != ""
	})
}

// maxDepth is how deep variables may refer to variables (Agent.Worker/Variables.cs).
const maxDepth = 50

// expandVariables expands variables in variables. One that refers to itself, or too deep, stays as it is, and problems
// says so. secret, by names in lower case, gains each variable that a secret one is put into.
func expandVariables(variables map[string]string, secret map[string]bool) (expanded map[string]string, problems []string) {
	expanded = make(map[string]string, len(variables))
	for _, top := range slices.Sorted(maps.Keys(variables)) {
		open := map[string]bool{}
		problem := ""
		var resolve func(name string) (string, bool)
		resolve = func(name string) (string, bool) {
			value, ok := lookupFold(variables, name)
			key := strings.ToLower(name)
			switch {
			case !ok:
				return "", false
			case open[key]:
				problem = "refers to itself"
				return "", false
			case len(open) > maxDepth:
				problem = "refers to variables that refer to others more than 50 times"
				return "", false
			case secret[key]:
				secret[strings.ToLower(top)] = true
			}
			open[key] = true
			defer delete(open, key)
			return expandWith(value, resolve), true
		}
		expanded[top], _ = resolve(top)
		if problem != "" {
			expanded[top] = variables[top]
			problems = append(problems, fmt.Sprintf("variable %q %s and was not expanded", top, problem))
		}
	}
	return expanded, problems
}

func lookupFold(variables map[string]string, name string) (string, bool) {
	if value, ok := variables[name]; ok {
		return value, name != ""
	}
	for other, value := range variables {
		if strings.EqualFold(other, name) {
			return value, name != ""
		}
	}
	return "", false
}
