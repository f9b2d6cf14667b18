package deploy

import (
	"strings"
	"testing"

	"ecsdeploy/pkg/taskdef"
)

// TestCheckController: ECS and CodeDeploy can be asked for a deployment; what a
// third party places is left to it.
func TestCheckController(t *testing.T) {
	for controller, want := range map[string]string{
		"ECS":         "",
		"CODE_DEPLOY": "",
		"EXTERNAL":    "deployment controller EXTERNAL",
		"LATER":       "deployment controller LATER",
	} {
		problems := check(ecs.Service{Name: "web", Controller: controller}, taskdef.Definition{}, nil)
		switch {
		case want == "" && len(problems) > 0:
			t.Errorf("%s: %v, want no problem", controller, problems)
		case want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Error(), want)):
			t.Errorf("%s: %v, want one with %q", controller, problems, want)
		}
	}
}
