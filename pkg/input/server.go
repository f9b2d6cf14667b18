// Azure DevOps itself: where its API is, the token of the job, and the run in the
// numbers that the API takes.

package input

import (
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// Server is what the agent says of Azure DevOps. Anything may be empty or 0.
// Source: azure-pipelines-agent, src/Agent.Worker/Handlers/Handler.cs, and the
// predefined variables of builds and classic releases.
type Server struct {
	CollectionURL string `env:"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI, default=$SYSTEM_COLLECTIONURI"` // on Server: as the agent reaches it
	ConnectionURL string `env:"ENDPOINT_URL_SYSTEMVSSCONNECTION"`                                  // in a classic release: the host of releases
	Type          string `env:"SYSTEM_SERVERTYPE"`                                                 // Hosted, OnPremises
	Project       string `env:"SYSTEM_TEAMPROJECT, default=$SYSTEM_TEAMPROJECTID"`
	Token         Secret // of the job

	OIDCRequestURI string `env:"SYSTEM_OIDCREQUESTURI"`
	HostType       string `env:"SYSTEM_HOSTTYPE"`
	PlanID         string `env:"SYSTEM_PLANID"`
	JobID          string `env:"SYSTEM_JOBID"`

	BuildID            string `env:"BUILD_BUILDID"`             // in a release: the primary artifact's
	DefinitionID       string `env:"BUILD_DEFINITIONID"`        // of that build's pipeline
	SystemDefinitionID string `env:"SYSTEM_DEFINITIONID"`       // of the running pipeline, build or release
	RepositoryID       string `env:"BUILD_REPOSITORY_ID"`       // a GUID in Azure Repos
	RepositoryProvider string `env:"BUILD_REPOSITORY_PROVIDER"` // TfsGit is Azure Repos
	PullRequestID      string `env:"SYSTEM_PULLREQUEST_PULLREQUESTID"`
	ReleaseID          string `env:"RELEASE_RELEASEID"`
	EnvironmentID      string `env:"RELEASE_ENVIRONMENTID"` // the stage of a release
}

// OnPremises reports whether this is Azure DevOps Server.
func (s Server) OnPremises() bool { return strings.EqualFold(s.Type, "OnPremises") }

// jobToken finds the token of the job. The endpoint is always there; the variable
// is missing in classic jobs that do not allow scripts to have it.
func jobToken(lookup envconfig.Lookuper) Secret {
	if token, ok := lookup.Lookup(endpointParameter + "SYSTEMVSSCONNECTION_ACCESSTOKEN"); ok {
		return NewSecret(token)
	}
	if auth, ok := lookup.Lookup(endpointAuth + "SYSTEMVSSCONNECTION"); ok {
		if p, err := parameters(auth); err == nil && p["accesstoken"] != "" {
			return NewSecret(p["accesstoken"])
		}
	}
	token, _ := orSecret(lookup).Lookup("SYSTEM_ACCESSTOKEN")
	return NewSecret(token)
}
