package image

// Uploading one blob. Its digest is known before (then POST and PUT) or only
// after it was compressed on the way (then POST, one PATCH, and a PUT without a
// body; never a second PATCH, which ECR answers 201 and discards). Any fault
// leads to a new session: a broken one cannot be trusted (OCI distribution
// specification, "Pushing blobs"; go-containerregistry issue 431).

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
)

// errStalled is the cause of cancelling a request that hardly moves any more.
var errStalled = errors.New("no bytes moved for too long")

// stalledOr is errStalled if that is why ctx ended, else err.
func stalledOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// leastProgress is how many bytes have to move within the time that a request may
// stall: whoever sends one byte at a time could hold a run for ever.
const leastProgress = 16 << 10

// watch ends what moves too little.
type watch struct {
	stall  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
	recent int
}

// watchStall returns a context that ends with errStalled when fewer than
// leastProgress bytes move within stall. The watch has to be stopped.
func watchStall(ctx context.Context, stall time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{stall: stall, cancel: cancel}
	w.timer = time.AfterFunc(stall, func() { cancel(errStalled) })
	return ctx, w
}

// moved counts bytes; never twice at the same time.
func (w *watch) moved(n int) {
	if w.recent += n; w.recent >= leastProgress {
		w.recent = 0
		w.timer.Reset(w.stall)
	}
}

// settle gives the other side time for what it has now.
func (w *watch) settle(d time.Duration) { w.timer.Reset(w.stall + d) }

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// settleRate is how fast, in bytes a second, a registry is expected at least to
// put away an upload once it has it all.
const settleRate = 20 << 20

// leadSize is how much of a layer's compressed form is waited for before an
// upload starts. A layer that is smaller has a digest by then.
const leadSize = 1 << 20

// exists asks whether the registry has a blob. A redirect means that it has.
func (c *client) exists(ctx context.Context, h v1.Hash) (bool, error) {
	resp, _, err := c.ask(ctx, opCheckBlob, http.MethodHead, c.url("blobs/"+h.String()),
		http.StatusOK, http.StatusNotFound, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect)
	var refused *statusError
	if errors.As(err, &refused) && refused.Status == http.StatusForbidden {
		return false, nil // who may not look may send all the same, and is told then if not
	}
	if err != nil {
		return false, err
	}
	return resp.StatusCode != http.StatusNotFound, nil
}

// start opens an upload session and returns its address. from names a
// repository of the same registry to take the blob h from; if the registry does
// so, there is no session and mounted is true.
func (c *client) start(ctx context.Context, h v1.Hash, from string) (session *url.URL, mounted bool, err error) {
	address := c.url("blobs/uploads/")
	if from != "" {
		address += "?" + url.Values{"mount": {h.String()}, "from": {from}}.Encode()
	}
	resp, _, err := c.ask(ctx, opStartUpload, http.MethodPost, address, http.StatusAccepted, http.StatusCreated)
	if err != nil {
		return nil, false, err
	}
	c.unknown.Store(false)
	if from != "" && resp.StatusCode == http.StatusCreated {
		return nil, true, nil
	}
	session, err = c.location(resp)
	return session, false, err
}

// eagerSize is the size of a blob from which a round trip is worth a session
// that may turn out not to be needed, and is left to expire then.
const eagerSize = 8 << 20

// opening is how the upload of a blob begins: the registry has the blob already,
// or has taken it from another repository, or has opened a session for it.
type opening struct {
	there, mounted bool
	session        *url.URL
}

// begin asks for a blob, if it is to be asked for, and opens a session for one
// that is not there; for a large blob both at the same time.
func (c *client) begin(ctx context.Context, d v1.Descriptor, from string, ask bool) (o opening, err error) {
	if ask && (d.Size < eagerSize || from != "") {
		if o.there, err = c.exists(ctx, d.Digest); o.there || err != nil {
			return o, err
		}
		ask = false
	}
	var wg sync.WaitGroup
	var asking error
	if ask {
		wg.Go(func() {
			o.there, asking = guard.Value(func() (bool, error) { return c.exists(ctx, d.Digest) })
		})
	}
	o.session, o.mounted, err = c.start(ctx, d.Digest, from)
	var refused *statusError
	if from != "" && errors.As(err, &refused) && (refused.Status == http.StatusForbidden || refused.Status == http.StatusNotFound) {
		// Taking a blob from a repository can need rights that sending it does not.
		o.session, o.mounted, err = c.start(ctx, v1.Hash{}, "")
	}
	wg.Wait()
	if o.there {
		return o, nil
	}
	return o, errors.Join(asking, err)
}

// location is the address of a session after an answer to POST or PATCH. Layers and
// credentials go to the registry's own host only. A registry behind a proxy that
// ends TLS may give addresses of plain HTTP; HTTPS is meant.
func (c *client) location(resp *http.Response) (*url.URL, error) {
	l := resp.Header.Get("Location")
	if l == "" {
		return nil, final("the registry opened an upload without saying where")
	}
	u, err := url.Parse(l)
	if err != nil {
		return nil, final("the registry opened an upload at an unusable address")
	}
	at := resp.Request.URL
	if u = at.ResolveReference(u); u.Scheme == "http" && at.Scheme == "https" {
		u.Scheme = "https"
	}
	if u.Scheme != at.Scheme || !sameHost(u, at) || u.User != nil {
		return nil, final("the registry opened an upload at %s://%s, which is not its own address; nothing is sent there", u.Scheme, u.Host)
	}
	return u, nil
}

// sameHost compares hosts with their ports, of which the usual ones may be left out.
// A proxy that ends TLS may also name the port of plain HTTP.
func sameHost(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" && p != "80" && p != "443" {
			return p
		}
		return ""
	}
	return strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// transfer sends what open gives to a session. size is -1 when it is not known
// yet. Both ends, the registry and a source that is one, are given up when no
// byte moves for c.stall.
func (c *client) transfer(ctx context.Context, method string, session *url.URL, open func(context.Context) (*body, error), size int64) (*http.Response, error) {
	ctx, watch := watchStall(ctx, c.stall)
	defer watch.stop()

	body, err := open(ctx)
	if err != nil {
		return nil, err
	}
	sent := int64(0)
	body.moved = func(n int, end bool) {
		sent += int64(n)
		watch.moved(n)
		if end || sent == size {
			watch.settle(time.Duration(sent/settleRate) * time.Second)
		}
	}
	req, err := http.NewRequest(method, session.String(), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.send(ctx, opSendBlob, req, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusOK)
	if resp != nil {
		discard(resp)
	}
	// The transport may still be reading the body when it returns. No more.
	watch.cancel(nil)
	body.Close()
	switch source := body.failed(); {
	case source != nil && !errors.Is(source, context.Canceled): // which is what has just been done
		return nil, source
	case context.Cause(ctx) == errStalled:
		return nil, fmt.Errorf("%s: %w", opSendBlob.name, errStalled)
	case err != nil:
		return nil, err
	case !body.ended() && size != 0 && body.read() != size:
		return nil, errors.New("the registry answered before it had the whole layer")
	}
	return resp, nil
}

// put sends a blob of known digest to a session.
func (c *client) put(ctx context.Context, session *url.URL, d v1.Descriptor, open func(context.Context) (*body, error)) error {
	_, err := c.transfer(ctx, http.MethodPut, withDigest(session, d.Digest), open, d.Size)
	return err
}

// finish tells a session which digest the bytes that were sent have.
func (c *client) finish(ctx context.Context, session *url.URL, d v1.Descriptor) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.stall+time.Duration(d.Size/settleRate)*time.Second, errStalled)
	defer cancel()
	req, err := http.NewRequest(http.MethodPut, withDigest(session, d.Digest).String(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, opFinishUpload, req, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusOK)
	if err != nil {
		return err
	}
	discard(resp)
	return nil
}

func withDigest(session *url.URL, h v1.Hash) *url.URL {
	u := *session
	q := u.Query()
	q.Set("digest", h.String())
	u.RawQuery = q.Encode()
	return &u
}

// uploadBlob makes sure that the registry has a blob whose digest is known. It
// returns whether it was there already, or was taken from another repository.
// absent says that it is known not to be there, so that the first try need not
// ask; early is how the first try has begun already, or nil. restart is called
// before every try, count for bytes that are sent.
func (c *client) uploadBlob(ctx context.Context, b blob, absent bool, early *opening, restart func(), count func(int)) (reused bool, err error) {
	first := true
	if b.foreign {
		if err := c.verify(ctx, b); err != nil {
			return false, err
		}
	}
	err = c.persist(ctx, "layer "+b.desc.Digest.String(), func(ctx context.Context) error {
		restart()
		from := b.from
		if b.host != c.repo.RegistryStr() || !first {
			from = ""
		}
		o := early
		if early = nil; o == nil {
			begun, err := c.begin(ctx, b.desc, from, !absent || !first)
			if err != nil {
				return err
			}
			o = &begun
		}
		switch {
		case o.there:
			// At a later try it is an upload whose answer was lost.
			reused = first
			return nil
		case o.mounted:
			reused = true
			return nil
		}
		first = false
		err := c.put(ctx, o.session, b.desc, func(ctx context.Context) (*body, error) {
			r, err := b.open(ctx)
			if err != nil {
				return nil, err
			}
			if b.layer != nil {
				r = b.layer.checked(ctx, r)
			}
			return newBody(r, nil, count), nil
		})
		var status *statusError
		if errors.As(err, &status) && status.has("DIGEST_INVALID") {
			if bad := c.verify(ctx, b); bad != nil {
				return bad
			}
		}
		return err
	})
	return reused, err
}

// verify says whether it is the source's fault that a blob's bytes do not have
// its digest.
func (c *client) verify(ctx context.Context, b blob) error {
	ctx, watch := watchStall(ctx, c.stall)
	defer watch.stop()
	r, err := b.open(ctx)
	if err != nil {
		return err
	}
	sum := sha256.New()
	watched := newBody(r, sum, watch.moved)
	defer watched.Close()
	if _, err := io.Copy(io.Discard, &interruptible{ctx, watched}); err != nil {
		return err
	}
	if got := hashOf(sum); b.desc.Digest.Algorithm == "sha256" && got != b.desc.Digest {
		return finalError{&digestError{b.desc.Digest, got}}
	}
	return nil
}

// uploadRaw compresses a layer into the registry and returns what it has become.
func (c *client) uploadRaw(ctx context.Context, d *compressor, l layer, p *part) (desc v1.Descriptor, reused bool, err error) {
	var known *v1.Descriptor // once the layer was compressed to its end
	err = c.persist(ctx, "layer "+l.diffID.String(), func(ctx context.Context) error {
		p.restart()
		raw, err := l.open(ctx)
		if err != nil {
			return err
		}
		defer raw.Close()
		z := d.compress(raw, l.size, l.diffID, p.read)
		defer z.Close()

		lead := d.beginning()
		defer d.leads.put(lead)
		if _, err := io.CopyN(lead, z, d.lead); err == io.EOF {
			b := blob{desc: v1.Descriptor{MediaType: d.codec.mediaType, Digest: digestOf(lead.Bytes()), Size: int64(lead.Len())}, open: bytesOpener(lead.Bytes())}
			desc = b.desc
			reused, err = c.uploadBlob(ctx, b, false, nil, func() {}, p.sent)
			if err != nil {
				return finalError{err} // it has had its tries
			}
			return nil
		} else if err != nil {
			return err
		}

		if known != nil {
			if there, err := c.exists(ctx, known.Digest); err != nil || there {
				return err
			}
		}
		session, _, err := c.start(ctx, v1.Hash{}, "")
		if err != nil {
			return err
		}
		sum := sha256.New()
		compressed := newBody(struct {
			io.Reader
			io.Closer
		}{io.MultiReader(lead, z), z}, sum, p.sent)
		open := func(context.Context) (*body, error) { return compressed, nil }
		if known != nil {
			return c.put(ctx, session, *known, open)
		}
		resp, err := c.transfer(ctx, http.MethodPatch, session, open, -1)
		if err != nil {
			return err
		}
		desc = v1.Descriptor{MediaType: d.codec.mediaType, Digest: hashOf(sum), Size: compressed.read()}
		known = &desc
		if session, err = c.location(resp); err != nil {
			return err
		}
		return c.finish(ctx, session, desc)
	})
	return desc, reused, err
}

// body is what an upload reads from: it counts, hashes, remembers the source's
// error, and can be closed while it is read.
type body struct {
	mu     sync.Mutex
	r      io.ReadCloser
	sum    hash.Hash // may be nil
	count  func(int)
	moved  func(n int, end bool)
	size   int64
	end    bool
	err    error // of the source
	closed bool
}

func newBody(r io.ReadCloser, sum hash.Hash, count func(int)) *body {
	return &body{r: r, sum: sum, count: count, moved: func(int, bool) {}}
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		// Whoever wants to send the body a second time must not take it for
		// empty.
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.r.Read(p)
	if n > 0 {
		b.size += int64(n)
		if b.sum != nil {
			b.sum.Write(p[:n])
		}
		b.count(n)
	}
	switch {
	case err == io.EOF:
		b.end = true
	case err != nil:
		b.err = err
	}
	if n > 0 || b.end {
		b.moved(n, b.end)
	}
	return n, err
}

func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	return b.r.Close()
}

// failed is the error of the source, if there was one.
func (b *body) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// read is how many bytes were read.
func (b *body) read() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// ended says whether the bytes were read to their end.
func (b *body) ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end
}
