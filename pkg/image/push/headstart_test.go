package push

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

func TestHeadStart(t *testing.T) {
	f := imagetest.Layout{}
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, registry.EagerSize), imagetest.RawLayer(t, 2, 1000))
	f.Seal(t, imagetest.Stored{Config: s.Config, Layers: [][]byte{imagetest.BarelyGzipped(t, s.Layers[0]), imagetest.Gzipped(t, s.Layers[1])}}.Manifest(t, f))
	dir := f.Directory(t)
	push := func(t *testing.T, g *imagetest.Registry, repo, tag string, o Options) (Result, []string) {
		t.Helper()
		r, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: repo, Tags: []string{tag}}, o)
		if err != nil {
			t.Fatal(err)
		}
		return r, g.Take()
	}

	// The tag is not answered here before the upload is opened.
	t.Run("while the tag is read", func(t *testing.T) {
		g, opened := imagetest.NewRegistry(), make(chan struct{})
		g.Faults = []imagetest.Fault{
			{Match: "POST", Times: 1, Do: func(w http.ResponseWriter, r *http.Request) { close(opened); g.Inner.ServeHTTP(w, r) }},
			{Match: "GET manifests", Times: 1, Do: func(w http.ResponseWriter, r *http.Request) { <-opened; g.Inner.ServeHTTP(w, r) }},
		}
		_, requests := push(t, g, g.Serve(t), "1", Options{})
		// No request is made twice: each of two layers and the config is asked
		// for, opened, and sent.
		if n := len(requests); n != 1+3*3+1 {
			t.Errorf("%d requests: %q", n, requests)
		}
	})

	t.Run("nothing changed", func(t *testing.T) {
		g := imagetest.NewRegistry()
		repo := g.Serve(t)
		push(t, g, repo, "1", Options{})
		state, err := Check(t.Context(), open(t, dir, source.Options{}), Target{Repository: repo, Tags: []string{"1"}})
		if err != nil {
			t.Fatal(err)
		}
		g.Take()
		if r, requests := push(t, g, repo, "1", Options{State: &state}); !r.AlreadyThere || len(requests) != 0 {
			t.Errorf("and that was known: %+v after %q", r, requests)
		}
		// The last, since what it began may arrive when it has ended.
		if r, requests := push(t, g, repo, "1", Options{}); !r.AlreadyThere || len(requests) > 3 {
			t.Errorf("%+v after %q", r, requests)
		}
	})

	t.Run("comes to nothing", func(t *testing.T) {
		g := imagetest.NewRegistry(imagetest.Fault{Match: "POST", Times: 1, Do: imagetest.Cut})
		repo := g.Serve(t)
		push(t, g, repo, "1", Options{})
		imagetest.Glance(t, repo+":1")
	})

	// The caller could ask for all layers at once, and they are there.
	t.Run("in vain", func(t *testing.T) {
		g := imagetest.NewRegistry()
		repo := g.Serve(t)
		push(t, g, repo, "1", Options{})
		r, requests := push(t, g, repo, "2", Options{Available: func(_ context.Context, digests []string) (map[string]bool, error) {
			has := map[string]bool{}
			for _, d := range digests {
				has[d] = true
			}
			return has, nil
		}})
		if r.SentBytes != 0 || slices.Contains(requests, "HEAD blobs") || slices.Contains(requests, "PUT blobs") {
			t.Errorf("%+v after %q", r, requests)
		}
	})

	// The caller could not, so that the registry is asked after all.
	t.Run("in vain, without an answer", func(t *testing.T) {
		g := imagetest.NewRegistry()
		repo := g.Serve(t)
		push(t, g, repo, "1", Options{})
		r, requests := push(t, g, repo, "2", Options{Available: func(context.Context, []string) (map[string]bool, error) {
			return nil, errors.New("not allowed")
		}})
		if r.SentBytes != 0 {
			t.Errorf("%+v after %q", r, requests)
		}
	})

	// Another layer's error does not wait for it.
	t.Run("hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := imagetest.NewRegistry()
			hanging := make(chan struct{})
			g.Faults = []imagetest.Fault{
				{Match: "POST", Times: 1, Do: func(w http.ResponseWriter, r *http.Request) { close(hanging); imagetest.Hang(w, r) }},
				{Match: "GET manifests", Times: 1, Do: func(w http.ResponseWriter, r *http.Request) { <-hanging; g.Inner.ServeHTTP(w, r) }},
				{Match: "POST", Times: 1 << 20, Do: imagetest.Answer(403, "DENIED", "")},
			}
			m, err := source.Open(t.Context(), dir, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			start := time.Now()
			_, err = Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Transport: imagetest.Direct{Handler: g}}, Options{})
			if _, ok := errors.AsType[*registry.DeniedError](err); !ok || time.Since(start) > time.Second {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		})
	})
}
