package deploy

import (
	"testing"
	"time"

	"ecsdeploy/pkg/image"
)

// TestPace: a push writes few lines, which say how far it is, how fast, and
// how long it will go on.
func TestPace(t *testing.T) {
	const mb = 1_000_000
	at := func(seconds, done, sent int64) image.Progress {
		return image.Progress{Stage: image.StageUpload, Total: 1000 * mb, Done: done * mb, Sent: sent * mb, Layers: 7, LayersDone: 3, Reused: 2, Elapsed: time.Duration(seconds) * time.Second}
	}
	layer := func(p image.Progress, l image.LayerDone) image.Progress { p.Layer = &l; return p }
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	steps := []struct {
		now  image.Progress
		want string
	}{
		{image.Progress{Stage: image.StageExport, Elapsed: 5 * time.Second}, ""}, // an engine that does not say how much it is
		{image.Progress{Stage: image.StageExport, Elapsed: 10 * time.Second, Total: 400 * mb, Done: 100 * mb}, "reading from the engine: 25 %, 100 MB of 400 MB, about 30s left"},
		{at(2, 100, 40), ""}, // too soon
		{at(5, 250, 100), "pushing: 25 %, 250 MB of 1.0 GB, 3 of 7 blobs (2 already in ECR), 20.0 MB/s sent, about 15s left"},
		{layer(at(6, 260, 100), image.LayerDone{Digest: digest, Size: 3 * mb, Duration: time.Second}), ""},
		{layer(at(6, 260, 100), image.LayerDone{Digest: digest, Size: 90 * mb, Duration: time.Minute, Reused: true}), ""},
		{layer(at(6, 260, 100), image.LayerDone{Digest: digest, Size: 90 * mb, Duration: 6 * time.Second}), "layer sha256:e3b0c44298fc: 90.0 MB in 6.0 s"},
		{at(10, 280, 110), ""}, // too little
		{at(35, 280, 110), "pushing: 28 %, 280 MB of 1.0 GB, 3 of 7 blobs (2 already in ECR), 333 kB/s sent, about 28s left"},
		{at(40, 1000, 400), "pushing: 100 %, 1.0 GB of 1.0 GB, 3 of 7 blobs (2 already in ECR), 58.0 MB/s sent"},
	}
	var p pace
	for i, s := range steps {
		if got := p.next(s.now); got != s.want {
			t.Errorf("step %d: %q, want %q", i, got, s.want)
		}
	}
}

func TestPushText(t *testing.T) {
	r := image.Result{Digest: "sha256:e3b0", Layers: 7, Reused: 6, SentBytes: 4_500_000, ReusedBytes: 185_000_000, Duration: 4 * time.Second}
	tests := []struct{ got, want string }{
		{pushText(r, []string{"17", "main"}), "pushed as 17, main in 4.0 s: 4.5 MB sent, 185 MB (6 of 7 blobs) in ECR already, sha256:e3b0"},
		{pushText(image.Result{Digest: "sha256:e3b0", AlreadyThere: true}, []string{"17"}), "already in ECR as 17, nothing to push: sha256:e3b0"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
