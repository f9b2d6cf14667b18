package image

// One image is one image, whatever else lies beside it in a layout; and what
// refers to it travels with it on request.

import (
	"io"
	"log"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refer adds an artifact that refers to subject, such as an SBOM.
func (f layoutFiles) refer(t testing.TB, subject v1.Descriptor, content string) v1.Descriptor {
	t.Helper()
	m := struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}, "application/spdx+json"}
	m.Config = f.add([]byte("{}"))
	m.Config.MediaType = "application/vnd.oci.empty.v1+json"
	layer := f.add([]byte(content))
	layer.MediaType = "application/spdx+json"
	m.Layers = []v1.Descriptor{layer}
	m.Subject = &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	d := f.add(toJSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	return d
}

// signature adds what cosign attaches by a tag made of the digest.
func (f layoutFiles) signature(t testing.TB) v1.Descriptor {
	t.Helper()
	layer := f.add([]byte("payload"))
	layer.MediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{layer}}
	m.Config = f.add([]byte(`{"rootfs":{"type":"layers","diff_ids":["` + layer.Digest.String() + `"]}}`))
	m.Config.MediaType = types.OCIConfigJSON
	d := f.add(toJSON(t, m))
	d.MediaType = types.OCIManifestSchema1
	return d
}

// called gives a layout's entry a name.
func called(d v1.Descriptor, annotation, name string) v1.Descriptor {
	d.Annotations = map[string]string{annotation: name}
	return d
}

func TestOneImageOfALayout(t *testing.T) {
	f := layoutFiles{}
	one := f.manifest(t, newSample(t, amd64, rawLayer(t, 1, 1000)), false)
	two := f.manifest(t, newSample(t, arm64, rawLayer(t, 2, 1000)), false)
	root := f.index(t, one, two)
	sbom := f.refer(t, root, "sbom")
	digestName := strings.Replace(root.Digest.String(), ":", "-", 1)
	for what, entries := range map[string][]v1.Descriptor{
		"children":               {one, root, two},
		"children, root named":   {called(root, annotationRefName, "v1"), one, two},
		"referrer":               {root, sbom},
		"referrer of a referrer": {f.refer(t, sbom, "signature"), sbom, root},
		"fallback tag":           {root, called(f.index(t, sbom), annotationRefName, digestName)},
		"tags of cosign":         {called(f.signature(t), annotationRefName, digestName+".sig"), root},
		"cosign save": {called(root, "kind", "dev.cosignproject.cosign/imageIndex"),
			called(f.signature(t), "kind", "dev.cosignproject.cosign/sigs"), called(f.index(t, sbom), "kind", "dev.cosignproject.cosign/atts")},
	} {
		dir := f.seal(t, entries...).directory(t)
		m, err := Open(t.Context(), dir, Options{})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got := m.Describe().Digest; got != root.Digest.String() {
			t.Errorf("%s: took %s, want %s", what, got, root.Digest)
		}
		m.Close()
		child, err := Open(t.Context(), dir+"#"+entries[0].Digest.String(), Options{})
		if err != nil || child.Describe().Digest != entries[0].Digest.String() {
			t.Errorf("%s: by its digest: %v", what, err)
		}
	}
	rivals := f.seal(t, one, two).directory(t)
	if _, err := Open(t.Context(), rivals, Options{}); err == nil {
		t.Error("one of two images was taken")
	}
}

func TestReferrersTravel(t *testing.T) {
	s := newSample(t, amd64, rawLayer(t, 1, 9000))
	f := layoutFiles{}
	image := f.manifest(t, s, false)
	root := f.index(t, image)
	sbom := f.refer(t, image, "sbom")
	onSBOM := f.refer(t, sbom, "signature of the sbom")
	signature := f.signature(t)
	tag := strings.Replace(root.Digest.String(), ":", "-", 1) + ".sig"
	other := f.refer(t, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf([]byte("other"))}, "of another image")
	f.seal(t, called(root, annotationRefName, "v1"), sbom, onSBOM, other, called(signature, annotationRefName, tag))
	dir := f.directory(t)

	serve := func(lists bool) (*testRegistry, string) {
		g := newTestRegistry()
		g.inner = registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(lists))
		return g, g.serve(t)
	}
	arrived := func(t *testing.T, repository string) {
		t.Helper()
		repo, err := name.NewRepository(repository)
		if err != nil {
			t.Fatal(err)
		}
		c := newReader(repo, nil, nil, nil, false)
		for subject, want := range map[v1.Hash]v1.Hash{image.Digest: sbom.Digest, sbom.Digest: onSBOM.Digest} {
			found, err := c.referrers(t.Context(), subject)
			if err != nil || !slices.ContainsFunc(found, func(d companionDesc) bool { return d.desc.Digest == want }) {
				t.Errorf("referrers of %s: %v %v, want %s", subject, found, err, want)
			}
		}
		for _, ref := range []string{sbom.Digest.String(), onSBOM.Digest.String(), tag} {
			if found, err := c.manifest(t.Context(), ref); found == nil || err != nil {
				t.Errorf("%s has not arrived: %v", ref, err)
			}
		}
		if found, _ := c.manifest(t.Context(), other.Digest.String()); found != nil {
			t.Error("the referrer of another image has come along")
		}
	}
	push := func(t *testing.T, ref, repository string, want int) {
		t.Helper()
		for range 2 { // the second time, all is there
			r, err := Push(t.Context(), open(t, ref, Options{}), Target{Repository: repository, Tags: []string{"1"}}, PushOptions{Referrers: want > 0})
			if err != nil || r.Referrers != want || r.Digest != root.Digest.String() {
				t.Fatalf("%+v %v, want %d referrers", r, err, want)
			}
		}
	}
	for _, lists := range []bool{true, false} {
		_, first := serve(lists)
		push(t, dir, first, 3)
		arrived(t, first)
		_, second := serve(!lists)
		push(t, "docker://"+first+":1", second, 3)
		arrived(t, second)
		g, third := serve(lists)
		push(t, dir, third, 0)
		if n := g.count("PUT manifests"); n != 2 {
			t.Errorf("%d manifests were pushed without being asked for, want the image and its index", n)
		}
	}
}
