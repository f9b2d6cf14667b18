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

// Exists asks whether the registry has a blob. A redirect means that it has.
func (c *Client) Exists(ctx context.Context, h v1.Hash) (bool, error) {
	resp, _, err := c.Ask(ctx, opCheckBlob, http.MethodHead, c.URL("blobs/"+h.String()),
		http.StatusOK, http.StatusNotFound, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect)
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusForbidden {
		return false, nil // who may not look may send all the same, and is told then if not
	}
	if err != nil {
		return false, err
	}
	return resp.StatusCode != http.StatusNotFound, nil
}

// Start opens an upload session and returns its address. from names a
// repository of the same registry to take the blob h from; if the registry does
// so, there is no session and mounted is true.
func (c *Client) Start(ctx context.Context, h v1.Hash, from string) (session *url.URL, mounted bool, err error) {
	address := c.URL("blobs/uploads/")
	if from != "" {
		address += "?" + url.Values{"mount": {h.String()}, "from": {from}}.Encode()
	}
	resp, _, err := c.Ask(ctx, opStartUpload, http.MethodPost, address, http.StatusAccepted, http.StatusCreated)
	if err != nil {
		return nil, false, err
	}
	c.Unknown.Store(false)
	if from != "" && resp.StatusCode == http.StatusCreated {
		return nil, true, nil
	}
	session, err = c.Location(resp)
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
func (c *Client) Begin(ctx context.Context, d v1.Descriptor, from string, ask bool) (o Opening, err error) {
	if ask && (d.Size < EagerSize || from != "") {
		if o.there, err = c.Exists(ctx, d.Digest); o.there || err != nil {
			return o, err
		}
		ask = false
	}
	var wg sync.WaitGroup
	var asking error
	if ask {
		wg.Go(func() {
			o.there, asking = guard.Value(func() (bool, error) { return c.Exists(ctx, d.Digest) })
		})
	}
	o.session, o.mounted, err = c.Start(ctx, d.Digest, from)
	var refused *StatusError
	if from != "" && errors.As(err, &refused) && (refused.Status == http.StatusForbidden || refused.Status == http.StatusNotFound) {
		// Taking a blob from a repository can need rights that sending it does not.
		o.session, o.mounted, err = c.Start(ctx, v1.Hash{}, "")
	}
	wg.Wait()
	if o.there {
		return o, nil
	}
	return o, errors.Join(asking, err)
}

// Location is the address of a session after an answer to POST or PATCH. Layers and
// credentials go to the registry's own host only. A registry behind a proxy that
// ends TLS may give addresses of plain HTTP; HTTPS is meant.
func (c *Client) Location(resp *http.Response) (*url.URL, error) {
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

// Transfer sends what open gives to a session. size is -1 when it is not known
// yet. Both ends, the registry and a source that is one, are given up when no
// byte moves for c.stall.
func (c *Client) Transfer(ctx context.Context, method string, session *url.URL, open func(context.Context) (*Body, error), size int64) (*http.Response, error) {
	ctx, watch := WatchStall(ctx, c.Stall)
	defer watch.Stop()

	body, err := open(ctx)
	if err != nil {
		return nil, err
	}
	sent := int64(0)
	body.moved = func(n int, end bool) {
		sent += int64(n)
		watch.Moved(n)
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
		Discard(resp)
	}
	// The transport may still be reading the body when it returns. No more.
	watch.cancel(nil)
	body.Close()
	switch source := body.Failed(); {
	case source != nil && !errors.Is(source, context.Canceled): // which is what has just been done
		return nil, source
	case context.Cause(ctx) == ErrStalled:
		return nil, fmt.Errorf("%s: %w", opSendBlob.Name, ErrStalled)
	case err != nil:
		return nil, err
	case !body.ended() && size != 0 && body.Size() != size:
		return nil, errors.New("the registry answered before it had the whole layer")
	}
	return resp, nil
}

// Put sends a blob of known digest to a session.
func (c *Client) Put(ctx context.Context, session *url.URL, d v1.Descriptor, open func(context.Context) (*Body, error)) error {
	_, err := c.Transfer(ctx, http.MethodPut, withDigest(session, d.Digest), open, d.Size)
	return err
}

// Finish tells a session which digest the bytes that were sent have.
func (c *Client) Finish(ctx context.Context, session *url.URL, d v1.Descriptor) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Stall+time.Duration(d.Size/settleRate)*time.Second, ErrStalled)
	defer cancel()
	req, err := http.NewRequest(http.MethodPut, withDigest(session, d.Digest).String(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, opFinishUpload, req, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusOK)
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

// UploadBlob makes sure that the registry has a blob whose digest is known. It
// returns whether it was there already, or was taken from another repository.
// absent says that it is known not to be there, so that the first try need not
// ask; early is how the first try has begun already, or nil. restart is called
// before every try, count for bytes that are sent.
func (c *Client) UploadBlob(ctx context.Context, b image.Blob, absent bool, early *Opening, restart func(), count func(int)) (reused bool, err error) {
	first := true
	if b.Foreign {
		if err := c.verify(ctx, b); err != nil {
			return false, err
		}
	}
	err = c.Persist(ctx, "layer "+b.Desc.Digest.String(), func(ctx context.Context) error {
		restart()
		from := b.From
		if b.Host != c.Repo.RegistryStr() || !first {
			from = ""
		}
		o := early
		if early = nil; o == nil {
			begun, err := c.Begin(ctx, b.Desc, from, !absent || !first)
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
		err := c.Put(ctx, o.session, b.Desc, func(ctx context.Context) (*Body, error) {
			r, err := b.Open(ctx)
			if err != nil {
				return nil, err
			}
			if b.Layer != nil {
				r = compress.Checked(ctx, *b.Layer, r)
			}
			return NewBody(r, nil, count), nil
		})
		var status *StatusError
		if errors.As(err, &status) && status.Has("DIGEST_INVALID") {
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
func (c *Client) verify(ctx context.Context, b image.Blob) error {
	ctx, watch := WatchStall(ctx, c.Stall)
	defer watch.Stop()
	r, err := b.Open(ctx)
	if err != nil {
		return err
	}
	sum := sha256.New()
	watched := NewBody(r, sum, watch.Moved)
	defer watched.Close()
	if _, err := io.Copy(io.Discard, &image.Interruptible{Ctx: ctx, R: watched}); err != nil {
		return err
	}
	if got := image.HashOf(sum); b.Desc.Digest.Algorithm == "sha256" && got != b.Desc.Digest {
		return image.FinalError{Err: &image.DigestError{Want: b.Desc.Digest, Got: got}}
	}
	return nil
}
