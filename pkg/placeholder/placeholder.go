// Package placeholder knows the built-in hello-world image: what it is called
// in a repository, and where the task folder has it.
//
// The image lets infrastructure come before the application. It has one file
// of substance, the server in the folder server, for linux/amd64 and
// linux/arm64; the command in the folder build makes it, as an OCI archive that
// package image opens like any other.
//
// The package does not push it, does not recognise it in a task definition
// (package deploy does, by its tag), and does not run it.
package placeholder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// File is the name of the image in the task folder.
	File = "placeholder.tar"
	// Tag is what the image is called in a repository. Like a build id it is
	// set once; an image that is there already stays.
	Tag = "placeholder"
)

// Layout returns the path of the image in the folder of the task, to be opened
// by package image. It fails where the file is missing.
func Layout(taskFolder string) (string, error) {
	path := filepath.Join(taskFolder, File)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the placeholder image %s is missing; install the extension again", path)
	case err != nil:
		return "", fmt.Errorf("the placeholder image: %w", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("the placeholder image %s is not a regular file; install the extension again", path)
	}
	return path, nil
}
