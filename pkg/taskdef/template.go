package taskdef

// Task definitions of CloudFormation and of the AWS CDK, whose members begin in
// upper case and whose values may be of another type than ECS's. What only
// CloudFormation can work out, such as a reference, is a mistake.

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

const templateType = "AWS::ECS::TaskDefinition"

// fromTemplate returns the task definition of a resource, or of a template that
// has one, as ECS spells it. Any other document is returned as it is.
func fromTemplate(doc value) (value, error) {
	if doc.get("Resources").kind == object {
		var found []member
		for _, m := range doc.get("Resources").members {
			if m.value.get("Type").str() == templateType {
				found = append(found, m)
			}
		}
		switch len(found) {
		case 0:
			return value{}, fmt.Errorf("%sa CloudFormation template without an %s", doc.at(), templateType)
		case 1:
			doc = found[0].value
		default:
			var names []string
			for _, m := range found {
				names = append(names, m.name)
			}
			return value{}, fmt.Errorf("%sa CloudFormation template with several task definitions: %s", doc.at(), strings.Join(names, ", "))
		}
	}
	if doc.get("Type").str() != templateType {
		return doc, nil
	}
	properties := doc.get("Properties")
	if properties.kind != object {
		return value{}, fmt.Errorf("%sthe %s has no Properties", doc.at(), templateType)
	}
	var errs []error
	converted := fromProperties(properties, taskDefinition, &errs)
	return converted, errors.Join(errs...)
}

// isTemplate reports whether a YAML document is a template or a resource of
// CloudFormation.
func isTemplate(doc *yaml.Node) bool {
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return false
	}
	for i, n := range doc.Content[0].Content {
		if i%2 == 0 && (n.Value == "Resources" || n.Value == "Type" && doc.Content[0].Content[i+1].Value == templateType) {
			return true
		}
	}
	return false
}

// functionOf is the full name of a function of CloudFormation that a node has as its
// tag: Ref for !Ref, Fn::Sub for !Sub; "" for any other node.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
func functionOf(n *yaml.Node) string {
	name, local := strings.CutPrefix(n.Tag, "!")
	switch {
	case !local, name == "", strings.HasPrefix(name, "!"):
		return ""
	case name == "Ref", name == "Condition":
		return name
	}
	return "Fn::" + name
}

// renamed are the properties that ECS calls by another name.
var renamed = map[string]string{"ProxyConfigurationProperties": "properties"}

// fromProperties spells the members of a value as ECS does, and writes scalars in
// the type that it wants, as CloudFormation itself does.
func fromProperties(v value, r *rule, errs *[]error) value {
	if name := intrinsic(v); name != "" {
		*errs = append(*errs, fmt.Errorf("%s%s is worked out by CloudFormation alone; expected a plain value", v.at(), name))
		return v
	}
	switch {
	case r.kind == text && (v.kind == number || v.kind == boolean):
		v.kind, v.raw = text, quote(v.raw)
	case v.kind == text && (r.kind == number || r.kind == boolean):
		if typed, ok := scalarOf(r.kind, v.str()); ok {
			v.kind, v.raw = r.kind, typed
		}
	}
	if r.each == nil || r.kind != object { // not a map, whose names are the user's
		members := make([]member, len(v.members))
		for i, m := range v.members {
			name := memberName(m.name, r)
			members[i] = member{raw: quote(name), name: name, value: m.value}
		}
		v.members = members
	}
	return v.each(r, func(_ string, part value, r *rule) value { return fromProperties(part, r, errs) })
}

// memberName is ECS's name of a property: the known one that differs by case
// alone (EFSVolumeConfiguration), else the name with a small first letter.
func memberName(property string, r *rule) string {
	if name := renamed[property]; name != "" {
		return name
	}
	for name := range r.members {
		if strings.EqualFold(name, property) {
			return name
		}
	}
	first := []rune(property)
	if len(first) > 0 {
		first[0] = unicode.ToLower(first[0])
	}
	return string(first)
}

// intrinsic is the name of the function that an object calls: {"Ref": …}.
func intrinsic(v value) string {
	if v.kind != object || len(v.members) != 1 {
		return ""
	}
	if name := v.members[0].name; name == "Ref" || strings.HasPrefix(name, "Fn::") {
		return name
	}
	return ""
}

// scalarOf spells a text as a number or a boolean, where it is one.
func scalarOf(k kind, s string) (string, bool) {
	v, err := readJSON([]byte(s))
	return v.raw, err == nil && v.kind == k
}
