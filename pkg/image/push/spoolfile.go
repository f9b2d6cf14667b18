package push

// A spool file is a temporary file that is read while it is still written: what an engine
// sends is stored once, verified and uploaded at the same time, and an upload that
// has to begin again finds all of it.

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/source"
)

// spoolFile is written by one goroutine and read by any number.
type spoolFile struct {
	file source.Spool
	sum  hash.Hash

	mu      sync.Mutex
	change  *sync.Cond
	size    int64
	written bool // all of it is there
	settled bool // and it is what it should be
	err     error
	diffID  v1.Hash // what it unpacks to, once it is settled
}

func newSpoolFile(f source.Spool) *spoolFile {
	t := &spoolFile{file: f, sum: sha256.New()}
	t.change = sync.NewCond(&t.mu)
	return t
}

// Write appends; a full disk is a *DiskFullError.
func (t *spoolFile) Write(p []byte) (int, error) {
	n, err := t.file.Write(p)
	t.sum.Write(p[:n])
	t.update(func() { t.size += int64(n) })
	return n, err
}

// update changes the state and wakes the readers.
func (t *spoolFile) update(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
	t.change.Broadcast()
}

// end says that all is written, or that it never will be.
func (t *spoolFile) end(err error) { t.update(func() { t.written, t.err = err == nil, err }) }

// settle says what the file unpacks to, or that it is not what it should be.
func (t *spoolFile) settle(diffID v1.Hash, err error) {
	t.update(func() {
		t.diffID, t.settled = diffID, err == nil
		if t.err == nil {
			t.err = err
		}
	})
}

// desc describes what is written. The writer calls it once it has ended.
func (t *spoolFile) desc() v1.Descriptor {
	return v1.Descriptor{Digest: image.HashOf(t.sum), Size: t.size}
}

// failure is why the file will never be complete, or nil.
func (t *spoolFile) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// reader reads from the beginning and waits for what is not written yet. With hold
// it does not end before the file is settled.
func (t *spoolFile) reader(ctx context.Context, hold bool) io.ReadCloser {
	stop := context.AfterFunc(ctx, func() { t.update(func() {}) })
	return &spoolReader{spoolFile: t, ctx: ctx, hold: hold, stop: stop}
}

type spoolReader struct {
	spoolFile *spoolFile
	ctx       context.Context
	hold      bool
	stop      func() bool
	at        int64
}

func (r *spoolReader) Read(p []byte) (int, error) {
	t := r.spoolFile
	t.mu.Lock()
	for t.err == nil && r.ctx.Err() == nil && r.at == t.size && !t.settled && (r.hold || !t.written) {
		t.change.Wait()
	}
	size, err := t.size, t.err
	t.mu.Unlock()
	switch {
	case r.ctx.Err() != nil:
		return 0, context.Cause(r.ctx)
	case err != nil:
		return 0, &image.SourceError{Name: "the layer from the engine", Err: err}
	case r.at == size:
		return 0, io.EOF
	}
	n, err := t.file.ReadAt(p[:min(int64(len(p)), size-r.at)], r.at)
	r.at += int64(n)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (r *spoolReader) Close() error {
	r.stop()
	return nil
}
