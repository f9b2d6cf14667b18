package soci

// The table of contents of a layer, written as it is read, since a layer can have many
// files.

import (
	"maps"
	"slices"
	"time"
)

// contents is the part of a zTOC that holds the files. It begins at a multiple of 8 bytes.
type contents struct {
	flat
	file, pax layout
	at        []uint32            // where the files are
	shared    map[string][]uint32 // where references to strings are that several files have
	order     []string            // those strings, in the order of their first use
}

// maxShared bounds the strings of which it is known where they are wanted.
const maxShared = 1000

func newContents() *contents {
	c := &contents{shared: map[string][]uint32{}}
	c.file = c.layout(4, 4, 8, 8, 4, 8, 4, 4, 4, 4, 4, 8, 8, 4)
	c.pax = c.layout(4, 4)
	return c
}

// file is an entry of a layer.
type file struct {
	Name, Type, Link string // Type: hardlink, symlink, dir, reg, char, block, fifo
	Offset, Size     int64  // of its bytes in the unpacked layer
	Mode             int64
	UID, GID         int
	User, Group      string
	Modified         time.Time
	Major, Minor     int64
	PAX              map[string]string
}

// add writes an entry.
func (c *contents) add(e file) {
	at := c.table(c.file)
	c.at = append(c.at, uint32(at))
	field := func(n int) int { return at + c.file.offsets[n] }
	c.set8(field(2), e.Offset)
	c.set8(field(3), e.Size)
	c.set8(field(5), e.Mode)
	c.set4(field(6), uint32(e.UID))
	c.set4(field(7), uint32(e.GID))
	c.set8(field(11), e.Major)
	c.set8(field(12), e.Minor)
	c.put(field(0), e.Name)
	c.share(field(1), e.Type)
	c.share(field(4), e.Link)
	c.share(field(8), e.User)
	c.share(field(9), e.Group)
	c.share(field(10), e.Modified.UTC().Format(time.RFC3339Nano))
	keys := slices.Sorted(maps.Keys(e.PAX))
	records := c.vector(field(13), len(keys))
	for i, k := range keys {
		at := c.refer(records+4*i, c.pax)
		c.put(at+c.pax.offsets[0], k)
		c.put(at+c.pax.offsets[1], e.PAX[k])
	}
}

// share has the reference at a position lead to a string that other entries may have, too.
func (c *contents) share(at int, s string) {
	refs, known := c.shared[s]
	if !known && len(c.order) == maxShared {
		c.put(at, s)
		return
	}
	if !known {
		c.order = append(c.order, s)
	}
	c.shared[s] = append(refs, uint32(at))
}
