package source

import (
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

// What engines refuse to pull, or have nothing to run of, is refused, from a layout as from
// a registry.
func TestDocumentsThatNoEngineTakes(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000))
	twice := imagetest.NewSample(t, imagetest.AMD64, s.Layers[0], s.Layers[0])
	resized := func(d v1.Descriptor) v1.Descriptor { d.Size++; return d }
	document := func(f imagetest.Layout, mediaType types.MediaType, document any) v1.Descriptor {
		d := f.Add(imagetest.JSON(t, document))
		d.MediaType = mediaType
		return d
	}
	for what, c := range map[string]struct {
		root func(f imagetest.Layout) v1.Descriptor
		says string
	}{
		"index with another size of a child": {func(f imagetest.Layout) v1.Descriptor { return f.Index(t, resized(f.Manifest(t, s, false))) }, "and the index says"},
		"one layer with two sizes": {func(f imagetest.Layout) v1.Descriptor {
			m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: f.Add(twice.Config)}
			m.Config.MediaType = types.OCIConfigJSON
			l := f.Add(imagetest.Gzipped(t, s.Layers[0]))
			l.MediaType = types.OCILayer
			m.Layers = []v1.Descriptor{l, resized(l)}
			return document(f, types.OCIManifestSchema1, m)
		}, "is said to have"},
		"index of nothing": {func(f imagetest.Layout) v1.Descriptor {
			return document(f, types.OCIImageIndex, map[string]any{"schemaVersion": 2, "mediaType": types.OCIImageIndex, "manifests": []any{}})
		}, "lists no image"},
		"index of attestations": {func(f imagetest.Layout) v1.Descriptor {
			return f.Index(t, f.Attestation(t, f.Manifest(t, s, false)))
		}, "lists no image"},
		"manifest that calls itself an index": {func(f imagetest.Layout) v1.Descriptor {
			d := f.Manifest(t, s, false)
			return f.Add([]byte(strings.Replace(string(f[image.BlobName(d.Digest)]), string(types.OCIManifestSchema1), string(types.OCIImageIndex), 1)))
		}, "says that it is an index"},
	} {
		f := imagetest.Layout{}
		root := c.root(f)
		if root.MediaType == "" {
			root.MediaType = types.OCIImageIndex
		}
		n := &imagetest.Network{Hosts: map[string]http.Handler{"https://registry.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write(f["blobs/"+strings.Replace(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], ":", "/", 1)])
		})}}
		for _, ref := range []string{f.Seal(t, root).Directory(t), "docker://registry.test/app@" + root.Digest.String()} {
			m, err := Open(t.Context(), ref, Options{Transport: n, TempDirectory: t.TempDir()})
			if err == nil {
				_, err = m.Loaded(t.Context(), image.NewMeter(nil, 1<<40))
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %s: %v, want %q", what, ref, err, c.says)
			}
		}
	}
}

// Where a document does not say what it is, its shape does, whatever the registry calls it.
func TestShapeDecides(t *testing.T) {
	f := imagetest.Layout{}
	d := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000)), false)
	manifest := strings.Replace(string(f[image.BlobName(d.Digest)]), `"mediaType":"`+string(types.OCIManifestSchema1)+`",`, "", 1)
	index := strings.Replace(string(f[image.BlobName(f.Index(t, d).Digest)]), `"mediaType":"`+string(types.OCIImageIndex)+`",`, "", 1)
	for _, called := range []types.MediaType{types.OCIManifestSchema1, types.OCIImageIndex, types.DockerManifestList, "application/json", ""} {
		if _, is, err := image.ParseManifest([]byte(manifest), called); err != nil || is.IsIndex() {
			t.Errorf("a manifest that is called %q is %s: %v", called, is, err)
		}
		if _, is, err := image.ParseManifest([]byte(index), called); err != nil || !is.IsIndex() {
			t.Errorf("an index that is called %q is %s: %v", called, is, err)
		}
	}
}
