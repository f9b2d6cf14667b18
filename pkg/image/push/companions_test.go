package push

// One image is one image, whatever else lies beside it in a layout; and what
// refers to it travels with it on request.

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/imagetest"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
)

func TestReferrersTravel(t *testing.T) {
	s := imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 9000))
	f := imagetest.Layout{}
	img := f.Manifest(t, s, false)
	root := f.Index(t, img)
	sbom := f.Refer(t, img, "sbom")
	onSBOM := f.Refer(t, sbom, "signature of the sbom")
	signature := f.Signature(t)
	tag := strings.Replace(root.Digest.String(), ":", "-", 1) + ".sig"
	other := f.Refer(t, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: image.DigestOf([]byte("other"))}, "of another image")
	f.Seal(t, imagetest.Called(root, image.AnnotationRefName, "v1"), sbom, onSBOM, other, imagetest.Called(signature, image.AnnotationRefName, tag))
	dir := f.Directory(t)

	serve := func(lists bool) (*imagetest.Registry, string) {
		g := imagetest.NewReferrersRegistry(lists)
		return g, g.Serve(t)
	}
	arrived := func(t *testing.T, repository string) {
		t.Helper()
		repo, err := name.NewRepository(repository)
		if err != nil {
			t.Fatal(err)
		}
		c := registry.NewReader(repo, registry.Access{})
		for subject, want := range map[v1.Hash]v1.Hash{img.Digest: sbom.Digest, sbom.Digest: onSBOM.Digest} {
			found, err := source.ReferrersOf(t.Context(), c, subject)
			if err != nil || !slices.ContainsFunc(found, func(d source.CompanionDesc) bool { return d.Desc.Digest == want }) {
				t.Errorf("referrers of %s: %v %v, want %s", subject, found, err, want)
			}
		}
		for _, ref := range []string{sbom.Digest.String(), onSBOM.Digest.String(), tag} {
			if found, err := c.Manifest(t.Context(), ref); found == nil || err != nil {
				t.Errorf("%s has not arrived: %v", ref, err)
			}
		}
		if found, _ := c.Manifest(t.Context(), other.Digest.String()); found != nil {
			t.Error("the referrer of another image has come along")
		}
	}
	push := func(t *testing.T, ref, repository string, want int) {
		t.Helper()
		for range 2 { // the second time, all is there
			r, err := Push(t.Context(), open(t, ref, source.Options{}), Target{Repository: repository, Tags: []string{"1"}}, Options{Referrers: want > 0})
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
		if n := g.Count("PUT manifests"); n != 2 {
			t.Errorf("%d manifests were pushed without being asked for, want the image and its index", n)
		}
	}
}
