package source

// Opening paths: archives, gzipped or not, and layouts.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
)

// openPath opens an archive or a layout directory.
func openPath(ctx context.Context, ref string, at reference, want image.Platform, o Options) (_ *Image, err error) {
	m := &Image{describe: image.Description{Ref: ref}, options: o}
	defer func() {
		if err != nil {
			m.Close()
			err = fmt.Errorf("image %q: %w", ref, err)
		}
	}()
	path := o.path(at.path)
	var c *image.Content
	if at.kind == refDirectory {
		m.describe.Kind = image.KindOCILayout
		c, err = readLayout(ctx, directory(path), at.selector, want, nil)
	} else {
		var f *os.File
		if f, err = os.Open(path); err != nil {
			return nil, err
		}
		m.keep(f)
		if f, err = plain(ctx, m, f, compress.SpoolFloor); err != nil {
			return nil, err
		}
		c, m.describe.Kind, err = openArchive(ctx, f, at.selector, want)
	}
	if err != nil {
		return nil, err
	}
	m.Use(c)
	return m, nil
}

// plain returns f, or what it holds if it is gzipped.
// What it holds may be larger than it by floor bytes and maxRatio times.
func plain(ctx context.Context, m *Image, f *os.File, floor int64) (*os.File, error) {
	head := make([]byte, image.TarBlock)
	n, _ := f.ReadAt(head, 0)
	switch is := image.Sniff(head[:n]); is {
	case image.FormatGzip:
	case image.FormatZstd, image.FormatBzip2, image.FormatXZ:
		return nil, fmt.Errorf("is compressed with %s; only gzip is read here: decompress it first", is)
	default:
		return f, nil
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	z, err := compress.NewGunzip(bufio.NewReaderSize(f, 256<<10))
	if err != nil {
		return nil, fmt.Errorf("the gzipped archive is corrupt: %w", err)
	}
	t, err := newSpool(m.options.TempDirectory)
	if err != nil {
		return nil, err
	}
	m.keep(t)
	limit := floor + compress.MaxRatio*info.Size()
	written, err := io.Copy(t, io.LimitReader(&image.Interruptible{Ctx: ctx, R: z}, limit+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errTruncated
	case errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader):
		return nil, fmt.Errorf("the gzipped archive is corrupt: %w", err)
	case err != nil:
		return nil, err
	case written > limit:
		return nil, fmt.Errorf("the gzipped archive unpacks to more than %d MiB, which no image of %d bytes does (the limit is %d MiB and %d times its size)", limit>>20, info.Size(), floor>>20, compress.MaxRatio)
	}
	return t.File, nil
}

// openArchive reads an image archive on disk.
func openArchive(ctx context.Context, f *os.File, selector string, want image.Platform) (*image.Content, image.Kind, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	a, err := indexArchive(ctx, f, info.Size())
	if err != nil {
		return nil, "", err
	}
	return readArchive(ctx, a, selector, want)
}
