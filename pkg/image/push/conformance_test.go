package push

// The table of tools and formats: what a tool writes is pushed, and what was pushed
// is pulled by the same tool, with the image ID of the source. Tools that are not
// on the PATH are left out, and said to be.

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/source"
)

// tool is a program that writes images from a registry, and reads them there.
type tool struct {
	name string
	// formats are the commands that write the image ref to out, by the format. The
	// reference that Open gets is "{out}" unless it is set.
	formats map[string][]string
	// pull writes the image ref into the OCI layout out.
	pull []string
}

var tools = []tool{
	{"skopeo", map[string][]string{
		"docker archive":   {"copy", "--src-tls-verify=false", "docker://{ref}", "docker-archive:{out}:app:1"},
		"OCI archive":      {"copy", "--src-tls-verify=false", "docker://{ref}", "oci-archive:{out}:app:1"},
		"OCI layout":       {"copy", "--src-tls-verify=false", "docker://{ref}", "oci:{out}:1"},
		"OCI layout, zstd": {"copy", "--src-tls-verify=false", "--dest-compress-format=zstd", "--dest-compress", "docker://{ref}", "oci:{out}:1"},
	}, []string{"copy", "--src-tls-verify=false", "docker://{ref}", "oci:{out}:1"}},
	{"crane", map[string][]string{
		"docker archive":         {"pull", "--insecure", "{ref}", "{out}"},
		"docker archive, legacy": {"pull", "--insecure", "--format=legacy", "{ref}", "{out}"},
		"OCI layout":             {"pull", "--insecure", "--format=oci", "{ref}", "{out}"},
	}, []string{"pull", "--insecure", "--format=oci", "{ref}", "{out}"}},
	{"regctl", map[string][]string{
		"OCI archive": {"image", "export", "{ref}", "{out}"},
		"OCI layout":  {"image", "copy", "{ref}", "ocidir://{out}:1"},
	}, []string{"image", "copy", "{ref}", "ocidir://{out}:1"}},
	{"oras", map[string][]string{
		"OCI layout":  {"copy", "--from-plain-http", "--to-oci-layout", "{ref}", "{out}:1"},
		"OCI archive": {"backup", "--plain-http", "--output", "{out}", "{ref}"},
	}, []string{"copy", "--from-plain-http", "--to-oci-layout", "{ref}", "{out}:1"}},
	{"umoci", map[string][]string{
		"OCI layout": nil, // see umociLayout: umoci reads and writes no registry
	}, nil},
	{"podman", map[string][]string{
		"docker archive": {"save", "--format=docker-archive", "-o", "{out}", "{ref}"},
		"OCI archive":    {"save", "--format=oci-archive", "-o", "{out}", "{ref}"},
		"OCI layout":     {"save", "--format=oci-dir", "-o", "{out}", "{ref}"},
	}, nil},
	{"buildah", map[string][]string{
		"docker archive": {"push", "{ref}", "docker-archive:{out}:app:1"},
		"OCI archive":    {"push", "{ref}", "oci-archive:{out}:app:1"},
		"OCI layout":     {"push", "{ref}", "oci:{out}:1"},
	}, nil},
}

// Docker's own archives, from an engine, are RealEngine's.
func TestTools(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 200_000), imagetest.RawLayer(t, 2, 3000))
	f := imagetest.Layout{}
	source := f.Seal(t, f.Manifest(t, s, false)).Directory(t)
	for _, tool := range tools {
		t.Run(tool.name, func(t *testing.T) {
			if _, err := exec.LookPath(tool.name); err != nil {
				t.Skipf("%s is not on the PATH", tool.name)
			}
			host := strings.TrimSuffix(imagetest.NewRegistry().Serve(t), "/app")
			first := push1(t, source, host+"/from")
			home := t.TempDir()
			tool.prepare(t, home, host, first)
			for format, command := range tool.formats {
				t.Run(format, func(t *testing.T) {
					out := filepath.Join(t.TempDir(), "out")
					id := s.ID()
					if tool.name == "umoci" {
						id = umociLayout(t, source, out)
					} else {
						tool.run(t, home, command, first, out)
					}
					to := push1(t, out, host+"/"+strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(format)))
					if _, got := imagetest.Pull(t, to); got != id {
						t.Errorf("pushed %s, want image ID %s", got, id)
					}
					if tool.pull == nil {
						return
					}
					back := filepath.Join(t.TempDir(), "back")
					tool.run(t, home, tool.pull, to, back)
					if got := layoutID(t, back); got != id {
						t.Errorf("pulled back with image ID %s, want %s", got, id)
					}
				})
			}
		})
	}
}

// The page for users has the table of what is shown here, and no other.
func TestToolsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/push.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools {
		_, row, ok := strings.Cut(string(page), "\n| "+tool.name+" ")
		if !ok {
			t.Errorf("docs/push.md has no row for %s", tool.name)
			continue
		}
		row, _, _ = strings.Cut(row, "\n")
		cells := strings.Split(row, "|")[1:] // without the tool's version
		for i, kind := range []string{"docker archive", "OCI archive", "OCI layout"} {
			shown := false
			for format := range tool.formats {
				shown = shown || strings.HasPrefix(format, kind)
			}
			if said := strings.Contains(cells[i], "pushed"); said != shown {
				t.Errorf("docs/push.md, %s, %s: %q; tested: %t", tool.name, kind, cells[i], shown)
			}
		}
		if equal := strings.Contains(cells[3], "equal"); equal != (tool.pull != nil) {
			t.Errorf("docs/push.md, %s: pulled back by it: %q; tested: %t", tool.name, cells[3], tool.pull != nil)
		}
	}
}

// push1 pushes what lies at path as repository:1.
func push1(t *testing.T, path, repository string) (ref string) {
	t.Helper()
	r, err := Push(t.Context(), open(t, path, source.Options{}), Target{Repository: repository, Tags: []string{"1"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r.URI
}

// prepare makes the image known to tools that take images from their own store, and
// has regctl speak plain HTTP.
func (tool tool) prepare(t *testing.T, home, host, ref string) {
	t.Helper()
	switch tool.name {
	case "regctl":
		tool.run(t, home, []string{"registry", "set", "--tls=disabled", host}, "", "")
	case "podman", "buildah":
		tool.run(t, home, []string{"pull", "--tls-verify=false", "{ref}"}, ref, "")
	}
}

// run runs the tool with a home of its own.
func (tool tool) run(t *testing.T, home string, args []string, ref, out string) {
	t.Helper()
	replace := strings.NewReplacer("{ref}", ref, "{out}", out)
	var words []string
	for _, a := range args {
		words = append(words, replace.Replace(a))
	}
	c := exec.CommandContext(t.Context(), tool.name, words...)
	if err := os.MkdirAll(filepath.Join(home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	c.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+filepath.Join(home, "run"), "STORAGE_DRIVER=vfs")
	if b, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, b)
	}
}

// layoutID is the image ID of the one image of a layout.
func layoutID(t *testing.T, dir string) string {
	t.Helper()
	index, err := ocilayout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil || len(m.Manifests) == 0 {
		t.Fatalf("%v %v", m, err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// umociLayout copies a layout and has umoci add a layer to its image, whose image
// ID it returns.
func umociLayout(t *testing.T, source, out string) string {
	t.Helper()
	if err := os.CopyFS(out, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	more := filepath.Join(t.TempDir(), "more")
	if err := os.WriteFile(more, []byte("more"), 0o600); err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(out, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	tagged := strings.Replace(string(index), `"digest"`, `"annotations":{"`+image.AnnotationRefName+`":"1"},"digest"`, 1)
	if err := os.WriteFile(filepath.Join(out, "index.json"), []byte(tagged), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.CommandContext(t.Context(), "umoci", "insert", "--image", out+":1", more, "/more").CombinedOutput(); err != nil {
		t.Fatalf("umoci: %v\n%s", err, b)
	}
	return layoutID(t, out)
}
