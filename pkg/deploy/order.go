package deploy

// An order among the services of a step: those of a rank are moved and followed
// together, and the next rank begins when all of them have succeeded. All or nothing
// holds over the ranks: where one fails, those of earlier ranks go back too, and those
// of later ranks are not changed.

import (
	"context"
	"errors"

	"ecsdeploy/pkg/rollout"
)

// Precedence says that the rollout to one service has to succeed before that to the
// other begins.
type Precedence struct{ First, Then Service }

// OutOfTurn is the reason of a service that was not changed because the rollout to one
// that goes before it did not succeed; Detail names that one.
const OutOfTurn rollout.Code = "outOfTurn"

// ranks are the indices of the services by when their turn is. An order that contradicts
// itself ends in a last rank.
func ranks(services []Service, order []Precedence) (ranked [][]int) {
	done := map[Service]bool{}
	for len(done) < len(services) {
		var rank []int
		for i, s := range services {
			if !done[s] && !waits(s, order, done) {
				rank = append(rank, i)
			}
		}
		if len(rank) == 0 {
			for i, s := range services {
				if !done[s] {
					rank = append(rank, i)
				}
			}
		}
		for _, i := range rank {
			done[services[i]] = true
		}
		ranked = append(ranked, rank)
	}
	return ranked
}

// waits reports whether a service has to wait for one that is not done.
func waits(s Service, order []Precedence, done map[Service]bool) bool {
	for _, p := range order {
		if p.Then == s && !done[p.First] {
			return true
		}
	}
	return false
}

// rollOutInOrder moves the services rank by rank.
func (d *movement) rollOutInOrder(ctx, bounded context.Context, p *Plan, l limit, targets []target) ([]ServiceResult, error) {
	r := p.Request
	defer d.View.Section(Section{Kind: RolloutSection, Services: len(targets)})()
	all := make([]moved, len(targets))
	for i, t := range targets {
		all[i] = moved{target: t}
	}
	endings := make([]ending, len(targets))
	total := newMeter(d.View, len(targets))
	var started []int
	culprit := ""
	for _, rank := range ranks(r.Services, r.Order) {
		started = append(started, rank...)
		watch, fail := context.WithCancelCause(ctx)
		err := each(rank, func(_, i int) (err error) {
			all[i], err = d.startSafely(bounded, p, targets[i])
			if all[i].err != nil && r.RollbackOnFailure {
				fail(&siblingError{all[i].Name.Name})
			}
			return err
		})
		if ctx.Err() == nil && err == nil {
			_ = each(rank, func(_, i int) error {
				m, until := all[i], ctx
				if m.goesBack() { // what does not go back is followed to its own end
					until = watch
				}
				endings[i] = d.examine(ctx, m, d.followSafely(until, r, l, m, total.of(i)))
				if endings[i].verdict.Outcome.Good() && ctx.Err() == nil { // the next rank depends on it
					endings[i] = d.verify(ctx, m, endings[i])
					endings[i].verified = true
				}
				if endings[i].failed(m) && r.RollbackOnFailure {
					fail(&siblingError{m.Name.Name})
				}
				return nil
			})
		}
		fail(nil)
		d.lookAgain(ctx, r, l, all, endings)
		if ctx.Err() != nil || err != nil {
			d.leaveAll(ctx, r, all)
			return results(all, endings), errors.Join(err, context.Cause(ctx))
		}
		for _, i := range rank {
			if culprit == "" && !endings[i].verdict.Outcome.Good() {
				culprit = all[i].Name.Name
			}
		}
		if culprit != "" {
			break
		}
	}
	if culprit == "" {
		d.followed(ctx, all, endings)
	} else {
		d.stay()
	}
	if ctx.Err() != nil {
		d.leaveAll(ctx, r, all)
		return results(all, endings), context.Cause(ctx)
	}
	return d.concludeRanks(ctx, r, l, all, endings, started, culprit)
}

// concludeRanks concludes the services that were started, and says of the others that
// their turn did not come.
func (d *Deployer) concludeRanks(ctx context.Context, r Request, l limit, all []moved, endings []ending, started []int, culprit string) ([]ServiceResult, error) {
	some, ends := make([]moved, len(started)), make([]ending, len(started))
	for k, i := range started {
		some[k], ends[k] = all[i], endings[i]
	}
	err := d.concludeAll(ctx, r, l, some, ends)
	d.addresses(ctx, some, ends)
	d.explain(ctx, some, ends)
	out := results(all, endings)
	for i := range out {
		out[i].Outcome, out[i].Reason = rollout.Failed, rollout.Reason{Code: OutOfTurn, Detail: culprit}
	}
	for k, i := range started {
		out[i] = ends[k].write(some[k])
	}
	return out, err
}
