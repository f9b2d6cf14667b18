package image

// Opening paths, and spooling what cannot be read at random, a gzipped archive
// or an engine's stream, into a temporary file.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

// openPath opens an archive or a layout directory.
func openPath(ctx context.Context, ref string, at reference, want Platform, o Options) (_ *Image, err error) {
	m := &Image{describe: Description{Ref: ref}}
	defer func() {
		if err != nil {
			m.Close()
			err = fmt.Errorf("image %q: %w", ref, err)
		}
	}()
	path := o.path(at.path)
	var c *content
	if at.kind == refDirectory {
		m.describe.Kind = KindOCILayout
		c, err = readLayout(ctx, directory(path), at.selector, want, nil)
	} else {
		var f *os.File
		if f, err = os.Open(path); err != nil {
			return nil, err
		}
		m.keep(f)
		if f, err = m.plain(ctx, f, o, spoolFloor); err != nil {
			return nil, err
		}
		c, m.describe.Kind, err = openArchive(ctx, f, at.selector, want)
	}
	if err != nil {
		return nil, err
	}
	m.use(c)
	return m, nil
}

// plain returns f, or what it holds if it is gzipped.
// What it holds may be larger than it by floor bytes and maxRatio times.
func (m *Image) plain(ctx context.Context, f *os.File, o Options, floor int64) (*os.File, error) {
	head := make([]byte, tarBlock)
	n, _ := f.ReadAt(head, 0)
	switch is := sniff(head[:n]); is {
	case formatGzip:
	case formatZstd, formatBzip2, formatXZ:
		return nil, fmt.Errorf("is compressed with %s; only gzip is read here: decompress it first", is)
	default:
		return f, nil
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	z, err := newGunzip(bufio.NewReaderSize(f, 256<<10))
	if err != nil {
		return nil, fmt.Errorf("the gzipped archive is corrupt: %w", err)
	}
	t, err := newSpool(o.TempDirectory)
	if err != nil {
		return nil, err
	}
	m.keep(t)
	limit := floor + maxRatio*info.Size()
	written, err := io.Copy(t, io.LimitReader(&interruptible{ctx, z}, limit+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errTruncated
	case errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader):
		return nil, fmt.Errorf("the gzipped archive is corrupt: %w", err)
	case err != nil:
		return nil, err
	case written > limit:
		return nil, fmt.Errorf("the gzipped archive unpacks to more than %d MiB, which no image of %d bytes does (the limit is %d MiB and %d times its size)", limit>>20, info.Size(), floor>>20, maxRatio)
	}
	return t.File, nil
}

// openArchive reads an image archive on disk.
func openArchive(ctx context.Context, f *os.File, selector string, want Platform) (*content, Kind, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	a, err := indexArchive(ctx, f, info.Size())
	if err != nil {
		return nil, "", err
	}
	return readArchive(ctx, a, selector, want)
}

// spool is a temporary file that is gone once it is closed. Where the system
// allows it, its name is gone at once, so that not even a killed process leaves
// it behind.
type spool struct {
	*os.File
	unlinked bool
	written  int64
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "image-*.tar")
	if err != nil {
		return nil, fmt.Errorf("temporary file: %w", err)
	}
	return &spool{File: f, unlinked: os.Remove(f.Name()) == nil}, nil
}

// Write writes to the file; a full disk is a *DiskFullError.
func (s *spool) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	s.written += int64(n)
	if err != nil && isDiskFull(err) {
		err = &DiskFullError{Path: s.Name(), Written: s.written, Err: err}
	}
	return n, err
}

// ReadFrom hides os.File's, which would not count.
func (s *spool) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{s}, r, make([]byte, 256<<10))
}

func (s *spool) Close() error {
	err := s.File.Close()
	if !s.unlinked {
		err = errors.Join(err, os.Remove(s.Name()))
	}
	return err
}

// DiskFullError says that a temporary file did not fit on the disk.
type DiskFullError struct {
	Path    string
	Written int64 // bytes that did fit
	Err     error
}

func (e *DiskFullError) Error() string {
	return fmt.Sprintf("the disk is full after %d MB of the temporary file %s; free some space or choose another temporary directory", e.Written>>20, e.Path)
}
func (e *DiskFullError) Unwrap() error { return e.Err }

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.r.Read(p)
}
