package push

// A push that is cancelled ends at once, at whichever step it is, with the reason, and
// leaves nothing running.

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

// cancelling cancels at a request of a certain number, before it is made or once it has been
// answered.
type cancelling struct {
	inner  http.RoundTripper
	left   atomic.Int32
	after  bool
	cancel func()
}

func (c *cancelling) RoundTrip(r *http.Request) (*http.Response, error) {
	now := c.left.Add(-1) == 0
	if now && !c.after {
		c.cancel()
	}
	resp, err := c.inner.RoundTrip(r)
	if now && c.after {
		c.cancel()
	}
	return resp, err
}

func TestCancelledAtEachStep(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000), imagetest.RawLayer(t, 2, 3000))
	f := imagetest.Layout{}
	img := f.Manifest(t, s, false)
	f.Seal(t, f.Index(t, img), f.Refer(t, img, "sbom"))
	archive, layout := imagetest.Write(t, "a.tar", imagetest.Docker20(t, s)), f.Directory(t)
	from := imagetest.NewReferrersRegistry(true)
	if _, err := Push(t.Context(), open(t, layout, source.Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: from}}, Options{Referrers: true}); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	for what, ref := range map[string]string{"archive": archive, "layout": layout, "registry": "docker://from.test/app:1"} {
		for _, after := range []bool{false, true} {
			done := false
			for n := int32(1); !done; n++ {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					to := imagetest.NewReferrersRegistry(true)
					c := &cancelling{after: after, cancel: func() { cancel(stop) }, inner: imagetest.Direct{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Host == "from.test" {
							from.ServeHTTP(w, r)
							return
						}
						to.ServeHTTP(w, r)
					})}}
					c.left.Store(n)
					start := time.Now()
					m, err := source.Open(ctx, ref, source.Options{Transport: c})
					if err == nil {
						_, err = Push(ctx, m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: c}, Options{lead: imagetest.SmallLead, Referrers: true})
						m.Close()
					}
					// The last requests may be answered before it is noticed.
					if done = c.left.Load() > 0; err != nil && (done || !errors.Is(err, stop)) || time.Since(start) > time.Second {
						t.Errorf("%s, cancelled at request %d (after its answer: %t): %v after %s", what, n, after, err, time.Since(start))
					}
				})
			}
		}
	}
}
