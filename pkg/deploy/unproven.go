package deploy

// Revisions of which no task has run: the service's desired count was 0 when they
// were deployed. ECS records such a deployment as successful and does not record
// the count, so a tag on the revision says it, and a rollback passes it over.

import (
	"context"

	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// Tagger marks revisions. It is asked for by type assertion of [Deployer.ECS].
type Tagger interface {
	Tag(ctx context.Context, revision, key, value string) error
	Untag(ctx context.Context, revision, key string) error
}

// unprovenValue is the value of the tag.
const unprovenValue = "desired count 0"

// mark tags the revision of a deployment of this run of which nothing ran, or
// removes the tag where tasks of it run now. Revisions of infrastructure are not
// touched. What fails is shown, and changes nothing about the outcome.
func (d *Deployer) mark(ctx context.Context, r Request, m moved, e ending) {
	tagger, able := d.ECS.(Tagger)
	if !able || m.deployment == nil || !e.verdict.Outcome.Good() {
		return
	}
	definition, err := d.ECS.Definition(ctx, m.Revision)
	if err != nil {
		return
	}
	origin, known := definition.Provenance()
	now, nothing := m.deployment.Snapshot(), e.verdict.Reason.Code == rollout.NothingRuns
	switch {
	case !known || !origin.SamePipeline(r.Origin):
	case nothing && now.New && !definition.Unproven() && !d.provenBefore(ctx, m):
		err = tagger.Tag(ctx, m.Revision, taskdef.UnprovenTag, unprovenValue)
		d.View.Show(Marked{Service: m.Name, Revision: m.Revision, Unproven: true, Err: err})
	case !nothing && definition.Unproven() && e.verdict.Reason.Code != rollout.EarlySuccess && now.Own.Running > 0:
		err = tagger.Untag(ctx, m.Revision, taskdef.UnprovenTag)
		d.View.Show(Marked{Service: m.Name, Revision: m.Revision, Err: err})
	}
}

// historyRead is how many earlier deployments are looked at for one of a revision.
const historyRead = 50

// provenBefore reports whether an earlier deployment of the revision was successful.
// The newest success may be the deployment that has just ended.
func (d *Deployer) provenBefore(ctx context.Context, m moved) bool {
	times, seen := 0, 0
	for revision, err := range m.Controller.Successes(ctx) {
		if seen++; err != nil || seen > historyRead {
			break
		}
		if revision == m.Revision {
			times++
		}
	}
	return times > 1
}
