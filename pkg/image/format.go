package image

// How files and blobs begin: tar, and what tar is compressed with.

import (
	"bytes"
	"strconv"
	"strings"
)

// Format is how a file or blob begins.
type Format int

const (
	FormatUnknown Format = iota
	FormatTar
	FormatGzip
	FormatZstd
	FormatBzip2
	FormatXZ
)

func (f Format) String() string {
	return [...]string{"unknown", "tar", "gzip", "zstd", "bzip2", "xz"}[f]
}

const TarBlock = 512

// isTarHeader says whether head begins with a header of a tar archive, by its
// checksum: the format has no magic in its oldest form, and the header begins with
// the name of a file, which can look like another format's magic.
func isTarHeader(head []byte) bool {
	if len(head) < TarBlock {
		return false
	}
	const from, to = 148, 156 // the checksum, which counts as blanks
	want, err := strconv.ParseUint(strings.Trim(string(head[from:to]), " \x00"), 8, 32)
	if err != nil {
		return false
	}
	unsigned, signed := uint64(8*' '), int64(8*' ')
	for i, b := range head[:TarBlock] {
		if i < from || i >= to {
			unsigned += uint64(b)
			signed += int64(int8(b))
		}
	}
	return unsigned == want || signed == int64(want)
}

// isSkippable says whether head begins with a frame of zstd that decoders skip, as pzstd
// writes it before each frame of data (RFC 8878, section 3.1.2).
func isSkippable(head []byte) bool {
	return len(head) >= 8 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18})
}

// Sniff recognises a format by its first bytes; for tar it wants the whole
// first block. A file of zeros only is an empty tar archive.
func Sniff(head []byte) Format {
	switch {
	case isTarHeader(head):
		return FormatTar
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return FormatGzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippable(head):
		return FormatZstd
	case bytes.HasPrefix(head, []byte("BZh")):
		return FormatBzip2
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return FormatXZ
	case len(head) >= TarBlock && bytes.Count(head[:TarBlock], []byte{0}) == TarBlock:
		return FormatTar
	}
	return FormatUnknown
}
