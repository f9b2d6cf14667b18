package taskdef

// Variables of the pipeline in a file: $(Name), as Azure Pipelines writes them,
// and #{Name}#, as tasks that replace tokens do. They are replaced in strings of
// the document, so that no value can break it.

import (
	"regexp"

	"ecsdeploy/pkg/mistake"
)

// token is a reference to a variable: its name is a word with dots and dashes;
// behind a prefix of the agent's own it may have blanks, as an alias can.
var token = regexp.MustCompile(
	`\$\(([A-Za-z_][\w.-]*|(?i:agent|build|environment|pipeline|release|resources|system)\.[^()\r\n]+)\)` +
		`|#\{\s*([A-Za-z_][^{}#\r\n]*?)\s*\}#`)

// expand replaces the variables in the strings of a value. A number or boolean
// that ECS wants may be a string with a variable in the file.
func expand(at string, v value, r *rule, lookup Lookup) (value, []*mistake.Error) {
	var wrong []*mistake.Error
	if lookup == nil {
		return v, nil
	}
	if v.kind == text {
		before := v.str()
		after := token.ReplaceAllStringFunc(before, func(reference string) string {
			groups := token.FindStringSubmatch(reference)
			name := groups[1] + groups[2]
			replacement, secret, ok := lookup(name)
			switch {
			case secret:
				wrong = append(wrong, finding(at, v, "keep the value in Secrets Manager or Parameter Store and name it in secrets",
					"refers to the secret variable %s: everybody who may describe the task definition could read it", name))
			case !ok:
				wrong = append(wrong, finding(at, v, "define it where this step can see it, or correct its name; for the substitution of a shell write backquotes",
					"refers to the variable %s, which this run does not have", name))
			case token.MatchString(replacement): // the agent expands what it knows
				wrong = append(wrong, finding(at, v, "define it where this step can see it, or correct its name in that variable; for the substitution of a shell write backquotes",
					"refers to the variable %s, whose value refers to %s, which this run does not have", name, token.FindString(replacement)))
			}
			return replacement
		})
		if before != after {
			v.raw = quote(after)
			if typed, ok := scalarOf(r.kind, after); ok && (r.kind == number || r.kind == boolean) {
				v.kind, v.raw = r.kind, typed
			}
		}
		return v, wrong
	}
	v = v.each(r, func(place string, part value, r *rule) value {
		part, more := expand(at+place, part, r, lookup)
		wrong = append(wrong, more...)
		return part
	})
	return v, wrong
}
