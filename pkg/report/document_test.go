package report

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
)

// members are the paths of all members of a type, as docs/result.md writes them.
func members(of reflect.Type, prefix string) []string {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct {
		return nil
	}
	var all []string
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		below := members(f.Type, prefix+name+".")
		if below == nil || f.Type.Kind() == reflect.Slice && prefix == "" && name != "errors" {
			all = append(all, prefix+name)
		}
		all = append(all, below...)
	}
	return all
}

// TestDocumentIsDocumented holds the result file and docs/result.md together.
func TestDocumentIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/result.md")
	if err != nil {
		t.Fatal(err)
	}
	table, codes, found := strings.Cut(string(page), "\n## Codes of reasons\n")
	if !found {
		t.Fatal("the page has no codes")
	}
	firstColumn := func(text string) (names []string) {
		for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(text, -1) {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
				names = append(names, m[1])
			}
		}
		return names
	}
	want := members(reflect.TypeFor[resultDocument](), "")
	got := firstColumn(table)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("documented\n%v\nwant\n%v", got, want)
	}
	documented := firstColumn(codes)
	for _, code := range reasonCodes(t) {
		if !slices.Contains(documented, code) {
			t.Errorf("code %s is not documented", code)
		}
	}
}

// reasonCodes are the codes of reasons and of rollbacks that the sources of package
// rollout and deploy have.
func reasonCodes(t *testing.T) (codes []string) {
	t.Helper()
	files := []string{"../rollout/rollout.go"}
	others, err := filepath.Glob("../deploy/*.go")
	if err != nil {
		t.Fatal(err)
	}
	constant := regexp.MustCompile(`(?m)^(?:\t|const )\w+ +(?:rollout\.|Rollback)?Code += "(\w+)"`)
	for _, file := range append(files, others...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range constant.FindAllSubmatch(source, -1) {
			codes = append(codes, string(m[1]))
		}
	}
	if len(codes) < 30 || !slices.Contains(codes, string(deploy.OutOfTurn)) || !slices.Contains(codes, string(deploy.TrafficStays)) {
		t.Fatalf("codes %v", codes)
	}
	return codes
}

func TestDocument(t *testing.T) {
	s := to("chat-app", rollout.Failed)
	s.Reason = rollout.Reason{Code: rollout.HookWaits, Hook: rollout.Reason{}.Hook}
	s.HookID = "hook-1"
	r := result(s, to("worker", rollout.Succeeded))
	r.Image.Source = `registry/"secret"`
	run := Run{Command: "deploy", Result: "Failed", Began: time.Now(), Redact: func(text string) string { return strings.ReplaceAll(text, `"secret"`, "***") },
		Err: errors.Join(mistake.New(mistake.Service, "look there", "no such service"), errors.New(`reset by "secret"`)), Contents: []Contents{{Difference: difference()}}}
	data := Document(r, run, explain)
	var got resultDocument
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Outcome != "failed" || got.Services[0].Hook.ID != "hook-1" || got.Image.Source != "registry/***" || got.Errors[0].Input != "services" ||
		got.Errors[1].Text != "reset by ***" || got.Contents[0].Commits[0].Author != "Ada" || !got.Contents[0].Complete {
		t.Errorf("%s", data)
	}
	refused := to("worker", rollout.Failed)
	refused.Reason, refused.Err = rollout.Reason{}, errDenied
	if err := json.Unmarshal(Document(result(refused), Run{}, explain), &got); err != nil || got.Services[0].Reason.Code != "notStarted" {
		t.Errorf("%v %+v", err, got.Services[0].Reason)
	}
	if text := string(Document(deploy.Result{}, Run{}, explain)); !strings.Contains(text, `"services": []`) || strings.Contains(text, "null") {
		t.Error(text)
	}
}
