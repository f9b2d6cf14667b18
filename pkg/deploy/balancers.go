package deploy

// What the load balancer has to do with a rollout: where test traffic goes, and how
// long its settings make a rollout take.

import (
	"context"
	"time"

	"ecsdeploy/pkg/rollout"
)

// Balancers is who knows the listeners and target groups of services.
type Balancers interface {
	Route(ctx context.Context, listener string) (rollout.Route, error)
	Balancing(ctx context.Context, targetGroup string) rollout.Balancing
}

// Slow is how long a rollout takes at least that is explained by the settings of the
// service's target group.
const Slow = 2 * time.Minute

// explain reads what made rollouts slow, of services that have a target group.
func (d *Deployer) explain(ctx context.Context, all []moved, endings []ending) {
	_ = each(all, func(i int, m moved) error {
		if m.deployment == nil || m.err != nil || d.Balancers == nil || time.Since(m.began) < Slow || ctx.Err() != nil {
			return nil
		}
		if groups := m.deployment.Snapshot().Service.TargetGroups; len(groups) > 0 {
			endings[i].balancing = d.Balancers.Balancing(ctx, groups[0])
		}
		return nil
	})
}
