package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecsdeploy/pkg/image/engine"
	"ecsdeploy/pkg/mistake"
)

// TestExpand: a pattern stands for the one path that it matches; several are named.
func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"drop/web.tar", "drop/other/api.tar", "both/a.tar", "both/b.tar"} {
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(file string) string { return filepath.Join(dir, filepath.FromSlash(file)) }
	for _, tt := range []struct{ ref, want, problem string }{
		{"drop/*.tar", in("drop/web.tar"), ""},
		{"drop/w?b.tar#web:7", in("drop/web.tar") + "#web:7", ""},
		{in("drop/*.tar"), in("drop/web.tar"), ""},
		{"**/api.tar", in("drop/other/api.tar"), ""},
		{"drop/**/*.tar", "", "2 paths match the pattern"},
		{"both/*.tar", "", "a.tar, "},
		{"none/*.tar", "", "nothing matches"},
		{"*/**/x.tar", "", "a pattern has ** once"},
		{"drop/web.tar", "drop/web.tar", ""},
		{"web:7", "web:7", ""},
		{"docker://host/web?:7", "docker://host/web?:7", ""},
	} {
		got, err := expand(tt.ref, Options{WorkingDirectory: dir})
		m, _ := errors.AsType[*mistake.Error](err)
		if got != tt.want || (err != nil) != (tt.problem != "") || err != nil && (m == nil || m.Advice == "" || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("%s: %s, %v", tt.ref, got, err)
		}
	}
}

// TestElsewhere: a name with a registry in it, which no engine knows, can be read
// from there.
func TestElsewhere(t *testing.T) {
	unreachable, unknown, other := &engine.Error{Host: "x", Err: errors.New("y")}, &engine.NoSuchImageError{}, errors.New("other")
	for _, tt := range []struct {
		name string
		err  error
		hint string
	}{
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:7", unknown, "command rollout"},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:7", unreachable, "docker://123456789012.dkr"},
		{"ghcr.io/team/web:7", unreachable, "write docker://ghcr.io/team/web:7"},
		{"public.ecr.aws/team/web:7", unknown, "write docker://public.ecr.aws/team/web:7"},
		{"localhost:5000/web:7", unknown, "write docker://localhost:5000/web:7"},
		{"localhost/web", unknown, "write docker://localhost/web"},
		{"web:7", unreachable, ""},
		{"team/web:7", unknown, ""},
		{"ghcr.io/team/web:7", other, ""},
	} {
		err := elsewhere(tt.name, tt.err)
		with, ok := err.(interface{ Hint() string })
		if ok != (tt.hint != "") || ok && !strings.Contains(with.Hint(), tt.hint) || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FuzzExpand: no pattern makes the search panic or leave the folder.
func FuzzExpand(f *testing.F) {
	f.Add("**/*.tar")
	f.Add("a?[b")
	f.Fuzz(func(t *testing.T, ref string) {
		if strings.ContainsAny(ref, "/\\:\x00") || strings.Contains(ref, "..") {
			return // stays in its empty folder
		}
		if got, err := expand(ref, Options{WorkingDirectory: t.TempDir()}); err == nil && got != ref {
			t.Errorf("%q became %q", ref, got)
		}
	})
}

// TestQuoted: a path of Windows is shown as it was typed, and what cannot be printed
// is escaped.
func TestQuoted(t *testing.T) {
	for ref, want := range map[string]string{
		`C:\out\app.tar`: `"C:\out\app.tar"`, "out/app.tar": `"out/app.tar"`, "a\nb": `"a\nb"`, `a"b`: `"a\"b"`, "\x1b[31m": `"\x1b[31m"`, `a\nb`: `"a\nb"`,
	} {
		if got := quoted(ref); got != want {
			t.Errorf("quoted(%q) = %s, want %s", ref, got, want)
		}
	}
}
