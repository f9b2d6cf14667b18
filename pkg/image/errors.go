package image

// Errors by whose fault they are: the source's, the registry's that the image comes
// from, or one that no further try can mend; and readers that mark them.

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// OriginError is an error of the registry that an image comes from, not of the
// one that it goes to.
type OriginError struct {
	Repository string // host/name
	Err        error
}

func (e *OriginError) Error() string { return e.Err.Error() }

func (e *OriginError) Unwrap() error { return e.Err }

// DigestError says that bytes do not have their digest. That they were changed on
// the way is possible, but twice is not.
type DigestError struct{ Want, Got v1.Hash }

func (e *DigestError) Error() string {
	return fmt.Sprintf("digest mismatch: expected %s, got %s; the image is corrupt", e.Want, e.Got)
}

// SourceError is an error of the image's source, not of the registry.
type SourceError struct {
	Name string
	Err  error
}

func (e *SourceError) Error() string {
	if errors.Is(e.Err, io.ErrUnexpectedEOF) {
		return fmt.Sprintf("read %s: it is shorter than it was", e.Name)
	}
	return fmt.Sprintf("read %s: %v", e.Name, e.Err)
}

func (e *SourceError) Unwrap() error { return e.Err }

// MarkedReader marks the errors of a source, so that they can be told from those
// of the registry.
type MarkedReader struct {
	io.ReadCloser
	Mark func(error) error
}

func (r *MarkedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = r.Mark(err)
	}
	return n, err
}

// FinalError is an error that no further try can mend.
type FinalError struct{ Err error }

func (e FinalError) Error() string { return e.Err.Error() }

func (e FinalError) Unwrap() error { return e.Err }

func Final(format string, args ...any) error { return FinalError{fmt.Errorf(format, args...)} }

// Interruptible is a reader that ends with its context.
type Interruptible struct {
	Ctx context.Context
	R   io.Reader
}

func (i *Interruptible) Read(p []byte) (int, error) {
	if err := i.Ctx.Err(); err != nil {
		return 0, context.Cause(i.Ctx)
	}
	return i.R.Read(p)
}
