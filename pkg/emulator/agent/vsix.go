package agent

// Unpacking of a VSIX, which is a zip with an extension.vsomanifest that names its contributions.

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const taskContribution = "ms.vss-distributed-task.task"

// Unpack writes the one task that a VSIX contributes below dir, in a folder <name>_<id>/<version> as an agent does, and
// returns that folder. Files get mode 0644: the exec bit survives neither packaging nor the agent's extraction.
func Unpack(vsix, dir string) (taskDir string, err error) {
	archive, err := zip.OpenReader(vsix)
	if err != nil {
		return "", fmt.Errorf("open the extension %s: %w", vsix, err)
	}
	defer archive.Close()

	folder, err := contributedTask(archive)
	if err != nil {
		return "", fmt.Errorf("extension %s: %w", vsix, err)
	}
	var task definition
	if err := readJSON(archive, path.Join(folder, "task.json"), &task); err != nil {
		return "", fmt.Errorf("extension %s: %w", vsix, err)
	}
	taskDir = filepath.Join(dir, task.Name+"_"+task.ID, task.version())
	for _, f := range archive.File {
		name, inside := strings.CutPrefix(f.Name, folder+"/")
		if !inside || strings.HasSuffix(f.Name, "/") { // folders have entries of their own
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return "", fmt.Errorf("extension %s: entry %q leaves its folder", vsix, f.Name)
		}
		if err := extract(f, filepath.Join(taskDir, filepath.FromSlash(name))); err != nil {
			return "", fmt.Errorf("unpack %s: %w", f.Name, err)
		}
	}
	return taskDir, nil
}

// contributedTask returns the folder of the only task that the extension contributes.
func contributedTask(archive *zip.ReadCloser) (string, error) {
	var manifest struct {
		Contributions []struct {
			Type       string
			Properties struct{ Name string }
		}
	}
	if err := readJSON(archive, "extension.vsomanifest", &manifest); err != nil {
		return "", err
	}
	var folders []string
	for _, c := range manifest.Contributions {
		if c.Type == taskContribution {
			folders = append(folders, strings.Trim(c.Properties.Name, "/"))
		}
	}
	if len(folders) != 1 || folders[0] == "" {
		return "", fmt.Errorf("want one contribution of type %s, found %q", taskContribution, folders)
	}
	return folders[0], nil
}

func readJSON(archive fs.FS, name string, v any) error {
	data, err := fs.ReadFile(archive, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(data), "\ufeff")), v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func extract(f *zip.File, to string) (err error) {
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
