package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/placeholder"
)

// built is the image, made once for all tests.
var built = sync.OnceValues(func() ([]byte, error) { return build(context.Background(), compiler{}) })

// archiveFile writes the image where package image can open it.
func archiveFile(t *testing.T) string {
	t.Helper()
	content, err := built()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), placeholder.File)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The image is in every download of the task, for two architectures, and
// nothing packs its layers any smaller.
func TestSize(t *testing.T) {
	content, err := built()
	if err != nil {
		t.Fatal(err)
	}
	const budget = 2_000_000
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, packed %d", len(content), packed.Len())
	if packed.Len() > budget {
		t.Errorf("the image costs the extension %d bytes, more than its budget of %d", packed.Len(), budget)
	}
}

// Another checkout with an empty cache and other settings makes the same bytes.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the standard library anew")
	}
	const architecture = "amd64"
	first, err := compiler{}.compile(t.Context(), architecture)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	for _, f := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(elsewhere, f), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(elsewhere, "pkg", "placeholder", "server"), os.DirFS(filepath.Join("..", "server"))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOAMD64", "v3") // as somebody has it who builds for new machines
	t.Setenv("GOFLAGS", "-tags=netgo")
	second, err := compiler{directory: elsewhere, cache: t.TempDir()}.compile(t.Context(), architecture)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("two builds of the same sources differ")
	}

	image, err := archive(map[string][]byte{"amd64": first, "arm64": first})
	if err != nil {
		t.Fatal(err)
	}
	again, err := archive(map[string][]byte{"arm64": second, "amd64": second})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(image, again) {
		t.Error("two images of the same programs differ")
	}
}

// run writes the file once, and then only when there is something new.
func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "task", placeholder.File)
	if err := run(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(file), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(file); err != nil || after.ModTime() != before.ModTime() {
		t.Errorf("written again, or gone: %v", err)
	}
	if err := os.Chmod(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if content, err := built(); err != nil {
		t.Fatal(err)
	} else if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file is not the image: %v", err)
	}
}

// The image is valid, is pushed by package image, is found there by a second
// push, and is recognised by whatever a registry has of it.
func TestPushed(t *testing.T) {
	server := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/chat-app"
	path := archiveFile(t)

	var digest string
	for _, again := range []bool{false, true} {
		m, err := source.Open(t.Context(), path, source.Options{TempDirectory: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		d := m.Describe()
		if d.Kind != image.KindOCIArchive || len(d.Platforms) != 2 || d.Platforms[0].String() != "linux/amd64" || d.Platforms[1].String() != "linux/arm64" {
			t.Errorf("opened as %+v", d)
		}
		result, err := push.Push(t.Context(), m, push.Target{Repository: repository, Tags: []string{placeholder.Tag}}, push.Options{})
		if err = errors.Join(err, m.Close()); err != nil {
			t.Fatal(err)
		}
		if result.AlreadyThere != again || result.Digest != d.Digest {
			t.Errorf("pushed as %s, there already: %t; want %s, %t", result.Digest, result.AlreadyThere, d.Digest, again)
		}
		digest = result.Digest
	}

	reference, err := name.ParseReference(repository + ":" + placeholder.Tag)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	if got, err := index.Digest(); err != nil || got.String() != digest {
		t.Errorf("the index is %s, %v; want %s", got, err, digest)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Annotations[label] != "1" {
		t.Errorf("the index has the annotations %v", manifest.Annotations)
	}
	for _, d := range manifest.Manifests {
		platform, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := platform.Manifest(); err != nil || m.Annotations[label] != "1" {
			t.Errorf("the manifest for %s is %+v, %v", d.Platform, m, err)
		}
		c, err := platform.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		_, http := c.Config.ExposedPorts["80/tcp"]
		_, alternative := c.Config.ExposedPorts["8080/tcp"]
		if c.Config.Labels[label] != "1" || !http || !alternative || c.OS != "linux" || c.Architecture != d.Platform.Architecture {
			t.Errorf("the config for %s is %+v", d.Platform, c)
		}
	}
}

// unpack returns the file system of the image for this machine.
func unpack(t *testing.T) string {
	t.Helper()
	content, err := built()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	each(t, bytes.NewReader(content), func(h *tar.Header, content []byte) { files[h.Name] = content })
	document := func(name string, into any) {
		if err := json.Unmarshal(files[name], into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	blob := func(d v1.Descriptor) string { return "blobs/sha256/" + d.Digest.Hex }
	var top, index v1.IndexManifest
	document("index.json", &top)
	document(blob(top.Manifests[0]), &index)
	folder := t.TempDir()
	for _, d := range index.Manifests {
		if d.Platform.Architecture != runtime.GOARCH {
			continue
		}
		var manifest v1.Manifest
		document(blob(d), &manifest)
		layer, err := gzip.NewReader(bytes.NewReader(files[blob(manifest.Layers[0])]))
		if err != nil {
			t.Fatal(err)
		}
		each(t, layer, func(h *tar.Header, content []byte) {
			path := filepath.Join(folder, h.Name)
			var err error
			switch h.Typeflag {
			case tar.TypeDir:
				err = os.Mkdir(path, h.FileInfo().Mode())
			case tar.TypeSymlink:
				err = os.Symlink(h.Linkname, path)
			default:
				err = os.WriteFile(path, content, h.FileInfo().Mode())
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	return folder
}

// each calls f for each entry of a tar archive.
func each(t *testing.T, archive io.Reader, f func(h *tar.Header, content []byte)) {
	t.Helper()
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		f(h, content)
	}
}
