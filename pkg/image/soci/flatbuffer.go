package soci

// The few parts of FlatBuffers that a zTOC is made of (flatbuffers.dev, "FlatBuffer
// Internals"): tables, vectors, strings, all little-endian. A reference leads forward, so
// that what is referred to is written after it; a table leads back to its vtable.

import "encoding/binary"

// flat writes a buffer, or a part of one, from its beginning.
type flat struct{ b []byte }

// layout is how the tables of one kind lie: the position of their vtable, and the offset
// of each field in the table.
type layout struct {
	at      int
	offsets []int
	size    int
}

func (f *flat) pad(to int) {
	for len(f.b)%to != 0 {
		f.b = append(f.b, 0)
	}
}

// layout writes a vtable. sizes are those of the fields, in the order of the schema: 1, 4 or
// 8 bytes. The largest fields stand first, since each has to be aligned to its size.
func (f *flat) layout(sizes ...int) layout {
	l := layout{offsets: make([]int, len(sizes)), size: 4}
	for _, want := range []int{8, 4, 1} {
		for i, n := range sizes {
			if n == want {
				l.offsets[i] = l.size
				l.size += n
			}
		}
	}
	f.pad(2)
	l.at = len(f.b)
	f.b = binary.LittleEndian.AppendUint16(f.b, uint16(4+2*len(sizes)))
	f.b = binary.LittleEndian.AppendUint16(f.b, uint16(l.size))
	for _, at := range l.offsets {
		f.b = binary.LittleEndian.AppendUint16(f.b, uint16(at))
	}
	return l
}

// table appends an empty table and returns where it is. Its 8-byte fields, which follow 4
// bytes of it, are aligned.
func (f *flat) table(l layout) int {
	for len(f.b)%8 != 4 {
		f.b = append(f.b, 0)
	}
	at := len(f.b)
	f.b = append(f.b, make([]byte, l.size)...)
	binary.LittleEndian.PutUint32(f.b[at:], uint32(at-l.at))
	return at
}

func (f *flat) set8(at int, v int64)  { binary.LittleEndian.PutUint64(f.b[at:], uint64(v)) }
func (f *flat) set4(at int, v uint32) { binary.LittleEndian.PutUint32(f.b[at:], v) }

// point makes the reference at a position lead to the end of the buffer, where what is
// referred to is appended next.
func (f *flat) point(at int) { f.set4(at, uint32(len(f.b)-at)) }

// vector appends a vector of n references that are still to be set, and returns the
// position of the first.
func (f *flat) vector(at, n int) int {
	f.pad(4)
	f.point(at)
	f.b = binary.LittleEndian.AppendUint32(f.b, uint32(n))
	first := len(f.b)
	f.b = append(f.b, make([]byte, 4*n)...)
	return first
}

// put appends a string, to which the reference at a position leads.
func (f *flat) put(at int, s string) {
	f.pad(4)
	f.point(at)
	f.string(s)
}

func (f *flat) string(s string) {
	f.b = binary.LittleEndian.AppendUint32(f.b, uint32(len(s)))
	f.b = append(append(f.b, s...), 0)
}

// refer appends a table and has the reference at a position lead to it.
func (f *flat) refer(at int, l layout) int {
	to := f.table(l)
	f.set4(at, uint32(to-at))
	return to
}
