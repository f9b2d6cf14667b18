package source

// Temporary files for what cannot be read at random: a gzipped archive, an engine's
// stream.

import (
	"errors"
	"fmt"
	"io"
	"os"
)

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
