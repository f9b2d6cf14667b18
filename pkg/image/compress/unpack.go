package compress

// Unpacking layers to find out what they hold, within bounds on memory and size.

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"ecsdeploy/pkg/image"
)

// Compare inflates the layer, which r gives, and compares it with the config. Of a layer
// whose digest is what the config lists, it looks at the beginning only.
func Compare(ctx context.Context, k image.LayerCheck, r io.Reader) error {
	if k.Desc.Digest == k.DiffID {
		return CheckRaw(k, r)
	}
	got, err := Unpack(ctx, r, k.Desc.Size)
	var source *image.SourceError
	switch {
	case err == nil && got == k.DiffID:
		return nil
	case err == nil:
		return k.Differs(got)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &source):
		return err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		// An engine may have the memory for it. All of it is read, since that is what
		// whoever sends the layer meanwhile relies on.
		_, err := io.Copy(io.Discard, r)
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		e := k.Failed("ends before its compressed data does: it is truncated")
		e.Advice = "the layer was cut off when it was written or copied; " + image.Rebuild
		return e
	}
	return k.Failed("cannot be unpacked: " + err.Error())
}

// CheckRaw looks at the beginning of a layer that is called a plain tar file, of which
// engines inflate nothing.
func CheckRaw(k image.LayerCheck, r io.Reader) error {
	head := make([]byte, image.TarBlock)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	if f := image.Sniff(head[:n]); f == image.FormatGzip || f == image.FormatZstd {
		e := k.Failed(fmt.Sprintf("is compressed with %s, but the manifest and the config say that it is not", f))
		e.Advice = "diff_ids are digests of uncompressed layers; the tool that wrote the config got them wrong, " + image.Rebuild
		return e
	}
	return nil
}

// Bounds on what a compressed file may unpack to, against files that were made
// to unpack to very much more: real layers have a fifth to a half of their size.
const (
	MaxRatio    = 100
	layerFloor  = 16 << 30 // for a layer, which is not stored unpacked
	SpoolFloor  = 2 << 30  // for an archive, which is
	inflatePart = 256 << 10
	maxWindow   = 16 << 20 // of zstd: memory for each layer; tools that build images use 8 MiB at most
)

// Unpack returns the digest of what a layer of size bytes unpacks to. Whether it
// is compressed is found out as engines find it out, by its first bytes.
func Unpack(ctx context.Context, r io.Reader, size int64) (v1.Hash, error) {
	from := bufio.NewReaderSize(&image.Interruptible{Ctx: ctx, R: r}, 64<<10)
	head, err := from.Peek(image.TarBlock)
	if err != nil && err != io.EOF {
		return v1.Hash{}, err
	}
	raw := io.Reader(from)
	switch f := image.Sniff(head); f {
	case image.FormatGzip:
		if raw, err = NewGunzip(from); err != nil {
			return v1.Hash{}, err
		}
	case image.FormatZstd:
		z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return v1.Hash{}, err
		}
		defer z.Close()
		raw = z
	case image.FormatBzip2, image.FormatXZ:
		return v1.Hash{}, fmt.Errorf("it is compressed with %s, which engines do not unpack", f)
	}
	sum := &bounded{sum: sha256.New(), left: layerFloor + MaxRatio*size, twice: raw != io.Reader(from)}
	if _, err := io.CopyBuffer(sum, raw, make([]byte, inflatePart)); err != nil {
		return v1.Hash{}, err
	}
	// What stands behind the compressed data is part of the layer as well.
	_, err = io.Copy(io.Discard, from)
	return image.HashOf(sum.sum), err
}

// bounded hashes what a layer unpacks to, up to a limit.
type bounded struct {
	sum   hash.Hash
	left  int64
	twice bool // it may turn out to be compressed twice
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.twice && len(p) > 0 {
		if f := image.Sniff(p); f == image.FormatGzip || f == image.FormatZstd {
			return 0, fmt.Errorf("it is compressed twice, the second time with %s, and engines unpack it once", f)
		}
		b.twice = false
	}
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("it unpacks to more than %d MiB and %d times its size", layerFloor>>20, MaxRatio)
	}
	return b.sum.Write(p)
}

// Gunzip reads the members of a gzip file one after the other. NUL bytes behind
// the last one are padding, as spool files and some tools leave it (gzip(1) ignores
// them, too).
type Gunzip struct {
	from *bufio.Reader
	z    *gzip.Reader
}

func NewGunzip(from *bufio.Reader) (*Gunzip, error) {
	z, err := gzip.NewReader(from)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &Gunzip{from, z}, nil
}

func (g *Gunzip) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if err == io.EOF {
		err = g.next()
	}
	return n, err
}

// WriteTo saves a copy of all bytes, which is a tenth of the time.
func (g *Gunzip) WriteTo(w io.Writer) (n int64, err error) {
	for {
		more, err := g.z.WriteTo(w)
		n += more
		if err == nil {
			err = g.next()
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// next goes to the next member; io.EOF where there is none.
func (g *Gunzip) next() error {
	for {
		b, err := g.from.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			break
		}
	}
	if err := g.from.UnreadByte(); err != nil {
		return err
	}
	err := g.z.Reset(g.from)
	if err == io.ErrUnexpectedEOF {
		return gzip.ErrHeader // that is no member that was cut off
	}
	if err == nil {
		g.z.Multistream(false)
	}
	return err
}
