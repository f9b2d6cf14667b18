// Validation of documents against the services' models. Structures, members and types are those of the SDK's schemas; what these leave out
// (required members, enumerations, lengths, ranges, patterns) is in the tables of model.go. A test holds the tables against the SDK.

package awsapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/aws/smithy-go"
)

// Rules are the constraints of one service's model, each by the name of the shape it is on.
type Rules struct {
	Required map[string][]string
	Enums    map[string][]string
	Limits   map[string]Limit
}

// Limit bounds a number's value, a string's length in characters, or a list's or map's number of entries.
type Limit struct {
	Min, Max int
	Pattern  *regexp.Regexp
}

// Violation is one way in which a document breaks a rule. Each service words it in its own way.
type Violation struct {
	Kind    violationKind
	Path    string // containerDefinitions.1.member.name: the notation of the services' own validation messages
	Shape   string // the structure that a missing member is missing from, or the shape of the value
	Member  string // last member of the path
	value   any
	Allowed []string
	Limit   Limit
}

type violationKind int

const (
	Missing violationKind = iota
	NotInEnum
	tooShort // or too small, or too few
	tooLong
	NoMatch
)

// Error words the violation as the services' common framework does.
func (v Violation) Error() string {
	value := "null"
	if v.Kind != Missing {
		value = fmt.Sprintf("'%v'", v.value)
		if _, ok := v.value.(string); !ok {
			data, _ := json.Marshal(v.value)
			value = fmt.Sprintf("'%s'", data)
		}
	}
	return fmt.Sprintf("1 validation error detected: Value %s at '%s' failed to satisfy constraint: %s", value, v.Path, v.Constraint())
}

func (v Violation) Constraint() string {
	noun := "value"
	if _, ok := v.value.(json.Number); !ok {
		noun = "length"
	}
	switch v.Kind {
	case Missing:
		return "Member must not be null"
	case NotInEnum:
		return fmt.Sprintf("Member must satisfy enum value set: %s", List(v.Allowed))
	case tooShort:
		return fmt.Sprintf("Member must have %s greater than or equal to %d", noun, v.Limit.Min)
	case tooLong:
		return fmt.Sprintf("Member must have %s less than or equal to %d", noun, v.Limit.Max)
	default:
		return fmt.Sprintf("Member must satisfy regular expression pattern: %s", v.Limit.Pattern)
	}
}

// List writes names as the services do: [A, B].
func List(names []string) string {
	out := "["
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out + "]"
}

// Check reports the first way, in the order of member names, in which a document is not a value of the schema: an *apiError
// (SerializationException) for wrong types and unknown members, a violation for the rest.
func (r Rules) Check(schema *smithy.Schema, doc Object, future map[string]bool) error {
	return r.value(schema, doc, "", future)
}

func (r Rules) value(s *smithy.Schema, v any, path string, future map[string]bool) error {
	shape := ShapeName(s)
	switch s.Type() {
	case smithy.ShapeTypeStructure, smithy.ShapeTypeUnion:
		return r.structure(s, v, path, future)
	case smithy.ShapeTypeList, smithy.ShapeTypeSet:
		return r.items(s, v, path, future)
	case smithy.ShapeTypeMap:
		return r.entries(s, v, path, future)
	case smithy.ShapeTypeString, smithy.ShapeTypeEnum:
		return r.text(s, v, path)
	case smithy.ShapeTypeBoolean:
		if _, ok := v.(bool); !ok {
			return wrongType(v, "Boolean")
		}
		return nil
	case smithy.ShapeTypeByte, smithy.ShapeTypeShort, smithy.ShapeTypeInteger, smithy.ShapeTypeLong, smithy.ShapeTypeIntEnum:
		n, ok := numberOf(v)
		if !ok {
			return wrongType(v, "Integer")
		}
		whole, err := n.Int64()
		if err != nil {
			return Errorf("SerializationException", "'%s' can not be converted to an Integer", n)
		}
		if s.Type() == smithy.ShapeTypeInteger && (whole > math.MaxInt32 || whole < math.MinInt32) {
			return Errorf("SerializationException", "'%s' can not be converted to an Integer", n)
		}
		return r.bounds(shape, path, int(whole), v)
	case smithy.ShapeTypeFloat, smithy.ShapeTypeDouble, smithy.ShapeTypeTimestamp:
		if _, ok := numberOf(v); !ok {
			return wrongType(v, "Double")
		}
		return nil
	case smithy.ShapeTypeBlob:
		text, ok := v.(string)
		if _, err := base64.StdEncoding.DecodeString(text); !ok || err != nil {
			return wrongType(v, "Blob")
		}
		return nil
	}
	return nil // documents hold any JSON
}

// valid reports whether a structure is a value of its schema, in no order: only of one that is not does it matter which mistake is told first.
func (r Rules) valid(s *smithy.Schema, doc Object, future map[string]bool) bool {
	for name, value := range doc {
		if m := s.Member(name); m == nil || r.value(m, value, name, future) != nil {
			return false
		}
	}
	for _, name := range r.Required[ShapeName(s)] {
		if !doc.Has(name) {
			return false
		}
	}
	return true
}

// structure checks the members of a structure, and that the required ones are there.
func (r Rules) structure(s *smithy.Schema, v any, path string, future map[string]bool) error {
	shape := ShapeName(s)
	doc, ok := v.(Object)
	if !ok {
		return wrongType(v, "structure")
	}
	if r.valid(s, doc, future) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		m := s.Member(name)
		if m == nil {
			if future[name] {
				continue
			}
			return Errorf("SerializationException", "Unknown member %q of %s at '%s'", name, shape, join(path, name))
		}
		if err := r.value(m, doc[name], join(path, name), future); err != nil {
			return err
		}
	}
	for _, name := range r.Required[shape] {
		if !doc.Has(name) {
			return Violation{Kind: Missing, Path: join(path, name), Shape: shape, Member: name}
		}
	}
	return nil
}

// items checks a list.
func (r Rules) items(s *smithy.Schema, v any, path string, future map[string]bool) error {
	shape := ShapeName(s)
	items, ok := v.([]any)
	if !ok {
		return wrongType(v, "list")
	}
	for i, item := range items {
		if item == nil {
			continue
		}
		if err := r.value(s.ListMember(), item, join(path, strconv.Itoa(i+1)+".member"), future); err != nil {
			return err
		}
	}
	return r.bounds(shape, path, len(items), v)
}

// entries checks a map.
func (r Rules) entries(s *smithy.Schema, v any, path string, future map[string]bool) error {
	shape := ShapeName(s)
	doc, ok := v.(Object)
	if !ok {
		return wrongType(v, "map")
	}
	for _, key := range slices.Sorted(maps.Keys(doc)) {
		if err := r.value(s.MapKey(), key, join(path, key), future); err != nil {
			return err
		}
		if err := r.value(s.MapValue(), doc[key], join(path, key), future); err != nil {
			return err
		}
	}
	return r.bounds(shape, path, len(doc), v)
}

// text checks a string or a value of an enumeration.
func (r Rules) text(s *smithy.Schema, v any, path string) error {
	shape := ShapeName(s)
	text, ok := v.(string)
	if !ok {
		return wrongType(v, "String")
	}
	if allowed := r.Enums[shape]; allowed != nil && !slices.Contains(allowed, text) {
		return Violation{Kind: NotInEnum, Path: path, Shape: shape, Member: last(path), value: text, Allowed: allowed}
	}
	if err := r.bounds(shape, path, utf8.RuneCountInString(text), v); err != nil {
		return err
	}
	if l, ok := r.Limits[shape]; ok && l.Pattern != nil && !l.Pattern.MatchString(text) {
		return Violation{Kind: NoMatch, Path: path, Shape: shape, Member: last(path), value: text, Limit: l}
	}
	return nil
}

func (r Rules) bounds(shape, path string, n int, v any) error {
	l, ok := r.Limits[shape]
	switch {
	case !ok:
	case n < l.Min:
		return Violation{Kind: tooShort, Path: path, Shape: shape, Member: last(path), value: v, Limit: l}
	case l.Max > 0 && n > l.Max:
		return Violation{Kind: tooLong, Path: path, Shape: shape, Member: last(path), value: v, Limit: l}
	}
	return nil
}

func numberOf(v any) (json.Number, bool) {
	switch v := v.(type) {
	case json.Number:
		return v, true
	case int:
		return json.Number(strconv.Itoa(v)), true
	case int64:
		return json.Number(strconv.FormatInt(v, 10)), true
	}
	return "", false
}

// wrongType words a type mismatch as the services' JSON reader does.
func wrongType(v any, want string) error {
	got := "START_OBJECT"
	switch v.(type) {
	case string:
		got = "STRING_VALUE"
	case json.Number:
		got = "NUMBER_VALUE"
	case bool:
		got = "TRUE_VALUE"
		if v == false {
			got = "FALSE_VALUE"
		}
	case []any:
		got = "START_ARRAY"
	}
	switch want {
	case "structure", "map", "list":
		return Errorf("SerializationException", "Unexpected token %s where a %s was expected", got, want)
	case "Integer":
		return Errorf("SerializationException", "%s can not be converted to an %s", got, want)
	}
	return Errorf("SerializationException", "%s can not be converted to a %s", got, want)
}

// ShapeName is the name in the model of the shape that a schema or a member's schema stands for.
func ShapeName(s *smithy.Schema) string {
	if t := s.TargetID().Name; t != "" {
		return t
	}
	return s.ID().Name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func last(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' {
			return path[i+1:]
		}
	}
	return path
}
