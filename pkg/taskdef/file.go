package taskdef

// Task definitions that people keep in files, as JSON or YAML. A file is checked
// more closely than what ECS answers, for it was written by hand: a mistake
// should be known with its line before anything is pushed or registered.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ecsdeploy/pkg/mistake"
)

// maxNodes bounds what the aliases of a YAML file may grow to.
const maxNodes = 100_000

// ParseFile reads a task definition from a file of the given name: YAML where it
// ends in .yaml or .yml, JSON where it ends in .json, and otherwise JSON where it
// begins with a brace. Errors begin with the name and the line.
//
// Members that are null are left out, as in skeletons of the AWS CLI and exports
// of the console: in the AWS JSON protocol they mean the same. Empty strings and
// lists stay, for they can mean something. Members that ECS knows must be of its
// type, and nothing is converted: YAML's "value: 8080" is a number where ECS
// wants a string.
func ParseFile(name string, data []byte) (Definition, error) {
	in := func(err error, advice string) error {
		return mistake.New(mistake.TaskDefinition, advice, "%s: %s", name, err)
	}
	const form = "the file holds what aws ecs register-task-definition takes with --cli-input-json or --cli-input-yaml"
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // as Windows editors begin a file
	read := readYAML
	if isJSON(name, data) {
		read = readJSON
	}
	doc, err := read(data)
	if err != nil {
		return Definition{}, in(err, form)
	}
	d, err := newDefinition(withoutNulls(doc))
	if err != nil {
		return Definition{}, in(err, form)
	}
	var errs []error
	for _, m := range mistyped("", d.doc, taskDefinition) {
		errs = append(errs, in(m, m.Advice))
	}
	if err := errors.Join(errs...); err != nil {
		return Definition{}, err
	}
	return d, nil
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

// mistyped finds members that are not of the type that ECS wants. Members that
// it knows and we do not may be anything.
func mistyped(at string, v value, r *rule) []*mistake.Error {
	if r.kind != missing && v.kind != r.kind {
		advice := "types are those of the API's RegisterTaskDefinition"
		switch {
		case r.kind == text && (v.kind == number || v.kind == boolean):
			advice = "write it in quotes"
		case v.kind == text && (r.kind == number || r.kind == boolean):
			advice = "write it without quotes"
		}
		return []*mistake.Error{mistake.New(mistake.TaskDefinition, advice, "%s%s is %s, ECS wants %s", v.at(), at, v.kind, r.kind)}
	}
	var errs []*mistake.Error
	for _, m := range v.members {
		errs = append(errs, mistyped(strings.TrimPrefix(at+"."+m.name, "."), m.value, r.of(m.name))...)
	}
	for i, item := range v.items {
		errs = append(errs, mistyped(fmt.Sprintf("%s[%d]", at, i), item, r.item())...)
	}
	return errs
}

// readYAML reads a YAML document as the JSON that it stands for.
func readYAML(data []byte) (value, error) {
	if len(data) > maxDocument {
		return value{}, fmt.Errorf("%d bytes; expected at most %d", len(data), maxDocument)
	}
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&doc); {
	case err == io.EOF:
		return value{}, errors.New("empty; expected a task definition")
	case err != nil:
		return value{}, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&more); err != io.EOF {
		return value{}, fmt.Errorf("line %d: expected one document, found another", max(more.Line, 1))
	}
	var y yamlReader
	return y.value(&doc)
}

// yamlReader turns YAML nodes into values, aliases included.
type yamlReader struct{ depth, nodes int }

func (y *yamlReader) value(n *yaml.Node) (value, error) {
	if y.nodes++; y.nodes > maxNodes {
		return value{}, fmt.Errorf("line %d: aliases make the document larger than %d values", n.Line, maxNodes)
	}
	if y.depth++; y.depth > maxDepth {
		return value{}, fmt.Errorf("line %d: nested deeper than %d levels", n.Line, maxDepth)
	}
	defer func() { y.depth-- }()
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
