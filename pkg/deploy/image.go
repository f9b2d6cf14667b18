package deploy

// The image of a run: where it is taken from, what ECR holds of it already,
// and the push.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/rollout"
	"ecsdeploy/pkg/taskdef"
)

// untagged is the tag that an image reference means which has none.
const untagged = "latest"

// planImage finds the image that is to be pushed or rolled out, and checks
// that it can be.
func (d *Deployer) planImage(ctx context.Context, p *plan) error {
	r := p.request
	switch {
	case r.Push:
		return d.planPush(ctx, p)
	case r.Image == Current:
		return nil // each service has its own: see current
	case r.Image != "":
		c, err := d.inspect(ctx, "image", r.Image)
		p.image = c
		return err
	case r.Repository != "":
		repository, err := d.ECR.Repository(ctx, r.Repository)
		if err != nil {
			return fmt.Errorf("input repository: %w", err)
		}
		p.repository = &repository
		p.image, err = d.inECR(ctx, repository, r.Tags[0])
		if err != nil {
			return fmt.Errorf("input tags: %w", err)
		}
		if r.PinDigest {
			p.image.uri = repository.URI + "@" + p.image.digests[0]
		}
	}
	return nil
}

// Current is the image of a request that means, for each service, the image of
// its last successful deployment.
const Current = "current"

// current finds the image of the service's last successful deployment that was
// neither the placeholder nor, where revisions tell, infrastructure's.
func (d *Deployer) current(ctx context.Context, s *servicePlan) error {
	var fallback string
	for arn, err := range d.successes(ctx, s) {
		if err != nil {
			return err
		}
		definition, err := d.ECS.Definition(ctx, arn)
		if err != nil {
			return err
		}
		uri := definition.Image(s.container)
		if uri == "" || isPlaceholderImage(uri) {
			continue
		}
		if _, ours := definition.Provenance(); !ours {
			if fallback == "" {
				fallback = uri
			}
			continue
		}
		fallback = uri
		break
	}
	if fallback == "" {
		return &rollout.Problem{Input: "image", Message: fmt.Sprintf("service %s has had no successful deployment of an image of its own: there is no current one", s.name.Name),
			Advice: "roll out a build first: give repository and tags"}
	}
	c, err := d.inspect(ctx, "image", fallback)
	s.image = &c
	return err
}

// planPush opens the source and asks the repository what its tags hold. Both
// are looked at, so that a mistake in each is reported at once.
func (d *Deployer) planPush(ctx context.Context, p *plan) error {
	r := p.request
	source, sourceErr := image.Open(ctx, r.Image, d.Images)
	if sourceErr != nil {
		sourceErr = fmt.Errorf("input image: %w", sourceErr)
	} else {
		p.source = source
		p.image.platforms = platforms(source.Describe().Platforms)
	}
	repository, err := d.ECR.Repository(ctx, r.Repository)
	_, missing := errors.AsType[*ecr.NotFoundError](err)
	switch {
	case err == nil:
		p.repository = &repository
		p.image.uri = repository.URI + ":" + r.Tags[0]
	case missing && r.CreateRepository:
		p.image.uri = r.Repository + ":" + r.Tags[0]
		return sourceErr
	default:
		return errors.Join(sourceErr, fmt.Errorf("input repository: %w", err))
	}
	if sourceErr != nil {
		return sourceErr
	}
	state, err := image.Check(ctx, source, d.target(ctx, repository, r.Tags))
	if err != nil {
		return fmt.Errorf("input tags: %w", err)
	}
	p.state = &state
	return nil
}

// target is the repository as package image pushes to it.
func (d *Deployer) target(ctx context.Context, repository ecr.Repository, tags []string) image.Target {
	return image.Target{
		Repository: repository.URI,
		Tags:       tags,
		Auth:       d.ECR.Authenticator(ctx, repository),
		Transport:  d.Images.Transport,
		Immutable:  repository.Immutable,
	}
}

// push uploads the source under all tags and writes down what that gave.
func (d *Deployer) push(ctx context.Context, p *plan, result *Image) error {
	r := p.request
	end := d.Console.Group("Push " + p.source.Describe().Ref)
	defer end()
	if p.repository == nil {
		repository, err := d.ECR.CreateRepository(ctx, r.Repository)
		if err != nil {
			return fmt.Errorf("input createRepository: %w", err)
		}
		p.repository = &repository
		if repository.Template != "" {
			d.Log.Info(fmt.Sprintf("repository %s does not exist: ECR creates it at this push, by the creation template %s", repository.URI, repository.Template))
		} else {
			d.Log.Info("created repository " + repository.URI)
		}
	}
	pushed, err := image.Push(ctx, p.source, d.target(ctx, *p.repository, r.Tags), image.PushOptions{
		State: p.state,
		Base:  func(ctx context.Context) (image.Base, error) { return image.Base{Reference: d.base(ctx, p)}, nil },
		Available: func(ctx context.Context, digests []string) (map[string]bool, error) {
			return d.ECR.CheckLayers(ctx, *p.repository, digests)
		},
		Compression: r.Compression,
		Referrers:   r.Referrers,
		Logger:      d.Log,
		Progress:    d.pushProgress(r),
	})
	if err != nil {
		return fmt.Errorf("push %s to %s: %w", p.source.Describe().Ref, p.repository.URI, err)
	}
	result.URI = p.repository.URI + ":" + r.Tags[0]
	if r.PinDigest {
		result.URI = p.repository.URI + "@" + pushed.Digest
	}
	result.Digest = pushed.Digest
	result.Pushed = !pushed.AlreadyThere
	result.SentBytes, result.Layers, result.Reused, result.Took = pushed.SentBytes, pushed.Layers, pushed.Reused, pushed.Duration
	d.Log.Info(pushText(pushed, r.Tags))
	p.image.uri = result.URI
	if r.Rollout {
		// What ECR answers is what ECS will pull.
		stored, err := d.inECR(ctx, *p.repository, pushed.Digest)
		if err != nil {
			return err
		}
		p.image.digests = stored.digests
	}
	return nil
}

// base is the image in the repository that the pushed one probably shares
// layers with: the one that runs now, else the one that was pushed last.
func (d *Deployer) base(ctx context.Context, p *plan) (tagOrDigest string) {
	for _, s := range p.services {
		running := s.running.Image(s.container)
		if repository, tag := taskdef.SplitImage(running); repository == p.repository.URI && !isPlaceholderImage(running) {
			return cmp.Or(tag, untagged)
		}
	}
	return d.ECR.Newest(ctx, *p.repository)
}

// pushProgress shows a push as a percentage, of the whole step when a rollout
// follows, and in lines at a calm rate: the log cannot redraw one.
func (d *Deployer) pushProgress(r Request) func(image.Progress) {
	share := 95
	if r.Rollout {
		share = 50 // the rollout shows the other half
	}
	var lines pace
	return func(now image.Progress) {
		if now.Total > 0 {
			d.Console.Progress(int(int64(share)*min(now.Done, now.Total)/now.Total), "Pushing")
		}
		if text := lines.next(now); text != "" {
			d.Log.Info(text)
		}
	}
}

// inspect looks at an image that a task definition is going to name in full.
// An image in ECR must be there; one in another registry that cannot be asked
// is let through with a warning, since ECS may hold credentials that we do not.
// What names no registry, as a task definition may, is on Docker Hub.
func (d *Deployer) inspect(ctx context.Context, input, ref string) (candidate, error) {
	repository, tag := taskdef.SplitImage(ref)
	parsed, err := ecr.ParseRepository(repository)
	if err != nil {
		return candidate{}, fmt.Errorf("input %s: %w", input, err)
	}
	if parsed.Account != "" {
		found, err := d.ECR.Repository(ctx, repository)
		if err != nil {
			return candidate{}, fmt.Errorf("input %s: %w", input, err)
		}
		c, err := d.inECR(ctx, found, cmp.Or(tag, untagged))
		if err != nil {
			return c, fmt.Errorf("input %s: %w", input, err)
		}
		c.uri = ref
		return c, nil
	}
	c := candidate{uri: ref}
	description, err := d.look(ctx, ref)
	if _, missing := errors.AsType[*image.NotFoundError](err); missing {
		return c, fmt.Errorf("input %s: %w", input, err)
	}
	if err != nil {
		d.Log.Warn(fmt.Sprintf("whether %s exists and fits could not be checked: %s", ref, err))
		return c, nil
	}
	c.digests, c.platforms = []string{description.Digest}, platforms(description.Platforms)
	return c, nil
}

// look asks a registry other than ECR, with the credentials of the agent's
// Docker configuration.
func (d *Deployer) look(ctx context.Context, ref string) (image.Description, error) {
	parsed, err := name.ParseReference(ref, name.WeakValidation)
	if err != nil {
		return image.Description{}, err
	}
	auth, err := authn.Resolve(ctx, d.Images.Keychain, parsed.Context())
	if err != nil {
		return image.Description{}, err
	}
	return image.Inspect(ctx, ref, auth, d.Images.Transport)
}

// inECR returns the image under a tag or digest, with every digest that
// stands for it and the platforms it is for.
func (d *Deployer) inECR(ctx context.Context, repository ecr.Repository, tag string) (candidate, error) {
	found, err := d.ECR.Image(ctx, repository, tag)
	if err != nil {
		return candidate{}, err
	}
	c := candidate{uri: repository.URI + ":" + tag, digests: digests(found)}
	description, err := image.Inspect(ctx, repository.URI+"@"+found.Digest, d.ECR.Authenticator(ctx, repository), d.Images.Transport)
	if err != nil {
		// Reading the config takes a right that a deploy stage may lack.
		d.Log.Warn(fmt.Sprintf("whether %s fits the task definition's platform could not be checked: %s", c.uri, err))
		return c, nil
	}
	c.platforms = platforms(description.Platforms)
	return c, nil
}

// digests returns the digest of an image and, of an index, those of its
// images: ECS reports the one or the other for a running container.
func digests(found ecr.Image) []string {
	all := []string{found.Digest}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if json.Unmarshal(found.Manifest, &index) == nil {
		for _, m := range index.Manifests {
			all = append(all, m.Digest)
		}
	}
	return all
}

func platforms(from []image.Platform) []rollout.Platform {
	var to []rollout.Platform
	for _, p := range from {
		to = append(to, rollout.Platform{OS: p.OS, Architecture: p.Architecture})
	}
	return to
}
