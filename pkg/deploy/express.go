package deploy

// The public address of an Express service, which ECS notes on the service revision
// of a deployment.

import "context"

// addresses fills in the addresses of Express services whose tasks were not
// verified: of deployments that failed, and of those that are not waited for. What
// cannot be read is left out.
func (d *Deployer) addresses(ctx context.Context, all []moved, endings []ending) {
	_ = each(all, func(i int, m moved) error {
		if m.deployment == nil || !m.Service.Express || len(endings[i].proof.Endpoints) > 0 {
			return nil
		}
		now := m.deployment.Snapshot()
		if now.Record == nil { // nothing was read since it was started
			if found, err := m.Controller.InFlight(ctx); err == nil && found != nil {
				now = found.Snapshot()
			}
		}
		endings[i].proof.Endpoints = d.prove(ctx, now, nil).Endpoints
		return nil
	})
}
