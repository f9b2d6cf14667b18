package compress

// Compressing layers in one pass on all cores. A layer is cut into blocks of a
// fixed size that are compressed independently and put together in order. The
// result depends only on the bytes: not on the number of cores, nor on timing.

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/mistake"
)

// Compression is a format for layers that are not compressed yet.
type Compression string

// The compressions. Every engine and scanner reads Gzip; reading Zstd takes
// containerd 1.5, Docker 23 or podman.
const (
	Gzip Compression = "gzip" // the default
	Zstd Compression = "zstd"
)

// codec makes a compressed layer of a raw one: a head, what each block is
// compressed to by itself, and a tail. The last block may be empty.
type codec struct {
	mediaType types.MediaType // empty for gzip: the manifest's decides about it
	block     int             // bytes of the raw layer
	head      []byte
	encoder   func() (encoder, error)
	tail      func(crc, size uint32) []byte // of the raw layer
}

// encoder appends to dst what a block is compressed to. It is used for one block
// after the other, of whatever layers.
type encoder func(dst, block []byte, last bool) ([]byte, error)

func (c Compression) codec() (codec, error) {
	switch c {
	case Gzip, "":
		return gzipCodec(gzipLevel, gzipBlock), nil
	case Zstd:
		return zstdCodec(zstdLevel, zstdBlock), nil
	}
	return codec{}, mistake.New(mistake.Image, "", "compression %q is neither %s nor %s", c, Gzip, Zstd)
}

// What the bytes, and so the digests, of compressed layers depend on. Changing
// any of these makes every layer a new one to every registry.
//
// Level 2 of gzip is as fast as level 1 and its layers are some percent smaller.
// Blocks of this size gain less than one percent by knowing the end of the
// block before them, and cost a tenth more time.
//
// Zstd's fastest level takes less time than level 2 of gzip, and makes layers
// about as small as level 6. The next one takes a third to a half more time,
// more than gzip, for 3 to 6 percent. Blocks of half this size are 2 to 4 percent
// larger; of twice this size they are 1 to 2 percent smaller, and a push takes a
// third more memory. BenchmarkCompress measures it.
const (
	gzipLevel = 2
	gzipBlock = 256 << 10

	zstdLevel = zstd.SpeedFastest
	zstdBlock = 512 << 10
)

// gzipCodec makes one member of blocks that end on a byte's boundary (RFC 1951,
// section 2, and RFC 1952, section 2.3). Its header is without name and time, as
// Go and Docker write it.
func gzipCodec(level, block int) codec {
	return codec{
		block: block,
		head:  []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff},
		encoder: func() (encoder, error) {
			w, err := flate.NewWriter(nil, level)
			return func(dst, block []byte, last bool) ([]byte, error) {
				out := bytes.NewBuffer(dst)
				w.Reset(out)
				_, err := w.Write(block)
				switch {
				case err != nil:
				case last:
					err = w.Close()
				default:
					err = w.Flush()
				}
				return out.Bytes(), err
			}, err
		},
		tail: func(crc, size uint32) []byte {
			return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, crc), size)
		},
	}
}

// zstdCodec makes a frame of each block: frames one after the other hold what
// they hold together (RFC 8878, section 3.1). They go without checksums, since
// whoever pulls a layer compares two digests of it.
func zstdCodec(level zstd.EncoderLevel, block int) codec {
	return codec{
		mediaType: types.OCILayerZStd,
		block:     block,
		encoder: func() (encoder, error) {
			// The window stands before the level, which would else cut a frame into
			// smaller pieces.
			w, err := zstd.NewWriter(nil, zstd.WithWindowSize(block), zstd.WithEncoderLevel(level),
				zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
			return func(dst, block []byte, _ bool) ([]byte, error) { return w.EncodeAll(block, dst), nil }, err
		},
		tail: func(_, _ uint32) []byte { return nil },
	}
}

// Bounds on memory, whatever the cores. One layer can still keep more than
// maxQueue workers busy, and they make more than one connection takes.
const (
	maxWorkers = 8
	maxQueue   = 3 // blocks of a layer, compressed or on their way, that wait to be read
)

// Compressor compresses any number of layers at once with a fixed number of
// workers.
//
// The layer with most bytes to come goes first: a registry takes a layer over
// one connection, at a rate of its own, so that the largest one decides when a
// push ends, and should never wait for a smaller one.
type Compressor struct {
	codec   codec
	workers int
	coders  free[coder]
	blocks  free[block]
	leads   free[bytes.Buffer]
	lead    int64 // bytes of a layer that are waited for before its upload starts

	mu      sync.Mutex
	busy    int
	waiting []*turn
}

// New returns a compressor to that format. The upload of a layer starts when lead bytes
// of it are compressed; 0 is LeadSize.
func New(to Compression, lead int64) (*Compressor, error) {
	with, err := to.codec()
	if err != nil {
		return nil, err
	}
	c := newCompressor(with)
	c.lead = cmp.Or(lead, LeadSize)
	return c, nil
}

func newCompressor(to codec) *Compressor { return workers(min(runtime.GOMAXPROCS(0), maxWorkers), to) }

func workers(n int, to codec) *Compressor { return &Compressor{codec: to, workers: n, lead: LeadSize} }

// turn is a block's place in the queue for a worker.
type turn struct {
	left  int64 // bytes of its layer that are still to come
	ready chan struct{}
}

// acquire waits for a worker; false says that stop was closed before.
func (c *Compressor) acquire(left int64, stop <-chan struct{}) bool {
	c.mu.Lock()
	if c.busy < c.workers {
		c.busy++
		c.mu.Unlock()
		return true
	}
	t := &turn{left, make(chan struct{})}
	c.waiting = append(c.waiting, t)
	c.mu.Unlock()
	select {
	case <-t.ready:
		return true
	case <-stop:
	}
	c.mu.Lock()
	i := slices.Index(c.waiting, t)
	if i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	c.mu.Unlock()
	if i < 0 { // it was given a worker meanwhile
		c.release()
	}
	return false
}

// release gives a worker to the layer with most left, if any waits.
func (c *Compressor) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.busy--
		return
	}
	first := 0
	for i, t := range c.waiting {
		if t.left > c.waiting[first].left {
			first = i
		}
	}
	close(c.waiting[first].ready)
	c.waiting = slices.Delete(c.waiting, first, first+1)
}

// block is a piece of a layer on its way through a worker.
type block struct {
	bytes []byte // raw, then compressed
	raw   int    // how many bytes it had raw
	last  bool
	err   error
	done  chan struct{}
}

// coder is an encoder and the buffer that it writes to.
type coder struct {
	encode encoder
	spare  []byte
}

// free keeps what will be used again. A sync.Pool would drop it at every garbage
// collection, and make the memory of a push half as large again.
type free[T any] struct {
	mu   sync.Mutex
	list []*T
}

// get returns nil when there is nothing.
func (f *free[T]) get() *T {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.list)
	if n == 0 {
		return nil
	}
	x := f.list[n-1]
	f.list = f.list[:n-1]
	return x
}

func (f *free[T]) put(x *T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, x)
}

// Observer is told how a layer is compressed. Raw and End are called by one goroutine,
// Compressed by the one that reads the compressed layer. What they are given is not theirs
// to keep.
type Observer interface {
	Raw(p []byte) // the layer, in its order
	End()         // all of it was given
	// Compressed takes the compressed layer, in its order: what a block of raw bytes has
	// become, of which a decompressor needs nothing else; raw is 0 for a format's head and tail.
	Compressed(raw int, p []byte)
}

// Compress returns raw compressed, which has about size bytes. Reading it gives
// the error of raw if there is one, and an error when raw does not have the
// digest diffID. raw is read no more once Close has returned. count is told of
// bytes read from raw.
func (c *Compressor) Compress(raw io.Reader, size int64, diffID v1.Hash, count func(int)) io.ReadCloser {
	return c.Observed(raw, size, diffID, count, nil)
}

// Observed is Compress with an observer, which may be nil. No method of it is called any
// more once Close has returned and nobody reads.
func (c *Compressor) Observed(raw io.Reader, size int64, diffID v1.Hash, count func(int), o Observer) io.ReadCloser {
	z := &compressedReader{
		observer:   o,
		compressor: c,
		queue:      make(chan *block, min(c.workers, maxQueue)),
		stop:       make(chan struct{}),
		rest:       c.codec.head,
	}
	if o != nil {
		o.Compressed(0, z.rest)
	}
	z.feeding.Go(func() {
		defer close(z.queue)
		if err := guard.Run(func() error { z.feed(raw, size, diffID, count); return nil }); err != nil {
			z.feedErr = err
		}
	})
	return z
}

type compressedReader struct {
	compressor *Compressor
	observer   Observer    // may be nil
	queue      chan *block // in the order of the layer
	stop       chan struct{}
	stopOnce   sync.Once
	feeding    sync.WaitGroup

	current *block
	rest    []byte
	err     error

	// Written by feed before it closes queue.
	tail    []byte
	feedErr error
}

// feed cuts raw into blocks and has them compressed.
func (z *compressedReader) feed(raw io.Reader, left int64, diffID v1.Hash, count func(int)) {
	var (
		sum   = sha256.New()
		crc   uint32
		total uint32
	)
	for {
		b := z.compressor.empty()
		n, err := io.ReadFull(raw, b.bytes)
		b.bytes = b.bytes[:n]
		b.last = err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !b.last {
			z.feedErr = err
			return
		}
		count(n)
		b.raw = n
		sum.Write(b.bytes)
		if z.observer != nil {
			z.observer.Raw(b.bytes)
			if b.last {
				z.observer.End()
			}
		}
		crc = crc32.Update(crc, crc32.IEEETable, b.bytes)
		total += uint32(n)
		if b.last {
			if got := image.HashOf(sum); diffID.Algorithm == "sha256" && got != diffID {
				z.feedErr = image.FinalError{Err: &image.DigestError{Want: diffID, Got: got}}
				return
			}
			z.tail = z.compressor.codec.tail(crc, total)
		}
		last := b.last // b is a worker's from here on
		if !z.compressor.acquire(left, z.stop) {
			return
		}
		left -= int64(n)
		go z.compressor.work(b)
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

// empty returns a block to be filled.
func (c *Compressor) empty() *block {
	b := c.blocks.get()
	if b == nil {
		b = &block{bytes: c.buffer()}
	}
	b.bytes, b.done = b.bytes[:c.codec.block], make(chan struct{})
	return b
}

// buffer is for a block, raw or compressed; what cannot be compressed grows a
// little.
func (c *Compressor) buffer() []byte { return make([]byte, 0, c.codec.block+c.codec.block>>10) }

// MediaType is that of the layers it makes; empty for gzip, where the manifest's
// decides about it.
func (c *Compressor) MediaType() types.MediaType { return c.codec.mediaType }

// Begin reads the beginning of a layer that Compress gives, and says whether that is
// all of it. The buffer goes back to Release.
func (c *Compressor) Begin(z io.Reader) (lead *bytes.Buffer, whole bool, err error) {
	if lead = c.leads.get(); lead == nil {
		lead = bytes.NewBuffer(make([]byte, 0, c.lead+bytes.MinRead)) // it need not grow
	}
	lead.Reset()
	if _, err = io.CopyN(lead, z, c.lead); err == io.EOF {
		return lead, true, nil
	}
	return lead, false, err
}

// Release takes back what Begin returned.
func (c *Compressor) Release(lead *bytes.Buffer) { c.leads.put(lead) }

// work compresses one block. The buffer that was raw is the worker's next one.
func (c *Compressor) work(b *block) {
	defer func() { c.release(); close(b.done) }()
	if err := guard.Run(func() error { return c.encode(b) }); err != nil {
		b.err = err
	}
}

func (c *Compressor) encode(b *block) (err error) {
	w := c.coders.get()
	if w == nil {
		w = &coder{spare: c.buffer()}
		if w.encode, err = c.codec.encoder(); err != nil {
			return err
		}
	}
	raw := b.bytes
	if b.bytes, err = w.encode(w.spare[:0], raw, b.last); err != nil {
		return err
	}
	w.spare = raw
	c.coders.put(w)
	return nil
}

func (z *compressedReader) Read(p []byte) (int, error) {
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
func (z *compressedReader) next() {
	if b := z.current; b != nil {
		z.current = nil
		last := b.last
		z.compressor.blocks.put(b)
		if last {
			z.rest, z.err = z.tail, io.EOF
			if z.observer != nil {
				z.observer.Compressed(0, z.tail)
			}
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
	z.current, z.rest, z.err = b, b.bytes, b.err
	if z.observer != nil && b.err == nil {
		z.observer.Compressed(b.raw, b.bytes)
	}
}

// Close stops the compression and waits until raw is no longer read.
func (z *compressedReader) Close() error {
	z.stopOnce.Do(func() { close(z.stop) })
	z.feeding.Wait()
	return nil
}

// LeadSize is how much of a layer's compressed form is waited for before an
// upload starts. A layer that is smaller has a digest by then.
const LeadSize = 1 << 20
