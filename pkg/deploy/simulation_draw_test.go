package deploy_test

// What a seed draws: the services and how their deployments go, the run and its
// inputs, and everything that may come in between. A change here gives all seeds
// other worlds.

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/probe"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// command is what is simulated.
type command string

const (
	rollOut  command = "rollout"
	release  command = "deploy"
	rollBack command = "rollback"
	goOn     command = "resume"
)

// world is what a seed draws.
type world struct {
	seed      uint64
	command   command
	request   deploy.Request
	action    rollout.Action // of resume
	pushed    bool           // an earlier run of command deploy has pushed the image already
	services  []string
	groups    []*group // of each service: how CodeDeploy deploys to it; nil where ECS does
	shared    bool     // the services share a family
	scenarios []string
	before    string // what is under way when the run begins
	behaviour emulator.Behaviour
	denied    []string // operations
	deeds     []deed
	faults    []trouble
	cancel    *moment
	smoke     *smokeFate    // of the smoke test; nil for none
	lateness  time.Duration // for which readings show a service as it was before it was changed
}

// moment is the boundary of a call, or some time after it; the moment at which the run
// says something, where operation is one of sayings; or a time of the run where it is
// empty.
type moment struct {
	operation string
	number    int
	after     bool          // the call has been acted on, and its answer is on its way
	at        time.Duration // after the boundary, or after the beginning of the run
}

func (m moment) String() string {
	if m.operation == "" {
		return "after " + m.at.String()
	}
	side := "before"
	if m.after {
		side = "after"
	}
	if m.at > 0 {
		side = m.at.String() + " after"
	}
	return fmt.Sprintf("%s %s %d", side, m.operation, m.number)
}

// deed is what ECS or somebody else does to a service at some moment.
type deed struct {
	moment
	service int
	name    string
}

// trouble is what befalls calls of one operation.
type trouble struct {
	operation    string
	number, long int
	name         string
	fate         fate
}

// deeds are what may be done to a service.
var deeds = map[string]func(emulator.Outsider) bool{
	"breaker": emulator.Outsider.TripBreaker,
	"alarm":   func(o emulator.Outsider) bool { return o.RaiseAlarm(emulator.DemoAlarm) },
	"deploy":  emulator.Outsider.Deploy,
	"force":   emulator.Outsider.Force,
	"stop":    emulator.Outsider.Stop,
	"scale":   func(o emulator.Outsider) bool { return o.Scale(3) },
	"delete":  emulator.Outsider.Delete,
	"kill":    emulator.Outsider.KillTask,
	"answer":  func(o emulator.Outsider) bool { return o.Answer("CONTINUE") },
	"refuse":  func(o emulator.Outsider) bool { return o.Answer("ROLLBACK") },
}

// pick draws one of some things, each as likely as it is frequent in the list.
func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// group is how CodeDeploy deploys to a service.
type group struct {
	configuration string // of the deployment: how the traffic is shifted
	waits         bool   // for an answer, before it is
	keep          int32  // minutes for which the previous tasks stay
	rollsBack     bool   // by itself, after a failure or an alarm
	hook          bool   // a function looks at the new tasks
}

func (g *group) String() string {
	if g == nil {
		return "ECS"
	}
	return fmt.Sprintf("CodeDeploy%+v", *g)
}

func drawGroup(r *rand.Rand, paused bool) *group {
	return &group{
		configuration: "CodeDeployDefault.ECS" + pick(r, "AllAtOnce", "AllAtOnce", "Canary10Percent5Minutes", "Linear10PercentEvery1Minutes"),
		waits:         paused || r.IntN(6) == 0, keep: pick[int32](r, 0, 1, 1, 5, 60), rollsBack: r.IntN(3) != 0, hook: r.IntN(4) == 0,
	}
}

// codeDeploy reports whether CodeDeploy deploys to one of the services at least.
func (w *world) codeDeploy() bool {
	return slices.ContainsFunc(w.groups, func(g *group) bool { return g != nil })
}

// boundaries are the operations at whose calls things happen: those at which a
// decision is taken or carried out come up more often.
var boundaries = []string{
	"DescribeServices", "DescribeServices", "DescribeServices", "UpdateService", "UpdateService", "StopServiceDeployment", "StopServiceDeployment",
	"DescribeServiceDeployments", "DescribeServiceDeployments", "ListServiceDeployments", "RegisterTaskDefinition", "ListTasks", "DescribeServiceRevisions",
}

// codeDeployBoundaries and registryBoundaries come beside them where CodeDeploy
// deploys, and where an image is pushed.
var (
	codeDeployBoundaries = []string{
		"GetDeployment", "GetDeployment", "GetDeployment", "CreateDeployment", "CreateDeployment", "StopDeployment", "StopDeployment", "BatchGetDeploymentGroups",
		"GetDeploymentTarget", "ContinueDeployment", "GetApplicationRevision",
	}
	registryBoundaries = []string{"HEAD", "GET", "POST", "PATCH", "PUT", "PUT", "BatchGetImage", "BatchCheckLayerAvailability", "GetAuthorizationToken"}
)

// often draws a count that is mostly small.
func often(r *rand.Rand, most int) int {
	return 1 + int(float64(most)*r.Float64()*r.Float64()*r.Float64())
}

func (w *world) drawMoment(r *rand.Rand) moment {
	if r.IntN(3) == 0 {
		return moment{at: time.Duration(r.IntN(240)) * time.Second}
	}
	all := boundaries
	if w.codeDeploy() {
		all = slices.Concat(all, codeDeployBoundaries)
	}
	if w.command == release {
		all = slices.Concat(all, registryBoundaries)
	}
	m := moment{operation: pick(r, all...), after: r.IntN(2) == 0}
	m.number = often(r, 40)
	switch m.operation {
	case "UpdateService", "StopServiceDeployment", "RegisterTaskDefinition", "CreateDeployment", "StopDeployment", "ContinueDeployment":
		m.number = often(r, 4)
		if r.IntN(3) == 0 { // while what was begun is in progress
			m.at = time.Duration(1+r.IntN(90)) * time.Second
		}
	}
	return m
}

// fates are the scenarios of deployments, and fatesOfCodeDeploy those in which ECS
// does not deploy.
var (
	fates = []string{
		"complete", "complete", "complete", "slow", "rollback", "rollback", "failed", "crash", "crash", "stuck", "flapping", "unhealthy", "blue-green", "canary", "paused",
		"hook-failed", "alarm", "no-capacity", "no-capacity-late", "no-instance-late", "late-memory", "late-managed", "superseded", "deleted", "early-success", "classic-balancer", "breaker-at-four", "bare-start-failure", "pause-expires", "no-image",
	}
	fatesOfCodeDeploy = []string{
		"complete", "complete", "complete", "slow", "crash", "crash", "stuck", "flapping", "unhealthy", "hook-failed", "alarm", "alarm", "no-capacity", "no-capacity-late", "bare-start-failure", "no-image",
	}
)

// draw is the world of a seed.
func draw(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 9))
	w := &world{seed: seed, behaviour: emulator.Realistic(seed), shared: r.IntN(2) == 0}
	w.command = pick(r, rollOut, rollOut, rollOut, rollOut, rollOut, release, release, rollBack, goOn)
	names := []string{"a", "b", "c", "d", "e"}
	w.services = names[:pick(r, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5)]
	if r.IntN(4) == 0 {
		w.behaviour = emulator.Behaviour{Seed: seed}
	}
	w.drawServices(r)
	w.drawRequest(r)
	if w.command == goOn {
		w.action = pick(r, rollout.Continue, rollout.Continue, rollout.RollBack)
	} else {
		w.before = pick(r, "", "", "", "", "", "", "theirs", "ours", "rollback")
	}
	w.pushed = w.command == release && (w.before == "ours" || r.IntN(4) == 0)
	w.drawDisorder(r)
	return w
}

// smokeFate is what comes of a smoke test.
type smokeFate struct {
	fails bool
	takes time.Duration
}

// drawTested is the world of a seed with a smoke test. Most of its services pause, or
// have somewhere else a moment of their own at which it runs.
func drawTested(seed uint64) *world {
	w, r := draw(seed), rand.New(rand.NewPCG(seed, 12))
	if w.command == rollBack {
		w.command = rollOut
		w.request.Rollout, w.request.Repository, w.request.Tags = true, simRepository, []string{released}
	}
	for i, g := range w.groups {
		if g == nil && w.command != goOn && r.IntN(2) == 0 {
			w.scenarios[i] = pick(r, "paused", "paused", "several-pauses", "pause-expires", "blue-green", "canary", "alarm", "hook-failed")
		}
	}
	w.smoke = &smokeFate{fails: r.IntN(3) == 0, takes: time.Duration(often(r, 240)) * time.Second}
	w.request.SmokeTests = []deploy.SmokeTest{{Check: probe.Check{URL: "https://app.example/health"}}}
	return w
}

// drawLate is the world of a seed in which views are late. In some of them the run is
// cancelled right after it has changed something.
func drawLate(seed uint64) *world {
	w, r := draw(seed), rand.New(rand.NewPCG(seed, 11))
	w.lateness = time.Duration(500+r.IntN(7000)) * time.Millisecond
	if r.IntN(5) == 0 {
		operation := pick(r, "UpdateService", "UpdateService", "StopServiceDeployment")
		if w.codeDeploy() {
			operation = pick(r, operation, "CreateDeployment", "StopDeployment")
		}
		w.cancel = &moment{operation: operation, number: 1 + r.IntN(len(w.services)), after: true, at: time.Duration(r.IntN(4000)) * time.Millisecond}
	}
	return w
}

// drawServices draws who deploys to each service, and how that goes.
func (w *world) drawServices(r *rand.Rand) {
	codeDeploy := pick(r, 0, 0, 0, 0, 1, 2) // of two services
	for range w.services {
		var g *group
		if r.IntN(2) < codeDeploy {
			g = drawGroup(r, w.command == goOn)
		}
		scenario := pick(r, fates...)
		if g != nil {
			scenario = pick(r, fatesOfCodeDeploy...)
		}
		switch {
		case w.command == goOn && g != nil:
			scenario = pick(r, "complete", "complete", "alarm")
		case w.command == goOn:
			scenario = pick(r, "paused", "paused", "several-pauses", "pause-expires")
		case len(w.services) > 1 && r.IntN(2) == 0:
			scenario = "complete" // or there would always be one that fails
		}
		w.scenarios, w.groups = append(w.scenarios, scenario), append(w.groups, g)
	}
}

func (w *world) drawRequest(r *rand.Rand) {
	moves := w.command == rollOut || w.command == release
	w.request = deploy.Request{
		Rollout: moves, Push: w.command == release, Wait: r.IntN(15) != 0, Timeout: pick[time.Duration](r, 4, 10, 20, 30) * time.Minute, TimeoutGiven: true,
		WhenBusy: pick(r, deploy.Wait, deploy.Wait, deploy.Supersede, deploy.Fail), MaxFailedTasks: pick(r, 0, 3, 3, 3, 5),
		RollbackOnFailure: r.IntN(4) != 0, RollbackOnCancel: r.IntN(3) != 0, PinDigest: r.IntN(3) == 0, Force: r.IntN(10) == 0 && !w.codeDeploy(),
		Until:  pick(r, rollout.UntilCompleted, rollout.UntilCompleted, rollout.UntilCompleted, rollout.UntilTraffic),
		Origin: taskdef.Provenance{Pipeline: "p1", BuildID: "3"},
	}
	for _, name := range w.services {
		w.request.Services = append(w.request.Services, deploy.Service{Cluster: simCluster, Name: name})
	}
	if !moves {
		return
	}
	w.request.Repository, w.request.Tags = simRepository, []string{"3"}
	if len(w.services) > 1 && r.IntN(5) == 0 {
		w.request.Order = []deploy.Precedence{{First: w.request.Services[0], Then: w.request.Services[1]}}
	}
	if count := 3; r.IntN(8) == 0 && !w.codeDeploy() {
		w.request.DesiredCount = &count
	}
}

// drawDisorder draws what disturbs the run: missing rights, what others do, what
// becomes of calls, and its cancellation.
func (w *world) drawDisorder(r *rand.Rand) {
	optional := []string{"ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions", "StopServiceDeployment", "ListTasks", "DescribeTasks"}
	if w.codeDeploy() {
		optional = append(optional, "GetDeploymentTarget", "GetApplicationRevision", "StopDeployment")
	}
	for _, operation := range optional {
		if r.IntN(10) == 0 {
			w.denied = append(w.denied, operation)
		}
	}
	if r.IntN(8) == 0 { // a right is taken away while the run is under way
		t := trouble{operation: pick(r, optional...), number: 1 + often(r, 15), long: forGood}
		w.faults = append(w.faults, misfortune(r, t, "denied"))
	}
	doings := []string{"breaker", "breaker", "breaker", "alarm", "deploy", "deploy", "deploy", "force", "stop", "stop", "scale", "delete", "kill", "answer", "refuse"}
	for range pick(r, 0, 0, 1, 1, 1, 2, 3) {
		w.deeds = append(w.deeds, deed{w.drawMoment(r), r.IntN(len(w.services)), pick(r, doings...)})
	}
	for range pick(r, 0, 0, 0, 1, 1, 2, 4) {
		w.faults = append(w.faults, w.drawTrouble(r))
	}
	if r.IntN(6) == 0 {
		w.drawRace(r)
	}
	if r.IntN(8) == 0 {
		m := w.drawMoment(r)
		w.cancel = &m
	}
}

// drawRace draws that something happens to a service right at a call that changes it,
// which fails.
func (w *world) drawRace(r *rand.Rand) {
	changes := []string{"UpdateService", "StopServiceDeployment"}
	if w.codeDeploy() {
		changes = append(changes, "CreateDeployment", "StopDeployment")
	}
	at := moment{operation: pick(r, changes...), number: 1, after: r.IntN(2) == 0}
	if r.IntN(4) > 0 {
		w.faults = append(w.faults, misfortune(r, trouble{operation: at.operation, number: 1, long: pick(r, 1, 1, 2, 30, forGood)}, pick(r, "lost", "refused", "denied", "throttled", "broken")))
	}
	if r.IntN(2) == 0 {
		at = moment{operation: pick(r, sayings...), number: 1 + r.IntN(len(w.services))}
	}
	w.deeds = append(w.deeds, deed{at, r.IntN(len(w.services)), pick(r, "deploy", "deploy", "force", "breaker", "alarm", "stop", "delete", "refuse")})
}

// sayings are events of the run between a decision and the call that carries it out.
var sayings = []string{"deploy.Registered", "deploy.Started", "deploy.Diagnosed", "deploy.Diagnosed", "deploy.Failing", "deploy.RollingBack"}

// forGood is how many calls a trouble lasts that does not end.
const forGood = 1 << 20

func (w *world) drawTrouble(r *rand.Rand) trouble {
	m := w.drawMoment(r)
	if m.operation == "" {
		m.operation, m.number = "", often(r, 100) // of any operation
	}
	t := trouble{operation: m.operation, number: m.number, long: pick(r, 1, 1, 1, 2, 3, 12, forGood)}
	return misfortune(r, t, pick(r, "throttled", "broken", "reset", "lost", "lost", "late", "delayed", "denied", "refused"))
}

// misfortune says what befalls the calls of a trouble.
func misfortune(r *rand.Rand, t trouble, name string) trouble {
	t.name = name
	if t.long == forGood { // a right is taken away
		t.name = "denied"
	}
	switch t.name {
	case "throttled":
		t.fate.fault = &emulator.Fault{Code: "ThrottlingException"}
	case "broken":
		t.fate.fault = &emulator.Fault{Code: "ServerException"}
	case "reset":
		t.fate.fault = &emulator.Fault{Reset: true}
	case "lost":
		t.fate.fault = &emulator.Fault{Lost: true}
	case "denied":
		t.fate.fault = &emulator.Fault{Code: "AccessDeniedException"}
	case "refused":
		t.fate.fault = &emulator.Fault{Code: "InvalidParameterException", Message: "Unable to do that now."}
	case "late":
		t.fate.late = time.Duration(1+r.IntN(25)) * time.Second
	case "delayed":
		t.fate.delay = time.Duration(1+r.IntN(25)) * time.Second
	}
	return t
}

func (w *world) String() string {
	return fmt.Sprintf("seed %d: %s %s of %v (shared family %v, deployed by %v), scenarios %v, before %q, whenBusy %s, timeout %s, wait %v, until %s, onFailure rollback %v, onCancel rollback %v, maxFailedTasks %d, force %v, order %v, denied %v, deeds %v, faults %v, cancel %v, views late by %v",
		w.seed, w.command, w.action, w.services, w.shared, w.groups, w.scenarios, w.before, w.request.WhenBusy, w.request.Timeout, w.request.Wait, w.request.Until, w.request.RollbackOnFailure, w.request.RollbackOnCancel,
		w.request.MaxFailedTasks, w.request.Force, w.request.Order, w.denied, w.deeds, w.faults, w.cancel, w.lateness)
}

func (d deed) String() string { return fmt.Sprintf("%s of %d %s", d.name, d.service, d.moment) }
func (t trouble) String() string {
	return fmt.Sprintf("%s %s %d+%d", t.name, t.operation, t.number, t.long)
}
