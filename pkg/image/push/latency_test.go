package push

// How many answers a push waits for one after the other. Time is faked, so that it
// passes only while an answer is waited for.

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

// distant is a registry that answers after a while.
type distant struct{ http.RoundTripper }

const latency = 60 * time.Millisecond

func (d distant) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(latency)
	return d.RoundTripper.RoundTrip(r)
}

// Neither the base, nor what the repository says of its layers, nor the check of the
// layers is waited for where the upload takes as long.
func TestLatency(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, registry.EagerSize), imagetest.RawLayer(t, 2, 1000))
	f := imagetest.Layout{}
	f.Seal(t, imagetest.Stored{Config: s.Config, Layers: [][]byte{imagetest.BarelyGzipped(t, s.Layers[0]), imagetest.Gzipped(t, s.Layers[1])}}.Manifest(t, f))
	large := f.Directory(t)
	auth, _ := imagetest.Keys{}.Resolve(nil)
	small := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 30_000), imagetest.RawLayer(t, 2, 1000))
	raw := imagetest.Write(t, "a.tar", imagetest.Docker20(t, small))
	g := imagetest.Layout{}
	packed := g.Seal(t, g.Manifest(t, small, false)).Directory(t)
	for _, c := range []struct {
		name, path    string
		base, answers time.Duration // in latencies: until the base is known, and all in all
	}{
		// The tag; of the small layer, whether it is there, its session, its bytes; the
		// manifest. The session of the large layer is opened with the first of them.
		{"a large layer", large, 20, 5},
		{"small layers", packed, 20, 5},
		// The tag; the base, its manifest and config, and whether its layers are there;
		// then as before.
		{"layers that are not compressed", raw, 1, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := source.Open(t.Context(), c.path, source.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				base, err := source.Open(t.Context(), raw, source.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer base.Close()
				g := imagetest.NewRegistry()
				target := Target{Repository: "registry.test/app", Tags: []string{"base"}, Transport: imagetest.Direct{Handler: g}, Auth: auth}
				if _, err := Push(t.Context(), base, target, Options{}); err != nil {
					t.Fatal(err)
				}
				// No layer is there, so that none saves the time that is measured.
				fresh := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if imagetest.RequestKind(r) == "HEAD blobs" {
						w.WriteHeader(http.StatusNotFound)
						return
					}
					g.ServeHTTP(w, r)
				})
				target.Tags, target.Transport = []string{"1"}, distant{imagetest.Direct{Handler: fresh}}
				start := time.Now()
				_, err = Push(t.Context(), m, target, Options{Base: func(ctx context.Context) (Base, error) {
					select {
					case <-time.After(c.base * latency):
					case <-ctx.Done():
					}
					return Base{Reference: "base"}, ctx.Err()
				}})
				if took := time.Since(start); err != nil || took != c.answers*latency {
					t.Errorf("%v after %s, want %s", err, took, c.answers*latency)
				}
			})
		})
	}
}
