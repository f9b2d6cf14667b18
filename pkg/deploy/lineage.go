package deploy

// What a new revision is made from. Infrastructure registers revisions of the
// same family as the pipeline: what it changed since the pipeline's last
// revision flows in, and what the pipeline owns stays. The tags that a revision
// carries tell the two apart (taskdef.Provenance).

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// lineage is what a revision is made from, and how that came about.
type lineage struct {
	base           taskdef.Definition
	infrastructure string             // the infrastructure's revision in it, family:revision; empty where it is not known
	merged         string             // the pipeline's revision that was merged with it; empty where there was nothing to merge
	conflicts      []taskdef.Conflict // what both had changed
	ours           taskdef.Definition // the pipeline's last revision; the zero Definition where there is none
	note           string             // what could not be done; may be empty
}

// trace finds what the input taskDefinition means.
func (d *Deployer) trace(ctx context.Context, running taskdef.Definition, ref string) (lineage, error) {
	var l lineage
	var err error
	switch {
	case ref == "" || ref == "latest":
		return d.latest(ctx, running)
	case ref == "running":
		l.base = running
	case strings.HasPrefix(ref, "arn:"):
		l.base, err = d.ECS.Definition(ctx, ref)
	default:
		l.base, err = d.fileOrRevision(ctx, ref)
	}
	if p, ours := l.base.Provenance(); ours {
		l.infrastructure = p.Base
	} else if l.base.ARN() != "" {
		l.infrastructure = l.base.String()
	}
	return l, err
}

// latest takes the newest revision of the running family. Where infrastructure
// registered that one, the pipeline's last revision is merged into it.
func (d *Deployer) latest(ctx context.Context, running taskdef.Definition) (lineage, error) {
	newest, err := d.ECS.Definition(ctx, running.Family())
	if err != nil {
		return lineage{}, err
	}
	if p, ours := newest.Provenance(); ours {
		return lineage{base: newest, infrastructure: p.Base, ours: newest}, nil
	}
	l := lineage{base: newest, infrastructure: newest.String()}
	last, found, err := d.lastOurs(ctx, running)
	if err != nil || !found {
		return l, err
	}
	l.ours = last
	p, _ := last.Provenance()
	madeFrom, err := d.ECS.Definition(ctx, p.Base)
	var missing *rollout.Problem
	if p.Base == "" || errors.As(err, &missing) {
		l.note = fmt.Sprintf("%s does not tell what it was made from: only its images are kept, everything else is as in %s", last, newest)
		l.base, err = withImages(newest, last)
		return l, err
	}
	if err != nil {
		return l, err
	}
	l.merged = last.String()
	l.base, l.conflicts = taskdef.Merge(madeFrom, newest, last)
	return l, nil
}

// searchLimit is how many revisions are looked at for the pipeline's last one.
const searchLimit = 50

// lastOurs returns the newest revision that a pipeline registered, beginning
// with the one that runs.
func (d *Deployer) lastOurs(ctx context.Context, running taskdef.Definition) (taskdef.Definition, bool, error) {
	if _, ours := running.Provenance(); ours {
		return running, true, nil
	}
	seen := 0
	for arn, err := range d.ECS.Revisions(ctx, running.Family()) {
		if err != nil || seen == searchLimit {
			// The right to list revisions may be missing: then nothing is known of
			// an earlier revision of ours, as on the first run.
			d.Log.Debug("no earlier revision of a pipeline found", "family", running.Family(), "error", err)
			break
		}
		seen++
		definition, err := d.ECS.Definition(ctx, arn)
		if err != nil {
			return definition, false, err
		}
		if _, ours := definition.Provenance(); ours {
			return definition, true, nil
		}
	}
	return taskdef.Definition{}, false, nil
}

// withImages returns theirs with the images of ours, in the containers that
// both have.
func withImages(theirs, ours taskdef.Definition) (taskdef.Definition, error) {
	images := map[string]string{}
	for _, c := range theirs.Containers() {
		if image := ours.Image(c.Name); image != "" {
			images[c.Name] = image
		}
	}
	return theirs.Revise(taskdef.Change{Images: images})
}

// fileOrRevision reads the file that ref names, or else the revision.
func (d *Deployer) fileOrRevision(ctx context.Context, ref string) (taskdef.Definition, error) {
	path := ref
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.Images.WorkingDirectory, path)
	}
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		definition, err := taskdef.ParseFile(ref, data, d.Variables)
		return definition, named(err)
	case looksLikeFile(ref):
		return taskdef.Definition{}, &rollout.Problem{Input: "taskDefinition", Message: err.Error(),
			Advice: "give a path relative to $(System.DefaultWorkingDirectory), or latest, running, family:revision, an ARN"}
	}
	return d.ECS.Definition(ctx, ref)
}

// looksLikeFile tells a path from family:revision by its spelling.
func looksLikeFile(ref string) bool {
	switch strings.ToLower(filepath.Ext(ref)) {
	case ".json", ".yaml", ".yml":
		return true
	}
	return strings.ContainsAny(ref, `/\`)
}

// drift says that infrastructure has set the service to a revision of its own
// after the pipeline's last one: what the pipeline deployed no longer runs.
func (s *servicePlan) drift() string {
	ours, ok := s.lineage.ours.Provenance()
	if _, mine := s.running.Provenance(); !ok || mine || s.running.Family() != s.lineage.ours.Family() || s.running.Revision() <= s.lineage.ours.Revision() {
		return ""
	}
	runs, deployed := s.running.Image(s.container), s.lineage.ours.Image(s.container)
	if runs == deployed {
		return ""
	}
	return fmt.Sprintf("infrastructure moved the service to %s, which runs %s instead of build %s (%s): hand it the running image (command currentImage) before it deploys",
		s.running, runs, ours.BuildID, s.lineage.ours)
}
