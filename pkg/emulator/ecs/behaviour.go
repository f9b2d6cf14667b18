// How the services behave where AWS leaves it open: what differs from one account, region, day or moment to the next. A client must be right in
// all of these worlds, so each is a field, and a seed draws the amounts.

package ecs

import (
	"math/rand/v2"
	"time"
)

// Behaviour is how the services behave where AWS promises nothing. The zero Behaviour is the simplest world: every view is up to date at once.
// Durations are emulated time (its speed), and each is a limit: the seed draws the actual value of every deployment between zero and it.
type Behaviour struct {
	Seed uint64

	// ListLag is how long a new service deployment may be missing from ListServiceDeployments, which is eventually consistent. There is no
	// evidence that ECS always lists one within a minute.
	ListLag time.Duration

	// CompletionLag is how long the service's list of deployments may say IN_PROGRESS after the service deployment says SUCCESSFUL: 38 s in
	// one published log.
	CompletionLag time.Duration

	// RecordLag is the same the other way round: how long a service deployment may say IN_PROGRESS after the service's list has changed. In
	// one published log the failed deployment's record stayed so for 1m 45s after the rollback had begun in the list. Where both
	// lags are set, the seed draws for each deployment which of the two views is behind.
	RecordLag time.Duration

	// NoCurrentDeployment leaves currentServiceDeployment out of services, as older regions and the CODE_DEPLOY controller do.
	NoCurrentDeployment bool

	// NewCreationTime gives a deployment that a rollback revives the time of the rollback as its createdAt. Whether ECS does is not known.
	NewCreationTime bool

	// RefuseRepeatedPut refuses to put a manifest again under an immutable tag that it already has. ECR has been seen to do both
	// (https://github.com/buildkite-plugins/docker-compose-buildkite-plugin, and buildkit#3776).
	RefuseRepeatedPut bool
}

// Realistic is the behaviour of ECS as logs and issues show it, with a seed that draws the amounts and which of the open questions is answered
// how.
func Realistic(seed uint64) Behaviour {
	r := rand.New(rand.NewPCG(seed, 1))
	return Behaviour{
		Seed: seed, ListLag: 45 * time.Second, CompletionLag: time.Minute, RecordLag: 105 * time.Second,
		NoCurrentDeployment: r.IntN(4) == 0, NewCreationTime: r.IntN(2) == 0, RefuseRepeatedPut: r.IntN(2) == 0,
	}
}

// Behave sets how ECS behaves from now on.
func (e *ECS) Behave(b Behaviour) { e.behaviour, e.chance = b, rand.New(rand.NewPCG(b.Seed, 2)) }

// drawLag returns a time between zero and limit. Zero limits draw nothing, so that switching one lag off leaves the others as they were.
func (e *ECS) drawLag(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return e.Scaled(time.Duration(e.chance.Int64N(int64(limit) + 1)))
}

// drawLags draws how far behind the views of a new service deployment are.
func (e *ECS) drawLags(r *release) {
	b := e.behaviour
	r.listed = r.created.Add(e.drawLag(b.ListLag))
	r.recordLag, r.completionLag = e.drawLag(b.RecordLag), e.drawLag(b.CompletionLag)
	if b.RecordLag > 0 && b.CompletionLag > 0 {
		if e.chance.IntN(2) == 0 {
			r.recordLag = 0
		} else {
			r.completionLag = 0
		}
	}
}

// view is what DescribeServiceDeployments answers of a service deployment from a time on.
type view struct {
	from    time.Time
	release release // a copy; tasks are counted when it is described
}

// note keeps what the service deployment looks like, where that differs from the last time. How it ends or turns back is seen late by its lag.
func (r *release) note(now time.Time) {
	if n := len(r.views); n > 0 {
		last := &r.views[n-1].release
		if last.status == r.status && last.stage == r.stage && last.reason == r.reason && last.updated.Equal(r.updated) && len(last.hooks) == len(r.hooks) {
			return
		}
	}
	from := now
	switch {
	case r.final(), r.status == "ROLLBACK_IN_PROGRESS":
		from = now.Add(r.recordLag)
	}
	seen := *r
	seen.views = nil
	r.views = append(r.views, view{from, seen})
}

// seen is the service deployment as the API shows it now.
func (r *release) seen(now time.Time) *release {
	if r.recordLag == 0 || len(r.views) == 0 {
		return r
	}
	shown := &r.views[0].release
	for i := range r.views {
		if r.views[i].from.After(now) {
			break
		}
		shown = &r.views[i].release
	}
	return shown
}

// noteViews keeps the views of all service deployments that are shown late.
func (e *ECS) noteViews(now time.Time) {
	for _, cl := range e.Clusters {
		for _, s := range cl.Services {
			for _, r := range s.releases {
				if r.recordLag > 0 {
					r.note(now)
				}
			}
		}
	}
}

// shownState is the rolloutState and its reason as the service's list of deployments shows them now.
func (d *Deployment) shownState(now time.Time) (state, reason string) {
	if d.state == "COMPLETED" && d.completedShown.After(now) {
		return "IN_PROGRESS", d.reasonBefore
	}
	return d.state, d.reason
}
