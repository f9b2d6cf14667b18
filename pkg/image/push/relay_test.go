package push

// An engine that pushes to whatever registry it is told to, as Docker with the classic
// store and podman do; and what comes of it when it does not.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

// pushingEngine is imagetest's, and how a test has it used.
type pushingEngine struct {
	*imagetest.PushingEngine
	limit   time.Duration   // for what moves nothing; 0 is long
	strange bool            // it is not told of a base
	hang    <-chan struct{} // closed at the end of the test
}

func newPushingEngine(t *testing.T, s imagetest.Sample, pulled map[int][]byte) *pushingEngine {
	return &pushingEngine{PushingEngine: imagetest.NewPushingEngine(t, s, pulled)}
}

// based is an image of three layers, the first two of which are those of a base that
// the repository has under the tag base, and the blobs that the base was pulled as.
type based struct {
	sample imagetest.Sample
	pulled map[int][]byte
	base   Base
}

// newBased puts the base into a repository: as it was pulled, or as this package
// compresses it. own is the size of the third layer.
func newBased(t *testing.T, repo string, same bool, own int) based {
	t.Helper()
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 70_000), imagetest.RawLayer(t, 2, 1000), imagetest.RawLayer(t, 3, own))
	b := based{s, map[int][]byte{0: imagetest.Gzipped(t, s.Layers[0]), 1: imagetest.Gzipped(t, s.Layers[1])}, Base{Reference: "base", Proven: true}}
	base := imagetest.NewSample(t, imagetest.AMD64, s.Layers[:2]...)
	from := imagetest.Write(t, "base.tar", imagetest.Docker20(t, base))
	if same {
		f := imagetest.Layout{}
		from = f.Seal(t, f.Manifest(t, base, false)).Directory(t)
	}
	if repo != "" {
		if _, err := Push(t.Context(), open(t, from, source.Options{}), Target{Repository: repo, Tags: []string{"base"}}, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// relayed is the outcome of one push from an engine.
type relayedPush struct {
	result Result
	err    error
	log    string
}

// push pushes the engine's image as tag 7.
func (e *pushingEngine) push(t *testing.T, ctx context.Context, repo string, base Base) relayedPush {
	t.Helper()
	var log bytes.Buffer
	r, err := Push(ctx, open(t, "app:1", source.Options{Environ: imagetest.ListenOnSocket(t, e)}), Target{Repository: repo, Tags: []string{"7"}, Auth: &authn.Basic{Username: "AWS", Password: "secret"}}, Options{
		lead:         imagetest.SmallLead,
		Base:         func(context.Context) (Base, error) { return base, nil },
		StallTimeout: cmp.Or(e.limit, time.Minute),
		Logger:       slog.New(slog.NewTextHandler(&log, nil)),
	})
	return relayedPush{r, err, log.String()}
}

// tidy says what an engine was left with: nothing, and no registry to talk to.
func (e *pushingEngine) tidy(t *testing.T) {
	t.Helper()
	tags := map[string]int{"tag": 0, "DELETE": 0}
	for _, r := range e.Requests() {
		switch {
		case strings.HasSuffix(r, "/tag"):
			tags["tag"]++
		case strings.HasPrefix(r, "DELETE "):
			tags["DELETE"]++
		case strings.HasSuffix(r, "/push"):
			address, _, _ := strings.Cut(strings.TrimPrefix(r, "POST /images/"), "/")
			if conn, err := net.Dial("tcp", address); err == nil {
				conn.Close()
				t.Errorf("something still listens at %s", address)
			}
		}
	}
	if tags["tag"] != tags["DELETE"] {
		t.Errorf("%d temporary tags were set and %d taken away: %q", tags["tag"], tags["DELETE"], e.Requests())
	}
	for _, secret := range e.Secrets() {
		if raw, _ := base64.URLEncoding.DecodeString(secret); bytes.Contains(raw, []byte(`"secret"`)) || bytes.Contains(raw, []byte(`"AWS"`)) {
			t.Errorf("the engine was given the registry's credentials: %s", raw)
		}
	}
}

func TestRelay(t *testing.T) {
	cases := []struct {
		name   string
		same   bool // the repository has the base under the digests that it was pulled by
		podman bool
		change func(t *testing.T, b *based, e *pushingEngine)
		sent   []string
		pushes int
		reused int
	}{
		{"base under the same digests", true, false, nil, []string{"2"}, 1, 2},
		{"base under other digests", false, false, nil, []string{"2"}, 1, 2},
		{"podman, base under the same digests", true, true, nil, []string{"2"}, 1, 2},
		{"podman, base under other digests", false, true, nil, []string{"2"}, 1, 2},
		{"a base that is not proven, but there", true, false, func(_ *testing.T, b *based, _ *pushingEngine) { b.base = Base{} }, []string{"2"}, 1, 2},
		{"a base that the repository does not have", false, false, func(_ *testing.T, b *based, _ *pushingEngine) { b.base = Base{} }, []string{"0", "1", "2"}, 1, 0},
		{"a layer of unknown origin", true, false, func(_ *testing.T, _ *based, e *pushingEngine) { delete(e.Pulled, 0) }, []string{"0", "2"}, 1, 2},
		{"half of the base under other digests", false, false, func(t *testing.T, b *based, e *pushingEngine) {
			// The image has another second layer than the base, pulled as well.
			b.sample = imagetest.NewSample(t, imagetest.AMD64, b.sample.Layers[0], imagetest.RawLayer(t, 9, 70_000), b.sample.Layers[2])
			*e = *newPushingEngine(t, b.sample, map[int][]byte{0: b.pulled[0], 1: imagetest.Gzipped(t, b.sample.Layers[1])})
		}, []string{"2", "1"}, 2, 1},
		{"a layer twice", true, false, func(t *testing.T, b *based, e *pushingEngine) {
			b.sample = imagetest.NewSample(t, imagetest.AMD64, b.sample.Layers[0], b.sample.Layers[1], b.sample.Layers[0])
			*e = *newPushingEngine(t, b.sample, map[int][]byte{0: b.pulled[0], 1: b.pulled[1], 2: b.pulled[0]})
		}, nil, 1, 2},
		{"an engine that mistakes a layer of the base for another", true, false, func(_ *testing.T, _ *based, e *pushingEngine) {
			e.Pulled[0], e.Pulled[1] = e.Pulled[1], e.Pulled[0]
		}, []string{"2"}, 1, 2},
		{"an engine that mistakes a layer of its own for the base's", true, false, func(t *testing.T, b *based, e *pushingEngine) {
			b.sample = imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 9, 70_000), b.sample.Layers[1], b.sample.Layers[2])
			*e = *newPushingEngine(t, b.sample, b.pulled)
		}, []string{"2", "0"}, 2, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			repo := imagetest.NewRegistry().Serve(t)
			b := newBased(t, repo, c.same, 70_000)
			e := newPushingEngine(t, b.sample, b.pulled)
			if c.change != nil {
				c.change(t, &b, e)
			}
			e.Podman = c.podman
			p := e.push(t, t.Context(), repo, b.base)
			if p.err != nil {
				t.Fatal(p.err)
			}
			if d, id := imagetest.Pull(t, repo+":7"); id != b.sample.ID() || d.Digest.String() != p.result.Digest {
				t.Errorf("the tag has %s with image ID %s, want %s with %s", d.Digest, id, p.result.Digest, b.sample.ID())
			}
			if e.Exports > 0 || e.Pushes != c.pushes || !slices.Equal(e.Sent(), c.sent) {
				t.Errorf("%d exports, %d pushes, layers sent: %q, want %q in %d: %s", e.Exports, e.Pushes, e.Sent(), c.sent, c.pushes, p.log)
			}
			if p.result.Reused != c.reused || strings.Contains(p.log, "export") {
				t.Errorf("%+v, want %d reused: %s", p.result, c.reused, p.log)
			}
			e.tidy(t)

			// Every layer of the manifest is proven now.
			again := newPushingEngine(t, b.sample, nil)
			if p := again.push(t, t.Context(), repo, Base{}); p.err != nil || !p.result.AlreadyThere || len(again.Requests()) > 0 {
				t.Errorf("again: %+v %v after %q", p.result, p.err, again.Requests())
			}
		})
	}
}

// What an engine does wrong on this way is no reason to fail: the image is handed
// out, and the log says why.
func TestRelayFallsBack(t *testing.T) {
	fails := func(stage string, err error) func(int, string, http.ResponseWriter) error {
		return func(_ int, s string, _ http.ResponseWriter) error {
			if s == stage {
				return err
			}
			return nil
		}
	}
	cases := []struct {
		name   string
		change func(t *testing.T, e *pushingEngine)
		log    string
		pushes int
	}{
		{"container job: the socket is mapped and loopback is not shared", func(_ *testing.T, e *pushingEngine) {
			e.Apart = func() error { return errors.New("dial tcp 127.0.0.1: connect: connection refused") }
		}, "connection refused", 0},
		{"somebody else has the port over there", func(_ *testing.T, e *pushingEngine) {
			e.Apart = func() error { return nil }
		}, "something else answers there", 0},
		{"it takes too long to come", func(t *testing.T, e *pushingEngine) {
			e.Apart, e.limit = func() error { <-t.Context().Done(); return nil }, 300*time.Millisecond
		}, "no answer", 0},
		{"its push fails", func(_ *testing.T, e *pushingEngine) {
			e.Fault = fails("layer 2", errors.New("input/output error"))
		}, "it says: input/output error", 1},
		{"it is killed in the middle of a layer", func(_ *testing.T, e *pushingEngine) {
			e.Fault = fails("layer 2", imagetest.ErrKilled)
		}, "EOF", 1},
		{"it hangs", func(_ *testing.T, e *pushingEngine) {
			e.limit = 2 * time.Second
			e.Fault = func(_ int, stage string, w http.ResponseWriter) error {
				if stage == "config" {
					w.(http.Flusher).Flush()
					<-e.hang
				}
				return nil
			}
		}, "no bytes moved", 1},
		{"it ends without a manifest", func(_ *testing.T, e *pushingEngine) {
			e.Fault = fails("manifest", imagetest.ErrSilent)
		}, "without a config and its manifest", 1},
		{"it pushes another image", func(t *testing.T, e *pushingEngine) {
			e.Sample = imagetest.NewSample(t, imagetest.ARM64, e.Sample.Layers[0], e.Sample.Layers[1])
		}, "another image", 1},
		{"it sends a layer that the image does not have", func(t *testing.T, e *pushingEngine) {
			e.Sample.Layers = slices.Clone(e.Sample.Layers)
			e.Sample.Layers[2] = imagetest.RawLayer(t, 8, 1000)
		}, "none of the image's layers", 1},
		{"it takes one blob for two layers", func(_ *testing.T, e *pushingEngine) {
			e.Pulled[2] = e.Pulled[0]
		}, "two different layers", 1},
		{"podman would compress everything", func(_ *testing.T, e *pushingEngine) {
			e.Podman, e.strange = true, true
		}, "would compress all layers", 0},
		{"it would compress too much", func(_ *testing.T, e *pushingEngine) {
			e.Inspect["Size"], e.Slow = 60<<20, true
		}, "would compress", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // some wait for a limit
			repo := imagetest.NewRegistry().Serve(t)
			b := newBased(t, repo, true, 70_000)
			e := newPushingEngine(t, b.sample, b.pulled)
			e.hang = t.Context().Done()
			c.change(t, e)
			if e.strange {
				b.base = Base{}
			}
			p := e.push(t, t.Context(), repo, b.base)
			if p.err != nil {
				t.Fatal(p.err)
			}
			if _, id := imagetest.Pull(t, repo+":7"); id != b.sample.ID() {
				t.Errorf("the tag has image ID %s, want %s", id, b.sample.ID())
			}
			if e.Exports != 1 || e.Pushes != c.pushes || !strings.Contains(p.log, c.log) {
				t.Errorf("%d exports, %d pushes, want %d; the log does not say %q: %s", e.Exports, e.Pushes, c.pushes, c.log, p.log)
			}
			e.tidy(t)
		})
	}
}

// What goes wrong between this process and the registry is mended here: the engine
// pushes once.
func TestRelayFaults(t *testing.T) {
	fixed := func(f imagetest.Fault) func(*imagetest.Registry) []imagetest.Fault {
		return func(*imagetest.Registry) []imagetest.Fault { return []imagetest.Fault{f} }
	}
	for _, c := range []struct {
		name   string
		faults func(g *imagetest.Registry) []imagetest.Fault
		denied bool
	}{
		{"the layer is cut off", fixed(imagetest.Fault{Match: "PATCH", Times: 1, Do: imagetest.Cut}), false},
		{"its session breaks", fixed(imagetest.Fault{Match: "PUT blobs", Times: 1, Do: imagetest.Answer(416, "BLOB_UPLOAD_INVALID", "")}), false},
		{"the answer to the layer is lost", func(g *imagetest.Registry) []imagetest.Fault {
			return []imagetest.Fault{{Match: "PUT blobs", Times: 1, Do: g.LoseAnswer}}
		}, false},
		{"it is not allowed", fixed(imagetest.Fault{Match: "POST", Times: 1 << 20, Do: imagetest.Answer(403, "DENIED", "no")}), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // the pauses between tries are real
			g := imagetest.NewRegistry()
			repo := g.Serve(t)
			b := newBased(t, repo, true, imagetest.Big)
			g.Faults = c.faults(g)
			e := newPushingEngine(t, b.sample, b.pulled)
			p := e.push(t, t.Context(), repo, b.base)
			if e.Exports > 0 || e.Pushes != 1 {
				t.Errorf("%d exports and %d pushes: %s", e.Exports, e.Pushes, p.log)
			}
			e.tidy(t)
			if c.denied {
				if _, ok := errors.AsType[*registry.DeniedError](p.err); !ok {
					t.Errorf("%v", p.err)
				}
				return
			}
			if p.err != nil {
				t.Fatal(p.err)
			}
			if _, id := imagetest.Pull(t, repo+":7"); id != b.sample.ID() {
				t.Errorf("the tag has image ID %s, want %s", id, b.sample.ID())
			}
		})
	}
}

// A layer of the base is deleted after the engine was told that it is there: the
// registry refuses the manifest, and the image is handed out for that layer.
func TestRelayedBaseVanishes(t *testing.T) {
	g := imagetest.NewRegistry()
	repo := g.Serve(t)
	b := newBased(t, repo, true, 70_000)
	e := newPushingEngine(t, b.sample, b.pulled)
	e.Fault = func(_ int, stage string, _ http.ResponseWriter) error {
		if stage == "manifest" {
			g.Lose(image.DigestOf(b.pulled[0]).String())
		}
		return nil
	}
	p := e.push(t, t.Context(), repo, b.base)
	if p.err != nil {
		t.Fatal(p.err)
	}
	if _, id := imagetest.Pull(t, repo+":7"); id != b.sample.ID() || e.Exports != 1 || e.Pushes != 1 || p.result.Reused != 1 {
		t.Errorf("image ID %s, want %s; %d exports, %d pushes, %+v: %s", id, b.sample.ID(), e.Exports, e.Pushes, p.result, p.log)
	}
	e.tidy(t)
}

// A run that is cancelled leaves nothing behind, neither here nor in the engine.
func TestRelayCancelled(t *testing.T) {
	repo := imagetest.NewRegistry().Serve(t)
	b := newBased(t, repo, true, 70_000)
	ctx, cancel := context.WithCancel(t.Context())
	e := newPushingEngine(t, b.sample, b.pulled)
	e.hang = ctx.Done()
	e.Fault = func(_ int, stage string, _ http.ResponseWriter) error {
		if stage == "config" {
			cancel()
		}
		return nil
	}
	if p := e.push(t, ctx, repo, b.base); !errors.Is(p.err, context.Canceled) || e.Exports > 0 {
		t.Errorf("%v after %d exports", p.err, e.Exports)
	}
	e.tidy(t)
}

// A spool file is read while it is written, and again; who holds on to it sees its end
// only when it is known to be right.
func TestSpoolFile(t *testing.T) {
	want := imagetest.RawLayer(t, 1, 300_000)
	wrong := errors.New("wrong")
	for name, verdict := range map[string]error{"right": nil, "wrong": wrong} {
		t.Run(name, func(t *testing.T) {
			file, err := open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, want))), source.Options{}).Spool()
			if err != nil {
				t.Fatal(err)
			}
			tp := newSpoolFile(file)
			defer tp.file.Close()
			read := func(hold bool) chan error {
				done := make(chan error, 1)
				go func() {
					r := tp.reader(t.Context(), hold)
					defer r.Close()
					got, err := io.ReadAll(r)
					if err == nil && !bytes.Equal(got, want) {
						err = fmt.Errorf("%d bytes of %d", len(got), len(want))
					}
					done <- err
				}()
				return done
			}
			at, holding := read(false), read(true)
			for part := range slices.Chunk(want, 10_000) {
				tp.Write(part)
			}
			tp.end(nil)
			if err := <-at; err != nil {
				t.Error(err)
			}
			tp.settle(v1.Hash{}, verdict)
			if err := <-holding; !errors.Is(err, verdict) || (err == nil) != (verdict == nil) {
				t.Errorf("%v, want %v", err, verdict)
			}
			if err := <-read(true); !errors.Is(err, verdict) || (err == nil) != (verdict == nil) {
				t.Errorf("again: %v, want %v", err, verdict)
			}
			if d := tp.desc(); d.Digest != image.DigestOf(want) || d.Size != int64(len(want)) {
				t.Errorf("%v", d)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		file, err := open(t, imagetest.Write(t, "a.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, want))), source.Options{}).Spool()
		if err != nil {
			t.Fatal(err)
		}
		tp := newSpoolFile(file)
		defer tp.file.Close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := io.ReadAll(tp.reader(ctx, true))
			done <- err
		}()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// What the repository lacks of the base comes from the registry that the base was
// pulled from, as it is there.
func TestRelayedBase(t *testing.T) {
	cases := []struct {
		name    string
		change  func(t *testing.T, e *pushingEngine, upstream *imagetest.Registry, b based)
		sent    []string
		pushes  int
		exports int
		copied  int // layers that are in the repository as they are upstream
	}{
		{"all of it", nil, []string{"2"}, 1, 0, 2},
		{"podman", func(_ *testing.T, e *pushingEngine, _ *imagetest.Registry, _ based) { e.Podman = true }, []string{"2"}, 1, 0, 2},
		{"the engine has forgotten it", func(_ *testing.T, e *pushingEngine, _ *imagetest.Registry, _ based) { e.Base = nil }, []string{"0", "1", "2"}, 1, 0, -1},
		{"its registry has too many requests", func(_ *testing.T, _ *pushingEngine, g *imagetest.Registry, _ based) {
			g.Faults = []imagetest.Fault{{Match: "GET manifests", Times: 1 << 20, Do: imagetest.Answer(429, "TOOMANYREQUESTS", "")}}
		}, []string{"0", "1", "2"}, 1, 0, -1},
		{"its registry wants credentials", func(_ *testing.T, _ *pushingEngine, g *imagetest.Registry, _ based) {
			g.Faults = []imagetest.Fault{{Match: "GET", Times: 1 << 20, Do: imagetest.Answer(401, "UNAUTHORIZED", "")}}
		}, []string{"0", "1", "2"}, 1, 0, -1},
		{"a layer is gone from there", func(_ *testing.T, _ *pushingEngine, g *imagetest.Registry, b based) {
			inner := g.Inner
			g.Inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, image.DigestOf(b.pulled[0]).String()) {
					imagetest.Answer(404, "BLOB_UNKNOWN", "")(w, r)
					return
				}
				inner.ServeHTTP(w, r)
			})
		}, []string{"2", "0"}, 2, 0, -1},
		{"a layer there is cut off each time", func(_ *testing.T, _ *pushingEngine, g *imagetest.Registry, b based) {
			inner := g.Inner
			g.Inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, image.DigestOf(b.pulled[0]).String()) {
					w.Header().Set("Content-Length", fmt.Sprint(len(b.pulled[0])))
					w.Write(b.pulled[0][:1000])
					panic(http.ErrAbortHandler)
				}
				inner.ServeHTTP(w, r)
			})
		}, []string{"2", "0"}, 2, 0, -1},
		{"a container job", func(_ *testing.T, e *pushingEngine, _ *imagetest.Registry, _ based) {
			e.Apart = func() error { return errors.New("connection refused") }
		}, nil, 0, 1, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := imagetest.NewRegistry()
			from, repo := upstream.Serve(t), imagetest.NewRegistry().Serve(t)
			b := newBased(t, from, true, 70_000)
			have, id := imagetest.Glance(t, from+":base")
			e := newPushingEngine(t, b.sample, maps.Clone(b.pulled))
			layers := e.Inspect["RootFS"].(map[string]any)["Layers"].([]string)
			e.Base = map[string]any{"Id": id, "RepoDigests": []string{from + "@" + have.Digest.String()}, "RootFS": map[string]any{"Layers": layers[:2]}}
			if c.change != nil {
				c.change(t, e, upstream, b)
			}
			begin := time.Now()
			p := e.push(t, t.Context(), repo, Base{})
			if p.err != nil {
				t.Fatal(p.err)
			}
			if _, id := imagetest.Pull(t, repo+":7"); id != b.sample.ID() {
				t.Errorf("the tag has image ID %s, want %s", id, b.sample.ID())
			}
			sent := e.Sent()
			slices.Sort(sent[min(len(sent), 1):])
			if e.Exports != c.exports || e.Pushes != c.pushes || !slices.Equal(sent, c.sent) {
				t.Errorf("%d exports, %d pushes, layers sent: %q, want %d, %d, %q: %s", e.Exports, e.Pushes, sent, c.exports, c.pushes, c.sent, p.log)
			}
			ref, err := name.ParseReference(repo + ":7")
			if err != nil {
				t.Fatal(err)
			}
			img, err := remote.Image(ref)
			if err != nil {
				t.Fatal(err)
			}
			m, err := img.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.copied {
				if m.Layers[i].Digest != image.DigestOf(b.pulled[i]) {
					t.Errorf("layer %d is %s, want %s as upstream", i, m.Layers[i].Digest, image.DigestOf(b.pulled[i]))
				}
			}
			if c.exports == 0 && strings.Contains(p.log, "level=") || time.Since(begin) > time.Minute {
				t.Errorf("not silent: %s", p.log)
			}
			e.tidy(t)
		})
	}
}

// A base that is in another repository of the same registry is mounted.
func TestRelayedBaseIsMounted(t *testing.T) {
	g := imagetest.NewRegistry()
	repo := g.Serve(t)
	from := strings.TrimSuffix(repo, "/app") + "/base"
	b := newBased(t, from, true, 70_000)
	have, id := imagetest.Glance(t, from+":base")
	e := newPushingEngine(t, b.sample, b.pulled)
	layers := e.Inspect["RootFS"].(map[string]any)["Layers"].([]string)
	e.Base = map[string]any{"Id": id, "RepoDigests": []string{from + "@" + have.Digest.String()}, "RootFS": map[string]any{"Layers": layers[:2]}}
	g.Take()
	p := e.push(t, t.Context(), repo, Base{})
	if p.err != nil {
		t.Fatal(p.err)
	}
	if _, id := imagetest.Pull(t, repo+":7"); id != b.sample.ID() || p.result.Reused != 2 || !slices.Equal(e.Sent(), []string{"2"}) {
		t.Errorf("image ID %s, want %s; %+v after %q", id, b.sample.ID(), p.result, e.Sent())
	}
}
