package main

// Azure DevOps, as the run's environment describes it.

import (
	"cmp"
	"net/http"
	"strconv"
	"sync"

	"ecsdeploy/pkg/azdo"
	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/network"
	"ecsdeploy/pkg/vso"
)

// masker returns a function that has the agent mask a secret, the first time it
// hears of it. The known ones are masked already.
func masker(console *vso.Console, known []string) func(secret string) {
	var mu sync.Mutex
	masked := map[string]bool{"": true}
	for _, secret := range known {
		masked[secret] = true
	}
	return func(secret string) {
		mu.Lock()
		defer mu.Unlock()
		if !masked[secret] {
			masked[secret] = true
			console.Send(vso.SetSecret(secret)...)
		}
	}
}

// azureDevOps returns the client of this run. The error says what the agent did
// not give; no deployment fails because of it.
func azureDevOps(config input.Config, settings *network.Settings, transport http.RoundTripper, mask func(string)) (*azdo.Client, error) {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		settings.Apply(own)
		transport = own
	}
	s := config.Server
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
		Mask:          mask,
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
