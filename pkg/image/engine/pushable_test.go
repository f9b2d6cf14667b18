package engine

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/docs/page"
	"ecsdeploy/pkg/image"
)

func TestPushable(t *testing.T) {
	id := image.DigestOf([]byte("config")).String()
	good := Inspected{ID: id, Os: "linux", Size: 500 << 20, RepoTags: []string{"app:1"}, RootFS: struct{ Layers []string }{[]string{id}}}
	at := func(host string) *Engine { return &Engine{local: Endpoint{Host: host}.local()} }
	rows := "| case | why not |\n|---|---|\n"
	for _, c := range []struct {
		name   string
		host   string
		change func(*Inspected)
		want   string
	}{
		{"a socket", "unix:///var/run/docker.sock", nil, ""},
		{"a named pipe", "npipe:////./pipe/docker_engine", nil, ""},
		{"a port of this machine", "tcp://127.0.0.1:2375", nil, ""},
		{"an engine elsewhere", "tcp://10.0.0.5:2376", nil, "another machine"},
		{"a service container", "tcp://docker:2375", nil, "another machine"},
		{"containerd's store", "unix:///s", func(i *Inspected) { i.Descriptor = &v1.Descriptor{} }, "containerd"},
		{"Windows", "npipe:////./pipe/docker_engine", func(i *Inspected) { i.Os = "windows" }, "Linux"},
		{"no tag", "unix:///s", func(i *Inspected) { i.RepoTags = nil }, "no tag"},
		{"small", "unix:///s", func(i *Inspected) { i.Size = 10 << 20 }, "small"},
		{"no layers", "unix:///s", func(i *Inspected) { i.RootFS.Layers = nil }, "layers"},
		{"strange layers", "unix:///s", func(i *Inspected) { i.RootFS.Layers = []string{"a"} }, "layers"},
	} {
		in := good
		if c.change != nil {
			c.change(&in)
		}
		o, why := NewPushable(at(c.host), in)
		if (o == nil) != (why != "") || !strings.Contains(why, c.want) || c.want == "" && why != "" {
			t.Errorf("%s: %q, want %q", c.name, why, c.want)
		}
		if why != "" {
			rows += fmt.Sprintf("| %s | %s |\n", c.name, why)
		}
	}
	page.Part(t, "how-it-decides.md", "relay", rows)
}

// The engine packs what little is new, and hands out what would take it longer.
func TestTooSlow(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		size  int64
		packs []int64
		cores int
		slow  bool
	}{
		{500 * mb, nil, 2, false},
		{500 * mb, []int64{5 * mb}, 2, false},
		{500 * mb, []int64{80 * mb}, 2, false},
		{500 * mb, []int64{300 * mb}, 2, true},
		{500 * mb, []int64{80 * mb, 80 * mb, 80 * mb, 80 * mb}, 2, true},
		{500 * mb, []int64{80 * mb, 80 * mb, 80 * mb, 80 * mb}, 8, false},
		{60 * mb, []int64{60 * mb}, 8, true},
	} {
		if got := tooSlow(c.size, c.packs, c.cores); (got != "") != c.slow {
			t.Errorf("%d MB, packing %d on %d cores: %q", c.size/mb, c.packs, c.cores, got)
		}
	}
}
