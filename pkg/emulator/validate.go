// Validation of documents against the services' models. Structures, members and types are those of the SDK's schemas; what these leave out
// (required members, enumerations, lengths, ranges, patterns) is in the tables of model.go. A test holds the tables against the SDK.

package emulator

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

// rules are the constraints of one service's model, each by the name of the shape it is on.
type rules struct {
	required map[string][]string
	enums    map[string][]string
	limits   map[string]limit
}

// limit bounds a number's value, a string's length in characters, or a list's or map's number of entries.
type limit struct {
	min, max int
	pattern  *regexp.Regexp
}

// violation is one way in which a document breaks a rule. Each service words it in its own way.
type violation struct {
	kind    violationKind
	path    string // containerDefinitions.1.member.name: the notation of the services' own validation messages
	shape   string // the structure that a missing member is missing from, or the shape of the value
	member  string // last member of the path
	value   any
	allowed []string
	limit   limit
}

type violationKind int

const (
	missing violationKind = iota
	notInEnum
	tooShort // or too small, or too few
	tooLong
	noMatch
)

// Error words the violation as the services' common framework does.
func (v violation) Error() string {
	value := "null"
	if v.kind != missing {
		value = fmt.Sprintf("'%v'", v.value)
		if _, ok := v.value.(string); !ok {
			data, _ := json.Marshal(v.value)
			value = fmt.Sprintf("'%s'", data)
		}
	}
	return fmt.Sprintf("1 validation error detected: Value %s at '%s' failed to satisfy constraint: %s", value, v.path, v.constraint())
}

func (v violation) constraint() string {
	noun := "value"
	if _, ok := v.value.(json.Number); !ok {
		noun = "length"
	}
	switch v.kind {
	case missing:
		return "Member must not be null"
	case notInEnum:
		return fmt.Sprintf("Member must satisfy enum value set: %s", list(v.allowed))
	case tooShort:
		return fmt.Sprintf("Member must have %s greater than or equal to %d", noun, v.limit.min)
	case tooLong:
		return fmt.Sprintf("Member must have %s less than or equal to %d", noun, v.limit.max)
	default:
		return fmt.Sprintf("Member must satisfy regular expression pattern: %s", v.limit.pattern)
	}
}

// list writes names as the services do: [A, B].
func list(names []string) string {
	out := "["
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out + "]"
}

// check reports the first way, in the order of member names, in which a document is not a value of the schema: an *apiError
// (SerializationException) for wrong types and unknown members, a violation for the rest.
func (r rules) check(schema *smithy.Schema, doc object, future map[string]bool) error {
	return r.value(schema, doc, "", future)
}

func (r rules) value(s *smithy.Schema, v any, path string, future map[string]bool) error {
	shape := shapeName(s)
	switch s.Type() {
	case smithy.ShapeTypeStructure, smithy.ShapeTypeUnion:
		doc, ok := v.(object)
		if !ok {
			return wrongType(v, "structure")
		}
		for _, name := range slices.Sorted(maps.Keys(doc)) {
			m := s.Member(name)
			if m == nil {
				if future[name] {
					continue
				}
				return apiErrorf("SerializationException", "Unknown member %q of %s at '%s'", name, shape, join(path, name))
			}
			if err := r.value(m, doc[name], join(path, name), future); err != nil {
				return err
			}
		}
		for _, name := range r.required[shape] {
			if !doc.has(name) {
				return violation{kind: missing, path: join(path, name), shape: shape, member: name}
			}
		}
		return nil
	case smithy.ShapeTypeList, smithy.ShapeTypeSet:
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
	case smithy.ShapeTypeMap:
		doc, ok := v.(object)
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
	case smithy.ShapeTypeString, smithy.ShapeTypeEnum:
		text, ok := v.(string)
		if !ok {
			return wrongType(v, "String")
		}
		if allowed := r.enums[shape]; allowed != nil && !slices.Contains(allowed, text) {
			return violation{kind: notInEnum, path: path, shape: shape, member: last(path), value: text, allowed: allowed}
		}
		if err := r.bounds(shape, path, utf8.RuneCountInString(text), v); err != nil {
			return err
		}
		if l, ok := r.limits[shape]; ok && l.pattern != nil && !l.pattern.MatchString(text) {
			return violation{kind: noMatch, path: path, shape: shape, member: last(path), value: text, limit: l}
		}
		return nil
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
			return apiErrorf("SerializationException", "'%s' can not be converted to an Integer", n)
		}
		if s.Type() == smithy.ShapeTypeInteger && (whole > math.MaxInt32 || whole < math.MinInt32) {
			return apiErrorf("SerializationException", "'%s' can not be converted to an Integer", n)
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

func (r rules) bounds(shape, path string, n int, v any) error {
	l, ok := r.limits[shape]
	switch {
	case !ok:
	case n < l.min:
		return violation{kind: tooShort, path: path, shape: shape, member: last(path), value: v, limit: l}
	case l.max > 0 && n > l.max:
		return violation{kind: tooLong, path: path, shape: shape, member: last(path), value: v, limit: l}
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
		return apiErrorf("SerializationException", "Unexpected token %s where a %s was expected", got, want)
	case "Integer":
		return apiErrorf("SerializationException", "%s can not be converted to an %s", got, want)
	}
	return apiErrorf("SerializationException", "%s can not be converted to a %s", got, want)
}

// shapeName is the name in the model of the shape that a schema or a member's schema stands for.
func shapeName(s *smithy.Schema) string {
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
