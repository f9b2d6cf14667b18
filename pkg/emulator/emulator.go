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
	"net/http"
	"slices"
	"strings"
	"time"
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
	*Server
	*ECS
	ecr        *ECR
	logs       *Logs
	codedeploy *CodeDeploy
	scheduler  *Scheduler
	*STS
}

// New makes an emulator with nothing in it.
func New(o Options) (*Emulator, error) {
	store, err := newBlobStore(o.Directory)
	if err != nil {
		return nil, err
	}
	server := newServer(o)
	e := &Emulator{Server: server, ecr: newECR(server, store), logs: newLogs(server)}
	e.ECS = newECS(server, e.ecr, e.logs)
	e.codedeploy = newCodeDeploy(server, e.ECS)
	newELB(server, e.ECS)
	e.STS = newSTS(server)
	newEventBridge(server)
	e.scheduler = newScheduler(server)
	e.Behave(o.Behaviour)
	return e, nil
}

// Close removes what uploads in progress left behind. Finished layers in [Options.Directory] stay.
func (e *Emulator) Close() error { return e.ecr.store.close() }

// Fail makes calls of an operation fail: "ecs:UpdateService", "sts:AssumeRole", "registry:PutManifest" (see [Request]), or "ecs:*" for all of a
// service. Faults of the same operation are taken one after the other.
func (e *Emulator) Fail(operation string, f Fault) { e.Server.Fail(operation, f) }

// Behave sets how the services behave from now on. Deployments under way keep the lags that they have drawn.
func (e *Emulator) Behave(b Behaviour) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.behave(b)
	e.ecr.refusesRepeated = b.RefuseRepeatedPut
}

// Retag moves a tag of a repository to another image of it, as somebody's push under the same tag does; also where tags are immutable, as after
// a deletion.
func (e *Emulator) Retag(repository, tag, digest string) error {
	return e.ecr.retag(repository, tag, digest)
}

// History returns what truly happened so far. State is brought up to the present first.
func (e *Emulator) History() History {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.advance(time.Now())
	h := History{Changes: slices.Clone(e.changes), Deployments: append(e.ECS.records(), e.codedeploy.records()...)}
	slices.SortStableFunc(h.Deployments, func(a, b DeploymentRecord) int { return a.Created.Compare(b.Created) })
	return h
}

// ServeHTTP answers as the service that the request is for: the registry under /v2/, the JSON services by X-Amz-Target, STS and
// Elastic Load Balancing, which take forms, by what the request is signed for.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
		e.ecr.serveRegistry(w, r)
	case r.URL.Path == "/schedules" || strings.HasPrefix(r.URL.Path, "/schedules/"):
		e.scheduler.serve(w, r)
	case r.Header.Get("X-Amz-Target") != "":
		e.serveJSON(w, r)
	case r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		e.serveQuery(w, r)
	default:
		http.Error(w, "This is the emulator of ECR, ECS, CodeDeploy, Elastic Load Balancing, STS and CloudWatch Logs: point AWS_ENDPOINT_URL here.", http.StatusNotFound)
	}
}
