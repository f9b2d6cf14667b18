package azdo

// From a request to an answer: hosts, tokens, API versions, routes.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// location is an API resource as OPTIONS lists it. The ids are those of azure-devops-go-api.
type location struct {
	ID              string `json:"id"`
	Area            string `json:"area"`
	ResourceName    string `json:"resourceName"`
	RouteTemplate   string `json:"routeTemplate"`
	ResourceVersion int    `json:"resourceVersion"`
	MinVersion      string `json:"minVersion"`
	MaxVersion      string `json:"maxVersion"`
	ReleasedVersion string `json:"releasedVersion"`

	release bool // on the host of releases
	methods map[string]handler
}

// request is one that has passed all checks that hold for every resource.
type request struct {
	route map[string]string
	query url.Values
	body  []byte
}

// handler answers a request. parameters are those that it takes in the query.
type handler struct {
	parameters string // separated by spaces
	permission string
	do         func(*Server, request) (any, error)
}

func (s *Server) locations() []location {
	newest := "7.1"
	if s.o.OnPremises {
		newest = "7.0" // Azure DevOps Server 2022
	}
	build := func(id, template string, version int, methods map[string]handler) location {
		return location{ID: id, Area: "build", ResourceName: resourceOf(template), RouteTemplate: template, ResourceVersion: version, methods: methods}
	}
	all := []location{
		{ID: "e81700f7-3be2-46de-8624-2eb35882fcaa", Area: "Location", ResourceName: "ResourceAreas", RouteTemplate: "_apis/{resource}/{areaId}", ResourceVersion: 1,
			ReleasedVersion: "0.0", methods: map[string]handler{"GET": {"", "", (*Server).resourceAreas}}},
		build("0cd358e1-9217-4d94-8269-1c1ee6f93dcf", "{project}/_apis/build/Builds/{buildId}", 7, map[string]handler{
			"GET": {"propertyFilters buildIds deletedFilter definitions tagFilters $top continuationToken", "View builds", (*Server).getBuilds}}),
		build("f10f0ea5-18a1-43ec-a8fb-2042c7be9b43", "{project}/_apis/build/changes", 2, map[string]handler{
			"GET": {"fromBuildId toBuildId $top", "View builds", (*Server).changesBetween}}),
		build("52ba8915-5518-42e3-a4bb-b0182d159e2d", "{project}/_apis/build/workitems", 2, map[string]handler{
			"GET": {"fromBuildId toBuildId $top", "View builds", (*Server).workItemsBetween}}),
		build("6e6114b2-8161-44c8-8f6c-c5505782427f", "{project}/_apis/build/Builds/{buildId}/tags", 3, map[string]handler{
			"POST": {"", "Edit build quality", (*Server).addTags}}),
		build("0a6312e9-0627-49b7-8083-7d74a64849c9", "{project}/_apis/build/Builds/{buildId}/properties", 1, map[string]handler{
			"PATCH": {"", "Update build information", (*Server).patchProperties}}),
		build("8baac422-4c6e-4de5-8532-db96d92acffa", "{project}/_apis/build/Builds/{buildId}/timeline", 2, map[string]handler{
			"GET": {"", "View builds", (*Server).timeline}}),
		build("272051e4-9af1-45b5-ae22-8d960a5539d4", "{project}/_apis/build/retention/leases", 2, map[string]handler{
			"GET":    {"ownerId definitionId runId", "View builds", (*Server).getLeases},
			"POST":   {"", "Retain indefinitely", (*Server).addLeases},
			"DELETE": {"ids", "Retain indefinitely", (*Server).deleteLeases}}),
		{ID: "72c7ddf8-2cdc-4f60-90cd-ab71c14a399b", Area: "wit", ResourceName: "workItems", RouteTemplate: "{project}/_apis/wit/workItems", ResourceVersion: 3,
			methods: map[string]handler{"GET": {"ids fields errorPolicy", "View work items in this node", (*Server).getWorkItems}}},
		{ID: "b3a6eebe-9cf0-49ea-b6cb-1a4c5f5007b0", Area: "git", ResourceName: "pullRequestQuery", RouteTemplate: "{project}/_apis/git/repositories/{repositoryId}/pullRequestQuery", ResourceVersion: 1,
			methods: map[string]handler{"POST": {"", "Read", (*Server).queryPullRequests}}},
		{ID: "428dd4fb-fda5-4722-af02-9313b80305da", Area: "git", ResourceName: "statuses", RouteTemplate: "{project}/_apis/git/repositories/{repositoryId}/commits/{commitId}/statuses", ResourceVersion: 1,
			methods: map[string]handler{"POST": {"", "Contribute", (*Server).commitStatus}}},
		{ID: "b5f6bb4f-8d1e-4d79-8d11-4c9172c99c35", Area: "git", ResourceName: "pullRequestStatuses", RouteTemplate: "{project}/_apis/git/repositories/{repositoryId}/pullRequests/{pullRequestId}/statuses", ResourceVersion: 1,
			methods: map[string]handler{"POST": {"", "Contribute to pull requests", (*Server).pullRequestStatus}}},
		{ID: "a166fde7-27ad-408e-ba75-703c2cc9d500", Area: "Release", ResourceName: "releases", RouteTemplate: "{project}/_apis/Release/releases/{releaseId}", ResourceVersion: 8, release: true,
			methods: map[string]handler{"GET": {"", "View releases", (*Server).getRelease},
				// https://learn.microsoft.com/rest/api/azure/devops/release/releases/update-release-resource
				"PATCH": {"", "Manage releases", (*Server).patchRelease}}},
	}
	if !s.o.OnPremises {
		all = append(all, location{ID: "69a319f4-28c1-4bfd-93e6-ea0ff5c6f1a2", Area: "distributedtask", ResourceName: "oidctoken", ResourceVersion: 1,
			RouteTemplate: "{scopeIdentifier}/_apis/distributedtask/hubs/{hubName}/plans/{planId}/jobs/{jobId}/oidctoken",
			methods:       map[string]handler{"POST": {"serviceConnectionId", "", (*Server).oidcToken}}})
	}
	for i := range all {
		all[i].MinVersion, all[i].MaxVersion = "2.0", newest
		if all[i].ReleasedVersion == "" {
			all[i].ReleasedVersion = newest
		}
	}
	return all
}

func resourceOf(template string) string {
	parts := strings.Split(template, "/")
	for _, p := range slices.Backward(parts) {
		if !strings.HasPrefix(p, "{") {
			return p
		}
	}
	return ""
}

const maxBody = 1 << 20

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	status := s.serve(w, r, body)
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.Method, r.Host, r.URL.Path, r.URL.RawQuery, string(body), status})
	s.mu.Unlock()
}

// serve writes the answer and returns its status; 0 where nobody waits for it any more.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, body []byte) int {
	write := func(status int, contentType string, body []byte) int {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-TFS-Session", PlanID)
		w.WriteHeader(status)
		w.Write(body)
		return status
	}
	const asJSON, asHTML = "application/json; charset=utf-8; api-version=7.1", "text/html; charset=utf-8"
	if f := s.fault(r); f != nil {
		if f.Hang {
			<-r.Context().Done()
			return 0
		}
		for name, values := range f.Header {
			w.Header()[name] = values
		}
		contentType := f.ContentType
		if contentType == "" {
			contentType = asJSON
		}
		return write(f.Status, contentType, []byte(f.Body))
	}
	base, path, found := s.base(r)
	if !found {
		return write(http.StatusNotFound, asHTML, []byte("<html><body>404 - Page not found</body></html>"))
	}
	if base == s.o.Issuer {
		document, err := s.wellKnown(path)
		if err != nil {
			return write(http.StatusNotFound, asHTML, []byte("<html>Not found</html>"))
		}
		return write(http.StatusOK, asJSON, document)
	}
	if r.Header.Get("Authorization") != "Bearer "+s.o.Token {
		switch {
		case s.o.Refusal == JSON401:
			e := &apiError{http.StatusUnauthorized, "UnauthorizedRequestException", "TF400813: The user '' is not authorized to access this resource."}
			return write(e.status, asJSON, e.body())
		case s.o.Refusal == HTML401:
			w.Header().Set("WWW-Authenticate", "Bearer")
			return write(http.StatusUnauthorized, asHTML, []byte("<html><head><title>401 - Unauthorized</title></head><body>Access is denied.</body></html>"))
		case r.Header.Get("X-TFS-FedAuthRedirect") != "Suppress":
			w.Header().Set("Location", s.o.URL+"/_signin?realm="+url.QueryEscape(r.Host))
			return write(http.StatusFound, asHTML, []byte(`<html><head><title>Object moved</title></head><body><h2>Object moved to <a href="/_signin">here</a>.</h2></body></html>`))
		default:
			return write(http.StatusNonAuthoritativeInfo, asHTML, []byte("<!DOCTYPE html><html><head><title>Azure DevOps Services | Sign In</title></head></html>"))
		}
	}
	out, err := s.answer(r, base, path, body)
	if err != nil {
		e, ok := err.(*apiError)
		if !ok {
			e = &apiError{http.StatusBadRequest, "VssServiceException", err.Error()}
		}
		if raw, ok := strings.CutPrefix(e.typeKey, "raw:"); ok { // an error that is not in the usual form
			return write(e.status, asJSON, []byte(raw))
		}
		return write(e.status, asJSON, e.body())
	}
	if out == nil {
		return write(http.StatusNoContent, asJSON, nil)
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // answers are values that can be written
	}
	return write(http.StatusOK, asJSON, append([]byte("\xef\xbb\xbf"), text...)) // with a byte order mark, as some answers have
}

// fault takes the first fault that is due for a request.
func (s *Server) fault(r *http.Request) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !strings.Contains(r.Method+" "+r.URL.Path, f.Path) {
			if method, part, ok := strings.Cut(f.Path, " "); !ok || method != r.Method || !strings.Contains(r.URL.Path, part) {
				continue
			}
		}
		taken := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return &taken
	}
	return nil
}

// base finds which of the base URLs a request is for, and the path below it.
func (s *Server) base(r *http.Request) (base, path string, found bool) {
	for _, base := range []string{s.o.Issuer, s.o.URL, s.o.ReleaseURL} {
		u, err := url.Parse(base)
		if err != nil || u.Host != r.Host {
			continue
		}
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), strings.TrimRight(u.EscapedPath(), "/")+"/")
		if ok {
			return base, rest, true
		}
	}
	return "", "", false
}

func (s *Server) answer(r *http.Request, base, path string, body []byte) (any, error) {
	if path == "_apis" && r.Method == http.MethodOptions {
		var list []location
		for _, l := range s.locations() {
			if s.has(base, l) {
				list = append(list, l)
			}
		}
		return collection(list), nil
	}
	for _, l := range s.locations() {
		route, ok := l.match(path)
		if !ok || !s.has(base, l) {
			continue
		}
		h, ok := l.methods[r.Method]
		if !ok {
			return nil, refuse(http.StatusMethodNotAllowed, "VssRequestMethodNotSupportedException", "The requested resource does not support http method '%s'.", r.Method)
		}
		if err := l.checkVersion(r); err != nil {
			return nil, err
		}
		project := route["project"]
		if project == "" {
			project = route["scopeIdentifier"]
		}
		if project != "" && !strings.EqualFold(project, s.o.Project) && !strings.EqualFold(project, projectID) {
			return nil, refuse(http.StatusNotFound, "ProjectDoesNotExistWithNameException", "VS800075: The project with id '%s' does not exist, or you do not have permission to access it.", project)
		}
		for name := range r.URL.Query() {
			if name != "api-version" && !slices.Contains(strings.Fields(h.parameters), name) {
				return nil, refuse(http.StatusBadRequest, "VssPropertyValidationException", "%s %s takes no parameter %s", r.Method, l.RouteTemplate, name)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.permitted(h.permission, route); err != nil {
			return nil, err
		}
		if len(body) > 0 && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			return nil, refuse(http.StatusUnsupportedMediaType, "UnsupportedMediaTypeException", "The request contains an entity body but no JSON Content-Type.")
		}
		return h.do(s, request{route, r.URL.Query(), body})
	}
	return nil, refuse(http.StatusNotFound, "VssResourceNotFoundException", "The controller for path '/%s' was not found or does not implement IController.", path)
}

// has reports whether a resource is at a base URL. On Server all are at the collection's.
func (s *Server) has(base string, l location) bool {
	switch {
	case s.o.OnPremises || l.Area == "distributedtask":
		return true
	case base == s.o.ReleaseURL:
		return l.release
	default:
		return !l.release
	}
}

// match compares a path with the route's template; the parts in braces at its end may be missing.
func (l location) match(path string) (map[string]string, bool) {
	template := strings.ReplaceAll(l.RouteTemplate, "{resource}", l.ResourceName)
	route := map[string]string{}
	parts, values := strings.Split(template, "/"), strings.Split(path, "/")
	if len(values) > len(parts) {
		return nil, false
	}
	for i, p := range parts {
		name, isValue := strings.CutPrefix(p, "{")
		name = strings.TrimSuffix(name, "}")
		switch {
		case i >= len(values):
			if !isValue {
				return nil, false
			}
		case isValue:
			v, err := url.PathUnescape(values[i])
			if err != nil || v == "" {
				return nil, false
			}
			route[name] = v
		case !strings.EqualFold(p, values[i]):
			return nil, false
		}
	}
	return route, true
}

var apiVersion = regexp.MustCompile(`api-version=([0-9.]+)(-preview(?:\.(\d+))?)?`)

// checkVersion refuses a request as the version negotiation of Azure DevOps does.
func (l location) checkVersion(r *http.Request) error {
	text := r.Header.Get("Accept")
	if v := r.URL.Query().Get("api-version"); v != "" {
		text = "api-version=" + v
	}
	m := apiVersion.FindStringSubmatch(text)
	switch {
	case m == nil:
		return refuse(http.StatusBadRequest, "VssVersionNotSpecifiedException", "No api-version was supplied for the \"%s\" request. The version must be supplied either as part of the Accept header (e.g. \"application/json; api-version=1.0\") or as a query parameter (e.g. \"?api-version=1.0\").", r.Method)
	case m[1] > l.MaxVersion:
		return refuse(http.StatusBadRequest, "VssVersionOutOfRangeException", "The requested REST API version of %s is out of range for this server. The latest REST API version this server supports is %s.", m[1], l.MaxVersion)
	case m[2] == "" && m[1] > l.ReleasedVersion:
		return refuse(http.StatusBadRequest, "VssInvalidPreviewVersionException", "The requested version \"%s\" of the resource is under preview. The -preview flag must be supplied in the api-version for such requests. For example: \"%s-preview\"", m[1], m[1])
	}
	if n, err := strconv.Atoi(m[3]); err == nil && n > l.ResourceVersion {
		return refuse(http.StatusBadRequest, "VssInvalidPreviewVersionException", "The requested resource version %d is not supported; the latest is %d.", n, l.ResourceVersion)
	}
	return nil
}

// permitted words a refusal as each part of Azure DevOps does. It is called with s.mu held.
func (s *Server) permitted(permission string, route map[string]string) error {
	if !s.denied[permission] {
		return nil
	}
	service := fmt.Sprintf("%s Build Service (%s)", s.o.Project, s.o.URL[strings.LastIndexByte(s.o.URL, '/')+1:])
	switch permission {
	case "Edit build quality":
		return refuse(http.StatusForbidden, "AccessDeniedException", "Access denied. %s needs Edit build quality permissions for vstfs:///Build/Build/%s in team project %s to perform the action.", service, route["buildId"], s.o.Project)
	case "Read", "Contribute", "Contribute to pull requests":
		return refuse(http.StatusForbidden, "GitNeedsPermissionException", "TF401027: You need the Git '%s' permission to perform this action. Details: identity 'Build\\%s', scope 'repository'.", gitRights[permission], projectID)
	case "View releases", "Manage releases":
		return refuse(http.StatusForbidden, "InvalidRequestException", "VS402904: Access denied: %s does not have %s permission", service, strings.ToLower(permission))
	case "View work items in this node":
		return refuse(http.StatusUnauthorized, "UnauthorizedAccessException", "TF401232: Work items do not exist, or you do not have permissions to read them.")
	}
	return refuse(http.StatusForbidden, "AccessDeniedException", "TF215106: Access denied. %s needs %s permissions for build pipeline 17:chat-app in team project %s to perform the action.", service, permission, s.o.Project)
}

var gitRights = map[string]string{"Read": "GenericRead", "Contribute": "GenericContribute", "Contribute to pull requests": "PullRequestContribute"}

// decode reads a body strictly.
func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "VssPropertyValidationException", "The body of the request is not valid: %v", err)
	}
	if decoder.More() {
		return refuse(http.StatusBadRequest, "VssPropertyValidationException", "The body of the request has more than one value")
	}
	return nil
}

func collection[T any](list []T) map[string]any {
	if list == nil {
		list = []T{}
	}
	return map[string]any{"count": len(list), "value": list}
}
