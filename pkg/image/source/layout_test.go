package source

import (
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
)

func TestOneImageOfALayout(t *testing.T) {
	f := imagetest.Layout{}
	one := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000)), false)
	two := f.Manifest(t, imagetest.NewSample(t, imagetest.ARM64, imagetest.RawLayer(t, 2, 1000)), false)
	root := f.Index(t, one, two)
	sbom := f.Refer(t, root, "sbom")
	digestName := strings.Replace(root.Digest.String(), ":", "-", 1)
	for what, entries := range map[string][]v1.Descriptor{
		"children":               {one, root, two},
		"children, root named":   {imagetest.Called(root, image.AnnotationRefName, "v1"), one, two},
		"referrer":               {root, sbom},
		"referrer of a referrer": {f.Refer(t, sbom, "signature"), sbom, root},
		"attestation":            {root, f.Attestation(t, one)},
		"fallback tag":           {root, imagetest.Called(f.Index(t, sbom), image.AnnotationRefName, digestName)},
		"tags of cosign":         {imagetest.Called(f.Signature(t), image.AnnotationRefName, digestName+".sig"), root},
		"cosign save": {imagetest.Called(root, "kind", "dev.cosignproject.cosign/imageIndex"),
			imagetest.Called(f.Signature(t), "kind", "dev.cosignproject.cosign/sigs"), imagetest.Called(f.Index(t, sbom), "kind", "dev.cosignproject.cosign/atts")},
	} {
		dir := f.Seal(t, entries...).Directory(t)
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
	rivals := f.Seal(t, one, two).Directory(t)
	if _, err := Open(t.Context(), rivals, Options{}); err == nil {
		t.Error("one of two images was taken")
	}
}

// Names of a hybrid archive may stand in one of its two indexes only.
func TestNamesOfAHybridArchive(t *testing.T) {
	one, two := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000)), imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 2, 1000))
	f := imagetest.Layout{}
	a, b := f.Manifest(t, one, false), f.Manifest(t, two, false)
	f.Seal(t, a, b)
	manifest := imagetest.JSON(t, []any{
		map[string]any{"Config": image.BlobName(image.DigestOf(one.Config)), "RepoTags": []string{"localhost/app:1"}, "Layers": []string{}},
		map[string]any{"Config": image.BlobName(image.DigestOf(two.Config)), "RepoTags": []string{"docker.io/library/app:2"}, "Layers": []string{}},
	})
	path := imagetest.Write(t, "a.tar", f.Archive(t, imagetest.Entry{Name: "manifest.json", Data: manifest}))
	for selector, want := range map[string]v1.Descriptor{"app:1": a, "localhost/app:1": a, "app:2": b, "2": b} {
		if got := opened(t, path+"#"+selector, Options{}).Describe().Digest; got != want.Digest.String() {
			t.Errorf("%s is %s, want %s", selector, got, want.Digest)
		}
	}
}

// Docker leaves images that are saved by their ID out of index.json: all of them, or those
// beside another one.
func TestImagesThatIndexJSONLeavesOut(t *testing.T) {
	one, two := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 1000)), imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 2, 1000))
	archive := func(listed []int, samples ...imagetest.Sample) string {
		f := imagetest.Layout{}
		var manifest []any
		var roots []v1.Descriptor
		for i, s := range samples {
			d := f.Manifest(t, s, true)
			var layers, tags []string
			for _, l := range s.Layers {
				layers = append(layers, image.BlobName(image.DigestOf(l)))
			}
			if slices.Contains(listed, i) {
				roots, tags = append(roots, imagetest.Called(d, image.AnnotationName, "docker.io/library/"+s.Tags[0])), s.Tags
			}
			manifest = append(manifest, map[string]any{"Config": image.BlobName(image.DigestOf(s.Config)), "RepoTags": tags, "Layers": layers})
		}
		f.Seal(t, roots...) // {"manifests": null} where nothing is listed
		return imagetest.Write(t, "a.tar", f.Archive(t, imagetest.Entry{Name: "manifest.json", Data: imagetest.JSON(t, manifest)}))
	}
	if d := opened(t, archive(nil, one), Options{}).Describe(); d.ImageID != one.ID() || d.Layers != 1 {
		t.Errorf("by its ID: %+v", d)
	}
	both := archive([]int{0}, one, two)
	for selector, want := range map[string]imagetest.Sample{"app:1": one, one.ID(): one, two.ID(): two} {
		if d := opened(t, both+"#"+selector, Options{}).Describe(); d.ImageID != want.ID() {
			t.Errorf("%s: %+v, want %s", selector, d, want.ID())
		}
	}
	if _, err := Open(t.Context(), both, Options{}); err == nil || !strings.Contains(err.Error(), "holds 2 images") || !strings.Contains(err.Error(), two.ID()) {
		t.Errorf("one of two images was taken: %v", err)
	}
}
