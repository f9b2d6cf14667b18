package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/deploy"
	"ecsdeploy/pkg/emulator/azdo"
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

func TestState(t *testing.T) {
	for _, tt := range []struct {
		outcomes []rollout.Outcome
		failure  error
		want     string
	}{
		{[]rollout.Outcome{rollout.Succeeded, rollout.Unchanged}, nil, "succeeded"},
		{[]rollout.Outcome{rollout.Succeeded, rollout.Paused}, nil, "pending"},
		{[]rollout.Outcome{""}, nil, "pending"},
		{[]rollout.Outcome{rollout.Paused, rollout.RolledBack}, nil, "failed"},
		{[]rollout.Outcome{rollout.TimedOut}, errors.New("x"), "failed"},
		{nil, errors.New("x"), "error"},
	} {
		var services []deploy.ServiceResult
		for _, o := range tt.outcomes {
			services = append(services, deploy.ServiceResult{Outcome: o})
		}
		if got := state(services, tt.failure); string(got) != tt.want {
			t.Errorf("%v, %v: %s, want %s", tt.outcomes, tt.failure, got, tt.want)
		}
	}
}

// TestMarks: each mark is on what now runs, or on what failed; what Azure DevOps
// refuses is one warning that names the right; nothing is marked that was not asked for.
func TestMarks(t *testing.T) {
	clearAWS(t)
	const all = "properties\nretain\ncommitStatus\npullRequestStatus\nreleaseName"
	name := cluster + "/" + service
	prefix := "EcsDeploy." + cluster + "-" + service + "."
	for _, tt := range []struct {
		name, marks, scenario string
		back                  bool
		change                func(*azdo.Server) []string // further variables
		properties            string                      // of build 20
		leased                int                         // the build
		statuses              string
		log                   []string // each once
	}{
		{name: "nothing asked for", leased: 0},
		{name: "succeeded", marks: "properties\nretain\ncommitStatus", leased: 20, properties: "outcome=succeeded revision=chat-app:4",
			statuses: "commit c20 succeeded ecs-deploy " + name + " (" + service + " succeeded)",
			log:      []string{"set 3 properties of build 20", "build 20 is kept from deletion as long as service " + service + " runs it", "set the status " + name + " of commit c20 to succeeded"}},
		{name: "failed", marks: "properties\nretain\ncommitStatus", scenario: "crash", leased: 18, properties: "outcome=rolledBack revision=chat-app:4",
			statuses: "commit c20 failed ecs-deploy " + name + " (" + service + " rolled back)"},
		{name: "paused", marks: "commitStatus", scenario: "paused", leased: 0, statuses: "commit c20 pending ecs-deploy " + name + " (" + service + " paused)"},
		{name: "a pull request", marks: "pullRequestStatus\ncommitStatus", statuses: "commit c20 succeeded ecs-deploy staging (" + service + " succeeded); pull request 5 succeeded ecs-deploy staging (" + service + " succeeded)",
			change: func(s *azdo.Server) []string {
				s.AddPullRequest(azdo.PullRequest{ID: 5})
				return []string{"SYSTEM_PULLREQUEST_PULLREQUESTID=5", "BUILD_REPOSITORY_ID=chat", "BUILD_REPOSITORY_PROVIDER=TfsGit", "ENVIRONMENT_NAME=staging"}
			}},
		{name: "another host's repository", marks: "pullRequestStatus\ncommitStatus\nreleaseName",
			change: func(s *azdo.Server) []string {
				s.AddBuild(azdo.Build{ID: 20, DefinitionID: 7, Repository: "org/chat", RepositoryType: "GitHub", Commit: "c20"})
				return []string{"SYSTEM_PULLREQUEST_PULLREQUESTID=5", "BUILD_REPOSITORY_PROVIDER=GitHub"}
			},
			log: []string{"whose commit is not in Azure Repos", "does not belong to a pull request of Azure Repos", "this is no classic release"}},
		{name: "a release", marks: "releaseName\nretain", leased: 20,
			change: func(s *azdo.Server) []string {
				s.AddRelease(azdo.Release{ID: 3, Name: "Release-3", EnvironmentID: 31})
				return []string{"SYSTEM_HOSTTYPE=release", "RELEASE_RELEASEID=3", "RELEASE_RELEASENAME=Release-3", "RELEASE_ENVIRONMENTNAME=Production", "ENDPOINT_URL_SYSTEMVSSCONNECTION=" + s.ReleaseURL()}
			},
			log: []string{`renamed the release to "Release-3 (build 20)"`}},
		{name: "a release of another project's build", marks: "properties\nretain\ncommitStatus", leased: 20, properties: "outcome=succeeded revision=chat-app:4",
			statuses: "commit c20 succeeded ecs-deploy " + name + " (" + service + " succeeded)",
			change: func(s *azdo.Server) []string {
				return []string{"SYSTEM_HOSTTYPE=release", "SYSTEM_TEAMPROJECT=Releases", "SYSTEM_TEAMPROJECTID=0f0d9f4e-0000-4000-8000-000000000001", "RELEASE_RELEASEID=3", "RELEASE_RELEASENAME=Release-3",
					"RELEASE_PRIMARYARTIFACTSOURCEALIAS=_chat", "RELEASE_ARTIFACTS__CHAT_BUILDID=20", "RELEASE_ARTIFACTS__CHAT_PROJECTID=" + s.Project(), "ENDPOINT_URL_SYSTEMVSSCONNECTION=" + s.ReleaseURL()}
			}},
		{name: "back", marks: "retain\nproperties", back: true, leased: 17},
		{name: "denied", marks: all, change: func(s *azdo.Server) []string {
			for _, right := range []string{"Update build information", "Retain indefinitely", "Contribute", "Contribute to pull requests", "Manage releases"} {
				s.Deny(right)
			}
			s.AddPullRequest(azdo.PullRequest{ID: 5})
			s.AddRelease(azdo.Release{ID: 3, Name: "Release-3", EnvironmentID: 31})
			return []string{"SYSTEM_PULLREQUEST_PULLREQUESTID=5", "BUILD_REPOSITORY_ID=chat", "BUILD_REPOSITORY_PROVIDER=TfsGit",
				"RELEASE_RELEASEID=3", "RELEASE_RELEASENAME=Release-3", "ENDPOINT_URL_SYSTEMVSSCONNECTION=" + s.ReleaseURL()}
		}, log: []string{`(requires "Update build information")`, `(requires "Retain indefinitely")`, `(requires "Contribute")`, `(requires "Contribute to pull requests")`, `(requires "Manage releases")`}},
		{name: "no answer", marks: all, change: func(s *azdo.Server) []string { s.Fail(azdo.Fault{Path: "/_apis", Hang: true}); return nil }, log: []string{"no answer in time"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, devops := newWorld(t), history()
				for _, id := range []int{17, 18, 20} {
					b := devops.Build(id)
					b.Commit = fmt.Sprintf("c%d", id)
					devops.AddBuild(b)
				}
				w.perform(t, []string{"running", "17"})
				w.push(t, "18", "amd64")
				w.push(t, "20", "amd64")
				inputs := func(build, marks string) string {
					text := "command: rollout\nrepository: chat-app\ncluster: " + cluster + "\nservices: " + service + "\ntags: '" + build + "'\nsummary: false"
					if marks != "" {
						text += "\nmarks: " + fmt.Sprintf("%q", marks)
					}
					return text
				}
				var log bytes.Buffer
				earlier := inputs("18", "")
				if strings.Contains(tt.marks, "retain") {
					earlier = inputs("18", "retain")
				}
				run(t.Context(), inPipeline(devops, environment(t, w, t.TempDir(), earlier)...), &log, clouds{devops, w.Transport()})
				time.Sleep(10 * time.Minute)
				if got := devops.Leases(); strings.Contains(tt.marks, "retain") && (len(got) != 1 || got[0].RunID != 18) {
					t.Fatalf("leases %+v:\n%s", got, log.String())
				}
				if tt.scenario != "" {
					w.perform(t, []string{"scenario", tt.scenario})
				}
				log.Reset()
				given := inputs("20", tt.marks)
				if tt.back {
					given = "command: rollback\ncluster: " + cluster + "\nservices: " + service + "\nmarks: " + fmt.Sprintf("%q", tt.marks)
				}
				environ := inPipeline(devops, environment(t, w, t.TempDir(), given)...)
				if tt.change != nil {
					environ = append(environ, tt.change(devops)...)
				}
				begin := time.Now()
				run(t.Context(), environ, &log, clouds{devops, w.Transport()})
				if tt.name == "no answer" && time.Since(begin) > 80*time.Second {
					t.Errorf("it took %s", time.Since(begin))
				}
				for _, want := range tt.log {
					if strings.Count(log.String(), want) != 1 {
						t.Errorf("%d times %q:\n%s", strings.Count(log.String(), want), want, log.String())
					}
				}
				checkMarks(t, devops, prefix, tt.properties, tt.statuses)
				leased := 0
				if got := devops.Leases(); len(got) == 1 {
					leased = got[0].RunID
				}
				if tt.leased != 0 && leased != tt.leased || tt.leased == 0 && !strings.Contains(tt.marks, "retain") && len(devops.Leases()) > 0 {
					t.Errorf("leases %+v:\n%s", devops.Leases(), log.String())
				}
			})
		})
	}
}

// checkMarks compares the properties of build 20 and all statuses.
func checkMarks(t *testing.T, devops *azdo.Server, prefix, properties, statuses string) {
	t.Helper()
	var have []string
	all := devops.Build(20).Properties
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != prefix+"digest" {
			have = append(have, fmt.Sprintf("%s=%v", strings.TrimPrefix(name, prefix), all[name]))
		}
	}
	if got := strings.Join(have, " "); got != properties {
		t.Errorf("properties %q, want %q", got, properties)
	}
	have = nil
	for _, s := range devops.Statuses() {
		of := "commit " + s.Commit
		if s.PullRequest > 0 {
			of = fmt.Sprintf("pull request %d", s.PullRequest)
		}
		have = append(have, fmt.Sprintf("%s %s %s %s (%s)", of, s.State, s.Genre, s.Name, s.Description))
	}
	if got := strings.Join(have, "; "); got != statuses {
		t.Errorf("statuses %q, want %q", got, statuses)
	}
}
