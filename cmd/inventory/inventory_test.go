package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
)

const root = "../.."

// The file NOTICE names what ships today.
func TestNotice(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(root, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := run(t.Context(), root, []string{"notice"}, &got); err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Error(`NOTICE does not list the modules that ship; "./build.sh notice" writes it anew`)
	}
	for _, module := range []string{"github.com/Microsoft/go-winio", "github.com/aws/aws-sdk-go-v2/service/ecs", "golang.org/x/sys"} {
		if !strings.Contains(got.String(), module) {
			t.Errorf("NOTICE does not name %s, which some platform links", module)
		}
	}
	for _, module := range []string{"honnef.co/go/tools", "github.com/CycloneDX/cyclonedx-go"} {
		if strings.Contains(got.String(), module) {
			t.Errorf("NOTICE names %s, which does not ship", module)
		}
	}
}

// A CycloneDX reader takes the bill of materials, every reference in it leads
// somewhere, and a second one is equal.
func TestSBOM(t *testing.T) {
	part := filepath.Join(t.TempDir(), "ecsdeploy.vsix")
	if err := os.WriteFile(part, []byte("the extension"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func() []byte {
		var out bytes.Buffer
		if err := run(t.Context(), root, []string{"sbom", "1.2.3", part}, &out); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	text := write()
	if !bytes.Equal(text, write()) {
		t.Error("the same sources give two bills of materials")
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	main := bom.Metadata.Component
	if main.Version != "1.2.3" || len(*main.Components) != 1 || (*main.Components)[0].Name != "ecsdeploy.vsix" {
		t.Errorf("the extension is described as %+v", main)
	}
	if got := (*(*main.Components)[0].Hashes)[0].Value; len(got) != 64 {
		t.Errorf("its SHA-256 is %q", got)
	}
	known := []string{main.BOMRef}
	for _, c := range *bom.Components {
		known = append(known, c.BOMRef)
		if len(*c.Licenses) == 0 || c.Version == "" {
			t.Errorf("%s has no licence or no version", c.Name)
		}
	}
	for _, d := range *bom.Dependencies {
		if !slices.Contains(known, d.Ref) {
			t.Errorf("dependency %s is not a component", d.Ref)
		}
		if d.Dependencies == nil {
			continue
		}
		for _, on := range *d.Dependencies {
			if !slices.Contains(known, on) {
				t.Errorf("%s requires %s, which is not a component", d.Ref, on)
			}
		}
	}
	if first := (*bom.Dependencies)[0]; first.Ref != main.BOMRef || first.Dependencies == nil || len(*first.Dependencies) < 5 {
		t.Errorf("the extension requires %+v", first.Dependencies)
	}
}

func TestSPDX(t *testing.T) {
	mit, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	const gpl = "This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.\n"
	for _, test := range []struct {
		name  string
		texts []licence
		want  string // the identifiers, or a part of the error
	}{
		{"a licence that may ship", []licence{{"LICENSE", string(mit)}}, "MIT"},
		{"a notice is no licence", []licence{{"NOTICE.txt", "Copyright Example"}}, "no licence file"},
		{"nothing", nil, "no licence file"},
		{"an unknown text", []licence{{"LICENSE", "You may look at this."}}, "LICENSE is no licence that is known"},
		{"a licence with terms of its own", []licence{{"LICENSE", string(mit) + strings.Repeat("You may not use it on Mondays, in the rain, or for profit. ", 40)}}, "LICENSE is no licence that is known"},
		{"a licence that asks for more than its text", []licence{{"LICENSE", gpl}}, "not among those that may ship"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ids, err := spdx(test.texts)
			got := strings.Join(ids, " ")
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A package's own licence counts, too, and those of folders that are not linked do not.
func TestLicences(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"LICENSE", "NOTICE.txt", "a/b/COPYING.md", "other/LICENSE", "a/licensing.go"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	texts, err := licences(dir, []string{filepath.Join(dir, "a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, text := range texts {
		got = append(got, text.Path)
	}
	if want := []string{"LICENSE", "NOTICE.txt", "a/b/COPYING.md"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParsePlatforms(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"# a comment\n\nlinux arm64 linux-arm64\nwindows 386 win32-ia32\n", ""},
		{"linux arm64\n", `line "linux arm64" has 2 words`},
		{"# nothing\n", "no platform"},
	} {
		all, err := parsePlatforms(test.text)
		if test.want == "" {
			if want := []platform{{"linux", "arm64"}, {"windows", "386"}}; err != nil || !slices.Equal(all, want) {
				t.Errorf("%q: got %v, %v, want %v", test.text, all, err, want)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %q", test.text, err, test.want)
		}
	}
}

func FuzzParsePlatforms(f *testing.F) {
	f.Add("linux amd64 linux-x64\n# comment\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parsePlatforms(text)
		if (err == nil) != (len(all) > 0) {
			t.Errorf("%d platforms and error %v", len(all), err)
		}
	})
}

func TestUsage(t *testing.T) {
	if err := run(t.Context(), root, []string{"licences"}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "sbom VERSION") {
		t.Errorf("error %v does not say what there is", err)
	}
}
