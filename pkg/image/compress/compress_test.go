package compress

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

// compressions are what layers can be compressed with, each with a decoder of
// it, and the digest that rawLayer(t, 1, 1<<20+7) has always had.
var compressions = []struct {
	name   Compression
	decode func(testing.TB, []byte) []byte
	golden string
}{
	{Gzip, gunzip, "sha256:74f1e908f3c29a81c050bc824c069bb6cf390d01980aeb9ee9a813a72736f804"},
	{Zstd, unzstd, "sha256:8a382df1cdb5d13bd2aac705c079e36f366a30b51515643642d8f801377a85db"},
}

func gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func unzstd(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func codecOf(t testing.TB, c Compression) codec {
	t.Helper()
	to, err := c.codec()
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func compress(t testing.TB, c *Compressor, raw []byte) []byte {
	t.Helper()
	z := c.Compress(bytes.NewReader(raw), int64(len(raw)), image.DigestOf(raw), func(int) {})
	defer z.Close()
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCompressRoundTrip(t *testing.T) {
	for _, c := range compressions {
		to := codecOf(t, c.name)
		for _, size := range []int{0, 1, 32 << 10, to.block - 1, to.block, to.block + 1, 5*to.block + 7} {
			raw := imagetest.RawLayer(t, byte(size), size)[:size]
			if got := c.decode(t, compress(t, newCompressor(to), raw)); !bytes.Equal(got, raw) {
				t.Errorf("%s: %d bytes came back as %d", c.name, size, len(got))
			}
		}
	}
}

func TestUnknownCompression(t *testing.T) {
	if _, err := Compression("brotli").codec(); err == nil || !strings.Contains(err.Error(), `"brotli" is neither gzip nor zstd`) {
		t.Errorf("%v", err)
	}
}

// The digest of a layer is the same on every machine: with one core or many,
// with fresh encoders or used ones, whatever else is compressed at the time, and
// however the source hands out its bytes.
func TestCompressIsDeterministic(t *testing.T) {
	raw := imagetest.RawLayer(t, 1, 1<<20+7)
	for _, c := range compressions {
		to := codecOf(t, c.name)
		want := image.DigestOf(compress(t, workers(1, to), raw))
		if want.String() != c.golden {
			t.Errorf("%s: layers compress to other bytes than those of earlier versions: %s, want %s", c.name, want, c.golden)
		}
		busy := workers(7, to)
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				noise := imagetest.RawLayer(t, byte(100+i), 1<<19)
				for range 2 {
					compress(t, busy, noise)
				}
			})
			wg.Go(func() {
				for range 2 {
					if got := image.DigestOf(compress(t, busy, raw)); got != want {
						t.Errorf("%s: another digest: %s", c.name, got)
					}
				}
			})
		}
		wg.Wait()
		z := busy.Compress(iotest.HalfReader(bytes.NewReader(raw)), int64(len(raw)), image.DigestOf(raw), func(int) {})
		defer z.Close()
		got, err := io.ReadAll(z)
		if err != nil || image.DigestOf(got) != want {
			t.Errorf("%s: read by halves: %s %v", c.name, image.DigestOf(got), err)
		}
	}
}

// Encoders number what they were ever given, and zstd's begins again after some
// 4000 blocks: that shows in no byte either.
func TestCompressWithAWornEncoder(t *testing.T) {
	for _, c := range compressions {
		to := codecOf(t, c.name)
		fresh, err := to.encoder()
		if err != nil {
			t.Fatal(err)
		}
		worn, err := to.encoder()
		if err != nil {
			t.Fatal(err)
		}
		blocks := [][]byte{imagetest.RawLayer(t, 1, 1)[:200], imagetest.RawLayer(t, 1, 20_000)}
		var want [][]byte
		for _, b := range blocks {
			out, err := fresh(nil, b, false)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, out)
		}
		var got []byte
		for i := range 5000 {
			which := 0
			if i%100 == 0 {
				which = 1
			}
			if got, err = worn(got[:0], blocks[which], false); err != nil || !bytes.Equal(got, want[which]) {
				t.Fatalf("%s: block %d became something else: %v", c.name, i, err)
			}
		}
	}
}

// Blocks of any size, and any number of workers: a decoder gets back what went
// in, and one worker makes the same bytes as three.
func FuzzCompress(f *testing.F) {
	f.Add([]byte(nil), uint8(0))
	f.Add([]byte("a layer, a layer, a layer"), uint8(1))
	f.Add(bytes.Repeat([]byte{0}, 5000), uint8(2))
	f.Add(imagetest.RawLayer(f, 1, 9000), uint8(3))
	// Encoders are dear to make, and kept for the next layer as in a push.
	blocks := []int{7, 64, 1000, 4096}
	type pair struct{ one, three *Compressor }
	all := map[Compression][]pair{}
	for _, c := range compressions {
		for _, block := range blocks {
			to := codecOf(f, c.name)
			to.block = block
			all[c.name] = append(all[c.name], pair{workers(1, to), workers(3, to)})
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, block uint8) {
		at := int(block) % len(blocks)
		if raw = raw[:min(len(raw), 100*blocks[at])]; len(raw) > 1<<16 {
			raw = raw[:1<<16]
		}
		for _, c := range compressions {
			p := all[c.name][at]
			want := compress(t, p.one, raw)
			if got := c.decode(t, want); !bytes.Equal(got, raw) {
				t.Errorf("%s: %d bytes in blocks of %d came back as %d", c.name, len(raw), blocks[at], len(got))
			}
			if got := compress(t, p.three, raw); !bytes.Equal(got, want) {
				t.Errorf("%s: three workers made other bytes of %d bytes in blocks of %d", c.name, len(raw), blocks[at])
			}
		}
	})
}

func TestCompressErrors(t *testing.T) {
	raw := imagetest.RawLayer(t, 1, 1<<20)
	broken := errors.New("broken disk")
	for _, c := range compressions {
		to := codecOf(t, c.name)
		z := newCompressor(to).Compress(io.MultiReader(bytes.NewReader(raw), iotest.ErrReader(broken)), int64(len(raw)), image.DigestOf(raw), func(int) {})
		if _, err := io.Copy(io.Discard, z); !errors.Is(err, broken) {
			t.Errorf("%s: %v", c.name, err)
		}
		z.Close()
		z = newCompressor(to).Compress(bytes.NewReader(raw[1:]), int64(len(raw)), image.DigestOf(raw), func(int) {})
		if _, err := io.Copy(io.Discard, z); err == nil || !strings.Contains(err.Error(), "digest mismatch") {
			t.Errorf("%s: %v", c.name, err)
		}
		z.Close()
	}
}

// watched notices a read after it was closed.
type watched struct {
	io.Reader
	t      *testing.T
	closed bool
	mu     sync.Mutex
}

func (w *watched) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.t.Error("the layer was read after Close returned")
	}
	return w.Reader.Read(p)
}

func TestCompressClosedEarly(t *testing.T) {
	for _, c := range compressions {
		for _, read := range []int64{0, 1, 100_000} {
			w := &watched{Reader: rand.NewChaCha8([32]byte{}), t: t}
			z := newCompressor(codecOf(t, c.name)).Compress(w, 0, v1.Hash{}, func(int) {})
			if _, err := io.CopyN(io.Discard, z, read); err != nil {
				t.Fatal(err)
			}
			z.Close()
			w.mu.Lock()
			w.closed = true
			w.mu.Unlock()
		}
	}
}

// BenchmarkCompress is what the levels and blocks were chosen by: the rate on
// all cores, and what is left of the bytes. Ours are gzip-2 and
// zstd-fastest-512k.
func BenchmarkCompress(b *testing.B) {
	var software bytes.Buffer
	if err := imagetest.Software(&software, 1, 64<<20); err != nil {
		b.Fatal(err)
	}
	raw := software.Bytes()
	type way struct {
		name string
		to   codec
	}
	ways := []way{
		{"gzip-2", gzipCodec(gzipLevel, gzipBlock)},
		{"gzip-6", gzipCodec(6, gzipBlock)},
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault} {
		for _, kB := range []int{256, 512, 1024, 4096} {
			ways = append(ways, way{fmt.Sprintf("zstd-%s-%dk", level, kB), zstdCodec(level, kB<<10)})
		}
	}
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			c := newCompressor(w.to)
			b.SetBytes(int64(len(raw)))
			var left int64
			for b.Loop() {
				z := c.Compress(bytes.NewReader(raw), int64(len(raw)), v1.Hash{}, func(int) {})
				left, _ = io.Copy(io.Discard, z)
				z.Close()
			}
			b.ReportMetric(100*float64(left)/float64(len(raw)), "%left")
		})
	}
}
