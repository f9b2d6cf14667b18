package compress

// Checking a layer while it is read by somebody else: whoever sends it to a registry
// cannot send all of a wrong one.

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
)

// Checked returns a reader of the layer's bytes that fails before their end if
// they do not unpack to what the config lists: the registry never has all of such
// a layer then, so that a later push does not find it there.
func Checked(ctx context.Context, k image.LayerCheck, r io.ReadCloser) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	c := &checkedReader{ReadCloser: r, want: k.Desc, sum: sha256.New(), out: out, cancel: cancel, verdict: make(chan error, 1)}
	go func() {
		err := guard.Run(func() error {
			if err := Compare(ctx, k, in); err != nil {
				return err
			}
			_, err := io.Copy(io.Discard, in) // what it did not have to see
			return err
		})
		in.CloseWithError(io.ErrClosedPipe)
		c.verdict <- err
	}()
	return c
}

type checkedReader struct {
	io.ReadCloser
	want v1.Descriptor
	sum  hash.Hash // of what was read
	size int64

	out     *io.PipeWriter
	cancel  context.CancelFunc
	verdict chan error

	give, held []byte // what may be given, and what was read after it
	spare      []byte // to read into
	given      []byte // the buffer of give, which is free once that is empty
	err        error  // once give is empty
}

// Read keeps back what it has read last until it has read more, so that the end
// of a wrong layer is kept back for good.
func (c *checkedReader) Read(p []byte) (int, error) {
	for len(c.give) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		c.next()
	}
	n := copy(p, c.give)
	c.give = c.give[n:]
	return n, nil
}

// next reads on. All of give has been given.
func (c *checkedReader) next() {
	if len(c.spare) == 0 {
		c.spare = make([]byte, inflatePart)
	}
	n, err := c.ReadCloser.Read(c.spare[:inflatePart])
	c.sum.Write(c.spare[:n])
	c.size += int64(n)
	_, stopped := c.out.Write(c.spare[:n])
	if err == nil && stopped == nil {
		if n > 0 {
			c.give, c.held, c.spare = c.held, c.spare[:n], c.given
			c.given = c.give[:cap(c.give)]
		}
		return
	}
	if stopped != nil && err == nil { // the layer is wrong: or what came of it is
		var rest int64
		rest, err = io.Copy(c.sum, c.ReadCloser)
		if c.size += rest; err == nil {
			err = io.EOF
		}
	}
	if err != io.EOF {
		c.err = err
		return
	}
	c.out.Close()
	switch wrong, got := <-c.verdict, image.HashOf(c.sum); {
	case wrong != nil && c.size < c.want.Size:
		c.err = fmt.Errorf("%s ends after %d of %d bytes: %w", c.want.Digest, c.size, c.want.Size, io.ErrUnexpectedEOF)
		return
	case wrong != nil && got != c.want.Digest:
		c.err = &image.DigestError{Want: c.want.Digest, Got: got}
		return
	case wrong != nil:
		c.err = image.FinalError{Err: wrong}
		return
	}
	c.give, c.held, c.err = append(c.held, c.spare[:n]...), nil, io.EOF
}

func (c *checkedReader) Close() error {
	c.cancel()
	c.out.CloseWithError(context.Canceled)
	return c.ReadCloser.Close()
}
