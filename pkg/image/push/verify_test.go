package push

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

// Layers are checked while it is still being found out which of them need not be, and
// the check of one that is proven meanwhile ends.
func TestVerificationDoesNotWait(t *testing.T) {
	raw := imagetest.RawLayer(t, 1, 3000)
	packed := imagetest.Gzipped(t, raw)
	desc := v1.Descriptor{Digest: image.DigestOf(packed), Size: int64(len(packed))}
	content := func(diffID v1.Hash, open image.Opener) *image.Content {
		return &image.Content{
			Blobs:  []image.Blob{{Desc: desc, Open: open}},
			Checks: []image.LayerCheck{{Desc: desc, DiffID: diffID, Number: 1, Count: 1}},
		}
	}
	verify := func(ctx context.Context, c *image.Content, proven func(context.Context) map[v1.Hash]v1.Descriptor) error {
		return newVerification(c, proven, nil).run(ctx)
	}
	unanswered := func(ctx context.Context) map[v1.Hash]v1.Descriptor { <-ctx.Done(); return nil }

	if err := verify(t.Context(), content(image.DigestOf(raw), image.BytesOpener(packed)), unanswered); err != nil {
		t.Error(err)
	}
	err := verify(t.Context(), content(image.DigestOf(packed), image.BytesOpener(packed)), unanswered)
	if _, ok := errors.AsType[*image.LayerError](err); !ok {
		t.Errorf("a wrong layer: %v", err)
	}

	endless := func(ctx context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(packed[:100]), silence{ctx})), nil
	}
	proven := func(context.Context) map[v1.Hash]v1.Descriptor {
		return map[v1.Hash]v1.Descriptor{image.DigestOf(raw): desc}
	}
	if err := verify(t.Context(), content(image.DigestOf(raw), endless), proven); err != nil {
		t.Errorf("a proven layer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := verify(ctx, content(image.DigestOf(raw), endless), unanswered); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// The upload has a core for itself, and the check of layers all of them when it has ended.
func TestVerificationLeavesACore(t *testing.T) {
	for _, c := range []struct{ cores, during, after int }{{1, 1, 1}, {2, 1, 2}, {4, 3, 4}, {16, maxInflaters, maxInflaters}} {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			slow := func(ctx context.Context) (io.ReadCloser, error) {
				running.Add(1)
				return io.NopCloser(silence{ctx}), nil
			}
			sent := make(chan struct{})
			v := verification{layers: slices.Repeat([]inflation{{open: slow}}, 9), sent: sent, cores: c.cores,
				proven: func(context.Context) map[v1.Hash]v1.Descriptor { return nil }}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- v.run(ctx) }()
			synctest.Wait()
			if n := int(running.Load()); n != c.during {
				t.Errorf("%d cores: %d layers are checked during the upload, want %d", c.cores, n, c.during)
			}
			close(sent)
			synctest.Wait()
			if n := int(running.Load()); n != c.after {
				t.Errorf("%d cores: %d layers are checked after the upload, want %d", c.cores, n, c.after)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}
