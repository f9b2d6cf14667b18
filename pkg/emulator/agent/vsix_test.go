package agent

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const manifest = `{"contributions":[{"type":"ms.vss-distributed-task.task","properties":{"name":"task"}}]}`

func TestUnpack(t *testing.T) {
	task, err := os.ReadFile("testdata/task/task.json")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		files map[string]string
		err   string
	}{
		{name: "the task's folder alone", files: map[string]string{
			"extension.vsomanifest": "\ufeff" + manifest, "overview.md": "", "task/": "", "task/bin/": "", "task/task.json": string(task), "task/bin/program": "x",
		}},
		{name: "no manifest", files: map[string]string{"task/task.json": string(task)}, err: "extension.vsomanifest"},
		{name: "no task", files: map[string]string{"extension.vsomanifest": "{}"}, err: "want one contribution of type ms.vss-distributed-task.task"},
		{name: "a task without a manifest", files: map[string]string{"extension.vsomanifest": manifest}, err: "task/task.json"},
		{name: "a broken manifest", files: map[string]string{"extension.vsomanifest": manifest, "task/task.json": "{"}, err: "task/task.json: unexpected end of JSON"},
		{name: "an entry that leaves its folder", files: map[string]string{
			"extension.vsomanifest": manifest, "task/task.json": string(task), "task/../../evil": "x",
		}, err: "leaves its folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			got, err := Unpack(pack(t, tt.files), dir)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(dir, "Puppet_0f3ad0d4-6f1c-4a4e-9a77-0d6a7d3c1b01", "1.2.3"); got != want {
				t.Errorf("unpacked to %s, want %s", got, want)
			}
			info, err := os.Stat(filepath.Join(got, "bin", "program"))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&0o111 != 0 {
				t.Errorf("the program has mode %v: an agent's extraction keeps no exec bit", info.Mode())
			}
			if _, err := os.Stat(filepath.Join(got, "overview.md")); err == nil {
				t.Error("files outside the task's folder were unpacked")
			}
		})
	}
}

// pack writes a zip whose files are all executable.
func pack(t *testing.T, files map[string]string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "x.vsix"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := zip.NewWriter(file)
	for name, content := range files {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate}
		header.SetMode(0o755)
		entry, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}
