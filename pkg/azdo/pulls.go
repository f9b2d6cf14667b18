package azdo

// Pull requests as the messages of commits name them, for repositories that Azure
// DevOps does not have itself, and where it may not be asked. Pure.

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The messages that Azure Repos and GitHub give to commits that complete a pull
// request: "Merged PR 5: Title", "Title (#12)", "Merge pull request #12 from …".
var (
	azureMerge   = regexp.MustCompile(`^Merged PR (\d{1,9}): (.+)$`)
	githubSquash = regexp.MustCompile(`^(.+) \(#(\d{1,9})\)$`)
	githubMerge  = regexp.MustCompile(`^Merge pull request #(\d{1,9}) from (.+)$`)
)

// pullRequestsInTitles finds pull requests in the titles of changes, newest first.
func pullRequestsInTitles(changes []Change, repositoryType string) []PullRequest {
	var list []PullRequest
	for _, c := range changes {
		p := PullRequest{Author: c.Author}
		number, page := "", ""
		if strings.EqualFold(repositoryType, "TfsGit") {
			m := azureMerge.FindStringSubmatch(c.Title)
			if m == nil {
				continue
			}
			number, p.Title, page = m[1], m[2], "/pullrequest/"
		} else if m := githubSquash.FindStringSubmatch(c.Title); m != nil {
			number, p.Title, page = m[2], m[1], "/pull/"
		} else if m := githubMerge.FindStringSubmatch(c.Title); m != nil {
			number, p.Title, page = m[1], m[2], "/pull/" // the branch: the title is not in this line
		} else {
			continue
		}
		p.ID, _ = strconv.Atoi(number)
		if base, _, found := strings.Cut(c.URL, "/commit/"); found {
			p.URL = base + page + url.PathEscape(number)
		}
		if len(list) < MaxPullRequests && !slices.ContainsFunc(list, func(o PullRequest) bool { return o.ID == p.ID }) {
			list = append(list, p)
		}
	}
	return list
}
