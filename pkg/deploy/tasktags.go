package deploy

// Which tags the tasks of a service get: a setting of the service that is changed before
// its tasks are replaced, since tasks keep the tags that they start with. A service that
// goes back gets its own setting back. Changing it starts no deployment.

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// TaskTags is which tags tasks are to get. The zero value leaves what the service has.
type TaskTags struct {
	Propagate string // NONE, SERVICE or TASK_DEFINITION; empty leaves it
	Managed   *bool  // nil leaves it
}

// wanted is what a service is to have that has the given setting.
func (t TaskTags) wanted(has ecs.TaskTags) ecs.TaskTags {
	has.Propagate = cmp.Or(t.Propagate, has.Propagate)
	if t.Managed != nil {
		has.Managed = *t.Managed
	}
	return has
}

// TaskTagger changes which tags the tasks of a service get.
type TaskTagger interface {
	Update(ctx context.Context, s ecs.Service, u ecs.Update) (ecs.Service, error)
}

// differences are what changes about a service that has the given setting.
func (t TaskTags) differences(has ecs.TaskTags) []taskdef.Difference {
	return tagDifferences(has, t.wanted(has))
}

func tagDifferences(from, to ecs.TaskTags) (all []taskdef.Difference) {
	if from.Propagate != to.Propagate {
		all = append(all, taskdef.Difference{Path: "propagateTags", Old: from.Propagate, New: to.Propagate})
	}
	if from.Managed != to.Managed {
		all = append(all, taskdef.Difference{Path: "enableECSManagedTags", Old: strconv.FormatBool(from.Managed), New: strconv.FormatBool(to.Managed)})
	}
	return all
}

// retagged is a service whose setting was changed.
type retagged struct {
	Service
	revision string // ARN of the one that it was to run
	from, to ecs.TaskTags
}

// retag changes the setting of each service that has another than the wanted one. Where
// that fails for one, those before it get theirs back: nothing of any service is changed
// then.
func (d *Deployer) retag(ctx context.Context, p *Plan, targets []target) (all []retagged, err error) {
	tagger, able := d.ECS.(TaskTagger)
	if p.Request.TaskTags == (TaskTags{}) || !able {
		return nil, nil
	}
	for _, t := range targets {
		var now ecs.Service
		if now, err = d.ECS.Service(ctx, t.Name.Cluster, t.Name.Name); err == nil {
			one := retagged{t.Name, t.Revision, now.TaskTags(), p.Request.TaskTags.wanted(now.TaskTags())}
			if one.from == one.to {
				continue
			}
			// Of a call whose answer was lost it is not known whether it had an effect: then
			// the setting goes back, too.
			all = append(all, one)
			if _, err = tagger.Update(ctx, now, ecs.Update{Tags: &one.to}); err == nil {
				d.View.Show(TaskTagsChanged{Service: t.Name, From: one.from, To: one.to})
			}
		}
		if err != nil {
			d.retagBack(ctx, p.Request, all, true)
			return nil, err
		}
	}
	return all, nil
}

// retagMost is how long it may take to give the settings back.
const retagMost = time.Minute

// retagBack gives services their setting back: all of them, or those that did not stay
// on their revision. A setting that somebody else has changed since stays.
func (d *Deployer) retagBack(ctx context.Context, r Request, changed []retagged, all bool) {
	most := retagMost
	if ctx.Err() != nil {
		most = cmp.Or(r.Parting, parting) / 4
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	tagger, _ := d.ECS.(TaskTagger)
	for _, one := range slices.Backward(changed) {
		now, err := d.ECS.Service(own, one.Cluster, one.Name)
		if err == nil && (now.TaskTags() != one.to || !all && now.TaskDefinition == one.revision) {
			continue
		}
		if err == nil {
			_, err = tagger.Update(own, now, ecs.Update{Tags: &one.from})
		}
		d.View.Show(TaskTagsChanged{Service: one.Service, From: one.to, To: one.from, Back: true, Err: err})
	}
}

// afterRetag gives the settings of those services back that went back. A run that was
// cancelled takes all back where it takes the services back.
func (d *Deployer) afterRetag(ctx context.Context, r Request, changed []retagged, results []ServiceResult) {
	switch {
	case len(changed) == 0:
	case ctx.Err() != nil:
		if r.RollbackOnCancel {
			d.retagBack(ctx, r, changed, true)
		}
	default:
		var back, others []retagged
		for _, one := range changed {
			i := slices.IndexFunc(results, func(s ServiceResult) bool { return s.Service == one.Service })
			switch {
			case i < 0 || results[i].Outcome.Good() || results[i].Outcome == "" || results[i].Outcome == rollout.Paused:
			case results[i].Outcome == rollout.RolledBack:
				back = append(back, one)
			default:
				others = append(others, one)
			}
		}
		d.retagBack(ctx, r, back, true)
		d.retagBack(ctx, r, others, false)
	}
}
