// Package awsapi is what the emulated services of AWS have in common: the awsjson 1.1 and Query protocols, validation by the services' models, who
// signs and what that principal may do, faults that tests ask for, the log of what was answered and the record of what was changed. A service is
// handed to a [Server] and keeps its own state, under the server's one lock.
//
// What it does not do: it knows no service and nothing of what they keep; it does not verify signatures, since it knows no secret keys; and it
// opens no socket.
package awsapi

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"ecsdeploy/pkg/emulator/iam"
)

// Server is what the emulated services have in common.
type Server struct {
	region, account string
	speed           float64
	log             *slog.Logger
	Future          map[string]bool
	Services        map[string]*Service      // by the target prefix of X-Amz-Target
	queries         map[string]*QueryService // by the signing name

	// What a service asks for: before each call, to bring its state up to the present; after each call that acted; and of each request, to say
	// under which host and scheme the caller reaches the registry.
	Advance func(now time.Time)
	Acted   func(now time.Time)
	Reached func(*http.Request) (host, scheme string)

	Mu       sync.Mutex // guards everything below, and the state of every service
	Rand     *rand.Rand // ids; seeded alike every time, so that runs can be compared
	requests []Request
	changes  []Change
	faults   []*fault

	interposed  func(Call) *Fault
	interposing sync.Mutex // held while interposed is called; never with mu

	Sessions map[string]*Session     // by access key id
	policies map[string][]iam.Policy // by principal; one without any is not restricted
}

// Settings are what the emulated services have in common from the start; see the emulator's options.
type Settings struct {
	Region, Account string
	Speed           float64
	Logger          *slog.Logger
	FutureMembers   []string
}

func NewServer(o Settings) *Server {
	s := &Server{
		region: cmp.Or(o.Region, "eu-west-1"), account: cmp.Or(o.Account, "123456789012"), speed: o.Speed, log: o.Logger,
		Future: map[string]bool{}, Services: map[string]*Service{}, queries: map[string]*QueryService{},
		Advance: func(time.Time) {}, Acted: func(time.Time) {}, Reached: func(*http.Request) (string, string) { return "", "" },
		Rand: rand.New(rand.NewPCG(20, 14)), Sessions: map[string]*Session{}, policies: map[string][]iam.Policy{},
	}
	if s.speed <= 0 {
		s.speed = 1
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, m := range o.FutureMembers {
		s.Future[m] = true
	}
	return s
}

// Handle has the server answer a JSON service under its prefix of X-Amz-Target.
func (e *Server) Handle(prefix string, svc *Service) { e.Services[prefix] = svc }

// HandleQuery has the server answer a service that speaks the Query protocol.
func (e *Server) HandleQuery(svc *QueryService) { e.queries[svc.Name] = svc }

// Region returns the region all resources are in.
func (e *Server) Region() string { return e.region }

// Account returns the account all resources are in.
func (e *Server) Account() string { return e.account }

// Request is one call that was answered.
type Request struct {
	Time      time.Time
	Service   string // ecs, ecr, logs, sts, codedeploy, elasticloadbalancing or registry
	Operation string // UpdateService; for the registry: Ping, HeadBlob, GetBlob, StartUpload, UploadChunk, FinishUpload, MountBlob, GetUpload, CancelUpload, HeadManifest, GetManifest, PutManifest, DeleteManifest, ListTags
	Body      []byte // what was sent; nil for the registry
	Method    string
	Path      string
	Host      string
	Status    int    // of the answer; 0 where the connection was cut
	Error     string // error code of the answer, if it was one
	Received  int64  // length of the body, for the registry too
}

// maxRequests bounds the memory of an emulator that runs for days.
const maxRequests = 20_000

// Requests returns the calls answered so far, oldest first.
func (e *Server) Requests() []Request {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	return append([]Request(nil), e.requests...)
}

// Record notes one answered call. It must be called without e.mu.
func (e *Server) Record(r Request) {
	e.Mu.Lock()
	if len(e.requests) >= maxRequests {
		e.requests = append(e.requests[:0], e.requests[maxRequests/2:]...)
	}
	e.requests = append(e.requests, r)
	e.Mu.Unlock()
	e.log.Debug("answered", "service", r.Service, "operation", r.Operation, "status", r.Status, "error", r.Error)
}

// ARN names a resource of service in this account and region.
func (e *Server) ARN(service, resource string) string {
	return "arn:aws:" + service + ":" + e.region + ":" + e.account + ":" + resource
}

// Scaled turns emulated time into real time.
func (e *Server) Scaled(d time.Duration) time.Duration {
	return max(time.Duration(float64(d)/e.speed), 1)
}

// Stranger is the principal of everybody else.
func (e *Server) Stranger() string { return "arn:aws:iam::" + e.account + ":user/somebody-else" }

// Forget drops the log of what was answered.
func (e *Server) Forget() {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.requests = nil
}

// Recorded are the changes on record, oldest first. It must be called with the lock held.
func (e *Server) Recorded() []Change { return slices.Clone(e.changes) }
