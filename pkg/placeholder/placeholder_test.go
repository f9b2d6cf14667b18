package placeholder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIs(t *testing.T) {
	for _, test := range []struct {
		name   string
		labels map[string]string
		want   bool
	}{
		{"this version", map[string]string{"org.opencontainers.image.title": "placeholder", Label: "1"}, true},
		{"a version of tomorrow", map[string]string{Label: "2"}, true},
		{"built upon, and disowned", map[string]string{Label: ""}, false},
		{"the title alone", map[string]string{"org.opencontainers.image.title": "placeholder"}, false},
		{"no labels", nil, false},
	} {
		if got := Is(test.labels); got != test.want {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}

func TestIsManifest(t *testing.T) {
	for _, test := range []struct {
		name, raw string
		want      bool
	}{
		{"an index", `{"schemaVersion": 2, "manifests": [], "annotations": {"` + Label + `": "1"}}`, true},
		{"another image", `{"schemaVersion": 2, "layers": [], "annotations": {"a": "b"}}`, false},
		{"a layer's annotation", `{"layers": [{"annotations": {"` + Label + `": "1"}}]}`, false},
		{"Docker's format", `{"schemaVersion": 2}`, false},
		{"nothing", ``, false},
		{"annotations that are none", `{"annotations": ["` + Label + `"]}`, false},
	} {
		if got := IsManifest([]byte(test.raw)); got != test.want {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}

func TestLayout(t *testing.T) {
	folder := t.TempDir()
	if _, err := Layout(folder); err == nil || !strings.Contains(err.Error(), "is missing; install the extension again") {
		t.Errorf("got %v", err)
	}
	path := filepath.Join(folder, File)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Layout(folder); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Layout(folder); err != nil || got != path {
		t.Errorf("got %s, %v", got, err)
	}
}
