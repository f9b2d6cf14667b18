package soci

// The zTOC of a layer (awslabs/soci-snapshotter, ztoc/fbs/ztoc.fbs, version 0.9).

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What the tool of the specification takes where nothing else is said: the distance of
// the checkpoints in the unpacked layer, and the size, compressed, from which a layer is
// worth a zTOC (awslabs/soci-snapshotter, soci/soci_index.go).
const (
	SpanSize     = 4 << 20
	MinLayerSize = 10 << 20
)

// Tool is by what this package names itself in what it writes.
const Tool = "ecsdeploy"

const ztocVersion = "0.9"

// window is how much of a layer a decompressor is given that starts in its middle.
const window = 32 << 10

// File is an entry of a layer.
type File struct {
	Name, Type, Link string // Type: hardlink, symlink, dir, reg, char, block, fifo
	Offset, Size     int64  // of its bytes in the unpacked layer
	Mode             int64
	UID, GID         int
	User, Group      string
	Modified         time.Time
	Major, Minor     int64
	PAX              map[string]string
}

// Checkpoint is a point from which on the compressed layer can be read by itself.
type Checkpoint struct {
	Compressed, Raw int64 // offsets
	// Digest is of the compressed bytes up to the next checkpoint, or to the end.
	Digest [sha256.Size]byte
}

// ZTOC describes a layer.
type ZTOC struct {
	Files           []File
	Checkpoints     []Checkpoint
	Compressed, Raw int64 // sizes of the layer
}

// Encoded is a zTOC as it is stored. The windows of its checkpoints, of which nothing is
// read, stand only in what Open returns.
type Encoded struct {
	Digest v1.Hash
	Size   int64

	head        []byte
	checkpoints []Checkpoint
}

// Encode writes a zTOC.
func (z ZTOC) Encode() *Encoded {
	f := new(flat)
	f.b = make([]byte, 4, 256+160*len(z.Files)) // the reference to the root
	root := f.layout(4, 4, 8, 8, 4, 4)          // version, tool, compressed size, raw size, toc, compression
	toc := f.layout(4)
	// The algorithm is left out: gzip is the default.
	compression := f.layout(1, 4, 4, 4) // algorithm, number of the last span, digests, checkpoints
	file := f.layout(4, 4, 8, 8, 4, 8, 4, 4, 4, 4, 4, 8, 8, 4)
	pax := f.layout(4, 4)

	at := f.table(root)
	f.set4(0, uint32(at))
	f.text(at+root.offsets[0], ztocVersion)
	f.text(at+root.offsets[1], Tool)
	f.set8(at+root.offsets[2], z.Compressed)
	f.set8(at+root.offsets[3], z.Raw)
	z.files(f, at+root.offsets[4], toc, file, pax)

	c := f.refer(at+root.offsets[5], compression)
	f.b[c+compression.offsets[0]] = 1 // Gzip
	f.set4(c+compression.offsets[1], uint32(len(z.Checkpoints)-1))
	first := f.vector(c+compression.offsets[2], len(z.Checkpoints))
	for i, p := range z.Checkpoints {
		f.text(first+4*i, "sha256:"+hex.EncodeToString(p.Digest[:]))
	}
	f.finish()
	// The checkpoints stand last, so that what follows a window is the next checkpoint.
	f.pad(4)
	f.point(c + compression.offsets[3])
	f.b = binary.LittleEndian.AppendUint32(f.b, uint32(zinfoHead+len(z.Checkpoints)*zinfoPoint))
	f.b = binary.LittleEndian.AppendUint32(f.b, uint32(len(z.Checkpoints)))
	f.b = binary.LittleEndian.AppendUint64(f.b, SpanSize)

	e := &Encoded{head: f.b, checkpoints: z.Checkpoints}
	e.Size = int64(len(e.head) + len(z.Checkpoints)*zinfoPoint)
	sum := sha256.New()
	io.Copy(sum, e.Open()) // reads memory and writes to a hash
	e.Digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	return e
}

// refer appends a table and has the reference at a position lead to it.
func (f *flat) refer(at int, l layout) int {
	to := f.table(l)
	f.set4(at, uint32(to-at))
	return to
}

// files writes the table of contents.
func (z ZTOC) files(f *flat, at int, toc, file, pax layout) {
	t := f.refer(at, toc)
	first := f.vector(t+toc.offsets[0], len(z.Files))
	for i, e := range z.Files {
		at := f.refer(first+4*i, file)
		field := func(n int) int { return at + file.offsets[n] }
		f.text(field(0), e.Name)
		f.text(field(1), e.Type)
		f.set8(field(2), e.Offset)
		f.set8(field(3), e.Size)
		f.text(field(4), e.Link)
		f.set8(field(5), e.Mode)
		f.set4(field(6), uint32(e.UID))
		f.set4(field(7), uint32(e.GID))
		f.text(field(8), e.User)
		f.text(field(9), e.Group)
		f.text(field(10), e.Modified.UTC().Format(time.RFC3339Nano))
		f.set8(field(11), e.Major)
		f.set8(field(12), e.Minor)
		keys := slices.Sorted(maps.Keys(e.PAX))
		records := f.vector(field(13), len(keys))
		for j, k := range keys {
			at := f.refer(records+4*j, pax)
			f.text(at+pax.offsets[0], k)
			f.text(at+pax.offsets[1], e.PAX[k])
		}
	}
}

// The checkpoints as the snapshotter reads them, little-endian
// (ztoc/compression/gzip_zinfo.h): their number (4 bytes) and distance (8), and of each its
// offset in the compressed layer (8), in the unpacked one (8), the bits that it is off a byte's
// boundary (1), and the window.
const (
	zinfoHead  = 4 + 8
	zinfoPoint = 8 + 8 + 1 + window
)

// Open reads the zTOC.
func (e *Encoded) Open() io.Reader {
	return io.MultiReader(bytes.NewReader(e.head), &points{rest: e.checkpoints})
}

// points reads checkpoints. No block refers to what stands before it, so that any window
// will do: it is all zeros.
type points struct {
	rest []Checkpoint
	part []byte // of the first of rest, what precedes its window
	at   int    // in it
}

func (p *points) Read(b []byte) (n int, err error) {
	for n < len(b) && len(p.rest) > 0 {
		if p.at == 0 {
			p.part = binary.LittleEndian.AppendUint64(p.part[:0], uint64(p.rest[0].Compressed))
			p.part = append(binary.LittleEndian.AppendUint64(p.part, uint64(p.rest[0].Raw)), 0)
		}
		var m int
		if p.at < len(p.part) {
			m = copy(b[n:], p.part[p.at:])
		} else {
			m = min(len(b)-n, zinfoPoint-p.at)
			clear(b[n : n+m])
		}
		n += m
		if p.at += m; p.at == zinfoPoint {
			p.rest, p.at = p.rest[1:], 0
		}
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
