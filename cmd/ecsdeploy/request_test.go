package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/taskdef"
)

// TestOrigin: a pipeline is known by ids that do not change when something is renamed,
// with its readable name beside them. What is not known is not made up.
func TestOrigin(t *testing.T) {
	p := input.Pipeline{CollectionURI: "https://dev.azure.com/org/"}
	build := input.Build{ID: "7", CollectionID: "c", Project: "Shop", ProjectID: "p", Definition: "chat", DefinitionID: "17", Commit: "abc"}
	for _, tt := range []struct {
		name   string
		change func(b *input.Build)
		want   taskdef.Provenance
	}{
		{"all is known", func(*input.Build) {}, taskdef.Provenance{BuildID: "7", Commit: "abc", PipelineID: "c/p/17", Pipeline: "https://dev.azure.com/org/Shop/chat"}},
		{"renamed", func(b *input.Build) { b.Project, b.Definition = "Store", "talk" }, taskdef.Provenance{BuildID: "7", Commit: "abc", PipelineID: "c/p/17", Pipeline: "https://dev.azure.com/org/Store/talk"}},
		{"without an id of the definition", func(b *input.Build) { b.DefinitionID = "" }, taskdef.Provenance{BuildID: "7", Commit: "abc", Pipeline: "https://dev.azure.com/org/Shop/chat"}},
		{"without a name", func(b *input.Build) { b.Definition = "" }, taskdef.Provenance{BuildID: "7", Commit: "abc", PipelineID: "c/p/17"}},
	} {
		b := build
		tt.change(&b)
		if got := origin(b, p); got != tt.want {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// TestOtherAccount: an ARN of another account than the session's is refused once that is
// known, naming the input, and before any other call.
func TestOtherAccount(t *testing.T) {
	clearAWS(t)
	for name, inputs := range map[string]string{
		"cluster":        "{cluster: 'arn:aws:ecs:eu-west-1:999999999999:cluster/" + cluster + "', services: " + service + "}",
		"services":       "{services: 'arn:aws:ecs:eu-west-1:999999999999:service/" + cluster + "/" + service + "'}",
		"taskDefinition": "{taskDefinition: 'arn:aws:ecs:eu-west-1:999999999999:task-definition/chat-app:1', cluster: " + cluster + ", services: " + service + "}",
		"repository":     "{repository: 'arn:aws:ecr:eu-west-1:999999999999:repository/chat-app', cluster: " + cluster + ", services: " + service + "}",
		"secrets":        "{secrets: 'A=arn:aws:ssm:eu-west-1:999999999999:parameter/a', cluster: " + cluster + ", services: " + service + "}",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			time.Sleep(10 * time.Minute)
			environ := append(environment(t, w, t.TempDir(), inputs), "INPUT_COMMAND=rollout")
			if name != "repository" {
				environ = append(environ, "INPUT_REPOSITORY=chat-app")
			}
			before := len(w.Requests())
			var log bytes.Buffer
			run(t.Context(), environ, &log, w.Transport())
			if got := strings.Join(w.actions(before), " "); got != "sts:GetCallerIdentity" {
				t.Errorf("%s: called %s", name, got)
			}
			if want := "##vso[task.logissue type=error]input " + name; !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "belongs to account 999999999999, this run works in account 123456789012") {
				t.Errorf("%s:\n%s", name, tail(log.String()))
			}
		})
	}
}
