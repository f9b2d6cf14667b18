package main

import (
	"bufio"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/image/imagetest"
)

// TestBenchParts: what the benchmark makes can be pushed to what it pushes to, and is counted there. Two layers of half a megabyte and
// their config take nine requests and the tag's manifest two.
func TestBenchParts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"registry", "-latency", "1ms", "-rate", "1000000000"}, w, io.Discard)
	}()
	host, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	at := model{strings.TrimSpace(host)}
	for _, kind := range []string{"sparse", "dense"} {
		before, err := at.counts()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := run(ctx, []string{"make", path, "1", "2", kind}, io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
		if err := run(ctx, []string{"push", path, at.host + "/bench/" + kind, "1"}, io.Discard, io.Discard); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		after, err := at.counts()
		layers := map[string]int{"sparse": 1, "dense": 2}[kind] // layers of zeros are one and the same
		if n := after.Requests - before.Requests; err != nil || n != 2+3*(layers+1) || after.Bytes == before.Bytes {
			t.Errorf("%s: %d requests: %v", kind, n, err)
		}
		var out strings.Builder
		if err := run(ctx, []string{"limit", path}, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		if d, err := time.ParseDuration(strings.TrimSpace(out.String())); err != nil || d <= 0 {
			t.Errorf("%s: limit %q: %v", kind, out.String(), err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMedian(t *testing.T) {
	got := median([]sample{{wall: 3, sent: 1}, {wall: 1, sent: 2}, {wall: 2, sent: 9}})
	if got.wall != 2 || got.sent != 2 {
		t.Errorf("%+v", got)
	}
}

func TestContent(t *testing.T) {
	var a, b strings.Builder
	if err := imagetest.Software(&a, 1, 100_000); err != nil {
		t.Fatal(err)
	}
	if err := imagetest.Software(&b, 1, 100_000); err != nil {
		t.Fatal(err)
	}
	if a.Len() != 100_000 || a.String() != b.String() {
		t.Error("the same seed gives other bytes")
	}
}
