package deploy

// Which build is meant: one that a service has run before, one of another pipeline
// whose image a run consumes, and the image of the run itself under its full name.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// Artifact is a build that the run consumes: an artifact of a release, or a
// pipeline resource.
type Artifact struct {
	Alias     string
	BuildID   string
	InRelease bool
}

// variable is how the id of the build is written in an input.
func (a Artifact) variable() string {
	if a.InRelease {
		return "$(Release.Artifacts." + a.Alias + ".BuildId)"
	}
	return "$(resources.pipeline." + strings.ToLower(a.Alias) + ".runID)"
}

// otherBuild gives the error of a missing image the ids of the builds that the run
// consumes: a pipeline of its own has an own build id, under which nothing was
// pushed.
func (r Request) otherBuild(err error) error {
	if _, missing := errors.AsType[*ecr.ImageNotFoundError](err); !missing || len(r.Artifacts) == 0 {
		return err
	}
	var builds []string
	for _, a := range r.Artifacts {
		if slices.Contains(r.Tags, a.BuildID) {
			return err // it was meant already
		}
		builds = append(builds, fmt.Sprintf("%s (%s, now %s)", a.Alias, a.variable(), a.BuildID))
	}
	return &otherBuildError{err, "set tags to the build that pushed the image: " + strings.Join(builds, ", ")}
}

type otherBuildError struct {
	error
	hint string
}

func (e *otherBuildError) Unwrap() error { return e.error }

// Hint says which builds may be meant.
func (e *otherBuildError) Hint() string { return e.hint }

// deployedBefore finds out, for a build that is older than the one that runs,
// whether it was deployed to the service before with success: to deploy it again is
// to go back to it.
func (d *Deployer) deployedBefore(ctx context.Context, p *Plan, s ServicePlan) (ServicePlan, error) {
	if _, older := p.Older(s); !older || p.Request.AllowOlderBuild || p.Request.Rerun {
		return s, nil
	}
	for definition, err := range d.succeeded(ctx, s, buildsSearched) {
		switch {
		case err != nil: // then no earlier deployment is known
			return s, failing(err)
		case taskdef.Deployed([]taskdef.Candidate{{Definition: definition, Outcome: taskdef.Succeeded}}, p.origin()):
			s.Before = true
			return s, nil
		}
	}
	return s, nil
}

// succeeded yields the revisions whose deployment to the service succeeded, newest first,
// each once, and so many at most: those that ECS still knows. It ends with an error.
func (d *Deployer) succeeded(ctx context.Context, s ServicePlan, most int) iter.Seq2[taskdef.Definition, error] {
	return func(yield func(taskdef.Definition, error) bool) {
		seen := map[string]bool{}
		for arn, err := range s.Controller.Successes(ctx) {
			switch {
			case err != nil:
				yield(taskdef.Definition{}, err)
				return
			case seen[arn]:
				continue
			case len(seen) == most:
				return
			}
			seen[arn] = true
			definition, err := d.ECS.Definition(ctx, arn)
			if mistake.Absent(err) { // deleted since
				continue
			}
			if !yield(definition, err) || err != nil {
				return
			}
		}
	}
}

// runs is where the image comes from that the service runs: what its revision says, or
// where infrastructure registered that image again, a revision of the pipeline that had
// it.
func (s ServicePlan) runs() (taskdef.Provenance, bool) {
	return s.Running.ProvenanceIn(s.Container, append([]taskdef.Definition{s.Lineage.Ours}, s.Earlier...))
}

// imagesSearched is how many revisions are looked at for the build of an image that
// infrastructure registered again.
const imagesSearched = 20

// registeredAgain looks for the revision of the pipeline whose image infrastructure has
// registered again, so that its build is known: the last one of the pipeline is not
// known where the new revision is made from a file, or from a revision that is named,
// and infrastructure may have gone back to an image before the last.
func (d *Deployer) registeredAgain(ctx context.Context, p *Plan, s ServicePlan) (ServicePlan, error) {
	image := s.Running.Image(s.Container)
	if _, known := s.runs(); known || isPlaceholderImage(image) || !sameRepository(image, p.imageFor(s).URI) {
		return s, nil
	}
	for definition, err := range d.succeeded(ctx, s, imagesSearched) {
		if err != nil { // then no earlier revision is known
			return s, failing(err)
		}
		if _, known := s.Running.ProvenanceIn(s.Container, []taskdef.Definition{definition}); known {
			s.Earlier = []taskdef.Definition{definition}
			break
		}
	}
	return s, nil
}

// sameRepository reports whether two images are from one repository.
func sameRepository(a, b string) bool {
	from, _ := taskdef.SplitImage(a)
	other, _ := taskdef.SplitImage(b)
	return from == other && from != ""
}

// failing is an error of a reading that only completes the picture, where it is
// none to go on with.
func failing(err error) error {
	if passable(err) {
		return nil
	}
	return err
}

// mayPush reports whether an image reference may mean what the run pushes: the name
// of the repository and one of the tags are the same.
func (r Request) mayPush(ref string) bool {
	repository, tag := taskdef.SplitImage(ref)
	if !r.Push || !slices.Contains(r.Tags, tag) {
		return false
	}
	theirs, err := ecr.ParseRepository(repository)
	own, ownErr := ecr.ParseRepository(r.Repository)
	return err == nil && ownErr == nil && theirs.Account != "" && theirs.Name == own.Name
}

// pushes reports whether an image reference is one of the names under which the run
// pushes its image. A repository that is still to be created is taken for the one
// of the same name.
func (p *Plan) pushes(ref string) bool {
	if !p.Request.mayPush(ref) {
		return false
	}
	repository, _ := taskdef.SplitImage(ref)
	if p.Repository == nil {
		return p.Image.URI != ""
	}
	return repository == p.Repository.URI
}

// withSelf is the request in which containers that get the image of the run under
// its full name are among those that get the image of the run.
func (p *Plan) withSelf() Request {
	r := p.Request
	for _, container := range slices.Sorted(maps.Keys(r.Images)) {
		if !p.pushes(r.Images[container]) {
			continue
		}
		r.Images = maps.Clone(r.Images)
		delete(r.Images, container)
		r.Change.ImageContainers = append(slices.Clip(r.Change.ImageContainers), container)
	}
	return r
}

// waitFor waits for a channel to be closed; false where the context ends before.
func waitFor(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
