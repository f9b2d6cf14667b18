package soci

// The zTOC of a layer (awslabs/soci-snapshotter, ztoc/fbs/ztoc.fbs, version 0.9).

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"

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

// Checkpoint is a point from which on the compressed layer can be read by itself.
type Checkpoint struct {
	Compressed, Raw int64 // offsets
	// Digest is of the compressed bytes up to the next checkpoint, or to the end.
	Digest [sha256.Size]byte
}

// ZTOC describes a layer.
type ZTOC struct {
	Checkpoints     []Checkpoint
	Compressed, Raw int64 // sizes of the layer

	files *contents
}

// Encoded is a zTOC as it is stored. The windows of its checkpoints, of which nothing is
// read, stand only in what Open returns.
type Encoded struct {
	Digest v1.Hash
	Size   int64

	parts       [][]byte
	checkpoints []Checkpoint
}

// Encode writes a zTOC: what refers to the files, the files, and the strings that several
// of them have.
func (z ZTOC) Encode() *Encoded {
	f := new(flat)
	f.b = make([]byte, 4, 1024+4*len(z.files.at)+4*len(z.Checkpoints)) // begins with the reference to the root
	root := f.layout(4, 4, 8, 8, 4, 4)                                 // version, tool, compressed size, raw size, toc, compression
	toc := f.layout(4)
	compression := f.layout(1, 4, 4, 4) // algorithm, number of the last span, digests, checkpoints

	at := f.table(root)
	f.set4(0, uint32(at))
	f.set8(at+root.offsets[2], z.Compressed)
	f.set8(at+root.offsets[3], z.Raw)
	t := f.refer(at+root.offsets[4], toc)
	files := f.vector(t+toc.offsets[0], len(z.files.at))
	c := f.refer(at+root.offsets[5], compression)
	f.b[c+compression.offsets[0]] = 1 // Gzip
	f.set4(c+compression.offsets[1], uint32(len(z.Checkpoints)-1))
	digests := f.vector(c+compression.offsets[2], len(z.Checkpoints))
	f.pad(8)

	body := &z.files.flat
	body.pad(8)
	for i, to := range z.files.at {
		f.set4(files+4*i, uint32(len(f.b)+int(to)-(files+4*i)))
	}
	tail := &flat{}
	before := len(f.b) + len(body.b)
	point := func(at int) { f.set4(at, uint32(before+len(tail.b)-at)) }
	text := func(at int, s string) {
		tail.pad(4)
		point(at)
		tail.string(s)
	}
	for _, s := range z.files.order {
		tail.pad(4)
		for _, ref := range z.files.shared[s] {
			body.set4(int(ref), uint32(len(body.b)+len(tail.b)-int(ref)))
		}
		tail.string(s)
	}
	text(at+root.offsets[0], ztocVersion)
	text(at+root.offsets[1], Tool)
	for i, p := range z.Checkpoints {
		text(digests+4*i, "sha256:"+hex.EncodeToString(p.Digest[:]))
	}
	// The checkpoints stand last, so that what follows a window is the next checkpoint.
	tail.pad(4)
	point(c + compression.offsets[3])
	tail.b = binary.LittleEndian.AppendUint32(tail.b, uint32(zinfoHead+len(z.Checkpoints)*zinfoPoint))
	tail.b = binary.LittleEndian.AppendUint32(tail.b, uint32(len(z.Checkpoints)))
	tail.b = binary.LittleEndian.AppendUint64(tail.b, SpanSize)
	return encoded([][]byte{f.b, body.b, tail.b}, z.Checkpoints)
}

func encoded(parts [][]byte, checkpoints []Checkpoint) *Encoded {
	e := &Encoded{parts: parts, checkpoints: checkpoints, Size: int64(len(checkpoints) * zinfoPoint)}
	for _, p := range parts {
		e.Size += int64(len(p))
	}
	sum := sha256.New()
	io.Copy(sum, e.Open()) // reads memory and writes to a hash
	e.Digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	return e
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
	var all []io.Reader
	for _, p := range e.parts {
		all = append(all, bytes.NewReader(p))
	}
	return io.MultiReader(append(all, &points{rest: e.checkpoints})...)
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
