package agent

// Macro expansion: $(name) (VarUtil.ExpandValues and Agent.Worker/Variables.cs).

import "strings"

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

// expandVariables expands variables in variables, to any depth. A reference to a variable that is being expanded stays.
func expandVariables(variables map[string]string) map[string]string {
	expanded := make(map[string]string, len(variables))
	open := map[string]bool{}
	var resolve func(name string) (string, bool)
	resolve = func(name string) (string, bool) {
		value, ok := lookupFold(variables, name)
		key := strings.ToLower(name)
		if !ok || open[key] {
			return "", false
		}
		open[key] = true
		defer delete(open, key)
		return expandWith(value, resolve), true
	}
	for name := range variables {
		expanded[name], _ = resolve(name)
	}
	return expanded
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
