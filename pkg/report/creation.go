package report

// How a repository is created, in words.

import (
	"strings"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecr"
)

// creationText says with which settings a repository is created.
func creationText(c ecr.Creation) string {
	text := "immutable tags"
	if len(c.MutableTags) > 0 {
		text += " except " + strings.Join(c.MutableTags, ", ")
	}
	text += ", scan on push"
	if c.Key != "" {
		text += ", encrypted with the KMS key " + c.Key
	}
	if c.LifecyclePolicy != "" {
		text += ", with the lifecycle policy"
	}
	return text
}

// creationPlanned says how the repository is going to be created, or that the inputs
// for that have no effect on one that exists.
func (l *Log) creationPlanned(p *deploy.Plan) {
	r := p.Request
	switch {
	case !r.CreateRepository:
	case p.Repository == nil && p.Template() != "":
		l.info("", "  ECR creates it by the creation template %s", p.Template())
	case p.Repository == nil:
		l.info("", "  created with %s", creationText(r.Creation))
	default:
		if different := r.Creation.Differences(*p.Repository); len(different) > 0 {
			l.info("", "  the repository exists and is left as it is: %s", strings.Join(different, "; "))
		}
	}
}

func (l *Log) repositoryAppeared(e deploy.RepositoryAppeared) {
	different := e.Differences
	if e.LifecyclePolicy {
		different = append(different[:len(different):len(different)], "its lifecycle policy was not set by this run")
	}
	if len(different) == 0 {
		l.info("", "repository %s was created by someone else since the plan was made", e.URI)
		return
	}
	l.warn("", "repository %s was created by someone else since the plan was made, and is left as it is: %s", e.URI, strings.Join(different, "; "))
}
