package placeholder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
