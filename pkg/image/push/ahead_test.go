package push

// Layers that are sent while their engine still hands the image out.

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

// stores is a registry that says when the upload of a blob has ended.
func stores(blobs chan<- string) *imagetest.Registry {
	g := imagetest.NewRegistry()
	inner := g.Inner
	g.Inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &statusRecorder{ResponseWriter: w}
		inner.ServeHTTP(answer, r)
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/") && answer.status == http.StatusCreated {
			blobs <- r.URL.Query().Get("digest")
		}
	})
	return g
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (w *statusRecorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// handing is an engine that has handed out what of the archive stands before the bytes
// next.
func handing(s imagetest.Sample, archive, next []byte, podman bool) *imagetest.Engine {
	var layers []string
	for _, l := range s.Layers {
		layers = append(layers, image.DigestOf(l).String())
	}
	return &imagetest.Engine{Api: "1.41", Podman: podman, Archive: archive, PauseAt: bytes.Index(archive, next[:2048]),
		Inspect: map[string]any{"Id": s.ID(), "Os": "linux", "Architecture": "amd64", "RootFS": map[string]any{"Layers": layers}}}
}

// The first layer is in the registry before the engine has handed out the second one:
// the engine does not continue before that, so that a push which waits for the whole
// archive would never end.
func TestLayersAreSentWhileTheyCome(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 2<<20), imagetest.RawLayer(t, 2, 2<<20), imagetest.RawLayer(t, 3, 1000))
	for name, archive := range map[string][]byte{
		"Docker 25": imagetest.Docker25(t, s, true), "podman": imagetest.PodmanArchive(t, s),
	} {
		t.Run(name, func(t *testing.T) {
			blobs := make(chan string, 10)
			g := stores(blobs)
			first, then := s.Layers[0], s.Layers[1]
			if bytes.Index(archive, first[:2048]) > bytes.Index(archive, then[:2048]) { // the engine's order is its own
				first, then = then, first
			}
			f := handing(s, archive, then, name == "podman")
			f.Midway = func(ctx context.Context) {
				select {
				case <-blobs:
				case <-ctx.Done():
				case <-time.After(time.Minute):
					t.Error("nothing was sent while the image was handed out")
				}
			}
			m := open(t, "app:1", source.Options{Environ: f.Listen(t)})
			repository := g.Serve(t)
			var last image.Progress
			r, err := Push(t.Context(), m, Target{Repository: repository, Tags: []string{"1"}}, Options{Progress: func(p image.Progress) { last = p }})
			if err != nil {
				t.Fatal(err)
			}
			if d, id := imagetest.Pull(t, repository+":1"); id != s.ID() || d.Digest.String() != r.Digest {
				t.Errorf("pulled %s %s, pushed %+v of %s", d.Digest, id, r, s.ID())
			}
			if last.Done != last.Total || last.LayersDone != 4 || r.Layers != 4 || r.Reused != 0 || r.SentBytes < 2<<20 {
				t.Errorf("%+v, progress %+v", r, last)
			}
		})
	}
}

// An engine that stops once, in the middle of the second layer, is asked again: what had
// come of the image is not sent twice, and what had not is sent from what comes then.
func TestLayersThatComeAfterAnEngineStopped(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 2<<20), imagetest.RawLayer(t, 2, 2<<20), imagetest.RawLayer(t, 3, 1000))
	archive := imagetest.PodmanArchive(t, s)
	blobs := make(chan string, 10)
	g := stores(blobs)
	first, then := s.Layers[0], s.Layers[1]
	if bytes.Index(archive, first[:2048]) > bytes.Index(archive, then[:2048]) {
		first, then = then, first
	}
	f := handing(s, archive, then, true)
	f.CutAfter = f.PauseAt + 1<<20
	f.Midway = func(ctx context.Context) {
		select {
		case <-blobs: // the first layer
		case <-ctx.Done():
		}
		f.CutAfter, f.Midway = 0, nil
	}
	o := source.Options{Environ: f.Listen(t), TempDirectory: t.TempDir()}
	m := open(t, "app:1", o)
	repository := g.Serve(t)
	var last image.Progress
	r, err := Push(t.Context(), m, Target{Repository: repository, Tags: []string{"1"}}, Options{lead: imagetest.SmallLead, Progress: func(p image.Progress) { last = p }})
	if err != nil {
		t.Fatal(err)
	}
	if _, id := imagetest.Pull(t, repository+":1"); id != s.ID() || f.Exports != 2 || g.Count("PUT blobs") != 4 {
		t.Errorf("image ID %s, want %s, after %d exports and %d uploads", id, s.ID(), f.Exports, g.Count("PUT blobs"))
	}
	if last.Done != last.Total || last.LayersDone != 4 || r.Layers != 4 || r.Reused != 0 {
		t.Errorf("%+v, progress %+v", r, last)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(o.TempDirectory); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// What is begun early ends as anything does: the manifest of a layer that is not what the
// engine calls it, or of an image that the engine did not hand out to its end, is never
// stored.
func TestLayersThatComeAndFail(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 2<<20), imagetest.RawLayer(t, 2, 5<<18))
	archive := imagetest.PodmanArchive(t, s)
	var once sync.Once
	cut := func(f *imagetest.Engine) {
		f.CutAfter, f.PauseAt = bytes.Index(archive, s.Layers[0][2048:4096])+1<<20, 0
	}
	for name, c := range map[string]struct {
		prepare func(f *imagetest.Engine, cancel func())
		blobs   int // that may be stored
		ends    func(error) bool
	}{
		"killed": {func(f *imagetest.Engine, _ func()) { cut(f) }, 0, func(err error) bool {
			return strings.Contains(err.Error(), "the engine stopped after")
		}},
		"cancelled": {func(f *imagetest.Engine, cancel func()) {
			f.Midway = func(ctx context.Context) { once.Do(cancel); <-ctx.Done() }
		}, 1, func(err error) bool { return errors.Is(err, context.Canceled) }},
		"wrong": {func(f *imagetest.Engine, _ func()) {
			f.Archive = bytes.Clone(archive)
			f.Archive[bytes.Index(archive, s.Layers[0][2048:4096])+1<<20] ^= 1
		}, 2, func(err error) bool {
			_, ok := errors.AsType[*image.LayerError](err)
			return ok
		}},
	} {
		t.Run(name, func(t *testing.T) {
			blobs := make(chan string, 10)
			g := stores(blobs)
			f := handing(s, archive, s.Layers[1], true)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.prepare(f, cancel)
			o := source.Options{Environ: f.Listen(t), TempDirectory: t.TempDir()}
			m := open(t, "app:1", o)
			repository := g.Serve(t)
			_, err := Push(ctx, m, Target{Repository: repository, Tags: []string{"1"}}, Options{lead: imagetest.SmallLead})
			if err == nil || !c.ends(err) {
				t.Errorf("%v", err)
			}
			if n := g.Count("PUT manifests"); n > 0 {
				t.Errorf("%d manifests were stored", n)
			}
			if len(blobs) > c.blobs {
				t.Errorf("%d blobs were stored, not the %d that came as they should be", len(blobs), c.blobs)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(o.TempDirectory); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}
