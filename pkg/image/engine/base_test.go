package engine

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

// The base is the pulled image with most of the layers that the image begins with.
func TestBase(t *testing.T) {
	h := func(s string) v1.Hash { return image.DigestOf([]byte(s)) }
	layers := func(names string) (all []string) {
		for _, n := range names {
			all = append(all, h(string(n)).String())
		}
		return all
	}
	type stored struct {
		ID          string `json:"Id"`
		RepoDigests []string
		Size        int64
		RootFS      struct{ Layers []string }
	}
	of := func(id, names, from string) stored {
		s := stored{ID: "sha256:" + h(id).Hex, Size: 10, RootFS: struct{ Layers []string }{layers(names)}}
		if from != "" {
			s.RepoDigests = []string{from + "@" + h(from).String()}
		}
		return s
	}
	for name, c := range map[string]struct {
		images []stored
		podman bool
		want   string
	}{
		"none":                                     {nil, false, ""},
		"built, not pulled":                        {[]stored{of("1", "ab", "")}, false, ""},
		"another image":                            {[]stored{of("1", "xb", "node")}, false, ""},
		"only the end is the same":                 {[]stored{of("1", "bc", "node")}, false, ""},
		"more layers than the image":               {[]stored{of("1", "abcd", "node")}, false, ""},
		"the longest":                              {[]stored{of("1", "a", "debian"), of("2", "ab", "node"), of("3", "x", "redis")}, false, "node"},
		"the image itself, pulled":                 {[]stored{of("1", "a", "debian"), of("image", "abc", "app")}, false, "app"},
		"the image itself, which podman has built": {[]stored{of("1", "a", "debian"), of("image", "abc", "app")}, true, "debian"},
		"podman's own name":                        {[]stored{of("1", "a", "localhost/debian")}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			hc := &http.Client{Transport: imagetest.Direct{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/images/json" {
					json.NewEncoder(w).Encode(c.images)
					return
				}
				for _, s := range c.images {
					if strings.Contains(r.URL.Path, s.ID) {
						json.NewEncoder(w).Encode(s)
					}
				}
			})}}
			o := &Pushable{engine: &Engine{Http: hc, Base: "http://engine", Podman: c.podman}, Config: h("image"), size: 10}
			for _, l := range layers("abc") {
				x, _ := v1.NewHash(l)
				o.DiffIDs = append(o.DiffIDs, x)
			}
			got, err := o.Base(t.Context())
			if from, _, _ := strings.Cut(got, "@"); from != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%q, want %q: %v", got, c.want, err)
			}
		})
	}
}
