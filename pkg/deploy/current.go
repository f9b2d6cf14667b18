package deploy

// What infrastructure needs of the application: which image each service runs,
// and an image to begin with.

import (
	"cmp"
	"context"
	"errors"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// PlaceholderTag is the tag under which the built-in image is pushed, and by
// which an image in a task definition is recognised as it. Every other tag
// means a build.
const PlaceholderTag = "placeholder"

// isPlaceholderImage reports whether an image reference means the placeholder.
func isPlaceholderImage(uri string) bool {
	return tagOf(uri) == PlaceholderTag
}

// isPlaceholder reports whether a revision runs the placeholder in a container
// that its task cannot do without.
func isPlaceholder(d taskdef.Definition) bool {
	for _, c := range d.Containers() {
		if c.Essential && isPlaceholderImage(c.Image) {
			return true
		}
	}
	return false
}

// PushPlaceholder puts the built-in image, an OCI layout at path, into the
// repository. Where the tag is there already nothing changes: the placeholder of an
// earlier version of this task serves as well.
func (d *Deployer) PushPlaceholder(ctx context.Context, r Request, path string) (Result, error) {
	r.Image, r.Tags, r.Push = path, []string{PlaceholderTag}, true
	repository, err := d.ECR.Repository(ctx, r.Repository)
	if err == nil {
		there, err := d.ECR.Image(ctx, repository, PlaceholderTag)
		if err == nil {
			d.View.Show(Pushed{Result: push.Result{AlreadyThere: true, Digest: there.Digest}, Tags: r.Tags})
			return Result{DryRun: r.DryRun, Image: Image{URI: repository.URI + ":" + PlaceholderTag, Digest: there.Digest}}, nil
		}
		if _, missing := errors.AsType[*ecr.ImageNotFoundError](err); !missing {
			return Result{DryRun: r.DryRun}, about(mistake.Repository, err)
		}
	}
	// What else is wrong with the repository is found, and said, by the plan.
	return d.Run(ctx, r)
}

// CurrentImage is which image a service runs.
type CurrentImage struct {
	Service
	Exists    bool   // false: URI is the default
	Container string // that runs the image
	URI       string
	Digest    string // empty where it is not known
	BuildID   string // empty where it is not known
	Revision  string // ARN of the task definition revision
}

// CurrentImages says which image each service runs. For a service, or a cluster,
// that does not exist yet it is the default, or where that is empty the placeholder
// in the repository of the request.
func (d *Deployer) CurrentImages(ctx context.Context, r Request, defaultImage string) ([]CurrentImage, error) {
	images := make([]CurrentImage, len(r.Services))
	err := each(r.Services, func(i int, name Service) error {
		service, err := d.ECS.Service(ctx, name.Cluster, name.Name)
		switch {
		case mistake.Absent(err), err == nil && service.Status == "INACTIVE":
			images[i], err = d.defaultImage(ctx, r, name, defaultImage)
		case err == nil:
			images[i], err = d.runningImage(ctx, r, name, service)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	defer d.View.Section(Section{Kind: CurrentSection})()
	d.View.Show(CurrentImages{images})
	return images, nil
}

func (d *Deployer) defaultImage(ctx context.Context, r Request, name Service, defaultImage string) (CurrentImage, error) {
	c := CurrentImage{Service: name, Container: first(r.Containers), URI: defaultImage}
	if defaultImage != "" {
		return c, nil
	}
	repository, err := d.ECR.Repository(ctx, r.Repository)
	if err != nil {
		return c, about(mistake.Repository, err)
	}
	placeholder, err := d.inECR(ctx, repository, PlaceholderTag)
	if _, missing := errors.AsType[*ecr.ImageNotFoundError](err); missing {
		return c, mistake.New(mistake.Repository, "run command placeholder first, or set defaultImage to the image that it is to run",
			"service %s does not exist yet, and %s has no placeholder image for it to start with", name.Name, repository.URI)
	}
	if err != nil {
		return c, about(mistake.Repository, err)
	}
	c.URI, c.Digest = placeholder.URI, placeholder.Digests[0]
	return c, nil
}

// runningImage reads the image of the revision that the service last reached: a
// deployment in progress has yet to prove its own.
func (d *Deployer) runningImage(ctx context.Context, r Request, name Service, service ecs.Service) (CurrentImage, error) {
	revision, err := d.reached(ctx, service)
	if err != nil {
		return CurrentImage{}, err
	}
	definition, err := d.ECS.Definition(ctx, revision)
	if err != nil {
		return CurrentImage{}, err
	}
	container, err := definition.ChooseContainer(first(r.Containers), r.Repository)
	if err != nil {
		return CurrentImage{}, errors.Join(name.mistakes(err)...)
	}
	c := CurrentImage{Service: name, Exists: true, Container: container, URI: definition.Image(container), Revision: definition.ARN()}
	p := madeWith(definition, container)
	c.BuildID, c.Digest = p.BuildID, p.Digest
	if c.BuildID == "" && !isPlaceholderImage(c.URI) {
		c.BuildID = tagOf(c.URI)
	}
	if c.Digest == "" {
		if known, err := d.inspect(ctx, mistake.Service, c.URI); err == nil && len(known.Digests) > 0 {
			c.Digest = known.Digests[0]
		}
	}
	return c, nil
}

// madeWith is what the tags of a revision say of the image of one of its containers.
// They are about the image of the run that registered it, whose tag or digest they have;
// other containers may run images of that tag, too, of which the digest is none.
func madeWith(d taskdef.Definition, container string) taskdef.Provenance {
	p, _ := d.Provenance()
	if p.Tag == "" && !byDigest(d.Image(container)) {
		return p // registered before the tag was noted
	}
	own, _ := taskdef.SplitImage(d.Image(container))
	means, shared := false, false
	for _, c := range d.Containers() {
		if !names(p, c.Image) {
			continue
		}
		repository, _ := taskdef.SplitImage(c.Image)
		means, shared = means || c.Name == container, shared || repository != own
	}
	switch {
	case !means:
		return taskdef.Provenance{}
	case shared && !byDigest(d.Image(container)):
		p.Digest = ""
	}
	return p
}

// reached is the revision that a service last reached. Where CodeDeploy deploys, it
// is that of the task set which serves the traffic. Where the history has none, or may
// not be read, the service's own list of deployments tells: what is being rolled out is
// the answer only where there is nothing before it.
func (d *Deployer) reached(ctx context.Context, service ecs.Service) (string, error) {
	fallback := cmp.Or(service.Primary().TaskDefinition, service.TaskDefinition)
	if service.Controller == "CODE_DEPLOY" {
		return fallback, nil
	}
	controller, err := d.Rollouts.Controller(ctx, service)
	if err != nil {
		return "", err
	}
	good, err := controller.LastGood(ctx)
	if good != "" || failing(err) != nil {
		return good, failing(err)
	}
	for success, err := range controller.Successes(ctx) {
		if err == nil || failing(err) != nil {
			return success, err
		}
		break
	}
	if service.Primary().RolloutState == "COMPLETED" {
		return fallback, nil // older tasks are only being replaced, as after an early success
	}
	var before ecs.Deployment
	for _, one := range service.Deployments {
		if one.Status != "PRIMARY" && one.RolloutState == "COMPLETED" && !one.CreatedAt.Before(before.CreatedAt) {
			before = one
		}
	}
	return cmp.Or(before.TaskDefinition, fallback), nil
}

// first is the first of some names, "" where there is none.
func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}
