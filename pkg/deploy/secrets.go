package deploy

// Secrets that changed: ECS reads them when a task starts, so that tasks which run keep
// the version that there was. The versions (ids, never values) are kept on the revision
// that a run registers; where one is newer than that, the revision is not the same as
// before, and a new one is deployed (input whenSecretsChange).

import (
	"context"
	"sync"
	"time"

	"ecsdeploy/pkg/taskdef"
)

// Secrets reads which versions of secrets a task reads that starts now, by their
// sources as the task definition has them. Versions that could be read are there
// beside an error.
type Secrets interface {
	Versions(ctx context.Context, sources []string) (map[string]string, error)
}

// versionsFor is how long versions that were read are taken for those of now: services
// of one step share what they read.
const versionsFor = 30 * time.Second

// readingVersions is how long it may take to read versions: a rollout does not wait
// longer for what it can do without.
const readingVersions = 10 * time.Second

// secretReader reads the versions of secrets once for all services.
type secretReader struct {
	secrets Secrets
	mu      sync.Mutex
	read    map[string]readVersion
}

type readVersion struct {
	version string // empty where it is not known
	err     error
	at      time.Time
}

func newSecretReader(secrets Secrets) *secretReader {
	return &secretReader{secrets: secrets, read: map[string]readVersion{}}
}

// versions returns the versions of sources as far as they are known.
func (r *secretReader) versions(ctx context.Context, sources []string) (map[string]string, error) {
	r.mu.Lock() // services of a family ask for the same at the same time
	defer r.mu.Unlock()
	var missing []string
	for _, source := range sources {
		if have, known := r.read[source]; !known || time.Since(have.at) > versionsFor {
			missing = append(missing, source)
		}
	}
	if len(missing) > 0 {
		reading, cancel := context.WithTimeout(ctx, readingVersions)
		found, err := r.secrets.Versions(reading, missing)
		cancel()
		for _, source := range missing {
			one := readVersion{version: found[source], at: time.Now()}
			if one.version == "" {
				one.err = err
			}
			r.read[source] = one
		}
	}
	all := map[string]string{}
	var err error
	for _, source := range sources {
		if have := r.read[source]; have.version != "" {
			all[source] = have.version
		} else if err == nil {
			err = have.err
		}
	}
	return all, err
}

// secretVersions adds to a service the versions of the secrets that the containers of
// its target read, and which of them are newer than those of the running revision.
// Where they cannot be read, no rollout waits for that or fails.
func (d *Deployer) secretVersions(ctx context.Context, p *Plan, s ServicePlan, target taskdef.Definition) ServicePlan {
	sources := target.SecretSources()
	if p.secrets == nil || len(sources) == 0 {
		return s
	}
	versions, err := p.secrets.versions(ctx, sources)
	if err != nil && ctx.Err() == nil {
		d.View.Show(SecretsUnread{Service: s.Name, Err: err})
	}
	if err != nil && s.Running.SecretsTogether() {
		versions = nil // a part of them cannot be compared with all
	}
	s.Secrets, s.SecretsIgnored = versions, p.Request.IgnoreSecrets
	s.SecretsChanged = s.Running.ChangedSecrets(versions)
	return s
}

// outdated reports whether a registered revision was made for other versions of its
// secrets than there are, and a new one is wanted for that.
func (s ServicePlan) outdated(changed []string) bool { return !s.SecretsIgnored && len(changed) > 0 }
