package source

// Named files at random access: those of a directory, or of a tar archive that
// was indexed in one scan. Names in an archive are only ever looked up in the
// index, never on the disk, so "../../etc/passwd" is a name like any other.

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"ecsdeploy/pkg/image"
)

// files are read by slash-separated names. A missing one is fs.ErrNotExist.
type files interface {
	stat(name string) (size int64, err error)
	open(name string) (io.ReadCloser, error)
	// foreign says that a symbolic link leads from name to a file that may not be
	// part of the image at all.
	foreign(name string) bool
}

// directory is files on disk. A symbolic link may lead out of it, as those of
// build systems do: content counts only when its digest is right, and nothing of
// it is sent before.
type directory string

func (d directory) foreign(name string) bool {
	at := string(d)
	for part := range strings.SplitSeq(path.Join("/", name)[1:], "/") {
		at = filepath.Join(at, part)
		if info, err := os.Lstat(at); err != nil || info.Mode()&os.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

func (d directory) path(name string) string {
	return filepath.Join(string(d), filepath.FromSlash(path.Join("/", name)))
}

func (d directory) stat(name string) (int64, error) {
	info, err := os.Stat(d.path(name))
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s is not a regular file", d.path(name))
	}
	return info.Size(), nil
}

func (d directory) open(name string) (io.ReadCloser, error) {
	if _, err := d.stat(name); err != nil {
		return nil, err
	}
	return os.Open(d.path(name))
}

// Bounds on an archive's table of contents: an image has some hundred entries.
const (
	maxEntries = 100_000
	maxNames   = 16 << 20 // bytes of all names
	maxLinks   = 32       // links followed from one name
)

// archive is the files of a tar archive, found in one scan.
type archive struct {
	from    io.ReaderAt
	size    int64
	entries map[string]entry
}

// foreign is false: links in an archive lead to its own entries only.
func (a *archive) foreign(string) bool { return false }

type entry struct {
	offset, size int64
	link         string // another entry's name; the entry has no bytes then
	// sparse is the entry's place in the archive, from 1, if its bytes do not stand
	// there one after the other.
	sparse int
}

// errTruncated says that an archive ends too early.
var errTruncated = errors.New("the archive is truncated: it ends in the middle of a file; was it copied or downloaded whole?")

// indexArchive scans the headers of a tar archive of the given size. The bytes
// of the files are skipped, not read.
func indexArchive(ctx context.Context, r io.ReaderAt, size int64) (*archive, error) {
	a := &archive{from: r, size: size, entries: map[string]entry{}}
	section := io.NewSectionReader(r, 0, size)
	tr := tar.NewReader(section)
	names := 0
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := tr.Next()
		switch {
		case err == io.EOF:
			return a, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errTruncated
		case err != nil:
			return nil, fmt.Errorf("the archive is corrupt: %w", err)
		case n == maxEntries:
			return nil, fmt.Errorf("the archive has more than %d entries and cannot be an image", maxEntries)
		}
		if names += len(h.Name) + len(h.Linkname); names > maxNames {
			return nil, fmt.Errorf("the names in the archive are longer than %d MiB in all; it cannot be an image", maxNames>>20)
		}
		name := path.Join("/", h.Name)
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
			offset, err := section.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			e := entry{offset: offset, size: h.Size}
			if h.Typeflag == tar.TypeGNUSparse || h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != "" {
				e.sparse = n + 1
			} else if h.Size > size-offset {
				return nil, errTruncated
			}
			a.entries[name] = e
		case tar.TypeSymlink:
			target := h.Linkname
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(name), target)
			}
			a.entries[name] = entry{link: path.Join("/", target)}
		case tar.TypeLink:
			a.entries[name] = entry{link: path.Join("/", h.Linkname)}
		}
	}
}

// find follows links from name to an entry with bytes.
func (a *archive) find(name string) (entry, error) {
	at := path.Join("/", name)
	for range maxLinks {
		e, ok := a.entries[at]
		if !ok {
			return entry{}, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
		}
		switch e.link {
		case "":
			return e, nil
		case at:
			return entry{}, fmt.Errorf("the archive's entry %q is a link to itself", name)
		}
		at = e.link
	}
	return entry{}, fmt.Errorf("the archive's entry %q is a link that leads in a circle", name)
}

func (a *archive) stat(name string) (int64, error) {
	e, err := a.find(name)
	return e.size, err
}

func (a *archive) open(name string) (io.ReadCloser, error) {
	e, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if e.sparse > 0 {
		return a.openSparse(e)
	}
	return io.NopCloser(io.NewSectionReader(a.from, e.offset, e.size)), nil
}

// openSparse goes through the archive to the entry again, since only the library
// knows where the entry's pieces lie.
func (a *archive) openSparse(e entry) (io.ReadCloser, error) {
	tr := tar.NewReader(io.NewSectionReader(a.from, 0, a.size))
	for range e.sparse {
		if _, err := tr.Next(); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(tr), nil
}

// fileOpener opens name in f for an upload. Errors of the disk are marked, so
// that none of them is taken for the network's and tried again.
func fileOpener(f files, name string) image.Opener {
	return func(context.Context) (io.ReadCloser, error) {
		r, err := f.open(name)
		if err != nil {
			return nil, &image.SourceError{Name: name, Err: err}
		}
		return &image.MarkedReader{ReadCloser: r, Mark: func(err error) error { return &image.SourceError{Name: name, Err: err} }}, nil
	}
}

// readFile reads a small file whole.
func readFile(f files, name string, limit int64) ([]byte, error) {
	r, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := image.ReadSmall(r, limit)
	if err != nil {
		return nil, fmt.Errorf("%s %w", strings.TrimPrefix(name, "/"), err)
	}
	return b, nil
}
