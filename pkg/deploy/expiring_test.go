package deploy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ecsdeploy/pkg/ecr"
	"ecsdeploy/pkg/image/push"
	"ecsdeploy/pkg/taskdef"
)

// TestExpiring: what a lifecycle policy removes of what two services run and go back to.
func TestExpiring(t *testing.T) {
	const host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web"
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	count := func(tags string, n int) string {
		return fmt.Sprintf(`{"rules":[{"rulePriority":1,"selection":{%s,"countType":"imageCountMoreThan","countNumber":%d},"action":{"type":"expire"}}]}`, tags, n)
	}
	any, untagged := `"tagStatus":"any"`, `"tagStatus":"untagged"`
	listed := func(days int, tags ...string) ecr.ListedImage {
		return ecr.ListedImage{Digest: "sha256:" + strings.Join(tags, ""), Tags: tags, Pushed: now.Add(-time.Duration(days) * 24 * time.Hour)}
	}
	running := func(image string) taskdef.Definition {
		d, err := taskdef.Parse([]byte(`{"family":"web","containerDefinitions":[{"name":"app","image":"` + image + `"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, c := range map[string]struct {
		policy string
		there  []ecr.ListedImage
		push   bool
		runs   string
		want   string
	}{
		"enough is kept":                 {count(any, 2), []ecr.ListedImage{listed(1, "16")}, true, host + ":16", ""},
		"the one before is not":          {count(any, 1), []ecr.ListedImage{listed(1, "16")}, true, host + ":16", host + ":16 rollback 2"},
		"the push counts":                {count(any, 1), []ecr.ListedImage{listed(1, "16"), listed(0, "17")}, false, host + ":16", host + ":16 rollback 2"},
		"an older build is rolled out":   {count(any, 1), []ecr.ListedImage{listed(1, "18"), listed(2, "17")}, false, host + ":18", host + ":17 2"},
		"by its digest, and untagged":    {count(untagged, 1), []ecr.ListedImage{listed(0, "17"), {Digest: "sha256:a", Pushed: now}, {Digest: "sha256:b", Pushed: now.Add(-time.Hour)}}, false, host + "@sha256:b", host + "@sha256:b rollback 2"},
		"of another repository":          {count(any, 1), []ecr.ListedImage{listed(0, "17"), listed(1, "16")}, false, "public.ecr.aws/web:16", ""},
		"the placeholder is not gone to": {count(any, 1), []ecr.ListedImage{listed(0, "17"), listed(1, "placeholder")}, false, host + ":placeholder", ""},
		"not there":                      {count(any, 1), []ecr.ListedImage{listed(0, "17")}, false, host + ":15", ""},
	} {
		policy, err := ecr.ParseLifecyclePolicy(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		s := ServicePlan{Name: Service{"main", "web"}, Container: "app", Running: running(c.runs)}
		p := &Plan{Request: Request{Push: c.push, Rollout: true, Tags: []string{"17"}}, Repository: &ecr.Repository{URI: host}, State: &push.State{Tags: []push.TagState{{Tag: "17"}}},
			Image: Candidate{URI: host + ":17"}, Services: []ServicePlan{s, s}, lifecycle: lifecycle{policy, c.there}}
		var got []string
		for _, e := range p.expiring(now) {
			text := e.URI
			if e.Rollback {
				text += " rollback"
			}
			got = append(got, fmt.Sprint(text, " ", len(e.Services)))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}
