package push

// What a registry may not make this package do.

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

// drip is a body of which a byte comes every 30 seconds.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(30 * time.Second):
		return copy(p, " "), nil
	case <-d.ctx.Done():
		return 0, context.Cause(d.ctx)
	}
}

func (drip) Close() error { return nil }

// dripping is a registry whose blobs drip.
type dripping struct{ http.RoundTripper }

func (d dripping) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && resp.ContentLength > 1000 {
		resp.Body = drip{r.Context()}
	}
	return resp, err
}

// A source that sends a byte now and then is given up: by itself in the end, and
// by the deadline of the run at its time.
func TestDripping(t *testing.T) {
	f := imagetest.Layout{}
	root := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000)), false)
	dir := f.Seal(t, root).Directory(t)
	for _, limit := range []time.Duration{5 * time.Minute, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			from, to := imagetest.NewRegistry(), imagetest.NewRegistry()
			if _, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: "from.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: from}}, Options{}); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			m, err := source.Open(ctx, "docker://from.test/app:1", source.Options{Transport: dripping{imagetest.Direct{Handler: from}}, Keychain: imagetest.Keys{}})
			if err == nil {
				defer m.Close()
				_, err = Push(ctx, m, Target{Repository: "to.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: to}}, Options{})
			}
			if took := time.Since(start); err == nil || took > min(limit, 20*time.Minute) {
				t.Errorf("%v after %s", err, took)
			}
		})
	}
}

// A symbolic link leads out of the layout to a file of the right size: none of
// its bytes are sent.
func TestForeignBytes(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 40_000))
	f := imagetest.Layout{}
	root := f.Manifest(t, s, false)
	packed := imagetest.Gzipped(t, s.Layers[0])
	secret := bytes.Repeat([]byte("secret"), len(packed))[:len(packed)]
	for what, content := range map[string][]byte{"the blob": packed, "a secret": secret} {
		dir := f.Seal(t, root).Directory(t)
		linkTo(t, dir+"/"+image.BlobName(image.DigestOf(packed)), imagetest.Write(t, "elsewhere", content))
		g := imagetest.NewRegistry()
		_, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: g.Serve(t), Tags: []string{"1"}}, Options{})
		if (err == nil) != (what == "the blob") {
			t.Errorf("%s: %v", what, err)
		}
		if n := g.Received(); err != nil && n >= int64(len(secret)) {
			t.Errorf("%d bytes were sent", n)
		}
	}
}
