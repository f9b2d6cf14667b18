package main

import (
	"slices"
	"testing"

	"ecsdeploy/pkg/input"
	"ecsdeploy/pkg/rollout"
)

// TestStages: the input takes the stages that a rollout knows.
func TestStages(t *testing.T) {
	if !slices.Equal(input.Stages(), rollout.Stages()) {
		t.Errorf("the input takes %q, a rollout knows %q", input.Stages(), rollout.Stages())
	}
}
