package source

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

func TestClassify(t *testing.T) {
	disk := map[string]fileKind{
		"app.tar": fileArchive, "build/app.tar": fileArchive, `C:\out\app.tar`: fileArchive, "odd#name.tar": fileArchive,
		"layout": fileLayout, "chat-app": fileFolder, "server": fileOther, "notes.txt": fileOther, "./folder": fileFolder,
		"secret.tar": fileUnreadable,
	}
	cases := []struct {
		ref, kind, detail string // detail: name, path, selector or part of the problem
	}{
		{"app.tar", "file", "app.tar"},
		{"build/app.tar", "file", "build/app.tar"},
		{`C:\out\app.tar`, "file", `C:\out\app.tar`},
		{"app.tar#app:1", "file", "app:1"},
		{"odd#name.tar", "file", "odd#name.tar"},
		{"layout", "directory", "layout"},
		{"layout#sha256:00", "directory", "sha256:00"},
		{"chat-app:7", "engine", "chat-app:7"},
		{"chat-app", "engine", "chat-app"}, // although there is a folder of that name
		{"server", "engine", "server"},     // although there is a program of that name
		{"host:5000/a/b:1", "engine", "host:5000/a/b:1"},
		{"0123456789ab", "engine", "0123456789ab"},
		{"sha256:" + strings.Repeat("0", 64), "engine", "sha256:"},
		{"docker://host/a:1", "registry", "host/a:1"},
		{"docker://host/a@sha256:" + strings.Repeat("0", 64), "registry", "host/a@sha256:"},
		{"docker://Host/UPPER:1", "invalid", "lower case, such as docker://Host/upper:1"},
		{"oci://host/a", "invalid", "unknown scheme oci://"},
		{"https://host/a:1", "invalid", "write an image of a registry as docker://host/a:1"},
		{"DOCKER://host/a:1", "invalid", "in lower case"},
		{"My/App:1", "invalid", "lower case, such as my/app:1"},
		{"docker-daemon:app:1", "engine", "app:1"},
		{"docker-archive:app.tar", "file", "app.tar"},
		{"docker-archive:app.tar:app:1", "file", "app:1"},
		{"oci-archive:app.tar:1", "file", "1"},
		{"oci:layout", "directory", "layout"},
		{"oci:layout:1", "directory", "1"},
		{"oci:1", "engine", "oci:1"},
		{"oci:missing:1", "invalid", "no such archive or layout as missing"},
		{"file://app.tar", "file", "app.tar"},
		{"containers-storage:app:1", "invalid", "podman save"},
		{"", "invalid", "is empty"},
		{"a\nb", "invalid", "control character"},
		{"missing.tar", "invalid", "no such file"},
		{"./missing", "invalid", "no such file"},
		{"missing#app:1", "invalid", "no such file"},
		{`C:\missing`, "invalid", "no such file"},
		{"./folder", "invalid", "without an OCI layout"},
		{"secret.tar", "invalid", "cannot be read"},
		{"app/../../containers", "invalid", "neither an existing path nor"},
		{"Team/App:1", "invalid", "neither an existing path nor"},
		{"two words", "invalid", "neither an existing path nor"},
		{"$(Build.BuildId)", "invalid", "neither an existing path nor"},
	}
	for _, c := range cases {
		t.Run(c.ref, func(t *testing.T) {
			r := classify(c.ref, func(p string) fileKind { return disk[p] })
			if r.kind.String() != c.kind || !strings.Contains(strings.Join([]string{r.name, r.path, r.selector, r.problem}, "|"), c.detail) {
				t.Errorf("%+v, want %s %s", r, c.kind, c.detail)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{"app:1", "docker://a/b:1", "x.tar#y", `C:\x.tar`, "#", "a#", "://"} {
		for k := range 6 {
			f.Add(s, k)
		}
	}
	f.Fuzz(func(t *testing.T, ref string, kind int) {
		asked := 0
		r := classify(ref, func(string) fileKind { asked++; return fileKind(max(0, kind%6)) })
		if (r.kind == refInvalid) != (r.problem != "") {
			t.Errorf("%+v", r)
		}
		if asked > 4+strings.Count(ref, ":") {
			t.Errorf("looked %d times", asked)
		}
		if r.kind == refEngine && r.name != strings.TrimPrefix(ref, "docker-daemon:") {
			t.Errorf("the engine is asked for %q instead of %q", r.name, ref)
		}
		if r.path != "" && !strings.Contains(ref, r.path) {
			t.Errorf("path %q is no part of %q", r.path, ref)
		}
	})
}

// Everything that is wrong with a source is said when it is opened, by name.
func TestOpenErrors(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 100_000))
	other := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 2, 1000))
	other.Tags = []string{"other:2"}
	whole := imagetest.Docker20(t, s)
	file := func(name string, b []byte) string { return imagetest.Write(t, name, b) }
	manifest := func(config, layer string) []byte {
		return imagetest.JSON(t, []any{map[string]any{"Config": config, "Layers": []string{layer}}})
	}
	broken := imagetest.Layout{}
	root := broken.Manifest(t, s, false)
	for name, b := range broken {
		if len(b) > 20_000 {
			broken[name] = b[:len(b)-1]
		}
	}

	cases := []struct{ name, ref, says string }{
		{"truncated in a layer", file("a.tar", whole[:60_000]), "truncated"},
		{"truncated in a header", file("a.tar", whole[:len(whole)-1024-512-300]), "truncated"},
		{"truncated gzip", file("a.tar.gz", imagetest.Gzipped(t, whole)[:30_000]), "truncated"},
		{"not an archive", file("a.tar", []byte("hello")), "neither a tar archive"},
		{"gzip of something else", file("a.gz", imagetest.Gzipped(t, []byte("hello"))), "truncated"},
		{"tar of something else", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "x", Data: []byte("y")})), "not of an image"},
		{"before Docker 1.10", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "repositories", Data: []byte("{}")})), "older than 1.10"},
		{"several images", file("a.tar", imagetest.Docker20(t, s, other)), "holds 2 images: app:1 (linux/amd64); other:2 (linux/amd64); append #NAME:TAG"},
		{"no such image in it", file("a.tar", imagetest.Docker20(t, s, other)) + "#gone:1", `"gone:1" is not exactly one of`},
		{"layer missing", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "c", Data: s.Config}, imagetest.Entry{Name: "manifest.json", Data: manifest("c", "l")})), "is incomplete: layer l"},
		{"config missing", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "manifest.json", Data: manifest("c", "l")})), "is incomplete: config c"},
		{"link in a circle", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "c", Data: s.Config}, imagetest.Entry{Name: "l", Link: "m"}, imagetest.Entry{Name: "m", Link: "l"},
			imagetest.Entry{Name: "manifest.json", Data: manifest("c", "l")})), "leads in a circle"},
		{"layers that do not fit the config", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "c", Data: []byte(`{}`)}, imagetest.Entry{Name: "l"},
			imagetest.Entry{Name: "manifest.json", Data: manifest("c", "l")})), "number of layers: 1 in manifest.json, 0 in the config"},
		{"config is no JSON", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "c", Data: []byte(`hm`)}, imagetest.Entry{Name: "manifest.json", Data: manifest("c", "l")})), "is not an image's config"},
		{"manifest too large", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "manifest.json", Data: bytes.Repeat([]byte(" "), image.MaxDocument+1)})), "is larger than"},
		{"empty manifest.json", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "manifest.json", Data: []byte("[]")})), "lists no image"},
		{"path out of the archive", file("a.tar", imagetest.TarOf(t, imagetest.Entry{Name: "manifest.json", Data: manifest("../../../../../../etc/passwd", "l")})), "is incomplete"},
		{"layout: damaged layer", broken.Seal(t, root).Directory(t), "the layout is corrupt"},
		{"layout: no index", imagetest.Layout{"oci-layout": []byte("{}")}.Directory(t), "has no index.json"},
		{"layout: empty index", imagetest.Layout{}.Seal(t).Directory(t), "lists no image"},
		{"folder", t.TempDir(), "without an OCI layout"},
		{"zstd", file("a.tar", []byte("\x28\xb5\x2f\xfd")), "is compressed with zstd"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tmp := t.TempDir()
			m, err := Open(t.Context(), c.ref, Options{TempDirectory: tmp})
			if err == nil {
				m.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), filepath.Base(strings.SplitN(c.ref, "#", 2)[0])) {
				t.Errorf("%v\nwant the path and %q", err, c.says)
			}
			if left, _ := os.ReadDir(tmp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// "#" takes one of several images.
func TestOpenSelector(t *testing.T) {
	one := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	two := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 2, 1000))
	two.Tags = []string{"team/app:2", "team/app:latest"}
	path := imagetest.Write(t, "a.tar", imagetest.Docker20(t, one, two))
	for selector, want := range map[string]string{"app:1": one.ID(), "team/app:2": two.ID(), "latest": two.ID(), two.ID(): two.ID()} {
		if d := opened(t, path+"#"+selector, Options{}).Describe(); d.ImageID != want {
			t.Errorf("%s: %+v, want %s", selector, d, want)
		}
	}

	f := imagetest.Layout{}
	a := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 3, 1000)), false)
	a.Annotations = map[string]string{image.AnnotationRefName: "v1"}
	b := f.Manifest(t, imagetest.NewSample(t, imagetest.ARM64, imagetest.RawLayer(t, 4, 1000)), false)
	b.Annotations = map[string]string{image.AnnotationRefName: "v2"}
	dir := f.Seal(t, a, b).Directory(t)
	for selector, want := range map[string]string{"v1": a.Digest.String(), "v2": b.Digest.String(), b.Digest.String(): b.Digest.String()} {
		if d := opened(t, dir+"#"+selector, Options{}).Describe(); d.Digest != want {
			t.Errorf("%s: %+v, want %s", selector, d, want)
		}
	}
}

// A relative path starts at the working directory that was given.
func TestOpenWorkingDirectory(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	path := imagetest.Write(t, "app.tar", imagetest.Docker20(t, s))
	if d := opened(t, "app.tar", Options{WorkingDirectory: filepath.Dir(path)}).Describe(); d.ImageID != s.ID() || d.Layers != 1 || d.Size != int64(len(s.Layers[0])) {
		t.Errorf("%+v", d)
	}
}

// Whatever is in an archive, opening it ends, with an error or with content
// whose every blob can be read.
func FuzzOpenArchive(f *testing.F) {
	s := imagetest.NewSample(f, imagetest.AMD64, imagetest.RawLayer(f, 1, 600), imagetest.RawLayer(f, 2, 10))
	l := imagetest.Layout{}
	f.Add(imagetest.Docker20(f, s))
	f.Add(imagetest.Docker25(f, s, true))
	f.Add(imagetest.Docker25(f, s, false))
	f.Add(imagetest.PodmanArchive(f, s))
	f.Add(l.Seal(f, l.Index(f, l.Manifest(f, s, false))).Archive(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := indexArchive(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		c, _, err := readArchive(t.Context(), a, "", image.Platform{})
		if err != nil {
			return
		}
		c.Describe(&image.Description{})
		if c.Identity() == (image.Identity{}) {
			t.Error("no identity")
		}
		openers := []image.Opener{}
		for _, b := range c.Blobs {
			openers = append(openers, b.Open)
		}
		if c.Unbuilt != nil {
			for _, l := range c.Unbuilt.Layers {
				if l.Open != nil {
					openers = append(openers, l.Open)
				}
			}
		}
		for _, open := range openers {
			r, err := open(context.Background())
			if err != nil {
				t.Errorf("a blob that was found cannot be opened: %v", err)
				continue
			}
			r.Close()
		}
	})
}

// opened opens ref and closes it with the test.
func opened(t testing.TB, ref string, o Options) *Image {
	t.Helper()
	o.TempDirectory = t.TempDir()
	m, err := Open(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	imagetest.CloseWithTest(t, m, o.TempDirectory)
	return m
}
