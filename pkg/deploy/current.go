package deploy

// What infrastructure needs of the application: which image each service runs,
// and an image to begin with.

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// PlaceholderTag is the tag under which the built-in image is pushed, and by
// which an image in a task definition is recognised as it. Every other tag
// means a build.
const PlaceholderTag = "placeholder"

// isPlaceholderImage reports whether an image reference means the placeholder.
func isPlaceholderImage(uri string) bool {
	return buildOf(uri) == PlaceholderTag
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
// repository. Where the tag is there already nothing changes: the placeholder
// of an earlier version of this task serves as well.
func (d *Deployer) PushPlaceholder(ctx context.Context, r Request, path string) (Result, error) {
	result := Result{DryRun: r.DryRun}
	r.Image, r.Tags, r.Push = path, []string{PlaceholderTag}, true
	repository, err := d.ECR.Repository(ctx, r.Repository)
	if err == nil {
		there, err := d.ECR.Image(ctx, repository, PlaceholderTag)
		if err == nil {
			result.Image = Image{URI: repository.URI + ":" + PlaceholderTag, Digest: there.Digest}
			d.Log.Info(pushText(image.Result{AlreadyThere: true, Digest: there.Digest}, r.Tags))
			return result, nil
		}
		if _, missing := errors.AsType[*ecr.ImageNotFoundError](err); !missing {
			return result, fmt.Errorf("input repository: %w", err)
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

// CurrentImages says which image each service runs. For a service, or a
// cluster, that does not exist yet it is the default, or where that is empty
// the placeholder in the repository of the request.
func (d *Deployer) CurrentImages(ctx context.Context, r Request, defaultImage string) ([]CurrentImage, error) {
	images := make([]CurrentImage, len(r.Services))
	err := d.each(r.Services, func(i int, name Service) error {
		service, err := d.ECS.Service(ctx, name.Cluster, name.Name)
		if problem, ok := errors.AsType[*rollout.Problem](err); ok && problem.Absent {
			images[i], err = d.defaultImage(ctx, r, name, defaultImage)
			return err
		}
		if err != nil {
			return err
		}
		images[i], err = d.runningImage(ctx, r, name, service)
		return err
	})
	if err != nil {
		return nil, err
	}
	end := d.Console.Group("Current images")
	defer end()
	for _, c := range images {
		text := c.URI
		if !c.Exists {
			text += "  (the default: there is no such service yet)"
		}
		d.Log.With("service", c.Name).Info(text)
	}
	return images, nil
}

func (d *Deployer) defaultImage(ctx context.Context, r Request, name Service, defaultImage string) (CurrentImage, error) {
	c := CurrentImage{Service: name, Container: r.Container, URI: defaultImage}
	if defaultImage != "" {
		return c, nil
	}
	repository, err := d.ECR.Repository(ctx, r.Repository)
	if err != nil {
		return c, fmt.Errorf("input repository: %w", err)
	}
	placeholder, err := d.inECR(ctx, repository, PlaceholderTag)
	if _, missing := errors.AsType[*ecr.ImageNotFoundError](err); missing {
		return c, &rollout.Problem{Input: "repository",
			Message: fmt.Sprintf("there is no service %s yet, and %s has no placeholder for it to begin with", name.Name, repository.URI),
			Advice:  "run command placeholder first, or say in defaultImage what it is to run"}
	}
	if err != nil {
		return c, fmt.Errorf("input repository: %w", err)
	}
	c.URI, c.Digest = placeholder.uri, placeholder.digests[0]
	return c, nil
}

// runningImage reads the image of the revision that the service last reached:
// a deployment in flight has yet to prove its own. Where CodeDeploy deploys, it
// is that of the task set which serves the traffic.
func (d *Deployer) runningImage(ctx context.Context, r Request, name Service, service rollout.Service) (CurrentImage, error) {
	revision := service.TaskDefinition
	switch primary := service.Primary(); {
	case service.Controller == byCodeDeploy:
		revision = cmp.Or(primary.TaskDefinition, revision)
	case primary.RolloutState != "COMPLETED":
		for success, err := range d.ECS.Successes(ctx, service) {
			if err == nil {
				revision = success
			}
			break
		}
	}
	definition, err := d.ECS.Definition(ctx, revision)
	if err != nil {
		return CurrentImage{}, err
	}
	container, err := definition.ChooseContainer(r.Container, r.Repository)
	if err != nil {
		return CurrentImage{}, errors.Join(name.mistakes(err)...)
	}
	c := CurrentImage{Service: name, Exists: true, Container: container, URI: definition.Image(container), Revision: definition.ARN()}
	p, _ := definition.Provenance()
	c.BuildID, c.Digest = p.BuildID, p.Digest
	if c.BuildID == "" && !isPlaceholderImage(c.URI) {
		c.BuildID = buildOf(c.URI)
	}
	if c.Digest == "" {
		if known, err := d.inspect(ctx, "services", c.URI); err == nil && len(known.digests) > 0 {
			c.Digest = known.digests[0]
		}
	}
	return c, nil
}
