package deploy

// The smoke test of a new revision: where it runs is planned, what came of it is a
// value, and it decides whether the deployment continues. where it fails,
// that is a failed rollout like any other.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"ecsdeploy/pkg/diagnosis"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/probe"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/runtask"
)

// SmokeTest is one check of a new revision: of a URL, or by a command.
type SmokeTest struct {
	// Check is that of a URL, which may be a path: then it is one of the service's
	// test listener.
	Check   probe.Check
	Command []string // of a one-off task of the new revision; nil for a URL
}

// String is the test as people may read it: the secrets of a URL are left out.
func (t SmokeTest) String() string {
	if t.Command != nil {
		text, _ := json.Marshal(t.Command) // a list of strings always marshals
		return string(text)
	}
	return probe.Shown(t.Check.URL)
}

// SmokeTime is when a smoke test runs.
type SmokeTime string

// The times.
const (
	// SmokeAtPause is at each pause at which test traffic is on the new revision.
	SmokeAtPause SmokeTime = "pause"
	// SmokeAtTest is when test traffic is on the new revision. Nothing holds the
	// deployment meanwhile.
	SmokeAtTest SmokeTime = "testTraffic"
	// SmokeAtTraffic is when production traffic is.
	SmokeAtTraffic SmokeTime = "traffic"
	// SmokeAtEnd is after the deployment, or what of it is waited for.
	SmokeAtEnd SmokeTime = "end"
)

// SmokePlan is how the smoke test of a service is going to run.
type SmokePlan struct {
	Time  SmokeTime
	Tests []SmokeTest // with whole URLs
	Route rollout.Route
	// Container is the one that runs commands.
	Container string
	// Blind is set where the deployment pauses, and no listener takes test traffic: an
	// address of production is answered by the revision before.
	Blind bool
}

// SmokeResult is what came of one smoke test.
type SmokeResult struct {
	Test     SmokeTest
	Passed   bool
	Attempt  probe.Attempt // the last one, of a URL
	Task     *TaskResult   // of a command
	Late     bool          // the time for the deployment was over before
	Internal bool          // the load balancer can be reached from its own network only
}

// SmokeTestFailed is the reason of a service whose smoke test did not pass.
const SmokeTestFailed rollout.Code = "smokeTestFailed"

// Prober asks URLs.
type Prober interface {
	Run(ctx context.Context, c probe.Check, show func(probe.Attempt)) (probe.Attempt, error)
}

// listened is a controller that knows where test traffic goes, and whether its
// deployments wait there.
type listened interface {
	TestListener() string
	Holds() bool
}

// planSmoke plans the smoke test of a service. A path is completed by the address of
// the test listener.
func (d *Deployer) planSmoke(ctx context.Context, r Request, s ServicePlan) (ServicePlan, error) {
	if len(r.SmokeTests) == 0 || s.Controller == nil {
		return s, nil
	}
	plan := &SmokePlan{Time: SmokeAtEnd}
	listener, holds := "", s.Other != nil && s.Other.Snapshot().HookID() != ""
	if l, is := s.Controller.(listened); is {
		listener, holds = l.TestListener(), holds || l.Holds()
	}
	shifts := s.HasStages() || s.Service.Controller == "CODE_DEPLOY"
	switch {
	case shifts && holds:
		plan.Time, plan.Blind = SmokeAtPause, listener == ""
	case shifts && listener != "":
		plan.Time = SmokeAtTest
	case shifts, s.Service.Strategy.Bake > 0:
		plan.Time = SmokeAtTraffic
	}
	var err error
	if plan.Tests, err = d.addressed(ctx, plan, s, r.SmokeTests, listener); err != nil {
		return s, err
	}
	plan.Container = s.Container
	if plan.Container == "" && slices.ContainsFunc(plan.Tests, func(t SmokeTest) bool { return t.Command != nil }) {
		definition := s.Target
		if len(definition.Containers()) == 0 {
			definition = s.Lineage.Base
		}
		if plan.Container, err = definition.ChooseContainer("", ""); err != nil {
			return s, errors.Join(s.Name.mistakes(err)...)
		}
	}
	s.Smoke = plan
	return s, nil
}

// addressed completes the tests that are paths.
func (d *Deployer) addressed(ctx context.Context, plan *SmokePlan, s ServicePlan, tests []SmokeTest, listener string) ([]SmokeTest, error) {
	out := make([]SmokeTest, len(tests))
	for i, t := range tests {
		path := t.Check.URL
		if out[i] = t; !strings.HasPrefix(path, "/") {
			continue
		}
		if listener == "" {
			return nil, mistake.New(mistake.SmokeTest, "write the whole URL, or set a test listener for the service's deployments",
				"service %s has no listener for test traffic, so that the path %s leads nowhere", s.Name.Name, probe.Shown(path))
		}
		if plan.Route.URL == "" {
			route, err := d.Balancers.Route(ctx, listener)
			if err != nil {
				return nil, errors.Join(s.Name.mistakes(err)...)
			}
			plan.Route = route
		}
		if !plan.Route.Fits(path) {
			return nil, mistake.New(mistake.SmokeTest, "choose a path that the rule takes, or write the whole URL",
				"service %s: the test listener's rule takes %s, and not %s", s.Name.Name, strings.Join(plan.Route.Paths, ", "), probe.Shown(path))
		}
		out[i].Check.URL = plan.Route.URL + path
		out[i].Check.Host, out[i].Check.Headers = plan.Route.Host, plan.Route.Headers
	}
	return out, nil
}

// until is what is waited for before the smoke test.
func (p *SmokePlan) until(until rollout.Until) rollout.Until {
	switch p.Time {
	case SmokeAtTest:
		return rollout.UntilTest
	case SmokeAtTraffic:
		return rollout.UntilTraffic
	}
	return until
}

// runSmoke runs the tests one after the other until one does not pass. The error is
// why ctx ended, or why a task could not be run.
func (d *Deployer) runSmoke(ctx context.Context, r Request, l limit, m moved) (results []SmokeResult, passed bool, err error) {
	left := l.left(false)
	bounded, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	for _, test := range m.Smoke.Tests {
		result := SmokeResult{Test: test, Internal: m.Smoke.Route.Internal}
		if test.Command != nil {
			result.Task, err = d.smokeTask(ctx, r, l, m, test)
			result.Passed = err == nil && !result.Task.Failed()
		} else {
			result.Attempt, err = d.Probes.Run(bounded, test.Check, func(a probe.Attempt) { d.View.Show(SmokeAttempt{m.Name, test, a}) })
			result.Passed = err == nil && result.Attempt.Outcome == probe.Passed
		}
		if err != nil && ctx.Err() == nil && bounded.Err() != nil {
			result.Late, err = true, nil
		}
		results = append(results, result)
		if err != nil || !result.Passed {
			return results, false, err
		}
	}
	return results, true, nil
}

// smokeTask runs a command as a task of the new revision, in the network of the
// service.
func (d *Deployer) smokeTask(ctx context.Context, r Request, l limit, m moved, test SmokeTest) (*TaskResult, error) {
	definition, err := d.ECS.Definition(ctx, m.Revision)
	if err != nil {
		return nil, err
	}
	result := &TaskResult{Service: m.Name, ARN: m.Service.ARN, Revision: m.Revision, Limit: l.left(false)}
	result.Result, err = d.Tasks.Run(ctx, runtask.Request{
		Service: m.deployment.Snapshot().Service, Definition: definition, Container: m.Smoke.Container,
		Overrides: runtask.Overrides{Command: test.Command}, Name: "ecs-deploy-smoke", Timeout: result.Limit, Wait: true,
		Parting: cmp.Or(r.Parting, parting) / 2, // the service has to be left as promised, too
	}, func(event any) { d.View.Show(TaskHappened{m.Smoke.Container, event}) })
	if err == nil {
		d.View.Show(TaskEnded{result})
	}
	return result, err
}

// answers is how often a paused deployment is told to continue that, when it is read
// again, is not paused any more.
const answers = 3

// followTested follows a deployment to its end, with the smoke test on the way: what
// it waits for without the test is waited for after it.
func (d *Deployer) followTested(ctx context.Context, r Request, l limit, m moved, progress func(rollout.Counts)) ending {
	var results []SmokeResult
	for tested, answered := false, 0; ; {
		until := r.Until
		if !tested {
			until = m.Smoke.until(until)
		}
		e := d.watch(ctx, r, l, m, until, progress)
		e.smoke = results
		paused := e.verdict.Outcome == rollout.Paused
		switch {
		case e.err != nil, paused && !m.deployment.Snapshot().HasTestTraffic(), !paused && (tested || !e.testable()):
			return e
		}
		d.View.Show(SmokeTesting{Service: m.Name, Tests: len(m.Smoke.Tests), Time: m.Smoke.Time, Paused: paused, Stage: e.verdict.Reason.Stage})
		found, passed, err := d.runSmoke(ctx, r, l, m)
		results, tested = found, true
		e.smoke = found
		if err != nil {
			return e.interrupted("run the smoke test of", m, err)
		}
		d.View.Show(SmokeTested{m.Name, found[len(found)-1], paused})
		switch {
		case !passed:
			e.unchanged = e.verdict.Outcome == rollout.Unchanged
			e.verdict = rollout.Verdict{Outcome: rollout.Failed, Reason: rollout.Reason{Code: SmokeTestFailed, Stage: e.verdict.Reason.Stage}}
			return e
		case paused:
			within, cancel := context.WithTimeout(ctx, max(l.left(false), leastBack))
			err := m.deployment.Answer(within, rollout.Continue)
			cancel()
			if answered++; err != nil && (answered == answers || !overtaken(err)) {
				return e.interrupted("continue", m, err)
			}
			if err == nil {
				d.View.Show(Answered{Service: m.Name, Action: rollout.Continue})
			}
		case until == r.Until:
			return e
		}
	}
}

// testable reports whether a deployment has come to where its smoke test can run.
func (e ending) testable() bool {
	return e.verdict.Outcome.Good() && e.verdict.Reason.Code != rollout.NothingRuns
}

// overtaken reports whether a pause could not be answered because it is over: how the
// deployment stands now is then to be read.
func overtaken(err error) bool {
	return errors.Is(err, rollout.ErrEnded) || errors.Is(err, rollout.ErrNotOurs) || mistake.Is(err, mistake.Service)
}

// goBackPaused has a deployment roll back that is paused, by the answer for which it
// waits. That needs no revision to go back to that is proven: production traffic is
// on the one before. Reports false where it is not paused any more, or that was
// refused.
func (d *Deployer) goBackPaused(ctx context.Context, l limit, m moved, e ending) (ending, bool) {
	now := m.deployment.Snapshot()
	if e.verdict.Reason.Code != SmokeTestFailed || now.HookID() == "" {
		return e, false
	}
	if err := m.deployment.Answer(ctx, rollout.RollBack); err != nil {
		return e, false
	}
	d.View.Show(RollingBack{Service: m.Name, To: now.Previous})
	e.rollback = d.followBack(ctx, l, m, m.deployment, now.Previous)
	d.View.Show(RollbackEnded{m.Name, e.rollback})
	return e, true
}

// ofTested is the diagnosis of a deployment whose smoke test did not pass. What its
// tasks have logged may tell why; that they run is no fault that a hint could be for.
func ofTested(d diagnosis.Diagnosis) diagnosis.Diagnosis {
	causes := slices.Clone(d.Causes)
	for i := range causes {
		causes[i].Hint = ""
	}
	d.Causes = causes
	return d
}

// goesBackAfter reports whether a failed rollout is rolled back. A smoke test is
// there to decide that, so that command resume, which has no onFailure, does what it
// found.
func (r Request) goesBackAfter(e ending) bool {
	return !e.unchanged && (r.RollbackOnFailure || r.Resumes && e.verdict.Reason.Code == SmokeTestFailed)
}
