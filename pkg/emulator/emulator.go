// Package emulator is Amazon ECR, Amazon ECS, AWS STS, CloudWatch Logs, AWS CodeDeploy and the target groups of Elastic Load Balancing in one
// http.Handler: enough of each for an image to be pushed and a service to be rolled out, with no account and no internet, and as strict as the
// services themselves. What they refuse it refuses, with their error code and their words; what they fill in (task definition defaults, image
// digests, deployment ids, service events) it fills in.
//
// ECR is the API and a real registry behind its authorization, and every repository lives in one store that both show. ECS plays rollouts: time is
// time.Now, and the state of every task and deployment is brought up to date on each request, so there are no goroutines and nothing sleeps; inside
// a testing/synctest bubble a half-hour rollout takes milliseconds. How a rollout goes is decided by a [Scenario].
//
// What it does not do: it runs no containers; it checks that a request is signed, and for which region and service, but not the signature itself;
// principals without policies may do everything ([Emulator.Restrict] gives them some); nothing but image layers outlives the process; services with
// the EXTERNAL controller exist but are never rolled out; load balancers and alarms are names; and its timing is plausible, not AWS's.
// In one way it is stricter than AWS, where the protocol lets a service ignore members it does not know: it refuses them, because a misspelt
// member that is silently ignored is a bug that no test would find. [Options.FutureMembers] names the exceptions.
package emulator

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"ecsdeploy/pkg/emulator/iam"
)

// Options configures an [Emulator]. The zero value is a working one.
type Options struct {
	Region    string // of every resource; "" means eu-west-1
	Account   string // twelve digits; "" means 123456789012
	Directory string // where image layers are kept; "" keeps them in memory
	Logger    *slog.Logger

	// Speed is how many times faster than real time rollouts go; 0 means 1. Timestamps stay real.
	Speed float64

	// FutureMembers names members that the emulated service knows and the SDK's model does not, so that a test can show that a field AWS
	// adds next year survives. Each is a bare name ("gpuSlices"), accepted in any structure with any value.
	FutureMembers []string

	// Behaviour is how the services behave where AWS leaves it open; [Emulator.Behave] changes it.
	Behaviour Behaviour
}

// Emulator is the emulated services and all their state. It is safe for concurrent use. Make it inside the synctest bubble it is used in.
type Emulator struct {
	region, account string
	speed           float64
	log             *slog.Logger
	future          map[string]bool
	services        map[string]*awsService   // by the target prefix of X-Amz-Target
	queries         map[string]*queryService // by the signing name
	store           *blobStore

	mu       sync.Mutex // guards everything below
	rand     *rand.Rand // ids; seeded alike every time, so that runs can be compared
	chance   *rand.Rand // what [Behaviour] leaves to chance
	requests []Request
	changes  []Change

	behaviour Behaviour
	faults    []*fault

	interposed  func(Call) *Fault
	interposing sync.Mutex // held while interposed is called; never with mu

	scripts     []script
	taskScripts []taskScript
	registry    registryState
	ecs         ecsState
	logs        logsState

	codedeploy codeDeployState
	events     eventBridge
	scheduler  scheduler
	sessions   map[string]*session     // by access key id
	policies   map[string][]iam.Policy // by principal; one without any is not restricted
}

// New makes an emulator with nothing in it.
func New(o Options) (*Emulator, error) {
	store, err := newBlobStore(o.Directory)
	if err != nil {
		return nil, err
	}
	e := &Emulator{
		region:   orDefault(o.Region, "eu-west-1"),
		account:  orDefault(o.Account, "123456789012"),
		speed:    o.Speed,
		log:      o.Logger,
		future:   map[string]bool{},
		store:    store,
		rand:     rand.New(rand.NewPCG(20, 14)),
		sessions: map[string]*session{},
		policies: map[string][]iam.Policy{},
	}
	if e.speed <= 0 {
		e.speed = 1
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	for _, m := range o.FutureMembers {
		e.future[m] = true
	}
	e.events.arn = e.arn
	e.services = map[string]*awsService{
		"AWSEvents":                            e.events.service(),
		"AmazonEC2ContainerServiceV20141113":   ecsService(),
		"AmazonEC2ContainerRegistry_V20150921": ecrService(),
		"Logs_20140328":                        logsService(),
		"CodeDeploy_20141006":                  codeDeployService(),
	}
	e.queries = map[string]*queryService{"sts": stsService(), "elasticloadbalancing": elbService()}
	e.behaviour, e.chance = o.Behaviour, rand.New(rand.NewPCG(o.Behaviour.Seed, 2))
	e.registry.init()
	e.ecs.init()
	e.logs.init()
	return e, nil
}

// Close removes what uploads in progress left behind. Finished layers in [Options.Directory] stay.
func (e *Emulator) Close() error { return e.store.close() }

// Region returns the region all resources are in.
func (e *Emulator) Region() string { return e.region }

// Account returns the account all resources are in.
func (e *Emulator) Account() string { return e.account }

// ServeHTTP answers as the service that the request is for: the registry under /v2/, the JSON services by X-Amz-Target, STS and
// Elastic Load Balancing, which take forms, by what the request is signed for.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
		e.serveRegistry(w, r)
	case r.URL.Path == "/schedules" || strings.HasPrefix(r.URL.Path, "/schedules/"):
		e.serveScheduler(w, r)
	case r.Header.Get("X-Amz-Target") != "":
		e.serveJSON(w, r)
	case r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		e.serveQuery(w, r)
	default:
		http.Error(w, "This is the emulator of ECR, ECS, CodeDeploy, Elastic Load Balancing, STS and CloudWatch Logs: point AWS_ENDPOINT_URL here.", http.StatusNotFound)
	}
}

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
func (e *Emulator) Requests() []Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Request(nil), e.requests...)
}

// record notes one answered call. It must be called without e.mu.
func (e *Emulator) record(r Request) {
	e.mu.Lock()
	if len(e.requests) >= maxRequests {
		e.requests = append(e.requests[:0], e.requests[maxRequests/2:]...)
	}
	e.requests = append(e.requests, r)
	e.mu.Unlock()
	e.log.Debug("answered", "service", r.Service, "operation", r.Operation, "status", r.Status, "error", r.Error)
}

// arn names a resource of service in this account and region.
func (e *Emulator) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + e.region + ":" + e.account + ":" + resource
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
