package source

// What a reference is: a registry's image, a path, or a name for the local
// engine. The decision is pure; only looking at a path touches the disk.

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"ecsdeploy/pkg/image"
)

// refKind is the outcome of classify.
type refKind int

const (
	refInvalid refKind = iota
	refRegistry
	refFile
	refDirectory
	refEngine
)

func (k refKind) String() string {
	return [...]string{"invalid", "registry", "file", "directory", "engine"}[k]
}

// reference is a reference that has been understood.
type reference struct {
	kind     refKind
	name     string // registry and engine: the image's name
	path     string // file and directory
	selector string // what stood behind "#" in a path
	problem  string // invalid: why
}

// fileKind is what lies at a path.
type fileKind int

const (
	fileMissing    fileKind = iota
	fileOther               // a file that does not begin as an archive does
	fileArchive             // begins as tar or a compressed file does
	fileFolder              // a directory without an image
	fileLayout              // a directory with oci-layout or index.json
	fileUnreadable          // there, but closed to us
)

// quoted is a reference in quotation marks as it was typed: the backslashes of a path
// of Windows are not doubled.
func quoted(ref string) string {
	if q := strconv.Quote(ref); strings.ReplaceAll(q, `\\`, `\`) != `"`+ref+`"` {
		return q
	}
	return `"` + ref + `"`
}

// imageName is the grammar of names an engine takes (distribution/reference,
// regexp.go), which bare IDs fit too: host and path, tag, digest.
var imageName = regexp.MustCompile(`^[A-Za-z0-9]+([._-]+[A-Za-z0-9]+)*(:[0-9]+)?` +
	`(/[a-z0-9]+([._-]+[a-z0-9]+)*)*` +
	`(:\w[\w.-]{0,127})?` +
	`(@[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,})?$`)

// looksLikePath tells a path from an image's name by its spelling alone.
func looksLikePath(s string) bool {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, ".") || strings.HasPrefix(s, "~") || strings.Contains(s, `\`) {
		return true
	}
	if len(s) > 2 && s[1] == ':' && s[2] == '/' { // C:/…
		return true
	}
	low := strings.ToLower(s)
	for _, ext := range []string{".tar", ".tar.gz", ".tgz", ".oci"} {
		if strings.HasSuffix(low, ext) {
			return true
		}
	}
	return false
}

// classify decides what ref is. look says what lies at a path and is asked only
// about ref and about parts of it.
func classify(ref string, look func(path string) fileKind) reference {
	const scheme = "docker://"
	if ref == "" {
		return reference{problem: "is empty"}
	}
	if strings.ContainsAny(ref, "\x00\r\n") {
		return reference{problem: "holds a control character"}
	}
	if rest, ok := strings.CutPrefix(ref, scheme); ok {
		if _, err := name.ParseReference(rest, name.WeakValidation); err != nil {
			if host, repository, ok := strings.Cut(rest, "/"); ok && strings.ToLower(repository) != repository {
				return reference{problem: "names of repositories are written in lower case, such as docker://" + host + "/" + strings.ToLower(repository)}
			}
			return reference{problem: "is not docker://host/repository:tag or docker://host/repository@digest: " + err.Error()}
		}
		return reference{kind: refRegistry, name: rest}
	}
	if transport, rest, ok := strings.Cut(ref, ":"); ok && look(ref) == fileMissing {
		url := strings.HasPrefix(rest, "//")
		switch transport {
		case "docker-archive", "oci-archive", "oci":
			if url {
				break
			}
			if at := classifyTransport(rest, look); at.problem == "" || !imageName.MatchString(ref) {
				return at
			} // else an image of that name, with a tag
		case "docker-daemon":
			if !imageName.MatchString(rest) {
				return reference{problem: "is not docker-daemon:NAME:TAG"}
			}
			return reference{kind: refEngine, name: rest}
		case "file":
			if p, ok := strings.CutPrefix(rest, "//"); ok {
				p = strings.TrimPrefix(p, "localhost")
				if len(p) > 3 && p[0] == '/' && p[2] == ':' { // file:///C:/…
					p = p[1:]
				}
				return classifyPath(p, look)
			}
		case "http", "https":
			if at, ok := strings.CutPrefix(rest, "//"); ok {
				return reference{problem: "has the scheme " + transport + "://; write an image of a registry as docker://" + at}
			}
		case "containers-storage", "dir", "ostree", "sif", "tarball":
			if imageName.MatchString(ref) {
				break
			}
			return reference{problem: "has the transport " + transport + ":, which is not read here; save the image as an archive (podman save, skopeo copy " + ref + " docker-archive:FILE)"}
		}
	}
	if scheme, _, ok := strings.Cut(ref, "://"); ok {
		if strings.EqualFold(scheme, "docker") {
			return reference{problem: "has the scheme " + scheme + "://; write it as docker://, in lower case"}
		}
		return reference{problem: "has the unknown scheme " + scheme + "://; there are docker:// and file://"}
	}
	return classifyPath(ref, look)
}

// classifyTransport decides about a reference as skopeo and podman write it:
// path or path:name:tag behind the name of a transport.
func classifyTransport(rest string, look func(path string) fileKind) reference {
	for i := range len(rest) + 1 {
		if i < len(rest) && (rest[i] != ':' || i == 0) {
			continue
		}
		if kind := map[fileKind]refKind{fileArchive: refFile, fileLayout: refDirectory}[look(rest[:i])]; kind != refInvalid {
			_, selector, _ := strings.Cut(rest[i:], ":")
			return reference{kind: kind, path: rest[:i], selector: selector}
		}
	}
	path, _, _ := strings.Cut(rest, ":")
	return reference{problem: "no such archive or layout as " + path + "; is the path right, and was the artifact downloaded?"}
}

// classifyPath decides about a reference without a scheme.
func classifyPath(ref string, look func(path string) fileKind) reference {
	path, selector, kind := ref, "", look(ref)
	if i := strings.LastIndexByte(ref, '#'); kind == fileMissing && i > 0 {
		path, selector = ref[:i], ref[i+1:]
		kind = look(path)
	}
	spelled := looksLikePath(path)
	nameable := imageName.MatchString(ref) && !spelled
	switch kind {
	case fileArchive:
		return reference{kind: refFile, path: path, selector: selector}
	case fileLayout:
		return reference{kind: refDirectory, path: path, selector: selector}
	case fileOther, fileFolder, fileUnreadable:
		if nameable {
			break // a binary "chat-app" beside an image of that name
		}
		return reference{problem: map[fileKind]string{
			fileOther:      "is a file, but neither a tar archive nor a gzipped one",
			fileFolder:     "is a folder without an OCI layout (no oci-layout, no index.json)",
			fileUnreadable: "cannot be read; check the file's permissions",
		}[kind]}
	case fileMissing:
		if spelled || selector != "" {
			return reference{problem: "no such file or folder; is the path right, and was the artifact downloaded?"}
		}
	}
	if !nameable {
		if low := strings.ToLower(ref); low != ref && imageName.MatchString(low) {
			return reference{problem: "is neither an existing path nor an image's name: names of images are written in lower case, such as " + low}
		}
		return reference{problem: "is neither an existing path nor an image's name"}
	}
	return reference{kind: refEngine, name: ref}
}

// lookAt says what lies at path.
func lookAt(path string) fileKind {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fileUnreadable
	case err != nil:
		// Not only "does not exist": the name of an image can be longer than a
		// path may be, or hold characters that a path may not.
		return fileMissing
	case info.IsDir():
		for _, f := range []string{"oci-layout", "index.json"} {
			if _, err := os.Stat(filepath.Join(path, f)); err == nil {
				return fileLayout
			}
		}
		return fileFolder
	case !info.Mode().IsRegular():
		return fileOther
	}
	f, err := os.Open(path)
	if err != nil {
		return fileUnreadable
	}
	defer f.Close()
	head := make([]byte, image.TarBlock)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return fileUnreadable
	}
	if image.Sniff(head[:n]) != image.FormatUnknown {
		return fileArchive
	}
	return fileOther
}
