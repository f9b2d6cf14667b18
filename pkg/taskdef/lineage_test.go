package taskdef_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ecsdeploy/pkg/taskdef"
)

// revision is a registered revision of the family f; base is empty for one of
// infrastructure.
func revision(t *testing.T, n int, status, base, image, environment string) taskdef.Definition {
	t.Helper()
	d := parse(t, fmt.Sprintf(`{"taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/f:%d","family":"f","revision":%d,"status":%q,`+
		`"containerDefinitions":[{"name":"c","image":%q,"environment":[%s]}]}`, n, n, status, image, environment))
	if base == "" {
		return d
	}
	return with(t, d, taskdef.Provenance{BuildID: fmt.Sprint(n), Base: base})
}

func TestTrace(t *testing.T) {
	infra := func(n int, status string) taskdef.Candidate {
		return taskdef.Candidate{Definition: revision(t, n, status, "", "h/a:placeholder", "")}
	}
	ours := func(n int, o taskdef.Outcome) taskdef.Candidate {
		return taskdef.Candidate{Definition: revision(t, n, "ACTIVE", "f:1", fmt.Sprint("h/a:", n), ""), Outcome: o}
	}
	for name, test := range map[string]struct {
		revisions   []taskdef.Candidate
		infra, ours string
		skipped     []string
	}{
		"the first rollout":             {[]taskdef.Candidate{infra(1, "ACTIVE")}, "f:1", "", nil},
		"the last one succeeded":        {[]taskdef.Candidate{ours(2, taskdef.Succeeded), infra(1, "ACTIVE")}, "f:1", "f:2", nil},
		"the last one failed":           {[]taskdef.Candidate{ours(3, taskdef.Failed), ours(2, taskdef.Succeeded), infra(1, "ACTIVE")}, "f:1", "f:2", []string{"f:3 (its deployment failed)"}},
		"it was never deployed":         {[]taskdef.Candidate{ours(3, taskdef.NeverRan), ours(2, taskdef.Succeeded), infra(1, "ACTIVE")}, "f:1", "f:2", []string{"f:3 (it was never deployed)"}},
		"it is in progress":             {[]taskdef.Candidate{ours(3, taskdef.Running), ours(2, taskdef.Succeeded), infra(1, "ACTIVE")}, "f:1", "f:2", []string{"f:3 (its deployment is still in progress)"}},
		"the service went back from it": {[]taskdef.Candidate{ours(3, taskdef.LeftBehind), ours(2, taskdef.Succeeded), infra(1, "ACTIVE")}, "f:1", "f:2", []string{"f:3 (the service has gone back from it since its deployment succeeded)"}},
		"the first one failed":          {[]taskdef.Candidate{ours(2, taskdef.Failed), infra(1, "ACTIVE")}, "f:1", "", []string{"f:2 (its deployment failed)"}},
		"several failed":                {[]taskdef.Candidate{ours(4, taskdef.Failed), infra(3, "ACTIVE"), ours(2, taskdef.Failed), infra(1, "ACTIVE")}, "f:3", "", []string{"f:4 (its deployment failed)", "f:2 (its deployment failed)"}},
		"without records":               {[]taskdef.Candidate{ours(2, taskdef.Unknown), infra(1, "ACTIVE")}, "f:1", "f:2", nil},
		"infrastructure is newer":       {[]taskdef.Candidate{infra(3, "ACTIVE"), ours(2, taskdef.Succeeded), infra(1, "ACTIVE")}, "f:3", "f:2", nil},
		"infrastructure took it back":   {[]taskdef.Candidate{infra(3, "INACTIVE"), ours(2, taskdef.Succeeded), infra(1, "ACTIVE")}, "f:1", "f:2", []string{"f:3 (it is INACTIVE)"}},
		"a status that is not known":    {[]taskdef.Candidate{infra(3, "RESTING"), ours(2, taskdef.Succeeded), infra(1, "ACTIVE")}, "f:3", "f:2", nil},
		"all of them were deregistered": {[]taskdef.Candidate{infra(3, "INACTIVE"), ours(2, taskdef.Succeeded), infra(1, "INACTIVE")}, "f:3", "f:2", []string{"f:1 (it is INACTIVE)"}},
		"a pipeline alone":              {[]taskdef.Candidate{ours(3, taskdef.Failed), ours(2, taskdef.Succeeded)}, "", "f:2", []string{"f:3 (its deployment failed)"}},
		"alone, and none succeeded":     {[]taskdef.Candidate{ours(3, taskdef.Failed), ours(2, taskdef.NeverRan)}, "", "f:3", []string{"f:2 (it was never deployed)"}},
		"nothing":                       {nil, "", "", nil},
	} {
		l := taskdef.Trace(test.revisions)
		var skipped []string
		for _, s := range l.Skipped {
			skipped = append(skipped, s.String())
		}
		if l.Infrastructure.String() != test.infra || l.Ours.String() != test.ours || !slices.Equal(skipped, test.skipped) {
			t.Errorf("%s: %s and %s, skipped %q; want %s and %s, %q", name, l.Infrastructure, l.Ours, skipped, test.infra, test.ours, test.skipped)
		}
	}
}

// What a failed run had set does not come back with the next one; what a
// successful one had set stays.
func TestBaseAfterAFailure(t *testing.T) {
	const kept, bad = `{"name":"KEPT","value":"1"}`, `{"name":"BAD","value":"1"}`
	infrastructure := revision(t, 1, "ACTIVE", "", "h/a:placeholder", "")
	good := revision(t, 2, "ACTIVE", "f:1", "h/a:2", kept)
	failed := revision(t, 3, "ACTIVE", "f:1", "h/a:3", kept+","+bad)
	l := taskdef.Trace([]taskdef.Candidate{{failed, taskdef.Failed}, {good, taskdef.Succeeded}, {infrastructure, taskdef.Unknown}})
	if l.MadeFrom() != "" {
		t.Errorf("made from %s has to be read", l.MadeFrom())
	}
	base, _, note := l.Base(taskdef.Definition{})
	if got := string(base.RegisterInput()); strings.Contains(got, "BAD") || !strings.Contains(got, "KEPT") || note != "" {
		t.Errorf("base %s, note %q", got, note)
	}

	// Infrastructure registered another one meanwhile: what it changed comes in.
	newer := parse(t, strings.Replace(string(revision(t, 4, "ACTIVE", "", "h/a:placeholder", "").RegisterInput()), `"family"`, `"revision":4,"cpu":"512","family"`, 1))
	l = taskdef.Trace([]taskdef.Candidate{{newer, taskdef.Unknown}, {failed, taskdef.Failed}, {good, taskdef.Succeeded}, {infrastructure, taskdef.Unknown}})
	if l.MadeFrom() != "f:1" || len(l.Skipped) != 1 {
		t.Fatalf("made from %q, skipped %v", l.MadeFrom(), l.Skipped)
	}
	base, conflicts, note := l.Base(infrastructure)
	got := string(base.RegisterInput())
	if strings.Contains(got, "BAD") || !strings.Contains(got, "KEPT") || !strings.Contains(got, `"cpu":"512"`) || base.Image("c") != "h/a:2" || len(conflicts) > 0 || note != "" {
		t.Errorf("base %s, conflicts %v, note %q", got, conflicts, note)
	}

	// Without the revision that it was made from, only the image is known to be ours.
	base, _, note = l.Base(taskdef.Definition{})
	if got := string(base.RegisterInput()); strings.Contains(got, "KEPT") || base.Image("c") != "h/a:2" || !strings.Contains(note, "only its images") {
		t.Errorf("base %s, note %q", got, note)
	}

	l = taskdef.Trace([]taskdef.Candidate{{failed, taskdef.Failed}, {infrastructure, taskdef.Unknown}})
	if base, _, _ := l.Base(taskdef.Definition{}); string(base.RegisterInput()) != string(infrastructure.RegisterInput()) {
		t.Errorf("after a first failure: %s", base.RegisterInput())
	}
}

func TestDeployed(t *testing.T) {
	of := func(build, pipeline string, o taskdef.Outcome) taskdef.Candidate {
		return taskdef.Candidate{Definition: with(t, load(t, "fargate"), taskdef.Provenance{BuildID: build, Pipeline: pipeline}), Outcome: o}
	}
	revisions := []taskdef.Candidate{of("9", "p", taskdef.Succeeded), of("8", "p", taskdef.Failed), of("7", "q", taskdef.Succeeded), {Definition: load(t, "fargate"), Outcome: taskdef.Succeeded}}
	for build, want := range map[string]bool{"9": true, "8": false, "7": false, "": false} {
		if got := taskdef.Deployed(revisions, taskdef.Provenance{BuildID: build, Pipeline: "p"}); got != want {
			t.Errorf("build %q was deployed: %t", build, got)
		}
	}
}
