package registry

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An upload goes to the registry's own host, over TLS if it has that.
func TestUploadsStayAtHome(t *testing.T) {
	for location, fine := range map[string]bool{
		"/v2/app/blobs/uploads/1?_state=x":                       true,
		"https://registry.test/v2/app/blobs/uploads/1":           true,
		"https://REGISTRY.test:443/v2/app/blobs/uploads/1":       true,
		"http://registry.test/v2/app/blobs/uploads/1":            true, // a proxy ends TLS; HTTPS is used
		"http://registry.test:80/v2/app/blobs/uploads/1":         true,
		"https://registry.test:8443/v2/app/blobs/uploads/1":      false,
		"https://uploads.test/v2/app/blobs/uploads/1":            false,
		"https://registry.test.evil.test/v2/app/blobs/uploads/1": false,
		"https://user:pass@registry.test/v2/app/blobs/uploads/1": false,
		"http://169.254.169.254/latest/meta-data":                false,
		"ftp://registry.test/upload":                             false,
		"file:///etc/passwd":                                     false,
		"//uploads.test/1":                                       false,
		"":                                                       false,
	} {
		u, err := locationFrom(t, "https://registry.test/v2/app/blobs/uploads/", location)
		if (err == nil) != fine {
			t.Errorf("%s: %v %v", location, u, err)
		}
		if err == nil && u.Scheme != "https" {
			t.Errorf("%s: goes to %s", location, u)
		}
		if err != nil && judge(err).action != giveUp {
			t.Errorf("%s: is tried again", location)
		}
	}
}

func locationFrom(t testing.TB, at, to string) (*url.URL, error) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("Location", to)
	return location(&http.Response{Request: req, Header: h})
}

// The next page of a list is the registry's own.
func TestNextPage(t *testing.T) {
	for link, want := range map[string]string{
		"":                                      "",
		`</v2/app/referrers/x?n=1>; rel="next"`: "https://registry.test/v2/app/referrers/x?n=1",
		`<?last=2>; rel=next`:                   "https://registry.test/v2/app/referrers/x?last=2",
		`<http://registry.test/a>; title="x"; rel="next"`: "https://registry.test/a",
		`</first>; rel="first", </second>; rel="next"`:    "https://registry.test/second",
		`</a>; rel="prev"`:                       "",
		`</a>`:                                   "",
		`<https://elsewhere.test/a>; rel="next"`: "error",
		`<http://169.254.169.254/latest/meta-data>; rel="next"`:    "error",
		`<https://u:p@registry.test/v2/app/referrers>; rel="next"`: "error",
	} {
		req, err := http.NewRequest(http.MethodGet, "https://registry.test/v2/app/referrers/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := NextPage(&http.Response{Request: req, Header: http.Header{"Link": {link}}})
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s %v, want %s", link, got, err, want)
		}
	}
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{"/v2/a", "https://registry.test/x", "http://registry.test:80/", "//a", "\\\\a", "https://registry.test\x00.evil/", "?a=b", "https:registry.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, location string) {
		u, err := locationFrom(t, "https://registry.test/v2/app/blobs/uploads/", location)
		if err == nil && (u.Scheme != "https" || !strings.EqualFold(u.Hostname(), "registry.test") || u.User != nil) {
			t.Errorf("%q leads to %s", location, u)
		}
	})
}

// What ECR refuses comes with what to do about it; what another registry refuses,
// without.
func TestRefusalsHaveHints(t *testing.T) {
	const ecr, other = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app", "registry.test/app"
	for _, c := range []struct {
		status              int
		code, message, hint string
	}{
		{405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Limit on number of layers per image exceeded'", "merge layers"},
		{405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'", "--provenance=false"},
		{400, "TAG_INVALID", "The image tag '1' already exists in the 'app' repository and cannot be overwritten because the tag is immutable.", "exclusion filter"},
		{400, "ImageTagAlreadyExistsException", "", "immutable"},
		{400, "DENIED_X", "The repository is a pull through cache repository", "another repository"},
		{400, "IMAGE_ARCHIVED", "The image is archived", "restore it"},
		{400, "LimitExceededException", "The number of tags per image exceeds the limit", "1,000 tags"},
		{400, "LimitExceededException", "The maximum number of images was reached", "lifecycle policy"},
		{400, "LimitExceededException", "quota limit", "Service Quotas"},
		{400, "KmsException", "the KMS key is disabled", "KMS key"},
		{400, "MANIFEST_INVALID", "no", ""},
	} {
		err := &StatusError{Operation: OpPutManifest, Status: c.status, Errors: []registryError{{Code: c.code, Message: c.message}}}
		refused, ok := errors.AsType[*RefusedError](Explain(err, ecr, ecr))
		if ok != (c.hint != "") || ok && !strings.Contains(refused.Hint(), c.hint) {
			t.Errorf("%s %s: %v, want a hint of %q", c.code, c.message, refused, c.hint)
		}
		if _, ok := errors.AsType[*RefusedError](Explain(err, other, other)); ok {
			t.Errorf("%s %s: another registry's refusal has a hint of ECR", c.code, c.message)
		}
	}
}

// No name leads to where a cloud hands out credentials.
func TestMetadataIsNotDialled(t *testing.T) {
	if _, err := dialer().DialContext(t.Context(), "tcp", "169.254.169.254:80"); err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Errorf("dialled: %v", err)
	}
}
