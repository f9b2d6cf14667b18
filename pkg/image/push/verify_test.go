package push

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

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
	unanswered := func(ctx context.Context) map[v1.Hash]v1.Descriptor { <-ctx.Done(); return nil }

	if err := verifyLayers(t.Context(), content(image.DigestOf(raw), image.BytesOpener(packed)), unanswered); err != nil {
		t.Error(err)
	}
	err := verifyLayers(t.Context(), content(image.DigestOf(packed), image.BytesOpener(packed)), unanswered)
	if _, ok := errors.AsType[*image.LayerError](err); !ok {
		t.Errorf("a wrong layer: %v", err)
	}

	endless := func(ctx context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(packed[:100]), silence{ctx})), nil
	}
	proven := func(context.Context) map[v1.Hash]v1.Descriptor {
		return map[v1.Hash]v1.Descriptor{image.DigestOf(raw): desc}
	}
	if err := verifyLayers(t.Context(), content(image.DigestOf(raw), endless), proven); err != nil {
		t.Errorf("a proven layer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := verifyLayers(ctx, content(image.DigestOf(raw), endless), unanswered); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
