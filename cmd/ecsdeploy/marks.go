package main

// Marks that outlast the run: tags of the builds that were rolled out.

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"ecsdeploy/pkg/azdo"
	"ecsdeploy/pkg/deploy"
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
		if err := j.devops.AddTags(ctx, one.build, one.tag); err != nil {
			j.devopsFailed(err)
			continue
		}
		j.log.Info("tagged build " + strconv.Itoa(one.build) + " with " + one.tag)
	}
}
