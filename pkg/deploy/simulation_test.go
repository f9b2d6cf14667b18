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
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/emulator"
	"ecsdeploy/pkg/probe"
	"ecsdeploy/pkg/rollout"
)

var (
	seedsFlag = flag.Int("seeds", 200, "how many worlds the simulation plays")
	seedFlag  = flag.Uint64("seed", 0, "the first seed of the simulation; with -seeds 1 its timeline is printed")
	mostFlag  = flag.Int("violations", 20, "after how many worlds with a violation the simulation ends")
	fileFlag  = flag.String("progress", "", "file to which the simulation appends its progress, and each violation as it is found")
)

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
	seen     map[string]time.Time // of which time the last answered reading of the service is
	asked    map[string]time.Time // when that was asked for
	readings map[string][]reading // of services
	changing map[string]bool      // the calls that changed a service
	sayings  map[string]int       // how often the run has said what
	stolen   []string             // what our calls did to deployments that are not ours
	shown    []any
	told     map[string]time.Time // by service: that it has gone back
	ended    map[string]time.Time // by service: that its watch has ended badly
	result   deploy.Result
	err      error
	took     time.Duration
	wrong    []string // what the judge found
}

// reading is a call that reads a service, when it was made, and whether it was
// answered at once.
type reading struct {
	call     *seenCall
	at       time.Time
	answered bool
}

// atOnce is how long an answer may take: the run waits for one no longer than twice
// that.
const atOnce = 5 * time.Second

var errCanceled = errors.New("the run is cancelled")

// run plays a world to its end.
func (w *world) run(t *testing.T, imageSet *imageSet) *play {
	p := &play{world: w, states: map[string]bool{}, done: map[int]bool{}, changing: map[string]bool{}, sayings: map[string]int{}, seen: map[string]time.Time{}, asked: map[string]time.Time{}, told: map[string]time.Time{}, ended: map[string]time.Time{}, readings: map[string][]reading{}}
	tags := []string{"1", "2", "4"}
	if w.command != release || w.pushed {
		tags = append(tags, released)
	}
	if w.command == release {
		w.request.Image = imageSet.layout
	}
	p.account = newAccount(t, imageSet, rand.New(rand.NewPCG(w.seed, 4)), tags...)
	defer p.Emulator.Close()
	p.prepare()
	p.line.act, p.line.acted, p.line.past.late = p.act, p.acted, w.lateness
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
	d.Probes = page{p.smoke}
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
	for _, d := range asOfECS(p.History()).Deployments {
		p.note("truth %s: %s of %s, created %.0f, ended %.0f, %s (%s), by %s, superseded by %q, rolled back to %q",
			d.Service, d.ID, short(d.TaskDefinition), d.Created.Sub(p.began).Seconds(), d.Ended.Sub(p.began).Seconds(), d.Status, d.Reason, short(d.Caller), d.SupersededBy, d.RolledBackTo)
	}
	for _, s := range p.result.Services {
		p.note("result %s: %s %s, revision %s, deployment %s, rollback to %q %v %s %v, error %v",
			s.Name, s.Outcome, s.Reason.Code, short(s.Revision), short(s.Deployment), short(s.Rollback.To), s.Rollback.Done, s.Rollback.Code, s.Rollback.Err, s.Err)
	}
	p.wrong = p.judge()
	return p
}

// prepare makes the services, and what is under way when the run begins.
func (p *play) prepare() {
	revisions := map[string][2]string{}
	for i, name := range p.services {
		family := "app-" + name
		if p.shared {
			family = "app"
		}
		if _, made := revisions[family]; !made {
			revisions[family] = [2]string{p.define(family, "1"), p.define(family, "2")}
		}
		p.serve(name, revisions[family][0], p.groups[i])
	}
	p.settle()
	for i, name := range p.services {
		family := "app-" + name
		if p.shared {
			family = "app"
		}
		p.move(name, revisions[family][1], p.groups[i])
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
			p.begin(i, released)
			time.Sleep(11 * time.Second)
		case "rollback":
			p.begin(i, "4")
			time.Sleep(23 * time.Second)
			if p.groups[i] != nil {
				p.Outsider(simCluster, name).Stop()
			} else {
				p.Outsider(simCluster, name).TripBreaker()
			}
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
	p.move(p.services[i], p.define(family, tag), p.groups[i])
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
	if c.past != nil {
		verb += fmt.Sprintf(", as of %.3f", c.past.at.Sub(p.began).Seconds())
	}
	p.note("%s %d%s", c.operation, c.number, verb)
	for _, name := range p.reads(c) {
		p.readings[name] = append(p.readings[name], reading{call: c, at: c.truth()})
	}
	p.guard(c, out)
	return out
}

// reads are the services of which a call reads what is necessary: of those to which
// CodeDeploy deploys that is the deployment too.
func (p *play) reads(c *seenCall) []string {
	switch c.operation {
	case "DescribeServices":
		return named(c.body, "services")
	case "GetDeployment":
		for _, d := range p.History().Deployments {
			if slices.Contains(named(c.body, "deploymentId"), d.ID) {
				return []string{d.Service}
			}
		}
	}
	return nil
}

// acted implements the line's boundary after a call.
func (p *play) acted(c *seenCall) {
	if c.operation == "DescribeServices" && !c.failed {
		for _, name := range named(c.body, "services") {
			p.seen[name], p.asked[name] = c.truth(), time.Now()
		}
	}
	for _, all := range p.readings {
		for i := range all {
			if all[i].call == c {
				all[i].answered = !c.failed && !c.late && time.Since(all[i].at) < atOnce
			}
		}
	}
	p.boundary(c, true)
	switch c.operation {
	case "DescribeServices", "UpdateService", "StopServiceDeployment", "ContinueServiceDeployment", "DescribeServiceDeployments", "CreateDeployment", "StopDeployment", "ContinueDeployment", "GetDeployment":
		p.state(c.operation)
	}
}

// boundary lets happen what is to happen now.
func (p *play) boundary(c *seenCall, after bool) {
	for i, d := range p.deeds {
		if p.due(d.moment, c, after) {
			p.later(d.at, func() { p.do(i) })
		}
	}
	if p.cancel != nil && p.due(*p.cancel, c, after) {
		p.later(p.cancel.at, p.interrupt)
	}
}

// later does something now, or after a time.
func (p *play) later(after time.Duration, do func()) {
	if after == 0 {
		do()
		return
	}
	timer := time.AfterFunc(after+time.Microsecond, do)
	p.Cleanup(func() { timer.Stop() })
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
	p.past.keep(p.aws, d.name+" "+name)
	p.note("** %s: %s (%v)", name, d.name, deeds[d.name](p.Outsider(simCluster, name)))
}

func (p *play) interrupt() {
	if p.canceled.IsZero() {
		p.canceled = time.Now()
		p.note("** the run is cancelled")
		p.stop(errCanceled)
	}
}

// page is what a smoke test asks.
type page struct{ *smokeFate }

// Run implements deploy.Prober.
func (p page) Run(ctx context.Context, _ probe.Check, show func(probe.Attempt)) (probe.Attempt, error) {
	select {
	case <-ctx.Done():
		return probe.Attempt{}, context.Cause(ctx)
	case <-time.After(p.takes):
	}
	a := probe.Attempt{Number: 1, Of: 1, Outcome: probe.Passed, Status: 200}
	if p.fails {
		a.Outcome, a.Status = probe.WrongStatus, 500
	}
	show(a)
	return a, nil
}

// Section implements deploy.View.
func (p *play) Section(s deploy.Section) func() { return func() {} }

// Progress implements deploy.View.
func (p *play) Progress(int, deploy.Phase) {}

// Show implements deploy.View.
func (p *play) Show(event any) {
	p.mu.Lock()
	p.shown = append(p.shown, event)
	if back, is := event.(deploy.RollbackEnded); is && back.Rollback.Done {
		p.told[back.Service.Name] = time.Now()
	}
	if ended, is := event.(deploy.Diagnosed); is { // right after the watch has ended
		p.ended[ended.Service.Name] = time.Now()
	}
	p.mu.Unlock()
	p.note("   %s", describe(event))
	p.said(fmt.Sprintf("%T", event))
}

// said is the boundary at which the run says something.
func (p *play) said(what string) {
	if !slices.Contains(sayings, what) {
		return
	}
	p.mu.Lock()
	p.sayings[what]++
	c := &seenCall{operation: what, number: p.sayings[what]}
	p.mu.Unlock()
	p.boundary(c, false)
}

func describe(event any) string {
	switch e := event.(type) {
	case deploy.PlanMade:
		return "plan"
	case deploy.Happened:
		if stage, is := e.Event.What.(rollout.Stage); is {
			traffic := -1.0
			if stage.Traffic != nil {
				traffic = *stage.Traffic
			}
			return fmt.Sprintf("%s: stage %s, traffic %.0f%%, left %s", e.Service.Name, stage.Name, traffic, stage.Left)
		}
		return fmt.Sprintf("%s: %T %+v", e.Service.Name, e.Event.What, e.Event.What)
	case deploy.Started:
		return fmt.Sprintf("%s: started %s of %s, new %v, reached %v, scaling %v", e.Service.Name, e.Now.ID, short(e.Now.Revision), e.Now.New, e.Now.Reached, e.Now.Scaling)
	case deploy.BusyWith:
		return fmt.Sprintf("%s: busy with %s of %s, %s, stop %v", e.Service.Name, e.Other.ID, short(e.Other.Revision), e.Do, e.Stop)
	case deploy.Interrupted:
		return fmt.Sprintf("%s: interrupted, verdict %+v, rollback %+v, error %v", e.Service.Name, e.Verdict, e.Rollback, e.Err)
	case deploy.PushProgress:
		return fmt.Sprintf("push: %s, %d of %d bytes", e.Now.Stage, e.Now.Done, e.Now.Total)
	case deploy.Verified:
		return fmt.Sprintf("%s: verified %d of %d tasks", e.Service.Name, e.Proof.Verified, e.Proof.Tasks)
	case deploy.Diagnosed:
		return e.Service.Name + ": diagnosed"
	}
	return fmt.Sprintf("%T %+v", event, event)
}

func short(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// TestSimulation plays as many worlds as -seeds says.
func TestSimulation(t *testing.T) { simulate(t, draw) }

// TestLateViews plays them with views that are late: for some seconds after each change a
// reading is answered as it was before.
func TestLateViews(t *testing.T) { simulate(t, drawLate) }

// TestSmokeTests plays them with a smoke test, which passes or does not.
func TestSmokeTests(t *testing.T) { simulate(t, drawTested) }

func simulate(t *testing.T, draw func(seed uint64) *world) {
	workers := runtime.GOMAXPROCS(0)
	seeds := *seedsFlag
	if testing.Short() {
		seeds = min(seeds, 40)
	}
	imageSet, found := newImageSet(t), newTally(t, seeds)
	t.Run("seeds", func(t *testing.T) {
		for worker := range workers {
			t.Run(fmt.Sprint("worker", worker), func(t *testing.T) {
				t.Parallel()
				for i := worker; i < seeds && !found.enough(); i += workers {
					seed := *seedFlag + uint64(i)
					var p *play
					whole := t.Run(fmt.Sprint(seed), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { p = draw(seed).run(t, imageSet) })
						if text := p.report(); len(p.wrong) > 0 {
							found.tell(text)
							t.Error(text)
						} else if seeds == 1 {
							t.Log(text)
						}
					})
					found.add(p, whole)
				}
			})
		}
	})
	t.Log(found.summary())
}

// TestReplay: a seed is one history, to the last call, however the goroutines of the
// run are scheduled.
func TestReplay(t *testing.T) {
	imageSet, draws := newImageSet(t), []func(uint64) *world{draw, drawLate}
	for seed := *seedFlag; seed < *seedFlag+12; seed++ {
		var reports [2]string
		for i := range reports {
			synctest.Test(t, func(t *testing.T) { reports[i] = draws[seed%2](seed).run(t, imageSet).report() })
		}
		if reports[0] != reports[1] {
			t.Errorf("seed %d, twice:\n%s", seed, difference(reports[0], reports[1]))
		}
	}
}

// difference is where two texts part, with the lines before.
func difference(a, b string) string {
	one, other := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(one), len(other)) {
		if one[i] != other[i] {
			return strings.Join(one[max(0, i-5):i], "\n") + "\n< " + one[i] + "\n> " + other[i]
		}
	}
	return fmt.Sprintf("%d lines, and %d", len(one), len(other))
}

// address is where something lies in memory, which says nothing and differs.
var address = regexp.MustCompile(`0x[0-9a-f]{6,}`)

// report is a world with its timeline, what is wrong, and how it is replayed.
func (p *play) report() string {
	test := "Simulation"
	switch {
	case p.lateness > 0:
		test = "LateViews"
	case p.smoke != nil:
		test = "SmokeTests"
	}
	text := fmt.Sprintf("%s\n%s\n%s\nreplay: go test ./pkg/deploy -run %s -seeds 1 -seed %d -v", p.world, p.timeline(), strings.Join(p.wrong, "\n"), test, p.seed)
	return address.ReplaceAllString(text, "0x…")
}

// tally is what was found in all worlds so far.
type tally struct {
	mu                   sync.Mutex
	began                time.Time
	seeds, played, wrong int
	states               map[string]bool
	endings              map[string]int
	together             map[int]int // worlds in which so many services all went back, for the failure of one
	file                 *os.File    // of -progress, or nil
}

func newTally(t *testing.T, seeds int) *tally {
	found := &tally{began: time.Now(), seeds: seeds, states: map[string]bool{}, endings: map[string]int{}, together: map[int]int{}}
	if *fileFlag != "" {
		file, err := os.OpenFile(*fileFlag, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		found.file = file
	}
	return found
}

// tell appends a text to the file.
func (f *tally) tell(text string) {
	if f.file != nil {
		fmt.Fprintln(f.file, text)
	}
}

// enough reports whether no further world need be played.
func (f *tally) enough() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wrong >= *mostFlag
}

// add counts a world.
func (f *tally) add(p *play, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.played++
	if !whole {
		f.wrong++
	}
	if p == nil { // it could not be played to its end
		return
	}
	p.counting.Lock()
	maps.Copy(f.states, p.states)
	p.counting.Unlock()
	ending := string(p.result.Outcome())
	switch {
	case !p.canceled.IsZero():
		ending = "cancelled"
	case p.err != nil:
		ending = "error"
	}
	f.endings[ending]++
	if p.allBack() {
		f.together[len(p.services)]++
	}
	if f.played%1000 == 0 || f.played == f.seeds {
		f.tell(f.line())
	}
}

func (f *tally) summary() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.line()
}

func (f *tally) line() string {
	return fmt.Sprintf("%d of %d worlds in %s, %d with a violation, %d distinct states, endings %v, services that all went back %v", f.played, f.seeds, time.Since(f.began).Round(time.Second), f.wrong, len(f.states), f.endings, f.together)
}

// allBack reports whether every one of several services was rolled back, some of them
// for the failure of another one.
func (p *play) allBack() bool {
	back, others := 0, 0
	for _, s := range p.result.Services {
		if s.Outcome == rollout.RolledBack {
			back++
		}
		if s.Reason.Code == deploy.SiblingFailed {
			others++
		}
	}
	return back == len(p.services) && others > 0
}
