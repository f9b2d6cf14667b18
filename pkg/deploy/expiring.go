package deploy

// Images that the lifecycle policy of the repository is about to delete or to archive,
// though a service is to run them or a rollback needs them: ECS could not start another
// task of them. The plan warns of that, and nothing else depends on it.

import (
	"context"
	"slices"
	"time"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/taskdef"
)

// Expiring is an image that will be removed.
type Expiring struct {
	URI      string
	Services []Service // that run it, or would go back to it
	Rollback bool      // it is what they would go back to
	Ending   ecr.Ending
	Now      bool // the image meets the rule's criteria already
}

// lifecycle is what is known of a repository's lifecycle policy.
type lifecycle struct {
	policy ecr.LifecyclePolicy
	images []ecr.ListedImage
}

const (
	// expiringSoon is how far ahead the plan looks: a service is rolled out about as
	// often, and what runs is renewed by that.
	expiringSoon = 7 * 24 * time.Hour
	// readingLifecycle is how long it may take to read a policy and its images.
	readingLifecycle = 15 * time.Second
)

// readLifecycle reads the lifecycle policy of the plan's repository, once that is known.
func (d *Deployer) readLifecycle(ctx context.Context, p *Plan, known <-chan struct{}) (l lifecycle) {
	if !waitFor(ctx, known) || p.Repository == nil {
		return l
	}
	ctx, cancel := context.WithTimeout(ctx, readingLifecycle)
	defer cancel()
	l.policy, l.images = d.ECR.Lifecycle(ctx, *p.Repository)
	return l
}

// expiring finds what the lifecycle policy will remove of what runs after this run, and
// of what a rollback needs.
func (p *Plan) expiring(now time.Time) (all []Expiring) {
	if len(p.lifecycle.policy.Rules) == 0 || p.Repository == nil {
		return nil
	}
	images := p.imagesAfter(now)
	endings := p.lifecycle.policy.Endings(images, now.Add(expiringSoon))
	add := func(uri string, s Service, rollback bool) {
		repository, tag := taskdef.SplitImage(uri)
		if repository != p.Repository.URI {
			return
		}
		i := slices.IndexFunc(images, func(one ecr.ListedImage) bool { return one.Digest == tag || slices.Contains(one.Tags, tag) })
		if i < 0 {
			return
		}
		ending, ends := endings[images[i].Digest]
		if !ends {
			return
		}
		if j := slices.IndexFunc(all, func(e Expiring) bool { return e.URI == uri && e.Rollback == rollback }); j >= 0 {
			all[j].Services = append(all[j].Services, s)
			return
		}
		all = append(all, Expiring{URI: uri, Services: []Service{s}, Rollback: rollback, Ending: ending, Now: !ending.At.After(now)})
	}
	for _, s := range p.Services {
		next, runs := p.imageFor(s).URI, s.Running.Image(s.Container)
		if next == "" {
			next = runs
		}
		add(next, s.Name, false)
		if runs != next && !isPlaceholderImage(runs) {
			add(runs, s.Name, true)
		}
	}
	return all
}

// imagesAfter are the images of the repository as they will be after the push: its tags
// are on the image that is pushed, which is the youngest, and on no other.
func (p *Plan) imagesAfter(now time.Time) []ecr.ListedImage {
	r := p.Request
	if !r.Push || p.State != nil && p.State.AlreadyThere() {
		return p.lifecycle.images
	}
	images := []ecr.ListedImage{{Digest: "the image of this run", Tags: r.Tags, Pushed: now}}
	for _, one := range p.lifecycle.images {
		one.Tags = slices.DeleteFunc(slices.Clone(one.Tags), func(tag string) bool { return slices.Contains(r.Tags, tag) })
		images = append(images, one)
	}
	return images
}
