package source

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

// largeConfig is a config of nearly the largest size, and unlike all others.
func largeConfig(i int) []byte {
	return fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","n":%d,"x":"%s"}`, i, strings.Repeat(" ", image.MaxConfig-100))
}

// grown is how much more memory a function has taken than there was before.
func grown(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.HeapSys - min(before.HeapSys, after.HeapSys)
}

func TestSumsAreBounded(t *testing.T) {
	many := func() string {
		var entries []imagetest.Entry
		var manifest []map[string]any
		for i := range 5 {
			name := fmt.Sprintf("%d.json", i)
			entries = append(entries, imagetest.Entry{Name: name, Data: largeConfig(i)})
			manifest = append(manifest, map[string]any{"Config": name, "RepoTags": []string{fmt.Sprintf("app:%d", i)}, "Layers": []string{}})
		}
		return imagetest.Write(t, "a.tar", imagetest.TarOf(t, append(entries, imagetest.Entry{Name: "manifest.json", Data: imagetest.JSON(t, manifest)})...))
	}
	index := func() string {
		f := imagetest.Layout{}
		var children []v1.Descriptor
		for i := range 4 {
			children = append(children, imagetest.Stored{Config: largeConfig(i)}.Manifest(t, f))
		}
		return f.Seal(t, f.Index(t, children...)).Directory(t)
	}
	nested := func() string {
		f := imagetest.Layout{}
		d := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100)), false)
		for range 300 {
			d = f.Index(t, d)
		}
		return f.Seal(t, d).Directory(t)
	}
	again := func() string {
		f := imagetest.Layout{}
		d := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100)), false)
		for range 3 {
			d = f.Index(t, slices.Repeat([]v1.Descriptor{d}, 500)...)
		}
		return f.Seal(t, d).Directory(t)
	}
	elements := func() string {
		f := imagetest.Layout{}
		d := f.Add([]byte(`{"schemaVersion":2,"config":{},"layers":[` + strings.Repeat("{},", 1<<20) + `{}]}`))
		d.MediaType = types.OCIManifestSchema1
		return f.Seal(t, d).Directory(t)
	}
	diffIDs := func() string {
		f := imagetest.Layout{}
		config := []byte(`{"os":"linux","rootfs":{"diff_ids":[` + strings.Repeat(`"`+image.DigestOf(nil).String()+`",`, 90_000) + `"` + image.DigestOf(nil).String() + `"]}}`)
		return f.Seal(t, imagetest.Stored{Config: config}.Manifest(t, f)).Directory(t)
	}
	for what, c := range map[string]struct {
		path      string
		platforms []string
		says      string
	}{
		"configs of an archive": {many(), []string{""}, "16 MiB in all"},
		"configs of an index":   {index(), []string{"linux/amd64"}, "16 MiB in all"},
		"nested indexes":        {nested(), []string{"", "linux/amd64"}, "nested more than 4 deep"},
		"repeated indexes":      {again(), []string{"", "linux/amd64"}, "too many manifests"},
		"layers":                {elements(), []string{""}, "more than 1000 elements"},
		"diff_ids":              {diffIDs(), []string{""}, "more than 1000 elements"},
	} {
		t.Run(what, func(t *testing.T) {
			var err error
			for _, platform := range c.platforms {
				memory := grown(func() {
					var m *Image
					if m, err = Open(t.Context(), c.path, Options{TempDirectory: t.TempDir(), Platform: platform}); err == nil {
						m.Close()
					}
				})
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("platform %q: %v, want %q", platform, err, c.says)
				}
				if memory > 80<<20 {
					t.Errorf("took %d MB", memory>>20)
				}
			}
		})
	}
}

// The same from a registry, one document for each request.
func TestNestedIndexesOfARegistry(t *testing.T) {
	f := imagetest.Layout{}
	d := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100)), false)
	for range 50 {
		d = f.Index(t, d)
	}
	n := &imagetest.Network{Hosts: map[string]http.Handler{"https://registry.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reference := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if reference == "1" {
			reference = d.Digest.String()
		}
		w.Write(f["blobs/"+strings.Replace(reference, ":", "/", 1)])
	})}}
	for _, platform := range []string{"", "linux/amd64"} {
		m, err := Open(t.Context(), "docker://registry.test/app:1", Options{Transport: n, Platform: platform})
		if err == nil {
			_, err = m.Loaded(t.Context(), image.NewMeter(nil, 1<<40))
		}
		if err == nil || !strings.Contains(err.Error(), "nested more than") {
			t.Errorf("platform %q: %v", platform, err)
		}
	}
	if len(n.Asked) > 40 {
		t.Errorf("%d requests", len(n.Asked))
	}
}

func TestRepeatedIndexesOfARegistry(t *testing.T) {
	f := imagetest.Layout{}
	d := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100)), false)
	for range 3 {
		d = f.Index(t, slices.Repeat([]v1.Descriptor{d}, 500)...)
	}
	n := &imagetest.Network{Hosts: map[string]http.Handler{"https://registry.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(f["blobs/"+strings.Replace(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], ":", "/", 1)])
	})}}
	for _, platform := range []string{"", "linux/amd64"} {
		_, err := Open(t.Context(), "docker://registry.test/app@"+d.Digest.String(), Options{Transport: n, Platform: platform})
		if err == nil || !strings.Contains(err.Error(), "too many manifests") {
			t.Errorf("platform %q: %v", platform, err)
		}
	}
}

// A gzipped archive that unpacks to very much more than an image does is given up
// before it fills the disk.
func TestGzipBomb(t *testing.T) {
	var bomb bytes.Buffer
	z, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 16 {
		z.Write(zeros)
	}
	z.Close()
	f, err := os.Open(imagetest.Write(t, "a.tar.gz", bomb.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := &Image{options: Options{TempDirectory: t.TempDir()}}
	defer m.Close()
	_, err = plain(t.Context(), m, f, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "100 times its size") {
		t.Errorf("%v", err)
	}
}
