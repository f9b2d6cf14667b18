package taskdef

// Task definitions that people keep in files, as JSON or YAML. A file is checked
// more closely than what ECS answers, for it was written by hand: a mistake
// should be known with its line before anything is pushed or registered.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ecsdeploy/pkg/mistake"
)

// maxNodes bounds what the aliases of a YAML file may grow to.
const maxNodes = 100_000

// A Lookup finds a variable of the pipeline. Of a secret one it gives no value.
type Lookup func(name string) (value string, secret, ok bool)

// ParseFile reads a task definition from a file of the given name: YAML where it
// ends in .yaml or .yml, JSON where it ends in .json, and otherwise JSON where it
// begins with a brace. It takes the input of RegisterTaskDefinition, the answer of
// DescribeTaskDefinition, and the AWS::ECS::TaskDefinition of a CloudFormation
// template. The error joins a [*mistake.Error] for each thing that is wrong, which
// begins with the name of the file and the line.
//
// In strings, $(Name) and #{Name}# are replaced by the variables that lookup
// finds; nil leaves them as they are. A variable that does not exist, and one that
// is secret, is a mistake.
//
// Members that are null are left out, as in skeletons of the AWS CLI and exports
// of the console: in the AWS JSON protocol they mean the same. So are members
// whose names begin with x-, which hold anchors of YAML, and those that only ECS
// can set. Empty strings and lists stay, for they can mean something; where ECS
// refuses them, they are mistakes. Members that ECS knows must be of its type, and
// nothing is converted but a task's cpu and memory: YAML's "value: 8080" is a
// number where ECS wants a string. A member that differs from a known one by case
// or by a letter is a mistake; others that are not known stay, see
// [Definition.Unknown].
func ParseFile(name string, data []byte, lookup Lookup) (Definition, error) {
	in := func(err error, hint string) error {
		return mistake.New(mistake.TaskDefinition, hint, "%s: %s", name, err)
	}
	const form = "the file holds what aws ecs register-task-definition takes with --cli-input-json or --cli-input-yaml"
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // as Windows editors begin a file
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return Definition{}, in(errors.New("encoded as UTF-16; expected UTF-8"), "save the file as UTF-8; in Windows PowerShell with Out-File -Encoding utf8")
	}
	read := readYAML
	if isJSON(name, data) {
		read = readJSON
	}
	doc, err := read(data)
	if m, said := errors.AsType[*mistake.Error](err); said {
		return Definition{}, in(m, m.Advice)
	}
	if err != nil {
		return Definition{}, in(err, form)
	}
	if doc, err = fromTemplate(doc); err != nil {
		var errs []error
		for _, one := range mistake.Each(err) {
			errs = append(errs, in(one, "give the file of one task definition, with plain values"))
		}
		return Definition{}, errors.Join(errs...)
	}
	if doc = unwrapped(doc).without(readOnly...); doc.kind != object {
		_, err := newDefinition(doc)
		if doc.kind == list && len(doc.items) > 0 && doc.items[0].kind == object { // as Terraform takes them
			return Definition{}, in(err, "this looks like the containers alone: put them into containerDefinitions of an object that has family")
		}
		return Definition{}, in(err, form)
	}
	doc = tidy(withoutNulls(doc), taskDefinition)
	doc, wrong := expand("", doc, taskDefinition, lookup)
	wrong = append(wrong, misspelt("", doc, taskDefinition)...)
	strange := mistyped("", doc, taskDefinition)
	wrong = append(wrong, strange...)
	wrong = append(wrong, leftover("", doc, taskDefinition)...)
	if len(strange) == 0 {
		wrong = append(wrong, inconsistent(doc)...)
	}
	if len(wrong) == 0 {
		d, err := newDefinition(doc)
		if err != nil {
			return Definition{}, in(err, form)
		}
		return d, nil
	}
	var errs []error
	for _, m := range wrong {
		errs = append(errs, in(m, m.Advice))
	}
	return Definition{}, errors.Join(errs...)
}

func isJSON(name string, data []byte) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".json":
		return true
	case ".yaml", ".yml":
		return false
	}
	return bytes.HasPrefix(bytes.TrimSpace(data), []byte("{"))
}

// withoutNulls leaves out the members that are null.
func withoutNulls(v value) value {
	v.members = filter(v.members, func(m member) bool { return m.value.kind != null })
	for i, m := range v.members {
		v.members[i].value = withoutNulls(m.value)
	}
	v.items = slices.Clone(v.items)
	for i, item := range v.items {
		v.items[i] = withoutNulls(item)
	}
	return v
}

// tidy leaves out what only holds anchors, and writes sizes as strings.
func tidy(v value, r *rule) value {
	if r.unit != "" && v.kind == number {
		v.kind, v.raw = text, quote(canonicalNumber(v.raw))
	}
	if len(r.members) > 0 {
		v.members = filter(v.members, func(m member) bool { return !strings.HasPrefix(m.name, "x-") })
	}
	return v.each(r, func(_ string, v value, r *rule) value { return tidy(v, r) })
}

// each returns an object or a list with its parts changed; place names a
// part within the value: .name or [i].
func (v value) each(r *rule, change func(place string, part value, r *rule) value) value {
	v.members = slices.Clone(v.members)
	for i, m := range v.members {
		v.members[i].value = change("."+m.name, m.value, r.of(m.name))
	}
	v.items = slices.Clone(v.items)
	for i, item := range v.items {
		v.items[i] = change(fmt.Sprintf("[%d]", i), item, r.item())
	}
	return v
}

// finding is a mistake about a place in a file.
func finding(at string, v value, hint, format string, args ...any) *mistake.Error {
	return mistake.New(mistake.TaskDefinition, hint, "%s%s %s", v.at(), strings.TrimPrefix(at, "."), fmt.Sprintf(format, args...))
}

// mistyped finds members that are not of the type that ECS wants. Members that
// it knows and we do not may be anything.
func mistyped(at string, v value, r *rule) (found []*mistake.Error) {
	if r.kind != missing && v.kind != r.kind {
		return []*mistake.Error{finding(at, v, typeHint(v, r), "is %s, ECS wants %s", v.kind, r.kind)}
	}
	v.each(r, func(place string, part value, r *rule) value {
		found = append(found, mistyped(at+place, part, r)...)
		return part
	})
	return found
}

// typeHint says how to write a value of another type than ECS wants.
func typeHint(v value, r *rule) string {
	switch {
	case r.kind == text && (v.kind == number || v.kind == boolean):
		return "write it in quotes"
	case v.kind == text && r.kind == boolean: // yes and on are no booleans in YAML 1.2
		return "write true or false, without quotes"
	case v.kind == text && r.kind == number:
		return "write it without quotes"
	case v.kind == object && r.pair != "":
		return fmt.Sprintf("write a list of objects that have %s and %s", r.key, r.pair)
	case r.kind == object && (r.members["name"] != nil && r.members["value"] != nil && len(r.members) == 2):
		return "write an object that has name and value"
	case v.kind == text && r.kind == list && r.each.kind == text:
		return "write a list of strings"
	}
	return "types are those of the API's RegisterTaskDefinition"
}

// misspelt finds members that ECS does not know and that are, but for their case
// or a letter, ones that it knows.
func misspelt(at string, v value, r *rule) (found []*mistake.Error) {
	if r.each == nil && len(r.members) > 0 {
		known := slices.Collect(maps.Keys(r.members))
		slices.Sort(known)
		for _, m := range v.members {
			if near := mistake.Nearest(m.name, known); near != "" {
				found = append(found, finding(at+"."+m.name, m.value, "write "+near+"; the names of members are case-sensitive", "is not a member that ECS knows"))
				found = append(found, misspelt(at+"."+m.name, m.value, r.members[near])...)
			}
		}
	}
	v.each(r, func(place string, part value, r *rule) value {
		found = append(found, misspelt(at+place, part, r)...)
		return part
	})
	return found
}

// leftover finds what an edit or a skeleton left empty and ECS refuses.
func leftover(at string, v value, r *rule) (found []*mistake.Error) {
	const hint = "remove the member, or give it a value"
	switch {
	case r.filled && v.kind == text && v.str() == "":
		return []*mistake.Error{finding(at, v, hint, "is empty")}
	case len(r.needs) > 0 && v.kind == object && len(v.members) == 0:
		return []*mistake.Error{finding(at, v, hint, "is empty; ECS requires %s in it", strings.Join(r.needs, ", "))}
	case v.kind == object:
		for _, name := range r.needs {
			if v.get(name).kind == missing {
				found = append(found, finding(at, v, "add "+name+", or remove the member", "has no %s, which ECS requires", name))
			}
		}
	}
	v.each(r, func(place string, part value, r *rule) value {
		found = append(found, leftover(at+place, part, r)...)
		return part
	})
	return found
}

// Unknown lists the members that the AWS SDK does not know, in the order of the
// document, as "app.newMember". They are sent as they are, since ECS may have
// learnt them since; a plan should name them.
func (d Definition) Unknown() []string {
	return d.find(func(_ member, r *rule) bool { return r == unknown })
}

// Pins lists the members that say which images may run, such as the
// attestationPolicy of confidential tasks: who changes an image should know of
// them.
func (d Definition) Pins() []string {
	return d.find(func(m member, _ *rule) bool {
		name := strings.ToLower(m.name)
		filled := m.value.kind != null && len(m.value.members)+len(m.value.items)+len(m.value.raw) > 0
		return filled && slices.ContainsFunc(pins, func(part string) bool { return strings.Contains(name, part) })
	})
}

// pins are parts of the names of members that say which images may run, and of
// such as AWS may add. No other member that the AWS SDK knows has a name like it.
var pins = []string{"attestation", "imagedigest", "imagepolicy", "signature", "signing", "trustpolicy", "trustedimage", "allowedimage"}

// find lists the places of the members that match, without looking into those.
func (d Definition) find(match func(m member, r *rule) bool) (found []string) {
	var walk func(at string, v value, r *rule)
	walk = func(at string, v value, r *rule) {
		names := r.kind == object && r.each != nil // of the user's
		for _, m := range v.members {
			place := join(at, m.name)
			switch {
			case names, at == "" && slices.Contains(readOnly, m.name):
			case match(m, r.of(m.name)):
				found = append(found, place)
			default:
				walk(place, m.value, r.of(m.name))
			}
		}
		for i, item := range v.items {
			place := fmt.Sprintf("%s[%d]", at, i)
			if at == "containerDefinitions" {
				place = item.get("name").str()
			} else if key := item.get(r.key).str(); key != "" {
				place = at + " " + key
			}
			walk(place, item, r.item())
		}
	}
	walk("", d.doc, taskDefinition)
	return found
}

// Ignored lists what ECS left out of a definition that was sent, by comparing it
// with what it answered: members that it did not know, or did not take. Tags are
// not among them, for an answer need not have any.
func Ignored(sent, stored Definition) []string {
	var places []string
	for _, d := range Diff(sent, stored) {
		if d.New == "" && d.Old != "" && !strings.HasPrefix(d.Path, "tags") {
			places = append(places, d.Path)
		}
	}
	return places
}

// readYAML reads a YAML document as the JSON that it stands for.
func readYAML(data []byte) (value, error) {
	if len(data) > maxDocument {
		return value{}, fmt.Errorf("%d bytes; expected at most %d", len(data), maxDocument)
	}
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&doc); {
	case err == io.EOF:
		return value{}, errors.New("empty; expected a task definition")
	case err != nil:
		return value{}, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	for {
		var more yaml.Node
		err := decoder.Decode(&more)
		if err == io.EOF {
			break
		}
		if empty := len(more.Content) == 1 && more.Content[0].ShortTag() == "!!null"; err != nil || !empty { // as behind a --- at the end
			return value{}, fmt.Errorf("line %d: expected one document, found another", max(more.Line, 1))
		}
	}
	if reference := commented(&doc, data); reference != "" {
		at := max(0, bytes.Index(data, []byte(reference)))
		return value{}, outsideOfString(lineAt(data, at), reference, "is a comment in YAML")
	}
	y := yamlReader{template: isTemplate(&doc)}
	return y.value(&doc)
}

// commented finds a variable of the pipeline, #{Name}#, that YAML takes for a comment,
// so that the value in whose place it stands would be missing; "" where there is none. A
// line of its own that has more words is a comment.
func commented(n *yaml.Node, data []byte) string {
	for _, comment := range []string{n.HeadComment, n.LineComment, n.FootComment} {
		for line := range strings.Lines(comment) {
			at := token.FindStringIndex(line)
			if at != nil && at[0] == 0 && !(strings.TrimSpace(line[at[1]:]) != "" && isLine(data, line)) {
				return line[:at[1]]
			}
		}
	}
	for _, part := range n.Content {
		if found := commented(part, data); found != "" {
			return found
		}
	}
	return ""
}

// isLine reports whether a file has a line with nothing but text, blanks aside.
func isLine(data []byte, text string) bool {
	for line := range bytes.Lines(data) {
		if string(bytes.TrimSpace(line)) == strings.TrimSpace(text) {
			return true
		}
	}
	return false
}

// yamlReader turns YAML nodes into values, aliases included.
type yamlReader struct {
	depth, nodes int
	template     bool // of CloudFormation, whose functions have tags
}

func (y *yamlReader) value(n *yaml.Node) (value, error) {
	if y.nodes++; y.nodes > maxNodes {
		return value{}, fmt.Errorf("line %d: aliases make the document larger than %d values", n.Line, maxNodes)
	}
	if y.depth++; y.depth > maxDepth {
		return value{}, fmt.Errorf("line %d: nested deeper than %d levels", n.Line, maxDepth)
	}
	defer func() { y.depth-- }()
	if name := functionOf(n); y.template && name != "" {
		plain := *n
		plain.Tag = ""
		plain.Style &^= yaml.TaggedStyle
		argument, err := y.value(&plain)
		return value{kind: object, line: n.Line, members: []member{{raw: quote(name), name: name, value: argument}}}, err
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return y.value(n.Content[0])
	case yaml.AliasNode:
		return y.value(n.Alias)
	case yaml.SequenceNode:
		if n.ShortTag() != "!!seq" {
			return value{}, strangeTag(n)
		}
		v := value{kind: list, line: n.Line}
		for _, c := range n.Content {
			item, err := y.value(c)
			if err != nil {
				return value{}, err
			}
			v.items = append(v.items, item)
		}
		return v, nil
	case yaml.MappingNode:
		return y.mapping(n)
	}
	return scalar(n)
}

// mapping reads a mapping. Where it has merge keys (<<), members that it does not
// have itself come from what they name, the first first.
func (y *yamlReader) mapping(n *yaml.Node) (value, error) {
	if n.ShortTag() != "!!map" {
		return value{}, strangeTag(n)
	}
	v := value{kind: object, line: n.Line}
	seen := map[string]bool{}
	add := func(name string, to value) {
		seen[name] = true
		v.members = append(v.members, member{raw: quote(name), name: name, value: to})
	}
	var merged []value
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		to, err := y.value(n.Content[i+1])
		switch {
		case err != nil:
			return value{}, err
		case key.Kind != yaml.ScalarNode:
			return value{}, fmt.Errorf("line %d: the name of a member is not a string", key.Line)
		case key.ShortTag() == "!!merge" && !isComposite(to):
			return value{}, fmt.Errorf("line %d: << expects a mapping or a list of them, found %s", key.Line, to.kind)
		case key.ShortTag() == "!!merge":
			merged = append(append(merged, to), to.items...)
		case seen[key.Value]:
			return value{}, fmt.Errorf("line %d: member %q is given twice", key.Line, key.Value)
		default:
			add(key.Value, to)
		}
	}
	for _, from := range merged {
		for _, m := range from.members {
			if !seen[m.name] {
				add(m.name, m.value)
			}
		}
	}
	return v, nil
}

// scalar reads a scalar. What JSON has no type for, such as a date, is the text
// as written.
func scalar(n *yaml.Node) (value, error) {
	v := value{kind: text, line: n.Line, raw: quote(n.Value)}
	switch n.ShortTag() {
	case "!!null":
		v.kind, v.raw = null, "null"
	case "!!bool":
		if v.kind, v.raw = boolean, strings.ToLower(n.Value); v.raw != "true" && v.raw != "false" {
			return value{}, fmt.Errorf("line %d: %s is neither true nor false", n.Line, n.Value)
		}
	case "!!int", "!!float":
		raw, err := yamlNumber(n)
		if err != nil {
			return value{}, fmt.Errorf("line %d: %s is not a number that JSON has", n.Line, n.Value)
		}
		v.kind, v.raw = number, raw
	case "!!str", "!!timestamp":
	default:
		return value{}, strangeTag(n)
	}
	return v, nil
}

// strangeTag refuses what only another reader would understand, such as the
// functions of CloudFormation (!Sub, !Ref).
func strangeTag(n *yaml.Node) error {
	return fmt.Errorf("line %d: the tag %s means nothing in a task definition", n.Line, n.ShortTag())
}

// yamlNumber spells a YAML number as JSON does: as written where JSON would
// write it so, or the integer it stands for (0x50, 0o17, 1_000).
func yamlNumber(n *yaml.Node) (string, error) {
	if v, err := readJSON([]byte(n.Value)); err == nil && v.kind == number {
		return n.Value, nil
	}
	var i int64
	if err := n.Decode(&i); err != nil {
		return "", err
	}
	return fmt.Sprint(i), nil
}
