package image

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeadStart(t *testing.T) {
	f := layoutFiles{}
	s := newSample(t, amd64, rawLayer(t, 1, eagerSize), rawLayer(t, 2, 1000))
	f.seal(t, stored{config: s.config, layers: [][]byte{barelyGzipped(t, s.layers[0]), gzipped(t, s.layers[1])}}.manifest(t, f))
	dir := f.directory(t)
	push := func(t *testing.T, g *testRegistry, repo, tag string, o PushOptions) (Result, []string) {
		t.Helper()
		r, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: repo, Tags: []string{tag}}, o)
		if err != nil {
			t.Fatal(err)
		}
		return r, g.take()
	}

	// The tag is not answered here before the upload is opened.
	t.Run("while the tag is read", func(t *testing.T) {
		g, opened := newTestRegistry(), make(chan struct{})
		g.faults = []fault{
			{"POST", 1, func(w http.ResponseWriter, r *http.Request) { close(opened); g.inner.ServeHTTP(w, r) }},
			{"GET manifests", 1, func(w http.ResponseWriter, r *http.Request) { <-opened; g.inner.ServeHTTP(w, r) }},
		}
		_, requests := push(t, g, g.serve(t), "1", PushOptions{})
		// No request is made twice: each of two layers and the config is asked
		// for, opened, and sent.
		if n := len(requests); n != 1+3*3+1 {
			t.Errorf("%d requests: %q", n, requests)
		}
	})

	t.Run("nothing changed", func(t *testing.T) {
		g := newTestRegistry()
		repo := g.serve(t)
		push(t, g, repo, "1", PushOptions{})
		state, err := Check(t.Context(), open(t, dir, Options{}), Target{Repository: repo, Tags: []string{"1"}})
		if err != nil {
			t.Fatal(err)
		}
		g.take()
		if r, requests := push(t, g, repo, "1", PushOptions{State: &state}); !r.AlreadyThere || len(requests) != 0 {
			t.Errorf("and that was known: %+v after %q", r, requests)
		}
		// The last, since what it began may arrive when it has ended.
		if r, requests := push(t, g, repo, "1", PushOptions{}); !r.AlreadyThere || len(requests) > 3 {
			t.Errorf("%+v after %q", r, requests)
		}
	})

	t.Run("comes to nothing", func(t *testing.T) {
		g := newTestRegistry(fault{"POST", 1, cut})
		repo := g.serve(t)
		push(t, g, repo, "1", PushOptions{})
		glance(t, repo+":1")
	})

	// The caller could ask for all layers at once, and they are there.
	t.Run("in vain", func(t *testing.T) {
		g := newTestRegistry()
		repo := g.serve(t)
		push(t, g, repo, "1", PushOptions{})
		r, requests := push(t, g, repo, "2", PushOptions{Available: func(_ context.Context, digests []string) (map[string]bool, error) {
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
		g := newTestRegistry()
		repo := g.serve(t)
		push(t, g, repo, "1", PushOptions{})
		r, requests := push(t, g, repo, "2", PushOptions{Available: func(context.Context, []string) (map[string]bool, error) {
			return nil, errors.New("not allowed")
		}})
		if r.SentBytes != 0 {
			t.Errorf("%+v after %q", r, requests)
		}
	})

	// Another layer's error does not wait for it.
	t.Run("hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newTestRegistry()
			hanging := make(chan struct{})
			g.faults = []fault{
				{"POST", 1, func(w http.ResponseWriter, r *http.Request) { close(hanging); hang(w, r) }},
				{"GET manifests", 1, func(w http.ResponseWriter, r *http.Request) { <-hanging; g.inner.ServeHTTP(w, r) }},
				{"POST", 1 << 20, answer(403, "DENIED", "")},
			}
			m, err := Open(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			start := time.Now()
			_, err = Push(t.Context(), m, Target{Repository: "registry.test/app", Tags: []string{"1"}, Transport: direct{g}}, PushOptions{})
			if _, ok := as[*DeniedError](err); !ok || time.Since(start) > time.Second {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		})
	})
}
