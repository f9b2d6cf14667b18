package report

// The text of a status beside a commit or a pull request.

import (
	"strings"

	"ecsdeploy/pkg/deploy"
)

// statusLength is how many characters a status has at most: Azure DevOps shows one
// line of it.
const statusLength = 120

// StatusText says how the rollout to services ended, in one line.
func StatusText(services []deploy.ServiceResult) string {
	var all []string
	for _, s := range services {
		outcome := plain(string(s.Outcome))
		if outcome == "" {
			outcome = "in progress"
		}
		all = append(all, s.Name+" "+outcome)
	}
	if len(all) == 0 {
		return "the run was not carried out"
	}
	return shorten(strings.Join(all, ", "), statusLength)
}
