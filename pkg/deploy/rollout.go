package deploy

// The second half of a run: revisions are registered, services are moved to
// them and followed until it is known how that ended.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// register gives every service the ARN of its revision: one that is already
// registered where there is one that is equal, else a new one. Services that
// share a family share the revision.
func (d *Deployer) register(ctx context.Context, p *plan, im Image, results []ServiceResult) error {
	end := d.Console.Group("Task definition")
	defer end()
	var fresh []taskdef.Definition
	for i, s := range p.services {
		if err := d.settle(ctx, p, s); err != nil {
			return err
		}
		results[i].Previous, results[i].PreviousImage = s.service.TaskDefinition, s.running.Image(s.container)
		c := p.imageFor(s)
		if p.request.Push {
			c.uri = im.URI // with pinDigest it is known only after the push
		}
		if err := p.revise(s, c); err != nil {
			return errors.Join(s.name.mistakes(err)...)
		}
		results[i].Changes = taskdef.Diff(s.running, s.target)
		s.known = append(s.known, fresh...)
		log := d.Log.With("service", s.name.Name)
		if arn := s.registered(); arn != "" {
			results[i].Revision = arn
			log.Info("revision " + rollout.ShortARN(arn) + " is already as wanted: nothing to register")
			continue
		}
		stored, err := d.registerTagged(ctx, log, s, p.origin(), c)
		if err != nil {
			return err
		}
		fresh = append(fresh, stored)
		results[i].Revision = stored.ARN()
		log.Info("registered revision " + stored.String())
	}
	return nil
}

// registerTagged registers the target of a service with tags that say where it
// came from, or without them where the identity may not tag.
func (d *Deployer) registerTagged(ctx context.Context, log *slog.Logger, s *servicePlan, origin taskdef.Provenance, c candidate) (taskdef.Definition, error) {
	origin.Base = s.lineage.infrastructure
	if len(c.digests) > 0 {
		origin.Digest = c.digests[0]
	}
	tagged, err := s.target.WithProvenance(origin)
	if err != nil {
		log.Warn("the revision does not tell where it comes from: " + err.Error())
		return d.ECS.Register(ctx, s.target.WithoutProvenance())
	}
	stored, err := d.ECS.Register(ctx, tagged)
	if rollout.TaggingDenied(err) {
		log.Warn("the revision does not tell where it comes from, since its tags were denied (" + err.Error() + "): builds cannot be told apart by it")
		return d.ECS.Register(ctx, s.target.WithoutProvenance())
	}
	return stored, err
}

// rollOut moves the services side by side and follows each to its end.
func (d *Deployer) rollOut(ctx context.Context, p *plan, results []ServiceResult) error {
	title := "Rollout of " + p.services[0].name.String()
	if n := len(p.services) - 1; n > 0 {
		title = fmt.Sprintf("Rollout of %d services", n+1)
	}
	end := d.Console.Group(title)
	defer end()
	var (
		wait  sync.WaitGroup
		errs  = make([]error, len(p.services))
		total = meter{console: d.Console, running: make([]int, len(p.services)), desired: make([]int, len(p.services))}
	)
	for i, s := range p.services {
		wait.Go(func() {
			begin := time.Now()
			errs[i] = d.rollOutService(ctx, p, s, &results[i], func(running, desired int) { total.set(i, running, desired) })
			results[i].Took = time.Since(begin)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (d *Deployer) rollOutService(ctx context.Context, p *plan, s *servicePlan, result *ServiceResult, progress func(running, desired int)) error {
	log := d.Log.With("service", s.name.Name)
	r := p.request
	change := rollout.Change{TaskDefinition: result.Revision, DesiredCount: r.DesiredCount, Force: r.Force}
	x, err := s.way.start(ctx, log, change, r.RollbackOnFailure && !isPlaceholder(s.running))
	if err != nil && ctx.Err() != nil {
		return d.leaveStart(ctx, log, p, s, result.Revision, err)
	}
	if err != nil {
		return err
	}
	started := x.known()
	result.Desired = started.Service.Desired
	if started.New {
		log.Info(fmt.Sprintf("moving from %s to %s, deployment %s", rollout.ShortARN(started.Previous), rollout.ShortARN(result.Revision), started.ID))
	}
	if !r.Wait {
		log.Info("not waiting for the deployment (wait is false): nobody knows yet how it ends")
		return nil
	}
	if started.rests {
		result.Outcome = rollout.Unchanged
		if s.ended { // and so the service came back to it
			result.Outcome = rollout.Succeeded
		}
		log.Info("the service runs " + rollout.ShortARN(result.Revision) + " already")
	} else if err := d.follow(ctx, log, p, s, x, result, progress); err != nil {
		return err
	}
	if result.Outcome.Good() {
		d.verify(ctx, log, p, s, x.known().Started, result)
	}
	return nil
}

// follow watches a deployment to its end, writes down how it ended, and goes
// back where it ended badly.
func (d *Deployer) follow(ctx context.Context, log *slog.Logger, p *plan, s *servicePlan, x deployment, result *ServiceResult, progress func(running, desired int)) error {
	r := p.request
	own := x.known().New
	w := x.watch(limits{r.Timeout, r.UntilTraffic, r.MaxFailedTasks})
	for e := range w.Events(ctx) {
		at(ctx, log, e)
		progress(w.State().Own.Running, w.State().Own.Desired)
	}
	seen := x.known()
	result.Deployment = seen.name
	if err := w.Err(); err != nil {
		return d.leave(ctx, log, p, s, x, own, err)
	}
	v := w.Verdict()
	result.Outcome, result.Reason, result.HookID = v.Outcome, v.Reason, seen.hookID
	if v.Outcome == rollout.TimedOut && seen.shifted {
		// Nothing is wrong with the revision: only our patience ended.
		text := fmt.Sprintf("all production traffic is on %s already, so it stays; what is left goes on in %s, and waitUntil: traffic does not wait for it",
			rollout.ShortARN(seen.TaskDefinition), deployer(s.service))
		log.Warn(text)
		result.Reason += "; " + text
		return nil
	}
	if s.back && v.Outcome == rollout.RolledBack {
		log.Info("the service is back on " + rollout.ShortARN(result.Previous))
		return nil
	}
	if v.Outcome == rollout.Failed || v.Outcome == rollout.TimedOut || v.Outcome == rollout.RolledBack {
		// Before anything is stopped: afterwards the tasks only tell of that.
		d.diagnose(ctx, log, w, seen.Started, result)
	}
	if v.Outcome != rollout.Failed && v.Outcome != rollout.TimedOut {
		return nil
	}
	if r.RollbackOnFailure {
		log.Warn("the rollout failed: " + strings.TrimSuffix(v.Reason, "."))
		d.goBack(ctx, log, s, x, w, result)
	}
	if left := x.known(); left.underWay && left.alone {
		log.Warn(fmt.Sprintf("deployment %s goes on in %s, and no other can start before it has ended: stop it there, or choose whenBusy: supersede next time", left.name, deployer(s.service)))
	}
	return nil
}

// examining is how long it may take to find out why a rollout failed.
const examining = 15 * time.Second

// diagnose says why tasks of a deployment did not stay up.
func (d *Deployer) diagnose(ctx context.Context, log *slog.Logger, w watch, started rollout.Started, result *ServiceResult) {
	ctx, cancel := context.WithTimeout(ctx, examining)
	defer cancel()
	result.Diagnosis = d.ECS.Diagnose(ctx, started, w.State())
	for _, line := range result.Diagnosis.Lines() {
		log.Info(line)
	}
}

// at logs an event under the time at which it happened.
func at(ctx context.Context, log *slog.Logger, e rollout.Event) {
	level := slog.LevelInfo
	if e.Warning {
		level = slog.LevelWarn
	}
	if !log.Enabled(ctx, level) {
		return
	}
	// A log that cannot be written is no reason to stop watching.
	_ = log.Handler().Handle(ctx, slog.NewRecord(e.Time, level, e.Text, 0))
}

// verify proves that the running tasks run the digests that were rolled out.
// What contradicts turns the outcome into a failure; what cannot be read is
// said, for the deployment itself did succeed.
func (d *Deployer) verify(ctx context.Context, log *slog.Logger, p *plan, s *servicePlan, started rollout.Started, result *ServiceResult) {
	want := map[string][]string{}
	for container, c := range p.further {
		if len(c.digests) > 0 {
			want[container] = c.digests
		}
	}
	if c := p.imageFor(s); len(c.digests) > 0 {
		want[s.container] = c.digests
	}
	if len(want) == 0 || started.Service.Desired == 0 {
		return
	}
	proof, err := d.ECS.Verify(ctx, started, want)
	result.Proof = proof
	switch {
	case err != nil:
		log.Warn("the digests of the running tasks could not be verified: " + err.Error())
	case len(proof.Wrong) > 0:
		result.Outcome = rollout.Failed
		result.Reason = "the deployment completed, but tasks run another image: " + proof.Wrong[0]
		for _, wrong := range proof.Wrong {
			log.Warn(wrong)
		}
	case proof.Tasks == 0:
		log.Warn("ECS lists no running task of the deployment: digests not verified")
	case proof.Unknown > 0:
		log.Warn(fmt.Sprintf("%d of %d running tasks do not tell their image's digest: not verified", proof.Unknown, proof.Tasks))
	default:
		log.Info(fmt.Sprintf("verified: %d of %d running tasks run %s", proof.Verified, proof.Tasks, shortDigest(want[s.container])))
	}
}

// meter adds the services' running tasks up to one percentage. The push, where
// there is one, took the first half.
type meter struct {
	console          Console
	mu               sync.Mutex
	running, desired []int
}

func (m *meter) set(i, running, desired int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running[i], m.desired[i] = min(running, desired), desired
	var have, want int
	for i := range m.running {
		have, want = have+m.running[i], want+m.desired[i]
	}
	if want > 0 {
		m.console.Progress(50+45*have/want, "Rolling out")
	}
}
