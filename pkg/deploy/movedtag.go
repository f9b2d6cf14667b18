package deploy

// Tags that move. A revision names its image by a tag, and ECS resolves the tag
// when a deployment begins: where the tag was pushed again since, the revision is
// the same text and what runs is not the image that was asked for.

import (
	"context"
	"slices"

	"ecsdeploy/pkg/rollout"
)

// forceMovedTag starts a new deployment of the revision that the service runs, or is
// being moved to, where that runs another digest than the expected one. Further
// tasks of a running deployment get its old digest too.
func (d *Deployer) forceMovedTag(ctx context.Context, r Request, t target, there rollout.Deployment) (deployment rollout.Deployment, moves bool, err error) {
	s, want := there.Snapshot(), t.want()
	if s.New || len(want) == 0 || s.Service.Desired == 0 || t.Service.Controller == "CODE_DEPLOY" || !d.runsAnother(ctx, t, s, want) {
		return there, false, nil
	}
	change := t.change(r)
	change.Force = true
	deployment, err = t.Controller.Start(ctx, change)
	return deployment, true, err
}

// runsAnother reports whether a deployment that was there before runs another image
// under the tag. Where ECS reports no digests, it does if this run has pushed the
// tag, or if the revision was registered for another digest.
func (d *Deployer) runsAnother(ctx context.Context, t target, s rollout.Snapshot, want map[string][]string) bool {
	proof := d.prove(ctx, s, want)
	switch {
	case len(proof.Contradicted()) > 0:
		return true
	case proof.Complete(), proof.Resolved.Known, !s.Reached && !s.Scaling:
		return false
	}
	return t.Pushed || t.registeredForAnother()
}

// registeredForAnother reports whether the revision says of itself that it was
// registered for another digest than the image has now.
func (t target) registeredForAnother() bool {
	for _, known := range t.Known {
		if p, ok := known.Provenance(); ok && known.ARN() == t.Revision && p.Digest != "" {
			return len(t.Image.Digests) > 0 && !slices.Contains(t.Image.Digests, p.Digest)
		}
	}
	return false
}

// want are the digests that are expected of the service's containers.
func (t target) want() map[string][]string {
	want := map[string][]string{}
	for container, c := range t.Further {
		if len(c.Digests) > 0 {
			want[container] = c.Digests
		}
	}
	if len(t.Image.Digests) > 0 && t.Container != "" {
		for _, container := range append([]string{t.Container}, t.Alike...) {
			want[container] = t.Image.Digests
		}
	}
	return want
}
