// The server that all services stand behind: their state's one lock, who calls, what is denied or made to fail, and the log of what was answered.
// A service is handed to it with [Server.handle] and keeps its own state.

package emulator

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
	future          map[string]bool
	services        map[string]*awsService   // by the target prefix of X-Amz-Target
	queries         map[string]*queryService // by the signing name

	// What a service asks for: before each call, to bring its state up to the present; after each call that acted; and of each request, to say
	// under which host and scheme the caller reaches the registry.
	advance func(now time.Time)
	acted   func(now time.Time)
	reached func(*http.Request) (host, scheme string)

	mu       sync.Mutex // guards everything below, and the state of every service
	rand     *rand.Rand // ids; seeded alike every time, so that runs can be compared
	requests []Request
	changes  []Change
	faults   []*fault

	interposed  func(Call) *Fault
	interposing sync.Mutex // held while interposed is called; never with mu

	sessions map[string]*session     // by access key id
	policies map[string][]iam.Policy // by principal; one without any is not restricted
}

// Settings are what the emulated services have in common from the start; see the emulator's Options.
type Settings struct {
	Region, Account string
	Speed           float64
	Logger          *slog.Logger
	FutureMembers   []string
}

func newServer(o Settings) *Server {
	s := &Server{
		region: cmp.Or(o.Region, "eu-west-1"), account: cmp.Or(o.Account, "123456789012"), speed: o.Speed, log: o.Logger,
		future: map[string]bool{}, services: map[string]*awsService{}, queries: map[string]*queryService{},
		advance: func(time.Time) {}, acted: func(time.Time) {}, reached: func(*http.Request) (string, string) { return "", "" },
		rand: rand.New(rand.NewPCG(20, 14)), sessions: map[string]*session{}, policies: map[string][]iam.Policy{},
	}
	if s.speed <= 0 {
		s.speed = 1
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, m := range o.FutureMembers {
		s.future[m] = true
	}
	return s
}

// handle has the server answer a JSON service under its prefix of X-Amz-Target.
func (e *Server) handle(prefix string, svc *awsService) { e.services[prefix] = svc }

// handleQuery has the server answer a service that speaks the Query protocol.
func (e *Server) handleQuery(svc *queryService) { e.queries[svc.name] = svc }

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
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Request(nil), e.requests...)
}

// record notes one answered call. It must be called without e.mu.
func (e *Server) record(r Request) {
	e.mu.Lock()
	if len(e.requests) >= maxRequests {
		e.requests = append(e.requests[:0], e.requests[maxRequests/2:]...)
	}
	e.requests = append(e.requests, r)
	e.mu.Unlock()
	e.log.Debug("answered", "service", r.Service, "operation", r.Operation, "status", r.Status, "error", r.Error)
}

// arn names a resource of service in this account and region.
func (e *Server) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + e.region + ":" + e.account + ":" + resource
}

// scaled turns emulated time into real time.
func (e *Server) scaled(d time.Duration) time.Duration {
	return max(time.Duration(float64(d)/e.speed), 1)
}

// stranger is the principal of everybody else.
func (e *Server) stranger() string { return "arn:aws:iam::" + e.account + ":user/somebody-else" }

// forget drops the log of what was answered.
func (e *Server) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = nil
}

// recorded are the changes on record, oldest first. It must be called with the lock held.
func (e *Server) recorded() []Change { return slices.Clone(e.changes) }
