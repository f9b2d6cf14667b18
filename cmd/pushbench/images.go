// The images of the benchmark: 465 MB in six layers of files that compress as software does, to about two fifths; the same bytes at every
// run and on every machine.

package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"ecsdeploy/pkg/image/imagetest"

	"github.com/klauspost/compress/gzip"
)

// layerSizes are those of the image's layers, in MB.
var layerSizes = []float64{180, 120, 80, 50, 30.5, 4.5}

// makeImage makes images: DIRECTORY image, DIRECTORY app BASE NUMBER, or FILE MB LAYERS sparse|dense.
func makeImage(_ context.Context, args []string, _ io.Writer) error {
	switch {
	case len(args) == 2 && args[1] == "image":
		return makeImages(args[0])
	case len(args) == 4 && args[1] == "app":
		n, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return makeApp(args[0], args[2], n)
	case len(args) == 4:
		mb, err1 := strconv.ParseInt(args[1], 10, 64)
		layers, err2 := strconv.Atoi(args[2])
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		return makeLinear(args[0], mb*1e6, layers, args[3] == "sparse")
	}
	return errors.New("make what?")
}

// writeLayer writes a layer of files of one MB, about size bytes in all.
func writeLayer(w io.Writer, seed uint64, size int64) error {
	t := tar.NewWriter(w)
	for n := 0; size > 0; n++ {
		part := min(size, 1e6)
		if err := t.WriteHeader(&tar.Header{Name: fmt.Sprintf("srv/%d/%d", seed, n), Mode: 0o644, Size: part}); err != nil {
			return err
		}
		if err := imagetest.Software(t, seed<<20+uint64(n), part); err != nil {
			return err
		}
		size -= part
	}
	return t.Close()
}

// layerFile is a raw layer on the disk.
type layerFile struct {
	path, diffID string
	size         int64
}

func makeLayer(path string, seed uint64, size int64) (layerFile, error) {
	sum := sha256.New()
	f, err := os.Create(path)
	if err != nil {
		return layerFile{}, err
	}
	b := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
	err = errors.Join(writeLayer(b, seed, size), b.Flush())
	at, seekErr := f.Seek(0, io.SeekCurrent)
	return layerFile{path, fmt.Sprintf("sha256:%x", sum.Sum(nil)), at}, errors.Join(err, seekErr, f.Close())
}

// config is an image's config.
func config(layers []layerFile) []byte {
	var diffIDs []string
	for _, l := range layers {
		diffIDs = append(diffIDs, l.diffID)
	}
	raw, _ := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64", "config": map[string]any{"Cmd": []string{"/app"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	return raw
}

// writeDockerArchive writes what Docker up to 24 saves.
func writeDockerArchive(path, tag string, layers []layerFile) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	t := tar.NewWriter(f)
	file := func(name string, size int64, r io.Reader) error {
		if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
			return err
		}
		_, err := io.Copy(t, r)
		return err
	}
	raw := config(layers)
	var names []string
	for i, l := range layers {
		in, err := os.Open(l.path)
		if err != nil {
			return err
		}
		names = append(names, fmt.Sprintf("%064x/layer.tar", i))
		err = file(names[i], l.size, in)
		in.Close()
		if err != nil {
			return err
		}
	}
	name := digestOf(raw)[7:] + ".json"
	manifest, _ := json.Marshal([]any{map[string]any{"Config": name, "RepoTags": []string{tag}, "Layers": names}})
	return errors.Join(file(name, int64(len(raw)), bytes.NewReader(raw)), file("manifest.json", int64(len(manifest)), bytes.NewReader(manifest)), t.Close())
}

// makeImages makes image.tar, changed.tar, the same gzipped in a layout, and an index with an attestation, unless they are there.
func makeImages(dir string) error {
	done := filepath.Join(dir, "images.done")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	var layers []layerFile
	for i, mb := range layerSizes {
		l, err := makeLayer(filepath.Join(dir, fmt.Sprintf("layer%d.tar", i)), uint64(i+1), int64(mb*1e6))
		if err != nil {
			return err
		}
		layers = append(layers, l)
	}
	changed, err := makeLayer(filepath.Join(dir, "changed-layer.tar"), 100, int64(layerSizes[5]*1e6))
	if err != nil {
		return err
	}
	if err := errors.Join(
		writeDockerArchive(filepath.Join(dir, "image.tar"), "bench:1", layers),
		writeDockerArchive(filepath.Join(dir, "changed.tar"), "bench:2", append(append([]layerFile{}, layers[:5]...), changed)),
		makeLayouts(dir, layers)); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o644)
}

// descriptor is an OCI descriptor.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    map[string]string `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

const ociTypes = "application/vnd.oci.image."

// makeLayouts makes the folders layout and index, the layers of which are the same files.
func makeLayouts(dir string, layers []layerFile) error {
	layout, index := filepath.Join(dir, "layout"), filepath.Join(dir, "index")
	for _, d := range []string{layout, index} {
		if err := os.MkdirAll(filepath.Join(d, "blobs", "sha256"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
			return err
		}
	}
	add := func(raw []byte, mediaType string) (descriptor, error) {
		d := descriptor{MediaType: mediaType, Digest: digestOf(raw), Size: int64(len(raw))}
		return d, errors.Join(os.WriteFile(filepath.Join(layout, "blobs", "sha256", d.Digest[7:]), raw, 0o644),
			os.WriteFile(filepath.Join(index, "blobs", "sha256", d.Digest[7:]), raw, 0o644))
	}
	document := func(v map[string]any, mediaType string) (descriptor, error) {
		v["schemaVersion"], v["mediaType"] = 2, mediaType
		raw, _ := json.Marshal(v)
		return add(raw, mediaType)
	}
	top := func(dir string, d descriptor) error {
		d.Annotations = map[string]string{"org.opencontainers.image.ref.name": "1"}
		raw, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{d}})
		return os.WriteFile(filepath.Join(dir, "index.json"), raw, 0o644)
	}

	var packed []descriptor
	for _, l := range layers {
		d, err := gzipFile(l.path, layout)
		if err != nil {
			return err
		}
		name := filepath.Join("blobs", "sha256", d.Digest[7:])
		if err := os.Link(filepath.Join(layout, name), filepath.Join(index, name)); err != nil {
			return err
		}
		packed = append(packed, d)
	}
	c, err := add(config(layers), ociTypes+"config.v1+json")
	if err != nil {
		return err
	}
	image, err := document(map[string]any{"config": c, "layers": packed}, ociTypes+"manifest.v1+json")
	if err != nil {
		return err
	}
	image.Platform = map[string]string{"os": "linux", "architecture": "amd64"}
	if err := top(layout, image); err != nil {
		return err
	}

	empty, err := add([]byte(`{"os":"unknown","architecture":"unknown","rootfs":{"type":"layers","diff_ids":[]}}`), ociTypes+"config.v1+json")
	if err != nil {
		return err
	}
	statement, err := add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`), "application/vnd.in-toto+json")
	if err != nil {
		return err
	}
	attestation, err := document(map[string]any{"config": empty, "layers": []descriptor{statement}}, ociTypes+"manifest.v1+json")
	if err != nil {
		return err
	}
	attestation.Platform = map[string]string{"os": "unknown", "architecture": "unknown"}
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.Digest}
	root, err := document(map[string]any{"manifests": []descriptor{image, attestation}}, ociTypes+"index.v1+json")
	if err != nil {
		return err
	}
	return top(index, root)
}

// gzipFile adds a file to a layout as a layer, compressed as build tools do.
func gzipFile(path, layout string) (d descriptor, err error) {
	in, err := os.Open(path)
	if err != nil {
		return d, err
	}
	defer in.Close()
	out, err := os.CreateTemp(layout, "layer-*")
	if err != nil {
		return d, err
	}
	sum := sha256.New()
	z, _ := gzip.NewWriterLevel(io.MultiWriter(out, sum), 6)
	_, err = io.Copy(z, in)
	err = errors.Join(err, z.Close())
	size, seekErr := out.Seek(0, io.SeekCurrent)
	if err := errors.Join(err, seekErr, out.Close()); err != nil {
		return d, err
	}
	d = descriptor{MediaType: ociTypes + "layer.v1.tar+gzip", Digest: fmt.Sprintf("sha256:%x", sum.Sum(nil)), Size: size}
	return d, os.Rename(out.Name(), filepath.Join(layout, "blobs", "sha256", d.Digest[7:]))
}

// makeApp makes what an engine builds its own layer of, on top of a base: a layer that nobody has seen before.
func makeApp(dir, base string, n int) error {
	at := filepath.Join(dir, "app")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	layer, err := makeLayer(filepath.Join(at, "app"), uint64(1000*n), int64(layerSizes[5]*1e6))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(at, "Dockerfile"), fmt.Appendf(nil, "FROM %s\nCOPY %s /app\n", base, filepath.Base(layer.path)), 0o644)
}

// makeLinear makes an archive of so many bytes in so many layers: of zeros, which take no room on the disk, or of what images hold.
func makeLinear(path string, size int64, layers int, sparse bool) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var files []layerFile
	var names []string
	header := func(name string, size int64) error {
		var b bytes.Buffer
		if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Format: tar.FormatGNU}); err != nil {
			return err
		}
		_, err := f.Write(b.Bytes())
		return err
	}
	pad := func(size int64) error { _, err := f.Seek(-size&511, io.SeekCurrent); return err }
	for i := range layers {
		part := size / int64(layers)
		names = append(names, fmt.Sprintf("%064x/layer.tar", i))
		sum := sha256.New()
		if err := header(names[i], part); err != nil {
			return err
		}
		if sparse {
			_, err = io.CopyN(sum, zeros{}, part)
			if err == nil {
				_, err = f.Seek(part, io.SeekCurrent)
			}
		} else {
			b := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
			err = errors.Join(imagetest.Software(b, uint64(i+1), part), b.Flush())
		}
		if err := errors.Join(err, pad(part)); err != nil {
			return err
		}
		files = append(files, layerFile{diffID: fmt.Sprintf("sha256:%x", sum.Sum(nil)), size: part})
	}
	raw := config(files)
	manifest, _ := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": nil, "Layers": names}})
	for _, e := range []struct {
		name string
		data []byte
	}{{"config.json", raw}, {"manifest.json", manifest}} {
		err := header(e.name, int64(len(e.data)))
		_, writeErr := f.Write(e.data)
		if err := errors.Join(err, writeErr, pad(int64(len(e.data)))); err != nil {
			return err
		}
	}
	_, err = f.Write(make([]byte, 1024))
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
