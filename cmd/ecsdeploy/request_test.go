package main

import (
	"testing"

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
