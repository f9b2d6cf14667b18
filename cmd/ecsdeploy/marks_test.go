package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/rollout"
)

func TestTags(t *testing.T) {
	service := func(name string, outcome rollout.Outcome) deploy.ServiceResult {
		return deploy.ServiceResult{Service: deploy.Service{Cluster: "main", Name: name}, Outcome: outcome}
	}
	coming := map[deploy.Service]int{{Cluster: "main", Name: "a"}: 20, {Cluster: "main", Name: "b"}: 20, {Cluster: "main", Name: "c"}: 19}
	for _, tt := range []struct {
		environment string
		services    []deploy.ServiceResult
		want        string
	}{
		{"prod eu", []deploy.ServiceResult{service("a", rollout.Succeeded), service("b", rollout.Unchanged)}, "[{20 deployed-prod-eu}]"},
		{"prod", []deploy.ServiceResult{service("a", rollout.Succeeded), service("b", rollout.Failed), service("c", rollout.Succeeded)}, "[{19 deployed-prod}]"},
		{"", []deploy.ServiceResult{service("a", rollout.Succeeded), service("b", rollout.RolledBack)}, "[{20 deployed-main-a}]"},
		{"", []deploy.ServiceResult{service("a", "")}, "[]"},
		{"prod", []deploy.ServiceResult{service("unknown", rollout.Succeeded)}, "[]"},
	} {
		if got := fmt.Sprint(tags(deploy.Result{Services: tt.services}, coming, tt.environment)); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.environment, got, tt.want)
		}
	}
}

// TestTagBuild: the build that runs is tagged, another one is not, and a missing
// right is a warning.
func TestTagBuild(t *testing.T) {
	clearAWS(t)
	rollout := "{command: rollout, repository: chat-app, cluster: " + cluster + ", services: " + service + ", tags: '20', tagBuild: true}"
	for _, tt := range []struct {
		name, inputs, scenario, environment string
		denied                              bool
		build                               int
		tags, log                           string
	}{
		{name: "environment", inputs: rollout, environment: "ENVIRONMENT_NAME=production", build: 20, tags: "[deployed-production]", log: "tagged build 20 with deployed-production"},
		{name: "stage of a release", inputs: rollout, environment: "RELEASE_ENVIRONMENTNAME=Prod (EU)", build: 20, tags: "[deployed-Prod--EU]", log: "tagged build 20"},
		{name: "service", inputs: rollout, build: 20, tags: "[deployed-product-dev-cluster-chat-app-dev-ecs-svc]", log: "tagged build 20"},
		{name: "failed", inputs: rollout, scenario: "crash", build: 20, tags: "[]", log: "result=Failed"},
		{name: "dry run", inputs: strings.Replace(rollout, "}", ", dryRun: true}", 1), build: 20, tags: "[]"},
		{name: "back", inputs: "{command: rollback, cluster: " + cluster + ", services: " + service + ", tagBuild: true}", build: 17, tags: "[deployed-product-dev-cluster-chat-app-dev-ecs-svc]"},
		{name: "denied", inputs: rollout, denied: true, build: 20, tags: "[]", log: `(requires "Edit build quality")`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, devops := newWorld(t), history()
				w.perform(t, []string{"running", "17"})
				w.perform(t, []string{"running", "18"})
				w.push(t, "20", "amd64")
				if tt.scenario != "" {
					w.perform(t, []string{"scenario", tt.scenario})
				}
				if tt.denied {
					devops.Deny("Edit build quality")
				}
				environ := inPipeline(devops, environment(t, w, t.TempDir(), tt.inputs)...)
				if tt.environment != "" {
					environ = append(environ, tt.environment)
				}
				var log bytes.Buffer
				run(t.Context(), environ, &log, clouds{devops, w.Transport()})
				if got := fmt.Sprint(devops.Build(tt.build).Tags); got != tt.tags || !strings.Contains(log.String(), tt.log) {
					t.Errorf("tags %s, want %s; the log:\n%s", got, tt.tags, log.String())
				}
				for _, other := range []int{17, 18, 20} {
					if other != tt.build && len(devops.Build(other).Tags) > 0 {
						t.Errorf("build %d is tagged, too", other)
					}
				}
			})
		})
	}
}
