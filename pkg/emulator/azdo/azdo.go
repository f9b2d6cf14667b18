// Package azdo is the server side of Azure DevOps as far as a deployment meets it, in one http.Handler: builds, their changes, work items, tags,
// properties, retention leases and timelines, pull requests, statuses, classic releases, and OIDC tokens with a real signing key and discovery document.
//
// It plays Azure DevOps Services, where releases and the issuer of tokens have hosts of their own, and Azure DevOps Server, where everything is below one
// collection's URL. It is as strict as the documented JSON: an API version is required, unknown members of a body and unknown parameters are refused,
// a request without the job's token gets a sign-in page.
//
// What it does not do: it runs no pipelines, has no other APIs, and evaluates no permissions except those that [Server.Deny] takes away.
package azdo

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options configures a [Server]. The zero value is Azure DevOps Services.
type Options struct {
	OnPremises bool // Azure DevOps Server

	// URL is the collection's: "" means https://dev.azure.com/example, or https://tfs.example.com/tfs/DefaultCollection for Azure DevOps Server.
	URL string
	// ReleaseURL is that of the host that has releases; "" means https://vsrm.dev.azure.com/example. Azure DevOps Server has none.
	ReleaseURL string
	// Issuer of OIDC tokens; "" means https://vstoken.dev.azure.com/ and a GUID.
	Issuer string

	Project  string // "" means Example
	Pipeline string // "" means chat-app
	Token    string // of the job; "" means "job-token"

	Refusal Refusal // of a request without the job's token
}

// Refusal is how a request is answered whose token is not accepted.
type Refusal int

// The refusals seen in public.
const (
	SignInPage Refusal = iota // 203 and a page, as Services do
	HTML401                   // 401 and a page, as Server does
	JSON401                   // 401 and TF400813
)

// The job and the plan of the run, as the agent's stand-in names them.
const (
	PlanID    = "7c7b9d4b-1c0b-4d68-a0ea-6a7a8a9b9f55"
	JobID     = "12f1170f-54f2-53f3-20dd-22fc7dff55f9"
	projectID = "a3a0c7d4-6f52-4c2e-9a58-5b0f4f4e6c10"
	tenantID  = "6b1f3c52-2b36-4d6e-8f0c-0c8d1c2b7a01"
)

// Audience is that of all OIDC tokens.
const Audience = "api://AzureADTokenExchange"

// Server is Azure DevOps and its state. It is safe for concurrent use.
type Server struct {
	o   Options
	key func() *rsa.PrivateKey // made when it is first needed, which takes a while

	mu          sync.Mutex
	builds      map[int]*Build
	workItems   map[int]WorkItem
	pulls       []PullRequest
	releases    map[int]*Release
	connections map[string]string // name by id, lower case
	leases      []Lease
	statuses    []Status
	denied      map[string]bool
	faults      []*Fault
	requests    []Request
	lastLease   int
}

// Build is a run of a build pipeline.
type Build struct {
	ID           int
	Number       string
	DefinitionID int
	Definition   string
	Repository   string // its name; its id is made of it
	// RepositoryType is TfsGit where it is empty: Azure Repos.
	RepositoryType string
	Commit         string
	Status         string // "" means inProgress
	Result         string // of a completed one
	Deleted        bool
	Changes        []Change // that this build has and the one before it had not
	WorkItems      []int
	Tags           []string
	Properties     map[string]any
	Timeline       []Record
}

// Change is a commit.
type Change struct {
	ID, Message, Author string
	Time                time.Time
}

// Record is an entry of a build's timeline.
type Record struct{ ID, ParentID, Type, State, Result string }

// WorkItem is a work item.
type WorkItem struct {
	ID                 int
	Type, Title, State string
}

// PullRequest is a pull request that was merged as a commit.
type PullRequest struct {
	ID            int
	Title, Author string
	Merge         string // the commit
}

// Release is a classic release with one stage.
type Release struct {
	ID            int
	Name          string
	EnvironmentID int
	Status        string // of the stage; "" means inProgress
	Artifacts     []Artifact
}

// Artifact is a build that a release deploys.
type Artifact struct {
	Alias   string
	Build   int
	Primary bool
}

// Lease is a retention lease.
type Lease struct {
	ID, RunID, DefinitionID, DaysValid int
	OwnerID                            string
}

// Status is one of a commit or of a pull request.
type Status struct {
	Commit      string // empty for a pull request
	PullRequest int
	State       string
	Name, Genre string
	Description string
	TargetURL   string
}

// Request is one that was answered.
type Request struct {
	Method, Host, Path, Query string
	Body                      string
	Status                    int
}

// Fault makes requests fail whose path contains a text.
type Fault struct {
	Path        string // part of it; with a method before it: "POST /oidctoken"
	Status      int
	ContentType string // "" means application/json; charset=utf-8
	Body        string
	Header      http.Header
	Hang        bool // no answer until the caller gives up
	Times       int  // how many requests; 0 is every one
}

// New makes a server with nothing in it.
func New(o Options) *Server {
	if o.OnPremises {
		o.URL = cmp.Or(o.URL, "https://tfs.example.com/tfs/DefaultCollection")
		o.ReleaseURL = o.URL
		if o.Refusal == SignInPage {
			o.Refusal = HTML401
		}
	}
	o.URL = strings.TrimRight(cmp.Or(o.URL, "https://dev.azure.com/example"), "/")
	o.ReleaseURL = strings.TrimRight(cmp.Or(o.ReleaseURL, "https://vsrm.dev.azure.com/example"), "/")
	o.Issuer = cmp.Or(o.Issuer, "https://vstoken.dev.azure.com/"+tenantID)
	o.Project, o.Pipeline, o.Token = cmp.Or(o.Project, "Example"), cmp.Or(o.Pipeline, "chat-app"), cmp.Or(o.Token, "job-token")
	return &Server{
		o: o, key: sync.OnceValue(newKey),
		builds: map[int]*Build{}, workItems: map[int]WorkItem{}, releases: map[int]*Release{},
		connections: map[string]string{}, denied: map[string]bool{},
	}
}

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key
}

// CollectionURL is System.TeamFoundationCollectionUri.
func (s *Server) CollectionURL() string { return s.o.URL + "/" }

// ReleaseURL is the URL of a classic release's own connection.
func (s *Server) ReleaseURL() string { return s.o.ReleaseURL + "/" }

// Issuer is that of the OIDC tokens.
func (s *Server) Issuer() string { return s.o.Issuer }

// Project is the name of the project.
func (s *Server) Project() string { return s.o.Project }

// Token is the job's.
func (s *Server) Token() string { return s.o.Token }

// OIDCRequestURI is System.OidcRequestUri; Azure DevOps Server has none.
func (s *Server) OIDCRequestURI() string {
	if s.o.OnPremises {
		return ""
	}
	return s.o.URL + "/" + projectID + "/_apis/distributedtask/hubs/build/plans/" + PlanID + "/jobs/" + JobID + "/oidctoken"
}

// AddBuild adds or replaces a build.
func (s *Server) AddBuild(b Build) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.builds[b.ID] = &b
}

// AddWorkItem adds a work item.
func (s *Server) AddWorkItem(w WorkItem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workItems[w.ID] = w
}

// AddPullRequest adds a pull request.
func (s *Server) AddPullRequest(p PullRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulls = append(s.pulls, p)
}

// AddRelease adds or replaces a release.
func (s *Server) AddRelease(r Release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releases[r.ID] = &r
}

// AddConnection adds a service connection that the stage of the job references.
func (s *Server) AddConnection(id, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections[strings.ToLower(id)] = name
}

// Build returns a copy of a build; the zero value where there is none.
func (s *Server) Build(id int) Build {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.builds[id]; b != nil {
		return *b
	}
	return Build{}
}

// Release returns a copy of a release; the zero value where there is none.
func (s *Server) Release(id int) Release {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.releases[id]; r != nil {
		return *r
	}
	return Release{}
}

// Leases returns the retention leases, oldest first.
func (s *Server) Leases() []Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.leases)
}

// Statuses returns those of commits and pull requests, oldest first.
func (s *Server) Statuses() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statuses)
}

// Requests returns what was answered so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Deny takes a permission from the job's identity, by the name that the pages show: "Edit build quality".
func (s *Server) Deny(permission string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[permission] = true
}

// Fail makes requests fail.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Transport returns a RoundTripper that hands requests to the server without sockets.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	t.handler.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

// Serves reports whether a URL is one of this server's, so that a test can tell its requests from those to AWS.
func (s *Server) Serves(u *url.URL) bool {
	return slices.ContainsFunc([]string{s.o.URL, s.o.ReleaseURL, s.o.Issuer}, func(base string) bool { return hostOf(base) == u.Host })
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Host
}

// apiError is an error in the form of Azure DevOps.
type apiError struct {
	status           int
	typeKey, message string
}

func (e *apiError) Error() string { return e.message }

func refuse(status int, typeKey, format string, args ...any) error {
	return &apiError{status, typeKey, fmt.Sprintf(format, args...)}
}

func (e *apiError) body() []byte {
	b, err := json.Marshal(map[string]any{
		"$id": "1", "innerException": nil, "message": e.message,
		"typeName": "Microsoft.VisualStudio.Services.Common." + e.typeKey + ", Microsoft.VisualStudio.Services.Common",
		"typeKey":  e.typeKey, "errorCode": 0, "eventId": 3000,
	})
	if err != nil {
		panic(err) // a map of texts and numbers
	}
	return b
}
