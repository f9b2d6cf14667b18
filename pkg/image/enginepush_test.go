package image

// An engine with containerd's store pushes by itself; if that does not succeed,
// the image is handed out and pushed all the same.

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestEnginePushes(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 100_000), rawLayer(t, 2, 1000))
	f := layoutFiles{}
	image := f.manifest(t, s, false)
	image.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	at := f.attestation(t, image)
	root := f.index(t, image, at)
	dir := f.seal(t, root).directory(t)
	inspect := func(content int) map[string]any {
		return map[string]any{"Id": root.Digest.String(), "Os": "linux", "Architecture": "amd64", "Descriptor": root, "RepoTags": []string{"app:1"}, "Manifests": []any{
			map[string]any{"Descriptor": image, "Available": true, "Kind": "image", "Size": map[string]any{"Content": content},
				"ImageData": map[string]any{"Platform": image.Platform, "Size": map[string]any{"Unpacked": 1000}}},
			map[string]any{"Descriptor": at, "Available": true, "Kind": "attestation", "Size": map[string]any{"Content": 100}},
		}}
	}
	lines := func(digest string) []string {
		return []string{`{"status":"The push refers to repository"}`, `{"status":"Waiting","progressDetail":{},"id":"aaa"}`,
			`{"status":"Pushing","progressDetail":{"current":5,"total":10},"id":"aaa"}`, `{"status":"Pushed","progressDetail":{},"id":"aaa"}`,
			`{"status":"Layer already exists","progressDetail":{},"id":"bbb"}`, `{"status":"7: digest: ` + digest + ` size: 9"}`}
	}
	good := lines(root.Digest.String())
	broken := []string{`{"status":"Waiting","id":"aaa"}`, `{"errorDetail":{"message":"EOF"},"error":"EOF"}`}

	cases := []struct {
		name    string
		answers [][]string // of one push after the other, the last for all others
		content int
		pushes  int
		exports int
		stall   time.Duration // real; 0 is a minute
	}{
		{"at once", [][]string{good}, 500, 1, 0, 0},
		{"the second time", [][]string{broken, good}, 500, 2, 0, 0},
		{"never", [][]string{broken}, 500, 3, 1, 0},
		{"something else", [][]string{lines(digestOf(nil).String())}, 500, 3, 1, 0},
		{"without saying so", [][]string{good[:3]}, 500, 3, 1, 0},
		{"and hangs", [][]string{append(good[:3:3], "hang")}, 500, 3, 1, time.Second},
		{"layers that are not compressed", nil, 990, 0, 1, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // the pauses between tries are real
			repo := newTestRegistry().serve(t)
			e := &fakeEngine{api: "1.51", inspect: inspect(c.content), archive: f.archive(t)}
			e.push = func(name, tag string) []string {
				answer := c.answers[min(e.pushes, len(c.answers))-1]
				if slices.Equal(answer, good) {
					if _, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: name, Tags: []string{tag}}, PushOptions{}); err != nil {
						t.Error(err)
					}
				}
				return answer
			}
			var last Progress
			var log bytes.Buffer
			m := open(t, "app:1", e.listen(t))
			r, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"7", "latest"}, Auth: &authn.Basic{Username: "AWS", Password: "secret"}},
				PushOptions{StallTimeout: c.stall, Progress: func(p Progress) { last = p }, Compression: Zstd, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(log.String(), "compression zstd has no effect"); n != 1 {
				t.Errorf("the log says %d times that there is nothing to compress: %s", n, &log)
			}
			if r.Digest != root.Digest.String() || r.URI != repo+":7" || e.pushes != c.pushes || e.exports != c.exports {
				t.Errorf("%+v after %d pushes and %d exports", r, e.pushes, e.exports)
			}
			for _, tag := range []string{"7", "latest"} {
				if d, _ := pull(t, repo+":"+tag); d.Digest != root.Digest {
					t.Errorf("tag %s has %s", tag, d.Digest)
				}
			}
			if c.exports == 0 && (r.SentBytes != 10 || r.Layers != 2 || r.Reused != 1 || last.Done != last.Total) {
				t.Errorf("%+v, last told %+v", r, last)
			}
			if c.pushes == 0 {
				return
			}
			auth := base64.URLEncoding.EncodeToString([]byte(`{"username":"AWS","password":"secret"}`))
			host, _, _ := strings.Cut(repo, "/")
			want := []string{fmt.Sprintf("POST /images/%s/tag?repo=%s%%2Fapp&tag=7", root.Digest, strings.ReplaceAll(host, ":", "%3A"))}
			for range c.pushes {
				want = append(want, "POST /images/"+repo+"/push?tag=7 "+auth)
			}
			if want = append(want, "DELETE /images/"+repo+":7?noprune=1"); !slices.Equal(e.calls, want) {
				t.Errorf("calls %q, want %q", e.calls, want)
			}
		})
	}
}

// An engine is not given what it must not have, or cannot do.
func TestEngineDoesNotPush(t *testing.T) {
	d := v1.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digestOf([]byte("m"))}
	in := inspected{ID: d.Digest.String(), Descriptor: &d, Manifests: []inspectedManifest{{Descriptor: d, Available: true, Kind: "image"}}}
	if newOutbox(&engine{private: true}, in, d.Digest.String()) == nil {
		t.Fatal("not even the plain case")
	}
	if newOutbox(&engine{}, in, d.Digest.String()) != nil {
		t.Error("credentials would go over the network in the open")
	}
	if newOutbox(&engine{private: true, podman: true}, in, d.Digest.String()) != nil {
		t.Error("podman would compress anew")
	}
	if newOutbox(&engine{private: true}, in, digestOf([]byte("child")).String()) != nil {
		t.Error("more than the one platform would be pushed")
	}
	in.Descriptor = nil
	if newOutbox(&engine{private: true}, in, "") != nil {
		t.Error("the classic store would compress anew")
	}
}
