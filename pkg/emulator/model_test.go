package emulator

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"

	"ecsdeploy/pkg/emulator/awsapi"
	ecrroom "ecsdeploy/pkg/emulator/ecr"
	ecsroom "ecsdeploy/pkg/emulator/ecs"
	logsroom "ecsdeploy/pkg/emulator/logs"
)

// services pairs the emulated JSON services with the SDK's clients.
func services() map[*awsapi.Service]any {
	return map[*awsapi.Service]any{
		new(ecsroom.ECS).Service():   ecs.New(ecs.Options{Region: "eu-west-1"}),
		new(ecrroom.ECR).Service():   ecr.New(ecr.Options{Region: "eu-west-1"}),
		new(logsroom.Logs).Service(): cloudwatchlogs.New(cloudwatchlogs.Options{Region: "eu-west-1"}),
	}
}

// TestRequiredMembersAreTheSDKs calls every operation with structures in which nothing is set. The members that the SDK's own validators miss
// must be those of our tables; what our tables have beyond that must be members that
// cannot be left unset here (bool, int32, nested structures).
func TestRequiredMembersAreTheSDKs(t *testing.T) {
	for svc, client := range services() {
		used := map[string]bool{}
		for op := range svc.Operations {
			method := reflect.ValueOf(client).MethodByName(op)
			if !method.IsValid() {
				t.Errorf("%s has no operation %s", svc.Name, op)
				continue
			}
			in := reflect.New(method.Type().In(1).Elem())
			structs := map[string]reflect.Type{}
			unset(in.Elem(), op, structs, 0)
			out := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
			missing := map[string]bool{} // Shape.member
			var invalid smithy.InvalidParamsError
			if errors.As(out[1].Interface().(error), &invalid) {
				for _, e := range invalid.Errs() {
					var field smithy.InvalidParamError
					if !errors.As(e, &field) {
						t.Fatalf("%s: %v", op, e)
					}
					shape, member := locate(in.Type().Elem(), field.Field(), op)
					missing[shape+"."+strings.ToLower(member)] = true
				}
			}
			for m := range missing {
				shape, member, _ := strings.Cut(m, ".")
				if !slices.ContainsFunc(svc.Rules.Required[shape], func(s string) bool { return strings.EqualFold(s, member) }) {
					t.Errorf("%s: %s requires %s, our table does not", op, shape, member)
				}
			}
			for shape, typ := range structs {
				used[shape] = true
				for _, member := range svc.Rules.Required[shape] {
					if missing[shape+"."+strings.ToLower(member)] {
						continue
					}
					f, ok := typ.FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, member) })
					nested := ok && (f.Type.Kind() == reflect.Pointer || f.Type.Kind() == reflect.Slice) && f.Type.Elem().Kind() == reflect.Struct // set above, so not missed
					if !ok || !nested && f.Type.Kind() != reflect.Bool && f.Type.Kind() != reflect.Int32 {
						t.Errorf("%s: our table requires %s of %s, the SDK does not", op, member, shape)
					}
				}
			}
		}
		for shape := range svc.Rules.Required {
			if !used[shape] {
				t.Errorf("%s: the table has %s, which no operation takes", svc.Name, shape)
			}
		}
	}
}

// unset fills in one of every nested structure and nothing else, and collects the structures by the names of their shapes.
func unset(v reflect.Value, op string, structs map[string]reflect.Type, depth int) {
	if v.Kind() != reflect.Struct || v.Type().PkgPath() == "time" || depth > 12 {
		return
	}
	structs[shapeOf(v.Type(), op)] = v.Type()
	for i := range v.NumField() {
		f := v.Field(i)
		if !v.Type().Field(i).IsExported() {
			continue
		}
		switch {
		case f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Struct && f.Type().Elem().PkgPath() != "time":
			f.Set(reflect.New(f.Type().Elem()))
			unset(f.Elem(), op, structs, depth+1)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			unset(f.Index(0), op, structs, depth+1)
		}
	}
}

func shapeOf(t reflect.Type, op string) string {
	if t.Name() == op+"Input" {
		return op + "Request"
	}
	return t.Name()
}

var index = regexp.MustCompile(`\[[^]]*\]`)

// locate follows a path such as RegisterTaskDefinitionInput.ContainerDefinitions[0].Secrets[0].Name to the structure that lacks its last part.
func locate(t reflect.Type, path, op string) (shape, member string) {
	parts := strings.Split(index.ReplaceAllString(path, ""), ".")
	for _, p := range parts[1 : len(parts)-1] {
		f, _ := t.FieldByName(p)
		t = f.Type
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
	}
	return shapeOf(t, op), parts[len(parts)-1]
}

// TestEveryEnumIsInTheTables walks the requests' schemas: an enumeration that is not in the tables would not be checked at all.
func TestEveryEnumIsInTheTables(t *testing.T) {
	for svc := range services() {
		reached := map[string]bool{}
		seen := map[string]bool{}
		var walk func(s *smithy.Schema)
		walk = func(s *smithy.Schema) {
			name := awsapi.ShapeName(s)
			if s.Type() == smithy.ShapeTypeEnum {
				reached[name] = true
				if svc.Rules.Enums[name] == nil {
					t.Errorf("%s: %s is not in the table", svc.Name, name)
				}
				return
			}
			if !seen[name] {
				seen[name] = true
				for _, m := range s.Members() {
					walk(m)
				}
			}
		}
		for _, op := range svc.Operations {
			walk(op.Input)
		}
		for name := range svc.Rules.Enums {
			if !reached[name] {
				t.Errorf("%s: the table has %s, which no operation takes", svc.Name, name)
			}
		}
		for name := range svc.Rules.Limits {
			if !seen[name] && svc.Name != "ecs" && svc.Name != "logs" { // two models name scalar shapes that the SDK's schemas fold into String
				t.Errorf("%s: the table has limits of %s, which no operation takes", svc.Name, name)
			}
		}
	}
}

// TestSDKSnapshotsFit checks the SDK's own samples of requests and answers, with every member set, against the schemas: the type checks let
// through all that a client can send.
func TestSDKSnapshotsFit(t *testing.T) {
	for svc := range services() {
		module := map[string]string{"ecs": "ecs", "ecr": "ecr", "logs": "cloudwatchlogs"}[svc.Name]
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/"+module).Output()
		if err != nil {
			t.Fatal(err)
		}
		dir := strings.TrimSpace(string(out))
		for name, op := range svc.Operations {
			for kind, schema := range map[string]*smithy.Schema{"request": op.Input, "response": op.Output} {
				data, err := os.ReadFile(filepath.Join(dir, kind+"_snapshot", name+"."+kind+".snap"))
				if err != nil {
					t.Fatal(err)
				}
				_, body, _ := strings.Cut(string(data), "\n\n{")
				doc, err := awsapi.ParseObject([]byte("{" + body))
				if body == "" {
					doc, err = awsapi.Object{}, nil
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if err := (awsapi.Rules{}).Check(schema, doc, nil); err != nil {
					t.Errorf("%s %s: %v", name, kind, err)
				}
			}
		}
	}
}
