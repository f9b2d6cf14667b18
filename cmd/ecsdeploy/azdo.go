package main

// Azure DevOps, as the run's environment describes it.

import (
	"cmp"
	"net/http"
	"strconv"

	"ecsdeploy/pkg/azdo"
)

// azureDevOps returns the client of this run. The error says what the agent did
// not give; no deployment fails because of it.
func (j job) azureDevOps() (*azdo.Client, error) {
	transport := j.transport
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		j.network.Apply(own)
		transport = own
	}
	s := j.config.Server
	number := func(text string) int { n, _ := strconv.Atoi(text); return n }
	o := azdo.Options{
		CollectionURL: cmp.Or(s.CollectionURL, s.ConnectionURL),
		Project:       s.Project,
		Token:         s.Token.Reveal(),
		Release:       number(s.ReleaseID),
		Environment:   number(s.EnvironmentID),
		Job:           s.JobID,
		OIDC:          azdo.OIDC{RequestURI: s.OIDCRequestURI},
		Transport:     transport,
		Mask:          func(secret string) { j.console.Mask(secret) },
	}
	if o.Release != 0 {
		o.ReleaseURL = s.ConnectionURL
	} else {
		o.Build = number(s.BuildID)
	}
	if !s.OnPremises() {
		o.OIDC.Hub, o.OIDC.Plan = s.HostType, s.PlanID
	}
	return azdo.New(o)
}
