package source

// Layers of an image while its engine still hands it out: whoever moves the image can
// begin with them before all of it is there.

import (
	"archive/tar"
	"bufio"
	"context"
	"io"
	"path"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/engine"
)

// Arriving has f told of raw layers while an engine hands the image out, in the order in
// which it does; nil is told nothing. A layer's bytes may still be coming: reading them
// waits, and fails when the engine stops. That they are those of the diffID has to be
// checked by whoever reads them. f must not block.
func (m *Image) Arriving(f func(image.Layer)) { m.arriving = f }

// announced is how large a layer has to be to be told of: what is smaller is sent soon
// enough once all is there.
const announced = 1 << 20

// arrival is an archive that comes into a temporary file and is read meanwhile.
type arrival struct {
	spool  *spool
	tell   func(image.Layer)
	wanted map[v1.Hash]bool // diffIDs that have not been told of

	mu     sync.Mutex
	change *sync.Cond
	size   int64
	ended  bool
	err    error
}

// newArrival follows what comes into the spool of an image with these layers.
func newArrival(t *spool, in engine.Inspected, tell func(image.Layer)) *arrival {
	a := &arrival{spool: t, tell: tell, wanted: map[v1.Hash]bool{}}
	a.change = sync.NewCond(&a.mu)
	for _, l := range in.RootFS.Layers {
		if h, err := v1.NewHash(l); err == nil && h.Algorithm == "sha256" {
			a.wanted[h] = true
		}
	}
	return a
}

// ReadFrom writes all of r to the file. What the archive is worth is judged when it is
// complete: an archive that cannot be followed is written all the same.
func (a *arrival) ReadFrom(r io.Reader) (int64, error) {
	in := &followed{from: bufio.NewReaderSize(&kept{r, a, nil}, 256<<10)}
	a.follow(in)
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{in}, make([]byte, 256<<10))
	a.update(func() { a.ended, a.err = true, err })
	return in.at, err
}

// follow goes through the entries and tells of layers.
func (a *arrival) follow(in *followed) {
	tr := tar.NewReader(in)
	for len(a.wanted) > 0 {
		h, err := tr.Next()
		if err != nil {
			return
		}
		sparse := h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != ""
		if h.Typeflag != tar.TypeReg || sparse || h.Size < announced {
			continue
		}
		l := image.Layer{Size: h.Size, Format: image.FormatTar, Open: a.section(h.Name, in.at, h.Size)}
		if head, err := in.from.Peek(image.TarBlock); err != nil || image.Sniff(head) != image.FormatTar && image.Sniff(head) != image.FormatUnknown {
			continue // it has been compressed by somebody else
		}
		if l.DiffID = digestIn(h.Name); a.wanted[l.DiffID] {
			delete(a.wanted, l.DiffID)
			a.tell(l)
		}
	}
}

// digestIn is the digest that an entry is called by: blobs/sha256/DIGEST since Docker 25,
// DIGEST.tar by podman. Zero for any other name, as those of Docker up to 24: hashing a
// layer to know which one it is costs more time than is gained where the processor is what
// a push waits for.
func digestIn(name string) v1.Hash {
	h, err := v1.NewHash("sha256:" + strings.TrimSuffix(path.Base(name), ".tar"))
	if err != nil {
		return v1.Hash{}
	}
	return h
}

// update changes the state and wakes the readers.
func (a *arrival) update(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	a.change.Broadcast()
}

// kept writes what is read to the arrival's file, and ends for good with the first error.
type kept struct {
	from io.Reader
	to   *arrival
	err  error
}

func (k *kept) Read(p []byte) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	n, err := k.from.Read(p)
	if n > 0 {
		if _, full := k.to.spool.Write(p[:n]); full != nil {
			k.err = full
			return 0, full
		}
		k.to.update(func() { k.to.size += int64(n) })
	}
	k.err = err
	return n, err
}

// followed counts what has been taken of a buffered reader.
type followed struct {
	from *bufio.Reader
	at   int64
}

func (f *followed) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	f.at += int64(n)
	return n, err
}

// section opens size bytes of the file from offset, of which some may still have to come.
func (a *arrival) section(name string, offset, size int64) image.Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		stop := context.AfterFunc(ctx, func() { a.update(func() {}) })
		return &sectionReader{arrival: a, ctx: ctx, name: name, at: offset, end: offset + size, stop: stop}, nil
	}
}

type sectionReader struct {
	*arrival
	ctx     context.Context
	name    string
	at, end int64
	stop    func() bool
}

func (r *sectionReader) Read(p []byte) (int, error) {
	if r.at == r.end {
		return 0, io.EOF
	}
	r.mu.Lock()
	for r.at == r.size && !r.ended && r.ctx.Err() == nil {
		r.change.Wait()
	}
	there, err := min(r.size, r.end)-r.at, r.err
	r.mu.Unlock()
	switch {
	case r.ctx.Err() != nil:
		return 0, context.Cause(r.ctx)
	case there == 0 && err == nil:
		err = io.ErrUnexpectedEOF
		fallthrough
	case there == 0:
		return 0, &image.SourceError{Name: r.name, Err: err}
	}
	n, err := r.spool.ReadAt(p[:min(int64(len(p)), there)], r.at)
	r.at += int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, &image.SourceError{Name: r.name, Err: err}
}

func (r *sectionReader) Close() error {
	r.stop()
	return nil
}
