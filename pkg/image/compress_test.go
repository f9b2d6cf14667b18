package image

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func deflate(t testing.TB, d *compressor, raw []byte) []byte {
	t.Helper()
	z := d.compress(bytes.NewReader(raw), int64(len(raw)), digestOf(raw), func(int) {})
	defer z.Close()
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGzipRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 32 << 10, gzipBlock - 1, gzipBlock, gzipBlock + 1, 5*gzipBlock + 7} {
		raw := rawLayer(t, byte(size), size)[:size]
		r, err := gzip.NewReader(bytes.NewReader(deflate(t, newCompressor(gzipCodec()), raw)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%d bytes came back as %d: %v", size, len(got), err)
		}
	}
}

// The digest of a layer is the same on every machine: with one core or many,
// with fresh writers or used ones, whatever else is compressed at the time, and
// however the source hands out its bytes.
func TestGzipIsDeterministic(t *testing.T) {
	raw := rawLayer(t, 1, 1<<20+7)
	want := digestOf(deflate(t, workers(1, gzipCodec()), raw))
	const golden = "sha256:74f1e908f3c29a81c050bc824c069bb6cf390d01980aeb9ee9a813a72736f804"
	if want.String() != golden {
		t.Errorf("layers compress to other bytes than those of earlier versions: %s, want %s", want, golden)
	}
	busy := workers(7, gzipCodec())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			noise := rawLayer(t, byte(100+i), 1<<19)
			for range 3 {
				deflate(t, busy, noise)
			}
		})
		wg.Go(func() {
			for range 3 {
				if got := digestOf(deflate(t, busy, raw)); got != want {
					t.Errorf("another digest: %s", got)
				}
			}
		})
	}
	wg.Wait()
	z := busy.compress(iotest.HalfReader(bytes.NewReader(raw)), int64(len(raw)), digestOf(raw), func(int) {})
	defer z.Close()
	got, err := io.ReadAll(z)
	if err != nil || digestOf(got) != want {
		t.Errorf("read by halves: %s %v", digestOf(got), err)
	}
}

func TestGzipErrors(t *testing.T) {
	raw := rawLayer(t, 1, 1<<20)
	broken := errors.New("broken disk")
	z := newCompressor(gzipCodec()).compress(io.MultiReader(bytes.NewReader(raw), iotest.ErrReader(broken)), int64(len(raw)), digestOf(raw), func(int) {})
	if _, err := io.Copy(io.Discard, z); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	z.Close()
	z = newCompressor(gzipCodec()).compress(bytes.NewReader(raw[1:]), int64(len(raw)), digestOf(raw), func(int) {})
	if _, err := io.Copy(io.Discard, z); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
	z.Close()
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

func TestGzipClosedEarly(t *testing.T) {
	for _, read := range []int64{0, 1, 100_000} {
		w := &watched{Reader: rand.NewChaCha8([32]byte{}), t: t}
		z := newCompressor(gzipCodec()).compress(w, 0, v1.Hash{}, func(int) {})
		if _, err := io.CopyN(io.Discard, z, read); err != nil {
			t.Fatal(err)
		}
		z.Close()
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
	}
}

func BenchmarkGzip(b *testing.B) {
	raw := rawLayer(b, 1, 32<<20)
	d := newCompressor(gzipCodec())
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		z := d.compress(bytes.NewReader(raw), int64(len(raw)), digestOf(raw), func(int) {})
		io.Copy(io.Discard, z)
		z.Close()
	}
}
