// Command soci-reader reads a zTOC with the library of the SOCI snapshotter and takes every file of the layer out of it by random access:
// soci-reader ZTOC LAYER prints name, size and SHA-256 of each, and fails if anything does not fit. Tests compare that with the layer.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/awslabs/soci-snapshotter/ztoc"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: soci-reader ZTOC LAYER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(table, layer string, out io.Writer) error {
	f, err := os.Open(table)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := ztoc.Unmarshal(f)
	if err != nil {
		return err
	}
	blob, err := os.Open(layer)
	if err != nil {
		return err
	}
	defer blob.Close()
	info, err := blob.Stat()
	if err != nil {
		return err
	}
	if int64(z.CompressedArchiveSize) != info.Size() {
		return fmt.Errorf("the layer has %d bytes, and the zTOC says %d", info.Size(), z.CompressedArchiveSize)
	}
	spans, err := z.Zinfo()
	if err != nil {
		return err
	}
	defer spans.Close()
	if spans.MaxSpanID() != z.MaxSpanID || len(z.SpanDigests) != int(z.MaxSpanID)+1 {
		return fmt.Errorf("%d checkpoints, last span %d, %d digests", spans.MaxSpanID()+1, z.MaxSpanID, len(z.SpanDigests))
	}
	for i := range z.MaxSpanID + 1 {
		from, to := spans.StartCompressedOffset(i), spans.EndCompressedOffset(i, z.CompressedArchiveSize)
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(blob, int64(from), int64(to-from))); err != nil {
			return err
		}
		if got := fmt.Sprintf("sha256:%x", sum.Sum(nil)); got != z.SpanDigests[i].String() {
			return fmt.Errorf("span %d has the digest %s, and the zTOC says %s", i, got, z.SpanDigests[i])
		}
	}
	fmt.Fprintf(out, "%s %s %d %d %d\n", z.Version, z.CompressionAlgorithm, z.MaxSpanID+1, z.CompressedArchiveSize, z.UncompressedArchiveSize)
	for _, m := range z.TOC.FileMetadata {
		b, err := z.ExtractFile(io.NewSectionReader(blob, 0, info.Size()), m.Name)
		if m.Type != "reg" {
			b, err = nil, nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		fmt.Fprintf(out, "%q %s %d %q %o %d %d %q %q %s %d %d %q %x %d\n", m.Name, m.Type, m.UncompressedSize, m.Linkname, m.Mode, m.UID, m.GID, m.Uname, m.Gname,
			m.ModTime.UTC().Format("2006-01-02T15:04:05.999999999Z07:00"), m.Devmajor, m.Devminor, m.PAXHeaders, sha256.Sum256(b), m.TarHeaderOffset)
	}
	return nil
}
