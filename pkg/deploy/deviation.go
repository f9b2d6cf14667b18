package deploy

// Command drift: whether services run what this task deployed last, and if not, what
// they run instead. It only reads.

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// Drifted is the outcome of command drift where a service does not run what this task
// deployed last; without drift it is that of a service which needs nothing.
const Drifted rollout.Outcome = "drifted"

// Deviation is a service beside what this task deployed to it last.
type Deviation struct {
	Service
	Running     string               // ARN of the revision that it is set to
	Deployed    string               // ARN of the last revision of this task whose deployment succeeded; empty where there is none
	BuildID     string               // of Deployed; empty where it is not known
	By          string               // ARN of who registered Running; empty where ECS does not say
	Ours        bool                 // this task registered Running
	Build       string               // of Running, where this task registered it; empty where it is not known
	Pipeline    string               // that made this build; empty where it is not known
	InProgress  string               // id of a deployment in progress; empty where there is none
	Differences []taskdef.Difference // from Deployed to Running
	Digest      string               // of the image that was deployed; empty where it is not known
	Proof       rollout.Proof        // of the running tasks; compared only where the revision is Deployed
	Uncompared  error                // why the images of the tasks were not compared; may be nil
}

// OtherImage reports whether tasks of the revision run another image than the one that
// was deployed: its tag has been moved since.
func (d Deviation) OtherImage() bool { return len(d.Proof.Contradicted()) > 0 }

// Deviates reports whether the service runs anything else than what was deployed.
func (d Deviation) Deviates() bool { return d.Drifted() || d.OtherImage() }

// Drifted reports whether the service is set to another revision than the one that
// this task deployed last. One that this task is just deploying is no drift.
func (d Deviation) Drifted() bool {
	return d.Deployed != "" && d.Running != d.Deployed && !d.Deploying()
}

// Deploying reports whether a deployment of a revision of this task is in progress.
func (d Deviation) Deploying() bool {
	return d.Ours && d.InProgress != "" && d.Running != d.Deployed
}

// Deviations compares each service of the request with what this task deployed to it
// last. Where a service cannot be read the others are shown, and the result is empty.
func (d *Deployer) Deviations(ctx context.Context, r Request) (Result, error) {
	begin := time.Now()
	library := newLibrary(d.ECS)
	result := Result{Deviations: make([]Deviation, len(r.Services))}
	err := each(r.Services, func(i int, name Service) error {
		strict := &historyView{View: d.View}
		s, err := d.shownOn(strict).readService(ctx, library, name, "latest")
		if err == nil && strict.err == nil && s.Lineage.Ours.ARN() == "" {
			s.Lineage.Ours, err = d.ofAnyFamily(ctx, s)
		}
		if err = errors.Join(err, strict.err); err == nil {
			result.Deviations[i] = d.compareImages(ctx, s, s.deviation())
		}
		return err
	})
	result.Took = time.Since(begin)
	known := slices.DeleteFunc(slices.Clone(result.Deviations), func(one Deviation) bool { return one.Running == "" })
	if len(known) > 0 { // of the others the error tells
		end := d.View.Section(Section{Kind: DriftSection})
		for _, one := range known {
			d.View.Show(Compared{one})
		}
		end()
	}
	if err != nil {
		return Result{}, err
	}
	return result, nil
}

// ofAnyFamily returns the last revision of this task whose deployment to the service
// succeeded, of whatever family: somebody may have moved the service to another one.
// The zero Definition where there is none.
func (d *Deployer) ofAnyFamily(ctx context.Context, s ServicePlan) (taskdef.Definition, error) {
	for definition, err := range d.succeeded(ctx, s, math.MaxInt) {
		if _, ours := definition.Provenance(); ours || err != nil {
			return definition, err
		}
	}
	return taskdef.Definition{}, nil
}

// historyView makes it an error that the history of a service cannot be read: without
// it nothing is known of what was deployed, and silence would look like no drift.
type historyView struct {
	View
	err error
}

// Show implements [View].
func (v *historyView) Show(event any) {
	if e, is := event.(HistoryUnread); is {
		v.err = e.Err
		return
	}
	v.View.Show(event)
}

// deviation compares what the service is set to with the last revision of this task.
func (s ServicePlan) deviation() Deviation {
	ours := s.Lineage.Ours
	one := Deviation{Service: s.Name, Running: s.Running.ARN(), Deployed: ours.ARN(), By: s.Running.RegisteredBy()}
	var running taskdef.Provenance
	running, one.Ours = s.Running.Provenance()
	one.Build, one.Pipeline = running.BuildID, running.Pipeline
	if p, made := ours.Provenance(); made {
		one.BuildID, one.Digest = p.BuildID, p.Digest
	}
	if s.Other != nil {
		one.InProgress = s.Other.Snapshot().ID
	}
	if one.Drifted() {
		one.Differences = taskdef.Diff(ours, s.Running)
	}
	return one
}

// compareImages compares what the running tasks run with the digest that was deployed.
// The digests that stand for it are read from ECR, since ECS may report that of one
// platform. What cannot be read is noted, and is no drift.
func (d *Deployer) compareImages(ctx context.Context, s ServicePlan, one Deviation) Deviation {
	if one.Running != one.Deployed || one.Digest == "" || s.Service.Desired == 0 {
		return one
	}
	var (
		container string
		c         Candidate
	)
	for _, in := range deployedIn(s.Running, s.Lineage.Ours) {
		repository, _ := taskdef.SplitImage(in.Image)
		var err error
		if c, err = d.inspect(ctx, mistake.Service, repository+"@"+one.Digest); err == nil && len(c.Digests) == 0 {
			err = errors.New("the registry does not say which digests stand for " + one.Digest)
		}
		if err == nil {
			container, one.Uncompared = in.Name, nil
			break
		}
		one.Uncompared = cmp.Or(one.Uncompared, err)
	}
	if container == "" {
		return one
	}
	now := rollout.Snapshot{Service: s.Service, Revision: one.Running, ID: s.Service.Primary().ID}
	one.Proof = d.prove(ctx, now, map[string][]string{container: c.Digests})
	one.Uncompared = errors.Join(one.Proof.ResolvedErr, one.Proof.TasksErr)
	return one
}

// deployedIn are the containers that may run the image which was deployed, by the tag or
// the digest that the revision's tags say. Images of several repositories may have the
// same tag; the digest is in one of them.
func deployedIn(running, ours taskdef.Definition) (all []taskdef.Container) {
	p, _ := ours.Provenance()
	for _, c := range running.Containers() {
		if names(p, c.Image) {
			all = append(all, c)
		}
	}
	return all
}

// names reports whether an image is the one that the tags of a revision are about, by
// its tag or its digest.
func names(p taskdef.Provenance, image string) bool {
	return p.Digest != "" && strings.HasSuffix(image, "@"+p.Digest) || p.Tag != "" && tagOf(image) == p.Tag
}
