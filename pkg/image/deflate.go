package image

// Compressing layers: gzip in one pass on all cores. A layer is cut into blocks
// of a fixed size that are deflated independently and put together in order.
// The result depends only on the bytes: not on the number of cores, nor on
// timing.

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/flate"
)

// What the bytes, and so the digests, of compressed layers depend on. Changing
// any of these makes every layer a new one to every registry.
//
// Level 2 is as fast as level 1 and its layers are some percent smaller. Blocks
// of this size gain less than one percent by knowing the end of the block
// before them, and cost a tenth more time.
const (
	deflateLevel = 2
	deflateBlock = 256 << 10
)

// maxWorkers bounds the memory of a machine with many cores.
const maxWorkers = 16

// deflater compresses any number of layers at once with a fixed number of
// workers.
//
// The layer with most bytes to come goes first: a registry takes a layer over
// one connection, at a rate of its own, so that the largest one decides when a
// push ends, and should never wait for a smaller one.
type deflater struct {
	workers int
	writers sync.Pool // of *flate.Writer
	blocks  sync.Pool // of *block

	mu      sync.Mutex
	busy    int
	waiting []*turn
}

func newDeflater() *deflater { return workers(min(runtime.GOMAXPROCS(0), maxWorkers)) }

func workers(n int) *deflater { return &deflater{workers: n} }

// turn is a block's place in the queue for a worker.
type turn struct {
	left  int64 // bytes of its layer that are still to come
	ready chan struct{}
}

// acquire waits for a worker; false says that stop was closed before.
func (d *deflater) acquire(left int64, stop <-chan struct{}) bool {
	d.mu.Lock()
	if d.busy < d.workers {
		d.busy++
		d.mu.Unlock()
		return true
	}
	t := &turn{left, make(chan struct{})}
	d.waiting = append(d.waiting, t)
	d.mu.Unlock()
	select {
	case <-t.ready:
		return true
	case <-stop:
	}
	d.mu.Lock()
	i := slices.Index(d.waiting, t)
	if i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	d.mu.Unlock()
	if i < 0 { // it was given a worker meanwhile
		d.release()
	}
	return false
}

// release gives a worker to the layer with most left, if any waits.
func (d *deflater) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) == 0 {
		d.busy--
		return
	}
	first := 0
	for i, t := range d.waiting {
		if t.left > d.waiting[first].left {
			first = i
		}
	}
	close(d.waiting[first].ready)
	d.waiting = slices.Delete(d.waiting, first, first+1)
}

// block is a piece of a layer on its way through a worker.
type block struct {
	raw  []byte
	last bool
	out  bytes.Buffer
	err  error
	done chan struct{}
}

// gzip returns the gzip stream of raw, which has about size bytes. Reading it
// gives the error of raw if there is one, and an error when raw does not have
// the digest diffID. raw is read no more once Close has returned. count is told
// of bytes read from raw.
func (d *deflater) gzip(raw io.Reader, size int64, diffID v1.Hash, count func(int)) io.ReadCloser {
	z := &gzipReader{
		deflater: d,
		queue:    make(chan *block, d.workers),
		stop:     make(chan struct{}),
		// A header without name and time (RFC 1952, section 2.3), as Go and
		// Docker write it.
		rest: []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff},
	}
	z.feeding.Go(func() { z.feed(raw, size, diffID, count) })
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
func (z *gzipReader) feed(raw io.Reader, left int64, diffID v1.Hash, count func(int)) {
	defer close(z.queue)
	var (
		sum   = sha256.New()
		crc   uint32
		total uint32
	)
	for {
		b, _ := z.deflater.blocks.Get().(*block)
		if b == nil {
			b = &block{raw: make([]byte, 0, deflateBlock)}
		}
		b.done = make(chan struct{})
		n, err := io.ReadFull(raw, b.raw[:deflateBlock])
		b.raw = b.raw[:n]
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
		}
		last := b.last // b is a worker's from here on
		if !z.deflater.acquire(left, z.stop) {
			return
		}
		left -= int64(n)
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
	defer func() { d.release(); close(b.done) }()
	b.out.Reset()
	w, _ := d.writers.Get().(*flate.Writer)
	if w == nil {
		if w, b.err = flate.NewWriter(&b.out, deflateLevel); b.err != nil {
			return
		}
	}
	w.Reset(&b.out)
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
