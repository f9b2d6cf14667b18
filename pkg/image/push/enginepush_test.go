package push

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

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/compress"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

func TestEnginePushes(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000), imagetest.RawLayer(t, 2, 1000))
	f := imagetest.Layout{}
	img := f.Manifest(t, s, false)
	img.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	at := f.Attestation(t, img)
	root := f.Index(t, img, at)
	dir := f.Seal(t, root).Directory(t)
	inspect := func(content int) map[string]any {
		return map[string]any{"Id": root.Digest.String(), "Os": "linux", "Architecture": "amd64", "Descriptor": root, "RepoTags": []string{"app:1"}, "Manifests": []any{
			map[string]any{"Descriptor": img, "Available": true, "Kind": "image", "Size": map[string]any{"Content": content},
				"ImageData": map[string]any{"Platform": img.Platform, "Size": map[string]any{"Unpacked": 1000}}},
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
		other   bool          // the engine has another image by the name that is pushed
	}{
		{"at once", [][]string{good}, 500, 1, 0, 0, false},
		{"the second time", [][]string{broken, good}, 500, 2, 0, 0, false},
		{"never", [][]string{broken}, 500, 3, 1, 0, false},
		{"something else", [][]string{lines(image.DigestOf(nil).String())}, 500, 3, 1, 0, false},
		{"without saying so", [][]string{good[:3]}, 500, 3, 1, 0, false},
		{"and hangs", [][]string{append(good[:3:3], "hang")}, 500, 3, 1, time.Second, false},
		{"layers that are not compressed", nil, 990, 0, 1, 0, false},
		{"a name that another image has", [][]string{good}, 500, 0, 1, 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // the pauses between tries are real
			repo := imagetest.NewRegistry().Serve(t)
			e := &imagetest.Engine{Api: "1.51", Inspect: inspect(c.content), Archive: f.Archive(t)}
			if c.other {
				e.Other = repo + ":7"
			}
			e.Push = func(name, tag string) []string {
				answer := c.answers[min(e.Pushes, len(c.answers))-1]
				if slices.Equal(answer, good) {
					if _, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: name, Tags: []string{tag}}, Options{}); err != nil {
						t.Error(err)
					}
				}
				return answer
			}
			var last image.Progress
			var log bytes.Buffer
			m := open(t, "app:1", source.Options{Environ: e.Listen(t)})
			r, err := Push(t.Context(), m, Target{Repository: repo, Tags: []string{"7", "latest"}, Auth: &authn.Basic{Username: "AWS", Password: "secret"}},
				Options{StallTimeout: c.stall, Progress: func(p image.Progress) { last = p }, Compression: compress.Zstd, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(log.String(), "compression zstd has no effect"); n != 1 {
				t.Errorf("the log says %d times that there is nothing to compress: %s", n, &log)
			}
			if r.Digest != root.Digest.String() || r.URI != repo+":7" || e.Pushes != c.pushes || e.Exports != c.exports {
				t.Errorf("%+v after %d pushes and %d exports", r, e.Pushes, e.Exports)
			}
			for _, tag := range []string{"7", "latest"} {
				if d, _ := imagetest.Pull(t, repo+":"+tag); d.Digest != root.Digest {
					t.Errorf("tag %s has %s", tag, d.Digest)
				}
			}
			if c.exports == 0 && (r.SentBytes != 10 || r.Layers != 2 || r.Reused != 1 || last.Done != last.Total) {
				t.Errorf("%+v, last told %+v", r, last)
			}
			if c.pushes == 0 {
				if len(e.Calls) > 0 {
					t.Errorf("calls %q", e.Calls)
				}
				return
			}
			auth := base64.URLEncoding.EncodeToString([]byte(`{"username":"AWS","password":"secret"}`))
			host, _, _ := strings.Cut(repo, "/")
			want := []string{fmt.Sprintf("POST /images/%s/tag?repo=%s%%2Fapp&tag=7", root.Digest, strings.ReplaceAll(host, ":", "%3A"))}
			for range c.pushes {
				want = append(want, "POST /images/"+repo+"/push?tag=7 "+auth)
			}
			if want = append(want, "DELETE /images/"+repo+":7?noprune=1"); !slices.Equal(e.Calls, want) {
				t.Errorf("calls %q, want %q", e.Calls, want)
			}
		})
	}
}
