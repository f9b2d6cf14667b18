package registry

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
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
)

// settleRate is how fast, in bytes a second, a registry is expected at least to
// put away an upload once it has it all.
const settleRate = 20 << 20

// Uploads send blobs to a client's repository.
type Uploads struct{ c *Client }

// Exists asks whether the registry has a blob. A redirect means that it has.
func (u Uploads) Exists(ctx context.Context, h v1.Hash) (bool, error) {
	_, ok, err := u.Stat(ctx, h)
	return ok, err
}

// Stat asks whether the registry has a blob, and of which size, which is -1 where it
// does not say.
func (u Uploads) Stat(ctx context.Context, h v1.Hash) (size int64, ok bool, err error) {
	resp, _, err := u.c.Ask(ctx, opCheckBlob, http.MethodHead, u.c.URL("blobs/"+h.String()),
		http.StatusOK, http.StatusNotFound, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect)
	var refused *StatusError
	if errors.As(err, &refused) && (refused.Status == http.StatusForbidden || refused.Status == http.StatusMethodNotAllowed || refused.Status == http.StatusNotImplemented) {
		return -1, false, nil // who may not look, or cannot, may send all the same, and is told then if not
	}
	if err != nil {
		return -1, false, err
	}
	size = -1
	if resp.StatusCode == http.StatusOK {
		size = resp.ContentLength
	}
	return size, resp.StatusCode != http.StatusNotFound, nil
}

// start opens an upload session and returns its address. from names a
// repository of the same registry to take the blob h from; if the registry does
// so, there is no session and mounted is true.
func (u Uploads) start(ctx context.Context, h v1.Hash, from string) (session *url.URL, mounted bool, err error) {
	address := u.c.URL("blobs/uploads/")
	if from != "" {
		address += "?" + url.Values{"mount": {h.String()}, "from": {from}}.Encode()
	}
	resp, _, err := u.c.Ask(ctx, opStartUpload, http.MethodPost, address, http.StatusAccepted, http.StatusCreated)
	if err != nil {
		return nil, false, err
	}
	u.c.Unknown.Store(false)
	if from != "" && resp.StatusCode == http.StatusCreated {
		return nil, true, nil
	}
	session, err = location(resp)
	return session, false, err
}

// EagerSize is the size of a blob from which a round trip is worth a session
// that may turn out not to be needed, and is left to expire then.
const EagerSize = 8 << 20

// Opening is how the upload of a blob begins: the registry has the blob already,
// or has taken it from another repository, or has opened a session for it.
type Opening struct {
	there, mounted bool
	session        *url.URL
}

// Begin asks for a blob, if it is to be asked for, and opens a session for one
// that is not there; for a large blob both at the same time.
func (u Uploads) Begin(ctx context.Context, d v1.Descriptor, from string, ask bool) (o Opening, err error) {
	if ask && (d.Size < EagerSize || from != "") {
		if o.there, err = u.Exists(ctx, d.Digest); o.there || err != nil {
			return o, err
		}
		ask = false
	}
	var wg sync.WaitGroup
	var asking error
	if ask {
		wg.Go(func() {
			o.there, asking = guard.Value(func() (bool, error) { return u.Exists(ctx, d.Digest) })
		})
	}
	o.session, o.mounted, err = u.start(ctx, d.Digest, from)
	var refused *StatusError
	if from != "" && errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500 && judge(err).action != tryAgain {
		// Taking a blob from a repository can need rights that sending it does not, and not
		// all registries can do it.
		o.session, o.mounted, err = u.start(ctx, v1.Hash{}, "")
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
func location(resp *http.Response) (*url.URL, error) {
	l := resp.Header.Get("Location")
	if l == "" {
		return nil, image.Final("the registry opened an upload without saying where")
	}
	u, err := url.Parse(l)
	if err != nil {
		return nil, image.Final("the registry opened an upload at an unusable address")
	}
	at := resp.Request.URL
	if u = at.ResolveReference(u); u.Scheme == "http" && at.Scheme == "https" {
		u.Scheme = "https"
	}
	if u.Scheme != at.Scheme || !sameHost(u, at) || u.User != nil {
		return nil, image.Final("the registry opened an upload at %s://%s, which is not its own address; nothing is sent there", u.Scheme, u.Host)
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
func (u Uploads) transfer(ctx context.Context, method string, session *url.URL, open func(context.Context) (*body, error), size int64) (*http.Response, error) {
	ctx, watch := WatchStall(ctx, u.c.Stall)
	defer watch.Stop()

	from, err := open(ctx)
	if err != nil {
		return nil, err
	}
	sent := int64(0)
	from.moved = func(n int, end bool) {
		sent += int64(n)
		watch.Moved(n)
		if end || sent == size {
			watch.settle(time.Duration(sent/settleRate) * time.Second)
		}
	}
	req, err := http.NewRequest(method, session.String(), from)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := u.c.send(ctx, opSendBlob, req, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusOK)
	if resp != nil {
		Discard(resp)
	}
	// The transport may still be reading the body when it returns. No more.
	watch.cancel(nil)
	from.Close()
	switch source := from.failed(); {
	case source != nil && !errors.Is(source, context.Canceled): // which is what has just been done
		return nil, source
	case context.Cause(ctx) == ErrStalled:
		return nil, fmt.Errorf("%s: %w", opSendBlob.Name, ErrStalled)
	case err != nil:
		return nil, err
	case !from.ended() && size != 0 && from.read() != size:
		return nil, errors.New("the registry answered before it had the whole layer")
	}
	return resp, nil
}

// put sends a blob of known digest to a session.
func (u Uploads) put(ctx context.Context, session *url.URL, d v1.Descriptor, open func(context.Context) (*body, error)) error {
	_, err := u.transfer(ctx, http.MethodPut, withDigest(session, d.Digest), open, d.Size)
	return err
}

// finish tells a session which digest the bytes that were sent have.
func (u Uploads) finish(ctx context.Context, session *url.URL, d v1.Descriptor) error {
	ctx, cancel := context.WithTimeoutCause(ctx, u.c.Stall+time.Duration(d.Size/settleRate)*time.Second, ErrStalled)
	defer cancel()
	req, err := http.NewRequest(http.MethodPut, withDigest(session, d.Digest).String(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := u.c.send(ctx, opFinishUpload, req, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusOK)
	if err != nil {
		return err
	}
	Discard(resp)
	return nil
}

func withDigest(session *url.URL, h v1.Hash) *url.URL {
	u := *session
	q := u.Query()
	q.Set("digest", h.String())
	u.RawQuery = q.Encode()
	return &u
}

// Upload is a blob of known digest to be sent, and what is known of it.
type Upload struct {
	Blob image.Blob
	// Absent says that the registry is known not to have the blob, so that the first
	// try need not ask.
	Absent bool
	// Early is how the first try has begun already, or nil.
	Early *Opening
	// Restart is called before every try, Count for bytes that are sent; either may be
	// nil.
	Restart func()
	Count   func(int)
}

// Blob makes sure that the registry has a blob. It returns whether it was there
// already, or was taken from another repository.
func (u Uploads) Blob(ctx context.Context, what Upload) (reused bool, err error) {
	b, first := what.Blob, true
	if b.Foreign {
		if err := u.verify(ctx, b); err != nil {
			return false, err
		}
	}
	err = u.c.Persist(ctx, "layer "+b.Desc.Digest.String(), func(ctx context.Context) error {
		if what.Restart != nil {
			what.Restart()
		}
		from := b.From
		if b.Host != u.c.Repo.RegistryStr() || !first {
			from = ""
		}
		o := what.Early
		if what.Early = nil; o == nil {
			begun, err := u.Begin(ctx, b.Desc, from, !what.Absent || !first)
			if err != nil {
				return err
			}
			o = &begun
		}
		if o.there || o.mounted {
			// What is there at a later try is an upload whose answer was lost.
			reused = o.mounted || first
			return nil
		}
		first = false
		err := u.put(ctx, o.session, b.Desc, func(ctx context.Context) (*body, error) { return opened(ctx, b, what.Count) })
		var status *StatusError
		if errors.As(err, &status) && status.Has("DIGEST_INVALID") {
			if bad := u.verify(ctx, b); bad != nil {
				return bad
			}
		}
		return err
	})
	return reused, err
}

// opened is a blob to be sent, checked on the way where it has to be.
func opened(ctx context.Context, b image.Blob, count func(int)) (*body, error) {
	r, err := b.Open(ctx)
	if err != nil {
		return nil, err
	}
	if b.Layer != nil {
		r = compress.Checked(ctx, *b.Layer, r)
	}
	return newBody(r, nil, count), nil
}

// Stream sends bytes whose digest is known only once they have been read, in one try.
// known is what they have been found to be at an earlier try, or nil. What is returned
// is known also where only the end of the upload has failed.
func (u Uploads) Stream(ctx context.Context, r io.ReadCloser, known *v1.Descriptor, count func(int)) (*v1.Descriptor, error) {
	if known != nil {
		if there, err := u.Exists(ctx, known.Digest); err != nil || there {
			return known, err
		}
	}
	session, _, err := u.start(ctx, v1.Hash{}, "")
	if err != nil {
		return known, err
	}
	sum := sha256.New()
	all := newBody(r, sum, count)
	open := func(context.Context) (*body, error) { return all, nil }
	if known != nil {
		return known, u.put(ctx, session, *known, open)
	}
	resp, err := u.transfer(ctx, http.MethodPatch, session, open, -1)
	if err != nil {
		return nil, err
	}
	known = &v1.Descriptor{Digest: image.HashOf(sum), Size: all.read()}
	if resp.Header.Get("Location") != "" { // else the session stays where it was, as Docker takes it
		if session, err = location(resp); err != nil {
			return known, err
		}
	}
	return known, u.finish(ctx, session, *known)
}

// verify says whether it is the source's fault that a blob's bytes do not have
// its digest.
func (u Uploads) verify(ctx context.Context, b image.Blob) error {
	ctx, watch := WatchStall(ctx, u.c.Stall)
	defer watch.Stop()
	r, err := b.Open(ctx)
	if err != nil {
		return err
	}
	sum := sha256.New()
	watched := newBody(r, sum, watch.Moved)
	defer watched.Close()
	if _, err := io.Copy(io.Discard, &image.Interruptible{Ctx: ctx, R: watched}); err != nil {
		return err
	}
	if got := image.HashOf(sum); b.Desc.Digest.Algorithm == "sha256" && got != b.Desc.Digest {
		return image.FinalError{Err: &image.DigestError{Want: b.Desc.Digest, Got: got}}
	}
	return nil
}
