package registry

// What an upload reads from.

import (
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"ecsdeploy/pkg/image"
)

// body is what an upload reads from: it counts, hashes, remembers the source's
// error, and can be closed while it is read.
type body struct {
	mu     sync.Mutex
	r      io.ReadCloser
	sum    hash.Hash // may be nil
	count  func(int)
	moved  func(n int, end bool)
	n      int64
	end    bool
	err    error // of the source
	closed bool
}

func newBody(r io.ReadCloser, sum hash.Hash, count func(int)) *body {
	if count == nil {
		count = func(int) {}
	}
	return &body{r: r, sum: sum, count: count, moved: func(int, bool) {}}
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		// Whoever wants to send the body a second time must not take it for
		// empty.
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.r.Read(p)
	if n > 0 {
		b.n += int64(n)
		if b.sum != nil {
			b.sum.Write(p[:n])
		}
		b.count(n)
	}
	switch {
	case err == io.EOF:
		b.end = true
	case err != nil:
		b.err = err
	}
	if n > 0 || b.end {
		b.moved(n, b.end)
	}
	return n, err
}

func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	return b.r.Close()
}

// failed is the error of the source, if there was one.
func (b *body) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// read is how many bytes were read.
func (b *body) read() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// ended says whether the bytes were read to their end.
func (b *body) ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end
}

// file is the file that a body consists of, if nothing has to see its bytes.
func (b *body) file() *os.File {
	m, ok := b.r.(*image.MarkedReader)
	if !ok || b.sum != nil {
		return nil
	}
	f, _ := m.ReadCloser.(*os.File)
	return f
}

// copyFile has the kernel copy the next limit.N bytes of the body.
func (b *body) copyFile(to *net.TCPConn, f *os.File, limit *io.LimitedReader) (int64, error) {
	sent := int64(0)
	for limit.N > 0 {
		n, err := b.copyPiece(to, f, min(limit.N, kernelPiece))
		sent += n
		limit.N -= n
		if err == io.EOF {
			break // the caller finds that the body is too short
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

func (b *body) copyPiece(to *net.TCPConn, f *os.File, size int64) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, os.ErrClosed
	}
	n, err := io.CopyN(to, f, size)
	b.n += n
	b.end = err == io.EOF
	b.count(int(n))
	if n > 0 || b.end {
		b.moved(int(n), b.end)
	}
	return n, err
}
