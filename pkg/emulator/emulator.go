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
// the EXTERNAL controller exist but are never rolled out; load balancers balance nothing, and alarms are names; and its timing is plausible, not AWS's.
// In one way it is stricter than AWS, where the protocol lets a service ignore members it does not know: it refuses them, because a misspelt
// member that is silently ignored is a bug that no test would find. [Options.FutureMembers] names the exceptions.
package emulator

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/emulator/account"
	"ecsdeploy/pkg/emulator/awsapi"
	"ecsdeploy/pkg/emulator/codedeploy"
	"ecsdeploy/pkg/emulator/ecr"
	"ecsdeploy/pkg/emulator/ecs"
	"ecsdeploy/pkg/emulator/elb"
	"ecsdeploy/pkg/emulator/events"
	"ecsdeploy/pkg/emulator/iam"
	"ecsdeploy/pkg/emulator/logs"
	"ecsdeploy/pkg/emulator/scheduler"
	"ecsdeploy/pkg/emulator/sts"
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
	server     *awsapi.Server
	ecs        *ecs.ECS
	ecr        *ecr.ECR
	logs       *logs.Logs
	codedeploy *codedeploy.CodeDeploy
	elb        *elb.ELB
	events     *events.EventBridge
	scheduler  *scheduler.Scheduler
	sts        *sts.STS
	account    *account.Account
}

// New makes an emulator with nothing in it.
func New(o Options) (*Emulator, error) {
	store, err := ecr.NewStore(o.Directory)
	if err != nil {
		return nil, err
	}
	server := awsapi.NewServer(awsapi.Settings{Region: o.Region, Account: o.Account, Speed: o.Speed, Logger: o.Logger, FutureMembers: o.FutureMembers})
	e := &Emulator{server: server, ecr: ecr.New(server, store), logs: logs.New(server)}
	e.ecs = ecs.New(server, e.ecr, e.logs)
	e.codedeploy = codedeploy.New(server, e.ecs)
	e.elb = elb.New(server, e.ecs, e.codedeploy.Listeners)
	e.sts = sts.New(server)
	e.events = events.New(server)
	e.scheduler = scheduler.New(server)
	e.account = account.New(server)
	e.Behave(o.Behaviour)
	return e, nil
}

// Close removes what uploads in progress left behind. Finished layers in [Options.Directory] stay.
func (e *Emulator) Close() error { return e.ecr.Store.Close() }

// Fail makes calls of an operation fail: "ecs:UpdateService", "sts:AssumeRole", "registry:PutManifest" (see [Request]), or "ecs:*" for all of a
// service. Faults of the same operation are taken one after the other.
func (e *Emulator) Fail(operation string, f Fault) { e.server.Fail(operation, f) }

// Mend ends all faults of an operation, given as it was to [Emulator.Fail].
func (e *Emulator) Mend(operation string) { e.server.Mend(operation) }

// Interpose has f called for every request before it is acted on, and before the faults of [Emulator.Fail]. What f returns, if not nil, becomes of
// that call; its Times, Skip and Every do not count. f may use every method of the emulator, and is called by one request at a time. Nil ends it.
func (e *Emulator) Interpose(f func(Call) *Fault) { e.server.Interpose(f) }

// Restrict gives a principal its policies, in the place of those that it had; none lifts every restriction. The principal is the ARN of a user or
// of a role, whose sessions it is then about.
func (e *Emulator) Restrict(principal string, policies ...iam.Policy) {
	e.server.Restrict(principal, policies...)
}

// Lack has the account not have roles and parameters, by their names, and secrets, by their ids. Otherwise whatever is asked about is there.
func (e *Emulator) Lack(names ...string) { e.account.Lack(names...) }

// Renew gives parameters, by their names, and secrets, by their ARNs, a new version.
func (e *Emulator) Renew(names ...string) { e.account.Renew(names...) }

// RolePath has a role, given by its name, be under a path, such as /service-role/.
func (e *Emulator) RolePath(role, path string) { e.account.Path(role, path) }

// AddOIDCProvider adds an identity provider to the account.
func (e *Emulator) AddOIDCProvider(p OIDCProvider) { e.sts.AddOIDCProvider(p) }

// TrustRole sets the trust policy of a role, a JSON document. It holds for AssumeRoleWithWebIdentity only; a role without one trusts no token.
func (e *Emulator) TrustRole(arn, policy string) error { return e.sts.TrustRole(arn, policy) }

// Region returns the region all resources are in.
func (e *Emulator) Region() string { return e.server.Region() }

// Account returns the account all resources are in.
func (e *Emulator) Account() string { return e.server.Account() }

// User is the ARN of who signs with access keys that AssumeRole did not hand out.
func (e *Emulator) User() string { return e.server.User() }

// Requests returns the calls answered so far, oldest first.
func (e *Emulator) Requests() []Request { return e.server.Requests() }

// FailEntry has EventBridge take the next requests that put targets of a rule, so many times, and not the targets themselves.
func (e *Emulator) FailEntry(rule, code, message string, times int) {
	e.events.FailEntry(rule, code, message, times)
}

// Script sets how the next deployments of a service go, by the names of cluster and service; "" stands for every one, and for one-off tasks.
// It is in force until the next call for the same names. The deployment that comes with a service's creation, deployments under way, and going back
// to a task definition that this service has run successfully before, are not touched by it: the old revision stays healthy, so that a rollback
// works. What a scenario sets on the service (circuit breaker, strategy, alarms) stays on it until another one, or UpdateService, sets it anew.
func (e *Emulator) Script(cluster, service string, s Scenario) {
	e.ecs.Script(cluster, service, s)
}

// ScriptTasks sets what becomes of the next one-off tasks of a task definition family, by the names of cluster and family; "" is any. It goes
// before what [Emulator.Script] says for every service. A fate that neither exits nor has a reason ends with exit code 0 after ten seconds, or, where
// it is Starting, runs until it is stopped.
func (e *Emulator) ScriptTasks(cluster, family string, s Scenario) {
	e.ecs.ScriptTasks(cluster, family, s)
}

// Outsider returns somebody else, by the names of a cluster and a service.
func (e *Emulator) Outsider(cluster, service string) Outsider {
	return e.ecs.Outsider(cluster, service)
}

// MakeExpress turns a service, by the names of cluster and service, into an Express service.
func (e *Emulator) MakeExpress(cluster, service string, x Express) error {
	return e.ecs.MakeExpress(cluster, service, x)
}

// Transport returns a RoundTripper whose every request is answered by e. A connection that e cuts ([Reset]) is the error
// "connection reset by peer" as over TCP.
func (e *Emulator) Transport() http.RoundTripper { return awsapi.NewTransport(e) }

// Behave sets how the services behave from now on. Deployments under way keep the lags that they have drawn.
func (e *Emulator) Behave(b Behaviour) {
	e.server.Mu.Lock()
	defer e.server.Mu.Unlock()
	e.ecs.Behave(b)
	e.ecr.RefusesRepeated = b.RefuseRepeatedPut
}

// SetScan sets what scans of a repository's images find from now on, also of images that are there. They take 20 s after the push.
func (e *Emulator) SetScan(repository string, scan Scan) error {
	return e.ecr.SetScan(repository, scan)
}

// SetSigning sets how the signing jobs of a repository's images go that are pushed from now on. They take 10 s.
func (e *Emulator) SetSigning(repository string, s Signing) error {
	return e.ecr.SetSigning(repository, s)
}

// AddKey has KMS have a key for repositories, under an alias where one is given.
func (e *Emulator) AddKey(id, alias string) { e.ecr.AddKey(id, alias) }

// Retag moves a tag of a repository to another image of it, as somebody's push under the same tag does; also where tags are immutable, as after
// a deletion.
func (e *Emulator) Retag(repository, tag, digest string) error {
	return e.ecr.Retag(repository, tag, digest)
}

// LoadsLazily says of how many layers of an image Fargate would load only what a task reads, by the image's SOCI index, and by an error why it
// would load all of it first. The architecture is amd64 or arm64.
func (e *Emulator) LoadsLazily(repository, reference, architecture string) (layers int, err error) {
	return e.ecr.LoadsLazily(repository, reference, ecr.Platform{OS: "linux", Architecture: architecture})
}

// History returns what truly happened so far. State is brought up to the present first.
func (e *Emulator) History() History {
	e.server.Mu.Lock()
	defer e.server.Mu.Unlock()
	e.server.Advance(time.Now())
	h := History{Changes: e.server.Recorded(), Deployments: append(e.ecs.Records(), e.codedeploy.Records()...)}
	slices.SortStableFunc(h.Deployments, func(a, b DeploymentRecord) int { return a.Created.Compare(b.Created) })
	return h
}

// ServeHTTP answers as the service that the request is for: the application behind a load balancer by its host name, the registry under /v2/, the JSON services by X-Amz-Target, STS and
// Elastic Load Balancing, which take forms, by what the request is signed for.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case elb.IsApplication(r):
		e.elb.ServeApplication(w, r)
	case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
		e.ecr.ServeRegistry(w, r)
	case r.URL.Path == "/schedules" || strings.HasPrefix(r.URL.Path, "/schedules/"):
		e.scheduler.Serve(w, r)
	case r.Header.Get("X-Amz-Target") != "":
		e.server.ServeJSON(w, r)
	case r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		e.server.ServeQuery(w, r)
	default:
		http.Error(w, "This is the emulator of ECR, ECS, CodeDeploy, Elastic Load Balancing, STS and CloudWatch Logs: point AWS_ENDPOINT_URL here.", http.StatusNotFound)
	}
}
