package main

// What is in the rollout, found out from Azure DevOps while the rollout goes on.

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"ecsdeploy/pkg/azdo"
	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/guard"
	"ecsdeploy/pkg/report"
	"ecsdeploy/pkg/taskdef"
)

// contents is a view that begins to ask for what is in the rollout when the plan
// is made, and shows it between two sections of the log, or at the end of the run.
// The budget of the client (10 s) is what a run waits at most, and a run that takes
// longer does not wait at all.
type contents struct {
	deploy.View
	job      job
	timeline *report.Timeline
	ctx      context.Context

	mu     sync.Mutex
	done   chan struct{} // closed when all is known; nil where nothing was asked for
	cancel context.CancelFunc
	found  []report.Contents // written before done is closed
	shown  bool
	coming map[deploy.Service]int // by service: the build that it is to run
}

// Show implements [deploy.View].
func (c *contents) Show(event any) {
	c.View.Show(event)
	c.timeline.Show(event)
	c.job.recording.Show(event)
	if made, is := event.(deploy.PlanMade); is {
		c.begin(made.Plan)
	}
}

// Section implements [deploy.View].
func (c *contents) Section(s deploy.Section) (end func()) {
	c.mu.Lock()
	select {
	case <-c.done: // a nil channel blocks
		c.show()
	default:
	}
	c.mu.Unlock()
	ended, fold := c.timeline.Begin(s), c.View.Section(s)
	return func() { fold(); ended() }
}

// end waits for what is still asked for, and returns what there is. A cancelled
// run does not wait.
func (c *contents) end(ctx context.Context) []report.Contents {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		return nil
	}
	if ctx.Err() != nil {
		c.cancel()
	}
	<-c.done
	c.cancel()
	if ctx.Err() != nil && !c.shown {
		return nil
	}
	c.show()
	return c.found
}

// begin asks for each pair of builds once.
func (c *contents) begin(p *deploy.Plan) {
	moves := p.Moves()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.coming = map[deploy.Service]int{}
	for _, s := range p.Services {
		if n, err := strconv.Atoi(p.Coming(s).BuildID); err == nil && !s.Back {
			c.coming[s.Name] = n
		}
	}
	if len(moves) == 0 || c.job.devops == nil {
		return
	}
	if c.done != nil {
		return // asked already
	}
	ctx, cancel := context.WithCancel(c.ctx)
	c.done, c.cancel = make(chan struct{}), cancel
	go func() {
		defer close(c.done)
		if err := guard.Run(func() error { c.found = c.job.between(ctx, moves); return nil }); err != nil {
			c.job.log.Debug("what is in the rollout: " + err.Error())
		}
	}()
}

// builds are the builds that services are to run.
func (c *contents) builds() map[deploy.Service]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.coming
}

// show shows what was found, once. The lock is held.
func (c *contents) show() {
	if c.shown {
		return
	}
	c.shown = true
	for _, one := range c.found {
		if lines := report.ContentsLines(one); len(lines) > 0 {
			end := c.job.console.Group(report.ContentsTitle(one))
			c.job.console.Print(strings.Join(lines, "\n"))
			end()
		}
		for _, problem := range one.Problems {
			c.job.devopsFailed(problem)
		}
	}
}

// between asks Azure DevOps what lies between the builds of moves.
func (j job) between(ctx context.Context, moves []deploy.Move) []report.Contents {
	type pair struct {
		project  string
		from, to int
	}
	var pairs []pair
	services := map[pair][]string{}
	for _, m := range moves {
		from, _ := strconv.Atoi(m.From.BuildID) // [deploy.Move] has numbers
		to, _ := strconv.Atoi(m.To.BuildID)
		p := pair{j.projectOf(m), from, to}
		if services[p] == nil {
			pairs = append(pairs, p)
		}
		services[p] = append(services[p], m.Service.Name)
	}
	var all []report.Contents
	for _, p := range pairs {
		one := report.Contents{Difference: j.devops.Between(ctx, p.project, p.from, p.to)}
		if len(pairs) > 1 {
			one.Services = services[p]
		}
		all = append(all, one)
	}
	return all
}

// projectOf is the project of the builds: that of the coming one, as its tags or
// the variables of an artifact have it. Empty is the run's own.
func (j job) projectOf(m deploy.Move) string {
	for _, p := range []taskdef.Provenance{m.To, m.From} {
		if parts := strings.Split(p.PipelineID, "/"); len(parts) == 3 {
			return parts[1]
		}
	}
	if m.To.BuildID == j.config.Build.ID {
		return j.config.Build.ProjectID
	}
	return ""
}

// devopsFailed says that Azure DevOps did not answer, each reason once. Only a
// right that is missing is a warning: that can be mended, and once for all.
func (j job) devopsFailed(err error) {
	if errors.Is(err, context.Canceled) || !j.devops.FirstTime(err) {
		return
	}
	failure, is := errors.AsType[*azdo.Error](err)
	if is && failure.Denied {
		j.issue(slog.LevelWarn, failure.Error(), failure.Hint())
		return
	}
	j.log.Info(err.Error())
}
