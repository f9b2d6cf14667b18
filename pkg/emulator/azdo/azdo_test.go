package azdo

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask sends a request as it is given: "METHOD URL", headers as "Name: value".
func ask(t *testing.T, s *Server, request, body string, headers ...string) (status int, contentType, answer string) {
	t.Helper()
	method, address, _ := strings.Cut(request, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := s.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(text)
}

const (
	bearer = "Authorization: Bearer job-token"
	asJSON = "Content-Type: application/json;charset=utf-8"
)

// TestStrict lists what a client gets wrong, and how it hears of it.
func TestStrict(t *testing.T) {
	const site, project = "https://dev.azure.com/example", "https://dev.azure.com/example/Example"
	token := "POST " + New(Options{}).OIDCRequestURI()
	for _, tt := range []struct {
		name, request, body string
		headers             []string
		status              int
		says                string
	}{
		{"no version", "GET " + project + "/_apis/build/builds/1", "", []string{bearer, "Accept: application/json"}, 400, "VssVersionNotSpecifiedException"},
		{"a version of the future", "GET " + project + "/_apis/build/builds/1?api-version=9.0", "", []string{bearer}, 400, "VssVersionOutOfRangeException"},
		{"a resource version of the future", "GET " + project + "/_apis/build/builds/1?api-version=7.1-preview.9", "", []string{bearer}, 400, "VssInvalidPreviewVersionException"},
		{"a preview without its flag", "GET " + site + "/_apis/resourceAreas?api-version=5.1", "", []string{bearer}, 400, "The -preview flag must be supplied"},
		{"version in the header", "GET " + project + "/_apis/build/builds/1", "", []string{bearer, "Accept: application/json;api-version=7.1-preview.7"}, 200, `"buildNumber":"n1"`},
		{"the project by its id", "GET " + site + "/" + projectID + "/_apis/build/builds/1?api-version=7.1", "", []string{bearer}, 200, `"id":1`},
		{"another project", "GET " + site + "/Other/_apis/build/builds/1?api-version=7.1", "", []string{bearer}, 404, "VS800075"},
		{"an unknown parameter", "GET " + project + "/_apis/build/builds?buildids=1&api-version=7.1", "", []string{bearer}, 400, "takes no parameter buildids"},
		{"no such build", "GET " + project + "/_apis/build/builds/2?api-version=7.1", "", []string{bearer}, 404, "could not be found"},
		{"no such route", "GET " + project + "/_apis/build/definitions?api-version=7.1", "", []string{bearer}, 404, "was not found"},
		{"releases are elsewhere", "GET " + project + "/_apis/release/releases/1?api-version=7.1", "", []string{bearer}, 404, "was not found"},
		{"builds are not there", "GET https://vsrm.dev.azure.com/example/Example/_apis/build/builds/1?api-version=7.1", "", []string{bearer}, 404, "was not found"},
		{"a tag that cannot be removed again", "POST " + project + "/_apis/build/builds/1/tags?api-version=7.1", `["a/b"]`, []string{bearer, asJSON}, 400, "not valid"},
		{"a body that is no list", "POST " + project + "/_apis/build/builds/1/tags?api-version=7.1", `{"tags":[]}`, []string{bearer, asJSON}, 400, "not valid"},
		{"a body that is not said to be JSON", "POST " + project + "/_apis/build/builds/1/tags?api-version=7.1", `["a"]`, []string{bearer}, 415, "JSON"},
		{"an unknown member", "POST " + project + "/_apis/build/retention/leases?api-version=7.1", `[{"owner":"x"}]`, []string{bearer, asJSON}, 400, "unknown field"},
		{"a status without a name", "POST " + project + "/_apis/git/repositories/chat/commits/c/statuses?api-version=7.1", `{"state":"succeeded","context":{}}`, []string{bearer, asJSON}, 400, "context.name"},
		{"a status of another kind", "POST " + project + "/_apis/git/repositories/chat/commits/c/statuses?api-version=7.1", `{"state":"green","context":{"name":"n"}}`, []string{bearer, asJSON}, 400, "notSet, pending"},
		{"a status of a commit nowhere", "POST " + project + "/_apis/git/repositories/r/commits/c/statuses?api-version=7.1", `{"state":"failed","context":{"name":"n"}}`, []string{bearer, asJSON}, 404, "TF401019"},
		{"a status of no pull request", "POST " + project + "/_apis/git/repositories/chat/pullRequests/9/statuses?api-version=7.1", `{"state":"failed","context":{"name":"n"}}`, []string{bearer, asJSON}, 404, "TF401180"},
		{"a release without a name", "PATCH https://vsrm.dev.azure.com/example/Example/_apis/release/releases/1?api-version=7.1-preview.8", `{"name":" "}`, []string{bearer, asJSON}, 400, "VS402877"},
		{"a release's stages", "PATCH https://vsrm.dev.azure.com/example/Example/_apis/release/releases/1?api-version=7.1-preview.8", `{"environments":[]}`, []string{bearer, asJSON}, 400, "unknown field"},
		{"a token with GET", "GET " + New(Options{}).OIDCRequestURI() + "?api-version=7.1", "", []string{bearer}, 405, "does not support http method"},
		{"a token of a connection that the stage does not name", token + "?api-version=7.1&serviceConnectionId=7d0a2c6e-3e0b-4c6b-8c3f-2a61f6f2c7b5", "{}", []string{bearer, asJSON}, 400, "no explicit reference to service connection"},
		{"a token of an empty connection", token + "?api-version=7.1&serviceConnectionId=00000000-0000-0000-0000-000000000000", "{}", []string{bearer, asJSON}, 400, "no explicit reference"},
		{"no token of the job, by a browser", "GET " + site + "/_apis/resourceAreas", "", nil, 302, "Object moved"},
		{"no token of the job", "GET " + site + "/_apis/resourceAreas", "", []string{"X-TFS-FedAuthRedirect: Suppress"}, 203, "Sign In"},
		{"basic authentication", "GET " + site + "/_apis/resourceAreas", "", []string{"Authorization: Basic OmpvYi10b2tlbg==", "X-TFS-FedAuthRedirect: Suppress"}, 203, "Sign In"},
		{"another host", "GET https://example.com/", "", []string{bearer}, 404, "Page not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(Options{})
			s.AddBuild(Build{ID: 1, Number: "n1", Repository: "chat"})
			s.AddRelease(Release{ID: 1, Name: "Release-1"})
			status, contentType, answer := ask(t, s, tt.request, tt.body, tt.headers...)
			if status != tt.status || !strings.Contains(answer, tt.says) {
				t.Errorf("%d %s\n%s\nwant %d, %q", status, contentType, answer, tt.status, tt.says)
			}
			if strings.Contains(contentType, "json") {
				var v any
				if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "\xef\xbb\xbf")), &v); err != nil {
					t.Errorf("%v in %s", err, answer)
				}
			}
		})
	}
}

func TestServerHasNoTokens(t *testing.T) {
	s := New(Options{OnPremises: true})
	if s.OIDCRequestURI() != "" || s.ReleaseURL() != s.CollectionURL() {
		t.Errorf("%q, %q", s.OIDCRequestURI(), s.ReleaseURL())
	}
	status, _, answer := ask(t, s, "GET "+s.CollectionURL()+"_apis/resourceAreas?api-version=5.1-preview.1", "", bearer)
	if status != 200 || !strings.Contains(answer, `"count":0`) {
		t.Errorf("%d %s", status, answer)
	}
	if status, contentType, _ := ask(t, s, "GET "+s.CollectionURL()+"_apis/resourceAreas", ""); status != 401 || !strings.Contains(contentType, "html") {
		t.Errorf("%d %s", status, contentType)
	}
}

// The keys that are published are those that tokens are signed with; that the
// signature holds is shown where STS checks it.
func TestDiscovery(t *testing.T) {
	s := New(Options{})
	_, _, answer := ask(t, s, "GET "+s.Issuer()+"/.well-known/openid-configuration", "")
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal([]byte(answer), &discovery); err != nil || discovery.Issuer != s.Issuer() {
		t.Fatalf("%v: %s", err, answer)
	}
	if _, _, answer := ask(t, s, "GET "+discovery.Keys, ""); !strings.Contains(answer, `"kid":"emulator-1"`) {
		t.Error(answer)
	}
	if status, _, _ := ask(t, s, "GET "+s.Issuer()+"/else", ""); status != 404 {
		t.Errorf("%d", status)
	}
	if token := s.sign(s.Issuer(), "s", Audience, time.Now()); strings.Count(token, ".") != 2 {
		t.Error(token)
	}
}

func FuzzServe(f *testing.F) {
	f.Add("POST", "/example/Example/_apis/build/builds/1/properties", "api-version=7.1", `[{"op":"add","path":"/a","value":1}]`)
	f.Add("GET", "/example/Example/_apis/build/changes", "fromBuildId=1&toBuildId=1&$top=-1&api-version=7.1", "")
	f.Add("PATCH", "/example/_apis", "", "")
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		r, err := http.NewRequest(method, "https://dev.azure.com/", strings.NewReader(body))
		if err != nil {
			return // no request can be made of it
		}
		r.URL.Path, r.URL.RawQuery = path, query
		r.Header.Set("Authorization", "Bearer job-token")
		r.Header.Set("Content-Type", "application/json")
		s := New(Options{})
		s.AddBuild(Build{ID: 1, Changes: []Change{{ID: "c"}}, WorkItems: []int{1}})
		s.AddRelease(Release{ID: 1})
		if _, err := s.Transport().RoundTrip(r); err != nil {
			t.Error(err)
		}
	})
}
