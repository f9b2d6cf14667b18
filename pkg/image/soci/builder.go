package soci

// Making a zTOC while a layer is compressed, and reading the layer's table of contents on
// the way.

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"ecsdeploy/pkg/guard"
)

// maxFiles bounds the memory that a table of contents takes: of a layer with more entries
// there is no zTOC.
const maxFiles = 100_000

// maxText bounds the bytes of all names, links and records of a layer.
const maxText = 16 << 20

// Builder is told of a layer what is read of it and what it is compressed to, both in
// their order, and makes its zTOC. Raw and Compressed may be called by two goroutines.
type Builder struct {
	stream *stream
	parsed chan struct{}
	files  *contents
	err    error

	// Of Compressed.
	points    []Checkpoint
	sum       hash.Hash // of the span; nil before the first
	spanStart int64     // its offset in the unpacked layer
	at, raw   int64
}

// NewBuilder starts a builder. Close ends it.
func NewBuilder() *Builder {
	b := &Builder{stream: newStream(), parsed: make(chan struct{}), files: newContents()}
	go func() {
		defer close(b.parsed)
		defer b.stream.stop()
		b.err = guard.Run(b.parse)
	}()
	return b
}

// Raw takes bytes of the unpacked layer. They are not kept.
func (b *Builder) Raw(p []byte) { b.stream.write(p) }

// End says that all of the unpacked layer has been given.
func (b *Builder) End() { b.stream.end() }

// Compressed takes bytes of the compressed layer, which a block of raw bytes has become that
// can be read by itself; raw is 0 for what stands before and behind the blocks.
func (b *Builder) Compressed(raw int, p []byte) {
	if raw > 0 && (b.sum == nil || b.raw-b.spanStart >= SpanSize) {
		b.close()
		b.points = append(b.points, Checkpoint{Compressed: b.at, Raw: b.raw})
		b.sum, b.spanStart = sha256.New(), b.raw
	}
	if b.sum != nil {
		b.sum.Write(p)
	}
	b.at += int64(len(p))
	b.raw += int64(raw)
}

// close ends a span.
func (b *Builder) close() {
	if b.sum != nil {
		b.sum.Sum(b.points[len(b.points)-1].Digest[:0])
	}
}

// Close ends the builder. It may be called at any time, and again.
func (b *Builder) Close() {
	b.stream.end()
	<-b.parsed
}

// ZTOC is the layer's, once all of it has been given. The error says why there can be
// none.
func (b *Builder) ZTOC() (ZTOC, error) {
	b.Close()
	if b.err != nil {
		return ZTOC{}, b.err
	}
	if len(b.points) == 0 {
		return ZTOC{}, errors.New("the layer is empty")
	}
	b.close()
	return ZTOC{files: b.files, Checkpoints: b.points, Compressed: b.at, Raw: b.raw}, nil
}

// kinds are those of entries that a zTOC can have (ztoc/toc_builder.go).
var kinds = map[byte]string{
	tar.TypeLink: "hardlink", tar.TypeSymlink: "symlink", tar.TypeDir: "dir", tar.TypeReg: "reg",
	tar.TypeChar: "char", tar.TypeBlock: "block", tar.TypeFifo: "fifo",
}

// parse reads the entries.
func (b *Builder) parse() error {
	r, text := tar.NewReader(b.stream), 0
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the layer's table of contents: %w", err)
		}
		kind, ok := kinds[h.Typeflag]
		if !ok || h.PAXRecords["GNU.sparse.major"] != "" || h.PAXRecords["GNU.sparse.map"] != "" {
			return fmt.Errorf("the layer has an entry of a kind that SOCI does not know: %q", h.Typeflag)
		}
		text += len(h.Name) + len(h.Linkname)
		for k, v := range h.PAXRecords {
			text += len(k) + len(v)
		}
		if len(b.files.at) == maxFiles || text > maxText {
			return fmt.Errorf("the layer has more than %d entries, or their names are longer than %d MiB", maxFiles, maxText>>20)
		}
		b.files.add(file{
			Name: h.Name, Type: kind, Link: h.Linkname, Offset: b.stream.position(), Size: h.Size, Mode: h.Mode,
			UID: h.Uid, GID: h.Gid, User: h.Uname, Group: h.Gname, Modified: h.ModTime,
			Major: h.Devmajor, Minor: h.Devminor, PAX: h.PAXRecords,
		})
	}
}

// stream is what one goroutine writes and another reads, without a copy in between. Bytes
// that the reader seeks over are taken off the writer at once.
type stream struct {
	mu      sync.Mutex
	change  *sync.Cond
	pending []byte
	skip    int64 // bytes to come that nobody wants
	at      int64 // of the reader
	ended   bool
	stopped bool // nobody reads any more
}

func newStream() *stream {
	s := &stream{}
	s.change = sync.NewCond(&s.mu)
	return s
}

func (s *stream) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(s.skip, int64(len(p)))
	s.skip -= n
	if p = p[n:]; len(p) == 0 || s.stopped || s.ended {
		return
	}
	s.pending = p
	s.change.Broadcast()
	for len(s.pending) > 0 && !s.stopped {
		s.change.Wait()
	}
	s.pending = nil
}

func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.change.Broadcast()
}

func (s *stream) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.change.Broadcast()
}

func (s *stream) position() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) == 0 && !s.ended {
		s.change.Wait()
	}
	if len(s.pending) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pending)
	s.take(n)
	return n, nil
}

// take advances the reader over pending bytes. The stream is locked.
func (s *stream) take(n int) {
	s.pending = s.pending[n:]
	s.at += int64(n)
	if len(s.pending) == 0 {
		s.change.Broadcast()
	}
}

// Seek goes forward, which is what archive/tar does between two entries.
func (s *stream) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 {
		return 0, errors.New("the layer is read once")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(offset, int64(len(s.pending)))
	if n > 0 {
		s.take(int(n))
	}
	s.skip += offset - n
	s.at += offset - n
	return s.at, nil
}
