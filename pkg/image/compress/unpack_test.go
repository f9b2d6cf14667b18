package compress

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

func TestUnpack(t *testing.T) {
	raw := imagetest.RawLayer(t, 1, 200_000)
	packed := imagetest.Gzipped(t, raw)
	frames := compress(t, newCompressor(codecOf(t, Zstd)), raw)
	for _, c := range []struct {
		name string
		data []byte
		err  string
	}{
		{"raw", raw, ""},
		{"gzip", packed, ""},
		{"zstd", frames, ""},
		{"zstd behind a frame to skip", append([]byte{0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}, frames...), ""},
		{"members", append(slices.Clone(imagetest.Gzipped(t, raw[:1000])), imagetest.Gzipped(t, raw[1000:])...), ""},
		{"padded with NUL", append(slices.Clone(packed), make([]byte, 1000)...), ""},
		{"padded with text", append(slices.Clone(packed), "more"...), "gzip"},
		{"cut gzip", packed[:len(packed)-9], "unexpected EOF"},
		{"cut zstd", frames[:len(frames)-9], "unexpected EOF"},
		{"bzip2", []byte("BZh9 and so on"), "bzip2"},
	} {
		got, err := Unpack(t.Context(), bytes.NewReader(c.data), int64(len(c.data)))
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		case c.err == "" && (err != nil || got != image.DigestOf(raw)):
			t.Errorf("%s: %s %v, want %s", c.name, got, err, image.DigestOf(raw))
		}
	}
}

// The reader that checks a layer gives all of its bytes, whatever the sizes of
// reads, and never the last ones of a wrong layer.
func TestCheckedReader(t *testing.T) {
	raw := imagetest.RawLayer(t, 1, 400_000)
	packed := imagetest.Gzipped(t, raw)
	desc := v1.Descriptor{Digest: image.DigestOf(packed), Size: int64(len(packed))}
	for _, diffID := range []v1.Hash{image.DigestOf(raw), image.DigestOf(packed)} {
		for _, size := range []int{1, 7, 4096, 300_000, 2 << 20} {
			k := image.LayerCheck{Desc: desc, DiffID: diffID, Number: 1, Count: 1}
			r := Checked(t.Context(), k, nopCloser{bytes.NewReader(packed)})
			var got []byte
			var err error
			for p := make([]byte, size); err == nil; {
				var n int
				n, err = r.Read(p)
				got = append(got, p[:n]...)
			}
			r.Close()
			right := diffID == image.DigestOf(raw)
			if right != (err.Error() == "EOF") || right != bytes.Equal(got, packed) || len(got) == len(packed) != right {
				t.Errorf("reads of %d bytes: %d of %d bytes, %v", size, len(got), len(packed), err)
			}
		}
	}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// Zstd with a window that would take much memory is passed on as it is.
func TestWideWindow(t *testing.T) {
	raw := imagetest.RawLayer(t, 1, 400_000) // more than a block, so that the window is the encoder's
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(2*maxWindow), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	wide.Reset(&packed)
	if _, err := wide.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := wide.Close(); err != nil {
		t.Fatal(err)
	}
	k := image.LayerCheck{Desc: v1.Descriptor{Digest: image.DigestOf(packed.Bytes()), Size: int64(packed.Len())}, DiffID: image.DigestOf(raw), Number: 1, Count: 1}
	r := Checked(t.Context(), k, nopCloser{bytes.NewReader(packed.Bytes())})
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, packed.Bytes()) {
		t.Errorf("%d of %d bytes: %v", len(got), packed.Len(), err)
	}
}

func FuzzUnpack(f *testing.F) {
	raw := imagetest.RawLayer(f, 1, 2000)
	f.Add(raw)
	f.Add(imagetest.Gzipped(f, raw))
	f.Add(append(imagetest.Gzipped(f, raw), 0, 0, 0))
	f.Add(compress(f, newCompressor(codecOf(f, Zstd)), raw))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Unpack(t.Context(), bytes.NewReader(data), int64(len(data)))
		if errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return // passed on as it is: see TestWideWindow
		}
		k := image.LayerCheck{Desc: v1.Descriptor{Digest: image.DigestOf(data), Size: int64(len(data))}, DiffID: got, Number: 1, Count: 1}
		r := Checked(t.Context(), k, nopCloser{bytes.NewReader(data)})
		defer r.Close()
		if through, readErr := io.ReadAll(r); (readErr == nil) != (err == nil) || err == nil && !bytes.Equal(through, data) {
			t.Errorf("unpack: %v, checked: %v", err, readErr)
		}
	})
}
