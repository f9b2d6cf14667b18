package deploy

// Housekeeping after a success: older revisions that this task registered are
// deregistered, as far as nothing uses them and no rollback needs them.

import (
	"context"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/taskdef"
)

// Registry is what housekeeping asks of Amazon ECS beside [ECS].
type Registry interface {
	// UsedRevisions returns the ARNs of all revisions of a family that are in use.
	UsedRevisions(ctx context.Context, family string) (map[string]bool, error)
	Deregister(ctx context.Context, arn string) error
}

const (
	tidying       = time.Minute // for all of it: what is left, the next run does
	mostRead      = 200         // revisions of a family that are looked at
	mostRemoved   = 20          // and that are deregistered by one run: ECS throttles more
	kept          = 3           // successful revisions of each service that stay for a rollback
	mostSuccesses = 50          // that are looked at for these
)

// tidy deregisters older revisions of the families that were rolled out. It changes
// nothing where it cannot be read what is in use, and is never a reason to fail.
func (d *Deployer) tidy(ctx context.Context, p *Plan, targets []target, results []ServiceResult) {
	for _, r := range results {
		if !r.Outcome.Good() {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tidying)
	defer cancel()
	families := map[string][]target{}
	var order []string
	for _, t := range targets {
		family := t.Target.Family()
		if families[family] == nil {
			order = append(order, family)
		}
		families[family] = append(families[family], t)
	}
	for _, family := range order {
		removed, err := d.tidyFamily(ctx, family, p.Request.KeepRevisions, families[family])
		if len(removed) > 0 || err != nil {
			d.View.Show(Tidied{Family: family, Keep: p.Request.KeepRevisions, Removed: removed, Err: err})
		}
	}
}

// tidyFamily deregisters revisions of one family and returns their ARNs.
func (d *Deployer) tidyFamily(ctx context.Context, family string, keep int, services []target) (removed []string, err error) {
	old, err := d.oldRevisions(ctx, family, keep)
	if err != nil || len(old) == 0 {
		return nil, err
	}
	needed, err := d.forRollback(ctx, services)
	if err != nil {
		return nil, err
	}
	used, err := d.Registry.UsedRevisions(ctx, family)
	if err != nil {
		return nil, err
	}
	scheduled, err := d.usedBySchedules(ctx, family)
	if err != nil {
		return nil, err
	}
	before := ranBefore(family, services)
	for _, arn := range old {
		// A newer one may be waiting for its turn in another run, whose service shares the
		// family.
		if revisionOf(arn).number > before {
			continue
		}
		if used[arn] || needed[arn] || scheduled[ecs.ShortARN(arn)] {
			continue
		}
		if len(removed) == mostRemoved {
			break
		}
		if err := d.Registry.Deregister(ctx, arn); err != nil {
			return removed, err
		}
		removed = append(removed, arn)
	}
	return removed, nil
}

// ranBefore is the number of the newest revision of a family that one of the services
// ran before this rollout; 0 where none did.
func ranBefore(family string, services []target) (number int) {
	for _, t := range services {
		if t.Running.Family() == family {
			number = max(number, t.Running.Revision())
		}
	}
	return number
}

// oldRevisions are those active revisions of this task that are not among the newest
// of it, oldest first.
func (d *Deployer) oldRevisions(ctx context.Context, family string, keep int) (old []string, err error) {
	seen, ours := 0, 0
	for arn, err := range d.ECS.Revisions(ctx, family, false) {
		if err != nil {
			return nil, err
		}
		if seen++; seen > mostRead {
			break
		}
		definition, err := d.ECS.Definition(ctx, arn)
		if err != nil {
			return nil, err
		}
		if !registeredHere(definition) {
			continue
		}
		if ours++; ours > keep {
			old = append([]string{arn}, old...)
		}
	}
	return old, nil
}

// registeredHere reports whether this task registered the revision: its tags say so.
func registeredHere(d taskdef.Definition) bool {
	_, ours := d.Provenance()
	return ours
}

// forRollback are the revisions that the services may go back to: the one before this
// rollout, and the last whose deployment succeeded.
func (d *Deployer) forRollback(ctx context.Context, services []target) (map[string]bool, error) {
	needed := map[string]bool{}
	for _, t := range services {
		for _, arn := range []string{t.Revision, t.Running.ARN(), t.Good, t.Service.TaskDefinition, t.Lineage.Ours.ARN()} {
			needed[arn] = true
		}
		last, seen := map[string]bool{}, 0
		for arn, err := range d.successes(ctx, t.ServicePlan) {
			if err != nil {
				return nil, err
			}
			needed[arn], last[arn] = true, true
			if seen++; len(last) == kept || seen == mostSuccesses {
				break
			}
		}
	}
	return needed, nil
}
