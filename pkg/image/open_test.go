package image

import (
	"bytes"
	"context"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func pemCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

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

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "linux/amd64": "linux/amd64", "Linux/x86_64": "linux/amd64", "linux/aarch64": "linux/arm64",
		"linux/arm64/v8": "linux/arm64", "linux/arm/v7": "linux/arm/v7", "linux/armhf": "linux/arm/v7", "windows/amd64": "windows/amd64",
	} {
		if p, err := ParsePlatform(in); err != nil || p.String() != want {
			t.Errorf("%q: %s %v, want %s", in, p, err, want)
		}
	}
	for _, in := range []string{"linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64", "linux,windows/amd64"} {
		if p, err := ParsePlatform(in); err == nil {
			t.Errorf("%q: %s", in, p)
		}
	}
}

func TestPlatformMatches(t *testing.T) {
	for _, c := range []struct {
		want, have string
		ok         bool
	}{
		{"", "linux/amd64", true},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/arm64/v8", "linux/arm64", true},
		{"linux/arm64", "linux/arm64/v9", false},
		{"linux/arm64/v8.2", "linux/arm64/v8", true},
		{"linux/arm64/v8", "linux/arm64/v8.2", false},
		{"linux/arm", "linux/arm/v7", true},
		{"linux/arm", "linux/arm/v8", false},
		{"linux/arm", "linux/arm/v5", true},
		{"linux/arm/v8", "linux/arm/v7", true},
		{"linux/arm/v6", "linux/arm/v7", false},
		{"linux/arm/v6", "linux/arm/v5", true},
		{"linux/arm/v6", "linux/arm", false},
		{"linux/amd64", "linux/arm64", false},
		{"linux/amd64", "windows/amd64", false},
		{"linux/amd64", "linux/amd64/v3", false},
		{"linux/amd64", "linux/amd64/v2", false},
		{"linux/amd64/v1", "linux/amd64", true},
		{"linux/amd64/v3", "linux/amd64", true},
		{"linux/amd64/v3", "linux/amd64/v4", false},
		{"linux/riscv64", "linux/riscv64/rva20u64", false},
		{"linux/ppc64le/power9", "linux/ppc64le", true},
		{"windows/amd64", "windows(10.0.20348.1)/amd64", true},
		{"windows(10.0.20348)/amd64", "windows(10.0.20348.2700)/amd64", true},
		{"windows(10.0.20348.1)/amd64", "windows(10.0.20348.2700)/amd64", true},
		{"windows(10.0.17763)/amd64", "windows(10.0.20348.2700)/amd64", false},
	} {
		want, err1 := ParsePlatform(c.want)
		have, err2 := ParsePlatform(c.have)
		if err1 != nil || err2 != nil || want.Matches(have) != c.ok {
			t.Errorf("%s wanted, %s there: %t", c.want, c.have, !c.ok)
		}
	}
}

// Of several images, the one that suits best is taken, whatever their order and
// however deep their index is nested; in a layout as in a registry.
func TestChoiceOfPlatform(t *testing.T) {
	for _, c := range []struct {
		name, want string
		have       []string // those of a nested index stand behind a "+"
		takes      string   // or part of the error
	}{
		{"baseline", "linux/amd64", []string{"linux/amd64/v3", "linux/amd64", "linux/amd64/v2"}, "linux/amd64"},
		{"no baseline", "linux/amd64", []string{"linux/amd64/v3", "linux/amd64/v2"}, "no image for platform"},
		{"the newest that runs", "linux/amd64/v3", []string{"linux/amd64", "linux/amd64/v4", "linux/amd64/v2"}, "linux/amd64/v2"},
		{"arm", "linux/arm", []string{"linux/arm/v5", "linux/arm/v6", "linux/arm/v8"}, "linux/arm/v6"},
		{"nested", "linux/arm64", []string{"linux/amd64", "+linux/arm64"}, "linux/arm64"},
		{"windows by version", "windows(10.0.17763)/amd64", []string{"windows(10.0.20348.1)/amd64", "windows(10.0.17763.5)/amd64"}, "windows(10.0.17763.5)/amd64"},
		{"windows without a version", "windows/amd64", []string{"windows(10.0.20348.1)/amd64", "windows(10.0.17763.5)/amd64"}, "several versions of Windows"},
		{"one windows", "windows/amd64", []string{"windows(10.0.20348.1)/amd64", "linux/amd64"}, "windows(10.0.20348.1)/amd64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := layoutFiles{}
			var children, nested []v1.Descriptor
			digests := map[string]string{}
			for i, have := range c.have {
				p, err := ParsePlatform(strings.TrimPrefix(have, "+"))
				if err != nil {
					t.Fatal(err)
				}
				d := f.manifest(t, newSample(t, p, rawLayer(t, byte(i), 100)), false)
				d.Platform = &v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion}
				digests[p.String()] = d.Digest.String()
				if strings.HasPrefix(have, "+") {
					nested = append(nested, d)
				} else {
					children = append(children, d)
				}
			}
			if nested != nil {
				children = append(children, f.index(t, nested...))
			}
			dir := f.seal(t, f.index(t, children...)).directory(t)
			repository := newTestRegistry().serve(t)
			if _, err := Push(t.Context(), open(t, dir, Options{}), Target{Repository: repository, Tags: []string{"1"}}, PushOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, ref := range []string{dir, "docker://" + repository + ":1"} {
				m, err := Open(t.Context(), ref, Options{Platform: c.want})
				if err != nil {
					if !strings.Contains(err.Error(), c.takes) {
						t.Errorf("%s: %v, want %s", ref, err, c.takes)
					}
					continue
				}
				if got := m.Describe().Digest; got != digests[c.takes] {
					t.Errorf("%s: took %s, want %s (%v)", ref, got, c.takes, digests)
				}
				m.Close()
			}
		})
	}
}

// Everything that is wrong with a source is said when it is opened, by name.
func TestOpenErrors(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 100_000))
	other := newSample(t, amd64, rawLayer(t, 2, 1000))
	other.tags = []string{"other:2"}
	whole := docker20(t, s)
	file := func(name string, b []byte) string { return write(t, name, b) }
	manifest := func(config, layer string) []byte {
		return toJSON(t, []any{map[string]any{"Config": config, "Layers": []string{layer}}})
	}
	broken := layoutFiles{}
	root := broken.manifest(t, s, false)
	for name, b := range broken {
		if len(b) > 20_000 {
			broken[name] = b[:len(b)-1]
		}
	}

	cases := []struct{ name, ref, says string }{
		{"truncated in a layer", file("a.tar", whole[:60_000]), "truncated"},
		{"truncated in a header", file("a.tar", whole[:len(whole)-1024-512-300]), "truncated"},
		{"truncated gzip", file("a.tar.gz", gzipped(t, whole)[:30_000]), "truncated"},
		{"not an archive", file("a.tar", []byte("hello")), "neither a tar archive"},
		{"gzip of something else", file("a.gz", gzipped(t, []byte("hello"))), "truncated"},
		{"tar of something else", file("a.tar", tarOf(t, tarEntry{name: "x", data: []byte("y")})), "not of an image"},
		{"before Docker 1.10", file("a.tar", tarOf(t, tarEntry{name: "repositories", data: []byte("{}")})), "older than 1.10"},
		{"several images", file("a.tar", docker20(t, s, other)), "holds 2 images: app:1 (linux/amd64); other:2 (linux/amd64); append #NAME:TAG"},
		{"no such image in it", file("a.tar", docker20(t, s, other)) + "#gone:1", `"gone:1" is not exactly one of`},
		{"layer missing", file("a.tar", tarOf(t, tarEntry{name: "c", data: s.config}, tarEntry{name: "manifest.json", data: manifest("c", "l")})), "is incomplete: layer l"},
		{"config missing", file("a.tar", tarOf(t, tarEntry{name: "manifest.json", data: manifest("c", "l")})), "is incomplete: config c"},
		{"link in a circle", file("a.tar", tarOf(t, tarEntry{name: "c", data: s.config}, tarEntry{name: "l", link: "m"}, tarEntry{name: "m", link: "l"},
			tarEntry{name: "manifest.json", data: manifest("c", "l")})), "leads in a circle"},
		{"layers that do not fit the config", file("a.tar", tarOf(t, tarEntry{name: "c", data: []byte(`{}`)}, tarEntry{name: "l"},
			tarEntry{name: "manifest.json", data: manifest("c", "l")})), "number of layers: 1 in manifest.json, 0 in the config"},
		{"config is no JSON", file("a.tar", tarOf(t, tarEntry{name: "c", data: []byte(`hm`)}, tarEntry{name: "manifest.json", data: manifest("c", "l")})), "is not an image's config"},
		{"manifest too large", file("a.tar", tarOf(t, tarEntry{name: "manifest.json", data: bytes.Repeat([]byte(" "), maxDocument+1)})), "is larger than"},
		{"empty manifest.json", file("a.tar", tarOf(t, tarEntry{name: "manifest.json", data: []byte("[]")})), "lists no image"},
		{"path out of the archive", file("a.tar", tarOf(t, tarEntry{name: "manifest.json", data: manifest("../../../../../../etc/passwd", "l")})), "is incomplete"},
		{"layout: damaged layer", broken.seal(t, root).directory(t), "the layout is corrupt"},
		{"layout: no index", layoutFiles{"oci-layout": []byte("{}")}.directory(t), "has no index.json"},
		{"layout: empty index", layoutFiles{}.seal(t).directory(t), "lists no image"},
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
	one := newSample(t, amd64, rawLayer(t, 1, 1000))
	two := newSample(t, amd64, rawLayer(t, 2, 1000))
	two.tags = []string{"team/app:2", "team/app:latest"}
	path := write(t, "a.tar", docker20(t, one, two))
	for selector, want := range map[string]string{"app:1": one.id(), "team/app:2": two.id(), "latest": two.id(), two.id(): two.id()} {
		if d := open(t, path+"#"+selector, Options{}).Describe(); d.ImageID != want {
			t.Errorf("%s: %+v, want %s", selector, d, want)
		}
	}

	f := layoutFiles{}
	a := f.manifest(t, newSample(t, amd64, rawLayer(t, 3, 1000)), false)
	a.Annotations = map[string]string{annotationRefName: "v1"}
	b := f.manifest(t, newSample(t, arm64, rawLayer(t, 4, 1000)), false)
	b.Annotations = map[string]string{annotationRefName: "v2"}
	dir := f.seal(t, a, b).directory(t)
	for selector, want := range map[string]string{"v1": a.Digest.String(), "v2": b.Digest.String(), b.Digest.String(): b.Digest.String()} {
		if d := open(t, dir+"#"+selector, Options{}).Describe(); d.Digest != want {
			t.Errorf("%s: %+v, want %s", selector, d, want)
		}
	}
}

// A relative path starts at the working directory that was given.
func TestOpenWorkingDirectory(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 1000))
	path := write(t, "app.tar", docker20(t, s))
	if d := open(t, "app.tar", Options{WorkingDirectory: filepath.Dir(path)}).Describe(); d.ImageID != s.id() || d.Layers != 1 || d.Size != int64(len(s.layers[0])) {
		t.Errorf("%+v", d)
	}
}

// Whatever is in an archive, opening it ends, with an error or with content
// whose every blob can be read.
func FuzzOpenArchive(f *testing.F) {
	s := newSample(f, amd64, rawLayer(f, 1, 600), rawLayer(f, 2, 10))
	l := layoutFiles{}
	f.Add(docker20(f, s))
	f.Add(docker25(f, s, true))
	f.Add(docker25(f, s, false))
	f.Add(podmanArchive(f, s))
	f.Add(l.seal(f, l.index(f, l.manifest(f, s, false))).archive(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := indexArchive(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		c, _, err := readArchive(t.Context(), a, "", Platform{})
		if err != nil {
			return
		}
		c.describe(&Description{})
		if c.identity() == (identity{}) {
			t.Error("no identity")
		}
		openers := []opener{}
		for _, b := range c.blobs {
			openers = append(openers, b.open)
		}
		if c.unbuilt != nil {
			for _, l := range c.unbuilt.layers {
				if l.open != nil {
					openers = append(openers, l.open)
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
