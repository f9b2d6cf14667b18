package azdo

import (
	"reflect"
	"testing"
)

func TestPullRequestsInTitles(t *testing.T) {
	const gh, az = "https://github.com/shop/chat", "https://dev.azure.com/org/p/_git/chat"
	for _, tt := range []struct {
		name, kind string
		changes    []Change
		want       []PullRequest
	}{
		{"squashed on GitHub", "GitHub", []Change{{Title: "Fix (the) login (#12)", Author: "Ada", URL: gh + "/commit/abc"}}, []PullRequest{{12, "Fix (the) login", "Ada", gh + "/pull/12"}}},
		{"merged on GitHub", "GitHubEnterprise", []Change{{Title: "Merge pull request #12 from shop/login"}}, []PullRequest{{12, "shop/login", "", ""}}},
		{"Azure Repos", "TfsGit", []Change{{Title: "Merged PR 5: Fix", URL: az + "/commit/abc"}}, []PullRequest{{5, "Fix", "", az + "/pullrequest/5"}}},
		{"once each", "GitHub", []Change{{Title: "a (#1)"}, {Title: "b (#1)"}}, []PullRequest{{1, "a", "", ""}}},
		{"an issue in the text", "GitHub", []Change{{Title: "See (#1) and go on"}, {Title: "Merged PR 5: Fix"}}, nil},
		{"a number that is none", "GitHub", []Change{{Title: "a (#99999999999999)"}}, nil},
	} {
		if got := pullRequestsInTitles(tt.changes, tt.kind); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func FuzzPullRequestsInTitles(f *testing.F) {
	f.Add("Fix (#12)", "GitHub", "https://github.com/x/y/commit/1")
	f.Add("Merged PR 5: x", "TfsGit", "")
	f.Fuzz(func(t *testing.T, title, kind, url string) {
		for _, p := range pullRequestsInTitles([]Change{{Title: title, URL: url}}, kind) {
			if p.Title == "" || p.ID < 0 {
				t.Errorf("%+v", p)
			}
		}
	})
}
