package main

// Marks that outlast the run: tags, properties and leases of the builds that were
// rolled out, the status of their commits and of a pull request, the name of a
// release. None is needed: what Azure DevOps refuses is said, and nothing else.

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ecsdeploy/pkg/azdo"
	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/ecs"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/report"
	"ecsdeploy/pkg/rollout"
)

// tagged is a build and the tag that it is given.
type tagged struct {
	build int
	tag   string
}

// tags are the tags that a result earns. A build is tagged for an environment only
// where all services that it was rolled out to run it; without an environment it
// is tagged for each service. coming is the build by service.
func tags(result deploy.Result, coming map[deploy.Service]int, environment string) []tagged {
	var all []tagged
	failed := map[int]bool{}
	for _, s := range result.Services {
		build := coming[s.Service]
		if build == 0 || !s.Outcome.Good() {
			failed[build] = true
			continue
		}
		tag := azdo.TagName("deployed-" + cmp.Or(environment, deploy.Service{Cluster: s.Cluster, Name: s.Name}.String()))
		if one := (tagged{build, tag}); !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	if environment == "" {
		return all
	}
	return slices.DeleteFunc(all, func(t tagged) bool { return failed[t.build] })
}

// tagBuilds tags the builds that are now running.
func (j job) tagBuilds(ctx context.Context, result deploy.Result) {
	in, p := j.config.Inputs, j.config.Pipeline
	if !in.TagBuild || in.DryRun || ctx.Err() != nil {
		return
	}
	if j.devops == nil {
		j.log.Warn("tagBuild: the build is not tagged, because the agent gave no token of the job")
		return
	}
	for _, one := range tags(result, j.contents.builds(), cmp.Or(p.ReleaseEnvironment, p.EnvironmentName)) {
		if err := j.devopsOf(one.build).AddTags(ctx, one.build, one.tag); err != nil {
			j.devopsFailed(err)
			continue
		}
		j.log.Info("tagged build " + strconv.Itoa(one.build) + " with " + one.tag)
	}
}

// devopsOf is the client for a build that services were to run: in the project of the
// artifact or pipeline resource whose build it is, as the agent says, else in the run's.
// What the tags of a revision say does not decide where something is written.
func (j job) devopsOf(build int) *azdo.Client {
	if b := j.config.Build; b.ID == strconv.Itoa(build) && b.ProjectID != j.config.Pipeline.ProjectID {
		return j.devops.In(b.ProjectID)
	}
	return j.devops
}

// marked is a build with the services that it was rolled out to.
type marked struct {
	build    int
	services []deploy.ServiceResult
}

// markedBuilds groups the services of a result by the build that each was to run,
// in their order.
func markedBuilds(result deploy.Result, coming map[deploy.Service]int) (all []marked) {
	for _, s := range result.Services {
		build := coming[s.Service]
		if build == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(m marked) bool { return m.build == build })
		if i < 0 {
			i = len(all)
			all = append(all, marked{build: build})
		}
		all[i].services = append(all[i].services, s)
	}
	return all
}

// state is that of a commit or a pull request after the rollout to services.
// failure is why the run could not be carried out.
func state(services []deploy.ServiceResult, failure error) azdo.State {
	state := azdo.Succeeded
	for _, s := range services {
		switch {
		case s.Outcome == "" || s.Outcome == rollout.Paused:
			state = azdo.Pending
		case !s.Outcome.Good():
			return azdo.Failed
		}
	}
	if failure != nil {
		return azdo.Errored
	}
	return state
}

// genre is that of the statuses, so that a branch policy can ask for them.
const genre = "ecs-deploy"

// status is what is shown beside a commit or a pull request.
func (j job) status(services []deploy.ServiceResult, failure error) azdo.Status {
	p := j.config.Pipeline
	s := azdo.Status{State: state(services, failure), Genre: genre, Name: cmp.Or(p.ReleaseEnvironment, p.EnvironmentName), Description: j.console.Redact(report.StatusText(services))}
	if s.Name == "" && len(services) == 1 {
		s.Name = services[0].Service.String()
	}
	s.Name = cmp.Or(s.Name, "deployment")
	if id, err := strconv.Atoi(j.config.Server.BuildID); err == nil && !p.InRelease() {
		s.URL = j.devops.BuildURL("", id)
	} else {
		s.URL = p.ReleaseWebURL
	}
	return s
}

// mark sets the marks that were asked for, each build by itself.
func (j job) mark(ctx context.Context, result deploy.Result, failure error) {
	in := j.config.Inputs
	if len(in.Marks) == 0 || in.DryRun || ctx.Err() != nil {
		return
	}
	if j.devops == nil {
		j.log.Warn("marks: none is set, because the agent gave no token of the job")
		return
	}
	for _, m := range markedBuilds(result, j.contents.builds()) {
		j.markBuild(ctx, m, result, failure)
	}
	if slices.Contains(in.Marks, input.MarkPullRequestStatus) {
		j.markPullRequest(ctx, result, failure)
	}
	if slices.Contains(in.Marks, input.MarkReleaseName) && failure == nil {
		j.markRelease(ctx, result)
	}
}

// done says that a mark was set, or why not.
func (j job) done(err error, format string, args ...any) {
	if err != nil {
		j.devopsFailed(err)
		return
	}
	j.log.Info(fmt.Sprintf(format, args...))
}

// markBuild sets the marks of a build and of its commit.
func (j job) markBuild(ctx context.Context, m marked, result deploy.Result, failure error) {
	devops := j.devopsOf(m.build)
	wants := func(mark input.Mark) bool { return slices.Contains(j.config.Inputs.Marks, mark) }
	if wants(input.MarkProperties) {
		if p := properties(m.services, result.Image.Digest); len(p) > 0 {
			j.done(devops.SetProperties(ctx, m.build, p), "set %d properties of build %d", len(p), m.build)
		}
	}
	if !wants(input.MarkRetain) && !wants(input.MarkCommitStatus) {
		return
	}
	build, err := devops.Build(ctx, m.build)
	if err != nil {
		j.devopsFailed(err)
		return
	}
	for _, s := range m.services {
		if wants(input.MarkRetain) && s.Outcome.Good() {
			lease := azdo.Lease{Owner: "ecs-deploy:" + cmp.Or(s.ARN, s.Service.String()), Definition: build.DefinitionID, Build: m.build, Days: azdo.Forever}
			j.done(devops.Retain(ctx, lease), "build %d is kept from deletion as long as service %s runs it", m.build, s.Name)
		}
	}
	switch {
	case !wants(input.MarkCommitStatus):
	case !build.InAzureRepos() || build.Commit == "":
		j.log.Info(fmt.Sprintf("marks: no status is set for build %d, whose commit is not in Azure Repos", m.build))
	default:
		status := j.status(m.services, failure)
		j.done(devops.SetCommitStatus(ctx, build.RepositoryID, build.Commit, status), "set the status %s of commit %.8s to %s", status.Name, build.Commit, status.State)
	}
}

// properties are those of a build: how each of its services ended.
func properties(services []deploy.ServiceResult, digest string) map[string]string {
	all := map[string]string{}
	for _, s := range services {
		if s.Outcome == "" {
			continue // not waited for
		}
		prefix := "EcsDeploy." + azdo.TagName(s.Service.String()) + "."
		for name, value := range map[string]string{"outcome": string(s.Outcome), "revision": ecs.ShortARN(s.Revision), "digest": digest} {
			if value != "" {
				all[prefix+name] = value
			}
		}
	}
	return all
}

// markPullRequest sets the status of the pull request that the run belongs to.
func (j job) markPullRequest(ctx context.Context, result deploy.Result, failure error) {
	s := j.config.Server
	id, err := strconv.Atoi(s.PullRequestID)
	if err != nil || !strings.EqualFold(s.RepositoryProvider, "TfsGit") {
		j.log.Info("marks: the run does not belong to a pull request of Azure Repos; no status is set")
		return
	}
	status := j.status(result.Services, failure)
	j.done(j.devops.SetPullRequestStatus(ctx, s.RepositoryID, id, status), "set the status %s of pull request %d to %s", status.Name, id, status.State)
}

// markRelease adds the builds that now run to the name of the classic release.
func (j job) markRelease(ctx context.Context, result deploy.Result) {
	p := j.config.Pipeline
	if !p.InRelease() || p.ReleaseName == "" {
		j.log.Info("marks: this is no classic release; nothing is renamed")
		return
	}
	name := p.ReleaseName
	for _, m := range markedBuilds(result, j.contents.builds()) {
		text := fmt.Sprintf(" (build %d)", m.build)
		if state(m.services, nil) == azdo.Succeeded && !strings.Contains(name, text) {
			name += text
		}
	}
	if name != p.ReleaseName {
		j.done(j.devops.RenameRelease(ctx, name), "renamed the release to %q", name)
	}
}
