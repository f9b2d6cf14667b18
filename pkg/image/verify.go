package image

// Whether an image's layers unpack to what its config says they do. An engine
// compares the two when it unpacks an image, so an image that is wrong in this
// could be pushed and never run. What costs nothing is checked when the image is
// read; compressed layers are inflated while the upload goes on, and before the
// manifest is stored.

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"ecsdeploy/pkg/guard"
)

// layerCheck is a layer and what it has to unpack to.
type layerCheck struct {
	desc          v1.Descriptor
	diffID        v1.Hash
	number, count int // which of the image's layers it is, from 1
	diffIDs       []v1.Hash
}

// LayerError says that a layer is not the one that the image's config lists, so
// that no engine could unpack the image.
type LayerError struct {
	Number, Count int    // which of the image's layers it is, from 1; 0 if it is all of them
	Digest        string // of the layer as it is stored, or unpacked where it has no other yet
	Want, Got     string // what it has to unpack to and what it unpacks to, or ""
	Problem       string // what is wrong, where it does not unpack at all
	hint          string
}

func (e *LayerError) Error() string {
	s := ""
	if e.Number > 0 {
		s = fmt.Sprintf("layer %d of %d (%s): ", e.Number, e.Count, e.Digest)
	}
	if e.Problem != "" {
		return s + e.Problem
	}
	return s + fmt.Sprintf("unpacks to %s, but the image's config lists %s", e.Got, e.Want)
}

// Hint says what probably built the image wrong and what to do.
func (e *LayerError) Hint() string { return e.hint }

const rebuild = "no engine can unpack this image; build or copy it again"

// unpackable are the media types of layers that an engine unpacks.
var unpackable = []types.MediaType{
	types.DockerLayer, types.OCILayer, types.OCILayerZStd, types.DockerUncompressedLayer, types.OCIUncompressedLayer,
	types.DockerForeignLayer, types.OCIRestrictedLayer, types.OCIUncompressedRestrictedLayer,
}

// checkLayers compares a manifest with its config as far as that needs no layer,
// and returns the layers that remain to be inflated. A manifest without any layer
// that an engine could unpack is an artifact: its config says nothing of layers.
func checkLayers(m manifest, c configSummary) ([]layerCheck, error) {
	if !slices.ContainsFunc(m.Layers, func(d v1.Descriptor) bool { return slices.Contains(unpackable, d.MediaType) }) && (len(m.Layers) > 0 || len(c.diffIDs) == 0) {
		return nil, nil
	}
	if len(m.Layers) != len(c.diffIDs) {
		return nil, &LayerError{Problem: fmt.Sprintf("number of layers: %d in the manifest, %d in the config", len(m.Layers), len(c.diffIDs)), hint: rebuild}
	}
	var checks []layerCheck
	unpacked := map[v1.Hash]v1.Hash{}
	for i, d := range m.Layers {
		k := layerCheck{desc: d, diffID: c.diffIDs[i], number: i + 1, count: len(m.Layers), diffIDs: c.diffIDs}
		before, seen := unpacked[d.Digest]
		unpacked[d.Digest] = k.diffID
		switch {
		case seen && before != k.diffID:
			e := k.failed("is listed twice in the manifest, and as two different layers in the config")
			e.hint = "one of the image's layers stands in the place of another; " + rebuild
			return nil, e
		case isRawLayer(d) && d.Digest != k.diffID:
			return nil, k.differs(d.Digest)
		case !isRawLayer(d) && d.Digest == k.diffID && slices.Contains(unpackable, d.MediaType):
			e := k.failed("the config lists the digest of the compressed layer instead of that of the layer unpacked")
			e.hint = "diff_ids are digests of uncompressed layers; the tool that wrote the config got them wrong, " + rebuild
			return nil, e
		}
		if !seen && !isForeign(d) && !isRawLayer(d) && slices.Contains(unpackable, d.MediaType) && k.diffID.Algorithm == "sha256" {
			checks = append(checks, k)
		}
	}
	return checks, nil
}

// name is the digest that a message calls the layer by.
func (k layerCheck) name() string {
	if k.desc.Digest == (v1.Hash{}) {
		return k.diffID.String()
	}
	return k.desc.Digest.String()
}

// failed is an error of the layer.
func (k layerCheck) failed(problem string) *LayerError {
	return &LayerError{Number: k.number, Count: k.count, Digest: k.name(), Want: k.diffID.String(), Problem: problem, hint: rebuild}
}

// differs is the error of a layer that unpacks to something else.
func (k layerCheck) differs(got v1.Hash) *LayerError {
	e := &LayerError{Number: k.number, Count: k.count, Digest: k.name(), Want: k.diffID.String(), Got: got.String(), hint: rebuild}
	if i := slices.Index(k.diffIDs, got); i >= 0 {
		e.hint = fmt.Sprintf("that is what the config lists for layer %d: the layers stand in another order than in the config; %s", i+1, rebuild)
	}
	return e
}

// compare inflates the layer, which r gives, and compares it with the config.
func (k layerCheck) compare(ctx context.Context, r io.Reader) error {
	got, err := unpack(ctx, r, k.desc.Size)
	var source *sourceError
	switch {
	case err == nil && got == k.diffID:
		return nil
	case err == nil:
		return k.differs(got)
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
		e := k.failed("ends before its compressed data does: it is truncated")
		e.hint = "the layer was cut off when it was written or copied; " + rebuild
		return e
	}
	return k.failed("cannot be unpacked: " + err.Error())
}

// Bounds on what a compressed file may unpack to, against files that were made
// to unpack to very much more: real layers have a fifth to a half of their size.
const (
	maxRatio    = 100
	layerFloor  = 16 << 30 // for a layer, which is not stored unpacked
	spoolFloor  = 2 << 30  // for an archive, which is
	inflatePart = 256 << 10
	maxWindow   = 16 << 20 // of zstd: memory for each layer; tools that build images use 8 MiB at most
)

// unpack returns the digest of what a layer of size bytes unpacks to. Whether it
// is compressed is found out as engines find it out, by its first bytes.
func unpack(ctx context.Context, r io.Reader, size int64) (v1.Hash, error) {
	from := bufio.NewReaderSize(&interruptible{ctx, r}, 64<<10)
	head, err := from.Peek(tarBlock)
	if err != nil && err != io.EOF {
		return v1.Hash{}, err
	}
	raw := io.Reader(from)
	switch f := sniff(head); f {
	case formatGzip:
		if raw, err = newGunzip(from); err != nil {
			return v1.Hash{}, err
		}
	case formatZstd:
		z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return v1.Hash{}, err
		}
		defer z.Close()
		raw = z
	case formatBzip2, formatXZ:
		return v1.Hash{}, fmt.Errorf("it is compressed with %s, which engines do not unpack", f)
	}
	sum := &bounded{sum: sha256.New(), left: layerFloor + maxRatio*size}
	if _, err := io.CopyBuffer(sum, raw, make([]byte, inflatePart)); err != nil {
		return v1.Hash{}, err
	}
	// What stands behind the compressed data is part of the layer as well.
	_, err = io.Copy(io.Discard, from)
	return hashOf(sum.sum), err
}

// bounded hashes what a layer unpacks to, up to a limit.
type bounded struct {
	sum  hash.Hash
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("it unpacks to more than %d MiB and %d times its size", layerFloor>>20, maxRatio)
	}
	return b.sum.Write(p)
}

// gunzipper reads the members of a gzip file one after the other. NUL bytes behind
// the last one are padding, as tapes and some tools leave it (gzip(1) ignores
// them, too).
type gunzipper struct {
	from *bufio.Reader
	z    *gzip.Reader
}

func newGunzip(from *bufio.Reader) (*gunzipper, error) {
	z, err := gzip.NewReader(from)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gunzipper{from, z}, nil
}

func (g *gunzipper) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if err == io.EOF {
		err = g.next()
	}
	return n, err
}

// WriteTo saves a copy of all bytes, which is a tenth of the time.
func (g *gunzipper) WriteTo(w io.Writer) (n int64, err error) {
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
func (g *gunzipper) next() error {
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

// maxInflaters bounds how many layers are inflated at the same time.
const maxInflaters = 4

// verify inflates the content's compressed layers that lie on this machine, the
// largest first, and compares them with the config. Layers of which proven says
// that they are what they have to be are left out.
func (c *content) verify(ctx context.Context, proven func(ctx context.Context) map[v1.Hash]v1.Descriptor) error {
	opened := map[v1.Hash]opener{}
	for _, b := range c.blobs {
		if b.layer == nil {
			opened[b.desc.Digest] = b.open
		}
	}
	type inflation struct {
		check layerCheck
		open  opener
	}
	var layers []inflation
	for _, k := range c.checks {
		if open := opened[k.desc.Digest]; open != nil {
			layers = append(layers, inflation{k, open})
		}
	}
	if c.unbuilt != nil {
		for _, k := range c.unbuilt.checks() {
			layers = append(layers, inflation{k.layerCheck, k.open})
		}
	}
	if len(layers) == 0 {
		return nil
	}
	known := proven(ctx)
	slices.SortStableFunc(layers, func(a, b inflation) int { return cmp.Compare(b.check.desc.Size, a.check.desc.Size) })
	g, gctx := newGroup(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), maxInflaters))
	for _, t := range layers {
		if d, ok := known[t.check.diffID]; ok && d.Digest == t.check.desc.Digest {
			continue
		}
		g.Go(func() error {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			r, err := t.open(gctx)
			if err != nil {
				return err
			}
			defer r.Close()
			return t.check.compare(gctx, r)
		})
	}
	return g.Wait()
}

// unbuiltCheck is the check of a layer of an unbuilt image.
type unbuiltCheck struct {
	layerCheck
	open opener
}

// checks are the layers of the unbuilt image that are compressed already. Those
// that are not are compared while they are compressed.
func (u *unbuilt) checks() []unbuiltCheck {
	var checks []unbuiltCheck
	for _, l := range u.layers {
		if l.open != nil && (l.format != formatTar || l.known != nil) && l.diffID.Algorithm == "sha256" {
			checks = append(checks, unbuiltCheck{u.check(l), l.open})
		}
	}
	return checks
}

// check is the check of one of the image's layers.
func (u *unbuilt) check(l layer) layerCheck {
	k := layerCheck{diffID: l.diffID, count: len(u.layers), desc: v1.Descriptor{Size: l.size}}
	if l.known != nil {
		k.desc = *l.known
	}
	for i, other := range u.layers {
		k.diffIDs = append(k.diffIDs, other.diffID)
		if k.number == 0 && other.diffID == l.diffID {
			k.number = i + 1
		}
	}
	return k
}

// checked returns a reader of the layer's bytes that fails before their end if
// they do not unpack to what the config lists: the registry never has all of such
// a layer then, so that a later push does not find it there.
func (k layerCheck) checked(ctx context.Context, r io.ReadCloser) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	c := &checkedReader{ReadCloser: r, want: k.desc, sum: sha256.New(), out: out, cancel: cancel, verdict: make(chan error, 1)}
	go func() {
		err := guard.Run(func() error { return k.compare(ctx, in) })
		in.CloseWithError(io.ErrClosedPipe)
		c.verdict <- err
	}()
	return c
}

type checkedReader struct {
	io.ReadCloser
	want v1.Descriptor
	sum  hash.Hash // of what was read
	size int64

	out     *io.PipeWriter
	cancel  context.CancelFunc
	verdict chan error

	give, held []byte // what may be given, and what was read after it
	spare      []byte // to read into
	given      []byte // the buffer of give, which is free once that is empty
	err        error  // once give is empty
}

// Read keeps back what it has read last until it has read more, so that the end
// of a wrong layer is kept back for good.
func (c *checkedReader) Read(p []byte) (int, error) {
	for len(c.give) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		c.next()
	}
	n := copy(p, c.give)
	c.give = c.give[n:]
	return n, nil
}

// next reads on. All of give has been given.
func (c *checkedReader) next() {
	if len(c.spare) == 0 {
		c.spare = make([]byte, inflatePart)
	}
	n, err := c.ReadCloser.Read(c.spare[:inflatePart])
	c.sum.Write(c.spare[:n])
	c.size += int64(n)
	_, stopped := c.out.Write(c.spare[:n])
	if err == nil && stopped == nil {
		if n > 0 {
			c.give, c.held, c.spare = c.held, c.spare[:n], c.given
			c.given = c.give[:cap(c.give)]
		}
		return
	}
	if stopped != nil && err == nil { // the layer is wrong: or what came of it is
		var rest int64
		rest, err = io.Copy(c.sum, c.ReadCloser)
		if c.size += rest; err == nil {
			err = io.EOF
		}
	}
	if err != io.EOF {
		c.err = err
		return
	}
	c.out.Close()
	switch wrong, got := <-c.verdict, hashOf(c.sum); {
	case wrong != nil && c.size < c.want.Size:
		c.err = fmt.Errorf("%s ends after %d of %d bytes: %w", c.want.Digest, c.size, c.want.Size, io.ErrUnexpectedEOF)
		return
	case wrong != nil && got != c.want.Digest:
		c.err = &digestError{c.want.Digest, got}
		return
	case wrong != nil:
		c.err = finalError{wrong}
		return
	}
	c.give, c.held, c.err = append(c.held, c.spare[:n]...), nil, io.EOF
}

func (c *checkedReader) Close() error {
	c.cancel()
	c.out.CloseWithError(context.Canceled)
	return c.ReadCloser.Close()
}

// provenAnnotation stands at each layer of a manifest that this package has
// written, which it does once it has seen the layer unpacked. It repeats the
// layer's digest, so that it proves nothing of a layer that another tool has put
// there since.
const provenAnnotation = "ecsdeploy.verified"

func proof(digest, diffID v1.Hash) string { return digest.String() + " " + diffID.String() }

func isProven(d v1.Descriptor, diffID v1.Hash) bool {
	return d.Annotations[provenAnnotation] == proof(d.Digest, diffID)
}

// sound says whether all layers of an image in the repository unpack to what its
// config lists: by the proof in its manifest, else by reading and inflating them.
// The first error is of the layers, a *LayerError; the second says why it could
// not be found out.
func (c *client) sound(ctx context.Context, have *remoteManifest) (damage, err error) {
	m, _, err := parseManifest(have.raw, have.desc.MediaType)
	if err != nil || m.Config == nil {
		return nil, err
	}
	raw, err := c.read(ctx, *m.Config, maxConfig)
	if err != nil {
		return nil, err
	}
	config, err := readConfig(raw)
	if err != nil {
		return nil, err
	}
	checks, damage := checkLayers(m, config)
	if damage != nil {
		return damage, nil
	}
	checks = slices.DeleteFunc(checks, func(k layerCheck) bool { return isProven(k.desc, k.diffID) })
	g, gctx := newGroup(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), maxInflaters))
	for _, k := range checks {
		g.Go(func() error {
			return c.persist(gctx, "layer "+k.desc.Digest.String(), func(ctx context.Context) error { return c.inflate(ctx, k) })
		})
	}
	err = g.Wait()
	if bad, ok := errors.AsType[*LayerError](err); ok {
		return bad, nil
	}
	return nil, err
}

// inflate reads a layer of the repository and compares it.
func (c *client) inflate(ctx context.Context, k layerCheck) error {
	ctx, watch := watchStall(ctx, c.stall)
	defer watch.stop()
	r, err := c.openBlob(ctx, k.desc)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	body := newBody(r, sum, watch.moved)
	err = k.compare(ctx, body)
	switch bad := (*LayerError)(nil); {
	case body.failed() != nil:
		return stalledOr(ctx, body.failed())
	case errors.As(err, &bad):
		if _, err := io.Copy(io.Discard, body); err == nil && hashOf(sum) != k.desc.Digest {
			return &digestError{k.desc.Digest, hashOf(sum)}
		}
		return finalError{bad}
	}
	return err
}
