package soci

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
)

// made is a layer, how it is compressed, and its zTOC.
type made struct {
	raw, compressed []byte
	ztoc            ZTOC
	err             error
}

func build(t testing.TB, raw []byte) (m made) {
	t.Helper()
	c, err := compress.New(compress.Gzip, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder()
	z := c.Observed(bytes.NewReader(raw), int64(len(raw)), image.DigestOf(raw), func(int) {}, b)
	m.raw = raw
	if m.compressed, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	z.Close()
	m.ztoc, m.err = b.ZTOC()
	return m
}

// random is a layer with files of all kinds, of which the largest are longer than a span.
func random(t testing.TB, seed uint64, sizes ...int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	r := rand.New(rand.NewPCG(seed, 1))
	modified := time.Unix(1_700_000_000, 0)
	write := func(h tar.Header, data []byte) {
		h.Size = int64(len(data))
		if h.ModTime.IsZero() {
			h.ModTime = modified
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	write(tar.Header{Typeflag: tar.TypeDir, Name: "srv/", Mode: 0o755}, nil)
	for i, n := range sizes {
		data := make([]byte, n)
		for j := 0; j+8 <= n; j += 32 { // a quarter does not compress
			binary.LittleEndian.PutUint64(data[j:], r.Uint64())
		}
		write(tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("srv/%d", i), Mode: 0o644, Uid: i, Gid: 7, Uname: "app", Gname: "größe"}, data)
	}
	write(tar.Header{Typeflag: tar.TypeSymlink, Name: "srv/link", Linkname: "0", Mode: 0o777}, nil)
	write(tar.Header{Typeflag: tar.TypeLink, Name: "srv/hard", Linkname: "srv/0", Mode: 0o644}, nil)
	write(tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Devmajor: 1, Devminor: 3, Mode: 0o666}, nil)
	write(tar.Header{Typeflag: tar.TypeFifo, Name: "run/pipe", Mode: 0o600}, nil)
	write(tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 60) + "name", Mode: 0o4755, ModTime: time.Unix(1_700_000_000, 123_456_789).UTC(), Format: tar.FormatPAX,
		PAXRecords: map[string]string{"SCHILY.xattr.user.a": "1", "SCHILY.xattr.security.capability": "\x01\x00\x02"}}, []byte("data"))
	write(tar.Header{Typeflag: tar.TypeReg, Name: "srv/.wh..wh..opq"}, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever is read of a layer from its checkpoints on, are the bytes that inflating all of
// it gives; and the spans and files lie where the zTOC says.
func check(t testing.TB, m made) {
	t.Helper()
	z := m.ztoc
	if z.Raw != int64(len(m.raw)) || z.Compressed != int64(len(m.compressed)) {
		t.Fatalf("sizes %d and %d, want %d and %d", z.Raw, z.Compressed, len(m.raw), len(m.compressed))
	}
	for i, p := range z.Checkpoints {
		end, rawEnd := z.Compressed, z.Raw
		if i+1 < len(z.Checkpoints) {
			end, rawEnd = z.Checkpoints[i+1].Compressed, z.Checkpoints[i+1].Raw
			if rawEnd-p.Raw != SpanSize {
				t.Fatalf("span %d has %d bytes", i, rawEnd-p.Raw)
			}
		}
		span := m.compressed[p.Compressed:end]
		if sha256.Sum256(span) != p.Digest {
			t.Fatalf("span %d has another digest", i)
		}
		got := make([]byte, rawEnd-p.Raw)
		if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(span)), got); err != nil || !bytes.Equal(got, m.raw[p.Raw:rawEnd]) {
			t.Fatalf("span %d: %v", i, err)
		}
	}
	r := tar.NewReader(bytes.NewReader(m.raw))
	table, err := io.ReadAll(z.Encode().Open())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range decode(table) {
		h, err := r.Next()
		if err != nil || h.Name != f.Name || h.Size != f.Size {
			t.Fatalf("%+v: %+v %v", f, h, err)
		}
		if !f.Modified.Equal(h.ModTime) || f.Mode != h.Mode || f.UID != h.Uid || f.User != h.Uname || f.Group != h.Gname || f.Link != h.Linkname {
			t.Fatalf("%+v: %+v", f, h)
		}
		if f.Type == "reg" {
			data, _ := io.ReadAll(r)
			if !bytes.Equal(data, m.raw[f.Offset:f.Offset+f.Size]) {
				t.Fatalf("%s is not at %d", f.Name, f.Offset)
			}
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatalf("files are missing: %v", err)
	}
}

// decode reads the files of a zTOC, as the internals of FlatBuffers describe it.
func decode(b []byte) []file {
	u4 := func(at int) int { return int(binary.LittleEndian.Uint32(b[at:])) }
	to := func(at int) int { return at + u4(at) }
	field := func(table, n int) int {
		vtable := table - int(int32(binary.LittleEndian.Uint32(b[table:])))
		return table + int(binary.LittleEndian.Uint16(b[vtable+4+2*n:]))
	}
	text := func(table, n int) string { at := to(field(table, n)); return string(b[at+4 : at+4+u4(at)]) }
	long := func(table, n int) int64 {
		at := field(table, n)
		if at%8 != 0 {
			panic("a field is not aligned")
		}
		return int64(binary.LittleEndian.Uint64(b[at:]))
	}
	vector := to(field(to(field(to(0), 4)), 0))
	var files []file
	for i := range u4(vector) {
		f := to(vector + 4 + 4*i)
		modified, _ := time.Parse(time.RFC3339Nano, text(f, 10))
		files = append(files, file{Name: text(f, 0), Type: text(f, 1), Offset: long(f, 2), Size: long(f, 3), Link: text(f, 4), Mode: long(f, 5),
			UID: u4(field(f, 6)), GID: u4(field(f, 7)), User: text(f, 8), Group: text(f, 9), Modified: modified, Major: long(f, 11), Minor: long(f, 12)})
	}
	return files
}

// More strings than are compared with each other are all there.
func TestManyStrings(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range 3 * maxShared {
		h := tar.Header{Typeflag: tar.TypeSymlink, Name: fmt.Sprint("a/", i), Linkname: fmt.Sprint("to/", i), Uname: fmt.Sprint(i % 7), ModTime: time.Unix(int64(i%(2*maxShared)), 0)}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	m := build(t, b.Bytes())
	if m.err != nil {
		t.Fatal(m.err)
	}
	check(t, m)
}

func TestRandomAccess(t *testing.T) {
	for _, sizes := range [][]int{{0}, {1}, {100, 0, 600}, {256<<10 - 1024}, {SpanSize, 300_000, 1}} {
		m := build(t, random(t, 1, sizes...))
		if m.err != nil {
			t.Fatal(m.err)
		}
		check(t, m)
	}
}

// A layer whose size is a multiple of a span has no checkpoint at its end.
func TestExactSpan(t *testing.T) {
	raw := random(t, 2, SpanSize)
	raw = append(raw, make([]byte, 2*SpanSize-len(raw))...)
	m := build(t, raw)
	if m.err != nil || len(m.ztoc.Checkpoints) != 2 {
		t.Fatalf("%d checkpoints, %v", len(m.ztoc.Checkpoints), m.err)
	}
	check(t, m)
}

func FuzzRandomAccess(f *testing.F) {
	f.Add(uint64(1), uint32(10), uint32(600_000))
	f.Add(uint64(2), uint32(512), uint32(0))
	f.Fuzz(func(t *testing.T, seed uint64, a, b uint32) {
		m := build(t, random(t, seed, int(a%(3<<20)), int(b%(9<<20))))
		if m.err != nil {
			t.Fatal(m.err)
		}
		check(t, m)
	})
}

// What is no layer, or one that SOCI cannot describe, has no zTOC, and nothing hangs.
func TestNoTableOfContents(t *testing.T) {
	var global bytes.Buffer
	w := tar.NewWriter(&global)
	w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}})
	w.Close()
	for name, raw := range map[string][]byte{
		"text": []byte(strings.Repeat("no tar\n", 1000)), "global header": global.Bytes(), "truncated": random(t, 1, 3000)[:2000], "empty": nil,
	} {
		if m := build(t, raw); m.err == nil {
			t.Errorf("%s: %+v", name, m.ztoc)
		}
	}
}

func FuzzBuilder(f *testing.F) {
	f.Add(random(f, 1, 700), uint8(3))
	f.Add([]byte("text"), uint8(1))
	f.Fuzz(func(t *testing.T, raw []byte, parts uint8) {
		b := NewBuilder()
		for n := len(raw)/(int(parts)+1) + 1; len(raw) > 0; {
			p := raw[:min(n, len(raw))]
			b.Raw(p)
			b.Compressed(len(p), p)
			raw = raw[len(p):]
		}
		if z, err := b.ZTOC(); err == nil {
			table, _ := io.ReadAll(z.Encode().Open())
			for _, e := range decode(table) {
				if e.Offset < 512 {
					t.Errorf("%+v", e)
				}
			}
		}
	})
}

// Open gives the bytes of which the descriptor is, however it is read.
func TestEncode(t *testing.T) {
	m := build(t, random(t, 4, SpanSize))
	e := m.ztoc.Encode()
	var whole []byte
	r, part := e.Open(), make([]byte, 777)
	for {
		n, err := r.Read(part)
		whole = append(whole, part[:n]...)
		if err == io.EOF {
			break
		}
	}
	if int64(len(whole)) != e.Size || image.DigestOf(whole) != e.Digest {
		t.Errorf("%d bytes of %s, want %d of %s", len(whole), image.DigestOf(whole), e.Size, e.Digest)
	}
	if again := build(t, m.raw).ztoc.Encode(); again.Digest != e.Digest {
		t.Error("the same layer has another zTOC")
	}
	points := whole[len(whole)-len(m.ztoc.Checkpoints)*zinfoPoint-zinfoHead:]
	if n := binary.LittleEndian.Uint32(points); int(n) != len(m.ztoc.Checkpoints) {
		t.Errorf("%d checkpoints", n)
	}
}

// The library of the SOCI snapshotter reads what this package writes. ./build.sh test builds
// the tool.
func TestSnapshotterReads(t *testing.T) {
	tool, err := exec.LookPath("soci-reader")
	if err != nil {
		t.Skip("soci-reader is not on the PATH: ./build.sh test installs it")
	}
	for name, raw := range map[string][]byte{
		"small": random(t, 5, 10, 0), "spans": random(t, 6, 2*SpanSize+11, 500_000), "one": random(t, 7, 900_000),
	} {
		t.Run(name, func(t *testing.T) {
			m := build(t, raw)
			if m.err != nil {
				t.Fatal(m.err)
			}
			dir := t.TempDir()
			table, _ := io.ReadAll(m.ztoc.Encode().Open())
			for file, b := range map[string][]byte{"ztoc": table, "layer": m.compressed} {
				if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := exec.Command(tool, filepath.Join(dir, "ztoc"), filepath.Join(dir, "layer")).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, got)
			}
			if want := listing(t, m); string(got) != want {
				t.Errorf("the snapshotter reads\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// listing is what soci-reader has to print, read from the layer itself.
func listing(t *testing.T, m made) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "0.9 gzip %d %d %d\n", len(m.ztoc.Checkpoints), len(m.compressed), len(m.raw))
	kinds := map[byte]string{'0': "reg", '1': "hardlink", '2': "symlink", '3': "char", '5': "dir", '6': "fifo"}
	from := bytes.NewReader(m.raw)
	r := tar.NewReader(from)
	for next := int64(0); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		at := int64(len(m.raw) - from.Len())
		data, _ := io.ReadAll(r)
		pax := h.PAXRecords
		if pax == nil {
			pax = map[string]string{}
		}
		fmt.Fprintf(&out, "%q %s %d %q %o %d %d %q %q %s %d %d %q %x %d\n", h.Name, kinds[h.Typeflag], h.Size, h.Linkname, h.Mode, h.Uid, h.Gid, h.Uname, h.Gname,
			h.ModTime.UTC().Format(time.RFC3339Nano), h.Devmajor, h.Devminor, pax, sha256.Sum256(data), next)
		next = (at + h.Size + 511) / 512 * 512
	}
}

// The manifest of an index is read back; one of another tool, or in another form, is not.
func TestIndexManifest(t *testing.T) {
	layer := v1.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: image.DigestOf([]byte("layer")), Size: 20 << 20}
	ztoc := Describe(v1.Descriptor{Digest: image.DigestOf([]byte("ztoc")), Size: 4}, layer)
	index, err := IndexManifest([]v1.Descriptor{ztoc})
	if err != nil {
		t.Fatal(err)
	}
	all, err := ZTOCs(index.Raw)
	if err != nil || len(all) != 1 || all[layer.Digest].Digest != ztoc.Digest {
		t.Errorf("%v %v", all, err)
	}
	for from, to := range map[string]string{`"ecsdeploy"`: `"AWS SOCI CLI v0.2"`, "4194304": "8388608", "octet-stream": "x-tar", "soci.index.v2": "soci.index.v1", "image-layer-digest": "other"} {
		changed := bytes.Replace(index.Raw, []byte(from), []byte(to), 1)
		if all, err := ZTOCs(changed); err == nil || bytes.Equal(changed, index.Raw) {
			t.Errorf("%s for %s: %v", to, from, all)
		}
	}
}

func BenchmarkIndexed(b *testing.B) {
	raw := random(b, 9, 8<<20, 8<<20, 8<<20)
	for _, observed := range []bool{false, true} {
		b.Run(fmt.Sprintf("soci=%t", observed), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				c, _ := compress.New(compress.Gzip, 0)
				var o compress.Observer
				builder := (*Builder)(nil)
				if observed {
					builder = NewBuilder()
					o = builder
				}
				z := c.Observed(bytes.NewReader(raw), int64(len(raw)), v1.Hash{}, func(int) {}, o)
				io.Copy(io.Discard, z)
				z.Close()
				if observed {
					if t, err := builder.ZTOC(); err != nil || t.Encode().Size == 0 {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
