package main

// Lazy loading: a SOCI index is pushed with the image, and what is rolled out is the
// index of both.

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/image/imagetest"
)

// TestLazyLoading deploys an image with a layer that is large enough for an index, and
// then one of which only another layer has changed.
func TestLazyLoading(t *testing.T) {
	clearAWS(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		big := imagetest.RawLayer(t, 1, 16<<20)
		for i, want := range []string{"2 layers (12", "2 layers (12"} {
			build, small := []string{"17", "18"}[i], imagetest.RawLayer(t, byte(2+i), 2000)
			if err := os.WriteFile(w.directory+"/app.tar", imagetest.Docker20(t, imagetest.NewSample(t, imagetest.AMD64, big, small)), 0o600); err != nil {
				t.Fatal(err)
			}
			temp := t.TempDir()
			var log bytes.Buffer
			run(t.Context(), environment(t, w, temp, "command: deploy\nimage: app.tar\nrepository: chat-app\nlazyLoading: true\npinDigest: true\ncluster: "+cluster+"\nservices: "+service+"\ntags: '"+build+"'"), &log, w.Transport())
			text := log.String()
			for _, part := range []string{"outcome;isoutput=true]succeeded", "SOCI index of 1 of " + want, "verified: 2 of 2 running tasks run", "verified: ECS resolved the image"} {
				if !strings.Contains(text, part) {
					t.Fatalf("build %s: no %q in\n%s", build, part, text)
				}
			}
			digest := regexp.MustCompile(`variable=imageDigest;isoutput=true\](\S+)\n`).FindStringSubmatch(text)[1]
			layers, err := w.LoadsLazily("chat-app", digest, "amd64")
			if err != nil || layers != 1 || !strings.Contains(text, "chat-app@"+digest) {
				t.Errorf("build %s: %d layers, %v\n%s", build, layers, err, text)
			}
			var r struct {
				Image struct {
					SentBytes int64
					SOCI      struct {
						Digest string
						Layers int
						Bytes  int64
					}
				}
			}
			data, err := os.ReadFile(regexp.MustCompile(`variable=resultFile;isoutput=true\](.+\.json)\n`).FindStringSubmatch(text)[1])
			if err == nil {
				err = json.Unmarshal(data, &r)
			}
			if z := r.Image.SOCI; err != nil || z.Layers != 1 || z.Bytes < 10<<20 || z.Digest == digest || i > 0 && r.Image.SentBytes > 50_000 {
				t.Errorf("build %s: %v\n%s", build, err, data)
			}
			time.Sleep(10 * time.Minute)
		}
		for _, other := range [][2]string{{"placeholder", "amd64"}, {"17", "arm64"}, {"none", "amd64"}} {
			if n, err := w.LoadsLazily("chat-app", other[0], other[1]); err == nil {
				t.Errorf("%s for %s: %d layers", other[0], other[1], n)
			}
		}
	})
}
