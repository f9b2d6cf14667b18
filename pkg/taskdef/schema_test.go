package taskdef

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
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

// What the SDK requires of a request is required of a file. The SDK does not know which
// numbers are required.
func TestRequiredMembers(t *testing.T) {
	var in ecs.RegisterTaskDefinitionInput
	fill(reflect.ValueOf(&in).Elem())
	_, err := ecs.New(ecs.Options{Region: "eu-west-1"}).RegisterTaskDefinition(t.Context(), &in)
	invalid, ok := errors.AsType[smithy.InvalidParamsError](err)
	if !ok || len(invalid.Errs()) < 25 {
		t.Fatalf("the SDK requires nothing: %v", err)
	}
	for _, each := range invalid.Errs() {
		one, is := errors.AsType[smithy.InvalidParamError](each)
		if !is {
			t.Fatal(each)
		}
		r, at := taskDefinition, strings.Split(one.Field(), ".")[1:]
		for i, part := range at {
			name, item, _ := strings.Cut(jsonName(part), "[")
			switch {
			case i == len(at)-1 && !slices.Contains(r.needs, name) && r != taskDefinition:
				t.Errorf("%s is required by the SDK, and not by the rules", one.Field())
			case i < len(at)-1:
				if r = r.of(name); item != "" {
					r = r.item()
				}
			}
		}
	}
}

// fill makes every object that a value can hold, with one item in each list.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type().Elem().Kind() == reflect.Struct {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem())
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
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
