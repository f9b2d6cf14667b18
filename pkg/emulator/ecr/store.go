// Where image layers and configs are kept: files in a directory, or memory. Content is addressed by its SHA-256; which repository may see which
// blob is the registry's business, not the store's.

package ecr

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"
)

type blobStore struct {
	dir string // "" is memory

	mu     sync.Mutex
	memory map[string][]byte // by digest
}

func NewStore(dir string) (*blobStore, error) {
	s := &blobStore{dir: dir, memory: map[string][]byte{}}
	if dir == "" {
		return s, nil
	}
	for _, sub := range []string{"blobs", "uploads"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *blobStore) Close() error {
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(s.dir, "uploads"))
}

// path is the file of a digest, whose form has been checked.
func (s *blobStore) path(digest string) string {
	return filepath.Join(s.dir, "blobs", digest[len("sha256:"):])
}

// open returns the content of a digest, or an error that is fs.ErrNotExist.
func (s *blobStore) open(digest string) (io.ReadSeekCloser, error) {
	if s.dir != "" {
		return os.Open(s.path(digest))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.memory[digest]
	if !ok {
		return nil, os.ErrNotExist
	}
	return nopCloser{bytes.NewReader(data)}, nil
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// blobWriter takes in a blob, hashing it on the way.
type blobWriter struct {
	store  *blobStore
	hash   hash.Hash
	size   int64
	file   *os.File     // where there is a directory
	memory bytes.Buffer // where there is none
}

func (s *blobStore) create() (*blobWriter, error) {
	w := &blobWriter{store: s, hash: sha256.New()}
	if s.dir == "" {
		return w, nil
	}
	f, err := os.CreateTemp(filepath.Join(s.dir, "uploads"), "upload-")
	w.file = f
	return w, err
}

func (w *blobWriter) Write(p []byte) (int, error) {
	w.hash.Write(p)
	w.size += int64(len(p))
	if w.file != nil {
		return w.file.Write(p)
	}
	return w.memory.Write(p)
}

// errDigest is a blob that is not what its digest says.
var errDigest = errors.New("digest does not match the content")

// commit stores what was written, if it has that digest.
func (w *blobWriter) commit(digest string) error {
	if got := "sha256:" + hex.EncodeToString(w.hash.Sum(nil)); got != digest {
		return errDigest
	}
	if w.file != nil {
		if err := w.file.Close(); err != nil {
			return err
		}
		return os.Rename(w.file.Name(), w.store.path(digest))
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.memory[digest] = w.memory.Bytes()
	return nil
}

// discard forgets what was written.
func (w *blobWriter) discard() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.file.Name())
	}
	w.memory = bytes.Buffer{}
}
