package deploy

// The image of a run: where it is taken from, what ECR holds of it already, and
// the push.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/image/registry"
	"ecsdeploy/pkg/image/source"
	"ecsdeploy/pkg/mistake"
	"ecsdeploy/pkg/taskdef"
)

// untagged is the tag that an image reference means which has none.
const untagged = "latest"

// Current is the image of a request that means, for each service, the image of its
// last successful deployment.
const Current = "current"

// planImage finds the image that is to be pushed or rolled out, and checks that it
// can be. It fills in the plan's image, repository, source and state.
func (d *Deployer) planImage(ctx context.Context, p *Plan) error {
	r := p.Request
	switch {
	case r.Push:
		return d.planPush(ctx, p)
	case r.Image == Current:
		return nil // each service has its own: see current
	case r.Image != "":
		c, err := d.inspect(ctx, mistake.Image, r.Image)
		p.Image = c
		return err
	case r.Repository != "":
		repository, err := d.ECR.Repository(ctx, r.Repository)
		if err != nil {
			return about(mistake.Repository, err)
		}
		p.Repository = &repository
		p.Image, err = d.inECR(ctx, repository, r.Tags[0])
		if err != nil {
			return about(mistake.Tag, r.otherBuild(err))
		}
		if r.PinDigest {
			p.Image.URI = repository.URI + "@" + p.Image.Digests[0]
		}
	}
	return nil
}

// about says what an error is about that does not say so itself, for whoever knows
// the input that named it.
func about(kind mistake.Kind, err error) error {
	if err == nil {
		return nil
	}
	if m, is := errors.AsType[*mistake.Error](err); is && m.Kind == mistake.Repository && kind != mistake.Repository {
		// The repository of an image, which another input than repository names.
		named := *m
		named.Kind = kind
		err = &named
	}
	return &AboutError{kind, err}
}

// AboutError is an error of another package, and the kind of thing that it is about.
type AboutError struct {
	Kind mistake.Kind
	err  error
}

func (e *AboutError) Error() string { return e.err.Error() }
func (e *AboutError) Unwrap() error { return e.err }

// current finds the image of the service's last successful deployment that was
// neither the placeholder nor, where revisions tell, infrastructure's.
func (d *Deployer) current(ctx context.Context, s ServicePlan) (ServicePlan, error) {
	var fallback string
	for arn, err := range d.successes(ctx, s) {
		if err != nil {
			return s, err
		}
		definition, err := d.ECS.Definition(ctx, arn)
		if mistake.Absent(err) {
			continue
		}
		if err != nil {
			return s, err
		}
		uri := definition.Image(s.Container)
		if uri == "" || isPlaceholderImage(uri) {
			continue
		}
		if _, ours := definition.Provenance(); !ours {
			fallback = cmp.Or(fallback, uri)
			continue
		}
		fallback = uri
		break
	}
	if fallback == "" {
		return s, mistake.New(mistake.Image, "roll out a build first: give repository and tags",
			"service %s has had no successful deployment of an image of its own, so there is no current one", s.Name.Name)
	}
	c, err := d.inspect(ctx, mistake.Image, fallback)
	s.Image = &c
	return s, err
}

// planPush opens the source and asks the repository what its tags hold. Both are
// looked at, so that a mistake in each is reported at once.
func (d *Deployer) planPush(ctx context.Context, p *Plan) error {
	r := p.Request
	opened, openErr := source.Open(ctx, r.Image, d.Images)
	if openErr == nil {
		p.Source = opened
		p.Image.Platforms = platforms(opened.Describe().Platforms)
	}
	openErr = about(mistake.Image, openErr)
	repository, err := d.ECR.Repository(ctx, r.Repository)
	absent, missing := errors.AsType[*ecr.NotFoundError](err)
	switch {
	case err == nil:
		p.Repository = &repository
		p.Image.URI = repository.URI + ":" + r.Tags[0]
	case missing && r.CreateRepository:
		p.Image.URI, p.template, p.Signing = r.Repository+":"+r.Tags[0], absent.Template, d.readSigning(ctx, r.Repository)
		return errors.Join(openErr, r.checkCreation(absent))
	default:
		return errors.Join(openErr, about(mistake.Repository, err))
	}
	if openErr != nil {
		return openErr
	}
	p.Signing = d.readSigning(ctx, r.Repository)
	state, err := push.Check(ctx, opened, d.target(ctx, repository, r.Tags))
	if err != nil {
		return about(mistake.Tag, err)
	}
	p.State = &state
	if state.AlreadyThere() { // then it is known before the push what will run
		p.Image.Digests = []string{state.Tags[0].Digest}
		if r.PinDigest {
			p.Image.URI = repository.URI + "@" + state.Tags[0].Digest
		}
	}
	return nil
}

// target is the repository as package image pushes to it.
func (d *Deployer) target(ctx context.Context, repository ecr.Repository, tags []string) push.Target {
	return push.Target{
		Repository: repository.URI,
		Tags:       tags,
		Auth:       d.ECR.Authenticator(ctx, repository),
		Transport:  d.Images.Transport,
		Immutable:  repository.Immutable,
	}
}

// push uploads the source under all tags, and returns the image as it is to run and
// what was done.
func (d *Deployer) push(ctx context.Context, p *Plan) (Candidate, Image, error) {
	r, ref := p.Request, p.Source.Describe().Ref
	defer d.View.Section(Section{Kind: PushSection, Name: ref})()
	repository, err := d.repositoryFor(ctx, p)
	if err != nil {
		return p.Image, Image{Source: ref}, err
	}
	pushed, err := push.Push(ctx, p.Source, d.target(ctx, repository, r.Tags), push.Options{
		State: p.State,
		Base:  func(ctx context.Context) (push.Base, error) { return d.base(ctx, p, repository), nil },
		Available: func(ctx context.Context, digests []string) (map[string]bool, error) {
			return d.ECR.CheckLayers(ctx, repository, digests)
		},
		Compression: r.Compression,
		LazyLoading: r.LazyLoading,
		Referrers:   r.Referrers,
		Logger:      d.Images.Logger,
		Progress:    d.pushProgress(r),
	})
	if err != nil {
		return p.Image, Image{Source: ref}, fmt.Errorf("push %s to %s: %w", ref, repository.URI, err)
	}
	uri := repository.URI + ":" + r.Tags[0]
	if r.PinDigest {
		uri = repository.URI + "@" + pushed.Digest
	}
	done := Image{
		URI: uri, Digest: pushed.Digest, Source: ref, Pushed: !pushed.AlreadyThere,
		SentBytes: pushed.SentBytes, Layers: pushed.Layers, Reused: pushed.Reused, Took: pushed.Duration, Lazy: pushed.Lazy,
		repository: repository,
	}
	d.View.Show(Pushed{Result: pushed, Tags: r.Tags})
	im := Candidate{URI: uri, Digests: []string{pushed.Digest}, Platforms: p.Image.Platforms}
	if r.Rollout || r.FailOn != "" {
		// What ECR answers is what ECS will pull.
		stored, err := d.inECR(ctx, repository, pushed.Digest)
		if err != nil {
			return im, done, err
		}
		im.Digests, im.Stored = stored.Digests, stored.Stored
	}
	return im, done, nil
}

// repositoryFor is the plan's repository, created now where that is asked for.
func (d *Deployer) repositoryFor(ctx context.Context, p *Plan) (ecr.Repository, error) {
	if p.Repository != nil {
		return *p.Repository, nil
	}
	r := p.Request
	repository, created, err := d.ECR.CreateRepository(ctx, r.Repository, r.Creation)
	if err != nil {
		return repository, about(mistake.Repository, err)
	}
	if created {
		d.View.Show(RepositoryCreated{repository.URI, repository.Template, r.Creation})
	} else {
		d.View.Show(RepositoryAppeared{repository.URI, r.Creation.Differences(repository), r.Creation.LifecyclePolicy != ""})
	}
	return repository, nil
}

// checkCreation refuses settings of one's own for a repository that a creation template
// is for: whoever manages the registry has decided there, and how images are encrypted
// cannot be changed later.
func (r Request) checkCreation(absent *ecr.NotFoundError) error {
	if absent.Template == "" || !r.Creation.Chosen() {
		return nil
	}
	return mistake.New(mistake.Creation, "leave imageTagMutabilityExclusions, kmsKey and lifecyclePolicy empty, so that ECR creates the repository by the template, or have the template changed",
		"repository %s does not exist, and the creation template %s decides how it is created", r.Repository, absent.Template)
}

// base is the image in the repository that the pushed one probably shares layers
// with: the one that runs now, else the one that was pushed last. It is proven where
// the pipeline deployed it by a digest that it wrote down, and that succeeded.
func (d *Deployer) base(ctx context.Context, p *Plan, repository ecr.Repository) push.Base {
	for _, s := range p.Services {
		running := s.Running.Image(s.Container)
		in, tag := taskdef.SplitImage(running)
		if in != repository.URI || isPlaceholderImage(running) {
			continue
		}
		if origin, ours := s.Running.Provenance(); ours && origin.Digest != "" && s.Good == s.Running.ARN() {
			platform, _ := runsOn(s.Service, s.Running)
			return push.Base{Reference: origin.Digest, Proven: true, Platform: image.Platform{OS: platform.OS, Architecture: platform.Architecture}}
		}
		return push.Base{Reference: cmp.Or(tag, untagged)}
	}
	return push.Base{Reference: d.ECR.Newest(ctx, repository)}
}

// pushProgress shows a push as a percentage, of the whole step when a rollout
// follows.
func (d *Deployer) pushProgress(r Request) func(image.Progress) {
	share := 95
	if r.Rollout {
		share = 50 // the rollout shows the other half
	}
	return func(now image.Progress) {
		if now.Total > 0 {
			d.View.Progress(int(int64(share)*min(now.Done, now.Total)/now.Total), Pushing)
		}
		d.View.Show(PushProgress{now})
	}
}

// inspect looks at an image that a task definition is going to name in full. An
// image in ECR must be there; one in another registry that cannot be asked is let
// through with a warning, since ECS may hold credentials that we do not. What names
// no registry, as a task definition may, is on Docker Hub.
func (d *Deployer) inspect(ctx context.Context, kind mistake.Kind, ref string) (Candidate, error) {
	repository, tag := taskdef.SplitImage(ref)
	parsed, err := ecr.ParseRepository(repository)
	if err != nil {
		return Candidate{}, about(kind, err)
	}
	if parsed.Account != "" {
		found, err := d.ECR.Repository(ctx, repository)
		if err != nil {
			return Candidate{}, about(kind, err)
		}
		c, err := d.inECR(ctx, found, cmp.Or(tag, untagged))
		c.URI = ref
		return c, about(kind, err)
	}
	c := Candidate{URI: ref}
	description, err := d.look(ctx, ref)
	if _, missing := errors.AsType[*registry.NotFoundError](err); missing {
		return c, about(kind, err)
	}
	if err != nil {
		d.View.Show(ImageUnchecked{ref, err})
		return c, nil
	}
	c.Digests, c.Platforms = []string{description.Digest}, platforms(description.Platforms)
	return c, nil
}

// look asks a registry other than ECR, with the credentials of the agent's Docker
// configuration.
func (d *Deployer) look(ctx context.Context, ref string) (image.Description, error) {
	parsed, err := name.ParseReference(ref, name.WeakValidation)
	if err != nil {
		return image.Description{}, err
	}
	auth, err := authn.Resolve(ctx, d.Images.Keychain, parsed.Context())
	if err != nil {
		return image.Description{}, err
	}
	return source.Inspect(ctx, ref, auth, d.Images.Transport)
}

// inECR returns the image under a tag or digest, with every digest that stands for
// it and the platforms it is for.
func (d *Deployer) inECR(ctx context.Context, repository ecr.Repository, tag string) (Candidate, error) {
	found, err := d.ECR.Image(ctx, repository, tag)
	if err != nil {
		return Candidate{}, err
	}
	c := Candidate{URI: repository.URI + ":" + tag, Digests: digests(found), Stored: &Stored{repository, single(found)}}
	description, err := source.Inspect(ctx, repository.URI+"@"+found.Digest, d.ECR.Authenticator(ctx, repository), d.Images.Transport)
	if err != nil {
		// Reading the config takes a right that a deploy stage may lack.
		d.View.Show(ImageUnchecked{c.URI, err})
		return c, nil
	}
	c.Platforms = platforms(description.Platforms)
	return c, nil
}

// digests returns the digest of an image and, of an index, those of its images:
// ECS reports the one or the other for a running container.
func digests(found ecr.Image) []string {
	all := []string{found.Digest}
	var index struct {
		Manifests []struct{ Digest, ArtifactType string }
	}
	if json.Unmarshal(found.Manifest, &index) == nil {
		for _, m := range index.Manifests {
			if m.ArtifactType != image.SOCIIndexType {
				all = append(all, m.Digest)
			}
		}
	}
	return all
}

// single are the images of an index, or the image itself. What an index has beside
// its images, is not run: attestations of their build, which are of an unknown platform,
// and SOCI indexes.
func single(found ecr.Image) []StoredImage {
	var index struct {
		Manifests []struct {
			Digest, ArtifactType string
			Platform             struct{ OS, Architecture, Variant string }
		}
	}
	if json.Unmarshal(found.Manifest, &index) != nil || len(index.Manifests) == 0 {
		return []StoredImage{{Digest: found.Digest}}
	}
	var all []StoredImage
	for _, m := range index.Manifests {
		if m.Platform.OS == "unknown" || m.ArtifactType == image.SOCIIndexType {
			continue
		}
		platform := m.Platform.OS + "/" + m.Platform.Architecture
		if m.Platform.Variant != "" {
			platform += "/" + m.Platform.Variant
		}
		all = append(all, StoredImage{m.Digest, strings.Trim(platform, "/")})
	}
	if len(all) == 0 { // there is nothing that ECR would scan: what it says of the index counts
		return []StoredImage{{Digest: found.Digest}}
	}
	return all
}

func platforms(from []image.Platform) []Platform {
	var to []Platform
	for _, p := range from {
		to = append(to, Platform{OS: p.OS, Architecture: p.Architecture})
	}
	return to
}
