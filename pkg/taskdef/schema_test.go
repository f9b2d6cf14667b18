package taskdef

import (
	"reflect"
	"slices"
	"testing"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The table of rules has every member that the AWS SDK knows, in its spelling and
// of its kind, so that a misspelt member can be told from a new one.
func TestRulesAreComplete(t *testing.T) {
	compareRules(t, "", reflect.TypeFor[ecs.RegisterTaskDefinitionInput](), taskDefinition)

	// What is only in answers is left out of requests.
	input := reflect.TypeFor[ecs.RegisterTaskDefinitionInput]()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[types.TaskDefinition]()) {
		if _, both := input.FieldByName(f.Name); f.IsExported() && !both {
			name := jsonName(f.Name)
			if !slices.Contains(readOnly, name) {
				t.Errorf("the answers' member %s is not among those that requests do not take", name)
			}
		}
	}
}

func compareRules(t *testing.T, path string, of reflect.Type, r *rule) {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	kinds := map[reflect.Kind]kind{
		reflect.String: text, reflect.Int32: number, reflect.Int64: number, reflect.Float32: number, reflect.Float64: number,
		reflect.Bool: boolean, reflect.Slice: list, reflect.Map: object, reflect.Struct: object,
		reflect.Interface: object, // a union, whose members reflection does not see
	}
	if want := kinds[of.Kind()]; r.kind != want {
		t.Errorf("%s is %s by the rules, and %s to the SDK", path, r.kind, want)
		return
	}
	switch of.Kind() {
	case reflect.Slice:
		compareRules(t, path+"[]", of.Elem(), r.item())
	case reflect.Map:
		if r.each == nil {
			t.Errorf("%s has names of the user's", path)
		}
	case reflect.Struct:
		known := map[string]bool{}
		for _, f := range reflect.VisibleFields(of) {
			if !f.IsExported() || f.Anonymous || f.Name == "ResultMetadata" {
				continue
			}
			name := jsonName(f.Name)
			known[name] = true
			if r.members[name] == nil {
				t.Errorf("%s.%s is not in the rules", path, name)
				continue
			}
			compareRules(t, path+"."+name, f.Type, r.members[name])
		}
		for name := range r.members {
			if !known[name] {
				t.Errorf("%s.%s is not in the SDK", path, name)
			}
		}
		for _, name := range r.needs {
			if !known[name] {
				t.Errorf("%s needs %s, which is not in the SDK", path, name)
			}
		}
	}
}

func jsonName(field string) string {
	return string(unicode.ToLower(rune(field[0]))) + field[1:]
}
