package image

// Compressing layers: gzip in one pass on all cores. A layer is cut into blocks
// of a fixed size that are deflated independently, each with the end of the
// block before it as its dictionary, and put together in order. The result
// depends only on the bytes: not on the number of cores, nor on timing.

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/flate"
)

// What the bytes, and so the digests, of compressed layers depend on. Changing
// any of these makes every layer a new one to every registry.
const (
	deflateLevel = 1
	deflateBlock = 256 << 10
	deflateDict  = 32 << 10 // deflate's window (RFC 1951, section 2)
)

// maxWorkers bounds the memory of a machine with many cores.
const maxWorkers = 16

// deflater compresses any number of layers at once with a fixed number of
// workers.
type deflater struct {
	slots   chan struct{} // one for each block being compressed
	writers sync.Pool     // of *flate.Writer
	blocks  sync.Pool     // of *block
}

func newDeflater() *deflater {
	return &deflater{slots: make(chan struct{}, min(runtime.GOMAXPROCS(0), maxWorkers))}
}

// block is a piece of a layer on its way through a worker.
type block struct {
	dict []byte // the end of the block before
	raw  []byte
	last bool
	out  bytes.Buffer
	err  error
	done chan struct{}
}

// gzip returns the gzip stream of raw. Reading it gives the error of raw if
// there is one, and an error when raw does not have the digest diffID. raw is
// read no more once Close has returned. count is told of bytes read from raw.
func (d *deflater) gzip(raw io.Reader, diffID v1.Hash, count func(int)) io.ReadCloser {
	z := &gzipReader{
		deflater: d,
		queue:    make(chan *block, cap(d.slots)),
		stop:     make(chan struct{}),
		// A header without name and time (RFC 1952, section 2.3), as Go and
		// Docker write it.
		rest: []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff},
	}
	z.feeding.Go(func() { z.feed(raw, diffID, count) })
	return z
}

type gzipReader struct {
	deflater *deflater
	queue    chan *block // in the order of the layer
	stop     chan struct{}
	stopOnce sync.Once
	feeding  sync.WaitGroup

	current *block
	rest    []byte
	err     error

	// Written by feed before it closes queue.
	trailer [8]byte
	feedErr error
}

// feed cuts raw into blocks and has them compressed.
func (z *gzipReader) feed(raw io.Reader, diffID v1.Hash, count func(int)) {
	defer close(z.queue)
	var (
		sum   = sha256.New()
		crc   uint32
		total uint32
		dict  []byte
	)
	for {
		b, _ := z.deflater.blocks.Get().(*block)
		if b == nil {
			b = &block{raw: make([]byte, 0, deflateBlock), dict: make([]byte, 0, deflateDict)}
		}
		b.done = make(chan struct{})
		n, err := io.ReadFull(raw, b.raw[:deflateBlock])
		b.raw, b.dict = b.raw[:n], append(b.dict[:0], dict...)
		b.last = err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !b.last {
			z.feedErr = err
			return
		}
		count(n)
		sum.Write(b.raw)
		crc = crc32.Update(crc, crc32.IEEETable, b.raw)
		total += uint32(n)
		if b.last {
			if got := hashOf(sum); diffID.Algorithm == "sha256" && got != diffID {
				z.feedErr = final("the layer has the digest %s instead of %s: the image is damaged", got, diffID)
				return
			}
			binary.LittleEndian.PutUint32(z.trailer[:], crc)
			binary.LittleEndian.PutUint32(z.trailer[4:], total)
		} else {
			dict = append(dict[:0], b.raw[n-deflateDict:]...)
		}
		last := b.last // b is a worker's from here on
		select {
		case z.deflater.slots <- struct{}{}:
		case <-z.stop:
			return
		}
		go z.deflater.work(b)
		select {
		case z.queue <- b:
		case <-z.stop:
			return
		}
		if last {
			return
		}
	}
}

// work compresses one block.
func (d *deflater) work(b *block) {
	defer func() { <-d.slots; close(b.done) }()
	b.out.Reset()
	w, _ := d.writers.Get().(*flate.Writer)
	if w == nil {
		if w, b.err = flate.NewWriter(&b.out, deflateLevel); b.err != nil {
			return
		}
	}
	w.ResetDict(&b.out, b.dict)
	if _, b.err = w.Write(b.raw); b.err != nil {
		return
	}
	if b.last {
		b.err = w.Close()
	} else {
		b.err = w.Flush() // ends on a byte's boundary
	}
	d.writers.Put(w)
}

func (z *gzipReader) Read(p []byte) (int, error) {
	for len(z.rest) == 0 {
		if z.err != nil {
			return 0, z.err
		}
		z.next()
	}
	n := copy(p, z.rest)
	z.rest = z.rest[n:]
	return n, nil
}

// next takes the following block, or ends.
func (z *gzipReader) next() {
	if b := z.current; b != nil {
		z.current = nil
		last := b.last
		z.deflater.blocks.Put(b)
		if last {
			z.rest, z.err = z.trailer[:], io.EOF
			return
		}
	}
	b, ok := <-z.queue
	if !ok {
		z.err = z.feedErr
		if z.err == nil {
			z.err = io.ErrClosedPipe
		}
		return
	}
	<-b.done
	z.current, z.rest, z.err = b, b.out.Bytes(), b.err
}

// Close stops the compression and waits until raw is no longer read.
func (z *gzipReader) Close() error {
	z.stopOnce.Do(func() { close(z.stop) })
	z.feeding.Wait()
	return nil
}

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
