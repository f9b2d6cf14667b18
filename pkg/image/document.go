package image

// Small content: digests, documents read whole, and bounds on how much of that.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func HashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// Bounds on what is read into memory. The distribution project takes manifests
// of up to 4 MiB (registry/handlers/manifests.go); configs have no bound of
// their own, and the largest seen are some hundred kilobytes. The sum bounds all
// documents of one source, since an index or an archive can name many.
const (
	MaxDocument  = 4 << 20
	MaxConfig    = 8 << 20
	maxDocuments = 16 << 20 // bytes of all manifests and configs of one source
	MaxChildren  = 1000     // documents under one index
	maxLayers    = 1000     // of one image
)

// Budget is what may still be read of a source's documents. Each document counts
// once.
type Budget struct {
	mu   sync.Mutex
	left int64
	seen map[v1.Hash]bool
}

func NewBudget() *Budget { return &Budget{left: maxDocuments, seen: map[v1.Hash]bool{}} }

// Take counts a document.
func (b *Budget) Take(h v1.Hash, size int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[h] {
		return nil
	}
	b.seen[h] = true
	if b.left -= int64(size); b.left < 0 {
		return Final("the image's manifests and configs are larger than %d MiB in all; no more is read", maxDocuments>>20)
	}
	return nil
}

// Opener opens a blob's bytes from their beginning, as often as it is asked.
type Opener func(ctx context.Context) (io.ReadCloser, error)

func DigestOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// BytesOpener opens bytes in memory.
func BytesOpener(b []byte) Opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// ReadSmall reads all of r, which may hold limit bytes at most.
func ReadSmall(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, Final("is larger than %d bytes; no more is read", limit)
	}
	return b, nil
}
