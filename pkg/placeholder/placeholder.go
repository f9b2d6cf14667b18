// Package placeholder knows the built-in hello-world image: how it is
// recognised wherever it lies, and where the task folder has it.
//
// The image lets infrastructure come before the application. It has one file
// of substance, the server in the folder server, for linux/amd64 and
// linux/arm64; the command in the folder build makes it, as an OCI archive that
// package image opens like any other.
//
// The package does not push it, does not decide when it stands in for another
// image, and does not run it.
package placeholder

import (
	"encoding/json"
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
	// set once; an image that is there already stays (see [IsManifest]).
	Tag = "placeholder"
	// Label marks the image, with any value but the empty one: as a label of
	// each platform's config, and as an annotation of the index and of each
	// platform's manifest, so that no right to read layers is needed to see it.
	Label = "io.github.ecsdeploy.placeholder"
)

// Is reports whether the labels of an image's config, or the annotations of its
// manifest or index, say that it is a placeholder: of this version or another.
// A digest would only be that of one version.
func Is(labels map[string]string) bool { return labels[Label] != "" }

// IsManifest reports the same of a manifest or index as a registry keeps it.
// What is none is no placeholder.
func IsManifest(raw []byte) bool {
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	return json.Unmarshal(raw, &manifest) == nil && Is(manifest.Annotations)
}

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
