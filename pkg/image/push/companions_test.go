package push

// One image is one image, whatever else lies beside it in a layout; and what
// refers to it travels with it on request.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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

// A list of referrers may come in pages.
func TestReferrersInPages(t *testing.T) {
	f := imagetest.Layout{}
	img := f.Manifest(t, imagetest.NewSample(t, imagetest.AMD64, imagetest.RawLayer(t, 1, 3000)), false)
	roots := []v1.Descriptor{img}
	for _, content := range []string{"a", "b", "c"} {
		roots = append(roots, f.Refer(t, img, content))
	}
	dir := f.Seal(t, roots...).Directory(t)
	from := imagetest.NewReferrersRegistry(true)
	repository := from.Serve(t)
	if r, err := Push(t.Context(), open(t, dir, source.Options{}), Target{Repository: repository, Tags: []string{"1"}}, Options{Referrers: true}); err != nil || r.Referrers != 3 {
		t.Fatalf("%+v %v", r, err)
	}
	whole := from.Inner
	from.Inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/referrers/"+img.Digest.String()) {
			whole.ServeHTTP(w, r)
			return
		}
		all := httptest.NewRecorder()
		whole.ServeHTTP(all, r)
		var index v1.IndexManifest
		if err := json.Unmarshal(all.Body.Bytes(), &index); err != nil || len(index.Manifests) != 3 {
			t.Errorf("%d of 3 referrers: %v", len(index.Manifests), err)
			return
		}
		slices.SortFunc(index.Manifests, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.Hex, b.Digest.Hex) }) // the registry has them in no order
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		index.Manifests = index.Manifests[page : page+1]
		if page < 2 {
			w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, page+1))
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		json.NewEncoder(w).Encode(index)
	})
	to := imagetest.NewReferrersRegistry(true).Serve(t)
	if r, err := Push(t.Context(), open(t, "docker://"+repository+":1", source.Options{}), Target{Repository: to, Tags: []string{"1"}}, Options{Referrers: true}); err != nil || r.Referrers != 3 {
		t.Errorf("%+v %v, want 3 referrers", r, err)
	}
}
