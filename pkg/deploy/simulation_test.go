package deploy_test

// The simulation: whole commands, with the real clients, in worlds that a seed
// draws. At the boundary of any call ECS's own monitors or somebody else may act,
// a call may be throttled, cut, refused, answered late, or lost after it acted,
// rights may be missing, and the run may be cancelled. What the run then says is
// compared with what truly happened. See docs/simulation.md.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

var (
	seedsFlag = flag.Int("seeds", 200, "how many worlds the simulation plays")
	seedFlag  = flag.Uint64("seed", 0, "the first seed of the simulation; with -seeds 1 its timeline is printed")
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
	services  []string
	shared    bool // the services share a family
	scenarios []string
	before    string // what is under way when the run begins
	behaviour emulator.Behaviour
	denied    []string // operations
	deeds     []deed
	faults    []trouble
	cancel    *moment
}

// moment is the boundary of a call, or a time of the run where operation is empty.
type moment struct {
	operation string
	number    int
	after     bool // the call has been acted on, and its answer is on its way
	at        time.Duration
}

func (m moment) String() string {
	if m.operation == "" {
		return "after " + m.at.String()
	}
	side := "before"
	if m.after {
		side = "after"
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

// boundaries are the operations at whose calls things happen: those at which a
// decision is taken or carried out come up more often.
var boundaries = []string{
	"DescribeServices", "DescribeServices", "DescribeServices", "UpdateService", "UpdateService", "StopServiceDeployment", "StopServiceDeployment",
	"DescribeServiceDeployments", "DescribeServiceDeployments", "ListServiceDeployments", "RegisterTaskDefinition", "ListTasks", "DescribeServiceRevisions",
}

// often draws a count that is mostly small.
func often(r *rand.Rand, most int) int {
	return 1 + int(float64(most)*r.Float64()*r.Float64()*r.Float64())
}

func drawMoment(r *rand.Rand) moment {
	if r.IntN(3) == 0 {
		return moment{at: time.Duration(r.IntN(240)) * time.Second}
	}
	m := moment{operation: pick(r, boundaries...), after: r.IntN(2) == 0}
	m.number = often(r, 40)
	switch m.operation {
	case "UpdateService", "StopServiceDeployment", "RegisterTaskDefinition":
		m.number = often(r, 4)
	}
	return m
}

// draw is the world of a seed.
func draw(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 9))
	w := &world{seed: seed, behaviour: emulator.Realistic(seed), shared: r.IntN(2) == 0}
	w.command = pick(r, rollOut, rollOut, rollOut, rollOut, rollOut, rollBack, goOn)
	names := []string{"a", "b", "c", "d", "e"}
	w.services = names[:pick(r, 1, 1, 1, 1, 2, 2, 3, 5)]
	fates := []string{
		"complete", "complete", "complete", "slow", "rollback", "rollback", "failed", "crash", "crash", "stuck", "flapping", "unhealthy", "blue-green", "canary", "paused",
		"hook-failed", "alarm", "no-capacity", "no-capacity-late", "no-instance-late", "late-memory", "late-managed", "superseded", "deleted", "early-success", "classic-balancer", "breaker-at-four", "bare-start-failure", "pause-expires", "no-image",
	}
	if r.IntN(4) == 0 {
		w.behaviour = emulator.Behaviour{Seed: seed}
	}
	for range w.services {
		scenario := pick(r, fates...)
		if len(w.services) > 1 && r.IntN(2) == 0 {
			scenario = "complete" // or there would always be one that fails
		}
		if w.command == goOn {
			scenario = pick(r, "paused", "paused", "several-pauses", "pause-expires")
		}
		w.scenarios = append(w.scenarios, scenario)
	}
	w.request = deploy.Request{
		Rollout: w.command == rollOut, Wait: r.IntN(15) != 0, Timeout: pick[time.Duration](r, 4, 10, 20, 30) * time.Minute, TimeoutGiven: true,
		WhenBusy: pick(r, deploy.Wait, deploy.Wait, deploy.Supersede, deploy.Fail), MaxFailedTasks: pick(r, 0, 3, 3, 3, 5),
		RollbackOnFailure: r.IntN(4) != 0, RollbackOnCancel: r.IntN(3) != 0, PinDigest: r.IntN(3) == 0, Force: r.IntN(10) == 0,
		Until:  pick(r, rollout.UntilCompleted, rollout.UntilCompleted, rollout.UntilCompleted, rollout.UntilTraffic),
		Origin: taskdef.Provenance{Pipeline: "p1", BuildID: "3"},
	}
	for _, name := range w.services {
		w.request.Services = append(w.request.Services, deploy.Service{Cluster: simCluster, Name: name})
	}
	if w.command == rollOut || w.command == release {
		w.request.Repository, w.request.Tags = simRepository, []string{"3"}
		if r.IntN(8) == 0 {
			count := 3
			w.request.DesiredCount = &count
		}
	}
	if w.command == goOn {
		w.action = pick(r, rollout.Continue, rollout.Continue, rollout.RollBack)
	} else {
		w.before = pick(r, "", "", "", "", "", "", "theirs", "ours", "rollback")
	}
	for _, operation := range []string{"ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions", "StopServiceDeployment", "ListTasks", "DescribeTasks"} {
		if r.IntN(10) == 0 {
			w.denied = append(w.denied, operation)
		}
	}
	doings := []string{"breaker", "breaker", "breaker", "alarm", "deploy", "deploy", "deploy", "force", "stop", "stop", "scale", "delete", "kill", "answer", "refuse"}
	for range pick(r, 0, 0, 1, 1, 1, 2, 3) {
		w.deeds = append(w.deeds, deed{drawMoment(r), r.IntN(len(w.services)), pick(r, doings...)})
	}
	for range pick(r, 0, 0, 0, 1, 1, 2, 4) {
		w.faults = append(w.faults, drawTrouble(r))
	}
	if r.IntN(8) == 0 {
		m := drawMoment(r)
		w.cancel = &m
	}
	return w
}

func drawTrouble(r *rand.Rand) trouble {
	m := drawMoment(r)
	if m.operation == "" {
		m.operation, m.number = "", often(r, 100) // of any operation
	}
	t := trouble{operation: m.operation, number: m.number, long: pick(r, 1, 1, 1, 2, 3, 12)}
	t.name = pick(r, "throttled", "broken", "reset", "lost", "lost", "late", "delayed", "denied", "refused")
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
	return fmt.Sprintf("seed %d: %s %s of %v (shared family %v), scenarios %v, before %q, whenBusy %s, timeout %s, wait %v, until %s, onFailure rollback %v, onCancel rollback %v, maxFailedTasks %d, force %v, denied %v, deeds %v, faults %v, cancel %v",
		w.seed, w.command, w.action, w.services, w.shared, w.scenarios, w.before, w.request.WhenBusy, w.request.Timeout, w.request.Wait, w.request.Until, w.request.RollbackOnFailure, w.request.RollbackOnCancel,
		w.request.MaxFailedTasks, w.request.Force, w.denied, w.deeds, w.faults, w.cancel)
}

func (d deed) String() string { return fmt.Sprintf("%s of %d %s", d.name, d.service, d.moment) }
func (t trouble) String() string {
	return fmt.Sprintf("%s %s %d+%d", t.name, t.operation, t.number, t.long)
}

// play is one run in one world.
type play struct {
	*world
	*account
	mu       sync.Mutex
	began    time.Time
	story    []string
	counting sync.Mutex // calls that were under way when the run ended are still answered
	states   map[string]bool
	canceled time.Time
	stop     context.CancelCauseFunc
	done     map[int]bool         // deeds
	seen     map[string]time.Time // when a reading of the service was last acted on
	stolen   []string             // what our calls did to deployments that are not ours
	shown    []any
	result   deploy.Result
	err      error
	took     time.Duration
}

var errCanceled = errors.New("the run is cancelled")

// run plays a world to its end.
func (w *world) run(t *testing.T) *play {
	p := &play{world: w, states: map[string]bool{}, done: map[int]bool{}, seen: map[string]time.Time{}}
	p.account = newAccount(t, rand.New(rand.NewPCG(w.seed, 4)), "1", "2", "3", "4")
	defer p.Emulator.Close()
	p.prepare()
	p.line.act, p.line.acted = p.act, p.acted
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	p.stop, p.began = cancel, time.Now()
	for i, d := range w.deeds {
		if d.operation == "" {
			timer := time.AfterFunc(d.at+time.Duration(i+1)*time.Microsecond, func() { p.do(i) })
			defer timer.Stop()
		}
	}
	if w.cancel != nil && w.cancel.operation == "" {
		timer := time.AfterFunc(w.cancel.at, p.interrupt)
		defer timer.Stop()
	}
	d := p.deployer(p)
	switch w.command {
	case rollBack:
		p.result, p.err = d.RollBack(ctx, w.request, "")
	case goOn:
		p.result, p.err = d.Resume(ctx, w.request, "", w.action)
	default:
		p.result, p.err = d.Run(ctx, w.request)
	}
	p.took = time.Since(p.began)
	p.note("end: %v, error %v", p.result.Outcome(), p.err)
	for _, d := range p.History().Deployments {
		p.note("truth %s: %s of %s, created %.0f, ended %.0f, %s (%s), by %s, superseded by %q, rolled back to %q",
			d.Service, d.ID, short(d.TaskDefinition), d.Created.Sub(p.began).Seconds(), d.Ended.Sub(p.began).Seconds(), d.Status, d.Reason, short(d.Caller), d.SupersededBy, d.RolledBackTo)
	}
	for _, s := range p.result.Services {
		p.note("result %s: %s %s, revision %s, deployment %s, rollback to %q %v %s %v, error %v",
			s.Name, s.Outcome, s.Reason.Code, short(s.Revision), short(s.Deployment), short(s.Rollback.To), s.Rollback.Done, s.Rollback.Code, s.Rollback.Err, s.Err)
	}
	return p
}

// prepare makes the services, and what is under way when the run begins.
func (p *play) prepare() {
	revisions := map[string][2]string{}
	for _, name := range p.services {
		family := "app-" + name
		if p.shared {
			family = "app"
		}
		if _, made := revisions[family]; !made {
			revisions[family] = [2]string{p.define(family, "1"), p.define(family, "2")}
		}
		p.serve(name, revisions[family][0])
	}
	p.settle()
	for _, name := range p.services {
		family := "app-" + name
		if p.shared {
			family = "app"
		}
		p.move(name, revisions[family][1])
	}
	p.settle()
	time.Sleep(2 * time.Minute) // the views are up to date
	p.Behave(p.behaviour)
	for i, name := range p.services {
		if p.command == goOn {
			p.begin(i, "4")
			continue
		}
		p.play(name, p.scenarios[i])
		if i > 0 {
			continue
		}
		switch p.before {
		case "theirs":
			p.Outsider(simCluster, name).Deploy()
			time.Sleep(7 * time.Second)
		case "ours":
			p.begin(i, "3")
			time.Sleep(11 * time.Second)
		case "rollback":
			p.begin(i, "4")
			time.Sleep(23 * time.Second)
			p.Outsider(simCluster, name).TripBreaker()
			time.Sleep(3 * time.Second)
		}
	}
	if p.command == goOn {
		time.Sleep(3 * time.Minute)
	}
}

// begin has infrastructure start a deployment of another image.
func (p *play) begin(i int, tag string) {
	family := "app-" + p.services[i]
	if p.shared {
		family = "app"
	}
	p.play(p.services[i], p.scenarios[i])
	p.move(p.services[i], p.define(family, tag))
}

// note adds a line to the timeline.
func (p *play) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.story = append(p.story, fmt.Sprintf("%10.3f ", time.Since(p.began).Seconds())+fmt.Sprintf(format, args...))
}

// timeline is what happened, line by line.
func (p *play) timeline() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortStableFunc(p.story, func(a, b string) int { // what several goroutines said at one moment is in no order
		if a[:10] == b[:10] {
			return strings.Compare(a, b)
		}
		return 0
	})
	return strings.Join(p.story, "\n")
}

func (p *play) due(m moment, c *seenCall, after bool) bool {
	return m.operation != "" && m.operation == c.operation && m.number == c.number && m.after == after
}

// act implements the line's boundary before a call.
func (p *play) act(c *seenCall) fate {
	p.boundary(c, false)
	var out fate
	verb := ""
	for _, t := range p.faults {
		if (t.operation == c.operation || t.operation == "" && c.number > 3) && c.number >= t.number && c.number < t.number+t.long {
			out, verb = t.fate, ", "+t.name
		}
	}
	if slices.Contains(p.denied, c.operation) {
		out, verb = fate{fault: &emulator.Fault{Code: "AccessDeniedException"}}, ", denied"
	}
	p.note("%s %d%s", c.operation, c.number, verb)
	p.guard(c, out)
	return out
}

// acted implements the line's boundary after a call.
func (p *play) acted(c *seenCall) {
	if c.operation == "DescribeServices" && !c.failed {
		for _, name := range named(c.body, "services") {
			p.seen[name] = time.Now()
		}
	}
	p.boundary(c, true)
	switch c.operation {
	case "DescribeServices", "UpdateService", "StopServiceDeployment", "ContinueServiceDeployment", "DescribeServiceDeployments":
		p.state(c.operation)
	}
}

// boundary lets happen what is to happen now.
func (p *play) boundary(c *seenCall, after bool) {
	for i, d := range p.deeds {
		if p.due(d.moment, c, after) {
			p.do(i)
		}
	}
	if p.cancel != nil && p.due(*p.cancel, c, after) {
		p.interrupt()
	}
}

func (p *play) do(i int) {
	p.mu.Lock()
	again := p.done[i]
	p.done[i] = true
	p.mu.Unlock()
	if again {
		return
	}
	d := p.deeds[i]
	name := p.services[d.service]
	p.note("** %s: %s (%v)", name, d.name, deeds[d.name](p.Outsider(simCluster, name)))
}

func (p *play) interrupt() {
	if p.canceled.IsZero() {
		p.canceled = time.Now()
		p.note("** the run is cancelled")
		p.stop(errCanceled)
	}
}

// Section implements deploy.View.
func (p *play) Section(s deploy.Section) func() { return func() {} }

// Progress implements deploy.View.
func (p *play) Progress(int, deploy.Phase) {}

// Show implements deploy.View.
func (p *play) Show(event any) {
	p.mu.Lock()
	p.shown = append(p.shown, event)
	p.mu.Unlock()
	p.note("   %s", describe(event))
}

func describe(event any) string {
	switch e := event.(type) {
	case deploy.PlanMade:
		return "plan"
	case deploy.Happened:
		return fmt.Sprintf("%s: %T %+v", e.Service.Name, e.Event.What, e.Event.What)
	case deploy.Started:
		return fmt.Sprintf("%s: started %s of %s, new %v, reached %v, scaling %v", e.Service.Name, e.Now.ID, short(e.Now.Revision), e.Now.New, e.Now.Reached, e.Now.Scaling)
	case deploy.BusyWith:
		return fmt.Sprintf("%s: busy with %s of %s, %s, stop %v", e.Service.Name, e.Other.ID, short(e.Other.Revision), e.Do, e.Stop)
	case deploy.Interrupted:
		return fmt.Sprintf("%s: interrupted, verdict %+v, rollback %+v, error %v", e.Service.Name, e.Verdict, e.Rollback, e.Err)
	case deploy.Verified:
		return fmt.Sprintf("%s: verified %d of %d tasks", e.Service.Name, e.Proof.Verified, e.Proof.Tasks)
	case deploy.Diagnosed:
		return e.Service.Name + ": diagnosed"
	}
	return fmt.Sprintf("%T %+v", event, event)
}

func short(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// TestSimulation plays as many worlds as -seeds says.
func TestSimulation(t *testing.T) {
	workers := runtime.GOMAXPROCS(0)
	seeds := *seedsFlag
	if testing.Short() {
		seeds = min(seeds, 100)
	}
	var (
		mu      sync.Mutex
		states  = map[string]bool{}
		endings = map[string]int{}
	)
	t.Run("seeds", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint("worker", worker), func(t *testing.T) {
				t.Parallel()
				for i := worker; i < seeds; i += workers {
					seed := *seedFlag + uint64(i)
					t.Run(fmt.Sprint(seed), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							w := draw(seed)
							p := w.run(t)
							if wrong := p.judge(); len(wrong) > 0 {
								t.Errorf("%s\n%s\n%s\nreplay: go test ./pkg/deploy -run Simulation -seeds 1 -seed %d", w, p.timeline(), strings.Join(wrong, "\n"), seed)
							} else if seeds == 1 {
								t.Logf("%s\n%s", w, p.timeline())
							}
							mu.Lock()
							defer mu.Unlock()
							p.counting.Lock()
							maps.Copy(states, p.states)
							p.counting.Unlock()
							ending := string(p.result.Outcome())
							if p.err != nil {
								ending = "error"
							}
							if !p.canceled.IsZero() {
								ending = "cancelled"
							}
							endings[ending]++
						})
					})
				}
			})
		}
	})
	t.Logf("%d worlds, %d distinct states, endings %v", seeds, len(states), endings)
}
